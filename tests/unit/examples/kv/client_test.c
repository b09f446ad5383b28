/* Tests of examples/kv/client.c: answers in the order of the commands, and limits that a client feels. */
#include "examples/kv/client.h"

#include "examples/kv/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAITING_MAX 4096

/* What was submitted and not yet answered, as the log would hold it. */
struct waiting {
    replica_on_answer *on_answer;
    void *request;
    bool is_read;
    uint8_t *command;
    size_t size;
};

struct world {
    struct kv_machine machine;
    struct kv_service service;
    struct kv_about about;
    struct kv_client client;
    struct waiting waiting[WAITING_MAX];
    size_t first;
    size_t end;
    int status; /* what submit and read give back */
    uint64_t index;
    size_t stirs;
    size_t rooms; /* how often room was told to clients that are held */
};

static int take(struct world *w, bool is_read, struct base_bytes command, replica_on_answer *on_answer, void *request)
{
    struct waiting *slot = &w->waiting[w->end % WAITING_MAX];

    if (w->status < 0) {
        return w->status;
    }
    assert_true(w->end - w->first < WAITING_MAX);
    *slot = (struct waiting){on_answer, request, is_read, malloc(command.size + 1), command.size};
    assert_non_null(slot->command);
    base_copy(slot->command, command.data, command.size);
    w->end++;
    return 0;
}

static int submit(void *user, struct base_bytes command, replica_on_answer *on_answer, void *request)
{
    return take(user, false, command, on_answer, request);
}

static int read_point(void *user, replica_on_answer *on_ready, void *request)
{
    return take(user, true, (struct base_bytes){NULL, 0}, on_ready, request);
}

static void on_stir(void *user, struct kv_client *client)
{
    struct world *w = user;

    assert_ptr_equal(client, &w->client);
    w->stirs++;
}

static void on_room(void *user)
{
    struct world *w = user;

    w->rooms++;
}

static void tell_stats(void *user, struct replica_stats *ret_stats)
{
    struct world *w = user;

    *ret_stats = (struct replica_stats){.applied = w->index};
}

static const struct group_view *tell_view(void *user)
{
    (void)user;
    return NULL;
}

static int set_up(void **state)
{
    static const uint8_t seed[KV_STORE_SEED_SIZE] = {0};
    struct world *w = calloc(1, sizeof *w);

    if (w == NULL) {
        return -1;
    }
    kv_machine_init(&w->machine, seed);
    w->about = (struct kv_about){.user = w, .stats = tell_stats, .view = tell_view};
    w->service = (struct kv_service){.user = w,
                                     .submit = submit,
                                     .read = read_point,
                                     .on_stir = on_stir,
                                     .on_room = on_room,
                                     .room_user = w,
                                     .machine = &w->machine,
                                     .about = &w->about};
    kv_client_init(&w->client, &w->service);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    kv_client_deinit(&w->client);
    kv_service_deinit(&w->service);
    assert_int_equal(w->service.pending_bytes, 0);
    assert_int_equal(w->service.input_bytes, 0);
    for (; w->first < w->end; w->first++) {
        free(w->waiting[w->first % WAITING_MAX].command);
    }
    kv_machine_deinit(&w->machine);
    free(w);
    return 0;
}

/* Orders and applies the next `count` things that wait. */
static void commit(struct world *w, size_t count)
{
    for (size_t i = 0; i < count && w->first < w->end; i++) {
        struct waiting slot = w->waiting[w->first++ % WAITING_MAX];
        struct kv_buffer *reply = &w->machine.reply;
        struct kv_call call = {&w->machine.store, &w->machine.args, reply, ++w->index, NULL};
        struct kv_buffer copy;

        kv_buffer_init(&copy, KV_REPLY_MAX);
        if (!slot.is_read) {
            kv_buffer_reset(reply, 0);
            assert_int_equal(kv_args_parse(&w->machine.args, (struct base_bytes){slot.command, slot.size}), 0);
            kv_command_run(kv_command_find(&w->machine.args, reply), &call);
            kv_buffer_add_bytes(&copy, kv_buffer_bytes(reply));
        }
        slot.on_answer(slot.request, 0, kv_buffer_bytes(&copy));
        kv_buffer_deinit(&copy);
        free(slot.command);
    }
}

/* The next thing that waits ends without an answer. */
static void fail_next(struct world *w, int status)
{
    struct waiting slot = w->waiting[w->first++ % WAITING_MAX];

    slot.on_answer(slot.request, status, (struct base_bytes){NULL, 0});
    free(slot.command);
}

static void send(struct world *w, const char *text)
{
    kv_client_receive(&w->client, text, strlen(text));
}

static void expect(struct world *w, const char *text)
{
    struct base_bytes out = kv_buffer_bytes(&w->client.out);

    if (!base_equal(out, (struct base_bytes){(const uint8_t *)text, strlen(text)})) {
        fail_msg("got %.*s, expected %s", (int)out.size, (const char *)out.data, text);
    }
    kv_buffer_take(&w->client.out, out.size);
}

static void a_pipeline_is_submitted_at_once_and_answered_in_order(void **state)
{
    struct world *w = *state;

    send(w, "SET a 1\r\nGET a\r\nINCR a\r\nGET a\r\n");
    assert_int_equal(w->end, 4);
    expect(w, "");

    commit(w, 2);
    expect(w, "+OK\r\n$1\r\n1\r\n");
    commit(w, 2);
    expect(w, ":2\r\n$1\r\n2\r\n");
    assert_int_equal(w->stirs, 4);
}

/* K4: a read in a pipeline sees the write before it and not the one after it, though both were applied meanwhile. */
static void a_read_answers_from_its_place_in_the_order(void **state)
{
    struct world *w = *state;

    send(w, "SET a 1\r\nGET a\r\nSET a 2\r\n");
    commit(w, 3);
    expect(w, "+OK\r\n$1\r\n1\r\n+OK\r\n");
}

static void a_local_command_waits_for_its_turn(void **state)
{
    struct world *w = *state;

    send(w, "PING\r\n");
    expect(w, "+PONG\r\n");
    send(w, "SET a 1\r\nPING\r\nFOO\r\nECHO x\r\n");
    expect(w, "");
    assert_int_equal(w->end, 1);
    commit(w, 1);
    expect(w, "+OK\r\n+PONG\r\n-ERR unknown command 'FOO', with args beginning with: \r\n$1\r\nx\r\n");
}

static void wrong_commands_are_not_submitted(void **state)
{
    struct world *w = *state;

    send(w, "GET\r\nSET a\r\nNOTHING\r\n");
    assert_int_equal(w->end, 0);
    expect(w, "-ERR wrong number of arguments for 'get' command\r\n-ERR wrong number of arguments for 'set' command\r\n"
              "-ERR unknown command 'NOTHING', with args beginning with: \r\n");
}

/* K5: each outcome has its own first word, which programs can tell apart. */
static void outcomes_are_told_apart(void **state)
{
    struct world *w = *state;

    send(w, "SET a 1\r\n");
    w->status = BASE_E_NOLEADER;
    send(w, "SET b 1\r\nGET b\r\n");
    w->status = BASE_E_EXCLUDED;
    send(w, "SET c 1\r\n");
    expect(w, "");
    fail_next(w, BASE_E_UNKNOWN);

    expect(w, "-TIMEOUT outcome unknown: the command may still run, once; read before trying again\r\n"
              "-CLUSTERDOWN no leader: the command never ran; try again later\r\n"
              "-CLUSTERDOWN no leader: the command never ran; try again later\r\n"
              "-CLUSTERDOWN this member is out of the group: ask another one\r\n");
}

static void without_room_a_command_is_held_and_comes_later(void **state)
{
    struct world *w = *state;

    w->status = BASE_E_AGAIN;
    send(w, "SET a 1\r\nSET b 2\r\n");
    assert_true(w->service.has_held);
    assert_false(kv_client_wants_input(&w->client));
    assert_int_equal(w->end, 0);

    w->status = 0;
    kv_client_go(&w->client);
    assert_int_equal(w->end, 2);
    assert_true(kv_client_wants_input(&w->client));
    commit(w, 2);
    expect(w, "+OK\r\n+OK\r\n");
}

static void too_many_waiting_commands_stop_the_input(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < KV_PENDING_MAX + 10; i++) {
        send(w, "INCR a\r\n");
    }
    assert_int_equal(w->end, KV_PENDING_MAX);
    assert_false(kv_client_wants_input(&w->client));

    commit(w, 5);
    kv_client_go(&w->client);
    assert_int_equal(w->end, KV_PENDING_MAX + 5);
}

static void large_waiting_commands_stop_the_input(void **state)
{
    struct world *w = *state;
    static char value[700000];
    char head[64];

    memset(value, 'x', sizeof value - 1);
    (void)snprintf(head, sizeof head, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%zu\r\n", sizeof value - 1);
    for (int i = 0; i < 3; i++) {
        send(w, head);
        send(w, value);
        send(w, "\r\n");
    }
    assert_int_equal(w->end, 1);
    assert_false(kv_client_wants_input(&w->client));
    commit(w, 1);
    kv_client_go(&w->client);
    assert_int_equal(w->end, 2);
}

static void unread_output_stops_the_input(void **state)
{
    struct world *w = *state;
    static uint8_t value[KV_OUTPUT_SOFT];
    const struct base_bytes key = {(const uint8_t *)"big", 3};

    kv_store_set(&w->machine.store, key, (struct base_bytes){value, sizeof value});
    send(w, "GET big\r\n");
    commit(w, 1);
    send(w, "PING\r\nSET a 1\r\n");
    assert_int_equal(w->end, 1);
    assert_false(kv_client_wants_input(&w->client));

    kv_buffer_take(&w->client.out, kv_buffer_size(&w->client.out));
    kv_client_go(&w->client);
    expect(w, "+PONG\r\n");
    assert_int_equal(w->end, 2);
}

static void many_large_answers_stop_the_input_before_they_come(void **state)
{
    struct world *w = *state;
    static uint8_t value[KV_BULK_MAX];
    const struct base_bytes key = {(const uint8_t *)"big", 3};

    kv_store_set(&w->machine.store, key, (struct base_bytes){value, sizeof value});
    for (size_t i = 0; i < 100; i++) {
        send(w, "GET big\r\n");
    }
    assert_int_equal(w->end, KV_PENDING_REPLY / KV_BULK_MAX);
    commit(w, WAITING_MAX);
    assert_false(w->client.is_over);
    assert_true(kv_buffer_size(&w->client.out) < KV_PENDING_REPLY + 100);
}

/* The guess was wrong: the values became large while the reads were on their way. */
static void a_client_whose_answers_grow_without_end_is_given_up(void **state)
{
    struct world *w = *state;
    static uint8_t value[KV_BULK_MAX];
    const struct base_bytes key = {(const uint8_t *)"big", 3};

    for (size_t i = 0; i < KV_OUTPUT_MAX / KV_BULK_MAX + 1; i++) {
        send(w, "GET big\r\n");
    }
    kv_store_set(&w->machine.store, key, (struct base_bytes){value, sizeof value});
    commit(w, WAITING_MAX);
    assert_true(w->client.is_over);
    assert_true(kv_client_is_done(&w->client));
}

static void an_error_is_told_after_the_answers_before_it(void **state)
{
    struct world *w = *state;

    send(w, "SET a 1\r\n*1\r\n$x\r\nSET b 2\r\n");
    expect(w, "");
    assert_false(kv_client_wants_input(&w->client));
    assert_false(kv_client_is_done(&w->client));
    commit(w, 1);
    expect(w, "+OK\r\n-ERR Protocol error: invalid bulk length\r\n");
    assert_true(kv_client_is_done(&w->client));
    assert_int_equal(w->end, 1);
    assert_int_equal(w->service.protocol_errors, 1);
    assert_string_equal(w->client.error, "Protocol error: invalid bulk length");
}

static void quit_is_the_last_command(void **state)
{
    struct world *w = *state;

    send(w, "SET a 1\r\nQUIT\r\nSET b 2\r\n");
    assert_int_equal(w->end, 1);
    commit(w, 1);
    expect(w, "+OK\r\n+OK\r\n");
    assert_true(kv_client_is_done(&w->client));
    assert_null(w->client.error);
}

static void what_was_asked_before_the_end_is_still_answered(void **state)
{
    struct world *w = *state;

    w->status = BASE_E_AGAIN;
    send(w, "SET a 1\r\nSET b 2\r\nSET c");
    kv_client_end(&w->client);
    assert_false(kv_client_is_done(&w->client));
    w->status = 0;
    kv_client_go(&w->client);
    commit(w, 2);
    expect(w, "+OK\r\n+OK\r\n");
    assert_true(kv_client_is_done(&w->client));
}

/* Room for all comes back, too, when those leave who took it: or whoever waits for it would wait for ever. */
static void room_that_a_client_left_is_told_to_those_who_wait_for_it(void **state)
{
    struct world *w = *state;
    struct kv_client other;

    kv_client_init(&other, &w->service);
    w->service.pending_bytes = KV_PENDING_TOTAL; /* of many more clients */
    kv_client_receive(&other, "SET a 1\r\n", 9);
    assert_true(w->service.has_held);
    w->service.pending_bytes = 0;
    kv_client_go(&other); /* it waits for its answer */
    send(w, "SET b 1\r\n");
    assert_int_equal(w->end, 2);
    w->service.has_held = true;
    kv_client_deinit(&other);
    w->rooms = 0; /* its command is still under way */
    commit(w, 1);
    assert_int_equal(w->rooms, 1);
    commit(w, 1);
    assert_int_equal(w->rooms, 1); /* who is there is told by its own answers */
    w->service.has_held = false;
}

static void commands_of_a_client_that_left_still_run(void **state)
{
    struct world *w = *state;
    struct base_bytes value;

    send(w, "SET a 1\r\nGET a\r\nPING\r\n");
    kv_client_deinit(&w->client);
    commit(w, 2);
    kv_client_init(&w->client, &w->service);

    assert_true(kv_store_get(&w->machine.store, (struct base_bytes){(const uint8_t *)"a", 1}, &value));
    assert_int_equal(w->service.pending_bytes, 0);
}

/* Garbage that looks like the beginning of large commands must not fill the memory: a few may, many may not. */
static void unfinished_large_commands_of_many_clients_are_bounded(void **state)
{
    struct world *w = *state;
    static uint8_t piece[KV_BULK_MAX];
    static struct kv_client clients[KV_INPUT_TOTAL / KV_BULK_MAX + 8];
    size_t refused = 0;

    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        kv_client_init(&clients[i], &w->service);
        kv_client_receive(&clients[i], "*2\r\n$1048576\r\n", 14);
        kv_client_receive(&clients[i], piece, sizeof piece - 1);
        refused += clients[i].is_ending ? 1 : 0;
        assert_true(w->service.input_bytes <= KV_INPUT_TOTAL);
    }
    assert_int_equal(refused, 9);
    send(w, "PING\r\n");
    expect(w, "+PONG\r\n");
    for (size_t i = 0; i < sizeof clients / sizeof clients[0]; i++) {
        kv_client_deinit(&clients[i]);
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_pipeline_is_submitted_at_once_and_answered_in_order),
        CASE(a_read_answers_from_its_place_in_the_order),
        CASE(a_local_command_waits_for_its_turn),
        CASE(wrong_commands_are_not_submitted),
        CASE(outcomes_are_told_apart),
        CASE(without_room_a_command_is_held_and_comes_later),
        CASE(too_many_waiting_commands_stop_the_input),
        CASE(large_waiting_commands_stop_the_input),
        CASE(unread_output_stops_the_input),
        CASE(many_large_answers_stop_the_input_before_they_come),
        CASE(a_client_whose_answers_grow_without_end_is_given_up),
        CASE(an_error_is_told_after_the_answers_before_it),
        CASE(quit_is_the_last_command),
        CASE(what_was_asked_before_the_end_is_still_answered),
        CASE(room_that_a_client_left_is_told_to_those_who_wait_for_it),
        CASE(commands_of_a_client_that_left_still_run),
        CASE(unfinished_large_commands_of_many_clients_are_bounded),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
