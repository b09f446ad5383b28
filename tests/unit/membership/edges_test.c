/* Single messages from the edges of what a member may say, each of which once broke something: an invariant, a promise,
 * or patience. They may close a link or stop the member loudly, never end the process (T78, L4). */
#include "tests/unit/membership/one.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* More runs than posts fit into an answer: the greatest index that is known to be common lies below what the member has
 * acknowledged in this term, which it therefore has. */
static void what_was_acknowledged_in_this_term_is_not_sent_again(void **state)
{
    struct one one;
    struct message ack = one_ack(1, 1);
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    one_sync(&one, 2, 0, 0);
    one_drain(&one, 2);
    assert_int_equal(one_give(&one, 2, &ack), 0);
    order_link_up(one.order, 2, one.now);
    assert_true(one_pull(&one, 2, MESSAGE_SYNC_ASK, &m));
    m = one_message(MESSAGE_SYNC, 1);
    m.sync.last_index = 9;
    assert_int_equal(one_give(&one, 2, &m), 0);
    assert_int_equal(one_submit(&one, "next"), 0);
    assert_true(one_pull(&one, 2, MESSAGE_BATCH, &m));
    assert_int_equal(m.batch.prev_index, 1);
    assert_int_equal(m.batch.count, 1);
    one_close(&one);
}

static void a_leader_that_replaces_what_its_own_stream_proved_is_not_followed(void **state)
{
    struct one one;
    struct message m;
    struct message ask = one_message(MESSAGE_SYNC_ASK, 5);

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 5);
    one_write(&one, 3, "a");
    one_write(&one, 3, "b");
    m = one_batch(&one, 5, 0, 0);
    assert_int_equal(one_give(&one, 2, &m), 0);
    order_link_up(one.order, 2, one.now);
    assert_int_equal(one_give(&one, 2, &ask), 0);
    log_truncate(&one.log, 0);
    one_write(&one, 4, "other");
    m = one_batch(&one, 5, 0, 0);
    assert_int_equal(one_give(&one, 2, &m), BASE_E_CLOSED); /* rule 1: verified means verified */
    assert_non_null(one.stopped);
    one_close(&one);
}

static void a_term_that_leaves_no_room_for_the_next_is_refused(void **state)
{
    struct one one;
    struct message m = one_beat(UINT64_MAX, 1);
    uint8_t beat[MESSAGE_BEAT_SIZE] = {0};

    (void)state;
    one_open(&one, 3);
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL);
    m = one_ask(MESSAGE_PREVOTE_ASK, UINT64_MAX - 1, UINT64_MAX, 0, 0);
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL);
    base_put32(beat, ONE_GROUP);
    base_put32(beat + 4, 2);
    base_put64(beat + 8, UINT64_MAX);
    base_put64(beat + 16, 1);
    order_beat(one.order, 2, beat, one.now);
    one_turn(&one);
    assert_int_equal(one_stats(&one).term, 0);
    one_lead(&one); /* and the life of the group goes on */
    one_close(&one);
}

/* Writes a command of member 1, whose core this is, into the pretended leader's log. */
static void write_own(struct one *one, uint64_t term, uint64_t number)
{
    struct entry entry = {.index = one->log.last.index + 1,
                          .term = term,
                          .kind = ENTRY_DATA,
                          .group = ONE_GROUP,
                          .origin = 1,
                          .incarnation = ONE_INCARNATION(1),
                          .number = number};

    assert_int_equal(log_append(&one->log, &entry), 0);
}

static void expect_stop_on_delivery_of(uint64_t number)
{
    struct one one;
    struct message m;

    one_open(&one, 3);
    one_follow(&one, 2, 3);
    assert_int_equal(one_submit(&one, "first"), 0);
    assert_int_equal(one_submit(&one, "second"), 0);
    write_own(&one, 3, number);
    m = one_batch(&one, 3, 0, 1);
    assert_int_equal(one_give(&one, 2, &m), 0);
    assert_string_equal(one_deliver(&one), "");
    assert_non_null(one.stopped);
    one_close(&one);
}

/* The replicas' exactly-once stands on it: K2. */
static void own_commands_that_are_passed_over_or_were_never_made_stop_the_member(void **state)
{
    (void)state;
    expect_stop_on_delivery_of(2);
    expect_stop_on_delivery_of(3);
    expect_stop_on_delivery_of(UINT64_MAX);
}

/* A grant changes no term, so it may come from a member that is still in an older one. */
static void a_grant_of_a_voter_in_an_older_term_counts(void **state)
{
    struct one one;
    struct order_image image = order_image_fresh();
    struct message m;
    struct message grant = one_message(MESSAGE_PREVOTE, 3);

    (void)state;
    image.term = 5;
    one_prepare(&one, 3);
    one_start(&one, &image);
    while (!one_is(&one, "pre-candidate")) {
        one_pass(&one, BASE_MS(1));
    }
    assert_true(one_pull(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    grant.vote.term = 6;
    grant.vote.attempt = m.ask.attempt;
    grant.vote.granted = true;
    assert_int_equal(one_give(&one, 2, &grant), 0);
    assert_true(one_is(&one, "candidate"));
    one_close(&one);
}

static void deliver_all(struct one *one)
{
    struct group_delivery d;

    while (order_deliver(one->order, &d)) {
    }
    one_turn(one);
}

/* Gives a command in one part after the other, as a member forwards a large one. */
static void forward_large(struct one *one, uint32_t from, uint64_t number, size_t size)
{
    static uint8_t raw[ENTRY_HEAD_SIZE + (400u << 10)];
    struct entry entry = {.index = number,
                          .kind = ENTRY_DATA,
                          .group = ONE_GROUP,
                          .origin = from,
                          .incarnation = ONE_INCARNATION(from),
                          .number = number,
                          .data = {raw + ENTRY_HEAD_SIZE, size}};

    entry_put_head(raw, &entry);
    for (size_t at = 0; at < ENTRY_HEAD_SIZE + size; at += MESSAGE_BODY_MAX) {
        struct message m = one_message(MESSAGE_FORWARD, 1);
        size_t left = ENTRY_HEAD_SIZE + size - at;

        m.forward.first = number;
        m.forward.offset = (uint32_t)at;
        m.body = (struct base_bytes){raw + at, left < MESSAGE_BODY_MAX ? left : MESSAGE_BODY_MAX};
        assert_int_equal(one_give(one, from, &m), 0);
    }
}

/* A large command that found no room is asked for when it would find some, not each time that a small one would. */
static void a_large_command_is_asked_for_when_it_would_fit(void **state)
{
    static char text[60001];
    struct one one;
    struct order_image image = order_image_fresh();
    struct message m;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    one_prepare(&one, 3);
    one.options.log_bytes_max = 3 * LOG_CHUNK_SIZE;
    one_start(&one, &image);
    one_lead(&one);
    one_sync(&one, 2, 0, 0);
    one_sync(&one, 3, 0, 0);
    for (int i = 0; i < 6; i++) { /* two pieces of memory: one is left, the command needs two */
        assert_int_equal(one_submit(&one, text), 0);
    }
    forward_large(&one, 3, 1, 400u << 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(one_submit(&one, "small"), 0);
        assert_false(one_pull(&one, 3, MESSAGE_FORWARD_ASK, &m));
    }
    for (uint32_t id = 2; id <= 3; id++) {
        one_drain(&one, id);
        m = one_ack(1, one_stats(&one).last);
        assert_int_equal(one_give(&one, id, &m), 0);
    }
    deliver_all(&one);
    assert_true(one_pull(&one, 3, MESSAGE_FORWARD_ASK, &m));
    assert_int_equal(m.forward_ask.number, 1);
    forward_large(&one, 3, 1, 400u << 10);
    assert_int_equal(one_stats(&one).last, 11);
    one_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_in_this_term_is_not_sent_again),
        cmocka_unit_test(a_leader_that_replaces_what_its_own_stream_proved_is_not_followed),
        cmocka_unit_test(a_term_that_leaves_no_room_for_the_next_is_refused),
        cmocka_unit_test(own_commands_that_are_passed_over_or_were_never_made_stop_the_member),
        cmocka_unit_test(a_grant_of_a_voter_in_an_older_term_counts),
        cmocka_unit_test(a_large_command_is_asked_for_when_it_would_fit),
    };

    return cmocka_run_group_tests_name("membership/edges", tests, NULL, NULL);
}
