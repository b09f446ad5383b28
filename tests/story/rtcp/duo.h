/* Two endpoints in one process: real session cores and registries over simulated TCP connections and datagrams, virtual
 * time, faults on demand, the same run every time.
 *
 * Owns      hosts (client, server, a stranger), their streams, connections as two FIFO flows of bytes with kernel
 *           buffers, datagrams on their way, the applications that write and read a known pattern, the oracles that
 *           every step is checked against, and the record of what happened.
 * Relies on the pure half of rtcp/ only; duo_driver.c performs effects as stream_loop.c and link_loop.c do.
 * Not here  sockets, threads, real time.
 */
#ifndef HOLDFAST_TESTS_STORY_RTCP_DUO_H
#define HOLDFAST_TESTS_STORY_RTCP_DUO_H

#include "rtcp/defaults.h"
#include "rtcp/registry.h"
#include "rtcp/session.h"

#define DUO_STREAMS   8
#define DUO_ROUTES    12
#define DUO_PLANS     16
#define DUO_NEVER_CUT UINT64_MAX

enum duo_who { DUO_CLIENT, DUO_SERVER, DUO_STRANGER, DUO_HOSTS };

struct duo;
struct duo_conn;
struct duo_host;

/* ------------------------------------------------------------------------------------------------ connections */

/* What a connection does when so many bytes have arrived in one direction. */
enum duo_cut {
    DUO_CUT_RESET,  /* both ends see a RST */
    DUO_CUT_NEAR,   /* the client's end sees a RST, the server's end nothing */
    DUO_CUT_FAR,    /* the server's end sees a RST, the client's end nothing */
    DUO_CUT_EOF,    /* both ends see a plain end (the RST mask, or a relay that closes) */
    DUO_CUT_SILENT, /* nothing arrives any more, nobody is told */
};

enum duo_connect {
    DUO_CONNECT_NORMAL,
    DUO_CONNECT_REFUSED,   /* nobody listens */
    DUO_CONNECT_NO_ANSWER, /* the SYN is lost for ever */
    DUO_CONNECT_MUTE,      /* accepted by a kernel, then silence */
    DUO_CONNECT_GARBAGE,   /* another service answers nonsense */
};

/* The fate of a connection that has not been made yet. */
struct duo_plan {
    enum duo_connect connect;
    enum duo_cut how;
    uint64_t cut[2]; /* bytes up, bytes down; DUO_NEVER_CUT */
    bool is_relay;   /* a relay acknowledges at once whatever happens behind it */
};

/* One direction of a connection. Offsets count bytes of the connection, handshakes included. */
struct duo_flow {
    uint8_t *ring; /* holds [read, written) */
    size_t size;
    uint64_t written; /* by the sender's application */
    uint64_t arrived; /* in the receiver's kernel */
    uint64_t acked;   /* by the receiver's kernel, as far as the sender's knows */
    uint64_t read;    /* by the receiver's application */
    uint64_t cut_at;
    bool fin, fin_arrived;
    bool is_silent;    /* packets of this direction vanish */
    bool is_scheduled; /* a packet is on its way */
    base_time rto;     /* next pause of the kernel's retransmission */
};

enum duo_link_state {
    DUO_LINK_CONNECTING,
    DUO_LINK_ASKED,   /* server: waiting for a request */
    DUO_LINK_WAITING, /* client: for the answer; server: for the session's decision */
    DUO_LINK_PROVING, /* server: waiting for CONFIRM */
    DUO_LINK_STREAM,
    DUO_LINK_FROZEN,
    DUO_LINK_REFUSED,
    DUO_LINK_MUTE, /* the stranger that never reads */
    DUO_LINK_CLOSED,
};

struct duo_stream;

/* One end of a connection, as link_loop.c has it. */
struct duo_link {
    struct duo_conn *conn;
    int side; /* 0: the end that connected */
    struct duo_host *host;
    struct duo_stream *stream;
    enum duo_link_state state;
    uint32_t attempt;
    bool is_established;
    bool is_refused;
    bool is_reset; /* a RST came in */
    bool error;    /* ... and no call has reported it yet (P5) */
    bool is_eof;
    bool fin_sent;
    bool confirm_pending;
    base_time deadline; /* of a handshake or a refusal; BASE_NEVER */
    uint8_t in[RTCP_WIRE_HANDSHAKE_MAX];
    size_t in_size;
    uint8_t out[RTCP_WIRE_REQUEST];
    size_t out_size, out_sent;
    uint8_t confirm[RTCP_WIRE_CONFIRM];
    uint32_t early_left, early_in;
    uint32_t confirm_in;
};

struct duo_conn {
    struct duo_conn *next;
    uint32_t id;
    struct duo_plan plan;
    struct duo_flow flow[2]; /* [i] is written by end[i] */
    struct duo_link end[2];
    bool is_cut;
};

/* ------------------------------------------------------------------------------------------------ hosts, streams */

struct duo_stream {
    struct rtcp_session session; /* the first member: a session of the registry is its stream */
    struct duo_host *host;
    struct duo_link *live, *trying;
    bool is_used;
    bool is_accepted;

    /* The application. */
    uint64_t to_send; /* bytes it still wants to send */
    bool shut_after;  /* shut down when they are sent */
    bool close_after; /* close when they are sent */
    bool close_at_end;
    bool is_reading;
    size_t slow_bytes; /* reads so much ... */
    base_time slow_every, slow_at;
    uint64_t read; /* offset of the next byte the application will read */
    bool saw_end;
    bool is_closed; /* on_closed ran */
    bool is_killed; /* with its host */
    int status;
    uint64_t unacknowledged;
    bool link_up;
    uint64_t evidence_seen; /* one bit each */
    uint8_t probe_data[RTCP_WIRE_PROBE_DATA];
    unsigned probe_data_seen;

    uint8_t *waiting; /* bytes taken out of a frozen connection */
    size_t waiting_at, waiting_size, waiting_room;
};

struct duo_host {
    struct duo *duo;
    enum duo_who who;
    bool is_alive;
    bool is_paused; /* SIGSTOP: kernels go on */
    bool is_listening;
    uint64_t incarnation;
    uint64_t name;
    unsigned lives;
    struct rtcp_address address; /* of its control port */
    struct rtcp_auth_shared shared;
    struct rtcp_registry registry;
    struct rtcp_route route[DUO_ROUTES];
    struct duo_stream *stream[DUO_STREAMS];
    struct duo_stream *buried[DUO_STREAMS]; /* of former lives */
    unsigned buried_count;
    const struct rtcp_address *source; /* of the datagram that is being handled */
    base_time freeze_delay;            /* FREEZE takes so long */
    bool never_thaws;                  /* as the blocking face */
    uint64_t refusals;                 /* sent */
};

/* A datagram kept for a repetition. */
struct duo_kept {
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX];
    size_t size;
    struct rtcp_address from, to;
};

/* ------------------------------------------------------------------------------------------------ the world */

enum duo_event_kind {
    DUO_EVENT_SYN,
    DUO_EVENT_SYN_ACK,
    DUO_EVENT_REFUSED,
    DUO_EVENT_FLOW,
    DUO_EVENT_RESET,
    DUO_EVENT_DATAGRAM,
    DUO_EVENT_FROZEN,
};

struct duo_event {
    struct duo_event *next;
    base_time at;
    enum duo_event_kind kind;
    struct duo_conn *conn;
    int side;
    unsigned tries;
    uint32_t attempt;
    struct duo_kept datagram;
};

struct duo_options {
    uint64_t seed;
    uint32_t ring[2]; /* of the client's and the server's streams */
    uint64_t first_offset;
    bool no_early_data, early_data_with_key;
    bool retry_refused;
    base_time idle_probe;
    base_time linger_max;
    base_time idle_passivate; /* 0: never */
    base_time orphan_max;     /* 0: never */
    const char *key[2];       /* pre-shared keys; NULL: none */
    size_t kernel;            /* bytes a kernel buffers at each end of a connection */
    size_t packet;            /* bytes that arrive at once, at most */
    base_time delay;          /* one way */
    bool has_couriers;        /* the server takes CONTROL connections */
    bool is_traced;
    void (*on_accept)(struct duo_stream *s); /* what the server does with a new stream; NULL: reads */
};

struct duo {
    struct duo_options opt;
    base_time now;
    struct base_rng rng;
    struct base_rng net; /* of faults that chance decides */
    struct duo_host host[DUO_HOSTS];
    struct duo_event *event;
    struct duo_conn *conn;
    uint32_t conns;
    struct duo_plan plan[DUO_PLANS];
    unsigned plans;
    enum duo_who at_server; /* who answers at the server's address */
    uint64_t steps;
    base_time stood_at; /* steps since time moved: a session that spins is a failure */
    unsigned stood;

    /* The network: [0] from the client, [1] to the client. */
    bool tcp_blocked[2];
    bool udp_blocked[2];
    unsigned udp_lost[2];     /* of 1000 */
    unsigned udp_repeated[2]; /* of 1000 */
    base_time udp_jitter[2];  /* up to this much later: reorders */
    uint32_t udp_dropped_types[2];
    struct duo_kept kept[2][16]; /* the last message of each type */
    uint64_t udp_sent[2][16];

    /* What happened. */
    struct base_trace hook;
    char *trace;
    size_t trace_size, trace_room, trace_mark;
};

/* ---- duo.c: hosts, streams, time */

void duo_options_default(struct duo_options *o);
/* Options NULL: the default ones. */
void duo_open(struct duo *d, const struct duo_options *options);
void duo_close(struct duo *d);

/* The client's stream; it is slot 0 unless others were opened. */
struct duo_stream *duo_connect(struct duo *d);
/* The server's newest stream, or NULL. */
struct duo_stream *duo_accepted(struct duo *d);

void duo_send(struct duo_stream *s, uint64_t size);
int duo_shutdown(struct duo_stream *s);
void duo_finish(struct duo_stream *s, bool is_abort);

/* One event, or the next instant at which something is due, but not beyond `until`. False: nothing before it. */
bool duo_step(struct duo *d, base_time until);
void duo_run(struct duo *d, base_time span);
/* Runs until the condition holds; false when it does not within `limit`. */
bool duo_until(struct duo *d, bool (*is_done)(struct duo *d), base_time limit);

/* Faults of hosts. */
void duo_kill(struct duo *d, enum duo_who who);
void duo_start(struct duo *d, enum duo_who who);
void duo_pause(struct duo *d, enum duo_who who, bool is_paused);
void duo_move_client(struct duo *d, uint16_t port);

/* ---- duo_story.c: what stories have in common */

/* What most stories begin with: a world and a stream that both sides know to be known. */
void duo_pair(struct duo *d, const struct duo_options *options);
/* The client's stream and its other half. */
struct duo_stream *duo_client(struct duo *d);
struct duo_stream *duo_server(struct duo *d);
/* Everything sent so far is read on the other side within the limit, or the story fails. */
void duo_deliver(struct duo *d, base_time limit);
/* How most stories end: both applications close, both ends report status 0; frees the world. */
void duo_end(struct duo *d);
/* A message as the client (0) or the server (1) would send it now, with its key, or with a wrong one. */
void duo_forge(struct duo *d, int way, struct rtcp_wire_control *c, bool is_authentic);

/* Conditions: what the applications wanted to send was read at the other end (both directions). */
bool duo_is_delivered(struct duo *d);
/* ... and every stream of the client and the server is closed. */
bool duo_is_over(struct duo *d);
bool duo_is_attached(struct duo *d);
bool duo_is_detached(struct duo *d);
bool duo_is_confirmed(struct duo *d);
bool duo_is_accepted(struct duo *d);

/* ---- duo_record.c: what happened */

/* Lines such as "C FREEZE 1", "S CLOSED PEER_GONE". */
void duo_note(struct duo *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
void duo_mark(struct duo *d);
/* How many lines since the mark begin with `text`. */
unsigned duo_count(const struct duo *d, const char *text);
/* Fails unless these lines stand in this order since the mark; ends with NULL. */
void duo_expect(struct duo *d, const char *first, ...) __attribute__((sentinel));
_Noreturn void duo_fail(const struct duo *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* assert_true with the record. */
#define DUO_TRUE(d, expression) ((expression) ? (void)0 : duo_fail((d), "%s:%d: %s", __FILE__, __LINE__, #expression))

/* The first letter of a line about that host. */
char duo_letter(const struct duo_host *h);
/* Takes an event of the product into the record; a hook. */
void duo_record_event(void *user, const struct base_event *e);

/* ---- duo_app.c: the applications */

/* The byte that the client's or the server's application writes at that offset. */
uint8_t duo_pattern(bool from_client, uint64_t offset);
/* Writes and reads what can be; true when something happened. A slot without a stream does nothing. */
bool duo_app_turn(struct duo_stream *s);

/* ---- duo_check.c: the oracles */

/* After every step. */
void duo_check(struct duo *d);
/* At the end of a stream. */
void duo_check_end(struct duo_stream *s);
/* The other half of a stream, also when it is closed already; NULL when there is none. */
struct duo_stream *duo_peer(const struct duo_stream *s);

/* ---- duo_net.c: the network */

void duo_plan(struct duo *d, struct duo_plan plan);
struct duo_plan duo_plan_cut(enum duo_cut how, uint64_t up, uint64_t down);
struct duo_plan duo_plan_connect(enum duo_connect connect);
/* Breaks a connection now. */
void duo_cut(struct duo *d, struct duo_conn *c, enum duo_cut how);
/* The client's live connection, or NULL. */
struct duo_conn *duo_live(struct duo *d);
void duo_block_tcp(struct duo *d, bool is_blocked);
void duo_block_udp(struct duo *d, bool is_blocked);
/* The CONTROL connection between the two hosts is gone, and both know it. */
void duo_lose_courier(struct duo *d);
void duo_datagram(struct duo *d, const struct rtcp_address *from, const struct rtcp_address *to, const uint8_t *bytes,
                  size_t size);
/* The last message of that type from the client (0) or the server (1) arrives once more, now. */
bool duo_replay(struct duo *d, int direction, uint8_t type);

struct duo_link *duo_net_connect(struct duo_host *host, struct duo_stream *stream, uint32_t attempt);
/* Bytes taken; 0: no room; -1: error. */
int64_t duo_net_write(struct duo_link *l, const uint8_t *bytes, size_t size);
/* Bytes read; 0: end; BASE_E_AGAIN; BASE_E_RESET. */
int64_t duo_net_read(struct duo_link *l, uint8_t *bytes, size_t size);
void duo_net_shutdown(struct duo_link *l);
void duo_net_close(struct duo_link *l, bool is_gentle);
bool duo_net_is_readable(const struct duo_link *l);
bool duo_net_is_writable(struct duo_link *l);
void duo_net_event(struct duo *d, struct duo_event *e);
struct duo_event *duo_net_schedule(struct duo *d, base_time at, enum duo_event_kind kind);
#define DUO_LATER BASE_S(1000000000) /* when the host goes on */
/* The datagrams that waited for a host that was paused. */
void duo_net_release(struct duo *d);
/* SIOCOUTQ and FIONREAD. */
void duo_net_observe(struct duo_link *l, uint64_t *ret_holds, uint32_t *ret_unread);

/* ---- duo_link.c: one end of a connection */

/* Lets it do what it can; true when something happened. */
bool duo_link_turn(struct duo_link *l);
/* Writes what waits; false when the connection is broken (the session was told). */
bool duo_link_flush(struct duo_link *l);
/* Stream bytes: a count, BASE_E_AGAIN, BASE_E_CLOSED. */
int64_t duo_link_read(struct duo_link *l, uint8_t *bytes, size_t size);
/* A handshake message into l->in: 1 done, 0 not yet, -1 ended, -2 nonsense, -3 another version. */
int duo_link_read_message(struct duo_link *l);
void duo_link_refuse(struct duo_link *l, const uint8_t bytes[RTCP_WIRE_ANSWER]);
void duo_link_freeze(struct duo_stream *s, uint32_t attempt);

/* ---- duo_driver.c: the driver's half of an endpoint */

void duo_pump(struct duo_stream *s);
void duo_link_frozen(struct duo_stream *s, uint32_t attempt);
/* A request may have arrived on a connection that came in. */
void duo_request(struct duo_link *l);
void duo_control(struct duo_host *h, const struct duo_kept *datagram);
void duo_expire(struct duo_stream *s);
/* rtcp_recv. */
int64_t duo_recv(struct duo_stream *s, uint8_t *bytes, size_t size);
struct duo_stream *duo_stream_new(struct duo_host *h);
void duo_stream_options(struct duo_host *h, struct rtcp_session_options *o);
void duo_stream_free(struct duo_stream *s);

#endif
