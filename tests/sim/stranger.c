/* See stranger.h. Each connection meets one of five manners: silence, a banner, an echo, nonsense, or the door. */
#include "tests/sim/stranger.h"

#include "rtcp/base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16
#define ANSWER  512u

enum manner { SILENT, BANNER, ECHO, NONSENSE, LEAVES, MANNERS };

struct guest {
    ev_io reader;
    enum manner manner;
    int fd;
};

static void say(int fd, const void *bytes, size_t size)
{
    (void)!send(fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void answer(struct guest *g, const uint8_t *heard, size_t size)
{
    static const char banner[] = "HTTP/1.1 400 Bad Request\r\nConnection: keep-alive\r\n\r\n";
    uint8_t nonsense[ANSWER];

    switch (g->manner) {
    case SILENT:
    case LEAVES:
    case MANNERS:
        break;
    case BANNER:
        say(g->fd, banner, sizeof banner - 1);
        break;
    case ECHO:
        say(g->fd, heard, size);
        break;
    case NONSENSE:
        for (size_t i = 0; i < sizeof nonsense; i++) {
            nonsense[i] = (uint8_t)sim_below(256);
        }
        say(g->fd, nonsense, 1 + (size_t)sim_below(sizeof nonsense));
        break;
    }
}

static void on_bytes(struct ev_loop *loop, ev_io *w, int events)
{
    struct guest *g = w->data;
    uint8_t heard[ANSWER];
    ssize_t n = recv(g->fd, heard, sizeof heard, MSG_DONTWAIT);

    (void)events;
    if (n > 0 && g->manner != LEAVES) {
        answer(g, heard, (size_t)n);
        return;
    }
    if (n >= 0 || (errno != EAGAIN && errno != EINTR)) {
        ev_io_stop(loop, w);
        close(g->fd);
        free(g);
    }
}

static void on_guest(struct ev_loop *loop, ev_io *w, int events)
{
    struct sockaddr_in from;
    socklen_t size = sizeof from;
    int fd = accept4(w->fd, (struct sockaddr *)&from, &size, SOCK_NONBLOCK);
    struct guest *g;

    (void)events;
    if (fd < 0) {
        return;
    }
    g = calloc(1, sizeof *g);
    CHECK(g != NULL);
    g->fd = fd;
    g->manner = (enum manner)sim_below(MANNERS);
    ev_io_init(&g->reader, on_bytes, fd, EV_READ);
    g->reader.data = g;
    ev_io_start(loop, &g->reader);
}

static void listen_on(void *object, uint64_t number)
{
    const uint16_t *port = object;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(*port)};
    ev_io *w = calloc(1, sizeof *w);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    (void)number;
    CHECK(w != NULL && fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, BACKLOG) == 0);
    ev_io_init(w, on_guest, fd, EV_READ);
    ev_io_start(sim.current->loop, w);
}

void sim_stranger_start(struct sim_node *node, uint16_t port)
{
    sim_node_start(node, listen_on, &port);
}
