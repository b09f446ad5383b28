/* What may pass in a direction of transfer now: a bucket that holds 20 ms of the rate.
 *
 * Owns      the bucket, and the clock of the program.
 * Relies on nothing.
 * Not here  who waits when nothing may pass: examples/transfer.c looks again at every tick.
 */
#ifndef HOLDFAST_EXAMPLES_TRANSFER_PACE_H
#define HOLDFAST_EXAMPLES_TRANSFER_PACE_H

#include "rtcp/base/time.h"

#include <stddef.h>
#include <stdint.h>

struct transfer_pace {
    uint64_t rate; /* bytes a second; 0: as many as possible */
    double tokens;
    base_time last;
};

/* The monotonic clock: the same in all network namespaces of a machine, so events of two processes compare. */
base_time transfer_pace_clock(void);

void transfer_pace_start(struct transfer_pace *p, uint64_t rate);

/* Bytes that may pass now, at most `most`. Refilled once a millisecond, so that a loop over it ends. */
size_t transfer_pace_allow(struct transfer_pace *p, size_t most);

/* So many bytes passed. */
void transfer_pace_take(struct transfer_pace *p, size_t size);

#endif
