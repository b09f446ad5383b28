/* See outbox.h. Pure. */
#include "rtcp/outbox.h"

#include "rtcp/base/check.h"

#define SIZE_LEAST 4096u
#define SIZE_MOST  ((size_t)1 << 30) /* keeps 32-bit counts on the wire unambiguous (P1) */

static size_t rounded(size_t size)
{
    size_t power = SIZE_LEAST;

    while (power < size) {
        power *= 2;
    }
    return power;
}

int rtcp_outbox_init(struct rtcp_outbox *o, const struct base_ringmem_source *source, size_t least, size_t most,
                     uint64_t first)
{
    if (least > most || most > SIZE_MOST) {
        return BASE_E_RANGE;
    }
    base_zero(o, sizeof *o);
    o->source = source;
    o->least = rounded(least);
    o->most = rounded(most);
    o->size = o->least;
    o->first = first;
    o->upto = first;
    return 0;
}

static void give(struct rtcp_outbox *o)
{
    if (o->ring.at != NULL) {
        o->source->give(o->source->user, &o->ring);
        o->ring.at = NULL;
    }
}

void rtcp_outbox_deinit(struct rtcp_outbox *o)
{
    give(o);
}

int rtcp_outbox_prepare(struct rtcp_outbox *o)
{
    int status = o->ring.at != NULL ? 0 : o->source->take(o->source->user, o->size, &o->ring);

    if (status == 0) {
        o->size = o->ring.size; /* what the source really gave */
    }
    return status;
}

/* Bytes from `offset` on that lie in a row in a ring, of the `want` ones asked for. */
static size_t contiguous(const struct base_ringmem *ring, uint64_t offset, size_t want)
{
    size_t to_end = ring->size - (size_t)(offset & (ring->size - 1));

    return ring->is_mirrored || want < to_end ? want : to_end;
}

static uint8_t *place(const struct base_ringmem *ring, uint64_t offset)
{
    return ring->at + (offset & (ring->size - 1));
}

int rtcp_outbox_grow(struct rtcp_outbox *o, size_t size)
{
    struct base_ringmem larger;
    int status;

    size = rounded(size);
    CHECK(size > o->size && size <= o->most);
    if (o->ring.at == NULL) {
        o->size = size;
        return 0;
    }
    status = o->source->take(o->source->user, size, &larger);
    if (status < 0) {
        return status;
    }
    for (uint64_t at = o->first; at < o->upto;) {
        size_t from = contiguous(&o->ring, at, (size_t)(o->upto - at));
        size_t to = contiguous(&larger, at, (size_t)(o->upto - at));
        size_t piece = from < to ? from : to;

        base_copy(place(&larger, at), place(&o->ring, at), piece);
        at += piece;
    }
    give(o); /* as it is: whoever still refers to its pages finds the bytes that were there (sendfile rule 4) */
    o->ring = larger;
    o->size = size;
    return 0;
}

void rtcp_outbox_rest(struct rtcp_outbox *o)
{
    CHECK(o->first == o->upto);
    give(o);
    o->size = o->least;
}

size_t rtcp_outbox_used(const struct rtcp_outbox *o)
{
    return (size_t)(o->upto - o->first);
}

size_t rtcp_outbox_room(const struct rtcp_outbox *o)
{
    return o->size - rtcp_outbox_used(o);
}

struct base_span rtcp_outbox_reserve(const struct rtcp_outbox *o)
{
    CHECK(o->ring.at != NULL);
    return (struct base_span){place(&o->ring, o->upto), contiguous(&o->ring, o->upto, rtcp_outbox_room(o))};
}

void rtcp_outbox_commit(struct rtcp_outbox *o, size_t size)
{
    CHECK(o->ring.at != NULL && size <= rtcp_outbox_room(o));
    o->upto += size;
}

void rtcp_outbox_append(struct rtcp_outbox *o, struct base_bytes bytes)
{
    CHECK(bytes.size <= rtcp_outbox_room(o));
    while (bytes.size > 0) {
        struct base_span room = rtcp_outbox_reserve(o);
        size_t size = bytes.size < room.size ? bytes.size : room.size;

        base_copy(room.data, bytes.data, size);
        o->upto += size;
        bytes.data += size;
        bytes.size -= size;
    }
}

struct base_bytes rtcp_outbox_from(const struct rtcp_outbox *o, uint64_t offset)
{
    CHECK(offset >= o->first && offset <= o->upto);
    if (offset == o->upto) {
        return (struct base_bytes){NULL, 0}; /* there may be no memory */
    }
    return (struct base_bytes){place(&o->ring, offset), contiguous(&o->ring, offset, (size_t)(o->upto - offset))};
}

void rtcp_outbox_trim(struct rtcp_outbox *o, uint64_t upto_acked)
{
    CHECK(upto_acked >= o->first && upto_acked <= o->upto);
    o->first = upto_acked;
}
