/* A session and whatever its driver may report, in any order: time, bytes, breaks, handshakes and control messages,
 * forged and authentic, possible and impossible.
 *
 * Input     the first byte chooses the role, the key and the first offset; then events, one opcode each with its
 *           operands. When the input ends, so does the run.
 * Checks    the invariants of the session (they end the process); nothing is acknowledged that was not written; a
 * forged message changes nothing; the last effect of a session is CLOSED, and there is only one.
 */
#include "rtcp/base/check.h"
#include "rtcp/session.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WRITTEN_MAX 65536u

struct run {
    const uint8_t *at, *end;
    base_time now;
    struct rtcp_session s;
    struct rtcp_auth_shared shared;
    struct rtcp_route route;
    uint32_t freezing; /* FREEZE was asked for this attempt */
    bool is_closed;
    bool is_greeted; /* a client's request is out: request_nonce is its */
};

static const struct base_trace silent;

static int take(void *user, size_t size, struct base_ringmem *ret)
{
    (void)user;
    *ret = (struct base_ringmem){.at = malloc(size), .size = size, .handle = -1};
    return ret->at == NULL ? BASE_E_NOMEM : 0;
}

static void give(void *user, struct base_ringmem *ring)
{
    (void)user;
    free(ring->at);
}

static const struct base_ringmem_source plain = {NULL, take, give};

static uint8_t byte(struct run *r)
{
    return r->at < r->end ? *r->at++ : 0;
}

static uint32_t number(struct run *r)
{
    uint32_t high = byte(r);

    return high << 8 | byte(r);
}

/* A count near one that means something. */
static uint64_t count_near(struct run *r, uint64_t base)
{
    uint8_t how = byte(r);

    if (how == 255) {
        return ((uint64_t)number(r) << 32) + number(r);
    }
    return base + (how < 128 ? how : (uint64_t)how - 256);
}

static struct rtcp_address address(uint8_t n)
{
    return (struct rtcp_address){.family = 4, .ip = {10, 0, 0, (uint8_t)(n % 4)}, .port = 7000};
}

static void take_effects(struct run *r)
{
    struct rtcp_effect e;

    while (rtcp_session_poll(&r->s, &e)) {
        CHECK(!r->is_closed);
        CHECK(e.size <= sizeof e.bytes);
        if (e.kind == RTCP_EFFECT_GREET) {
            rtcp_session_sign(&r->s, &e, 7000);
            r->is_greeted = true;
            if (e.early > 0) {
                rtcp_session_sent_early(&r->s, e.early / 2);
            }
        } else if (e.kind == RTCP_EFFECT_FREEZE) {
            r->freezing = e.attempt;
        } else if (e.kind == RTCP_EFFECT_ATTACH) {
            struct rtcp_address to = address(1);

            rtcp_route_told(&r->route, &to, r->s.opt.is_client);
            rtcp_session_routed(&r->s, r->now, &r->route);
        }
        r->is_closed = e.kind == RTCP_EFFECT_CLOSED;
    }
    CHECK(rtcp_session_acked(&r->s) <= r->s.written_max);
    CHECK((r->s.life == RTCP_LIFE_DEAD) == r->is_closed);
}

/* ------------------------------------------------------------------------------------------------ handshakes */

static void fill_answer(struct run *r, struct rtcp_wire_answer *a)
{
    struct rtcp_session *s = &r->s;
    static const uint8_t kinds[] = {RTCP_WIRE_ACCEPT, RTCP_WIRE_RESUMED, RTCP_WIRE_REFUSE};

    *a = (struct rtcp_wire_answer){.kind = kinds[byte(r) % 3],
                                   .reason = byte(r) % 16,
                                   .flags = byte(r) & 7,
                                   .cid = s->cid == 0 ? 55 : s->cid,
                                   .control_id = s->cid == 0 ? 55 : s->peer_id,
                                   .attempt = s->attempt,
                                   .received = count_near(r, byte(r) % 2 == 0 ? s->out.first : s->written_max),
                                   .sent = count_near(r, s->received),
                                   .window = number(r),
                                   .retry_after_ms = number(r),
                                   .incarnation = s->peer_incarnation + (byte(r) % 8 == 1) + (s->cid == 0),
                                   .name = s->peer_name + (byte(r) % 8 == 1)};
    memset(a->nonce, 9, sizeof a->nonce);
}

static void on_answer(struct run *r)
{
    struct rtcp_session *s = &r->s;
    struct rtcp_auth_keys keys = s->keys;
    struct rtcp_wire_answer a;
    uint8_t bytes[RTCP_WIRE_ANSWER];
    uint8_t how = byte(r);

    fill_answer(r, &a);
    rtcp_wire_put_answer(bytes, &a);
    if (s->cid == 0) {
        rtcp_auth_derive(&keys, &r->shared, s->client_nonce, a.nonce);
    }
    if (how % 4 == 0) {
        rtcp_auth_sign(bytes, sizeof bytes, r->shared.key, 0, 0, s->request_nonce);
    } else {
        rtcp_auth_sign(bytes, sizeof bytes, keys.handshake_down, a.received, a.sent, s->request_nonce);
    }
    if (how % 8 == 7) {
        bytes[byte(r) % sizeof bytes] ^= byte(r);
    }
    rtcp_session_answered(s, r->now, s->attempt, (struct base_bytes){bytes, sizeof bytes});
}

static void on_request(struct run *r)
{
    struct rtcp_session *s = &r->s;
    uint8_t how = byte(r);
    bool is_open = how % 8 == 6;
    struct rtcp_wire_request q = {.kind = is_open ? RTCP_WIRE_OPEN : RTCP_WIRE_RESUME,
                                  .flags = byte(r) & 3,
                                  .cid = is_open ? 0 : s->cid,
                                  .control_id = s->peer_id,
                                  .attempt = s->attempt + byte(r) % 3,
                                  .received = count_near(r, byte(r) % 2 == 0 ? s->out.first : s->written_max),
                                  .sent = count_near(r, s->received),
                                  .window = number(r)};
    uint8_t bytes[RTCP_WIRE_REQUEST];
    uint8_t reason;

    rtcp_wire_put_request(bytes, &q);
    rtcp_auth_sign(bytes, sizeof bytes, is_open ? r->shared.key : s->keys.handshake_up, is_open ? 0 : q.received,
                   is_open ? 0 : q.sent, NULL);
    bytes[RTCP_WIRE_REQUEST - 1] ^= how % 8 == 7;
    (void)rtcp_session_asked(s, r->now, &q, (struct base_bytes){bytes, sizeof bytes}, &reason);
}

/* ------------------------------------------------------------------------------------------------ control */

static void fill_control(struct run *r, struct rtcp_wire_control *c)
{
    struct rtcp_session *s = &r->s;

    *c = (struct rtcp_wire_control){.id = s->opt.id,
                                    .type = (uint8_t)(1 + byte(r) % 11),
                                    .message_id = s->reliable.id,
                                    .received = count_near(r, byte(r) % 2 == 0 ? s->out.first : s->written_max),
                                    .final = count_near(r, s->received),
                                    .attempt = s->attempt - 1 + byte(r) % 3,
                                    .unread = byte(r),
                                    .asker = s->peer_id,
                                    .has_data = byte(r) % 2 == 0};
    c->flagged = c->type == RTCP_WIRE_HALF_CLOSE || c->type == RTCP_WIRE_CLOSE || c->type == RTCP_WIRE_RESET ||
                 c->type == RTCP_WIRE_WAKE || c->type == RTCP_WIRE_PASSIVE;
    base_copy(c->echo, s->pulse.probe[byte(r) % RTCP_PROBES_REMEMBERED].echo, RTCP_WIRE_ECHO);
}

static void on_control(struct run *r)
{
    struct rtcp_session *s = &r->s;
    struct rtcp_wire_control c;
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX];
    const uint8_t *key = s->opt.is_client ? s->keys.control_down : s->keys.control_up;
    struct rtcp_address from = address(byte(r) % 8 == 0 ? 2 : 1);
    bool is_forged = byte(r) % 8 == 7;
    bool has_final, has_received;
    struct base_bytes datagram;
    struct rtcp_session before;
    size_t size;

    fill_control(r, &c);
    has_final = c.type == RTCP_WIRE_HALF_CLOSE || c.type == RTCP_WIRE_CLOSE;
    has_received = has_final || c.type == RTCP_WIRE_ACK || c.type == RTCP_WIRE_REQACK ||
                   c.type == RTCP_WIRE_PROBE_REPLY || c.type == RTCP_WIRE_PASSIVE;
    size = rtcp_wire_put_control(bytes, &c);
    rtcp_auth_control(bytes + size, c.type == RTCP_WIRE_UNKNOWN ? r->shared.unknown_key : key,
                      (struct base_bytes){bytes, size}, has_received ? c.received : 0, has_final ? c.final : 0);
    bytes[size] ^= is_forged;
    datagram = (struct base_bytes){bytes, size + RTCP_WIRE_CONTROL_TAG};
    CHECK(rtcp_wire_get_control(&datagram, &c) == 0);
    before = *s;
    if (rtcp_session_control(s, r->now, &c, &from) < 0 && is_forged) {
        before.messages_dropped++;
        CHECK(memcmp(&before, s, sizeof before) == 0);
    }
    CHECK(!is_forged || s->life == before.life);
}

/* ------------------------------------------------------------------------------------------------ events */

static void on_bytes_out(struct run *r)
{
    static const uint8_t zeros[4096];
    struct rtcp_session *s = &r->s;
    struct base_bytes next;
    size_t size;

    if (s->out.upto - s->opt.first_offset < WRITTEN_MAX) {
        CHECK(rtcp_session_append(s, r->now, (struct base_bytes){zeros, number(r) % sizeof zeros}) < 4096);
    }
    next = rtcp_session_next(s, s->live);
    size = byte(r) % 4 == 0 ? next.size : next.size * byte(r) / 256;
    if (size > 0) {
        rtcp_session_sent(s, r->now, size);
    }
    (void)rtcp_session_is_fin_due(s);
}

static void on_bytes_in(struct run *r)
{
    struct rtcp_session *s = &r->s;
    size_t size = 1 + number(r) % 3000;

    if (s->peer_shut && byte(r) % 16 != 0) {
        size = size < s->peer_final - s->received ? size : (size_t)(s->peer_final - s->received);
    }
    if (size > 0 && s->life != RTCP_LIFE_DEAD && s->path == RTCP_PATH_ATTACHED) {
        rtcp_session_received(s, r->now, size);
    }
    (void)rtcp_session_may_hold(s, size);
}

static void on_time(struct run *r)
{
    base_time at = rtcp_session_deadline(&r->s);

    if (byte(r) % 2 == 0 && at != BASE_NEVER && at > r->now) {
        r->now = at; /* the timer */
    } else {
        r->now += BASE_US(number(r)) << byte(r) % 16;
    }
    if (r->s.path == RTCP_PATH_ATTACHED) {
        rtcp_session_observe(&r->s, r->now, number(r) % (r->s.written - r->s.out.first + 1), byte(r) % 3);
    }
    rtcp_session_expire(&r->s, r->now);
}

static void on_connection(struct run *r)
{
    struct rtcp_session *s = &r->s;
    uint32_t attempt = byte(r) % 2 == 0 ? s->attempt : s->live;

    switch (byte(r) % 5) {
    case 0:
        rtcp_session_connected(s, r->now, s->attempt);
        break;
    case 1:
        rtcp_session_broke(s, r->now, attempt, (int)(byte(r) % 7) - 1, "the fuzzer broke it");
        break;
    case 2:
        rtcp_session_eof(s, r->now, s->live);
        break;
    case 3:
        if (r->freezing != 0) {
            rtcp_session_frozen(s, r->now, r->freezing, byte(r) % 2 == 0);
            r->freezing = 0;
        }
        break;
    default:
        rtcp_session_hint(s, r->now, (int)(byte(r) % 7) - 1);
        break;
    }
}

static void on_user(struct run *r)
{
    static const uint8_t data[RTCP_WIRE_PROBE_DATA] = {1};
    struct rtcp_session *s = &r->s;
    uint8_t tag[RTCP_WIRE_CONFIRM];
    bool is_wrong;

    switch (byte(r) % 8) {
    case 0:
        CHECK(rtcp_session_shutdown(s, r->now) <= 0 && (s->shut || s->life == RTCP_LIFE_DEAD));
        break;
    case 1:
        rtcp_session_set_probe_data(s, r->now, data);
        break;
    case 2:
        if (!s->opt.is_client) {
            rtcp_auth_confirm(tag, &s->keys, s->server_nonce);
            is_wrong = byte(r) % 4 == 3;
            tag[0] ^= is_wrong;
            CHECK((rtcp_session_confirmed(s, r->now, s->attempt, tag) < 0) == is_wrong);
        }
        break;
    case 3:
        if (s->opt.is_client || s->was_accepted) {
            rtcp_session_close(s, r->now, byte(r) % 4 == 3);
        }
        break;
    case 4:
        CHECK(rtcp_session_passivate(s, r->now) <= 0);
        break;
    case 5:
        CHECK(rtcp_session_replace(s, r->now) <= 0);
        break;
    case 6:
        rtcp_session_linger(s, r->now + BASE_MS(byte(r)) * 40, byte(r) % 2 == 1);
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------------------------------------ a run */

static void open_session(struct run *r)
{
    static const uint64_t first[] = {0, (1u << 31) - 500, ((uint64_t)1 << 32) - 500, (uint64_t)3 << 40};
    uint8_t how = byte(r);
    struct rtcp_session_options o = {.is_client = (how & 1) != 0,
                                     .ring = 4096,
                                     .idle_probe = BASE_S(15),
                                     .linger_max = BASE_S(600),
                                     .retry_refused = (how & 2) != 0,
                                     .may_send_early = (how & 4) == 0,
                                     .first_offset = first[how >> 6],
                                     .name = 77,
                                     .incarnation = 4711,
                                     .id = 12,
                                     .seed = how,
                                     .shared = &r->shared,
                                     .ring_source = &plain,
                                     .trace = &silent};
    struct rtcp_wire_request open = {.kind = RTCP_WIRE_OPEN, .control_id = 34, .attempt = 1, .window = 4096};

    rtcp_auth_shared_init(&r->shared, (struct base_bytes){(const uint8_t *)"0123456789abcdef", (how & 8) != 0 ? 16 : 0},
                          1);
    rtcp_route_init(&r->route, 1, r->now);
    open.client_incarnation = 1;
    open.early = (how & 16) != 0 ? 100 : 0;
    if (o.is_client) {
        CHECK(rtcp_session_open(&r->s, &o, r->now) == 0);
    } else {
        CHECK(rtcp_session_accept(&r->s, &o, r->now, &open) == 0);
    }
}

static void event(struct run *r)
{
    switch (byte(r) % 8) {
    case 0:
        on_bytes_out(r);
        break;
    case 1:
        on_bytes_in(r);
        break;
    case 2:
    case 3:
        on_time(r);
        break;
    case 4:
        on_connection(r);
        break;
    case 5:
        if (!r->s.opt.is_client) {
            on_request(r);
        } else if (r->is_greeted) {
            on_answer(r);
        }
        break;
    case 6:
        on_control(r);
        break;
    default:
        on_user(r);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run *r = calloc(1, sizeof *r);

    CHECK(r != NULL);
    r->at = data;
    r->end = data + size;
    r->now = BASE_S(1000);
    open_session(r);
    take_effects(r);
    while (r->at < r->end) {
        event(r);
        take_effects(r);
    }
    rtcp_session_deinit(&r->s);
    free(r);
    return 0;
}
