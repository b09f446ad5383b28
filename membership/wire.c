/* See wire.h. Pure; the only file of the layer that sees generated code.
 *
 * Heads are small and flat: encoding fills a struct on the stack, decoding allocates from an arena on the stack, so the
 * hot path never meets the heap (B4) and a hostile head can cost at most ARENA_SIZE bytes (T78).
 */
#include "membership/wire.h"

#include "membership/membership.pb-c.h"
#include "rtcp/base/check.h"

#define ARENA_SIZE  4096u
#define ARENA_ALIGN 16u

typedef Holdfast__Membership__Head Head;

/* ---------------------------------------------------------------------------------------------------- arena */

struct arena {
    size_t used;
    _Alignas(ARENA_ALIGN) uint8_t room[ARENA_SIZE];
};

static void *arena_take(void *user, size_t size)
{
    struct arena *a = user;
    size_t from = a->used;

    if (size > ARENA_SIZE - from) {
        return NULL;
    }
    from += size;
    a->used = from > ARENA_SIZE - ARENA_ALIGN ? ARENA_SIZE : (from + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    return a->room + from - size;
}

static void arena_give(void *user, void *at)
{
    (void)user; /* all of it is given back at once: it is on the stack */
    (void)at;
}

/* ---------------------------------------------------------------------------------------------------- encoding */

/* The parts that an encoded head may point at. */
struct parts {
    Holdfast__Membership__Hello hello;
    Holdfast__Membership__Refusal refusal;
    Holdfast__Membership__Founding founding;
    Holdfast__Membership__Ask ask;
    Holdfast__Membership__Vote vote;
    Holdfast__Membership__Beat beat;
    Holdfast__Membership__Sync sync;
    Holdfast__Membership__Batch batch;
    Holdfast__Membership__Forward forward;
    Holdfast__Membership__Post post[MESSAGE_POSTS_MAX];
    Holdfast__Membership__Post *posts[MESSAGE_POSTS_MAX];
    uint64_t vector[GROUP_MEMBERS_MAX];
};

static void put_hello(Head *out, struct parts *parts, const struct hello *h)
{
    Holdfast__Membership__Hello *p = &parts->hello;

    holdfast__membership__hello__init(p);
    p->version = h->version;
    p->lane = h->lane;
    p->link = h->link;
    p->sender = h->sender;
    p->receiver = h->receiver;
    p->incarnation = h->incarnation;
    p->life = h->life;
    p->name = h->name;
    p->token = h->token;
    p->founders = h->founders;
    p->instance = h->instance;
    p->view = h->view;
    p->nonce = h->nonce;
    p->echo = h->echo;
    out->kind = WIRE_HELLO;
    out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_HELLO;
    out->hello = p;
}

static void put_refusal(Head *out, struct parts *parts, const struct hello_refusal *r)
{
    Holdfast__Membership__Refusal *p = &parts->refusal;

    holdfast__membership__refusal__init(p);
    p->reason = r->reason;
    p->instance = r->instance;
    p->view = r->view;
    p->echo = r->echo;
    out->kind = WIRE_REFUSAL;
    out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_REFUSAL;
    out->refusal = p;
}

static void put_founding(Head *out, struct parts *parts, const struct found_message *m)
{
    Holdfast__Membership__Founding *p = &parts->founding;

    CHECK(m->count <= GROUP_MEMBERS_MAX);
    holdfast__membership__founding__init(p);
    base_copy(parts->vector, m->vector, m->count * sizeof m->vector[0]);
    p->heard = m->heard;
    p->n_vector = m->count;
    p->vector = parts->vector;
    out->kind = m->kind == FOUND_SAYS_SEEN ? WIRE_SEEN : WIRE_INSTALLED;
    out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_FOUNDING;
    out->founding = p;
}

static void put_sync(Head *out, struct parts *parts, const struct message *m)
{
    Holdfast__Membership__Sync *p = &parts->sync;

    CHECK(m->sync.count <= MESSAGE_POSTS_MAX);
    holdfast__membership__sync__init(p);
    p->last_index = m->sync.last_index;
    p->last_term = m->sync.last_term;
    p->dropped = m->sync.base;
    p->commit = m->sync.commit;
    for (uint32_t i = 0; i < m->sync.count; i++) {
        holdfast__membership__post__init(&parts->post[i]);
        parts->post[i].index = m->sync.post[i].index;
        parts->post[i].term = m->sync.post[i].term;
        parts->posts[i] = &parts->post[i];
    }
    p->n_post = m->sync.count;
    p->post = parts->posts;
    out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_SYNC;
    out->sync = p;
}

static void put_batch(Head *out, struct parts *parts, const struct message *m)
{
    Holdfast__Membership__Batch *p = &parts->batch;

    holdfast__membership__batch__init(p);
    p->prev_index = m->batch.prev_index;
    p->prev_term = m->batch.prev_term;
    p->prev_hash = m->batch.prev_hash;
    p->commit = m->batch.commit;
    p->low = m->batch.low;
    p->count = m->batch.count;
    p->offset = m->batch.offset;
    out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_BATCH;
    out->batch = p;
}

static void put_forward(Head *out, struct parts *parts, const struct message *m)
{
    Holdfast__Membership__Forward *p = &parts->forward;

    holdfast__membership__forward__init(p);
    p->first = m->forward.first;
    p->count = m->forward.count;
    p->offset = m->forward.offset;
    out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_FORWARD;
    out->forward = p;
}

static void put_ask(Head *out, struct parts *parts, const struct message *m)
{
    Holdfast__Membership__Ask *p = &parts->ask;

    holdfast__membership__ask__init(p);
    p->term = m->ask.term;
    p->last_index = m->ask.last_index;
    p->last_term = m->ask.last_term;
    p->attempt = m->ask.attempt;
    out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_ASK;
    out->ask = p;
}

static void put_vote(Head *out, struct parts *parts, const struct message *m)
{
    Holdfast__Membership__Vote *p = &parts->vote;

    holdfast__membership__vote__init(p);
    p->term = m->vote.term;
    p->attempt = m->vote.attempt;
    p->granted = m->vote.granted;
    out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_VOTE;
    out->vote = p;
}

static void put_beat(Head *out, struct parts *parts, const struct message *m)
{
    Holdfast__Membership__Beat *p = &parts->beat;

    holdfast__membership__beat__init(p);
    p->round = m->beat.round;
    p->has_quorum = m->beat.has_quorum;
    out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_BEAT;
    out->beat = p;
}

static void put_order(Head *out, struct parts *parts, const struct message *m)
{
    out->kind = (uint32_t)m->kind;
    out->group = m->group;
    out->term = m->term;
    switch (m->kind) {
    case MESSAGE_PREVOTE_ASK:
    case MESSAGE_VOTE_ASK:
        put_ask(out, parts, m);
        break;
    case MESSAGE_PREVOTE:
    case MESSAGE_VOTE:
        put_vote(out, parts, m);
        break;
    case MESSAGE_BEAT:
        put_beat(out, parts, m);
        break;
    case MESSAGE_BEAT_ANSWER:
        out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_ROUND;
        out->round = m->answer.round;
        break;
    case MESSAGE_ACK:
        out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_INDEX;
        out->index = m->ack.index;
        break;
    case MESSAGE_FORWARD_ASK:
        out->what_case = HOLDFAST__MEMBERSHIP__HEAD__WHAT_NUMBER;
        out->number = m->forward_ask.number;
        break;
    case MESSAGE_SYNC:
        put_sync(out, parts, m);
        break;
    case MESSAGE_BATCH:
        put_batch(out, parts, m);
        break;
    case MESSAGE_FORWARD:
        put_forward(out, parts, m);
        break;
    case MESSAGE_ABDICATE:
    case MESSAGE_SYNC_ASK:
        break;
    }
}

static size_t pack(const Head *head, uint8_t *room)
{
    size_t size = holdfast__membership__head__get_packed_size(head);

    CHECK(size >= 1 && size <= MESSAGE_HEAD_MAX);
    return holdfast__membership__head__pack(head, room);
}

size_t wire_encode_order(const struct message *message, uint8_t *room)
{
    Head out = HOLDFAST__MEMBERSHIP__HEAD__INIT;
    struct parts parts;

    put_order(&out, &parts, message);
    return pack(&out, room);
}

size_t wire_encode(const struct wire_head *head, uint8_t *room)
{
    Head out = HOLDFAST__MEMBERSHIP__HEAD__INIT;
    struct parts parts;

    switch (head->what) {
    case WIRE_IS_HELLO:
        put_hello(&out, &parts, &head->hello);
        break;
    case WIRE_IS_REFUSAL:
        put_refusal(&out, &parts, &head->refusal);
        break;
    case WIRE_IS_FOUNDING:
        put_founding(&out, &parts, &head->founding);
        break;
    case WIRE_IS_ORDER:
        put_order(&out, &parts, &head->order);
        break;
    }
    return pack(&out, room);
}

/* ---------------------------------------------------------------------------------------------------- decoding */

static int get_hello(const Head *in, struct wire_head *ret)
{
    const Holdfast__Membership__Hello *p = in->hello;

    if (in->what_case != HOLDFAST__MEMBERSHIP__HEAD__WHAT_HELLO || p == NULL) {
        return BASE_E_PROTOCOL;
    }
    if (p->lane >= LANE_COUNT || p->link == 0 || p->nonce == 0 || p->incarnation == 0 || p->sender == 0) {
        return BASE_E_PROTOCOL;
    }
    ret->what = WIRE_IS_HELLO;
    ret->hello = (struct hello){
        .version = p->version,
        .lane = p->lane,
        .link = p->link,
        .sender = p->sender,
        .receiver = p->receiver,
        .incarnation = p->incarnation,
        .life = p->life,
        .name = p->name,
        .token = p->token,
        .founders = p->founders,
        .instance = p->instance,
        .view = p->view,
        .nonce = p->nonce,
        .echo = p->echo,
    };
    return 0;
}

static int get_refusal(const Head *in, struct wire_head *ret)
{
    const Holdfast__Membership__Refusal *p = in->refusal;

    if (in->what_case != HOLDFAST__MEMBERSHIP__HEAD__WHAT_REFUSAL || p == NULL || p->reason == 0) {
        return BASE_E_PROTOCOL;
    }
    ret->what = WIRE_IS_REFUSAL;
    ret->refusal =
        (struct hello_refusal){.reason = p->reason, .instance = p->instance, .view = p->view, .echo = p->echo};
    return 0;
}

static int get_founding(const Head *in, struct wire_head *ret)
{
    const Holdfast__Membership__Founding *p = in->founding;
    struct found_message *m = &ret->founding;

    if (in->what_case != HOLDFAST__MEMBERSHIP__HEAD__WHAT_FOUNDING || p == NULL) {
        return BASE_E_PROTOCOL;
    }
    if (p->n_vector < 1 || p->n_vector > GROUP_MEMBERS_MAX) {
        return BASE_E_PROTOCOL;
    }
    ret->what = WIRE_IS_FOUNDING;
    *m = (struct found_message){.heard = p->heard != 0, .count = (uint32_t)p->n_vector};
    m->kind = in->kind == WIRE_SEEN ? FOUND_SAYS_SEEN : FOUND_SAYS_INSTALLED;
    base_copy(m->vector, p->vector, p->n_vector * sizeof m->vector[0]);
    return 0;
}

static int get_ask(const Head *in, struct message *m)
{
    if (in->what_case != HOLDFAST__MEMBERSHIP__HEAD__WHAT_ASK || in->ask == NULL) {
        return BASE_E_PROTOCOL;
    }
    m->ask.term = in->ask->term;
    m->ask.last_index = in->ask->last_index;
    m->ask.last_term = in->ask->last_term;
    m->ask.attempt = in->ask->attempt;
    return 0;
}

static int get_vote(const Head *in, struct message *m)
{
    if (in->what_case != HOLDFAST__MEMBERSHIP__HEAD__WHAT_VOTE || in->vote == NULL) {
        return BASE_E_PROTOCOL;
    }
    m->vote.term = in->vote->term;
    m->vote.attempt = in->vote->attempt;
    m->vote.granted = in->vote->granted != 0;
    return 0;
}

static int get_beat(const Head *in, struct message *m)
{
    if (in->what_case != HOLDFAST__MEMBERSHIP__HEAD__WHAT_BEAT || in->beat == NULL) {
        return BASE_E_PROTOCOL;
    }
    m->beat.round = in->beat->round;
    m->beat.has_quorum = in->beat->has_quorum != 0;
    return 0;
}

static int get_sync(const Head *in, struct message *m)
{
    const Holdfast__Membership__Sync *p = in->sync;

    if (in->what_case != HOLDFAST__MEMBERSHIP__HEAD__WHAT_SYNC || p == NULL || p->n_post > MESSAGE_POSTS_MAX) {
        return BASE_E_PROTOCOL;
    }
    m->sync.last_index = p->last_index;
    m->sync.last_term = p->last_term;
    m->sync.base = p->dropped;
    m->sync.commit = p->commit;
    m->sync.count = (uint32_t)p->n_post;
    for (size_t i = 0; i < p->n_post; i++) {
        m->sync.post[i].index = p->post[i]->index;
        m->sync.post[i].term = p->post[i]->term;
    }
    return 0;
}

static int get_batch(const Head *in, struct message *m)
{
    const Holdfast__Membership__Batch *p = in->batch;

    if (in->what_case != HOLDFAST__MEMBERSHIP__HEAD__WHAT_BATCH || p == NULL) {
        return BASE_E_PROTOCOL;
    }
    m->batch.prev_index = p->prev_index;
    m->batch.prev_term = p->prev_term;
    m->batch.prev_hash = p->prev_hash;
    m->batch.commit = p->commit;
    m->batch.low = p->low;
    m->batch.count = p->count;
    m->batch.offset = p->offset;
    return 0;
}

static int get_forward(const Head *in, struct message *m)
{
    if (in->what_case != HOLDFAST__MEMBERSHIP__HEAD__WHAT_FORWARD || in->forward == NULL) {
        return BASE_E_PROTOCOL;
    }
    m->forward.first = in->forward->first;
    m->forward.count = in->forward->count;
    m->forward.offset = in->forward->offset;
    return 0;
}

/* A single number; absent means 0 only where its place in the oneof is taken. */
static int get_number(const Head *in, int what_case, uint64_t value, uint64_t *ret)
{
    if ((int)in->what_case != what_case) {
        return BASE_E_PROTOCOL;
    }
    *ret = value;
    return 0;
}

static int get_order(const Head *in, struct wire_head *ret)
{
    struct message *m = &ret->order;

    ret->what = WIRE_IS_ORDER;
    base_zero(m, sizeof *m);
    m->kind = (enum message_kind)in->kind;
    m->group = in->group;
    m->term = in->term;
    switch (m->kind) {
    case MESSAGE_PREVOTE_ASK:
    case MESSAGE_VOTE_ASK:
        return get_ask(in, m);
    case MESSAGE_PREVOTE:
    case MESSAGE_VOTE:
        return get_vote(in, m);
    case MESSAGE_BEAT:
        return get_beat(in, m);
    case MESSAGE_BEAT_ANSWER:
        return get_number(in, HOLDFAST__MEMBERSHIP__HEAD__WHAT_ROUND, in->round, &m->answer.round);
    case MESSAGE_ACK:
        return get_number(in, HOLDFAST__MEMBERSHIP__HEAD__WHAT_INDEX, in->index, &m->ack.index);
    case MESSAGE_FORWARD_ASK:
        return get_number(in, HOLDFAST__MEMBERSHIP__HEAD__WHAT_NUMBER, in->number, &m->forward_ask.number);
    case MESSAGE_SYNC:
        return get_sync(in, m);
    case MESSAGE_BATCH:
        return get_batch(in, m);
    case MESSAGE_FORWARD:
        return get_forward(in, m);
    case MESSAGE_ABDICATE:
    case MESSAGE_SYNC_ASK:
        return 0;
    }
    return BASE_E_PROTOCOL;
}

static int get_head(const Head *in, struct wire_head *ret)
{
    if (in->kind == WIRE_HELLO) {
        return get_hello(in, ret);
    }
    if (in->kind == WIRE_REFUSAL) {
        return get_refusal(in, ret);
    }
    if (in->kind == WIRE_SEEN || in->kind == WIRE_INSTALLED) {
        return get_founding(in, ret);
    }
    return in->kind >= 1 && in->kind <= MESSAGE_KIND_MAX ? get_order(in, ret) : BASE_E_PROTOCOL;
}

int wire_decode(struct base_bytes head, struct wire_head *ret_head)
{
    struct arena arena;
    ProtobufCAllocator allocator = {arena_take, arena_give, &arena};
    struct wire_head out;
    Head *in;
    int status;

    if (head.size < 1 || head.size > MESSAGE_HEAD_MAX) {
        return BASE_E_PROTOCOL;
    }
    arena.used = 0;
    in = holdfast__membership__head__unpack(&allocator, head.size, head.data);
    if (in == NULL) {
        return BASE_E_PROTOCOL;
    }
    status = get_head(in, &out);
    if (status == 0) {
        *ret_head = out;
    }
    return status;
}

bool wire_has_body(const struct wire_head *head)
{
    return head->what == WIRE_IS_ORDER && (head->order.kind == MESSAGE_BATCH || head->order.kind == MESSAGE_FORWARD);
}
