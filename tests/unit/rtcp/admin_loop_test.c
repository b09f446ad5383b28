/* What an endpoint shows through the admin socket of its process (rtcp/admin.h), over real sockets on loopback. */
#include "rtcp/admin.h"

#include <ev.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE_S 10.

struct world {
    struct ev_loop *loop;
    struct rtcp_endpoint *near, *far;
    struct rtcp_listener *listener;
    struct rtcp_stream *client;
    struct holdfast_admin *admin;
    ev_timer deadline;
    bool is_late;
    char folder[64], path[80];
    char text[65536];
};

static void on_deadline(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)loop;
    (void)events;
    ((struct world *)t->data)->is_late = true;
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    (void)user; /* nothing is ever read: what the client sends stays unacknowledged */
    (void)listener;
    (void)stream;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->loop = ev_loop_new(EVFLAG_AUTO);
    ev_timer_init(&w->deadline, on_deadline, DEADLINE_S, 0.);
    w->deadline.data = w;
    ev_timer_start(w->loop, &w->deadline);
    snprintf(w->folder, sizeof w->folder, "/tmp/holdfast-admin-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/admin", w->folder);
    assert_int_equal(rtcp_endpoint_open(w->loop, NULL, &w->near), 0);
    assert_int_equal(rtcp_endpoint_open(w->loop, NULL, &w->far), 0);
    assert_int_equal(rtcp_listen(w->far, "127.0.0.1:0", NULL, on_accept, w, &w->listener), 0);
    assert_int_equal(holdfast_admin_open(w->loop, w->path, &w->admin), 0);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    holdfast_admin_close(w->admin);
    rtcp_endpoint_close(w->near);
    rtcp_endpoint_close(w->far);
    ev_timer_stop(w->loop, &w->deadline);
    ev_loop_destroy(w->loop);
    assert_int_equal(rmdir(w->folder), 0);
    free(w);
    return 0;
}

/* Asks one command and collects the whole answer in w->text. */
static void ask(struct world *w, const char *command)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    size_t size = 0;
    ssize_t n = 1;

    snprintf(address.sun_path, sizeof address.sun_path, "%s", w->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(send(fd, command, strlen(command), MSG_NOSIGNAL), strlen(command));
    shutdown(fd, SHUT_WR);
    while (n != 0 && !w->is_late) {
        ev_run(w->loop, EVRUN_NOWAIT);
        n = recv(fd, w->text + size, sizeof w->text - 1 - size, MSG_DONTWAIT);
        size += n > 0 ? (size_t)n : 0;
    }
    assert_false(w->is_late);
    w->text[size] = '\0';
    close(fd);
}

static void has(const struct world *w, const char *what)
{
    if (strstr(w->text, what) == NULL) {
        fail_msg("%s is not in %s", what, w->text);
    }
}

static void both_ends_of_a_stream_are_shown(void **state)
{
    struct world *w = *state;
    struct rtcp_info info = {0};
    char text[64];

    assert_int_equal(rtcp_endpoint_admin(w->near, w->admin), 0);
    assert_int_equal(rtcp_endpoint_admin(w->far, w->admin), 0);
    assert_int_equal(rtcp_connect(w->near, rtcp_listener_address(w->listener), NULL, NULL, NULL, &w->client), 0);
    assert_int_equal(rtcp_send(w->client, "hello", 5), 5);
    while ((!info.is_confirmed || info.round_trip == 0) && !w->is_late) {
        ev_run(w->loop, EVRUN_ONCE);
        rtcp_info(w->client, &info);
    }
    ask(w, "sessions\n");

    has(w, "\"role\":\"client\",\"state\":\"ATTACHED\",\"peer\":\"127.0.0.1:");
    has(w, "\"role\":\"server\",\"state\":\"ATTACHED\",\"peer\":\"127.0.0.1:");
    has(w, "\"sent\":5,\"received\":0,\"unacknowledged\":5,");
    has(w, "\"connections\":1,");
    snprintf(text, sizeof text, "{\"id\":%" PRIu32 ",", info.id);
    has(w, text);
    snprintf(text, sizeof text, "\"peer_incarnation\":\"%016" PRIx64 "\"", rtcp_endpoint_incarnation(w->far));
    has(w, text);
    has(w, "{\"end\":\"sessions\",\"lines\":2}\n");
}

static void an_endpoint_without_streams_has_counters(void **state)
{
    struct world *w = *state;
    char text[64];

    assert_int_equal(rtcp_endpoint_admin(w->near, w->admin), 0);
    ask(w, "sessions\nstats\nhelp\n");

    has(w, "{\"end\":\"sessions\",\"lines\":0}\n");
    snprintf(text, sizeof text, "{\"incarnation\":\"%016" PRIx64 "\",\"sessions\":0,",
             rtcp_endpoint_incarnation(w->near));
    has(w, text);
    has(w, "\"bytes_lost\":0}\n{\"end\":\"stats\",\"lines\":1}\n");
    has(w, "{\"command\":\"sessions\"}\n{\"command\":\"stats\"}\n{\"end\":\"help\",\"lines\":2}\n");
}

static void seventeen_endpoints_are_too_many_for_one_socket(void **state)
{
    struct world *w = *state;

    for (int i = 0; i < 16; i++) {
        assert_int_equal(rtcp_endpoint_admin(w->near, w->admin), 0);
    }

    assert_int_equal(rtcp_endpoint_admin(w->far, w->admin), BASE_E_RANGE);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(both_ends_of_a_stream_are_shown),
        CASE(an_endpoint_without_streams_has_counters),
        CASE(seventeen_endpoints_are_too_many_for_one_socket),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
