/* The life cycle of streams and endpoints over real sockets on loopback: draining, deadlines, replacement. Every wait
 * is for an event and ends with a deadline; nothing sleeps.
 */
#include "rtcp/rtcp.h"
#include "tests/unit/base/scarce.h"
#include "tests/unit/rtcp/pair.h"

#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE_S 15.
#define STREAMS    8

struct world;

struct half {
    struct world *world;
    struct rtcp_stream *stream;
    bool is_reading;
    size_t received;
    int ended, closed, status, up, down, writable;
    uint64_t unacknowledged;
};

struct world {
    struct pair pair;
    struct half client[STREAMS], server[STREAMS];
    int accepted;
    int clients;
    bool does_not_close; /* the server does not close at the client's end */
    int drain_calls, drain_over;
    uint64_t named; /* the stream that a full server names in its trace */
    struct rtcp_drain_progress progress;
};

static void on_readable(void *user, struct rtcp_stream *stream)
{
    struct half *h = user;
    uint8_t bytes[4096];
    int64_t n;

    while (h->is_reading && (n = rtcp_recv(stream, bytes, sizeof bytes)) >= 0) {
        h->received += (size_t)n;
        if (n == 0) {
            h->ended++;
            if (!h->world->does_not_close) {
                rtcp_close(stream, RTCP_LINGER_BACKGROUND);
            }
            return;
        }
    }
}

static void on_writable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    ((struct half *)user)->writable++;
}

static void on_link(void *user, struct rtcp_stream *stream, bool up)
{
    struct half *h = user;

    (void)stream;
    h->up += up ? 1 : 0;
    h->down += up ? 0 : 1;
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct half *h = user;

    assert_ptr_equal(stream, h->stream);
    h->closed++;
    h->status = status;
    h->unacknowledged = unacknowledged;
    h->stream = NULL;
}

static const struct rtcp_stream_callbacks calls = {
    .on_readable = on_readable, .on_writable = on_writable, .on_link = on_link, .on_closed = on_closed};

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct world *w = user;
    struct half *h = &w->server[w->accepted++];

    (void)listener;
    h->world = w;
    h->stream = stream;
    h->is_reading = true;
    rtcp_stream_set_callbacks(stream, &calls, h);
}

static void on_drain(void *user, struct rtcp_endpoint *endpoint, const struct rtcp_drain_progress *progress)
{
    struct world *w = user;

    assert_ptr_equal(endpoint, w->pair.near);
    assert_int_equal(w->drain_over, 0); /* nothing comes after the last call */
    w->drain_calls++;
    w->drain_over += progress->is_over ? 1 : 0;
    w->progress = *progress;
    if (progress->is_over) {
        ev_break(w->pair.loop, EVBREAK_ONE);
    }
}

static void on_event(void *user, const struct base_event *e)
{
    if (strcmp(e->name, "full") == 0) {
        ((struct world *)user)->named = e->id;
    }
}

static void open_limited_world(struct world *w, size_t streams_max)
{
    struct rtcp_endpoint_options far;
    struct rtcp_listen_options listen;
    const struct pair_options options = {
        .limit = DEADLINE_S, .far = &far, .listen = &listen, .on_accept = on_accept, .user = w};

    *w = (struct world){.accepted = 0};
    rtcp_endpoint_options_default(&far);
    far.trace = (struct base_trace){w, on_event};
    rtcp_listen_options_default(&listen);
    listen.streams_max = streams_max;
    listen.stream.ring = RTCP_RING_MIN; /* without a descriptor */
    pair_open(&w->pair, &options);
}

static void open_world(struct world *w)
{
    open_limited_world(w, 0);
}

static void close_world(struct world *w)
{
    pair_close(&w->pair);
}

/* Begins to connect the next client. */
static struct half *begin(struct world *w, const struct rtcp_stream_options *o)
{
    struct half *h = &w->client[w->clients++];

    h->world = w;
    h->is_reading = true;
    h->stream = pair_connect(&w->pair, o, &calls, h);
    return h;
}

/* ... with a ring of fixed size. */
static struct half *begin_small(struct world *w)
{
    struct rtcp_stream_options o;

    rtcp_stream_options_default(&o);
    o.ring = RTCP_RING_MIN;
    return begin(w, &o);
}

static struct half *dial(struct world *w)
{
    struct half *h = begin(w, NULL);

    PAIR_UNTIL(&w->pair, w->accepted >= w->clients && h->up >= 1);
    return h;
}

static struct rtcp_info info_of(const struct half *h)
{
    return pair_info(h->stream);
}

static void send_some(struct half *h, size_t size)
{
    static const uint8_t bytes[65536];

    assert_true(size <= sizeof bytes);
    assert_int_equal(rtcp_send(h->stream, bytes, size), (int64_t)size);
}

/* ------------------------------------------------------------------------------------------------ draining */

static void draining_delivers_everything_and_then_tells(void **state)
{
    struct world w;
    struct rtcp_stream *none = NULL;
    struct rtcp_listener *listener = NULL;

    (void)state;
    open_world(&w);
    for (int i = 0; i < 3; i++) {
        send_some(dial(&w), 50000);
    }
    rtcp_drain(w.pair.near, BASE_S(10), on_drain, &w);
    assert_int_equal(w.drain_calls, 0); /* never from inside the call */
    assert_int_equal(rtcp_connect(w.pair.near, "127.0.0.1:1", NULL, NULL, NULL, &none), BASE_E_CLOSED);
    assert_int_equal(rtcp_listen(w.pair.near, "127.0.0.1:0", NULL, NULL, NULL, &listener), BASE_E_CLOSED);
    PAIR_UNTIL(&w.pair, w.drain_over >= 1);

    assert_int_equal(w.progress.streams, 0);
    assert_int_equal(w.progress.unacknowledged, 0);
    assert_int_equal(w.progress.lost, 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(w.client[i].status, 0);
        assert_int_equal(w.server[i].received, 50000);
    }
    close_world(&w);
}

static void draining_nothing_is_over_in_the_next_turn(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    rtcp_drain(w.pair.near, BASE_NEVER, on_drain, &w);
    assert_int_equal(w.drain_over, 0);
    PAIR_UNTIL(&w.pair, w.drain_over >= 1);

    assert_int_equal(w.drain_calls, 1);
    close_world(&w);
}

static void a_drain_that_reaches_its_deadline_says_what_was_lost(void **state)
{
    struct world w;
    struct half *h;
    struct rtcp_stats stats;

    (void)state;
    open_world(&w);
    h = dial(&w);
    w.server[0].is_reading = false;
    send_some(h, 7000);
    rtcp_drain(w.pair.near, BASE_MS(500), on_drain, &w);
    rtcp_endpoint_stats(w.pair.near, &stats);
    assert_int_equal(stats.lingering, 1);
    PAIR_UNTIL(&w.pair, w.drain_over >= 1);

    assert_int_equal(h->status, BASE_E_EXPIRED);
    assert_int_equal(h->unacknowledged, 7000);
    assert_int_equal(w.progress.lost, 7000);
    assert_true(w.drain_calls >= 2); /* progress on the way */
    rtcp_endpoint_stats(w.pair.near, &stats);
    assert_int_equal(stats.lingering, 0);
    assert_int_equal(stats.expired, 1);
    assert_int_equal(stats.bytes_lost, 7000);
    PAIR_UNTIL(&w.pair, w.server[0].closed >= 1);
    assert_int_equal(w.server[0].status, BASE_E_RESET);
    close_world(&w);
}

/* A server on its way out refuses openings and ends the streams that it has in order. */
static void a_draining_server_refuses_new_streams(void **state)
{
    struct world w;
    struct half *h;
    struct half *late;

    (void)state;
    open_world(&w);
    w.does_not_close = true;
    h = dial(&w);
    rtcp_drain(w.pair.far, BASE_S(20), NULL, NULL);
    late = begin(&w, NULL);
    PAIR_UNTIL(&w.pair, late->closed >= 1);

    assert_int_equal(late->status, BASE_E_REFUSED);
    PAIR_UNTIL(&w.pair, h->ended >= 1);
    rtcp_close(h->stream, RTCP_LINGER_BACKGROUND);
    PAIR_UNTIL(&w.pair, h->closed >= 1);
    PAIR_UNTIL(&w.pair, w.server[0].closed >= 1);
    assert_int_equal(h->status, 0);
    assert_int_equal(w.server[0].status, 0);
    close_world(&w);
}

/* ------------------------------------------------------------------------------------------------ limits */

static uint64_t full_refused(const struct world *w)
{
    struct rtcp_stats stats;

    rtcp_endpoint_stats(w->pair.far, &stats);
    return stats.full_refused;
}

/* At its limit a server says so for now, names who might go, and takes the next when one went. */
static void a_full_listener_names_the_oldest_orphan_and_takes_the_next_when_one_went(void **state)
{
    struct rtcp_stats stats;
    struct rtcp_info info;
    base_time silent = 0;
    struct world w;

    (void)state;
    open_limited_world(&w, 2);
    (void)dial(&w);
    (void)dial(&w);
    assert_null(rtcp_oldest_orphan(w.pair.far, NULL));
    assert_int_equal(rtcp_passivate(w.client[1].stream), 0); /* as good as a client that went away */
    PAIR_UNTIL(&w.pair, w.server[1].down >= 1);
    assert_ptr_equal(rtcp_oldest_orphan(w.pair.far, &silent), w.server[1].stream);
    rtcp_info(w.server[1].stream, &info);
    assert_int_equal(info.state, RTCP_PASSIVE);
    rtcp_endpoint_stats(w.pair.far, &stats);
    assert_int_equal(stats.passive, 1);

    (void)begin_small(&w);
    PAIR_UNTIL(&w.pair, full_refused(&w) >= 2);
    assert_int_equal(w.named, info.id);
    assert_int_equal(w.accepted, 2);
    assert_int_equal(w.client[2].closed, 0);
    rtcp_close(w.server[1].stream, RTCP_LINGER_ABORT);
    PAIR_UNTIL(&w.pair, w.accepted >= 3);
    close_world(&w);
}

/* P43: without descriptors openings are refused for now, who comes back gets in, and nothing spins. */
static void without_descriptors_those_that_come_back_get_in(void **state)
{
    struct scarce scarce;
    unsigned turns;
    struct world w;

    (void)state;
    scarce_needs_kernel();
    open_world(&w);
    (void)dial(&w);
    scarce_begin(&scarce, 1); /* one end of a connection */
    turns = ev_iteration(w.pair.loop);
    (void)begin_small(&w);
    PAIR_UNTIL(&w.pair, full_refused(&w) >= 3);
    assert_int_equal(w.client[1].closed, 0);
    assert_int_equal(w.accepted, 1);

    assert_int_equal(rtcp_replace(w.client[0].stream), 0);
    PAIR_UNTIL(&w.pair, pair_info(w.client[0].stream).connections >= 2);
    assert_true(ev_iteration(w.pair.loop) - turns < 1000);

    scarce_end(&scarce);
    PAIR_UNTIL(&w.pair, w.accepted >= 2);
    assert_int_equal(w.client[0].down, 0);
    close_world(&w);
}

/* Somebody takes the last descriptor and says nothing: for a second. */
static void a_silent_stranger_does_not_keep_the_last_descriptor(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct scarce scarce;
    struct world w;
    int stranger;

    (void)state;
    scarce_needs_kernel();
    stranger = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    open_world(&w);
    (void)dial(&w);
    at.sin_port = htons((uint16_t)strtol(strchr(rtcp_listener_address(w.pair.listener), ':') + 1, NULL, 10));
    scarce_begin(&scarce, 0);
    assert_int_equal(connect(stranger, (struct sockaddr *)&at, sizeof at), -1);
    ev_run(w.pair.loop, EVRUN_ONCE);
    scarce_end(&scarce);
    scarce_begin(&scarce, 1);
    assert_int_equal(rtcp_replace(w.client[0].stream), 0);
    PAIR_UNTIL(&w.pair, pair_info(w.client[0].stream).connections >= 2);

    scarce_end(&scarce);
    close(stranger);
    close_world(&w);
}

/* ------------------------------------------------------------------------------------------------ passivation */

static void idle_connections_go_and_come_back_on_either_sides_use(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    (void)dial(&w);
    for (int who = 0; who < 2; who++) {
        struct half *asker = who == 0 ? &w.client[0] : &w.server[0];
        struct half *sender = who == 0 ? &w.server[0] : &w.client[0];
        int downs = w.client[0].down;
        int got = (int)w.client[0].received + (int)w.server[0].received;

        assert_int_equal(rtcp_passivate(asker->stream), 0);
        PAIR_UNTIL(&w.pair, w.client[0].down >= downs + 1);
        PAIR_UNTIL(&w.pair, w.server[0].down >= downs + 1);
        assert_int_equal(info_of(&w.client[0]).state, RTCP_PASSIVE);
        assert_int_equal(info_of(&w.server[0]).state, RTCP_PASSIVE);
        send_some(sender, 1000);
        PAIR_UNTIL(&w.pair, (int)w.client[0].received + (int)w.server[0].received >= got + 1000);
        assert_int_equal(info_of(&w.client[0]).state, RTCP_ATTACHED);
    }
    rtcp_close(w.client[0].stream, RTCP_LINGER_BACKGROUND);
    PAIR_UNTIL(&w.pair, w.client[0].closed >= 1);
    assert_int_equal(w.client[0].status, 0);
    close_world(&w);
}

/* ------------------------------------------------------------------------------------------------ numbers */

static void turns_for(struct world *w, base_time span)
{
    ev_tstamp until = ev_time() + (double)span / 1e9;

    while (ev_time() < until) {
        ev_run(w->pair.loop, EVRUN_ONCE); /* probes, questions and the deadline of the last wait keep it turning */
    }
}

/* Everything that the paper plans and the design adds (2.8), each number against what was done. */
static void a_stream_knows_its_numbers(void **state)
{
    struct rtcp_info i;
    struct world w;
    struct half *c;
    struct half *s;

    (void)state;
    open_world(&w);
    s = &w.server[0];
    c = begin_small(&w);
    PAIR_UNTIL(&w.pair, w.accepted >= 1);
    PAIR_UNTIL(&w.pair, c->up >= 1);
    i = info_of(c);
    assert_int_equal(i.evidence, RTCP_EVIDENCE_NONE);
    assert_int_equal(i.state, RTCP_ATTACHED);
    assert_true(i.is_client && !info_of(s).is_client);
    assert_int_equal(i.connections, 1);
    assert_int_equal(i.attempt, 1);
    assert_int_equal(i.disconnected, 0);
    assert_int_equal(i.peer_incarnation, rtcp_endpoint_incarnation(w.pair.far));
    assert_int_equal(i.id, info_of(s).id);
    PAIR_UNTIL(&w.pair, info_of(c).is_confirmed && info_of(c).round_trip > 0);

    s->is_reading = false; /* nothing is acknowledged: the oldest byte ages */
    send_some(c, 1000);
    turns_for(&w, BASE_MS(300));
    i = info_of(c);
    assert_int_equal(i.unacknowledged, 1000);
    assert_int_equal(i.sent, 1000);
    assert_true(i.oldest_unacknowledged >= BASE_MS(300) && i.oldest_unacknowledged < BASE_MS(700));
    assert_true(i.silent < BASE_MS(700)); /* it is alive: it answers */
    assert_int_equal(i.blocked_send, 0);
    assert_true(i.blocked_receive >= BASE_MS(300));
    assert_int_equal(info_of(s).received, 0);

    while (rtcp_room(c->stream) > 0) { /* a full ring blocks */
        static const uint8_t bytes[65536];

        (void)!rtcp_send(c->stream, bytes, sizeof bytes);
        ev_run(w.pair.loop, EVRUN_NOWAIT);
    }
    assert_int_equal(rtcp_send(c->stream, "x", 1), BASE_E_AGAIN);
    turns_for(&w, BASE_MS(100));
    assert_true(info_of(c).blocked_send >= BASE_MS(100));

    s->is_reading = true;
    on_readable(s, s->stream);
    PAIR_UNTIL(&w.pair, info_of(c).unacknowledged == 0);
    i = info_of(c);
    assert_int_equal(i.oldest_unacknowledged, 0);
    assert_int_equal(i.blocked_send, 0);
    assert_int_equal(i.sent, s->received);
    assert_int_equal(info_of(s).received, s->received);
    assert_int_equal(i.repeated, 0);
    close_world(&w);
}

/* ------------------------------------------------------------------------------------------------ others */

static void closing_within_a_time_ends_by_then(void **state)
{
    struct world w;
    struct half *h;

    (void)state;
    open_world(&w);
    h = dial(&w);
    w.server[0].is_reading = false;
    send_some(h, 1234);
    rtcp_close_within(h->stream, BASE_MS(300));
    PAIR_UNTIL(&w.pair, h->closed >= 1);

    assert_int_equal(h->status, BASE_E_EXPIRED);
    assert_int_equal(h->unacknowledged, 1234);
    close_world(&w);
}

static void either_side_may_ask_for_another_connection(void **state)
{
    struct world w;
    struct half *h;

    (void)state;
    open_world(&w);
    h = dial(&w);
    send_some(h, 60000);
    assert_int_equal(rtcp_replace(h->stream), 0);
    PAIR_UNTIL(&w.pair, info_of(h).connections >= 2 && w.server[0].received >= 60000);
    assert_int_equal(rtcp_replace(w.server[0].stream), 0);
    PAIR_UNTIL(&w.pair, info_of(h).connections >= 3);

    assert_int_equal(h->down, 0);
    assert_int_equal(w.server[0].down, 0);
    rtcp_close(h->stream, RTCP_LINGER_BACKGROUND);
    PAIR_UNTIL(&w.pair, h->closed >= 1);
    assert_int_equal(h->status, 0);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draining_delivers_everything_and_then_tells),
        cmocka_unit_test(draining_nothing_is_over_in_the_next_turn),
        cmocka_unit_test(a_drain_that_reaches_its_deadline_says_what_was_lost),
        cmocka_unit_test(a_draining_server_refuses_new_streams),
        cmocka_unit_test(a_full_listener_names_the_oldest_orphan_and_takes_the_next_when_one_went),
        cmocka_unit_test(without_descriptors_those_that_come_back_get_in),
        cmocka_unit_test(a_silent_stranger_does_not_keep_the_last_descriptor),
        cmocka_unit_test(idle_connections_go_and_come_back_on_either_sides_use),
        cmocka_unit_test(a_stream_knows_its_numbers),
        cmocka_unit_test(closing_within_a_time_ends_by_then),
        cmocka_unit_test(either_side_may_ask_for_another_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
