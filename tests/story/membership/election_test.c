/* Who leads, under faults (PROTOCOL.md "Elections", "Beats"; L1, L2, M6; T02, T03, T05, T26, T27, T28, T30, G17). */
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

static bool has_leader(const struct cluster *c)
{
    return cluster_leader(c) != 0;
}

static void the_first_election_is_this_very_sequence(void **state)
{
    struct cluster c;

    (void)state;
    cluster_open(&c, 3, 1, NULL);
    (void)cluster_elect(&c);
    assert_string_equal(cluster_roles(&c), "2: pre-candidate (no beat of a leader in time)\n"
                                           "2: candidate (a majority would grant its vote)\n"
                                           "2: leader (a majority granted its vote)\n");
    cluster_close(&c);
}

static void an_abdication_is_this_very_sequence(void **state)
{
    struct cluster c;
    uint32_t leader;

    (void)state;
    cluster_open(&c, 3, 1, NULL);
    leader = cluster_elect(&c);
    cluster_run(&c, T);
    cluster_forget(&c);
    order_abdicate(c.node[leader].order, c.now);
    cluster_turn(&c, leader);
    (void)cluster_elect(&c);
    assert_string_equal(cluster_roles(&c), "2: follower (asked to lead no more)\n"
                                           "3: pre-candidate (no beat of a leader in time)\n"
                                           "3: candidate (a majority would grant its vote)\n"
                                           "3: leader (a majority granted its vote)\n");
    cluster_close(&c);
}

static void one_seed_gives_one_run(void **state)
{
    char first[4096];
    struct cluster c;

    (void)state;
    for (int run = 0; run < 2; run++) {
        cluster_open(&c, 5, 42, NULL);
        (void)cluster_elect(&c);
        cluster_crash(&c, cluster_leader(&c));
        (void)cluster_elect(&c);
        if (run == 0) {
            (void)snprintf(first, sizeof first, "%s", cluster_roles(&c));
        } else {
            assert_string_equal(cluster_roles(&c), first);
        }
        cluster_close(&c);
    }
}

static void a_dead_leader_is_replaced_within_twice_t(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct cluster c;
        base_time start;

        cluster_open(&c, 3, seed, NULL);
        (void)cluster_elect(&c);
        cluster_run(&c, BASE_MS(seed * 37));
        cluster_crash(&c, cluster_leader(&c));
        start = c.now;
        assert_true(cluster_until(&c, has_leader, 2 * T)); /* L1, T03, G19 */
        assert_true(c.now - start >= T / 2);
        cluster_close(&c);
    }
}

static void an_abdicated_leader_is_replaced_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct cluster c;
        uint32_t leader;

        cluster_open(&c, 3, seed, NULL);
        leader = cluster_elect(&c);
        cluster_run(&c, T);
        order_abdicate(c.node[leader].order, c.now);
        cluster_turn(&c, leader);
        assert_true(cluster_until(&c, has_leader, T));
        assert_true(cluster_leader(&c) != leader);
        cluster_close(&c);
    }
}

static void a_blocked_bulk_lane_delays_no_election(void **state)
{
    struct cluster c;
    uint32_t leader;

    (void)state;
    cluster_open(&c, 3, 4, NULL);
    leader = cluster_elect(&c);
    for (uint32_t a = 1; a <= 3; a++) {
        for (uint32_t b = 1; b <= 3; b++) {
            cluster_hold_lane(&c, a, b, LANE_BULK, true); /* T02, G16, L7 */
        }
    }
    for (int i = 0; i < 100; i++) {
        assert_int_equal(cluster_submit(&c, leader, "bulk"), 0);
    }
    cluster_crash(&c, leader);
    assert_true(cluster_until(&c, has_leader, 2 * T));
    cluster_close(&c);
}

static void slow_disks_of_followers_cause_no_election(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint64_t term;

    (void)state;
    cluster_open(&c, 3, 6, NULL);
    leader = cluster_elect(&c);
    cluster_run(&c, T);
    term = stats(&c, leader).term;
    for (uint32_t id = 1; id <= 3; id++) {
        c.node[id].disk_delay = id == leader ? 0 : BASE_S(3);
    }
    for (int i = 0; i < 10; i++) {
        assert_int_equal(cluster_submit(&c, leader, "x"), 0);
        cluster_run(&c, BASE_S(1));
    }
    assert_int_equal(stats(&c, leader).term, term); /* T03 */
    assert_true(cluster_until(&c, cluster_is_even, BASE_S(30)));
    cluster_close(&c);
}

static void a_member_that_comes_back_disturbs_nobody(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint32_t away;
    uint64_t term;

    (void)state;
    cluster_open(&c, 3, 8, NULL);
    leader = cluster_elect(&c);
    away = other(leader, 0);
    term = stats(&c, leader).term;
    cluster_isolate(&c, away);
    cluster_run(&c, 1000 * T);
    assert_int_equal(stats(&c, away).term, term); /* T30, T08 */
    cluster_heal_all(&c);
    cluster_run(&c, 10 * T);
    assert_int_equal(cluster_leader(&c), leader);
    assert_int_equal(stats(&c, leader).term, term);
    assert_int_equal(c.node[away].leader, leader);
    cluster_close(&c);
}

static void a_returned_old_leader_follows_and_may_lead_again(void **state)
{
    struct cluster c;
    uint32_t old;
    uint32_t next;

    (void)state;
    cluster_open(&c, 3, 10, NULL);
    old = cluster_elect(&c);
    cluster_run(&c, T);
    cluster_isolate(&c, old);
    assert_int_equal(cluster_submit(&c, old, "alone"), 0);
    cluster_run(&c, 4 * T);
    next = cluster_leader(&c);
    assert_true(next != old);
    cluster_heal_all(&c);
    cluster_run(&c, 2 * T);
    assert_int_equal(c.node[old].leader, next);
    cluster_crash(&c, other(old, next));
    order_abdicate(c.node[next].order, c.now); /* only the old one can lead now: T26 */
    cluster_turn(&c, next);
    assert_true(cluster_until(&c, has_leader, 10 * T));
    assert_int_equal(cluster_leader(&c), old);
    assert_true(cluster_until(&c, cluster_is_even, BASE_S(5)));
    assert_int_equal(cluster_count(&c, next, "alone"), 1);
    cluster_close(&c);
}

static void a_leader_that_is_cut_off_never_settles_anything(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint64_t commit;

    (void)state;
    cluster_open(&c, 3, 12, NULL);
    leader = cluster_elect(&c);
    cluster_run(&c, T);
    commit = stats(&c, leader).commit;
    cluster_isolate(&c, leader);
    for (int i = 0; i < 20; i++) {
        int status = cluster_submit(&c, leader, "x");

        assert_true(status == 0 || status == BASE_E_NOLEADER);
        cluster_run(&c, T / 4);
        assert_int_equal(stats(&c, leader).commit, commit);
        assert_int_equal(cluster_count(&c, leader, "x"), 0);
    }
    assert_int_equal(cluster_submit(&c, leader, "y"), BASE_E_NOLEADER);
    assert_false(c.node[leader].has_quorum);
    cluster_close(&c);
}

static void the_most_complete_log_wins(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct cluster c;
        uint32_t leader;
        uint32_t complete;
        uint64_t commit;

        cluster_open(&c, 5, seed, NULL);
        leader = cluster_elect(&c);
        cluster_run(&c, T);
        complete = other(leader, 0);
        for (uint32_t id = 1; id <= 5; id++) { /* two of four followers get nothing more */
            if (id != leader && id != complete && id != other(leader, complete)) {
                cluster_hold_lane(&c, leader, id, LANE_BULK, true);
            }
        }
        for (int i = 0; i < 10; i++) {
            assert_int_equal(cluster_submit(&c, leader, "x"), 0);
        }
        cluster_run(&c, BASE_MS(100));
        commit = stats(&c, leader).commit;
        assert_int_equal(cluster_count(&c, leader, "x"), 10);
        cluster_crash(&c, leader);
        assert_true(cluster_until(&c, has_leader, 20 * T));
        assert_true(stats(&c, cluster_leader(&c)).last > commit); /* T27, R4 */
        cluster_close(&c);
    }
}

static void a_chain_of_three_has_a_leader_and_goes_on(void **state)
{
    (void)state;
    for (uint32_t middle = 1; middle <= 3; middle++) {
        struct cluster c;
        uint32_t a = other(middle, 0);
        uint32_t b = other(middle, a);
        uint64_t term;

        cluster_open(&c, 3, 20 + middle, NULL);
        (void)cluster_elect(&c);
        cluster_cut(&c, a, b); /* T28, L2: a and b see only the middle */
        cluster_run(&c, 10 * T);
        assert_true(cluster_leader(&c) != 0);
        term = stats(&c, cluster_leader(&c)).term;
        assert_int_equal(cluster_submit(&c, middle, "x"), 0);
        cluster_run(&c, 100 * T);
        assert_true(stats(&c, middle).term <= term + 1); /* no endless change of leaders */
        assert_int_equal(cluster_count(&c, middle, "x"), 1);
        cluster_heal_all(&c);
        assert_true(cluster_until(&c, cluster_is_even, BASE_S(10)));
        cluster_close(&c);
    }
}

static void one_way_cuts_from_and_to_a_leader_end_in_a_working_leader(void **state)
{
    (void)state;
    for (int is_deaf = 0; is_deaf < 2; is_deaf++) {
        struct cluster c;
        uint32_t leader;

        cluster_open(&c, 3, 30, NULL);
        leader = cluster_elect(&c);
        for (uint32_t id = 1; id <= 3; id++) {
            if (id != leader) {
                cluster_cut_one(&c, is_deaf != 0 ? id : leader, is_deaf != 0 ? leader : id);
            }
        }
        cluster_run(&c, 4 * T);
        assert_true(cluster_leader(&c) != leader && cluster_leader(&c) != 0);
        assert_int_equal(cluster_submit(&c, cluster_leader(&c), "x"), 0);
        cluster_run(&c, T);
        assert_int_equal(cluster_count(&c, cluster_leader(&c), "x"), 1);
        cluster_heal_all(&c);
        assert_true(cluster_until(&c, cluster_is_even, BASE_S(10)));
        cluster_close(&c);
    }
}

static void a_paused_member_says_that_it_lost_the_majority_and_has_it_again(void **state)
{
    struct cluster c;
    uint32_t leader;

    (void)state;
    cluster_open(&c, 3, 14, NULL);
    leader = cluster_elect(&c);
    cluster_run(&c, T);
    cluster_pause(&c, leader);
    cluster_run(&c, 5 * T);
    assert_true(cluster_leader(&c) != leader);
    assert_int_equal(cluster_submit(&c, cluster_leader(&c), "x"), 0);
    cluster_run(&c, T);
    cluster_forget(&c);
    cluster_resume(&c, leader);
    cluster_run(&c, 2 * T);
    assert_non_null(strstr(cluster_roles(&c), ": follower (")); /* T05: it noticed */
    assert_true(c.node[leader].has_quorum);
    assert_true(cluster_until(&c, cluster_is_even, BASE_S(5)));
    cluster_close(&c);
}

static void a_paused_follower_first_reads_what_waited(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint32_t away;

    (void)state;
    cluster_open(&c, 3, 16, NULL);
    leader = cluster_elect(&c);
    away = other(leader, 0);
    cluster_run(&c, T);
    cluster_pause(&c, away);
    cluster_run(&c, 20 * T);
    cluster_forget(&c);
    cluster_resume(&c, away);
    cluster_run(&c, 4 * T);
    assert_string_equal(cluster_roles(&c), ""); /* it doubted itself, not the leader */
    cluster_close(&c);
}

static void late_votes_after_healing_elect_nobody(void **state)
{
    struct cluster c;
    uint32_t leader;
    uint32_t stands;
    uint32_t third;
    uint64_t term;

    (void)state;
    cluster_open(&c, 3, 18, NULL);
    leader = cluster_elect(&c);
    stands = other(leader, 0);
    third = other(leader, stands);
    cluster_run(&c, T);
    cluster_isolate(&c, stands);
    cluster_cut_one(&c, stands, third);
    c.path[stands][third].is_cut = false; /* its questions arrive, the answers are held */
    cluster_run(&c, 50 * T);
    assert_true(c.path[third][stands].lane[LANE_VOTES].count > 0);
    term = stats(&c, leader).term;
    cluster_heal_all(&c);
    cluster_run(&c, 5 * T); /* G17 */
    assert_int_equal(cluster_leader(&c), leader);
    assert_int_equal(stats(&c, stands).term, term);
    cluster_close(&c);
}

static void five_members_survive_two_deaths_and_not_three(void **state)
{
    struct cluster c;

    (void)state;
    cluster_open(&c, 5, 19, NULL);
    for (int deaths = 0; deaths < 2; deaths++) {
        cluster_crash(&c, cluster_elect(&c));
    }
    assert_int_equal(cluster_submit(&c, cluster_elect(&c), "x"), 0);
    assert_true(cluster_until(&c, cluster_is_even, BASE_S(5)));
    cluster_crash(&c, cluster_leader(&c));
    cluster_run(&c, 100 * T);
    assert_int_equal(cluster_leader(&c), 0);
    cluster_close(&c);
}

static void a_group_of_one_leads_itself(void **state)
{
    struct cluster c;

    (void)state;
    cluster_open(&c, 1, 23, NULL);
    assert_int_equal(cluster_elect(&c), 1);
    assert_int_equal(cluster_submit(&c, 1, "x"), 0);
    cluster_run(&c, 100 * T);
    assert_int_equal(cluster_leader(&c), 1);
    assert_int_equal(cluster_count(&c, 1, "x"), 1);
    cluster_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_election_is_this_very_sequence),
        cmocka_unit_test(an_abdication_is_this_very_sequence),
        cmocka_unit_test(one_seed_gives_one_run),
        cmocka_unit_test(a_dead_leader_is_replaced_within_twice_t),
        cmocka_unit_test(an_abdicated_leader_is_replaced_at_once),
        cmocka_unit_test(a_blocked_bulk_lane_delays_no_election),
        cmocka_unit_test(slow_disks_of_followers_cause_no_election),
        cmocka_unit_test(a_member_that_comes_back_disturbs_nobody),
        cmocka_unit_test(a_returned_old_leader_follows_and_may_lead_again),
        cmocka_unit_test(a_leader_that_is_cut_off_never_settles_anything),
        cmocka_unit_test(the_most_complete_log_wins),
        cmocka_unit_test(a_chain_of_three_has_a_leader_and_goes_on),
        cmocka_unit_test(one_way_cuts_from_and_to_a_leader_end_in_a_working_leader),
        cmocka_unit_test(a_paused_member_says_that_it_lost_the_majority_and_has_it_again),
        cmocka_unit_test(a_paused_follower_first_reads_what_waited),
        cmocka_unit_test(late_votes_after_healing_elect_nobody),
        cmocka_unit_test(five_members_survive_two_deaths_and_not_three),
        cmocka_unit_test(a_group_of_one_leads_itself),
    };

    return cmocka_run_group_tests_name("story/membership/election", tests, NULL, NULL);
}
