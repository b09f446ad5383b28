/* The objects of the blocking face, shared by its files and nobody else.
 *
 *   blocking.c         the calls of blocking.h: sockets are made, accepted, closed, asked
 *   blocking_face.c    the process's one endpoint: its thread, its lock, fork and exit
 *   blocking_link.c    one TCP connection of a shared stream: who is in it, how it is frozen and dropped
 *   blocking_read.c    what application threads read
 *   blocking_burst.c   what waits for more before it is written
 *   blocking_write.c   what application threads, or the control thread for them, write
 *   blocking_poll.c    waiting for several sockets
 *
 * One lock, that of the face, guards everything of its endpoint: sessions, routes, the registry, the tokens. The
 * control thread holds it while it is awake, but not while it sleeps, sends or receives; application threads hold it
 * for the pure calls of the cores and for nothing that can wait: never over I/O. (One lock per session does not do: a
 * session's calls look at its route, and routes are shared between sessions.) The control thread never waits for an
 * application thread: it leaves orders, and the last one out carries them out.
 *
 * A function here says "locked" when it is called with the lock; "gives the lock back" when it does so in between: then
 * what was read before has to be read again.
 */
#ifndef HOLDFAST_RTCP_BLOCKING_INSIDE_H
#define HOLDFAST_RTCP_BLOCKING_INSIDE_H

#include "rtcp/admin.h"
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/blocking.h"
#include "rtcp/inside_loop.h"
#include "rtcp/tokens.h"

#include <pthread.h>

/* ------------------------------------------------------------------------------------------------ objects */

/* Something that the control thread does for a thread that waits. */
struct rtcp_face;
struct rtcp_command {
    int (*run)(struct rtcp_face *face, void *argument); /* locked; gives 0 or a status */
    void *argument;
    struct rtcp_command *next;
    int status;
    int error; /* errno */
    bool is_done;
};

/* The endpoint of a process, and the thread that runs it. */
struct rtcp_face {
    pthread_mutex_t lock;
    pthread_cond_t done; /* a command was carried out, or a descriptor closed */
    struct ev_loop *loop;
    struct rtcp_endpoint *endpoint;
    struct holdfast_admin *admin; /* NULL: none was asked for */
    pthread_t thread;
    ev_async call;
    bool is_call_wanted; /* send it when the lock is given back */
    struct rtcp_command *commands;
    struct rtcp_socket *posted;     /* streams to be pumped */
    struct rtcp_socket *held;       /* bytes of bursts wait in them */
    struct rtcp_shared_link *links; /* connections whose descriptors are open */
    struct rtcp_shared_link *left;  /* ... and are to be closed */
    bool is_closing;                /* one is being closed, without the lock: no process is forked meanwhile */
    int ends_fd;                    /* an epoll of its own: connections that ended or broke */
    ev_io ends;
};

/* One TCP connection of a shared stream. Freed when its descriptor is closed and no link points here any more. */
struct rtcp_shared_link {
    struct rtcp_connection use;
    struct rtcp_face *face;
    struct rtcp_link *link;     /* NULL: dropped */
    struct rtcp_socket *socket; /* not to be touched once nobody is inside */
    struct rtcp_shared_link *next, *prev;
    struct rtcp_shared_link *next_left; /* nobody is inside: it waits for the control thread to close it */
    bool is_gone;                       /* its descriptor was closed */
    bool is_gentle;
    bool is_greeted; /* handshake bytes are out: the stream may follow */
    bool has_pages;  /* sendfile may write to it: it is non-blocking, and readers wait in poll */
    bool is_eof;     /* the session knows */
    bool is_woken;   /* we shut its reading side down: an end found in it means nothing */
    bool fin_sent;
    uint32_t early_in; /* as in struct rtcp_link: bytes before the peer's CONFIRM, and the CONFIRM */
    size_t confirm_in, proof_size;
    uint8_t proof[RTCP_WIRE_CONFIRM];
};

/* A thread in rtcp_socket_poll, in the list of a socket it waits for. */
struct rtcp_poller {
    int fd; /* eventfd */
    struct rtcp_poller *next;
};

struct rtcp_socket {
    struct rtcp_face *face;
    uint32_t users; /* the handle, the stream or listener, a place in a list, a timer */
    bool is_closed; /* rtcp_socket_close was called */
    bool is_nonblocking;
    base_time read_deadline, write_deadline;
    pthread_cond_t readable, writable; /* what may concern a reader; a writer, a connector, a closer */
    struct rtcp_poller *pollers;

    struct rtcp_stream *stream;    /* NULL: ended, or a listener */
    struct rtcp_shared_link *link; /* carries the stream and is not dead; else NULL */
    struct rtcp_reader reader;
    struct rtcp_writer writer;
    bool in_flight;       /* the session counts bytes as written that may not be in the kernel yet ... */
    uint64_t flight_from; /* ... from here on: they stay as they are, though the peer may have them already */
    bool awaits_landing;  /* somebody has no room because of them */
    bool is_greeted;      /* the opening went out */
    bool was_at_end;      /* the stream ended when everything was read */
    bool keeps_alive;     /* the timer is running */
    ev_timer alarm;       /* wakes a reader whose deadline was set while it was in recv */
    bool wants_alarm;
    struct rtcp_shared_link *reading; /* a thread is in recv on it, without a time limit */
    bool is_timed;                    /* a thread is in poll on a connection, and wake_fd wakes it */
    int wake_fd;                      /* eventfd that wakes it; -1: not made yet */
    int status;                       /* of the end */
    struct rtcp_info info;            /* ... and what was known then */
    char address[RTCP_ADDRESS_TEXT];
    struct rtcp_outbox ring; /* ... if a thread was still sending from it */
    uint8_t *rest;           /* bytes that were not read when it ended */
    size_t rest_size, rest_at;
    struct rtcp_socket *next_posted;
    bool is_posted;
    struct rtcp_socket *next_held, *prev_held; /* sockets with bytes of a burst that wait */
    bool is_held;
    pthread_t held_by; /* the thread that left them */

    bool is_listener;
    struct rtcp_listener *listener;                     /* NULL when it was closed */
    struct rtcp_socket *accepted_first, *accepted_last; /* not yet taken by rtcp_socket_accept */
    struct rtcp_socket *next_accepted;
    int accepted, accepted_max;
};

/* ------------------------------------------------------------------------------------------------ blocking_face.c */

/* The face of this process; started at the first call. 0, BASE_E_NOMEM or BASE_E_SYSTEM. */
BASE_MUST_USE int rtcp_face_get(struct rtcp_face **ret_face);
/* Takes the lock of a socket's face: false in a child process, where the socket is dead. */
BASE_MUST_USE bool rtcp_face_lock(struct rtcp_face *face);
/* Gives it back, and calls the control thread if it is wanted. */
void rtcp_face_unlock(struct rtcp_face *face);
/* Lets the control thread carry something out; locked; gives the lock back. */
BASE_MUST_USE int rtcp_face_run(struct rtcp_face *face, int (*run)(struct rtcp_face *, void *), void *argument);
/* The stream's effects are to be performed, or its timer is late: by the control thread. Locked. */
void rtcp_face_post(struct rtcp_socket *socket);
/* As pthread_cond_wait with the lock, until a time of base_clock_now. False: it has come. */
bool rtcp_face_wait(struct rtcp_face *face, pthread_cond_t *what, base_time until);
void rtcp_face_init_cond(pthread_cond_t *cond);

/* ------------------------------------------------------------------------------------------------ blocking.c */

BASE_MUST_USE struct rtcp_socket *rtcp_socket_new(struct rtcp_face *face);
/* One user less. Locked. */
void rtcp_socket_release(struct rtcp_socket *socket);
/* Something about it changed: wakes everybody who waits. Locked. */
void rtcp_socket_wake(struct rtcp_socket *socket);
/* After a call on the session: what it left pending is posted. Locked. */
void rtcp_socket_settle(struct rtcp_socket *socket, base_time now);
/* Why nothing can be done with it any more, or 0. Locked. */
int rtcp_socket_ended(const struct rtcp_socket *socket);

/* ------------------------------------------------------------------------------------------------ blocking_link.c */

/* The last one out of a connection, or its killer, carries out what tokens.h ordered. Locked; gives the lock back. */
void rtcp_shared_link_order(struct rtcp_shared_link *link, unsigned orders);
/* Closes the connections that everybody left. Locked, on the control thread; gives the lock back. */
void rtcp_shared_link_close_left(struct rtcp_face *face);
/* Gives a use back. Locked; gives the lock back; the connection may be freed. */
void rtcp_shared_link_leave(struct rtcp_shared_link *link);
/* Wakes who reads it, for good. Locked; gives the lock back. */
void rtcp_shared_link_wake_reader(struct rtcp_socket *socket);
/* The connection broke, or ended, in the hands of a thread. Locked. */
void rtcp_shared_link_broke(struct rtcp_shared_link *link, int error, const char *why);
void rtcp_shared_link_eof(struct rtcp_shared_link *link);
/* Nothing more can be read from it because we shut its reading side down to wake a reader: it has to be replaced, where
 * the stream goes on. Locked. */
void rtcp_shared_link_woken(struct rtcp_shared_link *link);
/* Whether what was moved on it still counts in the session. Locked. */
bool rtcp_shared_link_counts(const struct rtcp_shared_link *link);
/* Sets or stops the timer that wakes a reader at its deadline. Locked, on the control thread. */
void rtcp_socket_alarm(struct rtcp_socket *socket);
/* The kernel says that a connection ended or broke (EPOLL* or POLL* bits). Locked. */
void rtcp_shared_link_look(struct rtcp_shared_link *link, uint32_t events);
/* Events of face->ends. Locked. */
void rtcp_shared_link_on_end(struct rtcp_face *face);
/* Makes an accepted or connecting stream a shared one. Locked, on the control thread. */
void rtcp_shared_link_adopt(struct rtcp_socket *socket, struct rtcp_stream *stream);

/* ------------------------------------------------------------------------------------------------ blocking_write.c */

/* Sends ring bytes if nobody else does. True: everything that may go is in the kernel, or somebody else looks after it;
 * false: the kernel is full and the control thread has the token. Locked; gives the lock back. */
bool rtcp_shared_link_send(struct rtcp_socket *socket, bool is_control);
/* Sends what waits for more bytes to be coalesced with. Locked; gives the lock back if there is something. */
void rtcp_socket_push(struct rtcp_socket *socket);

/* ------------------------------------------------------------------------------------------------ blocking_burst.c */

/* Bytes were taken in, `size` of them: whether they wait for more in a burst. Then flush_at says how long. Locked. */
bool rtcp_socket_hold(struct rtcp_socket *socket, base_time now, size_t size);
/* They have left, or never will. Locked. */
void rtcp_socket_let_go(struct rtcp_socket *socket);
/* A thread that is about to wait sends what it left waiting, on whichever socket: what it waits for may depend on it.
 * True: there was something, and the lock was given back meanwhile. Locked. */
bool rtcp_face_push_held(struct rtcp_face *face);

/* ------------------------------------------------------------------------------------------------ blocking_read.c */

/* Whether a call to read returns at once, as far as it can be known without the kernel. Locked. */
bool rtcp_shared_link_has_input(const struct rtcp_socket *socket);
/* The connection that can be read now, or NULL. Locked. */
struct rtcp_shared_link *rtcp_shared_link_readable_link(const struct rtcp_socket *socket);

#endif
