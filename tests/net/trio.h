/* Three groups in one process, on one loop, over real streams: the fixture of group_inside_test.c.
 *
 * Owns      a loop, three nodes with what they saw, free ports.
 * Relies on the public face of membership only.
 * Not here  expectations of single tests.
 */
#ifndef HOLDFAST_TESTS_NET_TRIO_H
#define HOLDFAST_TESTS_NET_TRIO_H

#include "membership/membership.h"

#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define MEMBERS      3
#define DEADLINE     30.0 /* seconds for anything to happen */
#define DELIVERY_MAX 4096

struct seen {
    uint64_t index;
    uint32_t origin;
    uint64_t number;
    uint64_t hash;
    size_t size;
};

struct trio;

struct node {
    struct trio *trio;
    uint32_t id;
    struct group *group;
    unsigned views, writable, excluded;
    int excluded_status;
    uint32_t leader;
    bool has_quorum;
    unsigned count;
    struct seen seen[DELIVERY_MAX];
    unsigned echo; /* broadcasts made from within on_deliver */
};

struct trio {
    struct ev_loop *loop;
    ev_timer deadline;
    bool is_late;
    bool is_calling; /* a function of the group is running: no callback may come */
    char address[MEMBERS][32];
    struct group_address member[MEMBERS];
    struct node node[MEMBERS];
};

typedef bool condition(const struct trio *t);

/* What every node does with its callbacks: checks their order and keeps what it saw. */
extern const struct group_callbacks trio_callbacks;

int broadcast(struct node *n, const void *data, size_t size, uint64_t *ret_number);
struct group_options options_of(const struct trio *t, uint32_t id);
struct trio *trio_new(void);
void found(struct trio *t, uint32_t id, const struct group_options *o);
struct trio *trio_founding(void);
void trio_close(struct trio *t);
void run_until(struct trio *t, condition *is_met);
bool are_led(const struct trio *t);
void run_to_count(struct trio *t, unsigned count);
void expect_same_order(const struct trio *t);
uint8_t *big_message(uint8_t seed);
uint64_t hash_of(struct base_bytes data);
void trio_on_deliver(void *user, const struct group_delivery *d);

#endif
