/* Roles, terms, and who leads: see role.h. */
#include "membership/role.h"

#include "membership/stream.h"
#include "rtcp/base/state.h"

static const struct base_state roles[] = {
    [ROLE_FOLLOWER] = {"follower", BASE_TO(ROLE_PRECANDIDATE) | BASE_TO(ROLE_STOPPED)},
    [ROLE_PRECANDIDATE] = {"pre-candidate", BASE_TO(ROLE_FOLLOWER) | BASE_TO(ROLE_PRECANDIDATE) |
                                                BASE_TO(ROLE_CANDIDATE) | BASE_TO(ROLE_STOPPED)},
    [ROLE_CANDIDATE] = {"candidate", BASE_TO(ROLE_FOLLOWER) | BASE_TO(ROLE_PRECANDIDATE) | BASE_TO(ROLE_LEADER) |
                                         BASE_TO(ROLE_STOPPED)},
    [ROLE_LEADER] = {"leader", BASE_TO(ROLE_FOLLOWER) | BASE_TO(ROLE_STOPPED)},
    [ROLE_STOPPED] = {"stopped", 0},
};

static struct base_event event_of(const struct order *o, const char *name, const char *reason)
{
    struct base_event event = {.at = o->now, .object = "order", .id = o->options.self, .name = name, .text = reason};

    event.field[0].key = "term";
    event.field[0].value = o->term;
    return event;
}

void role_trace(const struct order *o, const char *name, const char *reason, uint64_t member, uint64_t index)
{
    struct base_event event = event_of(o, name, reason);

    event.field[1].key = "member";
    event.field[1].value = member;
    event.field[2].key = "index";
    event.field[2].value = index;
    base_trace_emit(&o->options.trace, &event);
}

void role_move(struct order *o, int role, const char *reason)
{
    base_state_move(roles, &o->role, role, &o->options.trace, event_of(o, NULL, reason));
}

void role_begin_term(struct order *o, uint64_t term, uint32_t vote)
{
    CHECK(term > o->term);
    o->term = term;
    o->vote = vote;
    o->term_leader = 0;
    o->is_abdicated = false;
    o->verified = 0;
    o->heard = 0;
    o->round = 0;
    o->expecting = UINT64_MAX;
    part_clear(&o->entry, o->options.memory);
    for (uint32_t i = 0; i < o->seat_count; i++) {
        stream_reset(o, &o->seat[i]);
        o->seat[i].acked = 0;
        o->seat[i].expected = 0;
    }
    o->tells_beat = o->tells_beat || o->has_beat;
    o->has_beat = false;
    role_set_leader(o, 0);
    role_set_quorum(o, false);
}

void role_step(struct order *o, uint64_t term, const char *reason)
{
    role_begin_term(o, term, 0);
    if (o->role != ROLE_FOLLOWER) {
        role_move(o, ROLE_FOLLOWER, reason);
        detector_wait(&o->detector, o->now);
    } else {
        detector_forget(&o->detector);
    }
}

bool role_follow(struct order *o, struct order_seat *seat)
{
    if (o->term_leader != 0) {
        if (o->term_leader != seat->id) {
            role_stop(o, "two leaders in one term");
        }
        return o->term_leader == seat->id;
    }
    o->term_leader = seat->id;
    if (o->role != ROLE_FOLLOWER) {
        role_move(o, ROLE_FOLLOWER, "another leads this term");
    }
    detector_wait(&o->detector, o->now);
    role_set_leader(o, seat->id);
    return true;
}

void role_set_leader(struct order *o, uint32_t id)
{
    if (o->leader == id) {
        return;
    }
    if (id == 0) {
        o->leaderless = o->now;
    }
    o->leader = id;
    o->tells_leader = true;
}

void role_set_quorum(struct order *o, bool has_quorum)
{
    if (o->has_quorum == has_quorum) {
        return;
    }
    o->has_quorum = has_quorum;
    o->quorum_since = o->now;
    o->tells_quorum = true;
}

void role_stop(struct order *o, const char *reason)
{
    if (o->role == ROLE_STOPPED) {
        return;
    }
    role_move(o, ROLE_STOPPED, reason);
    o->stop_reason = reason;
    o->tells_stop = true;
    o->tells_beat = o->tells_beat || o->has_beat;
    o->has_beat = false;
    role_set_leader(o, 0);
    role_set_quorum(o, false);
    for (uint32_t i = 0; i < o->seat_count; i++) {
        o->seat[i].slots = 0;
    }
}

const char *role_name(const struct order *o)
{
    return roles[o->role].name;
}
