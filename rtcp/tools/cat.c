/* rtcp-cat; see cat.h. */
#include "rtcp/tools/cat.h"

#include "rtcp/admin.h"
#include "rtcp/base/clock_loop.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define CHUNK      65536u
#define TURN       16  /* portions of a direction before the loop has its turn */
#define TICK_S     0.1 /* looks at what no callback tells */
#define END_HELD   BASE_S(1)
#define ABORT_WAIT BASE_S(1) /* for the peer's word that it knows; it may be gone */

struct cat {
    struct cat_options options;
    struct cat_report report;
    struct ev_loop *loop;
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener;
    struct rtcp_stream *stream; /* NULL before it is there, and after on_closed */
    struct holdfast_admin *admin;
    struct cat_pipe in, out;
    ev_io input, output;
    ev_timer tick;
    ev_signal stop[3];
    base_time told_at; /* progress */

    uint8_t chunk[CHUNK]; /* read from the stream, not yet written */
    size_t chunk_size, chunk_at;

    bool has_input_ended;  /* the end of standard input was read, or the peer reads no more */
    bool is_input_left;    /* the peer closed before standard input ended */
    bool is_end_held;      /* the own end waits for the peer's: see end_input */
    base_time arrived_at;  /* of the last bytes */
    bool has_peer_ended;   /* the end of the peer's bytes was read */
    bool has_output_ended; /* and everything before it was written */
    bool is_closing;
    bool has_failed; /* on this side; it was said why */
    base_time failed_at;
    bool is_over; /* on_closed ran */
    int closed_status;
    uint64_t unacknowledged;
    struct rtcp_info info; /* the last before the end */
};

static void read_stream(struct cat *c);

/* ------------------------------------------------------------------------------------------------ the end */

static void close_stream(struct cat *c, enum rtcp_linger linger)
{
    ev_io_stop(c->loop, &c->input);
    if (c->stream != NULL && (!c->is_closing || linger == RTCP_LINGER_ABORT)) {
        c->is_closing = true;
        rtcp_close(c->stream, linger);
    }
}

static void close_if_done(struct cat *c)
{
    if (c->has_input_ended && c->has_output_ended) {
        close_stream(c, RTCP_LINGER_FOREVER);
    }
}

static void leave_if_over(struct cat *c)
{
    if (c->is_over && c->chunk_at == c->chunk_size) { /* what was read is written first, also after an abort */
        ev_break(c->loop, EVBREAK_ALL);
    }
}

/* Something on this side does not work: the peer is told by an abort that not everything was or will be passed on. */
static void fail(struct cat *c, const char *what, int error)
{
    if (!c->has_failed) {
        c->has_failed = true;
        c->failed_at = base_clock_now();
        cat_report_error(&c->report, "%s: %s", what, strerror(error));
    }
    c->chunk_size = 0;
    c->chunk_at = 0;
    ev_io_stop(c->loop, &c->output);
    close_stream(c, RTCP_LINGER_ABORT);
    leave_if_over(c);
}

/* ------------------------------------------------------------------------------------------------ input -> stream */

static void tell_end(struct cat *c)
{
    c->is_end_held = false;
    (void)rtcp_shutdown(c->stream); /* fails only after a close, which tells the rest */
    close_if_done(c);
}

/* Who only receives ends last, after everything was written: a sender that sees our end then knows that it was. Else a
 * disk that is full at the last bytes could not be told any more. A peer that waits for our end first falls silent. */
static void end_input(struct cat *c)
{
    ev_io_stop(c->loop, &c->input);
    c->has_input_ended = true;
    rtcp_info(c->stream, &c->info);
    c->is_end_held = c->info.sent == 0 && !c->has_output_ended;
    c->arrived_at = base_clock_now();
    if (!c->is_end_held) {
        tell_end(c);
    }
}

/* The peer closed: it will read no more. */
static void lose_reader(struct cat *c)
{
    c->is_input_left = !c->in.is_terminal;
    end_input(c);
}

static void read_input(struct cat *c, bool is_ready)
{
    is_ready = is_ready || !c->in.may_block;
    for (int i = 0; is_ready && i < TURN && c->stream != NULL && !c->has_input_ended && !c->is_closing; i++) {
        struct base_span room;
        int status = rtcp_reserve(c->stream, &room);
        ssize_t n;

        if (status == BASE_E_AGAIN) {
            ev_io_stop(c->loop, &c->input); /* on_writable goes on */
            return;
        }
        if (status < 0) {
            lose_reader(c);
            return;
        }
        n = cat_pipe_read(&c->in, room.data, room.size);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        }
        if (n < 0) {
            fail(c, "standard input", errno);
            return;
        }
        if (n == 0) {
            end_input(c);
            return;
        }
        if (rtcp_commit(c->stream, (size_t)n) < 0) {
            lose_reader(c);
            return;
        }
        is_ready = !c->in.may_block;
    }
    if (c->stream != NULL && !c->has_input_ended && !c->is_closing) {
        ev_io_start(c->loop, &c->input);
    }
}

static void on_input(struct ev_loop *loop, ev_io *w, int events)
{
    (void)loop;
    (void)events;
    read_input(w->data, true);
}

/* ------------------------------------------------------------------------------------------------ stream -> output */

/* Writes what waits; false: not all of it, or it failed. */
static bool write_output(struct cat *c, bool is_ready)
{
    is_ready = is_ready || !c->out.may_block;
    while (c->chunk_at < c->chunk_size) {
        ssize_t n;

        if (!is_ready) {
            ev_io_start(c->loop, &c->output);
            return false;
        }
        n = cat_pipe_write(&c->out, c->chunk + c->chunk_at, c->chunk_size - c->chunk_at);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            ev_io_start(c->loop, &c->output);
            return false;
        }
        if (n < 0) {
            fail(c, errno == EPIPE ? "nobody reads standard output any more" : "standard output", errno);
            return false;
        }
        c->chunk_at += (size_t)n;
        is_ready = !c->out.may_block;
    }
    ev_io_stop(c->loop, &c->output);
    return true;
}

static void end_output(struct cat *c)
{
    if (cat_pipe_close(&c->out) < 0) {
        fail(c, "standard output", errno);
        return;
    }
    c->has_output_ended = true;
    if (c->is_end_held) {
        tell_end(c);
    }
    close_if_done(c);
}

/* Reads while the output takes it. Bytes that wait are not read: the peer feels it. */
static void read_stream(struct cat *c)
{
    for (int i = 0; i < TURN && c->stream != NULL && !c->has_peer_ended && !c->is_closing; i++) {
        int64_t n;

        if (c->chunk_at < c->chunk_size) {
            return;
        }
        n = rtcp_recv(c->stream, c->chunk, sizeof c->chunk);
        if (n < 0) {
            return; /* on_readable or on_closed comes */
        }
        if (n == 0) {
            c->has_peer_ended = true;
            end_output(c);
            return;
        }
        c->chunk_at = 0;
        c->chunk_size = (size_t)n;
        c->arrived_at = base_clock_now();
        if (!write_output(c, false)) {
            return;
        }
    }
}

static void on_output(struct ev_loop *loop, ev_io *w, int events)
{
    struct cat *c = w->data;

    (void)loop;
    (void)events;
    if (write_output(c, true)) {
        read_stream(c);
        leave_if_over(c);
    }
}

/* ------------------------------------------------------------------------------------------------ callbacks */

static void on_readable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    read_stream(user);
}

static void on_writable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    read_input(user, false);
}

static void on_link(void *user, struct rtcp_stream *stream, bool up)
{
    struct cat *c = user;

    cat_report_link(&c->report, stream, up);
}

static void on_evidence(void *user, struct rtcp_stream *stream, enum rtcp_evidence evidence)
{
    struct cat *c = user;

    (void)stream;
    cat_report_evidence(&c->report, evidence);
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct cat *c = user;

    rtcp_info(stream, &c->info);
    ev_io_stop(c->loop, &c->input);
    c->stream = NULL;
    c->is_over = true;
    c->closed_status = status;
    c->unacknowledged = unacknowledged;
    leave_if_over(c);
}

static const struct rtcp_stream_callbacks callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_link = on_link,
    .on_evidence = on_evidence,
    .on_closed = on_closed,
};

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct cat *c = user;

    if (c->stream != NULL || c->is_over) {
        rtcp_close(stream, RTCP_LINGER_ABORT);
        return;
    }
    c->stream = stream;
    rtcp_stream_set_callbacks(stream, &callbacks, c);
    rtcp_listener_close(listener); /* one stream is all; it can still come back */
    read_input(c, false);
}

/* ------------------------------------------------------------------------------------------------ time and signals */

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    struct cat *c = w->data;
    base_time now = base_clock_now();
    struct base_span room;

    (void)events;
    if (c->stream == NULL) {
        return;
    }
    rtcp_info(c->stream, &c->info);
    if (c->options.progress &&
        now >= c->told_at + (c->report.is_terminal && !c->report.json ? BASE_MS(200) : BASE_S(1))) {
        c->told_at = now;
        cat_report_progress(&c->report, &c->info);
    }
    if (c->has_peer_ended && !c->has_input_ended && rtcp_reserve(c->stream, &room) == BASE_E_CLOSED) {
        lose_reader(c); /* nothing else tells it while standard input is silent */
    }
    if (c->is_end_held && c->chunk_at == c->chunk_size && now >= c->arrived_at + END_HELD) {
        tell_end(c);
    }
    if (c->has_failed && now >= c->failed_at + ABORT_WAIT) {
        ev_break(loop, EVBREAK_ALL);
    }
}

static void on_stop(struct ev_loop *loop, ev_signal *w, int events)
{
    struct cat *c = w->data;

    (void)events;
    if (c->stream != NULL) {
        rtcp_info(c->stream, &c->info);
        c->unacknowledged = c->info.unacknowledged;
    }
    c->has_failed = true;
    cat_report_error(&c->report, "stopped by signal %d; %" PRIu64 " bytes unacknowledged", w->signum,
                     c->unacknowledged);
    ev_break(loop, EVBREAK_ALL);
}

static void watch(struct cat *c)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};

    for (size_t i = 0; i < 3; i++) {
        ev_signal_init(&c->stop[i], on_stop, signals[i]);
        c->stop[i].data = c;
        ev_signal_start(c->loop, &c->stop[i]);
    }
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL); /* EPIPE says it, too */
    ev_timer_init(&c->tick, on_tick, TICK_S, TICK_S);
    c->tick.data = c;
    ev_timer_start(c->loop, &c->tick);
    ev_io_init(&c->input, on_input, c->in.fd, EV_READ);
    ev_io_init(&c->output, on_output, c->out.fd, EV_WRITE);
    c->input.data = c;
    c->output.data = c;
}

/* ------------------------------------------------------------------------------------------------ start */

static int open_stream(struct cat *c)
{
    struct rtcp_listen_options listen;
    struct rtcp_stream_options stream;
    int status;

    rtcp_listen_options_default(&listen);
    rtcp_stream_options_default(&stream);
    stream.ring = c->options.ring != 0 ? c->options.ring : stream.ring;
    stream.retry_refused = c->options.retry;
    if (!c->options.is_listening) {
        stream.service = c->options.service;
        status = rtcp_connect(c->endpoint, c->options.address, &stream, &callbacks, c, &c->stream);
        if (status == 0) {
            read_input(c, false);
        }
        return status;
    }
    listen.stream = stream;
    listen.service = c->options.service;
    status = rtcp_listen(c->endpoint, c->options.address, &listen, on_accept, c, &c->listener);
    if (status == 0) {
        cat_report_listening(&c->report, rtcp_listener_address(c->listener));
    }
    return status;
}

static bool say(struct cat *c, const char *what, int status)
{
    if (status == BASE_E_SYSTEM) {
        cat_report_error(&c->report, "%s: %s", what, strerror(errno));
    } else if (status < 0) {
        cat_report_error(&c->report, "%s: %s", what, base_status_text(status));
    }
    return status == 0;
}

static const char *key_name(const struct cat *c)
{
    return c->options.key_file != NULL ? c->options.key_file : "HOLDFAST_KEY";
}

static bool start(struct cat *c)
{
    struct rtcp_endpoint_options o;
    uint8_t key[RTCP_KEY_MAX];
    size_t size = 0;
    int status = rtcp_key_read(c->options.key_file, key, &size);

    if (c->options.key_file == NULL && status == BASE_E_NOTFOUND) {
        size = 0; /* neither a file nor the variable: without a key */
    } else if (status == BASE_E_RANGE) {
        cat_report_error(&c->report, "%s: a key has %d to %d bytes", key_name(c), RTCP_KEY_MIN, RTCP_KEY_MAX);
        return false;
    } else if (!say(c, key_name(c), status)) {
        return false;
    }
    rtcp_endpoint_options_default(&o);
    o.key = size > 0 ? key : NULL;
    o.key_size = size;
    o.key_id = c->options.key_id;
    if (!say(c, "cannot start", rtcp_endpoint_open(c->loop, &o, &c->endpoint))) {
        return false;
    }
    if (c->options.admin != NULL &&
        (!say(c, c->options.admin, holdfast_admin_open(c->loop, c->options.admin, &c->admin)) ||
         !say(c, c->options.admin, rtcp_endpoint_admin(c->endpoint, c->admin)))) {
        return false;
    }
    status = open_stream(c);
    if (status == BASE_E_INVALID) {
        cat_report_error(&c->report, "%s: not HOST:PORT or [IPv6]:PORT with a port up to 65535", c->options.address);
        return false;
    }
    return say(c, c->options.address, status);
}

/* What became of it; said where it is not what was wanted. */
static bool judge(struct cat *c)
{
    int status = c->closed_status;
    bool has_everything = c->is_over && c->unacknowledged == 0 && c->has_input_ended && c->has_output_ended;

    if (status == BASE_E_EXPIRED && has_everything) { /* only the answer to the closing was given up on */
        cat_report_error(&c->report, "the peer has everything, but did not answer the closing for 10 minutes");
        status = 0;
    }
    if (c->has_failed) {
        return false;
    }
    if (status < 0 || !has_everything) {
        cat_report_error(&c->report, "%s; %" PRIu64 " bytes unacknowledged", base_status_text(status),
                         c->unacknowledged);
        return false;
    }
    if (c->is_input_left) {
        cat_report_error(&c->report, "the peer closed before standard input ended; 0 bytes unacknowledged");
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    static struct cat c;
    int status;
    bool is_ok;

    cat_pipe_fill_holes();
    status = cat_options_parse(&c.options, argc, argv);
    if (status != 0) {
        return status;
    }
    cat_report_init(&c.report, &c.options);
    cat_pipe_open(&c.in, 0, true);
    cat_pipe_open(&c.out, 1, false);
    c.loop = ev_default_loop(0);
    if (c.loop == NULL) {
        cat_report_error(&c.report, "cannot start: no event loop");
        return 1;
    }
    watch(&c);
    is_ok = start(&c);
    if (is_ok) {
        ev_run(c.loop, 0);
        is_ok = judge(&c);
        cat_report_done(&c.report, &c.info, is_ok, c.closed_status, c.unacknowledged);
    }
    holdfast_admin_close(c.admin);
    rtcp_endpoint_close(c.endpoint);
    return is_ok ? 0 : 1;
}
