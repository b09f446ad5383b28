/* Tests of examples/kv/digest.c: one digest for one set of records, whatever way led to it. */
#include "examples/kv/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sodium.h>
#include <string.h>

static struct base_bytes text(const char *s)
{
    return (struct base_bytes){(const uint8_t *)s, strlen(s)};
}

static bool is_equal(const struct kv_digest *a, const struct kv_digest *b)
{
    uint8_t x[KV_DIGEST_SIZE];
    uint8_t y[KV_DIGEST_SIZE];

    kv_digest_final(a, x);
    kv_digest_final(b, y);
    return memcmp(x, y, sizeof x) == 0;
}

static void the_order_of_records_does_not_matter(void **state)
{
    struct kv_digest a;
    struct kv_digest b;

    (void)state;
    kv_digest_init(&a);
    kv_digest_init(&b);
    kv_digest_add(&a, text("k1"), text("v1"));
    kv_digest_add(&a, text("k2"), text("v2"));
    kv_digest_add(&b, text("k2"), text("v2"));
    assert_false(is_equal(&a, &b));
    kv_digest_add(&b, text("k1"), text("v1"));
    assert_true(is_equal(&a, &b));
}

static void a_record_that_was_taken_out_leaves_no_trace(void **state)
{
    struct kv_digest empty;
    struct kv_digest d;

    (void)state;
    kv_digest_init(&empty);
    kv_digest_init(&d);
    kv_digest_add(&d, text("k"), text("v"));
    kv_digest_remove(&d, text("k"), text("v"));
    assert_true(is_equal(&d, &empty));
}

static void the_border_between_key_and_value_counts(void **state)
{
    struct kv_digest a;
    struct kv_digest b;

    (void)state;
    kv_digest_init(&a);
    kv_digest_init(&b);
    kv_digest_add(&a, text("ab"), text("c"));
    kv_digest_add(&b, text("a"), text("bc"));
    assert_false(is_equal(&a, &b));
}

static void two_records_do_not_cancel_each_other(void **state)
{
    struct kv_digest d;
    struct kv_digest empty;

    (void)state;
    kv_digest_init(&d);
    kv_digest_init(&empty);
    kv_digest_add(&d, text("k"), text("v"));
    kv_digest_add(&d, text("k"), text("v"));
    assert_false(is_equal(&d, &empty));
}

/* Written out by hand from the description in the header, so that another program can check a digest. */
static void the_digest_is_what_the_header_says(void **state)
{
    static const uint8_t record[] = {0, 0, 0, 1, 'k', 'v'};
    uint8_t whole[8 + 32] = {0, 0, 0, 0, 0, 0, 0, 1};
    uint8_t expected[32];
    uint8_t found[32];
    struct kv_digest d;

    (void)state;
    crypto_hash_sha256(whole + 8, record, sizeof record);
    crypto_hash_sha256(expected, whole, sizeof whole);
    kv_digest_init(&d);
    kv_digest_add(&d, text("k"), text("v"));
    kv_digest_final(&d, found);
    assert_memory_equal(found, expected, 32);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_records_does_not_matter),
        cmocka_unit_test(a_record_that_was_taken_out_leaves_no_trace),
        cmocka_unit_test(the_border_between_key_and_value_counts),
        cmocka_unit_test(two_records_do_not_cancel_each_other),
        cmocka_unit_test(the_digest_is_what_the_header_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
