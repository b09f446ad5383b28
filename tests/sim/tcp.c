/* TCP of the simulated kernels: a connection is two byte streams, each moved in chunks, one on its way at a time, and
 * repeated with growing pauses until the other kernel says it has it. See net.h.
 */
#include "rtcp/base/check.h"
#include "tests/sim/cover.h"
#include "tests/sim/real.h"
#include "tests/sim/sock.h"

#include <errno.h>
#include <string.h>

#define RTO_FIRST BASE_MS(200)
#define SYN_FIRST BASE_S(1)

static void pump(struct sim_sock *s);

/* ------------------------------------------------------------------------------------------------ buffers */

static size_t used(const struct sim_buffer *b)
{
    return b->upto - b->first;
}

static void put(struct sim_buffer *b, const void *data, size_t size)
{
    if (b->upto + size > b->room) {
        if (used(b) + size > b->room / 2) { /* else moving what is left would cost more than it wins */
            b->room = (used(b) + size) * 4;
            b->at = real_realloc(b->at, b->room);
            CHECK(b->at != NULL);
        }
        if (b->first > 0) {
            memmove(b->at, b->at + b->first, used(b));
        }
        b->upto -= b->first;
        b->first = 0;
    }
    memcpy(b->at + b->upto, data, size);
    b->upto += size;
}

size_t sim_tcp_room(const struct sim_sock *s)
{
    size_t held = used(&s->out);

    return held < sim_weather.send_room ? sim_weather.send_room - held : 0;
}

/* ------------------------------------------------------------------------------------------------ the path */

/* What a kernel says to another about a connection: number holds the receiver in the high half. */
struct note {
    uint32_t to;
    int from_node, to_node;
    uint64_t count;
    bool is_whole;
};

static struct note *note(const struct sim_sock *from, uint32_t to, int to_node)
{
    struct note *n = sim_object_new(sizeof *n);

    n->to = to;
    n->from_node = from->node->id;
    n->to_node = to_node;
    return n;
}

/* The note's receiver, if the note passes and the connection still exists; frees the note. */
static struct sim_sock *deliver(struct note *n)
{
    struct sim_sock *s = sim_sock_by_id(n->to);

    return sim_net_loses_tcp(n->from_node, n->to_node) || (s != NULL && s->is_mute) ? NULL : s;
}

/* A kernel that answers, with or without a process. */
static bool is_there(const struct sim_node *node)
{
    return node->life > 0 && !node->is_off;
}

static void on_reset(void *object, uint64_t number)
{
    struct note *n = object;
    struct sim_sock *s = deliver(n);

    (void)number;
    sim_object_free(n);
    if (s != NULL) {
        sim_tcp_reset_by_peer(s);
    }
}

static void say_reset(const struct sim_sock *from, uint32_t to, int to_node)
{
    if (to != 0) {
        sim_at(sim.now + sim_net_delay(from->node->id, to_node), on_reset, note(from, to, to_node), 0);
    }
}

void sim_tcp_reset_by_peer(struct sim_sock *s)
{
    if (s->state != SIM_OPEN && s->state != SIM_CONNECTING) {
        return;
    }
    if (used(&s->out) > 0 || s->in_flight) {
        sim_net_stats.broke_in_flight++;
    }
    sim_net_stats.resets++;
    s->error = s->state == SIM_CONNECTING ? ECONNREFUSED : s->fin_got ? EPIPE : ECONNRESET; /* as Linux has it */
    s->state = SIM_OVER;
    s->in_flight = false;
    s->out.first = s->out.upto = 0;
    if (s->has_fd) {
        sim_sock_poke(s);
    } else {
        sim_sock_free(s);
    }
}

/* ------------------------------------------------------------------------------------------------ opening */

static void on_syn(void *object, uint64_t id);

static bool takes_connections(const struct sim_sock *listener)
{
    return listener != NULL && listener->node->is_up && listener->backlog_count < listener->backlog_max;
}

/* The server's side comes to life when the client has the answer: before that nobody could accept it. */
static struct sim_sock *accepted(struct sim_sock *listener, const struct sim_sock *client)
{
    struct sim_sock *s = sim_sock_new(SIM_TCP);

    s->node = listener->node;
    s->life = listener->life;
    s->state = SIM_OPEN;
    s->local = client->peer;
    s->peer = client->local;
    s->peer_id = client->id;
    s->peer_node = client->node->id;
    s->has_fd = true; /* of the listener, until accept */
    listener->backlog[listener->backlog_count++] = s->id;
    sim_sock_poke(listener);
    return s;
}

static void on_syn_answer(void *object, uint64_t number)
{
    struct note *n = object;
    struct sim_sock *s = deliver(n);
    struct sim_sock *listener = sim_sock_by_id((uint32_t)number);

    if (s != NULL && s->state == SIM_CONNECTING && takes_connections(listener)) {
        struct sim_sock *far = accepted(listener, s);

        s->state = SIM_OPEN;
        s->peer_id = far->id;
        s->pages_out = far->pages_in = sim_pages_new();
        s->pages_in = far->pages_out = sim_pages_new();
        s->peer_node = n->from_node;
        s->rto = RTO_FIRST;
        sim_net_stats.connections++;
        sim_sock_poke(s);
    }
    sim_object_free(n);
}

static void syn_arrived(struct sim_sock *s, int where)
{
    struct sim_node *node = &sim.node[where];
    struct sim_sock *listener = sim_tcp_listener(where, s->peer);
    struct sim_sock from = {.node = node};

    if (takes_connections(listener)) {
        sim_at(sim.now + sim_net_delay(where, s->node->id), on_syn_answer, note(&from, s->id, s->node->id),
               listener->id);
    } else if (listener == NULL && is_there(node)) {
        sim_net_stats.refused++;
        say_reset(&from, s->id, s->node->id);
    }
}

static void on_syn_arrival(void *object, uint64_t number)
{
    struct note *n = object;
    struct sim_sock *s = sim_sock_by_id(n->to);
    bool is_through = !sim_net_loses_tcp(n->from_node, n->to_node);

    (void)number;
    if (s != NULL && s->state == SIM_CONNECTING) {
        if (sim_net_path(n->from_node, n->to_node)->is_refusing) {
            sim_tcp_reset_by_peer(s);
        } else if (is_through) {
            syn_arrived(s, n->to_node);
        }
    }
    sim_object_free(n);
}

static void on_syn(void *object, uint64_t id)
{
    struct sim_sock *s = sim_sock_by_id((uint32_t)id);
    int where;

    (void)object;
    if (s == NULL || s->state != SIM_CONNECTING) {
        return;
    }
    where = sim_net_where(s->peer.ip);
    if (where >= 0) {
        sim_at(sim.now + sim_net_delay(s->node->id, where), on_syn_arrival, note(s, s->id, where), 0);
    }
    sim_at(sim.now + s->rto, on_syn, NULL, s->id);
    s->rto *= 2;
}

void sim_tcp_connect(struct sim_sock *s)
{
    s->state = SIM_CONNECTING;
    s->rto = SYN_FIRST;
    on_syn(NULL, s->id);
}

/* ------------------------------------------------------------------------------------------------ moving bytes */

struct segment {
    uint32_t from, to;
    int from_node, to_node;
    uint64_t serial, offset;
    bool fin;
    size_t size;
    uint8_t bytes[];
};

static void on_ack(void *object, uint64_t serial)
{
    struct note *n = object;
    struct sim_sock *s = deliver(n);

    if (s != NULL && s->state == SIM_OPEN && n->count >= s->out_acked) {
        size_t moved = (size_t)(n->count - s->out_acked);

        if (moved > used(&s->out)) {
            moved = used(&s->out);
        }
        s->out.first += moved;
        s->out_acked += moved;
        if (s->in_flight && serial == s->flight_serial) {
            s->in_flight = false;
            s->rto = RTO_FIRST;
            s->fin_acked = s->fin_acked || (s->flight_fin && n->is_whole);
            s->is_blocked = !n->is_whole && moved == 0;
        }
        if (moved > 0 && s->has_fd) {
            sim_sock_poke(s);
        }
        pump(s);
    }
    sim_object_free(n);
}

static void arrive(struct sim_sock *s, struct segment *g)
{
    uint64_t skip = s->in_next > g->offset ? s->in_next - g->offset : 0;
    size_t room = used(&s->in) < sim_weather.receive_room ? sim_weather.receive_room - used(&s->in) : 0;
    size_t fresh = skip < g->size ? g->size - (size_t)skip : 0;
    size_t taken = fresh < room ? fresh : room;
    struct note *n;

    if (taken > 0) {
        put(&s->in, g->bytes + skip, taken);
    }
    s->in_next += taken;
    if (g->fin && taken == fresh) {
        s->fin_got = true;
    }
    n = note(s, g->from, g->from_node);
    n->count = s->in_next;
    n->is_whole = taken == fresh;
    sim_at(sim.now + sim_net_delay(s->node->id, g->from_node), on_ack, n, g->serial);
    sim_sock_poke(s);
}

static void on_segment(void *object, uint64_t number)
{
    struct segment *g = object;
    struct sim_sock *s = sim_sock_by_id(g->to);
    struct sim_sock *from = sim_sock_by_id(g->from);

    (void)number;
    if (!sim_net_loses_tcp(g->from_node, g->to_node) && (from == NULL || !from->is_mute)) {
        if (s != NULL && s->state == SIM_OPEN && !s->has_fd && s->in_next < g->offset + g->size) {
            say_reset(s, s->peer_id, s->peer_node); /* bytes for a connection that was closed: Linux breaks it */
            sim_sock_free(s);
        } else if (s != NULL && s->state == SIM_OPEN) {
            arrive(s, g);
        } else if (from != NULL && is_there(&sim.node[g->to_node])) {
            struct sim_sock there = {.node = &sim.node[g->to_node]};

            say_reset(&there, g->from, g->from_node); /* a connection that this kernel does not know */
        }
    }
    sim_object_free(g);
}

static void on_timeout(void *object, uint64_t number)
{
    struct sim_sock *s = sim_sock_by_id((uint32_t)(uintptr_t)object);

    if (s == NULL || s->state != SIM_OPEN || number != s->flight_serial || (!s->in_flight && !s->is_blocked)) {
        return;
    }
    s->in_flight = false;
    s->is_blocked = false;
    s->rto = base_time_min(s->rto * 2, sim_weather.rto_max);
    pump(s);
}

static void pump(struct sim_sock *s)
{
    struct segment *g;
    size_t size = used(&s->out);
    bool fin;

    if (s->state != SIM_OPEN || s->in_flight || s->is_blocked) {
        return;
    }
    if (size > sim_weather.chunk_max) {
        size = sim_weather.chunk_max;
    }
    if (size > 1) {
        size = 1 + (size_t)sim_below(size);
    }
    fin = s->fin_wanted && !s->fin_acked && size == used(&s->out);
    if (size == 0 && !fin) {
        if (!s->has_fd && (s->fin_acked || !s->fin_wanted)) {
            s->state = SIM_OVER;
            sim_sock_free(s);
        }
        return;
    }
    g = sim_object_new(sizeof *g + size);
    g->from = s->id;
    g->to = s->peer_id;
    g->from_node = s->node->id;
    g->to_node = s->peer_node;
    g->serial = ++s->flight_serial;
    g->offset = s->out_acked;
    g->fin = fin;
    g->size = size;
    if (size > 0) {
        memcpy(g->bytes, s->out.at + s->out.first, size);
    }
    s->in_flight = true;
    s->flight_from = s->out_acked;
    s->flight_size = size;
    s->flight_fin = fin;
    sim_net_stats.segments++;
    sim_net_stats.bytes += size;
    sim_at(sim.now + sim_net_delay(g->from_node, g->to_node), on_segment, g, 0);
    sim_at(sim.now + s->rto + 2 * sim_weather.delay_max, on_timeout, (void *)(uintptr_t)s->id, s->flight_serial);
}

size_t sim_tcp_send(struct sim_sock *s, const void *data, size_t size)
{
    size_t room = sim_tcp_room(s);

    size = size < room ? size : room;
    if (size > 0) {
        put(&s->out, data, size);
        pump(s);
    }
    return size;
}

size_t sim_tcp_send_pages(struct sim_sock *s, const uint8_t *data, size_t size)
{
    uint64_t offset = s->out_acked + used(&s->out);
    size_t room = sim_tcp_room(s);

    size = size < room ? size : room;
    if (size > 0) {
        sim_pages_refer(s->pages_out, offset, data, size);
    }
    return sim_tcp_send(s, data, size);
}

static void on_window(void *object, uint64_t number)
{
    struct note *n = object;
    struct sim_sock *s = deliver(n);

    (void)number;
    if (s != NULL && s->is_blocked) {
        s->is_blocked = false;
        pump(s);
    }
    sim_object_free(n);
}

size_t sim_tcp_receive(struct sim_sock *s, void *data, size_t size)
{
    bool was_full = used(&s->in) >= sim_weather.receive_room;

    size = size < used(&s->in) ? size : used(&s->in);
    if (size > 0) {
        memcpy(data, s->in.at + s->in.first, size);
        sim_pages_show(s->pages_in, s->in_next - used(&s->in), data, size);
    }
    s->in.first += size;
    if (was_full && size > 0 && s->state == SIM_OPEN) {
        sim_at(sim.now + sim_net_delay(s->node->id, s->peer_node), on_window, note(s, s->peer_id, s->peer_node), 0);
    }
    return size;
}

void sim_tcp_shut(struct sim_sock *s)
{
    if (!s->fin_wanted) {
        s->fin_wanted = true;
        pump(s);
    }
}

void sim_tcp_close(struct sim_sock *s)
{
    s->has_fd = false;
    if (s->state == SIM_LISTENING) {
        for (int i = 0; i < s->backlog_count; i++) {
            struct sim_sock *waiting = sim_sock_by_id(s->backlog[i]);

            if (waiting != NULL) {
                waiting->linger_abort = true;
                sim_tcp_close(waiting);
            }
        }
        sim_sock_free(s);
    } else if (s->state == SIM_OPEN && !s->linger_abort && used(&s->in) == 0) {
        s->read_shut = true;
        sim_tcp_shut(s); /* the kernel goes on until the peer's kernel has everything */
    } else {
        if (s->state == SIM_OPEN) {
            if (used(&s->out) > 0 || s->in_flight) {
                sim_net_stats.broke_in_flight++;
            }
            say_reset(s, s->peer_id, s->peer_node);
        }
        sim_sock_free(s);
    }
}
