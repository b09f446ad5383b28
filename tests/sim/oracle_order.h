/* Oracle of agreement: the properties R of the order, over all members at once.
 *
 * R1 at most one leader per term. R5 the same index holds the same entry, everywhere, for ever. R7 one order without
 * gaps. R8, R13 what a
 * leader settles is held by a majority. R11 by counting only entries of the own term are settled. R10 commit, delivery
 * and term only rise in a process. R14 the state is a function of the order. R18 nothing is delivered beyond what is
 * committed.
 *
 * T30: nobody begins a term without the word of a majority that it would vote.
 *
 * Owns a canonical array, outside the nodes: the first member that commits or delivers an index fixes it.
 */
#ifndef HOLDFAST_SIM_ORACLE_ORDER_H
#define HOLDFAST_SIM_ORACLE_ORDER_H

#include "membership/order_state.h"
#include "tests/sim/arena_group.h"

void oracle_order_begin(void);
void oracle_order_end(void);
/* A process of this node starts: what was said by the former one does not bind it. */
void oracle_order_start(int node);
/* Another group of the same name begins: all that had the former view are dead. */
void oracle_order_refound(void);

/* A core, at any time between two of its verbs. */
void oracle_order_look(int node, const struct order *o);
/* A message came to a core. */
void oracle_order_heard(int node, uint32_t member, const struct message *m);
void oracle_order_deliver(int node, const struct group_delivery *d);
/* A command was applied; what the state machine says then. */
void oracle_order_apply(int node, const struct replica_command *c, uint64_t state, uint64_t answer);

/* The greatest index ever delivered to anybody, and what this process has delivered. */
uint64_t oracle_order_last(void);
uint64_t oracle_order_delivered(int node);
/* Hash of the answer that the command at this index gave; 0: none was applied there. */
uint64_t oracle_order_answer(uint64_t index);

#endif
