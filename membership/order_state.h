/* The state of the order core, shared by the files that keep one concern each. Private to them.
 *
 * Owns      struct order and struct order_seat, and the few steps that all concerns take: roles, terms, stopping.
 * Relies on log.h, quorum.h, detector.h, part.h.
 * Not here  the face to drivers (order.h).
 * Protocol  membership/PROTOCOL.md "Order".
 */
#ifndef HOLDFAST_MEMBERSHIP_ORDER_STATE_H
#define HOLDFAST_MEMBERSHIP_ORDER_STATE_H

#include "membership/detector.h"
#include "membership/log.h"
#include "membership/order.h"
#include "membership/part.h"
#include "membership/quorum.h"
#include "membership/view.h"
#include "rtcp/base/check.h"
#include "rtcp/base/rng.h"

#define ORDER_ROUNDS_KEPT 32   /* times of the latest beats */
#define ORDER_WRITES_MAX  16   /* PERSIST effects that are not yet durable */
#define ORDER_PART_MIN    4096 /* a part of an entry is at least this, if it is not the last */

#define ORDER_NOLEADER_AFTER BASE_S(1)
#define ORDER_STALLED_AFTER  10 /* times T without a quorum of acks moving (rule 6) */
#define ORDER_STALLED_TWICE  6  /* how often that is doubled while nothing gets settled (T08) */

/* What this member keeps of one member of the view, itself included. */
struct order_seat {
    uint32_t id;
    uint64_t incarnation;
    bool is_self;
    bool is_linked;
    uint32_t slots; /* one bit per kind of message that waits to be pulled: never two of a kind (rule 8) */

    /* answers that wait in slots */
    uint64_t vote_term; /* PREVOTE and VOTE: an answer names what was asked */
    uint64_t vote_attempt;
    uint64_t prevote_term;
    uint64_t prevote_attempt;
    bool vote_granted;
    bool prevote_granted;
    uint64_t answer_round; /* BEAT_ANSWER; 0: only tells our term */

    /* we lead, towards this member; of this term */
    bool is_asked;        /* SYNC_ASK was pulled on this link */
    bool is_synced;       /* SYNC was answered on this link: the stream is open */
    uint64_t next;        /* cursor: the next entry to send */
    uint64_t part;        /* bytes of that entry sent already */
    uint64_t acked;       /* durable there and proven by this term's stream */
    uint64_t told;        /* commit it was told on this link */
    uint64_t told_low;    /* the same for low */
    bool has_news;        /* tell commit and low even if no entry goes out */
    uint64_t sent_upto;   /* the highest index ever sent to it: beyond that, sending is not repeating */
    uint64_t round;       /* the latest it answered */
    base_time answered;   /* when that round began */
    uint64_t taken;       /* number of its last command that is in our log */
    uint64_t expected;    /* not 0: commands were dropped for want of room; take none before this number */
    size_t expected_size; /* bytes of that one */
    bool is_reasked;      /* FORWARD_ASK for that number went out */
    struct part command;  /* a large one that is not yet whole */

    /* it leads */
    bool is_followed;  /* its SYNC_ASK came on this link in this term: commands may go there */
    uint64_t ack_sent; /* the last ACK of this term and link */

    /* the order itself */
    uint64_t delivered; /* number of its last command delivered; the same on every member at one index */

    uint64_t sent; /* counters of struct group_member_stats */
    uint64_t repeated;
    uint64_t pulled;
    uint64_t received_again;
    uint64_t links;
};

struct order_write {
    uint64_t number;
    uint64_t term;
    uint32_t vote;
    uint64_t upto;
    base_time at;
};

/* What is on disk, and what is on its way there. */
struct order_disk {
    uint64_t term;
    uint32_t vote;
    uint64_t upto;
    uint64_t asked_term; /* the latest PERSIST covers these */
    uint32_t asked_vote;
    uint64_t asked_upto;
    uint64_t number; /* of the latest PERSIST */
    uint32_t count;
    struct order_write write[ORDER_WRITES_MAX]; /* oldest first */
};

struct order {
    struct order_options options;
    struct group_view *view; /* NULL before order_install */
    struct quorum quorum;
    struct order_seat seat[GROUP_MEMBERS_MAX];
    uint32_t seat_count;
    uint32_t self; /* our seat */
    struct base_rng rng;
    base_time now; /* of the latest verb */

    int role; /* enum role (role.h) */
    uint64_t term;
    uint32_t vote;        /* in this term */
    uint32_t term_leader; /* who was seen leading in this term: never two (T33) */
    uint32_t leader;      /* who leads as far as we know; 0 when it abdicated or is suspected */
    bool is_abdicated;    /* the leader of this term leads no more */
    bool is_retired;      /* order_abdicate: we do not stand for election */
    base_time leaderless; /* since when `leader` is 0 */

    struct log log;
    struct order_disk disk;
    uint64_t commit;    /* settled, as far as this member can prove it (rule 1) */
    uint64_t heard;     /* commit as the leader of this term says */
    uint64_t verified;  /* last entry verified in this term's stream (rules 1 and 2) */
    uint64_t low;       /* everybody has these, and they are settled */
    uint64_t delivered; /* passed to order_deliver */
    uint64_t expecting; /* the stream continues after this entry; UINT64_MAX: its first batch was not seen yet */
    struct part entry;  /* a large one that is not yet whole */

    struct detector detector;
    base_time candidacy; /* when this attempt at an election is given up */
    uint64_t attempt;
    uint32_t yes; /* seats */
    uint32_t no;
    uint64_t elections;

    uint64_t round; /* of beats, in this term: made when leading, heard when following */
    base_time round_at[ORDER_ROUNDS_KEPT];
    base_time next_beat;
    uint64_t quorum_acked; /* greatest index that a majority acked */
    base_time moved;       /* when that last rose, or nothing was in flight */
    uint32_t stalls;       /* how often we abdicated for that, since the last entry that was settled */
    base_time led_since;
    bool has_quorum;
    base_time quorum_since;

    struct log pending;    /* own commands from the oldest undelivered on; index is their number */
    uint64_t pending_done; /* all up to this number are delivered */
    uint64_t forward_next; /* number of the next one to forward, or to append when we lead */
    uint64_t forward_part; /* bytes of it sent already */
    bool is_wanted;        /* order_submit said AGAIN */
    size_t wanted_size;

    bool tells_leader; /* effects that wait to be polled */
    bool tells_quorum;
    bool tells_beat;
    bool tells_stop;
    bool has_beat; /* ORDER_BEAT is not empty: we lead this term, or have led it */
    const char *stop_reason;
    uint64_t dropped_at_door; /* messages of older terms, rounds and attempts */

    uint64_t checked_term; /* as order's check saw them last: they never go back */
    uint32_t checked_vote;
    uint64_t checked_commit;
};

static inline struct order_seat *order_own(struct order *o)
{
    return &o->seat[o->self];
}

static inline uint32_t order_bit(const struct order *o, const struct order_seat *seat)
{
    return 1u << (uint32_t)(seat - o->seat);
}

/* A message of this kind waits for the member to be pulled; one that waits already is replaced (rule 8). */
static inline void order_slot(struct order_seat *seat, enum message_kind kind)
{
    if (seat->is_linked) {
        seat->slots |= 1u << kind;
    }
}

/* Drops what everybody has, and uses the room. */
void order_trim(struct order *o);

/* durable.c: PERSIST effects and their completion. */
bool durable_poll(struct order *o, struct order_effect *ret_effect);
void durable_done(struct order *o, uint64_t number);
void durable_truncate(struct order *o, uint64_t index);
base_time durable_age(const struct order *o); /* of the oldest write that is not durable; 0: none */

/* deliver.c */
bool deliver_next(struct order *o, struct group_delivery *ret_delivery);

#endif
