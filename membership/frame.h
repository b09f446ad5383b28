/* Frames: where a message begins and ends in the bytes of a stream.
 *
 * Owns      the six bytes before every head and their limits.
 * Relies on nothing.
 * Not here  what a head says (wire.c), streams.
 * Protocol  PROTOCOL.md "Wire".
 *
 *      0          4        6                6+head         4+length
 *      | length   | head   | head bytes ... | body bytes ... |
 *
 * length counts everything after itself; both numbers are big-endian.
 */
#ifndef HOLDFAST_MEMBERSHIP_FRAME_H
#define HOLDFAST_MEMBERSHIP_FRAME_H

#include "membership/message.h"
#include "rtcp/base/status.h"

#define FRAME_HEADER_SIZE 6u
#define FRAME_SIZE_MAX    (FRAME_HEADER_SIZE + MESSAGE_HEAD_MAX + MESSAGE_BODY_MAX)

struct frame {
    struct base_bytes head;
    struct base_bytes body;
    size_t size; /* of the whole frame */
};

/* The frame at the beginning of `in`.
 *   body_max  the most that this lane carries behind a head.
 *   returns   0: a whole frame, pointing into `in`; BASE_E_AGAIN: more bytes are needed; BASE_E_PROTOCOL: these bytes
 *             cannot begin a frame, told as early as the lengths are there. */
BASE_MUST_USE int frame_parse(struct base_bytes in, size_t body_max, struct frame *ret_frame);

/* Writes the FRAME_HEADER_SIZE bytes for a head (1 .. MESSAGE_HEAD_MAX) and a body (.. MESSAGE_BODY_MAX). */
void frame_put(uint8_t *at, size_t head_size, size_t body_size);

#endif
