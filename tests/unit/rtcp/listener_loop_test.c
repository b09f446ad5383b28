/* Listening sockets over loopback, asked by strangers that speak byte by byte: what they leave behind, what they are
 * told. Every wait is for an event and ends with a deadline; nothing sleeps.
 */
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE_S 10.

static const uint8_t first_bytes[32] = "the key that opens, 32 bytes....";
static const uint8_t second_bytes[32] = "a key that is accepted, too.....";
static const struct rtcp_key keys[2] = {{1, first_bytes, 32}, {2, second_bytes, 32}};

struct world {
    struct ev_loop *loop;
    ev_timer deadline;
    bool is_late;
    struct rtcp_endpoint *far;
    struct rtcp_listener *listener;
    int accepted;
    bool shuts;  /* the server ends its bytes at once */
    bool closes; /* ... or closes */
};

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    ((struct world *)w->data)->is_late = true;
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct world *w = user;

    (void)listener;
    w->accepted++;
    if (w->shuts) {
        assert_int_equal(rtcp_shutdown(stream), 0);
    }
    if (w->closes) {
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
}

/* A turn of the loop, as long as the deadline allows more of them. */
static void turn(struct world *w)
{
    ev_run(w->loop, EVRUN_ONCE);
    assert_false(w->is_late);
}

static void on_over(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    *(bool *)w->data = true;
}

/* Lets so much time pass. */
static void turns_for(struct world *w, base_time span)
{
    bool is_over = false;
    ev_timer timer;

    ev_timer_init(&timer, on_over, (double)span / 1e9, 0.);
    timer.data = &is_over;
    ev_timer_start(w->loop, &timer);
    while (!is_over) {
        turn(w);
    }
}

static struct rtcp_listener *listen_here(struct world *w)
{
    struct rtcp_listener *listener;

    assert_int_equal(rtcp_listen(w->far, "127.0.0.1:0", NULL, on_accept, w, &listener), 0);
    return listener;
}

static void set_up(struct world *w, size_t key_count, size_t streams_max)
{
    struct rtcp_endpoint_options o;

    *w = (struct world){.loop = ev_loop_new(EVFLAG_AUTO)};
    assert_non_null(w->loop);
    rtcp_endpoint_options_default(&o);
    o.keys = key_count > 0 ? keys : NULL;
    o.key_count = key_count;
    o.streams_max = streams_max;
    assert_int_equal(rtcp_endpoint_open(w->loop, &o, &w->far), 0);
    w->listener = listen_here(w);
    ev_timer_init(&w->deadline, on_deadline, DEADLINE_S, 0.);
    w->deadline.data = w;
    ev_timer_start(w->loop, &w->deadline);
}

static void tear_down(struct world *w)
{
    ev_timer_stop(w->loop, &w->deadline);
    rtcp_endpoint_close(w->far);
    ev_loop_destroy(w->loop);
}

/* A stranger's connection from 127.0.0.`host`, which says `bytes` at once. */
static int dial_from(uint8_t host, const struct rtcp_listener *listener, const void *bytes, size_t size)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in from = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + host)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    at.sin_port = htons((uint16_t)strtol(strchr(rtcp_listener_address(listener), ':') + 1, NULL, 10));
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), (ssize_t)size);
    return fd;
}

static int dial(const struct rtcp_listener *listener, const void *bytes, size_t size)
{
    return dial_from(1, listener, bytes, size);
}

/* An OPEN under one of the keys, or under none (-1). */
static void put_open(uint8_t out[RTCP_WIRE_REQUEST], int key, uint16_t udp_port, uint8_t number)
{
    struct rtcp_wire_request r = {.kind = RTCP_WIRE_OPEN, .udp_port = udp_port, .control_id = 7, .attempt = 1};
    struct rtcp_auth_shared shared;

    rtcp_auth_shared_init(&shared, (struct base_bytes){key < 0 ? NULL : keys[key].bytes, key < 0 ? 0 : keys[key].size},
                          key < 0 ? 0 : keys[key].id);
    r.key_id = shared.id;
    r.window = 65536;
    r.client_incarnation = 1000 + number;
    r.nonce[0] = number;
    rtcp_wire_put_request(out, &r);
    rtcp_auth_sign(out, RTCP_WIRE_REQUEST, shared.key, 0, 0, NULL);
}

/* ------------------------------------------------------------------------------------------------ what is left */

/* The last connection that a closed listener was kept for is pushed out by one that it just accepted, and that one is a
 * scanner's: the listener goes only when it has done accepting (P41). */
static void a_closed_listener_lives_until_it_has_done_accepting(void **state)
{
    int fd[RTCP_HALF_OPEN_MAX + 2];
    struct rtcp_listener *other;
    struct rtcp_stats stats;
    struct world w;
    int count = 0;

    (void)state;
    set_up(&w, 0, 100);
    other = listen_here(&w);
    fd[count++] = dial(w.listener, "H", 1);
    while (w.far->half_open < 1) {
        turn(&w);
    }
    while (count < RTCP_HALF_OPEN_MAX) {
        fd[count++] = dial(other, "H", 1);
        turn(&w);
    }
    while (w.far->half_open < RTCP_HALF_OPEN_MAX) {
        turn(&w);
    }
    rtcp_listener_close(w.listener);
    fd[count++] = dial(w.listener, "GET / HTTP/1.1", 14);
    do {
        turn(&w);
        rtcp_endpoint_stats(w.far, &stats);
    } while (stats.handshakes_dropped < 2);

    assert_ptr_equal(w.far->listeners, other);
    assert_null(other->next);
    for (int i = 0; i < count; i++) {
        close(fd[i]);
    }
    tear_down(&w);
}

/* A client that tells no UDP port has no route; one that nobody holds would fill the table for those that come after.
 */
static void clients_that_tell_no_port_leave_no_route_behind(void **state)
{
    struct world w;

    (void)state;
    set_up(&w, 0, 100);
    for (int i = 0; i < 5; i++) {
        uint8_t open[RTCP_WIRE_REQUEST];
        int fd;

        put_open(open, -1, 0, (uint8_t)i);
        fd = dial(w.listener, open, sizeof open);
        while (w.accepted <= i) {
            turn(&w);
        }
        close(fd);
    }

    assert_int_equal(w.far->routes.count, 0);
    tear_down(&w);
}

static void wait_for_answer(struct world *w, int fd, struct rtcp_wire_answer *ret_answer)
{
    uint8_t bytes[RTCP_WIRE_ANSWER];
    size_t size = 0;

    while (size < sizeof bytes) {
        ssize_t n = recv(fd, bytes + size, sizeof bytes - size, MSG_DONTWAIT);

        assert_int_not_equal(n, 0);
        size += n > 0 ? (size_t)n : 0;
        turn(w);
    }
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){bytes, sizeof bytes}, ret_answer), 0);
}

/* The RESUME of who sent `open` and was answered by `a`, at the beginning of both directions. */
static void put_resume(uint8_t out[RTCP_WIRE_REQUEST], const uint8_t open[RTCP_WIRE_REQUEST],
                       const struct rtcp_wire_answer *a, uint16_t udp_port, uint16_t flags)
{
    const struct rtcp_auth_shared none = {.is_set = false};
    struct rtcp_wire_request r;
    struct rtcp_auth_keys own;

    assert_int_equal(rtcp_wire_get_request((struct base_bytes){open, RTCP_WIRE_REQUEST}, &r), 0);
    rtcp_auth_derive(&own, &none, r.nonce, a->nonce);
    r.kind = RTCP_WIRE_RESUME;
    r.flags = flags;
    r.udp_port = udp_port;
    r.cid = a->cid;
    r.attempt++;
    r.name = a->name;
    r.server_incarnation = a->incarnation;
    rtcp_wire_put_request(out, &r);
    rtcp_auth_sign(out, RTCP_WIRE_REQUEST, own.handshake_up, 0, 0, NULL);
}

/* Its session has nobody to say anything to, also what it was about to repeat. */
static void a_client_that_comes_back_from_elsewhere_without_a_port_has_no_route_any_more(void **state)
{
    uint8_t open[RTCP_WIRE_REQUEST];
    uint8_t resume[RTCP_WIRE_REQUEST];
    struct rtcp_wire_answer a;
    struct world w;
    int fd[2];

    (void)state;
    set_up(&w, 0, 100);
    w.shuts = true;
    put_open(open, -1, 1, 1);
    fd[0] = dial(w.listener, open, sizeof open);
    wait_for_answer(&w, fd[0], &a);
    assert_int_equal(w.far->routes.count, 1);
    put_resume(resume, open, &a, 0, 0);
    fd[1] = dial_from(2, w.listener, resume, sizeof resume);
    wait_for_answer(&w, fd[1], &a);
    assert_int_equal(a.kind, RTCP_WIRE_RESUMED);
    turns_for(&w, RTCP_RELIABLE_LAST); /* a HALF_CLOSE would be repeated by then */

    assert_int_equal(w.far->routes.count, 0);
    close(fd[0]);
    close(fd[1]);
    tear_down(&w);
}

/* A client chooses its incarnation. This one fits those of 127.0.0.1 as it would have to, were the key of a route a
 * hash that everybody can compute: it would take over where messages to the other go. */
static void nobody_shares_anothers_route_by_choice(void **state)
{
    const uint64_t prime = 0x100000001b3u;
    const uint64_t inverse = 0xce965057aff6957bu;
    uint64_t victim = 1001;
    uint64_t other = (((((victim ^ 4 ^ 127) * prime * prime * prime) ^ 1 ^ 2) * inverse * inverse * inverse)) ^ 127 ^ 4;
    uint8_t open[RTCP_WIRE_REQUEST];
    struct rtcp_auth_shared none;
    struct world w;
    int fd[2];

    (void)state;
    set_up(&w, 0, 100);
    assert_true(prime * inverse == 1);
    put_open(open, -1, 1, 1);
    fd[0] = dial_from(1, w.listener, open, sizeof open);
    put_open(open, -1, 1, 2);
    rtcp_auth_shared_init(&none, (struct base_bytes){NULL, 0}, 0);
    base_put64(open + 44, other);
    rtcp_auth_sign(open, sizeof open, none.key, 0, 0, NULL);
    fd[1] = dial_from(2, w.listener, open, sizeof open);
    while (w.accepted < 2) {
        turn(&w);
    }

    assert_int_equal(w.far->routes.count, 2);
    close(fd[0]);
    close(fd[1]);
    tear_down(&w);
}

/* ------------------------------------------------------------------------------------------------ what is said */

/* PROTOCOL.md "Several keys": a REFUSE is signed under the key of its request, whichever opens here. */
static void a_refusal_is_signed_under_the_key_of_its_request(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        uint8_t answer[RTCP_WIRE_ANSWER];
        uint8_t open[RTCP_WIRE_REQUEST];
        struct rtcp_auth_shared shared;
        struct rtcp_wire_answer a;
        struct world w;
        int fd[2];

        set_up(&w, 2, 1);
        put_open(open, 0, 0, 1);
        fd[0] = dial(w.listener, open, sizeof open);
        while (w.far->stats.sessions < 1) {
            turn(&w);
        }
        put_open(open, i, 0, 2);
        fd[1] = dial(w.listener, open, sizeof open);
        while (w.far->stats.full_refused < 1) {
            turn(&w);
        }

        assert_int_equal(recv(fd[1], answer, sizeof answer, MSG_WAITALL), sizeof answer);
        assert_int_equal(rtcp_wire_get_answer((struct base_bytes){answer, sizeof answer}, &a), 0);
        assert_int_equal(a.reason, RTCP_WIRE_FULL);
        rtcp_auth_shared_init(&shared, (struct base_bytes){keys[i].bytes, keys[i].size}, keys[i].id);
        assert_true(rtcp_auth_is_signed(answer, sizeof answer, shared.key, 0, 0, open + 68));
        close(fd[0]);
        close(fd[1]);
        tear_down(&w);
    }
}

/* Where datagrams do not get through the flags of a RESUME are the client's CLOSE, and the answer is its confirmation.
 */
static void who_completes_a_session_by_its_resume_is_answered(void **state)
{
    uint8_t open[RTCP_WIRE_REQUEST];
    uint8_t resume[RTCP_WIRE_REQUEST];
    struct rtcp_wire_answer a;
    struct world w;
    int fd[2];

    (void)state;
    set_up(&w, 0, 100);
    w.closes = true;
    put_open(open, -1, 1, 1);
    fd[0] = dial(w.listener, open, sizeof open);
    wait_for_answer(&w, fd[0], &a);
    put_resume(resume, open, &a, 1, RTCP_WIRE_SHUT | RTCP_WIRE_CLOSED);
    fd[1] = dial(w.listener, resume, sizeof resume);
    wait_for_answer(&w, fd[1], &a);

    assert_int_equal(a.kind, RTCP_WIRE_RESUMED);
    assert_int_equal(a.flags, RTCP_WIRE_SHUT | RTCP_WIRE_CLOSED);
    close(fd[0]);
    close(fd[1]);
    tear_down(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_closed_listener_lives_until_it_has_done_accepting),
        cmocka_unit_test(clients_that_tell_no_port_leave_no_route_behind),
        cmocka_unit_test(a_client_that_comes_back_from_elsewhere_without_a_port_has_no_route_any_more),
        cmocka_unit_test(nobody_shares_anothers_route_by_choice),
        cmocka_unit_test(a_refusal_is_signed_under_the_key_of_its_request),
        cmocka_unit_test(who_completes_a_session_by_its_resume_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
