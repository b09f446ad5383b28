/* Heads of frames as bytes: from plain structs and back.
 *
 * Owns      the translation to and from membership.proto, and every check a head needs before anybody reads it.
 * Relies on protobuf-c; memory for decoding comes from an arena on the caller's stack, never from the heap.
 * Not here  lengths of frames (frame.h), bodies, meaning.
 * Protocol  PROTOCOL.md "Wire"; membership.proto. This is the only file of the layer that sees *.pb-c.h.
 */
#ifndef HOLDFAST_MEMBERSHIP_WIRE_H
#define HOLDFAST_MEMBERSHIP_WIRE_H

#include "membership/found.h"
#include "membership/hello.h"
#include "membership/message.h"
#include "rtcp/base/status.h"

/* Kinds of heads beside those of message.h; numbers of the wire. */
enum wire_kind {
    WIRE_HELLO = 32,
    WIRE_REFUSAL = 33,
    WIRE_SEEN = 34,
    WIRE_INSTALLED = 35,
};

enum wire_what {
    WIRE_IS_HELLO,
    WIRE_IS_REFUSAL,
    WIRE_IS_FOUNDING,
    WIRE_IS_ORDER,
};

struct wire_head {
    enum wire_what what;
    union {
        struct hello hello;
        struct hello_refusal refusal;
        struct found_message founding;
        struct message order; /* body is empty: the reader of the frame puts it in */
    };
};

/* Encodes a head into room of at least MESSAGE_HEAD_MAX bytes and returns its size, 1 .. MESSAGE_HEAD_MAX. The struct
 * must be one that decoding would accept. */
size_t wire_encode(const struct wire_head *head, uint8_t *room);
size_t wire_encode_order(const struct message *message, uint8_t *room);

/* Decodes a head of at most MESSAGE_HEAD_MAX bytes. 0; BASE_E_PROTOCOL: it does not parse, a kind is unknown, its part
 * is missing, or a number is out of its range. */
BASE_MUST_USE int wire_decode(struct base_bytes head, struct wire_head *ret_head);

/* Whether frames of this kind may have a body. */
bool wire_has_body(const struct wire_head *head);

#endif
