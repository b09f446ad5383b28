/* See oracle_paper.h. */
#include "tests/sim/oracle_paper.h"

#include <string.h>

/* What one member has sent to another within its latest term. */
struct sent {
    uint64_t term;
    uint64_t upto;
    uint64_t part; /* the entry whose first part went out last */
};

static struct {
    struct sent sent[SIM_MEMBERS_MAX][SIM_MEMBERS_MAX + 1];
} p;

void oracle_paper_begin(void)
{
    memset(&p, 0, sizeof p);
}

void oracle_paper_sent(int node, uint32_t member, const struct message *m)
{
    struct sent *s = &p.sent[node][member];
    uint64_t first = m->batch.prev_index + 1;
    bool is_part = m->batch.count == 0;

    if (m->kind != MESSAGE_BATCH || (is_part && (m->body.size == 0 || m->batch.offset != 0))) {
        return;
    }
    if (s->term != m->term) {
        *s = (struct sent){.term = m->term};
    }
    if ((first <= s->upto || first == s->part) && !sim_group.was_killed && !sim_group.has_ended_sessions) {
        sim_fail("M6 nothing twice within a term",
                 "node %d sends entry %llu to member %u again in term %llu: it had "
                 "sent up to %llu",
                 node, (unsigned long long)first, member, (unsigned long long)m->term, (unsigned long long)s->upto);
    }
    if (is_part) {
        s->part = first;
    } else {
        s->upto = m->batch.prev_index + m->batch.count;
    }
}

void oracle_paper_judge(void)
{
    for (int i = 0; i < sim_group.count && !sim.is_failed && !sim_group.was_killed; i++) {
        const struct group_view *view =
            sim_group.member[i].replica == NULL ? NULL : replica_view(sim_group.member[i].replica);

        if (view != NULL && view->id != 1) {
            sim_fail("M6 no view for a broken link", "node %d is in view %llu, and no process died", i,
                     (unsigned long long)view->id);
        }
        if (sim_group.member[i].is_out && sim_group.member[i].has_view) {
            sim_fail("M6 no view for a broken link", "node %d was put out, and no process died", i);
        }
    }
}
