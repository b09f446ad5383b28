/* A socket of the simulated kernels; shared by tcp.c, udp.c, net.c and sys.c. */
#ifndef HOLDFAST_SIM_SOCK_H
#define HOLDFAST_SIM_SOCK_H

#include "tests/sim/net.h"
#include "tests/sim/pages.h"

enum sim_sock_kind { SIM_TCP, SIM_UDP };
enum sim_tcp_state { SIM_FRESH, SIM_LISTENING, SIM_CONNECTING, SIM_OPEN, SIM_OVER };

struct sim_address {
    uint32_t ip; /* host order; 0 any */
    uint16_t port;
};

struct sim_datagram {
    struct sim_address from, to;
    size_t size;
    struct sim_datagram *next;
    uint8_t bytes[];
};

struct sim_buffer {
    uint8_t *at;
    size_t first, upto, room; /* bytes [first, upto) of `at` */
};

struct sim_sock {
    uint32_t id; /* never used again */
    enum sim_sock_kind kind;
    struct sim_node *node;
    uint32_t life; /* of the process that made it */
    bool has_fd;   /* the process still holds it */
    struct sim_address local, peer;

    /* TCP */
    enum sim_tcp_state state;
    uint32_t peer_id;
    int peer_node;
    int error; /* pending: the next call gets it */
    bool linger_abort;
    bool is_mute; /* something on the way forgot this connection and drops what belongs to it, for ever */
    struct sim_buffer out, in;
    uint64_t out_acked; /* stream offset of out.first: what the peer's kernel has said it has */
    uint64_t in_next;   /* stream offset behind in.upto */
    bool fin_wanted, fin_acked, fin_got, read_shut;
    bool in_flight;
    uint64_t flight_serial;
    uint64_t flight_from;
    size_t flight_size;
    bool flight_fin;
    base_time rto;
    bool is_blocked;                        /* the peer's buffer was full */
    struct sim_pages *pages_out, *pages_in; /* what both directions refer to; NULL: not connected yet */
    uint32_t *backlog;                      /* listening: connections that wait for accept */
    int backlog_count, backlog_max;

    /* UDP */
    struct sim_datagram *queue, *queue_last;
    int queue_count;
    struct sim_address refused[8]; /* ICMP: nobody there */
    int refused_count;
};

struct sim_sock *sim_sock_new(enum sim_sock_kind kind);
/* From now on others can find it by its port: a listener, or a bound UDP socket. */
void sim_sock_publish(struct sim_sock *s);
struct sim_sock *sim_sock_of(int fd);         /* of the current process; NULL */
struct sim_sock *sim_sock_by_id(uint32_t id); /* NULL when it is gone */
void sim_sock_free(struct sim_sock *s);
void sim_sock_poke(struct sim_sock *s); /* its process should look */
uint32_t sim_sock_count(void);

int sim_node_of_ip(uint32_t ip);
uint32_t sim_ip_of_node(int node);
/* The node that really answers for an address. */
int sim_net_where(uint32_t ip);
/* The time something takes from one node to another. */
base_time sim_net_delay(int from, int to);

/* tcp.c */
void sim_tcp_connect(struct sim_sock *s);
size_t sim_tcp_send(struct sim_sock *s, const void *data, size_t size);
/* As sim_tcp_send, but the bytes are only referred to. */
size_t sim_tcp_send_pages(struct sim_sock *s, const uint8_t *data, size_t size);
size_t sim_tcp_receive(struct sim_sock *s, void *data, size_t size);
void sim_tcp_shut(struct sim_sock *s);
/* The process closes it, or dies. */
void sim_tcp_close(struct sim_sock *s);
void sim_tcp_reset_by_peer(struct sim_sock *s);
struct sim_sock *sim_tcp_listener(int node, struct sim_address at);
size_t sim_tcp_room(const struct sim_sock *s);

/* udp.c */
void sim_udp_send(struct sim_sock *s, struct sim_address to, const uint8_t *bytes, size_t size);
void sim_udp_begin(void);
void sim_udp_end(void);
struct sim_sock *sim_udp_bound(int node, struct sim_address at);

#endif
