/* What a TCP connection reads: handshakes, the stream, what is thrown away. See inside_loop.h.
 *
 * Must never know: what counts mean. It tells the session what was read (C1: copied out of the kernel).
 */
#include "rtcp/base/clock_loop.h"
#include "rtcp/inside_loop.h"

#include <errno.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#define REFUSED_BYTES_MAX 65536u /* thrown away behind a REFUSE */

/* Reads exactly up to `total` bytes into link->in: 1 done, 0 not yet, -1 broken or ended. */
static int read_exactly(struct rtcp_link *link, size_t total)
{
    while (link->in_size < total) {
        ssize_t n = recv(link->fd, link->in + link->in_size, total - link->in_size, MSG_DONTWAIT);

        if (n < 0) {
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        }
        if (n == 0) {
            errno = ECONNRESET;
            return -1;
        }
        link->in_size += (size_t)n;
    }
    return 1;
}

/* What was read of a handshake message so far: 1 whole, 0 not yet, -2 nonsense, -3 whole and of another version; and
 * how long it is, as far as is known. */
static int judge_message(const struct rtcp_link *link, size_t *ret_total)
{
    uint8_t version;

    if (rtcp_wire_total((struct base_bytes){link->in, link->in_size}, ret_total, &version) < 0) {
        return -2;
    }
    if (link->in_size < RTCP_WIRE_PREFIX || link->in_size < *ret_total) {
        return 0;
    }
    return version == RTCP_WIRE_VERSION ? 1 : -3;
}

/* Reads one handshake message and not a byte more: what follows belongs to the stream. In our version it has at least
 * `least` bytes, which are read at one go. As read_exactly, and -2 for nonsense, at its first bytes, and -3. */
static int read_message(struct rtcp_link *link, size_t least)
{
    for (;;) {
        size_t total = 0;
        int judged = judge_message(link, &total);
        int done;

        if (judged != 0) {
            return judged;
        }
        done = read_exactly(link, link->in_size < least && total < least ? least : total);
        if (done != 1) {
            judged = judge_message(link, &total);
            return judged == 0 || (judged == -2 && done < 0) ? done : judged;
        }
    }
}

void rtcp_link_read_answer(struct rtcp_link *link, base_time now)
{
    struct rtcp_session *s = &link->stream->session;
    int done = read_message(link, RTCP_WIRE_ANSWER);

    if (done == 1) {
        ev_io_stop(link->endpoint->loop, &link->reader);
        rtcp_session_answered(s, now, link->attempt, (struct base_bytes){link->in, link->in_size});
    } else if (done < -1) {
        rtcp_session_broke(s, now, link->attempt, RTCP_EVIDENCE_WRONG_PEER, "what answers is another service");
    } else if (done < 0) {
        rtcp_session_broke(s, now, link->attempt, rtcp_link_evidence(errno), "ended before the answer");
    }
}

void rtcp_link_read_request(struct rtcp_link *link, base_time now)
{
    int done = read_message(link, RTCP_WIRE_REQUEST);

    if (done == 1) {
        ev_io_stop(link->endpoint->loop, &link->reader);
        rtcp_listener_request(link, now);
    } else if (done == -3) {
        rtcp_listener_wrong_version(link);
    } else if (done < 0) {
        rtcp_link_broke(link, now, 0, done == -2 ? "it does not speak this protocol" : "it ended in the middle");
    } else {
        base_time left =
            RTCP_HANDSHAKE_TOTAL - base_time_min(base_time_since(now, link->began_at), RTCP_HANDSHAKE_TOTAL);

        ev_timer_stop(link->endpoint->loop, &link->timer);
        ev_timer_set(&link->timer, (double)base_time_min(left, RTCP_HANDSHAKE_IDLE) / 1e9, 0.);
        ev_timer_start(link->endpoint->loop, &link->timer);
    }
}

/* Reads the peer's CONFIRM: 1 proven, 0 not yet, -1 broken (told). */
int rtcp_link_read_confirm(struct rtcp_link *link, base_time now)
{
    int done = read_exactly(link, RTCP_WIRE_CONFIRM);

    if (done == 1) {
        link->confirm_in = 0;
        if (rtcp_session_confirmed(&link->stream->session, now, link->attempt, link->in) == 0) {
            return 1;
        }
        done = -1;
        errno = EPROTO;
    }
    if (done < 0) {
        rtcp_link_broke(link, now, errno, "the proof of the key is missing or wrong");
    }
    return done;
}

void rtcp_link_throw_away(struct rtcp_link *link)
{
    uint8_t nothing[4096];
    ssize_t n = recv(link->fd, nothing, sizeof nothing, MSG_DONTWAIT);

    link->thrown_away += n > 0 ? (size_t)n : 0;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR) || link->thrown_away > REFUSED_BYTES_MAX) {
        rtcp_link_close(link, n == 0);
    }
}

int64_t rtcp_link_read(struct rtcp_link *link, base_time now, void *data, size_t size)
{
    ssize_t n;

    if (link->is_eof) {
        return BASE_E_AGAIN;
    }
    if (link->confirm_in > 0) {
        if (link->early_in == 0) {
            int done = rtcp_link_read_confirm(link, now);

            if (done != 1) {
                return done == 0 ? BASE_E_AGAIN : BASE_E_CLOSED;
            }
        } else if (size > link->early_in) {
            size = link->early_in;
        }
    }
    n = recv(link->fd, data, size, MSG_DONTWAIT);
    if (n > 0) {
        if (link->confirm_in > 0) {
            link->early_in -= (uint32_t)n;
            link->in_size = 0;
        }
        rtcp_session_received(&link->stream->session, now, (size_t)n);
        return n;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return BASE_E_AGAIN;
    }
    link->is_eof = true;
    ev_io_stop(link->endpoint->loop, &link->reader);
    if (n == 0) {
        rtcp_session_eof(&link->stream->session, now, link->attempt);
    } else {
        rtcp_link_broke(link, now, errno, "reading failed");
    }
    return BASE_E_CLOSED;
}

void rtcp_link_pause(struct rtcp_link *link)
{
    ev_io_stop(link->endpoint->loop, &link->reader);
}

void rtcp_link_freeze(struct rtcp_link *link)
{
    ev_io_stop(link->endpoint->loop, &link->reader);
    ev_io_stop(link->endpoint->loop, &link->writer);
    link->state = RTCP_LINK_FROZEN;
}

void rtcp_link_unpause(struct rtcp_link *link)
{
    if (link->state == RTCP_LINK_STREAM && !link->is_eof && link->shared == NULL) {
        ev_io_start(link->endpoint->loop, &link->reader);
    }
}

void rtcp_link_observe(struct rtcp_link *link, base_time now)
{
    int unread = 0;
    int held = 0;

    if (link->shared != NULL && !rtcp_shared_link_is_quiet(link->stream)) {
        return;
    }
    rtcp_link_hurry(link);
    if (link->state == RTCP_LINK_STREAM && ioctl(link->fd, SIOCOUTQ, &held) == 0 &&
        ioctl(link->fd, FIONREAD, &unread) == 0) {
        rtcp_session_observe(&link->stream->session, now, held > 0 ? (uint64_t)held : 0,
                             unread > 0 ? (uint32_t)unread : 0);
    }
}
