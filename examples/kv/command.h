/* The commands: their names, what they need, and how to run one.
 *
 * Owns      the table; the texts of errors that concern all commands.
 * Relies on strings, keys, local, holdfast for what commands do.
 * Not here  the log: a command runs on the store it is given, and gives the same answer on every replica if it writes.
 */
#ifndef KV_COMMAND_H
#define KV_COMMAND_H

#include "examples/kv/args.h"
#include "examples/kv/store.h"
#include "replication/replication.h"

/* What a server knows about itself, for commands that tell it. */
struct kv_counts {
    uint64_t clients;
    uint64_t clients_seen;
    uint64_t clients_refused;
    uint64_t commands;
    uint64_t protocol_errors;
    base_time up; /* since the start */
};

struct kv_about {
    void *user;
    void (*stats)(void *user, struct replica_stats *ret_stats);
    const struct group_view *(*view)(void *user); /* NULL before the founding */
    void (*counts)(void *user, struct kv_counts *ret_counts);
};

/* One run of a command. */
struct kv_call {
    struct kv_store *store;
    const struct kv_args *args;
    struct kv_buffer *reply;
    uint64_t index;               /* up to which commands were applied to the store */
    const struct kv_about *about; /* for KV_LOCAL */
};

typedef void kv_handler(struct kv_call *call);

enum kv_kind {
    KV_LOCAL, /* asks this server; no place in the order */
    KV_READ,  /* looks at the store, at a place in the order */
    KV_WRITE, /* changes the store, on every replica */
    KV_QUIT,  /* KV_LOCAL, and the client goes */
};

/* What the reply holds: how large it may become. */
enum kv_gives {
    KV_GIVES_LITTLE,
    KV_GIVES_VALUES, /* of its keys */
    KV_GIVES_KEYS,   /* maybe all */
};

struct kv_command {
    const char *name; /* lower case */
    int arity;        /* arguments, the name included; -n: n or more */
    enum kv_kind kind;
    enum kv_gives gives;
    int key_first; /* as COMMAND tells them; 0: none */
    int key_last;
    int key_step;
    kv_handler *run;
};

/* The command that args name with a right number of arguments; or NULL, and the error is in reply. */
const struct kv_command *kv_command_find(const struct kv_args *args, struct kv_buffer *reply);

/* About how many bytes the reply of a command would have now. */
size_t kv_command_guess(const struct kv_command *command, const struct kv_args *args, const struct kv_store *store);

/* Runs a command; the reply is whole and within KV_REPLY_MAX. */
void kv_command_run(const struct kv_command *command, struct kv_call *call);

/* Walks the table: NULL after the last. */
const struct kv_command *kv_command_at(size_t i);

#endif
