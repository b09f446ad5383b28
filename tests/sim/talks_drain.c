/* See talks_drain.h. */
#include "tests/sim/talks_drain.h"

#include "rtcp/defaults.h"
#include "tests/sim/cover.h"

#include <string.h>

#define DEADLINE_MAX BASE_S(20)
#define PATIENCE     BASE_S(2) /* for a turn of the loop after the deadline, on a slow machine, too */

static struct {
    int nodes;
    struct {
        uint32_t life; /* of the process that leaves; 0: none did */
        base_time deadline;
        uint64_t lost;
        bool is_over;
        void (*restart)(int node);
    } of[SIM_NODES_MAX];
} d;

void talks_drain_begin(int nodes)
{
    memset(&d, 0, sizeof d);
    d.nodes = nodes;
}

bool talks_drain_is_on(int node)
{
    return sim.node[node].is_up && d.of[node].life == sim.node[node].life;
}

bool talks_drain_was_on(int node)
{
    return d.of[node].life != 0;
}

/* The streams of a process that are not over, named or not yet; closes their accounts when it begins to leave. */
static int left(int node, bool is_beginning, bool has_deadline)
{
    int count = 0;

    for (int i = 0; i < talks.count; i++) {
        for (int side = 0; side < 2; side++) {
            struct talk_end *e = &talks.talk[i].end[side];

            if (e->stream == NULL || e->node != node || !talks_is_alive(e) || talks.talk[i].has_wrong_key) {
                continue;
            }
            count++;
            if (is_beginning) {
                e->has_closed = true;
                e->has_deadline = e->has_deadline || has_deadline;
            }
        }
    }
    return count;
}

static void leave(void *object, uint64_t number)
{
    (void)object;
    rtcp_endpoint_close(talks.endpoint[number]);
}

static void end_process(void *object, uint64_t life)
{
    struct sim_node *node = object;

    if (node->life != life || !node->is_up) {
        return; /* it was killed meanwhile */
    }
    if (node->is_paused) {
        sim_at(sim.now + BASE_MS(100), end_process, node, life);
        return;
    }
    sim_in_node(node, leave, NULL, (uint64_t)node->id);
    sim_node_kill(node, false);
    d.of[node->id].restart(node->id);
}

void talks_drain_give_up(void)
{
    for (int i = 0; i < d.nodes; i++) {
        if (talks_drain_is_on(i) && d.of[i].deadline == BASE_NEVER && !d.of[i].is_over) {
            end_process(&sim.node[i], sim.node[i].life);
        }
    }
}

static void on_drain(void *user, struct rtcp_endpoint *endpoint, const struct rtcp_drain_progress *progress)
{
    int node = *(int *)user;

    (void)endpoint;
    if (!progress->is_over) {
        return;
    }
    sim_trace("node %d has drained, %llu lost", node, (unsigned long long)progress->lost);
    sim_cover_event("drain", "over", progress->lost > 0 ? "bytes lost" : "nothing lost");
    d.of[node].is_over = true;
    if (left(node, false, false) > 0 || progress->streams > 0) {
        sim_fail("D drain", "node %d says that it has drained, but a stream is not over", node);
    }
    if (progress->lost != d.of[node].lost) {
        sim_fail("D drain", "node %d lost %llu bytes, but its streams told %llu", node,
                 (unsigned long long)progress->lost, (unsigned long long)d.of[node].lost);
    }
    sim_at(sim.now + sim_below(BASE_MS(500)), end_process, &sim.node[node], sim.node[node].life);
}

void talks_drain_start(int node, void (*restart)(int node))
{
    static int numbers[SIM_NODES_MAX];
    base_time within = sim_chance(500) ? BASE_NEVER : sim_delay(0, DEADLINE_MAX);
    int closing;

    if (talks_drain_is_on(node)) {
        return;
    }
    numbers[node] = node;
    d.of[node].life = sim.node[node].life;
    d.of[node].deadline = base_time_add(sim.now, within);
    d.of[node].lost = 0;
    d.of[node].is_over = false;
    d.of[node].restart = restart;
    closing = left(node, true, within != BASE_NEVER);
    sim_trace("node %d drains %d streams", node, closing);
    sim_cover_event("drain", "begins", within == BASE_NEVER ? "for ever" : "with a deadline");
    rtcp_drain(talks.endpoint[node], within, on_drain, &numbers[node]);
}

void talks_drain_lost(uint64_t unacknowledged)
{
    d.of[sim.current->id].lost += unacknowledged;
}

void talks_drain_judge(void)
{
    for (int i = 0; i < d.nodes && !sim.is_failed; i++) {
        if (talks_drain_is_on(i) && !d.of[i].is_over && sim.now > base_time_add(d.of[i].deadline, PATIENCE)) {
            sim_fail("D drain", "node %d does not end, %llu ms after its deadline", i,
                     (unsigned long long)((sim.now - d.of[i].deadline) / BASE_MS(1)));
        }
    }
}
