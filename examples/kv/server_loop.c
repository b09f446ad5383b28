/* See server_loop.h.
 *
 * Answers of one turn of the loop are written once, at its end: an event with the lowest priority is fed when the first
 * client stirs. A client that did wrong is told so, then the connection is drained for a second before it is closed,
 * for otherwise unread input would make the kernel throw our last words away.
 */
#include "examples/kv/server_loop.h"

#include "examples/kv/limits.h"
#include "examples/kv/require.h"
#include "examples/kv/socket_loop.h"

#include <errno.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE        65536
#define DRAIN_TIME       1.0
#define PAUSE_TIME       0.1
#define ACCEPTS_PER_TURN 64

struct kv_connection {
    struct kv_server *server;
    struct kv_connection *next;
    struct kv_connection **link;
    struct kv_connection *next_stirred;
    bool is_stirred;
    bool is_draining;
    int fd;
    struct ev_io io;
    struct ev_timer drain;
    struct kv_client client;
};

static base_time server_now(void)
{
    struct timespec now = {0, 0};

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (base_time)now.tv_sec * BASE_S(1) + (base_time)now.tv_nsec;
}

static void stir(struct kv_connection *c)
{
    if (!c->is_stirred) {
        c->is_stirred = true;
        c->next_stirred = c->server->stirred;
        c->server->stirred = c;
        ev_feed_event(c->server->loop, &c->server->stir, EV_CUSTOM);
    }
}

static void on_stir(void *user, struct kv_client *client)
{
    (void)user;
    stir((struct kv_connection *)(void *)((char *)client - offsetof(struct kv_connection, client)));
}

static void on_room(void *user)
{
    kv_server_go(user);
}

/* ------------------------------------------------------------------------------------------------ one connection */

static void forget_stirred(struct kv_connection *c)
{
    struct kv_connection **link = &c->server->stirred;

    while (c->is_stirred && *link != NULL) {
        if (*link == c) {
            *link = c->next_stirred;
            c->is_stirred = false;
        } else {
            link = &(*link)->next_stirred;
        }
    }
}

static void close_connection(struct kv_connection *c)
{
    struct kv_server *s = c->server;

    forget_stirred(c);
    ev_io_stop(s->loop, &c->io);
    ev_timer_stop(s->loop, &c->drain);
    (void)close(c->fd);
    kv_client_deinit(&c->client);
    *c->link = c->next;
    if (c->next != NULL) {
        c->next->link = c->link;
    }
    s->counts.clients--;
    free(c);
}

static void tell_wrong_client(struct kv_connection *c)
{
    char address[KV_ADDRESS_TEXT];
    struct kv_field fields[] = {{"client", address, 0}, {"why", c->client.error, 0}, {NULL, NULL, 0}};

    kv_socket_peer(c->fd, address);
    if (c->client.is_over) {
        fields[1].text = "it does not read its answers, or they are too large together";
        kv_log_trouble(c->server->log, KV_TROUBLE_OUTPUT, server_now(), "client closed", fields);
    } else if (c->client.error != NULL) {
        kv_log_trouble(c->server->log, KV_TROUBLE_PROTOCOL, server_now(), "client refused", fields);
    }
}

/* All is said: closes, or listens a moment longer to a client that may still be sending. */
static void finish(struct kv_connection *c)
{
    tell_wrong_client(c);
    if (c->client.is_over || c->client.has_ended || shutdown(c->fd, SHUT_WR) < 0) {
        close_connection(c);
        return;
    }
    c->is_draining = true;
    ev_timer_start(c->server->loop, &c->drain);
    ev_io_stop(c->server->loop, &c->io);
    ev_io_set(&c->io, c->fd, EV_READ);
    ev_io_start(c->server->loop, &c->io);
}

static void watch(struct kv_connection *c)
{
    int events =
        (kv_client_wants_input(&c->client) ? EV_READ : 0) | (kv_buffer_size(&c->client.out) > 0 ? EV_WRITE : 0);

    if (events != (c->io.events & (EV_READ | EV_WRITE)) || !ev_is_active(&c->io)) {
        ev_io_stop(c->server->loop, &c->io);
        ev_io_set(&c->io, c->fd, events);
        if (events != 0) {
            ev_io_start(c->server->loop, &c->io);
        }
    }
}

/* Writes what the socket takes. False: the connection is gone. */
static bool write_output(struct kv_connection *c)
{
    struct base_bytes out = kv_buffer_bytes(&c->client.out);
    ssize_t size;

    if (out.size == 0) {
        return true;
    }
    size = send(c->fd, out.data, out.size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (size < 0 && errno != EAGAIN && errno != EINTR) {
        return false;
    }
    kv_buffer_take(&c->client.out, size > 0 ? (size_t)size : 0);
    if (kv_buffer_size(&c->client.out) == 0) {
        kv_buffer_reset(&c->client.out, KV_INPUT_SMALL);
    }
    return true;
}

/* Goes on as far as possible now: commands, output, then what to wait for. */
static void serve(struct kv_connection *c)
{
    if (c->is_draining) {
        return;
    }
    kv_client_go(&c->client);
    if (!write_output(c)) {
        close_connection(c);
    } else if (kv_client_is_done(&c->client)) {
        finish(c);
    } else {
        watch(c);
        if (kv_client_can_go(&c->client)) {
            stir(c); /* the socket took it all: nothing else would wake the command that is held */
        }
    }
}

static void on_io(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct kv_connection *c = io->data;
    static const size_t size_max = READ_SIZE;
    uint8_t bytes[READ_SIZE];
    ssize_t size = 0;

    (void)loop;
    if ((events & EV_READ) != 0) {
        size = recv(c->fd, bytes, size_max, MSG_DONTWAIT);
        if (size < 0 && errno != EAGAIN && errno != EINTR) {
            close_connection(c);
            return;
        }
        if (size == 0 && c->is_draining) {
            close_connection(c);
            return;
        }
        if (size == 0) {
            kv_client_end(&c->client);
        } else if (size > 0 && !c->is_draining) {
            kv_client_receive(&c->client, bytes, (size_t)size);
        }
    }
    stir(c);
}

static void on_drained(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop;
    (void)events;
    close_connection(timer->data);
}

/* ------------------------------------------------------------------------------------------------ accepting */

static void refuse(struct kv_server *s, int fd)
{
    static const char text[] = "-ERR max number of clients reached\r\n";
    const struct kv_field fields[] = {{"clients", NULL, s->counts.clients}, {NULL, NULL, 0}};

    (void)!send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
    s->counts.clients_refused++;
    kv_log_trouble(s->log, KV_TROUBLE_CLIENTS, server_now(), "max number of clients reached", fields);
}

static void add_connection(struct kv_server *s, int fd)
{
    struct kv_connection *c = kv_memory(sizeof *c);

    *c = (struct kv_connection){.server = s, .fd = fd, .next = s->first, .link = &s->first};
    kv_client_init(&c->client, s->service);
    ev_io_init(&c->io, on_io, fd, EV_READ);
    ev_timer_init(&c->drain, on_drained, DRAIN_TIME, 0.);
    c->io.data = c;
    c->drain.data = c;
    if (s->first != NULL) {
        s->first->link = &c->next;
    }
    s->first = c;
    s->counts.clients++;
    s->counts.clients_seen++;
    ev_io_start(s->loop, &c->io);
}

/* Without descriptors or memory for one more, new clients wait in the backlog for a moment. */
static void pause_accepting(struct kv_server *s, int error)
{
    const struct kv_field fields[] = {{"why", kv_socket_error(error), 0}, {NULL, NULL, 0}};

    kv_log_trouble(s->log, KV_TROUBLE_ACCEPT, server_now(), "cannot accept", fields);
    ev_io_stop(s->loop, &s->accept);
    ev_timer_set(&s->pause, PAUSE_TIME, 0.);
    ev_timer_start(s->loop, &s->pause);
}

static void on_accept(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct kv_server *s = io->data;

    (void)loop;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = kv_socket_accept(s->fd);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            pause_accepting(s, errno);
        }
        if (fd < 0) {
            return;
        }
        if (s->counts.clients >= s->clients_max) {
            refuse(s, fd);
        } else {
            add_connection(s, fd);
        }
    }
}

static void on_pause_over(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct kv_server *s = timer->data;

    (void)events;
    ev_io_start(loop, &s->accept);
}

/* ------------------------------------------------------------------------------------------------ the server */

static void serve_held(struct kv_server *s)
{
    struct kv_connection *next;

    s->service->has_held = false;
    for (struct kv_connection *c = s->first; c != NULL; c = next) {
        next = c->next;
        if (c->client.held.data != NULL) {
            serve(c);
        }
    }
}

static void on_end_of_turn(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct kv_server *s = io->data;

    (void)loop;
    (void)events;
    while (s->stirred != NULL) {
        struct kv_connection *c = s->stirred;

        s->stirred = c->next_stirred;
        c->is_stirred = false;
        serve(c);
    }
    if (s->service->has_held) {
        serve_held(s);
    }
}

void kv_server_go(struct kv_server *s)
{
    ev_feed_event(s->loop, &s->stir, EV_CUSTOM);
}

int kv_server_open(struct kv_server *s, struct ev_loop *loop, const char *address, size_t clients_max,
                   struct kv_service *service, struct kv_log *log)
{
    int fd = kv_socket_listen(address);

    if (fd < 0) {
        return fd;
    }
    *s = (struct kv_server){.loop = loop, .service = service, .log = log, .fd = fd, .clients_max = clients_max};
    s->start = server_now();
    service->on_stir = on_stir;
    service->on_room = on_room;
    service->room_user = s;
    ev_io_init(&s->accept, on_accept, fd, EV_READ);
    ev_init(&s->pause, on_pause_over);
    ev_init(&s->stir, on_end_of_turn);
    ev_set_priority(&s->stir, EV_MINPRI);
    s->accept.data = s;
    s->pause.data = s;
    s->stir.data = s;
    ev_io_start(loop, &s->accept);
    return 0;
}

void kv_server_close(struct kv_server *s)
{
    s->service->on_room = NULL;
    while (s->first != NULL) {
        close_connection(s->first);
    }
    ev_clear_pending(s->loop, &s->stir);
    ev_io_stop(s->loop, &s->accept);
    ev_timer_stop(s->loop, &s->pause);
    (void)close(s->fd);
}

void kv_server_counts(const struct kv_server *s, struct kv_counts *ret_counts)
{
    struct kv_counts counts = s->counts;

    counts.commands = s->service->commands;
    counts.protocol_errors = s->service->protocol_errors;
    counts.up = base_time_since(server_now(), s->start);
    *ret_counts = counts;
}
