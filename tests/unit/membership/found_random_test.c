/* Founding under faults that chance decides: all that live agree, whatever happens (M1, M4). */
#include "rtcp/base/rng.h"
#include "tests/unit/membership/found_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* Any order of messages, links that break and come again, restarts at any time: all that live agree (M1, M4), and when
 * the faults end everybody is in or was told that it is out. */
static void run_random_founding(uint64_t seed, unsigned *outs, unsigned *adopted, unsigned *followed)
{
    struct base_rng r;
    struct found_world *w;
    bool has_out = false;
    bool all_in = true;

    base_rng_init(&r, seed);
    w = found_world_new(2 + (uint32_t)base_rng_below(&r, 4));
    for (unsigned i = 0; i < 300; i++) {
        uint32_t a = (uint32_t)base_rng_below(&r, w->count);
        uint32_t b = (uint32_t)base_rng_below(&r, w->count);
        uint64_t dice = base_rng_below(&r, 100);

        if (dice < 3) {
            found_world_start(w, a);
        } else if (a != b && dice < 15) {
            if (dice < 6) { /* what was under way is lost; else it comes late */
                w->queue[a][b].head = w->queue[a][b].tail;
            }
            found_world_link(w, a, b);
        } else if (a != b && dice < 97) {
            (void)found_world_step(w, a, b);
        } else {
            w->now += BASE_S(1);
            found_expire(&w->node[a].found, w->now);
            found_world_pump(w, a);
        }
        found_world_expect_one_vector(w);
    }
    found_world_link_all(w);
    found_world_settle(w);
    found_world_expect_one_vector(w);
    for (uint32_t i = 0; i < w->count; i++) {
        has_out = has_out || w->node[i].refused;
        all_in = all_in && w->node[i].installed;
    }
    assert_true(all_in || has_out);
    *outs += has_out;
    *adopted += w->adopted;
    *followed += w->followed;
}

static void random_foundings_never_disagree(void **state)
{
    unsigned outs = 0;
    unsigned adopted = 0;
    unsigned followed = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        run_random_founding(seed, &outs, &adopted, &followed);
    }
    assert_true(outs > 100); /* the interesting paths were really taken */
    assert_true(adopted > 100);
    assert_true(followed > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_foundings_never_disagree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
