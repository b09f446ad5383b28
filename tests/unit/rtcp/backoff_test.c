/* Tests of rtcp/backoff.h (P25). */
#include "rtcp/backoff.h"
#include "rtcp/defaults.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define START BASE_S(100)

static void the_first_retry_is_at_once_then_they_double_with_jitter_downward(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rtcp_backoff b;
        struct base_rng rng;
        base_time now = START;
        base_time delay = 0;

        base_rng_init(&rng, seed);
        rtcp_backoff_init(&b, now);
        assert_int_equal(rtcp_backoff_next(&b, false), now);
        for (int i = 0; i < 14; i++) {
            rtcp_backoff_started(&b, now);
            rtcp_backoff_failed(&b, now, &rng);
            assert_true(rtcp_backoff_next(&b, false) <= now + delay);
            assert_true(rtcp_backoff_next(&b, false) >= now + delay - delay / 2);
            now = rtcp_backoff_next(&b, false);
            delay = delay == 0 ? RTCP_BACKOFF_FIRST : base_time_min(delay * 2, RTCP_BACKOFF_LAST);
        }
        assert_int_equal(delay, RTCP_BACKOFF_LAST);
    }
}

static void the_jitter_is_real(void **state)
{
    base_time least = BASE_NEVER;
    base_time most = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct rtcp_backoff b;
        struct base_rng rng;

        base_rng_init(&rng, seed);
        rtcp_backoff_init(&b, START);
        for (int i = 0; i < 12; i++) {
            rtcp_backoff_failed(&b, START, &rng);
        }
        least = base_time_min(least, rtcp_backoff_next(&b, false));
        most = base_time_max(most, rtcp_backoff_next(&b, false));
    }
    assert_true(most - least > BASE_S(3));
}

static void while_data_wait_attempts_start_at_most_two_seconds_apart(void **state)
{
    struct rtcp_backoff b;
    struct base_rng rng;

    (void)state;
    base_rng_init(&rng, 1);
    rtcp_backoff_init(&b, START);
    for (int i = 0; i < 12; i++) {
        rtcp_backoff_started(&b, START);
        rtcp_backoff_failed(&b, START + BASE_S(1), &rng);
    }
    assert_true(rtcp_backoff_next(&b, false) > START + BASE_S(5));
    assert_int_equal(rtcp_backoff_next(&b, true), START + RTCP_BACKOFF_BUSY);
}

/* An accepted handshake alone proves little: only a byte that was counted or acknowledged starts anew. */
static void only_progress_starts_anew(void **state)
{
    struct rtcp_backoff b;
    struct base_rng rng;

    (void)state;
    base_rng_init(&rng, 1);
    rtcp_backoff_init(&b, START);
    for (int i = 0; i < 5; i++) {
        rtcp_backoff_failed(&b, START, &rng);
    }
    rtcp_backoff_started(&b, START);
    rtcp_backoff_failed(&b, START, &rng);
    assert_true(rtcp_backoff_next(&b, false) > START);
    rtcp_backoff_progressed(&b);
    rtcp_backoff_failed(&b, START, &rng);
    assert_int_equal(rtcp_backoff_next(&b, false), START);
}

static void a_hint_brings_the_next_attempt_forward_once_a_second(void **state)
{
    struct rtcp_backoff b;
    struct base_rng rng;
    base_time now = START;

    (void)state;
    base_rng_init(&rng, 1);
    rtcp_backoff_init(&b, now);
    assert_false(rtcp_backoff_hinted(&b, now)); /* it is due already */
    for (int i = 0; i < 12; i++) {
        rtcp_backoff_failed(&b, now, &rng);
    }
    assert_true(rtcp_backoff_hinted(&b, now + 1));
    assert_int_equal(rtcp_backoff_next(&b, false), now + 1);
    rtcp_backoff_failed(&b, now + 2, &rng);
    assert_false(rtcp_backoff_hinted(&b, now + RTCP_HINT_GAP));
    assert_true(rtcp_backoff_hinted(&b, now + 1 + RTCP_HINT_GAP));
}

/* Neither data nor hints bring a client back to a server that is full; nor can a server send it away for long. */
static void a_pause_that_the_server_asked_for_is_kept_up_to_ten_seconds(void **state)
{
    static const base_time asked[] = {BASE_MS(700), BASE_S(5), BASE_S(3600)};

    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        struct rtcp_backoff b;
        struct base_rng rng;
        base_time until = START + base_time_min(asked[i], RTCP_BACKOFF_LAST);

        base_rng_init(&rng, 1);
        rtcp_backoff_init(&b, START);
        rtcp_backoff_started(&b, START);
        rtcp_backoff_asked(&b, START, asked[i]);
        rtcp_backoff_failed(&b, START, &rng);
        (void)rtcp_backoff_hinted(&b, START);
        assert_int_equal(rtcp_backoff_next(&b, false), until);
        assert_int_equal(rtcp_backoff_next(&b, true), until);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_retry_is_at_once_then_they_double_with_jitter_downward),
        cmocka_unit_test(the_jitter_is_real),
        cmocka_unit_test(while_data_wait_attempts_start_at_most_two_seconds_apart),
        cmocka_unit_test(only_progress_starts_anew),
        cmocka_unit_test(a_pause_that_the_server_asked_for_is_kept_up_to_ten_seconds),
        cmocka_unit_test(a_hint_brings_the_next_attempt_forward_once_a_second),
    };

    return cmocka_run_group_tests_name("unit/rtcp/backoff", tests, NULL, NULL);
}
