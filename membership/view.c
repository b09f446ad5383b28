/* Views: see view.h. */
#include "membership/view.h"

#include "rtcp/base/check.h"

/* The counted object around a public view. Counts belong to one loop: no atomics. */
struct view_box {
    const struct base_memory *memory;
    uint32_t holders;
    struct group_view view;
};

static struct view_box *box_of(const struct group_view *view)
{
    uintptr_t at = (uintptr_t)view - offsetof(struct view_box, view);

    return (struct view_box *)at;
}

static bool member_is_good(const struct group_member *member, uint32_t id_before)
{
    if (member->id <= id_before || member->id > VIEW_ID_MAX || member->incarnation == 0) {
        return false;
    }
    if (member->role != GROUP_VOTER && member->role != GROUP_LEARNER) {
        return false;
    }
    return memchr(member->address, 0, GROUP_ADDRESS_SIZE) != NULL;
}

int view_check(const struct group_view *view)
{
    uint32_t id = 0;

    if (view->count == 0 || view->count > GROUP_MEMBERS_MAX) {
        return BASE_E_INVALID;
    }
    for (uint32_t i = 0; i < view->count; i++) {
        if (!member_is_good(&view->member[i], id)) {
            return BASE_E_INVALID;
        }
        id = view->member[i].id;
    }
    return view_voters(view) == 0 ? BASE_E_INVALID : 0;
}

struct group_view *view_new(const struct base_memory *memory, const struct group_view *from)
{
    struct view_box *box = base_memory_new(memory, 1, sizeof *box);

    if (box == NULL) {
        return NULL;
    }
    box->memory = memory;
    box->holders = 1;
    box->view = *from;
    return &box->view;
}

const struct group_view *group_view_hold(const struct group_view *view)
{
    CHECK(view != NULL);
    box_of(view)->holders++;
    return view;
}

void group_view_release(const struct group_view *view)
{
    struct view_box *box;

    if (view == NULL) {
        return;
    }
    box = box_of(view);
    CHECK(box->holders > 0);
    box->holders--;
    if (box->holders == 0) {
        base_memory_free(box->memory, box);
    }
}

uint32_t view_seat(const struct group_view *view, uint32_t id)
{
    for (uint32_t i = 0; i < view->count; i++) {
        if (view->member[i].id == id) {
            return i;
        }
    }
    return GROUP_MEMBERS_MAX;
}

const struct group_member *view_find(const struct group_view *view, uint32_t id)
{
    uint32_t seat = view_seat(view, id);

    return seat == GROUP_MEMBERS_MAX ? NULL : &view->member[seat];
}

uint32_t view_voters(const struct group_view *view)
{
    uint32_t voters = 0;

    for (uint32_t i = 0; i < view->count; i++) {
        if (view->member[i].role == GROUP_VOTER) {
            voters |= 1u << i;
        }
    }
    return voters;
}

static bool has_incarnation(const struct group_view *view, const struct group_member *member)
{
    const struct group_member *there = view == NULL ? NULL : view_find(view, member->id);

    return there != NULL && there->incarnation == member->incarnation;
}

/* The ids in `in` that are not in `from`, ascending, as members stand in ascending order. */
static uint32_t missing(const struct group_view *from, const struct group_view *in, uint32_t *ids)
{
    uint32_t count = 0;

    for (uint32_t i = 0; in != NULL && i < in->count; i++) {
        if (!has_incarnation(from, &in->member[i])) {
            ids[count] = in->member[i].id;
            count++;
        }
    }
    return count;
}

void view_difference(const struct group_view *before, const struct group_view *after,
                     struct group_difference *ret_difference)
{
    *ret_difference = (struct group_difference){0};
    ret_difference->joined_count = missing(before, after, ret_difference->joined);
    ret_difference->left_count = missing(after, before, ret_difference->left);
}
