/* The simulated world: one thread, one seed, a virtual clock. In it live processes that run the very objects of the
 * product, drivers included: the linker gives them this world's system calls (sys.c) and its libev (loop.c).
 *
 * Owns      time, the event queue, the generator, processes and their memory, the trace.
 * Relies on nothing outside: no clock, no socket, no thread. The same seed gives the same run.
 */
#ifndef HOLDFAST_SIM_WORLD_H
#define HOLDFAST_SIM_WORLD_H

#include "rtcp/base/rng.h"
#include "rtcp/base/time.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_NODES_MAX  16
#define SIM_TRACE_TAIL 400

struct ev_loop;

struct sim_node {
    int id;         /* 0 .. SIM_NODES_MAX-1; its address is 10.0.0.(id+1) */
    bool is_up;     /* the process lives */
    bool is_paused; /* SIGSTOP: its kernel goes on, it does not */
    uint32_t life;  /* counts its processes */
    base_time slow; /* added to every turn of its loop: a slow machine */
    base_time clock_offset;
    int clock_ppm;     /* how much faster its clock runs, in millionths */
    base_time wake_at; /* the turn that is scheduled; BASE_NEVER: none */
    uint64_t wake_serial;
    struct ev_loop *loop;
    void *blocks; /* memory its process took */
    size_t bytes;
    uint64_t turns;
    base_time turns_at; /* for the watch over busy loops */
    uint64_t turns_here;
    uint64_t turns_most; /* in one second, so far */
    bool is_off;         /* without power: not even its kernel answers */
};

/* What the arena does when it finds a property broken: see sim_fail. */
struct sim_world {
    uint64_t seed;
    struct base_rng rng; /* of the world: delays, losses, faults */
    base_time now;
    uint64_t events;    /* handled so far */
    uint32_t turns_max; /* of one loop in a second: more is a busy loop */
    struct sim_node node[SIM_NODES_MAX];
    struct sim_node *current; /* whose code runs; NULL: the world's own */
    bool is_failed;
    char failure[512];
    uint64_t hash; /* of the trace */
    uint64_t traced;
    const char *tail[1];
};

extern struct sim_world sim;

/* Begins a world. */
void sim_begin(uint64_t seed);
/* Ends it: gives back everything, also the memory of processes that still live. */
void sim_end(void);

/* ---- events */

typedef void sim_action(void *object, uint64_t number);
/* Runs `action` at a time; events of one instant run in the order of the calls. */
void sim_at(base_time at, sim_action *action, void *object, uint64_t number);
/* Runs events until the time comes, `*stop` becomes true (may be NULL), or a property fails. */
void sim_run(base_time until, const bool *stop);

/* ---- randomness */

uint64_t sim_below(uint64_t upto);
bool sim_chance(unsigned per_mille);
/* In [from, upto], skewed to short ones, with a long tail. */
base_time sim_delay(base_time from, base_time upto);

/* ---- processes */

/* Starts the process of a node: `start` runs in it at once. */
void sim_node_start(struct sim_node *node, sim_action *start, void *object);
/* kill -9: its memory is gone, its kernel closes its sockets. is_silent: the machine lost power, nobody is told. */
void sim_node_kill(struct sim_node *node, bool is_silent);
void sim_node_pause(struct sim_node *node, bool is_paused);
/* Something happened that its loop should see. */
void sim_node_poke(struct sim_node *node);
base_time sim_node_now(const struct sim_node *node);
/* Runs `action` in a node's process now, then looks at its loop. */
void sim_in_node(struct sim_node *node, sim_action *action, void *object, uint64_t number);

/* loop.c */
struct ev_loop *sim_loop_new(struct sim_node *node);
void sim_loop_free(struct ev_loop *loop);
/* One turn. True if another is wanted at once. */
bool sim_loop_turn(struct ev_loop *loop);
base_time sim_loop_deadline(const struct ev_loop *loop);

/* ---- trace and verdict (trace.c) */

void sim_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A property is broken: the run ends. The first failure counts. */
void sim_fail(const char *property, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_trace_begin(void *file);
void sim_trace_print_tail(void *file);

#endif
