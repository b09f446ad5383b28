/* See group_judge.h. */
#include "tests/sim/group_judge.h"

#include "membership/role.h"
#include "tests/sim/arena.h"
#include "tests/sim/arena_group.h"
#include "tests/sim/clients.h"
#include "tests/sim/faults.h"
#include "tests/sim/net.h"
#include "tests/sim/oracle_order.h"
#include "tests/sim/oracle_views.h"

#include <string.h>

#define PEACE BASE_S(120)
#define STEP  BASE_MS(200)

static struct {
    unsigned chosen; /* the majority that is healed first */
    bool is_held;
    int64_t probe[SIM_MEMBERS_MAX];
} j;

void group_judge_begin(void)
{
    memset(&j, 0, sizeof j);
}

bool group_judge_is_founded(void)
{
    for (int i = 0; i < sim_group.count; i++) {
        if (!sim_group.member[i].has_view) {
            return false;
        }
    }
    return true;
}

bool group_judge_wait(bool (*is_done)(void), base_time limit)
{
    base_time until = sim.now + limit;

    while (!sim.is_failed && sim.now < until) {
        if (is_done()) {
            return true;
        }
        sim_run(sim.now + STEP, NULL);
    }
    return is_done();
}

/* Whatever is not chosen stays broken: cut off, in one direction or both, or stopped. */
static void keep_broken(void *object, uint64_t number)
{
    (void)object;
    if (j.chosen == 0) {
        return;
    }
    for (int a = 0; a < sim_group.count; a++) {
        for (int b = 0; b < sim_group.count; b++) {
            bool is_outside = (j.chosen >> a & 1) == 0 || (j.chosen >> b & 1) == 0;

            if (a != b && is_outside && (number >> (a * 7 + b) % 61 & 1) != 0) {
                sim_group_cut_path(a, b, true);
            }
        }
    }
    sim_at(sim.now + BASE_MS(300), keep_broken, NULL, number);
}

/* Chooses a majority of the living members of the view. 0: there is none. */
static unsigned choose(void)
{
    unsigned chosen = 0;
    int count = 0;
    int wanted;

    if (sim_group_living() < sim_group_majority()) {
        return 0;
    }
    wanted = sim_group_majority() + (int)sim_below((uint64_t)(sim_group_living() - sim_group_majority() + 1));
    while (count < wanted) {
        int i = (int)sim_below((uint64_t)sim_group.count);

        if ((chosen >> i & 1) == 0 && oracle_views_names(i)) {
            chosen |= 1u << i;
            count++;
        }
    }
    return chosen;
}

/* The leader's log is full of what a dead or broken member has not got: it says AGAIN and names it, until snapshots
 * exist. The order itself still works. */
static bool is_held(int node)
{
    struct replica_stats s;
    bool is_full = false;
    bool is_away = false;

    for (int i = 0; i < sim_group.count; i++) {
        is_away = is_away || !oracle_views_names(i) || (j.chosen != 0 && (j.chosen >> i & 1) == 0);
        if (sim_group_is_serving(i)) {
            replica_stats(sim_group.member[i].replica, &s);
            is_full = is_full || s.group.log_bytes + SIM_COMMAND_MAX > sim_group.log_bytes_max;
        }
    }
    if (is_away && is_full && !j.is_held) {
        j.is_held = true;
        sim_arena_stats.held++;
        sim_trace("node %d waits for a member that is away and holds the log", node);
    }
    return is_away && is_full;
}

static bool is_probed(int node)
{
    const struct sim_op *op;

    if (j.probe[node] < 0) {
        j.probe[node] = sim_clients_probe(node);
        return j.probe[node] < 0 && is_held(node);
    }
    op = &sim_clients.op[j.probe[node]];
    if (op->outcome == SIM_UNKNOWN) {
        j.probe[node] = -1; /* asked too early: again */
    }
    return op->outcome == SIM_OK || is_held(node);
}

static int leader(void)
{
    int best = -1;

    for (int i = 0; i < sim_group.count; i++) {
        const struct order *o = sim_group.member[i].core;

        if (sim_group_is_serving(i) && o->role == ROLE_LEADER &&
            (best < 0 || o->term > sim_group.member[best].core->term)) {
            best = i;
        }
    }
    return best;
}

static bool is_cut(int from, int to)
{
    return sim_net_path(from, to)->tcp_cut || sim_net_path(from, to)->udp_cut;
}

/* A member outside may go on leading as long as a majority answers it. Who has no whole path to it must wait: a leader
 * that serves is not put aside (stickiness). */
static bool is_excused(int node)
{
    int best = leader();

    return best >= 0 && (j.chosen >> best & 1) == 0 && (is_cut(node, best) || is_cut(best, node));
}

/* The chosen ones answer, and have everything that was ever given to anybody (R6, L1). */
static bool is_chosen_done(void)
{
    bool is_done = true;
    bool is_working = false;

    for (int i = 0; i < sim_group.count; i++) {
        if ((j.chosen >> i & 1) != 0) {
            bool has_all = is_probed(i) && oracle_order_delivered(i) == oracle_order_last();

            is_working = is_working || has_all;
            is_done = is_done && (has_all || is_excused(i));
        }
    }
    return is_done && is_working;
}

/* Nothing that lives waits for an answer. */
static bool is_nothing_pending(void)
{
    for (size_t i = 0; i < sim_clients.count; i++) {
        const struct sim_op *op = &sim_clients.op[i];

        if (op->outcome == SIM_PENDING && sim.node[op->node].is_up && sim.node[op->node].life == op->life &&
            oracle_views_names(op->node)) {
            return false;
        }
    }
    return true;
}

/* Everybody has everything (L3); whoever is not in the view knows it (M7). */
static bool is_all_done(void)
{
    bool is_done = is_nothing_pending() || is_held(0);

    for (int i = 0; i < sim_group.count; i++) {
        const struct sim_member *m = &sim_group.member[i];

        if (oracle_views_names(i)) {
            is_done = m->has_view && is_probed(i) && oracle_order_delivered(i) == oracle_order_last() && is_done;
        } else {
            is_done = is_done && m->is_out;
        }
    }
    return is_done;
}

static void tell_member(int i)
{
    const struct sim_member *m = &sim_group.member[i];
    const struct order *o = m->core;
    struct replica_stats s;

    sim_trace("member %d:%s%s%s%s delivered %llu", i, (j.chosen >> i & 1) != 0 ? " chosen" : "",
              oracle_views_names(i) ? " named" : " not in the view", m->has_view ? ", has the view" : "",
              m->is_out ? ", out" : "", (unsigned long long)oracle_order_delivered(i));
    if (m->replica == NULL || o == NULL || !sim.node[i].is_up) {
        return;
    }
    replica_stats(m->replica, &s);
    sim_trace("  %s of term %llu, leader %u, last %llu, commit %llu, verified %llu, low %llu, log %zu of %zu bytes, "
              "pending %llu",
              order_role(o), (unsigned long long)o->term, o->leader, (unsigned long long)o->log.last.index,
              (unsigned long long)o->commit, (unsigned long long)o->verified, (unsigned long long)o->low, o->log.bytes,
              o->options.log_bytes_max, (unsigned long long)s.group.pending);
    for (uint32_t k = 0; k < o->seat_count; k++) {
        const struct order_seat *t = &o->seat[k];

        sim_trace("  seat %u: %s%s%s%s next %llu, acked %llu, ack sent %llu, %llu bytes in the channel, silent %llu ms",
                  t->id, t->is_linked ? "linked" : "no link", t->is_asked ? ", asked" : "",
                  t->is_synced ? ", synchronised" : "", t->is_followed ? ", followed" : "", (unsigned long long)t->next,
                  (unsigned long long)t->acked, (unsigned long long)t->ack_sent,
                  (unsigned long long)s.group.member[k].unacknowledged,
                  (unsigned long long)(s.group.member[k].silent / BASE_MS(1)));
    }
}

void group_judge_tell(const char *property)
{
    for (int i = 0; i < sim_group.count; i++) {
        tell_member(i);
    }
    sim_fail(property, "last delivered %llu, %s", (unsigned long long)oracle_order_last(),
             is_nothing_pending() ? "nothing pending" : "operations pending");
}

/* L8: stuck only if justified: names what is lost. */
static bool is_lost(void)
{
    if (oracle_views_current() == NULL || sim_group_living() >= sim_group_majority()) {
        return false;
    }
    sim_arena_stats.stuck++;
    sim_trace("stuck: the view has lost its majority");
    for (int i = 0; i < sim_group.count; i++) {
        if (!oracle_views_names(i)) {
            sim_trace("the process of node %d that the view names is dead", i);
        }
    }
    return true;
}

void group_judge_liveness(void)
{
    bool was_founded = oracle_views_current() != NULL;

    sim_clients.is_calm = true;
    memset(j.probe, 0xff, sizeof j.probe);
    if (was_founded && choose() != 0 && group_judge_is_founded()) {
        j.chosen = choose();
        sim_faults_heal();
        keep_broken(NULL, base_rng_next(&sim.rng));
        sim_trace("members %x are healed, the rest stays broken", j.chosen);
        if (!group_judge_wait(is_chosen_done, PEACE) && !sim.is_failed) {
            group_judge_tell("L1 L2 a healed majority works");
            return;
        }
    }
    j.chosen = 0;
    sim_faults_heal();
    memset(j.probe, 0xff, sizeof j.probe);
    if (!group_judge_wait(is_all_done, PEACE) && !sim.is_failed && !is_lost()) {
        group_judge_tell("L3 everybody catches up");
    }
}
