/* What the applications of duet.h ask of their sessions, and what else reaches a session from outside: when it is
 * possible, and that it happens.
 */
#include "tests/sim/duet_inside.h"

#define HURRY BASE_MS(70) /* its CLOSE is said twice */

/* ------------------------------------------------------------------------------------------------ applications */

/* How often more. */
static int *left_of(int side, enum duet_kind kind)
{
    if (kind == DUET_APPEND) {
        return &duet.left.bytes[side];
    }
    if (kind == DUET_SHUTDOWN) {
        return &duet.left.shutdowns;
    }
    if (kind == DUET_CLOSE) {
        return &duet.left.closes;
    }
    if (kind == DUET_ABORT) {
        return &duet.left.aborts;
    }
    if (kind == DUET_PASSIVATE) {
        return &duet.left.passivates;
    }
    return kind == DUET_RENEW ? &duet.left.renews : &duet.left.hurries;
}

static void add_if(struct duet_list *l, bool is_possible, enum duet_kind kind, int side)
{
    if (is_possible && *left_of(side, kind) > 0) {
        duet_add(l, kind, side, 0);
    }
}

void duet_add_wishes(struct duet_list *l, int side)
{
    const struct rtcp_session *s = &duet.side[side].session;
    bool is_ending = s->shut || s->peer_shut;

    add_if(l, !duet.side[side].has_threads && !s->shut && !s->peer_closed && rtcp_outbox_room(&s->out) > 0, DUET_APPEND,
           side);
    add_if(l, !s->shut, DUET_SHUTDOWN, side);
    add_if(l, !s->closed, DUET_CLOSE, side);
    add_if(l, !s->aborted, DUET_ABORT, side);
    add_if(l, !s->wants_passive && !s->is_passive && !is_ending, DUET_PASSIVATE, side);
    add_if(l, !s->aborted && !s->is_complete, DUET_RENEW, side);
    add_if(l, !s->closed, DUET_HURRY, side);
}

static void append(int side)
{
    struct duet_side *s = &duet.side[side];
    uint8_t byte = duet_byte(side, s->session.out.upto);

    if (rtcp_session_append(&s->session, s->now, (struct base_bytes){&byte, 1}) < 0) {
        *left_of(side, DUET_APPEND) += 1;
    }
}

static void renew(struct duet_side *s)
{
    if (rtcp_session_replace(&s->session, s->now) == 0) {
        s->wants_newer = true;
        s->newer_than = s->session.live;
    }
}

static void hurry(struct duet_side *s)
{
    s->until = s->now + HURRY;
    rtcp_session_linger(&s->session, s->until, false);
    rtcp_session_close(&s->session, s->now, false);
}

void duet_wish(int side, enum duet_kind kind)
{
    struct duet_side *s = &duet.side[side];

    *left_of(side, kind) -= 1;
    if (kind == DUET_APPEND) {
        append(side);
    } else if (kind == DUET_SHUTDOWN) {
        (void)!rtcp_session_shutdown(&s->session, s->now);
    } else if (kind == DUET_PASSIVATE) {
        (void)!rtcp_session_passivate(&s->session, s->now);
    } else if (kind == DUET_RENEW) {
        renew(s);
    } else if (kind == DUET_HURRY) {
        hurry(s);
    } else {
        rtcp_session_close(&s->session, s->now, kind == DUET_ABORT);
    }
    duet_threads_wake(side);
    duet_pump(side);
}

/* ------------------------------------------------------------------------------------------------ news */

void duet_add_news(struct duet_list *l, int side)
{
    for (int news = 0; duet.left.news > 0 && news < DUET_NEWS_COUNT; news++) {
        duet_add(l, DUET_NEWS, side, news);
    }
}

void duet_hear_news(int side, enum duet_news news)
{
    struct duet_side *s = &duet.side[side];

    duet.left.news--;
    if (news == DUET_NEWS_NETWORK) {
        rtcp_session_network_changed(&s->session, s->now);
    } else if (news == DUET_NEWS_PEER) {
        rtcp_session_hint(&s->session, s->now, RTCP_EVIDENCE_NONE);
    } else {
        rtcp_session_rerouted(&s->session, s->now);
    }
    duet_pump(side);
}
