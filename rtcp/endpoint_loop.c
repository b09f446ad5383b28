/* The endpoint of the event-driven face: identity, registry, routes, and the turn in which user callbacks run. See
 * inside_loop.h; implements the endpoint's part of rtcp.h.
 */
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/base/ringmem_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#define STREAMS_DEFAULT 65536u
#define STREAMS_MOST    ((size_t)1 << 20)

/* ------------------------------------------------------------------------------------------------ complaints */

bool rtcp_endpoint_may_complain(struct rtcp_endpoint *endpoint)
{
    base_time now = base_clock_now();

    if (now >= endpoint->complaining_since + RTCP_COMPLAIN_SPAN) {
        endpoint->complaining_since = now;
        endpoint->complaints = 0;
    }
    if (endpoint->complaints >= RTCP_COMPLAINTS) {
        endpoint->complaints_kept++;
        return false;
    }
    endpoint->complaints++;
    return true;
}

void rtcp_endpoint_complain(struct rtcp_endpoint *endpoint, const struct rtcp_address *peer, const char *what,
                            const char *why)
{
    struct base_event e = {.at = base_clock_now(), .object = "endpoint", .name = what, .text = why};

    if (!rtcp_endpoint_may_complain(endpoint)) {
        return;
    }
    e.field[0].key = "peer_family";
    e.field[0].value = peer->family;
    e.field[1].key = "peer_ip"; /* the last 64 bits of an IPv6 address */
    e.field[1].value = peer->family == 6 ? base_get64(peer->ip + 8) : base_get32(peer->ip);
    e.field[2].key = "peer_port";
    e.field[2].value = peer->port;
    e.field[3].key = "kept_back"; /* complaints before this one that were too many */
    e.field[3].value = endpoint->complaints_kept;
    endpoint->complaints_kept = 0;
    base_trace_emit(&endpoint->options.trace, &e);
}

/* Never from a generator whose state could be computed from numbers that others see. */
static uint64_t random_number(void)
{
    uint64_t number = 0;

    while (number == 0) {
        randombytes_buf(&number, sizeof number);
    }
    return number;
}

/* Bytes for nonces and seeds, many at a time; each is used once and forgotten. */
static void take_random(struct rtcp_endpoint *endpoint, void *out, size_t size)
{
    if (endpoint->random_left < size) {
        randombytes_buf(endpoint->random, sizeof endpoint->random);
        endpoint->random_left = sizeof endpoint->random;
    }
    endpoint->random_left -= size;
    base_copy(out, endpoint->random + endpoint->random_left, size);
    base_zero(endpoint->random + endpoint->random_left, size);
}

void rtcp_endpoint_session_options(struct rtcp_endpoint *endpoint, const struct rtcp_stream_options *o,
                                   struct rtcp_session_options *ret)
{
    base_zero(ret, sizeof *ret);
    ret->ring = o->ring;
    ret->ring_max = o->ring_max;
    ret->acks = o->acks;
    ret->idle_probe = o->idle_probe;
    ret->linger_max = o->linger_max;
    ret->idle_passivate = o->idle_passivate;
    ret->orphan_max = o->orphan_max;
    ret->incarnation = endpoint->incarnation;
    ret->id = rtcp_registry_next_id(&endpoint->registry);
    take_random(endpoint, &ret->seed, sizeof ret->seed);
    if (endpoint->options.seed != 0) {
        ret->seed = base_rng_next(&endpoint->rng);
    }
    ret->shared = rtcp_keyring_current(&endpoint->keys);
    ret->ring_source = o->sendfile ? base_ringmem_pages() : base_ringmem_system();
    ret->trace = &endpoint->options.trace;
    take_random(endpoint, ret->nonce, sizeof ret->nonce);
}

/* ------------------------------------------------------------------------------------------------ the turn */

void rtcp_endpoint_make_ready(struct rtcp_stream *stream)
{
    struct rtcp_endpoint *e = stream->endpoint;

    if (stream->is_ready) {
        return;
    }
    stream->is_ready = true;
    stream->next_ready = NULL;
    if (e->ready_last != NULL) {
        e->ready_last->next_ready = stream;
    } else {
        e->ready_first = stream;
    }
    e->ready_last = stream;
    if (!e->in_turn) {
        ev_idle_start(e->loop, &e->awake); /* the last turn of this round may be over: the loop must not wait */
    }
}

static struct rtcp_stream *take_ready(struct rtcp_endpoint *e)
{
    struct rtcp_stream *stream = e->ready_first;

    e->ready_first = stream->next_ready;
    if (e->ready_first == NULL) {
        e->ready_last = NULL;
    }
    stream->is_ready = false;
    return stream;
}

/* Answers of handshakes go out with what the callbacks sent. */
static void uncork(struct rtcp_stream *stream)
{
    bool is_corked =
        (stream->live != NULL && stream->live->is_corked) || (stream->trying != NULL && stream->trying->is_corked);
    base_time now;

    if (!is_corked) {
        return;
    }
    now = base_clock_now();
    if (stream->trying != NULL) {
        rtcp_link_uncork(stream->trying, now);
    }
    if (stream->live != NULL) {
        rtcp_link_uncork(stream->live, now);
    }
    rtcp_stream_pump(stream, now);
}

/* What a burst left waits no longer than its turn. */
static void send_burst(struct rtcp_stream *stream)
{
    if (stream->burst.waits) {
        rtcp_stream_pump(stream, rtcp_endpoint_lately(stream->endpoint));
    }
}

void rtcp_endpoint_turn(struct rtcp_endpoint *endpoint)
{
    struct rtcp_stream *last = endpoint->ready_last;

    if (endpoint->in_turn) {
        return;
    }
    endpoint->in_turn = true;
    endpoint->turns++;
    while (last != NULL && endpoint->ready_first != NULL) { /* what becomes ready meanwhile waits for the next turn */
        struct rtcp_stream *stream = take_ready(endpoint);
        bool is_last = stream == last;

        if (stream->session.pending_count > 0) {
            rtcp_stream_pump(stream, base_clock_now());
        }
        if (!rtcp_stream_run_callbacks(stream)) {
            rtcp_dial_look(stream);
            uncork(stream);
            send_burst(stream);
        }
        if (is_last) {
            break;
        }
    }
    for (struct rtcp_stream *other = endpoint->ready_first; other != NULL; other = other->next_ready) {
        send_burst(other); /* of callbacks of other streams */
    }
    rtcp_link_free_closed(endpoint);
    rtcp_courier_free_closed(endpoint);
    rtcp_drain_look(endpoint);
    endpoint->in_turn = false;
    if (endpoint->ready_first != NULL) {
        ev_idle_start(endpoint->loop, &endpoint->awake);
    } else if (ev_is_active(&endpoint->awake)) {
        ev_idle_stop(endpoint->loop, &endpoint->awake);
    }
}

base_time rtcp_endpoint_now(struct rtcp_endpoint *endpoint)
{
    endpoint->clock = base_clock_now();
    return endpoint->clock;
}

base_time rtcp_endpoint_lately(const struct rtcp_endpoint *endpoint)
{
    return base_time_max(endpoint->clock, base_clock_tick());
}

void rtcp_endpoint_leave(const struct rtcp_endpoint *endpoint)
{
    if (endpoint->leave != NULL) {
        endpoint->leave(endpoint->user);
    }
}

void rtcp_endpoint_enter(const struct rtcp_endpoint *endpoint)
{
    if (endpoint->enter != NULL) {
        endpoint->enter(endpoint->user);
    }
}

/* Messages that became due in this turn, all together. */
static void send_gathered(struct rtcp_endpoint *endpoint)
{
    endpoint->is_gathering = false;
    rtcp_control_flush(endpoint);
}

static void on_turn(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct rtcp_endpoint *endpoint = w->data;

    (void)loop;
    (void)events;
    rtcp_endpoint_turn(endpoint);
    send_gathered(endpoint);
}

static void on_awake(struct ev_loop *loop, ev_idle *w, int events)
{
    (void)loop;
    (void)events;
    rtcp_endpoint_turn(w->data);
}

/* ------------------------------------------------------------------------------------------------ public */

void rtcp_endpoint_options_default(struct rtcp_endpoint_options *o)
{
    base_zero(o, sizeof *o);
    o->streams_max = STREAMS_DEFAULT;
    o->hints = true;
}

static int check_options(const struct rtcp_endpoint_options *o)
{
    if (o->streams_max < 1 || o->streams_max > STREAMS_MOST) {
        return BASE_E_RANGE;
    }
    return o->key != NULL && o->key_count > 0 ? BASE_E_RANGE : 0;
}

static int init_keys(struct rtcp_endpoint *e)
{
    const struct rtcp_endpoint_options *o = &e->options;
    const struct rtcp_key one = {o->key_id, o->key, o->key_size};

    return o->key != NULL ? rtcp_keyring_set(&e->keys, &one, 1, 0)
                          : rtcp_keyring_set(&e->keys, o->keys, o->key_count, o->key_current);
}

int rtcp_endpoint_set_keys(struct rtcp_endpoint *endpoint, const struct rtcp_key *keys, size_t count, size_t current)
{
    return rtcp_keyring_set(&endpoint->keys, keys, count, current);
}

static int init_tables(struct rtcp_endpoint *e)
{
    int status =
        rtcp_registry_init(&e->registry, base_memory_libc(), e->options.streams_max, (uint32_t)base_rng_next(&e->rng));

    if (status == 0) {
        status = rtcp_routes_init(e);
        if (status < 0) {
            rtcp_registry_deinit(&e->registry);
        }
    }
    return status;
}

int rtcp_endpoint_open(struct ev_loop *loop, const struct rtcp_endpoint_options *options,
                       struct rtcp_endpoint **ret_endpoint)
{
    struct rtcp_endpoint *e;
    int status;

    if (sodium_init() < 0) {
        errno = ENOSYS;
        return BASE_E_SYSTEM;
    }
    e = calloc(1, sizeof *e);
    if (e == NULL) {
        return BASE_E_NOMEM;
    }
    rtcp_endpoint_options_default(&e->options);
    if (options != NULL) {
        e->options = *options;
    }
    status = check_options(&e->options);
    if (status == 0) {
        status = init_keys(e);
    }
    if (status == 0) {
        base_rng_init(&e->rng, e->options.seed == 0 ? random_number() : e->options.seed);
        status = init_tables(e);
    }
    if (status == 0) {
        uint64_t secret = e->options.seed == 0 ? random_number() : base_rng_next(&e->rng);

        rtcp_registry_salt(&e->registry, secret);
        rtcp_routes_salt(e, secret);
    }
    if (status < 0) {
        free(e);
        return status;
    }
    e->options.key = NULL; /* they were borrowed for this call */
    e->options.keys = NULL;
    e->incarnation = random_number(); /* never from the seed: two lives must not have the same */
    e->loop = loop;
    e->hints.fd = -1;
    if (e->options.hints) {
        rtcp_hints_open(e);
    }
    e->spare_fd = -1;
    ev_prepare_init(&e->turn, on_turn);
    e->turn.data = e;
    ev_prepare_start(loop, &e->turn);
    ev_unref(loop); /* an idle endpoint alone does not keep the loop running */
    ev_idle_init(&e->awake, on_awake);
    e->awake.data = e;
    *ret_endpoint = e;
    return 0;
}

void rtcp_endpoint_close(struct rtcp_endpoint *endpoint)
{
    base_time now = base_clock_now();

    if (endpoint == NULL) {
        return;
    }
    CHECK(!endpoint->in_turn);
    send_gathered(endpoint);
    endpoint->in_turn = true; /* no callback runs any more */
    endpoint->ready_first = NULL;
    endpoint->ready_last = NULL;
    while (endpoint->streams != NULL) {
        struct rtcp_stream *stream = endpoint->streams;

        stream->is_ready = true; /* in no list: nobody is called back any more */
        rtcp_session_close(&stream->session, now, true);
        rtcp_stream_pump(stream, now);
        rtcp_stream_free(stream);
    }
    while (endpoint->half_open_first != NULL) {
        rtcp_link_close(endpoint->half_open_first, false);
    }
    while (endpoint->listeners != NULL) {
        endpoint->listeners->is_open = false;
        rtcp_listener_free(endpoint->listeners);
    }
    rtcp_dial_leave_lookups(endpoint);
    rtcp_courier_close_all(endpoint);
    rtcp_hints_close(endpoint);
    rtcp_drain_stop(endpoint);
    if (endpoint->spare_fd >= 0) {
        close(endpoint->spare_fd);
    }
    rtcp_control_flush(endpoint); /* last words: aborts, and the confirmation of the peer's */
    rtcp_control_close(endpoint);
    rtcp_link_free_closed(endpoint);
    ev_ref(endpoint->loop);
    ev_prepare_stop(endpoint->loop, &endpoint->turn);
    ev_idle_stop(endpoint->loop, &endpoint->awake);
    rtcp_registry_deinit(&endpoint->registry);
    rtcp_routes_deinit(endpoint);
    free(endpoint);
}

void rtcp_endpoint_stats(const struct rtcp_endpoint *endpoint, struct rtcp_stats *ret_stats)
{
    *ret_stats = endpoint->stats;
    for (const struct rtcp_stream *s = endpoint->streams; s != NULL; s = s->next) {
        ret_stats->acks_stale += s->session.acks_stale;
        ret_stats->passive += s->session.is_passive ? 1 : 0;
        ret_stats->lingering += s->session.life == RTCP_LIFE_CLOSING && !s->session.is_complete ? 1 : 0;
    }
}

uint64_t rtcp_endpoint_incarnation(const struct rtcp_endpoint *endpoint)
{
    return endpoint->incarnation;
}
