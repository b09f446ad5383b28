/* The pre-shared keys of an endpoint, and their change while sessions live (PROTOCOL.md "Keys and tags").
 *
 * Owns      the keys: those that openings may use, the one that is used for opening here, and retired ones that
 *           sessions, tombstones and proofs still need.
 * Relies on a driver that says how many sessions hold a key.
 * Not here  what the keys sign (auth.h).
 */
#ifndef HOLDFAST_RTCP_KEYRING_H
#define HOLDFAST_RTCP_KEYRING_H

#include "rtcp/auth.h"
#include "rtcp/rtcp.h"

#define RTCP_KEYRING_SLOTS 24 /* at most RTCP_KEYS_MAX of them open */

struct rtcp_keyring_slot {
    struct rtcp_auth_shared shared;
    bool is_used;
    bool is_open;     /* accepted for openings; else retired */
    uint32_t holders; /* sessions */
    uint64_t retired; /* when, as a number that counts up */
};

struct rtcp_keyring {
    struct rtcp_keyring_slot slot[RTCP_KEYRING_SLOTS]; /* a key never moves: sessions point at it */
    unsigned current;
    uint64_t retirements;
};

/* Sets the keys that are accepted from now on, and the one to open with; without any, openings need none. Keys that are
 * not among them are retired.
 *
 *   returns  0; BASE_E_RANGE (a size, too many, `current`, or too many retired ones are held), BASE_E_EXISTS (an id
 *            twice, or one that sessions hold with other bytes). Then nothing was changed. */
BASE_MUST_USE int rtcp_keyring_set(struct rtcp_keyring *r, const struct rtcp_key *keys, size_t count, size_t current);

/* The one to open with. */
const struct rtcp_auth_shared *rtcp_keyring_current(const struct rtcp_keyring *r);

/* The key with this id, or NULL; for an opening only if it is not retired. */
const struct rtcp_auth_shared *rtcp_keyring_find(const struct rtcp_keyring *r, uint32_t id, bool is_opening);

/* One of the keys, chosen by a number that differs from question to question: an answer in which nothing says which key
 * the asker has. */
const struct rtcp_auth_shared *rtcp_keyring_any(const struct rtcp_keyring *r, uint32_t number);

/* A session begins or ends to point at a key. */
void rtcp_keyring_hold(struct rtcp_keyring *r, const struct rtcp_auth_shared *shared);
void rtcp_keyring_release(struct rtcp_keyring *r, const struct rtcp_auth_shared *shared);

#endif
