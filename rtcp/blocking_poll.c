/* Waiting for several sockets of the blocking face: for bytes in the kernel, and for what the control thread knows. See
 * blocking_inside.h.
 *
 * A thread that waits takes a use of each connection it watches, like one that reads: so its number cannot become
 * another's, and a freeze waits until it is out. Changes that the kernel does not tell come through an eventfd.
 */
#include "rtcp/blocking_inside.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* One socket of a call, and what is watched for it. */
struct watched {
    struct rtcp_shared_link *link; /* a use was taken; NULL: nothing in the kernel to wait for */
    struct rtcp_poller poller;
    bool has_bytes; /* in the kernel */
};

struct waiting {
    struct rtcp_face *face;
    struct rtcp_poll *polls;
    size_t count;
    struct watched *watched;
    struct pollfd *fds; /* the eventfd, then one for each */
};

/* Who asks here and never runs into the full ring counts as waiting for room all the same: the acknowledgement that
 * makes some wakes us, and a ring that stays full grows. */
static void meet_full_ring(struct rtcp_socket *socket)
{
    base_time now = base_clock_now();
    struct base_span room;

    (void)!rtcp_session_reserve(&socket->stream->session, now, &room);
    rtcp_socket_settle(socket, now);
}

static unsigned ready(struct rtcp_socket *socket, unsigned events, bool has_bytes)
{
    unsigned found = 0;

    if (socket->is_closed) {
        return events;
    }
    if (socket->is_listener) {
        return socket->accepted_first != NULL ? events & RTCP_POLL_READ : 0;
    }
    if (has_bytes || rtcp_shared_link_has_input(socket)) {
        found |= RTCP_POLL_READ;
    }
    if (rtcp_socket_ended(socket) < 0 || rtcp_room(socket->stream) > 0 || socket->stream->session.shut ||
        socket->stream->session.peer_closed) {
        found |= RTCP_POLL_WRITE;
    } else if ((events & RTCP_POLL_WRITE) != 0) {
        meet_full_ring(socket);
    }
    return found & events;
}

/* Takes uses and places in lists. Locked. */
static void watch(struct waiting *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct rtcp_socket *socket = w->polls[i].socket;
        struct watched *one = &w->watched[i];

        one->link = NULL;
        w->fds[i + 1] = (struct pollfd){.fd = -1};
        if (socket == NULL) {
            continue;
        }
        one->poller.fd = w->fds[0].fd;
        one->poller.next = socket->pollers;
        socket->pollers = &one->poller;
        if ((w->polls[i].events & RTCP_POLL_READ) != 0 && !socket->is_listener) {
            one->link = rtcp_shared_link_readable_link(socket);
            if (one->link != NULL && rtcp_connection_use(&one->link->use)) {
                w->fds[i + 1] = (struct pollfd){.fd = one->link->use.fd, .events = POLLIN};
            } else {
                one->link = NULL;
            }
        }
    }
}

/* Gives them back, and looks at what the kernel said. Locked; gives the lock back. */
static void unwatch(struct waiting *w)
{
    for (size_t i = 0; i < w->count; i++) {
        struct rtcp_socket *socket = w->polls[i].socket;
        struct watched *one = &w->watched[i];
        struct rtcp_poller **at;
        int unread = 0;

        if (socket == NULL) {
            continue;
        }
        for (at = &socket->pollers; *at != &one->poller; at = &(*at)->next) {
        }
        *at = one->poller.next;
        one->has_bytes = false;
        if (one->link == NULL) {
            continue;
        }
        if (w->fds[i + 1].revents != 0 && rtcp_shared_link_counts(one->link)) {
            one->has_bytes = ioctl(one->link->use.fd, FIONREAD, &unread) == 0 && unread > 0;
            if (!one->has_bytes) {
                rtcp_shared_link_look(one->link, (uint32_t)w->fds[i + 1].revents);
            }
        }
        rtcp_shared_link_leave(one->link);
    }
}

static int count_ready(struct waiting *w)
{
    int count = 0;

    for (size_t i = 0; i < w->count; i++) {
        struct rtcp_poll *p = &w->polls[i];

        p->ready = p->socket == NULL ? 0 : ready(p->socket, p->events, w->watched[i].has_bytes);
        count += p->ready != 0;
    }
    return count;
}

/* Whoever waits may wait for the answer to what waits for more bytes. Locked; gives the lock back. */
static void push_all(struct waiting *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->polls[i].socket != NULL) {
            rtcp_socket_push(w->polls[i].socket);
        }
    }
    (void)rtcp_face_push_held(w->face);
}

static int wait_for_any(struct waiting *w, base_time until)
{
    if (count_ready(w) == 0) {
        push_all(w);
    }
    for (;;) {
        int count = count_ready(w);
        base_time left = count > 0 ? 0 : base_time_since(until, base_clock_now());
        struct timespec at = {.tv_sec = (time_t)(left / BASE_S(1)), .tv_nsec = (long)(left % BASE_S(1))};
        eventfd_t nothing;

        watch(w);
        rtcp_face_unlock(w->face);
        (void)ppoll(w->fds, (nfds_t)w->count + 1, until == BASE_NEVER && count == 0 ? NULL : &at, NULL);
        (void)eventfd_read(w->fds[0].fd, &nothing);
        pthread_mutex_lock(&w->face->lock);
        unwatch(w);
        count = count_ready(w);
        if (count > 0 || (until != BASE_NEVER && base_clock_now() >= until)) {
            return count;
        }
    }
}

int rtcp_socket_poll(struct rtcp_poll *polls, size_t count, base_time timeout)
{
    base_time until = timeout == BASE_NEVER ? BASE_NEVER : base_time_add(base_clock_now(), timeout);
    struct waiting w = {.polls = polls, .count = count};
    int status = count > RTCP_POLL_MAX ? BASE_E_RANGE : rtcp_face_get(&w.face);

    if (status < 0) {
        return status;
    }
    w.watched = calloc(count + 1, sizeof *w.watched);
    w.fds = calloc(count + 1, sizeof *w.fds);
    if (w.watched == NULL || w.fds == NULL) {
        free(w.watched);
        free(w.fds);
        return BASE_E_NOMEM;
    }
    w.fds[0] = (struct pollfd){.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), .events = POLLIN};
    status = w.fds[0].fd < 0 ? BASE_E_SYSTEM : 0;
    for (size_t i = 0; i < count && status == 0; i++) {
        status = polls[i].socket != NULL && polls[i].socket->face != w.face ? BASE_E_CLOSED : 0;
    }
    if (status == 0 && rtcp_face_lock(w.face)) {
        status = wait_for_any(&w, until);
        rtcp_face_unlock(w.face);
    }
    if (w.fds[0].fd >= 0) {
        close(w.fds[0].fd);
    }
    free(w.watched);
    free(w.fds);
    return status;
}
