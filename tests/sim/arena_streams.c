/* Arena a: rtcp alone. Clients and servers exchange patterns over many streams, through the public face, while the
 * network does its worst.
 *
 * Oracle: the channel properties. C1 every byte once, in order, none made up (each byte is a function of the stream,
 * the direction and its offset). C2 what was sent arrives if both processes live and the network heals. C4 the ring
 * bounds what is unacknowledged. C5 a stream ends only for a reason that happened. C6 no byte of another stream. C8 an
 * end is read exactly where the peer ended. B control datagrams stay few.
 */
#include "rtcp/base/check.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"
#include "rtcp/rtcp.h"
#include "tests/sim/arena.h"
#include "tests/sim/cover.h"
#include "tests/sim/faults.h"
#include "tests/sim/net.h"
#include "tests/sim/real.h"
#include "tests/sim/stranger.h"

#include <stdio.h>
#include <string.h>

#define PORT        7000
#define SERVERS     2
#define CLIENTS     2
#define TALKS_MAX   64
#define STORM       BASE_S(25)
#define LONG_STORM  BASE_S(90) /* long enough for what a server forgets after half a minute */
#define PEACE       BASE_S(150)
#define CHUNK       16384u
#define INSISTENT   4   /* streams whose writers do not wait */
#define DATAGRAMS_S 60u /* control datagrams per second and live stream, faults included: more is a storm of ours */

enum side { CLIENT, SERVER };

/* One end of a stream. */
struct end {
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
    struct end end[2];
    base_time began;
    bool may_be_refused;
    uint32_t binding; /* the address its client had behind its NAT at first */
    uint64_t answer;  /* 0, or its client sends the second half only when it has read so many bytes */
    base_time answer_at;
};

struct sim_arena_stats sim_arena_stats;

static struct {
    struct talk talk[TALKS_MAX];
    int talks;
    struct rtcp_endpoint *endpoint[SIM_NODES_MAX];
    uint32_t ring[2];
    bool is_automatic; /* rings that begin small and grow up to that */
    base_time calm_at; /* when the storm is over */
    uint64_t first_offset;
    uint8_t key[32];
    bool has_key;
    bool is_long;
} a;

void __real_rtcp_endpoint_session_options(struct rtcp_endpoint *endpoint, const struct rtcp_stream_options *o,
                                          struct rtcp_session_options *ret);
void __wrap_rtcp_endpoint_session_options(struct rtcp_endpoint *endpoint, const struct rtcp_stream_options *o,
                                          struct rtcp_session_options *ret);

/* Counters that start near a wrap: a value in the options of the core (P1). */
void __wrap_rtcp_endpoint_session_options(struct rtcp_endpoint *endpoint, const struct rtcp_stream_options *o,
                                          struct rtcp_session_options *ret)
{
    __real_rtcp_endpoint_session_options(endpoint, o, ret);
    ret->first_offset = a.first_offset;
    ret->ring_least = 4096;
    ret->ring_easy = 16384; /* beyond only when it stays full */
}

/* The bytes of a stream's direction from an offset on; a client's first eight are the stream's key. */
static void fill(uint8_t *to, size_t size, uint64_t key, int side, uint64_t offset)
{
    size_t done = 0;

    while (done < size) {
        uint64_t at = offset + done;
        uint64_t word = key + (uint64_t)side * 7919 + at / 8 * 0x9e3779b97f4a7c15u;
        size_t n = 8 - at % 8 < size - done ? 8 - at % 8 : size - done;

        word = (word ^ (word >> 29)) * 0xbf58476d1ce4e5b9u;
        word = side == CLIENT && at < 8 ? key : word;
        word >>= 8 * (at % 8);
        memcpy(to + done, &word, n); /* little-endian, as every machine this is built on */
        done += n;
    }
}

static bool is_alive(const struct end *e)
{
    return sim.node[e->node].is_up && sim.node[e->node].life == e->life;
}

/* ------------------------------------------------------------------------------------------------ one end's work */

static void work(struct talk *t, int side);

/* How much it wants to have sent by now. A client may wait for an answer: nothing of its own comes to the rescue of a
 * server whose WAKE is not heard. */
static uint64_t goal_now(const struct talk *t, int side)
{
    const struct end *e = &t->end[side];
    bool is_waiting = side == CLIENT && e->received < t->answer && !e->got_end;

    return is_waiting && e->goal > 8 ? 8 + (e->goal - 8) / 2 : e->goal;
}

static void send_some(struct talk *t, int side)
{
    struct end *e = &t->end[side];
    uint8_t bytes[CHUNK];
    struct rtcp_info info;

    while (e->stream != NULL && !e->has_shut && !e->has_closed && e->sent < goal_now(t, side) &&
           sim.now >= e->quiet_until) {
        uint64_t left = goal_now(t, side) - e->sent;
        size_t size = 1 + (size_t)sim_below(left < CHUNK ? left : CHUNK);
        size_t room = rtcp_room(e->stream);
        int64_t n;

        size = size > room + 1 ? room + 1 : size; /* now and then more than fits, without the cost of making it */

        fill(bytes, size, t->key, side, e->sent);
        n = rtcp_send(e->stream, bytes, size);
        if (n == BASE_E_CLOSED) {
            e->goal = e->sent; /* the peer reads no more */
        }
        if (n <= 0) {
            break;
        }
        e->sent += (uint64_t)n;
    }
    if (e->stream == NULL) {
        return;
    }
    rtcp_info(e->stream, &info);
    if (info.unacknowledged > a.ring[side]) {
        sim_fail("C4 bounded buffer", "stream %llx side %d holds %llu bytes in a ring of %u",
                 (unsigned long long)t->key, side, (unsigned long long)info.unacknowledged, a.ring[side]);
    }
    if (info.state != RTCP_DEAD && e->sent != info.sent) {
        sim_fail("C1", "stream %llx side %d sent %llu, the library counts %llu", (unsigned long long)t->key, side,
                 (unsigned long long)e->sent, (unsigned long long)info.sent);
    }
}

static void receive_some(struct talk *t, int side)
{
    struct end *e = &t->end[side];
    struct end *peer = &t->end[!side];

    while (e->stream != NULL && !e->has_closed && !e->got_end) {
        uint8_t bytes[CHUNK];
        uint8_t expected[CHUNK];
        int64_t n = rtcp_recv(e->stream, bytes, 1 + sim_below(CHUNK));

        if (n == 0) {
            e->got_end = true;
            if (e->received != peer->sent || (!peer->has_shut && !peer->has_closed)) {
                sim_fail("C8 no false end", "stream %llx side %d ended after %llu of %llu bytes",
                         (unsigned long long)t->key, side, (unsigned long long)e->received,
                         (unsigned long long)peer->sent);
            }
            if (peer->has_aborted && !peer->has_shut) {
                sim_fail("C8 no false end", "stream %llx side %d: an abort looks like an end",
                         (unsigned long long)t->key, side);
            }
        }
        if (n <= 0) {
            return;
        }
        fill(expected, (size_t)n, t->key, !side, e->received);
        if (memcmp(bytes, expected, (size_t)n) != 0) {
            sim_fail("C1 once, in order", "stream %llx side %d: not the bytes that were sent, within %llu and %llu",
                     (unsigned long long)t->key, side, (unsigned long long)e->received,
                     (unsigned long long)e->received + (unsigned long long)n);
            return;
        }
        e->received += (uint64_t)n;
        sim_arena_stats.bytes += (uint64_t)n;
        if (e->received > peer->sent) {
            sim_fail("C1 no creation", "stream %llx side %d read more than was sent", (unsigned long long)t->key, side);
        }
        if (sim_chance(20) && sim.now < a.calm_at) {
            e->paused_until = sim.now + sim_delay(0, BASE_S(5));
            return;
        }
    }
}

static void close_end(struct talk *t, int side, bool is_abort)
{
    struct end *e = &t->end[side];

    e->has_closed = true;
    e->has_aborted = e->has_aborted || is_abort;
    sim_trace("stream %llx side %d %s after %llu sent, %llu read", (unsigned long long)t->key, side,
              is_abort ? "aborts" : "closes", (unsigned long long)e->sent, (unsigned long long)e->received);
    if (!is_abort && sim.now < a.calm_at && sim_chance(100)) {
        e->has_deadline = true;
        rtcp_close_within(e->stream, sim_delay(0, BASE_S(20)));
    } else {
        rtcp_close(e->stream, is_abort          ? RTCP_LINGER_ABORT
                              : sim_chance(100) ? RTCP_LINGER_FOREVER
                                                : RTCP_LINGER_BACKGROUND);
    }
}

static void work(struct talk *t, int side)
{
    struct end *e = &t->end[side];

    if (e->stream == NULL || e->has_closed) {
        return;
    }
    if (sim.now >= e->paused_until || sim.now >= a.calm_at) {
        receive_some(t, side);
    }
    send_some(t, side);
    if (e->stream == NULL || e->has_closed) {
        return;
    }
    if (e->sent == e->goal && !e->has_shut) {
        e->has_shut = true;
        (void)rtcp_shutdown(e->stream);
    }
    if (e->got_end && e->has_shut) {
        close_end(t, side, false);
    }
}

/* ------------------------------------------------------------------------------------------------ callbacks */

static struct talk *talk_of(uint64_t key)
{
    for (int i = 0; i < a.talks; i++) {
        if (a.talk[i].key == key) {
            return &a.talk[i];
        }
    }
    return NULL;
}

/* A server may have waited for its client for half a minute, by its own clock. An ordinary storm is shorter than that.
 */
static bool may_be_late(const struct talk *t)
{
    return (a.is_long && sim.now - t->began > RTCP_UNCONFIRMED_MAX) || (sim_faults.kinds & 1u << FAULT_CLOCK) != 0;
}

static void ended(struct talk *t, int side, int status, uint64_t unacknowledged)
{
    struct end *e = &t->end[side];
    struct end *peer = &t->end[!side];
    bool peer_died = !is_alive(peer) || peer->stream == NULL;
    bool is_fine = status == 0 || (status == BASE_E_CLOSED && e->has_aborted) ||
                   (status == BASE_E_RESET && (peer->has_aborted || peer_died || peer->has_closed)) ||
                   (status == BASE_E_EXPIRED && e->has_deadline) || (status == BASE_E_PEER_GONE && !is_alive(peer)) ||
                   (status == BASE_E_NEVER_CONFIRMED && (peer_died || may_be_late(t))) ||
                   (status == BASE_E_REFUSED && side == CLIENT && t->may_be_refused && e->received == 0);

    sim_trace("stream %llx side %d ended: %s, %llu unacknowledged", (unsigned long long)t->key, side,
              base_status_name(status), (unsigned long long)unacknowledged);
    sim_cover_event("stream", "ended", base_status_name(status));
    e->stream = NULL;
    e->is_over = true;
    e->status = status;
    if (!is_fine) {
        sim_fail("C5 ends only for a reason", "stream %llx side %d ended with %s, which did not happen",
                 (unsigned long long)t->key, side, base_status_name(status));
    }
    if (status == 0 && unacknowledged != 0) {
        sim_fail("C2 complete", "stream %llx side %d ended well with %llu bytes unacknowledged",
                 (unsigned long long)t->key, side, (unsigned long long)unacknowledged);
    }
}

static void client_readable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    work(user, CLIENT);
}

static void client_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    (void)stream;
    ended(user, CLIENT, status, unacknowledged);
}

static void server_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    (void)stream;
    ended(user, SERVER, status, unacknowledged);
}

static void server_readable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    work(user, SERVER);
}

static const struct rtcp_stream_callbacks client_calls = {
    .on_readable = client_readable, .on_writable = client_readable, .on_closed = client_closed};
static const struct rtcp_stream_callbacks server_calls = {
    .on_readable = server_readable, .on_writable = server_readable, .on_closed = server_closed};

/* A stream of which the server does not know yet which it is: its first 8 bytes say so. */
static void anonymous_readable(void *user, struct rtcp_stream *stream);

static void anonymous_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    (void)stream;
    (void)unacknowledged;
    sim_trace("a stream ended before it had a name: %s", base_status_name(status));
    __builtin_free(user);
}

struct anonymous {
    uint8_t bytes[8];
    size_t size;
    int node;
};

static const struct rtcp_stream_callbacks anonymous_calls = {.on_readable = anonymous_readable,
                                                             .on_closed = anonymous_closed};

static void anonymous_readable(void *user, struct rtcp_stream *stream)
{
    struct anonymous *who = user;
    int64_t n = rtcp_recv(stream, who->bytes + who->size, sizeof who->bytes - who->size);
    uint64_t key = 0;
    struct talk *t;

    if (n <= 0) {
        if (n == 0) {
            rtcp_close(stream, RTCP_LINGER_BACKGROUND);
        }
        return;
    }
    who->size += (size_t)n;
    if (who->size < sizeof who->bytes) {
        return;
    }
    for (int i = 0; i < 8; i++) {
        key |= (uint64_t)who->bytes[i] << (8 * i);
    }
    t = talk_of(key);
    if (t == NULL) {
        sim_fail("C6 no cross-talk", "a stream begins with bytes that nobody sent");
        return;
    }
    if (t->end[SERVER].stream != NULL && is_alive(&t->end[SERVER])) {
        sim_fail("C6 one stream", "stream %llx was accepted twice by one process", (unsigned long long)key);
        return;
    }
    t->end[SERVER] = (struct end){.stream = stream,
                                  .node = who->node,
                                  .life = sim.node[who->node].life,
                                  .goal = t->answer + sim_delay(0, 400000),
                                  .received = 8,
                                  .quiet_until = t->answer_at};
    rtcp_stream_set_callbacks(stream, &server_calls, t);
    __builtin_free(who);
    work(t, SERVER);
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct anonymous *who = __builtin_calloc(1, sizeof *who);

    (void)listener;
    CHECK(who != NULL);
    who->node = *(int *)user;
    rtcp_stream_set_callbacks(stream, &anonymous_calls, who);
}

/* ------------------------------------------------------------------------------------------------ processes */

static int node_numbers[SIM_NODES_MAX];

static void on_event(void *user, const struct base_event *e)
{
    (void)user;
    sim_cover_branch(e);
    sim_trace("node %d %s %llu %s%s%s", *(int *)user, e->object, (unsigned long long)e->id, e->name,
              e->text == NULL ? "" : ": ", e->text == NULL ? "" : e->text);
}

static struct rtcp_endpoint *open_endpoint(int node)
{
    struct rtcp_endpoint_options o;

    rtcp_endpoint_options_default(&o);
    o.streams_max = 256;
    o.trace = (struct base_trace){&node_numbers[node], on_event};
    if (a.has_key) {
        o.key = a.key;
        o.key_size = sizeof a.key;
        o.key_id = 7;
    }
    CHECK(rtcp_endpoint_open(sim.current->loop, &o, &a.endpoint[node]) == 0);
    return a.endpoint[node];
}

static void start_server(void *object, uint64_t number)
{
    int node = sim.current->id;
    struct rtcp_listen_options o;
    struct rtcp_listener *listener;
    char name[8];
    char address[32];

    (void)object;
    (void)number;
    rtcp_listen_options_default(&o);
    o.stream.ring = a.is_automatic ? 0 : a.ring[SERVER];
    o.stream.ring_max = a.ring[SERVER];
    o.stream.coalesce = a.is_automatic && a.ring[CLIENT] > a.ring[SERVER] ? BASE_MS(1) : 0;
    o.stream.idle_probe = BASE_S(15);
    snprintf(name, sizeof name, "s%d", node);
    snprintf(address, sizeof address, "10.0.0.%d:%d", node + 1, PORT);
    o.service = name;
    CHECK(rtcp_listen(open_endpoint(node), address, &o, on_accept, &node_numbers[node], &listener) == 0);
}

static void start_client(void *object, uint64_t number)
{
    (void)object;
    (void)number;
    (void)open_endpoint(sim.current->id);
}

static void start(int node)
{
    sim_node_start(&sim.node[node], node < SERVERS ? start_server : start_client, NULL);
}

static bool may_kill(int node)
{
    (void)node;
    return true;
}

static void open_talk(void *object, uint64_t number)
{
    struct rtcp_stream_options o;
    struct talk *t;
    char address[32];
    char name[8];
    int server = (int)sim_below(SERVERS);
    int node = sim.current->id;

    (void)object;
    (void)number;
    if (a.talks == TALKS_MAX) {
        return;
    }
    t = &a.talk[a.talks];
    memset(t, 0, sizeof *t);
    t->key = base_rng_next(&sim.rng);
    t->end[CLIENT] = (struct end){.node = node, .life = sim.node[node].life, .goal = 8 + sim_delay(0, 400000)};
    t->end[SERVER].node = server;
    t->binding = sim_net_rebound(node);
    rtcp_stream_options_default(&o);
    o.ring = a.is_automatic ? 0 : a.ring[CLIENT];
    o.ring_max = a.ring[CLIENT];
    o.coalesce = a.is_automatic && a.ring[CLIENT] > a.ring[SERVER] ? BASE_MS(1) : 0;
    t->began = sim.now;
    if (a.is_long && sim_chance(300)) {
        t->end[CLIENT].quiet_until = base_time_min(sim.now + sim_below(BASE_S(80)), a.calm_at);
    }
    t->may_be_refused = sim_chance(50);
    o.retry_refused = !t->may_be_refused;
    o.no_early_data = sim_chance(300);
    o.early_data_with_key = sim_chance(500);
    if (sim_chance(150)) {
        t->answer = 1 + sim_below(2000);
        t->answer_at = base_time_min(sim.now + sim_below(BASE_S(20)), a.calm_at);
    }
    if (sim_chance(t->answer != 0 ? 500 : 100)) {
        o.idle_passivate = BASE_S(1) + sim_delay(0, BASE_S(10));
    }
    snprintf(name, sizeof name, "s%d", server);
    o.service = name;
    snprintf(address, sizeof address, "10.0.0.%d:%d", server + 1, PORT);
    if (rtcp_connect(a.endpoint[node], address, &o, &client_calls, t, &t->end[CLIENT].stream) == 0) {
        a.talks++;
        sim_arena_stats.streams++;
        sim_trace("stream %llx from %d to %d", (unsigned long long)t->key, node, server);
        work(t, CLIENT);
    }
}

/* Now and then: new streams, readers that wake up, closes and aborts in the middle. */
static void stir_end(void *object, uint64_t number)
{
    struct talk *t = object;
    int side = (int)(number & 1);
    struct end *e = &t->end[side];

    if (e->stream == NULL || e->has_closed) {
        return;
    }
    if (sim.now < a.calm_at && sim_chance(4)) {
        close_end(t, side, sim_chance(400));
        return;
    }
    work(t, side);
    if (e->stream != NULL && !e->has_closed && sim.now < a.calm_at && sim_chance(10)) {
        int status = sim_chance(600) ? rtcp_passivate(e->stream) : rtcp_replace(e->stream);

        sim_trace("stream %llx side %d lets go or replaces: %s", (unsigned long long)t->key, side,
                  base_status_name(status));
    }
}

static void send_more(void *object, uint64_t number)
{
    send_some(object, (int)number);
}

static void stir(void *object, uint64_t number)
{
    (void)object;
    (void)number;
    for (int i = 0; i < a.talks; i++) {
        for (int side = 0; side < 2; side++) {
            if (a.talk[i].end[side].stream != NULL && is_alive(&a.talk[i].end[side]) &&
                !sim.node[a.talk[i].end[side].node].is_paused) {
                sim_in_node(&sim.node[a.talk[i].end[side].node], stir_end, &a.talk[i], (uint64_t)side);
            }
        }
    }
    if (sim.now < a.calm_at && sim_chance(600)) {
        struct sim_node *node = &sim.node[SERVERS + (int)sim_below(CLIENTS)];

        if (node->is_up && !node->is_paused) {
            sim_in_node(node, open_talk, NULL, 0);
        }
    }
    sim_at(sim.now + sim_delay(BASE_MS(5), BASE_MS(900)), stir, NULL, 0);
}

/* A program that tries again and again to write into a full ring: that must cost the network nothing (P16). */
static void insist(void *object, uint64_t number)
{
    int insisting = 0;

    (void)object;
    for (int i = 0; i < a.talks && insisting < INSISTENT; i++) {
        struct end *e = &a.talk[i].end[number & 1];

        if (e->stream != NULL && e->sent < e->goal && is_alive(e) && !sim.node[e->node].is_paused) {
            insisting++;
            sim_in_node(&sim.node[e->node], send_more, &a.talk[i], number & 1);
        }
    }
    if (sim.now < a.calm_at) {
        sim_at(sim.now + BASE_MS(2), insist, NULL, number + 1);
    }
}

/* ------------------------------------------------------------------------------------------------ verdicts */

/* A server's end that nobody ever confirmed, on a connection that its kernel still believes in. Nothing may be asked of
 * an address that was never validated, so only the kernel can find out: after a quarter of an hour. */
static bool is_believed_only(const struct end *s)
{
    return s->stream != NULL && !s->stream->session.is_confirmed && s->stream->session.path == RTCP_PATH_ATTACHED;
}

/* Nothing more can come of this talk: both ends are over, or one of its processes died. */
static bool is_settled(const struct talk *t)
{
    const struct end *c = &t->end[CLIENT];
    const struct end *s = &t->end[SERVER];
    bool server_known = s->life != 0;

    if (!is_alive(c)) {
        return true; /* the server keeps its end: nothing proves that the client is gone */
    }
    if (c->is_over && sim_net_rebound(c->node) != t->binding) {
        return true; /* it ended while cut off, and its NAT forgot it: the server lingers, it cannot ask anybody */
    }
    if (c->is_over && is_alive(s) && is_believed_only(s)) {
        return true;
    }
    return c->is_over && (!server_known || s->is_over || !is_alive(s));
}

static bool all_settled(void)
{
    for (int i = 0; i < a.talks; i++) {
        if (!is_settled(&a.talk[i])) {
            return false;
        }
    }
    return true;
}

static void judge_liveness(void)
{
    for (int i = 0; i < a.talks && !sim.is_failed; i++) {
        const struct talk *t = &a.talk[i];

        if (!is_settled(t)) {
            sim_fail("C2 everything arrives",
                     "stream %llx is not finished %llu s after the heal: client sent %llu read %llu over %d, server "
                     "sent %llu "
                     "read %llu over %d",
                     (unsigned long long)t->key, (unsigned long long)(PEACE / BASE_S(1)),
                     (unsigned long long)t->end[CLIENT].sent, (unsigned long long)t->end[CLIENT].received,
                     t->end[CLIENT].is_over, (unsigned long long)t->end[SERVER].sent,
                     (unsigned long long)t->end[SERVER].received, t->end[SERVER].is_over);
        }
        for (int side = 0; side < 2; side++) {
            const struct end *e = &t->end[side];
            const struct end *peer = &t->end[!side];

            /* What is told as complete was taken out of the kernel there; its reader gets it, unless it gave up. */
            if (e->is_over && e->status == 0 && is_alive(peer) && !peer->has_closed && peer->received != e->sent) {
                sim_fail("C2 complete", "stream %llx side %d ended well, but %llu of %llu bytes were read",
                         (unsigned long long)t->key, side, (unsigned long long)peer->received,
                         (unsigned long long)e->sent);
            }
        }
        sim_arena_stats.finished += t->end[CLIENT].is_over && t->end[CLIENT].status == 0;
    }
}

static void close_endpoint(void *object, uint64_t number)
{
    (void)object;
    rtcp_endpoint_close(a.endpoint[number]);
}

/* B3: a process that closed its endpoint holds nothing any more. */
static void judge_memory(void)
{
    for (int i = 0; i < SERVERS + CLIENTS && !sim.is_failed; i++) {
        sim_in_node(&sim.node[i], close_endpoint, NULL, (uint64_t)i);
        if (sim.node[i].bytes > 64 * TALKS_MAX) { /* streams that never got a name */
            sim_fail("B3 nothing is kept", "node %d still holds %zu bytes", i, sim.node[i].bytes);
        }
    }
}

static void run(unsigned faults, int members)
{
    static const uint64_t offsets[] = {0, 0, ((uint64_t)1 << 31) - 5000, ((uint64_t)1 << 32) - 5000,
                                       ((uint64_t)1 << 40) - 70000};
    base_time begun = sim.now;
    base_time until;

    (void)members;
    memset(&a, 0, sizeof a);
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        node_numbers[i] = i;
    }
    sim_faults_draw(faults, SERVERS + CLIENTS);
    sim_faults.may_kill = may_kill;
    sim_faults.restart = start;
    sim_faults.nat_from = SERVERS;
    sim_faults.stranger = SERVERS + CLIENTS;
    sim_stranger_start(&sim.node[sim_faults.stranger], PORT);
    a.ring[CLIENT] = 4096u << sim_below(7);
    a.ring[SERVER] = 4096u << sim_below(7);
    a.first_offset = offsets[sim_below(sizeof offsets / sizeof offsets[0])];
    a.is_automatic = sim_chance(500);
    a.has_key = sim_chance(400);
    memset(a.key, (int)sim_below(256), sizeof a.key);
    a.calm_at = sim.now + STORM;
    if (sim_chance(60)) {
        a.is_long = true;
        a.calm_at = sim.now + LONG_STORM;
        sim_faults.lasting = BASE_S(50);
    }
    for (int i = 0; i < SERVERS + CLIENTS; i++) {
        start(i);
    }
    sim_at(sim.now, stir, NULL, 0);
    if (sim_chance(450)) {
        sim_at(sim.now, insist, NULL, 0);
    }
    sim_faults_begin(a.calm_at);
    sim_run(a.calm_at, NULL);
    sim_faults_heal();
    until = sim.now + PEACE;
    while (!sim.is_failed && sim.now < until && !all_settled()) {
        sim_run(sim.now + BASE_MS(500), NULL);
    }
    if (!sim.is_failed) {
        sim_run(sim.now + BASE_S(1), NULL); /* every reader has its turn, also where the writer is no more */
    }
    if (!sim.is_failed) {
        judge_liveness();
    }
    if (!sim.is_failed &&
        sim_net_stats.datagrams > DATAGRAMS_S * (uint64_t)(a.talks + 1) * ((sim.now - begun) / BASE_S(1))) {
        sim_fail("B control is cheap", "%llu datagrams in %llu s", (unsigned long long)sim_net_stats.datagrams,
                 (unsigned long long)((sim.now - begun) / BASE_S(1)));
    }
    judge_memory();
    sim_arena_stats.virtual_ns += sim.now - begun;
}

const struct sim_arena sim_arena_streams = {
    "streams",
    "rtcp alone: many streams between servers and clients",
    (1u << FAULT_COUNT) - 1,
    run,
};
