/* The age of the oldest unacknowledged byte, held against a list of all bytes. */
#include "rtcp/age.h"

#include "rtcp/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void without_bytes_there_is_no_age(void **state)
{
    struct rtcp_age a = {0};

    (void)state;
    assert_int_equal(rtcp_age_of(&a, BASE_S(9)), 0);
    rtcp_age_took(&a, BASE_S(9), 10);
    assert_int_equal(rtcp_age_of(&a, BASE_S(12)), BASE_S(3));
    rtcp_age_acked(&a, 9);
    assert_int_equal(rtcp_age_of(&a, BASE_S(12)), BASE_S(3));
    rtcp_age_acked(&a, 10);
    assert_int_equal(rtcp_age_of(&a, BASE_S(12)), 0);
}

/* What is left after an acknowledgement is as old as it is, not as young as the acknowledgement. */
static void what_is_left_keeps_its_age(void **state)
{
    struct rtcp_age a = {0};

    (void)state;
    rtcp_age_took(&a, BASE_S(1), 10);
    rtcp_age_took(&a, BASE_S(2), 20);
    rtcp_age_acked(&a, 10);
    assert_int_equal(rtcp_age_of(&a, BASE_S(5)), BASE_S(3));
}

/* Any rhythm of writes and acknowledgements: never less than the truth, at most 50 ms or half more. */
static void the_age_is_right_in_any_rhythm(void **state)
{
    static base_time taken_at[20000];
    struct base_rng rng;

    (void)state;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        struct rtcp_age a = {0};
        base_time now = BASE_S(1);
        base_time most = BASE_MS(1) << seed % 14;
        uint64_t acked = 0;
        uint64_t upto = 0;
        uint64_t first = ((uint64_t)1 << 32) - 10000; /* the low 32 bits of offsets wrap on the way (P1) */

        base_rng_init(&rng, seed);
        while (upto < 20000) {
            base_time truth;
            base_time told;

            now += base_rng_below(&rng, most);
            taken_at[upto++] = now;
            rtcp_age_took(&a, now, first + upto);
            if (base_rng_below(&rng, 1000) < 5) {
                acked += base_rng_below(&rng, upto - acked + 1);
                rtcp_age_acked(&a, first + acked);
            }
            truth = acked < upto ? now - taken_at[acked] : 0;
            told = rtcp_age_of(&a, now);
            if (told < truth || told > truth + base_time_max(BASE_MS(50), truth / 2)) {
                fail_msg("seed %llu: %llu ms instead of %llu", (unsigned long long)seed,
                         (unsigned long long)(told / BASE_MS(1)), (unsigned long long)(truth / BASE_MS(1)));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_bytes_there_is_no_age),
        cmocka_unit_test(what_is_left_keeps_its_age),
        cmocka_unit_test(the_age_is_right_in_any_rhythm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
