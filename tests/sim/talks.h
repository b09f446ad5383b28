/* Talks: the conversations of the arena of streams. Each is one stream between a client and a server, through the
 * public face; its bytes are a function of the talk, the direction and their offset, so that a reader knows what must
 * come.
 *
 * Owns      what both ends sent, read and were told; what their applications do next.
 * Relies on world.h; rtcp.h. The arena sets how this run is (struct talks) before the first talk.
 * Not here  processes and faults (arena_streams.c), verdicts of the end (talks_judge.h).
 */
#ifndef HOLDFAST_SIM_TALKS_H
#define HOLDFAST_SIM_TALKS_H

#include "rtcp/rtcp.h"
#include "tests/sim/world.h"

#define TALKS_MAX 64

enum talk_side { TALK_CLIENT, TALK_SERVER };

/* One end of a stream. */
struct talk_end {
    struct rtcp_stream *stream; /* NULL: not yet, or over */
    int node;
    uint32_t life; /* of the process that holds it */
    uint64_t sent; /* accepted by rtcp_send */
    uint64_t goal; /* what it wants to send */
    uint64_t received;
    bool has_shut, has_closed, has_aborted;
    bool has_deadline; /* of its closing */
    bool got_end;      /* read the peer's end */
    bool is_over;      /* on_closed */
    int status;
    base_time paused_until; /* reads nothing before */
    base_time quiet_until;  /* sends nothing before */
};

struct talk {
    uint64_t key;
    struct talk_end end[2];
    base_time began;
    bool may_be_refused;
    bool has_wrong_key;
    int generation;   /* of the key that it was opened with; -1: none, or a wrong one */
    bool goes_dark;   /* when it is accepted the network fails for so long that its server forgets it */
    uint32_t binding; /* the address its client had behind its NAT at first */
    uint64_t answer;  /* 0, or its client sends the second half only when it has read so many bytes */
    base_time answer_at;
};

struct talks {
    struct rtcp_endpoint *endpoint[SIM_NODES_MAX]; /* of each process */
    struct rtcp_endpoint *wrong[SIM_NODES_MAX];    /* a second one with a wrong key, or NULL */
    struct talk talk[TALKS_MAX];
    int count;
    uint32_t ring[2];
    bool is_automatic; /* rings that begin small and grow up to that */
    bool has_pages;    /* large writes go by sendfile */
    bool is_long;      /* long enough for what a server forgets after half a minute */
    base_time calm_at; /* when the storm is over */
    bool may_go_dark;
};

extern struct talks talks;

/* The process that holds this end lives. */
bool talks_is_alive(const struct talk_end *e);
/* Options of all streams of one side in this run. */
void talks_options(enum talk_side side, struct rtcp_stream_options *o);
/* A client of the current process opens a stream to a server node at this port. */
void talks_open(int server, int port);
/* For rtcp_listen; user: the number of the server's node. Which talk it is, the first bytes say. */
void talks_on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream);
/* In the process of an end, now and then: readers wake up, closes and aborts happen in the middle. object: the talk;
 * number: the side. */
void talks_stir_end(void *object, uint64_t number);
/* The same, but it only sends. */
void talks_send_more(void *object, uint64_t number);

#endif
