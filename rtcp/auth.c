/* See auth.h. Pure: libsodium only computes here. */
#include "rtcp/auth.h"

#include "rtcp/base/check.h"

#include <assert.h>
#include <sodium.h>

static_assert(RTCP_AUTH_CONTROL_KEY == crypto_shorthash_KEYBYTES, "SipHash-2-4 takes 16 bytes");
static_assert(RTCP_WIRE_CONTROL_TAG == crypto_shorthash_BYTES, "SipHash-2-4 gives 8 bytes");

static const char label[] = "holdfast rtcp 1";

/* One derived key: BLAKE2b keyed with `key` over label, purpose and two nonces (which may be NULL). */
static void derive(uint8_t *out, size_t size, const uint8_t *key, char purpose, const uint8_t *a, const uint8_t *b)
{
    crypto_generichash_state h;
    uint8_t full[RTCP_AUTH_KEY];
    uint8_t p = (uint8_t)purpose;

    CHECK(size <= sizeof full);
    CHECK(crypto_generichash_init(&h, key, RTCP_AUTH_KEY, sizeof full) == 0);
    crypto_generichash_update(&h, (const uint8_t *)label, sizeof label - 1);
    crypto_generichash_update(&h, &p, 1);
    if (a != NULL) {
        crypto_generichash_update(&h, a, RTCP_WIRE_NONCE);
        crypto_generichash_update(&h, b, RTCP_WIRE_NONCE);
    }
    crypto_generichash_final(&h, full, sizeof full);
    base_copy(out, full, size);
    sodium_memzero(full, sizeof full);
}

void rtcp_auth_shared_init(struct rtcp_auth_shared *s, struct base_bytes key, uint32_t id)
{
    base_zero(s, sizeof *s);
    if (key.size > 0) {
        s->is_set = true;
        s->id = id;
        crypto_generichash(s->key, sizeof s->key, key.data, key.size, (const uint8_t *)label, sizeof label - 1);
    }
    derive(s->unknown_key, sizeof s->unknown_key, s->key, 'u', NULL, NULL);
    derive(s->asker_key, sizeof s->asker_key, s->key, 'r', NULL, NULL);
}

void rtcp_auth_derive(struct rtcp_auth_keys *k, const struct rtcp_auth_shared *s,
                      const uint8_t client_nonce[RTCP_WIRE_NONCE], const uint8_t server_nonce[RTCP_WIRE_NONCE])
{
    derive(k->handshake_up, sizeof k->handshake_up, s->key, 'H', client_nonce, server_nonce);
    derive(k->handshake_down, sizeof k->handshake_down, s->key, 'h', client_nonce, server_nonce);
    derive(k->control_up, sizeof k->control_up, s->key, 'C', client_nonce, server_nonce);
    derive(k->control_down, sizeof k->control_down, s->key, 'c', client_nonce, server_nonce);
}

void rtcp_auth_handshake(uint8_t ret_tag[RTCP_WIRE_TAG], const uint8_t key[RTCP_AUTH_KEY], struct base_bytes message,
                         uint64_t received, uint64_t sent, const uint8_t *request_nonce)
{
    crypto_generichash_state h;
    uint8_t counts[16];

    base_put64(counts, received);
    base_put64(counts + 8, sent);
    CHECK(crypto_generichash_init(&h, key, RTCP_AUTH_KEY, RTCP_WIRE_TAG) == 0);
    crypto_generichash_update(&h, message.data, message.size);
    crypto_generichash_update(&h, counts, sizeof counts);
    if (request_nonce != NULL) {
        crypto_generichash_update(&h, request_nonce, RTCP_WIRE_NONCE);
    }
    crypto_generichash_final(&h, ret_tag, RTCP_WIRE_TAG);
}

void rtcp_auth_sign(uint8_t *message, size_t size, const uint8_t key[RTCP_AUTH_KEY], uint64_t received, uint64_t sent,
                    const uint8_t *request_nonce)
{
    struct base_bytes signed_part = {message, size - RTCP_WIRE_TAG};

    rtcp_auth_handshake(message + size - RTCP_WIRE_TAG, key, signed_part, received, sent, request_nonce);
}

bool rtcp_auth_is_signed(const uint8_t *message, size_t size, const uint8_t key[RTCP_AUTH_KEY], uint64_t received,
                         uint64_t sent, const uint8_t *request_nonce)
{
    struct base_bytes signed_part = {message, size - RTCP_WIRE_TAG};
    uint8_t tag[RTCP_WIRE_TAG];

    rtcp_auth_handshake(tag, key, signed_part, received, sent, request_nonce);
    return rtcp_auth_equal(tag, message + size - RTCP_WIRE_TAG, RTCP_WIRE_TAG);
}

static void prove(uint8_t out[8], const uint8_t nonce[RTCP_WIRE_NONCE], const struct rtcp_auth_shared *s,
                  const struct rtcp_auth_asked *a)
{
    uint8_t text[RTCP_WIRE_NONCE / 2 + 24];

    base_copy(text, nonce, RTCP_WIRE_NONCE / 2);
    base_put32(text + 8, a->cid);
    base_put32(text + 12, a->attempt);
    base_put64(text + 16, a->name);
    base_put64(text + 24, a->server_incarnation);
    crypto_shorthash(out, text, sizeof text, s->asker_key);
}

void rtcp_auth_prove(uint8_t nonce[RTCP_WIRE_NONCE], const struct rtcp_auth_shared *s, const struct rtcp_auth_asked *a)
{
    if (s->is_set) {
        prove(nonce + RTCP_WIRE_NONCE / 2, nonce, s, a);
    }
}

bool rtcp_auth_is_asker(const uint8_t nonce[RTCP_WIRE_NONCE], const struct rtcp_auth_shared *s,
                        const struct rtcp_auth_asked *a)
{
    uint8_t right[crypto_shorthash_BYTES];

    if (!s->is_set) {
        return true;
    }
    prove(right, nonce, s, a);
    return rtcp_auth_equal(right, nonce + RTCP_WIRE_NONCE / 2, sizeof right);
}

void rtcp_auth_confirm(uint8_t ret_tag[RTCP_WIRE_TAG], const struct rtcp_auth_keys *k,
                       const uint8_t server_nonce[RTCP_WIRE_NONCE])
{
    rtcp_auth_handshake(ret_tag, k->handshake_up, (struct base_bytes){server_nonce, RTCP_WIRE_NONCE}, 0, 0, NULL);
}

void rtcp_auth_control(uint8_t ret_tag[RTCP_WIRE_CONTROL_TAG], const uint8_t key[RTCP_AUTH_CONTROL_KEY],
                       struct base_bytes message, uint64_t received, uint64_t final)
{
    uint8_t all[RTCP_WIRE_CONTROL_MAX + 16];

    CHECK(message.size + 16 <= sizeof all);
    base_copy(all, message.data, message.size);
    base_put64(all + message.size, received);
    base_put64(all + message.size + 8, final);
    crypto_shorthash(ret_tag, all, message.size + 16, key);
}

bool rtcp_auth_equal(const uint8_t *a, const uint8_t *b, size_t size)
{
    return sodium_memcmp(a, b, size) == 0;
}

uint64_t rtcp_auth_name(struct base_bytes name)
{
    uint8_t hash[crypto_generichash_BYTES_MIN];
    uint64_t number;

    crypto_generichash(hash, sizeof hash, name.data, name.size, (const uint8_t *)label, sizeof label - 1);
    number = base_get64(hash);
    return number == 0 ? 1 : number;
}
