/* The trace of a run: a hash of every line, the last lines for a failure, all lines into a file on request. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LINE 240

static struct {
    char line[SIM_TRACE_TAIL][LINE];
    FILE *file;
} tail;

void sim_trace_begin(void *file)
{
    tail.file = file;
}

static void keep(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        sim.hash = (sim.hash ^ (uint8_t)*c) * 1099511628211u;
    }
    sim.hash ^= sim.now;
    snprintf(tail.line[sim.traced++ % SIM_TRACE_TAIL], LINE, "%12.6f %s", (double)sim.now / 1e9, text);
    if (tail.file != NULL) {
        fprintf(tail.file, "%12.6f %s\n", (double)sim.now / 1e9, text);
    }
}

void sim_trace(const char *format, ...)
{
    char text[LINE - 16];
    va_list all;

    va_start(all, format);
    vsnprintf(text, sizeof text, format, all);
    va_end(all);
    keep(text);
}

void sim_fail(const char *property, const char *format, ...)
{
    char text[400];
    va_list all;

    if (sim.is_failed) {
        return;
    }
    va_start(all, format);
    vsnprintf(text, sizeof text, format, all);
    va_end(all);
    sim.is_failed = true;
    snprintf(sim.failure, sizeof sim.failure, "%s: %s", property, text);
    keep(sim.failure);
}

void sim_trace_print_tail(void *file)
{
    uint64_t from = sim.traced > SIM_TRACE_TAIL ? sim.traced - SIM_TRACE_TAIL : 0;

    for (uint64_t i = from; i < sim.traced; i++) {
        fprintf(file, "%s\n", tail.line[i % SIM_TRACE_TAIL]);
    }
}
