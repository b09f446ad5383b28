/* Control messages of a session: acknowledgements, probes, the one flagged message that may be out (paper 3.5;
 * PROTOCOL.md "Control messages", "Finding out"). Pure.
 *
 * The rules this file keeps: nothing is believed before its tag is checked with the full counts; a count below acked is
 * stale and ignored, one above what was written is dropped (P2, C7); unasked messages go to validated addresses only.
 */
#include "rtcp/session_inside.h"

static const uint8_t *key_out(const struct rtcp_session *s)
{
    return s->opt.is_client ? s->keys.control_up : s->keys.control_down;
}

static const uint8_t *key_in(const struct rtcp_session *s)
{
    return s->opt.is_client ? s->keys.control_down : s->keys.control_up;
}

/* ------------------------------------------------------------------------------------------------ out */

/* The attempt that a reply names: the live one, or the one a client is busy with. */
static uint32_t attempt_named(const struct rtcp_session *s)
{
    if (s->live != 0) {
        return s->live;
    }
    return s->trying != RTCP_TRY_REST ? s->attempt : 0;
}

void rtcp_control_encode(struct rtcp_session *s, const struct rtcp_pending *p, struct rtcp_effect *e)
{
    struct rtcp_wire_control c = {.id = s->peer_id, .type = p->type, .received = s->received, .final = s->out.upto};
    bool has_received = rtcp_wire_has_received(p->type);

    switch ((enum rtcp_wire_type)p->type) {
    case RTCP_WIRE_ACK:
        break;
    case RTCP_WIRE_REQACK:
        c.ring = s->told_ring = rtcp_session_window(s);
        break;
    case RTCP_WIRE_HALF_CLOSE:
    case RTCP_WIRE_CLOSE:
    case RTCP_WIRE_RESET:
        c.flagged = true;
        break;
    case RTCP_WIRE_PASSIVE: /* its count: what was read need not keep the peer busy */
    case RTCP_WIRE_WAKE:
        c.flagged = true;
        c.attempt = s->reliable.attempt;
        break;
    case RTCP_WIRE_CONF:
        c.message_id = p->message_id;
        break;
    case RTCP_WIRE_PROBE:
        c.asker = s->opt.id;
        c.attempt = s->live;
        base_copy(c.echo, p->echo, RTCP_WIRE_ECHO);
        c.has_data = s->has_probe_data;
        base_copy(c.data, s->probe_data, RTCP_WIRE_PROBE_DATA);
        break;
    case RTCP_WIRE_PROBE_REPLY:
        c.attempt = attempt_named(s);
        c.unread = s->kernel_unread;
        base_copy(c.echo, p->echo, RTCP_WIRE_ECHO);
        break;
    case RTCP_WIRE_UNKNOWN:
        CHECK(!"a session knows itself");
        break;
    }
    if (has_received && p->type != RTCP_WIRE_PROBE_REPLY) {
        s->told = s->received;
    }
    c.flagged = c.flagged && s->reliable.type == p->type; /* an answer to a question needs no CONF of its own */
    if (c.flagged) {
        c.message_id = s->reliable.id;
    }
    e->size = rtcp_wire_put_control(e->bytes, &c);
    rtcp_auth_control(e->bytes + e->size, key_out(s), (struct base_bytes){e->bytes, e->size},
                      has_received ? s->received : 0, rtcp_wire_has_final(p->type) ? s->out.upto : 0);
    e->size += RTCP_WIRE_CONTROL_TAG;
}

/* A question goes along the route; when too many had no answer, UDP does not get through: another way is wanted. */
static void count_question(struct rtcp_session *s, base_time now)
{
    if (s->opt.is_client && s->path == RTCP_PATH_ATTACHED && !rtcp_address_is_courier(&s->route->to) &&
        rtcp_route_is_silent(s->route, now)) {
        (void)rtcp_session_push(s, RTCP_EFFECT_COURIER, 0, 0);
    }
    rtcp_route_asked(s->route, now);
}

/* A client whose session the server has dropped, and who opens it again, keeps its route, but nobody there knows it:
 * its questions would only be taken for those of other sessions on the route. */
static bool has_somebody_to_ask(const struct rtcp_session *s)
{
    return s->route != NULL && s->cid != 0;
}

/* Client: the first PROBE of an opening only confirms it and teaches our address; a CLOSE or REQACK does, too. */
static bool is_too_early(const struct rtcp_session *s, base_time now)
{
    return s->opt.is_client && !s->is_confirmed && s->pulse.probed_at == 0 && s->eof_at == 0 && !s->has_probe_data &&
           now < s->attached_at + RTCP_CONFIRM_AFTER;
}

/* The CONTROL connection left the question before this one without an answer: it may have stalled with the path, and
 * its kernel will try again late. UDP may be back before: the same question goes there, too. */
static void ask_directly_as_well(struct rtcp_session *s, base_time now, const struct rtcp_pending *question)
{
    struct rtcp_pending *p;

    if (!s->opt.is_client || !rtcp_address_is_courier(&s->route->to) || s->route->unanswered < 2) {
        return;
    }
    rtcp_route_try_direct(s->route, now);
    s->route->is_new = false;
    p = rtcp_session_push(s, RTCP_EFFECT_PROBE_TO, 0, 0);
    p->type = RTCP_WIRE_PROBE;
    base_copy(p->echo, question->echo, RTCP_WIRE_ECHO);
}

void rtcp_control_probe(struct rtcp_session *s, base_time now, bool to_candidate)
{
    base_time before = s->pulse.probed_at;
    struct rtcp_pending *p;

    if (!has_somebody_to_ask(s) || (!to_candidate && !rtcp_route_is_valid(s->route)) || is_too_early(s, now)) {
        return;
    }
    if (!to_candidate) {
        count_question(s, now);
    }
    p = rtcp_session_push(s, to_candidate ? RTCP_EFFECT_PROBE_TO : RTCP_EFFECT_MESSAGE, 0, 0);
    p->type = RTCP_WIRE_PROBE;
    rtcp_pulse_asked(&s->pulse, now, s->path == RTCP_PATH_ATTACHED ? s->live : 0, &s->rng, p->echo);
    if (!rtcp_session_is_busy(s)) {
        s->route->asked_at = now; /* who is busy asks for itself: its server may be gone, and that of others not */
    }
    if (!to_candidate) {
        ask_directly_as_well(s, now, p);
    } else if (rtcp_route_is_valid(s->route)) {
        s->pulse.probed_at = before; /* a look at another way does not put off the next question along this one */
    }
}

/* A client that only reads has no question of its own: it would never find out that what it says is lost, and the
 * server would wait for acknowledgements. So it asks with them, unless it had an answer lately. */
static void ask_as_well(struct rtcp_session *s, base_time now)
{
    if (s->opt.is_client && s->path == RTCP_PATH_ATTACHED && s->route != NULL &&
        now >= s->route->echoed_at + RTCP_PROBE_SILENCE && now >= s->pulse.probed_at + RTCP_PROBE_GAP) {
        rtcp_control_probe(s, now, false);
    }
}

void rtcp_control_acknowledge(struct rtcp_session *s, base_time now)
{
    uint64_t quarter = s->peer_ring / 4 > 0 ? s->peer_ring / 4 : 1;

    if (s->received - s->told >= quarter) {
        rtcp_session_say(s, RTCP_WIRE_ACK, false);
        s->told_at = now;
        ask_as_well(s, now);
    }
}

void rtcp_session_ask(struct rtcp_session *s, base_time now, bool to_candidate)
{
    if (s->life != RTCP_LIFE_DEAD && s->cid != 0) {
        rtcp_control_probe(s, now, to_candidate);
    }
}

void rtcp_session_set_probe_data(struct rtcp_session *s, base_time now, const uint8_t data[RTCP_WIRE_PROBE_DATA])
{
    base_copy(s->probe_data, data, RTCP_WIRE_PROBE_DATA);
    s->has_probe_data = true;
    if (s->life == RTCP_LIFE_OPEN && !s->is_complete) {
        rtcp_control_probe(s, now, false);
    }
}

/* ------------------------------------------------------------------------------------------------ the flagged one */

static uint8_t wanted_type(const struct rtcp_session *s)
{
    if (s->aborted) {
        return s->reset_conf ? 0 : RTCP_WIRE_RESET;
    }
    if (rtcp_closing_is_said(s)) {
        if (!s->close_conf) {
            return RTCP_WIRE_CLOSE;
        }
    } else if (s->shut && !s->half_conf && !s->peer_closed) {
        return RTCP_WIRE_HALF_CLOSE;
    }
    if (s->wake != 0 && !s->is_complete) {
        return RTCP_WIRE_WAKE;
    }
    return rtcp_passive_is_said(s) ? RTCP_WIRE_PASSIVE : 0;
}

static void send_reliable(struct rtcp_session *s, base_time now)
{
    struct rtcp_reliable *r = &s->reliable;

    if (rtcp_route_is_valid(s->route)) {
        count_question(s, now);
    }
    rtcp_session_say(s, r->type, false);
    r->due = now + r->gap;
    r->gap = base_time_min(r->gap * 2, RTCP_RELIABLE_LAST);
}

void rtcp_session_rerouted(struct rtcp_session *s, base_time now)
{
    if (s->life == RTCP_LIFE_DEAD || s->route == NULL || !rtcp_route_is_valid(s->route)) {
        return;
    }
    if (s->reliable.type != 0) {
        s->reliable.gap = rtcp_route_wait(s->route, 2, RTCP_RELIABLE_FIRST);
        send_reliable(s, now);
    }
    if (s->received > s->opt.first_offset) {
        rtcp_session_say(s, RTCP_WIRE_ACK, false); /* the one that was told may be lost */
    }
    if (s->path == RTCP_PATH_ATTACHED && s->out.upto > s->out.first) {
        rtcp_session_say(s, RTCP_WIRE_REQACK, false);
    }
    rtcp_session_check(s);
}

void rtcp_control_choose(struct rtcp_session *s, base_time now)
{
    struct rtcp_reliable *r = &s->reliable;
    uint8_t type = s->life == RTCP_LIFE_DEAD || s->cid == 0 || s->route == NULL ? 0 : wanted_type(s);
    uint32_t attempt;

    rtcp_session_tell_ring(s); /* there may have been nobody to tell it to */

    if (type == 0) {
        r->type = 0;
        return;
    }
    attempt = type == RTCP_WIRE_WAKE ? s->wake : type == RTCP_WIRE_PASSIVE ? s->live : 0;
    if (type == r->type && attempt == r->attempt) {
        return;
    }
    r->type = type;
    r->id = s->next_message_id++;
    r->attempt = attempt;
    r->gap = rtcp_route_wait(s->route, 2, RTCP_RELIABLE_FIRST);
    send_reliable(s, now);
}

static void confirmed(struct rtcp_session *s, base_time now, uint16_t message_id, const struct rtcp_address *from)
{
    if (s->reliable.type == 0 || message_id != s->reliable.id) {
        return; /* of an older message: late or repeated (P3) */
    }
    if (s->route != NULL) {
        rtcp_route_answered(s->route, from);
    }
    switch ((enum rtcp_wire_type)s->reliable.type) {
    case RTCP_WIRE_HALF_CLOSE:
        s->half_conf = true;
        break;
    case RTCP_WIRE_CLOSE:
        s->close_conf = true;
        break;
    case RTCP_WIRE_RESET:
        s->reset_conf = true;
        break;
    case RTCP_WIRE_WAKE:
        s->wake = 0; /* heard; the pulse asks again if nothing comes of it */
        break;
    case RTCP_WIRE_PASSIVE:
        rtcp_passive_confirmed(s, now, s->reliable.attempt);
        break;
    case RTCP_WIRE_ACK:
    case RTCP_WIRE_REQACK:
    case RTCP_WIRE_CONF:
    case RTCP_WIRE_PROBE:
    case RTCP_WIRE_PROBE_REPLY:
    case RTCP_WIRE_UNKNOWN:
        CHECK(!"only these are flagged");
        break;
    }
    s->reliable.type = 0;
    rtcp_control_choose(s, now);
    rtcp_closing_advance(s, now);
}

/* ------------------------------------------------------------------------------------------------ in */

void rtcp_session_observe(struct rtcp_session *s, base_time now, uint64_t kernel_holds, uint32_t kernel_unread)
{
    uint64_t acked = s->written > kernel_holds ? s->written - kernel_holds : 0;

    s->kernel_holds = kernel_holds;
    s->kernel_unread = kernel_unread;
    if (s->path == RTCP_PATH_ATTACHED && acked > s->pulse.kernel_acked) {
        s->pulse.kernel_acked = acked;
        s->contact_at = now;
        rtcp_pulse_progressed(&s->pulse, now);
    }
}

/* An authentic count of the peer. False: impossible. */
static bool take_count(struct rtcp_session *s, base_time now, uint64_t count)
{
    if (count > s->written_max) {
        return false;
    }
    if (count < s->out.first) {
        s->acks_stale++;
    } else {
        rtcp_session_acked_upto(s, now, count);
    }
    return true;
}

/* Something authentic arrived: the peer lives, and this is where it lives. */
static void heard(struct rtcp_session *s, base_time now, const struct rtcp_address *from)
{
    base_time silence = base_time_since(now, s->heard_at);

    s->heard_at = now;
    s->contact_at = now;
    if (s->opt.is_client || s->life != RTCP_LIFE_OPENING) {
        s->is_confirmed = true; /* with a pre-shared key the CONFIRM comes first */
    }
    if (silence >= RTCP_HEARD_AFTER) {
        rtcp_session_tell(s, RTCP_EVIDENCE_HEARD);
        if (s->path == RTCP_PATH_ATTACHED && rtcp_session_is_busy(s)) {
            rtcp_control_probe(s, now, false); /* the path is back: our next probe must not wait its turn */
        }
        if (s->reliable.type != 0) {
            s->reliable.gap = RTCP_RELIABLE_FIRST; /* nor must a WAKE or CLOSE */
            send_reliable(s, now);
        }
    }
    if (s->route != NULL) {
        rtcp_route_heard(s->route, now, from);
        if (s->route->is_new) {
            s->route->is_new = false;
            rtcp_control_probe(s, now, true);
        }
    }
}

/* Whoever has closed says so to everyone who asks. */
static void answer_closed(struct rtcp_session *s)
{
    if (s->aborted) {
        rtcp_session_say(s, RTCP_WIRE_RESET, true);
    } else if (rtcp_closing_is_said(s)) {
        rtcp_session_say(s, RTCP_WIRE_CLOSE, true);
    } else if (s->shut) {
        rtcp_session_say(s, RTCP_WIRE_HALF_CLOSE, true);
    }
}

/* The client names no connection and has said that it would let this one go: the news of that was lost. */
static bool was_let_go(const struct rtcp_session *s, uint32_t named)
{
    return !s->opt.is_client && named == 0 && s->live != 0 && s->let_go == s->live;
}

static void on_probe(struct rtcp_session *s, base_time now, const struct rtcp_wire_control *c)
{
    struct rtcp_pending *p = rtcp_session_push(s, RTCP_EFFECT_MESSAGE, 0, 0);

    p->type = RTCP_WIRE_PROBE_REPLY;
    p->to_source = true;
    base_copy(p->echo, c->echo, RTCP_WIRE_ECHO);
    answer_closed(s);
    if (was_let_go(s, c->attempt)) {
        rtcp_path_lose(s, now, "the client let it go");
    }
    if (c->has_data && s->life == RTCP_LIFE_OPEN) {
        base_copy(s->peer_probe_data, c->data, RTCP_WIRE_PROBE_DATA);
        (void)rtcp_session_push(s, RTCP_EFFECT_PROBE_DATA, 0, 0);
    }
    if (s->opt.is_client && s->path == RTCP_PATH_ATTACHED && c->attempt != s->live && s->trying == RTCP_TRY_REST) {
        rtcp_control_probe(s, now,
                           false); /* it may be from before: ask, the reply is a proof (the next WAKE is late) */
    } else {
        ask_as_well(s, now);
    }
}

/* The peer names another attempt than ours as its live one. */
static void mismatched(struct rtcp_session *s, base_time now, uint32_t named)
{
    if (s->opt.is_client) {
        if (named != s->live) { /* a larger one, too: the server left ours when it took that attempt */
            s->must_replace = true;
            rtcp_path_replace(s, now, "the server's live connection is not ours");
        }
    } else if (named < s->live && s->mismatch_at == 0) {
        s->mismatch_at = now; /* our RESUMED may still be on its way */
    } else if (named < s->live && now >= s->mismatch_at + rtcp_route_wait(s->route, 4, RTCP_PROBE_SECOND)) {
        rtcp_path_replace(s, now, "the client's live connection is not ours");
    }
}

static void on_reply(struct rtcp_session *s, base_time now, const struct rtcp_wire_control *c, uint64_t received,
                     const struct rtcp_address *from)
{
    struct rtcp_pulse_reply reply = {.received = received, .unread = c->unread};
    uint32_t asked_under;
    base_time took;

    if (!rtcp_pulse_answered(&s->pulse, now, c->echo, &took, &reply.unanswered, &asked_under)) {
        return;
    }
    if (s->route != NULL) {
        rtcp_route_echoed(s->route, now, from, took);
        rtcp_session_tell_ring(s); /* there may have been no address to tell it to */
    }
    if (!s->opt.is_client && s->path == RTCP_PATH_DETACHED && asked_under == 0 && c->attempt != 0 && s->wake == 0) {
        s->wake = c->attempt; /* it believes in a connection that ended here: a WAKE that met no connection was lost */
        rtcp_control_choose(s, now);
        return;
    }
    if (s->path != RTCP_PATH_ATTACHED || asked_under != s->live || s->trying != RTCP_TRY_REST) {
        return; /* only replies to probes sent after the current attempt was attached count */
    }
    if (was_let_go(s, c->attempt)) {
        rtcp_path_lose(s, now, "the client let it go");
        return;
    }
    if (c->attempt != s->live) {
        mismatched(s, now, c->attempt);
        return;
    }
    s->mismatch_at = 0;
    reply.written = s->written;
    reply.waiting = s->out.upto - s->written;
    reply.kernel_holds = s->kernel_holds;
    if (rtcp_session_is_busy(s) && rtcp_pulse_proves_stall(&s->pulse, now, s->route, &reply)) {
        rtcp_path_replace(s, now, "the connection does not carry our bytes");
    }
}

static void on_wake(struct rtcp_session *s, base_time now, uint32_t attempt)
{
    if (s->opt.is_client && s->is_passive && attempt >= s->let_go) {
        rtcp_passive_used(s, now);
        return;
    }
    if (s->opt.is_client && s->trying == RTCP_TRY_ASKING && attempt == s->attempt) {
        s->woken = attempt; /* it overtook the answer */
    }
    if (!s->opt.is_client || s->path == RTCP_PATH_DETACHED || attempt < s->live) {
        return; /* from before a newer connection (the model's WAKE without an attempt fails here) */
    }
    s->must_replace = true;
    if (s->trying == RTCP_TRY_REST) {
        rtcp_path_replace(s, now, "the server asks for another connection");
    } else {
        s->wants_new = true; /* should the attempt under way fail */
    }
}

static bool has_route(const struct rtcp_session *s)
{
    return s->route != NULL && rtcp_route_is_valid(s->route);
}

static void dispatch(struct rtcp_session *s, base_time now, const struct rtcp_wire_control *c, uint64_t final,
                     const struct rtcp_address *from)
{
    switch ((enum rtcp_wire_type)c->type) {
    case RTCP_WIRE_ACK:
    case RTCP_WIRE_PROBE_REPLY:
    case RTCP_WIRE_UNKNOWN:
        break;
    case RTCP_WIRE_REQACK:
        s->peer_ring = c->ring; /* it may have grown, or rested; a late word is corrected by the next */
        rtcp_session_say(s, RTCP_WIRE_ACK, true);
        answer_closed(s);
        ask_as_well(s, now);
        break;
    case RTCP_WIRE_HALF_CLOSE:
        rtcp_closing_peer_said(s, now, final, false);
        break;
    case RTCP_WIRE_CLOSE:
        rtcp_closing_peer_said(s, now, final, true);
        if (s->life != RTCP_LIFE_DEAD && rtcp_closing_is_said(s) && !has_route(s)) {
            rtcp_session_say(s, RTCP_WIRE_CLOSE, true); /* a CLOSE answers a CLOSE: where it came from, at once */
        }
        break;
    case RTCP_WIRE_RESET:
        if (s->aborted) {
            rtcp_closing_end(s, now, BASE_E_CLOSED, "both know that it is over"); /* an echo of our own RESET */
        } else if (s->is_complete) {
            rtcp_closing_over(s, now);
        } else {
            rtcp_closing_end(s, now, BASE_E_RESET, "the peer's application aborted");
        }
        break;
    case RTCP_WIRE_CONF:
        confirmed(s, now, c->message_id, from);
        break;
    case RTCP_WIRE_PROBE:
        on_probe(s, now, c);
        break;
    case RTCP_WIRE_WAKE:
        on_wake(s, now, c->attempt);
        break;
    case RTCP_WIRE_PASSIVE:
        rtcp_passive_heard(s, now, c->attempt);
        break;
    }
}

/* UNKNOWN comes from an endpoint that has no session: it is signed with the shared key and proves nothing but that. */
static int on_unknown(struct rtcp_session *s, base_time now, const struct rtcp_wire_control *c)
{
    uint8_t tag[RTCP_WIRE_CONTROL_TAG];
    base_time took;
    base_time unanswered;
    uint32_t asked_under;

    rtcp_auth_control(tag, s->opt.shared->unknown_key, c->signed_bytes, 0, 0);
    if (!rtcp_auth_equal(tag, c->tag, sizeof tag) ||
        !rtcp_pulse_answered(&s->pulse, now, c->echo, &took, &unanswered, &asked_under)) {
        s->messages_dropped++;
        return BASE_E_PROTOCOL;
    }
    rtcp_session_hint(s, now, RTCP_EVIDENCE_UNKNOWN);
    return 0;
}

int rtcp_session_control(struct rtcp_session *s, base_time now, const struct rtcp_wire_control *c,
                         const struct rtcp_address *from)
{
    uint8_t type = c->type;
    bool has_received = rtcp_wire_has_received(type);
    bool has_final = rtcp_wire_has_final(type);
    uint64_t received = has_received ? rtcp_wire_extend((uint32_t)c->received, s->out.first) : 0;
    uint64_t final = has_final ? rtcp_wire_extend((uint32_t)c->final, s->received) : 0;
    uint8_t tag[RTCP_WIRE_CONTROL_TAG];

    if (s->life == RTCP_LIFE_DEAD || (s->opt.is_client && s->cid == 0)) {
        return 0;
    }
    if (type == RTCP_WIRE_UNKNOWN) {
        return on_unknown(s, now, c);
    }
    rtcp_auth_control(tag, key_in(s), c->signed_bytes, received, final);
    if (!rtcp_auth_equal(tag, c->tag, sizeof tag)) {
        s->messages_dropped++;
        return BASE_E_PROTOCOL;
    }
    heard(s, now, from);
    if (c->flagged && (s->opt.is_client || s->life != RTCP_LIFE_OPENING || type == RTCP_WIRE_RESET)) {
        struct rtcp_pending *p = rtcp_session_push(s, RTCP_EFFECT_MESSAGE, 0, 0);

        p->type = RTCP_WIRE_CONF; /* always, also for types that we do not know */
        p->message_id = c->message_id;
        p->to_source = true;
    }
    if (type == RTCP_WIRE_PROBE_REPLY) {
        on_reply(s, now, c, received, from); /* before its count is taken: the judge needs the count from before */
    }
    if (has_received && s->life != RTCP_LIFE_DEAD && !take_count(s, now, received)) {
        s->messages_dropped++;
        return BASE_E_PROTOCOL;
    }
    if (s->life != RTCP_LIFE_DEAD) {
        dispatch(s, now, c, final, from);
    }
    if (s->life != RTCP_LIFE_DEAD && (s->path == RTCP_PATH_DETACHED || s->wants_new || s->trying != RTCP_TRY_REST)) {
        rtcp_session_hint(s, now, -1);
    }
    rtcp_passive_advance(s, now);
    rtcp_session_check(s);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ time */

/* How often a session that only waits asks. An application may want silence while it waits; when it has closed, nobody
 * does: then a peer that is gone must be found out, and one that lives must not be taken for gone at the linger limit.
 */
static base_time idle_gap(const struct rtcp_session *s)
{
    return s->life == RTCP_LIFE_CLOSING ? base_time_min(s->opt.idle_probe, RTCP_PROBE_IDLE) : s->opt.idle_probe;
}

/* A sign of life in the name of the route is enough for most; now and then each session asks in its own, because the
 * other end of this one alone may be over, and the route busy with others (C2). */
static base_time idle_due(const struct rtcp_session *s)
{
    base_time own = base_time_max(s->pulse.probed_at, s->contact_at);
    base_time shared = base_time_max(s->route->heard_at, s->route->asked_at);

    return base_time_min(base_time_add(shared, idle_gap(s)),
                         base_time_add(own, base_time_max(idle_gap(s), RTCP_PROBE_OWN)));
}

/* The only address that is known has not answered yet: the echo may have been lost, or UDP blocked until now. */
static base_time candidate_due(const struct rtcp_session *s)
{
    if (s->route->candidate.family == 0 || s->is_passive) {
        return BASE_NEVER;
    }
    if (rtcp_session_is_busy(s) || s->reliable.type != 0) {
        return s->pulse.probed_at + RTCP_PROBE_SILENCE; /* something is to be said */
    }
    return s->is_confirmed ? idle_due(s) : BASE_NEVER;
}

/* A client told its count, and nothing shows that datagrams get through: does the server wait for it? */
static bool is_told_in_vain(const struct rtcp_session *s)
{
    return s->opt.is_client && s->path == RTCP_PATH_ATTACHED && s->told_at > s->route->echoed_at &&
           s->route->unanswered <= RTCP_COURIER_AFTER;
}

/* When the next probe is due, or BASE_NEVER. */
static base_time probe_due(const struct rtcp_session *s)
{
    base_time last;

    if (!has_somebody_to_ask(s) || s->is_complete || s->aborted) {
        return BASE_NEVER;
    }
    if (!rtcp_route_is_valid(s->route)) {
        return candidate_due(s);
    }
    if (s->opt.is_client && !s->is_confirmed && s->pulse.probed_at == 0) {
        return s->attached_at + RTCP_CONFIRM_AFTER;
    }
    if (rtcp_session_is_busy(s)) {
        return rtcp_pulse_due(&s->pulse, s->route);
    }
    if (s->is_passive) {
        return rtcp_passive_probe_due(s);
    }
    last = s->pulse.probed_at;
    if (s->opt.is_client && !s->is_confirmed) { /* until answered; ever more seldom where UDP is blocked */
        base_time gap = base_time_max(RTCP_PROBE_GAP, base_time_since(last, s->attached_at));

        return last + base_time_min(gap, RTCP_PROBE_IDLE);
    }
    if (is_told_in_vain(s)) {
        return base_time_max(s->told_at, last) + RTCP_PROBE_GAP;
    }
    if (idle_gap(s) == BASE_NEVER) {
        return BASE_NEVER;
    }
    if (s->pulse.unanswered_since != 0 && base_time_since(last, s->pulse.unanswered_since) < BASE_S(3)) {
        return last + RTCP_PROBE_SILENCE; /* the first may just be lost */
    }
    return idle_due(s);
}

static base_time reqack_due(const struct rtcp_session *s)
{
    bool is_due = s->path == RTCP_PATH_ATTACHED && !s->peer_closed && s->out.upto > s->out.first;

    return is_due ? s->reqack_at : BASE_NEVER;
}

void rtcp_control_expire(struct rtcp_session *s, base_time now)
{
    if (probe_due(s) <= now) {
        rtcp_control_probe(s, now, !rtcp_route_is_valid(s->route));
    }
    if (reqack_due(s) <= now) {
        rtcp_session_say(s, RTCP_WIRE_REQACK, false);
        s->reqack_gap = base_time_min(s->reqack_gap * 2, RTCP_REQACK_LAST);
        s->reqack_at = now + s->reqack_gap;
    }
    if (s->reliable.type != 0 && s->reliable.due <= now) {
        send_reliable(s, now);
    }
}

base_time rtcp_control_deadline(const struct rtcp_session *s)
{
    base_time at = base_time_min(probe_due(s), reqack_due(s));

    return s->reliable.type != 0 ? base_time_min(at, s->reliable.due) : at;
}
