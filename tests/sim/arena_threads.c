/* Arena of threads: readers, writers and a control thread on one or both sides of a stream (duet.h), interleaved at
 * every lock and every system call, while connections break, freezes come and applications close. In the end nothing
 * goes wrong any more, and everything has to arrive and to end.
 */
#include "tests/sim/arena.h"
#include "tests/sim/cover.h"
#include "tests/sim/duet.h"
#include "tests/sim/faults.h"

#define STEPS 4000

static void on_event(void *user, const struct base_event *e)
{
    (void)user;
    sim_cover_branch(e);
    sim_trace("session %llu: %s %s%s%s", (unsigned long long)e->id, e->object, e->name, e->text == NULL ? "" : ": ",
              e->text == NULL ? "" : e->text);
}

/* How likely what is possible also happens: threads and bytes mostly go on. */
struct mood {
    unsigned weight[DUET_STEP + 1];
};

static struct mood choose_mood(void)
{
    static const unsigned usual[] = {
        [DUET_CONNECTED] = 300, [DUET_UNMADE] = 60,  [DUET_REQUEST] = 300, [DUET_ANSWER] = 300, [DUET_WRITE] = 900,
        [DUET_READ] = 900,      [DUET_FROZEN] = 300, [DUET_BREAK] = 4,     [DUET_RESET] = 200,  [DUET_ENDED] = 60,
        [DUET_DELIVER] = 300,   [DUET_REPEAT] = 10,  [DUET_EXPIRE] = 8,    [DUET_REPLACE] = 30, [DUET_APPEND] = 300,
        [DUET_SHUTDOWN] = 1,    [DUET_CLOSE] = 1,    [DUET_ABORT] = 1,     [DUET_STEP] = 1000};
    struct mood m;

    for (int i = 0; i <= DUET_STEP; i++) {
        m.weight[i] = usual[i] * (sim_chance(250) ? 4 : 1) / (sim_chance(250) ? 4 : 1);
        m.weight[i] = m.weight[i] > 0 ? m.weight[i] : 1;
    }
    return m;
}

static struct duet_action choose(const struct mood *m, const struct duet_action *actions, size_t count)
{
    for (;;) {
        struct duet_action action = actions[sim_below(count)];

        if (sim_chance(m->weight[action.kind])) {
            action.amount = (uint8_t)sim_below(sim_chance(500) ? 4 : 256);
            return action;
        }
    }
}

static struct duet_limits choose_limits(void)
{
    struct duet_limits limits = {.breaks = (int)sim_below(40),
                                 .expires = STEPS,
                                 .repeats = (int)sim_below(20),
                                 .replaces = (int)sim_below(20),
                                 .bytes = {(int)sim_below(600), (int)sim_below(600)},
                                 .shutdowns = (int)sim_below(3),
                                 .closes = sim_chance(300) ? 1 : 0,
                                 .aborts = sim_chance(80) ? 1 : 0,
                                 .packets = 1 + (int)sim_below(6),
                                 .ring = 4u << sim_below(5)};

    limits.has_threads[0] = !sim_chance(250);
    limits.has_threads[1] = !limits.has_threads[0] || sim_chance(500);
    return limits;
}

static void run(unsigned faults, int members)
{
    struct duet_action actions[DUET_ACTIONS_MAX];
    struct duet_limits limits = choose_limits();
    struct mood mood = choose_mood();
    const char *broken = NULL;
    char text[80];
    size_t count;

    (void)faults;
    (void)members;
    duet_watch(NULL, on_event);
    duet_begin(&limits);
    for (int i = 0; i < STEPS && broken == NULL && (count = duet_actions(actions)) > 0; i++) {
        struct duet_action action = choose(&mood, actions, count);

        duet_describe(text, sizeof text, action);
        sim_trace("%s (%u)", text, action.amount);
        sim_faults_done += action.kind == DUET_BREAK || action.kind == DUET_UNMADE || action.kind == DUET_REPEAT;
        broken = duet_apply(action);
    }
    if (broken == NULL) {
        sim_trace("from here on nothing goes wrong");
        broken = duet_heal(sim_chance(500));
    }
    sim_arena_stats.bytes += duet_delivered();
    if (broken != NULL) {
        sim_fail("threads", "%s", broken);
    }
}

const struct sim_arena sim_arena_threads = {
    "threads",
    "threads that share a stream, by the rules of rtcp/tokens",
    0, /* the world's network is not used: what breaks is an action as any other */
    run,
};
