/* Founders in a world without sockets: links that come and go, messages that are late, processes with several lives.
 *
 * Owns      the founding cores, what is on its way between them, time, and the oracle that they agree.
 * Relies on membership/found.h; does on a hello and on effects what the driver does.
 * Not here  what is tested: found_test.c and found_random_test.c.
 */
#ifndef HOLDFAST_TESTS_UNIT_MEMBERSHIP_FOUND_WORLD_H
#define HOLDFAST_TESTS_UNIT_MEMBERSHIP_FOUND_WORLD_H

#include "membership/found.h"

#define FOUND_WORLD_MAX       5
#define FOUND_WORLD_QUEUE_MAX 1024

enum found_world_kind { FOUND_WORLD_UP, FOUND_WORLD_MESSAGE, FOUND_WORLD_REFUSED };

/* What travels from one founder to another. Late items of a dead sender stay in the queue, as bytes do. */
struct found_world_item {
    enum found_world_kind kind;
    uint64_t from; /* incarnation of the sender */
    struct found_message message;
};

struct found_world_queue {
    struct found_world_item item[FOUND_WORLD_QUEUE_MAX];
    unsigned head, tail;
};

struct found_world_node {
    struct found found;
    uint64_t incarnation;
    uint64_t linked[FOUND_WORLD_MAX]; /* the peer's incarnation of our present link to it; 0: none */
    bool installed;
    bool refused;
    struct found_effect refusal;
    unsigned opened;
};

/* Founder i has the id i + 1. */
struct found_world {
    uint32_t count;
    base_time now;
    uint64_t lives;
    struct found_world_node node[FOUND_WORLD_MAX];
    struct found_world_queue queue[FOUND_WORLD_MAX][FOUND_WORLD_MAX]; /* [from][to] */
    unsigned adopted, followed;
};

/* So many founders, all started, no links. One world at a time: it is static, and begun anew by every call. */
struct found_world *found_world_new(uint32_t count);

/* What founder i begins with. */
struct found_options found_world_options(const struct found_world *w, uint32_t i);

/* Begins a life of founder i, the first or the next. */
void found_world_start(struct found_world *w, uint32_t i);

/* A new link between two living processes; each side hears of it in its own time. */
void found_world_link(struct found_world *w, uint32_t a, uint32_t b);
void found_world_link_all(struct found_world *w);

/* Hands over the next item from one to another; false when there is none. */
bool found_world_step(struct found_world *w, uint32_t from, uint32_t to);
bool found_world_step_any(struct found_world *w);

/* Everything is delivered, and what is repeated is repeated a few times. */
void found_world_settle(struct found_world *w);

/* Takes the effects of founder i, as its driver does. */
void found_world_pump(struct found_world *w, uint32_t i);

/* M1, M4: whoever lives and has installed has installed the same. */
void found_world_expect_one_vector(const struct found_world *w);

/* A message that carries the vector of all present lives. */
struct found_message found_world_says(const struct found_world *w, enum found_kind kind);

#endif
