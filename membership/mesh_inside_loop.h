/* What mesh_loop.c and meet_loop.c share; nobody else includes it.
 *
 * Owns      struct mesh: the endpoint, the peers, their links and lanes.
 * Relies on hello.h, lane_loop.h; libev.
 * Not here  what frames mean.
 *
 * A peer has at most two links: the current one, which is up, and the next one, whose handshake is under way. A next
 * link that comes up replaces the current one: its dialler has begun anew, so the old one can only be late. The newest
 * hello of a peer pushes out a handshake under way, so links come up in the true order of lives (hello.h).
 *
 * The lower id dials. A founder that nobody dials may be the one that is wrong (its name, its list, its id): it knocks
 * at the doors of lower ids with a hello that is answered by a refusal that says so, or by the end of the stream.
 */
#ifndef HOLDFAST_MEMBERSHIP_MESH_INSIDE_LOOP_H
#define HOLDFAST_MEMBERSHIP_MESH_INSIDE_LOOP_H

#include "membership/lane_loop.h"
#include "membership/mesh_loop.h"
#include "rtcp/base/rng.h"

#include <ev.h>

#define MESH_SERVICE_SIZE (GROUP_NAME_MAX + 16)
#define MESH_VOTES_RING   RTCP_RING_MIN
#define MESH_BULK_RING    (1u << 20)
#define MESH_IDLE_PROBE   BASE_S(1)
#define MESH_LINGER_MAX   BASE_S(30) /* a refusal that cannot be delivered is given up after this */

struct link {
    struct pair pair;
    struct lane *lane[LANE_COUNT]; /* NULL: not there yet, or no more */
};

struct mesh_peer {
    uint32_t id;
    char address[GROUP_ADDRESS_SIZE];
    struct link current; /* PAIR_UP, or idle */
    struct link next;
    struct link knock; /* before the founding view: votes lane only, to a lower id that has not dialled us */
    bool is_read;      /* mesh_read_bulk was called for the current link */
    bool has_path;
    uint64_t paths;
    base_time dial_at;  /* BASE_NEVER: not due, or the peer dials us */
    base_time knock_at; /* not before */
    unsigned failures;  /* of dialling, since a link was up */
    unsigned wrong;     /* times that somebody else answered at its address */
};

struct mesh {
    struct ev_loop *loop;
    const struct base_memory *memory;
    struct mesh_callbacks callbacks;
    void *user;
    const struct hello_self *self;
    struct base_trace trace;
    struct base_rng rng;
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener;
    struct lane *lanes; /* all, newest first, until they are gone */
    unsigned guests;    /* of these, streams that have not said hello */
    uint64_t links;     /* number of the link dialled last in this life */
    bool is_silent;
    uint8_t beat[MESSAGE_BEAT_SIZE];
    ev_timer timer;
    base_time look_at; /* when paths are looked at next */
    char name[GROUP_NAME_MAX + 1];
    uint32_t count;
    struct mesh_peer peer[GROUP_MEMBERS_MAX]; /* all but self */
};

/* Whose a lane is. */
struct owner {
    struct mesh *mesh;
    struct mesh_peer *peer; /* NULL: not known */
    enum message_lane kind;
    bool is_guest; /* accepted, and has not said hello */
};

/* meet_loop.c: streams that come, hellos, links that come up and end. */
void mesh_meet_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream);
void mesh_meet_dial(struct mesh *m, struct mesh_peer *p);
void mesh_meet_knock(struct mesh *m, struct mesh_peer *p);
void mesh_meet_end(struct mesh *m, struct mesh_peer *p, struct link *link, enum rtcp_linger linger);
void mesh_meet_refuse(struct mesh *m, struct mesh_peer *p, struct link *link, enum hello_reason reason);

/* mesh_loop.c */
void mesh_dial_later(struct mesh *m, struct mesh_peer *p, base_time least);
void mesh_look(struct mesh *m, struct mesh_peer *p);
void mesh_tell(const struct mesh *m, uint32_t id, const char *name, const char *text, uint64_t value);
struct mesh_peer *mesh_find(struct mesh *m, uint32_t id);
void mesh_service_name(const struct mesh *m, uint32_t id, char at[MESH_SERVICE_SIZE]);

#endif
