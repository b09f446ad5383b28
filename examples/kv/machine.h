/* The state machine: a store that commands from the log change.
 *
 * Owns      the store, the index of the last command applied, scratch memory.
 * Relies on command for what commands do; on replication.h, whose apply, save and load it is.
 * Not here  clients.
 */
#ifndef KV_MACHINE_H
#define KV_MACHINE_H

#include "examples/kv/command.h"

struct kv_machine {
    struct kv_store store;
    uint64_t index;
    struct kv_args args;
    struct kv_buffer reply;
};

void kv_machine_init(struct kv_machine *m, const uint8_t seed[KV_STORE_SEED_SIZE]);
void kv_machine_deinit(struct kv_machine *m);

/* Runs a command (args.h) that looks, but does not change: a read at its place, or one without a place. Its whole reply
 * is appended to `reply`. */
void kv_machine_look(struct kv_machine *m, struct base_bytes command, const struct kv_about *about,
                     struct kv_buffer *reply);

/* struct replica_machine, with the struct kv_machine as user. */
void kv_machine_apply(void *user, const struct replica_command *command, struct replica_answer *answer);
int kv_machine_save(void *user, struct replica_writer *writer);
int kv_machine_load(void *user, struct replica_reader *reader);

#endif
