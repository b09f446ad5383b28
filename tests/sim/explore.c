/* The members of explore.h: their birth, a turn of one, what can happen next, and that it happens. */
#include "rtcp/base/check.h"
#include "tests/sim/explore_inside.h"

#include <stdio.h>
#include <string.h>

#define WRITES_MAX 4
#define T          BASE_MS(600)
#define CLIENT     0 /* submits all commands, and never crashes: numbers of commands do not outlive a process yet */

/* ------------------------------------------------------------------------------------------------ a turn */

static void send(int from, int to, const struct message *m)
{
    struct explore_packet *p;
    struct explore_packet **at = &explore_world()->lane[from][to][message_lane(m->kind)];
    uint8_t *body;

    if (m->kind == MESSAGE_BEAT || m->kind == MESSAGE_BEAT_ANSWER) {
        return; /* beats that come late or never change nothing but who suspects whom, and that is chosen freely */
    }
    explore_look_at_promise(from, to, m);
    p = explore_take(sizeof *p);
    *p = (struct explore_packet){.message = *m};
    if (m->body.size > 0) {
        body = explore_take(m->body.size);
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
    struct explore_world *w = explore_world();
    struct explore_node *n = &w->node[node];
    struct order_effect e;
    struct group_delivery d;
    struct message m;

    while (order_poll(n->order, &e)) {
        if (e.kind == ORDER_PERSIST) {
            explore_begin_write(n, &e);
        }
        if (n->write_count > WRITES_MAX) {
            explore_end_write(n);
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
    explore_look(node);
}

/* ------------------------------------------------------------------------------------------------ actions */

static void open_node(int node)
{
    struct explore_world *w = explore_world();
    struct explore_node *n = &w->node[node];
    struct order_options options;
    struct order_image image = order_image_fresh();
    uint8_t *raw = explore_take((size_t)n->disk.count * EXPLORE_ENTRY_BYTES + 1);
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
    options.memory = &explore_allocator;
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
    struct explore_world *w = explore_world();

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
    struct explore_world *w;

    explore_prepare();
    w = explore_world();
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
    struct explore_world *w = explore_world();
    struct explore_packet *p = w->lane[from][to][lane];
    struct explore_node *n = &w->node[to];

    w->lane[from][to][lane] = p->next;
    if (order_receive(n->order, (uint32_t)from + 1, (enum message_lane)lane, &p->message, n->now) < 0) {
        explore_look(to);
        explore_break_property("a member calls another's message a breach of the protocol");
    }
    turn(to);
}

static void crash(int node)
{
    struct explore_world *w = explore_world();

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
    struct explore_node *n = &explore_world()->node[node];
    uint64_t number;

    if (order_submit(n->order, (struct base_bytes){(const uint8_t *)"x", 1}, n->now, &number) == 0) {
        turn(node);
    }
}

const char *explore_apply(struct explore_action action)
{
    struct explore_world *w = explore_world();
    struct explore_node *n = &w->node[action.a];

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
        explore_end_write(n);
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
    const struct explore_world *w = explore_world();

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
    const struct explore_world *w = explore_world();
    int longest = 0;

    for (int i = 0; i < EXPLORE_MEMBERS_MAX * EXPLORE_MEMBERS_MAX * LANE_COUNT; i++) {
        const struct explore_packet *p =
            w->lane[i / LANE_COUNT / EXPLORE_MEMBERS_MAX][i / LANE_COUNT % EXPLORE_MEMBERS_MAX][i % LANE_COUNT];
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
    const struct explore_world *w = explore_world();
    size_t count = 0;

    if (w->left.queued > 0 && longest_lane() > w->left.queued) {
        return 0; /* beyond the limits */
    }

    for (int a = 0; a < w->members; a++) {
        const struct order *o = w->node[a].order;

        if (o->term > w->left.terms || o->log.last.index + 8 >= EXPLORE_ENTRIES_MAX) {
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
    return explore_world()->settled_upto;
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
