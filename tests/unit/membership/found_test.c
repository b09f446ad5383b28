/* Founding: one vector, however founders restart and messages are late (T45, T53, M1, M3, M4, G22). */
#include "tests/unit/membership/found_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static void three_founders_install_the_same_vector(void **state)
{
    struct found_world *w = found_world_new(3);

    (void)state;
    found_world_link_all(w);
    found_world_settle(w);

    found_world_expect_one_vector(w);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(w->node[i].installed);
        assert_int_equal(w->node[i].opened, 2); /* each link is opened for ordering once */
        assert_true(found_deadline(&w->node[i].found) == BASE_NEVER);
    }
}

static void a_founder_alone_installs_at_once(void **state)
{
    struct found_world *w = found_world_new(1);

    (void)state;
    assert_true(w->node[0].installed);
}

static void nothing_is_installed_while_one_founder_is_missing(void **state)
{
    struct found_world *w = found_world_new(3);

    (void)state;
    found_world_link(w, 0, 1);
    found_world_settle(w);

    assert_false(w->node[0].installed || w->node[1].installed);
    assert_int_equal(w->node[0].found.state, FOUND_GATHERING);
}

/* T53: at every step of the founding, each founder restarts once. Before view 1 it is followed; afterwards it is
 * refused, and the others keep the view. */
static void a_founder_may_restart_at_every_step(void **state)
{
    unsigned refusals = 0;
    unsigned foundings = 0;

    (void)state;
    for (uint32_t who = 0; who < 3; who++) {
        for (unsigned when = 0; when < 40; when++) {
            struct found_world *w = found_world_new(3);

            found_world_link_all(w);
            for (unsigned i = 0; i < when; i++) {
                (void)found_world_step_any(w);
            }
            found_world_start(w, who);
            for (uint32_t p = 0; p < 3; p++) {
                if (p != who) {
                    found_world_link(w, p, who);
                }
            }
            found_world_settle(w);

            found_world_expect_one_vector(w);
            for (uint32_t p = 0; p < 3; p++) {
                assert_true(w->node[p].installed || (p == who && w->node[p].refused));
            }
            if (w->node[who].refused) {
                assert_int_equal(w->node[who].refusal.status, BASE_E_EXISTS);
                refusals++;
            } else {
                foundings++;
            }
        }
    }
    assert_true(refusals > 0);
    assert_true(foundings > 0);
}

static void a_late_seen_of_a_dead_life_counts_for_nothing(void **state)
{
    struct found_world *w = found_world_new(2);
    struct found *f = &w->node[0].found;
    struct found_message m;

    (void)state;
    found_link_up(f, 2, 500, w->now);
    found_link_up(f, 2, 600, w->now);
    m = found_world_says(w, FOUND_SAYS_SEEN);
    m.vector[1] = 500;
    found_receive(f, 2, 500, &m, w->now);

    assert_int_equal(f->state, FOUND_SEEN);
    assert_null(found_vector(f));
}

static void a_life_that_was_replaced_never_comes_back(void **state)
{
    struct found_world *w = found_world_new(2);
    struct found *f = &w->node[0].found;

    (void)state;
    found_link_up(f, 2, 500, w->now);
    found_link_up(f, 2, 600, w->now);
    found_link_up(f, 2, 500, w->now);

    assert_true(f->vector[1] == 600);
}

/* An older SEEN vector that completes after a newer SEEN was said must not be installed. */
static void only_the_vector_of_the_latest_seen_is_installed(void **state)
{
    struct found_world *w = found_world_new(3);
    struct found *f = &w->node[0].found;
    struct found_message old;

    (void)state;
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    found_link_up(f, 3, w->node[2].incarnation, w->now);
    old = found_world_says(w, FOUND_SAYS_SEEN);
    found_receive(f, 3, w->node[2].incarnation, &old, w->now);
    found_link_up(f, 3, 900, w->now); /* restarted: we say SEEN with 900 */
    found_receive(f, 2, w->node[1].incarnation, &old, w->now);

    assert_null(found_vector(f));
    assert_true(f->vector[2] == 900);
}

/* A founder followed the restarted one, while another had installed the vector before: it adopts that one. */
static void a_view_is_adopted_from_a_member_that_is_in(void **state)
{
    struct found_world *w = found_world_new(3);
    struct found *f = &w->node[0].found;
    struct found_message m = found_world_says(w, FOUND_SAYS_INSTALLED);

    (void)state;
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    found_link_up(f, 3, w->node[2].incarnation, w->now);
    found_link_up(f, 3, 900, w->now);
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);

    assert_non_null(found_vector(f));
    assert_true(found_vector(f)[2] == w->node[2].incarnation);
}

/* Its last words, read after its next life was met, install nothing. */
static void a_view_is_not_adopted_from_a_life_that_is_over(void **state)
{
    struct found_world *w = found_world_new(3);
    struct found *f = &w->node[0].found;
    struct found_message m = found_world_says(w, FOUND_SAYS_INSTALLED);

    (void)state;
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    found_link_up(f, 3, w->node[2].incarnation, w->now);
    found_link_up(f, 3, 900, w->now);
    found_receive(f, 3, w->node[2].incarnation, &m, w->now);

    assert_null(found_vector(f));
}

/* T45, T53: a fresh process that hears of a live group founds none. */
static void a_process_that_hears_of_a_live_group_is_refused(void **state)
{
    struct found_world *w = found_world_new(3);
    struct found *f = &w->node[0].found;
    struct found_message m = found_world_says(w, FOUND_SAYS_INSTALLED);
    struct found_effect e;

    (void)state;
    m.vector[0] = 12345; /* our former life */
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);

    assert_true(found_poll(f, &e));
    assert_int_equal(e.kind, FOUND_REFUSED);
    assert_int_equal(e.status, BASE_E_EXISTS);
    assert_int_equal(e.reason, FOUND_REASON_EXISTS);
    assert_int_equal(e.to, 2);
    assert_false(found_poll(f, &e));
}

/* T53: its next life is neither spoken to nor waited for. */
static void after_view_1_a_restarted_founder_is_not_followed(void **state)
{
    struct found_world *w = found_world_new(2);
    struct found *f = &w->node[0].found;
    struct found_effect e;

    (void)state;
    found_world_link_all(w);
    found_world_settle(w);
    found_link_down(f, 2);
    found_link_up(f, 2, 999, w->now);

    assert_false(found_poll(f, &e));
    assert_true(found_deadline(f) == BASE_NEVER);
    assert_true(found_vector(f)[1] == w->node[1].incarnation);
}

/* What was said on a link that broke may be lost: both say INSTALLED again before ordering goes on. */
static void installed_is_said_again_on_a_new_link(void **state)
{
    struct found_world *w = found_world_new(2);

    (void)state;
    found_world_link_all(w);
    found_world_settle(w);
    w->queue[0][1].head = w->queue[0][1].tail;
    found_world_link_all(w);
    (void)found_world_step(w, 1, 0);

    assert_int_equal(w->queue[0][1].tail - w->queue[0][1].head, 2); /* the link, and the word */
    found_world_settle(w);
    assert_int_equal(w->node[0].opened, 2);
    assert_int_equal(w->node[1].opened, 2);
}

static void whoever_only_opens_never_founds(void **state)
{
    struct found_world *w = found_world_new(2);
    struct found_options o = found_world_options(w, 0);
    struct found_message m = found_world_says(w, FOUND_SAYS_SEEN);
    struct found f;
    struct found_effect e;

    (void)state;
    o.is_founder = false;
    assert_int_equal(found_init(&f, &o, w->now), 0);
    found_link_up(&f, 2, w->node[1].incarnation, w->now);
    found_receive(&f, 2, w->node[1].incarnation, &m, w->now);
    assert_false(found_poll(&f, &e));
    m.kind = FOUND_SAYS_INSTALLED;
    found_receive(&f, 2, w->node[1].incarnation, &m, w->now);

    assert_true(found_poll(&f, &e));
    assert_int_equal(e.status, BASE_E_EXISTS);
}

static void a_member_that_is_in_is_refused_by_nobody(void **state)
{
    struct found_world *w = found_world_new(3);

    (void)state;
    found_world_link_all(w);
    found_world_settle(w);
    found_refused(&w->node[0].found, 2, FOUND_REASON_EXISTS, w->now);
    found_world_pump(w, 0);

    assert_false(w->node[0].refused);
}

/* Two foundings with different tokens, or lists that differ: the odd one ends, the others wait for the right one. */
static void one_that_disagrees_does_not_end_the_others(void **state)
{
    struct found_world *w = found_world_new(3);

    (void)state;
    found_refused(&w->node[0].found, 3, FOUND_REASON_TOKEN, w->now);
    found_refused(&w->node[2].found, 1, FOUND_REASON_TOKEN, w->now);
    found_refused(&w->node[2].found, 1, FOUND_REASON_TOKEN, w->now); /* repeated: still one voice */
    found_world_pump(w, 2);
    assert_false(w->node[2].refused);
    found_refused(&w->node[2].found, 2, FOUND_REASON_FOUNDERS, w->now);
    for (uint32_t i = 0; i < 3; i++) {
        found_world_pump(w, i);
    }

    assert_false(w->node[0].refused);
    assert_true(w->node[2].refused);
    assert_int_equal(w->node[2].refusal.status, BASE_E_INVALID);
    assert_int_equal(w->node[2].refusal.reason, FOUND_REASON_FOUNDERS);
}

/* A founder whose list is wrong may reach one of the right ones only: after a while it ends, and that one does not. */
static void one_that_nobody_agrees_with_ends_after_a_while(void **state)
{
    struct found_world *w = found_world_new(3);

    (void)state;
    found_world_link(w, 1, 2);
    found_world_settle(w);
    found_refused(&w->node[0].found, 2, FOUND_REASON_FOUNDERS, w->now);
    found_refused(&w->node[1].found, 1, FOUND_REASON_FOUNDERS, w->now);
    assert_true(found_deadline(&w->node[0].found) == w->now + BASE_S(3));
    w->now += BASE_S(3);
    for (uint32_t i = 0; i < 3; i++) {
        found_expire(&w->node[i].found, w->now);
        found_world_pump(w, i);
    }

    assert_true(w->node[0].refused);
    assert_int_equal(w->node[0].refusal.reason, FOUND_REASON_FOUNDERS);
    assert_false(w->node[1].refused || w->node[2].refused);
}

static void a_disagreement_is_forgotten_when_the_link_comes_up(void **state)
{
    struct found_world *w = found_world_new(3);
    struct found *f = &w->node[0].found;

    (void)state;
    found_refused(f, 3, FOUND_REASON_PLACE, w->now);
    found_link_up(f, 3, w->node[2].incarnation, w->now);
    found_refused(f, 2, FOUND_REASON_PLACE, w->now);

    assert_int_equal(f->state, FOUND_GATHERING);
}

/* Its address led elsewhere for a moment; the link outlived that, so no other link comes up. Found by the simulator. */
static void a_founder_whose_address_was_wrong_for_a_moment_is_not_forgotten(void **state)
{
    struct found_world *w = found_world_new(3);

    (void)state;
    found_world_link(w, 0, 1);
    found_world_link(w, 0, 2);
    found_world_link(w, 1, 2);
    found_refused(&w->node[0].found, 3, FOUND_REASON_PLACE, w->now);
    for (uint32_t i = 0; i < 3; i++) {
        found_world_pump(w, i);
    }
    found_world_settle(w);
    w->now += BASE_S(4);
    for (uint32_t i = 0; i < 3; i++) {
        found_expire(&w->node[i].found, w->now);
        found_world_pump(w, i);
    }
    found_world_settle(w);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(w->node[i].installed);
        assert_false(w->node[i].refused);
    }
    assert_int_equal(w->node[0].found.peer[2].is_opened, true);
}

/* The link from before lives on: it carries the founding, and the group afterwards. */
static void a_disagreement_does_not_forget_a_link_that_lives(void **state)
{
    struct found_world *w = found_world_new(3);

    (void)state;
    found_world_link(w, 0, 2);
    found_world_settle(w);
    found_refused(&w->node[0].found, 3, FOUND_REASON_PLACE, w->now);
    found_world_link(w, 0, 1);
    found_world_link(w, 1, 2);
    found_world_settle(w);
    found_world_expect_one_vector(w);
    assert_true(w->node[0].installed && w->node[0].found.peer[2].is_opened);
}

static void a_lost_message_is_repeated_until_it_is_answered(void **state)
{
    struct found_world *w = found_world_new(2);

    (void)state;
    found_world_link_all(w);
    (void)found_world_step(w, 0, 1);
    (void)found_world_step(w, 1, 0);
    w->queue[0][1].head = w->queue[0][1].tail; /* both SEENs are lost */
    w->queue[1][0].head = w->queue[1][0].tail;
    assert_false(found_world_step_any(w));
    assert_true(found_deadline(&w->node[0].found) == w->now + BASE_MS(500));
    found_world_settle(w);

    found_world_expect_one_vector(w);
    assert_true(w->node[0].installed && w->node[1].installed);
}

static void a_message_of_another_size_or_self_is_dropped(void **state)
{
    struct found_world *w = found_world_new(2);
    struct found *f = &w->node[0].found;
    struct found_message m = found_world_says(w, FOUND_SAYS_SEEN);

    (void)state;
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    m.count = 3;
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);
    m.count = 2;
    m.vector[1]++;
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);
    m.kind = FOUND_SAYS_INSTALLED;
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);
    found_receive(f, 1, w->node[0].incarnation, &m, w->now);
    found_receive(f, 9, 1, &m, w->now);

    assert_int_equal(f->state, FOUND_SEEN);
}

static void the_instance_names_name_token_and_vector(void **state)
{
    struct found_world *w = found_world_new(1);
    struct found_options o = found_world_options(w, 0);
    struct found f[4];

    (void)state;
    assert_int_equal(found_init(&f[0], &o, 0), 0);
    o.token++;
    assert_int_equal(found_init(&f[1], &o, 0), 0);
    o.token--;
    o.name = "h";
    assert_int_equal(found_init(&f[2], &o, 0), 0);
    o.name = "g";
    o.incarnation++;
    assert_int_equal(found_init(&f[3], &o, 0), 0);

    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = i + 1; j < 4; j++) {
            assert_true(found_instance(&f[i]) != found_instance(&f[j]));
        }
    }
}

static void lists_of_founders_are_compared_with_their_addresses(void **state)
{
    struct group_address a[2] = {{1, "h:1"}, {2, "h:2"}};
    struct group_address b[2] = {{1, "h:1"}, {2, "h:3"}};
    struct group_address c[2] = {{1, "h:1"}, {3, "h:2"}};

    (void)state;
    assert_true(found_founders_hash(a, 2) == found_founders_hash(a, 2));
    assert_true(found_founders_hash(a, 2) != found_founders_hash(b, 2));
    assert_true(found_founders_hash(a, 2) != found_founders_hash(c, 2));
    assert_true(found_founders_hash(a, 2) != found_founders_hash(a, 1));
}

static void options_that_make_no_sense_are_refused(void **state)
{
    struct found_world *w = found_world_new(3);
    struct found_options good = found_world_options(w, 0);
    struct found_options o = good;
    const uint32_t falling[2] = {2, 1};
    struct found f;

    (void)state;
    o.self = 9;
    assert_int_equal(found_init(&f, &o, 0), BASE_E_INVALID);
    o = good;
    o.incarnation = 0;
    assert_int_equal(found_init(&f, &o, 0), BASE_E_INVALID);
    o = good;
    o.name = "";
    assert_int_equal(found_init(&f, &o, 0), BASE_E_INVALID);
    o = good;
    o.id = falling;
    o.count = 2;
    assert_int_equal(found_init(&f, &o, 0), BASE_E_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_founders_install_the_same_vector),
        cmocka_unit_test(a_founder_alone_installs_at_once),
        cmocka_unit_test(nothing_is_installed_while_one_founder_is_missing),
        cmocka_unit_test(a_founder_may_restart_at_every_step),
        cmocka_unit_test(a_late_seen_of_a_dead_life_counts_for_nothing),
        cmocka_unit_test(a_life_that_was_replaced_never_comes_back),
        cmocka_unit_test(only_the_vector_of_the_latest_seen_is_installed),
        cmocka_unit_test(a_view_is_adopted_from_a_member_that_is_in),
        cmocka_unit_test(a_view_is_not_adopted_from_a_life_that_is_over),
        cmocka_unit_test(a_process_that_hears_of_a_live_group_is_refused),
        cmocka_unit_test(after_view_1_a_restarted_founder_is_not_followed),
        cmocka_unit_test(installed_is_said_again_on_a_new_link),
        cmocka_unit_test(whoever_only_opens_never_founds),
        cmocka_unit_test(a_member_that_is_in_is_refused_by_nobody),
        cmocka_unit_test(one_that_disagrees_does_not_end_the_others),
        cmocka_unit_test(one_that_nobody_agrees_with_ends_after_a_while),
        cmocka_unit_test(a_disagreement_is_forgotten_when_the_link_comes_up),
        cmocka_unit_test(a_founder_whose_address_was_wrong_for_a_moment_is_not_forgotten),
        cmocka_unit_test(a_disagreement_does_not_forget_a_link_that_lives),
        cmocka_unit_test(a_lost_message_is_repeated_until_it_is_answered),
        cmocka_unit_test(a_message_of_another_size_or_self_is_dropped),
        cmocka_unit_test(the_instance_names_name_token_and_vector),
        cmocka_unit_test(lists_of_founders_are_compared_with_their_addresses),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
