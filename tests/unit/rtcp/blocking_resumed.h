/* A pair of sockets whose stream was resumed before the test begins: what holds over a first connection holds over a
 * resumed one.
 *
 * Owns      the replacing of connections, and the arguments of a program: how often (0), and "options" for streams that
 *           coalesce small writes and send large ones by sendfile, which no case may notice.
 * Relies on blocking_pair.h, blocking_caller.h, cmocka.
 * Not here  what is tested.
 */
#ifndef HOLDFAST_TESTS_UNIT_RTCP_BLOCKING_RESUMED_H
#define HOLDFAST_TESTS_UNIT_RTCP_BLOCKING_RESUMED_H

#include "tests/unit/rtcp/blocking_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

/* A case with such a pair as its state; after blocking_resumed_run has begun. */
#define BLOCKING_RESUMED_CASE(test)                                                                                    \
    cmocka_unit_test_setup_teardown(test, blocking_resumed_setup, blocking_pair_teardown)

int blocking_resumed_setup(void **state);

/* Lets the client's stream have another connection, and returns when it has. */
void blocking_resumed_replace(struct rtcp_socket *client);

/* Runs a program's cases, with its arguments. */
int blocking_resumed_run(const char *name, struct CMUnitTest *tests, size_t count, int argc, char **argv);

#endif
