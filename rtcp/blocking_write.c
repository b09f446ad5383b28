/* What a shared stream writes: threads take bytes into the ring and send ring bytes, in the ring's order, whoever finds
 * the writer token free. See blocking_inside.h, tokens.h.
 *
 * A thread never waits for the kernel with the token: at EAGAIN the control thread gets it. A thread whose bytes do not
 * fit the ring waits for the peer's acknowledgements, and those are what makes room, not the kernel.
 *
 * Must never know: the protocol. What a connection may carry is the session's word.
 */
#include "rtcp/blocking_inside.h"
#include "rtcp/defaults.h"
#include "rtcp/pages_loop.h"

#include <errno.h>

/* ------------------------------------------------------------------------------------------------ ring to kernel */

/* The FIN after the last byte. Only the control thread sends it: HALF_CLOSE or CLOSE goes out first (design 2.6). */
static void send_fin(struct rtcp_socket *socket, bool is_control)
{
    struct rtcp_shared_link *link = socket->link;

    if (link == NULL || link->fin_sent || !rtcp_session_is_fin_due(&socket->stream->session)) {
        return;
    }
    if (!is_control) {
        rtcp_face_post(socket);
        return;
    }
    link->fin_sent = true;
    if (rtcp_connection_use(&link->use)) {
        rtcp_face_unlock(socket->face);
        shutdown(link->use.fd, SHUT_WR);
        pthread_mutex_lock(&socket->face->lock);
        rtcp_shared_link_leave(link);
    }
}

/* Whether what is to be sent waits for more. It does not when it was told to go: then flush_at is 0. */
static bool has_time(const struct rtcp_stream *stream)
{
    const struct rtcp_session *s = &stream->session;
    size_t enough = stream->coalesce != 0 ? RTCP_COALESCE_UPTO : rtcp_burst_batch(s->out.size);

    return stream->flush_at != 0 && !s->shut && s->out.upto - s->written < enough &&
           base_clock_now() < stream->flush_at;
}

/* One send: what it carries, and from where. The ring stays where it is meanwhile (in_flight). */
struct departure {
    struct rtcp_flight flight;
    struct base_ringmem ring;
    uint64_t offset;
    struct base_bytes bytes;
    bool no_pages; /* the control thread sends copies: it is never to wait, and sendfile cannot be told so */
};

/* The bytes that are next leave. They count as written before they are: an acknowledgement may overtake us. False:
 * there are none. */
static bool depart(struct rtcp_socket *socket, bool is_control, struct departure *d)
{
    struct rtcp_shared_link *link = socket->link;
    struct rtcp_stream *stream = socket->stream;

    if (stream == NULL || link == NULL || !link->is_greeted || has_time(stream)) {
        return false;
    }
    d->bytes = rtcp_session_next(&stream->session, link->use.attempt);
    if (d->bytes.size == 0 || !rtcp_connection_use(&link->use)) {
        return false;
    }
    d->ring = stream->session.out.ring;
    d->offset = stream->session.written;
    d->no_pages = is_control || !link->has_pages || stream->no_pages;
    rtcp_session_depart(&stream->session, d->bytes.size, &d->flight);
    stream->flush_at = 0;
    rtcp_socket_let_go(socket);
    socket->in_flight = true;
    socket->flight_from = d->offset;
    return true;
}

/* The kernel took n of them. */
static void land(struct rtcp_socket *socket, const struct departure *d, ssize_t n, bool has_no_pages)
{
    struct rtcp_stream *stream = socket->stream;

    socket->in_flight = false;
    if (socket->awaits_landing) {
        socket->awaits_landing = false;
        rtcp_socket_wake(socket);
    }
    if (stream == NULL) {
        return;
    }
    rtcp_session_landed(&stream->session, &d->flight, n > 0 ? (size_t)n : 0);
    stream->no_pages = stream->no_pages || has_no_pages;
    if (n < (ssize_t)d->bytes.size) {
        stream->flush_at = 0; /* the rest has waited, and what came meanwhile goes with it */
    }
}

/* One send: the count, 0 when there is nothing to send, BASE_E_AGAIN when the kernel is full, BASE_E_CLOSED when the
 * connection broke (told). */
static int64_t send_once(struct rtcp_socket *socket, bool is_control)
{
    struct rtcp_shared_link *link = socket->link;
    struct departure d;
    bool no_pages;
    ssize_t n;
    int error;

    if (!depart(socket, is_control, &d)) {
        return 0;
    }
    no_pages = d.no_pages;
    rtcp_face_unlock(socket->face);
    n = rtcp_pages_write(link->use.fd, &d.ring, d.offset, d.bytes, &no_pages);
    error = errno;
    pthread_mutex_lock(&socket->face->lock);
    land(socket, &d, n, no_pages && !d.no_pages);
    if (n < 0 && error != EAGAIN && error != EINTR) {
        rtcp_shared_link_broke(link, error, "writing failed");
        n = BASE_E_CLOSED;
    } else if (n < 0) {
        n = error == EINTR ? 1 : BASE_E_AGAIN;
    }
    rtcp_shared_link_leave(link);
    return n;
}

bool rtcp_shared_link_send(struct rtcp_socket *socket, bool is_control)
{
    struct rtcp_writer *writer = &socket->writer;

    if (!rtcp_writer_take(writer, is_control)) {
        return true;
    }
    for (;;) {
        int64_t n;

        rtcp_writer_look(writer);
        n = send_once(socket, is_control);
        if (n == BASE_E_AGAIN) {
            if ((rtcp_writer_blocked(writer, true) & RTCP_ORDER_CONTROL) != 0) {
                rtcp_face_post(socket);
            }
            return false;
        }
        if (n > 0) {
            continue;
        }
        if (socket->stream != NULL) {
            send_fin(socket, is_control);
        }
        if (rtcp_writer_give(writer)) {
            return true;
        }
    }
}

void rtcp_socket_push(struct rtcp_socket *socket)
{
    if (socket->stream != NULL && socket->stream->flush_at != 0) {
        socket->stream->flush_at = 0;
        (void)rtcp_shared_link_send(socket, false);
    }
}

/* ------------------------------------------------------------------------------------------------ calls */

/* Why nothing can be taken, or 0. */
static int send_status(const struct rtcp_socket *socket, base_time now)
{
    int status = rtcp_socket_ended(socket);

    if (status == 0 && socket->write_deadline <= now) {
        return BASE_E_EXPIRED;
    }
    return status;
}

/* The time of a send: the cheap one, where nothing hangs on a millisecond. The time of coalesced bytes begins exactly,
 * and the control thread ends it. */
static base_time now_of(const struct rtcp_socket *socket)
{
    const struct rtcp_stream *stream = socket->stream;
    bool is_first = stream != NULL && stream->coalesce != 0 && stream->flush_at == 0;

    return is_first || socket->write_deadline != BASE_NEVER ? base_clock_now()
                                                            : rtcp_endpoint_lately(socket->face->endpoint);
}

/* Lets the ring grow, if nobody reads it: its bytes move. */
static void grow_ring(struct rtcp_socket *socket, base_time now, size_t size)
{
    if (!socket->in_flight) {
        rtcp_session_grow(&socket->stream->session, now, size);
    }
}

/* Sends the bytes just taken, `size` of them, or leaves them to wait for more: then the control thread sends them in
 * time. It looks early where it has reason to, so a stream of small writes asks it once in that time. */
static void send_or_wait(struct rtcp_socket *socket, base_time now, size_t size)
{
    struct rtcp_stream *stream = socket->stream;
    bool is_alone = stream->flush_at != 0 || stream->session.out.upto - stream->session.written <= size;

    if (!is_alone || !(rtcp_socket_hold(socket, now, size) ||
                       rtcp_stream_may_wait(stream, now))) { /* bytes that are due take them along */
        (void)rtcp_shared_link_send(socket, false);
    } else if (!stream->is_armed || stream->armed > stream->flush_at) {
        rtcp_face_post(socket);
    }
}

/* Takes what fits into the ring. What a thread is just giving to the kernel is not overwritten, not even where the peer
 * has acknowledged it: the acknowledgement proves that the kernel has read it, but to nobody who checks threads. */
static int64_t append(struct rtcp_socket *socket, base_time now, struct base_bytes bytes)
{
    struct rtcp_session *s = &socket->stream->session;
    size_t kept = socket->in_flight ? (size_t)(s->out.upto - socket->flight_from) : 0;

    if (kept + bytes.size > s->out.size) {
        bytes.size = kept < s->out.size ? s->out.size - kept : 0;
        socket->awaits_landing = bytes.size == 0;
    }
    return socket->awaits_landing ? BASE_E_AGAIN : rtcp_session_append(s, now, bytes);
}

/* Takes what fits of one range and sends it: the count, or a status. */
static int64_t send_range(struct rtcp_socket *socket, struct base_bytes bytes)
{
    size_t taken = 0;

    do {
        base_time now = now_of(socket);
        int status = send_status(socket, now);
        int64_t n = status;

        if (status == 0) {
            grow_ring(socket, now, bytes.size - taken);
            n = append(socket, now, (struct base_bytes){bytes.data + taken, bytes.size - taken});
            if (n > 0) {
                taken += (size_t)n;
                send_or_wait(socket, now, (size_t)n);
            }
            rtcp_socket_settle(socket, now);
        }
        if (n == BASE_E_AGAIN && socket->stream != NULL && socket->stream->flush_at != 0) {
            rtcp_socket_push(socket); /* nothing more can come; and look again: the lock was given back */
        } else if (n == BASE_E_AGAIN && !socket->is_nonblocking) {
            (void)rtcp_face_wait(socket->face, &socket->writable, socket->write_deadline);
        } else if (n < 0) {
            return taken > 0 ? (int64_t)taken : n;
        }
    } while (taken < bytes.size);
    return (int64_t)taken;
}

int64_t rtcp_socket_sendv(struct rtcp_socket *socket, const struct base_bytes *ranges, size_t count)
{
    int64_t taken = 0;

    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    for (size_t i = 0; i < count; i++) {
        int64_t n = send_range(socket, ranges[i]);

        if (n < 0) {
            taken = taken > 0 ? taken : n;
            break;
        }
        taken += n;
        if ((size_t)n < ranges[i].size) {
            break;
        }
    }
    rtcp_face_unlock(socket->face);
    return taken;
}

int64_t rtcp_socket_send(struct rtcp_socket *socket, const void *data, size_t size)
{
    struct base_bytes range = {data, size};

    return rtcp_socket_sendv(socket, &range, 1);
}

int rtcp_socket_flush(struct rtcp_socket *socket)
{
    int status;

    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    rtcp_socket_push(socket);
    for (;;) {
        status = send_status(socket, base_clock_now());
        if (status < 0 || socket->stream->session.out.first == socket->stream->session.out.upto) {
            break;
        }
        if (socket->stream->session.peer_closed) {
            status = BASE_E_CLOSED; /* it said what it read: there is no more to come */
            break;
        }
        socket->stream->session.wants_room = true; /* the next acknowledgement wakes us, and the peer's closing */
        if (socket->is_nonblocking) {
            status = BASE_E_AGAIN;
            break;
        }
        (void)rtcp_face_wait(socket->face, &socket->writable, socket->write_deadline);
    }
    rtcp_face_unlock(socket->face);
    return status;
}
