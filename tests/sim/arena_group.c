/* Arena b: a whole group. Members run a replicated state machine through the public face of replication, with clients
 * on their nodes, while the network, the machines and the clocks do their worst.
 *
 * Two phases. Safety: faults, and every property of the oracles at every step. Liveness (L1, L2, L3, L8): the links
 * among a chosen majority are healed while the rest stays broken; that majority must elect, answer and deliver all.
 * Then everything is healed, and every member of the view must have everything. A run may end without that only when
 * the view has lost its majority of processes, which are named.
 *
 * Members are volatile: a killed one is gone for good, its next process must be refused. So at most a minority is
 * killed once a view is there.
 */
#include "tests/sim/arena_group.h"

#include "membership/mesh_inside_loop.h"
#include "membership/role.h"
#include "tests/sim/arena.h"
#include "tests/sim/clients.h"
#include "tests/sim/cover.h"
#include "tests/sim/faults.h"
#include "tests/sim/group_judge.h"
#include "tests/sim/net.h"
#include "tests/sim/oracle_clients.h"
#include "tests/sim/oracle_order.h"
#include "tests/sim/oracle_paper.h"
#include "tests/sim/oracle_views.h"
#include "tests/sim/stranger.h"

#include <stdio.h>
#include <string.h>

#define PORT        7000
#define STRANGER    SIM_MEMBERS_MAX /* the node of another service */
#define STORM       BASE_S(25)
#define TURNS_MORE  20000u /* of a loop in a second, for each member: a leader talks to all */
#define FOUND_LIMIT BASE_S(60)
#define FIXED_BYTES ((size_t)24 << 20) /* of a member besides its log: rings, pending commands, pieces of memory */
#define OTHER_BYTES ((size_t)48 << 20) /* for each process that is refused: rings of refusals that linger for 30 s */

struct sim_group sim_group;

static struct {
    struct replica_options options;
    struct group_address address[SIM_MEMBERS_MAX];
    char text[SIM_MEMBERS_MAX][GROUP_ADDRESS_SIZE];
    uint8_t key[32];
    bool may_disagree; /* addresses led elsewhere in this run */
    size_t room;       /* the most that a message may carry: small ones show what a batch leaves open */
    uint32_t posts;    /* of a SYNC: few, as after many terms, so that a stream begins far below the last entry */
} g;

static int numbers[SIM_MEMBERS_MAX];

uint64_t sim_hash(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *at = data;

    hash = hash * 31 + 0xcbf29ce484222325u + size;
    for (; size >= 8; at += 8, size -= 8) {
        uint64_t word;

        memcpy(&word, at, 8);
        hash = (hash ^ word) * 0x9fb21c651e98df25u;
        hash ^= hash >> 29;
    }
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ at[i]) * 1099511628211u;
    }
    return hash ^ hash >> 31;
}

bool sim_group_is_serving(int node)
{
    const struct sim_member *m = &sim_group.member[node];

    return sim.node[node].is_up && m->replica != NULL && m->has_view && !m->is_out;
}

/* ------------------------------------------------------------------------------------------------ looking inside */

int __real_order_open(const struct order_options *options, const struct order_image *image, base_time now,
                      struct order **ret_order);
int __wrap_order_open(const struct order_options *options, const struct order_image *image, base_time now,
                      struct order **ret_order);
bool __real_order_poll(struct order *o, struct order_effect *e);
bool __wrap_order_poll(struct order *o, struct order_effect *e);
bool __real_order_deliver(struct order *o, struct group_delivery *d);
bool __wrap_order_deliver(struct order *o, struct group_delivery *d);
bool __real_order_pull(struct order *o, uint32_t member, enum message_lane lane, size_t room, struct message *m);
bool __wrap_order_pull(struct order *o, uint32_t member, enum message_lane lane, size_t room, struct message *m);

int __wrap_order_open(const struct order_options *options, const struct order_image *image, base_time now,
                      struct order **ret_order)
{
    if (sim.current != NULL) { /* else: the order core alone */
        sim_group.member[sim.current->id].incarnation = options->incarnation;
    }
    return __real_order_open(options, image, now, ret_order);
}

/* The driver asks the core in every turn; the oracles look at it then. */
bool __wrap_order_poll(struct order *o, struct order_effect *e)
{
    if (sim.current != NULL) {
        sim_group.member[sim.current->id].core = o;
        oracle_order_look(sim.current->id, o);
    }
    return __real_order_poll(o, e);
}

bool __wrap_order_deliver(struct order *o, struct group_delivery *d)
{
    bool is_there = __real_order_deliver(o, d);

    if (is_there && sim.current != NULL) {
        oracle_views_deliver(sim.current->id);
        oracle_order_deliver(sim.current->id, d);
    }
    return is_there;
}

bool __wrap_order_pull(struct order *o, uint32_t member, enum message_lane lane, size_t room, struct message *m)
{
    bool is_there = __real_order_pull(o, member, lane, sim.current == NULL || room < g.room ? room : g.room, m);

    if (is_there && sim.current != NULL) {
        if (m->kind == MESSAGE_SYNC && m->sync.count > g.posts) {
            m->sync.count = g.posts;
        }
        oracle_paper_sent(sim.current->id, member, m);
    }
    return is_there;
}

int __real_order_receive(struct order *o, uint32_t member, enum message_lane lane, const struct message *m,
                         base_time now);
int __wrap_order_receive(struct order *o, uint32_t member, enum message_lane lane, const struct message *m,
                         base_time now);
void __real_mesh_turn(struct mesh *mesh);
void __wrap_mesh_turn(struct mesh *mesh);

int __wrap_order_receive(struct order *o, uint32_t member, enum message_lane lane, const struct message *m,
                         base_time now)
{
    if (sim.current != NULL) {
        oracle_order_heard(sim.current->id, member, m);
    }
    return __real_order_receive(o, member, lane, m, now);
}

void __wrap_mesh_turn(struct mesh *mesh)
{
    sim_group.member[sim.current->id].mesh = mesh;
    __real_mesh_turn(mesh);
}

/* ------------------------------------------------------------------------------------------------ callbacks */

static void apply(void *user, const struct replica_command *command, struct replica_answer *answer)
{
    int node = *(int *)user;
    struct sim_machine *machine = &sim_group.member[node].machine;
    size_t op;
    uint8_t bytes[8];

    base_put64(bytes, sim_clients_apply(machine, command, &op));
    replica_answer_add(answer, bytes, sizeof bytes);
    oracle_clients_applied(node, command, op);
    if (op < sim_clients.count) {
        sim_clients_applied(node, op);
    }
    oracle_order_apply(node, command, machine->hash, sim_hash(1, bytes, sizeof bytes));
}

static void on_view(void *user, const struct group_view *view, const struct group_difference *difference,
                    const char *reason)
{
    (void)reason;
    oracle_views_install(*(int *)user, view, difference);
}

static void close_one(void *object, uint64_t node)
{
    (void)object;
    sim_group.member[node].mesh = NULL;
    sim_group.member[node].core = NULL;
    replica_close(sim_group.member[node].replica);
    sim_group.member[node].replica = NULL;
}

static void start(int node);

/* A process that was put out is closed, and one that others mistook at the founding is started again. */
static void leave(void *object, uint64_t number)
{
    int node = (int)(number & 0xff);
    struct sim_member *m = &sim_group.member[node];

    (void)object;
    if (!sim.node[node].is_up || m->life != number >> 8 || m->replica == NULL) {
        return;
    }
    if (sim.node[node].is_paused) {
        sim_at(sim.now + BASE_MS(500), leave, NULL, number);
        return;
    }
    sim_in_node(&sim.node[node], close_one, NULL, (uint64_t)node);
    if (m->out_status == BASE_E_INVALID) {
        sim_node_kill(&sim.node[node], false);
        start(node);
    }
}

static void on_excluded(void *user, int status, const char *why)
{
    int node = *(int *)user;
    struct sim_member *m = &sim_group.member[node];

    oracle_views_excluded(node, status, why, g.may_disagree);
    m->is_out = true;
    m->out_status = status;
    sim_cover_event("group", "excluded", base_status_name(status));
    sim_at(sim.now + sim_below(BASE_S(2)), leave, NULL, (uint64_t)m->life << 8 | (uint64_t)node);
}

static void on_leader(void *user, uint32_t member, uint64_t term)
{
    sim_trace("node %d follows %u in term %llu", *(int *)user, member, (unsigned long long)term);
}

static void on_quorum(void *user, bool has_quorum, base_time since)
{
    (void)since;
    sim_trace("node %d has %s", *(int *)user, has_quorum ? "a quorum" : "no quorum");
}

static void on_link(void *user, uint32_t member, bool up)
{
    sim_trace("node %d: path to %u is %s", *(int *)user, member, up ? "up" : "down");
}

static void on_event(void *user, const struct base_event *e)
{
    if (strcmp(e->object, "group") != 0) { /* these speak of this very group */
        sim_cover_branch(e);
    }
    sim_trace("node %d %s %llu %s%s%s", *(int *)user, e->object, (unsigned long long)e->id, e->name,
              e->text == NULL ? "" : ": ", e->text == NULL ? "" : e->text);
}

/* ------------------------------------------------------------------------------------------------ processes */

/* A majority has the view: only then an operator would look for a live group. */
static bool is_alive(void)
{
    int holders = 0;

    for (int i = 0; i < sim_group.count; i++) {
        holders += sim_group_is_serving(i) ? 1 : 0;
    }
    return 2 * holders > sim_group.count;
}

static void start_member(void *object, uint64_t number)
{
    static const struct replica_machine machine = {.apply = apply};
    static const struct group_callbacks calls = {.on_view = on_view,
                                                 .on_excluded = on_excluded,
                                                 .on_leader = on_leader,
                                                 .on_quorum = on_quorum,
                                                 .on_link = on_link};
    int *node = object;
    struct sim_member *m = &sim_group.member[*node];
    struct replica_options o = g.options;
    bool is_return = sim.node[*node].life > 1 && sim_chance(500) && is_alive();

    (void)number;
    *m = (struct sim_member){.life = sim.node[*node].life};
    oracle_order_start(*node);
    sim_clients_start(*node);
    o.group.self = (uint32_t)*node + 1;
    o.group.trace = (struct base_trace){node, on_event};
    CHECK((is_return ? replica_open : replica_found)(sim.current->loop, &o, &machine, &calls, node, &m->replica) == 0);
}

static void start(int node)
{
    sim_node_start(&sim.node[node], start_member, &numbers[node]);
}

int sim_group_majority(void)
{
    return sim_group.count / 2 + 1;
}

/* How many processes of the view live. */
int sim_group_living(void)
{
    int living = 0;

    for (int i = 0; i < sim_group.count; i++) {
        living += oracle_views_names(i) ? 1 : 0;
    }
    return living;
}

static bool may_kill(int node)
{
    bool may = !sim.node[node].is_up || oracle_views_current() == NULL || !oracle_views_names(node) ||
               sim_group_living() > sim_group_majority();

    if (sim_group.count < 3 && oracle_views_current() != NULL) {
        return false;
    }
    sim_group.was_killed = sim_group.was_killed || (may && sim.node[node].is_up);
    return may;
}

/* One session of a link ends (rule 4): what a protocol error, or an operator, would do. */
static void end_session(void *object, uint64_t number)
{
    struct mesh *mesh = object;
    struct mesh_peer *p = &mesh->peer[number % mesh->count];
    struct lane *lane = p->current.lane[number >> 32 & 1];

    if (lane != NULL && lane->stream != NULL && !lane->is_closed) {
        sim_trace("the session of lane %u to member %u ends", (unsigned)(number >> 32 & 1), p->id);
        sim_cover_event("group", "session ended", "by hand");
        sim_group.has_ended_sessions = true;
        rtcp_close(lane->stream, RTCP_LINGER_ABORT);
    }
}

static void end_sessions(void *object, uint64_t until)
{
    int node = (int)sim_below((uint64_t)sim_group.count);
    uint64_t number = sim_below(UINT64_MAX);
    struct mesh *mesh = sim_group.member[node].mesh;

    (void)object;
    if (sim.now >= until) {
        return;
    }
    if (sim.node[node].is_up && !sim.node[node].is_paused && mesh != NULL && mesh->count > 0) {
        sim_in_node(&sim.node[node], end_session, mesh, number);
    }
    sim_at(sim.now + sim_delay(BASE_MS(10), BASE_S(6)), end_sessions, NULL, until);
}

static void start_late(void *object, uint64_t node)
{
    (void)object;
    if (!sim.node[node].is_up) {
        start((int)node);
    }
}

void sim_group_cut_path(int from, int to, bool is_cut)
{
    sim_net_path(from, to)->tcp_cut = is_cut;
    sim_net_path(from, to)->udp_cut = is_cut;
}

static void cut_pair(int a, int b, bool is_cut)
{
    if (a != b) {
        sim_group_cut_path(a, b, is_cut);
        sim_group_cut_path(b, a, is_cut);
    }
}

static void heal_pairs(void *object, uint64_t number)
{
    (void)object;
    (void)number;
    for (int i = 0; i < sim_group.count * sim_group.count; i++) {
        cut_pair(i / sim_group.count, i % sim_group.count, false);
    }
}

/* Founders that come, go and come again while they look for each other. Nodes 0 and `last` do not meet before the end:
 * until then no group can be founded, and then they may believe in different lives of the others. */
static void churn(void *object, uint64_t until)
{
    int last = sim_group.count - 1;
    int node = (int)sim_below((uint64_t)sim_group.count);

    (void)object;
    if (sim.now >= until) {
        cut_pair(0, last, false);
        sim_at(sim.now + sim_delay(BASE_MS(20), BASE_S(3)), heal_pairs, NULL, 0);
        return;
    }
    cut_pair(node, (int)sim_below((uint64_t)sim_group.count), sim_chance(600));
    cut_pair(0, last, true);
    if (sim_chance(400) && sim.node[node].is_up && may_kill(node)) {
        sim_node_kill(&sim.node[node], sim_chance(200));
        sim_at(sim.now + sim_delay(0, BASE_MS(300)), start_late, NULL, (uint64_t)node);
    }
    sim_at(sim.now + sim_delay(BASE_MS(20), BASE_S(1)), churn, NULL, until);
}

/* ------------------------------------------------------------------------------------------------ phases */

/* B1: memory is bounded, whoever is away. */
static void watch_memory(void *object, uint64_t number)
{
    size_t most = g.options.group.log_bytes_max + FIXED_BYTES;

    (void)object;
    (void)number;
    if (sim_group.was_killed || g.may_disagree) {
        most += OTHER_BYTES * (size_t)(sim_group.count - 1);
    }
    for (int i = 0; i < sim_group.count; i++) {
        if (sim.node[i].bytes > most) {
            sim_fail("B1 bounded memory", "node %d holds %zu bytes", i, sim.node[i].bytes);
        }
    }
    sim_at(sim.now + BASE_MS(500), watch_memory, NULL, 0);
}

/* B3: a process that closed its replica holds nothing any more. */
static void judge_memory(void)
{
    for (int i = 0; i < sim_group.count && !sim.is_failed; i++) {
        if (sim.node[i].is_up && sim_group.member[i].replica != NULL) {
            sim_in_node(&sim.node[i], close_one, NULL, (uint64_t)i);
        }
        if (sim.node[i].bytes > 0) {
            sim_fail("B3 nothing is kept", "node %d still holds %zu bytes", i, sim.node[i].bytes);
        }
    }
}

/* ------------------------------------------------------------------------------------------------ a run */

static void draw_options(int members)
{
    static const size_t logs[] = {(size_t)1 << 20, (size_t)4 << 20, (size_t)64 << 20, (size_t)64 << 20};
    static const size_t pending[] = {1, 4, 100, 65536, 65536};
    static const uint32_t posts[] = {1, 2, MESSAGE_POSTS_MAX, MESSAGE_POSTS_MAX};
    static const size_t rooms[] = {4096, 4096, 6000, MESSAGE_BODY_MAX};
    base_time slow = 8 * sim_weather.delay_max;

    replica_options_default(&g.options);
    g.options.group.name = "sim";
    g.options.group.token = 1 + sim_below(1000);
    g.options.group.member = g.address;
    g.options.group.member_count = (uint32_t)members;
    g.options.group.election_timeout = BASE_MS(150) + slow + sim_delay(0, BASE_S(1));
    g.options.group.log_bytes_max = logs[sim_below(sizeof logs / sizeof logs[0])];
    g.options.group.pending_max = pending[sim_below(sizeof pending / sizeof pending[0])];
    g.room = rooms[sim_below(sizeof rooms / sizeof rooms[0])];
    g.posts = posts[sim_below(sizeof posts / sizeof posts[0])];
    g.options.submit_deadline = BASE_MS(500) + sim_delay(0, BASE_S(20));
    if (sim_chance(300)) {
        memset(g.key, (int)sim_below(256), sizeof g.key);
        g.options.group.key = g.key;
        g.options.group.key_size = sizeof g.key;
    }
    for (int i = 0; i < members; i++) {
        snprintf(g.text[i], sizeof g.text[i], "10.0.0.%d:%d", i + 1, PORT);
        g.address[i] = (struct group_address){(uint32_t)i + 1, g.text[i]};
        numbers[i] = i;
    }
}

static void begin(unsigned faults, int members)
{
    memset(&g, 0, sizeof g);
    memset(&sim_group, 0, sizeof sim_group);
    sim_group.count = members;
    group_judge_begin();
    sim.turns_max += TURNS_MORE * (uint32_t)members;
    sim_faults_draw(faults, members);
    sim_faults.may_kill = may_kill;
    sim_faults.restart = start;
    sim_faults.stranger = STRANGER;
    sim_stranger_start(&sim.node[STRANGER], PORT);
    g.may_disagree = (sim_faults.kinds & 1u << FAULT_REDIRECT) != 0;
    draw_options(members);
    sim_group.log_bytes_max = g.options.group.log_bytes_max;
    oracle_order_begin();
    oracle_views_begin();
    oracle_paper_begin();
    sim_clients_begin();
    oracle_clients_begin();
    for (int i = 0; i < members; i++) {
        sim_at(sim.now + (sim_chance(500) ? 0 : sim_delay(0, BASE_S(2))), start_late, NULL, (uint64_t)i);
    }
    sim_at(sim.now, watch_memory, NULL, 0);
}

static void run(unsigned faults, int members)
{
    static const int sizes[] = {3, 3, 3, 3, 3, 5, 5, 2, 1, 4, 7};
    base_time begun = sim.now;
    base_time calm_at;
    uint64_t way;

    begin(faults, members == 0 ? sizes[sim_below(sizeof sizes / sizeof sizes[0])] : members);
    way = sim_below(1000);
    if (way < 450) {
        if (!group_judge_wait(group_judge_is_founded, FOUND_LIMIT) && !sim.is_failed) {
            group_judge_tell("L1 a group is founded in peace");
        }
    } else if (way < 600 && (faults & 1u << FAULT_KILL) != 0) {
        churn(NULL, sim.now + BASE_S(1) + sim_delay(0, BASE_S(8)));
        sim_run(sim.now + BASE_S(3), NULL);
    } /* else the group is founded in the storm */
    calm_at = sim.now + STORM;
    sim_faults_begin(calm_at);
    if (sim_chance(150)) {
        end_sessions(NULL, calm_at);
    }
    sim_run(calm_at, NULL);
    if (!sim.is_failed) {
        group_judge_liveness();
    }
    if (!sim.is_failed) {
        oracle_paper_judge();
        oracle_clients_judge();
    }
    judge_memory();
    sim_clients_end();
    oracle_order_end();
    sim_arena_stats.virtual_ns += sim.now - begun;
}

const struct sim_arena sim_arena_group = {
    "group",
    "a group of replicas with clients",
    ((1u << FAULT_COUNT) - 1) & ~(1u << FAULT_NAT), /* members are not behind a NAT */
    run,
};
