/* See command.h. */
#include "examples/kv/command.h"

#include "examples/kv/handlers.h"
#include "examples/kv/reply.h"

static const struct kv_command table[] = {
    {"append", 3, KV_WRITE, KV_GIVES_LITTLE, 1, 1, 1, kv_run_append},
    {"command", -1, KV_LOCAL, KV_GIVES_LITTLE, 0, 0, 0, kv_run_command},
    {"config", -2, KV_LOCAL, KV_GIVES_LITTLE, 0, 0, 0, kv_run_config},
    {"dbsize", 1, KV_READ, KV_GIVES_LITTLE, 0, 0, 0, kv_run_dbsize},
    {"decr", 2, KV_WRITE, KV_GIVES_LITTLE, 1, 1, 1, kv_run_decr},
    {"decrby", 3, KV_WRITE, KV_GIVES_LITTLE, 1, 1, 1, kv_run_decrby},
    {"del", -2, KV_WRITE, KV_GIVES_LITTLE, 1, -1, 1, kv_run_del},
    {"echo", 2, KV_LOCAL, KV_GIVES_LITTLE, 0, 0, 0, kv_run_echo},
    {"exists", -2, KV_READ, KV_GIVES_LITTLE, 1, -1, 1, kv_run_exists},
    {"flushall", -1, KV_WRITE, KV_GIVES_LITTLE, 0, 0, 0, kv_run_flushall},
    {"get", 2, KV_READ, KV_GIVES_VALUES, 1, 1, 1, kv_run_get},
    {"getset", 3, KV_WRITE, KV_GIVES_VALUES, 1, 1, 1, kv_run_getset},
    {"hello", -1, KV_LOCAL, KV_GIVES_LITTLE, 0, 0, 0, kv_run_hello},
    {"holdfast", -2, KV_LOCAL, KV_GIVES_LITTLE, 0, 0, 0, kv_run_holdfast},
    {"incr", 2, KV_WRITE, KV_GIVES_LITTLE, 1, 1, 1, kv_run_incr},
    {"incrby", 3, KV_WRITE, KV_GIVES_LITTLE, 1, 1, 1, kv_run_incrby},
    {"info", -1, KV_LOCAL, KV_GIVES_LITTLE, 0, 0, 0, kv_run_info},
    {"keys", 2, KV_READ, KV_GIVES_KEYS, 0, 0, 0, kv_run_keys},
    {"mget", -2, KV_READ, KV_GIVES_VALUES, 1, -1, 1, kv_run_mget},
    {"mset", -3, KV_WRITE, KV_GIVES_LITTLE, 1, -1, 2, kv_run_mset},
    {"ping", -1, KV_LOCAL, KV_GIVES_LITTLE, 0, 0, 0, kv_run_ping},
    {"quit", -1, KV_QUIT, KV_GIVES_LITTLE, 0, 0, 0, kv_run_quit},
    {"scan", -2, KV_READ, KV_GIVES_KEYS, 0, 0, 0, kv_run_scan},
    {"select", 2, KV_LOCAL, KV_GIVES_LITTLE, 0, 0, 0, kv_run_select},
    {"set", -3, KV_WRITE, KV_GIVES_VALUES, 1, 1, 1, kv_run_set},
    {"setnx", 3, KV_WRITE, KV_GIVES_LITTLE, 1, 1, 1, kv_run_setnx},
    {"strlen", 2, KV_READ, KV_GIVES_LITTLE, 1, 1, 1, kv_run_strlen},
    {"type", 2, KV_READ, KV_GIVES_LITTLE, 1, 1, 1, kv_run_type},
};

const struct kv_command *kv_command_at(size_t i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}

static void say_unknown(const struct kv_args *args, struct kv_buffer *reply)
{
    char beginning[160] = "";
    struct kv_buffer text;
    struct base_bytes bytes;

    kv_buffer_init(&text, sizeof beginning - 1);
    for (size_t i = 1; i < args->count && !text.is_full; i++) {
        kv_buffer_print(&text, "'%.*s' ", (int)(args->at[i].size < 128 ? args->at[i].size : 128),
                        (const char *)args->at[i].data);
    }
    bytes = kv_buffer_bytes(&text);
    base_copy(beginning, bytes.data, bytes.size);
    kv_reply_error(reply, "ERR unknown command '%.*s', with args beginning with: %s",
                   (int)(args->at[0].size < 128 ? args->at[0].size : 128), (const char *)args->at[0].data, beginning);
    kv_buffer_deinit(&text);
}

const struct kv_command *kv_command_find(const struct kv_args *args, struct kv_buffer *reply)
{
    const struct kv_command *command = NULL;

    for (size_t i = 0; i < sizeof table / sizeof table[0] && command == NULL; i++) {
        command = kv_args_is(args, 0, table[i].name) ? &table[i] : NULL;
    }
    if (command == NULL) {
        say_unknown(args, reply);
        return NULL;
    }
    if (command->arity > 0 ? args->count != (size_t)command->arity : args->count < (size_t)-command->arity) {
        kv_reply_error(reply, "ERR wrong number of arguments for '%s' command", command->name);
        return NULL;
    }
    return command;
}

static size_t guess_values(const struct kv_command *command, const struct kv_args *args, const struct kv_store *store)
{
    size_t last = command->key_last > 0 ? (size_t)command->key_last : args->count - 1;
    size_t guess = 0;
    struct base_bytes value;

    for (size_t i = (size_t)command->key_first; i <= last; i += (size_t)command->key_step) {
        guess += kv_store_get(store, args->at[i], &value) ? value.size : 0;
    }
    return guess;
}

size_t kv_command_guess(const struct kv_command *command, const struct kv_args *args, const struct kv_store *store)
{
    switch (command->gives) {
    case KV_GIVES_VALUES:
        return guess_values(command, args, store);
    case KV_GIVES_KEYS:
        return store->count * 32; /* keys are short, and SCAN seldom gives all */
    case KV_GIVES_LITTLE:
        break;
    }
    return 0;
}

void kv_command_run(const struct kv_command *command, struct kv_call *call)
{
    command->run(call);
    kv_reply_finish(call->reply);
}
