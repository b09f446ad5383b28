/* See oracle_views.h. */
#include "tests/sim/oracle_views.h"

#include "tests/sim/arena.h"
#include "tests/sim/oracle_clients.h"
#include "tests/sim/oracle_order.h"

#include <string.h>

static struct {
    bool has_view;
    struct group_view view;
    uint32_t holders; /* nodes whose present process installed it */
    uint32_t life[SIM_MEMBERS_MAX];
} v;

void oracle_views_begin(void)
{
    memset(&v, 0, sizeof v);
}

static bool is_held(void)
{
    for (int i = 0; i < sim_group.count; i++) {
        if ((v.holders >> i & 1) != 0 && sim.node[i].is_up && sim.node[i].life == v.life[i]) {
            return true;
        }
    }
    return false;
}

static bool are_equal(const struct group_view *a, const struct group_view *b)
{
    bool is_equal = a->id == b->id && a->index == b->index && a->instance == b->instance && a->count == b->count;

    for (uint32_t i = 0; is_equal && i < a->count; i++) {
        is_equal = a->member[i].id == b->member[i].id && a->member[i].role == b->member[i].role &&
                   a->member[i].incarnation == b->member[i].incarnation &&
                   strcmp(a->member[i].address, b->member[i].address) == 0;
    }
    return is_equal;
}

void oracle_views_install(int node, const struct group_view *view, const struct group_difference *difference)
{
    struct sim_member *m = &sim_group.member[node];

    sim_trace("node %d has view %llu of instance %016llx", node, (unsigned long long)view->id,
              (unsigned long long)view->instance);
    sim_arena_stats.views++;
    if (view->id != 1 || m->has_view || difference->joined_count != view->count || difference->left_count != 0) {
        sim_fail("M2 views follow each other", "node %d has view %llu as its %s", node, (unsigned long long)view->id,
                 m->has_view ? "second" : "first");
    }
    if (oracle_order_delivered(node) != 0) {
        sim_fail("M8 the view before its messages", "node %d was given messages before its first view", node);
    }
    if ((int)view->count != sim_group.count || view->member[node].id != (uint32_t)node + 1 ||
        view->member[node].incarnation != m->incarnation) {
        sim_fail("M3 self-inclusion", "node %d installs a view without itself: %016llx stands there, it is %016llx",
                 node, (unsigned long long)view->member[node].incarnation, (unsigned long long)m->incarnation);
    }
    if (v.has_view && !are_equal(&v.view, view)) {
        if (is_held()) {
            sim_fail("M1 M4 one view", "node %d installs another view %llu than processes that live", node,
                     (unsigned long long)view->id);
        }
        sim_trace("the former group died with its members");
        oracle_clients_refound();
        v.has_view = false;
        v.holders = 0;
        oracle_order_refound();
    }
    v.has_view = true;
    v.view = *view;
    v.holders |= 1u << node;
    v.life[node] = sim.node[node].life;
    m->has_view = true;
}

void oracle_views_deliver(int node)
{
    if (!sim_group.member[node].has_view || sim_group.member[node].is_out) {
        sim_fail("M8 the view before its messages", "node %d was given a message and has no view", node);
    }
}

void oracle_views_excluded(int node, int status, const char *why, bool may_disagree)
{
    bool was_replaced = sim.node[node].life > 1;

    sim_trace("node %d is out: %s: %s", node, base_status_name(status), why);
    if (status == BASE_E_EXISTS && was_replaced && !sim_group.member[node].has_view) {
        return;
    }
    if (status == BASE_E_INVALID && may_disagree && !sim_group.member[node].has_view) {
        return;
    }
    sim_fail("M6 M7 out only for a reason", "node %d, life %u, is out with %s: %s", node, sim.node[node].life,
             base_status_name(status), why);
}

const struct group_view *oracle_views_current(void)
{
    return v.has_view ? &v.view : NULL;
}

bool oracle_views_names(int node)
{
    return v.has_view && sim.node[node].is_up && v.view.member[node].incarnation == sim_group.member[node].incarnation;
}
