/* The disks of explore.h: what a core wants written waits until the explorer says that it is there. */
#include "rtcp/base/check.h"
#include "tests/sim/explore_inside.h"

#include <string.h>

void explore_begin_write(struct explore_node *n, const struct order_effect *e)
{
    struct explore_write *write = explore_take(sizeof *write);
    struct explore_write **at = &n->writes;
    uint64_t count = e->persist.upto < e->persist.first ? 0 : e->persist.upto - e->persist.first + 1;

    *write = (struct explore_write){.number = e->persist.number,
                                    .term = e->persist.term,
                                    .first = e->persist.first,
                                    .upto = e->persist.upto,
                                    .vote = e->persist.vote};
    write->entry = explore_take((size_t)(count + 1) * sizeof *write->entry);
    for (uint64_t i = 0; i < count; i++) {
        struct base_bytes raw = log_raw(&n->order->log, e->persist.first + i);
        struct log_place place;
        struct explore_entry *kept = &write->entry[i];
        bool is_known = log_at(&n->order->log, e->persist.first + i, &place);

        CHECK(is_known && raw.size <= EXPLORE_ENTRY_BYTES);
        *kept = (struct explore_entry){.size = (uint32_t)raw.size, .term = place.term, .chain = place.hash};
        memcpy(kept->bytes, raw.data, raw.size);
    }
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = write;
    n->write_count++;
}

void explore_end_write(struct explore_node *n)
{
    struct explore_write *write = n->writes;
    uint64_t kept = write->first <= write->upto ? write->first - 1 : write->upto;

    n->writes = write->next;
    n->write_count--;
    n->disk.term = write->term;
    n->disk.vote = write->vote;
    if (kept < n->disk.count) {
        n->disk.count = (uint32_t)kept; /* what stood beyond is void */
    }
    for (uint64_t i = write->first; i <= write->upto; i++) {
        CHECK(n->disk.count == i - 1 && i <= EXPLORE_ENTRIES_MAX);
        n->disk.entry[n->disk.count++] = write->entry[i - write->first];
    }
    order_durable(n->order, write->number, n->now);
}
