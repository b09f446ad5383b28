/* Tests of rtcp/base/memory.h. The owner's functions are asked, and nothing else. */
#include "rtcp/base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

struct purse {
    size_t taken;
    size_t given;
    size_t last_size;
    int is_empty;
};

static void *purse_take(void *user, size_t size)
{
    struct purse *p = user;
    void *at;

    if (p->is_empty) {
        return NULL;
    }
    at = malloc(size);
    if (at != NULL) {
        memset(at, 0xee, size);
        p->taken++;
        p->last_size = size;
    }
    return at;
}

static void purse_give(void *user, void *at)
{
    struct purse *p = user;

    p->given++;
    free(at);
}

static void new_memory_is_zeroed_and_comes_from_the_owner(void **state)
{
    struct purse p = {0};
    const struct base_memory m = {&p, purse_take, purse_give};
    uint32_t *at;

    (void)state;
    at = base_memory_new(&m, 10, sizeof *at);
    assert_non_null(at);

    assert_int_equal(p.taken, 1);
    assert_int_equal(p.last_size, 40);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(at[i], 0);
    }
    base_memory_free(&m, at);
    assert_int_equal(p.given, 1);
}

static void a_product_that_overflows_is_not_asked_for(void **state)
{
    struct purse p = {0};
    const struct base_memory m = {&p, purse_take, purse_give};

    (void)state;
    assert_null(base_memory_new(&m, SIZE_MAX / 2, 3));
    assert_null(base_memory_new(&m, 3, SIZE_MAX / 2));
    assert_null(base_memory_new(&m, (size_t)1 << 33, (size_t)1 << 33));
    assert_int_equal(p.taken, 0);
}

static void an_empty_purse_is_null(void **state)
{
    struct purse p = {.is_empty = 1};
    const struct base_memory m = {&p, purse_take, purse_give};

    (void)state;
    assert_null(base_memory_new(&m, 1, 1));
}

static void the_libc_purse_takes_and_gives(void **state)
{
    const struct base_memory *m = base_memory_libc();
    char *at;

    (void)state;
    at = base_memory_new(m, 3, 5);
    assert_non_null(at);
    for (int i = 0; i < 15; i++) {
        assert_int_equal(at[i], 0);
    }
    base_memory_free(m, at);
    base_memory_free(m, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zeroed_and_comes_from_the_owner),
        cmocka_unit_test(a_product_that_overflows_is_not_asked_for),
        cmocka_unit_test(an_empty_purse_is_null),
        cmocka_unit_test(the_libc_purse_takes_and_gives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
