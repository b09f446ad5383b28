/* CONTROL connections: TCP connections that carry control messages where UDP does not get through (design 2.5;
 * PROTOCOL.md "CONTROL connections"). See inside_loop.h.
 *
 * A client dials one per route, in the name of one of its sessions; a server takes what comes with the tag of a session
 * it has. Either is just another way: every message is judged by its own tag, wherever it came from.
 *
 * Must never know: what the messages say.
 */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_ROOM 1024
#define READS     8     /* per event: a peer that floods must not keep the loop */
#define SEND_ROOM 16384 /* of the kernel: what is late is better lost (P72) */

enum courier_state {
    RESTING,    /* client: no connection now; the timer dials */
    CONNECTING, /* client: no SYN-ACK yet */
    ASKING,     /* client: the answer is being read */
    CARRYING,
    CLOSED, /* waits to be freed */
};

struct rtcp_courier {
    struct rtcp_endpoint *endpoint;
    struct rtcp_courier *next;
    struct rtcp_route *route; /* client: the one it serves; NULL on a server */
    struct rtcp_address peer; /* TCP */
    struct rtcp_address self; /* as control messages name it; another one each time it is dialled */
    enum courier_state state;
    int fd;
    ev_io reader, writer;
    ev_timer timer;
    base_time began_at;
    base_time heard_at; /* last authentic message on it */
    base_time spare_at; /* client: since when UDP answers again; 0: it does not */
    base_time unused_at;
    uint32_t asked_for; /* client: the session in whose name it was dialled */
    uint8_t nonce[RTCP_WIRE_NONCE];
    uint8_t in[READ_ROOM];
    size_t in_size;
    size_t junk; /* bytes since the last authentic message */
    uint8_t out[RTCP_COURIER_ROOM];
    size_t out_size;
};

static void note(const struct rtcp_courier *c, const char *what, const char *why)
{
    struct base_event e = {.at = base_clock_now(), .object = "courier", .name = what, .text = why};

    e.id = base_get32(c->self.ip);
    base_trace_emit(&c->endpoint->options.trace, &e);
}

/* ------------------------------------------------------------------------------------------------ watchers */

/* They never keep the loop running: what waits for a message keeps it. */
static void start_io(struct rtcp_courier *c, ev_io *w)
{
    if (!ev_is_active(w)) {
        ev_io_start(c->endpoint->loop, w);
        ev_unref(c->endpoint->loop);
    }
}

static void stop_io(struct rtcp_courier *c, ev_io *w)
{
    if (ev_is_active(w)) {
        ev_ref(c->endpoint->loop);
        ev_io_stop(c->endpoint->loop, w);
    }
}

static void drop_connection(struct rtcp_courier *c)
{
    if (c->fd >= 0) {
        stop_io(c, &c->reader);
        stop_io(c, &c->writer);
        close(c->fd);
        c->fd = -1;
    }
    c->in_size = c->out_size = c->junk = 0;
}

/* ------------------------------------------------------------------------------------------------ birth and end */

static void on_readable(struct ev_loop *loop, ev_io *w, int events);
static void on_writable(struct ev_loop *loop, ev_io *w, int events);
static void on_timer(struct ev_loop *loop, ev_timer *w, int events);

static struct rtcp_courier *courier_new(struct rtcp_endpoint *endpoint, const struct rtcp_address *peer)
{
    struct rtcp_courier *c = calloc(1, sizeof *c);

    if (c == NULL) {
        return NULL;
    }
    c->endpoint = endpoint;
    c->peer = *peer;
    c->fd = -1;
    c->heard_at = base_clock_now();
    c->self = rtcp_address_courier(++endpoint->courier_number);
    ev_init(&c->reader, on_readable);
    ev_init(&c->writer, on_writable);
    ev_init(&c->timer, on_timer);
    c->reader.data = c->writer.data = c->timer.data = c;
    c->next = endpoint->couriers;
    endpoint->couriers = c;
    endpoint->courier_count++;
    ev_timer_set(&c->timer, (double)RTCP_COURIER_PROBE / 1e9, (double)RTCP_COURIER_PROBE / 1e9);
    ev_timer_start(endpoint->loop, &c->timer);
    ev_unref(endpoint->loop);
    return c;
}

/* Routes that lead along a connection that is gone lead back to UDP. None leads along one that never carried: that may
 * be refused several times a second. */
static void forget_way(const struct rtcp_courier *c)
{
    struct rtcp_endpoint *endpoint = c->endpoint;
    struct rtcp_route *route;
    size_t cursor = 0;

    if (c->state != CARRYING) {
        return;
    }
    while ((route = base_table_next(&endpoint->routes, &cursor)) != NULL) {
        rtcp_route_lost(route, &c->self);
        rtcp_routes_moved(endpoint, route);
    }
}

static void courier_close(struct rtcp_courier *c, const char *why)
{
    struct rtcp_endpoint *e = c->endpoint;
    struct rtcp_courier **at = &e->couriers;

    if (c->state == CLOSED) {
        return;
    }
    note(c, "closed", why);
    drop_connection(c);
    ev_ref(e->loop);
    ev_timer_stop(e->loop, &c->timer);
    forget_way(c);
    c->state = CLOSED;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    e->courier_count--;
    c->next = e->closed_couriers;
    e->closed_couriers = c;
    if (c->route != NULL) {
        struct rtcp_route *route = c->route;

        c->route = NULL;
        route->courier = NULL;
        rtcp_routes_release(e, route);
    }
}

void rtcp_courier_free_closed(struct rtcp_endpoint *endpoint)
{
    while (endpoint->closed_couriers != NULL) {
        struct rtcp_courier *c = endpoint->closed_couriers;

        endpoint->closed_couriers = c->next;
        free(c);
    }
}

void rtcp_courier_close_all(struct rtcp_endpoint *endpoint)
{
    while (endpoint->couriers != NULL) {
        courier_close(endpoint->couriers, "the endpoint closes");
    }
    rtcp_courier_free_closed(endpoint);
}

void rtcp_courier_close_copies(const struct rtcp_endpoint *endpoint)
{
    for (const struct rtcp_courier *c = endpoint->couriers; c != NULL; c = c->next) {
        if (c->fd >= 0) {
            close(c->fd);
        }
    }
}

/* ------------------------------------------------------------------------------------------------ writing */

/* What a dead connection still holds is not needed, and must not keep memory and a port (P39). */
static void forget_bytes(struct rtcp_courier *c)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    if (c->fd >= 0) {
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
}

static void lose(struct rtcp_courier *c, const char *why)
{
    if (c->route == NULL) {
        courier_close(c, why);
        return;
    }
    note(c, "lost", why);
    forget_bytes(c);
    drop_connection(c);
    forget_way(c);
    c->state = RESTING; /* the timer dials again, where that is still wanted */
}

static void flush(struct rtcp_courier *c)
{
    while (c->out_size > 0) {
        ssize_t n = send(c->fd, c->out, c->out_size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            start_io(c, &c->writer);
            return;
        }
        if (n < 0) {
            lose(c, "writing failed");
            return;
        }
        base_move(c->out, c->out + n, c->out_size - (size_t)n);
        c->out_size -= (size_t)n;
    }
    stop_io(c, &c->writer);
}

static struct rtcp_courier *find(struct rtcp_endpoint *endpoint, const struct rtcp_address *self)
{
    struct rtcp_courier *c = endpoint->couriers;

    while (c != NULL && !rtcp_address_equal(&c->self, self)) {
        c = c->next;
    }
    return c;
}

void rtcp_courier_send(struct rtcp_endpoint *endpoint, const struct rtcp_address *to, const uint8_t *bytes, size_t size)
{
    struct rtcp_courier *c = find(endpoint, to);

    if (c == NULL || c->state != CARRYING || c->out_size + size > sizeof c->out) {
        return; /* lost, as a datagram may be: what matters is repeated */
    }
    base_copy(c->out + c->out_size, bytes, size);
    c->out_size += size;
    if (!ev_is_active(&c->writer)) {
        flush(c);
    }
}

void rtcp_courier_heard(struct rtcp_endpoint *endpoint, const struct rtcp_address *from, base_time now)
{
    struct rtcp_courier *c = find(endpoint, from);

    if (c != NULL) {
        c->heard_at = now;
        c->junk = 0;
    }
}

/* ------------------------------------------------------------------------------------------------ a client dials */

/* A session that uses the route and that the server has: one with a connection if there is any; NULL: none. */
static struct rtcp_stream *user_of(const struct rtcp_courier *c)
{
    struct rtcp_stream *any = NULL;

    for (struct rtcp_stream *s = c->route->streams; s != NULL; s = s->next_on_route) {
        if (s->session.life != RTCP_LIFE_DEAD && s->session.cid != 0) {
            any = s;
            if (s->session.path == RTCP_PATH_ATTACHED) {
                return s;
            }
        }
    }
    return any;
}

static void set_options(int fd)
{
    int room = SEND_ROOM;

    rtcp_link_no_delay(fd);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

static void dial(struct rtcp_courier *c, const struct rtcp_stream *user, base_time now)
{
    struct sockaddr_storage address;
    socklen_t size = rtcp_address_to_sock(&c->peer, &address);

    forget_bytes(c);
    drop_connection(c);
    c->state = RESTING;
    c->self = rtcp_address_courier(++c->endpoint->courier_number);
    c->began_at = now;
    c->asked_for = user->session.opt.id;
    c->fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        return; /* the timer tries again */
    }
    set_options(c->fd);
    if (connect(c->fd, (struct sockaddr *)&address, size) < 0 && errno != EINPROGRESS) {
        if (errno == ECONNREFUSED) {
            rtcp_routes_doubt(c->route, now);
        }
        drop_connection(c);
        return;
    }
    c->state = CONNECTING;
    ev_io_set(&c->reader, c->fd, EV_READ);
    ev_io_set(&c->writer, c->fd, EV_WRITE);
    start_io(c, &c->writer);
    note(c, "dials", NULL);
}

static void connected(struct rtcp_courier *c)
{
    const struct rtcp_session *s = rtcp_registry_find(&c->endpoint->registry, c->asked_for);
    socklen_t size = sizeof(int);
    int error = 0;

    stop_io(c, &c->writer);
    if (s == NULL || getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0) {
        if (s != NULL && error == ECONNREFUSED) {
            rtcp_routes_doubt(c->route, base_clock_now());
        }
        lose(c, "connecting failed");
        return;
    }
    randombytes_buf(c->nonce, sizeof c->nonce);
    rtcp_session_control_request(s, c->nonce, c->out);
    c->out_size = RTCP_WIRE_REQUEST;
    c->state = ASKING;
    start_io(c, &c->reader);
    flush(c);
}

/* UDP answers may have come back unnoticed: nothing asks while everything flows. */
static void try_direct(struct rtcp_courier *c, struct rtcp_stream *user, base_time now)
{
    rtcp_stream_pump(user, now); /* the way of what was asked before is chosen when it is polled */
    rtcp_route_try_direct(c->route, now);
    c->route->is_new = false;
    rtcp_session_ask(&user->session, now, true);
}

static void answered(struct rtcp_courier *c, size_t total, base_time now)
{
    const struct rtcp_session *s = rtcp_registry_find(&c->endpoint->registry, c->asked_for);
    struct rtcp_stream *user = user_of(c);

    if (s == NULL || user == NULL || !rtcp_session_is_control_answer(s, c->nonce, (struct base_bytes){c->in, total})) {
        rtcp_routes_doubt(c->route, now);
        lose(c, "refused, or another service answers");
        return;
    }
    c->in_size -= total;
    base_move(c->in, c->in + total, c->in_size);
    c->state = CARRYING;
    c->heard_at = now;
    note(c, "open", NULL);
    c->route->candidate = c->self;
    rtcp_session_ask(&user->session, now, true); /* its echo makes this the way */
    try_direct(c, user, now);
    rtcp_stream_pump(user, now);
}

void rtcp_courier_want(struct rtcp_stream *stream, base_time now)
{
    struct rtcp_endpoint *e = stream->endpoint;
    struct rtcp_route *route = stream->session.route;
    struct rtcp_courier *c;

    if (route == NULL || stream->live == NULL) {
        return;
    }
    route->is_deaf = true;
    c = route->courier;
    if (c == NULL && e->courier_count < RTCP_COURIERS_MAX) {
        c = courier_new(e, &stream->live->peer);
        if (c != NULL) {
            c->route = route;
            route->courier = c;
            route->users++;
            route->direct_at = now;
        }
    }
    if (c != NULL && c->state != CARRYING && now >= c->began_at + RTCP_PROBE_GAP) { /* a fresh SYN: the path is back */
        c->peer = stream->live->peer;
        dial(c, stream, now);
    }
}

/* What a client does each second with a connection that carries. */
static void keep_up(struct rtcp_courier *c, struct rtcp_stream *user, base_time now)
{
    if (now >= c->heard_at + RTCP_COURIER_SILENCE) {
        lose(c, "silent");
        return;
    }
    if (!rtcp_address_equal(&c->route->to, &c->self)) {
        c->route->candidate = c->self;
        rtcp_session_ask(&user->session, now, true);
    } else {
        rtcp_session_ask(&user->session, now, false);
        if (now >= c->route->direct_at + RTCP_COURIER_RETURN) {
            try_direct(c, user, now);
        }
    }
    rtcp_stream_pump(user, now);
}

/* Whether it is still of use; closes it otherwise. */
static bool is_needed(struct rtcp_courier *c, const struct rtcp_stream *user, base_time now)
{
    bool is_spare = !c->route->is_deaf && !rtcp_address_is_courier(&c->route->to);

    c->spare_at = !is_spare ? 0 : c->spare_at == 0 ? now : c->spare_at;
    c->unused_at = user != NULL ? 0 : c->unused_at == 0 ? now : c->unused_at;
    if (c->spare_at != 0 && now >= c->spare_at + RTCP_COURIER_SPARE) {
        courier_close(c, "UDP gets through again");
        return false;
    }
    if (c->unused_at != 0 && now >= c->unused_at + RTCP_COURIER_UNUSED) {
        courier_close(c, "no session needs it");
        return false;
    }
    return true;
}

static void tick_client(struct rtcp_courier *c, base_time now)
{
    struct rtcp_stream *user = user_of(c);

    if (!is_needed(c, user, now) || user == NULL) {
        return;
    }
    if (c->state == CARRYING) {
        keep_up(c, user, now);
    }
    if (c->state != CARRYING && now >= c->began_at + RTCP_COURIER_SILENCE && user->session.path == RTCP_PATH_ATTACHED &&
        c->spare_at == 0) {
        if (user->live != NULL) {
            c->peer = user->live->peer;
        }
        dial(c, user, now);
    }
}

/* ------------------------------------------------------------------------------------------------ a server takes */

static void make_room(struct rtcp_endpoint *e)
{
    struct rtcp_courier *oldest = NULL;

    for (struct rtcp_courier *c = e->couriers; c != NULL; c = c->next) {
        if (c->route == NULL && (oldest == NULL || c->heard_at < oldest->heard_at)) {
            oldest = c;
        }
    }
    if (oldest != NULL) {
        courier_close(oldest, "too many: the one silent for longest goes");
    }
}

void rtcp_courier_accepted(struct rtcp_link *link, const uint8_t answer[RTCP_WIRE_ANSWER])
{
    struct rtcp_endpoint *e = link->endpoint;
    struct rtcp_courier *c;

    if (e->courier_count >= RTCP_COURIERS_MAX) {
        make_room(e);
    }
    c = e->courier_count < RTCP_COURIERS_MAX ? courier_new(e, &link->peer) : NULL;
    if (c == NULL) {
        rtcp_link_close(link, false);
        return;
    }
    c->fd = rtcp_link_take_fd(link);
    set_options(c->fd);
    ev_io_set(&c->reader, c->fd, EV_READ);
    ev_io_set(&c->writer, c->fd, EV_WRITE);
    c->state = CARRYING;
    base_copy(c->out, answer, RTCP_WIRE_ANSWER);
    c->out_size = RTCP_WIRE_ANSWER;
    note(c, "taken", NULL);
    start_io(c, &c->reader);
    flush(c);
}

/* ------------------------------------------------------------------------------------------------ reading */

/* The whole size of what stands at the beginning of the buffer: 0 not known yet, more than the buffer holds: nonsense.
 */
static size_t next_size(const struct rtcp_courier *c)
{
    size_t total;
    uint8_t version;

    if (c->state == ASKING) {
        return rtcp_wire_total((struct base_bytes){c->in, c->in_size}, &total, &version) < 0 ? sizeof c->in + 1 : total;
    }
    if (c->in_size < RTCP_WIRE_CONTROL_HEADER) {
        return RTCP_WIRE_CONTROL_HEADER;
    }
    return RTCP_WIRE_CONTROL_HEADER + (size_t)(c->in[5] & RTCP_WIRE_WORDS) * 4 + RTCP_WIRE_CONTROL_TAG;
}

static void take_in(struct rtcp_courier *c, base_time now)
{
    while (c->state == ASKING || c->state == CARRYING) {
        struct rtcp_source source = {.peer = c->self};
        uint8_t message[RTCP_WIRE_CONTROL_MAX];
        size_t size = next_size(c);

        if (size > sizeof c->in) {
            lose(c, "what answers is another service");
            return;
        }
        if (size > c->in_size || (c->state == ASKING && size == RTCP_WIRE_PREFIX)) {
            return;
        }
        if (c->state == ASKING) {
            answered(c, size, now);
            continue;
        }
        base_copy(message, c->in, size); /* handling it may close this connection */
        c->in_size -= size;
        c->junk += size;
        base_move(c->in, c->in + size, c->in_size);
        rtcp_control_received(c->endpoint, (struct base_bytes){message, size}, &source);
        if (c->state == CARRYING && c->junk > RTCP_COURIER_JUNK) {
            lose(c, "nothing authentic comes");
        }
    }
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct rtcp_courier *c = w->data;
    struct rtcp_endpoint *endpoint = c->endpoint;
    base_time now = base_clock_now();

    (void)loop;
    (void)events;
    for (int i = 0; i < READS && (c->state == ASKING || c->state == CARRYING); i++) {
        ssize_t n = recv(c->fd, c->in + c->in_size, sizeof c->in - c->in_size, MSG_DONTWAIT);

        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            break;
        }
        if (n <= 0) {
            lose(c, n == 0 ? "ended" : "reading failed");
            break;
        }
        c->in_size += (size_t)n;
        take_in(c, now);
    }
    rtcp_endpoint_turn(endpoint);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct rtcp_courier *c = w->data;

    (void)loop;
    (void)events;
    if (c->state == CONNECTING) {
        connected(c);
    } else {
        flush(c);
    }
    rtcp_endpoint_turn(c->endpoint);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rtcp_courier *c = w->data;
    struct rtcp_endpoint *endpoint = c->endpoint;
    base_time now = base_clock_now();

    (void)loop;
    (void)events;
    if (c->route != NULL) {
        tick_client(c, now);
    } else if (now >= c->heard_at + RTCP_COURIER_DEAD) {
        courier_close(c, "silent");
    }
    rtcp_endpoint_turn(endpoint);
}
