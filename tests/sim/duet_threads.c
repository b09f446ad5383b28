/* Threads in the model of duet.h: readers, writers and the control thread of the blocking face, step by step, each step
 * one turn under the lock or one system call. Who may do what is the product's own word (rtcp/tokens.h); the steps are
 * those of rtcp/blocking_read.c, blocking_write.c and blocking_link.c.
 *
 * Checked: no descriptor is used that is closed, though its number is given out again at once; bytes come to the
 * application once and in order whoever reads; nobody sleeps for ever; everything is closed in the end.
 */
#include "rtcp/base/check.h"
#include "tests/sim/duet_inside.h"

#include <string.h>

enum at {
    AT_REST,
    AT_LOOK,     /* a reader with the token: under the lock */
    AT_RECV,     /* ... in recv, blocking */
    AT_JUDGE,    /* ... with what recv said: under the lock */
    AT_GIVE,     /* ... gives the token back */
    AT_NEXT,     /* a writer with the token: under the lock */
    AT_SEND,     /* ... in send, without blocking */
    AT_LANDED,   /* ... with what send said: under the lock */
    AT_SHUTDOWN, /* the killer, before shutdown */
    AT_SHUT_RD,  /* the control thread, before it wakes a reader */
    AT_LEAVE,    /* ... after it */
    AT_ORDERS,   /* the last one out */
    AT_DRAINED,  /* ... with bytes of the drain */
    AT_DONE,
};

enum { CONTROL, READER, OTHER_READER, WRITER, OTHER_WRITER };

#define AGAIN  (-1)
#define BROKEN (-2)

static struct duet_conn *live_of(const struct duet_side *s)
{
    return s->live == DUET_NONE ? NULL : &duet.conn[s->live];
}

/* ------------------------------------------------------------------------------------------------ the kernel */

void duet_threads_open(int side, int conn)
{
    struct duet_side *s = &duet.side[side];

    for (int8_t fd = 1; s->has_threads && fd <= DUET_FDS; fd++) {
        if (s->owner[fd] == 0) {
            s->owner[fd] = (int8_t)(conn + 1);
            duet.conn[conn].fd[side] = fd;
            return;
        }
    }
}

void duet_threads_shut(int side, int conn)
{
    struct duet_conn *c = &duet.conn[conn];

    duet.side[side].owner[c->fd[side]] = 0;
    c->fd[side] = 0;
}

/* The connection that a thread means, if its number still means that. */
static struct duet_conn *call(int side, const struct duet_thread *t)
{
    int owner = duet.side[side].owner[t->fd];

    if (owner == 0) {
        duet_break_property("a descriptor is used that is closed");
        return NULL;
    }
    if (duet.conn[owner - 1].attempt != t->attempt) {
        duet_break_property("a number is used that is another connection's by now");
        return NULL;
    }
    return &duet.conn[owner - 1];
}

static bool is_readable(const struct duet_conn *c, int side)
{
    const struct duet_flow *in = &c->flow[!side];

    return in->size > 0 || in->fin || c->is_reset[side] || c->is_shut[side] || c->is_shut_rd[side] || c->is_ended[side];
}

static int kernel_recv(struct duet_conn *c, int side, uint8_t *bytes, uint32_t size)
{
    struct duet_flow *in = &c->flow[!side];
    uint32_t n = in->size < size ? in->size : size;

    if (c->is_reset[side]) {
        return BROKEN;
    }
    if (n == 0) {
        return is_readable(c, side) ? 0 : AGAIN;
    }
    memcpy(bytes, in->data, n);
    memmove(in->data, in->data + n, in->size - n);
    in->size = (uint8_t)(in->size - n);
    in->at += n;
    return (int)n;
}

static bool swallows(const struct duet_conn *c, int side)
{
    return c->is_broken || c->is_shut[!side] || c->end[!side] == DUET_END_CLOSED || c->end[!side] == DUET_END_NONE;
}

static uint32_t kernel_room(const struct duet_conn *c, int side)
{
    return DUET_KERNEL - (swallows(c, side) ? (c->flow[side].holds < DUET_KERNEL ? c->flow[side].holds : DUET_KERNEL)
                                            : c->flow[side].size);
}

static bool is_writable(const struct duet_conn *c, int side)
{
    return kernel_room(c, side) > 0 || c->is_reset[side] || c->is_shut[side];
}

static int kernel_send(struct duet_conn *c, int side, const uint8_t *bytes, uint32_t size)
{
    struct duet_flow *out = &c->flow[side];
    uint32_t room = kernel_room(c, side);
    uint32_t n = size < room ? size : room;

    if (c->is_reset[side] || c->is_shut[side] || out->fin) {
        return BROKEN;
    }
    if (n == 0) {
        return AGAIN;
    }
    if (swallows(c, side)) {
        out->holds += n;
    } else {
        memcpy(out->data + out->size, bytes, n);
        out->size = (uint8_t)(out->size + n);
    }
    return (int)n;
}

/* ------------------------------------------------------------------------------------------------ what all do */

/* rtcp_shared_link_counts: the session's word goes first. */
static bool counts(int side, const struct duet_thread *t)
{
    const struct rtcp_session *s = &duet.side[side].session;

    return s->path == RTCP_PATH_ATTACHED && s->live == t->attempt &&
           rtcp_connection_counts(&duet.conn[t->conn].token[side]);
}

/* The control thread is to send. The product's does so whenever it is awake; here nothing may rely on that. */
static void post(int side)
{
    duet.side[side].wants_flush = true;
}

/* Whoever waits for something to read or for room. Who waits for the reader token sleeps until it is given back. */
void duet_threads_wake(int side)
{
    struct duet_side *s = &duet.side[side];

    for (int i = 1; i < DUET_THREADS; i++) {
        if (!s->thread[i].is_queued || s->session.closed || s->is_over) {
            s->thread[i].is_asleep = false;
        }
    }
    s->wants_wake = true;
}

static void carry_wake(int side, unsigned orders)
{
    struct duet_side *s = &duet.side[side];

    for (int i = 1; i < DUET_THREADS && (orders & RTCP_ORDER_WAKE) != 0; i++) {
        if (s->thread[i].is_queued && s->thread[i].is_asleep) {
            s->thread[i].is_asleep = false;
            return;
        }
    }
}

static void consume(int side, const uint8_t *bytes, uint32_t size)
{
    struct duet_side *s = &duet.side[side];

    for (uint32_t i = 0; i < size; i++) {
        if (bytes[i] != duet_byte(!side, s->read++)) {
            duet_break_property("C1 an application reads other bytes than were sent");
        }
    }
}

/* Takes a use of the live connection. */
static bool enter(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];
    struct duet_conn *c = live_of(s);

    if (c == NULL || !c->has_token[side] || s->session.live != c->attempt || !rtcp_connection_use(&c->token[side])) {
        return false;
    }
    t->conn = (int8_t)s->live;
    t->attempt = c->attempt;
    t->fd = (int8_t)c->token[side].fd;
    return true;
}

/* Gives it back; if there are orders they are carried out before `after`. */
static void leave(int side, struct duet_thread *t, enum at after)
{
    t->orders = rtcp_connection_leave(&duet.conn[t->conn].token[side]);
    t->after = (uint8_t)after;
    t->at = t->orders != 0 ? AT_ORDERS : (uint8_t)after;
}

static void broke(int side, struct duet_thread *t)
{
    if (counts(side, t)) {
        rtcp_session_broke(&duet.side[side].session, duet.side[side].now, t->attempt, -1, "a call failed");
    }
}

static void end_of_file(int side, struct duet_thread *t)
{
    struct duet_conn *c = &duet.conn[t->conn];

    if (counts(side, t) && !c->is_eof[side]) {
        c->is_eof[side] = true;
        rtcp_session_eof(&duet.side[side].session, duet.side[side].now, t->attempt);
    }
}

/* ------------------------------------------------------------------------------------------------ the last one out */

static void carry_out_rest(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];

    if ((t->orders & RTCP_ORDER_POST) != 0 && counts(side, t)) {
        rtcp_session_frozen(&s->session, s->now, t->attempt, false);
    }
    if (t->orders != 0) {
        duet.conn[t->conn].has_token[side] = false;
        duet_close_end(t->conn, side, duet.conn[t->conn].is_gentle[side]);
    }
    duet_threads_wake(side);
    t->orders = 0;
    t->at = t->after;
}

static void carry_out(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];

    if ((t->orders & RTCP_ORDER_DRAIN) != 0) {
        size_t may = counts(side, t) ? rtcp_session_may_hold(&s->session, s->waiting_size) : 0;
        struct duet_conn *c = may > 0 && s->waiting_size + DUET_CHUNK <= DUET_WAITING ? call(side, t) : NULL;

        t->n = c == NULL ? 0 : kernel_recv(c, side, t->bytes, may < DUET_CHUNK ? (uint32_t)may : DUET_CHUNK);
        t->at = AT_DRAINED;
    } else if ((t->orders & RTCP_ORDER_CLOSE) != 0 && duet.conn[t->conn].fd[side] != 0) {
        if (call(side, t) != NULL) {
            duet_threads_shut(side, t->conn);
        }
    } else {
        carry_out_rest(side, t);
    }
}

static void drained(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];

    t->at = AT_ORDERS;
    if (t->n <= 0 || !counts(side, t)) {
        t->orders &= ~(unsigned)RTCP_ORDER_DRAIN;
        return;
    }
    duet_tell(side, "drains", t == &s->thread[CONTROL] ? "the killer" : "the last one out");
    memcpy(s->waiting + s->waiting_size, t->bytes, (size_t)t->n);
    s->waiting_size += (uint32_t)t->n;
    rtcp_session_received(&s->session, s->now, (size_t)t->n);
}

/* ------------------------------------------------------------------------------------------------ readers */

static void give_reader(int side, struct duet_thread *t, enum at next)
{
    carry_wake(side, rtcp_reader_give(&duet.side[side].reader));
    t->at = (uint8_t)next;
}

static void begin_read(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];

    if (s->session.closed || s->is_over) {
        if (t->is_queued) {
            carry_wake(side, rtcp_reader_forget(&s->reader));
        }
        t->is_queued = false;
        t->at = AT_DONE;
        consume(side, s->waiting, s->session.closed ? 0 : s->waiting_size);
        s->waiting_size = 0;
        return;
    }
    if (!rtcp_reader_take(&s->reader, t->is_queued)) {
        t->is_queued = t->is_asleep = true;
        duet_tell(side, "waits", "for the reader token");
        return;
    }
    t->is_queued = false;
    t->at = AT_LOOK;
}

static void look(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];
    const struct duet_conn *c = live_of(s);

    if (s->session.closed) {
        give_reader(side, t, AT_DONE);
    } else if (s->waiting_size > 0) {
        uint32_t n = s->waiting_size < DUET_CHUNK ? s->waiting_size : DUET_CHUNK;

        consume(side, s->waiting, n);
        s->waiting_size -= n;
        memmove(s->waiting, s->waiting + n, s->waiting_size);
        give_reader(side, t, AT_REST);
    } else if (rtcp_session_is_at_end(&s->session) || s->is_over) {
        if (!s->is_over && s->read != duet.side[!side].session.out.upto) {
            duet_break_property("P5 an application reads the end before it is there");
        }
        give_reader(side, t, AT_DONE);
    } else if (c != NULL && !c->is_eof[side] && s->session.path == RTCP_PATH_ATTACHED && enter(side, t)) {
        t->at = AT_RECV;
    } else {
        t->is_asleep = true;
    }
}

static void judge(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];
    struct duet_conn *c = &duet.conn[t->conn];
    bool is_counted = counts(side, t);

    if (is_counted && t->n > 0) {
        rtcp_session_received(&s->session, s->now, (size_t)t->n);
        consume(side, t->bytes, (uint32_t)t->n);
    } else if (is_counted && t->n == 0 && c->is_shut_rd[side]) {
        if (!s->session.closed && !rtcp_session_is_at_end(&s->session)) {
            broke(side, t);
        }
    } else if (is_counted && t->n == 0) {
        end_of_file(side, t);
    } else if (is_counted && t->n == BROKEN) {
        broke(side, t);
    }
    if (!is_counted && t->n > 0) {
        duet_tell(side, "reads", "for nothing: the connection does not count any more");
    } else if (is_counted && c->token[side].is_dead) {
        duet_tell(side, "reads", "of a connection that is being frozen");
    }
    leave(side, t, is_counted && t->n > 0 ? AT_GIVE : AT_LOOK);
}

/* ------------------------------------------------------------------------------------------------ writers */

static void begin_write(int side, struct duet_thread *t, unsigned amount)
{
    struct duet_side *s = &duet.side[side];
    uint8_t bytes[DUET_RING];
    int64_t n;

    if (t->left == 0) {
        t->left = 1 + amount % DUET_RING;
        t->left = t->left < (uint32_t)duet.left.bytes[side] ? t->left : (uint32_t)duet.left.bytes[side];
        duet.left.bytes[side] -= (int)t->left;
    }
    for (uint32_t i = 0; i < t->left; i++) {
        bytes[i] = duet_byte(side, s->session.out.upto + i);
    }
    n = rtcp_session_append(&s->session, s->now, (struct base_bytes){bytes, t->left});
    if (n == BASE_E_AGAIN) {
        t->is_asleep = true;
    } else if (n < 0) {
        t->left = 0;
        t->at = AT_DONE;
    } else {
        t->left -= (uint32_t)n;
        t->at = rtcp_writer_take(&s->writer, false) ? AT_NEXT : AT_REST;
    }
}

static void next(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];
    struct base_bytes bytes = {NULL, 0};

    rtcp_writer_look(&s->writer);
    if (s->live != DUET_NONE) {
        bytes = rtcp_session_next(&s->session, duet.conn[s->live].attempt);
    }
    if (bytes.size > 0 && enter(side, t)) {
        rtcp_session_depart(&s->session, bytes.size, &t->flight);
        t->from = bytes.data;
        t->size = (uint32_t)bytes.size;
        t->at = AT_SEND;
    } else if (rtcp_writer_give(&s->writer)) {
        t->at = AT_REST;
    }
}

static void landed(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];
    enum at after = AT_NEXT;

    if (s->session.live != t->attempt) {
        duet_tell(side, "writes", "and the session has left the connection meanwhile");
    } else if (s->session.out.first > t->flight.written) {
        duet_tell(side, "writes", "and the acknowledgement was faster");
    }
    rtcp_session_landed(&s->session, &t->flight, t->n > 0 ? (size_t)t->n : 0);
    if (t->n == BROKEN) {
        broke(side, t);
    } else if (t->n == AGAIN) {
        if ((rtcp_writer_blocked(&s->writer, true) & RTCP_ORDER_CONTROL) != 0) {
            post(side);
        }
        duet_tell(side, "writes", "into a full kernel");
        after = AT_REST;
    }
    leave(side, t, after);
}

/* ------------------------------------------------------------------------------------------------ the control thread
 */

void duet_threads_kill(int side, int conn, bool is_freeze, bool is_gentle)
{
    struct duet_side *s = &duet.side[side];
    struct duet_thread *t = &s->thread[CONTROL];
    struct duet_conn *c = &duet.conn[conn];

    c->is_gentle[side] = is_gentle;
    t->conn = (int8_t)conn;
    t->attempt = c->attempt;
    t->fd = (int8_t)c->token[side].fd;
    t->orders = rtcp_connection_kill(&c->token[side], is_freeze);
    t->after = AT_REST;
    duet_tell(side, is_freeze ? "freezes" : "drops",
              t->orders == 0                           ? "frozen before, threads are still inside"
              : (t->orders & RTCP_ORDER_SHUTDOWN) != 0 ? "threads are inside"
                                                       : "nobody is inside");
    s->live = s->live == conn && !is_freeze ? DUET_NONE : s->live;
    t->at = (t->orders & RTCP_ORDER_SHUTDOWN) != 0 ? AT_SHUTDOWN : t->orders != 0 ? AT_ORDERS : AT_REST;
}

void duet_threads_attached(int side, int conn)
{
    struct duet_conn *c = &duet.conn[conn];

    rtcp_connection_init(&c->token[side], c->fd[side], c->attempt);
    c->has_token[side] = true;
    duet_threads_wake(side);
    post(side);
}

void duet_threads_begin(int side)
{
    struct duet_side *s = &duet.side[side];

    s->has_threads = true;
    duet_threads_open(side, s->live);
    duet_threads_attached(side, s->live);
}

/* Nobody reads: the control thread finds out that the connection has ended (EPOLLRDHUP). */
static bool has_ended(int side)
{
    const struct duet_side *s = &duet.side[side];
    const struct duet_conn *c = live_of(s);

    return c != NULL && c->has_token[side] && !c->token[side].is_dead && !c->is_eof[side] && !c->is_shut_rd[side] &&
           !s->reader.is_taken && c->flow[!side].size == 0 && is_readable(c, side);
}

static bool is_armed(int side)
{
    const struct duet_side *s = &duet.side[side];
    const struct duet_conn *c = live_of(s);

    return s->writer.state == RTCP_WRITER_CONTROL && c != NULL && c->has_token[side] && !c->token[side].is_dead &&
           is_writable(c, side) && rtcp_session_next(&s->session, c->attempt).size > 0;
}

/* The FIN is the control thread's: HALF_CLOSE goes out first. */
static bool owes_fin(int side)
{
    const struct duet_side *s = &duet.side[side];
    const struct duet_conn *c = live_of(s);

    return c != NULL && c->has_token[side] && !c->token[side].is_dead && s->session.live == c->attempt &&
           s->writer.state != RTCP_WRITER_THREAD && !c->flow[side].fin && rtcp_session_is_fin_due(&s->session);
}

static void wake_reader(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];
    bool is_due = s->session.closed || rtcp_session_is_at_end(&s->session);

    s->wants_wake = false;
    if (is_due && s->live != DUET_NONE && !duet.conn[s->live].is_shut_rd[side] && enter(side, t)) {
        t->at = AT_SHUT_RD;
    }
}

static void control(int side, struct duet_thread *t)
{
    struct duet_side *s = &duet.side[side];

    if (s->session.pending_count > 0) {
        duet_perform_one(side);
    } else if (s->wants_wake) {
        wake_reader(side, t);
    } else if (s->wants_flush) {
        s->wants_flush = false;
        t->at = s->live != DUET_NONE && rtcp_writer_take(&s->writer, true) ? AT_NEXT : AT_REST;
    } else if (owes_fin(side)) {
        duet.conn[s->live].flow[side].fin = true;
    } else if (is_armed(side)) {
        t->at = AT_NEXT;
    } else if (has_ended(side)) {
        t->conn = (int8_t)s->live;
        t->attempt = duet.conn[s->live].attempt;
        if (duet.conn[s->live].is_reset[side]) {
            broke(side, t);
        }
        duet.conn[s->live].is_eof[side] |= duet.conn[s->live].is_reset[side];
        end_of_file(side, t);
    }
}

/* ------------------------------------------------------------------------------------------------ steps */

bool duet_threads_is_idle(int side)
{
    const struct duet_side *s = &duet.side[side];

    return !s->has_threads ||
           (s->thread[CONTROL].at == AT_REST && s->session.pending_count == 0 && !s->wants_flush && !s->wants_wake);
}

static bool may_begin(int side, int thread)
{
    const struct duet_side *s = &duet.side[side];
    const struct duet_thread *t = &s->thread[thread];

    if (thread == CONTROL) {
        return !duet_threads_is_idle(side) || owes_fin(side) || is_armed(side) || has_ended(side);
    }
    if (thread == READER || thread == OTHER_READER) {
        return true;
    }
    return t->left > 0 || (duet.left.bytes[side] > 0 && !s->session.shut && !s->is_over);
}

bool duet_threads_may(int side, int thread)
{
    const struct duet_side *s = &duet.side[side];
    const struct duet_thread *t = &s->thread[thread];
    int owner = s->owner[t->fd];

    if (!s->has_threads || t->is_asleep || t->at == AT_DONE) {
        return false;
    }
    if (t->at == AT_REST) {
        return may_begin(side, thread);
    }
    return t->at != AT_RECV || owner == 0 || is_readable(&duet.conn[owner - 1], side);
}

static void system_call(int side, struct duet_thread *t, unsigned amount)
{
    struct duet_conn *c = call(side, t);
    uint32_t size = 1 + amount % DUET_CHUNK;

    if (c == NULL) {
        t->at = AT_DONE;
    } else if (t->at == AT_RECV) {
        t->n = kernel_recv(c, side, t->bytes, size);
        t->at = t->n == AGAIN ? AT_RECV : AT_JUDGE;
    } else if (t->at == AT_SEND) {
        t->n = kernel_send(c, side, t->from, t->size < size ? t->size : size);
        t->at = AT_LANDED;
    } else if (t->at == AT_SHUTDOWN) {
        c->is_shut[side] = true;
        t->at = AT_LEAVE;
    } else {
        c->is_shut_rd[side] = true;
        t->at = AT_LEAVE;
    }
}

void duet_threads_step(int side, int thread, unsigned amount)
{
    struct duet_thread *t = &duet.side[side].thread[thread];

    switch ((enum at)t->at) {
    case AT_REST:
        if (thread == CONTROL) {
            control(side, t);
        } else if (thread == READER || thread == OTHER_READER) {
            begin_read(side, t);
        } else {
            begin_write(side, t, amount);
        }
        break;
    case AT_LOOK:
        look(side, t);
        break;
    case AT_JUDGE:
        judge(side, t);
        break;
    case AT_GIVE:
        give_reader(side, t, AT_REST);
        break;
    case AT_NEXT:
        next(side, t);
        break;
    case AT_LANDED:
        landed(side, t);
        break;
    case AT_RECV:
    case AT_SEND:
    case AT_SHUTDOWN:
    case AT_SHUT_RD:
        system_call(side, t, amount);
        break;
    case AT_LEAVE:
        leave(side, t, AT_REST);
        break;
    case AT_ORDERS:
        carry_out(side, t);
        break;
    case AT_DRAINED:
        drained(side, t);
        break;
    case AT_DONE:
        break;
    }
}

void duet_threads_look(int side)
{
    const struct duet_side *s = &duet.side[side];
    bool is_waiting = false;
    bool is_coming = false;

    for (int i = 1; i < DUET_THREADS; i++) {
        is_waiting = is_waiting || s->thread[i].is_queued;
        is_coming = is_coming || (s->thread[i].is_queued && !s->thread[i].is_asleep);
    }
    if (is_waiting && !is_coming && !s->reader.is_taken) {
        duet_break_property("the reader token is free, and who waits for it sleeps");
    }
}

bool duet_threads_is_read(int side)
{
    const struct duet_side *s = &duet.side[side];

    return !s->has_threads || s->session.closed || s->is_over || s->read == s->session.received;
}

const char *duet_threads_left(int side)
{
    const struct duet_side *s = &duet.side[side];

    for (int fd = 1; fd <= DUET_FDS; fd++) {
        if (s->owner[fd] != 0 &&
            duet.conn[s->owner[fd] - 1].end[side] != DUET_END_ASKED) { /* the listener's deadline */
            return "a descriptor is never closed";
        }
    }
    for (int i = 1; s->has_threads && i < DUET_THREADS; i++) {
        if (s->thread[i].at != AT_DONE && (i < WRITER || s->thread[i].at != AT_REST || s->thread[i].left > 0)) {
            return "a thread sleeps for ever";
        }
    }
    return NULL;
}
