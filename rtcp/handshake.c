/* The handshakes of a session: what a client reads in answers, what a server makes of requests, and what both write
 * (PROTOCOL.md "Opening", "Refusing", "Freeze and resume"). Pure.
 *
 * The rules this file keeps: nothing is believed before its tag is checked with the full counts; a session ends by an
 * answer only under its own key, or on proof that the peer process is gone (design 2.3); a stale or forged request
 * changes nothing (P10, P11).
 */
#include "rtcp/session_inside.h"

/* ------------------------------------------------------------------------------------------- answers of a server */

static bool is_answer_signed(const struct rtcp_session *s, struct base_bytes raw, const uint8_t *key, uint64_t received,
                             uint64_t sent)
{
    return rtcp_auth_is_signed(raw.data, RTCP_WIRE_ANSWER, key, received, sent, s->request_nonce);
}

static void wrong_peer(struct rtcp_session *s, base_time now, const char *why)
{
    rtcp_session_tell(s, RTCP_EVIDENCE_WRONG_PEER);
    rtcp_path_give_up(s, now, why);
}

/* Opens again with a new nonce: nothing was delivered either way, so nobody can tell. */
static void reopen(struct rtcp_session *s, base_time now)
{
    rtcp_path_lose(s, now, "the server dropped the unconfirmed session");
    base_put64(s->client_nonce, base_rng_next(&s->rng) ^ base_get64(s->client_nonce));
    base_put64(s->client_nonce + 8, base_rng_next(&s->rng) ^ base_get64(s->client_nonce + 8));
    s->cid = 0;
    s->written = s->written_max = s->opt.first_offset;
    s->early_written = 0;
    s->early_spent = true;
    s->is_confirmed = false;
    s->connections = 0;
    rtcp_control_choose(s, now); /* nothing: there is nobody to be told */
    if (s->life == RTCP_LIFE_OPEN) {
        rtcp_session_move_life(s, now, RTCP_LIFE_OPENING, "never confirmed, nothing delivered: open again");
    }
    rtcp_path_give_up(s, now, "the server dropped the unconfirmed session");
}

static void never_confirmed(struct rtcp_session *s, base_time now, uint64_t server_received)
{
    bool is_virgin = s->out.first == s->opt.first_offset && s->received == s->opt.first_offset &&
                     server_received == s->opt.first_offset;

    if (is_virgin) {
        reopen(s, now);
    } else {
        rtcp_closing_end(s, now, BASE_E_NEVER_CONFIRMED, "the server dropped the unconfirmed session");
    }
}

/* A REFUSE under the session's key: the verdict of the peer's session (design 2.3 a). */
static void verdict(struct rtcp_session *s, base_time now, const struct rtcp_wire_answer *a, uint64_t received)
{
    uint64_t final = rtcp_wire_extend((uint32_t)a->sent, s->received);

    if (received > s->out.first && received <= s->written_max) {
        rtcp_session_acked_upto(s, now, received);
    }
    if (s->is_complete) {
        rtcp_closing_over(s, now);
        return;
    }
    switch ((enum rtcp_wire_reason)a->reason) {
    case RTCP_WIRE_IS_CLOSED:
        if ((a->flags & RTCP_WIRE_CLOSED) != 0 && (final == s->received || (s->closed && final > s->received))) {
            rtcp_closing_peer_said(s, now, final, true);
            s->close_conf = true;
            rtcp_closing_advance(s, now);
            if (s->life != RTCP_LIFE_DEAD && s->trying != RTCP_TRY_REST) {
                rtcp_path_give_up(s, now, "the session is over");
            }
        } else {
            rtcp_closing_end(s, now, BASE_E_RESET, "the peer closed without sending everything");
        }
        return;
    case RTCP_WIRE_IS_RESET:
        rtcp_closing_end(s, now, BASE_E_RESET, "the peer's application aborted");
        return;
    case RTCP_WIRE_UNCONFIRMED:
        never_confirmed(s, now, received);
        return;
    case RTCP_WIRE_BAD_COUNT:
        rtcp_closing_end(s, now, BASE_E_PROTOCOL, "the peer calls our count impossible");
        return;
    case RTCP_WIRE_FINE:
    case RTCP_WIRE_NOT_LISTENING:
    case RTCP_WIRE_FULL:
    case RTCP_WIRE_WRONG_NAME:
    case RTCP_WIRE_BAD_KEY:
    case RTCP_WIRE_NO_SESSION:
    case RTCP_WIRE_BAD_VERSION:
    case RTCP_WIRE_NOT_HERE:
        break;
    }
    wrong_peer(s, now, "refused");
}

/* A REFUSE that no session signed: only an endpoint with the right name (and key) proves anything (2.3 b, c). */
static void proof(struct rtcp_session *s, base_time now, const struct rtcp_wire_answer *a)
{
    if (a->reason != RTCP_WIRE_NO_SESSION || a->name != s->peer_name) {
        wrong_peer(s, now, "refused by somebody else");
    } else if (s->is_complete) {
        rtcp_closing_over(s, now);
    } else if (a->incarnation != s->peer_incarnation) {
        (void)rtcp_session_push(s, RTCP_EFFECT_PEER_GONE, 0, 0);
        rtcp_closing_end(s, now, BASE_E_PEER_GONE, "the same service lives on as another process");
    } else if (!s->is_confirmed) {
        never_confirmed(s, now, s->written_max);
    } else {
        rtcp_closing_end(s, now, BASE_E_PEER_FORGOT, "the peer closed and forgot this session");
    }
}

static void refused_opening(struct rtcp_session *s, base_time now, const struct rtcp_wire_answer *a)
{
    bool is_temporary = (a->flags & RTCP_WIRE_TEMPORARY) != 0;

    rtcp_session_tell(s, a->reason == RTCP_WIRE_WRONG_NAME || a->reason == RTCP_WIRE_BAD_KEY ? RTCP_EVIDENCE_WRONG_PEER
                                                                                             : RTCP_EVIDENCE_REFUSED);
    if (!is_temporary && !s->opt.retry_refused) {
        rtcp_closing_end(s, now, BASE_E_REFUSED, "the server refuses the opening for good");
        return;
    }
    if (is_temporary) {
        rtcp_backoff_asked(&s->backoff, now, BASE_MS(a->retry_after_ms));
    }
    rtcp_path_give_up(s, now, "the server refuses the opening for now");
}

static void accepted(struct rtcp_session *s, base_time now, const struct rtcp_wire_answer *a, struct base_bytes raw)
{
    struct rtcp_auth_keys keys;
    uint64_t received = rtcp_wire_extend((uint32_t)a->received, s->opt.first_offset);

    rtcp_auth_derive(&keys, s->opt.shared, s->client_nonce, a->nonce);
    if ((s->peer_name != 0 && a->name != s->peer_name) || received < s->out.first ||
        received + s->early_written > s->written_max ||
        !is_answer_signed(s, raw, keys.handshake_down, received,
                          rtcp_wire_extend((uint32_t)a->sent, s->opt.first_offset))) {
        wrong_peer(s, now, "the acceptance is not authentic");
        return;
    }
    s->keys = keys;
    base_copy(s->server_nonce, a->nonce, RTCP_WIRE_NONCE);
    s->cid = a->cid;
    s->peer_id = a->control_id;
    s->peer_incarnation = a->incarnation;
    s->peer_name = a->name;
    s->peer_ring = a->window;
    s->peer_udp_port = a->udp_port;
    if (s->life == RTCP_LIFE_OPENING) {
        rtcp_session_move_life(s, now, RTCP_LIFE_OPEN, "accepted");
    }
    rtcp_path_move_try(s, now, RTCP_TRY_REST, "accepted");
    rtcp_session_acked_upto(s, now, received);
    /* Early bytes of this very connection lie behind the OPEN already; of an older one they are in `received`. */
    rtcp_path_attach(s, now, s->attempt, received + s->early_written);
}

static void resumed(struct rtcp_session *s, base_time now, const struct rtcp_wire_answer *a, struct base_bytes raw)
{
    uint64_t received = rtcp_wire_extend((uint32_t)a->received, s->out.first);
    uint64_t sent = rtcp_wire_extend((uint32_t)a->sent, s->received);
    bool is_closed = (a->flags & RTCP_WIRE_CLOSED) != 0;
    bool is_news = is_closed && !s->peer_closed;

    if (a->cid != s->cid || !is_answer_signed(s, raw, s->keys.handshake_down, received, sent)) {
        wrong_peer(s, now, "the answer is not authentic");
        return;
    }
    if (received < s->out.first || received > s->written_max) {
        rtcp_closing_end(s, now, BASE_E_PROTOCOL, "the peer resumed at an impossible count");
        return;
    }
    s->is_confirmed = true;
    s->peer_ring = a->window;
    s->peer_udp_port = a->udp_port;
    s->heard_at = now;
    s->close_conf = s->close_conf || (s->asked_closed && !is_news); /* else the server waits to hear that we know */
    s->half_conf = s->half_conf || s->asked_shut;
    rtcp_path_move_try(s, now, RTCP_TRY_REST, "resumed");
    s->written = received;
    rtcp_session_acked_upto(s, now, received);
    rtcp_path_attach(s, now, s->attempt, received);
    if ((a->flags & RTCP_WIRE_SHUT) != 0) {
        s->is_told_by_answer = s->is_told_by_answer || is_news;
        rtcp_closing_peer_said(s, now, sent, is_closed);
    }
    rtcp_closing_advance(s, now);
}

static void refused(struct rtcp_session *s, base_time now, const struct rtcp_wire_answer *a, struct base_bytes raw)
{
    uint64_t received = rtcp_wire_extend((uint32_t)a->received, s->out.first);
    uint64_t sent = rtcp_wire_extend((uint32_t)a->sent, s->received);

    if (s->cid == 0) {
        /* The session of a lost acceptance may be over: its last word is under a key that the nonce in it gives. */
        rtcp_auth_derive(&s->keys, s->opt.shared, s->client_nonce, a->nonce);
    }
    if (is_answer_signed(s, raw, s->keys.handshake_down, received, sent)) {
        verdict(s, now, a, received);
    } else if (s->cid == 0) {
        refused_opening(s, now, a);
    } else if (is_answer_signed(s, raw, s->opt.shared->key, 0, 0)) {
        proof(s, now, a);
    } else {
        wrong_peer(s, now, "a refusal that nobody signed");
    }
}

void rtcp_session_answered(struct rtcp_session *s, base_time now, uint32_t attempt, struct base_bytes raw)
{
    struct rtcp_wire_answer a;
    bool is_opening = s->cid == 0;

    if (s->life == RTCP_LIFE_DEAD || attempt != s->attempt || s->trying != RTCP_TRY_ASKING) {
        return;
    }
    if (rtcp_wire_get_answer(raw, &a) < 0 || a.attempt != s->attempt) {
        wrong_peer(s, now, "not an answer of this protocol");
    } else if (a.kind == RTCP_WIRE_REFUSE) {
        refused(s, now, &a, raw);
    } else if (a.kind == (is_opening ? RTCP_WIRE_ACCEPT : RTCP_WIRE_RESUMED)) {
        if (is_opening) {
            accepted(s, now, &a, raw);
        } else {
            resumed(s, now, &a, raw);
        }
    } else {
        wrong_peer(s, now, "an answer to another question");
    }
    rtcp_session_check(s);
}

/* ------------------------------------------------------------------------------------------------ a server is asked */

static bool is_request_signed(const struct rtcp_session *s, const struct rtcp_wire_request *r, struct base_bytes raw,
                              uint64_t received, uint64_t sent)
{
    const uint8_t *key = r->kind == RTCP_WIRE_OPEN ? s->opt.shared->key : s->keys.handshake_up;

    return rtcp_auth_is_signed(raw.data, RTCP_WIRE_REQUEST, key, received, sent, NULL);
}

/* An older attempt whose answer still waits is over: it must not be answered any more, whatever comes of this one. */
static void overtake(struct rtcp_session *s, base_time now)
{
    if (s->trying != RTCP_TRY_REST) {
        (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->attempt, 0);
        rtcp_path_move_try(s, now, RTCP_TRY_REST, "overtaken by a newer attempt");
    }
}

/* Freezes what is readable, then answers. */
static void take(struct rtcp_session *s, base_time now, const struct rtcp_wire_request *r)
{
    s->attempt = r->attempt;
    base_copy(s->request_nonce, r->nonce, RTCP_WIRE_NONCE);
    s->peer_ring = r->window;
    s->peer_udp_port = r->udp_port;
    if (s->path == RTCP_PATH_ATTACHED) {
        rtcp_path_move_try(s, now, RTCP_TRY_FREEZING, "a newer attempt");
        (void)rtcp_session_push(s, RTCP_EFFECT_FREEZE, s->live, 0);
    } else {
        rtcp_path_answer(s, now);
    }
}

enum rtcp_asked rtcp_session_asked(struct rtcp_session *s, base_time now, const struct rtcp_wire_request *request,
                                   struct base_bytes raw, uint8_t *ret_reason)
{
    bool is_open = request->kind == RTCP_WIRE_OPEN;
    uint64_t received = rtcp_wire_extend((uint32_t)request->received, s->out.first);
    uint64_t sent = rtcp_wire_extend((uint32_t)request->sent, s->received);

    if (s->life == RTCP_LIFE_DEAD || request->attempt <= s->attempt) {
        return RTCP_ASKED_STALE;
    }
    if (!is_request_signed(s, request, raw, is_open ? 0 : received, is_open ? 0 : sent)) {
        return RTCP_ASKED_FORGED;
    }
    if (s->aborted) {
        *ret_reason = RTCP_WIRE_IS_RESET; /* never an answer that looks like an end (P5) */
        return RTCP_ASKED_REFUSED;
    }
    if (is_open) {
        if (s->is_confirmed) {
            return RTCP_ASKED_STALE; /* the client has answered the acceptance: this is a voice from before */
        }
        s->asked_count = s->out.first;
        overtake(s, now);
        take(s, now, request);
        rtcp_session_check(s);
        return RTCP_ASKED_TAKEN;
    }
    if (received < s->out.first) {
        return RTCP_ASKED_STALE; /* it was written before an acknowledgement that overtook it: also from before */
    }
    if (received > s->written_max) {
        *ret_reason = RTCP_WIRE_BAD_COUNT;
        rtcp_closing_end(s, now, BASE_E_PROTOCOL, "the peer resumed at an impossible count");
        return RTCP_ASKED_REFUSED;
    }
    s->is_confirmed = true;
    s->heard_at = now;
    if (s->life == RTCP_LIFE_OPENING) {
        rtcp_session_move_life(s, now, RTCP_LIFE_OPEN, "confirmed by a resume");
        s->was_accepted = true;
        (void)rtcp_session_push(s, RTCP_EFFECT_ACCEPTED, 0, 0);
    }
    overtake(s, now);
    if (s->written < received) {
        s->written = received;
    }
    rtcp_session_acked_upto(s, now, received);
    s->asked_count = received;
    if ((request->flags & RTCP_WIRE_SHUT) != 0) {
        rtcp_closing_peer_said(s, now, sent, (request->flags & RTCP_WIRE_CLOSED) != 0);
    }
    if (s->life != RTCP_LIFE_DEAD) {
        take(s, now, request);
        s->close_conf = s->close_conf || (s->is_complete && (request->flags & RTCP_WIRE_HEARD) != 0);
        rtcp_closing_advance(s, now);
    }
    rtcp_session_check(s);
    return RTCP_ASKED_TAKEN;
}

int rtcp_session_confirmed(struct rtcp_session *s, base_time now, uint32_t attempt,
                           const uint8_t tag[RTCP_WIRE_CONFIRM])
{
    uint8_t right[RTCP_WIRE_TAG];

    rtcp_auth_confirm(right, &s->keys, s->server_nonce);
    if (!rtcp_auth_equal(right, tag, sizeof right)) {
        return BASE_E_PROTOCOL;
    }
    if (s->life == RTCP_LIFE_DEAD || attempt != s->attempt) {
        return 0;
    }
    s->is_confirmed = true;
    if (s->trying == RTCP_TRY_ASKING) {
        rtcp_path_move_try(s, now, RTCP_TRY_REST, "the client holds the key");
        if (s->life == RTCP_LIFE_OPENING) { /* else it was closed meanwhile: by rtcp_drain */
            rtcp_session_move_life(s, now, RTCP_LIFE_OPEN, "the client holds the key");
        }
        rtcp_path_attach(s, now, attempt, s->out.first);
        if (!s->was_accepted) {
            s->was_accepted = true;
            (void)rtcp_session_push(s, RTCP_EFFECT_ACCEPTED, 0, 0);
        }
    }
    rtcp_session_check(s);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ greetings */

static void greet_request(struct rtcp_session *s, struct rtcp_effect *e)
{
    bool is_open = s->cid == 0;
    struct rtcp_wire_request r = {
        .kind = is_open ? RTCP_WIRE_OPEN : RTCP_WIRE_RESUME,
        .flags = (uint16_t)((s->shut ? RTCP_WIRE_SHUT : 0) | (rtcp_closing_is_said(s) ? RTCP_WIRE_CLOSED : 0)),
        .key_id = s->opt.shared->id,
        .cid = s->cid,
        .control_id = s->opt.id,
        .attempt = s->attempt,
        .received = is_open ? 0 : s->received,
        .sent = is_open ? 0 : s->out.upto,
        .window = rtcp_session_window(s),
        .client_incarnation = s->opt.incarnation,
        .name = s->peer_name,
        .server_incarnation = is_open ? 0 : s->peer_incarnation,
    };

    if (s->is_complete) {
        r.flags |= RTCP_WIRE_HEARD;
    }
    s->asked_shut = !is_open && s->shut;
    s->asked_closed = !is_open && rtcp_closing_is_said(s);
    if (is_open) {
        r.flags = 0;
        s->early_written = 0;
        if (s->opt.may_send_early && !s->early_spent) {
            struct base_bytes early = rtcp_outbox_from(&s->out, s->out.first);

            e->early = (uint32_t)(early.size < RTCP_EARLY_MAX ? early.size : RTCP_EARLY_MAX);
            r.early = e->early;
        }
        s->early_spent = true;
    }
    s->told_ring = r.window;
    base_copy(r.nonce, s->request_nonce, RTCP_WIRE_NONCE);
    rtcp_wire_put_request(e->bytes, &r);
    e->size = RTCP_WIRE_REQUEST;
}

void rtcp_session_control_request(const struct rtcp_session *s, uint8_t nonce[RTCP_WIRE_NONCE],
                                  uint8_t out[RTCP_WIRE_REQUEST])
{
    const struct rtcp_auth_asked asked = {s->cid, 1, s->peer_name, s->peer_incarnation};
    struct rtcp_wire_request r = {
        .kind = RTCP_WIRE_CONTROL,
        .key_id = s->opt.shared->id,
        .cid = s->cid,
        .control_id = s->opt.id,
        .attempt = 1,
        .client_incarnation = s->opt.incarnation,
        .name = s->peer_name,
        .server_incarnation = s->peer_incarnation,
    };

    rtcp_auth_prove(nonce, s->opt.shared, &asked);
    base_copy(r.nonce, nonce, RTCP_WIRE_NONCE);
    rtcp_wire_put_request(out, &r);
    rtcp_auth_sign(out, RTCP_WIRE_REQUEST, s->keys.handshake_up, 0, 0, NULL);
}

bool rtcp_session_is_control_answer(const struct rtcp_session *s, const uint8_t nonce[RTCP_WIRE_NONCE],
                                    struct base_bytes raw)
{
    struct rtcp_wire_answer a;

    return rtcp_wire_get_answer(raw, &a) == 0 && a.kind == RTCP_WIRE_ACCEPT && a.cid == s->cid &&
           a.incarnation == s->peer_incarnation &&
           rtcp_auth_is_signed(raw.data, RTCP_WIRE_ANSWER, s->keys.handshake_down, 0, 0, nonce);
}

static void greet_answer(struct rtcp_session *s, struct rtcp_effect *e)
{
    struct rtcp_wire_answer a = {
        .kind = (uint8_t)e->status,
        .flags = (uint8_t)((s->shut ? RTCP_WIRE_SHUT : 0) | (rtcp_closing_is_said(s) ? RTCP_WIRE_CLOSED : 0)),
        .version_min = RTCP_WIRE_VERSION,
        .version_max = RTCP_WIRE_VERSION,
        .cid = s->cid,
        .control_id = s->opt.id,
        .attempt = s->attempt,
        .received = s->received,
        .sent = s->out.upto,
        .window = rtcp_session_window(s),
        .incarnation = s->opt.incarnation,
        .name = s->opt.name,
    };

    s->told_ring = a.window;
    base_copy(a.nonce, s->server_nonce, RTCP_WIRE_NONCE);
    rtcp_wire_put_answer(e->bytes, &a);
    e->size = RTCP_WIRE_ANSWER;
}

void rtcp_handshake_greeting(struct rtcp_session *s, struct rtcp_effect *e)
{
    if (s->opt.is_client) {
        greet_request(s, e);
    } else {
        greet_answer(s, e);
    }
}

void rtcp_session_sign(const struct rtcp_session *s, struct rtcp_effect *e, uint16_t udp_port)
{
    bool is_open = s->opt.is_client && s->cid == 0;
    size_t port_at = RTCP_WIRE_PREFIX + (s->opt.is_client ? 2 : 4);

    base_put16(e->bytes + port_at, udp_port);
    if (is_open) {
        rtcp_auth_sign(e->bytes, e->size, s->opt.shared->key, 0, 0, NULL);
    } else if (s->opt.is_client) {
        rtcp_auth_sign(e->bytes, e->size, s->keys.handshake_up, s->received, s->out.upto, NULL);
    } else {
        rtcp_auth_sign(e->bytes, e->size, s->keys.handshake_down, s->received, s->out.upto, s->request_nonce);
    }
}
