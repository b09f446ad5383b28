/* See perf_wire.h: plain TCP on libev, the same shape as the event-driven face: non-blocking sockets, TCP_NODELAY, one
 * reading watcher, a writing watcher while the kernel is full.
 */
#include "rtcp/base/bytes.h"
#include "rtcp/tools/perf_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct context {
    struct ev_loop *loop;
    ev_io acceptor;
    int fd;
    int flags; /* of send */
    void (*on_accept)(void *user, struct perf_conn *conn);
    void *user;
};

struct perf_conn {
    struct ev_loop *loop;
    int fd;
    int flags;
    ev_io reader, writer;
    struct perf_calls calls;
    void *user;
    int in_call; /* hang_up from a callback waits for its end */
    int is_over;
};

static void finish(struct perf_conn *c)
{
    ev_io_stop(c->loop, &c->reader);
    ev_io_stop(c->loop, &c->writer);
    close(c->fd);
    if (c->calls.on_closed != NULL) {
        c->calls.on_closed(c->user, c);
    }
    free(c);
}

static void call(struct perf_conn *c, void (*callback)(void *user, struct perf_conn *conn))
{
    c->in_call++;
    if (callback != NULL) {
        callback(c->user, c);
    }
    c->in_call--;
    if (c->is_over && c->in_call == 0) {
        finish(c);
    }
}

static void on_reader(struct ev_loop *loop, ev_io *w, int events)
{
    struct perf_conn *c = w->data;

    (void)loop;
    (void)events;
    call(c, c->calls.on_readable);
}

static void on_writer(struct ev_loop *loop, ev_io *w, int events)
{
    struct perf_conn *c = w->data;

    (void)events;
    ev_io_stop(loop, w);
    call(c, c->calls.on_writable);
}

static struct perf_conn *conn_new(struct context *x, int fd)
{
    struct perf_conn *c = calloc(1, sizeof *c);
    int one = 1;

    if (c == NULL) {
        close(fd);
        return NULL;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    c->loop = x->loop;
    c->flags = x->flags;
    c->fd = fd;
    ev_io_init(&c->reader, on_reader, fd, EV_READ);
    ev_io_init(&c->writer, on_writer, fd, EV_WRITE);
    c->reader.data = c;
    c->writer.data = c;
    return c;
}

static void *open_context(struct ev_loop *loop, const struct perf_options *o)
{
    struct context *x = calloc(1, sizeof *x);

    if (x != NULL) { /* the kernel chooses its own buffers */
        x->loop = loop;
        x->flags = MSG_NOSIGNAL | MSG_DONTWAIT | (o->more ? MSG_MORE : 0);
        x->fd = -1;
    }
    return x;
}

static void close_context(void *context)
{
    struct context *x = context;

    if (x->fd >= 0) {
        ev_io_stop(x->loop, &x->acceptor);
        close(x->fd);
    }
    free(x);
}

static void on_acceptor(struct ev_loop *loop, ev_io *w, int events)
{
    struct context *x = w->data;
    int fd;

    (void)events;
    while ((fd = accept4(x->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct perf_conn *c = conn_new(x, fd);

        if (c != NULL) {
            x->on_accept(x->user, c);
            ev_io_start(loop, &c->reader);
        }
    }
}

static int parse(const char *address, struct sockaddr_in *ret)
{
    char host[64];
    const char *colon = strrchr(address, ':');
    size_t size = colon == NULL ? sizeof host : (size_t)(colon - address);

    base_zero(ret, sizeof *ret);
    if (size >= sizeof host) {
        return -1;
    }
    base_copy(host, address, size);
    host[size] = '\0';
    ret->sin_family = AF_INET;
    ret->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    return inet_pton(AF_INET, host, &ret->sin_addr) == 1 ? 0 : -1;
}

static int listen_at(void *context, const char *address, void (*on_accept)(void *user, struct perf_conn *conn),
                     void *user)
{
    struct context *x = context;
    struct sockaddr_in at;
    int one = 1;

    if (parse(address, &at) < 0) {
        return -1;
    }
    x->on_accept = on_accept;
    x->user = user;
    x->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(x->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(x->fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(x->fd, 128) < 0) {
        return -1;
    }
    ev_io_init(&x->acceptor, on_acceptor, x->fd, EV_READ);
    x->acceptor.data = x;
    ev_io_start(x->loop, &x->acceptor);
    return 0;
}

static struct perf_conn *connect_to(void *context, const char *address, const struct perf_calls *own, void *user)
{
    struct context *x = context;
    struct sockaddr_in to;
    struct perf_conn *c;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || parse(address, &to) < 0 ||
        (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS)) {
        close(fd);
        return NULL;
    }
    c = conn_new(x, fd);
    if (c != NULL) {
        c->calls = *own;
        c->user = user;
        ev_io_start(x->loop, &c->reader);
        ev_io_start(x->loop, &c->writer);
    }
    return c;
}

static void set_calls(struct perf_conn *c, const struct perf_calls *own, void *user)
{
    c->calls = *own;
    c->user = user;
}

static int64_t send_some(struct perf_conn *c, const void *data, size_t size)
{
    ssize_t n = send(c->fd, data, size, c->flags);

    if (n >= 0) {
        if ((size_t)n < size) {
            ev_io_start(c->loop, &c->writer);
        }
        return n;
    }
    if (errno != EAGAIN && errno != EINTR) {
        return -1;
    }
    ev_io_start(c->loop, &c->writer);
    return 0;
}

static int64_t recv_some(struct perf_conn *c, void *data, size_t size)
{
    ssize_t n = recv(c->fd, data, size, MSG_DONTWAIT);

    if (n > 0) {
        return n;
    }
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void finish_sending(struct perf_conn *c)
{
    (void)shutdown(c->fd, SHUT_WR);
}

static void hang_up(struct perf_conn *c)
{
    c->is_over = 1;
    if (c->in_call == 0) {
        finish(c);
    }
}

const struct perf_wire perf_tcp = {"tcp",     open_context, close_context, listen_at,      connect_to,
                                   set_calls, send_some,    recv_some,     finish_sending, hang_up};
