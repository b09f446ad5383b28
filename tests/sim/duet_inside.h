/* What the files of the model share with each other and with nobody else.
 *
 * Owns      the shape of the world of duet.h.
 * Relies on rtcp's cores.
 * Not here  actions from outside: duet.h.
 */
#ifndef HOLDFAST_SIM_DUET_INSIDE_H
#define HOLDFAST_SIM_DUET_INSIDE_H

#include "rtcp/session.h"
#include "rtcp/tokens.h"
#include "rtcp/tombstone.h"
#include "tests/sim/duet.h"

#define DUET_CONNS   6
#define DUET_PACKETS 8
#define DUET_KERNEL  24 /* bytes a connection holds in one direction */
#define DUET_RING    64
#define DUET_NONE    (-1)
#define DUET_THREADS 5 /* of a side: control, two readers, two writers */
#define DUET_FDS     8
#define DUET_WAITING 128
#define DUET_CHUNK   8 /* bytes that a thread moves at once */

enum duet_end {
    DUET_END_NONE,
    DUET_END_CONNECTING,
    DUET_END_ASKED,   /* server: nobody has read the request yet */
    DUET_END_WAITING, /* client: for the answer; server: for its session's decision */
    DUET_END_STREAM,
    DUET_END_FREEZING,
    DUET_END_FROZEN,
    DUET_END_CLOSED,
};

/* One direction of a connection. */
struct duet_flow {
    uint8_t head[RTCP_WIRE_REQUEST]; /* a handshake */
    bool has_head;
    bool fin;
    bool rst;
    uint8_t data[DUET_KERNEL];
    uint8_t size;
    uint64_t at;    /* offset of the first byte in it */
    uint32_t holds; /* bytes that the writer's kernel will never get rid of */
};

struct duet_conn {
    bool is_used;
    bool is_broken;
    uint32_t attempt;
    uint8_t end[2];           /* enum duet_end */
    bool is_eof[2];           /* the end has read an end of file */
    struct duet_flow flow[2]; /* [i] is written by side i */

    /* With threads: what the kernel knows of each end, and who is in it. */
    int8_t fd[2]; /* 0: none */
    bool has_token[2];
    bool is_shut[2], is_shut_rd[2], is_reset[2], is_ended[2];
    bool is_gentle[2];
    struct rtcp_connection token[2];
};

/* A thread of a side, between two locks or system calls. */
struct duet_thread {
    uint8_t at, after; /* enum in duet_threads.c */
    bool is_asleep, is_queued;
    int8_t conn, fd;
    uint32_t attempt;
    unsigned orders;
    int n;         /* what the last system call said */
    uint32_t left; /* bytes that a call to send has still to take */
    uint32_t size;
    const uint8_t *from; /* ring bytes that go out */
    uint8_t bytes[DUET_CHUNK];
    struct rtcp_flight flight;
};

struct duet_packet {
    uint16_t size;
    uint8_t bytes[RTCP_WIRE_CONTROL_HEADER + 24 + RTCP_WIRE_CONTROL_TAG];
};

struct duet_side {
    struct rtcp_session session;
    struct rtcp_route route;
    struct rtcp_tombstone grave;
    base_time now;
    base_time until;     /* the application gives its close so long; 0: as long as it takes */
    bool wants_newer;    /* the application asked for another connection, and none was made since ... */
    uint32_t newer_than; /* ... but this one */
    bool is_over;
    int status;
    int live, trying;                        /* connections, or DUET_NONE */
    uint64_t read;                           /* by the application */
    struct duet_packet packet[DUET_PACKETS]; /* on their way to the other side, oldest first */
    int packets;
    uint8_t ring[DUET_RING];

    /* With threads. */
    bool has_threads;
    struct duet_thread thread[DUET_THREADS];
    struct rtcp_reader reader;
    struct rtcp_writer writer;
    bool wants_flush, wants_wake; /* of the control thread */
    int8_t owner[DUET_FDS + 1];   /* of a descriptor: 1 + connection; 0: it is free */
    uint8_t waiting[DUET_WAITING];
    uint32_t waiting_size;
};

struct duet_world {
    struct duet_limits left;
    struct duet_side side[2];
    struct duet_conn conn[DUET_CONNS];
    struct rtcp_auth_shared shared;
    bool is_healing;
    const char *broken;
};

extern struct duet_world duet;

/* Actions that are possible. */
struct duet_list {
    struct duet_action *at;
    size_t count;
};

/* ---- duet.c */

void duet_break_property(const char *what);
/* What threads met, into the trace of duet_watch: the tests count it. */
void duet_tell(int side, const char *what, const char *why);
uint8_t duet_byte(int side, uint64_t offset);
/* The connection of an attempt that a side holds, or DUET_NONE. */
int duet_conn_of(int side, uint32_t attempt);
/* The owner of an end closes it. */
void duet_close_end(int conn, int side, bool is_gentle);
/* Performs what the session wants done; with threads that is the control thread's, one after the other. */
void duet_pump(int side);
void duet_perform_one(int side);
/* What must always be true. */
void duet_look(void);

/* What the actions of duet.h do; each is possible when it is called. */
void duet_connected(int conn);
void duet_request(int conn);
void duet_answer(int conn);
void duet_deliver(int from, int place, bool is_repeated);
void duet_write(int side);
void duet_read(int side);

/* ---- duet_act.c */

void duet_add(struct duet_list *l, enum duet_kind kind, int a, int b);

/* ---- duet_wish.c: what the application of a side may ask for, and that it does */

void duet_add_wishes(struct duet_list *l, int side);
void duet_wish(int side, enum duet_kind kind);
/* What others tell a side. */
void duet_add_news(struct duet_list *l, int side);
void duet_hear_news(int side, enum duet_news news);

/* ---- duet_threads.c: the same with threads, by the product's own rules */

/* After the opening: the side goes on with threads. */
void duet_threads_begin(int side);
/* Descriptors are given out, lowest number first, and taken back. */
void duet_threads_open(int side, int conn);
void duet_threads_shut(int side, int conn);
/* A session wants a connection frozen or dropped. */
void duet_threads_kill(int side, int conn, bool is_freeze, bool is_gentle);
void duet_threads_attached(int side, int conn);
/* Applications and effects: somebody may have something to do. */
void duet_threads_wake(int side);
bool duet_threads_may(int side, int thread);
void duet_threads_step(int side, int thread, unsigned amount);
/* The control thread waits for nothing but the network and the time. */
bool duet_threads_is_idle(int side);
/* Nobody sleeps beside what it waits for. */
void duet_threads_look(int side);
/* Nobody holds anything any more; else what is wrong. */
const char *duet_threads_left(int side);
/* What was counted was given to the application. */
bool duet_threads_is_read(int side);

/* The session is told what its kernel holds; before probes, replies and expiries. */
void duet_observe(int side);

#endif
