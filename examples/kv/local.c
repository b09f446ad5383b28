/* Commands that ask this server alone and have no place in the order: see handlers.h. */
#include "examples/kv/glob.h"
#include "examples/kv/handlers.h"
#include "examples/kv/limits.h"
#include "examples/kv/reply.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <unistd.h>

#define SPOKEN_VERSION "7.0.15" /* of Redis, whose commands and texts these are */

static void say_unknown_subcommand(struct kv_call *c, const char *command)
{
    struct base_bytes name = c->args->at[1];

    kv_reply_error(c->reply, "ERR unknown subcommand '%.*s'. Try %s HELP.", (int)(name.size < 128 ? name.size : 128),
                   (const char *)name.data, command);
}

static void say_wrong_count(struct kv_call *c, const char *command)
{
    kv_reply_error(c->reply, "ERR wrong number of arguments for '%s' command", command);
}

void kv_run_ping(struct kv_call *c)
{
    if (c->args->count == 1) {
        kv_reply_status(c->reply, "PONG");
    } else if (c->args->count == 2) {
        kv_reply_bulk(c->reply, c->args->at[1]);
    } else {
        say_wrong_count(c, "ping");
    }
}

void kv_run_echo(struct kv_call *c)
{
    kv_reply_bulk(c->reply, c->args->at[1]);
}

void kv_run_quit(struct kv_call *c)
{
    kv_reply_status(c->reply, "OK");
}

void kv_run_select(struct kv_call *c)
{
    int64_t number = 0;

    if (!kv_args_number(c->args, 1, &number)) {
        kv_reply_error(c->reply, KV_OUT_OF_RANGE);
    } else if (number != 0) {
        kv_reply_error(c->reply, "ERR DB index is out of range");
    } else {
        kv_reply_status(c->reply, "OK");
    }
}

static void pair(struct kv_call *c, const char *name, const char *value)
{
    kv_reply_text(c->reply, name);
    kv_reply_text(c->reply, value);
}

void kv_run_hello(struct kv_call *c)
{
    int64_t version = 2;

    if (c->args->count > 1 && !kv_args_number(c->args, 1, &version)) {
        kv_reply_error(c->reply, "ERR Protocol version is not an integer or out of range");
        return;
    }
    if (version != 2) {
        kv_reply_error(c->reply, "NOPROTO unsupported protocol version");
        return;
    }
    if (c->args->count > 2) {
        kv_reply_error(c->reply, "ERR no option of HELLO is supported");
        return;
    }
    kv_reply_array(c->reply, 10);
    pair(c, "server", "holdfast-kv");
    pair(c, "version", SPOKEN_VERSION);
    kv_reply_text(c->reply, "proto");
    kv_reply_number(c->reply, 2);
    pair(c, "mode", "standalone");
    pair(c, "role", "master");
}

/* ------------------------------------------------------------------------------------------------ CONFIG */

struct setting {
    const char *name;
    char value[24];
};

/* redis-benchmark asks for the first two. */
static size_t list_settings(struct setting ret_settings[6])
{
    static const struct setting fixed[] = {{"save", ""}, {"appendonly", "no"}, {"databases", "1"}, {"timeout", "0"}};

    for (size_t i = 0; i < 4; i++) {
        ret_settings[i] = fixed[i];
    }
    ret_settings[4].name = "proto-max-bulk-len";
    (void)snprintf(ret_settings[4].value, sizeof ret_settings[4].value, "%zu", KV_BULK_MAX);
    ret_settings[5].name = "maxclients";
    (void)snprintf(ret_settings[5].value, sizeof ret_settings[5].value, "%d", KV_CLIENTS_MAX);
    return 6;
}

static bool is_asked(const struct kv_args *a, const char *name)
{
    for (size_t i = 2; i < a->count; i++) {
        if (kv_args_is(a, i, name) ||
            kv_glob_fits(a->at[i], (struct base_bytes){(const uint8_t *)name, strlen(name)})) {
            return true;
        }
    }
    return false;
}

void kv_run_config(struct kv_call *c)
{
    struct setting settings[6];
    size_t count = list_settings(settings);
    size_t asked = 0;

    if (!kv_args_is(c->args, 1, "GET")) {
        say_unknown_subcommand(c, "CONFIG");
        return;
    }
    if (c->args->count < 3) {
        say_wrong_count(c, "config|get");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        asked += is_asked(c->args, settings[i].name) ? 1 : 0;
    }
    kv_reply_array(c->reply, asked * 2);
    for (size_t i = 0; i < count; i++) {
        if (is_asked(c->args, settings[i].name)) {
            pair(c, settings[i].name, settings[i].value);
        }
    }
}

/* ------------------------------------------------------------------------------------------------ COMMAND */

static void reply_command(struct kv_call *c, const struct kv_command *command)
{
    kv_reply_array(c->reply, 6);
    kv_reply_text(c->reply, command->name);
    kv_reply_number(c->reply, command->arity);
    kv_reply_array(c->reply, 1);
    kv_reply_status(c->reply, command->kind == KV_WRITE ? "write" : command->kind == KV_READ ? "readonly" : "fast");
    kv_reply_number(c->reply, command->key_first);
    kv_reply_number(c->reply, command->key_last);
    kv_reply_number(c->reply, command->key_step);
}

static size_t count_commands(void)
{
    size_t count = 0;

    while (kv_command_at(count) != NULL) {
        count++;
    }
    return count;
}

static void reply_commands_asked(struct kv_call *c)
{
    kv_reply_array(c->reply, c->args->count - 2);
    for (size_t i = 2; i < c->args->count; i++) {
        size_t k = 0;

        while (kv_command_at(k) != NULL && !kv_args_is(c->args, i, kv_command_at(k)->name)) {
            k++;
        }
        if (kv_command_at(k) != NULL) {
            reply_command(c, kv_command_at(k));
        } else {
            kv_buffer_add_text(c->reply, "*-1\r\n");
        }
    }
}

void kv_run_command(struct kv_call *c)
{
    if (c->args->count == 1) {
        kv_reply_array(c->reply, count_commands());
        for (size_t i = 0; kv_command_at(i) != NULL; i++) {
            reply_command(c, kv_command_at(i));
        }
    } else if (kv_args_is(c->args, 1, "COUNT")) {
        kv_reply_number(c->reply, (int64_t)count_commands());
    } else if (kv_args_is(c->args, 1, "DOCS")) {
        kv_reply_array(c->reply, 0);
    } else if (kv_args_is(c->args, 1, "INFO")) {
        reply_commands_asked(c);
    } else {
        say_unknown_subcommand(c, "COMMAND");
    }
}

/* ------------------------------------------------------------------------------------------------ INFO */

static void info_server(struct kv_call *c, const struct kv_counts *counts, struct kv_buffer *text)
{
    (void)c;
    kv_buffer_print(text, "# Server\r\nredis_version:%s\r\nredis_mode:standalone\r\n", SPOKEN_VERSION);
    kv_buffer_print(text, "server_name:holdfast-kv\r\nprocess_id:%ld\r\n", (long)getpid());
    kv_buffer_print(text, "uptime_in_seconds:%" PRIu64 "\r\n", counts->up / BASE_S(1));
}

static void info_clients(struct kv_call *c, const struct kv_counts *counts, struct kv_buffer *text)
{
    (void)c;
    kv_buffer_print(text, "# Clients\r\nconnected_clients:%" PRIu64 "\r\nmaxclients:%d\r\nblocked_clients:0\r\n",
                    counts->clients, KV_CLIENTS_MAX);
}

static void info_memory(struct kv_call *c, const struct kv_counts *counts, struct kv_buffer *text)
{
    size_t used = mallinfo2().uordblks;

    (void)c;
    (void)counts;
    kv_buffer_print(text, "# Memory\r\nused_memory:%zu\r\nused_memory_human:%.2fM\r\n", used, (double)used / 1048576.0);
}

static void info_stats(struct kv_call *c, const struct kv_counts *counts, struct kv_buffer *text)
{
    (void)c;
    kv_buffer_print(text,
                    "# Stats\r\ntotal_connections_received:%" PRIu64 "\r\ntotal_commands_processed:%" PRIu64
                    "\r\nrejected_connections:%" PRIu64 "\r\nprotocol_errors:%" PRIu64 "\r\n",
                    counts->clients_seen, counts->commands, counts->clients_refused, counts->protocol_errors);
}

static void info_replication(struct kv_call *c, const struct kv_counts *counts, struct kv_buffer *text)
{
    (void)c;
    (void)counts;
    kv_buffer_add_text(text, "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n");
    kv_buffer_add_text(text, "holdfast:see HOLDFAST STATUS, HOLDFAST VIEW\r\n");
}

static void info_keyspace(struct kv_call *c, const struct kv_counts *counts, struct kv_buffer *text)
{
    (void)counts;
    kv_buffer_add_text(text, "# Keyspace\r\n");
    if (c->store->count > 0) {
        kv_buffer_print(text, "db0:keys=%zu,expires=0,avg_ttl=0\r\n", c->store->count);
    }
}

static bool is_section_asked(const struct kv_args *a, const char *name)
{
    bool is_asked = a->count == 1;

    for (size_t i = 1; i < a->count; i++) {
        is_asked = is_asked || kv_args_is(a, i, name) || kv_args_is(a, i, "all") || kv_args_is(a, i, "everything") ||
                   kv_args_is(a, i, "default");
    }
    return is_asked;
}

void kv_run_info(struct kv_call *c)
{
    static const struct {
        const char *name;
        void (*print)(struct kv_call *c, const struct kv_counts *counts, struct kv_buffer *text);
    } sections[] = {{"server", info_server}, {"clients", info_clients},         {"memory", info_memory},
                    {"stats", info_stats},   {"replication", info_replication}, {"keyspace", info_keyspace}};
    struct kv_counts counts = {0};
    struct kv_buffer text;

    c->about->counts(c->about->user, &counts);
    kv_buffer_init(&text, 16384);
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        if (is_section_asked(c->args, sections[i].name)) {
            kv_buffer_add_text(&text, kv_buffer_size(&text) > 0 ? "\r\n" : "");
            sections[i].print(c, &counts, &text);
        }
    }
    kv_reply_bulk(c->reply, kv_buffer_bytes(&text));
    kv_buffer_deinit(&text);
}
