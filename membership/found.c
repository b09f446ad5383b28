/* Founding: see found.h. Pure but for libsodium's hash.
 *
 * Why two members never install different vectors (M1, M4): an observer meets the lives of a founder in true order, so
 * the vectors it says SEEN for only go forward, and once it has installed it says no other. Two vectors that each had a
 * SEEN from all their members are therefore comparable, and whoever installed the lesser one is not in the greater: it
 * died before that was formed. An adopted vector comes from a member that stands in our own latest vector, so the same
 * argument holds for it by induction. The restarted founder itself finds a member that is in, and is refused.
 */
#include "membership/found.h"

#include "rtcp/base/check.h"
#include "rtcp/base/state.h"

#include <sodium.h>

static const struct base_state rules[] = {
    [FOUND_GATHERING] = {"gathering", BASE_TO(FOUND_SEEN) | BASE_TO(FOUND_INSTALLED) | BASE_TO(FOUND_OUT)},
    [FOUND_SEEN] = {"seen", BASE_TO(FOUND_SEEN) | BASE_TO(FOUND_INSTALLED) | BASE_TO(FOUND_OUT)},
    [FOUND_INSTALLED] = {"installed", 0},
    [FOUND_OUT] = {"out", 0},
};

static void check(const struct found *f)
{
    const struct found_peer *self = &f->peer[f->self];

    CHECK(f->count >= 1 && f->self < f->count);
    CHECK(self->incarnation != 0);
    if (f->state == FOUND_SEEN) {
        for (uint32_t i = 0; i < f->count; i++) {
            CHECK(f->vector[i] != 0 && f->vector[i] == f->peer[i].incarnation); /* SEEN says whom we met */
        }
    }
    if (f->state == FOUND_INSTALLED) {
        CHECK(f->vector[f->self] == self->incarnation); /* M3: nobody installs a view without itself */
        CHECK(f->instance != 0);
    }
    CHECK((f->state == FOUND_OUT) == (f->reason != FOUND_REASON_NONE));
}

static void move(struct found *f, enum found_state next, const char *why, base_time now)
{
    struct base_event event = {.at = now, .object = "found", .id = f->peer[f->self].id, .text = why};

    base_state_move(rules, &f->state, (int)next, &f->trace, event);
}

static struct found_peer *find(struct found *f, uint32_t id)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->peer[i].id == id && i != f->self) {
            return &f->peer[i];
        }
    }
    return NULL;
}

static uint32_t place(const struct found *f, const struct found_peer *p)
{
    return (uint32_t)(p - f->peer);
}

/* ---------------------------------------------------------------------------------------------------- hashes */

static void hash_number(crypto_generichash_state *h, uint64_t number)
{
    uint8_t bytes[8];

    base_put64(bytes, number);
    (void)crypto_generichash_update(h, bytes, sizeof bytes); /* cannot fail */
}

static void hash_text(crypto_generichash_state *h, const char *text)
{
    size_t size = strlen(text);

    hash_number(h, size);
    (void)crypto_generichash_update(h, (const unsigned char *)text, size);
}

/* The first 64 bits of a BLAKE2b-128, never 0. */
static uint64_t hash_end(crypto_generichash_state *h)
{
    uint8_t digest[crypto_generichash_BYTES_MIN];
    uint64_t number;

    (void)crypto_generichash_final(h, digest, sizeof digest);
    number = base_get64(digest);
    return number != 0 ? number : 1;
}

static uint64_t instance_of(const struct found *f)
{
    crypto_generichash_state h;

    (void)crypto_generichash_init(&h, NULL, 0, crypto_generichash_BYTES_MIN);
    hash_text(&h, f->name);
    hash_number(&h, f->token);
    hash_number(&h, f->count);
    for (uint32_t i = 0; i < f->count; i++) {
        hash_number(&h, f->peer[i].id);
        hash_number(&h, f->vector[i]);
    }
    return hash_end(&h);
}

uint64_t found_founders_hash(const struct group_address *member, uint32_t count)
{
    crypto_generichash_state h;

    (void)crypto_generichash_init(&h, NULL, 0, crypto_generichash_BYTES_MIN);
    hash_number(&h, count);
    for (uint32_t i = 0; i < count; i++) {
        hash_number(&h, member[i].id);
        hash_text(&h, member[i].address);
    }
    return hash_end(&h);
}

/* ---------------------------------------------------------------------------------------------------- decisions */

/* What was sent before does not count any more: everybody linked gets the present message. */
static void send_all(struct found *f, base_time now)
{
    for (uint32_t i = 0; i < f->count; i++) {
        f->peer[i].is_sent = false;
    }
    f->repeat_at = base_time_add(now, f->repeat);
}

static void install(struct found *f, const char *why, base_time now)
{
    f->instance = instance_of(f);
    move(f, FOUND_INSTALLED, why, now);
    send_all(f, now);
}

static void refuse(struct found *f, uint32_t by, int status, enum found_reason reason, base_time now)
{
    f->status = status;
    f->reason = reason;
    f->refused_by = by;
    f->repeat_at = BASE_NEVER;
    move(f, FOUND_OUT, "refused", now);
}

static bool has_vector(const struct found *f, const uint64_t *vector)
{
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->vector[i] != vector[i]) {
            return false;
        }
    }
    return true;
}

/* Only the vector of our own latest SEEN, and only when everybody in it said the same. */
static void try_install(struct found *f, base_time now)
{
    if (f->state != FOUND_SEEN) {
        return;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        const struct found_peer *p = &f->peer[i];

        if (i != f->self && (!p->has_seen || !has_vector(f, p->seen))) {
            return;
        }
    }
    install(f, "all founders have seen the same", now);
}

/* Says SEEN for the incarnations met, once there is one of everybody. */
static void try_seen(struct found *f, base_time now)
{
    if (!f->is_founder || (f->state != FOUND_GATHERING && f->state != FOUND_SEEN)) {
        return;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->peer[i].incarnation == 0) {
            return;
        }
    }
    for (uint32_t i = 0; i < f->count; i++) {
        f->vector[i] = f->peer[i].incarnation;
    }
    move(f, FOUND_SEEN, f->state == FOUND_SEEN ? "a founder restarted" : "met all founders", now);
    send_all(f, now);
    try_install(f, now);
}

/* ---------------------------------------------------------------------------------------------------- entries */

static bool has_good_options(const struct found_options *o)
{
    size_t size = strlen(o->name);
    bool has_self = false;

    if (size < 1 || size > GROUP_NAME_MAX || o->count < 1 || o->count > GROUP_MEMBERS_MAX || o->incarnation == 0) {
        return false;
    }
    for (uint32_t i = 0; i < o->count; i++) {
        if (o->id[i] == 0 || (i > 0 && o->id[i] <= o->id[i - 1])) {
            return false;
        }
        has_self = has_self || o->id[i] == o->self;
    }
    return has_self && o->repeat > 0;
}

int found_init(struct found *f, const struct found_options *o, base_time now)
{
    if (!has_good_options(o)) {
        return BASE_E_INVALID;
    }
    base_zero(f, sizeof *f);
    base_copy(f->name, o->name, strlen(o->name));
    f->state = FOUND_GATHERING;
    f->token = o->token;
    f->count = o->count;
    f->is_founder = o->is_founder;
    f->repeat = o->repeat;
    f->repeat_at = base_time_add(now, o->repeat);
    f->doubt_at = BASE_NEVER;
    f->trace = o->trace;
    for (uint32_t i = 0; i < o->count; i++) {
        f->peer[i].id = o->id[i];
        if (o->id[i] == o->self) {
            f->self = i;
            f->peer[i].incarnation = o->incarnation;
        }
    }
    try_seen(f, now);
    check(f);
    return 0;
}

/* Takes a peer as another life than the one met before. */
static void meet(struct found_peer *p, uint64_t incarnation)
{
    p->before = p->incarnation;
    p->incarnation = incarnation;
    p->has_seen = false;
    p->is_installed = false;
    p->disagrees = FOUND_REASON_NONE;
}

void found_link_up(struct found *f, uint32_t id, uint64_t incarnation, base_time now)
{
    struct found_peer *p = find(f, id);

    if (p == NULL || f->state == FOUND_OUT || incarnation == 0 || incarnation == p->before) {
        return; /* a life that was replaced never comes back */
    }
    if (f->state == FOUND_INSTALLED && incarnation != f->vector[place(f, p)]) {
        return; /* after view 1 a restarted founder is never followed (T53) */
    }
    p->is_linked = true;
    p->is_sent = false;
    p->has_heard = false;
    p->is_owed = false;
    p->is_opened = false;
    p->disagrees = FOUND_REASON_NONE;
    if (incarnation != p->incarnation) {
        meet(p, incarnation);
        try_seen(f, now);
    }
    check(f);
}

void found_link_down(struct found *f, uint32_t id)
{
    struct found_peer *p = find(f, id);

    if (p != NULL) {
        p->is_linked = false;
        p->is_opened = false;
    }
    check(f);
}

static void receive_seen(struct found *f, struct found_peer *p, const struct found_message *m, base_time now)
{
    p->has_seen = true;
    base_copy(p->seen, m->vector, sizeof p->seen);
    try_install(f, now);
}

/* Somebody who stands in our own vector is in. So is the group: either with us, or without us for good. */
static void receive_installed(struct found *f, struct found_peer *p, const struct found_message *m, base_time now)
{
    bool is_ours = f->is_founder && m->vector[f->self] == f->peer[f->self].incarnation;

    if (f->state == FOUND_INSTALLED && !has_vector(f, m->vector)) {
        return; /* cannot come from a member of this instance */
    }
    if (f->state != FOUND_INSTALLED && !is_ours) {
        refuse(f, p->id, BASE_E_EXISTS, FOUND_REASON_EXISTS, now);
        return;
    }
    if (f->state != FOUND_INSTALLED) {
        base_copy(f->vector, m->vector, sizeof f->vector);
        install(f, "a founder has installed", now);
    }
    p->is_installed = true;
    p->has_heard = p->has_heard || m->heard;
    p->is_owed = p->is_owed || !m->heard;
}

void found_receive(struct found *f, uint32_t id, uint64_t incarnation, const struct found_message *m, base_time now)
{
    struct found_peer *p = find(f, id);

    if (p == NULL || f->state == FOUND_OUT || incarnation == 0 || p->incarnation != incarnation) {
        return; /* a late message of a life that is over, or of one not met (G17) */
    }
    if (m->count != f->count || m->vector[place(f, p)] != incarnation) {
        return;
    }
    p->disagrees = FOUND_REASON_NONE; /* who speaks like this on its link agrees */
    switch (m->kind) {
    case FOUND_SAYS_SEEN:
        receive_seen(f, p, m, now);
        break;
    case FOUND_SAYS_INSTALLED:
        receive_installed(f, p, m, now);
        break;
    }
    check(f);
}

static uint32_t count_disagreeing(const struct found *f)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < f->count; i++) {
        count += f->peer[i].disagrees != FOUND_REASON_NONE ? 1 : 0;
    }
    return count;
}

void found_refused(struct found *f, uint32_t id, enum found_reason reason, base_time now)
{
    struct found_peer *p = find(f, id);

    if (p == NULL || f->state == FOUND_INSTALLED || f->state == FOUND_OUT || reason == FOUND_REASON_NONE) {
        return; /* whoever is in does not leave because a stranger says so (T45) */
    }
    if (reason == FOUND_REASON_EXISTS) {
        refuse(f, id, BASE_E_EXISTS, reason, now);
        return;
    }
    p->disagrees = reason; /* a link that lives is kept: the address may lead elsewhere for a moment only */
    if (f->doubt_at == BASE_NEVER) {
        f->doubt_at = base_time_add(now, FOUND_DOUBT * f->repeat);
    }
    if (count_disagreeing(f) * 2 > f->count - 1) { /* one wrong process must not end the right ones */
        refuse(f, id, BASE_E_INVALID, reason, now);
    }
    check(f);
}

/* Too few to be sure, and yet nobody comes who agrees: most likely this process is the wrong one. */
static void weigh_doubts(struct found *f, base_time now)
{
    uint32_t agreeing = 0;
    struct found_peer *last = NULL;

    for (uint32_t i = 0; i < f->count; i++) {
        agreeing += f->peer[i].is_linked && f->peer[i].disagrees == FOUND_REASON_NONE ? 1 : 0;
        last = f->peer[i].disagrees != FOUND_REASON_NONE ? &f->peer[i] : last;
    }
    f->doubt_at = last == NULL ? BASE_NEVER : base_time_add(now, FOUND_DOUBT * f->repeat);
    if (last != NULL && count_disagreeing(f) > agreeing) {
        refuse(f, last->id, BASE_E_INVALID, last->disagrees, now);
    }
}

/* Whether a message for this linked peer is still due in the present state. */
static bool is_due(const struct found *f, const struct found_peer *p)
{
    if (!p->is_linked) {
        return false;
    }
    return f->state == FOUND_SEEN || (f->state == FOUND_INSTALLED && !p->has_heard);
}

void found_expire(struct found *f, base_time now)
{
    if (now >= f->doubt_at && (f->state == FOUND_GATHERING || f->state == FOUND_SEEN)) {
        weigh_doubts(f, now);
    }
    if (now < f->repeat_at) {
        return;
    }
    f->repeat_at = base_time_add(now, f->repeat);
    for (uint32_t i = 0; i < f->count; i++) {
        if (is_due(f, &f->peer[i])) {
            f->peer[i].is_sent = false;
        }
    }
}

base_time found_deadline(const struct found *f)
{
    base_time at = f->state == FOUND_GATHERING || f->state == FOUND_SEEN ? f->doubt_at : BASE_NEVER;

    for (uint32_t i = 0; i < f->count; i++) {
        if (is_due(f, &f->peer[i])) {
            return base_time_min(at, f->repeat_at);
        }
    }
    return at;
}

/* ---------------------------------------------------------------------------------------------------- effects */

static void make_send(const struct found *f, const struct found_peer *p, bool heard, struct found_effect *e)
{
    *e = (struct found_effect){.kind = FOUND_SEND, .to = p->id};
    e->message.kind = f->state == FOUND_SEEN ? FOUND_SAYS_SEEN : FOUND_SAYS_INSTALLED;
    e->message.heard = heard;
    e->message.count = f->count;
    base_copy(e->message.vector, f->vector, sizeof f->vector);
}

static bool poll_send(struct found *f, struct found_effect *e)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct found_peer *p = &f->peer[i];

        if (i != f->self && !p->is_sent && is_due(f, p)) {
            p->is_sent = true;
            make_send(f, p, false, e);
            return true;
        }
        if (p->is_owed && p->is_linked) {
            p->is_owed = false;
            make_send(f, p, true, e);
            return true;
        }
    }
    return false;
}

static bool poll_open(struct found *f, struct found_effect *e)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct found_peer *p = &f->peer[i];

        if (i != f->self && p->is_linked && p->is_installed && !p->is_opened) {
            p->is_opened = true;
            *e = (struct found_effect){.kind = FOUND_OPEN, .to = p->id};
            return true;
        }
    }
    return false;
}

bool found_poll(struct found *f, struct found_effect *e)
{
    if (f->state == FOUND_OUT) {
        if (f->refusal_told) {
            return false;
        }
        f->refusal_told = true;
        *e =
            (struct found_effect){.kind = FOUND_REFUSED, .to = f->refused_by, .status = f->status, .reason = f->reason};
        return true;
    }
    if (f->state == FOUND_INSTALLED && !f->install_told) {
        f->install_told = true;
        *e = (struct found_effect){.kind = FOUND_INSTALL};
        return true;
    }
    if (poll_send(f, e)) { /* our INSTALLED goes out before the first message of the order */
        return true;
    }
    return f->state == FOUND_INSTALLED && poll_open(f, e);
}

const uint64_t *found_vector(const struct found *f)
{
    return f->state == FOUND_INSTALLED ? f->vector : NULL;
}

uint64_t found_instance(const struct found *f)
{
    return f->instance;
}
