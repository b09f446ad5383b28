/* Hello: a link is bound once to two lives and two lanes (rules 4 and 5), and strangers are told why (T45, T51, G22).
 */
#include "membership/hello.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct hello_self self_of(uint32_t id)
{
    return (struct hello_self){.id = id,
                               .incarnation = 100 + id,
                               .life = 200 + id,
                               .name = hello_name_hash("g"),
                               .token = 7,
                               .founders = 9,
                               .count = 3,
                               .member = {1, 2, 3}};
}

static struct hello_self installed_self(uint32_t id)
{
    struct hello_self s = self_of(id);

    s.instance = 77;
    s.view = 1;
    for (uint32_t i = 0; i < 3; i++) {
        s.expected[i] = 101 + i;
    }
    return s;
}

/* The first hello of member 1 to member 2. */
static struct hello opening(const struct hello_self *self, enum message_lane lane)
{
    struct pair p;

    pair_init(&p);
    pair_dial(&p, 2, 5, 1000);
    return pair_hello(&p, self, lane);
}

struct duo {
    struct hello_self a, b;
    struct pair dialler, acceptor;
};

static struct duo duo_dialled(void)
{
    struct duo d = {.a = self_of(1), .b = self_of(2)};

    pair_init(&d.dialler);
    pair_init(&d.acceptor);
    pair_dial(&d.dialler, 2, 5, 1000);
    return d;
}

static void duo_answered(struct duo *d)
{
    struct hello votes = pair_hello(&d->dialler, &d->a, LANE_VOTES);
    struct hello bulk = pair_hello(&d->dialler, &d->a, LANE_BULK);

    pair_accept(&d->acceptor, &bulk, 2000);
    assert_true(pair_matches(&d->acceptor, &votes));
    assert_int_equal(pair_receive(&d->acceptor, LANE_VOTES, &votes), 0);
    assert_int_equal(d->acceptor.state, PAIR_ANSWERED);
}

static void duo_up(struct duo *d)
{
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
        struct hello h = pair_hello(&d->acceptor, &d->b, (enum message_lane)lane);

        assert_int_equal(pair_receive(&d->dialler, (enum message_lane)lane, &h), 0);
    }
    assert_int_equal(d->dialler.state, PAIR_UP);
}

static void both_lanes_make_one_link(void **state)
{
    struct duo d = duo_dialled();

    (void)state;
    duo_answered(&d);
    duo_up(&d);
    for (unsigned lane = 0; lane < LANE_COUNT; lane++) {
        struct hello h = pair_hello(&d.dialler, &d.a, (enum message_lane)lane);

        assert_int_equal(d.acceptor.state, PAIR_ANSWERED);
        assert_int_equal(pair_receive(&d.acceptor, (enum message_lane)lane, &h), 0);
    }

    assert_int_equal(d.acceptor.state, PAIR_UP);
    assert_true(d.dialler.incarnation == 102 && d.acceptor.incarnation == 101);
    assert_true(d.dialler.life == 202 && d.acceptor.life == 201);
}

/* A life that is over cannot echo a nonce made after its end: its link never comes up. */
static void a_link_without_the_echo_of_our_nonce_never_comes_up(void **state)
{
    struct duo d = duo_dialled();
    struct hello first = pair_hello(&d.dialler, &d.a, LANE_VOTES);

    (void)state;
    duo_answered(&d);

    assert_int_equal(pair_receive(&d.acceptor, LANE_VOTES, &first), BASE_E_PROTOCOL);
    assert_int_equal(d.acceptor.state, PAIR_ANSWERED);
}

static void an_answer_to_another_hello_is_no_answer(void **state)
{
    struct duo d = duo_dialled();
    struct hello h;

    (void)state;
    duo_answered(&d);
    h = pair_hello(&d.acceptor, &d.b, LANE_VOTES);
    h.echo++;

    assert_int_equal(pair_receive(&d.dialler, LANE_VOTES, &h), BASE_E_PROTOCOL);
}

static void lanes_of_two_lives_make_no_link(void **state)
{
    struct duo d = duo_dialled();
    struct hello h;

    (void)state;
    duo_answered(&d);
    h = pair_hello(&d.acceptor, &d.b, LANE_VOTES);
    assert_int_equal(pair_receive(&d.dialler, LANE_VOTES, &h), 0);
    h = pair_hello(&d.acceptor, &d.b, LANE_BULK);
    h.life++; /* it restarted between the lanes */

    assert_int_equal(pair_receive(&d.dialler, LANE_BULK, &h), BASE_E_PROTOCOL);
    assert_int_equal(d.dialler.state, PAIR_DIALLING);
}

static void lanes_of_two_links_do_not_match(void **state)
{
    struct hello_self a = self_of(1);
    struct hello votes = opening(&a, LANE_VOTES);
    struct hello bulk = opening(&a, LANE_BULK);
    struct pair p;

    (void)state;
    pair_init(&p);
    pair_accept(&p, &votes, 2000);
    bulk.link++;
    assert_false(pair_matches(&p, &bulk));
    bulk.link--;
    bulk.incarnation++;
    assert_false(pair_matches(&p, &bulk));
    assert_false(pair_matches(&p, &votes)); /* the same lane again */
}

static void a_lane_that_names_the_other_lane_is_refused(void **state)
{
    struct duo d = duo_dialled();
    struct hello h;

    (void)state;
    duo_answered(&d);
    h = pair_hello(&d.acceptor, &d.b, LANE_VOTES);

    assert_int_equal(pair_receive(&d.dialler, LANE_BULK, &h), BASE_E_PROTOCOL);
}

static void a_link_that_is_up_takes_no_more_hellos(void **state)
{
    struct duo d = duo_dialled();
    struct hello h;

    (void)state;
    duo_answered(&d);
    duo_up(&d);
    h = pair_hello(&d.acceptor, &d.b, LANE_VOTES);

    assert_int_equal(pair_receive(&d.dialler, LANE_VOTES, &h), BASE_E_PROTOCOL);
}

static void founders_of_one_group_accept_each_other(void **state)
{
    struct hello_self a = self_of(1);
    struct hello_self b = self_of(2);
    struct hello h = opening(&a, LANE_VOTES);

    (void)state;
    assert_int_equal(hello_judge(&b, &h), HELLO_GOOD);
}

static void every_disagreement_has_its_own_reason(void **state)
{
    struct hello_self a = self_of(1);
    struct hello_self b = self_of(2);
    struct hello good = opening(&a, LANE_VOTES);
    struct hello h = good;

    (void)state;
    h.version++;
    assert_int_equal(hello_judge(&b, &h), HELLO_BAD_VERSION);
    h = good;
    h.name = hello_name_hash("h");
    assert_int_equal(hello_judge(&b, &h), HELLO_BAD_NAME);
    h = good;
    h.receiver = 3;
    assert_int_equal(hello_judge(&b, &h), HELLO_BAD_RECEIVER);
    h = good;
    h.sender = 4;
    assert_int_equal(hello_judge(&b, &h), HELLO_BAD_SENDER);
    h.sender = 2; /* ourselves */
    assert_int_equal(hello_judge(&b, &h), HELLO_BAD_SENDER);
    h = good;
    h.token++;
    assert_int_equal(hello_judge(&b, &h), HELLO_BAD_TOKEN);
    h = good;
    h.founders++;
    assert_int_equal(hello_judge(&b, &h), HELLO_BAD_FOUNDERS);
}

/* G7, T51: the same id with another memory is another process. */
static void an_incarnation_that_the_view_does_not_name_is_refused(void **state)
{
    struct hello_self a = self_of(1);
    struct hello_self b = installed_self(2);
    struct hello h;
    struct hello_refusal r;

    (void)state;
    h = opening(&a, LANE_VOTES);
    assert_int_equal(hello_judge(&b, &h), HELLO_GOOD); /* a member that has not heard yet that it is in */
    a.incarnation = 999;
    h = opening(&a, LANE_VOTES);
    assert_int_equal(hello_judge(&b, &h), HELLO_BAD_INCARNATION);
    r = hello_refuse(&b, HELLO_BAD_INCARNATION, &h);
    assert_true(r.echo == h.nonce && r.instance == 77 && r.view == 1);
}

static void another_founding_of_the_same_name_is_refused(void **state)
{
    struct hello_self a = installed_self(1);
    struct hello_self b = installed_self(2);
    struct hello h;

    (void)state;
    a.instance = 78;
    h = opening(&a, LANE_VOTES);
    assert_int_equal(hello_judge(&b, &h), HELLO_BAD_INSTANCE);
}

static void whoever_only_opens_need_not_know_the_founders(void **state)
{
    struct hello_self a = self_of(1);
    struct hello_self b = self_of(2);
    struct hello h;

    (void)state;
    a.founders = 0;
    h = opening(&a, LANE_VOTES);
    assert_int_equal(hello_judge(&b, &h), HELLO_GOOD);
}

static void refusals_are_understood_by_founding(void **state)
{
    (void)state;
    assert_int_equal(hello_meaning(HELLO_BAD_INCARNATION), FOUND_REASON_EXISTS);
    assert_int_equal(hello_meaning(HELLO_BAD_INSTANCE), FOUND_REASON_EXISTS);
    assert_int_equal(hello_meaning(HELLO_BAD_TOKEN), FOUND_REASON_TOKEN);
    assert_int_equal(hello_meaning(HELLO_BAD_FOUNDERS), FOUND_REASON_FOUNDERS);
    assert_int_equal(hello_meaning(HELLO_BAD_SENDER), FOUND_REASON_STRANGER);
    assert_int_equal(hello_meaning(HELLO_BAD_NAME), FOUND_REASON_PLACE);
    assert_int_equal(hello_meaning((enum hello_reason)99), FOUND_REASON_NONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_lanes_make_one_link),
        cmocka_unit_test(a_link_without_the_echo_of_our_nonce_never_comes_up),
        cmocka_unit_test(an_answer_to_another_hello_is_no_answer),
        cmocka_unit_test(lanes_of_two_lives_make_no_link),
        cmocka_unit_test(lanes_of_two_links_do_not_match),
        cmocka_unit_test(a_lane_that_names_the_other_lane_is_refused),
        cmocka_unit_test(a_link_that_is_up_takes_no_more_hellos),
        cmocka_unit_test(founders_of_one_group_accept_each_other),
        cmocka_unit_test(every_disagreement_has_its_own_reason),
        cmocka_unit_test(an_incarnation_that_the_view_does_not_name_is_refused),
        cmocka_unit_test(another_founding_of_the_same_name_is_refused),
        cmocka_unit_test(whoever_only_opens_need_not_know_the_founders),
        cmocka_unit_test(refusals_are_understood_by_founding),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
