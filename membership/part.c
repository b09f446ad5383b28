/* Large entries that arrive in parts: see part.h. */
#include "membership/part.h"

#include "membership/entry.h"

static int begin(struct part *p, const struct base_memory *memory, struct base_bytes bytes)
{
    size_t size = bytes.size < ENTRY_HEAD_SIZE ? 0 : entry_size(bytes);

    part_clear(p, memory);
    if (size == 0) {
        return BASE_E_PROTOCOL;
    }
    p->data = memory->take(memory->user, size);
    if (p->data == NULL) {
        return BASE_E_NOMEM;
    }
    p->size = size;
    return 0;
}

int part_add(struct part *p, const struct base_memory *memory, size_t offset, struct base_bytes bytes)
{
    if (offset == 0) {
        int status = begin(p, memory, bytes);

        if (status < 0) {
            return status;
        }
    }
    if (p->data == NULL || offset != p->have || bytes.size == 0 || bytes.size > p->size - p->have) {
        return BASE_E_PROTOCOL;
    }
    base_copy(p->data + p->have, bytes.data, bytes.size);
    p->have += bytes.size;
    return 0;
}

struct base_bytes part_whole(const struct part *p)
{
    if (p->data == NULL || p->have < p->size) {
        return (struct base_bytes){NULL, 0};
    }
    return (struct base_bytes){p->data, p->size};
}

void part_clear(struct part *p, const struct base_memory *memory)
{
    base_memory_free(memory, p->data);
    *p = (struct part){0};
}
