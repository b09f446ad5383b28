/* Who leads: pre-vote, vote, stickiness.
 *
 * Owns      the roles pre-candidate and candidate, questions and answers of elections.
 * Relies on order_state.h; detector.h for suspicion.
 * Not here  what a leader does (stream.c, round.c).
 * Protocol  membership/PROTOCOL.md "Elections".
 */
#ifndef HOLDFAST_MEMBERSHIP_ELECTION_H
#define HOLDFAST_MEMBERSHIP_ELECTION_H

#include "membership/order_state.h"

/* PREVOTE_ASK and VOTE_ASK; the term of a VOTE_ASK is ours. */
void election_receive_ask(struct order *o, struct order_seat *seat, const struct message *m);

/* Whether a VOTE_ASK of a newer term is passed over: a leader is heard, or we are one (G3). */
bool election_is_bound(const struct order *o);

/* PREVOTE and VOTE. */
void election_receive_vote(struct order *o, struct order_seat *seat, const struct message *m);

void election_expire(struct order *o);
base_time election_deadline(const struct order *o);

/* Our own vote may have become durable: only now it counts (T13). */
void election_durable(struct order *o);

/* Questions without an answer are asked again on a new link (rule 4). */
void election_link_up(struct order *o, struct order_seat *seat);

/* Whether a message that waits may be sent: what it promises is durable (R8). */
bool election_may_send(const struct order *o, const struct order_seat *seat, enum message_kind kind);
void election_fill(const struct order *o, const struct order_seat *seat, struct message *m);

#endif
