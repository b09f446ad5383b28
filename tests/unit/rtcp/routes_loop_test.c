/* Tests of rtcp/routes_loop.c over real sockets on loopback: which streams take a route, and which route leads to an
 * address.
 *
 * Every wait is for an event and ends with a deadline; nothing sleeps.
 */
#include "rtcp/inside_loop.h"
#include "tests/unit/rtcp/pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define DEADLINE_S 10.
#define STREAMS    5 /* even ones to one server address, odd ones to the other */

struct world {
    struct pair pair;
    struct rtcp_listener *other;
    struct rtcp_stream *stream[STREAMS];
    unsigned up;
    unsigned evidence[STREAMS];
};

static unsigned place_of(const struct world *w, const struct rtcp_stream *stream)
{
    unsigned i = 0;

    while (w->stream[i] != stream) {
        i++;
        assert_true(i < STREAMS);
    }
    return i;
}

static void on_link(void *user, struct rtcp_stream *stream, bool up)
{
    (void)stream;
    ((struct world *)user)->up += up ? 1 : 0;
}

static void on_evidence(void *user, struct rtcp_stream *stream, enum rtcp_evidence evidence)
{
    struct world *w = user;

    assert_int_equal(evidence, RTCP_EVIDENCE_UNREACHABLE);
    w->evidence[place_of(w, stream)]++;
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    (void)user;
    (void)listener;
    (void)stream;
}

static void set_up(struct world *w)
{
    const struct rtcp_stream_callbacks calls = {.on_link = on_link, .on_evidence = on_evidence};
    const struct pair_options options = {.limit = DEADLINE_S, .on_accept = on_accept, .user = w};

    *w = (struct world){.up = 0};
    pair_open(&w->pair, &options);
    assert_int_equal(rtcp_listen(w->pair.far, "127.0.0.2:0", NULL, on_accept, w, &w->other), 0);
    for (unsigned i = 0; i < STREAMS; i++) {
        const struct rtcp_listener *to = i % 2 == 0 ? w->pair.listener : w->other;

        assert_int_equal(rtcp_connect(w->pair.near, rtcp_listener_address(to), NULL, &calls, w, &w->stream[i]), 0);
    }
    PAIR_UNTIL(&w->pair, w->up == STREAMS);
}

static struct rtcp_route *route_of(const struct world *w, unsigned i)
{
    assert_non_null(w->stream[i]->session.route);
    return w->stream[i]->session.route;
}

static unsigned heard(const struct world *w, unsigned first)
{
    unsigned count = 0;

    for (unsigned i = first; i < STREAMS; i += 2) {
        count += w->evidence[i];
    }
    return count;
}

static void news_of_a_route_reach_the_streams_that_take_it_and_no_others(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    assert_ptr_equal(route_of(&w, 0), route_of(&w, 2));
    assert_ptr_not_equal(route_of(&w, 0), route_of(&w, 1));

    rtcp_routes_hint(route_of(&w, 0), w.stream[2], RTCP_EVIDENCE_UNREACHABLE, rtcp_endpoint_now(w.pair.near));
    rtcp_endpoint_turn(w.pair.near);

    assert_int_equal(heard(&w, 0), 2); /* all but the one that knows already */
    assert_int_equal(w.evidence[2], 0);
    assert_int_equal(heard(&w, 1), 0);
    pair_close(&w.pair);
}

/* In the beginning, the middle and the end of its list. */
static void a_stream_that_is_gone_takes_no_route(void **state)
{
    (void)state;
    for (unsigned gone = 0; gone < STREAMS; gone += 2) {
        struct world w;

        set_up(&w);
        rtcp_close(w.stream[gone], RTCP_LINGER_ABORT);
        PAIR_UNTIL(&w.pair, w.pair.near->stats.sessions == STREAMS - 1);
        rtcp_routes_hint(route_of(&w, gone == 0 ? 2 : 0), NULL, RTCP_EVIDENCE_UNREACHABLE,
                         rtcp_endpoint_now(w.pair.near));
        rtcp_endpoint_turn(w.pair.near);

        assert_int_equal(heard(&w, 0), 2);
        assert_int_equal(w.evidence[gone], 0);
        pair_close(&w.pair);
    }
}

static void a_route_is_found_by_the_address_it_leads_to_now(void **state)
{
    struct rtcp_address before, after, courier = rtcp_address_courier(3);
    struct rtcp_endpoint *near;
    struct rtcp_route *route;
    struct world w;

    (void)state;
    set_up(&w);
    near = w.pair.near;
    route = route_of(&w, 0);
    before = route->to;
    after = before;
    after.port++;
    assert_ptr_equal(rtcp_routes_at(near, &before), route);
    assert_ptr_equal(rtcp_routes_at(near, &route_of(&w, 1)->to), route_of(&w, 1));
    assert_null(rtcp_routes_at(near, &after));

    route->to = after;
    rtcp_routes_moved(near, route);
    assert_ptr_equal(rtcp_routes_at(near, &after), route);
    assert_null(rtcp_routes_at(near, &before));

    route->to = courier; /* no ICMP message is about a CONTROL connection */
    rtcp_routes_moved(near, route);
    assert_null(rtcp_routes_at(near, &after));
    assert_null(rtcp_routes_at(near, &courier));
    route->to = before;
    rtcp_routes_moved(near, route);
    pair_close(&w.pair);
}

/* A former life of the peer is still waited for where the new one lives. */
static void of_two_routes_to_one_address_the_one_heard_last_is_found(void **state)
{
    struct rtcp_route *one, *two;
    struct rtcp_address own;
    struct world w;

    (void)state;
    set_up(&w);
    one = route_of(&w, 0);
    two = route_of(&w, 1);
    own = two->to;
    two->to = one->to;
    rtcp_routes_moved(w.pair.near, two);
    assert_ptr_equal(rtcp_routes_at(w.pair.near, &one->to), two);

    two->to = own; /* it went, and the first one speaks again */
    rtcp_routes_moved(w.pair.near, two);
    assert_null(rtcp_routes_at(w.pair.near, &one->to));
    rtcp_routes_moved(w.pair.near, one);
    assert_ptr_equal(rtcp_routes_at(w.pair.near, &one->to), one);
    assert_ptr_equal(rtcp_routes_at(w.pair.near, &own), two);
    pair_close(&w.pair);
}

static void a_route_that_nobody_takes_is_not_found(void **state)
{
    struct rtcp_address to;
    struct world w;

    (void)state;
    set_up(&w);
    to = route_of(&w, 1)->to;
    for (unsigned i = 1; i < STREAMS; i += 2) {
        rtcp_close(w.stream[i], RTCP_LINGER_ABORT);
    }
    PAIR_UNTIL(&w.pair, w.pair.near->stats.sessions == STREAMS - STREAMS / 2);

    assert_null(rtcp_routes_at(w.pair.near, &to));
    assert_int_equal(w.pair.near->routes.count, 1);
    assert_int_equal(w.pair.near->route_at.count, 1);
    pair_close(&w.pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(news_of_a_route_reach_the_streams_that_take_it_and_no_others),
        cmocka_unit_test(a_stream_that_is_gone_takes_no_route),
        cmocka_unit_test(a_route_is_found_by_the_address_it_leads_to_now),
        cmocka_unit_test(of_two_routes_to_one_address_the_one_heard_last_is_found),
        cmocka_unit_test(a_route_that_nobody_takes_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
