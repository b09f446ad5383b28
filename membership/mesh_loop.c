/* See mesh_loop.h: opening and closing, when to dial, sending, paths. How links come up is in meet_loop.c. */
#include "membership/mesh_loop.h"

#include "membership/mesh_inside_loop.h"
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"

#include <sodium.h>
#include <stdio.h>

#define DIAL_FIRST  BASE_MS(50)
#define DIAL_MAX    BASE_S(2)
#define SILENT_MAX  BASE_S(3) /* a path that answered no probe for so long does not work */
#define LOOK_EVERY  BASE_MS(500)
#define KNOCK_AFTER BASE_S(2)
#define STREAMS_MAX 1024

_Static_assert(MESSAGE_BEAT_SIZE == RTCP_PROBE_DATA_SIZE, "a beat is what a probe carries");
_Static_assert(MESH_SERVICE_SIZE <= RTCP_NAME_MAX, "a service name must fit");
_Static_assert(SILENT_MAX > 2 * MESH_IDLE_PROBE, "one lost probe is no broken path");

/* ---------------------------------------------------------------------------------------------------- small things */

struct mesh_peer *mesh_find(struct mesh *m, uint32_t id)
{
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->peer[i].id == id) {
            return &m->peer[i];
        }
    }
    return NULL;
}

void mesh_tell(const struct mesh *m, uint32_t id, const char *name, const char *text, uint64_t value)
{
    struct base_event event = {.at = base_clock_now(), .object = "mesh", .id = id, .name = name, .text = text};

    event.field[0].key = "value";
    event.field[0].value = value;
    base_trace_emit(&m->trace, &event);
}

void mesh_service_name(const struct mesh *m, uint32_t id, char at[MESH_SERVICE_SIZE])
{
    (void)snprintf(at, MESH_SERVICE_SIZE, "%s/%u", m->name, (unsigned)id);
}

/* ---------------------------------------------------------------------------------------------------- time */

static void arm(struct mesh *m)
{
    base_time now = base_clock_now();
    base_time at = m->look_at;

    for (uint32_t i = 0; i < m->count; i++) {
        at = base_time_min(at, m->peer[i].dial_at);
    }
    ev_timer_stop(m->loop, &m->timer);
    if (!m->is_silent) {
        ev_now_update(m->loop);
        ev_timer_set(&m->timer, (double)base_time_since(at, now) / 1e9, 0.);
        ev_timer_start(m->loop, &m->timer);
    }
}

/* 50 ms doubling to 2 s, with jitter downward only; at least `least` before it. */
void mesh_dial_later(struct mesh *m, struct mesh_peer *p, base_time least)
{
    unsigned doublings = p->failures < 6 ? p->failures : 6;
    base_time pause = base_time_max(base_time_min(DIAL_FIRST << doublings, DIAL_MAX), least);

    if (p->id < m->self->id || m->is_silent) {
        return; /* the lower id dials */
    }
    p->failures++;
    pause -= base_rng_below(&m->rng, pause / 4);
    p->dial_at = base_time_add(base_clock_now(), pause);
    arm(m);
}

static base_time silence_of(const struct mesh_peer *p)
{
    struct rtcp_info info;

    if (p->current.lane[LANE_VOTES] == NULL || p->current.lane[LANE_VOTES]->stream == NULL) {
        return BASE_NEVER;
    }
    rtcp_info(p->current.lane[LANE_VOTES]->stream, &info);
    return info.silent;
}

/* Tells whether the path works, when that has changed. */
void mesh_look(struct mesh *m, struct mesh_peer *p)
{
    const struct link *link = &p->current;
    bool has_path = link->pair.state == PAIR_UP && link->lane[LANE_VOTES]->is_attached &&
                    link->lane[LANE_BULK]->is_attached && silence_of(p) < SILENT_MAX;

    if (link->lane[LANE_VOTES] != NULL) {
        link->lane[LANE_VOTES]->is_cut = !has_path; /* also of a new link that was cut before it was seen */
    }
    if (has_path != p->has_path) {
        p->has_path = has_path;
        p->paths += has_path ? 1 : 0;
        m->callbacks.on_path(m->user, p->id, has_path);
        m->callbacks.on_room(m->user);
    }
}

/* A founder that is not dialled finds out whether it is the one that is wrong. */
static void knock(struct mesh *m, struct mesh_peer *p, base_time now)
{
    bool is_alone = p->current.pair.state == PAIR_IDLE && p->next.pair.state == PAIR_IDLE;

    if (p->id < m->self->id && m->self->instance == 0 && is_alone && p->knock.pair.state == PAIR_IDLE &&
        now >= p->knock_at) {
        mesh_meet_knock(m, p);
    }
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct mesh *m = w->data;
    base_time now = base_clock_now();

    (void)loop;
    (void)events;
    if (now >= m->look_at) {
        m->look_at = base_time_add(now, LOOK_EVERY);
        for (uint32_t i = 0; i < m->count; i++) {
            mesh_look(m, &m->peer[i]);
            knock(m, &m->peer[i], now);
        }
    }
    for (uint32_t i = 0; i < m->count && !m->is_silent; i++) {
        if (now >= m->peer[i].dial_at) {
            mesh_meet_dial(m, &m->peer[i]);
        }
    }
    arm(m);
}

/* ---------------------------------------------------------------------------------------------------- opening */

static int open_endpoint(struct mesh *m, const struct mesh_options *o)
{
    struct rtcp_endpoint_options endpoint;
    struct rtcp_listen_options listen;
    char service[MESH_SERVICE_SIZE];
    int status;

    rtcp_endpoint_options_default(&endpoint);
    endpoint.streams_max = STREAMS_MAX;
    endpoint.key = o->key;
    endpoint.key_size = o->key_size;
    endpoint.seed = o->seed;
    endpoint.trace = o->trace;
    status = rtcp_endpoint_open(m->loop, &endpoint, &m->endpoint);
    if (status != 0) {
        return status;
    }
    rtcp_listen_options_default(&listen);
    mesh_service_name(m, m->self->id, service);
    listen.service = service;
    listen.stream.ring = MESH_BULK_RING;
    listen.stream.idle_probe = MESH_IDLE_PROBE;
    listen.stream.linger_max = MESH_LINGER_MAX;
    return rtcp_listen(m->endpoint, o->listen, &listen, mesh_meet_accept, m, &m->listener);
}

static void take_members(struct mesh *m, const struct mesh_options *o)
{
    base_time now = base_clock_now();

    for (uint32_t i = 0; i < o->count; i++) {
        struct mesh_peer *p = &m->peer[m->count];

        if (o->member[i].id != o->self->id) {
            p->id = o->member[i].id;
            base_copy(p->address, o->member[i].address, strlen(o->member[i].address));
            p->dial_at = p->id > o->self->id ? now : BASE_NEVER;
            p->knock_at = base_time_add(now, KNOCK_AFTER);
            m->count++;
        }
    }
}

int mesh_open(struct ev_loop *loop, const struct mesh_options *o, const struct mesh_callbacks *callbacks, void *user,
              struct mesh **ret_mesh)
{
    struct mesh *m = base_memory_new(o->memory, 1, sizeof *m);
    uint64_t seed = o->seed;
    int status;

    if (m == NULL) {
        return BASE_E_NOMEM;
    }
    if (seed == 0) {
        randombytes_buf(&seed, sizeof seed);
    }
    m->loop = loop;
    m->memory = o->memory;
    m->callbacks = *callbacks;
    m->user = user;
    m->self = o->self;
    m->trace = o->trace;
    base_rng_init(&m->rng, seed ^ o->self->life); /* two processes with one seed draw different nonces */
    base_copy(m->name, o->name, strlen(o->name));
    take_members(m, o);
    ev_timer_init(&m->timer, on_timer, 0., 0.);
    m->timer.data = m;
    status = open_endpoint(m, o);
    if (status != 0) {
        mesh_close(m);
        return status;
    }
    m->look_at = base_time_add(base_clock_now(), LOOK_EVERY);
    arm(m);
    *ret_mesh = m;
    return 0;
}

void mesh_close(struct mesh *m)
{
    if (m == NULL) {
        return;
    }
    ev_timer_stop(m->loop, &m->timer);
    if (m->endpoint != NULL) {
        rtcp_endpoint_close(m->endpoint);
    }
    while (m->lanes != NULL) {
        struct lane *lane = m->lanes;

        m->lanes = lane->next;
        base_memory_free(m->memory, lane->owner);
        lane_free(lane);
    }
    base_memory_free(m->memory, m);
}

void mesh_silence(struct mesh *m)
{
    m->is_silent = true;
    arm(m);
    for (uint32_t i = 0; i < m->count; i++) {
        mesh_meet_end(m, &m->peer[i], &m->peer[i].knock, RTCP_LINGER_ABORT);
        mesh_meet_end(m, &m->peer[i], &m->peer[i].next, RTCP_LINGER_BACKGROUND);
        mesh_meet_end(m, &m->peer[i], &m->peer[i].current, RTCP_LINGER_BACKGROUND);
    }
    rtcp_listener_close(m->listener);
    m->listener = NULL;
}

/* ---------------------------------------------------------------------------------------------------- use */

void mesh_turn(struct mesh *m)
{
    for (uint32_t i = 0; i < m->count; i++) {
        for (unsigned kind = 0; kind < LANE_COUNT; kind++) {
            if (m->peer[i].current.lane[kind] != NULL) {
                lane_turn(m->peer[i].current.lane[kind]);
            }
        }
    }
}

void mesh_read_bulk(struct mesh *m, uint32_t id)
{
    struct mesh_peer *p = mesh_find(m, id);

    if (p == NULL || p->current.pair.state != PAIR_UP || p->is_read) {
        return;
    }
    p->is_read = true;
    lane_release(p->current.lane[LANE_BULK]);
    /* Also without a beat: the probe that it asks for teaches both sides the way of datagrams at once, so that a leader
     * that closes early can still say so (R25). */
    rtcp_set_probe_data(p->current.lane[LANE_VOTES]->stream, m->beat);
    m->callbacks.on_room(m->user);
}

void mesh_hold_bulk(struct mesh *m, uint32_t id, bool is_held)
{
    struct mesh_peer *p = mesh_find(m, id);

    if (p == NULL || !p->is_read) {
        return;
    }
    if (is_held) {
        lane_hold(p->current.lane[LANE_BULK]);
    } else {
        lane_release(p->current.lane[LANE_BULK]);
    }
}

static struct lane *lane_to(struct mesh *m, uint32_t id, enum message_lane kind)
{
    struct mesh_peer *p = mesh_find(m, id);

    return p == NULL || p->current.pair.state != PAIR_UP ? NULL : p->current.lane[kind];
}

bool mesh_room(struct mesh *m, uint32_t id, enum message_lane kind, size_t *ret_body)
{
    struct lane *lane = lane_to(m, id, kind);

    return lane != NULL && lane_room(lane, ret_body);
}

void mesh_send_order(struct mesh *m, uint32_t id, const struct message *message)
{
    struct lane *lane = lane_to(m, id, message_lane(message->kind));

    CHECK(lane != NULL);
    lane_send_order(lane, message);
}

void mesh_send_founding(struct mesh *m, uint32_t id, const struct found_message *message)
{
    struct wire_head head = {.what = WIRE_IS_FOUNDING, .founding = *message};
    struct lane *lane = lane_to(m, id, LANE_VOTES);
    size_t body;

    if (lane != NULL && lane_room(lane, &body)) {
        lane_send(lane, &head);
    }
}

void mesh_judge_again(struct mesh *m)
{
    for (uint32_t i = 0; i < m->self->count; i++) {
        struct mesh_peer *p = mesh_find(m, m->self->member[i]);

        if (p != NULL && p->current.pair.state == PAIR_UP && p->current.pair.incarnation != m->self->expected[i]) {
            mesh_meet_refuse(m, p, &p->current, HELLO_BAD_INCARNATION);
        }
    }
}

void mesh_set_beat(struct mesh *m, const uint8_t beat[MESSAGE_BEAT_SIZE])
{
    base_copy(m->beat, beat, MESSAGE_BEAT_SIZE);
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->peer[i].is_read && m->peer[i].current.lane[LANE_VOTES]->stream != NULL) {
            rtcp_set_probe_data(m->peer[i].current.lane[LANE_VOTES]->stream, beat);
        }
    }
}

void mesh_stats(const struct mesh *m, uint32_t id, struct mesh_member_stats *ret_stats)
{
    const struct mesh_peer *p = mesh_find((struct mesh *)m, id);

    *ret_stats = (struct mesh_member_stats){.silent = BASE_NEVER};
    if (p == NULL) {
        return;
    }
    ret_stats->path_up = p->has_path;
    ret_stats->paths = p->paths;
    ret_stats->silent = silence_of(p);
    for (unsigned kind = 0; kind < LANE_COUNT; kind++) {
        const struct lane *lane = p->current.lane[kind];
        struct rtcp_info info;

        if (lane != NULL && lane->stream != NULL) {
            rtcp_info(lane->stream, &info);
            ret_stats->unacknowledged += info.unacknowledged;
        }
    }
}
