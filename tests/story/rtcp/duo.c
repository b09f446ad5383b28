/* The world of duo.h: hosts and their lives, streams, time. */
#include "tests/story/rtcp/duo.h"

#include "rtcp/base/check.h"

#include <stdlib.h>

#define SPINS_MAX   20000u
#define PORT_CLIENT 50001
#define PORT_SERVER 7000

/* ------------------------------------------------------------------------------------------------ hosts */

void duo_start(struct duo *d, enum duo_who who)
{
    struct duo_host *h = &d->host[who];
    const char *key = d->opt.key[who == DUO_CLIENT ? 0 : 1];

    CHECK(!h->is_alive);
    h->is_alive = true;
    h->is_paused = false;
    h->is_listening = who != DUO_CLIENT;
    h->incarnation = base_rng_next(&d->rng) | 1;
    h->lives++;
    rtcp_auth_shared_init(&h->shared, (struct base_bytes){(const uint8_t *)key, key == NULL ? 0 : strlen(key)}, 7);
    CHECK(rtcp_registry_init(&h->registry, base_memory_libc(), 64, (uint32_t)base_rng_next(&d->rng)) == 0);
    base_zero(h->route, sizeof h->route);
}

void duo_kill(struct duo *d, enum duo_who who)
{
    struct duo_host *h = &d->host[who];

    CHECK(h->is_alive);
    duo_note(d, "%c killed", duo_letter(h));
    for (int i = 0; i < DUO_STREAMS; i++) {
        struct duo_stream *s = h->stream[i];

        if (s != NULL && h->buried_count < DUO_STREAMS) {
            h->buried[h->buried_count++] = s;
        } else if (s != NULL) {
            duo_fail(d, "too many lives");
        }
        if (s != NULL) {
            s->is_used = false;
            s->is_killed = true;
            rtcp_session_deinit(&s->session);
            s->live = s->trying = NULL;
        }
        h->stream[i] = NULL;
    }
    for (struct duo_conn *c = d->conn; c != NULL; c = c->next) {
        for (int side = 0; side < 2; side++) {
            if (c->end[side].host == h) {
                duo_net_close(&c->end[side], false);
            }
        }
    }
    rtcp_registry_deinit(&h->registry);
    h->is_alive = false;
}

void duo_pause(struct duo *d, enum duo_who who, bool is_paused)
{
    d->host[who].is_paused = is_paused;
    if (!is_paused) {
        duo_net_release(d);
    }
    duo_note(d, "%c %s", duo_letter(&d->host[who]), is_paused ? "paused" : "goes on");
}

void duo_move_client(struct duo *d, uint16_t port)
{
    d->host[DUO_CLIENT].address.port = port;
}

/* ------------------------------------------------------------------------------------------------ the world */

void duo_options_default(struct duo_options *o)
{
    base_zero(o, sizeof *o);
    o->seed = 1;
    o->ring[0] = o->ring[1] = 4096;
    o->idle_probe = RTCP_PROBE_IDLE;
    o->linger_max = RTCP_LINGER_MAX;
    o->kernel = 2048;
    o->packet = 700;
    o->delay = BASE_US(200);
    o->is_traced = true;
}

void duo_open(struct duo *d, const struct duo_options *options)
{
    static const char *const service[DUO_HOSTS] = {"client", "server", "stranger"};

    base_zero(d, sizeof *d);
    if (options == NULL) {
        duo_options_default(&d->opt);
    } else {
        d->opt = *options;
    }
    d->now = BASE_S(1000);
    d->at_server = DUO_SERVER;
    d->hook = (struct base_trace){d, d->opt.is_traced ? duo_record_event : NULL};
    base_rng_init(&d->rng, d->opt.seed);
    base_rng_init(&d->net, d->opt.seed ^ 0xabcdef);
    for (int i = 0; i < DUO_HOSTS; i++) {
        struct duo_host *h = &d->host[i];

        h->duo = d;
        h->who = (enum duo_who)i;
        h->name = rtcp_auth_name((struct base_bytes){(const uint8_t *)service[i], strlen(service[i])});
        h->address = (struct rtcp_address){.family = 4, .ip = {10, 0, 0, (uint8_t)(i + 1)}};
        h->address.port = i == DUO_CLIENT ? PORT_CLIENT : PORT_SERVER;
        if (i != DUO_STRANGER) {
            duo_start(d, (enum duo_who)i);
        }
    }
}

void duo_close(struct duo *d)
{
    for (int i = 0; i < DUO_HOSTS; i++) {
        struct duo_host *h = &d->host[i];

        for (int j = 0; j < DUO_STREAMS; j++) {
            if (h->stream[j] != NULL) {
                duo_stream_free(h->stream[j]);
            }
        }
        for (unsigned j = 0; j < h->buried_count; j++) {
            duo_stream_free(h->buried[j]);
        }
        if (h->is_alive) {
            rtcp_registry_deinit(&h->registry);
        }
    }
    while (d->conn != NULL) {
        struct duo_conn *c = d->conn;

        d->conn = c->next;
        free(c->flow[0].ring);
        free(c->flow[1].ring);
        free(c);
    }
    while (d->event != NULL) {
        struct duo_event *e = d->event;

        d->event = e->next;
        free(e);
    }
    free(d->trace);
    d->trace = NULL;
}

struct duo_stream *duo_connect(struct duo *d)
{
    struct duo_host *h = &d->host[DUO_CLIENT];
    struct duo_stream *s = duo_stream_new(h);
    struct rtcp_session_options o;

    duo_stream_options(h, &o);
    o.is_client = true;
    o.retry_refused = d->opt.retry_refused;
    o.may_send_early = !d->opt.no_early_data && (d->opt.key[0] == NULL || d->opt.early_data_with_key);
    CHECK(rtcp_session_open(&s->session, &o, d->now) == 0);
    CHECK(rtcp_registry_add(&h->registry, &s->session) == 0);
    s->is_used = true;
    s->read = o.first_offset;
    duo_pump(s);
    return s;
}

struct duo_stream *duo_accepted(struct duo *d)
{
    struct duo_stream *newest = NULL;

    for (int i = 0; i < DUO_STREAMS; i++) {
        if (d->host[DUO_SERVER].stream[i] != NULL) {
            newest = d->host[DUO_SERVER].stream[i];
        }
    }
    return newest;
}

void duo_send(struct duo_stream *s, uint64_t size)
{
    s->to_send += size;
}

int duo_shutdown(struct duo_stream *s)
{
    int status = rtcp_session_shutdown(&s->session, s->host->duo->now);

    duo_pump(s);
    return status;
}

void duo_finish(struct duo_stream *s, bool is_abort)
{
    rtcp_session_close(&s->session, s->host->duo->now, is_abort);
    duo_pump(s);
}

/* ------------------------------------------------------------------------------------------------ time */

static void settle(struct duo *d)
{
    bool did = true;

    for (unsigned rounds = 0; did; rounds++) {
        did = false;
        if (rounds > 10000) {
            duo_fail(d, "the drivers do not come to rest");
        }
        for (int i = 0; i < 2; i++) {
            for (int j = 0; j < DUO_STREAMS; j++) {
                did = duo_app_turn(d->host[i].stream[j]) || did;
            }
        }
        for (struct duo_conn *c = d->conn; c != NULL; c = c->next) {
            int first = (int)base_rng_below(&d->rng, 2);

            did = duo_link_turn(&c->end[first]) || did;
            did = duo_link_turn(&c->end[1 - first]) || did;
        }
    }
    duo_check(d);
}

static bool is_going_to_read(const struct duo_stream *s)
{
    return s->is_reading && !s->saw_end && !s->is_closed && !s->session.closed;
}

static base_time next_time(const struct duo *d)
{
    base_time at = d->event == NULL ? BASE_NEVER : d->event->at;

    for (int i = 0; i < 2; i++) {
        const struct duo_host *h = &d->host[i];

        for (int j = 0; j < DUO_STREAMS && h->is_alive && !h->is_paused; j++) {
            const struct duo_stream *s = h->stream[j];

            if (s != NULL && s->is_used) {
                at = base_time_min(at, rtcp_session_deadline(&s->session));
                at = base_time_min(at, is_going_to_read(s) ? s->slow_at : BASE_NEVER);
            }
        }
    }
    for (const struct duo_conn *c = d->conn; c != NULL; c = c->next) {
        const struct duo_link *l = &c->end[1];

        if (l->state != DUO_LINK_CLOSED && l->host != NULL && !l->host->is_paused) {
            at = base_time_min(at, l->deadline);
        }
    }
    return at;
}

static void take_event(struct duo *d)
{
    struct duo_event *e = d->event;

    d->event = e->next;
    if (e->kind != DUO_EVENT_FROZEN) {
        duo_net_event(d, e);
    } else if (e->conn != NULL && e->conn->end[e->side].stream != NULL) {
        duo_link_frozen(e->conn->end[e->side].stream, e->attempt);
    }
    free(e);
}

static void expire_all(struct duo *d)
{
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < DUO_STREAMS; j++) {
            struct duo_stream *s = d->host[i].stream[j];

            if (s != NULL && s->is_used && !s->host->is_paused) {
                duo_expire(s);
            }
        }
    }
}

bool duo_step(struct duo *d, base_time until)
{
    base_time at;

    settle(d);
    at = next_time(d);
    if (at > until) {
        d->now = base_time_max(d->now, until);
        return false;
    }
    d->steps++;
    if (at > d->now) {
        d->now = at;
        d->stood = 0;
    } else if (++d->stood > SPINS_MAX) {
        duo_fail(d, "time stands still: a deadline in the past is never served");
    }
    if (d->event != NULL && d->event->at <= d->now) {
        take_event(d);
    } else {
        expire_all(d);
    }
    settle(d);
    return true;
}

void duo_run(struct duo *d, base_time span)
{
    base_time until = d->now + span;

    while (duo_step(d, until)) {
    }
}

bool duo_until(struct duo *d, bool (*is_done)(struct duo *d), base_time limit)
{
    base_time until = d->now + limit;

    settle(d);
    while (!is_done(d)) {
        if (!duo_step(d, until)) {
            return is_done(d);
        }
    }
    return true;
}
