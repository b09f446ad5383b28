/* The simulated network: paths between nodes, the table of all sockets, faults on connections. See net.h. */
#include "tests/sim/net.h"

#include "rtcp/base/check.h"
#include "tests/sim/cover.h"
#include "tests/sim/real.h"
#include "tests/sim/sock.h"

#include <ev.h>
#include <string.h>

#define BASE_IP   0x0a000001u
#define DOORS_MAX 256

struct sim_net_weather sim_weather;
struct sim_net_stats sim_net_stats;

static struct sim_path path[SIM_NODES_MAX][SIM_NODES_MAX];
static int redirect[SIM_NODES_MAX];

static struct {
    struct sim_sock **at; /* by id - 1 */
    uint32_t count, room, alive;
    struct sim_sock *door[DOORS_MAX]; /* those that can be found by a port */
    int doors;
} table;

static uint32_t binding[SIM_NODES_MAX]; /* which address a NAT gives a node now */

/* ------------------------------------------------------------------------------------------------ addresses */

int sim_node_of_ip(uint32_t ip)
{
    int node = (int)((ip - BASE_IP) & 0xff);

    return ip >= BASE_IP && node < SIM_NODES_MAX && (ip - BASE_IP) >> 8 == binding[node] ? node : -1;
}

uint32_t sim_ip_of_node(int node)
{
    return BASE_IP + (uint32_t)node + (binding[node] << 8);
}

void sim_net_rebind(int node)
{
    binding[node]++;
}

uint32_t sim_net_rebound(int node)
{
    return binding[node];
}

int sim_net_where(uint32_t ip)
{
    int node = sim_node_of_ip(ip);

    return node >= 0 && redirect[node] >= 0 ? redirect[node] : node;
}

void sim_net_redirect(int from, int to)
{
    redirect[from] = to;
}

struct sim_path *sim_net_path(int from, int to)
{
    return &path[from][to];
}

bool sim_net_loses_tcp(int from, int to)
{
    return path[from][to].tcp_cut || path[from][to].is_dark;
}

bool sim_net_loses_udp(int from, int to)
{
    return path[from][to].udp_cut || path[from][to].is_dark;
}

base_time sim_net_delay(int from, int to)
{
    return sim_delay(sim_weather.delay_min, sim_weather.delay_max) + path[from][to].lag;
}

/* ------------------------------------------------------------------------------------------------ the table */

struct sim_sock *sim_sock_new(enum sim_sock_kind kind)
{
    struct sim_sock *s = real_calloc(1, sizeof *s);

    CHECK(s != NULL);
    if (table.count == table.room) {
        table.room = table.room == 0 ? 256 : table.room * 2;
        table.at = real_realloc(table.at, table.room * sizeof *table.at);
        CHECK(table.at != NULL);
    }
    table.at[table.count++] = s;
    table.alive++;
    s->id = table.count;
    s->kind = kind;
    return s;
}

struct sim_sock *sim_sock_by_id(uint32_t id)
{
    return id == 0 || id > table.count ? NULL : table.at[id - 1];
}

struct sim_sock *sim_sock_of(int fd)
{
    struct sim_sock *s = fd < SIM_FD_FIRST ? NULL : sim_sock_by_id((uint32_t)(fd - SIM_FD_FIRST));

    return s != NULL && s->has_fd ? s : NULL;
}

void sim_sock_publish(struct sim_sock *s)
{
    CHECK(table.doors < DOORS_MAX);
    table.door[table.doors++] = s;
}

static void unpublish(const struct sim_sock *s)
{
    for (int i = 0; i < table.doors; i++) {
        if (table.door[i] == s) {
            table.door[i] = table.door[--table.doors];
        }
    }
}

void sim_sock_free(struct sim_sock *s)
{
    unpublish(s);
    table.at[s->id - 1] = NULL;
    table.alive--;
    while (s->queue != NULL) {
        struct sim_datagram *d = s->queue;

        s->queue = d->next;
        sim_object_free(d);
    }
    real_free(s->backlog);
    real_free(s->out.at);
    real_free(s->in.at);
    real_free(s);
}

void sim_sock_poke(struct sim_sock *s)
{
    if (s->has_fd && s->node->is_up) {
        sim_node_poke(s->node);
    }
}

uint32_t sim_sock_count(void)
{
    return table.alive;
}

static bool is_of(const struct sim_sock *s, int node, struct sim_address at)
{
    return s->has_fd && s->node->id == node && s->local.port == at.port;
}

struct sim_sock *sim_tcp_listener(int node, struct sim_address at)
{
    for (int i = 0; i < table.doors; i++) {
        struct sim_sock *s = table.door[i];

        if (is_of(s, node, at) && s->kind == SIM_TCP) {
            return s;
        }
    }
    return NULL;
}

struct sim_sock *sim_udp_bound(int node, struct sim_address at)
{
    for (int i = 0; i < table.doors; i++) {
        if (is_of(table.door[i], node, at) && table.door[i]->kind == SIM_UDP) {
            return table.door[i];
        }
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ readiness */

int sim_net_ready(int fd)
{
    struct sim_sock *s = sim_sock_of(fd);

    if (s == NULL) {
        return 0;
    }
    if (s->kind == SIM_UDP) {
        return (s->queue != NULL || s->refused_count > 0 || s->error != 0 ? EV_READ : 0) | EV_WRITE;
    }
    switch (s->state) {
    case SIM_LISTENING:
        return s->backlog_count > 0 ? EV_READ : 0;
    case SIM_OPEN:
        return (s->in.upto > s->in.first || s->fin_got || s->read_shut ? EV_READ : 0) |
               (sim_tcp_room(s) > sim_weather.send_room / 3 ? EV_WRITE : 0);
    case SIM_OVER:
        return EV_READ | EV_WRITE;
    case SIM_FRESH:
    case SIM_CONNECTING:
        return 0;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ faults */

static bool is_between(const struct sim_sock *s, int a, int b)
{
    int x = s->node->id;
    int y = s->peer_node;

    return (a < 0 && b < 0) || (x == a && (y == b || b < 0)) || (y == a && (x == b || b < 0));
}

/* The n-th established connection that fits, counted from a random one. */
static struct sim_sock *pick(int a, int b)
{
    uint32_t from = table.count == 0 ? 0 : (uint32_t)sim_below(table.count);

    for (uint32_t i = 0; i < table.count; i++) {
        struct sim_sock *s = table.at[(from + i) % table.count];

        if (s != NULL && s->kind == SIM_TCP && s->state == SIM_OPEN && s->has_fd && !s->is_mute &&
            is_between(s, a, b)) {
            return s;
        }
    }
    return NULL;
}

int sim_net_reset(int a, int b, int count)
{
    int done = 0;

    for (; done < count; done++) {
        struct sim_sock *s = pick(a, b);
        struct sim_sock *peer = s == NULL ? NULL : sim_sock_by_id(s->peer_id);

        if (s == NULL) {
            break;
        }
        sim_cover(COVER_TCP_RESET);
        if (s->in_flight || (peer != NULL && peer->in_flight)) {
            sim_cover(COVER_TCP_RESET_IN_FLIGHT);
        }
        sim_tcp_reset_by_peer(s);
        if (peer != NULL) {
            sim_tcp_reset_by_peer(peer);
        }
    }
    return done;
}

int sim_net_forget(int a, int b, int count)
{
    int done = 0;

    for (; done < count; done++) {
        struct sim_sock *s = pick(a, b);

        if (s == NULL) {
            break;
        }
        sim_cover(COVER_TCP_FORGOTTEN);
        s->peer_id = 0; /* what it sends finds nobody */
        sim_tcp_reset_by_peer(s);
    }
    return done;
}

int sim_net_mute(int a, int b, int count)
{
    int done = 0;

    for (; done < count; done++) {
        struct sim_sock *s = pick(a, b);
        struct sim_sock *peer = s == NULL ? NULL : sim_sock_by_id(s->peer_id);

        if (s == NULL) {
            break;
        }
        sim_cover(COVER_TCP_MUTE);
        s->is_mute = true;
        if (peer != NULL) {
            peer->is_mute = true;
        }
    }
    return done;
}

void sim_net_process_died(struct sim_node *node, bool is_silent)
{
    for (uint32_t i = 0; i < table.count; i++) {
        struct sim_sock *s = table.at[i];

        if (s == NULL || s->node != node || (!s->has_fd && !is_silent)) {
            continue;
        }
        if (s->kind == SIM_TCP && !is_silent) {
            sim_tcp_close(s);
        } else {
            sim_sock_free(s);
        }
    }
}

/* ------------------------------------------------------------------------------------------------ begin, end */

void sim_net_begin(void)
{
    memset(path, 0, sizeof path);
    memset(binding, 0, sizeof binding);
    memset(&table, 0, sizeof table);
    memset(&sim_net_stats, 0, sizeof sim_net_stats);
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        redirect[i] = -1;
    }
    sim_weather = (struct sim_net_weather){
        .delay_min = BASE_US(50),
        .delay_max = BASE_MS(2),
        .chunk_max = 65536,
        .call_max = UINT32_MAX,
        .send_room = 262144,
        .receive_room = 131072,
        .udp_late_max = BASE_MS(500),
        .rto_max = BASE_S(1),
    };
    sim_udp_begin();
    sim_pages_begin();
}

void sim_net_end(void)
{
    for (uint32_t i = 0; i < table.count; i++) {
        if (table.at[i] != NULL) {
            sim_sock_free(table.at[i]);
        }
    }
    real_free(table.at);
    memset(&table, 0, sizeof table);
    sim_udp_end();
    sim_pages_end();
}
