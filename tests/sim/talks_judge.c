/* See talks_judge.h. */
#include "tests/sim/talks_judge.h"

#include "rtcp/inside_loop.h"
#include "tests/sim/arena.h"
#include "tests/sim/cover.h"
#include "tests/sim/net.h"
#include "tests/sim/talks.h"
#include "tests/sim/talks_keys.h"

/* A server's end that nobody ever confirmed, on a connection that its kernel still believes in. Nothing may be asked of
 * an address that was never validated, so only the kernel can find out: after a quarter of an hour. */
static bool is_believed_only(const struct talk_end *s)
{
    return s->stream != NULL && !s->stream->session.is_confirmed && s->stream->session.path == RTCP_PATH_ATTACHED;
}

/* Nothing more can come of this talk: both ends are over, or one of its processes died. */
static bool is_settled(const struct talk *t)
{
    const struct talk_end *c = &t->end[TALK_CLIENT];
    const struct talk_end *s = &t->end[TALK_SERVER];
    bool server_known = s->life != 0;

    if (!talks_is_alive(c)) {
        return true; /* the server keeps its end: nothing proves that the client is gone */
    }
    if (talks_keys_lock_out(t)) {
        return true;
    }
    if (c->is_over && sim_net_rebound(c->node) != t->binding) {
        return true; /* it ended while cut off, and its NAT forgot it: the server lingers, it cannot ask anybody */
    }
    if (c->is_over && talks_is_alive(s) && is_believed_only(s)) {
        return true;
    }
    return c->is_over && (!server_known || s->is_over || !talks_is_alive(s));
}

bool talks_judge_is_settled(void)
{
    for (int i = 0; i < talks.count; i++) {
        if (!is_settled(&talks.talk[i])) {
            return false;
        }
    }
    return true;
}

void talks_judge_liveness(base_time peace)
{
    for (int i = 0; i < talks.count && !sim.is_failed; i++) {
        const struct talk *t = &talks.talk[i];

        if (!is_settled(t)) {
            sim_fail("C2 everything arrives",
                     "stream %llx is not finished %llu s after the heal: client sent %llu read %llu over %d, server "
                     "sent %llu read %llu over %d",
                     (unsigned long long)t->key, (unsigned long long)(peace / BASE_S(1)),
                     (unsigned long long)t->end[TALK_CLIENT].sent, (unsigned long long)t->end[TALK_CLIENT].received,
                     t->end[TALK_CLIENT].is_over, (unsigned long long)t->end[TALK_SERVER].sent,
                     (unsigned long long)t->end[TALK_SERVER].received, t->end[TALK_SERVER].is_over);
        }
        for (int side = 0; side < 2; side++) {
            const struct talk_end *e = &t->end[side];
            const struct talk_end *peer = &t->end[!side];

            /* What is told as complete was taken out of the kernel there; its reader gets it, unless it gave up. */
            if (e->is_over && e->status == 0 && talks_is_alive(peer) && !peer->has_closed &&
                peer->received != e->sent) {
                sim_fail("C2 complete", "stream %llx side %d ended well, but %llu of %llu bytes were read",
                         (unsigned long long)t->key, side, (unsigned long long)peer->received,
                         (unsigned long long)e->sent);
            }
        }
        if (talks_keys_lock_out(t)) {
            sim_cover_event("keys", "locked out", NULL);
        }
        sim_arena_stats.finished += t->end[TALK_CLIENT].is_over && t->end[TALK_CLIENT].status == 0;
    }
}
