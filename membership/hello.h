/* Hello: how two members bind two streams to one link, and how a stranger is told why it is refused.
 *
 * Owns      the fields of a hello, the judgement of one, and the state of a handshake (a "pair" of lanes).
 * Relies on streams that deliver in order, and on nonces that the driver draws.
 * Not here  streams and timers (mesh_loop.c), encodings (wire.c), what a link is used for.
 * Protocol  PROTOCOL.md "Mesh".
 */
#ifndef HOLDFAST_MEMBERSHIP_HELLO_H
#define HOLDFAST_MEMBERSHIP_HELLO_H

#include "membership/found.h"
#include "membership/message.h"

#define HELLO_VERSION 1u

/* The first frame on every lane, in both directions; the dialler's second one is called READY. Everything a link is
 * bound to stands here, once per link (rule 5). */
struct hello {
    uint32_t version;
    uint32_t lane;   /* enum message_lane */
    uint64_t link;   /* the dialler's number of this link: both lanes carry the same one */
    uint32_t sender; /* member ids */
    uint32_t receiver;
    uint64_t incarnation; /* of the sender: one life of its memory or disk */
    uint64_t life;        /* of the sender's process */
    uint64_t name;        /* hash of the group's name */
    uint64_t token;
    uint64_t founders; /* hash of the list of founders; 0: the sender does not found (group_open) */
    uint64_t instance; /* 0: not founded yet, as far as the sender knows */
    uint64_t view;     /* its latest view; 0: none */
    uint64_t nonce;    /* fresh for this link */
    uint64_t echo;     /* the receiver's nonce; 0 in the dialler's first hello */
};

/* Sent instead of a hello, or after one; then the stream ends. The numbers are those of the wire. */
enum hello_reason {
    HELLO_GOOD = 0,
    HELLO_BAD_VERSION = 1,
    HELLO_BAD_NAME = 2,     /* another group */
    HELLO_BAD_RECEIVER = 3, /* another member was meant */
    HELLO_BAD_SENDER = 4,   /* no member has this id */
    HELLO_BAD_TOKEN = 5,
    HELLO_BAD_FOUNDERS = 6,
    HELLO_BAD_INSTANCE = 7,    /* another founding of the same name */
    HELLO_BAD_INCARNATION = 8, /* the view names another incarnation: this one is out, or was never in */
};

#define HELLO_REASON_MAX 8

struct hello_refusal {
    uint32_t reason;   /* enum hello_reason */
    uint64_t instance; /* of the one who refuses; 0: not founded */
    uint64_t view;
    uint64_t echo; /* the nonce of the refused hello: proof that the answer is not old */
};

/* Who we are. incarnation[] of the others: what the view names; 0 where nothing is known yet. */
struct hello_self {
    uint32_t id;
    uint64_t incarnation;
    uint64_t life;
    uint64_t name;
    uint64_t token;
    uint64_t founders; /* 0: not a founder */
    uint64_t instance;
    uint64_t view;
    uint32_t count;
    uint32_t member[GROUP_MEMBERS_MAX];
    uint64_t expected[GROUP_MEMBERS_MAX];
};

/* A hash of a group's name; never 0. */
uint64_t hello_name_hash(const char *name);

/* Whether this process may have a link with the sender of a hello. */
enum hello_reason hello_judge(const struct hello_self *self, const struct hello *hello);

/* What a refusal by another member means for the founding; FOUND_REASON_NONE: nothing. */
enum found_reason hello_meaning(enum hello_reason reason);

struct hello_refusal hello_refuse(const struct hello_self *self, enum hello_reason reason, const struct hello *hello);

/*      dialler:   IDLE -> DIALLING ------ both answers, nonce echoed ------> UP
 *      acceptor:  IDLE -> HALF -> ANSWERED -- both READYs, nonce echoed ---> UP
 */
enum pair_state {
    PAIR_IDLE,
    PAIR_DIALLING,
    PAIR_HALF,     /* one lane's hello came */
    PAIR_ANSWERED, /* both came and were answered */
    PAIR_UP,
};

struct pair {
    int state; /* enum pair_state */
    uint32_t peer;
    uint64_t link;
    uint64_t nonce;      /* ours */
    uint64_t peer_nonce; /* 0: not known */
    uint64_t incarnation;
    uint64_t life;
    bool is_founder; /* the peer takes part in a founding, or did */
    bool has_hello[LANE_COUNT];
    bool has_ready[LANE_COUNT];
};

void pair_init(struct pair *p);

/* Begins as the dialler. nonce and link are not 0; link was never used in this life. */
void pair_dial(struct pair *p, uint32_t peer, uint64_t link, uint64_t nonce);

/* Begins as the acceptor, with the first hello of a link, judged good. */
void pair_accept(struct pair *p, const struct hello *hello, uint64_t nonce);

/* Whether a hello belongs to the link that this pair is accepting. */
bool pair_matches(const struct pair *p, const struct hello *hello);

/* A further hello on a lane of this pair: the other lane's first, an answer, or a READY.
 *   returns  0; BASE_E_PROTOCOL: it does not belong here (another life answered on the other lane, a nonce of another
 *            link, a repetition): both lanes must be closed. */
BASE_MUST_USE int pair_receive(struct pair *p, enum message_lane lane, const struct hello *hello);

/* Our hello on a lane in the present state: the opening (DIALLING), the answer (ANSWERED) or READY (UP, dialler). */
struct hello pair_hello(const struct pair *p, const struct hello_self *self, enum message_lane lane);

#endif
