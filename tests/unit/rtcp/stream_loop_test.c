/* The event-driven face over real sockets on loopback: what a user may do in callbacks, and when they run.
 *
 * Every wait is for an event and ends with a deadline; nothing sleeps.
 */
#include "rtcp/rtcp.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define DEADLINE_S 10.

/* Two endpoints on one loop, a listener on the first, one stream between them. */
struct pair {
    struct ev_loop *loop;
    struct rtcp_endpoint *a, *b;
    struct rtcp_listener *listener;
    struct rtcp_stream *server, *client;
    ev_timer deadline;
    bool late;
    int server_closed, client_closed; /* times on_closed ran */
    int server_status, client_status;
    uint64_t server_unacknowledged;
    bool server_ended, client_ended; /* the peer's end was read */
    size_t server_got, client_got;
    bool in_call;             /* a function of the library is being called */
    bool called_inside;       /* a callback ran meanwhile: forbidden */
    bool close_when_readable; /* the server closes from its own on_readable, in the middle of the data */
    bool close_when_writable;
    bool abort_when_accepted;
    uint8_t probe[RTCP_PROBE_DATA_SIZE];
    int probes;
};

static void on_deadline(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)events;
    ((struct pair *)w->data)->late = true;
    ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until `*what` reaches `least`. */
static void run_until(struct pair *p, const int *what, int least)
{
    ev_timer_stop(p->loop, &p->deadline);
    ev_timer_set(&p->deadline, DEADLINE_S, 0.);
    ev_timer_start(p->loop, &p->deadline);
    while (*what < least && !p->late) {
        ev_run(p->loop, EVRUN_ONCE);
    }
    assert_false(p->late);
}

static void server_readable(void *user, struct rtcp_stream *stream)
{
    struct pair *p = user;
    uint8_t bytes[1000];
    int64_t n = rtcp_recv(stream, bytes, sizeof bytes);

    p->called_inside = p->called_inside || p->in_call;
    if (n > 0) {
        p->server_got += (size_t)n;
    } else if (n == 0) {
        p->server_ended = true;
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
    if (p->close_when_readable) {
        rtcp_close(stream, RTCP_LINGER_ABORT);
        assert_int_equal(rtcp_recv(stream, bytes, sizeof bytes), BASE_E_CLOSED);
        assert_int_equal(rtcp_send(stream, "x", 1), BASE_E_CLOSED);
    }
}

static void server_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct pair *p = user;

    assert_ptr_equal(stream, p->server);
    p->called_inside = p->called_inside || p->in_call;
    p->server_closed++;
    p->server_status = status;
    p->server_unacknowledged = unacknowledged;
}

static void client_readable(void *user, struct rtcp_stream *stream)
{
    struct pair *p = user;
    uint8_t bytes[1000];
    int64_t n = rtcp_recv(stream, bytes, sizeof bytes);

    p->called_inside = p->called_inside || p->in_call;
    if (n > 0) {
        p->client_got += (size_t)n;
    } else if (n == 0) {
        p->client_ended = true;
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
}

static void client_writable(void *user, struct rtcp_stream *stream)
{
    struct pair *p = user;

    p->called_inside = p->called_inside || p->in_call;
    if (p->close_when_writable) {
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
}

static void client_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct pair *p = user;

    (void)unacknowledged;
    assert_ptr_equal(stream, p->client);
    p->called_inside = p->called_inside || p->in_call;
    p->client_closed++;
    p->client_status = status;
}

static void on_probe_data(void *user, struct rtcp_stream *stream, const uint8_t data[RTCP_PROBE_DATA_SIZE])
{
    struct pair *p = user;

    (void)stream;
    p->probes++;
    base_copy(p->probe, data, RTCP_PROBE_DATA_SIZE);
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    static const struct rtcp_stream_callbacks calls = {
        .on_readable = server_readable, .on_closed = server_closed, .on_probe_data = on_probe_data};
    struct pair *p = user;

    assert_ptr_equal(listener, p->listener);
    p->server = stream;
    rtcp_stream_set_callbacks(stream, &calls, p);
    if (p->abort_when_accepted) {
        rtcp_close(stream, RTCP_LINGER_ABORT);
    }
}

static int setup(void **state)
{
    struct pair *p = calloc(1, sizeof *p);

    assert_non_null(p);
    p->loop = ev_loop_new(EVFLAG_AUTO);
    ev_init(&p->deadline, on_deadline);
    p->deadline.data = p;
    assert_int_equal(rtcp_endpoint_open(p->loop, NULL, &p->a), 0);
    assert_int_equal(rtcp_endpoint_open(p->loop, NULL, &p->b), 0);
    assert_int_equal(rtcp_listen(p->a, "127.0.0.1:0", NULL, on_accept, p, &p->listener), 0);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;

    assert_false(p->called_inside);
    rtcp_endpoint_close(p->a);
    rtcp_endpoint_close(p->b);
    ev_timer_stop(p->loop, &p->deadline);
    ev_loop_destroy(p->loop);
    free(p);
    return 0;
}

static void dial(struct pair *p)
{
    static const struct rtcp_stream_callbacks calls = {
        .on_readable = client_readable, .on_writable = client_writable, .on_closed = client_closed};

    p->in_call = true;
    assert_int_equal(rtcp_connect(p->b, rtcp_listener_address(p->listener), NULL, &calls, p, &p->client), 0);
    p->in_call = false;
}

/* Fills the client's ring: part of it travels with the opening. */
static size_t fill(struct pair *p)
{
    static uint8_t bytes[65536];
    size_t total = 0;
    int64_t n;

    p->in_call = true;
    while ((n = rtcp_send(p->client, bytes, sizeof bytes)) > 0) {
        total += (size_t)n;
    }
    p->in_call = false;
    assert_int_equal(n, BASE_E_AGAIN);
    return total;
}

static void both_sides_close_and_everything_was_read(void **state)
{
    struct pair *p = *state;
    size_t total;

    dial(p);
    total = fill(p);
    rtcp_close(p->client, RTCP_LINGER_BACKGROUND);
    run_until(p, &p->client_closed, 1);
    run_until(p, &p->server_closed, 1);

    assert_int_equal(p->client_status, 0);
    assert_int_equal(p->server_status, 0);
    assert_true(p->server_ended);
    assert_int_equal(p->server_got, total);
}

/* Found under a storm of killed clients: the stream was freed while it stood in the list of those whose callbacks wait,
 * because its own callback had put it there again. */
static void a_stream_that_its_own_callback_aborts_is_freed_once(void **state)
{
    struct pair *p = *state;

    p->close_when_readable = true;
    dial(p);
    (void)fill(p);
    run_until(p, &p->server_closed, 1);
    run_until(p, &p->client_closed, 1);

    assert_int_equal(p->server_closed, 1);
    assert_int_equal(p->server_status, BASE_E_CLOSED);
    assert_int_equal(p->client_status, BASE_E_RESET);
}

static void a_stream_may_be_aborted_in_on_accept(void **state)
{
    struct pair *p = *state;

    p->abort_when_accepted = true;
    dial(p);
    run_until(p, &p->server_closed, 1);
    run_until(p, &p->client_closed, 1);

    assert_int_equal(p->client_status, BASE_E_RESET);
}

static void a_stream_may_be_closed_in_on_writable(void **state)
{
    struct pair *p = *state;

    p->close_when_writable = true;
    dial(p);
    run_until(p, &p->client_closed, 1);
    run_until(p, &p->server_closed, 1);

    assert_int_equal(p->client_status, 0);
    assert_int_equal(p->server_status, 0);
}

/* P28: nobody there at the first attempt is an error at once. */
static void nobody_at_the_first_attempt_is_refused(void **state)
{
    struct pair *p = *state;
    struct rtcp_listener *gone;
    char address[RTCP_ADDRESS_TEXT];
    static const struct rtcp_stream_callbacks calls = {.on_closed = client_closed};

    assert_int_equal(rtcp_listen(p->a, "127.0.0.1:0", NULL, on_accept, p, &gone), 0);
    base_copy(address, rtcp_listener_address(gone), strlen(rtcp_listener_address(gone)) + 1);
    rtcp_listener_close(gone);
    assert_int_equal(rtcp_connect(p->b, address, NULL, &calls, p, &p->client), 0);
    run_until(p, &p->client_closed, 1);

    assert_int_equal(p->client_status, BASE_E_REFUSED);
}

static void probe_data_arrive_without_bytes_in_the_stream(void **state)
{
    struct pair *p = *state;
    uint8_t data[RTCP_PROBE_DATA_SIZE] = "a beat";
    struct rtcp_info info;

    dial(p);
    do {
        ev_run(p->loop, EVRUN_ONCE);
        rtcp_info(p->client, &info);
    } while (!info.is_confirmed);
    rtcp_set_probe_data(p->client, data);
    run_until(p, &p->probes, 1);

    assert_memory_equal(p->probe, data, sizeof data);
    assert_int_equal(info.sent, 0);
    assert_true(info.round_trip > 0);
}

static void options_and_addresses_are_checked(void **state)
{
    struct pair *p = *state;
    struct rtcp_stream_options o;
    struct rtcp_endpoint_options e;
    struct rtcp_endpoint *none = NULL;
    struct rtcp_stream *stream = NULL;
    struct rtcp_listener *listener = NULL;

    rtcp_stream_options_default(&o);
    o.ring = RTCP_RING_MIN - 1;
    assert_int_equal(rtcp_connect(p->b, "127.0.0.1:1", &o, NULL, NULL, &stream), BASE_E_RANGE);
    assert_int_equal(rtcp_connect(p->b, "127.0.0.1", NULL, NULL, NULL, &stream), BASE_E_INVALID);
    assert_int_equal(rtcp_connect(p->b, "127.0.0.1:0", NULL, NULL, NULL, &stream), BASE_E_INVALID);
    assert_int_equal(rtcp_connect(p->b, "::1:80", NULL, NULL, NULL, &stream), BASE_E_INVALID);
    assert_int_equal(rtcp_connect(p->b, "127.0.0.1:99999", NULL, NULL, NULL, &stream), BASE_E_INVALID);
    assert_int_equal(rtcp_listen(p->a, rtcp_listener_address(p->listener), NULL, on_accept, p, &listener),
                     BASE_E_SYSTEM);
    rtcp_endpoint_options_default(&e);
    e.key = (const uint8_t *)"short";
    e.key_size = 5;
    assert_int_equal(rtcp_endpoint_open(p->loop, &e, &none), BASE_E_RANGE);
    assert_null(none);
    assert_null(stream);
    assert_null(listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_sides_close_and_everything_was_read, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_that_its_own_callback_aborts_is_freed_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_may_be_aborted_in_on_accept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_stream_may_be_closed_in_on_writable, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_at_the_first_attempt_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(probe_data_arrive_without_bytes_in_the_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(options_and_addresses_are_checked, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
