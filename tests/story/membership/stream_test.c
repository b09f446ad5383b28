/* Partitions and what follows them: everything once, in order, from the log (design 3; C1, M6, L3, K2, B1; G14, G17,
 * T06). */
#include "tests/story/membership/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T BASE_MS(600)

static struct group_stats stats(const struct cluster *c, uint32_t id)
{
    struct group_stats s;

    cluster_stats(c, id, &s);
    return s;
}

static uint32_t other(uint32_t than, uint32_t also)
{
    for (uint32_t id = 1;; id++) {
        if (id != than && id != also) {
            return id;
        }
    }
}

static void expect_even(struct cluster *c)
{
    assert_true(cluster_until(c, cluster_is_even, BASE_S(10)));
    cluster_check(c);
}

static void expect_order(const struct cluster *c)
{
    for (uint32_t id = 1; id <= c->count; id++) {
        uint64_t last[CLUSTER_NODES_MAX + 1] = {0};

        for (size_t i = 0; i < c->node[id].delivery_count; i++) {
            const struct cluster_delivery *d = &c->node[id].delivery[i];

            assert_int_equal(d->number, last[d->origin] + 1);
            last[d->origin]++;
        }
    }
}

static void a_cut_off_member_gets_what_it_missed_once_and_nothing_twice(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint32_t away;
    struct group_stats before;
    struct group_stats after;

    (void)state;
    cluster_open(&c, 3, 1, NULL);
    leader = cluster_elect(&c);
    away = other(leader, 0);
    for (int i = 0; i < 500; i++) {
        assert_int_equal(cluster_submit(&c, leader, "first half"), 0);
    }
    expect_even(&c);
    before = stats(&c, away);
    cluster_isolate(&c, away);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(cluster_submit(&c, leader, "second half"), 0);
        cluster_run(&c, BASE_MS(6));
    }
    assert_int_equal(stats(&c, leader).member[away - 1].behind, 5000);
    cluster_heal_all(&c);
    expect_even(&c); /* L3 */
    after = stats(&c, away);
    assert_int_equal(after.member[leader - 1].entries_pulled - before.member[leader - 1].entries_pulled, 5000);
    assert_int_equal(after.member[leader - 1].entries_received_again, 0);
    assert_int_equal(stats(&c, leader).member[away - 1].entries_repeated, 0);
    assert_int_equal(after.term, before.term); /* and no election, no view: M6 */
    assert_int_equal(after.views, 1);
    assert_int_equal(cluster_count(&c, away, "second half"), 5000);
    cluster_close(&c);
}

static void a_member_that_is_away_costs_a_cursor_and_its_ring(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint32_t away;

    (void)state;
    cluster_open(&c, 3, 2, NULL);
    c.ring = 65536;
    leader = cluster_elect(&c);
    away = other(leader, 0);
    cluster_run(&c, T);
    cluster_isolate(&c, away);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(cluster_submit(&c, leader, "0123456789abcdef"), 0);
        cluster_run(&c, BASE_US(100));
    }
    assert_true(c.path[leader][away].lane[LANE_BULK].bytes <= 65536);
    assert_int_equal(order_slowest(c.node[leader].order), away);
    assert_true(stats(&c, leader).log_bytes > 20000 * 64);
    cluster_heal_all(&c);
    expect_even(&c);
    cluster_run(&c, T);
    assert_true(stats(&c, leader).log_bytes <= 256u << 10); /* B1: freed when everybody has it, */
    assert_true(stats(&c, away).log_bytes <= 256u << 10);   /* everywhere */
    cluster_close(&c);
}

static void memory_stays_flat_under_load(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint64_t most = 0;

    (void)state;
    cluster_open(&c, 3, 3, NULL);
    leader = cluster_elect(&c);
    for (int i = 0; i < 30000; i++) {
        for (uint32_t id = 1; id <= 3; id++) {
            most = stats(&c, id).log_bytes > most ? stats(&c, id).log_bytes : most;
        }
        assert_int_equal(cluster_submit(&c, i % 2 == 0 ? leader : other(leader, 0), "0123456789abcdef"), 0);
        cluster_run(&c, BASE_US(100));
    }
    expect_even(&c);
    assert_true(most <= 4u * (256u << 10)); /* 30000 entries of 64 bytes went through: G14 */
    cluster_close(&c);
}

static void a_broken_link_synchronises_and_loses_and_repeats_nothing(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint32_t follower;

    (void)state;
    cluster_open(&c, 3, 4, NULL);
    leader = cluster_elect(&c);
    follower = other(leader, 0);
    for (int i = 0; i < 2000; i++) {
        assert_int_equal(cluster_submit(&c, i % 2 == 0 ? leader : follower, "x"), 0);
        if (i % 50 == 0) {
            cluster_link_down(&c, leader, follower); /* in the middle of everything */
            cluster_link_up(&c, leader, follower);
        }
        cluster_run(&c, BASE_US(300));
    }
    expect_even(&c);
    expect_order(&c);
    assert_int_equal(cluster_count(&c, follower, "x"), 2000); /* K2: forwarded again, applied once */
    assert_true(stats(&c, leader).member[follower - 1].entries_repeated > 0);
    assert_int_equal(stats(&c, follower).member[leader - 1].links, 41);
    cluster_close(&c);
}

static void large_messages_pass_small_rings_in_parts(void **state)
{
    static char text[300001];
    struct cluster c;
    uint32_t leader;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    cluster_open(&c, 3, 5, NULL);
    c.ring = 16384;
    leader = cluster_elect(&c);
    assert_int_equal(cluster_submit(&c, leader, text), 0);
    assert_int_equal(cluster_submit(&c, other(leader, 0), text), 0);
    assert_int_equal(cluster_submit(&c, other(leader, 0), "after"), 0);
    expect_even(&c);
    expect_order(&c);
    assert_int_equal(c.node[1].delivery_count, 3);
    cluster_close(&c);
}

static void a_large_message_survives_a_change_of_leader_in_its_middle(void **state)
{
    static char text[300001];

    (void)state;
    memset(text, 'x', sizeof text - 1);
    for (int after = 0; after < 30; after++) {
        struct cluster c;
        uint32_t leader;
        uint32_t sender;

        cluster_open(&c, 3, 6, NULL);
        c.ring = 16384;
        leader = cluster_elect(&c);
        sender = other(leader, 0);
        cluster_run(&c, T);
        assert_int_equal(cluster_submit(&c, sender, "before"), 0);
        assert_int_equal(cluster_submit(&c, sender, text), 0);
        assert_int_equal(cluster_submit(&c, sender, "behind"), 0);
        cluster_run(&c, BASE_MS(1) * (base_time)after * 2);
        cluster_crash(&c, leader);
        expect_even(&c);
        expect_order(&c);
        assert_int_equal(c.node[sender].delivery_count, 3);
        cluster_close(&c);
    }
}

/* Every command that a survivor took is delivered once, in order; of the dead leader's at most once. */
static void commands_forwarded_to_a_dying_leader_are_applied_once_and_in_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct cluster c;
        uint32_t leader;
        uint32_t a;
        uint32_t b;

        cluster_open(&c, 3, seed, NULL);
        leader = cluster_elect(&c);
        a = other(leader, 0);
        b = other(leader, a);
        cluster_run(&c, T);
        for (int i = 0; i < 200; i++) {
            char text[16];

            (void)snprintf(text, sizeof text, "a%d", i);
            assert_int_equal(cluster_submit(&c, a, text), 0);
            (void)snprintf(text, sizeof text, "b%d", i);
            assert_int_equal(cluster_submit(&c, b, text), 0);
            if (i < (int)(5 * seed)) {
                assert_int_equal(cluster_submit(&c, leader, "l"), 0);
            }
            if (i == (int)(5 * seed)) {
                cluster_crash(&c, leader); /* kill -9 at 20 moments of the load */
            }
            cluster_run(&c, BASE_US(700));
        }
        expect_even(&c);
        expect_order(&c);
        for (int i = 0; i < 200; i += 7) {
            char text[16];

            (void)snprintf(text, sizeof text, "a%d", i);
            assert_int_equal(cluster_count(&c, b, text), 1);
        }
        assert_true(cluster_count(&c, a, "l") <= 5 * seed);
        assert_true(cluster_count(&c, a, "l") >= cluster_count(&c, leader, "l")); /* uniform: R6 */
        cluster_close(&c);
    }
}

static void an_old_leaders_own_commands_are_forwarded_when_it_returns(void **state)
{
    struct cluster c;
    uint32_t old;
    uint64_t before;

    (void)state;
    cluster_open(&c, 3, 7, NULL);
    old = cluster_elect(&c);
    cluster_run(&c, T);
    cluster_isolate(&c, old);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(cluster_submit(&c, old, "alone"), 0);
    }
    cluster_run(&c, 3 * T);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(cluster_submit(&c, cluster_leader(&c), "majority"), 0);
    }
    cluster_run(&c, T);
    assert_int_equal(cluster_count(&c, old, "alone"), 0);
    before = stats(&c, cluster_leader(&c)).term;
    cluster_heal_all(&c);
    expect_even(&c);
    expect_order(&c);
    assert_int_equal(cluster_count(&c, old, "alone"), 10);
    assert_int_equal(cluster_count(&c, old, "majority"), 10);
    assert_int_equal(stats(&c, cluster_leader(&c)).term, before);
    cluster_close(&c);
}

static void a_change_of_term_repeats_entries_and_says_so(void **state)
{
    struct cluster c;
    uint32_t first;
    uint32_t second;
    uint32_t third;

    (void)state;
    cluster_open(&c, 3, 8, NULL);
    first = cluster_elect(&c);
    cluster_run(&c, T);
    third = other(first, 0);
    cluster_isolate(&c, third);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(cluster_submit(&c, first, "x"), 0);
    }
    cluster_run(&c, T); /* the channel to the third holds all 50 */
    second = other(first, third);
    cluster_isolate(&c, first);
    cluster_heal(&c, second, third);
    cluster_run(&c, 4 * T);
    assert_int_equal(cluster_leader(&c), second);
    cluster_crash(&c, second);
    cluster_heal_all(&c);
    (void)cluster_elect(&c);
    expect_even(&c);
    expect_order(&c);
    assert_int_equal(cluster_count(&c, third, "x"), 50);
    cluster_close(&c);
}

static void a_slow_disk_of_the_leader_delays_nobody_else(void **state)
{
    struct cluster c;
    uint32_t leader;

    (void)state;
    cluster_open(&c, 3, 9, NULL);
    leader = cluster_elect(&c);
    cluster_run(&c, T);
    c.node[leader].disk_delay = BASE_MS(200);
    assert_int_equal(cluster_submit(&c, leader, "x"), 0);
    cluster_run(&c, BASE_MS(20));
    assert_int_equal(cluster_count(&c, other(leader, 0), "x"), 1); /* two followers are a majority */
    assert_int_equal(cluster_count(&c, leader, "x"), 0);           /* R18 */
    cluster_run(&c, BASE_MS(300));
    assert_int_equal(cluster_count(&c, leader, "x"), 1);
    assert_int_equal(cluster_leader(&c), leader);
    cluster_close(&c);
}

static void a_dead_disk_of_the_leader_hands_over(void **state)
{
    struct cluster c;
    uint32_t leader;

    (void)state;
    cluster_open(&c, 3, 10, NULL);
    leader = cluster_elect(&c);
    cluster_run(&c, T);
    c.node[leader].disk_delay = BASE_NEVER;
    assert_int_equal(cluster_submit(&c, leader, "x"), 0);
    cluster_run(&c, 4 * T);
    assert_true(cluster_leader(&c) != leader && cluster_leader(&c) != 0);
    cluster_close(&c);
}

static void link_faults_alone_change_no_view_and_no_term_while_beats_flow(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint64_t term;

    (void)state;
    cluster_open(&c, 3, 11, NULL);
    leader = cluster_elect(&c);
    cluster_run(&c, T);
    term = stats(&c, leader).term;
    for (int i = 0; i < 200; i++) { /* M6: short cuts, one after the other */
        cluster_isolate(&c, 1 + (uint32_t)i % 3);
        cluster_run(&c, BASE_MS(150));
        cluster_heal_all(&c);
        cluster_run(&c, BASE_MS(300));
    }
    assert_int_equal(stats(&c, leader).term, term);
    assert_int_equal(stats(&c, leader).views, 1);
    cluster_close(&c);
}

/* B1: the log that a member needed while it was away is given back everywhere, though nothing more is said. */
static void memory_is_given_back_after_a_catch_up_without_another_message(void **state)
{
    static char text[4001];
    struct cluster c;
    uint32_t leader;
    uint32_t away;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    cluster_open(&c, 3, 77, NULL);
    leader = cluster_elect(&c);
    away = other(leader, 0);
    cluster_isolate(&c, away);
    for (int i = 0; i < 3000; i++) {
        assert_int_equal(cluster_submit(&c, leader, text), 0);
        if (i % 50 == 0) {
            cluster_run(&c, BASE_MS(5));
        }
    }
    cluster_run(&c, BASE_S(1));
    assert_true(stats(&c, leader).log_bytes > (8u << 20));
    cluster_heal_all(&c);
    expect_even(&c);
    cluster_run(&c, BASE_S(2));
    for (uint32_t id = 1; id <= 3; id++) {
        assert_true(stats(&c, id).log_bytes <= 2 * (256u << 10));
    }
    cluster_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_given_back_after_a_catch_up_without_another_message),
        cmocka_unit_test(a_cut_off_member_gets_what_it_missed_once_and_nothing_twice),
        cmocka_unit_test(a_member_that_is_away_costs_a_cursor_and_its_ring),
        cmocka_unit_test(memory_stays_flat_under_load),
        cmocka_unit_test(a_broken_link_synchronises_and_loses_and_repeats_nothing),
        cmocka_unit_test(large_messages_pass_small_rings_in_parts),
        cmocka_unit_test(a_large_message_survives_a_change_of_leader_in_its_middle),
        cmocka_unit_test(commands_forwarded_to_a_dying_leader_are_applied_once_and_in_order),
        cmocka_unit_test(an_old_leaders_own_commands_are_forwarded_when_it_returns),
        cmocka_unit_test(a_change_of_term_repeats_entries_and_says_so),
        cmocka_unit_test(a_slow_disk_of_the_leader_delays_nobody_else),
        cmocka_unit_test(a_dead_disk_of_the_leader_hands_over),
        cmocka_unit_test(link_faults_alone_change_no_view_and_no_term_while_beats_flow),
    };

    return cmocka_run_group_tests_name("story/membership/stream", tests, NULL, NULL);
}
