/* When to suspect the leader: see detector.h. */
#include "membership/detector.h"

void detector_init(struct detector *d, base_time timeout, struct base_rng *rng)
{
    *d = (struct detector){.timeout = timeout, .deadline = BASE_NEVER, .is_deaf = true, .rng = rng};
}

static void wait_for(struct detector *d, base_time now, base_time least, base_time jitter)
{
    d->doubts = 0;
    d->deadline = base_time_add(now, least + base_rng_below(d->rng, jitter + 1));
}

void detector_forget(struct detector *d)
{
    d->is_deaf = true;
    d->heard = 0;
}

void detector_begin(struct detector *d, base_time now)
{
    detector_forget(d);
    wait_for(d, now, 0, d->timeout / 2);
}

void detector_hear(struct detector *d, base_time now)
{
    d->is_deaf = false;
    d->heard = now;
    wait_for(d, now, d->timeout, d->timeout * 3 / 10);
}

void detector_wait(struct detector *d, base_time now)
{
    detector_forget(d);
    wait_for(d, now, d->timeout, d->timeout * 3 / 10);
}

void detector_hurry(struct detector *d, base_time now)
{
    detector_forget(d);
    wait_for(d, now, 0, d->timeout / 8);
}

void detector_rest(struct detector *d, base_time now)
{
    detector_forget(d);
    wait_for(d, now, d->timeout, d->timeout);
}

bool detector_hears(const struct detector *d, base_time now)
{
    return !d->is_deaf && base_time_since(now, d->heard) < d->timeout;
}

bool detector_expire(struct detector *d, base_time now)
{
    if (now < d->deadline) {
        return false;
    }
    if (base_time_since(now, d->deadline) > d->timeout / 4 && d->doubts < DETECTOR_DOUBTS_MAX) {
        d->doubts++;
        d->deadline = base_time_add(now, d->timeout / 4);
        return false;
    }
    return true;
}
