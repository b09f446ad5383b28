/* Majorities of voters, simple and joint: the arithmetic that every decision rests on.
 *
 * Owns      the rule "more than half of the voters", for one set of voters or for two at the same time.
 * Relies on seats: a member is a bit number below QUORUM_SEATS_MAX. A learner is a seat that is in no set (M10).
 * Not here  who is a voter (view.h).
 * Protocol  membership/PROTOCOL.md "Majorities".
 */
#ifndef HOLDFAST_MEMBERSHIP_QUORUM_H
#define HOLDFAST_MEMBERSHIP_QUORUM_H

#include <stdbool.h>
#include <stdint.h>

#define QUORUM_SEATS_MAX 32

struct quorum {
    uint32_t voters; /* one bit per seat */
    uint32_t next;   /* 0, or the voters of the view that is being prepared: both majorities are needed */
};

/* Whether those who said yes are enough. Without voters nothing is ever enough. */
bool quorum_won(const struct quorum *q, uint32_t yes);

/* Whether those who said no make it impossible to win. */
bool quorum_lost(const struct quorum *q, uint32_t no);

/* The greatest number that a majority has reached; value[seat] counts for seats that are voters. */
uint64_t quorum_value(const struct quorum *q, const uint64_t value[QUORUM_SEATS_MAX]);

#endif
