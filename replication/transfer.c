/* See transfer.h. Pure. */
#include "replication/transfer.h"

#include "rtcp/base/check.h"

void replica_writer_init(struct replica_writer *w, const struct base_memory *m, size_t size_max)
{
    CHECK(size_max <= SIZE_MAX / 2);
    *w = (struct replica_writer){.memory = m, .size_max = size_max};
}

void replica_writer_deinit(struct replica_writer *w)
{
    base_memory_free(w->memory, w->data);
    *w = (struct replica_writer){.memory = w->memory, .size_max = w->size_max};
}

static int grow(struct replica_writer *w, size_t size)
{
    size_t room = w->room < 4096 ? 4096 : w->room;
    uint8_t *data;

    while (room < size) {
        room *= 2;
    }
    data = base_memory_new(w->memory, room, 1);
    if (data == NULL) {
        return BASE_E_NOMEM;
    }
    base_copy(data, w->data, w->size);
    base_memory_free(w->memory, w->data);
    w->data = data;
    w->room = room;
    return 0;
}

int replica_writer_add(struct replica_writer *writer, const void *data, size_t size)
{
    if (size > writer->size_max - writer->size) {
        return BASE_E_RANGE;
    }
    if (size == 0) {
        return 0;
    }
    if (size > writer->room - writer->size) {
        int status = grow(writer, writer->size + size);

        if (status < 0) {
            return status;
        }
    }
    base_copy(writer->data + writer->size, data, size);
    writer->size += size;
    return 0;
}

struct base_bytes replica_writer_bytes(const struct replica_writer *w)
{
    return (struct base_bytes){w->data, w->size};
}

void replica_reader_init(struct replica_reader *r, struct base_bytes state)
{
    *r = (struct replica_reader){.state = state};
}

int replica_reader_take(struct replica_reader *reader, void *ret_data, size_t size)
{
    if (size > replica_reader_left(reader)) {
        return BASE_E_RANGE;
    }
    if (size > 0) {
        base_copy(ret_data, reader->state.data + reader->taken, size);
    }
    reader->taken += size;
    return 0;
}

size_t replica_reader_left(const struct replica_reader *reader)
{
    return reader->state.size - reader->taken;
}
