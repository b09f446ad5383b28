/* The way out of a program: every stream closed in the background, with a deadline, and its progress told. See
 * inside_loop.h.
 *
 * Must never know: how a stream closes. That is its session's.
 */
#include "rtcp/base/clock_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

static void tell(struct rtcp_endpoint *endpoint, bool is_over)
{
    struct rtcp_draining *d = &endpoint->drain;
    struct rtcp_drain_progress progress = {
        .streams = endpoint->stats.sessions,
        .lost = endpoint->stats.bytes_lost - d->lost_before,
        .is_over = is_over,
    };

    for (const struct rtcp_stream *s = endpoint->streams; s != NULL; s = s->next) {
        progress.unacknowledged += s->session.out.upto - s->session.out.first;
    }
    if (d->on_drain != NULL) {
        d->on_drain(d->user, endpoint, &progress);
    }
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    struct rtcp_endpoint *endpoint = w->data;

    (void)loop;
    (void)events;
    if (endpoint->stats.sessions > 0) {
        tell(endpoint, false);
    }
    rtcp_endpoint_turn(endpoint);
}

void rtcp_drain_look(struct rtcp_endpoint *endpoint)
{
    struct rtcp_draining *d = &endpoint->drain;

    if (!d->is_on || d->is_over || endpoint->stats.sessions > 0) {
        return;
    }
    d->is_over = true;
    ev_timer_stop(endpoint->loop, &d->tick);
    tell(endpoint, true);
}

void rtcp_drain_stop(struct rtcp_endpoint *endpoint)
{
    if (endpoint->drain.is_on) {
        ev_timer_stop(endpoint->loop, &endpoint->drain.tick);
    }
}

void rtcp_drain(struct rtcp_endpoint *endpoint, base_time within, rtcp_on_drain *on_drain, void *user)
{
    struct rtcp_draining *d = &endpoint->drain;

    if (!d->is_on) {
        d->is_on = true;
        d->lost_before = endpoint->stats.bytes_lost;
        ev_timer_init(&d->tick, on_tick, 0., (double)RTCP_DRAIN_TICK / 1e9);
        d->tick.data = endpoint;
    }
    d->is_over = false;
    d->on_drain = on_drain;
    d->user = user;
    d->deadline = base_time_add(base_clock_now(), within);
    ev_timer_again(endpoint->loop, &d->tick); /* it also keeps the loop running until the last call was made */
    for (struct rtcp_stream *s = endpoint->streams; s != NULL; s = s->next) {
        rtcp_stream_close(s, false, d->deadline, within == BASE_NEVER);
    }
    ev_idle_start(endpoint->loop, &endpoint->awake); /* with nothing to wait for the next turn ends it */
}
