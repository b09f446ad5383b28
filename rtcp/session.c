/* The session's birth, data path, effects and time; see session.h for the whole. Pure. */
#include "rtcp/session_inside.h"

/* ------------------------------------------------------------------------------------------------ states */

static const struct base_state life_rules[] = {
    [RTCP_LIFE_OPENING] = {"opening", BASE_TO(RTCP_LIFE_OPEN) | BASE_TO(RTCP_LIFE_CLOSING) | BASE_TO(RTCP_LIFE_DEAD)},
    [RTCP_LIFE_OPEN] = {"open", BASE_TO(RTCP_LIFE_OPENING) | BASE_TO(RTCP_LIFE_CLOSING) | BASE_TO(RTCP_LIFE_DEAD)},
    [RTCP_LIFE_CLOSING] = {"closing", BASE_TO(RTCP_LIFE_DEAD)},
    [RTCP_LIFE_DEAD] = {"dead", 0},
};

void rtcp_session_trace(const struct rtcp_session *s, base_time now, const char *name, const char *why)
{
    struct base_event e = {.at = now, .object = "session", .id = s->opt.id, .name = name, .text = why};

    e.field[0].key = "attempt";
    e.field[0].value = s->attempt;
    e.field[1].key = "received";
    e.field[1].value = s->received;
    e.field[2].key = "acked";
    e.field[2].value = s->out.first;
    e.field[3].key = "upto";
    e.field[3].value = s->out.upto;
    base_trace_emit(s->opt.trace, &e);
}

void rtcp_session_move_life(struct rtcp_session *s, base_time now, int next, const char *why)
{
    struct base_event e = {.at = now, .object = "session", .id = s->opt.id, .text = why};

    e.field[0].key = "acked";
    e.field[0].value = s->out.first;
    e.field[1].key = "received";
    e.field[1].value = s->received;
    base_state_move(life_rules, &s->life, next, s->opt.trace, e);
}

void rtcp_session_check(const struct rtcp_session *s)
{
    if (s->life == RTCP_LIFE_DEAD) {
        return;
    }
    CHECK(s->out.first <= s->out.upto);
    CHECK(s->aborted || s->out.upto - s->out.first <= s->out.size); /* C4: bounded */
    CHECK(s->written_max <= s->out.upto);
    CHECK(s->written <= s->written_max);
    CHECK(s->path != RTCP_PATH_ATTACHED || s->written >= s->out.first); /* nothing below acked is ever sent again */
    CHECK(s->told <= s->received);
    CHECK(!s->peer_shut || s->received <= s->peer_final);
    CHECK((s->path == RTCP_PATH_DETACHED) == (s->live == 0));
    CHECK(s->live <= s->attempt);
    CHECK(!s->closed || s->shut);
    CHECK(!s->is_passive || s->path == RTCP_PATH_DETACHED);
}

/* ------------------------------------------------------------------------------------------------ effects */

struct rtcp_pending *rtcp_session_push(struct rtcp_session *s, enum rtcp_effect_kind kind, uint32_t attempt, int status)
{
    struct rtcp_pending *p;

    CHECK(s->pending_count < RTCP_PENDING_MAX);
    p = &s->pending[(s->pending_first + s->pending_count++) % RTCP_PENDING_MAX];
    base_zero(p, sizeof *p);
    p->kind = kind;
    p->attempt = attempt;
    p->status = status;
    return p;
}

/* Whether an effect of this kind (and message type) waits already: the newest state is encoded when it is polled. */
static bool is_pending(const struct rtcp_session *s, enum rtcp_effect_kind kind, uint8_t type)
{
    for (unsigned i = 0; i < s->pending_count; i++) {
        const struct rtcp_pending *p = &s->pending[(s->pending_first + i) % RTCP_PENDING_MAX];

        if (p->kind == kind && p->type == type && !p->to_source) {
            return true;
        }
    }
    return false;
}

void rtcp_session_say(struct rtcp_session *s, uint8_t type, bool to_source)
{
    struct rtcp_pending *p;

    if (!to_source && (s->route == NULL || !rtcp_route_is_valid(s->route))) {
        return; /* unasked messages go to validated addresses only (threat table) */
    }
    if (!to_source && is_pending(s, RTCP_EFFECT_MESSAGE, type)) {
        return;
    }
    p = rtcp_session_push(s, RTCP_EFFECT_MESSAGE, 0, 0);
    p->type = type;
    p->to_source = to_source;
}

void rtcp_session_tell(struct rtcp_session *s, int evidence)
{
    s->evidence = evidence;
    if (s->life != RTCP_LIFE_CLOSING && !is_pending(s, RTCP_EFFECT_EVIDENCE, 0)) {
        (void)rtcp_session_push(s, RTCP_EFFECT_EVIDENCE, 0, evidence);
    }
}

bool rtcp_session_poll(struct rtcp_session *s, struct rtcp_effect *ret_effect)
{
    const struct rtcp_pending *p;

    if (s->pending_count == 0) {
        return false;
    }
    p = &s->pending[s->pending_first];
    ret_effect->kind = p->kind;
    ret_effect->attempt = p->attempt;
    ret_effect->status = p->status;
    ret_effect->to_source = p->to_source;
    ret_effect->early = 0;
    ret_effect->size = 0;
    if (p->kind == RTCP_EFFECT_MESSAGE || p->kind == RTCP_EFFECT_PROBE_TO) {
        rtcp_control_encode(s, p, ret_effect);
    } else if (p->kind == RTCP_EFFECT_GREET) {
        rtcp_handshake_greeting(s, ret_effect);
    } else if (p->kind == RTCP_EFFECT_PROBE_DATA) {
        base_copy(ret_effect->bytes, s->peer_probe_data, RTCP_WIRE_PROBE_DATA);
        ret_effect->size = RTCP_WIRE_PROBE_DATA;
    } else if (p->kind == RTCP_EFFECT_ATTACH && p->status != 0) {
        rtcp_auth_confirm(ret_effect->bytes, &s->keys, s->server_nonce);
        ret_effect->size = RTCP_WIRE_CONFIRM;
    }
    s->pending_first = (s->pending_first + 1) % RTCP_PENDING_MAX;
    s->pending_count--;
    return true;
}

/* ------------------------------------------------------------------------------------------------ birth */

static int init_ring(struct rtcp_session *s, const struct rtcp_session_options *opt)
{
    size_t most = opt->ring != 0 ? opt->ring : opt->ring_max != 0 ? opt->ring_max : RTCP_RING_CAP;
    size_t least = opt->ring != 0 ? opt->ring : opt->ring_least != 0 ? opt->ring_least : RTCP_RING_FIRST;

    return rtcp_outbox_init(&s->out, opt->ring_source, least < most ? least : most, most, opt->first_offset);
}

static int init(struct rtcp_session *s, const struct rtcp_session_options *opt, base_time now)
{
    int status;

    base_zero(s, sizeof *s);
    status = init_ring(s, opt);
    if (status < 0) {
        return status;
    }
    s->opt = *opt;
    base_rng_init(&s->rng, opt->seed);
    s->written = s->written_max = opt->first_offset;
    s->received = s->told = opt->first_offset;
    s->oldest_upto = opt->first_offset;
    s->turns_from = opt->first_offset;
    s->turns_since = now;
    s->reqack_at = BASE_NEVER;
    s->received_at = now;
    s->heard_at = now;
    s->contact_at = now;
    s->detached_at = now;
    s->close_deadline = BASE_NEVER;
    s->used_at = now;
    s->peer_ring = RTCP_RING_UNKNOWN;
    s->evidence = -1;
    s->next_message_id = (uint16_t)base_rng_next(&s->rng);
    rtcp_pulse_init(&s->pulse, now);
    rtcp_backoff_init(&s->backoff, now);
    return 0;
}

int rtcp_session_open(struct rtcp_session *s, const struct rtcp_session_options *opt, base_time now)
{
    int status = init(s, opt, now);

    if (status < 0) {
        return status;
    }
    base_copy(s->client_nonce, opt->nonce, RTCP_WIRE_NONCE);
    s->peer_name = opt->name;
    s->life = RTCP_LIFE_OPENING;
    rtcp_path_advance(s, now);
    rtcp_session_check(s);
    return 0;
}

int rtcp_session_accept(struct rtcp_session *s, const struct rtcp_session_options *opt, base_time now,
                        const struct rtcp_wire_request *open)
{
    int status = init(s, opt, now);

    if (status < 0) {
        return status;
    }
    base_copy(s->server_nonce, opt->nonce, RTCP_WIRE_NONCE);
    base_copy(s->client_nonce, open->nonce, RTCP_WIRE_NONCE);
    base_copy(s->request_nonce, open->nonce, RTCP_WIRE_NONCE);
    rtcp_auth_derive(&s->keys, opt->shared, s->client_nonce, s->server_nonce);
    s->cid = opt->id;
    s->peer_id = open->control_id;
    s->peer_incarnation = open->client_incarnation;
    s->peer_ring = open->window;
    s->peer_udp_port = open->udp_port;
    s->life = RTCP_LIFE_OPENING;
    s->attempt = open->attempt;
    (void)rtcp_session_push(s, RTCP_EFFECT_GREET, s->attempt, RTCP_WIRE_ACCEPT);
    if (opt->shared->is_set && open->early == 0) {
        s->trying = RTCP_TRY_ASKING; /* for the CONFIRM: no byte and no on_accept before it */
        s->try_deadline = now + RTCP_HANDSHAKE_TOTAL;
    } else {
        rtcp_session_move_life(s, now, RTCP_LIFE_OPEN, "a client opened");
        rtcp_path_attach(s, now, s->attempt, s->out.first);
        s->was_accepted = true;
        (void)rtcp_session_push(s, RTCP_EFFECT_ACCEPTED, 0, 0);
    }
    rtcp_session_check(s);
    return 0;
}

void rtcp_session_deinit(struct rtcp_session *s)
{
    rtcp_outbox_deinit(&s->out);
}

/* ------------------------------------------------------------------------------------------------ sending */

bool rtcp_session_is_busy(const struct rtcp_session *s)
{
    return s->life == RTCP_LIFE_OPENING || (!s->peer_closed && !s->aborted && s->out.upto > s->out.first);
}

/* The size that the ring should have so that `size` more bytes fit: what it has, or more where that is allowed. Up to
 * `easy` a full ring grows at once. Beyond, it does when it stays full: the path is longer than the ring, or the peer
 * writes first as we do, and one of us must have room for it all (as with TCP, whose kernels swallow megabytes). */
static size_t ring_wanted(const struct rtcp_session *s, base_time now, size_t size)
{
    const struct rtcp_outbox *o = &s->out;
    size_t easy = s->opt.ring_easy != 0 ? s->opt.ring_easy : RTCP_RING_EASY;
    size_t room = rtcp_outbox_room(o);
    size_t want = o->size;

    if (s->no_memory_at != 0 && now < s->no_memory_at + RTCP_RING_RETRY) {
        return want;
    }
    while (room < size && want < o->most && want < easy) {
        room += 3 * want;
        want *= 4;
        if (want > easy || want > o->most) {
            want = easy < o->most ? easy : o->most;
        }
    }
    if (want == o->size && room == 0 && want < o->most && s->full_since != 0 &&
        now >= s->full_since + RTCP_RING_FULL_FOR) {
        want *= 2;
    }
    return want;
}

size_t rtcp_session_room(const struct rtcp_session *s, base_time now)
{
    if (s->shut || s->peer_closed || s->life == RTCP_LIFE_DEAD) {
        return 0;
    }
    return ring_wanted(s, now, (size_t)-1 / 2) - rtcp_outbox_used(&s->out);
}

/* The ring was turned over several times, and fast, though it need not be full: a small one asks for acknowledgements
 * often, and each of them wakes both sides. */
static bool is_turning(struct rtcp_session *s, base_time now)
{
    bool is_fast = base_time_since(now, s->turns_since) <= RTCP_RING_TURNS_IN;

    if (s->out.upto - s->turns_from < RTCP_RING_TURNS * s->out.size) {
        return false;
    }
    s->turns_from = s->out.upto;
    s->turns_since = now;
    return is_fast;
}

void rtcp_session_grow(struct rtcp_session *s, base_time now, size_t size)
{
    bool is_tight = size > rtcp_outbox_room(&s->out);
    size_t want;

    s->was_tight = s->was_tight || is_tight;
    if (is_turning(s, now) && size <= s->out.size && s->out.size < RTCP_RING_TURNING) {
        size = s->out.size + 1; /* does not fit: the next size */
    }
    if (s->shut || s->peer_closed || s->life == RTCP_LIFE_DEAD || size <= rtcp_outbox_room(&s->out)) {
        return;
    }
    want = ring_wanted(s, now, size);
    if (want == s->out.size) {
        return;
    }
    if (rtcp_outbox_grow(&s->out, want) < 0) {
        s->no_memory_at = now;
        return;
    }
    s->no_memory_at = 0;
    s->full_since = 0;
    rtcp_session_tell_ring(s);
}

uint32_t rtcp_session_window(const struct rtcp_session *s)
{
    bool is_roomy = s->opt.ring == 0 && !s->was_tight && s->opt.acks > 1;
    size_t acks = is_roomy ? s->opt.acks / 2 : s->opt.acks == 0 ? 4 : s->opt.acks;
    size_t window = s->out.size / acks * 4;

    return (uint32_t)(window < RTCP_RING_MAX ? window : RTCP_RING_MAX);
}

void rtcp_session_tell_ring(struct rtcp_session *s)
{
    if (s->told_ring < rtcp_session_window(s) && s->cid != 0 && s->out.upto > s->out.first) {
        rtcp_session_say(s, RTCP_WIRE_REQACK, false); /* not when it became smaller: a full ring asks and tells */
    }
}

/* When a ring may give its memory back. */
static base_time rest_due(const struct rtcp_session *s)
{
    bool is_idle = s->out.ring.at != NULL && s->out.first == s->out.upto && !s->is_reserved && !s->may_rest;

    return is_idle ? s->oldest_at + RTCP_RING_IDLE : BASE_NEVER;
}

void rtcp_session_rest(struct rtcp_session *s)
{
    if (s->may_rest && s->out.first == s->out.upto && !s->is_reserved) {
        rtcp_outbox_rest(&s->out);
        s->full_since = 0;
        s->was_tight = false;
    }
    s->may_rest = false;
}

/* When a user who was told AGAIN should look again, though no acknowledgement came: the ring may grow. */
static base_time room_due(const struct rtcp_session *s)
{
    base_time at = BASE_NEVER;

    if (!s->wants_room || s->path != RTCP_PATH_ATTACHED || s->life == RTCP_LIFE_CLOSING) {
        return BASE_NEVER;
    }
    if (s->out.size < s->out.most && rtcp_outbox_room(&s->out) == 0) {
        at = ring_wanted(s, s->full_since, 1) > s->out.size ? s->full_since : s->full_since + RTCP_RING_FULL_FOR;
    }
    if (s->no_memory_at != 0) {
        at = base_time_max(at == BASE_NEVER ? 0 : at, s->no_memory_at + RTCP_RING_RETRY);
    }
    return at;
}

static void expire_ring(struct rtcp_session *s, base_time now)
{
    if (now >= room_due(s)) {
        s->wants_room = false;
        (void)rtcp_session_push(s, RTCP_EFFECT_WRITABLE, 0, 0);
    }
    if (now >= rest_due(s)) {
        s->may_rest = true;
    }
}

/* The ring is full, or there is no memory for one. */
static int is_full(struct rtcp_session *s, base_time now)
{
    s->wants_room = true;
    if (s->full_since == 0 && rtcp_outbox_room(&s->out) == 0) {
        s->full_since = now;
        if (s->asked_full_at == 0 || s->out.first >= s->asked_full_at + s->out.size / 4) {
            /* Once on entering full, and not again before a quarter moved: every ACK makes room for an instant, and the
             * question for the next one would chase it through the ring for ever (P16, P17). */
            s->asked_full_at = s->out.first + 1;
            rtcp_session_say(s, RTCP_WIRE_REQACK, false);
        }
    }
    return BASE_E_AGAIN;
}

/* Why nothing can be appended, or 0: then there is room, and memory behind it. */
static int append_status(struct rtcp_session *s, base_time now)
{
    if (s->shut || s->peer_closed || s->life == RTCP_LIFE_DEAD) {
        return BASE_E_CLOSED;
    }
    if (rtcp_outbox_room(&s->out) == 0) {
        return is_full(s, now);
    }
    if (s->out.ring.at == NULL) {
        if ((s->no_memory_at != 0 && now < s->no_memory_at + RTCP_RING_RETRY) || rtcp_outbox_prepare(&s->out) < 0) {
            s->no_memory_at = s->no_memory_at != 0 && now < s->no_memory_at + RTCP_RING_RETRY ? s->no_memory_at : now;
            return is_full(s, now);
        }
        s->no_memory_at = 0;
    }
    s->may_rest = false;
    return 0;
}

/* Bookkeeping after bytes were taken in. */
static void appended(struct rtcp_session *s, base_time now, uint64_t before)
{
    s->used_at = now;
    rtcp_age_took(&s->age, now, s->out.upto);
    if (s->is_passive || s->wants_passive) {
        rtcp_passive_used(s, now);
    }
    if (before == s->out.first) {
        s->oldest_at = now;
        s->oldest_upto = s->out.upto;
        s->reqack_gap = RTCP_REQACK_FIRST;
        s->reqack_at = now + s->reqack_gap;
        rtcp_pulse_progressed(&s->pulse, now);
        rtcp_session_tell_ring(s); /* it may have grown while it was empty */
        if (!s->opt.is_client && s->path == RTCP_PATH_DETACHED && s->live == 0 && s->wake == 0) {
            s->wake = s->attempt; /* the client may not know that we have something for it */
            rtcp_control_choose(s, now);
        }
    }
}

int64_t rtcp_session_append(struct rtcp_session *s, base_time now, struct base_bytes bytes)
{
    uint64_t before = s->out.upto;
    size_t room;
    int status;

    if (bytes.size == 0) {
        return s->shut || s->peer_closed ? BASE_E_CLOSED : 0;
    }
    status = append_status(s, now);
    if (status < 0) {
        return status;
    }
    s->is_reserved = false;
    room = rtcp_outbox_room(&s->out);
    bytes.size = bytes.size < room ? bytes.size : room;
    rtcp_outbox_append(&s->out, bytes);
    appended(s, now, before);
    rtcp_session_check(s);
    return (int64_t)bytes.size;
}

int rtcp_session_reserve(struct rtcp_session *s, base_time now, struct base_span *ret_room)
{
    int status = append_status(s, now);

    if (status == 0) {
        *ret_room = rtcp_outbox_reserve(&s->out);
        s->is_reserved = true;
    }
    return status;
}

int rtcp_session_commit(struct rtcp_session *s, base_time now, size_t size)
{
    uint64_t before = s->out.upto;

    if (s->shut || s->peer_closed || s->life == RTCP_LIFE_DEAD) {
        return BASE_E_CLOSED;
    }
    if (size > 0 && (s->out.ring.at == NULL || size > rtcp_outbox_reserve(&s->out).size)) {
        return BASE_E_RANGE;
    }
    s->is_reserved = false;
    if (size > 0) {
        rtcp_outbox_commit(&s->out, size);
        appended(s, now, before);
    }
    rtcp_session_check(s);
    return 0;
}

static bool may_carry(const struct rtcp_session *s, uint32_t attempt)
{
    return s->path == RTCP_PATH_ATTACHED && attempt == s->live && !s->peer_closed && !s->aborted;
}

size_t rtcp_session_passing(const struct rtcp_session *s, uint32_t attempt, size_t size)
{
    size_t room = rtcp_outbox_room(&s->out);

    if (!may_carry(s, attempt) || s->shut || s->written != s->out.upto || s->out.ring.at == NULL) {
        return 0;
    }
    return size < room ? size : room;
}

struct base_bytes rtcp_session_next(const struct rtcp_session *s, uint32_t attempt)
{
    if (!may_carry(s, attempt)) {
        return (struct base_bytes){NULL, 0};
    }
    return rtcp_outbox_from(&s->out, s->written);
}

static void count_written(struct rtcp_session *s, size_t size)
{
    uint64_t again = s->written_max > s->written ? s->written_max - s->written : 0;

    s->repeated += again < size ? again : size;
    s->written += size;
    if (s->written > s->written_max) {
        s->written_max = s->written;
    }
}

void rtcp_session_sent(struct rtcp_session *s, base_time now, size_t size)
{
    (void)now;
    CHECK(s->path == RTCP_PATH_ATTACHED && size <= s->out.upto - s->written);
    count_written(s, size);
}

void rtcp_session_depart(struct rtcp_session *s, size_t size, struct rtcp_flight *ret_flight)
{
    CHECK(s->path == RTCP_PATH_ATTACHED && size <= s->out.upto - s->written);
    *ret_flight = (struct rtcp_flight){s->live, s->written, s->written_max, s->repeated};
    count_written(s, size);
}

void rtcp_session_landed(struct rtcp_session *s, const struct rtcp_flight *flight, size_t taken)
{
    if (s->path != RTCP_PATH_ATTACHED || s->live != flight->attempt) {
        return; /* the next connection begins where its handshake says */
    }
    s->written = flight->written;
    s->written_max = flight->written_max;
    s->repeated = flight->repeated;
    count_written(s, taken);
    if (s->written < s->out.first) { /* the peer acknowledged what it cannot have: its own loss */
        count_written(s, (size_t)(s->out.first - s->written));
    }
}

void rtcp_session_sent_early(struct rtcp_session *s, size_t size)
{
    CHECK(s->cid == 0);
    s->early_written += (uint32_t)size;
    if (s->opt.first_offset + s->early_written > s->written_max) {
        s->written_max = s->opt.first_offset + s->early_written;
    }
}

bool rtcp_session_is_fin_due(const struct rtcp_session *s)
{
    return s->shut && s->path == RTCP_PATH_ATTACHED && (s->written == s->out.upto || s->peer_closed);
}

void rtcp_session_acked_upto(struct rtcp_session *s, base_time now, uint64_t count)
{
    if (count <= s->out.first) {
        return;
    }
    CHECK(count <= s->written_max);
    rtcp_outbox_trim(&s->out, count);
    rtcp_pulse_progressed(&s->pulse, now);
    rtcp_backoff_progressed(&s->backoff);
    s->contact_at = now;
    rtcp_age_acked(&s->age, count);
    s->full_since = 0;
    if (s->trying == RTCP_TRY_REST && !s->must_replace) {
        s->wants_new = false; /* it moves again */
    }
    if (count >= s->oldest_upto) {
        s->oldest_at = now; /* what is left was taken after the last look: younger than that */
        s->oldest_upto = s->out.upto;
        s->reqack_gap = RTCP_REQACK_FIRST;
        s->reqack_at = s->out.upto > count ? now + s->reqack_gap : BASE_NEVER;
    }
    if (s->written < s->out.first) {
        s->written = s->out.first;
        if (s->path != RTCP_PATH_DETACHED) {
            rtcp_path_lose(s, now, "the peer acknowledged bytes that this connection did not carry");
        }
    }
    if (s->wants_room && s->path == RTCP_PATH_ATTACHED && s->life != RTCP_LIFE_CLOSING) {
        s->wants_room = false;
        (void)rtcp_session_push(s, RTCP_EFFECT_WRITABLE, 0, 0);
    }
}

/* ------------------------------------------------------------------------------------------------ receiving */

void rtcp_session_received(struct rtcp_session *s, base_time now, size_t size)
{
    CHECK(s->path == RTCP_PATH_ATTACHED || s->trying == RTCP_TRY_FREEZING);
    s->received += size;
    s->received_at = now;
    s->used_at = now;
    s->kernel_unread -= s->kernel_unread < size ? s->kernel_unread : (uint32_t)size; /* as last observed */
    s->contact_at = now;
    rtcp_backoff_progressed(&s->backoff);
    if (s->peer_shut && s->received > s->peer_final) {
        rtcp_closing_end(s, now, BASE_E_PROTOCOL, "the peer sent bytes behind its end");
        return;
    }
    rtcp_control_acknowledge(s, now);
    rtcp_passive_advance(s, now);
    if (s->peer_shut && s->received == s->peer_final) {
        rtcp_closing_advance(s, now);
    }
    rtcp_session_check(s);
}

bool rtcp_session_is_at_end(const struct rtcp_session *s)
{
    return s->peer_shut && s->received == s->peer_final;
}

size_t rtcp_session_may_hold(const struct rtcp_session *s, size_t held)
{
    size_t ring = s->peer_ring < s->out.most ? s->peer_ring : s->out.most; /* the peer chose its own */
    size_t most = RTCP_WAITING_MAX + (s->peer_shut ? ring : 0);

    if (s->closed || s->aborted) {
        return 0; /* nobody will read it */
    }
    return held < most ? most - held : 0;
}

/* ------------------------------------------------------------------------------------------------ time */

void rtcp_session_expire(struct rtcp_session *s, base_time now)
{
    if (s->life == RTCP_LIFE_DEAD) {
        return;
    }
    rtcp_closing_expire(s, now);
    if (s->life == RTCP_LIFE_DEAD) {
        return;
    }
    rtcp_path_expire(s, now);
    if (s->life != RTCP_LIFE_DEAD) {
        rtcp_control_expire(s, now);
        expire_ring(s, now);
        rtcp_passive_expire(s, now);
    }
    rtcp_session_check(s);
}

base_time rtcp_session_deadline(const struct rtcp_session *s)
{
    base_time at;

    if (s->life == RTCP_LIFE_DEAD) {
        return BASE_NEVER;
    }
    at = rtcp_path_deadline(s);
    at = base_time_min(at, rtcp_control_deadline(s));
    at = base_time_min(at, base_time_min(room_due(s), rest_due(s)));
    at = base_time_min(at, rtcp_passive_deadline(s));
    return base_time_min(at, rtcp_closing_deadline(s));
}
