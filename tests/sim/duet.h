/* A model of two session cores, client and server, around one stream: small enough to be explored. Every connect, every
 * handshake, every byte, every datagram, every break and every timer is one action of its own.
 *
 * Owns      both sessions, their connections as two queues of bytes, the datagrams that are out, the applications, and
 *           all their memory in one piece, so that a state can be put aside and taken again.
 * Relies on rtcp/session.h; with threads also on rtcp/tokens.h (duet_threads.c). It begins with an open stream.
 * Not here  which actions are chosen: breadth first (explore_rtcp_main.c) or at random (arena_duet.c); the opening.
 *
 * Checked after every action: C1 each byte once, in order; C7 nothing leaves an outbox that was not received; C8 and P5
 * no end is invented, and a session is done only when everything was received; I2 one readable connection a side, I3 no
 * count is told while there is one; no honest message is refused; a session without a connection by agreement has
 * nothing to say and makes none; and on request that the session is not stuck.
 */
#ifndef HOLDFAST_SIM_DUET_H
#define HOLDFAST_SIM_DUET_H

#include "rtcp/base/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DUET_ACTIONS_MAX 128

enum duet_kind {
    DUET_CONNECTED, /* connection a is made */
    DUET_UNMADE,    /* connection a is refused */
    DUET_REQUEST,   /* the server reads the request on connection a */
    DUET_ANSWER,    /* the client reads the answer on connection a */
    DUET_WRITE,     /* side a gives one byte to its connection */
    DUET_READ,      /* side a takes one byte out of it */
    DUET_FROZEN,    /* side a has frozen it; b: to be thawed */
    DUET_BREAK,     /* connection a carries nothing any more, and nobody is told */
    DUET_RESET,     /* side a hears of the end of connection b */
    DUET_ENDED,     /* side a reads an end of file on connection b */
    DUET_DELIVER,   /* datagram b of side a arrives */
    DUET_REPEAT,    /* ... and will arrive once more */
    DUET_REPLACE,   /* the client wants another connection though this one lives */
    DUET_EXPIRE,    /* time passes at side a, up to its next deadline */
    DUET_APPEND,    /* the application of side a sends one byte */
    DUET_SHUTDOWN,
    DUET_CLOSE,
    DUET_ABORT,
    DUET_STEP, /* thread b of side a does its next step (duet_threads.c) */

    /* What the explorer alone does. */
    DUET_PASSIVATE, /* the application of side a needs no connection for now */
    DUET_RENEW,     /* the application of side a wants another connection, as planned */
    DUET_HURRY,     /* the application of side a closes, and gives it little time */
    DUET_NEWS,      /* side a hears news, b: enum duet_news */
};

enum duet_news {
    DUET_NEWS_NETWORK, /* a link or an address came up */
    DUET_NEWS_PEER,    /* another session met the same peer */
    DUET_NEWS_ROUTE,   /* messages go another way now */
    DUET_NEWS_COUNT,
};

struct duet_action {
    uint8_t kind, a, b;
    uint8_t amount; /* of bytes beyond one, where more may move at once */
};

struct duet_limits {
    int breaks, expires, repeats, replaces;
    int bytes[2]; /* that the applications send */
    int shutdowns, closes, aborts;
    int passivates, renews, hurries, news;
    int packets;         /* datagrams of a side that are out: with one more the oldest is lost */
    uint32_t ring;       /* of both */
    bool has_threads[2]; /* else the side is event-driven */
};

/* Both sides have an open stream, nothing is on its way. */
void duet_begin(const struct duet_limits *limits);
/* What can happen next; at most DUET_ACTIONS_MAX. */
size_t duet_actions(struct duet_action *ret_actions);
/* Lets it happen. NULL, or the property that is broken then. */
const char *duet_apply(struct duet_action action);
/* From here on nothing goes wrong any more and both applications close when they have read everything: NULL when both
 * sessions end in bounded time, else what is broken. is_told: ends hear of broken connections; else they find out. */
const char *duet_heal(bool is_told);
/* Two states with the same number are taken for one. */
uint64_t duet_number(void);
void duet_describe(char *text, size_t size, struct duet_action action);
/* The states of both sides in a few lines. */
void duet_print_state(void *file);
/* Bytes that applications read so far. */
uint64_t duet_delivered(void);

/* What both sessions tell goes there from now on; NULL: nowhere. */
void duet_watch(void *user, void (*emit)(void *user, const struct base_event *event));

/* All of it: one piece of memory without gaps of meaning, always at this address. */
void *duet_memory(size_t *ret_size);

#endif
