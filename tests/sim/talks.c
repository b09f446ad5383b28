/* See talks.h. What is seen here is judged here: C1 every byte once, in order, none made up. C4 the ring bounds what is
 * unacknowledged. C5 a stream ends only for a reason that happened. C6 no byte of another stream. C8 an end is read
 * exactly where the peer ended.
 */
#include "tests/sim/talks.h"

#include "rtcp/base/check.h"
#include "rtcp/defaults.h"
#include "tests/sim/arena.h"
#include "tests/sim/cover.h"
#include "tests/sim/faults.h"
#include "tests/sim/net.h"
#include "tests/sim/talks_drain.h"
#include "tests/sim/talks_keys.h"

#include <stdio.h>
#include <string.h>

#define CHUNK       65536u
#define CHUNK_SMALL 16384u /* where larger ones make no difference */

struct talks talks;

/* The bytes of a stream's direction from an offset on; a client's first eight are the stream's key. */
static void fill(uint8_t *to, size_t size, uint64_t key, int side, uint64_t offset)
{
    size_t done = 0;

    while (done < size) {
        uint64_t at = offset + done;
        uint64_t word = key + (uint64_t)side * 7919 + at / 8 * 0x9e3779b97f4a7c15u;
        size_t n = 8 - at % 8 < size - done ? 8 - at % 8 : size - done;

        word = (word ^ (word >> 29)) * 0xbf58476d1ce4e5b9u;
        word = side == TALK_CLIENT && at < 8 ? key : word;
        word >>= 8 * (at % 8);
        memcpy(to + done, &word, n); /* little-endian, as every machine this is built on */
        done += n;
    }
}

bool talks_is_alive(const struct talk_end *e)
{
    return sim.node[e->node].is_up && sim.node[e->node].life == e->life;
}

/* ------------------------------------------------------------------------------------------------ one end's work */

static void work(struct talk *t, int side);

/* How much it wants to have sent by now. A client may wait for an answer: nothing of its own comes to the rescue of a
 * server whose WAKE is not heard. */
static uint64_t goal_now(const struct talk *t, int side)
{
    const struct talk_end *e = &t->end[side];
    bool is_waiting = side == TALK_CLIENT && e->received < t->answer && !e->got_end;

    return is_waiting && e->goal > 8 ? 8 + (e->goal - 8) / 2 : e->goal;
}

static void send_some(struct talk *t, int side)
{
    struct talk_end *e = &t->end[side];
    uint8_t bytes[CHUNK];
    struct rtcp_info info;

    while (e->stream != NULL && !e->has_shut && !e->has_closed && e->sent < goal_now(t, side) &&
           sim.now >= e->quiet_until) {
        uint64_t left = goal_now(t, side) - e->sent;
        uint64_t most = talks.has_pages ? CHUNK : CHUNK_SMALL;
        size_t size = 1 + (size_t)sim_below(left < most ? left : most);
        size_t room = rtcp_room(e->stream);
        int64_t n;

        size = size > room + 1 ? room + 1 : size; /* now and then more than fits, without the cost of making it */

        fill(bytes, size, t->key, side, e->sent);
        n = rtcp_send(e->stream, bytes, size);
        if (n == BASE_E_CLOSED) {
            e->goal = e->sent; /* the peer reads no more */
        }
        if (n <= 0) {
            break;
        }
        e->sent += (uint64_t)n;
    }
    if (e->stream == NULL) {
        return;
    }
    rtcp_info(e->stream, &info);
    if (info.unacknowledged > talks.ring[side]) {
        sim_fail("C4 bounded buffer", "stream %llx side %d holds %llu bytes in a ring of %u",
                 (unsigned long long)t->key, side, (unsigned long long)info.unacknowledged, talks.ring[side]);
    }
    if (t->has_wrong_key && (info.id != 0 || info.peer_incarnation != 0)) {
        sim_fail("K only holders learn", "stream %llx knows its peer without the key", (unsigned long long)t->key);
    }
    if (info.state != RTCP_DEAD && e->sent != info.sent) {
        sim_fail("C1", "stream %llx side %d sent %llu, the library counts %llu", (unsigned long long)t->key, side,
                 (unsigned long long)e->sent, (unsigned long long)info.sent);
    }
}

/* The end that a client reads may be that of a server which left before the stream had a name there: none of its bytes
 * were read. What is remembered of the server then belongs to nobody, or to a process that was there before. */
static bool is_end_without_name(const struct talk *t, int side)
{
    const struct talk_end *peer = &t->end[!side];

    return side == TALK_CLIENT && t->end[side].received == 0 && !talks_is_alive(peer) && talks_drain_was_on(peer->node);
}

static void judge_end(const struct talk *t, int side)
{
    const struct talk_end *e = &t->end[side];
    const struct talk_end *peer = &t->end[!side];

    if (is_end_without_name(t, side)) {
        return;
    }
    if (e->received != peer->sent || (!peer->has_shut && !peer->has_closed)) {
        sim_fail("C8 no false end", "stream %llx side %d ended after %llu of %llu bytes", (unsigned long long)t->key,
                 side, (unsigned long long)e->received, (unsigned long long)peer->sent);
    }
    if (peer->has_aborted && !peer->has_shut) {
        sim_fail("C8 no false end", "stream %llx side %d: an abort looks like an end", (unsigned long long)t->key,
                 side);
    }
}

static void receive_some(struct talk *t, int side)
{
    struct talk_end *e = &t->end[side];
    struct talk_end *peer = &t->end[!side];

    while (e->stream != NULL && !e->has_closed && !e->got_end) {
        uint8_t bytes[CHUNK_SMALL];
        uint8_t expected[CHUNK_SMALL];
        int64_t n = rtcp_recv(e->stream, bytes, 1 + sim_below(CHUNK_SMALL));

        if (n == 0) {
            e->got_end = true;
            judge_end(t, side);
        }
        if (n <= 0) {
            return;
        }
        fill(expected, (size_t)n, t->key, !side, e->received);
        if (memcmp(bytes, expected, (size_t)n) != 0) {
            sim_fail("C1 once, in order", "stream %llx side %d: not the bytes that were sent, within %llu and %llu",
                     (unsigned long long)t->key, side, (unsigned long long)e->received,
                     (unsigned long long)e->received + (unsigned long long)n);
            return;
        }
        e->received += (uint64_t)n;
        sim_arena_stats.bytes += (uint64_t)n;
        if (e->received > peer->sent) {
            sim_fail("C1 no creation", "stream %llx side %d read more than was sent", (unsigned long long)t->key, side);
        }
        if (sim_chance(20) && sim.now < talks.calm_at) {
            e->paused_until = sim.now + sim_delay(0, BASE_S(5));
            return;
        }
    }
}

static void close_end(struct talk *t, int side, bool is_abort)
{
    struct talk_end *e = &t->end[side];

    e->has_closed = true;
    e->has_aborted = e->has_aborted || is_abort;
    sim_trace("stream %llx side %d %s after %llu sent, %llu read", (unsigned long long)t->key, side,
              is_abort ? "aborts" : "closes", (unsigned long long)e->sent, (unsigned long long)e->received);
    if (!is_abort && sim.now < talks.calm_at && sim_chance(100)) {
        e->has_deadline = true;
        rtcp_close_within(e->stream, sim_delay(0, BASE_S(20)));
    } else {
        rtcp_close(e->stream, is_abort          ? RTCP_LINGER_ABORT
                              : sim_chance(100) ? RTCP_LINGER_FOREVER
                                                : RTCP_LINGER_BACKGROUND);
    }
}

static void work(struct talk *t, int side)
{
    struct talk_end *e = &t->end[side];

    if (e->stream == NULL || e->has_closed) {
        return;
    }
    if (sim.now >= e->paused_until || sim.now >= talks.calm_at) {
        receive_some(t, side);
    }
    send_some(t, side);
    if (e->stream == NULL || e->has_closed) {
        return;
    }
    if (e->sent == e->goal && !e->has_shut) {
        e->has_shut = true;
        (void)rtcp_shutdown(e->stream);
    }
    if (e->got_end && e->has_shut) {
        close_end(t, side, false);
    }
}

/* ------------------------------------------------------------------------------------------------ callbacks */

static struct talk *talk_of(uint64_t key)
{
    for (int i = 0; i < talks.count; i++) {
        if (talks.talk[i].key == key) {
            return &talks.talk[i];
        }
    }
    return NULL;
}

/* A server may have waited for its client for half a minute, by its own clock. An ordinary storm is shorter than that.
 */
static bool may_be_late(const struct talk *t)
{
    return (talks.is_long && sim.now - t->began > RTCP_UNCONFIRMED_MAX) || (sim_faults.kinds & 1u << FAULT_CLOCK) != 0;
}

/* A client that has not said a word opens again, and tells nobody. */
static bool may_be_unconfirmed(const struct talk *t, int side)
{
    const struct talk_end *peer = &t->end[!side];

    return (side == TALK_SERVER || t->end[side].sent > 0) &&
           (!talks_is_alive(peer) || peer->stream == NULL || may_be_late(t));
}

static void ended(struct talk *t, int side, int status, uint64_t unacknowledged)
{
    struct talk_end *e = &t->end[side];
    struct talk_end *peer = &t->end[!side];
    bool peer_died = !talks_is_alive(peer) || peer->stream == NULL;
    bool is_fine = status == 0 || (status == BASE_E_CLOSED && e->has_aborted) ||
                   (status == BASE_E_RESET && (peer->has_aborted || peer_died || peer->has_closed)) ||
                   (status == BASE_E_EXPIRED && e->has_deadline) ||
                   (status == BASE_E_PEER_GONE && !talks_is_alive(peer)) ||
                   (status == BASE_E_NEVER_CONFIRMED && may_be_unconfirmed(t, side)) ||
                   (status == BASE_E_REFUSED && side == TALK_CLIENT && t->may_be_refused && e->received == 0);

    if (!t->has_wrong_key) {
        talks_drain_lost(unacknowledged);
    }
    sim_trace("stream %llx side %d ended: %s, %llu unacknowledged", (unsigned long long)t->key, side,
              base_status_name(status), (unsigned long long)unacknowledged);
    sim_cover_event("stream", "ended", base_status_name(status));
    e->stream = NULL;
    e->is_over = true;
    e->status = status;
    if (!is_fine) {
        sim_fail("C5 ends only for a reason", "stream %llx side %d ended with %s, which did not happen",
                 (unsigned long long)t->key, side, base_status_name(status));
    }
    if (status == 0 && side == TALK_CLIENT) {
        talks_keys_finished(t);
    }
    if (t->has_wrong_key && status == BASE_E_REFUSED) {
        sim_cover_event("keys", "wrong", "refused");
    }
    if (status == 0 && unacknowledged != 0) {
        sim_fail("C2 complete", "stream %llx side %d ended well with %llu bytes unacknowledged",
                 (unsigned long long)t->key, side, (unsigned long long)unacknowledged);
    }
}

static void client_readable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    work(user, TALK_CLIENT);
}

/* Nothing was delivered, and nothing confirmed it: its server will drop it, its client has to open it anew. */
static void go_dark(void *object, uint64_t number)
{
    struct talk *t = object;

    (void)number;
    sim_cover_event("talk", "goes dark", NULL);
    sim_faults_darken(t->end[TALK_CLIENT].node, t->end[TALK_SERVER].node,
                      RTCP_UNCONFIRMED_MAX + BASE_S(1) + sim_below(BASE_S(8)));
}

static void client_link(void *user, struct rtcp_stream *stream, bool is_up)
{
    struct talk *t = user;

    (void)stream;
    if (is_up && t->goes_dark && sim.now + RTCP_UNCONFIRMED_MAX + BASE_S(10) < talks.calm_at) {
        sim_at(sim.now + sim_below(RTCP_CONFIRM_AFTER), go_dark, t, 0);
    }
    t->goes_dark = false;
}

static void client_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    (void)stream;
    ended(user, TALK_CLIENT, status, unacknowledged);
}

static void server_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    (void)stream;
    ended(user, TALK_SERVER, status, unacknowledged);
}

static void server_readable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    work(user, TALK_SERVER);
}

static const struct rtcp_stream_callbacks client_calls = {
    .on_readable = client_readable, .on_writable = client_readable, .on_link = client_link, .on_closed = client_closed};
static const struct rtcp_stream_callbacks server_calls = {
    .on_readable = server_readable, .on_writable = server_readable, .on_closed = server_closed};

/* A stream of which the server does not know yet which it is: its first 8 bytes say so. */
static void anonymous_readable(void *user, struct rtcp_stream *stream);

static void anonymous_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    (void)stream;
    talks_drain_lost(unacknowledged);
    sim_trace("a stream ended before it had a name: %s", base_status_name(status));
    __builtin_free(user);
}

struct anonymous {
    uint8_t bytes[8];
    size_t size;
    int node;
};

static const struct rtcp_stream_callbacks anonymous_calls = {.on_readable = anonymous_readable,
                                                             .on_closed = anonymous_closed};

static void anonymous_readable(void *user, struct rtcp_stream *stream)
{
    struct anonymous *who = user;
    int64_t n = rtcp_recv(stream, who->bytes + who->size, sizeof who->bytes - who->size);
    uint64_t key = 0;
    struct talk *t;

    if (n <= 0) {
        if (n == 0) {
            rtcp_close(stream, RTCP_LINGER_BACKGROUND);
        }
        return;
    }
    who->size += (size_t)n;
    if (who->size < sizeof who->bytes) {
        return;
    }
    for (int i = 0; i < 8; i++) {
        key |= (uint64_t)who->bytes[i] << (8 * i);
    }
    t = talk_of(key);
    if (t == NULL) {
        sim_fail("C6 no cross-talk", "a stream begins with bytes that nobody sent");
        return;
    }
    if (t->end[TALK_SERVER].stream != NULL && talks_is_alive(&t->end[TALK_SERVER])) {
        sim_fail("C6 one stream", "stream %llx was accepted twice by one process", (unsigned long long)key);
        return;
    }
    talks_keys_accepted(who->node, t);
    t->end[TALK_SERVER] = (struct talk_end){.stream = stream,
                                            .node = who->node,
                                            .life = sim.node[who->node].life,
                                            .goal = t->answer + sim_delay(0, 400000),
                                            .received = 8,
                                            .quiet_until = t->answer_at};
    rtcp_stream_set_callbacks(stream, &server_calls, t);
    __builtin_free(who);
    work(t, TALK_SERVER);
}

void talks_on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct anonymous *who = __builtin_calloc(1, sizeof *who);

    (void)listener;
    CHECK(who != NULL);
    who->node = *(int *)user;
    if (talks_drain_is_on(who->node)) {
        sim_fail("D drain", "node %d accepts a stream while it drains", who->node);
    }
    rtcp_stream_set_callbacks(stream, &anonymous_calls, who);
}

/* ------------------------------------------------------------------------------------------------ opening */

void talks_options(enum talk_side side, struct rtcp_stream_options *o)
{
    o->ring = talks.is_automatic ? 0 : talks.ring[side];
    o->ring_max = talks.ring[side];
    o->sendfile = talks.has_pages;
    o->coalesce = talks.is_automatic && talks.ring[TALK_CLIENT] > talks.ring[TALK_SERVER] ? BASE_MS(1) : 0;
}

/* A talk that has not begun; what its client wants is drawn. */
static void draw(struct talk *t, int node, int server, struct rtcp_stream_options *o)
{
    memset(t, 0, sizeof *t);
    t->key = base_rng_next(&sim.rng);
    t->end[TALK_CLIENT] =
        (struct talk_end){.node = node, .life = sim.node[node].life, .goal = 8 + sim_delay(0, 400000)};
    t->end[TALK_SERVER].node = server;
    t->binding = sim_net_rebound(node);
    t->began = sim.now;
    if (talks.is_long && sim_chance(300)) {
        t->end[TALK_CLIENT].quiet_until = base_time_min(sim.now + sim_below(BASE_S(80)), talks.calm_at);
        t->goes_dark = talks.may_go_dark && sim_chance(400);
    }
    t->has_wrong_key = talks.wrong[node] != NULL && sim_chance(80);
    t->generation = t->has_wrong_key ? -1 : talks_keys_current(node);
    t->may_be_refused = t->has_wrong_key || sim_chance(50);
    o->retry_refused = !t->may_be_refused;
    o->no_early_data = sim_chance(300);
    o->early_data_with_key = sim_chance(500);
    if (sim_chance(150)) {
        t->answer = 1 + sim_below(2000);
        t->answer_at = base_time_min(sim.now + sim_below(BASE_S(20)), talks.calm_at);
    }
    if (sim_chance(t->answer != 0 ? 500 : 100)) {
        o->idle_passivate = BASE_S(1) + sim_delay(0, BASE_S(10));
    }
}

void talks_open(int server, int port)
{
    struct rtcp_stream_options o;
    struct talk *t = &talks.talk[talks.count];
    int node = sim.current->id;
    char address[32];
    char name[8];
    int status;

    if (talks.count == TALKS_MAX) {
        return;
    }
    rtcp_stream_options_default(&o);
    talks_options(TALK_CLIENT, &o);
    draw(t, node, server, &o);
    snprintf(name, sizeof name, "s%d", server);
    o.service = name;
    snprintf(address, sizeof address, "10.0.0.%d:%d", server + 1, port);
    status = rtcp_connect(t->has_wrong_key ? talks.wrong[node] : talks.endpoint[node], address, &o, &client_calls, t,
                          &t->end[TALK_CLIENT].stream);
    if ((status == BASE_E_CLOSED) != (talks_drain_is_on(node) && !t->has_wrong_key)) {
        sim_fail("D drain", "node %d opens a stream: %s", node, base_status_name(status));
    }
    if (status == 0) {
        talks.count++;
        sim_arena_stats.streams++;
        sim_trace("stream %llx from %d to %d", (unsigned long long)t->key, node, server);
        work(t, TALK_CLIENT);
    }
}

/* ------------------------------------------------------------------------------------------------ now and then */

void talks_stir_end(void *object, uint64_t number)
{
    struct talk *t = object;
    int side = (int)(number & 1);
    struct talk_end *e = &t->end[side];

    if (e->stream == NULL || e->has_closed) {
        return;
    }
    if (sim.now < talks.calm_at && sim_chance(4)) {
        close_end(t, side, sim_chance(400));
        return;
    }
    work(t, side);
    if (e->stream != NULL && !e->has_closed && sim.now < talks.calm_at && sim_chance(10)) {
        int status = sim_chance(600) ? rtcp_passivate(e->stream) : rtcp_replace(e->stream);

        sim_trace("stream %llx side %d lets go or replaces: %s", (unsigned long long)t->key, side,
                  base_status_name(status));
    }
}

void talks_send_more(void *object, uint64_t number)
{
    send_some(object, (int)number);
}
