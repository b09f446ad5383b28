/* See route.h. Pure. */
#include "rtcp/route.h"

#include "rtcp/defaults.h"

bool rtcp_address_equal(const struct rtcp_address *a, const struct rtcp_address *b)
{
    size_t size = a->family == 6 ? 16 : 4;

    return a->family == b->family && a->port == b->port && a->scope == b->scope && memcmp(a->ip, b->ip, size) == 0;
}

void rtcp_route_init(struct rtcp_route *r, uint64_t peer_incarnation, base_time now)
{
    base_zero(r, sizeof *r);
    r->peer_incarnation = peer_incarnation;
    r->heard_at = now;
}

void rtcp_route_told(struct rtcp_route *r, const struct rtcp_address *address, bool is_chosen)
{
    if (is_chosen) {
        r->to = *address;
    } else if (!rtcp_address_equal(&r->to, address)) {
        r->candidate = *address;
        r->is_new = true;
    }
}

void rtcp_route_heard(struct rtcp_route *r, base_time now, const struct rtcp_address *from)
{
    r->heard_at = now;
    /* At most one probe each gap, from however many addresses an old message is said again (P65, P66). */
    if (!rtcp_address_equal(&r->to, from) && (r->candidate.family == 0 || now >= r->candidate_at + RTCP_PROBE_GAP)) {
        r->candidate = *from;
        r->candidate_at = now;
        r->is_new = true;
    }
}

void rtcp_route_echoed(struct rtcp_route *r, base_time now, const struct rtcp_address *from, base_time took)
{
    took = base_time_min(took, RTCP_ROUND_TRIP_MAX); /* a peer that was stopped says nothing about the path */
    r->heard_at = now;
    r->to = *from;
    if (rtcp_address_equal(&r->candidate, from)) {
        r->candidate.family = 0;
    }
    r->round_trip = r->round_trip == 0 ? took : r->round_trip - r->round_trip / 8 + took / 8;
}

bool rtcp_route_is_valid(const struct rtcp_route *r)
{
    return r->to.family != 0;
}

base_time rtcp_route_wait(const struct rtcp_route *r, unsigned times, base_time least)
{
    return r == NULL ? least : base_time_max(r->round_trip * times, least);
}
