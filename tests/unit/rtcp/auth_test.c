/* Tests of rtcp/auth.h. P1 (64-bit counts under the tag), P63, P64. */
#include "rtcp/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint8_t client_nonce[RTCP_WIRE_NONCE] = "client's nonce.";
static const uint8_t server_nonce[RTCP_WIRE_NONCE] = "server's nonce.";

static struct base_bytes text(const char *s)
{
    return (struct base_bytes){(const uint8_t *)s, strlen(s)};
}

static struct rtcp_auth_shared shared_of(const char *key)
{
    struct rtcp_auth_shared s;

    rtcp_auth_shared_init(&s, text(key), 3);
    return s;
}

static struct rtcp_auth_keys keys_of(const char *key)
{
    struct rtcp_auth_shared s = shared_of(key);
    struct rtcp_auth_keys k;

    rtcp_auth_derive(&k, &s, client_nonce, server_nonce);
    return k;
}

static void without_a_key_the_shared_key_is_zeros(void **state)
{
    static const uint8_t zeros[RTCP_AUTH_KEY];
    struct rtcp_auth_shared none = shared_of("");

    (void)state;
    assert_false(none.is_set);
    assert_int_equal(none.id, 0);
    assert_memory_equal(none.key, zeros, sizeof zeros);
    assert_memory_not_equal(none.unknown_key, zeros, sizeof none.unknown_key);
}

static void a_key_of_any_length_makes_another_shared_key(void **state)
{
    struct rtcp_auth_shared a = shared_of("0123456789abcdef");
    struct rtcp_auth_shared b = shared_of("0123456789abcdeg");

    (void)state;
    assert_true(a.is_set);
    assert_int_equal(a.id, 3);
    assert_memory_not_equal(a.key, b.key, sizeof a.key);
    assert_memory_not_equal(a.unknown_key, b.unknown_key, sizeof a.unknown_key);
}

/* One key per direction and purpose: a message cannot be sent back to its sender, nor be taken for another kind. */
static void keys_are_separate(void **state)
{
    struct rtcp_auth_keys k = keys_of("secret secret secret");

    (void)state;
    assert_memory_not_equal(k.handshake_up, k.handshake_down, RTCP_AUTH_KEY);
    assert_memory_not_equal(k.control_up, k.control_down, RTCP_AUTH_CONTROL_KEY);
    assert_memory_not_equal(k.handshake_up, k.control_up, RTCP_AUTH_CONTROL_KEY);
    assert_memory_not_equal(k.handshake_down, k.control_down, RTCP_AUTH_CONTROL_KEY);
}

static void keys_depend_on_both_nonces_and_the_shared_key(void **state)
{
    struct rtcp_auth_shared s = shared_of("secret secret secret");
    struct rtcp_auth_keys k = keys_of("secret secret secret");
    struct rtcp_auth_keys again;
    uint8_t other[RTCP_WIRE_NONCE] = "client's noncf.";

    (void)state;
    rtcp_auth_derive(&again, &s, client_nonce, server_nonce);
    assert_memory_equal(&again, &k, sizeof k);
    rtcp_auth_derive(&again, &s, other, server_nonce);
    assert_memory_not_equal(again.control_up, k.control_up, RTCP_AUTH_CONTROL_KEY);
    rtcp_auth_derive(&again, &s, client_nonce, other);
    assert_memory_not_equal(again.control_up, k.control_up, RTCP_AUTH_CONTROL_KEY);
    rtcp_auth_derive(&again, &s, server_nonce, client_nonce);
    assert_memory_not_equal(again.control_up, k.control_up, RTCP_AUTH_CONTROL_KEY);
    again = keys_of("secret secret secreT");
    assert_memory_not_equal(again.control_up, k.control_up, RTCP_AUTH_CONTROL_KEY);
}

/* An old count that has wrapped into the window has the same 32 bits and another tag. */
static void all_64_bits_of_the_counts_are_under_the_tags(void **state)
{
    struct rtcp_auth_keys k = keys_of("");
    struct base_bytes message = text("the same bytes on the wire");
    uint8_t handshake[RTCP_WIRE_TAG], control[RTCP_WIRE_CONTROL_TAG];

    (void)state;
    rtcp_auth_handshake(handshake, k.handshake_up, message, 5, 6, NULL);
    rtcp_auth_control(control, k.control_up, message, 5, 6);
    for (int bit = 0; bit < 64; bit++) {
        uint64_t flip = (uint64_t)1 << bit;
        uint8_t h[RTCP_WIRE_TAG], c[RTCP_WIRE_CONTROL_TAG];

        rtcp_auth_handshake(h, k.handshake_up, message, 5 ^ flip, 6, NULL);
        assert_false(rtcp_auth_equal(h, handshake, sizeof h));
        rtcp_auth_handshake(h, k.handshake_up, message, 5, 6 ^ flip, NULL);
        assert_false(rtcp_auth_equal(h, handshake, sizeof h));
        rtcp_auth_control(c, k.control_up, message, 5 ^ flip, 6);
        assert_false(rtcp_auth_equal(c, control, sizeof c));
        rtcp_auth_control(c, k.control_up, message, 5, 6 ^ flip);
        assert_false(rtcp_auth_equal(c, control, sizeof c));
    }
}

static void every_bit_of_a_handshake_is_signed(void **state)
{
    struct rtcp_auth_keys k = keys_of("");
    struct rtcp_wire_request r = {.kind = RTCP_WIRE_RESUME, .cid = 1, .control_id = 2, .attempt = 3, .received = 4};
    uint8_t bytes[RTCP_WIRE_REQUEST];

    (void)state;
    rtcp_wire_put_request(bytes, &r);
    rtcp_auth_sign(bytes, sizeof bytes, k.handshake_up, 4, 0, NULL);
    assert_true(rtcp_auth_is_signed(bytes, sizeof bytes, k.handshake_up, 4, 0, NULL));
    assert_false(rtcp_auth_is_signed(bytes, sizeof bytes, k.handshake_down, 4, 0, NULL));
    for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(rtcp_auth_is_signed(bytes, sizeof bytes, k.handshake_up, 4, 0, NULL));
        bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

/* An answer belongs to one request: a copy of it answers no other. */
static void an_answer_is_bound_to_the_nonce_of_its_request(void **state)
{
    struct rtcp_auth_keys k = keys_of("");
    struct rtcp_wire_answer a = {.kind = RTCP_WIRE_RESUMED, .cid = 1, .attempt = 3, .incarnation = 9};
    uint8_t bytes[RTCP_WIRE_ANSWER];

    (void)state;
    rtcp_wire_put_answer(bytes, &a);
    rtcp_auth_sign(bytes, sizeof bytes, k.handshake_down, 1, 2, client_nonce);
    assert_true(rtcp_auth_is_signed(bytes, sizeof bytes, k.handshake_down, 1, 2, client_nonce));
    assert_false(rtcp_auth_is_signed(bytes, sizeof bytes, k.handshake_down, 1, 2, server_nonce));
    assert_false(rtcp_auth_is_signed(bytes, sizeof bytes, k.handshake_down, 1, 2, NULL));
}

static void a_confirm_proves_the_key_and_this_opening(void **state)
{
    struct rtcp_auth_keys k = keys_of("secret secret secret");
    struct rtcp_auth_keys other = keys_of("another secret of ours");
    uint8_t right[RTCP_WIRE_TAG], wrong[RTCP_WIRE_TAG];

    (void)state;
    rtcp_auth_confirm(right, &k, server_nonce);
    rtcp_auth_confirm(wrong, &other, server_nonce);
    assert_false(rtcp_auth_equal(right, wrong, sizeof right));
    rtcp_auth_confirm(wrong, &k, client_nonce);
    assert_false(rtcp_auth_equal(right, wrong, sizeof right));
    rtcp_auth_confirm(wrong, &k, server_nonce);
    assert_true(rtcp_auth_equal(right, wrong, sizeof right));
}

static void the_largest_control_message_can_be_signed(void **state)
{
    struct rtcp_auth_keys k = keys_of("");
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX - RTCP_WIRE_CONTROL_TAG] = {1};
    uint8_t one[RTCP_WIRE_CONTROL_TAG], two[RTCP_WIRE_CONTROL_TAG];

    (void)state;
    rtcp_auth_control(one, k.control_up, (struct base_bytes){bytes, sizeof bytes}, 0, 0);
    bytes[sizeof bytes - 1] = 1;
    rtcp_auth_control(two, k.control_up, (struct base_bytes){bytes, sizeof bytes}, 0, 0);
    assert_memory_not_equal(one, two, sizeof one);
}

static void names_are_numbers_that_are_never_zero(void **state)
{
    (void)state;
    assert_int_equal(rtcp_auth_name(text("kv")), rtcp_auth_name(text("kv")));
    assert_int_not_equal(rtcp_auth_name(text("kv")), rtcp_auth_name(text("kw")));
    assert_int_not_equal(rtcp_auth_name(text("")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_key_the_shared_key_is_zeros),
        cmocka_unit_test(a_key_of_any_length_makes_another_shared_key),
        cmocka_unit_test(keys_are_separate),
        cmocka_unit_test(keys_depend_on_both_nonces_and_the_shared_key),
        cmocka_unit_test(all_64_bits_of_the_counts_are_under_the_tags),
        cmocka_unit_test(every_bit_of_a_handshake_is_signed),
        cmocka_unit_test(an_answer_is_bound_to_the_nonce_of_its_request),
        cmocka_unit_test(a_confirm_proves_the_key_and_this_opening),
        cmocka_unit_test(the_largest_control_message_can_be_signed),
        cmocka_unit_test(names_are_numbers_that_are_never_zero),
    };

    return cmocka_run_group_tests_name("unit/rtcp/auth", tests, NULL, NULL);
}
