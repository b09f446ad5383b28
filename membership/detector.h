/* When to suspect the leader: fast, and with doubt about oneself. Its only consequence is an election.
 *
 * Owns      the time a leader may be silent, with jitter, and the doubt after this process itself was away.
 * Relies on times and a generator passed in.
 * Not here  what a sign of life is (round.c); exclusion from the view, which silence never causes.
 * Protocol  membership/PROTOCOL.md "Suspicion".
 */
#ifndef HOLDFAST_MEMBERSHIP_DETECTOR_H
#define HOLDFAST_MEMBERSHIP_DETECTOR_H

#include "rtcp/base/rng.h"
#include "rtcp/base/time.h"

#include <stdbool.h>

#define DETECTOR_DOUBTS_MAX 2 /* times in a row that being late ourselves excuses the leader */

struct detector {
    base_time timeout;  /* T */
    base_time heard;    /* last sign of life of a leader; 0 with is_deaf */
    base_time deadline; /* suspicion begins here */
    uint32_t doubts;
    bool is_deaf; /* nothing was heard that would bind us to a leader */
    struct base_rng *rng;
};

void detector_init(struct detector *d, base_time timeout, struct base_rng *rng);

/* Begins to wait, bound to nobody: within (T/2) for a first leader. */
void detector_begin(struct detector *d, base_time now);

/* A sign of life: suspicion T .. 1.3 T from now (T03). */
void detector_hear(struct detector *d, base_time now);

/* We voted, or learnt of a new leader or term: wait as long as after a sign of life, but bound to nobody. */
void detector_wait(struct detector *d, base_time now);

/* A newer term began: bound to nobody, the deadline stays. */
void detector_forget(struct detector *d);

/* The leader said that it leads no more: within T/8. */
void detector_hurry(struct detector *d, base_time now);

/* We gave up leading: the others go first. */
void detector_rest(struct detector *d, base_time now);

/* Whether a leader was heard within T: then nobody else gets our vote (G3). */
bool detector_hears(const struct detector *d, base_time now);

/* Whether suspicion begins now. Woken late ourselves, we first read what has waited: false, and a new deadline T/4
 * later. */
bool detector_expire(struct detector *d, base_time now);

#endif
