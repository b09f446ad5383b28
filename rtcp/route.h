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

#define RTCP_ADDRESS_COURIER 1

/* Where control messages go, as plain data: an IP address and port; or, family RTCP_ADDRESS_COURIER, a CONTROL
 * connection, whose number within the endpoint stands in the first four bytes of ip. Family 0 means none. */
struct rtcp_address {
    uint8_t family; /* 4, 6, RTCP_ADDRESS_COURIER or 0 */
    uint8_t ip[16];
    uint16_t port;
    uint32_t scope; /* of link-local IPv6 addresses */
};

bool rtcp_address_equal(const struct rtcp_address *a, const struct rtcp_address *b);

struct rtcp_stream;
struct rtcp_courier;

struct rtcp_route {
    uint64_t
        key; /* in the endpoint's table: of the incarnation and the address, so that nobody shares another's route */
    uint64_t peer_incarnation;
    base_time hinted_at;           /* when its sessions were hinted last */
    int hinted;                    /* ... with which evidence */
    struct rtcp_address to;        /* validated: unasked messages go here */
    struct rtcp_address direct;    /* the UDP address, while a CONTROL connection stands in for it */
    struct rtcp_address told;      /* the UDP address that the peer of a server named over TCP */
    struct rtcp_address candidate; /* an authentic message came from here, an echo has not yet */
    base_time candidate_at;        /* when it was last to be probed: a lost probe must not be the only one */
    base_time round_trip;          /* smoothed; 0: unknown */
    base_time heard_at;            /* last authentic message of any session */
    base_time echoed_at;           /* last echo of one of our probes */
    base_time asked_at;            /* last idle probe of any session */
    base_time silent_since;        /* first question along `to` that has no answer; meaningless without any */
    unsigned unanswered;           /* how many there are */
    base_time direct_at;           /* when UDP was tried last while a CONTROL connection stood in for it */
    uint32_t users;                /* sessions and CONTROL connections that hold it */
    uint8_t via;                   /* the driver's: which of the endpoint's UDP ports it goes by */
    struct rtcp_stream *streams;   /* the driver's: those that take it */
    struct rtcp_courier *courier;  /* the driver's: a client's CONTROL connection for it */
    struct rtcp_address listed;    /* the driver's: the UDP address under which it is found; family 0: under none */
    bool is_chosen;                /* a client's: it decides which way is used, and prefers UDP */
    bool is_deaf;                  /* a client's: UDP did not answer when it was asked last */
    bool is_new;                   /* a candidate appeared: probe it */
};

void rtcp_route_init(struct rtcp_route *r, uint64_t peer_incarnation, base_time now);

bool rtcp_address_is_courier(const struct rtcp_address *a);
struct rtcp_address rtcp_address_courier(uint32_t number);

/* The peer told its address over TCP. A client chose to talk to that server: valid at once, but a candidate where a
 * CONTROL connection stands in for UDP. For a server it is a candidate until an echo comes back from it. */
void rtcp_route_told(struct rtcp_route *r, const struct rtcp_address *address, bool is_chosen);

/* An authentic message came from `from`. */
void rtcp_route_heard(struct rtcp_route *r, base_time now, const struct rtcp_address *from);

/* An authentic echo of one of our probes came from `from` after `took`. */
void rtcp_route_echoed(struct rtcp_route *r, base_time now, const struct rtcp_address *from, base_time took);

/* A question went along `to`. */
void rtcp_route_asked(struct rtcp_route *r, base_time now);

/* The answer to one came from `from`, other than an echo. */
void rtcp_route_answered(struct rtcp_route *r, const struct rtcp_address *from);

/* Whether `to` has left so many questions without an answer that another way should be found (design 2.5). */
bool rtcp_route_is_silent(const struct rtcp_route *r, base_time now);

/* The CONTROL connection is gone: back to UDP, for what it is worth. Where none was ever validated, what the peer told
 * is a candidate again: a server that knew no address could never ask whether its client still lives (C2). */
void rtcp_route_lost(struct rtcp_route *r, const struct rtcp_address *courier);

/* The UDP address is to be probed again, while a CONTROL connection stands in for it. */
void rtcp_route_try_direct(struct rtcp_route *r, base_time now);

/* Whether unasked messages may be sent. */
bool rtcp_route_is_valid(const struct rtcp_route *r);

/* max(times * RTT, least), with an unknown RTT counting as 0; r may be NULL. */
base_time rtcp_route_wait(const struct rtcp_route *r, unsigned times, base_time least);

#endif
