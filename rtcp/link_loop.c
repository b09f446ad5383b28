/* One TCP connection on libev: its birth and end, its events. See inside_loop.h.
 *
 * Must never know: why a session wants a connection, what counts mean. It tells the session what happened.
 */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/inside_loop.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#define TCP_RTO_MAX_MS_OPTION 44 /* Linux 6.15: a cap for the kernel's own retransmission pause */

static void on_readable(struct ev_loop *loop, ev_io *w, int events);
static void on_writable(struct ev_loop *loop, ev_io *w, int events);
static void on_timer(struct ev_loop *loop, ev_timer *w, int events);

/* ------------------------------------------------------------------------------------------------ birth and end */

void rtcp_link_no_delay(int fd)
{
    int one = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void rtcp_link_hurry(struct rtcp_link *link)
{
    int rto_max_ms = 1000;

    if (!link->is_hurried) {
        link->is_hurried = true;
        setsockopt(link->fd, IPPROTO_TCP, TCP_RTO_MAX_MS_OPTION, &rto_max_ms,
                   sizeof rto_max_ms); /* not everywhere; a second net */
    }
}

static struct rtcp_link *link_new(struct rtcp_endpoint *endpoint, int fd, enum rtcp_link_state state)
{
    struct rtcp_link *link = calloc(1, sizeof *link);

    if (link == NULL) {
        close(fd);
        return NULL;
    }
    link->endpoint = endpoint;
    link->fd = fd;
    link->state = state;
    link->began_at = base_clock_now();
    ev_io_init(&link->reader, on_readable, fd, EV_READ);
    ev_io_init(&link->writer, on_writable, fd, EV_WRITE);
    ev_init(&link->timer, on_timer);
    link->reader.data = link;
    link->writer.data = link;
    link->timer.data = link;
    return link;
}

int rtcp_link_evidence(int error)
{
    switch (error) {
    case ECONNREFUSED:
        return RTCP_EVIDENCE_REFUSED;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EHOSTDOWN:
    case EADDRNOTAVAIL:
        return RTCP_EVIDENCE_UNREACHABLE;
    case ETIMEDOUT:
        return RTCP_EVIDENCE_SILENT;
    default:
        return -1;
    }
}

struct rtcp_link *rtcp_link_connect(struct rtcp_stream *stream, uint32_t attempt, const struct rtcp_address *to,
                                    int *ret_evidence)
{
    struct sockaddr_storage address;
    socklen_t size = rtcp_address_to_sock(to, &address);
    struct rtcp_link *link;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    *ret_evidence = -1;
    if (fd < 0) {
        return NULL;
    }
    if (connect(fd, (struct sockaddr *)&address, size) < 0 && errno != EINPROGRESS) {
        *ret_evidence = rtcp_link_evidence(errno);
        close(fd);
        return NULL;
    }
    rtcp_link_no_delay(fd);
    link = link_new(stream->endpoint, fd, RTCP_LINK_CONNECTING);
    if (link != NULL) {
        link->stream = stream;
        link->attempt = attempt;
        link->peer = *to;
        ev_io_start(stream->endpoint->loop, &link->writer);
    }
    return link;
}

struct rtcp_link *rtcp_link_accepted(struct rtcp_listener *listener, int fd, const struct rtcp_address *peer)
{
    struct rtcp_link *link = link_new(listener->endpoint, fd, RTCP_LINK_ASKED);

    if (link != NULL) {
        link->listener = listener;
        link->peer = *peer;
        listener->users++;
        rtcp_listener_add_half_open(link);
        ev_io_start(listener->endpoint->loop, &link->reader);
        ev_timer_set(&link->timer, (double)RTCP_HANDSHAKE_IDLE / 1e9, 0.);
        ev_timer_start(listener->endpoint->loop, &link->timer);
    }
    return link;
}

static void close_fd(int fd, bool is_gentle)
{
    if (!is_gentle) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};

        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* it holds nothing we need (P39) */
    }
    close(fd);
}

void rtcp_link_close(struct rtcp_link *link, bool is_gentle)
{
    struct ev_loop *loop = link->endpoint->loop;

    if (link->state == RTCP_LINK_CLOSED) {
        return;
    }
    if (is_gentle && link->is_corked) {
        (void)rtcp_link_flush_out(link); /* in order: the answer that waited for the callbacks goes first */
    }
    rtcp_listener_remove_half_open(link);
    ev_io_stop(loop, &link->reader);
    ev_io_stop(loop, &link->writer);
    ev_timer_stop(loop, &link->timer);
    if (link->shared != NULL) {
        rtcp_shared_link_drop(link, is_gentle);
    } else if (link->fd >= 0) {
        close_fd(link->fd, is_gentle);
    }
    link->state = RTCP_LINK_CLOSED;
    link->stream = NULL;
    if (link->listener != NULL) {
        rtcp_listener_release(link->listener);
        link->listener = NULL;
    }
    link->next = link->endpoint->closed_links;
    link->endpoint->closed_links = link;
}

int rtcp_link_take_fd(struct rtcp_link *link)
{
    int fd = link->fd;

    link->fd = -1;
    rtcp_link_close(link, true);
    return fd;
}

void rtcp_link_free_closed(struct rtcp_endpoint *endpoint)
{
    while (endpoint->closed_links != NULL) {
        struct rtcp_link *link = endpoint->closed_links;

        endpoint->closed_links = link->next;
        free(link);
    }
}

void rtcp_link_broke(struct rtcp_link *link, base_time now, int error, const char *why)
{
    if (link->stream != NULL) {
        rtcp_session_broke(&link->stream->session, now, link->attempt, rtcp_link_evidence(error), why);
    } else {
        link->endpoint->stats.handshakes_dropped++;
        rtcp_endpoint_complain(link->endpoint, &link->peer, "handshake dropped", why);
        rtcp_link_close(link, false);
    }
}

/* ------------------------------------------------------------------------------------------------ events */

static void connected(struct rtcp_link *link, base_time now)
{
    socklen_t size = sizeof(int);
    int error = 0;

    ev_io_stop(link->endpoint->loop, &link->writer);
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0) {
        error = errno;
    }
    rtcp_dial_connected(link, now, error);
}

/* After every event: effects, then callbacks. The stream is freed in the turn at the earliest. */
static void finish(struct rtcp_endpoint *endpoint, struct rtcp_stream *stream, base_time now)
{
    if (stream != NULL) {
        rtcp_stream_pump(stream, now);
    }
    rtcp_endpoint_turn(endpoint);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    struct rtcp_link *link = w->data;
    struct rtcp_endpoint *endpoint = link->endpoint;
    struct rtcp_stream *stream = link->stream;
    base_time now;

    (void)loop;
    (void)events;
    if (link->state == RTCP_LINK_STREAM) { /* the session knows nothing new: no effects, no other deadline, no clock */
        rtcp_stream_readable(stream);
        rtcp_endpoint_turn(endpoint);
        return;
    }
    now = rtcp_endpoint_now(endpoint);
    switch (link->state) {
    case RTCP_LINK_ASKED:
        rtcp_link_read_request(link, now);
        stream = link->stream;
        break;
    case RTCP_LINK_WAITING:
        rtcp_link_read_answer(link, now);
        break;
    case RTCP_LINK_PROVING:
        (void)rtcp_link_read_confirm(link, now);
        break;
    case RTCP_LINK_REFUSED:
        rtcp_link_throw_away(link);
        break;
    case RTCP_LINK_STREAM: /* see above */
    case RTCP_LINK_CONNECTING:
    case RTCP_LINK_FROZEN:
    case RTCP_LINK_CLOSED:
        ev_io_stop(loop, w);
        break;
    }
    finish(endpoint, stream, now);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    struct rtcp_link *link = w->data;
    struct rtcp_endpoint *endpoint = link->endpoint;
    struct rtcp_stream *stream = link->stream;
    base_time now = rtcp_endpoint_now(endpoint);

    (void)loop;
    (void)events;
    if (link->state == RTCP_LINK_CONNECTING) {
        connected(link, now);
    } else {
        (void)rtcp_link_flush(link, now);
    }
    finish(endpoint, stream, now);
}

/* Only connections that came in have one: a handshake took too long, or a refused peer does not go away. */
static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rtcp_link *link = w->data;
    struct rtcp_endpoint *endpoint = link->endpoint;

    (void)loop;
    (void)events;
    if (link->state != RTCP_LINK_REFUSED) {
        endpoint->stats.handshakes_dropped++;
        rtcp_endpoint_complain(endpoint, &link->peer, "handshake dropped", "it took too long");
    }
    rtcp_link_close(link, link->state == RTCP_LINK_REFUSED);
    rtcp_endpoint_turn(endpoint);
}
