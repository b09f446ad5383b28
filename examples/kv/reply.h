/* Replies as Redis writes them (RESP2).
 *
 * Owns      nothing. Relies on buffer.
 */
#ifndef KV_REPLY_H
#define KV_REPLY_H

#include "examples/kv/buffer.h"

void kv_reply_status(struct kv_buffer *b, const char *text);
void kv_reply_number(struct kv_buffer *b, int64_t number);
void kv_reply_bulk(struct kv_buffer *b, struct base_bytes bytes);
void kv_reply_text(struct kv_buffer *b, const char *text); /* as a bulk string */
void kv_reply_nil(struct kv_buffer *b);
void kv_reply_array(struct kv_buffer *b, size_t count); /* the elements follow */

/* An error: begins with its kind ("ERR ..."); no line ends. */
__attribute__((format(printf, 2, 3))) void kv_reply_error(struct kv_buffer *b, const char *format, ...);

/* Replaces a reply that did not fit (b->is_full) by an error. */
void kv_reply_finish(struct kv_buffer *b);

#define KV_OUT_OF_RANGE "ERR value is not an integer or out of range"
#define KV_SYNTAX_ERROR "ERR syntax error"

#endif
