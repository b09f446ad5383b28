/* Ring memory from the system: plain memory for small rings, a memfd mapped twice in a row for larger ones.
 *
 * Owns      the mappings it handed out until they are given back.
 * Relies on memfd_create and mmap; falls back to plain memory where they fail.
 */
#ifndef HOLDFAST_BASE_RINGMEM_LOOP_H
#define HOLDFAST_BASE_RINGMEM_LOOP_H

#include "rtcp/base/ringmem.h"

/* The source. Rings up to 64 KiB are plain memory. Static storage. */
const struct base_ringmem_source *base_ringmem_system(void);

/* The same, but larger rings keep their descriptor (for sendfile), as long as less than half of the process's
 * descriptors are in use. */
const struct base_ringmem_source *base_ringmem_pages(void);

#endif
