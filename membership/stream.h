/* Entries from the leader to every member, and what comes back: the log is the send queue, a member is a cursor.
 *
 * Owns      BATCH, ACK, cursors, what is verified, what is settled.
 * Relies on order_state.h, log.h, quorum.h; synchronisation before it (sync.c).
 * Not here  beats (round.c), commands on their way to the leader (forward.c).
 * Protocol  membership/PROTOCOL.md "The stream".
 */
#ifndef HOLDFAST_MEMBERSHIP_STREAM_H
#define HOLDFAST_MEMBERSHIP_STREAM_H

#include "membership/order_state.h"

/* Forgets what is kept of a link: with each link (rule 4) and each term (rule 3). */
void stream_reset(struct order *o, struct order_seat *seat);

/* We lead from here on: ask everybody where his log stands. */
void stream_begin(struct order *o);

/* The next batch for a member, or false: nothing new, or no room. */
bool stream_pull(struct order *o, struct order_seat *seat, size_t room, struct message *m);

/* BATCH from the leader of this term. 0, BASE_E_PROTOCOL, BASE_E_NOMEM, BASE_E_CLOSED (stopped). */
BASE_MUST_USE int stream_receive(struct order *o, struct order_seat *seat, const struct message *m);

/* ACK of this term. 0 or BASE_E_PROTOCOL. */
BASE_MUST_USE int stream_receive_ack(struct order *o, struct order_seat *seat, const struct message *m);

/* Something became durable here: acknowledge, or count. */
void stream_durable(struct order *o);

/* How far this member may acknowledge: durable, and proven by this term's stream (rule 2, T06). */
uint64_t stream_acked(const struct order *o);

#endif
