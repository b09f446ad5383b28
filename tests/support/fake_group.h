/* A group of one process without a network: membership.h implemented over a queue, for tests of what stands above it.
 *
 * Owns      the messages that were broadcast and not yet delivered.
 * Relies on the test, which may put a struct fake_group_script on the loop (ev_set_userdata) before the group is
 * founded; without one, all goes well and by itself. Not here  any protocol.
 */
#ifndef HOLDFAST_TESTS_FAKE_GROUP_H
#define HOLDFAST_TESTS_FAKE_GROUP_H

#include "membership/membership.h"

struct fake_group_script {
    bool is_manual;       /* deliver only when the test says so; otherwise on the next turn of the loop */
    int found_status;     /* what group_found and group_open give back */
    int broadcast_status; /* what group_broadcast gives back */
    struct group *group;  /* set by the fake */
};

/* Delivers up to count waiting messages now, in order; returns how many. */
size_t fake_group_deliver(struct group *group, size_t count);

/* Delivers a message of another member. */
void fake_group_deliver_foreign(struct group *group, uint32_t origin, uint64_t number, struct base_bytes data);

void fake_group_tell_view(struct group *group);
void fake_group_tell_writable(struct group *group);
void fake_group_tell_leader(struct group *group, uint32_t member_id, uint64_t term);
void fake_group_tell_link(struct group *group, uint32_t member_id, bool up);
void fake_group_tell_quorum(struct group *group, bool has_quorum);
void fake_group_tell_excluded(struct group *group, int status, const char *why);

#endif
