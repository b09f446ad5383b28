/* Founding: the act by which a group is born, once, with one agreed vector of incarnations.
 *
 * Owns      who of the founders was met and as which incarnation, the vectors that they say they have seen, and the one
 *           decision: this vector is view 1. Also the refusal of whoever comes later.
 * Relies on links told in true order: found_link_up(id, incarnation) means that this process, alive, answered a nonce
 *           of ours on that link, and a link of an earlier life is never told after one of a later life (hello.h).
 * Not here  links, bytes, clocks, the log: the driver makes the first entry of the log from what is installed.
 * Protocol  PROTOCOL.md "Founding".
 */
#ifndef HOLDFAST_MEMBERSHIP_FOUND_H
#define HOLDFAST_MEMBERSHIP_FOUND_H

#include "membership/membership.h"

/*      +-----------+  met all   +------+  all say the same, or one who is in tells us   +-----------+
 *      | GATHERING | ---------> | SEEN | ---------------------------------------------> | INSTALLED |
 *      +-----------+            +------+                                                +-----------+
 *        |        |                | ^ |
 *        |        |                +-+ | a founder restarted: follow it with a new SEEN
 *        |        +--- told by one who is in --------------------------------------------^
 *        +-----------------+-----------+--> OUT (refused: it exists, or the founders disagree)
 */
enum found_state {
    FOUND_GATHERING,
    FOUND_SEEN,
    FOUND_INSTALLED,
    FOUND_OUT,
};

#define FOUND_DOUBT 6

enum found_kind {
    FOUND_SAYS_SEEN = 1,      /* "I have met exactly these" */
    FOUND_SAYS_INSTALLED = 2, /* "these are view 1" */
};

/* A message of one founder to another; the link it comes by says from whom and as which incarnation. */
struct found_message {
    enum found_kind kind;
    bool heard; /* INSTALLED: this answers the receiver's own INSTALLED, and is not answered */
    uint32_t count;
    uint64_t vector[GROUP_MEMBERS_MAX]; /* incarnations in the order of the ids */
};

/* Why a process cannot found or enter. */
enum found_reason {
    FOUND_REASON_NONE,
    FOUND_REASON_EXISTS,   /* a live group of this name goes on without this incarnation */
    FOUND_REASON_TOKEN,    /* the founders hold different tokens */
    FOUND_REASON_FOUNDERS, /* their lists of founders differ */
    FOUND_REASON_STRANGER, /* this id is not among the others' founders */
    FOUND_REASON_PLACE,    /* at that address is another service, another group, or one with another key */
};

enum found_effect_kind {
    FOUND_SEND,    /* message to member `to` */
    FOUND_INSTALL, /* found_vector() is view 1 of found_instance(); once */
    FOUND_OPEN,    /* member `to` is in, too: ordering with it may begin on this link */
    FOUND_REFUSED, /* this process is out: status, reason, and who said so in `to`; once */
};

struct found_effect {
    enum found_effect_kind kind;
    uint32_t to;
    int status;
    enum found_reason reason;
    struct found_message message;
};

struct found_options {
    const char *name;     /* of the group; only read during found_init */
    uint64_t token;       /* the same on all founders */
    uint32_t self;        /* this member's id */
    uint64_t incarnation; /* of this process, not 0 */
    const uint32_t *id;   /* the founders (or contacts) with self among them, rising; copied */
    uint32_t count;       /* 1 .. GROUP_MEMBERS_MAX */
    bool is_founder;      /* false: it only looks for a live group (group_open) */
    base_time repeat;     /* unanswered messages are repeated this often: > 0 */
    struct base_trace trace;
};

struct found_peer {
    uint32_t id;
    uint64_t incarnation; /* met as; 0: not yet. For self: our own */
    uint64_t before;      /* the incarnation it replaced, which never comes back; 0: none */
    bool is_linked;
    bool is_sent;      /* our current message went out on this link and needs no repetition before the deadline */
    bool has_seen;     /* seen[] holds what it said last */
    bool is_installed; /* it said INSTALLED with our vector */
    bool has_heard;    /* it answered our INSTALLED on this link */
    bool is_owed;      /* an answer to its INSTALLED */
    bool is_opened;    /* FOUND_OPEN was told on this link */
    enum found_reason disagrees;
    uint64_t seen[GROUP_MEMBERS_MAX];
};

struct found {
    int state; /* enum found_state */
    char name[GROUP_NAME_MAX + 1];
    uint64_t token;
    uint32_t self; /* place of this process in peer[] */
    uint32_t count;
    bool is_founder;
    bool install_told;
    bool refusal_told;
    int status;
    enum found_reason reason;
    uint32_t refused_by;
    base_time repeat;
    base_time repeat_at;
    base_time doubt_at; /* when disagreements are weighed; BASE_NEVER: there are none */
    uint64_t instance;
    uint64_t vector[GROUP_MEMBERS_MAX]; /* of our latest SEEN; when installed: view 1 */
    struct base_trace trace;
    struct found_peer peer[GROUP_MEMBERS_MAX];
};

/* 0, or BASE_E_INVALID (ids not rising, self not among them, incarnation 0, name too long or empty). A founder that is
 * alone has installed when this returns. */
BASE_MUST_USE int found_init(struct found *f, const struct found_options *options, base_time now);

/* A link to a member is up, and that incarnation answers on it. */
void found_link_up(struct found *f, uint32_t id, uint64_t incarnation, base_time now);

/* The link is gone. Forgets nothing but what was sent on it. */
void found_link_down(struct found *f, uint32_t id);

/* A message by the link of this member and incarnation. Whatever does not fit is dropped. */
void found_receive(struct found *f, uint32_t id, uint64_t incarnation, const struct found_message *message,
                   base_time now);

/* A member refused us in its hello, in answer to a nonce of ours, or stands at the wrong place. EXISTS ends this
 * process at once. A disagreement ends it when more than half of the others disagree, or when for FOUND_DOUBT times
 * `repeat` more of them disagree than are linked in agreement. Without effect once installed. */
void found_refused(struct found *f, uint32_t id, enum found_reason reason, base_time now);

void found_expire(struct found *f, base_time now);
base_time found_deadline(const struct found *f);

/* The next effect, in order; false when there is none. */
bool found_poll(struct found *f, struct found_effect *ret_effect);

/* The installed vector in the order of the ids, found_count() numbers; NULL before. */
const uint64_t *found_vector(const struct found *f);

/* The instance: a hash of name, token and vector that names the group among all of its name; 0 before. */
uint64_t found_instance(const struct found *f);

/* The hash that founders compare in their hello: of ids and addresses, in the order of the ids. Never 0. */
uint64_t found_founders_hash(const struct group_address *member, uint32_t count);

#endif
