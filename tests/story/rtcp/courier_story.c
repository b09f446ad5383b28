/* Control messages where UDP does not get through: a CONTROL connection carries them (PROTOCOL.md "CONTROL
 * connections"; design 2.5; P69).
 */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void open_world(struct duo *d)
{
    struct duo_options o;

    duo_options_default(&o);
    o.has_couriers = true;
    duo_open(d, &o);
}

static void open_pair(struct duo *d)
{
    struct duo_options o;

    duo_options_default(&o);
    o.has_couriers = true;
    duo_pair(d, &o);
    duo_run(d, BASE_MS(20));
    duo_mark(d);
}

static bool is_carried(struct duo *d)
{
    return rtcp_address_is_courier(&duo_client(d)->session.route->to) &&
           rtcp_address_is_courier(&duo_server(d)->session.route->to);
}

static bool is_direct(struct duo *d)
{
    return !rtcp_address_is_courier(&duo_client(d)->session.route->to) &&
           !rtcp_address_is_courier(&duo_server(d)->session.route->to);
}

static base_time until(struct duo *d, bool (*is_done)(struct duo *d), base_time limit)
{
    base_time began = d->now;

    DUO_TRUE(d, duo_until(d, is_done, limit));
    return d->now - began;
}

/* A pair whose UDP was blocked in mid-stream, and whose messages go along a CONTROL connection since. */
static void open_carried(struct duo *d)
{
    open_pair(d);
    duo_block_udp(d, true);
    duo_send(duo_client(d), 700);
    DUO_TRUE(d, duo_until(d, is_carried, BASE_S(20)));
}

static void udp_that_is_blocked_from_the_start_is_replaced(void **state)
{
    struct duo d;

    (void)state;
    open_world(&d);
    duo_block_udp(&d, true);
    duo_send(duo_connect(&d), 700);
    assert_true(until(&d, duo_is_confirmed, BASE_S(2)) < BASE_S(1));
    assert_true(until(&d, is_carried, BASE_S(1)) < BASE_MS(10));
    duo_deliver(&d, BASE_MS(10));
    assert_int_equal(duo_client(&d)->session.connections, 1); /* no resume was needed to confirm it */
    duo_end(&d);
}

/* Both directions, and one only: answers must come the way the question went. Where the acknowledgements of what is
 * written get through nothing is missed. */
static void udp_that_is_blocked_in_mid_stream_is_replaced(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        for (int writer = 0; writer < 2; writer++) {
            struct duo d;

            open_pair(&d);
            d.udp_blocked[0] = way != 1;
            d.udp_blocked[1] = way != 0;
            duo_send(writer == 0 ? duo_client(&d) : duo_server(&d), 3u << 20); /* needs many acknowledgements */
            duo_deliver(&d, BASE_S(2));
            assert_int_equal(rtcp_address_is_courier(&duo_client(&d)->session.route->to), way == 2 || way != writer);
            assert_int_equal(duo_client(&d)->session.connections, 1);
            duo_end(&d);
        }
    }
}

static bool client_is_over(struct duo *d)
{
    return duo_client(d)->is_closed;
}

static bool server_is_over(struct duo *d)
{
    return duo_accepted(d)->is_closed;
}

/* A client that closes first, last or at the same time. */
static void closing_does_not_wait_for_udp(void **state)
{
    static const base_time lead[] = {BASE_MS(10), 0, BASE_MS(2)};

    (void)state;
    for (int first = 0; first < 2; first++) {
        for (size_t i = 0; i < sizeof lead / sizeof lead[0]; i++) {
            struct duo d;

            open_pair(&d);
            duo_block_udp(&d, true);
            duo_finish(first == 0 ? duo_client(&d) : duo_server(&d), false);
            duo_run(&d, lead[i]);
            duo_finish(first == 0 ? duo_server(&d) : duo_client(&d), false);
            assert_true(until(&d, client_is_over, BASE_S(5)) < BASE_S(1));
            assert_true(until(&d, duo_is_over, BASE_S(11)) < BASE_MS(100));
            assert_int_equal(duo_client(&d)->status, 0);
            assert_int_equal(duo_server(&d)->status, 0);
            duo_close(&d);
        }
    }
}

/* P69. The server closes first, and the client when it has read the end, or later: the handshakes tell both CLOSEs, and
 * that of the client tells that it heard the server's. */
static void a_server_that_closes_first_does_not_wait_for_udp(void **state)
{
    (void)state;
    for (int late = 0; late < 2; late++) {
        struct duo d;
        base_time took;

        open_pair(&d);
        duo_block_udp(&d, true);
        duo_send(duo_server(&d), 3000);
        duo_server(&d)->close_after = true;
        duo_client(&d)->close_at_end = late == 0;
        took = until(&d, server_is_over, BASE_S(11));
        assert_int_equal(duo_accepted(&d)->status, 0);
        assert_true(took < BASE_S(1));
        if (late == 1) {
            assert_false(duo_client(&d)->is_closed);
            duo_finish(duo_client(&d), false);
        }
        assert_true(until(&d, duo_is_over, BASE_S(1)) < BASE_MS(500));
        assert_int_equal(duo_client(&d)->status, 0);
        duo_close(&d);
    }
}

static void closing_along_a_control_connection_is_as_quick_as_along_udp(void **state)
{
    struct duo d;

    (void)state;
    open_carried(&d);
    duo_finish(duo_client(&d), false);
    duo_finish(duo_server(&d), false);
    assert_true(until(&d, duo_is_over, BASE_S(5)) < BASE_MS(200));
    duo_close(&d);
}

static void a_connection_that_died_silently_is_found_out_without_udp(void **state)
{
    (void)state;
    for (int writer = 0; writer < 2; writer++) {
        struct duo d;

        open_carried(&d);
        duo_cut(&d, duo_live(&d), DUO_CUT_SILENT);
        duo_send(writer == 0 ? duo_client(&d) : duo_server(&d), 700);
        duo_deliver(&d, BASE_MS(300));
        duo_end(&d);
    }
}

/* The resume tries UDP again, and its answer ends the detour on both sides. */
static void udp_that_is_back_is_used_again(void **state)
{
    struct duo d;

    (void)state;
    open_carried(&d);
    duo_block_udp(&d, false);
    duo_run(&d, BASE_S(5));
    assert_true(is_carried(&d));
    duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
    assert_true(until(&d, is_direct, BASE_S(1)) < BASE_MS(50));
    duo_lose_courier(&d);
    duo_deliver(&d, BASE_MS(100));
    duo_end(&d);
}

/* A cut stalls the CONTROL connection, too, and its kernel tries again late. Whatever came back first is used: the
 * questions go along UDP as well, and none is put off by looking at the other way (found by measuring: data flowed
 * again 0.2 s after a heal, at the median, instead of 0.03 s). */
static void a_stalled_control_connection_does_not_hide_udp(void **state)
{
    struct duo d;

    (void)state;
    open_carried(&d);
    duo_block_tcp(&d, true);
    duo_cut(&d, duo_live(&d), DUO_CUT_SILENT);
    duo_send(duo_client(&d), 700);
    duo_run(&d, BASE_MS(650));
    assert_true(is_carried(&d));
    duo_block_udp(&d, false);
    assert_true(until(&d, is_direct, BASE_S(5)) < RTCP_PROBE_GAP + BASE_MS(50));
    duo_block_tcp(&d, false);
    duo_deliver(&d, BASE_S(3));
    duo_end(&d);
}

static void a_lost_control_connection_costs_nothing_but_time(void **state)
{
    struct duo d;

    (void)state;
    open_carried(&d);
    duo_lose_courier(&d);
    duo_send(duo_server(&d), 3u << 20);
    DUO_TRUE(&d, duo_until(&d, is_carried, BASE_S(5)));
    duo_deliver(&d, BASE_S(1));
    duo_end(&d);
}

/* Nothing of the client's end gets through: its connection dies silently, RESET is said for 5 s and not heard. */
static void abort_unheard(struct duo *d, struct duo_stream *s)
{
    duo_cut(d, s->live->conn, DUO_CUT_SILENT);
    duo_block_tcp(d, true);
    duo_block_udp(d, true);
    duo_lose_courier(d);
    duo_finish(s, true);
    duo_run(d, BASE_S(6));
    DUO_TRUE(d, s->is_closed);
    duo_block_tcp(d, false);
    duo_block_udp(d, false);
}

/* C2. UDP never worked, and the CONTROL connection is gone: the server still asks where the client said it would be.
 * Found by the simulator. */
static void a_server_whose_control_connection_ended_learns_of_an_abort(void **state)
{
    struct duo d;

    (void)state;
    open_world(&d);
    duo_block_udp(&d, true);
    duo_send(duo_connect(&d), 700);
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(2)));
    DUO_TRUE(&d, duo_until(&d, is_carried, BASE_S(2)));
    duo_deliver(&d, BASE_S(1));
    duo_run(&d, BASE_S(5));
    abort_unheard(&d, duo_client(&d));
    assert_true(until(&d, server_is_over, BASE_S(60)) < BASE_S(20));
    assert_int_equal(duo_accepted(&d)->status, BASE_E_RESET);
    duo_close(&d);
}

/* C2. The route is busy with another stream, so it alone would never be asked. */
static void a_server_learns_of_an_abort_beside_a_busy_stream(void **state)
{
    struct duo d;
    struct duo_stream *other;
    struct duo_stream *half;

    (void)state;
    open_pair(&d);
    other = duo_connect(&d);
    duo_send(other, 700);
    duo_deliver(&d, BASE_S(1));
    duo_run(&d, BASE_S(1));
    half = duo_peer(other);
    abort_unheard(&d, other);
    for (int i = 0; i < 70 && !half->is_closed; i++) {
        duo_send(duo_client(&d), 700);
        duo_run(&d, BASE_S(5));
    }
    DUO_TRUE(&d, half->is_closed);
    assert_int_equal(half->status, BASE_E_RESET);
    duo_end(&d);
}

static void tell_news(struct duo *d)
{
    rtcp_session_network_changed(&duo_client(d)->session, d->now);
    duo_pump(duo_client(d));
}

/* A link or an address came up (netlink): whoever waits for the back-off tries at once, whoever has a connection asks.
 */
static void news_of_the_network_are_acted_upon_at_once(void **state)
{
    struct duo d;
    base_time began;

    (void)state;
    open_pair(&d);
    duo_block_tcp(&d, true);
    duo_block_udp(&d, true);
    duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
    duo_run(&d, BASE_S(60));
    duo_block_tcp(&d, false);
    duo_block_udp(&d, false);
    began = d.now;
    rtcp_session_network_changed(&duo_client(&d)->session, d.now);
    rtcp_session_network_changed(&duo_client(&d)->session, d.now); /* at most one attempt a second */
    duo_pump(duo_client(&d));
    DUO_TRUE(&d, duo_until(&d, duo_is_attached, BASE_S(1)));
    assert_true(d.now - began < BASE_MS(10));
    duo_run(&d, BASE_S(2));
    duo_mark(&d);
    tell_news(&d);
    duo_expect(&d, "C MESSAGE PROBE", NULL);
    duo_end(&d);
}

/* The SYN of an opening was lost: the kernel would repeat it after a second. */
static void an_attempt_that_waits_for_its_syn_ack_begins_anew(void **state)
{
    struct duo d;
    base_time began;

    (void)state;
    open_world(&d);
    duo_plan(&d, duo_plan_connect(DUO_CONNECT_NO_ANSWER));
    (void)duo_connect(&d);
    duo_run(&d, BASE_MS(500));
    began = d.now;
    tell_news(&d);
    DUO_TRUE(&d, duo_until(&d, duo_is_attached, BASE_S(1)));
    assert_true(d.now - began < BASE_MS(100));
    duo_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(udp_that_is_blocked_from_the_start_is_replaced),
        cmocka_unit_test(udp_that_is_blocked_in_mid_stream_is_replaced),
        cmocka_unit_test(closing_does_not_wait_for_udp),
        cmocka_unit_test(a_server_that_closes_first_does_not_wait_for_udp),
        cmocka_unit_test(closing_along_a_control_connection_is_as_quick_as_along_udp),
        cmocka_unit_test(a_connection_that_died_silently_is_found_out_without_udp),
        cmocka_unit_test(udp_that_is_back_is_used_again),
        cmocka_unit_test(a_stalled_control_connection_does_not_hide_udp),
        cmocka_unit_test(a_lost_control_connection_costs_nothing_but_time),
        cmocka_unit_test(a_server_whose_control_connection_ended_learns_of_an_abort),
        cmocka_unit_test(a_server_learns_of_an_abort_beside_a_busy_stream),
        cmocka_unit_test(news_of_the_network_are_acted_upon_at_once),
        cmocka_unit_test(an_attempt_that_waits_for_its_syn_ack_begins_anew),
    };

    return cmocka_run_group_tests_name("story/rtcp/courier", tests, NULL, NULL);
}
