/* See clients.h. */
#include "tests/sim/clients.h"

#include "rtcp/base/check.h"
#include "tests/sim/arena.h"
#include "tests/sim/net.h"
#include "tests/sim/oracle_clients.h"
#include "tests/sim/oracle_order.h"
#include "tests/sim/real.h"

#include <string.h>

#define OPS_MAX       60000u
#define HEAD_SIZE     26u
#define FILLER_MAX    (SIM_COMMAND_MAX - HEAD_SIZE)
#define RECORDERS     3  /* per member */
#define HISTORY_MAX   6u /* keys with a history: 0..HISTORY_MAX-1; pumps use the others */
#define UNDER_WAY_MAX 512
#define OVERLOAD      8

struct recorder {
    int node;
    bool is_busy;
    base_time think;
};

struct pump {
    int node;
    int under_way;
    size_t bytes; /* of these */
    int burst;
    base_time think;
    uint32_t filler; /* upto */
    unsigned often;  /* so many of a thousand commands are that large */
};

struct sim_clients sim_clients;

static struct recorder recorders[SIM_MEMBERS_MAX][RECORDERS];
static struct pump pumps[SIM_MEMBERS_MAX];
static uint8_t bytes[HEAD_SIZE + FILLER_MAX];
static size_t budget; /* bytes that one member may have under way: what the network moves in some seconds */

/* ------------------------------------------------------------------------------------------------ commands */

static struct sim_op *new_op(int node, enum linear_kind kind, uint8_t key, uint64_t a, uint64_t b)
{
    struct sim_op *op = &sim_clients.op[sim_clients.count];

    CHECK(sim_clients.count < OPS_MAX);
    sim_clients.count++;
    *op = (struct sim_op){.node = node,
                          .life = sim.node[node].life,
                          .kind = kind,
                          .key = key,
                          .a = a,
                          .b = b,
                          .invoked = sim_clients.tick++,
                          .returned = LINEAR_NEVER,
                          .after = sim_clients.answered};
    return op;
}

static struct base_bytes encode(struct sim_op *op)
{
    struct base_bytes all = {bytes, HEAD_SIZE + op->filler};
    uint64_t id = (uint64_t)(op - sim_clients.op);

    base_put64(bytes, id);
    bytes[8] = (uint8_t)op->kind;
    bytes[9] = op->key;
    base_put64(bytes + 10, op->a);
    base_put64(bytes + 18, op->b);
    memset(bytes + HEAD_SIZE, (int)(id & 0xff), op->filler);
    op->data = sim_hash(0, all.data, all.size);
    return all;
}

uint64_t sim_clients_apply(struct sim_machine *machine, const struct replica_command *command, size_t *ret_op)
{
    const uint8_t *d = command->data.data;
    uint64_t data = sim_hash(0, d, command->data.size);
    uint64_t answer = 0;
    uint64_t *at;

    *ret_op = SIZE_MAX;
    if (command->data.size < HEAD_SIZE || base_get64(d) >= sim_clients.count || d[9] >= SIM_KEYS) {
        return 0;
    }
    *ret_op = (size_t)base_get64(d);
    at = d[8] == LINEAR_ADD ? &machine->counter[d[9]] : &machine->reg[d[9]];
    answer = *at;
    if (d[8] == LINEAR_ADD) {
        *at += base_get64(d + 10);
        answer = *at;
    } else if (d[8] == LINEAR_WRITE) {
        *at = base_get64(d + 10);
        answer = 0;
    } else if (*at == base_get64(d + 10)) {
        *at = base_get64(d + 18);
    }
    machine->applied = command->index;
    machine->hash = sim_hash(machine->hash, &command->index, sizeof command->index);
    machine->hash = sim_hash(machine->hash, &command->origin, sizeof command->origin);
    machine->hash = sim_hash(machine->hash, &command->number, sizeof command->number);
    machine->hash = sim_hash(machine->hash, &data, sizeof data);
    machine->hash = sim_hash(machine->hash, at, sizeof *at);
    return answer;
}

/* ------------------------------------------------------------------------------------------------ answers */

static void conclude(struct sim_op *op, int status, struct base_bytes answer)
{
    op->returned = sim_clients.tick++;
    if (status != 0) {
        op->outcome = SIM_UNKNOWN;
        op->returned = LINEAR_NEVER;
        sim_arena_stats.unknown++;
        sim_trace("operation %zu ends: %s", (size_t)(op - sim_clients.op), base_status_name(status));
        oracle_clients_unknown(op, status);
        return;
    }
    op->outcome = SIM_OK;
    if (op->kind == LINEAR_READ) {
        op->result = sim_group.member[op->node].machine.reg[op->key];
        op->index = oracle_order_delivered(op->node);
    } else if (answer.size == sizeof op->result) {
        op->result = base_get64(answer.data);
    }
    sim_arena_stats.answers++;
    oracle_clients_answer(op, answer);
    sim_clients.answered = op->index > sim_clients.answered ? op->index : sim_clients.answered;
}

static void on_recorded(void *user, int status, struct base_bytes answer)
{
    struct sim_op *op = &sim_clients.op[(uintptr_t)user];

    for (int i = 0; i < RECORDERS; i++) {
        if (op->is_recorded && op->filler == (uint32_t)i) {
            recorders[op->node][i].is_busy = false;
        }
    }
    conclude(op, status, answer);
}

static void on_pumped(void *user, int status, struct base_bytes answer)
{
    conclude(&sim_clients.op[(uintptr_t)user], status, answer);
}

/* What a pump gave up is still on its way: only its application makes room for more. */
void sim_clients_applied(int node, size_t number)
{
    struct sim_op *op = &sim_clients.op[number];

    if (op->is_pumped && op->node == node && op->life == sim.node[node].life) {
        pumps[node].under_way--;
        pumps[node].bytes -= HEAD_SIZE + op->filler;
    }
}

static void on_probed(void *user, int status, struct base_bytes answer)
{
    conclude(&sim_clients.op[(uintptr_t)user], status, answer);
}

/* Hands an operation in. False: it was refused, and must never run (K5). */
static bool submit(struct sim_op *op, replica_on_answer *on_answer)
{
    struct replica *replica = sim_group.member[op->node].replica;
    void *user = (void *)(uintptr_t)(op - sim_clients.op);
    int status = op->kind == LINEAR_READ ? replica_read(replica, on_answer, user)
                                         : replica_submit(replica, encode(op), on_answer, user);

    sim_arena_stats.commands++;
    if (status == 0) {
        return true;
    }
    op->outcome = SIM_NEVER;
    oracle_clients_refused(op, status);
    return false;
}

/* ------------------------------------------------------------------------------------------------ actors */

static bool may_act(int node)
{
    return !sim_clients.is_calm && sim_group_is_serving(node) && !sim.node[node].is_paused &&
           sim_clients.count + 1024 < OPS_MAX;
}

static void record_one(void *object, uint64_t number)
{
    struct recorder *r = object;
    uint8_t key = (uint8_t)sim_below(HISTORY_MAX);
    uint64_t kind = sim_below(10);
    const uint64_t *reg = sim_group.member[r->node].machine.reg;
    struct sim_op *op;

    if (kind < 3) {
        op = new_op(r->node, LINEAR_READ, key, 0, 0);
    } else if (kind < 5) {
        op = new_op(r->node, LINEAR_WRITE, key, 1 + sim_below(1000), 0);
    } else if (kind < 7) { /* of what this member believes, so that some succeed */
        op = new_op(r->node, LINEAR_CAS, key, reg[key], 1 + sim_below(1000));
    } else {
        op = new_op(r->node, LINEAR_ADD, key, 1 + sim_below(9), 0);
    }
    op->is_recorded = true;
    op->filler = (uint32_t)number; /* which recorder */
    r->is_busy = submit(op, on_recorded);
}

static void turn_recorder(void *object, uint64_t number)
{
    struct recorder *r = object;

    if (!r->is_busy && may_act(r->node)) {
        sim_in_node(&sim.node[r->node], record_one, r, number);
    }
    sim_at(sim.now + sim_delay(BASE_MS(1), r->think), turn_recorder, r, number);
}

static void pump_some(void *object, uint64_t number)
{
    struct pump *p = object;
    int burst = 1 + (int)sim_below((uint64_t)p->burst);

    (void)number;
    for (int i = 0; i < burst && p->under_way < UNDER_WAY_MAX && p->bytes < budget; i++) {
        struct sim_op *op =
            new_op(p->node, LINEAR_ADD, (uint8_t)(HISTORY_MAX + sim_below(SIM_KEYS - HISTORY_MAX)), 1, 0);

        op->is_pumped = true;
        op->filler = sim_chance(p->often) ? (uint32_t)sim_below(p->filler) : (uint32_t)sim_below(64);
        if (!submit(op, on_pumped)) {
            return;
        }
        p->under_way++;
        p->bytes += HEAD_SIZE + op->filler;
    }
}

static void turn_pump(void *object, uint64_t number)
{
    struct pump *p = object;

    if (may_act(p->node)) {
        sim_in_node(&sim.node[p->node], pump_some, p, 0);
    }
    sim_at(sim.now + sim_delay(BASE_MS(1), p->think), turn_pump, p, number);
}

static int64_t probe_number;

static void probe_one(void *object, uint64_t number)
{
    struct sim_op *op = new_op(*(int *)object, LINEAR_ADD, SIM_KEYS - 1, 1, 0);

    (void)number;
    probe_number = submit(op, on_probed) ? (int64_t)(op - sim_clients.op) : -1;
}

int64_t sim_clients_probe(int node)
{
    probe_number = -1;
    if (sim_clients.count + 1 < OPS_MAX && sim_group_is_serving(node) && !sim.node[node].is_paused) {
        sim_in_node(&sim.node[node], probe_one, &node, 0);
    }
    return probe_number;
}

/* ------------------------------------------------------------------------------------------------ begin and end */

void sim_clients_start(int node)
{
    for (int i = 0; i < RECORDERS; i++) {
        recorders[node][i].is_busy = false;
    }
    pumps[node].under_way = 0;
    pumps[node].bytes = 0;
}

/* One segment, of half the greatest size in the mean, moves per round trip. Some runs have more under way than the
 * network moves before leaders lose their patience. */
static size_t draw_budget(void)
{
    base_time trip = 2 * (sim_weather.delay_min + (sim_weather.delay_max - sim_weather.delay_min) / 4) + BASE_US(100);
    uint64_t moved = BASE_S(2) / trip * sim_weather.chunk_max / 2 * (sim_chance(400) ? OVERLOAD : 1);

    return (size_t)(moved < 2000 ? 2000 : moved > (4u << 20) ? 4u << 20 : moved) / (size_t)sim_group.count;
}

void sim_clients_begin(void)
{
    static const uint32_t fillers[] = {1, 300, 3000, 20000, FILLER_MAX};
    static const unsigned often[] = {60, 60, 500, 500};

    sim_clients = (struct sim_clients){.op = real_calloc(OPS_MAX, sizeof *sim_clients.op)};
    CHECK(sim_clients.op != NULL);
    budget = draw_budget();
    for (int n = 0; n < sim_group.count; n++) {
        pumps[n] = (struct pump){.node = n,
                                 .burst = 1 + (int)sim_delay(0, 60),
                                 .think = BASE_MS(2) + sim_delay(0, BASE_MS(1000)),
                                 .filler = fillers[sim_below(sizeof fillers / sizeof fillers[0])],
                                 .often = often[sim_below(sizeof often / sizeof often[0])]};
        pumps[n].filler = pumps[n].filler < budget ? pumps[n].filler : (uint32_t)budget;
        sim_at(sim.now, turn_pump, &pumps[n], 0);
        for (int i = 0; i < RECORDERS; i++) {
            recorders[n][i] = (struct recorder){.node = n, .think = BASE_MS(5) + sim_delay(0, BASE_MS(700))};
            sim_at(sim.now, turn_recorder, &recorders[n][i], (uint64_t)i);
        }
    }
}

void sim_clients_end(void)
{
    real_free(sim_clients.op);
    sim_clients.op = NULL;
}
