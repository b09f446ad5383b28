/* Messages that decode well and mean nonsense: they may close a link or stop the member loudly, never break an
 * invariant or touch memory that is not theirs (T78, L4). Every message of a kind is tried with fields from the edges
 * of their ranges. */
#include "rtcp/base/rng.h"
#include "tests/unit/membership/one.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct hostile {
    struct one one;
    struct base_rng rng;
    uint64_t taken;
    uint64_t refused;
    uint64_t stopped;
};

static uint64_t near(struct hostile *h, uint64_t to)
{
    switch (base_rng_below(&h->rng, 12)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return UINT64_MAX - 1;
    default:
        return to + base_rng_below(&h->rng, 4) - base_rng_below(&h->rng, to < 3 ? to + 1 : 3);
    }
}

static void fill_sync(struct hostile *h, struct message *m)
{
    m->sync.last_index = near(h, one_stats(&h->one).last);
    m->sync.last_term = near(h, m->term);
    m->sync.base = near(h, 0);
    m->sync.commit = near(h, 0);
    m->sync.count = (uint32_t)base_rng_below(&h->rng, MESSAGE_POSTS_MAX + 2);
    for (uint32_t i = 0; i < MESSAGE_POSTS_MAX; i++) {
        m->sync.post[i] = (struct message_post){near(h, m->sync.last_index - i), near(h, m->term)};
    }
}

static void fill_batch(struct hostile *h, struct message *m)
{
    uint64_t prev = base_rng_below(&h->rng, h->one.log.last.index + 1);

    if (base_rng_below(&h->rng, 3) != 0) {
        *m = one_batch(&h->one, m->term, prev, near(h, h->one.log.last.index));
        m->batch.low = near(h, prev);
        return;
    }
    m->batch.prev_index = near(h, one_stats(&h->one).last);
    m->batch.prev_term = near(h, m->term);
    m->batch.commit = near(h, m->batch.prev_index);
    m->batch.low = near(h, m->batch.commit);
    m->batch.count = (uint32_t)near(h, 1);
    m->batch.offset = (uint32_t)near(h, 0);
    m->body = (struct base_bytes){h->one.body, base_rng_below(&h->rng, 200)};
}

static struct message nonsense(struct hostile *h)
{
    struct message m = one_message((enum message_kind)(1 + base_rng_below(&h->rng, MESSAGE_KIND_MAX)),
                                   near(h, one_stats(&h->one).term));

    if (base_rng_below(&h->rng, 20) != 0) {
        m.term %= 1000;
    }

    switch (m.kind) {
    case MESSAGE_PREVOTE_ASK:
    case MESSAGE_VOTE_ASK:
        m.ask.term = near(h, m.term);
        m.ask.last_index = near(h, one_stats(&h->one).last);
        m.ask.last_term = near(h, m.term);
        break;
    case MESSAGE_PREVOTE:
    case MESSAGE_VOTE:
        m.vote.term = near(h, m.term);
        m.vote.attempt = near(h, 3);
        m.vote.granted = base_rng_below(&h->rng, 4) != 0;
        break;
    case MESSAGE_BEAT:
    case MESSAGE_BEAT_ANSWER:
        m.beat.round = near(h, 2);
        m.beat.has_quorum = true;
        break;
    case MESSAGE_ACK:
    case MESSAGE_FORWARD_ASK:
        m.ack.index = near(h, one_stats(&h->one).last);
        break;
    case MESSAGE_SYNC:
        fill_sync(h, &m);
        break;
    case MESSAGE_BATCH:
        fill_batch(h, &m);
        break;
    case MESSAGE_FORWARD:
        m.forward.first = near(h, 1);
        m.forward.count = (uint32_t)near(h, 1);
        m.forward.offset = (uint32_t)near(h, 0);
        m.body = (struct base_bytes){h->one.body, base_rng_below(&h->rng, 200)};
        break;
    case MESSAGE_ABDICATE:
    case MESSAGE_SYNC_ASK:
        break;
    }
    return m;
}

static void grow_the_pretended_log(struct hostile *h)
{
    if (base_rng_below(&h->rng, 8) == 0) {
        log_truncate(&h->one.log, base_rng_below(&h->rng, h->one.log.last.index + 1));
    }
    if (h->one.log.last.term <= one_stats(&h->one).term) {
        one_write(&h->one, one_stats(&h->one).term, "x");
    }
}

static void attack(struct hostile *h)
{
    struct message m = nonsense(h);
    uint32_t from = 2 + (uint32_t)(base_rng_below(&h->rng, 50) == 0 ? base_rng_below(&h->rng, 2) : m.term % 2);
    int status = one_give(&h->one, from, &m); /* mostly one leader a term, or nothing but that would be tried */

    h->taken += status == 0;
    h->refused += status == BASE_E_PROTOCOL;
    h->stopped += status == BASE_E_CLOSED;
    assert_true(status == 0 || status == BASE_E_PROTOCOL || status == BASE_E_CLOSED);
    if (status == BASE_E_PROTOCOL || base_rng_below(&h->rng, 10) == 0) {
        order_link_up(h->one.order, from, h->one.now);
    }
}

static void run(struct hostile *h, uint64_t seed)
{
    one_open(&h->one, 3);
    base_rng_init(&h->rng, seed);
    for (int i = 0; i < 300 && h->one.stopped == NULL; i++) {
        grow_the_pretended_log(h);
        attack(h);
        (void)one_deliver(&h->one);
        (void)one_submit(&h->one, "y");
        one_drain(&h->one, 2 + (uint32_t)base_rng_below(&h->rng, 2));
        one_pass(&h->one, BASE_MS(base_rng_below(&h->rng, 60)));
    }
    one_close(&h->one);
}

static void nonsense_breaks_no_invariant(void **state)
{
    struct hostile h = {.taken = 0};

    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        run(&h, seed);
    }
    assert_true(h.taken > 1000); /* all three outcomes were met */
    assert_true(h.refused > 1000);
    assert_true(h.stopped > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nonsense_breaks_no_invariant),
    };

    return cmocka_run_group_tests_name("membership/hostile", tests, NULL, NULL);
}
