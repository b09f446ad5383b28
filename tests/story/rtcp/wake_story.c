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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wake_that_met_no_connection_is_said_again),
    };

    return cmocka_run_group_tests_name("story/rtcp/wake", tests, NULL, NULL);
}
