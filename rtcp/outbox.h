/* The outbox: bytes that were sent and that the peer has not acknowledged. They live here until it does (paper 3.2).
 *
 * Owns      a ring whose size is a power of two, and the offsets [first, upto) it holds. It has no memory before the
 *           first byte and none after a rest; it may grow, step by step, when its owner says so.
 * Relies on ring memory that its source hands out (base/ringmem_loop.h in production).
 * Not here  connections, acknowledgements' authenticity: nothing leaves but by rtcp_outbox_trim (P8, P19, C7). When to
 *           grow and when to rest: the session's rules (PROTOCOL.md "Rings").
 *
 * A byte stands at its offset modulo the size, as long as the ring lives: growing copies into a new ring and gives the
 * old one back untouched, because a kernel's queue may still refer to its pages (sendfile rules 4 and 5).
 */
#ifndef HOLDFAST_RTCP_OUTBOX_H
#define HOLDFAST_RTCP_OUTBOX_H

#include "rtcp/base/bytes.h"
#include "rtcp/base/ringmem.h"
#include "rtcp/base/status.h"

struct rtcp_outbox {
    const struct base_ringmem_source *source;
    struct base_ringmem ring; /* at == NULL: no memory */
    size_t size;              /* of the ring, or of the one that the next byte will need */
    size_t least;             /* ... after a rest */
    size_t most;
    uint64_t first; /* every byte below was acknowledged */
    uint64_t upto;  /* bytes accepted so far */
};

/* An empty outbox that takes no memory yet. Sizes are rounded up to powers of two; equal ones are a fixed size. Offsets
 * begin at `first` (0 but in tests of the wrap). 0 or BASE_E_RANGE. */
BASE_MUST_USE int rtcp_outbox_init(struct rtcp_outbox *o, const struct base_ringmem_source *source, size_t least,
                                   size_t most, uint64_t first);
void rtcp_outbox_deinit(struct rtcp_outbox *o);

size_t rtcp_outbox_room(const struct rtcp_outbox *o);
size_t rtcp_outbox_used(const struct rtcp_outbox *o);

/* Makes sure that there is memory for the next byte: 0 or BASE_E_NOMEM. Before append and reserve. */
BASE_MUST_USE int rtcp_outbox_prepare(struct rtcp_outbox *o);

/* A larger ring: `size` rounded up, more than now and at most `most`. Bytes keep their offsets; ranges that were handed
 * out before are invalid. 0; BASE_E_NOMEM: nothing was changed. */
BASE_MUST_USE int rtcp_outbox_grow(struct rtcp_outbox *o, size_t size);

/* Gives the memory of an empty outbox back; the next ring has the least size again. */
void rtcp_outbox_rest(struct rtcp_outbox *o);

/* Copies bytes in; they must fit, and there must be memory. */
void rtcp_outbox_append(struct rtcp_outbox *o, struct base_bytes bytes);

/* The contiguous free room, and taking its first `size` bytes in. */
struct base_span rtcp_outbox_reserve(const struct rtcp_outbox *o);
void rtcp_outbox_commit(struct rtcp_outbox *o, size_t size);

/* Contiguous bytes from `offset` (first <= offset <= upto) on; may end at the ring's end before upto. */
struct base_bytes rtcp_outbox_from(const struct rtcp_outbox *o, uint64_t offset);

/* Forgets bytes below `upto_acked` (first <= upto_acked <= upto). */
void rtcp_outbox_trim(struct rtcp_outbox *o, uint64_t upto_acked);

#endif
