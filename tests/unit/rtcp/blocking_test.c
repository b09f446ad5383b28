/* The blocking face over real sockets on loopback, with threads: bytes and ends, opening, close.
 *
 * Every case runs over a first connection and, by an argument of the program, over resumed ones (blocking_resumed.h).
 * Nothing sleeps: threads meet where the library lets them, and every wait ends with a deadline.
 */
#include "rtcp/base/clock_loop.h"
#include "tests/unit/rtcp/blocking_caller.h"
#include "tests/unit/rtcp/blocking_resumed.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* ------------------------------------------------------------------------------------------------ bytes and ends */

static void bytes_go_both_ways_and_end_on_both_sides(void **state)
{
    struct blocking_pair *p = *state;
    char byte;

    blocking_pair_send(p->client, "hello");
    blocking_pair_expect(p->server, "hello");
    blocking_pair_send(p->server, "and back");
    assert_int_equal(rtcp_socket_shutdown(p->server), 0);
    blocking_pair_expect(p->client, "and back");
    assert_int_equal(rtcp_socket_recv(p->client, &byte, 1), 0); /* half-closed: the other direction goes on */
    blocking_pair_send(p->client, "still");
    blocking_pair_expect(p->server, "still");
    assert_int_equal(rtcp_socket_send(p->server, "x", 1), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_close(p->client, RTCP_LINGER_BACKGROUND, 0), 0);
    assert_int_equal(rtcp_socket_recv(p->server, &byte, 1), 0);
    assert_int_equal(rtcp_socket_close(p->server, RTCP_LINGER_BACKGROUND, BLOCKING_PAIR_LONG), 0);
    assert_int_equal(rtcp_socket_close(p->client, RTCP_LINGER_BACKGROUND, BLOCKING_PAIR_LONG), 0);
}

static void several_ranges_are_sent_and_filled_in_a_row(void **state)
{
    struct blocking_pair *p = *state;
    const struct base_bytes out[] = {{(const uint8_t *)"ab", 2}, {NULL, 0}, {(const uint8_t *)"cdef", 4}};
    uint8_t first[3], second[8] = {0};
    const struct base_span in[] = {{first, 3}, {second, sizeof second}};

    assert_int_equal(rtcp_socket_sendv(p->client, out, 3), 6);
    assert_int_equal(rtcp_socket_recvv(p->server, in, 2), 6);
    assert_memory_equal(first, "abc", 3);
    assert_memory_equal(second, "def", 3);
}

static void an_abort_of_the_peer_is_told_to_readers_and_writers(void **state)
{
    struct blocking_pair *p = *state;
    struct blocking_caller reader = {0};

    blocking_pair_send(p->client, "x");
    blocking_pair_expect(p->server, "x");
    blocking_caller_begin_asleep(&reader, BLOCKING_CALLER_RECV, p->server);
    assert_int_equal(rtcp_socket_close(p->client, RTCP_LINGER_ABORT, BLOCKING_PAIR_LONG), BASE_E_CLOSED);
    assert_int_equal(blocking_caller_end(&reader), BASE_E_RESET);
    assert_int_equal(rtcp_socket_send(p->server, "x", 1), BASE_E_RESET);
    assert_int_equal(rtcp_socket_flush(p->server), BASE_E_RESET);
}

static void a_flush_returns_when_the_peer_has_read(void **state)
{
    struct blocking_pair *p = *state;
    struct blocking_caller flusher = {0};
    struct rtcp_info info;

    assert_int_equal(rtcp_socket_flush(p->client), 0); /* nothing to wait for */
    blocking_pair_send(p->client, "abc");
    blocking_caller_begin_asleep(&flusher, BLOCKING_CALLER_FLUSH, p->client);
    assert_int_equal(rtcp_socket_info(p->client, &info), 0);
    assert_int_equal(info.unacknowledged, 3);
    blocking_pair_expect(p->server, "abc");
    assert_int_equal(blocking_caller_end(&flusher), 0);
    assert_int_equal(rtcp_socket_info(p->client, &info), 0);
    assert_int_equal(info.unacknowledged, 0);
    assert_int_equal(info.sent, 3);
    assert_int_equal(rtcp_socket_info(p->listener, &info), BASE_E_UNSUPPORTED);
}

static void a_flush_does_not_wait_for_a_peer_that_closed_without_reading(void **state)
{
    struct blocking_pair *p = *state;
    struct blocking_caller flusher = {0};
    struct rtcp_info info;

    blocking_pair_send(p->client, "abc");
    blocking_caller_begin_asleep(&flusher, BLOCKING_CALLER_FLUSH, p->client);
    assert_int_equal(rtcp_socket_close(p->server, RTCP_LINGER_BACKGROUND, 0), 0);

    assert_int_equal(blocking_caller_end(&flusher), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_set_nonblocking(p->client, true), 0);
    assert_int_equal(rtcp_socket_flush(p->client), BASE_E_CLOSED); /* not AGAIN: that would be asked for ever */
    assert_int_equal(rtcp_socket_info(p->client, &info), 0);
    assert_int_equal(info.unacknowledged, 3);
}

static void what_lies_unread_at_an_abort_is_not_an_end(void **state)
{
    struct blocking_pair *p = *state;
    char bytes[8];
    int64_t n;

    assert_int_equal(rtcp_socket_wait_open(p->client), 0);
    blocking_pair_send(p->client, "abc");
    assert_int_equal(rtcp_socket_close(p->client, RTCP_LINGER_ABORT, BLOCKING_PAIR_LONG), BASE_E_CLOSED);
    do { /* what was read before the abort came, then the truth; never an invented end */
        n = rtcp_socket_recv(p->server, bytes, sizeof bytes);
        assert_int_not_equal(n, 0);
    } while (n > 0);
    assert_int_equal(n, BASE_E_RESET);
}

/* ------------------------------------------------------------------------------------------------ opening */

static int raw_listener(struct sockaddr_in *at, int backlog)
{
    socklen_t size = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)at, size), 0);
    if (backlog > 0) {
        assert_int_equal(listen(fd, backlog), 0);
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &size), 0);
    return fd;
}

static void nobody_there_is_an_error_at_once(void **state)
{
    struct rtcp_socket *socket = NULL;
    struct sockaddr_in at;
    char address[64];
    int fd = raw_listener(&at, 0); /* bound, so that nobody else has it, and not listening */

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(rtcp_socket_connect(address, NULL, BLOCKING_PAIR_LONG, &socket), BASE_E_REFUSED);
    assert_null(socket);
    assert_int_equal(rtcp_socket_connect("nonsense", NULL, BLOCKING_PAIR_LONG, &socket), BASE_E_INVALID);
    close(fd);
}

static void silence_is_waited_out_until_the_callers_deadline(void **state)
{
    struct rtcp_socket_options options;
    struct rtcp_socket *socket = NULL;
    struct sockaddr_in at;
    char address[64];
    char byte;
    base_time before = base_clock_now();
    int fd = raw_listener(&at, 8); /* the kernel answers, nobody else */

    (void)state;
    rtcp_socket_options_default(&options);
    options.wait_accepted = true;
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(rtcp_socket_connect(address, &options, BASE_MS(150), &socket), BASE_E_EXPIRED);
    assert_null(socket);
    assert_true(base_clock_now() - before >= BASE_MS(150));

    options.wait_accepted = false; /* returns when the opening is out */
    assert_int_equal(rtcp_socket_connect(address, &options, BLOCKING_PAIR_LONG, &socket), 0);
    assert_int_equal(rtcp_socket_set_write_deadline(socket, BASE_MS(50)), 0);
    assert_int_equal(rtcp_socket_wait_open(socket), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_set_nonblocking(socket, true), 0);
    assert_int_equal(rtcp_socket_wait_open(socket), BASE_E_AGAIN);
    assert_int_equal(rtcp_socket_recv(socket, &byte, 1), BASE_E_AGAIN);
    rtcp_socket_close(socket, RTCP_LINGER_ABORT, 0);
    rtcp_socket_free(socket);
    close(fd);
}

static void a_connect_that_does_not_wait_comes_true_later(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_socket_options options;
    struct rtcp_socket *socket;

    rtcp_socket_options_default(&options);
    options.is_nonblocking = true;
    assert_int_equal(rtcp_socket_connect(p->address, &options, BLOCKING_PAIR_LONG, &socket), 0);
    assert_int_equal(rtcp_socket_send(socket, "early", 5), 5); /* waits in the ring */
    assert_int_equal(rtcp_socket_set_nonblocking(socket, false), 0);
    assert_int_equal(rtcp_socket_wait_open(socket), 0);
    rtcp_socket_free(p->server);
    assert_int_equal(rtcp_socket_accept(p->listener, &p->server), 0);
    assert_int_equal(rtcp_socket_wait_open(p->server), 0);
    blocking_pair_expect(p->server, "early");
    rtcp_socket_free(socket);
}

static void a_full_queue_of_the_listener_sends_clients_away_for_the_moment(void **state)
{
    struct rtcp_listen_options options;
    struct rtcp_socket *listener, *client[3], *server;
    char address[RTCP_ADDRESS_TEXT];

    (void)state;
    rtcp_listen_options_default(&options);
    options.backlog = 1;
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", &options, &listener), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(listener, BLOCKING_PAIR_LONG), 0);
    rtcp_socket_address(listener, address);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rtcp_socket_connect(address, NULL, BLOCKING_PAIR_LONG, &client[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rtcp_socket_accept(listener, &server), 0);
        rtcp_socket_free(server);
    }
    for (int i = 0; i < 3; i++) {
        rtcp_socket_free(client[i]);
    }
    rtcp_socket_free(listener);
}

/* ------------------------------------------------------------------------------------------------ close */

static void a_close_wakes_whoever_waits(void **state)
{
    struct blocking_pair *p = *state;
    struct blocking_caller acceptor = {0}, poller = {0}, writer = {.size = 64u << 20}, flusher = {0};

    writer.bytes = calloc(1, writer.size);
    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, BASE_NEVER), 0);
    blocking_caller_begin_asleep(&acceptor, BLOCKING_CALLER_ACCEPT, p->listener);
    blocking_caller_begin_asleep(&poller, BLOCKING_CALLER_POLL, p->client);
    blocking_caller_begin_asleep(&writer, BLOCKING_CALLER_SEND, p->client);
    blocking_caller_begin_asleep(&flusher, BLOCKING_CALLER_FLUSH, p->client);
    rtcp_socket_close(p->listener, RTCP_LINGER_BACKGROUND, 0);
    assert_int_equal(blocking_caller_end(&acceptor), BASE_E_CLOSED);
    rtcp_socket_close(p->client, RTCP_LINGER_ABORT, 0);
    assert_int_equal(blocking_caller_end(&poller), 1); /* ready: the next call says why */
    assert_true(blocking_caller_end(&writer) < (int64_t)writer.size);
    assert_int_equal(blocking_caller_end(&flusher), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_send(p->client, "x", 1), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_recv(p->client, writer.bytes, 1), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_shutdown(p->client), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_set_write_deadline(p->client, 0), BASE_E_CLOSED);
    free(writer.bytes);
}

static void a_close_wakes_a_reader_and_a_queued_reader(void **state)
{
    struct blocking_pair *p = *state;
    struct blocking_caller reader = {0}, queued = {0};

    blocking_caller_begin_asleep(&reader, BLOCKING_CALLER_RECV, p->client);
    blocking_caller_begin_asleep(&queued, BLOCKING_CALLER_RECV, p->client);
    rtcp_socket_close(p->client, RTCP_LINGER_BACKGROUND, 0);
    assert_int_equal(blocking_caller_end(&reader), BASE_E_CLOSED);
    assert_int_equal(blocking_caller_end(&queued), BASE_E_CLOSED);
}

static void a_close_wakes_who_waits_for_the_opening(void **state)
{
    struct rtcp_socket *socket;
    struct sockaddr_in at;
    struct blocking_caller opener = {0};
    char address[64];
    int fd = raw_listener(&at, 8);

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(rtcp_socket_connect(address, NULL, BLOCKING_PAIR_LONG, &socket), 0);
    blocking_caller_begin_asleep(&opener, BLOCKING_CALLER_WAIT_OPEN, socket);
    rtcp_socket_close(socket, RTCP_LINGER_ABORT, 0);
    assert_int_equal(blocking_caller_end(&opener), BASE_E_CLOSED);
    rtcp_socket_free(socket);
    close(fd);
}

static void ten_threads_may_close_at_once(void **state)
{
    struct blocking_pair *p = *state;
    struct blocking_caller reader = {0};
    struct blocking_caller closer[10];

    blocking_pair_send(p->client, "kept");
    blocking_caller_begin_asleep(&reader, BLOCKING_CALLER_RECV, p->client);
    base_zero(closer, sizeof closer);
    for (int i = 0; i < 10; i++) {
        blocking_caller_begin(&closer[i], BLOCKING_CALLER_CLOSE, p->client);
    }
    blocking_pair_expect(p->server, "kept"); /* closed in the background: what was sent arrives */
    assert_int_equal(rtcp_socket_recv(p->server, p->address, 1), 0);
    rtcp_socket_close(p->server, RTCP_LINGER_BACKGROUND, 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(blocking_caller_end(&closer[i]), 0);
    }
    assert_int_equal(blocking_caller_end(&reader), BASE_E_CLOSED);
}

static void what_nobody_accepted_is_aborted_with_the_listener(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_poll poll = {.socket = p->listener, .events = RTCP_POLL_READ};
    struct rtcp_socket *client;
    char byte;

    assert_int_equal(rtcp_socket_connect(p->address, NULL, BLOCKING_PAIR_LONG, &client), 0);
    assert_int_equal(rtcp_socket_poll(&poll, 1, BLOCKING_PAIR_LONG), 1);
    rtcp_socket_close(p->listener, RTCP_LINGER_BACKGROUND, 0);
    assert_int_equal(rtcp_socket_set_read_deadline(client, BLOCKING_PAIR_LONG), 0);
    assert_int_equal(rtcp_socket_recv(client, &byte, 1), BASE_E_RESET);
    rtcp_socket_free(client);
    blocking_pair_send(p->client, "lives"); /* what was accepted lives on */
    blocking_pair_expect(p->server, "lives");
}

int main(int argc, char **argv)
{
    struct CMUnitTest tests[] = {
        BLOCKING_RESUMED_CASE(bytes_go_both_ways_and_end_on_both_sides),
        BLOCKING_RESUMED_CASE(several_ranges_are_sent_and_filled_in_a_row),
        BLOCKING_RESUMED_CASE(an_abort_of_the_peer_is_told_to_readers_and_writers),
        BLOCKING_RESUMED_CASE(a_flush_returns_when_the_peer_has_read),
        BLOCKING_RESUMED_CASE(a_flush_does_not_wait_for_a_peer_that_closed_without_reading),
        BLOCKING_RESUMED_CASE(what_lies_unread_at_an_abort_is_not_an_end),
        cmocka_unit_test(nobody_there_is_an_error_at_once),
        cmocka_unit_test(silence_is_waited_out_until_the_callers_deadline),
        BLOCKING_RESUMED_CASE(a_connect_that_does_not_wait_comes_true_later),
        cmocka_unit_test(a_full_queue_of_the_listener_sends_clients_away_for_the_moment),
        BLOCKING_RESUMED_CASE(a_close_wakes_whoever_waits),
        BLOCKING_RESUMED_CASE(a_close_wakes_a_reader_and_a_queued_reader),
        BLOCKING_RESUMED_CASE(a_close_wakes_who_waits_for_the_opening),
        BLOCKING_RESUMED_CASE(ten_threads_may_close_at_once),
        BLOCKING_RESUMED_CASE(what_nobody_accepted_is_aborted_with_the_listener),
    };

    return blocking_resumed_run("blocking_test", tests, sizeof tests / sizeof tests[0], argc, argv);
}
