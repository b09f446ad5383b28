/* Pages: memory of processes that simulated kernels refer to instead of copying it. What sendfile() takes from a ring
 * stands in both kernels as a reference, as on one machine, and is read when the receiver's process copies it: a ring
 * that is overwritten, moved or used again too early shows the reader other bytes.
 *
 * Owns      the rings that have a descriptor, until the world ends; references on their way.
 * Relies on world.h for memory.
 * Not here  connections (tcp.c): a reference stands at an offset of one direction of one.
 */
#ifndef HOLDFAST_SIM_PAGES_H
#define HOLDFAST_SIM_PAGES_H

#include "tests/sim/world.h"

/* The references of one direction of a connection, in the order of their offsets. Given back with the world. */
struct sim_pages;

struct sim_pages *sim_pages_new(void);
/* The bytes from `offset` on are those that stand at `page` when they are read. */
void sim_pages_refer(struct sim_pages *p, uint64_t offset, const uint8_t *page, size_t size);
/* The bytes from `offset` on are read now: puts those that are referred to over what was copied, and forgets them. */
void sim_pages_show(struct sim_pages *p, uint64_t offset, uint8_t *data, size_t size);

/* The memory behind a descriptor of the current process; NULL when it is none, or closed. */
const uint8_t *sim_pages_of(int fd, size_t *ret_size);
/* How many rings with a descriptor the process that runs on a node now holds. */
int sim_pages_held(const struct sim_node *node);

void sim_pages_begin(void);
void sim_pages_end(void);

#endif
