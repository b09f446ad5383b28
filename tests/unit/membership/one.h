/* One order core alone, with the test in the place of its driver and of all other members.
 *
 * Owns      a core (member 1 unless told), its view, a pretended leader's log to cut batches from.
 * Relies on order.h.
 * Not here  several cores together (tests/story/membership/cluster.h).
 */
#ifndef HOLDFAST_TESTS_UNIT_MEMBERSHIP_ONE_H
#define HOLDFAST_TESTS_UNIT_MEMBERSHIP_ONE_H

#include "membership/log.h"
#include "membership/order.h"

#define ONE_T               BASE_MS(600)
#define ONE_GROUP           5u
#define ONE_INCARNATION(id) (100u + (id))

struct one {
    struct order *order;
    struct order_options options;
    struct group_view view;
    base_time now;
    bool is_disk_slow; /* PERSIST is left to the test */
    uint64_t persist;  /* number of the latest */
    uint64_t persist_first;
    uint64_t persist_upto;
    uint32_t persist_vote;
    uint64_t persist_term;
    uint32_t leader; /* as the latest effects say */
    bool has_quorum;
    uint32_t writable; /* how often */
    uint32_t beats;    /* how often */
    uint8_t beat[MESSAGE_BEAT_SIZE];
    const char *stopped; /* why, or NULL */
    struct log log;      /* of the pretended leader */
    uint8_t body[MESSAGE_BODY_MAX];
};

/* A core of `count` members, all links up, nothing heard yet. */
void one_open(struct one *one, uint32_t count);

/* The same from an image and with options that the test has set in one->options (after one_prepare). */
void one_prepare(struct one *one, uint32_t count);
void one_start(struct one *one, const struct order_image *image);
void one_close(struct one *one);

/* Takes all effects. */
void one_turn(struct one *one);

/* Lets time pass without any message, with order_expire at each deadline. */
void one_pass(struct one *one, base_time duration);

/* Gives a message of a member and takes the effects. */
int one_give(struct one *one, uint32_t from, const struct message *m);

/* Pulls messages for a member until one of this kind comes; false: none came. Bodies are copied. */
bool one_pull(struct one *one, uint32_t to, enum message_kind kind, struct message *ret_message);

/* Pulls and forgets everything that waits for a member. */
void one_drain(struct one *one, uint32_t to);

/* Heads of messages. */
struct message one_message(enum message_kind kind, uint64_t term);
struct message one_ask(enum message_kind kind, uint64_t sender_term, uint64_t term, uint64_t last_index,
                       uint64_t last_term);
struct message one_beat(uint64_t term, uint64_t round);
struct message one_ack(uint64_t term, uint64_t index);

/* Appends an entry to the pretended leader's log. */
void one_write(struct one *one, uint64_t term, const char *text);

/* A batch of the pretended leader: the entries after `prev` up to its end. */
struct message one_batch(struct one *one, uint64_t term, uint64_t prev, uint64_t commit);

/* Makes the core follow `leader` in `term`: beat and SYNC_ASK. */
void one_follow(struct one *one, uint32_t leader, uint64_t term);

/* Makes the core win the next election with the votes of all others. It leads a new term; its first entry is settled by
 * no one yet. Streams are not synchronised. */
void one_lead(struct one *one);

/* Answers SYNC_ASK as a member whose log ends at (index, term). */
void one_sync(struct one *one, uint32_t from, uint64_t index, uint64_t term);

struct group_stats one_stats(const struct one *one);
bool one_is(const struct one *one, const char *role);

/* Submits; returns the status. */
int one_submit(struct one *one, const char *text);

/* Delivers everything; the texts one after the other, each with a space behind. Static. */
const char *one_deliver(struct one *one);

#endif
