/* Entries from the leader to every member: see stream.h. */
#include "membership/stream.h"

#include "membership/role.h"

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What is kept of a link; begins anew with each link (rule 4) and each term (rule 3). */
void stream_reset(struct order *o, struct order_seat *seat)
{
    seat->slots = 0;
    seat->is_asked = false;
    seat->is_synced = false;
    seat->is_followed = false;
    seat->next = 0;
    seat->part = 0;
    seat->told = 0;
    seat->told_low = 0;
    seat->has_news = false;
    seat->ack_sent = 0;
    part_clear(&seat->command, o->options.memory);
}

/* ------------------------------------------------------------------------------------------------ we lead */

void stream_begin(struct order *o)
{
    o->verified = o->log.last.index;
    o->quorum_acked = 0;
    o->moved = o->now;
    for (uint32_t i = 0; i < o->seat_count; i++) {
        order_slot(&o->seat[i], MESSAGE_SYNC_ASK);
    }
}

/* What everybody has may leave the memory. */
static void update_low(struct order *o)
{
    uint64_t low = o->commit;

    for (uint32_t i = 0; i < o->seat_count; i++) {
        low = least(low, o->seat[i].acked);
    }
    if (low > o->low) {
        o->low = low;
    }
}

/* Something got settled that was not the first entry of a term. That one is small and comes with every leader, so it
 * shows nothing: patience ended by it would never grow where larger entries do not pass (T08). */
static void note_settled(struct order *o)
{
    struct log_place before;

    if (log_at(&o->log, o->commit - 1, &before) && before.term == o->term) {
        o->stalls = 0;
    }
}

/* Only entries of our own term are settled by counting; older ones with them (R11, T25). */
static void settle(struct order *o)
{
    uint64_t acked[QUORUM_SEATS_MAX] = {0};
    struct log_place place;
    uint64_t index;

    for (uint32_t i = 0; i < o->seat_count; i++) {
        acked[i] = o->seat[i].acked;
    }
    index = quorum_value(&o->quorum, acked);
    if (index > o->quorum_acked) {
        o->quorum_acked = index;
        o->moved = o->now;
    }
    if (index > o->commit && log_at(&o->log, index, &place) && place.term == o->term) {
        o->commit = index;
        note_settled(o);
    }
    update_low(o);
}

int stream_receive_ack(struct order *o, struct order_seat *seat, const struct message *m)
{
    if (!order_is_leader(o) || m->ack.index <= seat->acked) {
        o->dropped_at_door++;
        return 0;
    }
    if (!seat->is_synced || m->ack.index >= seat->next) {
        return BASE_E_PROTOCOL; /* it cannot have what we have not sent */
    }
    seat->acked = m->ack.index;
    settle(o);
    return 0;
}

static void fill_batch(struct order *o, struct order_seat *seat, struct message *m)
{
    struct log_place prev;
    bool is_known = log_at(&o->log, seat->next - 1, &prev);

    CHECK(is_known);
    m->batch.prev_index = prev.index;
    m->batch.prev_term = prev.term;
    m->batch.prev_hash = prev.hash;
    m->batch.commit = o->commit;
    m->batch.low = o->low;
    m->batch.count = 0;
    m->batch.offset = 0;
    seat->told = o->commit;
    seat->told_low = o->low;
    seat->has_news = false;
}

static void count_sent(struct order_seat *seat, uint64_t count)
{
    uint64_t upto = seat->next + count - 1;
    uint64_t again = seat->sent_upto < seat->next ? 0 : least(seat->sent_upto, upto) - seat->next + 1;

    seat->sent += count;
    seat->repeated += again;
    seat->sent_upto = upto > seat->sent_upto ? upto : seat->sent_upto;
    seat->next += count;
    seat->part = 0;
}

/* A piece of an entry that does not fit: the last, or at least ORDER_PART_MIN bytes. */
static bool pull_part(struct order *o, struct order_seat *seat, size_t room, struct message *m)
{
    struct base_bytes raw = log_raw(&o->log, seat->next);
    size_t left = raw.size - (size_t)seat->part;
    size_t size = left < room ? left : room;

    if (size < left && size < ORDER_PART_MIN) {
        return false;
    }
    fill_batch(o, seat, m);
    m->batch.offset = (uint32_t)seat->part;
    m->body = (struct base_bytes){raw.data + seat->part, size};
    seat->part += size;
    if (seat->part == raw.size) {
        count_sent(seat, 1);
    }
    return true;
}

bool stream_pull(struct order *o, struct order_seat *seat, size_t room, struct message *m)
{
    struct base_bytes body = {NULL, 0};
    uint32_t count = 0;

    if (!order_is_leader(o) || !seat->is_synced) {
        return false;
    }
    room = room < MESSAGE_BODY_MAX ? room : MESSAGE_BODY_MAX;
    if (seat->next <= o->log.last.index) {
        if (seat->part == 0) {
            body = log_range(&o->log, seat->next, o->log.last.index, room, &count);
        }
        if (count == 0) {
            return pull_part(o, seat, room, m);
        }
    } else if (!seat->has_news && seat->told == o->commit) {
        return false;
    }
    fill_batch(o, seat, m);
    m->batch.count = count;
    m->body = body;
    if (count > 0) {
        count_sent(seat, count);
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------ we follow */

uint64_t stream_acked(const struct order *o)
{
    return least(o->verified, o->disk.upto);
}

void stream_durable(struct order *o)
{
    if (order_is_leader(o)) {
        order_own(o)->acked = least(o->disk.upto, o->log.last.index);
        settle(o);
        return;
    }
    if (o->expecting == UINT64_MAX) {
        return; /* on this link nothing was proven yet: the leader could not count it */
    }
    for (uint32_t i = 0; i < o->seat_count; i++) {
        if (o->seat[i].id == o->term_leader && stream_acked(o) > o->seat[i].ack_sent) {
            order_slot(&o->seat[i], MESSAGE_ACK);
        }
    }
}

/* The channel never loses or reorders, so what a batch says about the entry before it must be true here. If not, the
 * contract is broken and nothing can be repaired by guessing. */
static bool continues(struct order *o, const struct message *m)
{
    struct log_place prev;

    if (o->expecting != UINT64_MAX && m->batch.prev_index != o->expecting) {
        role_stop(o, "a batch does not continue the stream");
        return false;
    }
    if (!log_at(&o->log, m->batch.prev_index, &prev) || prev.term != m->batch.prev_term ||
        prev.hash != m->batch.prev_hash) {
        role_stop(o, "the entry before a batch differs from ours");
        return false;
    }
    return true;
}

/* Takes one entry: it is here already, or it replaces a suffix that was never settled, or it is new. */
static int take(struct order *o, struct order_seat *seat, const struct entry *entry, struct base_bytes raw)
{
    struct log_place place;

    if (entry->index <= o->log.last.index) {
        bool is_known = log_at(&o->log, entry->index, &place);

        CHECK(is_known);
        if (place.term == entry->term) {
            if (!base_equal(log_raw(&o->log, entry->index), raw)) {
                role_stop(o, "two entries of one index and term differ");
                return BASE_E_CLOSED;
            }
            seat->received_again++;
            return 0;
        }
        if (entry->index <= o->commit || entry->index <= o->verified) {
            role_stop(o, entry->index <= o->commit ? "a leader would replace a settled entry"
                                                   : "a leader would replace an entry of its own stream");
            return BASE_E_CLOSED;
        }
        role_trace(o, "truncated", "entries of an older term that were never settled", seat->id, entry->index - 1);
        log_truncate(&o->log, entry->index - 1);
        durable_truncate(o, entry->index - 1);
    }
    if (log_append_raw(&o->log, entry, raw) < 0) {
        return BASE_E_NOMEM;
    }
    seat->pulled++;
    return 0;
}

static bool fits(const struct order *o, const struct entry *entry, struct log_place prev)
{
    return entry->index == prev.index + 1 && entry->term >= prev.term && entry->term <= o->term &&
           entry->group == o->options.group;
}

/* Takes the whole entries of a body. *at is the last one taken. */
static int take_all(struct order *o, struct order_seat *seat, struct base_bytes body, uint32_t count,
                    struct log_place *at)
{
    for (uint32_t i = 0; i < count; i++) {
        struct entry entry;
        size_t size;
        int status;

        if (entry_parse(body, &entry, &size) < 0 || !fits(o, &entry, *at)) {
            return BASE_E_PROTOCOL;
        }
        status = take(o, seat, &entry, (struct base_bytes){body.data, size});
        if (status < 0) {
            return status;
        }
        at->index = entry.index;
        at->term = entry.term;
        body = (struct base_bytes){body.data + size, body.size - size};
    }
    return body.size == 0 ? 0 : BASE_E_PROTOCOL;
}

static int take_body(struct order *o, struct order_seat *seat, const struct message *m, struct log_place *at)
{
    struct base_bytes whole;
    int status;

    if (m->batch.count > 0) {
        return take_all(o, seat, m->body, m->batch.count, at);
    }
    if (m->body.size == 0) {
        return 0;
    }
    status = part_add(&o->entry, o->options.memory, m->batch.offset, m->body);
    whole = part_whole(&o->entry);
    if (status < 0 || whole.size == 0) {
        return status;
    }
    status = take_all(o, seat, whole, 1, at);
    part_clear(&o->entry, o->options.memory);
    return status;
}

/* Rule 1: whatever is said about commit, it holds here only for what this term's stream has verified. */
static void learn(struct order *o, const struct message *m, uint64_t upto)
{
    o->expecting = upto;
    o->verified = upto > o->verified ? upto : o->verified;
    o->heard = m->batch.commit > o->heard ? m->batch.commit : o->heard;
    if (least(o->heard, o->verified) > o->commit) {
        o->commit = least(o->heard, o->verified);
        note_settled(o);
    }
    if (least(m->batch.low, o->commit) > o->low) {
        o->low = least(m->batch.low, o->commit);
    }
}

int stream_receive(struct order *o, struct order_seat *seat, const struct message *m)
{
    struct log_place at = {m->batch.prev_index, m->batch.prev_term, 0};
    int status;

    if (!seat->is_followed) {
        return BASE_E_PROTOCOL;
    }
    if (!continues(o, m)) {
        return BASE_E_CLOSED;
    }
    status = take_body(o, seat, m, &at);
    if (status < 0) {
        return status;
    }
    learn(o, m, at.index);
    stream_durable(o);
    return 0;
}
