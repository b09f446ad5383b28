/* Ring memory from the system: plain memory for small rings, a memfd mapped twice in a row for larger ones.
 *
 * Owns      the mappings it handed out until they are given back.
 * Relies on memfd_create and mmap; falls back to plain memory where they fail.
 */
#ifndef HOLDFAST_BASE_RINGMEM_LOOP_H
#define HOLDFAST_BASE_RINGMEM_LOOP_H

#include "rtcp/base/ringmem.h"

/* The source. Rings up to 64 KiB are plain memory; larger ones have a descriptor, too, as long as less than half of the
 * process's descriptors are in use. Static storage. */
const struct base_ringmem_source *base_ringmem_system(void);

#endif
