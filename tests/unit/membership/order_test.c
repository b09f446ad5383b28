/* The core as a driver sees it: opening, effects and their order, images, limits (membership/order.h; R8, R9, R10, T02,
 * T17). */
#include "tests/unit/membership/one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int open_with(void (*change)(struct order_options *o))
{
    struct order_options options;
    struct order_image image = order_image_fresh();
    struct order *o = NULL;
    int status;

    order_options_default(&options);
    options.self = 1;
    options.incarnation = 2;
    change(&options);
    status = order_open(&options, &image, 0, &o);
    order_close(o);
    return status;
}

static void nothing_wrong(struct order_options *o)
{
    (void)o;
}

static void no_self(struct order_options *o)
{
    o->self = 0;
}

static void no_incarnation(struct order_options *o)
{
    o->incarnation = 0;
}

static void no_pending(struct order_options *o)
{
    o->pending_max = 0;
}

static void no_timeout(struct order_options *o)
{
    o->election_timeout = 0;
}

static void options_are_checked(void **state)
{
    (void)state;
    assert_int_equal(open_with(nothing_wrong), 0);
    assert_int_equal(open_with(no_self), BASE_E_INVALID);
    assert_int_equal(open_with(no_incarnation), BASE_E_INVALID);
    assert_int_equal(open_with(no_pending), BASE_E_INVALID);
    assert_int_equal(open_with(no_timeout), BASE_E_INVALID);
}

static void before_a_view_nothing_happens(void **state)
{
    struct order_options options;
    struct order_image image = order_image_fresh();
    struct order_effect e;
    struct order *o;
    struct message m = {.kind = MESSAGE_BEAT, .term = 1};

    (void)state;
    order_options_default(&options);
    options.self = 1;
    options.incarnation = 2;
    assert_int_equal(order_open(&options, &image, 0, &o), 0);
    assert_int_equal(order_deadline(o), BASE_NEVER);
    order_expire(o, BASE_S(100));
    order_link_up(o, 2, BASE_S(100));
    assert_int_equal(order_receive(o, 2, LANE_VOTES, &m, BASE_S(100)), BASE_E_PROTOCOL);
    assert_false(order_poll(o, &e));
    assert_null(order_view(o));
    order_close(o);
}

static void a_view_must_hold_this_very_member_as_a_voter_and_comes_once(void **state)
{
    struct one one;
    struct group_view view;

    (void)state;
    one_open(&one, 3);
    assert_int_equal(order_install(one.order, &one.view, one.now), BASE_E_EXISTS);
    assert_int_equal(order_view(one.order)->count, 3);
    view = one.view;
    one_close(&one);
    for (int wrong = 0; wrong < 4; wrong++) {
        struct order_image image = order_image_fresh();
        struct group_view bad = view;
        struct order *o;

        bad.member[0].role = wrong == 0 ? GROUP_LEARNER : GROUP_VOTER;
        bad.member[0].incarnation += wrong == 1;
        bad.member[0].id += wrong == 2;
        bad.member[1].id += wrong == 2;
        bad.count = wrong == 3 ? 0 : bad.count;
        assert_int_equal(order_open(&one.options, &image, 0, &o), 0);
        assert_int_equal(order_install(o, &bad, 0), BASE_E_INVALID);
        order_close(o);
    }
}

static void an_image_brings_back_term_vote_and_log(void **state)
{
    struct one one;
    struct order_image image = {.term = 6, .vote = 3};
    struct order_effect e;
    uint32_t count;

    (void)state;
    one_prepare(&one, 3);
    one_write(&one, 2, "a");
    one_write(&one, 5, "b");
    image.entries = log_range(&one.log, 1, 2, 1 << 20, &count);
    one_start(&one, &image);
    assert_int_equal(one_stats(&one).term, 6); /* R10 */
    assert_int_equal(one_stats(&one).last, 2);
    assert_int_equal(one_stats(&one).commit, 0); /* what is settled the next leader tells */
    assert_false(order_poll(one.order, &e));     /* nothing is written again */
    one_follow(&one, 2, 7);
    {
        struct message m = one_batch(&one, 7, 2, 2);

        assert_int_equal(one_give(&one, 2, &m), 0);
    }
    assert_string_equal(one_deliver(&one), "a b ");
    one_close(&one);
}

static void an_image_that_does_not_parse_is_refused(void **state)
{
    struct one one;
    struct order_image image = {.term = 6};
    struct order *o = NULL;
    uint32_t count;

    (void)state;
    one_prepare(&one, 3);
    one_write(&one, 2, "a");
    one_write(&one, 5, "b");
    image.entries = log_range(&one.log, 1, 2, 1 << 20, &count);
    image.entries.size--;
    assert_int_equal(order_open(&one.options, &image, 0, &o), BASE_E_PROTOCOL);
    image.entries.size++;
    image.term = 4; /* an entry of a term that never was */
    assert_int_equal(order_open(&one.options, &image, 0, &o), BASE_E_PROTOCOL);
    image.term = 6;
    image.base_index = 7;
    assert_int_equal(order_open(&one.options, &image, 0, &o), BASE_E_PROTOCOL);
    assert_null(o);
    log_deinit(&one.log);
}

static void entries_can_be_read_in_place_to_persist_them(void **state)
{
    struct one one;
    struct base_bytes raw;
    uint32_t count;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_int_equal(one_submit(&one, "abc"), 0);
    raw = order_entries(one.order, 1, 2, &count);
    assert_int_equal(count, 2);
    assert_int_equal(raw.size, 2 * ENTRY_HEAD_SIZE + 3);
    assert_int_equal(order_entries(one.order, 3, 9, &count).size, 0);
    one_close(&one);
}

static void persist_effects_are_numbered_and_come_before_what_depends_on_them(void **state)
{
    struct one one;
    struct order_effect e;
    struct message m = one_ask(MESSAGE_VOTE_ASK, 3, 3, 0, 0);

    (void)state;
    one_open(&one, 3);
    one.is_disk_slow = true;
    assert_int_equal(order_receive(one.order, 2, LANE_VOTES, &m, one.now), 0);
    assert_true(order_poll(one.order, &e));
    assert_int_equal(e.kind, ORDER_PERSIST);
    assert_int_equal(e.persist.number, 1);
    assert_true(e.persist.first > e.persist.upto);
    assert_false(order_poll(one.order, &e));
    assert_false(order_pull(one.order, 2, LANE_VOTES, 0, &m)); /* R8 */
    order_durable(one.order, 1, one.now);
    assert_true(order_pull(one.order, 2, LANE_VOTES, 0, &m));
    assert_int_equal(m.kind, MESSAGE_VOTE);
    one_close(&one);
}

static void many_writes_may_be_on_their_way_and_one_answer_covers_all_before(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 1);
    one_lead(&one);
    one.is_disk_slow = true;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(one_submit(&one, "x"), 0);
    }
    assert_int_equal(one_stats(&one).commit, 1); /* T14, T17 */
    order_durable(one.order, one.persist, one.now);
    one_turn(&one);
    order_durable(one.order, one.persist, one.now);
    assert_int_equal(one_stats(&one).commit, 101);
    one_close(&one);
}

static void no_message_of_a_term_goes_out_before_the_term_is_durable(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one.is_disk_slow = true;
    one_follow(&one, 2, 4);
    assert_false(order_pull(one.order, 2, LANE_VOTES, 0, &m));
    assert_false(order_pull(one.order, 2, LANE_BULK, 65536, &m));
    order_durable(one.order, one.persist, one.now);
    assert_true(one_pull(&one, 2, MESSAGE_BEAT_ANSWER, &m));
    assert_true(one_pull(&one, 2, MESSAGE_SYNC, &m));
    one_close(&one);
}

static void a_blocked_bulk_lane_holds_up_no_vote(void **state)
{
    struct one one;
    struct message m = one_ask(MESSAGE_PREVOTE_ASK, 0, 1, 0, 0);
    struct message beat;

    (void)state;
    one_open(&one, 3);
    assert_int_equal(one_submit(&one, "x"), 0); /* bulk is never pulled: T02 */
    assert_int_equal(one_give(&one, 2, &m), 0);
    assert_true(order_pull(one.order, 2, LANE_VOTES, 0, &m));
    assert_int_equal(m.kind, MESSAGE_PREVOTE);
    beat = one_beat(1, 1);
    assert_int_equal(one_give(&one, 2, &beat), 0);
    assert_true(order_pull(one.order, 2, LANE_VOTES, 0, &m));
    assert_int_equal(m.kind, MESSAGE_BEAT_ANSWER);
    one_close(&one);
}

static void nothing_is_given_to_a_member_without_a_link_or_unknown(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_pass(&one, ONE_T / 2);
    assert_true(one_is(&one, "pre-candidate"));
    order_link_down(one.order, 2, one.now);
    assert_false(order_pull(one.order, 2, LANE_VOTES, 0, &m));
    assert_false(order_pull(one.order, 1, LANE_VOTES, 0, &m));
    assert_false(order_pull(one.order, 99, LANE_VOTES, 0, &m));
    m = one_beat(1, 1);
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL);
    one_close(&one);
}

static void stats_tell_what_is_known(void **state)
{
    struct one one;
    struct group_stats s;
    struct message ack = one_ack(1, 1);

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_int_equal(one_submit(&one, "a"), 0);
    one_sync(&one, 2, 0, 0);
    one_drain(&one, 2);
    assert_int_equal(one_give(&one, 2, &ack), 0);
    s = one_stats(&one);
    assert_int_equal(s.self, 1);
    assert_int_equal(s.leader, 1);
    assert_int_equal(s.term, 1);
    assert_int_equal(s.last, 2);
    assert_int_equal(s.commit, 1);
    assert_int_equal(s.delivered, 0);
    assert_int_equal(s.views, 1);
    assert_int_equal(s.elections, 1);
    assert_int_equal(s.pending, 1);
    assert_true(s.has_quorum);
    assert_int_equal(s.count, 3);
    assert_true(s.member[0].is_leader);
    assert_int_equal(s.member[0].acked, 2);
    assert_int_equal(s.member[1].acked, 1);
    assert_int_equal(s.member[1].behind, 1);
    assert_int_equal(s.member[1].entries_sent, 2);
    assert_int_equal(s.member[2].behind, 2);
    assert_int_equal(s.member[1].links, 1);
    assert_true(s.member[1].link_up);
    one_close(&one);
}

struct meagre {
    int left;
};

static void *meagre_take(void *user, size_t size)
{
    struct meagre *m = user;

    return m->left-- > 0 ? malloc(size) : NULL;
}

static void meagre_give(void *user, void *at)
{
    (void)user;
    free(at);
}

static void without_memory_calls_fail_and_nothing_breaks(void **state)
{
    (void)state;
    for (int left = 0; left < 8; left++) { /* B5 */
        struct meagre meagre = {left};
        struct base_memory memory = {&meagre, meagre_take, meagre_give};
        struct one one;
        struct order_image image = order_image_fresh();
        struct order *o = NULL;
        uint64_t number;

        one_prepare(&one, 1);
        one.options.memory = &memory;
        if (order_open(&one.options, &image, one.now, &o) < 0) {
            assert_null(o);
            continue;
        }
        if (order_install(o, &one.view, one.now) == 0) {
            int status;

            one.order = o;
            one_pass(&one, 3 * ONE_T);
            status = order_submit(o, (struct base_bytes){NULL, 0}, one.now, &number);
            assert_true(status == 0 || status == BASE_E_NOMEM || status == BASE_E_NOLEADER);
            meagre.left = 1000;
            one_pass(&one, 5 * ONE_T);
            assert_int_equal(order_submit(o, (struct base_bytes){NULL, 0}, one.now, &number), 0);
            one_turn(&one);
            assert_true(one_is(&one, "leader"));
        }
        order_close(o);
    }
}

static void a_follower_without_memory_says_so_and_goes_on_with_the_next_link(void **state)
{
    struct meagre meagre = {1000};
    struct base_memory memory = {&meagre, meagre_take, meagre_give};
    struct one one;
    struct order_image image = order_image_fresh();
    struct message m;
    struct message ask = one_message(MESSAGE_SYNC_ASK, 1);

    (void)state;
    one_prepare(&one, 3);
    one.options.memory = &memory;
    one_start(&one, &image);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    meagre.left = 0;
    m = one_batch(&one, 1, 0, 1);
    assert_int_equal(one_give(&one, 2, &m), BASE_E_NOMEM);
    order_link_down(one.order, 2, one.now);
    meagre.left = 1000;
    order_link_up(one.order, 2, one.now);
    assert_int_equal(one_give(&one, 2, &ask), 0);
    m = one_batch(&one, 1, 0, 1);
    assert_int_equal(one_give(&one, 2, &m), 0);
    assert_string_equal(one_deliver(&one), "a ");
    one_close(&one);
}

static void names_of_messages_are_known(void **state)
{
    (void)state;
    assert_string_equal(message_kind_name(MESSAGE_PREVOTE_ASK), "PREVOTE_ASK");
    assert_string_equal(message_kind_name(MESSAGE_FORWARD), "FORWARD");
    assert_string_equal(message_kind_name((enum message_kind)0), "?");
    assert_string_equal(message_kind_name((enum message_kind)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(before_a_view_nothing_happens),
        cmocka_unit_test(a_view_must_hold_this_very_member_as_a_voter_and_comes_once),
        cmocka_unit_test(an_image_brings_back_term_vote_and_log),
        cmocka_unit_test(an_image_that_does_not_parse_is_refused),
        cmocka_unit_test(entries_can_be_read_in_place_to_persist_them),
        cmocka_unit_test(persist_effects_are_numbered_and_come_before_what_depends_on_them),
        cmocka_unit_test(many_writes_may_be_on_their_way_and_one_answer_covers_all_before),
        cmocka_unit_test(no_message_of_a_term_goes_out_before_the_term_is_durable),
        cmocka_unit_test(a_blocked_bulk_lane_holds_up_no_vote),
        cmocka_unit_test(nothing_is_given_to_a_member_without_a_link_or_unknown),
        cmocka_unit_test(stats_tell_what_is_known),
        cmocka_unit_test(without_memory_calls_fail_and_nothing_breaks),
        cmocka_unit_test(a_follower_without_memory_says_so_and_goes_on_with_the_next_link),
        cmocka_unit_test(names_of_messages_are_known),
    };

    return cmocka_run_group_tests_name("membership/order", tests, NULL, NULL);
}
