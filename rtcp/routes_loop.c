/* The ways to peers: which routes an endpoint has, which streams take each, and which one leads to an address. See
 * inside_loop.h; what a route knows is route.h.
 *
 * An endpoint may have thousands of routes, each with one stream, or one with thousands. News concern one route:
 * whoever looked through all streams for each of them would be busy with nothing else when many peers are lost at once.
 *
 * Must never know: what control messages say.
 */
#include "rtcp/base/check.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

#include <sodium.h>
#include <stdlib.h>

int rtcp_routes_init(struct rtcp_endpoint *endpoint)
{
    int status = base_table_init(&endpoint->routes, base_memory_libc(), endpoint->options.streams_max);

    if (status == 0) {
        status = base_table_init(&endpoint->route_at, base_memory_libc(), endpoint->options.streams_max);
        if (status < 0) {
            base_table_deinit(&endpoint->routes);
        }
    }
    return status;
}

void rtcp_routes_salt(struct rtcp_endpoint *endpoint, uint64_t secret)
{
    base_table_salt(&endpoint->routes, secret);
    base_table_salt(&endpoint->route_at, secret);
    base_put64(endpoint->route_secret, secret);
    base_put64(endpoint->route_secret + 8, ~secret);
}

void rtcp_routes_deinit(struct rtcp_endpoint *endpoint)
{
    base_table_deinit(&endpoint->routes);
    base_table_deinit(&endpoint->route_at);
}

/* Clients choose their incarnations and addresses: without the endpoint's secret nobody finds some that lead to
 * another's route. */
static uint64_t key_of(const struct rtcp_endpoint *endpoint, uint64_t number, const struct rtcp_address *a)
{
    uint8_t text[8 + 1 + sizeof a->ip] = {0};
    uint8_t hash[crypto_shorthash_BYTES];

    base_put64(text, number);
    text[8] = a->family;
    base_copy(text + 9, a->ip, a->family == 6 ? 16 : 4);
    crypto_shorthash(hash, text, sizeof text, endpoint->route_secret);
    return base_get64(hash);
}

/* ------------------------------------------------------------------------------------------------ by address */

static uint64_t address_key(const struct rtcp_endpoint *endpoint, const struct rtcp_address *a)
{
    return key_of(endpoint, (uint64_t)a->scope << 16 | a->port, a);
}

static void unlist(struct rtcp_endpoint *endpoint, struct rtcp_route *route)
{
    if (route->listed.family != 0) {
        CHECK(base_table_take(&endpoint->route_at, address_key(endpoint, &route->listed)) == route);
        route->listed.family = 0;
    }
}

void rtcp_routes_moved(struct rtcp_endpoint *endpoint, struct rtcp_route *route)
{
    struct rtcp_route *former;
    uint64_t key;

    if (rtcp_address_equal(&route->listed, &route->to)) {
        return;
    }
    unlist(endpoint, route);
    if (route->to.family != 4 && route->to.family != 6) {
        return;
    }
    key = address_key(endpoint, &route->to);
    former = base_table_take(&endpoint->route_at, key); /* a former life of the peer, as a rule: this one was heard */
    if (former != NULL) {
        former->listed.family = 0;
    }
    if (base_table_put(&endpoint->route_at, key, route) == 0) {
        route->listed = route->to;
    }
}

struct rtcp_route *rtcp_routes_at(const struct rtcp_endpoint *endpoint, const struct rtcp_address *address)
{
    struct rtcp_route *route = base_table_get(&endpoint->route_at, address_key(endpoint, address));

    return route != NULL && rtcp_address_equal(&route->to, address) ? route : NULL;
}

/* ------------------------------------------------------------------------------------------------ who takes one */

static struct rtcp_route *get(struct rtcp_endpoint *endpoint, uint64_t key, uint64_t peer_incarnation, base_time now)
{
    struct rtcp_route *route = base_table_get(&endpoint->routes, key);

    if (route == NULL) {
        route = calloc(1, sizeof *route);
        if (route == NULL || base_table_put(&endpoint->routes, key, route) < 0) {
            free(route);
            return NULL; /* the session goes on without control messages: its handshakes acknowledge */
        }
        rtcp_route_init(route, peer_incarnation, now);
        route->key = key;
    }
    return route;
}

struct rtcp_route *rtcp_routes_join(struct rtcp_stream *stream, const struct rtcp_address *peer, base_time now)
{
    struct rtcp_session *s = &stream->session;
    uint64_t key = key_of(stream->endpoint, s->peer_incarnation, peer);
    struct rtcp_route *route;

    if (s->route != NULL && s->route->key == key) {
        return s->route;
    }
    rtcp_routes_leave(stream);
    route = s->peer_udp_port == 0 ? NULL : get(stream->endpoint, key, s->peer_incarnation, now);
    if (route != NULL) {
        route->users++;
        stream->prev_on_route = NULL;
        stream->next_on_route = route->streams;
        if (route->streams != NULL) {
            route->streams->prev_on_route = stream;
        }
        route->streams = stream;
    }
    return route;
}

void rtcp_routes_leave(struct rtcp_stream *stream)
{
    struct rtcp_route *route = stream->session.route;

    if (route == NULL) {
        return;
    }
    if (stream->prev_on_route != NULL) {
        stream->prev_on_route->next_on_route = stream->next_on_route;
    } else {
        route->streams = stream->next_on_route;
    }
    if (stream->next_on_route != NULL) {
        stream->next_on_route->prev_on_route = stream->prev_on_route;
    }
    stream->session.route = NULL;
    rtcp_routes_release(stream->endpoint, route);
}

void rtcp_routes_release(struct rtcp_endpoint *endpoint, struct rtcp_route *route)
{
    CHECK(route->users > 0);
    if (--route->users == 0) {
        unlist(endpoint, route);
        (void)base_table_take(&endpoint->routes, route->key);
        free(route);
    }
}

/* ------------------------------------------------------------------------------------------------ news of one */

void rtcp_routes_hint(struct rtcp_route *route, const struct rtcp_stream *except, int evidence, base_time now)
{
    if (route == NULL || (route->hinted == evidence && now < route->hinted_at + RTCP_HINT_GAP)) {
        return; /* one message for each of many sessions: they were told */
    }
    route->hinted = evidence;
    route->hinted_at = now;
    for (struct rtcp_stream *stream = route->streams; stream != NULL; stream = stream->next_on_route) {
        if (stream != except) {
            rtcp_session_hint(&stream->session, now, evidence);
            rtcp_endpoint_make_ready(stream); /* its effects are performed in the turn */
        }
    }
}

void rtcp_routes_doubt(const struct rtcp_route *route, base_time now)
{
    for (struct rtcp_stream *stream = route->streams; stream != NULL; stream = stream->next_on_route) {
        rtcp_session_doubt(&stream->session, now);
        if (stream->session.pending_count > 0) {
            rtcp_endpoint_make_ready(stream); /* its effects are performed in the turn */
        }
    }
}

void rtcp_routes_rerouted(const struct rtcp_route *route, base_time now)
{
    for (struct rtcp_stream *stream = route->streams; stream != NULL; stream = stream->next_on_route) {
        rtcp_session_rerouted(&stream->session, now);
        rtcp_endpoint_make_ready(stream); /* its effects are performed in the turn */
    }
}
