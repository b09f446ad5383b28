/* The accepting side's memory: which id is which session, which openings were seen, which sessions are over.
 *
 * Owns      one id space for both roles, the tombstones, the judgement of handshake requests.
 * Relies on session pointers that the driver keeps alive while they are registered.
 * Not here  sockets; what a session does with a request (session.h).
 */
#ifndef HOLDFAST_RTCP_REGISTRY_H
#define HOLDFAST_RTCP_REGISTRY_H

#include "rtcp/base/table.h"
#include "rtcp/keyring.h"
#include "rtcp/tombstone.h"

struct rtcp_registry {
    const struct base_memory *memory;
    struct base_table ids;            /* id -> struct rtcp_session */
    struct base_table nonces;         /* first half of an OPEN's nonce -> struct rtcp_session (servers only) */
    struct base_table graves;         /* id -> struct rtcp_tombstone */
    struct base_table opened;         /* first half of the nonce -> struct rtcp_tombstone (servers only) */
    struct rtcp_tombstone *tombstone; /* RTCP_TOMBSTONES places, the oldest goes first */
    size_t next_tombstone;
    size_t kept;     /* tombstones that are never pushed out */
    size_t promised; /* living sessions that may yet need such a one */
    uint32_t next_id;
};

/* 0, BASE_E_RANGE or BASE_E_NOMEM. first_id: random; ids count up from it and are never 0. */
BASE_MUST_USE int rtcp_registry_init(struct rtcp_registry *r, const struct base_memory *memory, size_t sessions_max,
                                     uint32_t first_id);
void rtcp_registry_deinit(struct rtcp_registry *r);

/* Strangers choose nonces: `secret` makes the places of the tables unpredictable. Before anything is registered. */
void rtcp_registry_salt(struct rtcp_registry *r, uint64_t secret);

/* An id that no session and no tombstone has. */
uint32_t rtcp_registry_next_id(struct rtcp_registry *r);

/* Registers a session under its id and, on a server, its nonce. 0 or BASE_E_RANGE when there is no place. */
BASE_MUST_USE int rtcp_registry_add(struct rtcp_registry *r, struct rtcp_session *s);

/* Takes a dead session out; keep: leave a tombstone. */
void rtcp_registry_bury(struct rtcp_registry *r, const struct rtcp_session *s, bool keep);

struct rtcp_session *rtcp_registry_find(const struct rtcp_registry *r, uint32_t id);
const struct rtcp_tombstone *rtcp_registry_grave(const struct rtcp_registry *r, uint32_t id);

/* Whether a new session may deliver bytes before it is confirmed: true promises its tombstone a place for ever. The
 * promise is given back by rtcp_registry_release when it is confirmed or gone. */
BASE_MUST_USE bool rtcp_registry_promise(struct rtcp_registry *r);
void rtcp_registry_release(struct rtcp_registry *r);

/* Who asks where, for rtcp_registry_judge. */
struct rtcp_registry_place {
    uint64_t incarnation;
    uint64_t name;
    bool is_listening;                     /* the application still accepts new streams */
    const struct rtcp_auth_shared *shared; /* signs what no request's key does; the only key, if keys is NULL */
    const struct rtcp_keyring *keys;
};

enum rtcp_judged {
    RTCP_JUDGED_NEW,     /* an authentic OPEN not seen before: make a session */
    RTCP_JUDGED_KNOWN,   /* pass it to *session */
    RTCP_JUDGED_REFUSED, /* send `answer`, a REFUSE */
    RTCP_JUDGED_CONTROL, /* send `answer`, an ACCEPT; control messages follow on the connection */
};

struct rtcp_judgement {
    enum rtcp_judged kind;
    struct rtcp_session *session;
    const struct rtcp_auth_shared *shared; /* of the request */
    uint8_t answer[RTCP_WIRE_ANSWER];
};

/* Judges a whole request; raw is it as it stood. */
void rtcp_registry_judge(const struct rtcp_registry *r, const struct rtcp_registry_place *place,
                         const struct rtcp_wire_request *request, struct base_bytes raw, struct rtcp_judgement *ret);

/* A REFUSE that no session signs: under the shared key, echoing attempt and nonce. */
void rtcp_registry_refuse(const struct rtcp_registry_place *place, const struct rtcp_wire_request *request,
                          uint8_t reason, uint32_t retry_after_ms, uint8_t out[RTCP_WIRE_ANSWER]);

/* The UNKNOWN that answers a PROBE for nobody; its size. */
size_t rtcp_registry_unknown(const struct rtcp_auth_shared *shared, uint64_t incarnation,
                             const struct rtcp_wire_control *probe, uint8_t out[RTCP_WIRE_CONTROL_MAX]);

#endif
