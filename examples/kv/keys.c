/* Commands on keys, whatever their values: see handlers.h. */
#include "examples/kv/glob.h"
#include "examples/kv/handlers.h"
#include "examples/kv/limits.h"
#include "examples/kv/reply.h"

#include <inttypes.h>
#include <stdio.h>

void kv_run_del(struct kv_call *c)
{
    int64_t count = 0;

    for (size_t i = 1; i < c->args->count; i++) {
        count += kv_store_delete(c->store, c->args->at[i]) ? 1 : 0;
    }
    kv_reply_number(c->reply, count);
}

void kv_run_exists(struct kv_call *c)
{
    struct base_bytes value;
    int64_t count = 0;

    for (size_t i = 1; i < c->args->count; i++) {
        count += kv_store_get(c->store, c->args->at[i], &value) ? 1 : 0;
    }
    kv_reply_number(c->reply, count);
}

void kv_run_dbsize(struct kv_call *c)
{
    kv_reply_number(c->reply, (int64_t)c->store->count);
}

void kv_run_flushall(struct kv_call *c)
{
    if (c->args->count > 2 ||
        (c->args->count == 2 && !kv_args_is(c->args, 1, "ASYNC") && !kv_args_is(c->args, 1, "SYNC"))) {
        kv_reply_error(c->reply, KV_SYNTAX_ERROR);
        return;
    }
    kv_store_clear(c->store);
    kv_reply_status(c->reply, "OK");
}

void kv_run_type(struct kv_call *c)
{
    struct base_bytes value;

    kv_reply_status(c->reply, kv_store_get(c->store, c->args->at[1], &value) ? "string" : "none");
}

/* ------------------------------------------------------------------------------------------------ KEYS and SCAN */

struct found {
    struct base_bytes pattern;
    bool has_pattern;
    size_t seen;
    size_t count;
    struct kv_buffer keys; /* as elements of an array */
};

static void visit(void *user, struct base_bytes key, struct base_bytes value)
{
    struct found *f = user;

    (void)value;
    f->seen++;
    if (!f->has_pattern || kv_glob_fits(f->pattern, key)) {
        kv_reply_bulk(&f->keys, key);
        f->count++;
    }
}

static void reply_found(struct kv_call *c, struct found *f)
{
    c->reply->is_full = c->reply->is_full || f->keys.is_full;
    kv_reply_array(c->reply, f->count);
    kv_buffer_add_bytes(c->reply, kv_buffer_bytes(&f->keys));
    kv_buffer_deinit(&f->keys);
}

void kv_run_keys(struct kv_call *c)
{
    struct found f = {.pattern = c->args->at[1], .has_pattern = true};
    uint64_t cursor = 0;

    kv_buffer_init(&f.keys, KV_REPLY_MAX);
    do {
        cursor = kv_store_scan(c->store, cursor, visit, &f);
    } while (cursor != 0);
    reply_found(c, &f);
}

struct scan {
    uint64_t cursor;
    int64_t count;
    struct base_bytes pattern;
    bool has_pattern;
    bool finds_nothing; /* TYPE of something we have not */
};

static bool read_cursor(struct base_bytes text, uint64_t *ret_cursor)
{
    uint64_t cursor = 0;

    for (size_t i = 0; i < text.size; i++) {
        uint64_t digit = (uint64_t)text.data[i] - '0';

        if (digit > 9 || cursor > (UINT64_MAX - digit) / 10) {
            return false;
        }
        cursor = cursor * 10 + digit;
    }
    *ret_cursor = cursor;
    return text.size > 0;
}

static const char *read_scan(const struct kv_args *a, struct scan *s)
{
    if (!read_cursor(a->at[1], &s->cursor)) {
        return "ERR invalid cursor";
    }
    for (size_t i = 2; i < a->count; i += 2) {
        if (i + 1 == a->count) {
            return KV_SYNTAX_ERROR;
        }
        if (kv_args_is(a, i, "COUNT")) {
            if (!kv_args_number(a, i + 1, &s->count)) {
                return KV_OUT_OF_RANGE;
            }
            if (s->count < 1) {
                return KV_SYNTAX_ERROR;
            }
        } else if (kv_args_is(a, i, "MATCH")) {
            s->pattern = a->at[i + 1];
            s->has_pattern = true;
        } else if (kv_args_is(a, i, "TYPE")) {
            s->finds_nothing = !kv_args_is(a, i + 1, "string");
        } else {
            return KV_SYNTAX_ERROR;
        }
    }
    return NULL;
}

void kv_run_scan(struct kv_call *c)
{
    struct scan s = {.count = 10};
    const char *error = read_scan(c->args, &s);
    struct found f = {.pattern = s.pattern, .has_pattern = s.has_pattern};
    uint64_t limit;
    char text[24];

    if (error != NULL) {
        kv_reply_error(c->reply, "%s", error);
        return;
    }
    kv_buffer_init(&f.keys, KV_REPLY_MAX);
    limit = (uint64_t)s.count > UINT64_MAX / 10 ? UINT64_MAX : (uint64_t)s.count * 10; /* of empty buckets */
    do {
        s.cursor = kv_store_scan(c->store, s.cursor, visit, &f);
    } while (s.cursor != 0 && f.seen < (uint64_t)s.count && --limit > 0);
    if (s.finds_nothing) {
        f.count = 0;
        kv_buffer_reset(&f.keys, 0);
    }
    (void)snprintf(text, sizeof text, "%" PRIu64, s.cursor);
    kv_reply_array(c->reply, 2);
    kv_reply_text(c->reply, text);
    reply_found(c, &f);
}
