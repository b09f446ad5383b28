/* Random schedules of everything that can go wrong between two applications, over real cores: whatever happens, no byte
 * is lost, repeated or moved, no end is invented, nobody gives up who may not; and when it is over, everything arrives
 * and both sides close in order (C1, C4, C7; P1 to P14, P22 to P25, P33 to P38, P69).
 *
 * A seed and a commit replay a run: give one seed to see its record, two for a longer hunt. A seed that fails becomes a
 * story of its own.
 */
#include "tests/story/rtcp/duo.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define SEEDS      800u
#define STEPS_MAX  50u
#define SOON       BASE_S(5)  /* after healing, with something to say, wherever it is known whom to ask */
#define HEAL_LIMIT BASE_S(90) /* after healing, where a client that has moved must ask first; and for closing */

struct run {
    struct duo duo; /* the first member */
    struct base_rng rng;
    unsigned streams; /* opened by the client; they share one route */
    bool may_restart;
    bool has_moved;
};

static const struct duo *running; /* for whoever breaks an invariant */

static void on_abort(int number)
{
    char text[64];
    int n = snprintf(text, sizeof text, "seed %llu broke an invariant\n", (unsigned long long)running->opt.seed);
    ssize_t written = running->trace == NULL ? 0 : write(STDERR_FILENO, running->trace, running->trace_size);

    written += write(STDERR_FILENO, text, (size_t)n);

    (void)number;
    (void)written;
}

static uint64_t below(struct run *r, uint64_t n)
{
    return base_rng_below(&r->rng, n);
}

static bool one_in(struct run *r, uint64_t n)
{
    return below(r, n) == 0;
}

/* Small numbers often, large ones sometimes. */
static uint64_t spread(struct run *r, uint64_t most)
{
    uint64_t limit = (uint64_t)1 << below(r, 40);

    return below(r, limit < most ? limit + 1 : most);
}

/* ------------------------------------------------------------------------------------------------ the world */

static void choose_options(struct run *r, struct duo_options *o, uint64_t seed, bool is_traced)
{
    static const uint64_t near_wrap[] = {
        0, 0, 0, ((uint64_t)1 << 31) - 3000, ((uint64_t)1 << 32) - 3000, ((uint64_t)7 << 32) - 1};

    duo_options_default(o);
    o->seed = seed;
    o->is_traced = is_traced;
    o->ring[0] = 4096u << below(r, 3);
    o->ring[1] = 4096u << below(r, 3);
    o->first_offset = near_wrap[below(r, 6)];
    o->kernel = 300 + (size_t)below(r, 8000);
    o->packet = one_in(r, 4) ? 1 + (size_t)below(r, 60) : 100 + (size_t)below(r, 1400);
    o->delay = one_in(r, 4) ? BASE_MS(1 + below(r, 80)) : BASE_US(20 + below(r, 1000));
    o->no_early_data = one_in(r, 5);
    o->retry_refused = true;
    if (one_in(r, 3)) {
        o->key[0] = o->key[1] = "a secret of both sides";
        o->early_data_with_key = one_in(r, 2);
    }
}

static void choose_network(struct run *r)
{
    struct duo *d = &r->duo;

    for (int way = 0; way < 2; way++) {
        d->udp_lost[way] = one_in(r, 3) ? (unsigned)below(r, 600) : 0;
        d->udp_repeated[way] = one_in(r, 3) ? (unsigned)below(r, 400) : 0;
        d->udp_jitter[way] = one_in(r, 3) ? BASE_MS(below(r, 300)) : 0;
    }
    for (int i = 0; i < 2; i++) {
        d->host[i].freeze_delay = one_in(r, 4) ? BASE_US(below(r, 20000)) : 0;
        d->host[i].never_thaws = one_in(r, 4);
    }
}

/* ------------------------------------------------------------------------------------------------ faults */

static struct duo_plan choose_plan(struct run *r)
{
    struct duo_plan plan = duo_plan_connect(DUO_CONNECT_NORMAL);

    plan.how = (enum duo_cut)below(r, 5);
    plan.is_relay = one_in(r, 4);
    if (one_in(r, 3)) {
        plan.connect = (enum duo_connect)below(r, 5);
    }
    if (one_in(r, 2)) {
        plan.cut[below(r, 2)] = one_in(r, 2) ? below(r, 130) : spread(r, 20000);
    }
    return plan;
}

/* The last message of a type once more, or with a bit turned. */
static void repeat_message(struct run *r)
{
    struct duo *d = &r->duo;
    int way = (int)below(r, 2);
    uint8_t type = (uint8_t)(1 + below(r, 10));
    struct duo_kept *k = &d->kept[way][type];

    if (k->size == 0) {
        return;
    }
    if (one_in(r, 2)) {
        struct duo_kept good = *k;

        k->bytes[below(r, k->size)] ^= (uint8_t)(1u << below(r, 8));
        (void)duo_replay(d, way, type);
        *k = good;
    } else {
        (void)duo_replay(d, way, type);
    }
}

static void cut_one(struct run *r)
{
    struct duo_stream *c = r->duo.host[DUO_CLIENT].stream[below(r, r->streams)];

    if (c->live != NULL) {
        duo_cut(&r->duo, c->live->conn, (enum duo_cut)below(r, 5));
    }
}

static void fault_of_network(struct run *r)
{
    struct duo *d = &r->duo;

    switch (below(r, 9)) {
    case 0:
    case 1:
        cut_one(r);
        break;
    case 2:
    case 3:
        if (d->plans < DUO_PLANS) {
            duo_plan(d, choose_plan(r));
        }
        break;
    case 4:
        d->tcp_blocked[below(r, 2)] = one_in(r, 2);
        break;
    case 5:
        duo_block_tcp(d, one_in(r, 3));
        break;
    case 6:
        d->udp_blocked[below(r, 2)] = one_in(r, 2);
        break;
    case 7:
        duo_block_udp(d, one_in(r, 3));
        break;
    default:
        choose_network(r);
        break;
    }
}

static void fault_of_host(struct run *r)
{
    struct duo *d = &r->duo;

    switch (below(r, 6)) {
    case 0:
        duo_pause(d, (enum duo_who)below(r, 2), true);
        break;
    case 1:
        duo_pause(d, DUO_CLIENT, false);
        duo_pause(d, DUO_SERVER, false);
        break;
    case 2:
        duo_move_client(d, (uint16_t)(50000 + below(r, 20)));
        r->has_moved = true;
        break;
    case 3:
        d->at_server = one_in(r, 3) ? DUO_STRANGER : DUO_SERVER;
        break;
    case 4:
        if (r->may_restart && one_in(r, 4)) {
            duo_kill(d, DUO_SERVER);
            duo_start(d, DUO_SERVER);
        }
        break;
    default:
        repeat_message(r);
        break;
    }
}

static struct duo_stream *choose_stream(struct run *r)
{
    struct duo_stream *c = r->duo.host[DUO_CLIENT].stream[below(r, r->streams)];
    struct duo_stream *s = duo_peer(c);

    return one_in(r, 2) || s == NULL || s->is_killed || !s->is_accepted ? c : s;
}

static void act(struct run *r)
{
    struct duo_stream *s = choose_stream(r);

    if (s->host->is_paused) {
        return;
    }
    switch (below(r, 12)) {
    case 0:
        s->is_reading = one_in(r, 2);
        break;
    case 1:
        s->slow_bytes = 1 + (size_t)spread(r, 3000);
        s->slow_every = BASE_MS(1 + below(r, 500));
        s->slow_at = one_in(r, 2) ? r->duo.now : BASE_NEVER;
        break;
    case 2:
        s->shut_after = s->shut_after || one_in(r, 3);
        break;
    case 3:
        s->close_after = s->close_after || one_in(r, 4);
        break;
    case 4:
        if (one_in(r, 20)) {
            duo_finish(s, true);
        }
        break;
    case 5: {
        uint8_t data[RTCP_WIRE_PROBE_DATA] = {(uint8_t)below(r, 256)};

        rtcp_session_set_probe_data(&s->session, r->duo.now, data);
        duo_pump(s);
        break;
    }
    default:
        duo_send(s, s->session.shut || s->session.closed || s->shut_after || s->close_after ? 0 : spread(r, 30000));
        break;
    }
}

/* ------------------------------------------------------------------------------------------------ healing */

static void heal(struct run *r)
{
    struct duo *d = &r->duo;

    d->at_server = DUO_SERVER;
    d->plans = 0;
    d->opt.packet = 1400;
    d->opt.delay = base_time_min(d->opt.delay, BASE_MS(5));
    duo_block_tcp(d, false);
    duo_block_udp(d, false);
    for (int i = 0; i < 2; i++) {
        d->udp_lost[i] = 0;
        duo_pause(d, (enum duo_who)i, false);
        for (int j = 0; j < DUO_STREAMS; j++) {
            struct duo_stream *s = d->host[i].stream[j];

            if (s != NULL) {
                s->is_reading = true;
                s->slow_at = BASE_NEVER;
                s->slow_bytes = SIZE_MAX;
            }
        }
    }
    duo_note(d, "healed");
}

static bool is_given_up(const struct duo_stream *s)
{
    return s == NULL || s->is_killed || s->is_closed || s->session.closed;
}

/* Everything has arrived, or somebody gave up: whoever closes reads no more. */
static bool is_stream_delivered(const struct duo_stream *c)
{
    const struct duo_stream *s = duo_peer(c);

    if (is_given_up(c) || (s != NULL && is_given_up(s))) {
        return true;
    }
    return s != NULL && c->to_send == 0 && s->to_send == 0 && s->read == c->session.out.upto &&
           c->read == s->session.out.upto;
}

static bool can_find(const struct duo_stream *s)
{
    return s != NULL && s->session.route != NULL && rtcp_route_is_valid(s->session.route);
}

static bool is_stream_over(const struct run *r, const struct duo_stream *c)
{
    struct duo_stream *s = duo_peer(c);

    if (s != NULL && !s->is_killed) {
        s->close_after = true; /* it may have been accepted a moment ago */
    }
    if (c->is_closed && (r->has_moved || !can_find(s))) {
        return true; /* the server cannot find it, and only its application or a limit ends the session (P31) */
    }
    return c->is_closed && (s == NULL || s->is_killed || s->is_closed);
}

static bool is_delivered(struct duo *d)
{
    const struct run *r = (const struct run *)(const void *)d;

    for (unsigned i = 0; i < r->streams; i++) {
        if (!is_stream_delivered(d->host[DUO_CLIENT].stream[i])) {
            return false;
        }
    }
    return true;
}

static bool is_over(struct duo *d)
{
    const struct run *r = (const struct run *)(const void *)d;
    bool is_all = true;

    for (unsigned i = 0; i < r->streams; i++) {
        is_all = is_stream_over(r, d->host[DUO_CLIENT].stream[i]) && is_all;
    }
    return is_all;
}

static void finish(struct run *r)
{
    struct duo *d = &r->duo;
    bool is_clean[DUO_STREAMS];

    heal(r);
    if (!duo_until(d, is_delivered, r->has_moved ? HEAL_LIMIT : SOON)) {
        duo_fail(d, "not delivered after healing");
    }
    for (unsigned i = 0; i < r->streams; i++) {
        struct duo_stream *c = d->host[DUO_CLIENT].stream[i];

        is_clean[i] = !is_given_up(c) && !is_given_up(duo_peer(c));
        c->close_after = true;
    }
    if (!duo_until(d, is_over, HEAL_LIMIT)) {
        duo_fail(d, "not over after both sides closed");
    }
    for (unsigned i = 0; i < r->streams; i++) {
        const struct duo_stream *c = d->host[DUO_CLIENT].stream[i];
        const struct duo_stream *s = duo_peer(c);

        if (is_clean[i] && (c->status != 0 || (s->is_closed && s->status != 0))) {
            duo_fail(d, "everything was delivered, and yet an error is reported");
        }
    }
}

static void run_seed(uint64_t seed, bool is_traced)
{
    struct run r = {.may_restart = seed % 4 == 0};
    struct duo_options o;
    uint64_t steps;

    running = &r.duo;
    base_rng_init(&r.rng, seed * 0x9e3779b97f4a7c15u);
    choose_options(&r, &o, seed, is_traced);
    duo_open(&r.duo, &o);
    choose_network(&r);
    if (one_in(&r, 3)) {
        duo_plan(&r.duo, choose_plan(&r));
    }
    r.streams = one_in(&r, 4) ? 2 + (unsigned)below(&r, 2) : 1;
    for (unsigned i = 0; i < r.streams; i++) {
        duo_send(duo_connect(&r.duo), spread(&r, 30000));
    }
    steps = 5 + below(&r, STEPS_MAX);
    for (uint64_t i = 0; i < steps; i++) {
        if (one_in(&r, 3)) {
            fault_of_network(&r);
        } else if (one_in(&r, 4)) {
            fault_of_host(&r);
        } else {
            act(&r);
        }
        duo_run(&r.duo, one_in(&r, 25) ? BASE_S(below(&r, 40)) : BASE_US(spread(&r, 3000000)));
    }
    finish(&r);
    if (is_traced) {
        fprintf(stderr, "%s", r.duo.trace);
    }
    duo_close(&r.duo);
}

static void nothing_is_lost_or_invented_under_any_schedule(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        run_seed(seed, false);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_or_invented_under_any_schedule),
    };
    struct sigaction action = {.sa_handler = on_abort, .sa_flags = (int)SA_RESETHAND};

    sigaction(SIGABRT, &action, NULL);
    if (argc > 1) {
        uint64_t first = strtoull(argv[1], NULL, 10);
        uint64_t last = argc > 2 ? strtoull(argv[2], NULL, 10) : first;

        for (uint64_t seed = first; seed <= last; seed++) {
            run_seed(seed, argc == 2);
        }
        return 0;
    }
    return cmocka_run_group_tests_name("story/rtcp/random", tests, NULL, NULL);
}
