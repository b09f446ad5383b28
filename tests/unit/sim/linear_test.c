/* The checker of linearizability (tests/sim/linear.h), on histories that are known to be good or bad (K1, K4, K5). */
#include "tests/sim/linear.h"

#include "rtcp/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 100000u
#define OPS   400u
#define FEW   80u /* a bad history is searched to its end */

#define READ(v, from, to)                                                                                              \
    {                                                                                                                  \
        LINEAR_READ, 0, 0, v, from, to                                                                                 \
    }
#define WRITE(v, from, to)                                                                                             \
    {                                                                                                                  \
        LINEAR_WRITE, v, 0, 0, from, to                                                                                \
    }
#define CAS(a, b, was, from, to)                                                                                       \
    {                                                                                                                  \
        LINEAR_CAS, a, b, was, from, to                                                                                \
    }
#define ADD(n, sum, from, to)                                                                                          \
    {                                                                                                                  \
        LINEAR_ADD, n, 0, sum, from, to                                                                                \
    }
#define CHECK_ALL(ops) linear_check(ops, sizeof(ops) / sizeof((ops)[0]), STEPS)

static void an_empty_history_is_good(void **state)
{
    (void)state;
    assert_int_equal(linear_check(NULL, 0, STEPS), LINEAR_GOOD);
}

static void operations_one_after_the_other_are_judged_as_a_program(void **state)
{
    const struct linear_op good[] = {WRITE(1, 0, 1), READ(1, 2, 3), CAS(1, 2, 1, 4, 5), READ(2, 6, 7)};
    const struct linear_op bad[] = {WRITE(1, 0, 1), READ(1, 2, 3), CAS(1, 2, 1, 4, 5), READ(1, 6, 7)};

    (void)state;
    assert_int_equal(CHECK_ALL(good), LINEAR_GOOD);
    assert_int_equal(CHECK_ALL(bad), LINEAR_BAD);
}

static void a_stale_read_is_bad(void **state) /* T36 */
{
    const struct linear_op ops[] = {WRITE(1, 0, 1), WRITE(2, 2, 3), READ(1, 4, 5)};

    (void)state;
    assert_int_equal(CHECK_ALL(ops), LINEAR_BAD);
}

static void a_read_beside_a_write_may_see_either(void **state)
{
    const struct linear_op before[] = {WRITE(1, 0, 1), WRITE(2, 2, 9), READ(1, 3, 4)};
    const struct linear_op after[] = {WRITE(1, 0, 1), WRITE(2, 2, 9), READ(2, 3, 4)};
    const struct linear_op made_up[] = {WRITE(1, 0, 1), WRITE(2, 2, 9), READ(3, 3, 4)};

    (void)state;
    assert_int_equal(CHECK_ALL(before), LINEAR_GOOD);
    assert_int_equal(CHECK_ALL(after), LINEAR_GOOD);
    assert_int_equal(CHECK_ALL(made_up), LINEAR_BAD);
}

static void what_one_reader_saw_no_later_reader_may_miss(void **state)
{
    const struct linear_op ops[] = {WRITE(1, 0, 20), READ(1, 1, 2), READ(0, 3, 4)};

    (void)state;
    assert_int_equal(CHECK_ALL(ops), LINEAR_BAD);
}

static void two_writers_and_two_readers_that_disagree_are_bad(void **state)
{
    const struct linear_op ops[] = {WRITE(1, 0, 10), WRITE(2, 1, 11), READ(1, 12, 13), READ(2, 14, 15)};
    const struct linear_op good[] = {WRITE(1, 0, 10), WRITE(2, 1, 11), READ(2, 12, 13), READ(2, 14, 15)};

    (void)state;
    assert_int_equal(CHECK_ALL(ops), LINEAR_BAD);
    assert_int_equal(CHECK_ALL(good), LINEAR_GOOD);
}

static void a_counter_that_counted_twice_is_bad(void **state) /* K2 */
{
    const struct linear_op good[] = {ADD(1, 1, 0, 5), ADD(1, 2, 1, 6), ADD(3, 5, 7, 8)};
    const struct linear_op twice[] = {ADD(1, 1, 0, 1), ADD(1, 3, 2, 3)};
    const struct linear_op same[] = {ADD(1, 1, 0, 5), ADD(1, 1, 1, 6)};

    (void)state;
    assert_int_equal(CHECK_ALL(good), LINEAR_GOOD);
    assert_int_equal(CHECK_ALL(twice), LINEAR_BAD);
    assert_int_equal(CHECK_ALL(same), LINEAR_BAD);
}

static void an_unknown_operation_may_have_run_or_not(void **state) /* K5 */
{
    const struct linear_op ran[] = {WRITE(1, 0, LINEAR_NEVER), READ(0, 1, 2), READ(1, 3, 4)};
    const struct linear_op did_not[] = {WRITE(1, 0, LINEAR_NEVER), READ(0, 1, 2), READ(0, 3, 4)};
    const struct linear_op twice[] = {WRITE(1, 0, LINEAR_NEVER), READ(1, 1, 2), WRITE(2, 3, 4), READ(1, 5, 6)};
    const struct linear_op too_early[] = {READ(1, 0, 1), WRITE(1, 2, LINEAR_NEVER)};

    (void)state;
    assert_int_equal(CHECK_ALL(ran), LINEAR_GOOD);
    assert_int_equal(CHECK_ALL(did_not), LINEAR_GOOD);
    assert_int_equal(CHECK_ALL(twice), LINEAR_BAD);
    assert_int_equal(CHECK_ALL(too_early), LINEAR_BAD);
}

static void compare_and_set_tells_what_was_there(void **state)
{
    const struct linear_op lost[] = {CAS(0, 1, 0, 0, 1), CAS(0, 2, 0, 2, 3)};
    const struct linear_op one_of_two[] = {CAS(0, 1, 0, 0, 5), CAS(0, 2, 1, 1, 6), READ(1, 7, 8)};
    const struct linear_op both[] = {CAS(0, 1, 0, 0, 5), CAS(0, 2, 0, 1, 6)};

    (void)state;
    assert_int_equal(CHECK_ALL(lost), LINEAR_BAD);
    assert_int_equal(CHECK_ALL(one_of_two), LINEAR_GOOD);
    assert_int_equal(CHECK_ALL(both), LINEAR_BAD);
}

static void a_search_that_is_too_long_is_undecided(void **state)
{
    struct linear_op ops[16];

    (void)state;
    for (uint64_t i = 0; i < 15; i++) {
        ops[i] = (struct linear_op){LINEAR_WRITE, i + 1, 0, 0, i, 100 + i};
    }
    ops[15] = (struct linear_op){LINEAR_READ, 0, 0, 99, 50, 51};
    assert_int_equal(linear_check(ops, 16, 50), LINEAR_UNDECIDED);
}

/* A real object, used by several clients at once: each operation takes effect at one moment between begin and return.
 */
static void make_history(uint64_t seed, struct linear_op *ops, size_t count, bool is_counter)
{
    struct base_rng rng;
    uint64_t value = 0;
    uint64_t at = 0;

    base_rng_init(&rng, seed);
    for (size_t i = 0; i < count; i++) {
        struct linear_op *op = &ops[i];

        at += 10;
        *op = (struct linear_op){.kind = is_counter ? LINEAR_ADD : (enum linear_kind)base_rng_below(&rng, 3)};
        op->a = op->kind == LINEAR_CAS && base_rng_below(&rng, 2) == 0 ? value : 1 + base_rng_below(&rng, 5);
        op->b = 1 + base_rng_below(&rng, 5);
        op->result = value;
        if (op->kind == LINEAR_ADD) {
            value += op->a;
            op->result = value;
        } else if (op->kind == LINEAR_WRITE) {
            value = op->a;
        } else if (op->kind == LINEAR_CAS && value == op->a) {
            value = op->b;
        }
        /* the effect is at `at`; no two times are equal */
        op->invoked = 1000000 + at - 10 * base_rng_below(&rng, 6) - 1 - i % 4;
        op->returned = 1000000 + at + 10 * base_rng_below(&rng, 6) + 1 + i % 4;
        if (base_rng_below(&rng, 20) == 0) {
            op->returned = LINEAR_NEVER;
        }
    }
}

/* Times as the checker wants them: all different, in the same order. */
static void spread(struct linear_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        ops[i].invoked = ops[i].invoked * 1000 + i;
        ops[i].returned = ops[i].returned == LINEAR_NEVER ? LINEAR_NEVER : ops[i].returned * 1000 + 500 + i;
    }
}

static void histories_of_a_real_object_are_good(void **state)
{
    static struct linear_op ops[OPS];

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        make_history(seed, ops, OPS, seed % 2 == 1);
        spread(ops, OPS);
        assert_int_equal(linear_check(ops, OPS, STEPS), LINEAR_GOOD);
    }
}

/* One answer is changed into one that nobody could have had. */
static void a_wrong_answer_among_many_is_found(void **state)
{
    static struct linear_op ops[OPS];
    unsigned found = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        size_t wrong = (size_t)seed % 40 + 10;

        make_history(seed, ops, FEW, seed % 2 == 1);
        spread(ops, FEW);
        while (ops[wrong].returned == LINEAR_NEVER || ops[wrong].kind == LINEAR_WRITE) {
            wrong++;
        }
        ops[wrong].result += 1000;
        found += linear_check(ops, FEW, STEPS) == LINEAR_BAD ? 1 : 0;
    }
    assert_int_equal(found, 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_history_is_good),
        cmocka_unit_test(operations_one_after_the_other_are_judged_as_a_program),
        cmocka_unit_test(a_stale_read_is_bad),
        cmocka_unit_test(a_read_beside_a_write_may_see_either),
        cmocka_unit_test(what_one_reader_saw_no_later_reader_may_miss),
        cmocka_unit_test(two_writers_and_two_readers_that_disagree_are_bad),
        cmocka_unit_test(a_counter_that_counted_twice_is_bad),
        cmocka_unit_test(an_unknown_operation_may_have_run_or_not),
        cmocka_unit_test(compare_and_set_tells_what_was_there),
        cmocka_unit_test(a_search_that_is_too_long_is_undecided),
        cmocka_unit_test(histories_of_a_real_object_are_good),
        cmocka_unit_test(a_wrong_answer_among_many_is_found),
    };

    return cmocka_run_group_tests_name("sim/linear", tests, NULL, NULL);
}
