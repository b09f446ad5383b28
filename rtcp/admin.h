/* admin: a local socket where a process shows its streams to whoever runs it; off unless it is opened here.
 *
 * Public, beside rtcp.h; its rules for threads, callbacks, ownership and errors hold here, too. The program rtcp-ss
 * reads what is shown. What goes over the socket:
 *
 *   A client connects, sends a command and a line end, and gets lines, each one flat JSON object; the last one is
 *   {"end":"COMMAND","lines":N}. Times are in seconds. Fields may be added in later versions.
 *
 *   help       the commands there are
 *   sessions   one line for each stream: id, role ("client" or "server"), state (as enum rtcp_state, without prefix),
 *              peer, service (the name expected or served, as its hash; not before it is known), confirmed, sent,
 *              received, unacknowledged, oldest (age of the oldest unacknowledged byte), blocked_send,
 *              blocked_receive, repeated, connections, attempt, disconnected, round_trip, silent, evidence, ring
 *              (now) and ring_max, incarnation (of the own endpoint) and peer_incarnation
 *   stats      one line for each endpoint: incarnation and the counters of struct rtcp_stats
 *
 * The file has mode 0600, and only the same user and root are answered. Nothing can be changed through the socket. At
 * most 8 clients at once; one that takes no byte of its answer for 5 s is hung up on.
 */
#ifndef HOLDFAST_RTCP_ADMIN_H
#define HOLDFAST_RTCP_ADMIN_H

#include "rtcp/rtcp.h"

struct holdfast_admin;

/* Opens the admin socket of a process. It does not keep the loop running.
 *
 *   loop     borrowed until holdfast_admin_close returns.
 *   path     of the socket's file; copied. A file that a dead process left is replaced.
 *   returns  0; BASE_E_INVALID (path is empty or longer than a socket address takes: 107 bytes), BASE_E_EXISTS (a live
 *            process answers there, or the file is no socket), BASE_E_NOMEM, BASE_E_SYSTEM (errno).
 */
RTCP_API BASE_MUST_USE int holdfast_admin_open(struct ev_loop *loop, const char *path,
                                               struct holdfast_admin **ret_admin);

/* Hangs up on its clients and removes the file. Accepts NULL. Close it before the endpoints that it shows. */
RTCP_API void holdfast_admin_close(struct holdfast_admin *admin);

/* Shows the streams and counters of an endpoint, which runs on the same loop. Several endpoints may share a socket.
 *
 *   returns  0; BASE_E_RANGE: more than 16 of them.
 */
RTCP_API BASE_MUST_USE int rtcp_endpoint_admin(struct rtcp_endpoint *endpoint, struct holdfast_admin *admin);

#endif
