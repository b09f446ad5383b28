/* The vectors of rtcp/vectors.txt, which an independent script makes from PROTOCOL.md alone: our encoder, decoder and
 * tags give the same bytes, one for one (tests/conformance). P1: a tag covers all 64 bits of a count.
 */
#include "rtcp/auth.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FILE_NAME  "rtcp/vectors.txt" /* tests run in the source folder */
#define FIELDS_MAX 24
#define BYTES_MAX  512
#define LINE_MAX_  1200

struct field {
    char name[32];
    uint64_t number;
    uint8_t bytes[BYTES_MAX];
    size_t size;
};

struct vector {
    char kind[16];
    char title[64];
    struct field field[FIELDS_MAX];
    size_t count;
};

typedef void check_vector(const struct vector *v);

/* ------------------------------------------------------------------------------------------------ reading */

static void parse_hex(const char *text, struct field *f)
{
    if (strcmp(text, "-") == 0) {
        return;
    }
    assert_true(strlen(text) % 2 == 0 && strlen(text) <= sizeof f->bytes * 2);
    for (; text[2 * f->size] != 0; f->size++) {
        unsigned byte = 0;

        assert_int_equal(sscanf(text + 2 * f->size, "%2x", &byte), 1);
        f->bytes[f->size] = (uint8_t)byte;
    }
}

static void parse_field(const char *line, struct vector *v)
{
    struct field *f = &v->field[v->count++];
    char value[LINE_MAX_] = "";
    char word[LINE_MAX_] = "";

    assert_true(v->count <= FIELDS_MAX);
    memset(f, 0, sizeof *f);
    assert_true(sscanf(line, "%31s %1199s %1199s", f->name, word, value) >= 2);
    if (strcmp(word, "hex") == 0) {
        parse_hex(value, f);
    } else {
        f->number = strtoull(word, NULL, 0);
    }
}

/* Calls check for every vector of this kind; at least `least` of them. */
static void for_each(const char *kind, size_t least, check_vector *check)
{
    FILE *file = fopen(FILE_NAME, "r");
    struct vector v = {.count = 0};
    char line[LINE_MAX_];
    size_t seen = 0;
    bool is_more = true;

    assert_non_null(file);
    while (is_more) {
        is_more = fgets(line, sizeof line, file) != NULL;
        if (!is_more || strncmp(line, "vector ", 7) == 0) {
            if (v.count > 0 && strcmp(v.kind, kind) == 0) {
                check(&v);
                seen++;
            }
            v.count = 0;
            if (is_more) {
                assert_int_equal(sscanf(line, "vector %15s %63s", v.kind, v.title), 2);
            }
        } else if (line[0] != '#' && line[0] != '\n') {
            parse_field(line, &v);
        }
    }
    fclose(file);
    assert_true(seen >= least);
}

static const struct field *field_or_null(const struct vector *v, const char *name)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strcmp(v->field[i].name, name) == 0) {
            return &v->field[i];
        }
    }
    return NULL;
}

static const struct field *field(const struct vector *v, const char *name)
{
    const struct field *f = field_or_null(v, name);

    if (f == NULL) {
        fail_msg("%s has no field %s", v->title, name);
    }
    return f;
}

/* The number of a field, 0 where it is not there. */
static uint64_t number(const struct vector *v, const char *name)
{
    const struct field *f = field_or_null(v, name);

    return f == NULL ? 0 : f->number;
}

static void expect(const struct vector *v, const char *name, const uint8_t *bytes, size_t size)
{
    const struct field *f = field(v, name);

    if (f->size < size || memcmp(f->bytes, bytes, size) != 0) {
        fail_msg("%s: %s differs from the file", v->title, name);
    }
}

/* ------------------------------------------------------------------------------------------------ keys */

static void check_keys(const struct vector *v)
{
    const struct field *preshared = field(v, "preshared");
    struct rtcp_auth_shared shared;
    struct rtcp_auth_keys k;
    uint8_t confirm[RTCP_WIRE_TAG];

    rtcp_auth_shared_init(&shared, (struct base_bytes){preshared->bytes, preshared->size}, 1);
    rtcp_auth_derive(&k, &shared, field(v, "client_nonce")->bytes, field(v, "server_nonce")->bytes);
    rtcp_auth_confirm(confirm, &k, field(v, "server_nonce")->bytes);
    expect(v, "shared", shared.key, sizeof shared.key);
    expect(v, "unknown", shared.unknown_key, sizeof shared.unknown_key);
    expect(v, "asker", shared.asker_key, sizeof shared.asker_key);
    expect(v, "handshake_up", k.handshake_up, sizeof k.handshake_up);
    expect(v, "handshake_down", k.handshake_down, sizeof k.handshake_down);
    expect(v, "control_up", k.control_up, sizeof k.control_up);
    expect(v, "control_down", k.control_down, sizeof k.control_down);
    expect(v, "confirm", confirm, sizeof confirm);
}

static void keys_are_derived_as_the_text_says(void **state)
{
    (void)state;
    for_each("keys", 4, check_keys);
}

/* A nonce of an asker: our own proof behind its first half, and the judge's word. */
static void check_proof(const struct vector *v)
{
    const struct field *preshared = field(v, "preshared");
    struct rtcp_auth_asked asked = {(uint32_t)number(v, "cid"), (uint32_t)number(v, "attempt"), number(v, "name"),
                                    number(v, "server_incarnation")};
    struct rtcp_auth_shared shared;
    uint8_t nonce[RTCP_WIRE_NONCE] = {0};

    rtcp_auth_shared_init(&shared, (struct base_bytes){preshared->bytes, preshared->size}, 1);
    base_copy(nonce, field(v, "nonce")->bytes, sizeof nonce / 2);
    rtcp_auth_prove(nonce, &shared, &asked);
    expect(v, "nonce", nonce, sizeof nonce);
    assert_true(rtcp_auth_is_asker(nonce, &shared, &asked));
    asked.attempt++;
    assert_false(rtcp_auth_is_asker(nonce, &shared, &asked));
}

static void proofs_are_made_as_the_text_says(void **state)
{
    (void)state;
    for_each("proof", 3, check_proof);
}

static void check_name(const struct vector *v)
{
    const struct field *text = field(v, "text");

    assert_true(rtcp_auth_name((struct base_bytes){text->bytes, text->size}) == field(v, "value")->number);
}

static void names_are_hashed_as_the_text_says(void **state)
{
    (void)state;
    for_each("name", 3, check_name);
}

static void check_extend(const struct vector *v)
{
    assert_true(rtcp_wire_extend((uint32_t)field(v, "low")->number, field(v, "near")->number) ==
                field(v, "value")->number);
}

static void counts_are_extended_as_the_text_says(void **state)
{
    (void)state;
    for_each("extend", 40, check_extend);
}

/* ------------------------------------------------------------------------------------------------ handshake */

static struct rtcp_wire_request request_of(const struct vector *v)
{
    struct rtcp_wire_request r = {
        .kind = (uint8_t)number(v, "kind"),
        .flags = (uint16_t)number(v, "flags"),
        .udp_port = (uint16_t)number(v, "port"),
        .key_id = (uint32_t)number(v, "key_id"),
        .cid = (uint32_t)number(v, "cid"),
        .control_id = (uint32_t)number(v, "control_id"),
        .attempt = (uint32_t)number(v, "attempt"),
        .received = number(v, "received"),
        .sent = number(v, "sent"),
        .window = (uint32_t)number(v, "window"),
        .early = (uint32_t)number(v, "early"),
        .client_incarnation = number(v, "incarnation"),
        .name = number(v, "name"),
        .server_incarnation = number(v, "server_incarnation"),
    };

    base_copy(r.nonce, field(v, "nonce")->bytes, sizeof r.nonce);
    return r;
}

/* The bytes of the file behind `size` of ours are the trailer; a reader takes the whole and sees the length. */
static void check_whole(const struct vector *v, size_t size)
{
    const struct field *whole = field(v, "bytes");
    size_t total = 0;
    uint8_t version = 0;

    assert_int_equal(whole->size, size + field(v, "trailer")->size);
    assert_int_equal(rtcp_wire_total((struct base_bytes){whole->bytes, whole->size}, &total, &version), 0);
    assert_int_equal(total, whole->size);
    assert_int_equal(version, RTCP_WIRE_VERSION);
}

/* With a trailer the length differs from what our encoder writes: put in, because the tag covers it. */
static void put_length(uint8_t *out, const struct vector *v)
{
    base_put16(out + 6, (uint16_t)(field(v, "bytes")->size - RTCP_WIRE_PREFIX));
}

/* A message of our encoder, with a tag of ours, is that of the file. */
static void check_signed(const struct vector *v, uint8_t *out, size_t size, uint64_t received, uint64_t sent,
                         const uint8_t *nonce)
{
    put_length(out, v);
    rtcp_auth_sign(out, size, field(v, "tag_key")->bytes, received, sent, nonce);
    expect(v, "bytes", out, size);
    check_whole(v, size);
}

/* So is what our encoder makes of what our decoder read, tag included. */
static void check_again(const struct vector *v, uint8_t *out, size_t size)
{
    put_length(out, v);
    expect(v, "bytes", out, size);
}

static void check_request(const struct vector *v)
{
    struct rtcp_wire_request r = request_of(v);
    const struct field *whole = field(v, "bytes");
    const uint8_t *key = field(v, "tag_key")->bytes;
    uint8_t out[RTCP_WIRE_REQUEST];
    struct rtcp_wire_request got;

    rtcp_wire_put_request(out, &r);
    check_signed(v, out, sizeof out, r.received, r.sent, NULL);

    assert_int_equal(rtcp_wire_get_request((struct base_bytes){whole->bytes, whole->size}, &got), 0);
    assert_true(rtcp_auth_is_signed(whole->bytes, sizeof out, key, r.received, r.sent, NULL));
    assert_false(rtcp_auth_is_signed(whole->bytes, sizeof out, key, r.received + ((uint64_t)1 << 32), r.sent, NULL));
    got.received = r.received;
    got.sent = r.sent;
    rtcp_wire_put_request(out, &got);
    check_again(v, out, sizeof out);
}

static void requests_are_the_bytes_of_the_file(void **state)
{
    (void)state;
    for_each("request", 24, check_request);
}

static struct rtcp_wire_answer answer_of(const struct vector *v)
{
    struct rtcp_wire_answer a = {
        .kind = (uint8_t)number(v, "kind"),
        .reason = (uint8_t)number(v, "reason"),
        .flags = (uint8_t)number(v, "flags"),
        .version_min = (uint8_t)number(v, "lowest"),
        .version_max = (uint8_t)number(v, "highest"),
        .udp_port = (uint16_t)number(v, "port"),
        .cid = (uint32_t)number(v, "cid"),
        .control_id = (uint32_t)number(v, "control_id"),
        .attempt = (uint32_t)number(v, "attempt"),
        .received = number(v, "received"),
        .sent = number(v, "sent"),
        .window = (uint32_t)number(v, "window"),
        .retry_after_ms = (uint32_t)number(v, "retry"),
        .incarnation = number(v, "incarnation"),
        .name = number(v, "name"),
    };

    base_copy(a.nonce, field(v, "nonce")->bytes, sizeof a.nonce);
    return a;
}

static void check_answer(const struct vector *v)
{
    struct rtcp_wire_answer a = answer_of(v);
    const struct field *whole = field(v, "bytes");
    const uint8_t *key = field(v, "tag_key")->bytes;
    const uint8_t *nonce = field(v, "request_nonce")->bytes;
    const uint8_t other_nonce[RTCP_WIRE_NONCE] = {1};
    uint8_t out[RTCP_WIRE_ANSWER];
    struct rtcp_wire_answer got;

    rtcp_wire_put_answer(out, &a);
    check_signed(v, out, sizeof out, a.received, a.sent, nonce);

    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){whole->bytes, whole->size}, &got), 0);
    assert_true(rtcp_auth_is_signed(whole->bytes, sizeof out, key, a.received, a.sent, nonce));
    assert_false(rtcp_auth_is_signed(whole->bytes, sizeof out, key, a.received, a.sent, other_nonce));
    got.received = a.received;
    got.sent = a.sent;
    rtcp_wire_put_answer(out, &got);
    check_again(v, out, sizeof out);
}

static void answers_are_the_bytes_of_the_file(void **state)
{
    (void)state;
    for_each("answer", 34, check_answer);
}

/* ------------------------------------------------------------------------------------------------ control */

static struct rtcp_wire_control control_of(const struct vector *v)
{
    const struct field *more = field(v, "more");
    struct rtcp_wire_control c = {
        .id = (uint32_t)number(v, "id"),
        .type = (uint8_t)number(v, "type"),
        .flagged = number(v, "flagged") != 0,
        .message_id = (uint16_t)number(v, "message_id"),
        .received = number(v, "received"),
        .final = number(v, "final"),
        .ring = (uint32_t)number(v, "ring"),
        .attempt = (uint32_t)number(v, "attempt"),
        .unread = (uint32_t)number(v, "unread"),
        .asker = (uint32_t)number(v, "own_id"),
        .incarnation = number(v, "incarnation"),
        .has_data = number(v, "type") == RTCP_WIRE_PROBE && more->size >= RTCP_WIRE_PROBE_DATA,
    };

    base_put64(c.echo, number(v, "echo"));
    if (c.has_data) {
        base_copy(c.data, more->bytes, sizeof c.data);
    }
    return c;
}

static void check_control_out(const struct vector *v, const struct rtcp_wire_control *c)
{
    uint8_t out[RTCP_WIRE_CONTROL_MAX];
    size_t size = rtcp_wire_put_control(out, c);

    rtcp_auth_control(out + size, field(v, "tag_key")->bytes, (struct base_bytes){out, size}, c->received, c->final);
    assert_int_equal(size + RTCP_WIRE_CONTROL_TAG, field(v, "bytes")->size);
    expect(v, "bytes", out, size + RTCP_WIRE_CONTROL_TAG);
}

static void check_control_in(const struct vector *v, const struct rtcp_wire_control *want)
{
    const struct field *whole = field(v, "bytes");
    const uint8_t *key = field(v, "tag_key")->bytes;
    struct base_bytes left = {whole->bytes, whole->size};
    struct rtcp_wire_control got;
    uint8_t tag[RTCP_WIRE_CONTROL_TAG];

    assert_int_equal(rtcp_wire_get_control(&left, &got), 0);
    assert_int_equal(left.size, 0);
    assert_int_equal(got.id, want->id);
    assert_int_equal(got.type, want->type);
    assert_int_equal(got.flagged, want->flagged);
    assert_int_equal(got.message_id, want->message_id);
    assert_int_equal(got.received, (uint32_t)want->received);
    assert_int_equal(got.final, (uint32_t)want->final);
    assert_int_equal(got.ring, want->ring);
    assert_int_equal(got.attempt, want->attempt);
    assert_int_equal(got.unread, want->unread);
    assert_int_equal(got.asker, want->asker);
    assert_true(got.incarnation == want->incarnation);
    assert_int_equal(got.has_data, want->has_data);
    assert_memory_equal(got.data, want->data, sizeof got.data);
    assert_memory_equal(got.echo, want->echo, sizeof got.echo);
    rtcp_auth_control(tag, key, got.signed_bytes, want->received, want->final);
    assert_memory_equal(tag, got.tag, sizeof tag);
    rtcp_auth_control(tag, key, got.signed_bytes, want->received + ((uint64_t)1 << 32), want->final);
    assert_memory_not_equal(tag, got.tag, sizeof tag);
}

static void check_control(const struct vector *v)
{
    struct rtcp_wire_control c = control_of(v);
    bool is_ours = c.type <= RTCP_WIRE_PASSIVE && (field(v, "more")->size == 0 || c.has_data);

    if (is_ours) {
        check_control_out(v, &c);
    }
    check_control_in(v, &c);
}

static void control_messages_are_the_bytes_of_the_file(void **state)
{
    (void)state;
    for_each("control", 60, check_control);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_derived_as_the_text_says),
        cmocka_unit_test(proofs_are_made_as_the_text_says),
        cmocka_unit_test(names_are_hashed_as_the_text_says),
        cmocka_unit_test(counts_are_extended_as_the_text_says),
        cmocka_unit_test(requests_are_the_bytes_of_the_file),
        cmocka_unit_test(answers_are_the_bytes_of_the_file),
        cmocka_unit_test(control_messages_are_the_bytes_of_the_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
