/* Tests of rtcp/base/ringmem_loop.h and clock_loop.h, against the real kernel. */
#include "rtcp/base/clock_loop.h"
#include "rtcp/base/ringmem_loop.h"
#include "tests/unit/base/scarce.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define MIB (1u << 20)

static struct base_ringmem take(size_t size)
{
    const struct base_ringmem_source *source = base_ringmem_system();
    struct base_ringmem ring;

    assert_int_equal(source->take(source->user, size, &ring), 0);
    assert_non_null(ring.at);
    assert_int_equal(ring.size, size);
    return ring;
}

static void give(struct base_ringmem *ring)
{
    const struct base_ringmem_source *source = base_ringmem_system();

    source->give(source->user, ring);
}

static int open_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

static void a_small_ring_is_plain_memory(void **state)
{
    struct base_ringmem ring = take(4096);

    (void)state;
    assert_false(ring.is_mirrored);
    memset(ring.at, 7, 4096);
    give(&ring);
    assert_null(ring.at);
}

/* Every range of a mirrored ring is contiguous, also the one over its end. */
static void a_large_ring_is_there_twice_in_a_row(void **state)
{
    struct base_ringmem ring = take(MIB);

    (void)state;
    assert_true(ring.is_mirrored);
    memcpy(ring.at + MIB - 3, "abcdef", 6);
    assert_memory_equal(ring.at + MIB, "def", 3);
    assert_memory_equal(ring.at, "def", 3);
    memcpy(ring.at + MIB + 100, "back", 4);
    assert_memory_equal(ring.at + 100, "back", 4);
    ring.at[2 * MIB - 1] = 9;
    assert_int_equal(ring.at[MIB - 1], 9);
    give(&ring);
}

static void rings_share_nothing(void **state)
{
    struct base_ringmem a = take(MIB);
    struct base_ringmem b = take(MIB);

    (void)state;
    memset(a.at, 1, MIB);
    memset(b.at, 2, MIB);
    assert_int_equal(a.at[5], 1);
    assert_int_equal(b.at[MIB + 5], 2);
    give(&a);
    give(&b);
}

static struct base_ringmem take_pages(size_t size)
{
    const struct base_ringmem_source *source = base_ringmem_pages();
    struct base_ringmem ring;

    assert_int_equal(source->take(source->user, size, &ring), 0);
    return ring;
}

/* Thousands of streams must not need thousands of descriptors. */
static void a_ring_keeps_no_descriptor(void **state)
{
    int before = open_descriptors();
    struct base_ringmem ring = take(MIB);

    (void)state;
    assert_int_equal(open_descriptors(), before);
    give(&ring);
    assert_int_equal(open_descriptors(), before);
}

static void a_ring_with_a_descriptor_gives_it_back(void **state)
{
    int before = open_descriptors();
    struct base_ringmem ring = take_pages(MIB);

    (void)state;
    assert_int_equal(open_descriptors(), before + 1);
    assert_true(ring.handle >= 0);
    give(&ring);
    assert_int_equal(open_descriptors(), before);
}

/* Thousands of busy streams must not take the descriptors that connections need. */
static void a_ring_keeps_no_descriptor_when_many_are_in_use(void **state)
{
    int before = open_descriptors();
    struct scarce scarce;
    struct base_ringmem ring;

    (void)state;
    scarce_begin(&scarce, 1);
    ring = take_pages(MIB);
    scarce_end(&scarce);

    assert_true(ring.is_mirrored);
    assert_int_equal(ring.handle, -1);
    assert_int_equal(open_descriptors(), before);
    give(&ring);
}

static void what_was_given_back_is_unmapped(void **state)
{
    struct base_ringmem ring = take(MIB);
    unsigned char page;
    uint8_t *at = ring.at;

    (void)state;
    assert_int_equal(mincore(at, 1, &page), 0);
    assert_int_equal(mincore(at + MIB, 1, &page), 0);

    give(&ring);

    assert_int_equal(mincore(at, 1, &page), -1);
    assert_int_equal(errno, ENOMEM);
    assert_int_equal(mincore(at + MIB, 1, &page), -1);
}

static void without_a_memfd_a_large_ring_is_plain_memory(void **state)
{
    struct rlimit all;
    struct rlimit none;
    struct base_ringmem ring;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &all), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = all.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    ring = take(MIB);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &all), 0);

    assert_false(ring.is_mirrored);
    memset(ring.at, 7, MIB);
    give(&ring);
}

static void the_clock_is_the_monotonic_one_and_never_goes_back(void **state)
{
    struct timespec before;
    struct timespec after;
    base_time now;

    (void)state;
    clock_gettime(CLOCK_MONOTONIC, &before);
    now = base_clock_now();
    clock_gettime(CLOCK_MONOTONIC, &after);
    assert_true(now >= BASE_S(before.tv_sec) + (base_time)before.tv_nsec);
    assert_true(now <= BASE_S(after.tv_sec) + (base_time)after.tv_nsec);
    for (int i = 0; i < 1000; i++) {
        base_time next = base_clock_now();

        assert_true(next >= now);
        now = next;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_ring_is_plain_memory),
        cmocka_unit_test(a_large_ring_is_there_twice_in_a_row),
        cmocka_unit_test(rings_share_nothing),
        cmocka_unit_test(a_ring_keeps_no_descriptor),
        cmocka_unit_test(a_ring_with_a_descriptor_gives_it_back),
        cmocka_unit_test(a_ring_keeps_no_descriptor_when_many_are_in_use),
        cmocka_unit_test(what_was_given_back_is_unmapped),
        cmocka_unit_test(without_a_memfd_a_large_ring_is_plain_memory),
        cmocka_unit_test(the_clock_is_the_monotonic_one_and_never_goes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
