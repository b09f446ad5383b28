/* What group_loop.c and turn_loop.c share; nobody else includes it.
 *
 * Owns      struct group: the cores, the mesh and the watchers of one group.
 * Relies on found.h, order.h, mesh_loop.h; libev.
 * Not here  rules of the protocol: those stand in the cores.
 */
#ifndef HOLDFAST_MEMBERSHIP_GROUP_INSIDE_LOOP_H
#define HOLDFAST_MEMBERSHIP_GROUP_INSIDE_LOOP_H

#include "membership/found.h"
#include "membership/hello.h"
#include "membership/mesh_loop.h"
#include "membership/order.h"

#include <ev.h>

#define GROUP_WHY_SIZE 320

struct group {
    struct ev_loop *loop;
    const struct base_memory *memory;
    struct group_callbacks callbacks;
    void *user;
    struct base_trace trace;
    char name[GROUP_NAME_MAX + 1];
    uint32_t count;
    struct group_address member[GROUP_MEMBERS_MAX]; /* rising ids; addresses point into address[] */
    char address[GROUP_MEMBERS_MAX][GROUP_ADDRESS_SIZE];
    bool is_open_only; /* group_open: it founds nothing */

    struct hello_self self;
    struct found found;
    struct order *order;
    struct mesh *mesh;
    struct group_view *view; /* held; NULL before the founding view */

    ev_prepare prepare; /* a turn at the end of each turn of the loop that brought work */
    ev_idle awake;      /* runs while a turn is due, so that the loop does not sleep over it */
    ev_timer timer;     /* deadlines */
    bool is_due;        /* something happened since the last turn */
    bool is_out;        /* on_excluded was called: nothing more happens */
    bool is_full;       /* deliveries are behind, and the log is at its limit: bulk lanes are held */
    size_t log_bytes_max;
    uint64_t delivered;
    uint64_t views;
    bool is_ordering[GROUP_MEMBERS_MAX]; /* per place in member[]: order_link_up was called for this link */
    char why[GROUP_WHY_SIZE];
};

/* turn_loop.c */
void group_turn_on_prepare(struct ev_loop *loop, ev_prepare *w, int events);
void group_turn_on_timer(struct ev_loop *loop, ev_timer *w, int events);
void group_turn_on_idle(struct ev_loop *loop, ev_idle *w, int events);
void group_turn_due(struct group *g); /* there is work for a turn */
void group_turn_arm(struct group *g);
void group_turn_send(struct group *g);
void group_turn_say_goodbye(struct group *g); /* abdicates and sends; no callback runs */
const struct mesh_callbacks *group_turn_mesh_callbacks(void);

#endif
