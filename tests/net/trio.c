/* See trio.h. Ports are those that the system gave a moment ago. */
#include "tests/net/trio.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct trio trio; /* large */

/* ---------------------------------------------------------------------------------------------------- callbacks */

uint64_t hash_of(struct base_bytes data)
{
    uint64_t h = 0xcbf29ce484222325u;

    for (size_t i = 0; i < data.size; i++) {
        h = (h ^ data.data[i]) * 0x100000001b3u;
    }
    return h;
}

int broadcast(struct node *n, const void *data, size_t size, uint64_t *ret_number)
{
    struct base_bytes bytes = {data, size};
    int status;

    assert_false(n->trio->is_calling);
    n->trio->is_calling = true;
    status = group_broadcast(n->group, bytes, ret_number);
    n->trio->is_calling = false;
    return status;
}

static void on_view(void *user, const struct group_view *view, const struct group_difference *difference,
                    const char *reason)
{
    struct node *n = user;

    assert_false(n->trio->is_calling);
    assert_int_equal(n->count, 0); /* M8: the view comes before its first message */
    assert_int_equal(difference->joined_count, view->count);
    assert_ptr_equal(group_view(n->group), view);
    assert_string_equal(reason, "founded");
    n->views++;
}

void trio_on_deliver(void *user, const struct group_delivery *d)
{
    struct node *n = user;
    uint64_t number;

    assert_false(n->trio->is_calling);
    assert_int_equal(n->views, 1);
    assert_true(n->count < DELIVERY_MAX);
    assert_true(n->count == 0 || d->index > n->seen[n->count - 1].index);
    assert_true(d->is_own == (d->origin == n->id));
    n->seen[n->count++] = (struct seen){d->index, d->origin, d->number, hash_of(d->data), d->data.size};
    if (n->echo > 0) { /* any function may be called from any callback */
        n->echo--;
        assert_int_equal(broadcast(n, "echo", 4, &number), 0);
    }
}

static void on_quorum(void *user, bool has_quorum, base_time since)
{
    struct node *n = user;

    assert_false(n->trio->is_calling);
    assert_true(since > 0);
    n->has_quorum = has_quorum;
}

static void on_leader(void *user, uint32_t member_id, uint64_t term)
{
    struct node *n = user;

    (void)term;
    assert_false(n->trio->is_calling);
    n->leader = member_id;
}

static void on_writable(void *user)
{
    struct node *n = user;

    assert_false(n->trio->is_calling);
    n->writable++;
}

static void on_excluded(void *user, int status, const char *why)
{
    struct node *n = user;

    assert_false(n->trio->is_calling);
    assert_true(strlen(why) > 20);
    n->excluded++;
    n->excluded_status = status;
}

const struct group_callbacks trio_callbacks = {
    .on_view = on_view,
    .on_deliver = trio_on_deliver,
    .on_quorum = on_quorum,
    .on_leader = on_leader,
    .on_writable = on_writable,
    .on_excluded = on_excluded,
};

/* ---------------------------------------------------------------------------------------------------- the trio */

/* Takes a port that is free for TCP and UDP; false: the one the system gave for UDP is taken for TCP. */
static bool hold_port(int held[2], struct sockaddr_in *ret_address)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof a;
    int one = 1;

    held[0] = socket(AF_INET, SOCK_DGRAM, 0);
    held[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(held[0], (struct sockaddr *)&a, size), 0);
    assert_int_equal(getsockname(held[0], (struct sockaddr *)&a, &size), 0);
    assert_int_equal(setsockopt(held[1], SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), 0);
    if (bind(held[1], (struct sockaddr *)&a, size) != 0 || listen(held[1], 1) != 0) {
        close(held[0]);
        close(held[1]);
        return false;
    }
    *ret_address = a;
    return true;
}

/* Ports that are free now, for TCP and UDP: all sockets are held until all ports are known. */
static void find_ports(struct trio *t)
{
    int held[MEMBERS][2];

    for (unsigned i = 0; i < MEMBERS; i++) {
        struct sockaddr_in a;
        unsigned tries = 0;

        while (!hold_port(held[i], &a)) {
            assert_true(++tries < 100);
        }
        snprintf(t->address[i], sizeof t->address[i], "127.0.0.1:%u", (unsigned)ntohs(a.sin_port));
        t->member[i] = (struct group_address){i + 1, t->address[i]};
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        close(held[i][0]);
        close(held[i][1]);
    }
}

struct group_options options_of(const struct trio *t, uint32_t id)
{
    struct group_options o;

    group_options_default(&o);
    o.name = "inside";
    o.token = 5;
    o.self = id;
    o.member = t->member;
    o.member_count = MEMBERS;
    return o;
}

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
    struct trio *t = w->data;

    (void)loop;
    (void)events;
    t->is_late = true;
}

struct trio *trio_new(void)
{
    base_zero(&trio, sizeof trio);
    trio.loop = ev_loop_new(0);
    assert_non_null(trio.loop);
    find_ports(&trio);
    ev_timer_init(&trio.deadline, on_deadline, DEADLINE, 0.);
    trio.deadline.data = &trio;
    ev_timer_start(trio.loop, &trio.deadline);
    for (uint32_t i = 0; i < MEMBERS; i++) {
        trio.node[i].trio = &trio;
        trio.node[i].id = i + 1;
    }
    return &trio;
}

void found(struct trio *t, uint32_t id, const struct group_options *o)
{
    struct node *n = &t->node[id - 1];

    assert_int_equal(group_found(t->loop, o, &trio_callbacks, n, &n->group), 0);
}

struct trio *trio_founding(void)
{
    struct trio *t = trio_new();

    for (uint32_t id = 1; id <= MEMBERS; id++) {
        struct group_options o = options_of(t, id);

        found(t, id, &o);
    }
    return t;
}

void trio_close(struct trio *t)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        group_close(t->node[i].group);
    }
    ev_timer_stop(t->loop, &t->deadline);
    ev_loop_destroy(t->loop);
}

void run_until(struct trio *t, condition *is_met)
{
    while (!is_met(t)) {
        ev_run(t->loop, EVRUN_ONCE);
        assert_false(t->is_late);
    }
}

bool are_led(const struct trio *t)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (t->node[i].leader == 0 || t->node[i].leader != t->node[0].leader || !t->node[i].has_quorum) {
            return false;
        }
    }
    return true;
}

static unsigned wanted; /* deliveries, for has_wanted */

static bool has_wanted(const struct trio *t)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (t->node[i].group != NULL && t->node[i].count < wanted) {
            return false;
        }
    }
    return true;
}

void run_to_count(struct trio *t, unsigned count)
{
    wanted = count;
    run_until(t, has_wanted);
}

void expect_same_order(const struct trio *t)
{
    for (unsigned i = 1; i < MEMBERS; i++) {
        assert_int_equal(t->node[i].count, t->node[0].count);
        for (unsigned k = 0; k < t->node[0].count; k++) {
            assert_memory_equal(&t->node[i].seen[k], &t->node[0].seen[k], sizeof(struct seen));
        }
    }
}

uint8_t *big_message(uint8_t seed)
{
    uint8_t *data = malloc(GROUP_MESSAGE_MAX + 1);

    assert_non_null(data);
    for (size_t i = 0; i <= GROUP_MESSAGE_MAX; i++) {
        data[i] = (uint8_t)(i * 31 + seed + (i >> 12));
    }
    return data;
}
