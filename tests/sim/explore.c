/* See explore.h. */
#include "tests/sim/explore.h"

#include "membership/order_state.h"
#include "membership/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_MAX 5
#define ENTRIES_MAX 96
#define ENTRY_BYTES 64
#define INDEXES_MAX 128
#define SMALL_SIZE  ((size_t)24 << 20)
#define LARGE_SIZE  LOG_CHUNK_SIZE /* pieces of a log */
#define LARGE_MAX   64
#define LARGE_HEAD                                                                                                     \
    6144u /* of a piece of a log only both ends are used: entries from the front, marks from the back                  \
           */
#define LARGE_TAIL 4096u
#define WRITES_MAX 4
#define T          BASE_MS(600)
#define CLIENT     0 /* submits all commands, and never crashes: numbers of commands do not outlive a process yet */

struct kept_entry {
    uint32_t size;
    uint64_t term, chain;
    uint8_t bytes[ENTRY_BYTES];
};

struct disk {
    uint64_t term;
    uint32_t vote;
    uint32_t count;
    struct kept_entry entry[ENTRIES_MAX]; /* of index 1, 2, ... */
};

struct write {
    uint64_t number, term, first, upto;
    uint32_t vote;
    struct kept_entry *entry; /* of first .. upto */
    struct write *next;
};

struct packet {
    struct message message;
    struct packet *next;
};

struct node {
    struct order *order;
    base_time now;
    uint64_t commit; /* as seen last in this life */
    struct write *writes;
    int write_count;
    struct disk disk;
};

struct settled {
    uint64_t term, chain;
};

struct world {
    struct explore_limits left;
    int members;
    uint64_t seed;
    struct group_view view;
    struct node node[MEMBERS_MAX];
    struct packet *lane[MEMBERS_MAX][MEMBERS_MAX][LANE_COUNT];
    struct settled settled[INDEXES_MAX];
    uint64_t settled_upto;
    uint32_t leader[INDEXES_MAX]; /* of a term: 1 + node */
    const char *broken;
    size_t small_used, large_used;
};

static struct {
    uint8_t *small, *large; /* the world stands at the beginning of small */
    struct {
        uint8_t *at;
        size_t room;
    } saved[EXPLORE_SAVED_MAX];
} memory;

static struct world *world(void)
{
    return (struct world *)(void *)memory.small;
}

/* ------------------------------------------------------------------------------------------------ memory */

static void *take(void *user, size_t size)
{
    struct world *w = world();
    void *at;

    (void)user;
    if (size > LARGE_HEAD + LARGE_TAIL) {
        CHECK(size <= LARGE_SIZE && w->large_used < LARGE_MAX);
        return memory.large + LARGE_SIZE * w->large_used++;
    }
    size = (size + 15) / 16 * 16;
    CHECK(w->small_used + size <= SMALL_SIZE);
    at = memory.small + w->small_used;
    w->small_used += size;
    return at;
}

/* Nothing is used again: runs are short. */
static void give(void *user, void *at)
{
    (void)user;
    (void)at;
}

static const struct base_memory allocator = {NULL, take, give};

static size_t saved_size(const struct world *w)
{
    return w->small_used + w->large_used * (LARGE_HEAD + LARGE_TAIL);
}

void explore_save(size_t place)
{
    const struct world *w = world();
    uint8_t *to;

    CHECK(place < EXPLORE_SAVED_MAX);
    if (saved_size(w) > memory.saved[place].room) {
        memory.saved[place].room = saved_size(w) * 2;
        memory.saved[place].at = realloc(memory.saved[place].at, memory.saved[place].room);
        CHECK(memory.saved[place].at != NULL);
    }
    memcpy(memory.saved[place].at, memory.small, w->small_used);
    to = memory.saved[place].at + w->small_used;
    for (size_t i = 0; i < w->large_used; i++) {
        const uint8_t *from = memory.large + i * LARGE_SIZE;

        memcpy(to, from, LARGE_HEAD);
        memcpy(to + LARGE_HEAD, from + LARGE_SIZE - LARGE_TAIL, LARGE_TAIL);
        to += LARGE_HEAD + LARGE_TAIL;
    }
}

void explore_restore(size_t place)
{
    const struct world *w = (const struct world *)(const void *)memory.saved[place].at;
    const uint8_t *from = memory.saved[place].at + w->small_used;

    memcpy(memory.small, memory.saved[place].at, w->small_used);
    for (size_t i = 0; i < w->large_used; i++) {
        uint8_t *to = memory.large + i * LARGE_SIZE;

        memcpy(to, from, LARGE_HEAD);
        memcpy(to + LARGE_SIZE - LARGE_TAIL, from + LARGE_HEAD, LARGE_TAIL);
        from += LARGE_HEAD + LARGE_TAIL;
    }
}

void explore_end(void)
{
    free(memory.small);
    free(memory.large);
    for (size_t i = 0; i < EXPLORE_SAVED_MAX; i++) {
        free(memory.saved[i].at);
    }
    memset(&memory, 0, sizeof memory);
}

/* ------------------------------------------------------------------------------------------------ disks */

static void begin_write(struct node *n, const struct order_effect *e)
{
    struct write *write = take(NULL, sizeof *write);
    struct write **at = &n->writes;
    uint64_t count = e->persist.upto < e->persist.first ? 0 : e->persist.upto - e->persist.first + 1;

    *write = (struct write){.number = e->persist.number,
                            .term = e->persist.term,
                            .first = e->persist.first,
                            .upto = e->persist.upto,
                            .vote = e->persist.vote};
    write->entry = take(NULL, (size_t)(count + 1) * sizeof *write->entry);
    for (uint64_t i = 0; i < count; i++) {
        struct base_bytes raw = log_raw(&n->order->log, e->persist.first + i);
        struct log_place place;
        struct kept_entry *kept = &write->entry[i];
        bool is_known = log_at(&n->order->log, e->persist.first + i, &place);

        CHECK(is_known && raw.size <= ENTRY_BYTES);
        *kept = (struct kept_entry){.size = (uint32_t)raw.size, .term = place.term, .chain = place.hash};
        memcpy(kept->bytes, raw.data, raw.size);
    }
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = write;
    n->write_count++;
}

static void end_write(struct node *n)
{
    struct write *write = n->writes;
    uint64_t kept = write->first <= write->upto ? write->first - 1 : write->upto;

    n->writes = write->next;
    n->write_count--;
    n->disk.term = write->term;
    n->disk.vote = write->vote;
    if (kept < n->disk.count) {
        n->disk.count = (uint32_t)kept; /* what stood beyond is void */
    }
    for (uint64_t i = write->first; i <= write->upto; i++) {
        CHECK(n->disk.count == i - 1 && i <= ENTRIES_MAX);
        n->disk.entry[n->disk.count++] = write->entry[i - write->first];
    }
    order_durable(n->order, write->number, n->now);
}

/* ------------------------------------------------------------------------------------------------ checks */

static void break_property(const char *what)
{
    if (world()->broken == NULL) {
        world()->broken = what;
    }
}

static void look_at_commit(int node)
{
    struct world *w = world();
    const struct order *o = w->node[node].order;
    int holders = 0;

    for (uint64_t i = w->node[node].commit + 1; i <= o->commit && i < INDEXES_MAX; i++) {
        struct log_place here;

        if (!log_at(&o->log, i, &here)) {
            continue;
        }
        if (w->settled[i].chain == 0) {
            w->settled[i] = (struct settled){here.term, here.hash};
            w->settled_upto = i > w->settled_upto ? i : w->settled_upto;
        } else if (w->settled[i].chain != here.hash) {
            break_property("R5 one entry at an index");
        }
    }
    if (o->role == ROLE_LEADER && o->commit > w->node[node].commit && o->commit < INDEXES_MAX) {
        for (int i = 0; i < w->members; i++) {
            const struct disk *d = &w->node[i].disk;

            holders += d->count >= o->commit && d->entry[o->commit - 1].chain == w->settled[o->commit].chain ? 1 : 0;
        }
        if (2 * holders <= w->members) {
            break_property("R8 what is settled is on the disks of a majority");
        }
    }
    w->node[node].commit = o->commit;
}

static void look(int node)
{
    struct world *w = world();
    const struct order *o = w->node[node].order;

    if (o->role == ROLE_STOPPED) {
        break_property(o->stop_reason);
    }
    if (o->role == ROLE_LEADER && o->term < INDEXES_MAX) {
        uint32_t *leader = &w->leader[o->term];

        if (*leader != 0 && *leader != (uint32_t)node + 1) {
            break_property("R1 one leader a term");
        }
        *leader = (uint32_t)node + 1;
    }
    look_at_commit(node);
}

/* ------------------------------------------------------------------------------------------------ a turn */

/* R8: nothing is promised that is not on the disk at the moment of sending. */
static void look_at_promise(int from, int to, const struct message *m)
{
    const struct disk *d = &world()->node[from].disk;

    if (m->kind == MESSAGE_VOTE && m->vote.granted && (d->term != m->term || d->vote != (uint32_t)to + 1)) {
        break_property("R8 a vote is said that is not on the disk");
    }
    if (m->kind == MESSAGE_VOTE_ASK && (d->term != m->term || d->vote != (uint32_t)from + 1)) {
        break_property("R8 a candidate asks before its own vote is on the disk");
    }
    if (m->kind == MESSAGE_ACK && m->ack.index > d->count) {
        break_property("R8 entries are acknowledged that are not on the disk");
    }
}

static void send(int from, int to, const struct message *m)
{
    struct packet *p;
    struct packet **at = &world()->lane[from][to][message_lane(m->kind)];
    uint8_t *body;

    if (m->kind == MESSAGE_BEAT || m->kind == MESSAGE_BEAT_ANSWER) {
        return; /* beats that come late or never change nothing but who suspects whom, and that is chosen freely */
    }
    look_at_promise(from, to, m);
    p = take(NULL, sizeof *p);
    *p = (struct packet){.message = *m};
    if (m->body.size > 0) {
        body = take(NULL, m->body.size);
        memcpy(body, m->body.data, m->body.size);
        p->message.body.data = body;
    }
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = p;
}

static void turn(int node)
{
    struct world *w = world();
    struct node *n = &w->node[node];
    struct order_effect e;
    struct group_delivery d;
    struct message m;

    while (order_poll(n->order, &e)) {
        if (e.kind == ORDER_PERSIST) {
            begin_write(n, &e);
        }
        if (n->write_count > WRITES_MAX) {
            end_write(n);
        }
    }
    while (order_deliver(n->order, &d)) {
    }
    for (int to = 0; to < w->members; to++) {
        for (int lane = 0; lane < LANE_COUNT && to != node; lane++) {
            while (order_pull(n->order, (uint32_t)to + 1, (enum message_lane)lane,
                              lane == LANE_BULK ? MESSAGE_BODY_MAX : 0, &m)) {
                send(node, to, &m);
            }
        }
    }
    look(node);
}

/* ------------------------------------------------------------------------------------------------ actions */

static void open_node(int node)
{
    struct world *w = world();
    struct node *n = &w->node[node];
    struct order_options options;
    struct order_image image = order_image_fresh();
    uint8_t *raw = take(NULL, (size_t)n->disk.count * ENTRY_BYTES + 1);
    size_t size = 0;
    int status;

    for (uint32_t i = 0; i < n->disk.count; i++) {
        memcpy(raw + size, n->disk.entry[i].bytes, n->disk.entry[i].size);
        size += n->disk.entry[i].size;
    }
    image.term = n->disk.term;
    image.vote = n->disk.vote;
    image.entries = (struct base_bytes){raw, size};
    order_options_default(&options);
    options.memory = &allocator;
    options.self = (uint32_t)node + 1;
    options.incarnation = w->view.member[node].incarnation;
    options.group = 1;
    options.election_timeout = T;
    options.seed = w->seed + (uint64_t)node;
    n->writes = NULL;
    n->write_count = 0;
    n->commit = 0;
    status = order_open(&options, &image, n->now, &n->order);
    CHECK(status == 0);
    status = order_install(n->order, &w->view, n->now);
    CHECK(status == 0);
}

static void link_nodes(int a, int b, bool was_linked)
{
    struct world *w = world();

    for (int lane = 0; lane < LANE_COUNT; lane++) {
        w->lane[a][b][lane] = w->lane[b][a][lane] = NULL;
    }
    if (was_linked) {
        order_link_down(w->node[a].order, (uint32_t)b + 1, w->node[a].now);
        order_link_down(w->node[b].order, (uint32_t)a + 1, w->node[b].now);
    }
    order_link_up(w->node[a].order, (uint32_t)b + 1, w->node[a].now);
    order_link_up(w->node[b].order, (uint32_t)a + 1, w->node[b].now);
    turn(a);
    turn(b);
}

void explore_begin(const struct explore_limits *limits, uint64_t seed)
{
    struct world *w;

    if (memory.small == NULL) {
        memory.small = malloc(SMALL_SIZE);
        memory.large = malloc(LARGE_SIZE * LARGE_MAX);
        CHECK(memory.small != NULL && memory.large != NULL);
    }
    w = world();
    memset(w, 0, sizeof *w);
    w->small_used = (sizeof *w + 15) / 16 * 16;
    w->left = *limits;
    w->members = limits->members;
    w->seed = seed;
    w->view = (struct group_view){.id = 1, .instance = 7, .count = (uint32_t)limits->members};
    for (int i = 0; i < w->members; i++) {
        w->view.member[i] = (struct group_member){.id = (uint32_t)i + 1, .incarnation = 100 + (uint64_t)i};
        snprintf(w->view.member[i].address, sizeof w->view.member[i].address, "10.0.0.%d:7000", i + 1);
    }
    for (int i = 0; i < w->members; i++) {
        w->node[i].now = BASE_S(1000);
        open_node(i);
    }
    for (int a = 0; a < w->members; a++) {
        for (int b = a + 1; b < w->members; b++) {
            link_nodes(a, b, false);
        }
    }
}

static void deliver(int from, int to, int lane)
{
    struct world *w = world();
    struct packet *p = w->lane[from][to][lane];
    struct node *n = &w->node[to];

    w->lane[from][to][lane] = p->next;
    if (order_receive(n->order, (uint32_t)from + 1, (enum message_lane)lane, &p->message, n->now) < 0) {
        look(to);
        break_property("a member calls another's message a breach of the protocol");
    }
    turn(to);
}

static void crash(int node)
{
    struct world *w = world();

    open_node(node);
    for (int other = 0; other < w->members; other++) {
        if (other != node) {
            order_link_down(w->node[other].order, (uint32_t)node + 1, w->node[other].now);
            link_nodes(node < other ? node : other, node < other ? other : node, false);
        }
    }
}

static void submit(int node)
{
    struct node *n = &world()->node[node];
    uint64_t number;

    if (order_submit(n->order, (struct base_bytes){(const uint8_t *)"x", 1}, n->now, &number) == 0) {
        turn(node);
    }
}

const char *explore_apply(struct explore_action action)
{
    struct world *w = world();
    struct node *n = &w->node[action.a];

    switch ((enum explore_kind)action.kind) {
    case EXPLORE_EXPIRE:
        w->left.expires--;
        n->now = base_time_max(n->now, order_deadline(n->order));
        order_expire(n->order, n->now);
        turn(action.a);
        break;
    case EXPLORE_DELIVER:
        deliver(action.a, action.b, action.lane);
        break;
    case EXPLORE_DURABLE:
        end_write(n);
        turn(action.a);
        break;
    case EXPLORE_CRASH:
        w->left.crashes--;
        crash(action.a);
        break;
    case EXPLORE_SUBMIT:
        w->left.submits--;
        submit(action.a);
        break;
    case EXPLORE_BREAK:
        w->left.breaks--;
        link_nodes(action.a, action.b, true);
        break;
    }
    return w->broken;
}

static void add(struct explore_action *list, size_t *count, enum explore_kind kind, int a, int b, int lane)
{
    CHECK(*count < EXPLORE_ACTIONS_MAX);
    list[(*count)++] = (struct explore_action){(uint8_t)kind, (uint8_t)a, (uint8_t)b, (uint8_t)lane};
}

static void add_of_pair(struct explore_action *list, size_t *count, int a, int b)
{
    const struct world *w = world();

    for (int lane = 0; lane < LANE_COUNT; lane++) {
        if (w->lane[a][b][lane] != NULL) {
            add(list, count, EXPLORE_DELIVER, a, b, lane);
        }
    }
    if (a < b && w->left.breaks > 0) {
        add(list, count, EXPLORE_BREAK, a, b, 0);
    }
}

static int longest_lane(void)
{
    const struct world *w = world();
    int longest = 0;

    for (int i = 0; i < MEMBERS_MAX * MEMBERS_MAX * LANE_COUNT; i++) {
        const struct packet *p = w->lane[i / LANE_COUNT / MEMBERS_MAX][i / LANE_COUNT % MEMBERS_MAX][i % LANE_COUNT];
        int length = 0;

        for (; p != NULL; p = p->next) {
            length++;
        }
        longest = length > longest ? length : longest;
    }
    return longest;
}

size_t explore_actions(struct explore_action *ret_actions)
{
    const struct world *w = world();
    size_t count = 0;

    if (w->left.queued > 0 && longest_lane() > w->left.queued) {
        return 0; /* beyond the limits */
    }

    for (int a = 0; a < w->members; a++) {
        const struct order *o = w->node[a].order;

        if (o->term > w->left.terms || o->log.last.index + 8 >= ENTRIES_MAX) {
            return 0; /* beyond the limits */
        }
        if (w->left.expires > 0) {
            add(ret_actions, &count, EXPLORE_EXPIRE, a, 0, 0);
        }
        if (w->node[a].writes != NULL) {
            add(ret_actions, &count, EXPLORE_DURABLE, a, 0, 0);
        }
        if (w->left.crashes > 0 && a != CLIENT) {
            add(ret_actions, &count, EXPLORE_CRASH, a, 0, 0);
        }
        if (w->left.submits > 0 && a == CLIENT && o->leader != 0) {
            add(ret_actions, &count, EXPLORE_SUBMIT, a, 0, 0);
        }
        for (int b = 0; b < w->members; b++) {
            if (a != b) {
                add_of_pair(ret_actions, &count, a, b);
            }
        }
    }
    return count;
}

uint64_t explore_settled(void)
{
    return world()->settled_upto;
}

void explore_print(void *file, struct explore_action action)
{
    static const char *const names[] = {"time passes at",      "a message goes from", "a write is done at",
                                        "crash and return of", "a command at",        "the link breaks between"};

    fprintf(file, "    %s %u", names[action.kind], action.a + 1u);
    if (action.kind == EXPLORE_DELIVER) {
        fprintf(file, " to %u on %s", action.b + 1u, action.lane == LANE_VOTES ? "votes" : "bulk");
    } else if (action.kind == EXPLORE_BREAK) {
        fprintf(file, " and %u", action.b + 1u);
    }
    fputc('\n', file);
}

/* ------------------------------------------------------------------------------------------------ numbers of states */

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9fb21c651e98df25u;
    return h ^ h >> 29;
}

static uint64_t mix_bytes(uint64_t h, const void *data, size_t size)
{
    const uint8_t *at = data;

    for (size_t i = 0; i < size; i++) {
        h = mix(h, at[i]);
    }
    return h;
}

static uint64_t number_of_seat(uint64_t h, const struct order_seat *s)
{
    const uint64_t words[] = {s->is_linked,       s->slots,          s->vote_term,   s->prevote_term, s->vote_granted,
                              s->prevote_granted, s->is_asked,       s->is_synced,   s->next,         s->part,
                              s->acked,           s->told,           s->told_low,    s->has_news,     s->sent_upto,
                              s->taken,           s->expected,       s->is_followed, s->ack_sent,     s->delivered,
                              s->vote_attempt,    s->prevote_attempt};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        h = mix(h, words[i]);
    }
    return h;
}

static uint64_t number_of_core(uint64_t h, const struct order *o, base_time now)
{
    const uint64_t words[] = {(uint64_t)o->role,
                              o->term,
                              o->vote,
                              o->term_leader,
                              o->leader,
                              o->is_abdicated,
                              o->log.last.index,
                              o->log.last.hash,
                              o->disk.term,
                              o->disk.vote,
                              o->disk.upto,
                              o->disk.asked_upto,
                              o->disk.asked_term,
                              o->disk.asked_vote,
                              o->commit,
                              o->heard,
                              o->verified,
                              o->low,
                              o->delivered,
                              o->expecting,
                              o->yes,
                              o->no,
                              o->attempt,
                              o->has_quorum,
                              o->pending.last.index,
                              o->pending_done,
                              o->forward_next,
                              detector_hears(&o->detector, now)};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        h = mix(h, words[i]);
    }
    for (uint32_t i = 0; i < o->seat_count; i++) {
        h = number_of_seat(h, &o->seat[i]);
    }
    return h;
}

static uint64_t number_of_node(uint64_t h, const struct node *n)
{
    h = number_of_core(h, n->order, n->now);
    h = mix(mix(mix(h, n->disk.term), n->disk.vote), n->disk.count);
    if (n->disk.count > 0) {
        h = mix(h, n->disk.entry[n->disk.count - 1].chain);
    }
    for (const struct write *write = n->writes; write != NULL; write = write->next) {
        h = mix(mix(mix(mix(h, write->term), write->vote), write->first), write->upto);
    }
    return h;
}

static uint64_t number_of_message(uint64_t h, const struct message *m)
{
    h = mix(mix(h, (uint64_t)m->kind), m->term);
    h = mix_bytes(h, &m->sync, sizeof m->sync); /* the largest of all kinds; the rest is zero */
    return mix_bytes(h, m->body.data, m->body.size);
}

uint64_t explore_number(void)
{
    const struct world *w = world();
    uint64_t h = 1;

    for (int a = 0; a < w->members; a++) {
        h = number_of_node(h, &w->node[a]);
        for (int b = 0; b < w->members; b++) {
            for (int lane = 0; lane < LANE_COUNT; lane++) {
                h = mix(h, (uint64_t)(a * 64 + b * 8 + lane));
                for (const struct packet *p = w->lane[a][b][lane]; p != NULL; p = p->next) {
                    h = number_of_message(h, &p->message);
                }
            }
        }
    }
    h = mix(mix(h, (uint64_t)w->left.expires), (uint64_t)w->left.crashes);
    h = mix(mix(h, (uint64_t)w->left.submits), (uint64_t)w->left.breaks);
    return mix(h, w->settled_upto == 0 ? 0 : w->settled[w->settled_upto].chain);
}
