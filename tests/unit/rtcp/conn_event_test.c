/* What programs expect of a connection, for the event-driven face: the list of conn_blocking_test.c, as a loop knows
 * it. A deadline is a timer of the program: what was asked of the stream before still holds when it passes. Each case
 * runs over the first TCP connection of a stream, over one that was resumed, and over one resumed twice.
 *
 * Nothing sleeps: a wait ends with an event or with a deadline.
 */
#include "rtcp/rtcp.h"
#include "tests/unit/rtcp/cutter.h"
#include "tests/unit/rtcp/pair.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define LONG_S  20.
#define SOON_S  0.03
#define BYTES   ((uint64_t)1 << 20) /* of a transfer, each way */
#define RING    65536u
#define NOBODY  UINT64_MAX
#define CALLERS 20

struct conn;

/* One side of the stream, and what it does when it is called. */
struct side {
    struct conn *conn;
    struct rtcp_stream *stream; /* NULL after on_closed */
    uint64_t sent, got;
    uint64_t to_send;     /* pattern bytes, then the end; NOBODY: none */
    bool reads;           /* on_readable reads, else it pauses */
    bool has_shut, ended; /* we ended our bytes; the peer's end was read */
    bool is_wrong;        /* a byte was not the pattern's */
    bool answers;         /* sends back what it reads */
    bool closes_in_call;  /* closes from the next callback */
    int calls_after_close, closed;
    int status;
    uint64_t unacknowledged;
};

struct conn {
    struct cutter cutter;
    struct pair pair;
    struct side server, client;
    bool rang;
};

static const int resumes[] = {0, 1, 2};

static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)((offset * 0x9e3779b97f4a7c15u) >> 40);
}

/* ------------------------------------------------------------------------------------------------ a side */

static void push(struct side *s)
{
    uint8_t bytes[1000];

    while (s->to_send != NOBODY && s->sent < s->to_send) {
        size_t size = s->to_send - s->sent < sizeof bytes ? (size_t)(s->to_send - s->sent) : sizeof bytes;
        int64_t n;

        for (size_t i = 0; i < size; i++) {
            bytes[i] = byte_at(s->sent + i);
        }
        n = rtcp_send(s->stream, bytes, size);
        if (n == BASE_E_AGAIN) {
            return;
        }
        assert_true(n > 0);
        s->sent += (uint64_t)n;
    }
    if (s->to_send != NOBODY && !s->has_shut) {
        s->has_shut = true;
        assert_int_equal(rtcp_shutdown(s->stream), 0);
    }
}

static bool close_here(struct side *s)
{
    uint8_t byte;

    s->calls_after_close += s->closes_in_call && s->has_shut;
    if (!s->closes_in_call || s->has_shut) {
        return false;
    }
    s->has_shut = true;
    rtcp_close(s->stream, RTCP_LINGER_BACKGROUND);
    assert_int_equal(rtcp_recv(s->stream, &byte, 1), BASE_E_CLOSED);
    assert_int_equal(rtcp_send(s->stream, &byte, 1), BASE_E_CLOSED);
    return true;
}

static void on_readable(void *user, struct rtcp_stream *stream)
{
    struct side *s = user;
    uint8_t bytes[777];
    int64_t n;

    if (!s->reads || close_here(s)) {
        return;
    }
    n = rtcp_recv(stream, bytes, sizeof bytes);
    for (int64_t i = 0; i < n; i++) {
        s->is_wrong = s->is_wrong || (!s->answers && bytes[i] != byte_at(s->got + (uint64_t)i));
    }
    s->got += n > 0 ? (uint64_t)n : 0;
    s->ended = s->ended || n == 0;
    assert_true(n >= 0 || n == BASE_E_AGAIN);
    if (s->answers && n > 0) {
        assert_int_equal(rtcp_send(stream, bytes, (size_t)n), n);
    }
}

static void on_writable(void *user, struct rtcp_stream *stream)
{
    struct side *s = user;

    (void)stream;
    if (!close_here(s)) {
        push(s);
    }
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct side *s = user;

    assert_ptr_equal(stream, s->stream);
    s->stream = NULL;
    s->closed++;
    s->status = status;
    s->unacknowledged = unacknowledged;
}

static const struct rtcp_stream_callbacks callbacks = {
    .on_readable = on_readable, .on_writable = on_writable, .on_closed = on_closed};

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct conn *c = user;

    (void)listener;
    c->server.stream = stream;
    rtcp_stream_set_callbacks(stream, &callbacks, &c->server);
}

/* ------------------------------------------------------------------------------------------------ a connection */

static bool is_accepted(const struct conn *c)
{
    return c->server.stream != NULL;
}

static bool has_answer(const struct conn *c)
{
    return c->client.got == c->client.sent;
}

/* Some bytes and their answer. */
static void round_trip(struct conn *c)
{
    bool server_read = c->server.reads;

    c->server.answers = true;
    c->server.reads = c->client.reads = true;
    assert_int_equal(rtcp_send(c->client.stream, "ping", 4), 4);
    c->client.sent += 4;
    PAIR_UNTIL(&c->pair, has_answer(c));
    c->server.reads = server_read;
    c->server.answers = false;
}

/* The counts of the pattern begin anew. */
static void begin(struct conn *c)
{
    c->client = (struct side){.conn = c, .stream = c->client.stream, .to_send = NOBODY, .reads = true};
    c->server = (struct side){.conn = c, .stream = c->server.stream, .to_send = NOBODY, .reads = true};
}

static int setup(void **state)
{
    int wanted = *(const int *)*state;
    struct conn *c = calloc(1, sizeof *c);
    struct rtcp_stream_options options;
    struct rtcp_listen_options listen;
    const struct pair_options pair = {.limit = LONG_S, .listen = &listen, .on_accept = on_accept, .user = c};

    assert_non_null(c);
    begin(c);
    rtcp_listen_options_default(&listen);
    rtcp_stream_options_default(&options);
    listen.stream.ring = options.ring = RING;
    pair_open(&c->pair, &pair);
    cutter_begin(&c->cutter, rtcp_listener_address(c->pair.listener), 0);
    assert_int_equal(rtcp_connect(c->pair.near, c->cutter.address, &options, &callbacks, &c->client, &c->client.stream),
                     0);
    PAIR_UNTIL(&c->pair, is_accepted(c));
    round_trip(c);
    for (int i = 0; i < wanted; i++) {
        cutter_cut(&c->cutter);
        round_trip(c);
    }
    assert_true(pair_info(c->client.stream).connections >= 1 + (uint32_t)wanted);
    begin(c);
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct conn *c = *state;

    pair_close(&c->pair);
    cutter_end(&c->cutter);
    free(c);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ bytes */

static bool both_ended(const struct conn *c)
{
    return c->client.ended && c->server.ended;
}

static void bytes_go_both_ways_at_once(void **state)
{
    struct conn *c = *state;

    c->client.to_send = c->server.to_send = BYTES;
    push(&c->client);
    push(&c->server);
    PAIR_UNTIL(&c->pair, both_ended(c));
    assert_int_equal(c->client.got, BYTES);
    assert_int_equal(c->server.got, BYTES);
    assert_false(c->client.is_wrong || c->server.is_wrong);
}

static void numbers_go_to_and_fro(void **state)
{
    struct conn *c = *state;

    for (int i = 0; i < 500; i++) {
        round_trip(c);
    }
    assert_int_equal(c->client.got, 2000);
    assert_int_equal(c->server.got, 2000);
}

/* ------------------------------------------------------------------------------------------------ races */

/* Reads and writes from timers, between the callbacks, in small pieces: the order stays that of the stream. */
struct caller {
    ev_timer timer;
    struct side *reader, *writer;
};

static void on_caller(struct ev_loop *loop, ev_timer *w, int events)
{
    struct caller *caller = w->data;
    struct side *s = caller->reader;
    uint8_t bytes[100];
    int64_t n;

    (void)loop;
    (void)events;
    n = s->ended ? 0 : rtcp_recv(s->stream, bytes, sizeof bytes);
    for (int64_t i = 0; i < n; i++) {
        s->is_wrong = s->is_wrong || bytes[i] != byte_at(s->got + (uint64_t)i);
    }
    s->got += n > 0 ? (uint64_t)n : 0;
    s->ended = s->ended || n == 0;
    push(caller->writer);
}

static bool client_to_server_ended(const struct conn *c)
{
    return c->server.ended;
}

static void racing_readers_and_writers_keep_the_order(void **state)
{
    struct conn *c = *state;
    struct caller caller[CALLERS];

    c->client.to_send = BYTES;
    for (int i = 0; i < CALLERS; i++) {
        caller[i].reader = &c->server;
        caller[i].writer = &c->client;
        ev_timer_init(&caller[i].timer, on_caller, 0.0001 * i, 0.001);
        caller[i].timer.data = &caller[i];
        ev_timer_start(c->pair.loop, &caller[i].timer);
    }
    PAIR_UNTIL(&c->pair, client_to_server_ended(c));
    for (int i = 0; i < CALLERS; i++) {
        ev_timer_stop(c->pair.loop, &caller[i].timer);
    }
    assert_int_equal(c->server.got, BYTES);
    assert_false(c->server.is_wrong);
}

/* ------------------------------------------------------------------------------------------------ waiting */

static void on_ring(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    ((struct conn *)w->data)->rang = true;
}

static bool has_rung(const struct conn *c)
{
    return c->rang;
}

static void let_a_deadline_pass(struct conn *c)
{
    ev_timer timer;

    c->rang = false;
    ev_timer_init(&timer, on_ring, SOON_S, 0.);
    timer.data = c;
    ev_timer_start(c->pair.loop, &timer);
    PAIR_UNTIL(&c->pair, has_rung(c));
    ev_timer_stop(c->pair.loop, &timer);
}

static void nothing_to_read_is_told_at_once_and_costs_nothing(void **state)
{
    struct conn *c = *state;
    uint8_t byte;

    for (int i = 0; i < 100; i++) {
        assert_int_equal(rtcp_recv(c->client.stream, &byte, 1), BASE_E_AGAIN);
    }
    let_a_deadline_pass(c);
    assert_int_equal(rtcp_recv(c->client.stream, &byte, 1), BASE_E_AGAIN);
    round_trip(c);
}

/* A full ring refuses and keeps what it took; room is told once there is some. */
static void a_full_ring_is_told_at_once_and_so_is_room(void **state)
{
    struct conn *c = *state;

    c->server.reads = false;
    c->client.to_send = NOBODY - 1;
    push(&c->client);
    let_a_deadline_pass(c);
    assert_int_equal(rtcp_send(c->client.stream, "x", 1), BASE_E_AGAIN);
    assert_true(c->client.sent >= RING);
    c->client.to_send = c->client.sent + BYTES;
    c->server.reads = true;
    rtcp_stream_set_callbacks(c->server.stream, &callbacks, &c->server);
    PAIR_UNTIL(&c->pair, client_to_server_ended(c));
    assert_int_equal(c->server.got, c->client.to_send);
    assert_false(c->server.is_wrong);
}

/* A reader that pauses for longer than its program's deadline loses nothing. */
static void a_pause_loses_nothing(void **state)
{
    struct conn *c = *state;

    c->server.reads = false;
    c->client.to_send = RING / 2;
    push(&c->client);
    let_a_deadline_pass(c);
    assert_int_equal(c->server.got, 0);
    c->server.reads = true;
    rtcp_stream_set_callbacks(c->server.stream, &callbacks, &c->server);
    PAIR_UNTIL(&c->pair, client_to_server_ended(c));
    assert_int_equal(c->server.got, RING / 2);
    assert_false(c->server.is_wrong);
}

/* ------------------------------------------------------------------------------------------------ closing */

static bool both_closed(const struct conn *c)
{
    return c->client.closed > 0 && c->server.closed > 0;
}

static void a_close_in_a_callback_is_the_last_but_one(void **state)
{
    struct conn *c = *state;

    c->client.closes_in_call = true;
    c->server.to_send = 5000;
    push(&c->server);
    PAIR_UNTIL(&c->pair, client_to_server_ended(c));
    rtcp_close(c->server.stream, RTCP_LINGER_ABORT);
    PAIR_UNTIL(&c->pair, both_closed(c));
    assert_int_equal(c->client.closed, 1);
    assert_int_equal(c->client.calls_after_close, 0);
    assert_int_equal(c->client.unacknowledged, 0);
}

static void a_close_with_a_full_ring_ends_both(void **state)
{
    struct conn *c = *state;

    c->server.reads = false;
    c->client.to_send = NOBODY - 1;
    push(&c->client);
    rtcp_close(c->client.stream, RTCP_LINGER_BACKGROUND);
    c->server.reads = true;
    rtcp_stream_set_callbacks(c->server.stream, &callbacks, &c->server);
    PAIR_UNTIL(&c->pair, client_to_server_ended(c));
    assert_int_equal(c->server.got, c->client.sent);
    rtcp_close(c->server.stream, RTCP_LINGER_BACKGROUND);
    PAIR_UNTIL(&c->pair, both_closed(c));
    assert_int_equal(c->client.status, 0);
    assert_int_equal(c->server.status, 0);
    assert_int_equal(c->client.unacknowledged, 0);
}

/* ------------------------------------------------------------------------------------------------ every call */

static void on_everything(struct ev_loop *loop, ev_timer *w, int events)
{
    struct caller *caller = w->data;
    struct rtcp_stream *stream = caller->writer->stream;
    uint8_t bytes[RTCP_PROBE_DATA_SIZE] = {0};
    struct base_span room;
    struct rtcp_info info;
    int64_t n = rtcp_send(stream, bytes, sizeof bytes);
    int status = rtcp_reserve(stream, &room);

    (void)loop;
    (void)events;
    assert_true(n > 0 || n == BASE_E_AGAIN);
    assert_true(status == 0 || status == BASE_E_AGAIN);
    if (status == 0) {
        memset(room.data, 0, room.size / 100);
        assert_int_equal(rtcp_commit(stream, room.size / 100), 0);
    }
    assert_true(rtcp_room(stream) <= RING);
    n = rtcp_recv(caller->reader->stream, bytes, sizeof bytes);
    assert_true(n > 0 || n == BASE_E_AGAIN);
    rtcp_set_probe_data(stream, bytes);
    rtcp_info(stream, &info);
    assert_true(info.sent >= info.unacknowledged && info.state != RTCP_DEAD);
    assert_true(rtcp_peer_address(stream)[0] != '\0');
}

/* On both sides, from timers between each other, while callbacks read: no call spoils another. */
static void every_call_may_be_made_at_any_time(void **state)
{
    struct conn *c = *state;
    struct caller caller[CALLERS];

    c->client.answers = c->server.answers = false;
    for (int i = 0; i < CALLERS; i++) {
        caller[i].reader = i % 2 == 0 ? &c->server : &c->client;
        caller[i].writer = i % 2 == 0 ? &c->client : &c->server;
        ev_timer_init(&caller[i].timer, on_everything, 0.0001 * i, 0.0005);
        caller[i].timer.data = &caller[i];
        ev_timer_start(c->pair.loop, &caller[i].timer);
    }
    let_a_deadline_pass(c);
    cutter_cut(&c->cutter);
    let_a_deadline_pass(c);
    for (int i = 0; i < CALLERS; i++) {
        ev_timer_stop(c->pair.loop, &caller[i].timer);
    }
    assert_int_equal(c->client.closed + c->server.closed, 0);
    assert_true(c->client.got > 0 && c->server.got > 0);
}

/* ------------------------------------------------------------------------------------------------ main */

#define CASE(test, way)                                                                                                \
    {                                                                                                                  \
#test ", " way, test, setup, teardown, NULL                                                                    \
    }
#define CASES(way)                                                                                                     \
    CASE(bytes_go_both_ways_at_once, way), CASE(numbers_go_to_and_fro, way),                                           \
        CASE(racing_readers_and_writers_keep_the_order, way),                                                          \
        CASE(nothing_to_read_is_told_at_once_and_costs_nothing, way),                                                  \
        CASE(a_full_ring_is_told_at_once_and_so_is_room, way), CASE(a_pause_loses_nothing, way),                       \
        CASE(a_close_in_a_callback_is_the_last_but_one, way), CASE(a_close_with_a_full_ring_ends_both, way),           \
        CASE(every_call_may_be_made_at_any_time, way)

int main(void)
{
    struct CMUnitTest tests[] = {CASES("first connection"), CASES("resumed"), CASES("resumed twice")};
    size_t count = sizeof tests / sizeof tests[0];

    for (size_t i = 0; i < count; i++) {
        tests[i].initial_state = (void *)(uintptr_t)&resumes[i / (count / 3)];
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
