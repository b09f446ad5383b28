/* The end of a session: shutdown, close, and everything the peer says about its end (paper 3.3; PROTOCOL.md "Closing").
 * Pure.
 *
 * A CLOSE means: I will read no byte beyond `received`, and I have sent `final`. It is said when the application
 * closed, or when the peer closed and everything it sent was read. Both CLOSEs seen: the session is complete. An end is
 * never invented: only a final count that equals ours is one (P5, P33).
 */
#include "rtcp/session_inside.h"

bool rtcp_closing_is_said(const struct rtcp_session *s)
{
    return !s->aborted && (s->closed || (s->peer_closed && s->received == s->peer_final));
}

void rtcp_closing_end(struct rtcp_session *s, base_time now, int status, const char *why)
{
    if (s->life == RTCP_LIFE_DEAD) {
        return;
    }
    if (s->live != 0) {
        (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->live, 0);
    }
    if (s->trying != RTCP_TRY_REST && s->attempt != s->live) {
        (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->attempt, 0);
    }
    if (s->path != RTCP_PATH_DETACHED) {
        rtcp_path_move(s, now, RTCP_PATH_DETACHED, why);
        s->live = 0;
    }
    s->trying = RTCP_TRY_REST;
    s->reliable.type = 0;
    s->end = status;
    rtcp_session_move_life(s, now, RTCP_LIFE_DEAD, why);
    (void)rtcp_session_push(s, RTCP_EFFECT_CLOSED, 0, status);
}

/* How long a complete session goes on telling its CLOSE once the application has closed, too. */
static base_time settled_at(const struct rtcp_session *s)
{
    return s->close_conf ? s->complete_at : base_time_max(s->complete_at, s->closed_at) + RTCP_COMPLETE_MAX;
}

/* When a complete client tells its CLOSE by one more handshake if no CONF comes: soon where that of the server came by
 * one, too, as datagrams do not seem to get through. */
static base_time tell_after(const struct rtcp_session *s)
{
    return s->is_told_by_answer ? rtcp_route_wait(s->route, 3, RTCP_TELL_AFTER) : RTCP_FULL_SILENCE;
}

/* Both sides have said CLOSE: nothing more is carried. */
static void complete(struct rtcp_session *s, base_time now)
{
    if (!s->is_complete) {
        s->is_complete = true;
        s->complete_at = now;
        s->tell_at = s->opt.is_client ? now + tell_after(s) : BASE_NEVER;
    }
    s->wake = 0;
    s->eof_at = 0;
    if (s->live != 0) {
        (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->live, 1);
        rtcp_path_move(s, now, RTCP_PATH_DETACHED, "complete");
        s->live = 0;
        s->detached_at = now;
    }
    if (s->trying != RTCP_TRY_REST) {
        (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->attempt, 1);
        s->trying = RTCP_TRY_REST;
    }
}

void rtcp_closing_advance(struct rtcp_session *s, base_time now)
{
    if (s->life == RTCP_LIFE_DEAD) {
        return;
    }
    if (s->aborted) {
        if (s->reset_conf) {
            rtcp_closing_end(s, now, BASE_E_CLOSED, "the peer knows that it was aborted");
        }
        return;
    }
    if (rtcp_closing_is_said(s)) {
        s->shut = true;
        rtcp_control_choose(s, now);
        if (s->peer_closed && (!s->is_complete || s->live != 0)) {
            complete(s, now);
        }
    }
    if (s->is_complete && s->life == RTCP_LIFE_CLOSING && now >= settled_at(s)) {
        rtcp_closing_end(s, now, s->out.first == s->out.upto ? 0 : BASE_E_RESET, "both sides closed");
    }
}

void rtcp_closing_peer_said(struct rtcp_session *s, base_time now, uint64_t final, bool is_closed)
{
    if (!s->opt.is_client && s->life == RTCP_LIFE_OPENING) {
        return; /* before the proof of the key nothing ends; the client repeats it */
    }
    if (final < s->received || (s->peer_shut && final != s->peer_final)) {
        rtcp_closing_end(s, now, BASE_E_PROTOCOL, "the peer's final count is impossible");
        return;
    }
    if (!s->peer_shut) {
        rtcp_passive_used(s, now); /* the end of a passive session takes the ordinary way */
        s->peer_shut = true;
        s->peer_final = final;
        if (s->received == final || s->closed) {
            s->eof_at = 0;
            if (!s->closed) {
                (void)rtcp_session_push(s, RTCP_EFFECT_READABLE, 0, 0);
            }
        } else if (s->eof_at != 0) {
            rtcp_path_lose(s, now, "ended before the final count");
        }
    }
    if (is_closed && !s->peer_closed) {
        s->peer_closed = true;
        s->reqack_at = BASE_NEVER;
        s->full_since = 0;
        if (s->wants_room && !s->closed) {
            s->wants_room = false;
            (void)rtcp_session_push(s, RTCP_EFFECT_WRITABLE, 0, 0); /* the next send tells that it is closed */
        }
    }
    rtcp_closing_advance(s, now);
}

void rtcp_closing_over(struct rtcp_session *s, base_time now)
{
    s->tells_again = false;
    s->tell_at = BASE_NEVER;
    s->close_conf = true;
    rtcp_closing_advance(s, now);
    if (s->life != RTCP_LIFE_DEAD && s->trying != RTCP_TRY_REST) {
        rtcp_path_give_up(s, now, "the session is over");
    }
}

int rtcp_session_shutdown(struct rtcp_session *s, base_time now)
{
    if (s->closed || s->life == RTCP_LIFE_DEAD) {
        return BASE_E_CLOSED;
    }
    if (!s->shut) {
        rtcp_passive_used(s, now);
        s->shut = true;
        rtcp_control_choose(s, now); /* the message goes out first, then the FIN */
    }
    rtcp_session_check(s);
    return 0;
}

static void abort_now(struct rtcp_session *s, base_time now)
{
    s->aborted = true;
    if (s->trying != RTCP_TRY_REST) { /* first: an attempt that waits for a freeze would go on */
        (void)rtcp_session_push(s, RTCP_EFFECT_DROP, s->attempt, 0);
        s->trying = RTCP_TRY_REST;
    }
    rtcp_path_lose(s, now, "aborted");
    s->reliable.type = 0;
    rtcp_control_choose(s, now);
    if (s->reliable.type == 0 || s->is_complete) {
        rtcp_closing_end(s, now, BASE_E_CLOSED, "aborted, and nobody to tell");
    }
}

void rtcp_session_close(struct rtcp_session *s, base_time now, bool is_abort)
{
    if (s->life == RTCP_LIFE_DEAD || s->aborted || (s->closed && !is_abort)) {
        return;
    }
    if (!s->closed) {
        rtcp_passive_used(s, now);
        s->closed = true;
        s->shut = true;
        s->closed_at = now;
        s->contact_at = now;
        rtcp_session_move_life(s, now, RTCP_LIFE_CLOSING, is_abort ? "aborted here" : "closed here");
    }
    if (is_abort && !s->is_complete) {
        s->closed_at = now;
        abort_now(s, now);
    } else if (s->opt.is_client && s->cid == 0 && s->out.upto == s->out.first) {
        rtcp_closing_end(s, now, 0, "closed before it was opened, with nothing to send");
    } else {
        rtcp_closing_advance(s, now);
    }
    rtcp_session_check(s);
}

void rtcp_session_linger(struct rtcp_session *s, base_time deadline, bool for_ever)
{
    s->close_deadline = deadline;
    s->lingers_for_ever = for_ever;
}

/* Our CLOSE is out, nothing moves and no CONF comes: where datagrams do not get through, a handshake tells it. */
static base_time unheard_due(const struct rtcp_session *s)
{
    bool is_out = s->life == RTCP_LIFE_CLOSING && !s->aborted && !s->is_complete && !s->close_conf &&
                  s->path == RTCP_PATH_ATTACHED && s->trying == RTCP_TRY_REST && !s->wants_new;

    return is_out ? base_time_max(s->contact_at, s->attached_at) + RTCP_FULL_SILENCE : BASE_NEVER;
}

/* A client has seen both CLOSEs, but nothing shows that the server has seen ours: it would linger to its limit. */
static base_time tell_due(const struct rtcp_session *s)
{
    return s->is_complete && !s->close_conf && !s->aborted ? s->tell_at : BASE_NEVER;
}

/* An unconfirmed session is dropped when it has no connection, accepted or not, closed here or not (2.3). */
static base_time unconfirmed_due(const struct rtcp_session *s)
{
    bool is_unconfirmed = !s->opt.is_client && !s->is_confirmed && !s->aborted && s->path == RTCP_PATH_DETACHED;

    return is_unconfirmed ? s->detached_at + RTCP_UNCONFIRMED_MAX : BASE_NEVER;
}

/* ... and one whose connection may have died without a word: a client that lives would have probed or resumed by now.
 */
static base_time unproven_due(const struct rtcp_session *s)
{
    bool is_unproven = !s->opt.is_client && !s->is_confirmed && !s->aborted && s->path == RTCP_PATH_ATTACHED &&
                       s->trying == RTCP_TRY_REST;

    return is_unproven ? base_time_max(s->contact_at, s->attached_at) + RTCP_UNCONFIRMED_MAX : BASE_NEVER;
}

static base_time end_due(const struct rtcp_session *s)
{
    if (s->aborted) {
        return base_time_min(s->closed_at + RTCP_ABORT_MAX, s->close_deadline);
    }
    if (s->life != RTCP_LIFE_CLOSING) {
        return BASE_NEVER;
    }
    if (s->is_complete) {
        return settled_at(s);
    }
    if (s->lingers_for_ever && s->out.upto > s->out.first && !s->peer_closed) {
        return BASE_NEVER; /* "for ever" applies to the last byte, not to the answer of the CLOSE (design 2.3) */
    }
    return base_time_add(s->contact_at, s->opt.linger_max);
}

base_time rtcp_session_silent_since(const struct rtcp_session *s)
{
    return s->route == NULL ? s->contact_at : base_time_max(s->contact_at, s->route->heard_at);
}

/* An option: whoever left a server alone for so long is not waited for. Passive clients are heard on their route. */
static base_time orphan_due(const struct rtcp_session *s)
{
    bool is_orphan = !s->opt.is_client && s->opt.orphan_max > 0 && s->life == RTCP_LIFE_OPEN && s->is_confirmed &&
                     s->path == RTCP_PATH_DETACHED && s->trying == RTCP_TRY_REST;

    return is_orphan ? base_time_add(rtcp_session_silent_since(s), s->opt.orphan_max) : BASE_NEVER;
}

/* ... and whose connection may have died without a word: one that lives comes back when it is taken away. */
static base_time stray_due(const struct rtcp_session *s)
{
    bool is_limited = !s->opt.is_client && s->opt.orphan_max > 0 && s->opt.orphan_max != BASE_NEVER &&
                      s->life == RTCP_LIFE_OPEN && s->is_confirmed && s->path == RTCP_PATH_ATTACHED &&
                      s->trying == RTCP_TRY_REST;

    return is_limited ? base_time_add(rtcp_session_silent_since(s), s->opt.orphan_max / 2) : BASE_NEVER;
}

/* The application gave the closing a deadline. */
static base_time deadline_due(const struct rtcp_session *s)
{
    return s->life == RTCP_LIFE_CLOSING && !s->aborted ? s->close_deadline : BASE_NEVER;
}

static void give_up(struct rtcp_session *s, base_time now)
{
    if (s->is_complete && s->out.first == s->out.upto) {
        rtcp_closing_end(s, now, 0, "both sides closed; the last confirmation did not come in time");
        return;
    }
    if (s->out.first < s->out.upto && s->cid != 0) {
        rtcp_session_say(s, RTCP_WIRE_RESET, false); /* once; the tombstone repeats it to whoever asks */
    }
    rtcp_closing_end(s, now, BASE_E_EXPIRED, "not closed by the deadline");
}

void rtcp_closing_expire(struct rtcp_session *s, base_time now)
{
    if (now >= unconfirmed_due(s)) {
        rtcp_closing_end(s, now, BASE_E_NEVER_CONFIRMED, "nobody confirmed the opening");
    } else if (now >= orphan_due(s)) {
        rtcp_closing_end(s, now, BASE_E_EXPIRED, "nobody came back for it");
    } else if (now >= deadline_due(s)) {
        give_up(s, now);
    } else if (now >= end_due(s)) {
        if (s->aborted) {
            rtcp_closing_end(s, now, BASE_E_CLOSED, "aborted; the peer was not reached");
        } else if (s->is_complete) {
            rtcp_closing_advance(s, now);
        } else {
            rtcp_closing_end(s, now, BASE_E_EXPIRED, "lingered without contact to the limit");
        }
    } else if (now >= unproven_due(s)) {
        rtcp_path_lose(s, now, "nobody confirmed the opening and nothing moves");
    } else if (now >= stray_due(s)) {
        rtcp_path_lose(s, now, "its client is not heard of");
    } else if (now >= tell_due(s)) {
        s->tell_at = BASE_NEVER;
        s->tells_again = true; /* where datagrams do not get through, the RESUME's flags are our CLOSE */
        rtcp_path_advance(s, now);
    } else if (now >= unheard_due(s)) {
        if (s->opt.is_client) {
            rtcp_path_replace(s, now, "the close is not confirmed");
        } else {
            rtcp_path_lose(s, now, "the close is not confirmed");
        }
    }
}

base_time rtcp_closing_deadline(const struct rtcp_session *s)
{
    base_time at = base_time_min(base_time_min(end_due(s), unconfirmed_due(s)), unproven_due(s));

    at = base_time_min(at, base_time_min(deadline_due(s), base_time_min(orphan_due(s), stray_due(s))));
    return base_time_min(at, base_time_min(unheard_due(s), tell_due(s)));
}
