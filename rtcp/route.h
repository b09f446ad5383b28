/* Where control messages to a peer go. One route per peer endpoint, shared by all sessions with it (design 2.5).
 *
 * Owns      the validated address, a candidate, the round trip, and when the peer was last heard.
 * Relies on the session layer's word that a message was authentic.
 * Not here  sockets: an address is data.
 */
#ifndef HOLDFAST_RTCP_ROUTE_H
#define HOLDFAST_RTCP_ROUTE_H

#include "rtcp/base/bytes.h"
#include "rtcp/base/time.h"

/* An IP address and port as plain data; family 0 means none. */
struct rtcp_address {
    uint8_t family; /* 4, 6 or 0 */
    uint8_t ip[16];
    uint16_t port;
    uint32_t scope; /* of link-local IPv6 addresses */
};

bool rtcp_address_equal(const struct rtcp_address *a, const struct rtcp_address *b);

struct rtcp_route {
    uint64_t
        key; /* in the endpoint's table: of the incarnation and the address, so that nobody shares another's route */
    uint64_t peer_incarnation;
    base_time hinted_at;           /* when its sessions were hinted last */
    int hinted;                    /* ... with which evidence */
    struct rtcp_address to;        /* validated: unasked messages go here */
    struct rtcp_address candidate; /* an authentic message came from here, an echo has not yet */
    base_time candidate_at;        /* when it was last to be probed: a lost probe must not be the only one */
    base_time round_trip;          /* smoothed; 0: unknown */
    base_time heard_at;            /* last authentic message of any session */
    base_time asked_at;            /* last idle probe of any session */
    uint32_t users;                /* sessions that hold it */
    bool is_new;                   /* a candidate appeared: probe it */
};

void rtcp_route_init(struct rtcp_route *r, uint64_t peer_incarnation, base_time now);

/* The peer told its address over TCP. A client chose to talk to that server: valid at once. For a server it is a
 * candidate until an echo comes back from it. */
void rtcp_route_told(struct rtcp_route *r, const struct rtcp_address *address, bool is_chosen);

/* An authentic message came from `from`. */
void rtcp_route_heard(struct rtcp_route *r, base_time now, const struct rtcp_address *from);

/* An authentic echo of one of our probes came from `from` after `took`. */
void rtcp_route_echoed(struct rtcp_route *r, base_time now, const struct rtcp_address *from, base_time took);

/* Whether unasked messages may be sent. */
bool rtcp_route_is_valid(const struct rtcp_route *r);

/* max(times * RTT, least), with an unknown RTT counting as 0; r may be NULL. */
base_time rtcp_route_wait(const struct rtcp_route *r, unsigned times, base_time least);

#endif
