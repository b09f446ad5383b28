/* The raw format of an entry and its hash (membership/entry.h, PROTOCOL.md "Entries"; T78). */
#include "membership/entry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct base_bytes make(uint8_t *at, const char *text)
{
    struct entry entry = {.index = 0x0102030405060708u,
                          .term = 9,
                          .kind = ENTRY_DATA,
                          .group = 7,
                          .origin = 3,
                          .incarnation = 0xa1a2a3a4a5a6a7a8u,
                          .number = 11,
                          .data = {(const uint8_t *)text, strlen(text)}};

    entry_put_head(at, &entry);
    memcpy(at + ENTRY_HEAD_SIZE, text, strlen(text));
    return (struct base_bytes){at, ENTRY_HEAD_SIZE + strlen(text)};
}

static void the_layout_is_that_of_the_protocol(void **state)
{
    static const uint8_t expected[ENTRY_HEAD_SIZE] = {
        0, 0, 0, 2, 2, 0, 0, 0, 1,    2,    3,    4,    5,    6,    7,    8,    0, 0, 0, 0, 0, 0, 0, 9,
        0, 0, 0, 7, 0, 0, 0, 3, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0, 0, 0, 0, 0, 0, 0, 11};
    uint8_t raw[64];

    (void)state;
    (void)make(raw, "hi");
    assert_memory_equal(raw, expected, ENTRY_HEAD_SIZE);
}

static void what_was_put_is_parsed(void **state)
{
    uint8_t raw[64];
    struct base_bytes bytes = make(raw, "hello");
    struct entry entry;
    size_t size;

    (void)state;
    assert_int_equal(entry_parse(bytes, &entry, &size), 0);
    assert_int_equal(size, ENTRY_HEAD_SIZE + 5);
    assert_int_equal(entry.index, 0x0102030405060708u);
    assert_int_equal(entry.term, 9);
    assert_int_equal(entry.kind, ENTRY_DATA);
    assert_int_equal(entry.group, 7);
    assert_int_equal(entry.origin, 3);
    assert_int_equal(entry.incarnation, 0xa1a2a3a4a5a6a7a8u);
    assert_int_equal(entry.number, 11);
    assert_memory_equal(entry.data.data, "hello", 5);
}

static void every_missing_byte_is_noticed(void **state)
{
    uint8_t raw[64];
    struct base_bytes bytes = make(raw, "hello");
    struct entry entry;
    size_t size;

    (void)state;
    for (size_t have = 0; have < bytes.size; have++) {
        assert_int_equal(entry_parse((struct base_bytes){raw, have}, &entry, &size), BASE_E_AGAIN);
    }
}

static void what_is_no_entry_is_refused(void **state)
{
    uint8_t raw[64];
    struct base_bytes bytes = make(raw, "x");
    struct entry entry;
    size_t size;

    (void)state;
    raw[4] = 0;
    assert_int_equal(entry_parse(bytes, &entry, &size), BASE_E_PROTOCOL);
    raw[4] = ENTRY_INSTALL + 1;
    assert_int_equal(entry_parse(bytes, &entry, &size), BASE_E_PROTOCOL);
    raw[4] = ENTRY_DATA;
    raw[6] = 1;
    assert_int_equal(entry_parse(bytes, &entry, &size), BASE_E_PROTOCOL);
    raw[6] = 0;
    base_put32(raw, ENTRY_DATA_MAX + 1u);
    assert_int_equal(entry_parse(bytes, &entry, &size), BASE_E_PROTOCOL);
    assert_int_equal(entry_size(bytes), 0);
    base_put32(raw, UINT32_MAX);
    assert_int_equal(entry_parse(bytes, &entry, &size), BASE_E_PROTOCOL);
}

static void the_hash_sees_every_bit_and_the_past(void **state)
{
    uint8_t raw[96] = {0};
    uint64_t plain;

    (void)state;
    for (size_t size = 0; size <= sizeof raw; size++) {
        plain = entry_hash(5, (struct base_bytes){raw, size});
        assert_true(plain != entry_hash(6, (struct base_bytes){raw, size}));
        for (size_t bit = 0; bit < 8 * size; bit++) {
            raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
            assert_true(plain != entry_hash(5, (struct base_bytes){raw, size}));
            raw[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        }
    }
}

static void zeros_at_the_end_change_the_hash(void **state)
{
    uint8_t raw[64] = {0};

    (void)state;
    for (size_t size = 0; size + 1 < sizeof raw; size++) {
        assert_true(entry_hash(0, (struct base_bytes){raw, size}) != entry_hash(0, (struct base_bytes){raw, size + 1}));
    }
}

static void the_hash_is_the_one_of_the_protocol(void **state)
{
    uint8_t raw[27];

    (void)state;
    for (size_t i = 0; i < sizeof raw; i++) {
        raw[i] = (uint8_t)i;
    }
    /* computed from the words of PROTOCOL.md by a separate program */
    assert_int_equal(entry_hash(0, (struct base_bytes){raw, 0}), 0x579d886329d75ff8u);
    assert_int_equal(entry_hash(1, (struct base_bytes){raw, 27}), 0xdc0798b27c9b5cecu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_layout_is_that_of_the_protocol),   cmocka_unit_test(what_was_put_is_parsed),
        cmocka_unit_test(every_missing_byte_is_noticed),        cmocka_unit_test(what_is_no_entry_is_refused),
        cmocka_unit_test(the_hash_sees_every_bit_and_the_past), cmocka_unit_test(zeros_at_the_end_change_the_hash),
        cmocka_unit_test(the_hash_is_the_one_of_the_protocol),
    };

    return cmocka_run_group_tests_name("membership/entry", tests, NULL, NULL);
}
