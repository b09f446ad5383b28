/* Synchronisation: once per (term, link) the leader learns where a member's log stands, then only streams.
 *
 * Owns      SYNC_ASK, SYNC, the search for the point up to which two logs agree.
 * Relies on order_state.h, log.h.
 * Not here  the stream that follows (stream.c).
 * Protocol  membership/PROTOCOL.md "Synchronisation".
 */
#ifndef HOLDFAST_MEMBERSHIP_SYNC_H
#define HOLDFAST_MEMBERSHIP_SYNC_H

#include "membership/order_state.h"

/* SYNC_ASK of the leader of this term. 0 or BASE_E_PROTOCOL (asked twice on one link in one term). */
BASE_MUST_USE int sync_receive_ask(struct order *o, struct order_seat *seat);

/* SYNC: opens the stream to the member. 0 or BASE_E_PROTOCOL. */
BASE_MUST_USE int sync_receive(struct order *o, struct order_seat *seat, const struct message *m);

void sync_fill(const struct order *o, struct message *m);

/* The greatest index up to which a log equals ours, as its SYNC tells. */
uint64_t sync_match(const struct log *ours, const struct message *sync);

#endif
