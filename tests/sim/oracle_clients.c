/* See oracle_clients.h. */
#include "tests/sim/oracle_clients.h"

#include "rtcp/base/check.h"
#include "tests/sim/arena.h"
#include "tests/sim/oracle_order.h"
#include "tests/sim/real.h"

#define STEPS_MAX 60000u

static struct {
    bool is_refounded;
} k;

void oracle_clients_begin(void)
{
    k.is_refounded = false;
}

void oracle_clients_refound(void)
{
    k.is_refounded = true;
    sim_clients.answered = 0;
    for (size_t i = 0; i < sim_clients.count; i++) {
        sim_clients.op[i].after = 0;
    }
}

void oracle_clients_applied(int node, const struct replica_command *command, size_t number)
{
    struct sim_op *op;

    if (number >= sim_clients.count ||
        sim_clients.op[number].data != sim_hash(0, command->data.data, command->data.size)) {
        sim_fail("K5 nothing made up", "node %d applies at %llu what nobody submitted", node,
                 (unsigned long long)command->index);
        return;
    }
    op = &sim_clients.op[number];
    if (op->outcome == SIM_NEVER) {
        sim_fail("K5 refused is refused", "operation %zu was refused, and node %d applies it at %llu", number, node,
                 (unsigned long long)command->index);
    }
    if (op->index != 0 && op->index != command->index) {
        sim_fail("K2 applied once", "operation %zu was applied at %llu, and node %d applies it at %llu", number,
                 (unsigned long long)op->index, node, (unsigned long long)command->index);
    }
    if (command->origin != (uint32_t)op->node + 1) {
        sim_fail("K5 nothing made up", "operation %zu of node %d is told as of member %u", number, op->node,
                 command->origin);
    }
    op->index = command->index;
}

void oracle_clients_answer(struct sim_op *op, struct base_bytes answer)
{
    size_t number = (size_t)(op - sim_clients.op);

    if (op->life != sim.node[op->node].life) {
        sim_fail("K5 nothing made up", "operation %zu is answered by another process than its own", number);
    }
    if (op->kind != LINEAR_READ && op->index == 0) {
        sim_fail("K7 no answer before the commitment", "operation %zu was answered and not applied", number);
    }
    if (op->kind != LINEAR_READ && sim_hash(1, answer.data, answer.size) != oracle_order_answer(op->index)) {
        sim_fail("K2 one answer", "operation %zu got another answer than the order gives", number);
    }
    if (op->index < op->after || (op->index == op->after && op->kind != LINEAR_READ)) {
        sim_fail("K1 linearizable", "operation %zu took effect at %llu, but began when %llu had been answered", number,
                 (unsigned long long)op->index, (unsigned long long)op->after);
    }
}

void oracle_clients_refused(const struct sim_op *op, int status)
{
    bool is_fine = status == BASE_E_AGAIN || status == BASE_E_NOLEADER;

    if (!is_fine) {
        sim_fail("K5 truth", "an operation of node %d was refused with %s", op->node, base_status_name(status));
    }
}

void oracle_clients_unknown(const struct sim_op *op, int status)
{
    if (status != BASE_E_UNKNOWN && status != BASE_E_EXCLUDED) {
        sim_fail("K5 truth", "an operation of node %d ended with %s", op->node, base_status_name(status));
    }
}

/* ------------------------------------------------------------------------------------------------ histories */

static bool belongs(const struct sim_op *op, uint8_t key, bool is_counter)
{
    return op->is_recorded && op->key == key && (op->kind == LINEAR_ADD) == is_counter && op->outcome != SIM_NEVER &&
           (op->kind != LINEAR_READ || op->outcome == SIM_OK);
}

static void judge_key(struct linear_op *history, uint8_t key, bool is_counter)
{
    size_t count = 0;
    enum linear_verdict verdict;

    for (size_t i = 0; i < sim_clients.count; i++) {
        const struct sim_op *op = &sim_clients.op[i];

        if (belongs(op, key, is_counter)) {
            history[count++] = (struct linear_op){op->kind, op->a, op->b, op->result, op->invoked, op->returned};
        }
    }
    verdict = linear_check(history, count, STEPS_MAX);
    sim_arena_stats.undecided += verdict == LINEAR_UNDECIDED ? 1 : 0;
    sim_arena_stats.histories++;
    if (verdict == LINEAR_BAD) {
        sim_fail("K1 linearizable", "the %zu operations on %s %u have no explanation", count,
                 is_counter ? "counter" : "register", key);
    }
}

void oracle_clients_judge(void)
{
    struct linear_op *history = real_calloc(sim_clients.count + 1, sizeof *history);

    CHECK(history != NULL);
    for (uint8_t key = 0; key < SIM_KEYS && !sim.is_failed && !k.is_refounded; key++) {
        judge_key(history, key, false);
        judge_key(history, key, true);
    }
    real_free(history);
}
