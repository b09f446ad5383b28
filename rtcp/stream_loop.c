/* One stream of the event-driven face: performs the effects of its session, calls its user back, implements the
 * stream's half of rtcp.h. See inside_loop.h.
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

static void drop_links(struct rtcp_stream *stream)
{
    if (stream->live != NULL) {
        rtcp_link_close(stream->live, false);
        stream->live = NULL;
    }
    if (stream->trying != NULL) {
        rtcp_link_close(stream->trying, false);
        stream->trying = NULL;
    }
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

    drop_links(stream);
    ev_timer_stop(e->loop, &stream->timer);
    stop_proving(stream);
    if (stream->has_promise) {
        rtcp_registry_release(&e->registry);
    }
    if (stream->session.opt.id != 0) {
        rtcp_registry_bury(&e->registry, &stream->session, false);
    }
    if (stream->session.route != NULL) {
        rtcp_endpoint_release_route(e, stream->session.route);
    }
    rtcp_session_deinit(&stream->session);
    if (stream->listener != NULL) {
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

/* ------------------------------------------------------------------------------------------------ effects */

static struct rtcp_link *link_of(struct rtcp_stream *stream, uint32_t attempt)
{
    if (stream->trying != NULL && stream->trying->attempt == attempt) {
        return stream->trying;
    }
    return stream->live != NULL && stream->live->attempt == attempt ? stream->live : NULL;
}

static void perform_connect(struct rtcp_stream *stream, uint32_t attempt, base_time now)
{
    const struct rtcp_address *to = &stream->server[(attempt - 1) % (uint32_t)stream->server_count];
    int evidence;

    CHECK(stream->trying == NULL);
    rtcp_address_print(to, stream->peer_text);
    if (rtcp_control_open(stream->endpoint, &(struct rtcp_address){.family = to->family}) < 0) {
        rtcp_session_broke(&stream->session, now, attempt, -1, "no control port to be had");
        return;
    }
    stream->trying = rtcp_link_connect(stream, attempt, to, &evidence);
    if (stream->trying == NULL) {
        rtcp_session_broke(&stream->session, now, attempt, evidence, "connecting failed at once");
    }
}

static void perform_greet(struct rtcp_stream *stream, struct rtcp_effect *e)
{
    struct rtcp_link *link = link_of(stream, e->attempt);

    if (link != NULL) {
        rtcp_session_sign(&stream->session, e, rtcp_control_port(stream->endpoint, link->peer.family));
        rtcp_link_greet(link, e->bytes, e->size, e->early);
    }
}

/* Room for the waiting buffer: everything taken out here needs no repetition, and survives a peer that exits. */
static bool make_waiting_room(struct rtcp_stream *stream, size_t size)
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

static void perform_freeze(struct rtcp_stream *stream, uint32_t attempt, base_time now)
{
    struct rtcp_link *link = stream->live;
    bool is_whole = true;

    if (link == NULL || link->attempt != attempt || link->state != RTCP_LINK_STREAM) {
        return;
    }
    for (;;) {
        size_t held = stream->waiting_size - stream->waiting_at;
        size_t may = rtcp_session_may_hold(&stream->session, held);
        size_t chunk = may < 16384 ? may : 16384;
        int64_t n;

        if (stream->session.path != RTCP_PATH_ATTACHED || stream->session.live != attempt || chunk == 0 ||
            stream->held_until_confirmed || !make_waiting_room(stream, chunk)) {
            break;
        }
        n = rtcp_link_read(link, now, stream->waiting + stream->waiting_size, chunk);
        if (n <= 0) {
            is_whole = n == BASE_E_AGAIN;
            break;
        }
        stream->waiting_size += (size_t)n;
        rtcp_stream_report(stream, RTCP_REPORT_READABLE);
    }
    if (stream->live == link && stream->session.live == attempt) {
        rtcp_link_freeze(link);
        rtcp_session_frozen(&stream->session, now, attempt, is_whole);
    }
}

static void perform_thaw(struct rtcp_stream *stream, uint32_t attempt, base_time now)
{
    struct rtcp_link *link = stream->live;

    if (link != NULL && link->attempt == attempt && link->state == RTCP_LINK_FROZEN) {
        link->state = RTCP_LINK_STREAM;
        if (!stream->is_paused && !stream->session.closed) {
            rtcp_link_unpause(link);
        }
        (void)rtcp_link_flush(link, now);
    }
}

static void perform_attach(struct rtcp_stream *stream, const struct rtcp_effect *e, base_time now)
{
    struct rtcp_endpoint *endpoint = stream->endpoint;
    struct rtcp_session *s = &stream->session;
    struct rtcp_link *link = link_of(stream, e->attempt);
    struct rtcp_route *route;
    struct rtcp_address told;

    if (link == NULL) {
        return;
    }
    CHECK(stream->live == NULL || stream->live == link);
    stream->live = link;
    if (stream->trying == link) {
        stream->trying = NULL;
    }
    if (s->route != NULL && s->route->key != rtcp_endpoint_route_key(s->peer_incarnation, &link->peer)) {
        rtcp_endpoint_release_route(endpoint, s->route);
        s->route = NULL;
    }
    route = s->route != NULL ? s->route : rtcp_endpoint_route(endpoint, s->peer_incarnation, &link->peer, now);
    if (route != NULL && s->peer_udp_port != 0) {
        told = link->peer;
        told.port = s->peer_udp_port;
        rtcp_route_told(route, &told, s->opt.is_client);
        rtcp_session_routed(s, now, route);
    }
    rtcp_link_attach(link, e->size > 0 ? e->bytes : NULL);
}

static void perform_drop(struct rtcp_stream *stream, const struct rtcp_effect *e)
{
    if (stream->trying != NULL && stream->trying->attempt == e->attempt) {
        rtcp_link_close(stream->trying, e->status == 1);
        stream->trying = NULL;
    } else if (stream->live != NULL && stream->live->attempt == e->attempt) {
        rtcp_link_close(stream->live, e->status == 1);
        stream->live = NULL;
    }
}

static void perform_message(struct rtcp_stream *stream, const struct rtcp_effect *e)
{
    struct rtcp_endpoint *endpoint = stream->endpoint;
    const struct rtcp_route *route = stream->session.route;
    struct rtcp_source to = {.local = {.family = 0}};

    if (e->to_source && endpoint->source != NULL) {
        to = *endpoint->source;
    } else if (route != NULL) {
        to.peer = e->kind == RTCP_EFFECT_PROBE_TO ? route->candidate : route->to;
    }
    if (to.peer.family != 0) {
        rtcp_control_send(endpoint, &to, e->bytes, e->size);
    }
}

static void perform_closed(struct rtcp_stream *stream, int status)
{
    drop_links(stream);
    ev_timer_stop(stream->endpoint->loop, &stream->timer);
    stream->is_armed = false;
    stream->closed_status = status;
    rtcp_registry_bury(&stream->endpoint->registry, &stream->session, true);
    rtcp_stream_report(stream, RTCP_REPORT_CLOSED);
}

static void perform(struct rtcp_stream *stream, struct rtcp_effect *e, base_time now)
{
    switch (e->kind) {
    case RTCP_EFFECT_CONNECT:
        perform_connect(stream, e->attempt, now);
        break;
    case RTCP_EFFECT_GREET:
        perform_greet(stream, e);
        break;
    case RTCP_EFFECT_FREEZE:
        perform_freeze(stream, e->attempt, now);
        break;
    case RTCP_EFFECT_THAW:
        perform_thaw(stream, e->attempt, now);
        break;
    case RTCP_EFFECT_ATTACH:
        perform_attach(stream, e, now);
        break;
    case RTCP_EFFECT_DROP:
        perform_drop(stream, e);
        break;
    case RTCP_EFFECT_MESSAGE:
    case RTCP_EFFECT_PROBE_TO:
        perform_message(stream, e);
        break;
    case RTCP_EFFECT_ACCEPTED:
        rtcp_stream_report(stream, RTCP_REPORT_ACCEPTED);
        break;
    case RTCP_EFFECT_LINK:
        stream->link_up = e->status == 1;
        rtcp_stream_report(stream, RTCP_REPORT_LINK);
        break;
    case RTCP_EFFECT_READABLE:
        rtcp_stream_report(stream, RTCP_REPORT_READABLE);
        break;
    case RTCP_EFFECT_WRITABLE:
        rtcp_stream_report(stream, RTCP_REPORT_WRITABLE);
        break;
    case RTCP_EFFECT_EVIDENCE:
        stream->evidence = e->status;
        rtcp_stream_report(stream, RTCP_REPORT_EVIDENCE);
        break;
    case RTCP_EFFECT_PROBE_DATA:
        base_copy(stream->probe_data, e->bytes, RTCP_PROBE_DATA_SIZE);
        rtcp_stream_report(stream, RTCP_REPORT_PROBE_DATA);
        break;
    case RTCP_EFFECT_PEER_GONE:
        rtcp_endpoint_hint(stream->endpoint, stream->session.route, stream, RTCP_EVIDENCE_UNKNOWN, now);
        break;
    case RTCP_EFFECT_CLOSED:
        perform_closed(stream, e->status);
        break;
    }
}

static void arm(struct rtcp_stream *stream, base_time now)
{
    struct ev_loop *loop = stream->endpoint->loop;
    base_time at = rtcp_session_deadline(&stream->session);

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

void rtcp_stream_pump(struct rtcp_stream *stream, base_time now)
{
    struct rtcp_effect e;

    while (rtcp_session_poll(&stream->session, &e)) {
        perform(stream, &e, now);
    }
    settle_confirmation(stream);
    rtcp_control_flush(stream->endpoint); /* a HALF_CLOSE or CLOSE goes before the FIN */
    if (stream->live != NULL && stream->live->state == RTCP_LINK_STREAM && !ev_is_active(&stream->live->writer)) {
        if (!rtcp_link_flush(stream->live, now)) {
            while (rtcp_session_poll(&stream->session, &e)) {
                perform(stream, &e, now);
            }
        }
    }
    rtcp_control_flush(stream->endpoint);
    arm(stream, now);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rtcp_stream *stream = w->data;
    base_time now = base_clock_now();

    (void)loop;
    (void)events;
    stream->is_armed = false;
    if (rtcp_session_deadline(&stream->session) <= now) {
        if (stream->live != NULL) {
            rtcp_link_observe(stream->live, now);
        }
        rtcp_session_expire(&stream->session, now);
    }
    rtcp_stream_pump(stream, now);
    rtcp_endpoint_turn(stream->endpoint);
}

/* ------------------------------------------------------------------------------------------------ callbacks */

void rtcp_stream_report(struct rtcp_stream *stream, enum rtcp_report report)
{
    stream->reports |= (unsigned)report;
    rtcp_endpoint_make_ready(stream);
}

/* Something can be read without another event of the kernel: bytes that were taken out, or the end. */
static bool has_more(const struct rtcp_stream *stream)
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

bool rtcp_stream_run_callbacks(struct rtcp_stream *stream)
{
    const struct rtcp_stream_callbacks *c = &stream->callbacks;

    if (take(stream, RTCP_REPORT_ACCEPTED)) {
        if (stream->listener->on_accept != NULL && stream->listener->is_open) {
            stream->listener->on_accept(stream->listener->user, stream->listener, stream);
        } else {
            rtcp_close(stream, RTCP_LINGER_ABORT); /* the listener was closed meanwhile: nobody will ever hold it */
        }
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

/* ------------------------------------------------------------------------------------------------ public */

void rtcp_stream_options_default(struct rtcp_stream_options *o)
{
    base_zero(o, sizeof *o);
    o->ring = RTCP_RING_DEFAULT;
    o->idle_probe = RTCP_PROBE_IDLE;
    o->linger_max = RTCP_LINGER_MAX;
}

static int check_options(const struct rtcp_stream_options *o)
{
    bool is_fine = o->ring >= RTCP_RING_MIN && o->ring <= RTCP_RING_MAX && o->idle_probe >= BASE_S(1) &&
                   o->linger_max > 0 && (o->service == NULL || strlen(o->service) <= RTCP_NAME_MAX);

    return is_fine ? 0 : BASE_E_RANGE;
}

int rtcp_connect(struct rtcp_endpoint *endpoint, const char *address, const struct rtcp_stream_options *options,
                 const struct rtcp_stream_callbacks *callbacks, void *user, struct rtcp_stream **ret_stream)
{
    struct rtcp_address server[RTCP_ADDRESSES_MAX];
    struct rtcp_stream_options defaults;
    struct rtcp_session_options so;
    struct rtcp_stream *stream;
    base_time now = base_clock_now();
    int count;
    int status;

    rtcp_stream_options_default(&defaults);
    options = options == NULL ? &defaults : options;
    status = check_options(options);
    count = status < 0 ? status : rtcp_address_parse(address, false, server);
    if (count < 0) {
        return count;
    }
    if (endpoint->stats.sessions >= endpoint->options.streams_max) {
        return BASE_E_RANGE;
    }
    stream = rtcp_stream_new(endpoint, callbacks, user);
    if (stream == NULL) {
        return BASE_E_NOMEM;
    }
    base_copy(stream->server, server, sizeof server);
    stream->server_count = count;
    rtcp_endpoint_session_options(endpoint, options, &so);
    so.is_client = true;
    so.addresses = (uint32_t)count;
    so.retry_refused = options->retry_refused;
    so.may_send_early = !options->no_early_data && (!endpoint->shared.is_set || options->early_data_with_key);
    if (options->service != NULL) {
        so.name = rtcp_auth_name((struct base_bytes){(const uint8_t *)options->service, strlen(options->service)});
    }
    status = rtcp_session_open(&stream->session, &so, now);
    if (status == 0) {
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

void rtcp_stream_set_callbacks(struct rtcp_stream *stream, const struct rtcp_stream_callbacks *callbacks, void *user)
{
    stream->callbacks = *callbacks;
    stream->user = user;
    stream->is_paused = false;
    if (stream->live != NULL) {
        rtcp_link_unpause(stream->live);
    }
    if (has_more(stream)) {
        rtcp_stream_report(stream, RTCP_REPORT_READABLE);
    }
}

void rtcp_stream_set_user(struct rtcp_stream *stream, void *user)
{
    stream->user = user;
}

/* After bytes were taken in: write them now, look at timers only when something is to be said. */
static void push(struct rtcp_stream *stream, base_time now)
{
    if (stream->live != NULL && stream->session.pending_count == 0 && stream->is_armed &&
        stream->armed <= now + RTCP_PROBE_FIRST) {
        if (ev_is_active(&stream->live->writer) || rtcp_link_flush(stream->live, now)) {
            return;
        }
    }
    rtcp_stream_pump(stream, now);
}

int64_t rtcp_send(struct rtcp_stream *stream, const void *data, size_t size)
{
    base_time now = base_clock_now();
    int64_t n = rtcp_session_append(&stream->session, now, (struct base_bytes){data, size});

    push(stream, now);
    return n;
}

int rtcp_reserve(struct rtcp_stream *stream, struct base_span *ret_room)
{
    base_time now = base_clock_now();
    int status = rtcp_session_reserve(&stream->session, now, ret_room);

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
    }
    return status;
}

size_t rtcp_room(const struct rtcp_stream *stream)
{
    const struct rtcp_session *s = &stream->session;

    return s->shut || s->peer_closed || s->life == RTCP_LIFE_DEAD ? 0 : rtcp_outbox_room(&s->out);
}

static int64_t take_waiting(struct rtcp_stream *stream, void *data, size_t size)
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
    return (int64_t)size;
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
    now = base_clock_now();
    n = rtcp_link_read(stream->live, now, data, size);
    if (n <= 0 || s->pending_count > 0) {
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
    stream->did_recv = true;
    if (stream->is_paused) {
        stream->is_paused = false;
        if (stream->live != NULL) {
            rtcp_link_unpause(stream->live);
        }
    }
    if (stream->waiting_size > stream->waiting_at) {
        n = take_waiting(stream, data, size);
    } else if (rtcp_session_is_at_end(s)) {
        n = 0;
    } else {
        n = take_live(stream, data, size);
    }
    if (n == 0) {
        stream->end_told = true;
    } else if (n > 0 && has_more(stream)) {
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

void rtcp_close(struct rtcp_stream *stream, enum rtcp_linger linger)
{
    base_time now = base_clock_now();

    rtcp_session_close(&stream->session, now, linger == RTCP_LINGER_ABORT);
    if (stream->live != NULL) {
        rtcp_link_pause(stream->live); /* nobody reads any more */
    }
    rtcp_stream_pump(stream, now);
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
    return s->path == RTCP_PATH_DETACHED ? RTCP_DETACHED : RTCP_ATTACHED;
}

void rtcp_info(const struct rtcp_stream *stream, struct rtcp_info *ret_info)
{
    const struct rtcp_session *s = &stream->session;
    base_time now = base_clock_now();

    *ret_info = (struct rtcp_info){
        .unacknowledged = s->out.upto - s->out.first,
        .oldest_unacknowledged = s->out.upto > s->out.first ? base_time_since(now, s->oldest_at) : 0,
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
        .evidence = (enum rtcp_evidence)(s->evidence < 0 ? 0 : s->evidence),
        .peer_incarnation = s->peer_incarnation,
        .id = s->cid,
    };
}

const char *rtcp_peer_address(const struct rtcp_stream *stream)
{
    return stream->peer_text;
}
