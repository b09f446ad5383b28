/* What application threads read from a shared stream: one at a time, from the connection itself. See blocking_inside.h,
 * tokens.h.
 *
 * Without a deadline a thread waits in recv itself: a message costs one system call, as with plain TCP. With one it
 * waits in poll, where a change of the deadline can wake it; so it does where sendfile writes to the connection.
 *
 * Must never know: what counts mean (C1: a byte counts when it was copied out of the kernel and the connection still
 * counts; else the peer sends it again).
 */
#include "rtcp/blocking_inside.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define NOTHING BASE_E_UNKNOWN /* among these functions: nothing to read, and the call does not wait */

/* ------------------------------------------------------------------------------------------------ what there is */

bool rtcp_shared_link_has_input(const struct rtcp_socket *socket)
{
    const struct rtcp_stream *stream = socket->stream;

    if (stream == NULL) {
        return true; /* what is left, or the status */
    }
    return stream->waiting_size > stream->waiting_at || rtcp_session_is_at_end(&stream->session) ||
           stream->session.closed || stream->session.life == RTCP_LIFE_DEAD;
}

struct rtcp_shared_link *rtcp_shared_link_readable_link(const struct rtcp_socket *socket)
{
    const struct rtcp_stream *stream = socket->stream;
    struct rtcp_shared_link *link = socket->link;

    if (stream == NULL || link == NULL || link->is_eof || link->use.is_dead || !rtcp_shared_link_counts(link) ||
        (stream->held_until_confirmed && !stream->session.is_confirmed)) {
        return NULL;
    }
    return link;
}

/* ------------------------------------------------------------------------------------------------ from the kernel */

/* Waits until the connection has something, the deadline comes or moves. */
static void wait_timed(int fd, int wake_fd, base_time deadline)
{
    struct pollfd p[2] = {{.fd = fd, .events = POLLIN}, {.fd = wake_fd, .events = POLLIN}};
    base_time left = base_time_since(deadline, base_clock_now());
    struct timespec at = {.tv_sec = (time_t)(left / BASE_S(1)), .tv_nsec = (long)(left % BASE_S(1))};
    uint64_t nothing;

    if (ppoll(p, 2, &at, NULL) > 0 && (p[1].revents & POLLIN) != 0) {
        (void)!read(wake_fd, &nothing, sizeof nothing);
    }
}

/* How a call reads. */
struct reading {
    struct iovec *into;
    size_t count;
    bool is_nonblocking;
    bool is_timed;
    base_time deadline;
};

/* recv without the lock. */
static ssize_t read_kernel(int fd, int wake_fd, const struct reading *r)
{
    struct msghdr m = {.msg_iov = r->into, .msg_iovlen = r->count};
    int flags = r->is_nonblocking || r->is_timed ? MSG_DONTWAIT : 0;
    ssize_t n = r->count == 1 ? recv(fd, r->into[0].iov_base, r->into[0].iov_len, flags) : recvmsg(fd, &m, flags);

    if (n < 0 && errno == EAGAIN && r->is_timed && !r->is_nonblocking) {
        wait_timed(fd, wake_fd, r->deadline);
        errno = EINTR; /* look again at everything */
    }
    return n;
}

/* The proof of the key that lies behind early bytes. */
static void take_proof(struct rtcp_shared_link *link, const uint8_t *bytes, size_t size)
{
    base_copy(link->proof + link->proof_size, bytes, size);
    link->proof_size += size;
    if (link->proof_size == sizeof link->proof) {
        link->confirm_in = 0;
        if (rtcp_session_confirmed(&link->socket->stream->session, base_clock_now(), link->use.attempt, link->proof) <
            0) {
            rtcp_shared_link_broke(link, 0, "the proof of the key is missing or wrong");
        }
        rtcp_face_post(link->socket);
    }
}

/* Judges what recv said: the count of stream bytes, or BASE_E_AGAIN: look again. */
static int64_t judge(struct rtcp_shared_link *link, ssize_t n, int error, const uint8_t *proof, base_time now)
{
    struct rtcp_stream *stream = link->socket->stream;

    if (n < 0 && (error == EAGAIN || error == EINTR)) {
        return BASE_E_AGAIN;
    }
    if (!rtcp_shared_link_counts(link)) {
        return BASE_E_AGAIN; /* given up meanwhile: its bytes come again */
    }
    if (n > 0 && proof != NULL) {
        take_proof(link, proof, (size_t)n);
        return BASE_E_AGAIN;
    }
    if (n > 0) {
        link->early_in -= link->confirm_in > 0 ? (uint32_t)n : 0;
        rtcp_session_received(&stream->session, now, (size_t)n);
        return n;
    }
    if (n == 0 && link->is_woken) {
        rtcp_shared_link_woken(link);
    } else if (n == 0) {
        rtcp_shared_link_eof(link);
    } else {
        rtcp_shared_link_broke(link, error, "reading failed");
    }
    return BASE_E_AGAIN;
}

/* Reads from the connection. Locked; gives the lock back. As judge. */
static int64_t read_link(struct rtcp_socket *socket, struct rtcp_shared_link *link, const struct reading *how)
{
    uint8_t proof[RTCP_WIRE_CONFIRM];
    struct iovec one = how->into[0];
    struct reading r = *how;
    bool is_proof = link->confirm_in > 0 && link->early_in == 0;
    int wake_fd = socket->wake_fd;
    int64_t result;
    ssize_t n;
    int error;

    if (!rtcp_connection_use(&link->use)) {
        return BASE_E_AGAIN;
    }
    if (link->confirm_in > 0) { /* one range, not beyond what comes before the stream goes on */
        one.iov_base = is_proof ? proof : one.iov_base;
        one.iov_len = is_proof                       ? sizeof proof - link->proof_size
                      : one.iov_len < link->early_in ? one.iov_len
                                                     : link->early_in;
        r.into = &one;
        r.count = 1;
    }
    socket->reading = r.is_timed || r.is_nonblocking ? NULL : link;
    socket->is_timed = r.is_timed;
    rtcp_face_unlock(socket->face);
    n = read_kernel(link->use.fd, wake_fd, &r);
    error = errno;
    pthread_mutex_lock(&socket->face->lock);
    socket->reading = NULL;
    socket->is_timed = false;
    result = judge(link, n, error, is_proof ? proof : NULL, rtcp_endpoint_lately(socket->face->endpoint));
    rtcp_shared_link_leave(link);
    return n < 0 && error == EAGAIN && how->is_nonblocking ? NOTHING : result;
}

/* ------------------------------------------------------------------------------------------------ one call */

/* Copies from bytes that were taken out of a connection earlier. */
static int64_t take_waiting(struct rtcp_stream *stream, const struct reading *r)
{
    int64_t taken = 0;

    for (size_t i = 0; i < r->count && stream->waiting_size > stream->waiting_at; i++) {
        taken += (int64_t)rtcp_stream_take_waiting(stream, r->into[i].iov_base, r->into[i].iov_len);
    }
    return taken;
}

/* The same after the end of the stream; then 0 for the end, or why. */
static int64_t take_rest(struct rtcp_socket *socket, const struct reading *r)
{
    int64_t taken = 0;

    for (size_t i = 0; i < r->count && socket->rest_size > socket->rest_at; i++) {
        size_t left = socket->rest_size - socket->rest_at;
        size_t size = r->into[i].iov_len < left ? r->into[i].iov_len : left;

        base_copy(r->into[i].iov_base, socket->rest + socket->rest_at, size);
        socket->rest_at += size;
        taken += (int64_t)size;
    }
    if (taken == 0 && !socket->was_at_end) {
        return socket->status < 0 ? socket->status : BASE_E_CLOSED;
    }
    return taken;
}

/* One look, with the token: a count, 0 at the end, a status, or BASE_E_AGAIN: nothing yet. */
static int64_t read_once(struct rtcp_socket *socket, struct reading *r)
{
    struct rtcp_shared_link *link;
    int64_t n;

    if (socket->stream == NULL) {
        return take_rest(socket, r);
    }
    if (socket->stream->waiting_size > socket->stream->waiting_at) {
        return take_waiting(socket->stream, r);
    }
    if (rtcp_session_is_at_end(&socket->stream->session)) {
        return 0;
    }
    link = rtcp_shared_link_readable_link(socket);
    if (link == NULL) {
        if (!r->is_nonblocking) {
            (void)rtcp_face_wait(socket->face, &socket->readable, socket->read_deadline);
            return BASE_E_AGAIN;
        }
        return NOTHING;
    }
    r->deadline = socket->read_deadline;
    r->is_timed = r->deadline != BASE_NEVER || link->has_pages;
    n = read_link(socket, link, r);
    if (socket->stream != NULL && socket->stream->session.pending_count > 0) {
        rtcp_face_post(socket);
    }
    return n;
}

/* Why the call ends without a look, or 0. */
static int read_status(const struct rtcp_socket *socket)
{
    if (socket->is_closed || (socket->stream != NULL && socket->stream->session.closed)) {
        return BASE_E_CLOSED;
    }
    return socket->read_deadline != BASE_NEVER && socket->read_deadline <= base_clock_now() ? BASE_E_EXPIRED : 0;
}

/* Takes the token; BASE_E_AGAIN when another thread has it and this one does not wait. */
static int take_token(struct rtcp_socket *socket, bool is_nonblocking)
{
    bool is_again = false;

    while (!rtcp_reader_take(&socket->reader, is_again)) {
        int status = read_status(socket);

        is_again = true;
        if (status < 0 || is_nonblocking) {
            if (rtcp_reader_forget(&socket->reader) != 0) {
                pthread_cond_broadcast(&socket->readable);
            }
            return status < 0 ? status : BASE_E_AGAIN;
        }
        (void)rtcp_face_wait(socket->face, &socket->readable, socket->read_deadline);
    }
    return 0;
}

static int64_t read_locked(struct rtcp_socket *socket, struct reading *r)
{
    int64_t n = read_status(socket);

    rtcp_socket_push(socket); /* whoever reads may wait for the answer */
    (void)rtcp_face_push_held(socket->face);
    if (n == 0) {
        n = take_token(socket, socket->is_nonblocking);
    }
    if (n < 0) {
        return n;
    }
    r->is_nonblocking = socket->is_nonblocking;
    do {
        n = read_status(socket);
        if (n == 0) {
            n = read_once(socket, r);
        }
    } while (n == BASE_E_AGAIN);
    if (rtcp_reader_give(&socket->reader) != 0) {
        pthread_cond_broadcast(&socket->readable);
    }
    return n == NOTHING ? BASE_E_AGAIN : n;
}

/* ------------------------------------------------------------------------------------------------ public */

int64_t rtcp_socket_recvv(struct rtcp_socket *socket, const struct base_span *ranges, size_t count)
{
    struct iovec into[RTCP_SPANS_MAX];
    struct reading r = {.into = into};
    int64_t n;

    for (size_t i = 0; i < count && r.count < RTCP_SPANS_MAX; i++) {
        if (ranges[i].size > 0) {
            into[r.count++] = (struct iovec){ranges[i].data, ranges[i].size};
        }
    }
    if (r.count == 0) {
        return BASE_E_INVALID;
    }
    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    n = socket->is_listener ? BASE_E_UNSUPPORTED : read_locked(socket, &r);
    rtcp_face_unlock(socket->face);
    return n;
}

int64_t rtcp_socket_recv(struct rtcp_socket *socket, void *data, size_t size)
{
    struct base_span range = {data, size};

    return rtcp_socket_recvv(socket, &range, 1);
}

/* The eventfd that wakes a reader with a deadline; made with the first one. A descriptor, BASE_E_SYSTEM or
 * BASE_E_CLOSED. */
static int make_wake_fd(struct rtcp_socket *socket)
{
    int fd = -1;
    int mine;

    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    fd = socket->is_closed ? BASE_E_CLOSED : socket->wake_fd;
    rtcp_face_unlock(socket->face);
    if (fd >= 0 || fd == BASE_E_CLOSED) {
        return fd;
    }
    mine = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (mine < 0 || !rtcp_face_lock(socket->face)) {
        return BASE_E_SYSTEM;
    }
    if (socket->wake_fd < 0) {
        socket->wake_fd = mine;
        mine = -1;
    }
    fd = socket->wake_fd;
    rtcp_face_unlock(socket->face);
    if (mine >= 0) {
        close(mine); /* another thread was faster */
    }
    return fd;
}

int rtcp_socket_set_read_deadline(struct rtcp_socket *socket, base_time in)
{
    uint64_t one = 1;
    int waking;
    int fd = make_wake_fd(socket);

    if (fd < 0 || !rtcp_face_lock(socket->face)) {
        return fd < 0 ? fd : BASE_E_CLOSED;
    }
    socket->read_deadline = in == BASE_NEVER ? BASE_NEVER : base_time_add(base_clock_now(), in);
    waking = socket->is_timed ? fd : -1;
    pthread_cond_broadcast(&socket->readable);
    if (socket->reading != NULL) {
        socket->wants_alarm = true;
        rtcp_face_post(socket);
    }
    rtcp_face_unlock(socket->face);
    if (waking >= 0) {
        (void)!write(waking, &one, sizeof one);
    }
    return 0;
}
