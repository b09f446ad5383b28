/* Another service on the same port: what a client meets behind a moved address, a wrong firewall rule or a load
 * balancer. It never speaks the protocol. (P28)
 */
#ifndef HOLDFAST_SIM_STRANGER_H
#define HOLDFAST_SIM_STRANGER_H

#include "tests/sim/world.h"

/* Starts its process on a node. */
void sim_stranger_start(struct sim_node *node, uint16_t port);

#endif
