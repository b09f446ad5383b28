/* The system calls that the product makes, answered by the simulated kernels. The linker puts these in the place of the
 * real ones (--wrap), for every object of the program; so nothing here may reach the host.
 */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/base/ringmem_loop.h"
#include "rtcp/base/status.h"
#include "tests/sim/cover.h"
#include "tests/sim/real.h"
#include "tests/sim/sock.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <netinet/ip_icmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

int __wrap_socket(int family, int type, int protocol);
int __wrap_bind(int fd, const struct sockaddr *at, socklen_t size);
int __wrap_listen(int fd, int backlog);
int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *size, int flags);
int __wrap_connect(int fd, const struct sockaddr *to, socklen_t size);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_sendfile(int fd, int from, off_t *at, size_t size);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags);
ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags);
int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned count, int flags, struct timespec *patience);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size);
int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size);
int __wrap_getsockname(int fd, struct sockaddr *at, socklen_t *size);
int __wrap_getpeername(int fd, struct sockaddr *at, socklen_t *size);
int __wrap_shutdown(int fd, int how);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);
void __wrap_randombytes_buf(void *at, size_t size);
const struct base_ringmem_source *__wrap_base_ringmem_system(void);

static int fail(int error)
{
    errno = error;
    return -1;
}

static int fd_of(const struct sim_sock *s)
{
    return SIM_FD_FIRST + (int)s->id;
}

static struct sim_address get_address(const struct sockaddr *from)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)from;

    CHECK(in->sin_family == AF_INET);
    return (struct sim_address){ntohl(in->sin_addr.s_addr), ntohs(in->sin_port)};
}

static void put_address(struct sockaddr *to, socklen_t *size, struct sim_address a)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a.port), .sin_addr.s_addr = htonl(a.ip)};

    memcpy(to, &in, sizeof in);
    *size = sizeof in;
}

/* ------------------------------------------------------------------------------------------------ sockets */

int __wrap_socket(int family, int type, int protocol)
{
    struct sim_sock *s;

    (void)protocol;
    CHECK(sim.current != NULL);
    if (family != AF_INET) {
        return fail(EAFNOSUPPORT);
    }
    s = sim_sock_new((type & SOCK_DGRAM) == SOCK_DGRAM && (type & SOCK_STREAM) != SOCK_STREAM ? SIM_UDP : SIM_TCP);
    s->node = sim.current;
    s->life = sim.current->life;
    s->has_fd = true;
    s->local.ip = sim_ip_of_node(sim.current->id);
    return fd_of(s);
}

static bool is_port_taken(const struct sim_sock *s, uint16_t port)
{
    struct sim_address at = {0, port};

    return s->kind == SIM_UDP ? sim_udp_bound(s->node->id, at) != NULL : sim_tcp_listener(s->node->id, at) != NULL;
}

static void take_port(struct sim_sock *s)
{
    while (s->local.port == 0) {
        uint16_t port = (uint16_t)(32768 + sim_below(28000));

        if (!is_port_taken(s, port)) {
            s->local.port = port;
        }
    }
}

int __wrap_bind(int fd, const struct sockaddr *at, socklen_t size)
{
    struct sim_sock *s = sim_sock_of(fd);
    struct sim_address a = get_address(at);

    (void)size;
    if (a.port != 0 && is_port_taken(s, a.port)) {
        return fail(EADDRINUSE);
    }
    s->local.port = a.port;
    take_port(s);
    if (s->kind == SIM_UDP) {
        sim_sock_publish(s);
    }
    return 0;
}

int __wrap_listen(int fd, int backlog)
{
    struct sim_sock *s = sim_sock_of(fd);

    s->state = SIM_LISTENING;
    s->backlog_max = backlog;
    s->backlog = real_calloc((size_t)backlog, sizeof *s->backlog);
    CHECK(s->backlog != NULL);
    sim_sock_publish(s);
    return 0;
}

int __wrap_accept4(int fd, struct sockaddr *from, socklen_t *size, int flags)
{
    struct sim_sock *s = sim_sock_of(fd);
    struct sim_sock *came = NULL;

    (void)flags;
    while (came == NULL) {
        if (s->backlog_count == 0) {
            return fail(EAGAIN);
        }
        came = sim_sock_by_id(s->backlog[0]);
        s->backlog_count--;
        memmove(s->backlog, s->backlog + 1, (size_t)s->backlog_count * sizeof *s->backlog);
    }
    put_address(from, size, came->peer);
    return fd_of(came);
}

int __wrap_connect(int fd, const struct sockaddr *to, socklen_t size)
{
    struct sim_sock *s = sim_sock_of(fd);

    (void)size;
    s->peer = get_address(to);
    take_port(s);
    sim_tcp_connect(s);
    return fail(EINPROGRESS);
}

int __wrap_getsockname(int fd, struct sockaddr *at, socklen_t *size)
{
    put_address(at, size, sim_sock_of(fd)->local);
    return 0;
}

int __wrap_getpeername(int fd, struct sockaddr *at, socklen_t *size)
{
    const struct sim_sock *s = sim_sock_of(fd);

    if (s->state != SIM_OPEN) {
        return fail(ENOTCONN);
    }
    put_address(at, size, s->peer);
    return 0;
}

int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    struct sim_sock *s = sim_sock_of(fd);

    CHECK(level == SOL_SOCKET && name == SO_ERROR && *size == sizeof(int));
    memcpy(value, &s->error, sizeof(int));
    s->error = 0; /* the mask of P5: whoever asks first takes it away */
    return 0;
}

int __wrap_setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    struct sim_sock *s = sim_sock_of(fd);

    if (level == SOL_SOCKET && name == SO_LINGER) {
        struct linger l;

        CHECK(size == sizeof l);
        memcpy(&l, value, sizeof l);
        s->linger_abort = l.l_onoff != 0 && l.l_linger == 0;
    }
    return 0;
}

int __wrap_shutdown(int fd, int how)
{
    struct sim_sock *s = sim_sock_of(fd);

    if (s->state != SIM_OPEN) {
        return fail(ENOTCONN);
    }
    if (how == SHUT_WR || how == SHUT_RDWR) {
        sim_tcp_shut(s);
    }
    if (how == SHUT_RD || how == SHUT_RDWR) {
        s->read_shut = true;
    }
    return 0;
}

int __wrap_close(int fd)
{
    struct sim_sock *s = sim_sock_of(fd);

    CHECK(s != NULL && s->node == sim.current && s->life == sim.current->life); /* closed once, by its owner */
    if (s->kind == SIM_TCP) {
        sim_tcp_close(s);
    } else {
        sim_sock_free(s);
    }
    return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    struct sim_sock *s = sim_sock_of(fd);
    va_list rest;
    int *value;

    va_start(rest, request);
    value = va_arg(rest, int *);
    va_end(rest);
    if (request == SIOCOUTQ) {
        *value = (int)(s->out.upto - s->out.first) + (s->fin_wanted && !s->fin_acked ? 1 : 0);
    } else {
        CHECK(request == FIONREAD);
        *value = (int)(s->in.upto - s->in.first);
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ bytes */

static int take_error(struct sim_sock *s, int without)
{
    int error = s->error != 0 ? s->error : without;

    s->error = 0;
    return error;
}

/* A call may move less than it was asked for. */
static size_t some_of(size_t size)
{
    return size > sim_weather.call_max && sim_chance(500) ? 1 + (size_t)sim_below(sim_weather.call_max) : size;
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
    struct sim_sock *s = sim_sock_of(fd);
    size_t n;

    CHECK((flags & MSG_NOSIGNAL) != 0 && (flags & MSG_DONTWAIT) != 0);
    CHECK(s->node == sim.current);
    if (s->state == SIM_OVER || s->fin_wanted) {
        return fail(take_error(s, EPIPE));
    }
    if (s->state != SIM_OPEN) {
        return fail(ENOTCONN);
    }
    size = some_of(size);
    n = sim_tcp_send(s, data, size);
    return n == 0 ? fail(EAGAIN) : (ssize_t)n;
}

/* Whoever does not block the signal ends with it, as a process does (main.c tells). */
static ssize_t break_pipe(struct sim_sock *s)
{
    int error = take_error(s, EPIPE);

    if (error == EPIPE) {
        raise(SIGPIPE);
    }
    return fail(error);
}

ssize_t __wrap_sendfile(int fd, int from, off_t *at, size_t size)
{
    struct sim_sock *s = sim_sock_of(fd);
    size_t whole = 0;
    const uint8_t *ring = sim_pages_of(from, &whole);
    size_t n;

    CHECK(ring != NULL && (size_t)*at < whole && size <= whole - (size_t)*at);
    CHECK(s->node == sim.current);
    if (s->state == SIM_OVER || s->fin_wanted) {
        return break_pipe(s);
    }
    if (s->state != SIM_OPEN) {
        return fail(ENOTCONN);
    }
    n = sim_tcp_send_pages(s, ring + *at, some_of(size));
    *at += (off_t)n;
    if (n > 0) {
        sim_cover_event("kernel", "refers to pages", NULL);
    }
    return n == 0 ? fail(EAGAIN) : (ssize_t)n;
}

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
    struct sim_sock *s = sim_sock_of(fd);

    CHECK((flags & MSG_DONTWAIT) != 0 && size > 0);
    CHECK(s->node == sim.current);
    size = some_of(size);
    if (s->in.upto > s->in.first) {
        return (ssize_t)sim_tcp_receive(s, data, size); /* what came before an RST stays readable (P5) */
    }
    if (s->fin_got) {
        return 0; /* also when an RST came after it: that is the writer's to see */
    }
    if (s->error != 0) {
        return fail(take_error(s, 0));
    }
    if (s->read_shut || s->state == SIM_OVER) {
        return 0;
    }
    return s->state == SIM_OPEN ? fail(EAGAIN) : fail(ENOTCONN);
}

static ssize_t send_pieces(int fd, const struct msghdr *m, int flags)
{
    ssize_t all = 0;

    for (size_t i = 0; i < m->msg_iovlen; i++) {
        ssize_t n = __wrap_send(fd, m->msg_iov[i].iov_base, m->msg_iov[i].iov_len, flags);

        if (n < 0) {
            return all > 0 ? all : n;
        }
        all += n;
        if ((size_t)n < m->msg_iov[i].iov_len) {
            break;
        }
    }
    return all;
}

ssize_t __wrap_sendmsg(int fd, const struct msghdr *m, int flags)
{
    struct sim_sock *s = sim_sock_of(fd);

    if (s->kind == SIM_TCP) {
        return send_pieces(fd, m, flags);
    }
    CHECK(m->msg_iovlen == 1);
    if (s->error != 0) {
        return fail(take_error(s, 0));
    }
    sim_udp_send(s, get_address(m->msg_name), m->msg_iov[0].iov_base, m->msg_iov[0].iov_len);
    return (ssize_t)m->msg_iov[0].iov_len;
}

static ssize_t receive_error(struct sim_sock *s, struct msghdr *m)
{
    struct sock_extended_err e = {.ee_errno = ECONNREFUSED, .ee_origin = SO_EE_ORIGIN_ICMP};
    struct cmsghdr *c;

    if (s->refused_count == 0) {
        return fail(EAGAIN);
    }
    put_address(m->msg_name, &m->msg_namelen, s->refused[0]);
    s->refused_count--;
    s->error = s->refused_count > 0 ? ECONNREFUSED : 0;
    memmove(s->refused, s->refused + 1, (size_t)s->refused_count * sizeof s->refused[0]);
    c = CMSG_FIRSTHDR(m);
    c->cmsg_level = IPPROTO_IP;
    c->cmsg_type = IP_RECVERR;
    c->cmsg_len = CMSG_LEN(sizeof e);
    memcpy(CMSG_DATA(c), &e, sizeof e);
    m->msg_controllen = CMSG_SPACE(sizeof e);
    return 0;
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *m, int flags)
{
    struct sim_sock *s = sim_sock_of(fd);
    struct sim_datagram *d = s->queue;
    size_t size;

    if ((flags & MSG_ERRQUEUE) != 0) {
        return receive_error(s, m);
    }
    if (s->error != 0) {
        return fail(take_error(s, 0));
    }
    if (d == NULL) {
        return fail(EAGAIN);
    }
    s->queue = d->next;
    s->queue_count--;
    put_address(m->msg_name, &m->msg_namelen, d->from);
    m->msg_controllen = 0;
    size = d->size < m->msg_iov[0].iov_len ? d->size : m->msg_iov[0].iov_len;
    memcpy(m->msg_iov[0].iov_base, d->bytes, size);
    sim_object_free(d);
    return (ssize_t)size;
}

int __wrap_recvmmsg(int fd, struct mmsghdr *m, unsigned count, int flags, struct timespec *patience)
{
    const struct sim_sock *s = sim_sock_of(fd);
    unsigned n = 0;

    CHECK(patience == NULL && count > 0);
    while (n < count && (n == 0 || s->error == 0)) { /* an error behind datagrams is the next call's */
        ssize_t size = __wrap_recvmsg(fd, &m[n].msg_hdr, flags);

        if (size < 0) {
            break;
        }
        m[n++].msg_len = (unsigned)size;
    }
    return n > 0 ? (int)n : -1;
}

/* ------------------------------------------------------------------------------------------------ time, chance */

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
    base_time now = sim.current == NULL ? sim.now : sim_node_now(sim.current);

    now -= id == CLOCK_MONOTONIC_COARSE ? now % BASE_MS(4) : 0; /* as of the last tick */
    t->tv_sec = (time_t)(now / BASE_S(1));
    t->tv_nsec = (long)(now % BASE_S(1));
    return 0;
}

void __wrap_randombytes_buf(void *at, size_t size)
{
    uint8_t *to = at;

    for (size_t i = 0; i < size; i++) {
        to[i] = (uint8_t)base_rng_next(&sim.rng);
    }
}

static int take_ring(void *user, size_t size, struct base_ringmem *ret_ring)
{
    uint8_t *at = malloc(size);

    (void)user;
    if (at == NULL) {
        return BASE_E_NOMEM;
    }
    *ret_ring = (struct base_ringmem){.at = at, .size = size, .is_mirrored = false, .handle = -1};
    return 0;
}

static void give_ring(void *user, struct base_ringmem *ring)
{
    (void)user;
    free(ring->at);
    ring->at = NULL;
}

/* Rings of plain memory: they belong to a process, and the wrapped halves of a write are exercised. */
const struct base_ringmem_source *__wrap_base_ringmem_system(void)
{
    static const struct base_ringmem_source source = {NULL, take_ring, give_ring};

    return &source;
}
