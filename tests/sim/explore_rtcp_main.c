/* explore-rtcp: every way in which one stream can go through breaks, freezes and its close, breadth first, up to
 * limits; each state once. Prints how many states there were, how deep, and from how many of them the end was run to.
 *
 *   sim-explore-rtcp [SECONDS [SET]]     all sets of limits, or one, within so many seconds (HOLDFAST_ALL=1: 15
 * minutes); each says whether that was all of it
 */
#include "rtcp/base/check.h"
#include "tests/sim/duet.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN_TO_THE_END 255
#define STATES_MAX     ((size_t)1 << 25)
#define BYTES_MAX      ((size_t)6 << 30) /* of states that are put aside */

struct state {
    uint32_t parent;
    struct duet_action action; /* that led here from the parent */
    uint8_t depth;
};

static struct {
    struct state *state;
    uint8_t **saved; /* of those that wait */
    size_t count, room, bytes;
    uint64_t *seen; /* a table of numbers; 0: free */
    size_t seen_mask, ends;
    uint8_t *root, *here, *parent, *world;
    uint32_t at;              /* what is being expanded ... */
    struct duet_action doing; /* ... by this; of no kind: run to the end */
    size_t size;
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

/* ------------------------------------------------------------------------------------------------ states put aside */

/* The world as its difference from the first one: pairs of lengths (same, other), each with the other bytes. */
static uint8_t *put_aside(void)
{
    size_t size = 0;
    size_t at = 0;
    uint8_t *copy;

    while (at < x.size) {
        size_t same = 0;
        size_t other = 0;

        while (at + same < x.size && same < 65535 && x.world[at + same] == x.root[at + same]) {
            same++;
        }
        at += same;
        while (at + other < x.size && other < 65535 && x.world[at + other] != x.root[at + other]) {
            other++;
        }
        x.here[size] = (uint8_t)same;
        x.here[size + 1] = (uint8_t)(same >> 8);
        x.here[size + 2] = (uint8_t)other;
        x.here[size + 3] = (uint8_t)(other >> 8);
        memcpy(x.here + size + 4, x.world + at, other);
        size += 4 + other;
        at += other;
    }
    copy = malloc(size);
    CHECK(copy != NULL);
    x.bytes += size;
    return memcpy(copy, x.here, size);
}

static void take_again(uint8_t *saved)
{
    const uint8_t *from = saved;
    size_t at = 0;

    memcpy(x.world, x.root, x.size);
    while (at < x.size) {
        size_t other = (size_t)(from[2] | from[3] << 8);

        at += (size_t)(from[0] | from[1] << 8);
        memcpy(x.world + at, from + 4, other);
        at += other;
        from += 4 + other;
    }
    x.bytes -= (size_t)(from - saved);
    free(saved);
}

/* ------------------------------------------------------------------------------------------------ telling */

static size_t path_of(uint32_t state, struct duet_action *path)
{
    size_t length = x.state[state].depth;

    for (size_t i = length; i > 0; i--) {
        path[i - 1] = x.state[state].action;
        state = x.state[state].parent;
    }
    return length;
}

static void print(struct duet_action action)
{
    char text[80];

    duet_describe(text, sizeof text, action);
    printf("    %s\n", text);
}

/* The world is the one that broke. */
static int tell(const char *broken)
{
    struct duet_action path[256];
    size_t length = path_of(x.at, path);

    printf("FAILED %s, after:\n", broken);
    duet_print_state(stdout);
    for (size_t i = 0; i < length; i++) {
        print(path[i]);
    }
    if (x.doing.kind != RUN_TO_THE_END) {
        print(x.doing);
    }
    return 1;
}

/* An invariant of a core is broken. */
static void on_abort(int number)
{
    (void)number;
    (void)tell("an invariant of the core");
    fflush(stdout);
}

/* ------------------------------------------------------------------------------------------------ exploring */

/* From here the sessions must come to their end once nothing goes wrong any more, told of what broke or not. */
static int run_to_the_end(void)
{
    uint8_t *kept = put_aside();
    uint8_t *again = put_aside();
    const char *broken;

    x.doing.kind = RUN_TO_THE_END;
    broken = duet_heal(true);
    x.ends++;
    if (broken == NULL) {
        take_again(kept);
        broken = duet_heal(false);
    }
    if (broken != NULL) {
        free(again);
        return tell(broken);
    }
    take_again(again);
    return 0;
}

static int expand(uint32_t state, bool has_room)
{
    struct duet_action actions[DUET_ACTIONS_MAX];
    uint64_t number;
    size_t count;

    x.at = state;
    take_again(x.saved[state]);
    x.saved[state] = NULL;
    number = duet_number();
    count = duet_actions(actions);
    if ((count == 0 || number % 8 == 0) && run_to_the_end() != 0) {
        return 1;
    }
    memcpy(x.parent, x.world, x.size);
    for (size_t i = 0; i < count; i++) {
        const char *broken;

        x.doing = actions[i];
        broken = duet_apply(actions[i]);
        if (broken != NULL) {
            return tell(broken);
        }
        if (has_room && x.count < x.room && is_new(duet_number())) {
            x.saved[x.count] = put_aside();
            x.state[x.count++] = (struct state){state, actions[i], (uint8_t)(x.state[state].depth + 1)};
        }
        memcpy(x.world, x.parent, x.size);
    }
    return 0;
}

static void forget(uint32_t from)
{
    for (size_t i = from; i < x.count; i++) {
        free(x.saved[i]);
        x.saved[i] = NULL;
    }
    x.bytes = 0;
}

/* Tries all within the limits, or what the time allows. */
static int explore(const struct duet_limits *limits, time_t end)
{
    uint32_t at = 0;
    int failed = 0;
    bool is_all = true;

    free(x.seen);
    x.seen = calloc(x.seen_mask + 1, sizeof *x.seen);
    CHECK(x.seen != NULL);
    duet_begin(limits);
    memcpy(x.root, x.world, x.size);
    x.saved[0] = put_aside();
    x.state[0] = (struct state){0};
    x.count = 1;
    x.ends = 0;
    while (at < x.count && failed == 0 && (at % 256 != 0 || time(NULL) < end)) {
        bool has_room = x.bytes < BYTES_MAX && x.count < x.room;

        is_all = is_all && has_room;
        failed = expand(at++, has_room);
    }
    printf(
        "%d breaks, %d replaced, %d+%d bytes, %d timers, %d repeated, %d shutdowns, %d closes, %d aborts: %zu states, "
        "%u expanded%s, depth %u, %zu run to the end\n",
        limits->breaks, limits->replaces, limits->bytes[0], limits->bytes[1], limits->expires, limits->repeats,
        limits->shutdowns, limits->closes, limits->aborts, x.count, at, at == x.count && is_all ? ": all" : "",
        x.state[at > 0 ? at - 1 : 0].depth, x.ends);
    fflush(stdout);
    forget(at);
    return failed;
}

static const struct duet_limits sets[] = {
    {.breaks = 1, .bytes = {1, 1}, .packets = 1, .ring = 4},
    {.breaks = 1, .bytes = {1, 0}, .shutdowns = 1, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .bytes = {0, 1}, .aborts = 1, .packets = 1, .ring = 4},
    {.replaces = 1, .breaks = 1, .bytes = {0, 1}, .packets = 1, .ring = 4},
    {.breaks = 3, .bytes = {0, 1}, .packets = 1, .ring = 4},
    {.breaks = 2, .bytes = {1, 1}, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 2, .bytes = {1, 1}, .expires = 1, .closes = 1, .packets = 1, .ring = 4},
    {.replaces = 2, .breaks = 1, .bytes = {1, 1}, .packets = 2, .ring = 4},
    {.breaks = 3,
     .replaces = 1,
     .bytes = {2, 2},
     .expires = 3,
     .repeats = 1,
     .shutdowns = 1,
     .closes = 2,
     .aborts = 1,
     .packets = 2,
     .ring = 2},
};
#define SETS ((int)(sizeof sets / sizeof sets[0]))

static void take_memory(void)
{
    x.world = duet_memory(&x.size);
    x.room = STATES_MAX;
    x.seen_mask = 2 * STATES_MAX - 1;
    x.state = calloc(x.room, sizeof *x.state);
    x.saved = calloc(x.room, sizeof *x.saved);
    x.root = malloc(x.size);
    x.here = malloc(x.size * 5);
    x.parent = malloc(x.size);
    CHECK(x.state != NULL && x.saved != NULL && x.root != NULL && x.here != NULL && x.parent != NULL);
}

int main(int argc, char **argv)
{
    const char *all = getenv("HOLDFAST_ALL");
    time_t seconds = argc > 1 ? (time_t)strtoul(argv[1], NULL, 10) : 20;
    const struct sigaction told = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};
    int only = argc > 2 ? (int)strtoul(argv[2], NULL, 10) : 0;
    int failed = 0;

    seconds = all != NULL && strcmp(all, "1") == 0 ? 900 : seconds;
    take_memory();
    sigaction(SIGABRT, &told, NULL);
    for (int i = 0; i < SETS && failed == 0; i++) { /* each gets what those before left, shared by the rest */
        time_t begun = time(NULL);

        if (only == 0 || only == i + 1) {
            failed = explore(&sets[i], begun + (only != 0 ? seconds : seconds / (SETS - i)));
            seconds -= time(NULL) - begun;
        }
    }
    printf(failed == 0 ? "[       OK ] explore-rtcp\n" : "[  FAILED  ] explore-rtcp\n");
    free(x.state);
    free(x.saved);
    free(x.seen);
    free(x.root);
    free(x.here);
    free(x.parent);
    return failed;
}
