/* The calls of rtcp.h on a stream: connect, send, receive, shut down, close, ask. See inside_loop.h.
 *
 * Must never know: the protocol. Every decision is the session's.
 */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

#include <netdb.h>
#include <stdlib.h>

void rtcp_stream_options_default(struct rtcp_stream_options *o)
{
    base_zero(o, sizeof *o);
    o->ring_max = RTCP_RING_CAP;
    o->acks = 4;
    o->idle_probe = RTCP_PROBE_IDLE;
    o->linger_max = RTCP_LINGER_MAX;
    o->idle_passivate = BASE_NEVER;
    o->orphan_max = BASE_NEVER;
}

void rtcp_stream_options_paper(struct rtcp_stream_options *o)
{
    rtcp_stream_options_default(o);
    o->ring = 16384;
    o->acks = 2;
}

int rtcp_stream_options_check(const struct rtcp_stream_options *o)
{
    bool has_ring = o->ring == 0 ? o->ring_max >= RTCP_RING_MIN && o->ring_max <= RTCP_RING_MAX
                                 : o->ring >= RTCP_RING_MIN && o->ring <= RTCP_RING_MAX;
    bool is_fine = has_ring && o->acks >= 1 && o->acks <= 16 && o->coalesce <= BASE_S(1) &&
                   o->idle_probe >= BASE_S(1) && o->linger_max > 0 && o->idle_passivate >= BASE_S(1) &&
                   o->orphan_max >= BASE_S(60) && (o->service == NULL || strlen(o->service) <= RTCP_NAME_MAX);

    return is_fine ? 0 : BASE_E_RANGE;
}

int rtcp_stream_connect(struct rtcp_endpoint *endpoint, const struct rtcp_address *server, int count, const char *names,
                        const struct rtcp_stream_options *options, const struct rtcp_stream_callbacks *callbacks,
                        void *user, struct rtcp_stream **ret_stream)
{
    struct rtcp_session_options so;
    struct rtcp_stream *stream;
    base_time now = base_clock_now();
    int status;

    if (endpoint->drain.is_on) {
        return BASE_E_CLOSED;
    }
    if (endpoint->stats.sessions >= endpoint->options.streams_max) {
        return BASE_E_RANGE;
    }
    stream = rtcp_stream_new(endpoint, callbacks, user);
    if (stream == NULL) {
        return BASE_E_NOMEM;
    }
    status = rtcp_dial_new(stream, server, count, names);
    if (status < 0) {
        rtcp_stream_free(stream);
        return status;
    }
    stream->no_pages = !options->sendfile;
    stream->coalesce = options->coalesce;
    stream->burst.is_off = options->at_once;
    rtcp_endpoint_session_options(endpoint, options, &so);
    so.is_client = true;
    so.addresses = 1; /* an attempt tries them all */
    so.retry_refused = options->retry_refused;
    so.may_send_early = !options->no_early_data && (!so.shared->is_set || options->early_data_with_key);
    if (options->service != NULL) {
        so.name = rtcp_auth_name((struct base_bytes){(const uint8_t *)options->service, strlen(options->service)});
    }
    status = rtcp_session_open(&stream->session, &so, now);
    if (status == 0) {
        rtcp_keyring_hold(&endpoint->keys, so.shared);
        status = rtcp_registry_add(&endpoint->registry, &stream->session);
    }
    if (status < 0) {
        rtcp_stream_free(stream);
        return status;
    }
    rtcp_stream_pump(stream, now);
    *ret_stream = stream;
    return 0;
}

int rtcp_connect(struct rtcp_endpoint *endpoint, const char *address, const struct rtcp_stream_options *options,
                 const struct rtcp_stream_callbacks *callbacks, void *user, struct rtcp_stream **ret_stream)
{
    struct rtcp_address server[RTCP_ADDRESSES_MAX];
    struct rtcp_stream_options defaults;
    int count;

    rtcp_stream_options_default(&defaults);
    options = options == NULL ? &defaults : options;
    count = rtcp_stream_options_check(options);
    if (count == 0) {
        count = rtcp_address_look_up(address, AI_NUMERICHOST, server); /* names are looked up by the attempt */
        count = count == BASE_E_NOTFOUND || count == BASE_E_AGAIN ? 0 : count;
    }
    return count < 0 ? count
                     : rtcp_stream_connect(endpoint, server, count, rtcp_address_has_names(address) ? address : "",
                                           options, callbacks, user, ret_stream);
}

void rtcp_stream_set_callbacks(struct rtcp_stream *stream, const struct rtcp_stream_callbacks *callbacks, void *user)
{
    stream->callbacks = *callbacks;
    stream->user = user;
    stream->is_paused = false;
    if (stream->live != NULL) {
        rtcp_link_unpause(stream->live);
    }
    if (rtcp_stream_has_more(stream)) {
        rtcp_stream_report(stream, RTCP_REPORT_READABLE);
    }
}

void rtcp_stream_set_user(struct rtcp_stream *stream, void *user)
{
    stream->user = user;
}

bool rtcp_stream_may_wait(struct rtcp_stream *stream, base_time now)
{
    const struct rtcp_session *s = &stream->session;

    if (stream->coalesce == 0 || stream->live == NULL || s->out.upto - s->written >= RTCP_COALESCE_UPTO ||
        s->out.upto == s->written) {
        return false;
    }
    if (stream->flush_at == 0) {
        stream->flush_at = now + stream->coalesce;
    }
    return now < stream->flush_at;
}

/* Nothing is to be said, and the timer looks soon enough for all that bytes can make due. */
static bool is_calm(const struct rtcp_stream *stream, base_time now)
{
    return stream->session.pending_count == 0 && stream->is_armed && stream->armed <= now + RTCP_PROBE_FIRST;
}

/* Bytes of a long burst wait for the end of the turn: whoever ends it writes them. */
static bool wait_for_turn(struct rtcp_stream *stream)
{
    const struct rtcp_session *s = &stream->session;

    if (stream->live == NULL || s->pending_count > 0 ||
        !rtcp_burst_may_wait(&stream->burst, stream->endpoint->turns, s->out.upto - s->written, s->out.size)) {
        return false;
    }
    stream->burst.waits = true;
    rtcp_endpoint_make_ready(stream);
    return true;
}

/* After bytes were taken in: write them now, look at timers only when something is to be said. */
static void push(struct rtcp_stream *stream, base_time now)
{
    bool is_first = stream->flush_at == 0;

    if (wait_for_turn(stream)) {
        return;
    }
    stream->burst.waits = false;
    if (stream->session.pending_count == 0 && rtcp_stream_may_wait(stream, now)) {
        if (is_first) {
            rtcp_stream_arm(stream, now);
        }
        return;
    }
    stream->flush_at = 0;
    if (stream->live != NULL && is_calm(stream, now)) {
        if (ev_is_active(&stream->live->writer) || rtcp_link_flush(stream->live, now)) {
            return;
        }
    }
    rtcp_stream_pump(stream, now);
}

void rtcp_flush(struct rtcp_stream *stream)
{
    if (stream->flush_at != 0 || stream->burst.waits) {
        stream->flush_at = 0;
        rtcp_stream_pump(stream, base_clock_now());
    }
}

/* How many of `size` bytes may go to the kernel before the ring has them, from the caller's memory: the ring's may have
 * left the cache, and the peer is at work while they are kept. */
static size_t passing(const struct rtcp_stream *stream, size_t size)
{
    if (stream->live == NULL || !rtcp_link_is_free(stream->live) || stream->coalesce != 0 || !stream->no_pages ||
        rtcp_burst_may_wait(&stream->burst, stream->endpoint->turns, size, stream->session.out.size)) {
        return 0;
    }
    return rtcp_session_passing(&stream->session, stream->live->attempt, size);
}

/* To the kernel first, then into the ring: all that `passing` allowed. */
static int64_t pass_on(struct rtcp_stream *stream, base_time now, struct base_bytes bytes)
{
    int64_t taken = rtcp_link_pass(stream->live, bytes.data, bytes.size);
    int64_t n = rtcp_session_append(&stream->session, now, bytes);

    CHECK(n == (int64_t)bytes.size); /* nothing came in between: it fits as it did before */
    rtcp_link_passed(stream->live, now, taken, bytes.size);
    return n;
}

int64_t rtcp_send(struct rtcp_stream *stream, const void *data, size_t size)
{
    base_time now = stream->coalesce == 0 ? rtcp_endpoint_lately(stream->endpoint) : base_clock_now();
    size_t pass;
    int64_t n;

    rtcp_session_grow(&stream->session, now, size);
    pass = passing(stream, size);
    n = pass > 0 ? pass_on(stream, now, (struct base_bytes){data, pass})
                 : rtcp_session_append(&stream->session, now, (struct base_bytes){data, size});
    if (pass == 0 || !is_calm(stream, now)) {
        push(stream, now);
    }
    rtcp_burst_took(&stream->burst, stream->endpoint->turns, n > 0 ? (size_t)n : 0);
    return n;
}

int rtcp_reserve(struct rtcp_stream *stream, struct base_span *ret_room)
{
    base_time now = base_clock_now();
    int status;

    rtcp_session_grow(&stream->session, now, 1);
    status = rtcp_session_reserve(&stream->session, now, ret_room);
    if (status < 0) {
        push(stream, now);
    }
    return status;
}

int rtcp_commit(struct rtcp_stream *stream, size_t size)
{
    base_time now = base_clock_now();
    int status = rtcp_session_commit(&stream->session, now, size);

    if (status == 0) {
        push(stream, now);
        rtcp_burst_took(&stream->burst, stream->endpoint->turns, size);
    }
    return status;
}

size_t rtcp_room(const struct rtcp_stream *stream)
{
    return rtcp_session_room(&stream->session, base_clock_now());
}

/* Reads from the live connection; the end and breaks are the session's to judge. */
static int64_t take_live(struct rtcp_stream *stream, void *data, size_t size)
{
    struct rtcp_session *s = &stream->session;
    base_time now;
    int64_t n;

    if (s->life == RTCP_LIFE_DEAD) {
        return BASE_E_CLOSED;
    }
    if (s->path != RTCP_PATH_ATTACHED || stream->live == NULL || stream->live->state != RTCP_LINK_STREAM ||
        (stream->held_until_confirmed && !s->is_confirmed)) {
        return BASE_E_AGAIN;
    }
    now = rtcp_endpoint_lately(stream->endpoint);
    n = rtcp_link_read(stream->live, now, data, size);
    if ((n <= 0 && n != BASE_E_AGAIN) || s->pending_count > 0) {
        rtcp_stream_pump(stream, now);
    }
    if (n == BASE_E_CLOSED) {
        return rtcp_session_is_at_end(s) ? 0 : BASE_E_AGAIN;
    }
    return n;
}

int64_t rtcp_recv(struct rtcp_stream *stream, void *data, size_t size)
{
    struct rtcp_session *s = &stream->session;
    int64_t n;

    if (size == 0) {
        return BASE_E_INVALID;
    }
    if (s->closed) {
        return BASE_E_CLOSED;
    }
    if (stream->flush_at != 0) {
        rtcp_flush(stream); /* whoever reads may wait for the answer; a burst is sent before anybody can wait */
    }
    stream->did_recv = true;
    if (stream->is_paused) {
        stream->is_paused = false;
        if (stream->live != NULL) {
            rtcp_link_unpause(stream->live);
        }
    }
    if (stream->waiting_size > stream->waiting_at) {
        n = (int64_t)rtcp_stream_take_waiting(stream, data, size);
    } else if (rtcp_session_is_at_end(s)) {
        n = 0;
    } else {
        n = take_live(stream, data, size);
    }
    if (n == 0) {
        stream->end_told = true;
    } else if (n > 0 && rtcp_stream_has_more(stream)) {
        rtcp_stream_report(stream, RTCP_REPORT_READABLE); /* no event of the kernel will tell it */
    }
    return n;
}

int rtcp_shutdown(struct rtcp_stream *stream)
{
    base_time now = base_clock_now();
    int status = rtcp_session_shutdown(&stream->session, now);

    rtcp_stream_pump(stream, now);
    return status;
}

void rtcp_stream_close(struct rtcp_stream *stream, bool is_abort, base_time deadline, bool for_ever)
{
    const struct rtcp_draining *drain = &stream->endpoint->drain;
    base_time now = base_clock_now();

    deadline = drain->is_on ? base_time_min(deadline, drain->deadline) : deadline; /* no stream outlasts it */
    rtcp_session_linger(&stream->session, deadline, for_ever);
    rtcp_session_close(&stream->session, now, is_abort);
    if (stream->live != NULL) {
        rtcp_link_pause(stream->live); /* nobody reads any more */
    }
    rtcp_stream_pump(stream, now);
}

void rtcp_close(struct rtcp_stream *stream, enum rtcp_linger linger)
{
    rtcp_stream_close(stream, linger == RTCP_LINGER_ABORT, BASE_NEVER, linger == RTCP_LINGER_FOREVER);
}

void rtcp_close_within(struct rtcp_stream *stream, base_time span)
{
    rtcp_stream_close(stream, false, base_time_add(base_clock_now(), span), false);
}

int rtcp_passivate(struct rtcp_stream *stream)
{
    base_time now = base_clock_now();
    int status;

    if (stream->live != NULL) {
        rtcp_link_observe(stream->live, now);
    }
    status = rtcp_session_passivate(&stream->session, now);
    rtcp_stream_pump(stream, now);
    return status;
}

int rtcp_replace(struct rtcp_stream *stream)
{
    base_time now = base_clock_now();
    int status = rtcp_session_replace(&stream->session, now);

    rtcp_stream_pump(stream, now);
    return status;
}

void rtcp_set_probe_data(struct rtcp_stream *stream, const uint8_t data[RTCP_PROBE_DATA_SIZE])
{
    base_time now = base_clock_now();

    rtcp_session_set_probe_data(&stream->session, now, data);
    rtcp_stream_pump(stream, now);
}

static enum rtcp_state state_of(const struct rtcp_session *s)
{
    if (s->life == RTCP_LIFE_DEAD) {
        return RTCP_DEAD;
    }
    if (s->life == RTCP_LIFE_CLOSING) {
        return RTCP_CLOSING;
    }
    if (s->life == RTCP_LIFE_OPENING) {
        return RTCP_OPENING;
    }
    if (s->is_passive) {
        return RTCP_PASSIVE;
    }
    return s->path == RTCP_PATH_DETACHED ? RTCP_DETACHED : RTCP_ATTACHED;
}

void rtcp_info(const struct rtcp_stream *stream, struct rtcp_info *ret_info)
{
    const struct rtcp_session *s = &stream->session;
    base_time now = base_clock_now();

    *ret_info = (struct rtcp_info){
        .unacknowledged = s->out.upto - s->out.first,
        .oldest_unacknowledged = rtcp_age_of(&s->age, now),
        .blocked_send = s->full_since != 0 ? base_time_since(now, s->full_since) : 0,
        .blocked_receive = base_time_since(now, s->received_at),
        .state = state_of(s),
        .is_client = s->opt.is_client,
        .is_confirmed = s->is_confirmed,
        .sent = s->out.upto - s->opt.first_offset,
        .received = s->received - s->opt.first_offset - (stream->waiting_size - stream->waiting_at),
        .repeated = s->repeated,
        .connections = s->connections,
        .attempt = s->attempt,
        .disconnected = s->path == RTCP_PATH_DETACHED ? base_time_since(now, s->detached_at) : 0,
        .round_trip = s->route != NULL ? s->route->round_trip : 0,
        .silent = base_time_since(now, s->heard_at),
        .evidence = (enum rtcp_evidence)s->evidence,
        .peer_incarnation = s->peer_incarnation,
        .ring = (uint32_t)s->out.size,
        .ring_max = (uint32_t)s->out.most,
        .id = s->cid,
    };
}

const char *rtcp_peer_address(const struct rtcp_stream *stream)
{
    return stream->peer_text;
}
