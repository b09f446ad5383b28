/* The memory of a group: small pieces from malloc, large ones from the system and back to it.
 *
 * Owns      nothing: each piece remembers where it came from.
 * Relies on malloc, mmap.
 * Not here  limits (log_bytes_max and its like).
 *
 * A log that grew while a member was away consists of large pieces, freed in the order they came. malloc would keep
 * them all below the newest one that is still in use, so the process would stay as large as it ever was.
 */
#ifndef HOLDFAST_MEMBERSHIP_MEMORY_LOOP_H
#define HOLDFAST_MEMBERSHIP_MEMORY_LOOP_H

#include "rtcp/base/memory.h"

#define MEMORY_LARGE (128u << 10) /* bytes from which on a piece comes from the system */

const struct base_memory *memory_of_group(void);

#endif
