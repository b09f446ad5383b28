/* The network of duo.h: kernels, connections as flows of bytes, datagrams; everything that can go wrong in between. */
#include "tests/story/rtcp/duo.h"

#include "rtcp/base/check.h"

#include <stdlib.h>

#define SYN_PAUSE   BASE_S(1)
#define RTO_FIRST   BASE_MS(200)
#define RTO_LAST    BASE_S(120)
#define PACKET_GAP  8 /* packets of a burst follow each other after delay / PACKET_GAP */
#define KEPT_COPIES 3

/* ------------------------------------------------------------------------------------------------ plans */

struct duo_plan duo_plan_cut(enum duo_cut how, uint64_t up, uint64_t down)
{
    return (struct duo_plan){.connect = DUO_CONNECT_NORMAL, .how = how, .cut = {up, down}};
}

struct duo_plan duo_plan_connect(enum duo_connect connect)
{
    return (struct duo_plan){.connect = connect, .cut = {DUO_NEVER_CUT, DUO_NEVER_CUT}};
}

void duo_plan(struct duo *d, struct duo_plan plan)
{
    CHECK(d->plans < DUO_PLANS);
    d->plan[d->plans++] = plan;
}

static struct duo_plan next_plan(struct duo *d)
{
    struct duo_plan plan = duo_plan_connect(DUO_CONNECT_NORMAL);

    if (d->plans > 0) {
        plan = d->plan[0];
        d->plans--;
        memmove(d->plan, d->plan + 1, d->plans * sizeof d->plan[0]);
    }
    return plan;
}

/* ------------------------------------------------------------------------------------------------ events */

struct duo_event *duo_net_schedule(struct duo *d, base_time at, enum duo_event_kind kind)
{
    struct duo_event *e = calloc(1, sizeof *e);
    struct duo_event **before = &d->event;

    CHECK(e != NULL);
    e->at = at;
    e->kind = kind;
    while (*before != NULL && (*before)->at <= at) {
        before = &(*before)->next;
    }
    e->next = *before;
    *before = e;
    return e;
}

static void schedule_flow(struct duo *d, struct duo_conn *c, int side, base_time after)
{
    struct duo_event *e;

    if (c->flow[side].is_scheduled) {
        return;
    }
    c->flow[side].is_scheduled = true;
    e = duo_net_schedule(d, d->now + after, DUO_EVENT_FLOW);
    e->conn = c;
    e->side = side;
}

static void schedule_reset(struct duo *d, struct duo_conn *c, int side)
{
    struct duo_event *e = duo_net_schedule(d, d->now + d->opt.delay, DUO_EVENT_RESET);

    e->conn = c;
    e->side = side;
}

/* ------------------------------------------------------------------------------------------------ connecting */

static void init_end(struct duo_conn *c, int side, struct duo_host *host, enum duo_link_state state)
{
    struct duo_link *l = &c->end[side];

    l->conn = c;
    l->side = side;
    l->host = host;
    l->state = state;
    l->deadline = BASE_NEVER;
}

static void init_flow(struct duo *d, struct duo_conn *c, int side)
{
    struct duo_flow *f = &c->flow[side];

    f->size = d->opt.kernel * 2;
    f->ring = malloc(f->size);
    CHECK(f->ring != NULL);
    f->cut_at = c->plan.cut[side];
    f->rto = RTO_FIRST;
}

struct duo_link *duo_net_connect(struct duo_host *host, struct duo_stream *stream, uint32_t attempt)
{
    struct duo *d = host->duo;
    struct duo_conn *c = calloc(1, sizeof *c);
    struct duo_event *e;

    CHECK(c != NULL);
    c->id = ++d->conns;
    c->next = d->conn;
    d->conn = c;
    c->plan = next_plan(d);
    init_end(c, 0, host, DUO_LINK_CONNECTING);
    init_end(c, 1, NULL, DUO_LINK_CLOSED);
    init_flow(d, c, 0);
    init_flow(d, c, 1);
    c->end[0].stream = stream;
    c->end[0].attempt = attempt;
    e = duo_net_schedule(d, d->now + d->opt.delay, DUO_EVENT_SYN);
    e->conn = c;
    return &c->end[0];
}

static void answer_garbage(struct duo *d, struct duo_conn *c)
{
    static const uint8_t garbage[] = "SSH-2.0-OpenSSH_9.2p1\r\n";

    init_end(c, 1, &d->host[DUO_STRANGER], DUO_LINK_MUTE);
    (void)duo_net_write(&c->end[1], garbage, sizeof garbage);
}

/* A SYN arrives at the server's address. */
static void on_syn(struct duo *d, struct duo_conn *c, unsigned tries)
{
    struct duo_host *h = &d->host[d->at_server];
    struct duo_event *e;

    if (c->end[0].state != DUO_LINK_CONNECTING) {
        return;
    }
    if (d->tcp_blocked[0] || d->tcp_blocked[1] || c->plan.connect == DUO_CONNECT_NO_ANSWER) {
        e = duo_net_schedule(d, d->now + (SYN_PAUSE << (tries < 6 ? tries : 6)), DUO_EVENT_SYN);
        e->conn = c;
        e->tries = tries + 1;
        return;
    }
    if (c->plan.connect == DUO_CONNECT_REFUSED || !h->is_alive) {
        e = duo_net_schedule(d, d->now + d->opt.delay, DUO_EVENT_REFUSED);
        e->conn = c;
        return;
    }
    if (c->plan.connect == DUO_CONNECT_GARBAGE) {
        answer_garbage(d, c);
    } else if (c->plan.connect == DUO_CONNECT_MUTE) {
        init_end(c, 1, h, DUO_LINK_MUTE);
    } else {
        init_end(c, 1, h, DUO_LINK_ASKED);
        c->end[1].deadline = d->now + RTCP_HANDSHAKE_TOTAL;
    }
    c->end[1].is_established = true;
    e = duo_net_schedule(d, d->now + d->opt.delay, DUO_EVENT_SYN_ACK);
    e->conn = c;
}

/* ------------------------------------------------------------------------------------------------ flows */

static bool is_blocked(const struct duo *d, const struct duo_conn *c, int side)
{
    return d->tcp_blocked[side] || c->flow[side].is_silent;
}

static void set_reset(struct duo_link *l)
{
    if (l->state != DUO_LINK_CLOSED && !l->is_reset) {
        l->is_reset = true;
        l->error = true;
    }
}

void duo_cut(struct duo *d, struct duo_conn *c, enum duo_cut how)
{
    if (c == NULL || c->is_cut) {
        return;
    }
    c->is_cut = true;
    duo_note(d, "cut %u %s", c->id,
             how == DUO_CUT_RESET  ? "reset"
             : how == DUO_CUT_NEAR ? "near"
             : how == DUO_CUT_FAR  ? "far"
             : how == DUO_CUT_EOF  ? "eof"
                                   : "silent");
    if (how == DUO_CUT_RESET || how == DUO_CUT_NEAR) {
        set_reset(&c->end[0]);
    }
    if (how == DUO_CUT_RESET || how == DUO_CUT_FAR) {
        set_reset(&c->end[1]);
    }
    for (int side = 0; side < 2; side++) {
        c->flow[side].is_silent = true;
        if (how == DUO_CUT_EOF) {
            c->flow[side].fin_arrived = true;
        }
    }
}

/* A packet of the flow written by `side` arrives, or is lost and will be repeated. */
static void on_flow(struct duo *d, struct duo_conn *c, int side)
{
    struct duo_flow *f = &c->flow[side];
    struct duo_link *to = &c->end[1 - side];
    uint64_t size = f->written - f->arrived;
    uint64_t room = d->opt.kernel - (f->arrived - f->read);

    f->is_scheduled = false;
    if ((size == 0 && (!f->fin || f->fin_arrived)) || c->end[side].is_reset || to->is_reset) {
        return;
    }
    if (is_blocked(d, c, side)) {
        schedule_flow(d, c, side, f->rto);
        f->rto = base_time_min(f->rto * 2, RTO_LAST);
        return;
    }
    f->rto = RTO_FIRST;
    if (to->state == DUO_LINK_CLOSED) {
        schedule_reset(d, c, side); /* nobody lives there any more */
        return;
    }
    size = size < room ? size : room;
    size = size < d->opt.packet ? size : d->opt.packet;
    if (f->arrived + size >= f->cut_at) {
        f->arrived = f->cut_at;
        duo_cut(d, c, c->plan.how);
        return;
    }
    f->arrived += size;
    if (!is_blocked(d, c, 1 - side)) {
        f->acked = f->arrived;
    }
    if (f->fin && f->arrived == f->written) {
        f->fin_arrived = true;
    } else if (f->arrived < f->written && f->arrived - f->read < d->opt.kernel) {
        schedule_flow(d, c, side, d->opt.delay / PACKET_GAP + 1);
    }
}

static void refresh(struct duo_link *l)
{
    struct duo_flow *f = &l->conn->flow[l->side];

    if (!is_blocked(l->host->duo, l->conn, l->side) && !is_blocked(l->host->duo, l->conn, 1 - l->side)) {
        f->acked = f->arrived;
    }
    if (l->conn->plan.is_relay) {
        f->acked = f->written; /* the relay has taken it */
    }
}

int64_t duo_net_write(struct duo_link *l, const uint8_t *bytes, size_t size)
{
    struct duo *d = l->host->duo;
    struct duo_flow *f = &l->conn->flow[l->side];
    size_t room;

    if (l->is_reset) {
        l->error = false; /* this call reports it: a later read shows a plain end (P5) */
        return -1;
    }
    refresh(l);
    room = d->opt.kernel - (size_t)(f->written - f->acked);
    if (f->written - f->read >= f->size) {
        room = 0;
    } else if (room > f->size - (size_t)(f->written - f->read)) {
        room = f->size - (size_t)(f->written - f->read);
    }
    size = size < room ? size : room;
    for (size_t i = 0; i < size; i++) {
        f->ring[(f->written + i) % f->size] = bytes[i];
    }
    f->written += size;
    if (size > 0) {
        schedule_flow(d, l->conn, l->side, d->opt.delay);
    }
    return (int64_t)size;
}

int64_t duo_net_read(struct duo_link *l, uint8_t *bytes, size_t size)
{
    struct duo *d = l->host->duo;
    struct duo_flow *f = &l->conn->flow[1 - l->side];
    size_t there = (size_t)(f->arrived - f->read);

    if (there > 0) { /* also behind a RST: what was queued stays readable (P4) */
        size = size < there ? size : there;
        for (size_t i = 0; i < size; i++) {
            bytes[i] = f->ring[(f->read + i) % f->size];
        }
        f->read += size;
        if (f->written > f->arrived) {
            schedule_flow(d, l->conn, 1 - l->side, d->opt.delay);
        }
        return (int64_t)size;
    }
    if (l->error) {
        l->error = false;
        return BASE_E_RESET;
    }
    return f->fin_arrived || l->is_reset ? 0 : BASE_E_AGAIN;
}

void duo_net_observe(struct duo_link *l, uint64_t *ret_holds, uint32_t *ret_unread)
{
    struct duo_flow *in = &l->conn->flow[1 - l->side];
    struct duo_flow *out = &l->conn->flow[l->side];

    refresh(l);
    *ret_holds = out->written - out->acked;
    *ret_unread = (uint32_t)(in->arrived - in->read);
}

bool duo_net_is_readable(const struct duo_link *l)
{
    const struct duo_flow *f = &l->conn->flow[1 - l->side];

    return f->arrived > f->read || f->fin_arrived || l->is_reset;
}

bool duo_net_is_writable(struct duo_link *l)
{
    const struct duo_flow *f = &l->conn->flow[l->side];

    refresh(l);
    return l->is_reset || (f->written - f->acked < l->host->duo->opt.kernel && f->written - f->read < f->size);
}

void duo_net_shutdown(struct duo_link *l)
{
    l->conn->flow[l->side].fin = true;
    schedule_flow(l->host->duo, l->conn, l->side, l->host->duo->opt.delay);
}

void duo_net_close(struct duo_link *l, bool is_gentle)
{
    struct duo *d = l->host->duo;
    struct duo_conn *c = l->conn;
    struct duo_flow *out = &c->flow[l->side];
    struct duo_flow *in = &c->flow[1 - l->side];
    bool is_connecting = l->state == DUO_LINK_CONNECTING && !c->end[1].is_established;

    if (l->state == DUO_LINK_CLOSED) {
        return;
    }
    l->state = DUO_LINK_CLOSED;
    l->stream = NULL;
    if (l->is_reset || is_connecting || c->end[1 - l->side].state == DUO_LINK_CLOSED) {
        return;
    }
    if (is_gentle && in->arrived == in->read) {
        out->fin = true;
        schedule_flow(d, c, l->side, d->opt.delay);
    } else if (!is_blocked(d, c, l->side)) {
        out->written = out->arrived; /* what was not sent is gone */
        schedule_reset(d, c, 1 - l->side);
    } else {
        out->written = out->arrived;
    }
}

/* ------------------------------------------------------------------------------------------------ datagrams */

static void arrive(struct duo *d, const struct duo_kept *k, base_time after)
{
    struct duo_event *e = duo_net_schedule(d, d->now + after, DUO_EVENT_DATAGRAM);

    e->datagram = *k;
}

static int direction_of(const struct duo *d, const struct rtcp_address *from)
{
    return rtcp_address_equal(from, &d->host[DUO_CLIENT].address) ? 0 : 1;
}

void duo_datagram(struct duo *d, const struct rtcp_address *from, const struct rtcp_address *to, const uint8_t *bytes,
                  size_t size)
{
    int way = direction_of(d, from);
    uint8_t type = bytes[4] & 15;
    unsigned copies = 1;
    struct duo_kept k = {.size = size, .from = *from, .to = *to};

    base_copy(k.bytes, bytes, size);
    if (rtcp_address_is_courier(
            to)) { /* a TCP connection of its own, as far as stories need it: in order, or not at all */
        k.from = *to;
        k.to = d->host[way == 0 ? DUO_SERVER : DUO_CLIENT].address;
        if (!d->tcp_blocked[0] && !d->tcp_blocked[1]) {
            arrive(d, &k, d->opt.delay);
        }
        return;
    }
    d->kept[way][type] = k;
    d->udp_sent[way][type]++;
    if (d->udp_blocked[way] || (d->udp_dropped_types[way] & (1u << type)) != 0 ||
        base_rng_below(&d->net, 1000) < d->udp_lost[way]) {
        return;
    }
    while (copies < KEPT_COPIES && base_rng_below(&d->net, 1000) < d->udp_repeated[way]) {
        copies++;
    }
    while (copies-- > 0) {
        arrive(d, &k, d->opt.delay + base_rng_below(&d->net, d->udp_jitter[way]));
    }
}

bool duo_replay(struct duo *d, int direction, uint8_t type)
{
    const struct duo_kept *k = &d->kept[direction][type];

    if (k->size == 0) {
        return false;
    }
    arrive(d, k, 0);
    return true;
}

static void on_datagram(struct duo *d, struct duo_event *e)
{
    const struct rtcp_address *to = &e->datagram.to;

    for (int i = 0; i < DUO_HOSTS; i++) {
        struct duo_host *h = &d->host[i];

        if (i == DUO_SERVER && d->at_server != DUO_SERVER) {
            h = &d->host[d->at_server];
        }
        if (!rtcp_address_equal(to, &d->host[i].address)) {
            continue;
        }
        if (h->is_alive && h->is_paused) {
            arrive(d, &e->datagram, DUO_LATER); /* waits in the socket */
        } else if (h->is_alive) {
            duo_control(h, &e->datagram);
        }
        return;
    }
}

void duo_net_release(struct duo *d)
{
    struct duo_event **at = &d->event;

    while (*at != NULL) {
        struct duo_event *e = *at;

        if (e->kind == DUO_EVENT_DATAGRAM && e->at >= DUO_LATER) {
            *at = e->next;
            arrive(d, &e->datagram, 0);
            free(e);
            at = &d->event;
        } else {
            at = &e->next;
        }
    }
}

/* ------------------------------------------------------------------------------------------------ all of it */

void duo_net_event(struct duo *d, struct duo_event *e)
{
    struct duo_conn *c = e->conn;

    switch (e->kind) {
    case DUO_EVENT_SYN:
        on_syn(d, c, e->tries);
        break;
    case DUO_EVENT_SYN_ACK:
        c->end[0].is_established = true;
        break;
    case DUO_EVENT_REFUSED:
        c->end[0].is_refused = true;
        break;
    case DUO_EVENT_FLOW:
        on_flow(d, c, e->side);
        break;
    case DUO_EVENT_RESET:
        if (!is_blocked(d, c, 1 - e->side)) {
            set_reset(&c->end[e->side]);
        }
        break;
    case DUO_EVENT_DATAGRAM:
        on_datagram(d, e);
        break;
    case DUO_EVENT_FROZEN:
        break; /* the driver's */
    }
}

struct duo_conn *duo_live(struct duo *d)
{
    struct duo_stream *s = d->host[DUO_CLIENT].stream[0];

    return s != NULL && s->live != NULL ? s->live->conn : NULL;
}

void duo_block_tcp(struct duo *d, bool is_blocked_now)
{
    d->tcp_blocked[0] = d->tcp_blocked[1] = is_blocked_now;
}

void duo_lose_courier(struct duo *d)
{
    struct rtcp_address courier = rtcp_address_courier(1);

    for (int i = 0; i < DUO_HOSTS; i++) {
        for (int r = 0; r < DUO_ROUTES; r++) {
            rtcp_route_lost(&d->host[i].route[r], &courier);
        }
    }
}

void duo_block_udp(struct duo *d, bool is_blocked_now)
{
    d->udp_blocked[0] = d->udp_blocked[1] = is_blocked_now;
}
