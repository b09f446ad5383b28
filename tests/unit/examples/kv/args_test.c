/* Tests of examples/kv/args.c: what is encoded is what is read, and nothing else is read. */
#include "examples/kv/args.h"

#include "examples/kv/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

static struct base_bytes text(const char *s)
{
    return (struct base_bytes){(const uint8_t *)s, strlen(s)};
}

static void a_command_comes_back_as_its_arguments(void **state)
{
    struct kv_buffer b;
    struct kv_args a;

    (void)state;
    kv_buffer_init(&b, 1000);
    kv_args_init(&a);
    kv_command_begin(&b);
    kv_command_add(&b, text("SET"));
    kv_command_add(&b, text(""));
    kv_command_add(&b, (struct base_bytes){(const uint8_t *)"\0\r\n", 3});

    assert_int_equal(kv_command_count(&b), 3);
    assert_int_equal(kv_args_parse(&a, kv_buffer_bytes(&b)), 0);
    assert_int_equal(a.count, 3);
    assert_true(base_equal(a.at[0], text("SET")));
    assert_int_equal(a.at[1].size, 0);
    assert_memory_equal(a.at[2].data, "\0\r\n", 3);
    kv_args_deinit(&a);
    kv_buffer_deinit(&b);
}

static void every_cut_and_every_addition_is_refused(void **state)
{
    struct kv_buffer b;
    struct kv_args a;

    (void)state;
    kv_buffer_init(&b, 1000);
    kv_args_init(&a);
    kv_command_begin(&b);
    kv_command_add(&b, text("GET"));
    kv_command_add(&b, text("key"));
    for (size_t size = 0; size < kv_buffer_size(&b); size++) {
        assert_int_equal(kv_args_parse(&a, (struct base_bytes){kv_buffer_bytes(&b).data, size}), BASE_E_PROTOCOL);
        assert_int_equal(a.count, 0);
    }
    kv_buffer_add(&b, "x", 1);

    assert_int_equal(kv_args_parse(&a, kv_buffer_bytes(&b)), BASE_E_PROTOCOL);
    kv_args_deinit(&a);
    kv_buffer_deinit(&b);
}

static void no_argument_and_too_many_are_refused(void **state)
{
    uint8_t none[4] = {0, 0, 0, 0};
    size_t size = 4 + (KV_ARGS_MAX + 1) * 4;
    uint8_t *many = calloc(1, size);
    struct kv_args a;

    (void)state;
    kv_args_init(&a);
    assert_non_null(many);
    base_put32(many, KV_ARGS_MAX + 1);
    assert_int_equal(kv_args_parse(&a, (struct base_bytes){none, 4}), BASE_E_PROTOCOL);
    assert_int_equal(kv_args_parse(&a, (struct base_bytes){many, size}), BASE_E_PROTOCOL);
    base_put32(many, KV_ARGS_MAX);
    assert_int_equal(kv_args_parse(&a, (struct base_bytes){many, size - 4}), 0);
    assert_int_equal(a.count, KV_ARGS_MAX);
    free(many);
    kv_args_deinit(&a);
}

static void words_are_compared_in_any_case(void **state)
{
    struct base_bytes at[1] = {text("Get")};
    struct kv_args a = {.count = 1, .at = at};

    (void)state;
    assert_true(kv_args_is(&a, 0, "GET"));
    assert_true(kv_args_is(&a, 0, "get"));
    assert_false(kv_args_is(&a, 0, "gets"));
    assert_false(kv_args_is(&a, 0, "ge"));
}

static void numbers_are_read_as_redis_reads_them(void **state)
{
    static const struct {
        const char *text;
        bool is_number;
        int64_t number;
    } rows[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"-1", true, -1},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"99999999999999999999", false, 0},
        {"999999999999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"01", false, 0},
        {"-0", false, 0},
        {"1.5", false, 0},
        {"0x10", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t number = 42;

        assert_int_equal(kv_number_parse(text(rows[i].text), &number), rows[i].is_number);
        assert_true(number == (rows[i].is_number ? rows[i].number : 42));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_comes_back_as_its_arguments),
        cmocka_unit_test(every_cut_and_every_addition_is_refused),
        cmocka_unit_test(no_argument_and_too_many_are_refused),
        cmocka_unit_test(words_are_compared_in_any_case),
        cmocka_unit_test(numbers_are_read_as_redis_reads_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
