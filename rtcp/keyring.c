/* See keyring.h. Pure. */
#include "rtcp/keyring.h"

#include "rtcp/base/check.h"

#include <stddef.h>

static bool is_same(const struct rtcp_auth_shared *a, const struct rtcp_auth_shared *b)
{
    return a->is_set == b->is_set && a->id == b->id && rtcp_auth_equal(a->key, b->key, sizeof a->key);
}

static struct rtcp_keyring_slot *slot_of(struct rtcp_keyring *r, const struct rtcp_auth_shared *shared)
{
    for (unsigned i = 0; i < RTCP_KEYRING_SLOTS; i++) {
        if (&r->slot[i].shared == shared) {
            return &r->slot[i];
        }
    }
    return NULL;
}

/* The place of a key in a ring: where it is already, an empty one, or that of the retired one that nobody holds and
 * that went first. -1: none. */
static int place_of(const struct rtcp_keyring *r, const struct rtcp_auth_shared *shared)
{
    int best = -1;

    for (int i = 0; i < RTCP_KEYRING_SLOTS; i++) {
        const struct rtcp_keyring_slot *s = &r->slot[i];

        if (s->is_used && is_same(&s->shared, shared)) {
            return i;
        }
    }
    for (int i = 0; i < RTCP_KEYRING_SLOTS; i++) {
        const struct rtcp_keyring_slot *s = &r->slot[i];

        if (!s->is_used) {
            return i;
        }
        if (!s->is_open && s->holders == 0 && (best < 0 || s->retired < r->slot[best].retired)) {
            best = i;
        }
    }
    return best;
}

/* Whether another key goes by this id: a session could not be told which one is meant. A retired one that nobody holds
 * makes way. */
static bool is_taken(struct rtcp_keyring *r, const struct rtcp_auth_shared *shared)
{
    for (int i = 0; i < RTCP_KEYRING_SLOTS; i++) {
        struct rtcp_keyring_slot *s = &r->slot[i];

        if (!s->is_used || s->shared.id != shared->id || is_same(&s->shared, shared) ||
            s->shared.is_set != shared->is_set) {
            continue;
        }
        if (s->is_open || s->holders > 0) {
            return true;
        }
        s->is_used = false;
    }
    return false;
}

static int add(struct rtcp_keyring *r, const struct rtcp_key *key)
{
    struct rtcp_auth_shared shared;
    int at;

    if (key->size != 0 && (key->size < RTCP_KEY_MIN || key->size > RTCP_KEY_MAX)) {
        return BASE_E_RANGE;
    }
    rtcp_auth_shared_init(&shared, (struct base_bytes){key->bytes, key->size}, key->id);
    if (is_taken(r, &shared)) {
        return BASE_E_EXISTS;
    }
    at = place_of(r, &shared);
    if (at < 0) {
        return BASE_E_RANGE;
    }
    if (!r->slot[at].is_used || !is_same(&r->slot[at].shared, &shared)) {
        r->slot[at] = (struct rtcp_keyring_slot){.shared = shared, .is_used = true};
    }
    r->slot[at].is_open = true;
    return at;
}

int rtcp_keyring_set(struct rtcp_keyring *r, const struct rtcp_key *keys, size_t count, size_t current)
{
    static const struct rtcp_key none = {0};
    struct rtcp_keyring next = *r;

    if (count > RTCP_KEYS_MAX || (count > 0 && current >= count)) {
        return BASE_E_RANGE;
    }
    for (int i = 0; i < RTCP_KEYRING_SLOTS; i++) {
        if (next.slot[i].is_used && next.slot[i].is_open) {
            next.slot[i].is_open = false;
            next.slot[i].retired = ++next.retirements;
        }
    }
    if (count == 0) {
        keys = &none;
        count = 1;
        current = 0;
    } else {
        for (size_t i = 0; i < count; i++) {
            if (keys[i].size == 0) {
                return BASE_E_RANGE;
            }
        }
    }
    for (size_t i = 0; i < count; i++) {
        int at = add(&next, &keys[i]);

        if (at < 0) {
            return at;
        }
        if (i == current) {
            next.current = (unsigned)at;
        }
    }
    *r = next;
    return 0;
}

const struct rtcp_auth_shared *rtcp_keyring_current(const struct rtcp_keyring *r)
{
    return &r->slot[r->current].shared;
}

const struct rtcp_auth_shared *rtcp_keyring_find(const struct rtcp_keyring *r, uint32_t id, bool is_opening)
{
    const struct rtcp_keyring_slot *found = NULL;

    for (int i = 0; i < RTCP_KEYRING_SLOTS; i++) {
        const struct rtcp_keyring_slot *s = &r->slot[i];

        if (s->is_used && s->shared.id == id && (s->is_open || !is_opening) && (found == NULL || s->is_open)) {
            found = s;
        }
    }
    return found == NULL ? NULL : &found->shared;
}

const struct rtcp_auth_shared *rtcp_keyring_any(const struct rtcp_keyring *r, uint32_t number)
{
    const struct rtcp_auth_shared *key[RTCP_KEYRING_SLOTS];
    uint32_t count = 0;

    for (int i = 0; i < RTCP_KEYRING_SLOTS; i++) {
        if (r->slot[i].is_used) {
            key[count++] = &r->slot[i].shared;
        }
    }
    return count == 0 ? rtcp_keyring_current(r) : key[number % count];
}

void rtcp_keyring_hold(struct rtcp_keyring *r, const struct rtcp_auth_shared *shared)
{
    struct rtcp_keyring_slot *s = slot_of(r, shared);

    CHECK(s != NULL && s->is_used);
    s->holders++;
}

void rtcp_keyring_release(struct rtcp_keyring *r, const struct rtcp_auth_shared *shared)
{
    struct rtcp_keyring_slot *s = slot_of(r, shared);

    CHECK(s != NULL && s->holders > 0);
    s->holders--;
}
