/* What a Redis client sends: commands as arrays of bulk strings, or as lines ("inline").
 *
 * Owns      one client's input that is not yet a command, and the command that was read last.
 * Relies on hiredis's reader, which calls our functions with each bulk string; on args for the result.
 * Not here  what commands mean.
 * Protocol  RESP2, redis.io/docs/reference/protocol-spec. Limits: limits.h.
 */
#ifndef KV_RESP_H
#define KV_RESP_H

#include "examples/kv/buffer.h"

struct redisReader;

struct kv_resp {
    struct redisReader *reader; /* NULL before the first byte: clients that never speak cost nothing */
    struct kv_buffer command;
    char error[128]; /* set once; nothing is read after it */
};

enum kv_resp_result {
    KV_RESP_MORE,    /* no whole command yet */
    KV_RESP_COMMAND, /* one more command */
    KV_RESP_ERROR,   /* not RESP, or above a limit: r->error says what, without "-ERR " */
};

void kv_resp_init(struct kv_resp *r);
void kv_resp_deinit(struct kv_resp *r);

/* Appends input. */
void kv_resp_feed(struct kv_resp *r, const void *data, size_t size);

/* Reads the next command; its bytes (args.h) are valid until the next call. Empty commands are passed over. */
enum kv_resp_result kv_resp_next(struct kv_resp *r, struct base_bytes *ret_command);

/* Bytes of input held. */
size_t kv_resp_size(const struct kv_resp *r);

#endif
