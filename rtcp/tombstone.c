/* See tombstone.h. Pure. */
#include "rtcp/tombstone.h"

void rtcp_tombstone_make(struct rtcp_tombstone *t, const struct rtcp_session *s)
{
    base_zero(t, sizeof *t);
    t->id = s->opt.id;
    t->peer_id = s->peer_id;
    t->is_client = s->opt.is_client;
    t->received = s->received;
    t->sent = s->out.upto;
    t->acked = s->out.first;
    base_copy(t->client_nonce, s->client_nonce, RTCP_WIRE_NONCE);
    base_copy(t->server_nonce, s->server_nonce, RTCP_WIRE_NONCE);
    t->keys = s->keys;
    if (s->end == BASE_E_NEVER_CONFIRMED) {
        t->reason = RTCP_WIRE_UNCONFIRMED;
        t->is_kept = s->received > s->opt.first_offset;
    } else if (s->is_complete) {
        t->reason = RTCP_WIRE_IS_CLOSED;
    } else if (s->end == BASE_E_PROTOCOL) {
        t->reason = RTCP_WIRE_BAD_COUNT;
    } else {
        t->reason = RTCP_WIRE_IS_RESET;
    }
}

static size_t put(const struct rtcp_tombstone *t, const struct rtcp_wire_control *c, uint8_t *out)
{
    bool has_counts = c->type == RTCP_WIRE_CLOSE;
    size_t size = rtcp_wire_put_control(out, c);

    rtcp_auth_control(out + size, t->is_client ? t->keys.control_up : t->keys.control_down,
                      (struct base_bytes){out, size}, has_counts ? t->received : 0, has_counts ? t->sent : 0);
    return size + RTCP_WIRE_CONTROL_TAG;
}

static bool is_authentic(const struct rtcp_tombstone *t, const struct rtcp_wire_control *c)
{
    uint8_t tag[RTCP_WIRE_CONTROL_TAG];

    rtcp_auth_control(tag, t->is_client ? t->keys.control_down : t->keys.control_up, c->signed_bytes,
                      rtcp_wire_has_received(c->type) ? rtcp_wire_extend((uint32_t)c->received, t->acked) : 0,
                      rtcp_wire_has_final(c->type) ? rtcp_wire_extend((uint32_t)c->final, t->received) : 0);
    return rtcp_auth_equal(tag, c->tag, sizeof tag);
}

size_t rtcp_tombstone_answer(const struct rtcp_tombstone *t, const struct rtcp_wire_control *c,
                             uint8_t out[2 * RTCP_WIRE_CONTROL_MAX])
{
    struct rtcp_wire_control conf = {.id = t->peer_id, .type = RTCP_WIRE_CONF, .message_id = c->message_id};
    struct rtcp_wire_control word = {.id = t->peer_id, .received = t->received, .final = t->sent};
    size_t size = 0;

    if (t->reason == RTCP_WIRE_UNCONFIRMED || !is_authentic(t, c)) {
        return 0;
    }
    if (c->flagged) {
        size = put(t, &conf, out);
    }
    if (c->type == RTCP_WIRE_ACK || c->type == RTCP_WIRE_CONF || c->type == RTCP_WIRE_RESET ||
        c->type == RTCP_WIRE_PROBE_REPLY) {
        return size; /* no question: an answer could go back and forth for ever */
    }
    if (c->type == RTCP_WIRE_CLOSE && t->reason == RTCP_WIRE_IS_CLOSED) {
        return size; /* the peer repeats its CLOSE because a CONF was lost; ours it had, or it asks by PROBE */
    }
    word.type = t->reason == RTCP_WIRE_IS_CLOSED ? RTCP_WIRE_CLOSE : RTCP_WIRE_RESET;
    return size + put(t, &word, out + size);
}

void rtcp_tombstone_refuse(const struct rtcp_tombstone *t, const struct rtcp_wire_request *r, uint64_t incarnation,
                           uint64_t name, uint8_t out[RTCP_WIRE_ANSWER])
{
    struct rtcp_wire_answer a = {
        .kind = RTCP_WIRE_REFUSE,
        .reason = t->reason,
        .flags = t->reason == RTCP_WIRE_IS_CLOSED ? RTCP_WIRE_SHUT | RTCP_WIRE_CLOSED : 0,
        .version_min = RTCP_WIRE_VERSION,
        .version_max = RTCP_WIRE_VERSION,
        .cid = t->id,
        .control_id = t->id,
        .attempt = r->attempt,
        .received = t->received,
        .sent = t->sent,
        .incarnation = incarnation,
        .name = name,
    };

    base_copy(a.nonce, t->server_nonce, RTCP_WIRE_NONCE); /* a client that never saw the ACCEPT derives the key by it */
    rtcp_wire_put_answer(out, &a);
    rtcp_auth_sign(out, RTCP_WIRE_ANSWER, t->keys.handshake_down, t->received, t->sent, r->nonce);
}
