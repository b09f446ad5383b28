/* The command line.
 *
 * Owns      the texts it points at, as long as argv lives; the key.
 * Relies on nothing.
 */
#ifndef KV_OPTIONS_H
#define KV_OPTIONS_H

#include "replication/replication.h"

#define KV_KEY_MAX 64
#define KV_KEY_MIN 16

struct kv_options {
    uint32_t self;
    struct group_address member[GROUP_MEMBERS_MAX];
    char address[GROUP_MEMBERS_MAX][GROUP_ADDRESS_SIZE];
    uint32_t member_count;
    const char *listen;       /* for Redis clients */
    const char *group_listen; /* for members; NULL: the address among the members */
    const char *name;
    uint64_t token;
    uint64_t election_ms;
    uint64_t submit_ms;
    uint64_t clients_max;
    uint8_t key[KV_KEY_MAX];
    size_t key_size; /* 0: none */
    bool is_json;
    bool is_traced;
    bool wants_help;
};

/* Reads argv. 0, or BASE_E_INVALID after a sentence on stderr. */
BASE_MUST_USE int kv_options_read(struct kv_options *o, int argc, char **argv);

extern const char kv_help[];

#endif
