/* When to try again: at once, then 50 ms doubling to 10 s with jitter downward only (P25).
 *
 * Owns      the delay and the instant of the next attempt.
 * Relies on time and random numbers passed in.
 * Not here  what an attempt is.
 */
#ifndef HOLDFAST_RTCP_BACKOFF_H
#define HOLDFAST_RTCP_BACKOFF_H

#include "rtcp/base/rng.h"
#include "rtcp/base/time.h"

#include <stdbool.h>

struct rtcp_backoff {
    base_time delay;      /* before jitter; 0: the next attempt is at once */
    base_time started_at; /* of the last attempt; 0: none yet */
    base_time hinted_at;  /* of the last attempt that a hint brought forward */
    base_time next_at;    /* not before this */
    base_time asked_at;   /* the server asked not to come before this */
};

void rtcp_backoff_init(struct rtcp_backoff *b, base_time now);

/* An attempt begins. */
void rtcp_backoff_started(struct rtcp_backoff *b, base_time now);

/* The attempt ended without success, or the connection it made was lost: sets next_at. */
void rtcp_backoff_failed(struct rtcp_backoff *b, base_time now, struct base_rng *rng);

/* A byte was counted or acknowledged: the only thing that resets the delay (an accepted handshake alone does not). */
void rtcp_backoff_progressed(struct rtcp_backoff *b);

/* The server asked to be left alone for `pause`, of which at most RTCP_BACKOFF_LAST counts; to be called before
 * rtcp_backoff_failed. */
void rtcp_backoff_asked(struct rtcp_backoff *b, base_time now, base_time pause);

/* A sign that trying may pay now. Brings next_at forward, at most once a second; true if it did. */
bool rtcp_backoff_hinted(struct rtcp_backoff *b, base_time now);

/* When the next attempt may start; while data waits attempts are at most 2 s apart, unless the server asked for more.
 */
base_time rtcp_backoff_next(const struct rtcp_backoff *b, bool data_waits);

#endif
