/* The endpoint under test, its application and its clock. See rtcp_hostile.h.
 *
 * The clock: libev and the product ask clock_gettime for CLOCK_MONOTONIC, which is defined here: while a script runs it
 * shows the script's time, so timers fire when a step says so, and runs repeat.
 */
#include "rtcp/base/check.h"
#include "tests/fuzz/rtcp_hostile.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TURNS_MAX     60
#define LISTENERS_MAX 4

static base_time held; /* what the clock shows; 0: the kernel's */

int clock_gettime(clockid_t id, struct timespec *t)
{
    if (held != 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)) {
        t->tv_sec = (time_t)(held / BASE_S(1));
        t->tv_nsec = (long)(held % BASE_S(1));
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, id, t);
}

struct rtcp_key hostile_key(unsigned number)
{
    static const uint8_t bytes[HOSTILE_KEYS][RTCP_KEY_MIN + 1] = {"", "the first key...", "the second key..",
                                                                  "not the first..."};
    return (struct rtcp_key){.id = number == 3 ? 1 : number, .bytes = bytes[number], .size = RTCP_KEY_MIN};
}

/* ------------------------------------------------------------------------------------------------ the application */

static void close_stream(struct hostile_slot *slot, uint8_t how)
{
    slot->is_given_up = true;
    switch (how % 4) {
    case 0:
        rtcp_close(slot->stream, RTCP_LINGER_BACKGROUND);
        break;
    case 1:
        rtcp_close(slot->stream, RTCP_LINGER_ABORT);
        break;
    case 2:
        rtcp_close(slot->stream, RTCP_LINGER_FOREVER);
        break;
    default:
        rtcp_close_within(slot->stream, BASE_MS(how));
        break;
    }
}

static void send_some(struct hostile_slot *slot, size_t size, bool in_place)
{
    static const uint8_t zeros[65536];
    struct base_span room;

    if (!in_place) {
        CHECK(rtcp_send(slot->stream, zeros, size) <= (int64_t)size);
    } else if (rtcp_reserve(slot->stream, &room) == 0) {
        CHECK(rtcp_commit(slot->stream, size < room.size ? size : room.size) <= 0);
    }
}

static void receive_some(struct hostile_slot *slot, size_t size)
{
    uint8_t bytes[4096];

    CHECK(rtcp_recv(slot->stream, bytes, size < sizeof bytes ? size + 1 : sizeof bytes) <= (int64_t)sizeof bytes);
}

static void ask_about(struct hostile_slot *slot)
{
    struct rtcp_info info;

    rtcp_info(slot->stream, &info);
    CHECK(info.unacknowledged <= info.sent);
    CHECK(rtcp_peer_address(slot->stream) != NULL);
    CHECK(rtcp_room(slot->stream) <= RTCP_RING_MAX);
}

/* A call on a stream; the high bits of `what` are its operand. */
static void act(struct hostile_slot *slot, uint8_t what)
{
    static const uint8_t data[RTCP_PROBE_DATA_SIZE] = {1};
    uint8_t how = what >> 4;

    switch (what % 16) {
    case 1:
    case 2:
        send_some(slot, (size_t)1 << how, what % 16 == 2);
        break;
    case 3:
    case 4:
        receive_some(slot, (size_t)1 << how);
        break;
    case 5:
        CHECK(rtcp_shutdown(slot->stream) <= 0);
        break;
    case 6:
    case 7:
        close_stream(slot, how);
        break;
    case 8:
        CHECK(rtcp_passivate(slot->stream) <= 0);
        break;
    case 9:
        CHECK(rtcp_replace(slot->stream) <= 0);
        break;
    case 10:
        rtcp_set_probe_data(slot->stream, data);
        break;
    case 11:
        rtcp_flush(slot->stream);
        break;
    case 12:
        ask_about(slot);
        break;
    default:
        break;
    }
}

static void on_readable(void *user, struct rtcp_stream *stream)
{
    struct hostile_slot *slot = user;

    CHECK(slot->stream == stream && !slot->is_given_up);
    if (slot == slot->world->witness.served) {
        hostile_witness_read(&slot->world->witness, stream);
        return;
    }
    act(slot, slot->world->at_readable);
}

static void on_writable(void *user, struct rtcp_stream *stream)
{
    struct hostile_slot *slot = user;

    CHECK(slot->stream == stream && !slot->is_given_up);
}

static void on_link(void *user, struct rtcp_stream *stream, bool up)
{
    struct hostile_slot *slot = user;

    (void)up;
    CHECK(slot->stream == stream && !slot->is_given_up);
}

static void on_evidence(void *user, struct rtcp_stream *stream, enum rtcp_evidence evidence)
{
    struct hostile_slot *slot = user;

    CHECK(slot->stream == stream && !slot->is_given_up && evidence != RTCP_EVIDENCE_NONE);
}

static void on_probe_data(void *user, struct rtcp_stream *stream, const uint8_t data[RTCP_PROBE_DATA_SIZE])
{
    struct hostile_slot *slot = user;

    CHECK(slot->stream == stream && !slot->is_given_up && data != NULL);
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct hostile_slot *slot = user;

    CHECK(slot->stream == stream && status <= 0 && unacknowledged <= RTCP_RING_MAX);
    CHECK(slot != slot->world->witness.served);
    slot->stream = NULL;
    slot->is_given_up = false;
    for (int i = 0; i < HOSTILE_PARTS; i++) {
        slot->world->dialled[i] = slot->world->dialled[i] == slot ? NULL : slot->world->dialled[i];
    }
}

static const struct rtcp_stream_callbacks callbacks = {on_readable, on_writable,   on_link,
                                                       on_evidence, on_probe_data, on_closed};

static struct hostile_slot *free_slot(struct hostile_world *w)
{
    for (int i = 0; i < HOSTILE_STREAMS; i++) {
        if (w->slot[i].stream == NULL) {
            w->slot[i].world = w;
            return &w->slot[i];
        }
    }
    return NULL;
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct hostile_world *w = user;
    struct hostile_slot *slot = free_slot(w);

    (void)listener;
    CHECK(slot != NULL);
    slot->stream = stream;
    rtcp_stream_set_callbacks(stream, &callbacks, slot);
    act(slot, w->at_accept);
}

/* ------------------------------------------------------------------------------------------------ its endpoint */

static void listen_here(struct hostile_world *w)
{
    struct rtcp_listen_options o;

    if (w->listeners == LISTENERS_MAX) {
        return;
    }
    rtcp_listen_options_default(&o);
    o.service = "hostile";
    o.streams_max = (w->mode & 128) != 0 ? 2 : 0;
    if ((w->mode & 64) != 0) {
        o.stream.ring = RTCP_RING_MIN;
        o.stream.idle_passivate = BASE_S(1);
        o.stream.orphan_max = BASE_S(60);
        o.stream.coalesce = BASE_MS(1);
    }
    rtcp_listener_close(w->listener);
    CHECK(rtcp_listen(w->endpoint, "127.0.0.1:0", &o, on_accept, w, &w->listener) == 0);
    w->port = (uint16_t)strtol(strchr(rtcp_listener_address(w->listener), ':') + 1, NULL, 10);
    w->listeners++;
}

static void dial(struct hostile_world *w, uint8_t how, uint16_t peer_port)
{
    uint8_t part = HOSTILE_CLIENTS + how % (HOSTILE_PARTS - HOSTILE_CLIENTS);
    struct hostile_slot *slot = free_slot(w);
    struct rtcp_stream_options o;
    char address[64];

    if (slot == NULL || w->dialled[part] != NULL) {
        return;
    }
    snprintf(address, sizeof address, "%s127.0.0.1:%u", (how & 2) != 0 ? "127.0.0.9:1," : "", peer_port);
    rtcp_stream_options_default(&o);
    o.sendfile = (how & 4) != 0;
    o.retry_refused = (how & 16) != 0;
    o.early_data_with_key = (how & 32) != 0;
    o.ring = (how & 64) != 0 ? RTCP_RING_MIN : 0;
    o.idle_passivate = (how & 128) != 0 ? BASE_S(1) : BASE_NEVER;
    if (rtcp_connect(w->endpoint, address, &o, &callbacks, slot, &slot->stream) == 0) {
        w->dialled[part] = slot;
        if ((how & 8) != 0) {
            send_some(slot, 5000, false); /* bytes that travel with the opening */
        }
    }
}

/* Some of the keys, in some order. */
struct some_keys {
    struct rtcp_key key[3];
    size_t first, count, current;
};

static struct some_keys some_keys(uint8_t how)
{
    size_t count = how % 3;

    return (struct some_keys){.key = {hostile_key(1), hostile_key(2), hostile_key(1)},
                              .first = (how >> 4) % 2,
                              .count = count,
                              .current = count == 2 ? (how >> 5) % 2 : 0};
}

static void set_keys(struct hostile_world *w, uint8_t how)
{
    struct some_keys k = some_keys(how);

    CHECK(rtcp_endpoint_set_keys(w->endpoint, k.key + k.first, k.count, k.current) <= 0);
}

static void on_drain(void *user, struct rtcp_endpoint *endpoint, const struct rtcp_drain_progress *progress)
{
    CHECK(((struct hostile_world *)user)->endpoint == endpoint && progress->streams <= HOSTILE_STREAMS);
}

static void drain(struct hostile_world *w, uint8_t how)
{
    for (int i = 0; i < HOSTILE_STREAMS; i++) {
        w->slot[i].is_given_up = w->slot[i].stream != NULL; /* it closes them all */
    }
    w->at_accept = 0;
    rtcp_drain(w->endpoint, how % 4 == 0 ? BASE_NEVER : BASE_MS(how) * 10, on_drain, w);
}

void hostile_world_step(struct hostile_world *w, struct hostile_script *s, uint16_t peer_port)
{
    uint8_t what = hostile_byte(s);
    uint8_t how = hostile_byte(s);
    struct hostile_slot *slot = &w->slot[what % HOSTILE_STREAMS];

    switch (what >> 4) {
    case 0:
        dial(w, how, peer_port);
        break;
    case 1:
        set_keys(w, how);
        break;
    case 2:
        rtcp_listener_close(w->listener);
        w->listener = NULL;
        break;
    case 3:
        listen_here(w);
        break;
    case 4:
        if (what % 8 == 0 && w->witness.endpoint == NULL) {
            drain(w, how);
        }
        break;
    case 5:
        w->at_accept = how;
        w->at_readable = hostile_byte(s);
        break;
    default:
        if (slot->stream != NULL && slot != w->witness.served) {
            act(slot, how);
        }
        break;
    }
}

/* ------------------------------------------------------------------------------------------------ turns */

static void on_pending(struct ev_loop *loop)
{
    struct hostile_world *w = ev_userdata(loop);

    w->handled += ev_pending_count(loop);
    ev_invoke_pending(loop);
}

/* A route lives as long as a session or a CONTROL connection uses it. */
static void check_routes(const struct rtcp_endpoint *e)
{
    size_t used = 0;

    for (const struct rtcp_stream *stream = e->streams; stream != NULL; stream = stream->next) {
        const struct rtcp_route *route = stream->session.route;
        const struct rtcp_stream *first = e->streams;

        while (first->session.route != route) {
            first = first->next;
        }
        CHECK(route == NULL || base_table_get(&e->routes, route->key) == route);
        used += route != NULL && first == stream ? 1 : 0;
    }
    CHECK(e->routes.count >= used && e->routes.count <= used + e->courier_count);
}

void hostile_world_turn(struct hostile_world *w)
{
    unsigned quiet_events = w->witness.endpoint == NULL ? 1 : 2; /* the preparation of each endpoint */
    struct rtcp_stats stats;

    for (int i = 0, quiet = 0; i < TURNS_MAX && quiet < 2; i++) {
        w->handled = 0;
        held += BASE_US(1);
        ev_run(w->loop, EVRUN_NOWAIT);
        quiet = w->handled <= quiet_events ? quiet + 1 : 0;
    }
    check_routes(w->endpoint);
    rtcp_endpoint_stats(w->endpoint, &stats);
    CHECK(stats.sessions <= HOSTILE_STREAMS && stats.passive + stats.lingering <= 2 * stats.sessions);
}

void hostile_world_pass(struct hostile_world *w, base_time span)
{
    (void)w;
    held += span;
}

static void open_endpoint(struct hostile_world *w)
{
    struct rtcp_endpoint_options o;

    rtcp_endpoint_options_default(&o);
    o.streams_max = HOSTILE_STREAMS;
    o.seed = 1;
    o.hints = false;
    CHECK(rtcp_endpoint_open(w->loop, &o, &w->endpoint) == 0);
    set_keys(w, w->mode);
    listen_here(w);
}

void hostile_world_init(struct hostile_world *w, struct hostile_script *s)
{
    uint8_t at_accept, at_readable;

    held = BASE_S(100000);
    w->mode = hostile_byte(s);
    at_accept = hostile_byte(s);
    at_readable = hostile_byte(s);
    w->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    CHECK(w->loop != NULL);
    ev_set_userdata(w->loop, w);
    ev_set_invoke_pending_cb(w->loop, on_pending);
    open_endpoint(w);
    if (hostile_byte(s) % 2 == 1 &&
        (w->mode & 64) == 0) { /* with an orphan age nobody is safe from a clock that leaps */
        struct some_keys k = some_keys(w->mode);

        hostile_witness_init(w, k.key + k.first, k.count, k.current);
    }
    w->at_accept = at_accept;
    w->at_readable = at_readable;
}

void hostile_world_deinit(struct hostile_world *w)
{
    hostile_witness_judge(w);
    rtcp_endpoint_close(w->endpoint);
    ev_loop_destroy(w->loop);
    held = 0;
}
