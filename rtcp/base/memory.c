/* The allocator table. Owns the libc instance of it; pure apart from malloc. */
#include "rtcp/base/memory.h"

#include "rtcp/base/bytes.h"

#include <stdlib.h>

static void *libc_take(void *user, size_t size)
{
    (void)user;
    return malloc(size);
}

static void libc_give(void *user, void *at)
{
    (void)user;
    free(at);
}

const struct base_memory *base_memory_libc(void)
{
    static const struct base_memory libc = {NULL, libc_take, libc_give};

    return &libc;
}

void *base_memory_new(const struct base_memory *m, size_t count, size_t size)
{
    void *at;

    if (size > 0 && count > (size_t)-1 / size) {
        return NULL;
    }
    at = m->take(m->user, count * size);
    if (at != NULL) {
        base_zero(at, count * size);
    }
    return at;
}

void base_memory_free(const struct base_memory *m, void *at)
{
    m->give(m->user, at);
}
