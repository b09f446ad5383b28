/* What must be on disk before anything that depends on it is said: PERSIST effects and their completion.
 *
 * Owns      struct order_disk.
 * Relies on a driver that answers each PERSIST by order_durable; a volatile one answers at once.
 * Not here  files (wal_disk.c); what depends on durability (election_may_send, stream_acked, deliver.c).
 * Protocol  membership/PROTOCOL.md "Durability".
 */
#include "membership/order_state.h"

bool durable_poll(struct order *o, struct order_effect *ret_effect)
{
    struct order_disk *d = &o->disk;

    if (d->count == ORDER_WRITES_MAX ||
        (d->asked_term == o->term && d->asked_vote == o->vote && d->asked_upto == o->log.last.index)) {
        return false;
    }
    d->number++;
    ret_effect->kind = ORDER_PERSIST;
    ret_effect->persist.number = d->number;
    ret_effect->persist.term = o->term;
    ret_effect->persist.vote = o->vote;
    ret_effect->persist.first = d->asked_upto + 1;
    ret_effect->persist.upto = o->log.last.index;
    d->write[d->count] = (struct order_write){d->number, o->term, o->vote, o->log.last.index, o->now};
    d->count++;
    d->asked_term = o->term;
    d->asked_vote = o->vote;
    d->asked_upto = o->log.last.index;
    return true;
}

void durable_done(struct order *o, uint64_t number)
{
    struct order_disk *d = &o->disk;
    uint32_t done = 0;

    while (done < d->count && d->write[done].number <= number) {
        d->term = d->write[done].term;
        d->vote = d->write[done].vote;
        d->upto = d->write[done].upto > d->upto ? d->write[done].upto : d->upto;
        done++;
    }
    d->count -= done;
    base_move(d->write, d->write + done, d->count * sizeof d->write[0]);
}

/* Writes on their way hold entries that are void now: their completion proves only what was kept (T07, G12). */
void durable_truncate(struct order *o, uint64_t index)
{
    struct order_disk *d = &o->disk;

    d->upto = d->upto < index ? d->upto : index;
    d->asked_upto = d->asked_upto < index ? d->asked_upto : index;
    for (uint32_t i = 0; i < d->count; i++) {
        d->write[i].upto = d->write[i].upto < index ? d->write[i].upto : index;
    }
}

base_time durable_age(const struct order *o)
{
    return o->disk.count == 0 ? 0 : base_time_since(o->now, o->disk.write[0].at);
}
