/* See cover.h. Counts over all runs of a process. */
#include "tests/sim/cover.h"

#include "tests/sim/faults.h"

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
    enum sim_fault kind;
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
        fprintf(file, "%12llu  fault  %s\n", (unsigned long long)hits[i], mark[i].text);
    }
    for (int i = 0; i < branches; i++) {
        fprintf(file, "%12llu  branch %s\n", (unsigned long long)branch[i].hits, branch[i].name);
    }
}

void sim_cover_branch(const struct base_event *e)
{
    char name[80];

    sim_cover_event(e->object, e->name, e->text);
    for (int i = 0; i + 1 < BASE_TRACE_FIELDS; i++) {
        if (e->field[i].key != NULL && strcmp(e->field[i].key, "from") == 0) {
            snprintf(name, sizeof name, "%llu > %llu, %s", (unsigned long long)e->field[i].value,
                     (unsigned long long)e->field[i + 1].value, e->name);
            sim_cover_event(e->object, name, NULL);
        }
    }
}

bool sim_cover_has_marks(void *file, const char *path)
{
    FILE *list = fopen(path, "r");
    char line[160];
    bool has_all = list != NULL;

    while (list != NULL && fgets(line, sizeof line, list) != NULL) {
        bool is_found = line[0] == '#' || line[0] == '\n';

        line[strcspn(line, "\n")] = '\0';
        for (int i = 0; i < branches && !is_found; i++) {
            is_found = strcmp(branch[i].name, line) == 0;
        }
        if (!is_found) {
            fprintf(file, "never reached: %s\n", line);
            has_all = false;
        }
    }
    if (list != NULL) {
        fclose(list);
    }
    return has_all;
}

bool sim_cover_is_complete(void *file, unsigned kinds)
{
    bool is_complete = true;

    for (int i = 0; i < SIM_COVER_COUNT; i++) {
        if (hits[i] == 0 && (kinds >> mark[i].kind & 1) != 0) {
            fprintf(file, "never reached: %s\n", mark[i].text);
            is_complete = false;
        }
    }
    return is_complete;
}
