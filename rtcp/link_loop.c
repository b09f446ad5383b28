/* One TCP connection on libev: connecting, the handshake's bytes, the stream's bytes. See inside_loop.h.
 *
 * Must never know: why a session wants a connection, what counts mean. It tells the session what happened.
 */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/inside_loop.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <linux/sockios.h>
#include <unistd.h>

#define REFUSED_BYTES_MAX     65536u /* thrown away behind a REFUSE */
#define REFUSED_S             1.
#define TCP_RTO_MAX_MS_OPTION 44 /* Linux 6.15: a cap for the kernel's own retransmission pause */

static void on_readable(struct ev_loop *loop, ev_io *w, int events);
static void on_writable(struct ev_loop *loop, ev_io *w, int events);
static void on_timer(struct ev_loop *loop, ev_timer *w, int events);

/* ------------------------------------------------------------------------------------------------ birth and end */

static void set_options(int fd)
{
    int one = 1;
    int rto_max_ms = 1000;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(fd, IPPROTO_TCP, TCP_RTO_MAX_MS_OPTION, &rto_max_ms,
               sizeof rto_max_ms); /* not everywhere; a second net */
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
    set_options(fd);
    ev_io_init(&link->reader, on_readable, fd, EV_READ);
    ev_io_init(&link->writer, on_writable, fd, EV_WRITE);
    ev_init(&link->timer, on_timer);
    link->reader.data = link;
    link->writer.data = link;
    link->timer.data = link;
    return link;
}

static int evidence_of(int error)
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
        *ret_evidence = evidence_of(errno);
        close(fd);
        return NULL;
    }
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

void rtcp_link_close(struct rtcp_link *link, bool is_gentle)
{
    struct ev_loop *loop = link->endpoint->loop;

    if (link->state == RTCP_LINK_CLOSED) {
        return;
    }
    rtcp_listener_remove_half_open(link);
    ev_io_stop(loop, &link->reader);
    ev_io_stop(loop, &link->writer);
    ev_timer_stop(loop, &link->timer);
    if (!is_gentle) {
        struct linger now = {.l_onoff = 1, .l_linger = 0};

        setsockopt(link->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* it holds nothing we need (P39) */
    }
    close(link->fd);
    link->state = RTCP_LINK_CLOSED;
    link->stream = NULL;
    if (link->listener != NULL) {
        rtcp_listener_release(link->listener);
        link->listener = NULL;
    }
    link->next = link->endpoint->closed_links;
    link->endpoint->closed_links = link;
}

void rtcp_link_free_closed(struct rtcp_endpoint *endpoint)
{
    while (endpoint->closed_links != NULL) {
        struct rtcp_link *link = endpoint->closed_links;

        endpoint->closed_links = link->next;
        free(link);
    }
}

static void broke(struct rtcp_link *link, base_time now, int error, const char *why)
{
    if (link->stream != NULL) {
        rtcp_session_broke(&link->stream->session, now, link->attempt, evidence_of(error), why);
    } else {
        link->endpoint->stats.handshakes_dropped++;
        rtcp_endpoint_complain(link->endpoint, &link->peer, "handshake dropped", why);
        rtcp_link_close(link, false);
    }
}

/* ------------------------------------------------------------------------------------------------ writing */

/* Writes the pending handshake bytes: 1 done, 0 not yet, -1 broken. */
static int flush_out(struct rtcp_link *link)
{
    while (link->out_sent < link->out_size) {
        ssize_t n =
            send(link->fd, link->out + link->out_sent, link->out_size - link->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        link->out_sent += (size_t)n;
    }
    return 1;
}

/* Early bytes of an opening, straight from the ring's start. */
static int flush_early(struct rtcp_link *link)
{
    struct rtcp_session *s = &link->stream->session;

    while (link->early_left > 0) {
        struct base_bytes from = rtcp_outbox_from(&s->out, s->opt.first_offset + s->early_written);
        size_t size = from.size < link->early_left ? from.size : link->early_left;
        ssize_t n = send(link->fd, from.data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        rtcp_session_sent_early(s, (size_t)n);
        link->early_left -= (uint32_t)n;
    }
    return 1;
}

/* Stream bytes in ring order; the CONFIRM goes in where the promised early bytes end. */
static int flush_stream(struct rtcp_link *link, base_time now)
{
    struct rtcp_session *s = &link->stream->session;

    for (;;) {
        struct base_bytes next;
        ssize_t n;

        if (link->confirm_pending && link->early_left == 0) {
            base_copy(link->out, link->confirm, sizeof link->confirm);
            link->out_size = sizeof link->confirm;
            link->out_sent = 0;
            link->confirm_pending = false;
        }
        if (link->out_sent < link->out_size) {
            int done = flush_out(link);

            if (done != 1) {
                return done;
            }
        }
        next = rtcp_session_next(s, link->attempt);
        if (link->confirm_pending && next.size > link->early_left) {
            next.size = link->early_left;
        }
        if (next.size == 0) {
            return 1;
        }
        n = send(link->fd, next.data, next.size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        rtcp_session_sent(s, now, (size_t)n);
        if (link->early_left > 0) {
            link->early_left -= (uint32_t)((size_t)n < link->early_left ? (size_t)n : link->early_left);
        }
    }
}

static int flush_some(struct rtcp_link *link, base_time now)
{
    int done = flush_out(link);

    if (done == 1 && link->state == RTCP_LINK_REFUSED && !link->fin_sent) {
        link->fin_sent = true;
        shutdown(link->fd, SHUT_WR);
    }
    if (done == 1 && link->state == RTCP_LINK_WAITING && link->stream != NULL) {
        done = flush_early(link);
    }
    if (done == 1 && link->state == RTCP_LINK_STREAM) {
        done = flush_stream(link, now);
        if (done == 1 && !link->fin_sent && rtcp_session_is_fin_due(&link->stream->session)) {
            link->fin_sent = true;
            shutdown(link->fd, SHUT_WR);
        }
    }
    return done;
}

bool rtcp_link_flush(struct rtcp_link *link, base_time now)
{
    struct ev_loop *loop = link->endpoint->loop;
    int done;

    if (link->state == RTCP_LINK_CONNECTING || link->state == RTCP_LINK_FROZEN || link->state == RTCP_LINK_CLOSED) {
        return true;
    }
    done = flush_some(link, now);
    if (done < 0) {
        broke(link, now, errno, "writing failed");
        return false;
    }
    if (done == 0) {
        ev_io_start(loop, &link->writer);
    } else if (ev_is_active(&link->writer)) {
        ev_io_stop(loop, &link->writer);
    }
    return true;
}

void rtcp_link_greet(struct rtcp_link *link, const uint8_t *bytes, size_t size, uint32_t early)
{
    CHECK(size <= sizeof link->out);
    base_copy(link->out, bytes, size);
    link->out_size = size;
    link->out_sent = 0;
    link->early_left = early;
    if (link->state == RTCP_LINK_CONNECTING) {
        link->state = RTCP_LINK_WAITING;
        ev_io_start(link->endpoint->loop, &link->reader);
    } else if (link->confirm_in > 0 && link->early_in == 0) {
        link->state = RTCP_LINK_PROVING;
        link->in_size = 0;
        ev_io_start(link->endpoint->loop, &link->reader);
    }
    (void)rtcp_link_flush(link, base_clock_now());
}

void rtcp_link_attach(struct rtcp_link *link, const uint8_t *confirm)
{
    if (link->state == RTCP_LINK_CLOSED) {
        return;
    }
    link->state = RTCP_LINK_STREAM;
    if (confirm != NULL) {
        base_copy(link->confirm, confirm, sizeof link->confirm);
        link->confirm_pending = true;
    } else if (link->stream->session.opt.is_client) {
        link->early_left = 0; /* what is left of them is sent as part of the stream */
    }
    ev_timer_stop(link->endpoint->loop, &link->timer);
    if (!link->stream->session.closed && !link->stream->is_paused) {
        ev_io_start(link->endpoint->loop, &link->reader);
    } else {
        ev_io_stop(link->endpoint->loop, &link->reader);
    }
}

void rtcp_link_refuse(struct rtcp_link *link, const uint8_t *bytes, size_t size)
{
    struct ev_loop *loop = link->endpoint->loop;

    link->endpoint->stats.handshakes_refused++; /* it stays in the list of half-open ones: they are bounded */
    link->state = RTCP_LINK_REFUSED;
    ev_timer_stop(loop, &link->timer);
    ev_timer_set(&link->timer, REFUSED_S, 0.);
    ev_timer_start(loop, &link->timer);
    CHECK(size <= sizeof link->out);
    base_copy(link->out, bytes, size);
    link->out_size = size;
    link->out_sent = 0;
    ev_io_start(loop, &link->reader);
    (void)rtcp_link_flush(link, base_clock_now());
}

/* ------------------------------------------------------------------------------------------------ reading */

/* Reads exactly up to `total` bytes into link->in: 1 done, 0 not yet, -1 broken or ended. */
static int read_exactly(struct rtcp_link *link, size_t total)
{
    while (link->in_size < total) {
        ssize_t n = recv(link->fd, link->in + link->in_size, total - link->in_size, MSG_DONTWAIT);

        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        if (n == 0) {
            errno = ECONNRESET;
            return -1;
        }
        link->in_size += (size_t)n;
    }
    return 1;
}

/* Reads one handshake message and not a byte more: what follows belongs to the stream. As read_exactly, and -2 for
 * nonsense, -3 for another version. */
static int read_message(struct rtcp_link *link)
{
    for (;;) {
        size_t total;
        uint8_t version;
        int done;

        if (rtcp_wire_total((struct base_bytes){link->in, link->in_size}, &total, &version) < 0) {
            return -2;
        }
        if (link->in_size >= RTCP_WIRE_PREFIX && link->in_size == total) {
            return version == RTCP_WIRE_VERSION ? 1 : -3;
        }
        done = read_exactly(link, total);
        if (done != 1) {
            /* Look at what is there: nonsense is dropped at its first bytes, not when it has become long enough. */
            return done == 0 && rtcp_wire_total((struct base_bytes){link->in, link->in_size}, &total, &version) < 0
                       ? -2
                       : done;
        }
    }
}

static void read_answer(struct rtcp_link *link, base_time now)
{
    struct rtcp_session *s = &link->stream->session;
    int done = read_message(link);

    if (done == 1) {
        ev_io_stop(link->endpoint->loop, &link->reader);
        rtcp_session_answered(s, now, link->attempt, (struct base_bytes){link->in, link->in_size});
    } else if (done < -1) {
        rtcp_session_broke(s, now, link->attempt, RTCP_EVIDENCE_WRONG_PEER, "what answers is another service");
    } else if (done < 0) {
        rtcp_session_broke(s, now, link->attempt, evidence_of(errno), "ended before the answer");
    }
}

static void read_request(struct rtcp_link *link, base_time now)
{
    int done = read_message(link);

    if (done == 1) {
        ev_io_stop(link->endpoint->loop, &link->reader);
        rtcp_listener_request(link, now);
    } else if (done == -3) {
        rtcp_listener_wrong_version(link);
    } else if (done < 0) {
        broke(link, now, 0, done == -2 ? "it does not speak this protocol" : "it ended in the middle");
    } else {
        base_time left =
            RTCP_HANDSHAKE_TOTAL - base_time_min(base_time_since(now, link->began_at), RTCP_HANDSHAKE_TOTAL);

        ev_timer_stop(link->endpoint->loop, &link->timer);
        ev_timer_set(&link->timer, (double)base_time_min(left, RTCP_HANDSHAKE_IDLE) / 1e9, 0.);
        ev_timer_start(link->endpoint->loop, &link->timer);
    }
}

/* Reads the peer's CONFIRM: 1 proven, 0 not yet, -1 broken (told). */
static int read_confirm(struct rtcp_link *link, base_time now)
{
    int done = read_exactly(link, RTCP_WIRE_CONFIRM);

    if (done == 1) {
        link->confirm_in = 0;
        if (rtcp_session_confirmed(&link->stream->session, now, link->attempt, link->in) == 0) {
            return 1;
        }
        done = -1;
        errno = EPROTO;
    }
    if (done < 0) {
        broke(link, now, errno, "the proof of the key is missing or wrong");
    }
    return done;
}

static void throw_away(struct rtcp_link *link)
{
    uint8_t nothing[4096];
    ssize_t n = recv(link->fd, nothing, sizeof nothing, MSG_DONTWAIT);

    link->thrown_away += n > 0 ? (size_t)n : 0;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || link->thrown_away > REFUSED_BYTES_MAX) {
        rtcp_link_close(link, n == 0);
    }
}

int64_t rtcp_link_read(struct rtcp_link *link, base_time now, void *data, size_t size)
{
    ssize_t n;

    if (link->is_eof) {
        return BASE_E_AGAIN;
    }
    if (link->confirm_in > 0) {
        if (link->early_in == 0) {
            int done = read_confirm(link, now);

            if (done != 1) {
                return done == 0 ? BASE_E_AGAIN : BASE_E_CLOSED;
            }
        } else if (size > link->early_in) {
            size = link->early_in;
        }
    }
    n = recv(link->fd, data, size, MSG_DONTWAIT);
    if (n > 0) {
        if (link->confirm_in > 0) {
            link->early_in -= (uint32_t)n;
            link->in_size = 0;
        }
        rtcp_session_received(&link->stream->session, now, (size_t)n);
        return n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return BASE_E_AGAIN;
    }
    link->is_eof = true;
    ev_io_stop(link->endpoint->loop, &link->reader);
    if (n == 0) {
        rtcp_session_eof(&link->stream->session, now, link->attempt);
    } else {
        broke(link, now, errno, "reading failed");
    }
    return BASE_E_CLOSED;
}

void rtcp_link_pause(struct rtcp_link *link)
{
    ev_io_stop(link->endpoint->loop, &link->reader);
}

void rtcp_link_freeze(struct rtcp_link *link)
{
    ev_io_stop(link->endpoint->loop, &link->reader);
    ev_io_stop(link->endpoint->loop, &link->writer);
    link->state = RTCP_LINK_FROZEN;
}

void rtcp_link_unpause(struct rtcp_link *link)
{
    if (link->state == RTCP_LINK_STREAM && !link->is_eof) {
        ev_io_start(link->endpoint->loop, &link->reader);
    }
}

void rtcp_link_observe(struct rtcp_link *link, base_time now)
{
    int unread = 0;
    int held = 0;

    if (link->state == RTCP_LINK_STREAM && ioctl(link->fd, SIOCOUTQ, &held) == 0 &&
        ioctl(link->fd, FIONREAD, &unread) == 0) {
        rtcp_session_observe(&link->stream->session, now, held > 0 ? (uint64_t)held : 0,
                             unread > 0 ? (uint32_t)unread : 0);
    }
}

/* ------------------------------------------------------------------------------------------------ events */

static void connected(struct rtcp_link *link, base_time now)
{
    socklen_t size = sizeof(int);
    int error = 0;

    ev_io_stop(link->endpoint->loop, &link->writer);
    if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0) {
        broke(link, now, error, "connecting failed");
    } else {
        rtcp_session_connected(&link->stream->session, now, link->attempt);
    }
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
    base_time now = base_clock_now();

    (void)loop;
    (void)events;
    switch (link->state) {
    case RTCP_LINK_ASKED:
        read_request(link, now);
        stream = link->stream;
        break;
    case RTCP_LINK_WAITING:
        read_answer(link, now);
        break;
    case RTCP_LINK_PROVING:
        (void)read_confirm(link, now);
        break;
    case RTCP_LINK_STREAM:
        rtcp_stream_readable(stream);
        break;
    case RTCP_LINK_REFUSED:
        throw_away(link);
        break;
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
    base_time now = base_clock_now();

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
