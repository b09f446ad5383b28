/* See perf_wire.h: robust TCP, the event-driven face. A struct perf_conn is the stream itself. */
#include "rtcp/admin.h"
#include "rtcp/tools/perf_wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct context {
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener;
    struct holdfast_admin *admin;
    struct rtcp_stream_options stream;
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

void perf_rtcp_options(struct rtcp_stream_options *s, const struct perf_options *o)
{
    if (o->paper) {
        rtcp_stream_options_paper(s);
    } else {
        rtcp_stream_options_default(s);
    }
    s->ring = o->ring != 0 ? o->ring : s->ring;
    s->acks = o->acks != 0 ? o->acks : s->acks;
    s->sendfile = o->sendfile;
    s->at_once = o->at_once;
    s->coalesce = o->coalesce ? BASE_MS(1) : 0;
}

static void *open_context(struct ev_loop *loop, const struct perf_options *o)
{
    struct context *x = calloc(1, sizeof *x);
    int status;

    if (x == NULL) {
        return NULL;
    }
    perf_rtcp_options(&x->stream, o);
    status = rtcp_endpoint_open(loop, NULL, &x->endpoint);
    if (status == 0 && o->admin != NULL) {
        status = holdfast_admin_open(loop, o->admin, &x->admin);
        status = status < 0 ? status : rtcp_endpoint_admin(x->endpoint, x->admin);
    }
    if (status < 0) {
        int error = status == BASE_E_SYSTEM ? errno : 0;

        fprintf(stderr, "rtcp-perf: %s: %s\n", x->endpoint != NULL ? o->admin : "cannot start",
                error != 0 ? strerror(error) : base_status_text(status));
        holdfast_admin_close(x->admin);
        rtcp_endpoint_close(x->endpoint);
        free(x);
        errno = error != 0 ? error : ECANCELED;
        return NULL;
    }
    return x;
}

static void close_context(void *context)
{
    struct context *x = context;

    holdfast_admin_close(x->admin);
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
    o.stream = x->stream;
    x->on_accept = on_accept;
    x->user = user;
    return rtcp_listen(x->endpoint, address, &o, accepted, x, &x->listener);
}

static struct perf_conn *connect_to(void *context, const char *address, const struct perf_calls *own, void *user)
{
    struct context *x = context;
    struct perf_conn *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    c->calls = *own;
    c->user = user;
    if (rtcp_connect(x->endpoint, address, &x->stream, &calls, c, &c->stream) < 0) {
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

static void finish(struct perf_conn *c)
{
    (void)rtcp_shutdown(c->stream);
}

static void hang_up(struct perf_conn *c)
{
    rtcp_close(c->stream, RTCP_LINGER_BACKGROUND);
}

const struct perf_wire perf_rtcp = {"rtcp",    open_context, close_context, listen_at, connect_to,
                                    set_calls, send_some,    recv_some,     finish,    hang_up};
