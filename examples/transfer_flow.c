/* One stream with its two directions; see transfer_flow.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "examples/transfer_event.h"
#include "examples/transfer_flow.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHUNK          (64u * 1024u) /* bytes read from the stream at once */
#define READS_PER_TURN 32            /* chunks taken per callback, so that one stream cannot keep the loop */
#define GAP            BASE_MS(50)   /* a pause in the arriving bytes worth an event */

/* ------------------------------------------------------------------------------------------------ bytes */

/* Gives the stream up: in the background when all is well, so that the close completes; else at once. */
static void give_up(struct transfer_flow *f)
{
    if (!f->is_closing) {
        f->is_closing = true;
        rtcp_close(f->stream, f->has_failed ? RTCP_LINGER_ABORT : RTCP_LINGER_BACKGROUND);
    }
}

static void fail(struct transfer_flow *f, const char *what)
{
    fprintf(stderr, "transfer: %s: %s\n", what, strerror(errno));
    f->has_failed = true;
    give_up(f);
}

/* Fills at with made-up bytes: a cheap generator, different for each stream. */
static size_t generate(struct transfer_flow *f, uint8_t *at, size_t size)
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
static int64_t produce(struct transfer_flow *f, uint8_t *at, size_t size)
{
    if (f->in < 0) {
        return (int64_t)generate(f, at, size);
    }
    ssize_t n = read(f->in, at, size);
    if (n < 0) {
        fail(f, "reading the file to send");
    }
    return n;
}

static void end_sending(struct transfer_flow *f)
{
    f->has_ended_sending = true;
    if (f->settings->hold) {
        return;
    }
    (void)rtcp_shutdown(f->stream); /* BASE_E_CLOSED: the peer closed; on_closed tells how it ended */
    if (f->has_read_end) {
        give_up(f);
    }
}

/* The peer closed: that is well if there was nothing more to send. What it sent is still read. */
static void end_early(struct transfer_flow *f)
{
    uint8_t more;
    f->cannot_send = true;
    f->has_ended_sending = produce(f, &more, sizeof more) == 0;
    if (f->has_read_end) {
        give_up(f);
    }
}

void transfer_flow_send(struct transfer_flow *f)
{
    while (!f->has_ended_sending && !f->cannot_send && !f->is_closing) {
        struct base_span room;
        int status = rtcp_reserve(f->stream, &room);
        if (status == BASE_E_CLOSED) {
            end_early(f);
        }
        if (status != 0) {
            return; /* full: on_writable comes */
        }
        size_t size = transfer_pace_allow(&f->send_pace, room.size < CHUNK ? room.size : CHUNK);
        if (size == 0) {
            return; /* the tick comes */
        }
        int64_t n = produce(f, room.data, size);
        if (n < 0) {
            return;
        }
        if (n == 0) {
            end_sending(f);
            return;
        }
        (void)crypto_hash_sha256_update(&f->hash_sent, room.data, (size_t)n);
        if (rtcp_commit(f->stream, (size_t)n) != 0) {
            return;
        }
        transfer_pace_take(&f->send_pace, (size_t)n);
        f->sent += (uint64_t)n;
    }
}

static void note_arrival(struct transfer_flow *f, size_t size)
{
    base_time now = transfer_pace_clock();
    base_time gap = f->received == 0 ? 0 : base_time_since(now, f->last_arrival);
    f->last_arrival = now;
    f->received += size;
    if (gap > f->gap_max) {
        f->gap_max = gap;
    }
    if (gap >= GAP) {
        transfer_event(f, "data", ",\"gap_ms\":%.3f,\"received\":%" PRIu64, (double)gap / 1e6, f->received);
    }
}

static bool store(struct transfer_flow *f, const uint8_t *data, size_t size)
{
    (void)crypto_hash_sha256_update(&f->hash_received, data, size);
    while (f->out >= 0 && size > 0) {
        ssize_t n = write(f->out, data, size);
        if (n < 0) {
            fail(f, "writing what arrived");
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return true;
}

void transfer_flow_read(struct transfer_flow *f)
{
    uint8_t chunk[CHUNK];
    f->can_read = true;
    for (int i = 0; i < READS_PER_TURN && !f->is_closing && !f->has_read_end; i++) {
        size_t size = transfer_pace_allow(&f->read_pace, CHUNK);
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
            transfer_event(f, "end", ",\"received\":%" PRIu64, f->received);
        } else {
            transfer_pace_take(&f->read_pace, (size_t)n);
            note_arrival(f, (size_t)n);
            if (!store(f, chunk, (size_t)n)) {
                return;
            }
        }
    }
    if (f->has_read_end && (f->has_ended_sending || f->cannot_send)) {
        give_up(f);
    }
}

/* ------------------------------------------------------------------------------------------------ callbacks */

static void on_readable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    transfer_flow_read(user);
}

static void on_writable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    transfer_flow_send(user);
}

void transfer_flow_look(struct transfer_flow *f)
{
    struct rtcp_info info;
    rtcp_info(f->stream, &info);
    if (info.connections > f->connections) {
        uint32_t breaks = f->connections == 0 ? info.connections - 1 : info.connections - f->connections;
        f->breaks += breaks;
        f->breaks_in_flight += info.unacknowledged > 0 ? breaks : 0;
        f->connections = info.connections;
        f->has_break_open = breaks > 0;
        transfer_event(f, "connection",
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
    struct transfer_flow *f = user;
    struct rtcp_info info;
    rtcp_info(stream, &info);
    f->is_up = up;
    transfer_event(f, "link",
                   ",\"up\":%s,\"connections\":%" PRIu32 ",\"unacknowledged\":%" PRIu64 ",\"repeated\":%" PRIu64
                   ",\"peer\":\"%s\"",
                   up ? "true" : "false", info.connections, info.unacknowledged, info.repeated,
                   rtcp_peer_address(stream));
    transfer_flow_look(f);
}

static void on_evidence(void *user, struct rtcp_stream *stream, enum rtcp_evidence evidence)
{
    (void)stream;
    transfer_event_evidence(user, evidence);
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct transfer_flow *f = user;
    (void)stream;
    transfer_flow_look(f);
    bool is_ok = status == 0 && unacknowledged == 0 && f->has_ended_sending && f->has_read_end && !f->has_failed;
    transfer_event_done(f, is_ok, base_status_name(status), unacknowledged);
    if (status < 0) {
        fprintf(stderr, "transfer: %s: %s\n", base_status_name(status), base_status_text(status));
    }
    f->on_over(f, is_ok);
}

const struct rtcp_stream_callbacks transfer_flow_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_link = on_link,
    .on_evidence = on_evidence,
    .on_closed = on_closed,
};

/* ------------------------------------------------------------------------------------------------ birth and end */

static bool open_files(struct transfer_flow *f)
{
    const struct transfer_settings *s = f->settings;
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

void transfer_flow_free(struct transfer_flow *f)
{
    if (f->in >= 0) {
        (void)close(f->in);
    }
    if (f->out >= 0) {
        (void)close(f->out);
    }
    free(f);
}

struct transfer_flow *transfer_flow_new(const struct transfer_settings *settings, uint32_t number,
                                        transfer_flow_on_over *on_over, void *user)
{
    struct transfer_flow *f = calloc(1, sizeof *f);
    if (f == NULL) {
        fprintf(stderr, "transfer: no room for another stream\n");
        return NULL;
    }
    f->settings = settings;
    f->on_over = on_over;
    f->user = user;
    f->number = number;
    f->in = -1;
    f->out = -1;
    f->left = settings->generate;
    f->random = (uint64_t)getpid() << 32 | number;
    f->started = transfer_pace_clock();
    f->last_arrival = f->started;
    transfer_pace_start(&f->send_pace, settings->rate);
    transfer_pace_start(&f->read_pace, settings->read_rate);
    (void)crypto_hash_sha256_init(&f->hash_sent);
    (void)crypto_hash_sha256_init(&f->hash_received);
    if (!open_files(f)) {
        transfer_flow_free(f);
        return NULL;
    }
    return f;
}
