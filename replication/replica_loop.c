/* Implements replication.h on a group and a libev loop.
 *
 * Owns      the replica handle: the core, the answer buffer, the timer of the oldest deadline.
 * Relies on membership.h for order, forwarding and slices of delivery; on the monotonic clock of rtcp/base.
 * Not here  decisions: replica.c makes them. This file asks it, then calls the user.
 * Protocol  replication/PROTOCOL.md.
 *
 * User callbacks run after the core has returned, so they may call any function of this header.
 */
#include "replication/answer.h"
#include "replication/replica.h"
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"

#include <ev.h>
#include <stdlib.h>

#define SCRATCH_KEEP_MAX ((size_t)64 << 10) /* a larger scratch buffer is given back after use */

struct replica {
    struct ev_loop *loop;
    struct group *group;
    struct replica_core core;
    struct replica_answer answer;
    struct replica_machine machine;
    struct group_callbacks callbacks;
    void *user;
    struct ev_timer timer;
    uint8_t *scratch; /* head and command in one piece, as the group wants them */
    size_t scratch_size;
    bool wants_room; /* this layer said AGAIN and owes an on_writable */
};

void replica_options_default(struct replica_options *o)
{
    *o = (struct replica_options){.submit_deadline = BASE_S(5)};
    group_options_default(&o->group);
}

static void tell(const struct replica_waiter *waiter, int status, struct base_bytes answer)
{
    if (waiter->on_answer != NULL) {
        waiter->on_answer(waiter->user, status, answer);
    }
}

static void tell_room(struct replica *r)
{
    if (r->wants_room && replica_core_admit(&r->core, 0) == 0) {
        r->wants_room = false;
        if (r->callbacks.on_writable != NULL) {
            r->callbacks.on_writable(r->user);
        }
    }
}

/* The timer may fire early (a younger waiter took the place of an answered one, or the turn of the loop began long
 * ago): then it is started again. */
static void arm(struct replica *r)
{
    base_time deadline = replica_core_deadline(&r->core);
    base_time now = base_clock_now();

    if (deadline != BASE_NEVER && !ev_is_active(&r->timer)) {
        ev_timer_set(&r->timer, deadline > now ? (double)(deadline - now) / 1e9 + 1e-6 : 0.0, 0.0);
        ev_timer_start(r->loop, &r->timer);
    }
}

static void on_timer(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    struct replica *r = timer->data;
    struct replica_waiter waiter;

    (void)loop;
    (void)events;
    while (replica_core_expire(&r->core, base_clock_now(), &waiter)) {
        tell(&waiter, BASE_E_UNKNOWN, (struct base_bytes){NULL, 0});
    }
    tell_room(r);
    arm(r);
}

/* ------------------------------------------------------------------------------------------------ from the group */

static void on_deliver(void *user, const struct group_delivery *delivery)
{
    struct replica *r = user;
    struct replica_task task;

    if (replica_core_deliver(&r->core, delivery, &task) < 0) {
        struct base_event event = {
            .at = base_clock_now(), .object = "replica", .name = "message of no known kind passed"};

        event.field[0].key = "index";
        event.field[0].value = delivery->index;
        base_trace_emit(&r->core.trace, &event);
        return;
    }
    replica_answer_begin(&r->answer, task.is_awaited);
    if (task.kind == REPLICA_KIND_COMMAND) {
        r->machine.apply(r->user, &task.command, &r->answer);
    }
    if (task.is_awaited) {
        tell(&task.waiter, 0, replica_answer_bytes(&r->answer));
        tell_room(r);
    }
}

static void on_view(void *user, const struct group_view *view, const struct group_difference *difference,
                    const char *reason)
{
    struct replica *r = user;

    replica_core_view(&r->core, view);
    if (r->callbacks.on_view != NULL) {
        r->callbacks.on_view(r->user, view, difference, reason);
    }
}

static void on_excluded(void *user, int status, const char *why)
{
    struct replica *r = user;
    struct replica_waiter waiter;

    replica_core_exclude(&r->core);
    ev_timer_stop(r->loop, &r->timer);
    while (replica_core_abandon(&r->core, &waiter)) {
        tell(&waiter, BASE_E_EXCLUDED, (struct base_bytes){NULL, 0});
    }
    if (r->callbacks.on_excluded != NULL) {
        r->callbacks.on_excluded(r->user, status, why);
    }
}

static void on_quorum(void *user, bool has_quorum, base_time since)
{
    struct replica *r = user;

    if (r->callbacks.on_quorum != NULL) {
        r->callbacks.on_quorum(r->user, has_quorum, since);
    }
}

static void on_leader(void *user, uint32_t member_id, uint64_t term)
{
    struct replica *r = user;

    if (r->callbacks.on_leader != NULL) {
        r->callbacks.on_leader(r->user, member_id, term);
    }
}

static void on_link(void *user, uint32_t member_id, bool up)
{
    struct replica *r = user;

    if (r->callbacks.on_link != NULL) {
        r->callbacks.on_link(r->user, member_id, up);
    }
}

static void on_writable(void *user)
{
    struct replica *r = user;

    r->wants_room = false;
    if (r->callbacks.on_writable != NULL) {
        r->callbacks.on_writable(r->user);
    }
}

static const struct group_callbacks group_face = {
    .on_view = on_view,
    .on_deliver = on_deliver,
    .on_quorum = on_quorum,
    .on_leader = on_leader,
    .on_link = on_link,
    .on_writable = on_writable,
    .on_excluded = on_excluded,
};

/* ------------------------------------------------------------------------------------------------ open and close */

static void free_all(struct replica *r)
{
    replica_core_deinit(&r->core);
    replica_answer_deinit(&r->answer);
    free(r->scratch);
    free(r);
}

static int new_replica(struct ev_loop *loop, const struct replica_options *options,
                       const struct replica_machine *machine, const struct group_callbacks *callbacks, void *user,
                       struct replica **ret_replica)
{
    struct replica *r;
    int status;

    if (machine->apply == NULL || options->submit_deadline == 0) {
        return BASE_E_INVALID;
    }
    r = calloc(1, sizeof *r);
    if (r == NULL) {
        return BASE_E_NOMEM;
    }
    status = replica_core_init(&r->core, base_memory_libc(), options->group.pending_max, options->submit_deadline);
    if (status < 0) {
        free(r);
        return status;
    }
    r->core.trace = options->group.trace;
    replica_answer_init(&r->answer, base_memory_libc());
    r->loop = loop;
    r->machine = *machine;
    r->callbacks = callbacks != NULL ? *callbacks : (struct group_callbacks){0};
    r->user = user;
    ev_init(&r->timer, on_timer);
    r->timer.data = r;
    *ret_replica = r;
    return 0;
}

typedef int start_group(struct ev_loop *loop, const struct group_options *options,
                        const struct group_callbacks *callbacks, void *user, struct group **ret_group);

static int start(start_group *group_start, struct ev_loop *loop, const struct replica_options *options,
                 const struct replica_machine *machine, const struct group_callbacks *callbacks, void *user,
                 struct replica **ret_replica)
{
    struct replica *r;
    int status = new_replica(loop, options, machine, callbacks, user, &r);

    if (status < 0) {
        return status;
    }
    status = group_start(loop, &options->group, &group_face, r, &r->group);
    if (status < 0) {
        free_all(r);
        return status;
    }
    *ret_replica = r;
    return 0;
}

int replica_found(struct ev_loop *loop, const struct replica_options *options, const struct replica_machine *machine,
                  const struct group_callbacks *callbacks, void *user, struct replica **ret_replica)
{
    return start(group_found, loop, options, machine, callbacks, user, ret_replica);
}

int replica_open(struct ev_loop *loop, const struct replica_options *options, const struct replica_machine *machine,
                 const struct group_callbacks *callbacks, void *user, struct replica **ret_replica)
{
    return start(group_open, loop, options, machine, callbacks, user, ret_replica);
}

void replica_close(struct replica *replica)
{
    if (replica == NULL) {
        return;
    }
    ev_timer_stop(replica->loop, &replica->timer);
    group_close(replica->group);
    free_all(replica);
}

/* ------------------------------------------------------------------------------------------------ use */

static int reserve_scratch(struct replica *r, size_t size)
{
    uint8_t *scratch;

    if (size <= r->scratch_size) {
        return 0;
    }
    scratch = realloc(r->scratch, size);
    if (scratch == NULL) {
        return BASE_E_NOMEM;
    }
    r->scratch = scratch;
    r->scratch_size = size;
    return 0;
}

static void trim_scratch(struct replica *r)
{
    if (r->scratch_size > SCRATCH_KEEP_MAX) {
        free(r->scratch);
        r->scratch = NULL;
        r->scratch_size = 0;
    }
}

static int broadcast(struct replica *r, enum replica_kind kind, struct base_bytes command, uint64_t *ret_number)
{
    struct base_bytes message;
    int status = reserve_scratch(r, REPLICA_HEAD_SIZE + command.size);

    if (status < 0) {
        return status;
    }
    r->scratch[0] = (uint8_t)kind;
    base_copy(r->scratch + REPLICA_HEAD_SIZE, command.data, command.size);
    message = (struct base_bytes){r->scratch, REPLICA_HEAD_SIZE + command.size};
    status = group_broadcast(r->group, message, ret_number);
    trim_scratch(r);
    return status;
}

static int submit(struct replica *r, enum replica_kind kind, struct base_bytes command, replica_on_answer *on_answer,
                  void *user)
{
    uint64_t number = 0;
    int status = replica_core_admit(&r->core, command.size);

    if (status < 0) {
        r->wants_room = r->wants_room || status == BASE_E_AGAIN;
        return status;
    }
    status = broadcast(r, kind, command, &number);
    if (status < 0) {
        return status; /* the group did not take it and never will: the truth for NOLEADER (K5) */
    }
    replica_core_submitted(&r->core, number, on_answer, user, base_clock_now());
    arm(r);
    return 0;
}

int replica_submit(struct replica *replica, struct base_bytes command, replica_on_answer *on_answer, void *user)
{
    return submit(replica, REPLICA_KIND_COMMAND, command, on_answer, user);
}

int replica_read(struct replica *replica, replica_on_answer *on_ready, void *user)
{
    return submit(replica, REPLICA_KIND_READ, (struct base_bytes){NULL, 0}, on_ready, user);
}

void replica_stats(const struct replica *replica, struct replica_stats *ret_stats)
{
    struct replica_stats stats = {0};

    replica_core_stats(&replica->core, &stats);
    group_stats(replica->group, &stats.group);
    if (stats.applied < stats.group.delivered) {
        stats.applied = stats.group.delivered; /* entries that hold no message: views, first entries of terms */
    }
    *ret_stats = stats;
}

const struct group_view *replica_view(const struct replica *replica)
{
    return group_view(replica->group);
}
