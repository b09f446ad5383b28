/* See duet_walk.h. */
#include "tests/sim/duet_walk.h"

#include "rtcp/base/check.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUN_TO_THE_END 255
#define STATES_MAX     ((size_t)1 << 25)
#define BYTES_MAX      ((size_t)6 << 30) /* of states that are put aside */
#define DEEP_MAX       256
#define DEEP_MASK      (((size_t)1 << 28) - 1)

struct state {
    uint32_t parent;
    struct duet_action action; /* that led here from the parent */
    uint8_t depth;
};

/* On the way down. */
struct level {
    struct duet_action action[DUET_ACTIONS_MAX];
    size_t count, next;
    uint8_t *world;
};

static struct {
    struct state *state;
    uint8_t **saved; /* of those that wait */
    size_t count, room, bytes;
    uint64_t *seen; /* a table of numbers; 0: free */
    size_t seen_mask, ends;
    uint8_t *root, *here, *parent, *kept, *world;
    struct level *level; /* depth first: DEEP_MAX of them */
    size_t depth;
    uint32_t at;              /* what is being expanded ... */
    struct duet_action doing; /* ... by this; of no kind: run to the end */
    size_t size;
} x;

uint64_t duet_walk_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

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

static size_t path_of(struct duet_action *path)
{
    size_t length = x.level != NULL ? x.depth : x.state[x.at].depth;
    uint32_t state = x.at;

    for (size_t i = length; i > 0; i--) {
        if (x.level != NULL) {
            path[i - 1] = x.level[i - 1].action[x.level[i - 1].next - 1];
        } else {
            path[i - 1] = x.state[state].action;
            state = x.state[state].parent;
        }
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
    struct duet_action path[DEEP_MAX];
    size_t length = path_of(path);

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

/* ------------------------------------------------------------------------------------------------ breadth first */

/* From here the sessions must come to their end once nothing goes wrong any more, told of what broke or not. */
static int run_to_the_end(void)
{
    const char *broken;

    memcpy(x.kept, x.world, x.size);
    x.doing.kind = RUN_TO_THE_END;
    x.ends++;
    broken = duet_heal(true);
    if (broken == NULL) {
        memcpy(x.world, x.kept, x.size);
        broken = duet_heal(false);
    }
    if (broken != NULL) {
        return tell(broken);
    }
    memcpy(x.world, x.kept, x.size);
    return 0;
}

/* Some, and those from which nothing can go on. */
static bool is_to_be_ended(uint64_t number, size_t actions)
{
    return actions == 0 || number % 8 == 0;
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
    if (is_to_be_ended(number, count) && run_to_the_end() != 0) {
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

/* Those that are there. */
static void print_limits(const struct duet_limits *l)
{
    const struct {
        const char *what;
        int count;
    } all[] = {{"breaks", l->breaks}, {"replaced", l->replaces},  {"planned", l->renews},   {"passive", l->passivates},
               {"news", l->news},     {"timers", l->expires},     {"repeated", l->repeats}, {"shutdowns", l->shutdowns},
               {"closes", l->closes}, {"in a hurry", l->hurries}, {"aborts", l->aborts}};

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i].count > 0) {
            printf("%d %s, ", all[i].count, all[i].what);
        }
    }
    printf("%d+%d bytes: ", l->bytes[0], l->bytes[1]);
}

static void begin(const struct duet_limits *limits)
{
    free(x.seen);
    x.seen = calloc(x.seen_mask + 1, sizeof *x.seen);
    CHECK(x.seen != NULL);
    duet_begin(limits);
    memcpy(x.root, x.world, x.size);
    (void)is_new(duet_number());
    x.count = 1;
    x.ends = 0;
}

/* Tries all within the limits, or what the time allows. */
static int walk_wide(const struct duet_limits *limits, uint64_t end)
{
    uint32_t at = 0;
    int failed = 0;
    bool is_all = true;

    begin(limits);
    x.saved[0] = put_aside();
    x.state[0] = (struct state){0};
    while (at < x.count && failed == 0 && (at % 256 != 0 || duet_walk_clock() < end)) {
        bool has_room = x.bytes < BYTES_MAX && x.count < x.room;

        is_all = is_all && has_room;
        failed = expand(at++, has_room);
    }
    print_limits(limits);
    printf("%zu states, %u expanded%s, depth %u, %zu run to the end\n", x.count, at,
           at == x.count && is_all ? ": all" : "", x.state[at > 0 ? at - 1 : 0].depth, x.ends);
    fflush(stdout);
    forget(at);
    return failed;
}

/* ------------------------------------------------------------------------------------------------ depth first */

/* The world becomes the next level. */
static int go_down(uint64_t number)
{
    struct level *l = &x.level[x.depth];

    l->next = 0;
    l->count = duet_actions(l->action);
    memcpy(l->world, x.world, x.size);
    return is_to_be_ended(number, l->count) ? run_to_the_end() : 0;
}

static int step_deep(void)
{
    struct level *l = &x.level[x.depth];
    const char *broken;
    uint64_t number;

    memcpy(x.world, l->world, x.size);
    x.doing = l->action[l->next++];
    broken = duet_apply(x.doing);
    if (broken != NULL) {
        return tell(broken);
    }
    number = duet_number();
    if (!is_new(number)) {
        return 0;
    }
    x.count++;
    CHECK(++x.depth < DEEP_MAX);
    return go_down(number);
}

static int walk_deep(const struct duet_limits *limits, uint64_t end)
{
    size_t deepest = 0;
    int failed;

    begin(limits);
    x.depth = 0;
    failed = go_down(duet_number());
    for (uint64_t steps = 0;
         failed == 0 && x.count < DEEP_MASK / 8 * 7 && (steps % 4096 != 0 || duet_walk_clock() < end); steps++) {
        if (x.level[x.depth].next < x.level[x.depth].count) {
            failed = step_deep();
            deepest = x.depth > deepest ? x.depth : deepest;
        } else if (x.depth-- == 0) {
            break;
        }
    }
    print_limits(limits);
    printf("%zu states%s, the longest way %zu, %zu run to the end\n", x.count, x.depth == (size_t)-1 ? ": all" : "",
           deepest, x.ends);
    fflush(stdout);
    return failed;
}

/* ------------------------------------------------------------------------------------------------ memory */

void duet_walk_begin(bool is_deep)
{
    const struct sigaction told = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};

    x.world = duet_memory(&x.size);
    x.room = is_deep ? 1 : STATES_MAX;
    x.seen_mask = is_deep ? DEEP_MASK : 2 * STATES_MAX - 1;
    x.state = calloc(x.room, sizeof *x.state);
    x.saved = calloc(x.room, sizeof *x.saved);
    x.root = malloc(x.size);
    x.here = malloc(x.size * 5);
    x.parent = malloc(x.size);
    x.kept = malloc(x.size);
    CHECK(x.state != NULL && x.saved != NULL && x.root != NULL && x.here != NULL && x.parent != NULL && x.kept != NULL);
    if (is_deep) {
        x.level = calloc(DEEP_MAX, sizeof *x.level);
        CHECK(x.level != NULL);
    }
    for (size_t i = 0; is_deep && i < DEEP_MAX; i++) {
        x.level[i].world = malloc(x.size);
        CHECK(x.level[i].world != NULL);
    }
    sigaction(SIGABRT, &told, NULL);
}

void duet_walk_end(void)
{
    for (size_t i = 0; x.level != NULL && i < DEEP_MAX; i++) {
        free(x.level[i].world);
    }
    free(x.level);
    free(x.state);
    free(x.saved);
    free(x.seen);
    free(x.root);
    free(x.here);
    free(x.parent);
    free(x.kept);
}

int duet_walk(const struct duet_limits *limits, uint64_t end)
{
    return x.level != NULL ? walk_deep(limits, end) : walk_wide(limits, end);
}
