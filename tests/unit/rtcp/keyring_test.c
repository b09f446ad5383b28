/* Pre-shared keys that change while sessions live: which are accepted, which go on, what is refused. */
#include "rtcp/keyring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const uint8_t bytes[64] = "0123456789abcdef0123456789abcdef";

static struct rtcp_key key(uint32_t id)
{
    return (struct rtcp_key){id, bytes + id % 16, 32};
}

static void without_keys_the_empty_one_is_accepted(void **state)
{
    struct rtcp_keyring r = {0};

    (void)state;
    assert_int_equal(rtcp_keyring_set(&r, NULL, 0, 0), 0);
    assert_false(rtcp_keyring_current(&r)->is_set);
    assert_ptr_equal(rtcp_keyring_find(&r, 0, true), rtcp_keyring_current(&r));
    assert_null(rtcp_keyring_find(&r, 1, true));
}

static void one_opens_all_are_accepted(void **state)
{
    const struct rtcp_key keys[] = {key(1), key(2), key(3)};
    struct rtcp_keyring r = {0};

    (void)state;
    assert_int_equal(rtcp_keyring_set(&r, keys, 3, 1), 0);
    assert_int_equal(rtcp_keyring_current(&r)->id, 2);
    for (uint32_t id = 1; id <= 3; id++) {
        assert_int_equal(rtcp_keyring_find(&r, id, true)->id, id);
    }
    assert_null(rtcp_keyring_find(&r, 0, true)); /* with keys set, none is not one of them */
}

/* A session points at its key: a rotation neither moves nor forgets it. */
static void a_key_that_was_taken_away_is_kept_for_its_sessions(void **state)
{
    const struct rtcp_auth_shared *old;
    struct rtcp_keyring r = {0};

    (void)state;
    assert_int_equal(rtcp_keyring_set(&r, &(struct rtcp_key){1, bytes, 16}, 1, 0), 0);
    old = rtcp_keyring_current(&r);
    rtcp_keyring_hold(&r, old);
    for (uint32_t id = 2; id < 500; id++) {
        const struct rtcp_key next = key(id);

        assert_int_equal(rtcp_keyring_set(&r, &next, 1, 0), 0);
        assert_null(rtcp_keyring_find(&r, 1, true));
        assert_ptr_equal(rtcp_keyring_find(&r, 1, false), old);
        assert_int_equal(rtcp_keyring_current(&r)->id, id);
    }
    rtcp_keyring_release(&r, old);
    for (uint32_t id = 500; id < 500 + RTCP_KEYRING_SLOTS; id++) {
        const struct rtcp_key next = key(id);

        assert_int_equal(rtcp_keyring_set(&r, &next, 1, 0), 0);
    }
    assert_null(rtcp_keyring_find(&r, 1, false)); /* nobody needs it: its place was given away */
}

static void a_key_may_come_back(void **state)
{
    const struct rtcp_key one = key(1);
    const struct rtcp_key two = key(2);
    const struct rtcp_auth_shared *first;
    struct rtcp_keyring r = {0};

    (void)state;
    assert_int_equal(rtcp_keyring_set(&r, &one, 1, 0), 0);
    first = rtcp_keyring_current(&r);
    rtcp_keyring_hold(&r, first);
    assert_int_equal(rtcp_keyring_set(&r, &two, 1, 0), 0);
    assert_int_equal(rtcp_keyring_set(&r, &one, 1, 0), 0);
    assert_ptr_equal(rtcp_keyring_current(&r), first);
    assert_ptr_equal(rtcp_keyring_find(&r, 1, true), first);
    rtcp_keyring_release(&r, first);
}

static void an_id_names_one_key_while_sessions_hold_it(void **state)
{
    const struct rtcp_key one = {1, bytes, 32};
    const struct rtcp_key other = {1, bytes + 1, 32};
    const struct rtcp_key twice[] = {{7, bytes, 32}, {7, bytes + 1, 32}};
    struct rtcp_keyring r = {0};
    struct rtcp_keyring before;

    (void)state;
    assert_int_equal(rtcp_keyring_set(&r, &one, 1, 0), 0);
    rtcp_keyring_hold(&r, rtcp_keyring_current(&r));
    before = r;
    assert_int_equal(rtcp_keyring_set(&r, &other, 1, 0), BASE_E_EXISTS);
    assert_int_equal(rtcp_keyring_set(&r, twice, 2, 0), BASE_E_EXISTS);
    assert_memory_equal(&r, &before, sizeof r); /* nothing was changed */
    rtcp_keyring_release(&r, rtcp_keyring_current(&r));
    assert_int_equal(rtcp_keyring_set(&r, &other, 1, 0), 0);
    assert_null(rtcp_keyring_find(&r, 7, false));
}

static void too_much_is_refused_and_changes_nothing(void **state)
{
    struct rtcp_key keys[RTCP_KEYS_MAX + 1];
    const struct rtcp_key small = {1, bytes, RTCP_KEY_MIN - 1};
    const struct rtcp_key large = {1, bytes, RTCP_KEY_MAX + 1};
    const struct rtcp_key empty = {1, bytes, 0};
    struct rtcp_keyring r = {0};
    struct rtcp_keyring before;

    (void)state;
    for (uint32_t i = 0; i <= RTCP_KEYS_MAX; i++) {
        keys[i] = key(i + 1);
    }
    assert_int_equal(rtcp_keyring_set(&r, keys, RTCP_KEYS_MAX, 0), 0);
    before = r;
    assert_int_equal(rtcp_keyring_set(&r, keys, RTCP_KEYS_MAX + 1, 0), BASE_E_RANGE);
    assert_int_equal(rtcp_keyring_set(&r, keys, 2, 2), BASE_E_RANGE);
    assert_int_equal(rtcp_keyring_set(&r, &small, 1, 0), BASE_E_RANGE);
    assert_int_equal(rtcp_keyring_set(&r, &large, 1, 0), BASE_E_RANGE);
    assert_int_equal(rtcp_keyring_set(&r, &empty, 1, 0), BASE_E_RANGE);
    assert_memory_equal(&r, &before, sizeof r);
}

static void too_many_held_keys_are_a_limit(void **state)
{
    struct rtcp_keyring r = {0};
    uint32_t id;

    (void)state;
    for (id = 1; id < 100; id++) {
        const struct rtcp_key next = key(id);

        if (rtcp_keyring_set(&r, &next, 1, 0) < 0) {
            break;
        }
        rtcp_keyring_hold(&r, rtcp_keyring_current(&r));
    }
    assert_int_equal(id, RTCP_KEYRING_SLOTS + 1);
    assert_int_equal(rtcp_keyring_current(&r)->id, RTCP_KEYRING_SLOTS);
    assert_non_null(rtcp_keyring_find(&r, RTCP_KEYRING_SLOTS, true)); /* it still works with the last ones */
}

/* An answer for nobody cannot know under which key it will be read: each gets its turn. */
static void every_key_signs_for_nobody_in_turn(void **state)
{
    const struct rtcp_key keys[] = {key(1), key(2), key(3)};
    struct rtcp_keyring r = {0};
    unsigned seen = 0;

    (void)state;
    assert_int_equal(rtcp_keyring_set(&r, keys, 3, 0), 0);
    for (uint32_t i = 0; i < 3; i++) {
        seen |= 1u << rtcp_keyring_any(&r, UINT32_MAX - i)->id;
    }
    assert_int_equal(seen, 1u << 1 | 1u << 2 | 1u << 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_keys_the_empty_one_is_accepted),
        cmocka_unit_test(one_opens_all_are_accepted),
        cmocka_unit_test(a_key_that_was_taken_away_is_kept_for_its_sessions),
        cmocka_unit_test(a_key_may_come_back),
        cmocka_unit_test(an_id_names_one_key_while_sessions_hold_it),
        cmocka_unit_test(too_much_is_refused_and_changes_nothing),
        cmocka_unit_test(too_many_held_keys_are_a_limit),
        cmocka_unit_test(every_key_signs_for_nobody_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
