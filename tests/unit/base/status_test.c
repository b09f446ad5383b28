/* Tests of rtcp/base/status.h. Every code has a name and a sentence that tells the caller what to do. */
#include "rtcp/base/status.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

static const int all[] = {
#define ROW(name, number, text) BASE_E_##name,
    BASE_STATUS(ROW)
#undef ROW
};

#define COUNT (sizeof all / sizeof all[0])

static void every_code_is_negative_and_there_once(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT; i++) {
        assert_true(all[i] < 0);
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(all[i], all[k]);
        }
    }
}

/* Programs compare these numbers across versions: they are part of the interface. */
static void numbers_do_not_move(void **state)
{
    (void)state;

    assert_int_equal(BASE_OK, 0);
    assert_int_equal(BASE_E_AGAIN, -1);
    assert_int_equal(BASE_E_CLOSED, -5);
    assert_int_equal(BASE_E_PEER_GONE, -7);
    assert_int_equal(BASE_E_NOLEADER, -13);
    assert_int_equal(BASE_E_UNSUPPORTED, -20);
}

static void every_code_has_a_name_and_a_sentence_of_its_own(void **state)
{
    (void)state;

    for (size_t i = 0; i < COUNT; i++) {
        assert_true(strlen(base_status_text(all[i])) > 20);
        assert_string_not_equal(base_status_name(all[i]), "?");
        for (size_t k = 0; k < i; k++) {
            assert_string_not_equal(base_status_text(all[i]), base_status_text(all[k]));
            assert_string_not_equal(base_status_name(all[i]), base_status_name(all[k]));
        }
    }
}

static void success_and_counts_are_ok(void **state)
{
    (void)state;

    assert_string_equal(base_status_name(0), "OK");
    assert_string_equal(base_status_name(17), "OK");
    assert_string_equal(base_status_text(0), "done");
}

static void a_number_from_another_version_still_has_a_text(void **state)
{
    (void)state;

    assert_string_equal(base_status_name(-999), "?");
    assert_non_null(strstr(base_status_text(-999), "unknown"));
    assert_non_null(strstr(base_status_text(INT32_MIN), "unknown"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_is_negative_and_there_once),           cmocka_unit_test(numbers_do_not_move),
        cmocka_unit_test(every_code_has_a_name_and_a_sentence_of_its_own), cmocka_unit_test(success_and_counts_are_ok),
        cmocka_unit_test(a_number_from_another_version_still_has_a_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
