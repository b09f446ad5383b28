/* Fuzzes what a Redis client may send: parser, command table, client, and all commands on a store.
 *
 * The input's first byte sets the size of the pieces in which the rest arrives; what is submitted is applied at once.
 */
#include "examples/kv/client.h"
#include "examples/kv/limits.h"

#include <stdint.h>
#include <stdlib.h>

struct world {
    struct kv_machine machine;
    struct kv_service service;
    struct kv_about about;
    struct kv_client client;
    replica_on_answer *on_answer[KV_PENDING_MAX];
    void *request[KV_PENDING_MAX];
    struct kv_buffer answer[KV_PENDING_MAX];
    size_t count;
};

static int submit(void *user, struct base_bytes command, replica_on_answer *on_answer, void *request)
{
    struct world *w = user;
    struct kv_call call = {&w->machine.store, &w->machine.args, &w->answer[w->count], 1, NULL};

    if (w->count == KV_PENDING_MAX) {
        return BASE_E_AGAIN;
    }
    kv_buffer_init(&w->answer[w->count], KV_REPLY_MAX);
    if (command.size > 0) {
        if (kv_args_parse(&w->machine.args, command) < 0) {
            abort();
        }
        kv_command_run(kv_command_find(&w->machine.args, &w->answer[w->count]), &call);
    }
    w->on_answer[w->count] = on_answer;
    w->request[w->count++] = request;
    return 0;
}

static int read_point(void *user, replica_on_answer *on_ready, void *request)
{
    return submit(user, (struct base_bytes){NULL, 0}, on_ready, request);
}

static void on_stir(void *user, struct kv_client *client)
{
    (void)user;
    (void)client;
}

static void tell_stats(void *user, struct replica_stats *ret_stats)
{
    (void)user;
    *ret_stats = (struct replica_stats){.commands = 1};
}

static const struct group_view *tell_view(void *user)
{
    (void)user;
    return NULL;
}

static void tell_counts(void *user, struct kv_counts *ret_counts)
{
    (void)user;
    *ret_counts = (struct kv_counts){.clients = 1};
}

static void answer_all(struct world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        w->on_answer[i](w->request[i], 0, kv_buffer_bytes(&w->answer[i]));
        kv_buffer_deinit(&w->answer[i]);
    }
    w->count = 0;
}

static void go(struct world *w)
{
    answer_all(w);
    kv_buffer_take(&w->client.out, kv_buffer_size(&w->client.out));
    kv_client_go(&w->client);
}

static void feed(struct world *w, const uint8_t *data, size_t size)
{
    size_t piece = size == 0 ? 1 : (size_t)data[0] + 1;

    for (size_t at = 1; at < size && !w->client.is_over; at += piece) {
        kv_client_receive(&w->client, data + at, size - at < piece ? size - at : piece);
        go(w);
        if (kv_resp_size(&w->client.in) > size + 4096) {
            abort(); /* it holds more than it was given */
        }
    }
    kv_client_end(&w->client);
    while (w->count > 0) {
        go(w);
    }
    if (!w->client.is_over && !kv_client_is_done(&w->client) && kv_buffer_size(&w->client.out) == 0) {
        abort(); /* everything was answered, and still it waits */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t seed[KV_STORE_SEED_SIZE] = {1};
    static struct world w;

    kv_machine_init(&w.machine, seed);
    w.about = (struct kv_about){&w, tell_stats, tell_view, tell_counts};
    w.service = (struct kv_service){
        .user = &w, .submit = submit, .read = read_point, .on_stir = on_stir, .machine = &w.machine, .about = &w.about};
    kv_client_init(&w.client, &w.service);
    feed(&w, data, size);
    kv_client_deinit(&w.client);
    kv_service_deinit(&w.service);
    kv_machine_deinit(&w.machine);
    return 0;
}
