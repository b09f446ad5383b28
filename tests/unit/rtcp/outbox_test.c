/* Tests of rtcp/outbox.h, over plain memory and over a ring that is mapped twice. The model is an array of everything
 * that was ever appended. C4, C7, P8, P9, P18.
 */
#include "rtcp/base/ringmem_loop.h"
#include "rtcp/base/rng.h"
#include "rtcp/outbox.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define STEPS 20000u

static uint8_t pattern(uint64_t offset)
{
    return (uint8_t)((offset * 0x9e3779b97f4a7c15u) >> 40);
}

static void fill(uint8_t *out, uint64_t offset, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = pattern(offset + i);
    }
}

/* Everything between first and upto stands where it should, in as many pieces as the ring needs. */
static void expect_content(const struct rtcp_outbox *o)
{
    uint64_t offset = o->first;
    unsigned pieces = 0;

    while (offset < o->upto) {
        struct base_bytes piece = rtcp_outbox_from(o, offset);

        assert_true(piece.size > 0);
        for (size_t i = 0; i < piece.size; i++) {
            if (piece.data[i] != pattern(offset + i)) {
                fail_msg("wrong byte at offset %llu", (unsigned long long)(offset + i));
            }
        }
        offset += piece.size;
        pieces++;
    }
    assert_int_equal(offset, o->upto);
    assert_true(pieces <= (o->ring.is_mirrored ? 1 : 2));
}

static void step(struct rtcp_outbox *o, struct base_rng *rng, uint8_t *scratch)
{
    size_t room = rtcp_outbox_room(o);
    size_t used = rtcp_outbox_used(o);
    size_t size = (size_t)base_rng_below(rng, room + 1);
    struct base_span span;

    assert_int_equal(room + used, o->ring.size);
    if (o->size < o->most && base_rng_below(rng, 200) == 0) {
        assert_int_equal(rtcp_outbox_grow(o, o->size * (base_rng_below(rng, 2) == 0 ? 2 : o->most / o->size)), 0);
        return;
    }
    if (used == 0 && base_rng_below(rng, 4) == 0) {
        rtcp_outbox_rest(o);
        assert_null(o->ring.at);
        assert_int_equal(o->size, o->least);
        assert_int_equal(rtcp_outbox_from(o, o->upto).size, 0);
        assert_int_equal(rtcp_outbox_prepare(o), 0);
        return;
    }
    switch (base_rng_below(rng, 3)) {
    case 0:
        fill(scratch, o->upto, size);
        rtcp_outbox_append(o, (struct base_bytes){scratch, size});
        break;
    case 1:
        span = rtcp_outbox_reserve(o);
        assert_true(span.size > 0 || room == 0);
        assert_true(!o->ring.is_mirrored || span.size == room);
        size = (size_t)base_rng_below(rng, span.size + 1);
        fill(span.data, o->upto, size);
        rtcp_outbox_commit(o, size);
        break;
    default:
        rtcp_outbox_trim(o, o->first + base_rng_below(rng, used + 1));
        break;
    }
}

static void follow_the_model(size_t size, size_t most, uint64_t first, bool is_mirrored)
{
    struct base_rng rng;
    struct rtcp_outbox o;
    uint8_t *scratch = malloc(most);

    assert_non_null(scratch);
    base_rng_init(&rng, first + size);
    assert_int_equal(rtcp_outbox_init(&o, base_ringmem_system(), size, most, first), 0);
    assert_null(o.ring.at); /* no memory before the first byte */
    assert_int_equal(rtcp_outbox_prepare(&o), 0);
    assert_int_equal(o.ring.is_mirrored, is_mirrored);
    for (unsigned i = 0; i < STEPS; i++) {
        step(&o, &rng, scratch);
        if (i % 16 == 0) {
            expect_content(&o);
        }
    }
    assert_true(o.upto - first > 100 * size); /* it went round and round */
    rtcp_outbox_deinit(&o);
    free(scratch);
}

static void a_plain_ring_holds_what_was_not_acknowledged(void **state)
{
    (void)state;
    follow_the_model(4096, 4096, 0, false);
    follow_the_model(8192, 8192, ((uint64_t)1 << 32) - 1000, false);
}

static void a_mirrored_ring_holds_it_in_one_piece(void **state)
{
    (void)state;
    follow_the_model(131072, 131072, 0, true);
    follow_the_model(131072, 131072, ((uint64_t)1 << 32) - 100000, true);
}

static void a_ring_that_grows_and_rests_loses_nothing(void **state)
{
    (void)state;
    follow_the_model(4096, 65536, 0, false);
    follow_the_model(16384, 262144, ((uint64_t)1 << 32) - 100000, false);
    follow_the_model(131072, 524288, 5, true);
}

/* Every place at which a ring can wrap, every kind of ring before and after. */
static void growing_keeps_every_byte_at_every_place_of_the_wrap(void **state)
{
    static const size_t sizes[][2] = {{4096, 8192}, {4096, 65536}, {65536, 131072}, {131072, 262144}};
    uint8_t *scratch = malloc(131072);

    (void)state;
    assert_non_null(scratch);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t pace = sizes[i][0] == 4096 ? 13 : 16381;

        for (uint64_t first = 0; first < 2 * sizes[i][0]; first += pace) {
            struct rtcp_outbox o;

            assert_int_equal(rtcp_outbox_init(&o, base_ringmem_system(), sizes[i][0], sizes[i][1], first), 0);
            assert_int_equal(rtcp_outbox_prepare(&o), 0);
            fill(scratch, first, sizes[i][0]);
            rtcp_outbox_append(&o, (struct base_bytes){scratch, sizes[i][0]});
            assert_int_equal(rtcp_outbox_room(&o), 0);
            assert_int_equal(rtcp_outbox_grow(&o, sizes[i][1]), 0);
            assert_int_equal(rtcp_outbox_room(&o), sizes[i][1] - sizes[i][0]);
            expect_content(&o);
            rtcp_outbox_deinit(&o);
        }
    }
    free(scratch);
}

static void sizes_are_rounded_up_to_a_power_of_two(void **state)
{
    static const size_t asked[][2] = {{1, 4096}, {4096, 4096}, {4097, 8192}, {100000, 131072}};

    (void)state;
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        struct rtcp_outbox o;

        assert_int_equal(rtcp_outbox_init(&o, base_ringmem_system(), asked[i][0], asked[i][0], 0), 0);
        assert_int_equal(rtcp_outbox_prepare(&o), 0);
        assert_int_equal(o.ring.size, asked[i][1]);
        assert_int_equal(rtcp_outbox_room(&o), asked[i][1]);
        rtcp_outbox_deinit(&o);
        rtcp_outbox_deinit(&o); /* twice is allowed */
    }
}

static int take_nothing(void *user, size_t size, struct base_ringmem *ring)
{
    (void)user;
    (void)size;
    (void)ring;
    return BASE_E_NOMEM;
}

/* More than 1 GiB would make 32 bits on the wire ambiguous (P1). */
static void too_large_and_no_memory_are_statuses(void **state)
{
    const struct base_ringmem_source none = {NULL, take_nothing, NULL};
    struct rtcp_outbox o = {0};

    (void)state;
    assert_int_equal(rtcp_outbox_init(&o, base_ringmem_system(), 4096, ((size_t)1 << 30) + 1, 0), BASE_E_RANGE);
    assert_int_equal(rtcp_outbox_init(&o, base_ringmem_system(), 8192, 4096, 0), BASE_E_RANGE);
    assert_int_equal(rtcp_outbox_init(&o, &none, 4096, 8192, 0), 0);
    assert_int_equal(rtcp_outbox_prepare(&o), BASE_E_NOMEM);
    rtcp_outbox_deinit(&o);
    assert_int_equal(rtcp_outbox_init(&o, base_ringmem_system(), 4096, 8192, 0), 0);
    assert_int_equal(rtcp_outbox_prepare(&o), 0);
    o.source = &none; /* growing fails: everything stays as it was */
    assert_int_equal(rtcp_outbox_grow(&o, 8192), BASE_E_NOMEM);
    assert_int_equal(rtcp_outbox_room(&o), 4096);
    o.source = base_ringmem_system();
    rtcp_outbox_deinit(&o);
}

/* P9: a partial acknowledgement trims partially; the rest stays where it was. */
static void trimming_moves_nothing(void **state)
{
    struct rtcp_outbox o;
    uint8_t bytes[4096];
    struct base_bytes before, after;

    (void)state;
    assert_int_equal(rtcp_outbox_init(&o, base_ringmem_system(), 4096, 4096, 0), 0);
    assert_int_equal(rtcp_outbox_prepare(&o), 0);
    fill(bytes, 0, sizeof bytes);
    rtcp_outbox_append(&o, (struct base_bytes){bytes, sizeof bytes});
    assert_int_equal(rtcp_outbox_room(&o), 0);
    assert_int_equal(rtcp_outbox_reserve(&o).size, 0);
    before = rtcp_outbox_from(&o, 1000);
    rtcp_outbox_trim(&o, 1000);
    after = rtcp_outbox_from(&o, 1000);
    assert_ptr_equal(before.data, after.data);
    assert_int_equal(rtcp_outbox_room(&o), 1000);
    rtcp_outbox_trim(&o, 1000);
    rtcp_outbox_trim(&o, 4096);
    assert_int_equal(rtcp_outbox_used(&o), 0);
    assert_int_equal(rtcp_outbox_from(&o, 4096).size, 0);
    rtcp_outbox_deinit(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_ring_holds_what_was_not_acknowledged),
        cmocka_unit_test(a_mirrored_ring_holds_it_in_one_piece),
        cmocka_unit_test(a_ring_that_grows_and_rests_loses_nothing),
        cmocka_unit_test(growing_keeps_every_byte_at_every_place_of_the_wrap),
        cmocka_unit_test(sizes_are_rounded_up_to_a_power_of_two),
        cmocka_unit_test(too_large_and_no_memory_are_statuses),
        cmocka_unit_test(trimming_moves_nothing),
    };

    return cmocka_run_group_tests_name("unit/rtcp/outbox", tests, NULL, NULL);
}
