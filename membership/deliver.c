/* Settled entries, one after the other, for the user: each command of a member once, in the order of its numbers.
 *
 * Owns      the place of delivery, the last number delivered of every member.
 * Relies on the log alone: what is passed over is the same on every member (K2, R7).
 * Not here  callbacks (group_loop.c).
 * Protocol  membership/PROTOCOL.md "Delivery".
 */
#include "membership/forward.h"
#include "membership/order_state.h"
#include "membership/role.h"

static struct order_seat *origin_of(struct order *o, const struct entry *entry)
{
    for (uint32_t i = 0; i < o->seat_count; i++) {
        if (o->seat[i].id == entry->origin && o->seat[i].incarnation == entry->incarnation) {
            return &o->seat[i];
        }
    }
    return NULL;
}

/* Whether the entry is a command that was not delivered before; marks it as delivered. */
static bool is_new(struct order *o, const struct entry *entry)
{
    struct order_seat *origin = entry->kind == ENTRY_DATA ? origin_of(o, entry) : NULL;

    if (origin == NULL || entry->number <= origin->delivered) {
        return false;
    }
    if (origin->is_self && !forward_delivered(o, entry->number)) {
        role_stop(o, "an own command was passed over, or never made"); /* K2: it could never run any more */
        return false;
    }
    origin->delivered = entry->number;
    return true;
}

static void fill(const struct order *o, const struct entry *entry, struct group_delivery *d)
{
    d->index = entry->index;
    d->term = entry->term;
    d->origin = entry->origin;
    d->number = entry->number;
    d->is_own = entry->origin == o->options.self;
    d->data = entry->data;
}

bool deliver_next(struct order *o, struct group_delivery *ret_delivery)
{
    uint64_t upto = o->commit < o->disk.upto ? o->commit : o->disk.upto;

    while (o->delivered < upto) {
        struct entry entry;
        bool is_known = log_get(&o->log, o->delivered + 1, &entry);

        CHECK(is_known);
        o->delivered++;
        if (is_new(o, &entry)) {
            fill(o, &entry, ret_delivery);
            return true;
        }
        if (o->role == ROLE_STOPPED) {
            return false;
        }
    }
    return false;
}
