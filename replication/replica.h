/* The core of the layer: who waits for which command, and what a delivered message means.
 *
 * Owns      the queue of own commands that were submitted and not yet answered, the last number seen of every
 *           member, the kind byte in front of each message, the counters.
 * Relies on the group's promise: messages come in one order, each once, numbers of one member rise. It checks that
 *           (K2) rather than repairing it: a second application would be worse than a stop.
 * Not here  the group, the loop, the user's callbacks: the driver (replica_loop) asks this core and then calls them.
 * Protocol  replication/PROTOCOL.md.
 */
#ifndef HOLDFAST_REPLICATION_REPLICA_H
#define HOLDFAST_REPLICATION_REPLICA_H

#include "replication/replication.h"
#include "replication/transfer.h"
#include "rtcp/base/memory.h"
#include "rtcp/base/trace.h"

#define REPLICA_HEAD_SIZE 1

/* The first byte of every message: what it asks for. Part of the wire: never renumber. */
enum replica_kind {
    REPLICA_KIND_COMMAND = 1, /* apply the rest */
    REPLICA_KIND_READ = 2,    /* nothing: only its place in the order matters */
};

/* Somebody here who waits for a message of ours to come back in order. */
struct replica_waiter {
    uint64_t number;
    base_time deadline;
    replica_on_answer *on_answer; /* NULL: nobody */
    void *user;
};

struct replica_sender {
    uint32_t id;
    uint64_t incarnation;
    uint64_t number; /* the last one delivered */
};

struct replica_core {
    const struct base_memory *memory;
    struct base_trace trace;     /* set by the driver; empty at first */
    struct replica_waiter *slot; /* a ring of `mask + 1` */
    size_t mask;
    size_t head; /* count of waiters ever taken out; the oldest stands at head & mask */
    size_t count;
    size_t count_max;
    base_time submit_deadline;
    uint64_t number; /* of the newest own message; 0 before the first */
    uint64_t index;  /* of the newest delivery */
    bool is_out;     /* this process is no member any more */
    struct replica_sender sender[GROUP_MEMBERS_MAX];
    size_t sender_count;
    uint64_t commands;
    uint64_t save_calls;
    uint64_t load_calls;
    uint64_t unknown;
};

/* pending_max: 1 .. 2^24 waiters. 0, BASE_E_RANGE or BASE_E_NOMEM; on failure nothing was taken. */
BASE_MUST_USE int replica_core_init(struct replica_core *c, const struct base_memory *m, size_t pending_max,
                                    base_time submit_deadline);
void replica_core_deinit(struct replica_core *c);

/* Whether a message may be submitted now: 0, BASE_E_EXCLUDED, BASE_E_AGAIN (too much pending), or BASE_E_RANGE (size is
 * that of the command, without this layer's head). Ask before the group is given the message. */
BASE_MUST_USE int replica_core_admit(const struct replica_core *c, size_t size);

/* The group took a message of ours under this number; waiter is told when it is over. Only after admit said 0. */
void replica_core_submitted(struct replica_core *c, uint64_t number, replica_on_answer *on_answer, void *user,
                            base_time now);

/* What a delivered message asks for. */
struct replica_task {
    enum replica_kind kind;
    struct replica_command command;
    bool is_awaited;              /* somebody here waits for it: */
    struct replica_waiter waiter; /* meaningless otherwise */
};

/* Takes the next message of the order. 0; or BASE_E_PROTOCOL when a member sent a message that no version of this
 * program writes: it asks for nothing on any replica, so all stay equal. *ret_task borrows the delivery's bytes. */
BASE_MUST_USE int replica_core_deliver(struct replica_core *c, const struct group_delivery *delivery,
                                       struct replica_task *ret_task);

/* Forgets the numbers of members that left or came back as another incarnation: they count from 1 again. */
void replica_core_view(struct replica_core *c, const struct group_view *view);

/* When expire has something to do; BASE_NEVER when nobody waits. */
base_time replica_core_deadline(const struct replica_core *c);

/* Takes out one waiter whose deadline passed; tell it BASE_E_UNKNOWN. False when there is none. Its message may still
 * be delivered, once; then nobody waits for it. */
bool replica_core_expire(struct replica_core *c, base_time now, struct replica_waiter *ret_waiter);

/* This process is out: nothing is admitted any more. */
void replica_core_exclude(struct replica_core *c);

/* Takes out one waiter of an excluded replica; tell it BASE_E_EXCLUDED. False when there is none. */
bool replica_core_abandon(struct replica_core *c, struct replica_waiter *ret_waiter);

/* Runs save or load of a machine and counts it. Nothing but snapshots calls them (and none are made yet). */
BASE_MUST_USE int replica_core_save(struct replica_core *c, const struct replica_machine *machine, void *user,
                                    struct replica_writer *writer);
BASE_MUST_USE int replica_core_load(struct replica_core *c, const struct replica_machine *machine, void *user,
                                    struct replica_reader *reader);

/* Fills in all fields but `group`. */
void replica_core_stats(const struct replica_core *c, struct replica_stats *ret_stats);

#endif
