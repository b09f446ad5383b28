/* The second phase of the arena of groups: liveness (L1, L2, L3, L8), and why a run may end without it.
 *
 * Owns      the majority that is healed first, and the probes that ask every member whether it works.
 * Relies on arena_group.h and the oracles, which know what was delivered to whom and who is in the view.
 * Not here  the storm before it (arena_group.c); safety (oracle_order.h, oracle_views.h).
 */
#ifndef HOLDFAST_SIM_GROUP_JUDGE_H
#define HOLDFAST_SIM_GROUP_JUDGE_H

#include "tests/sim/world.h"

/* Before each run. */
void group_judge_begin(void);
/* Every process has a view. */
bool group_judge_is_founded(void);
/* Runs until it holds; false when it does not within the limit, or a property fails. */
bool group_judge_wait(bool (*is_done)(void), base_time limit);
/* A chosen majority is healed and must work; then everything is, and everybody must have everything. */
void group_judge_liveness(void);
/* Fails the run, with the state of every member. */
void group_judge_tell(const char *property);

#endif
