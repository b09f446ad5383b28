/* The eight rules of the two lanes, one story each (PROTOCOL.md "Two lanes"; G16, G17). */
#include "tests/story/membership/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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

static void rule_1_commit_holds_only_for_what_this_terms_stream_verified(void **state)
{
    struct cluster c;
    uint32_t old;
    uint32_t follower;
    uint64_t last;

    (void)state;
    cluster_open(&c, 5, 3, NULL);
    old = cluster_elect(&c);
    follower = other(old, 0);
    for (uint32_t id = 1; id <= 5; id++) {
        if (id != old && id != follower) {
            cluster_cut(&c, old, id);
        }
    }
    assert_int_equal(cluster_submit(&c, old, "lost"), 0); /* reaches one follower only */
    cluster_run(&c, BASE_MS(5));
    last = stats(&c, follower).last;
    cluster_crash(&c, old);
    cluster_isolate(&c, follower);
    assert_true(cluster_elect(&c) != old);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(cluster_submit(&c, cluster_leader(&c), "new"), 0);
    }
    cluster_run(&c, T);
    cluster_heal_all(&c);
    expect_even(&c); /* commit is far beyond `last` when the follower hears of it */
    assert_true(stats(&c, follower).commit > last);
    assert_int_equal(cluster_count(&c, follower, "lost"), 0);
    assert_int_equal(cluster_count(&c, follower, "new"), 5);
    cluster_close(&c);
}

static void rule_2_late_acknowledgements_of_an_older_term_do_not_count(void **state)
{
    struct cluster c;
    uint32_t old;
    uint64_t commit;

    (void)state;
    cluster_open(&c, 3, 5, NULL);
    old = cluster_elect(&c);
    cluster_run(&c, T);
    for (uint32_t id = 1; id <= 3; id++) {
        cluster_hold_lane(&c, id, old, LANE_VOTES, id != old);
    }
    assert_int_equal(cluster_submit(&c, old, "held"), 0);
    commit = stats(&c, old).commit;
    cluster_run(&c, BASE_MS(50)); /* both followers have it and have said so; the leader has not heard */
    assert_int_equal(stats(&c, old).commit, commit);
    cluster_isolate(&c, old);
    cluster_run(&c, 3 * T);
    assert_true(stats(&c, cluster_leader(&c)).term > stats(&c, old).term);
    for (uint32_t id = 1; id <= 3; id++) {
        cluster_hold_lane(&c, id, old, LANE_VOTES, false);
        cluster_hold_lane(&c, id, old, LANE_BULK, id != old);
    }
    cluster_heal_all(&c);
    cluster_run(&c, BASE_MS(20)); /* the late words are in, the new stream is not */
    assert_int_equal(stats(&c, old).commit, commit);
    for (uint32_t id = 1; id <= 3; id++) {
        cluster_hold_lane(&c, id, old, LANE_BULK, false);
    }
    expect_even(&c);
    assert_int_equal(cluster_count(&c, old, "held"), 1);
    cluster_close(&c);
}

static void rule_3_a_newer_term_ends_older_ones_on_both_lanes(void **state)
{
    struct cluster c;
    uint32_t old;
    uint32_t follower;
    uint32_t third;
    uint64_t last;

    (void)state;
    cluster_open(&c, 3, 7, NULL);
    old = cluster_elect(&c);
    follower = other(old, 0);
    third = other(old, follower);
    cluster_run(&c, T);
    cluster_isolate(&c, old);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(cluster_submit(&c, old, "old"), 0); /* stand in both channels, held by the cut */
    }
    assert_true(c.path[old][follower].lane[LANE_BULK].count > 0);
    cluster_run(&c, 3 * T);
    assert_true(cluster_leader(&c) != old && cluster_leader(&c) != 0);
    last = stats(&c, follower).last;
    cluster_heal(&c, old, follower);
    cluster_heal(&c, old, third);
    cluster_hold_lane(&c, follower, old, LANE_BULK, true);
    cluster_hold_lane(&c, third, old, LANE_BULK, true);
    cluster_run(&c, BASE_MS(2)); /* old batches arrive in the new term */
    assert_int_equal(stats(&c, follower).last, last);
    assert_int_equal(stats(&c, follower).member[old - 1].entries_pulled, 1);
    assert_string_equal(order_role(c.node[old].order), "follower"); /* a beat of the new term ended it, too */
    cluster_hold_lane(&c, follower, old, LANE_BULK, false);
    cluster_hold_lane(&c, third, old, LANE_BULK, false);
    expect_even(&c); /* its own commands are forwarded to the new leader */
    assert_int_equal(cluster_count(&c, follower, "old"), 20);
    cluster_close(&c);
}

static void rule_4_a_new_link_synchronises_once_and_anew(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint32_t follower;
    uint64_t asks;

    (void)state;
    cluster_open(&c, 3, 9, NULL);
    leader = cluster_elect(&c);
    follower = other(leader, 0);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(cluster_submit(&c, leader, "x"), 0);
    }
    cluster_run(&c, T);
    asks = c.sent[MESSAGE_SYNC_ASK];
    assert_int_equal(asks, 2); /* one per member and term */
    cluster_cut(&c, leader, follower);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(cluster_submit(&c, leader, "y"), 0);
    }
    cluster_link_down(&c, leader, follower); /* what was in the channel is lost */
    cluster_heal_all(&c);
    cluster_link_up(&c, leader, follower);
    expect_even(&c);
    assert_int_equal(c.sent[MESSAGE_SYNC_ASK], asks + 1);
    assert_int_equal(stats(&c, leader).member[follower - 1].entries_repeated, 50);
    assert_int_equal(stats(&c, follower).member[leader - 1].entries_received_again, 0);
    assert_int_equal(stats(&c, leader).term, stats(&c, follower).term);
    assert_int_equal(cluster_leader(&c), leader);
    cluster_close(&c);
}

static void count_groups(struct cluster *c, uint32_t from, uint32_t to, const struct message *m)
{
    (void)from;
    (void)to;
    assert_int_equal(m->group, c->group);
    assert_true(m->term > 0 || m->kind == MESSAGE_PREVOTE_ASK || m->kind == MESSAGE_PREVOTE);
}

static void rule_5_every_message_names_group_and_term_and_foreign_ones_close_the_link(void **state)
{
    struct cluster c;
    uint32_t leader;
    struct message foreign = {.kind = MESSAGE_BEAT, .group = 8, .term = 999};

    (void)state;
    cluster_open(&c, 3, 11, NULL);
    c.on_packet = count_groups;
    leader = cluster_elect(&c);
    assert_int_equal(cluster_submit(&c, other(leader, 0), "x"), 0);
    expect_even(&c);
    assert_int_equal(order_receive(c.node[leader].order, other(leader, 0), LANE_VOTES, &foreign, c.now),
                     BASE_E_PROTOCOL);
    assert_true(stats(&c, leader).term < 999);
    cluster_close(&c);
}

static void rule_6_beats_that_arrive_are_no_proof_only_answers_on_the_votes_lane_are(void **state)
{
    struct cluster c;
    uint32_t leader;
    base_time start;

    (void)state;
    cluster_open(&c, 3, 13, NULL);
    leader = cluster_elect(&c);
    cluster_run(&c, 10 * T);
    assert_int_equal(cluster_leader(&c), leader);
    for (uint32_t id = 1; id <= 3; id++) {
        cluster_hold_lane(&c, id, leader, LANE_VOTES, id != leader); /* probes and bulk still flow both ways */
    }
    start = c.now;
    while (strcmp(order_role(c.node[leader].order), "leader") == 0) {
        cluster_run(&c, BASE_MS(10));
    }
    assert_true(c.now - start >= T / 2 && c.now - start <= T + T / 2);
    assert_int_equal(stats(&c, leader).last, stats(&c, leader).commit); /* it was idle */
    assert_false(c.node[leader].has_quorum);
    cluster_close(&c);
}

static void rule_7_progress_is_acknowledgements_never_beats(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint32_t stuck;
    uint32_t third;

    (void)state;
    cluster_open(&c, 3, 15, NULL);
    leader = cluster_elect(&c);
    stuck = other(leader, 0);
    third = other(leader, stuck);
    cluster_run(&c, T);
    c.node[stuck].disk_delay = BASE_NEVER;
    for (int i = 0; i < 10; i++) {
        assert_int_equal(cluster_submit(&c, leader, "x"), 0);
    }
    cluster_run(&c, 20 * T);
    assert_int_equal(cluster_leader(&c), leader); /* T03: no election for a follower's disk */
    assert_int_equal(stats(&c, leader).member[stuck - 1].behind, 10);
    assert_int_equal(stats(&c, leader).member[third - 1].behind, 0);
    assert_int_equal(cluster_count(&c, leader, "x"), 10); /* G25: a slow minority costs nothing */
    assert_int_equal(cluster_count(&c, stuck, "x"), 0);
    c.node[third].disk_delay = BASE_NEVER;
    assert_int_equal(cluster_submit(&c, leader, "y"), 0);
    cluster_run(&c, 9 * T);
    assert_string_equal(order_role(c.node[leader].order), "leader");
    cluster_run(&c, 3 * T); /* beats are answered, nothing is acknowledged: rule 6 */
    assert_string_not_equal(order_role(c.node[leader].order), "leader");
    cluster_close(&c);
}

static void rule_8_a_long_cut_queues_next_to_nothing_on_the_votes_lane(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint32_t away;
    uint64_t forwards;

    (void)state;
    cluster_open(&c, 3, 17, NULL);
    leader = cluster_elect(&c);
    away = other(leader, 0);
    cluster_cut(&c, leader, away);
    cluster_cut(&c, other(leader, away), away);
    cluster_run(&c, 1000 * T);
    assert_true(c.path[leader][away].lane[LANE_VOTES].count <= CLUSTER_VOTES_RING / CLUSTER_HEAD); /* C10 */
    assert_true(c.path[away][leader].lane[LANE_VOTES].count <= CLUSTER_VOTES_RING / CLUSTER_HEAD);
    assert_int_equal(cluster_leader(&c), leader);
    forwards = c.sent[MESSAGE_FORWARD];
    cluster_heal_all(&c);
    cluster_run(&c, BASE_MS(500)); /* what was late is dropped at once, the next beat counts */
    assert_int_equal(c.node[away].leader, leader);
    assert_int_equal(cluster_leader(&c), leader);
    assert_int_equal(cluster_submit(&c, away, "x"), 0);
    expect_even(&c);
    assert_int_equal(c.sent[MESSAGE_FORWARD], forwards + 1);
    cluster_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rule_1_commit_holds_only_for_what_this_terms_stream_verified),
        cmocka_unit_test(rule_2_late_acknowledgements_of_an_older_term_do_not_count),
        cmocka_unit_test(rule_3_a_newer_term_ends_older_ones_on_both_lanes),
        cmocka_unit_test(rule_4_a_new_link_synchronises_once_and_anew),
        cmocka_unit_test(rule_5_every_message_names_group_and_term_and_foreign_ones_close_the_link),
        cmocka_unit_test(rule_6_beats_that_arrive_are_no_proof_only_answers_on_the_votes_lane_are),
        cmocka_unit_test(rule_7_progress_is_acknowledgements_never_beats),
        cmocka_unit_test(rule_8_a_long_cut_queues_next_to_nothing_on_the_votes_lane),
    };

    return cmocka_run_group_tests_name("story/membership/lanes", tests, NULL, NULL);
}
