/* The SHA-256 of a set of records that changes all the time.
 *
 * Owns      the sum of the hashes of all records, modulo 2^256.
 * Relies on libsodium's SHA-256.
 * Not here  the records.
 *
 *   record  = SHA-256(key size (4 bytes, big-endian), key, value)
 *   sum     = all records added as 256-bit numbers, little-endian
 *   digest  = SHA-256(number of records (8 bytes, big-endian), sum)
 *
 * A sum does not depend on the order of the records and changes with each one, so asking for the digest costs the same
 * for ten keys and for ten million, and blocks nobody; a hash over sorted records would read them all. What is given
 * up: somebody who may choose very many records can find two sets with one sum (generalised birthday attack), so the
 * digest tells replicas apart that went different ways; it is no signature.
 */
#ifndef KV_DIGEST_H
#define KV_DIGEST_H

#include "rtcp/base/bytes.h"

#define KV_DIGEST_SIZE 32

struct kv_digest {
    uint64_t records;
    uint8_t sum[KV_DIGEST_SIZE];
};

/* Of no records: all zeros. */
void kv_digest_init(struct kv_digest *d);

void kv_digest_add(struct kv_digest *d, struct base_bytes key, struct base_bytes value);

/* Takes out a record that was added. */
void kv_digest_remove(struct kv_digest *d, struct base_bytes key, struct base_bytes value);

void kv_digest_final(const struct kv_digest *d, uint8_t ret_digest[KV_DIGEST_SIZE]);

#endif
