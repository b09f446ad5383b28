/* Streams without a TCP connection, by agreement: they come back by themselves when either side uses them, whatever is
 * lost on the way, and cost next to nothing until then (PROTOCOL.md "Passivation").
 */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void pair(struct duo *d)
{
    struct duo_options o;

    duo_options_default(&o);
    duo_pair(d, &o);
    duo_run(d, BASE_MS(20));
    duo_mark(d);
}

static struct duo_stream *side(struct duo *d, int who)
{
    return who == 0 ? duo_client(d) : duo_server(d);
}

static void passivate(struct duo_stream *s)
{
    assert_int_equal(rtcp_session_passivate(&s->session, s->host->duo->now), 0);
    duo_pump(s);
}

static bool both_are_passive(struct duo *d)
{
    return duo_client(d)->session.is_passive && duo_server(d)->session.is_passive;
}

static void passive_pair(struct duo *d, int who)
{
    pair(d);
    passivate(side(d, who));
    DUO_TRUE(d, duo_until(d, both_are_passive, BASE_S(2)));
    duo_mark(d);
}

static uint64_t datagrams(const struct duo *d)
{
    uint64_t sum = 0;

    for (int way = 0; way < 2; way++) {
        for (int type = 0; type < 16; type++) {
            sum += d->udp_sent[way][type];
        }
    }
    return sum;
}

/* ------------------------------------------------------------------------------------------------ going, coming back
 */

static void either_side_lets_the_connection_go(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;

        pair(&d);
        passivate(side(&d, who));
        DUO_TRUE(&d, duo_until(&d, both_are_passive, BASE_S(2)));

        assert_false(duo_client(&d)->link_up);
        assert_false(duo_server(&d)->link_up);
        assert_null(duo_client(&d)->live);
        assert_null(duo_server(&d)->live);
        assert_int_equal(duo_count(&d, "C EVIDENCE"), 0);
        assert_int_equal(duo_count(&d, "S EVIDENCE"), 0);
        duo_end(&d);
    }
}

static void either_side_comes_back_by_sending(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        for (int sender = 0; sender < 2; sender++) {
            struct duo d;

            passive_pair(&d, who);
            duo_run(&d, BASE_S(100));
            assert_true(both_are_passive(&d));
            duo_send(side(&d, sender), 9000);
            duo_deliver(&d, BASE_MS(500));

            assert_false(duo_client(&d)->session.is_passive);
            assert_true(duo_is_attached(&d));
            duo_end(&d);
        }
    }
}

static void either_side_comes_back_by_asking_for_a_connection(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;

        passive_pair(&d, 0);
        duo_run(&d, BASE_S(40));
        assert_int_equal(rtcp_session_replace(&side(&d, who)->session, d.now), 0);
        duo_pump(side(&d, who));
        DUO_TRUE(&d, duo_until(&d, duo_is_attached, BASE_MS(500)));
        duo_end(&d);
    }
}

/* The end of a stream is said by messages, but it takes the ordinary way. */
static void a_passive_stream_closes_in_order(void **state)
{
    (void)state;
    for (int first = 0; first < 2; first++) {
        for (int is_half = 0; is_half < 2; is_half++) {
            struct duo d;

            passive_pair(&d, 0);
            if (is_half) {
                assert_int_equal(duo_shutdown(side(&d, first)), 0);
                duo_run(&d, BASE_S(1));
                DUO_TRUE(&d, side(&d, 1 - first)->saw_end);
                assert_int_equal(rtcp_session_passivate(&duo_client(&d)->session, d.now), BASE_E_CLOSED);
            }
            duo_end(&d);
        }
    }
}

/* Bytes that are on their way are not left behind: passivation waits for them, in both directions. */
static void nothing_is_let_go_while_bytes_are_under_way(void **state)
{
    (void)state;
    for (int sender = 0; sender < 2; sender++) {
        struct duo d;

        pair(&d);
        side(&d, 1 - sender)->is_reading = false;
        duo_send(side(&d, sender), 1000);
        duo_run(&d, BASE_MS(1));
        passivate(side(&d, sender));
        duo_run(&d, BASE_S(10));
        assert_false(both_are_passive(&d));
        side(&d, 1 - sender)->is_reading = true;
        duo_deliver(&d, BASE_S(2));
        DUO_TRUE(&d, duo_until(&d, both_are_passive, BASE_S(5)));

        duo_end(&d);
    }
}

static void bytes_take_the_wish_back(void **state)
{
    struct duo d;

    (void)state;
    pair(&d);
    d.udp_dropped_types[1] = 1u << RTCP_WIRE_CONF;
    passivate(duo_client(&d));
    duo_run(&d, BASE_MS(50));
    duo_send(duo_client(&d), 100);
    duo_run(&d, BASE_MS(50));
    d.udp_dropped_types[1] = 0;
    duo_deliver(&d, BASE_S(2));
    duo_run(&d, BASE_S(40));

    assert_true(duo_is_attached(&d));
    assert_false(duo_client(&d)->session.wants_passive);
    duo_end(&d);
}

/* Both at once: one lets go, the other has just sent. The bytes wake the client. */
static bool server_has_no_connection(struct duo *d)
{
    return duo_server(d)->session.path == RTCP_PATH_DETACHED;
}

/* The client says PASSIVE, then its last bytes and their end: what breaks now is a break. Found by sim-explore-rtcp. */
static void an_end_takes_the_wish_back(void **state)
{
    struct duo d;

    (void)state;
    pair(&d);
    passivate(duo_client(&d));
    duo_block_tcp(&d, true);
    duo_client(&d)->shut_after = true;
    duo_send(duo_client(&d), 100);
    duo_run(&d, BASE_MS(20));
    assert_true(duo_is_attached(&d) && duo_server(&d)->session.peer_shut);
    assert_true(duo_server(&d)->session.let_go == duo_server(&d)->session.live);
    duo_cut(&d, duo_client(&d)->live->conn, DUO_CUT_FAR);
    DUO_TRUE(&d, duo_until(&d, server_has_no_connection, BASE_S(1)));

    assert_false(duo_server(&d)->session.is_passive);
    duo_block_tcp(&d, false);
    duo_deliver(&d, BASE_S(5));
    duo_end(&d);
}

static void bytes_that_cross_the_letting_go_are_delivered(void **state)
{
    (void)state;
    for (base_time at = 0; at < BASE_MS(2); at += BASE_US(50)) {
        struct duo d;

        pair(&d);
        passivate(duo_client(&d));
        duo_run(&d, at);
        duo_send(duo_server(&d), 500);
        duo_deliver(&d, BASE_S(2));
        duo_end(&d);
    }
}

/* ------------------------------------------------------------------------------------------------ what is lost */

static void any_message_may_be_lost_on_the_way(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        for (int way = 0; way < 2; way++) {
            for (unsigned type = RTCP_WIRE_ACK; type <= RTCP_WIRE_PASSIVE; type++) {
                struct duo d;

                pair(&d);
                d.udp_dropped_types[way] = 1u << type;
                passivate(side(&d, who));
                duo_run(&d, BASE_S(3));
                duo_send(duo_server(&d), 700);
                duo_run(&d, BASE_S(3));
                d.udp_dropped_types[way] = 0;
                duo_deliver(&d, BASE_S(15));
                duo_end(&d);
            }
        }
    }
}

/* The RST that lets go does not arrive: the server still believes in its connection. */
static void a_server_that_missed_the_letting_go_finds_out(void **state)
{
    (void)state;
    for (int sends = 0; sends < 2; sends++) {
        struct duo d;

        pair(&d);
        duo_live(&d)->flow[0].is_silent = true;
        duo_live(&d)->flow[1].is_silent = true;
        passivate(duo_client(&d));
        duo_run(&d, BASE_S(1));
        assert_true(duo_client(&d)->session.is_passive);
        if (sends != 0) {
            duo_send(duo_server(&d), 3000);
            duo_deliver(&d, BASE_S(4));
        } else {
            DUO_TRUE(&d, duo_until(&d, both_are_passive, RTCP_PASSIVE_OWN + BASE_S(5)));
        }
        duo_end(&d);
    }
}

/* No route, nobody could wake the client: it does not let go, and says so no more after half a minute. */
static void without_datagrams_nothing_is_let_go(void **state)
{
    struct duo d;
    uint64_t sent;

    (void)state;
    for (int way = 0; way < 2; way++) {
        pair(&d);
        d.udp_blocked[way] = true;
        passivate(duo_client(&d));
        duo_run(&d, BASE_S(35));
        assert_false(duo_client(&d)->session.is_passive);
        sent = d.udp_sent[0][RTCP_WIRE_PASSIVE];
        duo_run(&d, BASE_S(100));

        assert_true(duo_is_attached(&d));
        assert_int_equal(d.udp_sent[0][RTCP_WIRE_PASSIVE], sent);
        d.udp_blocked[way] = false;
        duo_end(&d);
    }
}

/* Datagrams do not get through any more while it is passive: bytes of the server would wait for ever. */
static void a_passive_client_whose_route_falls_silent_connects(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        struct duo d;

        passive_pair(&d, 0);
        d.udp_blocked[way] = true;
        duo_run(&d, BASE_S(5));
        duo_send(duo_server(&d), 2000);
        duo_deliver(&d, RTCP_PASSIVE_PROBE + RTCP_PASSIVE_SILENCE + RTCP_PASSIVE_SPREAD + BASE_S(5));
        d.udp_blocked[way] = false;
        duo_end(&d);
    }
}

/* Nothing gets through for an hour: attempts with back-off, as for any other stream; then it is as it was or active. */
static void a_passive_stream_survives_a_long_cut(void **state)
{
    for (int sender = 0; sender < 2; sender++) {
        struct duo d;

        (void)state;
        passive_pair(&d, 0);
        duo_block_tcp(&d, true);
        duo_block_udp(&d, true);
        duo_run(&d, BASE_S(1800));
        duo_send(side(&d, sender), 2000);
        duo_run(&d, BASE_S(1800));
        duo_block_tcp(&d, false);
        duo_block_udp(&d, false);
        duo_deliver(&d, BASE_S(12));
        duo_end(&d);
    }
}

static void a_passive_client_that_moved_is_found(void **state)
{
    struct duo d;

    (void)state;
    passive_pair(&d, 0);
    duo_run(&d, BASE_S(3));
    duo_move_client(&d, 4711);
    duo_run(&d, RTCP_PASSIVE_PROBE + BASE_S(2));
    duo_send(duo_server(&d), 2000);
    duo_deliver(&d, BASE_S(1));
    duo_end(&d);
}

/* The peer process is gone: a passive client hears of it as soon as somebody answers in its place. */
static void a_restarted_server_is_noticed_by_a_passive_client(void **state)
{
    struct duo d;

    (void)state;
    passive_pair(&d, 0);
    duo_kill(&d, DUO_SERVER);
    duo_start(&d, DUO_SERVER);
    duo_run(&d, RTCP_PASSIVE_PROBE + BASE_S(10));

    assert_true(duo_client(&d)->is_closed);
    assert_int_equal(duo_client(&d)->status, BASE_E_PEER_GONE);
    duo_close(&d);
}

static void an_abort_reaches_a_passive_stream(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;

        passive_pair(&d, 0);
        duo_finish(side(&d, who), true);
        duo_run(&d, BASE_S(2));

        assert_int_equal(side(&d, who)->status, BASE_E_CLOSED);
        assert_true(side(&d, 1 - who)->is_closed);
        assert_int_equal(side(&d, 1 - who)->status, BASE_E_RESET);
        duo_close(&d);
    }
}

/* Whoever replays an old PASSIVE or WAKE changes nothing that lasts. */
static void old_messages_do_no_harm(void **state)
{
    struct duo d;

    (void)state;
    passive_pair(&d, 1);
    duo_send(duo_server(&d), 100);
    duo_deliver(&d, BASE_S(1));
    duo_run(&d, BASE_S(1));
    duo_mark(&d);
    assert_true(duo_replay(&d, 0, RTCP_WIRE_PASSIVE));
    assert_true(duo_replay(&d, 1, RTCP_WIRE_PASSIVE));
    assert_true(duo_replay(&d, 1, RTCP_WIRE_WAKE));
    duo_run(&d, BASE_S(5));

    assert_int_equal(duo_count(&d, "C CONNECT"), 0);
    assert_true(duo_is_attached(&d));
    assert_false(duo_client(&d)->session.wants_passive);
    duo_end(&d);
}

/* A WAKE names the connection that was let go then. Said again when a later one was let go it wakes nobody. */
static void an_old_wake_wakes_nobody(void **state)
{
    struct duo d;

    (void)state;
    passive_pair(&d, 1);
    duo_send(duo_server(&d), 100);
    duo_deliver(&d, BASE_S(1));
    duo_run(&d, BASE_S(1));
    passivate(duo_client(&d));
    DUO_TRUE(&d, duo_until(&d, both_are_passive, BASE_S(2)));
    duo_mark(&d);
    assert_true(duo_replay(&d, 1, RTCP_WIRE_WAKE));
    duo_run(&d, BASE_S(5));

    assert_int_equal(duo_count(&d, "C CONNECT"), 0);
    assert_true(both_are_passive(&d));
    duo_end(&d);
}

/* ------------------------------------------------------------------------------------------------ cost, option */

static void a_passive_stream_costs_two_datagrams_in_25_s(void **state)
{
    struct duo d;
    uint64_t before;

    (void)state;
    passive_pair(&d, 0);
    before = datagrams(&d);
    duo_run(&d, BASE_S(1000));

    DUO_TRUE(&d, both_are_passive(&d));
    DUO_TRUE(&d, datagrams(&d) - before <= 2 * 40);
    DUO_TRUE(&d, datagrams(&d) - before >= 2 * 38); /* it does keep the route open */
    duo_end(&d);
}

/* Streams with the same server share the route: one of them asks for all. */
static void passive_streams_share_their_probes(void **state)
{
    struct duo d;
    uint64_t before;

    (void)state;
    pair(&d);
    for (int i = 0; i < 4; i++) {
        (void)duo_connect(&d);
    }
    duo_run(&d, BASE_S(1));
    for (int i = 0; i < 5; i++) {
        passivate(d.host[DUO_CLIENT].stream[i]);
    }
    duo_run(&d, BASE_S(1));
    before = datagrams(&d);
    duo_run(&d, BASE_S(1000));

    for (int i = 0; i < 5; i++) {
        DUO_TRUE(&d, d.host[DUO_CLIENT].stream[i]->session.is_passive);
    }
    DUO_TRUE(&d, datagrams(&d) - before <= 2 * 40 + 2 * 5 * 4);
    duo_close(&d);
}

static void an_option_lets_idle_connections_go(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.idle_passivate = BASE_S(20);
    duo_pair(&d, &o);
    for (int i = 0; i < 5; i++) {
        duo_run(&d, BASE_S(18));
        assert_true(duo_is_attached(&d));
        duo_send(side(&d, i % 2), 10);
        duo_deliver(&d, BASE_S(1));
    }
    duo_run(&d, BASE_S(25));
    DUO_TRUE(&d, both_are_passive(&d));
    duo_send(duo_server(&d), 10);
    duo_deliver(&d, BASE_S(1));
    assert_true(duo_is_attached(&d));
    duo_run(&d, BASE_S(25));

    DUO_TRUE(&d, both_are_passive(&d));
    duo_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(either_side_lets_the_connection_go),
        cmocka_unit_test(either_side_comes_back_by_sending),
        cmocka_unit_test(either_side_comes_back_by_asking_for_a_connection),
        cmocka_unit_test(a_passive_stream_closes_in_order),
        cmocka_unit_test(nothing_is_let_go_while_bytes_are_under_way),
        cmocka_unit_test(bytes_take_the_wish_back),
        cmocka_unit_test(an_end_takes_the_wish_back),
        cmocka_unit_test(bytes_that_cross_the_letting_go_are_delivered),
        cmocka_unit_test(any_message_may_be_lost_on_the_way),
        cmocka_unit_test(a_server_that_missed_the_letting_go_finds_out),
        cmocka_unit_test(without_datagrams_nothing_is_let_go),
        cmocka_unit_test(a_passive_client_whose_route_falls_silent_connects),
        cmocka_unit_test(a_passive_stream_survives_a_long_cut),
        cmocka_unit_test(a_passive_client_that_moved_is_found),
        cmocka_unit_test(a_restarted_server_is_noticed_by_a_passive_client),
        cmocka_unit_test(an_abort_reaches_a_passive_stream),
        cmocka_unit_test(old_messages_do_no_harm),
        cmocka_unit_test(an_old_wake_wakes_nobody),
        cmocka_unit_test(a_passive_stream_costs_two_datagrams_in_25_s),
        cmocka_unit_test(passive_streams_share_their_probes),
        cmocka_unit_test(an_option_lets_idle_connections_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
