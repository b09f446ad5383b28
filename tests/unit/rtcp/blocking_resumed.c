/* A pair whose connection was replaced before the test begins; see blocking_resumed.h. */
#include "tests/unit/rtcp/blocking_resumed.h"
#include "rtcp/base/clock_loop.h"
#include "tests/unit/rtcp/blocking_caller.h"

#include <sched.h>
#include <stdlib.h>

/* A reader that has to be woken costs the connection (rtcp_socket_set_read_deadline). */
static void replace_connection(struct rtcp_socket *socket)
{
    base_time end = base_clock_now() + BLOCKING_PAIR_LONG;
    struct blocking_caller reader = {0};
    struct rtcp_info before, info;

    assert_int_equal(rtcp_socket_wait_open(socket), 0);
    assert_int_equal(rtcp_socket_info(socket, &before), 0);
    blocking_caller_begin_asleep(&reader, BLOCKING_CALLER_RECV, socket);
    assert_int_equal(rtcp_socket_set_read_deadline(socket, 0), 0);
    assert_int_equal(blocking_caller_end(&reader), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_set_read_deadline(socket, BASE_NEVER), 0);
    do {
        sched_yield();
        assert_int_equal(rtcp_socket_info(socket, &info), 0);
        assert_true(base_clock_now() < end);
    } while (info.connections == before.connections || info.state != RTCP_ATTACHED);
}

int blocking_resumed_setup(void **state)
{
    int resumes = *(const int *)*state;
    int status = blocking_pair_setup(state);

    for (int i = 0; i < resumes; i++) {
        struct blocking_pair *p = *state;

        replace_connection(i % 2 == 0 ? p->client : p->server);
    }
    return status;
}

int blocking_resumed_run(const char *name, struct CMUnitTest *tests, size_t count, int argc, char **argv)
{
    int resumes = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;

    for (size_t i = 0; i < count; i++) {
        tests[i].initial_state = &resumes;
    }
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}
