/* The calls of blocking.h: sockets are made, accepted, closed, asked. See blocking_inside.h.
 *
 * Must never know: how bytes move (blocking_read.c, blocking_write.c), who is in a connection (blocking_link.c).
 */
#include "rtcp/blocking_inside.h"
#include "rtcp/defaults.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------ inside */

struct rtcp_socket *rtcp_socket_new(struct rtcp_face *face)
{
    struct rtcp_socket *socket = calloc(1, sizeof *socket);

    if (socket == NULL) {
        return NULL;
    }
    socket->face = face;
    socket->users = 1;
    socket->read_deadline = BASE_NEVER;
    socket->write_deadline = BASE_NEVER;
    socket->wake_fd = -1;
    rtcp_face_init_cond(&socket->readable);
    rtcp_face_init_cond(&socket->writable);
    return socket;
}

void rtcp_socket_release(struct rtcp_socket *socket)
{
    CHECK(socket->users > 0);
    if (--socket->users > 0) {
        return;
    }
    CHECK(socket->stream == NULL && socket->listener == NULL && !socket->reader.is_taken && !socket->is_held);
    pthread_cond_destroy(&socket->readable);
    pthread_cond_destroy(&socket->writable);
    if (socket->wake_fd >= 0) {
        close(socket->wake_fd);
    }
    rtcp_outbox_deinit(&socket->ring);
    free(socket->rest);
    free(socket);
}

void rtcp_socket_wake(struct rtcp_socket *socket)
{
    pthread_cond_broadcast(&socket->readable);
    pthread_cond_broadcast(&socket->writable);
    for (const struct rtcp_poller *p = socket->pollers; p != NULL; p = p->next) {
        (void)eventfd_write(p->fd, 1);
    }
}

void rtcp_socket_settle(struct rtcp_socket *socket, base_time now)
{
    const struct rtcp_stream *stream = socket->stream;

    if (stream == NULL) {
        return;
    }
    if (stream->session.pending_count > 0) {
        rtcp_face_post(socket);
    } else if (!stream->is_armed || stream->armed > now + RTCP_PROBE_FIRST) {
        base_time due = rtcp_session_deadline(&stream->session);

        if (due != BASE_NEVER && (!stream->is_armed || due < stream->armed)) {
            rtcp_face_post(socket); /* its timer would come too late */
        }
    }
}

int rtcp_socket_ended(const struct rtcp_socket *socket)
{
    if (socket->is_listener) {
        return BASE_E_UNSUPPORTED;
    }
    if (socket->is_closed || (socket->stream != NULL && socket->stream->session.closed)) {
        return BASE_E_CLOSED;
    }
    if (socket->stream == NULL) {
        return socket->status < 0 ? socket->status : BASE_E_CLOSED;
    }
    if (socket->stream->session.life == RTCP_LIFE_DEAD) {
        const struct rtcp_stream *stream = socket->stream;
        int end = stream->closed_status < 0 ? stream->closed_status : stream->session.end;

        return end < 0 ? end : BASE_E_CLOSED;
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ connect */

void rtcp_socket_options_default(struct rtcp_socket_options *o)
{
    base_zero(o, sizeof *o);
    rtcp_stream_options_default(&o->stream);
}

struct connecting {
    struct rtcp_address server[RTCP_ADDRESSES_MAX];
    int count;
    const char *names; /* in the address, for later attempts; or "" */
    struct rtcp_stream_options options;
    struct rtcp_socket *socket;
};

/* Looks the server up: before the lock, because it may take its time. What cannot be looked up now is left to the
 * attempts, which look again: it is no more an error than silence. 0 or a status. */
static int look_up(struct connecting *c, const char *address)
{
    int status = rtcp_address_look_up(address, 0, c->server);
    bool is_later = status == BASE_E_AGAIN || (status == BASE_E_NOTFOUND && c->options.retry_refused);

    c->count = status > 0 ? status : 0;
    c->names = is_later || (status > 0 && rtcp_address_has_names(address)) ? address : "";
    return status > 0 || is_later ? 0 : status;
}

static int do_connect(struct rtcp_face *face, void *argument)
{
    struct connecting *c = argument;
    struct rtcp_stream *stream;
    int status = rtcp_stream_connect(face->endpoint, c->server, c->count, c->names, &c->options, NULL, NULL, &stream);

    if (status == 0) {
        rtcp_shared_link_adopt(c->socket, stream);
    }
    return status;
}

/* Whether the opening has come as far as the caller waits for: 1, 0 not yet, or why it ended. */
static int open_status(const struct rtcp_socket *socket, bool wait_accepted)
{
    int status = rtcp_socket_ended(socket);

    if (status < 0) {
        return status;
    }
    return socket->stream->session.life != RTCP_LIFE_OPENING || (socket->is_greeted && !wait_accepted);
}

static int wait_open(struct rtcp_socket *socket, bool wait_accepted, base_time until)
{
    for (;;) {
        int status = open_status(socket, wait_accepted);

        if (status != 0) {
            return status < 0 ? status : 0;
        }
        if (until != BASE_NEVER && base_clock_now() >= until) {
            return BASE_E_EXPIRED;
        }
        (void)rtcp_face_wait(socket->face, &socket->writable, until);
    }
}

int rtcp_socket_connect(const char *address, const struct rtcp_socket_options *options, base_time timeout,
                        struct rtcp_socket **ret_socket)
{
    base_time until = timeout == BASE_NEVER ? BASE_NEVER : base_time_add(base_clock_now(), timeout);
    struct rtcp_socket_options defaults;
    struct connecting c;
    struct rtcp_face *face;
    int status;

    rtcp_socket_options_default(&defaults);
    options = options == NULL ? &defaults : options;
    c.options = options->stream;
    c.options.no_early_data = true; /* the opening is sent before the caller has a socket to send on */
    status = rtcp_stream_options_check(&c.options);
    if (status == 0) {
        status = look_up(&c, address);
    }
    if (status == 0) {
        status = rtcp_face_get(&face);
    }
    if (status < 0) {
        return status;
    }
    c.socket = rtcp_socket_new(face);
    if (c.socket == NULL || !rtcp_face_lock(face)) {
        return BASE_E_NOMEM;
    }
    c.socket->is_nonblocking = options->is_nonblocking;
    status = rtcp_face_run(face, do_connect, &c);
    if (status == 0 && timeout > 0 && !options->is_nonblocking) {
        status = wait_open(c.socket, options->wait_accepted, until);
    }
    if (status < 0) {
        c.socket->is_closed = true;
        if (c.socket->stream != NULL) {
            rtcp_session_close(&c.socket->stream->session, base_clock_now(), true);
            rtcp_face_post(c.socket);
        }
        rtcp_socket_release(c.socket);
    } else {
        *ret_socket = c.socket;
    }
    rtcp_face_unlock(face);
    return status;
}

int rtcp_socket_wait_open(struct rtcp_socket *socket)
{
    int status;

    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    if (socket->is_nonblocking) {
        status = open_status(socket, true);
        status = status == 0 ? BASE_E_AGAIN : status < 0 ? status : 0;
    } else {
        do { /* the deadline may be moved meanwhile */
            status = wait_open(socket, true, socket->write_deadline);
        } while (status == BASE_E_EXPIRED && socket->write_deadline > base_clock_now());
    }
    rtcp_face_unlock(socket->face);
    return status;
}

/* ------------------------------------------------------------------------------------------------ listen, accept */

struct listening {
    const char *address;
    const struct rtcp_listen_options *options;
    struct rtcp_socket *socket;
};

static bool has_room(void *user)
{
    const struct rtcp_socket *socket = user;

    return socket->accepted < socket->accepted_max;
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct rtcp_socket *socket = user;
    struct rtcp_socket *accepted = rtcp_socket_new(socket->face);

    (void)listener;
    if (accepted == NULL) {
        rtcp_close(stream, RTCP_LINGER_ABORT);
        return;
    }
    rtcp_shared_link_adopt(accepted, stream);
    if (socket->accepted_last != NULL) {
        socket->accepted_last->next_accepted = accepted;
    } else {
        socket->accepted_first = accepted;
    }
    socket->accepted_last = accepted;
    socket->accepted++;
    rtcp_socket_wake(socket);
}

static int do_listen(struct rtcp_face *face, void *argument)
{
    struct listening *l = argument;
    struct rtcp_socket *socket = l->socket;
    int status = rtcp_listen(face->endpoint, l->address, l->options, on_accept, socket, &socket->listener);

    if (status == 0) {
        socket->listener->has_room = has_room;
        socket->users++;
        base_copy(socket->address, socket->listener->text, sizeof socket->address);
    }
    return status;
}

int rtcp_socket_listen(const char *address, const struct rtcp_listen_options *options, struct rtcp_socket **ret_socket)
{
    struct rtcp_listen_options defaults;
    struct listening l = {.options = options};
    struct rtcp_address at[RTCP_ADDRESSES_MAX];
    char text[RTCP_ADDRESS_TEXT];
    struct rtcp_face *face;
    int status = rtcp_address_parse(address, at); /* before the lock: it may take its time */

    rtcp_listen_options_default(&defaults);
    status = status < 0 ? status : rtcp_face_get(&face);
    if (status < 0) {
        return status;
    }
    rtcp_address_print(&at[0], text);
    l.address = text;
    l.socket = rtcp_socket_new(face);
    if (l.socket == NULL || !rtcp_face_lock(face)) {
        return BASE_E_NOMEM;
    }
    l.socket->is_listener = true;
    l.socket->accepted_max = options == NULL ? defaults.backlog : options->backlog;
    status = rtcp_face_run(face, do_listen, &l);
    if (status < 0) {
        rtcp_socket_release(l.socket);
    } else {
        *ret_socket = l.socket;
    }
    rtcp_face_unlock(face);
    return status;
}

static struct rtcp_socket *take_accepted(struct rtcp_socket *listener)
{
    struct rtcp_socket *socket = listener->accepted_first;

    if (socket != NULL) {
        listener->accepted_first = socket->next_accepted;
        listener->accepted_last = listener->accepted_first == NULL ? NULL : listener->accepted_last;
        listener->accepted--;
    }
    return socket;
}

static int accept_status(const struct rtcp_socket *listener)
{
    if (!listener->is_listener) {
        return BASE_E_UNSUPPORTED;
    }
    if (listener->is_closed) {
        return BASE_E_CLOSED;
    }
    return listener->read_deadline != BASE_NEVER && listener->read_deadline <= base_clock_now() ? BASE_E_EXPIRED : 0;
}

int rtcp_socket_accept(struct rtcp_socket *listener, struct rtcp_socket **ret_socket)
{
    struct rtcp_socket *socket = NULL;
    int status;

    if (!rtcp_face_lock(listener->face)) {
        return BASE_E_CLOSED;
    }
    while ((status = accept_status(listener)) == 0 && (socket = take_accepted(listener)) == NULL) {
        if (listener->is_nonblocking) {
            status = BASE_E_AGAIN;
            break;
        }
        (void)rtcp_face_wait(listener->face, &listener->readable, listener->read_deadline);
    }
    rtcp_face_unlock(listener->face);
    if (status == 0) {
        *ret_socket = socket;
    }
    return status;
}

/* ------------------------------------------------------------------------------------------------ end */

static int do_stop(struct rtcp_face *face, void *argument)
{
    struct rtcp_socket *listener = argument;
    struct rtcp_socket *socket;

    (void)face;
    while ((socket = take_accepted(listener)) != NULL) {
        if (socket->stream != NULL) {
            rtcp_session_close(&socket->stream->session, base_clock_now(), true);
            rtcp_face_post(socket);
        }
        rtcp_socket_release(socket);
    }
    listener->listener->has_room = NULL;
    rtcp_listener_close(listener->listener);
    listener->listener = NULL;
    rtcp_socket_release(listener);
    return 0;
}

int rtcp_socket_shutdown(struct rtcp_socket *socket)
{
    base_time now = base_clock_now();
    int status;

    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    status = rtcp_socket_ended(socket);
    if (status == 0) {
        status = rtcp_session_shutdown(&socket->stream->session, now);
        rtcp_face_post(socket);
        rtcp_socket_wake(socket); /* who waits for room waits in vain */
    }
    rtcp_face_unlock(socket->face);
    return status;
}

/* Gives a stream up. Locked; gives the lock back. */
static void close_stream(struct rtcp_socket *socket, enum rtcp_linger linger)
{
    socket->is_closed = true;
    if (socket->stream != NULL) {
        rtcp_session_linger(&socket->stream->session, BASE_NEVER, linger == RTCP_LINGER_FOREVER);
        rtcp_session_close(&socket->stream->session, base_clock_now(), linger == RTCP_LINGER_ABORT);
        rtcp_face_post(socket);
    }
    rtcp_socket_wake(socket);
    rtcp_shared_link_wake_reader(socket);
}

/* Stops listening. Locked; gives the lock back. */
static void close_listener(struct rtcp_socket *socket)
{
    if (!socket->is_closed) {
        socket->is_closed = true;
        rtcp_socket_wake(socket);
        (void)!rtcp_face_run(socket->face, do_stop, socket);
    }
}

int rtcp_socket_close(struct rtcp_socket *socket, enum rtcp_linger linger, base_time timeout)
{
    base_time until = timeout == BASE_NEVER ? BASE_NEVER : base_time_add(base_clock_now(), timeout);
    int status = 0;

    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    if (socket->is_listener) {
        close_listener(socket);
    } else {
        close_stream(socket, linger);
        while (timeout > 0 && socket->stream != NULL && (until == BASE_NEVER || base_clock_now() < until)) {
            (void)rtcp_face_wait(socket->face, &socket->writable, until);
        }
        if (timeout > 0) {
            status = socket->stream != NULL ? BASE_E_EXPIRED : socket->status;
        }
    }
    rtcp_face_unlock(socket->face);
    return status;
}

void rtcp_socket_free(struct rtcp_socket *socket)
{
    struct rtcp_face *face;

    if (socket == NULL || !rtcp_face_lock(socket->face)) {
        return; /* in a child: the memory is a copy that nobody cares for */
    }
    face = socket->face;
    if (socket->is_listener) {
        close_listener(socket);
    } else if (!socket->is_closed) {
        close_stream(socket, RTCP_LINGER_BACKGROUND);
    }
    rtcp_socket_release(socket);
    rtcp_face_unlock(face);
}

/* ------------------------------------------------------------------------------------------------ settings, asking */

int rtcp_socket_set_write_deadline(struct rtcp_socket *socket, base_time in)
{
    int status;

    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    status = socket->is_closed ? BASE_E_CLOSED : 0;
    socket->write_deadline = in == BASE_NEVER ? BASE_NEVER : base_time_add(base_clock_now(), in);
    pthread_cond_broadcast(&socket->writable);
    rtcp_face_unlock(socket->face);
    return status;
}

int rtcp_socket_set_nonblocking(struct rtcp_socket *socket, bool is_nonblocking)
{
    int status;

    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    status = socket->is_closed ? BASE_E_CLOSED : 0;
    socket->is_nonblocking = is_nonblocking;
    rtcp_face_unlock(socket->face);
    return status;
}

int rtcp_socket_info(struct rtcp_socket *socket, struct rtcp_info *ret_info)
{
    if (!rtcp_face_lock(socket->face)) {
        return BASE_E_CLOSED;
    }
    if (socket->stream != NULL) {
        rtcp_info(socket->stream, ret_info);
    } else if (!socket->is_listener) {
        *ret_info = socket->info;
    }
    rtcp_face_unlock(socket->face);
    return socket->is_listener ? BASE_E_UNSUPPORTED : 0;
}

void rtcp_socket_address(struct rtcp_socket *socket, char ret_text[RTCP_ADDRESS_TEXT])
{
    ret_text[0] = '\0';
    if (rtcp_face_lock(socket->face)) {
        base_copy(ret_text, socket->stream != NULL ? socket->stream->peer_text : socket->address, RTCP_ADDRESS_TEXT);
        rtcp_face_unlock(socket->face);
    }
}
