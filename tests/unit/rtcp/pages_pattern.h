/* What the tests of pages look at, with either face: bytes that tell their place in the stream, and what old
 * connections leave behind in the kernel.
 *
 * Owns      nothing.
 * Relies on cmocka, /proc.
 * Not here  faces.
 */
#ifndef HOLDFAST_TESTS_PAGES_PATTERN_H
#define HOLDFAST_TESTS_PAGES_PATTERN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

static inline uint8_t pattern_at(uint64_t seed, uint64_t offset)
{
    return (uint8_t)(((offset + seed) * 0x9e3779b97f4a7c15u) >> 40);
}

static inline void pattern_fill(uint8_t *to, size_t size, uint64_t seed, uint64_t offset)
{
    for (size_t i = 0; i < size; i++) {
        to[i] = pattern_at(seed, offset + i);
    }
}

static inline void pattern_expect(const uint8_t *bytes, size_t size, uint64_t seed, uint64_t offset)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != pattern_at(seed, offset + i)) {
            fail_msg("wrong byte at offset %llu", (unsigned long long)(offset + i));
        }
    }
}

/* Sockets of this machine with that port that are neither established nor listening. */
static inline int leftovers(unsigned port)
{
    FILE *f = fopen("/proc/self/net/tcp", "r");
    char line[512];
    int count = 0;

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned local, remote, state;

        if (sscanf(line, " %*u: %*8x:%x %*8x:%x %x", &local, &remote, &state) == 3 &&
            (local == port || remote == port) && state != 1 && state != 10) {
            count++;
        }
    }
    fclose(f);
    return count;
}

#endif
