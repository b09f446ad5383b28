/* Tests of rtcp/base/rng.h. The same seed gives the same run, on every machine. */
#include "rtcp/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* The published first outputs of splitmix64 for the seed 1234567: a changed constant would change every seed's run. */
static void it_is_splitmix64(void **state)
{
    struct base_rng r;

    (void)state;
    base_rng_init(&r, 1234567);

    assert_true(base_rng_next(&r) == 6457827717110365317u);
    assert_true(base_rng_next(&r) == 3203168211198807973u);
    assert_true(base_rng_next(&r) == 9817491932198370423u);
}

static void the_same_seed_gives_the_same_numbers(void **state)
{
    struct base_rng a;
    struct base_rng b;

    (void)state;
    base_rng_init(&a, 7);
    base_rng_init(&b, 7);

    for (int i = 0; i < 100; i++) {
        assert_true(base_rng_next(&a) == base_rng_next(&b));
    }
}

static void seeds_beside_each_other_give_different_numbers(void **state)
{
    struct base_rng a;
    struct base_rng b;

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        base_rng_init(&a, seed);
        base_rng_init(&b, seed + 1);
        assert_true(base_rng_next(&a) != base_rng_next(&b));
    }
}

static void below_stays_below_and_reaches_every_number(void **state)
{
    struct base_rng r;
    int seen[10] = {0};

    (void)state;
    base_rng_init(&r, 1);
    for (int i = 0; i < 1000; i++) {
        uint64_t n = base_rng_below(&r, 10);

        assert_true(n < 10);
        seen[n]++;
    }

    for (int i = 0; i < 10; i++) {
        assert_in_range(seen[i], 50, 200);
    }
}

static void below_zero_and_one_are_zero(void **state)
{
    struct base_rng r;

    (void)state;
    base_rng_init(&r, 1);

    assert_int_equal(base_rng_below(&r, 0), 0);
    assert_int_equal(base_rng_below(&r, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_splitmix64),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers),
        cmocka_unit_test(seeds_beside_each_other_give_different_numbers),
        cmocka_unit_test(below_stays_below_and_reaches_every_number),
        cmocka_unit_test(below_zero_and_one_are_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
