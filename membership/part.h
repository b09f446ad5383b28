/* Something large that arrives in parts, one after the other.
 *
 * Owns      the memory of one thing that is not yet whole.
 * Relies on an allocator; the first part tells the whole size (entry.h).
 * Not here  where parts come from (stream.c, forward.c).
 * Protocol  membership/PROTOCOL.md "Parts".
 */
#ifndef HOLDFAST_MEMBERSHIP_PART_H
#define HOLDFAST_MEMBERSHIP_PART_H

#include "rtcp/base/bytes.h"
#include "rtcp/base/memory.h"
#include "rtcp/base/status.h"

struct part {
    uint8_t *data; /* NULL: nothing begun */
    size_t size;   /* of the whole */
    size_t have;
};

/* Adds the bytes at `offset` of an entry. 0; BASE_E_NOMEM; BASE_E_PROTOCOL when they do not continue what is there or
 * no entry begins so. Offset 0 begins anew. After the last part part_whole gives the entry. */
BASE_MUST_USE int part_add(struct part *p, const struct base_memory *memory, size_t offset, struct base_bytes bytes);

/* The whole entry, or an empty range while parts are missing. Valid until part_clear. */
struct base_bytes part_whole(const struct part *p);

/* Forgets it. */
void part_clear(struct part *p, const struct base_memory *memory);

#endif
