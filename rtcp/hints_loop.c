/* Hints of the kernel: a link, an address or a route came up, so trying may pay now (design 2.4; PROTOCOL.md "When to
 * try"). See inside_loop.h. Where the kernel tells nothing this is silently off: probes and back-off find out, too.
 *
 * Must never know: what a session makes of a hint.
 */
#include "rtcp/base/clock_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

#define READS_PER_EVENT 16

/* Whether something came up; what goes down is found out by whoever uses it. */
static bool is_good_news(const struct nlmsghdr *h)
{
    struct ifinfomsg link;

    if (h->nlmsg_type == RTM_NEWADDR || h->nlmsg_type == RTM_NEWROUTE) {
        return true;
    }
    if (h->nlmsg_type != RTM_NEWLINK || h->nlmsg_len < NLMSG_LENGTH(sizeof link)) {
        return false;
    }
    base_copy(&link, NLMSG_DATA(h), sizeof link);
    return (link.ifi_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}

static bool has_good_news(const uint8_t *bytes, size_t size)
{
    size_t at = 0;
    bool has_news = false;

    while (at < size) { /* not NLMSG_NEXT: with an unsigned size it goes on behind the end after an odd length */
        const struct nlmsghdr *h = (const struct nlmsghdr *)(const void *)(bytes + at);

        if (!NLMSG_OK(h, size - at)) {
            break;
        }
        has_news = has_news || is_good_news(h);
        at += NLMSG_ALIGN(h->nlmsg_len);
    }
    return has_news;
}

static void on_pause_over(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rtcp_endpoint *endpoint = w->data;
    base_time now = base_clock_now();

    (void)events;
    ev_ref(loop); /* it has stopped by itself */
    endpoint->hints.acted_at = now;
    for (struct rtcp_stream *stream = endpoint->streams; stream != NULL; stream = stream->next) {
        rtcp_session_network_changed(&stream->session, now);
        rtcp_endpoint_make_ready(stream); /* its effects are performed in the turn */
    }
    rtcp_endpoint_turn(endpoint);
}

static void on_news(struct ev_loop *loop, ev_io *w, int events)
{
    struct rtcp_endpoint *endpoint = w->data;
    struct rtcp_hints *hints = &endpoint->hints;
    bool has_news = false;

    (void)events;
    for (int i = 0; i < READS_PER_EVENT; i++) {
        _Alignas(struct nlmsghdr) uint8_t bytes[8192];
        ssize_t n = recv(w->fd, bytes, sizeof bytes, MSG_DONTWAIT);

        if (n <= 0) {
            has_news = has_news || (n < 0 && errno == ENOBUFS); /* some were lost: there may have been one */
            break;
        }
        has_news = has_news || has_good_news(bytes, (size_t)n);
    }
    if (has_news && !ev_is_active(&hints->pause)) {
        base_time now = base_clock_now();
        base_time at = hints->acted_at == 0 ? now : base_time_max(now, hints->acted_at + RTCP_HINT_GAP);

        /* An address comes some moments after its link: one try for both. */
        ev_timer_set(&hints->pause, (double)(at - now + RTCP_HINT_PAUSE) / 1e9, 0.);
        ev_timer_start(loop, &hints->pause);
        ev_unref(loop);
    }
}

void rtcp_hints_open(struct rtcp_endpoint *endpoint)
{
    struct rtcp_hints *hints = &endpoint->hints;
    struct sockaddr_nl address = {.nl_family = AF_NETLINK,
                                  .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                                               RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};

    hints->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (hints->fd < 0) {
        return;
    }
    if (bind(hints->fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(hints->fd);
        hints->fd = -1;
        return;
    }
    ev_io_init(&hints->reader, on_news, hints->fd, EV_READ);
    ev_timer_init(&hints->pause, on_pause_over, 0., 0.);
    hints->reader.data = hints->pause.data = endpoint;
    ev_io_start(endpoint->loop, &hints->reader);
    ev_unref(endpoint->loop); /* it does not keep the loop running */
}

void rtcp_hints_close(struct rtcp_endpoint *endpoint)
{
    struct rtcp_hints *hints = &endpoint->hints;

    if (hints->fd < 0) {
        return;
    }
    if (ev_is_active(&hints->pause)) {
        ev_ref(endpoint->loop);
        ev_timer_stop(endpoint->loop, &hints->pause);
    }
    ev_ref(endpoint->loop);
    ev_io_stop(endpoint->loop, &hints->reader);
    close(hints->fd);
    hints->fd = -1;
}
