/* Arena b: a whole group in the world. What its parts share: the members as the arena sees them.
 *
 * Owns      struct sim_member, the state machine that every member runs.
 * Relies on world.h; the product's public headers, and order_state.h to look at cores without touching them.
 * Not here  verdicts: oracle_order.h, oracle_views.h, oracle_paper.h, oracle_clients.h. Clients: clients.h.
 */
#ifndef HOLDFAST_SIM_ARENA_GROUP_H
#define HOLDFAST_SIM_ARENA_GROUP_H

#include "membership/order_state.h"
#include "replication/replication.h"
#include "tests/sim/world.h"

#define SIM_MEMBERS_MAX 7
#define SIM_KEYS        8 /* registers and counters of the state machine */

/* The replicated state: registers with compare-and-set, counters that only grow, and a hash of all that was applied. */
struct sim_machine {
    uint64_t reg[SIM_KEYS];
    uint64_t counter[SIM_KEYS];
    uint64_t hash;
    uint64_t applied; /* index of the last command */
};

struct sim_member {
    struct replica *replica; /* NULL: no process, or it was closed */
    uint32_t life;           /* of the process */
    uint64_t incarnation;    /* as its core says; 0: not seen yet */
    const struct order *core;
    struct mesh *mesh;
    bool has_view;
    bool is_out; /* on_excluded came */
    int out_status;
    struct sim_machine machine;
};

struct sim_group {
    int count;
    struct sim_member member[SIM_MEMBERS_MAX];
    size_t log_bytes_max;    /* of each member */
    bool was_killed;         /* some process of this run was killed */
    bool has_ended_sessions; /* some session between living members was ended by hand */
};

extern struct sim_group sim_group;

/* The process of this node lives, is a member and not out. */
bool sim_group_is_serving(int node);
/* Of the first view. */
int sim_group_majority(void);
/* How many processes of the view live. */
int sim_group_living(void);
void sim_group_cut_path(int from, int to, bool is_cut);
uint64_t sim_hash(uint64_t hash, const void *data, size_t size);

#endif
