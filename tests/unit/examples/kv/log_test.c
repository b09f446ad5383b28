/* Tests of examples/kv/log.c: readable lines, and no flood. */
#include "examples/kv/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Standard error, caught in a file while a test runs. */
struct catch
{
    FILE *file;
    int saved;
    char text[2048];
};

static void begin(struct catch *c)
{
    c->file = tmpfile();
    assert_non_null(c->file);
    fflush(stderr);
    c->saved = dup(STDERR_FILENO);
    assert_true(dup2(fileno(c->file), STDERR_FILENO) >= 0);
}

static const char *end(struct catch *c)
{
    size_t size;

    fflush(stderr);
    assert_true(dup2(c->saved, STDERR_FILENO) >= 0);
    (void)close(c->saved);
    rewind(c->file);
    size = fread(c->text, 1, sizeof c->text - 1, c->file);
    c->text[size] = '\0';
    (void)fclose(c->file);
    return c->text;
}

static const struct kv_field fields[] = {{"n", NULL, 7}, {"why", "a \"quoted\"\n\x7f\\ text", 0}, {NULL, NULL, 0}};

static void an_event_is_one_line_of_text(void **state)
{
    const struct kv_log log = {.self = 3};
    struct catch c;

    (void)state;
    begin(&c);
    kv_log_event(&log, "link up", fields);
    assert_string_equal(strstr(end(&c), "kv[3]"),
                        "kv[3] link up n=7 why=\"a \\\"quoted\\\"\\u000a\\u007f\\\\ text\"\n");
}

static void an_event_is_one_line_of_json(void **state)
{
    const struct kv_log log = {.is_json = true, .self = 3};
    struct catch c;

    (void)state;
    begin(&c);
    kv_log_event(&log, "link up", fields);
    assert_string_equal(strstr(end(&c), ",\"member\""), ",\"member\":3,\"event\":\"link up\",\"n\":7,\"why\":\"a "
                                                        "\\\"quoted\\\"\\u000a\\u007f\\\\ text\"}\n");
    assert_memory_equal(c.text, "{\"at\":\"20", 9);
}

static size_t count_lines(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++) {
        count += *text == '\n' ? 1 : 0;
    }
    return count;
}

static void trouble_of_a_kind_is_told_once_a_second_with_what_was_left_out(void **state)
{
    struct kv_log log = {.self = 1};
    struct catch c;

    (void)state;
    begin(&c);
    for (unsigned i = 0; i < 1000; i++) {
        kv_log_trouble(&log, KV_TROUBLE_PROTOCOL, BASE_S(5) + BASE_MS(i), "bad", fields);
    }
    kv_log_trouble(&log, KV_TROUBLE_CLIENTS, BASE_S(5), "full", fields);
    kv_log_trouble(&log, KV_TROUBLE_PROTOCOL, BASE_S(6), "bad", fields);

    assert_int_equal(count_lines(end(&c)), 3);
    assert_non_null(strstr(c.text, "left_out=999\n"));
}

static void an_event_of_the_library_is_told_with_its_fields(void **state)
{
    struct kv_log log = {.self = 1};
    struct base_event event = {.object = "session", .id = 9, .name = "attached", .text = "resumed"};
    struct catch c;

    (void)state;
    event.field[0].key = "attempt";
    event.field[0].value = 4;
    begin(&c);
    kv_log_trace(&log, &event);
    assert_non_null(strstr(end(&c), "kv[1] attached object=\"session\" id=9 why=\"resumed\" attempt=4\n"));
}

static void strangers_on_the_members_port_are_trouble(void **state)
{
    struct kv_log log = {.self = 1};
    struct base_event session = {.at = BASE_S(5), .object = "session", .name = "attached"};
    struct base_event dropped = {
        .at = BASE_S(5), .object = "endpoint", .name = "handshake dropped", .text = "it took too long"};
    struct base_event forged = {.at = BASE_S(5), .object = "endpoint", .name = "message dropped", .text = "forged"};
    struct catch c;

    (void)state;
    begin(&c);
    kv_log_strangers(&log, &session);
    for (unsigned i = 0; i < 1000; i++) {
        kv_log_strangers(&log, &dropped);
        kv_log_strangers(&log, &forged);
    }

    assert_int_equal(count_lines(end(&c)), 2);
    assert_non_null(strstr(c.text, "handshake dropped why=\"it took too long\"\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_one_line_of_text),
        cmocka_unit_test(an_event_is_one_line_of_json),
        cmocka_unit_test(trouble_of_a_kind_is_told_once_a_second_with_what_was_left_out),
        cmocka_unit_test(an_event_of_the_library_is_told_with_its_fields),
        cmocka_unit_test(strangers_on_the_members_port_are_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
