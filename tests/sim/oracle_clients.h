/* Oracle of clients: the properties K.
 *
 * K1 and K4 all operations, reads too, are linearizable: an answer never comes from before what had been answered when
 * its operation began (checked at once, with the order of the group as the witness), and the histories of the recorders
 * have an explanation without that witness (linear.h). K2 a command is applied once. K5 what was refused never runs,
 * and what nobody sent is never applied. K7 no answer before the commitment; and everybody computed that answer.
 */
#ifndef HOLDFAST_SIM_ORACLE_CLIENTS_H
#define HOLDFAST_SIM_ORACLE_CLIENTS_H

#include "tests/sim/clients.h"

void oracle_clients_begin(void);
void oracle_clients_applied(int node, const struct replica_command *command, size_t op);
void oracle_clients_answer(struct sim_op *op, struct base_bytes answer);
void oracle_clients_refused(const struct sim_op *op, int status);
void oracle_clients_unknown(const struct sim_op *op, int status);
/* Another group begins: what the former one answered binds nobody. */
void oracle_clients_refound(void);
/* At the end: the histories. */
void oracle_clients_judge(void);

#endif
