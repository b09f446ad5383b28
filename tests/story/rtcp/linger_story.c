/* How long a closed stream goes on, in all the forms an application may ask for; and connections that are replaced
 * because the application wishes it (PROTOCOL.md "Closing", "Freeze and resume"; P36, P24).
 */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void pair(struct duo *d)
{
    struct duo_options o;

    duo_options_default(&o);
    duo_pair(d, &o);
    duo_run(d, BASE_MS(20));
    duo_mark(d);
}

static struct duo_stream *side(struct duo *d, int who)
{
    return who == 0 ? duo_client(d) : duo_server(d);
}

static bool one_is_closed(struct duo *d)
{
    return duo_client(d)->is_closed || d->host[DUO_SERVER].stream[0]->is_closed;
}

/* 3000 bytes that cannot leave, then closed. */
static void close_while_cut(struct duo *d, int who, base_time span, bool for_ever)
{
    struct duo_stream *s = side(d, who);

    duo_block_tcp(d, true);
    duo_block_udp(d, true);
    duo_send(s, 3000);
    duo_run(d, BASE_MS(10));
    rtcp_session_linger(&s->session, base_time_add(d->now, span), for_ever);
    duo_finish(s, false);
}

/* ------------------------------------------------------------------------------------------------ lingering */

static void a_deadline_ends_a_closing_and_counts_what_was_not_acknowledged(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;

        pair(&d);
        close_while_cut(&d, who, BASE_S(7), false);
        duo_run(&d, BASE_MS(6900));
        assert_false(side(&d, who)->is_closed);
        duo_run(&d, BASE_MS(200));

        assert_true(side(&d, who)->is_closed);
        assert_int_equal(side(&d, who)->status, BASE_E_EXPIRED);
        assert_int_equal(side(&d, who)->unacknowledged, 3000);
        duo_close(&d);
    }
}

/* The peer must not take it for an end: it hears of an abort, from the tombstone if need be. */
static void the_peer_of_an_expired_closing_hears_of_an_abort(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;

        pair(&d);
        close_while_cut(&d, who, BASE_S(3), false);
        duo_run(&d, BASE_S(4));
        duo_block_tcp(&d, false);
        duo_block_udp(&d, false);
        duo_send(side(&d, 1 - who), 10);
        DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(30)));

        assert_int_equal(side(&d, 1 - who)->status, BASE_E_RESET);
        assert_false(side(&d, 1 - who)->saw_end);
        duo_close(&d);
    }
}

/* A drain gives a deadline to what was aborted before, too: the telling of the abort must not outlast it. */
static void a_deadline_ends_the_telling_of_an_abort(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;

        pair(&d);
        duo_block_tcp(&d, true);
        duo_block_udp(&d, true);
        duo_finish(side(&d, who), true);
        rtcp_session_linger(&side(&d, who)->session, d.now + BASE_S(1), false);
        duo_pump(side(&d, who));
        duo_run(&d, BASE_MS(900));
        assert_false(side(&d, who)->is_closed);
        duo_run(&d, BASE_MS(200));

        assert_true(side(&d, who)->is_closed);
        assert_int_equal(side(&d, who)->status, BASE_E_CLOSED);
        duo_close(&d);
    }
}

static void a_deadline_that_is_not_needed_changes_nothing(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;

        pair(&d);
        duo_send(side(&d, who), 3000);
        duo_run(&d, BASE_MS(5));
        rtcp_session_linger(&side(&d, who)->session, d.now + BASE_S(5), false);
        duo_finish(side(&d, who), false);
        side(&d, 1 - who)->close_at_end = true;
        DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(30)));

        assert_int_equal(duo_client(&d)->status, 0);
        assert_int_equal(d.host[DUO_SERVER].stream[0]->status, 0);
        duo_close(&d);
    }
}

static void without_contact_a_background_closing_ends_at_its_limit(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;

        pair(&d);
        close_while_cut(&d, who, BASE_NEVER, false);
        duo_run(&d, RTCP_LINGER_MAX - BASE_S(5));
        assert_false(one_is_closed(&d));
        duo_run(&d, BASE_S(10));

        assert_true(side(&d, who)->is_closed);
        assert_int_equal(side(&d, who)->status, BASE_E_EXPIRED);
        assert_int_equal(side(&d, who)->unacknowledged, 3000);
        duo_close(&d);
    }
}

/* "For ever" applies to the last byte; the wait for the answer to our CLOSE keeps the limit (design 2.3). */
static void for_ever_means_until_the_last_byte(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;

        pair(&d);
        close_while_cut(&d, who, BASE_NEVER, true);
        duo_run(&d, 3 * RTCP_LINGER_MAX);
        assert_false(one_is_closed(&d));
        duo_block_tcp(&d, false);
        duo_block_udp(&d, false);
        duo_deliver(&d, BASE_S(30));
        duo_block_tcp(&d, true);
        duo_block_udp(&d, true);
        assert_false(side(&d, who)->is_closed);
        duo_run(&d, RTCP_LINGER_MAX + BASE_S(30));

        assert_true(side(&d, who)->is_closed);
        duo_close(&d);
    }
}

/* ------------------------------------------------------------------------------------------------ orphans */

static struct duo_stream *orphan(struct duo *d, base_time orphan_max)
{
    struct duo_options o;

    duo_options_default(&o);
    o.orphan_max = orphan_max;
    duo_pair(d, &o);
    duo_run(d, BASE_MS(20));
    duo_block_tcp(d, true);
    duo_block_udp(d, true);
    duo_cut(d, duo_live(d), DUO_CUT_RESET);
    return duo_server(d);
}

/* P31: what an application holds is kept, and its client may come back after any time. */
static void an_orphan_is_kept_unless_the_option_says_otherwise(void **state)
{
    struct duo d;
    struct duo_stream *s;

    (void)state;
    s = orphan(&d, 0);
    duo_run(&d, BASE_S(100000));
    assert_false(s->is_closed);
    duo_block_tcp(&d, false);
    duo_block_udp(&d, false);
    duo_send(duo_client(&d), 5000);
    duo_deliver(&d, BASE_S(15));
    duo_end(&d);
}

/* With the option it ends, and who comes back after all is told the truth: not an end, an abort. */
static void an_orphan_of_a_limited_server_ends_and_its_client_hears_the_truth(void **state)
{
    struct duo d;
    struct duo_stream *s;

    (void)state;
    s = orphan(&d, BASE_S(120));
    duo_send(s, 500);
    duo_run(&d, BASE_S(110));
    assert_false(s->is_closed);
    duo_run(&d, BASE_S(20));
    assert_true(s->is_closed);
    assert_int_equal(s->status, BASE_E_EXPIRED);
    assert_int_equal(s->unacknowledged, 500);
    duo_block_tcp(&d, false);
    duo_block_udp(&d, false);
    DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(30)));

    assert_int_equal(duo_client(&d)->status, BASE_E_RESET);
    assert_false(duo_client(&d)->saw_end);
    duo_close(&d);
}

/* The power fails: nobody tells the server that this connection is over, and an idle one is never missed by the kernel.
 */
static void an_orphan_on_a_silently_dead_connection_ends_too(void **state)
{
    struct duo_options o;
    struct duo_stream *s;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.orphan_max = BASE_S(120);
    duo_pair(&d, &o);
    duo_run(&d, BASE_MS(20));
    duo_block_tcp(&d, true);
    duo_block_udp(&d, true);
    s = duo_server(&d);
    duo_run(&d, BASE_S(110));
    assert_false(s->is_closed);
    duo_run(&d, BASE_S(20));

    assert_true(s->is_closed);
    assert_int_equal(s->status, BASE_E_EXPIRED);
    duo_close(&d);
}

/* Clients that live are kept: by their answers, or, where no datagram gets through, because they come back. */
static void idle_clients_of_a_limited_server_are_kept(void **state)
{
    (void)state;
    for (int is_blocked = 0; is_blocked < 2; is_blocked++) {
        struct duo_options o;
        struct duo d;

        duo_options_default(&o);
        o.orphan_max = BASE_S(60);
        duo_pair(&d, &o);
        duo_block_udp(&d, is_blocked == 1);
        duo_run(&d, BASE_S(3600));
        assert_false(duo_server(&d)->is_closed);
        DUO_TRUE(&d, is_blocked == 1 || duo_server(&d)->session.connections == 1);
        duo_send(duo_client(&d), 5000);
        duo_deliver(&d, BASE_S(15));
        duo_block_udp(&d, false);
        duo_end(&d);
    }
}

/* A passive client is no orphan as long as its route is alive; when it is gone, its session goes like any other. */
static void passive_clients_are_heard_of_on_their_route(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    o.orphan_max = BASE_S(60);
    duo_pair(&d, &o);
    duo_run(&d, BASE_MS(20));
    assert_int_equal(rtcp_session_passivate(&duo_client(&d)->session, d.now), 0);
    duo_pump(duo_client(&d));
    duo_run(&d, BASE_S(3600));
    assert_true(duo_server(&d)->session.is_passive);
    assert_false(duo_server(&d)->is_closed);
    duo_kill(&d, DUO_CLIENT);
    duo_run(&d, BASE_S(100));

    assert_true(d.host[DUO_SERVER].stream[0]->is_closed);
    assert_int_equal(d.host[DUO_SERVER].stream[0]->status, BASE_E_EXPIRED);
    duo_close(&d);
}

/* ------------------------------------------------------------------------------------------------ replacement */

/* Make before break: the old connection is in use until the new one is there, and nobody is told of a break. */
static void a_replacement_that_is_asked_for_breaks_nothing(void **state)
{
    (void)state;
    for (int who = 0; who < 2; who++) {
        struct duo d;
        uint32_t before;

        pair(&d);
        before = duo_client(&d)->session.live;
        duo_send(duo_client(&d), 20000);
        duo_send(duo_server(&d), 20000);
        duo_run(&d, BASE_MS(1));
        assert_int_equal(rtcp_session_replace(&side(&d, who)->session, d.now), 0);
        duo_pump(side(&d, who));
        duo_deliver(&d, BASE_S(5));

        DUO_TRUE(&d, duo_client(&d)->session.live > before);
        assert_int_equal(duo_count(&d, "C LINK"), 0);
        assert_int_equal(duo_count(&d, "S LINK"), 0);
        duo_end(&d);
    }
}

static void a_replacement_of_a_lost_connection_is_an_attempt_at_once(void **state)
{
    struct duo d;
    unsigned before;

    (void)state;
    pair(&d);
    duo_block_tcp(&d, true);
    duo_block_udp(&d, true);
    duo_cut(&d, duo_live(&d), DUO_CUT_NEAR);
    duo_run(&d, BASE_S(60));
    while (duo_client(&d)->session.trying != RTCP_TRY_REST) {
        duo_run(&d, BASE_MS(10));
    }
    duo_block_tcp(&d, false);
    before = duo_count(&d, "C CONNECT");
    assert_int_equal(rtcp_session_replace(&duo_client(&d)->session, d.now), 0);
    duo_pump(duo_client(&d));

    assert_int_equal(duo_count(&d, "C CONNECT"), before + 1);
    duo_block_udp(&d, false);
    DUO_TRUE(&d, duo_until(&d, duo_is_attached, BASE_MS(100)));
    duo_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_ends_a_closing_and_counts_what_was_not_acknowledged),
        cmocka_unit_test(the_peer_of_an_expired_closing_hears_of_an_abort),
        cmocka_unit_test(a_deadline_ends_the_telling_of_an_abort),
        cmocka_unit_test(a_deadline_that_is_not_needed_changes_nothing),
        cmocka_unit_test(without_contact_a_background_closing_ends_at_its_limit),
        cmocka_unit_test(for_ever_means_until_the_last_byte),
        cmocka_unit_test(an_orphan_is_kept_unless_the_option_says_otherwise),
        cmocka_unit_test(an_orphan_of_a_limited_server_ends_and_its_client_hears_the_truth),
        cmocka_unit_test(an_orphan_on_a_silently_dead_connection_ends_too),
        cmocka_unit_test(idle_clients_of_a_limited_server_are_kept),
        cmocka_unit_test(passive_clients_are_heard_of_on_their_route),
        cmocka_unit_test(a_replacement_that_is_asked_for_breaks_nothing),
        cmocka_unit_test(a_replacement_of_a_lost_connection_is_an_attempt_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
