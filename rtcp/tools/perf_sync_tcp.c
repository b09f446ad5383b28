/* See perf_sync.h: plain TCP with blocking sockets and TCP_NODELAY. A struct perf_sync is the descriptor and a bit,
 * which says that the kernel gathers small messages, plus two. */
#include "rtcp/base/bytes.h"
#include "rtcp/tools/perf_sync.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int fd_of(struct perf_sync *s)
{
    return (int)((uintptr_t)s / 2 - 1);
}

static int flags_of(struct perf_sync *s)
{
    return MSG_NOSIGNAL | ((uintptr_t)s % 2 == 1 ? MSG_MORE : 0);
}

static struct perf_sync *wrap(int fd, bool gathers)
{
    int one = 1;

    if (fd < 0) {
        return NULL;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return (struct perf_sync *)(((uintptr_t)fd + 1) * 2 + gathers);
}

static bool parse(const char *address, struct sockaddr_in *ret)
{
    const char *colon = strrchr(address, ':');
    char host[PERF_HOST_MAX] = "";

    if (colon == NULL || (size_t)(colon - address) >= sizeof host) {
        return false;
    }
    base_copy(host, address, (size_t)(colon - address));
    base_zero(ret, sizeof *ret);
    ret->sin_family = AF_INET;
    ret->sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
    return inet_pton(AF_INET, host, &ret->sin_addr) == 1;
}

static struct perf_sync *listen_at(const struct perf_options *o, const char *address)
{
    struct sockaddr_in at;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    (void)o; /* the kernel chooses its own buffers */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (fd < 0 || !parse(address, &at) || bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || listen(fd, 128) < 0) {
        return NULL;
    }
    return wrap(fd, false);
}

static struct perf_sync *accept_one(struct perf_sync *listener)
{
    return wrap(accept4(fd_of(listener), NULL, NULL, SOCK_CLOEXEC), false);
}

static struct perf_sync *connect_to(const struct perf_options *o, const char *address)
{
    struct sockaddr_in to;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || !parse(address, &to) || connect(fd, (struct sockaddr *)&to, sizeof to) < 0) {
        (void)close(fd);
        return NULL;
    }
    return wrap(fd, o->more);
}

void perf_tcp_congestion(const char *address, char name[PERF_NAME])
{
    static const char unknown[PERF_NAME] = "unknown";
    struct sockaddr_in to;
    socklen_t size = PERF_NAME - 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    base_zero(name, PERF_NAME);
    if (fd < 0 || !parse(address, &to) || connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &size) < 0) {
        base_copy(name, unknown, PERF_NAME);
    }
    (void)close(fd);
}

static bool send_all(struct perf_sync *s, const void *data, size_t size)
{
    const uint8_t *at = data;

    while (size > 0) {
        ssize_t n = send(fd_of(s), at, size, flags_of(s));

        if (n <= 0) {
            return false;
        }
        at += n;
        size -= (size_t)n;
    }
    return true;
}

static int64_t recv_some(struct perf_sync *s, void *data, size_t size)
{
    return recv(fd_of(s), data, size, 0);
}

static void finish(struct perf_sync *s)
{
    (void)shutdown(fd_of(s), SHUT_WR);
}

static void hang_up(struct perf_sync *s)
{
    (void)close(fd_of(s));
}

const struct perf_sync_wire perf_sync_tcp = {listen_at, accept_one, connect_to, send_all, recv_some, finish, hang_up};
