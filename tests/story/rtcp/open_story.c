/* Opening. */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static void bytes_go_both_ways_and_both_sides_close(void **state)
{
    struct duo_options o;
    struct duo d;
    struct duo_stream *c;

    (void)state;
    duo_options_default(&o);
    duo_open(&d, &o);
    c = duo_connect(&d);
    duo_send(c, 100000);
    DUO_TRUE(&d, duo_until(&d, duo_is_confirmed, BASE_S(5)));
    duo_send(duo_accepted(&d), 50000);
    DUO_TRUE(&d, duo_until(&d, duo_is_delivered, BASE_S(50)));
    duo_finish(c, false);
    duo_finish(duo_accepted(&d), false);
    DUO_TRUE(&d, duo_until(&d, duo_is_over, BASE_S(5)));
    assert_int_equal(c->status, 0);
    duo_close(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_both_ways_and_both_sides_close),
    };

    return cmocka_run_group_tests_name("story/rtcp/open", tests, NULL, NULL);
}
