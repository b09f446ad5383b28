/* explore-rtcp: every way in which one stream can go through breaks, freezes, passivation and its close, up to limits;
 * each state once. Prints how many states there were, how deep, and from how many of them the end was run to.
 *
 *   sim-explore-rtcp [SECONDS]          all sets of limits in turn, breadth first: what it finds is short; within so
 * many seconds (HOLDFAST_ALL=1: 15 minutes); each says whether that was all of it sim-explore-rtcp SECONDS SET one set
 *   sim-explore-rtcp SECONDS SET deep   depth first: only the numbers of states are kept, for sets with many millions
 */
#include "tests/sim/duet_walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The first ones are small: every run ends them. */
static const struct duet_limits sets[] = {
    {.passivates = 1, .bytes = {0, 1}, .closes = 1, .packets = 1, .ring = 4},
    {.passivates = 1, .bytes = {0, 1}, .shutdowns = 1, .packets = 1, .ring = 4},
    {.passivates = 1, .bytes = {0, 1}, .news = 2, .packets = 1, .ring = 4},
    {.bytes = {1, 1}, .shutdowns = 2, .packets = 1, .ring = 4},
    {.renews = 1, .passivates = 1, .bytes = {0, 1}, .packets = 1, .ring = 4},
    {.bytes = {0, 2}, .packets = 1, .ring = 4},
    {.breaks = 1, .bytes = {2, 0}, .packets = 1, .ring = 4},
    {.breaks = 1, .bytes = {0, 1}, .aborts = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .bytes = {0, 1}, .news = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 1, .bytes = {0, 1}, .packets = 1, .ring = 4},
    {.breaks = 1, .bytes = {1, 1}, .packets = 1, .ring = 4},
    {.replaces = 1, .breaks = 1, .bytes = {0, 1}, .packets = 1, .ring = 4},
    {.renews = 2, .bytes = {1, 1}, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 2, .expires = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 1, .shutdowns = 2, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 1, .bytes = {1, 0}, .packets = 1, .ring = 4},
    {.breaks = 1, .renews = 1, .bytes = {0, 1}, .packets = 1, .ring = 4},
    {.bytes = {0, 1}, .expires = 2, .hurries = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .renews = 1, .bytes = {1, 0}, .packets = 1, .ring = 4},

    {.breaks = 1, .bytes = {1, 0}, .shutdowns = 1, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 1, .bytes = {0, 1}, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 1, .bytes = {0, 1}, .aborts = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 1, .bytes = {0, 1}, .news = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 1, .bytes = {0, 1}, .shutdowns = 1, .packets = 1, .ring = 4},
    {.breaks = 3, .bytes = {0, 1}, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 1, .bytes = {0, 1}, .expires = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .renews = 1, .bytes = {0, 1}, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .bytes = {1, 0}, .shutdowns = 2, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 1, .bytes = {1, 1}, .packets = 1, .ring = 4},
    {.breaks = 2, .passivates = 1, .bytes = {0, 1}, .packets = 1, .ring = 4},
    {.breaks = 1, .renews = 1, .passivates = 1, .bytes = {0, 1}, .packets = 1, .ring = 4},
    {.breaks = 1, .bytes = {1, 1}, .shutdowns = 2, .packets = 1, .ring = 4},
    {.breaks = 3, .bytes = {1, 0}, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 3, .bytes = {0, 1}, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 1, .passivates = 2, .bytes = {1, 1}, .packets = 1, .ring = 4},
    {.breaks = 1, .bytes = {0, 1}, .expires = 2, .hurries = 1, .packets = 1, .ring = 4},
    {.breaks = 2, .bytes = {1, 1}, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 3, .bytes = {1, 1}, .closes = 1, .packets = 1, .ring = 4},
    {.breaks = 2, .bytes = {1, 1}, .expires = 1, .closes = 1, .packets = 1, .ring = 4},
    {.replaces = 2, .breaks = 1, .bytes = {1, 1}, .packets = 2, .ring = 4},
    {.breaks = 3,
     .replaces = 1,
     .renews = 1,
     .passivates = 2,
     .bytes = {2, 2},
     .expires = 3,
     .repeats = 1,
     .shutdowns = 1,
     .closes = 2,
     .aborts = 1,
     .packets = 2,
     .ring = 2},
};
#define SETS  ((int)(sizeof sets / sizeof sets[0]))
#define SMALL 19
#define LEAST 100 /* milliseconds: not worth the preparation */

/* What a set may take of what those before left: small ones end, the others share. */
static uint64_t share_of(int set, uint64_t left)
{
    return set < SMALL ? left / 2 : left / (uint64_t)(SETS - set);
}

int main(int argc, char **argv)
{
    const char *all = getenv("HOLDFAST_ALL");
    uint64_t seconds = argc > 1 ? strtoul(argv[1], NULL, 10) : 20;
    int only = argc > 2 ? (int)strtoul(argv[2], NULL, 10) : 0;
    bool is_deep = argc > 3 && strcmp(argv[3], "deep") == 0;
    uint64_t end = duet_walk_clock() + 1000 * (all != NULL && strcmp(all, "1") == 0 ? 900 : seconds);
    int failed = 0;

    duet_walk_begin(is_deep);
    for (int i = 0; i < SETS && failed == 0; i++) {
        uint64_t now = duet_walk_clock();
        uint64_t left = end > now ? end - now : 0;

        if (only == 0 && left < LEAST) {
            printf("no time for set %d and those behind it\n", i + 1);
            break;
        }
        if (only == 0 || only == i + 1) {
            uint64_t until = now + (only != 0 ? left : share_of(i, left));

            failed = duet_walk(&sets[i], until);
        }
    }
    printf(failed == 0 ? "[       OK ] explore-rtcp\n" : "[  FAILED  ] explore-rtcp\n");
    duet_walk_end();
    return failed;
}
