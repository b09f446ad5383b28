/* When to suspect the leader (membership/detector.h; T03, G3, G19). */
#include "membership/detector.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define T     BASE_MS(600)
#define START BASE_S(5)

struct fixture {
    struct base_rng rng;
    struct detector d;
};

static void begin(struct fixture *f, uint64_t seed)
{
    base_rng_init(&f->rng, seed);
    detector_init(&f->d, T, &f->rng);
}

static void a_new_detector_never_expires(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1);
    assert_false(detector_expire(&f.d, START));
    assert_false(detector_hears(&f.d, START));
}

static void silence_is_suspected_after_t_and_before_one_and_a_third(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) { /* T03, G19 */
        struct fixture f;

        begin(&f, seed);
        detector_hear(&f.d, START);
        assert_false(detector_expire(&f.d, START + T - 1));
        assert_true(f.d.deadline >= START + T && f.d.deadline <= START + T * 13 / 10);
        assert_true(detector_expire(&f.d, f.d.deadline));
    }
}

static void different_seeds_suspect_at_different_times(void **state)
{
    struct fixture a;
    struct fixture b;

    (void)state;
    begin(&a, 1);
    begin(&b, 2);
    detector_hear(&a.d, START);
    detector_hear(&b.d, START);
    assert_true(a.d.deadline != b.d.deadline);
}

static void each_sign_of_life_begins_the_time_anew(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    for (base_time now = START; now < START + 100 * T; now += T - 1) {
        assert_false(detector_expire(&f.d, now));
        detector_hear(&f.d, now);
    }
}

static void a_leader_binds_for_t_and_no_longer(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 3);
    detector_hear(&f.d, START);
    assert_true(detector_hears(&f.d, START + T - 1)); /* G3 */
    assert_false(detector_hears(&f.d, START + T));
}

static void waiting_and_forgetting_bind_to_nobody(void **state)
{
    struct fixture f;
    base_time deadline;

    (void)state;
    begin(&f, 3);
    detector_hear(&f.d, START);
    deadline = f.d.deadline;
    detector_forget(&f.d);
    assert_false(detector_hears(&f.d, START));
    assert_int_equal(f.d.deadline, deadline);
    detector_hear(&f.d, START);
    detector_wait(&f.d, START + 1);
    assert_false(detector_hears(&f.d, START + 1));
    assert_true(f.d.deadline > START + T);
}

static void who_wakes_late_doubts_himself_first(void **state)
{
    struct fixture f;
    base_time late;

    (void)state;
    begin(&f, 4);
    detector_hear(&f.d, START);
    late = f.d.deadline + BASE_S(30); /* as after SIGSTOP */
    assert_false(detector_expire(&f.d, late));
    assert_int_equal(f.d.deadline, late + T / 4);
    assert_true(detector_expire(&f.d, f.d.deadline));
}

static void doubt_about_oneself_has_an_end(void **state)
{
    struct fixture f;
    base_time now;

    (void)state;
    begin(&f, 4);
    detector_hear(&f.d, START);
    now = f.d.deadline + T;
    for (int i = 0; i < DETECTOR_DOUBTS_MAX; i++) {
        assert_false(detector_expire(&f.d, now));
        now = f.d.deadline + T;
    }
    assert_true(detector_expire(&f.d, now));
}

static void after_abdication_suspicion_hurries_and_the_former_leader_rests(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct fixture f;

        begin(&f, seed);
        detector_hurry(&f.d, START);
        assert_true(f.d.deadline <= START + T / 8);
        assert_false(detector_hears(&f.d, START));
        detector_rest(&f.d, START);
        assert_true(f.d.deadline >= START + T && f.d.deadline <= START + 2 * T);
        detector_begin(&f.d, START);
        assert_true(f.d.deadline <= START + T / 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_detector_never_expires),
        cmocka_unit_test(silence_is_suspected_after_t_and_before_one_and_a_third),
        cmocka_unit_test(different_seeds_suspect_at_different_times),
        cmocka_unit_test(each_sign_of_life_begins_the_time_anew),
        cmocka_unit_test(a_leader_binds_for_t_and_no_longer),
        cmocka_unit_test(waiting_and_forgetting_bind_to_nobody),
        cmocka_unit_test(who_wakes_late_doubts_himself_first),
        cmocka_unit_test(doubt_about_oneself_has_an_end),
        cmocka_unit_test(after_abdication_suspicion_hurries_and_the_former_leader_rests),
    };

    return cmocka_run_group_tests_name("membership/detector", tests, NULL, NULL);
}
