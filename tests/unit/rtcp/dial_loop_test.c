/* Tests of rtcp/dial_loop.c: several addresses of one server, names (P45; design 2.4, last paragraph). Loopback only.
 */
#include "rtcp/base/clock_loop.h"
#include "rtcp/blocking.h"
#include "rtcp/inside_loop.h"

#include <ev.h>
#include <netdb.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#define LIMIT_S 30. /* no test waits longer; valgrind is slow */

/* The linker puts this in the place of getaddrinfo(). */
int __real_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret);
int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret);

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_held; /* names wait for an answer */
    int begun, waiting;
    int failures; /* so many more fail for the moment */
} resolver = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

int __wrap_getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **ret)
{
    bool is_failing = false;

    if ((hints->ai_flags & AI_NUMERICHOST) == 0) {
        pthread_mutex_lock(&resolver.lock);
        resolver.begun++;
        resolver.waiting++;
        pthread_cond_broadcast(&resolver.changed);
        while (resolver.is_held) {
            pthread_cond_wait(&resolver.changed, &resolver.lock);
        }
        resolver.waiting--;
        is_failing = resolver.failures > 0;
        resolver.failures -= is_failing ? 1 : 0;
        pthread_mutex_unlock(&resolver.lock);
    }
    if (is_failing) {
        return EAI_AGAIN;
    }
    return __real_getaddrinfo(host, port, hints, ret);
}

static void hold_names(bool is_held)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.is_held = is_held;
    resolver.begun = is_held ? 0 : resolver.begun;
    pthread_cond_broadcast(&resolver.changed);
    pthread_mutex_unlock(&resolver.lock);
}

static void fail_names(int failures)
{
    pthread_mutex_lock(&resolver.lock);
    resolver.failures = failures;
    pthread_mutex_unlock(&resolver.lock);
}

static int begun_names(int least)
{
    int begun;

    pthread_mutex_lock(&resolver.lock);
    while (resolver.begun < least) {
        pthread_cond_wait(&resolver.changed, &resolver.lock);
    }
    begun = resolver.begun;
    pthread_mutex_unlock(&resolver.lock);
    return begun;
}

struct world {
    struct ev_loop *loop;
    struct rtcp_endpoint *near, *far;
    struct rtcp_listener *listener;
    struct rtcp_stream *client;
    ev_timer deadline;
    base_time began;
    base_time up_at; /* since began; 0: not yet */
    int closed;
    int status;
    int deaf;       /* a socket that listens and accepts nothing */
    int filler[16]; /* what fills its backlog */
    char deaf_text[RTCP_ADDRESS_TEXT];
};

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
    fail_msg("waited in vain");
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    (void)user;
    (void)listener;
    (void)stream;
}

static void on_link(void *user, struct rtcp_stream *stream, bool up)
{
    struct world *w = user;

    (void)stream;
    if (up && w->up_at == 0) {
        w->up_at = base_clock_now() - w->began;
    }
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct world *w = user;

    (void)stream;
    (void)unacknowledged;
    w->closed++;
    w->status = status;
}

static const struct rtcp_stream_callbacks callbacks = {.on_link = on_link, .on_closed = on_closed};

static void set_up(struct world *w)
{
    hold_names(false); /* also after a test that failed */
    fail_names(0);
    *w = (struct world){.loop = ev_loop_new(EVFLAG_AUTO), .deaf = -1};
    assert_non_null(w->loop);
    ev_timer_init(&w->deadline, on_deadline, LIMIT_S, 0.);
    ev_timer_start(w->loop, &w->deadline);
    assert_int_equal(rtcp_endpoint_open(w->loop, NULL, &w->near), 0);
    assert_int_equal(rtcp_endpoint_open(w->loop, NULL, &w->far), 0);
    assert_int_equal(rtcp_listen(w->far, "127.0.0.1:0", NULL, on_accept, w, &w->listener), 0);
    w->began = base_clock_now();
}

static void tear_down(struct world *w)
{
    ev_timer_stop(w->loop, &w->deadline);
    rtcp_endpoint_close(w->near);
    rtcp_endpoint_close(w->far);
    ev_loop_destroy(w->loop);
    if (w->deaf >= 0) {
        for (size_t i = 0; i < sizeof w->filler / sizeof w->filler[0]; i++) {
            close(w->filler[i]);
        }
        close(w->deaf);
    }
}

/* An address where a SYN is not answered: the backlog of a socket that accepts nothing is full. */
static void make_deaf(struct world *w)
{
    struct rtcp_address at = {.family = 4, .ip = {127, 0, 0, 1}};
    struct sockaddr_storage s;
    socklen_t size = rtcp_address_to_sock(&at, &s);

    w->deaf = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(w->deaf, (struct sockaddr *)&s, size), 0);
    assert_int_equal(listen(w->deaf, 0), 0);
    size = sizeof s;
    assert_int_equal(getsockname(w->deaf, (struct sockaddr *)&s, &size), 0);
    for (size_t i = 0; i < sizeof w->filler / sizeof w->filler[0]; i++) {
        w->filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(w->filler[i], (struct sockaddr *)&s, size);
    }
    rtcp_address_from_sock(&s, &at);
    rtcp_address_print(&at, w->deaf_text);
}

static int dial(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int dial(struct world *w, const char *format, ...)
{
    char text[512];
    va_list rest;

    va_start(rest, format);
    vsnprintf(text, sizeof text, format, rest);
    va_end(rest);
    w->began = base_clock_now();
    return rtcp_connect(w->near, text, NULL, &callbacks, w, &w->client);
}

static void run_until(struct world *w, bool (*is_done)(const struct world *w))
{
    while (!is_done(w)) {
        ev_run(w->loop, EVRUN_ONCE);
    }
}

static bool is_up(const struct world *w)
{
    return w->up_at != 0;
}

static bool is_closed(const struct world *w)
{
    return w->closed > 0;
}

static void a_dead_first_address_costs_a_quarter_of_a_second(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    make_deaf(&w);
    assert_int_equal(dial(&w, "%s,%s", w.deaf_text, rtcp_listener_address(w.listener)), 0);
    run_until(&w, is_up);
    assert_in_range(w.up_at, BASE_MS(200), BASE_MS(1500)); /* the attempt itself would wait two seconds */
    assert_string_equal(rtcp_peer_address(w.client), rtcp_listener_address(w.listener));
    tear_down(&w);
}

static void an_address_that_refuses_costs_nothing(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    assert_int_equal(dial(&w, "127.0.0.1:1,[::1]:1,%s", rtcp_listener_address(w.listener)), 0);
    run_until(&w, is_up);
    assert_true(w.up_at < BASE_MS(200));
    tear_down(&w);
}

static void an_opening_is_refused_when_every_address_refuses(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    assert_int_equal(dial(&w, "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"), 0);
    run_until(&w, is_closed);
    assert_int_equal(w.status, BASE_E_REFUSED);
    tear_down(&w);
}

static void a_name_is_looked_up_without_blocking_the_caller(void **state)
{
    const char *port;
    struct world w;

    (void)state;
    set_up(&w);
    port = strrchr(rtcp_listener_address(w.listener), ':') + 1;
    assert_int_equal(dial(&w, "127.0.0.1:1,localhost:%s", port), 0);
    assert_false(is_up(&w));
    run_until(&w, is_up);
    tear_down(&w);
}

static void what_is_found_while_another_address_is_tried_belongs_to_the_attempt(void **state)
{
    const char *port;
    struct world w;

    (void)state;
    set_up(&w);
    make_deaf(&w);
    port = strrchr(rtcp_listener_address(w.listener), ':') + 1;
    assert_int_equal(dial(&w, "%s,localhost:%s", w.deaf_text, port), 0);
    run_until(&w, is_up);
    assert_int_equal(w.client->session.attempt, 1);
    tear_down(&w);
}

static void a_host_that_does_not_exist_ends_the_opening(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    assert_int_equal(dial(&w, "no..such..host:7000"), 0);
    run_until(&w, is_closed);
    assert_int_equal(w.status, BASE_E_NOTFOUND);
    tear_down(&w);
}

/* Thousands of streams that come back at once must not become as many threads. */
static void few_names_are_looked_up_at_once_and_the_others_wait(void **state)
{
    enum { STREAMS = RTCP_LOOKUPS_MAX + 40 };
    const char *port;
    struct world w;
    uint64_t up;

    (void)state;
    set_up(&w);
    port = strrchr(rtcp_listener_address(w.listener), ':') + 1;
    for (int i = 0; i < STREAMS; i++) {
        assert_int_equal(dial(&w, "localhost:%s", port), 0);
    }
    assert_int_equal(w.near->lookups, RTCP_LOOKUPS_MAX);
    do {
        ev_run(w.loop, EVRUN_ONCE);
        assert_true(w.near->lookups <= RTCP_LOOKUPS_MAX);
        up = 0;
        for (const struct rtcp_stream *s = w.near->streams; s != NULL; s = s->next) {
            up += s->session.path == RTCP_PATH_ATTACHED ? 1 : 0;
        }
    } while (up < STREAMS);
    assert_int_equal(w.near->lookups, 0);
    assert_int_equal(w.closed, 0);
    tear_down(&w);
}

/* Neither must streams that come and go while names are not answered: the threads of those that went still wait. */
static void lookups_that_nobody_waits_for_count_until_they_end(void **state)
{
    const char *port;
    struct world w;

    (void)state;
    set_up(&w);
    port = strrchr(rtcp_listener_address(w.listener), ':') + 1;
    hold_names(true);
    for (int i = 0; i < 2 * RTCP_LOOKUPS_MAX; i++) {
        assert_int_equal(dial(&w, "localhost:%s", port), 0);
        rtcp_close(w.client, RTCP_LINGER_ABORT);
        while (w.closed <= i) {
            ev_run(w.loop, EVRUN_NOWAIT); /* nothing else will happen */
        }
    }
    assert_int_equal(w.near->lookups, RTCP_LOOKUPS_MAX);
    assert_int_equal(begun_names(RTCP_LOOKUPS_MAX), RTCP_LOOKUPS_MAX);

    assert_int_equal(dial(&w, "localhost:%s", port), 0);
    hold_names(false);
    while (w.up_at == 0) {
        ev_run(w.loop, EVRUN_ONCE);
    }
    assert_true(w.near->lookups < RTCP_LOOKUPS_MAX);
    tear_down(&w);
}

/* The first attempt that had an address is the first attempt: with nobody there the opening is refused, also where the
 * lookup took longer than the attempts before. */
static void a_late_lookup_of_a_host_where_nobody_listens_ends_the_opening(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    w.near->lookups = RTCP_LOOKUPS_MAX; /* none is free yet */
    assert_int_equal(dial(&w, "localhost:1"), 0);
    while (w.client->session.attempt < 2) {
        ev_run(w.loop, EVRUN_ONCE);
    }
    w.near->lookups = 0;
    run_until(&w, is_closed);
    assert_int_equal(w.status, BASE_E_REFUSED);
    tear_down(&w);
}

/* The thread that looks up may outlive the stream and the endpoint. */
static void an_endpoint_may_be_closed_while_a_name_is_looked_up(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        struct world w;

        set_up(&w);
        hold_names(i % 2 == 0); /* it does, or it may */
        assert_int_equal(dial(&w, "localhost:%d", 1 + i), 0);
        tear_down(&w);
        hold_names(false);
    }
}

static void lists_are_checked_when_they_are_given(void **state)
{
    struct world w;

    (void)state;
    set_up(&w);
    assert_int_equal(dial(&w, "127.0.0.1:1,127.0.0.1"), BASE_E_INVALID);
    assert_int_equal(dial(&w, ",127.0.0.1:1"), BASE_E_INVALID);
    assert_int_equal(dial(&w, "127.0.0.1:1,127.0.0.1:0"), BASE_E_INVALID);
    assert_int_equal(dial(&w, "1.1.1.1:1,1.1.1.2:1,1.1.1.3:1,1.1.1.4:1,1.1.1.5:1,1.1.1.6:1,1.1.1.7:1,1.1.1.8:1,"
                              "1.1.1.9:1"),
                     BASE_E_INVALID);
    tear_down(&w);
}

/* Design 2: one number, a socket for each address that is listened at; two endpoints may have the same number at two
 * addresses of one machine, and what an address cannot reach goes by another socket. */
/* P45: a resolver that is out of reach is no more an error than a server that is. */
static void a_name_that_cannot_be_looked_up_now_is_looked_up_again_in_the_blocking_face(void **state)
{
    struct rtcp_socket_options o;
    struct rtcp_socket *listener, *client;
    char text[RTCP_ADDRESS_TEXT];
    struct rtcp_poll poll = {.events = RTCP_POLL_WRITE};

    (void)state;
    rtcp_socket_options_default(&o);
    o.wait_accepted = true;
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", NULL, &listener), 0);
    rtcp_socket_address(listener, text);
    base_move(text, "localhost", 9); /* as long as 127.0.0.1 */

    fail_names(1000000);
    assert_int_equal(rtcp_socket_connect(text, NULL, BASE_MS(50), &client), BASE_E_EXPIRED);
    fail_names(2); /* the one of the call, and one of an attempt */
    assert_int_equal(rtcp_socket_connect(text, &o, BASE_S(20), &client), 0);
    rtcp_socket_free(client);

    assert_int_equal(rtcp_socket_connect("no..such..host:7", NULL, BASE_S(20), &client), BASE_E_NOTFOUND);
    o.stream.retry_refused = true;
    assert_int_equal(rtcp_socket_connect("no..such..host:7", &o, BASE_MS(50), &client), BASE_E_EXPIRED);
    fail_names(1);
    assert_int_equal(rtcp_socket_connect("no..such..host:7", NULL, 0, &poll.socket), 0);
    assert_int_equal(rtcp_socket_poll(&poll, 1, BASE_S(20)), 1);
    assert_int_equal(rtcp_socket_wait_open(poll.socket), BASE_E_NOTFOUND);
    rtcp_socket_free(poll.socket);
    rtcp_socket_free(listener);
}

static void control_ports_belong_to_their_addresses(void **state)
{
    struct rtcp_listener *other;
    struct rtcp_info info = {.round_trip = 0};
    char text[RTCP_ADDRESS_TEXT];
    uint16_t number;
    struct world w;

    (void)state;
    set_up(&w);
    number = (uint16_t)strtol(strrchr(rtcp_listener_address(w.listener), ':') + 1, NULL, 10);
    snprintf(text, sizeof text, "127.0.0.2:%u", number);
    assert_int_equal(rtcp_listen(w.near, text, NULL, on_accept, &w, &other), 0);
    assert_int_equal(w.far->port[0].bound.port, number);
    assert_int_equal(w.near->port[0].bound.port, number);

    assert_int_equal(dial(&w, "%s", rtcp_listener_address(w.listener)), 0);
    while (info.round_trip == 0) { /* of a datagram */
        ev_run(w.loop, EVRUN_ONCE);
        rtcp_info(w.client, &info);
    }
    assert_int_equal(w.near->port_count, 2);
    assert_int_equal(w.client->session.route->via, 1);
    assert_int_not_equal(w.near->port[1].bound.port, number);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dead_first_address_costs_a_quarter_of_a_second),
        cmocka_unit_test(an_address_that_refuses_costs_nothing),
        cmocka_unit_test(an_opening_is_refused_when_every_address_refuses),
        cmocka_unit_test(a_name_is_looked_up_without_blocking_the_caller),
        cmocka_unit_test(what_is_found_while_another_address_is_tried_belongs_to_the_attempt),
        cmocka_unit_test(a_host_that_does_not_exist_ends_the_opening),
        cmocka_unit_test(few_names_are_looked_up_at_once_and_the_others_wait),
        cmocka_unit_test(lookups_that_nobody_waits_for_count_until_they_end),
        cmocka_unit_test(a_late_lookup_of_a_host_where_nobody_listens_ends_the_opening),
        cmocka_unit_test(an_endpoint_may_be_closed_while_a_name_is_looked_up),
        cmocka_unit_test(lists_are_checked_when_they_are_given),
        cmocka_unit_test(a_name_that_cannot_be_looked_up_now_is_looked_up_again_in_the_blocking_face),
        cmocka_unit_test(control_ports_belong_to_their_addresses),
    };

    return cmocka_run_group_tests_name("unit/rtcp/dial_loop", tests, NULL, NULL);
}
