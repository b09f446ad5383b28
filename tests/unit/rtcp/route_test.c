/* Tests of rtcp/route.h (P65, P66). */
#include "rtcp/defaults.h"
#include "rtcp/route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define NOW BASE_S(100)

static struct rtcp_address at(uint8_t last, uint16_t port)
{
    return (struct rtcp_address){.family = 4, .ip = {10, 0, 0, last}, .port = port};
}

static void addresses_are_equal_in_what_their_family_uses(void **state)
{
    struct rtcp_address a = at(1, 7000);
    struct rtcp_address b = at(1, 7000);

    (void)state;
    b.ip[7] = 9; /* behind the four bytes of IPv4 */
    assert_true(rtcp_address_equal(&a, &b));
    a.family = b.family = 6;
    assert_false(rtcp_address_equal(&a, &b));
    b.ip[7] = 0;
    assert_true(rtcp_address_equal(&a, &b));
    b.scope = 2;
    assert_false(rtcp_address_equal(&a, &b));
    a = at(1, 7000);
    b = at(1, 7001);
    assert_false(rtcp_address_equal(&a, &b));
}

static void the_address_a_client_chose_is_valid_at_once(void **state)
{
    struct rtcp_address server = at(2, 7000);
    struct rtcp_route r;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    assert_false(rtcp_route_is_valid(&r));
    rtcp_route_told(&r, &server, true);
    assert_true(rtcp_route_is_valid(&r));
    assert_false(r.is_new);
}

static void what_a_server_was_told_is_a_candidate_until_an_echo_comes_from_there(void **state)
{
    struct rtcp_address client = at(1, 5000);
    struct rtcp_route r;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    rtcp_route_told(&r, &client, false);
    assert_true(r.is_new);
    assert_false(rtcp_route_is_valid(&r));
    rtcp_route_heard(&r, NOW, &client);
    assert_false(rtcp_route_is_valid(&r));
    rtcp_route_echoed(&r, NOW, &client, BASE_MS(1));
    assert_true(rtcp_route_is_valid(&r));
    assert_int_equal(r.candidate.family, 0);
}

static void a_message_from_elsewhere_makes_a_candidate_and_moves_nothing(void **state)
{
    struct rtcp_address client = at(1, 5000);
    struct rtcp_address moved = at(1, 5555);
    struct rtcp_route r;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    rtcp_route_told(&r, &client, true);
    rtcp_route_heard(&r, NOW, &client);
    assert_false(r.is_new);
    rtcp_route_heard(&r, NOW, &moved);
    assert_true(r.is_new);
    assert_true(rtcp_address_equal(&r.to, &client));
    rtcp_route_echoed(&r, NOW, &moved, BASE_MS(1));
    assert_true(rtcp_address_equal(&r.to, &moved));
}

/* A lost probe must not be the only one; nor may every message cost a probe. */
static void a_candidate_is_probed_again_after_a_while(void **state)
{
    struct rtcp_address moved = at(1, 5555);
    struct rtcp_route r;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    rtcp_route_heard(&r, NOW, &moved);
    assert_true(r.is_new);
    r.is_new = false;
    rtcp_route_heard(&r, NOW + RTCP_PROBE_GAP - 1, &moved);
    assert_false(r.is_new);
    rtcp_route_heard(&r, NOW + RTCP_PROBE_GAP, &moved);
    assert_true(r.is_new);
}

/* P65, P66: whoever says an old message again from many addresses is no amplifier of probes. */
static void many_new_addresses_cost_one_probe_each_gap(void **state)
{
    struct rtcp_address client = at(1, 5000);
    struct rtcp_route r;
    unsigned probes = 0;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    rtcp_route_told(&r, &client, true);
    for (uint16_t i = 0; i < 1000; i++) {
        struct rtcp_address other = at(2, i);

        rtcp_route_heard(&r, NOW + i * (RTCP_PROBE_GAP / 100), &other);
        probes += r.is_new ? 1 : 0;
        r.is_new = false;
    }
    assert_int_equal(probes, 10);
    rtcp_route_echoed(&r, NOW, &r.candidate, BASE_MS(1));
    rtcp_route_heard(&r, NOW, &client);
    assert_true(r.is_new); /* after an echo nobody is waited for */
}

/* Design 2.5: three questions without an answer, and not three sessions that ask at the same instant. */
static void a_route_is_silent_after_three_questions_and_a_while(void **state)
{
    struct rtcp_address server = at(2, 7000);
    struct rtcp_address other = at(3, 7000);
    struct rtcp_route r;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    rtcp_route_told(&r, &server, true);
    rtcp_route_asked(&r, NOW);
    rtcp_route_asked(&r, NOW);
    assert_false(rtcp_route_is_silent(&r, NOW + RTCP_COURIER_LEAST));
    rtcp_route_asked(&r, NOW);
    assert_false(rtcp_route_is_silent(&r, NOW + RTCP_COURIER_LEAST - 1));
    assert_true(rtcp_route_is_silent(&r, NOW + RTCP_COURIER_LEAST));
    rtcp_route_answered(&r, &other); /* one direction only: what comes by another way says nothing about this one */
    assert_true(rtcp_route_is_silent(&r, NOW + RTCP_COURIER_LEAST));
    rtcp_route_answered(&r, &server);
    assert_false(rtcp_route_is_silent(&r, NOW + RTCP_COURIER_LEAST));
}

static void a_control_connection_stands_in_for_udp_until_that_answers(void **state)
{
    struct rtcp_address server = at(2, 7000);
    struct rtcp_address courier = rtcp_address_courier(5);
    struct rtcp_route r;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    rtcp_route_told(&r, &server, true);
    r.is_deaf = true;
    rtcp_route_echoed(&r, NOW, &courier, BASE_MS(1));
    assert_true(rtcp_address_equal(&r.to, &courier));
    assert_true(rtcp_address_equal(&r.direct, &server));
    rtcp_route_told(&r, &server, true); /* a resume: UDP is tried, not trusted */
    assert_true(rtcp_address_equal(&r.to, &courier));
    assert_true(r.is_new && rtcp_address_equal(&r.candidate, &server));
    rtcp_route_echoed(&r, NOW, &server, BASE_MS(1));
    assert_true(rtcp_address_equal(&r.to, &server));
    assert_false(r.is_deaf);
    rtcp_route_heard(&r, NOW, &courier); /* late ones do not lead back */
    rtcp_route_echoed(&r, NOW, &courier, BASE_MS(1));
    assert_true(rtcp_address_equal(&r.to, &server));
}

static void a_lost_control_connection_leads_back_to_udp(void **state)
{
    struct rtcp_address client = at(1, 5000);
    struct rtcp_address courier = rtcp_address_courier(5);
    struct rtcp_address other = rtcp_address_courier(6);
    struct rtcp_route r;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    rtcp_route_echoed(&r, NOW, &client, BASE_MS(1));
    rtcp_route_echoed(&r, NOW, &courier, BASE_MS(1));
    assert_true(rtcp_address_equal(&r.to, &courier)); /* a server follows its client */
    rtcp_route_lost(&r, &other);
    assert_true(rtcp_address_equal(&r.to, &courier));
    rtcp_route_lost(&r, &courier);
    assert_true(rtcp_address_equal(&r.to, &client));
}

/* Its kernel keeps what it cannot send, and sends it after the cut: a round trip measured so makes every pause of the
 * session longer (found by measuring how soon data flows again). */
static void what_waited_in_a_control_connection_is_no_round_trip(void **state)
{
    struct rtcp_address server = at(2, 7000);
    struct rtcp_address courier = rtcp_address_courier(5);
    struct rtcp_route r;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    rtcp_route_told(&r, &server, true);
    rtcp_route_echoed(&r, NOW, &server, BASE_MS(1));
    r.is_deaf = true;
    rtcp_route_echoed(&r, NOW, &courier, BASE_MS(600)); /* it was not the way yet */
    assert_int_equal(r.round_trip, BASE_MS(1));
    rtcp_route_asked(&r, NOW);
    rtcp_route_echoed(&r, NOW, &courier, BASE_MS(9)); /* nothing else was open: a true one */
    assert_int_equal(r.round_trip, BASE_MS(2));
    rtcp_route_asked(&r, NOW);
    rtcp_route_asked(&r, NOW);
    rtcp_route_echoed(&r, NOW, &courier, BASE_MS(600));
    assert_int_equal(r.round_trip, BASE_MS(2));
}

static void the_round_trip_is_smoothed_and_bounded(void **state)
{
    struct rtcp_address server = at(2, 7000);
    struct rtcp_route r;

    (void)state;
    rtcp_route_init(&r, 1, NOW);
    assert_int_equal(rtcp_route_wait(&r, 3, BASE_MS(20)), BASE_MS(20));
    rtcp_route_echoed(&r, NOW, &server, BASE_MS(80));
    assert_int_equal(r.round_trip, BASE_MS(80));
    assert_int_equal(rtcp_route_wait(&r, 3, BASE_MS(20)), BASE_MS(240));
    rtcp_route_echoed(&r, NOW, &server, BASE_MS(160));
    assert_int_equal(r.round_trip, BASE_MS(90));
    for (int i = 0; i < 100; i++) {
        rtcp_route_echoed(&r, NOW, &server, BASE_S(600)); /* the peer was stopped: not a property of the path */
    }
    assert_true(r.round_trip <= RTCP_ROUND_TRIP_MAX);
    assert_int_equal(rtcp_route_wait(NULL, 3, BASE_MS(20)), BASE_MS(20));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_equal_in_what_their_family_uses),
        cmocka_unit_test(the_address_a_client_chose_is_valid_at_once),
        cmocka_unit_test(what_a_server_was_told_is_a_candidate_until_an_echo_comes_from_there),
        cmocka_unit_test(a_message_from_elsewhere_makes_a_candidate_and_moves_nothing),
        cmocka_unit_test(a_candidate_is_probed_again_after_a_while),
        cmocka_unit_test(many_new_addresses_cost_one_probe_each_gap),
        cmocka_unit_test(a_route_is_silent_after_three_questions_and_a_while),
        cmocka_unit_test(a_control_connection_stands_in_for_udp_until_that_answers),
        cmocka_unit_test(a_lost_control_connection_leads_back_to_udp),
        cmocka_unit_test(what_waited_in_a_control_connection_is_no_round_trip),
        cmocka_unit_test(the_round_trip_is_smoothed_and_bounded),
    };

    return cmocka_run_group_tests_name("unit/rtcp/route", tests, NULL, NULL);
}
