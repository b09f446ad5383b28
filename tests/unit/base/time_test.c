/* Tests of rtcp/base/time.h. Sums and differences that cannot wrap. */
#include "rtcp/base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void units_are_nanoseconds(void **state)
{
    (void)state;

    assert_true(BASE_US(1) == 1000u);
    assert_true(BASE_MS(2) == 2 * BASE_US(1000));
    assert_true(BASE_S(3) == 3 * BASE_MS(1000));
    assert_true(BASE_S(86400 * 365) == 31536000000000000u); /* a year does not overflow an int on the way */
}

/* A deadline of "never" must stay never, whatever is added to it. */
static void a_sum_stays_at_never_instead_of_wrapping(void **state)
{
    (void)state;

    assert_true(base_time_add(5, 7) == 12);
    assert_true(base_time_add(BASE_NEVER, 1) == BASE_NEVER);
    assert_true(base_time_add(1, BASE_NEVER) == BASE_NEVER);
    assert_true(base_time_add(BASE_NEVER, BASE_NEVER) == BASE_NEVER);
    assert_true(base_time_add(BASE_NEVER - 5, 5) == BASE_NEVER);
    assert_true(base_time_add(BASE_NEVER - 5, 4) == BASE_NEVER - 1);
}

static void the_future_is_zero_ago(void **state)
{
    (void)state;

    assert_true(base_time_since(10, 4) == 6);
    assert_true(base_time_since(4, 4) == 0);
    assert_true(base_time_since(4, 10) == 0);
    assert_true(base_time_since(4, BASE_NEVER) == 0);
}

static void the_earlier_and_the_later(void **state)
{
    (void)state;

    assert_true(base_time_min(3, BASE_NEVER) == 3);
    assert_true(base_time_min(BASE_NEVER, 3) == 3);
    assert_true(base_time_max(3, 4) == 4);
    assert_true(base_time_max(4, 3) == 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(units_are_nanoseconds),
        cmocka_unit_test(a_sum_stays_at_never_instead_of_wrapping),
        cmocka_unit_test(the_future_is_zero_ago),
        cmocka_unit_test(the_earlier_and_the_later),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
