/* What most stories begin and end with, and the conditions that they wait for; see duo.h. */
#include "tests/story/rtcp/duo.h"

/* ------------------------------------------------------------------------------------------------ beginnings and ends
 */

struct duo_stream *duo_client(struct duo *d)
{
    return d->host[DUO_CLIENT].stream[0];
}

struct duo_stream *duo_server(struct duo *d)
{
    struct duo_stream *s = duo_peer(duo_client(d));

    return s != NULL && !s->is_killed ? s : NULL;
}

void duo_pair(struct duo *d, const struct duo_options *options)
{
    duo_open(d, options);
    (void)duo_connect(d);
    DUO_TRUE(d, duo_until(d, duo_is_confirmed, BASE_S(5)));
    duo_mark(d);
}

void duo_deliver(struct duo *d, base_time limit)
{
    if (!duo_until(d, duo_is_delivered, limit)) {
        duo_fail(d, "not delivered in time");
    }
}

void duo_end(struct duo *d)
{
    struct duo_stream *c = duo_client(d);
    struct duo_stream *s = duo_server(d);

    if (s == NULL) {
        duo_fail(d, "there is no other half to close");
    }
    c->is_reading = s->is_reading = true;
    c->close_at_end = s->close_at_end = true;
    (void)duo_shutdown(c);
    (void)duo_shutdown(s);
    if (!duo_until(d, duo_is_over, BASE_S(60)) || c->status != 0 || s->status != 0) {
        duo_fail(d, "both closed, and that was not the end");
    }
    duo_close(d);
}

void duo_forge(struct duo *d, int way, struct rtcp_wire_control *c, bool is_authentic)
{
    const struct rtcp_session *from = way == 0 ? &duo_client(d)->session : &duo_server(d)->session;
    bool has_final = c->type == RTCP_WIRE_HALF_CLOSE || c->type == RTCP_WIRE_CLOSE;
    bool has_received =
        has_final || c->type == RTCP_WIRE_ACK || c->type == RTCP_WIRE_REQACK || c->type == RTCP_WIRE_PROBE_REPLY;
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX];
    size_t size;

    c->id = from->peer_id;
    size = rtcp_wire_put_control(bytes, c);
    rtcp_auth_control(bytes + size, way == 0 ? from->keys.control_up : from->keys.control_down,
                      (struct base_bytes){bytes, size}, has_received ? c->received : 0, has_final ? c->final : 0);
    if (!is_authentic) {
        bytes[size] ^= 1;
    }
    duo_datagram(d, &d->host[way].address, &d->host[1 - way].address, bytes, size + RTCP_WIRE_CONTROL_TAG);
}

/* ------------------------------------------------------------------------------------------------ conditions */

bool duo_is_delivered(struct duo *d)
{
    for (int i = 0; i < DUO_STREAMS; i++) {
        const struct duo_stream *s = d->host[DUO_CLIENT].stream[i];
        const struct duo_stream *p = s == NULL ? NULL : duo_peer(s);

        if (s == NULL) {
            continue;
        }
        if (p == NULL || s->to_send > 0 || p->to_send > 0 || p->read != s->session.out.upto ||
            s->read != p->session.out.upto) {
            return false;
        }
    }
    return true;
}

bool duo_is_over(struct duo *d)
{
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < DUO_STREAMS; j++) {
            const struct duo_stream *s = d->host[i].stream[j];

            if (s != NULL && !s->is_closed) {
                return false;
            }
        }
    }
    return true;
}

bool duo_is_attached(struct duo *d)
{
    const struct duo_stream *s = d->host[DUO_CLIENT].stream[0];

    return s != NULL && s->session.path == RTCP_PATH_ATTACHED && s->session.trying == RTCP_TRY_REST &&
           duo_peer(s) != NULL && duo_peer(s)->session.live == s->session.live;
}

bool duo_is_detached(struct duo *d)
{
    const struct duo_stream *s = d->host[DUO_CLIENT].stream[0];

    return s != NULL && s->session.path == RTCP_PATH_DETACHED;
}

bool duo_is_confirmed(struct duo *d)
{
    const struct duo_stream *s = d->host[DUO_CLIENT].stream[0];

    return s != NULL && s->session.is_confirmed && duo_peer(s) != NULL && duo_peer(s)->session.is_confirmed;
}

bool duo_is_accepted(struct duo *d)
{
    const struct duo_stream *s = duo_accepted(d);

    return s != NULL && s->is_accepted;
}
