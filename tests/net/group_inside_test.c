/* Three groups in one process, on one loop, over real streams: what processes cannot show from outside.
 *
 * Order of callbacks and calls (G21), the largest messages (in parts, over rings that are smaller), back-pressure,
 * being out, opening with options that make no sense. Ports are those the system gave a moment ago.
 */
#include "tests/net/trio.h"
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---------------------------------------------------------------------------------------------------- tests */

static void all_members_deliver_the_same(void **state)
{
    struct trio *t = trio_founding();
    uint64_t number;

    (void)state;
    run_until(t, are_led);
    for (unsigned k = 0; k < 100; k++) {
        for (unsigned i = 0; i < MEMBERS; i++) {
            uint8_t text[2] = {(uint8_t)k, (uint8_t)i};

            assert_int_equal(broadcast(&t->node[i], text, k % 3, &number), 0); /* empty ones, too */
            assert_true(number == k + 1);
        }
    }
    run_to_count(t, 300);
    expect_same_order(t);
    trio_close(t);
}

/* 16 MiB go in parts of 64 KiB over a ring of 1 MiB, from the leader and by way of it, while small ones pass. */
static void the_largest_messages_are_delivered_whole(void **state)
{
    struct trio *t = trio_founding();
    uint8_t *data[MEMBERS];
    uint64_t number;

    (void)state;
    run_until(t, are_led);
    for (unsigned i = 0; i < MEMBERS; i++) {
        data[i] = big_message((uint8_t)i);
        assert_int_equal(broadcast(&t->node[i], data[i], GROUP_MESSAGE_MAX + 1, &number), BASE_E_RANGE);
        assert_int_equal(broadcast(&t->node[i], data[i], GROUP_MESSAGE_MAX, &number), 0);
        assert_int_equal(broadcast(&t->node[i], "small", 5, &number), 0);
    }
    run_to_count(t, 2 * MEMBERS);
    expect_same_order(t);
    for (unsigned k = 0; k < 2 * MEMBERS; k++) {
        const struct seen *s = &t->node[0].seen[k];

        if (s->number == 1) {
            assert_int_equal(s->size, GROUP_MESSAGE_MAX);
            assert_true(s->hash == hash_of((struct base_bytes){data[s->origin - 1], GROUP_MESSAGE_MAX}));
        }
    }
    for (unsigned i = 0; i < MEMBERS; i++) {
        free(data[i]);
    }
    trio_close(t);
}

static bool are_all_writable(const struct trio *t)
{
    return t->node[0].writable > 0 && t->node[1].writable > 0 && t->node[2].writable > 0;
}

/* L6: too much pending says AGAIN, takes nothing, and tells when there is room. */
static void back_pressure_is_told_and_ends(void **state)
{
    struct trio *t = trio_new();
    unsigned taken = 0;
    uint64_t number;

    (void)state;
    for (uint32_t id = 1; id <= MEMBERS; id++) {
        struct group_options o = options_of(t, id);

        o.pending_max = 10;
        found(t, id, &o);
    }
    run_until(t, are_led);
    for (unsigned i = 0; i < MEMBERS; i++) {
        while (broadcast(&t->node[i], "x", 1, &number) == 0) {
            taken++;
            assert_true(taken <= 10 * MEMBERS);
        }
        assert_int_equal(broadcast(&t->node[i], "x", 1, &number), BASE_E_AGAIN);
    }
    run_until(t, are_all_writable);
    run_to_count(t, taken);
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_int_equal(broadcast(&t->node[i], "y", 1, &number), 0);
    }
    run_to_count(t, taken + MEMBERS);
    expect_same_order(t);
    trio_close(t);
}

/* G21: a broadcast from within a delivery is taken, and delivered later. */
static void callbacks_may_broadcast(void **state)
{
    struct trio *t = trio_founding();
    uint64_t number;

    (void)state;
    run_until(t, are_led);
    for (unsigned i = 0; i < MEMBERS; i++) {
        t->node[i].echo = 20;
    }
    assert_int_equal(broadcast(&t->node[0], "start", 5, &number), 0);
    run_to_count(t, 1 + 20 * MEMBERS);
    expect_same_order(t);
    trio_close(t);
}

static void what_is_taken_before_the_founding_is_delivered_after_it(void **state)
{
    struct trio *t = trio_new();
    uint64_t number;

    (void)state;
    for (uint32_t id = 1; id <= MEMBERS; id++) {
        struct group_options o = options_of(t, id);

        found(t, id, &o);
        if (id == 1) {
            assert_int_equal(broadcast(&t->node[0], "early", 5, &number), 0);
            assert_null(group_view(t->node[0].group));
        }
    }
    run_to_count(t, 1);
    expect_same_order(t);
    trio_close(t);
}

/* A program that works at the end of a turn of the loop, after the deliveries that it answers. */
struct late {
    struct trio *trio;
    ev_io end; /* never started: its event is fed, with the lowest priority */
    unsigned left;
};

static struct late late;

static void at_end_of_turn(struct ev_loop *loop, ev_io *w, int events)
{
    uint64_t number;

    (void)loop;
    (void)w;
    (void)events;
    late.left--;
    assert_int_equal(broadcast(&late.trio->node[0], "again", 5, &number), 0);
}

static void on_deliver_late(void *user, const struct group_delivery *d)
{
    trio_on_deliver(user, d);
    if (late.left > 0) {
        ev_feed_event(late.trio->loop, &late.end, EV_CUSTOM);
    }
}

/* Whatever was taken after the group's turn does not wait until something else wakes the loop. */
static void a_broadcast_at_the_end_of_a_turn_does_not_sleep(void **state)
{
    struct trio *t = trio_new();
    struct group_options o = options_of(t, 1);
    struct group_callbacks c = trio_callbacks;
    base_time began;
    uint64_t number;

    (void)state;
    o.member_count = 1;
    o.election_timeout = BASE_S(6); /* an idle leader sleeps for a quarter of it */
    c.on_deliver = on_deliver_late;
    late = (struct late){.trio = t, .left = 20};
    ev_init(&late.end, at_end_of_turn);
    ev_set_priority(&late.end, EV_MINPRI);
    assert_int_equal(group_found(t->loop, &o, &c, &t->node[0], &t->node[0].group), 0);
    while (t->node[0].leader != 1) {
        ev_run(t->loop, EVRUN_ONCE);
    }
    began = base_clock_now();
    assert_int_equal(broadcast(&t->node[0], "first", 5, &number), 0);
    run_to_count(t, 21);
    assert_true(base_clock_now() - began < BASE_S(5)); /* 20 sleeps would be 30 s */
    trio_close(t);
}

#define SLOW_COUNT 3000
#define SLOW_SIZE  4096

static struct node *slow;
static size_t slow_log_max;

static void on_deliver_slowly(void *user, const struct group_delivery *d)
{
    base_time began = base_clock_now();
    struct group_stats stats;

    trio_on_deliver(user, d);
    if (user != slow) {
        return;
    }
    group_stats(slow->group, &stats);
    slow_log_max = stats.log_bytes > slow_log_max ? stats.log_bytes : slow_log_max;
    while (base_clock_now() - began < BASE_US(300)) { /* a state machine that takes its time */
    }
}

/* B1, L6: who cannot follow in delivering reads more slowly; its log does not grow beyond its limit. */
static void a_member_that_delivers_slowly_is_not_flooded(void **state)
{
    static const uint8_t text[SLOW_SIZE];
    struct trio *t = trio_new();
    struct group_callbacks c = trio_callbacks;
    struct node *leader;
    uint64_t number;
    unsigned sent = 0;

    (void)state;
    c.on_deliver = on_deliver_slowly;
    for (uint32_t id = 1; id <= MEMBERS; id++) {
        struct group_options o = options_of(t, id);

        o.log_bytes_max = (size_t)2 << 20;
        o.election_timeout = BASE_S(5);
        assert_int_equal(group_found(t->loop, &o, &c, &t->node[id - 1], &t->node[id - 1].group), 0);
    }
    run_until(t, are_led);
    leader = &t->node[t->node[0].leader - 1];
    slow = &t->node[t->node[0].leader % MEMBERS];
    slow_log_max = 0;
    while (sent < SLOW_COUNT) {
        while (sent < SLOW_COUNT && broadcast(leader, text, sizeof text, &number) == 0) {
            sent++;
        }
        ev_run(t->loop, EVRUN_ONCE);
        assert_false(t->is_late);
    }
    run_to_count(t, SLOW_COUNT);
    expect_same_order(t);
    assert_true(slow_log_max < (size_t)4 << 20); /* the limit, a read, and pieces of memory */
    trio_close(t);
}

static bool is_led_again(const struct trio *t)
{
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (t->node[i].group != NULL && (t->node[i].leader == 0 || t->node[t->node[i].leader - 1].group == NULL)) {
            return false;
        }
    }
    return true;
}

/* What the order of each member says once its leader has closed. */
struct parting {
    bool has_heard; /* the word of the leader that it leads no more */
    bool has_doubt; /* it suspected the leader without that word: after T of silence */
};

static void on_parting(void *user, const struct base_event *e)
{
    struct parting *p = user;

    if (strcmp(e->object, "order") == 0) {
        p->has_heard = p->has_heard || strcmp(e->name, "abdication") == 0;
        p->has_doubt = p->has_doubt || (strcmp(e->name, "pre-candidate") == 0 && !p->has_heard);
    }
}

/* R25: a leader that closes tells the others, who need not wait until they miss its beats. How soon they elect then
 * (T/8) is a matter of the order core, and of its tests: two that stand at once have to try again after T/2 to T, and
 * a busy machine, which wakes both at once, makes them. */
static void a_leader_that_closes_tells_the_others(void **state)
{
    struct trio *t = trio_new();
    struct parting parting[MEMBERS] = {0};
    uint32_t leader;

    (void)state;
    for (uint32_t id = 1; id <= MEMBERS; id++) {
        struct group_options o = options_of(t, id);

        o.election_timeout = BASE_S(6); /* their own suspicion is seconds away */
        o.trace = (struct base_trace){.user = &parting[id - 1], .emit = on_parting};
        found(t, id, &o);
    }
    run_until(t, are_led);
    leader = t->node[0].leader;
    base_zero(parting, sizeof parting);
    group_close(t->node[leader - 1].group);
    t->node[leader - 1].group = NULL;
    run_until(t, is_led_again);
    for (uint32_t id = 1; id <= MEMBERS; id++) {
        assert_true(parting[id - 1].has_heard == (id != leader));
        assert_false(parting[id - 1].has_doubt);
    }
    trio_close(t);
}

/* K5: nobody has led for a second: not taken, and it never will be. */
static void nothing_is_taken_when_nobody_leads_for_a_second(void **state)
{
    struct trio *t = trio_new();
    struct group_options o = options_of(t, 1);
    struct group_stats stats;
    ev_tstamp start = ev_now(t->loop);
    uint64_t number = 77;

    (void)state;
    found(t, 1, &o);
    while (ev_now(t->loop) < start + 1.2) {
        ev_run(t->loop, EVRUN_ONCE);
    }
    assert_int_equal(broadcast(&t->node[0], "x", 1, &number), BASE_E_NOLEADER);
    assert_true(number == 77);
    group_stats(t->node[0].group, &stats);
    assert_int_equal(stats.count, MEMBERS);
    assert_int_equal(stats.views, 0);
    assert_int_equal(stats.pending, 0);
    trio_close(t);
}

static bool is_excluded(const struct trio *t)
{
    return t->node[2].excluded > 0;
}

static bool are_two_led(const struct trio *t)
{
    return t->node[0].leader != 0 && t->node[0].leader != 3 && t->node[0].leader == t->node[1].leader &&
           t->node[0].has_quorum;
}

/* T51, G22: a member that restarts is told so once, takes no more broadcasts, and harms nobody. */
static void a_member_that_comes_back_is_refused(void **state)
{
    struct trio *t = trio_founding();
    struct group_options o = options_of(t, 3);
    uint64_t number;

    (void)state;
    run_until(t, are_led);
    group_close(t->node[2].group);
    t->node[2] = (struct node){.trio = t, .id = 3};
    found(t, 3, &o);
    run_until(t, is_excluded);
    assert_int_equal(t->node[2].excluded, 1);
    assert_int_equal(t->node[2].excluded_status, BASE_E_EXISTS);
    assert_int_equal(broadcast(&t->node[2], "x", 1, &number), BASE_E_EXCLUDED);
    group_close(t->node[2].group);
    t->node[2].group = NULL;
    run_until(t, are_two_led);
    assert_int_equal(broadcast(&t->node[0], "x", 1, &number), 0);
    run_to_count(t, 1);
    assert_int_equal(t->node[0].views, 1);
    trio_close(t);
}

/* The start after the founding: a volatile member that looks for its group learns that it lives on without it. */
static void a_member_that_opens_instead_of_founding_is_refused_by_the_live_group(void **state)
{
    struct trio *t = trio_founding();
    struct group_options o = options_of(t, 3);

    (void)state;
    run_until(t, are_led);
    group_close(t->node[2].group);
    t->node[2] = (struct node){.trio = t, .id = 3};
    assert_int_equal(group_open(t->loop, &o, &trio_callbacks, &t->node[2], &t->node[2].group), 0);
    run_until(t, is_excluded);
    assert_int_equal(t->node[2].excluded_status, BASE_E_EXISTS);
    assert_null(group_view(t->node[2].group));
    trio_close(t);
}

static void a_held_view_outlives_its_group(void **state)
{
    struct trio *t = trio_founding();
    const struct group_view *view;

    (void)state;
    run_until(t, are_led);
    view = group_view_hold(group_view(t->node[0].group));
    trio_close(t);

    assert_int_equal(view->count, MEMBERS);
    assert_int_equal(view->id, 1);
    assert_int_equal(view->member[2].id, 3);
    assert_true(view->instance != 0);
    group_view_release(view);
}

/* The members' views are the same view (M1), and the counters are those of this run. */
static void views_and_counters_agree(void **state)
{
    struct trio *t = trio_founding();
    struct group_stats s[MEMBERS];
    uint64_t number;

    (void)state;
    run_until(t, are_led);
    assert_int_equal(broadcast(&t->node[1], "x", 1, &number), 0);
    run_to_count(t, 1);
    for (unsigned i = 0; i < MEMBERS; i++) {
        assert_memory_equal(group_view(t->node[i].group), group_view(t->node[0].group), sizeof(struct group_view));
        group_stats(t->node[i].group, &s[i]);
        assert_int_equal(s[i].self, i + 1);
        assert_int_equal(s[i].views, 1);
        assert_true(s[i].delivered == t->node[i].seen[0].index);
        assert_true(s[i].has_quorum);
        assert_int_equal(s[i].leader, t->node[0].leader);
        for (unsigned k = 0; k < MEMBERS; k++) {
            assert_int_equal(s[i].member[k].id, k + 1);
            assert_true(s[i].member[k].link_up);
            assert_true(k == i || s[i].member[k].links == 1);
        }
    }
    trio_close(t);
}

static int try_options(struct trio *t, const struct group_options *o)
{
    struct group *group = NULL;
    int status = group_found(t->loop, o, &trio_callbacks, &t->node[0], &group);

    assert_null(group);
    return status;
}

static void options_that_make_no_sense_are_refused(void **state)
{
    struct trio *t = trio_new();
    struct group_options good = options_of(t, 1);
    struct group_options o = good;
    const struct group_address twice[2] = {{1, "127.0.0.1:1"}, {1, "127.0.0.1:2"}};

    (void)state;
    o.name = "";
    assert_int_equal(try_options(t, &o), BASE_E_INVALID);
    o = good;
    o.self = 9;
    assert_int_equal(try_options(t, &o), BASE_E_INVALID);
    o = good;
    o.member = twice;
    o.member_count = 2;
    assert_int_equal(try_options(t, &o), BASE_E_INVALID);
    o = good;
    o.member_count = GROUP_MEMBERS_MAX + 1;
    assert_int_equal(try_options(t, &o), BASE_E_RANGE);
    o = good;
    o.election_timeout = BASE_MS(1);
    assert_int_equal(try_options(t, &o), BASE_E_RANGE);
    o = good;
    o.key = (const uint8_t *)"short";
    o.key_size = 5;
    assert_int_equal(try_options(t, &o), BASE_E_RANGE);
    o = good;
    o.listen = "not an address";
    assert_int_equal(try_options(t, &o), BASE_E_INVALID);
    trio_close(t);
}

static void a_port_that_is_taken_is_told(void **state)
{
    struct trio *t = trio_new();
    struct group_options o = options_of(t, 1);

    (void)state;
    found(t, 1, &o);
    assert_int_equal(try_options(t, &o), BASE_E_SYSTEM);
    trio_close(t);
}

static void members_with_one_key_meet(void **state)
{
    static const uint8_t key[32] = {1, 2, 3};
    struct trio *t = trio_new();
    uint64_t number;

    (void)state;
    for (uint32_t id = 1; id <= MEMBERS; id++) {
        struct group_options o = options_of(t, id);

        o.key = key;
        o.key_size = sizeof key;
        found(t, id, &o);
    }
    run_until(t, are_led);
    assert_int_equal(broadcast(&t->node[0], "x", 1, &number), 0);
    run_to_count(t, 1);
    trio_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_members_deliver_the_same),
        cmocka_unit_test(the_largest_messages_are_delivered_whole),
        cmocka_unit_test(back_pressure_is_told_and_ends),
        cmocka_unit_test(callbacks_may_broadcast),
        cmocka_unit_test(what_is_taken_before_the_founding_is_delivered_after_it),
        cmocka_unit_test(a_broadcast_at_the_end_of_a_turn_does_not_sleep),
        cmocka_unit_test(a_member_that_delivers_slowly_is_not_flooded),
        cmocka_unit_test(a_leader_that_closes_tells_the_others),
        cmocka_unit_test(nothing_is_taken_when_nobody_leads_for_a_second),
        cmocka_unit_test(a_member_that_comes_back_is_refused),
        cmocka_unit_test(a_member_that_opens_instead_of_founding_is_refused_by_the_live_group),
        cmocka_unit_test(a_held_view_outlives_its_group),
        cmocka_unit_test(views_and_counters_agree),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(a_port_that_is_taken_is_told),
        cmocka_unit_test(members_with_one_key_meet),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
