/* Tests of replication/transfer.c: a state goes through a writer and a reader unchanged, and within its limit. */
#include "replication/transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static void what_was_written_is_read(void **state)
{
    struct replica_writer w;
    struct replica_reader r;
    char text[8] = "";

    (void)state;
    replica_writer_init(&w, base_memory_libc(), (size_t)1 << 20);
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(replica_writer_add(&w, "abcdefg", 8), 0);
    }
    replica_reader_init(&r, replica_writer_bytes(&w));

    assert_int_equal(replica_reader_left(&r), 40000);
    for (size_t i = 0; i < 5000; i++) {
        assert_int_equal(replica_reader_take(&r, text, 8), 0);
        assert_string_equal(text, "abcdefg");
    }
    assert_int_equal(replica_reader_left(&r), 0);
    replica_writer_deinit(&w);
}

static void a_state_above_its_limit_is_refused_and_stays_as_it_was(void **state)
{
    struct replica_writer w;

    (void)state;
    replica_writer_init(&w, base_memory_libc(), 10);

    assert_int_equal(replica_writer_add(&w, "1234567", 7), 0);
    assert_int_equal(replica_writer_add(&w, "8901", 4), BASE_E_RANGE);
    assert_int_equal(replica_writer_bytes(&w).size, 7);
    assert_int_equal(replica_writer_add(&w, "890", 3), 0);
    assert_memory_equal(replica_writer_bytes(&w).data, "1234567890", 10);
    replica_writer_deinit(&w);
}

static void a_cut_state_is_noticed_and_nothing_is_taken(void **state)
{
    struct replica_reader r;
    uint8_t out[4] = {9, 9, 9, 9};

    (void)state;
    replica_reader_init(&r, (struct base_bytes){(const uint8_t *)"abc", 3});

    assert_int_equal(replica_reader_take(&r, out, 4), BASE_E_RANGE);
    assert_int_equal(out[0], 9);
    assert_int_equal(replica_reader_left(&r), 3);
    assert_int_equal(replica_reader_take(&r, out, 3), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_state_above_its_limit_is_refused_and_stays_as_it_was),
        cmocka_unit_test(a_cut_state_is_noticed_and_nothing_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
