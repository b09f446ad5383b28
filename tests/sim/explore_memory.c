/* The memory of explore.h: all of the world and of its cores in two pieces that can be copied away and back. */
#include "rtcp/base/check.h"
#include "tests/sim/explore_inside.h"

#include <stdlib.h>
#include <string.h>

#define SMALL_SIZE ((size_t)24 << 20)
#define LARGE_SIZE LOG_CHUNK_SIZE /* pieces of a log */
#define LARGE_MAX  64
/* Of a piece of a log only both ends are used: entries from the front, marks from the back. */
#define LARGE_HEAD 6144u
#define LARGE_TAIL 4096u

static struct {
    uint8_t *small, *large; /* the world stands at the beginning of small */
    struct {
        uint8_t *at;
        size_t room;
    } saved[EXPLORE_SAVED_MAX];
} memory;

struct explore_world *explore_world(void)
{
    return (struct explore_world *)(void *)memory.small;
}

void *explore_take(size_t size)
{
    struct explore_world *w = explore_world();
    void *at;

    if (size > LARGE_HEAD + LARGE_TAIL) {
        CHECK(size <= LARGE_SIZE && w->large_used < LARGE_MAX);
        return memory.large + LARGE_SIZE * w->large_used++;
    }
    size = (size + 15) / 16 * 16;
    CHECK(w->small_used + size <= SMALL_SIZE);
    at = memory.small + w->small_used;
    w->small_used += size;
    return at;
}

static void *take(void *user, size_t size)
{
    (void)user;
    return explore_take(size);
}

/* Nothing is used again: runs are short. */
static void give(void *user, void *at)
{
    (void)user;
    (void)at;
}

const struct base_memory explore_allocator = {NULL, take, give};

static size_t saved_size(const struct explore_world *w)
{
    return w->small_used + w->large_used * (LARGE_HEAD + LARGE_TAIL);
}

void explore_save(size_t place)
{
    const struct explore_world *w = explore_world();
    uint8_t *to;

    CHECK(place < EXPLORE_SAVED_MAX);
    if (saved_size(w) > memory.saved[place].room) {
        memory.saved[place].room = saved_size(w) * 2;
        memory.saved[place].at = realloc(memory.saved[place].at, memory.saved[place].room);
        CHECK(memory.saved[place].at != NULL);
    }
    memcpy(memory.saved[place].at, memory.small, w->small_used);
    to = memory.saved[place].at + w->small_used;
    for (size_t i = 0; i < w->large_used; i++) {
        const uint8_t *from = memory.large + i * LARGE_SIZE;

        memcpy(to, from, LARGE_HEAD);
        memcpy(to + LARGE_HEAD, from + LARGE_SIZE - LARGE_TAIL, LARGE_TAIL);
        to += LARGE_HEAD + LARGE_TAIL;
    }
}

void explore_restore(size_t place)
{
    const struct explore_world *w = (const struct explore_world *)(const void *)memory.saved[place].at;
    const uint8_t *from = memory.saved[place].at + w->small_used;

    memcpy(memory.small, memory.saved[place].at, w->small_used);
    for (size_t i = 0; i < w->large_used; i++) {
        uint8_t *to = memory.large + i * LARGE_SIZE;

        memcpy(to, from, LARGE_HEAD);
        memcpy(to + LARGE_SIZE - LARGE_TAIL, from + LARGE_HEAD, LARGE_TAIL);
        from += LARGE_HEAD + LARGE_TAIL;
    }
}

void explore_prepare(void)
{
    if (memory.small == NULL) {
        memory.small = malloc(SMALL_SIZE);
        memory.large = malloc(LARGE_SIZE * LARGE_MAX);
        CHECK(memory.small != NULL && memory.large != NULL);
    }
    memset(memory.small, 0, sizeof(struct explore_world));
    explore_world()->small_used = (sizeof(struct explore_world) + 15) / 16 * 16;
}

void explore_end(void)
{
    free(memory.small);
    free(memory.large);
    for (size_t i = 0; i < EXPLORE_SAVED_MAX; i++) {
        free(memory.saved[i].at);
    }
    memset(&memory, 0, sizeof memory);
}
