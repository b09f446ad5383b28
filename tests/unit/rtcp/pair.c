/* Two endpoints on one loop; see pair.h. */
#include "tests/unit/rtcp/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    ((struct pair *)w->data)->is_late = true;
}

void pair_open(struct pair *p, const struct pair_options *o)
{
    *p = (struct pair){.loop = ev_loop_new(EVFLAG_AUTO), .limit = o->limit};
    assert_non_null(p->loop);
    ev_init(&p->deadline, on_deadline);
    p->deadline.data = p;
    assert_int_equal(rtcp_endpoint_open(p->loop, o->near, &p->near), 0);
    assert_int_equal(rtcp_endpoint_open(p->loop, o->far, &p->far), 0);
    assert_int_equal(rtcp_listen(p->far, "127.0.0.1:0", o->listen, o->on_accept, o->user, &p->listener), 0);
}

void pair_close(struct pair *p)
{
    ev_timer_stop(p->loop, &p->deadline);
    if (p->near != NULL) {
        rtcp_endpoint_close(p->near);
    }
    if (p->far != NULL) {
        rtcp_endpoint_close(p->far);
    }
    ev_loop_destroy(p->loop);
}

struct rtcp_stream *pair_connect(struct pair *p, const struct rtcp_stream_options *o,
                                 const struct rtcp_stream_callbacks *calls, void *user)
{
    struct rtcp_stream *stream = NULL;

    assert_int_equal(rtcp_connect(p->near, rtcp_listener_address(p->listener), o, calls, user, &stream), 0);
    return stream;
}

void pair_begin(struct pair *p)
{
    assert_false(p->is_late);
    ev_timer_stop(p->loop, &p->deadline);
    ev_timer_set(&p->deadline, p->limit, 0.);
    ev_timer_start(p->loop, &p->deadline);
}

void pair_turn(struct pair *p)
{
    ev_run(p->loop, EVRUN_ONCE);
    assert_false(p->is_late);
}

struct rtcp_info pair_info(const struct rtcp_stream *stream)
{
    struct rtcp_info info;

    rtcp_info(stream, &info);
    return info;
}
