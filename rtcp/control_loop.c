/* The UDP control port of an endpoint: one number, one socket per address family (paper 2.3, 3.5; PROTOCOL.md "Control
 * messages"). Answers leave from the address that was asked (P74). See inside_loop.h.
 */
#include "rtcp/base/clock_loop.h"
#include "rtcp/inside_loop.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/ip_icmp.h>
#include <unistd.h>

#define DATAGRAMS_PER_CALL    4
#define CALLS_PER_EVENT       64
#define ERRORS_PER_EVENT      256
#define MESSAGES_PER_DATAGRAM 64
#define CONTROL_SPACE         256

/* The port bound to exactly this address, or to every one of its family where it is all zeros; -1: none. */
static int find_port(const struct rtcp_endpoint *endpoint, const struct rtcp_address *at)
{
    for (int i = 0; i < endpoint->port_count; i++) {
        const struct rtcp_address *bound = &endpoint->port[i].bound;

        if (bound->family == at->family && memcmp(bound->ip, at->ip, sizeof at->ip) == 0) {
            return i;
        }
    }
    return -1;
}

/* The one port of an address family; -1: there are several, or none. */
static int only_port(const struct rtcp_endpoint *endpoint, uint8_t family)
{
    int found = -1;

    for (int i = 0; i < endpoint->port_count; i++) {
        if (endpoint->port[i].bound.family == family) {
            if (found >= 0) {
                return -1;
            }
            found = i;
        }
    }
    return found;
}

uint8_t rtcp_control_via(const struct rtcp_endpoint *endpoint, const struct rtcp_link *link)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    struct rtcp_address local = {.family = link->peer.family};
    int i = only_port(endpoint, link->peer.family);

    if (i >= 0) {
        return (uint8_t)i; /* the usual case is spared the question */
    }
    if (getsockname(link->fd, (struct sockaddr *)&address, &size) == 0) {
        rtcp_address_from_sock(&address, &local);
        i = find_port(endpoint, &local);
    }
    if (i < 0) {
        i = find_port(endpoint, &(struct rtcp_address){.family = link->peer.family});
    }
    for (int k = 0; k < endpoint->port_count && i < 0; k++) {
        i = endpoint->port[k].bound.family == link->peer.family ? k : -1;
    }
    return i < 0 ? 0 : (uint8_t)i;
}

/* ------------------------------------------------------------------------------------------------ sending */

/* Asks for the source address `local` in a message to be sent. */
static void set_local(struct msghdr *m, char *space, const struct rtcp_address *local)
{
    struct cmsghdr *c;

    m->msg_control = space;
    m->msg_controllen = CONTROL_SPACE;
    c = CMSG_FIRSTHDR(m);
    if (local->family == 6) {
        struct in6_pktinfo info = {.ipi6_ifindex = local->scope};

        base_copy(&info.ipi6_addr, local->ip, 16);
        c->cmsg_level = IPPROTO_IPV6;
        c->cmsg_type = IPV6_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        base_copy(CMSG_DATA(c), &info, sizeof info);
        m->msg_controllen = CMSG_SPACE(sizeof info);
    } else {
        struct in_pktinfo info = {.ipi_ifindex = 0};

        base_copy(&info.ipi_spec_dst, local->ip, 4);
        c->cmsg_level = IPPROTO_IP;
        c->cmsg_type = IP_PKTINFO;
        c->cmsg_len = CMSG_LEN(sizeof info);
        base_copy(CMSG_DATA(c), &info, sizeof info);
        m->msg_controllen = CMSG_SPACE(sizeof info);
    }
}

static void send_datagram(struct rtcp_endpoint *endpoint)
{
    const struct rtcp_control_port *port = &endpoint->port[endpoint->datagram_to.via];
    struct sockaddr_storage to;
    struct iovec bytes = {endpoint->datagram, endpoint->datagram_size};
    struct msghdr m = {.msg_name = &to, .msg_iov = &bytes, .msg_iovlen = 1};
    _Alignas(struct cmsghdr) char space[CONTROL_SPACE] = {0};

    endpoint->datagram_size = 0;
    if (rtcp_address_is_courier(&endpoint->datagram_to.peer)) {
        rtcp_courier_send(endpoint, &endpoint->datagram_to.peer, endpoint->datagram, bytes.iov_len);
        return;
    }
    if (endpoint->datagram_to.via >= endpoint->port_count || port->bound.family != endpoint->datagram_to.peer.family) {
        return;
    }
    m.msg_namelen = rtcp_address_to_sock(&endpoint->datagram_to.peer, &to);
    if (endpoint->datagram_to.local.family != 0) {
        set_local(&m, space, &endpoint->datagram_to.local);
    }
    rtcp_endpoint_leave(endpoint);
    if (sendmsg(port->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EAGAIN && errno != EINTR) {
        /* A pending ICMP error of an earlier datagram shows up here (P71): it was not about this one. */
        (void)sendmsg(port->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    rtcp_endpoint_enter(endpoint);
    endpoint->stats.datagrams_sent++;
}

void rtcp_control_flush(struct rtcp_endpoint *endpoint)
{
    if (endpoint->datagram_size > 0) { /* asked after every event */
        send_datagram(endpoint);
    }
}

void rtcp_control_send(struct rtcp_endpoint *endpoint, const struct rtcp_source *to, const uint8_t *message,
                       size_t size)
{
    bool is_same = rtcp_address_equal(&endpoint->datagram_to.peer, &to->peer) &&
                   rtcp_address_equal(&endpoint->datagram_to.local, &to->local) && endpoint->datagram_to.via == to->via;

    if (endpoint->datagram_size > 0 && (!is_same || endpoint->datagram_size + size > sizeof endpoint->datagram)) {
        rtcp_control_flush(endpoint);
    }
    endpoint->datagram_to = *to;
    base_copy(endpoint->datagram + endpoint->datagram_size, message, size);
    endpoint->datagram_size += size;
}

/* ------------------------------------------------------------------------------------------------ receiving */

/* A message for nobody: the dead answer for themselves, and a PROBE learns that nobody lives here. */
static void answer_for_nobody(struct rtcp_endpoint *endpoint, const struct rtcp_wire_control *c)
{
    const struct rtcp_tombstone *t = rtcp_registry_grave(&endpoint->registry, c->id);
    uint8_t out[2 * RTCP_WIRE_CONTROL_MAX];
    size_t size = 0;

    if (t != NULL) {
        size = rtcp_tombstone_answer(t, c, out);
    } else {
        endpoint->stats.messages_dropped++;
    }
    if (size == 0 && c->type == RTCP_WIRE_PROBE && (t == NULL || t->reason == RTCP_WIRE_UNCONFIRMED)) {
        size = rtcp_registry_unknown(rtcp_keyring_any(&endpoint->keys, base_get32(c->echo)), endpoint->incarnation, c,
                                     out);
    }
    if (size > 0) {
        rtcp_control_send(endpoint, endpoint->source, out, size);
    }
}

/* An authentic message of a session came: what does it tell about the ways? */
static void look_at_ways(struct rtcp_endpoint *endpoint, const struct rtcp_session *s,
                         const struct rtcp_address *before, base_time now)
{
    if (rtcp_address_is_courier(&endpoint->source->peer)) {
        rtcp_courier_heard(endpoint, &endpoint->source->peer, now);
    }
    if (s->route != NULL) {
        rtcp_routes_moved(endpoint, s->route);
    }
    if (s->route != NULL && !rtcp_address_is_courier(&endpoint->source->peer) &&
        rtcp_address_equal(&s->route->to, &endpoint->source->peer)) {
        s->route->via = endpoint->source->via; /* a CONTROL connection says nothing about the way back to UDP */
    }
    if (s->route != NULL && before->family != 0 && !rtcp_address_equal(before, &s->route->to) &&
        (rtcp_address_is_courier(before) || rtcp_address_is_courier(&s->route->to))) {
        rtcp_routes_rerouted(s->route, now);
    }
}

static void handle_message(struct rtcp_endpoint *endpoint, const struct rtcp_wire_control *c, base_time now)
{
    struct rtcp_session *s = rtcp_registry_find(&endpoint->registry, c->id);
    struct rtcp_stream *stream = (struct rtcp_stream *)(void *)s; /* the session is its first member */
    struct rtcp_address before = {.family = 0};

    if (s == NULL) {
        answer_for_nobody(endpoint, c);
        return;
    }
    if (stream->live != NULL && (c->type == RTCP_WIRE_PROBE || c->type == RTCP_WIRE_PROBE_REPLY)) {
        rtcp_link_observe(stream->live, now);
    }
    if (s->route != NULL) {
        before = s->route->to;
    }
    if (rtcp_session_control(s, now, c, &endpoint->source->peer) < 0) {
        endpoint->stats.messages_dropped++;
        rtcp_endpoint_complain(endpoint, &endpoint->source->peer, "message dropped",
                               "forged, or its count is impossible");
    } else {
        look_at_ways(endpoint, s, &before, now);
    }
    rtcp_stream_pump(stream, now);
}

void rtcp_control_received(struct rtcp_endpoint *endpoint, struct base_bytes datagram, const struct rtcp_source *from)
{
    base_time now = rtcp_endpoint_now(endpoint);

    endpoint->source = from;
    for (int i = 0; i < MESSAGES_PER_DATAGRAM && datagram.size > 0; i++) {
        struct rtcp_wire_control c;

        if (rtcp_wire_get_control(&datagram, &c) < 0) {
            endpoint->stats.messages_dropped++;
            rtcp_endpoint_complain(endpoint, &from->peer, "datagram dropped", "it does not speak this protocol");
            break;
        }
        handle_message(endpoint, &c, now);
    }
    endpoint->source = NULL;
    rtcp_control_flush(endpoint);
}

/* The address of ours that a datagram was sent to. */
static void get_local(struct msghdr *m, struct rtcp_address *local)
{
    base_zero(local, sizeof *local);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;

            base_copy(&info, CMSG_DATA(c), sizeof info);
            local->family = 4;
            base_copy(local->ip, &info.ipi_spec_dst, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;

            base_copy(&info, CMSG_DATA(c), sizeof info);
            local->family = 6;
            base_copy(local->ip, &info.ipi6_addr, 16);
            local->scope = IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr) ? (uint32_t)info.ipi6_ifindex : 0;
        }
    }
}

/* What ICMP said about datagrams we sent: a hint for the sessions that use that address. */
static void read_errors(struct rtcp_endpoint *endpoint, int fd)
{
    for (int i = 0; i < ERRORS_PER_EVENT; i++) {
        struct sockaddr_storage about;
        struct rtcp_address address;
        uint8_t bytes[64];
        _Alignas(struct cmsghdr) char space[CONTROL_SPACE];
        struct iovec into = {bytes, sizeof bytes};
        struct msghdr m = {.msg_name = &about,
                           .msg_namelen = sizeof about,
                           .msg_iov = &into,
                           .msg_iovlen = 1,
                           .msg_control = space,
                           .msg_controllen = sizeof space};
        int error = 0;
        struct rtcp_route *route;

        if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) {
            return;
        }
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
            if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
                struct sock_extended_err e;

                base_copy(&e, CMSG_DATA(c), sizeof e);
                error = (int)e.ee_errno;
            }
        }
        rtcp_address_from_sock(&about, &address);
        route = rtcp_routes_at(endpoint, &address);
        if (error != 0 && route != NULL) {
            rtcp_routes_hint(route, NULL, error == ECONNREFUSED ? RTCP_EVIDENCE_REFUSED : RTCP_EVIDENCE_UNREACHABLE,
                             base_clock_now());
        }
    }
}

/* Datagrams taken out of the kernel with one call, which also finds out that there are no more. */
struct batch {
    struct mmsghdr header[DATAGRAMS_PER_CALL];
    struct iovec into[DATAGRAMS_PER_CALL];
    struct sockaddr_storage from[DATAGRAMS_PER_CALL];
    _Alignas(struct cmsghdr) char space[DATAGRAMS_PER_CALL][CONTROL_SPACE];
    uint8_t bytes[DATAGRAMS_PER_CALL][2048];
};

static int take_batch(const struct rtcp_endpoint *endpoint, int fd, struct batch *b)
{
    int n;

    for (int i = 0; i < DATAGRAMS_PER_CALL; i++) {
        b->into[i] = (struct iovec){b->bytes[i], sizeof b->bytes[i]};
        b->header[i].msg_hdr = (struct msghdr){.msg_name = &b->from[i],
                                               .msg_namelen = sizeof b->from[i],
                                               .msg_iov = &b->into[i],
                                               .msg_iovlen = 1,
                                               .msg_control = b->space[i],
                                               .msg_controllen = sizeof b->space[i]};
    }
    rtcp_endpoint_leave(endpoint);
    n = recvmmsg(fd, b->header, DATAGRAMS_PER_CALL, MSG_DONTWAIT, NULL);
    rtcp_endpoint_enter(endpoint);
    return n;
}

static void handle_batch(struct rtcp_endpoint *endpoint, struct batch *b, int count, uint8_t via)
{
    for (int i = 0; i < count; i++) {
        struct rtcp_source source;

        rtcp_address_from_sock(&b->from[i], &source.peer);
        get_local(&b->header[i].msg_hdr, &source.local);
        source.via = via;
        endpoint->stats.datagrams_received++;
        rtcp_control_received(endpoint, (struct base_bytes){b->bytes[i], b->header[i].msg_len}, &source);
    }
}

static void on_datagrams(struct ev_loop *loop, ev_io *w, int events)
{
    struct rtcp_endpoint *endpoint = w->data;
    struct batch b;
    uint8_t via = 0;

    (void)loop;
    (void)events;
    while (via < endpoint->port_count && &endpoint->port[via].reader != w) {
        via++;
    }
    for (int i = 0; i < CALLS_PER_EVENT; i++) {
        int n = take_batch(endpoint, w->fd, &b);

        if (n < 0) {
            bool is_empty = errno == EAGAIN || errno == EINTR;

            if (!is_empty || i == 0) {
                read_errors(endpoint, w->fd); /* the loop wakes us for them until they are taken */
            }
            if (is_empty) {
                break;
            }
            continue;
        }
        handle_batch(endpoint, &b, n, via);
        if (n < DATAGRAMS_PER_CALL) {
            break;
        }
    }
    rtcp_endpoint_turn(endpoint);
}

/* ------------------------------------------------------------------------------------------------ the sockets */

static int bind_port(int fd, const struct rtcp_address *at)
{
    struct sockaddr_storage address;
    socklen_t size = rtcp_address_to_sock(at, &address);

    return bind(fd, (struct sockaddr *)&address, size);
}

static void set_options(int fd, uint8_t family)
{
    int one = 1;
    int room = 1 << 20; /* bursts of acknowledgements must not push each other out (P72) */

    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    if (family == 6) {
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof one);
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &one, sizeof one);
    } else {
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof one);
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &one, sizeof one);
    }
}

int rtcp_control_open(struct rtcp_endpoint *endpoint, const struct rtcp_address *at)
{
    struct rtcp_control_port *port;
    struct rtcp_address want = *at;
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    int fd;

    if (find_port(endpoint, at) >= 0 || endpoint->port_count == RTCP_PORTS_MAX) {
        return 0; /* too many: what is left serves all */
    }
    port = &endpoint->port[endpoint->port_count];
    if (endpoint->port_wanted == 0) {
        endpoint->port_wanted = at->port;
    }
    want.port = at->port != 0 ? at->port : endpoint->port_wanted;
    fd = socket(at->family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return BASE_E_SYSTEM;
    }
    set_options(fd, at->family);
    if (bind_port(fd, &want) < 0) {
        want.port = 0; /* the number is a convenience: handshakes tell the real one */
        if (bind_port(fd, &want) < 0) {
            int error = errno;

            close(fd);
            errno = error;
            return BASE_E_SYSTEM;
        }
    }
    if (getsockname(fd, (struct sockaddr *)&address, &size) == 0) {
        rtcp_address_from_sock(&address, &want);
    }
    port->fd = fd;
    port->bound = want;
    endpoint->port_count++;
    ev_io_init(&port->reader, on_datagrams, fd, EV_READ);
    port->reader.data = endpoint;
    ev_io_start(endpoint->loop, &port->reader);
    return 0;
}

void rtcp_control_close(struct rtcp_endpoint *endpoint)
{
    for (int i = 0; i < endpoint->port_count; i++) {
        ev_io_stop(endpoint->loop, &endpoint->port[i].reader);
        close(endpoint->port[i].fd);
    }
    endpoint->port_count = 0;
}
