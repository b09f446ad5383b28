/* Random schedules of cuts, breaks, pauses, slow disks and commands over real cores: whatever happens, the order is
 * one; once everything is healed, everybody has everything, once and in order (R1, R5, R7, K2, M6, L3; T05, T28, T30).
 * A seed that fails becomes a story of its own. */
#include "rtcp/base/rng.h"
#include "tests/story/membership/cluster.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define STEPS 1500

struct run {
    struct cluster cluster;
    struct base_rng rng;
    uint64_t refused;
};

static uint32_t pick(struct run *r)
{
    return 1 + (uint32_t)base_rng_below(&r->rng, r->cluster.count);
}

static uint32_t pick_other(struct run *r, uint32_t than)
{
    return 1 + (than + (uint32_t)base_rng_below(&r->rng, r->cluster.count - 1)) % r->cluster.count;
}

static void submit(struct run *r)
{
    uint32_t id = pick(r);
    size_t size = base_rng_below(&r->rng, 50) == 0 ? base_rng_below(&r->rng, 200000) : base_rng_below(&r->rng, 60);
    char *text = malloc(size + 32);
    int head = snprintf(text, 32, "%u.%llu ", id, (unsigned long long)r->cluster.node[id].submitted + 1);

    memset(text + head, 'x', size);
    text[(size_t)head + size] = 0;
    if (!r->cluster.node[id].is_paused && cluster_submit(&r->cluster, id, text) < 0) {
        r->refused++;
    }
    free(text);
}

static void fault(struct run *r)
{
    struct cluster *c = &r->cluster;
    uint32_t a = pick(r);
    uint32_t b = pick_other(r, a);

    switch (base_rng_below(&r->rng, 12)) {
    case 0:
        cluster_cut(c, a, b);
        break;
    case 1:
        cluster_cut_one(c, a, b);
        break;
    case 2:
        cluster_isolate(c, a);
        break;
    case 3:
    case 4:
    case 5:
        cluster_heal(c, a, b);
        break;
    case 6:
        cluster_heal_all(c);
        break;
    case 7:
        cluster_link_down(c, a, b);
        if (base_rng_below(&r->rng, 2) == 0) {
            cluster_link_up(c, a, b);
        }
        break;
    case 8:
        cluster_link_up(c, a, b);
        break;
    case 9:
        cluster_pause(c, a);
        break;
    case 10:
        cluster_resume(c, a);
        cluster_resume(c, b);
        break;
    default:
        cluster_delay(c, a, b, BASE_US(base_rng_below(&r->rng, 100000)));
        c->node[a].disk_delay = base_rng_below(&r->rng, 2) * BASE_US(base_rng_below(&r->rng, 200000));
        break;
    }
}

static void settle(struct run *r)
{
    struct cluster *c = &r->cluster;

    cluster_heal_all(c);
    for (uint32_t a = 1; a <= c->count; a++) {
        cluster_resume(c, a);
        c->node[a].disk_delay = 0;
        for (uint32_t b = 1; b <= c->count; b++) {
            cluster_delay(c, a, b, BASE_MS(1));
            if (a != b) {
                cluster_link_up(c, a, b);
            }
        }
    }
}

/* Commands of one member come in the order of their numbers, none twice, none missing. */
static void expect_in_order(const struct cluster *c, const struct cluster_node *n)
{
    uint64_t last[CLUSTER_NODES_MAX + 1] = {0};

    for (size_t i = 0; i < n->delivery_count; i++) {
        assert_int_equal(n->delivery[i].number, last[n->delivery[i].origin] + 1);
        last[n->delivery[i].origin]++;
    }
    for (uint32_t id = 1; id <= c->count; id++) {
        assert_int_equal(last[id], c->node[id].submitted);
    }
}

static void small_log(struct order_options *options, uint32_t id)
{
    (void)id;
    options->log_bytes_max = 3u << 18;
    options->pending_max = 50;
}

static void run_seed(uint64_t seed, uint32_t count, void (*adjust)(struct order_options *options, uint32_t id))
{
    struct run r = {0};
    struct group_stats s;

    cluster_open(&r.cluster, count, seed, adjust);
    r.cluster.ring = 65536;
    base_rng_init(&r.rng, seed);
    for (int i = 0; i < STEPS; i++) {
        if (base_rng_below(&r.rng, 5) == 0) {
            fault(&r);
        } else {
            submit(&r);
        }
        cluster_run(&r.cluster, BASE_US(base_rng_below(&r.rng, 60000)));
    }
    settle(&r);

    if (!cluster_until(&r.cluster, cluster_is_even, BASE_S(20))) {
        for (uint32_t id = 1; id <= count; id++) {
            cluster_stats(&r.cluster, id, &s);
            print_message("seed %llu node %u %s term %llu last %llu commit %llu delivered %llu pending %llu (%llu)\n",
                          (unsigned long long)seed, id, order_role(r.cluster.node[id].order),
                          (unsigned long long)s.term, (unsigned long long)s.last, (unsigned long long)s.commit,
                          (unsigned long long)s.delivered, (unsigned long long)s.pending,
                          (unsigned long long)r.cluster.node[id].submitted);
        }
        fail_msg("not even after healing");
    }
    for (uint32_t id = 1; id <= count; id++) {
        expect_in_order(&r.cluster, &r.cluster.node[id]);
    }
    assert_true(r.cluster.node[1].delivery_count > 20);
    cluster_close(&r.cluster);
}

static void three_members_agree_under_any_schedule(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        run_seed(seed, 3, NULL);
    }
}

static void five_members_agree_under_any_schedule(void **state)
{
    (void)state;
    for (uint64_t seed = 101; seed <= 106; seed++) {
        run_seed(seed, 5, NULL);
    }
}

static void a_short_log_delays_and_loses_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 201; seed <= 206; seed++) {
        run_seed(seed, 3, small_log);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_members_agree_under_any_schedule),
        cmocka_unit_test(five_members_agree_under_any_schedule),
        cmocka_unit_test(a_short_log_delays_and_loses_nothing),
    };

    if (argc == 3) { /* first and last seed of a longer hunt */
        for (uint64_t seed = strtoull(argv[1], NULL, 10); seed <= strtoull(argv[2], NULL, 10); seed++) {
            run_seed(seed, seed % 3 == 0 ? 5 : 3, seed % 2 == 0 ? small_log : NULL);
        }
        return 0;
    }
    return cmocka_run_group_tests_name("story/membership/random", tests, NULL, NULL);
}
