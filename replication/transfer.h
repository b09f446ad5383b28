/* Where save writes a state and from where load reads it: whole, in memory, until snapshots have their files.
 *
 * Owns      the writer's growing buffer and the reader's cursor.
 * Relies on an allocator passed at init.
 * Not here  what a state looks like (the application's matter), chunks and files (membership's snapshot room).
 * Protocol  replication/PROTOCOL.md, "State transfer".
 */
#ifndef HOLDFAST_REPLICATION_TRANSFER_H
#define HOLDFAST_REPLICATION_TRANSFER_H

#include "replication/replication.h"
#include "rtcp/base/memory.h"

struct replica_writer {
    const struct base_memory *memory;
    uint8_t *data;
    size_t size;
    size_t room;
    size_t size_max;
};

struct replica_reader {
    struct base_bytes state; /* borrowed */
    size_t taken;
};

/* An empty state of at most size_max bytes; takes no memory yet. */
void replica_writer_init(struct replica_writer *w, const struct base_memory *m, size_t size_max);
void replica_writer_deinit(struct replica_writer *w);

/* What was written. Valid until the next add or deinit. */
struct base_bytes replica_writer_bytes(const struct replica_writer *w);

/* Reads from the start of state, which is borrowed. */
void replica_reader_init(struct replica_reader *r, struct base_bytes state);

#endif
