/* Threads that send much in a short time: it leaves in batches, and what is left leaves in time. rtcp/blocking.h
 * "rtcp_socket_send".
 *
 * Whether a burst goes on depends on the clock, so the tests try until one does; once bytes wait, they wait so long
 * that no test could end by it.
 */
#include "rtcp/blocking_inside.h"
#include "rtcp/defaults.h"
#include "tests/unit/rtcp/blocking_resumed.h"

#include <pthread.h>

#define SOME  10u
#define LARGE (1u << 20)
#define TRIES 200 /* of bursts; one in a few milliseconds succeeds at once unless the machine is stopped */

static int setup_with(void **state, bool at_once)
{
    struct rtcp_stream_options o;
    struct blocking_pair *p;
    int status;

    rtcp_stream_options_default(&o);
    o.ring = LARGE;
    o.at_once = at_once;
    status = blocking_pair_setup_with(state, &o);
    p = *state;
    assert_int_equal(rtcp_socket_wait_open(p->client), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(p->client, BLOCKING_PAIR_LONG), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(p->server, BLOCKING_PAIR_LONG), 0);
    return status;
}

static int setup(void **state)
{
    return setup_with(state, false);
}

static int setup_at_once(void **state)
{
    return setup_with(state, true);
}

static void send_zeros(struct rtcp_socket *socket, size_t size)
{
    static const uint8_t zeros[RTCP_BURST_BATCH];

    assert_int_equal(rtcp_socket_send(socket, zeros, size), size);
}

static void expect_bytes(struct rtcp_socket *socket, size_t size)
{
    uint8_t bytes[4096];

    while (size > 0) {
        int64_t n = rtcp_socket_recv(socket, bytes, size < sizeof bytes ? size : sizeof bytes);

        assert_true(n > 0);
        size -= (size_t)n;
    }
}

/* Whatever came before: it ends. */
static void expect_end(struct rtcp_socket *socket)
{
    uint8_t bytes[4096];
    int64_t n;

    do {
        n = rtcp_socket_recv(socket, bytes, sizeof bytes);
    } while (n > 0);
    assert_int_equal(n, BASE_E_RESET);
}

static size_t unwritten(struct rtcp_socket *socket)
{
    const struct rtcp_session *s = &socket->stream->session;
    size_t count;

    assert_true(rtcp_face_lock(socket->face));
    count = (size_t)(s->out.upto - s->written);
    rtcp_face_unlock(socket->face);
    return count;
}

/* Whether the last bytes wait; if so, they do until something else than the time sends them. */
static bool hold(struct rtcp_socket *socket)
{
    struct rtcp_stream *stream = socket->stream;
    bool waits;

    assert_true(rtcp_face_lock(socket->face));
    waits = stream->flush_at != 0 && stream->session.out.upto - stream->session.written == SOME;
    if (waits) {
        stream->flush_at = base_clock_now() + BASE_S(1000);
    }
    rtcp_face_unlock(socket->face);
    return waits;
}

#define LEFT ((size_t)RTCP_BURST_AT_ONCE + SOME)

/* Leaves SOME bytes of the client waiting; LEFT are to be read in all. */
static void leave_some(struct blocking_pair *p)
{
    for (int i = 0; i < TRIES; i++) {
        send_zeros(p->client, RTCP_BURST_AT_ONCE);
        send_zeros(p->client, SOME);
        if (hold(p->client)) {
            return;
        }
        expect_bytes(p->server, LEFT);
    }
    fail_msg("no burst of %d", TRIES);
}

static void *read_left(void *argument)
{
    expect_bytes(argument, LEFT);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ cases */

static void what_is_left_leaves_by_itself(void **state)
{
    struct blocking_pair *p = *state;

    for (int i = 0; i < 20; i++) { /* in bursts and not */
        pthread_t thread;

        send_zeros(p->client, RTCP_BURST_AT_ONCE);
        send_zeros(p->client, SOME);
        assert_int_equal(pthread_create(&thread, NULL, read_left, p->server), 0);
        pthread_join(thread, NULL); /* this thread makes no call that would send it */
    }
}

static void a_batch_leaves_with_its_call(void **state)
{
    struct blocking_pair *p = *state;

    leave_some(p);
    send_zeros(p->client, RTCP_BURST_BATCH);
    assert_int_equal(unwritten(p->client), 0);
    expect_bytes(p->server, LEFT + RTCP_BURST_BATCH);
}

static void a_read_sends_it(void **state)
{
    struct blocking_pair *p = *state;
    uint8_t byte;

    leave_some(p);
    assert_int_equal(rtcp_socket_set_nonblocking(p->client, true), 0);
    assert_int_equal(rtcp_socket_recv(p->client, &byte, 1), BASE_E_AGAIN);
    assert_int_equal(unwritten(p->client), 0);
    expect_bytes(p->server, LEFT);
}

/* As in a proxy: the next bytes come from somewhere else, and may be long in coming. */
static void so_does_a_read_of_another_socket(void **state)
{
    struct blocking_pair *p = *state;

    leave_some(p);
    expect_bytes(p->server, 1);
    assert_int_equal(unwritten(p->client), 0);
    expect_bytes(p->server, LEFT - 1);
}

static void so_does_a_wait_for_a_client(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_socket *none;

    leave_some(p);
    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, BASE_MS(1)), 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &none), BASE_E_EXPIRED);
    assert_int_equal(unwritten(p->client), 0);
    expect_bytes(p->server, LEFT);
}

static void *read_one(void *argument)
{
    uint8_t byte;

    return rtcp_socket_recv(argument, &byte, 1) == 1 ? NULL : argument;
}

static void another_thread_that_reads_another_socket_does_not(void **state)
{
    struct blocking_pair *p = *state;
    pthread_t thread;
    void *failed;

    leave_some(p);
    assert_int_equal(pthread_create(&thread, NULL, read_one, p->server), 0);
    pthread_join(thread, &failed);
    assert_null(failed);
    assert_int_equal(unwritten(p->client), SOME);
    expect_bytes(p->server, LEFT - 1);
}

static void so_does_a_poll(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_poll poll = {.socket = p->client, .events = RTCP_POLL_READ};

    leave_some(p);
    assert_int_equal(rtcp_socket_poll(&poll, 1, 0), 0);
    assert_int_equal(unwritten(p->client), 0);
    expect_bytes(p->server, LEFT);
}

static void so_does_a_flush(void **state)
{
    struct blocking_pair *p = *state;

    leave_some(p);
    assert_int_equal(rtcp_socket_set_nonblocking(p->client, true), 0);
    assert_int_equal(rtcp_socket_flush(p->client), BASE_E_AGAIN); /* it is on its way, and nobody has read it */
    assert_int_equal(unwritten(p->client), 0);
    expect_bytes(p->server, LEFT);
}

static void an_end_takes_it_along(void **state)
{
    struct blocking_pair *p = *state;
    uint8_t byte;

    leave_some(p);
    assert_int_equal(rtcp_socket_shutdown(p->client), 0);
    expect_bytes(p->server, LEFT);
    assert_int_equal(rtcp_socket_recv(p->server, &byte, 1), 0);
}

static void a_close_takes_it_along(void **state)
{
    struct blocking_pair *p = *state;
    uint8_t byte;

    leave_some(p);
    assert_int_equal(rtcp_socket_close(p->client, RTCP_LINGER_BACKGROUND, 0), 0);
    expect_bytes(p->server, LEFT);
    assert_int_equal(rtcp_socket_recv(p->server, &byte, 1), 0);
}

static void an_abort_forgets_it(void **state)
{
    struct blocking_pair *p = *state;

    leave_some(p);
    (void)rtcp_socket_close(p->client, RTCP_LINGER_ABORT, 0);
    rtcp_socket_free(p->client);
    p->client = NULL;
    expect_end(p->server);
}

static void a_new_connection_takes_it_along(void **state)
{
    struct blocking_pair *p = *state;

    leave_some(p);
    blocking_resumed_replace(p->client);
    expect_bytes(p->server, LEFT);
}

static void nothing_waits_where_that_is_not_wanted(void **state)
{
    struct blocking_pair *p = *state;

    for (int i = 0; i < 20; i++) {
        send_zeros(p->client, RTCP_BURST_AT_ONCE);
        send_zeros(p->client, SOME);
        assert_false(hold(p->client));
        expect_bytes(p->server, RTCP_BURST_AT_ONCE + SOME);
    }
}

static bool is_read(struct rtcp_socket *socket)
{
    bool is_taken;

    assert_true(rtcp_face_lock(socket->face));
    is_taken = socket->reader.is_taken;
    rtcp_face_unlock(socket->face);
    return is_taken;
}

/* What it reads may be the answer: a request in pieces loses no millisecond. */
static void nothing_waits_while_a_thread_reads(void **state)
{
    struct blocking_pair *p = *state;
    base_time until = base_clock_now() + BLOCKING_PAIR_LONG;
    pthread_t thread;
    void *failed;

    assert_int_equal(pthread_create(&thread, NULL, read_one, p->client), 0);
    while (!is_read(p->client)) {
        assert_true(base_clock_now() < until);
    }
    for (int i = 0; i < 20; i++) {
        send_zeros(p->client, RTCP_BURST_AT_ONCE);
        send_zeros(p->client, SOME);
        assert_false(hold(p->client));
        expect_bytes(p->server, RTCP_BURST_AT_ONCE + SOME);
    }
    send_zeros(p->server, 1);
    pthread_join(thread, &failed);
    assert_null(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_left_leaves_by_itself, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_batch_leaves_with_its_call, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_read_sends_it, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(so_does_a_read_of_another_socket, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(so_does_a_wait_for_a_client, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(another_thread_that_reads_another_socket_does_not, setup,
                                        blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(so_does_a_poll, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(so_does_a_flush, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(an_end_takes_it_along, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_close_takes_it_along, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(an_abort_forgets_it, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_new_connection_takes_it_along, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(nothing_waits_while_a_thread_reads, setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(nothing_waits_where_that_is_not_wanted, setup_at_once, blocking_pair_teardown),
    };

    return cmocka_run_group_tests_name("unit/rtcp/blocking_burst", tests, NULL, NULL);
}
