/* See machine.h.
 *
 * A saved state: magic (8 bytes), index (8), number of records (8), then each record's key size and value size (4 each)
 * and bytes, then the digest (32). Numbers are big-endian. Load checks the digest, so a damaged state is refused.
 */
#include "examples/kv/machine.h"

#include "examples/kv/limits.h"
#include "examples/kv/reply.h"
#include "examples/kv/require.h"

#include <stdlib.h>

static const uint8_t magic[8] = {'H', 'F', 'K', 'V', 0, 0, 0, 1};

void kv_machine_init(struct kv_machine *m, const uint8_t seed[KV_STORE_SEED_SIZE])
{
    *m = (struct kv_machine){.index = 0};
    kv_store_init(&m->store, seed);
    kv_args_init(&m->args);
    kv_buffer_init(&m->reply, KV_REPLY_MAX);
}

void kv_machine_deinit(struct kv_machine *m)
{
    kv_store_deinit(&m->store);
    kv_args_deinit(&m->args);
    kv_buffer_deinit(&m->reply);
}

/* Runs a command; its reply is in m->reply. */
static void run(struct kv_machine *m, struct base_bytes bytes, const struct kv_about *about)
{
    struct kv_call call = {&m->store, &m->args, &m->reply, m->index, about};
    const struct kv_command *command;

    kv_buffer_reset(&m->reply, KV_INPUT_SMALL);
    if (kv_args_parse(&m->args, bytes) < 0) {
        kv_reply_error(&m->reply, "ERR this is no command");
        return;
    }
    command = kv_command_find(&m->args, &m->reply);
    if (command == NULL) {
        return;
    }
    if ((command->kind == KV_WRITE) != (about == NULL)) {
        kv_reply_error(&m->reply, "ERR '%s' has no place here", command->name);
        return;
    }
    kv_command_run(command, &call);
}

void kv_machine_look(struct kv_machine *m, struct base_bytes command, const struct kv_about *about,
                     struct kv_buffer *reply)
{
    kv_require(about != NULL, "whoever looks says what it is about");
    run(m, command, about);
    kv_buffer_add_bytes(reply, kv_buffer_bytes(&m->reply));
}

void kv_machine_apply(void *user, const struct replica_command *command, struct replica_answer *answer)
{
    struct kv_machine *m = user;
    struct base_bytes reply;

    m->index = command->index;
    run(m, command->data, NULL);
    reply = kv_buffer_bytes(&m->reply);
    replica_answer_add(answer, reply.data, reply.size);
}

/* ------------------------------------------------------------------------------------------------ save and load */

struct saving {
    struct replica_writer *writer;
    int status; /* of the first write that failed */
};

static void write_bytes(struct saving *s, const void *data, size_t size)
{
    if (s->status == 0) {
        s->status = replica_writer_add(s->writer, data, size);
    }
}

static void write_record(void *user, struct base_bytes key, struct base_bytes value)
{
    uint8_t sizes[8];

    base_put32(sizes, (uint32_t)key.size);
    base_put32(sizes + 4, (uint32_t)value.size);
    write_bytes(user, sizes, sizeof sizes);
    write_bytes(user, key.data, key.size);
    write_bytes(user, value.data, value.size);
}

int kv_machine_save(void *user, struct replica_writer *writer)
{
    struct kv_machine *m = user;
    struct saving s = {writer, 0};
    uint8_t numbers[16];
    uint8_t digest[KV_DIGEST_SIZE];
    uint64_t cursor = 0;

    base_put64(numbers, m->index);
    base_put64(numbers + 8, m->store.count);
    write_bytes(&s, magic, sizeof magic);
    write_bytes(&s, numbers, sizeof numbers);
    do {
        cursor = kv_store_scan(&m->store, cursor, write_record, &s);
    } while (cursor != 0 && s.status == 0);
    kv_digest_final(&m->store.digest, digest);
    write_bytes(&s, digest, sizeof digest);
    return s.status;
}

static int load_record(struct kv_store *store, struct replica_reader *reader)
{
    uint8_t sizes[8];
    uint8_t *bytes;
    size_t key;
    size_t size;

    if (replica_reader_take(reader, sizes, sizeof sizes) < 0) {
        return BASE_E_PROTOCOL;
    }
    key = base_get32(sizes);
    size = key + base_get32(sizes + 4);
    if (size > replica_reader_left(reader)) {
        return BASE_E_PROTOCOL;
    }
    bytes = kv_memory(size + 1);
    if (replica_reader_take(reader, bytes, size) == 0) {
        kv_store_set(store, (struct base_bytes){bytes, key}, (struct base_bytes){bytes + key, size - key});
    }
    free(bytes);
    return 0;
}

static int load_store(struct kv_store *store, struct replica_reader *reader, uint64_t *ret_index)
{
    uint8_t head[sizeof magic + 16];
    uint8_t told[KV_DIGEST_SIZE];
    uint8_t digest[KV_DIGEST_SIZE];

    if (replica_reader_take(reader, head, sizeof head) < 0 ||
        !base_equal((struct base_bytes){head, sizeof magic}, (struct base_bytes){magic, sizeof magic})) {
        return BASE_E_PROTOCOL;
    }
    for (uint64_t left = base_get64(head + 16); left > 0; left--) {
        if (load_record(store, reader) < 0) {
            return BASE_E_PROTOCOL;
        }
    }
    kv_digest_final(&store->digest, digest);
    if (replica_reader_take(reader, told, sizeof told) < 0 || replica_reader_left(reader) > 0 ||
        !base_equal((struct base_bytes){told, sizeof told}, (struct base_bytes){digest, sizeof digest})) {
        return BASE_E_PROTOCOL;
    }
    *ret_index = base_get64(head + 8);
    return 0;
}

int kv_machine_load(void *user, struct replica_reader *reader)
{
    struct kv_machine *m = user;
    struct kv_store store;
    uint64_t index = 0;
    int status;

    kv_store_init(&store, m->store.seed);
    status = load_store(&store, reader, &index);
    if (status < 0) {
        kv_store_deinit(&store); /* what was there stays */
        return status;
    }
    kv_store_deinit(&m->store);
    m->store = store;
    m->index = index;
    return 0;
}
