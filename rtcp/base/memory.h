/* Where memory comes from: a small table in the options of an object, never a global.
 *
 * Owns      struct base_memory and its two calls.
 * Relies on the functions the owner put in; base_memory_libc() gives malloc and free.
 * Not here  limits: every caller asks for a size that an option bounds, at the door.
 */
#ifndef HOLDFAST_BASE_MEMORY_H
#define HOLDFAST_BASE_MEMORY_H

#include <stddef.h>

struct base_memory {
    void *user;
    void *(*take)(void *user, size_t size); /* NULL when there is none; contents undefined */
    void (*give)(void *user, void *at);     /* accepts NULL */
};

/* malloc and free. */
const struct base_memory *base_memory_libc(void);

/* Zeroed memory for count objects of size bytes, or NULL (also when the product overflows). */
void *base_memory_new(const struct base_memory *m, size_t count, size_t size);

/* Gives memory back; `at` may be NULL. */
void base_memory_free(const struct base_memory *m, void *at);

#endif
