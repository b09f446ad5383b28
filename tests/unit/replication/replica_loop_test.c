/* Tests of replication/replica_loop.c over a group without a network: what a program sees of submissions. */
#include "replication/replication.h"
#include "rtcp/base/clock_loop.h"
#include "tests/support/fake_group.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
    struct ev_loop *loop;
    struct fake_group_script script;
    struct replica *replica;
    char story[1024]; /* everything that happened, in order */
    char state[256];  /* of the machine: all commands in a row */
    bool submits_again;
    bool is_late;
};

static void note(struct world *w, const char *what, const char *text, size_t size)
{
    size_t used = strlen(w->story);

    (void)snprintf(w->story + used, sizeof w->story - used, "%s%s%.*s", used > 0 ? " " : "", what, (int)size, text);
}

static void apply(void *user, const struct replica_command *command, struct replica_answer *answer)
{
    struct world *w = user;

    note(w, "apply:", (const char *)command->data.data, command->data.size);
    base_copy(w->state + strlen(w->state), command->data.data, command->data.size);
    replica_answer_add(answer, w->state, strlen(w->state));
}

static void on_answer(void *user, int status, struct base_bytes answer)
{
    struct world *w = user;

    if (status < 0) {
        note(w, base_status_name(status), "", 0);
        return;
    }
    note(w, "answer:", (const char *)answer.data, answer.size);
    if (w->submits_again) {
        w->submits_again = false;
        assert_int_equal(replica_submit(w->replica, (struct base_bytes){(const uint8_t *)"n", 1}, on_answer, w), 0);
    }
}

static void on_ready(void *user, int status, struct base_bytes answer)
{
    struct world *w = user;

    assert_int_equal(answer.size, 0);
    note(w, status == 0 ? "read:" : base_status_name(status), w->state, strlen(w->state));
}

static void on_view(void *user, const struct group_view *view, const struct group_difference *difference,
                    const char *reason)
{
    (void)difference;
    assert_int_equal(view->id, 1);
    note(user, "view:", reason, strlen(reason));
}

static void on_leader(void *user, uint32_t id, uint64_t term)
{
    (void)id;
    (void)term;
    note(user, "leader", "", 0);
}

static void on_writable(void *user)
{
    note(user, "writable", "", 0);
}

static void on_excluded(void *user, int status, const char *why)
{
    note(user, base_status_name(status), "", 0);
    note(user, "", why, strlen(why));
}

static void on_link(void *user, uint32_t id, bool up)
{
    (void)id;
    note(user, up ? "up" : "down", "", 0);
}

static void on_quorum(void *user, bool has_quorum, base_time since)
{
    (void)since;
    note(user, has_quorum ? "quorum" : "no-quorum", "", 0);
}

static int open_world(struct world *w, bool is_manual)
{
    const struct replica_machine machine = {.apply = apply};
    const struct group_callbacks callbacks = {.on_view = on_view,
                                              .on_leader = on_leader,
                                              .on_writable = on_writable,
                                              .on_link = on_link,
                                              .on_quorum = on_quorum,
                                              .on_excluded = on_excluded};
    struct replica_options options;

    w->loop = ev_loop_new(EVFLAG_AUTO);
    w->script.is_manual = is_manual;
    ev_set_userdata(w->loop, &w->script);
    replica_options_default(&options);
    options.group.name = "test";
    options.group.self = 3;
    options.group.pending_max = 3;
    options.submit_deadline = BASE_MS(20);
    return replica_found(w->loop, &options, &machine, &callbacks, w, &w->replica);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    *state = w;
    return w == NULL ? -1 : open_world(w, true);
}

static int tear_down(void **state)
{
    struct world *w = *state;

    replica_close(w->replica);
    ev_loop_destroy(w->loop);
    free(w);
    return 0;
}

static int submit(struct world *w, const char *command)
{
    struct base_bytes bytes = {(const uint8_t *)command, strlen(command)};

    return replica_submit(w->replica, bytes, on_answer, w);
}

static void on_late(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct world *w = timer->data;

    (void)events;
    w->is_late = true;
    ev_break(loop, EVBREAK_ALL);
}

/* Turns the loop until the story holds `text`; fails after five seconds. */
static void run_until(struct world *w, const char *text)
{
    struct ev_timer late;

    ev_timer_init(&late, on_late, 5., 0.);
    late.data = w;
    ev_timer_start(w->loop, &late);
    while (strstr(w->story, text) == NULL && !w->is_late) {
        ev_run(w->loop, EVRUN_ONCE);
    }
    ev_timer_stop(w->loop, &late);
    assert_false(w->is_late);
}

static void a_submitted_command_is_applied_then_answered(void **state)
{
    struct world *w = *state;

    assert_int_equal(submit(w, "a"), 0);
    assert_int_equal(submit(w, "b"), 0);
    assert_string_equal(w->story, ""); /* nothing from inside the call */

    assert_int_equal(fake_group_deliver(w->script.group, 10), 2);
    assert_string_equal(w->story, "apply:a answer:a apply:b answer:ab");
}

/* K4: the read sees everything before it and nothing after it. */
static void a_read_sees_exactly_what_was_ordered_before_it(void **state)
{
    struct world *w = *state;

    assert_int_equal(submit(w, "a"), 0);
    assert_int_equal(replica_read(w->replica, on_ready, w), 0);
    assert_int_equal(submit(w, "b"), 0);

    fake_group_deliver(w->script.group, 10);

    assert_string_equal(w->story, "apply:a answer:a read:a apply:b answer:ab");
}

static void commands_of_others_are_applied_and_answered_to_nobody(void **state)
{
    struct world *w = *state;

    fake_group_deliver_foreign(w->script.group, 9, 1, (struct base_bytes){(const uint8_t *)"\1x", 2});
    fake_group_deliver_foreign(w->script.group, 9, 2, (struct base_bytes){(const uint8_t *)"\2", 1});
    fake_group_deliver_foreign(w->script.group, 9, 3, (struct base_bytes){(const uint8_t *)"?", 1});

    assert_string_equal(w->story, "apply:x");
}

/* K5: NOLEADER is said at the door, when the group did not take the command; then no answer follows. */
static void without_a_leader_a_command_never_runs(void **state)
{
    struct world *w = *state;
    struct replica_stats stats;

    w->script.broadcast_status = BASE_E_NOLEADER;
    assert_int_equal(submit(w, "a"), BASE_E_NOLEADER);
    assert_int_equal(replica_read(w->replica, on_ready, w), BASE_E_NOLEADER);

    assert_int_equal(fake_group_deliver(w->script.group, 10), 0);
    replica_stats(w->replica, &stats);
    assert_int_equal(stats.pending, 0);
    assert_string_equal(w->story, "");
}

/* K5: after the deadline the outcome is unknown; the command may still run, once, and nobody is told again. */
static void a_deadline_is_told_as_unknown_and_the_command_may_still_run(void **state)
{
    struct world *w = *state;
    struct replica_stats stats;

    assert_int_equal(submit(w, "a"), 0);
    run_until(w, "UNKNOWN");
    fake_group_deliver(w->script.group, 1);

    assert_string_equal(w->story, "view:founded leader UNKNOWN apply:a");
    replica_stats(w->replica, &stats);
    assert_int_equal(stats.unknown, 1);
    assert_int_equal(stats.commands, 1);
}

/* The time counts from the submission, by a clock that nobody sets: not from when this turn of the loop began. */
static void a_deadline_counts_from_the_submission(void **state)
{
    struct world *w = *state;
    base_time began = base_clock_now();

    while (base_clock_now() - began < BASE_MS(40)) { /* a callback that computes for long: the deadline is 20 ms */
    }
    assert_int_equal(submit(w, "a"), 0);
    ev_run(w->loop, EVRUN_NOWAIT);
    if (base_clock_now() - began < BASE_MS(60)) {
        assert_null(strstr(w->story, "UNKNOWN"));
    }
    run_until(w, "UNKNOWN");
    assert_true(base_clock_now() - began >= BASE_MS(60));
}

static void too_much_pending_says_again_and_tells_when_there_is_room(void **state)
{
    struct world *w = *state;

    assert_int_equal(submit(w, "a"), 0);
    assert_int_equal(submit(w, "b"), 0);
    assert_int_equal(submit(w, "c"), 0);
    assert_int_equal(submit(w, "d"), BASE_E_AGAIN);

    fake_group_deliver(w->script.group, 1);

    assert_string_equal(w->story, "apply:a answer:a writable");
    assert_int_equal(submit(w, "d"), 0);
}

static void room_of_the_group_is_passed_on(void **state)
{
    struct world *w = *state;

    w->script.broadcast_status = BASE_E_AGAIN;
    assert_int_equal(submit(w, "a"), BASE_E_AGAIN);
    fake_group_tell_writable(w->script.group);

    assert_string_equal(w->story, "writable");
}

static void an_answer_may_submit_the_next_command(void **state)
{
    struct world *w = *state;

    w->submits_again = true;
    assert_int_equal(submit(w, "a"), 0);
    fake_group_deliver(w->script.group, 10);

    assert_string_equal(w->story, "apply:a answer:a apply:n answer:an");
}

static void exclusion_ends_every_pending_command_as_unknown_here(void **state)
{
    struct world *w = *state;

    assert_int_equal(submit(w, "a"), 0);
    assert_int_equal(submit(w, "b"), 0);
    fake_group_tell_excluded(w->script.group, BASE_E_EXISTS, "why");

    assert_string_equal(w->story, "EXCLUDED EXCLUDED EXISTS why");
    assert_int_equal(submit(w, "c"), BASE_E_EXCLUDED);
}

static void what_the_group_tells_is_passed_on(void **state)
{
    struct world *w = *state;

    fake_group_tell_view(w->script.group);
    fake_group_tell_leader(w->script.group, 3, 1);
    fake_group_tell_link(w->script.group, 2, false);
    fake_group_tell_quorum(w->script.group, true);

    assert_string_equal(w->story, "view:founded leader down quorum");
    assert_int_equal(replica_view(w->replica)->id, 1);
}

static void the_counters_show_the_applied_index_and_what_waits(void **state)
{
    struct world *w = *state;
    struct replica_stats stats;

    assert_int_equal(submit(w, "a"), 0);
    assert_int_equal(submit(w, "b"), 0);
    fake_group_deliver(w->script.group, 1);
    replica_stats(w->replica, &stats);

    assert_int_equal(stats.applied, 1);
    assert_int_equal(stats.commands, 1);
    assert_int_equal(stats.pending, 1);
    assert_int_equal(stats.save_calls, 0);
    assert_int_equal(stats.group.self, 3);
}

static void a_command_above_the_limit_is_refused(void **state)
{
    struct world *w = *state;
    size_t size = (size_t)REPLICA_COMMAND_MAX + 1;
    uint8_t *large = calloc(1, size);

    assert_non_null(large);
    assert_int_equal(replica_submit(w->replica, (struct base_bytes){large, size}, on_answer, w), BASE_E_RANGE);
    assert_int_equal(replica_submit(w->replica, (struct base_bytes){large, size - 1}, on_answer, w), 0);
    free(large);
}

static void a_group_that_cannot_start_leaves_nothing_behind(void **state)
{
    struct world w = {.script = {.found_status = BASE_E_SYSTEM}};

    (void)state;
    assert_int_equal(open_world(&w, true), BASE_E_SYSTEM);
    assert_null(w.replica);
    ev_loop_destroy(w.loop);
}

static void a_machine_without_apply_is_refused(void **state)
{
    struct world *w = *state;
    const struct replica_machine none = {.apply = NULL};
    struct replica_options options;
    struct replica *other = NULL;

    replica_options_default(&options);
    assert_int_equal(options.submit_deadline, BASE_S(5));
    assert_int_equal(replica_found(w->loop, &options, &none, NULL, NULL, &other), BASE_E_INVALID);
    assert_int_equal(replica_open(w->loop, &options, &none, NULL, NULL, &other), BASE_E_INVALID);
    assert_null(other);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_submitted_command_is_applied_then_answered),
        CASE(a_read_sees_exactly_what_was_ordered_before_it),
        CASE(commands_of_others_are_applied_and_answered_to_nobody),
        CASE(without_a_leader_a_command_never_runs),
        CASE(a_deadline_is_told_as_unknown_and_the_command_may_still_run),
        CASE(a_deadline_counts_from_the_submission),
        CASE(too_much_pending_says_again_and_tells_when_there_is_room),
        CASE(room_of_the_group_is_passed_on),
        CASE(an_answer_may_submit_the_next_command),
        CASE(exclusion_ends_every_pending_command_as_unknown_here),
        CASE(what_the_group_tells_is_passed_on),
        CASE(the_counters_show_the_applied_index_and_what_waits),
        CASE(a_command_above_the_limit_is_refused),
        cmocka_unit_test(a_group_that_cannot_start_leaves_nothing_behind),
        CASE(a_machine_without_apply_is_refused),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
