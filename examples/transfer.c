/* transfer: two processes exchange files over one robust stream, in both directions at once, whatever the network does.
 *
 * Owns      the program: files, hashes, pacing, and one line of JSON per event on stdout.
 * Relies on the public header rtcp/rtcp.h, libev for the loop, libsodium for SHA-256; transfer_options for the command
 *           line.
 * Not here  anything about connections, retries or cuts: that is what the library is for. Compare with the same
 *           program over plain TCP: only the names of the calls differ.
 * Protocol  none of its own: the bytes of the file, then the end of the direction.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "examples/transfer_options.h"
#include "rtcp/admin.h"
#include "rtcp/rtcp.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CHUNK          (64u * 1024u) /* bytes read from the stream at once */
#define READS_PER_TURN 32            /* chunks taken per callback, so that one stream cannot keep the loop */
#define GAP            BASE_MS(50)   /* a pause in the arriving bytes worth an event */
#define TICK           0.005         /* seconds between two looks at the pace */
#define FLOWS_MAX      4096          /* streams that a server keeps at once */
#define KEY_FILE_MAX   RTCP_KEY_MAX

/* What may pass in a direction now: a bucket that holds 20 ms of the rate. */
struct pace {
    uint64_t rate;
    double tokens;
    base_time last;
};

/* One stream with its two directions. */
struct flow {
    struct transfer *transfer;
    struct rtcp_stream *stream;
    uint32_t number;
    int in; /* descriptors, -1 for none */
    int out;
    uint64_t left; /* made-up bytes still to send */
    uint64_t random;
    bool has_ended_sending;
    bool cannot_send; /* the peer reads no more */
    bool has_read_end;
    bool has_failed; /* a file could not be read or written */
    bool is_closing;
    bool is_up;
    bool can_read; /* on_readable came and the bytes were left for a later turn */
    struct pace send_pace;
    struct pace read_pace;
    uint64_t sent;
    uint64_t received;
    uint32_t connections;      /* used, when last looked */
    uint64_t repeated;         /* bytes written again, when last looked */
    uint64_t breaks;           /* connections replaced */
    uint64_t breaks_in_flight; /* of these, with bytes that the peer had not acknowledged */
    uint64_t breaks_resent;    /* of these, after which bytes had to be written again: they were lost with it */
    bool has_break_open;
    base_time started;
    base_time last_arrival;
    base_time gap_max;
    crypto_hash_sha256_state hash_sent;
    crypto_hash_sha256_state hash_received;
};

struct transfer {
    struct transfer_settings settings;
    struct ev_loop *loop;
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener;
    struct holdfast_admin *admin;
    struct flow *flow[FLOWS_MAX];
    uint32_t flows_made;
    ev_timer tick;
    ev_timer report;
    ev_signal stop[3];
    uint8_t key[KEY_FILE_MAX];
    size_t key_size;
    uint8_t chunk[CHUNK]; /* scratch for reading */
    bool is_ok;           /* every stream ended as it should */
};

/* The monotonic clock: the same in all network namespaces of a machine, so events of two processes compare. */
static base_time clock_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return BASE_S(t.tv_sec) + (base_time)t.tv_nsec;
}

/* ------------------------------------------------------------------------------------------------ output */

/* One event as a line of JSON; format makes the fields after the common ones. */
__attribute__((format(printf, 3, 4))) static void event(const struct flow *f, const char *name, const char *format, ...)
{
    printf("{\"event\":\"%s\",\"at_ns\":%" PRIu64 ",\"flow\":%" PRIu32, name, clock_now(), f->number);
    va_list list;
    va_start(list, format);
    (void)vprintf(format, list);
    va_end(list);
    printf("}\n");
    (void)fflush(stdout); /* a reader that went away ends us by SIGPIPE */
}

static void hash_text(const crypto_hash_sha256_state *state, char *ret_text)
{
    crypto_hash_sha256_state copy = *state;
    uint8_t hash[crypto_hash_sha256_BYTES];
    (void)crypto_hash_sha256_final(&copy, hash);
    (void)sodium_bin2hex(ret_text, 2 * sizeof hash + 1, hash, sizeof hash);
}

static double mebibytes(uint64_t n)
{
    return (double)n / (1024.0 * 1024.0);
}

static void event_done(struct flow *f, bool is_ok, const char *status, uint64_t unacknowledged)
{
    char sent[2 * crypto_hash_sha256_BYTES + 1];
    char received[2 * crypto_hash_sha256_BYTES + 1];
    struct rtcp_info info;
    hash_text(&f->hash_sent, sent);
    hash_text(&f->hash_received, received);
    rtcp_info(f->stream, &info);
    event(f, "done",
          ",\"ok\":%s,\"status\":\"%s\",\"unacknowledged\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"received\":%" PRIu64
          ",\"sha256_sent\":\"%s\",\"sha256_received\":\"%s\",\"connections\":%" PRIu32 ",\"repeated\":%" PRIu64
          ",\"breaks\":%" PRIu64 ",\"breaks_in_flight\":%" PRIu64 ",\"breaks_resent\":%" PRIu64
          ",\"gap_max_ms\":%.1f,\"seconds\":%.3f",
          is_ok ? "true" : "false", status, unacknowledged, f->sent, f->received, sent, received, info.connections,
          info.repeated, f->breaks, f->breaks_in_flight, f->breaks_resent, (double)f->gap_max / 1e6,
          (double)base_time_since(clock_now(), f->started) / 1e9);
    if (!f->transfer->settings.is_quiet) {
        fprintf(stderr, "%s: sent %.1f MiB, received %.1f MiB, %" PRIu32 " connections, %" PRIu64 " bytes repeated\n",
                status, mebibytes(f->sent), mebibytes(f->received), info.connections, info.repeated);
    }
}

/* ------------------------------------------------------------------------------------------------ pace */

static void pace_start(struct pace *p, uint64_t rate)
{
    *p = (struct pace){.rate = rate, .last = clock_now()};
}

/* Bytes that may pass now, at most `most`. Refilled once a millisecond, so that a loop over it ends. */
static size_t pace_allow(struct pace *p, size_t most)
{
    if (p->rate == 0) {
        return most;
    }
    base_time now = clock_now();
    base_time passed = base_time_since(now, p->last);
    if (passed >= BASE_MS(1)) {
        double full = (double)p->rate * 0.02;
        p->tokens += (double)p->rate * (double)passed / 1e9;
        p->tokens = p->tokens > full ? full : p->tokens;
        p->last = now;
    }
    return p->tokens < (double)most ? (size_t)p->tokens : most;
}

static void pace_take(struct pace *p, size_t size)
{
    p->tokens -= p->rate == 0 ? 0.0 : (double)size;
}

/* ------------------------------------------------------------------------------------------------ flow */

/* Gives the stream up: in the background when all is well, so that the close completes; else at once. */
static void flow_close(struct flow *f)
{
    if (!f->is_closing) {
        f->is_closing = true;
        rtcp_close(f->stream, f->has_failed ? RTCP_LINGER_ABORT : RTCP_LINGER_BACKGROUND);
    }
}

static void flow_fail(struct flow *f, const char *what)
{
    fprintf(stderr, "transfer: %s: %s\n", what, strerror(errno));
    f->has_failed = true;
    flow_close(f);
}

/* Fills at with made-up bytes: a cheap generator, different for each stream. */
static size_t flow_generate(struct flow *f, uint8_t *at, size_t size)
{
    size_t n = size < f->left ? size : (size_t)f->left;
    for (size_t i = 0; i < n; i += 8) {
        f->random = f->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t word = f->random ^ (f->random >> 29);
        base_copy(at + i, &word, n - i < 8 ? n - i : 8);
    }
    f->left -= n;
    return n;
}

/* The next bytes to send, written straight into the ring. 0 at the end. */
static int64_t flow_produce(struct flow *f, uint8_t *at, size_t size)
{
    if (f->in < 0) {
        return (int64_t)flow_generate(f, at, size);
    }
    ssize_t n = read(f->in, at, size);
    if (n < 0) {
        flow_fail(f, "reading the file to send");
    }
    return n;
}

static void flow_end_sending(struct flow *f)
{
    f->has_ended_sending = true;
    if (f->transfer->settings.hold) {
        return;
    }
    (void)rtcp_shutdown(f->stream); /* BASE_E_CLOSED: the peer closed; on_closed tells how it ended */
    if (f->has_read_end) {
        flow_close(f);
    }
}

/* The peer closed: that is well if there was nothing more to send. What it sent is still read. */
static void flow_end_early(struct flow *f)
{
    uint8_t more;
    f->cannot_send = true;
    f->has_ended_sending = flow_produce(f, &more, sizeof more) == 0;
    if (f->has_read_end) {
        flow_close(f);
    }
}

/* Sends while there is room, data and pace. */
static void flow_send(struct flow *f)
{
    while (!f->has_ended_sending && !f->cannot_send && !f->is_closing) {
        struct base_span room;
        int status = rtcp_reserve(f->stream, &room);
        if (status == BASE_E_CLOSED) {
            flow_end_early(f);
        }
        if (status != 0) {
            return; /* full: on_writable comes */
        }
        size_t size = pace_allow(&f->send_pace, room.size < CHUNK ? room.size : CHUNK);
        if (size == 0) {
            return; /* the tick comes */
        }
        int64_t n = flow_produce(f, room.data, size);
        if (n < 0) {
            return;
        }
        if (n == 0) {
            flow_end_sending(f);
            return;
        }
        (void)crypto_hash_sha256_update(&f->hash_sent, room.data, (size_t)n);
        if (rtcp_commit(f->stream, (size_t)n) != 0) {
            return;
        }
        pace_take(&f->send_pace, (size_t)n);
        f->sent += (uint64_t)n;
    }
}

static void flow_note_arrival(struct flow *f, size_t size)
{
    base_time now = clock_now();
    base_time gap = f->received == 0 ? 0 : base_time_since(now, f->last_arrival);
    f->last_arrival = now;
    f->received += size;
    if (gap > f->gap_max) {
        f->gap_max = gap;
    }
    if (gap >= GAP) {
        event(f, "data", ",\"gap_ms\":%.3f,\"received\":%" PRIu64, (double)gap / 1e6, f->received);
    }
}

static bool flow_store(struct flow *f, const uint8_t *data, size_t size)
{
    (void)crypto_hash_sha256_update(&f->hash_received, data, size);
    while (f->out >= 0 && size > 0) {
        ssize_t n = write(f->out, data, size);
        if (n < 0) {
            flow_fail(f, "writing what arrived");
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* Reads what has arrived, a bounded number of chunks at once. */
static void flow_read(struct flow *f)
{
    uint8_t *chunk = f->transfer->chunk;
    f->can_read = true;
    for (int i = 0; i < READS_PER_TURN && !f->is_closing && !f->has_read_end; i++) {
        size_t size = pace_allow(&f->read_pace, CHUNK);
        if (size == 0) {
            return; /* bytes stay where they are, the sender feels it; the tick comes */
        }
        int64_t n = rtcp_recv(f->stream, chunk, size);
        if (n < 0) {
            f->can_read = false; /* on_readable or on_closed comes */
            return;
        }
        if (n == 0) {
            f->has_read_end = true;
            event(f, "end", ",\"received\":%" PRIu64, f->received);
        } else {
            pace_take(&f->read_pace, (size_t)n);
            flow_note_arrival(f, (size_t)n);
            if (!flow_store(f, chunk, (size_t)n)) {
                return;
            }
        }
    }
    if (f->has_read_end && (f->has_ended_sending || f->cannot_send)) {
        flow_close(f);
    }
}

/* ------------------------------------------------------------------------------------------------ callbacks */

static void on_readable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    flow_read(user);
}

static void on_writable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    flow_send(user);
}

/* Counts the connections that were replaced since the last look. on_link does not tell all of them: a connection that
 * is replaced at once was never down. */
static void flow_look_for_breaks(struct flow *f)
{
    struct rtcp_info info;
    rtcp_info(f->stream, &info);
    if (info.connections > f->connections) {
        uint32_t breaks = f->connections == 0 ? info.connections - 1 : info.connections - f->connections;
        f->breaks += breaks;
        f->breaks_in_flight += info.unacknowledged > 0 ? breaks : 0;
        f->connections = info.connections;
        f->has_break_open = breaks > 0;
        event(f, "connection",
              ",\"connections\":%" PRIu32 ",\"breaks_in_flight\":%" PRIu64 ",\"breaks_resent\":%" PRIu64,
              info.connections, f->breaks_in_flight, f->breaks_resent);
    }
    if (f->has_break_open && info.repeated > f->repeated) {
        f->breaks_resent++;
        f->has_break_open = false;
    }
    f->repeated = info.repeated;
}

static void on_link(void *user, struct rtcp_stream *stream, bool up)
{
    struct flow *f = user;
    struct rtcp_info info;
    rtcp_info(stream, &info);
    f->is_up = up;
    event(f, "link",
          ",\"up\":%s,\"connections\":%" PRIu32 ",\"unacknowledged\":%" PRIu64 ",\"repeated\":%" PRIu64
          ",\"peer\":\"%s\"",
          up ? "true" : "false", info.connections, info.unacknowledged, info.repeated, rtcp_peer_address(stream));
    flow_look_for_breaks(f);
}

static const char *evidence_name(enum rtcp_evidence evidence)
{
    switch (evidence) {
    case RTCP_EVIDENCE_NONE:
        return "NONE";
    case RTCP_EVIDENCE_REFUSED:
        return "REFUSED";
    case RTCP_EVIDENCE_UNREACHABLE:
        return "UNREACHABLE";
    case RTCP_EVIDENCE_SILENT:
        return "SILENT";
    case RTCP_EVIDENCE_WRONG_PEER:
        return "WRONG_PEER";
    case RTCP_EVIDENCE_UNKNOWN:
        return "UNKNOWN";
    case RTCP_EVIDENCE_HEARD:
        return "HEARD";
    }
    return "?";
}

static void on_evidence(void *user, struct rtcp_stream *stream, enum rtcp_evidence evidence)
{
    (void)stream;
    event(user, "evidence", ",\"kind\":\"%s\"", evidence_name(evidence));
}

static void flow_free(struct flow *f)
{
    if (f->in >= 0) {
        (void)close(f->in);
    }
    if (f->out >= 0) {
        (void)close(f->out);
    }
    f->transfer->flow[f->number % FLOWS_MAX] = NULL;
    free(f);
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct flow *f = user;
    struct transfer *t = f->transfer;
    (void)stream;
    flow_look_for_breaks(f);
    bool is_ok = status == 0 && unacknowledged == 0 && f->has_ended_sending && f->has_read_end && !f->has_failed;
    event_done(f, is_ok, base_status_name(status), unacknowledged);
    if (status < 0) {
        fprintf(stderr, "transfer: %s: %s\n", base_status_name(status), base_status_text(status));
    }
    t->is_ok = t->is_ok && is_ok;
    flow_free(f);
    if (!t->settings.keep) {
        ev_break(t->loop, EVBREAK_ALL);
    }
}

static const struct rtcp_stream_callbacks callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_link = on_link,
    .on_evidence = on_evidence,
    .on_closed = on_closed,
};

static bool flow_open_files(struct flow *f)
{
    const struct transfer_settings *s = &f->transfer->settings;
    if (s->in != NULL) {
        f->in = open(s->in, O_RDONLY | O_CLOEXEC);
        if (f->in < 0) {
            fprintf(stderr, "transfer: %s: %s\n", s->in, strerror(errno));
            return false;
        }
    }
    if (s->out != NULL) {
        f->out = open(s->out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
        if (f->out < 0) {
            fprintf(stderr, "transfer: %s: %s\n", s->out, strerror(errno));
            return false;
        }
    }
    return true;
}

/* A flow with its files open, not yet bound to a stream; NULL after a message. */
static struct flow *flow_new(struct transfer *t)
{
    uint32_t number = t->flows_made;
    struct flow *f = t->flow[number % FLOWS_MAX] == NULL ? calloc(1, sizeof *f) : NULL;
    if (f == NULL) {
        fprintf(stderr, "transfer: no room for another stream\n");
        return NULL;
    }
    f->transfer = t;
    f->number = number;
    f->in = -1;
    f->out = -1;
    f->left = t->settings.generate;
    f->random = (uint64_t)getpid() << 32 | number;
    f->started = clock_now();
    f->last_arrival = f->started;
    pace_start(&f->send_pace, t->settings.rate);
    pace_start(&f->read_pace, t->settings.read_rate);
    (void)crypto_hash_sha256_init(&f->hash_sent);
    (void)crypto_hash_sha256_init(&f->hash_received);
    if (!flow_open_files(f)) {
        flow_free(f);
        return NULL;
    }
    t->flow[number % FLOWS_MAX] = f;
    t->flows_made++;
    return f;
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct transfer *t = user;
    struct flow *f = !t->settings.keep && t->flows_made > 0 ? NULL : flow_new(t);
    if (f == NULL) {
        rtcp_close(stream, RTCP_LINGER_ABORT);
        return;
    }
    f->stream = stream;
    rtcp_stream_set_callbacks(stream, &callbacks, f);
    event(f, "accepted", ",\"peer\":\"%s\"", rtcp_peer_address(stream));
    if (!t->settings.keep) {
        rtcp_listener_close(listener); /* one stream is all it serves; that stream can still come back */
        t->listener = NULL;
    }
    flow_send(f);
}

/* ------------------------------------------------------------------------------------------------ loop events */

static void on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct transfer *t = timer->data;
    for (uint32_t i = 0; i < FLOWS_MAX && i < t->flows_made; i++) {
        struct flow *f = t->flow[i];
        if (f == NULL) {
            continue;
        }
        flow_look_for_breaks(f);
        if (f->send_pace.rate != 0) {
            flow_send(f);
        }
        if (f->can_read && f->read_pace.rate != 0) {
            flow_read(f);
        }
    }
}

static void report_flow(struct flow *f, bool watch, bool is_quiet)
{
    struct rtcp_info info;
    rtcp_info(f->stream, &info);
    if (watch) {
        event(f, "progress",
              ",\"sent\":%" PRIu64 ",\"received\":%" PRIu64 ",\"up\":%s,\"connections\":%" PRIu32
              ",\"unacknowledged\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"breaks_in_flight\":%" PRIu64
              ",\"breaks_resent\":%" PRIu64,
              f->sent, f->received, f->is_up ? "true" : "false", info.connections, info.unacknowledged, info.repeated,
              f->breaks_in_flight, f->breaks_resent);
    }
    if (!is_quiet) {
        fprintf(stderr, "sent %.1f MiB, received %.1f MiB, link %s, %.1f KiB unacknowledged\n", mebibytes(f->sent),
                mebibytes(f->received), f->is_up ? "up" : "down", (double)info.unacknowledged / 1024.0);
    }
}

static void on_report(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    struct transfer *t = timer->data;
    for (uint32_t i = 0; i < FLOWS_MAX && i < t->flows_made; i++) {
        if (t->flow[i] != NULL) {
            report_flow(t->flow[i], t->settings.watch, t->settings.is_quiet);
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
            event_done(t->flow[i], false, "STOPPED", 0);
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
    printf("{\"event\":\"listening\",\"at_ns\":%" PRIu64 ",\"address\":\"%s\"}\n", clock_now(),
           rtcp_listener_address(t->listener));
    (void)fflush(stdout);
    return 0;
}

static int start_client(struct transfer *t)
{
    struct rtcp_stream_options o;
    rtcp_stream_options_default(&o);
    stream_options(&t->settings, &o);
    struct flow *f = flow_new(t);
    if (f == NULL) {
        return BASE_E_NOTFOUND;
    }
    int status = rtcp_connect(t->endpoint, t->settings.address, &o, &callbacks, f, &f->stream);
    if (status != 0) {
        flow_free(f);
        return status;
    }
    flow_send(f);
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
            flow_free(t->flow[i]);
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
