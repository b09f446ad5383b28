/* What the rooms of the hostile fuzzer share: the script, the endpoint under test with its loop, and its peer.
 *
 * Owns      nothing: rtcp_hostile_fuzz.c reads the script, rtcp_hostile_world.c holds the endpoint,
 * rtcp_hostile_witness.c an honest client of it, rtcp_hostile_peer.c what the hostile peer says, rtcp_hostile_lines.c
 * its sockets. Relies on rtcp/inside_loop.h: the peer looks up counts, keys and ids in the sessions instead of parsing
 * answers.
 */
#ifndef HOLDFAST_TESTS_FUZZ_RTCP_HOSTILE_H
#define HOLDFAST_TESTS_FUZZ_RTCP_HOSTILE_H

#include "rtcp/inside_loop.h"

#define HOSTILE_STREAMS 16 /* limit of the endpoint */
#define HOSTILE_LINES   48 /* connections of the peer at once; less than the backlog */
#define HOSTILE_BURST   16 /* connections or datagrams of one step */
#define HOSTILE_CLIENTS 4  /* parts that the peer plays: clients .. */
#define HOSTILE_PARTS   6  /* .. and servers that the endpoint dials */
#define HOSTILE_IPS     3  /* 127.0.0.1 .. 127.0.0.3 */
#define HOSTILE_KEYS    4  /* none, two right ones, other bytes under the id of the first */

/* The input, read from its beginning; 0 behind its end. */
struct hostile_script {
    const uint8_t *at, *end;
};

uint8_t hostile_byte(struct hostile_script *s);

/* ------------------------------------------------------------------------------------------------ the endpoint */

struct hostile_world;

struct hostile_slot {
    struct hostile_world *world;
    struct rtcp_stream *stream; /* NULL: free */
    bool is_given_up;           /* closed here: only on_closed may be called */
};

/* A client that means well; endpoint NULL: there is none. */
struct hostile_witness {
    struct rtcp_endpoint *endpoint;
    struct rtcp_stream *stream;
    struct hostile_slot *served; /* the other end; nobody else touches it. NULL while it opens */
    uint64_t sent, read;
};

struct hostile_world {
    struct ev_loop *loop;
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener; /* NULL: closed */
    uint16_t port;                  /* of the newest listener */
    unsigned listeners;             /* so far */
    struct hostile_slot slot[HOSTILE_STREAMS];
    struct hostile_slot *dialled[HOSTILE_PARTS]; /* streams opened here, by the part that is to answer */
    uint8_t mode;                                /* keys, and options of the listener */
    uint8_t at_accept, at_readable;              /* what callbacks do */
    struct hostile_witness witness;
    unsigned handled; /* events of the turn */
};

/* The script begins with the mode and what callbacks do. */
void hostile_world_init(struct hostile_world *w, struct hostile_script *s);
/* Ends everything; nothing is left behind. */
void hostile_world_deinit(struct hostile_world *w);
/* Runs the loop until it is quiet, with a limit, and looks whether everything fits together. */
void hostile_world_turn(struct hostile_world *w);
/* The clock stands still but for this. */
void hostile_world_pass(struct hostile_world *w, base_time span);
/* A call of the application, on a stream or on the endpoint. */
void hostile_world_step(struct hostile_world *w, struct hostile_script *s, uint16_t peer_port);

/* Its stream is the first one that is accepted. */
void hostile_witness_init(struct hostile_world *w, const struct rtcp_key *keys, size_t count, size_t current);
void hostile_witness_send(struct hostile_world *w);
void hostile_witness_read(struct hostile_witness *h, struct rtcp_stream *stream);
/* Everything must come through; then it goes. */
void hostile_witness_judge(struct hostile_world *w);

/* Bytes of the keys by number, 1 .. HOSTILE_KEYS - 1. */
struct rtcp_key hostile_key(unsigned number);

/* ------------------------------------------------------------------------------------------------ the peer */

struct hostile_line {
    int fd; /* -1: free */
    uint8_t part;
};

struct hostile_part {
    bool is_known; /* a session was seen */
    uint8_t key;
    uint64_t incarnation;
    uint32_t control_id;
    uint8_t nonce[RTCP_WIRE_NONCE];
    struct rtcp_session seen; /* as it was last; what it points at may be gone */
};

struct hostile_peer {
    struct hostile_world *world;
    struct hostile_line line[HOSTILE_LINES];
    unsigned next_line;
    int udp[HOSTILE_IPS];
    uint16_t udp_port[HOSTILE_IPS];
    int listener;
    uint16_t port; /* of it */
    struct hostile_part part[HOSTILE_PARTS];
    uint32_t fresh; /* counts nonces */
};

struct sockaddr_in hostile_loopback(unsigned host, uint16_t port);
/* A connection to the endpoint from 127.0.0.1 + host, for a part; the oldest one makes room. NULL: nobody is there. */
struct hostile_line *hostile_line_dial(struct hostile_peer *p, uint8_t part, unsigned host);
/* The n-th latest connection of a part, or NULL. */
struct hostile_line *hostile_line_of(struct hostile_peer *p, uint8_t part, unsigned n);
/* Writes what fits; line may be NULL. */
void hostile_line_say(const struct hostile_line *line, const uint8_t *bytes, size_t size);
/* Writes some of it, lets the endpoint see that, and writes the rest or does not. */
void hostile_line_say_cut(struct hostile_peer *p, struct hostile_script *s, const struct hostile_line *line,
                          const uint8_t *bytes, size_t size);
/* Takes the connections that the endpoint made, for a part. */
void hostile_line_take(struct hostile_peer *p, uint8_t part);
/* The request that waits to be read on it, if there is one; it goes on waiting. */
bool hostile_line_asked(const struct hostile_line *line, struct rtcp_wire_request *ret);
/* Ends a connection, in order or not. */
void hostile_line_hang_up(struct hostile_peer *p, struct hostile_script *s);
/* Reads what came, at most a little of it: a peer that does not is a slow one. */
void hostile_line_listen(struct hostile_peer *p);

void hostile_peer_init(struct hostile_peer *p, struct hostile_world *w);
void hostile_peer_deinit(struct hostile_peer *p);
/* Learns what became of the sessions. */
void hostile_peer_look(struct hostile_peer *p);
/* Something a peer may do. */
void hostile_peer_step(struct hostile_peer *p, struct hostile_script *s);

#endif
