/* Tests of rtcp/registry.h: who is judged how, and how long the dead are remembered (P14, P38, P41, P66). */
#include "rtcp/base/ringmem_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/registry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#define NOW         BASE_S(100)
#define NAME        0x1111222233334444u
#define INCARNATION 0x5555666677778888u

static const struct base_trace silent;

struct world {
    struct rtcp_registry registry;
    struct rtcp_auth_shared shared;
    struct rtcp_registry_place place;
    struct base_rng rng;
};

static void open_world(struct world *w, const char *key, size_t sessions)
{
    rtcp_auth_shared_init(&w->shared, (struct base_bytes){(const uint8_t *)key, strlen(key)}, 9);
    assert_int_equal(rtcp_registry_init(&w->registry, base_memory_libc(), sessions, 100), 0);
    w->place = (struct rtcp_registry_place){INCARNATION, NAME, true, &w->shared, NULL};
    base_rng_init(&w->rng, 1);
}

static void close_world(struct world *w)
{
    rtcp_registry_deinit(&w->registry);
}

static void sign(const struct world *w, const struct rtcp_wire_request *r, uint8_t raw[RTCP_WIRE_REQUEST])
{
    rtcp_wire_put_request(raw, r);
    rtcp_auth_sign(raw, RTCP_WIRE_REQUEST, w->shared.key, 0, 0, NULL);
}

static void make_open(struct world *w, struct rtcp_wire_request *r, uint8_t raw[RTCP_WIRE_REQUEST])
{
    *r = (struct rtcp_wire_request){.kind = RTCP_WIRE_OPEN,
                                    .key_id = w->shared.id,
                                    .control_id = 77,
                                    .attempt = 1,
                                    .window = 4096,
                                    .client_incarnation = 5};

    base_put64(r->nonce, base_rng_next(&w->rng));
    base_put64(r->nonce + 8, base_rng_next(&w->rng));
    sign(w, r, raw);
}

static enum rtcp_judged judge(const struct world *w, const struct rtcp_wire_request *r, const uint8_t *raw,
                              struct rtcp_judgement *ret)
{
    rtcp_registry_judge(&w->registry, &w->place, r, (struct base_bytes){raw, RTCP_WIRE_REQUEST}, ret);
    return ret->kind;
}

static uint8_t reason_of(const struct rtcp_judgement *j)
{
    struct rtcp_wire_answer a;

    assert_int_equal(j->kind, RTCP_JUDGED_REFUSED);
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){j->answer, RTCP_WIRE_ANSWER}, &a), 0);
    assert_int_equal(a.kind, RTCP_WIRE_REFUSE);
    return a.reason;
}

static void expect_refused(const struct world *w, const struct rtcp_wire_request *r, const uint8_t *raw, uint8_t reason)
{
    struct rtcp_judgement j;

    (void)judge(w, r, raw, &j);
    assert_int_equal(reason_of(&j), reason);
}

/* A server's session made of an OPEN. */
static struct rtcp_session *add_session(struct world *w, const struct rtcp_wire_request *r)
{
    struct rtcp_session *s = calloc(1, sizeof *s);
    struct rtcp_session_options o = {.ring = 4096,
                                     .idle_probe = BASE_S(15),
                                     .linger_max = BASE_S(600),
                                     .name = NAME,
                                     .incarnation = INCARNATION,
                                     .shared = &w->shared,
                                     .ring_source = base_ringmem_system(),
                                     .trace = &silent};

    assert_non_null(s);
    o.id = rtcp_registry_next_id(&w->registry);
    assert_int_equal(rtcp_session_accept(s, &o, NOW, r), 0);
    return s;
}

/* A session of a new OPEN, registered. */
static struct rtcp_session *open_session(struct world *w, struct rtcp_wire_request *r, uint8_t raw[RTCP_WIRE_REQUEST])
{
    struct rtcp_session *s;

    make_open(w, r, raw);
    s = add_session(w, r);
    assert_int_equal(rtcp_registry_add(&w->registry, s), 0);
    return s;
}

static void bury(struct world *w, struct rtcp_session *s, bool keep)
{
    rtcp_registry_bury(&w->registry, s, keep);
    rtcp_session_deinit(s);
    free(s);
}

/* ------------------------------------------------------------------------------------------------ ids */

static void ids_count_up_skip_zero_and_are_never_taken_twice(void **state)
{
    struct rtcp_wire_request r;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_session *s;
    struct world w;

    (void)state;
    open_world(&w, "", 8);
    w.registry.next_id = UINT32_MAX;
    assert_int_equal(rtcp_registry_next_id(&w.registry), UINT32_MAX);
    assert_int_equal(rtcp_registry_next_id(&w.registry), 1);
    s = open_session(&w, &r, raw);
    w.registry.next_id = s->opt.id;
    assert_int_equal(rtcp_registry_next_id(&w.registry), s->opt.id + 1);
    w.registry.next_id = s->opt.id;
    s->end = BASE_E_RESET;
    bury(&w, s, true);
    assert_int_equal(rtcp_registry_next_id(&w.registry), 3); /* a tombstone has it still */
    close_world(&w);
}

static void a_full_registry_says_so_and_keeps_nothing(void **state)
{
    struct rtcp_session *s[3];
    struct rtcp_wire_request r;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct world w;

    (void)state;
    open_world(&w, "", 2);
    for (int i = 0; i < 3; i++) {
        make_open(&w, &r, raw);
        s[i] = add_session(&w, &r);
        assert_int_equal(rtcp_registry_add(&w.registry, s[i]), i < 2 ? 0 : BASE_E_RANGE);
    }
    assert_null(rtcp_registry_find(&w.registry, s[2]->opt.id));
    assert_ptr_equal(rtcp_registry_find(&w.registry, s[1]->opt.id), s[1]);
    for (int i = 0; i < 3; i++) {
        bury(&w, s[i], false);
    }
    assert_null(rtcp_registry_find(&w.registry, 100));
    close_world(&w);
}

/* ------------------------------------------------------------------------------------------------ judging */

static void an_authentic_opening_not_seen_before_is_new(void **state)
{
    struct rtcp_wire_request r;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_judgement j;
    struct world w;

    (void)state;
    open_world(&w, "0123456789abcdef", 8);
    make_open(&w, &r, raw);
    assert_int_equal(judge(&w, &r, raw, &j), RTCP_JUDGED_NEW);
    r.name = NAME;
    sign(&w, &r, raw);
    assert_int_equal(judge(&w, &r, raw, &j), RTCP_JUDGED_NEW);
    close_world(&w);
}

static void wrong_keys_names_and_kinds_are_refused_with_their_reason(void **state)
{
    struct rtcp_wire_request good;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_wire_request r;
    struct world w;

    (void)state;
    open_world(&w, "0123456789abcdef", 8);
    make_open(&w, &good, raw);
    r = good;
    r.key_id = 8;
    expect_refused(&w, &r, raw, RTCP_WIRE_BAD_KEY);
    raw[50] ^= 1;
    expect_refused(&w, &good, raw, RTCP_WIRE_BAD_KEY);
    raw[50] ^= 1;
    r = good;
    r.name = NAME + 1;
    sign(&w, &r, raw);
    expect_refused(&w, &r, raw, RTCP_WIRE_WRONG_NAME);
    make_open(&w, &good, raw);
    w.place.is_listening = false;
    expect_refused(&w, &good, raw, RTCP_WIRE_NOT_LISTENING);
    close_world(&w);
}

/* The refusal is bound to the question: attempt, nonce, shared key; and no longer than it (P66). */
static void a_refusal_is_signed_for_its_request_and_no_longer_than_it(void **state)
{
    struct rtcp_wire_request r;
    struct rtcp_wire_answer a;
    uint8_t raw[RTCP_WIRE_REQUEST], out[RTCP_WIRE_ANSWER];
    struct world w;

    (void)state;
    open_world(&w, "0123456789abcdef", 8);
    make_open(&w, &r, raw);
    r.attempt = 42;
    rtcp_registry_refuse(&w.place, &r, RTCP_WIRE_FULL, 250, out);
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){out, sizeof out}, &a), 0);
    assert_int_equal(a.attempt, 42);
    assert_int_equal(a.retry_after_ms, 250);
    assert_int_equal(a.flags, RTCP_WIRE_TEMPORARY);
    assert_int_equal(a.incarnation, INCARNATION);
    assert_int_equal(a.name, NAME);
    assert_true(rtcp_auth_is_signed(out, sizeof out, w.shared.key, 0, 0, r.nonce));
    assert_true(RTCP_WIRE_ANSWER <= RTCP_WIRE_REQUEST);
    close_world(&w);
}

static void a_repeated_opening_finds_its_session_then_its_tombstone(void **state)
{
    struct rtcp_wire_request r;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_judgement j;
    struct rtcp_session *s;
    struct world w;

    (void)state;
    open_world(&w, "", 8);
    s = open_session(&w, &r, raw);
    assert_int_equal(judge(&w, &r, raw, &j), RTCP_JUDGED_KNOWN);
    assert_ptr_equal(j.session, s);
    w.place.is_listening = false; /* that is for new ones */
    assert_int_equal(judge(&w, &r, raw, &j), RTCP_JUDGED_KNOWN);
    s->end = BASE_E_NEVER_CONFIRMED;
    bury(&w, s, true);
    expect_refused(&w, &r, raw, RTCP_WIRE_UNCONFIRMED);
    close_world(&w);
}

static void a_resume_finds_its_session_or_the_truth_about_it(void **state)
{
    struct rtcp_wire_request r;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_judgement j;
    struct rtcp_session *s;
    struct world w;

    (void)state;
    open_world(&w, "", 8);
    s = open_session(&w, &r, raw);
    r.kind = RTCP_WIRE_RESUME;
    r.cid = s->opt.id;
    r.name = NAME;
    r.server_incarnation = INCARNATION;
    assert_int_equal(judge(&w, &r, raw, &j), RTCP_JUDGED_KNOWN); /* the session checks the tag */
    r.name++;
    expect_refused(&w, &r, raw, RTCP_WIRE_WRONG_NAME);
    r.name--;
    r.server_incarnation++;
    expect_refused(&w, &r, raw, RTCP_WIRE_NO_SESSION);
    r.server_incarnation--;
    r.cid++;
    expect_refused(&w, &r, raw, RTCP_WIRE_NO_SESSION);
    r.cid--;
    s->is_complete = true;
    bury(&w, s, true);
    expect_refused(&w, &r, raw, RTCP_WIRE_IS_CLOSED);
    close_world(&w);
}

/* The other half of a server's session, as far as it asks. */
static struct rtcp_session client_of(const struct world *w, const struct rtcp_session *s)
{
    return (struct rtcp_session){.cid = s->opt.id,
                                 .keys = s->keys,
                                 .peer_name = NAME,
                                 .peer_incarnation = INCARNATION,
                                 .opt = {.id = 9, .incarnation = 5, .shared = &w->shared}};
}

/* Only who holds the keys of a session here gets a CONTROL connection; the answer is signed for its request. */
static void a_control_connection_is_asked_for_in_the_name_of_a_session(void **state)
{
    uint8_t nonce[RTCP_WIRE_NONCE] = {7, 7, 7};
    static const uint8_t other[RTCP_WIRE_NONCE] = {7, 7, 8};
    struct rtcp_session client;
    struct rtcp_wire_request r;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_judgement j;
    struct base_bytes answer = {j.answer, sizeof j.answer};
    struct rtcp_session *s;
    struct world w;

    (void)state;
    open_world(&w, "", 8);
    s = open_session(&w, &r, raw);
    client = client_of(&w, s);
    rtcp_session_control_request(&client, nonce, raw);
    assert_int_equal(rtcp_wire_get_request((struct base_bytes){raw, sizeof raw}, &r), 0);
    assert_int_equal(judge(&w, &r, raw, &j), RTCP_JUDGED_CONTROL);
    assert_true(rtcp_session_is_control_answer(&client, nonce, answer));
    assert_false(rtcp_session_is_control_answer(&client, other, answer));
    j.answer[40] ^= 1;
    assert_false(rtcp_session_is_control_answer(&client, nonce, answer));

    raw[RTCP_WIRE_REQUEST - 1] ^= 1;
    expect_refused(&w, &r, raw, RTCP_WIRE_BAD_KEY);
    raw[RTCP_WIRE_REQUEST - 1] ^= 1;
    w.place.name++;
    expect_refused(&w, &r, raw, RTCP_WIRE_WRONG_NAME);
    w.place.name--;
    w.place.incarnation++;
    expect_refused(&w, &r, raw, RTCP_WIRE_NO_SESSION);
    w.place.incarnation--;
    bury(&w, s, true);
    expect_refused(&w, &r, raw, RTCP_WIRE_NO_SESSION);
    close_world(&w);
}

/* What a request without the key is told does not depend on what lives here: no oracle about names, sessions or
 * incarnations (design 2.9). */
static void without_the_key_nothing_is_learnt(void **state)
{
    const struct rtcp_auth_shared none = {.id = 9};
    struct rtcp_judgement answer[6];
    struct rtcp_wire_request r;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_auth_asked asked;
    struct rtcp_wire_answer a;
    struct rtcp_judgement j;
    struct rtcp_session *s;
    struct rtcp_session *dead;
    struct world w;

    (void)state;
    open_world(&w, "sixteen bytes ok", 8);
    dead = open_session(&w, &r, raw);
    r.cid = dead->opt.id;
    bury(&w, dead, true);
    s = open_session(&w, &r, raw);
    r.kind = RTCP_WIRE_RESUME;
    rtcp_auth_prove(r.nonce, &none, &asked); /* random, as of somebody who has no key */
    for (int i = 0; i < 6; i++) {
        r.cid = i == 1 ? s->opt.id + 1 : i == 2 ? s->opt.id - 1 : s->opt.id; /* living, none, dead */
        r.name = i == 3 ? NAME + 1 : NAME;
        r.server_incarnation = i == 4 ? INCARNATION + 1 : INCARNATION;
        r.key_id = i == 5 ? 4 : 9;
        (void)judge(&w, &r, raw, &answer[i]);
        assert_int_equal(reason_of(&answer[i]), RTCP_WIRE_BAD_KEY);
        assert_memory_equal(answer[i].answer, answer[0].answer, RTCP_WIRE_ANSWER);
    }
    assert_int_equal(rtcp_wire_get_answer((struct base_bytes){answer[0].answer, RTCP_WIRE_ANSWER}, &a), 0);
    assert_int_equal(a.name, 0);
    assert_int_not_equal(a.incarnation, INCARNATION);

    /* A holder of the key who asks the same hears the truth; a proof for one question does not stand for another. */
    r.key_id = 9;
    r.cid = s->opt.id;
    asked = (struct rtcp_auth_asked){r.cid, r.attempt, r.name, r.server_incarnation};
    rtcp_auth_prove(r.nonce, &w.shared, &asked);
    assert_int_equal(judge(&w, &r, raw, &j), RTCP_JUDGED_KNOWN);
    r.cid = s->opt.id + 1;
    expect_refused(&w, &r, raw, RTCP_WIRE_BAD_KEY);
    bury(&w, s, false);
    close_world(&w);
}

static void a_clients_session_cannot_be_resumed(void **state)
{
    struct rtcp_session_options o = {.is_client = true, .ring = 4096, .id = 500, .trace = &silent};
    struct rtcp_wire_request r;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_session *s = calloc(1, sizeof *s);
    struct world w;

    (void)state;
    assert_non_null(s);
    open_world(&w, "", 8);
    o.shared = &w.shared;
    o.ring_source = base_ringmem_system();
    assert_int_equal(rtcp_session_open(s, &o, NOW), 0);
    assert_int_equal(rtcp_registry_add(&w.registry, s), 0);
    assert_ptr_equal(rtcp_registry_find(&w.registry, 500), s);
    make_open(&w, &r, raw);
    r.kind = RTCP_WIRE_RESUME;
    r.cid = 500;
    r.name = NAME;
    r.server_incarnation = INCARNATION;
    expect_refused(&w, &r, raw, RTCP_WIRE_NO_SESSION);
    bury(&w, s, true);
    assert_null(rtcp_registry_grave(&w.registry, 500)); /* it was never opened: there is nothing to remember */
    close_world(&w);
}

/* ------------------------------------------------------------------------------------------------ tombstones */

static uint32_t die(struct world *w, int status, uint64_t received)
{
    struct rtcp_wire_request r;
    uint8_t raw[RTCP_WIRE_REQUEST];
    struct rtcp_session *s;
    uint32_t id;

    s = open_session(w, &r, raw);
    s->end = status;
    s->received = received;
    id = s->opt.id;
    bury(w, s, true);
    return id;
}

static void the_oldest_tombstone_goes_first(void **state)
{
    uint32_t first, second, last = 0;
    struct world w;

    (void)state;
    open_world(&w, "", 8);
    first = die(&w, BASE_E_RESET, 0);
    second = die(&w, BASE_E_RESET, 0);
    for (size_t i = 2; i < RTCP_TOMBSTONES; i++) {
        last = die(&w, BASE_E_RESET, 0);
    }
    assert_non_null(rtcp_registry_grave(&w.registry, first));
    (void)die(&w, BASE_E_RESET, 0);
    assert_null(rtcp_registry_grave(&w.registry, first));
    assert_non_null(rtcp_registry_grave(&w.registry, second));
    assert_non_null(rtcp_registry_grave(&w.registry, last));
    assert_int_equal(w.registry.graves.count, RTCP_TOMBSTONES);
    close_world(&w);
}

/* Of an unconfirmed session that delivered bytes: its client must never open "again", silently. */
static void some_tombstones_are_never_pushed_out(void **state)
{
    uint32_t kept, not_kept;
    struct world w;

    (void)state;
    open_world(&w, "", 8);
    kept = die(&w, BASE_E_NEVER_CONFIRMED, 10);
    not_kept = die(&w, BASE_E_NEVER_CONFIRMED, 0);
    for (size_t i = 0; i < 2 * RTCP_TOMBSTONES; i++) {
        (void)die(&w, BASE_E_RESET, 0);
    }
    assert_non_null(rtcp_registry_grave(&w.registry, kept));
    assert_null(rtcp_registry_grave(&w.registry, not_kept));
    assert_int_equal(w.registry.kept, 1);
    close_world(&w);
}

static void early_bytes_are_promised_a_tombstone_only_while_half_of_them_are_free(void **state)
{
    size_t promised = 0;
    struct world w;

    (void)state;
    open_world(&w, "", 8);
    for (int i = 0; i < 10; i++) {
        (void)die(&w, BASE_E_NEVER_CONFIRMED, 10);
    }
    while (rtcp_registry_promise(&w.registry)) {
        promised++;
    }
    assert_int_equal(promised, RTCP_TOMBSTONES / 2 - 10);
    rtcp_registry_release(&w.registry);
    assert_true(rtcp_registry_promise(&w.registry));
    assert_false(rtcp_registry_promise(&w.registry));
    close_world(&w);
}

/* ------------------------------------------------------------------------------------------------ UNKNOWN, memory */

static void a_probe_for_nobody_is_answered_by_unknown_with_its_echo(void **state)
{
    struct rtcp_wire_control probe = {.id = 1, .type = RTCP_WIRE_PROBE, .asker = 4711, .echo = {1, 2, 3}};
    uint8_t out[RTCP_WIRE_CONTROL_MAX], tag[RTCP_WIRE_CONTROL_TAG];
    struct rtcp_wire_control c;
    struct base_bytes bytes;
    struct world w;

    (void)state;
    open_world(&w, "0123456789abcdef", 8);
    bytes = (struct base_bytes){out, rtcp_registry_unknown(&w.shared, INCARNATION, &probe, out)};
    assert_true(bytes.size <= 8 + 16 + 8); /* no longer than the question */
    assert_int_equal(rtcp_wire_get_control(&bytes, &c), 0);
    assert_int_equal(c.type, RTCP_WIRE_UNKNOWN);
    assert_int_equal(c.id, 4711);
    assert_int_equal(c.incarnation, INCARNATION);
    assert_memory_equal(c.echo, probe.echo, RTCP_WIRE_ECHO);
    rtcp_auth_control(tag, w.shared.unknown_key, c.signed_bytes, 0, 0);
    assert_memory_equal(tag, c.tag, sizeof tag);
    close_world(&w);
}

struct counted {
    int left;
};

static void *take_some(void *user, size_t size)
{
    struct counted *c = user;

    return c->left-- > 0 ? malloc(size) : NULL;
}

static void give_back(void *user, void *block)
{
    (void)user;
    free(block);
}

static void memory_that_runs_out_at_birth_is_a_status(void **state)
{
    (void)state;
    for (int blocks = 0; blocks < 5; blocks++) {
        struct counted c = {blocks};
        const struct base_memory memory = {&c, take_some, give_back};
        struct rtcp_registry r;

        assert_int_equal(rtcp_registry_init(&r, &memory, 8, 1), BASE_E_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_count_up_skip_zero_and_are_never_taken_twice),
        cmocka_unit_test(a_full_registry_says_so_and_keeps_nothing),
        cmocka_unit_test(an_authentic_opening_not_seen_before_is_new),
        cmocka_unit_test(wrong_keys_names_and_kinds_are_refused_with_their_reason),
        cmocka_unit_test(a_refusal_is_signed_for_its_request_and_no_longer_than_it),
        cmocka_unit_test(a_repeated_opening_finds_its_session_then_its_tombstone),
        cmocka_unit_test(a_resume_finds_its_session_or_the_truth_about_it),
        cmocka_unit_test(a_control_connection_is_asked_for_in_the_name_of_a_session),
        cmocka_unit_test(without_the_key_nothing_is_learnt),
        cmocka_unit_test(a_clients_session_cannot_be_resumed),
        cmocka_unit_test(the_oldest_tombstone_goes_first),
        cmocka_unit_test(some_tombstones_are_never_pushed_out),
        cmocka_unit_test(early_bytes_are_promised_a_tombstone_only_while_half_of_them_are_free),
        cmocka_unit_test(a_probe_for_nobody_is_answered_by_unknown_with_its_echo),
        cmocka_unit_test(memory_that_runs_out_at_birth_is_a_status),
    };

    return cmocka_run_group_tests_name("unit/rtcp/registry", tests, NULL, NULL);
}
