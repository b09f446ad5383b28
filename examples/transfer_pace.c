/* What may pass in a direction now; see transfer_pace.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "examples/transfer_pace.h"

#include <time.h>

base_time transfer_pace_clock(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return BASE_S(t.tv_sec) + (base_time)t.tv_nsec;
}

void transfer_pace_start(struct transfer_pace *p, uint64_t rate)
{
    *p = (struct transfer_pace){.rate = rate, .last = transfer_pace_clock()};
}

size_t transfer_pace_allow(struct transfer_pace *p, size_t most)
{
    if (p->rate == 0) {
        return most;
    }
    base_time now = transfer_pace_clock();
    base_time passed = base_time_since(now, p->last);
    if (passed >= BASE_MS(1)) {
        double full = (double)p->rate * 0.02;
        p->tokens += (double)p->rate * (double)passed / 1e9;
        p->tokens = p->tokens > full ? full : p->tokens;
        p->last = now;
    }
    return p->tokens < (double)most ? (size_t)p->tokens : most;
}

void transfer_pace_take(struct transfer_pace *p, size_t size)
{
    p->tokens -= p->rate == 0 ? 0.0 : (double)size;
}
