/* Who leads: see election.h. */
#include "membership/election.h"

#include "membership/forward.h"
#include "membership/role.h"
#include "membership/round.h"
#include "membership/stream.h"

/* Questions that a new attempt, or its end, makes void. */
#define ASKS (1u << MESSAGE_PREVOTE_ASK | 1u << MESSAGE_VOTE_ASK)

static void stand(struct order *o);

static void ask_all(struct order *o, enum message_kind kind)
{
    for (uint32_t i = 0; i < o->seat_count; i++) {
        o->seat[i].slots &= ~ASKS;
        if (i != o->self && (o->quorum.voters & (1u << i)) != 0) {
            order_slot(&o->seat[i], kind);
        }
    }
}

/* Starts counting anew. Answers to earlier questions carry another attempt and count for nothing (T34, G17). */
static void count_anew(struct order *o)
{
    o->attempt++;
    o->yes = 0;
    o->no = 0;
    o->candidacy = base_time_add(o->now, o->options.election_timeout / 2 +
                                             base_rng_below(&o->rng, o->options.election_timeout / 2 + 1));
}

/* The first question changes no term anywhere, so a member that is cut off disturbs nobody when it returns (T30). */
static void suspect(struct order *o, const char *reason)
{
    role_set_leader(o, 0);
    role_set_quorum(o, false);
    if (o->is_retired || (o->quorum.voters & (1u << o->self)) == 0) {
        detector_wait(&o->detector, o->now);
        return;
    }
    role_move(o, ROLE_PRECANDIDATE, reason);
    count_anew(o);
    o->yes = 1u << o->self;
    ask_all(o, MESSAGE_PREVOTE_ASK);
    if (quorum_won(&o->quorum, o->yes)) {
        stand(o);
    }
}

/* A majority would vote for us: now the term rises. Our own vote counts when it is durable. */
static void stand(struct order *o)
{
    role_begin_term(o, o->term + 1, o->options.self);
    role_move(o, ROLE_CANDIDATE, "a majority would grant its vote");
    count_anew(o);
    o->elections++;
    ask_all(o, MESSAGE_VOTE_ASK);
}

static void lead(struct order *o)
{
    const struct entry first = {
        .index = o->log.last.index + 1, .term = o->term, .kind = ENTRY_NOOP, .group = o->options.group};

    if (log_append(&o->log, &first) < 0) {
        role_move(o, ROLE_FOLLOWER, "no memory for the first entry of the term");
        o->term_leader = o->options.self;
        o->is_abdicated = true;
        detector_rest(&o->detector, o->now);
        return;
    }
    role_move(o, ROLE_LEADER, "a majority granted its vote");
    for (uint32_t i = 0; i < o->seat_count; i++) {
        o->seat[i].slots &= ~ASKS;
    }
    o->term_leader = o->options.self;
    role_set_leader(o, o->options.self);
    stream_begin(o);
    round_begin(o);
    forward_begin(o);
}

static void count(struct order *o)
{
    if (!quorum_won(&o->quorum, o->yes)) {
        return;
    }
    if (o->role == ROLE_PRECANDIDATE) {
        stand(o);
    } else if (o->role == ROLE_CANDIDATE) {
        lead(o);
    }
}

bool election_is_bound(const struct order *o)
{
    if (order_is_leader(o)) {
        return o->has_quorum;
    }
    return detector_hears(&o->detector, o->now);
}

/* A log that is behind ours cannot hold everything that is settled (R4, T27). */
static bool is_complete(const struct order *o, const struct message *m)
{
    if (m->ask.last_term != o->log.last.term) {
        return m->ask.last_term > o->log.last.term;
    }
    return m->ask.last_index >= o->log.last.index;
}

/* One vote a term, and the same answer to the same asker (R12). */
static bool may_vote(const struct order *o, const struct order_seat *seat, const struct message *m)
{
    if (m->ask.term != o->term) {
        return false;
    }
    if (o->vote != 0) {
        return o->vote == seat->id;
    }
    return o->term_leader == 0 && is_complete(o, m);
}

static void answer_vote(struct order *o, struct order_seat *seat, const struct message *m)
{
    bool granted = may_vote(o, seat, m);

    if (granted && o->vote == 0) {
        o->vote = seat->id;
        if (o->role == ROLE_PRECANDIDATE) {
            role_move(o, ROLE_FOLLOWER, "another stands and has our vote");
        }
        detector_wait(&o->detector, o->now);
    }
    seat->vote_term = m->ask.term;
    seat->vote_attempt = m->ask.attempt;
    seat->vote_granted = granted;
    order_slot(seat, MESSAGE_VOTE);
}

void election_receive_ask(struct order *o, struct order_seat *seat, const struct message *m)
{
    if (m->kind == MESSAGE_VOTE_ASK) {
        answer_vote(o, seat, m);
        return;
    }
    seat->prevote_term = m->ask.term;
    seat->prevote_attempt = m->ask.attempt;
    seat->prevote_granted = m->ask.term > o->term && !election_is_bound(o) && is_complete(o, m);
    order_slot(seat, MESSAGE_PREVOTE);
}

void election_receive_vote(struct order *o, struct order_seat *seat, const struct message *m)
{
    bool is_pre = m->kind == MESSAGE_PREVOTE;

    if (o->role != (is_pre ? ROLE_PRECANDIDATE : ROLE_CANDIDATE) || m->vote.attempt != o->attempt ||
        m->vote.term != o->term + (is_pre ? 1 : 0)) {
        o->dropped_at_door++;
        return;
    }
    if (m->vote.granted) {
        o->yes |= order_bit(o, seat);
    } else {
        o->no |= order_bit(o, seat);
    }
    count(o);
}

void election_expire(struct order *o)
{
    if (o->role == ROLE_FOLLOWER && detector_expire(&o->detector, o->now)) {
        suspect(o, "no beat of a leader in time");
    } else if ((o->role == ROLE_PRECANDIDATE || o->role == ROLE_CANDIDATE) && o->now >= o->candidacy) {
        suspect(o, "no majority answered in time");
    }
}

base_time election_deadline(const struct order *o)
{
    switch ((enum role)o->role) {
    case ROLE_FOLLOWER:
        return o->detector.deadline;
    case ROLE_PRECANDIDATE:
    case ROLE_CANDIDATE:
        return o->candidacy;
    case ROLE_LEADER:
    case ROLE_STOPPED:
        break;
    }
    return BASE_NEVER;
}

void election_durable(struct order *o)
{
    if (o->role == ROLE_CANDIDATE && o->disk.term == o->term && o->disk.vote == o->vote) {
        o->yes |= 1u << o->self;
        count(o);
    }
}

void election_link_up(struct order *o, struct order_seat *seat)
{
    if (((o->yes | o->no) & order_bit(o, seat)) != 0 || (o->quorum.voters & order_bit(o, seat)) == 0) {
        return;
    }
    if (o->role == ROLE_PRECANDIDATE) {
        order_slot(seat, MESSAGE_PREVOTE_ASK);
    } else if (o->role == ROLE_CANDIDATE) {
        order_slot(seat, MESSAGE_VOTE_ASK);
    }
}

bool election_may_send(const struct order *o, const struct order_seat *seat, enum message_kind kind)
{
    if (kind == MESSAGE_VOTE_ASK || (kind == MESSAGE_VOTE && seat->vote_granted)) {
        return o->disk.term == o->term && o->disk.vote == o->vote;
    }
    return true;
}

/* The log that is claimed is the durable one (T13). */
static void fill_ask(const struct order *o, struct message *m)
{
    struct log_place place = o->log.last;

    if (o->disk.upto < place.index) {
        bool is_known = log_at(&o->log, o->disk.upto, &place);

        CHECK(is_known);
    }
    m->ask.term = o->term + (m->kind == MESSAGE_PREVOTE_ASK ? 1 : 0);
    m->ask.last_index = place.index;
    m->ask.last_term = place.term;
    m->ask.attempt = o->attempt;
}

void election_fill(const struct order *o, const struct order_seat *seat, struct message *m)
{
    if (m->kind == MESSAGE_PREVOTE_ASK || m->kind == MESSAGE_VOTE_ASK) {
        fill_ask(o, m);
    } else if (m->kind == MESSAGE_PREVOTE) {
        m->vote.term = seat->prevote_term;
        m->vote.attempt = seat->prevote_attempt;
        m->vote.granted = seat->prevote_granted;
    } else {
        m->vote.term = seat->vote_term;
        m->vote.attempt = seat->vote_attempt;
        m->vote.granted = seat->vote_granted;
    }
}
