/* Tests of rtcp/wire.h: the tables of PROTOCOL.md byte by byte, and everything that is too short or too long. */
#include "rtcp/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define NONCE_BYTES 0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf
#define TAG_BYTES   0xb0, 0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xbb, 0xbc, 0xbd, 0xbe, 0xbf

static const struct rtcp_wire_request request = {
    .kind = RTCP_WIRE_RESUME,
    .flags = 0x0102,
    .udp_port = 0x0304,
    .key_id = 0x05060708,
    .cid = 0x11121314,
    .control_id = 0x15161718,
    .attempt = 0x191a1b1c,
    .received = 0x1d1e1f20,
    .sent = 0x21222324,
    .window = 0x25262728,
    .early = 0x292a2b2c,
    .client_incarnation = 0x3132333435363738,
    .name = 0x4142434445464748,
    .server_incarnation = 0x5152535455565758,
    .nonce = {NONCE_BYTES},
    .tag = {TAG_BYTES},
};

static const uint8_t request_bytes[RTCP_WIRE_REQUEST] = {
    'H',         'F',      'L',  'D',  1,    2,    0,    92,                           /* the frozen prefix */
    0x01,        0x02,     0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x11, 0x12, 0x13, 0x14, /* flags, port, key, cid */
    0x15,        0x16,     0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, /* id, attempt, received */
    0x21,        0x22,     0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, /* sent, window, early */
    0x31,        0x32,     0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x41, 0x42, 0x43, 0x44,
    0x45,        0x46,     0x47, 0x48,                         /* client, name */
    0x51,        0x52,     0x53, 0x54, 0x55, 0x56, 0x57, 0x58, /* server */
    NONCE_BYTES, TAG_BYTES};

static const struct rtcp_wire_answer answer = {
    .kind = RTCP_WIRE_REFUSE,
    .reason = 0x01,
    .flags = 0x02,
    .version_min = 0x03,
    .version_max = 0x04,
    .udp_port = 0x0506,
    .cid = 0x11121314,
    .control_id = 0x15161718,
    .attempt = 0x191a1b1c,
    .received = 0x1d1e1f20,
    .sent = 0x21222324,
    .window = 0x25262728,
    .retry_after_ms = 0x292a2b2c,
    .incarnation = 0x3132333435363738,
    .name = 0x4142434445464748,
    .nonce = {NONCE_BYTES},
    .tag = {TAG_BYTES},
};

static const uint8_t answer_bytes[RTCP_WIRE_ANSWER] = {
    'H',         'F',      'L',  'D',  1,    19,   0,    84,                           /* the frozen prefix */
    0x01,        0x02,     0x03, 0x04, 0x05, 0x06, 0,    0,    0x11, 0x12, 0x13, 0x14, /* reason .. cid */
    0x15,        0x16,     0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x20, /* id, attempt, received */
    0x21,        0x22,     0x23, 0x24, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x2b, 0x2c, /* sent, window, retry */
    0x31,        0x32,     0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, /* who */
    NONCE_BYTES, TAG_BYTES};

/* ------------------------------------------------------------------------------------------------ handshakes */

static void a_request_is_as_the_table_says(void **state)
{
    uint8_t out[RTCP_WIRE_REQUEST];
    struct rtcp_wire_request back;

    (void)state;
    rtcp_wire_put_request(out, &request);
    assert_memory_equal(out, request_bytes, sizeof out);
    assert_int_equal(rtcp_wire_get_request((struct base_bytes){out, sizeof out}, &back), 0);
    rtcp_wire_put_request(out, &back);
    assert_memory_equal(out, request_bytes, sizeof out);
}

static void an_answer_is_as_the_table_says(void **state)
{
    uint8_t out[RTCP_WIRE_ANSWER];
    struct rtcp_wire_answer back;

    (void)state;
    rtcp_wire_put_answer(out, &answer);
    assert_memory_equal(out, answer_bytes, sizeof out);
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){out, sizeof out}, &back), 0);
    rtcp_wire_put_answer(out, &back);
    assert_memory_equal(out, answer_bytes, sizeof out);
}

static void counts_travel_as_their_low_32_bits(void **state)
{
    struct rtcp_wire_request big = request;
    struct rtcp_wire_request back;
    uint8_t out[RTCP_WIRE_REQUEST];

    (void)state;
    big.received = ((uint64_t)7 << 32) + 5;
    big.sent = ((uint64_t)9 << 32) + 6;
    rtcp_wire_put_request(out, &big);
    assert_int_equal(rtcp_wire_get_request((struct base_bytes){out, sizeof out}, &back), 0);
    assert_int_equal(back.received, 5);
    assert_int_equal(back.sent, 6);
}

/* A copy of exactly that size, so that the sanitizer sees a read beyond it. */
static uint8_t *exact(const uint8_t *bytes, size_t size, size_t room)
{
    uint8_t *copy = calloc(1, room == 0 ? 1 : room);

    assert_non_null(copy);
    memcpy(copy, bytes, size < room ? size : room);
    return copy;
}

static void a_message_that_is_too_short_is_none(void **state)
{
    struct rtcp_wire_request r;
    struct rtcp_wire_answer a;

    (void)state;
    for (size_t size = 0; size < RTCP_WIRE_REQUEST; size++) {
        uint8_t *bytes = exact(request_bytes, sizeof request_bytes, size);

        if (size >= RTCP_WIRE_PREFIX) { /* as its own prefix says, and shorter than that */
            assert_int_equal(rtcp_wire_get_request((struct base_bytes){bytes, size}, &r), BASE_E_PROTOCOL);
            base_put16(bytes + 6, (uint16_t)(size - RTCP_WIRE_PREFIX));
        }
        assert_int_equal(rtcp_wire_get_request((struct base_bytes){bytes, size}, &r), BASE_E_PROTOCOL);
        free(bytes);
    }
    for (size_t size = 0; size < RTCP_WIRE_ANSWER; size++) {
        uint8_t *bytes = exact(answer_bytes, sizeof answer_bytes, size);

        if (size >= RTCP_WIRE_PREFIX) {
            base_put16(bytes + 6, (uint16_t)(size - RTCP_WIRE_PREFIX));
        }
        assert_int_equal(rtcp_wire_get_answer((struct base_bytes){bytes, size}, &a), BASE_E_PROTOCOL);
        free(bytes);
    }
}

static void unknown_bytes_behind_a_body_are_skipped_up_to_256(void **state)
{
    struct rtcp_wire_request r;
    struct rtcp_wire_answer a;

    (void)state;
    for (size_t more = 0; more <= RTCP_WIRE_TRAILER_MAX + 4; more++) {
        size_t request_size = RTCP_WIRE_REQUEST + more;
        size_t answer_size = RTCP_WIRE_ANSWER + more;
        uint8_t *one = exact(request_bytes, sizeof request_bytes, request_size);
        uint8_t *two = exact(answer_bytes, sizeof answer_bytes, answer_size);
        int expected = more <= RTCP_WIRE_TRAILER_MAX ? 0 : BASE_E_PROTOCOL;

        base_put16(one + 6, (uint16_t)(request_size - RTCP_WIRE_PREFIX));
        base_put16(two + 6, (uint16_t)(answer_size - RTCP_WIRE_PREFIX));
        assert_int_equal(rtcp_wire_get_request((struct base_bytes){one, request_size}, &r), expected);
        assert_int_equal(rtcp_wire_get_answer((struct base_bytes){two, answer_size}, &a), expected);
        if (expected == 0) {
            assert_int_equal(r.attempt, request.attempt);
            assert_memory_equal(a.tag, answer.tag, RTCP_WIRE_TAG);
        }
        free(one);
        free(two);
    }
}

/* The first eight bytes are frozen for ever: length and version are found in any version. */
static void the_prefix_tells_length_and_version(void **state)
{
    uint8_t bytes[RTCP_WIRE_REQUEST];
    size_t total = 0;
    uint8_t version = 99;

    (void)state;
    memcpy(bytes, request_bytes, sizeof bytes);
    for (size_t size = 0; size < RTCP_WIRE_PREFIX; size++) {
        assert_int_equal(rtcp_wire_total((struct base_bytes){bytes, size}, &total, &version), 0);
        assert_int_equal(total, RTCP_WIRE_PREFIX);
        assert_int_equal(version, 0);
    }
    bytes[4] = 200;
    assert_int_equal(rtcp_wire_total((struct base_bytes){bytes, RTCP_WIRE_PREFIX}, &total, &version), 0);
    assert_int_equal(total, RTCP_WIRE_REQUEST);
    assert_int_equal(version, 200);
    base_put16(bytes + 6, RTCP_WIRE_HANDSHAKE_MAX - RTCP_WIRE_PREFIX);
    assert_int_equal(rtcp_wire_total((struct base_bytes){bytes, sizeof bytes}, &total, &version), 0);
    assert_int_equal(total, RTCP_WIRE_HANDSHAKE_MAX);
    base_put16(bytes + 6, RTCP_WIRE_HANDSHAKE_MAX - RTCP_WIRE_PREFIX + 1);
    assert_int_equal(rtcp_wire_total((struct base_bytes){bytes, sizeof bytes}, &total, &version), BASE_E_PROTOCOL);
}

/* P28: nonsense is recognised at its first wrong byte. */
static void another_magic_is_seen_at_its_first_byte(void **state)
{
    size_t total;
    uint8_t version;

    (void)state;
    for (size_t wrong = 0; wrong < 4; wrong++) {
        uint8_t bytes[RTCP_WIRE_PREFIX];

        memcpy(bytes, request_bytes, sizeof bytes);
        bytes[wrong] ^= 1;
        for (size_t size = 0; size <= sizeof bytes; size++) {
            assert_int_equal(rtcp_wire_total((struct base_bytes){bytes, size}, &total, &version),
                             size > wrong ? BASE_E_PROTOCOL : 0);
        }
    }
}

static void impossible_fields_are_refused(void **state)
{
    static const struct {
        size_t at, size;
    } zero[] = {{8 + 12, 4}, {8 + 16, 4}, {8 + 36, 8}, {8 + 8, 4}}; /* id, attempt, incarnation, cid of a RESUME */
    struct rtcp_wire_request r;
    struct rtcp_wire_answer a;
    uint8_t bytes[RTCP_WIRE_REQUEST];

    (void)state;
    for (size_t i = 0; i < sizeof zero / sizeof zero[0]; i++) {
        memcpy(bytes, request_bytes, sizeof bytes);
        memset(bytes + zero[i].at, 0, zero[i].size);
        assert_int_equal(rtcp_wire_get_request((struct base_bytes){bytes, sizeof bytes}, &r), BASE_E_PROTOCOL);
    }
    memcpy(bytes, request_bytes, sizeof bytes);
    bytes[5] = RTCP_WIRE_OPEN; /* with a cid */
    assert_int_equal(rtcp_wire_get_request((struct base_bytes){bytes, sizeof bytes}, &r), BASE_E_PROTOCOL);
    for (int kind = 0; kind < 256; kind++) {
        bytes[5] = (uint8_t)kind;
        assert_int_equal(rtcp_wire_get_request((struct base_bytes){bytes, sizeof bytes}, &r),
                         kind == RTCP_WIRE_RESUME || kind == RTCP_WIRE_CONTROL ? 0 : BASE_E_PROTOCOL);
        memcpy(bytes, answer_bytes, RTCP_WIRE_ANSWER);
        bytes[5] = (uint8_t)kind;
        assert_int_equal(rtcp_wire_get_answer((struct base_bytes){bytes, RTCP_WIRE_ANSWER}, &a),
                         kind >= RTCP_WIRE_ACCEPT && kind <= RTCP_WIRE_REFUSE ? 0 : BASE_E_PROTOCOL);
        memcpy(bytes, request_bytes, sizeof bytes);
    }
    memcpy(bytes, answer_bytes, RTCP_WIRE_ANSWER);
    bytes[5] = RTCP_WIRE_ACCEPT;
    memset(bytes + 16, 0, 4); /* no cid */
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){bytes, RTCP_WIRE_ANSWER}, &a), BASE_E_PROTOCOL);
    bytes[5] = RTCP_WIRE_REFUSE;
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){bytes, RTCP_WIRE_ANSWER}, &a), 0);
    bytes[4] = 2; /* another version */
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){bytes, RTCP_WIRE_ANSWER}, &a), BASE_E_PROTOCOL);
}

/* ------------------------------------------------------------------------------------------------ control */

struct sample {
    struct rtcp_wire_control c;
    size_t size;
    uint8_t bytes[RTCP_WIRE_CONTROL_HEADER + 48];
};

#define ECHO_BYTES 0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7
#define DATA_BYTES                                                                                                     \
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
#define ID       0x01020304
#define ID_BYTES 1, 2, 3, 4

static const struct sample sample[] = {
    {{.id = ID, .type = RTCP_WIRE_ACK, .received = 0x11121314}, 12, {ID_BYTES, 1, 1, 0, 0, 0x11, 0x12, 0x13, 0x14}},
    {{.id = ID, .type = RTCP_WIRE_REQACK, .received = 0x11121314, .ring = 0x21222324},
     16,
     {ID_BYTES, 2, 2, 0, 0, 0x11, 0x12, 0x13, 0x14, 0x21, 0x22, 0x23, 0x24}},
    {{.id = ID, .type = RTCP_WIRE_HALF_CLOSE, .flagged = true, .message_id = 0x5152, .received = 1, .final = 2},
     16,
     {ID_BYTES, 3, 0x82, 0x51, 0x52, 0, 0, 0, 1, 0, 0, 0, 2}},
    {{.id = ID, .type = RTCP_WIRE_CLOSE, .flagged = true, .message_id = 0x5152, .received = 1, .final = 2},
     16,
     {ID_BYTES, 4, 0x82, 0x51, 0x52, 0, 0, 0, 1, 0, 0, 0, 2}},
    {{.id = ID, .type = RTCP_WIRE_RESET, .flagged = true, .message_id = 7}, 12, {ID_BYTES, 5, 0x81, 0, 7, 0, 0, 0, 0}},
    {{.id = ID, .type = RTCP_WIRE_CONF, .message_id = 0xfffe}, 8, {ID_BYTES, 6, 0, 0xff, 0xfe}},
    {{.id = ID, .type = RTCP_WIRE_PROBE, .asker = 0x31323334, .attempt = 5, .echo = {ECHO_BYTES}},
     24,
     {ID_BYTES, 7, 4, 0, 0, 0x31, 0x32, 0x33, 0x34, 0, 0, 0, 5, ECHO_BYTES}},
    {{.id = ID,
      .type = RTCP_WIRE_PROBE,
      .asker = 0x31323334,
      .attempt = 5,
      .echo = {ECHO_BYTES},
      .has_data = true,
      .data = {DATA_BYTES}},
     56,
     {ID_BYTES, 7, 12, 0, 0, 0x31, 0x32, 0x33, 0x34, 0, 0, 0, 5, ECHO_BYTES, DATA_BYTES}},
    {{.id = ID, .type = RTCP_WIRE_PROBE_REPLY, .echo = {ECHO_BYTES}, .attempt = 6, .received = 7, .unread = 8},
     28,
     {ID_BYTES, 8, 5, 0, 0, ECHO_BYTES, 0, 0, 0, 6, 0, 0, 0, 7, 0, 0, 0, 8}},
    {{.id = ID, .type = RTCP_WIRE_WAKE, .flagged = true, .message_id = 9, .attempt = 3},
     12,
     {ID_BYTES, 9, 0x81, 0, 9, 0, 0, 0, 3}},
    {{.id = ID, .type = RTCP_WIRE_UNKNOWN, .echo = {ECHO_BYTES}, .incarnation = 0x4142434445464748},
     24,
     {ID_BYTES, 10, 4, 0, 0, ECHO_BYTES, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48}},
};

#define SAMPLES (sizeof sample / sizeof sample[0])

static void control_messages_are_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        uint8_t out[RTCP_WIRE_CONTROL_MAX];
        struct rtcp_wire_control back;
        struct base_bytes datagram;
        size_t size = rtcp_wire_put_control(out, &sample[i].c);

        assert_int_equal(size, sample[i].size);
        assert_memory_equal(out, sample[i].bytes, size);
        memset(out + size, 0x77, RTCP_WIRE_CONTROL_TAG);
        datagram = (struct base_bytes){out, size + RTCP_WIRE_CONTROL_TAG};
        assert_int_equal(rtcp_wire_get_control(&datagram, &back), 0);
        assert_int_equal(datagram.size, 0);
        assert_int_equal(back.signed_bytes.size, size);
        assert_int_equal(back.tag[7], 0x77);
        back.signed_bytes = (struct base_bytes){NULL, 0};
        memset(back.tag, 0, sizeof back.tag);
        assert_memory_equal(&back, &sample[i].c, sizeof back);
    }
}

static void a_control_message_that_is_too_short_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t whole = sample[i].size + RTCP_WIRE_CONTROL_TAG;

        for (size_t size = 0; size < whole; size++) {
            uint8_t *bytes = exact(sample[i].bytes, sample[i].size, size);
            struct base_bytes datagram = {bytes, size};
            struct rtcp_wire_control back;

            assert_int_equal(rtcp_wire_get_control(&datagram, &back), BASE_E_PROTOCOL);
            free(bytes);
        }
    }
}

/* The flag byte tells fewer words than the type needs; more are allowed and skipped. */
static void the_number_of_words_is_checked_against_the_type(void **state)
{
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        size_t needed = (sample[i].size - RTCP_WIRE_CONTROL_HEADER) / 4;

        for (size_t words = 0; words < 64; words++) {
            uint8_t bytes[RTCP_WIRE_CONTROL_MAX] = {0};
            struct base_bytes datagram = {bytes, RTCP_WIRE_CONTROL_HEADER + words * 4 + RTCP_WIRE_CONTROL_TAG};
            bool may_be_shorter = sample[i].c.has_data && words >= 4;
            struct rtcp_wire_control back;

            memcpy(bytes, sample[i].bytes, sample[i].size);
            bytes[5] = (uint8_t)((sample[i].c.flagged ? RTCP_WIRE_FLAGGED : 0) | words);
            assert_int_equal(rtcp_wire_get_control(&datagram, &back),
                             words >= needed || may_be_shorter ? 0 : BASE_E_PROTOCOL);
            if (words >= needed) {
                assert_int_equal(back.received, sample[i].c.received);
                assert_int_equal(back.signed_bytes.size, RTCP_WIRE_CONTROL_HEADER + words * 4);
            }
        }
    }
}

static void several_messages_share_a_datagram(void **state)
{
    uint8_t bytes[1200] = {0};
    struct base_bytes datagram = {bytes, 0};
    struct rtcp_wire_control back;

    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        memcpy(bytes + datagram.size, sample[i].bytes, sample[i].size);
        datagram.size += sample[i].size + RTCP_WIRE_CONTROL_TAG;
    }
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_int_equal(rtcp_wire_get_control(&datagram, &back), 0);
        assert_int_equal(back.type, sample[i].c.type);
    }
    assert_int_equal(datagram.size, 0);
    assert_int_equal(rtcp_wire_get_control(&datagram, &back), BASE_E_PROTOCOL);
}

static void a_type_that_is_not_known_comes_out_with_its_head(void **state)
{
    uint8_t bytes[RTCP_WIRE_CONTROL_HEADER + 8 + RTCP_WIRE_CONTROL_TAG] = {9, 8, 7, 6, 200, 0x82, 0x12, 0x34};
    struct base_bytes datagram = {bytes, sizeof bytes};
    struct rtcp_wire_control back;

    (void)state;
    assert_int_equal(rtcp_wire_get_control(&datagram, &back), 0);
    assert_int_equal(back.id, 0x09080706);
    assert_int_equal(back.type, 200);
    assert_true(back.flagged);
    assert_int_equal(back.message_id, 0x1234);
    assert_int_equal(back.signed_bytes.size, 16);
}

/* ------------------------------------------------------------------------------------------------ counts */

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* P1: the 64-bit value nearest to what is expected, wherever the low 32 bits turn. */
static void a_count_is_extended_to_the_nearest_value(void **state)
{
    static const uint64_t around[] = {0,
                                      1,
                                      1u << 30,
                                      (uint64_t)1 << 31,
                                      (uint64_t)1 << 32,
                                      ((uint64_t)1 << 32) + 5,
                                      (uint64_t)3 << 31,
                                      (uint64_t)77 << 32,
                                      (uint64_t)1 << 62};
    static const uint64_t step[] = {0, 1, 2, 1000, 1u << 30, (1u << 31) - 1};

    (void)state;
    for (size_t i = 0; i < sizeof around / sizeof around[0]; i++) {
        for (int shift = -3; shift <= 3; shift++) {
            uint64_t near = around[i] + (uint64_t)shift;

            if (shift < 0 && around[i] < 4) {
                continue;
            }
            for (size_t j = 0; j < sizeof step / sizeof step[0]; j++) {
                uint64_t above = near + step[j];

                assert_int_equal(rtcp_wire_extend((uint32_t)above, near), above);
                if (near >= step[j]) {
                    assert_int_equal(rtcp_wire_extend((uint32_t)(near - step[j]), near), near - step[j]);
                }
            }
        }
    }
}

static void an_extended_count_is_never_far_and_never_negative(void **state)
{
    (void)state;
    for (uint64_t near = 0; near < ((uint64_t)5 << 32); near += 0x12345677) {
        for (uint64_t low = 0; low <= UINT32_MAX; low += 0x10000001) {
            uint64_t got = rtcp_wire_extend((uint32_t)low, near);

            assert_int_equal((uint32_t)got, low);
            assert_true(distance(got, near) <= (uint64_t)1 << 31 || got <= UINT32_MAX);
        }
    }
    assert_int_equal(rtcp_wire_extend(UINT32_MAX, 0), UINT32_MAX); /* there is nothing below 0 */
    assert_int_equal(rtcp_wire_extend(UINT32_MAX, (uint64_t)1 << 32), UINT32_MAX);
    assert_int_equal(rtcp_wire_extend(0, UINT32_MAX), (uint64_t)1 << 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_as_the_table_says),
        cmocka_unit_test(an_answer_is_as_the_table_says),
        cmocka_unit_test(counts_travel_as_their_low_32_bits),
        cmocka_unit_test(a_message_that_is_too_short_is_none),
        cmocka_unit_test(unknown_bytes_behind_a_body_are_skipped_up_to_256),
        cmocka_unit_test(the_prefix_tells_length_and_version),
        cmocka_unit_test(another_magic_is_seen_at_its_first_byte),
        cmocka_unit_test(impossible_fields_are_refused),
        cmocka_unit_test(control_messages_are_as_the_table_says),
        cmocka_unit_test(a_control_message_that_is_too_short_is_none),
        cmocka_unit_test(the_number_of_words_is_checked_against_the_type),
        cmocka_unit_test(several_messages_share_a_datagram),
        cmocka_unit_test(a_type_that_is_not_known_comes_out_with_its_head),
        cmocka_unit_test(a_count_is_extended_to_the_nearest_value),
        cmocka_unit_test(an_extended_count_is_never_far_and_never_negative),
    };

    return cmocka_run_group_tests_name("unit/rtcp/wire", tests, NULL, NULL);
}
