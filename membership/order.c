/* The core of the layer: state and dispatch. See order.h; one concern each stands in election.c, sync.c, stream.c,
 * round.c, forward.c, durable.c, deliver.c. */
#include "membership/election.h"
#include "membership/forward.h"
#include "membership/order_state.h"
#include "membership/role.h"
#include "membership/round.h"
#include "membership/stream.h"
#include "membership/sync.h"

#define LEAST_TIMEOUT BASE_MS(1)

/* ------------------------------------------------------------------------------------------------ invariants */

static void check_leader(const struct order *o)
{
    CHECK(o->term_leader == o->options.self);
    CHECK(o->vote == o->options.self);
    CHECK(o->verified == o->log.last.index);
    for (uint32_t i = 0; i < o->seat_count; i++) {
        const struct order_seat *seat = &o->seat[i];

        CHECK(seat->acked <= o->log.last.index);
        CHECK(!seat->is_synced || seat->acked < seat->next);
        CHECK(!seat->is_synced || (seat->next > o->log.base.index && seat->next <= o->log.last.index + 1));
    }
}

/* Runs at the end of every public entry, in release, too. */
static void check(struct order *o)
{
    CHECK(o->log.base.index <= o->delivered);
    CHECK(o->delivered <= o->commit);
    CHECK(o->commit <= o->log.last.index);
    CHECK(o->low <= o->commit);
    CHECK(o->delivered <= o->disk.upto); /* R18 */
    CHECK(o->disk.upto <= o->disk.asked_upto);
    CHECK(o->disk.asked_upto <= o->log.last.index);
    CHECK(o->disk.term <= o->term);
    CHECK(o->log.last.term <= o->term);
    CHECK(o->verified <= o->log.last.index);
    CHECK(o->pending_done <= o->pending.last.index);
    CHECK(o->forward_next > o->pending_done);
    CHECK(o->term >= o->checked_term); /* R10 */
    CHECK(o->commit >= o->checked_commit);
    CHECK(o->term != o->checked_term || o->checked_vote == 0 || o->vote == o->checked_vote); /* R12 */
    if (order_is_leader(o)) {
        check_leader(o);
    }
    o->checked_term = o->term;
    o->checked_vote = o->vote;
    o->checked_commit = o->commit;
}

static void turn(struct order *o, base_time now)
{
    o->now = base_time_max(o->now, now);
}

void order_trim(struct order *o)
{
    size_t before = o->log.bytes;

    log_drop(&o->log, o->low < o->delivered ? o->low : o->delivered);
    if (o->log.bytes < before) {
        forward_pump(o);
    }
}

/* ------------------------------------------------------------------------------------------------ opening */

void order_options_default(struct order_options *o)
{
    *o = (struct order_options){.memory = base_memory_libc(),
                                .election_timeout = BASE_MS(600),
                                .log_bytes_max = (size_t)256 << 20,
                                .pending_max = 65536,
                                .pending_bytes_max = (size_t)64 << 20};
}

static bool are_good(const struct order_options *options)
{
    return options->memory != NULL && options->self != 0 && options->incarnation != 0 && options->pending_max > 0 &&
           options->election_timeout >= LEAST_TIMEOUT;
}

/* The entries of a former life are durable; what of them is settled the next leader tells. */
static int restore(struct order *o, const struct order_image *image)
{
    struct base_bytes left = image->entries;

    log_init(&o->log, o->options.memory, (struct log_place){image->base_index, image->base_term, image->base_hash},
             true);
    while (left.size > 0) {
        struct entry entry;
        size_t size;

        if (entry_parse(left, &entry, &size) < 0 || entry.index != o->log.last.index + 1 ||
            entry.term < o->log.last.term || entry.term > image->term) {
            return BASE_E_PROTOCOL;
        }
        if (log_append_raw(&o->log, &entry, (struct base_bytes){left.data, size}) < 0) {
            return BASE_E_NOMEM;
        }
        left = (struct base_bytes){left.data + size, left.size - size};
    }
    o->term = image->term;
    o->vote = image->vote;
    o->disk = (struct order_disk){.term = image->term,
                                  .vote = image->vote,
                                  .upto = o->log.last.index,
                                  .asked_term = image->term,
                                  .asked_vote = image->vote,
                                  .asked_upto = o->log.last.index};
    o->commit = image->base_index;
    o->delivered = image->base_index;
    o->low = image->base_index;
    return 0;
}

int order_open(const struct order_options *options, const struct order_image *image, base_time now,
               struct order **ret_order)
{
    struct order *o;
    int status;

    if (!are_good(options)) {
        return BASE_E_INVALID;
    }
    o = base_memory_new(options->memory, 1, sizeof *o);
    if (o == NULL) {
        return BASE_E_NOMEM;
    }
    o->options = *options;
    o->role = ROLE_FOLLOWER;
    o->now = now;
    o->leaderless = now;
    o->quorum_since = now;
    o->expecting = UINT64_MAX;
    o->forward_next = 1;
    base_rng_init(&o->rng, options->seed);
    detector_init(&o->detector, options->election_timeout, &o->rng);
    log_init(&o->pending, options->memory, (struct log_place){0}, false);
    status = restore(o, image);
    if (status < 0) {
        order_close(o);
        return status;
    }
    check(o);
    *ret_order = o;
    return 0;
}

void order_close(struct order *o)
{
    if (o == NULL) {
        return;
    }
    for (uint32_t i = 0; i < o->seat_count; i++) {
        part_clear(&o->seat[i].command, o->options.memory);
    }
    part_clear(&o->entry, o->options.memory);
    log_deinit(&o->log);
    log_deinit(&o->pending);
    group_view_release(o->view);
    base_memory_free(o->options.memory, o);
}

static bool is_ours(const struct order *o, const struct group_view *view)
{
    const struct group_member *self = view_find(view, o->options.self);

    return self != NULL && self->role == GROUP_VOTER && self->incarnation == o->options.incarnation;
}

int order_install(struct order *o, const struct group_view *view, base_time now)
{
    if (o->view != NULL) {
        return BASE_E_EXISTS;
    }
    if (view_check(view) < 0 || !is_ours(o, view)) {
        return BASE_E_INVALID;
    }
    o->view = view_new(o->options.memory, view);
    if (o->view == NULL) {
        return BASE_E_NOMEM;
    }
    turn(o, now);
    o->quorum.voters = view_voters(view);
    o->seat_count = view->count;
    o->self = view_seat(view, o->options.self);
    for (uint32_t i = 0; i < view->count; i++) {
        o->seat[i].id = view->member[i].id;
        o->seat[i].incarnation = view->member[i].incarnation;
        o->seat[i].is_self = i == o->self;
    }
    o->leaderless = o->now;
    detector_begin(&o->detector, o->now);
    check(o);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ links */

/* Another member's seat, or NULL. */
static struct order_seat *seat_of(struct order *o, uint32_t member)
{
    uint32_t seat = o->view == NULL ? GROUP_MEMBERS_MAX : view_seat(o->view, member);

    return seat == GROUP_MEMBERS_MAX || seat == o->self ? NULL : &o->seat[seat];
}

/* Rule 4: nothing of the old link counts on a new one. What was acknowledged in this term stays true: the hello showed
 * the same incarnation. */
static void unlink(struct order *o, struct order_seat *seat)
{
    stream_reset(o, seat);
    seat->is_linked = false;
    if (o->term_leader == seat->id) {
        o->expecting = UINT64_MAX;
        part_clear(&o->entry, o->options.memory);
    }
}

void order_link_up(struct order *o, uint32_t member, base_time now)
{
    struct order_seat *seat = seat_of(o, member);

    turn(o, now);
    if (seat == NULL || o->role == ROLE_STOPPED) {
        return;
    }
    unlink(o, seat);
    seat->is_linked = true;
    seat->links++;
    if (order_is_leader(o)) {
        order_slot(seat, MESSAGE_SYNC_ASK);
    }
    round_link_up(o, seat);
    election_link_up(o, seat);
    check(o);
}

void order_link_down(struct order *o, uint32_t member, base_time now)
{
    struct order_seat *seat = seat_of(o, member);

    turn(o, now);
    if (seat != NULL && o->role != ROLE_STOPPED) {
        unlink(o, seat);
        check(o);
    }
}

/* ------------------------------------------------------------------------------------------------ receiving */

/* Only the leader of a term says these. */
static bool is_of_leader(enum message_kind kind)
{
    return kind == MESSAGE_BEAT || kind == MESSAGE_ABDICATE || kind == MESSAGE_FORWARD_ASK ||
           kind == MESSAGE_SYNC_ASK || kind == MESSAGE_BATCH;
}

/* An old leader or candidate that asks for something learns of the newer term; everything old is dropped here: a
 * channel that never loses delivers it late (G17). */
static void drop_old(struct order *o, struct order_seat *seat, const struct message *m)
{
    o->dropped_at_door++;
    if (m->kind == MESSAGE_PREVOTE_ASK) {
        election_receive_ask(o, seat, m);
    } else if (m->kind == MESSAGE_PREVOTE) {
        election_receive_vote(o, seat, m); /* who grants need not have seen our term: the attempt tells what is meant */
    } else if ((is_of_leader(m->kind) || m->kind == MESSAGE_VOTE_ASK) && seat->id != o->term_leader) {
        seat->answer_round = 0;
        order_slot(seat, MESSAGE_BEAT_ANSWER);
    }
}

static int dispatch(struct order *o, struct order_seat *seat, const struct message *m)
{
    switch (m->kind) {
    case MESSAGE_PREVOTE_ASK:
    case MESSAGE_VOTE_ASK:
        election_receive_ask(o, seat, m);
        return 0;
    case MESSAGE_PREVOTE:
    case MESSAGE_VOTE:
        election_receive_vote(o, seat, m);
        return 0;
    case MESSAGE_BEAT:
        round_receive(o, seat, m);
        return 0;
    case MESSAGE_BEAT_ANSWER:
        round_receive_answer(o, seat, m);
        return 0;
    case MESSAGE_ABDICATE:
        round_receive_abdicate(o, seat);
        return 0;
    case MESSAGE_ACK:
        return stream_receive_ack(o, seat, m);
    case MESSAGE_FORWARD_ASK:
        forward_receive_ask(o, seat, m);
        return 0;
    case MESSAGE_SYNC_ASK:
        return sync_receive_ask(o, seat);
    case MESSAGE_SYNC:
        return sync_receive(o, seat, m);
    case MESSAGE_BATCH:
        return stream_receive(o, seat, m);
    case MESSAGE_FORWARD:
        return forward_receive(o, seat, m);
    }
    return BASE_E_PROTOCOL;
}

/* The door: terms first (rule 3), then who may say what. */
static int enter(struct order *o, struct order_seat *seat, const struct message *m)
{
    if (m->term < o->term) {
        drop_old(o, seat, m);
        return 0;
    }
    if (m->term > o->term && m->kind != MESSAGE_PREVOTE_ASK) {
        if (m->kind == MESSAGE_VOTE_ASK && election_is_bound(o)) {
            o->dropped_at_door++;
            return 0;
        }
        role_step(o, m->term, "a newer term was seen");
    }
    if (is_of_leader(m->kind) && !role_follow(o, seat)) {
        return BASE_E_CLOSED;
    }
    return dispatch(o, seat, m);
}

static bool is_sane(const struct order *o, enum message_lane lane, const struct message *m)
{
    if (m->kind < MESSAGE_PREVOTE_ASK || m->kind > MESSAGE_KIND_MAX || message_lane(m->kind) != lane) {
        return false;
    }
    return m->group == o->options.group && m->term <= MESSAGE_TERM_MAX && m->body.size <= MESSAGE_BODY_MAX;
}

int order_receive(struct order *o, uint32_t member, enum message_lane lane, const struct message *message,
                  base_time now)
{
    struct order_seat *seat = seat_of(o, member);
    int status;

    turn(o, now);
    if (o->role == ROLE_STOPPED) {
        return BASE_E_CLOSED;
    }
    if (seat == NULL || !seat->is_linked || !is_sane(o, lane, message)) {
        return BASE_E_PROTOCOL;
    }
    status = enter(o, seat, message);
    order_trim(o);
    check(o);
    return status;
}

void order_beat(struct order *o, uint32_t member, const uint8_t beat[MESSAGE_BEAT_SIZE], base_time now)
{
    struct order_seat *seat = seat_of(o, member);
    struct message m;

    turn(o, now);
    if (o->role == ROLE_STOPPED || seat == NULL || !seat->is_linked ||
        !round_decode(beat, member, o->options.group, &m)) {
        return;
    }
    (void)enter(o, seat, &m); /* a beat has no outcome of its own; a stop shows as an effect */
    check(o);
}

/* ------------------------------------------------------------------------------------------------ other verbs */

static bool has_no_leader(const struct order *o)
{
    return o->leader == 0 && base_time_since(o->now, o->leaderless) > ORDER_NOLEADER_AFTER;
}

int order_submit(struct order *o, struct base_bytes data, base_time now, uint64_t *ret_number)
{
    int status;

    turn(o, now);
    if (o->role == ROLE_STOPPED) {
        return BASE_E_CLOSED;
    }
    if (data.size > GROUP_MESSAGE_MAX) {
        return BASE_E_RANGE;
    }
    if (has_no_leader(o)) {
        return BASE_E_NOLEADER;
    }
    status = forward_submit(o, data, ret_number);
    check(o);
    return status;
}

void order_durable(struct order *o, uint64_t number, base_time now)
{
    turn(o, now);
    if (o->role == ROLE_STOPPED) {
        return;
    }
    durable_done(o, number);
    election_durable(o);
    stream_durable(o);
    check(o);
}

void order_expire(struct order *o, base_time now)
{
    turn(o, now);
    if (o->view == NULL || o->role == ROLE_STOPPED) {
        return;
    }
    round_expire(o);
    election_expire(o);
    order_trim(o);
    check(o);
}

base_time order_deadline(const struct order *o)
{
    if (o->view == NULL) {
        return BASE_NEVER;
    }
    return base_time_min(election_deadline(o), round_deadline(o));
}

void order_abdicate(struct order *o, base_time now)
{
    turn(o, now);
    if (o->view == NULL || o->role == ROLE_STOPPED) {
        return;
    }
    o->is_retired = true;
    round_abdicate(o, "asked to lead no more");
    if (o->role != ROLE_FOLLOWER) {
        role_move(o, ROLE_FOLLOWER, "asked to stand no more");
        detector_wait(&o->detector, o->now);
    }
    check(o);
}

/* ------------------------------------------------------------------------------------------------ effects */

static bool take_flag(bool *flag)
{
    bool was = *flag;

    *flag = false;
    return was;
}

static bool poll_hints(struct order *o, struct order_effect *e)
{
    if (take_flag(&o->tells_leader)) {
        e->kind = ORDER_LEADER;
        e->leader.member = o->leader;
        e->leader.term = o->term;
        return true;
    }
    if (take_flag(&o->tells_quorum)) {
        e->kind = ORDER_QUORUM;
        e->quorum.has_quorum = o->has_quorum;
        e->quorum.since = o->quorum_since;
        return true;
    }
    if (o->is_wanted && forward_has_room(o, o->wanted_size)) {
        o->is_wanted = false;
        e->kind = ORDER_WRITABLE;
        return true;
    }
    return false;
}

bool order_poll(struct order *o, struct order_effect *ret_effect)
{
    *ret_effect = (struct order_effect){0};
    if (take_flag(&o->tells_stop)) {
        ret_effect->kind = ORDER_STOP;
        ret_effect->stop.reason = o->stop_reason;
        return true;
    }
    if (o->role != ROLE_STOPPED && durable_poll(o, ret_effect)) {
        return true;
    }
    if (o->tells_beat && (!o->has_beat || o->disk.term == o->term)) {
        o->tells_beat = false;
        ret_effect->kind = ORDER_BEAT;
        round_encode(o, ret_effect->beat);
        return true;
    }
    return poll_hints(o, ret_effect);
}

struct base_bytes order_entries(const struct order *o, uint64_t first, uint64_t upto, uint32_t *ret_count)
{
    return log_range(&o->log, first, upto, SIZE_MAX, ret_count);
}

bool order_deliver(struct order *o, struct group_delivery *ret_delivery)
{
    bool is_given;

    if (o->role == ROLE_STOPPED) {
        return false;
    }
    order_trim(o);
    is_given = deliver_next(o, ret_delivery);
    check(o);
    return is_given;
}

/* ------------------------------------------------------------------------------------------------ sending */

static void fill(struct order *o, struct order_seat *seat, struct message *m)
{
    switch (m->kind) {
    case MESSAGE_PREVOTE_ASK:
    case MESSAGE_PREVOTE:
    case MESSAGE_VOTE_ASK:
    case MESSAGE_VOTE:
        election_fill(o, seat, m);
        break;
    case MESSAGE_BEAT:
    case MESSAGE_BEAT_ANSWER:
    case MESSAGE_ABDICATE:
        round_fill(o, seat, m);
        break;
    case MESSAGE_ACK:
        m->ack.index = stream_acked(o);
        seat->ack_sent = m->ack.index;
        break;
    case MESSAGE_FORWARD_ASK:
        forward_fill_ask(seat, m);
        break;
    case MESSAGE_SYNC_ASK:
        seat->is_asked = true;
        break;
    case MESSAGE_SYNC:
        sync_fill(o, m);
        break;
    case MESSAGE_BATCH:
    case MESSAGE_FORWARD:
        break;
    }
}

/* The first message that waits in a slot of this lane and may be said. */
static bool pull_slot(struct order *o, struct order_seat *seat, enum message_lane lane, struct message *m)
{
    if (seat->slots == 0) {
        return false;
    }
    for (enum message_kind kind = MESSAGE_PREVOTE_ASK; kind <= MESSAGE_SYNC; kind++) {
        uint32_t bit = 1u << kind;

        if ((seat->slots & bit) != 0 && message_lane(kind) == lane && election_may_send(o, seat, kind)) {
            seat->slots &= ~bit;
            m->kind = kind;
            fill(o, seat, m);
            return true;
        }
    }
    return false;
}

bool order_pull(struct order *o, uint32_t member, enum message_lane lane, size_t room, struct message *ret_message)
{
    struct order_seat *seat = seat_of(o, member);
    bool is_given;

    /* R8: whatever is said is said in this term, so the term must be durable */
    if (seat == NULL || !seat->is_linked || o->role == ROLE_STOPPED || o->disk.term != o->term) {
        return false;
    }
    *ret_message = (struct message){.group = o->options.group, .term = o->term};
    is_given = pull_slot(o, seat, lane, ret_message);
    if (!is_given && lane == LANE_BULK) {
        ret_message->kind = MESSAGE_BATCH;
        is_given = stream_pull(o, seat, room, ret_message);
    }
    if (!is_given && lane == LANE_BULK) {
        ret_message->kind = MESSAGE_FORWARD;
        is_given = forward_pull(o, seat, room, ret_message);
    }
    check(o);
    return is_given;
}

/* ------------------------------------------------------------------------------------------------ questions */

static void member_stats(const struct order *o, uint32_t i, struct group_member_stats *m)
{
    const struct order_seat *seat = &o->seat[i];

    m->id = seat->id;
    m->link_up = seat->is_linked || seat->is_self;
    m->is_leader = seat->id == o->leader;
    m->acked = seat->is_self ? o->disk.upto : seat->acked;
    m->behind = seat->is_self || order_is_leader(o) ? o->log.last.index - m->acked : 0;
    m->entries_sent = seat->sent;
    m->entries_repeated = seat->repeated;
    m->entries_pulled = seat->pulled;
    m->entries_received_again = seat->received_again;
    m->links = seat->links;
}

void order_stats(const struct order *o, struct group_stats *ret_stats)
{
    *ret_stats = (struct group_stats){.self = o->options.self,
                                      .leader = o->leader,
                                      .term = o->term,
                                      .last = o->log.last.index,
                                      .commit = o->commit,
                                      .delivered = o->delivered,
                                      .views = o->view == NULL ? 0 : 1,
                                      .elections = o->elections,
                                      .log_bytes = o->log.bytes,
                                      .pending = o->pending.last.index - o->pending_done,
                                      .has_quorum = o->has_quorum,
                                      .count = o->seat_count};
    for (uint32_t i = 0; i < o->seat_count; i++) {
        member_stats(o, i, &ret_stats->member[i]);
    }
}

const char *order_role(const struct order *o)
{
    return role_name(o);
}

uint32_t order_slowest(const struct order *o)
{
    const struct order_seat *slowest = NULL;

    for (uint32_t i = 0; order_is_leader(o) && i < o->seat_count; i++) {
        const struct order_seat *seat = &o->seat[i];

        if (!seat->is_self && (slowest == NULL || seat->acked < slowest->acked)) {
            slowest = seat;
        }
    }
    return slowest == NULL || slowest->acked == o->log.last.index ? 0 : slowest->id;
}

const struct group_view *order_view(const struct order *o)
{
    return o->view;
}
