/* One lane: one rtcp stream between two members, cut into frames.
 *
 * Owns      the stream's handle, the bytes of a frame not yet complete, and those of a frame the ring had no room for.
 * Relies on rtcp.h; on an owner (mesh_loop.c) that knows whose lane it is.
 * Not here  what frames mean, when to dial, which lane belongs to which link.
 * Protocol  PROTOCOL.md "Wire".
 *
 * A frame is encoded straight into the ring of the stream. When the ring has some room, but not for a whole frame, one
 * frame of a small body waits here, so that the ring is always filled and rtcp tells when there is room again.
 */
#ifndef HOLDFAST_MEMBERSHIP_LANE_LOOP_H
#define HOLDFAST_MEMBERSHIP_LANE_LOOP_H

#include "membership/frame.h"
#include "membership/wire.h"
#include "rtcp/base/memory.h"
#include "rtcp/rtcp.h"

#define LANE_CUT_MAX  4096u /* unacknowledged bytes on a votes lane that is cut; then nothing is added */
#define LANE_BODY_MIN 4096u /* a body this large always finds a place when lane_room says there is one */

struct lane;

/* Called from the loop. From each of them lane_close may be called. */
struct lane_callbacks {
    /* A head; of BATCH and FORWARD with its body. Negative: the lane ends with this status. */
    int (*on_frame)(struct lane *lane, const struct wire_head *head);
    /* Nothing can be read any more: the stream or the protocol broke. The owner closes the lane. */
    void (*on_ended)(struct lane *lane, int status);
    /* The handle is gone; the owner may free the lane. The last callback. */
    void (*on_gone)(struct lane *lane);
    /* There may be room again. */
    void (*on_room)(struct lane *lane);
    void (*on_link)(struct lane *lane, bool up);
    void (*on_evidence)(struct lane *lane, enum rtcp_evidence evidence);
    void (*on_probe_data)(struct lane *lane, const uint8_t data[RTCP_PROBE_DATA_SIZE]);
};

struct lane {
    struct rtcp_stream *stream; /* NULL once on_gone was called */
    const struct base_memory *memory;
    const struct lane_callbacks *callbacks;
    void *owner;       /* whose lane this is: the owner's business */
    struct lane *next; /* in a list of the owner */
    bool is_bulk;      /* it may carry bodies */
    bool is_cut;       /* the owner knows that nothing gets through now: votes must not pile up (rule 8) */
    bool is_attached;  /* the stream has a live connection */
    bool is_closed;    /* lane_close was called, or on_ended told */
    bool is_held;      /* frames wait until lane_release */
    bool is_waiting;   /* the stream had something to read while held */
    size_t in_size;    /* of the buffer */
    size_t in_have;    /* bytes in it */
    uint8_t *in;
    size_t out_from; /* of the frame that waits for room */
    size_t out_upto;
    uint8_t out[FRAME_HEADER_SIZE + MESSAGE_HEAD_MAX + LANE_BODY_MIN];
};

/* A lane of an accepted stream, or one still to be connected (stream NULL: lane_dial). NULL: no memory. Freed with
 * lane_free after on_gone, or after the endpoint was closed. */
struct lane *lane_new(const struct base_memory *memory, const struct lane_callbacks *callbacks, void *owner);
void lane_free(struct lane *lane);

void lane_accept(struct lane *lane, struct rtcp_stream *stream);
BASE_MUST_USE int lane_dial(struct lane *lane, struct rtcp_endpoint *endpoint, const char *address,
                            const struct rtcp_stream_options *options);

/* From here on it carries bodies, too. 0 or BASE_E_NOMEM. */
BASE_MUST_USE int lane_make_bulk(struct lane *lane);

/* Frames wait, from within on_frame: no further one is given until lane_release, and then from lane_turn only. */
void lane_hold(struct lane *lane);
void lane_release(struct lane *lane);

/* Goes on reading after a release. */
void lane_turn(struct lane *lane);

/* Whether a frame can be sent now; *ret_body: the most its body may have (0 on the votes lane). */
bool lane_room(struct lane *lane, size_t *ret_body);

/* Sends a frame. Only after lane_room was true, with a body within what it said. */
void lane_send(struct lane *lane, const struct wire_head *head);
void lane_send_order(struct lane *lane, const struct message *message);

/* Ends the lane: on_gone follows. Bytes that wait here are lost; with RTCP_LINGER_BACKGROUND those in the ring are not.
 */
void lane_close(struct lane *lane, enum rtcp_linger linger);

#endif
