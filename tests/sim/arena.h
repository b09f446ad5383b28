/* What lives in a world: an arena starts processes, keeps them busy, and watches its properties. */
#ifndef HOLDFAST_SIM_ARENA_H
#define HOLDFAST_SIM_ARENA_H

#include "tests/sim/world.h"

struct sim_arena_stats {
    uint64_t streams, finished, bytes;                              /* arena of streams */
    uint64_t entries, commands, answers, unknown, views, elections; /* arena of the group */
    uint64_t histories, undecided; /* judged one by one; histories that were too long to judge */
    uint64_t held;                 /* runs in which a dead or broken member held the log until it was full */
    uint64_t stuck;                /* runs that ended for want of a quorum, and said so */
    uint64_t virtual_ns;
};

extern struct sim_arena_stats sim_arena_stats;

struct sim_arena {
    const char *name;
    const char *text;
    unsigned faults; /* kinds that make sense here */
    void (*run)(unsigned faults, int members);
};

extern const struct sim_arena sim_arena_streams;
extern const struct sim_arena sim_arena_group;
extern const struct sim_arena sim_arena_order;
extern const struct sim_arena sim_arena_threads;

#endif
