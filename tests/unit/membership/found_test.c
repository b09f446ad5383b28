/* Founding: one vector, however founders restart and messages are late (T45, T53, M1, M3, M4, G22). */
#include "membership/found.h"
#include "rtcp/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define FOUNDERS_MAX 5
#define QUEUE_MAX    1024

/* ---------------------------------------------------------------------------------------------------- a world */

enum item_kind { ITEM_UP, ITEM_MESSAGE, ITEM_REFUSED };

/* What travels from one founder to another. Late items of a dead sender stay in the queue, as bytes do. */
struct item {
    enum item_kind kind;
    uint64_t from; /* incarnation of the sender */
    struct found_message message;
};

struct queue {
    struct item item[QUEUE_MAX];
    unsigned head, tail;
};

struct node {
    struct found found;
    uint64_t incarnation;
    uint64_t linked[FOUNDERS_MAX]; /* the peer's incarnation of our present link to it; 0: none */
    bool installed;
    bool refused;
    struct found_effect refusal;
    unsigned opened;
};

struct world {
    uint32_t count;
    base_time now;
    uint64_t lives;
    struct node node[FOUNDERS_MAX];
    struct queue queue[FOUNDERS_MAX][FOUNDERS_MAX]; /* [from][to] */
    unsigned adopted, followed;
};

static const uint32_t ids[GROUP_MEMBERS_MAX] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static struct world world; /* large; begun anew by every test */

static struct found_options options_of(const struct world *w, uint32_t i)
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

static void push(struct world *w, uint32_t from, uint32_t to, struct item item)
{
    struct queue *q = &w->queue[from][to];

    assert_true(q->tail < QUEUE_MAX);
    q->item[q->tail++] = item;
}

/* As the driver does on a hello: whoever is not in the installed vector is told so. */
static void refuse_strangers(struct world *w, uint32_t i)
{
    const uint64_t *vector = found_vector(&w->node[i].found);

    for (uint32_t p = 0; vector != NULL && p < w->count; p++) {
        uint64_t linked = w->node[i].linked[p];

        if (p != i && linked != 0 && linked != vector[p]) {
            push(w, i, p, (struct item){.kind = ITEM_REFUSED, .from = w->node[i].incarnation});
            w->node[i].linked[p] = 0;
        }
    }
}

static void pump(struct world *w, uint32_t i)
{
    struct node *n = &w->node[i];
    struct found_effect e;

    while (found_poll(&n->found, &e)) {
        switch (e.kind) {
        case FOUND_SEND:
            if (n->linked[e.to - 1] != 0) {
                push(w, i, e.to - 1, (struct item){.kind = ITEM_MESSAGE, .from = n->incarnation, .message = e.message});
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

static void start(struct world *w, uint32_t i)
{
    struct node *n = &w->node[i];
    struct found_options o;

    *n = (struct node){.incarnation = ++w->lives * 100 + i};
    o = options_of(w, i);
    assert_int_equal(found_init(&n->found, &o, w->now), 0);
    for (uint32_t p = 0; p < w->count; p++) { /* what was under way to the former life is lost */
        w->queue[p][i].head = w->queue[p][i].tail = 0;
    }
    pump(w, i);
}

static struct world *world_new(uint32_t count)
{
    base_zero(&world, sizeof world); /* too large for a stack */
    world.count = count;
    world.now = BASE_S(1);
    for (uint32_t i = 0; i < count; i++) {
        start(&world, i);
    }
    return &world;
}

/* A new link between two living processes; each side hears of it in its own time. */
static void link_up(struct world *w, uint32_t a, uint32_t b)
{
    push(w, a, b, (struct item){.kind = ITEM_UP, .from = w->node[a].incarnation});
    push(w, b, a, (struct item){.kind = ITEM_UP, .from = w->node[b].incarnation});
}

static void link_all(struct world *w)
{
    for (uint32_t a = 0; a < w->count; a++) {
        for (uint32_t b = a + 1; b < w->count; b++) {
            link_up(w, a, b);
        }
    }
}

static void take_up(struct world *w, uint32_t to, uint32_t from, uint64_t incarnation)
{
    struct node *n = &w->node[to];

    if (n->linked[from] != 0) {
        found_link_down(&n->found, ids[from]);
    }
    if (n->linked[from] != 0 && n->linked[from] != incarnation && !n->installed) {
        w->followed++;
    }
    n->linked[from] = incarnation;
    found_link_up(&n->found, ids[from], incarnation, w->now);
}

/* Hands over the next item from one to another; false when there is none. */
static bool step(struct world *w, uint32_t from, uint32_t to)
{
    struct queue *q = &w->queue[from][to];
    struct node *n = &w->node[to];
    bool was = n->installed;
    struct item *item;

    if (q->head == q->tail) {
        return false;
    }
    item = &q->item[q->head++];
    switch (item->kind) {
    case ITEM_UP:
        take_up(w, to, from, item->from);
        break;
    case ITEM_MESSAGE:
        found_receive(&n->found, ids[from], item->from, &item->message, w->now);
        break;
    case ITEM_REFUSED:
        found_refused(&n->found, ids[from], FOUND_REASON_EXISTS, w->now);
        break;
    }
    pump(w, to);
    if (!was && n->installed && item->kind == ITEM_MESSAGE && item->message.kind == FOUND_SAYS_INSTALLED) {
        w->adopted++;
    }
    return true;
}

static bool step_any(struct world *w)
{
    for (uint32_t a = 0; a < w->count; a++) {
        for (uint32_t b = 0; b < w->count; b++) {
            if (a != b && step(w, a, b)) {
                return true;
            }
        }
    }
    return false;
}

/* Everything is delivered, and what is repeated is repeated a few times. */
static void settle(struct world *w)
{
    for (unsigned turn = 0; turn < 4; turn++) {
        while (step_any(w)) {
        }
        w->now += BASE_S(1);
        for (uint32_t i = 0; i < w->count; i++) {
            found_expire(&w->node[i].found, w->now);
            pump(w, i);
        }
    }
}

/* M1, M4: whoever lives and has installed has installed the same. */
static void expect_one_vector(const struct world *w)
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

static struct found_message says(const struct world *w, enum found_kind kind)
{
    struct found_message m = {.kind = kind, .count = w->count};

    for (uint32_t i = 0; i < w->count; i++) {
        m.vector[i] = w->node[i].incarnation;
    }
    return m;
}

/* ---------------------------------------------------------------------------------------------------- tests */

static void three_founders_install_the_same_vector(void **state)
{
    struct world *w = world_new(3);

    (void)state;
    link_all(w);
    settle(w);

    expect_one_vector(w);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(w->node[i].installed);
        assert_int_equal(w->node[i].opened, 2); /* each link is opened for ordering once */
        assert_true(found_deadline(&w->node[i].found) == BASE_NEVER);
    }
}

static void a_founder_alone_installs_at_once(void **state)
{
    struct world *w = world_new(1);

    (void)state;
    assert_true(w->node[0].installed);
}

static void nothing_is_installed_while_one_founder_is_missing(void **state)
{
    struct world *w = world_new(3);

    (void)state;
    link_up(w, 0, 1);
    settle(w);

    assert_false(w->node[0].installed || w->node[1].installed);
    assert_int_equal(w->node[0].found.state, FOUND_GATHERING);
}

/* T53: at every step of the founding, each founder restarts once. Before view 1 it is followed; afterwards it is
 * refused, and the others keep the view. */
static void a_founder_may_restart_at_every_step(void **state)
{
    unsigned refusals = 0;
    unsigned foundings = 0;

    (void)state;
    for (uint32_t who = 0; who < 3; who++) {
        for (unsigned when = 0; when < 40; when++) {
            struct world *w = world_new(3);

            link_all(w);
            for (unsigned i = 0; i < when; i++) {
                (void)step_any(w);
            }
            start(w, who);
            for (uint32_t p = 0; p < 3; p++) {
                if (p != who) {
                    link_up(w, p, who);
                }
            }
            settle(w);

            expect_one_vector(w);
            for (uint32_t p = 0; p < 3; p++) {
                assert_true(w->node[p].installed || (p == who && w->node[p].refused));
            }
            if (w->node[who].refused) {
                assert_int_equal(w->node[who].refusal.status, BASE_E_EXISTS);
                refusals++;
            } else {
                foundings++;
            }
        }
    }
    assert_true(refusals > 0);
    assert_true(foundings > 0);
}

static void a_late_seen_of_a_dead_life_counts_for_nothing(void **state)
{
    struct world *w = world_new(2);
    struct found *f = &w->node[0].found;
    struct found_message m;

    (void)state;
    found_link_up(f, 2, 500, w->now);
    found_link_up(f, 2, 600, w->now);
    m = says(w, FOUND_SAYS_SEEN);
    m.vector[1] = 500;
    found_receive(f, 2, 500, &m, w->now);

    assert_int_equal(f->state, FOUND_SEEN);
    assert_null(found_vector(f));
}

static void a_life_that_was_replaced_never_comes_back(void **state)
{
    struct world *w = world_new(2);
    struct found *f = &w->node[0].found;

    (void)state;
    found_link_up(f, 2, 500, w->now);
    found_link_up(f, 2, 600, w->now);
    found_link_up(f, 2, 500, w->now);

    assert_true(f->vector[1] == 600);
}

/* An older SEEN vector that completes after a newer SEEN was said must not be installed. */
static void only_the_vector_of_the_latest_seen_is_installed(void **state)
{
    struct world *w = world_new(3);
    struct found *f = &w->node[0].found;
    struct found_message old;

    (void)state;
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    found_link_up(f, 3, w->node[2].incarnation, w->now);
    old = says(w, FOUND_SAYS_SEEN);
    found_receive(f, 3, w->node[2].incarnation, &old, w->now);
    found_link_up(f, 3, 900, w->now); /* restarted: we say SEEN with 900 */
    found_receive(f, 2, w->node[1].incarnation, &old, w->now);

    assert_null(found_vector(f));
    assert_true(f->vector[2] == 900);
}

/* A founder followed the restarted one, while another had installed the vector before: it adopts that one. */
static void a_view_is_adopted_from_a_member_that_is_in(void **state)
{
    struct world *w = world_new(3);
    struct found *f = &w->node[0].found;
    struct found_message m = says(w, FOUND_SAYS_INSTALLED);

    (void)state;
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    found_link_up(f, 3, w->node[2].incarnation, w->now);
    found_link_up(f, 3, 900, w->now);
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);

    assert_non_null(found_vector(f));
    assert_true(found_vector(f)[2] == w->node[2].incarnation);
}

/* Its last words, read after its next life was met, install nothing. */
static void a_view_is_not_adopted_from_a_life_that_is_over(void **state)
{
    struct world *w = world_new(3);
    struct found *f = &w->node[0].found;
    struct found_message m = says(w, FOUND_SAYS_INSTALLED);

    (void)state;
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    found_link_up(f, 3, w->node[2].incarnation, w->now);
    found_link_up(f, 3, 900, w->now);
    found_receive(f, 3, w->node[2].incarnation, &m, w->now);

    assert_null(found_vector(f));
}

/* T45, T53: a fresh process that hears of a live group founds none. */
static void a_process_that_hears_of_a_live_group_is_refused(void **state)
{
    struct world *w = world_new(3);
    struct found *f = &w->node[0].found;
    struct found_message m = says(w, FOUND_SAYS_INSTALLED);
    struct found_effect e;

    (void)state;
    m.vector[0] = 12345; /* our former life */
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);

    assert_true(found_poll(f, &e));
    assert_int_equal(e.kind, FOUND_REFUSED);
    assert_int_equal(e.status, BASE_E_EXISTS);
    assert_int_equal(e.reason, FOUND_REASON_EXISTS);
    assert_int_equal(e.to, 2);
    assert_false(found_poll(f, &e));
}

/* T53: its next life is neither spoken to nor waited for. */
static void after_view_1_a_restarted_founder_is_not_followed(void **state)
{
    struct world *w = world_new(2);
    struct found *f = &w->node[0].found;
    struct found_effect e;

    (void)state;
    link_all(w);
    settle(w);
    found_link_down(f, 2);
    found_link_up(f, 2, 999, w->now);

    assert_false(found_poll(f, &e));
    assert_true(found_deadline(f) == BASE_NEVER);
    assert_true(found_vector(f)[1] == w->node[1].incarnation);
}

/* What was said on a link that broke may be lost: both say INSTALLED again before ordering goes on. */
static void installed_is_said_again_on_a_new_link(void **state)
{
    struct world *w = world_new(2);

    (void)state;
    link_all(w);
    settle(w);
    w->queue[0][1].head = w->queue[0][1].tail;
    link_all(w);
    (void)step(w, 1, 0);

    assert_int_equal(w->queue[0][1].tail - w->queue[0][1].head, 2); /* the link, and the word */
    settle(w);
    assert_int_equal(w->node[0].opened, 2);
    assert_int_equal(w->node[1].opened, 2);
}

static void whoever_only_opens_never_founds(void **state)
{
    struct world *w = world_new(2);
    struct found_options o = options_of(w, 0);
    struct found_message m = says(w, FOUND_SAYS_SEEN);
    struct found f;
    struct found_effect e;

    (void)state;
    o.is_founder = false;
    assert_int_equal(found_init(&f, &o, w->now), 0);
    found_link_up(&f, 2, w->node[1].incarnation, w->now);
    found_receive(&f, 2, w->node[1].incarnation, &m, w->now);
    assert_false(found_poll(&f, &e));
    m.kind = FOUND_SAYS_INSTALLED;
    found_receive(&f, 2, w->node[1].incarnation, &m, w->now);

    assert_true(found_poll(&f, &e));
    assert_int_equal(e.status, BASE_E_EXISTS);
}

static void a_member_that_is_in_is_refused_by_nobody(void **state)
{
    struct world *w = world_new(3);

    (void)state;
    link_all(w);
    settle(w);
    found_refused(&w->node[0].found, 2, FOUND_REASON_EXISTS, w->now);
    pump(w, 0);

    assert_false(w->node[0].refused);
}

/* Two foundings with different tokens, or lists that differ: the odd one ends, the others wait for the right one. */
static void one_that_disagrees_does_not_end_the_others(void **state)
{
    struct world *w = world_new(3);

    (void)state;
    found_refused(&w->node[0].found, 3, FOUND_REASON_TOKEN, w->now);
    found_refused(&w->node[2].found, 1, FOUND_REASON_TOKEN, w->now);
    found_refused(&w->node[2].found, 1, FOUND_REASON_TOKEN, w->now); /* repeated: still one voice */
    pump(w, 2);
    assert_false(w->node[2].refused);
    found_refused(&w->node[2].found, 2, FOUND_REASON_FOUNDERS, w->now);
    for (uint32_t i = 0; i < 3; i++) {
        pump(w, i);
    }

    assert_false(w->node[0].refused);
    assert_true(w->node[2].refused);
    assert_int_equal(w->node[2].refusal.status, BASE_E_INVALID);
    assert_int_equal(w->node[2].refusal.reason, FOUND_REASON_FOUNDERS);
}

/* A founder whose list is wrong may reach one of the right ones only: after a while it ends, and that one does not. */
static void one_that_nobody_agrees_with_ends_after_a_while(void **state)
{
    struct world *w = world_new(3);

    (void)state;
    link_up(w, 1, 2);
    settle(w);
    found_refused(&w->node[0].found, 2, FOUND_REASON_FOUNDERS, w->now);
    found_refused(&w->node[1].found, 1, FOUND_REASON_FOUNDERS, w->now);
    assert_true(found_deadline(&w->node[0].found) == w->now + BASE_S(3));
    w->now += BASE_S(3);
    for (uint32_t i = 0; i < 3; i++) {
        found_expire(&w->node[i].found, w->now);
        pump(w, i);
    }

    assert_true(w->node[0].refused);
    assert_int_equal(w->node[0].refusal.reason, FOUND_REASON_FOUNDERS);
    assert_false(w->node[1].refused || w->node[2].refused);
}

static void a_disagreement_is_forgotten_when_the_link_comes_up(void **state)
{
    struct world *w = world_new(3);
    struct found *f = &w->node[0].found;

    (void)state;
    found_refused(f, 3, FOUND_REASON_PLACE, w->now);
    found_link_up(f, 3, w->node[2].incarnation, w->now);
    found_refused(f, 2, FOUND_REASON_PLACE, w->now);

    assert_int_equal(f->state, FOUND_GATHERING);
}

/* Its address led elsewhere for a moment; the link outlived that, so no other link comes up. Found by the simulator. */
static void a_founder_whose_address_was_wrong_for_a_moment_is_not_forgotten(void **state)
{
    struct world *w = world_new(3);

    (void)state;
    link_up(w, 0, 1);
    link_up(w, 0, 2);
    link_up(w, 1, 2);
    found_refused(&w->node[0].found, 3, FOUND_REASON_PLACE, w->now);
    for (uint32_t i = 0; i < 3; i++) {
        pump(w, i);
    }
    settle(w);
    w->now += BASE_S(4);
    for (uint32_t i = 0; i < 3; i++) {
        found_expire(&w->node[i].found, w->now);
        pump(w, i);
    }
    settle(w);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(w->node[i].installed);
        assert_false(w->node[i].refused);
    }
    assert_int_equal(w->node[0].found.peer[2].is_opened, true);
}

/* The link from before lives on: it carries the founding, and the group afterwards. */
static void a_disagreement_does_not_forget_a_link_that_lives(void **state)
{
    struct world *w = world_new(3);

    (void)state;
    link_up(w, 0, 2);
    settle(w);
    found_refused(&w->node[0].found, 3, FOUND_REASON_PLACE, w->now);
    link_up(w, 0, 1);
    link_up(w, 1, 2);
    settle(w);
    expect_one_vector(w);
    assert_true(w->node[0].installed && w->node[0].found.peer[2].is_opened);
}

static void a_lost_message_is_repeated_until_it_is_answered(void **state)
{
    struct world *w = world_new(2);

    (void)state;
    link_all(w);
    (void)step(w, 0, 1);
    (void)step(w, 1, 0);
    w->queue[0][1].head = w->queue[0][1].tail; /* both SEENs are lost */
    w->queue[1][0].head = w->queue[1][0].tail;
    assert_false(step_any(w));
    assert_true(found_deadline(&w->node[0].found) == w->now + BASE_MS(500));
    settle(w);

    expect_one_vector(w);
    assert_true(w->node[0].installed && w->node[1].installed);
}

static void a_message_of_another_size_or_self_is_dropped(void **state)
{
    struct world *w = world_new(2);
    struct found *f = &w->node[0].found;
    struct found_message m = says(w, FOUND_SAYS_SEEN);

    (void)state;
    found_link_up(f, 2, w->node[1].incarnation, w->now);
    m.count = 3;
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);
    m.count = 2;
    m.vector[1]++;
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);
    m.kind = FOUND_SAYS_INSTALLED;
    found_receive(f, 2, w->node[1].incarnation, &m, w->now);
    found_receive(f, 1, w->node[0].incarnation, &m, w->now);
    found_receive(f, 9, 1, &m, w->now);

    assert_int_equal(f->state, FOUND_SEEN);
}

static void the_instance_names_name_token_and_vector(void **state)
{
    struct world *w = world_new(1);
    struct found_options o = options_of(w, 0);
    struct found f[4];

    (void)state;
    assert_int_equal(found_init(&f[0], &o, 0), 0);
    o.token++;
    assert_int_equal(found_init(&f[1], &o, 0), 0);
    o.token--;
    o.name = "h";
    assert_int_equal(found_init(&f[2], &o, 0), 0);
    o.name = "g";
    o.incarnation++;
    assert_int_equal(found_init(&f[3], &o, 0), 0);

    for (unsigned i = 0; i < 4; i++) {
        for (unsigned j = i + 1; j < 4; j++) {
            assert_true(found_instance(&f[i]) != found_instance(&f[j]));
        }
    }
}

static void lists_of_founders_are_compared_with_their_addresses(void **state)
{
    struct group_address a[2] = {{1, "h:1"}, {2, "h:2"}};
    struct group_address b[2] = {{1, "h:1"}, {2, "h:3"}};
    struct group_address c[2] = {{1, "h:1"}, {3, "h:2"}};

    (void)state;
    assert_true(found_founders_hash(a, 2) == found_founders_hash(a, 2));
    assert_true(found_founders_hash(a, 2) != found_founders_hash(b, 2));
    assert_true(found_founders_hash(a, 2) != found_founders_hash(c, 2));
    assert_true(found_founders_hash(a, 2) != found_founders_hash(a, 1));
}

static void options_that_make_no_sense_are_refused(void **state)
{
    struct world *w = world_new(3);
    struct found_options good = options_of(w, 0);
    struct found_options o = good;
    const uint32_t falling[2] = {2, 1};
    struct found f;

    (void)state;
    o.self = 9;
    assert_int_equal(found_init(&f, &o, 0), BASE_E_INVALID);
    o = good;
    o.incarnation = 0;
    assert_int_equal(found_init(&f, &o, 0), BASE_E_INVALID);
    o = good;
    o.name = "";
    assert_int_equal(found_init(&f, &o, 0), BASE_E_INVALID);
    o = good;
    o.id = falling;
    o.count = 2;
    assert_int_equal(found_init(&f, &o, 0), BASE_E_INVALID);
}

/* ---------------------------------------------------------------------------------------------------- property */

/* Any order of messages, links that break and come again, restarts at any time: all that live agree (M1, M4), and when
 * the faults end everybody is in or was told that it is out. */
static void run_random_founding(uint64_t seed, unsigned *outs, unsigned *adopted, unsigned *followed)
{
    struct base_rng r;
    struct world *w;
    bool has_out = false;
    bool all_in = true;

    base_rng_init(&r, seed);
    w = world_new(2 + (uint32_t)base_rng_below(&r, 4));
    for (unsigned i = 0; i < 300; i++) {
        uint32_t a = (uint32_t)base_rng_below(&r, w->count);
        uint32_t b = (uint32_t)base_rng_below(&r, w->count);
        uint64_t dice = base_rng_below(&r, 100);

        if (dice < 3) {
            start(w, a);
        } else if (a != b && dice < 15) {
            if (dice < 6) { /* what was under way is lost; else it comes late */
                w->queue[a][b].head = w->queue[a][b].tail;
            }
            link_up(w, a, b);
        } else if (a != b && dice < 97) {
            (void)step(w, a, b);
        } else {
            w->now += BASE_S(1);
            found_expire(&w->node[a].found, w->now);
            pump(w, a);
        }
        expect_one_vector(w);
    }
    link_all(w);
    settle(w);
    expect_one_vector(w);
    for (uint32_t i = 0; i < w->count; i++) {
        has_out = has_out || w->node[i].refused;
        all_in = all_in && w->node[i].installed;
    }
    assert_true(all_in || has_out);
    *outs += has_out;
    *adopted += w->adopted;
    *followed += w->followed;
}

static void random_foundings_never_disagree(void **state)
{
    unsigned outs = 0;
    unsigned adopted = 0;
    unsigned followed = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 3000; seed++) {
        run_random_founding(seed, &outs, &adopted, &followed);
    }
    assert_true(outs > 100); /* the interesting paths were really taken */
    assert_true(adopted > 100);
    assert_true(followed > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_founders_install_the_same_vector),
        cmocka_unit_test(a_founder_alone_installs_at_once),
        cmocka_unit_test(nothing_is_installed_while_one_founder_is_missing),
        cmocka_unit_test(a_founder_may_restart_at_every_step),
        cmocka_unit_test(a_late_seen_of_a_dead_life_counts_for_nothing),
        cmocka_unit_test(a_life_that_was_replaced_never_comes_back),
        cmocka_unit_test(only_the_vector_of_the_latest_seen_is_installed),
        cmocka_unit_test(a_view_is_adopted_from_a_member_that_is_in),
        cmocka_unit_test(a_view_is_not_adopted_from_a_life_that_is_over),
        cmocka_unit_test(a_process_that_hears_of_a_live_group_is_refused),
        cmocka_unit_test(after_view_1_a_restarted_founder_is_not_followed),
        cmocka_unit_test(installed_is_said_again_on_a_new_link),
        cmocka_unit_test(whoever_only_opens_never_founds),
        cmocka_unit_test(a_member_that_is_in_is_refused_by_nobody),
        cmocka_unit_test(one_that_disagrees_does_not_end_the_others),
        cmocka_unit_test(one_that_nobody_agrees_with_ends_after_a_while),
        cmocka_unit_test(a_disagreement_is_forgotten_when_the_link_comes_up),
        cmocka_unit_test(a_founder_whose_address_was_wrong_for_a_moment_is_not_forgotten),
        cmocka_unit_test(a_disagreement_does_not_forget_a_link_that_lives),
        cmocka_unit_test(a_lost_message_is_repeated_until_it_is_answered),
        cmocka_unit_test(a_message_of_another_size_or_self_is_dropped),
        cmocka_unit_test(the_instance_names_name_token_and_vector),
        cmocka_unit_test(lists_of_founders_are_compared_with_their_addresses),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(random_foundings_never_disagree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
