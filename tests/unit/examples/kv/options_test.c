/* Tests of examples/kv/options.c: what is understood, and a sentence for what is not. */
#include "examples/kv/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGS_MAX 32

/* Reads a command line given as words between spaces. */
static int read_line(struct kv_options *o, char *line)
{
    char name[] = "kv";
    char *argv[ARGS_MAX + 1] = {name};
    int argc = 1;

    for (char *word = line; *word != '\0' && argc < ARGS_MAX; argc++) {
        size_t size = strcspn(word, " ");

        argv[argc] = word;
        if (word[size] == ' ') {
            word[size++] = '\0';
        }
        word += size;
    }
    optind = 0;
    return kv_options_read(o, argc, argv);
}

static int read_text(struct kv_options *o, const char *text)
{
    static char line[1024];

    (void)snprintf(line, sizeof line, "%s", text);
    return read_line(o, line);
}

static void a_full_command_line_is_understood(void **state)
{
    struct kv_options o;

    (void)state;
    assert_int_equal(read_text(&o, "--id 2 --members 1=a:1,2=[::1]:2,3=c:3 --listen :6379 --name n --token 9 "
                                   "--group-listen 0.0.0.0:5 --election-ms 150 --submit-ms 100 --clients 5 --log json "
                                   "--trace"),
                     0);
    assert_int_equal(o.self, 2);
    assert_int_equal(o.member_count, 3);
    assert_int_equal(o.member[1].id, 2);
    assert_string_equal(o.member[1].address, "[::1]:2");
    assert_string_equal(o.listen, ":6379");
    assert_string_equal(o.group_listen, "0.0.0.0:5");
    assert_string_equal(o.name, "n");
    assert_int_equal(o.token, 9);
    assert_int_equal(o.election_ms, 150);
    assert_int_equal(o.submit_ms, 100);
    assert_int_equal(o.clients_max, 5);
    assert_true(o.is_json);
    assert_true(o.is_traced);
}

static void what_is_left_out_has_a_default(void **state)
{
    struct kv_options o;

    (void)state;
    assert_int_equal(read_text(&o, "--id 1 --members 1=a:1 --listen :1"), 0);
    assert_string_equal(o.name, "kv");
    assert_int_equal(o.election_ms, 600);
    assert_int_equal(o.clients_max, 4000);
    assert_int_equal(o.key_size, 0);
    assert_null(o.group_listen);
    assert_false(o.is_json);
}

static void help_needs_nothing_else(void **state)
{
    struct kv_options o;

    (void)state;
    assert_int_equal(read_text(&o, "--help"), 0);
    assert_true(o.wants_help);
    assert_non_null(strstr(kv_help, "--members"));
    assert_non_null(strstr(kv_help, "HOLDFAST DIGEST"));
}

static void wrong_command_lines_are_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "--id 1 --members 1=a:1",
        "--id 1 --listen :1",
        "--id 4 --members 1=a:1 --listen :1",
        "--id 1 --members 1=a:1,1=b:2 --listen :1",
        "--id x --members 1=a:1 --listen :1",
        "--id 0 --members 1=a:1 --listen :1",
        "--id 4294967297 --members 1=a:1 --listen :1",
        "--id 1 --members 1 --listen :1",
        "--id 1 --members 1= --listen :1",
        "--id 1 --members =a:1 --listen :1",
        "--id 1 --members 1=a:1, --listen :1 extra",
        "--id 1 --members 1=a:1 --listen :1 --log xml",
        "--id 1 --members 1=a:1 --listen :1 --clients 0",
        "--id 1 --members 1=a:1 --listen :1 --clients 4001",
        "--id 1 --members 1=a:1 --listen :1 --election-ms 99",
        "--id 1 --members 1=a:1 --listen :1 --key-file /nowhere/at/all",
        "--id 1 --members 1=a:1 --listen :1 --unknown",
        "--id 1 --members 1=a,2=a,3=a,4=a,5=a,6=a,7=a,8=a,9=a,10=a,11=a,12=a,13=a,14=a,15=a,16=a --listen :1",
        "--id 1 --members 1=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:1 --listen :1",
    };
    struct kv_options o;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (read_text(&o, rows[i]) != BASE_E_INVALID) {
            fail_msg("was taken: %s", rows[i]);
        }
    }
}

static int read_with_key(struct kv_options *o, size_t size)
{
    static const char bytes[100] = "0123456789abcdef0123456789abcdef";
    char path[] = "/tmp/kv-key-XXXXXX";
    char line[128];
    int fd = mkstemp(path);
    int status;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, size), size);
    (void)close(fd);
    (void)snprintf(line, sizeof line, "--id 1 --members 1=a:1 --listen :1 --key-file %s", path);
    status = read_line(o, line);
    (void)unlink(path);
    return status;
}

static void a_key_is_read_within_its_limits(void **state)
{
    struct kv_options o;

    (void)state;
    assert_int_equal(read_with_key(&o, 16), 0);
    assert_int_equal(o.key_size, 16);
    assert_memory_equal(o.key, "0123456789abcdef", 16);
    assert_int_equal(read_with_key(&o, 64), 0);
    assert_int_equal(read_with_key(&o, 15), BASE_E_INVALID);
    assert_int_equal(read_with_key(&o, 65), BASE_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_command_line_is_understood), cmocka_unit_test(what_is_left_out_has_a_default),
        cmocka_unit_test(help_needs_nothing_else),           cmocka_unit_test(wrong_command_lines_are_refused),
        cmocka_unit_test(a_key_is_read_within_its_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
