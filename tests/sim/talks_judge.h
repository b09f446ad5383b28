/* The verdict over talks when the storm is over: C2, everything arrives and every stream ends. */
#ifndef HOLDFAST_SIM_TALKS_JUDGE_H
#define HOLDFAST_SIM_TALKS_JUDGE_H

#include "tests/sim/world.h"

/* Nothing more can come of any talk: both its ends are over, or one of its processes died. */
bool talks_judge_is_settled(void);
/* Fails for talks that are not settled so long after the heal, and for ends that were not what was told. */
void talks_judge_liveness(base_time peace);

#endif
