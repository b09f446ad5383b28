/* A pair of sockets whose stream was resumed before the test begins: what holds over a first connection holds over a
 * resumed one.
 *
 * Owns      the replacing of connections, and the argument of a program that says how often.
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

/* Runs a program's cases; its argument says how often each pair is resumed first (0). */
int blocking_resumed_run(const char *name, struct CMUnitTest *tests, size_t count, int argc, char **argv);

#endif
