/* One end of a connection of duo.h: the handshake's bytes, the stream's bytes, as link_loop.c moves them. */
#include "tests/story/rtcp/duo.h"

#include "rtcp/base/check.h"

#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------ bytes out */

/* 1 done, 0 not yet, -1 broken. */
static int flush_out(struct duo_link *l)
{
    while (l->out_sent < l->out_size) {
        int64_t n = duo_net_write(l, l->out + l->out_sent, l->out_size - l->out_sent);

        if (n <= 0) {
            return (int)n;
        }
        l->out_sent += (size_t)n;
    }
    return 1;
}

static int flush_early(struct duo_link *l)
{
    struct rtcp_session *s = &l->stream->session;

    while (l->early_left > 0) {
        struct base_bytes from = rtcp_outbox_from(&s->out, s->opt.first_offset + s->early_written);
        int64_t n = duo_net_write(l, from.data, from.size < l->early_left ? from.size : l->early_left);

        if (n <= 0) {
            return (int)n;
        }
        rtcp_session_sent_early(s, (size_t)n);
        l->early_left -= (uint32_t)n;
    }
    return 1;
}

static int flush_stream(struct duo_link *l)
{
    struct rtcp_session *s = &l->stream->session;

    for (;;) {
        struct base_bytes next;
        int64_t n;

        if (l->confirm_pending && l->early_left == 0) {
            base_copy(l->out, l->confirm, sizeof l->confirm);
            l->out_size = sizeof l->confirm;
            l->out_sent = 0;
            l->confirm_pending = false;
        }
        if (l->out_sent < l->out_size) {
            int done = flush_out(l);

            if (done != 1) {
                return done;
            }
        }
        next = rtcp_session_next(s, l->attempt);
        if (l->confirm_pending && next.size > l->early_left) {
            next.size = l->early_left;
        }
        if (next.size == 0) {
            return 1;
        }
        n = duo_net_write(l, next.data, next.size);
        if (n <= 0) {
            return (int)n;
        }
        rtcp_session_sent(s, l->host->duo->now, (size_t)n);
        if (l->early_left > 0) {
            l->early_left -= (uint32_t)((uint64_t)n < l->early_left ? (uint64_t)n : l->early_left);
        }
    }
}

static void broke(struct duo_link *l, int evidence, const char *why)
{
    if (l->stream != NULL) {
        rtcp_session_broke(&l->stream->session, l->host->duo->now, l->attempt, evidence, why);
    } else {
        duo_net_close(l, false);
    }
}

bool duo_link_flush(struct duo_link *l)
{
    int done;

    if (l->stream == NULL || l->state == DUO_LINK_CONNECTING || l->state == DUO_LINK_FROZEN ||
        l->state == DUO_LINK_CLOSED) {
        return true;
    }
    done = flush_out(l);
    if (done == 1 && l->state == DUO_LINK_WAITING) {
        done = flush_early(l);
    }
    if (done == 1 && l->state == DUO_LINK_STREAM) {
        done = flush_stream(l);
        if (done == 1 && !l->fin_sent && rtcp_session_is_fin_due(&l->stream->session)) {
            l->fin_sent = true;
            duo_net_shutdown(l);
        }
    }
    if (done < 0) {
        broke(l, -1, "writing failed");
        return false;
    }
    return true;
}

void duo_link_refuse(struct duo_link *l, const uint8_t bytes[RTCP_WIRE_ANSWER])
{
    l->host->refusals++;
    l->state = DUO_LINK_REFUSED;
    l->deadline = l->host->duo->now + BASE_S(1);
    duo_note(l->host->duo, "%c refuses %u", duo_letter(l->host), bytes[RTCP_WIRE_PREFIX]);
    if (duo_net_write(l, bytes, RTCP_WIRE_ANSWER) == RTCP_WIRE_ANSWER) {
        duo_net_shutdown(l);
    }
}

/* ------------------------------------------------------------------------------------------------ bytes in */

/* As read_exactly of link_loop.c. */
static int read_exactly(struct duo_link *l, size_t total)
{
    while (l->in_size < total) {
        int64_t n = duo_net_read(l, l->in + l->in_size, total - l->in_size);

        if (n == BASE_E_AGAIN) {
            return 0;
        }
        if (n <= 0) {
            return -1;
        }
        l->in_size += (size_t)n;
    }
    return 1;
}

int duo_link_read_message(struct duo_link *l)
{
    for (;;) {
        size_t total;
        uint8_t version;
        int done;

        if (rtcp_wire_total((struct base_bytes){l->in, l->in_size}, &total, &version) < 0) {
            return -2;
        }
        if (l->in_size >= RTCP_WIRE_PREFIX && l->in_size == total) {
            return version == RTCP_WIRE_VERSION ? 1 : -3;
        }
        done = read_exactly(l, total);
        if (done != 1) {
            return done == 0 && rtcp_wire_total((struct base_bytes){l->in, l->in_size}, &total, &version) < 0 ? -2
                                                                                                              : done;
        }
    }
}

static int read_confirm(struct duo_link *l)
{
    int done = read_exactly(l, RTCP_WIRE_CONFIRM);

    if (done == 1) {
        l->confirm_in = 0;
        if (rtcp_session_confirmed(&l->stream->session, l->host->duo->now, l->attempt, l->in) == 0) {
            return 1;
        }
        done = -1;
    }
    if (done < 0) {
        broke(l, -1, "the proof of the key is missing or wrong");
    }
    return done;
}

static void verify(struct duo_stream *s, uint64_t offset, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != duo_pattern(!s->session.opt.is_client, offset + i)) {
            duo_fail(s->host->duo, "%c reads a wrong byte at offset %llu", duo_letter(s->host),
                     (unsigned long long)(offset + i));
        }
    }
}

/* As rtcp_link_read. */
int64_t duo_link_read(struct duo_link *l, uint8_t *bytes, size_t size)
{
    struct rtcp_session *s = &l->stream->session;
    base_time now = l->host->duo->now;
    int64_t n;

    if (l->is_eof) {
        return BASE_E_AGAIN;
    }
    if (l->confirm_in > 0) {
        if (l->early_in == 0) {
            int done = read_confirm(l);

            if (done != 1) {
                return done == 0 ? BASE_E_AGAIN : BASE_E_CLOSED;
            }
        } else if (size > l->early_in) {
            size = l->early_in;
        }
    }
    n = duo_net_read(l, bytes, size);
    if (n > 0) {
        if (l->confirm_in > 0) {
            l->early_in -= (uint32_t)n;
            l->in_size = 0;
        }
        verify(l->stream, s->received, bytes, (size_t)n);
        rtcp_session_received(s, now, (size_t)n);
        return n;
    }
    if (n == BASE_E_AGAIN) {
        return n;
    }
    l->is_eof = true;
    if (n == 0) {
        rtcp_session_eof(s, now, l->attempt);
    } else {
        broke(l, -1, "reading failed");
    }
    return BASE_E_CLOSED;
}

/* ------------------------------------------------------------------------------------------------ freezing */

void duo_link_freeze(struct duo_stream *s, uint32_t attempt)
{
    struct duo_link *l = s->live;
    bool is_whole = true;

    if (l == NULL || l->attempt != attempt || l->state != DUO_LINK_STREAM || l->stream != s) {
        return;
    }
    for (;;) {
        size_t held = s->waiting_size - s->waiting_at;
        size_t may = rtcp_session_may_hold(&s->session, held);
        size_t chunk = may < 1000 ? may : 1000;
        int64_t n;

        if (s->session.path != RTCP_PATH_ATTACHED || s->session.live != attempt || chunk == 0) {
            break;
        }
        if (s->waiting_size + chunk > s->waiting_room) {
            s->waiting_room = s->waiting_size + chunk;
            s->waiting = realloc(s->waiting, s->waiting_room);
            CHECK(s->waiting != NULL);
        }
        n = duo_link_read(l, s->waiting + s->waiting_size, chunk);
        if (n <= 0) {
            is_whole = n == BASE_E_AGAIN;
            break;
        }
        s->waiting_size += (size_t)n;
    }
    if (s->live == l && s->session.live == attempt) {
        l->state = DUO_LINK_FROZEN;
        rtcp_session_frozen(&s->session, s->host->duo->now, attempt, is_whole && !s->host->never_thaws);
    }
}

static void read_answer(struct duo_link *l)
{
    struct rtcp_session *s = &l->stream->session;
    base_time now = l->host->duo->now;
    int done = duo_link_read_message(l);

    if (done == 1) {
        rtcp_session_answered(s, now, l->attempt, (struct base_bytes){l->in, l->in_size});
    } else if (done < -1) {
        rtcp_session_broke(s, now, l->attempt, RTCP_EVIDENCE_WRONG_PEER, "what answers is another service");
    } else if (done < 0) {
        rtcp_session_broke(s, now, l->attempt, -1, "ended before the answer");
    }
}

/* ------------------------------------------------------------------------------------------------ turns */

static bool connect_turn(struct duo_link *l)
{
    struct duo_stream *s = l->stream;

    if (l->is_refused || l->is_reset) {
        rtcp_session_broke(&s->session, l->host->duo->now, l->attempt, RTCP_EVIDENCE_REFUSED, "connecting failed");
    } else if (l->is_established) {
        l->is_established = false;
        rtcp_session_connected(&s->session, l->host->duo->now, l->attempt);
    } else {
        return false;
    }
    return true;
}

static bool throw_away(struct duo_link *l)
{
    uint8_t nothing[4096];
    int64_t n = duo_net_read(l, nothing, sizeof nothing);

    if (n == 0 || n == BASE_E_RESET || l->deadline <= l->host->duo->now) {
        duo_net_close(l, n == 0);
        return true;
    }
    return n > 0;
}

static bool handshake_turn(struct duo_link *l)
{
    uint64_t read = l->conn->flow[1 - l->side].read;

    if (l->state == DUO_LINK_ASKED && l->deadline <= l->host->duo->now) {
        duo_net_close(l, false);
        return true;
    }
    if (!duo_net_is_readable(l)) {
        return false;
    }
    if (l->state == DUO_LINK_ASKED) {
        duo_request(l);
    } else if (l->state == DUO_LINK_WAITING) {
        read_answer(l);
    } else {
        (void)read_confirm(l);
    }
    return l->conn->flow[1 - l->side].read != read || l->state == DUO_LINK_CLOSED;
}

static bool write_turn(struct duo_link *l)
{
    uint64_t written = l->conn->flow[l->side].written;

    if (!duo_net_is_writable(l)) {
        return false;
    }
    if (l->is_reset && rtcp_session_next(&l->stream->session, l->attempt).size == 0 && l->out_sent == l->out_size) {
        return false; /* nothing to write: the reader will see it */
    }
    return !duo_link_flush(l) || l->conn->flow[l->side].written != written;
}

bool duo_link_turn(struct duo_link *l)
{
    struct duo_stream *s = l->stream;
    bool did = false;

    if (l->host == NULL || l->host->is_paused || l->state == DUO_LINK_CLOSED) {
        return false;
    }
    switch (l->state) {
    case DUO_LINK_CONNECTING:
        did = connect_turn(l);
        break;
    case DUO_LINK_ASKED:
    case DUO_LINK_PROVING:
        did = handshake_turn(l);
        break;
    case DUO_LINK_WAITING:
        did = l->side == 0 && handshake_turn(l);
        duo_pump(s);
        did = (l->state == DUO_LINK_WAITING && write_turn(l)) || did;
        break;
    case DUO_LINK_STREAM:
        did = write_turn(l);
        break;
    case DUO_LINK_REFUSED:
        did = throw_away(l);
        break;
    case DUO_LINK_FROZEN:
    case DUO_LINK_MUTE:
    case DUO_LINK_CLOSED:
        break;
    }
    s = s == NULL ? l->stream : s;
    if (s != NULL) {
        duo_pump(s);
    }
    return did;
}
