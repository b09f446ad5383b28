/* Tests of membership/memory_loop.c: large pieces go back to the system though later ones are still in use (B1). */
#include "membership/memory_loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PIECES 200
#define PIECE  (256u << 10)

static size_t resident_kib(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    unsigned long size = 0;
    unsigned long resident = 0;

    assert_non_null(file);
    assert_int_equal(fscanf(file, "%lu %lu", &size, &resident), 2);
    (void)fclose(file);
    return resident * (unsigned long)sysconf(_SC_PAGESIZE) / 1024;
}

static void large_pieces_go_back_below_one_that_stays(void **state)
{
    const struct base_memory *m = memory_of_group();
    uint8_t *piece[PIECES];
    size_t full;

    (void)state;
    for (size_t i = 0; i < PIECES; i++) {
        piece[i] = m->take(m->user, PIECE);
        assert_non_null(piece[i]);
        memset(piece[i], 1, PIECE);
    }
    full = resident_kib();
    for (size_t i = 0; i + 1 < PIECES; i++) {
        m->give(m->user, piece[i]);
    }
    assert_true(resident_kib() + (PIECES - 10) * (PIECE / 1024) < full);
    assert_int_equal(piece[PIECES - 1][PIECE - 1], 1);
    m->give(m->user, piece[PIECES - 1]);
}

static void pieces_of_all_sizes_are_aligned_and_whole(void **state)
{
    const struct base_memory *m = memory_of_group();

    (void)state;
    for (size_t size = 0; size < 2 * (size_t)MEMORY_LARGE; size += 4093) {
        uint8_t *at = m->take(m->user, size);

        assert_non_null(at);
        assert_int_equal((uintptr_t)at % _Alignof(max_align_t), 0);
        memset(at, 2, size);
        m->give(m->user, at);
    }
    m->give(m->user, NULL);
    assert_null(m->take(m->user, SIZE_MAX));
    assert_null(m->take(m->user, SIZE_MAX / 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(large_pieces_go_back_below_one_that_stays),
        cmocka_unit_test(pieces_of_all_sizes_are_aligned_and_whole),
    };

    return cmocka_run_group_tests_name("membership/memory", tests, NULL, NULL);
}
