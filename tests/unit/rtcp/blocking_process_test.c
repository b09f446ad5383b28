/* The blocking face and the life of a process: fork, exit, what is chosen before the first socket. */
#include "rtcp/base/clock_loop.h"
#include "tests/unit/rtcp/blocking_pair.h"

#include <ev.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

/* ------------------------------------------------------------------------------------------------ fork */

static void in_a_child_the_sockets_are_dead_and_the_peers_hear_nothing(void **state)
{
    struct blocking_pair *p = *state;
    int status = 0;
    pid_t child;

    blocking_pair_send(p->client, "before");
    child = fork();
    if (child == 0) {
        struct blocking_pair fresh;
        void *mine = &fresh;
        bool is_right = rtcp_socket_send(p->client, "x", 1) == BASE_E_CLOSED &&
                        rtcp_socket_recv(p->server, &fresh, 1) == BASE_E_CLOSED &&
                        rtcp_socket_close(p->client, RTCP_LINGER_ABORT, BLOCKING_PAIR_LONG) == BASE_E_CLOSED;

        rtcp_socket_free(p->client);
        rtcp_socket_free(p->listener);
        blocking_pair_setup(&mine); /* sockets of its own */
        blocking_pair_send(((struct blocking_pair *)mine)->client, "child");
        blocking_pair_expect(((struct blocking_pair *)mine)->server, "child");
        _exit(is_right ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    blocking_pair_expect(p->server, "before");
    blocking_pair_send(p->server, "after");
    blocking_pair_expect(p->client, "after");
}

/* What happens between the kernel's close and the return of it. */
static struct {
    atomic_bool is_armed;
    int fd;
    sem_t is_closed, is_forked;
} closing;

int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
    int status = __real_close(fd);

    if (atomic_exchange(&closing.is_armed, false)) {
        struct timespec until;

        closing.fd = fd;
        sem_post(&closing.is_closed);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec++;
        (void)sem_timedwait(&closing.is_forked, &until); /* right is that nobody can fork now */
    }
    return status;
}

static void *abort_client(void *argument)
{
    struct blocking_pair *p = argument;

    atomic_store(&closing.is_armed, true);
    return rtcp_socket_close(p->client, RTCP_LINGER_ABORT, 0) == 0 ? p : NULL;
}

static bool has_sockets_of_the_network(void)
{
    for (int fd = 0; fd < 1024; fd++) {
        struct sockaddr_storage address;
        socklen_t size = sizeof address;

        if (getsockname(fd, (struct sockaddr *)&address, &size) == 0 &&
            (address.ss_family == AF_INET || address.ss_family == AF_INET6)) {
            return true;
        }
    }
    return false;
}

/* The number of a connection that is just being closed is already a file of the application: its child closes the
 * copies of the connections, not that. */
static void a_child_keeps_the_files_that_took_the_number_of_a_connection(void **state)
{
    struct blocking_pair *p = *state;
    void *is_right = NULL;
    pthread_t thread;
    int status = 0;
    int told[2];
    pid_t child;
    char byte = 0;

    assert_int_equal(sem_init(&closing.is_closed, 0, 0), 0);
    assert_int_equal(sem_init(&closing.is_forked, 0, 0), 0);
    assert_int_equal(pipe(told), 0);
    assert_int_equal(pthread_create(&thread, NULL, abort_client, p), 0);
    assert_int_equal(sem_wait(&closing.is_closed), 0);
    assert_int_equal(dup2(told[1], closing.fd), closing.fd);
    child = fork();
    if (child == 0) {
        _exit(write(closing.fd, "y", 1) == 1 && !has_sockets_of_the_network() ? 0 : 1);
    }
    sem_post(&closing.is_forked);
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(read(told[0], &byte, 1), 1);
    assert_int_equal(pthread_join(thread, &is_right), 0);
    assert_ptr_equal(is_right, p);
    close(told[0]);
    close(told[1]);
    close(closing.fd);
}

/* ------------------------------------------------------------------------------------------------ a key */

static const uint8_t key[RTCP_KEY_MIN] = "0123456789abcde";

static int setup_with_key(void)
{
    struct rtcp_endpoint_options options;

    rtcp_endpoint_options_default(&options);
    options.key = key;
    options.key_size = sizeof key;
    return rtcp_socket_setup(&options, BASE_S(1));
}

static void *answer_early_bytes(void *argument)
{
    struct blocking_pair *p = argument;
    char bytes[16] = "";
    size_t size = 0;

    if (rtcp_socket_accept(p->listener, &p->server) == 0) {
        while (size < 10) { /* five early bytes, the proof of the key, and five more */
            int64_t n = rtcp_socket_recv(p->server, bytes + size, sizeof bytes - size);

            if (n <= 0) {
                break;
            }
            size += (size_t)n;
        }
        (void)!rtcp_socket_send(p->server, memcmp(bytes, "earlylater", 10) == 0 ? "right" : "wrong", 5);
    }
    return NULL;
}

struct event_client {
    struct ev_loop *loop;
    char got[8];
};

static void on_writable(void *user, struct rtcp_stream *stream)
{
    (void)user;
    if (rtcp_room(stream) > 0) {
        struct rtcp_info info;

        rtcp_info(stream, &info);
        if (info.sent == 5) {
            (void)!rtcp_send(stream, "later", 5);
        }
    }
}

static void on_readable(void *user, struct rtcp_stream *stream)
{
    struct event_client *c = user;

    if (rtcp_recv(stream, c->got, 5) == 5) {
        ev_break(c->loop, EVBREAK_ALL);
    }
}

static void on_late(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)w;
    (void)events;
    ev_break(loop, EVBREAK_ALL);
}

/* An event-driven client sends early bytes under a key; the proof of the key lies behind them, in the stream that the
 * application's thread reads. */
static bool takes_early_bytes_under_a_key(struct blocking_pair *p)
{
    static const struct rtcp_stream_callbacks calls = {.on_readable = on_readable, .on_writable = on_writable};
    struct event_client c = {.loop = ev_loop_new(EVFLAG_AUTO)};
    struct rtcp_endpoint_options options;
    struct rtcp_stream_options early;
    struct rtcp_endpoint *endpoint;
    struct rtcp_stream *stream;
    pthread_t thread;
    ev_timer late;

    rtcp_endpoint_options_default(&options);
    options.key = key;
    options.key_size = sizeof key;
    rtcp_stream_options_default(&early);
    early.early_data_with_key = true;
    pthread_create(&thread, NULL, answer_early_bytes, p);
    if (rtcp_endpoint_open(c.loop, &options, &endpoint) < 0 ||
        rtcp_connect(endpoint, p->address, &early, &calls, &c, &stream) < 0 || rtcp_send(stream, "early", 5) != 5) {
        return false;
    }
    ev_timer_init(&late, on_late, 20., 0.);
    ev_timer_start(c.loop, &late);
    ev_run(c.loop, 0);
    rtcp_endpoint_close(endpoint);
    pthread_join(thread, NULL);
    return strcmp(c.got, "right") == 0;
}

static void a_key_is_chosen_before_the_first_socket(void **state)
{
    struct rtcp_endpoint_options options;
    struct blocking_pair *p = *state;
    int status = 0;
    pid_t child;

    assert_int_equal(setup_with_key(), BASE_E_EXISTS);
    child = fork(); /* a process without sockets */
    if (child == 0) {
        struct blocking_pair fresh;
        void *mine = &fresh;
        bool is_right;

        rtcp_endpoint_options_default(&options);
        options.streams_max = 0;
        is_right = rtcp_socket_setup(&options, 0) == BASE_E_RANGE && setup_with_key() == 0 &&
                   setup_with_key() == BASE_E_EXISTS;
        blocking_pair_setup(&mine);
        blocking_pair_send(((struct blocking_pair *)mine)->client, "with the key");
        blocking_pair_expect(((struct blocking_pair *)mine)->server, "with the key");
        _exit(is_right && takes_early_bytes_under_a_key(mine) ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    blocking_pair_send(p->client, "without");
    blocking_pair_expect(p->server, "without");
}

static void keys_may_be_changed_and_the_streams_be_shown(void **state)
{
    const struct rtcp_key changed = {.id = 7, .bytes = key, .size = sizeof key};
    char path[] = "/tmp/holdfast-blocking-XXXXXX";
    struct blocking_pair *p = *state;
    struct rtcp_socket *client, *server;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    assert_int_equal(rtcp_socket_admin(path), 0);
    assert_int_equal(rtcp_socket_admin(path), BASE_E_EXISTS);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(rtcp_socket_admin(NULL), 0);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_equal(rtcp_socket_set_keys(&changed, 1, 1), BASE_E_RANGE);
    assert_int_equal(rtcp_socket_set_keys(&changed, 1, 0), 0);
    assert_int_equal(rtcp_socket_connect(p->address, NULL, BLOCKING_PAIR_LONG, &client), 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &server), 0);
    blocking_pair_send(client, "with a key");
    blocking_pair_expect(server, "with a key");
    rtcp_socket_free(client);
    assert_int_equal(rtcp_socket_recv(server, path, 1), 0);
    assert_int_equal(rtcp_socket_close(server, RTCP_LINGER_BACKGROUND, BLOCKING_PAIR_LONG), 0);
    rtcp_socket_free(server);
    assert_int_equal(rtcp_socket_set_keys(NULL, 0, 0), 0);
    blocking_pair_send(p->client, "without");
    blocking_pair_expect(p->server, "without");
}

/* A process that dies without a word leaves a child behind: the file of its admin socket is nobody's, not the child's
 * (who restarts the service must get it). */
static void a_child_does_not_keep_the_admin_socket_of_its_dead_parent(void **state)
{
    char path[] = "/tmp/holdfast-blocking-XXXXXX";
    int fd = mkstemp(path);
    int is_there[2], is_over[2];
    pid_t parent;
    char byte;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    unlink(path);
    assert_int_equal(pipe(is_there), 0);
    assert_int_equal(pipe(is_over), 0);
    parent = fork();
    if (parent == 0) {
        bool is_right = rtcp_socket_admin(path) == 0;

        if (fork() == 0) { /* it lives until the test ends */
            close(is_over[1]);
            (void)!write(is_there[1], "y", 1);
            (void)!read(is_over[0], &byte, 1);
            _exit(0);
        }
        (void)!write(is_there[1], is_right ? "y" : "n", 1);
        _exit(0);
    }
    assert_true(parent > 0);
    assert_int_equal(waitpid(parent, NULL, 0), parent);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(read(is_there[0], &byte, 1), 1);
        assert_int_equal(byte, 'y');
    }
    assert_int_equal(rtcp_socket_admin(path), 0);
    assert_int_equal(rtcp_socket_admin(NULL), 0);
    close(is_over[0]);
    close(is_over[1]);
    close(is_there[0]);
    close(is_there[1]);
}

/* As a program that returns from main() without a word: what it sent arrives, and its end. */
static void what_was_sent_before_exit_arrives(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_socket *server;
    static uint8_t bytes[1 << 20];
    size_t got = 0;
    int64_t n;
    pid_t child = fork();

    if (child == 0) {
        struct rtcp_socket *mine;

        if (rtcp_socket_connect(p->address, NULL, BLOCKING_PAIR_LONG, &mine) == 0) {
            (void)!rtcp_socket_send(mine, bytes, sizeof bytes);
        }
        exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &server), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(server, BLOCKING_PAIR_LONG), 0);
    while ((n = rtcp_socket_recv(server, bytes, sizeof bytes)) > 0) {
        got += (size_t)n;
    }
    assert_int_equal(n, 0);
    assert_int_equal(got, sizeof bytes);
    assert_int_equal(waitpid(child, NULL, 0), child);
    rtcp_socket_free(server);
}

/* A server that is killed by its client: its address goes to `told`. */
static pid_t start_victim(int told)
{
    pid_t pid = fork();

    if (pid == 0) {
        char address[RTCP_ADDRESS_TEXT] = "";
        struct rtcp_socket *listener;
        struct rtcp_socket *server;

        if (rtcp_socket_listen("127.0.0.1:0", NULL, &listener) == 0) {
            rtcp_socket_address(listener, address);
            (void)!write(told, address, sizeof address);
            if (rtcp_socket_accept(listener, &server) == 0) {
                blocking_pair_send(server, "welcome");
            }
        }
        pause();
        _exit(0);
    }
    return pid;
}

/* Nobody is to get what was given up: a process does not stay for an abort that nobody hears. */
static void exit_does_not_wait_for_what_was_aborted(void **state)
{
    char address[RTCP_ADDRESS_TEXT];
    struct rtcp_socket *client;
    base_time began;
    int status = 0;
    int told[2];
    pid_t victim;
    pid_t child;

    (void)state;
    assert_int_equal(pipe(told), 0);
    victim = start_victim(told[1]);
    assert_int_equal(read(told[0], address, sizeof address), sizeof address);
    began = base_clock_now();
    child = fork();
    if (child == 0) {
        if (rtcp_socket_connect(address, NULL, BLOCKING_PAIR_LONG, &client) == 0) {
            (void)!rtcp_socket_set_read_deadline(client, BLOCKING_PAIR_LONG);
            blocking_pair_expect(client, "welcome");
            kill(victim, SIGKILL);
            (void)!rtcp_socket_close(client, RTCP_LINGER_ABORT, 0);
            exit(0);
        }
        exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_in_range(base_clock_now() - began, 0, BASE_S(4)); /* not the five seconds of others */
    assert_int_equal(waitpid(victim, NULL, 0), victim);
    close(told[0]);
    close(told[1]);
}

/* The thread sanitizer does not like threads in a child by itself. */
const char *__tsan_default_options(void);

const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_a_child_the_sockets_are_dead_and_the_peers_hear_nothing, blocking_pair_setup,
                                        blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_child_keeps_the_files_that_took_the_number_of_a_connection,
                                        blocking_pair_setup, blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_key_is_chosen_before_the_first_socket, blocking_pair_setup,
                                        blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(keys_may_be_changed_and_the_streams_be_shown, blocking_pair_setup,
                                        blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(a_child_does_not_keep_the_admin_socket_of_its_dead_parent, blocking_pair_setup,
                                        blocking_pair_teardown),
        cmocka_unit_test_setup_teardown(what_was_sent_before_exit_arrives, blocking_pair_setup, blocking_pair_teardown),
        cmocka_unit_test(exit_does_not_wait_for_what_was_aborted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
