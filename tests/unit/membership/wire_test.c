/* Heads: what is encoded is read back; whatever else comes is refused without harm (T78). */
#include "membership/wire.h"
#include "rtcp/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct wire_head through(const struct wire_head *in)
{
    uint8_t room[MESSAGE_HEAD_MAX];
    struct wire_head out;
    size_t size = wire_encode(in, room);

    base_zero(&out, sizeof out);
    assert_in_range(size, 1, MESSAGE_HEAD_MAX);
    assert_int_equal(wire_decode((struct base_bytes){room, size}, &out), 0);
    assert_int_equal(out.what, in->what);
    return out;
}

static struct message order_of(enum message_kind kind)
{
    return (struct message){.kind = kind, .group = UINT32_MAX, .term = UINT64_MAX};
}

static struct message order_through(const struct message *m)
{
    struct wire_head in = {.what = WIRE_IS_ORDER, .order = *m};
    struct wire_head out = through(&in);

    assert_int_equal(out.order.kind, m->kind);
    assert_int_equal(out.order.group, m->group);
    assert_true(out.order.term == m->term);
    assert_int_equal(out.order.body.size, 0);
    return out.order;
}

static struct hello big_hello(void)
{
    return (struct hello){.version = 1,
                          .lane = LANE_BULK,
                          .link = UINT64_MAX,
                          .sender = UINT32_MAX,
                          .receiver = UINT32_MAX - 1,
                          .incarnation = UINT64_MAX - 1,
                          .life = UINT64_MAX - 2,
                          .name = UINT64_MAX - 3,
                          .token = UINT64_MAX - 4,
                          .founders = UINT64_MAX - 5,
                          .instance = UINT64_MAX - 6,
                          .view = UINT64_MAX - 7,
                          .nonce = UINT64_MAX - 8,
                          .echo = UINT64_MAX - 9};
}

static void a_hello_keeps_every_field(void **state)
{
    struct wire_head in = {.what = WIRE_IS_HELLO, .hello = big_hello()};
    struct wire_head out = through(&in);

    (void)state;
    assert_memory_equal(&out.hello, &in.hello, sizeof in.hello);
}

static void a_refusal_keeps_every_field(void **state)
{
    struct wire_head in = {.what = WIRE_IS_REFUSAL, .refusal = {.reason = 8, .instance = 1, .view = 2, .echo = 3}};
    struct wire_head out = through(&in);

    (void)state;
    assert_int_equal(out.refusal.reason, 8);
    assert_true(out.refusal.instance == 1 && out.refusal.view == 2 && out.refusal.echo == 3);
}

static void founding_keeps_the_vector(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= GROUP_MEMBERS_MAX; count++) {
        struct wire_head in = {.what = WIRE_IS_FOUNDING,
                               .founding = {.kind = FOUND_SAYS_INSTALLED, .heard = count % 2 == 0, .count = count}};
        struct wire_head out;

        for (uint32_t i = 0; i < count; i++) {
            in.founding.vector[i] = UINT64_MAX - i;
        }
        out = through(&in);
        assert_int_equal(out.founding.kind, FOUND_SAYS_INSTALLED);
        assert_int_equal(out.founding.heard, count % 2 == 0);
        assert_int_equal(out.founding.count, count);
        assert_memory_equal(out.founding.vector, in.founding.vector, sizeof in.founding.vector);
    }
}

static void questions_and_votes_keep_every_field(void **state)
{
    struct message ask = order_of(MESSAGE_PREVOTE_ASK);
    struct message vote = order_of(MESSAGE_VOTE);
    struct message out;

    (void)state;
    ask.ask.term = 1;
    ask.ask.last_index = 2;
    ask.ask.last_term = 3;
    ask.ask.attempt = 4;
    out = order_through(&ask);
    assert_true(out.ask.term == 1 && out.ask.last_index == 2 && out.ask.last_term == 3 && out.ask.attempt == 4);
    vote.vote.term = 5;
    vote.vote.attempt = 6;
    vote.vote.granted = true;
    out = order_through(&vote);
    assert_true(out.vote.term == 5 && out.vote.attempt == 6 && out.vote.granted);
}

static void beats_and_single_numbers_keep_their_values(void **state)
{
    struct message m = order_of(MESSAGE_BEAT);
    struct message out;

    (void)state;
    m.beat.round = UINT64_MAX;
    m.beat.has_quorum = true;
    out = order_through(&m);
    assert_true(out.beat.round == UINT64_MAX && out.beat.has_quorum);
    m = order_of(MESSAGE_BEAT_ANSWER);
    m.answer.round = 0; /* a zero inside a oneof is still there */
    assert_true(order_through(&m).answer.round == 0);
    m = order_of(MESSAGE_ACK);
    m.ack.index = 9;
    assert_true(order_through(&m).ack.index == 9);
    m = order_of(MESSAGE_FORWARD_ASK);
    m.forward_ask.number = 8;
    assert_true(order_through(&m).forward_ask.number == 8);
    m = order_of(MESSAGE_ABDICATE);
    (void)order_through(&m);
    m = order_of(MESSAGE_SYNC_ASK);
    (void)order_through(&m);
}

static void a_sync_keeps_its_fence_posts(void **state)
{
    (void)state;
    for (uint32_t count = 0; count <= MESSAGE_POSTS_MAX; count++) {
        struct message m = order_of(MESSAGE_SYNC);
        struct message out;

        m.sync.last_index = UINT64_MAX;
        m.sync.last_term = UINT64_MAX - 1;
        m.sync.base = 3;
        m.sync.commit = 4;
        m.sync.count = count;
        for (uint32_t i = 0; i < count; i++) {
            m.sync.post[i] = (struct message_post){UINT64_MAX - i, UINT64_MAX - 100 - i};
        }
        out = order_through(&m);
        assert_true(out.sync.last_index == UINT64_MAX && out.sync.last_term == UINT64_MAX - 1);
        assert_true(out.sync.base == 3 && out.sync.commit == 4);
        assert_int_equal(out.sync.count, count);
        assert_memory_equal(out.sync.post, m.sync.post, count * sizeof m.sync.post[0]);
    }
}

static void batches_and_forwards_keep_every_field(void **state)
{
    struct message m = order_of(MESSAGE_BATCH);
    struct wire_head head;
    struct message out;

    (void)state;
    m.batch.prev_index = UINT64_MAX;
    m.batch.prev_term = UINT64_MAX - 1;
    m.batch.prev_hash = UINT64_MAX - 2;
    m.batch.commit = UINT64_MAX - 3;
    m.batch.low = UINT64_MAX - 4;
    m.batch.count = UINT32_MAX;
    m.batch.offset = UINT32_MAX - 1;
    out = order_through(&m);
    assert_memory_equal(&out.batch, &m.batch, sizeof m.batch);
    m = order_of(MESSAGE_FORWARD);
    m.forward.first = 1;
    m.forward.count = 2;
    m.forward.offset = 3;
    out = order_through(&m);
    assert_memory_equal(&out.forward, &m.forward, sizeof m.forward);
    head = (struct wire_head){.what = WIRE_IS_ORDER, .order = m};
    assert_true(wire_has_body(&head));
    head.order.kind = MESSAGE_ACK;
    assert_false(wire_has_body(&head));
}

static void both_encoders_write_the_same(void **state)
{
    struct message m = order_of(MESSAGE_ACK);
    struct wire_head head = {.what = WIRE_IS_ORDER, .order = m};
    uint8_t one[MESSAGE_HEAD_MAX];
    uint8_t two[MESSAGE_HEAD_MAX];
    size_t size = wire_encode(&head, one);

    (void)state;
    assert_int_equal(wire_encode_order(&m, two), size);
    assert_memory_equal(one, two, size);
}

/* A kind without its part, an unknown kind, a hello without a nonce. */
static void heads_that_lack_something_are_refused(void **state)
{
    const uint8_t no_kind[] = {0x10, 0x01};
    const uint8_t unknown_kind[] = {0x08, 0x0e};
    const uint8_t bare_ask[] = {0x08, 0x01};
    const uint8_t bare_ack[] = {0x08, 0x08};
    const uint8_t bare_hello[] = {0x08, 0x20};
    const uint8_t ack_with_round[] = {0x08, 0x08, 0x50, 0x01};
    struct wire_head hello = {.what = WIRE_IS_HELLO, .hello = big_hello()};
    const struct base_bytes bad[] = {
        {no_kind, sizeof no_kind},
        {unknown_kind, sizeof unknown_kind},
        {bare_ask, sizeof bare_ask},
        {bare_ack, sizeof bare_ack},
        {bare_hello, sizeof bare_hello},
        {ack_with_round, sizeof ack_with_round},
        {no_kind, 0},
    };
    uint8_t room[MESSAGE_HEAD_MAX];
    struct wire_head out;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(wire_decode(bad[i], &out), BASE_E_PROTOCOL);
    }
    hello.hello.nonce = 0;
    assert_int_equal(wire_decode((struct base_bytes){room, wire_encode(&hello, room)}, &out), BASE_E_PROTOCOL);
    hello.hello.nonce = 1;
    hello.hello.lane = LANE_COUNT;
    assert_int_equal(wire_decode((struct base_bytes){room, wire_encode(&hello, room)}, &out), BASE_E_PROTOCOL);
}

/* 512 bytes of two-byte posts ask for more memory than the arena has: refused, not taken from the heap. */
static void a_head_that_asks_for_much_memory_is_refused(void **state)
{
    uint8_t bytes[MESSAGE_HEAD_MAX] = {0x08, 0x0b, 0x6a, 0xf8, 0x03};
    struct wire_head out;

    (void)state;
    for (size_t i = 5; i < 5 + 504; i += 2) {
        bytes[i] = 0x2a; /* a post of no bytes */
        bytes[i + 1] = 0;
    }
    assert_int_equal(wire_decode((struct base_bytes){bytes, 5 + 504}, &out), BASE_E_PROTOCOL);
}

static void a_field_of_a_later_version_is_skipped(void **state)
{
    const uint8_t bytes[] = {0x08, 0x07, 0xa0, 0x06, 0x05}; /* ABDICATE, field 100 = 5 */
    struct wire_head out;

    (void)state;
    assert_int_equal(wire_decode((struct base_bytes){bytes, sizeof bytes}, &out), 0);
    assert_int_equal(out.order.kind, MESSAGE_ABDICATE);
}

/* Random damage: never a crash, and what is accepted can be encoded again. */
static void damaged_heads_do_no_harm(void **state)
{
    struct base_rng r;
    unsigned accepted = 0;
    unsigned refused = 0;

    (void)state;
    base_rng_init(&r, 1);
    for (unsigned i = 0; i < 20000; i++) {
        struct wire_head in = {.what = WIRE_IS_HELLO, .hello = big_hello()};
        struct wire_head out;
        uint8_t room[MESSAGE_HEAD_MAX];
        uint8_t again[MESSAGE_HEAD_MAX];
        size_t size;

        if (i % 2 == 0) {
            in = (struct wire_head){.what = WIRE_IS_ORDER, .order = order_of(MESSAGE_SYNC)};
            in.order.sync.count = 3;
        }
        size = wire_encode(&in, room);
        for (unsigned k = 0; k < 3; k++) {
            room[base_rng_below(&r, size)] = (uint8_t)base_rng_next(&r);
        }
        if (wire_decode((struct base_bytes){room, size}, &out) == 0) {
            accepted++;
            assert_in_range(wire_encode(&out, again), 1, MESSAGE_HEAD_MAX);
        } else {
            refused++;
        }
    }
    assert_true(accepted > 0 && refused > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hello_keeps_every_field),
        cmocka_unit_test(a_refusal_keeps_every_field),
        cmocka_unit_test(founding_keeps_the_vector),
        cmocka_unit_test(questions_and_votes_keep_every_field),
        cmocka_unit_test(beats_and_single_numbers_keep_their_values),
        cmocka_unit_test(a_sync_keeps_its_fence_posts),
        cmocka_unit_test(batches_and_forwards_keep_every_field),
        cmocka_unit_test(both_encoders_write_the_same),
        cmocka_unit_test(heads_that_lack_something_are_refused),
        cmocka_unit_test(a_head_that_asks_for_much_memory_is_refused),
        cmocka_unit_test(a_field_of_a_later_version_is_skipped),
        cmocka_unit_test(damaged_heads_do_no_harm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
