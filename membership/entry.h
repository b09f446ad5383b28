/* One entry of the order: its raw format, which is what goes over the wire and to disk, and its hash.
 *
 * Owns      the layout of the head, the kinds of entries, the hash function.
 * Relies on bytes.h.
 * Not here  where entries stand (log.h), who may make them (order.h).
 * Protocol  membership/PROTOCOL.md "Entries".
 */
#ifndef HOLDFAST_MEMBERSHIP_ENTRY_H
#define HOLDFAST_MEMBERSHIP_ENTRY_H

#include "rtcp/base/bytes.h"
#include "rtcp/base/status.h"

#define ENTRY_HEAD_SIZE 48u                                /* bytes before an entry's data */
#define ENTRY_DATA_MAX  (16u << 20)                        /* bytes of an entry's data */
#define ENTRY_SIZE_MAX  (ENTRY_HEAD_SIZE + ENTRY_DATA_MAX) /* bytes of an entry */

/* What an entry is. The numbers are those of the wire and never change. */
enum entry_kind {
    ENTRY_NOOP = 1,    /* the first entry of a leader's term: it lets older entries become settled (T25) */
    ENTRY_DATA = 2,    /* a command of a member */
    ENTRY_VIEW = 3,    /* a view whose voters are unchanged; reserved */
    ENTRY_PREPARE = 4, /* prepares a view: needs majorities of old and new; reserved */
    ENTRY_INSTALL = 5, /* installs a view: its commit is the cut; reserved */
};

/* An entry as a struct; data points into the raw bytes. */
struct entry {
    uint64_t index;
    uint64_t term;
    enum entry_kind kind;
    uint32_t group;       /* number of the group */
    uint32_t origin;      /* member that submitted it; 0 for NOOP */
    uint64_t incarnation; /* of the origin */
    uint64_t number;      /* the origin's own count; 0 for NOOP */
    struct base_bytes data;
};

/* Reads the first entry of raw bytes. 0 and its size, BASE_E_AGAIN when bytes are missing, BASE_E_PROTOCOL when this is
 * no entry. */
BASE_MUST_USE int entry_parse(struct base_bytes raw, struct entry *ret_entry, size_t *ret_size);

/* The whole size of the entry that begins with these bytes, at least ENTRY_HEAD_SIZE of them; 0 when it is too large.
 */
size_t entry_size(struct base_bytes head);

/* Writes the ENTRY_HEAD_SIZE bytes before the data. */
void entry_put_head(uint8_t at[ENTRY_HEAD_SIZE], const struct entry *entry);

/* The chained hash: of the entry before and the raw bytes of this one. Not a secret: it finds mistakes, not attackers.
 */
uint64_t entry_hash(uint64_t before, struct base_bytes raw);

#endif
