/* Commands on one value or on several: see handlers.h. */
#include "examples/kv/handlers.h"
#include "examples/kv/limits.h"
#include "examples/kv/reply.h"

#include <inttypes.h>
#include <stdio.h>

static void reply_value(struct kv_call *c, struct base_bytes key)
{
    struct base_bytes value;

    if (kv_store_get(c->store, key, &value)) {
        kv_reply_bulk(c->reply, value);
    } else {
        kv_reply_nil(c->reply);
    }
}

void kv_run_get(struct kv_call *c)
{
    reply_value(c, c->args->at[1]);
}

void kv_run_mget(struct kv_call *c)
{
    kv_reply_array(c->reply, c->args->count - 1);
    for (size_t i = 1; i < c->args->count && !c->reply->is_full; i++) {
        reply_value(c, c->args->at[i]);
    }
}

void kv_run_strlen(struct kv_call *c)
{
    struct base_bytes value = {NULL, 0};

    (void)kv_store_get(c->store, c->args->at[1], &value); /* no value has size 0 */
    kv_reply_number(c->reply, (int64_t)value.size);
}

/* ------------------------------------------------------------------------------------------------ SET and its kin */

struct set_options {
    bool only_new;  /* NX */
    bool only_old;  /* XX */
    bool gives_old; /* GET */
};

static bool read_set_options(struct kv_call *c, struct set_options *o)
{
    static const char *const expiries[] = {"EX", "PX", "EXAT", "PXAT", "KEEPTTL"};

    for (size_t i = 3; i < c->args->count; i++) {
        for (size_t e = 0; e < sizeof expiries / sizeof expiries[0]; e++) {
            if (kv_args_is(c->args, i, expiries[e])) {
                kv_reply_error(c->reply, "ERR keys do not expire here: %s is not supported", expiries[e]);
                return false;
            }
        }
        o->only_new = o->only_new || kv_args_is(c->args, i, "NX");
        o->only_old = o->only_old || kv_args_is(c->args, i, "XX");
        o->gives_old = o->gives_old || kv_args_is(c->args, i, "GET");
        if (!kv_args_is(c->args, i, "NX") && !kv_args_is(c->args, i, "XX") && !kv_args_is(c->args, i, "GET")) {
            kv_reply_error(c->reply, KV_SYNTAX_ERROR);
            return false;
        }
    }
    if (o->only_new && o->only_old) {
        kv_reply_error(c->reply, KV_SYNTAX_ERROR);
        return false;
    }
    return true;
}

void kv_run_set(struct kv_call *c)
{
    struct set_options o = {false, false, false};
    struct base_bytes key = c->args->at[1];
    struct base_bytes old;
    bool is_there = kv_store_get(c->store, key, &old);
    bool is_set;

    if (!read_set_options(c, &o)) {
        return;
    }
    is_set = is_there ? !o.only_new : !o.only_old;
    if (o.gives_old) {
        reply_value(c, key);
    } else if (is_set) {
        kv_reply_status(c->reply, "OK");
    } else {
        kv_reply_nil(c->reply);
    }
    if (is_set) {
        kv_store_set(c->store, key, c->args->at[2]);
    }
}

void kv_run_setnx(struct kv_call *c)
{
    struct base_bytes old;
    bool is_there = kv_store_get(c->store, c->args->at[1], &old);

    if (!is_there) {
        kv_store_set(c->store, c->args->at[1], c->args->at[2]);
    }
    kv_reply_number(c->reply, is_there ? 0 : 1);
}

void kv_run_getset(struct kv_call *c)
{
    reply_value(c, c->args->at[1]);
    kv_store_set(c->store, c->args->at[1], c->args->at[2]);
}

void kv_run_mset(struct kv_call *c)
{
    if (c->args->count % 2 == 0) {
        kv_reply_error(c->reply, "ERR wrong number of arguments for 'mset' command");
        return;
    }
    for (size_t i = 1; i < c->args->count; i += 2) {
        kv_store_set(c->store, c->args->at[i], c->args->at[i + 1]);
    }
    kv_reply_status(c->reply, "OK");
}

void kv_run_append(struct kv_call *c)
{
    struct base_bytes old = {NULL, 0};

    (void)kv_store_get(c->store, c->args->at[1], &old); /* no value has size 0 */
    if (c->args->at[2].size > KV_BULK_MAX - old.size) {
        kv_reply_error(c->reply, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
        return;
    }
    kv_reply_number(c->reply, (int64_t)kv_store_append(c->store, c->args->at[1], c->args->at[2]));
}

/* ------------------------------------------------------------------------------------------------ counters */

static void add(struct kv_call *c, int64_t number)
{
    struct base_bytes value;
    char text[24];
    int64_t sum = 0;
    int size;

    if (kv_store_get(c->store, c->args->at[1], &value) && !kv_number_parse(value, &sum)) {
        kv_reply_error(c->reply, KV_OUT_OF_RANGE);
        return;
    }
    if (number < 0 ? sum < INT64_MIN - number : sum > INT64_MAX - number) {
        kv_reply_error(c->reply, "ERR increment or decrement would overflow");
        return;
    }
    sum += number;
    size = snprintf(text, sizeof text, "%" PRId64, sum);
    kv_store_set(c->store, c->args->at[1], (struct base_bytes){(const uint8_t *)text, (size_t)size});
    kv_reply_number(c->reply, sum);
}

void kv_run_incr(struct kv_call *c)
{
    add(c, 1);
}

void kv_run_decr(struct kv_call *c)
{
    add(c, -1);
}

void kv_run_incrby(struct kv_call *c)
{
    int64_t number = 0;

    if (!kv_args_number(c->args, 2, &number)) {
        kv_reply_error(c->reply, KV_OUT_OF_RANGE);
        return;
    }
    add(c, number);
}

void kv_run_decrby(struct kv_call *c)
{
    int64_t number = 0;

    if (!kv_args_number(c->args, 2, &number)) {
        kv_reply_error(c->reply, KV_OUT_OF_RANGE);
        return;
    }
    if (number == INT64_MIN) {
        kv_reply_error(c->reply, "ERR decrement would overflow");
        return;
    }
    add(c, -number);
}
