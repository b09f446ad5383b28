/* A pair whose connection was replaced before the test begins; see blocking_resumed.h. */
#include "tests/unit/rtcp/blocking_resumed.h"
#include "rtcp/blocking_inside.h"
#include "tests/unit/rtcp/blocking_caller.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

/* Of a program. */
struct arguments {
    int resumes;
    bool has_options;
};

static uint32_t connections(struct rtcp_socket *socket)
{
    struct rtcp_info info;

    assert_int_equal(rtcp_socket_wait_open(socket), 0);
    assert_int_equal(rtcp_socket_info(socket, &info), 0);
    return info.connections;
}

static void until_replaced(struct rtcp_socket *socket, uint32_t before)
{
    base_time end = base_clock_now() + BLOCKING_PAIR_LONG;
    struct rtcp_info info;

    do {
        sched_yield();
        assert_int_equal(rtcp_socket_info(socket, &info), 0);
        assert_true(base_clock_now() < end);
    } while (info.connections == before || info.state != RTCP_ATTACHED);
}

void blocking_resumed_replace(struct rtcp_socket *client)
{
    uint32_t before = connections(client);

    assert_true(rtcp_face_lock(client->face));
    rtcp_session_hint(&client->stream->session, base_clock_now(), RTCP_EVIDENCE_UNKNOWN);
    rtcp_face_post(client);
    rtcp_face_unlock(client->face);
    until_replaced(client, before);
}

/* A reader that has to be woken costs the connection (rtcp_socket_set_read_deadline). */
static void wake_reader(struct rtcp_socket *socket)
{
    struct blocking_caller reader = {0};
    uint32_t before = connections(socket);

    blocking_caller_begin_asleep(&reader, BLOCKING_CALLER_RECV, socket);
    assert_int_equal(rtcp_socket_set_read_deadline(socket, 0), 0);
    assert_int_equal(blocking_caller_end(&reader), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_set_read_deadline(socket, BASE_NEVER), 0);
    until_replaced(socket, before);
}

int blocking_resumed_setup(void **state)
{
    const struct arguments *a = *state;
    struct rtcp_stream_options o;
    int status;

    rtcp_stream_options_default(&o);
    o.sendfile = a->has_options;
    o.coalesce = a->has_options ? BASE_MS(1) : 0;
    status = blocking_pair_setup_with(state, &o);
    for (int i = 0; i < a->resumes; i++) {
        struct blocking_pair *p = *state;

        if (a->has_options) {
            blocking_resumed_replace(
                p->client); /* where sendfile may write, a reader waits in poll and costs nothing */
        } else {
            wake_reader(i % 2 == 0 ? p->client : p->server);
        }
    }
    return status;
}

int blocking_resumed_run(const char *name, struct CMUnitTest *tests, size_t count, int argc, char **argv)
{
    struct arguments a = {.resumes = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0,
                          .has_options = argc > 2 && strcmp(argv[2], "options") == 0};

    for (size_t i = 0; i < count; i++) {
        tests[i].initial_state = &a;
    }
    return _cmocka_run_group_tests(name, tests, count, NULL, NULL);
}
