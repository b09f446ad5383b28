/* replication: a replicated state machine. Submit a command on any member; it is applied once, in one order, on all.
 *
 * A partition is masked: the majority goes on, a replica that was cut off gets every missed command once, in order,
 * when the link is back, through channels that never broke; the application forwards nothing. (Ekwall, Urban, Schiper,
 * section 1; replication/PROTOCOL.md.)
 *
 * Thread, callbacks, ownership and errors: as in membership/membership.h, whose callbacks this layer passes on.
 */
#ifndef HOLDFAST_REPLICATION_H
#define HOLDFAST_REPLICATION_H

#include "membership/membership.h"

#define REPLICA_API __attribute__((visibility("default")))

/* Bytes of one command: the rest is room for the head that this layer adds. */
#define REPLICA_COMMAND_MAX (GROUP_MESSAGE_MAX - 16)

struct replica;
struct replica_answer; /* where apply writes its answer */
struct replica_writer; /* where save writes the state */
struct replica_reader; /* from where load reads it */

/* One command, as apply sees it: everything here is the same on every replica. */
struct replica_command {
    uint64_t index; /* place in the order */
    uint64_t term;
    uint32_t origin; /* member on which it was submitted */
    uint64_t number; /* numbered per submitting process */
    struct base_bytes data;
};

/* The state machine. It must be deterministic: the same commands in the same order give the same state; no clocks, no
 * random numbers, no pointers in the state. */
struct replica_machine {
    /* Changes the state and writes the answer; called once per command, in order, on every replica. */
    void (*apply)(void *user, const struct replica_command *command, struct replica_answer *answer);

    /* Writes the whole state; 0 or a negative status. Called for snapshots (none are made by volatile groups yet). */
    int (*save)(void *user, struct replica_writer *writer);

    /* Replaces the whole state by what save wrote; 0 or a negative status. */
    int (*load)(void *user, struct replica_reader *reader);
};

/* Appends to the answer; copies. Answers above 512 MiB end the process: bound them in apply. Only the member on which
 * the command was submitted keeps the bytes, so nothing may depend on them. */
REPLICA_API void replica_answer_add(struct replica_answer *answer, const void *data, size_t size);

/* Appends to the saved state; copies. 0, BASE_E_NOMEM or BASE_E_RANGE (too large): give it back from save. */
REPLICA_API BASE_MUST_USE int replica_writer_add(struct replica_writer *writer, const void *data, size_t size);

/* Takes the next size bytes of a saved state, all or none. 0, or BASE_E_RANGE when fewer are left: the state is cut. */
REPLICA_API BASE_MUST_USE int replica_reader_take(struct replica_reader *reader, void *ret_data, size_t size);

/* Bytes not yet taken. */
REPLICA_API size_t replica_reader_left(const struct replica_reader *reader);

struct replica_options {
    struct group_options group;
    base_time submit_deadline; /* so long after its submission a command's outcome is told as unknown: default 5 s */
};

REPLICA_API void replica_options_default(struct replica_options *o);

/* Like group_found / group_open, with a state machine. callbacks may be NULL; its on_deliver is not used. */
REPLICA_API BASE_MUST_USE int replica_found(struct ev_loop *loop, const struct replica_options *options,
                                            const struct replica_machine *machine,
                                            const struct group_callbacks *callbacks, void *user,
                                            struct replica **ret_replica);
REPLICA_API BASE_MUST_USE int replica_open(struct ev_loop *loop, const struct replica_options *options,
                                           const struct replica_machine *machine,
                                           const struct group_callbacks *callbacks, void *user,
                                           struct replica **ret_replica);

/* Ends this replica; pending commands get no callback any more. Accepts NULL. Not from a callback. */
REPLICA_API void replica_close(struct replica *replica);

/* How a submitted command ended. status: 0 and the answer apply gave; BASE_E_UNKNOWN: its deadline passed, it may still
 * run (once); BASE_E_EXCLUDED: this member is out, unknown. (That a command never ran is said by replica_submit alone.)
 */
typedef void replica_on_answer(void *user, int status, struct base_bytes answer);

/* Submits a command. on_answer runs exactly once, after the command is committed and applied here (or failed), unless
 * the replica is closed first; all that are submitted on one member are answered in the order of the calls.
 *
 *   returns  0; BASE_E_AGAIN (too much pending: wait for on_writable), BASE_E_NOLEADER (no leader for a second: it
 *            never ran), BASE_E_RANGE (size), BASE_E_NOMEM, BASE_E_EXCLUDED. On failure on_answer does not run.
 */
REPLICA_API BASE_MUST_USE int replica_submit(struct replica *replica, struct base_bytes command,
                                             replica_on_answer *on_answer, void *user);

/* A linearizable point: on_ready runs with 0 when everything that was committed before this call is applied here; read
 * the state then. Goes through the log. Same results as replica_submit. */
REPLICA_API BASE_MUST_USE int replica_read(struct replica *replica, replica_on_answer *on_ready, void *user);

struct replica_stats {
    struct group_stats group;
    uint64_t applied;    /* index up to which apply has run */
    uint64_t commands;   /* commands applied here */
    uint64_t pending;    /* submitted here, not yet answered */
    uint64_t save_calls; /* times save ran */
    uint64_t load_calls;
    uint64_t unknown; /* commands whose outcome was told as unknown */
};

REPLICA_API void replica_stats(const struct replica *replica, struct replica_stats *ret_stats);
REPLICA_API const struct group_view *replica_view(const struct replica *replica);

#endif
