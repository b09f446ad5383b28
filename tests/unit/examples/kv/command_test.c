/* Tests of examples/kv/command.c, strings.c, keys.c and local.c: commands against the exact replies Redis gives. */
#include "examples/kv/command.h"

#include "examples/kv/inline.h"
#include "examples/kv/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

struct world {
    struct kv_store store;
    struct kv_buffer bytes;
    struct kv_buffer reply;
    struct kv_args args;
    struct kv_about about;
};

static void tell_counts(void *user, struct kv_counts *ret_counts)
{
    (void)user;
    *ret_counts = (struct kv_counts){.clients = 3, .commands = 77, .up = BASE_S(12)};
}

static int set_up(void **state)
{
    static const uint8_t seed[KV_STORE_SEED_SIZE] = {5};
    struct world *w = calloc(1, sizeof *w);

    if (w == NULL) {
        return -1;
    }
    kv_store_init(&w->store, seed);
    kv_buffer_init(&w->bytes, KV_COMMAND_MAX);
    kv_buffer_init(&w->reply, KV_REPLY_MAX);
    kv_args_init(&w->args);
    w->about.counts = tell_counts;
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    kv_store_deinit(&w->store);
    kv_buffer_deinit(&w->bytes);
    kv_buffer_deinit(&w->reply);
    kv_args_deinit(&w->args);
    free(w);
    return 0;
}

/* Runs one line and gives the reply as text. */
static const char *run(struct world *w, const char *line)
{
    struct kv_call call = {&w->store, &w->args, &w->reply, 1, &w->about};
    const struct kv_command *command;

    kv_command_begin(&w->bytes);
    assert_int_equal(kv_inline_parse((struct base_bytes){(const uint8_t *)line, strlen(line)}, &w->bytes), 0);
    assert_int_equal(kv_args_parse(&w->args, kv_buffer_bytes(&w->bytes)), 0);
    kv_buffer_reset(&w->reply, KV_REPLY_MAX);
    command = kv_command_find(&w->args, &w->reply);
    if (command != NULL) {
        kv_command_run(command, &call);
    }
    kv_buffer_add(&w->reply, "", 1);
    return (const char *)kv_buffer_bytes(&w->reply).data;
}

struct row {
    const char *line;
    const char *reply;
};

static void expect_rows(struct world *w, const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *reply = run(w, rows[i].line);

        if (strcmp(reply, rows[i].reply) != 0) {
            fail_msg("%s: got %s, expected %s", rows[i].line, reply, rows[i].reply);
        }
    }
}

#define EXPECT(...)                                                                                                    \
    do {                                                                                                               \
        const struct row rows[] = {__VA_ARGS__};                                                                       \
        expect_rows(*state, rows, sizeof rows / sizeof rows[0]);                                                       \
    } while (0)

static void set_and_get(void **state)
{
    EXPECT({"GET k", "$-1\r\n"}, {"SET k v", "+OK\r\n"}, {"get k", "$1\r\nv\r\n"}, {"SET k ''", "+OK\r\n"},
           {"GET k", "$0\r\n\r\n"});
}

static void set_with_its_options(void **state)
{
    EXPECT({"SET k 1 XX", "$-1\r\n"}, {"GET k", "$-1\r\n"}, {"SET k 1 NX", "+OK\r\n"}, {"SET k 2 nx", "$-1\r\n"},
           {"GET k", "$1\r\n1\r\n"}, {"SET k 3 xx GET", "$1\r\n1\r\n"}, {"SET k 4 NX GET", "$1\r\n3\r\n"},
           {"GET k", "$1\r\n3\r\n"}, {"SET new 1 GET", "$-1\r\n"}, {"GET new", "$1\r\n1\r\n"},
           {"SET other 1 XX GET", "$-1\r\n"}, {"EXISTS other", ":0\r\n"}, {"SET k 1 NX XX", "-ERR syntax error\r\n"},
           {"SET k 1 FOO", "-ERR syntax error\r\n"},
           {"SET k 1 EX 10", "-ERR keys do not expire here: EX is not supported\r\n"}, {"GET k", "$1\r\n3\r\n"});
}

static void setnx_and_getset(void **state)
{
    EXPECT({"SETNX k 1", ":1\r\n"}, {"SETNX k 2", ":0\r\n"}, {"GETSET k 3", "$1\r\n1\r\n"}, {"GET k", "$1\r\n3\r\n"},
           {"GETSET n 1", "$-1\r\n"});
}

static void delete_and_exists(void **state)
{
    EXPECT({"MSET a 1 b 2 c 3", "+OK\r\n"}, {"EXISTS a b x a", ":3\r\n"}, {"DEL a x b a", ":2\r\n"},
           {"DBSIZE", ":1\r\n"}, {"DEL x", ":0\r\n"});
}

static void several_at_once(void **state)
{
    EXPECT({"MSET a 1 b 2 a 3", "+OK\r\n"}, {"MGET a x b", "*3\r\n$1\r\n3\r\n$-1\r\n$1\r\n2\r\n"},
           {"MSET a 1 b", "-ERR wrong number of arguments for 'mset' command\r\n"}, {"GET a", "$1\r\n3\r\n"});
}

static void counters(void **state)
{
    EXPECT({"INCR n", ":1\r\n"}, {"INCR n", ":2\r\n"}, {"DECR n", ":1\r\n"}, {"INCRBY n 41", ":42\r\n"},
           {"DECRBY n 50", ":-8\r\n"}, {"GET n", "$2\r\n-8\r\n"}, {"INCRBY n -2", ":-10\r\n"},
           {"INCRBY n x", "-ERR value is not an integer or out of range\r\n"},
           {"INCRBY n 9223372036854775808", "-ERR value is not an integer or out of range\r\n"},
           {"SET n 9223372036854775807", "+OK\r\n"}, {"INCR n", "-ERR increment or decrement would overflow\r\n"},
           {"DECRBY n -1", "-ERR increment or decrement would overflow\r\n"},
           {"DECRBY n -9223372036854775808", "-ERR decrement would overflow\r\n"},
           {"GET n", "$19\r\n9223372036854775807\r\n"}, {"SET n -9223372036854775808", "+OK\r\n"},
           {"DECR n", "-ERR increment or decrement would overflow\r\n"}, {"INCR n", ":-9223372036854775807\r\n"},
           {"SET t text", "+OK\r\n"}, {"INCR t", "-ERR value is not an integer or out of range\r\n"},
           {"SET t ' 1'", "+OK\r\n"}, {"INCR t", "-ERR value is not an integer or out of range\r\n"});
}

static void append_and_strlen(void **state)
{
    EXPECT({"STRLEN k", ":0\r\n"}, {"APPEND k abc", ":3\r\n"}, {"APPEND k de", ":5\r\n"}, {"GET k", "$5\r\nabcde\r\n"},
           {"STRLEN k", ":5\r\n"}, {"APPEND k ''", ":5\r\n"});
}

static void append_stops_at_the_limit_of_a_value(void **state)
{
    struct world *w = *state;
    static uint8_t large[KV_BULK_MAX];
    const struct base_bytes key = {(const uint8_t *)"k", 1};

    kv_store_set(&w->store, key, (struct base_bytes){large, sizeof large - 1});

    EXPECT({"APPEND k x", ":1048576\r\n"},
           {"APPEND k x", "-ERR string exceeds maximum allowed size (proto-max-bulk-len)\r\n"},
           {"STRLEN k", ":1048576\r\n"});
}

static void types(void **state)
{
    EXPECT({"SET k 1", "+OK\r\n"}, {"TYPE k", "+string\r\n"}, {"TYPE x", "+none\r\n"});
}

static void flushall(void **state)
{
    EXPECT({"MSET a 1 b 2", "+OK\r\n"}, {"FLUSHALL FOO", "-ERR syntax error\r\n"}, {"DBSIZE", ":2\r\n"},
           {"FLUSHALL ASYNC", "+OK\r\n"}, {"DBSIZE", ":0\r\n"}, {"SET a 1", "+OK\r\n"}, {"FLUSHALL sync", "+OK\r\n"},
           {"FLUSHALL", "+OK\r\n"}, {"DBSIZE", ":0\r\n"});
}

static void keys_and_scan(void **state)
{
    EXPECT({"KEYS *", "*0\r\n"}, {"SCAN 0", "*2\r\n$1\r\n0\r\n*0\r\n"}, {"SET key:1 1", "+OK\r\n"},
           {"SET other 1", "+OK\r\n"}, {"KEYS key:*", "*1\r\n$5\r\nkey:1\r\n"},
           {"SCAN 0 MATCH k* COUNT 100", "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nkey:1\r\n"},
           {"SCAN 0 COUNT 100 TYPE list", "*2\r\n$1\r\n0\r\n*0\r\n"},
           {"SCAN 0 TYPE string MATCH oth* COUNT 100", "*2\r\n$1\r\n0\r\n*1\r\n$5\r\nother\r\n"},
           {"SCAN x", "-ERR invalid cursor\r\n"}, {"SCAN -1", "-ERR invalid cursor\r\n"},
           {"SCAN 0 COUNT", "-ERR syntax error\r\n"}, {"SCAN 0 COUNT 0", "-ERR syntax error\r\n"},
           {"SCAN 0 COUNT x", "-ERR value is not an integer or out of range\r\n"},
           {"SCAN 0 FOO 1", "-ERR syntax error\r\n"});
}

static void what_needs_no_store(void **state)
{
    EXPECT({"PING", "+PONG\r\n"}, {"PING hi", "$2\r\nhi\r\n"},
           {"PING a b", "-ERR wrong number of arguments for 'ping' command\r\n"}, {"ECHO hi", "$2\r\nhi\r\n"},
           {"SELECT 0", "+OK\r\n"}, {"SELECT 1", "-ERR DB index is out of range\r\n"},
           {"SELECT x", "-ERR value is not an integer or out of range\r\n"}, {"QUIT", "+OK\r\n"},
           {"HELLO 3", "-NOPROTO unsupported protocol version\r\n"},
           {"HELLO x", "-ERR Protocol version is not an integer or out of range\r\n"},
           {"HELLO 2 AUTH a b", "-ERR no option of HELLO is supported\r\n"});
}

static void settings_that_redis_benchmark_asks_for(void **state)
{
    EXPECT({"CONFIG GET save", "*2\r\n$4\r\nsave\r\n$0\r\n\r\n"},
           {"CONFIG GET appendonly", "*2\r\n$10\r\nappendonly\r\n$2\r\nno\r\n"},
           {"CONFIG GET s[a]v* APPENDONLY", "*4\r\n$4\r\nsave\r\n$0\r\n\r\n$10\r\nappendonly\r\n$2\r\nno\r\n"},
           {"CONFIG GET nothing", "*0\r\n"},
           {"CONFIG GET proto-max-bulk-len", "*2\r\n$18\r\nproto-max-bulk-len\r\n$7\r\n1048576\r\n"},
           {"CONFIG GET", "-ERR wrong number of arguments for 'config|get' command\r\n"},
           {"CONFIG SET a b", "-ERR unknown subcommand 'SET'. Try CONFIG HELP.\r\n"});
}

static void the_table_of_commands(void **state)
{
    EXPECT({"COMMAND INFO get nothing", "*2\r\n*6\r\n$3\r\nget\r\n:2\r\n*1\r\n+readonly\r\n:1\r\n:1\r\n:1\r\n*-1\r\n"},
           {"COMMAND DOCS", "*0\r\n"}, {"COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP.\r\n"});
    assert_memory_equal(run(*state, "COMMAND"), "*28\r\n*6\r\n", 9);
    assert_string_equal(run(*state, "COMMAND COUNT"), ":28\r\n");
}

static void unknown_commands_and_wrong_counts(void **state)
{
    EXPECT({"FOO a 'b c'", "-ERR unknown command 'FOO', with args beginning with: 'a' 'b c' \r\n"},
           {"FOO", "-ERR unknown command 'FOO', with args beginning with: \r\n"},
           {"\"a\\r\\nb\"", "-ERR unknown command 'a  b', with args beginning with: \r\n"},
           {"GET", "-ERR wrong number of arguments for 'get' command\r\n"},
           {"GET a b", "-ERR wrong number of arguments for 'get' command\r\n"},
           {"set a", "-ERR wrong number of arguments for 'set' command\r\n"},
           {"DBSIZE a", "-ERR wrong number of arguments for 'dbsize' command\r\n"});
}

static void every_command_checks_its_count_and_is_found_by_name(void **state)
{
    struct world *w = *state;
    size_t count = 0;

    for (const struct kv_command *c; (c = kv_command_at(count)) != NULL; count++) {
        if (c->arity == -1) {
            continue;
        }
        assert_memory_equal(run(w, c->arity == 1 ? "dbsize too many" : c->name), "-ERR wrong number of arguments", 29);
    }
    assert_int_equal(count, 28);
}

static void info_has_its_sections(void **state)
{
    struct world *w = *state;
    const char *all = run(w, "INFO");

    assert_non_null(strstr(all, "# Server\r\nredis_version:7"));
    assert_non_null(strstr(all, "uptime_in_seconds:12\r\n"));
    assert_non_null(strstr(all, "connected_clients:3\r\n"));
    assert_non_null(strstr(all, "total_commands_processed:77\r\n"));
    assert_null(strstr(all, "db0:"));
    assert_string_equal(run(w, "SET a 1"), "+OK\r\n");
    assert_string_equal(run(w, "INFO keyspace"), "$44\r\n# Keyspace\r\ndb0:keys=1,expires=0,avg_ttl=0\r\n\r\n");
    assert_string_equal(run(w, "INFO nothing"), "$0\r\n\r\n");
    assert_string_equal(run(w, "INFO a b"), "$0\r\n\r\n");
    assert_non_null(strstr(run(w, "INFO stats a keyspace"), "# Stats\r\n"));
    assert_non_null(strstr(run(w, "INFO stats a keyspace"), "\r\n\r\n# Keyspace\r\n"));
    assert_null(strstr(run(w, "INFO stats a keyspace"), "# Server\r\n"));
}

static void a_reply_above_its_limit_becomes_an_error(void **state)
{
    struct world *w = *state;
    static uint8_t large[KV_BULK_MAX];
    const struct base_bytes key = {(const uint8_t *)"k", 1};

    kv_store_set(&w->store, key, (struct base_bytes){large, sizeof large});

    EXPECT({"MGET k k k k k k k k k k k k k k k k k", "-ERR the reply is larger than 16777216 bytes\r\n"});
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(set_and_get),
        CASE(set_with_its_options),
        CASE(setnx_and_getset),
        CASE(delete_and_exists),
        CASE(several_at_once),
        CASE(counters),
        CASE(append_and_strlen),
        CASE(append_stops_at_the_limit_of_a_value),
        CASE(types),
        CASE(flushall),
        CASE(keys_and_scan),
        CASE(what_needs_no_store),
        CASE(settings_that_redis_benchmark_asks_for),
        CASE(the_table_of_commands),
        CASE(unknown_commands_and_wrong_counts),
        CASE(every_command_checks_its_count_and_is_found_by_name),
        CASE(info_has_its_sections),
        CASE(a_reply_above_its_limit_becomes_an_error),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
