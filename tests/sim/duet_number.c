/* The number of a state of duet.h: whatever decides what can happen next. Keys, nonces and random numbers do not; of
 * times only how far away they are, coarsely; of message ids only how old they are.
 */
#include "tests/sim/duet_inside.h"

#include <string.h>

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9fb21c651e98df25u;
    return h ^ h >> 29;
}

static uint64_t mix_all(uint64_t h, const uint64_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        h = mix(h, words[i]);
    }
    return h;
}

/* How far away a time is: the microsecond for the near past and future. */
static uint64_t away(base_time at, base_time now)
{
    if (at == 0 || at == BASE_NEVER) {
        return at == 0 ? 1 : 2;
    }
    if (at <= now) {
        return base_time_since(now, at) > BASE_S(5) ? 3 : 16 + base_time_since(now, at) / BASE_MS(1) * 2;
    }
    return 17 + base_time_since(at, now) / BASE_MS(1) * 2;
}

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static uint64_t number_of_offsets(uint64_t h, const struct rtcp_session *s)
{
    const uint64_t words[] = {
        s->out.first,    s->out.upto,      s->written,     s->written_max,           s->received,
        s->told,         s->asked_count,   s->peer_final,  s->pulse.kernel_acked,    s->asked_full_at,
        s->kernel_holds, s->kernel_unread, s->oldest_upto, s->pulse.suspect_received};

    return mix_all(h, words, COUNT(words));
}

static uint64_t number_of_states(uint64_t h, const struct rtcp_session *s)
{
    const bool flags[] = {s->is_confirmed,
                          s->wants_room,
                          s->is_thawable,
                          s->wants_new,
                          s->was_unheard,
                          s->must_replace,
                          s->asked_shut,
                          s->asked_closed,
                          s->shut,
                          s->closed,
                          s->aborted,
                          s->is_complete,
                          s->half_conf,
                          s->close_conf,
                          s->reset_conf,
                          s->peer_shut,
                          s->peer_closed,
                          s->tells_again,
                          s->is_told_by_answer,
                          s->cid != 0,
                          s->reliable.type == 0 || s->reliable.id == (uint16_t)(s->next_message_id - 1)};
    const uint64_t words[] = {
        (uint64_t)s->life, (uint64_t)s->path, (uint64_t)s->trying, s->live,          s->attempt,    s->wake,
        s->woken,          s->reliable.type,  s->reliable.attempt, s->backoff.delay, s->reqack_gap, s->reliable.gap};

    for (size_t i = 0; i < COUNT(flags); i++) {
        h = mix(h, flags[i]);
    }
    return mix_all(h, words, COUNT(words));
}

static uint64_t number_of_times(uint64_t h, const struct rtcp_session *s, base_time now)
{
    const base_time times[] = {s->full_since,        s->try_deadline,      s->try_started,
                               s->attached_at,       s->detached_at,       s->eof_at,
                               s->mismatch_at,       s->backoff.hinted_at, s->heard_at,
                               s->contact_at,        s->reqack_at,         s->closed_at,
                               s->complete_at,       s->tell_at,           s->reliable.type == 0 ? 0 : s->reliable.due,
                               s->pulse.progress_at, s->pulse.probed_at,   s->pulse.unanswered_since,
                               s->pulse.suspect_at};

    for (size_t i = 0; i < COUNT(times); i++) {
        h = mix(h, away(times[i], now));
    }
    h = mix(h, s->backoff.next_at > now); /* how much exactly is a matter of chance */
    return mix(h, rtcp_session_deadline(s) <= now);
}

/* Without a connection by agreement, or on the way there: the route's times decide when a passive client doubts it. */
static uint64_t number_of_passive(uint64_t h, const struct rtcp_session *s, base_time now)
{
    bool is_said = s->wants_passive && s->reliable.type == RTCP_WIRE_PASSIVE;

    h = mix(mix(mix(h, s->wants_passive), s->is_passive), s->is_doubtful);
    h = mix(mix(h, s->let_go), is_said ? away(s->wished_at, now) : 0);
    if (s->is_passive) {
        h = mix(mix(h, away(s->route->heard_at, now)), away(s->route->asked_at, now));
    }
    return mix(h, s->close_deadline == BASE_NEVER ? 0 : away(s->close_deadline, now));
}

/* The age of a probe in the asker's memory. */
static uint64_t age_of_echo(const struct rtcp_session *asker, const uint8_t *echo)
{
    for (unsigned i = 0; i < RTCP_PROBES_REMEMBERED; i++) {
        const struct rtcp_probe *p = &asker->pulse.probe[i];

        if (p->at != 0 && memcmp(p->echo, echo, RTCP_WIRE_ECHO) == 0) {
            return 1 + p->attempt;
        }
    }
    return 0;
}

static uint64_t number_of_packet(uint64_t h, int from, const struct duet_packet *p)
{
    const struct rtcp_session *sender = &duet.side[from].session;
    const struct rtcp_session *receiver = &duet.side[!from].session;
    struct base_bytes bytes = {p->bytes, p->size};
    struct rtcp_wire_control c;

    if (rtcp_wire_get_control(&bytes, &c) < 0) {
        return h;
    }
    h = mix(mix(mix(h, c.type), c.flagged), c.received);
    h = mix(mix(mix(mix(h, c.final), c.attempt), c.unread), c.ring);
    if (c.flagged) {
        h = mix(h, (uint16_t)(sender->next_message_id - c.message_id));
    } else if (c.type == RTCP_WIRE_CONF) {
        h = mix(h, receiver->reliable.type != 0 && receiver->reliable.id == c.message_id);
    } else if (c.type == RTCP_WIRE_PROBE) {
        h = mix(h, age_of_echo(sender, c.echo));
    } else if (c.type == RTCP_WIRE_PROBE_REPLY) {
        h = mix(h, age_of_echo(receiver, c.echo));
    }
    return h;
}

static uint64_t number_of_side(uint64_t h, int side)
{
    const struct duet_side *s = &duet.side[side];

    h = mix(mix(h, s->is_over), (uint64_t)(int64_t)s->status);
    if (!s->is_over) {
        h = number_of_offsets(h, &s->session);
        h = number_of_states(h, &s->session);
        h = number_of_times(h, &s->session, s->now);
        h = number_of_passive(h, &s->session, s->now);
        if (duet.left.news > 0) { /* one session of a route asks for all */
            h = mix(h, away(s->route.asked_at, s->now));
        }
        h = mix(h, s->route.to.family);
        h = mix(h, s->session.told_at > s->route.echoed_at);
    }
    h = mix(h, s->wants_newer ? 1 + s->newer_than : 0);
    h = mix(h, s->live == DUET_NONE ? 0 : duet.conn[s->live].attempt);
    h = mix(h, s->trying == DUET_NONE ? 0 : duet.conn[s->trying].attempt);
    for (int i = 0; i < s->packets; i++) {
        h = number_of_packet(h, side, &s->packet[i]);
    }
    return mix(h, 99);
}

static uint64_t number_of_conn(const struct duet_conn *c)
{
    uint64_t h = mix(mix(7, c->attempt), c->is_broken);

    for (int i = 0; i < 2; i++) {
        const struct duet_flow *f = &c->flow[i];
        bool carries = c->end[!i] != DUET_END_CLOSED;

        h = mix(mix(h, c->end[i]), c->is_eof[i]);
        h = mix(mix(mix(h, carries && f->fin), carries && f->rst), carries && f->has_head);
        h = mix(mix(mix(h, carries ? f->size : 0), carries && f->size > 0 ? f->at : 0), f->holds);
        if (carries && f->has_head) { /* what a handshake says, but no nonce and no tag */
            for (size_t at = 0; at < 52; at++) {
                h = mix(h, f->head[at]);
            }
        }
    }
    return h;
}

uint64_t duet_number(void)
{
    uint64_t h = number_of_side(number_of_side(1, 0), 1);
    uint64_t sum = 0;

    for (int i = 0; i < DUET_CONNS; i++) {
        sum += duet.conn[i].is_used ? number_of_conn(&duet.conn[i]) : 0; /* which place it has means nothing */
    }
    h = mix(h, sum);
    h = mix(mix(mix(h, (uint64_t)duet.left.breaks), (uint64_t)duet.left.expires), (uint64_t)duet.left.repeats);
    h = mix(mix(mix(h, (uint64_t)duet.left.bytes[0]), (uint64_t)duet.left.bytes[1]), (uint64_t)duet.left.shutdowns);
    h = mix(mix(h, (uint64_t)duet.left.replaces), (uint64_t)duet.left.passivates);
    h = mix(mix(mix(h, (uint64_t)duet.left.renews), (uint64_t)duet.left.hurries), (uint64_t)duet.left.news);
    return mix(mix(h, (uint64_t)duet.left.closes), (uint64_t)duet.left.aborts);
}
