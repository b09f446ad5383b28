/* Two endpoints on one loop with a listener between them, for tests of the event-driven face over real sockets.
 *
 * Owns      the loop, both endpoints, the listener, and the deadline of every wait.
 * Relies on rtcp/rtcp.h, libev, cmocka.
 * Not here  callbacks, and what is tested.
 */
#ifndef HOLDFAST_TESTS_UNIT_RTCP_PAIR_H
#define HOLDFAST_TESTS_UNIT_RTCP_PAIR_H

#include "rtcp/rtcp.h"

#include <ev.h>

struct pair_options {
    double limit; /* seconds that one wait may take */
    const struct rtcp_endpoint_options *near, *far;
    const struct rtcp_listen_options *listen;
    rtcp_on_accept *on_accept;
    void *user; /* of on_accept */
};

struct pair {
    struct ev_loop *loop;
    struct rtcp_endpoint *near, *far;
    struct rtcp_listener *listener; /* of far, on loopback */
    double limit;
    ev_timer deadline;
    bool is_late;
};

/* Both endpoints, and the far one listens. What the options leave out is the library's default. */
void pair_open(struct pair *p, const struct pair_options *o);
/* Closes both endpoints, the near one first; one that is NULL is gone already. */
void pair_close(struct pair *p);

/* Connects from near to far; the case fails when that is refused at once. */
struct rtcp_stream *pair_connect(struct pair *p, const struct rtcp_stream_options *o,
                                 const struct rtcp_stream_callbacks *calls, void *user);

/* The deadline of the next turns begins now. */
void pair_begin(struct pair *p);
/* One turn of the loop; the case fails when the deadline has passed. */
void pair_turn(struct pair *p);

/* Turns until the condition holds, which is looked at before each turn; the case fails at the deadline. */
#define PAIR_UNTIL(p, condition)                                                                                       \
    do {                                                                                                               \
        pair_begin(p);                                                                                                 \
        while (!(condition)) {                                                                                         \
            pair_turn(p);                                                                                              \
        }                                                                                                              \
    } while (0)

struct rtcp_info pair_info(const struct rtcp_stream *stream);

#endif
