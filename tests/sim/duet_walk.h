/* All states of duet.h within limits, each once; from some of them to the end, with nothing going wrong any more.
 *
 * Owns      which states were seen, and those that wait; says how many there were, or how one was reached that breaks a
 *           property.
 * Relies on duet.h, whose states are bytes.
 * Not here  which limits: explore_rtcp_main.c.
 */
#ifndef HOLDFAST_SIM_DUET_WALK_H
#define HOLDFAST_SIM_DUET_WALK_H

#include "tests/sim/duet.h"

/* Breadth first: what it finds is short. Deep: only numbers of states are kept, not states that wait; what it finds is
 * long. */
void duet_walk_begin(bool is_deep);
/* All within the limits, or what is reached until then. 0; 1: a property is broken. */
int duet_walk(const struct duet_limits *limits, uint64_t end);
void duet_walk_end(void);
/* In milliseconds. */
uint64_t duet_walk_clock(void);

#endif
