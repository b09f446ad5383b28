/* What is kept of a session that is over, so that late messages get a true answer (P38).
 *
 * Owns      counts, keys and the reason of the end.
 * Relies on the session's last state.
 * Not here  how many there are (registry.h).
 */
#ifndef HOLDFAST_RTCP_TOMBSTONE_H
#define HOLDFAST_RTCP_TOMBSTONE_H

#include "rtcp/session.h"

struct rtcp_tombstone {
    uint32_t id; /* 0: this place is free */
    uint32_t peer_id;
    bool is_client;
    bool is_kept;   /* an unconfirmed session that delivered bytes: never pushed out by newer ones */
    uint8_t reason; /* enum rtcp_wire_reason: IS_CLOSED, IS_RESET, UNCONFIRMED, BAD_COUNT */
    uint64_t received;
    uint64_t sent;
    uint64_t acked;
    uint8_t client_nonce[RTCP_WIRE_NONCE];
    uint8_t server_nonce[RTCP_WIRE_NONCE];
    struct rtcp_auth_keys keys;
};

/* Made of a session in the state DEAD. */
void rtcp_tombstone_make(struct rtcp_tombstone *t, const struct rtcp_session *s);

/* Answers a control message that came for the session: `out` is filled with encoded messages; their size, 0 for none.
 * Forged messages get no answer. */
size_t rtcp_tombstone_answer(const struct rtcp_tombstone *t, const struct rtcp_wire_control *c,
                             uint8_t out[2 * RTCP_WIRE_CONTROL_MAX]);

/* The REFUSE that answers a request for this session: its final word, under its key. */
void rtcp_tombstone_refuse(const struct rtcp_tombstone *t, const struct rtcp_wire_request *r, uint64_t incarnation,
                           uint64_t name, uint8_t out[RTCP_WIRE_ANSWER]);

#endif
