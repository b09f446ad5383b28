/* How old the oldest unacknowledged byte is (planned by the paper, 2.1), without a time for each byte.
 *
 * Owns      a few marks: offsets, and when the bytes up to them began to be taken.
 * Relies on offsets that only grow.
 * Not here  who acknowledges, and when that is asked for (session.h).
 */
#ifndef HOLDFAST_RTCP_AGE_H
#define HOLDFAST_RTCP_AGE_H

#include "rtcp/base/time.h"

#define RTCP_AGE_MARKS 32

/* Oldest first. Offsets are kept by their low 32 bits: a ring has at most 2^30 bytes, and every session has this. */
struct rtcp_age {
    base_time at[RTCP_AGE_MARKS];
    uint32_t upto[RTCP_AGE_MARKS];
    unsigned count;
};

/* Bytes up to the offset `upto` were taken. */
void rtcp_age_took(struct rtcp_age *a, base_time now, uint64_t upto);

/* Bytes below `acked` were acknowledged. */
void rtcp_age_acked(struct rtcp_age *a, uint64_t acked);

/* The age of the oldest byte that is left: never less than it is, and at most 50 ms or half more; 0 without one.
 */
base_time rtcp_age_of(const struct rtcp_age *a, base_time now);

#endif
