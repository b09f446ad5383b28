/* See linear.h. The history is a list of begins and returns in the order of time. The search takes any operation that
 * began before the first return on the list, tries it as the next one, and takes it out; when it meets a return of one
 * that was not taken, it goes back. A pair (operations taken, value) that was met before is not tried again.
 */
#include "tests/sim/linear.h"

#include <stdlib.h>
#include <string.h>

struct event {
    uint64_t at;
    size_t op;
    bool is_return;
    struct event *next, *prev;
    struct event *match; /* of a begin: its return, or NULL */
};

struct step {
    struct event *event;
    uint64_t value; /* before it */
};

struct search {
    const struct linear_op *ops;
    size_t count, words;
    struct event *events;
    struct event head;
    size_t open; /* operations with a return that are not taken */
    uint64_t *taken;
    uint64_t value;
    struct step *stack;
    size_t depth;
    uint64_t *met; /* entries of (value, taken) */
    size_t met_count, met_max;
    uint32_t *table; /* 1 + number of an entry */
    size_t table_mask;
};

static int compare(const void *a, const void *b)
{
    uint64_t x = ((const struct event *)a)->at;
    uint64_t y = ((const struct event *)b)->at;

    return x < y ? -1 : x > y ? 1 : 0;
}

/* Whether the operation may come next, and what the value is then. */
static bool apply(const struct linear_op *op, uint64_t value, uint64_t *ret_value)
{
    bool is_known = op->returned != LINEAR_NEVER;

    *ret_value = value;
    switch (op->kind) {
    case LINEAR_READ:
        return !is_known || op->result == value;
    case LINEAR_WRITE:
        *ret_value = op->a;
        return true;
    case LINEAR_CAS:
        *ret_value = value == op->a ? op->b : value;
        return !is_known || op->result == value;
    case LINEAR_ADD:
        *ret_value = value + op->a;
        return !is_known || op->result == *ret_value;
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------ memory */

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}

/* Remembers the present state. True if it is new. */
static bool remember(struct search *s)
{
    size_t size = (s->words + 1) * sizeof(uint64_t);
    uint64_t *entry = s->met + s->met_count * (s->words + 1);
    uint64_t h = s->value;

    entry[0] = s->value;
    memcpy(entry + 1, s->taken, s->words * sizeof(uint64_t));
    for (size_t i = 0; i < s->words; i++) {
        h = mix(h, s->taken[i]);
    }
    for (size_t at = (size_t)h & s->table_mask;; at = (at + 1) & s->table_mask) {
        if (s->table[at] == 0) {
            s->met_count++;
            s->table[at] = (uint32_t)s->met_count;
            return true;
        }
        if (memcmp(s->met + (s->table[at] - 1) * (s->words + 1), entry, size) == 0) {
            return false;
        }
    }
}

/* ------------------------------------------------------------------------------------------------ the list */

static void unlink_event(struct event *e)
{
    e->prev->next = e->next;
    if (e->next != NULL) {
        e->next->prev = e->prev;
    }
}

static void link_event(struct event *e)
{
    e->prev->next = e;
    if (e->next != NULL) {
        e->next->prev = e;
    }
}

static void take(struct search *s, struct event *e, uint64_t value)
{
    s->stack[s->depth++] = (struct step){e, s->value};
    s->value = value;
    unlink_event(e);
    if (e->match != NULL) {
        unlink_event(e->match);
        s->open--;
    }
}

static struct event *give_back(struct search *s)
{
    struct step step = s->stack[--s->depth];
    struct event *e = step.event;

    s->value = step.value;
    s->taken[e->op / 64] &= ~((uint64_t)1 << e->op % 64);
    if (e->match != NULL) {
        link_event(e->match);
        s->open++;
    }
    link_event(e);
    return e;
}

static enum linear_verdict look(struct search *s)
{
    struct event *e = s->head.next;

    while (s->open > 0) {
        uint64_t value;

        if (e->is_return) {
            if (s->depth == 0) {
                return LINEAR_BAD;
            }
            e = give_back(s)->next;
            continue;
        }
        if (apply(&s->ops[e->op], s->value, &value)) {
            uint64_t before = s->value;

            if (s->met_count == s->met_max) {
                return LINEAR_UNDECIDED;
            }
            s->taken[e->op / 64] |= (uint64_t)1 << e->op % 64;
            s->value = value;
            if (remember(s)) {
                s->value = before;
                take(s, e, value);
                e = s->head.next;
                continue;
            }
            s->value = before;
            s->taken[e->op / 64] &= ~((uint64_t)1 << e->op % 64);
        }
        e = e->next;
    }
    return LINEAR_GOOD;
}

/* ------------------------------------------------------------------------------------------------ the whole */

static void make_list(struct search *s)
{
    size_t count = 0;
    struct event *last = &s->head;
    struct event **begin = calloc(s->count + 1, sizeof(struct event *));

    if (begin == NULL) {
        abort();
    }
    for (size_t i = 0; i < s->count; i++) {
        s->events[count++] = (struct event){.at = s->ops[i].invoked, .op = i};
        if (s->ops[i].returned != LINEAR_NEVER) {
            s->events[count++] = (struct event){.at = s->ops[i].returned, .op = i, .is_return = true};
            s->open++;
        }
    }
    qsort(s->events, count, sizeof s->events[0], compare);
    for (size_t i = 0; i < count; i++) {
        struct event *e = &s->events[i];

        e->prev = last;
        last->next = e;
        last = e;
        if (e->is_return) {
            begin[e->op]->match = e;
        } else {
            begin[e->op] = e;
        }
    }
    free(begin);
}

enum linear_verdict linear_check(const struct linear_op *ops, size_t count, size_t steps_max)
{
    struct search s = {.ops = ops, .count = count, .words = (count + 63) / 64, .met_max = steps_max};
    enum linear_verdict verdict = LINEAR_GOOD;

    if (count == 0) {
        return verdict;
    }
    s.table_mask = 1024;
    while (s.table_mask < 2 * steps_max) {
        s.table_mask *= 2;
    }
    s.events = calloc(2 * count, sizeof *s.events);
    s.taken = calloc(s.words, sizeof *s.taken);
    s.stack = calloc(count, sizeof *s.stack);
    s.met = malloc((steps_max + 1) * (s.words + 1) * sizeof *s.met);
    s.table = calloc(s.table_mask, sizeof *s.table);
    s.table_mask--;
    if (s.events == NULL || s.taken == NULL || s.stack == NULL || s.met == NULL || s.table == NULL) {
        abort();
    }
    make_list(&s);
    verdict = look(&s);
    free(s.events);
    free(s.taken);
    free(s.stack);
    free(s.met);
    free(s.table);
    return verdict;
}
