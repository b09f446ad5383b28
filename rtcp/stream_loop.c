/* One stream of the event-driven face: its birth and end, its turns and its timer, its user's callbacks. See
 * inside_loop.h.
 *
 * Must never know: the protocol. Every decision is the session's.
 */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

#include <stddef.h>
#include <stdlib.h>

static_assert(offsetof(struct rtcp_stream, session) == 0, "a session of the registry is the stream it belongs to");

static void on_timer(struct ev_loop *loop, ev_timer *w, int events);

/* ------------------------------------------------------------------------------------------------ birth and end */

struct rtcp_stream *rtcp_stream_new(struct rtcp_endpoint *endpoint, const struct rtcp_stream_callbacks *callbacks,
                                    void *user)
{
    struct rtcp_stream *stream = calloc(1, sizeof *stream);

    if (stream == NULL) {
        return NULL;
    }
    stream->endpoint = endpoint;
    if (callbacks != NULL) {
        stream->callbacks = *callbacks;
    }
    stream->user = user;
    ev_init(&stream->timer, on_timer);
    stream->timer.data = stream;
    stream->next = endpoint->streams;
    if (endpoint->streams != NULL) {
        endpoint->streams->prev = stream;
    }
    endpoint->streams = stream;
    endpoint->stats.sessions++;
    return stream;
}

void rtcp_stream_drop_links(struct rtcp_stream *stream)
{
    if (stream->live != NULL) {
        rtcp_link_close(stream->live, false);
        stream->live = NULL;
    }
    if (stream->trying != NULL) {
        rtcp_link_close(stream->trying, false);
        stream->trying = NULL;
    }
    rtcp_dial_stop(stream);
}

static void stop_proving(struct rtcp_stream *stream)
{
    if (stream->is_proving) {
        stream->is_proving = false;
        stream->endpoint->proving--;
    }
}

void rtcp_stream_free(struct rtcp_stream *stream)
{
    struct rtcp_endpoint *e = stream->endpoint;

    rtcp_stream_drop_links(stream);
    rtcp_dial_free(stream);
    if (stream->share != NULL) {
        rtcp_shared_link_end(stream);
    }
    ev_timer_stop(e->loop, &stream->timer);
    stop_proving(stream);
    if (stream->has_promise) {
        rtcp_registry_release(&e->registry);
    }
    if (stream->session.opt.id != 0) {
        rtcp_registry_bury(&e->registry, &stream->session, false);
    }
    rtcp_routes_leave(stream);
    if (stream->session.opt.shared != NULL) {
        rtcp_keyring_release(&e->keys, stream->session.opt.shared);
    }
    rtcp_session_deinit(&stream->session);
    if (stream->listener != NULL) {
        stream->listener->streams--;
        rtcp_listener_release(stream->listener);
    }
    if (stream->prev != NULL) {
        stream->prev->next = stream->next;
    } else {
        e->streams = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->prev = stream->prev;
    }
    e->stats.sessions--;
    free(stream->waiting);
    free(stream);
}

/* ------------------------------------------------------------------------------------------------ turns */

void rtcp_stream_arm(struct rtcp_stream *stream, base_time now)
{
    struct ev_loop *loop = stream->endpoint->loop;
    base_time at = rtcp_session_deadline(&stream->session);

    if (stream->flush_at != 0) {
        at = base_time_min(at, stream->flush_at);
    }
    if (at == BASE_NEVER || (stream->is_armed && stream->armed <= at)) {
        return; /* an early timer looks again: cheaper than moving it with every byte */
    }
    stream->armed = at;
    stream->is_armed = true;
    ev_timer_stop(loop, &stream->timer);
    ev_timer_set(&stream->timer, (double)base_time_since(at, now) / 1e9, 0.);
    ev_timer_start(loop, &stream->timer);
}

/* The first sign that the client knows: bytes that were held may be read, and no tombstone need be kept for them. */
static void settle_confirmation(struct rtcp_stream *stream)
{
    if (stream->session.life != RTCP_LIFE_OPENING) {
        stop_proving(stream);
    }
    if (!stream->session.is_confirmed) {
        return;
    }
    if (stream->has_promise) {
        stream->has_promise = false;
        rtcp_registry_release(&stream->endpoint->registry);
    }
    if (stream->held_until_confirmed) {
        stream->held_until_confirmed = false;
        if (stream->live != NULL && !stream->is_paused) {
            rtcp_link_unpause(stream->live);
        }
        rtcp_stream_report(stream, RTCP_REPORT_READABLE);
    }
}

/* The answers to one datagram share one: whoever handles it sends them in the end. So do messages that become due in
 * the same turn of the loop: thousands of streams that ask at once would overrun the peer's port, each in a datagram.
 */
static void flush_datagram(struct rtcp_stream *stream, bool is_urgent)
{
    if ((stream->endpoint->source == NULL && !stream->endpoint->is_gathering) || is_urgent) {
        rtcp_control_flush(stream->endpoint);
    }
}

void rtcp_stream_pump(struct rtcp_stream *stream, base_time now)
{
    struct rtcp_effect e;

    while (rtcp_session_poll(&stream->session, &e)) {
        rtcp_effect_perform(stream, &e, now);
    }
    settle_confirmation(stream);
    flush_datagram(stream, rtcp_session_is_fin_due(&stream->session)); /* a HALF_CLOSE or CLOSE goes before the FIN */
    if (stream->share == NULL || stream->flush_at <= now) {
        stream->flush_at = 0; /* what threads wrote keeps its time: this may be their call to arm the timer */
    }
    stream->burst.waits = false;
    if (stream->live != NULL && stream->live->state == RTCP_LINK_STREAM && !ev_is_active(&stream->live->writer)) {
        if (!rtcp_link_flush(stream->live, now)) {
            while (rtcp_session_poll(&stream->session, &e)) {
                rtcp_effect_perform(stream, &e, now);
            }
        }
    }
    flush_datagram(stream, false);
    rtcp_stream_arm(stream, now);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rtcp_stream *stream = w->data;
    base_time now = rtcp_endpoint_now(stream->endpoint);

    (void)loop;
    (void)events;
    stream->is_armed = false;
    stream->endpoint->is_gathering = true;
    if (rtcp_session_deadline(&stream->session) <= now) {
        if (stream->live != NULL) {
            rtcp_link_observe(stream->live, now);
        }
        rtcp_session_expire(&stream->session, now);
        if (stream->share == NULL || rtcp_shared_link_is_quiet(stream)) {
            rtcp_session_rest(&stream->session);
        }
    }
    rtcp_stream_pump(stream, now);
    rtcp_endpoint_turn(stream->endpoint);
}

/* ------------------------------------------------------------------------------------------------ waiting bytes */

bool rtcp_stream_waiting_room(struct rtcp_stream *stream, size_t size)
{
    uint8_t *more;

    if (stream->waiting_at > 0) {
        base_move(stream->waiting, stream->waiting + stream->waiting_at, stream->waiting_size - stream->waiting_at);
        stream->waiting_size -= stream->waiting_at;
        stream->waiting_at = 0;
    }
    if (stream->waiting_size + size <= stream->waiting_room) {
        return true;
    }
    more = realloc(stream->waiting, stream->waiting_size + size);
    if (more == NULL) {
        return false;
    }
    stream->waiting = more;
    stream->waiting_room = stream->waiting_size + size;
    return true;
}

size_t rtcp_stream_take_waiting(struct rtcp_stream *stream, void *data, size_t size)
{
    size_t held = stream->waiting_size - stream->waiting_at;

    size = size < held ? size : held;
    base_copy(data, stream->waiting + stream->waiting_at, size);
    stream->waiting_at += size;
    if (stream->waiting_at == stream->waiting_size) {
        free(stream->waiting);
        stream->waiting = NULL;
        stream->waiting_size = stream->waiting_at = stream->waiting_room = 0;
    }
    return size;
}

/* ------------------------------------------------------------------------------------------------ callbacks */

void rtcp_stream_report(struct rtcp_stream *stream, enum rtcp_report report)
{
    stream->reports |= (unsigned)report;
    rtcp_endpoint_make_ready(stream);
}

/* Something can be read without another event of the kernel: bytes that were taken out, or the end. */
bool rtcp_stream_has_more(const struct rtcp_stream *stream)
{
    return stream->waiting_size > stream->waiting_at || (rtcp_session_is_at_end(&stream->session) && !stream->end_told);
}

static void call_readable(struct rtcp_stream *stream)
{
    if (stream->session.closed || stream->end_told || stream->is_paused || stream->callbacks.on_readable == NULL ||
        (stream->held_until_confirmed && !stream->session.is_confirmed)) {
        return;
    }
    stream->did_recv = false;
    stream->callbacks.on_readable(stream->user, stream);
    if (!stream->did_recv) {
        stream->is_paused = true;
        if (stream->live != NULL) {
            rtcp_link_pause(stream->live);
        }
    }
}

void rtcp_stream_readable(struct rtcp_stream *stream)
{
    if (stream->end_told || (stream->held_until_confirmed && !stream->session.is_confirmed)) {
        rtcp_link_pause(stream->live); /* only the FIN is left in it; or the confirmation comes first */
        return;
    }
    if (stream->callbacks.on_readable == NULL || stream->session.closed) {
        rtcp_link_pause(stream->live);
        stream->is_paused = true;
        return;
    }
    rtcp_stream_report(stream, RTCP_REPORT_READABLE);
}

/* Takes a report off; false when it does not wait, or when the user gave the stream up and wants no more of them. */
static bool take(struct rtcp_stream *stream, enum rtcp_report report)
{
    bool is_set = (stream->reports & (unsigned)report) != 0;

    stream->reports &= ~(unsigned)report;
    return is_set && !stream->session.closed;
}

/* Ends come last: what the peer said on other streams before it ended this one is told first, although this one may
 * have become ready before them (its connection broke). True: it takes its turn once more, behind them. */
static bool lets_others_go_first(struct rtcp_stream *stream)
{
    if (stream->is_end_put_off || stream->endpoint->ready_first == NULL) {
        return false;
    }
    stream->is_end_put_off = true;
    rtcp_endpoint_make_ready(stream);
    return true;
}

bool rtcp_stream_run_callbacks(struct rtcp_stream *stream)
{
    const struct rtcp_stream_callbacks *c = &stream->callbacks;

    if (take(stream, RTCP_REPORT_ACCEPTED)) {
        if (stream->listener->on_accept != NULL && stream->listener->is_open && !stream->endpoint->drain.is_on) {
            stream->listener->on_accept(stream->listener->user, stream->listener, stream);
        } else {
            rtcp_close(stream, RTCP_LINGER_ABORT); /* the listener was closed meanwhile: nobody will ever hold it */
        }
    }
    if (stream->share != NULL) {
        return rtcp_shared_link_run(stream);
    }
    if (take(stream, RTCP_REPORT_EVIDENCE) && c->on_evidence != NULL) {
        c->on_evidence(stream->user, stream, (enum rtcp_evidence)stream->evidence);
    }
    if (take(stream, RTCP_REPORT_LINK) && c->on_link != NULL) {
        c->on_link(stream->user, stream, stream->link_up);
    }
    if (take(stream, RTCP_REPORT_PROBE_DATA) && c->on_probe_data != NULL) {
        c->on_probe_data(stream->user, stream, stream->probe_data);
    }
    if (take(stream, RTCP_REPORT_READABLE)) {
        call_readable(stream);
    }
    if (take(stream, RTCP_REPORT_WRITABLE) && c->on_writable != NULL) {
        c->on_writable(stream->user, stream);
    }
    if ((stream->reports & RTCP_REPORT_CLOSED) == 0 || stream->is_ready) {
        return false; /* made ready again by one of these callbacks: its turn comes once more */
    }
    if (lets_others_go_first(stream)) {
        return false;
    }
    stream->is_ready = true; /* not to be queued any more, whatever is called from on_closed */
    if (stream->session.was_accepted || stream->session.opt.is_client) {
        if (c->on_closed != NULL) {
            c->on_closed(stream->user, stream, stream->closed_status,
                         stream->session.out.upto - stream->session.out.first);
        }
    }
    rtcp_stream_free(stream);
    return true;
}
