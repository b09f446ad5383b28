/* See oracle_order.h. */
#include "tests/sim/oracle_order.h"

#include "membership/role.h"
#include "tests/sim/arena.h"
#include "tests/sim/real.h"

#include <string.h>

#define TERMS_MAX 4096u

/* What is known of one index. A zero hash: nothing yet. */
struct place {
    bool is_committed;
    uint64_t term;
    uint64_t chain; /* hash of all entries up to here */

    bool is_delivered, is_void; /* given to users; passed over by somebody */
    uint32_t origin;
    uint64_t number;
    uint64_t data;

    bool is_applied;
    uint64_t state;
    uint64_t answer;
};

/* What a process has shown so far. */
struct seen {
    uint64_t term, commit, delivered;
    bool was_leading;
    base_time looked;
    base_time granted[SIM_MEMBERS_MAX + 1]; /* when a member said last that it would vote; 0: never */
};

static struct {
    struct place *place;
    size_t room;
    uint64_t last;
    uint32_t leader[TERMS_MAX];
    struct seen seen[SIM_MEMBERS_MAX];
} c;

static struct place *place_at(uint64_t index)
{
    if (index >= c.room) {
        size_t room = c.room == 0 ? 4096 : c.room;

        while (room <= index) {
            room *= 2;
        }
        c.place = real_realloc(c.place, room * sizeof *c.place);
        CHECK(c.place != NULL);
        memset(c.place + c.room, 0, (room - c.room) * sizeof *c.place);
        c.room = room;
    }
    return &c.place[index];
}

void oracle_order_refound(void)
{
    if (c.room > 0) {
        memset(c.place, 0, c.room * sizeof *c.place);
    }
    memset(c.leader, 0, sizeof c.leader);
    c.last = 0;
}

void oracle_order_begin(void)
{
    oracle_order_refound();
    memset(c.seen, 0, sizeof c.seen);
}

void oracle_order_end(void)
{
    real_free(c.place);
    memset(&c, 0, sizeof c);
}

void oracle_order_start(int node)
{
    c.seen[node] = (struct seen){0};
}

/* ------------------------------------------------------------------------------------------------ cores */

/* Whether a member holds this very entry. Of one whose process died it is not known any more: it may have. */
static bool holds(int node, uint64_t index, uint64_t chain)
{
    const struct sim_member *m = &sim_group.member[node];
    struct log_place here;

    if (!sim.node[node].is_up || m->replica == NULL || m->core == NULL || !m->has_view || m->is_out) {
        return sim.node[node].life > 1 || !sim.node[node].is_up;
    }
    if (m->core->log.base.index >= index) {
        return true;
    }
    return m->core->disk.upto >= index && log_at(&m->core->log, index, &here) && here.hash == chain;
}

/* R8, R13: what a leader settles a majority holds, on disk; R11: by counting it settles entries of its own term only.
 */
static void look_at_majority(int node, const struct order *o)
{
    struct log_place last;
    int holders = 0;

    if (o->role != ROLE_LEADER || o->commit <= c.seen[node].commit || c.seen[node].term != o->term ||
        !log_at(&o->log, o->commit, &last)) {
        return;
    }
    for (int i = 0; i < sim_group.count; i++) {
        holders += holds(i, o->commit, last.hash) ? 1 : 0;
    }
    if (2 * holders <= sim_group.count) {
        sim_fail("R8 a majority holds what is settled", "node %d settles %llu, and %d hold it", node,
                 (unsigned long long)o->commit, holders);
    }
    if (last.term != o->term) {
        sim_fail("R11 only the own term by counting", "node %d leads term %llu and settles %llu of term %llu", node,
                 (unsigned long long)o->term, (unsigned long long)o->commit, (unsigned long long)last.term);
    }
}

void oracle_order_heard(int node, uint32_t member, const struct message *m)
{
    if (m->kind == MESSAGE_PREVOTE && m->vote.granted) {
        c.seen[node].granted[member] = sim.now;
    }
}

/* T30. An attempt lasts T at most, by the clock of a process that runs; one that stood still counts on. */
static void look_at_term(int node, const struct order *o)
{
    struct seen *s = &c.seen[node];
    base_time still = sim.now - s->looked;
    base_time window = 2 * o->options.election_timeout + BASE_MS(500);
    int granted = 1;

    for (int i = 1; i <= sim_group.count; i++) {
        s->granted[i] += s->granted[i] != 0 && still > BASE_MS(300) ? still : 0;
        granted += s->granted[i] != 0 && s->granted[i] + window >= sim.now ? 1 : 0;
    }
    s->looked = sim.now;
    if (o->term > s->term && o->vote == (uint32_t)node + 1 && 2 * granted <= sim_group.count) {
        sim_fail("T30 no term without a majority", "node %d begins term %llu, and only %d would vote for it", node,
                 (unsigned long long)o->term, granted);
    }
}

static void look_at_leader(int node, const struct order *o)
{
    uint32_t *leader = &c.leader[o->term % TERMS_MAX];

    if (o->role != ROLE_LEADER) {
        c.seen[node].was_leading = false;
        return;
    }
    if (!c.seen[node].was_leading) {
        c.seen[node].was_leading = true;
        sim_arena_stats.elections++;
        sim_trace("node %d leads term %llu", node, (unsigned long long)o->term);
    }
    if (*leader == 0) {
        *leader = (uint32_t)node + 1;
    }
    if (*leader != (uint32_t)node + 1 && o->term < TERMS_MAX) {
        sim_fail("R1 one leader a term", "nodes %u and %d both lead term %llu", *leader - 1, node,
                 (unsigned long long)o->term);
    }
}

/* R5 at the moment of the commitment, also of what is never given to users. */
static void look_at_commit(int node, const struct order *o)
{
    for (uint64_t i = c.seen[node].commit + 1; i <= o->commit && !sim.is_failed; i++) {
        struct place *p = place_at(i);
        struct log_place here;

        if (!log_at(&o->log, i, &here)) {
            continue; /* dropped already: it was delivered, and seen there */
        }
        if (!p->is_committed) {
            p->is_committed = true;
            p->term = here.term;
            p->chain = here.hash;
        }
        if (p->term != here.term || p->chain != here.hash) {
            sim_fail("R5 one entry at an index",
                     "node %d committed %llu as of term %llu (%016llx), but it is of term "
                     "%llu (%016llx)",
                     node, (unsigned long long)i, (unsigned long long)here.term, (unsigned long long)here.hash,
                     (unsigned long long)p->term, (unsigned long long)p->chain);
        }
    }
}

/* Rule 1: what is said about commit holds here only for what this term's stream has verified. */
static void look_at_verified(int node, const struct order *o)
{
    if (o->commit > c.seen[node].commit && c.seen[node].term == o->term && o->commit > o->verified) {
        sim_fail("R5 rule 1 only what is verified", "node %d holds %llu for settled and has verified %llu in term %llu",
                 node, (unsigned long long)o->commit, (unsigned long long)o->verified, (unsigned long long)o->term);
    }
}

void oracle_order_look(int node, const struct order *o)
{
    struct seen *s = &c.seen[node];

    if (o->term < s->term || o->commit < s->commit) {
        sim_fail("R10 only forward", "node %d went back from term %llu, commit %llu to %llu, %llu", node,
                 (unsigned long long)s->term, (unsigned long long)s->commit, (unsigned long long)o->term,
                 (unsigned long long)o->commit);
    }
    look_at_term(node, o);
    look_at_leader(node, o);
    look_at_verified(node, o);
    look_at_commit(node, o);
    look_at_majority(node, o);
    s->term = o->term;
    s->commit = o->commit;
}

/* ------------------------------------------------------------------------------------------------ deliveries */

/* What this process passed over is passed over by all. */
static void pass_over(int node, uint64_t upto)
{
    for (uint64_t i = c.seen[node].delivered + 1; i < upto && !sim.is_failed; i++) {
        struct place *p = place_at(i);

        if (p->is_delivered) {
            sim_fail("R7 one order without gaps", "node %d passed over %llu, which others were given", node,
                     (unsigned long long)i);
        }
        p->is_void = true;
    }
}

void oracle_order_deliver(int node, const struct group_delivery *d)
{
    struct seen *s = &c.seen[node];
    struct place *p = place_at(d->index);
    uint64_t data = sim_hash(0, d->data.data, d->data.size);

    if (d->index <= s->delivered) {
        sim_fail("R10 only forward", "node %d was given %llu after %llu", node, (unsigned long long)d->index,
                 (unsigned long long)s->delivered);
        return;
    }
    pass_over(node, d->index);
    s->delivered = d->index;
    if (p->is_void) {
        sim_fail("R7 one order without gaps", "node %d was given %llu, which others passed over", node,
                 (unsigned long long)d->index);
    }
    if (!p->is_committed) {
        sim_fail("R18 only what is committed", "node %d was given %llu, which nobody has committed", node,
                 (unsigned long long)d->index);
    }
    if (!p->is_delivered) {
        p->is_delivered = true;
        p->origin = d->origin;
        p->number = d->number;
        p->data = data;
    }
    if (p->term != d->term || p->origin != d->origin || p->number != d->number || p->data != data) {
        sim_fail("R5 one entry at an index",
                 "node %d was given number %llu of %u in term %llu at %llu; others number "
                 "%llu of %u in term %llu",
                 node, (unsigned long long)d->number, d->origin, (unsigned long long)d->term,
                 (unsigned long long)d->index, (unsigned long long)p->number, p->origin, (unsigned long long)p->term);
    }
    c.last = d->index > c.last ? d->index : c.last;
    sim_arena_stats.entries++;
}

void oracle_order_apply(int node, const struct replica_command *command, uint64_t state, uint64_t answer)
{
    struct place *p = place_at(command->index);

    if (!p->is_applied) {
        p->is_applied = true;
        p->state = state;
        p->answer = answer;
    }
    if (p->state != state || p->answer != answer) {
        sim_fail("R14 one state at an index", "node %d applied %llu and has state %016llx, others %016llx", node,
                 (unsigned long long)command->index, (unsigned long long)state, (unsigned long long)p->state);
    }
}

uint64_t oracle_order_last(void)
{
    return c.last;
}

uint64_t oracle_order_delivered(int node)
{
    return c.seen[node].delivered;
}

uint64_t oracle_order_answer(uint64_t index)
{
    return index < c.room ? c.place[index].answer : 0;
}
