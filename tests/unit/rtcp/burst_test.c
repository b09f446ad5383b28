/* Bursts: what is written at once, what waits for more or for the end of the turn, and that nothing waits longer.
 * rtcp.h "rtcp_send".
 *
 * Every wait is for an event and ends with a deadline; nothing sleeps.
 */
#include "rtcp/burst.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"
#include "tests/unit/rtcp/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define DEADLINE_S 10.
#define PIECE      1024u
#define SOME       10u
#define LARGE      (1u << 20)

/* ------------------------------------------------------------------------------------------------ the rule */

static void the_first_bytes_of_a_turn_leave_with_their_calls(void **state)
{
    struct rtcp_burst b = {0};

    (void)state;
    assert_false(rtcp_burst_may_wait(&b, 1, SOME, LARGE));
    rtcp_burst_took(&b, 1, RTCP_BURST_AT_ONCE - 1);
    assert_false(rtcp_burst_may_wait(&b, 1, SOME, LARGE));
    rtcp_burst_took(&b, 1, 1);
    assert_true(rtcp_burst_may_wait(&b, 1, SOME, LARGE));
}

static void each_turn_begins_anew(void **state)
{
    struct rtcp_burst b = {0};

    (void)state;
    rtcp_burst_took(&b, 1, LARGE);
    assert_true(rtcp_burst_may_wait(&b, 1, SOME, LARGE));
    assert_false(rtcp_burst_may_wait(&b, 2, SOME, LARGE));
    rtcp_burst_took(&b, 2, SOME);
    assert_false(rtcp_burst_may_wait(&b, 2, SOME, LARGE));
}

static void a_turn_may_write_more_than_can_be_counted(void **state)
{
    struct rtcp_burst b = {0};

    (void)state;
    for (int i = 0; i < 3; i++) {
        rtcp_burst_took(&b, 1, (size_t)3 << 30);
        assert_true(rtcp_burst_may_wait(&b, 1, SOME, LARGE));
    }
}

static void a_batch_does_not_wait(void **state)
{
    struct rtcp_burst b = {0};

    (void)state;
    rtcp_burst_took(&b, 1, LARGE);
    assert_true(rtcp_burst_may_wait(&b, 1, RTCP_BURST_BATCH - 1, LARGE));
    assert_false(rtcp_burst_may_wait(&b, 1, RTCP_BURST_BATCH, LARGE));
}

static void a_batch_is_a_small_part_of_the_ring(void **state)
{
    struct rtcp_burst b = {0};

    (void)state;
    rtcp_burst_took(&b, 1, LARGE);
    assert_int_equal(rtcp_burst_batch(65536), 16384);
    assert_true(rtcp_burst_may_wait(&b, 1, 16383, 65536));
    assert_false(rtcp_burst_may_wait(&b, 1, 16384, 65536));
}

static void it_can_be_switched_off(void **state)
{
    struct rtcp_burst b = {.is_off = true};

    (void)state;
    rtcp_burst_took(&b, 1, LARGE);
    assert_false(rtcp_burst_may_wait(&b, 1, SOME, LARGE));
}

/* ------------------------------------------------------------------------------------------------ streams */

struct world {
    struct pair pair;
    struct rtcp_stream *client, *server;
    size_t burst; /* what the client writes from its callback, when the server's answer comes */
    struct rtcp_stream *through;
    bool did_wait;          /* something waited when that callback returned */
    uint64_t got;           /* by the server */
    bool is_wrong, has_end; /* bytes out of order; the end was read */
    bool has_ended;         /* on_closed of the server */
    int closed_status;
};

static uint8_t pattern(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 9));
}

static uint64_t upto(const struct rtcp_stream *stream)
{
    return stream->session.out.upto;
}

static uint64_t unwritten(const struct rtcp_stream *stream)
{
    return upto(stream) - stream->session.written;
}

/* Writes bytes of the pattern in small pieces. */
static void write_bytes(struct rtcp_stream *stream, size_t size)
{
    uint8_t piece[PIECE];

    while (size > 0) {
        size_t count = size < PIECE ? size : PIECE;

        for (size_t i = 0; i < count; i++) {
            piece[i] = pattern(upto(stream) + i);
        }
        assert_int_equal(rtcp_send(stream, piece, count), count);
        size -= count;
    }
}

static void server_readable(void *user, struct rtcp_stream *stream)
{
    struct world *w = user;
    uint8_t bytes[4096];
    int64_t n;

    while ((n = rtcp_recv(stream, bytes, sizeof bytes)) > 0) {
        for (int64_t i = 0; i < n; i++) {
            w->is_wrong = w->is_wrong || bytes[i] != pattern(w->got + (uint64_t)i);
        }
        w->got += (uint64_t)n;
    }
    w->has_end = w->has_end || n == 0;
}

static void server_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct world *w = user;

    (void)stream;
    (void)unacknowledged;
    w->has_ended = true;
    w->closed_status = status;
}

static void client_readable(void *user, struct rtcp_stream *stream)
{
    struct world *w = user;
    uint8_t byte;

    if (rtcp_recv(stream, &byte, 1) == 1) {
        write_bytes(w->through, w->burst);
        w->did_wait = unwritten(w->through) > 0;
    }
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    static const struct rtcp_stream_callbacks calls = {.on_readable = server_readable, .on_closed = server_closed};
    struct world *w = user;

    (void)listener;
    w->server = stream;
    rtcp_stream_set_callbacks(stream, &calls, w);
}

/* A stream over a connection that carries bytes, with a ring that is large enough for every burst here. */
static void begin(struct world *w, bool at_once)
{
    static const struct rtcp_stream_callbacks calls = {.on_readable = client_readable};
    const struct pair_options options = {.limit = DEADLINE_S, .on_accept = on_accept, .user = w};
    struct rtcp_stream_options o;

    base_zero(w, sizeof *w);
    pair_open(&w->pair, &options);
    rtcp_stream_options_default(&o);
    o.ring = LARGE;
    o.at_once = at_once;
    w->client = w->through = pair_connect(&w->pair, &o, &calls, w);
    write_bytes(w->client, 1);
    PAIR_UNTIL(&w->pair, w->got == 1 && w->client->session.out.first == 1);
}

static void end(struct world *w)
{
    assert_false(w->is_wrong);
    pair_close(&w->pair);
}

/* A burst, and a little more that waits. */
static void write_and_leave_some(struct world *w)
{
    write_bytes(w->client, RTCP_BURST_AT_ONCE);
    assert_int_equal(unwritten(w->client), 0);
    write_bytes(w->client, SOME);
    assert_int_equal(unwritten(w->client), SOME);
}

static void what_waits_leaves_before_the_loop_does(void **state)
{
    struct world w;

    (void)state;
    begin(&w, false);
    write_and_leave_some(&w);
    PAIR_UNTIL(&w.pair, w.got == upto(w.client)); /* nothing else happens that could take it along */
    end(&w);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)events;
    write_and_leave_some(watcher->data);
    ev_prepare_stop(loop, watcher);
}

/* The last thing a loop does before it waits: programs write there what they gathered themselves. */
static void so_does_what_is_written_just_before_that(void **state)
{
    for (int priority = EV_MINPRI; priority <= EV_MAXPRI; priority++) {
        ev_prepare prepare;
        struct world w;

        (void)state;
        begin(&w, false);
        ev_prepare_init(&prepare, on_prepare);
        prepare.data = &w;
        ev_set_priority(&prepare, priority);
        ev_prepare_start(w.pair.loop, &prepare);
        PAIR_UNTIL(&w.pair, !ev_is_active(&prepare));
        assert_true(unwritten(w.client) == 0 || ev_is_active(&w.pair.near->awake)); /* then the loop does not wait */
        PAIR_UNTIL(&w.pair, w.got == upto(w.client));
        end(&w);
    }
}

static void enough_of_it_leaves_with_the_call(void **state)
{
    struct world w;

    (void)state;
    begin(&w, false);
    write_bytes(w.client, RTCP_BURST_AT_ONCE + PIECE);
    assert_int_equal(unwritten(w.client), PIECE);
    write_bytes(w.client, RTCP_BURST_BATCH - PIECE);
    assert_int_equal(unwritten(w.client), 0);
    PAIR_UNTIL(&w.pair, w.got == upto(w.client));
    end(&w);
}

static void a_flush_sends_it(void **state)
{
    struct world w;

    (void)state;
    begin(&w, false);
    write_and_leave_some(&w);
    rtcp_flush(w.client);
    assert_int_equal(unwritten(w.client), 0);
    PAIR_UNTIL(&w.pair, w.got == upto(w.client));
    end(&w);
}

static void bytes_encoded_in_the_ring_wait_like_others(void **state)
{
    struct base_span room;
    struct world w;

    (void)state;
    begin(&w, false);
    write_bytes(w.client, RTCP_BURST_AT_ONCE + PIECE);
    assert_int_equal(rtcp_reserve(w.client, &room), 0);
    for (size_t i = 0; i < SOME; i++) {
        room.data[i] = pattern(upto(w.client) + i);
    }
    assert_int_equal(rtcp_commit(w.client, SOME), 0);
    assert_int_equal(unwritten(w.client), PIECE + SOME);
    PAIR_UNTIL(&w.pair, w.got == upto(w.client));
    end(&w);
}

static void every_write_leaves_with_its_call_where_that_is_wanted(void **state)
{
    struct world w;

    (void)state;
    begin(&w, true);
    for (size_t i = 0; i < 2 * RTCP_BURST_AT_ONCE / PIECE; i++) {
        write_bytes(w.client, PIECE);
        assert_int_equal(unwritten(w.client), 0);
    }
    end(&w);
}

static void a_shutdown_takes_it_along(void **state)
{
    struct world w;

    (void)state;
    begin(&w, false);
    write_and_leave_some(&w);
    assert_int_equal(rtcp_shutdown(w.client), 0);
    assert_int_equal(unwritten(w.client), 0);
    PAIR_UNTIL(&w.pair, w.has_end);
    assert_int_equal(w.got, upto(w.client));
    end(&w);
}

static void a_close_takes_it_along(void **state)
{
    struct world w;
    uint64_t all;

    (void)state;
    begin(&w, false);
    write_and_leave_some(&w);
    all = upto(w.client);
    rtcp_close(w.client, RTCP_LINGER_BACKGROUND);
    PAIR_UNTIL(&w.pair, w.has_end);
    assert_int_equal(w.got, all);
    end(&w);
}

static void an_abort_forgets_it(void **state)
{
    struct world w;

    (void)state;
    begin(&w, false);
    write_and_leave_some(&w);
    rtcp_close(w.client, RTCP_LINGER_ABORT);
    PAIR_UNTIL(&w.pair, w.has_ended);
    assert_int_equal(w.closed_status, BASE_E_RESET);
    end(&w);
}

/* C1: once, and in order. */
static void a_break_while_it_waits_costs_no_byte(void **state)
{
    struct world w;

    (void)state;
    begin(&w, false);
    write_and_leave_some(&w);
    shutdown(w.client->live->fd, SHUT_RDWR);
    PAIR_UNTIL(&w.pair, w.got == upto(w.client));
    assert_true(pair_info(w.client).connections > 1);
    end(&w);
}

static void what_a_callback_wrote_is_out_when_it_has_returned(void **state)
{
    struct world w;

    (void)state;
    begin(&w, false);
    w.burst = RTCP_BURST_AT_ONCE + SOME;
    assert_int_equal(rtcp_send(w.server, "!", 1), 1);
    PAIR_UNTIL(&w.pair, upto(w.client) > 1); /* the callback ran in the last turn of the loop ... */
    assert_true(w.did_wait);
    assert_int_equal(unwritten(w.client), 0); /* ... and it was the end of its turn */
    PAIR_UNTIL(&w.pair, w.got == upto(w.client));
    end(&w);
}

/* As in a proxy: bytes of one stream go to another. */
static void so_is_what_the_callback_of_another_stream_wrote(void **state)
{
    static const struct rtcp_stream_callbacks calls = {.on_readable = client_readable};
    struct rtcp_stream_options o;
    struct rtcp_stream *asking;
    struct world w;
    struct rtcp_stream *first;
    uint64_t got;

    (void)state;
    begin(&w, false);
    first = w.server;
    rtcp_stream_options_default(&o);
    asking = pair_connect(&w.pair, &o, &calls, &w);
    got = w.got;
    PAIR_UNTIL(&w.pair, w.server != first && asking->live != NULL);
    w.burst = RTCP_BURST_AT_ONCE + SOME;
    assert_int_equal(rtcp_send(w.server, "!", 1), 1);
    PAIR_UNTIL(&w.pair, upto(w.client) > 1);
    assert_true(w.did_wait);
    assert_int_equal(unwritten(w.client), 0);
    PAIR_UNTIL(&w.pair, w.got == got + w.burst);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_bytes_of_a_turn_leave_with_their_calls),
        cmocka_unit_test(each_turn_begins_anew),
        cmocka_unit_test(a_turn_may_write_more_than_can_be_counted),
        cmocka_unit_test(a_batch_does_not_wait),
        cmocka_unit_test(a_batch_is_a_small_part_of_the_ring),
        cmocka_unit_test(it_can_be_switched_off),
        cmocka_unit_test(what_waits_leaves_before_the_loop_does),
        cmocka_unit_test(so_does_what_is_written_just_before_that),
        cmocka_unit_test(enough_of_it_leaves_with_the_call),
        cmocka_unit_test(a_flush_sends_it),
        cmocka_unit_test(bytes_encoded_in_the_ring_wait_like_others),
        cmocka_unit_test(every_write_leaves_with_its_call_where_that_is_wanted),
        cmocka_unit_test(a_shutdown_takes_it_along),
        cmocka_unit_test(a_close_takes_it_along),
        cmocka_unit_test(an_abort_forgets_it),
        cmocka_unit_test(a_break_while_it_waits_costs_no_byte),
        cmocka_unit_test(what_a_callback_wrote_is_out_when_it_has_returned),
        cmocka_unit_test(so_is_what_the_callback_of_another_stream_wrote),
    };

    return cmocka_run_group_tests_name("unit/rtcp/burst", tests, NULL, NULL);
}
