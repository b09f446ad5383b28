/* How streams end: in order, whatever is lost on the way; and never by invention (PROTOCOL.md "Closing"; P5, P33 to
 * P38, P40).
 */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void plain_pair(struct duo *d)
{
    struct duo_options o;

    duo_options_default(&o);
    duo_pair(d, &o);
    duo_run(d, BASE_MS(20)); /* the server has heard the client's address answer */
    duo_mark(d);
}

static struct duo_stream *side(struct duo *d, int who)
{
    return who == 0 ? duo_client(d) : duo_server(d);
}

static bool saw_both_ends(struct duo *d)
{
    return duo_client(d)->saw_end && duo_server(d)->saw_end;
}

static bool client_is_closed(struct duo *d)
{
    return duo_client(d)->is_closed;
}

static void expect_ends(struct duo *d, int client, int server)
{
    DUO_TRUE(d, duo_until(d, duo_is_over, BASE_S(30)));
    DUO_TRUE(d, duo_client(d)->status == client);
    DUO_TRUE(d, d->host[DUO_SERVER].stream[0]->status == server);
    duo_close(d);
}

/* ------------------------------------------------------------------------------------------------ in order */

static void half_a_close_leaves_the_other_direction_open(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct duo d;

        plain_pair(&d);
        duo_send(side(&d, first), 9000);
        side(&d, first)->shut_after = true;
        duo_deliver(&d, BASE_S(5));
        duo_run(&d, BASE_MS(10));
        DUO_TRUE(&d, side(&d, 1 - first)->saw_end);
        assert_false(side(&d, first)->saw_end);
        duo_send(side(&d, 1 - first), 30000);
        duo_deliver(&d, BASE_S(5));
        duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
        duo_send(side(&d, 1 - first), 3000);
        duo_deliver(&d, BASE_S(5));
        assert_int_equal(duo_shutdown(side(&d, 1 - first)), 0);
        DUO_TRUE(&d, duo_until(&d, saw_both_ends, BASE_S(5)));
        duo_end(&d);
    }
}

static void a_close_waits_until_the_peer_has_everything(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct duo d;

        plain_pair(&d);
        side(&d, 1 - first)->slow_bytes = 500;
        side(&d, 1 - first)->slow_every = BASE_MS(100);
        side(&d, 1 - first)->slow_at = d.now;
        side(&d, 1 - first)->close_at_end = true;
        duo_send(side(&d, first), 20000);
        side(&d, first)->close_after = true;
        expect_ends(&d, 0, 0);
    }
}

static void both_sides_may_close_at_once(void **state)
{
    (void)state;
    for (int blocked = 0; blocked < 4; blocked++) {
        struct duo d;

        plain_pair(&d);
        d.udp_blocked[0] = (blocked & 1) != 0;
        d.udp_blocked[1] = (blocked & 2) != 0;
        duo_finish(duo_client(&d), false);
        duo_finish(duo_server(&d), false);
        duo_run(&d, BASE_S(1));
        duo_block_udp(&d, false);
        expect_ends(&d, 0, 0);
    }
}

/* The message goes first, then the FIN; the network may turn that round (P34). */
static void the_end_may_overtake_its_announcement_and_the_other_way_round(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        for (int late = 0; late < 2; late++) {
            struct duo d;

            plain_pair(&d);
            if (late == 0) {
                d.udp_jitter[first] = BASE_S(2); /* FIN before CLOSE */
            } else {
                duo_live(&d)->flow[first].is_silent = true; /* CLOSE before the bytes and the FIN */
            }
            duo_send(side(&d, first), 1500);
            side(&d, first)->close_after = true;
            side(&d, 1 - first)->close_at_end = true;
            duo_run(&d, BASE_MS(10));
            if (late == 1) {
                assert_true(side(&d, 1 - first)->session.peer_closed);
                assert_false(side(&d, 1 - first)->saw_end);
            }
            duo_live(&d)->flow[first].is_silent = false;
            duo_deliver(&d, BASE_S(5));
            expect_ends(&d, 0, 0);
        }
    }
}

/* Each kind of message is lost, each way, for a while; closing gets there all the same (P35, P38). */
static void closing_survives_the_loss_of_any_kind_of_message(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (unsigned type = RTCP_WIRE_ACK; type <= RTCP_WIRE_UNKNOWN; type++) {
            struct duo d;

            plain_pair(&d);
            d.udp_dropped_types[way] = 1u << type;
            duo_send(duo_client(&d), 5000);
            duo_send(duo_server(&d), 5000);
            duo_client(&d)->shut_after = duo_server(&d)->shut_after = true;
            duo_client(&d)->close_at_end = duo_server(&d)->close_at_end = true;
            DUO_TRUE(&d, duo_until(&d, duo_is_delivered, BASE_S(20)));
            duo_run(&d, BASE_S(3));
            d.udp_dropped_types[way] = 0;
            expect_ends(&d, 0, 0);
        }
    }
}

/* F3 of the model: "both CLOSEs seen" is not enough for the one whose own CLOSE was lost. */
static void a_lost_close_is_repeated_after_the_peers_came(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    d.udp_dropped_types[0] = 1u << RTCP_WIRE_CLOSE;
    duo_finish(duo_client(&d), false);
    duo_finish(duo_server(&d), false);
    duo_run(&d, BASE_MS(700));
    assert_true(duo_client(&d)->session.is_complete);
    assert_false(duo_client(&d)->is_closed);
    assert_false(duo_server(&d)->is_closed);
    d.udp_dropped_types[0] = 0;
    expect_ends(&d, 0, 0);
}

/* F4 of the model: a late CONF of an answer is not the CONF of the CLOSE that came after it. */
static void a_late_confirmation_does_not_stand_for_a_later_close(void **state)
{
    struct rtcp_wire_control conf = {.type = RTCP_WIRE_CONF};
    struct duo d;

    (void)state;
    plain_pair(&d);
    assert_int_equal(duo_shutdown(duo_server(&d)), 0);
    duo_run(&d, BASE_MS(100));
    d.udp_dropped_types[1] = 1u << RTCP_WIRE_CLOSE;
    duo_finish(duo_server(&d), false);
    for (uint16_t i = 1; i < 200; i++) {
        conf.message_id = (uint16_t)(duo_server(&d)->session.reliable.id + i);
        duo_forge(&d, 0, &conf, true);
        conf.message_id = (uint16_t)(duo_server(&d)->session.reliable.id - i);
        duo_forge(&d, 0, &conf, true);
    }
    duo_run(&d, BASE_MS(10));
    assert_false(duo_server(&d)->session.close_conf);
    d.udp_dropped_types[1] = 0;
    duo_client(&d)->close_at_end = true;
    expect_ends(&d, 0, 0);
}

/* Where no datagram comes through, the handshakes tell it (P69). */
static void closing_works_where_datagrams_are_blocked(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct duo d;

        plain_pair(&d);
        duo_block_udp(&d, true);
        duo_send(side(&d, first), 3000);
        side(&d, first)->close_after = true;
        side(&d, 1 - first)->close_at_end = true;
        duo_deliver(&d, BASE_S(10));
        expect_ends(&d, 0, 0);
    }
}

/* ------------------------------------------------------------------------------------------------ while detached */

static void what_was_sent_before_a_close_without_a_link_arrives_after_healing(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct duo d;

        plain_pair(&d);
        duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
        duo_block_tcp(&d, true);
        duo_block_udp(&d, true);
        duo_run(&d, BASE_S(1));
        duo_send(side(&d, first), 4000);
        side(&d, first)->close_after = true;
        side(&d, 1 - first)->close_at_end = true;
        duo_run(&d, BASE_S(300));
        assert_false(side(&d, first)->is_closed);
        duo_block_tcp(&d, false);
        duo_block_udp(&d, false);
        duo_deliver(&d, BASE_S(3));
        expect_ends(&d, 0, 0);
    }
}

static void a_stream_closed_before_it_was_accepted_still_delivers(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.no_early_data = true;
    duo_open(&d, &o);
    duo_send(duo_connect(&d), 3000);
    duo_client(&d)->close_after = true;
    DUO_TRUE(&d, duo_until(&d, duo_is_accepted, BASE_S(5)));
    duo_accepted(&d)->close_at_end = true;
    DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(30)));
    assert_int_equal(duo_client(&d)->status, 0);
    assert_int_equal(duo_accepted(&d)->read, 3000);
    assert_int_equal(duo_accepted(&d)->status, 0);
    duo_close(&d);
}

static void a_peer_that_is_gone_lets_a_close_expire_and_not_succeed(void **state)
{
    (void)state;
    for (uint64_t bytes = 0; bytes <= 1000; bytes += 500) {
        struct duo d;

        plain_pair(&d);
        duo_send(duo_client(&d), 500);
        duo_deliver(&d, BASE_S(1));
        duo_run(&d, BASE_S(1));
        duo_kill(&d, DUO_SERVER);
        duo_send(duo_client(&d), bytes);
        duo_client(&d)->close_after = true;
        duo_run(&d, BASE_S(590));
        assert_false(duo_client(&d)->is_closed);
        DUO_TRUE(&d, duo_until(&d, client_is_closed, BASE_S(20)));
        assert_int_equal(duo_client(&d)->status, BASE_E_EXPIRED);
        assert_int_equal(duo_client(&d)->unacknowledged, bytes);
        duo_close(&d);
    }
}

/* The server has everything, closes, its CLOSE is lost, and it exits: the client lingers, and does not say 0. */
static void a_lost_close_of_a_peer_that_exits_is_no_success(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_block_udp(&d, true);
    duo_block_tcp(&d, true);
    duo_send(duo_client(&d), 500);
    duo_client(&d)->close_after = true;
    duo_run(&d, BASE_MS(50));
    duo_kill(&d, DUO_SERVER);
    duo_block_udp(&d, false);
    duo_block_tcp(&d, false);
    DUO_TRUE(&d, duo_until(&d, client_is_closed, BASE_S(700)));
    assert_int_equal(duo_client(&d)->status, BASE_E_EXPIRED);
    duo_close(&d);
}

/* ------------------------------------------------------------------------------------------------ aborts, unread bytes
 */

static void an_abort_tells_the_peer(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct duo d;

        plain_pair(&d);
        duo_send(side(&d, first), 10000);
        duo_run(&d, BASE_US(900));
        duo_finish(side(&d, first), true);
        DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_MS(200)));
        assert_int_equal(side(&d, first)->status, BASE_E_CLOSED);
        assert_int_equal(d.host[1 - first].stream[0]->status, BASE_E_RESET);
        duo_close(&d);
    }
}

static void an_abort_without_a_link_is_heard_after_healing(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct duo d;

        plain_pair(&d);
        duo_block_tcp(&d, true);
        duo_block_udp(&d, true);
        duo_send(side(&d, 1 - first), 2000);
        duo_run(&d, BASE_S(1));
        duo_finish(side(&d, first), true);
        duo_run(&d, BASE_S(60));
        assert_int_equal(d.host[first].stream[0]->status, BASE_E_CLOSED);
        assert_false(d.host[1 - first].stream[0]->is_closed);
        duo_block_tcp(&d, false);
        duo_block_udp(&d, false);
        DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(3))); /* the tombstone tells it */
        assert_int_equal(d.host[1 - first].stream[0]->status, BASE_E_RESET);
        duo_close(&d);
    }
}

/* A driver that watches for ends (the blocking face) sees one when the peer has shut: what we still send goes on over
 * this connection. It was replaced by one that met the same, for ever (found by explore-rtcp). */
static void an_end_that_nobody_reads_to_is_no_break(void **state)
{
    struct duo d;
    struct duo_stream *c;

    (void)state;
    plain_pair(&d);
    c = duo_client(&d);
    duo_server(&d)->is_reading = false;
    c->is_reading = false;
    duo_send(duo_server(&d), 1000);
    duo_send(c, 2000);
    duo_run(&d, BASE_MS(5));
    assert_int_equal(duo_shutdown(duo_server(&d)), 0);
    duo_finish(c, false);
    duo_run(&d, BASE_MS(10));
    rtcp_session_eof(&c->session, d.now, c->session.live);
    assert_int_equal(c->session.path, RTCP_PATH_ATTACHED);
    assert_true(c->session.peer_shut && !rtcp_session_is_at_end(&c->session));
    duo_server(&d)->is_reading = true;
    DUO_TRUE(&d, duo_until(&d, client_is_closed, BASE_S(5)));
    assert_int_equal(c->status, 0);
    assert_int_equal(c->session.connections, 1);
    duo_close(&d);
}

/* What the peer's tombstone says to a late question of before the abort is an echo, no abort of the peer (C5; found by
 * explore-rtcp: a CLOSE and the RESET that overtook it). */
static void whoever_aborts_is_not_told_that_the_peer_did(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct rtcp_wire_control echo = {.type = RTCP_WIRE_RESET};
        struct duo d;

        plain_pair(&d);
        d.udp_dropped_types[1 - first] = 1u << RTCP_WIRE_CONF;
        duo_forge(&d, 1 - first, &echo, true); /* on its way when the abort comes */
        duo_finish(side(&d, first), true);
        DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(20)));
        assert_int_equal(d.host[first].stream[0]->status, BASE_E_CLOSED);
        assert_int_equal(d.host[1 - first].stream[0]->status, BASE_E_RESET);
        duo_close(&d);
    }
}

static void an_abort_is_heard_where_datagrams_are_blocked(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_block_udp(&d, true);
    duo_finish(duo_server(&d), true);
    DUO_TRUE(&d, duo_until(&d, client_is_closed, BASE_S(20)));
    assert_int_equal(duo_client(&d)->status, BASE_E_RESET);
    duo_close(&d);
}

static void a_close_without_reading_is_a_reset_for_the_peer_and_counts_its_bytes(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct duo d;
        struct duo_stream *writer;

        plain_pair(&d);
        writer = side(&d, 1 - first);
        side(&d, first)->is_reading = false;
        duo_send(writer, 3000);
        duo_run(&d, BASE_MS(100));
        duo_finish(side(&d, first), false);
        duo_run(&d, BASE_MS(100));
        writer->close_after = true;
        DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(30)));
        assert_int_equal(writer->status, BASE_E_RESET);
        assert_int_equal(writer->unacknowledged, 3000);
        assert_int_equal(d.host[first].stream[0]->status, 0);
        duo_close(&d);
    }
}

static void nothing_is_taken_after_the_peer_closed(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_finish(duo_server(&d), false);
    duo_run(&d, BASE_MS(50));
    assert_int_equal(rtcp_session_append(&duo_client(&d)->session, d.now, (struct base_bytes){(const uint8_t *)"x", 1}),
                     BASE_E_CLOSED);
    duo_client(&d)->close_at_end = true;
    expect_ends(&d, 0, 0);
}

/* ------------------------------------------------------------------------------------------------ no end is invented
 */

/* P5: a plain end of the connection without an authentic close is a break. app_saw_end of duo.c checks each end. */
static void a_plain_end_of_a_connection_is_a_break(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_send(duo_client(&d), 60000);
    duo_send(duo_server(&d), 60000);
    for (int i = 0; i < 6; i++) {
        duo_run(&d, BASE_MS(1));
        duo_cut(&d, duo_live(&d), DUO_CUT_EOF);
        duo_run(&d, BASE_MS(100));
        assert_false(duo_client(&d)->saw_end || duo_server(&d)->saw_end);
    }
    duo_deliver(&d, BASE_S(10));
    duo_end(&d);
}

/* The bytes up to the end are announced, and the connection ends before them. */
static void an_end_before_the_announced_count_is_a_break(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        struct duo d;

        plain_pair(&d);
        duo_live(&d)->flow[first].is_silent = true;
        duo_send(side(&d, first), 1000);
        side(&d, first)->shut_after = true;
        duo_run(&d, BASE_MS(5));
        assert_true(side(&d, 1 - first)->session.peer_shut);
        duo_cut(&d, duo_live(&d), DUO_CUT_EOF);
        duo_run(&d, BASE_US(300));
        assert_false(side(&d, 1 - first)->saw_end);
        duo_deliver(&d, BASE_S(5));
        duo_run(&d, BASE_MS(10));
        DUO_TRUE(&d, side(&d, 1 - first)->saw_end);
        duo_end(&d);
    }
}

/* The FIN came, HALF_CLOSE is lost: the reader asks and is answered, on the same connection. */
static void a_reader_at_the_end_asks_for_the_announcement(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    d.udp_dropped_types[0] = 1u << RTCP_WIRE_HALF_CLOSE;
    duo_send(duo_client(&d), 1000);
    duo_client(&d)->shut_after = true;
    while (d.udp_sent[0][RTCP_WIRE_HALF_CLOSE] == 0) {
        DUO_TRUE(&d, duo_step(&d, d.now + BASE_S(1)));
    }
    d.udp_dropped_types[0] = 0;
    duo_run(&d, BASE_MS(5));
    DUO_TRUE(&d, duo_server(&d)->saw_end);
    assert_int_equal(duo_client(&d)->session.attempt, 1);
    duo_end(&d);
}

/* The server has closed and is gone; its client has everything and answered, but nobody heard that. What was taken is
 * the application's, however late it reads: the new process behind the address changes nothing (C2; found by the
 * simulator, streams, seed 92314064761380). */
static void a_complete_session_outlives_the_death_of_its_peer(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    duo_pair(&d, &o);
    duo_run(&d, BASE_MS(20));
    duo_block_udp(&d, true);
    duo_send(duo_server(&d), 700);
    duo_finish(duo_server(&d), false);
    duo_run(&d, BASE_MS(500));
    duo_kill(&d, DUO_SERVER);
    duo_start(&d, DUO_SERVER);
    duo_run(&d, BASE_S(10));
    DUO_TRUE(&d, duo_client(&d)->session.life == RTCP_LIFE_OPEN);
    duo_finish(duo_client(&d), false);
    duo_run(&d, BASE_S(11));
    assert_true(duo_client(&d)->is_closed);
    assert_int_equal(duo_client(&d)->status, 0);
    duo_close(&d);
}

/* The same where its peer aborts after it has closed, or gives the closing up: by the answer to the handshake that
 * tells our CLOSE, and by RESET. */
static void a_complete_session_outlives_an_abort_of_its_peer(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct duo_options o;
        struct duo d;

        duo_options_default(&o);
        duo_pair(&d, &o);
        duo_run(&d, BASE_MS(20));
        duo_block_udp(&d, true);
        duo_send(duo_server(&d), 700);
        duo_finish(duo_server(&d), false);
        duo_run(&d, BASE_MS(500));
        DUO_TRUE(&d, duo_client(&d)->session.is_complete);
        duo_block_udp(&d, way == 0);
        duo_finish(duo_server(&d), true);
        duo_run(&d, BASE_S(10));
        DUO_TRUE(&d, duo_client(&d)->session.life == RTCP_LIFE_OPEN);
        duo_finish(duo_client(&d), false);
        duo_run(&d, BASE_S(11));
        assert_true(duo_client(&d)->is_closed);
        assert_int_equal(duo_client(&d)->status, 0);
        duo_close(&d);
    }
}

static bool is_freezing(struct duo *d)
{
    return duo_server(d)->session.trying == RTCP_TRY_FREEZING;
}

/* The server waits for a reader to leave the old connection, and then aborts: the new one is not taken any more, so the
 * client asks again and hears of it, also without datagrams. */
static void an_abort_during_a_freeze_takes_no_connection(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    duo_pair(&d, &o);
    duo_run(&d, BASE_MS(20));
    duo_block_udp(&d, true);
    d.host[DUO_SERVER].freeze_delay = BASE_MS(50);
    assert_int_equal(rtcp_session_replace(&duo_client(&d)->session, d.now), 0);
    duo_pump(duo_client(&d));
    DUO_TRUE(&d, duo_until(&d, is_freezing, BASE_S(1)));
    duo_finish(duo_server(&d), true);
    duo_run(&d, BASE_S(1));

    assert_int_equal(duo_count(&d, "S GREET"), 0);
    assert_true(duo_client(&d)->is_closed);
    assert_int_equal(duo_client(&d)->status, BASE_E_RESET);
    duo_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(half_a_close_leaves_the_other_direction_open),
        cmocka_unit_test(a_close_waits_until_the_peer_has_everything),
        cmocka_unit_test(both_sides_may_close_at_once),
        cmocka_unit_test(the_end_may_overtake_its_announcement_and_the_other_way_round),
        cmocka_unit_test(closing_survives_the_loss_of_any_kind_of_message),
        cmocka_unit_test(a_lost_close_is_repeated_after_the_peers_came),
        cmocka_unit_test(a_late_confirmation_does_not_stand_for_a_later_close),
        cmocka_unit_test(closing_works_where_datagrams_are_blocked),
        cmocka_unit_test(what_was_sent_before_a_close_without_a_link_arrives_after_healing),
        cmocka_unit_test(a_stream_closed_before_it_was_accepted_still_delivers),
        cmocka_unit_test(a_peer_that_is_gone_lets_a_close_expire_and_not_succeed),
        cmocka_unit_test(a_lost_close_of_a_peer_that_exits_is_no_success),
        cmocka_unit_test(an_abort_tells_the_peer),
        cmocka_unit_test(an_abort_without_a_link_is_heard_after_healing),
        cmocka_unit_test(an_end_that_nobody_reads_to_is_no_break),
        cmocka_unit_test(whoever_aborts_is_not_told_that_the_peer_did),
        cmocka_unit_test(an_abort_is_heard_where_datagrams_are_blocked),
        cmocka_unit_test(a_close_without_reading_is_a_reset_for_the_peer_and_counts_its_bytes),
        cmocka_unit_test(nothing_is_taken_after_the_peer_closed),
        cmocka_unit_test(a_plain_end_of_a_connection_is_a_break),
        cmocka_unit_test(an_end_before_the_announced_count_is_a_break),
        cmocka_unit_test(a_reader_at_the_end_asks_for_the_announcement),
        cmocka_unit_test(a_complete_session_outlives_the_death_of_its_peer),
        cmocka_unit_test(a_complete_session_outlives_an_abort_of_its_peer),
        cmocka_unit_test(an_abort_during_a_freeze_takes_no_connection),
    };

    return cmocka_run_group_tests_name("story/rtcp/close", tests, NULL, NULL);
}
