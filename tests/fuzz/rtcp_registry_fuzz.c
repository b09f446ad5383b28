/* The accepting side's memory under any sequence of openings, ends and late messages.
 *
 * Input     operations, one opcode each with its operands.
 * Checks    an id means one session or one tombstone; a living session is always found by its id and its nonce; whoever
 *           is refused gets an answer that can be read; tombstones answer in whole messages.
 */
#include "rtcp/base/check.h"
#include "rtcp/defaults.h"
#include "rtcp/registry.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ALIVE_MAX 6u

struct run {
    const uint8_t *at, *end;
    struct rtcp_registry registry;
    struct rtcp_auth_shared shared;
    struct rtcp_registry_place place;
    struct rtcp_session *alive[ALIVE_MAX];
    uint32_t last; /* id that was buried last */
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

static struct rtcp_wire_request make_request(struct run *r)
{
    struct rtcp_session *s = r->alive[byte(r) % ALIVE_MAX];
    uint8_t how = byte(r);
    struct rtcp_wire_request q = {.kind = (uint8_t)(1 + how % 3),
                                  .key_id = (how & 64) != 0 ? 7 : r->shared.id,
                                  .control_id = 5,
                                  .attempt = 1u + byte(r),
                                  .window = 4096,
                                  .client_incarnation = 3,
                                  .name = (how & 16) != 0 ? 1 : 77,
                                  .server_incarnation = (how & 32) != 0 ? 1 : 4711};

    q.cid = q.kind == RTCP_WIRE_OPEN ? 0 : s != NULL ? s->opt.id : r->last;
    q.nonce[0] = byte(r);
    q.nonce[15] = byte(r) % 2;
    return q;
}

static void open_new(struct run *r, const struct rtcp_wire_request *q)
{
    struct rtcp_session_options o = {.ring = 4096,
                                     .idle_probe = BASE_S(15),
                                     .linger_max = BASE_S(600),
                                     .name = 77,
                                     .incarnation = 4711,
                                     .shared = &r->shared,
                                     .ring_source = &plain,
                                     .trace = &silent};
    struct rtcp_session *s = calloc(1, sizeof *s);

    CHECK(s != NULL);
    o.id = rtcp_registry_next_id(&r->registry);
    CHECK(o.id != 0 && rtcp_registry_find(&r->registry, o.id) == NULL &&
          rtcp_registry_grave(&r->registry, o.id) == NULL);
    CHECK(rtcp_session_accept(s, &o, BASE_S(1), q) == 0);
    for (unsigned i = 0; i < ALIVE_MAX; i++) {
        if (r->alive[i] == NULL && rtcp_registry_add(&r->registry, s) == 0) {
            r->alive[i] = s;
            return;
        }
    }
    rtcp_session_deinit(s);
    free(s);
}

static void on_request(struct run *r)
{
    struct rtcp_wire_request q = make_request(r);
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_judgement j;
    struct rtcp_wire_answer a;

    rtcp_wire_put_request(raw, &q);
    rtcp_auth_sign(raw, sizeof raw, r->shared.key, 0, 0, NULL);
    raw[sizeof raw - 1] ^= byte(r) % 8 == 7;
    rtcp_registry_judge(&r->registry, &r->place, &q, (struct base_bytes){raw, sizeof raw}, &j);
    if (j.kind == RTCP_JUDGED_NEW) {
        open_new(r, &q);
    } else if (j.kind == RTCP_JUDGED_KNOWN) {
        CHECK(rtcp_registry_find(&r->registry, j.session->opt.id) == j.session);
    } else if (q.attempt != 0) {
        CHECK(rtcp_wire_get_answer((struct base_bytes){j.answer, sizeof j.answer}, &a) == 0);
        CHECK(a.kind == RTCP_WIRE_REFUSE && a.attempt == q.attempt && a.reason != RTCP_WIRE_FINE);
    }
}

static void on_end(struct run *r)
{
    static const int status[] = {0, BASE_E_RESET, BASE_E_NEVER_CONFIRMED, BASE_E_PROTOCOL, BASE_E_EXPIRED};
    unsigned i = byte(r) % ALIVE_MAX;
    struct rtcp_session *s = r->alive[i];
    bool keep;

    if (s == NULL) {
        return;
    }
    s->end = status[byte(r) % 5];
    s->is_complete = s->end == 0;
    s->received = byte(r);
    keep = byte(r) % 4 != 0;
    r->last = s->opt.id;
    rtcp_registry_bury(&r->registry, s, keep);
    CHECK(rtcp_registry_find(&r->registry, r->last) == NULL);
    CHECK((rtcp_registry_grave(&r->registry, r->last) != NULL) == keep);
    rtcp_session_deinit(s);
    free(s);
    r->alive[i] = NULL;
}

static void on_late_message(struct run *r)
{
    const struct rtcp_tombstone *t = rtcp_registry_grave(&r->registry, r->last);
    struct rtcp_wire_control c = {.id = r->last, .type = (uint8_t)(1 + byte(r) % 10), .flagged = byte(r) % 2 == 0};
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX], out[2 * RTCP_WIRE_CONTROL_MAX];
    size_t size = rtcp_wire_put_control(bytes, &c);
    struct base_bytes datagram = {bytes, size + RTCP_WIRE_CONTROL_TAG};

    if (t == NULL) {
        return;
    }
    rtcp_auth_control(bytes + size, t->keys.control_up, (struct base_bytes){bytes, size}, 0, 0);
    CHECK(rtcp_wire_get_control(&datagram, &c) == 0);
    datagram = (struct base_bytes){out, rtcp_tombstone_answer(t, &c, out)};
    CHECK(datagram.size <= sizeof out);
    while (datagram.size > 0) {
        CHECK(rtcp_wire_get_control(&datagram, &c) == 0 && c.id == t->peer_id);
    }
}

static void check(const struct run *r)
{
    size_t count = 0;

    for (unsigned i = 0; i < ALIVE_MAX; i++) {
        if (r->alive[i] != NULL) {
            CHECK(rtcp_registry_find(&r->registry, r->alive[i]->opt.id) == r->alive[i]);
            count++;
        }
    }
    CHECK(r->registry.ids.count == count && r->registry.nonces.count == count);
    CHECK(r->registry.opened.count <= r->registry.graves.count && r->registry.kept <= r->registry.graves.count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run r = {.at = data, .end = data + size};

    rtcp_auth_shared_init(&r.shared, (struct base_bytes){NULL, 0}, 0);
    r.place = (struct rtcp_registry_place){4711, 77, true, &r.shared, NULL};
    CHECK(rtcp_registry_init(&r.registry, base_memory_libc(), ALIVE_MAX, 0xfffffffe) == 0);
    while (r.at < r.end) {
        switch (byte(&r) % 4) {
        case 0:
        case 1:
            on_request(&r);
            break;
        case 2:
            on_end(&r);
            break;
        default:
            on_late_message(&r);
            break;
        }
        check(&r);
    }
    for (unsigned i = 0; i < ALIVE_MAX; i++) {
        if (r.alive[i] != NULL) {
            rtcp_session_deinit(r.alive[i]);
            free(r.alive[i]);
        }
    }
    rtcp_registry_deinit(&r.registry);
    return 0;
}
