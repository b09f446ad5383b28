/* Tests of rtcp/base/table.h. The model is an array that is searched from end to end; the operations come from a seed.
 */
#include "rtcp/base/rng.h"
#include "rtcp/base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MODEL_MAX 300

struct model {
    size_t count;
    uint64_t key[MODEL_MAX];
    void *value[MODEL_MAX];
};

static size_t model_find(const struct model *m, uint64_t key)
{
    size_t i = 0;

    while (i < m->count && m->key[i] != key) {
        i++;
    }
    return i;
}

static int model_put(struct model *m, uint64_t key, void *value, size_t limit)
{
    if (model_find(m, key) < m->count) {
        return BASE_E_EXISTS;
    }
    if (m->count == limit) {
        return BASE_E_RANGE;
    }
    m->key[m->count] = key;
    m->value[m->count++] = value;
    return 0;
}

static void *model_take(struct model *m, uint64_t key)
{
    size_t i = model_find(m, key);
    void *value;

    if (i == m->count) {
        return NULL;
    }
    value = m->value[i];
    m->count--;
    m->key[i] = m->key[m->count];
    m->value[i] = m->value[m->count];
    return value;
}

static void assert_same(const struct base_table *t, const struct model *m)
{
    size_t cursor = 0;
    size_t seen = 0;

    assert_int_equal(t->count, m->count);
    for (size_t i = 0; i < m->count; i++) {
        assert_ptr_equal(base_table_get(t, m->key[i]), m->value[i]);
    }
    while (base_table_next(t, &cursor) != NULL) {
        seen++;
    }
    assert_int_equal(seen, m->count);
}

/* Few distinct keys, so that puts repeat, takes hit, and chains of neighbours form and break. */
static void run_against_model(uint64_t seed, size_t limit, uint64_t keys)
{
    static char place[MODEL_MAX];
    struct base_table t;
    struct base_rng rng;
    struct model m = {0};

    base_rng_init(&rng, seed);
    assert_int_equal(base_table_init(&t, base_memory_libc(), limit), 0);
    for (int step = 0; step < 4000; step++) {
        uint64_t key = base_rng_below(&rng, keys) * 0x100000001u; /* both halves count */
        void *value = &place[base_rng_below(&rng, MODEL_MAX)];

        if (base_rng_below(&rng, 3) > 0) {
            assert_int_equal(base_table_put(&t, key, value), model_put(&m, key, value, limit));
        } else {
            assert_ptr_equal(base_table_take(&t, key), model_take(&m, key));
        }
        if (step % 16 == 0) {
            assert_same(&t, &m);
        }
    }
    assert_same(&t, &m);
    base_table_deinit(&t);
}

static void it_behaves_as_a_searched_array(void **state)
{
    (void)state;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        run_against_model(seed, 1 + (size_t)seed * 13, seed % 2 == 0 ? 40 : 1000);
    }
}

/* P41: keys that a stranger chose for a long run of slots under one secret are ordinary under another. The run is seen
 * by its cost: how far a key stands from its place, which base_table_next shows as order. */
static void keys_chosen_for_one_place_are_spread_by_a_secret(void **state)
{
    static char place[64];
    size_t same = 0;
    char *first[2][64];

    (void)state;
    for (int round = 0; round < 2; round++) {
        struct base_table t;
        size_t cursor = 0;
        char *at;

        assert_int_equal(base_table_init(&t, base_memory_libc(), 64), 0);
        base_table_salt(&t, round == 0 ? 0x1234567890abcdefu : 0xfedcba0987654321u);
        for (uint64_t i = 0; i < 64; i++) {
            assert_int_equal(base_table_put(&t, i << 58, &place[i]), 0); /* differ in the highest bits only */
        }
        for (size_t i = 0; (at = base_table_next(&t, &cursor)) != NULL; i++) {
            first[round][i] = at;
        }
        for (uint64_t i = 0; i < 64; i++) {
            assert_ptr_equal(base_table_take(&t, i << 58), &place[i]);
        }
        base_table_deinit(&t);
    }
    for (size_t i = 0; i < 64; i++) {
        same += first[0][i] == first[1][i] ? 1 : 0;
    }
    assert_true(same < 16);
}

static void a_full_table_refuses_and_keeps_what_it_has(void **state)
{
    struct base_table t;
    int value[9];

    (void)state;
    assert_int_equal(base_table_init(&t, base_memory_libc(), 8), 0);
    for (uint64_t key = 0; key < 8; key++) {
        assert_int_equal(base_table_put(&t, key, &value[key]), 0);
    }

    assert_int_equal(base_table_put(&t, 100, &value[8]), BASE_E_RANGE);
    assert_int_equal(base_table_put(&t, 3, &value[8]), BASE_E_EXISTS);

    assert_null(base_table_get(&t, 100));
    assert_ptr_equal(base_table_get(&t, 3), &value[3]);
    assert_ptr_equal(base_table_take(&t, 3), &value[3]);
    assert_int_equal(base_table_put(&t, 100, &value[8]), 0);
    base_table_deinit(&t);
}

static void the_extreme_keys_are_ordinary(void **state)
{
    struct base_table t;
    int a;
    int b;

    (void)state;
    assert_int_equal(base_table_init(&t, base_memory_libc(), 2), 0);
    assert_int_equal(base_table_put(&t, 0, &a), 0);
    assert_int_equal(base_table_put(&t, UINT64_MAX, &b), 0);

    assert_ptr_equal(base_table_take(&t, 0), &a);
    assert_null(base_table_take(&t, 0));
    assert_ptr_equal(base_table_get(&t, UINT64_MAX), &b);
    base_table_deinit(&t);
}

/* Keys with equal homes in a table of eight slots: found by asking the table itself where it put them. */
static void taking_from_the_middle_of_a_chain_loses_no_neighbour(void **state)
{
    struct base_table t;
    uint64_t chain[4];
    size_t count = 0;
    int value[4];

    (void)state;
    assert_int_equal(base_table_init(&t, base_memory_libc(), 4), 0);
    for (uint64_t key = 1; count < 4; key++) {
        assert_int_equal(base_table_put(&t, key, &value[0]), 0);
        if (t.slot[t.mask].value != NULL) { /* home is the last slot: the chain wraps round */
            chain[count++] = key;
        }
        assert_ptr_equal(base_table_take(&t, key), &value[0]);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(base_table_put(&t, chain[i], &value[i]), 0);
    }

    assert_ptr_equal(base_table_take(&t, chain[1]), &value[1]);

    assert_ptr_equal(base_table_get(&t, chain[0]), &value[0]);
    assert_ptr_equal(base_table_get(&t, chain[2]), &value[2]);
    assert_ptr_equal(base_table_get(&t, chain[3]), &value[3]);
    assert_null(base_table_get(&t, chain[1]));
    base_table_deinit(&t);
}

static void sizes_out_of_range_are_refused(void **state)
{
    struct base_table t;

    (void)state;
    assert_int_equal(base_table_init(&t, base_memory_libc(), 0), BASE_E_RANGE);
    assert_int_equal(base_table_init(&t, base_memory_libc(), ((size_t)1 << 24) + 1), BASE_E_RANGE);
}

static void *take_nothing(void *user, size_t size)
{
    (void)user;
    (void)size;
    return NULL;
}

static void no_memory_at_birth_is_a_status(void **state)
{
    const struct base_memory none = {NULL, take_nothing, NULL};
    struct base_table t;

    (void)state;
    assert_int_equal(base_table_init(&t, &none, 10), BASE_E_NOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_behaves_as_a_searched_array),
        cmocka_unit_test(keys_chosen_for_one_place_are_spread_by_a_secret),
        cmocka_unit_test(a_full_table_refuses_and_keeps_what_it_has),
        cmocka_unit_test(the_extreme_keys_are_ordinary),
        cmocka_unit_test(taking_from_the_middle_of_a_chain_loses_no_neighbour),
        cmocka_unit_test(sizes_out_of_range_are_refused),
        cmocka_unit_test(no_memory_at_birth_is_a_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
