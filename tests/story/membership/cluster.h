/* A group of order cores in one process: virtual time, two FIFO lanes per pair, faults on demand, the same run every
 * time.
 *
 * Owns      nodes, channels between them, disks with a delay, the oracles that every step is checked against.
 * Relies on order.h only; channels behave as rtcp streams do: a cut delays bytes, it never loses them; only
 * cluster_break (a session that ended) does. Probes (beats) are lost in a cut. Not here  encodings, founding.
 */
#ifndef HOLDFAST_TESTS_STORY_MEMBERSHIP_CLUSTER_H
#define HOLDFAST_TESTS_STORY_MEMBERSHIP_CLUSTER_H

#include "membership/order.h"

#define CLUSTER_NODES_MAX  5
#define CLUSTER_TRACE_MAX  (64u << 10)
#define CLUSTER_HEAD       64u /* bytes of a message besides its body */
#define CLUSTER_VOTES_RING 1024u

struct cluster_packet {
    struct cluster_packet *next;
    base_time due;
    struct message message; /* its body follows the packet */
    bool is_beat;
    uint8_t beat[MESSAGE_BEAT_SIZE];
};

struct cluster_lane {
    struct cluster_packet *first;
    struct cluster_packet *last;
    size_t bytes; /* on their way */
    size_t count; /* of messages on their way */
    bool is_held; /* a test holds this lane alone */
};

/* One direction between two nodes. */
struct cluster_path {
    struct cluster_lane lane[LANE_COUNT];
    struct cluster_lane probes;
    base_time delay;
    bool is_cut;
};

struct cluster_delivery {
    uint64_t index;
    uint64_t term;
    uint32_t origin;
    uint64_t number;
    uint64_t hash; /* of the data */
    char text[16]; /* the first bytes of the data, ended */
};

struct cluster_write {
    uint64_t number;
    base_time due;
};

struct cluster_node {
    uint32_t id; /* 1, 2, ... */
    struct order *order;
    bool is_paused;
    bool is_dead;
    bool is_stopped;
    const char *stop_reason;
    base_time disk_delay; /* BASE_NEVER: nothing becomes durable */
    struct cluster_write write[32];
    uint32_t write_count;
    uint64_t persisted; /* the highest index that a PERSIST named */
    struct cluster_delivery *delivery;
    size_t delivery_count;
    size_t delivery_room;
    uint64_t submitted; /* number of the last command taken here */
    bool has_quorum;
    uint32_t leader;
    uint32_t writable; /* how often ORDER_WRITABLE came */
    uint64_t beats;    /* beats made */
    uint64_t seen_commit;
};

/* What is settled at an index: the same everywhere, for ever (R5). */
struct cluster_settled {
    uint64_t term;
    uint64_t hash;
};

struct cluster {
    uint32_t count;
    uint32_t group;
    struct cluster_node node[CLUSTER_NODES_MAX + 1]; /* by id */
    struct cluster_path path[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1];
    bool is_linked[CLUSTER_NODES_MAX + 1][CLUSTER_NODES_MAX + 1];
    base_time now;
    size_t ring;   /* bytes of bodies that fit on a lane */
    bool may_stop; /* a stop of a core is expected */
    struct group_view view;
    struct cluster_settled *settled; /* by index */
    size_t settled_room;
    uint64_t settled_upto;
    uint32_t leader_of[4096]; /* by term: never two (R1) */
    char *trace;
    size_t trace_size;
    uint64_t sent[MESSAGE_KIND_MAX + 1];                                                       /* messages by kind */
    void (*on_packet)(struct cluster *c, uint32_t from, uint32_t to, const struct message *m); /* may be NULL */
};

/* `count` members with links to each other, T = 600 ms, 1 ms of delay. Options may be changed by `adjust` before the
 * cores open. */
void cluster_open(struct cluster *c, uint32_t count, uint64_t seed,
                  void (*adjust)(struct order_options *options, uint32_t id));
void cluster_close(struct cluster *c);

/* Lets time pass. */
void cluster_run(struct cluster *c, base_time duration);

/* Lets time pass until the question is answered with yes; false after `limit`. */
bool cluster_until(struct cluster *c, bool (*question)(const struct cluster *c), base_time limit);

/* Takes all effects of a node, delivers, sends: after a test has called its core directly. */
void cluster_turn(struct cluster *c, uint32_t id);

/* Faults. A cut holds what is on its way and what is sent; heal lets it go on. */
void cluster_cut_one(struct cluster *c, uint32_t from, uint32_t to);
void cluster_cut(struct cluster *c, uint32_t a, uint32_t b);
void cluster_hold_lane(struct cluster *c, uint32_t from, uint32_t to, enum message_lane lane, bool is_held);
void cluster_isolate(struct cluster *c, uint32_t id);
void cluster_heal(struct cluster *c, uint32_t a, uint32_t b);
void cluster_heal_all(struct cluster *c);
void cluster_delay(struct cluster *c, uint32_t from, uint32_t to, base_time delay);
void cluster_link_down(struct cluster *c, uint32_t a, uint32_t b); /* both streams end: what was on its way is lost */
void cluster_link_up(struct cluster *c, uint32_t a, uint32_t b);
void cluster_pause(struct cluster *c, uint32_t id);
void cluster_resume(struct cluster *c, uint32_t id);
void cluster_crash(struct cluster *c, uint32_t id); /* gone for good: the others see their links end */

/* A command of a node; its text counts as data. Returns what order_submit returned. */
int cluster_submit(struct cluster *c, uint32_t id, const char *text);

/* The living, unpaused leader of the highest term, or 0. */
uint32_t cluster_leader(const struct cluster *c);

/* Runs until there is a leader that a majority follows, and gives it. */
uint32_t cluster_elect(struct cluster *c);

/* Whether all living nodes have delivered everything that was taken, and the same. */
bool cluster_is_even(const struct cluster *c);

void cluster_stats(const struct cluster *c, uint32_t id, struct group_stats *ret_stats);

/* The part of the trace that tells of roles, one line per change, "id: role (reason)\n", from the last cluster_forget.
 */
const char *cluster_roles(const struct cluster *c);
void cluster_forget(struct cluster *c);

/* Checks what must always hold; run after each step anyway. */
void cluster_check(struct cluster *c);

/* How often a text was delivered at a node. */
uint32_t cluster_count(const struct cluster *c, uint32_t id, const char *text);

#endif
