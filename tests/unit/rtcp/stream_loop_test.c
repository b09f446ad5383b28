/* The event-driven face over real sockets on loopback: what a user may do in callbacks, and when they run.
 *
 * Every wait is for an event and ends with a deadline; nothing sleeps.
 */
#include "rtcp/rtcp.h"
#include "tests/unit/rtcp/pair.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define DEADLINE_S 10.

/* A pair with one stream between them. */
struct world {
    struct pair pair;
    struct rtcp_stream *server, *client;
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

static void server_readable(void *user, struct rtcp_stream *stream)
{
    struct world *w = user;
    uint8_t bytes[1000];
    int64_t n = rtcp_recv(stream, bytes, sizeof bytes);

    w->called_inside = w->called_inside || w->in_call;
    if (n > 0) {
        w->server_got += (size_t)n;
    } else if (n == 0) {
        w->server_ended = true;
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
    if (w->close_when_readable) {
        rtcp_close(stream, RTCP_LINGER_ABORT);
        assert_int_equal(rtcp_recv(stream, bytes, sizeof bytes), BASE_E_CLOSED);
        assert_int_equal(rtcp_send(stream, "x", 1), BASE_E_CLOSED);
    }
}

static void server_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct world *w = user;

    assert_ptr_equal(stream, w->server);
    w->called_inside = w->called_inside || w->in_call;
    w->server_closed++;
    w->server_status = status;
    w->server_unacknowledged = unacknowledged;
}

static void client_readable(void *user, struct rtcp_stream *stream)
{
    struct world *w = user;
    uint8_t bytes[1000];
    int64_t n = rtcp_recv(stream, bytes, sizeof bytes);

    w->called_inside = w->called_inside || w->in_call;
    if (n > 0) {
        w->client_got += (size_t)n;
    } else if (n == 0) {
        w->client_ended = true;
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
}

static void client_writable(void *user, struct rtcp_stream *stream)
{
    struct world *w = user;

    w->called_inside = w->called_inside || w->in_call;
    if (w->close_when_writable) {
        rtcp_close(stream, RTCP_LINGER_BACKGROUND);
    }
}

static void client_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct world *w = user;

    (void)unacknowledged;
    assert_ptr_equal(stream, w->client);
    w->called_inside = w->called_inside || w->in_call;
    w->client_closed++;
    w->client_status = status;
}

static void on_probe_data(void *user, struct rtcp_stream *stream, const uint8_t data[RTCP_PROBE_DATA_SIZE])
{
    struct world *w = user;

    (void)stream;
    w->probes++;
    base_copy(w->probe, data, RTCP_PROBE_DATA_SIZE);
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    static const struct rtcp_stream_callbacks calls = {
        .on_readable = server_readable, .on_closed = server_closed, .on_probe_data = on_probe_data};
    struct world *w = user;

    assert_ptr_equal(listener, w->pair.listener);
    w->server = stream;
    rtcp_stream_set_callbacks(stream, &calls, w);
    if (w->abort_when_accepted) {
        rtcp_close(stream, RTCP_LINGER_ABORT);
    }
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    const struct pair_options options = {.limit = DEADLINE_S, .on_accept = on_accept, .user = w};

    assert_non_null(w);
    pair_open(&w->pair, &options);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    assert_false(w->called_inside);
    rtcp_endpoint_close(w->pair.far); /* the server goes first */
    w->pair.far = NULL;
    pair_close(&w->pair);
    free(w);
    return 0;
}

static void dial(struct world *w)
{
    static const struct rtcp_stream_callbacks calls = {
        .on_readable = client_readable, .on_writable = client_writable, .on_closed = client_closed};

    w->in_call = true;
    w->client = pair_connect(&w->pair, NULL, &calls, w);
    w->in_call = false;
}

/* Fills the client's ring: part of it travels with the opening. */
static size_t fill(struct world *w)
{
    static uint8_t bytes[65536];
    size_t total = 0;
    int64_t n;

    w->in_call = true;
    while ((n = rtcp_send(w->client, bytes, sizeof bytes)) > 0) {
        total += (size_t)n;
    }
    w->in_call = false;
    assert_int_equal(n, BASE_E_AGAIN);
    return total;
}

static void both_sides_close_and_everything_was_read(void **state)
{
    struct world *w = *state;
    size_t total;

    dial(w);
    total = fill(w);
    rtcp_close(w->client, RTCP_LINGER_BACKGROUND);
    PAIR_UNTIL(&w->pair, w->client_closed >= 1);
    PAIR_UNTIL(&w->pair, w->server_closed >= 1);

    assert_int_equal(w->client_status, 0);
    assert_int_equal(w->server_status, 0);
    assert_true(w->server_ended);
    assert_int_equal(w->server_got, total);
}

/* Found under a storm of killed clients: the stream was freed while it stood in the list of those whose callbacks wait,
 * because its own callback had put it there again. */
static void a_stream_that_its_own_callback_aborts_is_freed_once(void **state)
{
    struct world *w = *state;

    w->close_when_readable = true;
    dial(w);
    (void)fill(w);
    PAIR_UNTIL(&w->pair, w->server_closed >= 1);
    PAIR_UNTIL(&w->pair, w->client_closed >= 1);

    assert_int_equal(w->server_closed, 1);
    assert_int_equal(w->server_status, BASE_E_CLOSED);
    assert_int_equal(w->client_status, BASE_E_RESET);
}

static void a_stream_may_be_aborted_in_on_accept(void **state)
{
    struct world *w = *state;

    w->abort_when_accepted = true;
    dial(w);
    PAIR_UNTIL(&w->pair, w->server_closed >= 1);
    PAIR_UNTIL(&w->pair, w->client_closed >= 1);

    assert_int_equal(w->client_status, BASE_E_RESET);
}

static void a_stream_may_be_closed_in_on_writable(void **state)
{
    struct world *w = *state;

    w->close_when_writable = true;
    dial(w);
    PAIR_UNTIL(&w->pair, w->client_closed >= 1);
    PAIR_UNTIL(&w->pair, w->server_closed >= 1);

    assert_int_equal(w->client_status, 0);
    assert_int_equal(w->server_status, 0);
}

/* P28: nobody there at the first attempt is an error at once. */
static void nobody_at_the_first_attempt_is_refused(void **state)
{
    struct world *w = *state;
    struct rtcp_listener *gone;
    char address[RTCP_ADDRESS_TEXT];
    static const struct rtcp_stream_callbacks calls = {.on_closed = client_closed};

    assert_int_equal(rtcp_listen(w->pair.far, "127.0.0.1:0", NULL, on_accept, w, &gone), 0);
    base_copy(address, rtcp_listener_address(gone), strlen(rtcp_listener_address(gone)) + 1);
    rtcp_listener_close(gone);
    assert_int_equal(rtcp_connect(w->pair.near, address, NULL, &calls, w, &w->client), 0);
    PAIR_UNTIL(&w->pair, w->client_closed >= 1);

    assert_int_equal(w->client_status, BASE_E_REFUSED);
}

static void probe_data_arrive_without_bytes_in_the_stream(void **state)
{
    struct world *w = *state;
    uint8_t data[RTCP_PROBE_DATA_SIZE] = "a beat";
    struct rtcp_info info;

    dial(w);
    PAIR_UNTIL(&w->pair, pair_info(w->client).is_confirmed);
    info = pair_info(w->client);
    rtcp_set_probe_data(w->client, data);
    PAIR_UNTIL(&w->pair, w->probes >= 1);

    assert_memory_equal(w->probe, data, sizeof data);
    assert_int_equal(info.sent, 0);
    assert_true(info.round_trip > 0);
}

static void options_and_addresses_are_checked(void **state)
{
    struct world *w = *state;
    struct rtcp_stream_options o;
    struct rtcp_endpoint_options e;
    struct rtcp_endpoint *none = NULL;
    struct rtcp_stream *stream = NULL;
    struct rtcp_listener *listener = NULL;

    rtcp_stream_options_default(&o);
    o.ring = RTCP_RING_MIN - 1;
    assert_int_equal(rtcp_connect(w->pair.near, "127.0.0.1:1", &o, NULL, NULL, &stream), BASE_E_RANGE);
    assert_int_equal(rtcp_connect(w->pair.near, "127.0.0.1", NULL, NULL, NULL, &stream), BASE_E_INVALID);
    assert_int_equal(rtcp_connect(w->pair.near, "127.0.0.1:0", NULL, NULL, NULL, &stream), BASE_E_INVALID);
    assert_int_equal(rtcp_connect(w->pair.near, "::1:80", NULL, NULL, NULL, &stream), BASE_E_INVALID);
    assert_int_equal(rtcp_connect(w->pair.near, "127.0.0.1:99999", NULL, NULL, NULL, &stream), BASE_E_INVALID);
    assert_int_equal(rtcp_listen(w->pair.far, rtcp_listener_address(w->pair.listener), NULL, on_accept, w, &listener),
                     BASE_E_SYSTEM);
    rtcp_endpoint_options_default(&e);
    e.key = (const uint8_t *)"short";
    e.key_size = 5;
    assert_int_equal(rtcp_endpoint_open(w->pair.loop, &e, &none), BASE_E_RANGE);
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
