/* Processes of the arena of streams that leave in an orderly way: rtcp_drain in the middle of the storm, then the end
 * of the process, then another one in its place.
 *
 * Oracle: a drain opens and accepts nothing. When it says that it is over every stream was told to be over, what it
 * counts as lost is what was told of the streams, and with time enough it ends.
 */
#ifndef HOLDFAST_SIM_TALKS_DRAIN_H
#define HOLDFAST_SIM_TALKS_DRAIN_H

#include "tests/sim/talks.h"

void talks_drain_begin(int nodes);
/* The current process leaves: its streams close, for ever or with a deadline. */
void talks_drain_start(int node, void (*restart)(int node));
/* Whether the process that runs on this node now leaves. */
bool talks_drain_is_on(int node);
/* Whether some process of this node left: it may have closed streams that had no name yet. */
bool talks_drain_was_on(int node);
/* Who would drain for ever is ended: its clients died, and nothing proves it. */
void talks_drain_give_up(void);
/* A stream of the current process ended and told so many unacknowledged bytes. */
void talks_drain_lost(uint64_t unacknowledged);
/* At the end: those that had a deadline are over. */
void talks_drain_judge(void);

#endif
