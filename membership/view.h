/* Views: the members of a group, by id, with role, incarnation and address; immutable and counted.
 *
 * Owns      the rules of a good view, look-up, differences, the life of counted views.
 * Relies on membership.h for the plain struct; an allocator passed in.
 * Not here  majorities (quorum.h); how views come to be (found.h).
 * Protocol  membership/PROTOCOL.md "Views".
 */
#ifndef HOLDFAST_MEMBERSHIP_VIEW_H
#define HOLDFAST_MEMBERSHIP_VIEW_H

#include "membership/membership.h"
#include "rtcp/base/memory.h"

#define VIEW_ID_MAX 0x7fffffffu

/* 0 when the view is good, else BASE_E_INVALID: 1 .. GROUP_MEMBERS_MAX members, ids 1 .. VIEW_ID_MAX in ascending
 * order, incarnations not 0, addresses ended, at least one voter. */
BASE_MUST_USE int view_check(const struct group_view *view);

/* A counted copy with one holder, to be used with group_view_hold and group_view_release, or NULL without memory. */
struct group_view *view_new(const struct base_memory *memory, const struct group_view *from);

/* The member of this id, or NULL. */
const struct group_member *view_find(const struct group_view *view, uint32_t id);

/* The place of this id in view->member, or GROUP_MEMBERS_MAX. */
uint32_t view_seat(const struct group_view *view, uint32_t id);

/* One bit per seat that holds a voter. */
uint32_t view_voters(const struct group_view *view);

/* Who joined and who left between two views; before may be NULL: everybody joined. A new incarnation of an id both
 * left and joined. */
void view_difference(const struct group_view *before, const struct group_view *after,
                     struct group_difference *ret_difference);

#endif
