/* Passive sessions: no TCP connection, by agreement; the session and a route to the peer stay (paper 7; PROTOCOL.md
 * "Passivation"). Pure.
 *
 * The rules this file keeps: only the client lets a connection go, as only it can make one; it does so when the server
 * has confirmed PASSIVE, so there is a route by which a WAKE can come; a passive client whose route falls silent makes
 * a connection, because nothing else could tell it that bytes wait (C2).
 */
#include "rtcp/session_inside.h"

/* Nothing is under way in either direction, as far as this side knows, and the route is there. */
static bool is_quiet(const struct rtcp_session *s)
{
    return s->life == RTCP_LIFE_OPEN && s->path == RTCP_PATH_ATTACHED && s->trying == RTCP_TRY_REST && !s->wants_new &&
           s->is_confirmed && s->eof_at == 0 && !s->shut && !s->peer_shut && !rtcp_session_is_busy(s) &&
           s->kernel_unread == 0 && s->route != NULL && rtcp_route_is_valid(s->route);
}

bool rtcp_passive_is_said(const struct rtcp_session *s)
{
    return s->wants_passive && is_quiet(s);
}

void rtcp_passive_advance(struct rtcp_session *s, base_time now)
{
    if (s->wants_passive && s->reliable.type == 0) {
        rtcp_control_choose(s, now);
    }
}

int rtcp_session_passivate(struct rtcp_session *s, base_time now)
{
    if (s->life == RTCP_LIFE_DEAD || s->shut || s->peer_shut) {
        return BASE_E_CLOSED;
    }
    if (!s->is_passive) {
        s->wants_passive = true;
        s->wished_at = now;
        rtcp_control_choose(s, now);
    }
    rtcp_session_check(s);
    return 0;
}

void rtcp_passive_used(struct rtcp_session *s, base_time now)
{
    s->used_at = now;
    if (s->wants_passive) {
        s->wants_passive = false;
        rtcp_control_choose(s, now);
    }
    if (!s->is_passive) {
        return;
    }
    rtcp_session_trace(s, now, "active", "it is used");
    s->is_passive = false;
    s->is_doubtful = false;
    if (s->opt.is_client) {
        (void)rtcp_backoff_hinted(&s->backoff, now);
        rtcp_path_advance(s, now);
    }
}

void rtcp_passive_heard(struct rtcp_session *s, base_time now, uint32_t attempt)
{
    if (s->life != RTCP_LIFE_OPEN || s->shut || s->peer_shut || attempt == 0) {
        return;
    }
    if (s->opt.is_client) {
        if (attempt == s->live) { /* the server asks; the client decides when nothing is under way */
            s->wants_passive = true;
            s->wished_at = now;
            rtcp_control_choose(s, now);
        }
    } else if (attempt == s->live) {
        s->let_go = attempt; /* its end is no break */
    } else if (s->path == RTCP_PATH_DETACHED && attempt == s->attempt && !rtcp_session_is_busy(s)) {
        s->is_passive = true; /* it ended here before the client said so */
    }
}

void rtcp_passive_confirmed(struct rtcp_session *s, base_time now, uint32_t attempt)
{
    if (!rtcp_passive_is_said(s) || attempt != s->live) {
        return; /* it is used again; the wish is asked anew when it rests */
    }
    s->wants_passive = false;
    if (s->opt.is_client) {
        s->is_passive = true;
        s->let_go = s->live;
        rtcp_path_lose(s, now, "let go: nothing is under way");
    }
}

void rtcp_passive_attached(struct rtcp_session *s, base_time now)
{
    if (s->is_passive) {
        s->wants_passive = false;
    }
    s->is_passive = false;
    s->is_doubtful = false;
    s->let_go = 0;
    s->used_at = now;
}

/* ------------------------------------------------------------------------------------------------ time */

/* An option: by itself after so long without use. */
static base_time idle_due(const struct rtcp_session *s)
{
    bool may = s->opt.idle_passivate > 0 && !s->wants_passive && is_quiet(s);

    return may ? base_time_add(s->used_at, s->opt.idle_passivate) : BASE_NEVER;
}

/* A wish that nobody confirms ends: no route, or no such thing over there. */
static base_time wish_due(const struct rtcp_session *s)
{
    return s->wants_passive && s->reliable.type == RTCP_WIRE_PASSIVE ? s->wished_at + RTCP_PASSIVE_WISH : BASE_NEVER;
}

/* The route of a passive client is silent for so long that a WAKE could not come. Sessions that share a route do not
 * come back all at once. */
static base_time doubt_due(const struct rtcp_session *s)
{
    base_time spread = (base_time)(s->opt.id % 64) * (RTCP_PASSIVE_SPREAD / 64);

    if (!s->opt.is_client || !s->is_passive || s->is_doubtful || s->route == NULL) {
        return BASE_NEVER;
    }
    return base_time_max(s->route->heard_at, s->detached_at) + RTCP_PASSIVE_PROBE + RTCP_PASSIVE_SILENCE + spread;
}

base_time rtcp_passive_probe_due(const struct rtcp_session *s)
{
    base_time own = base_time_max(s->pulse.probed_at, s->detached_at) + RTCP_PASSIVE_OWN;

    if (!s->opt.is_client) {
        return BASE_NEVER; /* the client keeps the way open, also through a NAT; it is the one that roams */
    }
    if (s->route->asked_at > s->route->heard_at && !s->is_doubtful) {
        return base_time_min(own, s->route->asked_at + RTCP_PROBE_SILENCE); /* the first may just be lost */
    }
    return base_time_min(own, base_time_max(s->route->heard_at, s->route->asked_at) + RTCP_PASSIVE_PROBE);
}

void rtcp_passive_expire(struct rtcp_session *s, base_time now)
{
    if (now >= idle_due(s)) {
        s->used_at = now; /* not again before it was idle as long once more */
        s->wants_passive = true;
        s->wished_at = now;
        rtcp_control_choose(s, now);
    }
    rtcp_passive_advance(s, now);
    if (now >= wish_due(s)) {
        s->wants_passive = false;
        rtcp_control_choose(s, now);
    }
    if (now >= doubt_due(s)) {
        s->is_doubtful = true;
        rtcp_session_trace(s, now, "doubtful", "the route is silent: only a connection can tell");
        (void)rtcp_backoff_hinted(&s->backoff, now);
        rtcp_path_advance(s, now);
    } else if (s->is_doubtful && s->trying == RTCP_TRY_REST && s->route != NULL &&
               s->route->heard_at + RTCP_PASSIVE_SILENCE > now) {
        s->is_doubtful = false; /* the way is back before a connection was */
    }
}

base_time rtcp_passive_deadline(const struct rtcp_session *s)
{
    return base_time_min(base_time_min(idle_due(s), wish_due(s)), doubt_due(s));
}
