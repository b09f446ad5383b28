/* The parts of the tools that compute: statistics of rtcp-perf, and the lines that rtcp-ss reads, which another process
 * wrote and which may be anything.
 */
#include "rtcp/base/rng.h"
#include "rtcp/tools/perf.h"
#include "rtcp/tools/ss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ------------------------------------------------------------------------------------------------ statistics */

static void percentiles_are_values_that_were_measured(void **state)
{
    uint64_t values[1000];

    (void)state;
    for (uint64_t i = 0; i < 1000; i++) {
        values[i] = 1000 - i;
    }
    perf_stats_sort(values, 1000);

    assert_int_equal(perf_stats_percentile(values, 1000, 0.), 1);
    assert_int_equal(perf_stats_percentile(values, 1000, 0.5), 501);
    assert_int_equal(perf_stats_percentile(values, 1000, 0.999), 1000);
    assert_int_equal(perf_stats_percentile(values, 1000, 1.), 1000);
    assert_int_equal(perf_stats_percentile(values, 1, 0.99), 1);
    assert_int_equal(perf_stats_percentile(values, 0, 0.5), 0);
}

static void the_interval_holds_the_median_and_shrinks_with_more_values(void **state)
{
    struct perf_interval few, many;
    double values[1024];
    struct base_rng rng;

    (void)state;
    base_rng_init(&rng, 7);
    for (size_t i = 0; i < 1024; i++) {
        values[i] = 1. + (double)base_rng_below(&rng, 1000) / 1000.;
    }
    few = perf_stats_interval(values, 15);
    many = perf_stats_interval(values, 1024);

    assert_true(few.low <= few.median && few.median <= few.high);
    assert_true(many.low <= many.median && many.median <= many.high);
    assert_true(many.low < 1.5 && many.high > 1.5);
    assert_true(many.high - many.low < few.high - few.low);
}

static void one_value_is_its_own_interval(void **state)
{
    const double value = 0.97;
    struct perf_interval i = perf_stats_interval(&value, 1);

    (void)state;
    assert_true(i.median == value && i.low == value && i.high == value);
    assert_true(perf_stats_interval(&value, 0).median == 0.);
}

static void kept_times_are_all_there(void **state)
{
    struct perf_run run = {0};

    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        perf_run_keep(&run, i);
    }

    assert_int_equal(run.latency_count, 100000);
    assert_int_equal(run.latency[99999], 99999);
    free(run.latency);
}

/* ------------------------------------------------------------------------------------------------ lines */

static void fields_are_found_by_their_whole_name(void **state)
{
    static const char line[] =
        "{\"id\":7,\"peer\":\"[::1]:7000\",\"state\":\"a,b}\",\"oldest\":1.5,\"x\":\"\\u0022\"}\n"
        "{\"next\":1}\n";
    char text[32];

    (void)state;
    assert_true(ss_table_field(line, "id", text, sizeof text));
    assert_string_equal(text, "7");
    assert_true(ss_table_field(line, "peer", text, sizeof text));
    assert_string_equal(text, "[::1]:7000");
    assert_true(ss_table_field(line, "state", text, sizeof text));
    assert_string_equal(text, "a,b}");
    assert_true(ss_table_field(line, "x", text, sizeof text));
    assert_string_equal(text, "\\u0022");
    assert_false(ss_table_field(line, "stat", text, sizeof text));
    assert_false(ss_table_field(line, "next", text, sizeof text)); /* of another line */
    assert_true(ss_table_field(line, "peer", text, 4));
    assert_string_equal(text, "[::");
}

static void lines_that_are_no_flat_object_have_no_fields(void **state)
{
    static const char *const lines[] = {
        "",
        "{",
        "{}",
        "{\"",
        "{\"a",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":\"",
        "{\"a\":\"\\",
        "{\"a\":\"x\"",
        "{\"a\":1",
        "[\"a\":1]",
        ",\"a\":1}",
        "{a:1}",
        "\"a\":1}",
        "{\"b\":\"x\" \"a\":1}",
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char *copy = strdup(lines[i]); /* so that the sanitizer sees one byte too many */

        assert_non_null(copy);
        assert_false(ss_table_field(copy, "a", text, sizeof text));
        free(copy);
    }
}

/* Every beginning of a line, and every line with one byte changed, is read without a step outside. */
static void broken_lines_are_harmless(void **state)
{
    static const char line[] = "{\"id\":7,\"peer\":\"a\\u0022b\",\"last\":true}\n";
    char text[8];

    (void)state;
    for (size_t i = 0; i + 1 < sizeof line; i++) {
        for (int byte = 0; byte < 256; byte++) {
            char *copy = strdup(line);

            assert_non_null(copy);
            copy[i] = (char)byte;
            (void)ss_table_field(copy, "last", text, sizeof text);
            free(copy);
        }
    }
    assert_true(ss_table_field(line, "last", text, sizeof text));
    assert_string_equal(text, "true");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(percentiles_are_values_that_were_measured),
        cmocka_unit_test(the_interval_holds_the_median_and_shrinks_with_more_values),
        cmocka_unit_test(one_value_is_its_own_interval),
        cmocka_unit_test(kept_times_are_all_there),
        cmocka_unit_test(fields_are_found_by_their_whole_name),
        cmocka_unit_test(lines_that_are_no_flat_object_have_no_fields),
        cmocka_unit_test(broken_lines_are_harmless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
