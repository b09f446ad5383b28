/* See ss.h. */
#include "rtcp/tools/ss.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CELL 80

enum kind {
    TEXT,
    NUMBER,
    BYTES,
    AGE,
    ROUND_TRIP,
};

/* The columns, in their order. */
static const struct {
    const char *head, *key;
    enum kind kind;
} columns[] = {
    {"ID", "id", NUMBER},
    {"ROLE", "role", TEXT},
    {"STATE", "state", TEXT},
    {"PEER", "peer", TEXT},
    {"SENT", "sent", BYTES},
    {"RECEIVED", "received", BYTES},
    {"UNACKED", "unacknowledged", BYTES},
    {"OLDEST", "oldest", AGE},
    {"CONNS", "connections", NUMBER},
    {"ATTEMPT", "attempt", NUMBER},
    {"DOWN", "disconnected", AGE},
    {"RTT", "round_trip", ROUND_TRIP},
    {"SILENT", "silent", AGE},
    {"RING", "ring", BYTES},
    {"EVIDENCE", "evidence", TEXT},
};

#define COLUMNS (sizeof columns / sizeof columns[0])

/* The end of the value that begins at `at`: the comma or brace after it, or NULL. */
static const char *value_end(const char *at)
{
    if (*at != '"') {
        at += strcspn(at, ",}\n");
        return *at == ',' || *at == '}' ? at : NULL;
    }
    for (at++; *at != '"'; at++) {
        if (*at == '\0' || *at == '\n' || (*at == '\\' && *++at == '\0')) {
            return NULL;
        }
    }
    at++;
    return *at == ',' || *at == '}' ? at : NULL;
}

bool ss_table_field(const char *line, const char *key, char *text, size_t size)
{
    size_t key_size = strlen(key);
    const char *at = line;

    while ((*at == '{' && at == line) || (*at == ',' && at != line)) {
        const char *name = at + 2;
        const char *colon = at[1] == '"' ? strstr(name, "\":") : NULL;
        const char *end = colon == NULL ? NULL : value_end(colon + 2);

        if (end == NULL) {
            return false;
        }
        if ((size_t)(colon - name) == key_size && strncmp(name, key, key_size) == 0) {
            int quote = colon[2] == '"' ? 1 : 0;

            (void)snprintf(text, size, "%.*s", (int)(end - colon - 2 - 2 * quote), colon + 2 + quote);
            return true;
        }
        at = end;
    }
    return false;
}

static void show_bytes(char cell[CELL], double v)
{
    static const char units[] = "BKMGTP";
    size_t unit = 0;

    while (v >= 1024. && unit + 2 < sizeof units) {
        v /= 1024.;
        unit++;
    }
    (void)snprintf(cell, CELL, unit == 0 ? "%.0f" : v < 10. ? "%.1f%c" : "%.0f%c", v, units[unit]);
}

static void show_age(char cell[CELL], double v)
{
    if (v <= 0.) {
        (void)snprintf(cell, CELL, "-");
    } else if (v < 1.) {
        (void)snprintf(cell, CELL, "%.0fms", v * 1e3);
    } else if (v < 60.) {
        (void)snprintf(cell, CELL, "%.1fs", v);
    } else if (v < 3600.) {
        (void)snprintf(cell, CELL, "%.0fm%02.0fs", (double)((long)v / 60), (double)((long)v % 60));
    } else {
        (void)snprintf(cell, CELL, "%ldh%02ldm", (long)v / 3600, (long)v % 3600 / 60);
    }
}

static void make_cell(const char *line, size_t column, char cell[CELL])
{
    char text[CELL];

    if (!ss_table_field(line, columns[column].key, text, sizeof text) || text[0] == '\0') {
        (void)snprintf(cell, CELL, "-");
        return;
    }
    switch (columns[column].kind) {
    case TEXT:
    case NUMBER:
        (void)snprintf(cell, CELL, "%s", text);
        break;
    case BYTES:
        show_bytes(cell, strtod(text, NULL));
        break;
    case AGE:
        show_age(cell, strtod(text, NULL));
        break;
    case ROUND_TRIP:
        (void)snprintf(cell, CELL, strtod(text, NULL) > 0. ? "%.2fms" : "-", strtod(text, NULL) * 1e3);
        break;
    }
}

static const char *next_line(const char *line)
{
    const char *end = strchr(line, '\n');

    return end == NULL ? line + strlen(line) : end + 1;
}

static void print_cell(size_t column, const char *cell, size_t width)
{
    bool is_left = columns[column].kind == TEXT;

    if (column + 1 == COLUMNS) {
        printf("%s\n", cell); /* no spaces at the end */
    } else {
        printf(is_left ? "%-*s  " : "%*s  ", (int)width, cell);
    }
}

void ss_table_sessions(const char *lines)
{
    size_t width[COLUMNS];
    char cell[CELL];

    for (size_t k = 0; k < COLUMNS; k++) {
        width[k] = strlen(columns[k].head);
        for (const char *line = lines; *line != '\0'; line = next_line(line)) {
            make_cell(line, k, cell);
            width[k] = strlen(cell) > width[k] ? strlen(cell) : width[k];
        }
    }
    for (size_t k = 0; k < COLUMNS; k++) {
        print_cell(k, columns[k].head, width[k]);
    }
    for (const char *line = lines; *line != '\0'; line = next_line(line)) {
        for (size_t k = 0; k < COLUMNS; k++) {
            make_cell(line, k, cell);
            print_cell(k, cell, width[k]);
        }
    }
}

/* {"a":"x","b":2} as two lines. */
static void print_fields(const char *line)
{
    for (const char *at = line; *at == '{' || *at == ',';) {
        const char *name = at + 2;
        const char *colon = at[1] == '"' ? strstr(name, "\":") : NULL;
        const char *end = colon == NULL ? NULL : value_end(colon + 2);
        int quote;

        if (end == NULL) {
            return;
        }
        quote = colon[2] == '"' ? 1 : 0;
        printf("%-22.*s %.*s\n", (int)(colon - name), name, (int)(end - colon - 2 - 2 * quote), colon + 2 + quote);
        at = end;
    }
}

void ss_table_stats(const char *lines)
{
    for (const char *line = lines; *line != '\0'; line = next_line(line)) {
        print_fields(line);
    }
}
