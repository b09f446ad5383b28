/* See inline.h. */
#include "examples/kv/inline.h"

#include "examples/kv/args.h"
#include "examples/kv/limits.h"

struct cursor {
    struct base_bytes line;
    size_t at;
};

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int hex(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character after a backslash inside double quotes. */
static uint8_t escaped(struct cursor *c)
{
    static const char names[] = "nrtba";
    static const char means[] = "\n\r\t\b\a";
    uint8_t letter = c->line.data[c->at++];
    const char *found = letter == '\0' ? NULL : strchr(names, letter);

    if (letter == 'x' && c->at + 1 < c->line.size && hex(c->line.data[c->at]) >= 0 &&
        hex(c->line.data[c->at + 1]) >= 0) {
        int byte = hex(c->line.data[c->at]) * 16 + hex(c->line.data[c->at + 1]);

        c->at += 2;
        return (uint8_t)byte;
    }
    return found == NULL ? letter : (uint8_t)means[found - names];
}

/* Reads up to the closing quote; false when there is none. */
static bool quoted(struct cursor *c, uint8_t quote, struct kv_buffer *word)
{
    while (c->at < c->line.size) {
        uint8_t byte = c->line.data[c->at++];

        if (byte == quote) {
            return c->at == c->line.size || is_space(c->line.data[c->at]);
        }
        if (byte == '\\' && c->at < c->line.size && quote == '"') {
            byte = escaped(c);
        } else if (byte == '\\' && c->at < c->line.size && c->line.data[c->at] == '\'') {
            byte = c->line.data[c->at++];
        }
        kv_buffer_add(word, &byte, 1);
    }
    return false;
}

static bool read_word(struct cursor *c, struct kv_buffer *word)
{
    while (c->at < c->line.size && !is_space(c->line.data[c->at])) {
        uint8_t byte = c->line.data[c->at++];

        if (byte == '"' || byte == '\'') {
            return quoted(c, byte, word);
        }
        kv_buffer_add(word, &byte, 1);
    }
    return true;
}

static bool skip_spaces(struct cursor *c)
{
    while (c->at < c->line.size && is_space(c->line.data[c->at])) {
        c->at++;
    }
    return c->at < c->line.size;
}

int kv_inline_parse(struct base_bytes line, struct kv_buffer *command)
{
    struct cursor c = {line, 0};
    struct kv_buffer word;
    bool is_right = true;

    kv_buffer_init(&word, KV_INLINE_MAX);
    while (is_right && skip_spaces(&c)) {
        kv_buffer_reset(&word, KV_INLINE_MAX);
        is_right = read_word(&c, &word);
        if (is_right) {
            kv_command_add(command, kv_buffer_bytes(&word));
        }
    }
    kv_buffer_deinit(&word);
    return is_right ? 0 : BASE_E_PROTOCOL;
}
