/* See buffer.h. */
#include "examples/kv/buffer.h"

#include "examples/kv/require.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void *kv_memory(size_t size)
{
    void *at = malloc(size);

    kv_require(at != NULL, "there is memory");
    return at;
}

void kv_buffer_init(struct kv_buffer *b, size_t size_max)
{
    kv_require(size_max <= SIZE_MAX / 4, "limits are small");
    *b = (struct kv_buffer){.size_max = size_max};
}

void kv_buffer_deinit(struct kv_buffer *b)
{
    free(b->data);
    kv_buffer_init(b, b->size_max);
}

/* Makes room for size more bytes: moves the rest to the front when that is cheap, else takes more memory. */
static void make_room(struct kv_buffer *b, size_t size)
{
    size_t rest = b->end - b->taken;
    size_t room = b->room < 128 ? 128 : b->room;
    uint8_t *data;

    if (b->taken >= rest && rest + size <= b->room) {
        base_copy(b->data, b->data + b->taken, rest);
        b->taken = 0;
        b->end = rest;
        return;
    }
    while (room < rest + size) {
        room *= 2;
    }
    data = kv_memory(room);
    base_copy(data, b->data == NULL ? NULL : b->data + b->taken, rest);
    free(b->data);
    b->data = data;
    b->room = room;
    b->taken = 0;
    b->end = rest;
}

void kv_buffer_add(struct kv_buffer *b, const void *data, size_t size)
{
    if (b->is_full || size > b->size_max - (b->end - b->taken)) {
        b->is_full = true;
        return;
    }
    if (size == 0) {
        return;
    }
    if (size > b->room - b->end) {
        make_room(b, size);
    }
    base_copy(b->data + b->end, data, size);
    b->end += size;
}

void kv_buffer_add_text(struct kv_buffer *b, const char *text)
{
    kv_buffer_add(b, text, strlen(text));
}

void kv_buffer_add_bytes(struct kv_buffer *b, struct base_bytes bytes)
{
    kv_buffer_add(b, bytes.data, bytes.size);
}

void kv_buffer_print(struct kv_buffer *b, const char *format, ...)
{
    char text[1024];
    va_list list;
    int size;

    va_start(list, format);
    size = vsnprintf(text, sizeof text, format, list);
    va_end(list);
    kv_require(size >= 0, "the format is right");
    kv_buffer_add(b, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
}

struct base_bytes kv_buffer_bytes(const struct kv_buffer *b)
{
    return (struct base_bytes){b->data == NULL ? NULL : b->data + b->taken, b->end - b->taken};
}

size_t kv_buffer_size(const struct kv_buffer *b)
{
    return b->end - b->taken;
}

void kv_buffer_take(struct kv_buffer *b, size_t size)
{
    kv_require(size <= b->end - b->taken, "only what is there is taken");
    b->taken += size;
    if (b->taken == b->end) {
        b->taken = 0;
        b->end = 0;
    }
}

void kv_buffer_reset(struct kv_buffer *b, size_t room_max)
{
    b->taken = 0;
    b->end = 0;
    b->is_full = false;
    if (b->room > room_max) {
        kv_buffer_deinit(b);
    }
}
