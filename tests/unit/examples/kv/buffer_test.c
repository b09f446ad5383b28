/* Tests of examples/kv/buffer.c: first in, first out, within the limit. */
#include "examples/kv/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static void bytes_leave_in_the_order_they_came(void **state)
{
    uint8_t next_in = 0;
    uint8_t next_out = 0;
    struct kv_buffer b;

    (void)state;
    kv_buffer_init(&b, 100000);
    for (size_t round = 0; round < 2000; round++) {
        for (size_t i = 0; i < round % 97; i++) {
            kv_buffer_add(&b, &next_in, 1);
            next_in++;
        }
        for (size_t i = 0; i < round % 89 && kv_buffer_size(&b) > 0; i++) {
            assert_int_equal(kv_buffer_bytes(&b).data[0], next_out);
            kv_buffer_take(&b, 1);
            next_out++;
        }
    }
    assert_false(b.is_full);
    kv_buffer_deinit(&b);
}

static void what_does_not_fit_is_left_out_whole_and_noted(void **state)
{
    struct kv_buffer b;

    (void)state;
    kv_buffer_init(&b, 10);
    kv_buffer_add(&b, "1234567", 7);
    kv_buffer_add(&b, "8901", 4);

    assert_true(b.is_full);
    assert_int_equal(kv_buffer_size(&b), 7);
    kv_buffer_add(&b, "8", 1);
    assert_int_equal(kv_buffer_size(&b), 7);
    kv_buffer_deinit(&b);
}

static void what_was_taken_makes_room_again(void **state)
{
    struct kv_buffer b;

    (void)state;
    kv_buffer_init(&b, 10);
    for (size_t i = 0; i < 100; i++) {
        kv_buffer_add(&b, "1234567", 7);
        assert_memory_equal(kv_buffer_bytes(&b).data, "1234567", 7);
        kv_buffer_take(&b, 7);
    }
    assert_false(b.is_full);
    assert_true(b.room <= 128);
    kv_buffer_deinit(&b);
}

static void a_reset_gives_large_memory_back(void **state)
{
    static uint8_t large[5000];
    struct kv_buffer b;

    (void)state;
    kv_buffer_init(&b, 10000);
    kv_buffer_add(&b, large, sizeof large);
    kv_buffer_reset(&b, 100000);
    assert_true(b.room >= sizeof large);
    kv_buffer_reset(&b, 1000);
    assert_int_equal(b.room, 0);
    assert_int_equal(kv_buffer_size(&b), 0);
}

static void printing_appends(void **state)
{
    struct kv_buffer b;

    (void)state;
    kv_buffer_init(&b, 100);
    kv_buffer_add_text(&b, "a=");
    kv_buffer_print(&b, "%d;", 5);

    assert_int_equal(kv_buffer_size(&b), 4);
    assert_memory_equal(kv_buffer_bytes(&b).data, "a=5;", 4);
    kv_buffer_deinit(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_leave_in_the_order_they_came),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole_and_noted),
        cmocka_unit_test(what_was_taken_makes_room_again),
        cmocka_unit_test(a_reset_gives_large_memory_back),
        cmocka_unit_test(printing_appends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
