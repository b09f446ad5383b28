/* Views: what a good one is, look-up, differences, counting (membership/view.h). */
#include "membership/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct group_view view_of(uint32_t count)
{
    struct group_view view = {.id = 1, .instance = 9, .count = count};

    for (uint32_t i = 0; i < count && i < GROUP_MEMBERS_MAX; i++) {
        view.member[i] = (struct group_member){.id = 10 * (i + 1), .role = GROUP_VOTER, .incarnation = 100 + i};
    }
    return view;
}

static void a_view_of_one_to_fifteen_members_is_good(void **state)
{
    (void)state;
    for (uint32_t count = 1; count <= GROUP_MEMBERS_MAX; count++) {
        struct group_view view = view_of(count);

        assert_int_equal(view_check(&view), 0);
    }
}

static void a_view_without_members_or_with_too_many_is_refused(void **state)
{
    struct group_view none = view_of(0);
    struct group_view many = view_of(GROUP_MEMBERS_MAX + 1);

    (void)state;
    assert_int_equal(view_check(&none), BASE_E_INVALID);
    assert_int_equal(view_check(&many), BASE_E_INVALID);
}

static void ids_must_rise_and_lie_in_range(void **state)
{
    struct group_view view = view_of(3);

    (void)state;
    view.member[1].id = view.member[0].id;
    assert_int_equal(view_check(&view), BASE_E_INVALID);
    view = view_of(3);
    view.member[0].id = 0;
    assert_int_equal(view_check(&view), BASE_E_INVALID);
    view = view_of(3);
    view.member[2].id = VIEW_ID_MAX + 1u;
    assert_int_equal(view_check(&view), BASE_E_INVALID);
}

static void a_member_needs_an_incarnation_a_role_and_an_ended_address(void **state)
{
    struct group_view view = view_of(3);

    (void)state;
    view.member[1].incarnation = 0;
    assert_int_equal(view_check(&view), BASE_E_INVALID);
    view = view_of(3);
    view.member[1].role = (enum group_role)7;
    assert_int_equal(view_check(&view), BASE_E_INVALID);
    view = view_of(3);
    memset(view.member[1].address, 'a', GROUP_ADDRESS_SIZE);
    assert_int_equal(view_check(&view), BASE_E_INVALID);
}

static void a_view_of_learners_alone_is_refused(void **state)
{
    struct group_view view = view_of(2);

    (void)state;
    view.member[0].role = GROUP_LEARNER;
    view.member[1].role = GROUP_LEARNER;
    assert_int_equal(view_check(&view), BASE_E_INVALID);
}

static void learners_are_not_among_the_voters(void **state)
{
    struct group_view view = view_of(4);

    (void)state;
    view.member[1].role = GROUP_LEARNER; /* M10 */
    assert_int_equal(view_voters(&view), 0xd);
}

static void members_are_found_by_id(void **state)
{
    struct group_view view = view_of(3);

    (void)state;
    assert_ptr_equal(view_find(&view, 20), &view.member[1]);
    assert_null(view_find(&view, 21));
    assert_int_equal(view_seat(&view, 30), 2);
    assert_int_equal(view_seat(&view, 1), GROUP_MEMBERS_MAX);
}

static void the_first_view_joins_everybody(void **state)
{
    struct group_view view = view_of(3);
    struct group_difference d;

    (void)state;
    view_difference(NULL, &view, &d);
    assert_int_equal(d.joined_count, 3);
    assert_int_equal(d.joined[2], 30);
    assert_int_equal(d.left_count, 0);
}

static void a_difference_names_who_joined_and_who_left(void **state)
{
    struct group_view before = view_of(3);
    struct group_view after = view_of(4);
    struct group_difference d;

    (void)state;
    after.member[0] = after.member[1];
    after.member[1] = after.member[2];
    after.member[2] = after.member[3];
    after.count = 3;
    view_difference(&before, &after, &d);
    assert_int_equal(d.joined_count, 1);
    assert_int_equal(d.joined[0], 40);
    assert_int_equal(d.left_count, 1);
    assert_int_equal(d.left[0], 10);
}

static void a_new_incarnation_left_and_joined(void **state)
{
    struct group_view before = view_of(3);
    struct group_view after = view_of(3);
    struct group_difference d;

    (void)state;
    after.member[1].incarnation = 555; /* G7: another life is another member */
    view_difference(&before, &after, &d);
    assert_int_equal(d.joined_count, 1);
    assert_int_equal(d.joined[0], 20);
    assert_int_equal(d.left_count, 1);
    assert_int_equal(d.left[0], 20);
}

static void count_give(void *user, void *at)
{
    int *given = user;

    *given += at != NULL;
    base_memory_libc()->give(NULL, at);
}

static void *count_take(void *user, size_t size)
{
    (void)user;
    return base_memory_libc()->take(NULL, size);
}

static void a_counted_view_lives_until_its_last_holder_lets_go(void **state)
{
    int given = 0;
    struct base_memory memory = {&given, count_take, count_give};
    struct group_view view = view_of(2);
    const struct group_view *held = view_new(&memory, &view);

    (void)state;
    assert_ptr_equal(group_view_hold(held), held);
    group_view_release(held);
    assert_int_equal(given, 0);
    assert_int_equal(held->member[1].id, 20);
    group_view_release(held);
    assert_int_equal(given, 1);
    group_view_release(NULL);
}

static void *no_take(void *user, size_t size)
{
    (void)user;
    (void)size;
    return NULL;
}

static void without_memory_there_is_no_view(void **state)
{
    struct base_memory memory = {NULL, no_take, count_give};
    struct group_view view = view_of(2);

    (void)state;
    assert_null(view_new(&memory, &view));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_of_one_to_fifteen_members_is_good),
        cmocka_unit_test(a_view_without_members_or_with_too_many_is_refused),
        cmocka_unit_test(ids_must_rise_and_lie_in_range),
        cmocka_unit_test(a_member_needs_an_incarnation_a_role_and_an_ended_address),
        cmocka_unit_test(a_view_of_learners_alone_is_refused),
        cmocka_unit_test(learners_are_not_among_the_voters),
        cmocka_unit_test(members_are_found_by_id),
        cmocka_unit_test(the_first_view_joins_everybody),
        cmocka_unit_test(a_difference_names_who_joined_and_who_left),
        cmocka_unit_test(a_new_incarnation_left_and_joined),
        cmocka_unit_test(a_counted_view_lives_until_its_last_holder_lets_go),
        cmocka_unit_test(without_memory_there_is_no_view),
    };

    return cmocka_run_group_tests_name("membership/view", tests, NULL, NULL);
}
