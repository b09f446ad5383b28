/* The ordered log in memory: entries with an index, in chunks, so that a range of them is one piece of raw bytes.
 *
 * Owns      the chunks, the index of entries in them, the hash chain.
 * Relies on an allocator, asked once per chunk.
 * Not here  who may append what (order.h), cursors (stream.c: a cursor is an index), files (wal.h).
 * Protocol  membership/PROTOCOL.md "The log".
 */
#ifndef HOLDFAST_MEMBERSHIP_LOG_H
#define HOLDFAST_MEMBERSHIP_LOG_H

#include "membership/entry.h"
#include "rtcp/base/memory.h"

#include <stdbool.h>

#define LOG_CHUNK_SIZE (256u << 10) /* memory of a chunk; a larger entry gets a chunk of its own */

struct log_chunk;

/* A place in the log: the entry and the hash of everything up to it. */
struct log_place {
    uint64_t index;
    uint64_t term;
    uint64_t hash;
};

struct log {
    const struct base_memory *memory;
    bool is_hashed;           /* without, hashes are all 0 (commands not yet in the order) */
    struct log_place base;    /* the entry before the first one in memory */
    struct log_place last;    /* the newest; equal to base when there is none */
    struct log_chunk **chunk; /* ascending; chunk[head] is the oldest */
    size_t head;
    size_t count;
    size_t room;
    struct log_chunk *spare; /* one empty chunk, so that a short log does not ask the allocator again and again */
    size_t bytes;            /* memory of the chunks in use */
};

/* An empty log that goes on after `base`. Takes no memory yet. */
void log_init(struct log *l, const struct base_memory *memory, struct log_place base, bool is_hashed);
void log_deinit(struct log *l);

/* Appends an entry after the last one: entry->index is last.index + 1, its term not below last.term, its data at most
 * ENTRY_DATA_MAX. 0 or BASE_E_NOMEM. */
BASE_MUST_USE int log_append(struct log *l, const struct entry *entry);

/* The same with the raw bytes of one whole entry, of which entry_parse gave `entry`. 0 or BASE_E_NOMEM. */
BASE_MUST_USE int log_append_raw(struct log *l, const struct entry *entry, struct base_bytes raw);

/* Memory that appending `size` bytes of data would take from the allocator; 0 when there is room. */
size_t log_cost(const struct log *l, size_t size);

/* Forgets the entries after `index`, which is within [base, last]. */
void log_truncate(struct log *l, uint64_t index);

/* May forget the entries up to `index`; the base moves by whole chunks. */
void log_drop(struct log *l, uint64_t index);

/* The place of an entry in [base, last]; false outside. */
bool log_at(const struct log *l, uint64_t index, struct log_place *ret_place);

/* An entry in (base, last]; false outside. */
bool log_get(const struct log *l, uint64_t index, struct entry *ret_entry);

/* The raw bytes of one entry; empty when it is not in memory. */
struct base_bytes log_raw(const struct log *l, uint64_t index);

/* The raw bytes of the whole entries from `first` on, at most up to `upto`, that stand in one piece and fit into `room`
 * bytes. Empty, with *ret_count 0, when not even the first fits or it is not in memory. */
struct base_bytes log_range(const struct log *l, uint64_t first, uint64_t upto, size_t room, uint32_t *ret_count);

/* The greatest index in [base, last] whose term is not above `term`; base.index when there is none. */
uint64_t log_end_of(const struct log *l, uint64_t term);

#endif
