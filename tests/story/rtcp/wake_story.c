/* A WAKE that has no effect: what the simulator found, as a story (PROTOCOL.md "Finding out"). */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static bool is_detached(struct duo *d)
{
    return duo_server(d)->session.path == RTCP_PATH_DETACHED;
}

static bool is_second(struct duo *d)
{
    return duo_client(d)->session.connections >= 2 && duo_is_attached(d);
}

/* The client got the WAKE between two connections: it said CONF, and there was nothing to replace. Then it attached the
 * connection that the server had left, whose RST was lost; the server's probes kept it from ever probing itself. */
static void a_wake_that_met_no_connection_is_said_again(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    duo_pair(&d, &o);
    duo_send(duo_server(&d), 500);
    duo_cut(&d, duo_live(&d), DUO_CUT_FAR);
    DUO_TRUE(&d, duo_until(&d, is_detached, BASE_S(1)));
    duo_server(&d)->session.wake = 0;
    duo_server(&d)->session.reliable.type = 0;
    DUO_TRUE(&d, duo_until(&d, is_second, BASE_S(1)));
    duo_deliver(&d, BASE_S(1));
    duo_end(&d);
}

static bool client_asks(struct duo *d)
{
    return duo_client(d)->session.trying == RTCP_TRY_ASKING;
}

static bool server_has_the_second(struct duo *d)
{
    return duo_server(d)->session.live == 2;
}

static bool both_have_the_third(struct duo *d)
{
    return duo_client(d)->session.live == 3 && duo_server(d)->session.live == 3;
}

/* The server's application wants another connection than the second one, and the WAKE overtakes the answer that makes
 * the second one known to the client: the wish is not forgotten (I8). Found by sim-explore-rtcp. */
static void a_wake_that_overtakes_the_answer_is_not_forgotten(void **state)
{
    struct duo_options o;
    struct duo d;

    (void)state;
    duo_options_default(&o);
    duo_pair(&d, &o);
    duo_cut(&d, duo_live(&d), DUO_CUT_RESET);
    DUO_TRUE(&d, duo_until(&d, client_asks, BASE_S(1)));
    d.tcp_blocked[1] = true;
    DUO_TRUE(&d, duo_until(&d, server_has_the_second, BASE_S(1)));
    assert_int_equal(rtcp_session_replace(&duo_server(&d)->session, d.now), 0);
    duo_pump(duo_server(&d));
    duo_run(&d, BASE_MS(5));
    assert_int_equal(duo_server(&d)->session.wake, 0); /* confirmed */
    d.tcp_blocked[1] = false;

    DUO_TRUE(&d, duo_until(&d, both_have_the_third, BASE_S(2)));
    duo_end(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_that_met_no_connection_is_said_again),
        cmocka_unit_test(a_wake_that_overtakes_the_answer_is_not_forgotten),
    };

    return cmocka_run_group_tests_name("story/rtcp/wake", tests, NULL, NULL);
}
