/* The actions of duet.h: which are possible, what they do, and a run to the end in which nothing goes wrong. */
#include "rtcp/base/check.h"
#include "tests/sim/duet_inside.h"

#include <stdio.h>
#include <string.h>

#define FAR        BASE_S(60) /* time does not pass that far at one side and not at the other: lingering ends then */
#define HEAL_STEPS 60000
#define HEAL_TIME  BASE_S(120)

/* ------------------------------------------------------------------------------------------------ what they do */

static void break_conn(int conn)
{
    struct duet_conn *c = &duet.conn[conn];

    c->is_broken = true;
    for (int i = 0; i < 2; i++) {
        c->flow[i].holds = c->flow[i].size;
        c->flow[i].size = 0;
        c->flow[i].has_head = false;
        memset(c->flow[i].data, 0, sizeof c->flow[i].data);
    }
}

/* An end hears that its connection is over. */
static void reset_end(int side, int conn)
{
    struct duet_conn *c = &duet.conn[conn];
    struct duet_side *s = &duet.side[side];
    uint32_t attempt = c->attempt;
    bool is_held = s->live == conn || s->trying == conn;

    if (c->has_token[side]) { /* whoever calls, or looks, finds out */
        c->is_reset[side] = true;
        c->flow[!side].size = 0;
        return;
    }
    duet_close_end(conn, side, false);
    if (is_held) {
        rtcp_session_broke(&s->session, s->now, attempt, -1, "reset");
        duet_pump(side);
    }
}

/* A FIN says nothing by itself, but it comes behind the last byte, unless its writer knows that nobody reads. */
static void judge_end_of_file(int side, const struct duet_conn *c)
{
    const struct rtcp_session *peer = &duet.side[!side].session;
    const struct duet_flow *in = &c->flow[!side];

    if (!c->is_broken && in->fin && in->at != peer->out.upto && !peer->peer_closed) {
        duet_break_property("C2 the end of file came before the last byte");
    }
}

static void end_of_file(int side, int conn)
{
    struct duet_conn *c = &duet.conn[conn];

    if (c->has_token[side]) {
        c->is_ended[side] = true;
        return;
    }
    judge_end_of_file(side, c);
    c->is_eof[side] = true;
    rtcp_session_eof(&duet.side[side].session, duet.side[side].now, c->attempt);
    duet_pump(side);
}

static void frozen(int side, bool is_thawable)
{
    struct duet_side *s = &duet.side[side];
    uint32_t attempt = duet.conn[s->live].attempt;

    if (is_thawable) {
        duet.conn[s->live].end[side] = DUET_END_FROZEN;
    } else {
        duet_close_end(s->live, side, false);
    }
    rtcp_session_frozen(&s->session, s->now, attempt, is_thawable);
    duet_pump(side);
}

static void expire(int side)
{
    struct duet_side *s = &duet.side[side];

    s->now = base_time_max(s->now, rtcp_session_deadline(&s->session));
    duet_observe(side);
    rtcp_session_expire(&s->session, s->now);
    duet_pump(side);
}

static void act(struct duet_action x)
{
    switch ((enum duet_kind)x.kind) {
    case DUET_CONNECTED:
        duet_connected(x.a);
        break;
    case DUET_UNMADE:
        duet.left.breaks--;
        reset_end(0, x.a);
        break;
    case DUET_REQUEST:
        duet_request(x.a);
        break;
    case DUET_ANSWER:
        duet_answer(x.a);
        break;
    case DUET_WRITE:
        duet_write(x.a);
        break;
    case DUET_READ:
        duet_read(x.a);
        break;
    case DUET_FROZEN:
        frozen(x.a, x.b != 0);
        break;
    case DUET_BREAK:
        duet.left.breaks--;
        break_conn(x.a);
        break;
    case DUET_RESET:
        reset_end(x.a, x.b);
        break;
    case DUET_ENDED:
        end_of_file(x.a, x.b);
        break;
    case DUET_DELIVER:
        duet_deliver(x.a, x.b, false);
        break;
    case DUET_REPEAT:
        duet.left.repeats--;
        duet_deliver(x.a, x.b, true);
        break;
    case DUET_REPLACE:
        duet.left.replaces--;
        rtcp_session_hint(&duet.side[0].session, duet.side[0].now, RTCP_EVIDENCE_UNKNOWN);
        duet_pump(0);
        break;
    case DUET_EXPIRE:
        duet.left.expires--;
        expire(x.a);
        break;
    case DUET_APPEND:
    case DUET_SHUTDOWN:
    case DUET_CLOSE:
    case DUET_ABORT:
    case DUET_PASSIVATE:
    case DUET_RENEW:
    case DUET_HURRY:
        duet_wish(x.a, (enum duet_kind)x.kind);
        break;
    case DUET_STEP:
        duet_threads_step(x.a, x.b, x.amount);
        break;
    case DUET_NEWS:
        duet_hear_news(x.a, (enum duet_news)x.b);
        break;
    }
}

const char *duet_apply(struct duet_action action)
{
    act(action);
    duet_look();
    return duet.broken;
}

/* ------------------------------------------------------------------------------------------------ which are possible
 */

void duet_add(struct duet_list *l, enum duet_kind kind, int a, int b)
{
    CHECK(l->count < DUET_ACTIONS_MAX);
    l->at[l->count++] = (struct duet_action){.kind = (uint8_t)kind, .a = (uint8_t)a, .b = (uint8_t)b};
}

/* Whether the end may hear that the other one, or the connection, is gone. */
static bool may_hear_reset(const struct duet_conn *c, int side)
{
    uint8_t end = c->end[side];
    bool is_open =
        end == DUET_END_ASKED || end == DUET_END_WAITING || end == DUET_END_STREAM || end == DUET_END_FREEZING;

    if (c->has_token[side] ? c->is_reset[side] : !duet_threads_is_idle(side)) {
        return false;
    }
    if (end == DUET_END_WAITING && c->flow[!side].fin && !c->flow[!side].has_head) {
        return true; /* it ended without an answer */
    }
    return is_open && (c->is_broken || (c->end[!side] == DUET_END_CLOSED && c->flow[!side].rst));
}

static bool may_read_end(const struct duet_conn *c, int side)
{
    const struct duet_flow *in = &c->flow[!side];

    if (c->has_token[side]) {
        return c->is_broken && !c->is_ended[side] && !c->is_reset[side];
    }
    return c->end[side] == DUET_END_STREAM && !c->is_eof[side] && in->size == 0 && (in->fin || c->is_broken);
}

static void add_of_conn(struct duet_list *l, int conn)
{
    const struct duet_conn *c = &duet.conn[conn];

    bool is_idle[2] = {duet_threads_is_idle(0), duet_threads_is_idle(1)};

    if (c->end[0] == DUET_END_CONNECTING) {
        if (is_idle[0]) {
            duet_add(l, DUET_CONNECTED, conn, 0);
        }
        if (is_idle[0] && duet.left.breaks > 0) {
            duet_add(l, DUET_UNMADE, conn, 0);
        }
        return;
    }
    if (is_idle[1] && c->end[1] == DUET_END_ASKED && c->flow[0].has_head) {
        duet_add(l, DUET_REQUEST, conn, 0);
    }
    if (is_idle[0] && c->end[0] == DUET_END_WAITING && c->flow[1].has_head) {
        duet_add(l, DUET_ANSWER, conn, 0);
    }
    if (!c->is_broken && duet.left.breaks > 0) {
        duet_add(l, DUET_BREAK, conn, 0);
    }
    for (int side = 0; side < 2; side++) {
        if (may_hear_reset(c, side)) {
            duet_add(l, DUET_RESET, side, conn);
        }
        if (may_read_end(c, side)) {
            duet_add(l, DUET_ENDED, side, conn);
        }
    }
}

static bool may_write(int side)
{
    const struct duet_side *s = &duet.side[side];
    const struct duet_conn *c = s->live == DUET_NONE ? NULL : &duet.conn[s->live];

    return c != NULL && !s->has_threads && (c->end[side] == DUET_END_STREAM || c->end[side] == DUET_END_FREEZING) &&
           c->flow[side].size < DUET_KERNEL && rtcp_session_next(&s->session, c->attempt).size > 0;
}

static bool may_read(int side)
{
    const struct duet_side *s = &duet.side[side];
    const struct duet_conn *c = s->live == DUET_NONE ? NULL : &duet.conn[s->live];

    return c != NULL && !s->has_threads && (c->end[side] == DUET_END_STREAM || c->end[side] == DUET_END_FREEZING) &&
           s->session.live == c->attempt && !s->session.closed && !c->is_eof[side] && c->flow[!side].size > 0;
}

static void add_of_side(struct duet_list *l, int side)
{
    const struct duet_side *s = &duet.side[side];

    for (int i = 0; i < s->packets && duet_threads_is_idle(!side); i++) {
        duet_add(l, DUET_DELIVER, side, i);
        if (duet.left.repeats > 0) {
            duet_add(l, DUET_REPEAT, side, i);
        }
    }
    for (int i = 0; i < DUET_THREADS; i++) {
        if (duet_threads_may(side, i)) {
            duet_add(l, DUET_STEP, side, i);
        }
    }
    if (s->is_over) {
        return;
    }
    if (side == 0 && duet.left.replaces > 0 && duet_threads_is_idle(0) && s->session.path == RTCP_PATH_ATTACHED &&
        s->session.trying == RTCP_TRY_REST) {
        duet_add(l, DUET_REPLACE, 0, 0);
    }
    if (may_write(side)) {
        duet_add(l, DUET_WRITE, side, 0);
    }
    if (may_read(side)) {
        duet_add(l, DUET_READ, side, 0);
    }
    if (s->live != DUET_NONE && duet.conn[s->live].end[side] == DUET_END_FREEZING) {
        duet_add(l, DUET_FROZEN, side, 0);
        duet_add(l, DUET_FROZEN, side, 1);
    }
    if (duet.left.expires > 0 && duet_threads_is_idle(side) && rtcp_session_deadline(&s->session) <= s->now + FAR) {
        duet_add(l, DUET_EXPIRE, side, 0);
    }
    duet_add_wishes(l, side);
    duet_add_news(l, side);
}

size_t duet_actions(struct duet_action *ret_actions)
{
    struct duet_list l = {ret_actions, 0};

    for (int i = 0; i < DUET_CONNS; i++) {
        if (duet.conn[i].is_used) {
            add_of_conn(&l, i);
        }
    }
    add_of_side(&l, 0);
    add_of_side(&l, 1);
    return l.count;
}

/* ------------------------------------------------------------------------------------------------ to the end */

static bool is_delivered(int side)
{
    const struct rtcp_session *s = &duet.side[side].session;
    const struct rtcp_session *peer = &duet.side[!side].session;

    return peer->received == s->out.upto || s->aborted || peer->closed || duet.side[side].is_over ||
           duet.side[!side].is_over;
}

/* I8: a wish for another connection lasts until there is one; ends leave it open. */
static bool is_renewal_owed(int side)
{
    const struct duet_side *s = &duet.side[side];
    bool is_ending = s->session.closed || s->session.peer_closed || s->session.aborted || s->is_over;

    return s->wants_newer && !is_ending && !duet.side[!side].is_over;
}

/* What happens next when nothing goes wrong, each in its turn. False: only time can pass. */
static bool heal_step(bool is_told, size_t round)
{
    struct duet_action list[DUET_ACTIONS_MAX];
    size_t count = duet_actions(list);

    for (size_t i = 0; i < count; i++) {
        struct duet_action x = list[(i + round) % count];
        bool is_of_broken = (x.kind == DUET_RESET || x.kind == DUET_ENDED) && duet.conn[x.b].is_broken;

        if (x.kind == DUET_EXPIRE || (is_of_broken && (!is_told || x.kind == DUET_ENDED)) ||
            (x.kind == DUET_FROZEN && x.b != is_told)) {
            continue;
        }
        x.amount = (uint8_t)(round % 7);
        (void)duet_apply(x);
        return true;
    }
    if (is_delivered(0) && is_delivered(1)) {
        if (!duet_threads_is_read(0) || !duet_threads_is_read(1)) {
            duet_break_property("C2 bytes were counted that no application got");
        }
        if (is_renewal_owed(0) || is_renewal_owed(1)) {
            return false;
        }
        for (int side = 0; side < 2; side++) {
            if (!duet.side[side].session.closed && !duet.side[side].is_over) {
                rtcp_session_close(&duet.side[side].session, duet.side[side].now, false);
                duet_threads_wake(side);
                duet_pump(side);
                return true;
            }
        }
    }
    return false;
}

static void break_hope(const char *what)
{
    bool is_owed = is_renewal_owed(0) || is_renewal_owed(1);

    duet_break_property(is_owed ? "I8 a wish for another connection is forgotten" : what);
}

/* Until something is due at one of the sides. */
static void pass_time(void)
{
    base_time next[2];
    base_time step;

    for (int side = 0; side < 2; side++) {
        base_time at = duet.side[side].is_over ? BASE_NEVER : rtcp_session_deadline(&duet.side[side].session);

        next[side] = at == BASE_NEVER ? BASE_NEVER : base_time_since(at, duet.side[side].now);
    }
    step = base_time_min(next[0], next[1]);
    if (step == BASE_NEVER) {
        break_hope("a session waits for nothing");
        return;
    }
    duet.side[0].now += step;
    duet.side[1].now += step;
    expire(next[0] <= next[1] ? 0 : 1);
    duet_look();
}

const char *duet_heal(bool is_told)
{
    base_time end = duet.side[0].now + HEAL_TIME;

    duet.left = (struct duet_limits){.packets = DUET_PACKETS, .ring = duet.left.ring, .expires = 0};
    duet.is_healing = true;
    for (int i = 0; i < HEAL_STEPS && duet.side[0].now < end && duet.broken == NULL; i++) {
        if (heal_step(is_told, (size_t)i)) {
            continue;
        }
        if (duet.side[0].is_over && duet.side[1].is_over) {
            const char *left = duet_threads_left(0);

            return left != NULL ? left : duet_threads_left(1);
        }
        pass_time();
    }
    break_hope("C2 the network is well and the sessions do not end");
    return duet.broken;
}

/* ------------------------------------------------------------------------------------------------ telling */

void duet_describe(char *text, size_t size, struct duet_action x)
{
    static const char *const names[] = {"connected",
                                        "refused",
                                        "request read",
                                        "answer read",
                                        "byte written by",
                                        "byte read by",
                                        "frozen by",
                                        "broken",
                                        "reset heard by",
                                        "end read by",
                                        "datagram of",
                                        "datagram repeated of",
                                        "another connection wanted by",
                                        "time passes at",
                                        "byte from",
                                        "shutdown by",
                                        "close by",
                                        "abort by",
                                        "a step at",
                                        "no connection needed by",
                                        "another connection planned by",
                                        "close in a hurry by",
                                        "news for"};
    static const char *const sides[] = {"client", "server"};
    enum duet_kind kind = (enum duet_kind)x.kind;

    if (kind <= DUET_ANSWER || kind == DUET_BREAK) {
        snprintf(text, size, "connection %u: %s", x.a, names[x.kind]);
    } else {
        snprintf(text, size, "%s %s, %u", names[x.kind], sides[x.a], x.b);
    }
}

void duet_print_state(void *file)
{
    for (int i = 0; i < 2; i++) {
        const struct rtcp_session *s = &duet.side[i].session;

        fprintf(file,
                "    %s: end %d life %d path %d try %d, live %u of %u, sent %llu..%llu written %llu, received "
                "%llu%s%s%s%s%s\n",
                i == 0 ? "client" : "server", s->end, s->life, s->path, s->trying, s->live, s->attempt,
                (unsigned long long)s->out.first, (unsigned long long)s->out.upto, (unsigned long long)s->written,
                (unsigned long long)s->received, s->shut ? " shut" : "", s->closed ? " closed" : "",
                s->aborted ? " aborted" : "", s->peer_shut ? " peer-shut" : "", s->peer_closed ? " peer-closed" : "");
    }
}
