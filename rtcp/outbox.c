/* See outbox.h. Pure. */
#include "rtcp/outbox.h"

#include "rtcp/base/check.h"

#define SIZE_LEAST 4096u
#define SIZE_MOST  ((size_t)1 << 30) /* keeps 32-bit counts on the wire unambiguous (P1) */

int rtcp_outbox_init(struct rtcp_outbox *o, const struct base_ringmem_source *source, size_t size, uint64_t first)
{
    size_t rounded = SIZE_LEAST;
    int status;

    if (size > SIZE_MOST) {
        return BASE_E_RANGE;
    }
    while (rounded < size) {
        rounded *= 2;
    }
    status = source->take(source->user, rounded, &o->ring);
    if (status < 0) {
        return status;
    }
    o->source = source;
    o->first = first;
    o->upto = first;
    return 0;
}

void rtcp_outbox_deinit(struct rtcp_outbox *o)
{
    if (o->ring.at != NULL) {
        o->source->give(o->source->user, &o->ring);
        o->ring.at = NULL;
    }
}

size_t rtcp_outbox_used(const struct rtcp_outbox *o)
{
    return (size_t)(o->upto - o->first);
}

size_t rtcp_outbox_room(const struct rtcp_outbox *o)
{
    return o->ring.size - rtcp_outbox_used(o);
}

/* The bytes that lie in a row from an offset on. */
static size_t contiguous(const struct rtcp_outbox *o, uint64_t offset, size_t want)
{
    size_t to_end = o->ring.size - (size_t)(offset & (o->ring.size - 1));

    return o->ring.is_mirrored || want < to_end ? want : to_end;
}

struct base_span rtcp_outbox_reserve(const struct rtcp_outbox *o)
{
    return (struct base_span){o->ring.at + (o->upto & (o->ring.size - 1)), contiguous(o, o->upto, rtcp_outbox_room(o))};
}

void rtcp_outbox_commit(struct rtcp_outbox *o, size_t size)
{
    CHECK(size <= rtcp_outbox_room(o));
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
    return (struct base_bytes){o->ring.at + (offset & (o->ring.size - 1)),
                               contiguous(o, offset, (size_t)(o->upto - offset))};
}

void rtcp_outbox_trim(struct rtcp_outbox *o, uint64_t upto_acked)
{
    CHECK(upto_acked >= o->first && upto_acked <= o->upto);
    o->first = upto_acked;
}
