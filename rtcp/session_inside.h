/* What the files of the session share with each other and with nobody else.
 *
 * Owns      nothing: the functions are grouped by the file that holds them.
 * Relies on session.h, whose struct they work on.
 * Not here  what drivers may call: that is session.h.
 */
#ifndef HOLDFAST_RTCP_SESSION_INSIDE_H
#define HOLDFAST_RTCP_SESSION_INSIDE_H

#include "rtcp/base/check.h"
#include "rtcp/session.h"

/* ---- session.c */

/* Queues an effect. */
struct rtcp_pending *rtcp_session_push(struct rtcp_session *s, enum rtcp_effect_kind kind, uint32_t attempt,
                                       int status);
/* Queues a control message of a type. */
void rtcp_session_say(struct rtcp_session *s, uint8_t type, bool to_source);
void rtcp_session_trace(const struct rtcp_session *s, base_time now, const char *name, const char *why);
/* Unacknowledged bytes wait for the peer, or an opening does. */
bool rtcp_session_is_busy(const struct rtcp_session *s);
/* The peer's session acknowledged up to `count` (already checked to be in [acked, upto]). */
void rtcp_session_acked_upto(struct rtcp_session *s, base_time now, uint64_t count);
/* The peer acknowledges every quarter of the ring it knows of: asks, and thereby tells, if ours has another size. */
void rtcp_session_tell_ring(struct rtcp_session *s);
/* What is told of our ring: four times what may come before an acknowledgement is due. */
uint32_t rtcp_session_window(const struct rtcp_session *s);
/* Invariants; at the end of every public entry. */
void rtcp_session_check(const struct rtcp_session *s);
void rtcp_session_move_life(struct rtcp_session *s, base_time now, int next, const char *why);
void rtcp_session_tell(struct rtcp_session *s, int evidence);

/* ---- path.c */

void rtcp_path_move(struct rtcp_session *s, base_time now, int next, const char *why);
void rtcp_path_attach(struct rtcp_session *s, base_time now, uint32_t attempt, uint64_t from);
/* The live connection is lost for good: DROP it. */
void rtcp_path_lose(struct rtcp_session *s, base_time now, const char *why);
/* The live connection should be replaced: a client tries, a server asks by WAKE. */
void rtcp_path_replace(struct rtcp_session *s, base_time now, const char *why);
/* Begins an attempt when one is wanted and due. */
void rtcp_path_advance(struct rtcp_session *s, base_time now);
void rtcp_path_expire(struct rtcp_session *s, base_time now);
base_time rtcp_path_deadline(const struct rtcp_session *s);
void rtcp_path_move_try(struct rtcp_session *s, base_time now, int next, const char *why);
/* An attempt ended without success: back to the old connection if it can be thawed (make before break, P24). */
void rtcp_path_give_up(struct rtcp_session *s, base_time now, const char *why);
/* Server: nothing is readable, the count may be told. */
void rtcp_path_answer(struct rtcp_session *s, base_time now);

/* ---- handshake.c */

/* The bytes of GREET. */
void rtcp_handshake_greeting(struct rtcp_session *s, struct rtcp_effect *e);

/* ---- control.c */

/* The bytes of a control message. */
void rtcp_control_encode(struct rtcp_session *s, const struct rtcp_pending *p, struct rtcp_effect *e);
/* Chooses which flagged message should be out now. */
void rtcp_control_choose(struct rtcp_session *s, base_time now);
void rtcp_control_expire(struct rtcp_session *s, base_time now);
base_time rtcp_control_deadline(const struct rtcp_session *s);
void rtcp_control_probe(struct rtcp_session *s, base_time now, bool to_candidate);
/* An acknowledgement is due when a quarter of the peer's ring was read since the last one. */
void rtcp_control_acknowledge(struct rtcp_session *s, base_time now);

/* ---- passive.c */

/* Whether PASSIVE is to be said now. */
bool rtcp_passive_is_said(const struct rtcp_session *s);
/* Something may have come to rest: says PASSIVE where that is wanted. */
void rtcp_passive_advance(struct rtcp_session *s, base_time now);
/* The application used the session, or the peer needs it: a passive one comes back. */
void rtcp_passive_used(struct rtcp_session *s, base_time now);
/* The peer said PASSIVE; it confirmed ours; a connection was attached. */
void rtcp_passive_heard(struct rtcp_session *s, base_time now, uint32_t attempt);
void rtcp_passive_confirmed(struct rtcp_session *s, base_time now, uint32_t attempt);
void rtcp_passive_attached(struct rtcp_session *s, base_time now);
/* When a passive session probes. */
base_time rtcp_passive_probe_due(const struct rtcp_session *s);
void rtcp_passive_expire(struct rtcp_session *s, base_time now);
base_time rtcp_passive_deadline(const struct rtcp_session *s);

/* ---- closing.c */

/* The peer said (by datagram or in a handshake) that its bytes end at `final`, and whether it reads no more. */
void rtcp_closing_peer_said(struct rtcp_session *s, base_time now, uint64_t final, bool is_closed);
/* Looks whether everything is settled. */
void rtcp_closing_advance(struct rtcp_session *s, base_time now);
/* A complete session hears that the peer's is over, however that ended: only the telling of our CLOSE was left, and
 * nobody is there to be told. What was taken stays the application's to read, and the end is the one that both sides
 * agreed on (C2). */
void rtcp_closing_over(struct rtcp_session *s, base_time now);
/* The session is over. */
void rtcp_closing_end(struct rtcp_session *s, base_time now, int status, const char *why);
void rtcp_closing_expire(struct rtcp_session *s, base_time now);
base_time rtcp_closing_deadline(const struct rtcp_session *s);
/* Whether our CLOSE is to be said: the application closed, or the peer did and we have read everything. */
bool rtcp_closing_is_said(const struct rtcp_session *s);

#endif
