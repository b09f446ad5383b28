/* Two sockets of the blocking face with a stream between them; see blocking_pair.h. */
#include "tests/unit/rtcp/blocking_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

int blocking_pair_setup(void **state)
{
    struct rtcp_stream_options o;

    rtcp_stream_options_default(&o);
    return blocking_pair_setup_with(state, &o);
}

int blocking_pair_setup_with(void **state, const struct rtcp_stream_options *o)
{
    struct blocking_pair *p = calloc(1, sizeof *p);
    struct rtcp_listen_options listen;
    struct rtcp_socket_options connect;

    rtcp_listen_options_default(&listen);
    rtcp_socket_options_default(&connect);
    listen.stream = connect.stream = *o;
    assert_non_null(p);
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", &listen, &p->listener), 0);
    rtcp_socket_address(p->listener, p->address);
    assert_int_equal(rtcp_socket_connect(p->address, &connect, BLOCKING_PAIR_LONG, &p->client), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, BLOCKING_PAIR_LONG), 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &p->server), 0);
    *state = p;
    return 0;
}

int blocking_pair_teardown(void **state)
{
    struct blocking_pair *p = *state;

    rtcp_socket_free(p->client);
    rtcp_socket_free(p->server);
    rtcp_socket_free(p->listener);
    free(p);
    return 0;
}

void blocking_pair_send(struct rtcp_socket *socket, const char *text)
{
    assert_int_equal(rtcp_socket_send(socket, text, strlen(text)), strlen(text));
}

void blocking_pair_expect(struct rtcp_socket *socket, const char *text)
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
