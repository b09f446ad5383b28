/* An honest client beside the hostile one, with an endpoint of its own on the same loop: whatever the others do, its
 * stream lives and its bytes arrive, once and in order (C1, C2). See rtcp_hostile.h.
 */
#include "rtcp/base/check.h"
#include "tests/fuzz/rtcp_hostile.h"

#include <stdio.h>

#define ROUNDS_MAX 200 /* of ROUND, until it must have come through */
#define ROUND      BASE_MS(100)

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    (void)user;
    (void)stream;
    (void)status;
    (void)unacknowledged;
    CHECK(!"the honest stream ended");
}

static bool is_confirmed(const struct rtcp_stream *stream)
{
    struct rtcp_info info;

    rtcp_info(stream, &info);
    return info.is_confirmed;
}

static bool has_come_through(const struct hostile_witness *h)
{
    struct rtcp_info info;

    rtcp_info(h->stream, &info);
    return h->read == h->sent && info.unacknowledged == 0;
}

void hostile_witness_init(struct hostile_world *w, const struct rtcp_key *keys, size_t count, size_t current)
{
    static const struct rtcp_stream_callbacks callbacks = {.on_closed = on_closed};
    struct hostile_witness *h = &w->witness;
    struct rtcp_endpoint_options o;
    char address[64];

    rtcp_endpoint_options_default(&o);
    o.seed = 2;
    o.hints = false;
    CHECK(rtcp_endpoint_open(w->loop, &o, &h->endpoint) == 0);
    CHECK(rtcp_endpoint_set_keys(h->endpoint, keys, count, current) == 0);
    snprintf(address, sizeof address, "127.0.0.1:%u", w->port);
    CHECK(rtcp_connect(h->endpoint, address, NULL, &callbacks, h, &h->stream) == 0);
    for (int i = 0; !is_confirmed(h->stream) || w->slot[0].stream == NULL || !is_confirmed(w->slot[0].stream); i++) {
        CHECK(i < ROUNDS_MAX);
        hostile_world_turn(w);
        hostile_world_pass(w, ROUND);
    }
    h->served = &w->slot[0];
}

void hostile_witness_send(struct hostile_world *w)
{
    struct hostile_witness *h = &w->witness;
    uint8_t bytes[100];

    if (h->endpoint == NULL) {
        return;
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)((h->sent + i) * 7);
    }
    CHECK(rtcp_send(h->stream, bytes, sizeof bytes) == sizeof bytes);
    h->sent += sizeof bytes;
}

void hostile_witness_read(struct hostile_witness *h, struct rtcp_stream *stream)
{
    uint8_t bytes[4096];
    int64_t n;

    while ((n = rtcp_recv(stream, bytes, sizeof bytes)) > 0) {
        for (int64_t i = 0; i < n; i++) {
            CHECK(bytes[i] == (uint8_t)(h->read++ * 7));
        }
    }
    CHECK(n == BASE_E_AGAIN);
}

void hostile_witness_judge(struct hostile_world *w)
{
    if (w->witness.endpoint == NULL) {
        return;
    }
    for (int i = 0; !has_come_through(&w->witness); i++) {
        CHECK(i < ROUNDS_MAX);
        hostile_world_turn(w);
        hostile_world_pass(w, ROUND);
    }
    rtcp_endpoint_close(w->witness.endpoint);
}
