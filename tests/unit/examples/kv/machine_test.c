/* Tests of examples/kv/machine.c: commands from the log, and the state through save and load. */
#include "examples/kv/machine.h"

#include "examples/kv/inline.h"
#include "examples/kv/limits.h"
#include "replication/answer.h"
#include "replication/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t seed[KV_STORE_SEED_SIZE] = {7};

static const struct kv_about about = {.user = NULL};

/* Applies one line as the command at an index; its answer is written to text. */
static void apply(struct kv_machine *m, uint64_t index, const char *line, char *text, size_t room)
{
    struct replica_command command = {.index = index};
    struct replica_answer answer;
    struct kv_buffer bytes;
    struct base_bytes said;

    kv_buffer_init(&bytes, KV_COMMAND_MAX);
    kv_command_begin(&bytes);
    assert_int_equal(kv_inline_parse((struct base_bytes){(const uint8_t *)line, strlen(line)}, &bytes), 0);
    command.data = kv_buffer_bytes(&bytes);
    replica_answer_init(&answer, base_memory_libc());
    replica_answer_begin(&answer, true);
    kv_machine_apply(m, &command, &answer);
    said = replica_answer_bytes(&answer);
    (void)snprintf(text, room, "%.*s", (int)said.size, (const char *)said.data);
    replica_answer_deinit(&answer);
    kv_buffer_deinit(&bytes);
}

static void expect(struct kv_machine *m, uint64_t index, const char *line, const char *answer)
{
    char text[256];

    apply(m, index, line, text, sizeof text);
    assert_string_equal(text, answer);
    assert_int_equal(m->index, index);
}

static void commands_from_the_log_change_the_store(void **state)
{
    struct kv_machine m;

    (void)state;
    kv_machine_init(&m, seed);
    expect(&m, 5, "SET k v", "+OK\r\n");
    expect(&m, 9, "APPEND k w", ":2\r\n");
    expect(&m, 10, "SET k", "-ERR wrong number of arguments for 'set' command\r\n");
    assert_int_equal(m.store.count, 1);
    kv_machine_deinit(&m);
}

/* All replicas see the same bytes, so all give the same refusal: none may stop, and none may differ. */
static void what_is_no_writing_command_changes_nothing(void **state)
{
    struct replica_command garbage = {.index = 3, .data = {(const uint8_t *)"\0\0\0\1garbage", 11}};
    struct replica_answer answer;
    struct kv_machine m;

    (void)state;
    kv_machine_init(&m, seed);
    replica_answer_init(&answer, base_memory_libc());
    replica_answer_begin(&answer, true);
    kv_machine_apply(&m, &garbage, &answer);
    assert_memory_equal(replica_answer_bytes(&answer).data, "-ERR this is no command\r\n", 25);
    expect(&m, 4, "GET k", "-ERR 'get' has no place here\r\n");
    expect(&m, 5, "PING", "-ERR 'ping' has no place here\r\n");
    assert_int_equal(m.store.count, 0);
    replica_answer_deinit(&answer);
    kv_machine_deinit(&m);
}

static void looking_changes_nothing(void **state)
{
    struct kv_buffer bytes;
    struct kv_buffer reply;
    struct kv_machine m;

    (void)state;
    kv_machine_init(&m, seed);
    kv_buffer_init(&bytes, 1000);
    kv_buffer_init(&reply, 1000);
    kv_command_begin(&bytes);
    assert_int_equal(kv_inline_parse((struct base_bytes){(const uint8_t *)"SET a 1", 7}, &bytes), 0);

    kv_machine_look(&m, kv_buffer_bytes(&bytes), &about, &reply);

    assert_memory_equal(kv_buffer_bytes(&reply).data, "-ERR 'set' has no place here\r\n", 30);
    assert_int_equal(m.store.count, 0);
    kv_buffer_deinit(&bytes);
    kv_buffer_deinit(&reply);
    kv_machine_deinit(&m);
}

static void save(struct kv_machine *m, struct replica_writer *w)
{
    replica_writer_init(w, base_memory_libc(), (size_t)1 << 20);
    assert_int_equal(kv_machine_save(m, w), 0);
}

static int load(struct kv_machine *m, struct base_bytes bytes)
{
    struct replica_reader reader;

    replica_reader_init(&reader, bytes);
    return kv_machine_load(m, &reader);
}

static void a_state_goes_through_save_and_load(void **state)
{
    static const uint8_t other_seed[KV_STORE_SEED_SIZE] = {8};
    uint8_t x[KV_DIGEST_SIZE];
    uint8_t y[KV_DIGEST_SIZE];
    struct replica_writer w;
    struct kv_machine from;
    struct kv_machine to;
    char line[64];
    char text[64];

    (void)state;
    kv_machine_init(&from, seed);
    kv_machine_init(&to, other_seed);
    for (uint64_t i = 1; i <= 1000; i++) {
        (void)snprintf(line, sizeof line, "SET key%llu value%llu", (unsigned long long)i, (unsigned long long)i * i);
        apply(&from, i, line, text, sizeof text);
    }
    apply(&to, 1, "SET only here", text, sizeof text);
    save(&from, &w);

    assert_int_equal(load(&to, replica_writer_bytes(&w)), 0);

    assert_int_equal(to.index, 1000);
    assert_int_equal(to.store.count, 1000);
    kv_digest_final(&from.store.digest, x);
    kv_digest_final(&to.store.digest, y);
    assert_memory_equal(x, y, sizeof x);
    replica_writer_deinit(&w);
    kv_machine_deinit(&from);
    kv_machine_deinit(&to);
}

/* Every cut and every flipped byte is noticed, and the state that was there stays. */
static void a_damaged_state_is_refused_and_changes_nothing(void **state)
{
    struct replica_writer w;
    struct kv_machine m;
    struct base_bytes bytes;
    uint8_t *copy;
    char text[64];

    (void)state;
    kv_machine_init(&m, seed);
    apply(&m, 1, "SET a 1", text, sizeof text);
    apply(&m, 2, "SET b 22", text, sizeof text);
    save(&m, &w);
    bytes = replica_writer_bytes(&w);
    copy = malloc(bytes.size);
    assert_non_null(copy);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_int_equal(load(&m, (struct base_bytes){bytes.data, size}), BASE_E_PROTOCOL);
    }
    for (size_t i = 0; i < bytes.size; i++) {
        bool is_index = i >= 8 && i < 16; /* part of no digest */

        memcpy(copy, bytes.data, bytes.size);
        copy[i] ^= 0x40;
        assert_int_equal(load(&m, (struct base_bytes){copy, bytes.size}), is_index ? 0 : BASE_E_PROTOCOL);
    }
    assert_int_equal(m.store.count, 2);
    free(copy);
    replica_writer_deinit(&w);
    kv_machine_deinit(&m);
}

static void a_state_that_does_not_fit_is_told(void **state)
{
    struct replica_writer w;
    struct kv_machine m;
    char text[64];

    (void)state;
    kv_machine_init(&m, seed);
    apply(&m, 1, "SET a 1", text, sizeof text);
    replica_writer_init(&w, base_memory_libc(), 40);

    assert_int_equal(kv_machine_save(&m, &w), BASE_E_RANGE);
    replica_writer_deinit(&w);
    kv_machine_deinit(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_from_the_log_change_the_store),
        cmocka_unit_test(what_is_no_writing_command_changes_nothing),
        cmocka_unit_test(looking_changes_nothing),
        cmocka_unit_test(a_state_goes_through_save_and_load),
        cmocka_unit_test(a_damaged_state_is_refused_and_changes_nothing),
        cmocka_unit_test(a_state_that_does_not_fit_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
