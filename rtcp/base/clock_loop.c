/* See clock_loop.h. */
#include "rtcp/base/clock_loop.h"

#include <time.h>

base_time base_clock_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return BASE_S(t.tv_sec) + (base_time)t.tv_nsec;
}

base_time base_clock_tick(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return BASE_S(t.tv_sec) + (base_time)t.tv_nsec;
}
