/* Byte ranges and big-endian numbers: the vocabulary of every wire format here.
 *
 * Owns      struct base_bytes (a borrowed range), a reading cursor that cannot run over, and put/get of integers.
 * Relies on nothing.
 * Not here  memory: a range never owns what it points at.
 */
#ifndef HOLDFAST_BASE_BYTES_H
#define HOLDFAST_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A range that somebody else owns. data may be NULL when size is 0. */
struct base_bytes {
    const uint8_t *data;
    size_t size;
};

/* A range that somebody else owns and that may be written. */
struct base_span {
    uint8_t *data;
    size_t size;
};

static inline void base_put16(uint8_t *at, uint16_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static inline void base_put32(uint8_t *at, uint32_t v)
{
    base_put16(at, (uint16_t)(v >> 16));
    base_put16(at + 2, (uint16_t)v);
}

static inline void base_put64(uint8_t *at, uint64_t v)
{
    base_put32(at, (uint32_t)(v >> 32));
    base_put32(at + 4, (uint32_t)v);
}

static inline uint16_t base_get16(const uint8_t *at)
{
    return (uint16_t)((uint16_t)(at[0] << 8) | at[1]);
}

static inline uint32_t base_get32(const uint8_t *at)
{
    return ((uint32_t)base_get16(at) << 16) | base_get16(at + 2);
}

static inline uint64_t base_get64(const uint8_t *at)
{
    return ((uint64_t)base_get32(at) << 32) | base_get32(at + 4);
}

/* The one copy of the house: sizes are checked by the caller, ranges must not overlap, size 0 is allowed with NULL. */
static inline void base_copy(void *to, const void *from, size_t size)
{
    if (size > 0) {
        memcpy(to, from, size);
    }
}

/* The same for ranges that may overlap. */
static inline void base_move(void *to, const void *from, size_t size)
{
    if (size > 0) {
        memmove(to, from, size);
    }
}

static inline void base_zero(void *at, size_t size)
{
    if (size > 0) {
        memset(at, 0, size);
    }
}

static inline bool base_equal(struct base_bytes a, struct base_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

#endif
