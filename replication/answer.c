/* See answer.h. Pure. */
#include "replication/answer.h"

#include "rtcp/base/check.h"

void replica_answer_init(struct replica_answer *a, const struct base_memory *m)
{
    *a = (struct replica_answer){.memory = m};
}

void replica_answer_deinit(struct replica_answer *a)
{
    base_memory_free(a->memory, a->data);
    *a = (struct replica_answer){.memory = a->memory};
}

void replica_answer_begin(struct replica_answer *a, bool is_kept)
{
    if (a->room > REPLICA_ANSWER_KEEP_MAX) {
        replica_answer_deinit(a);
    }
    a->size = 0;
    a->is_kept = is_kept;
}

/* apply has no way to fail, and half an answer would be a lie: without memory the process ends (replication.h). */
static void grow(struct replica_answer *a, size_t size)
{
    size_t room = a->room < 256 ? 256 : a->room;
    uint8_t *data;

    while (room < size) {
        room *= 2;
    }
    data = base_memory_new(a->memory, room, 1);
    CHECK(data != NULL);
    base_copy(data, a->data, a->size);
    base_memory_free(a->memory, a->data);
    a->data = data;
    a->room = room;
}

void replica_answer_add(struct replica_answer *answer, const void *data, size_t size)
{
    if (!answer->is_kept || size == 0) {
        return;
    }
    CHECK(size <= REPLICA_ANSWER_MAX - answer->size);
    if (size > answer->room - answer->size) {
        grow(answer, answer->size + size);
    }
    base_copy(answer->data + answer->size, data, size);
    answer->size += size;
}

struct base_bytes replica_answer_bytes(const struct replica_answer *a)
{
    return (struct base_bytes){a->data, a->size};
}
