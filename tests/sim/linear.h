/* A checker of linearizability for one object (Wing and Gong's search with the memory of Lowe): is there one order of
 * the operations that respects real time and in which every answer is right? Operations whose outcome nobody knows may
 * have happened at any time after their begin, or never.
 *
 * Relies on nothing of the world; tested on its own (tests/unit/sim/linear_test.c).
 */
#ifndef HOLDFAST_SIM_LINEAR_H
#define HOLDFAST_SIM_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINEAR_NEVER UINT64_MAX /* it did not return: its outcome is unknown */

enum linear_kind {
    LINEAR_READ,  /* result: the value */
    LINEAR_WRITE, /* becomes a; no result */
    LINEAR_CAS,   /* becomes b if it was a; result: what it was */
    LINEAR_ADD,   /* grows by a; result: what it is then */
};

struct linear_op {
    enum linear_kind kind;
    uint64_t a, b;
    uint64_t result;
    uint64_t invoked, returned; /* of one clock, no two equal */
};

enum linear_verdict {
    LINEAR_GOOD,
    LINEAR_BAD,
    LINEAR_UNDECIDED, /* more steps than allowed */
};

/* Judges the history of one object that begins as 0. steps_max bounds the search. */
enum linear_verdict linear_check(const struct linear_op *ops, size_t count, size_t steps_max);

#endif
