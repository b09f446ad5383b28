/* explore-order: every way in which a small group can go, up to limits; each state once. Prints how many states there
 * were. Names no seed: it tries everything.
 *
 *   explore-order SECONDS         all sets of limits in turn, breadth first: what it finds is short
 *   explore-order SECONDS N       one set
 *   explore-order SECONDS N deep  depth first: every state is put aside on the way down and taken again on the way up,
 *                                 not reached anew from the beginning; for sets with many millions of states
 */
#include "tests/sim/explore.h"

#include "rtcp/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct state {
    uint32_t parent;
    struct explore_action action; /* that led here from the parent */
};

static struct {
    struct state *state;
    size_t count, room;
    uint64_t *seen; /* a table of numbers; 0: free */
    size_t seen_mask;
    const struct explore_limits *limits;
} x;

static bool is_new(uint64_t number)
{
    size_t at = (size_t)number & x.seen_mask;

    number = number == 0 ? 1 : number;
    while (x.seen[at] != 0) {
        if (x.seen[at] == number) {
            return false;
        }
        at = (at + 1) & x.seen_mask;
    }
    x.seen[at] = number;
    return true;
}

static size_t path_of(uint32_t state, struct explore_action *path)
{
    size_t length = 0;

    for (uint32_t at = state; at != 0; at = x.state[at].parent) {
        length++;
    }
    for (size_t i = length; i > 0; i--) {
        path[i - 1] = x.state[state].action;
        state = x.state[state].parent;
    }
    return length;
}

static void go_to(uint32_t state)
{
    struct explore_action path[256];
    size_t length = path_of(state, path);

    explore_begin(x.limits, 1);
    for (size_t i = 0; i < length; i++) {
        (void)explore_apply(path[i]);
    }
}

static int tell(uint32_t state, struct explore_action last, const char *broken)
{
    struct explore_action path[256];
    size_t length = path_of(state, path);

    printf("%s, after:\n", broken);
    for (size_t i = 0; i < length; i++) {
        explore_print(stdout, path[i]);
    }
    explore_print(stdout, last);
    return 1;
}

static int expand(uint32_t state)
{
    struct explore_action actions[EXPLORE_ACTIONS_MAX];
    size_t count;

    go_to(state);
    explore_save(0);
    count = explore_actions(actions);
    for (size_t i = 0; i < count; i++) {
        const char *broken = explore_apply(actions[i]);

        if (broken != NULL) {
            return tell(state, actions[i], broken);
        }
        if (x.count < x.room && is_new(explore_number())) {
            x.state[x.count++] = (struct state){state, actions[i]};
        }
        explore_restore(0);
    }
    return 0;
}

static void print_result(uint64_t states, uint64_t expanded, bool is_all)
{
    const struct explore_limits *l = x.limits;

    printf(
        "%d members, %llu terms, %d time-outs, %d crashes, %d commands, %d broken links, %d queued: %llu states, %llu "
        "of them expanded%s\n",
        l->members, (unsigned long long)l->terms, l->expires, l->crashes, l->submits, l->breaks, l->queued,
        (unsigned long long)states, (unsigned long long)expanded, is_all ? ": all" : "");
    (void)fflush(stdout);
}

static void begin(const struct explore_limits *limits)
{
    x.limits = limits;
    free(x.seen);
    x.seen = calloc(x.seen_mask + 1, sizeof *x.seen);
    CHECK(x.seen != NULL);
}

/* One state on the way down, and which of its actions is tried. */
struct level {
    struct explore_action action[EXPLORE_ACTIONS_MAX];
    size_t count, next;
};

static int tell_way(const struct level *level, size_t depth, const char *broken)
{
    printf("%s, after:\n", broken);
    for (size_t i = 0; i <= depth; i++) {
        explore_print(stdout, level[i].action[level[i].next - 1]);
    }
    return 1;
}

/* As explore, depth first. */
static int explore_deep(const struct explore_limits *limits, time_t end)
{
    struct level *level = calloc(EXPLORE_SAVED_MAX, sizeof *level);
    uint64_t states = 1, steps = 0;
    size_t depth = 0, deepest = 0;
    int failed = 0;

    CHECK(level != NULL);
    begin(limits);
    explore_begin(limits, 1);
    explore_save(0);
    level[0].count = explore_actions(level[0].action);
    while (failed == 0 && (depth > 0 || level[0].next < level[0].count) && states < x.seen_mask / 8 * 7 &&
           (steps++ % 4096 != 0 || time(NULL) < end)) {
        const char *broken;

        if (level[depth].next == level[depth].count) {
            depth--;
            continue;
        }
        explore_restore(depth);
        broken = explore_apply(level[depth].action[level[depth].next++]);
        if (broken != NULL) {
            failed = tell_way(level, depth, broken);
        } else if (is_new(explore_number())) {
            depth++;
            states++;
            deepest = depth > deepest ? depth : deepest;
            CHECK(depth < EXPLORE_SAVED_MAX);
            explore_save(depth);
            level[depth].next = 0;
            level[depth].count = explore_actions(level[depth].action);
        }
    }
    print_result(states, states - depth, depth == 0 && level[0].next == level[0].count);
    printf("deepest: %zu actions\n", deepest);
    free(level);
    return failed;
}

/* Tries all within the limits, or what the time allows. */
static int explore(const struct explore_limits *limits, time_t end)
{
    uint32_t at = 0;
    int failed = 0;

    begin(limits);
    x.count = 1;
    while (at < x.count && failed == 0 && (at % 64 != 0 || time(NULL) < end)) {
        failed = expand(at++);
    }
    print_result(x.count, at, at == x.count && x.count < x.room);
    return failed;
}

int main(int argc, char **argv)
{
    static const struct explore_limits limits[] = {
        {.members = 3, .terms = 3, .expires = 1, .crashes = 0, .submits = 1, .breaks = 0},
        {.members = 3, .terms = 3, .expires = 1, .crashes = 1, .submits = 0, .breaks = 0},
        {.members = 3, .terms = 3, .expires = 2, .crashes = 0, .submits = 0, .breaks = 0, .queued = 1},
        {.members = 3, .terms = 3, .expires = 2, .crashes = 0, .submits = 0, .breaks = 0},
        {.members = 3, .terms = 3, .expires = 1, .crashes = 1, .submits = 1, .breaks = 0, .queued = 1},
        {.members = 3, .terms = 3, .expires = 1, .crashes = 0, .submits = 0, .breaks = 1},
        {.members = 3, .terms = 3, .expires = 2, .crashes = 1, .submits = 0, .breaks = 0, .queued = 1},
        {.members = 3, .terms = 3, .expires = 4, .crashes = 2, .submits = 2, .breaks = 1},
    };
    time_t seconds = argc > 1 ? (time_t)strtoul(argv[1], NULL, 10) : 20;
    const int count = sizeof limits / sizeof limits[0];
    const char *all = getenv("HOLDFAST_ALL");
    int only = argc > 2 ? (int)strtoul(argv[2], NULL, 10) : 0; /* one set alone */
    bool is_deep = argc > 3 && strcmp(argv[3], "deep") == 0;
    int failed = 0;

    seconds = all != NULL && strcmp(all, "1") == 0 ? 900 : seconds;
    x.room = (size_t)1 << 25;
    x.seen_mask = ((size_t)1 << (is_deep ? 28 : 26)) - 1;
    x.state = calloc(x.room, sizeof *x.state);
    CHECK(x.state != NULL);
    for (int i = 0; i < count && failed == 0; i++) { /* each gets what those before left, shared by the rest */
        time_t begun = time(NULL);

        if (only == 0 || only == i + 1) {
            time_t end = begun + (only != 0 ? seconds : seconds / (count - i));

            failed = is_deep ? explore_deep(&limits[i], end) : explore(&limits[i], end);
            seconds -= time(NULL) - begun;
        }
    }
    printf(failed == 0 ? "[       OK ] explore-order\n" : "[  FAILED  ] explore-order\n");
    explore_end();
    free(x.state);
    free(x.seen);
    return failed;
}
