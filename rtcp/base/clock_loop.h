/* The one clock of the drivers: monotonic, read once per event and passed down.
 *
 * Owns      nothing.
 * Relies on CLOCK_MONOTONIC.
 * Not here  the date: nothing in Holdfast depends on it.
 */
#ifndef HOLDFAST_BASE_CLOCK_LOOP_H
#define HOLDFAST_BASE_CLOCK_LOOP_H

#include "rtcp/base/time.h"

/* Nanoseconds of CLOCK_MONOTONIC. */
base_time base_clock_now(void);
/* The same as of the kernel's last tick, up to some milliseconds ago: an eighth of the price, for stamps only. */
base_time base_clock_tick(void);

#endif
