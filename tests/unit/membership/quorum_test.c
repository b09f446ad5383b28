/* Majorities, simple and joint, checked case by case and against counting by hand (membership/quorum.h; G4, G5, G23,
 * M10). */
#include "membership/quorum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SEATS 5
#define SETS  (1u << SEATS)

struct row {
    uint32_t voters;
    uint32_t next;
    uint32_t yes;
    bool is_won;
};

static void majorities_are_more_than_half(void **state)
{
    static const struct row rows[] = {
        {0x01, 0, 0x00, false},    {0x01, 0, 0x01, true},     {0x03, 0, 0x01, false},   {0x03, 0, 0x03, true},
        {0x07, 0, 0x01, false},    {0x07, 0, 0x05, true},     {0x0f, 0, 0x03, false},   {0x0f, 0, 0x07, true},
        {0x1f, 0, 0x03, false},    {0x1f, 0, 0x0b, true},     {0x07, 0, 0x18, false},   {0x00, 0, 0xff, false},
        {0x07, 0x07, 0x03, true},  {0x07, 0x38, 0x07, false}, {0x07, 0x38, 0x1b, true}, {0x07, 0x38, 0x38, false},
        {0x03, 0x06, 0x02, false}, {0x03, 0x06, 0x06, false}, {0x03, 0x06, 0x07, true}, {0x01, 0x03, 0x01, false},
        {0x03, 0x01, 0x01, false}, {0x03, 0x01, 0x03, true},  {0x07, 0x0f, 0x07, true}, {0x07, 0x1e, 0x0e, true},
        {0x07, 0x1e, 0x0c, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct quorum q = {rows[i].voters, rows[i].next};

        assert_int_equal(quorum_won(&q, rows[i].yes), rows[i].is_won);
    }
}

static uint32_t count_of(uint32_t set)
{
    uint32_t count = 0;

    for (uint32_t seat = 0; seat < SEATS; seat++) {
        count += (set >> seat) & 1;
    }
    return count;
}

static bool won_by_hand(uint32_t voters, uint32_t yes)
{
    return 2 * count_of(voters & yes) > count_of(voters);
}

static void every_joint_vote_of_five_seats_equals_counting_by_hand(void **state)
{
    (void)state;
    for (uint32_t voters = 1; voters < SETS; voters++) {
        for (uint32_t next = 0; next < SETS; next++) {
            struct quorum q = {voters, next};

            for (uint32_t yes = 0; yes < SETS; yes++) {
                bool is_won = won_by_hand(voters, yes) && (next == 0 || won_by_hand(next, yes));

                assert_int_equal(quorum_won(&q, yes), is_won);
            }
        }
    }
}

static void lost_means_that_nobody_left_could_turn_it(void **state)
{
    (void)state;
    for (uint32_t voters = 1; voters < SETS; voters++) {
        for (uint32_t next = 0; next < SETS; next += 3) {
            struct quorum q = {voters, next};

            for (uint32_t no = 0; no < SETS; no++) {
                bool can_win = false;

                for (uint32_t yes = 0; yes < SETS; yes++) {
                    can_win = can_win || ((yes & no) == 0 && quorum_won(&q, yes));
                }
                assert_int_equal(quorum_lost(&q, no), !can_win);
            }
        }
    }
}

static void two_majorities_always_share_a_voter(void **state)
{
    (void)state;
    for (uint32_t voters = 1; voters < SETS; voters++) {
        struct quorum q = {voters, 0};

        for (uint32_t a = 0; a < SETS; a++) {
            for (uint32_t b = 0; b < SETS; b++) {
                assert_true(!quorum_won(&q, a) || !quorum_won(&q, b) || (a & b & voters) != 0);
            }
        }
    }
}

/* The greatest value v such that those who reached it are a majority. */
static uint64_t value_by_hand(const struct quorum *q, const uint64_t *value)
{
    uint64_t best = 0;

    for (uint64_t v = 1; v <= 3; v++) {
        uint32_t reached = 0;

        for (uint32_t seat = 0; seat < SEATS; seat++) {
            reached |= value[seat] >= v ? 1u << seat : 0;
        }
        best = quorum_won(q, reached) ? v : best;
    }
    return best;
}

static void every_value_of_five_seats_equals_searching_by_hand(void **state)
{
    (void)state;
    for (uint32_t voters = 0; voters < SETS; voters++) {
        for (uint32_t next = 0; next < SETS; next += 5) {
            struct quorum q = {voters, next};

            for (uint32_t code = 0; code < 1024; code++) {
                uint64_t value[QUORUM_SEATS_MAX] = {0};

                for (uint32_t seat = 0; seat < SEATS; seat++) {
                    value[seat] = (code >> (2 * seat)) & 3;
                }
                assert_int_equal(quorum_value(&q, value), value_by_hand(&q, value));
            }
        }
    }
}

static void a_learner_moves_nothing(void **state)
{
    struct quorum q = {0x07, 0};
    uint64_t value[QUORUM_SEATS_MAX] = {5, 2, 1, 100, 100};

    (void)state;
    assert_int_equal(quorum_value(&q, value), 2); /* M10 */
    assert_false(quorum_won(&q, 0x19));
}

static void thirty_seats_of_two_full_views_fit(void **state)
{
    struct quorum q = {0x00007fff, 0x3fff8000};
    uint64_t value[QUORUM_SEATS_MAX];

    (void)state;
    for (uint32_t seat = 0; seat < QUORUM_SEATS_MAX; seat++) {
        value[seat] = seat + 1;
    }
    assert_int_equal(quorum_value(&q, value), 8);
    assert_true(quorum_won(&q, 0x00ff00ff | 0x3fff8000));
    assert_false(quorum_won(&q, 0x00007fff));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(majorities_are_more_than_half),
        cmocka_unit_test(every_joint_vote_of_five_seats_equals_counting_by_hand),
        cmocka_unit_test(lost_means_that_nobody_left_could_turn_it),
        cmocka_unit_test(two_majorities_always_share_a_voter),
        cmocka_unit_test(every_value_of_five_seats_equals_searching_by_hand),
        cmocka_unit_test(a_learner_moves_nothing),
        cmocka_unit_test(thirty_seats_of_two_full_views_fit),
    };

    return cmocka_run_group_tests_name("membership/quorum", tests, NULL, NULL);
}
