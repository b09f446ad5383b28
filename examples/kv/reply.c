/* See reply.h. */
#include "examples/kv/reply.h"

#include "examples/kv/limits.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void kv_reply_status(struct kv_buffer *b, const char *text)
{
    kv_buffer_print(b, "+%s\r\n", text);
}

void kv_reply_number(struct kv_buffer *b, int64_t number)
{
    kv_buffer_print(b, ":%" PRId64 "\r\n", number);
}

void kv_reply_bulk(struct kv_buffer *b, struct base_bytes bytes)
{
    kv_buffer_print(b, "$%zu\r\n", bytes.size);
    kv_buffer_add_bytes(b, bytes);
    kv_buffer_add(b, "\r\n", 2);
}

void kv_reply_text(struct kv_buffer *b, const char *text)
{
    kv_reply_bulk(b, (struct base_bytes){(const uint8_t *)text, strlen(text)});
}

void kv_reply_nil(struct kv_buffer *b)
{
    kv_buffer_add(b, "$-1\r\n", 5);
}

void kv_reply_array(struct kv_buffer *b, size_t count)
{
    kv_buffer_print(b, "*%zu\r\n", count);
}

void kv_reply_error(struct kv_buffer *b, const char *format, ...)
{
    char text[512];
    va_list list;

    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    for (size_t i = 0; text[i] != '\0'; i++) {
        if (text[i] == '\r' || text[i] == '\n') {
            text[i] = ' '; /* what a client sent may be quoted in the text */
        }
    }
    kv_buffer_print(b, "-%s\r\n", text);
}

void kv_reply_finish(struct kv_buffer *b)
{
    if (b->is_full) {
        kv_buffer_reset(b, KV_INPUT_SMALL);
        kv_reply_error(b, "ERR the reply is larger than %zu bytes", KV_REPLY_MAX);
    }
}
