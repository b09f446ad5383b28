/* What must be true in the world of explore.h after everything that happens; see there for the numbers. */
#include "tests/sim/explore_inside.h"

void explore_break_property(const char *what)
{
    if (explore_world()->broken == NULL) {
        explore_world()->broken = what;
    }
}

static void look_at_commit(int node)
{
    struct explore_world *w = explore_world();
    const struct order *o = w->node[node].order;
    int holders = 0;

    for (uint64_t i = w->node[node].commit + 1; i <= o->commit && i < EXPLORE_INDEXES_MAX; i++) {
        struct log_place here;

        if (!log_at(&o->log, i, &here)) {
            continue;
        }
        if (w->settled[i].chain == 0) {
            w->settled[i] = (struct explore_settlement){here.term, here.hash};
            w->settled_upto = i > w->settled_upto ? i : w->settled_upto;
        } else if (w->settled[i].chain != here.hash) {
            explore_break_property("R5 one entry at an index");
        }
    }
    if (o->role == ROLE_LEADER && o->commit > w->node[node].commit && o->commit < EXPLORE_INDEXES_MAX) {
        for (int i = 0; i < w->members; i++) {
            const struct explore_disk *d = &w->node[i].disk;

            holders += d->count >= o->commit && d->entry[o->commit - 1].chain == w->settled[o->commit].chain ? 1 : 0;
        }
        if (2 * holders <= w->members) {
            explore_break_property("R8 what is settled is on the disks of a majority");
        }
    }
    w->node[node].commit = o->commit;
}

void explore_look(int node)
{
    struct explore_world *w = explore_world();
    const struct order *o = w->node[node].order;

    if (o->role == ROLE_STOPPED) {
        explore_break_property(o->stop_reason);
    }
    if (o->role == ROLE_LEADER && o->term < EXPLORE_INDEXES_MAX) {
        uint32_t *leader = &w->leader[o->term];

        if (*leader != 0 && *leader != (uint32_t)node + 1) {
            explore_break_property("R1 one leader a term");
        }
        *leader = (uint32_t)node + 1;
    }
    look_at_commit(node);
}

void explore_look_at_promise(int from, int to, const struct message *m)
{
    const struct explore_disk *d = &explore_world()->node[from].disk;

    if (m->kind == MESSAGE_VOTE && m->vote.granted && (d->term != m->term || d->vote != (uint32_t)to + 1)) {
        explore_break_property("R8 a vote is said that is not on the disk");
    }
    if (m->kind == MESSAGE_VOTE_ASK && (d->term != m->term || d->vote != (uint32_t)from + 1)) {
        explore_break_property("R8 a candidate asks before its own vote is on the disk");
    }
    if (m->kind == MESSAGE_ACK && m->ack.index > d->count) {
        explore_break_property("R8 entries are acknowledged that are not on the disk");
    }
}
