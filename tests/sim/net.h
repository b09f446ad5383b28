/* The simulated network and the kernels of the simulated hosts: TCP connections as bytes in chunks of any size, UDP
 * datagrams, and everything that can happen to them.
 *
 * Owns      sockets, what is on its way, the state of every path.
 * Relies on world.h for time and chance.
 * Not here  when faults happen (faults.c); the names the product calls (sys.c).
 */
#ifndef HOLDFAST_SIM_NET_H
#define HOLDFAST_SIM_NET_H

#include "tests/sim/world.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define SIM_FD_FIRST 1000

/* How a network behaves in a run: set at its beginning, from the seed. */
struct sim_net_weather {
    base_time delay_min, delay_max; /* one way */
    uint32_t chunk_max;             /* bytes a connection moves at once */
    uint32_t call_max;              /* bytes one call of send or recv moves */
    uint32_t send_room, receive_room;
    unsigned udp_lost, udp_repeated, udp_late; /* per mille */
    base_time udp_late_max;
    base_time rto_max;
};

extern struct sim_net_weather sim_weather;

/* What passes from one node to another, one direction. */
struct sim_path {
    bool tcp_cut, udp_cut;
    bool is_dark;     /* nothing passes at all, whichever of the other faults heal meanwhile */
    base_time lag;    /* added to every delay: a slow link */
    bool is_refusing; /* a firewall answers SYNs with RST */
};

void sim_net_begin(void);
void sim_net_end(void);
struct sim_path *sim_net_path(int from, int to);
/* Whether a segment, a datagram is lost now on its way. */
bool sim_net_loses_tcp(int from, int to);
bool sim_net_loses_udp(int from, int to);
/* Connections to and datagrams for `from` arrive at `to`, another node with the same ports; to < 0: as it should be. */
void sim_net_redirect(int from, int to);

/* ---- faults on connections; each says how many it hit */

/* Both kernels of up to `count` established connections between two nodes (-1: any) get an RST. */
int sim_net_reset(int a, int b, int count);
/* Only one side's kernel loses its connection, silently: the other believes in it until it sends. */
int sim_net_forget(int a, int b, int count);
/* Something on the way forgets connections: both kernels believe in them, nothing passes any more, no RST. */
int sim_net_mute(int a, int b, int count);
/* A NAT gives a node another address for its datagrams; what is sent to the former one is lost. */
void sim_net_rebind(int node);
/* How often that happened to a node. */
uint32_t sim_net_rebound(int node);
/* Repeats, unchanged, datagrams that were seen before, from wherever they came. */
int sim_net_replay(int count);
/* Sends datagrams with changed bytes, or nonsense, to a node's control port. */
int sim_net_forge(int to, int count);

/* ---- for the kernel's other files */

void sim_net_process_died(struct sim_node *node, bool is_silent);
/* EV_READ | EV_WRITE. */
int sim_net_ready(int fd);

struct sim_net_stats {
    uint64_t connections, segments, bytes, datagrams, datagram_bytes, resets, refused;
    uint64_t broke_in_flight; /* connections that ended with bytes on their way */
};

extern struct sim_net_stats sim_net_stats;

#endif
