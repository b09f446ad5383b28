/* Finding out that a connection carries nothing, and finding it out quickly; and not believing it without proof
 * (PROTOCOL.md "Finding out"; P22 to P25, P65, P69).
 */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static bool is_second(struct duo *d)
{
    return duo_client(d)->session.connections >= 2 && duo_is_attached(d);
}

/* How long until another connection carries the stream. */
static base_time until_second(struct duo *d, base_time limit)
{
    base_time began = d->now;

    DUO_TRUE(d, duo_until(d, is_second, limit));
    return d->now - began;
}

static void busy_pair(struct duo *d)
{
    struct duo_options o;

    duo_options_default(&o);
    duo_pair(d, &o);
}

/* ------------------------------------------------------------------------------------------------ silence */

static void a_connection_that_died_silently_is_replaced_while_datagrams_come_through(void **state)
{
    struct duo d;

    (void)state;
    busy_pair(&d);
    duo_cut(&d, duo_live(&d), DUO_CUT_SILENT);
    duo_send(duo_client(&d), 500);
    assert_true(until_second(&d, BASE_S(1)) < BASE_MS(200));
    duo_deliver(&d, BASE_MS(10));
    duo_end(&d);
}

static void a_server_finds_out_as_well_and_wakes_the_client(void **state)
{
    struct duo d;

    (void)state;
    busy_pair(&d);
    duo_cut(&d, duo_live(&d), DUO_CUT_SILENT);
    duo_send(duo_server(&d), 500);
    assert_true(until_second(&d, BASE_S(1)) < BASE_MS(250));
    duo_expect(&d, "S MESSAGE PROBE", "S MESSAGE WAKE", "C CONNECT 2", NULL);
    duo_deliver(&d, BASE_MS(10));
    duo_end(&d);
}

/* One direction only: the bytes arrive, their acknowledgements do not; or the other way round. */
static void packets_lost_in_one_direction_are_found_out(void **state)
{
    (void)state;
    for (int way = 0; way < 2; way++) {
        for (int writer = 0; writer < 2; writer++) {
            struct duo d;

            busy_pair(&d);
            duo_live(&d)->flow[way].is_silent = true;
            duo_send(writer == 0 ? duo_client(&d) : duo_server(&d), 20000);
            duo_deliver(&d, BASE_S(3));
            duo_end(&d);
        }
    }
}

/* The kernel never hears that the bytes arrived, is full, and takes no more: the peer's count shows no gap. */
static void a_kernel_that_is_full_of_bytes_the_peer_has_read_is_found_out(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.kernel = 1500;
    duo_pair(&d, &o);
    duo_live(&d)->flow[1].is_silent = true;
    duo_send(duo_client(&d), 3000);
    duo_run(&d, BASE_MS(500));
    assert_int_equal(duo_client(&d)->session.written, 1500);
    assert_int_equal(duo_server(&d)->session.received, 1500);
    assert_true(until_second(&d, BASE_S(2)) < BASE_MS(1500));
    duo_deliver(&d, BASE_MS(100));
    duo_end(&d);
}

/* Goal of the design: 0.3 s after healing where datagrams come through again with the packets. */
static void data_flow_again_at_once_after_a_cut_of_any_length(void **state)
{
    static const unsigned cut[] = {1, 2, 5, 13, 30, 100, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        for (int writer = 0; writer < 2; writer++) {
            struct duo d;

            busy_pair(&d);
            duo_block_tcp(&d, true);
            duo_block_udp(&d, true);
            duo_send(writer == 0 ? duo_client(&d) : duo_server(&d), 20000);
            duo_run(&d, BASE_S(cut[i]) + BASE_MS(77 * i));
            duo_block_tcp(&d, false);
            duo_block_udp(&d, false);
            duo_deliver(&d, BASE_MS(300));
            duo_end(&d);
        }
    }
}

/* A server whose ring was full in a long cut has given its connection up; the client, which only reads, believes in it.
 * The WAKE is by then repeated once a second only, so it must not be needed: the server's PROBE says enough. */
static void a_client_that_only_reads_finds_out_at_once_that_the_server_left_its_connection(void **state)
{
    static const unsigned cut[] = {4, 10, 30, 31, 100};

    (void)state;
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        struct duo d;
        uint64_t read;

        busy_pair(&d);
        duo_send(duo_server(&d), 1000000); /* more than any ring here */
        duo_run(&d, BASE_MS(3));
        duo_block_tcp(&d, true);
        duo_block_udp(&d, true);
        duo_run(&d, BASE_S(cut[i]) + BASE_MS(77 * i));
        read = duo_client(&d)->read;
        duo_block_tcp(&d, false);
        duo_block_udp(&d, false);
        duo_run(&d, BASE_MS(300));
        DUO_TRUE(&d, duo_client(&d)->read > read);
        duo_deliver(&d, BASE_S(20));
        duo_end(&d);
    }
}

static void without_datagrams_data_flow_again_within_two_and_a_half_seconds(void **state)
{
    static const unsigned cut[] = {1, 5, 30, 100};

    (void)state;
    for (size_t i = 0; i < sizeof cut / sizeof cut[0]; i++) {
        struct duo d;
        uint64_t read;

        busy_pair(&d);
        duo_block_udp(&d, true);
        duo_send(duo_client(&d), 20000);
        duo_run(&d, BASE_MS(5));
        duo_block_tcp(&d, true);
        duo_run(&d, BASE_S(cut[i]) + BASE_MS(77 * i));
        duo_block_tcp(&d, false);
        read = duo_server(&d)->read;
        duo_run(&d, BASE_MS(2500));
        DUO_TRUE(&d, duo_server(&d)->read > read);
        duo_deliver(&d, BASE_S(20));
        duo_block_udp(&d, false);
        duo_end(&d);
    }
}

static void a_connection_that_nobody_uses_is_looked_at_now_and_then(void **state)
{
    struct duo d;

    (void)state;
    busy_pair(&d);
    duo_cut(&d, duo_live(&d), DUO_CUT_FAR); /* the server has lost it, the client does not know */
    assert_true(until_second(&d, BASE_S(40)) <= BASE_S(17));
    duo_end(&d);
}

static void an_idle_pair_says_little(void **state)
{
    struct duo d;
    uint64_t before = 0;
    uint64_t after = 0;

    (void)state;
    busy_pair(&d);
    duo_run(&d, BASE_S(1));
    for (int type = 0; type < 16; type++) {
        before += d.udp_sent[0][type] + d.udp_sent[1][type];
    }
    duo_run(&d, BASE_S(3600));
    for (int type = 0; type < 16; type++) {
        after += d.udp_sent[0][type] + d.udp_sent[1][type];
    }
    assert_true(after - before <= 2 * 2 * 3600 / 15 + 4); /* a question and an answer each way in 15 s, at most */
    assert_true(after - before >= 3600 / 15);
    assert_int_equal(duo_client(&d)->session.attempt, 1);
    duo_end(&d);
}

/* ------------------------------------------------------------------------------------------------ relays */

/* A relay acknowledges for a far end that is dead: no kernel holds a byte. One second, not 50 ms. */
static void a_relay_that_acknowledges_for_a_dead_far_end_is_replaced_after_a_second(void **state)
{
    struct duo_options o;
    struct duo_plan relay = duo_plan_cut(DUO_CUT_SILENT, 400, DUO_NEVER_CUT);
    struct duo d;
    base_time took;

    (void)state;
    relay.is_relay = true;
    duo_options_default(&o);
    duo_open(&d, &o);
    duo_plan(&d, relay);
    (void)duo_connect(&d);
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(5)));
    duo_send(duo_client(&d), 1000);
    took = until_second(&d, BASE_S(5));
    assert_true(took >= BASE_S(1) && took <= BASE_MS(1600));
    duo_deliver(&d, BASE_MS(100));
    duo_end(&d);
}

/* A slow relay that does forward is left alone, as long as it moves. */
static void a_relay_that_is_only_slow_is_not_replaced(void **state)
{
    struct duo_options o;
    struct duo_plan relay = duo_plan_connect(DUO_CONNECT_NORMAL);
    struct duo d;

    (void)state;
    relay.is_relay = true;
    duo_options_default(&o);
    o.packet = 20;
    o.delay = BASE_MS(40);
    duo_open(&d, &o);
    duo_plan(&d, relay);
    (void)duo_connect(&d);
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(5)));
    duo_send(duo_client(&d), 4000);
    duo_deliver(&d, BASE_S(10));
    assert_int_equal(duo_client(&d)->session.attempt, 1);
    duo_end(&d);
}

/* ------------------------------------------------------------------------------------------------ old answers */

/* Answers to probes that were sent before the resume say nothing about the connection after it. */
static void replies_to_old_probes_do_not_count_after_a_resume(void **state)
{
    struct duo d;

    (void)state;
    busy_pair(&d);
    d.udp_dropped_types[1] = 1u << RTCP_WIRE_PROBE_REPLY;
    duo_cut(&d, duo_live(&d), DUO_CUT_SILENT);
    duo_send(duo_client(&d), 500);
    duo_run(&d, BASE_MS(900));
    assert_true(d.udp_sent[1][RTCP_WIRE_PROBE_REPLY] > 3); /* "attempt 1, received 0, unread 0" */
    duo_live(&d)->end[0].is_reset = true;
    duo_client(&d)->live->error = true;
    DUO_TRUE(&d, duo_until(&d, is_second, BASE_S(1)));
    duo_mark(&d);
    d.host[DUO_SERVER].is_paused = true;
    duo_send(duo_client(&d), 500);
    for (int i = 0; i < 10; i++) {
        (void)duo_replay(&d, 1, RTCP_WIRE_PROBE_REPLY);
        duo_run(&d, BASE_MS(100));
    }
    assert_int_equal(duo_count(&d, "C CONNECT"), 0);
    duo_pause(&d, DUO_SERVER, false);
    d.udp_dropped_types[1] = 0;
    duo_deliver(&d, BASE_S(1));
    duo_end(&d);
}

static void an_answer_counts_once(void **state)
{
    struct duo d;

    (void)state;
    busy_pair(&d);
    duo_cut(&d, duo_live(&d), DUO_CUT_SILENT);
    duo_send(duo_client(&d), 500);
    while (d.udp_sent[1][RTCP_WIRE_PROBE_REPLY] < 2) { /* the first one belongs to the opening */
        DUO_TRUE(&d, duo_step(&d, d.now + BASE_S(1)));
    }
    d.udp_dropped_types[0] = 1u << RTCP_WIRE_PROBE;
    for (int i = 0; i < 8; i++) {
        (void)duo_replay(&d, 1, RTCP_WIRE_PROBE_REPLY);
        duo_run(&d, BASE_MS(100));
    }
    assert_int_equal(duo_count(&d, "C CONNECT"), 0); /* one reply is a suspicion, its copies are not a proof */
    d.udp_dropped_types[0] = 0;
    duo_deliver(&d, BASE_S(2));
    duo_end(&d);
}

static void an_address_counts_only_by_an_echo(void **state)
{
    struct duo d;
    struct rtcp_address stranger;

    (void)state;
    busy_pair(&d);
    stranger = d.host[DUO_STRANGER].address;
    stranger.port = 666;
    duo_run(&d, BASE_MS(500));
    duo_mark(&d);
    /* A copy of an authentic message from elsewhere: the server asks there, and goes on talking to the true client. */
    d.kept[0][RTCP_WIRE_PROBE].from = stranger;
    (void)duo_replay(&d, 0, RTCP_WIRE_PROBE);
    duo_run(&d, BASE_MS(50));
    assert_true(rtcp_address_equal(&duo_server(&d)->session.route->to, &d.host[DUO_CLIENT].address));
    assert_int_equal(duo_count(&d, "S PROBE_TO PROBE"), 1);
    duo_end(&d);
}

/* ------------------------------------------------------------------------------------------------ addresses that move
 */

/* P65. The first probe to the new address is lost: that must not be the only one (found by chance, seed 7). */
static void a_client_behind_a_new_address_is_found_again_even_if_a_probe_is_lost(void **state)
{
    struct duo d;

    (void)state;
    busy_pair(&d);
    duo_move_client(&d, 50444);
    d.udp_blocked[1] = true;
    duo_send(duo_client(&d), 100);
    duo_run(&d, BASE_S(3));
    d.udp_blocked[1] = false;
    duo_send(duo_client(&d), 5000);
    duo_deliver(&d, BASE_S(2));
    duo_run(&d, BASE_S(32));
    assert_int_equal(duo_server(&d)->session.route->to.port, 50444);
    duo_end(&d);
}

/* P29. Nothing that another process says at the old address ends the session. */
static void a_moved_address_answered_by_another_live_process_is_a_failed_attempt(void **state)
{
    struct duo d;

    (void)state;
    busy_pair(&d);
    duo_start(&d, DUO_STRANGER);
    d.at_server = DUO_STRANGER;
    duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
    duo_send(duo_client(&d), 5000);
    duo_send(duo_server(&d), 5000);
    duo_run(&d, BASE_S(600));
    assert_false(duo_client(&d)->is_closed);
    assert_true(duo_client(&d)->evidence_seen & ((uint64_t)1 << RTCP_EVIDENCE_WRONG_PEER));
    assert_true(duo_client(&d)->evidence_seen & ((uint64_t)1 << RTCP_EVIDENCE_UNKNOWN));
    assert_true(duo_count(&d, "C CONNECT") < 700); /* and no storm: about one in a second */
    d.at_server = DUO_SERVER;
    duo_deliver(&d, BASE_S(3));
    duo_end(&d);
}

static void another_service_on_the_port_is_asked_again_and_again(void **state)
{
    struct duo d;

    (void)state;
    busy_pair(&d);
    for (int i = 0; i < DUO_PLANS; i++) {
        duo_plan(&d, duo_plan_connect(i % 2 == 0 ? DUO_CONNECT_GARBAGE : DUO_CONNECT_MUTE));
    }
    duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
    duo_send(duo_client(&d), 5000);
    duo_deliver(&d, BASE_S(60));
    assert_int_equal(duo_client(&d)->session.attempt, 2 + DUO_PLANS);
    duo_end(&d);
}

/* ------------------------------------------------------------------------------------------------ probe data */

static void of_probe_data_the_latest_wins(void **state)
{
    uint8_t data[RTCP_WIRE_PROBE_DATA] = {0};
    struct duo d;

    (void)state;
    busy_pair(&d);
    duo_block_udp(&d, true);
    for (uint8_t i = 1; i <= 20; i++) {
        data[0] = i;
        rtcp_session_set_probe_data(&duo_client(&d)->session, d.now, data);
        duo_pump(duo_client(&d));
        duo_run(&d, BASE_MS(1));
    }
    duo_block_udp(&d, false);
    assert_int_equal(duo_server(&d)->probe_data_seen, 0); /* never queued */
    data[0] = 99;
    rtcp_session_set_probe_data(&duo_client(&d)->session, d.now, data);
    duo_pump(duo_client(&d));
    duo_run(&d, BASE_MS(10));
    assert_int_equal(duo_server(&d)->probe_data_seen, 1);
    assert_int_equal(duo_server(&d)->probe_data[0], 99);
    duo_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_that_died_silently_is_replaced_while_datagrams_come_through),
        cmocka_unit_test(a_server_finds_out_as_well_and_wakes_the_client),
        cmocka_unit_test(packets_lost_in_one_direction_are_found_out),
        cmocka_unit_test(a_kernel_that_is_full_of_bytes_the_peer_has_read_is_found_out),
        cmocka_unit_test(data_flow_again_at_once_after_a_cut_of_any_length),
        cmocka_unit_test(a_client_that_only_reads_finds_out_at_once_that_the_server_left_its_connection),
        cmocka_unit_test(without_datagrams_data_flow_again_within_two_and_a_half_seconds),
        cmocka_unit_test(a_connection_that_nobody_uses_is_looked_at_now_and_then),
        cmocka_unit_test(an_idle_pair_says_little),
        cmocka_unit_test(a_relay_that_acknowledges_for_a_dead_far_end_is_replaced_after_a_second),
        cmocka_unit_test(a_relay_that_is_only_slow_is_not_replaced),
        cmocka_unit_test(replies_to_old_probes_do_not_count_after_a_resume),
        cmocka_unit_test(an_answer_counts_once),
        cmocka_unit_test(an_address_counts_only_by_an_echo),
        cmocka_unit_test(a_client_behind_a_new_address_is_found_again_even_if_a_probe_is_lost),
        cmocka_unit_test(a_moved_address_answered_by_another_live_process_is_a_failed_attempt),
        cmocka_unit_test(another_service_on_the_port_is_asked_again_and_again),
        cmocka_unit_test(of_probe_data_the_latest_wins),
    };

    return cmocka_run_group_tests_name("story/rtcp/detect", tests, NULL, NULL);
}
