/* See burst.h. */
#include "rtcp/burst.h"

#include "rtcp/defaults.h"

size_t rtcp_burst_batch(size_t ring)
{
    return ring / 4 < RTCP_BURST_BATCH ? ring / 4 : RTCP_BURST_BATCH;
}

void rtcp_burst_took(struct rtcp_burst *b, uint32_t turn, size_t size)
{
    if (b->turn != turn) {
        b->turn = turn;
        b->taken = 0;
    }
    b->taken = size < UINT32_MAX - b->taken ? b->taken + (uint32_t)size : UINT32_MAX;
}

bool rtcp_burst_may_wait(const struct rtcp_burst *b, uint32_t turn, size_t unsent, size_t ring)
{
    return !b->is_off && b->turn == turn && b->taken >= RTCP_BURST_AT_ONCE && unsent > 0 &&
           unsent < rtcp_burst_batch(ring);
}
