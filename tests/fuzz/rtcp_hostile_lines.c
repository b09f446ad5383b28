/* The sockets of the hostile peer: connections it made or took, and its UDP ports. See rtcp_hostile.h. */
#include "rtcp/base/check.h"
#include "tests/fuzz/rtcp_hostile.h"

#include <unistd.h>

struct sockaddr_in hostile_loopback(unsigned host, uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + host % HOSTILE_IPS);
    return at;
}

static int bound_socket(int type, unsigned host, uint16_t *ret_port)
{
    struct sockaddr_in at = hostile_loopback(host, 0);
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    int room = 8192;

    CHECK(fd >= 0);
    CHECK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room) == 0); /* soon full */
    CHECK(bind(fd, (struct sockaddr *)&at, sizeof at) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    *ret_port = ntohs(at.sin_port);
    return fd;
}

/* Abortively: no port waits. */
static void drop(struct hostile_line *line)
{
    static const struct linger none = {.l_onoff = 1, .l_linger = 0};

    if (line->fd >= 0) {
        (void)setsockopt(line->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
        close(line->fd);
        line->fd = -1;
    }
}

/* Keeps a connection; the oldest makes room. */
static struct hostile_line *keep(struct hostile_peer *p, int fd, uint8_t part)
{
    struct hostile_line *line = &p->line[p->next_line];

    p->next_line = (p->next_line + 1) % HOSTILE_LINES;
    drop(line);
    *line = (struct hostile_line){.fd = fd, .part = part};
    return line;
}

struct hostile_line *hostile_line_dial(struct hostile_peer *p, uint8_t part, unsigned host)
{
    struct sockaddr_in at = hostile_loopback(0, p->world->port);
    uint16_t port;
    int fd = bound_socket(SOCK_STREAM, host, &port);

    if (connect(fd, (struct sockaddr *)&at, sizeof at) != 0) {
        close(fd);
        return NULL;
    }
    return keep(p, fd, part);
}

void hostile_line_say(const struct hostile_line *line, const uint8_t *bytes, size_t size)
{
    if (line != NULL && line->fd >= 0) {
        (void)!send(line->fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
}

void hostile_line_say_cut(struct hostile_peer *p, struct hostile_script *s, const struct hostile_line *line,
                          const uint8_t *bytes, size_t size)
{
    size_t first = 1 + hostile_byte(s) % (size - 1);

    hostile_line_say(line, bytes, first);
    hostile_world_turn(p->world);
    if (hostile_byte(s) % 2 == 0) {
        hostile_line_say(line, bytes + first, size - first);
    }
}

struct hostile_line *hostile_line_of(struct hostile_peer *p, uint8_t part, unsigned n)
{
    for (unsigned i = 1; i <= HOSTILE_LINES; i++) {
        struct hostile_line *line = &p->line[(p->next_line + HOSTILE_LINES - i) % HOSTILE_LINES];

        if (line->fd >= 0 && line->part == part && n-- == 0) {
            return line;
        }
    }
    return NULL;
}

bool hostile_line_asked(const struct hostile_line *line, struct rtcp_wire_request *ret)
{
    uint8_t bytes[RTCP_WIRE_REQUEST];

    if (line == NULL || recv(line->fd, bytes, sizeof bytes, MSG_PEEK | MSG_DONTWAIT) != sizeof bytes) {
        return false;
    }
    return rtcp_wire_get_request((struct base_bytes){bytes, sizeof bytes}, ret) == 0;
}

void hostile_line_take(struct hostile_peer *p, uint8_t part)
{
    for (int i = 0; i < HOSTILE_BURST; i++) {
        int fd = accept4(p->listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0) {
            return;
        }
        (void)keep(p, fd, part);
    }
}

void hostile_line_hang_up(struct hostile_peer *p, struct hostile_script *s)
{
    uint8_t part = hostile_byte(s) % HOSTILE_PARTS;
    uint8_t how = hostile_byte(s);
    struct hostile_line *line = hostile_line_of(p, part, how / 4 % 4);

    if (line == NULL) {
        return;
    }
    if (how % 4 < 2) {
        (void)shutdown(line->fd, SHUT_WR);
    } else if (how % 4 == 2) {
        drop(line);
    } else {
        close(line->fd);
        line->fd = -1;
    }
}

void hostile_line_listen(struct hostile_peer *p)
{
    uint8_t bytes[65536];

    for (int i = 0; i < HOSTILE_LINES; i++) {
        if (p->line[i].fd >= 0) {
            (void)!recv(p->line[i].fd, bytes, sizeof bytes, MSG_DONTWAIT);
        }
    }
    for (int i = 0; i < HOSTILE_IPS; i++) {
        for (int k = 0; k < HOSTILE_BURST && recv(p->udp[i], bytes, sizeof bytes, MSG_DONTWAIT) > 0; k++) {
        }
    }
}

void hostile_peer_init(struct hostile_peer *p, struct hostile_world *w)
{
    p->world = w;
    for (int i = 0; i < HOSTILE_LINES; i++) {
        p->line[i].fd = -1;
    }
    for (unsigned i = 0; i < HOSTILE_IPS; i++) {
        p->udp[i] = bound_socket(SOCK_DGRAM, i, &p->udp_port[i]);
    }
    p->listener = bound_socket(SOCK_STREAM | SOCK_NONBLOCK, 0, &p->port);
    CHECK(listen(p->listener, 128) == 0);
    for (unsigned i = 0; i < HOSTILE_PARTS; i++) {
        p->part[i].incarnation = 1000 + i / 2; /* two share theirs, and so a route */
        p->part[i].control_id = 7 + i;
    }
}

void hostile_peer_deinit(struct hostile_peer *p)
{
    for (int i = 0; i < HOSTILE_LINES; i++) {
        drop(&p->line[i]);
    }
    for (int i = 0; i < HOSTILE_IPS; i++) {
        close(p->udp[i]);
    }
    close(p->listener);
}
