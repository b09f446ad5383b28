/* The bytes of the protocol: handshake messages on TCP and control messages on UDP. PROTOCOL.md has the tables.
 *
 * Owns      encoding and decoding; every length is checked before use.
 * Relies on rtcp/base/bytes.h.
 * Not here  keys and tags (auth.h), meaning (session.c), counters beyond 32 bits (extended by the session).
 */
#ifndef HOLDFAST_RTCP_WIRE_H
#define HOLDFAST_RTCP_WIRE_H

#include "rtcp/base/bytes.h"
#include "rtcp/base/status.h"

#define RTCP_WIRE_MAGIC         0x48464c44u /* "HFLD" */
#define RTCP_WIRE_VERSION       1
#define RTCP_WIRE_PREFIX        8   /* magic 4, version 1, kind 1, length 2: frozen for ever */
#define RTCP_WIRE_TRAILER_MAX   256 /* unknown bytes behind a body that are skipped */
#define RTCP_WIRE_REQUEST       100 /* prefix and body of a client's message */
#define RTCP_WIRE_ANSWER        92  /* prefix and body of a server's message */
#define RTCP_WIRE_HANDSHAKE_MAX (RTCP_WIRE_REQUEST + RTCP_WIRE_TRAILER_MAX)
#define RTCP_WIRE_TAG           16
#define RTCP_WIRE_NONCE         16
#define RTCP_WIRE_CONFIRM       16 /* the whole CONFIRM: one tag */

enum rtcp_wire_kind {
    RTCP_WIRE_OPEN = 1,
    RTCP_WIRE_RESUME = 2,
    RTCP_WIRE_CONTROL = 3,
    RTCP_WIRE_ACCEPT = 17,
    RTCP_WIRE_RESUMED = 18,
    RTCP_WIRE_REFUSE = 19,
};

enum rtcp_wire_flag {
    RTCP_WIRE_SHUT = 1,      /* the sender of this message has ended its direction: `sent` is final */
    RTCP_WIRE_CLOSED = 2,    /* ... and reads no more: `received` is final, too */
    RTCP_WIRE_TEMPORARY = 4, /* REFUSE: try again after retry_after_ms */
};

enum rtcp_wire_request_flag {
    RTCP_WIRE_HEARD = 4, /* RESUME, beside the two above: the client has heard the server's CLOSE and has everything */
};

enum rtcp_wire_reason {
    RTCP_WIRE_FINE = 0,
    RTCP_WIRE_NOT_LISTENING = 1, /* the application closed its listener */
    RTCP_WIRE_FULL = 2,          /* too many streams; temporary */
    RTCP_WIRE_WRONG_NAME = 3,    /* another service lives here */
    RTCP_WIRE_BAD_KEY = 4,       /* tag or key id is wrong */
    RTCP_WIRE_NO_SESSION = 5,    /* this endpoint does not know the session */
    RTCP_WIRE_IS_CLOSED = 6,     /* the session is over: both sides closed (session key) */
    RTCP_WIRE_IS_RESET = 7,      /* the application aborted it (session key) */
    RTCP_WIRE_UNCONFIRMED = 8,   /* it was dropped because nobody confirmed it (session key) */
    RTCP_WIRE_BAD_VERSION = 9,   /* see the version bytes */
    RTCP_WIRE_BAD_COUNT = 10,    /* a count is impossible: one side is broken (session key) */
    RTCP_WIRE_NOT_HERE = 11,     /* this kind of message is not served */
};

/* OPEN, RESUME, CONTROL. received and sent travel as 32 bits; the full values are under the tag. */
struct rtcp_wire_request {
    uint8_t kind;
    uint16_t flags;
    uint16_t udp_port;
    uint32_t key_id;
    uint32_t cid; /* 0 in OPEN */
    uint32_t control_id;
    uint32_t attempt;
    uint64_t received;
    uint64_t sent;
    uint32_t window;
    uint32_t early;
    uint64_t client_incarnation;
    uint64_t name;
    uint64_t server_incarnation; /* 0 in OPEN */
    uint8_t nonce[RTCP_WIRE_NONCE];
    uint8_t tag[RTCP_WIRE_TAG];
};

/* ACCEPT, RESUMED, REFUSE. */
struct rtcp_wire_answer {
    uint8_t kind;
    uint8_t reason;
    uint8_t flags;
    uint8_t version_min;
    uint8_t version_max;
    uint16_t udp_port;
    uint32_t cid;
    uint32_t control_id;
    uint32_t attempt;
    uint64_t received;
    uint64_t sent;
    uint32_t window;
    uint32_t retry_after_ms;
    uint64_t incarnation;
    uint64_t name;
    uint8_t nonce[RTCP_WIRE_NONCE];
    uint8_t tag[RTCP_WIRE_TAG];
};

/* Writes a message with the tag the struct holds; the tag is the last RTCP_WIRE_TAG bytes. */
void rtcp_wire_put_request(uint8_t out[RTCP_WIRE_REQUEST], const struct rtcp_wire_request *r);
void rtcp_wire_put_answer(uint8_t out[RTCP_WIRE_ANSWER], const struct rtcp_wire_answer *a);

/* How many bytes the handshake message beginning here has in all: 0 and *ret_total (RTCP_WIRE_PREFIX while fewer than
 * that are there), or BASE_E_PROTOCOL: another magic, or a length no message has. A version that is not ours is no
 * error here, because the prefix is frozen: *ret_version tells it (0 while unknown). */
BASE_MUST_USE int rtcp_wire_total(struct base_bytes in, size_t *ret_total, uint8_t *ret_version);

/* Reads a whole message (rtcp_wire_total bytes). Counts come out as their low 32 bits. 0 or BASE_E_PROTOCOL. */
BASE_MUST_USE int rtcp_wire_get_request(struct base_bytes in, struct rtcp_wire_request *ret_request);
BASE_MUST_USE int rtcp_wire_get_answer(struct base_bytes in, struct rtcp_wire_answer *ret_answer);

/* ------------------------------------------------------------------------------------------------ control */

#define RTCP_WIRE_CONTROL_HEADER 8 /* connection id 4, type 1, flags 1, message id 2: the paper's (3.5) */
#define RTCP_WIRE_CONTROL_TAG    8
#define RTCP_WIRE_CONTROL_MAX    (RTCP_WIRE_CONTROL_HEADER + 63 * 4 + RTCP_WIRE_CONTROL_TAG) /* 268 */
#define RTCP_WIRE_ECHO           8
#define RTCP_WIRE_PROBE_DATA     32

enum rtcp_wire_type {
    RTCP_WIRE_ACK = 1,
    RTCP_WIRE_REQACK = 2,
    RTCP_WIRE_HALF_CLOSE = 3,
    RTCP_WIRE_CLOSE = 4,
    RTCP_WIRE_RESET = 5,
    RTCP_WIRE_CONF = 6,
    RTCP_WIRE_PROBE = 7,
    RTCP_WIRE_PROBE_REPLY = 8,
    RTCP_WIRE_WAKE = 9,
    RTCP_WIRE_UNKNOWN = 10,
    RTCP_WIRE_PASSIVE = 11,
};

#define RTCP_WIRE_FLAGGED 0x80 /* answered by CONF */
#define RTCP_WIRE_WORDS   0x3f /* low bits of the flag byte: size of the data in words of 4 bytes */

/* One control message; fields that a type does not carry are 0. */
struct rtcp_wire_control {
    uint32_t id;
    uint8_t type;
    bool flagged;
    uint16_t message_id;
    uint64_t received;            /* ACK, REQACK, HALF_CLOSE, CLOSE, PROBE_REPLY, PASSIVE: 32 bits on the wire */
    uint64_t final;               /* HALF_CLOSE, CLOSE: 32 bits on the wire */
    uint32_t ring;                /* REQACK */
    uint32_t attempt;             /* PROBE, PROBE_REPLY, WAKE, PASSIVE; RESET: 0 */
    uint32_t unread;              /* PROBE_REPLY */
    uint32_t asker;               /* PROBE */
    uint64_t incarnation;         /* UNKNOWN */
    uint8_t echo[RTCP_WIRE_ECHO]; /* PROBE, PROBE_REPLY, UNKNOWN */
    bool has_data;                /* PROBE */
    uint8_t data[RTCP_WIRE_PROBE_DATA];
    struct base_bytes signed_bytes; /* decoding: header and data as they stood in the datagram */
    uint8_t tag[RTCP_WIRE_CONTROL_TAG];
};

/* Whether messages of a type carry the count that their sender received, and the one at which its bytes end. The full
 * counts are under the tag. */
bool rtcp_wire_has_received(uint8_t type);
bool rtcp_wire_has_final(uint8_t type);

/* Writes header and data (not the tag) and returns their size. */
size_t rtcp_wire_put_control(uint8_t out[RTCP_WIRE_CONTROL_MAX], const struct rtcp_wire_control *c);

/* Takes the next message off a datagram: 0 and moves *datagram on; BASE_E_PROTOCOL when what is left is no message.
 * A type that is not known comes out with id, flags, message id and signed_bytes only. */
BASE_MUST_USE int rtcp_wire_get_control(struct base_bytes *datagram, struct rtcp_wire_control *ret_control);

/* The 64-bit count nearest to `near` whose low 32 bits are `low`. */
uint64_t rtcp_wire_extend(uint32_t low, uint64_t near);

#endif
