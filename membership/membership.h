/* membership: a primary-partition group. Processes agree on a sequence of views, and on one order of messages in them.
 *
 * A partition alone changes no view: the channels between members never break (rtcp), a member that is cut off stays a
 * member, and when the link is back it gets everything it missed, once, in order, from where it was. Only a process
 * that is really gone, or that policy gives up on, leaves the view. (Ekwall, Urban, Schiper, section 1; the protocol is
 * in membership/PROTOCOL.md.)
 *
 * Rules that hold for every function and callback here:
 *   thread     the thread of the group's loop only.
 *   callbacks  run from the loop, in log order, never from inside a call of yours; any function but group_close may be
 *              called from any callback. A callback left NULL is not called.
 *   ownership  options, addresses and bytes are copied during the call; bytes in a callback are valid until it returns.
 *   errors     0 on success, else a negative code of base/status.h; on failure nothing was changed.
 */
#ifndef HOLDFAST_MEMBERSHIP_H
#define HOLDFAST_MEMBERSHIP_H

#include "rtcp/base/bytes.h"
#include "rtcp/base/status.h"
#include "rtcp/base/time.h"
#include "rtcp/base/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GROUP_API __attribute__((visibility("default")))

#define GROUP_MEMBERS_MAX  15
#define GROUP_NAME_MAX     63          /* bytes of a group's name */
#define GROUP_ADDRESS_SIZE 64          /* "host:port" with its end */
#define GROUP_MESSAGE_MAX  (16u << 20) /* bytes of one broadcast */

struct ev_loop;
struct group;

/* ------------------------------------------------------------------------------------------------ views */

enum group_role {
    GROUP_VOTER,   /* counts in every majority */
    GROUP_LEARNER, /* receives everything, counts in none */
};

struct group_member {
    uint32_t id; /* 1 .. 2^31-1, chosen by the operator, never reused for another machine */
    enum group_role role;
    uint64_t incarnation; /* one life of its memory or disk; a new one is another member */
    char address[GROUP_ADDRESS_SIZE];
};

/* One view: immutable, counted. Members stand in ascending order of id. */
struct group_view {
    uint64_t id;       /* 1, 2, ... */
    uint64_t index;    /* the place in the order at which it takes effect */
    uint64_t instance; /* names this group among all groups that ever had its name */
    uint32_t count;
    struct group_member member[GROUP_MEMBERS_MAX];
};

/* Keeps a view beyond the callback that gave it; give it back with group_view_release. Returns its argument. */
GROUP_API const struct group_view *group_view_hold(const struct group_view *view);
GROUP_API void group_view_release(const struct group_view *view); /* accepts NULL */

/* What changed from the view before: ids, each list in ascending order. */
struct group_difference {
    uint32_t joined[GROUP_MEMBERS_MAX];
    uint32_t joined_count;
    uint32_t left[GROUP_MEMBERS_MAX];
    uint32_t left_count;
};

/* ------------------------------------------------------------------------------------------------ callbacks */

/* One message of the total order. */
struct group_delivery {
    uint64_t index; /* its place: the same on every member, rising */
    uint64_t term;
    uint32_t origin; /* member id of the one that called group_broadcast */
    uint64_t number; /* what group_broadcast returned there */
    bool is_own;     /* broadcast by this very process */
    struct base_bytes data;
};

struct group_callbacks {
    /* The group goes on as `view`. All messages before it were delivered in the view before, on every member (view
     * synchrony). reason: a sentence, static. The first call tells the founding view. */
    void (*on_view)(void *user, const struct group_view *view, const struct group_difference *difference,
                    const char *reason);

    /* A message is ordered and safe: a majority has it, every correct member will deliver it here (uniform). */
    void (*on_deliver)(void *user, const struct group_delivery *delivery);

    /* Whether this member hears from a majority; since: the loop's time of the change. A hint, never a view. */
    void (*on_quorum)(void *user, bool has_quorum, base_time since);

    /* Who leads; 0: nobody known. A hint. */
    void (*on_leader)(void *user, uint32_t member_id, uint64_t term);

    /* The path to a member works or does not. A hint: nothing follows from it. */
    void (*on_link)(void *user, uint32_t member_id, bool up);

    /* Room for group_broadcast after it returned BASE_E_AGAIN. */
    void (*on_writable)(void *user);

    /* This process cannot be, or is no longer, a member; why says what to do. Nothing is delivered any more; close the
     * group. status: BASE_E_EXCLUDED, BASE_E_EXISTS (a live group of this name goes on without this process: it
     * restarted, and joining is needed), BASE_E_INVALID (the founders disagree about the group), BASE_E_PROTOCOL (a
     * rule of the order is broken, nothing can be trusted), BASE_E_NOMEM (at the founding). */
    void (*on_excluded)(void *user, int status, const char *why);
};

/* ------------------------------------------------------------------------------------------------ opening */

struct group_address {
    uint32_t id;
    const char *address; /* "host:port" of its rtcp listener */
};

struct group_options {
    const char *name;                   /* of the group: 1 .. GROUP_NAME_MAX bytes */
    uint64_t token;                     /* the same number on all founders: tells two foundings of one name apart */
    uint32_t self;                      /* this member's id; must be among the members */
    const struct group_address *member; /* founders (group_found) or contacts (group_open) */
    uint32_t member_count;              /* 1 .. GROUP_MEMBERS_MAX */
    const char *listen;                 /* where to listen; NULL: the address given for self */
    const uint8_t *key;                 /* pre-shared key of all members, or NULL */
    size_t key_size;
    base_time election_timeout; /* default 600 ms; 100 ms .. 60 s: how long a silent leader is followed */
    size_t log_bytes_max;       /* memory of the ordered log: default 256 MiB; beyond it group_broadcast says AGAIN, and
                                   a member that delivers more slowly than the others takes no more from them */
    size_t pending_max;         /* broadcasts of this member not yet delivered: default 65536 */
    uint64_t seed;              /* of jitter; 0: from the kernel */
    struct base_trace trace;
};

GROUP_API void group_options_default(struct group_options *o);

/* Founds a group: the act of its birth, done once by every founder, in any order. The group exists when all founders
 * have met (view 1, told by on_view). A founder that restarts before that takes part again; one that restarts later has
 * lost its memory and is refused (on_excluded). A process that hears of a live group of this name never founds another.
 *
 *   loop     borrowed until group_close returns.
 *   returns  0; BASE_E_INVALID (name, addresses, self not among the members), BASE_E_RANGE, BASE_E_NOMEM,
 *            BASE_E_SYSTEM (listening failed: see errno).
 *   source   PROTOCOL.md "Founding".
 */
GROUP_API BASE_MUST_USE int group_found(struct ev_loop *loop, const struct group_options *options,
                                        const struct group_callbacks *callbacks, void *user, struct group **ret_group);

/* Every start after the founding: finds the live group through its contacts. A volatile member that restarted is a new
 * incarnation and would have to join, which does not exist yet: on_excluded(BASE_E_EXISTS) says so. */
GROUP_API BASE_MUST_USE int group_open(struct ev_loop *loop, const struct group_options *options,
                                       const struct group_callbacks *callbacks, void *user, struct group **ret_group);

/* Ends this process's part, at once: it never waits. A leader abdicates first; the word goes out in a datagram to each
 * member (best effort: where it is lost, the others notice the silence after the election time-out). Broadcasts that
 * were taken and not yet delivered may or may not be delivered elsewhere: whoever cares runs the loop until
 * group_stats().pending is 0 first. No callback runs any more. Accepts NULL. Not from a callback. */
GROUP_API void group_close(struct group *group);

/* ------------------------------------------------------------------------------------------------ use */

/* Sends a message to the group, in total order with all others, delivered once on every member (here, too). It is
 * forwarded to the leader, and again to a new leader, in the order of the calls, until it is delivered.
 *
 *   returns  0 and its number (1, 2, ...; delivery order of one member's messages is number order);
 *            BASE_E_AGAIN (too much pending or the log is full: wait for on_writable),
 *            BASE_E_NOLEADER (no leader for a second: it was not taken and never will be),
 *            BASE_E_RANGE (more than GROUP_MESSAGE_MAX), BASE_E_NOMEM, BASE_E_EXCLUDED.
 */
GROUP_API BASE_MUST_USE int group_broadcast(struct group *group, struct base_bytes data, uint64_t *ret_number);

/* The current view, or NULL before the founding view. Valid until the next on_view; hold it to keep it. */
GROUP_API const struct group_view *group_view(const struct group *group);

struct group_member_stats {
    uint32_t id;
    bool link_up;
    bool is_leader;
    uint64_t acked;                  /* last index known to be durable there (known by the leader) */
    uint64_t behind;                 /* entries of this log beyond that */
    uint64_t unacknowledged;         /* bytes in the channel to it */
    uint64_t entries_sent;           /* entries streamed to it by this process */
    uint64_t entries_repeated;       /* of these, sent before already: after a change of term or of process life */
    uint64_t entries_pulled;         /* entries received from it that were new here */
    uint64_t entries_received_again; /* entries received from it that were here already */
    uint64_t snapshots_sent;
    uint64_t snapshots_received;
    uint64_t links;   /* how often the link came up */
    base_time silent; /* since its last authentic sign of life; BASE_NEVER: there is no link */
};

struct group_stats {
    uint32_t self;
    uint32_t leader; /* 0: nobody known */
    uint64_t term;
    uint64_t last;      /* index of the last entry here */
    uint64_t commit;    /* index up to which the order is settled */
    uint64_t delivered; /* index up to which callbacks have run */
    uint64_t views;     /* views installed here */
    uint64_t elections; /* terms in which this process stood for election */
    uint64_t log_bytes;
    uint64_t pending; /* own broadcasts not yet delivered */
    bool has_quorum;
    uint32_t count;
    struct group_member_stats member[GROUP_MEMBERS_MAX];
};

GROUP_API void group_stats(const struct group *group, struct group_stats *ret_stats);

#endif
