/* See backoff.h. Pure. */
#include "rtcp/backoff.h"

#include "rtcp/defaults.h"

void rtcp_backoff_init(struct rtcp_backoff *b, base_time now)
{
    b->delay = 0;
    b->started_at = 0;
    b->hinted_at = 0;
    b->next_at = now;
    b->asked_at = 0;
}

void rtcp_backoff_started(struct rtcp_backoff *b, base_time now)
{
    b->started_at = now;
}

void rtcp_backoff_failed(struct rtcp_backoff *b, base_time now, struct base_rng *rng)
{
    base_time jitter = b->delay / 2;

    b->next_at = now + b->delay - (jitter == 0 ? 0 : base_rng_below(rng, jitter));
    if (b->delay == 0) {
        b->delay = RTCP_BACKOFF_FIRST;
    } else {
        b->delay = base_time_min(b->delay * 2, RTCP_BACKOFF_LAST);
    }
}

void rtcp_backoff_progressed(struct rtcp_backoff *b)
{
    b->delay = 0;
}

void rtcp_backoff_asked(struct rtcp_backoff *b, base_time now, base_time pause)
{
    b->asked_at = now + base_time_min(pause, RTCP_BACKOFF_LAST);
}

bool rtcp_backoff_hinted(struct rtcp_backoff *b, base_time now)
{
    if (b->next_at <= now || (b->hinted_at != 0 && now < b->hinted_at + RTCP_HINT_GAP)) {
        return false;
    }
    b->hinted_at = now;
    b->next_at = now;
    return true;
}

base_time rtcp_backoff_next(const struct rtcp_backoff *b, bool data_waits)
{
    base_time at = data_waits ? base_time_min(b->next_at, b->started_at + RTCP_BACKOFF_BUSY) : b->next_at;

    return base_time_max(at, b->asked_at);
}
