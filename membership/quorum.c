/* Majorities: see quorum.h. */
#include "membership/quorum.h"

static uint32_t count_bits(uint32_t set)
{
    return (uint32_t)__builtin_popcount(set);
}

/* More than half; of an even set that is one more than half (G23: never lowered). */
static uint32_t majority(uint32_t voters)
{
    return count_bits(voters) / 2 + 1;
}

static bool won_by(uint32_t voters, uint32_t yes)
{
    return count_bits(voters & yes) >= majority(voters);
}

bool quorum_won(const struct quorum *q, uint32_t yes)
{
    return won_by(q->voters, yes) && (q->next == 0 || won_by(q->next, yes));
}

bool quorum_lost(const struct quorum *q, uint32_t no)
{
    return !quorum_won(q, ~no);
}

/* The majority-th greatest value of the voters. */
static uint64_t value_of(uint32_t voters, const uint64_t *value)
{
    uint64_t sorted[QUORUM_SEATS_MAX];
    uint32_t count = 0;

    for (uint32_t seat = 0; seat < QUORUM_SEATS_MAX; seat++) {
        uint32_t at = count;

        if ((voters & (1u << seat)) == 0) {
            continue;
        }
        for (; at > 0 && sorted[at - 1] < value[seat]; at--) {
            sorted[at] = sorted[at - 1];
        }
        sorted[at] = value[seat];
        count++;
    }
    return count == 0 ? 0 : sorted[majority(voters) - 1];
}

uint64_t quorum_value(const struct quorum *q, const uint64_t value[QUORUM_SEATS_MAX])
{
    uint64_t first = value_of(q->voters, value);
    uint64_t second = q->next == 0 ? first : value_of(q->next, value);

    return first < second ? first : second;
}
