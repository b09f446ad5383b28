/* The number of a state of explore.h: whatever decides what can happen next. Of times only what a member concludes. */
#include "tests/sim/explore_inside.h"

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9fb21c651e98df25u;
    return h ^ h >> 29;
}

static uint64_t mix_bytes(uint64_t h, const void *data, size_t size)
{
    const uint8_t *at = data;

    for (size_t i = 0; i < size; i++) {
        h = mix(h, at[i]);
    }
    return h;
}

static uint64_t number_of_seat(uint64_t h, const struct order_seat *s)
{
    const uint64_t words[] = {s->is_linked,       s->slots,          s->vote_term,   s->prevote_term, s->vote_granted,
                              s->prevote_granted, s->is_asked,       s->is_synced,   s->next,         s->part,
                              s->acked,           s->told,           s->told_low,    s->has_news,     s->sent_upto,
                              s->taken,           s->expected,       s->is_followed, s->ack_sent,     s->delivered,
                              s->vote_attempt,    s->prevote_attempt};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        h = mix(h, words[i]);
    }
    return h;
}

static uint64_t number_of_core(uint64_t h, const struct order *o, base_time now)
{
    const uint64_t words[] = {(uint64_t)o->role,
                              o->term,
                              o->vote,
                              o->term_leader,
                              o->leader,
                              o->is_abdicated,
                              o->log.last.index,
                              o->log.last.hash,
                              o->disk.term,
                              o->disk.vote,
                              o->disk.upto,
                              o->disk.asked_upto,
                              o->disk.asked_term,
                              o->disk.asked_vote,
                              o->commit,
                              o->heard,
                              o->verified,
                              o->low,
                              o->delivered,
                              o->expecting,
                              o->yes,
                              o->no,
                              o->attempt,
                              o->has_quorum,
                              o->pending.last.index,
                              o->pending_done,
                              o->forward_next,
                              detector_hears(&o->detector, now)};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        h = mix(h, words[i]);
    }
    for (uint32_t i = 0; i < o->seat_count; i++) {
        h = number_of_seat(h, &o->seat[i]);
    }
    return h;
}

static uint64_t number_of_node(uint64_t h, const struct explore_node *n)
{
    h = number_of_core(h, n->order, n->now);
    h = mix(mix(mix(h, n->disk.term), n->disk.vote), n->disk.count);
    if (n->disk.count > 0) {
        h = mix(h, n->disk.entry[n->disk.count - 1].chain);
    }
    for (const struct explore_write *write = n->writes; write != NULL; write = write->next) {
        h = mix(mix(mix(mix(h, write->term), write->vote), write->first), write->upto);
    }
    return h;
}

static uint64_t number_of_message(uint64_t h, const struct message *m)
{
    h = mix(mix(h, (uint64_t)m->kind), m->term);
    h = mix_bytes(h, &m->sync, sizeof m->sync); /* the largest of all kinds; the rest is zero */
    return mix_bytes(h, m->body.data, m->body.size);
}

uint64_t explore_number(void)
{
    const struct explore_world *w = explore_world();
    uint64_t h = 1;

    for (int a = 0; a < w->members; a++) {
        h = number_of_node(h, &w->node[a]);
        for (int b = 0; b < w->members; b++) {
            for (int lane = 0; lane < LANE_COUNT; lane++) {
                h = mix(h, (uint64_t)(a * 64 + b * 8 + lane));
                for (const struct explore_packet *p = w->lane[a][b][lane]; p != NULL; p = p->next) {
                    h = number_of_message(h, &p->message);
                }
            }
        }
    }
    h = mix(mix(h, (uint64_t)w->left.expires), (uint64_t)w->left.crashes);
    h = mix(mix(h, (uint64_t)w->left.submits), (uint64_t)w->left.breaks);
    return mix(h, w->settled_upto == 0 ? 0 : w->settled[w->settled_upto].chain);
}
