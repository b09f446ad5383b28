/* Beats: the leader's sign of life, and the leader's own proof that it still has a majority.
 *
 * Owns      rounds, their 32 bytes, answers, abdication.
 * Relies on order_state.h, quorum.h, detector.h.
 * Not here  elections that follow silence (election.c); progress of members, which is their acks (rule 7).
 * Protocol  membership/PROTOCOL.md "Beats".
 */
#ifndef HOLDFAST_MEMBERSHIP_ROUND_H
#define HOLDFAST_MEMBERSHIP_ROUND_H

#include "membership/order_state.h"

/* We lead from here on: the first beat goes out at once. */
void round_begin(struct order *o);

void round_expire(struct order *o);
base_time round_deadline(const struct order *o);

/* BEAT, from either way, from the leader of this term. */
void round_receive(struct order *o, struct order_seat *seat, const struct message *m);
void round_receive_answer(struct order *o, struct order_seat *seat, const struct message *m);
void round_receive_abdicate(struct order *o, struct order_seat *seat);

/* We lead no more, and say so. */
void round_abdicate(struct order *o, const char *reason);

void round_link_up(struct order *o, struct order_seat *seat);
void round_fill(const struct order *o, const struct order_seat *seat, struct message *m);

/* A beat as it rides in probes: group 4, leader 4, term 8, round 8, flags 1 (1: has a quorum, 2: leads no more), zeros
 * 7. */
void round_encode(const struct order *o, uint8_t beat[MESSAGE_BEAT_SIZE]);

/* A BEAT or an ABDICATE. False when it is none, or none of this leader and group. */
bool round_decode(const uint8_t beat[MESSAGE_BEAT_SIZE], uint32_t leader, uint32_t group, struct message *m);

#endif
