/* Stories of three replicas in one process, over real streams on the loopback: what programs see of one order.
 *
 * Everything runs on one loop; steps wait for events, each with a deadline.
 */
#include "replication/replication.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <ev.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NODES        3
#define COMMANDS_MAX 2000
#define STEP_LIMIT   10.0 /* seconds for any step of a story */
#define SUBMIT_LIMIT BASE_MS(1500)

struct world;

/* A command names its submitter and counts: "2:17". */
struct node {
    struct world *world;
    uint32_t id;
    struct replica *replica;
    uint32_t leader;
    bool has_view;
    uint32_t trace[COMMANDS_MAX]; /* id * 1000000 + count of every command applied, in order */
    size_t applied;
    size_t submitted;
    size_t answered; /* with 0 */
    size_t unknown;
    size_t refused; /* at the door */
    size_t last_answer;
    size_t read_saw; /* commands applied at the last read's point */
    size_t reads;
};

struct world {
    struct ev_loop *loop;
    struct node node[NODES];
    char address[NODES][32];
    struct group_address member[NODES];
    bool is_late;
};

/* What on_answer gets: which command of which node. */
struct ticket {
    struct node *node;
    size_t count;
};

static void apply(void *user, const struct replica_command *command, struct replica_answer *answer)
{
    struct node *n = user;
    uint8_t index[8];

    assert_int_equal(command->data.size, 4);
    assert_true(n->applied < COMMANDS_MAX);
    n->trace[n->applied++] = base_get32(command->data.data);
    base_put64(index, n->applied);
    replica_answer_add(answer, index, sizeof index);
}

static void on_answer(void *user, int status, struct base_bytes answer)
{
    struct ticket *t = user;
    struct node *n = t->node;

    if (status == 0) {
        assert_int_equal(answer.size, 8);
        assert_int_equal(base_get64(answer.data), n->applied);
        assert_int_equal(n->trace[n->applied - 1], n->id * 1000000 + t->count);
        assert_true(t->count > n->last_answer);
        n->last_answer = t->count;
        n->answered++;
    } else {
        assert_int_equal(status, BASE_E_UNKNOWN);
        n->unknown++;
    }
    free(t);
}

static void on_ready(void *user, int status, struct base_bytes answer)
{
    struct node *n = user;

    assert_int_equal(status, 0);
    assert_int_equal(answer.size, 0);
    n->read_saw = n->applied;
    n->reads++;
}

static void on_view(void *user, const struct group_view *view, const struct group_difference *difference,
                    const char *reason)
{
    struct node *n = user;

    (void)difference;
    (void)reason;
    assert_int_equal(view->id, 1);
    n->has_view = true;
}

static void on_leader(void *user, uint32_t id, uint64_t term)
{
    (void)term;
    ((struct node *)user)->leader = id;
}

static int free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    (void)close(fd);
    return ntohs(address.sin_port);
}

static void on_late(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)events;
    ((struct world *)timer->data)->is_late = true;
    ev_break(loop, EVBREAK_ALL);
}

/* Turns the loop until the condition holds. */
static void run_until(struct world *w, bool (*holds)(struct world *w), const char *what)
{
    struct ev_timer late;

    ev_timer_init(&late, on_late, STEP_LIMIT, 0.);
    late.data = w;
    ev_timer_start(w->loop, &late);
    while (!holds(w) && !w->is_late) {
        ev_run(w->loop, EVRUN_ONCE);
    }
    ev_timer_stop(w->loop, &late);
    if (w->is_late) {
        fail_msg("in vain: %s", what);
    }
}

static bool is_led(struct world *w)
{
    uint32_t leader = 0;

    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &w->node[i];

        if (n->replica == NULL) {
            continue;
        }
        if (!n->has_view || n->leader == 0 || (leader != 0 && n->leader != leader)) {
            return false;
        }
        leader = n->leader;
    }
    return w->node[leader - 1].replica != NULL;
}

static void open_node(struct world *w, size_t i)
{
    static const struct replica_machine machine = {.apply = apply};
    static const struct group_callbacks callbacks = {.on_view = on_view, .on_leader = on_leader};
    struct node *n = &w->node[i];
    struct replica_options o;

    n->world = w;
    n->id = (uint32_t)i + 1;
    replica_options_default(&o);
    o.group.name = "story";
    o.group.token = (uint64_t)getpid();
    o.group.self = n->id;
    o.group.member = w->member;
    o.group.member_count = NODES;
    o.group.election_timeout = BASE_MS(200);
    o.submit_deadline = SUBMIT_LIMIT;
    assert_int_equal(replica_found(w->loop, &o, &machine, &callbacks, n, &n->replica), 0);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);

    if (w == NULL) {
        return -1;
    }
    *state = w;
    w->loop = ev_loop_new(EVFLAG_AUTO);
    for (size_t i = 0; i < NODES; i++) {
        (void)snprintf(w->address[i], sizeof w->address[i], "127.0.0.1:%d", free_port());
        w->member[i] = (struct group_address){(uint32_t)i + 1, w->address[i]};
    }
    for (size_t i = 0; i < NODES; i++) {
        open_node(w, i);
    }
    run_until(w, is_led, "a view and a leader on all");
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < NODES; i++) {
        replica_close(w->node[i].replica);
    }
    ev_loop_destroy(w->loop);
    free(w);
    return 0;
}

/* Submits the node's next command; its outcome is counted. */
static int submit(struct node *n)
{
    struct ticket *t = malloc(sizeof *t);
    uint8_t command[4];
    int status;

    assert_non_null(t);
    *t = (struct ticket){n, n->submitted + 1};
    base_put32(command, n->id * 1000000 + (uint32_t)t->count);
    status = replica_submit(n->replica, (struct base_bytes){command, sizeof command}, on_answer, t);
    if (status == 0) {
        n->submitted++;
    } else {
        n->refused++;
        free(t);
    }
    return status;
}

static bool all_is_told(struct world *w)
{
    for (size_t i = 0; i < NODES; i++) {
        struct node *n = &w->node[i];

        if (n->replica != NULL && n->answered + n->unknown < n->submitted) {
            return false;
        }
    }
    return true;
}

/* All replicas that are left have applied as much as the one that has most. */
static bool all_is_applied(struct world *w)
{
    size_t most = 0;

    for (size_t i = 0; i < NODES; i++) {
        most = w->node[i].replica != NULL && w->node[i].applied > most ? w->node[i].applied : most;
    }
    for (size_t i = 0; i < NODES; i++) {
        if (w->node[i].replica != NULL && w->node[i].applied < most) {
            return false;
        }
    }
    return all_is_told(w);
}

/* How often a command stands in a trace. */
static size_t times(const struct node *n, uint32_t command)
{
    size_t count = 0;

    for (size_t i = 0; i < n->applied; i++) {
        count += n->trace[i] == command ? 1 : 0;
    }
    return count;
}

static void assert_one_order(const struct node *a, const struct node *b)
{
    assert_int_equal(a->applied, b->applied);
    assert_memory_equal(a->trace, b->trace, a->applied * sizeof a->trace[0]);
}

/* M and C properties as an application sees them: the same commands, in the same order, each once, answers in order. */
static void commands_of_all_members_are_applied_once_in_one_order_everywhere(void **state)
{
    struct world *w = *state;
    struct replica_stats stats;

    for (size_t round = 0; round < 200; round++) {
        for (size_t i = 0; i < NODES; i++) {
            assert_int_equal(submit(&w->node[i]), 0);
        }
    }
    run_until(w, all_is_applied, "all commands on all replicas");

    assert_one_order(&w->node[0], &w->node[1]);
    assert_one_order(&w->node[0], &w->node[2]);
    assert_int_equal(w->node[0].applied, 600);
    for (size_t i = 0; i < NODES; i++) {
        assert_int_equal(w->node[i].answered, 200);
        for (uint32_t k = 1; k <= 200; k++) {
            assert_int_equal(times(&w->node[0], w->node[i].id * 1000000 + k), 1);
        }
        replica_stats(w->node[i].replica, &stats);
        assert_int_equal(stats.commands, 600);
        assert_int_equal(stats.pending, 0);
        assert_int_equal(stats.save_calls + stats.load_calls, 0);
    }
}

static bool has_read(struct world *w)
{
    return w->node[0].reads > 0 && w->node[1].reads > 0 && w->node[2].reads > 0;
}

/* K4: what was acknowledged on one member is seen by a read on any other, begun afterwards. */
static void a_read_anywhere_sees_what_was_acknowledged_elsewhere(void **state)
{
    struct world *w = *state;

    for (size_t round = 0; round < 50; round++) {
        struct node *writer = &w->node[round % NODES];
        size_t acknowledged;

        assert_int_equal(submit(writer), 0);
        run_until(w, all_is_told, "the answer");
        acknowledged = writer->applied;
        for (size_t i = 0; i < NODES; i++) {
            w->node[i].reads = 0;
            assert_int_equal(replica_read(w->node[i].replica, on_ready, &w->node[i]), 0);
        }
        run_until(w, has_read, "three reads");
        for (size_t i = 0; i < NODES; i++) {
            assert_true(w->node[i].read_saw >= acknowledged);
        }
    }
}

static bool half_is_answered(struct world *w)
{
    for (size_t i = 0; i < NODES; i++) {
        if (w->node[i].replica != NULL && w->node[i].answered < 50) {
            return false;
        }
    }
    return true;
}

/* K2: commands that were forwarded to a leader that left come again to the next, and run once. */
static void the_leader_leaves_and_no_command_is_lost_or_applied_twice(void **state)
{
    struct world *w = *state;
    struct node *leader = &w->node[w->node[0].leader - 1];
    struct node *left[NODES - 1];
    size_t count = 0;

    for (size_t i = 0; i < NODES; i++) {
        if (&w->node[i] != leader) {
            left[count++] = &w->node[i];
        }
        for (size_t k = 0; k < 100; k++) {
            assert_int_equal(submit(&w->node[i]), 0);
        }
    }
    run_until(w, half_is_answered, "some answers");
    for (size_t k = 0; k < 100; k++) {
        assert_int_equal(submit(left[0]), 0);
        assert_int_equal(submit(left[1]), 0);
    }
    replica_close(leader->replica);
    leader->replica = NULL;
    run_until(w, all_is_told, "an outcome for each command");
    run_until(w, is_led, "another leader");
    assert_int_equal(submit(left[0]), 0);
    run_until(w, all_is_applied, "all commands on both");

    assert_one_order(left[0], left[1]);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(left[i]->unknown, 0); /* the next leader came before their deadline */
        for (uint32_t k = 1; k <= left[i]->submitted; k++) {
            assert_int_equal(times(left[0], left[i]->id * 1000000 + k), 1);
        }
    }
    for (uint32_t k = 1; k <= leader->answered; k++) {
        assert_int_equal(times(left[0], leader->id * 1000000 + k), 1); /* K7: what it had acknowledged */
    }
}

static bool is_refused(struct world *w)
{
    struct node *n = &w->node[0];

    return n->unknown > 0 && submit(n) == BASE_E_NOLEADER;
}

/* K5: without a majority nothing is acknowledged: what was taken is unknown, and soon nothing is taken. */
static void without_a_majority_commands_are_unknown_and_then_refused(void **state)
{
    struct world *w = *state;
    size_t before;

    for (size_t i = 1; i < NODES; i++) {
        replica_close(w->node[i].replica);
        w->node[i].replica = NULL;
    }
    before = w->node[0].applied;
    assert_int_equal(submit(&w->node[0]), 0);
    run_until(w, is_refused, "UNKNOWN, then NOLEADER");

    assert_int_equal(w->node[0].applied, before);
    assert_int_equal(w->node[0].answered, 0);
    run_until(w, all_is_told, "UNKNOWN for all that was taken");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(commands_of_all_members_are_applied_once_in_one_order_everywhere),
        CASE(a_read_anywhere_sees_what_was_acknowledged_elsewhere),
        CASE(the_leader_leaves_and_no_command_is_lost_or_applied_twice),
        CASE(without_a_majority_commands_are_unknown_and_then_refused),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
