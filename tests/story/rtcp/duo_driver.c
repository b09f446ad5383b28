/* The driver's half of duo.h: performs effects and moves bytes as link_loop.c, stream_loop.c, listener_loop.c and
 * control_loop.c do, over the simulated network. Decisions are the session's; a difference from those files is a bug
 * here.
 */
#include "tests/story/rtcp/duo.h"

#include "rtcp/base/check.h"

#include <stdlib.h>

static const char *const effect_name[] = {
    [RTCP_EFFECT_CONNECT] = "CONNECT",   [RTCP_EFFECT_GREET] = "GREET",           [RTCP_EFFECT_FREEZE] = "FREEZE",
    [RTCP_EFFECT_THAW] = "THAW",         [RTCP_EFFECT_ATTACH] = "ATTACH",         [RTCP_EFFECT_DROP] = "DROP",
    [RTCP_EFFECT_MESSAGE] = "MESSAGE",   [RTCP_EFFECT_PROBE_TO] = "PROBE_TO",     [RTCP_EFFECT_ACCEPTED] = "ACCEPTED",
    [RTCP_EFFECT_LINK] = "LINK",         [RTCP_EFFECT_READABLE] = "READABLE",     [RTCP_EFFECT_WRITABLE] = "WRITABLE",
    [RTCP_EFFECT_EVIDENCE] = "EVIDENCE", [RTCP_EFFECT_PROBE_DATA] = "PROBE_DATA", [RTCP_EFFECT_PEER_GONE] = "PEER_GONE",
    [RTCP_EFFECT_CLOSED] = "CLOSED",     [RTCP_EFFECT_COURIER] = "COURIER",
};

static const char *const message_name[] = {"?",    "ACK",   "REQACK",      "HALF_CLOSE", "CLOSE",   "RESET",
                                           "CONF", "PROBE", "PROBE_REPLY", "WAKE",       "UNKNOWN", "PASSIVE"};

/* ------------------------------------------------------------------------------------------------ streams */

struct duo_stream *duo_stream_new(struct duo_host *h)
{
    struct duo_stream *s = calloc(1, sizeof *s);

    CHECK(s != NULL);
    for (int i = 0; i < DUO_STREAMS; i++) {
        if (h->stream[i] == NULL) {
            h->stream[i] = s;
            s->host = h;
            s->is_reading = true;
            s->slow_bytes = SIZE_MAX;
            s->slow_at = BASE_NEVER;
            return s;
        }
    }
    duo_fail(h->duo, "too many streams on one host");
}

void duo_stream_free(struct duo_stream *s)
{
    rtcp_session_deinit(&s->session);
    free(s->waiting);
    free(s);
}

static int plain_take(void *user, size_t size, struct base_ringmem *ret)
{
    (void)user;
    *ret = (struct base_ringmem){.at = malloc(size), .size = size, .handle = -1};
    return ret->at == NULL ? BASE_E_NOMEM : 0;
}

static void plain_give(void *user, struct base_ringmem *ring)
{
    (void)user;
    free(ring->at);
    ring->at = NULL;
}

static const struct base_ringmem_source plain = {NULL, plain_take, plain_give};

void duo_stream_options(struct duo_host *h, struct rtcp_session_options *o)
{
    struct duo *d = h->duo;

    base_zero(o, sizeof *o);
    o->ring = d->opt.ring[h->who == DUO_CLIENT ? 0 : 1];
    o->idle_probe = d->opt.idle_probe;
    o->linger_max = d->opt.linger_max;
    o->orphan_max = d->opt.orphan_max == 0 ? BASE_NEVER : d->opt.orphan_max;
    o->idle_passivate = d->opt.idle_passivate == 0 ? BASE_NEVER : d->opt.idle_passivate;
    o->incarnation = h->incarnation;
    o->id = rtcp_registry_next_id(&h->registry);
    o->seed = base_rng_next(&d->rng);
    o->first_offset = d->opt.first_offset;
    o->shared = &h->shared;
    o->ring_source = &plain;
    o->trace = &d->hook;
    base_put64(o->nonce, base_rng_next(&d->rng));
    base_put64(o->nonce + 8, base_rng_next(&d->rng));
}

static struct rtcp_route *route_of(struct duo_host *h, uint64_t incarnation)
{
    for (int i = 0; i < DUO_ROUTES; i++) {
        struct rtcp_route *r = &h->route[i];

        if (r->users > 0 && r->peer_incarnation == incarnation) {
            r->users++;
            return r;
        }
    }
    for (int i = 0; i < DUO_ROUTES; i++) {
        struct rtcp_route *r = &h->route[i];

        if (r->users == 0) {
            rtcp_route_init(r, incarnation, h->duo->now);
            r->users = 1;
            return r;
        }
    }
    duo_fail(h->duo, "too many routes");
}

/* ------------------------------------------------------------------------------------------------ effects */

void duo_link_frozen(struct duo_stream *s, uint32_t attempt)
{
    if (s->is_used) {
        duo_link_freeze(s, attempt);
        duo_pump(s);
    }
}

static void perform_freeze(struct duo_stream *s, uint32_t attempt)
{
    struct duo *d = s->host->duo;

    if (s->host->freeze_delay == 0) {
        duo_link_freeze(s, attempt);
    } else {
        struct duo_event *e = duo_net_schedule(d, d->now + s->host->freeze_delay, DUO_EVENT_FROZEN);

        e->conn = s->live == NULL ? NULL : s->live->conn;
        e->side = s->session.opt.is_client ? 0 : 1;
        e->attempt = attempt;
    }
}

static struct duo_link *link_of(struct duo_stream *s, uint32_t attempt)
{
    if (s->trying != NULL && s->trying->attempt == attempt) {
        return s->trying;
    }
    return s->live != NULL && s->live->attempt == attempt ? s->live : NULL;
}

static void perform_greet(struct duo_stream *s, struct rtcp_effect *e)
{
    struct duo_link *l = link_of(s, e->attempt);

    if (l == NULL) {
        return;
    }
    rtcp_session_sign(&s->session, e, s->host->address.port);
    base_copy(l->out, e->bytes, e->size);
    l->out_size = e->size;
    l->out_sent = 0;
    l->early_left = e->early;
    if (l->state == DUO_LINK_CONNECTING) {
        l->state = DUO_LINK_WAITING;
    } else if (l->confirm_in > 0 && l->early_in == 0) {
        l->state = DUO_LINK_PROVING;
        l->in_size = 0;
    }
    (void)duo_link_flush(l);
}

static void perform_attach(struct duo_stream *s, const struct rtcp_effect *e)
{
    struct duo_link *l = link_of(s, e->attempt);
    struct rtcp_address told;
    struct rtcp_route *route;

    if (l == NULL) {
        return;
    }
    CHECK(s->live == NULL || s->live == l);
    s->live = l;
    if (s->trying == l) {
        s->trying = NULL;
    }
    if (s->session.route != NULL && s->session.route->peer_incarnation != s->session.peer_incarnation) {
        s->session.route->users--;
        s->session.route = NULL;
    }
    route = s->session.route != NULL ? s->session.route : route_of(s->host, s->session.peer_incarnation);
    told = s->host->duo->host[s->session.opt.is_client ? DUO_SERVER : DUO_CLIENT].address;
    told.port = s->session.peer_udp_port;
    rtcp_route_told(route, &told, s->session.opt.is_client);
    rtcp_session_routed(&s->session, s->host->duo->now, route);
    if (s->session.opt.is_client && route->is_new) {
        route->is_new = false;
        rtcp_session_ask(&s->session, s->host->duo->now, true);
    }
    l->state = DUO_LINK_STREAM;
    l->deadline = BASE_NEVER;
    if (e->size > 0) {
        base_copy(l->confirm, e->bytes, sizeof l->confirm);
        l->confirm_pending = true;
    } else if (s->session.opt.is_client) {
        l->early_left = 0;
    }
}

static void perform_drop(struct duo_stream *s, const struct rtcp_effect *e)
{
    if (s->trying != NULL && s->trying->attempt == e->attempt) {
        duo_net_close(s->trying, e->status == 1);
        s->trying = NULL;
    } else if (s->live != NULL && s->live->attempt == e->attempt) {
        duo_net_close(s->live, e->status == 1);
        s->live = NULL;
    }
}

static void perform_message(struct duo_stream *s, const struct rtcp_effect *e)
{
    const struct rtcp_route *route = s->session.route;
    struct rtcp_address to = {.family = 0};

    if (e->to_source && s->host->source != NULL) {
        to = *s->host->source;
    } else if (route != NULL) {
        to = e->kind == RTCP_EFFECT_PROBE_TO ? route->candidate : route->to;
    }
    if (to.family != 0) {
        duo_datagram(s->host->duo, &s->host->address, &to, e->bytes, e->size);
    }
}

/* courier_loop.c without its connection: it is there at once, and its candidate is probed. */
static void perform_courier(struct duo_stream *s)
{
    struct duo *d = s->host->duo;

    s->session.route->is_deaf = true;
    if (d->opt.has_couriers && !d->tcp_blocked[0] && !d->tcp_blocked[1]) {
        s->session.route->candidate = rtcp_address_courier(1);
        rtcp_session_ask(&s->session, d->now, true);
    }
}

static void rerouted(struct duo_host *h, const struct rtcp_route *route)
{
    for (int i = 0; i < DUO_STREAMS; i++) {
        struct duo_stream *s = h->stream[i];

        if (s != NULL && s->is_used && s->session.route == route) {
            rtcp_session_rerouted(&s->session, h->duo->now);
            duo_pump(s);
        }
    }
}

static void drop_links(struct duo_stream *s)
{
    if (s->live != NULL) {
        duo_net_close(s->live, false);
        s->live = NULL;
    }
    if (s->trying != NULL) {
        duo_net_close(s->trying, false);
        s->trying = NULL;
    }
}

static void perform_closed(struct duo_stream *s, int status)
{
    drop_links(s);
    rtcp_registry_bury(&s->host->registry, &s->session, true);
    s->is_closed = true;
    s->status = status;
    s->unacknowledged = s->session.out.upto - s->session.out.first;
    duo_check_end(s);
}

static void note_effect(struct duo_stream *s, const struct rtcp_effect *e)
{
    struct duo *d = s->host->duo;
    char c = duo_letter(s->host);

    if (!d->opt.is_traced) {
        return;
    }
    if (e->kind == RTCP_EFFECT_MESSAGE || e->kind == RTCP_EFFECT_PROBE_TO) {
        duo_note(d, "%c %s %s", c, effect_name[e->kind], message_name[e->bytes[4]]);
    } else if (e->kind == RTCP_EFFECT_CLOSED) {
        duo_note(d, "%c CLOSED %s", c, base_status_name(e->status));
    } else if (e->kind == RTCP_EFFECT_LINK) {
        duo_note(d, "%c LINK %s", c, e->status == 1 ? "up" : "down");
    } else if (e->kind == RTCP_EFFECT_EVIDENCE) {
        duo_note(d, "%c EVIDENCE %d", c, e->status);
    } else {
        duo_note(d, "%c %s %u", c, effect_name[e->kind], e->attempt);
    }
}

static void perform(struct duo_stream *s, struct rtcp_effect *e)
{
    note_effect(s, e);
    switch (e->kind) {
    case RTCP_EFFECT_CONNECT:
        CHECK(s->trying == NULL);
        s->trying = duo_net_connect(s->host, s, e->attempt);
        break;
    case RTCP_EFFECT_GREET:
        perform_greet(s, e);
        break;
    case RTCP_EFFECT_FREEZE:
        perform_freeze(s, e->attempt);
        break;
    case RTCP_EFFECT_THAW:
        if (s->live != NULL && s->live->attempt == e->attempt && s->live->state == DUO_LINK_FROZEN) {
            s->live->state = DUO_LINK_STREAM;
            (void)duo_link_flush(s->live);
        }
        break;
    case RTCP_EFFECT_ATTACH:
        perform_attach(s, e);
        break;
    case RTCP_EFFECT_DROP:
        perform_drop(s, e);
        break;
    case RTCP_EFFECT_MESSAGE:
    case RTCP_EFFECT_PROBE_TO:
        perform_message(s, e);
        break;
    case RTCP_EFFECT_COURIER:
        perform_courier(s);
        break;
    case RTCP_EFFECT_ACCEPTED:
        s->is_accepted = true;
        if (s->host->duo->opt.on_accept != NULL) {
            s->host->duo->opt.on_accept(s);
        }
        break;
    case RTCP_EFFECT_LINK:
        s->link_up = e->status == 1;
        break;
    case RTCP_EFFECT_EVIDENCE:
        s->evidence_seen |= (uint64_t)1 << e->status;
        break;
    case RTCP_EFFECT_PROBE_DATA:
        base_copy(s->probe_data, e->bytes, RTCP_WIRE_PROBE_DATA);
        s->probe_data_seen++;
        break;
    case RTCP_EFFECT_CLOSED:
        perform_closed(s, e->status);
        break;
    case RTCP_EFFECT_READABLE:
    case RTCP_EFFECT_WRITABLE:
    case RTCP_EFFECT_PEER_GONE:
        break; /* the applications of duo.c look after every step */
    }
}

void duo_pump(struct duo_stream *s)
{
    struct rtcp_effect e;

    while (s->is_used && rtcp_session_poll(&s->session, &e)) {
        perform(s, &e);
    }
    if (s->live != NULL && s->live->state == DUO_LINK_STREAM && !duo_link_flush(s->live)) {
        while (rtcp_session_poll(&s->session, &e)) {
            perform(s, &e);
        }
    }
}

int64_t duo_recv(struct duo_stream *s, uint8_t *bytes, size_t size)
{
    struct rtcp_session *session = &s->session;
    int64_t n;

    if (session->closed) {
        return BASE_E_CLOSED;
    }
    if (s->waiting_size > s->waiting_at) {
        size_t held = s->waiting_size - s->waiting_at;

        size = size < held ? size : held;
        base_copy(bytes, s->waiting + s->waiting_at, size);
        s->waiting_at += size;
        if (s->waiting_at == s->waiting_size) {
            s->waiting_at = s->waiting_size = 0;
        }
        return (int64_t)size;
    }
    if (rtcp_session_is_at_end(session)) {
        return 0;
    }
    if (session->life == RTCP_LIFE_DEAD) {
        return BASE_E_CLOSED;
    }
    if (session->path != RTCP_PATH_ATTACHED || s->live == NULL || s->live->state != DUO_LINK_STREAM) {
        return BASE_E_AGAIN;
    }
    n = duo_link_read(s->live, bytes, size);
    if (n <= 0 || session->pending_count > 0) {
        duo_pump(s);
    }
    if (n == BASE_E_CLOSED) {
        return rtcp_session_is_at_end(session) ? 0 : BASE_E_AGAIN;
    }
    return n;
}

/* ------------------------------------------------------------------------------------------------ requests */

static void hand_over(struct duo_link *l, struct duo_stream *s, const struct rtcp_wire_request *r)
{
    l->stream = s;
    l->attempt = r->attempt;
    l->state = DUO_LINK_WAITING;
    l->deadline = BASE_NEVER;
    l->in_size = 0;
    if (r->kind == RTCP_WIRE_OPEN && l->host->shared.is_set) {
        l->confirm_in = RTCP_WIRE_CONFIRM;
        l->early_in = r->early;
    }
    s->trying = l;
}

static void open_new(struct duo_link *l, const struct rtcp_wire_request *r)
{
    struct duo_host *h = l->host;
    struct duo_stream *s = duo_stream_new(h);
    struct rtcp_session_options o;

    duo_stream_options(h, &o);
    o.name = h->name;
    CHECK(rtcp_session_accept(&s->session, &o, h->duo->now, r) == 0);
    CHECK(rtcp_registry_add(&h->registry, &s->session) == 0);
    s->is_used = true;
    s->read = o.first_offset;
    hand_over(l, s, r);
    duo_pump(s);
}

static void pass_on(struct duo_link *l, struct rtcp_session *session, const struct rtcp_wire_request *r,
                    struct base_bytes raw)
{
    struct duo_stream *s = (struct duo_stream *)(void *)session;
    struct duo *d = l->host->duo;
    struct rtcp_registry_place place = {
        .incarnation = l->host->incarnation, .name = l->host->name, .is_listening = true, .shared = &l->host->shared};
    struct rtcp_tombstone word;
    uint8_t bytes[RTCP_WIRE_ANSWER];
    uint8_t reason = 0;

    switch (rtcp_session_asked(session, d->now, r, raw, &reason)) {
    case RTCP_ASKED_TAKEN:
        duo_note(d, "%c takes %u", duo_letter(l->host), r->attempt);
        if (s->trying != NULL) {
            duo_net_close(s->trying, false);
        }
        hand_over(l, s, r);
        break;
    case RTCP_ASKED_STALE:
        duo_note(d, "%c stale %u", duo_letter(l->host), r->attempt);
        duo_net_close(l, true);
        break;
    case RTCP_ASKED_FORGED:
        rtcp_registry_refuse(&place, r, RTCP_WIRE_BAD_KEY, 0, bytes);
        duo_link_refuse(l, bytes);
        break;
    case RTCP_ASKED_REFUSED: /* under the session's key */
        rtcp_tombstone_make(&word, session);
        word.reason = reason;
        rtcp_tombstone_refuse(&word, r, l->host->incarnation, l->host->name, bytes);
        duo_link_refuse(l, bytes);
        break;
    }
    duo_pump(s);
}

void duo_request(struct duo_link *l)
{
    struct duo_host *h = l->host;
    struct rtcp_registry_place place = {
        .incarnation = h->incarnation, .name = h->name, .is_listening = h->is_listening, .shared = &h->shared};
    struct base_bytes raw;
    struct rtcp_wire_request r;
    struct rtcp_judgement judgement;
    int done = duo_link_read_message(l);

    if (done == 0) {
        return;
    }
    raw = (struct base_bytes){l->in, l->in_size};
    if (done < 0 || rtcp_wire_get_request(raw, &r) < 0) {
        duo_net_close(l, false);
        return;
    }
    rtcp_registry_judge(&h->registry, &place, &r, raw, &judgement);
    switch (judgement.kind) {
    case RTCP_JUDGED_NEW:
        open_new(l, &r);
        break;
    case RTCP_JUDGED_KNOWN:
        pass_on(l, judgement.session, &r, raw);
        break;
    case RTCP_JUDGED_CONTROL: /* stories have them without a handshake */
    case RTCP_JUDGED_REFUSED:
        duo_link_refuse(l, judgement.answer);
        break;
    }
}

/* ------------------------------------------------------------------------------------------------ datagrams */

static void observe(struct duo_stream *s)
{
    uint64_t holds;
    uint32_t unread;

    if (s->live != NULL && s->live->state == DUO_LINK_STREAM) {
        duo_net_observe(s->live, &holds, &unread);
        rtcp_session_observe(&s->session, s->host->duo->now, holds, unread);
    }
}

static void answer_for_nobody(struct duo_host *h, const struct rtcp_wire_control *c)
{
    const struct rtcp_tombstone *t = rtcp_registry_grave(&h->registry, c->id);
    uint8_t out[2 * RTCP_WIRE_CONTROL_MAX];
    size_t size = t == NULL ? 0 : rtcp_tombstone_answer(t, c, out);
    struct base_bytes rest;

    if (size == 0 && c->type == RTCP_WIRE_PROBE && (t == NULL || t->reason == RTCP_WIRE_UNCONFIRMED)) {
        size = rtcp_registry_unknown(&h->shared, h->incarnation, c, out);
    }
    rest = (struct base_bytes){out, size};
    while (rest.size > 0) {
        struct base_bytes one = rest;
        struct rtcp_wire_control answer;

        CHECK(rtcp_wire_get_control(&rest, &answer) == 0);
        duo_note(h->duo, "%c grave %s", duo_letter(h), message_name[answer.type]);
        duo_datagram(h->duo, &h->address, h->source, one.data, one.size - rest.size);
    }
}

void duo_control(struct duo_host *h, const struct duo_kept *k)
{
    struct base_bytes bytes = {k->bytes, k->size};

    h->source = &k->from;
    while (bytes.size > 0) {
        struct rtcp_wire_control c;
        struct rtcp_session *session;

        if (rtcp_wire_get_control(&bytes, &c) < 0) {
            break;
        }
        session = rtcp_registry_find(&h->registry, c.id);
        if (session == NULL) {
            answer_for_nobody(h, &c);
        } else {
            struct duo_stream *s = (struct duo_stream *)(void *)session;
            struct rtcp_address before = {.family = 0};

            if (session->route != NULL) {
                before = session->route->to;
            }
            if (c.type == RTCP_WIRE_PROBE || c.type == RTCP_WIRE_PROBE_REPLY) {
                observe(s);
            }
            if (rtcp_session_control(session, h->duo->now, &c, &k->from) < 0) {
                duo_note(h->duo, "%c drops %s", duo_letter(h), message_name[c.type <= 11 ? c.type : 0]);
            }
            if (session->route != NULL && before.family != 0 && !rtcp_address_equal(&before, &session->route->to)) {
                rerouted(h, session->route);
            }
            duo_pump(s);
        }
    }
    h->source = NULL;
}

void duo_expire(struct duo_stream *s)
{
    if (rtcp_session_deadline(&s->session) <= s->host->duo->now) {
        observe(s);
        rtcp_session_expire(&s->session, s->host->duo->now);
    }
    duo_pump(s);
}
