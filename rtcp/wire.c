/* See wire.h; the tables are in PROTOCOL.md. Pure. */
#include "rtcp/wire.h"

#include "rtcp/base/check.h"

#include <assert.h>

static_assert(RTCP_WIRE_REQUEST == RTCP_WIRE_PREFIX + 92, "the request table of PROTOCOL.md");
static_assert(RTCP_WIRE_ANSWER == RTCP_WIRE_PREFIX + 84, "the answer table of PROTOCOL.md");

static void put_prefix(uint8_t *out, uint8_t kind, size_t total)
{
    base_put32(out, RTCP_WIRE_MAGIC);
    out[4] = RTCP_WIRE_VERSION;
    out[5] = kind;
    base_put16(out + 6, (uint16_t)(total - RTCP_WIRE_PREFIX));
}

void rtcp_wire_put_request(uint8_t out[RTCP_WIRE_REQUEST], const struct rtcp_wire_request *r)
{
    uint8_t *b = out + RTCP_WIRE_PREFIX;

    put_prefix(out, r->kind, RTCP_WIRE_REQUEST);
    base_put16(b, r->flags);
    base_put16(b + 2, r->udp_port);
    base_put32(b + 4, r->key_id);
    base_put32(b + 8, r->cid);
    base_put32(b + 12, r->control_id);
    base_put32(b + 16, r->attempt);
    base_put32(b + 20, (uint32_t)r->received);
    base_put32(b + 24, (uint32_t)r->sent);
    base_put32(b + 28, r->window);
    base_put32(b + 32, r->early);
    base_put64(b + 36, r->client_incarnation);
    base_put64(b + 44, r->name);
    base_put64(b + 52, r->server_incarnation);
    base_copy(b + 60, r->nonce, RTCP_WIRE_NONCE);
    base_copy(b + 76, r->tag, RTCP_WIRE_TAG);
}

void rtcp_wire_put_answer(uint8_t out[RTCP_WIRE_ANSWER], const struct rtcp_wire_answer *a)
{
    uint8_t *b = out + RTCP_WIRE_PREFIX;

    put_prefix(out, a->kind, RTCP_WIRE_ANSWER);
    b[0] = a->reason;
    b[1] = a->flags;
    b[2] = a->version_min;
    b[3] = a->version_max;
    base_put16(b + 4, a->udp_port);
    base_put16(b + 6, 0);
    base_put32(b + 8, a->cid);
    base_put32(b + 12, a->control_id);
    base_put32(b + 16, a->attempt);
    base_put32(b + 20, (uint32_t)a->received);
    base_put32(b + 24, (uint32_t)a->sent);
    base_put32(b + 28, a->window);
    base_put32(b + 32, a->retry_after_ms);
    base_put64(b + 36, a->incarnation);
    base_put64(b + 44, a->name);
    base_copy(b + 52, a->nonce, RTCP_WIRE_NONCE);
    base_copy(b + 68, a->tag, RTCP_WIRE_TAG);
}

int rtcp_wire_total(struct base_bytes in, size_t *ret_total, uint8_t *ret_version)
{
    uint16_t length;

    if (in.size < RTCP_WIRE_PREFIX) {
        uint8_t magic[4];

        base_put32(magic, RTCP_WIRE_MAGIC);
        for (size_t i = 0; i < in.size && i < sizeof magic; i++) {
            if (in.data[i] != magic[i]) {
                return BASE_E_PROTOCOL;
            }
        }
        *ret_total = RTCP_WIRE_PREFIX;
        *ret_version = 0;
        return 0;
    }
    length = base_get16(in.data + 6);
    if (base_get32(in.data) != RTCP_WIRE_MAGIC || length > RTCP_WIRE_HANDSHAKE_MAX - RTCP_WIRE_PREFIX) {
        return BASE_E_PROTOCOL;
    }
    *ret_total = RTCP_WIRE_PREFIX + (size_t)length;
    *ret_version = in.data[4];
    return 0;
}

/* The checks that both directions share: a whole message of our version with a body of at least `body` bytes. */
static int whole(struct base_bytes in, size_t least)
{
    size_t total;
    uint8_t version;

    if (rtcp_wire_total(in, &total, &version) < 0 || version != RTCP_WIRE_VERSION || in.size != total ||
        total < least || total > least + RTCP_WIRE_TRAILER_MAX) {
        return BASE_E_PROTOCOL;
    }
    return 0;
}

int rtcp_wire_get_request(struct base_bytes in, struct rtcp_wire_request *ret_request)
{
    struct rtcp_wire_request r;
    const uint8_t *b;

    if (whole(in, RTCP_WIRE_REQUEST) < 0 || in.data[5] < RTCP_WIRE_OPEN || in.data[5] > RTCP_WIRE_CONTROL) {
        return BASE_E_PROTOCOL;
    }
    b = in.data + RTCP_WIRE_PREFIX;
    r.kind = in.data[5];
    r.flags = base_get16(b);
    r.udp_port = base_get16(b + 2);
    r.key_id = base_get32(b + 4);
    r.cid = base_get32(b + 8);
    r.control_id = base_get32(b + 12);
    r.attempt = base_get32(b + 16);
    r.received = base_get32(b + 20);
    r.sent = base_get32(b + 24);
    r.window = base_get32(b + 28);
    r.early = base_get32(b + 32);
    r.client_incarnation = base_get64(b + 36);
    r.name = base_get64(b + 44);
    r.server_incarnation = base_get64(b + 52);
    base_copy(r.nonce, b + 60, RTCP_WIRE_NONCE);
    base_copy(r.tag, b + 76, RTCP_WIRE_TAG);
    if (r.attempt == 0 || r.control_id == 0 || r.client_incarnation == 0 ||
        (r.kind == RTCP_WIRE_OPEN) != (r.cid == 0)) {
        return BASE_E_PROTOCOL;
    }
    *ret_request = r;
    return 0;
}

int rtcp_wire_get_answer(struct base_bytes in, struct rtcp_wire_answer *ret_answer)
{
    struct rtcp_wire_answer a;
    const uint8_t *b;

    if (whole(in, RTCP_WIRE_ANSWER) < 0 || in.data[5] < RTCP_WIRE_ACCEPT || in.data[5] > RTCP_WIRE_REFUSE) {
        return BASE_E_PROTOCOL;
    }
    b = in.data + RTCP_WIRE_PREFIX;
    a.kind = in.data[5];
    a.reason = b[0];
    a.flags = b[1];
    a.version_min = b[2];
    a.version_max = b[3];
    a.udp_port = base_get16(b + 4);
    a.cid = base_get32(b + 8);
    a.control_id = base_get32(b + 12);
    a.attempt = base_get32(b + 16);
    a.received = base_get32(b + 20);
    a.sent = base_get32(b + 24);
    a.window = base_get32(b + 28);
    a.retry_after_ms = base_get32(b + 32);
    a.incarnation = base_get64(b + 36);
    a.name = base_get64(b + 44);
    base_copy(a.nonce, b + 52, RTCP_WIRE_NONCE);
    base_copy(a.tag, b + 68, RTCP_WIRE_TAG);
    if (a.attempt == 0 || a.incarnation == 0 || (a.kind != RTCP_WIRE_REFUSE && (a.cid == 0 || a.control_id == 0))) {
        return BASE_E_PROTOCOL;
    }
    *ret_answer = a;
    return 0;
}

/* ------------------------------------------------------------------------------------------------ control */

/* Words of data a type carries; PROBE without and with opaque bytes. */
enum {
    ACK_WORDS = 1,
    REQACK_WORDS = 2,
    CLOSE_WORDS = 2,
    RESET_WORDS = 1,
    PROBE_WORDS = 4,
    PROBE_DATA_WORDS = 4 + RTCP_WIRE_PROBE_DATA / 4,
    REPLY_WORDS = 5,
    WAKE_WORDS = 1,
    PASSIVE_WORDS = 2,
    UNKNOWN_WORDS = 4,
};

bool rtcp_wire_has_final(uint8_t type)
{
    return type == RTCP_WIRE_HALF_CLOSE || type == RTCP_WIRE_CLOSE;
}

bool rtcp_wire_has_received(uint8_t type)
{
    return rtcp_wire_has_final(type) || type == RTCP_WIRE_ACK || type == RTCP_WIRE_REQACK ||
           type == RTCP_WIRE_PROBE_REPLY || type == RTCP_WIRE_PASSIVE;
}

static size_t put_data(uint8_t *d, const struct rtcp_wire_control *c)
{
    switch ((enum rtcp_wire_type)c->type) {
    case RTCP_WIRE_ACK:
        base_put32(d, (uint32_t)c->received);
        return ACK_WORDS;
    case RTCP_WIRE_REQACK:
        base_put32(d, (uint32_t)c->received);
        base_put32(d + 4, c->ring);
        return REQACK_WORDS;
    case RTCP_WIRE_HALF_CLOSE:
    case RTCP_WIRE_CLOSE:
        base_put32(d, (uint32_t)c->received);
        base_put32(d + 4, (uint32_t)c->final);
        return CLOSE_WORDS;
    case RTCP_WIRE_RESET:
        base_put32(d, 0);
        return RESET_WORDS;
    case RTCP_WIRE_CONF:
        return 0;
    case RTCP_WIRE_PROBE:
        base_put32(d, c->asker);
        base_put32(d + 4, c->attempt);
        base_copy(d + 8, c->echo, RTCP_WIRE_ECHO);
        if (!c->has_data) {
            return PROBE_WORDS;
        }
        base_copy(d + 16, c->data, RTCP_WIRE_PROBE_DATA);
        return PROBE_DATA_WORDS;
    case RTCP_WIRE_PROBE_REPLY:
        base_copy(d, c->echo, RTCP_WIRE_ECHO);
        base_put32(d + 8, c->attempt);
        base_put32(d + 12, (uint32_t)c->received);
        base_put32(d + 16, c->unread);
        return REPLY_WORDS;
    case RTCP_WIRE_WAKE:
        base_put32(d, c->attempt);
        return WAKE_WORDS;
    case RTCP_WIRE_PASSIVE:
        base_put32(d, (uint32_t)c->received);
        base_put32(d + 4, c->attempt);
        return PASSIVE_WORDS;
    case RTCP_WIRE_UNKNOWN:
        base_copy(d, c->echo, RTCP_WIRE_ECHO);
        base_put64(d + 8, c->incarnation);
        return UNKNOWN_WORDS;
    }
    CHECK(!"a control message of a known type");
    return 0;
}

size_t rtcp_wire_put_control(uint8_t out[RTCP_WIRE_CONTROL_MAX], const struct rtcp_wire_control *c)
{
    size_t words = put_data(out + RTCP_WIRE_CONTROL_HEADER, c);

    base_put32(out, c->id);
    out[4] = c->type;
    out[5] = (uint8_t)((c->flagged ? RTCP_WIRE_FLAGGED : 0) | (uint8_t)words);
    base_put16(out + 6, c->message_id);
    return RTCP_WIRE_CONTROL_HEADER + words * 4;
}

/* How many words a message of this type has at least; `words` tells a PROBE with opaque bytes from one without. */
static size_t words_of(uint8_t type, size_t words)
{
    switch ((enum rtcp_wire_type)type) {
    case RTCP_WIRE_ACK:
        return ACK_WORDS;
    case RTCP_WIRE_REQACK:
        return REQACK_WORDS;
    case RTCP_WIRE_HALF_CLOSE:
    case RTCP_WIRE_CLOSE:
        return CLOSE_WORDS;
    case RTCP_WIRE_RESET:
        return RESET_WORDS;
    case RTCP_WIRE_CONF:
        return 0;
    case RTCP_WIRE_PROBE:
        return words >= PROBE_DATA_WORDS ? PROBE_DATA_WORDS : PROBE_WORDS;
    case RTCP_WIRE_PROBE_REPLY:
        return REPLY_WORDS;
    case RTCP_WIRE_WAKE:
        return WAKE_WORDS;
    case RTCP_WIRE_PASSIVE:
        return PASSIVE_WORDS;
    case RTCP_WIRE_UNKNOWN:
        return UNKNOWN_WORDS;
    }
    return 0;
}

static int get_data(const uint8_t *d, size_t words, struct rtcp_wire_control *c)
{
    if (words < words_of(c->type, words)) {
        return BASE_E_PROTOCOL;
    }
    c->has_data = c->type == RTCP_WIRE_PROBE && words >= PROBE_DATA_WORDS;
    switch ((enum rtcp_wire_type)c->type) {
    case RTCP_WIRE_ACK:
        c->received = base_get32(d);
        break;
    case RTCP_WIRE_REQACK:
        c->received = base_get32(d);
        c->ring = base_get32(d + 4);
        break;
    case RTCP_WIRE_HALF_CLOSE:
    case RTCP_WIRE_CLOSE:
        c->received = base_get32(d);
        c->final = base_get32(d + 4);
        break;
    case RTCP_WIRE_RESET:
    case RTCP_WIRE_CONF:
        break;
    case RTCP_WIRE_PROBE:
        c->asker = base_get32(d);
        c->attempt = base_get32(d + 4);
        base_copy(c->echo, d + 8, RTCP_WIRE_ECHO);
        base_copy(c->data, d + 16, c->has_data ? RTCP_WIRE_PROBE_DATA : 0);
        break;
    case RTCP_WIRE_PROBE_REPLY:
        base_copy(c->echo, d, RTCP_WIRE_ECHO);
        c->attempt = base_get32(d + 8);
        c->received = base_get32(d + 12);
        c->unread = base_get32(d + 16);
        break;
    case RTCP_WIRE_WAKE:
        c->attempt = base_get32(d);
        break;
    case RTCP_WIRE_PASSIVE:
        c->received = base_get32(d);
        c->attempt = base_get32(d + 4);
        break;
    case RTCP_WIRE_UNKNOWN:
        base_copy(c->echo, d, RTCP_WIRE_ECHO);
        c->incarnation = base_get64(d + 8);
        break;
    }
    return 0;
}

int rtcp_wire_get_control(struct base_bytes *datagram, struct rtcp_wire_control *ret_control)
{
    struct rtcp_wire_control c;
    const uint8_t *at = datagram->data;
    size_t words;
    size_t size;

    if (datagram->size < RTCP_WIRE_CONTROL_HEADER + RTCP_WIRE_CONTROL_TAG) {
        return BASE_E_PROTOCOL;
    }
    words = at[5] & RTCP_WIRE_WORDS;
    size = RTCP_WIRE_CONTROL_HEADER + words * 4;
    if (datagram->size < size + RTCP_WIRE_CONTROL_TAG) {
        return BASE_E_PROTOCOL;
    }
    base_zero(&c, sizeof c);
    c.id = base_get32(at);
    c.type = at[4];
    c.flagged = (at[5] & RTCP_WIRE_FLAGGED) != 0;
    c.message_id = base_get16(at + 6);
    if (get_data(at + RTCP_WIRE_CONTROL_HEADER, words, &c) < 0) {
        return BASE_E_PROTOCOL;
    }
    c.signed_bytes = (struct base_bytes){at, size};
    base_copy(c.tag, at + size, RTCP_WIRE_CONTROL_TAG);
    datagram->data += size + RTCP_WIRE_CONTROL_TAG;
    datagram->size -= size + RTCP_WIRE_CONTROL_TAG;
    *ret_control = c;
    return 0;
}

uint64_t rtcp_wire_extend(uint32_t low, uint64_t near)
{
    uint64_t base = (near & ~(uint64_t)UINT32_MAX) | low;
    uint64_t half = (uint64_t)1 << 31;

    if (base > near && base - near > half && base > UINT32_MAX) {
        return base - ((uint64_t)1 << 32);
    }
    if (base < near && near - base > half) {
        return base + ((uint64_t)1 << 32);
    }
    return base;
}
