/* Beats: see round.h. */
#include "membership/round.h"

#include "membership/role.h"

/* Flags of a beat in a probe. */
#define BEAT_HAS_QUORUM 1u
#define BEAT_ABDICATES  2u

static base_time timeout_of(const struct order *o)
{
    return o->options.election_timeout;
}

/* Whoever had not answered the round before is asked on the votes lane, too (probes may be lost for ever). */
static void beat(struct order *o)
{
    o->round++;
    o->round_at[o->round % ORDER_ROUNDS_KEPT] = o->now;
    o->tells_beat = true;
    o->has_beat = true;
    for (uint32_t i = 0; i < o->seat_count; i++) {
        struct order_seat *seat = &o->seat[i];

        if (seat->round + 1 < o->round || o->round == 1) {
            order_slot(seat, MESSAGE_BEAT);
        }
        seat->has_news = seat->has_news || seat->told_low < o->low;
    }
}

void round_begin(struct order *o)
{
    o->round = 0;
    o->led_since = o->now;
    o->next_beat = base_time_add(o->now, timeout_of(o) / 4);
    for (uint32_t i = 0; i < o->seat_count; i++) {
        o->seat[i].round = 0;
        o->seat[i].answered = (o->yes & (1u << i)) != 0 ? o->now : 0;
    }
    role_set_quorum(o, true);
    beat(o);
}

/* Since when the oldest of the newest majority of answers was asked for (rule 6). */
static base_time quorum_answered(const struct order *o)
{
    uint64_t answered[QUORUM_SEATS_MAX] = {0};

    for (uint32_t i = 0; i < o->seat_count; i++) {
        answered[i] = i == o->self ? o->now : o->seat[i].answered;
    }
    return quorum_value(&o->quorum, answered);
}

/* On a slow link the bytes that wait in the channel may need longer than any fixed time, and each new leader adds some:
 * the time doubles until something gets settled (T08). */
static base_time patience(const struct order *o)
{
    return (base_time)ORDER_STALLED_AFTER * timeout_of(o) << o->stalls;
}

static const char *reason_to_abdicate(struct order *o)
{
    if (base_time_since(o->now, quorum_answered(o)) > timeout_of(o)) {
        return "no majority answers";
    }
    if (o->commit == o->log.last.index) {
        o->moved = o->now;
    }
    if (base_time_since(o->now, o->moved) > patience(o)) {
        o->stalls += o->stalls < ORDER_STALLED_TWICE ? 1 : 0;
        return "no majority acknowledges entries";
    }
    return NULL;
}

void round_expire(struct order *o)
{
    const char *reason;

    if (!order_is_leader(o) || o->now < o->next_beat) {
        return;
    }
    o->next_beat = base_time_add(o->now, timeout_of(o) / 4);
    reason = reason_to_abdicate(o);
    if (reason != NULL) {
        round_abdicate(o, reason);
        return;
    }
    if (durable_age(o) > timeout_of(o) / 2) {
        role_trace(o, "beat withheld", "the disk does not answer", 0, o->round);
        return;
    }
    beat(o);
}

base_time round_deadline(const struct order *o)
{
    return order_is_leader(o) ? o->next_beat : BASE_NEVER;
}

/* A beat of a round that was heard already, or of an abdicated leader, is nothing (G17). */
void round_receive(struct order *o, struct order_seat *seat, const struct message *m)
{
    if (m->beat.round <= o->round || o->is_abdicated) {
        o->dropped_at_door++;
        return;
    }
    o->round = m->beat.round;
    if (o->role == ROLE_PRECANDIDATE) {
        role_move(o, ROLE_FOLLOWER, "the leader lives");
    }
    detector_hear(&o->detector, o->now);
    role_set_leader(o, seat->id);
    role_set_quorum(o, m->beat.has_quorum);
    seat->answer_round = m->beat.round;
    order_slot(seat, MESSAGE_BEAT_ANSWER);
}

void round_receive_answer(struct order *o, struct order_seat *seat, const struct message *m)
{
    uint64_t round = m->answer.round;

    if (!order_is_leader(o) || round <= seat->round || round > o->round) {
        o->dropped_at_door++;
        return;
    }
    seat->round = round;
    if (o->round - round < ORDER_ROUNDS_KEPT) {
        seat->answered = o->round_at[round % ORDER_ROUNDS_KEPT];
    }
}

void round_receive_abdicate(struct order *o, struct order_seat *seat)
{
    if (o->is_abdicated) {
        o->dropped_at_door++;
        return;
    }
    o->is_abdicated = true;
    role_trace(o, "abdication", "the leader leads no more", seat->id, o->log.last.index);
    role_set_leader(o, 0);
    role_set_quorum(o, false);
    if (o->role == ROLE_FOLLOWER) {
        detector_hurry(&o->detector, o->now);
    }
}

void round_abdicate(struct order *o, const char *reason)
{
    if (!order_is_leader(o)) {
        return;
    }
    role_move(o, ROLE_FOLLOWER, reason);
    o->is_abdicated = true;
    o->tells_beat = true; /* the probes say it, too: they still pass when this process closes */
    role_set_leader(o, 0);
    role_set_quorum(o, false);
    detector_rest(&o->detector, o->now);
    for (uint32_t i = 0; i < o->seat_count; i++) {
        o->seat[i].slots = 0;
        order_slot(&o->seat[i], MESSAGE_ABDICATE);
    }
}

void round_link_up(struct order *o, struct order_seat *seat)
{
    if (order_is_leader(o)) {
        order_slot(seat, MESSAGE_BEAT);
    }
}

void round_fill(const struct order *o, const struct order_seat *seat, struct message *m)
{
    if (m->kind == MESSAGE_BEAT) {
        m->beat.round = o->round;
        m->beat.has_quorum = o->has_quorum;
    } else if (m->kind == MESSAGE_BEAT_ANSWER) {
        m->answer.round = seat->answer_round;
    }
}

void round_encode(const struct order *o, uint8_t beat[MESSAGE_BEAT_SIZE])
{
    base_zero(beat, MESSAGE_BEAT_SIZE);
    if (!o->has_beat) {
        return;
    }
    base_put32(beat, o->options.group);
    base_put32(beat + 4, o->options.self);
    base_put64(beat + 8, o->term);
    base_put64(beat + 16, o->round);
    beat[24] = o->is_abdicated ? BEAT_ABDICATES : o->has_quorum ? BEAT_HAS_QUORUM : 0;
}

bool round_decode(const uint8_t beat[MESSAGE_BEAT_SIZE], uint32_t leader, uint32_t group, struct message *m)
{
    uint64_t term = base_get64(beat + 8);

    if (base_get32(beat) != group || base_get32(beat + 4) != leader || term == 0 || term > MESSAGE_TERM_MAX) {
        return false;
    }
    if ((beat[24] & BEAT_ABDICATES) != 0) {
        *m = (struct message){.kind = MESSAGE_ABDICATE, .group = group, .term = term};
        return true;
    }
    *m = (struct message){.kind = MESSAGE_BEAT, .group = group, .term = term};
    m->beat.round = base_get64(beat + 16);
    m->beat.has_quorum = (beat[24] & BEAT_HAS_QUORUM) != 0;
    return true;
}
