/* Tests of examples/kv/store.c against a simple model, with its digest and its cursor. */
#include "examples/kv/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS      300
#define VALUE_MAX 64

static const uint8_t seed[KV_STORE_SEED_SIZE] = {1, 2, 3};

static struct base_bytes text(const char *s)
{
    return (struct base_bytes){(const uint8_t *)s, strlen(s)};
}

static void assert_value(const struct kv_store *s, const char *key, const char *value)
{
    struct base_bytes found;

    assert_int_equal(kv_store_get(s, text(key), &found), value != NULL);
    if (value != NULL) {
        assert_true(base_equal(found, text(value)));
    }
}

/* The model: value[i] is that of key i; empty: none. */
struct model {
    char value[KEYS][VALUE_MAX];
    size_t count;
};

static void check_model(const struct kv_store *s, const struct model *m)
{
    struct kv_digest digest;
    uint8_t expected[KV_DIGEST_SIZE];
    uint8_t found[KV_DIGEST_SIZE];
    char key[16];

    kv_digest_init(&digest);
    for (int i = 0; i < KEYS; i++) {
        (void)snprintf(key, sizeof key, "key%d", i);
        assert_value(s, key, m->value[i][0] == '\0' ? NULL : m->value[i]);
        if (m->value[i][0] != '\0') {
            kv_digest_add(&digest, text(key), text(m->value[i]));
        }
    }
    assert_int_equal(s->count, m->count);
    kv_digest_final(&digest, expected);
    kv_digest_final(&s->digest, found);
    assert_memory_equal(found, expected, sizeof found);
}

static uint64_t next_random(uint64_t *r)
{
    *r = *r * 6364136223846793005u + 1442695040888963407u;
    return *r >> 33;
}

static void step(struct kv_store *s, struct model *m, uint64_t *r)
{
    size_t i = next_random(r) % KEYS;
    uint64_t what = next_random(r) % 10;
    char key[16];
    char value[32];

    (void)snprintf(key, sizeof key, "key%zu", i);
    (void)snprintf(value, sizeof value, "%llu", (unsigned long long)next_random(r) % 100000);
    if (what < 5) {
        m->count += m->value[i][0] == '\0' ? 1 : 0;
        kv_store_set(s, text(key), text(value));
        (void)snprintf(m->value[i], VALUE_MAX, "%s", value);
    } else if (what < 7 && strlen(m->value[i]) + strlen(value) < VALUE_MAX) {
        m->count += m->value[i][0] == '\0' ? 1 : 0;
        assert_int_equal(kv_store_append(s, text(key), text(value)), strlen(m->value[i]) + strlen(value));
        (void)snprintf(m->value[i] + strlen(m->value[i]), VALUE_MAX - strlen(m->value[i]), "%s", value);
    } else {
        assert_int_equal(kv_store_delete(s, text(key)), m->value[i][0] != '\0');
        m->count -= m->value[i][0] != '\0' ? 1 : 0;
        m->value[i][0] = '\0';
    }
}

static void any_changes_leave_what_the_model_says(void **state)
{
    struct model *m = calloc(1, sizeof *m);
    struct kv_store s;
    uint64_t r = 20;

    (void)state;
    assert_non_null(m);
    kv_store_init(&s, seed);
    for (size_t i = 0; i < 20000; i++) {
        step(&s, m, &r);
        if (i % 1000 == 0) {
            check_model(&s, m);
        }
    }
    check_model(&s, m);
    kv_store_clear(&s);
    memset(m, 0, sizeof *m);
    check_model(&s, m);
    kv_store_deinit(&s);
    free(m);
}

static void keys_and_values_may_hold_any_bytes_and_be_empty(void **state)
{
    const struct base_bytes zero = {(const uint8_t *)"\0", 1};
    const struct base_bytes empty = {NULL, 0};
    struct base_bytes found;
    struct kv_store s;

    (void)state;
    kv_store_init(&s, seed);
    kv_store_set(&s, zero, empty);
    kv_store_set(&s, empty, zero);

    assert_true(kv_store_get(&s, zero, &found));
    assert_int_equal(found.size, 0);
    assert_true(kv_store_get(&s, empty, &found));
    assert_int_equal(found.size, 1);
    assert_int_equal(s.count, 2);
    kv_store_deinit(&s);
}

static void the_seed_changes_no_digest(void **state)
{
    static const uint8_t other[KV_STORE_SEED_SIZE] = {9};
    uint8_t x[KV_DIGEST_SIZE];
    uint8_t y[KV_DIGEST_SIZE];
    struct kv_store a;
    struct kv_store b;
    char key[16];

    (void)state;
    kv_store_init(&a, seed);
    kv_store_init(&b, other);
    for (int i = 0; i < 100; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        kv_store_set(&a, text(key), text("v"));
        (void)snprintf(key, sizeof key, "%d", 99 - i);
        kv_store_set(&b, text(key), text("v"));
    }
    kv_digest_final(&a.digest, x);
    kv_digest_final(&b.digest, y);
    assert_memory_equal(x, y, sizeof x);
    kv_store_deinit(&a);
    kv_store_deinit(&b);
}

struct seen {
    unsigned times[2000];
};

static void see(void *user, struct base_bytes key, struct base_bytes value)
{
    struct seen *seen = user;
    char text_of_key[16] = "";

    (void)value;
    memcpy(text_of_key, key.data, key.size);
    seen->times[strtoul(text_of_key, NULL, 10)]++;
}

/* Redis's promise for SCAN: what was there from the beginning to the end is seen, also when the table grows. */
static void a_scan_sees_all_that_stays_while_the_table_grows(void **state)
{
    struct seen *seen = calloc(1, sizeof *seen);
    struct kv_store s;
    uint64_t cursor = 0;
    int added = 200;
    char key[16];

    (void)state;
    assert_non_null(seen);
    kv_store_init(&s, seed);
    for (int i = 0; i < 200; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        kv_store_set(&s, text(key), text("v"));
    }
    do {
        cursor = kv_store_scan(&s, cursor, see, seen);
        for (int i = 0; i < 20 && added < 2000; i++) {
            (void)snprintf(key, sizeof key, "%d", added++);
            kv_store_set(&s, text(key), text("v"));
        }
    } while (cursor != 0);
    assert_int_equal(added, 2000);
    for (int i = 0; i < 200; i++) {
        assert_true(seen->times[i] >= 1);
    }
    kv_store_deinit(&s);
    free(seen);
}

static void a_scan_of_a_still_table_sees_each_record_once(void **state)
{
    struct seen *seen = calloc(1, sizeof *seen);
    struct kv_store s;
    uint64_t cursor = 0;
    char key[16];

    (void)state;
    assert_non_null(seen);
    kv_store_init(&s, seed);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(key, sizeof key, "%d", i);
        kv_store_set(&s, text(key), text("v"));
    }
    do {
        cursor = kv_store_scan(&s, cursor, see, seen);
    } while (cursor != 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(seen->times[i], 1);
    }
    kv_store_deinit(&s);
    free(seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_changes_leave_what_the_model_says),
        cmocka_unit_test(keys_and_values_may_hold_any_bytes_and_be_empty),
        cmocka_unit_test(the_seed_changes_no_digest),
        cmocka_unit_test(a_scan_sees_all_that_stays_while_the_table_grows),
        cmocka_unit_test(a_scan_of_a_still_table_sees_each_record_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
