/* The pulse of a session: when to ask the peer for a sign, and when its answers prove that a connection is stuck
 * (design 2.5). A verdict here replaces a TCP connection; it never ends a session (P22, P24).
 *
 * Owns      the probes that are out, the clock of progress, the suspicion.
 * Relies on offsets and kernel counters that the session passes in.
 * Not here  addresses (route.h), connections (path.c).
 */
#ifndef HOLDFAST_RTCP_PULSE_H
#define HOLDFAST_RTCP_PULSE_H

#include "rtcp/base/rng.h"
#include "rtcp/defaults.h"
#include "rtcp/route.h"
#include "rtcp/wire.h"

struct rtcp_probe {
    uint8_t echo[RTCP_WIRE_ECHO];
    base_time at;     /* 0: this place is free */
    uint32_t attempt; /* attached when it was sent; 0: none was */
};

struct rtcp_pulse {
    struct rtcp_probe probe[RTCP_PROBES_REMEMBERED];
    unsigned next;              /* place of the next probe */
    base_time progress_at;      /* last sign that bytes move: acknowledged by the peer or by its kernel */
    base_time probed_at;        /* last probe */
    base_time unanswered_since; /* first probe since the last answer; 0: none is out */
    uint64_t kernel_acked;      /* offset up to which the peer's kernel has our bytes, on this attempt */
    base_time suspect_at;       /* first of the two replies of a stall; 0: no suspicion */
    uint64_t suspect_received;
};

/* What a reply says, and what it is judged against. */
struct rtcp_pulse_reply {
    uint64_t received;     /* the peer's count */
    uint32_t unread;       /* bytes waiting in the peer's kernel */
    uint64_t written;      /* our bytes given to the kernel on this attempt, as an offset */
    uint64_t waiting;      /* our bytes that were not yet given to the kernel */
    uint64_t kernel_holds; /* bytes our kernel holds unacknowledged */
    base_time unanswered;  /* how long we had asked in vain before this reply */
};

void rtcp_pulse_init(struct rtcp_pulse *p, base_time now);

/* A new connection carries the session: earlier replies and suspicions mean nothing any more. */
void rtcp_pulse_attached(struct rtcp_pulse *p, base_time now, uint64_t written);

/* The peer acknowledged, or its kernel did. */
void rtcp_pulse_progressed(struct rtcp_pulse *p, base_time now);

/* When to probe a session that waits for progress. */
base_time rtcp_pulse_due(const struct rtcp_pulse *p, const struct rtcp_route *route);

/* Registers a probe and makes its echo. */
void rtcp_pulse_asked(struct rtcp_pulse *p, base_time now, uint32_t attempt, struct base_rng *rng,
                      uint8_t ret_echo[RTCP_WIRE_ECHO]);

/* Finds the probe an echo belongs to and closes the silence: true, how long the reply took, how long we had asked in
 * vain, and under which attempt it was asked. An echo counts once. */
bool rtcp_pulse_answered(struct rtcp_pulse *p, base_time now, const uint8_t echo[RTCP_WIRE_ECHO], base_time *ret_took,
                         base_time *ret_unanswered, uint32_t *ret_attempt);

/* Whether this reply proves that the connection does not carry our bytes. */
bool rtcp_pulse_proves_stall(struct rtcp_pulse *p, base_time now, const struct rtcp_route *route,
                             const struct rtcp_pulse_reply *reply);

#endif
