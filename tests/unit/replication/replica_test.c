/* Tests of replication/replica.c: who waits for what, and the promises checked at the door (K2, K5, C1). */
#include "replication/replica.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEADLINE BASE_S(5)

static void nobody(void *user, int status, struct base_bytes answer)
{
    (void)user;
    (void)status;
    (void)answer;
}

static int set_up(void **state)
{
    struct replica_core *c = calloc(1, sizeof *c);

    if (c == NULL || replica_core_init(c, base_memory_libc(), 4, DEADLINE) != 0) {
        return -1;
    }
    *state = c;
    return 0;
}

static int tear_down(void **state)
{
    replica_core_deinit(*state);
    free(*state);
    return 0;
}

static struct group_delivery message(uint64_t index, uint32_t origin, uint64_t number, bool is_own, const char *bytes)
{
    return (struct group_delivery){.index = index,
                                   .term = 1,
                                   .origin = origin,
                                   .number = number,
                                   .is_own = is_own,
                                   .data = {(const uint8_t *)bytes, strlen(bytes)}};
}

static int deliver(struct replica_core *c, struct group_delivery d, struct replica_task *ret_task)
{
    return replica_core_deliver(c, &d, ret_task);
}

/* Runs a function in a child and says whether a broken invariant ended it. */
static bool is_stopped(void (*f)(struct replica_core *c), struct replica_core *c)
{
    int status = 0;
    pid_t pid = fork();

    if (pid == 0) {
        struct rlimit none = {0, 0};

        (void)setrlimit(RLIMIT_CORE, &none);
        (void)close(STDERR_FILENO);
        f(c);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void a_command_comes_back_to_the_one_who_waits(void **state)
{
    struct replica_core *c = *state;
    struct replica_task task;
    int here;

    replica_core_submitted(c, 1, nobody, &here, 0);

    assert_int_equal(deliver(c, message(7, 2, 1, true, "\1abc"), &task), 0);
    assert_int_equal(task.kind, REPLICA_KIND_COMMAND);
    assert_int_equal(task.command.index, 7);
    assert_int_equal(task.command.origin, 2);
    assert_int_equal(task.command.number, 1);
    assert_int_equal(task.command.data.size, 3);
    assert_memory_equal(task.command.data.data, "abc", 3);
    assert_true(task.is_awaited);
    assert_ptr_equal(task.waiter.user, &here);
    assert_int_equal(c->count, 0);
}

static void a_command_of_another_member_is_applied_and_awaited_by_nobody(void **state)
{
    struct replica_core *c = *state;
    struct replica_task task;

    replica_core_submitted(c, 1, nobody, NULL, 0);

    assert_int_equal(deliver(c, message(1, 3, 1, false, "\1x"), &task), 0);
    assert_false(task.is_awaited);
    assert_int_equal(c->count, 1);
    assert_int_equal(c->commands, 1);
}

static void a_read_is_a_place_in_the_order_and_no_command(void **state)
{
    struct replica_core *c = *state;
    struct replica_task task;

    replica_core_submitted(c, 1, nobody, NULL, 0);

    assert_int_equal(deliver(c, message(1, 2, 1, true, "\2"), &task), 0);
    assert_int_equal(task.kind, REPLICA_KIND_READ);
    assert_true(task.is_awaited);
    assert_int_equal(c->commands, 0);
}

static void answers_come_in_the_order_of_the_submissions(void **state)
{
    struct replica_core *c = *state;
    struct replica_task task;
    int who[4];

    for (size_t i = 0; i < 4; i++) {
        replica_core_submitted(c, i + 1, nobody, &who[i], 0);
    }

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(deliver(c, message(10 + i, 2, i + 1, true, "\1c"), &task), 0);
        assert_true(task.is_awaited);
        assert_ptr_equal(task.waiter.user, &who[i]);
    }
}

static void a_full_queue_says_again_until_an_answer_makes_room(void **state)
{
    struct replica_core *c = *state;
    struct replica_task task;

    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(replica_core_admit(c, 1), 0);
        replica_core_submitted(c, i + 1, nobody, NULL, 0);
    }

    assert_int_equal(replica_core_admit(c, 1), BASE_E_AGAIN);
    assert_int_equal(deliver(c, message(1, 2, 1, true, "\1c"), &task), 0);
    assert_int_equal(replica_core_admit(c, 1), 0);
}

static void a_command_above_the_limit_is_refused_at_the_door(void **state)
{
    struct replica_core *c = *state;

    assert_int_equal(replica_core_admit(c, REPLICA_COMMAND_MAX), 0);
    assert_int_equal(replica_core_admit(c, (size_t)REPLICA_COMMAND_MAX + 1), BASE_E_RANGE);
}

/* K5: unknown is said once; the late command is still applied, once, and nobody is told twice. */
static void a_deadline_tells_unknown_and_the_late_command_is_still_applied(void **state)
{
    struct replica_core *c = *state;
    struct replica_waiter waiter;
    struct replica_task task;
    int first;
    int second;

    replica_core_submitted(c, 1, nobody, &first, 100);
    replica_core_submitted(c, 2, nobody, &second, 200);

    assert_int_equal(replica_core_deadline(c), 100 + DEADLINE);
    assert_false(replica_core_expire(c, 99 + DEADLINE, &waiter));
    assert_true(replica_core_expire(c, 100 + DEADLINE, &waiter));
    assert_ptr_equal(waiter.user, &first);
    assert_false(replica_core_expire(c, 100 + DEADLINE, &waiter));
    assert_int_equal(replica_core_deadline(c), 200 + DEADLINE);
    assert_int_equal(c->unknown, 1);

    assert_int_equal(deliver(c, message(1, 2, 1, true, "\1late"), &task), 0);
    assert_false(task.is_awaited);
    assert_int_equal(task.kind, REPLICA_KIND_COMMAND);
    assert_int_equal(deliver(c, message(2, 2, 2, true, "\1next"), &task), 0);
    assert_true(task.is_awaited);
    assert_ptr_equal(task.waiter.user, &second);
}

static void nobody_waiting_means_no_deadline(void **state)
{
    struct replica_core *c = *state;
    struct replica_waiter waiter;

    assert_true(replica_core_deadline(c) == BASE_NEVER);
    assert_false(replica_core_expire(c, BASE_S(1000), &waiter));
}

static void an_excluded_replica_gives_every_waiter_up_and_admits_nobody(void **state)
{
    struct replica_core *c = *state;
    struct replica_waiter waiter;
    int who[2];

    replica_core_submitted(c, 1, nobody, &who[0], 0);
    replica_core_submitted(c, 2, nobody, &who[1], 0);
    assert_false(replica_core_abandon(c, &waiter));

    replica_core_exclude(c);

    assert_true(replica_core_abandon(c, &waiter));
    assert_ptr_equal(waiter.user, &who[0]);
    assert_true(replica_core_abandon(c, &waiter));
    assert_ptr_equal(waiter.user, &who[1]);
    assert_false(replica_core_abandon(c, &waiter));
    assert_int_equal(replica_core_admit(c, 1), BASE_E_EXCLUDED);
}

static void repeat_a_number(struct replica_core *c)
{
    struct replica_task task;

    (void)deliver(c, message(1, 2, 5, false, "\1a"), &task);
    (void)deliver(c, message(2, 2, 5, false, "\1a"), &task);
}

static void repeat_an_index(struct replica_core *c)
{
    struct replica_task task;

    (void)deliver(c, message(4, 2, 1, false, "\1a"), &task);
    (void)deliver(c, message(4, 3, 1, false, "\1b"), &task);
}

static void pass_over_an_own_number(struct replica_core *c)
{
    struct replica_task task;

    replica_core_submitted(c, 1, nobody, NULL, 0);
    replica_core_submitted(c, 2, nobody, NULL, 0);
    (void)deliver(c, message(1, 2, 2, true, "\1a"), &task);
}

static void nothing_wrong(struct replica_core *c)
{
    struct replica_task task;

    (void)deliver(c, message(1, 2, 5, false, "\1a"), &task);
    (void)deliver(c, message(2, 2, 9, false, "\1a"), &task);
    (void)deliver(c, message(3, 3, 1, false, "\1a"), &task);
}

/* K2: a second application would be worse than a stop, so each broken promise of the group ends the process. */
static void a_repeated_number_or_index_stops_the_process(void **state)
{
    assert_false(is_stopped(nothing_wrong, *state));
    assert_true(is_stopped(repeat_a_number, *state));
    assert_true(is_stopped(repeat_an_index, *state));
    assert_true(is_stopped(pass_over_an_own_number, *state));
}

static void a_message_of_no_known_kind_asks_for_nothing(void **state)
{
    struct replica_core *c = *state;
    struct replica_task task = {.kind = REPLICA_KIND_READ};

    assert_int_equal(deliver(c, message(1, 2, 1, false, ""), &task), BASE_E_PROTOCOL);
    assert_int_equal(deliver(c, message(2, 2, 2, false, "zz"), &task), BASE_E_PROTOCOL);

    assert_int_equal(task.kind, REPLICA_KIND_READ);
    assert_int_equal(c->commands, 0);
    assert_int_equal(c->index, 2);
}

static void numbers_begin_anew_with_a_new_incarnation_of_a_member(void **state)
{
    struct replica_core *c = *state;
    struct group_view view = {
        .id = 1, .count = 2, .member = {{.id = 1, .incarnation = 11}, {.id = 2, .incarnation = 22}}};
    struct replica_task task;

    replica_core_view(c, &view);
    assert_int_equal(deliver(c, message(1, 1, 100, false, "\1a"), &task), 0);
    assert_int_equal(deliver(c, message(2, 2, 100, false, "\1a"), &task), 0);
    view.member[1].incarnation = 23;
    replica_core_view(c, &view);

    assert_int_equal(deliver(c, message(3, 2, 1, false, "\1a"), &task), 0);
    assert_int_equal(deliver(c, message(4, 1, 101, false, "\1a"), &task), 0);
}

static void numbers_go_on_through_a_view_that_keeps_the_member(void **state)
{
    struct replica_core *c = *state;
    struct group_view view = {.id = 1, .count = 1, .member = {{.id = 2, .incarnation = 22}}};
    struct replica_task task;

    replica_core_view(c, &view);
    assert_int_equal(deliver(c, message(1, 2, 4, false, "\1a"), &task), 0);
    view.id = 2;
    replica_core_view(c, &view);

    assert_int_equal(c->sender_count, 1);
    assert_int_equal(c->sender[0].number, 4);
}

struct machine_state {
    char text[16];
    int fails;
};

static int save(void *user, struct replica_writer *writer)
{
    struct machine_state *m = user;

    return m->fails != 0 ? m->fails : replica_writer_add(writer, m->text, sizeof m->text);
}

static int load(void *user, struct replica_reader *reader)
{
    struct machine_state *m = user;

    return replica_reader_take(reader, m->text, sizeof m->text);
}

/* The counters that a catch-up by the log must leave at 0 do move when a state is carried over (paper, section 1). */
static void a_state_transfer_moves_the_counters_and_carries_the_state(void **state)
{
    struct replica_core *c = *state;
    const struct replica_machine machine = {.save = save, .load = load};
    struct machine_state from = {.text = "the whole state"};
    struct machine_state to = {.text = ""};
    struct replica_stats stats = {0};
    struct replica_writer writer;
    struct replica_reader reader;

    replica_writer_init(&writer, base_memory_libc(), 1024);
    assert_int_equal(replica_core_save(c, &machine, &from, &writer), 0);
    replica_core_stats(c, &stats);
    assert_int_equal(stats.save_calls, 1);
    assert_int_equal(stats.load_calls, 0);

    replica_reader_init(&reader, replica_writer_bytes(&writer));
    assert_int_equal(replica_core_load(c, &machine, &to, &reader), 0);
    replica_core_stats(c, &stats);
    assert_int_equal(stats.load_calls, 1);
    assert_string_equal(to.text, "the whole state");

    from.fails = BASE_E_NOMEM;
    assert_int_equal(replica_core_save(c, &machine, &from, &writer), BASE_E_NOMEM);
    replica_writer_deinit(&writer);
}

static void the_counters_tell_what_happened(void **state)
{
    struct replica_core *c = *state;
    struct replica_stats stats = {0};
    struct replica_waiter waiter;
    struct replica_task task;

    replica_core_submitted(c, 1, nobody, NULL, 0);
    replica_core_submitted(c, 2, nobody, NULL, 0);
    replica_core_submitted(c, 3, nobody, NULL, 0);
    assert_int_equal(deliver(c, message(41, 2, 1, true, "\1a"), &task), 0);
    assert_true(replica_core_expire(c, DEADLINE, &waiter));
    replica_core_stats(c, &stats);

    assert_int_equal(stats.applied, 41);
    assert_int_equal(stats.commands, 1);
    assert_int_equal(stats.pending, 1);
    assert_int_equal(stats.unknown, 1);
}

static void the_limits_of_the_queue_are_checked(void **state)
{
    struct replica_core c;

    (void)state;
    assert_int_equal(replica_core_init(&c, base_memory_libc(), 0, DEADLINE), BASE_E_RANGE);
    assert_int_equal(replica_core_init(&c, base_memory_libc(), ((size_t)1 << 24) + 1, DEADLINE), BASE_E_RANGE);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_command_comes_back_to_the_one_who_waits),
        CASE(a_command_of_another_member_is_applied_and_awaited_by_nobody),
        CASE(a_read_is_a_place_in_the_order_and_no_command),
        CASE(answers_come_in_the_order_of_the_submissions),
        CASE(a_full_queue_says_again_until_an_answer_makes_room),
        CASE(a_command_above_the_limit_is_refused_at_the_door),
        CASE(a_deadline_tells_unknown_and_the_late_command_is_still_applied),
        CASE(nobody_waiting_means_no_deadline),
        CASE(an_excluded_replica_gives_every_waiter_up_and_admits_nobody),
        CASE(a_repeated_number_or_index_stops_the_process),
        CASE(a_message_of_no_known_kind_asks_for_nothing),
        CASE(numbers_begin_anew_with_a_new_incarnation_of_a_member),
        CASE(numbers_go_on_through_a_view_that_keeps_the_member),
        CASE(a_state_transfer_moves_the_counters_and_carries_the_state),
        CASE(the_counters_tell_what_happened),
        CASE(the_limits_of_the_queue_are_checked),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
