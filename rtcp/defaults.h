/* Every number of the protocol in one table, related to each other by static_asserts (design: one place to look).
 *
 * Owns      the defaults and limits of the layer.
 * Relies on nothing.
 * Not here  what an option of rtcp.h can change: that header gives its range, this one its default.
 */
#ifndef HOLDFAST_RTCP_DEFAULTS_H
#define HOLDFAST_RTCP_DEFAULTS_H

#include "rtcp/base/time.h"

#include <assert.h>

#define RTCP_HANDSHAKE_IDLE  BASE_S(5)  /* server: silence in a handshake */
#define RTCP_HANDSHAKE_TOTAL BASE_S(10) /* server: a handshake in all */
#define RTCP_HALF_OPEN_MAX   256        /* handshakes at once; the oldest is pushed out */

#define RTCP_CONNECT_BUSY BASE_S(2) /* client: connecting or waiting for the answer, while data waits */
#define RTCP_CONNECT_IDLE BASE_S(3) /* ... while none does */

#define RTCP_RACE_NEXT   BASE_MS(250) /* no answer for so long: the next address is tried beside it */
#define RTCP_RACE_AGAIN  BASE_MS(500) /* ... all were: another SYN, where no datagram can tell that the path is back */
#define RTCP_RACE_MAX    8            /* connections of one attempt at once */
#define RTCP_LOOKUP_GAP  BASE_S(5)    /* names are not looked up more often */
#define RTCP_LOOKUPS_MAX 64           /* of an endpoint at once, each in a thread; more wait for their next attempt */

#define RTCP_BACKOFF_FIRST BASE_MS(50)
#define RTCP_BACKOFF_LAST  BASE_S(10)
#define RTCP_BACKOFF_BUSY  BASE_S(2)   /* while data waits attempts start at most this far apart */
#define RTCP_HINT_PAUSE    BASE_MS(10) /* news of the kernel come in groups: wait for the last of them */
#define RTCP_HINT_GAP      BASE_S(1)   /* attempts started by hints: at most one in this time */

#define RTCP_PROBE_FIRST       BASE_MS(20)  /* no progress for max(3 RTT, this): ask */
#define RTCP_PROBE_GAP         BASE_MS(200) /* then at most this far apart */
#define RTCP_PROBE_SECOND      BASE_MS(50)  /* two replies max(4 RTT, this) apart prove a stall */
#define RTCP_PROBE_IDLE        BASE_S(15)   /* only a reader waits: for all sessions that share a route */
#define RTCP_PROBE_OWN         BASE_S(300)  /* ... and in the name of each */
#define RTCP_PROBE_SILENCE     BASE_S(1)    /* after this long without an answer one reply proves it */
#define RTCP_PROBE_RELAY       BASE_S(1)    /* our kernel holds nothing unacknowledged: a relay may, wait longer */
#define RTCP_PROBES_REMEMBERED 16           /* probes whose echo is still accepted */
#define RTCP_DOUBT             BASE_S(30)   /* nothing authentic heard, and CONTROL connections are refused: the same */
#define RTCP_FULL_SILENCE      BASE_S(2)    /* ring full and nothing authentic heard: replace the connection */
#define RTCP_REQACK_FIRST      BASE_MS(100) /* oldest unacknowledged byte older than this: ask for an ack */
#define RTCP_REQACK_LAST       BASE_S(1)
#define RTCP_EOF_WAIT          BASE_MS(20) /* EOF without a close: wait max(2 RTT, this) for one */
#define RTCP_RELIABLE_FIRST    BASE_MS(50) /* flagged messages: first repetition after max(2 RTT, this) */
#define RTCP_RELIABLE_LAST     BASE_S(1)
#define RTCP_ROUND_TRIP_MAX    BASE_S(1) /* longer ones count as this long */
#define RTCP_HEARD_AFTER       BASE_S(1) /* silence after which hearing the peer is evidence */

#define RTCP_COURIER_AFTER   3            /* questions along UDP without an answer: a CONTROL connection is made */
#define RTCP_COURIER_LEAST   BASE_MS(300) /* ... but not before the first of them is max(3 RTT, this) old */
#define RTCP_COURIER_PROBE   BASE_S(1)    /* a CONTROL connection in use is probed this often */
#define RTCP_COURIER_SILENCE BASE_S(2)    /* nothing authentic heard on it: dial again */
#define RTCP_COURIER_RETURN  BASE_S(60)   /* UDP is tried again this often */
#define RTCP_COURIER_SPARE   BASE_S(3)    /* UDP answers again: it is closed after this */
#define RTCP_COURIER_UNUSED  BASE_S(10)   /* no session needs it: it is kept this long for the next */
#define RTCP_COURIER_DEAD    BASE_S(30)   /* server: nothing authentic heard on it: it is closed */
#define RTCP_COURIERS_MAX    256          /* of an endpoint, both roles; a server drops the one silent for longest */
#define RTCP_COURIER_ROOM    4096u        /* bytes that wait to be written on one; more is lost, as datagrams are */
#define RTCP_COURIER_JUNK    65536u       /* bytes without an authentic message among them: it is closed */

#define RTCP_CONFIRM_AFTER   BASE_MS(50)  /* client: the first PROBE of an opening: a short stream needs none */
#define RTCP_UNHEARD         BASE_S(3)    /* no probe was ever answered: the client resumes, which confirms */
#define RTCP_UNCONFIRMED_MAX BASE_S(30)   /* an unconfirmed and disconnected session is dropped */
#define RTCP_LINGER_MAX      BASE_S(600)  /* background closing without contact */
#define RTCP_ABORT_MAX       BASE_S(5)    /* RESET is repeated this long */
#define RTCP_TELL_AFTER      BASE_MS(300) /* client: complete, and told by a handshake: max(3 RTT, this) for a CONF */
#define RTCP_COMPLETE_MAX    BASE_S(10)   /* everything is settled but the CONF of our CLOSE */

#define RTCP_PASSIVE_PROBE   BASE_S(25)  /* a passive client keeps its route open, once for all sessions on it */
#define RTCP_PASSIVE_OWN     BASE_S(300) /* and asks in the name of each session */
#define RTCP_PASSIVE_SILENCE BASE_S(5)   /* a route that is silent for longer than both: connect */
#define RTCP_PASSIVE_SPREAD  BASE_S(5)   /* ... at different times */
#define RTCP_PASSIVE_WISH    BASE_S(30)  /* PASSIVE is repeated this long */

#define RTCP_COMPLAINTS    20 /* events about strangers in the trace, at most so many ... */
#define RTCP_COMPLAIN_SPAN BASE_S(1)

#define RTCP_SCARCE_HANDSHAKE BASE_S(1)    /* a handshake in all, on the last descriptor */
#define RTCP_SCARCE_PAUSE     BASE_MS(100) /* before descriptors are asked for again */

#define RTCP_DRAIN_TICK BASE_MS(200) /* a drain tells how far it is */

#define RTCP_TOMBSTONES   4096
#define RTCP_EARLY_MAX    65536u /* bytes that travel with the first OPEN */
#define RTCP_WAITING_MAX  65536u /* bytes taken out of a connection that is about to be replaced */
#define RTCP_DATAGRAM_MAX 1200u

#define RTCP_COALESCE_UPTO 16384u /* bytes that wait for more, where that was asked for */

#define RTCP_BURST_AT_ONCE 65536u     /* bytes of a turn that leave with their calls; more of them ... */
#define RTCP_BURST_BATCH   131072u    /* ... leave so many together: what fills segments of 64 KiB costs least */
#define RTCP_BURST_SPAN    BASE_MS(4) /* a turn of the blocking face, whose threads have none: the kernel's tick */
#define RTCP_BURST_HELD    BASE_MS(1) /* ... in which nothing waits longer than this */

#define RTCP_RING_FIRST    65536u       /* an automatic ring begins with this size; up to it rings are plain memory */
#define RTCP_RING_EASY     (2u << 20)   /* ... grows to this whenever it is full: more is no faster */
#define RTCP_RING_CAP      (8u << 20)   /* ... and to this, by default, when it is full for longer */
#define RTCP_RING_FULL_FOR BASE_MS(4)   /* that long: the path is longer than the ring, or the peer writes first, too */
#define RTCP_RING_TURNING  (256u << 10) /* an automatic ring below this ... */
#define RTCP_RING_TURNS    8u           /* ... that turns over so often ... */
#define RTCP_RING_TURNS_IN BASE_S(1)    /* ... in this time grows, full or not */
#define RTCP_RING_RETRY    BASE_MS(50)  /* there was no memory: look again */
#define RTCP_RING_IDLE     BASE_S(1)    /* empty for this long: the memory is given back */
#define RTCP_RING_UNKNOWN  (1u << 20)   /* the peer's, before it told */

static_assert(RTCP_PROBE_FIRST < RTCP_PROBE_GAP, "the first probe comes before the second");
static_assert(RTCP_PROBE_SECOND < RTCP_PROBE_GAP, "a proof must not wait for the next ordinary probe");
static_assert(RTCP_HANDSHAKE_IDLE < RTCP_HANDSHAKE_TOTAL, "a handshake may pause once");
static_assert(RTCP_CONNECT_IDLE < RTCP_HANDSHAKE_IDLE, "the client gives up before the server does");
static_assert(RTCP_RACE_MAX * RTCP_RACE_NEXT <= RTCP_CONNECT_BUSY, "every address is tried before the deadline");
static_assert(RTCP_BACKOFF_BUSY < RTCP_BACKOFF_LAST, "data waiting makes attempts more frequent");
static_assert(RTCP_RING_FIRST < RTCP_RING_EASY && RTCP_RING_EASY < RTCP_RING_CAP, "it grows");
static_assert(RTCP_COURIER_PROBE < RTCP_COURIER_SILENCE, "one lost answer is no silence");
static_assert(RTCP_COURIER_SILENCE < RTCP_COURIER_DEAD, "the client gives up before the server does");
static_assert(RTCP_PASSIVE_PROBE < BASE_S(30), "the shortest common memory of a NAT");
static_assert(RTCP_PASSIVE_SILENCE > 2 * RTCP_PROBE_SILENCE, "a lost probe is repeated before the route is doubted");
static_assert(RTCP_PROBES_REMEMBERED * RTCP_PROBE_GAP > RTCP_BACKOFF_BUSY, "round trips up to 3 s are measured");

#endif
