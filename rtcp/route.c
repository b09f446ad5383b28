/* See route.h. Pure. */
#include "rtcp/route.h"

#include "rtcp/defaults.h"

bool rtcp_address_equal(const struct rtcp_address *a, const struct rtcp_address *b)
{
    size_t size = a->family == 6 ? 16 : 4;

    return a->family == b->family && a->port == b->port && a->scope == b->scope && memcmp(a->ip, b->ip, size) == 0;
}

bool rtcp_address_is_courier(const struct rtcp_address *a)
{
    return a->family == RTCP_ADDRESS_COURIER;
}

struct rtcp_address rtcp_address_courier(uint32_t number)
{
    struct rtcp_address a = {.family = RTCP_ADDRESS_COURIER};

    base_put32(a.ip, number);
    return a;
}

void rtcp_route_init(struct rtcp_route *r, uint64_t peer_incarnation, base_time now)
{
    base_zero(r, sizeof *r);
    r->peer_incarnation = peer_incarnation;
    r->heard_at = now;
}

void rtcp_route_told(struct rtcp_route *r, const struct rtcp_address *address, bool is_chosen)
{
    r->is_chosen = is_chosen;
    if (is_chosen && rtcp_address_is_courier(&r->to)) {
        r->direct = *address;
        r->candidate = *address;
        r->is_new = true;
    } else if (is_chosen) {
        if (!rtcp_address_equal(&r->to, address)) {
            r->unanswered = 0;
        }
        r->direct = r->to = *address;
    } else {
        r->told = *address;
        if (!rtcp_address_equal(&r->to, address)) {
            r->candidate = *address;
            r->is_new = true;
        }
    }
}

/* UDP answers a client again: what still comes by the CONTROL connection does not lead back to it. */
static bool is_second_choice(const struct rtcp_route *r, const struct rtcp_address *from)
{
    return r->is_chosen && !r->is_deaf && rtcp_address_is_courier(from);
}

void rtcp_route_heard(struct rtcp_route *r, base_time now, const struct rtcp_address *from)
{
    r->heard_at = now;
    if (is_second_choice(r, from)) {
        return;
    }
    /* At most one probe each gap, from however many addresses an old message is said again (P65, P66). */
    if (!rtcp_address_equal(&r->to, from) && (r->candidate.family == 0 || now >= r->candidate_at + RTCP_PROBE_GAP)) {
        r->candidate = *from;
        r->candidate_at = now;
        r->is_new = true;
    }
}

/* What came by a CONTROL connection may have waited there for its kernel to try again: that is no round trip. */
static bool is_round_trip(const struct rtcp_route *r, const struct rtcp_address *from, base_time took)
{
    bool may_have_waited = rtcp_address_is_courier(from) && (r->unanswered > 1 || !rtcp_address_equal(&r->to, from));

    return r->round_trip == 0 || took < r->round_trip || !may_have_waited;
}

void rtcp_route_echoed(struct rtcp_route *r, base_time now, const struct rtcp_address *from, base_time took)
{
    took = base_time_min(took, RTCP_ROUND_TRIP_MAX); /* a peer that was stopped says nothing about the path */
    r->heard_at = now;
    r->echoed_at = now;
    if (is_round_trip(r, from, took)) {
        r->round_trip = r->round_trip == 0 ? took : r->round_trip - r->round_trip / 8 + took / 8;
    }
    if (is_second_choice(r, from)) {
        return;
    }
    r->to = *from;
    r->unanswered = 0;
    if (!rtcp_address_is_courier(from)) {
        r->direct = *from;
        r->is_deaf = false;
    }
    if (rtcp_address_equal(&r->candidate, from)) {
        r->candidate.family = 0;
    }
}

void rtcp_route_asked(struct rtcp_route *r, base_time now)
{
    if (r->unanswered == 0) {
        r->silent_since = now;
    }
    r->unanswered++;
}

void rtcp_route_answered(struct rtcp_route *r, const struct rtcp_address *from)
{
    if (rtcp_address_equal(&r->to, from)) {
        r->unanswered = 0;
    }
}

bool rtcp_route_is_silent(const struct rtcp_route *r, base_time now)
{
    return r->unanswered >= RTCP_COURIER_AFTER && now >= r->silent_since + rtcp_route_wait(r, 3, RTCP_COURIER_LEAST);
}

void rtcp_route_lost(struct rtcp_route *r, const struct rtcp_address *courier)
{
    if (rtcp_address_equal(&r->to, courier)) {
        r->to = r->direct;
        r->unanswered = 0;
    }
    if (rtcp_address_equal(&r->candidate, courier)) {
        r->candidate.family = 0;
    }
    if (r->to.family == 0 && r->candidate.family == 0) {
        r->candidate = r->told;
    }
}

void rtcp_route_try_direct(struct rtcp_route *r, base_time now)
{
    if (r->direct.family != 0) {
        r->direct_at = now;
        r->candidate = r->direct;
        r->is_new = true;
    }
}

bool rtcp_route_is_valid(const struct rtcp_route *r)
{
    return r->to.family != 0;
}

base_time rtcp_route_wait(const struct rtcp_route *r, unsigned times, base_time least)
{
    return r == NULL ? least : base_time_max(r->round_trip * times, least);
}
