/* The objects of the event-driven driver, shared by its files and nobody else.
 *
 *   endpoint_loop.c   the endpoint: identity, registry, the turn in which callbacks run
 *   routes_loop.c     the ways to peers, and which streams take them
 *   listener_loop.c   listening sockets and handshakes of connections that came in
 *   stream_loop.c     one stream: birth and end, turns, the user's callbacks
 *   effect_loop.c     what its session asks for, done
 *   calls_loop.c      the calls of rtcp.h on it
 *   link_loop.c       one TCP connection: birth and end, events
 *   write_loop.c      what it writes
 *   read_loop.c       what it reads
 *   control_loop.c    the UDP control port
 *   hints_loop.c      news of the kernel about links, addresses and routes
 *   courier_loop.c    CONTROL connections, where UDP does not get through
 *   drain_loop.c      the way out: all streams closed in the background
 *   dial_loop.c       how an attempt finds the server: several addresses, names
 *   address_loop.c    addresses as text, data and sockaddr
 *
 * User callbacks run only from rtcp_endpoint_turn (and on_readable from it, too), never inside a call of the user.
 */
#ifndef HOLDFAST_RTCP_INSIDE_LOOP_H
#define HOLDFAST_RTCP_INSIDE_LOOP_H

#include "rtcp/base/memory.h"
#include "rtcp/burst.h"
#include "rtcp/registry.h"
#include "rtcp/rtcp.h"

#include <ev.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* ------------------------------------------------------------------------------------------------ address_loop.c */

#define RTCP_ADDRESSES_MAX 8 /* of one server */

/* "host:port" to listen at, as addresses; a host name blocks. Count, BASE_E_INVALID or BASE_E_NOTFOUND. */
BASE_MUST_USE int rtcp_address_parse(const char *text, struct rtcp_address out[RTCP_ADDRESSES_MAX]);
/* The same to connect to, also a list with commas; with AI_NUMERICHOST in flags without looking names up. Also
 * BASE_E_AGAIN: it may be found later. */
BASE_MUST_USE int rtcp_address_look_up(const char *text, int flags, struct rtcp_address out[RTCP_ADDRESSES_MAX]);
bool rtcp_address_has_names(const char *text);
void rtcp_address_print(const struct rtcp_address *a, char out[RTCP_ADDRESS_TEXT]);
socklen_t rtcp_address_to_sock(const struct rtcp_address *a, struct sockaddr_storage *out);
void rtcp_address_from_sock(const struct sockaddr_storage *in, struct rtcp_address *out);

/* ------------------------------------------------------------------------------------------------ objects */

enum rtcp_link_state {
    RTCP_LINK_CONNECTING, /* ours: no SYN-ACK yet */
    RTCP_LINK_ASKED,      /* came in: its request is being read */
    RTCP_LINK_WAITING,    /* ours: the answer is being read; came in: it waits for the session's answer */
    RTCP_LINK_PROVING,    /* came in: CONFIRM is being read before anything else */
    RTCP_LINK_STREAM,     /* carries the stream */
    RTCP_LINK_FROZEN,     /* not read, not written */
    RTCP_LINK_REFUSED,    /* a REFUSE is on its way; what comes is thrown away */
    RTCP_LINK_CLOSED,     /* waits to be freed */
};

struct rtcp_socket; /* blocking.h: a stream that application threads share; NULL in the event-driven face */
struct rtcp_shared_link;

struct rtcp_link {
    struct rtcp_endpoint *endpoint;
    struct rtcp_stream *stream;      /* NULL while its request is being read */
    struct rtcp_shared_link *shared; /* who uses fd, once it carries a shared stream */
    struct rtcp_listener *listener;  /* of a connection that came in */
    struct rtcp_link *next, *prev;   /* half-open list, or the list of closed ones */
    enum rtcp_link_state state;
    int fd;
    uint32_t attempt;
    ev_io reader, writer;
    ev_timer timer;
    base_time began_at;
    bool is_eof;
    bool fin_sent;
    bool is_half_open;
    bool is_corked;  /* the answer of a handshake waits for what the callbacks of this turn will send */
    bool is_hurried; /* rtcp_link_hurry was called */
    struct rtcp_address peer;

    uint8_t out[RTCP_WIRE_REQUEST + RTCP_WIRE_CONFIRM]; /* handshake bytes that go before the stream */
    size_t out_size, out_sent;
    uint32_t early_left;  /* bytes promised in OPEN and not yet written */
    bool confirm_pending; /* CONFIRM goes out when early_left is 0 */
    uint8_t confirm[RTCP_WIRE_CONFIRM];

    uint8_t in[RTCP_WIRE_HANDSHAKE_MAX];
    size_t in_size;
    uint32_t early_in;  /* stream bytes before the peer's CONFIRM */
    size_t confirm_in;  /* bytes of CONFIRM still expected; 0: none */
    size_t thrown_away; /* in REFUSED */
};

enum rtcp_report {
    RTCP_REPORT_ACCEPTED = 1,
    RTCP_REPORT_LINK = 2,
    RTCP_REPORT_EVIDENCE = 4,
    RTCP_REPORT_PROBE_DATA = 8,
    RTCP_REPORT_READABLE = 16,
    RTCP_REPORT_WRITABLE = 32,
    RTCP_REPORT_CLOSED = 64,
};

struct rtcp_stream {
    struct rtcp_session session;
    struct rtcp_socket *share; /* application threads read and write it, not this driver */
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener; /* counted: it stays open while we live */
    struct rtcp_stream *next, *prev;
    struct rtcp_stream *next_on_route, *prev_on_route;
    struct rtcp_link *live;   /* carries the session, or is frozen */
    struct rtcp_link *trying; /* the attempt in progress */
    ev_timer timer;
    base_time armed;

    struct rtcp_stream_callbacks callbacks;
    void *user;
    unsigned reports; /* enum rtcp_report that wait for the turn */
    struct rtcp_stream *next_ready;
    bool is_ready;       /* in the endpoint's ready list. Not beside reports: one load of both waits for older stores */
    bool is_end_put_off; /* on_closed waited once, until other streams were told theirs */
    bool link_up;
    int evidence;
    int closed_status;
    uint8_t probe_data[RTCP_PROBE_DATA_SIZE];
    bool did_recv;    /* rtcp_recv was called since on_readable */
    bool end_told;    /* rtcp_recv returned 0 */
    bool is_paused;   /* on_readable ran and nothing was read: wait for rtcp_recv */
    bool is_proving;  /* counted among those that wait for CONFIRM */
    bool has_promise; /* its tombstone has a place for ever: early bytes may be delivered */
    bool held_until_confirmed;
    bool is_armed;      /* the timer is running */
    bool no_pages;      /* sendfile is not wanted, or it does not work here */
    base_time coalesce; /* how long small writes may wait for more; 0: not at all */
    base_time flush_at; /* ... until then; 0: nothing waits */
    struct rtcp_burst burst;

    uint8_t *waiting; /* bytes taken out of a connection that was frozen */
    size_t waiting_size, waiting_at, waiting_room;

    struct rtcp_dial *dial; /* of a client */
    char peer_text[RTCP_ADDRESS_TEXT];
};

struct rtcp_listener {
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *next;
    int fd;
    ev_io acceptor;
    ev_timer pause; /* after the process ran out of descriptors */
    uint64_t name;
    bool is_open;   /* the application still wants new streams */
    uint32_t users; /* streams and half-open connections that came in here */
    size_t streams; /* of them streams */
    size_t streams_max;
    struct rtcp_stream_options stream;
    rtcp_on_accept *on_accept;
    bool (*has_room)(void *user); /* the application takes one more stream now; NULL: always */
    void *user;
    char text[RTCP_ADDRESS_TEXT];
};

/* Where a datagram came from, and to which of our addresses. */
struct rtcp_source {
    struct rtcp_address peer;
    struct rtcp_address local; /* family 0: unknown */
    uint8_t via;               /* which of the endpoint's ports */
};

#define RTCP_PORTS_MAX 16 /* one for each listening address, and one for each family for everything else */

struct rtcp_control_port {
    int fd;
    struct rtcp_address bound; /* all zero but family and port: every address of the family */
    ev_io reader;
};

struct rtcp_courier;

struct rtcp_hints {
    int fd; /* -1: the kernel tells nothing */
    ev_io reader;
    ev_timer pause;     /* collects news */
    base_time acted_at; /* 0: never */
};
/* The way out of a program, see rtcp_drain. */
struct rtcp_draining {
    bool is_on;
    bool is_over; /* the last call was made */
    base_time deadline;
    uint64_t lost_before; /* stats.bytes_lost when it began */
    ev_timer tick;
    rtcp_on_drain *on_drain;
    void *user;
};

struct rtcp_endpoint {
    struct ev_loop *loop;
    struct rtcp_endpoint_options options;
    struct rtcp_keyring keys;
    struct base_rng rng;
    uint64_t incarnation;
    struct rtcp_registry registry;
    struct base_table routes;   /* hash of incarnation and address of a peer -> struct rtcp_route */
    struct base_table route_at; /* hash of a UDP address -> the route that leads there */
    uint8_t route_secret[16];
    struct rtcp_control_port port[RTCP_PORTS_MAX];
    int port_count;
    struct rtcp_hints hints;
    int lookups;                      /* of names, under way: threads */
    struct rtcp_lookup *left_lookups; /* of them, those that nobody waits for any more */
    uint16_t port_wanted;             /* number of the first listening port; 0: none */

    struct rtcp_courier *couriers; /* CONTROL connections of both roles */
    struct rtcp_courier *closed_couriers;
    size_t courier_count;
    uint32_t courier_number; /* of the last one */

    struct rtcp_listener *listeners;
    struct rtcp_stream *streams;
    struct rtcp_link *half_open_first, *half_open_last; /* oldest first */
    size_t half_open;
    size_t proving; /* sessions that wait for CONFIRM */
    struct rtcp_link *closed_links;

    struct rtcp_stream *ready_first, *ready_last;
    uint32_t turns;
    ev_prepare turn;
    ev_idle awake; /* runs while callbacks wait, so that the loop does not sleep */
    bool in_turn;

    /* The datagram being filled: messages to one address share it. */
    uint8_t datagram[RTCP_DATAGRAM_MAX];
    size_t datagram_size;
    struct rtcp_source datagram_to;
    bool is_gathering;                /* it leaves before the loop sleeps */
    const struct rtcp_source *source; /* of the message being handled */

    uint8_t random[256]; /* fresh random bytes, the first `random_left` of them not yet used */
    size_t random_left;

    int spare_fd;   /* given away when descriptors run out, so that who comes back is heard (P43); -1: not there */
    bool is_scarce; /* it was given away */

    base_time complaining_since;
    unsigned complaints; /* since then */
    uint64_t complaints_kept;

    base_time clock; /* as last read by rtcp_endpoint_now */
    struct rtcp_draining drain;
    struct rtcp_stats stats;

    /* The blocking face: its lock is given back around system calls of the control port. NULL: nobody shares this. */
    void (*leave)(void *user);
    void (*enter)(void *user);
    void *user;
};

/* ------------------------------------------------------------------------------------------------ link_loop.c */

/* Small writes leave at once. A connection that came in has it from its listening socket. */
void rtcp_link_no_delay(int fd);
/* The kernel repeats at least once a second: set when a timer looks at the connection; short ones are spared the call.
 */
void rtcp_link_hurry(struct rtcp_link *link);
/* What an errno says about the peer: enum rtcp_evidence or -1. */
int rtcp_link_evidence(int error);
/* Tells the session, or drops a handshake that belongs to none. */
void rtcp_link_broke(struct rtcp_link *link, base_time now, int error, const char *why);
/* Begins a connection for a stream; NULL and *ret_evidence when that fails at once. */
struct rtcp_link *rtcp_link_connect(struct rtcp_stream *stream, uint32_t attempt, const struct rtcp_address *to,
                                    int *ret_evidence);
/* A connection that came in: takes the descriptor over. NULL: out of memory, it was closed. */
struct rtcp_link *rtcp_link_accepted(struct rtcp_listener *listener, int fd, const struct rtcp_address *peer);
/* Closes it (in order or abortively); freed at the next turn. */
void rtcp_link_close(struct rtcp_link *link, bool is_gentle);
void rtcp_link_free_closed(struct rtcp_endpoint *endpoint);
/* Closes a link that came in, but for its descriptor, which belongs to the caller from now on. */
int rtcp_link_take_fd(struct rtcp_link *link);

/* ------------------------------------------------------------------------------------------------ write_loop.c */

/* Writes the handshake bytes and the CONFIRM that go before the stream: 1 done, 0 not yet, -1 broken. */
int rtcp_link_flush_out(struct rtcp_link *link);
/* Queues handshake bytes, then `early` ring bytes, and writes what it can. */
void rtcp_link_greet(struct rtcp_link *link, const uint8_t *bytes, size_t size, uint32_t early);
/* Carries the stream from now on; CONFIRM (or NULL) goes before its next byte. */
void rtcp_link_attach(struct rtcp_link *link, const uint8_t *confirm);
/* The turn is over: an answer that waited goes out, together with what the callbacks sent. */
void rtcp_link_uncork(struct rtcp_link *link, base_time now);
/* Writes what is to be written; false: the connection is broken (already told to the session). */
bool rtcp_link_flush(struct rtcp_link *link, base_time now);
/* It carries the stream, and nothing waits to be written before its next byte. */
bool rtcp_link_is_free(const struct rtcp_link *link);
/* Gives bytes that the ring will hold next to the kernel, on a free link: what it took, or -errno. The session learns
 * of it afterwards, when the ring holds them: `size` of them. */
int64_t rtcp_link_pass(struct rtcp_link *link, const void *data, size_t size);
void rtcp_link_passed(struct rtcp_link *link, base_time now, int64_t taken, size_t size);
/* Sends a REFUSE, then closes in order. */
void rtcp_link_refuse(struct rtcp_link *link, const uint8_t *bytes, size_t size);

/* ------------------------------------------------------------------------------------------------ read_loop.c */

/* Reads stream bytes: a count, BASE_E_AGAIN, BASE_E_CLOSED (end or broken; already told to the session). */
int64_t rtcp_link_read(struct rtcp_link *link, base_time now, void *data, size_t size);
void rtcp_link_pause(struct rtcp_link *link);
/* Neither reads nor writes any more, until it is thawed or closed. */
void rtcp_link_freeze(struct rtcp_link *link);
void rtcp_link_unpause(struct rtcp_link *link);
/* Tells the session what the kernel holds. */
void rtcp_link_observe(struct rtcp_link *link, base_time now);
/* The rest of a handshake; each tells the session, or the listener, when it is there or wrong. */
void rtcp_link_read_answer(struct rtcp_link *link, base_time now);
void rtcp_link_read_request(struct rtcp_link *link, base_time now);
/* The peer's CONFIRM: 1 proven, 0 not yet, -1 broken (told). */
int rtcp_link_read_confirm(struct rtcp_link *link, base_time now);
/* What comes behind a REFUSE. */
void rtcp_link_throw_away(struct rtcp_link *link);

/* ------------------------------------------------------------------------------------------------ listener_loop.c */

/* A whole request was read on a connection that came in. */
void rtcp_listener_request(struct rtcp_link *link, base_time now);
/* A whole prefix of another version was read. */
void rtcp_listener_wrong_version(struct rtcp_link *link);
void rtcp_listener_add_half_open(struct rtcp_link *link);
void rtcp_listener_remove_half_open(struct rtcp_link *link);
void rtcp_listener_release(struct rtcp_listener *listener);
void rtcp_listener_free(struct rtcp_listener *listener);

/* ------------------------------------------------------------------------------------------------ calls_loop.c */

/* rtcp_close in all its forms; deadline: an instant or BASE_NEVER. */
void rtcp_stream_close(struct rtcp_stream *stream, bool is_abort, base_time deadline, bool for_ever);

/* ------------------------------------------------------------------------------------------------ drain_loop.c */

/* At the end of a turn: tells when the last stream is over. */
void rtcp_drain_look(struct rtcp_endpoint *endpoint);
void rtcp_drain_stop(struct rtcp_endpoint *endpoint);

/* ------------------------------------------------------------------------------------------------ stream_loop.c */

struct rtcp_stream *rtcp_stream_new(struct rtcp_endpoint *endpoint, const struct rtcp_stream_callbacks *callbacks,
                                    void *user);
void rtcp_stream_free(struct rtcp_stream *stream);
/* Closes both connections abortively. */
void rtcp_stream_drop_links(struct rtcp_stream *stream);
/* Arms the timer for what is due first. */
void rtcp_stream_arm(struct rtcp_stream *stream, base_time now);
/* Performs all effects, sends the datagrams, arms the timer. */
void rtcp_stream_pump(struct rtcp_stream *stream, base_time now);
void rtcp_stream_report(struct rtcp_stream *stream, enum rtcp_report report);
/* Runs the callbacks that wait; true: the stream was freed. */
bool rtcp_stream_run_callbacks(struct rtcp_stream *stream);
/* The live connection has bytes. */
void rtcp_stream_readable(struct rtcp_stream *stream);
/* Something can be read without another event of the kernel: bytes that were taken out, or the end. */
bool rtcp_stream_has_more(const struct rtcp_stream *stream);

/* Room for `size` more bytes behind stream->waiting: what is taken out of a connection before it is replaced needs no
 * repetition, and survives a peer that exits. */
BASE_MUST_USE bool rtcp_stream_waiting_room(struct rtcp_stream *stream, size_t size);
/* Takes bytes out of it. */
size_t rtcp_stream_take_waiting(struct rtcp_stream *stream, void *data, size_t size);

/* ------------------------------------------------------------------------------------------------ calls_loop.c */

/* 0 or BASE_E_RANGE. */
BASE_MUST_USE int rtcp_stream_options_check(const struct rtcp_stream_options *o);
/* As rtcp_connect, to addresses that are known. */
BASE_MUST_USE int rtcp_stream_connect(struct rtcp_endpoint *endpoint, const struct rtcp_address *server, int count,
                                      const char *names, const struct rtcp_stream_options *options,
                                      const struct rtcp_stream_callbacks *callbacks, void *user,
                                      struct rtcp_stream **ret_stream);
/* Whether the bytes that wait are few, and have time: more may come. Says until when in flush_at, and leaves it to the
 * caller that a timer looks then. */
bool rtcp_stream_may_wait(struct rtcp_stream *stream, base_time now);

/* ------------------------------------------------------------------------------------------------ blocking_link.c */

/* Hooks of a shared stream. Each is called on the thread of the loop, with the lock of the face; application threads
 * use the connection by the rules of tokens.h. */

/* The stream's connection is theirs from now on. */
void rtcp_shared_link_attach(struct rtcp_link *link);
/* As rtcp_link_flush. */
bool rtcp_shared_link_flush(struct rtcp_link *link, base_time now);
/* Nobody may come in any more; rtcp_session_frozen is called when the last one is out, perhaps before this returns. */
void rtcp_shared_link_freeze(struct rtcp_link *link);
/* As rtcp_link_close for the descriptor: the last one out closes it. */
void rtcp_shared_link_drop(struct rtcp_link *link, bool is_gentle);
/* The greeting of an opening or a resume went out. */
void rtcp_shared_link_greeted(struct rtcp_stream *stream);
/* Whether the kernel's numbers about the connection can be compared with the session's now. */
bool rtcp_shared_link_is_quiet(const struct rtcp_stream *stream);
/* Wakes the threads that wait for what happened; as rtcp_stream_run_callbacks. */
bool rtcp_shared_link_run(struct rtcp_stream *stream);
/* The stream is about to be freed. */
void rtcp_shared_link_end(struct rtcp_stream *stream);

/* ------------------------------------------------------------------------------------------------ dial_loop.c */

/* Gives a client's stream the addresses of its server; names: what is to be looked up, now if there are none, and
 * again;
 * "" for none. 0 or BASE_E_NOMEM. */
BASE_MUST_USE int rtcp_dial_new(struct rtcp_stream *stream, const struct rtcp_address *list, int count,
                                const char *names);
void rtcp_dial_free(struct rtcp_stream *stream);
/* An attempt begins: rtcp_session_connected or rtcp_session_broke follows, at once or later. */
void rtcp_dial_begin(struct rtcp_stream *stream, uint32_t attempt, base_time now);
/* Whether the attempt has no connection yet. */
bool rtcp_dial_is_on(const struct rtcp_stream *stream, uint32_t attempt);
void rtcp_dial_stop(struct rtcp_stream *stream);
/* As rtcp_courier_close_copies. */
void rtcp_dial_close_copies(const struct rtcp_stream *stream);
/* A connection of the attempt is there, or failed. */
void rtcp_dial_connected(struct rtcp_link *link, base_time now, int error);
/* At the end of the turn that began a connection: on short ways it is there already, and no event need tell it. */
void rtcp_dial_look(struct rtcp_stream *stream);
/* It carries the session. */
void rtcp_dial_attached(struct rtcp_stream *stream, const struct rtcp_link *link);
/* The endpoint goes: threads that still look up free what they have. */
void rtcp_dial_leave_lookups(struct rtcp_endpoint *endpoint);
/* The first lookup said that there is no such host. */
bool rtcp_dial_is_unknown(const struct rtcp_stream *stream);

/* ------------------------------------------------------------------------------------------------ effect_loop.c */

void rtcp_effect_perform(struct rtcp_stream *stream, struct rtcp_effect *e, base_time now);

/* ------------------------------------------------------------------------------------------------ control_loop.c */

/* Opens the port for a listening address, with its number if that is free; or, where `at` has no address, the one for
 * everything else of the family. 0, also when it is open, or BASE_E_SYSTEM. */
BASE_MUST_USE int rtcp_control_open(struct rtcp_endpoint *endpoint, const struct rtcp_address *at);
void rtcp_control_close(struct rtcp_endpoint *endpoint);
/* Puts a message into the datagram for an address. */
void rtcp_control_send(struct rtcp_endpoint *endpoint, const struct rtcp_source *to, const uint8_t *message,
                       size_t size);
void rtcp_control_flush(struct rtcp_endpoint *endpoint);
/* Which port serves a connection: that of its own address, else the one for every address. */
uint8_t rtcp_control_via(const struct rtcp_endpoint *endpoint, const struct rtcp_link *link);
/* Messages that came in, by whichever way. */
void rtcp_control_received(struct rtcp_endpoint *endpoint, struct base_bytes messages, const struct rtcp_source *from);

/* ------------------------------------------------------------------------------------------------ hints_loop.c */

void rtcp_hints_open(struct rtcp_endpoint *endpoint);
void rtcp_hints_close(struct rtcp_endpoint *endpoint);

/* ------------------------------------------------------------------------------------------------ courier_loop.c */

/* UDP does not answer a client's stream: its route gets a CONTROL connection if it has none. */
void rtcp_courier_want(struct rtcp_stream *stream, base_time now);
/* A request for one that was judged RTCP_JUDGED_CONTROL. */
void rtcp_courier_accepted(struct rtcp_link *link, const uint8_t answer[RTCP_WIRE_ANSWER]);
void rtcp_courier_send(struct rtcp_endpoint *endpoint, const struct rtcp_address *to, const uint8_t *bytes,
                       size_t size);
/* An authentic message came on it. */
void rtcp_courier_heard(struct rtcp_endpoint *endpoint, const struct rtcp_address *from, base_time now);
void rtcp_courier_free_closed(struct rtcp_endpoint *endpoint);
void rtcp_courier_close_all(struct rtcp_endpoint *endpoint);
/* In a child process: closes its copies of the descriptors and touches nothing else. */
void rtcp_courier_close_copies(const struct rtcp_endpoint *endpoint);

/* ------------------------------------------------------------------------------------------------ endpoint_loop.c */

/* Fills in what the sessions of an endpoint share, with an id and a nonce of their own. */
void rtcp_endpoint_session_options(struct rtcp_endpoint *endpoint, const struct rtcp_stream_options *o,
                                   struct rtcp_session_options *ret);
/* The next turn looks at it, and the loop does not wait before: not even where the last turn of its round is over, as
 * in a program's prepare watcher of a low priority. */
void rtcp_endpoint_make_ready(struct rtcp_stream *stream);
/* Tells the trace that somebody's bytes were dropped or refused; whoever prints it limits how often. */
void rtcp_endpoint_complain(struct rtcp_endpoint *endpoint, const struct rtcp_address *peer, const char *what,
                            const char *why);
/* Whether one more complaint may go out now: whoever floods us must not flood the log, too. */
bool rtcp_endpoint_may_complain(struct rtcp_endpoint *endpoint);
/* Runs waiting callbacks; at the end of every event and before the loop sleeps. */
void rtcp_endpoint_turn(struct rtcp_endpoint *endpoint);
/* The time, read and kept; for every event. */
base_time rtcp_endpoint_now(struct rtcp_endpoint *endpoint);
/* About the time, some milliseconds old at most, never before the last event: for sending and receiving. */
base_time rtcp_endpoint_lately(const struct rtcp_endpoint *endpoint);
/* Around a system call that needs no state of the endpoint. */
void rtcp_endpoint_leave(const struct rtcp_endpoint *endpoint);
void rtcp_endpoint_enter(const struct rtcp_endpoint *endpoint);

/* ------------------------------------------------------------------------------------------------ routes_loop.c */

BASE_MUST_USE int rtcp_routes_init(struct rtcp_endpoint *endpoint);
/* Before the first route. */
void rtcp_routes_salt(struct rtcp_endpoint *endpoint, uint64_t secret);
void rtcp_routes_deinit(struct rtcp_endpoint *endpoint);
/* The route of a stream whose connection has this other end, made if there is none; the stream takes it, and leaves the
 * one that it had if that leads elsewhere. NULL: the peer has no port, or there is no memory. */
struct rtcp_route *rtcp_routes_join(struct rtcp_stream *stream, const struct rtcp_address *peer, base_time now);
void rtcp_routes_leave(struct rtcp_stream *stream);
/* Somebody beside streams holds it no more. */
void rtcp_routes_release(struct rtcp_endpoint *endpoint, struct rtcp_route *route);
/* To be called when its address may be another one. */
void rtcp_routes_moved(struct rtcp_endpoint *endpoint, struct rtcp_route *route);
/* The route that leads to this UDP address, or NULL. */
struct rtcp_route *rtcp_routes_at(const struct rtcp_endpoint *endpoint, const struct rtcp_address *address);
/* Hints all sessions with the same route, but one. */
void rtcp_routes_hint(struct rtcp_route *route, const struct rtcp_stream *except, int evidence, base_time now);
/* Its CONTROL connection is refused: rtcp_session_doubt of all its sessions. */
void rtcp_routes_doubt(const struct rtcp_route *route, base_time now);
/* It leads another way: its sessions say again what may be lost. */
void rtcp_routes_rerouted(const struct rtcp_route *route, base_time now);

#endif
