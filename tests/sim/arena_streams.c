/* Arena a: rtcp alone. Clients and servers exchange patterns over many streams, through the public face, while the
 * network does its worst.
 *
 * Oracle: the channel properties, in talks.c while it happens and in talks_judge.c at the end. Here: B control
 * datagrams stay few, and nothing is kept of what is closed.
 */
#include "rtcp/base/check.h"
#include "rtcp/inside_loop.h"
#include "tests/sim/arena.h"
#include "tests/sim/cover.h"
#include "tests/sim/faults.h"
#include "tests/sim/net.h"
#include "tests/sim/pages.h"
#include "tests/sim/stranger.h"
#include "tests/sim/talks.h"
#include "tests/sim/talks_drain.h"
#include "tests/sim/talks_judge.h"
#include "tests/sim/talks_keys.h"

#include <stdio.h>
#include <string.h>

#define PORT        7000
#define SERVERS     2
#define CLIENTS     2
#define STORM       BASE_S(25)
#define LONG_STORM  BASE_S(90) /* long enough for what a server forgets after half a minute */
#define PEACE       BASE_S(150)
#define PATIENCE    BASE_S(40) /* of that: how long a process may take to leave */
#define INSISTENT   4          /* streams whose writers do not wait */
#define DATAGRAMS_S 60u /* control datagrams per second and live stream, faults included: more is a storm of ours */

struct sim_arena_stats sim_arena_stats;

static struct {
    uint64_t first_offset;
} a;

void __real_rtcp_endpoint_session_options(struct rtcp_endpoint *endpoint, const struct rtcp_stream_options *o,
                                          struct rtcp_session_options *ret);
void __wrap_rtcp_endpoint_session_options(struct rtcp_endpoint *endpoint, const struct rtcp_stream_options *o,
                                          struct rtcp_session_options *ret);

/* Counters that start near a wrap: a value in the options of the core (P1). */
void __wrap_rtcp_endpoint_session_options(struct rtcp_endpoint *endpoint, const struct rtcp_stream_options *o,
                                          struct rtcp_session_options *ret)
{
    __real_rtcp_endpoint_session_options(endpoint, o, ret);
    ret->first_offset = a.first_offset;
    ret->ring_least = 4096;
    ret->ring_easy = 16384; /* beyond only when it stays full */
}

/* ------------------------------------------------------------------------------------------------ processes */

static int node_numbers[SIM_NODES_MAX];

static void on_event(void *user, const struct base_event *e)
{
    (void)user;
    sim_cover_branch(e);
    sim_trace("node %d %s %llu %s%s%s", *(int *)user, e->object, (unsigned long long)e->id, e->name,
              e->text == NULL ? "" : ": ", e->text == NULL ? "" : e->text);
}

static struct rtcp_endpoint *open_endpoint(int node)
{
    struct rtcp_endpoint_options o;

    rtcp_endpoint_options_default(&o);
    o.streams_max = 256;
    o.trace = (struct base_trace){&node_numbers[node], on_event};
    talks_keys_options(node, &o);
    CHECK(rtcp_endpoint_open(sim.current->loop, &o, &talks.endpoint[node]) == 0);
    return talks.endpoint[node];
}

/* Another program on a client's machine, which holds a wrong key. */
static void open_wrong_one(int node)
{
    struct rtcp_endpoint_options o;

    rtcp_endpoint_options_default(&o);
    o.trace = (struct base_trace){&node_numbers[node], on_event};
    if (talks_keys_are_wrong(&o)) {
        CHECK(rtcp_endpoint_open(sim.current->loop, &o, &talks.wrong[node]) == 0);
    }
}

static void start_server(void *object, uint64_t number)
{
    int node = sim.current->id;
    struct rtcp_listen_options o;
    struct rtcp_listener *listener;
    char name[8];
    char address[32];

    (void)object;
    (void)number;
    rtcp_listen_options_default(&o);
    talks_options(TALK_SERVER, &o.stream);
    o.stream.idle_probe = BASE_S(15);
    snprintf(name, sizeof name, "s%d", node);
    snprintf(address, sizeof address, "10.0.0.%d:%d", node + 1, PORT);
    o.service = name;
    CHECK(rtcp_listen(open_endpoint(node), address, &o, talks_on_accept, &node_numbers[node], &listener) == 0);
}

static void start_client(void *object, uint64_t number)
{
    (void)object;
    (void)number;
    (void)open_endpoint(sim.current->id);
    open_wrong_one(sim.current->id);
}

static void start(int node)
{
    sim_node_start(&sim.node[node], node < SERVERS ? start_server : start_client, NULL);
}

static bool may_kill(int node)
{
    (void)node;
    return true;
}

static void open_talk(void *object, uint64_t number)
{
    int server = (int)sim_below(SERVERS);

    (void)object;
    (void)number;
    talks_open(server, PORT);
}

static void drain_one(void *object, uint64_t number)
{
    (void)object;
    (void)number;
    talks_drain_start(sim.current->id, start);
}

/* A process that leaves in an orderly way, and another in its place. */
static void renew(void *object, uint64_t number)
{
    struct sim_node *node = &sim.node[sim_below(SERVERS + CLIENTS)];

    (void)object;
    (void)number;
    if (sim.now >= talks.calm_at) {
        return;
    }
    if (node->is_up && !node->is_paused) {
        sim_in_node(node, drain_one, NULL, 0);
    }
    sim_at(sim.now + BASE_S(2) + sim_delay(0, BASE_S(20)), renew, NULL, 0);
}

static void give_up_drains(void *object, uint64_t number)
{
    (void)object;
    (void)number;
    talks_drain_give_up();
}

static void stir(void *object, uint64_t number)
{
    (void)object;
    (void)number;
    for (int i = 0; i < talks.count; i++) {
        for (int side = 0; side < 2; side++) {
            if (talks.talk[i].end[side].stream != NULL && talks_is_alive(&talks.talk[i].end[side]) &&
                !sim.node[talks.talk[i].end[side].node].is_paused) {
                sim_in_node(&sim.node[talks.talk[i].end[side].node], talks_stir_end, &talks.talk[i], (uint64_t)side);
            }
        }
    }
    if (sim.now < talks.calm_at && sim_chance(600)) {
        struct sim_node *node = &sim.node[SERVERS + (int)sim_below(CLIENTS)];

        if (node->is_up && !node->is_paused) {
            sim_in_node(node, open_talk, NULL, 0);
        }
    }
    sim_at(sim.now + sim_delay(BASE_MS(5), BASE_MS(900)), stir, NULL, 0);
}

/* A program that tries again and again to write into a full ring: that must cost the network nothing (P16). */
static void insist(void *object, uint64_t number)
{
    int insisting = 0;

    (void)object;
    for (int i = 0; i < talks.count && insisting < INSISTENT; i++) {
        struct talk_end *e = &talks.talk[i].end[number & 1];

        if (e->stream != NULL && e->sent < e->goal && talks_is_alive(e) && !sim.node[e->node].is_paused) {
            insisting++;
            sim_in_node(&sim.node[e->node], talks_send_more, &talks.talk[i], number & 1);
        }
    }
    if (sim.now < talks.calm_at) {
        sim_at(sim.now + BASE_MS(2), insist, NULL, number + 1);
    }
}

/* ------------------------------------------------------------------------------------------------ verdicts */

static void close_endpoint(void *object, uint64_t number)
{
    (void)object;
    rtcp_endpoint_close(talks.endpoint[number]);
    rtcp_endpoint_close(talks.wrong[number]);
}

/* B3: a process that closed its endpoint holds nothing any more. */
static void judge_memory(void)
{
    for (int i = 0; i < SERVERS + CLIENTS && !sim.is_failed; i++) {
        sim_in_node(&sim.node[i], close_endpoint, NULL, (uint64_t)i);
        if (sim.node[i].bytes > 64 * TALKS_MAX) { /* streams that never got a name */
            sim_fail("B3 nothing is kept", "node %d still holds %zu bytes", i, sim.node[i].bytes);
        }
        if (sim_pages_held(&sim.node[i]) > 0) {
            sim_fail("B3 nothing is kept", "node %d still holds %d rings", i, sim_pages_held(&sim.node[i]));
        }
    }
}
static void run(unsigned faults, int members)
{
    static const uint64_t offsets[] = {0, 0, ((uint64_t)1 << 31) - 5000, ((uint64_t)1 << 32) - 5000,
                                       ((uint64_t)1 << 40) - 70000};
    base_time begun = sim.now;
    base_time until;

    (void)members;
    memset(&a, 0, sizeof a);
    memset(&talks, 0, sizeof talks);
    for (int i = 0; i < SIM_NODES_MAX; i++) {
        node_numbers[i] = i;
    }
    sim_faults_draw(faults, SERVERS + CLIENTS);
    sim_faults.may_kill = may_kill;
    sim_faults.restart = start;
    sim_faults.nat_from = SERVERS;
    sim_faults.stranger = SERVERS + CLIENTS;
    sim_stranger_start(&sim.node[sim_faults.stranger], PORT);
    talks.ring[TALK_CLIENT] = 4096u << sim_below(7);
    talks.ring[TALK_SERVER] = 4096u << sim_below(7);
    a.first_offset = offsets[sim_below(sizeof offsets / sizeof offsets[0])];
    talks.is_automatic = sim_chance(500);
    talks.has_pages = sim_chance(300);
    talks.calm_at = sim.now + STORM;
    if (sim_chance(150)) {
        talks.is_long = true;
        talks.may_go_dark = (faults >> FAULT_CUT & 1) != 0;
        talks.calm_at = sim.now + LONG_STORM;
        sim_faults.lasting = BASE_S(50);
    }
    talks_keys_begin(SERVERS, SERVERS + CLIENTS);
    for (int i = 0; i < SERVERS + CLIENTS; i++) {
        start(i);
    }
    sim_at(sim.now, stir, NULL, 0);
    if (sim_chance(450)) {
        sim_at(sim.now, insist, NULL, 0);
    }
    talks_drain_begin(SERVERS + CLIENTS);
    if (sim_chance(250)) {
        sim_at(sim.now + sim_below(BASE_S(20)), renew, NULL, 0);
    }
    sim_faults_begin(talks.calm_at);
    sim_run(talks.calm_at, NULL);
    sim_faults_heal();
    until = sim.now + PEACE;
    sim_at(sim.now + PATIENCE, give_up_drains, NULL, 0);
    while (!sim.is_failed && sim.now < until && !talks_judge_is_settled()) {
        sim_run(sim.now + BASE_MS(500), NULL);
    }
    if (!sim.is_failed) {
        sim_run(sim.now + BASE_S(1), NULL); /* every reader has its turn, also where the writer is no more */
    }
    if (!sim.is_failed) {
        talks_judge_liveness(PEACE);
        talks_drain_judge();
    }
    if (!sim.is_failed &&
        sim_net_stats.datagrams > DATAGRAMS_S * (uint64_t)(talks.count + 1) * ((sim.now - begun) / BASE_S(1))) {
        sim_fail("B control is cheap", "%llu datagrams in %llu s", (unsigned long long)sim_net_stats.datagrams,
                 (unsigned long long)((sim.now - begun) / BASE_S(1)));
    }
    judge_memory();
    sim_arena_stats.virtual_ns += sim.now - begun;
}

const struct sim_arena sim_arena_streams = {
    "streams",
    "rtcp alone: many streams between servers and clients",
    (1u << FAULT_COUNT) - 1,
    run,
};
