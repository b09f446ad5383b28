/* One connection of rtcp-perf's event-driven face, over robust or plain TCP: the same calls, so that both run the same
 * code above.
 *
 * Owns      the table of calls; the two wires fill it.
 * Relies on libev.
 * Not here  what is sent, and when: perf_client.c, perf_server.c.
 */
#ifndef HOLDFAST_RTCP_PERF_WIRE_H
#define HOLDFAST_RTCP_PERF_WIRE_H

#include "rtcp/tools/perf.h"

struct ev_loop;
struct perf_conn;

struct perf_calls {
    void (*on_readable)(void *user, struct perf_conn *conn);
    void (*on_writable)(void *user, struct perf_conn *conn);
    /* The connection is over; its memory goes after this. */
    void (*on_closed)(void *user, struct perf_conn *conn);
};

struct perf_wire {
    const char *name;
    /* A context for all connections of a process: an endpoint, or nothing. NULL after a message. */
    void *(*open)(struct ev_loop *loop, const struct perf_options *o);
    void (*close)(void *context);
    /* Listens at "127.0.0.1:port"; on_accept gets every connection and sets its calls. 0 or negative. */
    int (*listen)(void *context, const char *address, void (*on_accept)(void *user, struct perf_conn *conn),
                  void *user);
    struct perf_conn *(*connect)(void *context, const char *address, const struct perf_calls *calls, void *user);
    void (*set_calls)(struct perf_conn *conn, const struct perf_calls *calls, void *user);
    /* A count, 0 for "not now"; negative: over. */
    int64_t (*send)(struct perf_conn *conn, const void *data, size_t size);
    /* A count, 0 for "not now"; negative: the end. */
    int64_t (*recv)(struct perf_conn *conn, void *data, size_t size);
    /* Ends the sending direction. */
    void (*finish)(struct perf_conn *conn);
    /* on_closed follows. */
    void (*hang_up)(struct perf_conn *conn);
};

extern const struct perf_wire perf_tcp;
extern const struct perf_wire perf_rtcp;

struct rtcp_stream_options;
/* The options of all robust streams of a run, either face. */
void perf_rtcp_options(struct rtcp_stream_options *s, const struct perf_options *o);

void perf_server_accept(void *user, struct perf_conn *conn);

/* One measured run against the address; 0 or a negative status. */
int perf_client_run(struct ev_loop *loop, const struct perf_wire *wire, void *context, const char *address,
                    struct perf_run *run);

#endif
