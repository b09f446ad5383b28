/* The applications of duo.h: they write a known pattern, read it, and end as they were told. */
#include "tests/story/rtcp/duo.h"

uint8_t duo_pattern(bool from_client, uint64_t offset)
{
    return (uint8_t)(((offset + 1) * 0x9e3779b97f4a7c15u + (from_client ? 0 : 0x5bd1e995u) * (offset >> 3)) >> 55);
}

static int64_t append(struct duo_stream *s, size_t size)
{
    struct duo *d = s->host->duo;
    struct rtcp_session *session = &s->session;
    uint8_t bytes[2000];
    struct base_span room = {bytes, sizeof bytes};
    bool in_place = base_rng_below(&d->rng, 2) == 0;
    int status;

    if (in_place) {
        status = rtcp_session_reserve(session, d->now, &room);
        if (status < 0) {
            return status;
        }
    }
    size = size < room.size ? size : room.size;
    for (size_t i = 0; i < size; i++) {
        room.data[i] = duo_pattern(session->opt.is_client, session->out.upto + i);
    }
    if (!in_place) {
        return rtcp_session_append(session, d->now, (struct base_bytes){bytes, size});
    }
    status = rtcp_session_commit(session, d->now, size);
    return status < 0 ? status : (int64_t)size;
}

static bool write_some(struct duo_stream *s)
{
    bool did = false;

    while (s->to_send > 0) {
        size_t size = 1 + (size_t)base_rng_below(&s->host->duo->rng, 2000);
        int64_t n = append(s, size < s->to_send ? size : (size_t)s->to_send);

        duo_pump(s);
        if (n == BASE_E_CLOSED) {
            s->to_send = 0; /* the peer reads no more: an application gives up */
        }
        if (n <= 0) {
            break;
        }
        s->to_send -= (uint64_t)n;
        did = true;
    }
    if (s->to_send == 0 && s->shut_after && !s->session.shut) {
        (void)duo_shutdown(s);
        did = true;
    }
    if (s->to_send == 0 && s->close_after && !s->session.closed) {
        duo_finish(s, false);
        did = true;
    }
    return did;
}

static void take(struct duo_stream *s, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != duo_pattern(!s->session.opt.is_client, s->read + i)) {
            duo_fail(s->host->duo, "%c's application reads a wrong byte at offset %llu", duo_letter(s->host),
                     (unsigned long long)(s->read + i));
        }
    }
    s->read += size;
}

static void see_end(struct duo_stream *s)
{
    const struct duo_stream *p = duo_peer(s);

    s->saw_end = true;
    duo_note(s->host->duo, "%c reads the end", duo_letter(s->host));
    if (p == NULL || !p->session.shut || p->session.out.upto != s->read) {
        duo_fail(s->host->duo, "%c reads an end that nobody made (P5)", duo_letter(s->host));
    }
}

static bool read_some(struct duo_stream *s)
{
    struct duo *d = s->host->duo;
    size_t budget = s->slow_at == BASE_NEVER ? SIZE_MAX : s->slow_bytes;
    bool did = false;

    if (!s->is_reading || s->saw_end || s->session.closed || (s->slow_at != BASE_NEVER && s->slow_at > d->now)) {
        return false;
    }
    while (budget > 0) {
        uint8_t bytes[1500];
        size_t size = 1 + (size_t)base_rng_below(&d->rng, sizeof bytes);
        int64_t n = duo_recv(s, bytes, size < budget ? size : budget);

        if (n == 0) {
            see_end(s);
            did = true;
        }
        if (n <= 0) {
            break;
        }
        take(s, bytes, (size_t)n);
        budget -= (size_t)n;
        did = true;
    }
    if (s->slow_at != BASE_NEVER) {
        s->slow_at = d->now + s->slow_every;
    }
    return did;
}

bool duo_app_turn(struct duo_stream *s)
{
    bool did = false;

    if (s == NULL || !s->is_used || s->host->is_paused) {
        return false;
    }
    if (!s->is_closed && (s->is_accepted || s->session.opt.is_client)) {
        did = write_some(s);
        did = read_some(s) || did;
        if (s->saw_end && s->close_at_end && s->to_send == 0 && !s->session.closed) {
            duo_finish(s, false);
            did = true;
        }
    }
    duo_pump(s);
    return did;
}
