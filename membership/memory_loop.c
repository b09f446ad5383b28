/* See memory_loop.h. In front of each piece stands its head: what to give back to the system, or 0. */
#include "membership/memory_loop.h"

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

union head {
    size_t mapped; /* bytes with this head; 0: malloc's */
    max_align_t align;
};

static void *take(void *user, size_t size)
{
    union head *head;

    (void)user;
    if (size > SIZE_MAX - sizeof *head) {
        return NULL;
    }
    size += sizeof *head;
    if (size < MEMORY_LARGE) {
        head = malloc(size);
    } else {
        head = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        head = (void *)head == MAP_FAILED ? NULL : head;
    }
    if (head == NULL) {
        return NULL;
    }
    head->mapped = size < MEMORY_LARGE ? 0 : size;
    return head + 1;
}

static void give(void *user, void *at)
{
    union head *head = at;

    (void)user;
    if (at == NULL) {
        return;
    }
    head--;
    if (head->mapped == 0) {
        free(head);
    } else {
        (void)munmap(head, head->mapped); /* it was mapped like this: it cannot fail */
    }
}

const struct base_memory *memory_of_group(void)
{
    static const struct base_memory memory = {NULL, take, give};

    return &memory;
}
