/* Keys and their values: a hash table in memory, and the digest of all of it.
 *
 * Owns      its records; without memory the process ends.
 * Relies on digest; on a seed for the places of keys, so that nobody outside can choose keys that collide.
 * Not here  commands. The seed may differ between replicas: only SCAN's and KEYS's order shows it, never the state.
 */
#ifndef KV_STORE_H
#define KV_STORE_H

#include "examples/kv/digest.h"

#define KV_STORE_SEED_SIZE 16

struct kv_record;

struct kv_store {
    struct kv_record **bucket; /* a power of two */
    size_t mask;
    size_t count;
    struct kv_digest digest;
    uint8_t seed[KV_STORE_SEED_SIZE];
};

void kv_store_init(struct kv_store *s, const uint8_t seed[KV_STORE_SEED_SIZE]);
void kv_store_deinit(struct kv_store *s);

/* The value of a key, borrowed until the next change. False: there is none. */
bool kv_store_get(const struct kv_store *s, struct base_bytes key, struct base_bytes *ret_value);

/* Sets a key; neither range may lie in the store. */
void kv_store_set(struct kv_store *s, struct base_bytes key, struct base_bytes value);

/* Appends to the value of a key, which may be new. Returns the size of the value. */
size_t kv_store_append(struct kv_store *s, struct base_bytes key, struct base_bytes more);

/* False: there was none. */
bool kv_store_delete(struct kv_store *s, struct base_bytes key);

void kv_store_clear(struct kv_store *s);

typedef void kv_store_visit(void *user, struct base_bytes key, struct base_bytes value);

/* Visits the records of one bucket and returns the next cursor; begin with 0, the end is 0 again. Whoever goes on to
 * the end sees every record that was there all the time at least once, even when the table grows meanwhile. */
uint64_t kv_store_scan(const struct kv_store *s, uint64_t cursor, kv_store_visit *visit, void *user);

#endif
