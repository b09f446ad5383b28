/* The mesh: one link to every other member, made of two rtcp streams, dialled again whenever it ends.
 *
 * Owns      the endpoint and its listener, who dials whom, which streams make a link, back-off, the last beat.
 * Relies on rtcp.h, hello.h (who may have a link), lane_loop.h (frames).
 * Not here  what members say to each other (found.h, order.h): frames and facts about links go up by callbacks.
 * Protocol  PROTOCOL.md "Mesh".
 */
#ifndef HOLDFAST_MEMBERSHIP_MESH_LOOP_H
#define HOLDFAST_MEMBERSHIP_MESH_LOOP_H

#include "membership/hello.h"
#include "membership/wire.h"
#include "rtcp/base/memory.h"
#include "rtcp/base/trace.h"

struct ev_loop;
struct mesh;

/* Called from the loop; from each of them any function of this header but mesh_close may be called. */
struct mesh_callbacks {
    /* A link is up: both lanes answered as this incarnation. Frames of the votes lane follow; those of the bulk lane
     * wait for mesh_read_bulk. is_founder: the other side founds, or founded, and does not only look for a group. */
    void (*on_up)(void *user, uint32_t id, uint64_t incarnation, bool is_founder);
    void (*on_down)(void *user, uint32_t id);
    /* Anything but hello and refusal. Negative: the link is closed and dialled again. */
    int (*on_frame)(void *user, uint32_t id, enum message_lane lane, const struct wire_head *head);
    void (*on_beat)(void *user, uint32_t id, const uint8_t beat[MESSAGE_BEAT_SIZE]);
    /* The path to a member works or does not: both streams attached, and the peer answered lately. A hint. */
    void (*on_path)(void *user, uint32_t id, bool up);
    /* A member refuses us, in answer to a nonce of ours; or its address belongs to somebody else. */
    void (*on_refused)(void *user, uint32_t id, enum found_reason reason);
    /* There may be room on a lane. */
    void (*on_room)(void *user);
};

struct mesh_options {
    const struct base_memory *memory;
    const char *name;                   /* of the group */
    const char *listen;                 /* where to listen */
    const struct hello_self *self;      /* borrowed: what we say in hellos now; the owner keeps it up to date */
    const struct group_address *member; /* all members with self; copied */
    uint32_t count;
    const uint8_t *key; /* pre-shared key, or NULL */
    size_t key_size;
    uint64_t seed; /* of jitter and nonces; 0: from the kernel */
    struct base_trace trace;
};

struct mesh_member_stats {
    bool path_up;
    uint64_t paths;          /* how often the path came up */
    uint64_t unacknowledged; /* bytes in both lanes */
    base_time silent;        /* since its last authentic sign of life; BASE_NEVER: none yet */
};

/* Listens and begins to dial. 0, or what rtcp_endpoint_open and rtcp_listen return. */
BASE_MUST_USE int mesh_open(struct ev_loop *loop, const struct mesh_options *options,
                            const struct mesh_callbacks *callbacks, void *user, struct mesh **ret_mesh);

/* Ends all links at once; no callback runs any more. Accepts NULL. */
void mesh_close(struct mesh *mesh);

/* Stops dialling and accepting and ends all links, but refusals and last words that were sent still go out. */
void mesh_silence(struct mesh *mesh);

/* Reads on where frames waited. Once per turn of the loop, before anything is sent. */
void mesh_turn(struct mesh *mesh);

/* From here on frames of this link's bulk lane are given, too, by mesh_turn; and beats are sent and given. */
void mesh_read_bulk(struct mesh *mesh, uint32_t id);

/* Frames of this link's bulk lane wait, or go on with the next mesh_turn: its sender feels it when the rings are full.
 * Only after mesh_read_bulk; a new link is not held. */
void mesh_hold_bulk(struct mesh *mesh, uint32_t id, bool is_held);

/* Whether a frame can be sent to a member on a lane now; *ret_body: the most its body may have. */
bool mesh_room(struct mesh *mesh, uint32_t id, enum message_lane lane, size_t *ret_body);

/* Sends a message of the order core: only after mesh_room was true, on the lane of its kind. */
void mesh_send_order(struct mesh *mesh, uint32_t id, const struct message *message);

/* Sends a message of the founding on the votes lane. Without a link or room it is dropped: founding repeats itself. */
void mesh_send_founding(struct mesh *mesh, uint32_t id, const struct found_message *message);

/* The owner's hello_self names incarnations now: ends every link with another one, after telling it why. */
void mesh_judge_again(struct mesh *mesh);

/* The bytes that ride on the next probes to every member whose bulk lane is read. */
void mesh_set_beat(struct mesh *mesh, const uint8_t beat[MESSAGE_BEAT_SIZE]);

void mesh_stats(const struct mesh *mesh, uint32_t id, struct mesh_member_stats *ret_stats);

#endif
