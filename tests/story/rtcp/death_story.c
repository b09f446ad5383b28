/* Proof of death, and what is none; keys (PROTOCOL.md "Proof of death", "Threats"; P27 to P32, P63, P64, P66, P67). */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const char *const our_key = "only we two know this";

static void plain_pair(struct duo *d)
{
    struct duo_options o;

    duo_options_default(&o);
    duo_pair(d, &o);
    duo_run(d, BASE_MS(20));
    duo_mark(d);
}

static void restart_server(struct duo *d)
{
    duo_kill(d, DUO_SERVER);
    duo_start(d, DUO_SERVER);
}

static bool client_is_closed(struct duo *d)
{
    return duo_client(d)->is_closed;
}

static base_time until_closed(struct duo *d, base_time limit)
{
    base_time began = d->now;

    DUO_TRUE(d, duo_until(d, client_is_closed, limit));
    return d->now - began;
}

/* ------------------------------------------------------------------------------------------------ restarts */

/* P27: the error says that the peer is gone, within 2 s of reachability with data waiting. */
static void a_restarted_server_is_noticed_at_once_with_data_waiting(void **state)
{
    static const enum duo_cut how[] = {DUO_CUT_RESET, DUO_CUT_SILENT, DUO_CUT_EOF};

    (void)state;
    for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
        struct duo d;

        plain_pair(&d);
        duo_cut(&d, duo_live(&d), how[i]);
        restart_server(&d);
        duo_send(duo_client(&d), 1000);
        assert_true(until_closed(&d, BASE_S(5)) < BASE_S(2));
        assert_int_equal(duo_client(&d)->status, BASE_E_PEER_GONE);
        assert_int_equal(duo_client(&d)->unacknowledged, 1000);
        duo_expect(&d, "C GREET", "S refuses 5", "C PEER_GONE", "C CLOSED PEER_GONE", NULL);
        duo_close(&d);
    }
}

static void a_restarted_server_is_noticed_when_it_can_be_reached_again(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_block_tcp(&d, true);
    duo_block_udp(&d, true);
    duo_send(duo_client(&d), 1000);
    duo_run(&d, BASE_S(100));
    restart_server(&d);
    duo_run(&d, BASE_S(20));
    assert_false(duo_client(&d)->is_closed);
    duo_block_tcp(&d, false);
    duo_block_udp(&d, false);
    assert_true(until_closed(&d, BASE_S(5)) < BASE_S(2));
    assert_int_equal(duo_client(&d)->status, BASE_E_PEER_GONE);
    duo_close(&d);
}

static void an_idle_client_notices_a_restarted_server_within_17_seconds(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_run(&d, BASE_S(100));
    duo_cut(&d, duo_live(&d), DUO_CUT_SILENT); /* the RST of the dying process is lost */
    restart_server(&d);
    assert_true(until_closed(&d, BASE_S(40)) < BASE_S(17));
    assert_int_equal(duo_client(&d)->status, BASE_E_PEER_GONE);
    duo_close(&d);
}

/* A closed client whose CLOSE is confirmed, and that did not hear the server's: nothing is left to be said. Idle
 * streams are to be silent. */
static void close_half_heard(struct duo *d)
{
    struct duo_options o;

    duo_options_default(&o);
    o.idle_probe = BASE_NEVER;
    duo_pair(d, &o);
    duo_run(d, BASE_S(100));
    duo_cut(d, duo_live(d), DUO_CUT_SILENT);
    d->udp_dropped_types[1] = 1u << RTCP_WIRE_CLOSE | 1u << RTCP_WIRE_PROBE_REPLY;
    duo_finish(duo_client(d), false);
    duo_run(d, BASE_S(1));
    assert_true(duo_client(d)->session.close_conf);
    assert_false(duo_client(d)->is_closed);
}

/* C2, P36. The option asks for silence while an application waits; it is no reason to linger for ten minutes. */
static void a_closed_client_notices_a_restarted_server_though_idle_streams_are_silent(void **state)
{
    struct duo d;

    (void)state;
    close_half_heard(&d);
    restart_server(&d);
    d.udp_dropped_types[1] = 0;
    assert_true(until_closed(&d, BASE_S(700)) < BASE_S(17));
    assert_int_equal(duo_client(&d)->status, BASE_E_PEER_GONE);
    duo_close(&d);
}

/* C8. Everything was delivered, and a tombstone knows it: who does not ask ends with an error. */
static void a_closed_client_asks_a_tombstone_though_idle_streams_are_silent(void **state)
{
    struct duo d;

    (void)state;
    close_half_heard(&d);
    duo_finish(duo_server(&d), false);
    duo_run(&d, RTCP_COMPLETE_MAX);
    d.udp_dropped_types[1] = 0;
    assert_true(until_closed(&d, BASE_S(700)) < BASE_S(17));
    assert_int_equal(duo_client(&d)->status, 0);
    duo_close(&d);
}

/* A process that is only away is not gone: refused connections prove nothing. */
static void a_server_that_is_down_is_waited_for(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_kill(&d, DUO_SERVER);
    duo_send(duo_client(&d), 1000);
    duo_run(&d, BASE_S(1000));
    assert_false(duo_client(&d)->is_closed);
    assert_true(duo_client(&d)->evidence_seen & ((uint64_t)1 << RTCP_EVIDENCE_REFUSED));
    duo_start(&d, DUO_SERVER);
    assert_true(until_closed(&d, BASE_S(5)) < BASE_MS(2500));
    assert_int_equal(duo_client(&d)->status, BASE_E_PEER_GONE);
    duo_close(&d);
}

static void a_session_that_the_same_process_has_forgotten_is_told_apart(void **state)
{
    struct duo_stream *s;
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_send(duo_client(&d), 1000);
    duo_deliver(&d, BASE_S(1));
    s = duo_server(&d);
    rtcp_registry_bury(&d.host[DUO_SERVER].registry, &s->session, false); /* no tombstone either */
    s->is_used = false;
    s->is_closed = true;
    duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
    duo_run(&d, BASE_S(2));
    assert_int_equal(duo_client(&d)->status, BASE_E_PEER_FORGOT);
    assert_int_equal(duo_count(&d, "C PEER_GONE"), 0);
    duo_close(&d);
}

/* ------------------------------------------------------------------------------------------------ keys */

static void key_options(struct duo_options *o, const char *client, const char *server)
{
    duo_options_default(o);
    o->key[0] = client;
    o->key[1] = server;
}

static void with_a_key_everything_works_as_without(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    key_options(&o, our_key, our_key);
    duo_pair(&d, &o);
    duo_send(duo_client(&d), 20000);
    duo_send(duo_server(&d), 20000);
    duo_run(&d, BASE_MS(3));
    duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
    duo_deliver(&d, BASE_S(5));
    duo_end(&d);
}

/* The OPEN alone (it may be a copy of an old one) makes nobody accept, and delivers nothing. */
static void nothing_is_accepted_or_delivered_before_the_proof_of_the_key(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    key_options(&o, our_key, our_key);
    duo_open(&d, &o);
    duo_plan(&d, duo_plan_cut(DUO_CUT_SILENT, RTCP_WIRE_REQUEST + RTCP_WIRE_CONFIRM - 1, DUO_NEVER_CUT));
    duo_block_udp(&d, true);
    duo_send(duo_connect(&d), 500);
    duo_run(&d, BASE_MS(900));
    assert_non_null(duo_accepted(&d));
    assert_false(duo_accepted(&d)->is_accepted);
    assert_int_equal(duo_accepted(&d)->session.received, 0);
    duo_block_udp(&d, false);
    duo_deliver(&d, BASE_S(20));
    assert_true(duo_server(&d)->is_accepted);
    d.host[DUO_SERVER].stream[0]->is_closed = true;
    duo_end(&d);
}

static void early_data_with_a_key_are_delivered_when_asked_for(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    key_options(&o, our_key, our_key);
    o.early_data_with_key = true;
    duo_open(&d, &o);
    duo_plan(&d, duo_plan_cut(DUO_CUT_RESET, DUO_NEVER_CUT, 0));
    duo_send(duo_connect(&d), 500);
    duo_run(&d, BASE_MS(1));
    assert_int_equal(duo_accepted(&d)->session.received, 500);
    duo_deliver(&d, BASE_S(5));
    duo_end(&d);
}

static void a_wrong_key_or_none_is_refused(void **state)
{
    static const char *const key[][2] = {{"another key entirely", "only we two know this"},
                                         {NULL, "only we two know this"},
                                         {"only we two know this", NULL}};

    (void)state;
    for (size_t i = 0; i < sizeof key / sizeof key[0]; i++) {
        struct duo_options o;
        struct duo d;

        key_options(&o, key[i][0], key[i][1]);
        duo_open(&d, &o);
        duo_send(duo_connect(&d), 500);
        duo_run(&d, BASE_S(1));
        assert_int_equal(duo_client(&d)->status, BASE_E_REFUSED);
        assert_true(duo_client(&d)->evidence_seen & ((uint64_t)1 << RTCP_EVIDENCE_WRONG_PEER));
        assert_null(duo_accepted(&d));
        duo_close(&d);
    }
}

/* P30, P67: whoever does not hold the key proves nothing, whatever name it gives itself. */
static void with_a_key_only_its_holder_can_prove_a_death(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    key_options(&o, our_key, our_key);
    duo_pair(&d, &o);
    duo_kill(&d, DUO_SERVER);
    d.opt.key[1] = "a thief of names and ports";
    duo_start(&d, DUO_SERVER);
    duo_send(duo_client(&d), 500);
    duo_run(&d, BASE_S(100));
    assert_false(duo_client(&d)->is_closed);
    duo_kill(&d, DUO_SERVER);
    d.opt.key[1] = our_key;
    duo_start(&d, DUO_SERVER);
    (void)until_closed(&d, BASE_S(3));
    assert_int_equal(duo_client(&d)->status, BASE_E_PEER_GONE);
    duo_close(&d);
}

/* ------------------------------------------------------------------------------------------------ forgeries */

/* What an attacker's message may not touch. */
static void expect_untouched(struct duo *d, struct rtcp_session *s, const struct rtcp_session *before)
{
    struct rtcp_session now = *s;

    now.messages_dropped = before->messages_dropped;
    if (memcmp(&now, before, sizeof now) != 0) {
        duo_fail(d, "a forged message changed the session");
    }
    DUO_TRUE(d, s->messages_dropped == before->messages_dropped + 1);
}

static void forged_messages_change_nothing(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_send(duo_client(&d), 300);
    duo_send(duo_server(&d), 300);
    duo_deliver(&d, BASE_S(1));
    duo_run(&d, BASE_S(1));
    for (int way = 0; way < 2; way++) {
        struct duo_stream *to = way == 0 ? duo_server(&d) : duo_client(&d);

        for (uint8_t type = RTCP_WIRE_ACK; type <= RTCP_WIRE_UNKNOWN; type++) {
            struct rtcp_wire_control c = {
                .type = type, .flagged = true, .message_id = 1, .received = 300, .final = 300};
            struct rtcp_session before = to->session;

            c.attempt = 1;
            duo_forge(&d, way, &c, false);
            while (d.event != NULL && d.event->at <= d.now + BASE_MS(1)) {
                (void)duo_step(&d, d.now + BASE_MS(1));
            }
            expect_untouched(&d, &to->session, &before);
        }
    }
    duo_end(&d);
}

/* P2, C7: authentic, but impossible or from the past. */
static void counts_outside_of_the_window_are_ignored(void **state)
{
    struct rtcp_wire_control c = {.type = RTCP_WIRE_ACK};
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.kernel = 600;
    duo_pair(&d, &o);
    duo_run(&d, BASE_MS(20));
    duo_send(duo_client(&d), 1000);
    duo_deliver(&d, BASE_S(1));
    duo_run(&d, BASE_S(1));
    duo_server(&d)->is_reading = false;
    duo_send(duo_client(&d), 3000);
    duo_run(&d, BASE_MS(10));
    assert_true(duo_client(&d)->session.written < 3000);
    c.received = 999; /* stale */
    duo_forge(&d, 1, &c, true);
    c.received = duo_client(&d)->session.written + 1; /* never written */
    duo_forge(&d, 1, &c, true);
    c.received = ((uint64_t)1 << 32) + 1500; /* looks right in 32 bits: the tag has all 64 (P1) */
    duo_forge(&d, 1, &c, true);
    duo_run(&d, BASE_MS(1));
    assert_int_equal(rtcp_session_acked(&duo_client(&d)->session), 1000);
    assert_int_equal(duo_client(&d)->session.acks_stale, 1);
    assert_int_equal(duo_client(&d)->session.messages_dropped, 2);
    duo_server(&d)->is_reading = true;
    duo_deliver(&d, BASE_S(5));
    duo_end(&d);
}

/* A connection of its own that says whatever it likes, byte by byte. */
static struct duo_link *intrude(struct duo *d, const uint8_t *bytes, size_t size)
{
    struct duo_link *l = duo_net_connect(&d->host[DUO_STRANGER], NULL, 0);

    l->state = DUO_LINK_MUTE;
    l->conn->end[1].host = &d->host[DUO_SERVER];
    l->conn->end[1].conn = l->conn;
    l->conn->end[1].side = 1;
    l->conn->end[1].state = DUO_LINK_ASKED;
    l->conn->end[1].deadline = d->now + RTCP_HANDSHAKE_TOTAL;
    l->is_established = l->conn->end[1].is_established = true;
    assert_int_equal(duo_net_write(l, bytes, size), size);
    return l;
}

static void make_resume(const struct duo_stream *c, struct rtcp_wire_request *r, uint8_t out[RTCP_WIRE_REQUEST],
                        bool is_authentic)
{
    *r = (struct rtcp_wire_request){
        .kind = RTCP_WIRE_RESUME,
        .cid = c->session.cid,
        .control_id = c->session.opt.id,
        .attempt = 77,
        .received = c->session.received,
        .sent = c->session.out.upto,
        .window = 4096,
        .client_incarnation = c->session.opt.incarnation,
        .name = c->session.peer_name,
        .server_incarnation = c->session.peer_incarnation,
    };
    rtcp_wire_put_request(out, r);
    rtcp_auth_sign(out, RTCP_WIRE_REQUEST, c->session.keys.handshake_up, r->received, r->sent, NULL);
    out[RTCP_WIRE_REQUEST - 1] ^= is_authentic ? 0 : 1;
}

static void a_forged_resume_is_refused_and_the_stream_goes_on(void **state)
{
    uint8_t bytes[RTCP_WIRE_REQUEST];
    struct rtcp_wire_request r;
    struct duo_link *l;
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_send(duo_client(&d), 3000);
    duo_send(duo_server(&d), 3000);
    make_resume(duo_client(&d), &r, bytes, false);
    l = intrude(&d, bytes, sizeof bytes);
    duo_deliver(&d, BASE_S(1));
    duo_run(&d, BASE_MS(10));
    duo_expect(&d, "S refuses 4", NULL);
    assert_int_equal(duo_count(&d, "S FREEZE"), 0);
    assert_int_equal(duo_server(&d)->session.live, 1);
    assert_int_equal(l->conn->flow[1].arrived, RTCP_WIRE_ANSWER); /* and no longer than the question (P66) */
    duo_end(&d);
}

static void a_resume_of_another_incarnation_or_with_another_name_is_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        uint8_t bytes[RTCP_WIRE_REQUEST];
        struct rtcp_wire_request r;
        struct duo d;

        plain_pair(&d);
        make_resume(duo_client(&d), &r, bytes, true);
        r.name += i == 0;
        r.server_incarnation += i == 1;
        rtcp_wire_put_request(bytes, &r);
        rtcp_auth_sign(bytes, sizeof bytes, duo_client(&d)->session.keys.handshake_up, r.received, r.sent, NULL);
        (void)intrude(&d, bytes, sizeof bytes);
        duo_run(&d, BASE_MS(10));
        duo_expect(&d, i == 0 ? "S refuses 3" : "S refuses 5", NULL);
        assert_int_equal(duo_server(&d)->session.attempt, 1);
        duo_end(&d);
    }
}

/* P41: what never becomes a request is dropped after its time, nonsense at its first bytes. */
static void half_a_handshake_and_nonsense_are_dropped(void **state)
{
    uint8_t bytes[RTCP_WIRE_REQUEST];
    struct rtcp_wire_request r;
    struct duo_link *half;
    struct duo_link *nonsense;
    struct duo d;

    (void)state;
    plain_pair(&d);
    make_resume(duo_client(&d), &r, bytes, true);
    half = intrude(&d, bytes, sizeof bytes - 1);
    nonsense = intrude(&d, (const uint8_t *)"GET / HTTP/1.1\r\n", 16);
    duo_run(&d, BASE_MS(10));
    assert_int_equal(nonsense->conn->end[1].state, DUO_LINK_CLOSED);
    assert_int_equal(half->conn->end[1].state, DUO_LINK_ASKED);
    duo_run(&d, BASE_S(11));
    assert_int_equal(half->conn->end[1].state, DUO_LINK_CLOSED);
    duo_end(&d);
}

/* UNKNOWN proves nothing: it makes the client look, and the RESUME brings the truth. */
static void unknown_only_makes_the_client_look(void **state)
{
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX];
    struct rtcp_wire_control probe = {.type = RTCP_WIRE_PROBE};
    struct duo_kept *asked;
    size_t size;
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_run(&d, BASE_S(1));
    d.udp_dropped_types[1] = 1u << RTCP_WIRE_PROBE_REPLY;
    duo_client(&d)->session.has_probe_data = false;
    rtcp_session_set_probe_data(&duo_client(&d)->session, d.now, duo_client(&d)->probe_data);
    duo_pump(duo_client(&d));
    asked = &d.kept[0][RTCP_WIRE_PROBE];
    probe.asker = base_get32(asked->bytes + 8);
    base_copy(probe.echo, asked->bytes + 16, RTCP_WIRE_ECHO);
    size = rtcp_registry_unknown(&d.host[DUO_SERVER].shared, 4711, &probe, bytes);
    d.udp_dropped_types[1] = 0;
    duo_datagram(&d, &d.host[DUO_SERVER].address, &d.host[DUO_CLIENT].address, bytes, size);
    duo_run(&d, BASE_S(1));
    duo_expect(&d, "C EVIDENCE 4", "C CONNECT 2", "S takes 2", "C ATTACH 2", NULL);
    assert_false(duo_client(&d)->is_closed);
    duo_datagram(&d, &d.host[DUO_SERVER].address, &d.host[DUO_CLIENT].address, bytes, size); /* its echo is used up */
    duo_mark(&d);
    duo_run(&d, BASE_S(1));
    assert_int_equal(duo_count(&d, "C CONNECT"), 0);
    duo_end(&d);
}

/* Story (C2), seed 7433042581561: a client had nothing to say to a server that came back with another key. What
 * answered it proved nothing, its connection led nowhere, and it waited for ever. A CONTROL connection that is refused
 * is a sign, once nothing was heard for long; before, it is none (P22). */
static void a_silent_connection_is_doubted_where_its_server_refuses(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_run(&d, BASE_S(1));
    d.udp_dropped_types[1] = ~0u; /* nothing authentic comes any more */
    duo_run(&d, RTCP_DOUBT - BASE_S(2));
    duo_mark(&d);
    rtcp_session_doubt(&duo_client(&d)->session, d.now);
    duo_pump(duo_client(&d));
    duo_run(&d, BASE_S(1));
    assert_int_equal(duo_count(&d, "C CONNECT"), 0);
    duo_run(&d, BASE_S(20));
    duo_mark(&d);
    rtcp_session_doubt(&duo_client(&d)->session, d.now);
    duo_pump(duo_client(&d));
    duo_run(&d, BASE_S(1));
    duo_expect(&d, "C CONNECT 2", "S takes 2", "C ATTACH 2", NULL); /* here the session lives, and goes on */
    assert_false(duo_client(&d)->is_closed);
    duo_mark(&d);
    rtcp_session_doubt(&duo_client(&d)->session, d.now); /* the handshake was heard */
    duo_pump(duo_client(&d));
    duo_run(&d, BASE_S(1));
    assert_int_equal(duo_count(&d, "C CONNECT"), 0);
    duo_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_restarted_server_is_noticed_at_once_with_data_waiting),
        cmocka_unit_test(a_restarted_server_is_noticed_when_it_can_be_reached_again),
        cmocka_unit_test(an_idle_client_notices_a_restarted_server_within_17_seconds),
        cmocka_unit_test(a_closed_client_notices_a_restarted_server_though_idle_streams_are_silent),
        cmocka_unit_test(a_closed_client_asks_a_tombstone_though_idle_streams_are_silent),
        cmocka_unit_test(a_server_that_is_down_is_waited_for),
        cmocka_unit_test(a_session_that_the_same_process_has_forgotten_is_told_apart),
        cmocka_unit_test(with_a_key_everything_works_as_without),
        cmocka_unit_test(nothing_is_accepted_or_delivered_before_the_proof_of_the_key),
        cmocka_unit_test(early_data_with_a_key_are_delivered_when_asked_for),
        cmocka_unit_test(a_wrong_key_or_none_is_refused),
        cmocka_unit_test(with_a_key_only_its_holder_can_prove_a_death),
        cmocka_unit_test(forged_messages_change_nothing),
        cmocka_unit_test(counts_outside_of_the_window_are_ignored),
        cmocka_unit_test(a_forged_resume_is_refused_and_the_stream_goes_on),
        cmocka_unit_test(a_resume_of_another_incarnation_or_with_another_name_is_refused),
        cmocka_unit_test(half_a_handshake_and_nonsense_are_dropped),
        cmocka_unit_test(unknown_only_makes_the_client_look),
        cmocka_unit_test(a_silent_connection_is_doubted_where_its_server_refuses),
    };

    return cmocka_run_group_tests_name("story/rtcp/death", tests, NULL, NULL);
}
