/* What a group does in one turn of its loop: takes effects of the cores, delivers, sends, and asks when to wake.
 *
 * Events (frames, links, calls of the user) only mark a turn as due; the turn runs once before the loop waits again, so
 * that acknowledgements and entries of one turn travel together. Users are called from here only, after the cores have
 * returned. See PROTOCOL.md "Founding" and "Order".
 */
#include "membership/group_inside_loop.h"
#include "membership/view.h"

#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"

#include <stdio.h>

#define DELIVER_SLICE BASE_MS(1) /* then the loop turns, so that a long catch-up does not starve beats */
#define DELIVER_LOOK  16         /* deliveries between two looks at the clock */
#define ROUNDS_MAX    8          /* of effects and deliveries in one turn */

/* Also called after the group's own turn of this turn of the loop, by whoever works late: the loop must not sleep now.
 */
void group_turn_due(struct group *g)
{
    g->is_due = true;
    if (!g->is_out && !ev_is_active(&g->awake)) {
        ev_idle_start(g->loop, &g->awake);
    }
}

static uint32_t place(const struct group *g, uint32_t id)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->member[i].id == id) {
            return i;
        }
    }
    CHECK(false); /* the mesh knows members only */
}

/* ---------------------------------------------------------------------------------------------------- being out */

static const char *sentence(enum found_reason reason)
{
    switch (reason) {
    case FOUND_REASON_EXISTS:
        return "the group exists and goes on without this process: it restarted, its memory is gone, and it cannot "
               "come "
               "back as the same member; joining is not possible yet";
    case FOUND_REASON_TOKEN:
        return "the founders hold different tokens: give the same token to all of them";
    case FOUND_REASON_FOUNDERS:
        return "the founders have different lists of founders: give the same ids and addresses to all of them";
    case FOUND_REASON_STRANGER:
        return "this process is not among the founders that others know: give the same list to all of them";
    case FOUND_REASON_PLACE:
        return "at the address of a founder answers another group, another member, or one with another key: check "
               "names, "
               "addresses and keys";
    case FOUND_REASON_NONE:
        break;
    }
    return "refused";
}

static void be_out(struct group *g, int status)
{
    struct base_event event = {.at = base_clock_now(), .object = "group", .id = g->self.id, .name = "excluded"};

    g->is_out = true;
    event.text = g->why;
    base_trace_emit(&g->trace, &event);
    mesh_silence(g->mesh);
    if (g->callbacks.on_excluded != NULL) {
        g->callbacks.on_excluded(g->user, status, g->why);
    }
}

static void be_refused(struct group *g, const struct found_effect *e)
{
    (void)snprintf(g->why, sizeof g->why, "group \"%s\", member %u: %s (from member %u)", g->name, (unsigned)g->self.id,
                   sentence(e->reason), (unsigned)e->to);
    be_out(g, e->status);
}

/* ---------------------------------------------------------------------------------------------------- founding */

static void make_view(const struct group *g, struct group_view *v)
{
    *v = (struct group_view){.id = 1, .index = 0, .instance = found_instance(&g->found), .count = g->count};
    for (uint32_t i = 0; i < g->count; i++) {
        v->member[i].id = g->member[i].id;
        v->member[i].role = GROUP_VOTER;
        v->member[i].incarnation = found_vector(&g->found)[i];
        base_copy(v->member[i].address, g->address[i], GROUP_ADDRESS_SIZE);
    }
}

/* View 1 is here: hellos speak of it from now on, and whoever is not in it is told. */
static void install(struct group *g)
{
    struct group_difference difference;
    struct group_view v;

    make_view(g, &v);
    g->view = view_new(g->memory, &v);
    if (g->view == NULL || order_install(g->order, &v, base_clock_now()) != 0) {
        (void)snprintf(g->why, sizeof g->why, "group \"%s\": no memory for the founding view", g->name);
        be_out(g, BASE_E_NOMEM);
        return;
    }
    g->views = 1;
    g->self.instance = v.instance;
    g->self.view = v.id;
    for (uint32_t i = 0; i < g->count; i++) {
        g->self.expected[i] = v.member[i].incarnation;
    }
    mesh_judge_again(g->mesh);
    view_difference(NULL, g->view, &difference);
    if (g->callbacks.on_view != NULL) {
        g->callbacks.on_view(g->user, g->view, &difference, "founded");
    }
}

static void start_ordering(struct group *g, uint32_t id)
{
    g->is_ordering[place(g, id)] = true;
    order_link_up(g->order, id, base_clock_now());
    mesh_read_bulk(g->mesh, id);
    if (g->is_full) {
        mesh_hold_bulk(g->mesh, id, true);
    }
}

static void take_founding_effects(struct group *g)
{
    struct found_effect e;

    while (!g->is_out && found_poll(&g->found, &e)) {
        switch (e.kind) {
        case FOUND_SEND:
            mesh_send_founding(g->mesh, e.to, &e.message);
            break;
        case FOUND_INSTALL:
            install(g);
            break;
        case FOUND_OPEN:
            start_ordering(g, e.to);
            break;
        case FOUND_REFUSED:
            be_refused(g, &e);
            break;
        }
    }
}

/* ---------------------------------------------------------------------------------------------------- order */

static void stop(struct group *g, const char *reason)
{
    (void)snprintf(g->why, sizeof g->why, "group \"%s\": member %u stops: %s", g->name, (unsigned)g->self.id, reason);
    be_out(g, BASE_E_PROTOCOL);
}

static void take_order_effect(struct group *g, const struct order_effect *e)
{
    switch (e->kind) {
    case ORDER_PERSIST: /* volatile: memory is all there is, and this incarnation ends with it */
        order_durable(g->order, e->persist.number, base_clock_now());
        break;
    case ORDER_BEAT:
        mesh_set_beat(g->mesh, e->beat);
        break;
    case ORDER_LEADER:
        if (g->callbacks.on_leader != NULL) {
            g->callbacks.on_leader(g->user, e->leader.member, e->leader.term);
        }
        break;
    case ORDER_QUORUM:
        if (g->callbacks.on_quorum != NULL) {
            g->callbacks.on_quorum(g->user, e->quorum.has_quorum, e->quorum.since);
        }
        break;
    case ORDER_WRITABLE:
        if (g->callbacks.on_writable != NULL) {
            g->callbacks.on_writable(g->user);
        }
        break;
    case ORDER_STOP:
        stop(g, e->stop.reason);
        break;
    }
}

static void take_order_effects(struct group *g)
{
    struct order_effect e;

    while (!g->is_out && order_poll(g->order, &e)) {
        take_order_effect(g, &e);
    }
}

/* Delivers for at most a slice of time; true when there may be more. Entries without a message (views, the first of a
 * term) count as delivered when those before them are. */
static bool deliver(struct group *g, base_time until)
{
    struct group_delivery d;
    struct group_stats stats;

    for (unsigned i = 1; order_deliver(g->order, &d); i++) {
        g->delivered = d.index;
        if (g->callbacks.on_deliver != NULL) {
            g->callbacks.on_deliver(g->user, &d);
        }
        if (i % DELIVER_LOOK == 0 && base_clock_now() >= until) {
            return true;
        }
    }
    order_stats(g->order, &stats);
    g->delivered = stats.delivered;
    return false;
}

/* A member whose user takes entries more slowly than the others do would pile them up without end, for they are settled
 * and acknowledged. It reads no more until it has delivered some; then its acknowledgements, and so the leader's log,
 * wait for it. Beats and votes go on. */
static void throttle(struct group *g)
{
    struct group_stats stats;
    bool is_full;

    order_stats(g->order, &stats);
    is_full = stats.delivered < stats.commit && stats.log_bytes > g->log_bytes_max;
    if (is_full == g->is_full) {
        return;
    }
    g->is_full = is_full;
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->is_ordering[i]) {
            mesh_hold_bulk(g->mesh, g->member[i].id, is_full);
        }
    }
    if (!is_full) {
        group_turn_due(g);
    }
}

void group_turn_send(struct group *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        for (unsigned kind = 0; kind < LANE_COUNT; kind++) {
            uint32_t id = g->member[i].id;
            struct message m;
            size_t room;

            while (g->is_ordering[i] && mesh_room(g->mesh, id, (enum message_lane)kind, &room) &&
                   order_pull(g->order, id, (enum message_lane)kind, room, &m)) {
                mesh_send_order(g->mesh, id, &m);
            }
        }
    }
}

/* ---------------------------------------------------------------------------------------------------- turns */

void group_turn_arm(struct group *g)
{
    base_time now = base_clock_now();
    base_time at = base_time_min(order_deadline(g->order), found_deadline(&g->found));

    ev_timer_stop(g->loop, &g->timer);
    if (g->is_out || !g->is_due) {
        ev_idle_stop(g->loop, &g->awake);
    }
    if (g->is_out || at == BASE_NEVER) {
        return;
    }
    ev_now_update(g->loop);
    ev_timer_set(&g->timer, (double)base_time_since(at, now) / 1e9, 0.);
    ev_timer_start(g->loop, &g->timer);
}

static void turn(struct group *g)
{
    base_time until = base_time_add(base_clock_now(), DELIVER_SLICE);

    for (unsigned i = 0; i < ROUNDS_MAX && g->is_due && !g->is_out; i++) {
        g->is_due = false;
        mesh_turn(g->mesh); /* what waited for ordering to be opened, also in the round before */
        take_founding_effects(g);
        take_order_effects(g);
        if (!g->is_out && deliver(g, until)) {
            group_turn_due(g); /* goes on in the next turn of the loop */
            break;
        }
    }
    if (!g->is_out) {
        take_order_effects(g); /* of what users submitted meanwhile */
    }
    if (!g->is_out) {
        throttle(g);
        group_turn_send(g);
    }
    group_turn_arm(g);
}

void group_turn_on_prepare(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct group *g = w->data;

    (void)loop;
    (void)events;
    if (g->is_out) {
        ev_idle_stop(g->loop, &g->awake);
    } else if (g->is_due) {
        turn(g);
    }
}

/* Being awake is all it is for: the turn runs before the loop would sleep. */
void group_turn_on_idle(struct ev_loop *loop, ev_idle *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
}

void group_turn_say_goodbye(struct group *g)
{
    struct order_effect e;

    order_abdicate(g->order, base_clock_now());
    while (order_poll(g->order, &e)) {
        if (e.kind == ORDER_BEAT) {
            mesh_set_beat(g->mesh, e.beat); /* a datagram each: it arrives before the streams' end does */
        }
    }
    group_turn_send(g);
}

void group_turn_on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct group *g = w->data;
    base_time now = base_clock_now();

    (void)loop;
    (void)events;
    if (!g->is_out) {
        found_expire(&g->found, now);
        order_expire(g->order, now);
        group_turn_due(g);
    }
}

/* ---------------------------------------------------------------------------------------------------- from the mesh */

static void on_up(void *user, uint32_t id, uint64_t incarnation, bool is_founder)
{
    struct group *g = user;

    if (is_founder) { /* who only looks for a group takes no part in founding one */
        found_link_up(&g->found, id, incarnation, base_clock_now());
    }
    group_turn_due(g);
}

static void on_down(void *user, uint32_t id)
{
    struct group *g = user;
    uint32_t i = place(g, id);

    found_link_down(&g->found, id);
    if (g->is_ordering[i]) {
        g->is_ordering[i] = false;
        order_link_down(g->order, id, base_clock_now());
    }
    group_turn_due(g);
}

static int on_frame(void *user, uint32_t id, enum message_lane lane, const struct wire_head *head)
{
    struct group *g = user;
    uint32_t i = place(g, id);

    group_turn_due(g);
    if (g->is_out) {
        return 0;
    }
    if (head->what == WIRE_IS_FOUNDING) {
        found_receive(&g->found, id, g->found.peer[i].incarnation, &head->founding, base_clock_now());
        return 0;
    }
    if (!g->is_ordering[i]) {
        take_founding_effects(g); /* the word that opens ordering may have come just before, in this very turn */
    }
    if (!g->is_ordering[i]) {
        return g->is_out ? 0 : BASE_E_PROTOCOL;
    }
    return order_receive(g->order, id, lane, &head->order, base_clock_now());
}

static void on_beat(void *user, uint32_t id, const uint8_t beat[MESSAGE_BEAT_SIZE])
{
    struct group *g = user;

    if (g->is_ordering[place(g, id)] && !g->is_out) {
        order_beat(g->order, id, beat, base_clock_now());
        group_turn_due(g);
    }
}

static void on_path(void *user, uint32_t id, bool up)
{
    struct group *g = user;

    if (g->callbacks.on_link != NULL && !g->is_out) {
        g->callbacks.on_link(g->user, id, up);
    }
}

static void on_refused(void *user, uint32_t id, enum found_reason reason)
{
    struct group *g = user;

    found_refused(&g->found, id, reason, base_clock_now());
    group_turn_due(g);
}

static void on_room(void *user)
{
    group_turn_due(user);
}

const struct mesh_callbacks *group_turn_mesh_callbacks(void)
{
    static const struct mesh_callbacks callbacks = {
        .on_up = on_up,
        .on_down = on_down,
        .on_frame = on_frame,
        .on_beat = on_beat,
        .on_path = on_path,
        .on_refused = on_refused,
        .on_room = on_room,
    };

    return &callbacks;
}
