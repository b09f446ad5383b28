/* Small writes of the blocking face that wait for more: what they cost, and everything that ends their waiting.
 * PROTOCOL.md "What differs from the design", design 2.8.
 *
 * But for the test of the time itself, bytes wait so long that no test could end by it.
 */
#include "rtcp/blocking_inside.h"
#include "rtcp/defaults.h"
#include "tests/unit/rtcp/blocking_resumed.h"

#include <pthread.h>
#include <sys/socket.h>

#define SOME  10u
#define SMALL 64u

/* The linker puts this in the place of send(). */
ssize_t __real_send(int fd, const void *data, size_t size, int flags);
ssize_t __wrap_send(int fd, const void *data, size_t size, int flags);

static int sends; /* atomically: what any thread gave to a kernel */

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
    __atomic_add_fetch(&sends, 1, __ATOMIC_SEQ_CST);
    return __real_send(fd, data, size, flags);
}

/* ------------------------------------------------------------------------------------------------ a pair */

static void set_coalesce(struct rtcp_socket *socket, base_time span)
{
    assert_true(rtcp_face_lock(socket->face));
    socket->stream->coalesce = span;
    rtcp_face_unlock(socket->face);
}

/* Both sides wait longer than an option may say. */
static int setup_patient(void **state)
{
    struct rtcp_stream_options o;
    struct blocking_pair *p;
    int status;

    rtcp_stream_options_default(&o);
    o.coalesce = BASE_S(1);
    status = blocking_pair_setup_with(state, &o);
    p = *state;
    assert_int_equal(rtcp_socket_wait_open(p->client), 0);
    set_coalesce(p->client, BASE_S(1000));
    set_coalesce(p->server, BASE_S(1000));
    assert_int_equal(rtcp_socket_set_read_deadline(p->client, BLOCKING_PAIR_LONG), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(p->server, BLOCKING_PAIR_LONG), 0);
    __atomic_store_n(&sends, 0, __ATOMIC_SEQ_CST);
    return status;
}

static uint64_t written(struct rtcp_socket *socket)
{
    uint64_t count;

    assert_true(rtcp_face_lock(socket->face));
    count = socket->stream->session.written;
    rtcp_face_unlock(socket->face);
    return count;
}

static void send_zeros(struct rtcp_socket *socket, size_t size)
{
    static const uint8_t zeros[RTCP_COALESCE_UPTO];

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

/* ------------------------------------------------------------------------------------------------ waiting */

static void small_writes_wait_and_cost_no_call_of_the_kernel(void **state)
{
    struct blocking_pair *p = *state;
    size_t size = 0;

    while (size + SMALL < RTCP_COALESCE_UPTO) {
        send_zeros(p->client, SMALL);
        size += SMALL;
    }
    assert_int_equal(__atomic_load_n(&sends, __ATOMIC_SEQ_CST), 0);
    assert_int_equal(written(p->client), 0);
    send_zeros(p->client, SMALL); /* together they are enough */
    assert_int_equal(__atomic_load_n(&sends, __ATOMIC_SEQ_CST), 1);
    assert_int_equal(written(p->client), RTCP_COALESCE_UPTO);
    expect_bytes(p->server, RTCP_COALESCE_UPTO);
}

static void a_large_write_takes_along_what_waits(void **state)
{
    struct blocking_pair *p = *state;

    send_zeros(p->client, SOME);
    assert_int_equal(written(p->client), 0);
    send_zeros(p->client, RTCP_COALESCE_UPTO);
    assert_int_equal(written(p->client), SOME + RTCP_COALESCE_UPTO);
    expect_bytes(p->server, SOME + RTCP_COALESCE_UPTO);
}

static void they_leave_by_themselves_when_their_time_is_over(void **state)
{
    struct blocking_pair *p = *state;
    base_time began = base_clock_now();

    set_coalesce(p->client, BASE_MS(50));
    send_zeros(p->client, SOME);
    expect_bytes(p->server, SOME);
    assert_true(base_clock_now() >= began + BASE_MS(50));
    assert_true(base_clock_now() < began + BLOCKING_PAIR_LONG);
    send_zeros(p->client, SOME); /* and so do the next ones */
    expect_bytes(p->server, SOME);
}

/* ------------------------------------------------------------------------------------------------ what ends it */

static void a_flush_sends_what_waits_first(void **state)
{
    struct blocking_pair *p = *state;

    send_zeros(p->client, SOME);
    assert_int_equal(rtcp_socket_set_nonblocking(p->client, true), 0);
    assert_int_equal(rtcp_socket_flush(p->client), BASE_E_AGAIN); /* it is on its way, and nobody has read it */
    assert_int_equal(written(p->client), SOME);
    expect_bytes(p->server, SOME);
    assert_int_equal(rtcp_socket_set_nonblocking(p->client, false), 0);
    assert_int_equal(rtcp_socket_set_write_deadline(p->client, BLOCKING_PAIR_LONG), 0);
    assert_int_equal(rtcp_socket_flush(p->client), 0);
}

#define ROUNDS 20

static void *answer(void *argument)
{
    struct rtcp_socket *socket = argument;
    uint8_t bytes[SOME] = {0};

    for (int i = 0; i < ROUNDS; i++) {
        expect_bytes(socket, SOME);
        if (rtcp_socket_send(socket, bytes, SOME) != SOME) {
            return argument;
        }
    }
    return rtcp_socket_recv(socket, bytes, 1) == 0 ? NULL : argument; /* the end; and the last answer leaves */
}

static void who_reads_sends_first_what_the_answer_may_depend_on(void **state)
{
    struct blocking_pair *p = *state;
    pthread_t thread;
    void *failed;

    assert_int_equal(pthread_create(&thread, NULL, answer, p->server), 0);
    for (int i = 0; i < ROUNDS; i++) {
        send_zeros(p->client, SOME);
        expect_bytes(p->client, SOME);
    }
    assert_int_equal(rtcp_socket_shutdown(p->client), 0);
    pthread_join(thread, &failed);
    assert_null(failed);
}

static void so_does_who_asks_by_poll(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_poll poll = {.socket = p->client, .events = RTCP_POLL_READ};

    send_zeros(p->client, SOME);
    assert_int_equal(rtcp_socket_poll(&poll, 1, 0), 0);
    assert_int_equal(written(p->client), SOME);
}

static void an_end_takes_along_what_waits(void **state)
{
    struct blocking_pair *p = *state;
    uint8_t byte;

    send_zeros(p->client, SOME);
    assert_int_equal(rtcp_socket_shutdown(p->client), 0);
    expect_bytes(p->server, SOME);
    assert_int_equal(rtcp_socket_recv(p->server, &byte, 1), 0);
    send_zeros(p->server, SOME);
    assert_int_equal(rtcp_socket_close(p->server, RTCP_LINGER_BACKGROUND, 0), 0);
    expect_bytes(p->client, SOME);
    assert_int_equal(rtcp_socket_recv(p->client, &byte, 1), 0);
}

/* Less than what is coalesced: nothing more could come. */
static void a_full_ring_does_not_wait(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_stream_options o;
    struct rtcp_socket_options options;
    struct rtcp_socket *client, *server;
    uint8_t bytes[2 * RTCP_RING_MIN] = {0};

    rtcp_stream_options_default(&o);
    rtcp_socket_options_default(&options);
    options.stream.ring = RTCP_RING_MIN;
    options.stream.coalesce = BASE_S(1);
    options.wait_accepted = true;
    assert_int_equal(rtcp_socket_connect(p->address, &options, BLOCKING_PAIR_LONG, &client), 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &server), 0);
    set_coalesce(client, BASE_S(1000));
    assert_int_equal(rtcp_socket_set_nonblocking(client, true), 0);
    assert_int_equal(rtcp_socket_send(client, bytes, sizeof bytes), RTCP_RING_MIN);
    assert_int_equal(written(client), RTCP_RING_MIN);
    rtcp_socket_free(client);
    rtcp_socket_free(server);
}

/* What goes out again over another connection has waited long enough. */
static void a_new_connection_takes_along_what_waits(void **state)
{
    struct blocking_pair *p = *state;

    send_zeros(p->client, SOME);
    blocking_resumed_replace(p->client);
    expect_bytes(p->server, SOME);
}

/* ------------------------------------------------------------------------------------------------ many threads */

#define THREADS  4
#define MESSAGES 20000

static void *send_many(void *argument)
{
    static const uint8_t zeros[SMALL];
    struct rtcp_socket *socket = argument;

    for (int i = 0; i < MESSAGES; i++) {
        if (rtcp_socket_send(socket, zeros, SMALL) != SMALL) {
            return argument;
        }
    }
    return NULL;
}

static void threads_that_send_at_once_share_calls_of_the_kernel(void **state)
{
    struct blocking_pair *p = *state;
    pthread_t thread[THREADS];

    set_coalesce(p->client, BASE_MS(100));
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, send_many, p->client), 0);
    }
    expect_bytes(p->server, (size_t)THREADS * MESSAGES * SMALL);
    for (int i = 0; i < THREADS; i++) {
        void *failed;

        pthread_join(thread[i], &failed);
        assert_null(failed);
    }
    assert_true(__atomic_load_n(&sends, __ATOMIC_SEQ_CST) < THREADS * MESSAGES / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_writes_wait_and_cost_no_call_of_the_kernel, setup_patient,
                                        blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_large_write_takes_along_what_waits, setup_patient, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(they_leave_by_themselves_when_their_time_is_over, setup_patient,
                                        blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_flush_sends_what_waits_first, setup_patient, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(who_reads_sends_first_what_the_answer_may_depend_on, setup_patient,
                                        blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(so_does_who_asks_by_poll, setup_patient, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(an_end_takes_along_what_waits, setup_patient, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_full_ring_does_not_wait, setup_patient, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_new_connection_takes_along_what_waits, setup_patient, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(threads_that_send_at_once_share_calls_of_the_kernel, setup_patient,
                                        blocking_pair_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
