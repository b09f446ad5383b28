/* How streams become links: accepting, dialling, hellos and refusals. See mesh_inside_loop.h and PROTOCOL.md "Mesh". */
#include "membership/mesh_inside_loop.h"
#include "rtcp/base/check.h"
#include "rtcp/base/clock_loop.h"

#define GUESTS_MAX        64 /* streams that have not said hello; the oldest gives way */
#define REFUSED_PAUSE     BASE_S(2)
#define KNOCK_PAUSE       BASE_S(2)
#define WRONG_PLACE_COUNT 3 /* a port may belong to somebody else for a moment */

static const struct lane_callbacks lane_callbacks;

/* ---------------------------------------------------------------------------------------------------- lanes */

static struct owner *owner_of(const struct lane *lane)
{
    return lane->owner;
}

static struct lane *new_lane(struct mesh *m, struct mesh_peer *p, enum message_lane kind)
{
    struct owner *owner = base_memory_new(m->memory, 1, sizeof *owner);
    struct lane *lane = owner == NULL ? NULL : lane_new(m->memory, &lane_callbacks, owner);

    if (lane == NULL) {
        base_memory_free(m->memory, owner);
        return NULL;
    }
    *owner = (struct owner){.mesh = m, .peer = p, .kind = kind};
    lane->next = m->lanes;
    m->lanes = lane;
    return lane;
}

static void delete_lane(struct mesh *m, struct lane *lane)
{
    struct lane **at = &m->lanes;

    while (*at != lane) {
        at = &(*at)->next;
    }
    *at = lane->next;
    base_memory_free(m->memory, lane->owner);
    lane_free(lane);
}

/* It is nobody's any more; on_gone deletes it. */
static void leave(struct lane *lane, enum rtcp_linger linger)
{
    struct owner *owner = owner_of(lane);

    if (owner->is_guest) {
        owner->is_guest = false;
        owner->mesh->guests--;
    }
    owner->peer = NULL;
    lane_close(lane, linger);
}

static struct link *link_of(const struct lane *lane)
{
    const struct owner *owner = owner_of(lane);
    struct mesh_peer *p = owner->peer;

    if (p == NULL) {
        return NULL;
    }
    if (p->knock.lane[owner->kind] == lane) {
        return &p->knock;
    }
    return p->current.lane[owner->kind] == lane ? &p->current : &p->next;
}

static void say(struct mesh *m, struct lane *lane, const struct pair *pair, enum message_lane kind)
{
    struct wire_head head = {.what = WIRE_IS_HELLO, .hello = pair_hello(pair, m->self, kind)};
    size_t body;

    if (lane_room(lane, &body)) { /* the first words on a ring: there is room */
        lane_send(lane, &head);
    }
}

static void say_on_both(struct mesh *m, const struct link *link)
{
    say(m, link->lane[LANE_VOTES], &link->pair, LANE_VOTES);
    say(m, link->lane[LANE_BULK], &link->pair, LANE_BULK);
}

/* ---------------------------------------------------------------------------------------------------- ends */

void mesh_meet_end(struct mesh *m, struct mesh_peer *p, struct link *link, enum rtcp_linger linger)
{
    bool was_up = link->pair.state == PAIR_UP;

    if (link == &p->knock) {
        p->knock_at = base_time_add(base_clock_now(), KNOCK_PAUSE);
    }

    for (unsigned i = 0; i < LANE_COUNT; i++) { /* rule 4: both or none */
        if (link->lane[i] != NULL) {
            leave(link->lane[i], linger);
            link->lane[i] = NULL;
        }
    }
    pair_init(&link->pair);
    if (was_up && link == &p->current) {
        p->is_read = false;
        mesh_tell(m, p->id, "link down", NULL, 0);
        m->callbacks.on_down(m->user, p->id);
        mesh_look(m, p);
    }
}

/* Tells a stream why it is refused, and closes it when that was delivered. */
static void refuse_lane(struct mesh *m, struct lane *lane, enum hello_reason reason, uint64_t nonce)
{
    struct hello asked = {.nonce = nonce};
    struct wire_head head = {.what = WIRE_IS_REFUSAL, .refusal = hello_refuse(m->self, reason, &asked)};
    size_t body;

    if (lane_room(lane, &body)) {
        lane_send(lane, &head);
    }
    leave(lane, RTCP_LINGER_BACKGROUND);
}

void mesh_meet_refuse(struct mesh *m, struct mesh_peer *p, struct link *link, enum hello_reason reason)
{
    uint64_t nonce = link->pair.peer_nonce;

    mesh_tell(m, p->id, "refused it", NULL, (uint64_t)reason);
    for (unsigned i = 0; i < LANE_COUNT; i++) {
        if (link->lane[i] != NULL) {
            refuse_lane(m, link->lane[i], reason, nonce);
            link->lane[i] = NULL;
        }
    }
    mesh_meet_end(m, p, link, RTCP_LINGER_BACKGROUND);
    mesh_dial_later(m, p, REFUSED_PAUSE);
}

static void be_refused(struct mesh *m, struct lane *lane, const struct hello_refusal *refusal)
{
    struct mesh_peer *p = owner_of(lane)->peer;
    struct link *link = link_of(lane);

    if (link == NULL || refusal->echo != link->pair.nonce) {
        return; /* old, or about another hello */
    }
    mesh_tell(m, p->id, "refused us", NULL, refusal->reason);
    mesh_meet_end(m, p, link, RTCP_LINGER_ABORT);
    mesh_dial_later(m, p, REFUSED_PAUSE);
    m->callbacks.on_refused(m->user, p->id, hello_meaning((enum hello_reason)refusal->reason));
}

/* ---------------------------------------------------------------------------------------------------- up */

/* The handshake is done: this link replaces the current one. */
static void come_up(struct mesh *m, struct mesh_peer *p)
{
    struct link link = p->next;

    p->next = (struct link){0};
    mesh_meet_end(m, p, &p->current, RTCP_LINGER_ABORT);
    p->current = link;
    p->failures = 0;
    p->wrong = 0;
    mesh_meet_end(m, p, &p->knock, RTCP_LINGER_ABORT);
    lane_release(link.lane[LANE_VOTES]);
    mesh_tell(m, p->id, "link up", NULL, link.pair.incarnation);
    m->callbacks.on_up(m->user, p->id, link.pair.incarnation, link.pair.is_founder);
    mesh_look(m, p);
    m->callbacks.on_room(m->user); /* a turn is due: frames may wait behind the hello */
}

/* Whether this hello is the second one of the handshake under way; if not, its sender begins anew. */
static void begin(struct mesh *m, struct mesh_peer *p, struct lane *lane, const struct hello *h)
{
    enum message_lane kind = (enum message_lane)h->lane;

    owner_of(lane)->peer = p;
    owner_of(lane)->kind = kind;
    if (pair_matches(&p->next.pair, h)) {
        CHECK(pair_receive(&p->next.pair, kind, h) == 0); /* it matches */
        p->next.lane[kind] = lane;
        say_on_both(m, &p->next);
        return;
    }
    mesh_meet_end(m, p, &p->next, RTCP_LINGER_ABORT);
    pair_accept(&p->next.pair, h, base_rng_next(&m->rng) | 1);
    p->next.lane[kind] = lane;
}

/* The first hello of a stream that came to us. */
static int meet_guest(struct mesh *m, struct lane *lane, const struct hello *h)
{
    struct mesh_peer *p = mesh_find(m, h->sender);
    enum hello_reason reason = hello_judge(m->self, h);

    if (m->is_silent) {
        return BASE_E_CLOSED; /* it came in before, and has nobody to talk to any more */
    }
    if (reason == HELLO_GOOD && h->sender > m->self->id) {
        return BASE_E_PROTOCOL; /* the lower id dials: this was a knock, and nothing is wrong */
    }
    if (reason != HELLO_GOOD) {
        mesh_tell(m, h->sender, "refused it", NULL, (uint64_t)reason);
        refuse_lane(m, lane, reason, h->nonce);
        if (reason == HELLO_BAD_TOKEN || reason == HELLO_BAD_FOUNDERS) { /* whom it disagrees with should know, too */
            m->callbacks.on_refused(m->user, h->sender, hello_meaning(reason));
        }
        return 0;
    }
    if (h->lane == LANE_BULK && lane_make_bulk(lane) != 0) {
        return BASE_E_NOMEM;
    }
    owner_of(lane)->is_guest = false;
    m->guests--;
    begin(m, p, lane, h);
    return 0;
}

/* A further hello: the answer to ours (we dialled), or the READY to our answer. */
static int meet_peer(struct mesh *m, struct lane *lane, const struct hello *h)
{
    struct owner *owner = owner_of(lane);
    struct mesh_peer *p = owner->peer;
    struct link *link = link_of(lane);
    enum hello_reason reason = hello_judge(m->self, h);

    if (link != &p->next || h->sender != p->id) {
        return BASE_E_PROTOCOL;
    }
    if (reason != HELLO_GOOD) {
        link->pair.peer_nonce = h->nonce;
        mesh_meet_refuse(m, p, link, reason);
        if (reason == HELLO_BAD_TOKEN || reason == HELLO_BAD_FOUNDERS) {
            m->callbacks.on_refused(m->user, h->sender, hello_meaning(reason));
        }
        return 0;
    }
    if (pair_receive(&link->pair, owner->kind, h) != 0) {
        return BASE_E_PROTOCOL;
    }
    lane_hold(lane); /* what follows waits for the other lane, or for mesh_read_bulk */
    if (link->pair.state == PAIR_UP) {
        if (p->id > m->self->id) {
            say_on_both(m, link); /* READY */
        }
        come_up(m, p);
    }
    return 0;
}

/* ---------------------------------------------------------------------------------------------------- lane's callbacks
 */

static int on_frame(struct lane *lane, const struct wire_head *head)
{
    struct owner *owner = owner_of(lane);
    struct mesh *m = owner->mesh;
    struct link *link = link_of(lane);

    if (head->what == WIRE_IS_HELLO) {
        return owner->is_guest ? meet_guest(m, lane, &head->hello) : meet_peer(m, lane, &head->hello);
    }
    if (head->what == WIRE_IS_REFUSAL) {
        be_refused(m, lane, &head->refusal);
        return 0;
    }
    if (link == NULL || link->pair.state != PAIR_UP) {
        return BASE_E_PROTOCOL; /* hello comes first */
    }
    return m->callbacks.on_frame(m->user, owner->peer->id, owner->kind, head);
}

static void on_ended(struct lane *lane, int status)
{
    struct owner *owner = owner_of(lane);
    struct mesh *m = owner->mesh;
    struct mesh_peer *p = owner->peer;
    struct link *link = link_of(lane);

    if (link == NULL) {
        leave(lane, RTCP_LINGER_ABORT);
        return;
    }
    mesh_tell(m, p->id, "stream ended", base_status_text(status), (uint64_t)-status);
    mesh_meet_end(m, p, link, RTCP_LINGER_ABORT);
    mesh_dial_later(m, p, 0);
}

static void on_gone(struct lane *lane)
{
    struct owner *owner = owner_of(lane);

    CHECK(owner->peer == NULL && !owner->is_guest); /* on_ended, or whoever closed it, has seen to that */
    delete_lane(owner->mesh, lane);
}

static void on_room(struct lane *lane)
{
    struct mesh *m = owner_of(lane)->mesh;

    m->callbacks.on_room(m->user);
}

static void on_link(struct lane *lane, bool up)
{
    struct owner *owner = owner_of(lane);

    (void)up;
    if (owner->peer != NULL) {
        mesh_look(owner->mesh, owner->peer);
    }
}

/* Somebody else answers at the address of a member: told when it has happened a few times in a row. */
static void on_evidence(struct lane *lane, enum rtcp_evidence evidence)
{
    struct owner *owner = owner_of(lane);
    struct mesh_peer *p = owner->peer;

    if (evidence != RTCP_EVIDENCE_WRONG_PEER || p == NULL || owner->kind != LANE_VOTES) {
        return;
    }
    mesh_tell(owner->mesh, p->id, "somebody else answers at its address", NULL, p->wrong);
    if (++p->wrong == WRONG_PLACE_COUNT) {
        p->wrong = 0;
        owner->mesh->callbacks.on_refused(owner->mesh->user, p->id, FOUND_REASON_PLACE);
    }
}

static void on_probe_data(struct lane *lane, const uint8_t data[RTCP_PROBE_DATA_SIZE])
{
    struct owner *owner = owner_of(lane);
    struct mesh_peer *p = owner->peer;

    if (p != NULL && p->is_read && owner->kind == LANE_VOTES && link_of(lane) == &p->current) {
        owner->mesh->callbacks.on_beat(owner->mesh->user, p->id, data);
    }
}

static const struct lane_callbacks lane_callbacks = {
    .on_frame = on_frame,
    .on_ended = on_ended,
    .on_gone = on_gone,
    .on_room = on_room,
    .on_link = on_link,
    .on_evidence = on_evidence,
    .on_probe_data = on_probe_data,
};

/* ---------------------------------------------------------------------------------------------------- streams */

static void push_out_oldest_guest(struct mesh *m)
{
    struct lane *oldest = NULL;

    for (struct lane *lane = m->lanes; lane != NULL; lane = lane->next) {
        oldest = owner_of(lane)->is_guest ? lane : oldest;
    }
    if (oldest != NULL) {
        leave(oldest, RTCP_LINGER_ABORT);
    }
}

void mesh_meet_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct mesh *m = user;
    struct lane *lane;

    (void)listener;
    if (m->guests >= GUESTS_MAX) {
        push_out_oldest_guest(m);
    }
    lane = m->is_silent ? NULL : new_lane(m, NULL, LANE_VOTES);
    if (lane == NULL) {
        rtcp_close(stream, RTCP_LINGER_ABORT); /* its dialler tries again */
        return;
    }
    owner_of(lane)->is_guest = true;
    m->guests++;
    lane_accept(lane, stream);
}

static int dial_lane(struct mesh *m, struct mesh_peer *p, struct link *link, enum message_lane kind)
{
    char service[MESH_SERVICE_SIZE];
    struct rtcp_stream_options o;
    struct lane *lane = new_lane(m, p, kind);
    int status;

    if (lane == NULL) {
        return BASE_E_NOMEM;
    }
    rtcp_stream_options_default(&o);
    mesh_service_name(m, p->id, service);
    o.service = service;
    o.ring = kind == LANE_VOTES ? MESH_VOTES_RING : MESH_BULK_RING;
    o.retry_refused = true;
    o.idle_probe = MESH_IDLE_PROBE;
    o.linger_max = MESH_LINGER_MAX;
    status = kind == LANE_BULK ? lane_make_bulk(lane) : 0;
    if (status == 0) {
        status = lane_dial(lane, m->endpoint, p->address, &o);
    }
    if (status != 0) {
        delete_lane(m, lane);
        return status;
    }
    link->lane[kind] = lane;
    return 0;
}

void mesh_meet_dial(struct mesh *m, struct mesh_peer *p)
{
    int status;

    p->dial_at = BASE_NEVER;
    if (p->next.pair.state != PAIR_IDLE || p->current.pair.state != PAIR_IDLE) {
        return;
    }
    pair_dial(&p->next.pair, p->id, ++m->links, base_rng_next(&m->rng) | 1);
    status = dial_lane(m, p, &p->next, LANE_VOTES);
    if (status == 0) {
        status = dial_lane(m, p, &p->next, LANE_BULK);
    }
    if (status != 0) {
        mesh_tell(m, p->id, "cannot dial", base_status_text(status), (uint64_t)-status);
        mesh_meet_end(m, p, &p->next, RTCP_LINGER_ABORT);
        mesh_dial_later(m, p, 0);
        return;
    }
    say_on_both(m, &p->next);
}

void mesh_meet_knock(struct mesh *m, struct mesh_peer *p)
{
    pair_dial(&p->knock.pair, p->id, ++m->links, base_rng_next(&m->rng) | 1);
    if (dial_lane(m, p, &p->knock, LANE_VOTES) != 0) {
        mesh_meet_end(m, p, &p->knock, RTCP_LINGER_ABORT);
        return;
    }
    say(m, p->knock.lane[LANE_VOTES], &p->knock.pair, LANE_VOTES);
}
