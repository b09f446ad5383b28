/* The bytes that apply gives back to the one who submitted.
 *
 * Owns      one growing buffer, used for one command after the other.
 * Relies on an allocator passed at init.
 * Not here  who waits for the answer: that is replica.h.
 * Protocol  replication/PROTOCOL.md, "Answers".
 */
#ifndef HOLDFAST_REPLICATION_ANSWER_H
#define HOLDFAST_REPLICATION_ANSWER_H

#include "replication/replication.h"
#include "rtcp/base/memory.h"

#define REPLICA_ANSWER_MAX      ((size_t)512 << 20) /* more ends the process: see replication.h */
#define REPLICA_ANSWER_KEEP_MAX ((size_t)256 << 10) /* a larger buffer is given back after its answer was told */

struct replica_answer {
    const struct base_memory *memory;
    uint8_t *data;
    size_t size;
    size_t room;
    bool is_kept; /* false: nobody here waits for it, the bytes are dropped */
};

/* An empty answer; takes no memory yet. */
void replica_answer_init(struct replica_answer *a, const struct base_memory *m);
void replica_answer_deinit(struct replica_answer *a);

/* Begins the next answer; the bytes of the one before are no longer valid. */
void replica_answer_begin(struct replica_answer *a, bool is_kept);

/* The answer so far. Valid until the next begin. */
struct base_bytes replica_answer_bytes(const struct replica_answer *a);

#endif
