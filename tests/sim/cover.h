/* Coverage: every fault that changed something and every marked branch of the protocol counts its hits. A run of the
 * known seeds that never reaches a mark fails: a test that cannot see a fault proves nothing about it.
 */
#ifndef HOLDFAST_SIM_COVER_H
#define HOLDFAST_SIM_COVER_H

#include <stdbool.h>
#include <stdint.h>

#define SIM_COVER(X)                                                                                                   \
    X(UDP_LOST, "fault", "a datagram was lost")                                                                        \
    X(UDP_LATE, "fault", "a datagram was late")                                                                        \
    X(UDP_REPEATED, "fault", "a datagram was repeated")                                                                \
    X(UDP_REPLAYED, "fault", "an old datagram was replayed")                                                           \
    X(UDP_FORGED, "fault", "a changed datagram was sent")                                                              \
    X(UDP_BLOCKED, "fault", "a path lost all datagrams")                                                               \
    X(TCP_RESET, "fault", "a connection was reset")                                                                    \
    X(TCP_RESET_IN_FLIGHT, "fault", "a connection was reset with bytes on their way")                                  \
    X(TCP_FORGOTTEN, "fault", "one kernel forgot a connection")                                                        \
    X(TCP_MUTE, "fault", "something on the way forgot a connection")                                                   \
    X(LAG, "fault", "a link was slow")                                                                                 \
    X(REBIND, "fault", "a NAT gave a node another address")                                                            \
    X(CUT_BOTH, "fault", "two nodes were cut from each other")                                                         \
    X(CUT_ONE_WAY, "fault", "one direction was cut")                                                                   \
    X(CUT_NODE, "fault", "a node was isolated")                                                                        \
    X(CUT_CHAIN, "fault", "only neighbours of a chain heard each other")                                               \
    X(CUT_SPLIT, "fault", "the nodes were split in two")                                                               \
    X(CLOG, "fault", "paths were cut one by one and healed in another order")                                          \
    X(FLAP, "fault", "a path came and went")                                                                           \
    X(REFUSING, "fault", "a firewall answered with RST")                                                               \
    X(KILL, "fault", "a process was killed")                                                                           \
    X(POWER, "fault", "a machine lost power")                                                                          \
    X(RESTART, "fault", "a process was started again")                                                                 \
    X(PAUSE, "fault", "a process was stopped for a while")                                                             \
    X(SLOW, "fault", "a machine was slow")                                                                             \
    X(CLOCK_JUMP, "fault", "a clock jumped forward")                                                                   \
    X(CLOCK_DRIFT, "fault", "a clock drifted")                                                                         \
    X(REDIRECT, "fault", "another live server answered for an address")                                                \
    X(STRANGER, "fault", "another service answered for an address")

enum sim_cover {
#define SIM_COVER_ENUM(name, kind, text) COVER_##name,
    SIM_COVER(SIM_COVER_ENUM)
#undef SIM_COVER_ENUM
        SIM_COVER_COUNT
};

void sim_cover(enum sim_cover mark);
uint64_t sim_cover_hits(enum sim_cover mark);
void sim_cover_print(void *file);
/* Events of the product's trace, counted by object, name and reason: the marked branches of the protocol. */
void sim_cover_event(const char *object, const char *name, const char *why);
/* Whether every fault was hit; prints those that were not. */
bool sim_cover_is_complete(void *file);

#endif
