/* The world of duo.h: hosts, applications, time, and the record of what happened. */
#include "tests/story/rtcp/duo.h"

#include "rtcp/base/check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TRACE_MAX   (8u << 20)
#define PREFIX      13 /* of a line of the record: the time */
#define SPINS_MAX   20000u
#define PORT_CLIENT 50001
#define PORT_SERVER 7000

/* ------------------------------------------------------------------------------------------------ the record */

char duo_letter(const struct duo_host *h)
{
    return h->who == DUO_CLIENT ? 'C' : h->who == DUO_SERVER ? 'S' : 'X';
}

void duo_note(struct duo *d, const char *format, ...)
{
    char line[240];
    va_list args;
    int n;

    if (!d->opt.is_traced || d->trace_size > TRACE_MAX) {
        return;
    }
    n = snprintf(line, sizeof line, "%12.6f ", (double)d->now / 1e9);
    va_start(args, format);
    n += vsnprintf(line + n, sizeof line - (size_t)n - 1, format, args);
    va_end(args);
    n = n < (int)sizeof line - 2 ? n : (int)sizeof line - 2;
    line[n++] = '\n';
    if (d->trace_size + (size_t)n + 1 > d->trace_room) {
        d->trace_room = d->trace_room * 2 + 65536;
        d->trace = realloc(d->trace, d->trace_room);
        CHECK(d->trace != NULL);
    }
    memcpy(d->trace + d->trace_size, line, (size_t)n);
    d->trace_size += (size_t)n;
    d->trace[d->trace_size] = 0;
}

static void on_trace(void *user, const struct base_event *e)
{
    struct duo *d = user;

    duo_note(d, "  [%llu] %s %s: %s (%s=%llu %s=%llu)", (unsigned long long)e->id, e->object, e->name,
             e->text == NULL ? "" : e->text, e->field[0].key, (unsigned long long)e->field[0].value, e->field[1].key,
             (unsigned long long)e->field[1].value);
}

void duo_mark(struct duo *d)
{
    d->trace_mark = d->trace_size;
}

/* The next line since `from` that begins with text (after its time); NULL when there is none. */
static const char *find_line(const char *from, const char *text)
{
    size_t size = strlen(text);

    while (from != NULL && *from != 0) {
        const char *line = from + PREFIX;

        if (strncmp(line, text, size) == 0 && (line[size] == '\n' || line[size] == ' ' || size == 0)) {
            return from;
        }
        from = strchr(from, '\n');
        from = from == NULL ? NULL : from + 1;
    }
    return NULL;
}

static const char *next_line(const char *line)
{
    return strchr(line, '\n') + 1;
}

unsigned duo_count(const struct duo *d, const char *text)
{
    const char *line = d->trace == NULL ? NULL : d->trace + d->trace_mark;
    unsigned count = 0;

    while ((line = find_line(line, text)) != NULL) {
        count++;
        line = next_line(line);
    }
    return count;
}

void duo_expect(struct duo *d, const char *first, ...)
{
    const char *at = d->trace == NULL ? NULL : d->trace + d->trace_mark;
    va_list args;

    va_start(args, first);
    for (const char *text = first; text != NULL; text = va_arg(args, const char *)) {
        at = find_line(at, text);
        if (at == NULL) {
            va_end(args);
            duo_fail(d, "\"%s\" did not happen, or not in this order", text);
        }
        at = next_line(at);
    }
    va_end(args);
}

_Noreturn void duo_fail(const struct duo *d, const char *format, ...)
{
    size_t tail = getenv("DUO_TAIL") == NULL ? 6000 : strtoul(getenv("DUO_TAIL"), NULL, 10);
    const char *from = d->trace == NULL ? "" : d->trace;
    va_list args;

    if (d->trace_size > tail) {
        from = d->trace + d->trace_size - tail;
    }
    fprintf(stderr, "%s\nseed %llu, at %.6f s: ", from, (unsigned long long)d->opt.seed, (double)d->now / 1e9);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < DUO_STREAMS; j++) {
            const struct duo_stream *s = d->host[i].stream[j];

            if (s != NULL) {
                fprintf(
                    stderr,
                    "%c%d life %d path %d try %d live %u attempt %u out %llu..%llu written %llu(%llu) received %llu "
                    "read %llu to_send %llu shut %d closed %d peer %d/%d wake %u closed %d %s\n",
                    duo_letter(&d->host[i]), j, s->session.life, s->session.path, s->session.trying, s->session.live,
                    s->session.attempt, (unsigned long long)s->session.out.first,
                    (unsigned long long)s->session.out.upto, (unsigned long long)s->session.written,
                    (unsigned long long)s->session.written_max, (unsigned long long)s->session.received,
                    (unsigned long long)s->read, (unsigned long long)s->to_send, s->session.shut, s->session.closed,
                    s->session.peer_shut, s->session.peer_closed, s->session.wake, s->is_closed,
                    s->is_closed ? base_status_name(s->status) : "");
            }
        }
    }
    fail();
    abort();
}

uint8_t duo_pattern(bool from_client, uint64_t offset)
{
    return (uint8_t)(((offset + 1) * 0x9e3779b97f4a7c15u + (from_client ? 0 : 0x5bd1e995u) * (offset >> 3)) >> 55);
}

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
    d->opt = *options;
    d->now = BASE_S(1000);
    d->at_server = DUO_SERVER;
    d->hook = (struct base_trace){d, options->is_traced ? on_trace : NULL};
    base_rng_init(&d->rng, options->seed);
    base_rng_init(&d->net, options->seed ^ 0xabcdef);
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

/* ------------------------------------------------------------------------------------------------ applications */

static int64_t append(struct duo_stream *s, size_t size)
{
    struct duo *d = s->host->duo;
    struct rtcp_session *session = &s->session;
    uint8_t bytes[2000];
    struct base_span room = {bytes, sizeof bytes};
    bool in_place = base_rng_below(&d->rng, 2) == 0;
    int status;

    if (in_place) {
        status = rtcp_session_reserve(session, d->now, &room);
        if (status < 0) {
            return status;
        }
    }
    size = size < room.size ? size : room.size;
    for (size_t i = 0; i < size; i++) {
        room.data[i] = duo_pattern(session->opt.is_client, session->out.upto + i);
    }
    if (!in_place) {
        return rtcp_session_append(session, d->now, (struct base_bytes){bytes, size});
    }
    status = rtcp_session_commit(session, d->now, size);
    return status < 0 ? status : (int64_t)size;
}

static bool app_write(struct duo_stream *s)
{
    bool did = false;

    while (s->to_send > 0) {
        size_t size = 1 + (size_t)base_rng_below(&s->host->duo->rng, 2000);
        int64_t n = append(s, size < s->to_send ? size : (size_t)s->to_send);

        duo_pump(s);
        if (n == BASE_E_CLOSED) {
            s->to_send = 0; /* the peer reads no more: an application gives up */
        }
        if (n <= 0) {
            break;
        }
        s->to_send -= (uint64_t)n;
        did = true;
    }
    if (s->to_send == 0 && s->shut_after && !s->session.shut) {
        (void)duo_shutdown(s);
        did = true;
    }
    if (s->to_send == 0 && s->close_after && !s->session.closed) {
        duo_finish(s, false);
        did = true;
    }
    return did;
}

static void app_took(struct duo_stream *s, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != duo_pattern(!s->session.opt.is_client, s->read + i)) {
            duo_fail(s->host->duo, "%c's application reads a wrong byte at offset %llu", duo_letter(s->host),
                     (unsigned long long)(s->read + i));
        }
    }
    s->read += size;
}

static void app_saw_end(struct duo_stream *s)
{
    const struct duo_stream *p = duo_peer(s);

    s->saw_end = true;
    duo_note(s->host->duo, "%c reads the end", duo_letter(s->host));
    if (p == NULL || !p->session.shut || p->session.out.upto != s->read) {
        duo_fail(s->host->duo, "%c reads an end that nobody made (P5)", duo_letter(s->host));
    }
}

static bool app_read(struct duo_stream *s)
{
    struct duo *d = s->host->duo;
    size_t budget = s->slow_at == BASE_NEVER ? SIZE_MAX : s->slow_bytes;
    bool did = false;

    if (!s->is_reading || s->saw_end || s->session.closed || (s->slow_at != BASE_NEVER && s->slow_at > d->now)) {
        return false;
    }
    while (budget > 0) {
        uint8_t bytes[1500];
        size_t size = 1 + (size_t)base_rng_below(&d->rng, sizeof bytes);
        int64_t n = duo_recv(s, bytes, size < budget ? size : budget);

        if (n == 0) {
            app_saw_end(s);
            did = true;
        }
        if (n <= 0) {
            break;
        }
        app_took(s, bytes, (size_t)n);
        budget -= (size_t)n;
        did = true;
    }
    if (s->slow_at != BASE_NEVER) {
        s->slow_at = d->now + s->slow_every;
    }
    return did;
}

static bool app_turn(struct duo_stream *s)
{
    bool did = false;

    if (s == NULL || !s->is_used || s->host->is_paused) {
        return false;
    }
    if (!s->is_closed && (s->is_accepted || s->session.opt.is_client)) {
        did = app_write(s);
        did = app_read(s) || did;
        if (s->saw_end && s->close_at_end && s->to_send == 0 && !s->session.closed) {
            duo_finish(s, false);
            did = true;
        }
    }
    duo_pump(s);
    return did;
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
                did = app_turn(d->host[i].stream[j]) || did;
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

/* ------------------------------------------------------------------------------------------------ stories */

struct duo_stream *duo_client(struct duo *d)
{
    return d->host[DUO_CLIENT].stream[0];
}

struct duo_stream *duo_server(struct duo *d)
{
    struct duo_stream *s = duo_peer(duo_client(d));

    return s != NULL && !s->is_killed ? s : NULL;
}

void duo_pair(struct duo *d, const struct duo_options *options)
{
    duo_open(d, options);
    (void)duo_connect(d);
    DUO_TRUE(d, duo_until(d, duo_is_confirmed, BASE_S(5)));
    duo_mark(d);
}

void duo_deliver(struct duo *d, base_time limit)
{
    if (!duo_until(d, duo_is_delivered, limit)) {
        duo_fail(d, "not delivered in time");
    }
}

void duo_end(struct duo *d)
{
    struct duo_stream *c = duo_client(d);
    struct duo_stream *s = duo_server(d);

    if (s == NULL) {
        duo_fail(d, "there is no other half to close");
    }
    c->is_reading = s->is_reading = true;
    c->close_at_end = s->close_at_end = true;
    (void)duo_shutdown(c);
    (void)duo_shutdown(s);
    if (!duo_until(d, duo_is_over, BASE_S(60)) || c->status != 0 || s->status != 0) {
        duo_fail(d, "both closed, and that was not the end");
    }
    duo_close(d);
}

void duo_forge(struct duo *d, int way, struct rtcp_wire_control *c, bool is_authentic)
{
    const struct rtcp_session *from = way == 0 ? &duo_client(d)->session : &duo_server(d)->session;
    bool has_final = c->type == RTCP_WIRE_HALF_CLOSE || c->type == RTCP_WIRE_CLOSE;
    bool has_received =
        has_final || c->type == RTCP_WIRE_ACK || c->type == RTCP_WIRE_REQACK || c->type == RTCP_WIRE_PROBE_REPLY;
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX];
    size_t size;

    c->id = from->peer_id;
    size = rtcp_wire_put_control(bytes, c);
    rtcp_auth_control(bytes + size, way == 0 ? from->keys.control_up : from->keys.control_down,
                      (struct base_bytes){bytes, size}, has_received ? c->received : 0, has_final ? c->final : 0);
    if (!is_authentic) {
        bytes[size] ^= 1;
    }
    duo_datagram(d, &d->host[way].address, &d->host[1 - way].address, bytes, size + RTCP_WIRE_CONTROL_TAG);
}

/* ------------------------------------------------------------------------------------------------ conditions */

bool duo_is_delivered(struct duo *d)
{
    for (int i = 0; i < DUO_STREAMS; i++) {
        const struct duo_stream *s = d->host[DUO_CLIENT].stream[i];
        const struct duo_stream *p = s == NULL ? NULL : duo_peer(s);

        if (s == NULL) {
            continue;
        }
        if (p == NULL || s->to_send > 0 || p->to_send > 0 || p->read != s->session.out.upto ||
            s->read != p->session.out.upto) {
            return false;
        }
    }
    return true;
}

bool duo_is_over(struct duo *d)
{
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < DUO_STREAMS; j++) {
            const struct duo_stream *s = d->host[i].stream[j];

            if (s != NULL && !s->is_closed) {
                return false;
            }
        }
    }
    return true;
}

bool duo_is_attached(struct duo *d)
{
    const struct duo_stream *s = d->host[DUO_CLIENT].stream[0];

    return s != NULL && s->session.path == RTCP_PATH_ATTACHED && s->session.trying == RTCP_TRY_REST &&
           duo_peer(s) != NULL && duo_peer(s)->session.live == s->session.live;
}

bool duo_is_detached(struct duo *d)
{
    const struct duo_stream *s = d->host[DUO_CLIENT].stream[0];

    return s != NULL && s->session.path == RTCP_PATH_DETACHED;
}

bool duo_is_confirmed(struct duo *d)
{
    const struct duo_stream *s = d->host[DUO_CLIENT].stream[0];

    return s != NULL && s->session.is_confirmed && duo_peer(s) != NULL && duo_peer(s)->session.is_confirmed;
}

bool duo_is_accepted(struct duo *d)
{
    const struct duo_stream *s = duo_accepted(d);

    return s != NULL && s->is_accepted;
}
