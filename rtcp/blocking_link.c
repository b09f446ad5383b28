/* One TCP connection of a shared stream: how threads come to it, how it is frozen and dropped while they are inside.
 * See blocking_inside.h; the rules are those of tokens.h.
 *
 * Must never know: what the application wants; the protocol.
 */
#include "rtcp/blocking_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DRAIN_CHUNK 16384u

/* ------------------------------------------------------------------------------------------------ counting */

bool rtcp_shared_link_counts(const struct rtcp_shared_link *link)
{
    const struct rtcp_stream *stream = link->socket->stream;

    /* The session's word goes first: it may have given the connection up before the driver hears of it. */
    return stream != NULL && stream->session.path == RTCP_PATH_ATTACHED && stream->session.live == link->use.attempt &&
           rtcp_connection_counts(&link->use);
}

void rtcp_shared_link_broke(struct rtcp_shared_link *link, int error, const char *why)
{
    if (rtcp_shared_link_counts(link)) {
        rtcp_session_broke(&link->socket->stream->session, base_clock_now(), link->use.attempt,
                           rtcp_link_evidence(error), why);
        rtcp_face_post(link->socket);
    }
}

void rtcp_shared_link_eof(struct rtcp_shared_link *link)
{
    if (rtcp_shared_link_counts(link) && !link->is_eof) {
        link->is_eof = true;
        rtcp_session_eof(&link->socket->stream->session, base_clock_now(), link->use.attempt);
        rtcp_face_post(link->socket);
    }
}

void rtcp_shared_link_woken(struct rtcp_shared_link *link)
{
    const struct rtcp_stream *stream = link->socket->stream;

    if (stream != NULL && !stream->session.closed && !rtcp_session_is_at_end(&stream->session)) {
        rtcp_shared_link_broke(link, 0, "a reader had to be woken");
    }
}

/* ------------------------------------------------------------------------------------------------ the last one out */

/* Takes what fits out of a connection that nobody will read any more: it needs no repetition (design 2.4). */
static void drain(struct rtcp_shared_link *link)
{
    struct rtcp_socket *socket = link->socket;
    uint8_t bytes[DRAIN_CHUNK];

    while (rtcp_shared_link_counts(link) && !socket->stream->held_until_confirmed && link->confirm_in == 0) {
        struct rtcp_stream *stream = socket->stream;
        size_t may = rtcp_session_may_hold(&stream->session, stream->waiting_size - stream->waiting_at);
        ssize_t n;

        if (may == 0) {
            return;
        }
        rtcp_face_unlock(socket->face);
        n = recv(link->use.fd, bytes, may < sizeof bytes ? may : sizeof bytes, MSG_DONTWAIT);
        pthread_mutex_lock(&socket->face->lock);
        stream = socket->stream;
        if (n <= 0 || !rtcp_shared_link_counts(link) || !rtcp_stream_waiting_room(stream, (size_t)n)) {
            return; /* not counted: the peer sends it again */
        }
        base_copy(stream->waiting + stream->waiting_size, bytes, (size_t)n);
        stream->waiting_size += (size_t)n;
        rtcp_session_received(&stream->session, base_clock_now(), (size_t)n);
    }
}

/* Its descriptor is closed: the number may be another's. */
static void forget(struct rtcp_shared_link *link)
{
    *(link->prev != NULL ? &link->prev->next : &link->face->links) = link->next;
    if (link->next != NULL) {
        link->next->prev = link->prev;
    }
    link->is_gone = true;
    if (link->link != NULL) {
        link->link->fd = -1;
    }
}

/* Only the control thread closes: libev may still ask the kernel about a number that it has stopped watching, and must
 * not meet another's. */
static void close_descriptor(struct rtcp_shared_link *link)
{
    struct rtcp_face *face = link->face;
    struct linger now = {.l_onoff = 1, .l_linger = 0};

    face->is_closing = true;
    rtcp_endpoint_leave(face->endpoint);
    (void)epoll_ctl(face->ends_fd, EPOLL_CTL_DEL, link->use.fd, NULL);
    if (!link->is_gentle) {
        setsockopt(link->use.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* it holds nothing we need (P39) */
    }
    close(link->use.fd);
    rtcp_endpoint_enter(face->endpoint);
    face->is_closing = false;
    pthread_cond_broadcast(&face->done);
    forget(link);
    if (link->link == NULL) {
        free(link);
    }
}

void rtcp_shared_link_close_left(struct rtcp_face *face)
{
    while (face->left != NULL) {
        struct rtcp_shared_link *link = face->left;

        face->left = link->next_left;
        close_descriptor(link);
    }
}

void rtcp_shared_link_order(struct rtcp_shared_link *link, unsigned orders)
{
    struct rtcp_socket *socket = link->socket;

    if ((orders & RTCP_ORDER_DRAIN) != 0) {
        drain(link);
    }
    if ((orders & RTCP_ORDER_POST) != 0 && rtcp_shared_link_counts(link)) {
        rtcp_session_frozen(&socket->stream->session, base_clock_now(), link->use.attempt, false);
        rtcp_face_post(socket);
    }
    if ((orders & RTCP_ORDER_CLOSE) != 0) {
        rtcp_socket_wake(socket);
        link->next_left = link->face->left;
        link->face->left = link;
        link->face->is_call_wanted = true;
    }
}

void rtcp_shared_link_leave(struct rtcp_shared_link *link)
{
    unsigned orders = rtcp_connection_leave(&link->use);

    if (orders != 0) {
        rtcp_shared_link_order(link, orders);
    }
}

/* Nobody comes in any more. */
static void kill_link(struct rtcp_shared_link *link, bool is_freeze)
{
    struct rtcp_socket *socket = link->socket;
    unsigned orders = rtcp_connection_kill(&link->use, is_freeze);

    if (socket->link == link) {
        socket->link = NULL;
    }
    if ((orders & RTCP_ORDER_SHUTDOWN) != 0) {
        rtcp_face_unlock(socket->face);
        shutdown(link->use.fd, SHUT_RDWR);
        pthread_mutex_lock(&socket->face->lock);
        orders = rtcp_connection_leave(&link->use);
    }
    if (link->is_gone && link->link == NULL) {
        free(link);
        return;
    }
    rtcp_shared_link_order(link, orders);
    rtcp_shared_link_close_left(socket->face);
}

void rtcp_shared_link_wake_reader(struct rtcp_socket *socket)
{
    struct rtcp_shared_link *link = socket->link;

    if (link == NULL || link->is_woken || !rtcp_connection_use(&link->use)) {
        return;
    }
    link->is_woken = true;
    rtcp_face_unlock(socket->face);
    shutdown(link->use.fd, SHUT_RD);
    pthread_mutex_lock(&socket->face->lock);
    rtcp_shared_link_leave(link);
}

/* ------------------------------------------------------------------------------------------------ hooks */

/* Threads wait in the kernel, unless sendfile is wanted: it has no MSG_DONTWAIT, so the connection stays non-blocking,
 * and who reads it waits in poll. */
static bool set_waiting(struct rtcp_shared_link *link, int fd)
{
    struct rtcp_socket *socket = link->socket;
    int flags = fcntl(fd, F_GETFL);

    if (!socket->stream->no_pages && socket->wake_fd < 0) {
        socket->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    }
    link->has_pages = !socket->stream->no_pages && socket->wake_fd >= 0;
    return link->has_pages || (flags >= 0 && fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0);
}

void rtcp_shared_link_attach(struct rtcp_link *link)
{
    struct rtcp_socket *socket = link->stream->share;
    struct rtcp_shared_link *shared = calloc(1, sizeof *shared);
    struct epoll_event ends = {.events = EPOLLRDHUP | EPOLLET};

    ev_io_stop(link->endpoint->loop, &link->reader);
    if (shared != NULL) {
        shared->socket = socket;
    }
    if (shared == NULL || !set_waiting(shared, link->fd)) {
        free(shared);
        rtcp_link_broke(link, base_clock_now(), 0, "no memory to share it");
        return;
    }
    rtcp_connection_init(&shared->use, link->fd, link->attempt);
    shared->face = socket->face;
    shared->next = socket->face->links;
    if (shared->next != NULL) {
        shared->next->prev = shared;
    }
    socket->face->links = shared;
    shared->link = link;
    shared->is_eof = link->is_eof;
    shared->is_greeted = link->out_sent == link->out_size && !link->confirm_pending;
    shared->early_in = link->early_in;
    shared->confirm_in = link->confirm_in;
    ends.data.ptr = shared;
    (void)epoll_ctl(socket->face->ends_fd, EPOLL_CTL_ADD, link->fd, &ends); /* without it the pulse finds out */
    link->shared = shared;
    socket->link = shared;
    socket->is_greeted = true;
    socket->stream->flush_at = 0; /* what goes out again has waited */
    rtcp_socket_wake(socket);
}

bool rtcp_shared_link_flush(struct rtcp_link *link, base_time now)
{
    struct rtcp_socket *socket = link->shared->socket;
    struct ev_loop *loop = link->endpoint->loop;
    int done = 1;

    if (link->state != RTCP_LINK_STREAM || !rtcp_writer_take(&socket->writer, true)) {
        return true; /* a thread sends, and looks again before it stops */
    }
    if (!link->shared->is_greeted) {
        done = rtcp_link_flush_out(link);
        link->shared->is_greeted = done == 1;
    }
    if (done < 0) {
        rtcp_link_broke(link, now, errno, "writing failed");
    }
    if (done == 0 || !rtcp_shared_link_send(socket, true)) {
        ev_io_start(loop, &link->writer); /* the token stays with us meanwhile */
    } else {
        ev_io_stop(loop, &link->writer);
    }
    return done >= 0;
}

void rtcp_shared_link_freeze(struct rtcp_link *link)
{
    rtcp_link_freeze(link);
    kill_link(link->shared, true);
}

void rtcp_shared_link_drop(struct rtcp_link *link, bool is_gentle)
{
    struct rtcp_shared_link *shared = link->shared;

    link->shared = NULL;
    link->fd = -1; /* whoever leaves last closes it */
    shared->link = NULL;
    shared->is_gentle = is_gentle;
    kill_link(shared, false);
}

void rtcp_shared_link_greeted(struct rtcp_stream *stream)
{
    stream->share->is_greeted = true;
    rtcp_socket_wake(stream->share);
}

bool rtcp_shared_link_is_quiet(const struct rtcp_stream *stream)
{
    return !stream->share->in_flight;
}

bool rtcp_shared_link_run(struct rtcp_stream *stream)
{
    struct rtcp_socket *socket = stream->share;

    stream->reports &= RTCP_REPORT_CLOSED;
    rtcp_socket_wake(socket);
    if (stream->session.closed || rtcp_session_is_at_end(&stream->session)) {
        rtcp_shared_link_wake_reader(socket); /* no byte will come to wake it */
    }
    if ((stream->reports & RTCP_REPORT_CLOSED) == 0 || stream->is_ready) {
        return false;
    }
    stream->is_ready = true; /* not to be queued any more */
    rtcp_stream_free(stream);
    return true;
}

void rtcp_shared_link_end(struct rtcp_stream *stream)
{
    struct rtcp_socket *socket = stream->share;

    rtcp_info(stream, &socket->info);
    socket->info.state = RTCP_DEAD;
    socket->status = stream->closed_status;
    socket->was_at_end = rtcp_session_is_at_end(&stream->session);
    base_copy(socket->address, stream->peer_text, sizeof socket->address);
    if (socket->in_flight) { /* a thread is giving its bytes to a dead connection: they stay until it is back */
        socket->ring = stream->session.out;
        stream->session.out.ring.at = NULL;
    }
    socket->rest = stream->waiting;
    socket->rest_size = stream->waiting_size;
    socket->rest_at = stream->waiting_at;
    stream->waiting = NULL;
    socket->stream = NULL;
    rtcp_socket_let_go(socket);
    stream->share = NULL;
    rtcp_socket_wake(socket);
    rtcp_socket_release(socket);
}

static void on_alarm(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rtcp_socket *socket = w->data;
    base_time now = base_clock_now();

    (void)events;
    (void)loop;
    socket->keeps_alive = false;
    if (socket->reading != NULL && !socket->is_closed && socket->read_deadline <= now) {
        rtcp_shared_link_wake_reader(socket);
    } else {
        rtcp_socket_alarm(socket);
    }
    rtcp_socket_release(socket);
}

void rtcp_socket_alarm(struct rtcp_socket *socket)
{
    base_time now = base_clock_now();

    if (socket->keeps_alive) {
        ev_timer_stop(socket->face->loop, &socket->alarm);
        socket->keeps_alive = false;
        rtcp_socket_release(socket);
    }
    if (socket->reading == NULL || socket->is_closed || socket->read_deadline == BASE_NEVER) {
        return;
    }
    socket->keeps_alive = true;
    socket->users++;
    ev_timer_set(&socket->alarm, (double)base_time_since(socket->read_deadline, now) / 1e9, 0.);
    ev_timer_start(socket->face->loop, &socket->alarm);
}

void rtcp_shared_link_adopt(struct rtcp_socket *socket, struct rtcp_stream *stream)
{
    socket->stream = stream;
    socket->users++;
    stream->share = socket;
    ev_init(&socket->alarm, on_alarm);
    socket->alarm.data = socket;
    if (stream->live != NULL && stream->live->state == RTCP_LINK_STREAM) {
        rtcp_shared_link_attach(stream->live);
    }
}

/* ------------------------------------------------------------------------------------------------ ends */

/* Nobody may be reading it: then nobody else finds out that it is over. Bytes that wait in it are read first: by the
 * application, or by the freeze of the next attempt. */
void rtcp_shared_link_look(struct rtcp_shared_link *link, uint32_t events)
{
    bool is_broken = (events & (uint32_t)EPOLLERR) != 0;
    int unread = 0;
    int error = 0;
    socklen_t size = sizeof error;

    if (link->use.is_dead || link->is_eof || link->socket->reader.is_taken ||
        ioctl(link->use.fd, FIONREAD, &unread) < 0 || unread > 0) {
        return;
    }
    if (link->is_woken && !is_broken) {
        rtcp_shared_link_woken(link); /* the reader had its byte and left in the instant it was woken */
    } else if (is_broken && getsockopt(link->use.fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0) {
        rtcp_shared_link_broke(link, error, "it broke");
    } else {
        rtcp_shared_link_eof(link);
    }
}

void rtcp_shared_link_on_end(struct rtcp_face *face)
{
    struct epoll_event event;

    while (epoll_wait(face->ends_fd, &event, 1, 0) == 1) { /* one at a time: the next may be freed meanwhile */
        rtcp_shared_link_look(event.data.ptr, event.events);
    }
}
