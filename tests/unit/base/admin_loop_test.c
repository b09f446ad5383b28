/* Tests of rtcp/base/admin_loop.h over real sockets: answers, limits, files that were left over, hostile clients.
 *
 * Every wait is for an event and ends with a deadline; nothing sleeps.
 */
#include "rtcp/base/admin_loop.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE_S 10.
#define TEXT_MAX   ((size_t)24 << 20)

struct world {
    struct ev_loop *loop;
    struct holdfast_admin *admin;
    ev_timer deadline;
    bool is_late;
    char folder[64];
    char path[80];
    char *text; /* what the last read() collected */
    size_t size;
    uint64_t lines; /* that "many" answers with */
    int asked;
};

static void answer_one(void *user, struct base_admin_answer *answer)
{
    struct world *w = user;

    w->asked++;
    base_admin_begin(answer);
    base_admin_text(answer, "text", "a\"b\\c\n\x01");
    base_admin_number(answer, "number", UINT64_MAX);
    base_admin_hex(answer, "hex", 0xabc);
    base_admin_time(answer, "time", BASE_MS(1500));
    base_admin_bool(answer, "yes", true);
    base_admin_end(answer);
}

static void answer_many(void *user, struct base_admin_answer *answer)
{
    struct world *w = user;

    for (uint64_t i = 0; i < w->lines; i++) {
        base_admin_begin(answer);
        base_admin_number(answer, "line", i);
        base_admin_end(answer);
    }
}

static void on_deadline(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)loop;
    (void)events;
    ((struct world *)t->data)->is_late = true;
}

static void begin_wait(struct world *w)
{
    ev_timer_stop(w->loop, &w->deadline);
    ev_timer_set(&w->deadline, DEADLINE_S, 0.);
    ev_timer_start(w->loop, &w->deadline);
    w->is_late = false;
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->text = malloc(TEXT_MAX);
    assert_non_null(w->text);
    w->loop = ev_loop_new(EVFLAG_AUTO);
    ev_init(&w->deadline, on_deadline);
    w->deadline.data = w;
    snprintf(w->folder, sizeof w->folder, "/tmp/holdfast-admin-XXXXXX");
    assert_non_null(mkdtemp(w->folder));
    snprintf(w->path, sizeof w->path, "%s/admin", w->folder);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    base_admin_close(w->admin);
    ev_timer_stop(w->loop, &w->deadline);
    ev_loop_destroy(w->loop);
    (void)unlink(w->path);
    assert_int_equal(rmdir(w->folder), 0);
    free(w->text);
    free(w);
    return 0;
}

static int listen_error; /* 0: it works */
int __real_listen(int fd, int backlog);
int __wrap_listen(int fd, int backlog);

int __wrap_listen(int fd, int backlog)
{
    errno = listen_error;
    return listen_error != 0 ? -1 : __real_listen(fd, backlog);
}

static void open_admin(struct world *w)
{
    assert_int_equal(base_admin_open(w->loop, w->path, &w->admin), 0);
    assert_int_equal(base_admin_add(w->admin, "one", answer_one, w), 0);
    assert_int_equal(base_admin_add(w->admin, "many", answer_many, w), 0);
}

static int try_dial(const struct world *w)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", w->path);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int dial(const struct world *w)
{
    int fd = try_dial(w);

    assert_true(fd >= 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Runs the loop and collects what comes until it ends with `end`; NULL: until the other side hangs up. */
static void read_until(struct world *w, int fd, const char *end)
{
    w->size = 0;
    begin_wait(w);
    while (!w->is_late) {
        ssize_t n;

        ev_run(w->loop, EVRUN_NOWAIT);
        n = recv(fd, w->text + w->size, TEXT_MAX - 1 - w->size, MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno == ECONNRESET)) {
            assert_null(end);
            w->text[w->size] = '\0';
            return;
        }
        w->size += n > 0 ? (size_t)n : 0;
        w->text[w->size] = '\0';
        if (end != NULL && w->size >= strlen(end) && strcmp(w->text + w->size - strlen(end), end) == 0) {
            return;
        }
    }
    fail_msg("waited in vain for %s; got %.200s", end == NULL ? "the end" : end, w->text);
}

/* ------------------------------------------------------------------------------------------------ answers */

static void a_command_is_answered_with_lines_of_json_and_an_end(void **state)
{
    struct world *w = *state;
    int fd;

    open_admin(w);
    fd = dial(w);
    say(fd, "one\n");
    read_until(w, fd, "{\"end\":\"one\",\"lines\":1}\n");

    assert_string_equal(w->text, "{\"text\":\"a\\u0022b\\u005cc\\u000a\\u0001\",\"number\":18446744073709551615,"
                                 "\"hex\":\"0000000000000abc\",\"time\":1.500000,\"yes\":true}\n"
                                 "{\"end\":\"one\",\"lines\":1}\n");
    close(fd);
}

static void several_commands_in_one_write_are_answered_in_order(void **state)
{
    struct world *w = *state;
    int fd;

    open_admin(w);
    w->lines = 2;
    fd = dial(w);
    say(fd, "one\r\nmany\none\n");
    shutdown(fd, SHUT_WR); /* as `nc -N` does: what was asked is answered all the same */
    read_until(w, fd, NULL);

    assert_int_equal(w->asked, 2);
    assert_non_null(
        strstr(w->text, "\"lines\":1}\n{\"line\":0}\n{\"line\":1}\n{\"end\":\"many\",\"lines\":2}\n{\"text"));
    close(fd);
}

static void two_objects_answer_one_command(void **state)
{
    struct world *w = *state;
    struct world other = {.lines = 1};
    int fd;

    open_admin(w);
    w->lines = 2;
    assert_int_equal(base_admin_add(w->admin, "many", answer_many, &other), 0);
    fd = dial(w);
    say(fd, "many\n");
    read_until(w, fd, "{\"end\":\"many\",\"lines\":3}\n");
    base_admin_remove(w->admin, &other);
    say(fd, "many\n");
    read_until(w, fd, "{\"end\":\"many\",\"lines\":2}\n");
    say(fd, "help\n");
    read_until(w, fd, "{\"end\":\"help\",\"lines\":2}\n");

    assert_string_equal(w->text, "{\"command\":\"one\"}\n{\"command\":\"many\"}\n{\"end\":\"help\",\"lines\":2}\n");
    close(fd);
}

static void too_many_commands_are_refused(void **state)
{
    struct world *w = *state;

    open_admin(w);
    for (int i = 2; i < BASE_ADMIN_COMMANDS_MAX; i++) {
        assert_int_equal(base_admin_add(w->admin, "x", answer_one, w), 0);
    }

    assert_int_equal(base_admin_add(w->admin, "x", answer_one, w), BASE_E_RANGE);
}

/* B: every queue has a limit. */
static void an_answer_that_is_too_long_says_so(void **state)
{
    struct world *w = *state;
    int fd;

    open_admin(w);
    w->lines = BASE_ADMIN_ANSWER_MAX / 10;
    fd = dial(w);
    say(fd, "many\n");
    shutdown(fd, SHUT_WR);
    read_until(w, fd, NULL);

    assert_in_range(w->size, BASE_ADMIN_ANSWER_MAX - 1000, BASE_ADMIN_ANSWER_MAX);
    assert_non_null(strstr(
        w->text,
        "}\n{\"error\":\"the rest was left out: the answer is too long, or there is no memory\"}\n{\"end\":\"many\","));
    close(fd);
}

/* ------------------------------------------------------------------------------------------------ hostile clients */

static void garbage_is_answered_with_an_error_and_never_repeated(void **state)
{
    static const char garbage[] = "\0\x01\xff\"}{\n";
    struct world *w = *state;
    int fd;

    open_admin(w);
    fd = dial(w);
    assert_int_equal(send(fd, garbage, sizeof garbage - 1, 0), sizeof garbage - 1);
    read_until(w, fd, "\n{\"end\":\"\",\"lines\":1}\n");
    assert_string_equal(w->text, "{\"error\":\"no such command: say help\"}\n{\"end\":\"\",\"lines\":1}\n");
    say(fd, "one\n");
    read_until(w, fd, "{\"end\":\"one\",\"lines\":1}\n");

    assert_int_equal(w->asked, 1);
    close(fd);
}

static void a_line_that_is_too_long_ends_the_client(void **state)
{
    struct world *w = *state;
    char line[BASE_ADMIN_LINE_MAX + 1];
    int fd;

    open_admin(w);
    fd = dial(w);
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    say(fd, line);
    read_until(w, fd, NULL);

    assert_non_null(strstr(w->text, "the line is too long"));
    close(fd);
}

static void a_slow_reader_is_hung_up_on_and_others_are_served(void **state)
{
    struct world *w = *state;
    char byte;
    int slow, other;

    open_admin(w);
    w->lines = 1 << 19;
    slow = dial(w);
    say(slow, "many\nmany\nmany\n");
    other = dial(w);
    say(other, "one\n");
    read_until(w, other, "{\"end\":\"one\",\"lines\":1}\n");
    begin_wait(w);
    while (!w->is_late && send(slow, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1) { /* until it is hung up on */
        ev_run(w->loop, EVRUN_ONCE);
    }

    assert_false(w->is_late);
    while (recv(slow, w->text, TEXT_MAX, 0) > 0) { /* what the kernel had taken: a part of the first answer */
        assert_null(strstr(w->text, "\"end\""));
    }
    say(other, "one\n");
    read_until(w, other, "{\"end\":\"one\",\"lines\":1}\n");
    assert_int_equal(recv(other, &byte, 1, MSG_DONTWAIT), -1);
    close(slow);
    close(other);
}

/* Its last answer was taken as a whole, but there is no room for the next one: nothing is pending, and yet it is slow.
 */
static void a_slow_reader_of_many_small_answers_is_hung_up_on(void **state)
{
    struct world *w = *state;
    bool is_full = false;
    int fd;

    open_admin(w);
    fd = dial(w);
    begin_wait(w);
    for (int idle = 0; idle < 100 && !w->is_late; idle++) { /* until neither side can send any more */
        if (send(fd, "one\n", 4, MSG_NOSIGNAL | MSG_DONTWAIT) == 4) {
            idle = 0;
        } else {
            is_full = true;
        }
        ev_run(w->loop, EVRUN_NOWAIT);
    }
    assert_true(is_full);
    while (!w->is_late && send(fd, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE) {
        ev_run(w->loop, EVRUN_ONCE);
    }

    assert_false(w->is_late);
    close(fd);
}

static void one_client_too_many_is_told_so(void **state)
{
    struct world *w = *state;
    int fd[BASE_ADMIN_CLIENTS_MAX + 1];

    open_admin(w);
    for (int i = 0; i < BASE_ADMIN_CLIENTS_MAX; i++) {
        fd[i] = dial(w);
        say(fd[i], "one\n");
        read_until(w, fd[i], "{\"end\":\"one\",\"lines\":1}\n");
    }
    fd[BASE_ADMIN_CLIENTS_MAX] = dial(w);
    read_until(w, fd[BASE_ADMIN_CLIENTS_MAX], NULL);
    assert_string_equal(w->text, "{\"error\":\"too many clients\"}\n");
    close(fd[BASE_ADMIN_CLIENTS_MAX]);
    close(fd[0]);
    fd[0] = -1;
    begin_wait(w);
    while (fd[0] < 0 && !w->is_late) { /* a place is free again as soon as the loop saw the end of that client */
        ev_run(w->loop, EVRUN_NOWAIT);
        fd[0] = try_dial(w);
    }
    say(fd[0], "one\n");
    read_until(w, fd[0], "{\"end\":\"one\",\"lines\":1}\n");

    for (int i = 0; i < BASE_ADMIN_CLIENTS_MAX; i++) {
        close(fd[i]);
    }
}

static void a_client_that_goes_in_the_middle_of_its_answer_is_forgotten(void **state)
{
    struct world *w = *state;
    int fd;

    open_admin(w);
    w->lines = 1 << 18;
    for (int i = 0; i < 3 * BASE_ADMIN_CLIENTS_MAX; i++) {
        fd = dial(w);
        say(fd, "many\n");
        ev_run(w->loop, EVRUN_NOWAIT);
        ev_run(w->loop, EVRUN_NOWAIT);
        close(fd);
        ev_run(w->loop, EVRUN_NOWAIT);
    }
    fd = dial(w);
    say(fd, "one\n");
    read_until(w, fd, "{\"end\":\"one\",\"lines\":1}\n");

    assert_int_equal(w->asked, 1);
    close(fd);
}

/* ------------------------------------------------------------------------------------------------ the file */

static void only_the_owner_may_open_the_file(void **state)
{
    struct world *w = *state;
    mode_t mask = umask(0);
    struct stat s;

    open_admin(w);
    umask(mask);

    assert_int_equal(lstat(w->path, &s), 0);
    assert_true(S_ISSOCK(s.st_mode));
    assert_int_equal(s.st_mode & 07777, 0600);
}

static void the_file_of_a_dead_process_is_replaced(void **state)
{
    struct world *w = *state;
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct holdfast_admin *admin;

        _exit(base_admin_open(w->loop, w->path, &admin) == 0 ? 0 : 1); /* as if killed: the file stays */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(try_dial(w), -1);

    open_admin(w);
    close(dial(w));
}

static void the_file_of_a_live_process_is_left_alone(void **state)
{
    struct world *w = *state;
    struct holdfast_admin *second = NULL;

    open_admin(w);

    assert_int_equal(base_admin_open(w->loop, w->path, &second), BASE_E_EXISTS);
    assert_null(second);
    close(dial(w));
}

static void a_file_that_is_no_socket_is_left_alone(void **state)
{
    struct world *w = *state;
    int fd = open(w->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    close(fd);

    assert_int_equal(base_admin_open(w->loop, w->path, &w->admin), BASE_E_EXISTS);
    assert_int_equal(access(w->path, F_OK), 0);
}

static void closing_removes_the_own_file_only(void **state)
{
    struct world *w = *state;

    open_admin(w);
    base_admin_close(w->admin);
    assert_int_equal(access(w->path, F_OK), -1);
    open_admin(w);
    assert_int_equal(unlink(w->path), 0);
    close(open(w->path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)); /* somebody else's by now */
    base_admin_close(w->admin);
    w->admin = NULL;

    assert_int_equal(access(w->path, F_OK), 0);
}

static void impossible_paths_are_errors(void **state)
{
    struct world *w = *state;
    char path[200];

    memset(path, 'x', sizeof path - 1);
    path[sizeof path - 1] = '\0';

    assert_int_equal(base_admin_open(w->loop, "", &w->admin), BASE_E_INVALID);
    assert_int_equal(base_admin_open(w->loop, path, &w->admin), BASE_E_INVALID);
    snprintf(path, sizeof path, "%s/none/admin", w->folder);
    assert_int_equal(base_admin_open(w->loop, path, &w->admin), BASE_E_SYSTEM);
    assert_int_equal(errno, ENOENT);
}

static void where_listening_fails_no_file_stays(void **state)
{
    struct world *w = *state;
    int status;

    listen_error = EADDRINUSE;
    status = base_admin_open(w->loop, w->path, &w->admin);
    listen_error = 0;

    assert_int_equal(status, BASE_E_SYSTEM);
    assert_int_equal(errno, EADDRINUSE);
    assert_int_equal(access(w->path, F_OK), -1);
}

static void an_open_socket_and_its_clients_do_not_keep_the_loop_running(void **state)
{
    struct world *w = *state;
    int fd;

    open_admin(w);
    fd = dial(w);
    say(fd, "one\n");
    read_until(w, fd, "{\"end\":\"one\",\"lines\":1}\n");
    ev_timer_stop(w->loop, &w->deadline);

    ev_run(w->loop, 0); /* would not return */
    close(fd);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_command_is_answered_with_lines_of_json_and_an_end),
        CASE(several_commands_in_one_write_are_answered_in_order),
        CASE(two_objects_answer_one_command),
        CASE(too_many_commands_are_refused),
        CASE(an_answer_that_is_too_long_says_so),
        CASE(garbage_is_answered_with_an_error_and_never_repeated),
        CASE(a_line_that_is_too_long_ends_the_client),
        CASE(a_slow_reader_is_hung_up_on_and_others_are_served),
        CASE(a_slow_reader_of_many_small_answers_is_hung_up_on),
        CASE(one_client_too_many_is_told_so),
        CASE(a_client_that_goes_in_the_middle_of_its_answer_is_forgotten),
        CASE(only_the_owner_may_open_the_file),
        CASE(the_file_of_a_dead_process_is_replaced),
        CASE(the_file_of_a_live_process_is_left_alone),
        CASE(a_file_that_is_no_socket_is_left_alone),
        CASE(closing_removes_the_own_file_only),
        CASE(impossible_paths_are_errors),
        CASE(where_listening_fails_no_file_stays),
        CASE(an_open_socket_and_its_clients_do_not_keep_the_loop_running),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
