/* See fake_group.h. */
#include "tests/support/fake_group.h"

#include "rtcp/base/check.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#define DELIVERED_PER_TURN 1000

struct message {
    struct message *next;
    uint64_t number;
    size_t size;
    uint8_t data[];
};

struct group {
    struct ev_loop *loop;
    struct fake_group_script *script;
    struct fake_group_script own; /* when the test put none on the loop */
    struct group_options options;
    struct group_callbacks callbacks;
    void *user;
    struct ev_timer turn;
    struct message *first;
    struct message **end;
    size_t pending;
    uint64_t number;
    uint64_t index;
    bool is_told; /* the view and the leader were */
    bool wants_room;
    struct group_view view;
};

void group_options_default(struct group_options *o)
{
    *o = (struct group_options){
        .election_timeout = BASE_MS(600), .log_bytes_max = (size_t)256 << 20, .pending_max = 65536};
}

const struct group_view *group_view_hold(const struct group_view *view)
{
    return view;
}

void group_view_release(const struct group_view *view)
{
    (void)view;
}

static void on_turn(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct group *g = timer->data;

    (void)events;
    if (!g->is_told) {
        fake_group_tell_view(g);
        fake_group_tell_leader(g, g->options.self, 1);
    }
    if (!g->script->is_manual) {
        fake_group_deliver(g, DELIVERED_PER_TURN);
    }
    if (g->pending > 0 && !g->script->is_manual) {
        ev_timer_set(&g->turn, 0., 0.);
        ev_timer_start(loop, &g->turn);
    }
}

static int start(struct ev_loop *loop, const struct group_options *options, const struct group_callbacks *callbacks,
                 void *user, struct group **ret_group)
{
    struct fake_group_script *script = ev_userdata(loop);
    struct group *g;

    if (script != NULL && script->found_status < 0) {
        return script->found_status;
    }
    g = calloc(1, sizeof *g);
    if (g == NULL) {
        return BASE_E_NOMEM;
    }
    g->loop = loop;
    g->script = script == NULL ? &g->own : script;
    g->options = *options;
    g->callbacks = *callbacks;
    g->user = user;
    g->end = &g->first;
    g->view = (struct group_view){.id = 1, .index = 1, .instance = 42, .count = 1};
    g->view.member[0] = (struct group_member){.id = options->self, .incarnation = 7, .address = "nowhere:0"};
    ev_timer_init(&g->turn, on_turn, 0., 0.);
    g->turn.data = g;
    ev_timer_start(loop, &g->turn);
    g->script->group = g;
    *ret_group = g;
    return 0;
}

int group_found(struct ev_loop *loop, const struct group_options *options, const struct group_callbacks *callbacks,
                void *user, struct group **ret_group)
{
    return start(loop, options, callbacks, user, ret_group);
}

int group_open(struct ev_loop *loop, const struct group_options *options, const struct group_callbacks *callbacks,
               void *user, struct group **ret_group)
{
    return start(loop, options, callbacks, user, ret_group);
}

static struct message *take(struct group *g)
{
    struct message *m = g->first;

    g->first = m->next;
    if (g->first == NULL) {
        g->end = &g->first;
    }
    g->pending--;
    return m;
}

void group_close(struct group *group)
{
    if (group == NULL) {
        return;
    }
    while (group->first != NULL) {
        free(take(group));
    }
    ev_timer_stop(group->loop, &group->turn);
    group->script->group = NULL;
    free(group);
}

int group_broadcast(struct group *group, struct base_bytes data, uint64_t *ret_number)
{
    struct message *m;

    if (group->script->broadcast_status < 0) {
        return group->script->broadcast_status;
    }
    if (data.size > GROUP_MESSAGE_MAX) {
        return BASE_E_RANGE;
    }
    if (group->pending == group->options.pending_max) {
        group->wants_room = true;
        return BASE_E_AGAIN;
    }
    m = malloc(sizeof *m + data.size);
    CHECK(m != NULL);
    m->next = NULL;
    m->number = ++group->number;
    m->size = data.size;
    base_copy(m->data, data.data, data.size);
    *group->end = m;
    group->end = &m->next;
    group->pending++;
    if (!ev_is_active(&group->turn)) {
        ev_timer_set(&group->turn, 0., 0.);
        ev_timer_start(group->loop, &group->turn);
    }
    *ret_number = m->number;
    return 0;
}

size_t fake_group_deliver(struct group *group, size_t count)
{
    size_t done = 0;

    while (done < count && group->first != NULL) {
        struct message *m = take(group);
        struct group_delivery delivery = {.index = ++group->index,
                                          .term = 1,
                                          .origin = group->options.self,
                                          .number = m->number,
                                          .is_own = true,
                                          .data = {m->data, m->size}};

        group->callbacks.on_deliver(group->user, &delivery);
        free(m);
        done++;
    }
    if (done > 0 && group->wants_room) {
        fake_group_tell_writable(group);
    }
    return done;
}

void fake_group_deliver_foreign(struct group *group, uint32_t origin, uint64_t number, struct base_bytes data)
{
    struct group_delivery delivery = {
        .index = ++group->index, .term = 1, .origin = origin, .number = number, .data = data};

    group->callbacks.on_deliver(group->user, &delivery);
}

void fake_group_tell_view(struct group *group)
{
    struct group_difference difference = {.joined = {group->options.self}, .joined_count = 1};

    group->is_told = true;
    group->index++;
    group->callbacks.on_view(group->user, &group->view, &difference, "founded");
}

void fake_group_tell_writable(struct group *group)
{
    group->wants_room = false;
    group->callbacks.on_writable(group->user);
}

void fake_group_tell_leader(struct group *group, uint32_t member_id, uint64_t term)
{
    group->callbacks.on_leader(group->user, member_id, term);
}

void fake_group_tell_link(struct group *group, uint32_t member_id, bool up)
{
    group->callbacks.on_link(group->user, member_id, up);
}

void fake_group_tell_quorum(struct group *group, bool has_quorum)
{
    group->callbacks.on_quorum(group->user, has_quorum, 0);
}

void fake_group_tell_excluded(struct group *group, int status, const char *why)
{
    group->callbacks.on_excluded(group->user, status, why);
}

const struct group_view *group_view(const struct group *group)
{
    return group->is_told ? &group->view : NULL;
}

void group_stats(const struct group *group, struct group_stats *ret_stats)
{
    *ret_stats = (struct group_stats){.self = group->options.self,
                                      .leader = group->options.self,
                                      .term = 1,
                                      .last = group->index + group->pending,
                                      .commit = group->index,
                                      .delivered = group->index,
                                      .views = group->is_told ? 1 : 0,
                                      .pending = group->pending,
                                      .has_quorum = true,
                                      .count = 1};
    ret_stats->member[0] = (struct group_member_stats){
        .id = group->options.self, .link_up = true, .is_leader = true, .acked = group->index};
}
