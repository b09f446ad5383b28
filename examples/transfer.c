/* transfer: two processes exchange files over one robust stream, in both directions at once, whatever the network does.
 *
 * Owns      the program: the endpoint, the listener, the streams, and the loop that they live in.
 * Relies on the public header rtcp/rtcp.h and libev; transfer_options for the command line, transfer_flow for one
 *           stream, transfer_event for one line of JSON per event on stdout.
 * Not here  anything about connections, retries or cuts: that is what the library is for. Compare with the same
 *           program over plain TCP: only the names of the calls differ.
 * Protocol  none of its own: the bytes of the file, then the end of the direction.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "examples/transfer_event.h"
#include "examples/transfer_flow.h"
#include "examples/transfer_options.h"
#include "rtcp/admin.h"
#include "rtcp/rtcp.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TICK         0.005 /* seconds between two looks at the pace */
#define FLOWS_MAX    4096  /* streams that a server keeps at once */
#define KEY_FILE_MAX RTCP_KEY_MAX

struct transfer {
    struct transfer_settings settings;
    struct ev_loop *loop;
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener;
    struct holdfast_admin *admin;
    struct transfer_flow *flow[FLOWS_MAX];
    uint32_t flows_made;
    ev_timer tick;
    ev_timer report;
    ev_signal stop[3];
    uint8_t key[KEY_FILE_MAX];
    size_t key_size;
    bool is_ok; /* every stream ended as it should */
};

/* ------------------------------------------------------------------------------------------------ streams */

static void flow_free(struct transfer *t, struct transfer_flow *f)
{
    t->flow[f->number % FLOWS_MAX] = NULL;
    transfer_flow_free(f);
}

/* A stream has ended. */
static void on_over(struct transfer_flow *f, bool is_ok)
{
    struct transfer *t = f->user;
    t->is_ok = t->is_ok && is_ok;
    flow_free(t, f);
    if (!t->settings.keep) {
        ev_break(t->loop, EVBREAK_ALL);
    }
}

/* A flow that is not yet bound to a stream; NULL after a message. */
static struct transfer_flow *flow_new(struct transfer *t)
{
    uint32_t number = t->flows_made;
    if (t->flow[number % FLOWS_MAX] != NULL) {
        fprintf(stderr, "transfer: no room for another stream\n");
        return NULL;
    }
    struct transfer_flow *f = transfer_flow_new(&t->settings, number, on_over, t);
    if (f != NULL) {
        t->flow[number % FLOWS_MAX] = f;
        t->flows_made++;
    }
    return f;
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct transfer *t = user;
    struct transfer_flow *f = !t->settings.keep && t->flows_made > 0 ? NULL : flow_new(t);
    if (f == NULL) {
        rtcp_close(stream, RTCP_LINGER_ABORT);
        return;
    }
    f->stream = stream;
    rtcp_stream_set_callbacks(stream, &transfer_flow_callbacks, f);
    transfer_event(f, "accepted", ",\"peer\":\"%s\"", rtcp_peer_address(stream));
    if (!t->settings.keep) {
        rtcp_listener_close(listener); /* one stream is all it serves; that stream can still come back */
        t->listener = NULL;
    }
    transfer_flow_send(f);
}

/* ------------------------------------------------------------------------------------------------ loop events */

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct transfer *t = timer->data;
    for (uint32_t i = 0; i < FLOWS_MAX && i < t->flows_made; i++) {
        struct transfer_flow *f = t->flow[i];
        if (f == NULL) {
            continue;
        }
        transfer_flow_look(f);
        if (f->send_pace.rate != 0) {
            transfer_flow_send(f);
        }
        if (f->can_read && f->read_pace.rate != 0) {
            transfer_flow_read(f);
        }
    }
}

static void on_report(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct transfer *t = timer->data;
    for (uint32_t i = 0; i < FLOWS_MAX && i < t->flows_made; i++) {
        if (t->flow[i] != NULL) {
            transfer_event_progress(t->flow[i]);
        }
    }
}

/* Asked to stop: every stream is aborted and the program fails, unless it is a server that only waits. */
static void on_stop(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)events;
    struct transfer *t = signal->data;
    for (uint32_t i = 0; i < FLOWS_MAX && i < t->flows_made; i++) {
        if (t->flow[i] != NULL) {
            t->is_ok = false;
            transfer_event_done(t->flow[i], false, "STOPPED", 0);
        }
    }
    ev_break(loop, EVBREAK_ALL);
}

static void watch_loop(struct transfer *t)
{
    static const int signals[3] = {SIGINT, SIGTERM, SIGHUP};
    for (int i = 0; i < 3; i++) {
        ev_signal_init(&t->stop[i], on_stop, signals[i]);
        t->stop[i].data = t;
        ev_signal_start(t->loop, &t->stop[i]);
    }
    ev_timer_init(&t->tick, on_tick, TICK, TICK);
    t->tick.data = t;
    ev_timer_start(t->loop, &t->tick);
    if (t->settings.watch || !t->settings.is_quiet) {
        double every = t->settings.watch ? 0.2 : 1.0;
        ev_timer_init(&t->report, on_report, every, every);
        t->report.data = t;
        ev_timer_start(t->loop, &t->report);
    }
}

/* ------------------------------------------------------------------------------------------------ start */

static void stream_options(const struct transfer_settings *s, struct rtcp_stream_options *o)
{
    o->ring = s->ring != 0 ? s->ring : o->ring;
    o->retry_refused = s->retry;
    o->service = s->is_server ? NULL : s->service;
    if (s->idle_probe > 0.0) {
        o->idle_probe = (base_time)(s->idle_probe * 1e9);
    }
}

static int start_server(struct transfer *t)
{
    struct rtcp_listen_options o;
    rtcp_listen_options_default(&o);
    stream_options(&t->settings, &o.stream);
    o.service = t->settings.service;
    int status = rtcp_listen(t->endpoint, t->settings.address, &o, on_accept, t, &t->listener);
    if (status != 0) {
        return status;
    }
    transfer_event_listening(rtcp_listener_address(t->listener));
    return 0;
}

static int start_client(struct transfer *t)
{
    struct rtcp_stream_options o;
    rtcp_stream_options_default(&o);
    stream_options(&t->settings, &o);
    struct transfer_flow *f = flow_new(t);
    if (f == NULL) {
        return BASE_E_NOTFOUND;
    }
    int status = rtcp_connect(t->endpoint, t->settings.address, &o, &transfer_flow_callbacks, f, &f->stream);
    if (status != 0) {
        flow_free(t, f);
        return status;
    }
    transfer_flow_send(f);
    return 0;
}

static bool read_key(struct transfer *t)
{
    int status = rtcp_key_read(t->settings.key, t->key, &t->key_size);
    if (status < 0 && (t->settings.key != NULL || status != BASE_E_NOTFOUND)) {
        fprintf(stderr, "transfer: %s: not a key of %d to %d bytes\n",
                t->settings.key != NULL ? t->settings.key : "HOLDFAST_KEY", RTCP_KEY_MIN, RTCP_KEY_MAX);
        return false;
    }
    return true;
}

/* Shows the streams to rtcp-ss where that was asked for. */
static int open_admin(struct transfer *t)
{
    if (t->settings.admin == NULL) {
        return 0;
    }
    int status = holdfast_admin_open(t->loop, t->settings.admin, &t->admin);
    return status < 0 ? status : rtcp_endpoint_admin(t->endpoint, t->admin);
}

static int run(struct transfer *t)
{
    struct rtcp_endpoint_options o;
    rtcp_endpoint_options_default(&o);
    o.key = t->key_size > 0 ? t->key : NULL;
    o.key_size = t->key_size;
    t->loop = ev_default_loop(0);
    int status = t->loop == NULL ? BASE_E_SYSTEM : rtcp_endpoint_open(t->loop, &o, &t->endpoint);
    if (status == 0) {
        status = open_admin(t);
    }
    if (status == 0) {
        status = t->settings.is_server ? start_server(t) : start_client(t);
    }
    if (status != 0) {
        fprintf(stderr, "transfer: %s: %s%s%s\n", t->settings.address, base_status_text(status),
                status == BASE_E_SYSTEM ? ": " : "", status == BASE_E_SYSTEM ? strerror(errno) : "");
        return 1;
    }
    watch_loop(t);
    (void)ev_run(t->loop, 0);
    holdfast_admin_close(t->admin);
    rtcp_endpoint_close(t->endpoint);
    for (uint32_t i = 0; i < FLOWS_MAX; i++) {
        if (t->flow[i] != NULL) {
            flow_free(t, t->flow[i]);
        }
    }
    return t->is_ok ? 0 : 1;
}

/* ------------------------------------------------------------------------------------------------ main */

int main(int argc, char **argv)
{
    struct transfer *t = calloc(1, sizeof *t);
    if (t == NULL || sodium_init() < 0) {
        fprintf(stderr, "transfer: cannot start\n");
        free(t);
        return 1;
    }
    t->is_ok = true;
    int status = 2;
    if (transfer_parse(argc, argv, &t->settings) && read_key(t)) {
        status = run(t);
    }
    free(t);
    return status;
}
