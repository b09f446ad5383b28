/* See digest.h. */
#include "examples/kv/digest.h"

#include <sodium.h>

static void hash_record(struct base_bytes key, struct base_bytes value, uint8_t ret_hash[KV_DIGEST_SIZE])
{
    crypto_hash_sha256_state state;
    uint8_t size[4];

    base_put32(size, (uint32_t)key.size);
    (void)crypto_hash_sha256_init(&state);
    (void)crypto_hash_sha256_update(&state, size, sizeof size);
    (void)crypto_hash_sha256_update(&state, key.data, key.size);
    (void)crypto_hash_sha256_update(&state, value.data, value.size);
    (void)crypto_hash_sha256_final(&state, ret_hash);
}

void kv_digest_init(struct kv_digest *d)
{
    *d = (struct kv_digest){0};
}

void kv_digest_add(struct kv_digest *d, struct base_bytes key, struct base_bytes value)
{
    uint8_t hash[KV_DIGEST_SIZE];

    hash_record(key, value, hash);
    sodium_add(d->sum, hash, sizeof hash);
    d->records++;
}

void kv_digest_remove(struct kv_digest *d, struct base_bytes key, struct base_bytes value)
{
    uint8_t hash[KV_DIGEST_SIZE];

    hash_record(key, value, hash);
    sodium_sub(d->sum, hash, sizeof hash);
    d->records--;
}

void kv_digest_final(const struct kv_digest *d, uint8_t ret_digest[KV_DIGEST_SIZE])
{
    uint8_t bytes[8 + KV_DIGEST_SIZE];

    base_put64(bytes, d->records);
    base_copy(bytes + 8, d->sum, KV_DIGEST_SIZE);
    (void)crypto_hash_sha256(ret_digest, bytes, sizeof bytes);
}
