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

void rtcp_path_move_try(struct rtcp_session *s, base_time now, int next, const char *why)
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
    bool was_woken = s->woken == attempt;

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
    s->tells_again = false;
    s->wake = 0; /* a resume cancels WAKE */
    s->woken = 0;
    rtcp_passive_attached(s, now);
    rtcp_pulse_attached(&s->pulse, now, from);
    p = rtcp_session_push(s, RTCP_EFFECT_ATTACH, attempt, 0);
    p->status = s->opt.is_client && s->opt.shared->is_set && s->connections == 1; /* CONFIRM */
    if (!was_up && s->life != RTCP_LIFE_CLOSING) {
        (void)rtcp_session_push(s, RTCP_EFFECT_LINK, 0, 1);
    }
    if (s->life != RTCP_LIFE_CLOSING) {
        s->wants_room = rtcp_outbox_room(&s->out) == 0;
        if (!s->wants_room) {
            (void)rtcp_session_push(s, RTCP_EFFECT_WRITABLE, 0, 0);
        }
    }
    s->told = s->received; /* the handshake told it */
    rtcp_control_choose(s, now);
    if (was_woken) {
        s->must_replace = true;
        rtcp_path_replace(s, now, "the server asked for another connection before this one was known");
    }
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
        if (s->trying == RTCP_TRY_REST && !s->is_passive) {
            rtcp_backoff_failed(&s->backoff, now, &s->rng);
        }
    } else if (rtcp_session_is_busy(s) || s->shut) {
        s->wake = s->live;
    } else {
        s->is_passive = s->let_go == s->live && s->life == RTCP_LIFE_OPEN && !s->peer_shut;
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
    return s->opt.is_client && s->life != RTCP_LIFE_DEAD && s->trying == RTCP_TRY_REST &&
           (!s->is_complete || s->tells_again) && !s->aborted &&
           (s->path == RTCP_PATH_DETACHED ? !s->is_passive || s->is_doubtful : s->wants_new);
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
    rtcp_path_move_try(s, now, RTCP_TRY_CONNECTING, "an attempt is due");
    (void)rtcp_session_push(s, RTCP_EFFECT_CONNECT, s->attempt, 0);
}

static void ask(struct rtcp_session *s, base_time now)
{
    const struct rtcp_auth_asked asked = {s->cid, s->attempt, s->peer_name, s->peer_incarnation};

    /* The nonce binds the answer to this attempt; the opening keeps one for idempotence (P14). */
    if (s->cid == 0) { /* also when the application has closed already */
        base_copy(s->request_nonce, s->client_nonce, RTCP_WIRE_NONCE);
    } else {
        base_put64(s->request_nonce, base_rng_next(&s->rng));
        base_put64(s->request_nonce + 8, base_rng_next(&s->rng));
        rtcp_auth_prove(s->request_nonce, s->opt.shared, &asked);
    }
    s->try_started = now;
    s->try_deadline = now + (rtcp_session_is_busy(s) ? RTCP_CONNECT_BUSY : RTCP_CONNECT_IDLE);
    rtcp_path_move_try(s, now, RTCP_TRY_ASKING, "connected and nothing is readable");
    (void)rtcp_session_push(s, RTCP_EFFECT_GREET, s->attempt, s->cid == 0 ? RTCP_WIRE_OPEN : RTCP_WIRE_RESUME);
}

void rtcp_session_connected(struct rtcp_session *s, base_time now, uint32_t attempt)
{
    if (s->life == RTCP_LIFE_DEAD || attempt != s->attempt || s->trying != RTCP_TRY_CONNECTING) {
        return;
    }
    if (s->path == RTCP_PATH_ATTACHED) {
        rtcp_path_move_try(s, now, RTCP_TRY_FREEZING, "connected: the old connection must not be read any more");
        (void)rtcp_session_push(s, RTCP_EFFECT_FREEZE, s->live, 0);
    } else {
        ask(s, now);
    }
    rtcp_session_check(s);
}

/* Server: the count may be told now. */
void rtcp_path_answer(struct rtcp_session *s, base_time now)
{
    bool is_open = s->life == RTCP_LIFE_OPENING;

    (void)rtcp_session_push(s, RTCP_EFFECT_GREET, s->attempt, s->is_confirmed ? RTCP_WIRE_RESUMED : RTCP_WIRE_ACCEPT);
    if (is_open) {
        rtcp_path_move_try(s, now, RTCP_TRY_ASKING, "answered an opening: waiting for the proof of the key");
        s->try_deadline = now + RTCP_HANDSHAKE_TOTAL;
        return;
    }
    if (s->trying != RTCP_TRY_REST) {
        rtcp_path_move_try(s, now, RTCP_TRY_REST, "answered");
    }
    rtcp_path_attach(s, now, s->attempt, s->out.first);
}

void rtcp_session_frozen(struct rtcp_session *s, base_time now, uint32_t attempt, bool is_thawable)
{
    if (s->life == RTCP_LIFE_DEAD || attempt != s->live || s->path != RTCP_PATH_ATTACHED) {
        return;
    }
    if (s->trying != RTCP_TRY_FREEZING) { /* the attempt it was for ended before */
        if (is_thawable) {
            (void)rtcp_session_push(s, RTCP_EFFECT_THAW, s->live, 0);
        } else {
            rtcp_path_lose(s, now, "frozen for nothing, and not to be thawed");
        }
        rtcp_session_check(s);
        return;
    }
    s->is_thawable = is_thawable;
    rtcp_path_move(s, now, RTCP_PATH_FROZEN, "no reader is in it");
    proceed(s, now);
    rtcp_session_check(s);
}

/* An attempt ended without success: back to the old connection if it can be thawed (make before break, P24). */
void rtcp_path_give_up(struct rtcp_session *s, base_time now, const char *why)
{
    (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->attempt, 0);
    rtcp_path_move_try(s, now, RTCP_TRY_REST, why);
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
        rtcp_path_give_up(s, now, "acknowledged beyond the count of the resume");
    } else {
        rtcp_path_answer(s, now);
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
        rtcp_path_give_up(s, now, why);
    }
    rtcp_session_check(s);
}

void rtcp_session_eof(struct rtcp_session *s, base_time now, uint32_t attempt)
{
    if (s->life == RTCP_LIFE_DEAD || attempt != s->live || s->eof_at != 0 || rtcp_session_is_at_end(s)) {
        return;
    }
    if (s->peer_shut && s->closed) {
        return; /* nobody reads what is missing, and what we still send goes the other way */
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

int rtcp_session_replace(struct rtcp_session *s, base_time now)
{
    if (s->life == RTCP_LIFE_DEAD || s->aborted || s->is_complete) {
        return BASE_E_CLOSED;
    }
    rtcp_passive_used(s, now);
    if (s->path == RTCP_PATH_ATTACHED) {
        s->must_replace = true; /* bytes on the move do not take this wish away */
        rtcp_path_replace(s, now, "the application asks for another connection");
    } else if (!s->opt.is_client && s->wake == 0 && s->attempt != 0) {
        s->wake = s->attempt;
        rtcp_control_choose(s, now);
    }
    if (s->opt.is_client && rtcp_backoff_hinted(&s->backoff, now)) {
        rtcp_path_advance(s, now);
    }
    rtcp_session_check(s);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ hints and time */

void rtcp_session_doubt(struct rtcp_session *s, base_time now)
{
    bool is_carried = s->path == RTCP_PATH_ATTACHED && s->trying == RTCP_TRY_REST && !s->wants_new;
    base_time heard = base_time_max(s->heard_at, s->attached_at);

    if (s->route != NULL) {
        heard = base_time_max(heard, s->route->heard_at);
    }
    if (s->life == RTCP_LIFE_DEAD || !s->opt.is_client || s->aborted || !is_carried || now < heard + RTCP_DOUBT) {
        return;
    }
    rtcp_path_replace(s, now, "nothing is heard, and its server's address knows nothing of it");
    rtcp_session_check(s);
}

void rtcp_session_hint(struct rtcp_session *s, base_time now, int evidence)
{
    if (s->life == RTCP_LIFE_DEAD) {
        return;
    }
    if (evidence >= 0) {
        rtcp_session_tell(s, evidence);
    }
    if (!s->opt.is_client || (s->is_complete && !s->tells_again) || s->aborted) {
        return;
    }
    if (s->path == RTCP_PATH_ATTACHED && s->trying == RTCP_TRY_REST && evidence == RTCP_EVIDENCE_UNKNOWN) {
        s->must_replace = true;
        rtcp_path_replace(s, now, "the peer's endpoint does not know the session");
        return;
    }
    if (s->is_passive && (evidence == RTCP_EVIDENCE_UNKNOWN || evidence == RTCP_EVIDENCE_REFUSED)) {
        s->is_doubtful = true; /* the answer of a connection is a proof */
    }
    if (s->trying == RTCP_TRY_REST) {
        if ((s->path == RTCP_PATH_DETACHED || s->wants_new) && rtcp_backoff_hinted(&s->backoff, now)) {
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
            rtcp_path_give_up(s, now, "a datagram got through while the attempt waited");
        }
    }
    rtcp_session_check(s);
}

void rtcp_session_network_changed(struct rtcp_session *s, base_time now)
{
    bool is_asked = s->route != NULL && now < s->route->asked_at + RTCP_HINT_GAP;

    if (s->life == RTCP_LIFE_DEAD) {
        return;
    }
    if (s->path == RTCP_PATH_ATTACHED && !s->is_complete && !s->aborted && (rtcp_session_is_busy(s) || !is_asked)) {
        rtcp_control_probe(s, now, false); /* one idle session asks for all of its route */
    }
    if (s->opt.is_client && (!s->is_complete || s->tells_again) && !s->aborted) {
        if (s->trying == RTCP_TRY_REST) {
            if ((s->path == RTCP_PATH_DETACHED || s->wants_new) && rtcp_backoff_hinted(&s->backoff, now)) {
                rtcp_path_advance(s, now);
            }
        } else if (s->trying == RTCP_TRY_CONNECTING && now >= s->try_started + RTCP_PROBE_SECOND &&
                   now >= s->backoff.hinted_at + RTCP_HINT_GAP) {
            s->backoff.hinted_at = now;
            rtcp_backoff_progressed(&s->backoff);
            rtcp_path_give_up(s, now, "the network changed while the attempt waited");
        }
    }
    rtcp_session_check(s);
}

/* Client: where no datagram gets through only a RESUME confirms the session; once per session. */
static base_time unheard_due(const struct rtcp_session *s)
{
    bool is_unheard = s->opt.is_client && !s->is_confirmed && !s->was_unheard && s->path == RTCP_PATH_ATTACHED &&
                      s->trying == RTCP_TRY_REST && !s->wants_new;

    return is_unheard ? s->attached_at + RTCP_UNHEARD : BASE_NEVER;
}

void rtcp_path_expire(struct rtcp_session *s, base_time now)
{
    if ((s->trying == RTCP_TRY_CONNECTING || s->trying == RTCP_TRY_ASKING) && now >= s->try_deadline) {
        rtcp_session_tell(s, RTCP_EVIDENCE_SILENT);
        if (!s->opt.is_client && s->life == RTCP_LIFE_OPENING) {
            s->detached_at = now;
        }
        rtcp_path_give_up(s, now, "deadline");
    }
    if (s->eof_at != 0 && now >= s->eof_at + rtcp_route_wait(s->route, 2, RTCP_EOF_WAIT)) {
        rtcp_path_lose(s, now, "ended without a close");
    }
    if (now >= unheard_due(s)) {
        s->was_unheard = true;
        s->must_replace = true;
        rtcp_path_replace(s, now, "no probe was ever answered: a resume confirms");
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
    at = base_time_min(at, unheard_due(s));
    if (s->full_since != 0 && s->path == RTCP_PATH_ATTACHED && s->trying == RTCP_TRY_REST && !s->wants_new) {
        at = base_time_min(at, base_time_max(base_time_max(s->heard_at, s->attached_at), s->full_since) +
                                   RTCP_FULL_SILENCE);
    }
    return at;
}
