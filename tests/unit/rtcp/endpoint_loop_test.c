/* The rest of rtcp.h over real sockets on loopback: room and reservations, half closing, numbers, names, listeners.
 *
 * Every wait is for an event and ends with a deadline; nothing sleeps.
 */
#include "rtcp/inside_loop.h"
#include "rtcp/rtcp.h"
#include "tests/unit/rtcp/pair.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define DEADLINE_S 10.
#define RING       4096u

/* A server that answers nothing until it has read the client's end, and then says how much it read. */
struct world {
    struct pair pair;
    struct rtcp_stream *client;
    struct rtcp_stream *server;
    bool is_reading; /* the server reads */
    char server_text[2 * RING];
    size_t server_size;
    char client_text[64];
    size_t client_size;
    int accepted;
    int reads;
    int writable;
    int ended;
    int closed;
    int closed_status;
};

static void server_readable(void *user, struct rtcp_stream *stream)
{
    struct world *w = user;
    int64_t count;

    if (!w->is_reading) {
        return;
    }
    count = rtcp_recv(stream, w->server_text + w->server_size, sizeof w->server_text - w->server_size);
    if (count > 0) {
        w->server_size += (size_t)count;
        w->reads++;
    } else if (count == 0) {
        w->ended++;
        assert_int_equal(rtcp_send(stream, "read all", 8), 8); /* the other direction is still open */
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
}

static void client_readable(void *user, struct rtcp_stream *stream)
{
    struct world *w = user;
    int64_t count = rtcp_recv(stream, w->client_text + w->client_size, sizeof w->client_text - w->client_size);

    if (count > 0) {
        w->client_size += (size_t)count;
    } else if (count == 0) {
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
}

static void client_writable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    ((struct world *)user)->writable++;
}

static void client_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct world *w = user;

    (void)stream;
    (void)unacknowledged;
    w->closed++;
    w->closed_status = status;
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    const struct rtcp_stream_callbacks callbacks = {.on_readable = server_readable};
    struct world *w = user;

    (void)listener;
    rtcp_stream_set_callbacks(stream, &callbacks, NULL);
    rtcp_stream_set_user(stream, w); /* learned later than the callbacks */
    w->server = stream;
    w->accepted++;
}

static const struct rtcp_stream_callbacks client_callbacks = {
    .on_readable = client_readable, .on_writable = client_writable, .on_closed = client_closed};

static void open_client(struct world *w)
{
    struct rtcp_stream_options options;

    rtcp_stream_options_default(&options);
    options.ring = RING;
    w->client = pair_connect(&w->pair, &options, &client_callbacks, w);
}

static void set_up(struct world *w)
{
    struct rtcp_listen_options listen;
    const struct pair_options options = {.limit = DEADLINE_S, .listen = &listen, .on_accept = on_accept, .user = w};

    *w = (struct world){.is_reading = true};
    rtcp_listen_options_default(&listen);
    listen.service = "unit";
    pair_open(&w->pair, &options);
}

static void tear_down(struct world *w)
{
    pair_close(&w->pair);
}

static void reserved_room_is_sent_as_far_as_it_was_committed(void **state)
{
    struct world w;
    struct base_span room;

    (void)state;
    set_up(&w);
    open_client(&w);
    assert_int_equal(rtcp_room(w.client), RING);

    assert_int_equal(rtcp_reserve(w.client, &room), 0);
    assert_in_range(room.size, 11, RING);
    memcpy(room.data, "hello, worldly", 14);
    assert_int_equal(rtcp_commit(w.client, 12), 0);
    assert_int_equal(rtcp_room(w.client), RING - 12);
    assert_int_equal(rtcp_reserve(w.client, &room), 0);
    assert_int_equal(rtcp_commit(w.client, room.size + 1), BASE_E_RANGE);
    assert_int_equal(rtcp_shutdown(w.client), 0);
    PAIR_UNTIL(&w.pair, w.closed >= 1);

    assert_int_equal(w.server_size, 12);
    assert_memory_equal(w.server_text, "hello, world", 12);
    assert_int_equal(w.closed_status, 0);
    tear_down(&w);
}

/* A half-closed stream still carries the answer. */
static void after_shutdown_nothing_is_taken_but_the_answer_arrives(void **state)
{
    struct world w;
    struct base_span room;

    (void)state;
    set_up(&w);
    open_client(&w);
    assert_int_equal(rtcp_send(w.client, "x", 1), 1);

    assert_int_equal(rtcp_shutdown(w.client), 0);
    assert_int_equal(rtcp_send(w.client, "y", 1), BASE_E_CLOSED);
    assert_int_equal(rtcp_reserve(w.client, &room), BASE_E_CLOSED);
    assert_int_equal(rtcp_shutdown(w.client), 0); /* it is shut down already */
    PAIR_UNTIL(&w.pair, w.closed >= 1);

    assert_int_equal(w.ended, 1);
    assert_int_equal(w.server_size, 1);
    assert_int_equal(w.client_size, 8);
    assert_memory_equal(w.client_text, "read all", 8);
    tear_down(&w);
}

static void a_full_ring_takes_no_more_until_the_reader_has_read(void **state)
{
    static const char bytes[2 * RING] = {0};
    struct world w;
    struct base_span room;

    (void)state;
    set_up(&w);
    w.is_reading = false;
    open_client(&w);

    assert_int_equal(rtcp_send(w.client, bytes, sizeof bytes), RING);
    assert_int_equal(rtcp_room(w.client), 0);
    assert_int_equal(rtcp_send(w.client, bytes, 1), BASE_E_AGAIN);
    assert_int_equal(rtcp_reserve(w.client, &room), BASE_E_AGAIN);
    PAIR_UNTIL(&w.pair, w.accepted >= 1);
    w.is_reading = true;
    server_readable(&w, w.server);
    while (rtcp_room(w.client) == 0) {
        int before = w.writable;

        PAIR_UNTIL(&w.pair, w.writable > before);
    }

    assert_true(rtcp_send(w.client, bytes, 1) == 1);
    tear_down(&w);
}

static void endpoints_are_told_apart_and_count(void **state)
{
    struct world w;
    struct rtcp_stats before;
    struct rtcp_stats after;
    struct rtcp_info info;

    (void)state;
    set_up(&w);
    rtcp_endpoint_stats(w.pair.far, &before);
    open_client(&w);
    assert_int_equal(rtcp_send(w.client, "x", 1), 1);
    PAIR_UNTIL(&w.pair, w.accepted >= 1);
    PAIR_UNTIL(&w.pair, w.reads >= 1);
    PAIR_UNTIL(&w.pair, w.writable >= 1);

    rtcp_endpoint_stats(w.pair.far, &after);
    rtcp_info(w.client, &info);
    assert_true(rtcp_endpoint_incarnation(w.pair.near) != 0);
    assert_true(rtcp_endpoint_incarnation(w.pair.near) != rtcp_endpoint_incarnation(w.pair.far));
    assert_true(info.peer_incarnation == rtcp_endpoint_incarnation(w.pair.far));
    assert_int_equal(before.sessions, 0);
    assert_int_equal(before.connections_accepted, 0);
    assert_int_equal(after.sessions, 1);
    assert_int_equal(after.connections_accepted, 1);
    assert_int_equal(after.handshakes_refused, 0);
    assert_string_equal(rtcp_peer_address(w.client), rtcp_listener_address(w.pair.listener));
    assert_non_null(strstr(rtcp_peer_address(w.server), "127.0.0.1:"));
    tear_down(&w);
}

static void a_closed_listener_refuses_for_good(void **state)
{
    struct world w;
    char address[RTCP_ADDRESS_TEXT];
    struct rtcp_stats stats;

    (void)state;
    set_up(&w);
    open_client(&w);
    PAIR_UNTIL(&w.pair, w.accepted >= 1); /* keeps the socket open: its stream must be able to come back */
    snprintf(address, sizeof address, "%s", rtcp_listener_address(w.pair.listener));
    rtcp_listener_close(w.pair.listener);

    assert_int_equal(rtcp_connect(w.pair.near, address, NULL, &client_callbacks, &w, &w.client), 0);
    PAIR_UNTIL(&w.pair, w.closed >= 1);

    assert_int_equal(w.closed_status, BASE_E_REFUSED);
    assert_int_equal(w.accepted, 1);
    rtcp_endpoint_stats(w.pair.far, &stats);
    assert_int_equal(stats.handshakes_refused, 1);
    tear_down(&w);
}

/* What comes by a CONTROL connection says nothing about which UDP port serves the client: the way back to UDP leaves
 * from the port that the client knows (P74), not from the first one. */
static void a_control_connection_leaves_the_udp_port_of_the_route_alone(void **state)
{
    struct rtcp_wire_control c = {.type = RTCP_WIRE_PROBE, .has_data = false};
    struct rtcp_source source = {.peer = rtcp_address_courier(7)};
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX];
    struct rtcp_listener *second;
    struct rtcp_route *route;
    struct world w;
    struct rtcp_stats before, after;
    size_t size;

    (void)state;
    set_up(&w);
    assert_int_equal(rtcp_listen(w.pair.far, "127.0.0.2:0", NULL, on_accept, &w, &second), 0);
    w.pair.listener = second;
    open_client(&w);
    PAIR_UNTIL(&w.pair, w.accepted >= 1);
    PAIR_UNTIL(&w.pair, w.writable >= 1); /* it has its keys */
    route = w.server->session.route;
    assert_non_null(route);
    assert_int_equal(route->via, 1);

    c.id = w.server->session.opt.id;
    c.asker = w.client->session.opt.id;
    size = rtcp_wire_put_control(bytes, &c);
    rtcp_auth_control(bytes + size, w.client->session.keys.control_up, (struct base_bytes){bytes, size}, 0, 0);
    route->to = source.peer; /* it stands in for UDP */
    rtcp_endpoint_stats(w.pair.far, &before);
    rtcp_control_received(w.pair.far, (struct base_bytes){bytes, size + RTCP_WIRE_CONTROL_TAG}, &source);
    rtcp_endpoint_stats(w.pair.far, &after);
    assert_int_equal(after.messages_dropped, before.messages_dropped); /* it was believed */
    assert_int_equal(route->via, 1);
    tear_down(&w);
}

/* What the two streams of a client were told, in order. */
struct word {
    struct world world;
    unsigned bytes, probes, ends;
    unsigned probes_at_end; /* when the first of them ended */
};

static void word_readable(void *user, struct rtcp_stream *stream)
{
    struct word *w = user;
    char text[8];
    int64_t count = rtcp_recv(stream, text, sizeof text);

    assert_true(count != 0);
    w->bytes += count > 0 ? 1 : 0; /* else its connection broke */
}

static void word_probe_data(void *user, struct rtcp_stream *stream, const uint8_t data[RTCP_PROBE_DATA_SIZE])
{
    (void)stream;
    ((struct word *)user)->probes += data[0] == 'x' ? 0 : 1;
}

static void word_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct word *w = user;

    (void)stream;
    (void)unacknowledged;
    assert_int_equal(status, BASE_E_RESET);
    w->probes_at_end = w->ends++ == 0 ? w->probes : w->probes_at_end;
}

/* Story (R25): a leader said in a datagram that it leads no more and aborted both of its streams. The connection of the
 * bulk stream broke first, its end was told first, and the member never looked at the other stream again. */
static void the_last_word_of_a_stream_is_told_before_another_one_ends(void **state)
{
    static const struct rtcp_stream_callbacks calls = {
        .on_readable = word_readable, .on_probe_data = word_probe_data, .on_closed = word_closed};
    static const uint8_t first[RTCP_PROBE_DATA_SIZE] = "x", last[RTCP_PROBE_DATA_SIZE] = "the last word";
    struct word w = {0};

    (void)state;
    set_up(&w.world);
    for (int i = 1; i <= 2; i++) { /* the bulk stream, and then the one that tells */
        w.world.client = pair_connect(&w.world.pair, NULL, &calls, &w);
        rtcp_set_probe_data(w.world.client, first); /* its answer teaches the way of datagrams */
        PAIR_UNTIL(&w.world.pair, w.world.accepted == i && w.world.server->session.is_confirmed);
    }
    PAIR_UNTIL(&w.world.pair, rtcp_route_is_valid(w.world.server->session.route) &&
                                  w.world.client->session.pulse.unanswered_since == 0);

    assert_int_equal(rtcp_send(w.world.server, "y", 1), 1);
    PAIR_UNTIL(&w.world.pair, w.bytes == 1); /* a connection that was busy last comes after the datagrams in a turn */

    rtcp_set_probe_data(w.world.server, last);
    rtcp_endpoint_close(w.world.pair.far);
    w.world.pair.far = NULL;
    PAIR_UNTIL(&w.world.pair, w.ends == 2);

    assert_true(w.probes_at_end > 0);
    tear_down(&w.world);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    struct world *w = watcher->data;

    (void)events;
    w->writable = 0;
    rtcp_stream_report(w->client, RTCP_REPORT_WRITABLE);
    ev_prepare_stop(loop, watcher);
}

/* Story: the endpoint had had its turn already, and the callback came with the next event that happened to come. */
static void what_becomes_ready_just_before_the_loop_waits_is_not_left_for_later(void **state)
{
    struct world w;
    ev_prepare prepare;

    (void)state;
    set_up(&w);
    open_client(&w);
    PAIR_UNTIL(&w.pair, w.client->live != NULL);
    ev_prepare_init(&prepare, on_prepare);
    prepare.data = &w;
    ev_set_priority(&prepare, EV_MINPRI);
    ev_prepare_start(w.pair.loop, &prepare);
    PAIR_UNTIL(&w.pair, !ev_is_active(&prepare));
    assert_true(w.writable == 1 || ev_is_active(&w.pair.near->awake)); /* then the loop does not wait */
    ev_run(w.pair.loop, EVRUN_NOWAIT);
    assert_int_equal(w.writable, 1);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reserved_room_is_sent_as_far_as_it_was_committed),
        cmocka_unit_test(after_shutdown_nothing_is_taken_but_the_answer_arrives),
        cmocka_unit_test(a_full_ring_takes_no_more_until_the_reader_has_read),
        cmocka_unit_test(endpoints_are_told_apart_and_count),
        cmocka_unit_test(a_closed_listener_refuses_for_good),
        cmocka_unit_test(what_becomes_ready_just_before_the_loop_waits_is_not_left_for_later),
        cmocka_unit_test(a_control_connection_leaves_the_udp_port_of_the_route_alone),
        cmocka_unit_test(the_last_word_of_a_stream_is_told_before_another_one_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
