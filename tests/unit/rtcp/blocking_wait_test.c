/* The blocking face over real sockets on loopback, with threads: when calls wait, and until when.
 *
 * Every case runs over a first connection and, by an argument of the program, over resumed ones (blocking_resumed.h).
 * Nothing sleeps: threads meet where the library lets them, and every wait ends with a deadline.
 */
#include "rtcp/base/clock_loop.h"
#include "rtcp/blocking_inside.h"
#include "tests/unit/rtcp/blocking_caller.h"
#include "tests/unit/rtcp/blocking_resumed.h"

#include <stdlib.h>
#include <time.h>

/* ------------------------------------------------------------------------------------------------ deadlines */

static void a_deadline_in_the_past_fails_at_once_and_can_be_taken_back(void **state)
{
    struct blocking_pair *p = *state;
    char byte;

    blocking_pair_send(p->client, "x");
    blocking_pair_expect(p->server, "x");
    blocking_pair_send(p->client, "y");
    for (int round = 0; round < 3; round++) {
        assert_int_equal(rtcp_socket_set_read_deadline(p->server, 0), 0);
        assert_int_equal(rtcp_socket_recv(p->server, &byte, 1), BASE_E_EXPIRED); /* also with bytes to read */
        assert_int_equal(rtcp_socket_set_write_deadline(p->server, 0), 0);
        assert_int_equal(rtcp_socket_send(p->server, "z", 1), BASE_E_EXPIRED);
        assert_int_equal(rtcp_socket_set_write_deadline(p->server, BASE_NEVER), 0);
        blocking_pair_send(p->server, "z"); /* the one does not concern the other */
        blocking_pair_expect(p->client, "z");
    }
    assert_int_equal(rtcp_socket_set_read_deadline(p->server, BASE_NEVER), 0);
    blocking_pair_expect(p->server, "y");
}

static void a_deadline_in_the_future_is_kept(void **state)
{
    struct blocking_pair *p = *state;
    char byte;

    for (int round = 0; round < 3; round++) {
        base_time before = base_clock_now();

        assert_int_equal(rtcp_socket_set_read_deadline(p->client, BASE_MS(30)), 0);
        assert_int_equal(rtcp_socket_recv(p->client, &byte, 1), BASE_E_EXPIRED);
        assert_true(base_clock_now() - before >= BASE_MS(30));
    }
    assert_int_equal(rtcp_socket_set_read_deadline(p->client, BLOCKING_PAIR_LONG), 0);
    blocking_pair_send(p->server, "in time");
    blocking_pair_expect(p->client, "in time");
}

static void an_acceptor_keeps_its_deadline(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_socket *socket;
    struct blocking_caller acceptor = {0};

    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, BASE_MS(20)), 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &socket), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, BASE_NEVER), 0);
    blocking_caller_begin_asleep(&acceptor, BLOCKING_CALLER_ACCEPT, p->listener);
    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, 0), 0);
    assert_int_equal(blocking_caller_end(&acceptor), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_accept(p->client, &socket), BASE_E_UNSUPPORTED);
    assert_int_equal(rtcp_socket_recv(p->listener, p->address, 1), BASE_E_UNSUPPORTED);
    assert_int_equal(rtcp_socket_send(p->listener, p->address, 1), BASE_E_UNSUPPORTED);
}

/* The reader sits in the kernel's recv, where only the end of the connection can wake it: the stream goes on. */
static void a_deadline_set_while_a_reader_waits_without_one_wakes_it(void **state)
{
    struct blocking_pair *p = *state;

    for (int round = 0; round < 3; round++) {
        struct rtcp_socket *reading = round % 2 == 0 ? p->server : p->client;
        struct rtcp_socket *writing = round % 2 == 0 ? p->client : p->server;
        struct blocking_caller reader = {0};

        assert_int_equal(rtcp_socket_set_read_deadline(reading, BASE_NEVER), 0);
        blocking_caller_begin_asleep(&reader, BLOCKING_CALLER_RECV, reading);
        assert_int_equal(rtcp_socket_set_read_deadline(reading, round == 0 ? BASE_MS(20) : 0), 0);
        assert_int_equal(blocking_caller_end(&reader), BASE_E_EXPIRED);
        assert_int_equal(rtcp_socket_set_read_deadline(reading, BLOCKING_PAIR_LONG), 0);
        blocking_pair_send(writing, "goes on");
        blocking_pair_expect(reading, "goes on");
    }
}

static base_time processor_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return BASE_S(t.tv_sec) + (base_time)t.tv_nsec;
}

/* The byte came in the instant in which the deadline passed: the reader is gone when its connection is shut to wake it.
 * Nobody reads it then, and who polls must neither spin nor wait for ever (R5). */
static void a_wake_up_that_meets_no_reader_costs_the_connection_only(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_poll poll = {.socket = p->client, .events = RTCP_POLL_READ};
    base_time before = processor_time();

    assert_int_equal(rtcp_socket_wait_open(p->client), 0);
    assert_true(rtcp_face_lock(p->client->face));
    rtcp_shared_link_wake_reader(p->client);
    rtcp_face_unlock(p->client->face);
    assert_int_equal(rtcp_socket_poll(&poll, 1, BASE_MS(400)), 0);
    assert_true(processor_time() - before < BASE_MS(200));
    blocking_pair_send(p->server, "on");
    blocking_pair_expect(p->client, "on");
}

static void a_deadline_that_moves_is_followed(void **state)
{
    struct blocking_pair *p = *state;
    struct blocking_caller reader = {0};
    struct blocking_caller second = {0};
    base_time before = base_clock_now();

    assert_int_equal(rtcp_socket_set_read_deadline(p->server, BLOCKING_PAIR_LONG), 0);
    blocking_caller_begin_asleep(&reader, BLOCKING_CALLER_RECV, p->server);
    blocking_caller_begin_asleep(&second, BLOCKING_CALLER_RECV, p->server); /* this one waits for its turn */
    assert_int_equal(rtcp_socket_set_read_deadline(p->server, BASE_MS(20)), 0);
    assert_int_equal(blocking_caller_end(&reader), BASE_E_EXPIRED);
    assert_int_equal(blocking_caller_end(&second), BASE_E_EXPIRED);
    assert_true(base_clock_now() - before < BLOCKING_PAIR_LONG / 2);
}

static void a_writer_with_a_full_ring_keeps_its_deadline(void **state)
{
    struct blocking_pair *p = *state;
    struct blocking_caller writer = {.size = 64u << 20};
    int64_t sent;

    writer.bytes = calloc(1, writer.size);
    assert_int_equal(rtcp_socket_set_write_deadline(p->client, BASE_MS(100)), 0);
    sent = rtcp_socket_send(p->client, writer.bytes, writer.size);
    assert_true(sent > 0 && (size_t)sent < writer.size);
    assert_int_equal(rtcp_socket_send(p->client, writer.bytes, 1), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_set_write_deadline(p->client, BASE_NEVER), 0);
    blocking_caller_begin_asleep(&writer, BLOCKING_CALLER_SEND, p->client);
    assert_int_equal(rtcp_socket_set_write_deadline(p->client, 0), 0);
    assert_true(blocking_caller_end(&writer) < (int64_t)writer.size);
    free(writer.bytes);
}

/* ------------------------------------------------------------------------------------------------ without waiting */

static void a_nonblocking_socket_never_waits(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_poll poll = {.socket = p->server, .events = RTCP_POLL_READ};
    struct rtcp_socket *socket;
    static uint8_t bytes[1 << 20];
    size_t sent = 0;
    size_t got = 0;
    int64_t n;

    assert_int_equal(rtcp_socket_set_nonblocking(p->client, true), 0);
    assert_int_equal(rtcp_socket_set_nonblocking(p->server, true), 0);
    assert_int_equal(rtcp_socket_set_nonblocking(p->listener, true), 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &socket), BASE_E_AGAIN);
    assert_int_equal(rtcp_socket_recv(p->client, bytes, 1), BASE_E_AGAIN);
    while ((n = rtcp_socket_send(p->client, bytes, sizeof bytes)) > 0) {
        sent += (size_t)n;
    }
    assert_int_equal(n, BASE_E_AGAIN);
    assert_int_equal(rtcp_socket_flush(p->client), BASE_E_AGAIN);
    while (got < sent) {
        assert_int_equal(rtcp_socket_poll(&poll, 1, BLOCKING_PAIR_LONG), 1);
        while ((n = rtcp_socket_recv(p->server, bytes, sizeof bytes)) > 0) {
            got += (size_t)n;
        }
        assert_int_equal(n, BASE_E_AGAIN);
    }
    poll = (struct rtcp_poll){.socket = p->client, .events = RTCP_POLL_READ | RTCP_POLL_WRITE};
    assert_int_equal(rtcp_socket_poll(&poll, 1, BLOCKING_PAIR_LONG), 1);
    assert_int_equal(poll.ready, RTCP_POLL_WRITE);
}

/* As with TCP, whose kernels swallow megabytes: a writer who asks by poll, and so never meets a full ring, must not be
 * worse off than one who runs into it (PROTOCOL.md "Rings": full for 4 ms, it grows). */
static void who_asks_by_poll_before_each_send_gets_a_ring_that_grows(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_poll poll = {.socket = p->client, .events = RTCP_POLL_WRITE};
    static uint8_t bytes[65536];
    struct rtcp_info info;
    size_t sent = 0;

    assert_int_equal(rtcp_socket_wait_open(p->client), 0);
    assert_int_equal(rtcp_socket_set_nonblocking(p->client, true), 0);
    while (sent < 8u << 20 && rtcp_socket_poll(&poll, 1, BASE_S(5)) == 1) {
        int64_t n = rtcp_socket_send(p->client, bytes, sizeof bytes);

        assert_true(n > 0);
        sent += (size_t)n;
    }
    assert_int_equal(sent, 8u << 20); /* nobody reads: all of them are in the ring */
    assert_int_equal(rtcp_socket_info(p->client, &info), 0);
    assert_int_equal(info.ring, info.ring_max);
    assert_int_equal(rtcp_socket_poll(&poll, 1, BASE_MS(20)), 0);
}

static void a_poll_waits_for_several_sockets(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_socket *late;
    struct rtcp_poll polls[] = {{.socket = p->listener, .events = RTCP_POLL_READ},
                                {.socket = p->client, .events = RTCP_POLL_READ},
                                {.socket = NULL},
                                {.socket = p->server, .events = RTCP_POLL_READ}};
    base_time before = base_clock_now();

    assert_int_equal(rtcp_socket_poll(polls, 4, BASE_MS(20)), 0);
    assert_true(base_clock_now() - before >= BASE_MS(20));
    assert_int_equal(rtcp_socket_poll(polls, 4, 0), 0);
    blocking_pair_send(p->client, "x");
    assert_int_equal(rtcp_socket_poll(polls, 4, BLOCKING_PAIR_LONG), 1);
    assert_int_equal(polls[3].ready, RTCP_POLL_READ);
    assert_int_equal(polls[0].ready | polls[1].ready | polls[2].ready, 0);
    blocking_pair_expect(p->server, "x");
    assert_int_equal(rtcp_socket_connect(p->address, NULL, BLOCKING_PAIR_LONG, &late), 0);
    assert_int_equal(rtcp_socket_poll(polls, 4, BLOCKING_PAIR_LONG), 1);
    assert_int_equal(polls[0].ready, RTCP_POLL_READ);
    rtcp_socket_free(late);
    assert_int_equal(rtcp_socket_shutdown(p->server), 0);
    polls[0].socket = NULL;
    assert_int_equal(rtcp_socket_poll(polls, 4, BLOCKING_PAIR_LONG), 1); /* an end can be read */
    assert_int_equal(polls[1].ready, RTCP_POLL_READ);
    assert_int_equal(rtcp_socket_poll(polls, RTCP_POLL_MAX + 1, 0), BASE_E_RANGE);
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        BLOCKING_RESUMED_CASE(a_deadline_in_the_past_fails_at_once_and_can_be_taken_back),
        BLOCKING_RESUMED_CASE(a_deadline_in_the_future_is_kept),
        BLOCKING_RESUMED_CASE(an_acceptor_keeps_its_deadline),
        BLOCKING_RESUMED_CASE(a_deadline_set_while_a_reader_waits_without_one_wakes_it),
        BLOCKING_RESUMED_CASE(a_wake_up_that_meets_no_reader_costs_the_connection_only),
        BLOCKING_RESUMED_CASE(a_deadline_that_moves_is_followed),
        BLOCKING_RESUMED_CASE(a_writer_with_a_full_ring_keeps_its_deadline),
        BLOCKING_RESUMED_CASE(a_nonblocking_socket_never_waits),
        BLOCKING_RESUMED_CASE(who_asks_by_poll_before_each_send_gets_a_ring_that_grows),
        BLOCKING_RESUMED_CASE(a_poll_waits_for_several_sockets),
    };

    return blocking_resumed_run("blocking_wait_test", tests, sizeof tests / sizeof tests[0], argc, argv);
}
