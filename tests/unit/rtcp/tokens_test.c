/* Tests of rtcp/tokens.h: the rules one by one, then every interleaving of two readers, two writers, the control thread
 * and a kernel over a connection that is frozen or dropped at any moment (P4, P6, P47; design: two faces).
 */
#include "rtcp/tokens.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

/* ------------------------------------------------------------------------------------------------ the rules */

static void the_last_one_out_closes(void **state)
{
    struct rtcp_connection c;

    (void)state;
    rtcp_connection_init(&c, 5, 1);
    assert_true(rtcp_connection_use(&c));
    assert_true(rtcp_connection_use(&c));
    assert_int_equal(rtcp_connection_kill(&c, false), RTCP_ORDER_SHUTDOWN);
    assert_false(rtcp_connection_use(&c));
    assert_int_equal(rtcp_connection_leave(&c), 0); /* who shut it down has a use as well */
    assert_int_equal(rtcp_connection_leave(&c), 0);
    assert_int_equal(rtcp_connection_leave(&c), RTCP_ORDER_CLOSE);
}

static void a_freeze_drains_closes_and_posts_once(void **state)
{
    struct rtcp_connection c;

    (void)state;
    rtcp_connection_init(&c, 5, 1);
    assert_int_equal(rtcp_connection_kill(&c, true), RTCP_ORDER_DRAIN | RTCP_ORDER_CLOSE | RTCP_ORDER_POST);
    assert_int_equal(rtcp_connection_kill(&c, true), 0);
    assert_int_equal(rtcp_connection_kill(&c, false), 0);
}

static void bytes_of_a_dropped_connection_do_not_count_those_of_a_frozen_one_do(void **state)
{
    struct rtcp_connection c;

    (void)state;
    rtcp_connection_init(&c, 5, 1);
    assert_true(rtcp_connection_use(&c) && rtcp_connection_counts(&c));
    assert_int_equal(rtcp_connection_kill(&c, true), RTCP_ORDER_SHUTDOWN);
    assert_true(rtcp_connection_counts(&c));
    assert_int_equal(rtcp_connection_kill(&c, false), 0);
    assert_false(rtcp_connection_counts(&c));
    assert_int_equal(rtcp_connection_leave(&c), 0);
    assert_int_equal(rtcp_connection_leave(&c), RTCP_ORDER_CLOSE);
}

static void one_thread_reads_and_wakes_the_next(void **state)
{
    struct rtcp_reader r = {0};

    (void)state;
    assert_true(rtcp_reader_take(&r, false));
    assert_false(rtcp_reader_take(&r, false));
    assert_false(rtcp_reader_take(&r, false));
    assert_int_equal(rtcp_reader_give(&r), RTCP_ORDER_WAKE);
    assert_int_equal(rtcp_reader_forget(&r),
                     RTCP_ORDER_WAKE); /* the one that was woken goes away: the other one then */
    assert_true(rtcp_reader_take(&r, true));
    assert_int_equal(rtcp_reader_give(&r), 0);
}

static void a_writer_with_all_its_bytes_in_the_ring_hands_over(void **state)
{
    struct rtcp_writer w = {0};

    (void)state;
    assert_true(rtcp_writer_take(&w, false));
    assert_true(rtcp_writer_may_grow(&w, false));
    assert_int_equal(rtcp_writer_blocked(&w, false), 0);
    assert_int_equal(rtcp_writer_blocked(&w, true), RTCP_ORDER_CONTROL);
    assert_false(rtcp_writer_may_grow(&w, false));
    assert_true(rtcp_writer_may_grow(&w, true));
    assert_false(rtcp_writer_take(&w, false));
    assert_true(rtcp_writer_take(&w, true));
    assert_false(rtcp_writer_give(&w)); /* somebody appended meanwhile */
    rtcp_writer_look(&w);
    assert_true(rtcp_writer_give(&w));
}

/* ------------------------------------------------------------------------------------------- every interleaving */

#define TO_READ    3 /* bytes the peer sends */
#define READERS    2
#define WRITERS    2 /* each appends one byte; then there is the control thread */
#define STATES_MAX (1u << 22)

enum reader_at { R_WANTS, R_WAITS, R_HOLDS, R_INSIDE, R_CAME_BACK, R_DONE };
enum writer_at { W_APPENDS, W_HOLDS, W_INSIDE, W_CAME_BACK, W_DONE };

struct kernel {
    uint8_t in, room, sent, base; /* base: the offset of the first byte sent on it */
    bool is_shut, is_closed;
};

struct thread {
    uint8_t at, conn, moved;
    bool is_refused;
    uint8_t orders; /* to be carried out before it goes on */
    uint8_t about;  /* ... on which connection */
};

struct world {
    struct rtcp_connection conn[2];
    struct kernel kernel[2];
    struct rtcp_reader reader_token;
    struct rtcp_writer writer_token;
    struct thread reader[READERS], writer[WRITERS + 1]; /* the last writer is the control thread's sending */
    uint8_t live;                                       /* 2: none */
    uint8_t received, written, appended;
    bool was_killed, is_posted, is_attached, wakes;
    struct thread control;
};

static struct {
    struct world *at;
    uint32_t *table; /* index + 1 */
    uint32_t count, next;
} seen;

static void remember(const struct world *w)
{
    uint64_t hash = 1469598103934665603u;
    const uint8_t *bytes = (const uint8_t *)w;

    for (size_t i = 0; i < sizeof *w; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    for (uint32_t at = (uint32_t)(hash % (2 * STATES_MAX));; at = (at + 1) % (2 * STATES_MAX)) {
        if (seen.table[at] == 0) {
            assert_true(seen.count < STATES_MAX);
            seen.at[seen.count++] = *w;
            seen.table[at] = seen.count;
            return;
        }
        if (memcmp(&seen.at[seen.table[at] - 1], w, sizeof *w) == 0) {
            return;
        }
    }
}

static void give_orders(struct thread *t, unsigned orders, uint8_t conn)
{
    if (orders != 0) {
        t->orders = (uint8_t)(t->orders | orders);
        t->about = conn;
    }
}

/* Carries out the first of its orders. */
static void obey(struct world *w, struct thread *t)
{
    struct kernel *k = &w->kernel[t->about];
    unsigned order = t->orders & -t->orders;

    t->orders = (uint8_t)(t->orders & ~order);
    if (order == RTCP_ORDER_SHUTDOWN) {
        assert_false(k->is_closed);
        k->is_shut = true;
        give_orders(t, rtcp_connection_leave(&w->conn[t->about]), t->about);
    } else if (order == RTCP_ORDER_DRAIN) {
        assert_false(k->is_closed);
        w->received = (uint8_t)(w->received + k->in);
        k->in = 0;
    } else if (order == RTCP_ORDER_CLOSE) {
        assert_false(k->is_closed);
        assert_int_equal(w->conn[t->about].users, 0);
        k->is_closed = true;
    } else if (order == RTCP_ORDER_POST) {
        assert_false(w->is_posted);
        w->is_posted = true;
    } else if (order == RTCP_ORDER_WAKE) {
        w->wakes = true;
    } else {
        assert_int_equal(order, RTCP_ORDER_CONTROL);
        if (w->writer[WRITERS].at == W_DONE && w->writer_token.state == RTCP_WRITER_CONTROL) {
            w->writer[WRITERS].at = W_HOLDS; /* else an attach woke it before, and it has done the work */
        }
    }
}

static bool is_usable(const struct world *w)
{
    return w->live < 2 && !w->conn[w->live].is_dead;
}

/* One step of a reader; false: it cannot move. */
static bool read_step(struct world *w, struct thread *t)
{
    struct kernel *k = &w->kernel[t->conn];

    switch ((enum reader_at)t->at) {
    case R_WANTS:
        t->at = rtcp_reader_take(&w->reader_token, false) ? R_HOLDS : R_WAITS;
        return true;
    case R_WAITS:
        if (!w->wakes) {
            return false;
        }
        w->wakes = false;
        t->at = rtcp_reader_take(&w->reader_token, true) ? R_HOLDS : R_WAITS;
        return true;
    case R_HOLDS:
        if (w->received == TO_READ) {
            give_orders(t, rtcp_reader_give(&w->reader_token), 0);
            t->at = R_DONE;
            return true;
        }
        if (!is_usable(w)) {
            return false;
        }
        assert_true(rtcp_connection_use(&w->conn[w->live]));
        t->conn = w->live;
        t->at = R_INSIDE;
        return true;
    case R_INSIDE:
        assert_false(k->is_closed);
        if (k->in == 0 && !k->is_shut) {
            return false;
        }
        t->moved = k->in > 0;
        k->in = (uint8_t)(k->in - t->moved);
        t->at = R_CAME_BACK;
        return true;
    case R_CAME_BACK:
        if (rtcp_connection_counts(&w->conn[t->conn])) {
            w->received = (uint8_t)(w->received + t->moved);
            assert_true(w->received <= TO_READ);
        }
        t->moved = 0;
        t->at = R_HOLDS;
        give_orders(t, rtcp_connection_leave(&w->conn[t->conn]), t->conn);
        t->conn = 0;
        return true;
    case R_DONE:
        return false;
    }
    return false;
}

static void hold_or_go(struct world *w, struct thread *t, bool is_control)
{
    rtcp_writer_look(&w->writer_token);
    if (w->written < w->appended) {
        if (is_usable(w)) {
            assert_true(rtcp_connection_use(&w->conn[w->live]));
            t->conn = w->live;
            t->at = W_INSIDE;
        } else if (!is_control) {
            give_orders(t, rtcp_writer_blocked(&w->writer_token, true), 0);
            t->at = W_DONE;
        }
    } else if (rtcp_writer_give(&w->writer_token)) {
        t->at = W_DONE;
    }
}

static bool write_step(struct world *w, struct thread *t, bool is_control)
{
    struct kernel *k = &w->kernel[t->conn];

    switch ((enum writer_at)t->at) {
    case W_APPENDS:
        w->appended++;
        t->at = rtcp_writer_take(&w->writer_token, is_control) ? W_HOLDS : W_DONE;
        return true;
    case W_HOLDS:
        if (is_control && w->written < w->appended && !is_usable(w)) {
            return false; /* until a connection is attached */
        }
        hold_or_go(w, t, is_control);
        return true;
    case W_INSIDE:
        assert_false(k->is_closed);
        t->is_refused = k->is_shut || k->room == 0;
        if (!t->is_refused) {
            assert_int_equal(k->base + k->sent, w->written); /* in the ring's order, by one thread */
            k->sent++;
            k->room--;
        } else if (is_control && !k->is_shut) {
            return false; /* until it is writable */
        }
        t->at = W_CAME_BACK;
        return true;
    case W_CAME_BACK:
        if (!t->is_refused && rtcp_connection_counts(&w->conn[t->conn])) {
            w->written++;
        }
        t->at = W_HOLDS;
        if (t->is_refused && !is_control) {
            give_orders(t, rtcp_writer_blocked(&w->writer_token, true), 0);
            t->at = W_DONE;
        }
        t->is_refused = false;
        {
            unsigned orders = rtcp_connection_leave(&w->conn[t->conn]);

            give_orders(t, orders, t->conn);
        }
        t->conn = 0;
        return true;
    case W_DONE:
        return false;
    }
    return false;
}

/* The control thread freezes or drops the first connection once, and attaches the second when it may. */
static void kill_first(struct world *w, bool is_freeze)
{
    give_orders(&w->control, rtcp_connection_kill(&w->conn[0], is_freeze), 0);
    w->was_killed = true;
    w->live = 2;
    w->is_posted = !is_freeze; /* a drop waits for nobody */
}

static void attach_second(struct world *w, uint8_t lost)
{
    rtcp_connection_init(&w->conn[1], 6, 2);
    w->kernel[1].in = (uint8_t)(TO_READ - w->received);
    w->written = (uint8_t)(w->written - lost);
    w->kernel[1].base = w->written;
    w->kernel[1].room = 1;
    w->live = 1;
    w->is_attached = true;
    if (rtcp_writer_take(&w->writer_token, true)) {
        w->writer[WRITERS].at = W_HOLDS;
    }
}

static void must_be_finished(const struct world *w)
{
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(w->reader[i].at, R_DONE);
    }
    for (int i = 0; i <= WRITERS; i++) {
        assert_int_equal(w->writer[i].at, W_DONE);
    }
    assert_true(w->is_attached && w->kernel[0].is_closed && !w->kernel[1].is_closed);
    assert_int_equal(w->received, TO_READ);
    assert_int_equal(w->written, WRITERS);
    assert_int_equal(w->writer_token.state, RTCP_WRITER_FREE);
}

/* Every step that is possible in a state. */
static void explore_from(const struct world *from)
{
    struct world w;
    uint32_t before = seen.next;
    bool moved = false;
    bool is_sending;

    for (int i = 0; i < READERS; i++) {
        w = *from;
        if (w.reader[i].orders != 0 ? (obey(&w, &w.reader[i]), true) : read_step(&w, &w.reader[i])) {
            remember(&w);
            moved = true;
        }
    }
    for (int i = 0; i <= WRITERS; i++) {
        w = *from;
        if (w.writer[i].orders != 0 ? (obey(&w, &w.writer[i]), true) : write_step(&w, &w.writer[i], i == WRITERS)) {
            remember(&w);
            moved = true;
        }
    }
    is_sending = from->writer[WRITERS].at == W_INSIDE || from->writer[WRITERS].at == W_CAME_BACK ||
                 from->writer[WRITERS].orders != 0; /* the control thread is one thread */
    for (int how = is_sending ? 4 : 0; how < 4; how++) {
        w = *from;
        if (how == 0 && w.control.orders != 0) {
            obey(&w, &w.control);
        } else if ((how == 1 || how == 2) && !w.was_killed) {
            kill_first(&w, how == 1);
        } else if (how == 3 && w.was_killed && w.is_posted && !w.is_attached && w.control.orders == 0) {
            struct world lost = w;

            attach_second(&w, 0);
            if (lost.written > 0) {
                attach_second(&lost, 1);
                remember(&lost);
            }
        } else {
            continue;
        }
        remember(&w);
        moved = true;
    }
    for (int i = 0; i < 2; i++) {
        w = *from;
        if (w.kernel[i].room == 0 && w.kernel[i].sent < WRITERS && !w.kernel[i].is_shut && !w.kernel[i].is_closed &&
            (i == 0 || w.is_attached)) {
            w.kernel[i].room = 1;
            remember(&w);
            moved = true;
        }
    }
    assert_int_equal(before, seen.next);
    if (!moved) {
        must_be_finished(from);
    }
}

static void every_interleaving_reads_and_writes_every_byte_once_and_closes_once(void **state)
{
    struct world w;

    (void)state;
    memset(&w, 0, sizeof w);
    seen.at = malloc(STATES_MAX * sizeof *seen.at);
    seen.table = calloc(2 * (size_t)STATES_MAX, sizeof *seen.table);
    assert_true(seen.at != NULL && seen.table != NULL);
    seen.count = seen.next = 0;
    rtcp_connection_init(&w.conn[0], 5, 1);
    w.kernel[0].in = 2;
    w.kernel[0].room = 1;
    w.writer[WRITERS].at = W_DONE;
    remember(&w);
    while (seen.next < seen.count) {
        struct world from = seen.at[seen.next];

        explore_from(&from);
        seen.next++;
    }
    print_message("%u states\n", seen.count);
    assert_true(seen.count > 1000);
    free(seen.at);
    free(seen.table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_one_out_closes),
        cmocka_unit_test(a_freeze_drains_closes_and_posts_once),
        cmocka_unit_test(bytes_of_a_dropped_connection_do_not_count_those_of_a_frozen_one_do),
        cmocka_unit_test(one_thread_reads_and_wakes_the_next),
        cmocka_unit_test(a_writer_with_all_its_bytes_in_the_ring_hands_over),
        cmocka_unit_test(every_interleaving_reads_and_writes_every_byte_once_and_closes_once),
    };

    return cmocka_run_group_tests_name("rtcp/tokens", tests, NULL, NULL);
}
