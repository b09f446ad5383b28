/* Everything that members of a group say to each other about order, as plain structs.
 *
 * Owns      the kinds of messages, their fields, and the lane each kind travels on.
 * Relies on nothing; wire.c turns them into bytes and back, order.c makes and reads them.
 * Not here  founding and hello (found.h), encodings, streams.
 * Protocol  membership/PROTOCOL.md "Messages".
 */
#ifndef HOLDFAST_MEMBERSHIP_MESSAGE_H
#define HOLDFAST_MEMBERSHIP_MESSAGE_H

#include "rtcp/base/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#define MESSAGE_POSTS_MAX 8                /* fence posts of a SYNC */
#define MESSAGE_BODY_MAX  (64u << 10)      /* bytes of a body: an entry that is larger travels in parts */
#define MESSAGE_HEAD_MAX  512u             /* bytes of the longest encoded head; wire.c holds to it */
#define MESSAGE_BEAT_SIZE 32u              /* a beat as it rides in probes of rtcp */
#define MESSAGE_TERM_MAX  (UINT64_MAX / 2) /* no member gets near it; whoever names a later term speaks nonsense */

/* Two lanes per pair of members, two rtcp streams, one link (rule 4). */
enum message_lane {
    LANE_VOTES, /* small and urgent: at most one unsent message of a kind per member (rule 8) */
    LANE_BULK,  /* synchronisation, entries, forwarded commands */
};

#define LANE_COUNT 2

/* The numbers are those of the wire and never change. V: votes lane, B: bulk lane. */
enum message_kind {
    MESSAGE_PREVOTE_ASK = 1, /* V ask: would you vote for me in ask.term? Changes no term anywhere */
    MESSAGE_PREVOTE = 2,     /* V vote: the answer */
    MESSAGE_VOTE_ASK = 3,    /* V ask: vote for me in this term */
    MESSAGE_VOTE = 4,        /* V vote: the answer; granted only after it is durable */
    MESSAGE_BEAT = 5,        /* V beat: the leader lives (also in probes: order_beat) */
    MESSAGE_BEAT_ANSWER = 6, /* V answer: always on the votes lane (rule 6); also tells an old leader the newer term */
    MESSAGE_ABDICATE = 7,    /* V nothing more: the leader of this term leads no longer (also in probes) */
    MESSAGE_ACK = 8,         /* V ack: (term, durable index) (rule 2) */
    MESSAGE_FORWARD_ASK = 9, /* V forward_ask: the leader had no room; it has now: forward again from this number */
    MESSAGE_SYNC_ASK = 10,   /* B nothing more: leader to member, once per (term, link) */
    MESSAGE_SYNC = 11,       /* B sync: where the member's log stands */
    MESSAGE_BATCH = 12,      /* B batch + body: entries, or a part of one, or only news of commit */
    MESSAGE_FORWARD = 13,    /* B forward + body: commands on their way to the leader, as entries without a place */
};

#define MESSAGE_KIND_MAX 13

/* The last index of a run of entries of one term. */
struct message_post {
    uint64_t index;
    uint64_t term;
};

struct message {
    enum message_kind kind;
    uint32_t group; /* number of the group on this link: in every frame */
    uint64_t term;  /* the sender's current term */
    union {
        struct {
            uint64_t term;       /* asked for: in a PREVOTE_ASK one more than the sender's, else the same */
            uint64_t last_index; /* of the asker's log, durable or not */
            uint64_t last_term;
            uint64_t attempt; /* echoed in the answer: a late answer to an earlier question counts for nothing */
        } ask;
        struct {
            uint64_t term; /* the term that was asked for */
            uint64_t attempt;
            bool granted;
        } vote;
        struct {
            uint64_t round;  /* rises by one with every beat of a term */
            bool has_quorum; /* the leader hears from a majority */
        } beat;
        struct {
            uint64_t round; /* of the beat that is answered; 0: answers no beat, only tells the term */
        } answer;
        struct {
            uint64_t index; /* durable there, and proven by this term's stream */
        } ack;
        struct {
            uint64_t number;
        } forward_ask;
        struct {
            uint64_t last_index;
            uint64_t last_term;
            uint64_t base;   /* entries up to here are no longer in its memory */
            uint64_t commit; /* it knows these to be settled */
            uint32_t count;  /* posts, newest first: one per run of a term */
            struct message_post post[MESSAGE_POSTS_MAX];
        } sync;
        struct {
            uint64_t prev_index; /* of the entry before the first: an assertion, not a question */
            uint64_t prev_term;
            uint64_t prev_hash;
            uint64_t commit;
            uint64_t low;    /* everybody has the entries up to here, and they are settled */
            uint32_t count;  /* whole entries in the body; 0: a part of the entry prev_index + 1, or nothing */
            uint32_t offset; /* of the part within that entry's bytes; 0 with whole entries */
        } batch;
        struct {
            uint64_t first;  /* number of the first command */
            uint32_t count;  /* whole commands in the body; 0: a part of the command `first` */
            uint32_t offset; /* of the part within that command's bytes */
        } forward;
    };
    struct base_bytes body; /* BATCH, FORWARD: raw entries (log.h), borrowed; empty in all others */
};

/* The lane of a kind. */
static inline enum message_lane message_lane(enum message_kind kind)
{
    return kind >= MESSAGE_SYNC_ASK ? LANE_BULK : LANE_VOTES;
}

/* The name of a kind, such as "VOTE_ASK"; static. "?" for numbers that are no kind. */
const char *message_kind_name(enum message_kind kind);

#endif
