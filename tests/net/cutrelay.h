/* A relay on the loopback that ends each TCP connection through it after exactly so many bytes.
 *
 * Owns      its listening socket and both sockets of every connection through it.
 * Relies on libev; runs in the loop of the test that uses it.
 * Not here  datagrams, which go past it; what is judged.
 */
#ifndef HOLDFAST_TESTS_NET_CUTRELAY_H
#define HOLDFAST_TESTS_NET_CUTRELAY_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CUTRELAY_NEVER UINT64_MAX

enum cutrelay_end {
    CUTRELAY_RST, /* both sides are reset */
    CUTRELAY_FIN, /* both sides see an end of file, in order */
};

/* What happens to one connection: it ends when `up` bytes (from who connected) or `down` bytes (to it) were passed on.
 * Where 0 are to be passed, it ends when the first byte comes. */
struct cutrelay_plan {
    uint64_t up;
    uint64_t down;
    enum cutrelay_end end;
};

/* Asked for each connection that comes in, the first has number 1. */
typedef struct cutrelay_plan cutrelay_planner(void *user, uint32_t number);

struct cutrelay;

/* Opens one at a free port of 127.0.0.1, in front of the given one. NULL: no socket or memory. */
struct cutrelay *cutrelay_open(struct ev_loop *loop, uint16_t target, cutrelay_planner *planner, void *user);
/* Ends all of its connections with it. */
void cutrelay_close(struct cutrelay *relay);

/* Where it listens. */
uint16_t cutrelay_port(const struct cutrelay *relay);
/* Connections that came in, and those that were ended by a plan. */
uint32_t cutrelay_count(const struct cutrelay *relay);
uint32_t cutrelay_cuts(const struct cutrelay *relay);
/* Ends by RST every connection that is open now. */
void cutrelay_reset_all(struct cutrelay *relay);

#endif
