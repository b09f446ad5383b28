/* libev as the product sees it: watchers on the world's sockets and clock. Only what the product uses.
 *
 * One turn: prepare watchers, then what is ready (sockets, timers), then idle watchers if nothing was. As in libev, a
 * watcher that is stopped while it waits is not called, and a one-shot timer is stopped before it is called.
 */
#include "rtcp/base/check.h"
#include "tests/sim/net.h"
#include "tests/sim/real.h"
#include "tests/sim/world.h"

#include <ev.h>
#include <string.h>

#define WATCHERS_MAX 8192

struct list {
    ev_watcher **at;
    int count, room;
};

struct ready {
    ev_watcher *w; /* NULL: stopped meanwhile */
    int events;
};

struct ev_loop {
    struct sim_node *node;
    struct list io, timer, prepare, idle;
    struct ready ready[WATCHERS_MAX];
    int ready_count;
};

struct ev_loop *sim_loop_new(struct sim_node *node)
{
    struct ev_loop *loop = real_calloc(1, sizeof *loop);

    CHECK(loop != NULL);
    loop->node = node;
    return loop;
}

static void free_list(struct list *l)
{
    real_free(l->at);
}

void sim_loop_free(struct ev_loop *loop)
{
    free_list(&loop->io);
    free_list(&loop->timer);
    free_list(&loop->prepare);
    free_list(&loop->idle);
    real_free(loop);
}

/* ------------------------------------------------------------------------------------------------ lists */

static void add(struct list *l, ev_watcher *w)
{
    if (w->active != 0) {
        return;
    }
    if (l->count == l->room) {
        l->room = l->room == 0 ? 16 : l->room * 2;
        l->at = real_realloc(l->at, (size_t)l->room * sizeof *l->at);
        CHECK(l->at != NULL && l->room <= WATCHERS_MAX);
    }
    l->at[l->count++] = w;
    w->active = l->count;
}

static void remove_watcher(struct ev_loop *loop, struct list *l, ev_watcher *w)
{
    if (w->pending != 0) {
        loop->ready[w->pending - 1].w = NULL;
        w->pending = 0;
    }
    if (w->active == 0) {
        return;
    }
    /* Order is kept: it decides who is called first, and that must not depend on addresses. */
    for (int i = w->active - 1; i + 1 < l->count; i++) {
        l->at[i] = l->at[i + 1];
        l->at[i]->active = i + 1;
    }
    l->count--;
    w->active = 0;
}

static void make_ready(struct ev_loop *loop, ev_watcher *w, int events)
{
    if (w->pending == 0 && loop->ready_count < WATCHERS_MAX) {
        loop->ready[loop->ready_count++] = (struct ready){w, events};
        w->pending = loop->ready_count;
    }
}

static int call_ready(struct ev_loop *loop)
{
    int called = 0;

    for (int i = 0; i < loop->ready_count && loop->node->is_up; i++) {
        struct ready r = loop->ready[i];

        if (r.w != NULL) {
            r.w->pending = 0;
            r.w->cb(loop, r.w, r.events);
            called++;
        }
    }
    loop->ready_count = 0;
    return called;
}

/* ------------------------------------------------------------------------------------------------ a turn */

static void collect_io(struct ev_loop *loop)
{
    for (int i = 0; i < loop->io.count; i++) {
        ev_io *w = (ev_io *)(void *)loop->io.at[i];
        int events = sim_net_ready(w->fd) & w->events & (EV_READ | EV_WRITE);

        if (events != 0) {
            make_ready(loop, (ev_watcher *)w, events);
        }
    }
}

static void collect_timers(struct ev_loop *loop)
{
    double now = ev_now(loop);

    for (int i = 0; i < loop->timer.count; i++) {
        ev_timer *w = (ev_timer *)(void *)loop->timer.at[i];

        if (w->at <= now) {
            make_ready(loop, (ev_watcher *)w, EV_TIMER);
        }
    }
    for (int i = 0; i < loop->ready_count; i++) {
        if (loop->ready[i].events == EV_TIMER) {
            ev_timer *w = (ev_timer *)(void *)loop->ready[i].w;
            int pending = w->pending;

            if (w->repeat > 0.) {
                w->at = now + w->repeat;
            } else {
                w->pending = 0; /* stopping it here must not take its call away */
                remove_watcher(loop, &loop->timer, (ev_watcher *)w);
                w->pending = pending;
            }
        }
    }
}

static void collect_all(struct ev_loop *loop, struct list *l, int events)
{
    for (int i = 0; i < l->count; i++) {
        make_ready(loop, l->at[i], events);
    }
}

bool sim_loop_turn(struct ev_loop *loop)
{
    int called;

    collect_all(loop, &loop->prepare, EV_PREPARE);
    (void)call_ready(loop);
    if (!loop->node->is_up) {
        return false;
    }
    collect_io(loop);
    collect_timers(loop);
    called = call_ready(loop);
    if (!loop->node->is_up) {
        return false;
    }
    if (called == 0) {
        collect_all(loop, &loop->idle, EV_IDLE);
        called = call_ready(loop);
    }
    return called > 0 || loop->idle.count > 0;
}

base_time sim_loop_deadline(const struct ev_loop *loop)
{
    double least = -1.;

    for (int i = 0; i < loop->timer.count; i++) {
        const ev_timer *w = (const ev_timer *)(const void *)loop->timer.at[i];

        if (least < 0. || w->at < least) {
            least = w->at;
        }
    }
    return least < 0. ? BASE_NEVER : (base_time)(least * 1e9) + 1;
}

/* ------------------------------------------------------------------------------------------------ libev's names */

ev_tstamp ev_now(struct ev_loop *loop)
{
    return (double)sim_node_now(loop->node) / 1e9;
}

void ev_now_update(struct ev_loop *loop)
{
    (void)loop;
}

void ev_ref(struct ev_loop *loop)
{
    (void)loop;
}

void ev_unref(struct ev_loop *loop)
{
    (void)loop;
}

void ev_io_start(struct ev_loop *loop, ev_io *w)
{
    add(&loop->io, (ev_watcher *)w);
    sim_node_poke(loop->node);
}

void ev_io_stop(struct ev_loop *loop, ev_io *w)
{
    remove_watcher(loop, &loop->io, (ev_watcher *)w);
}

void ev_timer_start(struct ev_loop *loop, ev_timer *w)
{
    if (w->active == 0) {
        w->at += ev_now(loop);
        add(&loop->timer, (ev_watcher *)w);
        sim_node_poke(loop->node);
    }
}

void ev_timer_stop(struct ev_loop *loop, ev_timer *w)
{
    if (w->active != 0) {
        w->at -= ev_now(loop);
    }
    remove_watcher(loop, &loop->timer, (ev_watcher *)w);
}

void ev_timer_again(struct ev_loop *loop, ev_timer *w)
{
    ev_timer_stop(loop, w);
    if (w->repeat > 0.) {
        w->at = w->repeat;
        ev_timer_start(loop, w);
    }
}

void ev_prepare_start(struct ev_loop *loop, ev_prepare *w)
{
    add(&loop->prepare, (ev_watcher *)w);
}

void ev_prepare_stop(struct ev_loop *loop, ev_prepare *w)
{
    remove_watcher(loop, &loop->prepare, (ev_watcher *)w);
}

/* Names are looked up by a thread: the world has numbers only. */
void ev_async_start(struct ev_loop *loop, ev_async *w)
{
    (void)loop;
    (void)w;
    CHECK(!"no name is looked up here");
}

void ev_async_stop(struct ev_loop *loop, ev_async *w)
{
    (void)loop;
    (void)w;
}

void ev_async_send(struct ev_loop *loop, ev_async *w)
{
    (void)loop;
    (void)w;
}

void ev_idle_start(struct ev_loop *loop, ev_idle *w)
{
    add(&loop->idle, (ev_watcher *)w);
    sim_node_poke(loop->node);
}

void ev_idle_stop(struct ev_loop *loop, ev_idle *w)
{
    remove_watcher(loop, &loop->idle, (ev_watcher *)w);
}
