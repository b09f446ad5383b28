/* Bytes that grow at the end and are taken from the front, up to a limit.
 *
 * Owns      its memory; without memory the process ends (limits.h bounds all sizes).
 * Relies on nothing.
 */
#ifndef KV_BUFFER_H
#define KV_BUFFER_H

#include "rtcp/base/bytes.h"

struct kv_buffer {
    uint8_t *data;
    size_t taken; /* bytes at the front that are gone */
    size_t end;   /* bytes in use, the taken ones included */
    size_t room;
    size_t size_max;
    bool is_full; /* something did not fit and was left out */
};

/* malloc that ends the process rather than failing. */
void *kv_memory(size_t size);

void kv_buffer_init(struct kv_buffer *b, size_t size_max);
void kv_buffer_deinit(struct kv_buffer *b);

/* Appends all of it; or nothing, and is_full from then on, when the limit would be passed. */
void kv_buffer_add(struct kv_buffer *b, const void *data, size_t size);
void kv_buffer_add_text(struct kv_buffer *b, const char *text);
void kv_buffer_add_bytes(struct kv_buffer *b, struct base_bytes bytes);

/* Appends as printf does; at most 1023 bytes a call. */
__attribute__((format(printf, 2, 3))) void kv_buffer_print(struct kv_buffer *b, const char *format, ...);

/* The bytes in it. Valid until the next call that changes it. */
struct base_bytes kv_buffer_bytes(const struct kv_buffer *b);
size_t kv_buffer_size(const struct kv_buffer *b);

/* Takes size bytes from the front. */
void kv_buffer_take(struct kv_buffer *b, size_t size);

/* Empties it, and gives memory back where it holds more than room_max bytes. */
void kv_buffer_reset(struct kv_buffer *b, size_t room_max);

#endif
