/* Arena of the order core: the model of explore.h, walked at random. Here members are durable, their disks are slow,
 * and they crash at every moment: what the arena of groups cannot show as long as groups are volatile (T13, R8, R9).
 */
#include "tests/sim/arena.h"
#include "tests/sim/explore.h"
#include "tests/sim/faults.h"

#define STEPS 700

/* Messages and writes mostly go on; now and then something else happens. */
static struct explore_action choose(const struct explore_action *actions, size_t count)
{
    static const unsigned weight[] = {[EXPLORE_EXPIRE] = 50, [EXPLORE_DELIVER] = 1000, [EXPLORE_DURABLE] = 400,
                                      [EXPLORE_CRASH] = 40,  [EXPLORE_SUBMIT] = 150,   [EXPLORE_BREAK] = 5};

    for (;;) {
        struct explore_action action = actions[sim_below(count)];

        if (sim_chance(weight[action.kind])) {
            return action;
        }
    }
}

static void run(unsigned faults, int members)
{
    struct explore_action actions[EXPLORE_ACTIONS_MAX];
    struct explore_limits limits = {.members = members == 0 ? (sim_chance(600) ? 3 : 5) : members,
                                    .terms = 100,
                                    .expires = STEPS,
                                    .crashes = (faults & 1u << FAULT_KILL) != 0 ? (int)sim_below(40) : 0,
                                    .submits = 40,
                                    .breaks = (int)sim_below(6)};
    size_t count;

    limits.members = limits.members > 5 ? 5 : limits.members;
    explore_begin(&limits, sim.seed);
    for (int i = 0; i < STEPS && !sim.is_failed && (count = explore_actions(actions)) > 0; i++) {
        struct explore_action action = choose(actions, count);
        const char *broken = explore_apply(action);

        sim_trace("kind %u of %u, %u", action.kind, action.a, action.b);
        sim_faults_done += action.kind == EXPLORE_CRASH || action.kind == EXPLORE_BREAK;
        if (broken != NULL) {
            sim_fail("order", "%s", broken);
        }
    }
    sim_arena_stats.entries += explore_settled();
    explore_end();
}

const struct sim_arena sim_arena_order = {
    "order",
    "the order core alone, durable, with slow disks and crashes",
    1u << FAULT_KILL,
    run,
};
