/* The core of the layer: one order of entries, agreed by a majority, without clock, sockets or disk.
 *
 * Owns      state and dispatch of the agreement: terms, votes, the log, cursors of members, own commands not yet
 * delivered. Beside it, one concern each: election.c (who leads), stream.c (synchronisation, entries, acks, commit),
 *           round.c (beats, abdication), detector.c (when to suspect the leader), quorum.c, log.c.
 * Relies on a driver that gives time, links, messages and durability, and takes effects, messages and deliveries.
 * Not here  bytes of heads (wire.c), streams (mesh_loop.c), callbacks of users (group_loop.c), founding (found.c).
 * Protocol  membership/PROTOCOL.md "Order".
 *
 * How a driver turns it, after every group of calls, in this order:
 *   1. while (order_poll(o, &effect)): do what it says; PERSIST is answered by order_durable, by a volatile driver at
 *      once and from within this loop.
 *   2. while (order_deliver(o, &delivery)): call the user. From these callbacks only order_submit, order_stats and the
 *      other functions that take a const order may be called. Delivering may be put off or sliced; it never blocks
 *      the protocol.
 *   3. for every linked member and lane with room: while (order_pull(o, id, lane, room, &message)) send it.
 *   4. ask order_deadline when to call order_expire.
 * All memory of a message or delivery is borrowed: valid until the next call of a verb (or of order_deliver).
 */
#ifndef HOLDFAST_MEMBERSHIP_ORDER_H
#define HOLDFAST_MEMBERSHIP_ORDER_H

#include "membership/membership.h"
#include "membership/message.h"
#include "rtcp/base/memory.h"

struct order;

struct order_options {
    const struct base_memory *memory;
    uint32_t self;              /* this member's id */
    uint64_t incarnation;       /* of this member */
    uint32_t group;             /* number of the group in every frame */
    base_time election_timeout; /* T */
    size_t log_bytes_max;       /* beyond it order_submit says AGAIN on the leader; others hold what the leader sends */
    size_t pending_max;         /* own commands not yet delivered */
    size_t pending_bytes_max;   /* memory of these; at least room for one of GROUP_MESSAGE_MAX is always granted */
    uint64_t seed;
    struct base_trace trace;
};

/* Defaults of design.md 8: T 600 ms, log 256 MiB, 65536 commands, 64 MiB of these. memory: malloc. */
void order_options_default(struct order_options *o);

/* What a former life left behind. A volatile member starts from order_image_fresh: zeros. */
struct order_image {
    uint64_t term;
    uint32_t vote;       /* member id voted for in that term; 0: nobody */
    uint64_t base_index; /* the entry before the first one of `entries`: 0 for a log from its beginning */
    uint64_t base_term;
    uint64_t base_hash;
    struct base_bytes entries; /* raw entries in order, copied during the call */
};

static inline struct order_image order_image_fresh(void)
{
    return (struct order_image){0};
}

/* Opens a core. It does nothing until a view is installed.
 * 0, BASE_E_NOMEM, BASE_E_INVALID (options), BASE_E_PROTOCOL (the image's entries do not parse). */
BASE_MUST_USE int order_open(const struct order_options *options, const struct order_image *image, base_time now,
                             struct order **ret_order);

/* Frees everything. Accepts NULL. */
void order_close(struct order *o);

/* The founding view, once, before any link comes up. self must be a voter of it with the incarnation of the options;
 * the view is copied. 0, BASE_E_INVALID, BASE_E_EXISTS (a view is installed). */
BASE_MUST_USE int order_install(struct order *o, const struct group_view *view, base_time now);

/* ------------------------------------------------------------------------------------------------ verbs */

/* The link to a member is up: both lanes carried a hello of the incarnation that the view names (rules 4 and 5). Must
 * be called before any message or beat of this link is given. Starts the per-member state anew. */
void order_link_up(struct order *o, uint32_t member, base_time now);

/* Either lane ended; the driver closes the other (rule 4). Nothing of this link may be given afterwards. */
void order_link_down(struct order *o, uint32_t member, base_time now);

/* A message of a member, in the order of its lane.
 *   returns  0: taken, also when it was old and dropped at the door (counted);
 *            BASE_E_PROTOCOL: no member sends this (wrong lane, group, kind, or a body that does not parse): the driver
 * closes the link; BASE_E_NOMEM: what was not taken comes again: the driver closes the link, which synchronises anew;
 *            BASE_E_CLOSED: the core has stopped (ORDER_STOP). */
BASE_MUST_USE int order_receive(struct order *o, uint32_t member, enum message_lane lane, const struct message *message,
                                base_time now);

/* The MESSAGE_BEAT_SIZE bytes that came with a probe of this member. Old, repeated, foreign or empty ones are dropped.
 */
void order_beat(struct order *o, uint32_t member, const uint8_t beat[MESSAGE_BEAT_SIZE], base_time now);

/* A command of this member: copied, numbered 1, 2, ... within this incarnation, kept until it is delivered, forwarded
 * to each leader in turn. 0; BASE_E_AGAIN (too much pending, or this member leads and the log is full: ORDER_WRITABLE
 * follows; order_slowest names the member that holds the log); BASE_E_NOLEADER (nobody has led for a second: not taken,
 * will never run); BASE_E_RANGE (more than GROUP_MESSAGE_MAX); BASE_E_NOMEM; BASE_E_CLOSED (stopped). */
BASE_MUST_USE int order_submit(struct order *o, struct base_bytes data, base_time now, uint64_t *ret_number);

/* Everything of the persist effect with this number, and of all before, is on disk. */
void order_durable(struct order *o, uint64_t number, base_time now);

/* Time passed. To be called at order_deadline, or earlier without harm. */
void order_expire(struct order *o, base_time now);

/* When order_expire wants to be called; BASE_NEVER before a view is installed and after a stop. */
base_time order_deadline(const struct order *o);

/* Gives up leadership, if any, so that the others elect at once: before group_close. Afterwards this core votes but
 * does not stand for election. The ABDICATE messages come out of order_pull. */
void order_abdicate(struct order *o, base_time now);

/* ------------------------------------------------------------------------------------------------ effects */

enum order_effect_kind {
    ORDER_PERSIST,  /* write term, vote and the entries [first, upto]; entries beyond `upto` are void. Then
                       order_durable(number). What depends on it is not given out before that */
    ORDER_BEAT,     /* these bytes ride on the next probes to every member; all zeros: none any more */
    ORDER_LEADER,   /* leader (0: nobody known) of `term` */
    ORDER_QUORUM,   /* has_quorum changed at `since` */
    ORDER_WRITABLE, /* order_submit has room again after it said AGAIN */
    ORDER_STOP,     /* a rule of the protocol is broken: nothing can be trusted; stop the member loudly */
};

struct order_effect {
    enum order_effect_kind kind;
    union {
        struct {
            uint64_t number; /* 1, 2, ... */
            uint64_t term;
            uint32_t vote;
            uint64_t first; /* first > upto: no entries */
            uint64_t upto;
        } persist;
        uint8_t beat[MESSAGE_BEAT_SIZE];
        struct {
            uint32_t member;
            uint64_t term;
        } leader;
        struct {
            bool has_quorum;
            base_time since;
        } quorum;
        struct {
            const char *reason; /* static */
        } stop;
    };
};

/* The next effect, in an order that is safe to follow; false: none. */
bool order_poll(struct order *o, struct order_effect *ret_effect);

/* The raw bytes of the entries from `first` on that stand in one piece, at most up to `upto`: for whoever persists. The
 * range holds whole entries; *ret_count tells how many. Empty when `first` is not in memory. */
struct base_bytes order_entries(const struct order *o, uint64_t first, uint64_t upto, uint32_t *ret_count);

/* ------------------------------------------------------------------------------------------------ deliveries */

/* The next message of the total order that is settled, durable here, and not delivered yet; false: none. Entries that
 * are not for users (the leader's empty one, repetitions of a forwarded command) are passed over. The data is valid
 * until the next verb other than order_submit, or the next order_deliver. */
bool order_deliver(struct order *o, struct group_delivery *ret_delivery);

/* ------------------------------------------------------------------------------------------------ sending */

/* The next message for a member on a lane, or false. It counts as sent: the driver must put head and body into the
 * stream at once, whole.
 *   room  bytes for the body, after MESSAGE_HEAD_MAX was set aside for the head. Votes lane: 0. Below 4 KiB no
 *         entries come. A body is at most min(room, MESSAGE_BODY_MAX) and points into the log: copy it at once. */
bool order_pull(struct order *o, uint32_t member, enum message_lane lane, size_t room, struct message *ret_message);

/* ------------------------------------------------------------------------------------------------ questions */

/* Numbers of this core, all but unacknowledged, snapshots_* and silent, which are zero. */
void order_stats(const struct order *o, struct group_stats *ret_stats);

/* The role's name for people: "follower", "pre-candidate", "candidate", "leader", "stopped". Static. */
const char *order_role(const struct order *o);

/* The member whose acknowledgement the log waits for before it can drop its beginning; 0: none. */
uint32_t order_slowest(const struct order *o);

/* The installed view, or NULL. */
const struct group_view *order_view(const struct order *o);

#endif
