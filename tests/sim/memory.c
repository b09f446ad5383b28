/* malloc and its sisters as the product sees them: every block belongs to the process that took it, so that a killed
 * process leaves nothing behind and a closed one must have given everything back (B3).
 */
#include "rtcp/base/memory.h"
#include "tests/sim/real.h"

#include "rtcp/base/check.h"
#include "tests/sim/world.h"

#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *at, size_t size);
void __real_free(void *at);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *at, size_t size);
void __wrap_free(void *at);
const struct base_memory *__wrap_memory_of_group(void);

struct block {
    struct block *next, *prev;
    struct sim_node *owner;
    size_t size;
};

static const size_t head = (sizeof(struct block) + 15) / 16 * 16;

void *real_malloc(size_t size)
{
    return __real_malloc(size);
}

void *real_calloc(size_t count, size_t size)
{
    return __real_calloc(count, size);
}

void *real_realloc(void *at, size_t size)
{
    return __real_realloc(at, size);
}

void real_free(void *at)
{
    __real_free(at);
}

/* Large pieces, too, come from malloc here, so that they belong to a process. */
const struct base_memory *__wrap_memory_of_group(void)
{
    return base_memory_libc();
}

static struct block *block_of(void *at)
{
    return (struct block *)(void *)((char *)at - head);
}

void *__wrap_malloc(size_t size)
{
    struct block *b = __real_malloc(head + size);

    if (b == NULL) {
        return NULL;
    }
    b->owner = sim.current;
    b->size = size;
    b->prev = NULL;
    b->next = NULL;
    if (b->owner != NULL) {
        b->next = b->owner->blocks;
        if (b->next != NULL) {
            b->next->prev = b;
        }
        b->owner->blocks = b;
        b->owner->bytes += size;
    }
    return (char *)b + head;
}

void *__wrap_calloc(size_t count, size_t size)
{
    void *at;

    if (size != 0 && count > (size_t)-1 / 2 / size) {
        return NULL;
    }
    at = __wrap_malloc(count * size);
    if (at != NULL) {
        memset(at, 0, count * size);
    }
    return at;
}

static void unlink_block(struct block *b)
{
    if (b->owner == NULL) {
        return;
    }
    b->owner->bytes -= b->size;
    if (b->prev != NULL) {
        b->prev->next = b->next;
    } else {
        b->owner->blocks = b->next;
    }
    if (b->next != NULL) {
        b->next->prev = b->prev;
    }
}

void __wrap_free(void *at)
{
    if (at != NULL) {
        unlink_block(block_of(at));
        __real_free(block_of(at));
    }
}

void *__wrap_realloc(void *at, size_t size)
{
    void *to = __wrap_malloc(size);

    if (to != NULL && at != NULL) {
        size_t before = block_of(at)->size;

        memcpy(to, at, before < size ? before : size);
        __wrap_free(at);
    }
    return to;
}

/* Objects on their way belong to nobody: a list of their own, whose head nothing points back to. */
static struct sim_node on_the_way;

void *sim_object_new(size_t size)
{
    struct sim_node *before = sim.current;
    void *at;

    sim.current = &on_the_way;
    at = __wrap_calloc(1, size);
    sim.current = before;
    CHECK(at != NULL);
    return at;
}

void sim_object_free(void *object)
{
    __wrap_free(object);
}

void sim_objects_give_all(void)
{
    sim_memory_give_all(&on_the_way);
}

void sim_memory_give_all(struct sim_node *node)
{
    while (node->blocks != NULL) {
        struct block *b = node->blocks;

        unlink_block(b);
        __real_free(b);
    }
}
