/* Large entries that arrive in parts (membership/part.h; T78). */
#include "membership/part.h"

#include "membership/entry.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static uint8_t raw[ENTRY_HEAD_SIZE + 1000];

static void make(void)
{
    struct entry entry = {.index = 1, .term = 1, .kind = ENTRY_DATA, .data = {raw, 1000}};

    entry_put_head(raw, &entry);
}

static int add(struct part *p, size_t offset, size_t size)
{
    return part_add(p, base_memory_libc(), offset, (struct base_bytes){raw + offset, size});
}

static void parts_in_order_make_the_whole(void **state)
{
    struct part p = {0};

    (void)state;
    make();
    for (size_t at = 0; at < sizeof raw; at += 131) {
        assert_int_equal(part_whole(&p).size, 0);
        assert_int_equal(add(&p, at, sizeof raw - at < 131 ? sizeof raw - at : 131), 0);
    }
    assert_int_equal(part_whole(&p).size, sizeof raw);
    assert_memory_equal(part_whole(&p).data, raw, sizeof raw);
    part_clear(&p, base_memory_libc());
    assert_int_equal(part_whole(&p).size, 0);
}

static void the_first_part_begins_anew(void **state)
{
    struct part p = {0};

    (void)state;
    make();
    assert_int_equal(add(&p, 0, 200), 0);
    assert_int_equal(add(&p, 200, 200), 0);
    assert_int_equal(add(&p, 0, 300), 0);
    assert_int_equal(add(&p, 300, sizeof raw - 300), 0);
    assert_memory_equal(part_whole(&p).data, raw, sizeof raw);
    part_clear(&p, base_memory_libc());
}

static void gaps_overlaps_and_excess_are_refused(void **state)
{
    struct part p = {0};

    (void)state;
    make();
    assert_int_equal(add(&p, 100, 10), BASE_E_PROTOCOL);
    assert_int_equal(add(&p, 0, 200), 0);
    assert_int_equal(add(&p, 201, 10), BASE_E_PROTOCOL);
    assert_int_equal(add(&p, 199, 10), BASE_E_PROTOCOL);
    assert_int_equal(add(&p, 200, 0), BASE_E_PROTOCOL);
    assert_int_equal(add(&p, 200, sizeof raw - 199), BASE_E_PROTOCOL);
    part_clear(&p, base_memory_libc());
}

static void what_begins_no_entry_is_refused(void **state)
{
    struct part p = {0};

    (void)state;
    make();
    assert_int_equal(add(&p, 0, ENTRY_HEAD_SIZE - 1), BASE_E_PROTOCOL);
    base_put32(raw, ENTRY_DATA_MAX + 1u);
    assert_int_equal(add(&p, 0, 100), BASE_E_PROTOCOL);
    part_clear(&p, base_memory_libc());
}

static void *no_take(void *user, size_t size)
{
    (void)user;
    (void)size;
    return NULL;
}

static void no_give(void *user, void *at)
{
    (void)user;
    assert_null(at);
}

static void without_memory_nothing_begins(void **state)
{
    struct base_memory none = {NULL, no_take, no_give};
    struct part p = {0};

    (void)state;
    make();
    assert_int_equal(part_add(&p, &none, 0, (struct base_bytes){raw, 100}), BASE_E_NOMEM);
    assert_int_equal(part_add(&p, &none, 100, (struct base_bytes){raw, 100}), BASE_E_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_in_order_make_the_whole),        cmocka_unit_test(the_first_part_begins_anew),
        cmocka_unit_test(gaps_overlaps_and_excess_are_refused), cmocka_unit_test(what_begins_no_entry_is_refused),
        cmocka_unit_test(without_memory_nothing_begins),
    };

    return cmocka_run_group_tests_name("membership/part", tests, NULL, NULL);
}
