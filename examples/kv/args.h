/* A command as it stands in the log, and the vector of its arguments.
 *
 * Owns      the format: a count, then each argument's size and bytes (32-bit numbers, big-endian); and a vector that
 *           points into such bytes.
 * Relies on buffer.
 * Not here  where the bytes come from: a client (resp) or the log (machine).
 */
#ifndef KV_ARGS_H
#define KV_ARGS_H

#include "examples/kv/buffer.h"
#include "rtcp/base/status.h"

/* Begins an empty command in b, which is emptied. */
void kv_command_begin(struct kv_buffer *b);

/* Adds one argument; b->is_full when the command becomes too large. */
void kv_command_add(struct kv_buffer *b, struct base_bytes argument);

/* How many arguments a command that was begun in b has. */
size_t kv_command_count(const struct kv_buffer *b);

/* The arguments of one command. */
struct kv_args {
    size_t count;
    struct base_bytes *at; /* borrowed bytes */
    size_t room;
};

void kv_args_init(struct kv_args *a);
void kv_args_deinit(struct kv_args *a);

/* Points a at the arguments of a command, whose bytes are borrowed. 0, or BASE_E_PROTOCOL when they are not exactly one
 * command of at least one and at most KV_ARGS_MAX arguments; then a is empty. */
BASE_MUST_USE int kv_args_parse(struct kv_args *a, struct base_bytes command);

/* Whether argument i is this word, in any case. */
bool kv_args_is(const struct kv_args *a, size_t i, const char *word);

/* The whole argument as a number, as Redis reads it: no spaces, no plus, no leading zeros. False: it is none. */
bool kv_args_number(const struct kv_args *a, size_t i, int64_t *ret_number);
bool kv_number_parse(struct base_bytes text, int64_t *ret_number);

#endif
