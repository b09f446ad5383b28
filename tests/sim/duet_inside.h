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
    bool is_over;
    int status;
    int live, trying;                        /* connections, or DUET_NONE */
    uint64_t read;                           /* by the application */
    struct duet_packet packet[DUET_PACKETS]; /* on their way to the other side, oldest first */
    int packets;
    uint8_t ring[DUET_RING];
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

/* ---- duet.c */

void duet_break_property(const char *what);
uint8_t duet_byte(int side, uint64_t offset);
/* The connection of an attempt that a side holds, or DUET_NONE. */
int duet_conn_of(int side, uint32_t attempt);
/* The owner of an end closes it. */
void duet_close_end(int conn, int side, bool is_gentle);
/* Performs what the session wants done. */
void duet_pump(int side);
/* What must always be true. */
void duet_look(void);

/* What the actions of duet.h do; each is possible when it is called. */
void duet_connected(int conn);
void duet_request(int conn);
void duet_answer(int conn);
void duet_deliver(int from, int place, bool is_repeated);
void duet_write(int side);
void duet_read(int side);
/* The session is told what its kernel holds; before probes, replies and expiries. */
void duet_observe(int side);

#endif
