/* rtcp: robust TCP. A bidirectional byte stream with the service of TCP that never breaks because of the network.
 *
 * A stream outlives every TCP connection that carries it: it reconnects and delivers every byte exactly once, in order.
 * It ends when an application ends it, or on proof that the peer process is gone; no timer ends it. (Ekwall, Urban,
 * Schiper, "Robust TCP Connections for Fault-Tolerant Distributed Computing"; wire and states: rtcp/PROTOCOL.md.)
 *
 * This is the event-driven face: everything runs on the caller's ev_loop. No thread is made but one for
 * each lookup of a name, which ends with it.
 *
 * Rules that hold for every function and callback here:
 *   thread     the thread of the endpoint's loop only.
 *   callbacks  run from the loop, never from inside a call of yours; any function may be called from any callback,
 *              also rtcp_close on the stream that is calling. A callback left NULL is not called.
 *   ownership  options, addresses and bytes are copied during the call; handles belong to the library and stay valid
 *              until the callback named at the call that made them.
 *   options    begin with what the _default function of the struct fills in: zeros are not the defaults, and some of
 *              them are out of range. NULL for a pointer to options: the defaults.
 *   errors     0 (or a count) on success, else a negative code of base/status.h; base_status_text() says what to do.
 *              On failure nothing was changed unless the call says so.
 */
#ifndef HOLDFAST_RTCP_H
#define HOLDFAST_RTCP_H

#include "rtcp/base/bytes.h"
#include "rtcp/base/status.h"
#include "rtcp/base/time.h"
#include "rtcp/base/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTCP_API __attribute__((visibility("default")))

#define RTCP_PROBE_DATA_SIZE 32  /* opaque bytes that a probe carries */
#define RTCP_NAME_MAX        255 /* bytes of a service name */
#define RTCP_KEY_MAX         64  /* bytes of a pre-shared key */
#define RTCP_KEY_MIN         16
#define RTCP_KEYS_MAX        8 /* keys accepted at once */
#define RTCP_RING_MIN        4096
#define RTCP_RING_MAX        (1u << 30)
#define RTCP_ADDRESS_TEXT    72 /* "[ipv6%scope]:port" with its end */

struct ev_loop;
struct rtcp_endpoint;
struct rtcp_listener;
struct rtcp_stream;

/* ------------------------------------------------------------------------------------------------ endpoint */

/* Counters of an endpoint since it was opened. */
struct rtcp_stats {
    uint64_t sessions;             /* streams alive now, lingering ones included */
    uint64_t connections_accepted; /* TCP connections that came in */
    uint64_t handshakes_refused;   /* answered with REFUSE */
    uint64_t handshakes_dropped;   /* garbage, too slow, or pushed out by newer ones */
    uint64_t resumes;              /* TCP connections replaced in a session, either role */
    uint64_t datagrams_sent;
    uint64_t datagrams_received;
    uint64_t messages_dropped; /* control messages with an unknown id, a wrong tag or an impossible count */
    uint64_t acks_stale;       /* acknowledgements below what was acknowledged before */
    uint64_t keys_refused;     /* of the refused: their key or tag was wrong */
    uint64_t full_refused;     /* of the refused: no room for another stream, or no descriptors */
    uint64_t passive;          /* streams without a connection by agreement, now */
    uint64_t lingering;        /* streams closed here that are not complete, now */
    uint64_t expired;          /* streams that ended because a linger limit or a deadline passed */
    uint64_t bytes_lost;       /* accepted from applications and unacknowledged when their stream ended */
};

/* A pre-shared key. Its id stands on the wire, so both sides must give a key the same id. */
struct rtcp_key {
    uint32_t id;
    const uint8_t *bytes;
    size_t size; /* RTCP_KEY_MIN .. RTCP_KEY_MAX */
};

struct rtcp_endpoint_options {
    size_t streams_max;          /* streams of both roles at once: 1 .. 2^20; default 65536 */
    const uint8_t *key;          /* pre-shared key of RTCP_KEY_MIN .. RTCP_KEY_MAX bytes, or NULL for none */
    size_t key_size;             /* then only holders of the key can open, resume and control streams */
    uint32_t key_id;             /* names the key on the wire */
    const struct rtcp_key *keys; /* several, instead of key: see rtcp_endpoint_set_keys */
    size_t key_count;
    size_t key_current;      /* index of the one to open with */
    uint64_t seed;           /* of jitter and identifiers; 0: from the kernel. Tests pass a number */
    struct base_trace trace; /* typed events; {0} for none */
    bool hints;              /* try at once when a link, an address or a route comes up (netlink); default: yes, and
                                silently not where the kernel tells nothing */
};

/* Fills in the defaults. */
RTCP_API void rtcp_endpoint_options_default(struct rtcp_endpoint_options *o);

/* Opens an endpoint on a loop: one identity (a random 64-bit incarnation) and one UDP control port, shared by all its
 * streams of both roles. A program normally has one.
 *
 *   loop     borrowed until rtcp_endpoint_close returns.
 *   options  NULL for the defaults; copied.
 *   returns  0; BASE_E_RANGE (an option is out of range, or there are both key and keys), BASE_E_EXISTS (two keys with
 *            one id), BASE_E_NOMEM, BASE_E_SYSTEM (see errno).
 */
RTCP_API BASE_MUST_USE int rtcp_endpoint_open(struct ev_loop *loop, const struct rtcp_endpoint_options *options,
                                              struct rtcp_endpoint **ret_endpoint);

/* Changes the pre-shared keys of a living endpoint. Openings are accepted under any of `keys`, and made under
 * keys[current]; without any, openings need no key. Streams that live go on under the key that they were opened with,
 * also if it is no longer among them: it takes the keys of a session from its opening, so who wants to end what an old
 * key opened closes those streams.
 *
 * To rotate: give all endpoints the new key beside the old one, then make it current everywhere, then take the old one
 * away, when nothing that was opened under it still waits to be accepted: that keeps its key, too, and is refused. The
 * id 0 stands on the wire where there is no key, too: where endpoints have run without one give the first another id,
 * or what they were opening and closing then is refused. A server that is started again without the old key can prove
 * nothing to a stream that lives under it: its client goes on trying (on_evidence says RTCP_EVIDENCE_WRONG_PEER).
 *
 *   keys     copied.
 *   returns  0; BASE_E_RANGE (a size, more than RTCP_KEYS_MAX, current, or too many keys that were taken away are still
 *            in use), BASE_E_EXISTS (an id twice, or one under which streams live with other bytes). */
RTCP_API BASE_MUST_USE int rtcp_endpoint_set_keys(struct rtcp_endpoint *endpoint, const struct rtcp_key *keys,
                                                  size_t count, size_t current);

/* Reads a pre-shared key: the bytes of a file without a newline at its end, or with path NULL the value of the
 * environment variable HOLDFAST_KEY.
 *
 *   returns  0; BASE_E_NOTFOUND (no such variable), BASE_E_SYSTEM (file: see errno), BASE_E_RANGE (not RTCP_KEY_MIN ..
 *            RTCP_KEY_MAX bytes). */
RTCP_API BASE_MUST_USE int rtcp_key_read(const char *path, uint8_t ret_key[RTCP_KEY_MAX], size_t *ret_size);

/* Closes the endpoint at once: streams still open are aborted (their peers are told once, best effort), lingering ones
 * are given up, listeners end, no callback runs any more. To leave nothing behind, close the streams first and run the
 * loop until their on_closed. Accepts NULL. Must not be called from a callback of the same endpoint. */
RTCP_API void rtcp_endpoint_close(struct rtcp_endpoint *endpoint);

RTCP_API void rtcp_endpoint_stats(const struct rtcp_endpoint *endpoint, struct rtcp_stats *ret_stats);

/* How far a drain is. */
struct rtcp_drain_progress {
    uint64_t streams;        /* not over yet */
    uint64_t unacknowledged; /* bytes in them that their peers did not acknowledge yet */
    uint64_t lost; /* bytes unacknowledged in streams that ended since the drain began; their fate is unknown */
    bool is_over;  /* the last call */
};

/* Called a few times a second while a drain goes on, and once with is_over set: the place for ev_break. */
typedef void rtcp_on_drain(void *user, struct rtcp_endpoint *endpoint, const struct rtcp_drain_progress *progress);

/* The way out of a program: accepts and opens no streams any more (openings are refused, rtcp_connect returns
 * BASE_E_CLOSED), closes all streams in the background, and tells when the last one is over; each stream's on_closed
 * runs as usual. Let the loop run; then call rtcp_endpoint_close (from outside of callbacks).
 *
 *   within    from now; then streams that are left end with BASE_E_EXPIRED. BASE_NEVER: until the last byte was
 *             acknowledged (see RTCP_LINGER_FOREVER).
 *   on_drain  NULL: nobody is told. A second call replaces deadline, callback and user of the first. */
RTCP_API void rtcp_drain(struct rtcp_endpoint *endpoint, base_time within, rtcp_on_drain *on_drain, void *user);

/* The incarnation of this endpoint: 64 random bits made when it was opened, never 0. */
RTCP_API uint64_t rtcp_endpoint_incarnation(const struct rtcp_endpoint *endpoint);

/* ------------------------------------------------------------------------------------------------ streams */

/* Something that was learned about the peer; a hint for failure detectors, never a verdict of this layer. */
enum rtcp_evidence {
    RTCP_EVIDENCE_NONE = -1,   /* nothing yet: only in struct rtcp_info */
    RTCP_EVIDENCE_REFUSED,     /* the host is up, nothing listens on the port (RST or ICMP) */
    RTCP_EVIDENCE_UNREACHABLE, /* the network says: no route */
    RTCP_EVIDENCE_SILENT,      /* a connection attempt ran into its deadline */
    RTCP_EVIDENCE_WRONG_PEER,  /* another service, another name or a bad key answered */
    RTCP_EVIDENCE_UNKNOWN,     /* the peer's endpoint does not know this stream */
    RTCP_EVIDENCE_HEARD,       /* an authentic message after at least a second of silence */
};

struct rtcp_stream_callbacks {
    /* Bytes, the end of the peer's bytes, or an error can be read: call rtcp_recv. Called again only after rtcp_recv
     * has been called at least once since; a callback that does not read therefore pauses the stream. */
    void (*on_readable)(void *user, struct rtcp_stream *stream);

    /* There is room in the ring and a live connection. Called after rtcp_send or rtcp_reserve returned BASE_E_AGAIN,
     * and after each (re)connection. */
    void (*on_writable)(void *user, struct rtcp_stream *stream);

    /* The stream has a live TCP connection (up) or lost it (not up). A fact about the path, never about the peer. A
     * connection that is replaced while it still lives is not told: rtcp_info counts connections. */
    void (*on_link)(void *user, struct rtcp_stream *stream, bool up);

    void (*on_evidence)(void *user, struct rtcp_stream *stream, enum rtcp_evidence evidence);

    /* The peer's latest RTCP_PROBE_DATA_SIZE bytes, with the probe that carried them. Authentic, but they may be old,
     * repeated or out of order: put a round number inside. */
    void (*on_probe_data)(void *user, struct rtcp_stream *stream, const uint8_t data[RTCP_PROBE_DATA_SIZE]);

    /* The last callback: the handle is invalid when it returns. What the peer said in datagrams on other streams of the
     * endpoint before it ended this one, such as probe data, was told before. status is 0 when both sides have
     * everything, BASE_E_CLOSED when this side aborted, BASE_E_EXPIRED when lingering reached its limit, else why the
     * stream ended: BASE_E_RESET, BASE_E_PEER_GONE, BASE_E_PEER_FORGOT, BASE_E_NEVER_CONFIRMED, BASE_E_REFUSED,
     * BASE_E_PROTOCOL, BASE_E_NOTFOUND. unacknowledged: bytes accepted by rtcp_send that the peer never acknowledged
     * reading; their fate is unknown. */
    void (*on_closed)(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged);
};

struct rtcp_stream_options {
    uint32_t ring;            /* bytes kept for resending: RTCP_RING_MIN .. RTCP_RING_MAX, rounded up to a power of two;
                                 default 0: automatic, from 64 KiB up to ring_max, as the path and the peer need it.
                                 rtcp_send says BASE_E_AGAIN when they are all unacknowledged. Memory is taken with the
                                 first byte and given back when all was acknowledged and nothing was sent for 1 s */
    uint32_t ring_max;        /* of an automatic ring: RTCP_RING_MIN .. RTCP_RING_MAX, default 8 MiB */
    uint32_t acks;            /* how often the peer is to acknowledge while a ring fills: 1 .. 16, default 4; half as
                                 often by an automatic ring that has held everything so far */
    base_time coalesce;       /* small writes wait for more, until 16 KiB are together, at most this long (BASE_MS(1) is
                                 sensible, BASE_S(1) the most), or until rtcp_flush, rtcp_recv, rtcp_shutdown or
                                 rtcp_close; default 0: nothing waits on a clock. In the blocking face see
                                 rtcp_socket_send */
    bool at_once;             /* every write leaves with its call, in bursts, too: see rtcp_send, rtcp_socket_send */
    bool sendfile;            /* large writes go by sendfile from the ring's pages, where the kernel can, instead of a
                                 copy; default off: measure, it pays on few machines. PROTOCOL.md "Pages" */
    bool no_early_data;       /* client: send nothing before the server accepted */
    bool early_data_with_key; /* client: with a pre-shared key, send early data all the same (it can be replayed) */
    bool retry_refused;       /* client: keep trying where the first attempt finds nobody or a final refusal */
    base_time idle_probe;     /* a stream that only waits asks for a sign of life this often: BASE_S(1) .., default
                                 15 s; BASE_NEVER: not at all. A closed one asks each 15 s at least */
    base_time idle_passivate; /* let the connection go after so long without use (rtcp_passivate): BASE_S(1) ..;
                                 default BASE_NEVER: not by itself */
    base_time orphan_max; /* server: a stream whose client was not heard of for so long is ended, with BASE_E_EXPIRED
                             here and BASE_E_RESET there, should it come back: BASE_S(60) ..; after half of it its
                             connection is let go, so that a client that lives comes back. Default BASE_NEVER:
                             it is kept as long as the application holds it */
    base_time linger_max; /* background closing without contact ends after this: default 10 min, not 0 */
    const char *service;  /* client: the service name expected; NULL takes any at first and keeps what it found */
};

RTCP_API void rtcp_stream_options_default(struct rtcp_stream_options *o);

/* Opens a stream to a server. Returns at once; sending may begin at once, too: bytes travel with the opening.
 *
 *   address    "host:port", "[ipv6]:port", or a list of up to 8 of these with commas: ways to one server, all tried, a
 *              quarter of a second apart. Names are looked up in a thread of their own, again for later attempts.
 *   callbacks  copied, NULL for none; user is passed back as the first argument of each.
 *   returns    0; BASE_E_INVALID (address), BASE_E_RANGE (an option or too many streams), BASE_E_NOMEM, BASE_E_CLOSED
 *              (after rtcp_drain). What happens later is told by on_link and on_closed: with nobody there at any
 *              address at the first attempt, or a final refusal before the first acceptance,
 *              on_closed(BASE_E_REFUSED); with no such host, on_closed(BASE_E_NOTFOUND); neither with retry_refused.
 *              Silence is retried for ever, and so is a lookup that fails for the moment.
 *   handle     valid until on_closed returned or the endpoint is closed.
 *   source     paper 3.1; PROTOCOL.md "Opening".
 */
RTCP_API BASE_MUST_USE int rtcp_connect(struct rtcp_endpoint *endpoint, const char *address,
                                        const struct rtcp_stream_options *options,
                                        const struct rtcp_stream_callbacks *callbacks, void *user,
                                        struct rtcp_stream **ret_stream);

/* Sets the callbacks of an accepted stream; call it from on_accept. */
RTCP_API void rtcp_stream_set_callbacks(struct rtcp_stream *stream, const struct rtcp_stream_callbacks *callbacks,
                                        void *user);

/* The profile of the paper, for comparisons: a ring of 16 KiB, acknowledged every 8 KiB. Fills in the defaults, too. */
RTCP_API void rtcp_stream_options_paper(struct rtcp_stream_options *o);

/* Takes up to size bytes into the ring and sends what the connection takes now; works during a disconnection, too.
 * A program that writes more than 64 KiB within one turn of the loop has small writes after that sent together: when
 * 128 KiB (or a quarter of the ring) wait, or as soon as the callback returns (outside of callbacks of rtcp: before the
 * loop waits). A program that goes on to compute for long in the same turn calls rtcp_flush, or sets options.at_once.
 *
 *   returns  the count taken (may be less than size); BASE_E_AGAIN when the ring is full, and for an automatic one also
 *            when there is no memory: wait for on_writable;
 *            BASE_E_CLOSED after rtcp_shutdown or rtcp_close here, after the peer closed (it will read no more: close,
 *            too), or when the stream ended otherwise (on_closed says why).
 */
RTCP_API BASE_MUST_USE int64_t rtcp_send(struct rtcp_stream *stream, const void *data, size_t size);

/* The contiguous free room of the ring, to encode into without a copy: *ret_room points at ret_room->size bytes.
 * Valid until the next call on this stream. Same errors as rtcp_send. */
RTCP_API BASE_MUST_USE int rtcp_reserve(struct rtcp_stream *stream, struct base_span *ret_room);

/* Sends the first size bytes of the room that rtcp_reserve gave. 0; BASE_E_RANGE when size is more than that;
 * BASE_E_CLOSED as rtcp_send. */
RTCP_API BASE_MUST_USE int rtcp_commit(struct rtcp_stream *stream, size_t size);

/* Sends what waits for more bytes to be coalesced with, or for the end of the turn (rtcp_send). */
RTCP_API void rtcp_flush(struct rtcp_stream *stream);

/* Bytes that rtcp_send would take now: free ones in the ring, and what an automatic ring would grow by. */
RTCP_API size_t rtcp_room(const struct rtcp_stream *stream);

/* Reads up to size (>= 1) bytes.
 *
 *   returns  the count; 0 at the end of the peer's bytes (it shut down or closed and everything was read: never
 *            invented from a broken connection); BASE_E_AGAIN: wait for on_readable; BASE_E_CLOSED after rtcp_close, or
 *            when the stream ended otherwise (on_closed says why); BASE_E_INVALID (size 0).
 */
RTCP_API BASE_MUST_USE int64_t rtcp_recv(struct rtcp_stream *stream, void *data, size_t size);

/* Ends the sending direction after what was accepted so far; the peer reads the end. 0, also when it was ended before;
 * BASE_E_CLOSED after rtcp_close, or when the stream ended otherwise. */
RTCP_API int rtcp_shutdown(struct rtcp_stream *stream);

enum rtcp_linger {
    RTCP_LINGER_ABORT,      /* forget unsent bytes and tell the peer */
    RTCP_LINGER_BACKGROUND, /* deliver everything first, in the background, however long the link is down; ends
                               without contact for options.linger_max */
    RTCP_LINGER_FOREVER,    /* the same, but while a byte is unacknowledged nothing ends it; only the wait for the
                               peer's own closing, after that, keeps options.linger_max */
};

/* Gives the stream up. No callback but on_closed runs afterwards; it runs when the closing is complete. What the peer
 * still sends is not read. Calling it twice is allowed: abort overtakes the others, else the last call counts. (Paper
 * 3.3; PROTOCOL.md "Closing".) */
RTCP_API void rtcp_close(struct rtcp_stream *stream, enum rtcp_linger linger);

/* Closes in the background, but not longer than `span` from now: then, if bytes are unacknowledged, the peer is told of
 * an abort, once, and on_closed(BASE_E_EXPIRED) says how many. */
RTCP_API void rtcp_close_within(struct rtcp_stream *stream, base_time span);

/* Lets the TCP connection go, on either side; the stream lives on and comes back by itself when it is used: by
 * rtcp_send, rtcp_shutdown, rtcp_close or rtcp_replace here or there. It happens when nothing is under way in either
 * direction and the peer agreed (then on_link(false), and rtcp_info says RTCP_PASSIVE); bytes sent meanwhile take the
 * wish back.
 *
 * While a stream is passive its client sends one probe each 25 s for all its streams with the same server, and one each
 * 5 min for each: at most 2 datagrams per stream and 25 s, the answers included. Where that route falls silent (no
 * datagrams get through) the client connects: without a route nobody could wake it. Without an answer for 30 s the wish
 * is dropped.
 *
 *   returns  0, also when it is passive already; BASE_E_CLOSED after rtcp_shutdown or rtcp_close here, or when the
 *            peer ended its bytes or the stream ended. */
RTCP_API int rtcp_passivate(struct rtcp_stream *stream);

/* Replaces the TCP connection by a new one now, make before break: after a change of routes, or where another path is
 * known to be better. No byte is lost or repeated, and on_link is not called. A stream without a connection tries at
 * once. A server asks its client to do it. Returns 0, or BASE_E_CLOSED when the stream is over or aborted. */
RTCP_API int rtcp_replace(struct rtcp_stream *stream);

/* The bytes that ride on the next probes, the newest only, and asks for a probe now. Never queued, may be lost; costs
 * one datagram. */
RTCP_API void rtcp_set_probe_data(struct rtcp_stream *stream, const uint8_t data[RTCP_PROBE_DATA_SIZE]);

/* A user pointer's later change, for programs that learn whom a stream belongs to from its first bytes. */
RTCP_API void rtcp_stream_set_user(struct rtcp_stream *stream, void *user);

enum rtcp_state {
    RTCP_OPENING,  /* not yet accepted */
    RTCP_ATTACHED, /* open, with a live connection */
    RTCP_DETACHED, /* open, between two connections */
    RTCP_PASSIVE,  /* open, without a connection until it is used: see rtcp_passivate */
    RTCP_CLOSING,  /* closed here, not yet complete */
    RTCP_DEAD,     /* over; on_closed is on its way */
};

/* What a stream knows about itself; the three numbers the paper plans (2.1) come first. */
struct rtcp_info {
    uint64_t unacknowledged;         /* bytes sent, not yet acknowledged by the peer's reader */
    base_time oldest_unacknowledged; /* age of the oldest of them: never less than it is, at most 50 ms or half
                                        more, and the peer is asked every 100 ms .. 1 s; 0 when there are none */
    base_time blocked_send;          /* how long the ring has been full; 0 when it is not */
    base_time blocked_receive;       /* how long since the last byte was read */
    enum rtcp_state state;
    bool is_client;
    bool is_confirmed;           /* both sides know that the other knows */
    uint64_t sent;               /* bytes accepted from the application since the opening */
    uint64_t received;           /* bytes handed to the application */
    uint64_t repeated;           /* bytes written again to a later connection */
    uint32_t connections;        /* TCP connections used so far */
    uint32_t attempt;            /* number of the newest connection attempt */
    base_time disconnected;      /* how long without a live connection; 0 when there is one */
    base_time round_trip;        /* smoothed, of probes; 0 when unknown */
    base_time silent;            /* since the last authentic sign of the peer */
    enum rtcp_evidence evidence; /* the last one */
    uint64_t peer_incarnation;   /* 0 before the first contact */
    uint32_t ring;               /* size of the ring now: it holds what is unacknowledged */
    uint32_t ring_max;           /* what it may grow to; equal for a fixed one */
    uint32_t id;                 /* of the stream: the CID the server chose, 0 before that */
};

RTCP_API void rtcp_info(const struct rtcp_stream *stream, struct rtcp_info *ret_info);

/* The peer's address as text, such as "10.0.0.1:7000"; "" before the first connection. Valid as long as the handle; the
 * text changes when the peer comes from elsewhere. */
RTCP_API const char *rtcp_peer_address(const struct rtcp_stream *stream);

/* ------------------------------------------------------------------------------------------------ listeners */

struct rtcp_listen_options {
    struct rtcp_stream_options stream; /* of accepted streams; what is the client's, service too, is not looked at */
    const char *service;               /* the name of this service: at most RTCP_NAME_MAX bytes; NULL: made of the
                                          machine, the network namespace, the address and the port */
    int backlog;                       /* default 128 */
    size_t streams_max;                /* of this listener, at once; 0: only the endpoint's limit counts. At a limit
                                          openings are refused for a while and clients try again.
                                          An opening that its client gave up counts for 30 s */
};

RTCP_API void rtcp_listen_options_default(struct rtcp_listen_options *o);

/* A client opened a stream. Call rtcp_stream_set_callbacks here; a stream without callbacks is only kept. The handle
 * is valid until its on_closed returned. on_accept NULL: openings are taken and aborted. */
typedef void rtcp_on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream);

/* Listens for streams. The first listener gives the endpoint's UDP control port its number, if that is free, and its
 * address.
 *
 *   address  "host:port", "[::]:port", ":port" (all IPv4 addresses), port 0 for any. A name is looked up before the
 *            call returns.
 *   returns  0; BASE_E_INVALID (address), BASE_E_NOTFOUND (no such host, or it cannot be looked up now), BASE_E_RANGE
 *            (an option), BASE_E_NOMEM, BASE_E_SYSTEM (errno, such as EADDRINUSE), BASE_E_CLOSED (after rtcp_drain).
 *   handle   valid until rtcp_listener_close or the endpoint's end.
 */
RTCP_API BASE_MUST_USE int rtcp_listen(struct rtcp_endpoint *endpoint, const char *address,
                                       const struct rtcp_listen_options *options, rtcp_on_accept *on_accept, void *user,
                                       struct rtcp_listener **ret_listener);

/* The accepted stream whose client was not heard of for longest, among those without a connection; NULL if there is
 * none. *ret_silent, unless NULL: for how long. What to end, for a server at its limit (each such refusal also shows it
 * in the trace, at most a few times a second). */
RTCP_API struct rtcp_stream *rtcp_oldest_orphan(const struct rtcp_endpoint *endpoint, base_time *ret_silent);

/* The address it listens on, as text with the real port. Valid as long as the handle. */
RTCP_API const char *rtcp_listener_address(const struct rtcp_listener *listener);

/* Accepts no new streams any more: openings are refused for good. The socket stays open while streams that came in
 * through it live, because they need it to come back (paper 2.2). Accepts NULL. */
RTCP_API void rtcp_listener_close(struct rtcp_listener *listener);

#endif
