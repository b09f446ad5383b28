/* UDP of the simulated kernels: datagrams that are lost, repeated, late, replayed, forged, or answered by ICMP. */
#include "rtcp/base/check.h"
#include "tests/sim/cover.h"
#include "tests/sim/real.h"
#include "tests/sim/sock.h"

#include <errno.h>
#include <string.h>

#define QUEUE_MAX 256
#define SEEN_MAX  64 /* datagrams remembered for replays */

static struct sim_datagram *seen[SEEN_MAX];
static unsigned seen_next;

static struct sim_datagram *copy(const struct sim_datagram *d)
{
    struct sim_datagram *c = sim_object_new(sizeof *c + d->size);

    memcpy(c, d, sizeof *d + d->size);
    c->next = NULL;
    return c;
}

static void on_icmp(void *object, uint64_t id)
{
    struct sim_address *about = object;
    struct sim_sock *s = sim_sock_by_id((uint32_t)id);

    if (s != NULL && s->refused_count < (int)(sizeof s->refused / sizeof s->refused[0])) {
        s->refused[s->refused_count++] = *about;
        s->error = ECONNREFUSED; /* the next call gets it, whomever that call is for (P71) */
        sim_sock_poke(s);
    }
    sim_object_free(about);
}

static void say_icmp(const struct sim_datagram *d, int where)
{
    int back = sim_node_of_ip(d->from.ip);
    struct sim_sock *s = back < 0 ? NULL : sim_udp_bound(back, d->from);
    struct sim_address *about;

    if (s == NULL || sim_net_loses_udp(where, back)) {
        return;
    }
    about = sim_object_new(sizeof *about);
    *about = d->to;
    sim_at(sim.now + sim_net_delay(where, back), on_icmp, about, s->id);
}

static void on_arrival(void *object, uint64_t from_node)
{
    struct sim_datagram *d = object;
    int where = sim_net_where(d->to.ip);
    struct sim_sock *s;

    if (where < 0 || sim_net_loses_udp((int)from_node, where) || sim.node[where].life == 0 || sim.node[where].is_off) {
        sim_object_free(d);
        return;
    }
    s = sim.node[where].is_up ? sim_udp_bound(where, d->to) : NULL;
    if (s == NULL) {
        say_icmp(d, where);
        sim_object_free(d);
    } else if (s->queue_count >= QUEUE_MAX) {
        sim_object_free(d); /* its buffer is full (P72) */
    } else {
        d->next = NULL;
        if (s->queue == NULL) {
            s->queue = d;
        } else {
            s->queue_last->next = d;
        }
        s->queue_last = d;
        s->queue_count++;
        sim_sock_poke(s);
    }
}

static void launch(struct sim_datagram *d, int from_node)
{
    int where = sim_net_where(d->to.ip);
    base_time delay = sim_net_delay(from_node, where < 0 ? from_node : where);

    if (sim_chance(sim_weather.udp_lost)) {
        sim_cover(COVER_UDP_LOST);
        sim_object_free(d);
        return;
    }
    if (sim_chance(sim_weather.udp_late)) {
        sim_cover(COVER_UDP_LATE);
        delay += sim_below(sim_weather.udp_late_max + 1);
    }
    if (sim_chance(sim_weather.udp_repeated)) {
        sim_cover(COVER_UDP_REPEATED);
        sim_at(sim.now + delay + sim_net_delay(from_node, from_node), on_arrival, copy(d), (uint64_t)from_node);
    }
    sim_at(sim.now + delay, on_arrival, d, (uint64_t)from_node);
}

void sim_udp_send(struct sim_sock *s, struct sim_address to, const uint8_t *bytes, size_t size)
{
    struct sim_datagram *d = sim_object_new(sizeof *d + size);

    d->from = s->local;
    d->from.ip = sim_ip_of_node(s->node->id);
    d->to = to;
    d->size = size;
    d->next = NULL;
    memcpy(d->bytes, bytes, size);
    sim_net_stats.datagrams++;
    sim_net_stats.datagram_bytes += size;
    if (sim_chance(20)) {
        sim_object_free(seen[seen_next]);
        seen[seen_next] = copy(d);
        seen_next = (seen_next + 1) % SEEN_MAX;
    }
    launch(d, s->node->id);
}

int sim_net_replay(int count)
{
    int done = 0;

    for (int i = 0; i < count; i++) {
        const struct sim_datagram *d = seen[sim_below(SEEN_MAX)];

        if (d != NULL) {
            int from = (int)sim_below(SIM_NODES_MAX);

            sim_at(sim.now + sim_net_delay(from, from), on_arrival, copy(d), (uint64_t)from);
            sim_cover(COVER_UDP_REPLAYED);
            done++;
        }
    }
    return done;
}

int sim_net_forge(int to, int count)
{
    int done = 0;

    for (int i = 0; i < count; i++) {
        const struct sim_datagram *d = seen[sim_below(SEEN_MAX)];
        struct sim_datagram *c;

        if (d == NULL || d->size == 0) {
            continue;
        }
        c = copy(d);
        if (sim_chance(500)) {
            c->to.ip = sim_ip_of_node(to);
        }
        for (uint64_t changes = 1 + sim_below(4); changes > 0; changes--) {
            c->bytes[sim_below(c->size)] ^= (uint8_t)(1 + sim_below(255));
        }
        sim_at(sim.now + sim_net_delay(to, to), on_arrival, c, (uint64_t)to); /* from anywhere */
        sim_cover(COVER_UDP_FORGED);
        done++;
    }
    return done;
}

void sim_udp_begin(void)
{
    memset(seen, 0, sizeof seen);
    seen_next = 0;
}

void sim_udp_end(void)
{
    for (unsigned i = 0; i < SEEN_MAX; i++) {
        sim_object_free(seen[i]);
        seen[i] = NULL;
    }
}
