/* What a TCP connection writes: handshakes, early bytes, the stream from the ring. See inside_loop.h.
 *
 * Must never know: why a session wants a connection. It tells the session what was written.
 */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/inside_loop.h"
#include "rtcp/pages_loop.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#define REFUSED_S 1.

/* Writes the pending handshake bytes: 1 done, 0 not yet, -1 broken. */
static int flush_out(struct rtcp_link *link)
{
    while (link->out_sent < link->out_size) {
        ssize_t n =
            send(link->fd, link->out + link->out_sent, link->out_size - link->out_sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        link->out_sent += (size_t)n;
    }
    return 1;
}

/* Handshake bytes and the ring bytes behind them in one call, one segment: the ring bytes written, or -1. */
static ssize_t send_both(struct rtcp_link *link, struct base_bytes ring)
{
    struct iovec pieces[2] = {{link->out + link->out_sent, link->out_size - link->out_sent},
                              {(void *)(uintptr_t)ring.data, ring.size}};
    struct msghdr m = {.msg_iov = pieces, .msg_iovlen = 2};
    ssize_t n = sendmsg(link->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    size_t head;

    if (n < 0) {
        return -1;
    }
    head = (size_t)n < pieces[0].iov_len ? (size_t)n : pieces[0].iov_len;
    link->out_sent += head;
    return n - (ssize_t)head;
}

/* Early bytes of an opening, straight from the ring's start, behind what is left of the OPEN. */
static int flush_early(struct rtcp_link *link)
{
    struct rtcp_session *s = &link->stream->session;

    while (link->early_left > 0) {
        struct base_bytes from = rtcp_outbox_from(&s->out, s->opt.first_offset + s->early_written);
        size_t size = from.size < link->early_left ? from.size : link->early_left;
        ssize_t n = link->out_sent < link->out_size ? send_both(link, (struct base_bytes){from.data, size})
                                                    : send(link->fd, from.data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        rtcp_session_sent_early(s, (size_t)n);
        link->early_left -= (uint32_t)n;
    }
    return flush_out(link);
}

int rtcp_link_flush_out(struct rtcp_link *link)
{
    int done = flush_out(link);

    if (done == 1 && link->confirm_pending && link->early_left == 0) {
        base_copy(link->out, link->confirm, sizeof link->confirm);
        link->out_size = sizeof link->confirm;
        link->out_sent = 0;
        link->confirm_pending = false;
        done = flush_out(link);
    }
    return done;
}

/* Ring bytes that are next. As send(). */
static ssize_t write_ring(struct rtcp_link *link, struct base_bytes next)
{
    struct rtcp_stream *stream = link->stream;

    return rtcp_pages_write(link->fd, &stream->session.out.ring, stream->session.written, next, &stream->no_pages);
}

/* Stream bytes in ring order; the CONFIRM goes in where the promised early bytes end. */
static int flush_stream(struct rtcp_link *link, base_time now)
{
    struct rtcp_session *s = &link->stream->session;

    for (;;) {
        struct base_bytes next = rtcp_session_next(s, link->attempt);
        bool is_both = next.size > 0 && link->out_sent < link->out_size && !link->confirm_pending;
        int done = is_both ? 1 : rtcp_link_flush_out(link);
        ssize_t n;

        if (done != 1) {
            return done;
        }
        if (link->confirm_pending && next.size > link->early_left) {
            next.size = link->early_left;
        }
        if (next.size == 0) {
            return 1;
        }
        n = is_both ? send_both(link, next) : write_ring(link, next);
        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        rtcp_session_sent(s, now, (size_t)n);
        if (link->early_left > 0) {
            link->early_left -= (uint32_t)((size_t)n < link->early_left ? (size_t)n : link->early_left);
        }
    }
}

bool rtcp_link_is_free(const struct rtcp_link *link)
{
    return link->state == RTCP_LINK_STREAM && !link->is_corked && link->shared == NULL &&
           !ev_is_active(&link->writer) && link->out_sent == link->out_size && !link->confirm_pending &&
           link->early_left == 0;
}

int64_t rtcp_link_pass(struct rtcp_link *link, const void *data, size_t size)
{
    ssize_t n = send(link->fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

    return n < 0 ? -errno : n;
}

void rtcp_link_passed(struct rtcp_link *link, base_time now, int64_t taken, size_t size)
{
    if (taken < 0 && taken != -EAGAIN && taken != -EINTR) {
        rtcp_link_broke(link, now, (int)-taken, "writing failed");
        return;
    }
    if (taken > 0) {
        rtcp_session_sent(&link->stream->session, now, (size_t)taken);
    }
    if (taken < (int64_t)size) {
        ev_io_start(link->endpoint->loop, &link->writer);
    }
}

static int flush_some(struct rtcp_link *link, base_time now)
{
    bool is_stream = link->stream != NULL && (link->state == RTCP_LINK_WAITING || link->state == RTCP_LINK_STREAM);
    int done = is_stream ? 1 : flush_out(link); /* the others take it along */

    if (done == 1 && link->state == RTCP_LINK_REFUSED && !link->fin_sent) {
        link->fin_sent = true;
        shutdown(link->fd, SHUT_WR);
    }
    if (done == 1 && link->state == RTCP_LINK_WAITING && link->stream != NULL) {
        done = flush_early(link);
    }
    if (done == 1 && link->state == RTCP_LINK_STREAM) {
        done = flush_stream(link, now);
        if (done == 1 && !link->fin_sent && rtcp_session_is_fin_due(&link->stream->session)) {
            link->fin_sent = true;
            shutdown(link->fd, SHUT_WR);
        }
    }
    return done;
}

void rtcp_link_uncork(struct rtcp_link *link, base_time now)
{
    if (link->is_corked) {
        link->is_corked = false;
        (void)rtcp_link_flush(link, now);
    }
}

bool rtcp_link_flush(struct rtcp_link *link, base_time now)
{
    struct ev_loop *loop = link->endpoint->loop;
    int done;

    if (link->is_corked || link->state == RTCP_LINK_CONNECTING || link->state == RTCP_LINK_FROZEN ||
        link->state == RTCP_LINK_CLOSED) {
        return true;
    }
    if (link->shared != NULL) {
        return rtcp_shared_link_flush(link, now);
    }
    done = flush_some(link, now);
    if (done < 0) {
        rtcp_link_broke(link, now, errno, "writing failed");
        return false;
    }
    if (done == 0) {
        ev_io_start(loop, &link->writer);
    } else if (ev_is_active(&link->writer)) {
        ev_io_stop(loop, &link->writer);
    }
    return true;
}

void rtcp_link_greet(struct rtcp_link *link, const uint8_t *bytes, size_t size, uint32_t early)
{
    CHECK(size <= sizeof link->out);
    base_copy(link->out, bytes, size);
    link->out_size = size;
    link->out_sent = 0;
    link->early_left = early;
    if (link->listener != NULL && link->stream->share == NULL) {
        link->is_corked = true; /* it goes out at the end of the turn, with what the application answers */
        rtcp_endpoint_make_ready(link->stream);
    }
    if (link->state == RTCP_LINK_CONNECTING) {
        link->state = RTCP_LINK_WAITING;
        ev_io_start(link->endpoint->loop, &link->reader);
    } else if (link->confirm_in > 0 && link->early_in == 0) {
        link->state = RTCP_LINK_PROVING;
        link->in_size = 0;
        ev_io_start(link->endpoint->loop, &link->reader);
    }
    (void)rtcp_link_flush(link, base_clock_now());
}

/* Bytes that came with the handshake need no event of the kernel. */
static void look(struct rtcp_link *link)
{
    int unread = 0;

    if (link->confirm_in == 0 && ioctl(link->fd, FIONREAD, &unread) == 0 && unread > 0) {
        rtcp_stream_report(link->stream, RTCP_REPORT_READABLE);
    }
}

void rtcp_link_attach(struct rtcp_link *link, const uint8_t *confirm)
{
    if (link->state == RTCP_LINK_CLOSED) {
        return;
    }
    link->state = RTCP_LINK_STREAM;
    if (confirm != NULL) {
        base_copy(link->confirm, confirm, sizeof link->confirm);
        link->confirm_pending = true;
    } else if (link->stream->session.opt.is_client) {
        link->early_left = 0; /* what is left of them is sent as part of the stream */
    }
    ev_timer_stop(link->endpoint->loop, &link->timer);
    if (link->stream->share != NULL) {
        rtcp_shared_link_attach(link);
    } else if (!link->stream->session.closed && !link->stream->is_paused) {
        ev_io_start(link->endpoint->loop, &link->reader);
        look(link);
    } else {
        ev_io_stop(link->endpoint->loop, &link->reader);
    }
}

void rtcp_link_refuse(struct rtcp_link *link, const uint8_t *bytes, size_t size)
{
    struct ev_loop *loop = link->endpoint->loop;

    link->endpoint->stats.handshakes_refused++; /* it stays in the list of half-open ones: they are bounded */
    link->state = RTCP_LINK_REFUSED;
    ev_timer_stop(loop, &link->timer);
    ev_timer_set(&link->timer, REFUSED_S, 0.);
    ev_timer_start(loop, &link->timer);
    CHECK(size <= sizeof link->out);
    base_copy(link->out, bytes, size);
    link->out_size = size;
    link->out_sent = 0;
    ev_io_start(loop, &link->reader);
    (void)rtcp_link_flush(link, base_clock_now());
}
