/* Keys and tags. Everything that ends a session or moves its counters is authentic; PROTOCOL.md "Keys" and "Threats".
 *
 * Owns      key derivation, the two kinds of tags, the name hash. Uses libsodium (BLAKE2b, SipHash-2-4).
 * Relies on nonces that a driver made with libsodium's random source.
 * Not here  what follows from a wrong tag.
 */
#ifndef HOLDFAST_RTCP_AUTH_H
#define HOLDFAST_RTCP_AUTH_H

#include "rtcp/wire.h"

#define RTCP_AUTH_KEY         32
#define RTCP_AUTH_CONTROL_KEY 16

/* The pre-shared key, or zeros where none is set. */
struct rtcp_auth_shared {
    bool is_set;
    uint32_t id; /* 0 where none is set */
    uint8_t key[RTCP_AUTH_KEY];
    uint8_t unknown_key[RTCP_AUTH_CONTROL_KEY]; /* of UNKNOWN messages, which have no session */
    uint8_t asker_key[RTCP_AUTH_CONTROL_KEY];   /* of the proof in the nonce of a RESUME */
};

/* Keys of one session: "up" is what the client sends. */
struct rtcp_auth_keys {
    uint8_t handshake_up[RTCP_AUTH_KEY];
    uint8_t handshake_down[RTCP_AUTH_KEY];
    uint8_t control_up[RTCP_AUTH_CONTROL_KEY];
    uint8_t control_down[RTCP_AUTH_CONTROL_KEY];
};

/* Makes the shared key; an empty range means none. */
void rtcp_auth_shared_init(struct rtcp_auth_shared *s, struct base_bytes key, uint32_t id);

/* Derives the session keys from both nonces of the opening. */
void rtcp_auth_derive(struct rtcp_auth_keys *k, const struct rtcp_auth_shared *s,
                      const uint8_t client_nonce[RTCP_WIRE_NONCE], const uint8_t server_nonce[RTCP_WIRE_NONCE]);

/* Tag of a handshake message: message is everything before the tag; the full counts; request_nonce is the nonce of the
 * request that an answer belongs to, NULL in requests. */
void rtcp_auth_handshake(uint8_t ret_tag[RTCP_WIRE_TAG], const uint8_t key[RTCP_AUTH_KEY], struct base_bytes message,
                         uint64_t received, uint64_t sent, const uint8_t *request_nonce);

/* Puts the tag at the end of an encoded request or answer of `size` bytes. */
void rtcp_auth_sign(uint8_t *message, size_t size, const uint8_t key[RTCP_AUTH_KEY], uint64_t received, uint64_t sent,
                    const uint8_t *request_nonce);

/* Whether the tag of a handshake message as it stood on the wire is right; `body` is the size without trailer. */
bool rtcp_auth_is_signed(const uint8_t *message, size_t size, const uint8_t key[RTCP_AUTH_KEY], uint64_t received,
                         uint64_t sent, const uint8_t *request_nonce);

/* What a RESUME asks for, and its nonce: with a pre-shared key the second half of the nonce proves that the asker holds
 * it, before it learns which names and sessions exist. Without one it proves nothing: see rtcp_auth_is_asker. */
struct rtcp_auth_asked {
    uint32_t cid;
    uint32_t attempt;
    uint64_t name;
    uint64_t server_incarnation;
};

/* Writes the proof behind the first half of a nonce, where a key is set. */
void rtcp_auth_prove(uint8_t nonce[RTCP_WIRE_NONCE], const struct rtcp_auth_shared *s, const struct rtcp_auth_asked *a);
bool rtcp_auth_is_asker(const uint8_t nonce[RTCP_WIRE_NONCE], const struct rtcp_auth_shared *s,
                        const struct rtcp_auth_asked *a);

/* The client's proof in CONFIRM. */
void rtcp_auth_confirm(uint8_t ret_tag[RTCP_WIRE_TAG], const struct rtcp_auth_keys *k,
                       const uint8_t server_nonce[RTCP_WIRE_NONCE]);

/* Tag of a control message: header and data, then the full counts. */
void rtcp_auth_control(uint8_t ret_tag[RTCP_WIRE_CONTROL_TAG], const uint8_t key[RTCP_AUTH_CONTROL_KEY],
                       struct base_bytes message, uint64_t received, uint64_t final);

/* Compares in constant time. */
bool rtcp_auth_equal(const uint8_t *a, const uint8_t *b, size_t size);

/* 64 bits that stand for a service name; never 0. */
uint64_t rtcp_auth_name(struct base_bytes name);

#endif
