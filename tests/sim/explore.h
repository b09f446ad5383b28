/* A model of members around the product's order cores, small enough to be explored: every message, every write to disk
 * and every timer is one action of its own; disks are slow, and members crash and come back from what their disks hold.
 *
 * Owns      cores, lanes, disks, and all their memory in one piece, so that a state can be put aside and taken again.
 * Relies on order.h; on order_state.h to look.
 * Not here  which actions are chosen: breadth first (explore_main.c) or at random (arena_order.c).
 *
 * Checked after every action: R1 one leader a term; R5 one entry at a settled index; R8 what is said is on the disk,
 * what a leader settles on the disks of a majority; R9 and R12 follow from these with crashes; no core stops.
 */
#ifndef HOLDFAST_SIM_EXPLORE_H
#define HOLDFAST_SIM_EXPLORE_H

#include "membership/message.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXPLORE_ACTIONS_MAX 160
#define EXPLORE_SAVED_MAX   1024 /* states put aside at once */

enum explore_kind {
    EXPLORE_EXPIRE,  /* time passes at a member, up to its next deadline */
    EXPLORE_DELIVER, /* the first message of a lane arrives */
    EXPLORE_DURABLE, /* a member's oldest write is on its disk */
    EXPLORE_CRASH,   /* a member, not the first, loses what is not on its disk, and comes back */
    EXPLORE_SUBMIT,  /* the first member gets a command */
    EXPLORE_BREAK,   /* both sessions of a link end, and another link comes up */
};

struct explore_action {
    uint8_t kind, a, b, lane;
};

struct explore_limits {
    int members;
    uint64_t terms;
    int expires, crashes, submits, breaks;
    int queued; /* messages in a lane: states with more are not followed; 0: any number */
};

/* A fresh group in the model's memory. */
void explore_begin(const struct explore_limits *limits, uint64_t seed);
/* What can happen next; at most EXPLORE_ACTIONS_MAX. */
size_t explore_actions(struct explore_action *ret_actions);
/* Lets it happen. NULL, or the property that is broken then. */
const char *explore_apply(struct explore_action action);
/* Two states with the same number are taken for one. Times are left out but for what a member concludes from them. */
uint64_t explore_number(void);
/* Entries settled so far. */
uint64_t explore_settled(void);
void explore_print(void *file, struct explore_action action);

/* The state as bytes: put aside at a place and taken again. Places grow as needed and are freed by explore_end. */
void explore_save(size_t place);
void explore_restore(size_t place);
void explore_end(void);

#endif
