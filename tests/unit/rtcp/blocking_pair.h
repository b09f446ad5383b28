/* Two sockets of the blocking face with a stream between them, for the tests of that face.
 *
 * Owns      the sockets, from setup to teardown.
 * Relies on cmocka.
 * Not here  what is tested.
 */
#ifndef HOLDFAST_TESTS_BLOCKING_PAIR_H
#define HOLDFAST_TESTS_BLOCKING_PAIR_H

#include "rtcp/blocking.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <cmocka.h>

#define LONG BASE_S(20)

static inline base_time now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return BASE_S(t.tv_sec) + (base_time)t.tv_nsec;
}

/* ------------------------------------------------------------------------------------------------ a pair */

struct pair {
    struct rtcp_socket *listener, *client, *server;
    char address[RTCP_ADDRESS_TEXT];
};

static inline int setup(void **state)
{
    struct pair *p = calloc(1, sizeof *p);

    assert_non_null(p);
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", NULL, &p->listener), 0);
    rtcp_socket_address(p->listener, p->address);
    assert_int_equal(rtcp_socket_connect(p->address, NULL, LONG, &p->client), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, LONG), 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &p->server), 0);
    *state = p;
    return 0;
}

static inline int teardown(void **state)
{
    struct pair *p = *state;

    rtcp_socket_free(p->client);
    rtcp_socket_free(p->server);
    rtcp_socket_free(p->listener);
    free(p);
    return 0;
}

static inline void send_all(struct rtcp_socket *socket, const char *text)
{
    assert_int_equal(rtcp_socket_send(socket, text, strlen(text)), strlen(text));
}

static inline void expect(struct rtcp_socket *socket, const char *text)
{
    char bytes[64] = "";
    size_t size = 0;

    while (size < strlen(text)) {
        int64_t n = rtcp_socket_recv(socket, bytes + size, sizeof bytes - 1 - size);

        assert_true(n > 0);
        size += (size_t)n;
    }
    assert_string_equal(bytes, text);
}

#endif
