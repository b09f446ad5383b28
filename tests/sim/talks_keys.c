/* See talks_keys.h. */
#include "tests/sim/talks_keys.h"

#include "tests/sim/cover.h"

#include <string.h>

#define KEY_SIZE  32u
#define KEYS_MAX  12 /* in one run */
#define FIRST_ID  7u
#define STEP_MAX  BASE_S(3)
#define KEYS_EACH 2          /* at once: the old one and the new one */
#define PATIENCE  BASE_S(45) /* an opening may still find the session that an earlier attempt made */

/* A node has the keys first .. last. */
struct holder {
    int first, last, current;
    base_time taken[KEYS_MAX]; /* when a key was taken away; BASE_NEVER: not yet */
};

static struct {
    int servers, nodes;
    bool has_keys, is_careless, has_wrong;
    uint8_t salt;
    int newest;
    struct holder of[SIM_NODES_MAX];
    uint8_t bytes[KEYS_EACH][KEY_SIZE]; /* for a call that copies them */
    struct rtcp_key key[KEYS_EACH];
} k;

/* ------------------------------------------------------------------------------------------------ what a node has */

static size_t list(const struct holder *h)
{
    for (int i = h->first; i <= h->last; i++) {
        memset(k.bytes[i - h->first], k.salt + i, KEY_SIZE);
        k.key[i - h->first] = (struct rtcp_key){FIRST_ID + (uint32_t)i, k.bytes[i - h->first], KEY_SIZE};
    }
    return (size_t)(h->last - h->first + 1);
}

void talks_keys_options(int node, struct rtcp_endpoint_options *o)
{
    const struct holder *h = &k.of[node];

    if (k.has_keys) {
        o->key_count = list(h);
        o->keys = k.key;
        o->key_current = (size_t)(h->current - h->first);
    }
}

bool talks_keys_are_wrong(struct rtcp_endpoint_options *o)
{
    if (!k.has_wrong) {
        return false;
    }
    memset(k.bytes[0], k.salt + KEYS_MAX, KEY_SIZE);
    o->key = k.bytes[0];
    o->key_size = KEY_SIZE;
    o->key_id = FIRST_ID + (uint32_t)sim_below((uint64_t)k.newest + 2); /* of a right one, a former one, or none */
    return true;
}

int talks_keys_current(int node)
{
    return k.has_keys ? k.of[node].current : -1;
}

/* ------------------------------------------------------------------------------------------------ the operator */

static void set_keys(void *object, uint64_t number)
{
    const struct holder *h = object;
    size_t count = list(h);
    int status = rtcp_endpoint_set_keys(talks.endpoint[number], k.key, count, (size_t)(h->current - h->first));

    if (status != 0) {
        sim_fail("K keys change", "node %d takes no new keys: %s", (int)number, base_status_name(status));
    }
}

enum step { GIVEN, MOVED, TAKEN };

static bool have_all(enum step step)
{
    for (int i = 0; i < k.nodes; i++) {
        const struct holder *h = &k.of[i];

        if ((step == GIVEN ? h->last : step == MOVED ? h->current : h->first) != k.newest) {
            return false;
        }
    }
    return true;
}

/* The next step of a node; NULL: it has to wait for others, or has nothing to do. */
static const char *advance(struct holder *h)
{
    if (h->last < k.newest) {
        h->last = k.newest;
        return "given";
    }
    if (h->current < k.newest && have_all(GIVEN)) {
        h->current = k.newest;
        return "moved";
    }
    if (h->first < h->current && (k.is_careless || have_all(MOVED))) {
        h->taken[h->first++] = sim.now;
        return "taken";
    }
    return NULL;
}

static void operate(void *object, uint64_t number)
{
    struct sim_node *node = &sim.node[sim_below((uint64_t)k.nodes)];
    struct holder *h = &k.of[node->id];
    const char *what;

    (void)object;
    (void)number;
    if (sim.now >= talks.calm_at) {
        return;
    }
    if (have_all(TAKEN) && k.newest + 1 < KEYS_MAX) {
        k.newest++;
    }
    what = node->is_paused ? NULL : advance(h);
    if (what != NULL) {
        sim_trace("node %d: key %d is %s", node->id, k.newest, what);
        sim_cover_event("keys", what, NULL);
    }
    if (what != NULL && node->is_up) {
        sim_in_node(node, set_keys, h, (uint64_t)node->id);
    }
    sim_at(sim.now + sim_delay(0, STEP_MAX), operate, NULL, 0);
}

void talks_keys_begin(int servers, int nodes)
{
    memset(&k, 0, sizeof k);
    k.servers = servers;
    k.nodes = nodes;
    k.salt = (uint8_t)sim_below(256);
    k.has_keys = sim_chance(400);
    k.has_wrong = k.has_keys && sim_chance(400);
    k.is_careless = sim_chance(500);
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        for (int key = 0; key < KEYS_MAX; key++) {
            k.of[i].taken[key] = BASE_NEVER;
        }
    }
    if (k.has_keys && sim_chance(600)) {
        sim_at(sim.now, operate, NULL, 0);
    }
}

/* ------------------------------------------------------------------------------------------------ verdicts */

void talks_keys_accepted(int server, const struct talk *t)
{
    if (t->has_wrong_key) {
        sim_fail("K only holders open", "stream %llx was accepted under a wrong key", (unsigned long long)t->key);
    }
    if (t->generation >= 0 && k.of[server].taken[t->generation] <= t->began) {
        sim_fail("K only holders open", "stream %llx was accepted under key %d, which had been taken away",
                 (unsigned long long)t->key, t->generation);
    }
}

void talks_keys_finished(const struct talk *t)
{
    if (t->generation >= 0 && t->generation < k.of[t->end[TALK_SERVER].node].first) {
        sim_cover_event("keys", "outlived", NULL);
    }
}

/* Whether the server's process that lives now has accepted the stream, as the client knows; not one that the server
 * dropped before anything confirmed it: that is opened again, under the key it had. */
static bool is_known(const struct talk *t)
{
    const struct talk_end *s = &t->end[TALK_SERVER];
    struct rtcp_info info;

    if (s->life != 0) {
        return talks_is_alive(s);
    }
    rtcp_info(t->end[TALK_CLIENT].stream, &info);
    return info.id != 0 && info.peer_incarnation == rtcp_endpoint_incarnation(talks.endpoint[s->node]);
}

bool talks_keys_lock_out(const struct talk *t)
{
    const struct talk_end *c = &t->end[TALK_CLIENT];

    return !c->is_over && talks_is_alive(c) && sim.now > talks.calm_at + PATIENCE && t->generation >= 0 &&
           t->generation < k.of[t->end[TALK_SERVER].node].first && !is_known(t);
}
