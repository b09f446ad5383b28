/* Tests of rtcp/tombstone.h: true answers of a session that is over (P38). */
#include "rtcp/tombstone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static const uint8_t client_nonce[RTCP_WIRE_NONCE] = "client's nonce.";
static const uint8_t server_nonce[RTCP_WIRE_NONCE] = "server's nonce.";

/* The last state of a server's session, 700 bytes read and 900 sent. */
static struct rtcp_session *last_state(int end, bool is_complete)
{
    struct rtcp_session *s = calloc(1, sizeof *s);
    struct rtcp_auth_shared none;

    assert_non_null(s);
    rtcp_auth_shared_init(&none, (struct base_bytes){NULL, 0}, 0);
    rtcp_auth_derive(&s->keys, &none, client_nonce, server_nonce);
    base_copy(s->client_nonce, client_nonce, RTCP_WIRE_NONCE);
    base_copy(s->server_nonce, server_nonce, RTCP_WIRE_NONCE);
    s->opt.id = s->cid = 12;
    s->peer_id = 34;
    s->received = 700;
    s->out.first = 800;
    s->out.upto = 900;
    s->end = end;
    s->is_complete = is_complete;
    return s;
}

static void make(struct rtcp_tombstone *t, int end, bool is_complete)
{
    struct rtcp_session *s = last_state(end, is_complete);

    rtcp_tombstone_make(t, s);
    free(s);
}

/* A message of the client to it, authentic or not; what it answers. */
static size_t ask(const struct rtcp_tombstone *t, uint8_t type, bool flagged, bool is_authentic, uint8_t *out)
{
    struct rtcp_wire_control c = {
        .id = 12, .type = type, .flagged = flagged, .message_id = 5, .received = 900, .final = 700};
    bool has_final = type == RTCP_WIRE_HALF_CLOSE || type == RTCP_WIRE_CLOSE;
    bool has_received = has_final || type == RTCP_WIRE_ACK || type == RTCP_WIRE_REQACK || type == RTCP_WIRE_PROBE_REPLY;
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX];
    size_t size = rtcp_wire_put_control(bytes, &c);
    struct base_bytes datagram = {bytes, size + RTCP_WIRE_CONTROL_TAG};

    rtcp_auth_control(bytes + size, t->is_client ? t->keys.control_down : t->keys.control_up,
                      (struct base_bytes){bytes, size}, has_received ? 900 : 0, has_final ? 700 : 0);
    bytes[size] ^= is_authentic ? 0 : 1;
    assert_int_equal(rtcp_wire_get_control(&datagram, &c), 0);
    return rtcp_tombstone_answer(t, &c, out);
}

/* The next of the answers: its type, checked against the session's key. */
static uint8_t next(const struct rtcp_tombstone *t, struct base_bytes *answers, struct rtcp_wire_control *c)
{
    uint8_t tag[RTCP_WIRE_CONTROL_TAG];
    bool has_counts;

    if (answers->size == 0) {
        return 0;
    }
    assert_int_equal(rtcp_wire_get_control(answers, c), 0);
    has_counts = c->type == RTCP_WIRE_CLOSE;
    rtcp_auth_control(tag, t->is_client ? t->keys.control_up : t->keys.control_down, c->signed_bytes,
                      has_counts ? t->received : 0, has_counts ? t->sent : 0);
    assert_memory_equal(tag, c->tag, sizeof tag);
    assert_int_equal(c->id, 34);
    return c->type;
}

static void the_reason_follows_from_how_it_ended(void **state)
{
    static const struct {
        int end;
        bool is_complete;
        uint8_t reason;
    } cases[] = {
        {0, true, RTCP_WIRE_IS_CLOSED},
        {BASE_E_RESET, true, RTCP_WIRE_IS_CLOSED}, /* both closed; not everything was read */
        {BASE_E_CLOSED, false, RTCP_WIRE_IS_RESET},
        {BASE_E_EXPIRED, false, RTCP_WIRE_IS_RESET},
        {BASE_E_PROTOCOL, false, RTCP_WIRE_BAD_COUNT},
        {BASE_E_NEVER_CONFIRMED, false, RTCP_WIRE_UNCONFIRMED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rtcp_tombstone t;

        make(&t, cases[i].end, cases[i].is_complete);
        assert_int_equal(t.reason, cases[i].reason);
        assert_int_equal(t.is_kept, cases[i].reason == RTCP_WIRE_UNCONFIRMED);
        assert_int_equal(t.received, 700);
        assert_int_equal(t.sent, 900);
    }
}

static void questions_are_answered_by_the_final_word(void **state)
{
    static const uint8_t question[] = {RTCP_WIRE_PROBE, RTCP_WIRE_REQACK, RTCP_WIRE_HALF_CLOSE, RTCP_WIRE_WAKE};

    (void)state;
    for (int complete = 0; complete < 2; complete++) {
        struct rtcp_tombstone t;

        make(&t, complete ? 0 : BASE_E_CLOSED, complete);
        for (size_t i = 0; i < sizeof question; i++) {
            uint8_t out[2 * RTCP_WIRE_CONTROL_MAX];
            bool flagged = question[i] == RTCP_WIRE_HALF_CLOSE || question[i] == RTCP_WIRE_WAKE;
            struct base_bytes answers = {out, ask(&t, question[i], flagged, true, out)};
            struct rtcp_wire_control c;

            if (flagged) {
                assert_int_equal(next(&t, &answers, &c), RTCP_WIRE_CONF);
                assert_int_equal(c.message_id, 5);
            }
            assert_int_equal(next(&t, &answers, &c), complete ? RTCP_WIRE_CLOSE : RTCP_WIRE_RESET);
            assert_false(c.flagged);
            if (complete) {
                assert_int_equal(c.received, 700);
                assert_int_equal(c.final, 900);
            }
            assert_int_equal(answers.size, 0);
        }
    }
}

/* Two tombstones must not talk to each other for ever. */
static void what_is_no_question_gets_at_most_a_confirmation(void **state)
{
    static const uint8_t statement[] = {RTCP_WIRE_ACK, RTCP_WIRE_CONF, RTCP_WIRE_RESET, RTCP_WIRE_PROBE_REPLY};
    uint8_t out[2 * RTCP_WIRE_CONTROL_MAX];
    struct rtcp_tombstone t;

    (void)state;
    make(&t, BASE_E_CLOSED, false);
    for (size_t i = 0; i < sizeof statement; i++) {
        struct rtcp_wire_control c;
        struct base_bytes answers;

        assert_int_equal(ask(&t, statement[i], false, true, out), 0);
        answers = (struct base_bytes){out, ask(&t, statement[i], true, true, out)};
        assert_int_equal(next(&t, &answers, &c), RTCP_WIRE_CONF);
        assert_int_equal(answers.size, 0);
    }
}

static void a_close_is_confirmed_and_an_aborted_session_says_so(void **state)
{
    uint8_t out[2 * RTCP_WIRE_CONTROL_MAX];
    struct base_bytes answers;
    struct rtcp_wire_control c;
    struct rtcp_tombstone t;

    (void)state;
    make(&t, 0, true);
    answers = (struct base_bytes){out, ask(&t, RTCP_WIRE_CLOSE, true, true, out)};
    assert_int_equal(next(&t, &answers, &c), RTCP_WIRE_CONF);
    make(&t, BASE_E_CLOSED, false);
    answers = (struct base_bytes){out, ask(&t, RTCP_WIRE_CLOSE, true, true, out)};
    assert_int_equal(next(&t, &answers, &c), RTCP_WIRE_CONF);
    assert_int_equal(next(&t, &answers, &c), RTCP_WIRE_RESET);
}

static void forged_messages_and_those_for_an_unconfirmed_session_get_no_answer(void **state)
{
    uint8_t out[2 * RTCP_WIRE_CONTROL_MAX];
    struct rtcp_tombstone t;

    (void)state;
    for (uint8_t type = RTCP_WIRE_ACK; type <= RTCP_WIRE_UNKNOWN; type++) {
        make(&t, 0, true);
        assert_int_equal(ask(&t, type, true, false, out), 0);
        make(&t, BASE_E_NEVER_CONFIRMED, false);
        assert_int_equal(ask(&t, type, true, true, out), 0);
    }
}

static void a_clients_tombstone_uses_the_other_keys(void **state)
{
    uint8_t out[2 * RTCP_WIRE_CONTROL_MAX];
    struct rtcp_session *s = last_state(0, true);
    struct base_bytes answers;
    struct rtcp_wire_control c;
    struct rtcp_tombstone t;

    (void)state;
    s->opt.is_client = true;
    rtcp_tombstone_make(&t, s);
    answers = (struct base_bytes){out, ask(&t, RTCP_WIRE_PROBE, false, true, out)};
    assert_int_equal(next(&t, &answers, &c), RTCP_WIRE_CLOSE);
    free(s);
}

/* Under the session's key, bound to the request; with the nonce that lets a client derive it that saw no ACCEPT. */
static void a_request_is_refused_with_the_final_counts(void **state)
{
    struct rtcp_wire_request r = {.kind = RTCP_WIRE_RESUME, .attempt = 66, .nonce = {1, 2, 3}};
    uint8_t out[RTCP_WIRE_ANSWER];
    struct rtcp_wire_answer a;
    struct rtcp_tombstone t;

    (void)state;
    make(&t, 0, true);
    rtcp_tombstone_refuse(&t, &r, 4711, 4712, out);
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){out, sizeof out}, &a), 0);
    assert_int_equal(a.reason, RTCP_WIRE_IS_CLOSED);
    assert_int_equal(a.flags, RTCP_WIRE_SHUT | RTCP_WIRE_CLOSED);
    assert_int_equal(a.attempt, 66);
    assert_int_equal(a.cid, 12);
    assert_int_equal(a.received, 700);
    assert_int_equal(a.sent, 900);
    assert_int_equal(a.incarnation, 4711);
    assert_int_equal(a.name, 4712);
    assert_memory_equal(a.nonce, server_nonce, RTCP_WIRE_NONCE);
    assert_true(rtcp_auth_is_signed(out, sizeof out, t.keys.handshake_down, 700, 900, r.nonce));
    r.nonce[0]++;
    assert_false(rtcp_auth_is_signed(out, sizeof out, t.keys.handshake_down, 700, 900, r.nonce));
    make(&t, BASE_E_CLOSED, false);
    rtcp_tombstone_refuse(&t, &r, 4711, 4712, out);
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){out, sizeof out}, &a), 0);
    assert_int_equal(a.reason, RTCP_WIRE_IS_RESET);
    assert_int_equal(a.flags, 0); /* never an end where there was an abort (P5) */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reason_follows_from_how_it_ended),
        cmocka_unit_test(questions_are_answered_by_the_final_word),
        cmocka_unit_test(what_is_no_question_gets_at_most_a_confirmation),
        cmocka_unit_test(a_close_is_confirmed_and_an_aborted_session_says_so),
        cmocka_unit_test(forged_messages_and_those_for_an_unconfirmed_session_get_no_answer),
        cmocka_unit_test(a_clients_tombstone_uses_the_other_keys),
        cmocka_unit_test(a_request_is_refused_with_the_final_counts),
    };

    return cmocka_run_group_tests_name("unit/rtcp/tombstone", tests, NULL, NULL);
}
