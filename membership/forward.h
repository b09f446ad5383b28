/* Commands of members on their way into the order: numbered, in order, once.
 *
 * Owns      own commands not yet delivered, FORWARD, FORWARD_ASK, appending what others forward.
 * Relies on order_state.h, log.h (the list of pending commands is a log of its own).
 * Not here  skipping repetitions at delivery (deliver.c).
 * Protocol  membership/PROTOCOL.md "Forwarding".
 */
#ifndef HOLDFAST_MEMBERSHIP_FORWARD_H
#define HOLDFAST_MEMBERSHIP_FORWARD_H

#include "membership/order_state.h"

/* A new command. Codes as in order_submit. */
BASE_MUST_USE int forward_submit(struct order *o, struct base_bytes data, uint64_t *ret_number);

/* Whether a command of this size would be taken now. */
bool forward_has_room(const struct order *o, size_t size);

/* We lead from here on: own commands that are not in the log go there. */
void forward_begin(struct order *o);

/* Uses room in the log: own commands first, then those of members that were told to wait. */
void forward_pump(struct order *o);

/* A leader to follow, or the same on a new link: forward again from the oldest that is not delivered. */
void forward_rewind(struct order *o);

/* The next commands for the leader, or false. */
bool forward_pull(struct order *o, struct order_seat *seat, size_t room, struct message *m);

/* FORWARD. 0, BASE_E_PROTOCOL or BASE_E_NOMEM. */
BASE_MUST_USE int forward_receive(struct order *o, struct order_seat *seat, const struct message *m);
/* FORWARD_ASK: towards a member that was told to wait, and from the leader. */
void forward_fill_ask(struct order_seat *seat, struct message *m);
void forward_receive_ask(struct order *o, struct order_seat *seat, const struct message *m);

/* A command of this member is about to be delivered. False: it is not the next one of ours, so the order is broken. */
BASE_MUST_USE bool forward_delivered(struct order *o, uint64_t number);

#endif
