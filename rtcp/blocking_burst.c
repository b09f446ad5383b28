/* Bursts of threads: what waits for company, and who sends it before it waits itself. See burst.h, blocking_inside.h.
 *
 * Owns      the list of sockets with bytes that wait, each with the thread that left them.
 * Must never know: the protocol.
 */
#include "rtcp/blocking_inside.h"
#include "rtcp/defaults.h"

/* Where a thread waits for bytes of the peer, they may be the answer to what would wait. */
static bool is_awaited(const struct rtcp_socket *socket)
{
    return socket->reader.is_taken || socket->pollers != NULL;
}

bool rtcp_socket_hold(struct rtcp_socket *socket, base_time now, size_t size)
{
    struct rtcp_stream *stream = socket->stream;
    struct rtcp_face *face = socket->face;
    const struct rtcp_session *s = &stream->session;
    uint32_t turn = (uint32_t)(now / RTCP_BURST_SPAN);
    bool may_wait = stream->coalesce == 0 && stream->live != NULL && !is_awaited(socket) &&
                    rtcp_burst_may_wait(&stream->burst, turn, s->out.upto - s->written, s->out.size);

    rtcp_burst_took(&stream->burst, turn, size);
    if (!may_wait) {
        return false;
    }
    if (stream->flush_at == 0) {
        stream->flush_at = base_clock_now() + RTCP_BURST_HELD;
    }
    if (!socket->is_held) {
        socket->is_held = true;
        socket->prev_held = NULL;
        socket->next_held = face->held;
        if (face->held != NULL) {
            face->held->prev_held = socket;
        }
        face->held = socket;
    }
    socket->held_by = pthread_self();
    return true;
}

void rtcp_socket_let_go(struct rtcp_socket *socket)
{
    if (!socket->is_held) {
        return;
    }
    socket->is_held = false;
    if (socket->prev_held != NULL) {
        socket->prev_held->next_held = socket->next_held;
    } else {
        socket->face->held = socket->next_held;
    }
    if (socket->next_held != NULL) {
        socket->next_held->prev_held = socket->prev_held;
    }
}

bool rtcp_face_push_held(struct rtcp_face *face)
{
    struct rtcp_socket *socket = face->held;
    bool has_any = false;

    while (socket != NULL) {
        if (!pthread_equal(socket->held_by, pthread_self())) {
            socket = socket->next_held;
            continue;
        }
        has_any = true;
        rtcp_socket_let_go(socket);
        socket->users++; /* its handle may be given back by another thread meanwhile */
        rtcp_socket_push(socket);
        rtcp_socket_release(socket);
        socket = face->held; /* the lock was given back: another list */
    }
    return has_any;
}
