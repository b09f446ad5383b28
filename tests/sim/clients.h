/* Clients of the group: actors on the members' nodes that submit commands, read, and write down what happened to them.
 *
 * Recorders do one operation at a time on few keys; their histories go to the checker of linearizability. Pumps keep
 * many commands under way.
 *
 * Owns      operations and their outcomes; the bytes of commands.
 * Not here  verdicts (oracle_clients.h), the state machine's place (arena_group.c).
 */
#ifndef HOLDFAST_SIM_CLIENTS_H
#define HOLDFAST_SIM_CLIENTS_H

#include "tests/sim/arena_group.h"
#include "tests/sim/linear.h"

#define SIM_COMMAND_MAX 200000u /* bytes of the largest command */

enum sim_outcome {
    SIM_PENDING, /* no answer yet, or never: it may have run */
    SIM_OK,
    SIM_NEVER,   /* refused: it must never run */
    SIM_UNKNOWN, /* given up: it may run */
};

struct sim_op {
    int node;
    uint32_t life;
    enum linear_kind kind;
    uint8_t key;
    bool is_recorded; /* belongs to a history that is checked */
    bool is_pumped;
    uint64_t a, b;
    uint32_t filler; /* bytes added to the command */
    enum sim_outcome outcome;
    uint64_t result;
    uint64_t invoked, returned; /* ticks of one clock */
    uint64_t after;             /* what had been answered when it began: the greatest index */
    uint64_t index;             /* where it was applied; 0: nowhere so far */
    uint64_t data;              /* hash of the command's bytes */
};

struct sim_clients {
    struct sim_op *op;
    size_t count;
    uint64_t tick;
    uint64_t answered; /* the greatest index of which somebody has an answer */
    bool is_calm;      /* no new operations */
};

extern struct sim_clients sim_clients;

/* Draws how busy they are, and lets them begin. */
void sim_clients_begin(void);
void sim_clients_end(void);
/* A new process: those of the former one are gone. */
void sim_clients_start(int node);
/* One add on this member now; its number, or -1 when it was refused. */
int64_t sim_clients_probe(int node);

/* Applies a command to a machine; its answer. *ret_op: which operation it was. */
uint64_t sim_clients_apply(struct sim_machine *machine, const struct replica_command *command, size_t *ret_op);
/* An operation was applied on this node. */
void sim_clients_applied(int node, size_t op);

#endif
