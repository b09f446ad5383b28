/* The session: THE core of the layer. One robust stream, over any number of TCP connections ("attempts").
 *
 *            open            connection n+1                         close, both CLOSEs seen
 *   OPENING ------> OPEN <----------------> (the path, below) ----> CLOSING -----------------> DEAD
 *
 *   path:     DETACHED --attach--> ATTACHED --freeze--> FROZEN --attach (the next)--> ATTACHED
 *                ^                    | broke              | thaw -> ATTACHED, broke -> DETACHED
 *   try:      REST --> CONNECTING --> FREEZING --> ASKING --> REST       (a server: REST --> FREEZING --> REST)
 *
 * Owns      offsets, acknowledgements, freeze and resume, closing; the outbox; every decision about connections.
 * Relies on a driver that performs the effects in order and reports what happened; time and nonces passed in.
 * Not here  sockets, user callbacks; the data path only deals in offsets (sent, received).
 * Protocol  PROTOCOL.md; deviations from the paper are listed there.
 *
 * Split     session.c (birth, data, effects, time), path.c (attempts, freeze), handshake.c (what handshakes say),
 *           control.c (control messages), closing.c (shutdown, close, end), passive.c (without a connection).
 */
#ifndef HOLDFAST_RTCP_SESSION_H
#define HOLDFAST_RTCP_SESSION_H

#include "rtcp/age.h"
#include "rtcp/auth.h"
#include "rtcp/backoff.h"
#include "rtcp/base/rng.h"
#include "rtcp/base/state.h"
#include "rtcp/base/trace.h"
#include "rtcp/outbox.h"
#include "rtcp/pulse.h"
#include "rtcp/route.h"
#include "rtcp/rtcp.h"
#include "rtcp/wire.h"

enum rtcp_life { RTCP_LIFE_OPENING, RTCP_LIFE_OPEN, RTCP_LIFE_CLOSING, RTCP_LIFE_DEAD };
enum rtcp_path { RTCP_PATH_DETACHED, RTCP_PATH_ATTACHED, RTCP_PATH_FROZEN };
enum rtcp_try { RTCP_TRY_REST, RTCP_TRY_CONNECTING, RTCP_TRY_FREEZING, RTCP_TRY_ASKING };

enum rtcp_effect_kind {
    RTCP_EFFECT_CONNECT,  /* begin TCP connection `attempt` to the server */
    RTCP_EFFECT_GREET,    /* write `bytes` on connection `attempt`, then `early` bytes of the ring from its start */
    RTCP_EFFECT_FREEZE,   /* stop reading connection `attempt`, take what fits; then rtcp_session_frozen */
    RTCP_EFFECT_THAW,     /* read connection `attempt` again */
    RTCP_EFFECT_ATTACH,   /* connection `attempt` carries the stream from rtcp_session.written on; `bytes` go first */
    RTCP_EFFECT_DROP,     /* close connection `attempt`; status 1: in order, 0: abortively */
    RTCP_EFFECT_MESSAGE,  /* send the control message `bytes` along the route, or to its source */
    RTCP_EFFECT_PROBE_TO, /* send it to the route's candidate address */
    RTCP_EFFECT_COURIER,  /* client: UDP does not answer, a CONTROL connection to the server should carry messages */
    RTCP_EFFECT_ACCEPTED, /* tell the listener's user */
    RTCP_EFFECT_LINK,     /* tell the user: status 1 up, 0 down */
    RTCP_EFFECT_READABLE,
    RTCP_EFFECT_WRITABLE,
    RTCP_EFFECT_EVIDENCE,   /* status: enum rtcp_evidence */
    RTCP_EFFECT_PROBE_DATA, /* bytes: what the peer's probe carried */
    RTCP_EFFECT_PEER_GONE,  /* the peer process is gone: other sessions with it should look at once */
    RTCP_EFFECT_CLOSED,     /* the last one; status: as in on_closed */
};

#define RTCP_EFFECT_BYTES (RTCP_WIRE_CONTROL_MAX + 4)

struct rtcp_effect {
    enum rtcp_effect_kind kind;
    uint32_t attempt;
    int status;
    bool to_source; /* MESSAGE: answer where the question came from */
    uint32_t early;
    size_t size;
    uint8_t bytes[RTCP_EFFECT_BYTES];
};

/* An effect that waits to be polled; messages are encoded when they are, from the state of that moment. */
struct rtcp_pending {
    enum rtcp_effect_kind kind;
    uint32_t attempt;
    int status;
    bool to_source;
    uint8_t type;        /* of a control message */
    uint16_t message_id; /* CONF */
    uint8_t echo[RTCP_WIRE_ECHO];
};

#define RTCP_PENDING_MAX 32

struct rtcp_session_options {
    bool is_client;
    uint32_t ring;       /* fixed size; 0: automatic */
    uint32_t ring_max;   /* ... up to this; 0: RTCP_RING_CAP */
    uint32_t ring_least; /* ... from this on; 0: RTCP_RING_FIRST. Tests make it small, so that it grows often */
    uint32_t acks;       /* asked of the peer while a ring fills; 0: 4 */
    uint32_t ring_easy;  /* ... at once up to this; 0: RTCP_RING_EASY */
    base_time idle_probe;
    base_time linger_max;
    base_time idle_passivate; /* BASE_NEVER: never by itself */
    base_time orphan_max;     /* server: BASE_NEVER: never ended for want of a client */
    bool retry_refused;
    uint32_t addresses; /* client: of the server, tried in turn; all refuse before the opening is refused */
    bool may_send_early;
    uint64_t name;        /* client: expected, 0 any; server: own */
    uint64_t incarnation; /* of this endpoint */
    uint32_t id;          /* in this endpoint's id space; a server's CID */
    uint64_t seed;
    uint64_t first_offset; /* of both directions: 0, but tests start near a wrap (P1) */
    uint8_t nonce[RTCP_WIRE_NONCE];
    const struct rtcp_auth_shared *shared;         /* outlives the session */
    const struct base_ringmem_source *ring_source; /* outlives the session */
    const struct base_trace *trace;                /* outlives the session */
};

/* The one flagged message that may be out per direction (P3). */
struct rtcp_reliable {
    uint8_t type; /* 0: none */
    uint16_t id;
    uint32_t attempt; /* WAKE, PASSIVE */
    base_time due;
    base_time gap;
};

/* Bytes on their way into the kernel, and the counts from before. */
struct rtcp_flight {
    uint32_t attempt;
    uint64_t written, written_max, repeated;
};

struct rtcp_session {
    struct rtcp_session_options opt;
    struct base_rng rng;
    int life;
    int path;
    int trying; /* enum rtcp_try */

    /* Who is who. */
    uint32_t cid;
    uint32_t peer_id;       /* connection id to write into control messages */
    uint16_t peer_udp_port; /* as the last handshake told it; wrong behind NAT, an echo corrects it */
    uint64_t peer_incarnation;
    uint64_t peer_name;
    uint8_t client_nonce[RTCP_WIRE_NONCE];
    uint8_t server_nonce[RTCP_WIRE_NONCE];
    struct rtcp_auth_keys keys;
    uint8_t request_nonce[RTCP_WIRE_NONCE]; /* of the attempt in progress */
    bool is_confirmed;
    bool was_accepted; /* server: the user knows it */

    /* Bytes. */
    struct rtcp_outbox out;
    uint64_t written;     /* next offset to give to the live connection */
    uint64_t written_max; /* highest offset ever given to one */
    uint64_t repeated;
    uint64_t received; /* bytes copied out of the kernel */
    base_time told_at; /* when an acknowledgement that nobody had asked for told it */
    uint64_t told;     /* count in our last acknowledgement */
    uint32_t peer_ring;
    uint32_t told_ring;     /* what we told of ours last */
    base_time oldest_at;    /* about when the oldest unacknowledged byte was taken */
    uint64_t oldest_upto;   /* bytes below were there at that time */
    struct rtcp_age age;    /* of them all */
    base_time full_since;   /* 0: the ring has room */
    uint64_t asked_full_at; /* 1 + the acknowledged count when a full ring asked last; 0: it never did */
    base_time received_at;
    bool wants_room;        /* the user was told AGAIN */
    bool was_tight;         /* it did not hold all that was to be taken, since it has memory */
    uint64_t turns_from;    /* the ring's turns are counted from this offset */
    base_time turns_since;  /* ... and this time */
    base_time no_memory_at; /* the ring could not get memory; 0: it could */
    bool is_reserved;       /* somebody may be writing into the free room: it stays where it is */
    bool may_rest;          /* empty for long enough: rtcp_session_rest gives the memory back */

    /* Connections. */
    uint32_t live;    /* attempt that is attached or frozen; 0: none */
    uint32_t attempt; /* the newest attempt begun (client) or answered (server) */
    uint32_t connections;
    bool is_thawable;
    bool wants_new;    /* client: replace the live connection */
    bool was_unheard;  /* client: this connection was replaced once because nothing ever answered */
    bool must_replace; /* ... for a reason that bytes on the move do not take away */
    bool early_spent;  /* client: an OPEN with early bytes was written */
    uint32_t early_written;
    base_time try_deadline;
    base_time try_started;
    base_time attached_at;
    base_time detached_at;
    base_time eof_at;              /* the live connection ended without a close; 0: it did not */
    base_time mismatch_at;         /* server: since when replies name another attempt; 0: they do not */
    uint64_t asked_count;          /* server: count of the RESUME that is being taken */
    bool asked_shut, asked_closed; /* client: flags of the RESUME that is out */
    struct rtcp_backoff backoff;

    /* Without a connection, by agreement (passive.c). */
    bool wants_passive; /* PASSIVE is to be said when nothing is under way */
    bool is_passive;    /* the connection was let go */
    bool is_doubtful;   /* client: passive, but its route is silent: try */
    uint32_t let_go;    /* attempt that is or was let go */
    base_time wished_at;
    base_time used_at; /* last byte or connection */

    /* Signs of the peer. */
    struct rtcp_route *route; /* set by the driver when it attaches; NULL before */
    struct rtcp_pulse pulse;
    base_time heard_at;   /* last authentic message */
    base_time contact_at; /* last sign of any kind, for lingering */
    base_time reqack_at;  /* next one; BASE_NEVER: none */
    base_time reqack_gap;
    uint64_t kernel_holds; /* last observation of the driver */
    uint32_t kernel_unread;
    int evidence;
    bool has_probe_data;
    uint8_t probe_data[RTCP_WIRE_PROBE_DATA];
    uint8_t peer_probe_data[RTCP_WIRE_PROBE_DATA];

    /* Closing. */
    bool shut;   /* our bytes end at out.upto */
    bool closed; /* the application closed */
    bool aborted;
    bool is_complete; /* both CLOSEs were seen */
    bool half_conf, close_conf, reset_conf;
    bool peer_shut, peer_closed;
    uint64_t peer_final;
    base_time closed_at;
    base_time close_deadline; /* of rtcp_close_within; BASE_NEVER: none */
    bool lingers_for_ever;    /* until the last byte is acknowledged, however long without contact */
    base_time complete_at;
    base_time tell_at;
    bool is_told_by_answer; /* client: the server's CLOSE came with a handshake, before any datagram brought it */
    bool tells_again;       /* client: complete, but the server may not know: one more handshake tells it */
    struct rtcp_reliable reliable;
    uint16_t next_message_id;
    uint32_t wake;  /* server: attempt to be replaced; 0: none */
    uint32_t woken; /* client: attempt under way that the server, which has it, wants replaced already; 0: none */
    int end;        /* status of the end */

    uint64_t acks_stale;
    uint64_t messages_dropped;

    struct rtcp_pending pending[RTCP_PENDING_MAX];
    unsigned pending_first, pending_count;
};

/* ---- birth (session.c) */

/* A client's session; its first effect is CONNECT. 0, BASE_E_RANGE, BASE_E_NOMEM. */
BASE_MUST_USE int rtcp_session_open(struct rtcp_session *s, const struct rtcp_session_options *opt, base_time now);

/* A server's session, made for an authentic OPEN; its first effects are GREET with ACCEPT, then (without a pre-shared
 * key, or with early bytes under one) ATTACH and ACCEPTED. */
BASE_MUST_USE int rtcp_session_accept(struct rtcp_session *s, const struct rtcp_session_options *opt, base_time now,
                                      const struct rtcp_wire_request *open);

/* Frees the ring. Any state. Opening and accepting take no ring memory: the first byte does. */
void rtcp_session_deinit(struct rtcp_session *s);

/* ---- data (session.c) */

/* Takes bytes into the ring: the count, BASE_E_AGAIN or BASE_E_CLOSED. No memory for a ring is AGAIN, too: nothing is
 * lost, and WRITABLE comes when it pays to try again. */
BASE_MUST_USE int64_t rtcp_session_append(struct rtcp_session *s, base_time now, struct base_bytes bytes);
BASE_MUST_USE int rtcp_session_reserve(struct rtcp_session *s, base_time now, struct base_span *ret_room);
BASE_MUST_USE int rtcp_session_commit(struct rtcp_session *s, base_time now, size_t size);

/* Bytes that could be taken now, growth included. */
size_t rtcp_session_room(const struct rtcp_session *s, base_time now);

/* Makes the ring larger if `size` more bytes do not fit and the rules of growth allow it (PROTOCOL.md "Rings"); the
 * driver calls it before append and reserve, when nobody reads bytes of the ring: they move. No memory: nothing
 * happens. */
void rtcp_session_grow(struct rtcp_session *s, base_time now, size_t size);

/* Gives the memory of an idle ring back, if it is idle; the driver calls it after expire, when nobody reads or writes
 * bytes of the ring. */
void rtcp_session_rest(struct rtcp_session *s);

/* How many of `size` bytes append would take now, if those may also leave at once by connection `attempt`, as nothing
 * waits before them; else 0. The driver may give them to the kernel from where they lie, and append them after. */
size_t rtcp_session_passing(const struct rtcp_session *s, uint32_t attempt, size_t size);

/* The next bytes for connection `attempt`; empty when there are none, or when it may not carry any. */
struct base_bytes rtcp_session_next(const struct rtcp_session *s, uint32_t attempt);

/* `size` bytes of rtcp_session_next were given to the kernel. */
void rtcp_session_sent(struct rtcp_session *s, base_time now, size_t size);

/* As rtcp_session_sent, before the call that gives `size` bytes to the kernel: threads share the session, and the
 * peer's acknowledgement may be handled before that call has returned. Then what the kernel really took. */
void rtcp_session_depart(struct rtcp_session *s, size_t size, struct rtcp_flight *ret_flight);
void rtcp_session_landed(struct rtcp_session *s, const struct rtcp_flight *flight, size_t taken);

/* The early bytes that GREET asked for are going out: `size` of them were given to the kernel. */
void rtcp_session_sent_early(struct rtcp_session *s, size_t size);

/* Whether the connection should be shut down for writing now: all bytes are written and there will be no more. */
bool rtcp_session_is_fin_due(const struct rtcp_session *s);

/* `size` bytes were copied out of the live connection (C1: they count from now on). */
void rtcp_session_received(struct rtcp_session *s, base_time now, size_t size);

/* Whether every byte of the peer was received and it will send no more. */
bool rtcp_session_is_at_end(const struct rtcp_session *s);

/* Bytes that may still be taken out of a connection that is being replaced, given `held` in the waiting buffer. */
size_t rtcp_session_may_hold(const struct rtcp_session *s, size_t held);

/* ---- connections (path.c) */

/* The driver found the route to the peer, after ATTACH: control messages may go out from now on. NULL: there is none
 * any more. */
void rtcp_session_routed(struct rtcp_session *s, base_time now, struct rtcp_route *route);

void rtcp_session_connected(struct rtcp_session *s, base_time now, uint32_t attempt);

/* A connection died or an attempt failed; evidence: enum rtcp_evidence or -1. */
void rtcp_session_broke(struct rtcp_session *s, base_time now, uint32_t attempt, int evidence, const char *why);

/* recv said 0 on the live connection. */
void rtcp_session_eof(struct rtcp_session *s, base_time now, uint32_t attempt);

/* The driver did what FREEZE asked for. */
void rtcp_session_frozen(struct rtcp_session *s, base_time now, uint32_t attempt, bool is_thawable);

/* Client: a whole answer arrived on connection `attempt`; raw is the message as it stood. */
void rtcp_session_answered(struct rtcp_session *s, base_time now, uint32_t attempt, struct base_bytes raw);

/* Writes the UDP port into the bytes of a GREET effect and signs them; at once after polling it. The driver alone knows
 * which port belongs to the connection's address family. */
void rtcp_session_sign(const struct rtcp_session *s, struct rtcp_effect *e, uint16_t udp_port);

/* Client: the request for a CONTROL connection, in the name of this session, and whether `raw` is its answer. The
 * request puts the proof of a pre-shared key into the nonce. */
void rtcp_session_control_request(const struct rtcp_session *s, uint8_t nonce[RTCP_WIRE_NONCE],
                                  uint8_t out[RTCP_WIRE_REQUEST]);
bool rtcp_session_is_control_answer(const struct rtcp_session *s, const uint8_t nonce[RTCP_WIRE_NONCE],
                                    struct base_bytes raw);

/* Server: what rtcp_session_asked decided. */
enum rtcp_asked {
    RTCP_ASKED_TAKEN,   /* GREET for this attempt comes among the effects */
    RTCP_ASKED_STALE,   /* an older attempt than the newest: drop it, say nothing */
    RTCP_ASKED_FORGED,  /* the tag is wrong: nothing was changed */
    RTCP_ASKED_REFUSED, /* *ret_reason, under the session's key */
};

/* Server: an OPEN of the same nonce again, or a RESUME. */
enum rtcp_asked rtcp_session_asked(struct rtcp_session *s, base_time now, const struct rtcp_wire_request *request,
                                   struct base_bytes raw, uint8_t *ret_reason);

/* Server with a pre-shared key: the 16 bytes behind the OPEN's early bytes. BASE_E_PROTOCOL: drop the connection. */
BASE_MUST_USE int rtcp_session_confirmed(struct rtcp_session *s, base_time now, uint32_t attempt,
                                         const uint8_t tag[RTCP_WIRE_CONFIRM]);

/* A new connection in the place of the live one, now; without one: an attempt now. 0 or BASE_E_CLOSED. */
BASE_MUST_USE int rtcp_session_replace(struct rtcp_session *s, base_time now);

/* A sign that trying may pay now: an ICMP message, a change of address, news of another session with the same peer. */
void rtcp_session_hint(struct rtcp_session *s, base_time now, int evidence);

/* Somebody at the server's address who may be anybody refuses to carry control messages, or nobody listens there: where
 * nothing was heard for long, the connection may lead to a session that is no more. */
void rtcp_session_doubt(struct rtcp_session *s, base_time now);

/* A link, an address or a route of this machine came up: a probe, and an attempt if one is waited for. */
void rtcp_session_network_changed(struct rtcp_session *s, base_time now);

/* ---- control messages (control.c) */

/* What the kernel holds of our bytes unacknowledged and of the peer's unread; to be called before a probe, a reply or
 * an expiry is passed in, with a live connection. */
void rtcp_session_observe(struct rtcp_session *s, base_time now, uint64_t kernel_holds, uint32_t kernel_unread);

/* A control message with this session's id came from `from`. 0; BASE_E_PROTOCOL: forged or impossible, nothing was
 * changed but a counter. */
BASE_MUST_USE int rtcp_session_control(struct rtcp_session *s, base_time now, const struct rtcp_wire_control *c,
                                       const struct rtcp_address *from);

/* A probe now, along the route or to its candidate. */
void rtcp_session_ask(struct rtcp_session *s, base_time now, bool to_candidate);

/* The route leads another way now: what was said along the former one may be lost, so it is said again. */
void rtcp_session_rerouted(struct rtcp_session *s, base_time now);

/* New bytes for probes, and a probe now. */
void rtcp_session_set_probe_data(struct rtcp_session *s, base_time now, const uint8_t data[RTCP_WIRE_PROBE_DATA]);

/* ---- closing (closing.c) */

BASE_MUST_USE int rtcp_session_shutdown(struct rtcp_session *s, base_time now);
void rtcp_session_close(struct rtcp_session *s, base_time now, bool is_abort);

/* Since when nothing was heard of the peer, by this session or on its route. */
base_time rtcp_session_silent_since(const struct rtcp_session *s);

/* How long a background close may take; before or after it, the last word counts. deadline: an instant, BASE_NEVER for
 * none; then the session ends with EXPIRED. for_ever: the linger limit begins when the last byte was acknowledged. */
void rtcp_session_linger(struct rtcp_session *s, base_time deadline, bool for_ever);

/* ---- passivation (passive.c) */

/* Lets the connection go as soon as nothing is under way: the session goes on without one until it is used. 0 (also
 * when it is passive already), or BASE_E_CLOSED when an end was said here or by the peer. */
BASE_MUST_USE int rtcp_session_passivate(struct rtcp_session *s, base_time now);

/* ---- time and effects (session.c) */

void rtcp_session_expire(struct rtcp_session *s, base_time now);
base_time rtcp_session_deadline(const struct rtcp_session *s);
bool rtcp_session_poll(struct rtcp_session *s, struct rtcp_effect *ret_effect);

/* Acknowledged bytes: everything below was read by the peer. */
static inline uint64_t rtcp_session_acked(const struct rtcp_session *s)
{
    return s->out.first;
}

#endif
