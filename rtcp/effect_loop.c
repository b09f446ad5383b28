/* What the session of a stream asks for, done: connections, handshakes, control messages, reports. See inside_loop.h.
 *
 * Must never know: why. Every decision is the session's.
 */
#include "rtcp/base/check.h"
#include "rtcp/inside_loop.h"

#include <stdlib.h>

static struct rtcp_link *link_of(struct rtcp_stream *stream, uint32_t attempt)
{
    if (stream->trying != NULL && stream->trying->attempt == attempt) {
        return stream->trying;
    }
    return stream->live != NULL && stream->live->attempt == attempt ? stream->live : NULL;
}

static void perform_connect(struct rtcp_stream *stream, uint32_t attempt, base_time now)
{
    CHECK(stream->trying == NULL);
    rtcp_dial_begin(stream, attempt, now);
}

static void perform_greet(struct rtcp_stream *stream, struct rtcp_effect *e)
{
    struct rtcp_link *link = link_of(stream, e->attempt);

    if (link != NULL) {
        uint8_t via = rtcp_control_via(stream->endpoint, link);

        rtcp_session_sign(&stream->session, e, stream->endpoint->port[via].bound.port);
        rtcp_link_greet(link, e->bytes, e->size, e->early);
        if (stream->share != NULL) {
            rtcp_shared_link_greeted(stream);
        }
    }
}

static void perform_freeze(struct rtcp_stream *stream, uint32_t attempt, base_time now)
{
    struct rtcp_link *link = stream->live;
    bool is_whole = true;

    if (link == NULL || link->attempt != attempt || link->state != RTCP_LINK_STREAM) {
        return;
    }
    if (link->shared != NULL) {
        rtcp_shared_link_freeze(link);
        return;
    }
    for (;;) {
        size_t held = stream->waiting_size - stream->waiting_at;
        size_t may = rtcp_session_may_hold(&stream->session, held);
        size_t chunk = may < 16384 ? may : 16384;
        int64_t n;

        if (stream->session.path != RTCP_PATH_ATTACHED || stream->session.live != attempt || chunk == 0 ||
            stream->held_until_confirmed || !rtcp_stream_waiting_room(stream, chunk)) {
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
        link->is_corked = false;
        if (!stream->is_paused && !stream->session.closed) {
            rtcp_link_unpause(link);
        }
        (void)rtcp_link_flush(link, now);
    }
}

/* The way of control messages to who is at the other end of a connection. Who tells no port, or where there is no
 * memory for it, has none: the session goes on, its handshakes acknowledge. */
static struct rtcp_route *find_route(struct rtcp_stream *stream, const struct rtcp_link *link, base_time now)
{
    struct rtcp_session *s = &stream->session;
    struct rtcp_route *route = rtcp_routes_join(stream, &link->peer, now);
    struct rtcp_address told = link->peer;

    if (route != NULL && s->peer_udp_port != 0) {
        told.port = s->peer_udp_port;
        rtcp_route_told(route, &told, s->opt.is_client);
        rtcp_routes_moved(stream->endpoint, route);
        route->via = rtcp_control_via(stream->endpoint, link);
    }
    rtcp_session_routed(s, now, route);
    return route;
}

static void perform_attach(struct rtcp_stream *stream, const struct rtcp_effect *e, base_time now)
{
    struct rtcp_session *s = &stream->session;
    struct rtcp_link *link = link_of(stream, e->attempt);
    struct rtcp_route *route;

    if (link == NULL) {
        return;
    }
    CHECK(stream->live == NULL || stream->live == link);
    stream->live = link;
    stream->endpoint->stats.resumes += s->connections > 1;
    if (stream->trying == link) {
        stream->trying = NULL;
    }
    route = find_route(stream, link, now);
    if (s->opt.is_client && route != NULL && route->is_new) {
        route->is_new = false;
        rtcp_session_ask(s, now, true); /* a CONTROL connection stands in for UDP, which may be back */
    } else if (s->opt.is_client && route != NULL && route->is_deaf) {
        rtcp_session_ask(s, now, false); /* UDP was given up, and nothing stands in for it yet */
    }
    if (s->opt.is_client) {
        rtcp_dial_attached(stream, link);
    }
    rtcp_link_attach(link, e->size > 0 ? e->bytes : NULL);
    if (route != NULL && s->opt.is_client && route->is_deaf) {
        rtcp_courier_want(stream, now);
    }
}

static void perform_drop(struct rtcp_stream *stream, const struct rtcp_effect *e)
{
    if (rtcp_dial_is_on(stream, e->attempt)) {
        rtcp_dial_stop(stream);
    } else if (stream->trying != NULL && stream->trying->attempt == e->attempt) {
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
        to.via = route->via;
    }
    if (endpoint->source != NULL && rtcp_address_equal(&to.peer, &endpoint->source->peer)) {
        to.local = endpoint->source->local; /* one datagram holds it and the answers */
    }
    if (to.peer.family != 0) {
        rtcp_control_send(endpoint, &to, e->bytes, e->size);
    }
}

static void perform_closed(struct rtcp_stream *stream, int status)
{
    rtcp_stream_drop_links(stream);
    ev_timer_stop(stream->endpoint->loop, &stream->timer);
    stream->is_armed = false;
    stream->closed_status = status == BASE_E_REFUSED && rtcp_dial_is_unknown(stream) ? BASE_E_NOTFOUND : status;
    stream->endpoint->stats.expired += status == BASE_E_EXPIRED ? 1 : 0;
    stream->endpoint->stats.bytes_lost += stream->session.out.upto - stream->session.out.first;
    rtcp_registry_bury(&stream->endpoint->registry, &stream->session, true);
    rtcp_stream_report(stream, RTCP_REPORT_CLOSED);
}

void rtcp_effect_perform(struct rtcp_stream *stream, struct rtcp_effect *e, base_time now)
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
    case RTCP_EFFECT_COURIER:
        rtcp_courier_want(stream, now);
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
        rtcp_routes_hint(stream->session.route, stream, RTCP_EVIDENCE_UNKNOWN, now);
        break;
    case RTCP_EFFECT_CLOSED:
        perform_closed(stream, e->status);
        break;
    }
}
