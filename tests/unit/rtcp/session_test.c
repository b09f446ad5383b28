/* Tests of the calls of rtcp/session.h that need no peer: births, the data path, what is due when. What sessions do
 * with each other stands in tests/story/rtcp.
 */
#include "rtcp/base/ringmem_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/session_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW  BASE_S(100)
#define RING 4096u

static const struct base_trace silent;
static const uint8_t bytes[2 * RING];

struct world {
    struct rtcp_session s;
    struct rtcp_auth_shared shared;
    struct rtcp_session_options o;
    struct rtcp_route route;
};

static void init_world(struct world *w)
{
    memset(w, 0, sizeof *w);
    rtcp_auth_shared_init(&w->shared, (struct base_bytes){NULL, 0}, 0);
    w->o = (struct rtcp_session_options){.ring = RING,
                                         .idle_probe = BASE_S(15),
                                         .linger_max = BASE_S(600),
                                         .name = 7,
                                         .incarnation = 8,
                                         .id = 9,
                                         .shared = &w->shared,
                                         .ring_source = base_ringmem_system(),
                                         .trace = &silent};
}

static struct world *open_client(void)
{
    struct world *w = malloc(sizeof *w);

    assert_non_null(w);
    init_world(w);
    w->o.is_client = true;
    assert_int_equal(rtcp_session_open(&w->s, &w->o, NOW), 0);
    return w;
}

static bool poll(struct world *w, enum rtcp_effect_kind kind)
{
    struct rtcp_effect e;

    while (rtcp_session_poll(&w->s, &e)) {
        if (e.kind == RTCP_EFFECT_ATTACH) {
            rtcp_session_routed(&w->s, NOW, &w->route);
        }
        if (e.kind == kind) {
            return true;
        }
    }
    return false;
}

/* A server's session that is attached on attempt 1. */
static struct world *open_server(void)
{
    const struct rtcp_wire_request open = {
        .kind = RTCP_WIRE_OPEN, .control_id = 5, .attempt = 1, .window = RING, .client_incarnation = 6};
    struct world *w = malloc(sizeof *w);

    assert_non_null(w);
    init_world(w);
    rtcp_route_init(&w->route, 6, NOW);
    assert_int_equal(rtcp_session_accept(&w->s, &w->o, NOW, &open), 0);
    assert_true(poll(w, RTCP_EFFECT_GREET));
    assert_true(poll(w, RTCP_EFFECT_ATTACH));
    assert_true(poll(w, RTCP_EFFECT_ACCEPTED));
    return w;
}

static void close_world(struct world *w)
{
    rtcp_session_deinit(&w->s);
    free(w);
}

static int64_t append(struct world *w, size_t size)
{
    return rtcp_session_append(&w->s, NOW, (struct base_bytes){bytes, size});
}

/* ------------------------------------------------------------------------------------------------ births */

static int take_nothing(void *user, size_t size, struct base_ringmem *ring)
{
    (void)user;
    (void)size;
    (void)ring;
    return BASE_E_NOMEM;
}

static void a_ring_of_impossible_size_is_a_status_at_birth(void **state)
{
    const struct rtcp_wire_request open = {.attempt = 1};
    struct world w;

    (void)state;
    init_world(&w);
    w.o.ring = (1u << 30) + 1;
    assert_int_equal(rtcp_session_open(&w.s, &w.o, NOW), BASE_E_RANGE);
    assert_int_equal(rtcp_session_accept(&w.s, &w.o, NOW, &open), BASE_E_RANGE);
    rtcp_session_deinit(&w.s);
}

static void a_client_begins_with_a_connection(void **state)
{
    struct world *w = open_client();
    struct rtcp_effect e;

    (void)state;
    assert_true(rtcp_session_poll(&w->s, &e));
    assert_int_equal(e.kind, RTCP_EFFECT_CONNECT);
    assert_int_equal(e.attempt, 1);
    assert_false(rtcp_session_poll(&w->s, &e));
    assert_int_equal(rtcp_session_deadline(&w->s), NOW + RTCP_CONNECT_BUSY);
    close_world(w);
}

static void a_greeting_is_signed_with_the_port_of_the_connection(void **state)
{
    struct world *w = open_client();
    struct rtcp_wire_request r;
    struct rtcp_effect e = {0};

    (void)state;
    rtcp_session_connected(&w->s, NOW, 1);
    while (e.kind != RTCP_EFFECT_GREET) {
        assert_true(rtcp_session_poll(&w->s, &e));
    }
    rtcp_session_sign(&w->s, &e, 4711);
    assert_int_equal(rtcp_wire_get_request((struct base_bytes){e.bytes, e.size}, &r), 0);
    assert_int_equal(r.kind, RTCP_WIRE_OPEN);
    assert_int_equal(r.udp_port, 4711);
    assert_int_equal(r.attempt, 1);
    assert_int_equal(r.control_id, 9);
    assert_true(rtcp_auth_is_signed(e.bytes, e.size, w->shared.key, 0, 0, NULL));
    close_world(w);
}

static void reports_about_other_attempts_change_nothing(void **state)
{
    struct world *w = open_client();
    struct rtcp_session before;

    (void)state;
    assert_true(poll(w, RTCP_EFFECT_CONNECT));
    before = w->s;
    rtcp_session_connected(&w->s, NOW, 2);
    rtcp_session_frozen(&w->s, NOW, 1, true);
    rtcp_session_eof(&w->s, NOW, 1);
    rtcp_session_answered(&w->s, NOW, 1, (struct base_bytes){bytes, RTCP_WIRE_ANSWER});
    rtcp_session_broke(&w->s, NOW, 2, -1, "another one");
    assert_memory_equal(&before, &w->s, sizeof before);
    close_world(w);
}

/* ------------------------------------------------------------------------------------------------ sending */

/* P15: a full ring is normal. */
static void a_full_ring_says_again_and_takes_what_fits(void **state)
{
    struct world *w = open_client();

    (void)state;
    assert_int_equal(append(w, 0), 0);
    assert_int_equal(append(w, 1000), 1000);
    assert_int_equal(append(w, RING), RING - 1000);
    assert_int_equal(append(w, 1), BASE_E_AGAIN);
    assert_true(w->s.wants_room);
    close_world(w);
}

/* A server's session with an automatic ring of 4 KiB, at once up to 16 KiB, in the end up to 64 KiB. */
static struct world *open_automatic(void)
{
    struct world *w = open_server();

    rtcp_session_deinit(&w->s);
    w->o.ring = 0;
    w->o.ring_least = 4096;
    w->o.ring_easy = 16384;
    w->o.ring_max = 65536;
    assert_int_equal(
        rtcp_session_accept(
            &w->s, &w->o, NOW,
            &(struct rtcp_wire_request){
                .kind = RTCP_WIRE_OPEN, .control_id = 5, .attempt = 1, .window = RING, .client_incarnation = 6}),
        0);
    w->route.to = (struct rtcp_address){.family = 4, .ip = {127, 0, 0, 1}, .port = 9};
    assert_true(poll(w, RTCP_EFFECT_ACCEPTED));
    return w;
}

static int64_t grow_and_append(struct world *w, base_time now, size_t size)
{
    static const uint8_t zeros[65536];

    rtcp_session_grow(&w->s, now, size);
    return rtcp_session_append(&w->s, now, (struct base_bytes){zeros, size});
}

static bool says(struct world *w, uint8_t type)
{
    struct rtcp_effect e;

    while (rtcp_session_poll(&w->s, &e)) {
        if (e.kind == RTCP_EFFECT_MESSAGE && e.bytes[4] == type) {
            return true;
        }
    }
    return false;
}

static void a_stream_needs_no_memory_before_its_first_byte(void **state)
{
    struct world *w = open_automatic();

    (void)state;
    assert_null(w->s.out.ring.at);
    assert_int_equal(rtcp_session_room(&w->s, NOW), 16384);
    assert_int_equal(grow_and_append(w, NOW, 1), 1);
    assert_int_equal(w->s.out.ring.size, 4096);
    close_world(w);
}

static void a_full_ring_grows_and_tells_it(void **state)
{
    struct world *w = open_automatic();

    (void)state;
    assert_int_equal(grow_and_append(w, NOW, 4096), 4096);
    assert_false(says(w, RTCP_WIRE_REQACK));
    assert_int_equal(grow_and_append(w, NOW, 100), 100);
    assert_int_equal(w->s.out.ring.size, 16384);
    assert_true(says(w, RTCP_WIRE_REQACK));
    assert_int_equal(w->s.told_ring, 16384);
    close_world(w);
}

/* Two peers that both write first: nobody reads, and still the rings must take it all. */
/* A small ring asks for an acknowledgement each quarter: a stream that is fast gets a larger one, full or not. */
static void a_ring_that_turns_fast_grows_and_tells_it(void **state)
{
    struct world *w = open_automatic();
    base_time now = NOW;
    uint64_t sent = 0;

    (void)state;
    for (unsigned i = 0; i < 8 * RTCP_RING_TURNS; i++) { /* slow: a quarter of a second each */
        assert_int_equal(grow_and_append(w, now, 1024), 1024);
        rtcp_session_sent(&w->s, now, 1024);
        sent += 1024;
        rtcp_session_acked_upto(&w->s, now, sent);
        now += BASE_MS(250);
    }
    assert_int_equal(w->s.out.size, 4096);
    while (w->s.out.size == 4096 && sent < 1 << 20) {
        assert_int_equal(grow_and_append(w, now, 1024), 1024);
        rtcp_session_sent(&w->s, now, 1024);
        sent += 1024;
        rtcp_session_acked_upto(&w->s, now, sent);
        now += BASE_MS(1);
    }
    assert_int_equal(w->s.out.size, 16384);
    assert_true(says(w, RTCP_WIRE_REQACK)); /* though it was empty when it grew */
    close_world(w);
}

/* What turns over without filling needs no more room; a larger ring would only leave the cache. */
static void a_ring_that_only_turns_stays_small(void **state)
{
    struct world *w = open_automatic();
    base_time now = NOW;
    uint64_t sent = 0;

    (void)state;
    w->s.opt.ring_easy = 4 * RTCP_RING_TURNING;
    w->s.out.most = 8 * RTCP_RING_TURNING;
    while (sent < (uint64_t)64 * RTCP_RING_TURNING) {
        assert_int_equal(grow_and_append(w, now, 1024), 1024);
        rtcp_session_sent(&w->s, now, 1024);
        sent += 1024;
        rtcp_session_acked_upto(&w->s, now, sent);
        now += BASE_US(1);
    }
    assert_int_equal(w->s.out.size, RTCP_RING_TURNING);
    while (grow_and_append(w, now, 65536) > 0) { /* it does fill: it grows as before */
    }
    assert_int_equal(w->s.out.size, w->s.opt.ring_easy);
    close_world(w);
}

static void a_ring_with_room_asks_half_as_often(void **state)
{
    struct world *w = open_automatic();

    (void)state;
    w->s.opt.acks = 4;
    w->s.opt.ring_easy = w->s.opt.ring_max = 4096;
    w->s.out.most = 4096;
    assert_int_equal(grow_and_append(w, NOW, 4096), 4096);
    assert_int_equal(rtcp_session_window(&w->s), 8192);
    assert_int_equal(grow_and_append(w, NOW, 1), BASE_E_AGAIN); /* it did not hold that */
    assert_int_equal(rtcp_session_window(&w->s), 4096);
    assert_true(says(w, RTCP_WIRE_REQACK)); /* and the peer learns it */
    assert_int_equal(w->s.told_ring, 4096);
    close_world(w);
}

/* An idle session asks for all of its route, a busy one only for itself: its server may be gone, that of others not. */
static void a_busy_session_does_not_ask_for_others(void **state)
{
    struct world *w = open_automatic();

    (void)state;
    rtcp_session_routed(&w->s, NOW, &w->route);
    w->route.asked_at = 1;
    assert_int_equal(grow_and_append(w, NOW, 10), 10);
    rtcp_session_sent(&w->s, NOW, 10);
    rtcp_session_ask(&w->s, NOW, false);
    assert_true(says(w, RTCP_WIRE_PROBE));
    assert_int_equal(w->route.asked_at, 1);
    rtcp_session_acked_upto(&w->s, NOW, 10);
    rtcp_session_ask(&w->s, NOW + BASE_S(1), false);
    assert_int_equal(w->route.asked_at, NOW + BASE_S(1));
    close_world(w);
}

/* Bytes that may leave before the ring holds them: only where nothing waits before them, and what fits (C2, C4). */
static void bytes_pass_only_where_nothing_waits(void **state)
{
    struct world *w = open_automatic();

    (void)state;
    assert_int_equal(rtcp_session_passing(&w->s, w->s.live, 10), 0); /* no memory to keep them in */
    assert_int_equal(grow_and_append(w, NOW, 96), 96);
    assert_int_equal(rtcp_session_passing(&w->s, w->s.live, 10), 0);
    rtcp_session_sent(&w->s, NOW, 96);
    assert_int_equal(rtcp_session_passing(&w->s, w->s.live, 10), 10);
    assert_int_equal(rtcp_session_passing(&w->s, w->s.live, 5000), 4000);
    assert_int_equal(rtcp_session_passing(&w->s, w->s.live + 1, 10), 0);
    assert_int_equal(rtcp_session_shutdown(&w->s, NOW), 0);
    assert_int_equal(rtcp_session_passing(&w->s, w->s.live, 10), 0);
    close_world(w);
}

static void a_ring_that_stays_full_grows_to_its_limit(void **state)
{
    struct world *w = open_automatic();
    base_time now = NOW;

    (void)state;
    assert_int_equal(grow_and_append(w, now, 65536), 16384);
    assert_int_equal(grow_and_append(w, now, 65536), BASE_E_AGAIN);
    for (size_t size = 32768; size <= 65536; size *= 2) {
        now += RTCP_RING_FULL_FOR - 1;
        assert_int_equal(grow_and_append(w, now, 1), BASE_E_AGAIN);
        now += 1;
        assert_true(rtcp_session_deadline(&w->s) <= now);
        rtcp_session_expire(&w->s, now);
        assert_true(poll(w, RTCP_EFFECT_WRITABLE));
        assert_int_equal(grow_and_append(w, now, 65536), size / 2);
        assert_int_equal(w->s.out.size, size);
        assert_int_equal(grow_and_append(w, now, 1), BASE_E_AGAIN);
    }
    now += BASE_S(1);
    assert_int_equal(grow_and_append(w, now, 1), BASE_E_AGAIN); /* the limit */
    close_world(w);
}

/* No memory is back-pressure, never loss: what is there stays, and the user is told when to look again. */
static void no_memory_for_a_ring_is_back_pressure(void **state)
{
    const struct base_ringmem_source none = {NULL, take_nothing, NULL};
    struct world *w = open_automatic();
    base_time now = NOW;

    (void)state;
    w->s.out.source = &none;
    assert_int_equal(grow_and_append(w, now, 100), BASE_E_AGAIN);
    now += RTCP_RING_RETRY;
    assert_true(rtcp_session_deadline(&w->s) <= now);
    rtcp_session_expire(&w->s, now);
    assert_true(poll(w, RTCP_EFFECT_WRITABLE));
    w->s.out.source = base_ringmem_system();
    assert_int_equal(grow_and_append(w, now, 4096), 4096);
    w->s.out.source = &none;
    assert_int_equal(grow_and_append(w, now, 4096), BASE_E_AGAIN);
    assert_int_equal(rtcp_session_next(&w->s, 1).size, 4096);
    now += RTCP_RING_RETRY;
    w->s.out.source = base_ringmem_system();
    rtcp_session_expire(&w->s, now);
    assert_true(poll(w, RTCP_EFFECT_WRITABLE));
    assert_int_equal(grow_and_append(w, now, 4096), 4096);
    close_world(w);
}

/* An idle session costs no ring. */
static void a_ring_that_is_empty_and_idle_gives_its_memory_back(void **state)
{
    struct world *w = open_automatic();
    struct base_span room;

    (void)state;
    assert_int_equal(grow_and_append(w, NOW, 5000), 5000);
    rtcp_session_sent(&w->s, NOW, 5000);
    rtcp_session_expire(&w->s, NOW + RTCP_RING_IDLE);
    rtcp_session_rest(&w->s);
    assert_non_null(w->s.out.ring.at); /* not acknowledged */
    rtcp_session_acked_upto(&w->s, NOW + BASE_S(2), 5000);
    assert_int_equal(rtcp_session_reserve(&w->s, NOW + BASE_S(2), &room), 0);
    rtcp_session_expire(&w->s, NOW + BASE_S(2) + RTCP_RING_IDLE);
    rtcp_session_rest(&w->s);
    assert_non_null(w->s.out.ring.at); /* somebody may be writing into it */
    assert_int_equal(rtcp_session_commit(&w->s, NOW + BASE_S(2), 0), 0);
    rtcp_session_rest(&w->s);
    assert_non_null(w->s.out.ring.at); /* not before it was found idle */
    rtcp_session_expire(&w->s, NOW + BASE_S(2) + RTCP_RING_IDLE);
    rtcp_session_rest(&w->s);
    assert_null(w->s.out.ring.at);
    assert_int_equal(w->s.out.size, 4096);
    assert_int_equal(grow_and_append(w, NOW + BASE_S(9), 10), 10);
    assert_int_equal(rtcp_session_next(&w->s, 1).size, 10);
    close_world(w);
}

/* The peer acknowledges by the ring that it was told, also when that changed. */
static void an_acknowledgement_is_due_each_quarter_of_the_peers_ring_of_now(void **state)
{
    struct world *w = open_automatic();
    struct rtcp_wire_control c = {.type = RTCP_WIRE_REQACK, .ring = 400000};

    (void)state;
    rtcp_session_received(&w->s, NOW, RING / 4);
    assert_true(says(w, RTCP_WIRE_ACK));
    assert_int_equal(rtcp_session_control(&w->s, NOW, &c, &w->route.to), BASE_E_PROTOCOL); /* forged: nothing changes */
    assert_int_equal(w->s.peer_ring, RING);
    w->s.peer_ring = 400000;
    rtcp_session_received(&w->s, NOW, 99999);
    assert_false(says(w, RTCP_WIRE_ACK));
    rtcp_session_received(&w->s, NOW, 1);
    assert_true(says(w, RTCP_WIRE_ACK));
    close_world(w);
}

/* The paper's profile: 16 KiB, acknowledged every 8 KiB. */
static void two_acknowledgements_a_ring_are_asked_for_by_the_window(void **state)
{
    struct rtcp_stream_options paper;
    struct world *w = open_automatic();

    (void)state;
    rtcp_stream_options_paper(&paper);
    rtcp_session_deinit(&w->s);
    w->o.ring = paper.ring;
    w->o.acks = paper.acks;
    assert_int_equal(rtcp_session_open(&w->s, &w->o, NOW), 0);
    assert_int_equal(w->s.out.size, 16384);
    assert_int_equal(rtcp_session_window(&w->s) / 4, 8192);
    close_world(w);
}

static void reserved_room_is_taken_in_by_commit(void **state)
{
    struct world *w = open_client();
    struct base_span room;

    (void)state;
    assert_int_equal(rtcp_session_reserve(&w->s, NOW, &room), 0);
    assert_int_equal(room.size, RING);
    assert_int_equal(rtcp_session_commit(&w->s, NOW, RING + 1), BASE_E_RANGE);
    assert_int_equal(rtcp_session_commit(&w->s, NOW, 100), 0);
    assert_int_equal(w->s.out.upto, 100);
    assert_int_equal(rtcp_session_commit(&w->s, NOW, RING - 100), 0);
    assert_int_equal(rtcp_session_reserve(&w->s, NOW, &room), BASE_E_AGAIN);
    close_world(w);
}

static void nothing_is_taken_after_a_shutdown(void **state)
{
    struct world *w = open_client();
    struct base_span room;

    (void)state;
    assert_int_equal(append(w, 10), 10);
    assert_int_equal(rtcp_session_shutdown(&w->s, NOW), 0);
    assert_int_equal(append(w, 10), BASE_E_CLOSED);
    assert_int_equal(append(w, 0), BASE_E_CLOSED);
    assert_int_equal(rtcp_session_reserve(&w->s, NOW, &room), BASE_E_CLOSED);
    assert_int_equal(rtcp_session_commit(&w->s, NOW, 0), BASE_E_CLOSED);
    rtcp_session_close(&w->s, NOW, false);
    assert_int_equal(rtcp_session_shutdown(&w->s, NOW), BASE_E_CLOSED);
    close_world(w);
}

static void bytes_are_for_the_live_connection_only(void **state)
{
    struct world *w = open_server();

    (void)state;
    assert_int_equal(append(w, 300), 300);
    assert_int_equal(rtcp_session_next(&w->s, 1).size, 300);
    assert_int_equal(rtcp_session_next(&w->s, 2).size, 0);
    rtcp_session_sent(&w->s, NOW, 200);
    assert_int_equal(rtcp_session_next(&w->s, 1).size, 100);
    assert_int_equal(rtcp_session_acked(&w->s), 0);
    rtcp_session_broke(&w->s, NOW, 1, -1, "cut");
    assert_int_equal(rtcp_session_next(&w->s, 1).size, 0);
    assert_int_equal(append(w, 300), 300); /* goes on without a connection */
    close_world(w);
}

static void the_fin_is_due_when_everything_is_written(void **state)
{
    struct world *w = open_server();

    (void)state;
    assert_int_equal(append(w, 300), 300);
    assert_int_equal(rtcp_session_shutdown(&w->s, NOW), 0);
    assert_false(rtcp_session_is_fin_due(&w->s));
    rtcp_session_sent(&w->s, NOW, 300);
    assert_true(rtcp_session_is_fin_due(&w->s));
    close_world(w);
}

/* ------------------------------------------------------------------------------------------------ receiving */

/* What is taken out of a connection that is being replaced is bounded by our own ring, not by the peer's word. */
static void the_waiting_buffer_is_bounded(void **state)
{
    struct world *w = open_server();

    (void)state;
    assert_int_equal(rtcp_session_may_hold(&w->s, 0), RTCP_WAITING_MAX);
    assert_int_equal(rtcp_session_may_hold(&w->s, RTCP_WAITING_MAX - 1), 1);
    assert_int_equal(rtcp_session_may_hold(&w->s, RTCP_WAITING_MAX + 5), 0);
    w->s.peer_shut = true;
    w->s.peer_final = 1000000;
    w->s.peer_ring = UINT32_MAX;
    assert_int_equal(rtcp_session_may_hold(&w->s, 0), RTCP_WAITING_MAX + RING);
    rtcp_session_close(&w->s, NOW, false);
    assert_int_equal(rtcp_session_may_hold(&w->s, 0), 0); /* nobody will read it */
    close_world(w);
}

static void bytes_behind_the_announced_end_are_a_protocol_error(void **state)
{
    struct world *w = open_server();

    (void)state;
    w->s.peer_shut = true;
    w->s.peer_final = 10;
    rtcp_session_received(&w->s, NOW, 11);
    assert_int_equal(w->s.life, RTCP_LIFE_DEAD);
    assert_int_equal(w->s.end, BASE_E_PROTOCOL);
    close_world(w);
}

/* ------------------------------------------------------------------------------------------------ the end */

static void an_opening_closed_with_nothing_to_send_is_over_at_once(void **state)
{
    struct world *w = open_client();

    (void)state;
    rtcp_session_close(&w->s, NOW, false);
    assert_true(poll(w, RTCP_EFFECT_CLOSED));
    assert_int_equal(w->s.end, 0);
    close_world(w);
}

static void an_unconfirmed_session_without_a_connection_is_dropped_after_30_s(void **state)
{
    struct world *w = open_server();

    (void)state;
    rtcp_session_broke(&w->s, NOW, 1, -1, "cut");
    assert_int_equal(rtcp_session_deadline(&w->s), NOW + RTCP_UNCONFIRMED_MAX);
    rtcp_session_expire(&w->s, NOW + RTCP_UNCONFIRMED_MAX - 1);
    assert_int_equal(w->s.life, RTCP_LIFE_OPEN);
    rtcp_session_expire(&w->s, NOW + RTCP_UNCONFIRMED_MAX);
    assert_int_equal(w->s.end, BASE_E_NEVER_CONFIRMED);
    close_world(w);
}

static void the_dead_want_nothing(void **state)
{
    static const uint8_t data[RTCP_WIRE_PROBE_DATA];
    struct world *w = open_client();
    struct rtcp_session before;

    (void)state;
    rtcp_session_close(&w->s, NOW, true);
    assert_true(poll(w, RTCP_EFFECT_CLOSED));
    assert_int_equal(rtcp_session_deadline(&w->s), BASE_NEVER);
    before = w->s;
    rtcp_session_expire(&w->s, NOW + BASE_S(1000));
    rtcp_session_connected(&w->s, NOW, 1);
    rtcp_session_broke(&w->s, NOW, 1, RTCP_EVIDENCE_REFUSED, "late");
    rtcp_session_eof(&w->s, NOW, 1);
    rtcp_session_frozen(&w->s, NOW, 1, true);
    rtcp_session_hint(&w->s, NOW, RTCP_EVIDENCE_UNKNOWN);
    rtcp_session_set_probe_data(&w->s, NOW, data);
    rtcp_session_close(&w->s, NOW, true);
    before.has_probe_data = w->s.has_probe_data;
    assert_memory_equal(&before, &w->s, sizeof before);
    assert_int_equal(append(w, 1), BASE_E_CLOSED);
    close_world(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ring_of_impossible_size_is_a_status_at_birth),
        cmocka_unit_test(a_client_begins_with_a_connection),
        cmocka_unit_test(a_greeting_is_signed_with_the_port_of_the_connection),
        cmocka_unit_test(reports_about_other_attempts_change_nothing),
        cmocka_unit_test(a_full_ring_says_again_and_takes_what_fits),
        cmocka_unit_test(a_stream_needs_no_memory_before_its_first_byte),
        cmocka_unit_test(a_full_ring_grows_and_tells_it),
        cmocka_unit_test(a_ring_that_turns_fast_grows_and_tells_it),
        cmocka_unit_test(a_ring_that_only_turns_stays_small),
        cmocka_unit_test(a_ring_with_room_asks_half_as_often),
        cmocka_unit_test(bytes_pass_only_where_nothing_waits),
        cmocka_unit_test(a_busy_session_does_not_ask_for_others),
        cmocka_unit_test(a_ring_that_stays_full_grows_to_its_limit),
        cmocka_unit_test(no_memory_for_a_ring_is_back_pressure),
        cmocka_unit_test(a_ring_that_is_empty_and_idle_gives_its_memory_back),
        cmocka_unit_test(an_acknowledgement_is_due_each_quarter_of_the_peers_ring_of_now),
        cmocka_unit_test(two_acknowledgements_a_ring_are_asked_for_by_the_window),
        cmocka_unit_test(reserved_room_is_taken_in_by_commit),
        cmocka_unit_test(nothing_is_taken_after_a_shutdown),
        cmocka_unit_test(bytes_are_for_the_live_connection_only),
        cmocka_unit_test(the_fin_is_due_when_everything_is_written),
        cmocka_unit_test(the_waiting_buffer_is_bounded),
        cmocka_unit_test(bytes_behind_the_announced_end_are_a_protocol_error),
        cmocka_unit_test(an_opening_closed_with_nothing_to_send_is_over_at_once),
        cmocka_unit_test(an_unconfirmed_session_without_a_connection_is_dropped_after_30_s),
        cmocka_unit_test(the_dead_want_nothing),
    };

    return cmocka_run_group_tests_name("unit/rtcp/session", tests, NULL, NULL);
}
