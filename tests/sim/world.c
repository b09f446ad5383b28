/* See world.h: time, events, processes and their memory. */
#include "tests/sim/world.h"

#include "rtcp/base/check.h"
#include "tests/sim/net.h"
#include "tests/sim/real.h"

#include <string.h>

#define EVENTS_MIN 1024u
#define TURN_COST  BASE_US(5)
#define TURNS_MAX  60000u /* in one virtual second: more is a busy loop */

struct sim_event {
    base_time at;
    uint64_t serial;
    sim_action *action;
    void *object;
    uint64_t number;
};

static struct {
    struct sim_event *heap;
    size_t count, room;
    uint64_t serial;
} queue;

struct sim_world sim;

/* ------------------------------------------------------------------------------------------------ events */

static bool is_before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at < b->at || (a->at == b->at && a->serial < b->serial);
}

void sim_at(base_time at, sim_action *action, void *object, uint64_t number)
{
    struct sim_event e = {base_time_max(at, sim.now), queue.serial++, action, object, number};
    size_t i = queue.count++;

    if (queue.count > queue.room) {
        queue.room = queue.room == 0 ? EVENTS_MIN : queue.room * 2;
        queue.heap = real_realloc(queue.heap, queue.room * sizeof *queue.heap);
        CHECK(queue.heap != NULL);
    }
    for (; i > 0 && is_before(&e, &queue.heap[(i - 1) / 2]); i = (i - 1) / 2) {
        queue.heap[i] = queue.heap[(i - 1) / 2];
    }
    queue.heap[i] = e;
}

static struct sim_event take_event(void)
{
    struct sim_event first = queue.heap[0];
    struct sim_event last = queue.heap[--queue.count];
    size_t i = 0;

    for (;;) {
        size_t least = 2 * i + 1;

        if (least + 1 < queue.count && is_before(&queue.heap[least + 1], &queue.heap[least])) {
            least++;
        }
        if (least >= queue.count || !is_before(&queue.heap[least], &last)) {
            break;
        }
        queue.heap[i] = queue.heap[least];
        i = least;
    }
    queue.heap[i] = last;
    return first;
}

void sim_run(base_time until, const bool *stop)
{
    while (!sim.is_failed && (stop == NULL || !*stop) && queue.count > 0 && queue.heap[0].at <= until) {
        struct sim_event e = take_event();

        sim.now = e.at;
        sim.events++;
        e.action(e.object, e.number);
    }
    if (!sim.is_failed && (stop == NULL || !*stop)) {
        sim.now = base_time_max(sim.now, until);
    }
}

/* ------------------------------------------------------------------------------------------------ randomness */

uint64_t sim_below(uint64_t upto)
{
    if (upto > UINT32_MAX) {
        return base_rng_below(&sim.rng, upto);
    }
    return (base_rng_next(&sim.rng) >> 32) * upto >> 32; /* no division: this is asked for a million times */
}

bool sim_chance(unsigned per_mille)
{
    return per_mille > 0 && sim_below(1000) < per_mille;
}

base_time sim_delay(base_time from, base_time upto)
{
    base_time span = upto > from ? upto - from : 0;

    /* The least of three draws: most are short, some take the whole span. */
    return from + base_time_min(sim_below(span + 1), base_time_min(sim_below(span + 1), sim_below(span + 1)));
}

/* ------------------------------------------------------------------------------------------------ processes */

base_time sim_node_now(const struct sim_node *node)
{
    return node->clock_offset + sim.now + (base_time)((int64_t)(sim.now / 1000000) * node->clock_ppm);
}

/* The world's time at which a node's clock shows `at`. */
static base_time world_time(const struct sim_node *node, base_time at)
{
    base_time shown = sim_node_now(node);
    base_time wait = base_time_since(at, shown);

    return at == BASE_NEVER ? BASE_NEVER : sim.now + wait - (base_time)((int64_t)(wait / 1000000) * node->clock_ppm);
}

static void turn(void *object, uint64_t serial);

static void schedule(struct sim_node *node, base_time at)
{
    if (!node->is_up || node->is_paused || at >= node->wake_at) {
        return;
    }
    node->wake_at = at;
    sim_at(at, turn, node, ++node->wake_serial);
}

static void watch_turns(struct sim_node *node)
{
    node->turns++;
    if (sim.now >= node->turns_at + BASE_S(1)) {
        node->turns_at = sim.now;
        node->turns_here = 0;
    }
    if (++node->turns_here > node->turns_most) {
        node->turns_most = node->turns_here;
    }
    if (node->turns_here > sim.turns_max) {
        sim_fail("B3 no busy loop", "node %d turned its loop %u times within a second", node->id, sim.turns_max);
    }
}

static void look(struct sim_node *node, bool again)
{
    base_time at = again ? sim.now : world_time(node, sim_loop_deadline(node->loop));

    if (at != BASE_NEVER) {
        schedule(node, at + TURN_COST + node->slow);
    }
}

static void turn(void *object, uint64_t serial)
{
    struct sim_node *node = object;
    bool again;

    if (serial != node->wake_serial || !node->is_up || node->is_paused) {
        return;
    }
    node->wake_at = BASE_NEVER;
    watch_turns(node);
    sim.current = node;
    again = sim_loop_turn(node->loop);
    sim.current = NULL;
    if (node->is_up) {
        look(node, again);
    }
}

void sim_node_poke(struct sim_node *node)
{
    schedule(node, sim.now + TURN_COST + node->slow);
}

void sim_in_node(struct sim_node *node, sim_action *action, void *object, uint64_t number)
{
    struct sim_node *before = sim.current;

    if (!node->is_up) {
        return;
    }
    sim.current = node;
    action(object, number);
    sim.current = before;
    if (node->is_up) {
        sim_node_poke(node);
    }
}

void sim_node_start(struct sim_node *node, sim_action *start, void *object)
{
    CHECK(!node->is_up);
    node->is_up = true;
    node->is_off = false;
    node->is_paused = false;
    node->life++;
    node->wake_at = BASE_NEVER;
    node->loop = sim_loop_new(node);
    sim_trace("node %d starts, life %u", node->id, node->life);
    sim_in_node(node, start, object, 0);
}

void sim_node_kill(struct sim_node *node, bool is_silent)
{
    if (!node->is_up) {
        return;
    }
    sim_trace("node %d is killed%s", node->id, is_silent ? ", silently" : "");
    node->is_up = false;
    node->is_off = is_silent;
    node->is_paused = false;
    node->wake_at = BASE_NEVER;
    node->wake_serial++;
    sim_net_process_died(node, is_silent);
    sim_loop_free(node->loop);
    node->loop = NULL;
    sim_memory_give_all(node);
}

void sim_node_pause(struct sim_node *node, bool is_paused)
{
    if (!node->is_up || node->is_paused == is_paused) {
        return;
    }
    sim_trace("node %d %s", node->id, is_paused ? "stops" : "goes on");
    node->is_paused = is_paused;
    node->wake_at = BASE_NEVER;
    node->wake_serial++;
    sim_node_poke(node);
}

/* ------------------------------------------------------------------------------------------------ begin and end */

void sim_begin(uint64_t seed)
{
    memset(&sim, 0, sizeof sim);
    sim.seed = seed;
    sim.now = BASE_S(1000);
    sim.turns_max = TURNS_MAX;
    sim.hash = 1469598103934665603u;
    base_rng_init(&sim.rng, seed ^ 0x5eed);
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        sim.node[i].id = i;
        sim.node[i].wake_at = BASE_NEVER;
    }
    queue.count = 0;
    queue.serial = 0;
    sim_net_begin();
}

void sim_end(void)
{
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        sim_node_kill(&sim.node[i], true);
    }
    sim_net_end();
    sim_objects_give_all();
    real_free(queue.heap);
    queue.heap = NULL;
    queue.count = queue.room = 0;
}
