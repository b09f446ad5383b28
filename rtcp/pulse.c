/* See pulse.h; the rules are PROTOCOL.md "Finding out". Pure. */
#include "rtcp/pulse.h"

void rtcp_pulse_init(struct rtcp_pulse *p, base_time now)
{
    base_zero(p, sizeof *p);
    p->progress_at = now;
}

void rtcp_pulse_attached(struct rtcp_pulse *p, base_time now, uint64_t written)
{
    p->progress_at = now;
    p->probed_at = 0;
    p->unanswered_since = 0;
    p->kernel_acked = written;
    p->suspect_at = 0;
}

void rtcp_pulse_progressed(struct rtcp_pulse *p, base_time now)
{
    p->progress_at = now;
    p->suspect_at = 0;
}

base_time rtcp_pulse_due(const struct rtcp_pulse *p, const struct rtcp_route *route)
{
    base_time first = p->progress_at + rtcp_route_wait(route, 3, RTCP_PROBE_FIRST);
    base_time gap = RTCP_PROBE_GAP;

    if (p->suspect_at != 0) {
        gap = base_time_min(gap, rtcp_route_wait(route, 4, RTCP_PROBE_SECOND));
    }
    return p->probed_at == 0 ? first : base_time_max(first, p->probed_at + gap);
}

void rtcp_pulse_asked(struct rtcp_pulse *p, base_time now, uint32_t attempt, struct base_rng *rng,
                      uint8_t ret_echo[RTCP_WIRE_ECHO])
{
    struct rtcp_probe *probe = &p->probe[p->next];

    p->next = (p->next + 1) % RTCP_PROBES_REMEMBERED;
    base_put64(probe->echo, base_rng_next(rng));
    probe->at = now;
    probe->attempt = attempt;
    p->probed_at = now;
    if (p->unanswered_since == 0) {
        p->unanswered_since = now;
    }
    base_copy(ret_echo, probe->echo, RTCP_WIRE_ECHO);
}

bool rtcp_pulse_answered(struct rtcp_pulse *p, base_time now, const uint8_t echo[RTCP_WIRE_ECHO], base_time *ret_took,
                         base_time *ret_unanswered, uint32_t *ret_attempt)
{
    for (unsigned i = 0; i < RTCP_PROBES_REMEMBERED; i++) {
        struct rtcp_probe *probe = &p->probe[i];

        if (probe->at != 0 && memcmp(probe->echo, echo, RTCP_WIRE_ECHO) == 0) {
            *ret_took = base_time_since(now, probe->at);
            *ret_unanswered = p->unanswered_since == 0 ? 0 : base_time_since(now, p->unanswered_since);
            *ret_attempt = probe->attempt;
            probe->at = 0;
            p->unanswered_since = 0;
            return true;
        }
    }
    return false;
}

bool rtcp_pulse_proves_stall(struct rtcp_pulse *p, base_time now, const struct rtcp_route *route,
                             const struct rtcp_pulse_reply *reply)
{
    bool is_there = reply->written <= reply->received;
    base_time held;

    if (reply->unread > 0 || (is_there && (reply->waiting == 0 || reply->kernel_holds == 0))) {
        p->suspect_at = 0; /* everything arrived, or a slow reader has not come to it: never a reason */
        return false;
    }
    if (reply->unanswered >= RTCP_PROBE_SILENCE && base_time_since(now, p->progress_at) >= RTCP_PROBE_SILENCE &&
        reply->kernel_holds > 0) {
        return true; /* the path was dead and is back: do not wait for the kernel's next retransmission */
    }
    if (p->suspect_at == 0 || reply->received != p->suspect_received) {
        p->suspect_at = now;
        p->suspect_received = reply->received;
        return false;
    }
    held = base_time_since(now, p->suspect_at);
    if (reply->kernel_holds > 0 && !is_there) {
        return held >= rtcp_route_wait(route, 4, RTCP_PROBE_SECOND);
    }
    return held >= RTCP_PROBE_RELAY; /* a relay; or our kernel never hears what the peer has long read, and is full */
}
