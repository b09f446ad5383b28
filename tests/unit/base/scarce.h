/* A process that has few descriptors left: for tests of what happens then (P43).
 *
 * Owns      the limit of the process and the descriptors that fill it up, between scarce_begin and scarce_end.
 * Relies on RLIMIT_NOFILE. Under valgrind some numbers are taken that nobody sees, so what is left is counted out.
 * Not here  what is tested.
 */
#ifndef HOLDFAST_TESTS_UNIT_BASE_SCARCE_H
#define HOLDFAST_TESTS_UNIT_BASE_SCARCE_H

#include <sys/resource.h>

#define SCARCE_MAX 256

struct scarce {
    struct rlimit before;
    int held[SCARCE_MAX];
    int count;
};

/* Skips the test under valgrind: it keeps the limit itself, and throws away what the kernel has already accepted. First
 * line of a test in which connections wait to be accepted. */
void scarce_needs_kernel(void);
/* Leaves `spare` descriptors. */
void scarce_begin(struct scarce *s, int spare);
/* Everything as it was. */
void scarce_end(struct scarce *s);

#endif
