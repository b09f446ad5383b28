/* Typed events for whoever watches: the library never prints.
 *
 * Owns      the shape of an event and of the hook.
 * Relies on a hook that the owner of an object put in its options; an empty one costs a test for NULL.
 * Not here  formatting: printers live in programs and tests.
 */
#ifndef HOLDFAST_BASE_TRACE_H
#define HOLDFAST_BASE_TRACE_H

#include "rtcp/base/time.h"

#include <stddef.h>
#include <stdint.h>

#define BASE_TRACE_FIELDS 4

/* One event. Names are static strings; fields with a NULL key are unused; text is a static reason or NULL. */
struct base_event {
    base_time at;
    const char *object; /* which kind of object speaks, such as "session" */
    uint64_t id;        /* which one */
    const char *name;   /* what happened, such as "attached -> detached" */
    const char *text;   /* why, or NULL */
    struct {
        const char *key;
        uint64_t value;
    } field[BASE_TRACE_FIELDS];
};

struct base_trace {
    void *user;
    void (*emit)(void *user, const struct base_event *event); /* NULL: nobody watches */
};

static inline void base_trace_emit(const struct base_trace *t, const struct base_event *event)
{
    if (t->emit != NULL) {
        t->emit(t->user, event);
    }
}

#endif
