/* See client.h. */
#include "examples/kv/client.h"

#include "examples/kv/limits.h"
#include "examples/kv/reply.h"
#include "examples/kv/require.h"

#include <stdlib.h>

enum request_state {
    REQUEST_WAITS, /* for the order */
    REQUEST_LOCAL, /* for its turn, then it runs here */
    REQUEST_READY, /* reply holds the answer */
};

struct kv_request {
    struct kv_request *next;
    struct kv_request *next_waiting; /* in the service's list */
    struct kv_request **waiting_link;
    struct kv_client *client; /* NULL: it has gone */
    struct kv_service *service;
    enum request_state state;
    bool is_read;
    size_t size;               /* of the command */
    size_t guess;              /* of the size of its reply */
    struct base_bytes command; /* owned; of reads and local commands */
    struct kv_buffer reply;
};

void kv_client_init(struct kv_client *c, struct kv_service *service)
{
    *c = (struct kv_client){.service = service};
    c->end = &c->first;
    kv_resp_init(&c->in);
    kv_buffer_init(&c->out, KV_OUTPUT_MAX);
}

/* ------------------------------------------------------------------------------------------------ requests */

static void add_waiting(struct kv_request *q)
{
    struct kv_request **first = &q->service->waiting;

    q->next_waiting = *first;
    q->waiting_link = first;
    if (*first != NULL) {
        (*first)->waiting_link = &q->next_waiting;
    }
    *first = q;
}

static void remove_waiting(struct kv_request *q)
{
    if (q->waiting_link != NULL) {
        *q->waiting_link = q->next_waiting;
        if (q->next_waiting != NULL) {
            q->next_waiting->waiting_link = q->waiting_link;
        }
        q->waiting_link = NULL;
    }
}

static void free_request(struct kv_request *q)
{
    remove_waiting(q);
    q->service->pending_bytes -= q->size;
    free((void *)(uintptr_t)q->command.data);
    kv_buffer_deinit(&q->reply);
    free(q);
}

void kv_service_deinit(struct kv_service *s)
{
    while (s->waiting != NULL) {
        free_request(s->waiting);
    }
}

static struct kv_request *new_request(struct kv_client *c, enum request_state state, struct base_bytes command,
                                      size_t guess)
{
    struct kv_request *q = kv_memory(sizeof *q);

    *q = (struct kv_request){.client = c, .service = c->service, .state = state, .size = command.size, .guess = guess};
    kv_buffer_init(&q->reply, KV_OUTPUT_MAX);
    *c->end = q;
    c->end = &q->next;
    c->pending++;
    c->pending_bytes += q->size;
    c->pending_reply += guess;
    c->service->pending_bytes += q->size;
    return q;
}

/* Takes a request out that was not submitted after all: it is the last one. */
static void drop_last_request(struct kv_client *c)
{
    struct kv_request **link = &c->first;

    while ((*link)->next != NULL) {
        link = &(*link)->next;
    }
    c->pending--;
    c->pending_bytes -= (*link)->size;
    c->pending_reply -= (*link)->guess;
    free_request(*link);
    *link = NULL;
    c->end = link;
}

static void keep_command(struct kv_request *q, struct base_bytes command)
{
    uint8_t *copy = kv_memory(command.size);

    base_copy(copy, command.data, command.size);
    q->command = (struct base_bytes){copy, command.size};
}

static void take_first(struct kv_client *c)
{
    struct kv_request *q = c->first;

    c->first = q->next;
    if (c->first == NULL) {
        c->end = &c->first;
    }
    c->pending--;
    c->pending_bytes -= q->size;
    c->pending_reply -= q->guess;
    free_request(q);
}

/* Moves answers whose turn has come to the output. */
static void give_answers(struct kv_client *c)
{
    while (c->first != NULL && c->first->state != REQUEST_WAITS) {
        struct kv_request *q = c->first;

        if (q->state == REQUEST_LOCAL) {
            kv_machine_look(c->service->machine, q->command, c->service->about, &c->out);
        } else {
            kv_buffer_add_bytes(&c->out, kv_buffer_bytes(&q->reply));
        }
        take_first(c);
    }
    c->is_over = c->is_over || c->out.is_full;
}

static void reply_failure(struct kv_buffer *b, int status)
{
    switch (status) {
    case BASE_E_NOLEADER:
        kv_reply_error(b, "CLUSTERDOWN no leader: the command never ran; try again later");
        break;
    case BASE_E_UNKNOWN:
        kv_reply_error(b, "TIMEOUT outcome unknown: the command may still run, once; read before trying again");
        break;
    case BASE_E_EXCLUDED:
        kv_reply_error(b, "CLUSTERDOWN this member is out of the group: ask another one");
        break;
    case BASE_E_NOMEM:
        kv_reply_error(b, "OOM command not allowed: no memory; it never ran");
        break;
    default:
        kv_reply_error(b, "ERR the command never ran: %s", base_status_text(status));
        break;
    }
}

/* Those who are held are told by their own answers; room that somebody else leaves has to be told to them. */
static void tell_room(struct kv_service *s)
{
    if (s->has_held && s->on_room != NULL) {
        s->on_room(s->room_user);
    }
}

static void on_answer(void *user, int status, struct base_bytes answer)
{
    struct kv_request *q = user;
    struct kv_client *c = q->client;

    if (c == NULL) {
        struct kv_service *s = q->service;

        free_request(q);
        tell_room(s);
        return;
    }
    remove_waiting(q);
    q->state = REQUEST_READY;
    if (status < 0) {
        reply_failure(&q->reply, status);
    } else if (q->is_read) {
        kv_machine_look(c->service->machine, q->command, c->service->about, &q->reply);
    } else {
        kv_buffer_add_bytes(&q->reply, answer);
    }
    give_answers(c);
    c->service->on_stir(c->service->user, c);
}

/* ------------------------------------------------------------------------------------------------ commands */

/* The limits let the first command through, whatever its size. */
static bool has_room(const struct kv_client *c, size_t size)
{
    const struct kv_service *s = c->service;

    if (c->pending >= KV_PENDING_MAX || kv_buffer_size(&c->out) > KV_OUTPUT_SOFT) {
        return false;
    }
    return (c->pending_bytes == 0 || c->pending_bytes + size <= KV_PENDING_BYTES) &&
           (s->pending_bytes == 0 || s->pending_bytes + size <= KV_PENDING_TOTAL);
}

/* Gives a command its place in the order. False: not now. */
static bool submit(struct kv_client *c, const struct kv_command *command, struct base_bytes bytes)
{
    struct kv_machine *m = c->service->machine;
    size_t guess = kv_command_guess(command, &m->args, &m->store);
    struct kv_request *q;
    int status;

    if (c->pending_reply > 0 && c->pending_reply + guess > KV_PENDING_REPLY) {
        return false;
    }
    q = new_request(c, REQUEST_WAITS, bytes, guess);

    add_waiting(q);
    q->is_read = command->kind == KV_READ;
    if (q->is_read) {
        keep_command(q, bytes);
        status = c->service->read(c->service->user, on_answer, q);
    } else {
        status = c->service->submit(c->service->user, bytes, on_answer, q);
    }
    if (status == BASE_E_AGAIN) {
        drop_last_request(c);
        return false;
    }
    if (status < 0) {
        remove_waiting(q);
        q->state = REQUEST_READY;
        reply_failure(&q->reply, status);
    }
    return true;
}

static void reply_error_in_turn(struct kv_client *c, const struct kv_buffer *error)
{
    struct kv_request *q = new_request(c, REQUEST_READY, (struct base_bytes){NULL, 0}, 0);

    kv_buffer_add_bytes(&q->reply, kv_buffer_bytes(error));
}

/* Takes one command. False: there is no room, it must be tried again. */
static bool take_command(struct kv_client *c, struct base_bytes bytes)
{
    struct kv_machine *m = c->service->machine;
    const struct kv_command *command = NULL;

    c->waits_for_output = kv_buffer_size(&c->out) > KV_OUTPUT_SOFT;
    if (!has_room(c, bytes.size)) {
        return false;
    }
    kv_buffer_reset(&m->reply, KV_INPUT_SMALL);
    kv_require(kv_args_parse(&m->args, bytes) == 0, "resp makes commands");
    command = kv_command_find(&m->args, &m->reply);
    if (command == NULL) {
        reply_error_in_turn(c, &m->reply);
    } else if (command->kind == KV_READ || command->kind == KV_WRITE) {
        if (!submit(c, command, bytes)) {
            return false;
        }
    } else {
        keep_command(new_request(c, REQUEST_LOCAL, bytes, 0), bytes);
        c->is_ending = c->is_ending || command->kind == KV_QUIT;
    }
    c->service->commands++;
    return true;
}

static void refuse_input(struct kv_client *c, const char *error)
{
    struct kv_buffer text;

    kv_buffer_init(&text, 1024);
    kv_reply_error(&text, "ERR %s", error);
    reply_error_in_turn(c, &text);
    kv_buffer_deinit(&text);
    c->error = error;
    c->is_ending = true;
}

/* Reads one command, or takes the one that was held. False: nothing more to do now. */
static bool read_command(struct kv_client *c)
{
    enum kv_resp_result result = KV_RESP_COMMAND;

    if (c->held.data == NULL) {
        result = kv_resp_next(&c->in, &c->held);
    }
    if (result == KV_RESP_ERROR) {
        c->service->protocol_errors++;
        refuse_input(c, c->in.error);
    }
    if (result != KV_RESP_COMMAND) {
        return false;
    }
    if (!take_command(c, c->held)) {
        c->service->has_held = true;
        return false;
    }
    c->held = (struct base_bytes){NULL, 0};
    return true;
}

static void count_input(struct kv_client *c)
{
    size_t size = kv_resp_size(&c->in);

    c->service->input_bytes += size;
    c->service->input_bytes -= c->input_bytes;
    c->input_bytes = size;
}

void kv_client_go(struct kv_client *c)
{
    while (!c->is_ending && read_command(c)) {
        give_answers(c);
    }
    c->is_ending = c->is_ending || (c->has_ended && c->held.data == NULL);
    count_input(c);
    if (!c->is_ending && c->service->input_bytes > KV_INPUT_TOTAL && c->input_bytes > KV_INPUT_SMALL) {
        refuse_input(c, "too many unfinished large commands on this server: try again later");
    }
    if (c->is_ending && c->input_bytes > 0 && c->held.data == NULL) {
        kv_resp_deinit(&c->in);
        count_input(c);
    }
    give_answers(c);
}

void kv_client_receive(struct kv_client *c, const void *data, size_t size)
{
    if (!c->is_ending) {
        kv_resp_feed(&c->in, data, size);
    }
    kv_client_go(c);
}

void kv_client_end(struct kv_client *c)
{
    c->has_ended = true;
    kv_client_go(c);
}

bool kv_client_can_go(const struct kv_client *c)
{
    return c->held.data != NULL && c->waits_for_output && kv_buffer_size(&c->out) <= KV_OUTPUT_SOFT;
}

bool kv_client_wants_input(const struct kv_client *c)
{
    return !c->is_ending && !c->has_ended && c->held.data == NULL && c->pending < KV_PENDING_MAX &&
           kv_buffer_size(&c->out) <= KV_OUTPUT_SOFT;
}

bool kv_client_is_done(const struct kv_client *c)
{
    return c->is_over || (c->is_ending && c->first == NULL && kv_buffer_size(&c->out) == 0);
}

void kv_client_deinit(struct kv_client *c)
{
    while (c->first != NULL) {
        struct kv_request *q = c->first;

        c->first = q->next;
        if (q->state == REQUEST_WAITS) {
            q->client = NULL; /* its answer will free it */
        } else {
            free_request(q);
        }
    }
    c->service->input_bytes -= c->input_bytes;
    kv_resp_deinit(&c->in);
    kv_buffer_deinit(&c->out);
    tell_room(c->service);
}
