/* Tests of replication/answer.c: what apply writes is what the waiter gets. */
#include "replication/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

static void pieces_of_an_answer_come_out_as_one(void **state)
{
    struct replica_answer a;
    struct base_bytes bytes;

    (void)state;
    replica_answer_init(&a, base_memory_libc());
    replica_answer_begin(&a, true);
    for (size_t i = 0; i < 1000; i++) {
        replica_answer_add(&a, "0123456789", 10);
    }
    bytes = replica_answer_bytes(&a);

    assert_int_equal(bytes.size, 10000);
    for (size_t i = 0; i < 1000; i++) {
        assert_memory_equal(bytes.data + i * 10, "0123456789", 10);
    }
    replica_answer_deinit(&a);
}

static void the_next_answer_begins_empty(void **state)
{
    struct replica_answer a;

    (void)state;
    replica_answer_init(&a, base_memory_libc());
    replica_answer_begin(&a, true);
    replica_answer_add(&a, "first", 5);
    replica_answer_begin(&a, true);
    replica_answer_add(&a, "2", 1);

    assert_int_equal(replica_answer_bytes(&a).size, 1);
    assert_memory_equal(replica_answer_bytes(&a).data, "2", 1);
    replica_answer_deinit(&a);
}

static void an_answer_nobody_waits_for_takes_no_memory(void **state)
{
    struct replica_answer a;

    (void)state;
    replica_answer_init(&a, base_memory_libc());
    replica_answer_begin(&a, false);
    replica_answer_add(&a, "dropped", 7);

    assert_int_equal(replica_answer_bytes(&a).size, 0);
    assert_int_equal(a.room, 0);
    replica_answer_deinit(&a);
}

static void a_large_answer_gives_its_memory_back_with_the_next(void **state)
{
    struct replica_answer a;
    static const uint8_t large[REPLICA_ANSWER_KEEP_MAX + 1];

    (void)state;
    replica_answer_init(&a, base_memory_libc());
    replica_answer_begin(&a, true);
    replica_answer_add(&a, large, sizeof large);
    assert_int_equal(replica_answer_bytes(&a).size, sizeof large);

    replica_answer_begin(&a, true);

    assert_int_equal(a.room, 0);
    replica_answer_deinit(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_an_answer_come_out_as_one),
        cmocka_unit_test(the_next_answer_begins_empty),
        cmocka_unit_test(an_answer_nobody_waits_for_takes_no_memory),
        cmocka_unit_test(a_large_answer_gives_its_memory_back_with_the_next),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
