/* What programs expect of a connection, for the blocking face: the list by which other languages test theirs (bytes
 * both ways, racing readers and writers, deadlines in the past, now and to come, a close that wakes, every call at
 * once). Each case runs over the first TCP connection of a stream, over one that was resumed, and over one resumed
 * twice.
 *
 * Nothing sleeps: a wait ends with an event or with a deadline of the library itself.
 */
#include "rtcp/base/clock_loop.h"
#include "rtcp/blocking.h"
#include "tests/unit/rtcp/blocking_caller.h"
#include "tests/unit/rtcp/cutter.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <cmocka.h>

#define LONG  BASE_S(20)
#define SOON  BASE_MS(60)
#define BYTES ((size_t)1 << 20) /* of a transfer, each way */
#define RING  65536u

struct conn {
    struct cutter cutter;
    struct rtcp_socket *listener, *client, *server;
};

static const int resumes[] = {0, 1, 2};

/* ------------------------------------------------------------------------------------------------ a connection */

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)((offset * 0x9e3779b97f4a7c15u) >> 40);
}

static void send_all(struct rtcp_socket *socket, const void *data, size_t size)
{
    assert_int_equal(rtcp_socket_send(socket, data, size), size);
}

static void recv_all(struct rtcp_socket *socket, void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        int64_t n = rtcp_socket_recv(socket, (uint8_t *)data + at, size - at);

        assert_true(n > 0);
        at += (size_t)n;
    }
}

/* A message and its answer: the connection works in both directions. */
static void round_trip(struct conn *c)
{
    char bytes[5] = "";

    assert_int_equal(rtcp_socket_set_read_deadline(c->client, LONG), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(c->server, LONG), 0);
    assert_int_equal(rtcp_socket_set_write_deadline(c->client, LONG), 0);
    assert_int_equal(rtcp_socket_set_write_deadline(c->server, LONG), 0);
    send_all(c->client, "ping", 4);
    recv_all(c->server, bytes, 4);
    assert_string_equal(bytes, "ping");
    send_all(c->server, "pong", 4);
    recv_all(c->client, bytes, 4);
    assert_string_equal(bytes, "pong");
}

static int setup(void **state)
{
    int wanted = *(const int *)*state;
    struct conn *c = calloc(1, sizeof *c);
    struct rtcp_socket_options options;
    struct rtcp_listen_options listen;
    char address[RTCP_ADDRESS_TEXT];
    struct rtcp_info info;

    assert_non_null(c);
    rtcp_listen_options_default(&listen);
    listen.stream.ring = RING;
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", &listen, &c->listener), 0);
    rtcp_socket_address(c->listener, address);
    cutter_begin(&c->cutter, address, 0);
    rtcp_socket_options_default(&options);
    options.stream.ring = RING;
    options.wait_accepted = true;
    assert_int_equal(rtcp_socket_connect(c->cutter.address, &options, LONG, &c->client), 0);
    assert_int_equal(rtcp_socket_accept(c->listener, &c->server), 0);
    round_trip(c);
    for (int i = 0; i < wanted; i++) {
        cutter_cut(&c->cutter);
        round_trip(c);
    }
    assert_int_equal(rtcp_socket_info(c->client, &info), 0);
    assert_true(info.connections >= 1 + (uint32_t)wanted);
    assert_int_equal(rtcp_socket_set_read_deadline(c->client, BASE_NEVER), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(c->server, BASE_NEVER), 0);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct conn *c = *state;

    rtcp_socket_close(c->client, RTCP_LINGER_ABORT, 0);
    rtcp_socket_close(c->server, RTCP_LINGER_ABORT, 0);
    rtcp_socket_free(c->client);
    rtcp_socket_free(c->server);
    rtcp_socket_free(c->listener);
    cutter_end(&c->cutter);
    free(c);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ threads */

struct worker {
    pthread_t thread;
    struct rtcp_socket *socket;
    int tid;        /* atomically; 0: not there yet */
    int64_t result; /* of the last call */
    uint64_t moved;
    base_time ended_at;
    uint8_t first;
    bool is_wrong;
};

static void begin(struct worker *w, struct rtcp_socket *socket, void *(*run)(void *))
{
    *w = (struct worker){.socket = socket};
    assert_int_equal(pthread_create(&w->thread, NULL, run, w), 0);
}

static void end(struct worker *w)
{
    assert_int_equal(pthread_join(w->thread, NULL), 0);
}

static void enter(struct worker *w)
{
    __atomic_store_n(&w->tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
}

static void *write_bytes(void *argument)
{
    struct worker *w = argument;
    uint8_t bytes[1024];

    while (w->moved < BYTES) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            bytes[i] = byte_at(w->moved + i);
        }
        w->result = rtcp_socket_send(w->socket, bytes, sizeof bytes);
        if (w->result != sizeof bytes) {
            return NULL;
        }
        w->moved += sizeof bytes;
    }
    w->result = rtcp_socket_shutdown(w->socket);
    return NULL;
}

static void *read_bytes(void *argument)
{
    struct worker *w = argument;
    uint8_t bytes[1000];

    while ((w->result = rtcp_socket_recv(w->socket, bytes, sizeof bytes)) > 0) {
        for (int64_t i = 0; i < w->result; i++) {
            w->is_wrong = w->is_wrong || bytes[i] != byte_at(w->moved + (uint64_t)i);
        }
        w->moved += (uint64_t)w->result;
    }
    return NULL;
}

static void *read_once(void *argument)
{
    struct worker *w = argument;
    char byte;

    enter(w);
    w->result = rtcp_socket_recv(w->socket, &byte, 1);
    w->ended_at = base_clock_now();
    return NULL;
}

/* Writes until it cannot: nobody reads, so the ring and the kernel become full. */
static void *write_until_told(void *argument)
{
    struct worker *w = argument;
    uint8_t bytes[1024] = {0};

    enter(w);
    while ((w->result = rtcp_socket_send(w->socket, bytes, sizeof bytes)) == sizeof bytes) {
        w->moved += sizeof bytes;
    }
    w->ended_at = base_clock_now();
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ bytes */

static void bytes_go_both_ways_at_once(void **state)
{
    struct conn *c = *state;
    struct worker w[4];

    begin(&w[0], c->client, write_bytes);
    begin(&w[1], c->server, write_bytes);
    begin(&w[2], c->client, read_bytes);
    begin(&w[3], c->server, read_bytes);
    for (int i = 0; i < 4; i++) {
        end(&w[i]);
        assert_int_equal(w[i].result, 0);
        assert_int_equal(w[i].moved, BYTES);
        assert_false(w[i].is_wrong);
    }
}

static void *answer_pings(void *argument)
{
    struct worker *w = argument;
    uint64_t number;

    for (;;) {
        size_t at = 0;

        while (at < sizeof number) {
            w->result = rtcp_socket_recv(w->socket, (uint8_t *)&number + at, sizeof number - at);
            if (w->result <= 0) {
                return NULL;
            }
            at += (size_t)w->result;
        }
        number++;
        w->moved++;
        if (rtcp_socket_send(w->socket, &number, sizeof number) != sizeof number) {
            return NULL;
        }
    }
}

static void numbers_go_to_and_fro(void **state)
{
    struct conn *c = *state;
    struct worker w;
    uint64_t number = 0;

    begin(&w, c->server, answer_pings);
    for (uint64_t i = 0; i < 500; i++) {
        assert_int_equal(number, i);
        send_all(c->client, &number, sizeof number);
        recv_all(c->client, &number, sizeof number);
    }
    assert_int_equal(rtcp_socket_shutdown(c->client), 0);
    end(&w);
    assert_int_equal(w.result, 0);
    assert_int_equal(w.moved, 500);
}

/* ------------------------------------------------------------------------------------------------ races */

/* Reads with short deadlines that pass in the middle of things: no byte may be lost by that. */
static void *read_hastily(void *argument)
{
    struct worker *w = argument;
    uint8_t bytes[1024];

    for (;;) {
        (void)rtcp_socket_set_read_deadline(w->socket, BASE_US(200));
        w->result = rtcp_socket_recv(w->socket, bytes, sizeof bytes);
        if (w->result == 0 || (w->result < 0 && w->result != BASE_E_EXPIRED)) {
            return NULL;
        }
        w->moved += w->result > 0 ? (uint64_t)w->result : 0;
    }
}

static void racing_readers_share_the_bytes(void **state)
{
    struct conn *c = *state;
    struct worker writer, reader[10];
    uint64_t sum = 0;

    for (int i = 0; i < 10; i++) {
        begin(&reader[i], c->server, read_hastily);
    }
    begin(&writer, c->client, write_bytes);
    end(&writer);
    for (int i = 0; i < 10; i++) {
        end(&reader[i]);
        assert_int_equal(reader[i].result, 0);
        sum += reader[i].moved;
    }
    assert_int_equal(sum, BYTES);
}

/* Writes with short deadlines; what a call says it took, and nothing else, arrives. */
static void *write_hastily(void *argument)
{
    struct worker *w = argument;
    uint8_t bytes[1024];

    memset(bytes, w->first, sizeof bytes);
    for (int i = 0; i < 100; i++) {
        (void)rtcp_socket_set_write_deadline(w->socket, BASE_US(200));
        w->result = rtcp_socket_send(w->socket, bytes, sizeof bytes);
        if (w->result < 0 && w->result != BASE_E_EXPIRED) {
            return NULL;
        }
        w->moved += w->result > 0 ? (uint64_t)w->result : 0;
    }
    return NULL;
}

static void *count_bytes(void *argument)
{
    struct worker *w = argument;
    uint8_t bytes[4096];

    while ((w->result = rtcp_socket_recv(w->socket, bytes, sizeof bytes)) > 0) {
        w->moved += (uint64_t)w->result;
    }
    return NULL;
}

static void racing_writers_are_told_the_truth(void **state)
{
    struct conn *c = *state;
    struct worker writer[10], reader;
    uint64_t sum = 0;

    begin(&reader, c->server, count_bytes);
    for (int i = 0; i < 10; i++) {
        begin(&writer[i], c->client, write_hastily);
    }
    for (int i = 0; i < 10; i++) {
        end(&writer[i]);
        assert_true(writer[i].result >= 0 || writer[i].result == BASE_E_EXPIRED);
        sum += writer[i].moved;
    }
    assert_int_equal(rtcp_socket_shutdown(c->client), 0);
    end(&reader);
    assert_int_equal(reader.result, 0);
    assert_int_equal(reader.moved, sum);
}

/* ------------------------------------------------------------------------------------------------ deadlines */

/* The other direction goes on while reads fail. */
static void a_read_deadline_leaves_writing_alone(void **state)
{
    struct conn *c = *state;
    struct worker writer, reader;
    char byte;

    assert_int_equal(rtcp_socket_set_read_deadline(c->client, 0), 0);
    begin(&writer, c->client, write_bytes);
    begin(&reader, c->server, read_bytes);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rtcp_socket_recv(c->client, &byte, 1), BASE_E_EXPIRED);
    }
    end(&writer);
    end(&reader);
    assert_int_equal(reader.moved, BYTES);
    assert_false(reader.is_wrong);
}

static void a_write_deadline_leaves_reading_alone(void **state)
{
    struct conn *c = *state;
    struct worker writer, reader;

    assert_int_equal(rtcp_socket_set_write_deadline(c->client, 0), 0);
    begin(&writer, c->server, write_bytes);
    begin(&reader, c->client, read_bytes);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(rtcp_socket_send(c->client, "x", 1), BASE_E_EXPIRED);
    }
    end(&writer);
    end(&reader);
    assert_int_equal(reader.moved, BYTES);
    assert_false(reader.is_wrong);
}

static void a_deadline_in_the_past_can_be_taken_back(void **state)
{
    struct conn *c = *state;
    char byte;

    assert_int_equal(rtcp_socket_set_read_deadline(c->client, 0), 0);
    assert_int_equal(rtcp_socket_set_write_deadline(c->client, 0), 0);
    assert_int_equal(rtcp_socket_recv(c->client, &byte, 1), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_send(c->client, "x", 1), BASE_E_EXPIRED);
    round_trip(c);
}

/* A reader and a writer that wait are woken by deadlines that are moved, `in` from now. */
static void wake_by_deadline(struct conn *c, base_time in)
{
    struct worker reader, writer;
    base_time begun;

    begin(&reader, c->client, read_once);
    begin(&writer, c->client, write_until_told);
    blocking_caller_until_asleep(&reader.tid);
    blocking_caller_until_asleep(&writer.tid);
    begun = base_clock_now();
    assert_int_equal(rtcp_socket_set_read_deadline(c->client, in), 0);
    assert_int_equal(rtcp_socket_set_write_deadline(c->client, in), 0);
    end(&reader);
    end(&writer);
    assert_int_equal(reader.result, BASE_E_EXPIRED);
    assert_true(writer.result == BASE_E_EXPIRED || (writer.result >= 0 && writer.result < 1024));
    assert_true(reader.ended_at >= begun + in && writer.ended_at >= begun + in);
    assert_true(reader.ended_at < begun + in + BASE_S(5) && writer.ended_at < begun + in + BASE_S(5));
}

/* After a writer filled the way: everything that it was told was taken comes out, and the connection works. */
static void drain_and_go_on(struct conn *c)
{
    struct rtcp_info info;
    uint8_t bytes[4096];
    uint64_t left;

    assert_int_equal(rtcp_socket_info(c->client, &info), 0);
    left = info.sent;
    assert_int_equal(rtcp_socket_info(c->server, &info), 0);
    left -= info.received;
    assert_int_equal(rtcp_socket_set_read_deadline(c->server, LONG), 0);
    while (left > 0) {
        int64_t n = rtcp_socket_recv(c->server, bytes, left < sizeof bytes ? (size_t)left : sizeof bytes);

        assert_true(n > 0);
        left -= (uint64_t)n;
    }
    round_trip(c);
}

static void a_deadline_of_now_wakes_who_waits(void **state)
{
    wake_by_deadline(*state, 0);
    drain_and_go_on(*state);
}

static void a_deadline_to_come_is_kept(void **state)
{
    wake_by_deadline(*state, SOON);
    drain_and_go_on(*state);
}

/* ------------------------------------------------------------------------------------------------ closing */

static void a_close_wakes_who_waits(void **state)
{
    struct conn *c = *state;
    struct worker reader, writer;

    begin(&reader, c->client, read_once);
    begin(&writer, c->client, write_until_told);
    blocking_caller_until_asleep(&reader.tid);
    blocking_caller_until_asleep(&writer.tid);
    (void)rtcp_socket_close(c->client, RTCP_LINGER_BACKGROUND, 0);
    end(&reader);
    end(&writer);
    assert_int_equal(reader.result, BASE_E_CLOSED);
    assert_true(writer.result == BASE_E_CLOSED || (writer.result >= 0 && writer.result < 1024));
    assert_int_equal(rtcp_socket_send(c->client, "x", 1), BASE_E_CLOSED);
}

/* Any call at any time from any thread; the bytes mean nothing, the calls must return. */
static void *call_everything(void *argument)
{
    struct worker *w = argument;
    struct rtcp_poll poll = {.socket = w->socket, .events = RTCP_POLL_READ | RTCP_POLL_WRITE};
    char text[RTCP_ADDRESS_TEXT];
    struct rtcp_info info;
    uint8_t bytes[1024] = {0};

    for (int i = 0; i < 10; i++) {
        w->result = rtcp_socket_send(w->socket, bytes, sizeof bytes);
        w->result = rtcp_socket_recv(w->socket, bytes, sizeof bytes);
        (void)rtcp_socket_set_read_deadline(w->socket, BASE_MS(2));
        (void)rtcp_socket_set_write_deadline(w->socket, BASE_MS(2));
        assert_true(rtcp_socket_poll(&poll, 1, BASE_MS(1)) >= 0);
        assert_int_equal(rtcp_socket_info(w->socket, &info), 0);
        rtcp_socket_address(w->socket, text);
        assert_true(text[0] != '\0');
    }
    return NULL;
}

static void every_call_may_be_made_at_once(void **state)
{
    struct conn *c = *state;
    struct worker w[40];

    assert_int_equal(rtcp_socket_set_read_deadline(c->client, BASE_MS(2)), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(c->server, BASE_MS(2)), 0);
    for (size_t i = 0; i < 40; i++) {
        begin(&w[i], i % 2 == 0 ? c->client : c->server, call_everything);
    }
    for (size_t i = 0; i < 40; i++) {
        end(&w[i]);
        assert_true(w[i].result >= 0 || w[i].result == BASE_E_EXPIRED);
    }
}

/* ------------------------------------------------------------------------------------------------ main */

#define CASE(test, way)                                                                                                \
    {                                                                                                                  \
#test ", " way, test, setup, teardown, NULL                                                                    \
    }
#define CASES(way)                                                                                                     \
    CASE(bytes_go_both_ways_at_once, way), CASE(numbers_go_to_and_fro, way),                                           \
        CASE(racing_readers_share_the_bytes, way), CASE(racing_writers_are_told_the_truth, way),                       \
        CASE(a_read_deadline_leaves_writing_alone, way), CASE(a_write_deadline_leaves_reading_alone, way),             \
        CASE(a_deadline_in_the_past_can_be_taken_back, way), CASE(a_deadline_of_now_wakes_who_waits, way),             \
        CASE(a_deadline_to_come_is_kept, way), CASE(a_close_wakes_who_waits, way),                                     \
        CASE(every_call_may_be_made_at_once, way)

int main(void)
{
    struct CMUnitTest tests[] = {CASES("first connection"), CASES("resumed"), CASES("resumed twice")};
    size_t count = sizeof tests / sizeof tests[0];

    for (size_t i = 0; i < count; i++) {
        tests[i].initial_state = (void *)&resumes[i / (count / 3)];
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
