/* The world of found_world.h: links, messages on their way, lives. */
#include "tests/unit/membership/found_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const uint32_t ids[GROUP_MEMBERS_MAX] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

struct found_options found_world_options(const struct found_world *w, uint32_t i)
{
    return (struct found_options){.name = "g",
                                  .token = 7,
                                  .self = ids[i],
                                  .incarnation = w->node[i].incarnation,
                                  .id = ids,
                                  .count = w->count,
                                  .is_founder = true,
                                  .repeat = BASE_MS(500)};
}

static void push(struct found_world *w, uint32_t from, uint32_t to, struct found_world_item item)
{
    struct found_world_queue *q = &w->queue[from][to];

    assert_true(q->tail < FOUND_WORLD_QUEUE_MAX);
    q->item[q->tail++] = item;
}

/* As the driver does on a hello: whoever is not in the installed vector is told so. */
static void refuse_strangers(struct found_world *w, uint32_t i)
{
    const uint64_t *vector = found_vector(&w->node[i].found);

    for (uint32_t p = 0; vector != NULL && p < w->count; p++) {
        uint64_t linked = w->node[i].linked[p];

        if (p != i && linked != 0 && linked != vector[p]) {
            push(w, i, p, (struct found_world_item){.kind = FOUND_WORLD_REFUSED, .from = w->node[i].incarnation});
            w->node[i].linked[p] = 0;
        }
    }
}

void found_world_pump(struct found_world *w, uint32_t i)
{
    struct found_world_node *n = &w->node[i];
    struct found_effect e;

    while (found_poll(&n->found, &e)) {
        switch (e.kind) {
        case FOUND_SEND:
            if (n->linked[e.to - 1] != 0) {
                push(w, i, e.to - 1,
                     (struct found_world_item){
                         .kind = FOUND_WORLD_MESSAGE, .from = n->incarnation, .message = e.message});
            }
            break;
        case FOUND_INSTALL:
            assert_false(n->installed);
            n->installed = true;
            break;
        case FOUND_OPEN:
            n->opened++;
            break;
        case FOUND_REFUSED:
            assert_false(n->refused);
            n->refused = true;
            n->refusal = e;
            break;
        }
    }
    refuse_strangers(w, i);
}

void found_world_start(struct found_world *w, uint32_t i)
{
    struct found_world_node *n = &w->node[i];
    struct found_options o;

    *n = (struct found_world_node){.incarnation = ++w->lives * 100 + i};
    o = found_world_options(w, i);
    assert_int_equal(found_init(&n->found, &o, w->now), 0);
    for (uint32_t p = 0; p < w->count; p++) { /* what was under way to the former life is lost */
        w->queue[p][i].head = w->queue[p][i].tail = 0;
    }
    found_world_pump(w, i);
}

struct found_world *found_world_new(uint32_t count)
{
    static struct found_world world; /* too large for a stack */

    base_zero(&world, sizeof world);
    world.count = count;
    world.now = BASE_S(1);
    for (uint32_t i = 0; i < count; i++) {
        found_world_start(&world, i);
    }
    return &world;
}

void found_world_link(struct found_world *w, uint32_t a, uint32_t b)
{
    push(w, a, b, (struct found_world_item){.kind = FOUND_WORLD_UP, .from = w->node[a].incarnation});
    push(w, b, a, (struct found_world_item){.kind = FOUND_WORLD_UP, .from = w->node[b].incarnation});
}

void found_world_link_all(struct found_world *w)
{
    for (uint32_t a = 0; a < w->count; a++) {
        for (uint32_t b = a + 1; b < w->count; b++) {
            found_world_link(w, a, b);
        }
    }
}

static void take_up(struct found_world *w, uint32_t to, uint32_t from, uint64_t incarnation)
{
    struct found_world_node *n = &w->node[to];

    if (n->linked[from] != 0) {
        found_link_down(&n->found, ids[from]);
    }
    if (n->linked[from] != 0 && n->linked[from] != incarnation && !n->installed) {
        w->followed++;
    }
    n->linked[from] = incarnation;
    found_link_up(&n->found, ids[from], incarnation, w->now);
}

bool found_world_step(struct found_world *w, uint32_t from, uint32_t to)
{
    struct found_world_queue *q = &w->queue[from][to];
    struct found_world_node *n = &w->node[to];
    bool was = n->installed;
    struct found_world_item *item;

    if (q->head == q->tail) {
        return false;
    }
    item = &q->item[q->head++];
    switch (item->kind) {
    case FOUND_WORLD_UP:
        take_up(w, to, from, item->from);
        break;
    case FOUND_WORLD_MESSAGE:
        found_receive(&n->found, ids[from], item->from, &item->message, w->now);
        break;
    case FOUND_WORLD_REFUSED:
        found_refused(&n->found, ids[from], FOUND_REASON_EXISTS, w->now);
        break;
    }
    found_world_pump(w, to);
    if (!was && n->installed && item->kind == FOUND_WORLD_MESSAGE && item->message.kind == FOUND_SAYS_INSTALLED) {
        w->adopted++;
    }
    return true;
}

bool found_world_step_any(struct found_world *w)
{
    for (uint32_t a = 0; a < w->count; a++) {
        for (uint32_t b = 0; b < w->count; b++) {
            if (a != b && found_world_step(w, a, b)) {
                return true;
            }
        }
    }
    return false;
}

void found_world_settle(struct found_world *w)
{
    for (unsigned turn = 0; turn < 4; turn++) {
        while (found_world_step_any(w)) {
        }
        w->now += BASE_S(1);
        for (uint32_t i = 0; i < w->count; i++) {
            found_expire(&w->node[i].found, w->now);
            found_world_pump(w, i);
        }
    }
}

void found_world_expect_one_vector(const struct found_world *w)
{
    const uint64_t *first = NULL;

    for (uint32_t i = 0; i < w->count; i++) {
        const uint64_t *v = found_vector(&w->node[i].found);

        if (v == NULL) {
            continue;
        }
        first = first == NULL ? v : first;
        assert_memory_equal(v, first, w->count * sizeof *v);
        assert_true(v[i] == w->node[i].incarnation); /* M3 */
        assert_true(found_instance(&w->node[i].found) != 0);
    }
}

struct found_message found_world_says(const struct found_world *w, enum found_kind kind)
{
    struct found_message m = {.kind = kind, .count = w->count};

    for (uint32_t i = 0; i < w->count; i++) {
        m.vector[i] = w->node[i].incarnation;
    }
    return m;
}
