/* What the files of the model share with each other and with nobody else.
 *
 * Owns      the shape of the world of explore.h.
 * Relies on the order core, and looks into it.
 * Not here  actions from outside: explore.h.
 */
#ifndef HOLDFAST_SIM_EXPLORE_INSIDE_H
#define HOLDFAST_SIM_EXPLORE_INSIDE_H

#include "membership/order_state.h"
#include "membership/role.h"
#include "tests/sim/explore.h"

#define EXPLORE_MEMBERS_MAX 5
#define EXPLORE_ENTRIES_MAX 96
#define EXPLORE_ENTRY_BYTES 64
#define EXPLORE_INDEXES_MAX 128

struct explore_entry {
    uint32_t size;
    uint64_t term, chain;
    uint8_t bytes[EXPLORE_ENTRY_BYTES];
};

struct explore_disk {
    uint64_t term;
    uint32_t vote;
    uint32_t count;
    struct explore_entry entry[EXPLORE_ENTRIES_MAX]; /* of index 1, 2, ... */
};

struct explore_write {
    uint64_t number, term, first, upto;
    uint32_t vote;
    struct explore_entry *entry; /* of first .. upto */
    struct explore_write *next;
};

struct explore_packet {
    struct message message;
    struct explore_packet *next;
};

struct explore_node {
    struct order *order;
    base_time now;
    uint64_t commit; /* as seen last in this life */
    struct explore_write *writes;
    int write_count;
    struct explore_disk disk;
};

struct explore_settlement {
    uint64_t term, chain;
};

struct explore_world {
    struct explore_limits left;
    int members;
    uint64_t seed;
    struct group_view view;
    struct explore_node node[EXPLORE_MEMBERS_MAX];
    struct explore_packet *lane[EXPLORE_MEMBERS_MAX][EXPLORE_MEMBERS_MAX][LANE_COUNT];
    struct explore_settlement settled[EXPLORE_INDEXES_MAX];
    uint64_t settled_upto;
    uint32_t leader[EXPLORE_INDEXES_MAX]; /* of a term: 1 + node */
    const char *broken;
    size_t small_used, large_used;
};

/* ---- explore_memory.c: one piece, so that a state can be put aside and taken again */

/* Empty, with nothing taken. */
void explore_prepare(void);
struct explore_world *explore_world(void);
/* Of the world; it is never given back. */
void *explore_take(size_t size);
/* The same for the product. */
extern const struct base_memory explore_allocator;

/* ---- explore_disk.c: writes take as long as the explorer likes */

void explore_begin_write(struct explore_node *n, const struct order_effect *e);
/* The oldest is on the disk, and the core is told. */
void explore_end_write(struct explore_node *n);

/* ---- explore_look.c: what must always be true */

void explore_break_property(const char *what);
/* After every turn of a node. */
void explore_look(int node);
/* R8: nothing is promised that is not on the disk at the moment of sending. */
void explore_look_at_promise(int from, int to, const struct message *m);

#endif
