/* Connections of a session: attempts, freeze, resume (paper 3.1, 3.4; PROTOCOL.md "Freeze and resume"). Pure.
 *
 * The rules this file keeps: at most one connection of a session is readable at any moment; a count is reported only
 * while none is; only a newer authentic attempt changes anything (C1, P4, P10 to P13).
 */
#include "rtcp/session_inside.h"

static const struct base_state path_rules[] = {
    [RTCP_PATH_DETACHED] = {"detached", BASE_TO(RTCP_PATH_ATTACHED)},
    [RTCP_PATH_ATTACHED] = {"attached", BASE_TO(RTCP_PATH_DETACHED) | BASE_TO(RTCP_PATH_FROZEN)},
    [RTCP_PATH_FROZEN] = {"frozen", BASE_TO(RTCP_PATH_DETACHED) | BASE_TO(RTCP_PATH_ATTACHED)},
};

static const struct base_state try_rules[] = {
    [RTCP_TRY_REST] = {"rest", BASE_TO(RTCP_TRY_CONNECTING) | BASE_TO(RTCP_TRY_FREEZING) | BASE_TO(RTCP_TRY_ASKING)},
    [RTCP_TRY_CONNECTING] = {"connecting",
                             BASE_TO(RTCP_TRY_REST) | BASE_TO(RTCP_TRY_FREEZING) | BASE_TO(RTCP_TRY_ASKING)},
    [RTCP_TRY_FREEZING] = {"freezing", BASE_TO(RTCP_TRY_REST) | BASE_TO(RTCP_TRY_ASKING)},
    [RTCP_TRY_ASKING] = {"asking", BASE_TO(RTCP_TRY_REST)},
};

static struct base_event event(const struct rtcp_session *s, base_time now, const char *object, const char *why)
{
    struct base_event e = {.at = now, .object = object, .id = s->opt.id, .text = why};

    e.field[0].key = "attempt";
    e.field[0].value = s->attempt;
    e.field[1].key = "received";
    e.field[1].value = s->received;
    return e;
}

void rtcp_path_move(struct rtcp_session *s, base_time now, int next, const char *why)
{
    base_state_move(path_rules, &s->path, next, s->opt.trace, event(s, now, "path", why));
}

static void move_try(struct rtcp_session *s, base_time now, int next, const char *why)
{
    base_state_move(try_rules, &s->trying, next, s->opt.trace, event(s, now, "try", why));
}

/* Goes on once nothing is readable: a client asks, a server answers. */
static void proceed(struct rtcp_session *s, base_time now);

/* ------------------------------------------------------------------------------------------------ attach, lose */

void rtcp_path_attach(struct rtcp_session *s, base_time now, uint32_t attempt, uint64_t from)
{
    struct rtcp_pending *p;
    bool was_up = s->path != RTCP_PATH_DETACHED;

    CHECK(s->path != RTCP_PATH_ATTACHED); /* frozen first, or lost: never two readable connections */
    if (s->live != 0) {
        (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->live, 0);
    }
    s->live = attempt;
    rtcp_path_move(s, now, RTCP_PATH_ATTACHED, "a connection carries the session");
    s->written = from;
    s->connections++;
    s->attached_at = now;
    s->contact_at = now;
    s->eof_at = 0;
    s->mismatch_at = 0;
    s->wants_new = false;
    s->must_replace = false;
    s->wake = 0; /* a resume cancels WAKE */
    rtcp_pulse_attached(&s->pulse, now, from);
    p = rtcp_session_push(s, RTCP_EFFECT_ATTACH, attempt, 0);
    p->status = s->opt.is_client && s->opt.shared->is_set && s->connections == 1; /* CONFIRM */
    if (!was_up && s->life != RTCP_LIFE_CLOSING) {
        (void)rtcp_session_push(s, RTCP_EFFECT_LINK, 0, 1);
    }
    if (s->life != RTCP_LIFE_CLOSING) {
        s->wants_room = rtcp_outbox_room(&s->out) == 0;
        (void)rtcp_session_push(s, RTCP_EFFECT_WRITABLE, 0, 0);
    }
    s->told = s->received; /* the handshake told it */
    rtcp_control_choose(s, now);
}

void rtcp_session_routed(struct rtcp_session *s, base_time now, struct rtcp_route *route)
{
    bool is_first = s->route == NULL;

    s->route = route;
    if (is_first && s->opt.is_client && !s->is_confirmed) {
        rtcp_control_probe(s, now, false); /* confirms the session and teaches our address behind NAT */
    }
    rtcp_control_choose(s, now);
}

void rtcp_path_lose(struct rtcp_session *s, base_time now, const char *why)
{
    if (s->path == RTCP_PATH_DETACHED) {
        return;
    }
    (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->live, 0);
    rtcp_path_move(s, now, RTCP_PATH_DETACHED, why);
    s->detached_at = now;
    s->eof_at = 0;
    if (s->life != RTCP_LIFE_CLOSING) {
        (void)rtcp_session_push(s, RTCP_EFFECT_LINK, 0, 0);
    }
    if (s->opt.is_client) {
        if (s->trying == RTCP_TRY_REST) {
            rtcp_backoff_failed(&s->backoff, now, &s->rng);
        }
    } else if (rtcp_session_is_busy(s) || s->shut) {
        s->wake = s->live;
    }
    s->live = 0;
    s->mismatch_at = 0;
    if (s->trying == RTCP_TRY_FREEZING) {
        proceed(s, now); /* nothing is left to freeze */
    }
    rtcp_control_choose(s, now);
    rtcp_path_advance(s, now);
}

void rtcp_path_replace(struct rtcp_session *s, base_time now, const char *why)
{
    rtcp_session_trace(s, now, "replace", why);
    if (s->opt.is_client) {
        if (!s->wants_new && s->path == RTCP_PATH_ATTACHED && s->trying == RTCP_TRY_REST) {
            s->wants_new = true;
            rtcp_backoff_failed(&s->backoff, now, &s->rng);
        }
        rtcp_path_advance(s, now);
    } else if (s->live != 0) {
        s->wake = s->live;
        rtcp_control_choose(s, now);
    }
}

/* ------------------------------------------------------------------------------------------- a client's attempts */

static bool is_wanted(const struct rtcp_session *s)
{
    return s->opt.is_client && s->life != RTCP_LIFE_DEAD && s->trying == RTCP_TRY_REST && !s->is_complete &&
           !s->aborted && (s->path == RTCP_PATH_DETACHED || s->wants_new);
}

void rtcp_path_advance(struct rtcp_session *s, base_time now)
{
    bool is_busy = rtcp_session_is_busy(s);

    if (!is_wanted(s) || rtcp_backoff_next(&s->backoff, is_busy) > now) {
        return;
    }
    s->attempt++;
    s->try_started = now;
    s->try_deadline = now + (is_busy ? RTCP_CONNECT_BUSY : RTCP_CONNECT_IDLE);
    rtcp_backoff_started(&s->backoff, now);
    move_try(s, now, RTCP_TRY_CONNECTING, "an attempt is due");
    (void)rtcp_session_push(s, RTCP_EFFECT_CONNECT, s->attempt, 0);
}

static void ask(struct rtcp_session *s, base_time now)
{
    /* The nonce binds the answer to this attempt; the opening keeps one for idempotence (P14). */
    if (s->cid == 0) { /* also when the application has closed already */
        base_copy(s->request_nonce, s->client_nonce, RTCP_WIRE_NONCE);
    } else {
        base_put64(s->request_nonce, base_rng_next(&s->rng));
        base_put64(s->request_nonce + 8, base_rng_next(&s->rng));
    }
    s->try_started = now;
    s->try_deadline = now + (rtcp_session_is_busy(s) ? RTCP_CONNECT_BUSY : RTCP_CONNECT_IDLE);
    move_try(s, now, RTCP_TRY_ASKING, "connected and nothing is readable");
    (void)rtcp_session_push(s, RTCP_EFFECT_GREET, s->attempt, s->cid == 0 ? RTCP_WIRE_OPEN : RTCP_WIRE_RESUME);
}

void rtcp_session_connected(struct rtcp_session *s, base_time now, uint32_t attempt)
{
    if (s->life == RTCP_LIFE_DEAD || attempt != s->attempt || s->trying != RTCP_TRY_CONNECTING) {
        return;
    }
    if (s->path == RTCP_PATH_ATTACHED) {
        move_try(s, now, RTCP_TRY_FREEZING, "connected: the old connection must not be read any more");
        (void)rtcp_session_push(s, RTCP_EFFECT_FREEZE, s->live, 0);
    } else {
        ask(s, now);
    }
    rtcp_session_check(s);
}

/* Server: the count may be told now. */
static void answer(struct rtcp_session *s, base_time now)
{
    bool is_open = s->life == RTCP_LIFE_OPENING;

    (void)rtcp_session_push(s, RTCP_EFFECT_GREET, s->attempt, s->is_confirmed ? RTCP_WIRE_RESUMED : RTCP_WIRE_ACCEPT);
    if (is_open) {
        move_try(s, now, RTCP_TRY_ASKING, "answered an opening: waiting for the proof of the key");
        s->try_deadline = now + RTCP_HANDSHAKE_TOTAL;
        return;
    }
    if (s->trying != RTCP_TRY_REST) {
        move_try(s, now, RTCP_TRY_REST, "answered");
    }
    rtcp_path_attach(s, now, s->attempt, s->out.first);
}

void rtcp_session_frozen(struct rtcp_session *s, base_time now, uint32_t attempt, bool is_thawable)
{
    if (s->life == RTCP_LIFE_DEAD || s->trying != RTCP_TRY_FREEZING || attempt != s->live) {
        return;
    }
    s->is_thawable = is_thawable;
    rtcp_path_move(s, now, RTCP_PATH_FROZEN, "no reader is in it");
    proceed(s, now);
    rtcp_session_check(s);
}

/* An attempt ended without success: back to the old connection if it can be thawed (make before break, P24). */
static void give_up(struct rtcp_session *s, base_time now, const char *why)
{
    (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->attempt, 0);
    move_try(s, now, RTCP_TRY_REST, why);
    if (s->path == RTCP_PATH_FROZEN && s->is_thawable) {
        rtcp_path_move(s, now, RTCP_PATH_ATTACHED, "thawed: the attempt's count is void");
        (void)rtcp_session_push(s, RTCP_EFFECT_THAW, s->live, 0);
        if (s->wants_room && rtcp_outbox_room(&s->out) > 0 && s->life != RTCP_LIFE_CLOSING) {
            s->wants_room = false; /* acknowledged while it was frozen */
            (void)rtcp_session_push(s, RTCP_EFFECT_WRITABLE, 0, 0);
        }
    } else if (s->path == RTCP_PATH_FROZEN) {
        rtcp_path_lose(s, now, "frozen, and not to be thawed");
    }
    if (s->opt.is_client) {
        rtcp_backoff_failed(&s->backoff, now, &s->rng);
        rtcp_path_advance(s, now);
    }
}

static void proceed(struct rtcp_session *s, base_time now)
{
    if (s->opt.is_client) {
        ask(s, now);
    } else if (s->out.first > s->asked_count) {
        /* An acknowledgement overtook the RESUME: the client reads its old connection again, this attempt is dead. */
        give_up(s, now, "acknowledged beyond the count of the resume");
    } else {
        answer(s, now);
    }
}

void rtcp_session_broke(struct rtcp_session *s, base_time now, uint32_t attempt, int evidence, const char *why)
{
    if (s->life == RTCP_LIFE_DEAD) {
        return;
    }
    if (evidence >= 0) {
        rtcp_session_tell(s, evidence);
    }
    if (attempt == s->live) {
        rtcp_path_lose(s, now, why);
    } else if (attempt == s->attempt && s->trying != RTCP_TRY_REST) {
        uint32_t addresses = s->opt.addresses > 0 ? s->opt.addresses : 1;
        bool is_last_first = s->opt.is_client && s->cid == 0 && s->attempt == addresses;

        if (is_last_first && evidence == RTCP_EVIDENCE_REFUSED && !s->opt.retry_refused) {
            rtcp_closing_end(s, now, BASE_E_REFUSED, "nobody listens there");
            return;
        }
        if (!s->opt.is_client && s->life == RTCP_LIFE_OPENING) {
            s->detached_at = now;
        }
        give_up(s, now, why);
    }
    rtcp_session_check(s);
}

void rtcp_session_eof(struct rtcp_session *s, base_time now, uint32_t attempt)
{
    if (s->life == RTCP_LIFE_DEAD || attempt != s->live || s->eof_at != 0 || rtcp_session_is_at_end(s)) {
        return;
    }
    if (s->peer_shut) {
        /* The end is known and lies further on: bytes were lost with this connection (P5). */
        rtcp_path_lose(s, now, "ended before the final count");
    } else {
        s->eof_at = now;
        rtcp_control_probe(s, now, false); /* whoever has closed answers with HALF_CLOSE or CLOSE (P35) */
    }
    rtcp_session_check(s);
}

/* ------------------------------------------------------------------------------------------- answers of a server */

static bool is_answer_signed(const struct rtcp_session *s, struct base_bytes raw, const uint8_t *key, uint64_t received,
                             uint64_t sent)
{
    return rtcp_auth_is_signed(raw.data, RTCP_WIRE_ANSWER, key, received, sent, s->request_nonce);
}

static void wrong_peer(struct rtcp_session *s, base_time now, const char *why)
{
    rtcp_session_tell(s, RTCP_EVIDENCE_WRONG_PEER);
    give_up(s, now, why);
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
    if (s->life == RTCP_LIFE_OPEN) {
        rtcp_session_move_life(s, now, RTCP_LIFE_OPENING, "never confirmed, nothing delivered: open again");
    }
    give_up(s, now, "the server dropped the unconfirmed session");
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
    switch ((enum rtcp_wire_reason)a->reason) {
    case RTCP_WIRE_IS_CLOSED:
        if ((a->flags & RTCP_WIRE_CLOSED) != 0 && (final == s->received || (s->closed && final > s->received))) {
            rtcp_closing_peer_said(s, now, final, true);
            s->close_conf = true;
            rtcp_closing_advance(s, now);
            if (s->life != RTCP_LIFE_DEAD && s->trying != RTCP_TRY_REST) {
                give_up(s, now, "the session is over");
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
    give_up(s, now, "the server refuses the opening for now");
    if (is_temporary && s->trying == RTCP_TRY_REST) {
        s->backoff.next_at = base_time_max(s->backoff.next_at, now + BASE_MS(a->retry_after_ms));
    }
}

static void accepted(struct rtcp_session *s, base_time now, const struct rtcp_wire_answer *a, struct base_bytes raw)
{
    struct rtcp_auth_keys keys;
    uint64_t received = rtcp_wire_extend((uint32_t)a->received, s->opt.first_offset);

    rtcp_auth_derive(&keys, s->opt.shared, s->client_nonce, a->nonce);
    if ((s->peer_name != 0 && a->name != s->peer_name) || received + s->early_written > s->written_max ||
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
    move_try(s, now, RTCP_TRY_REST, "accepted");
    rtcp_session_acked_upto(s, now, received);
    /* Early bytes of this very connection lie behind the OPEN already; of an older one they are in `received`. */
    rtcp_path_attach(s, now, s->attempt, received + s->early_written);
    if (s->route != NULL) {
        rtcp_control_probe(s, now, false);
    }
}

static void resumed(struct rtcp_session *s, base_time now, const struct rtcp_wire_answer *a, struct base_bytes raw)
{
    uint64_t received = rtcp_wire_extend((uint32_t)a->received, s->out.first);
    uint64_t sent = rtcp_wire_extend((uint32_t)a->sent, s->received);

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
    s->close_conf = s->close_conf || s->asked_closed;
    s->half_conf = s->half_conf || s->asked_shut;
    move_try(s, now, RTCP_TRY_REST, "resumed");
    s->written = received;
    rtcp_session_acked_upto(s, now, received);
    rtcp_path_attach(s, now, s->attempt, received);
    if ((a->flags & RTCP_WIRE_SHUT) != 0) {
        rtcp_closing_peer_said(s, now, sent, (a->flags & RTCP_WIRE_CLOSED) != 0);
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

/* Freezes what is readable, then answers. */
static void take(struct rtcp_session *s, base_time now, const struct rtcp_wire_request *r)
{
    if (s->trying != RTCP_TRY_REST) {
        (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->attempt, 0);
        move_try(s, now, RTCP_TRY_REST, "overtaken by a newer attempt");
    }
    s->attempt = r->attempt;
    base_copy(s->request_nonce, r->nonce, RTCP_WIRE_NONCE);
    s->peer_ring = r->window;
    s->peer_udp_port = r->udp_port;
    if (s->path == RTCP_PATH_ATTACHED) {
        move_try(s, now, RTCP_TRY_FREEZING, "a newer attempt");
        (void)rtcp_session_push(s, RTCP_EFFECT_FREEZE, s->live, 0);
    } else {
        answer(s, now);
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
        move_try(s, now, RTCP_TRY_REST, "the client holds the key");
        rtcp_session_move_life(s, now, RTCP_LIFE_OPEN, "the client holds the key");
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
        .window = (uint32_t)s->out.ring.size,
        .client_incarnation = s->opt.incarnation,
        .name = s->peer_name,
        .server_incarnation = is_open ? 0 : s->peer_incarnation,
    };

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
    base_copy(r.nonce, s->request_nonce, RTCP_WIRE_NONCE);
    rtcp_wire_put_request(e->bytes, &r);
    e->size = RTCP_WIRE_REQUEST;
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
        .window = (uint32_t)s->out.ring.size,
        .incarnation = s->opt.incarnation,
        .name = s->opt.name,
    };

    base_copy(a.nonce, s->server_nonce, RTCP_WIRE_NONCE);
    rtcp_wire_put_answer(e->bytes, &a);
    e->size = RTCP_WIRE_ANSWER;
}

void rtcp_path_greeting(struct rtcp_session *s, struct rtcp_effect *e)
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

/* ------------------------------------------------------------------------------------------------ hints and time */

void rtcp_session_hint(struct rtcp_session *s, base_time now, int evidence)
{
    if (s->life == RTCP_LIFE_DEAD) {
        return;
    }
    if (evidence >= 0) {
        rtcp_session_tell(s, evidence);
    }
    if (!s->opt.is_client || s->is_complete || s->aborted) {
        return;
    }
    if (s->path == RTCP_PATH_ATTACHED && s->trying == RTCP_TRY_REST && evidence == RTCP_EVIDENCE_UNKNOWN) {
        s->must_replace = true;
        rtcp_path_replace(s, now, "the peer's endpoint does not know the session");
        return;
    }
    if (s->trying == RTCP_TRY_REST) {
        if (s->path == RTCP_PATH_DETACHED && rtcp_backoff_hinted(&s->backoff, now)) {
            rtcp_path_advance(s, now);
        }
    } else if (s->trying != RTCP_TRY_FREEZING && evidence != RTCP_EVIDENCE_REFUSED) {
        /* Still waiting for the SYN-ACK or the answer, while a datagram got through: begin anew (once a second). */
        base_time waited = base_time_since(now, s->try_started);
        base_time least = s->trying == RTCP_TRY_CONNECTING ? RTCP_PROBE_SECOND : RTCP_HINT_GAP;

        if (waited >= least && s->route != NULL && waited >= rtcp_route_wait(s->route, 3, least) &&
            now >= s->backoff.hinted_at + RTCP_HINT_GAP) {
            s->backoff.hinted_at = now;
            rtcp_backoff_progressed(&s->backoff);
            give_up(s, now, "a datagram got through while the attempt waited");
        }
    }
    rtcp_session_check(s);
}

void rtcp_path_expire(struct rtcp_session *s, base_time now)
{
    if ((s->trying == RTCP_TRY_CONNECTING || s->trying == RTCP_TRY_ASKING) && now >= s->try_deadline) {
        rtcp_session_tell(s, RTCP_EVIDENCE_SILENT);
        if (!s->opt.is_client && s->life == RTCP_LIFE_OPENING) {
            s->detached_at = now;
        }
        give_up(s, now, "deadline");
    }
    if (s->eof_at != 0 && now >= s->eof_at + rtcp_route_wait(s->route, 2, RTCP_EOF_WAIT)) {
        rtcp_path_lose(s, now, "ended without a close");
    }
    if (s->full_since != 0 && s->path == RTCP_PATH_ATTACHED && s->trying == RTCP_TRY_REST &&
        now >= base_time_max(base_time_max(s->heard_at, s->attached_at), s->full_since) + RTCP_FULL_SILENCE) {
        /* No acknowledgement gets through: the next handshake is one (design 2.5). */
        if (s->opt.is_client) {
            rtcp_path_replace(s, now, "the ring is full and nothing is heard");
        } else {
            rtcp_path_lose(s, now, "the ring is full and nothing is heard");
        }
    }
    rtcp_path_advance(s, now);
}

base_time rtcp_path_deadline(const struct rtcp_session *s)
{
    base_time at = BASE_NEVER;

    if (s->trying == RTCP_TRY_CONNECTING || s->trying == RTCP_TRY_ASKING) {
        at = s->try_deadline;
    }
    if (is_wanted(s)) {
        at = base_time_min(at, rtcp_backoff_next(&s->backoff, rtcp_session_is_busy(s)));
    }
    if (s->eof_at != 0) {
        at = base_time_min(at, s->eof_at + rtcp_route_wait(s->route, 2, RTCP_EOF_WAIT));
    }
    if (s->full_since != 0 && s->path == RTCP_PATH_ATTACHED && s->trying == RTCP_TRY_REST && !s->wants_new) {
        at = base_time_min(at, base_time_max(base_time_max(s->heard_at, s->attached_at), s->full_since) +
                                   RTCP_FULL_SILENCE);
    }
    return at;
}
