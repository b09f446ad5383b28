/* Entries, acknowledgements, what is settled (membership/stream.h; R2, R3, R5, R11, R16, R18, T06, T07, T13, T25, T33,
 * G12, rules 1, 2, 4). */
#include "tests/unit/membership/one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static int give_batch(struct one *one, uint64_t term, uint64_t prev, uint64_t commit)
{
    struct message m = one_batch(one, term, prev, commit);

    return one_give(one, 2, &m);
}

static bool acks(struct one *one, uint64_t index)
{
    struct message m;

    return one_pull(one, 2, MESSAGE_ACK, &m) && m.ack.index == index;
}

static int ack(struct one *one, uint32_t from, uint64_t index)
{
    struct message m = one_ack(one_stats(one).term, index);

    return one_give(one, from, &m);
}

/* ------------------------------------------------------------------------------------------------ following */

static void entries_are_taken_acknowledged_and_delivered(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    one_write(&one, 1, "b");
    assert_int_equal(give_batch(&one, 1, 0, 0), 0);
    assert_true(acks(&one, 2));
    assert_string_equal(one_deliver(&one), "");
    assert_int_equal(give_batch(&one, 1, 2, 2), 0);
    assert_string_equal(one_deliver(&one), "a b ");
    assert_int_equal(one_stats(&one).member[1].entries_pulled, 2);
    one_close(&one);
}

static void an_acknowledgement_waits_for_the_disk(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one.is_disk_slow = true;
    one_write(&one, 1, "a");
    assert_int_equal(give_batch(&one, 1, 0, 1), 0);
    assert_false(one_pull(&one, 2, MESSAGE_ACK, &m)); /* R8, T13 */
    assert_string_equal(one_deliver(&one), "");       /* R18 */
    assert_int_equal(one.persist_first, 1);
    assert_int_equal(one.persist_upto, 1);
    order_durable(one.order, one.persist, one.now);
    assert_true(acks(&one, 1));
    assert_string_equal(one_deliver(&one), "a ");
    one_close(&one);
}

static void what_is_settled_holds_only_up_to_what_is_verified(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    assert_int_equal(give_batch(&one, 1, 0, 100), 0); /* rule 1 */
    assert_int_equal(one_stats(&one).commit, 1);
    assert_string_equal(one_deliver(&one), "a ");
    one_write(&one, 1, "b");
    assert_int_equal(give_batch(&one, 1, 1, 100), 0);
    assert_string_equal(one_deliver(&one), "b ");
    one_close(&one);
}

static void an_old_suffix_is_not_settled_by_a_new_leaders_commit(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    one_write(&one, 1, "lost");
    assert_int_equal(give_batch(&one, 1, 0, 1), 0);
    assert_string_equal(one_deliver(&one), "a ");
    one_follow(&one, 3, 2);
    log_truncate(&one.log, 1);
    one_write(&one, 2, "b");
    m = one_batch(&one, 2, 1, 2);
    m.batch.count = 0; /* only news of commit: nothing of index 2 is proven */
    m.body.size = 0;
    assert_int_equal(one_give(&one, 3, &m), 0);
    assert_string_equal(one_deliver(&one), ""); /* rule 1, T25 */
    m = one_batch(&one, 2, 1, 2);
    assert_int_equal(one_give(&one, 3, &m), 0);
    assert_string_equal(one_deliver(&one), "b ");
    one_close(&one);
}

static void an_acknowledgement_covers_only_what_this_terms_stream_proved(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    one_write(&one, 1, "b");
    one_write(&one, 1, "c");
    assert_int_equal(give_batch(&one, 1, 0, 0), 0);
    one_follow(&one, 3, 2);
    log_truncate(&one.log, 1);
    m = one_batch(&one, 2, 1, 0);
    assert_int_equal(one_give(&one, 3, &m), 0);
    assert_true(one_pull(&one, 3, MESSAGE_ACK, &m));
    assert_int_equal(m.ack.index, 1); /* rule 2, T06: not 3, though three entries stand here */
    one_close(&one);
}

static void an_unsettled_suffix_of_an_older_term_is_replaced(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    one_write(&one, 1, "x");
    one_write(&one, 1, "y");
    assert_int_equal(give_batch(&one, 1, 0, 1), 0);
    one_follow(&one, 3, 2);
    log_truncate(&one.log, 1);
    one_write(&one, 2, "b");
    m = one_batch(&one, 2, 1, 2);
    assert_int_equal(one_give(&one, 3, &m), 0);
    assert_int_equal(one_stats(&one).last, 2);
    assert_int_equal(one.persist_first, 2); /* the replacement is written from there on */
    assert_string_equal(one_deliver(&one), "a b ");
    one_close(&one);
}

static void a_write_on_its_way_proves_nothing_about_what_replaced_it(void **state)
{
    struct one one;
    struct message m;
    uint64_t first;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    one_write(&one, 1, "x");
    one.is_disk_slow = true;
    assert_int_equal(give_batch(&one, 1, 0, 0), 0);
    first = one.persist;
    m = one_beat(2, 1);
    assert_int_equal(one_give(&one, 3, &m), 0);
    m = one_message(MESSAGE_SYNC_ASK, 2);
    assert_int_equal(one_give(&one, 3, &m), 0);
    log_truncate(&one.log, 1);
    one_write(&one, 2, "b");
    m = one_batch(&one, 2, 1, 0);
    assert_int_equal(one_give(&one, 3, &m), 0);
    order_durable(one.order, first, one.now); /* T07, G12: of "x", which is void */
    assert_int_equal(one_stats(&one).member[0].acked, 1);
    order_durable(one.order, one.persist, one.now);
    assert_true(one_pull(&one, 3, MESSAGE_ACK, &m));
    assert_int_equal(m.ack.index, 2);
    one_close(&one);
}

static void replacing_a_settled_entry_stops_the_member(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    assert_int_equal(give_batch(&one, 1, 0, 1), 0);
    one_follow(&one, 3, 2);
    log_truncate(&one.log, 0);
    one_write(&one, 2, "b");
    m = one_batch(&one, 2, 0, 0);
    assert_int_equal(one_give(&one, 3, &m), BASE_E_CLOSED); /* R16 */
    assert_string_equal(one.stopped, "a leader would replace a settled entry");
    assert_true(one_is(&one, "stopped"));
    one_close(&one);
}

static void a_gap_between_batches_stops_the_member(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    assert_int_equal(give_batch(&one, 1, 0, 0), 0);
    one_write(&one, 1, "b");
    one_write(&one, 1, "c");
    assert_int_equal(give_batch(&one, 1, 2, 0), BASE_E_CLOSED); /* never repaired by guessing */
    assert_string_equal(one.stopped, "a batch does not continue the stream");
    one_close(&one);
}

static void another_past_stops_the_member(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    assert_int_equal(give_batch(&one, 1, 0, 0), 0);
    one_write(&one, 1, "b");
    m = one_batch(&one, 1, 1, 0);
    m.batch.prev_hash ^= 1;
    assert_int_equal(one_give(&one, 2, &m), BASE_E_CLOSED);
    assert_string_equal(one.stopped, "the entry before a batch differs from ours");
    one_close(&one);
}

static void two_entries_of_one_index_and_term_stop_the_member(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    assert_int_equal(give_batch(&one, 1, 0, 0), 0);
    order_link_up(one.order, 2, one.now);
    one_write(&one, 1, "b");
    log_truncate(&one.log, 0);
    one_write(&one, 1, "A");
    {
        struct message ask = one_message(MESSAGE_SYNC_ASK, 1);

        assert_int_equal(one_give(&one, 2, &ask), 0);
    }
    assert_int_equal(give_batch(&one, 1, 0, 0), BASE_E_CLOSED); /* R3 */
    assert_string_equal(one.stopped, "two entries of one index and term differ");
    one_close(&one);
}

static void two_leaders_in_one_term_stop_the_member(void **state)
{
    struct one one;
    struct message beat = one_beat(1, 1);

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    assert_int_equal(one_give(&one, 3, &beat), BASE_E_CLOSED); /* T33, R1 */
    assert_string_equal(one.stopped, "two leaders in one term");
    assert_int_equal(one_submit(&one, "x"), BASE_E_CLOSED);
    assert_int_equal(order_deadline(one.order), BASE_NEVER);
    one_close(&one);
}

static void a_leader_that_hears_another_in_its_term_stops(void **state)
{
    struct one one;
    struct message batch = one_message(MESSAGE_BATCH, 1);

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_int_equal(one_give(&one, 3, &batch), BASE_E_CLOSED); /* T33 */
    assert_non_null(one.stopped);
    for (size_t i = 0; i < sizeof one.beat; i++) {
        assert_int_equal(one.beat[i], 0); /* its beats end */
    }
    one_close(&one);
}

static void a_batch_before_the_question_or_malformed_closes_the_link(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_write(&one, 1, "a");
    assert_int_equal(give_batch(&one, 1, 0, 0), BASE_E_PROTOCOL);
    one_follow(&one, 2, 1);
    m = one_batch(&one, 1, 0, 0);
    m.batch.count = 2;
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL); /* T78 */
    m.batch.count = 1;
    m.body.size--;
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL);
    m = one_batch(&one, 1, 0, 0);
    m.group++;
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL);
    m.group--;
    assert_int_equal(order_receive(one.order, 2, LANE_VOTES, &m, one.now), BASE_E_PROTOCOL);
    assert_int_equal(order_receive(one.order, 9, LANE_BULK, &m, one.now), BASE_E_PROTOCOL);
    assert_int_equal(one_give(&one, 2, &m), 0);
    one_close(&one);
}

static void a_large_entry_arrives_in_parts(void **state)
{
    static char text[100001];
    struct one one;
    struct message m;
    struct base_bytes raw;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, text);
    raw = log_raw(&one.log, 1);
    for (size_t at = 0; at < raw.size; at += 30000) {
        m = one_batch(&one, 1, 0, 1);
        m.batch.count = 0;
        m.batch.offset = (uint32_t)at;
        m.body = (struct base_bytes){raw.data + at, raw.size - at < 30000 ? raw.size - at : 30000};
        assert_int_equal(one_stats(&one).last, 0);
        assert_int_equal(one_give(&one, 2, &m), 0);
    }
    assert_int_equal(one_stats(&one).last, 1);
    assert_int_equal(one_stats(&one).commit, 1);
    one_close(&one);
}

static void entries_that_are_here_are_counted_and_not_taken_twice(void **state)
{
    struct one one;
    struct message ask = one_message(MESSAGE_SYNC_ASK, 1);

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    one_write(&one, 1, "b");
    assert_int_equal(give_batch(&one, 1, 0, 2), 0);
    order_link_up(one.order, 2, one.now);
    assert_int_equal(one_give(&one, 2, &ask), 0);
    assert_int_equal(give_batch(&one, 1, 0, 2), 0);
    assert_int_equal(one_stats(&one).member[1].entries_received_again, 2);
    assert_int_equal(one_stats(&one).member[1].entries_pulled, 2);
    assert_string_equal(one_deliver(&one), "a b ");
    one_close(&one);
}

static void nothing_is_acknowledged_on_a_new_link_before_its_first_batch(void **state)
{
    struct one one;
    struct message m;
    struct message ask = one_message(MESSAGE_SYNC_ASK, 1);

    (void)state; /* found by random schedules: the leader could not know such an answer */
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    one.is_disk_slow = true;
    assert_int_equal(give_batch(&one, 1, 0, 0), 0);
    order_link_up(one.order, 2, one.now);
    order_durable(one.order, one.persist, one.now);
    assert_false(one_pull(&one, 2, MESSAGE_ACK, &m));
    assert_int_equal(one_give(&one, 2, &ask), 0);
    assert_int_equal(give_batch(&one, 1, 1, 0), 0);
    assert_true(acks(&one, 1));
    one_close(&one);
}

/* ------------------------------------------------------------------------------------------------ leading */

static void a_majority_of_acknowledgements_settles(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_int_equal(one_submit(&one, "a"), 0);
    one_sync(&one, 2, 0, 0);
    one_drain(&one, 2);
    assert_int_equal(one_stats(&one).commit, 0);
    assert_int_equal(ack(&one, 2, 1), 0);
    assert_int_equal(one_stats(&one).commit, 1);
    assert_string_equal(one_deliver(&one), "");
    assert_int_equal(ack(&one, 2, 2), 0);
    assert_string_equal(one_deliver(&one), "a ");
    one_close(&one);
}

static void a_leaders_own_log_counts_only_when_durable(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    one.is_disk_slow = true;
    assert_int_equal(one_submit(&one, "a"), 0);
    one_sync(&one, 2, 0, 0);
    one_drain(&one, 2); /* it streams while its own disk writes */
    assert_int_equal(ack(&one, 2, 2), 0);
    assert_int_equal(one_stats(&one).commit, 1); /* T13 */
    order_durable(one.order, one.persist, one.now);
    assert_int_equal(one_stats(&one).commit, 2);
    one_close(&one);
}

static void two_followers_settle_what_the_leader_has_not_written_and_it_waits_to_deliver(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    one.is_disk_slow = true;
    assert_int_equal(one_submit(&one, "a"), 0);
    one_sync(&one, 2, 0, 0);
    one_sync(&one, 3, 0, 0);
    one_drain(&one, 2);
    one_drain(&one, 3);
    assert_int_equal(ack(&one, 2, 2), 0);
    assert_int_equal(ack(&one, 3, 2), 0);
    assert_int_equal(one_stats(&one).commit, 2);
    assert_string_equal(one_deliver(&one), ""); /* R18 */
    order_durable(one.order, one.persist, one.now);
    assert_string_equal(one_deliver(&one), "a ");
    one_close(&one);
}

static void entries_of_older_terms_are_settled_only_with_one_of_the_own(void **state)
{
    struct one one;
    struct order_image image = {.term = 2};
    uint32_t count;

    (void)state;
    one_prepare(&one, 3);
    one_write(&one, 1, "a");
    one_write(&one, 2, "b");
    image.entries = log_range(&one.log, 1, 2, 1 << 20, &count);
    one_start(&one, &image);
    one_lead(&one); /* term 3, entry 3 */
    one_sync(&one, 2, 0, 0);
    one_drain(&one, 2);
    assert_int_equal(ack(&one, 2, 2), 0);
    assert_int_equal(one_stats(&one).commit, 0); /* T25, R11 */
    assert_int_equal(ack(&one, 2, 3), 0);
    assert_int_equal(one_stats(&one).commit, 3);
    assert_string_equal(one_deliver(&one), "a b ");
    one_close(&one);
}

static void acknowledgements_of_an_older_term_or_backwards_count_for_nothing(void **state)
{
    struct one one;
    struct message old;

    (void)state;
    one_open(&one, 5);
    one_lead(&one);
    one_sync(&one, 2, 0, 0);
    one_sync(&one, 3, 0, 0);
    one_drain(&one, 2);
    one_drain(&one, 3);
    old = one_ack(0, 1);
    assert_int_equal(one_give(&one, 2, &old), 0); /* rule 2 */
    assert_int_equal(ack(&one, 3, 1), 0);
    assert_int_equal(one_stats(&one).commit, 0);
    assert_int_equal(ack(&one, 2, 1), 0);
    assert_int_equal(one_stats(&one).commit, 1);
    assert_int_equal(ack(&one, 2, 0), 0);
    assert_int_equal(one_stats(&one).member[1].acked, 1);
    one_close(&one);
}

static void an_acknowledgement_of_what_was_not_sent_closes_the_link(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_int_equal(ack(&one, 2, 1), BASE_E_PROTOCOL);
    one_sync(&one, 2, 0, 0);
    assert_int_equal(ack(&one, 2, 1), BASE_E_PROTOCOL);
    one_drain(&one, 2);
    assert_int_equal(ack(&one, 2, 2), BASE_E_PROTOCOL);
    assert_int_equal(ack(&one, 2, 1), 0);
    one_close(&one);
}

static void batches_grow_with_what_waits_and_point_into_the_log(void **state)
{
    struct one one;
    struct message m;
    uint64_t next = 1;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(one_submit(&one, "0123456789"), 0);
    }
    one_sync(&one, 2, 0, 0);
    while (order_pull(one.order, 2, LANE_BULK, 1 << 20, &m)) {
        uint32_t count;

        assert_int_equal(m.kind, MESSAGE_BATCH);
        assert_int_equal(m.batch.prev_index, next - 1);
        assert_true(m.body.size <= MESSAGE_BODY_MAX);
        assert_ptr_equal(m.body.data, order_entries(one.order, next, next, &count).data); /* no copy */
        next += m.batch.count;
    }
    assert_int_equal(next, 5002);
    assert_int_equal(one_stats(&one).member[1].entries_sent, 5001);
    assert_int_equal(one_stats(&one).member[1].entries_repeated, 0);
    one_close(&one);
}

static void what_does_not_fit_waits_or_goes_in_parts(void **state)
{
    static char text[10001];
    struct one one;
    struct message m;
    size_t parts = 0;
    size_t bytes = 0;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    one_open(&one, 3);
    one_lead(&one);
    one_sync(&one, 2, 0, 0);
    one_drain(&one, 2);
    assert_int_equal(one_submit(&one, text), 0);
    assert_false(order_pull(one.order, 2, LANE_BULK, 4095, &m));
    while (order_pull(one.order, 2, LANE_BULK, 4096, &m)) {
        assert_int_equal(m.batch.count, 0);
        assert_int_equal(m.batch.offset, bytes);
        assert_true(m.body.size <= 4096);
        bytes += m.body.size;
        parts++;
    }
    assert_int_equal(bytes, ENTRY_HEAD_SIZE + 10000);
    assert_int_equal(parts, 3);
    assert_int_equal(one_stats(&one).member[1].entries_sent, 2);
    one_close(&one);
}

static void sending_again_after_a_new_link_is_counted_as_repeated(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_int_equal(one_submit(&one, "a"), 0);
    one_sync(&one, 2, 0, 0);
    one_drain(&one, 2);
    assert_int_equal(one_stats(&one).member[1].entries_repeated, 0);
    order_link_up(one.order, 2, one.now);
    one_sync(&one, 2, 1, 1); /* it got the first only */
    one_drain(&one, 2);
    assert_int_equal(one_stats(&one).member[1].entries_sent, 3);
    assert_int_equal(one_stats(&one).member[1].entries_repeated, 1);
    one_close(&one);
}

static void news_of_commit_goes_out_even_without_entries(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    one_sync(&one, 2, 0, 0);
    one_sync(&one, 3, 0, 0);
    one_drain(&one, 2);
    one_drain(&one, 3);
    assert_int_equal(ack(&one, 2, 1), 0);
    assert_true(one_pull(&one, 3, MESSAGE_BATCH, &m));
    assert_int_equal(m.batch.commit, 1);
    assert_int_equal(m.batch.count, 0);
    assert_int_equal(m.body.size, 0);
    assert_false(one_pull(&one, 3, MESSAGE_BATCH, &m));
    one_close(&one);
}

static void what_everybody_has_leaves_the_memory_and_a_slow_member_holds_it(void **state)
{
    struct one one;
    struct group_delivery d;
    size_t full;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    one_sync(&one, 2, 0, 0);
    one_sync(&one, 3, 0, 0);
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(one_submit(&one, "0123456789abcdef"), 0);
    }
    one_drain(&one, 2);
    one_drain(&one, 3);
    assert_int_equal(ack(&one, 2, 20001), 0);
    while (order_deliver(one.order, &d)) {
    }
    full = one_stats(&one).log_bytes;
    assert_int_equal(order_slowest(one.order), 3);
    assert_true(full > 20000 * 64);
    assert_int_equal(ack(&one, 3, 20001), 0);
    assert_int_equal(one_stats(&one).log_bytes, 0); /* B1 */
    assert_int_equal(order_slowest(one.order), 0);
    one_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_taken_acknowledged_and_delivered),
        cmocka_unit_test(an_acknowledgement_waits_for_the_disk),
        cmocka_unit_test(what_is_settled_holds_only_up_to_what_is_verified),
        cmocka_unit_test(an_old_suffix_is_not_settled_by_a_new_leaders_commit),
        cmocka_unit_test(an_acknowledgement_covers_only_what_this_terms_stream_proved),
        cmocka_unit_test(an_unsettled_suffix_of_an_older_term_is_replaced),
        cmocka_unit_test(a_write_on_its_way_proves_nothing_about_what_replaced_it),
        cmocka_unit_test(replacing_a_settled_entry_stops_the_member),
        cmocka_unit_test(a_gap_between_batches_stops_the_member),
        cmocka_unit_test(another_past_stops_the_member),
        cmocka_unit_test(two_entries_of_one_index_and_term_stop_the_member),
        cmocka_unit_test(two_leaders_in_one_term_stop_the_member),
        cmocka_unit_test(a_leader_that_hears_another_in_its_term_stops),
        cmocka_unit_test(a_batch_before_the_question_or_malformed_closes_the_link),
        cmocka_unit_test(a_large_entry_arrives_in_parts),
        cmocka_unit_test(entries_that_are_here_are_counted_and_not_taken_twice),
        cmocka_unit_test(nothing_is_acknowledged_on_a_new_link_before_its_first_batch),
        cmocka_unit_test(a_majority_of_acknowledgements_settles),
        cmocka_unit_test(a_leaders_own_log_counts_only_when_durable),
        cmocka_unit_test(two_followers_settle_what_the_leader_has_not_written_and_it_waits_to_deliver),
        cmocka_unit_test(entries_of_older_terms_are_settled_only_with_one_of_the_own),
        cmocka_unit_test(acknowledgements_of_an_older_term_or_backwards_count_for_nothing),
        cmocka_unit_test(an_acknowledgement_of_what_was_not_sent_closes_the_link),
        cmocka_unit_test(batches_grow_with_what_waits_and_point_into_the_log),
        cmocka_unit_test(what_does_not_fit_waits_or_goes_in_parts),
        cmocka_unit_test(sending_again_after_a_new_link_is_counted_as_repeated),
        cmocka_unit_test(news_of_commit_goes_out_even_without_entries),
        cmocka_unit_test(what_everybody_has_leaves_the_memory_and_a_slow_member_holds_it),
    };

    return cmocka_run_group_tests_name("membership/stream", tests, NULL, NULL);
}
