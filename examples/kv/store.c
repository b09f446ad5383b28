/* See store.h.
 *
 * SCAN's cursor counts with its bits reversed: when the table doubles, bucket b becomes b and b + old size, and both
 * come after exactly those buckets that b came after. So nothing that was not yet visited is passed over.
 */
#include "examples/kv/store.h"

#include "examples/kv/buffer.h"
#include "examples/kv/require.h"

#include <sodium.h>
#include <stdlib.h>

#define BUCKETS_MIN 16

_Static_assert(KV_STORE_SEED_SIZE == crypto_shorthash_KEYBYTES, "the seed is SipHash's key");

struct kv_record {
    struct kv_record *next;
    uint64_t hash;
    uint32_t key_size;
    uint32_t value_size;
    uint8_t bytes[]; /* key, value */
};

static uint64_t hash_key(const struct kv_store *s, struct base_bytes key)
{
    uint8_t hash[crypto_shorthash_BYTES];

    (void)crypto_shorthash(hash, key.data, key.size, s->seed);
    return base_get64(hash);
}

static struct base_bytes key_of(const struct kv_record *r)
{
    return (struct base_bytes){r->bytes, r->key_size};
}

static struct base_bytes value_of(const struct kv_record *r)
{
    return (struct base_bytes){r->bytes + r->key_size, r->value_size};
}

static struct kv_record **new_buckets(size_t count)
{
    struct kv_record **bucket = kv_memory(count * sizeof(struct kv_record *));

    base_zero(bucket, count * sizeof(struct kv_record *));
    return bucket;
}

void kv_store_init(struct kv_store *s, const uint8_t seed[KV_STORE_SEED_SIZE])
{
    *s = (struct kv_store){.mask = BUCKETS_MIN - 1};
    s->bucket = new_buckets(BUCKETS_MIN);
    base_copy(s->seed, seed, KV_STORE_SEED_SIZE);
}

static void free_records(struct kv_store *s)
{
    for (size_t i = 0; i <= s->mask; i++) {
        while (s->bucket[i] != NULL) {
            struct kv_record *r = s->bucket[i];

            s->bucket[i] = r->next;
            free(r);
        }
    }
    free(s->bucket);
}

void kv_store_deinit(struct kv_store *s)
{
    free_records(s);
    s->bucket = NULL;
}

void kv_store_clear(struct kv_store *s)
{
    uint8_t seed[KV_STORE_SEED_SIZE];

    base_copy(seed, s->seed, sizeof seed);
    free_records(s);
    kv_store_init(s, seed);
}

/* The link that points at the record of a key, or at NULL where it would stand. */
static struct kv_record **find(const struct kv_store *s, struct base_bytes key, uint64_t hash)
{
    struct kv_record **link = &s->bucket[hash & s->mask];

    while (*link != NULL && ((*link)->hash != hash || !base_equal(key_of(*link), key))) {
        link = &(*link)->next;
    }
    return link;
}

static void grow(struct kv_store *s)
{
    size_t buckets = (s->mask + 1) * 2;
    struct kv_record **bucket = new_buckets(buckets);

    for (size_t i = 0; i <= s->mask; i++) {
        while (s->bucket[i] != NULL) {
            struct kv_record *r = s->bucket[i];

            s->bucket[i] = r->next;
            r->next = bucket[r->hash & (buckets - 1)];
            bucket[r->hash & (buckets - 1)] = r;
        }
    }
    free(s->bucket);
    s->bucket = bucket;
    s->mask = buckets - 1;
}

bool kv_store_get(const struct kv_store *s, struct base_bytes key, struct base_bytes *ret_value)
{
    const struct kv_record *r = *find(s, key, hash_key(s, key));

    if (r == NULL) {
        return false;
    }
    *ret_value = value_of(r);
    return true;
}

/* The record of a key with room for value_size bytes; a new one has no value yet. */
static struct kv_record *record_with_room(struct kv_store *s, struct base_bytes key, size_t value_size)
{
    uint64_t hash = hash_key(s, key);
    struct kv_record **link = find(s, key, hash);
    struct kv_record *r;

    kv_require(key.size <= UINT32_MAX && value_size <= UINT32_MAX, "commands are within their limits");
    r = realloc(*link, sizeof *r + key.size + value_size);
    kv_require(r != NULL, "there is memory");
    if (*link == NULL) {
        *r = (struct kv_record){.hash = hash, .key_size = (uint32_t)key.size};
        base_copy(r->bytes, key.data, key.size);
        s->count++;
    }
    *link = r;
    return r;
}

void kv_store_set(struct kv_store *s, struct base_bytes key, struct base_bytes value)
{
    struct kv_record *old = *find(s, key, hash_key(s, key));
    struct kv_record *r;

    if (old != NULL) {
        kv_digest_remove(&s->digest, key, value_of(old));
    }
    r = record_with_room(s, key, value.size);
    r->value_size = (uint32_t)value.size;
    base_copy(r->bytes + r->key_size, value.data, value.size);
    kv_digest_add(&s->digest, key, value);
    if (s->count > s->mask) {
        grow(s);
    }
}

size_t kv_store_append(struct kv_store *s, struct base_bytes key, struct base_bytes more)
{
    struct base_bytes old;
    struct kv_record *r;

    if (!kv_store_get(s, key, &old)) {
        kv_store_set(s, key, more);
        return more.size;
    }
    kv_digest_remove(&s->digest, key, old);
    r = record_with_room(s, key, old.size + more.size);
    base_copy(r->bytes + r->key_size + r->value_size, more.data, more.size);
    r->value_size += (uint32_t)more.size;
    kv_digest_add(&s->digest, key, value_of(r));
    return r->value_size;
}

bool kv_store_delete(struct kv_store *s, struct base_bytes key)
{
    struct kv_record **link = find(s, key, hash_key(s, key));
    struct kv_record *r = *link;

    if (r == NULL) {
        return false;
    }
    kv_digest_remove(&s->digest, key_of(r), value_of(r));
    *link = r->next;
    free(r);
    s->count--;
    return true;
}

static uint64_t reverse(uint64_t v)
{
    uint64_t r = 0;

    for (unsigned i = 0; i < 64; i++) {
        r = (r << 1) | ((v >> i) & 1);
    }
    return r;
}

uint64_t kv_store_scan(const struct kv_store *s, uint64_t cursor, kv_store_visit *visit, void *user)
{
    uint64_t mask = s->mask;

    for (const struct kv_record *r = s->bucket[cursor & mask]; r != NULL; r = r->next) {
        visit(user, key_of(r), value_of(r));
    }
    return reverse(reverse(cursor | ~mask) + 1);
}
