/* The port on which Redis clients come in: sockets on libev.
 *
 * Owns      the listening socket, the connections and their clients (client.h).
 * Relies on a service, which the caller fills in but for on_stir.
 * Not here  what commands do; the group.
 */
#ifndef KV_SERVER_LOOP_H
#define KV_SERVER_LOOP_H

#include "examples/kv/client.h"
#include "examples/kv/log.h"

#include <ev.h>

struct kv_connection;

struct kv_server {
    struct ev_loop *loop;
    struct kv_service *service;
    struct kv_log *log;
    int fd; /* listening */
    struct ev_io accept;
    struct ev_timer pause; /* accepting goes on when it fires */
    struct ev_io stir;     /* never started: its event is fed, so that it runs at the end of a turn */
    struct kv_connection *first;
    struct kv_connection *stirred; /* those for the end of this turn */
    size_t clients_max;
    struct kv_counts counts;
    base_time start;
};

/* Listens at "host:port" ("[::1]:6379", ":6379" for all). 0; BASE_E_INVALID (address), BASE_E_SYSTEM (see errno). */
BASE_MUST_USE int kv_server_open(struct kv_server *s, struct ev_loop *loop, const char *address, size_t clients_max,
                                 struct kv_service *service, struct kv_log *log);

/* Closes all connections; requests that wait lose their client. */
void kv_server_close(struct kv_server *s);

/* There may be room for commands again. */
void kv_server_go(struct kv_server *s);

void kv_server_counts(const struct kv_server *s, struct kv_counts *ret_counts);

#endif
