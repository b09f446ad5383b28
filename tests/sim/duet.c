/* The sides of duet.h: their sessions, what the sessions want done, connections and datagrams. */
#include "rtcp/base/check.h"
#include "rtcp/defaults.h"
#include "tests/sim/duet_inside.h"

#include <string.h>

#define NAME     77
#define UDP_PORT 7000

struct duet_world duet;
static struct base_trace hook; /* what both cores tell */

void duet_watch(void *user, void (*emit)(void *user, const struct base_event *event))
{
    hook = (struct base_trace){user, emit};
}

void *duet_memory(size_t *ret_size)
{
    *ret_size = sizeof duet;
    return &duet;
}

void duet_break_property(const char *what)
{
    if (duet.broken == NULL) {
        duet.broken = what;
    }
}

void duet_tell(int side, const char *what, const char *why)
{
    struct base_event e = {.at = duet.side[side].now, .object = "thread", .name = what, .text = why};

    e.id = 100 + (uint64_t)side;
    base_trace_emit(&hook, &e);
}

uint8_t duet_byte(int side, uint64_t offset)
{
    uint64_t word = (offset + 1) * 0x9e3779b97f4a7c15u + (uint64_t)side * 7919;

    return (uint8_t)(word >> 56 ^ word >> 23);
}

uint64_t duet_delivered(void)
{
    return duet.side[0].read + duet.side[1].read;
}

/* ------------------------------------------------------------------------------------------------ connections */

int duet_conn_of(int side, uint32_t attempt)
{
    const struct duet_side *s = &duet.side[side];

    if (s->trying != DUET_NONE && duet.conn[s->trying].attempt == attempt) {
        return s->trying;
    }
    return s->live != DUET_NONE && duet.conn[s->live].attempt == attempt ? s->live : DUET_NONE;
}

static bool is_gone(const struct duet_conn *c, int side)
{
    return c->end[side] == DUET_END_NONE || c->end[side] == DUET_END_CLOSED;
}

void duet_close_end(int conn, int side, bool is_gentle)
{
    struct duet_conn *c = &duet.conn[conn];
    struct duet_side *s = &duet.side[side];

    if (c->fd[side] != 0) {
        duet_threads_shut(side, conn);
    }
    c->end[side] = DUET_END_CLOSED;
    c->flow[side].fin = c->flow[side].fin || is_gentle;
    c->flow[side].rst = !is_gentle;
    s->live = s->live == conn ? DUET_NONE : s->live;
    s->trying = s->trying == conn ? DUET_NONE : s->trying;
    if (is_gone(c, 0) && is_gone(c, 1)) {
        memset(c, 0, sizeof *c);
    }
}

/* A place for one more; a request that nobody waits for an answer to may be lost for it. */
static int new_conn(void)
{
    for (int i = 0; i < DUET_CONNS; i++) {
        if (!duet.conn[i].is_used) {
            return i;
        }
    }
    for (int i = 0; i < DUET_CONNS; i++) {
        if (is_gone(&duet.conn[i], 0) && duet.conn[i].end[1] == DUET_END_ASKED) {
            duet_close_end(i, 1, false);
            return i;
        }
    }
    CHECK(false); /* a client has two connections, a server two and those nobody wants */
    return 0;
}

/* ------------------------------------------------------------------------------------------------ effects */

static void perform_connect(int side, const struct rtcp_effect *e)
{
    int conn = new_conn();

    CHECK(side == 0 && duet.side[0].trying == DUET_NONE);
    if (duet.side[0].session.is_passive && !duet.side[0].session.is_doubtful) {
        duet_break_property("a session that nobody uses makes a connection");
    }
    duet.conn[conn] = (struct duet_conn){.is_used = true, .attempt = e->attempt, .end = {DUET_END_CONNECTING}};
    duet.side[0].trying = conn;
    duet_threads_open(0, conn);
}

/* Whether bytes that are taken out of it count. */
static bool is_counted(const struct duet_conn *c, int side)
{
    const struct rtcp_connection *token = &c->token[side];

    if (c->has_token[side]) {
        return !token->is_dead || (token->is_frozen && token->users > 0);
    }
    return c->end[side] == DUET_END_STREAM || c->end[side] == DUET_END_FREEZING;
}

static void perform_greet(int side, struct rtcp_effect *e)
{
    struct duet_side *s = &duet.side[side];
    int conn = duet_conn_of(side, e->attempt);
    struct duet_flow *flow;

    for (int i = 0; i < DUET_CONNS; i++) {
        if (is_counted(&duet.conn[i], side)) {
            duet_break_property("I3 a count is told while a connection is readable");
        }
    }
    if (conn == DUET_NONE) {
        return;
    }
    rtcp_session_sign(&s->session, e, UDP_PORT);
    flow = &duet.conn[conn].flow[side];
    if (duet.conn[conn].is_broken) {
        return;
    }
    memcpy(flow->head, e->bytes, e->size);
    flow->has_head = true;
}

static void perform_attach(int side, const struct rtcp_effect *e)
{
    struct duet_side *s = &duet.side[side];
    struct rtcp_address told = {.family = 4, .ip = {10, 0, 0, (uint8_t)(2 - side)}, .port = UDP_PORT};
    int conn = duet_conn_of(side, e->attempt);

    if (conn == DUET_NONE) {
        return;
    }
    if (s->live != DUET_NONE && s->live != conn) {
        duet_break_property("I2 two connections are readable");
    }
    s->live = conn;
    s->wants_newer = s->wants_newer && e->attempt <= s->newer_than;
    s->trying = s->trying == conn ? DUET_NONE : s->trying;
    duet.conn[conn].end[side] = DUET_END_STREAM;
    duet.conn[conn].flow[side].at = s->session.written;
    if (s->has_threads) {
        duet_threads_attached(side, conn);
    }
    rtcp_route_told(&s->route, &told, side == 0);
    rtcp_session_routed(&s->session, s->now, &s->route);
}

static void send_packet(int side, const uint8_t *bytes, size_t size)
{
    struct duet_side *s = &duet.side[side];

    if (s->packets >= duet.left.packets && !duet.is_healing) {
        s->packets--; /* the oldest is lost */
        memmove(s->packet, s->packet + 1, (size_t)s->packets * sizeof *s->packet);
    }
    if (s->packets == DUET_PACKETS) {
        return;
    }
    CHECK(size <= sizeof s->packet->bytes);
    memset(&s->packet[s->packets], 0, sizeof *s->packet);
    s->packet[s->packets].size = (uint16_t)size;
    memcpy(s->packet[s->packets++].bytes, bytes, size);
}

static void perform_message(int side, const struct rtcp_effect *e)
{
    const struct duet_side *s = &duet.side[side];
    const struct rtcp_address *to = e->kind == RTCP_EFFECT_PROBE_TO ? &s->route.candidate : &s->route.to;

    if (e->to_source || to->family != 0) {
        send_packet(side, e->bytes, e->size);
    }
}

/* A session that says it ended well must be right, and one that says otherwise must have a reason (C5, C8, P5). */
static void judge_end(int side, int status)
{
    const struct rtcp_session *s = &duet.side[side].session;
    const struct rtcp_session *peer = &duet.side[!side].session;

    if (status == 0) {
        if (s->out.first != s->out.upto || peer->received != s->out.upto) {
            duet_break_property("C2 a session ended well, but not everything was received");
        }
        if (!s->closed || (!peer->closed && !peer->shut)) {
            duet_break_property("C8 a session ended well that nobody ended");
        }
    } else if (status == BASE_E_CLOSED) {
        if (!s->aborted) {
            duet_break_property("C5 a session ended as aborted, but nobody aborted it");
        }
    } else if (status == BASE_E_EXPIRED) {
        if (duet.side[side].until == 0 || duet.side[side].now < duet.side[side].until) {
            duet_break_property("C5 a session ended for want of time that it had");
        }
    } else if (status != BASE_E_RESET || (!peer->aborted && !peer->closed)) {
        duet_break_property("C5 a session ended for a reason that did not happen");
    }
}

static void perform_drop(int side, int conn, bool is_gentle)
{
    if (conn != DUET_NONE && duet.conn[conn].has_token[side]) {
        duet_threads_kill(side, conn, false, is_gentle);
    } else if (conn != DUET_NONE) {
        duet_close_end(conn, side, is_gentle);
    }
}

static void perform_freeze(int side, int conn)
{
    if (conn == DUET_NONE || duet.conn[conn].end[side] != DUET_END_STREAM) {
        return;
    }
    if (duet.conn[conn].has_token[side]) {
        duet_threads_kill(side, conn, true, false);
    } else {
        duet.conn[conn].end[side] = DUET_END_FREEZING;
    }
}

static void perform_closed(int side, int status)
{
    struct duet_side *s = &duet.side[side];

    if (s->trying != DUET_NONE) {
        duet_close_end(s->trying, side, false);
    }
    if (s->live != DUET_NONE) {
        perform_drop(side, s->live, false);
    }
    rtcp_tombstone_make(&s->grave, &s->session);
    s->is_over = true;
    s->status = status;
    judge_end(side, status);
}

static void perform(int side, struct rtcp_effect *e)
{
    int conn = duet_conn_of(side, e->attempt);

    switch (e->kind) {
    case RTCP_EFFECT_CONNECT:
        perform_connect(side, e);
        break;
    case RTCP_EFFECT_GREET:
        perform_greet(side, e);
        break;
    case RTCP_EFFECT_FREEZE:
        perform_freeze(side, conn);
        break;
    case RTCP_EFFECT_THAW:
        if (conn != DUET_NONE && duet.conn[conn].end[side] == DUET_END_FROZEN) {
            duet.conn[conn].end[side] = DUET_END_STREAM;
        }
        break;
    case RTCP_EFFECT_ATTACH:
        perform_attach(side, e);
        break;
    case RTCP_EFFECT_DROP:
        perform_drop(side, conn, e->status == 1);
        break;
    case RTCP_EFFECT_MESSAGE:
    case RTCP_EFFECT_PROBE_TO:
        perform_message(side, e);
        break;
    case RTCP_EFFECT_CLOSED:
        perform_closed(side, e->status);
        break;
    case RTCP_EFFECT_COURIER: /* messages have one way here */
    case RTCP_EFFECT_ACCEPTED:
    case RTCP_EFFECT_LINK:
    case RTCP_EFFECT_READABLE:
    case RTCP_EFFECT_WRITABLE:
    case RTCP_EFFECT_EVIDENCE:
    case RTCP_EFFECT_PROBE_DATA:
    case RTCP_EFFECT_PEER_GONE:
        break; /* the applications look whenever they are asked to */
    }
}

void duet_perform_one(int side)
{
    struct rtcp_effect e;

    if (rtcp_session_poll(&duet.side[side].session, &e)) {
        perform(side, &e);
        if (e.kind == RTCP_EFFECT_READABLE || e.kind == RTCP_EFFECT_WRITABLE || e.kind == RTCP_EFFECT_CLOSED) {
            duet_threads_wake(side);
        }
    }
}

void duet_pump(int side)
{
    struct duet_side *s = &duet.side[side];
    struct rtcp_effect e;

    if (s->has_threads) {
        return;
    }
    while (rtcp_session_poll(&s->session, &e)) {
        perform(side, &e);
    }
    if (s->live != DUET_NONE && duet.conn[s->live].end[side] == DUET_END_STREAM &&
        rtcp_session_is_fin_due(&s->session)) {
        duet.conn[s->live].flow[side].fin = true;
    }
}

/* ------------------------------------------------------------------------------------------------ handshakes */

void duet_connected(int conn)
{
    struct duet_conn *c = &duet.conn[conn];

    c->end[0] = DUET_END_WAITING;
    c->end[1] = DUET_END_ASKED;
    duet_threads_open(1, conn);
    rtcp_session_connected(&duet.side[0].session, duet.side[0].now, c->attempt);
    duet_pump(0);
}

void duet_answer(int conn)
{
    struct duet_conn *c = &duet.conn[conn];
    struct base_bytes raw = {c->flow[1].head, RTCP_WIRE_ANSWER};

    c->flow[1].has_head = false;
    rtcp_session_answered(&duet.side[0].session, duet.side[0].now, c->attempt, raw);
    duet_pump(0);
}

/* The last word of a session that is over, or that refuses. */
static void refuse(int conn, const struct rtcp_tombstone *word, const struct rtcp_wire_request *r)
{
    struct duet_conn *c = &duet.conn[conn];

    if (!c->is_broken) {
        rtcp_tombstone_refuse(word, r, 2, NAME, c->flow[1].head);
        c->flow[1].has_head = true;
    }
    duet_close_end(conn, 1, true);
}

void duet_request(int conn)
{
    struct duet_conn *c = &duet.conn[conn];
    struct duet_side *s = &duet.side[1];
    struct base_bytes raw = {c->flow[0].head, RTCP_WIRE_REQUEST};
    struct rtcp_wire_request r;
    struct rtcp_tombstone word;
    uint8_t reason = 0;

    CHECK(rtcp_wire_get_request(raw, &r) == 0);
    c->flow[0].has_head = false;
    if (s->is_over) {
        refuse(conn, &s->grave, &r);
        return;
    }
    switch (rtcp_session_asked(&s->session, s->now, &r, raw, &reason)) {
    case RTCP_ASKED_TAKEN:
        if (s->trying != DUET_NONE) {
            duet_close_end(s->trying, 1, false);
        }
        s->trying = conn;
        c->end[1] = DUET_END_WAITING;
        break;
    case RTCP_ASKED_STALE:
        duet_close_end(conn, 1, true);
        break;
    case RTCP_ASKED_FORGED:
        duet_break_property("an honest request is called forged");
        break;
    case RTCP_ASKED_REFUSED:
        rtcp_tombstone_make(&word, &s->session);
        word.reason = reason;
        refuse(conn, &word, &r);
        break;
    }
    duet_pump(1);
}

/* ------------------------------------------------------------------------------------------------ datagrams */

void duet_observe(int side)
{
    struct duet_side *s = &duet.side[side];
    const struct duet_conn *c = s->live == DUET_NONE ? NULL : &duet.conn[s->live];

    if (c != NULL && c->end[side] == DUET_END_STREAM) {
        rtcp_session_observe(&s->session, s->now, c->flow[side].holds, c->flow[!side].size);
    }
}

static void answer_for_nobody(int side, const struct rtcp_wire_control *c)
{
    uint8_t out[2 * RTCP_WIRE_CONTROL_MAX];
    struct base_bytes rest = {out, rtcp_tombstone_answer(&duet.side[side].grave, c, out)};

    while (rest.size > 0) {
        struct base_bytes one = rest;
        struct rtcp_wire_control answer;

        CHECK(rtcp_wire_get_control(&rest, &answer) == 0);
        send_packet(side, one.data, one.size - rest.size);
    }
}

void duet_deliver(int from, int place, bool is_repeated)
{
    struct duet_side *sender = &duet.side[from];
    struct duet_side *s = &duet.side[!from];
    struct duet_packet p = sender->packet[place];
    struct base_bytes bytes = {p.bytes, p.size};
    struct rtcp_address address = {.family = 4, .ip = {10, 0, 0, (uint8_t)(1 + from)}, .port = UDP_PORT};
    struct rtcp_wire_control c;

    if (!is_repeated) {
        sender->packets--;
        memmove(sender->packet + place, sender->packet + place + 1,
                (size_t)(sender->packets - place) * sizeof *sender->packet);
        memset(&sender->packet[sender->packets], 0, sizeof *sender->packet);
    }
    CHECK(rtcp_wire_get_control(&bytes, &c) == 0);
    if (s->is_over) {
        answer_for_nobody(!from, &c);
        return;
    }
    if (c.type == RTCP_WIRE_PROBE || c.type == RTCP_WIRE_PROBE_REPLY) {
        duet_observe(!from);
    }
    if (rtcp_session_control(&s->session, s->now, &c, &address) < 0) {
        duet_break_property("an honest datagram is called impossible");
    }
    duet_pump(!from);
}

/* ------------------------------------------------------------------------------------------------ bytes */

/* One byte goes into the connection; broken ones swallow it. */
void duet_write(int side)
{
    struct duet_side *s = &duet.side[side];
    struct duet_conn *c = &duet.conn[s->live];
    struct duet_flow *flow = &c->flow[side];
    struct base_bytes next = rtcp_session_next(&s->session, c->attempt);

    CHECK(next.size > 0);
    if (c->is_broken || is_gone(c, !side)) {
        flow->holds++;
    } else {
        if (flow->at + flow->size != s->session.written) {
            duet_break_property("C1 bytes are written out of order");
        }
        flow->data[flow->size++] = next.data[0];
    }
    rtcp_session_sent(&s->session, s->now, 1);
    duet_pump(side);
}

void duet_read(int side)
{
    struct duet_side *s = &duet.side[side];
    struct duet_flow *flow = &duet.conn[s->live].flow[!side];

    if (flow->at != s->session.received || flow->data[0] != duet_byte(!side, flow->at)) {
        duet_break_property("C1 each byte once, in order");
    }
    flow->at++;
    memmove(flow->data, flow->data + 1, --flow->size);
    flow->data[flow->size] = 0;
    s->read++;
    rtcp_session_received(&s->session, s->now, 1);
    duet_pump(side);
}

/* ------------------------------------------------------------------------------------------------ looking */

void duet_look(void)
{
    for (int i = 0; i < 2; i++) {
        const struct rtcp_session *s = &duet.side[i].session;
        const struct rtcp_session *peer = &duet.side[!i].session;

        if (s->out.first > peer->received) {
            duet_break_property("C7 bytes left an outbox that the peer has not received");
        }
        if (s->received > peer->out.upto) {
            duet_break_property("C1 more was received than sent");
        }
        if (rtcp_session_is_at_end(s) && (!peer->shut || s->received != peer->out.upto)) {
            duet_break_property("P5 an end is invented");
        }
        if (s->is_passive && (s->out.first < s->out.upto || s->shut || duet.side[i].live != DUET_NONE)) {
            duet_break_property("C2 a session has something to say, and holds on to having no connection");
        }
        if (duet.side[i].until != 0 && duet.side[i].now > duet.side[i].until && !duet.side[i].is_over && !s->aborted) {
            duet_break_property("C5 a close takes longer than it was given");
        }
        duet_threads_look(i);
    }
}

/* ------------------------------------------------------------------------------------------------ birth */

static int take_ring(void *user, size_t size, struct base_ringmem *ret)
{
    CHECK(duet.left.ring <= DUET_RING && duet.left.ring <= size);
    *ret = (struct base_ringmem){.at = user, .size = duet.left.ring, .handle = -1};
    return 0;
}

static void give_ring(void *user, struct base_ringmem *ring)
{
    (void)user;
    ring->at = NULL;
}

static const struct base_ringmem_source rings[2] = {{duet.side[0].ring, take_ring, give_ring},
                                                    {duet.side[1].ring, take_ring, give_ring}};

/* Smaller than any product's, and of one size: a full ring is never far. */
static void fix_ring(int side)
{
    struct rtcp_outbox *o = &duet.side[side].session.out;

    o->least = o->most = o->size = duet.left.ring;
}

/* Without signs of life nobody would ask what became of a peer that had no time to have its end confirmed. */
static struct rtcp_session_options options_of(int side)
{
    struct rtcp_session_options o = {.is_client = side == 0,
                                     .ring = duet.left.ring,
                                     .idle_probe = duet.left.hurries > 0 ? RTCP_PROBE_IDLE : BASE_NEVER,
                                     .linger_max = RTCP_LINGER_MAX,
                                     .addresses = 1,
                                     .name = NAME,
                                     .incarnation = 1 + (uint64_t)side,
                                     .id = 100 + (uint32_t)side,
                                     .seed = 1 + (uint64_t)side,
                                     .nonce = {1, 2, 3, (uint8_t)side},
                                     .shared = &duet.shared,
                                     .trace = &hook,
                                     .ring_source = &rings[side]};

    return o;
}

static void init_side(int side)
{
    struct duet_side *s = &duet.side[side];

    s->now = BASE_S(1000);
    s->live = s->trying = DUET_NONE;
    rtcp_route_init(&s->route, 2 - (uint64_t)side, s->now);
}

/* The opening: with nothing going wrong. */
static void open_stream(void)
{
    struct rtcp_session_options o = options_of(0);
    struct duet_conn *c = &duet.conn[0];
    struct rtcp_wire_request r;

    CHECK(rtcp_session_open(&duet.side[0].session, &o, duet.side[0].now) == 0);
    fix_ring(0);
    duet_pump(0);
    duet_connected(0);
    o = options_of(1);
    CHECK(rtcp_wire_get_request((struct base_bytes){c->flow[0].head, RTCP_WIRE_REQUEST}, &r) == 0);
    CHECK(rtcp_session_accept(&duet.side[1].session, &o, duet.side[1].now, &r) == 0);
    fix_ring(1);
    c->flow[0].has_head = false;
    duet.side[1].trying = 0;
    c->end[1] = DUET_END_WAITING;
    duet_pump(1);
    duet_answer(0);
}

void duet_begin(const struct duet_limits *limits)
{
    memset(&duet, 0, sizeof duet);
    duet.left = *limits;
    duet.is_healing = true; /* nothing is lost */
    rtcp_auth_shared_init(&duet.shared, (struct base_bytes){NULL, 0}, 0);
    init_side(0);
    init_side(1);
    open_stream();
    duet.side[0].now += RTCP_CONFIRM_AFTER;
    duet.side[1].now += RTCP_CONFIRM_AFTER;
    rtcp_session_expire(&duet.side[0].session, duet.side[0].now);
    duet_pump(0);
    while (duet.side[0].packets + duet.side[1].packets > 0) { /* the probes that confirm it */
        duet.side[0].now += BASE_US(100);
        duet.side[1].now += BASE_US(100);
        duet_deliver(duet.side[0].packets > 0 ? 0 : 1, 0, false);
    }
    duet.is_healing = false;
    for (int side = 0; side < 2; side++) {
        if (limits->has_threads[side]) {
            duet_threads_begin(side);
        }
    }
    CHECK(duet.broken == NULL && duet.side[0].session.is_confirmed && duet.side[1].session.is_confirmed);
}
