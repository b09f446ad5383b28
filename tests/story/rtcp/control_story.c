/* Control messages that are lost, repeated, late or unknown (PROTOCOL.md "Control messages"; P2, P3, P16, P17, P72). */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void plain_pair(struct duo *d)
{
    struct duo_options o;

    duo_options_default(&o);
    duo_pair(d, &o);
    duo_run(d, BASE_MS(20));
    duo_mark(d);
}

static void lost_repeated_and_reordered_messages_cost_only_time(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct duo_options o;
        struct duo d;

        duo_options_default(&o);
        o.seed = seed;
        o.is_traced = false;
        duo_open(&d, &o);
        for (int way = 0; way < 2; way++) {
            d.udp_lost[way] = 300;
            d.udp_repeated[way] = 400;
            d.udp_jitter[way] = BASE_MS(seed * 5);
        }
        duo_send(duo_connect(&d), 30000);
        DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(60)));
        duo_send(duo_server(&d), 30000);
        for (int i = 0; i < 4; i++) {
            duo_run(&d, BASE_MS(20));
            duo_cut(&d, duo_live(&d), (enum duo_cut)((seed + (uint64_t)i) % 5));
        }
        duo_deliver(&d, BASE_S(60));
        duo_end(&d);
    }
}

/* P17: about one acknowledgement for a quarter of the ring, not one for each packet; P16: no storm at a full ring. */
static void a_long_transfer_costs_few_messages(void **state)
{
    const uint64_t bytes = 1u << 20;
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.ring[0] = o.ring[1] = 65536;
    o.kernel = 20000;
    duo_pair(&d, &o);
    duo_send(duo_client(&d), bytes);
    duo_deliver(&d, BASE_S(60));
    assert_true(d.udp_sent[1][RTCP_WIRE_ACK] >= bytes / 65536);
    assert_true(d.udp_sent[1][RTCP_WIRE_ACK] <= 3 * bytes / 16384);
    assert_true(d.udp_sent[0][RTCP_WIRE_REQACK] <= 2 * bytes / 16384);
    duo_end(&d);
}

/* What the paper plans: the age of the oldest unacknowledged byte means something, because the sender asks. */
static void an_old_byte_is_asked_for(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_send(duo_client(&d), 100); /* far less than a quarter of the ring: no acknowledgement is due */
    duo_run(&d, BASE_MS(50));
    assert_int_equal(rtcp_session_acked(&duo_client(&d)->session), 0);
    duo_run(&d, BASE_MS(60));
    assert_int_equal(rtcp_session_acked(&duo_client(&d)->session), 100);
    assert_int_equal(d.udp_sent[0][RTCP_WIRE_REQACK], 1);
    duo_end(&d);
}

/* P3: one flagged message is out at a time; CLOSE overtakes HALF_CLOSE, which is not repeated after it. */
static void a_close_overtakes_a_half_close(void **state)
{
    uint64_t before;
    struct duo d;

    (void)state;
    plain_pair(&d);
    d.udp_blocked[0] = true;
    duo_block_tcp(&d, true); /* a handshake would confirm it, too */
    assert_int_equal(duo_shutdown(duo_client(&d)), 0);
    duo_run(&d, BASE_S(3));
    before = d.udp_sent[0][RTCP_WIRE_HALF_CLOSE];
    assert_true(before >= 4); /* 50 ms doubling to 1 s, and an answer to each question */
    duo_finish(duo_client(&d), false);
    duo_run(&d, BASE_S(1));
    assert_int_equal(d.udp_sent[0][RTCP_WIRE_HALF_CLOSE], before);
    assert_true(d.udp_sent[0][RTCP_WIRE_CLOSE] >= 2);
    d.udp_blocked[0] = false;
    duo_block_tcp(&d, false);
    duo_server(&d)->close_at_end = true;
    DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(20)));
    assert_int_equal(duo_client(&d)->status, 0);
    duo_close(&d);
}

static void message_ids_may_wrap(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_client(&d)->session.next_message_id = UINT16_MAX;
    assert_int_equal(duo_shutdown(duo_client(&d)), 0);
    duo_run(&d, BASE_MS(10));
    assert_true(duo_client(&d)->session.half_conf);
    assert_int_equal(duo_client(&d)->session.next_message_id, 0);
    duo_finish(duo_client(&d), false);
    duo_run(&d, BASE_MS(10));
    assert_true(duo_client(&d)->session.close_conf);
    duo_server(&d)->close_at_end = true;
    DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(20)));
    duo_close(&d);
}

/* A later version may have messages that we do not know: confirmed where that is asked for, and ignored. */
static void unknown_messages_are_confirmed_and_ignored(void **state)
{
    uint8_t bytes[RTCP_WIRE_CONTROL_MAX] = {0};
    const struct rtcp_session *from;
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_run(&d, BASE_S(1));
    from = &duo_client(&d)->session;
    base_put32(bytes, from->peer_id);
    bytes[4] = 99;
    bytes[5] = RTCP_WIRE_FLAGGED | 3;
    base_put16(bytes + 6, 4711);
    rtcp_auth_control(bytes + 20, from->keys.control_up, (struct base_bytes){bytes, 20}, 0, 0);
    duo_mark(&d);
    duo_datagram(&d, &d.host[DUO_CLIENT].address, &d.host[DUO_SERVER].address, bytes, 28);
    duo_run(&d, BASE_MS(1));
    assert_int_equal(duo_count(&d, "S MESSAGE CONF"), 1);
    assert_int_equal(base_get16(d.kept[1][RTCP_WIRE_CONF].bytes + 6), 4711);
    assert_int_equal(duo_count(&d, "S MESSAGE"), 1);
    duo_end(&d);
}

/* The repetition of a message that was understood is confirmed again, and does nothing else. */
static void a_repeated_half_close_is_confirmed_again(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    assert_int_equal(duo_shutdown(duo_client(&d)), 0);
    duo_run(&d, BASE_MS(10));
    assert_true(duo_server(&d)->saw_end);
    duo_mark(&d);
    for (int i = 0; i < 3; i++) {
        (void)duo_replay(&d, 0, RTCP_WIRE_HALF_CLOSE);
        duo_run(&d, BASE_MS(1));
    }
    assert_int_equal(duo_count(&d, "S MESSAGE CONF"), 3);
    assert_int_equal(duo_count(&d, "S READABLE"), 0);
    duo_end(&d);
}

/* Old messages of every kind come again after a resume and after the end: nothing comes of it. */
static void messages_from_the_past_do_no_harm(void **state)
{
    struct duo d;

    (void)state;
    plain_pair(&d);
    duo_send(duo_client(&d), 5000);
    duo_send(duo_server(&d), 5000);
    duo_deliver(&d, BASE_S(1));
    duo_cut(&d, duo_live(&d), DUO_CUT_FAR);
    duo_send(duo_server(&d), 100);
    duo_deliver(&d, BASE_S(1));
    for (uint8_t type = RTCP_WIRE_ACK; type <= RTCP_WIRE_WAKE; type++) {
        (void)duo_replay(&d, 0, type);
        (void)duo_replay(&d, 1, type);
        duo_run(&d, BASE_MS(300));
    }
    assert_int_equal(duo_client(&d)->session.attempt, 2);
    duo_send(duo_client(&d), 5000);
    duo_send(duo_server(&d), 5000);
    duo_deliver(&d, BASE_S(1));
    duo_client(&d)->close_after = duo_server(&d)->close_at_end = true;
    DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(20)));
    duo_mark(&d);
    for (uint8_t type = RTCP_WIRE_ACK; type <= RTCP_WIRE_WAKE; type++) {
        (void)duo_replay(&d, 0, type);
        (void)duo_replay(&d, 1, type);
        duo_run(&d, BASE_MS(300));
    }
    assert_true(d.steps < 100000 && duo_count(&d, "S grave") + duo_count(&d, "C grave") < 30); /* no echo for ever */
    assert_int_equal(duo_client(&d)->status, 0);
    duo_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_repeated_and_reordered_messages_cost_only_time),
        cmocka_unit_test(a_long_transfer_costs_few_messages),
        cmocka_unit_test(an_old_byte_is_asked_for),
        cmocka_unit_test(a_close_overtakes_a_half_close),
        cmocka_unit_test(message_ids_may_wrap),
        cmocka_unit_test(unknown_messages_are_confirmed_and_ignored),
        cmocka_unit_test(a_repeated_half_close_is_confirmed_again),
        cmocka_unit_test(messages_from_the_past_do_no_harm),
    };

    return cmocka_run_group_tests_name("story/rtcp/control", tests, NULL, NULL);
}
