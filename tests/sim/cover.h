/* Coverage: every fault that changed something and every marked branch of the protocol counts its hits. A run of the
 * known seeds that never reaches a mark fails: a test that cannot see a fault proves nothing about it.
 */
#ifndef HOLDFAST_SIM_COVER_H
#define HOLDFAST_SIM_COVER_H

#include "rtcp/base/trace.h"

#include <stdbool.h>
#include <stdint.h>

#define SIM_COVER(X)                                                                                                   \
    X(UDP_LOST, FAULT_UDP, "a datagram was lost")                                                                      \
    X(UDP_LATE, FAULT_UDP, "a datagram was late")                                                                      \
    X(UDP_REPEATED, FAULT_UDP, "a datagram was repeated")                                                              \
    X(UDP_REPLAYED, FAULT_FORGE, "an old datagram was replayed")                                                       \
    X(UDP_FORGED, FAULT_FORGE, "a changed datagram was sent")                                                          \
    X(UDP_BLOCKED, FAULT_UDP, "a path lost all datagrams")                                                             \
    X(TCP_RESET, FAULT_RESET, "a connection was reset")                                                                \
    X(TCP_RESET_IN_FLIGHT, FAULT_RESET, "a connection was reset with bytes on their way")                              \
    X(TCP_FORGOTTEN, FAULT_RESET, "one kernel forgot a connection")                                                    \
    X(TCP_MUTE, FAULT_RESET, "something on the way forgot a connection")                                               \
    X(LAG, FAULT_LAG, "a link was slow")                                                                               \
    X(REBIND, FAULT_NAT, "a NAT gave a node another address")                                                          \
    X(CUT_BOTH, FAULT_CUT, "two nodes were cut from each other")                                                       \
    X(CUT_ONE_WAY, FAULT_CUT, "one direction was cut")                                                                 \
    X(CUT_NODE, FAULT_CUT, "a node was isolated")                                                                      \
    X(CUT_CHAIN, FAULT_CUT, "only neighbours of a chain heard each other")                                             \
    X(CUT_SPLIT, FAULT_CUT, "the nodes were split in two")                                                             \
    X(CLOG, FAULT_FLAP, "paths were cut one by one and healed in another order")                                       \
    X(FLAP, FAULT_FLAP, "a path came and went")                                                                        \
    X(REFUSING, FAULT_RESET, "a firewall answered with RST")                                                           \
    X(KILL, FAULT_KILL, "a process was killed")                                                                        \
    X(POWER, FAULT_KILL, "a machine lost power")                                                                       \
    X(RESTART, FAULT_KILL, "a process was started again")                                                              \
    X(PAUSE, FAULT_PAUSE, "a process was stopped for a while")                                                         \
    X(SLOW, FAULT_PAUSE, "a machine was slow")                                                                         \
    X(CLOCK_JUMP, FAULT_CLOCK, "a clock jumped forward")                                                               \
    X(CLOCK_DRIFT, FAULT_CLOCK, "a clock drifted")                                                                     \
    X(REDIRECT, FAULT_REDIRECT, "another live server answered for an address")                                         \
    X(STRANGER, FAULT_REDIRECT, "another service answered for an address")

enum sim_cover {
#define SIM_COVER_ENUM(name, kind, text) COVER_##name,
    SIM_COVER(SIM_COVER_ENUM)
#undef SIM_COVER_ENUM
        SIM_COVER_COUNT
};

void sim_cover(enum sim_cover mark);
uint64_t sim_cover_hits(enum sim_cover mark);
void sim_cover_print(void *file);
/* Something that happened, counted by object, name and reason: a branch of the protocol. */
void sim_cover_event(const char *object, const char *name, const char *why);
/* The same for an event of the product's trace; a change of state also counts by where it came from. */
void sim_cover_branch(const struct base_event *e);
/* Whether every fault that belongs to these kinds (bits of enum sim_fault) was hit; prints those that were not. */
bool sim_cover_is_complete(void *file, unsigned kinds);
/* Whether every branch that stands in a file, one a line as sim_cover_print writes it, was reached; prints the rest. */
bool sim_cover_has_marks(void *file, const char *path);

#endif
