/* See replica.h. Pure.
 *
 * All waiters get the same time, so they expire in the order in which they came: one queue serves answers and
 * deadlines alike. A waiter leaves the queue by its delivery, by its deadline, or because this process is out.
 */
#include "replication/replica.h"

#include "rtcp/base/check.h"

static struct replica_waiter *oldest(const struct replica_core *c)
{
    return &c->slot[c->head & c->mask];
}

static void check(const struct replica_core *c)
{
    CHECK(c->count <= c->count_max);
    CHECK(c->sender_count <= GROUP_MEMBERS_MAX);
    if (c->count > 0) {
        CHECK(oldest(c)->number >= 1);
        CHECK(oldest(c)->number <= c->number);
    }
}

int replica_core_init(struct replica_core *c, const struct base_memory *m, size_t pending_max,
                      base_time submit_deadline)
{
    struct replica_waiter *slot;
    size_t slots = 1;

    if (pending_max < 1 || pending_max > (size_t)1 << 24) {
        return BASE_E_RANGE;
    }
    while (slots < pending_max) {
        slots *= 2;
    }
    slot = base_memory_new(m, slots, sizeof *slot);
    if (slot == NULL) {
        return BASE_E_NOMEM;
    }
    *c = (struct replica_core){
        .memory = m, .slot = slot, .mask = slots - 1, .count_max = pending_max, .submit_deadline = submit_deadline};
    check(c);
    return 0;
}

void replica_core_deinit(struct replica_core *c)
{
    base_memory_free(c->memory, c->slot);
    c->slot = NULL;
    c->count = 0;
}

int replica_core_admit(const struct replica_core *c, size_t size)
{
    if (c->is_out) {
        return BASE_E_EXCLUDED;
    }
    if (size > REPLICA_COMMAND_MAX) {
        return BASE_E_RANGE;
    }
    return c->count == c->count_max ? BASE_E_AGAIN : 0;
}

void replica_core_submitted(struct replica_core *c, uint64_t number, replica_on_answer *on_answer, void *user,
                            base_time now)
{
    CHECK(!c->is_out);
    CHECK(c->count < c->count_max);
    CHECK(number > c->number); /* K2: numbers of one process rise */
    c->slot[(c->head + c->count) & c->mask] = (struct replica_waiter){
        .number = number, .deadline = base_time_add(now, c->submit_deadline), .on_answer = on_answer, .user = user};
    c->count++;
    c->number = number;
    check(c);
}

static void take_oldest(struct replica_core *c, struct replica_waiter *ret_waiter)
{
    *ret_waiter = *oldest(c);
    c->head++;
    c->count--;
}

static struct replica_sender *sender_of(struct replica_core *c, uint32_t id)
{
    for (size_t i = 0; i < c->sender_count; i++) {
        if (c->sender[i].id == id) {
            return &c->sender[i];
        }
    }
    CHECK(c->sender_count < GROUP_MEMBERS_MAX);
    c->sender[c->sender_count] = (struct replica_sender){.id = id};
    return &c->sender[c->sender_count++];
}

/* The promises of the group that this layer's exactly-once stands on (K2, C1). */
static void check_order(struct replica_core *c, const struct group_delivery *d)
{
    struct replica_sender *sender = sender_of(c, d->origin);

    CHECK(d->index > c->index);
    CHECK(d->number > sender->number);
    sender->number = d->number;
    c->index = d->index;
}

static bool is_kind(uint8_t byte)
{
    return byte == REPLICA_KIND_COMMAND || byte == REPLICA_KIND_READ;
}

static void find_waiter(struct replica_core *c, const struct group_delivery *d, struct replica_task *task)
{
    if (!d->is_own || c->count == 0 || oldest(c)->number > d->number) {
        return; /* its deadline passed before */
    }
    CHECK(oldest(c)->number == d->number); /* a number was passed over: its command can never run */
    take_oldest(c, &task->waiter);
    task->is_awaited = true;
}

int replica_core_deliver(struct replica_core *c, const struct group_delivery *delivery, struct replica_task *ret_task)
{
    struct replica_task task = {
        .command = {
            .index = delivery->index, .term = delivery->term, .origin = delivery->origin, .number = delivery->number}};

    check_order(c, delivery);
    if (delivery->data.size < REPLICA_HEAD_SIZE || !is_kind(delivery->data.data[0])) {
        check(c);
        return BASE_E_PROTOCOL;
    }
    task.kind = (enum replica_kind)delivery->data.data[0];
    task.command.data.data = delivery->data.data + REPLICA_HEAD_SIZE;
    task.command.data.size = delivery->data.size - REPLICA_HEAD_SIZE;
    c->commands += task.kind == REPLICA_KIND_COMMAND ? 1 : 0;
    find_waiter(c, delivery, &task);
    *ret_task = task;
    check(c);
    return 0;
}

static const struct group_member *member_of(const struct group_view *view, uint32_t id)
{
    for (uint32_t i = 0; i < view->count; i++) {
        if (view->member[i].id == id) {
            return &view->member[i];
        }
    }
    return NULL;
}

void replica_core_view(struct replica_core *c, const struct group_view *view)
{
    size_t kept = 0;

    for (size_t i = 0; i < c->sender_count; i++) {
        const struct group_member *member = member_of(view, c->sender[i].id);

        if (member != NULL && (c->sender[i].incarnation == 0 || c->sender[i].incarnation == member->incarnation)) {
            c->sender[i].incarnation = member->incarnation;
            c->sender[kept++] = c->sender[i];
        }
    }
    c->sender_count = kept;
    for (uint32_t i = 0; i < view->count; i++) {
        sender_of(c, view->member[i].id)->incarnation = view->member[i].incarnation;
    }
    check(c);
}

base_time replica_core_deadline(const struct replica_core *c)
{
    return c->count == 0 || c->is_out ? BASE_NEVER : oldest(c)->deadline;
}

bool replica_core_expire(struct replica_core *c, base_time now, struct replica_waiter *ret_waiter)
{
    if (replica_core_deadline(c) > now) {
        return false;
    }
    take_oldest(c, ret_waiter);
    c->unknown++;
    check(c);
    return true;
}

void replica_core_exclude(struct replica_core *c)
{
    c->is_out = true;
    check(c);
}

bool replica_core_abandon(struct replica_core *c, struct replica_waiter *ret_waiter)
{
    if (!c->is_out || c->count == 0) {
        return false;
    }
    take_oldest(c, ret_waiter);
    check(c);
    return true;
}

int replica_core_save(struct replica_core *c, const struct replica_machine *machine, void *user,
                      struct replica_writer *writer)
{
    c->save_calls++;
    return machine->save(user, writer);
}

int replica_core_load(struct replica_core *c, const struct replica_machine *machine, void *user,
                      struct replica_reader *reader)
{
    c->load_calls++;
    return machine->load(user, reader);
}

void replica_core_stats(const struct replica_core *c, struct replica_stats *ret_stats)
{
    ret_stats->applied = c->index;
    ret_stats->commands = c->commands;
    ret_stats->pending = c->count;
    ret_stats->save_calls = c->save_calls;
    ret_stats->load_calls = c->load_calls;
    ret_stats->unknown = c->unknown;
}
