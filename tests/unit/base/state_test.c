/* Tests of rtcp/base/state.h, check.h and trace.h. A move is checked against the rules and told to the trace; a broken
 * invariant ends the process, also in release. */
#include "rtcp/base/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum door { OPEN, SHUT, GONE };

static const struct base_state rules[] = {
    [OPEN] = {"open", BASE_TO(SHUT) | BASE_TO(GONE)},
    [SHUT] = {"shut", BASE_TO(OPEN) | BASE_TO(SHUT)},
    [GONE] = {"gone", 0},
};

struct watcher {
    int count;
    struct base_event last;
};

static void watch(void *user, const struct base_event *event)
{
    struct watcher *w = user;

    w->count++;
    w->last = *event;
}

static void an_allowed_move_is_made_and_told_with_its_reason(void **state)
{
    struct watcher w = {0};
    const struct base_trace trace = {&w, watch};
    int door = OPEN;

    (void)state;
    base_state_move(rules, &door, SHUT, &trace,
                    (struct base_event){.at = 42, .object = "door", .id = 7, .text = "a draught"});

    assert_int_equal(door, SHUT);
    assert_int_equal(w.count, 1);
    assert_int_equal(w.last.at, 42);
    assert_int_equal(w.last.id, 7);
    assert_string_equal(w.last.object, "door");
    assert_string_equal(w.last.name, "shut");
    assert_string_equal(w.last.text, "a draught");
    assert_string_equal(w.last.field[BASE_TRACE_FIELDS - 2].key, "from");
    assert_int_equal(w.last.field[BASE_TRACE_FIELDS - 2].value, OPEN);
    assert_string_equal(w.last.field[BASE_TRACE_FIELDS - 1].key, "to");
    assert_int_equal(w.last.field[BASE_TRACE_FIELDS - 1].value, SHUT);
}

static void nobody_need_watch(void **state)
{
    const struct base_trace trace = {NULL, NULL};
    int door = SHUT;

    (void)state;
    base_state_move(rules, &door, SHUT, &trace, (struct base_event){0});
    base_state_move(rules, &door, OPEN, &trace, (struct base_event){0});

    assert_int_equal(door, OPEN);
}

/* Makes a move in a process of its own; gives the signal that ended it, or 0, and what it said to stderr. */
static int move_in_child(int from, int to, char *ret_said, size_t size)
{
    int said[2];
    int status = 0;
    ssize_t got;
    pid_t child;

    assert_int_equal(pipe(said), 0);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const struct base_trace trace = {NULL, NULL};

        (void)sigaction(SIGABRT, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        dup2(said[1], STDERR_FILENO);
        base_state_move(rules, &from, to, &trace, (struct base_event){0});
        _exit(0);
    }
    close(said[1]);
    got = read(said[0], ret_said, size - 1);
    ret_said[got > 0 ? got : 0] = '\0';
    close(said[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void a_forbidden_move_ends_the_process_loudly(void **state)
{
    char said[512];

    (void)state;
    assert_int_equal(move_in_child(GONE, OPEN, said, sizeof said), SIGABRT);
    assert_non_null(strstr(said, "broken invariant"));
    assert_non_null(strstr(said, "state.h"));
    assert_int_equal(move_in_child(OPEN, OPEN, said, sizeof said), SIGABRT);
    assert_int_equal(move_in_child(OPEN, SHUT, said, sizeof said), 0);
}

static void a_check_that_holds_costs_nothing_but_its_expression(void **state)
{
    int evaluated = 0;

    (void)state;
    CHECK(++evaluated == 1);

    assert_int_equal(evaluated, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_allowed_move_is_made_and_told_with_its_reason),
        cmocka_unit_test(nobody_need_watch),
        cmocka_unit_test(a_forbidden_move_ends_the_process_loudly),
        cmocka_unit_test(a_check_that_holds_costs_nothing_but_its_expression),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
