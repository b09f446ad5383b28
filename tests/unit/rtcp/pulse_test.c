/* Tests of rtcp/pulse.h: when to ask, and what an answer proves (P22 to P24). */
#include "rtcp/pulse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NOW BASE_S(100)

struct world {
    struct rtcp_pulse pulse;
    struct rtcp_route route;
    struct base_rng rng;
};

static void open_world(struct world *w)
{
    rtcp_route_init(&w->route, 1, NOW);
    base_rng_init(&w->rng, 1);
    rtcp_pulse_init(&w->pulse, NOW);
    rtcp_pulse_attached(&w->pulse, NOW, 0);
}

/* 1000 bytes were written, 400 arrived, none waits in the peer's kernel. */
static struct rtcp_pulse_reply gap(void)
{
    return (struct rtcp_pulse_reply){.received = 400, .written = 1000, .kernel_holds = 600};
}

static bool judge(struct world *w, base_time now, struct rtcp_pulse_reply reply)
{
    return rtcp_pulse_proves_stall(&w->pulse, now, &w->route, &reply);
}

/* ------------------------------------------------------------------------------------------------ asking */

static void the_first_probe_comes_after_20_ms_or_3_round_trips_without_progress(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    assert_int_equal(rtcp_pulse_due(&w.pulse, &w.route), NOW + BASE_MS(20));
    w.route.round_trip = BASE_MS(50);
    assert_int_equal(rtcp_pulse_due(&w.pulse, &w.route), NOW + BASE_MS(150));
    rtcp_pulse_progressed(&w.pulse, NOW + BASE_MS(100));
    assert_int_equal(rtcp_pulse_due(&w.pulse, &w.route), NOW + BASE_MS(250));
}

static void further_probes_come_every_200_ms_and_sooner_under_suspicion(void **state)
{
    struct world w;
    uint8_t echo[RTCP_WIRE_ECHO];

    (void)state;
    open_world(&w);
    rtcp_pulse_asked(&w.pulse, NOW + BASE_MS(20), 1, &w.rng, echo);
    assert_int_equal(rtcp_pulse_due(&w.pulse, &w.route), NOW + BASE_MS(220));
    assert_false(judge(&w, NOW + BASE_MS(21), gap()));
    assert_int_equal(rtcp_pulse_due(&w.pulse, &w.route), NOW + BASE_MS(70));
}

/* ------------------------------------------------------------------------------------------------ answers */

static void an_echo_counts_once_and_tells_what_it_was_asked_under(void **state)
{
    struct world w;
    uint8_t echo[RTCP_WIRE_ECHO];
    base_time took, unanswered;
    uint32_t attempt;

    (void)state;
    open_world(&w);
    rtcp_pulse_asked(&w.pulse, NOW, 7, &w.rng, echo);
    assert_true(rtcp_pulse_answered(&w.pulse, NOW + BASE_MS(3), echo, &took, &unanswered, &attempt));
    assert_int_equal(took, BASE_MS(3));
    assert_int_equal(unanswered, BASE_MS(3));
    assert_int_equal(attempt, 7);
    assert_false(rtcp_pulse_answered(&w.pulse, NOW + BASE_MS(4), echo, &took, &unanswered, &attempt));
}

static void the_last_16_probes_are_remembered(void **state)
{
    uint8_t echo[RTCP_PROBES_REMEMBERED + 1][RTCP_WIRE_ECHO];
    base_time took, unanswered;
    uint32_t attempt;
    struct world w;

    (void)state;
    open_world(&w);
    for (unsigned i = 0; i <= RTCP_PROBES_REMEMBERED; i++) {
        rtcp_pulse_asked(&w.pulse, NOW + BASE_MS(i), i, &w.rng, echo[i]);
    }
    assert_false(rtcp_pulse_answered(&w.pulse, NOW + BASE_S(1), echo[0], &took, &unanswered, &attempt));
    for (unsigned i = RTCP_PROBES_REMEMBERED; i > 0; i--) {
        assert_true(rtcp_pulse_answered(&w.pulse, NOW + BASE_S(1), echo[i], &took, &unanswered, &attempt));
        assert_int_equal(attempt, i);
    }
    assert_int_equal(unanswered, 0); /* the first of these answers ended the silence */
}

static void a_new_connection_ends_silence_and_suspicion(void **state)
{
    uint8_t echo[RTCP_WIRE_ECHO];
    struct world w;

    (void)state;
    open_world(&w);
    rtcp_pulse_asked(&w.pulse, NOW, 1, &w.rng, echo);
    assert_false(judge(&w, NOW + BASE_MS(1), gap()));
    rtcp_pulse_attached(&w.pulse, NOW + BASE_MS(60), 400);
    assert_int_equal(w.pulse.unanswered_since, 0);
    assert_false(judge(&w, NOW + BASE_MS(70), gap()));
}

/* ------------------------------------------------------------------------------------------------ verdicts */

static void two_replies_50_ms_apart_without_a_byte_between_prove_a_stall(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    assert_false(judge(&w, NOW, gap()));
    assert_false(judge(&w, NOW + BASE_MS(49), gap()));
    assert_true(judge(&w, NOW + BASE_MS(50), gap()));
}

static void on_a_long_path_they_must_be_four_round_trips_apart(void **state)
{
    struct world w;

    (void)state;
    open_world(&w);
    w.route.round_trip = BASE_MS(100);
    assert_false(judge(&w, NOW, gap()));
    assert_false(judge(&w, NOW + BASE_MS(399), gap()));
    assert_true(judge(&w, NOW + BASE_MS(400), gap()));
}

static void a_byte_between_them_starts_the_suspicion_anew(void **state)
{
    struct rtcp_pulse_reply more = gap();
    struct world w;

    (void)state;
    open_world(&w);
    more.received++;
    assert_false(judge(&w, NOW, gap()));
    assert_false(judge(&w, NOW + BASE_MS(60), more));
    assert_false(judge(&w, NOW + BASE_MS(109), more));
    assert_true(judge(&w, NOW + BASE_MS(110), more));
    rtcp_pulse_progressed(&w.pulse, NOW + BASE_MS(120)); /* so does an acknowledgement of any kind */
    assert_false(judge(&w, NOW + BASE_MS(130), more));
}

/* Unread bytes are a slow reader, never a reason, however long it lasts. */
static void a_slow_reader_is_never_a_reason(void **state)
{
    struct rtcp_pulse_reply slow = gap();
    struct world w;

    (void)state;
    open_world(&w);
    slow.unread = 1;
    slow.unanswered = BASE_S(100);
    for (unsigned s = 0; s < 1000; s++) {
        assert_false(judge(&w, NOW + BASE_S(s), slow));
    }
}

static void what_has_arrived_is_no_reason(void **state)
{
    struct rtcp_pulse_reply fine = gap();
    struct world w;

    (void)state;
    open_world(&w);
    fine.received = fine.written;
    for (unsigned s = 0; s < 100; s++) {
        assert_false(judge(&w, NOW + BASE_S(s), fine));
    }
}

static void after_a_second_of_silence_one_reply_suffices(void **state)
{
    struct rtcp_pulse_reply back = gap();
    struct world w;

    (void)state;
    open_world(&w);
    back.unanswered = BASE_S(1) - 1;
    assert_false(judge(&w, NOW + BASE_S(2), back));
    open_world(&w);
    back.unanswered = BASE_S(1);
    assert_true(judge(&w, NOW + BASE_S(2), back));
    open_world(&w);
    rtcp_pulse_progressed(&w.pulse, NOW + BASE_S(2)); /* datagrams were lost, but bytes moved */
    assert_false(judge(&w, NOW + BASE_S(2), back));
}

/* A relay has acknowledged everything: it may be slow. */
static void where_no_kernel_holds_a_byte_it_takes_a_second(void **state)
{
    struct rtcp_pulse_reply relay = gap();
    struct world w;

    (void)state;
    open_world(&w);
    relay.kernel_holds = 0;
    relay.unanswered = BASE_S(5);
    assert_false(judge(&w, NOW, relay));
    assert_false(judge(&w, NOW + BASE_MS(999), relay));
    assert_true(judge(&w, NOW + BASE_S(1), relay));
}

/* Everything arrived and more waits, but our kernel does not hear of it and is full. */
static void a_kernel_that_stays_full_of_what_has_arrived_takes_a_second(void **state)
{
    struct rtcp_pulse_reply deaf = {.received = 1000, .written = 1000, .waiting = 1, .kernel_holds = 1000};
    struct world w;

    (void)state;
    open_world(&w);
    assert_false(judge(&w, NOW, deaf));
    assert_false(judge(&w, NOW + BASE_MS(999), deaf));
    assert_true(judge(&w, NOW + BASE_S(1), deaf));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_probe_comes_after_20_ms_or_3_round_trips_without_progress),
        cmocka_unit_test(further_probes_come_every_200_ms_and_sooner_under_suspicion),
        cmocka_unit_test(an_echo_counts_once_and_tells_what_it_was_asked_under),
        cmocka_unit_test(the_last_16_probes_are_remembered),
        cmocka_unit_test(a_new_connection_ends_silence_and_suspicion),
        cmocka_unit_test(two_replies_50_ms_apart_without_a_byte_between_prove_a_stall),
        cmocka_unit_test(on_a_long_path_they_must_be_four_round_trips_apart),
        cmocka_unit_test(a_byte_between_them_starts_the_suspicion_anew),
        cmocka_unit_test(a_slow_reader_is_never_a_reason),
        cmocka_unit_test(what_has_arrived_is_no_reason),
        cmocka_unit_test(after_a_second_of_silence_one_reply_suffices),
        cmocka_unit_test(where_no_kernel_holds_a_byte_it_takes_a_second),
        cmocka_unit_test(a_kernel_that_stays_full_of_what_has_arrived_takes_a_second),
    };

    return cmocka_run_group_tests_name("unit/rtcp/pulse", tests, NULL, NULL);
}
