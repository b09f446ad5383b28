/* What a shared stream writes: threads take bytes into the ring and send ring bytes, in the ring's order, whoever finds
 * the writer token free. See blocking_inside.h, tokens.h.
 *
 * A thread never waits for the kernel with the token: at EAGAIN the control thread gets it. A thread whose bytes do not
 * fit the ring waits for the peer's acknowledgements, and those are what makes room, not the kernel.
 *
 * Must never know: the protocol. What a connection may carry is the session's word.
 */
#include "rtcp/blocking_inside.h"

#include <errno.h>

#define TURNS 8

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

/* One send: the count, 0 when there is nothing to send, BASE_E_AGAIN when the kernel is full, BASE_E_CLOSED when the
 * connection broke (told). The bytes count as written before they are: an acknowledgement may overtake us. */
static int64_t send_once(struct rtcp_socket *socket)
{
    struct rtcp_shared_link *link = socket->link;
    struct rtcp_flight flight;
    struct base_bytes next;
    ssize_t n;
    int error;

    if (socket->stream == NULL || link == NULL || !link->is_greeted) {
        return 0;
    }
    next = rtcp_session_next(&socket->stream->session, link->use.attempt);
    if (next.size == 0 || !rtcp_connection_use(&link->use)) {
        return 0;
    }
    rtcp_session_depart(&socket->stream->session, next.size, &flight);
    socket->in_flight = true;
    rtcp_face_unlock(socket->face);
    n = send(link->use.fd, next.data, next.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    error = errno;
    pthread_mutex_lock(&socket->face->lock);
    socket->in_flight = false;
    if (socket->stream != NULL) {
        rtcp_session_landed(&socket->stream->session, &flight, n > 0 ? (size_t)n : 0);
    }
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
        n = send_once(socket);
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

/* Lets the ring grow, if nobody reads it: its bytes move. Also for a stream that has turned its ring over a few times
 * without filling it: a small ring asks for many acknowledgements, and each wakes two control threads. */
static void grow_ring(struct rtcp_socket *socket, base_time now, size_t size)
{
    struct rtcp_session *s = &socket->stream->session;
    bool is_busy = s->out.upto - s->opt.first_offset > TURNS * s->out.size;

    if (!socket->in_flight) {
        rtcp_session_grow(s, now, is_busy && size < s->out.size ? s->out.size : size);
    }
}

/* Takes what fits of one range and sends it: the count, or a status. */
static int64_t send_range(struct rtcp_socket *socket, struct base_bytes bytes)
{
    size_t taken = 0;

    do {
        base_time now = base_clock_now();
        int status = send_status(socket, now);
        int64_t n = status;

        if (status == 0) {
            grow_ring(socket, now, bytes.size - taken);
            n = rtcp_session_append(&socket->stream->session, now,
                                    (struct base_bytes){bytes.data + taken, bytes.size - taken});
            if (n > 0) {
                taken += (size_t)n;
                (void)rtcp_shared_link_send(socket, false);
            }
            rtcp_socket_settle(socket, now);
        }
        if (n == BASE_E_AGAIN && !socket->is_nonblocking) {
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
    for (;;) {
        status = send_status(socket, base_clock_now());
        if (status < 0 || socket->stream->session.out.first == socket->stream->session.out.upto) {
            break;
        }
        socket->stream->session.wants_room = true; /* the next acknowledgement wakes us */
        if (socket->is_nonblocking) {
            status = BASE_E_AGAIN;
            break;
        }
        (void)rtcp_face_wait(socket->face, &socket->writable, socket->write_deadline);
    }
    rtcp_face_unlock(socket->face);
    return status;
}
