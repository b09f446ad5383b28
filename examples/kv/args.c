/* See args.h. */
#include "examples/kv/args.h"

#include "examples/kv/limits.h"

#include <stdlib.h>
#include <strings.h>

void kv_command_begin(struct kv_buffer *b)
{
    static const uint8_t none[4] = {0};

    kv_buffer_reset(b, KV_INPUT_SMALL);
    kv_buffer_add(b, none, sizeof none);
}

void kv_command_add(struct kv_buffer *b, struct base_bytes argument)
{
    uint8_t size[4];

    base_put32(size, (uint32_t)argument.size);
    kv_buffer_add(b, size, sizeof size);
    kv_buffer_add_bytes(b, argument);
    base_put32(b->data, (uint32_t)kv_command_count(b) + 1);
}

size_t kv_command_count(const struct kv_buffer *b)
{
    return base_get32(b->data);
}

void kv_args_init(struct kv_args *a)
{
    *a = (struct kv_args){0};
}

void kv_args_deinit(struct kv_args *a)
{
    free(a->at);
    kv_args_init(a);
}

static void make_room(struct kv_args *a, size_t count)
{
    if (count > a->room || a->room > 1024) {
        free(a->at);
        a->room = count < 16 ? 16 : count;
        a->at = kv_memory(a->room * sizeof *a->at);
    }
}

static bool take(struct base_bytes *rest, size_t size, struct base_bytes *ret_piece)
{
    if (size > rest->size) {
        return false;
    }
    *ret_piece = (struct base_bytes){rest->data, size};
    rest->data += size;
    rest->size -= size;
    return true;
}

static bool take_number(struct base_bytes *rest, size_t *ret_number)
{
    struct base_bytes piece;

    if (!take(rest, 4, &piece)) {
        return false;
    }
    *ret_number = base_get32(piece.data);
    return true;
}

int kv_args_parse(struct kv_args *a, struct base_bytes command)
{
    struct base_bytes rest = command;
    size_t count = 0;
    size_t size = 0;

    a->count = 0;
    if (!take_number(&rest, &count) || count < 1 || count > KV_ARGS_MAX) {
        return BASE_E_PROTOCOL;
    }
    make_room(a, count);
    for (size_t i = 0; i < count; i++) {
        if (!take_number(&rest, &size) || !take(&rest, size, &a->at[i])) {
            return BASE_E_PROTOCOL;
        }
    }
    if (rest.size > 0) {
        return BASE_E_PROTOCOL;
    }
    a->count = count;
    return 0;
}

bool kv_args_is(const struct kv_args *a, size_t i, const char *word)
{
    return a->at[i].size == strlen(word) && strncasecmp((const char *)a->at[i].data, word, a->at[i].size) == 0;
}

bool kv_args_number(const struct kv_args *a, size_t i, int64_t *ret_number)
{
    return kv_number_parse(a->at[i], ret_number);
}

bool kv_number_parse(struct base_bytes text, int64_t *ret_number)
{
    bool is_negative = text.size > 0 && text.data[0] == '-';
    size_t first = is_negative ? 1 : 0;
    uint64_t limit = is_negative ? (uint64_t)INT64_MAX + 1 : (uint64_t)INT64_MAX;
    uint64_t number = 0;

    if (text.size == first || text.size > 20) {
        return false;
    }
    if (text.data[first] == '0' && text.size > 1) {
        return false; /* "007" and "-0" are texts */
    }
    for (size_t i = first; i < text.size; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';

        if (text.data[i] < '0' || text.data[i] > '9' || number > (limit - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *ret_number = is_negative ? (int64_t)(0 - number) : (int64_t)number;
    return true;
}
