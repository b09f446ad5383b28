/* Oracle of views: the properties M, as far as views are built (one founding view).
 *
 * M1 whoever installs view k has the same view k. M2 view ids follow each other. M3 a process installs only views with
 * itself, in this very incarnation. M4 one view k, and one group, at a time. M7 a process that is not in the view never
 * acts in it: a new incarnation is refused, with the right status. M8 the view is told before its first message.
 */
#ifndef HOLDFAST_SIM_ORACLE_VIEWS_H
#define HOLDFAST_SIM_ORACLE_VIEWS_H

#include "tests/sim/arena_group.h"

void oracle_views_begin(void);
void oracle_views_install(int node, const struct group_view *view, const struct group_difference *difference);
void oracle_views_deliver(int node);
/* on_excluded; may_disagree: somebody else was made to answer at addresses of founders. */
void oracle_views_excluded(int node, int status, const char *why, bool may_disagree);

/* The view that living processes have; NULL: none yet. */
const struct group_view *oracle_views_current(void);
/* The process that runs on this node now is the one that the view names. */
bool oracle_views_names(int node);

#endif
