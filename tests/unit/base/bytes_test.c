/* Tests of rtcp/base/bytes.h. Integers on the wire are big-endian on every machine; ranges of no bytes need no address.
 */
#include "rtcp/base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void numbers_are_written_with_the_high_byte_first(void **state)
{
    uint8_t at[8];
    const uint8_t two[] = {0xab, 0xcd};
    const uint8_t four[] = {0x01, 0x23, 0x45, 0x67};
    const uint8_t eight[] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};

    (void)state;
    base_put16(at, 0xabcd);
    assert_memory_equal(at, two, 2);
    base_put32(at, 0x01234567);
    assert_memory_equal(at, four, 4);
    base_put64(at, 0x0123456789abcdef);
    assert_memory_equal(at, eight, 8);
}

static void what_was_put_is_got_also_at_odd_places(void **state)
{
    static const uint64_t values[] = {0,      1,          0x7f,       0x80,       0xff,      0x8000,
                                      0xffff, 0x80000000, 0xffffffff, 1ull << 63, UINT64_MAX};
    uint8_t room[16];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        for (size_t offset = 0; offset < 8; offset++) {
            base_put16(room + offset, (uint16_t)values[i]);
            assert_int_equal(base_get16(room + offset), (uint16_t)values[i]);
            base_put32(room + offset, (uint32_t)values[i]);
            assert_int_equal(base_get32(room + offset), (uint32_t)values[i]);
            base_put64(room + offset, values[i]);
            assert_true(base_get64(room + offset) == values[i]);
        }
    }
}

static void a_number_touches_only_its_own_bytes(void **state)
{
    uint8_t room[10] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9};

    (void)state;
    base_put64(room + 1, 0);

    assert_int_equal(room[0], 9);
    assert_int_equal(room[9], 9);
}

static void no_bytes_need_no_address(void **state)
{
    uint8_t a = 7;

    (void)state;
    base_copy(NULL, NULL, 0);
    base_move(NULL, NULL, 0);
    base_zero(NULL, 0);
    base_copy(&a, NULL, 0);

    assert_int_equal(a, 7);
    assert_true(base_equal((struct base_bytes){NULL, 0}, (struct base_bytes){&a, 0}));
}

static void equal_means_size_and_content(void **state)
{
    const uint8_t a[] = {1, 2, 3};
    const uint8_t b[] = {1, 2, 4};

    (void)state;
    assert_true(base_equal((struct base_bytes){a, 2}, (struct base_bytes){b, 2}));
    assert_false(base_equal((struct base_bytes){a, 3}, (struct base_bytes){b, 3}));
    assert_false(base_equal((struct base_bytes){a, 2}, (struct base_bytes){a, 3}));
}

static void a_move_between_overlapping_ranges_keeps_the_bytes(void **state)
{
    uint8_t up[] = {1, 2, 3, 4, 0};
    uint8_t down[] = {0, 1, 2, 3, 4};
    const uint8_t moved_up[] = {1, 1, 2, 3, 4};
    const uint8_t moved_down[] = {1, 2, 3, 4, 4};

    (void)state;
    base_move(up + 1, up, 4);
    base_move(down, down + 1, 4);

    assert_memory_equal(up, moved_up, 5);
    assert_memory_equal(down, moved_down, 5);
}

static void zero_and_copy_fill_exactly_the_range(void **state)
{
    uint8_t room[4] = {9, 9, 9, 9};
    const uint8_t zeroed[] = {9, 0, 0, 9};
    const uint8_t from[] = {5, 6};
    const uint8_t copied[] = {9, 5, 6, 9};

    (void)state;
    base_zero(room + 1, 2);
    assert_memory_equal(room, zeroed, 4);
    base_copy(room + 1, from, 2);
    assert_memory_equal(room, copied, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_written_with_the_high_byte_first),
        cmocka_unit_test(what_was_put_is_got_also_at_odd_places),
        cmocka_unit_test(a_number_touches_only_its_own_bytes),
        cmocka_unit_test(no_bytes_need_no_address),
        cmocka_unit_test(equal_means_size_and_content),
        cmocka_unit_test(a_move_between_overlapping_ranges_keeps_the_bytes),
        cmocka_unit_test(zero_and_copy_fill_exactly_the_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
