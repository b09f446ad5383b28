/* See perf_wire.h: robust TCP, the event-driven face. A struct perf_conn is the stream itself. */
#include "rtcp/rtcp.h"
#include "rtcp/tools/perf_wire.h"

#include <stdlib.h>
#include <string.h>

struct context {
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener;
    uint32_t ring;
    void (*on_accept)(void *user, struct perf_conn *conn);
    void *user;
};

struct perf_conn {
    struct rtcp_stream *stream;
    struct perf_calls calls;
    void *user;
};

static void on_readable(void *user, struct rtcp_stream *stream)
{
    struct perf_conn *c = user;

    (void)stream;
    if (c->calls.on_readable != NULL) {
        c->calls.on_readable(c->user, c);
    }
}

static void on_writable(void *user, struct rtcp_stream *stream)
{
    struct perf_conn *c = user;

    (void)stream;
    if (c->calls.on_writable != NULL) {
        c->calls.on_writable(c->user, c);
    }
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct perf_conn *c = user;

    (void)stream;
    (void)status;
    (void)unacknowledged;
    if (c->calls.on_closed != NULL) {
        c->calls.on_closed(c->user, c);
    }
    free(c);
}

static const struct rtcp_stream_callbacks calls = {
    .on_readable = on_readable, .on_writable = on_writable, .on_closed = on_closed};

static void *open_context(struct ev_loop *loop, uint32_t ring)
{
    struct context *x = calloc(1, sizeof *x);

    if (x != NULL && rtcp_endpoint_open(loop, NULL, &x->endpoint) < 0) {
        free(x);
        return NULL;
    }
    if (x != NULL) {
        x->ring = ring;
    }
    return x;
}

static void close_context(void *context)
{
    struct context *x = context;

    rtcp_endpoint_close(x->endpoint);
    free(x);
}

static void accepted(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct context *x = user;
    struct perf_conn *c = calloc(1, sizeof *c);

    (void)listener;
    if (c == NULL) {
        rtcp_close(stream, RTCP_LINGER_ABORT);
        return;
    }
    c->stream = stream;
    rtcp_stream_set_callbacks(stream, &calls, c);
    x->on_accept(x->user, c);
}

static int listen_at(void *context, const char *address, void (*on_accept)(void *user, struct perf_conn *conn),
                     void *user)
{
    struct context *x = context;
    struct rtcp_listen_options o;

    rtcp_listen_options_default(&o);
    o.stream.ring = x->ring;
    x->on_accept = on_accept;
    x->user = user;
    return rtcp_listen(x->endpoint, address, &o, accepted, x, &x->listener);
}

static struct perf_conn *connect_to(void *context, const char *address, const struct perf_calls *own, void *user)
{
    struct context *x = context;
    struct rtcp_stream_options o;
    struct perf_conn *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    c->calls = *own;
    c->user = user;
    rtcp_stream_options_default(&o);
    o.ring = x->ring;
    if (rtcp_connect(x->endpoint, address, &o, &calls, c, &c->stream) < 0) {
        free(c);
        return NULL;
    }
    return c;
}

static void set_calls(struct perf_conn *c, const struct perf_calls *own, void *user)
{
    c->calls = *own;
    c->user = user;
}

static int64_t send_some(struct perf_conn *c, const void *data, size_t size)
{
    int64_t n = rtcp_send(c->stream, data, size);

    return n == BASE_E_AGAIN ? 0 : n;
}

static int64_t recv_some(struct perf_conn *c, void *data, size_t size)
{
    int64_t n = rtcp_recv(c->stream, data, size);

    return n == BASE_E_AGAIN ? 0 : n == 0 ? -1 : n;
}

static void hang_up(struct perf_conn *c)
{
    rtcp_close(c->stream, RTCP_LINGER_BACKGROUND);
}

const struct perf_wire perf_rtcp = {"rtcp",    open_context, close_context, listen_at, connect_to,
                                    set_calls, send_some,    recv_some,     hang_up};
