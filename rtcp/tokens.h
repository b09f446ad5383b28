/* Who may touch a connection, read and write, when threads share it (design: two faces).
 *
 * Owns      the rules: a connection is used only between use and leave; the last one out closes it, so that a number is
 *           never used again under a caller; one reader; one writer, which sends in the ring's order.
 * Relies on the caller's lock: every function is called under the lock of the session. None blocks. What has to be done
 *           with the descriptor comes back as orders, to be carried out after the lock was given back.
 * Not here  system calls, threads, locks; what is sent and what is counted (session.h).
 */
#ifndef HOLDFAST_RTCP_TOKENS_H
#define HOLDFAST_RTCP_TOKENS_H

#include "rtcp/base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Orders: what the caller does next, in this sequence and without the lock. */
enum rtcp_order {
    RTCP_ORDER_SHUTDOWN = 1, /* shutdown(fd, SHUT_RDWR): wakes who blocks in it; queued bytes stay readable */
    RTCP_ORDER_DRAIN = 2,    /* nobody else is in it: read what fits the waiting buffer, without blocking (P4) */
    RTCP_ORDER_CLOSE = 4,    /* close(fd): nobody is in it and nobody can come in */
    RTCP_ORDER_POST = 8,     /* tell the control thread: FROZEN, not to be thawed (the fd is gone) */
    RTCP_ORDER_WAKE = 16,    /* one thread waits for this token: wake one */
    RTCP_ORDER_CONTROL = 32, /* wake the control thread: the writer token is its own now */
};

/* One TCP connection that threads share. */
struct rtcp_connection {
    int fd;
    uint32_t attempt;
    uint32_t users; /* threads inside a call on fd */
    bool is_dead;   /* nobody comes in any more */
    bool is_frozen; /* ... because of a freeze: drain and post */
    bool is_closed; /* the order to close was given */
};

void rtcp_connection_init(struct rtcp_connection *c, int fd, uint32_t attempt);

/* Takes a use. False when the connection is dead: do not touch its fd. */
BASE_MUST_USE bool rtcp_connection_use(struct rtcp_connection *c);

/* Gives a use back. Orders for the last one out of a dead connection, else 0. */
BASE_MUST_USE unsigned rtcp_connection_leave(struct rtcp_connection *c);

/* No thread may come in any more. is_freeze: the session asked for FROZEN (a repetition changes nothing, a freeze of a
 * dropped connection neither: it is gone). Orders: those of the last one out; or SHUTDOWN while threads are inside: the
 * caller has a use then, too, and leaves after the shutdown. */
BASE_MUST_USE unsigned rtcp_connection_kill(struct rtcp_connection *c, bool is_freeze);

/* Whether what a call on it moved still counts. Not after a drop: the session may have told its count already, and the
 * peer sends again. After a freeze it does until the last one is out: FROZEN waits for that (P4). */
BASE_MUST_USE bool rtcp_connection_counts(const struct rtcp_connection *c);

/* The reader token: at most one thread takes bytes out, so that their order is that of the stream. */
struct rtcp_reader {
    bool is_taken;
    uint32_t waiting;
};

/* True: the caller reads. False: it was counted as waiting; it sleeps until woken, and then asks with is_again. */
BASE_MUST_USE bool rtcp_reader_take(struct rtcp_reader *r, bool is_again);
/* A thread that waited goes away without the token (its call ended). Orders: WAKE if the token is free for another. */
BASE_MUST_USE unsigned rtcp_reader_forget(struct rtcp_reader *r);
/* Orders: WAKE or 0. */
BASE_MUST_USE unsigned rtcp_reader_give(struct rtcp_reader *r);

/* The writer token: whoever holds it sends ring bytes from the session's `written` on. A ring grows only under it. */
enum rtcp_writer_state {
    RTCP_WRITER_FREE,
    RTCP_WRITER_THREAD,  /* an application thread sends */
    RTCP_WRITER_CONTROL, /* the control thread sends, or waits until the connection is writable */
};

struct rtcp_writer {
    int state;     /* enum rtcp_writer_state */
    bool has_more; /* somebody appended, or a connection was attached, since the holder looked */
};

/* There is something to send. True: the caller holds the token now, and sends. False: somebody else holds it and will
 * look again before it gives the token back. */
BASE_MUST_USE bool rtcp_writer_take(struct rtcp_writer *w, bool is_control);

/* The holder looks at the ring: what comes later sets has_more. Call before reading the session's counts. */
void rtcp_writer_look(struct rtcp_writer *w);

/* The holder has nothing left to send. True: the token is given back. False: there is more, look again. */
BASE_MUST_USE bool rtcp_writer_give(struct rtcp_writer *w);

/* A thread met a full kernel. has_room: its own bytes are all in the ring, so it need not wait; the token goes to the
 * control thread. Else it keeps the token, waits until the connection is writable or dead, and goes on. Orders: CONTROL
 * or 0. */
BASE_MUST_USE unsigned rtcp_writer_blocked(struct rtcp_writer *w, bool has_room);

/* Whether the ring may be replaced by a larger one by whoever asks. */
BASE_MUST_USE bool rtcp_writer_may_grow(const struct rtcp_writer *w, bool is_control);

#endif
