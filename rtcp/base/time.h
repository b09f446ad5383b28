/* Time as the cores see it: a number that drivers pass in. Only differences mean something.
 *
 * Owns      the type and its units.
 * Relies on a driver that reads one monotonic clock once per loop turn.
 * Not here  any clock.
 */
#ifndef HOLDFAST_BASE_TIME_H
#define HOLDFAST_BASE_TIME_H

#include <stdint.h>

/* Nanoseconds since an arbitrary start, never going back. */
typedef uint64_t base_time;

#define BASE_NEVER UINT64_MAX
#define BASE_US(n) ((base_time)(n)*1000u)
#define BASE_MS(n) ((base_time)(n)*1000000u)
#define BASE_S(n)  ((base_time)(n)*1000000000u)

/* Sum that stays at BASE_NEVER instead of wrapping. */
static inline base_time base_time_add(base_time t, base_time d)
{
    return t > BASE_NEVER - d ? BASE_NEVER : t + d;
}

/* How long ago `then` was; 0 when it lies in the future. */
static inline base_time base_time_since(base_time now, base_time then)
{
    return now > then ? now - then : 0;
}

static inline base_time base_time_min(base_time a, base_time b)
{
    return a < b ? a : b;
}

static inline base_time base_time_max(base_time a, base_time b)
{
    return a > b ? a : b;
}

#endif
