/* A relay that cuts; see cutrelay.h. */
#include "tests/net/cutrelay.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ROOM 65536

/* One direction of a connection: what was read and not yet written. */
struct way {
    uint8_t data[ROOM];
    size_t size;
    uint64_t left; /* bytes that may still be passed on */
    bool has_passed;
    bool has_ended;
    bool was_shut;
};

struct passage {
    struct cutrelay *relay;
    struct passage *next, *prev;
    struct cutrelay_plan plan;
    int fd[2]; /* 0: who connected, 1: the server */
    ev_io reader[2];
    ev_io writer[2];
    struct way way[2]; /* from fd[i] to the other */
};

struct cutrelay {
    struct ev_loop *loop;
    int fd;
    uint16_t port;
    uint16_t target;
    ev_io acceptor;
    cutrelay_planner *planner;
    void *user;
    struct passage *first;
    uint32_t count;
    uint32_t cuts;
};

static void end(struct passage *p, enum cutrelay_end how)
{
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    struct cutrelay *r = p->relay;

    for (int i = 0; i < 2; i++) {
        ev_io_stop(r->loop, &p->reader[i]);
        ev_io_stop(r->loop, &p->writer[i]);
        if (how == CUTRELAY_RST) {
            (void)setsockopt(p->fd[i], SOL_SOCKET, SO_LINGER, &none, sizeof none);
        } else {
            (void)shutdown(p->fd[i], SHUT_WR); /* close alone answers unread bytes with RST */
            uint8_t waste[4096];
            while (recv(p->fd[i], waste, sizeof waste, MSG_DONTWAIT) > 0) {
            }
        }
        (void)close(p->fd[i]);
    }
    if (p->next != NULL) {
        p->next->prev = p->prev;
    }
    *(p->prev != NULL ? &p->prev->next : &r->first) = p->next;
    free(p);
}

/* Writes what waits. False: the connection is over. */
static bool pass_on(struct passage *p, int from)
{
    struct way *w = &p->way[from];
    int to = 1 - from;

    while (w->size > 0 && w->left > 0) {
        size_t size = w->size < w->left ? w->size : (size_t)w->left;
        ssize_t n = send(p->fd[to], w->data, size, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) {
            break;
        }
        if (n < 0) {
            end(p, CUTRELAY_RST);
            return false;
        }
        w->size -= (size_t)n;
        w->left -= (uint64_t)n;
        w->has_passed = true;
        memmove(w->data, w->data + n, w->size);
    }
    if (w->left == 0 && (w->has_passed || w->size > 0)) {
        p->relay->cuts++;
        end(p, p->plan.end);
        return false;
    }
    if (w->has_ended && w->size == 0 && !w->was_shut) {
        w->was_shut = true;
        (void)shutdown(p->fd[to], SHUT_WR);
    }
    if (p->way[0].was_shut && p->way[1].was_shut) {
        end(p, CUTRELAY_FIN);
        return false;
    }
    if (w->size > 0) {
        ev_io_start(p->relay->loop, &p->writer[to]);
    } else {
        ev_io_stop(p->relay->loop, &p->writer[to]);
    }
    if (w->size < ROOM && !w->has_ended) {
        ev_io_start(p->relay->loop, &p->reader[from]);
    } else {
        ev_io_stop(p->relay->loop, &p->reader[from]);
    }
    return true;
}

static void on_read(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct passage *p = watcher->data;
    int from = watcher == &p->reader[0] ? 0 : 1;
    struct way *w = &p->way[from];
    ssize_t n = recv(p->fd[from], w->data + w->size, ROOM - w->size, MSG_DONTWAIT);

    (void)loop;
    (void)events;
    if (n < 0) {
        if (errno != EAGAIN) {
            end(p, CUTRELAY_RST);
        }
        return;
    }
    w->size += (size_t)n;
    w->has_ended = n == 0;
    (void)pass_on(p, from);
}

static void on_write(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct passage *p = watcher->data;

    (void)loop;
    (void)events;
    (void)pass_on(p, watcher == &p->writer[0] ? 1 : 0);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

static void on_accept(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct cutrelay *r = watcher->data;
    struct sockaddr_in target = loopback(r->target);
    struct passage *p = calloc(1, sizeof *p);
    int near = accept4(r->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    int far = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)events;
    if (p == NULL || near < 0 || far < 0 ||
        (connect(far, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS)) {
        (void)close(near);
        (void)close(far);
        free(p);
        return;
    }
    p->relay = r;
    p->plan = r->planner(r->user, ++r->count);
    p->fd[0] = near;
    p->fd[1] = far;
    p->way[0].left = p->plan.up;
    p->way[1].left = p->plan.down;
    for (int i = 0; i < 2; i++) {
        ev_io_init(&p->reader[i], on_read, p->fd[i], EV_READ);
        ev_io_init(&p->writer[i], on_write, p->fd[i], EV_WRITE);
        p->reader[i].data = p;
        p->writer[i].data = p;
        ev_io_start(loop, &p->reader[i]);
    }
    p->next = r->first;
    if (r->first != NULL) {
        r->first->prev = p;
    }
    r->first = p;
}

struct cutrelay *cutrelay_open(struct ev_loop *loop, uint16_t target, cutrelay_planner *planner, void *user)
{
    struct sockaddr_in here = loopback(0);
    socklen_t size = sizeof here;
    struct cutrelay *r = calloc(1, sizeof *r);

    if (r == NULL) {
        return NULL;
    }
    *r = (struct cutrelay){.loop = loop, .target = target, .planner = planner, .user = user};
    r->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (r->fd < 0 || bind(r->fd, (struct sockaddr *)&here, size) < 0 || listen(r->fd, 128) < 0 ||
        getsockname(r->fd, (struct sockaddr *)&here, &size) < 0) {
        (void)close(r->fd);
        free(r);
        return NULL;
    }
    r->port = ntohs(here.sin_port);
    ev_io_init(&r->acceptor, on_accept, r->fd, EV_READ);
    r->acceptor.data = r;
    ev_io_start(loop, &r->acceptor);
    return r;
}

void cutrelay_reset_all(struct cutrelay *relay)
{
    while (relay->first != NULL) {
        end(relay->first, CUTRELAY_RST);
    }
}

void cutrelay_close(struct cutrelay *relay)
{
    cutrelay_reset_all(relay);
    ev_io_stop(relay->loop, &relay->acceptor);
    (void)close(relay->fd);
    free(relay);
}

uint16_t cutrelay_port(const struct cutrelay *relay)
{
    return relay->port;
}

uint32_t cutrelay_count(const struct cutrelay *relay)
{
    return relay->count;
}

uint32_t cutrelay_cuts(const struct cutrelay *relay)
{
    return relay->cuts;
}
