/* See faults.h. */
#include "tests/sim/faults.h"

#include "tests/sim/cover.h"
#include "tests/sim/net.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

struct sim_fault_plan sim_faults;
uint64_t sim_faults_done;

static base_time end;
static struct sim_net_weather fair;

static const char *const names[FAULT_COUNT] = {
    [FAULT_CUT] = "cut",     [FAULT_FLAP] = "flap",   [FAULT_UDP] = "udp",     [FAULT_FORGE] = "forge",
    [FAULT_RESET] = "reset", [FAULT_PAUSE] = "pause", [FAULT_CLOCK] = "clock", [FAULT_REDIRECT] = "redirect",
    [FAULT_LAG] = "lag",     [FAULT_NAT] = "nat",     [FAULT_KILL] = "kill",
};

unsigned sim_faults_parse(const char *text)
{
    unsigned kinds = 0;

    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        unsigned bit = 0;

        for (int i = 0; i < FAULT_COUNT; i++) {
            if (strlen(names[i]) == size && strncmp(names[i], text, size) == 0) {
                bit = 1u << i;
            }
        }
        if (bit == 0) {
            return 0;
        }
        kinds |= bit;
        text += size + (text[size] == ',' ? 1 : 0);
    }
    return kinds;
}

void sim_faults_print_names(void *file)
{
    for (int i = 0; i < FAULT_COUNT; i++) {
        fprintf(file, "%s%s", i == 0 ? "" : ",", names[i]);
    }
}

/* ------------------------------------------------------------------------------------------------ drawing */

void sim_faults_draw(unsigned allowed, int nodes)
{
    struct sim_net_weather *w = &sim_weather;
    static const uint32_t chunks[] = {536, 1448, 9000, 65536};
    static const uint32_t calls[] = {3, 100, 4096, UINT32_MAX, UINT32_MAX};

    memset(&sim_faults, 0, sizeof sim_faults);
    sim_faults.nodes = nodes;
    sim_faults.stranger = -1;
    sim_faults.nat_from = nodes;
    for (int i = 0; i < FAULT_COUNT; i++) {
        if (sim_chance(450)) {
            sim_faults.kinds |= allowed & 1u << i;
        }
    }
    while (sim_faults.kinds == 0 && allowed != 0) {
        sim_faults.kinds = allowed & 1u << sim_below(FAULT_COUNT);
    }
    sim_faults.gap = BASE_MS(20) + sim_delay(0, BASE_S(4));
    sim_faults.lasting = BASE_MS(50) + sim_delay(0, BASE_S(20));
    w->delay_min = BASE_US(20) + sim_delay(0, BASE_MS(5));
    w->delay_max = w->delay_min + sim_delay(0, BASE_MS(60));
    w->chunk_max = chunks[sim_below(sizeof chunks / sizeof chunks[0])];
    w->call_max = calls[sim_below(sizeof calls / sizeof calls[0])];
    w->send_room = (uint32_t)(2048 + sim_below(300000));
    w->receive_room = (uint32_t)(2048 + sim_below(300000));
    w->rto_max = sim_chance(500) ? BASE_S(1) : BASE_S(120);
    if ((sim_faults.kinds & 1u << FAULT_UDP) != 0) {
        w->udp_lost = (unsigned)sim_below(400);
        w->udp_repeated = (unsigned)sim_below(300);
        w->udp_late = (unsigned)sim_below(300);
        w->udp_late_max = sim_delay(BASE_MS(1), BASE_S(20));
    }
    fair = *w;
    fair.udp_lost = fair.udp_repeated = fair.udp_late = 0;
}

/* ------------------------------------------------------------------------------------------------ paths */

static int some_node(void)
{
    return (int)sim_below((uint64_t)sim_faults.nodes);
}

static void cut(int from, int to, bool is_cut)
{
    if (from != to) {
        sim_net_path(from, to)->tcp_cut = is_cut;
        sim_net_path(from, to)->udp_cut = is_cut;
    }
}

static void heal_path(void *object, uint64_t both)
{
    (void)object;
    cut((int)(both >> 8), (int)(both & 0xff), false);
}

/* Cuts one direction for a while. */
static void cut_for(int from, int to, base_time lasting)
{
    cut(from, to, true);
    sim_at(sim.now + lasting, heal_path, NULL, (uint64_t)from << 8 | (uint64_t)to);
}

static base_time lasting(void)
{
    return BASE_MS(5) + sim_delay(0, sim_faults.lasting);
}

static void cut_pattern(void)
{
    int a = some_node();
    int b = some_node();
    base_time time = lasting();
    uint64_t kind = sim_below(5);
    unsigned side = (unsigned)sim_below(1u << sim_faults.nodes);

    sim_trace("cut kind %llu of %d and %d for %llu ms", (unsigned long long)kind, a, b,
              (unsigned long long)(time / BASE_MS(1)));
    for (int x = 0; x < sim_faults.nodes; x++) {
        for (int y = 0; y < sim_faults.nodes; y++) {
            bool is_pair = (x == a && y == b) || (x == b && y == a);
            bool is_hit = (kind == 0 && is_pair) || (kind == 1 && x == a && y == b) ||
                          (kind == 2 && (x == a || y == a)) || (kind == 3 && (x - y > 1 || y - x > 1)) ||
                          (kind == 4 && (side >> x & 1) != (side >> y & 1));

            if (is_hit) {
                cut_for(x, y, time);
            }
        }
    }
    sim_cover(kind == 0   ? COVER_CUT_BOTH
              : kind == 1 ? COVER_CUT_ONE_WAY
              : kind == 2 ? COVER_CUT_NODE
              : kind == 3 ? COVER_CUT_CHAIN
                          : COVER_CUT_SPLIT);
}

static void flap(void)
{
    int a = some_node();
    int b = some_node();

    sim_cover(COVER_FLAP);
    sim_trace("%d and %d flap", a, b);
    for (int i = 0; i < 6; i++) {
        base_time at = sim_below(BASE_MS(600));

        cut_for(a, b, at);
        cut_for(b, a, at + sim_below(BASE_MS(100)));
    }
    if (sim_chance(500)) {
        sim_cover(COVER_CLOG);
        for (int x = 0; x < sim_faults.nodes; x++) {
            cut_for(x, a, lasting()); /* healed in another order */
        }
    }
}

static void heal_udp(void *object, uint64_t both)
{
    (void)object;
    sim_net_path((int)(both >> 8), (int)(both & 0xff))->udp_cut = false;
}

static void block_udp(void)
{
    int a = some_node();
    base_time time = lasting();

    sim_cover(COVER_UDP_BLOCKED);
    sim_trace("datagrams to %d are blocked", a);
    for (int x = 0; x < sim_faults.nodes; x++) {
        sim_net_path(x, a)->udp_cut = true;
        sim_at(sim.now + time, heal_udp, NULL, (uint64_t)x << 8 | (uint64_t)a);
    }
}

static void stop_refusing(void *object, uint64_t both)
{
    (void)object;
    sim_net_path((int)(both >> 8), (int)(both & 0xff))->is_refusing = false;
}

static void reset(void)
{
    int a = sim_chance(300) ? -1 : some_node();
    int hits = 1 + (int)sim_below(3);

    sim_trace("connections of %d break", a);
    switch (sim_below(5)) {
    case 0:
        (void)sim_net_forget(a, -1, hits);
        break;
    case 1:
        (void)sim_net_mute(a, -1, hits);
        break;
    default:
        (void)sim_net_reset(a, -1, hits);
        break;
    }
    if (sim_chance(150)) {
        int x = some_node();
        int y = some_node();

        sim_cover(COVER_REFUSING);
        sim_net_path(x, y)->is_refusing = true;
        sim_at(sim.now + lasting(), stop_refusing, NULL, (uint64_t)x << 8 | (uint64_t)y);
    }
}

static void light_up(void *object, uint64_t both)
{
    (void)object;
    sim_net_path((int)(both >> 8), (int)(both & 0xff))->is_dark = false;
    sim_net_path((int)(both & 0xff), (int)(both >> 8))->is_dark = false;
}

void sim_faults_darken(int a, int b, base_time lasting)
{
    if (sim_net_path(a, b)->is_dark) {
        return;
    }
    sim_trace("nothing passes between %d and %d for %llu ms", a, b, (unsigned long long)(lasting / BASE_MS(1)));
    sim_net_path(a, b)->is_dark = true;
    sim_net_path(b, a)->is_dark = true;
    (void)sim_net_reset(a, b, INT_MAX);
    sim_at(sim.now + lasting, light_up, NULL, (uint64_t)a << 8 | (uint64_t)b);
}

/* ------------------------------------------------------------------------------------------------ nodes */

static void go_on(void *object, uint64_t number)
{
    (void)number;
    sim_node_pause(object, false);
    ((struct sim_node *)object)->slow = 0;
}

static void stop(void)
{
    struct sim_node *node = &sim.node[some_node()];

    if (sim_chance(600)) {
        sim_cover(COVER_PAUSE);
        sim_node_pause(node, true);
    } else {
        sim_cover(COVER_SLOW);
        sim_trace("node %d is slow", node->id);
        node->slow = sim_below(BASE_MS(30));
    }
    sim_at(sim.now + lasting(), go_on, node, 0);
}

static void change_clock(void)
{
    struct sim_node *node = &sim.node[some_node()];

    if (sim_chance(500)) {
        sim_cover(COVER_CLOCK_JUMP);
        node->clock_offset += sim_below(BASE_S(3));
    } else if (node->clock_ppm == 0) {
        base_time shown = sim_node_now(node);

        sim_cover(COVER_CLOCK_DRIFT);
        node->clock_ppm = (int)sim_below(40000);
        node->clock_offset -= sim_node_now(node) - shown; /* it goes on from what it shows */
    }
    sim_trace("the clock of %d changes", node->id);
    sim_node_poke(node);
}

static void direct_back(void *object, uint64_t node)
{
    (void)object;
    sim_net_redirect((int)node, -1);
}

static void direct_elsewhere(void)
{
    int from = some_node();
    int to = sim_faults.stranger >= 0 && sim_chance(500) ? sim_faults.stranger : some_node();

    sim_cover(to == sim_faults.stranger ? COVER_STRANGER : COVER_REDIRECT);
    sim_trace("the address of %d leads to %d", from, to);
    sim_net_redirect(from, to);
    sim_at(sim.now + lasting(), direct_back, NULL, (uint64_t)from);
}

static void stop_lag(void *object, uint64_t both)
{
    (void)object;
    sim_net_path((int)(both >> 8), (int)(both & 0xff))->lag = 0;
}

static void lag(void)
{
    int a = some_node();
    base_time more = sim_delay(BASE_MS(10), BASE_MS(1500));
    base_time time = lasting();

    sim_cover(COVER_LAG);
    sim_trace("links of %d are slow, %llu ms more", a, (unsigned long long)(more / BASE_MS(1)));
    for (int x = 0; x < sim_faults.nodes; x++) {
        sim_net_path(x, a)->lag = more;
        sim_net_path(a, x)->lag = more;
        sim_at(sim.now + time, stop_lag, NULL, (uint64_t)x << 8 | (uint64_t)a);
        sim_at(sim.now + time, stop_lag, NULL, (uint64_t)a << 8 | (uint64_t)x);
    }
}

static void rebind(void)
{
    int node = some_node();

    if (node >= sim_faults.nat_from) {
        sim_cover(COVER_REBIND);
        sim_trace("node %d has another address", node);
        sim_net_rebind(node);
    }
}

static void start_again(void *object, uint64_t number)
{
    struct sim_node *node = object;

    (void)number;
    if (!node->is_up) {
        sim_cover(COVER_RESTART);
        sim_faults.restart(node->id);
    }
}

static void kill_one(void)
{
    struct sim_node *node = &sim.node[some_node()];
    bool is_silent = sim_chance(400);

    if (sim_faults.may_kill == NULL || !sim_faults.may_kill(node->id)) {
        return;
    }
    sim_cover(is_silent ? COVER_POWER : COVER_KILL);
    sim_node_kill(node, is_silent);
    sim_at(sim.now + sim_below(BASE_S(3)), start_again, node, 0);
}

/* ------------------------------------------------------------------------------------------------ the storm */

static void inject(void *object, uint64_t number)
{
    unsigned kind;

    (void)object;
    (void)number;
    if (sim.now >= end) {
        return;
    }
    do {
        kind = (unsigned)sim_below(FAULT_COUNT);
    } while ((sim_faults.kinds >> kind & 1) == 0);
    sim_faults_done++;
    switch ((enum sim_fault)kind) {
    case FAULT_CUT:
        cut_pattern();
        break;
    case FAULT_FLAP:
        flap();
        break;
    case FAULT_UDP:
        block_udp();
        break;
    case FAULT_FORGE:
        (void)sim_net_replay(1 + (int)sim_below(8));
        (void)sim_net_forge(some_node(), 1 + (int)sim_below(8));
        break;
    case FAULT_RESET:
        reset();
        break;
    case FAULT_PAUSE:
        stop();
        break;
    case FAULT_CLOCK:
        change_clock();
        break;
    case FAULT_REDIRECT:
        direct_elsewhere();
        break;
    case FAULT_LAG:
        lag();
        break;
    case FAULT_NAT:
        rebind();
        break;
    case FAULT_KILL:
        kill_one();
        break;
    case FAULT_COUNT:
        break;
    }
    sim_at(sim.now + sim_delay(BASE_MS(1), 3 * sim_faults.gap), inject, NULL, 0);
}

void sim_faults_begin(base_time until)
{
    end = until;
    sim_at(sim.now + sim_delay(0, sim_faults.gap), inject, NULL, 0);
}

void sim_faults_heal(void)
{
    base_time delay_max = sim_weather.delay_max;

    end = sim.now;
    sim_weather = fair;
    sim_weather.delay_max = delay_max;
    for (int a = 0; a < SIM_NODES_MAX; a++) {
        sim_net_redirect(a, -1);
        for (int b = 0; b < SIM_NODES_MAX; b++) {
            memset(sim_net_path(a, b), 0, sizeof(struct sim_path));
        }
    }
    for (int i = 0; i < sim_faults.nodes; i++) {
        go_on(&sim.node[i], 0);
        start_again(&sim.node[i], 0);
    }
    sim_trace("everything is healed");
}
