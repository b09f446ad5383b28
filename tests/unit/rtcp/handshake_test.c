/* Tests of rtcp/handshake.c against peers that no honest session can play: forged, impossible and hostile answers and
 * requests, with and without the keys (P2, P10, P11, P28, P64, C7). Honest ones stand in tests/story/rtcp.
 */
#include "rtcp/base/ringmem_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/session.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW         BASE_S(100)
#define RING        4096u
#define NAME        77u
#define INCARNATION 4711u
#define CID         55u

static const struct base_trace silent;
static const uint8_t bytes[RING];

struct world {
    struct rtcp_session s;
    struct rtcp_auth_shared shared;
    struct rtcp_session_options o;
    struct rtcp_route route;
    base_time now;
    unsigned greetings, wakes, accepted, connects, thaws;
    bool is_slow; /* FREEZE is not reported by itself */
};

static void look(struct world *w)
{
    struct rtcp_effect e;

    while (rtcp_session_poll(&w->s, &e)) {
        w->greetings += e.kind == RTCP_EFFECT_GREET;
        w->connects += e.kind == RTCP_EFFECT_CONNECT;
        w->accepted += e.kind == RTCP_EFFECT_ACCEPTED;
        w->thaws += e.kind == RTCP_EFFECT_THAW;
        w->wakes += e.kind == RTCP_EFFECT_MESSAGE && e.bytes[4] == RTCP_WIRE_WAKE;
        if (e.kind == RTCP_EFFECT_ATTACH) {
            rtcp_session_routed(&w->s, w->now, &w->route);
        } else if (e.kind == RTCP_EFFECT_FREEZE && !w->is_slow) {
            rtcp_session_frozen(&w->s, w->now, e.attempt, true);
        }
    }
}

static struct world *make(const char *key)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->now = NOW;
    rtcp_auth_shared_init(&w->shared, (struct base_bytes){(const uint8_t *)key, strlen(key)}, 3);
    w->o = (struct rtcp_session_options){.ring = RING,
                                         .idle_probe = BASE_S(15),
                                         .linger_max = BASE_S(600),
                                         .name = NAME,
                                         .incarnation = 8,
                                         .id = 9,
                                         .shared = &w->shared,
                                         .ring_source = base_ringmem_system(),
                                         .trace = &silent};
    rtcp_route_init(&w->route, 6, NOW);
    w->route.to.family = 4;
    return w;
}

static void end(struct world *w)
{
    rtcp_session_deinit(&w->s);
    free(w);
}

/* ------------------------------------------------------------------------------------------------ a client and its
 * server */

static struct world *asking_client(bool retry_refused)
{
    struct world *w = make("");

    w->o.is_client = true;
    w->o.retry_refused = retry_refused;
    assert_int_equal(rtcp_session_open(&w->s, &w->o, w->now), 0);
    rtcp_session_connected(&w->s, w->now, 1);
    look(w);
    assert_int_equal(w->greetings, 1);
    return w;
}

static struct rtcp_wire_answer plain_answer(const struct world *w, uint8_t kind)
{
    struct rtcp_wire_answer a = {.kind = kind,
                                 .cid = CID,
                                 .control_id = CID,
                                 .attempt = w->s.attempt,
                                 .received = w->s.out.first,
                                 .sent = w->s.received,
                                 .window = RING,
                                 .incarnation = INCARNATION,
                                 .name = NAME};

    memset(a.nonce, 5, sizeof a.nonce);
    return a;
}

/* Signed with the session's key (which follows from the nonces), or with the shared one. */
static void answer(struct world *w, const struct rtcp_wire_answer *a, bool by_session, uint8_t spoil)
{
    uint8_t out[RTCP_WIRE_ANSWER];
    struct rtcp_auth_keys keys;

    rtcp_auth_derive(&keys, &w->shared, w->s.client_nonce, w->s.cid == 0 ? a->nonce : w->s.server_nonce);
    rtcp_wire_put_answer(out, a);
    if (by_session) {
        rtcp_auth_sign(out, sizeof out, keys.handshake_down, a->received, a->sent, w->s.request_nonce);
    } else {
        rtcp_auth_sign(out, sizeof out, w->shared.key, 0, 0, w->s.request_nonce);
    }
    out[sizeof out - 1] ^= spoil;
    rtcp_session_answered(&w->s, w->now, w->s.attempt, (struct base_bytes){out, sizeof out});
    look(w);
}

static struct world *open_client(void)
{
    struct world *w = asking_client(false);
    struct rtcp_wire_answer a = plain_answer(w, RTCP_WIRE_ACCEPT);

    answer(w, &a, true, 0);
    assert_int_equal(w->s.life, RTCP_LIFE_OPEN);
    return w;
}

/* An open client that has written 300 bytes, 100 of them acknowledged, and asks on attempt 2. */
static struct world *resuming_client(void)
{
    struct world *w = open_client();

    w->s.is_confirmed = true;
    assert_int_equal(rtcp_session_append(&w->s, w->now, (struct base_bytes){bytes, 300}), 300);
    rtcp_session_sent(&w->s, w->now, 300);
    rtcp_session_broke(&w->s, w->now, 1, -1, "cut");
    look(w);
    rtcp_session_connected(&w->s, w->now, 2);
    look(w);
    assert_int_equal(w->s.trying, RTCP_TRY_ASKING);
    rtcp_outbox_trim(&w->s.out, 100);
    return w;
}

static void expect_failed_attempt(struct world *w)
{
    assert_int_not_equal(w->s.life, RTCP_LIFE_DEAD);
    assert_int_equal(w->s.evidence, RTCP_EVIDENCE_WRONG_PEER);
    assert_int_not_equal(w->s.trying, RTCP_TRY_ASKING);
    end(w);
}

/* ------------------------------------------------------------------------------------------------ answers to an OPEN
 */

static void an_acceptance_that_is_not_authentic_is_a_failed_attempt(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++) {
        struct world *w = asking_client(true);
        struct rtcp_wire_answer a = plain_answer(w, i == 4 ? RTCP_WIRE_RESUMED : RTCP_WIRE_ACCEPT);

        w->s.peer_name = NAME;
        a.name += i == 1;
        a.received += i == 2;
        a.attempt += i == 3;
        a.incarnation = i == 5 ? 0 : INCARNATION;
        answer(w, &a, true, i == 0);
        assert_int_equal(w->s.cid, 0);
        expect_failed_attempt(w);
    }
}

static void a_temporary_refusal_is_retried_not_before_its_time(void **state)
{
    struct world *w = asking_client(false);
    struct rtcp_wire_answer a = plain_answer(w, RTCP_WIRE_REFUSE);

    (void)state;
    a.cid = a.control_id = 0;
    a.reason = RTCP_WIRE_FULL;
    a.flags = RTCP_WIRE_TEMPORARY;
    a.retry_after_ms = 700;
    memset(a.nonce, 0, sizeof a.nonce);
    answer(w, &a, false, 0);
    assert_int_equal(w->s.life, RTCP_LIFE_OPENING);
    assert_int_equal(rtcp_session_deadline(&w->s), NOW + BASE_MS(700));
    w->now = NOW + BASE_MS(700);
    rtcp_session_expire(&w->s, w->now);
    look(w);
    assert_int_equal(w->connects, 2);
    end(w);
}

static void a_final_refusal_ends_an_opening_unless_it_was_to_keep_trying(void **state)
{
    (void)state;
    for (int retry = 0; retry < 2; retry++) {
        struct world *w = asking_client(retry);
        struct rtcp_wire_answer a = plain_answer(w, RTCP_WIRE_REFUSE);

        a.cid = a.control_id = 0;
        a.reason = RTCP_WIRE_NOT_LISTENING;
        answer(w, &a, false, 0);
        assert_int_equal(w->s.life, retry ? RTCP_LIFE_OPENING : RTCP_LIFE_DEAD);
        assert_int_equal(w->s.end, retry ? 0 : BASE_E_REFUSED);
        end(w);
    }
}

static void the_last_word_about_a_lost_acceptance_counts(void **state)
{
    static const struct {
        uint8_t reason;
        uint64_t received;
        int status;
    } word[] = {{RTCP_WIRE_UNCONFIRMED, 0, 0},
                {RTCP_WIRE_UNCONFIRMED, 1, BASE_E_NEVER_CONFIRMED},
                {RTCP_WIRE_IS_RESET, 0, BASE_E_RESET}};

    (void)state;
    for (size_t i = 0; i < sizeof word / sizeof word[0]; i++) {
        struct world *w = asking_client(true);
        struct rtcp_wire_answer a = plain_answer(w, RTCP_WIRE_REFUSE);
        uint8_t nonce[RTCP_WIRE_NONCE];

        base_copy(nonce, w->s.client_nonce, sizeof nonce);
        a.reason = word[i].reason;
        a.received = word[i].received;
        answer(w, &a, true, 0);
        assert_int_equal(w->s.end, word[i].status);
        assert_int_equal(memcmp(nonce, w->s.client_nonce, sizeof nonce) != 0, word[i].status == 0); /* opens anew */
        end(w);
    }
}

/* ------------------------------------------------------------------------------------------------ answers to a RESUME
 */

static void an_answer_to_a_resume_that_is_not_authentic_is_a_failed_attempt(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct world *w = resuming_client();
        struct rtcp_wire_answer a = plain_answer(w, i == 3 ? RTCP_WIRE_ACCEPT : RTCP_WIRE_RESUMED);

        a.cid += i == 1;
        a.attempt -= i == 2;
        if (i == 4) {
            a.kind = RTCP_WIRE_REFUSE;
            a.reason = RTCP_WIRE_IS_RESET;
        }
        answer(w, &a, true, i == 0 || i == 4);
        expect_failed_attempt(w);
    }
}

/* C7: what was trimmed cannot be asked for again, what was not written cannot have been read. */
static void a_resumption_at_an_impossible_count_ends_the_session(void **state)
{
    static const uint64_t count[] = {99, 301};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct world *w = resuming_client();
        struct rtcp_wire_answer a = plain_answer(w, RTCP_WIRE_RESUMED);

        a.received = count[i];
        answer(w, &a, true, 0);
        assert_int_equal(w->s.end, BASE_E_PROTOCOL);
        end(w);
    }
}

static void the_verdict_of_the_peers_session_is_believed(void **state)
{
    static const struct {
        uint8_t reason, flags;
        uint64_t sent;
        int status;
    } verdict[] = {{RTCP_WIRE_IS_CLOSED, RTCP_WIRE_SHUT | RTCP_WIRE_CLOSED, 1, BASE_E_RESET}, /* a byte we never got */
                   {RTCP_WIRE_IS_CLOSED, 0, 0, BASE_E_RESET},
                   {RTCP_WIRE_IS_RESET, 0, 0, BASE_E_RESET},
                   {RTCP_WIRE_BAD_COUNT, 0, 0, BASE_E_PROTOCOL}};

    (void)state;
    for (size_t i = 0; i < sizeof verdict / sizeof verdict[0]; i++) {
        struct world *w = resuming_client();
        struct rtcp_wire_answer a = plain_answer(w, RTCP_WIRE_REFUSE);

        a.reason = verdict[i].reason;
        a.flags = verdict[i].flags;
        a.sent = verdict[i].sent;
        a.received = 250;
        answer(w, &a, true, 0);
        assert_int_equal(w->s.end, verdict[i].status);
        assert_int_equal(rtcp_session_acked(&w->s), 250); /* on_closed tells what is left */
        end(w);
    }
}

static void a_reason_that_no_session_gives_proves_nothing(void **state)
{
    (void)state;
    for (uint8_t reason = 0; reason < 20; reason++) {
        struct world *w = resuming_client();
        struct rtcp_wire_answer a = plain_answer(w, RTCP_WIRE_REFUSE);

        a.reason = reason;
        if (reason >= RTCP_WIRE_IS_CLOSED && reason <= RTCP_WIRE_BAD_COUNT && reason != RTCP_WIRE_BAD_VERSION) {
            end(w);
            continue;
        }
        answer(w, &a, true, 0);
        expect_failed_attempt(w);
    }
}

/* Of the endpoint's own words only NO_SESSION counts, and only with the expected name. */
static void without_the_name_or_the_reason_an_endpoint_proves_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct world *w = resuming_client();
        struct rtcp_wire_answer a = plain_answer(w, RTCP_WIRE_REFUSE);

        a.reason = i == 0 ? RTCP_WIRE_NO_SESSION : RTCP_WIRE_FULL;
        a.name += i == 0;
        a.incarnation++;
        answer(w, &a, false, 0);
        expect_failed_attempt(w);
    }
}

static void no_session_before_the_confirmation_opens_again_or_says_so(void **state)
{
    (void)state;
    for (int delivered = 0; delivered < 2; delivered++) {
        struct world *w = open_client();
        struct rtcp_wire_answer a;

        w->s.is_confirmed = false;
        if (delivered) {
            assert_int_equal(rtcp_session_append(&w->s, w->now, (struct base_bytes){bytes, 5}), 5);
            rtcp_session_sent(&w->s, w->now, 5); /* whether it arrived nobody can tell */
        }
        rtcp_session_broke(&w->s, w->now, 1, -1, "cut");
        look(w);
        rtcp_session_connected(&w->s, w->now, 2);
        look(w);
        a = plain_answer(w, RTCP_WIRE_REFUSE);
        a.reason = RTCP_WIRE_NO_SESSION;
        answer(w, &a, false, 0);
        assert_int_equal(w->s.life, delivered ? RTCP_LIFE_DEAD : RTCP_LIFE_OPENING);
        assert_int_equal(w->s.end, delivered ? BASE_E_NEVER_CONFIRMED : 0);
        end(w);
    }
}

/* ------------------------------------------------------------------------------------------------ a server is asked */

static struct world *open_server(const char *key)
{
    struct world *w = make(key);
    struct rtcp_wire_request open = {
        .kind = RTCP_WIRE_OPEN, .control_id = 5, .attempt = 1, .window = RING, .client_incarnation = 6};

    assert_int_equal(rtcp_session_accept(&w->s, &w->o, w->now, &open), 0);
    look(w);
    return w;
}

static enum rtcp_asked ask(struct world *w, uint8_t kind, uint32_t attempt, uint64_t received, uint8_t spoil)
{
    struct rtcp_wire_request r = {.kind = kind,
                                  .cid = kind == RTCP_WIRE_OPEN ? 0 : w->s.cid,
                                  .control_id = 5,
                                  .attempt = attempt,
                                  .received = received,
                                  .sent = w->s.received,
                                  .window = RING};
    uint8_t raw[RTCP_WIRE_REQUEST];
    uint8_t reason = 0;
    enum rtcp_asked asked;

    rtcp_wire_put_request(raw, &r);
    if (kind == RTCP_WIRE_OPEN) {
        rtcp_auth_sign(raw, sizeof raw, w->shared.key, 0, 0, NULL);
    } else {
        rtcp_auth_sign(raw, sizeof raw, w->s.keys.handshake_up, received, r.sent, NULL);
    }
    raw[sizeof raw - 1] ^= spoil;
    asked = rtcp_session_asked(&w->s, w->now, &r, (struct base_bytes){raw, sizeof raw}, &reason);
    assert_int_equal(reason, asked == RTCP_ASKED_REFUSED ? RTCP_WIRE_BAD_COUNT : 0);
    look(w);
    return asked;
}

static void write_some(struct world *w, size_t size)
{
    assert_int_equal(rtcp_session_append(&w->s, w->now, (struct base_bytes){bytes, size}), size);
    rtcp_session_sent(&w->s, w->now, size);
}

static void old_and_forged_requests_change_nothing(void **state)
{
    struct world *w = open_server("");
    struct rtcp_session before;

    (void)state;
    write_some(w, 300);
    before = w->s;
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 1, 0, 0), RTCP_ASKED_STALE);
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 0, 0, 0), RTCP_ASKED_STALE);
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 2, 0, 1), RTCP_ASKED_FORGED);
    assert_int_equal(ask(w, RTCP_WIRE_OPEN, 2, 0, 1), RTCP_ASKED_FORGED);
    assert_memory_equal(&before, &w->s, sizeof before);
    end(w);
}

static void a_resume_at_an_impossible_count_ends_the_session(void **state)
{
    struct world *w = open_server("");

    (void)state;
    write_some(w, 300);
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 2, 301, 0), RTCP_ASKED_REFUSED);
    assert_int_equal(w->s.end, BASE_E_PROTOCOL);
    end(w);
}

/* F1 of the model. */
static void a_resume_below_what_was_acknowledged_is_stale(void **state)
{
    struct world *w = open_server("");

    (void)state;
    write_some(w, 300);
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 2, 200, 0), RTCP_ASKED_TAKEN);
    assert_int_equal(rtcp_session_acked(&w->s), 200);
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 3, 199, 0), RTCP_ASKED_STALE);
    assert_int_equal(w->s.live, 2);
    end(w);
}

static void a_repeated_opening_is_stale_once_the_client_has_confirmed(void **state)
{
    struct world *w = open_server("");

    (void)state;
    assert_int_equal(ask(w, RTCP_WIRE_OPEN, 2, 0, 0), RTCP_ASKED_TAKEN);
    assert_int_equal(w->s.live, 2);
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 3, 0, 0), RTCP_ASKED_TAKEN);
    assert_true(w->s.is_confirmed);
    assert_int_equal(ask(w, RTCP_WIRE_OPEN, 4, 0, 0), RTCP_ASKED_STALE);
    assert_int_equal(w->accepted, 1);
    end(w);
}

static void only_the_right_confirm_of_this_attempt_opens(void **state)
{
    struct world *w = open_server("0123456789abcdef");
    uint8_t tag[RTCP_WIRE_CONFIRM];

    (void)state;
    assert_int_equal(w->accepted, 0);
    rtcp_auth_confirm(tag, &w->s.keys, w->s.server_nonce);
    assert_int_equal(rtcp_session_confirmed(&w->s, w->now, 2, tag), 0); /* of another attempt: nothing follows */
    look(w);
    assert_int_equal(w->accepted, 0);
    tag[3] ^= 1;
    assert_int_equal(rtcp_session_confirmed(&w->s, w->now, 1, tag), BASE_E_PROTOCOL);
    assert_int_equal(w->accepted, 0);
    tag[3] ^= 1;
    assert_int_equal(rtcp_session_confirmed(&w->s, w->now, 1, tag), 0);
    look(w);
    assert_int_equal(w->accepted, 1);
    assert_int_equal(w->s.path, RTCP_PATH_ATTACHED);
    end(w);
}

/* ------------------------------------------------------------------------------------------------ messages */

static int say(struct world *w, struct rtcp_wire_control c)
{
    const struct rtcp_address from = {.family = 4, .ip = {10, 0, 0, 1}, .port = 7};
    bool has_final = c.type == RTCP_WIRE_HALF_CLOSE || c.type == RTCP_WIRE_CLOSE;
    bool has_received = has_final || c.type == RTCP_WIRE_ACK || c.type == RTCP_WIRE_PROBE_REPLY;
    uint8_t out[RTCP_WIRE_CONTROL_MAX];
    size_t size = rtcp_wire_put_control(out, &c);
    struct base_bytes datagram = {out, size + RTCP_WIRE_CONTROL_TAG};
    int status;

    rtcp_auth_control(out + size, w->s.opt.is_client ? w->s.keys.control_down : w->s.keys.control_up,
                      (struct base_bytes){out, size}, has_received ? c.received : 0, has_final ? c.final : 0);
    assert_int_equal(rtcp_wire_get_control(&datagram, &c), 0);
    status = rtcp_session_control(&w->s, w->now, &c, &from);
    look(w);
    return status;
}

/* F2 of the model: it proves that the client reads another connection. */
static void an_acknowledgement_above_what_the_live_connection_carried_detaches(void **state)
{
    struct world *w = open_server("");

    (void)state;
    write_some(w, 300);
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 2, 100, 0), RTCP_ASKED_TAKEN);
    assert_int_equal(w->s.written, 100);
    assert_int_equal(say(w, (struct rtcp_wire_control){.type = RTCP_WIRE_ACK, .received = 200}), 0);
    assert_int_equal(w->s.path, RTCP_PATH_DETACHED);
    assert_int_equal(rtcp_session_acked(&w->s), 200);
    assert_true(w->wakes > 0);
    end(w);
}

/* ... and when it comes while the server still freezes, the resume is dead: the old connection goes on. */
static void an_acknowledgement_that_overtakes_the_resume_undoes_it(void **state)
{
    struct world *w = open_server("");

    (void)state;
    write_some(w, 300);
    w->is_slow = true;
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 2, 100, 0), RTCP_ASKED_TAKEN);
    assert_int_equal(w->s.trying, RTCP_TRY_FREEZING);
    assert_int_equal(say(w, (struct rtcp_wire_control){.type = RTCP_WIRE_ACK, .received = 200}), 0);
    rtcp_session_frozen(&w->s, w->now, 1, true);
    look(w);
    assert_int_equal(w->thaws, 1);
    assert_int_equal(w->greetings, 1); /* the ACCEPT only */
    assert_int_equal(w->s.live, 1);
    assert_int_equal(w->s.written, 300);
    end(w);
}

static void an_impossible_end_is_a_protocol_error(void **state)
{
    static const uint64_t final[][2] = {{99, 0}, {150, 151}, {150, 149}};

    (void)state;
    for (size_t i = 0; i < sizeof final / sizeof final[0]; i++) {
        struct world *w = open_server("");

        rtcp_session_received(&w->s, w->now, 100);
        (void)say(w, (struct rtcp_wire_control){.type = RTCP_WIRE_HALF_CLOSE, .flagged = true, .final = final[i][0]});
        if (i > 0) {
            assert_int_equal(w->s.life, RTCP_LIFE_OPEN);
            (void)say(w, (struct rtcp_wire_control){.type = RTCP_WIRE_CLOSE, .flagged = true, .final = final[i][1]});
        }
        assert_int_equal(w->s.end, BASE_E_PROTOCOL);
        end(w);
    }
}

/* The client reads a connection that the server has left: in one reply it may be our RESUMED under way, in two it is
 * not. */
static void a_client_that_names_an_older_connection_twice_is_woken(void **state)
{
    struct rtcp_wire_control reply = {.type = RTCP_WIRE_PROBE_REPLY, .attempt = 1};
    struct world *w = open_server("");

    (void)state;
    assert_int_equal(ask(w, RTCP_WIRE_RESUME, 2, 0, 0), RTCP_ASKED_TAKEN);
    write_some(w, 100);
    for (int i = 0; i < 2; i++) {
        unsigned last = 0;

        assert_int_equal(w->wakes, 0);
        w->now += BASE_MS(60);
        rtcp_session_expire(&w->s, w->now);
        look(w);
        last = (w->s.pulse.next + RTCP_PROBES_REMEMBERED - 1) % RTCP_PROBES_REMEMBERED;
        base_copy(reply.echo, w->s.pulse.probe[last].echo, RTCP_WIRE_ECHO);
        assert_int_equal(say(w, reply), 0);
        w->now += BASE_MS(200);
    }
    assert_true(w->wakes > 0);
    end(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_acceptance_that_is_not_authentic_is_a_failed_attempt),
        cmocka_unit_test(a_temporary_refusal_is_retried_not_before_its_time),
        cmocka_unit_test(a_final_refusal_ends_an_opening_unless_it_was_to_keep_trying),
        cmocka_unit_test(the_last_word_about_a_lost_acceptance_counts),
        cmocka_unit_test(an_answer_to_a_resume_that_is_not_authentic_is_a_failed_attempt),
        cmocka_unit_test(a_resumption_at_an_impossible_count_ends_the_session),
        cmocka_unit_test(the_verdict_of_the_peers_session_is_believed),
        cmocka_unit_test(a_reason_that_no_session_gives_proves_nothing),
        cmocka_unit_test(without_the_name_or_the_reason_an_endpoint_proves_nothing),
        cmocka_unit_test(no_session_before_the_confirmation_opens_again_or_says_so),
        cmocka_unit_test(old_and_forged_requests_change_nothing),
        cmocka_unit_test(a_resume_at_an_impossible_count_ends_the_session),
        cmocka_unit_test(a_resume_below_what_was_acknowledged_is_stale),
        cmocka_unit_test(a_repeated_opening_is_stale_once_the_client_has_confirmed),
        cmocka_unit_test(only_the_right_confirm_of_this_attempt_opens),
        cmocka_unit_test(an_acknowledgement_above_what_the_live_connection_carried_detaches),
        cmocka_unit_test(an_acknowledgement_that_overtakes_the_resume_undoes_it),
        cmocka_unit_test(an_impossible_end_is_a_protocol_error),
        cmocka_unit_test(a_client_that_names_an_older_connection_twice_is_woken),
    };

    return cmocka_run_group_tests_name("unit/rtcp/handshake", tests, NULL, NULL);
}
