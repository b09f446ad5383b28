/* One order core alone: see one.h. */
#include "tests/unit/membership/one.h"

#include "rtcp/base/check.h"

#include <stdio.h>
#include <string.h>

void one_prepare(struct one *one, uint32_t count)
{
    *one = (struct one){.now = BASE_S(50)};
    order_options_default(&one->options);
    one->options.self = 1;
    one->options.incarnation = ONE_INCARNATION(1);
    one->options.group = ONE_GROUP;
    one->options.election_timeout = ONE_T;
    one->options.seed = 4711;
    one->view = (struct group_view){.id = 1, .instance = 8, .count = count};
    for (uint32_t id = 1; id <= count; id++) {
        one->view.member[id - 1] =
            (struct group_member){.id = id, .role = GROUP_VOTER, .incarnation = ONE_INCARNATION(id)};
    }
    log_init(&one->log, base_memory_libc(), (struct log_place){0}, true);
}

void one_start(struct one *one, const struct order_image *image)
{
    int status = order_open(&one->options, image, one->now, &one->order);

    CHECK(status == 0);
    status = order_install(one->order, &one->view, one->now);
    CHECK(status == 0);
    for (uint32_t id = 2; id <= one->view.count; id++) {
        order_link_up(one->order, id, one->now);
    }
}

void one_open(struct one *one, uint32_t count)
{
    struct order_image image = order_image_fresh();

    one_prepare(one, count);
    one_start(one, &image);
}

void one_close(struct one *one)
{
    order_close(one->order);
    log_deinit(&one->log);
}

static void persist(struct one *one, const struct order_effect *e)
{
    one->persist = e->persist.number;
    one->persist_first = e->persist.first;
    one->persist_upto = e->persist.upto;
    one->persist_term = e->persist.term;
    one->persist_vote = e->persist.vote;
    if (!one->is_disk_slow) {
        order_durable(one->order, e->persist.number, one->now);
    }
}

void one_turn(struct one *one)
{
    struct order_effect e;

    while (order_poll(one->order, &e)) {
        switch (e.kind) {
        case ORDER_PERSIST:
            persist(one, &e);
            break;
        case ORDER_BEAT:
            one->beats++;
            base_copy(one->beat, e.beat, MESSAGE_BEAT_SIZE);
            break;
        case ORDER_LEADER:
            one->leader = e.leader.member;
            break;
        case ORDER_QUORUM:
            one->has_quorum = e.quorum.has_quorum;
            break;
        case ORDER_WRITABLE:
            one->writable++;
            break;
        case ORDER_STOP:
            one->stopped = e.stop.reason;
            break;
        }
    }
}

void one_pass(struct one *one, base_time duration)
{
    base_time end = one->now + duration;

    while (order_deadline(one->order) <= end) {
        one->now = base_time_max(one->now, order_deadline(one->order));
        order_expire(one->order, one->now);
        one_turn(one);
    }
    one->now = end;
}

int one_give(struct one *one, uint32_t from, const struct message *m)
{
    int status = order_receive(one->order, from, message_lane(m->kind), m, one->now);

    one_turn(one);
    return status;
}

bool one_pull(struct one *one, uint32_t to, enum message_kind kind, struct message *ret_message)
{
    struct message m;

    while (order_pull(one->order, to, message_lane(kind), MESSAGE_BODY_MAX, &m)) {
        if (m.kind == kind) {
            base_copy(one->body, m.body.data, m.body.size);
            m.body.data = one->body;
            *ret_message = m;
            return true;
        }
    }
    return false;
}

void one_drain(struct one *one, uint32_t to)
{
    struct message m;

    while (order_pull(one->order, to, LANE_VOTES, 0, &m) ||
           order_pull(one->order, to, LANE_BULK, MESSAGE_BODY_MAX, &m)) {
    }
}

struct message one_message(enum message_kind kind, uint64_t term)
{
    return (struct message){.kind = kind, .group = ONE_GROUP, .term = term};
}

struct message one_ask(enum message_kind kind, uint64_t sender_term, uint64_t term, uint64_t last_index,
                       uint64_t last_term)
{
    struct message m = one_message(kind, sender_term);

    m.ask.term = term;
    m.ask.last_index = last_index;
    m.ask.last_term = last_term;
    m.ask.attempt = 77;
    return m;
}

struct message one_beat(uint64_t term, uint64_t round)
{
    struct message m = one_message(MESSAGE_BEAT, term);

    m.beat.round = round;
    m.beat.has_quorum = true;
    return m;
}

struct message one_ack(uint64_t term, uint64_t index)
{
    struct message m = one_message(MESSAGE_ACK, term);

    m.ack.index = index;
    return m;
}

void one_write(struct one *one, uint64_t term, const char *text)
{
    struct entry entry = {.index = one->log.last.index + 1,
                          .term = term,
                          .kind = ENTRY_DATA,
                          .group = ONE_GROUP,
                          .origin = 2,
                          .incarnation = ONE_INCARNATION(2),
                          .number = one->log.last.index + 1,
                          .data = {(const uint8_t *)text, strlen(text)}};
    int status = log_append(&one->log, &entry);

    CHECK(status == 0);
}

struct message one_batch(struct one *one, uint64_t term, uint64_t prev, uint64_t commit)
{
    struct message m = one_message(MESSAGE_BATCH, term);
    struct log_place place;
    bool is_known = log_at(&one->log, prev, &place);

    CHECK(is_known);
    m.batch.prev_index = place.index;
    m.batch.prev_term = place.term;
    m.batch.prev_hash = place.hash;
    m.batch.commit = commit;
    m.body = log_range(&one->log, prev + 1, one->log.last.index, MESSAGE_BODY_MAX, &m.batch.count);
    return m;
}

void one_follow(struct one *one, uint32_t leader, uint64_t term)
{
    struct message beat = one_beat(term, 1);
    struct message ask = one_message(MESSAGE_SYNC_ASK, term);
    int status = one_give(one, leader, &beat);

    CHECK(status == 0);
    status = one_give(one, leader, &ask);
    CHECK(status == 0);
}

static void vote(struct one *one, enum message_kind ask_kind, enum message_kind kind)
{
    const char *role = order_role(one->order);

    for (uint32_t id = 2; id <= one->view.count && one_is(one, role); id++) {
        struct message ask;
        struct message answer;

        if (!one_pull(one, id, ask_kind, &ask)) {
            continue;
        }
        answer = one_message(kind, ask.term);
        answer.vote.term = ask.ask.term;
        answer.vote.attempt = ask.ask.attempt;
        answer.vote.granted = true;
        CHECK(one_give(one, id, &answer) == 0);
    }
}

void one_lead(struct one *one)
{
    while (!one_is(one, "pre-candidate") && !one_is(one, "leader")) {
        one_pass(one, BASE_MS(1));
    }
    vote(one, MESSAGE_PREVOTE_ASK, MESSAGE_PREVOTE);
    vote(one, MESSAGE_VOTE_ASK, MESSAGE_VOTE);
    CHECK(one_is(one, "leader"));
}

void one_sync(struct one *one, uint32_t from, uint64_t index, uint64_t term)
{
    struct message m;
    int status;

    CHECK(one_pull(one, from, MESSAGE_SYNC_ASK, &m));
    m = one_message(MESSAGE_SYNC, m.term);
    m.sync.last_index = index;
    m.sync.last_term = term;
    m.sync.count = index == 0 ? 0 : 1;
    m.sync.post[0] = (struct message_post){index, term};
    status = one_give(one, from, &m);
    CHECK(status == 0);
}

struct group_stats one_stats(const struct one *one)
{
    struct group_stats s;

    order_stats(one->order, &s);
    return s;
}

bool one_is(const struct one *one, const char *role)
{
    return strcmp(order_role(one->order), role) == 0;
}

int one_submit(struct one *one, const char *text)
{
    uint64_t number;
    int status = order_submit(one->order, (struct base_bytes){(const uint8_t *)text, strlen(text)}, one->now, &number);

    one_turn(one);
    return status;
}

const char *one_deliver(struct one *one)
{
    static char texts[4096];
    struct group_delivery d;
    size_t size = 0;

    texts[0] = 0;
    while (order_deliver(one->order, &d)) {
        CHECK(size + d.data.size + 2 < sizeof texts);
        base_copy(texts + size, d.data.data, d.data.size);
        size += d.data.size;
        texts[size] = ' ';
        size++;
        texts[size] = 0;
    }
    one_turn(one);
    return texts;
}
