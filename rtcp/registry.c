/* See registry.h; PROTOCOL.md "Opening", "Refusing". Pure. */
#include "rtcp/registry.h"

#include "rtcp/base/check.h"
#include "rtcp/defaults.h"

int rtcp_registry_init(struct rtcp_registry *r, const struct base_memory *memory, size_t sessions_max,
                       uint32_t first_id)
{
    int status;

    base_zero(r, sizeof *r);
    r->memory = memory;
    r->next_id = first_id;
    status = base_table_init(&r->ids, memory, sessions_max);
    if (status == 0) {
        status = base_table_init(&r->nonces, memory, sessions_max);
    }
    if (status == 0) {
        status = base_table_init(&r->graves, memory, RTCP_TOMBSTONES);
    }
    if (status == 0) {
        status = base_table_init(&r->opened, memory, RTCP_TOMBSTONES);
    }
    if (status == 0) {
        r->tombstone = base_memory_new(memory, RTCP_TOMBSTONES, sizeof *r->tombstone);
        status = r->tombstone == NULL ? BASE_E_NOMEM : 0;
    }
    if (status < 0) {
        rtcp_registry_deinit(r);
    }
    return status;
}

void rtcp_registry_deinit(struct rtcp_registry *r)
{
    base_table_deinit(&r->ids);
    base_table_deinit(&r->nonces);
    base_table_deinit(&r->graves);
    base_table_deinit(&r->opened);
    if (r->tombstone != NULL) {
        base_memory_free(r->memory, r->tombstone);
        r->tombstone = NULL;
    }
}

void rtcp_registry_salt(struct rtcp_registry *r, uint64_t secret)
{
    base_table_salt(&r->ids, secret);
    base_table_salt(&r->nonces, secret);
    base_table_salt(&r->graves, secret);
    base_table_salt(&r->opened, secret);
}

uint32_t rtcp_registry_next_id(struct rtcp_registry *r)
{
    for (;;) {
        uint32_t id = r->next_id++;

        if (id != 0 && base_table_get(&r->ids, id) == NULL && base_table_get(&r->graves, id) == NULL) {
            return id;
        }
    }
}

/* Half of a 128-bit random nonce: enough to find it, the whole is compared afterwards. */
static uint64_t nonce_key(const uint8_t nonce[RTCP_WIRE_NONCE])
{
    return base_get64(nonce);
}

int rtcp_registry_add(struct rtcp_registry *r, struct rtcp_session *s)
{
    if (base_table_put(&r->ids, s->opt.id, s) < 0) {
        return BASE_E_RANGE;
    }
    if (!s->opt.is_client && base_table_put(&r->nonces, nonce_key(s->client_nonce), s) < 0) {
        (void)base_table_take(&r->ids, s->opt.id);
        return BASE_E_RANGE;
    }
    return 0;
}

static void forget(struct rtcp_registry *r, struct rtcp_tombstone *t)
{
    if (t->id == 0) {
        return;
    }
    (void)base_table_take(&r->graves, t->id);
    if (base_table_get(&r->opened, nonce_key(t->client_nonce)) == t) {
        (void)base_table_take(&r->opened, nonce_key(t->client_nonce));
    }
    if (t->is_kept) {
        r->kept--;
    }
    t->id = 0;
}

void rtcp_registry_bury(struct rtcp_registry *r, const struct rtcp_session *s, bool keep)
{
    struct rtcp_tombstone *t;

    if (base_table_take(&r->ids, s->opt.id) != s) {
        return;
    }
    if (base_table_get(&r->nonces, nonce_key(s->client_nonce)) == s) {
        (void)base_table_take(&r->nonces, nonce_key(s->client_nonce));
    }
    if (!keep || s->cid == 0) {
        return;
    }
    for (size_t tries = 0; tries < RTCP_TOMBSTONES; tries++) {
        t = &r->tombstone[r->next_tombstone];
        r->next_tombstone = (r->next_tombstone + 1) % RTCP_TOMBSTONES;
        if (t->id == 0 || !t->is_kept) {
            forget(r, t);
            rtcp_tombstone_make(t, s);
            r->kept += t->is_kept ? 1 : 0;
            CHECK(base_table_put(&r->graves, t->id, t) == 0);
            if (!t->is_client && base_table_get(&r->opened, nonce_key(t->client_nonce)) == NULL) {
                CHECK(base_table_put(&r->opened, nonce_key(t->client_nonce), t) == 0);
            }
            return;
        }
    }
}

struct rtcp_session *rtcp_registry_find(const struct rtcp_registry *r, uint32_t id)
{
    return base_table_get(&r->ids, id);
}

const struct rtcp_tombstone *rtcp_registry_grave(const struct rtcp_registry *r, uint32_t id)
{
    return base_table_get(&r->graves, id);
}

bool rtcp_registry_promise(struct rtcp_registry *r)
{
    if (r->kept + r->promised >= RTCP_TOMBSTONES / 2) {
        return false;
    }
    r->promised++;
    return true;
}

void rtcp_registry_release(struct rtcp_registry *r)
{
    CHECK(r->promised > 0);
    r->promised--;
}

/* ------------------------------------------------------------------------------------------------ judging */

void rtcp_registry_refuse(const struct rtcp_registry_place *place, const struct rtcp_wire_request *request,
                          uint8_t reason, uint32_t retry_after_ms, uint8_t out[RTCP_WIRE_ANSWER])
{
    struct rtcp_wire_answer a = {
        .kind = RTCP_WIRE_REFUSE,
        .reason = reason,
        .flags = reason == RTCP_WIRE_FULL ? RTCP_WIRE_TEMPORARY : 0,
        .version_min = RTCP_WIRE_VERSION,
        .version_max = RTCP_WIRE_VERSION,
        .attempt = request->attempt,
        .retry_after_ms = retry_after_ms,
        .incarnation = place->incarnation,
        .name = place->name,
    };

    if (place->shared->is_set && (reason == RTCP_WIRE_BAD_KEY || reason == RTCP_WIRE_BAD_VERSION)) {
        a.name = 0; /* who does not hold the key does not learn who lives here, and since when */
        a.incarnation = 1;
    }
    rtcp_wire_put_answer(out, &a);
    rtcp_auth_sign(out, RTCP_WIRE_ANSWER, place->shared->key, 0, 0, request->nonce);
}

static void judge_open(const struct rtcp_registry *r, const struct rtcp_registry_place *place,
                       const struct rtcp_wire_request *request, struct base_bytes raw, struct rtcp_judgement *ret)
{
    struct rtcp_session *s = base_table_get(&r->nonces, nonce_key(request->nonce));
    const struct rtcp_tombstone *t = base_table_get(&r->opened, nonce_key(request->nonce));

    if (!rtcp_auth_is_signed(raw.data, RTCP_WIRE_REQUEST, place->shared->key, 0, 0, NULL)) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_BAD_KEY, 0, ret->answer);
    } else if (request->name != 0 && request->name != place->name) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_WRONG_NAME, 0, ret->answer);
    } else if (s != NULL && memcmp(s->client_nonce, request->nonce, RTCP_WIRE_NONCE) == 0) {
        ret->kind = RTCP_JUDGED_KNOWN;
        ret->session = s;
    } else if (t != NULL && memcmp(t->client_nonce, request->nonce, RTCP_WIRE_NONCE) == 0) {
        rtcp_tombstone_refuse(t, request, place->incarnation, place->name, ret->answer);
    } else if (!place->is_listening) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_NOT_LISTENING, 0, ret->answer);
    } else if (place->keys != NULL && rtcp_keyring_find(place->keys, request->key_id, true) != place->shared) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_BAD_KEY, 0, ret->answer); /* retired */
    } else {
        ret->kind = RTCP_JUDGED_NEW;
    }
}

static void judge_resume(const struct rtcp_registry *r, const struct rtcp_registry_place *place,
                         const struct rtcp_wire_request *request, struct rtcp_judgement *ret)
{
    struct rtcp_session *s = rtcp_registry_find(r, request->cid);
    const struct rtcp_tombstone *t = rtcp_registry_grave(r, request->cid);
    bool is_ours = request->server_incarnation == place->incarnation;

    if (request->name != place->name) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_WRONG_NAME, 0, ret->answer);
    } else if (is_ours && s != NULL && !s->opt.is_client) {
        ret->kind = RTCP_JUDGED_KNOWN;
        ret->session = s;
    } else if (is_ours && t != NULL && !t->is_client) {
        rtcp_tombstone_refuse(t, request, place->incarnation, place->name, ret->answer);
    } else {
        rtcp_registry_refuse(place, request, RTCP_WIRE_NO_SESSION, 0, ret->answer);
    }
}

/* A CONTROL connection is asked for in the name of a session: only who holds its keys gets one. */
static void judge_control(const struct rtcp_registry *r, const struct rtcp_registry_place *place,
                          const struct rtcp_wire_request *request, struct base_bytes raw, struct rtcp_judgement *ret)
{
    struct rtcp_session *s = rtcp_registry_find(r, request->cid);
    struct rtcp_wire_answer a = {
        .kind = RTCP_WIRE_ACCEPT,
        .version_min = RTCP_WIRE_VERSION,
        .version_max = RTCP_WIRE_VERSION,
        .cid = request->cid,
        .control_id = request->cid,
        .attempt = request->attempt,
        .incarnation = place->incarnation,
        .name = place->name,
    };

    if (request->name != place->name) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_WRONG_NAME, 0, ret->answer);
    } else if (request->server_incarnation != place->incarnation || s == NULL || s->opt.is_client) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_NO_SESSION, 0, ret->answer);
    } else if (!rtcp_auth_is_signed(raw.data, RTCP_WIRE_REQUEST, s->keys.handshake_up, 0, 0, NULL)) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_BAD_KEY, 0, ret->answer);
    } else {
        ret->kind = RTCP_JUDGED_CONTROL;
        base_copy(a.nonce, s->server_nonce, RTCP_WIRE_NONCE);
        rtcp_wire_put_answer(ret->answer, &a);
        rtcp_auth_sign(ret->answer, RTCP_WIRE_ANSWER, s->keys.handshake_down, 0, 0, request->nonce);
    }
}

/* The key that a request names; a session's own comes first, whatever became of it. */
static const struct rtcp_auth_shared *key_of(const struct rtcp_registry *r, const struct rtcp_registry_place *place,
                                             const struct rtcp_wire_request *request)
{
    const struct rtcp_session *s = request->kind == RTCP_WIRE_OPEN ? NULL : rtcp_registry_find(r, request->cid);

    if (s != NULL && s->opt.shared->id == request->key_id) {
        return s->opt.shared;
    }
    if (place->keys != NULL) {
        return rtcp_keyring_find(place->keys, request->key_id, false);
    }
    return request->key_id == place->shared->id ? place->shared : NULL;
}

void rtcp_registry_judge(const struct rtcp_registry *r, const struct rtcp_registry_place *place,
                         const struct rtcp_wire_request *request, struct base_bytes raw, struct rtcp_judgement *ret)
{
    const struct rtcp_auth_asked asked = {request->cid, request->attempt, request->name, request->server_incarnation};
    struct rtcp_registry_place here = *place;

    ret->kind = RTCP_JUDGED_REFUSED;
    ret->session = NULL;
    ret->shared = key_of(r, place, request);
    if (ret->shared == NULL) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_BAD_KEY, 0, ret->answer);
        return;
    }
    here.shared = ret->shared;
    place = &here;
    if (request->kind != RTCP_WIRE_OPEN && !rtcp_auth_is_asker(request->nonce, ret->shared, &asked)) {
        rtcp_registry_refuse(place, request, RTCP_WIRE_BAD_KEY, 0, ret->answer);
    } else if (request->kind == RTCP_WIRE_OPEN) {
        judge_open(r, place, request, raw, ret);
    } else if (request->kind == RTCP_WIRE_RESUME) {
        judge_resume(r, place, request, ret);
    } else {
        judge_control(r, place, request, raw, ret);
    }
}

size_t rtcp_registry_unknown(const struct rtcp_auth_shared *shared, uint64_t incarnation,
                             const struct rtcp_wire_control *probe, uint8_t out[RTCP_WIRE_CONTROL_MAX])
{
    struct rtcp_wire_control c = {.id = probe->asker, .type = RTCP_WIRE_UNKNOWN, .incarnation = incarnation};
    size_t size;

    base_copy(c.echo, probe->echo, RTCP_WIRE_ECHO);
    size = rtcp_wire_put_control(out, &c);
    rtcp_auth_control(out + size, shared->unknown_key, (struct base_bytes){out, size}, 0, 0);
    return size + RTCP_WIRE_CONTROL_TAG;
}
