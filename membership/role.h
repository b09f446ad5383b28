/* Roles, terms, and who leads: the steps that all concerns of the order core take.
 *
 * Owns      the roles as data, what a new term resets, the rule that a term has one leader, stopping.
 * Relies on order_state.h.
 * Not here  why a step is taken: its caller gives the reason.
 * Protocol  membership/PROTOCOL.md "Roles and terms".
 */
#ifndef HOLDFAST_MEMBERSHIP_ROLE_H
#define HOLDFAST_MEMBERSHIP_ROLE_H

#include "membership/order_state.h"

enum role {
    ROLE_FOLLOWER,
    ROLE_PRECANDIDATE, /* asks whether an election would be won; no term has changed */
    ROLE_CANDIDATE,
    ROLE_LEADER,
    ROLE_STOPPED, /* for good */
};

static inline bool order_is_leader(const struct order *o)
{
    return o->role == ROLE_LEADER;
}

/* Changes the role for a reason. */
void role_move(struct order *o, int role, const char *reason);

/* Begins a term: nothing of older ones counts any more, on either lane (rule 3). */
void role_begin_term(struct order *o, uint64_t term, uint32_t vote);

/* A newer term was seen: follow nobody yet. */
void role_step(struct order *o, uint64_t term, const char *reason);

/* Something came that only the leader of the current term says. False when that breaks the protocol: stopped. */
bool role_follow(struct order *o, struct order_seat *seat);

/* Who leads, as far as we know. */
void role_set_leader(struct order *o, uint32_t id);
void role_set_quorum(struct order *o, bool has_quorum);

/* A rule is broken: nothing is sent, taken or delivered from here on. */
void role_stop(struct order *o, const char *reason);

/* Something happened: name and reason are static. */
void role_trace(const struct order *o, const char *name, const char *reason, uint64_t member, uint64_t index);

/* The role's name for people. Static. */
const char *role_name(const struct order *o);

#endif
