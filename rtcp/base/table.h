/* A hash table from 64-bit numbers to pointers, of a size fixed at birth.
 *
 * Owns      its slots (open addressing, linear probing, backward-shift deletion).
 * Relies on an allocator passed at init; nothing is allocated later.
 * Not here  the objects the pointers name.
 */
#ifndef HOLDFAST_BASE_TABLE_H
#define HOLDFAST_BASE_TABLE_H

#include "rtcp/base/memory.h"
#include "rtcp/base/status.h"

#include <stdint.h>

struct base_table_slot {
    uint64_t key;
    void *value; /* NULL: free */
};

struct base_table {
    const struct base_memory *memory;
    struct base_table_slot *slot;
    uint64_t salt[2]; /* of the hash: 0 unless base_table_salt was called */
    size_t mask;      /* slots - 1; slots is a power of two at least 1.5 times count_max */
    size_t count;     /* keys in use */
    size_t count_max; /* the limit given at init */
};

/* Room for count_max keys (1 .. 2^24). 0, BASE_E_NOMEM or BASE_E_RANGE; on failure nothing was taken. */
BASE_MUST_USE int base_table_init(struct base_table *t, const struct base_memory *m, size_t count_max);
void base_table_deinit(struct base_table *t);

/* Makes the places of keys unpredictable, for keys that strangers choose: they cannot make a long run of slots (P41).
 * `secret` is random and told to nobody. The table is empty. */
void base_table_salt(struct base_table *t, uint64_t secret);

/* The value of a key, or NULL. */
void *base_table_get(const struct base_table *t, uint64_t key);

/* Sets a key; value is not NULL. 0, BASE_E_EXISTS when the key is there, BASE_E_RANGE when the table is full. */
BASE_MUST_USE int base_table_put(struct base_table *t, uint64_t key, void *value);

/* Takes a key out and gives its value, or NULL when it was not there. */
void *base_table_take(struct base_table *t, uint64_t key);

/* Walks all values: start with *cursor = 0; NULL at the end. The table must not change meanwhile. */
void *base_table_next(const struct base_table *t, size_t *cursor);

#endif
