/* Two sockets of the blocking face with a stream between them, for the tests of that face.
 *
 * Owns      the sockets, from setup to teardown.
 * Relies on rtcp/blocking.h, cmocka.
 * Not here  what is tested.
 */
#ifndef HOLDFAST_TESTS_UNIT_RTCP_BLOCKING_PAIR_H
#define HOLDFAST_TESTS_UNIT_RTCP_BLOCKING_PAIR_H

#include "rtcp/blocking.h"

#define BLOCKING_PAIR_LONG BASE_S(20) /* no wait is longer */

struct blocking_pair {
    struct rtcp_socket *listener, *client, *server;
    char address[RTCP_ADDRESS_TEXT];
};

/* For cmocka: the pair becomes the state. */
int blocking_pair_setup(void **state);
/* ... both sides with these options. */
int blocking_pair_setup_with(void **state, const struct rtcp_stream_options *o);
int blocking_pair_teardown(void **state);

/* The whole text goes, the whole text comes. */
void blocking_pair_send(struct rtcp_socket *socket, const char *text);
void blocking_pair_expect(struct rtcp_socket *socket, const char *text);

#endif
