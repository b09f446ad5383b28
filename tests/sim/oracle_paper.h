/* The claim of the paper as a property (M6): in a run with link faults, pauses and delays only, without a crash and
 * without a request, the number of views stays as it was, and no entry is sent twice to a member within one term.
 */
#ifndef HOLDFAST_SIM_ORACLE_PAPER_H
#define HOLDFAST_SIM_ORACLE_PAPER_H

#include "membership/order_state.h"
#include "tests/sim/arena_group.h"

void oracle_paper_begin(void);
/* The leader `node` gave this message to the channel. */
void oracle_paper_sent(int node, uint32_t member, const struct message *m);
/* At the end of a run. */
void oracle_paper_judge(void);

#endif
