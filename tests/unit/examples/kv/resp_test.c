/* Tests of examples/kv/resp.c: every command at every split point, and clear errors for what is no command. */
#include "examples/kv/resp.h"

#include "examples/kv/args.h"
#include "examples/kv/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Writes a command as "<a><b>" to text. */
static void spell(struct base_bytes command, char *text, size_t room)
{
    struct kv_args args;
    size_t used = strlen(text);

    kv_args_init(&args);
    assert_int_equal(kv_args_parse(&args, command), 0);
    for (size_t i = 0; i < args.count && used < room; i++) {
        used +=
            (size_t)snprintf(text + used, room - used, "<%.*s>", (int)args.at[i].size, (const char *)args.at[i].data);
    }
    (void)snprintf(text + used, room - used, ";");
    kv_args_deinit(&args);
}

/* Reads all commands that are there; an error ends the text. */
static enum kv_resp_result read_all(struct kv_resp *r, char *text, size_t room)
{
    enum kv_resp_result result;
    struct base_bytes command;

    while ((result = kv_resp_next(r, &command)) == KV_RESP_COMMAND) {
        spell(command, text, room);
    }
    if (result == KV_RESP_ERROR) {
        (void)snprintf(text + strlen(text), room - strlen(text), "!%s", r->error);
    }
    return result;
}

/* Feeds input in two pieces split at `at`, and compares. */
static void expect_split(const char *input, size_t size, size_t at, const char *expected)
{
    char text[512] = "";
    struct kv_resp r;

    kv_resp_init(&r);
    kv_resp_feed(&r, input, at);
    if (read_all(&r, text, sizeof text) != KV_RESP_ERROR) {
        kv_resp_feed(&r, input + at, size - at);
        (void)read_all(&r, text, sizeof text);
    }
    assert_string_equal(text, expected);
    kv_resp_deinit(&r);
}

static void expect(const char *input, const char *expected)
{
    size_t size = strlen(input);
    char text[512] = "";
    struct kv_resp r;

    for (size_t at = 0; at <= size; at++) {
        expect_split(input, size, at, expected);
    }
    kv_resp_init(&r);
    for (size_t i = 0; i < size; i++) {
        kv_resp_feed(&r, input + i, 1);
        if (read_all(&r, text, sizeof text) == KV_RESP_ERROR) {
            break;
        }
    }
    assert_string_equal(text, expected);
    kv_resp_deinit(&r);
}

static void arrays_are_commands_at_every_split(void **state)
{
    (void)state;
    expect("*1\r\n$4\r\nPING\r\n", "<PING>;");
    expect("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n", "<SET><k><>;");
    expect("*2\r\n$3\r\nGET\r\n$4\r\na\r\nb\r\n", "<GET><a\r\nb>;");
    expect("*1\r\n$1\r\na\r\n*1\r\n$1\r\nb\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n", "<a>;<b>;<c><d>;");
}

static void lines_are_commands_at_every_split(void **state)
{
    (void)state;
    expect("PING\r\n", "<PING>;");
    expect("PING\n", "<PING>;");
    expect("  set  k\t'v w' \r\n", "<set><k><v w>;");
    expect("set k \"a\\x41\\n\\\"\\\\z\\q\"\r\n", "<set><k><aA\n\"\\zq>;");
    expect("set k 'it\\'s \\n'\r\n", "<set><k><it's \\n>;");
    expect("echo \"\"\r\n", "<echo><>;");
    expect("echo a\"b c\"\r\n", "<echo><ab c>;");
}

static void lines_and_arrays_may_follow_each_other(void **state)
{
    (void)state;
    expect("PING\r\n*1\r\n$1\r\na\r\nGET x\r\n*1\r\n$1\r\nb\r\n", "<PING>;<a>;<GET><x>;<b>;");
}

/* redis-cli --pipe ends with an empty line and an ECHO. */
static void empty_commands_are_passed_over(void **state)
{
    (void)state;
    expect("\r\n*2\r\n$4\r\nECHO\r\n$1\r\nx\r\n", "<ECHO><x>;");
    expect("*0\r\n*-1\r\n   \r\n\nPING\r\n", "<PING>;");
}

static void what_is_no_command_is_refused_with_a_reason(void **state)
{
    (void)state;
    expect("*a\r\n", "!Protocol error: invalid multibulk length");
    expect("*65537\r\n", "!Protocol error: invalid multibulk length");
    expect("*99999999999999999999\r\n", "!Protocol error: invalid multibulk length");
    expect("*1\r\n$-1\r\n", "!Protocol error: invalid bulk length");
    expect("*1\r\n$x\r\n", "!Protocol error: invalid bulk length");
    expect("*1\r\n$1048577\r\n", "!Protocol error: invalid bulk length");
    expect("*1\r\n$9999999999999999\r\n", "!Protocol error: invalid bulk length");
    expect("*1\r\n:5\r\n", "!Protocol error: expected '$', got ':'");
    expect("*1\r\n+x\r\n", "!Protocol error: expected '$', got '+'");
    expect("*1\r\n-x\r\n", "!Protocol error: expected '$', got '-'");
    expect("*1\r\n*1\r\n$1\r\na\r\n", "!Protocol error: expected '$', got '*'");
    expect("set k \"v\r\n", "!Protocol error: unbalanced quotes in request");
    expect("set k \"v\"w\r\n", "!Protocol error: unbalanced quotes in request");
    expect("PING\r\n*1\r\n$x\r\nPING\r\n", "<PING>;!Protocol error: invalid bulk length");
}

static void another_type_byte_is_refused(void **state)
{
    char text[256] = "";
    struct kv_resp r;

    (void)state;
    kv_resp_init(&r);
    kv_resp_feed(&r, "*1\r\n?", 5);

    assert_int_equal(read_all(&r, text, sizeof text), KV_RESP_ERROR);
    assert_string_equal(text, "!Protocol error: expected '$'");
    kv_resp_deinit(&r);
}

/* Feeds the same piece again and again; nothing may be held beyond size_max. */
static void feed_until_refused(const char *start, const char *piece, size_t size_max, const char *why)
{
    enum kv_resp_result result = KV_RESP_MORE;
    char text[256] = "";
    struct kv_resp r;

    kv_resp_init(&r);
    kv_resp_feed(&r, start, strlen(start));
    while (result == KV_RESP_MORE) {
        struct base_bytes command;

        kv_resp_feed(&r, piece, strlen(piece));
        result = kv_resp_next(&r, &command);
        assert_true(kv_resp_size(&r) <= size_max);
    }
    assert_int_equal(read_all(&r, text, sizeof text), KV_RESP_ERROR);
    assert_string_equal(text, why);
    assert_int_equal(kv_resp_size(&r), 0);
    kv_resp_deinit(&r);
}

static void endless_heads_and_lines_do_not_grow(void **state)
{
    (void)state;
    feed_until_refused("", "xxxxxxxxxxxxxxxx", KV_INLINE_MAX + 64, "!Protocol error: too big inline request");
    feed_until_refused("*", "1111", 256, "!Protocol error: too big length of a bulk or an array");
    feed_until_refused("*1\r\n$", "0000", 256, "!Protocol error: too big length of a bulk or an array");
}

static void an_argument_and_a_command_may_reach_their_limits(void **state)
{
    static uint8_t bulk[KV_BULK_MAX + 2];
    enum kv_resp_result result = KV_RESP_MORE;
    struct base_bytes command;
    struct kv_resp r;
    size_t count = 0;

    (void)state;
    bulk[KV_BULK_MAX] = '\r';
    bulk[KV_BULK_MAX + 1] = '\n';
    kv_resp_init(&r);
    kv_resp_feed(&r, "*1\r\n$1048576\r\n", 14);
    assert_int_equal(kv_resp_next(&r, &command), KV_RESP_MORE);
    kv_resp_feed(&r, bulk, sizeof bulk);
    assert_int_equal(kv_resp_next(&r, &command), KV_RESP_COMMAND);
    assert_int_equal(command.size, KV_BULK_MAX + 8);

    kv_resp_feed(&r, "*64\r\n", 5);
    while (result == KV_RESP_MORE) {
        kv_resp_feed(&r, "$1048576\r\n", 10);
        kv_resp_feed(&r, bulk, sizeof bulk);
        result = kv_resp_next(&r, &command);
        assert_true(++count < 64);
    }
    assert_int_equal(result, KV_RESP_ERROR);
    assert_int_equal(count, KV_COMMAND_MAX / KV_BULK_MAX);
    assert_string_equal(r.error, "Protocol error: the command is too large");
    kv_resp_deinit(&r);
}

static void small_commands_for_ever_hold_no_memory(void **state)
{
    struct base_bytes command;
    struct kv_resp r;

    (void)state;
    kv_resp_init(&r);
    assert_int_equal(kv_resp_next(&r, &command), KV_RESP_MORE);
    for (size_t i = 0; i < 20000; i++) {
        kv_resp_feed(&r, "G x\r\nGET", 8); /* ends in mid-line each time */
        assert_int_equal(kv_resp_next(&r, &command), KV_RESP_COMMAND);
        assert_int_equal(kv_resp_next(&r, &command), KV_RESP_MORE);
        kv_resp_feed(&r, " y\r\n*1\r\n$1\r\nz\r\n", 15);
        assert_int_equal(kv_resp_next(&r, &command), KV_RESP_COMMAND);
        assert_int_equal(kv_resp_next(&r, &command), KV_RESP_COMMAND);
    }
    assert_int_equal(kv_resp_next(&r, &command), KV_RESP_MORE);
    assert_true(kv_resp_size(&r) < 64);
    kv_resp_deinit(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_are_commands_at_every_split),
        cmocka_unit_test(lines_are_commands_at_every_split),
        cmocka_unit_test(lines_and_arrays_may_follow_each_other),
        cmocka_unit_test(empty_commands_are_passed_over),
        cmocka_unit_test(what_is_no_command_is_refused_with_a_reason),
        cmocka_unit_test(another_type_byte_is_refused),
        cmocka_unit_test(endless_heads_and_lines_do_not_grow),
        cmocka_unit_test(an_argument_and_a_command_may_reach_their_limits),
        cmocka_unit_test(small_commands_for_ever_hold_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
