/* Tests of examples/kv/server_loop.c over a real socket, without a group: every command is answered, however the
 * answers fit into buffers. */
#include "examples/kv/server_loop.h"

#include "rtcp/base/clock_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define COMMANDS 4000

struct world {
    struct ev_loop *loop;
    struct kv_log log;
    struct kv_machine machine;
    struct kv_about about;
    struct kv_service service;
    struct kv_server server;
    int fd; /* the client's end */
};

static void open_world(struct world *w)
{
    static const uint8_t seed[KV_STORE_SEED_SIZE] = {0};
    struct sockaddr_in address;
    socklen_t size = sizeof address;

    *w = (struct world){.loop = ev_loop_new(0)};
    assert_non_null(w->loop);
    kv_machine_init(&w->machine, seed);
    w->about.user = w;
    w->service = (struct kv_service){.user = w, .machine = &w->machine, .about = &w->about};
    assert_int_equal(kv_server_open(&w->server, w->loop, "127.0.0.1:0", 10, &w->service, &w->log), 0);
    assert_int_equal(getsockname(w->server.fd, (struct sockaddr *)&address, &size), 0);
    w->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(w->fd, (struct sockaddr *)&address, size), 0);
}

static void close_world(struct world *w)
{
    (void)close(w->fd);
    kv_server_close(&w->server);
    kv_service_deinit(&w->service);
    kv_machine_deinit(&w->machine);
    ev_loop_destroy(w->loop);
}

/* Counts "$6\r\nappend\r\n", which stands in each answer once, also where two reads share one. */
static size_t count_answers(const uint8_t *data, size_t size, size_t *at)
{
    static const char sign[] = "$6\r\nappend\r\n";
    size_t count = 0;

    for (size_t i = 0; i < size; i++) {
        *at = data[i] == (uint8_t)sign[*at] ? *at + 1 : data[i] == (uint8_t)sign[0] ? 1 : 0;
        if (*at == sizeof sign - 1) {
            *at = 0;
            count++;
        }
    }
    return count;
}

/* A little input that asks for much output: whenever the socket takes a whole buffer, the rest must go on. */
static void a_long_pipeline_of_large_answers_is_answered_to_its_end(void **state)
{
    static struct world w;
    static uint8_t data[1 << 20];
    base_time began = base_clock_now();
    size_t answers = 0;
    size_t at = 0;

    (void)state;
    open_world(&w);
    for (size_t i = 0; i < COMMANDS; i++) {
        memcpy(data + 9 * i, "COMMAND\r\n", 9);
    }
    assert_int_equal(send(w.fd, data, (size_t)9 * COMMANDS, 0), 9 * COMMANDS);
    while (answers < COMMANDS && base_clock_now() - began < BASE_S(20)) {
        ssize_t size;

        ev_run(w.loop, EVRUN_NOWAIT);
        size = recv(w.fd, data, sizeof data, MSG_DONTWAIT);
        answers += size > 0 ? count_answers(data, (size_t)size, &at) : 0;
    }
    assert_int_equal(answers, COMMANDS);
    close_world(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_pipeline_of_large_answers_is_answered_to_its_end),
    };

    return cmocka_run_group_tests_name("kv/server", tests, NULL, NULL);
}
