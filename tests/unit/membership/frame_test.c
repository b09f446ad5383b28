/* Frames: every length is checked before it is used (T78, R-limits of PROTOCOL.md "Wire"). */
#include "membership/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct base_bytes range(const uint8_t *data, size_t size)
{
    return (struct base_bytes){data, size};
}

static void a_frame_is_read_back_as_it_was_written(void **state)
{
    uint8_t bytes[FRAME_HEADER_SIZE + 3 + 4 + 1] = {0};
    struct frame f;

    (void)state;
    frame_put(bytes, 3, 4);
    assert_int_equal(frame_parse(range(bytes, sizeof bytes), 4, &f), 0);

    assert_ptr_equal(f.head.data, bytes + FRAME_HEADER_SIZE);
    assert_int_equal(f.head.size, 3);
    assert_ptr_equal(f.body.data, bytes + FRAME_HEADER_SIZE + 3);
    assert_int_equal(f.body.size, 4);
    assert_int_equal(f.size, sizeof bytes - 1); /* what follows is the next frame */
}

static void a_frame_cut_anywhere_waits_for_more(void **state)
{
    uint8_t bytes[FRAME_HEADER_SIZE + 3 + 4] = {0};
    struct frame f;

    (void)state;
    frame_put(bytes, 3, 4);
    for (size_t size = 0; size < sizeof bytes; size++) {
        uint8_t *exact = malloc(size > 0 ? size : 1); /* so that a read beyond the end is seen */

        assert_non_null(exact);
        base_copy(exact, bytes, size);
        assert_int_equal(frame_parse(range(exact, size), 4, &f), BASE_E_AGAIN);
        free(exact);
    }
}

static void the_largest_frame_is_taken(void **state)
{
    uint8_t *bytes = calloc(1, FRAME_SIZE_MAX);
    struct frame f;

    (void)state;
    assert_non_null(bytes);
    frame_put(bytes, MESSAGE_HEAD_MAX, MESSAGE_BODY_MAX);
    assert_int_equal(frame_parse(range(bytes, FRAME_SIZE_MAX), MESSAGE_BODY_MAX, &f), 0);
    assert_int_equal(f.size, FRAME_SIZE_MAX);
    free(bytes);
}

static void impossible_lengths_are_refused_at_once(void **state)
{
    const struct {
        uint32_t length;
        uint16_t head;
    } bad[] = {
        {0, 0},      {1, 0},          {2, 0},   {2, 1},         {100, 99}, /* head outside of the frame */
        {3 + 11, 1}, {0xffffffff, 1}, {600, 0}, {2 + 513, 513},            /* too much behind the head, head too long */
        {5, 0xffff},
    };
    uint8_t bytes[FRAME_HEADER_SIZE];
    struct frame f;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        base_put32(bytes, bad[i].length);
        base_put16(bytes + 4, bad[i].head);
        assert_int_equal(frame_parse(range(bytes, sizeof bytes), 10, &f), BASE_E_PROTOCOL);
    }
}

static void the_votes_lane_carries_no_bodies(void **state)
{
    uint8_t bytes[FRAME_HEADER_SIZE + 2] = {0};
    struct frame f;

    (void)state;
    frame_put(bytes, 1, 1);
    assert_int_equal(frame_parse(range(bytes, sizeof bytes), 0, &f), BASE_E_PROTOCOL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_is_read_back_as_it_was_written),
        cmocka_unit_test(a_frame_cut_anywhere_waits_for_more),
        cmocka_unit_test(the_largest_frame_is_taken),
        cmocka_unit_test(impossible_lengths_are_refused_at_once),
        cmocka_unit_test(the_votes_lane_carries_no_bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
