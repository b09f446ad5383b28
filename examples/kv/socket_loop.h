/* Listening sockets and texts about sockets.
 *
 * Owns      nothing. Relies on the system.
 */
#ifndef KV_SOCKET_LOOP_H
#define KV_SOCKET_LOOP_H

#include "rtcp/base/status.h"

#include <stdbool.h>

#define KV_ADDRESS_TEXT 64

/* A non-blocking listening socket at "host:port", "[ipv6]:port" or ":port" (all addresses). The descriptor;
 * BASE_E_INVALID (no such address), BASE_E_SYSTEM (see errno). */
BASE_MUST_USE int kv_socket_listen(const char *address);

/* The next client's descriptor, non-blocking and without delay; negative: see errno. */
int kv_socket_accept(int fd);

/* The address of the other end, or "?". */
void kv_socket_peer(int fd, char ret_text[KV_ADDRESS_TEXT]);

/* What an errno means. Static storage. */
const char *kv_socket_error(int error);

#endif
