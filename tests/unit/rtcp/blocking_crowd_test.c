/* The blocking face under threads that open and close streams all the time: who finds the control thread asleep does
 * its work, and what is left of it is done without another call. Nothing may be forgotten on the way: at the end the
 * process has as many descriptors as before.
 */
#include "rtcp/blocking.h"

#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define LONG    BASE_S(20)
#define THREADS 6
#define TIMES   25

static base_time now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return BASE_S(t.tv_sec) + (base_time)t.tv_nsec;
}

/* ------------------------------------------------------------------------------------------------ descriptors */

static int descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder) != NULL) {
        count++;
    }
    closedir(folder);
    return count;
}

static void expect_descriptors(int count)
{
    base_time until = now() + LONG;

    while (descriptors() != count && now() < until) {
        sched_yield();
    }
    assert_int_equal(descriptors(), count);
}

/* ------------------------------------------------------------------------------------------------ a server */

static void *echo(void *argument)
{
    struct rtcp_socket *socket = argument;
    char bytes[64];
    int64_t n;

    while ((n = rtcp_socket_recv(socket, bytes, sizeof bytes)) > 0) {
        if (rtcp_socket_send(socket, bytes, (size_t)n) != n) {
            break;
        }
    }
    (void)!rtcp_socket_close(socket, RTCP_LINGER_BACKGROUND, LONG); /* until then it keeps its descriptors */
    rtcp_socket_free(socket);
    return NULL;
}

struct server {
    struct rtcp_socket *listener;
    pthread_t thread;
    char address[RTCP_ADDRESS_TEXT];
};

static void *serve(void *argument)
{
    struct server *s = argument;
    struct rtcp_socket *socket;
    pthread_t thread[THREADS * TIMES];
    int count = 0;

    while (rtcp_socket_accept(s->listener, &socket) == 0) {
        if (count == THREADS * TIMES || pthread_create(&thread[count], NULL, echo, socket) != 0) {
            rtcp_socket_free(socket);
        } else {
            count++;
        }
    }
    while (count > 0) {
        pthread_join(thread[--count], NULL);
    }
    return NULL;
}

static void begin(struct server *s)
{
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", NULL, &s->listener), 0);
    rtcp_socket_address(s->listener, s->address);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void end(struct server *s)
{
    assert_int_equal(rtcp_socket_close(s->listener, RTCP_LINGER_BACKGROUND, 0), 0);
    pthread_join(s->thread, NULL);
    rtcp_socket_free(s->listener);
}

/* ------------------------------------------------------------------------------------------------ clients */

/* One stream from its beginning to its end, which may go on in the background. */
static bool use_once(const char *address, base_time patience)
{
    struct rtcp_socket *socket;
    char bytes[6] = "";
    int64_t got = 0;
    int64_t n = 1;

    if (rtcp_socket_connect(address, NULL, LONG, &socket) != 0) {
        return false;
    }
    if (rtcp_socket_send(socket, "hello", 5) == 5) {
        while (got < 5 && (n = rtcp_socket_recv(socket, bytes + got, (size_t)(5 - got))) > 0) {
            got += n;
        }
    }
    if (rtcp_socket_close(socket, RTCP_LINGER_BACKGROUND, patience) != 0) {
        return false;
    }
    rtcp_socket_free(socket);
    return strcmp(bytes, "hello") == 0;
}

/* Gives NULL when all went well. */
static void *use_often(void *argument)
{
    for (int i = 0; i < TIMES; i++) {
        if (!use_once(argument, 0)) {
            return argument;
        }
    }
    return NULL;
}

static void many_threads_open_and_close_and_leave_nothing_behind(void **state)
{
    struct server s;
    pthread_t client[THREADS];
    int before;

    (void)state;
    begin(&s);
    before = descriptors();
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&client[i], NULL, use_often, s.address), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed = NULL;

        pthread_join(client[i], &failed);
        assert_null(failed);
    }

    expect_descriptors(before);
    end(&s);
}

/* A server that takes connections and says nothing. */
static int mute(char address[RTCP_ADDRESS_TEXT])
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, 2 * TIMES), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    (void)snprintf(address, RTCP_ADDRESS_TEXT, "127.0.0.1:%u", ntohs(at.sin_port));
    return fd;
}

/* P39: openings that are given up again while the answer is waited for. */
static void openings_that_are_given_up_leave_nothing_behind(void **state)
{
    char address[RTCP_ADDRESS_TEXT];
    struct rtcp_socket *socket;
    int before = descriptors();
    int fd = mute(address);

    (void)state;
    for (int i = 0; i < TIMES; i++) {
        assert_int_equal(rtcp_socket_connect(address, NULL, i % 2 == 0 ? 0 : LONG, &socket), 0);
        if (i % 3 == 0) {
            (void)rtcp_socket_close(socket, RTCP_LINGER_ABORT, 0);
        }
        rtcp_socket_free(socket);
    }
    close(fd);

    expect_descriptors(before);
}

/* Nobody listens there: the caller's thread finds it out, and closes what it opened. */
static void refusals_leave_nothing_behind(void **state)
{
    struct rtcp_socket *socket;
    struct server s;
    int before = descriptors();

    (void)state;
    begin(&s);
    end(&s);
    for (int i = 0; i < TIMES; i++) {
        assert_int_equal(rtcp_socket_connect(s.address, NULL, LONG, &socket), BASE_E_REFUSED);
    }

    expect_descriptors(before);
}

/* Makes what the process keeps: its endpoint, its control port. */
static int warm_up(void **state)
{
    struct server s;
    bool is_fine;

    (void)state;
    if (rtcp_socket_setup(NULL, 0) != 0) { /* what is closed here need not be waited for at the exit */
        return -1;
    }
    begin(&s);
    is_fine = use_once(s.address, LONG);
    end(&s);
    return is_fine ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_open_and_close_and_leave_nothing_behind),
        cmocka_unit_test(openings_that_are_given_up_leave_nothing_behind),
        cmocka_unit_test(refusals_leave_nothing_behind),
    };

    return cmocka_run_group_tests(tests, warm_up, NULL);
}
