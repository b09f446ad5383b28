/* The outbox: bytes that were sent and that the peer has not acknowledged. They live here until it does (paper 3.2).
 *
 * Owns      a ring of a fixed power-of-two size and the offsets [first, upto) it holds.
 * Relies on ring memory that its source hands out (base/ringmem_loop.h in production).
 * Not here  connections, acknowledgements' authenticity: nothing leaves but by rtcp_outbox_trim (P8, P19, C7).
 */
#ifndef HOLDFAST_RTCP_OUTBOX_H
#define HOLDFAST_RTCP_OUTBOX_H

#include "rtcp/base/bytes.h"
#include "rtcp/base/ringmem.h"
#include "rtcp/base/status.h"

struct rtcp_outbox {
    const struct base_ringmem_source *source;
    struct base_ringmem ring; /* at == NULL: no memory (before init, after deinit) */
    uint64_t first;           /* every byte below was acknowledged */
    uint64_t upto;            /* bytes accepted so far */
};

/* Takes a ring of `size` bytes, rounded up to a power of two. Offsets begin at `first` (0 but in tests of the wrap).
 * 0, BASE_E_RANGE or BASE_E_NOMEM. */
BASE_MUST_USE int rtcp_outbox_init(struct rtcp_outbox *o, const struct base_ringmem_source *source, size_t size,
                                   uint64_t first);
void rtcp_outbox_deinit(struct rtcp_outbox *o);

size_t rtcp_outbox_room(const struct rtcp_outbox *o);
size_t rtcp_outbox_used(const struct rtcp_outbox *o);

/* Copies bytes in; they must fit. */
void rtcp_outbox_append(struct rtcp_outbox *o, struct base_bytes bytes);

/* The contiguous free room, and taking its first `size` bytes in. */
struct base_span rtcp_outbox_reserve(const struct rtcp_outbox *o);
void rtcp_outbox_commit(struct rtcp_outbox *o, size_t size);

/* Contiguous bytes from `offset` (first <= offset <= upto) on; may end at the ring's end before upto. */
struct base_bytes rtcp_outbox_from(const struct rtcp_outbox *o, uint64_t offset);

/* Forgets bytes below `upto_acked` (first <= upto_acked <= upto). */
void rtcp_outbox_trim(struct rtcp_outbox *o, uint64_t upto_acked);

#endif
