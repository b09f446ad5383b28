/* Memory for a ring: an address, a size, and whether the ring is mapped a second time right behind itself.
 *
 * Owns      the shape only; sources are drivers (ringmem_loop.c) or tests.
 * Not here  what the ring holds.
 */
#ifndef HOLDFAST_BASE_RINGMEM_H
#define HOLDFAST_BASE_RINGMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct base_ringmem {
    uint8_t *at;
    size_t size;      /* a power of two */
    bool is_mirrored; /* at[i] and at[size + i] are the same byte: every range is contiguous */
    int handle;       /* descriptor of the memory, where at[0] is its byte 0; -1 when there is none */
};

struct base_ringmem_source {
    void *user;
    /* 0 or BASE_E_NOMEM; size is a power of two. */
    int (*take)(void *user, size_t size, struct base_ringmem *ret_ring);
    void (*give)(void *user, struct base_ringmem *ring);
};

#endif
