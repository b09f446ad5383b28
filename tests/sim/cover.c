/* See cover.h. Counts over all runs of a process. */
#include "tests/sim/cover.h"

#include <stdio.h>
#include <string.h>

#define BRANCHES_MAX 512

static uint64_t hits[SIM_COVER_COUNT];

static struct {
    char name[160];
    uint64_t hits;
} branch[BRANCHES_MAX];
static int branches;

static const struct {
    const char *kind;
    const char *text;
} mark[SIM_COVER_COUNT] = {
#define SIM_COVER_ROW(name, kind, text) {kind, text},
    SIM_COVER(SIM_COVER_ROW)
#undef SIM_COVER_ROW
};

void sim_cover(enum sim_cover m)
{
    hits[m]++;
}

uint64_t sim_cover_hits(enum sim_cover m)
{
    return hits[m];
}

void sim_cover_event(const char *object, const char *name, const char *why)
{
    char text[160];

    snprintf(text, sizeof text, "%s %s%s%s", object, name, why == NULL ? "" : ": ", why == NULL ? "" : why);
    for (int i = 0; i < branches; i++) {
        if (strcmp(branch[i].name, text) == 0) {
            branch[i].hits++;
            return;
        }
    }
    if (branches < BRANCHES_MAX) {
        memcpy(branch[branches].name, text, sizeof text);
        branch[branches++].hits = 1;
    }
}

void sim_cover_print(void *file)
{
    for (int i = 0; i < SIM_COVER_COUNT; i++) {
        fprintf(file, "%12llu  %-6s %s\n", (unsigned long long)hits[i], mark[i].kind, mark[i].text);
    }
    for (int i = 0; i < branches; i++) {
        fprintf(file, "%12llu  branch %s\n", (unsigned long long)branch[i].hits, branch[i].name);
    }
}

bool sim_cover_is_complete(void *file)
{
    bool is_complete = true;

    for (int i = 0; i < SIM_COVER_COUNT; i++) {
        if (hits[i] == 0) {
            fprintf(file, "never reached: %s: %s\n", mark[i].kind, mark[i].text);
            is_complete = false;
        }
    }
    return is_complete;
}
