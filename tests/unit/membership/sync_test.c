/* Synchronisation (membership/sync.h; R3, T10, T18, rules 4 and 5). */
#include "membership/sync.h"
#include "tests/unit/membership/one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* A log from the last index of each run: pairs of (term, last index), ended by 0. */
static void build(struct log *l, const uint64_t *runs)
{
    log_init(l, base_memory_libc(), (struct log_place){0}, true);
    for (; runs[0] != 0; runs += 2) {
        while (l->last.index < runs[1]) {
            struct entry entry = {.index = l->last.index + 1, .term = runs[0], .kind = ENTRY_NOOP};

            assert_int_equal(log_append(l, &entry), 0);
        }
    }
}

/* What a member with this log would answer. */
static struct message answer_of(const uint64_t *runs, uint64_t commit)
{
    struct order o = {.commit = commit};
    struct message m = {.kind = MESSAGE_SYNC};

    build(&o.log, runs);
    sync_fill(&o, &m);
    log_deinit(&o.log);
    return m;
}

static uint64_t match(const uint64_t *ours, const uint64_t *theirs, uint64_t commit)
{
    struct message m = answer_of(theirs, commit);
    struct log l;
    uint64_t found;

    build(&l, ours);
    found = sync_match(&l, &m);
    log_deinit(&l);
    return found;
}

#define RUNS(...)                                                                                                      \
    (const uint64_t[])                                                                                                 \
    {                                                                                                                  \
        __VA_ARGS__, 0, 0                                                                                              \
    }

static void the_point_of_agreement_is_found_at_once(void **state)
{
    (void)state;
    assert_int_equal(match(RUNS(1, 10), RUNS(1, 10), 0), 10);
    assert_int_equal(match(RUNS(1, 10), RUNS(1, 4), 0), 4);
    assert_int_equal(match(RUNS(1, 10), RUNS(0, 0), 0), 0);
    assert_int_equal(match(RUNS(1, 4), RUNS(1, 10), 0), 4);             /* it has more of a term than we */
    assert_int_equal(match(RUNS(1, 5, 3, 9), RUNS(1, 5, 2, 20), 0), 5); /* a suffix of its own */
    assert_int_equal(match(RUNS(1, 5, 2, 8, 4, 12), RUNS(1, 5, 2, 7, 3, 11), 0), 7);
    assert_int_equal(match(RUNS(1, 5, 2, 8, 4, 12), RUNS(1, 5, 2, 10), 0), 8);
    assert_int_equal(match(RUNS(2, 5, 4, 9), RUNS(1, 3, 3, 9), 0), 0);
}

static void more_runs_than_posts_cost_a_few_entries_and_no_question(void **state)
{
    uint64_t runs[2 * 21] = {0};
    uint64_t ours[2 * 22] = {0};
    struct message m;

    (void)state;
    for (uint64_t i = 0; i < 20; i++) {
        runs[2 * i] = 2 * i + 1;
        runs[2 * i + 1] = 10 * (i + 1);
    }
    memcpy(ours, runs, sizeof runs);
    ours[12] = 100; /* equal up to 60 only */
    ours[14] = 0;
    m = answer_of(runs, 35);
    assert_int_equal(m.sync.count, MESSAGE_POSTS_MAX);
    assert_int_equal(match(ours, runs, 35), 35); /* T10: from what it knows to be settled */
    assert_int_equal(match(runs, runs, 35), 200);
}

/* By hand: the greatest index with the same term in both. */
static uint64_t match_by_hand(const struct log *a, const struct log *b)
{
    uint64_t index = a->last.index < b->last.index ? a->last.index : b->last.index;
    struct log_place x;
    struct log_place y;

    while (index > 0 && log_at(a, index, &x) && log_at(b, index, &y) && x.term != y.term) {
        index--;
    }
    return index;
}

/* Two logs as they can be: a common beginning, then terms that only one of them has. */
static void random_logs_agree_where_they_do(void **state)
{
    struct base_rng rng = {9};

    (void)state;
    for (int round = 0; round < 3000; round++) {
        uint64_t a[2 * 9] = {0};
        uint64_t b[2 * 9] = {0};
        uint64_t common = base_rng_below(&rng, 4);
        uint64_t at = 0;
        uint64_t both;
        struct log x;
        struct log y;
        struct message m;

        for (uint64_t i = 0; i < common; i++) {
            at += 1 + base_rng_below(&rng, 5);
            a[2 * i] = b[2 * i] = i + 1;
            a[2 * i + 1] = b[2 * i + 1] = at;
        }
        both = at;
        if (common > 0 && base_rng_below(&rng, 2) == 0) { /* one has more of the last common term */
            b[2 * common - 1] += base_rng_below(&rng, 4);
        }
        for (uint64_t i = common; i < common + base_rng_below(&rng, 4); i++) {
            a[2 * i] = 10 + 2 * i;
            a[2 * i + 1] = (i == 0 ? 0 : a[2 * i - 1]) + 1 + base_rng_below(&rng, 5);
        }
        for (uint64_t i = common; i < common + base_rng_below(&rng, 4); i++) {
            b[2 * i] = 11 + 2 * i;
            b[2 * i + 1] = (i == 0 ? 0 : b[2 * i - 1]) + 1 + base_rng_below(&rng, 5);
        }
        build(&x, a);
        build(&y, b);
        m = answer_of(b, base_rng_below(&rng, both + 1));
        assert_int_equal(sync_match(&x, &m), match_by_hand(&x, &y));
        log_deinit(&x);
        log_deinit(&y);
    }
}

static void a_leader_asks_each_member_once_per_link(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_true(one_pull(&one, 2, MESSAGE_SYNC_ASK, &m));
    assert_false(one_pull(&one, 2, MESSAGE_SYNC_ASK, &m));
    one_pass(&one, ONE_T / 2);
    assert_false(one_pull(&one, 2, MESSAGE_SYNC_ASK, &m));
    order_link_up(one.order, 2, one.now);
    assert_true(one_pull(&one, 2, MESSAGE_SYNC_ASK, &m)); /* rule 4 */
    one_close(&one);
}

static void nothing_streams_before_the_answer(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_false(one_pull(&one, 2, MESSAGE_BATCH, &m));
    order_link_up(one.order, 2, one.now);
    one_sync(&one, 2, 0, 0);
    assert_true(one_pull(&one, 2, MESSAGE_BATCH, &m));
    assert_int_equal(m.batch.prev_index, 0);
    assert_int_equal(m.batch.count, 1);
    one_close(&one);
}

static void a_second_question_on_a_link_is_refused(void **state)
{
    struct one one;
    struct message ask = one_message(MESSAGE_SYNC_ASK, 1);

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    assert_int_equal(one_give(&one, 2, &ask), BASE_E_PROTOCOL);
    order_link_up(one.order, 2, one.now);
    assert_int_equal(one_give(&one, 2, &ask), 0);
    one_close(&one);
}

static void a_second_answer_or_one_unasked_is_refused(void **state)
{
    struct one one;
    struct message m = one_message(MESSAGE_SYNC, 1);

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_int_equal(one_give(&one, 3, &m), BASE_E_PROTOCOL);
    one_sync(&one, 2, 0, 0);
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL);
    one_close(&one);
}

static void an_answer_that_contradicts_itself_is_refused(void **state)
{
    struct one one;
    struct message m = one_message(MESSAGE_SYNC, 1);

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    one_drain(&one, 2);
    m.sync.commit = 5; /* beyond its last entry */
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL);
    m.sync.commit = 0;
    m.sync.count = MESSAGE_POSTS_MAX + 1; /* T78 */
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL);
    m.sync.last_index = 9;
    m.sync.count = 2;
    m.sync.post[0] = (struct message_post){5, 1};
    m.sync.post[1] = (struct message_post){5, 1};
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL);
    one_close(&one);
}

static void a_member_that_lost_what_it_acknowledged_is_not_served(void **state)
{
    struct one one;
    struct message m;
    struct message ack = one_ack(1, 1);

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    one_sync(&one, 2, 0, 0);
    one_drain(&one, 2);
    assert_int_equal(one_give(&one, 2, &ack), 0);
    order_link_up(one.order, 2, one.now);
    assert_true(one_pull(&one, 2, MESSAGE_SYNC_ASK, &m));
    m = one_message(MESSAGE_SYNC, 1);
    assert_int_equal(one_give(&one, 2, &m), BASE_E_PROTOCOL); /* T18 */
    assert_false(one_pull(&one, 2, MESSAGE_BATCH, &m));
    one_close(&one);
}

static void a_leader_that_lacks_what_is_settled_stops(void **state)
{
    struct one one;
    struct message m = one_message(MESSAGE_SYNC, 1);

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    one_drain(&one, 2);
    m.sync.last_index = 50;
    m.sync.last_term = 1;
    m.sync.commit = 50;
    m.sync.count = 1;
    m.sync.post[0] = (struct message_post){50, 1};
    assert_int_equal(one_give(&one, 2, &m), BASE_E_CLOSED); /* R4 */
    assert_non_null(one.stopped);
    one_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_point_of_agreement_is_found_at_once),
        cmocka_unit_test(more_runs_than_posts_cost_a_few_entries_and_no_question),
        cmocka_unit_test(random_logs_agree_where_they_do),
        cmocka_unit_test(a_leader_asks_each_member_once_per_link),
        cmocka_unit_test(nothing_streams_before_the_answer),
        cmocka_unit_test(a_second_question_on_a_link_is_refused),
        cmocka_unit_test(a_second_answer_or_one_unasked_is_refused),
        cmocka_unit_test(an_answer_that_contradicts_itself_is_refused),
        cmocka_unit_test(a_member_that_lost_what_it_acknowledged_is_not_served),
        cmocka_unit_test(a_leader_that_lacks_what_is_settled_stops),
    };

    return cmocka_run_group_tests_name("membership/sync", tests, NULL, NULL);
}
