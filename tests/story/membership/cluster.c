/* A group of order cores in one process: see cluster.h. */
#include "tests/story/membership/cluster.h"

#include "membership/entry.h"
#include "rtcp/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INCARNATION(id) (1000u + (id))

/* ------------------------------------------------------------------------------------------------ channels */

static void lane_push(struct cluster_lane *lane, struct cluster_packet *p)
{
    if (lane->last == NULL) {
        lane->first = p;
    } else {
        lane->last->next = p;
    }
    lane->last = p;
    lane->bytes += CLUSTER_HEAD + p->message.body.size;
    lane->count++;
}

static struct cluster_packet *lane_pop(struct cluster_lane *lane)
{
    struct cluster_packet *p = lane->first;

    lane->first = p->next;
    if (lane->first == NULL) {
        lane->last = NULL;
    }
    lane->bytes -= CLUSTER_HEAD + p->message.body.size;
    lane->count--;
    return p;
}

static void lane_clear(struct cluster_lane *lane)
{
    while (lane->first != NULL) {
        free(lane_pop(lane));
    }
}

static void path_clear(struct cluster_path *path)
{
    lane_clear(&path->lane[LANE_VOTES]);
    lane_clear(&path->lane[LANE_BULK]);
    lane_clear(&path->probes);
}

/* Lanes are FIFO each, but not with each other: a packet is due after the delay, never before an earlier one. */
static base_time arrival(const struct cluster *c, const struct cluster_path *path, const struct cluster_lane *lane)
{
    base_time due = c->now + path->delay;

    return lane->last != NULL && lane->last->due > due ? lane->last->due : due;
}

static void send_message(struct cluster *c, uint32_t from, uint32_t to, enum message_lane lane, const struct message *m)
{
    struct cluster_path *path = &c->path[from][to];
    struct cluster_packet *p = calloc(1, sizeof *p + m->body.size);

    CHECK(p != NULL);
    p->message = *m;
    p->message.body.data = (uint8_t *)(p + 1);
    base_copy(p + 1, m->body.data, m->body.size);
    p->due = arrival(c, path, &path->lane[lane]);
    lane_push(&path->lane[lane], p);
    c->sent[m->kind]++;
    if (c->on_packet != NULL) {
        c->on_packet(c, from, to, m);
    }
}

static void send_probe(struct cluster *c, uint32_t from, uint32_t to, const uint8_t beat[MESSAGE_BEAT_SIZE])
{
    struct cluster_path *path = &c->path[from][to];
    struct cluster_packet *p;

    if (path->is_cut || !c->is_linked[from][to]) {
        return; /* a datagram that is lost */
    }
    p = calloc(1, sizeof *p);
    CHECK(p != NULL);
    p->is_beat = true;
    base_copy(p->beat, beat, MESSAGE_BEAT_SIZE);
    p->due = arrival(c, path, &path->probes);
    lane_push(&path->probes, p);
}

/* ------------------------------------------------------------------------------------------------ oracles */

static void note_delivery(struct cluster_node *n, const struct group_delivery *d)
{
    struct cluster_delivery *to;
    size_t size = d->data.size < sizeof to->text - 1 ? d->data.size : sizeof to->text - 1;

    if (n->delivery_count == n->delivery_room) {
        n->delivery_room = n->delivery_room == 0 ? 256 : n->delivery_room * 2;
        n->delivery = realloc(n->delivery, n->delivery_room * sizeof *n->delivery);
        CHECK(n->delivery != NULL);
    }
    to = &n->delivery[n->delivery_count];
    *to = (struct cluster_delivery){d->index, d->term, d->origin, d->number, entry_hash(0, d->data), ""};
    base_copy(to->text, d->data.data, size);
    CHECK(n->delivery_count == 0 || to[-1].index < to->index); /* R7, T75 */
    n->delivery_count++;
}

/* Keeps or compares what stands at an index that a node holds to be settled. */
static void note_settled(struct cluster *c, const struct cluster_node *n, uint64_t index)
{
    uint32_t count;
    struct base_bytes raw = order_entries(n->order, index, index, &count);
    struct cluster_settled here;

    if (count == 0) {
        return; /* dropped already: it was compared before */
    }
    here = (struct cluster_settled){base_get64(raw.data + 16), entry_hash(0, raw)};
    if (index >= c->settled_room) {
        c->settled_room = index * 2 + 1024;
        c->settled = realloc(c->settled, c->settled_room * sizeof *c->settled);
        CHECK(c->settled != NULL);
    }
    if (index > c->settled_upto) {
        CHECK(index == c->settled_upto + 1); /* gap-free */
        c->settled[index] = here;
        c->settled_upto = index;
    }
    CHECK(c->settled[index].term == here.term);
    CHECK(c->settled[index].hash == here.hash);
}

static void check_node(struct cluster *c, struct cluster_node *n)
{
    struct group_stats s;

    order_stats(n->order, &s);
    CHECK(s.commit >= n->seen_commit); /* R10 */
    for (; n->seen_commit < s.commit; n->seen_commit++) {
        note_settled(c, n, n->seen_commit + 1);
    }
    if (strcmp(order_role(n->order), "leader") == 0) {
        CHECK(s.term < sizeof c->leader_of / sizeof c->leader_of[0]);
        CHECK(c->leader_of[s.term] == 0 || c->leader_of[s.term] == n->id); /* R1 */
        c->leader_of[s.term] = n->id;
    }
}

void cluster_check(struct cluster *c)
{
    for (uint32_t id = 1; id <= c->count; id++) {
        if (!c->node[id].is_dead) {
            check_node(c, &c->node[id]);
        }
    }
}

/* ------------------------------------------------------------------------------------------------ one node */

static void persist(struct cluster *c, struct cluster_node *n, const struct order_effect *e)
{
    n->persisted = e->persist.upto;
    if (n->disk_delay == 0 && n->write_count == 0) {
        order_durable(n->order, e->persist.number, c->now);
        return;
    }
    CHECK(n->write_count < 32);
    n->write[n->write_count] = (struct cluster_write){e->persist.number, base_time_add(c->now, n->disk_delay)};
    n->write_count++;
}

static void take_effect(struct cluster *c, struct cluster_node *n, const struct order_effect *e)
{
    switch (e->kind) {
    case ORDER_PERSIST:
        persist(c, n, e);
        break;
    case ORDER_BEAT:
        n->beats++;
        for (uint32_t to = 1; to <= c->count; to++) {
            send_probe(c, n->id, to, e->beat);
        }
        break;
    case ORDER_LEADER:
        n->leader = e->leader.member;
        break;
    case ORDER_QUORUM:
        n->has_quorum = e->quorum.has_quorum;
        break;
    case ORDER_WRITABLE:
        n->writable++;
        break;
    case ORDER_STOP:
        n->is_stopped = true;
        n->stop_reason = e->stop.reason;
        if (!c->may_stop) {
            (void)fprintf(stderr, "node %u stopped: %s\n", n->id, e->stop.reason);
        }
        CHECK(c->may_stop);
        break;
    }
}

static void pull_lane(struct cluster *c, struct cluster_node *n, uint32_t to, enum message_lane lane)
{
    struct cluster_lane *l = &c->path[n->id][to].lane[lane];
    size_t ring = lane == LANE_VOTES ? CLUSTER_VOTES_RING : c->ring;
    struct message m;

    while (l->bytes + CLUSTER_HEAD <= ring && order_pull(n->order, to, lane, ring - l->bytes - CLUSTER_HEAD, &m)) {
        send_message(c, n->id, to, lane, &m);
    }
}

void cluster_turn(struct cluster *c, uint32_t id)
{
    struct cluster_node *n = &c->node[id];
    struct order_effect e;
    struct group_delivery d;

    while (order_poll(n->order, &e)) {
        take_effect(c, n, &e);
    }
    check_node(c, n);
    while (order_deliver(n->order, &d)) {
        note_delivery(n, &d);
    }
    for (uint32_t to = 1; to <= c->count; to++) {
        if (to != id && c->is_linked[id][to]) {
            pull_lane(c, n, to, LANE_VOTES);
            pull_lane(c, n, to, LANE_BULK);
        }
    }
}

static bool is_running(const struct cluster_node *n)
{
    return !n->is_dead && !n->is_paused;
}

static void give(struct cluster *c, uint32_t from, struct cluster_node *n, struct cluster_packet *p)
{
    int status = 0;

    if (p->is_beat) {
        order_beat(n->order, from, p->beat, c->now);
    } else {
        status = order_receive(n->order, from, message_lane(p->message.kind), &p->message, c->now);
    }
    if (status < 0 && !c->may_stop) {
        (void)fprintf(stderr, "%s from %u to %u: %s\n", message_kind_name(p->message.kind), from, n->id,
                      base_status_name(status));
    }
    free(p);
    CHECK(status == 0 || (status == BASE_E_CLOSED && c->may_stop));
}

/* Gives what is due on one path. True when something was. */
static bool flow(struct cluster *c, uint32_t from, uint32_t to)
{
    struct cluster_path *path = &c->path[from][to];
    struct cluster_lane *lanes[3] = {&path->probes, &path->lane[LANE_VOTES], &path->lane[LANE_BULK]};
    bool is_given = false;

    if (path->is_cut || !is_running(&c->node[to])) {
        return false;
    }
    for (int i = 0; i < 3; i++) {
        while (!lanes[i]->is_held && lanes[i]->first != NULL && lanes[i]->first->due <= c->now) {
            give(c, from, &c->node[to], lane_pop(lanes[i]));
            is_given = true;
        }
    }
    return is_given;
}

static bool finish_writes(struct cluster *c, struct cluster_node *n)
{
    uint32_t done = 0;

    while (done < n->write_count && n->write[done].due <= c->now) {
        order_durable(n->order, n->write[done].number, c->now);
        done++;
    }
    n->write_count -= done;
    memmove(n->write, n->write + done, n->write_count * sizeof n->write[0]);
    return done > 0;
}

/* Everything that is due at this moment, until nothing is. */
static void step(struct cluster *c)
{
    bool is_busy = true;

    while (is_busy) {
        is_busy = false;
        for (uint32_t to = 1; to <= c->count; to++) {
            struct cluster_node *n = &c->node[to];
            bool is_given = false;

            if (!is_running(n)) {
                continue;
            }
            for (uint32_t from = 1; from <= c->count; from++) {
                if (flow(c, from, to)) {
                    is_given = true;
                    if (is_running(&c->node[from])) {
                        cluster_turn(c, from); /* there is room again */
                    }
                }
            }
            is_given = finish_writes(c, n) || is_given;
            if (order_deadline(n->order) <= c->now) {
                order_expire(n->order, c->now);
                is_given = true;
            }
            if (is_given) {
                cluster_turn(c, to);
                is_busy = true;
            }
        }
    }
}

static base_time next_on(const struct cluster_path *path)
{
    base_time next = BASE_NEVER;

    if (path->is_cut) {
        return next;
    }
    for (int i = 0; i < LANE_COUNT; i++) {
        if (path->lane[i].first != NULL && !path->lane[i].is_held) {
            next = base_time_min(next, path->lane[i].first->due);
        }
    }
    return path->probes.first == NULL ? next : base_time_min(next, path->probes.first->due);
}

static base_time next_event(const struct cluster *c)
{
    base_time next = BASE_NEVER;

    for (uint32_t to = 1; to <= c->count; to++) {
        const struct cluster_node *n = &c->node[to];

        if (!is_running(n)) {
            continue;
        }
        next = base_time_min(next, order_deadline(n->order));
        next = n->write_count == 0 ? next : base_time_min(next, n->write[0].due);
        for (uint32_t from = 1; from <= c->count; from++) {
            next = base_time_min(next, next_on(&c->path[from][to]));
        }
    }
    return base_time_max(next, c->now);
}

/* ------------------------------------------------------------------------------------------------ the group */

static void on_event(void *user, const struct base_event *event)
{
    struct cluster *c = user;
    int size;

    if (event->field[BASE_TRACE_FIELDS - 1].key == NULL || strcmp(event->field[BASE_TRACE_FIELDS - 1].key, "to") != 0) {
        return;
    }
    size = snprintf(c->trace + c->trace_size, CLUSTER_TRACE_MAX - c->trace_size, "%u: %s (%s)\n", (unsigned)event->id,
                    event->name, event->text);
    if (size > 0 && c->trace_size + (size_t)size < CLUSTER_TRACE_MAX) {
        c->trace_size += (size_t)size;
    }
}

static void make_view(struct cluster *c)
{
    c->view = (struct group_view){.id = 1, .instance = 77, .count = c->count};
    for (uint32_t id = 1; id <= c->count; id++) {
        c->view.member[id - 1] = (struct group_member){.id = id, .role = GROUP_VOTER, .incarnation = INCARNATION(id)};
    }
}

static void open_node(struct cluster *c, uint32_t id, uint64_t seed,
                      void (*adjust)(struct order_options *options, uint32_t id))
{
    struct cluster_node *n = &c->node[id];
    struct order_image image = order_image_fresh();
    struct order_options options;
    int status;

    order_options_default(&options);
    options.self = id;
    options.incarnation = INCARNATION(id);
    options.group = c->group;
    options.seed = seed * 31 + id;
    options.trace = (struct base_trace){c, on_event};
    if (adjust != NULL) {
        adjust(&options, id);
    }
    n->id = id;
    status = order_open(&options, &image, c->now, &n->order);
    CHECK(status == 0);
    status = order_install(n->order, &c->view, c->now);
    CHECK(status == 0);
}

void cluster_open(struct cluster *c, uint32_t count, uint64_t seed,
                  void (*adjust)(struct order_options *options, uint32_t id))
{
    CHECK(count <= CLUSTER_NODES_MAX);
    *c = (struct cluster){.count = count, .group = 7, .now = BASE_S(100), .ring = 256u << 10};
    c->trace = calloc(1, CLUSTER_TRACE_MAX);
    CHECK(c->trace != NULL);
    make_view(c);
    for (uint32_t id = 1; id <= count; id++) {
        open_node(c, id, seed, adjust);
    }
    for (uint32_t a = 1; a <= count; a++) {
        for (uint32_t b = 1; b <= count; b++) {
            c->path[a][b].delay = BASE_MS(1);
        }
        for (uint32_t b = 1; b < a; b++) {
            cluster_link_up(c, a, b);
        }
    }
}

void cluster_close(struct cluster *c)
{
    for (uint32_t a = 1; a <= c->count; a++) {
        for (uint32_t b = 1; b <= c->count; b++) {
            path_clear(&c->path[a][b]);
        }
        order_close(c->node[a].order);
        free(c->node[a].delivery);
    }
    free(c->settled);
    free(c->trace);
    *c = (struct cluster){0};
}

void cluster_run(struct cluster *c, base_time duration)
{
    base_time end = c->now + duration;

    step(c);
    while (next_event(c) <= end) {
        c->now = next_event(c);
        step(c);
    }
    c->now = end;
}

bool cluster_until(struct cluster *c, bool (*question)(const struct cluster *c), base_time limit)
{
    base_time end = c->now + limit;

    step(c);
    while (!question(c)) {
        base_time next = next_event(c);

        if (next > end) {
            return false;
        }
        c->now = next;
        step(c);
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------ faults */

void cluster_cut_one(struct cluster *c, uint32_t from, uint32_t to)
{
    c->path[from][to].is_cut = true;
    lane_clear(&c->path[from][to].probes);
}

void cluster_cut(struct cluster *c, uint32_t a, uint32_t b)
{
    cluster_cut_one(c, a, b);
    cluster_cut_one(c, b, a);
}

void cluster_hold_lane(struct cluster *c, uint32_t from, uint32_t to, enum message_lane lane, bool is_held)
{
    c->path[from][to].lane[lane].is_held = is_held;
}

void cluster_isolate(struct cluster *c, uint32_t id)
{
    for (uint32_t other = 1; other <= c->count; other++) {
        if (other != id) {
            cluster_cut(c, id, other);
        }
    }
}

void cluster_heal(struct cluster *c, uint32_t a, uint32_t b)
{
    c->path[a][b].is_cut = false;
    c->path[b][a].is_cut = false;
}

void cluster_heal_all(struct cluster *c)
{
    for (uint32_t a = 1; a <= c->count; a++) {
        for (uint32_t b = 1; b <= c->count; b++) {
            c->path[a][b].is_cut = false;
        }
    }
}

void cluster_delay(struct cluster *c, uint32_t from, uint32_t to, base_time delay)
{
    c->path[from][to].delay = delay;
}

void cluster_link_down(struct cluster *c, uint32_t a, uint32_t b)
{
    if (!c->is_linked[a][b]) {
        return;
    }
    c->is_linked[a][b] = false;
    c->is_linked[b][a] = false;
    path_clear(&c->path[a][b]);
    path_clear(&c->path[b][a]);
    order_link_down(c->node[a].order, b, c->now);
    order_link_down(c->node[b].order, a, c->now);
}

void cluster_link_up(struct cluster *c, uint32_t a, uint32_t b)
{
    if (c->is_linked[a][b] || c->node[a].is_dead || c->node[b].is_dead) {
        return;
    }
    c->is_linked[a][b] = true;
    c->is_linked[b][a] = true;
    order_link_up(c->node[a].order, b, c->now);
    order_link_up(c->node[b].order, a, c->now);
    if (is_running(&c->node[a])) {
        cluster_turn(c, a);
    }
    if (is_running(&c->node[b])) {
        cluster_turn(c, b);
    }
}

void cluster_pause(struct cluster *c, uint32_t id)
{
    c->node[id].is_paused = true;
}

void cluster_resume(struct cluster *c, uint32_t id)
{
    c->node[id].is_paused = false;
}

void cluster_crash(struct cluster *c, uint32_t id)
{
    for (uint32_t other = 1; other <= c->count; other++) {
        if (other != id) {
            cluster_link_down(c, id, other);
        }
    }
    c->node[id].is_dead = true;
}

/* ------------------------------------------------------------------------------------------------ use */

int cluster_submit(struct cluster *c, uint32_t id, const char *text)
{
    struct base_bytes data = {(const uint8_t *)text, strlen(text)};
    uint64_t number;
    int status = order_submit(c->node[id].order, data, c->now, &number);

    if (status == 0) {
        CHECK(number == c->node[id].submitted + 1);
        c->node[id].submitted = number;
    }
    cluster_turn(c, id);
    return status;
}

void cluster_stats(const struct cluster *c, uint32_t id, struct group_stats *ret_stats)
{
    order_stats(c->node[id].order, ret_stats);
}

uint32_t cluster_leader(const struct cluster *c)
{
    uint32_t leader = 0;
    uint64_t term = 0;

    for (uint32_t id = 1; id <= c->count; id++) {
        struct group_stats s;

        if (!is_running(&c->node[id]) || strcmp(order_role(c->node[id].order), "leader") != 0) {
            continue;
        }
        order_stats(c->node[id].order, &s);
        if (s.term > term) {
            term = s.term;
            leader = id;
        }
    }
    return leader;
}

static bool is_led(const struct cluster *c)
{
    uint32_t leader = cluster_leader(c);
    uint32_t followers = 0;

    for (uint32_t id = 1; id <= c->count; id++) {
        followers += !c->node[id].is_dead && c->node[id].leader == leader && c->node[id].has_quorum;
    }
    return leader != 0 && followers > c->count / 2;
}

uint32_t cluster_elect(struct cluster *c)
{
    bool is_found = cluster_until(c, is_led, BASE_S(10));

    CHECK(is_found);
    return cluster_leader(c);
}

static bool are_same(const struct cluster_node *a, const struct cluster_node *b)
{
    if (a->delivery_count != b->delivery_count) {
        return false;
    }
    for (size_t i = 0; i < a->delivery_count; i++) {
        const struct cluster_delivery *x = &a->delivery[i];
        const struct cluster_delivery *y = &b->delivery[i];

        if (x->index != y->index || x->term != y->term || x->origin != y->origin || x->number != y->number ||
            x->hash != y->hash) {
            return false;
        }
    }
    return true;
}

bool cluster_is_even(const struct cluster *c)
{
    const struct cluster_node *first = NULL;
    uint64_t taken = 0;

    for (uint32_t id = 1; id <= c->count; id++) {
        const struct cluster_node *n = &c->node[id];

        taken += n->is_dead ? 0 : n->submitted;
        if (n->is_dead) {
            continue;
        }
        first = first == NULL ? n : first;
        if (!are_same(first, n)) {
            return false;
        }
    }
    return first != NULL && first->delivery_count >= taken;
}

const char *cluster_roles(const struct cluster *c)
{
    return c->trace;
}

void cluster_forget(struct cluster *c)
{
    c->trace_size = 0;
    c->trace[0] = 0;
}

uint32_t cluster_count(const struct cluster *c, uint32_t id, const char *text)
{
    const struct cluster_node *n = &c->node[id];
    uint32_t count = 0;

    for (size_t i = 0; i < n->delivery_count; i++) {
        count += strncmp(n->delivery[i].text, text, sizeof n->delivery[i].text - 1) == 0;
    }
    return count;
}
