/* Opening a stream: what can go wrong before, in and just after the first handshake (PROTOCOL.md "Opening"). */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define HOWS 5

static void answer_a_little(struct duo_stream *s)
{
    duo_send(s, 150);
}

static void set_key(struct duo_options *o, bool is_early)
{
    o->key[0] = o->key[1] = "only we two know this";
    o->early_data_with_key = is_early;
}

/* ------------------------------------------------------------------------------------------------ it works */

static void bytes_go_both_ways_and_both_sides_close(void **state)
{
    struct duo d;

    (void)state;
    duo_pair(&d, NULL);
    duo_send(duo_client(&d), 100000);
    duo_send(duo_server(&d), 50000);
    duo_deliver(&d, BASE_S(50));
    assert_int_equal(duo_client(&d)->session.connections, 1);
    assert_int_equal(duo_client(&d)->session.repeated, 0);
    duo_end(&d);
}

static void the_client_asks_and_confirms_by_a_probe(void **state)
{
    struct duo d;

    (void)state;
    duo_pair(&d, NULL);
    d.trace_mark = 0;
    duo_expect(&d, "C CONNECT 1", "C GREET 1", "S GREET 1", "S ATTACH 1", "S ACCEPTED", "C ATTACH 1", "C MESSAGE PROBE",
               "S MESSAGE PROBE_REPLY", NULL);
    assert_true(d.now - BASE_S(1000) < BASE_MS(100));
    duo_end(&d);
}

static void early_bytes_travel_with_the_opening(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.packet = 1400;
    duo_open(&d, &o);
    duo_send(duo_connect(&d), 300);
    DUO_TRUE(&d, duo_until(&d, duo_is_accepted, BASE_S(1)));
    assert_int_equal(duo_accepted(&d)->session.received, 300);
    duo_deliver(&d, BASE_S(1));
    duo_end(&d);
}

/* ------------------------------------------------------------------------------------------------ breaks */

/* Breaks the first connection after so many bytes in one direction; everything must arrive all the same. */
static void open_with_a_break(const struct duo_options *o, enum duo_cut how, uint64_t up, uint64_t down)
{
    struct duo_stream *c;
    struct duo d;

    duo_open(&d, o);
    duo_plan(&d, duo_plan_cut(how, up, down));
    c = duo_connect(&d);
    duo_send(c, 150);
    duo_deliver(&d, BASE_S(60));
    if (c->session.opt.shared->is_set) {
        DUO_TRUE(&d, duo_server(&d)->is_accepted);
    }
    duo_end(&d);
}

static void break_everywhere(struct duo_options *o, uint64_t up, uint64_t down)
{
    o->on_accept = answer_a_little;
    o->is_traced = false;
    o->retry_refused = true;
    for (int how = 0; how < HOWS; how++) {
        uint64_t step = how == DUO_CUT_RESET || how == DUO_CUT_SILENT ? 1 : 3;

        for (uint64_t n = 0; n <= up; n += step) {
            open_with_a_break(o, (enum duo_cut)how, n, DUO_NEVER_CUT);
        }
        for (uint64_t n = 0; n <= down; n += step) {
            open_with_a_break(o, (enum duo_cut)how, DUO_NEVER_CUT, n);
        }
    }
}

/* P12, P13, P14: the client cannot know whether attempt n took; n + 1 works in either case. */
static void a_break_at_any_byte_of_the_opening_costs_nothing(void **state)
{
    struct duo_options o;

    (void)state;
    duo_options_default(&o);
    break_everywhere(&o, RTCP_WIRE_REQUEST + 152, RTCP_WIRE_ANSWER + 152);
}

static void a_break_at_any_byte_without_early_data_costs_nothing(void **state)
{
    struct duo_options o;

    (void)state;
    duo_options_default(&o);
    o.no_early_data = true;
    break_everywhere(&o, RTCP_WIRE_REQUEST + 20, RTCP_WIRE_ANSWER + 20);
}

static void a_break_at_any_byte_of_an_opening_with_a_key_costs_nothing(void **state)
{
    struct duo_options o;

    (void)state;
    duo_options_default(&o);
    set_key(&o, false);
    break_everywhere(&o, RTCP_WIRE_REQUEST + RTCP_WIRE_CONFIRM + 10, RTCP_WIRE_ANSWER + 10);
}

static void a_break_at_any_byte_of_an_early_opening_with_a_key_costs_nothing(void **state)
{
    struct duo_options o;

    (void)state;
    duo_options_default(&o);
    set_key(&o, true);
    break_everywhere(&o, RTCP_WIRE_REQUEST + 150 + RTCP_WIRE_CONFIRM + 5, RTCP_WIRE_ANSWER + 5);
}

/* ------------------------------------------------------------------------------------------------ repetitions */

static bool is_begun(struct duo *d)
{
    return duo_accepted(d) != NULL;
}

/* The way out of a server meets an opening whose client has not yet proved that it holds the key: the proof finds a
 * session that is closing (rtcp_drain closes all of them). */
static void a_server_that_closes_before_the_proof_of_the_key_is_heard(void **state)
{
    struct duo_options o;
    struct duo_stream *s;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    set_key(&o, false);
    duo_open(&d, &o);
    (void)duo_connect(&d);
    DUO_TRUE(&d, duo_until(&d, is_begun, BASE_S(5)));
    s = duo_accepted(&d);
    assert_int_equal(s->session.life, RTCP_LIFE_OPENING);
    duo_finish(s, false);
    duo_client(&d)->close_at_end = true;
    DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(20)));

    assert_int_equal(duo_client(&d)->status, 0);
    assert_true(duo_client(&d)->saw_end);
    duo_close(&d);
}

/* The first connection is only slow: its OPEN arrives after that of the second (P14). */
static void an_opening_overtaken_by_its_repetition_is_stale(void **state)
{
    struct duo_conn *first;
    struct duo d;

    (void)state;
    duo_open(&d, NULL);
    duo_send(duo_connect(&d), 500);
    duo_run(&d, BASE_US(250)); /* the SYN is there */
    first = d.conn;
    first->flow[0].is_silent = true;
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(10)));
    duo_deliver(&d, BASE_S(1));
    assert_int_equal(duo_server(&d)->session.attempt, 2);
    duo_end(&d);
}

/* The stranger's copy of the first OPEN, byte by byte, on a connection of its own: nothing is opened twice. */
static void a_repeated_opening_finds_the_same_session(void **state)
{
    struct duo d;
    struct duo_plan slow = duo_plan_cut(DUO_CUT_SILENT, DUO_NEVER_CUT, 0); /* the ACCEPT is lost */

    (void)state;
    duo_open(&d, NULL);
    duo_plan(&d, slow);
    duo_send(duo_connect(&d), 500);
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(10)));
    duo_deliver(&d, BASE_S(1));
    assert_int_equal(duo_client(&d)->session.attempt, 2);
    assert_null(d.host[DUO_SERVER].stream[1]);
    d.trace_mark = 0;
    assert_int_equal(duo_count(&d, "S ACCEPTED"), 1);
    duo_expect(&d, "S takes 2", "S FREEZE 1", "S GREET 2", "S DROP 1", "S ATTACH 2", NULL); /* freeze, then count */
    duo_end(&d);
}

/* ------------------------------------------------------------------------------------------------ nobody there */

static void nobody_listening_is_an_error_at_once(void **state)
{
    struct duo d;

    (void)state;
    duo_open(&d, NULL);
    duo_plan(&d, duo_plan_connect(DUO_CONNECT_REFUSED));
    (void)duo_connect(&d);
    duo_run(&d, BASE_MS(10));
    assert_true(duo_client(&d)->is_closed);
    assert_int_equal(duo_client(&d)->status, BASE_E_REFUSED);
    duo_close(&d);
}

static void whoever_keeps_trying_gets_through_when_the_server_is_up(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.retry_refused = true;
    duo_open(&d, &o);
    for (int i = 0; i < 5; i++) {
        duo_plan(&d, duo_plan_connect(DUO_CONNECT_REFUSED));
    }
    (void)duo_connect(&d);
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(10)));
    assert_int_equal(duo_client(&d)->session.attempt, 6);
    duo_end(&d);
}

/* Silence is never an error of this layer: the caller's deadline is the caller's. */
static void silence_is_retried_for_ever(void **state)
{
    struct duo d;

    (void)state;
    duo_open(&d, NULL);
    duo_block_tcp(&d, true);
    (void)duo_connect(&d);
    duo_run(&d, BASE_S(600));
    assert_false(duo_client(&d)->is_closed);
    assert_int_equal(duo_client(&d)->evidence_seen, (uint64_t)1 << RTCP_EVIDENCE_SILENT);
    duo_block_tcp(&d, false);
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(3)));
    duo_end(&d);
}

static void a_listener_that_was_closed_refuses_for_good(void **state)
{
    struct duo d;

    (void)state;
    duo_open(&d, NULL);
    d.host[DUO_SERVER].is_listening = false;
    (void)duo_connect(&d);
    duo_run(&d, BASE_MS(100));
    assert_int_equal(duo_client(&d)->status, BASE_E_REFUSED);
    duo_close(&d);
}

/* P28: bytes of the user never go to somebody who has not shown the magic ... but early ones, which is why they can be
 * turned off. */
static void another_service_on_the_port_is_a_failed_attempt(void **state)
{
    struct duo d;

    (void)state;
    duo_open(&d, NULL);
    duo_plan(&d, duo_plan_connect(DUO_CONNECT_GARBAGE));
    duo_plan(&d, duo_plan_connect(DUO_CONNECT_GARBAGE));
    (void)duo_connect(&d);
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(3)));
    assert_true(duo_client(&d)->evidence_seen & ((uint64_t)1 << RTCP_EVIDENCE_WRONG_PEER));
    assert_int_equal(duo_client(&d)->session.attempt, 3);
    duo_end(&d);
}

/* ------------------------------------------------------------------------------------------------ never confirmed */

/* No datagram will confirm it. */
static void open_without_udp(struct duo *d)
{
    duo_open(d, NULL);
    duo_block_udp(d, true);
    (void)duo_connect(d);
}

/* 300 bytes go out, the connection breaks in the ACCEPT, and none is made until the server has dropped the session. */
static void lose_the_answer(struct duo *d)
{
    duo_plan(d, duo_plan_cut(DUO_CUT_RESET, DUO_NEVER_CUT, 10));
    duo_send(duo_connect(d), 300);
    duo_run(d, BASE_MS(1));
    duo_block_tcp(d, true);
    duo_run(d, BASE_S(40));
}

/* What the client wants answered, or confirmed. */
static uint64_t questions(const struct duo *d)
{
    return d->udp_sent[0][RTCP_WIRE_PROBE] + d->udp_sent[0][RTCP_WIRE_HALF_CLOSE];
}

/* UDP is blocked and the connection dies with the ACCEPT in it: the server drops the session after 30 s, and since it
 * delivered nothing the client opens another without a word. */
static void an_unconfirmed_session_is_dropped_and_opened_again_silently(void **state)
{
    struct duo d;

    (void)state;
    duo_open(&d, NULL);
    duo_block_udp(&d, true);
    duo_plan(&d, duo_plan_cut(DUO_CUT_RESET, DUO_NEVER_CUT, RTCP_WIRE_ANSWER));
    (void)duo_connect(&d);
    duo_run(&d, BASE_MS(1));
    duo_block_tcp(&d, true);
    duo_run(&d, BASE_S(40));
    d.trace_mark = 0;
    duo_expect(&d, "C ATTACH 1", "S CLOSED NEVER_CONFIRMED", NULL);
    assert_false(duo_client(&d)->is_closed);
    duo_block_tcp(&d, false);
    duo_block_udp(&d, false);
    duo_send(duo_client(&d), 700);
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(15)));
    duo_deliver(&d, BASE_S(5));
    assert_ptr_equal(duo_server(&d), d.host[DUO_SERVER].stream[1]);
    d.host[DUO_SERVER].stream[0]->is_closed = true;
    duo_end(&d);
}

/* What is opened again has nobody to ask before it is accepted: the answers would be UNKNOWN, and its questions would
 * stand for those of other sessions on the route (C2). */
static void a_session_that_is_opened_again_asks_nothing_before_it_is_accepted(void **state)
{
    struct duo_options o;
    uint64_t asked;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.retry_refused = true;
    duo_open(&d, &o);
    duo_block_udp(&d, true);
    duo_plan(&d, duo_plan_cut(DUO_CUT_RESET, DUO_NEVER_CUT, RTCP_WIRE_ANSWER));
    (void)duo_connect(&d);
    duo_run(&d, BASE_MS(1));
    duo_block_tcp(&d, true);
    duo_run(&d, BASE_S(40));
    duo_shutdown(duo_client(&d));
    d.host[DUO_SERVER].is_listening = false;
    duo_block_tcp(&d, false);
    duo_block_udp(&d, false);
    duo_run(&d, BASE_S(12));
    assert_int_equal(duo_client(&d)->session.life, RTCP_LIFE_OPENING);
    asked = questions(&d);
    duo_run(&d, BASE_S(60));

    assert_int_equal(questions(&d), asked);
    d.host[DUO_SERVER].is_listening = true;
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(15)));
    d.host[DUO_SERVER].stream[0]->is_closed = true;
    duo_end(&d);
}

static void an_unconfirmed_session_that_delivered_bytes_is_an_error(void **state)
{
    struct duo d;

    (void)state;
    open_without_udp(&d);
    duo_send(duo_client(&d), 700);
    duo_run(&d, BASE_MS(20));
    assert_int_equal(duo_server(&d)->read, 700);
    duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
    duo_block_tcp(&d, true);
    duo_run(&d, BASE_S(40));
    assert_int_equal(duo_server(&d)->status, BASE_E_NEVER_CONFIRMED);
    duo_block_tcp(&d, false);
    duo_run(&d, BASE_S(15));
    assert_int_equal(duo_client(&d)->status, BASE_E_NEVER_CONFIRMED);
    duo_close(&d);
}

/* The client lost its power behind a silent path before it could confirm: no connection breaks, nobody is told. */
static void an_unconfirmed_session_on_a_silently_dead_connection_is_dropped(void **state)
{
    struct duo d;

    (void)state;
    open_without_udp(&d);
    duo_run(&d, BASE_MS(20));
    duo_cut(&d, duo_live(&d), DUO_CUT_SILENT);
    duo_block_tcp(&d, true);
    duo_run(&d, BASE_S(29));
    assert_int_equal(duo_server(&d)->session.path, RTCP_PATH_ATTACHED);
    duo_run(&d, BASE_S(2));
    assert_int_equal(duo_server(&d)->session.path, RTCP_PATH_DETACHED);
    duo_run(&d, BASE_S(30));
    assert_int_equal(duo_server(&d)->status, BASE_E_NEVER_CONFIRMED);
    duo_close(&d);
}

/* Whoever only waits, without datagrams, is confirmed by its resume long before. */
static void a_silent_client_without_datagrams_keeps_its_session(void **state)
{
    struct duo d;

    (void)state;
    open_without_udp(&d);
    duo_run(&d, BASE_S(100));
    assert_true(duo_server(&d)->session.is_confirmed);
    assert_int_equal(duo_server(&d)->session.path, RTCP_PATH_ATTACHED);
    duo_block_udp(&d, false);
    duo_end(&d);
}

/* Found by chance (seed 494): the client had not even seen the ACCEPT, and asked for ever. */
static void an_opening_whose_early_bytes_were_read_and_dropped_ends(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.retry_refused = true;
    duo_open(&d, &o);
    lose_the_answer(&d);
    assert_int_equal(duo_accepted(&d)->status, BASE_E_NEVER_CONFIRMED);
    assert_int_equal(duo_accepted(&d)->read, 300);
    duo_block_tcp(&d, false);
    duo_run(&d, BASE_S(15));
    assert_int_equal(duo_client(&d)->status, BASE_E_NEVER_CONFIRMED);
    duo_close(&d);
}

static void an_opening_that_was_dropped_unread_is_made_again(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.no_early_data = true;
    duo_open(&d, &o);
    lose_the_answer(&d);
    assert_int_equal(duo_accepted(&d)->status, BASE_E_NEVER_CONFIRMED);
    duo_block_tcp(&d, false);
    duo_deliver(&d, BASE_S(15));
    d.host[DUO_SERVER].stream[0]->is_closed = true;
    duo_end(&d);
}

/* A RESUME confirms as well as a datagram (P69). */
static void a_resume_confirms_where_datagrams_do_not_get_through(void **state)
{
    struct duo d;

    (void)state;
    duo_open(&d, NULL);
    duo_block_udp(&d, true);
    duo_send(duo_connect(&d), 300);
    duo_run(&d, BASE_MS(20));
    assert_false(duo_server(&d)->session.is_confirmed);
    duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
    duo_run(&d, BASE_MS(20));
    assert_true(duo_server(&d)->session.is_confirmed);
    duo_run(&d, BASE_S(100));
    assert_false(duo_server(&d)->is_closed);
    duo_block_udp(&d, false);
    duo_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_and_both_sides_close),
        cmocka_unit_test(the_client_asks_and_confirms_by_a_probe),
        cmocka_unit_test(early_bytes_travel_with_the_opening),
        cmocka_unit_test(a_break_at_any_byte_of_the_opening_costs_nothing),
        cmocka_unit_test(a_break_at_any_byte_without_early_data_costs_nothing),
        cmocka_unit_test(a_break_at_any_byte_of_an_opening_with_a_key_costs_nothing),
        cmocka_unit_test(a_break_at_any_byte_of_an_early_opening_with_a_key_costs_nothing),
        cmocka_unit_test(a_server_that_closes_before_the_proof_of_the_key_is_heard),
        cmocka_unit_test(an_opening_overtaken_by_its_repetition_is_stale),
        cmocka_unit_test(a_repeated_opening_finds_the_same_session),
        cmocka_unit_test(nobody_listening_is_an_error_at_once),
        cmocka_unit_test(whoever_keeps_trying_gets_through_when_the_server_is_up),
        cmocka_unit_test(silence_is_retried_for_ever),
        cmocka_unit_test(a_listener_that_was_closed_refuses_for_good),
        cmocka_unit_test(another_service_on_the_port_is_a_failed_attempt),
        cmocka_unit_test(an_unconfirmed_session_is_dropped_and_opened_again_silently),
        cmocka_unit_test(a_session_that_is_opened_again_asks_nothing_before_it_is_accepted),
        cmocka_unit_test(an_unconfirmed_session_that_delivered_bytes_is_an_error),
        cmocka_unit_test(an_unconfirmed_session_on_a_silently_dead_connection_is_dropped),
        cmocka_unit_test(a_silent_client_without_datagrams_keeps_its_session),
        cmocka_unit_test(an_opening_whose_early_bytes_were_read_and_dropped_ends),
        cmocka_unit_test(an_opening_that_was_dropped_unread_is_made_again),
        cmocka_unit_test(a_resume_confirms_where_datagrams_do_not_get_through),
    };

    return cmocka_run_group_tests_name("story/rtcp/open", tests, NULL, NULL);
}
