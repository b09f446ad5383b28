/* State machines as data: each state has a name and the set of states that may follow it.
 *
 * Owns      the rule table's shape and the one function that moves.
 * Relies on a table the machine's file defines beside its enum.
 * Not here  handlers: what happens in a state stands in the machine's own file.
 */
#ifndef HOLDFAST_BASE_STATE_H
#define HOLDFAST_BASE_STATE_H

#include "rtcp/base/check.h"
#include "rtcp/base/trace.h"

#define BASE_TO(state) (1u << (state))

struct base_state {
    const char *name;
    unsigned next; /* BASE_TO(...) of every state that may follow */
};

/* Moves `*state` to `next`, checks that the rules allow it, and tells the trace why. A move to the same state is an
 * error unless the rules name it. */
static inline void base_state_move(const struct base_state *rules, int *state, int next, const struct base_trace *trace,
                                   struct base_event event)
{
    CHECK((rules[*state].next & BASE_TO(next)) != 0);
    event.field[BASE_TRACE_FIELDS - 2].key = "from";
    event.field[BASE_TRACE_FIELDS - 2].value = (uint64_t)*state;
    event.field[BASE_TRACE_FIELDS - 1].key = "to";
    event.field[BASE_TRACE_FIELDS - 1].value = (uint64_t)next;
    event.name = rules[next].name;
    *state = next;
    base_trace_emit(trace, &event);
}

#endif
