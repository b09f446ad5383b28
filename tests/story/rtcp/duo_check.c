/* The oracles of duo.h. They know nothing of the protocol: only what the two applications were promised. */
#include "tests/story/rtcp/duo.h"

static bool is_other_half(const struct duo_stream *s, const struct duo_stream *o)
{
    const struct rtcp_session *a = &s->session;
    const struct rtcp_session *b = &o->session;

    if (a->opt.is_client == b->opt.is_client || a->cid == 0 || a->cid != b->cid ||
        a->peer_incarnation != b->opt.incarnation) {
        return false;
    }
    return memcmp(a->client_nonce, b->client_nonce, RTCP_WIRE_NONCE) == 0 &&
           memcmp(a->server_nonce, b->server_nonce, RTCP_WIRE_NONCE) == 0;
}

struct duo_stream *duo_peer(const struct duo_stream *s)
{
    struct duo_host *h = &s->host->duo->host[s->session.opt.is_client ? DUO_SERVER : DUO_CLIENT];

    for (int i = 0; i < DUO_STREAMS; i++) {
        if (h->stream[i] != NULL && is_other_half(s, h->stream[i])) {
            return h->stream[i];
        }
        if (h->buried[i] != NULL && is_other_half(s, h->buried[i])) {
            return h->buried[i];
        }
    }
    return NULL;
}

/* Exactly once: what one side counts as acknowledged the other has read; it never has more than was sent (C1, C7). */
static void check_direction(const struct duo_stream *from, const struct duo_stream *to)
{
    struct duo *d = from->host->duo;

    if (from->session.out.first > to->session.received) {
        duo_fail(d, "%c trimmed bytes that %c has not read (C7)", duo_letter(from->host), duo_letter(to->host));
    }
    if (to->session.received > from->session.out.upto) {
        duo_fail(d, "%c received more than %c sent", duo_letter(to->host), duo_letter(from->host));
    }
}

static void check_stream(const struct duo_stream *s)
{
    const struct duo_stream *p;
    struct duo *d = s->host->duo;

    if (s->session.received - s->read != s->waiting_size - s->waiting_at) {
        duo_fail(d, "%c lost count of the waiting bytes", duo_letter(s->host));
    }
    if (s->session.out.upto - s->session.out.first > s->session.out.ring.size && !s->is_closed && s->is_used) {
        duo_fail(d, "%c keeps more than its ring (C4)", duo_letter(s->host));
    }
    p = duo_peer(s);
    if (p != NULL) {
        check_direction(s, p);
        check_direction(p, s);
    }
}

void duo_check(struct duo *d)
{
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < DUO_STREAMS; j++) {
            if (d->host[i].stream[j] != NULL) {
                check_stream(d->host[i].stream[j]);
            }
        }
    }
}

/* ------------------------------------------------------------------------------------------------ ends */

static bool peer_gave_up(const struct duo_stream *p)
{
    return p != NULL && (p->session.aborted || p->session.closed || p->is_closed);
}

void duo_check_end(struct duo_stream *s)
{
    struct duo *d = s->host->duo;
    const struct rtcp_session *a = &s->session;
    const struct duo_stream *p = duo_peer(s);
    bool is_true = false;

    switch ((enum base_status)s->status) {
    case BASE_OK:
        is_true = a->closed && a->out.first == a->out.upto && (p == NULL || p->session.received == a->out.upto) &&
                  (p != NULL || a->out.upto == a->opt.first_offset);
        break;
    case BASE_E_CLOSED:
        is_true = a->aborted;
        break;
    case BASE_E_RESET:
        is_true = peer_gave_up(p);
        break;
    case BASE_E_PEER_GONE:
        is_true = p != NULL ? p->is_killed : d->host[a->opt.is_client ? DUO_SERVER : DUO_CLIENT].lives > 1;
        break;
    case BASE_E_PEER_FORGOT:
        is_true = p != NULL && p->is_closed;
        break;
    case BASE_E_NEVER_CONFIRMED:
        is_true = a->opt.is_client ? p == NULL || p->is_closed || p->is_killed : !a->is_confirmed;
        break;
    case BASE_E_EXPIRED:
        is_true = a->closed || (!a->opt.is_client && a->opt.orphan_max != BASE_NEVER);
        break;
    case BASE_E_REFUSED:
        is_true = a->opt.is_client && a->cid == 0;
        break;
    case BASE_E_PROTOCOL: /* two honest sides never say that of each other */
    case BASE_E_AGAIN:
    case BASE_E_NOMEM:
    case BASE_E_INVALID:
    case BASE_E_RANGE:
    case BASE_E_NOLEADER:
    case BASE_E_UNKNOWN:
    case BASE_E_REJECTED:
    case BASE_E_EXCLUDED:
    case BASE_E_EXISTS:
    case BASE_E_NOTFOUND:
    case BASE_E_SYSTEM:
    case BASE_E_UNSUPPORTED:
        break;
    }
    if (!is_true) {
        duo_fail(d, "%c ends with %s, and that is not true", duo_letter(s->host), base_status_name(s->status));
    }
}
