/* Synchronisation: see sync.h. */
#include "membership/sync.h"

#include "membership/forward.h"
#include "membership/role.h"

int sync_receive_ask(struct order *o, struct order_seat *seat)
{
    if (seat->is_followed) {
        return BASE_E_PROTOCOL;
    }
    seat->is_followed = true;
    o->expecting = UINT64_MAX;
    part_clear(&o->entry, o->options.memory);
    order_slot(seat, MESSAGE_SYNC);
    forward_rewind(o);
    return 0;
}

/* One post per run of a term, newest first. With more runs than posts the oldest are left out: then more is sent again
 * than needed, from `commit` on, but never by trial and error (T10). */
void sync_fill(const struct order *o, struct message *m)
{
    struct log_place place = o->log.last;
    uint32_t count = 0;

    m->sync.last_index = o->log.last.index;
    m->sync.last_term = o->log.last.term;
    m->sync.base = o->log.base.index;
    m->sync.commit = o->commit;
    while (count < MESSAGE_POSTS_MAX && place.index > 0) {
        uint64_t before = place.term == 0 ? 0 : log_end_of(&o->log, place.term - 1);

        m->sync.post[count] = (struct message_post){place.index, place.term};
        count++;
        if (before >= place.index || before < o->log.base.index || !log_at(&o->log, before, &place)) {
            break;
        }
    }
    m->sync.count = count;
}

/* A post says: the entries after the next older post, up to this one, are of this term. Two logs that have an entry of
 * the same index and term are equal up to it (R3). */
static uint64_t match_of_post(const struct log *ours, const struct message *sync, uint32_t i)
{
    struct message_post post = sync->sync.post[i];
    uint64_t older = i + 1 < sync->sync.count ? sync->sync.post[i + 1].index : 0;
    uint64_t end = log_end_of(ours, post.term);
    struct log_place place;

    if (end > post.index) {
        end = post.index;
    }
    if (!log_at(ours, end, &place) || place.term != post.term || (i + 1 < sync->sync.count && end <= older)) {
        return 0;
    }
    return end;
}

uint64_t sync_match(const struct log *ours, const struct message *sync)
{
    /* what it knows as settled every later leader has (R4); what we have dropped everybody had */
    uint64_t match = sync->sync.commit;

    if (match < ours->base.index && sync->sync.last_index >= ours->base.index) {
        match = ours->base.index;
    }
    for (uint32_t i = 0; i < sync->sync.count; i++) {
        uint64_t end = match_of_post(ours, sync, i);

        match = end > match ? end : match;
    }
    return match;
}

static bool is_sound(const struct message *m)
{
    if (m->sync.count > MESSAGE_POSTS_MAX || m->sync.commit > m->sync.last_index || m->sync.base > m->sync.commit) {
        return false;
    }
    for (uint32_t i = 0; i < m->sync.count; i++) {
        uint64_t above = i == 0 ? m->sync.last_index + 1 : m->sync.post[i - 1].index;

        if (m->sync.post[i].index >= above) {
            return false;
        }
    }
    return true;
}

int sync_receive(struct order *o, struct order_seat *seat, const struct message *m)
{
    uint64_t match;

    if (!order_is_leader(o)) {
        o->dropped_at_door++;
        return 0;
    }
    if (!seat->is_asked || seat->is_synced || !is_sound(m)) {
        return BASE_E_PROTOCOL;
    }
    match = sync_match(&o->log, m);
    if (match > o->log.last.index) {
        role_stop(o, "a member holds settled entries that its leader lacks");
        return BASE_E_CLOSED;
    }
    if (m->sync.last_index < seat->acked || match < o->log.base.index) {
        role_trace(o, "member lost entries", "it acknowledged entries that it no longer has", seat->id, seat->acked);
        return BASE_E_PROTOCOL; /* never overwrite what was promised (T18) */
    }
    match = match > seat->acked ? match : seat->acked; /* it proved that in this term, whatever the posts leave out */
    seat->is_synced = true;
    seat->has_news = true;
    seat->next = match + 1;
    seat->part = 0;
    role_trace(o, "synchronised", NULL, seat->id, match);
    return 0;
}
