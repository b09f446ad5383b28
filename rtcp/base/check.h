/* Invariants that stay on in release: a broken one ends the process loudly, never silently.
 *
 * Owns      CHECK and CHECK_SLOW.
 * Relies on nothing.
 * Not here  operating errors: those are returned as a status.
 */
#ifndef HOLDFAST_BASE_CHECK_H
#define HOLDFAST_BASE_CHECK_H

/* Prints the broken invariant to stderr and aborts. */
_Noreturn void base_check_failed(const char *expression, const char *file, int line);

#define CHECK(expression) ((expression) ? (void)0 : base_check_failed(#expression, __FILE__, __LINE__))

#endif
