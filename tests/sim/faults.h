/* Faults: what goes wrong in a run, and when. The seed chooses which kinds exist in it and how strong they are (swarm),
 * so that some runs have one fault in plenty and others a little of everything.
 */
#ifndef HOLDFAST_SIM_FAULTS_H
#define HOLDFAST_SIM_FAULTS_H

#include "tests/sim/world.h"

enum sim_fault {
    FAULT_CUT,      /* paths between nodes: symmetric, one-way, isolation, chain, split */
    FAULT_FLAP,     /* paths that come and go quickly; clogs */
    FAULT_UDP,      /* datagrams blocked, lost, late, repeated */
    FAULT_FORGE,    /* replayed and changed datagrams */
    FAULT_RESET,    /* connections reset or forgotten */
    FAULT_PAUSE,    /* processes stopped, slow machines */
    FAULT_CLOCK,    /* jumps and drift */
    FAULT_REDIRECT, /* another server, or another service, behind an address */
    FAULT_LAG,      /* links that become slow */
    FAULT_NAT,      /* a client's datagrams come from another address */
    FAULT_KILL,     /* processes killed, machines without power */
    FAULT_COUNT
};

struct sim_fault_plan {
    unsigned kinds;             /* bits of enum sim_fault that exist in this run */
    base_time gap;              /* mean time between two faults */
    base_time lasting;          /* how long one lasts at most */
    int nodes;                  /* 0 .. nodes-1 take part */
    int stranger;               /* node of the other service, -1: none */
    int nat_from;               /* nodes from here on are behind a NAT; none unless the arena says so */
    bool (*may_kill)(int node); /* arena: whether this node may be killed now */
    void (*restart)(int node);  /* arena: starts its process again */
};

extern struct sim_fault_plan sim_faults;
extern uint64_t sim_faults_done;

/* Names for --faults, such as "cut,reset"; 0 for an unknown name. */
unsigned sim_faults_parse(const char *text);
void sim_faults_print_names(void *file);

/* Draws a plan: which kinds (of `allowed`) and how strong; also the weather of the network. */
void sim_faults_draw(unsigned allowed, int nodes);
/* Injects faults until `until`, then heals everything. */
void sim_faults_begin(base_time until);
/* By hand: the connections between two nodes break, and nothing passes between them for so long. */
void sim_faults_darken(int a, int b, base_time lasting);
/* Everything works again: paths, datagrams, clocks, processes (killed ones are started again). */
void sim_faults_heal(void);

#endif
