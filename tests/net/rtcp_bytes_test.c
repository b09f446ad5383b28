/* TCP connections that end after exactly so many bytes: every place of the handshakes, and of the data behind them
 * (P12, P14, I9); ends of file that nobody meant (P5, C5); resumes that fail again and again (B1).
 *
 * Real sockets on the loopback, both endpoints and the relay between them in one loop.
 */
#include "rtcp/rtcp.h"
#include "tests/net/cutrelay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PLACES    201 /* connections end after 0 .. 200 bytes */
#define SIZE      1000
#define DEADLINE  30.0
#define SIDES_MAX 512
#define AT_ONCE   100 /* sessions that live at the same time */

enum which {
    FIRST = 1,  /* the first connection */
    SECOND = 2, /* the one that resumes */
    THIRD = 4,
};

struct world;

/* One end of one session. */
struct side {
    struct world *world;
    struct rtcp_stream *stream;
    uint64_t size; /* to send, and to receive */
    uint64_t sent;
    uint64_t received;
    bool has_end;
    bool is_over;
    int status;
};

/* One session, and the connections that it is to lose. */
struct item {
    struct world *world;
    struct cutrelay *relay;
    struct side side;
    bool is_down; /* the direction that is counted */
    uint64_t place;
    unsigned which;
    enum cutrelay_end end;
};

struct world {
    struct ev_loop *loop;
    struct rtcp_endpoint *near, *far;
    struct rtcp_listener *listener;
    struct item items[SIDES_MAX];
    size_t item_count;
    struct side accepted[SIDES_MAX];
    size_t accepted_count;
    size_t started;
    size_t over;
    uint64_t size;
    bool is_held; /* nobody ends */
    bool is_late;
};

/* ------------------------------------------------------------------------------------------------ streams */

/* Byte n of a direction; no period below 2^16, so that a byte in the wrong place is seen. */
static uint8_t byte_at(bool is_up, uint64_t n)
{
    uint64_t x = (n + (is_up ? 1 : 1000003)) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint8_t)(x >> 56);
}

static bool is_client(const struct side *s)
{
    const struct world *w = s->world;
    return s < w->accepted || s >= w->accepted + SIDES_MAX;
}

static void side_close_if_done(struct side *s)
{
    if (s->has_end && s->sent == s->size) {
        rtcp_close(s->stream, RTCP_LINGER_BACKGROUND);
    }
}

static void side_send(struct side *s)
{
    uint8_t chunk[4096];

    while (s->sent < s->size) {
        size_t size = s->size - s->sent < sizeof chunk ? (size_t)(s->size - s->sent) : sizeof chunk;
        for (size_t i = 0; i < size; i++) {
            chunk[i] = byte_at(is_client(s), s->sent + i);
        }
        int64_t n = rtcp_send(s->stream, chunk, size);
        if (n < 0) {
            assert_int_equal(n, BASE_E_AGAIN);
            return;
        }
        s->sent += (uint64_t)n;
    }
    if (!s->world->is_held) {
        assert_int_equal(rtcp_shutdown(s->stream), 0);
        side_close_if_done(s);
    }
}

static void on_readable(void *user, struct rtcp_stream *stream)
{
    struct side *s = user;
    uint8_t chunk[16384];

    for (;;) {
        int64_t n = rtcp_recv(stream, chunk, sizeof chunk);
        if (n < 0) {
            return;
        }
        if (n == 0) {
            assert_int_equal(s->received, s->size); /* C5: the end is never invented */
            s->has_end = true;
            side_close_if_done(s);
            return;
        }
        for (int64_t i = 0; i < n; i++) {
            if (chunk[i] != byte_at(!is_client(s), s->received + (uint64_t)i)) {
                fail_msg("byte %llu is wrong", (unsigned long long)s->received + (unsigned long long)i);
            }
        }
        s->received += (uint64_t)n;
    }
}

static void on_writable(void *user, struct rtcp_stream *stream)
{
    struct side *s = user;

    (void)stream;
    if (s->sent < s->size) {
        side_send(s);
    }
}

static void start_more(struct world *w);

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct side *s = user;

    (void)stream;
    s->is_over = true;
    s->status = unacknowledged == 0 ? status : BASE_E_RESET;
    if (++s->world->over >= 2 * s->world->item_count) {
        ev_break(s->world->loop, EVBREAK_ALL);
    }
    start_more(s->world);
}

static const struct rtcp_stream_callbacks callbacks = {
    .on_readable = on_readable, .on_writable = on_writable, .on_closed = on_closed};

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct world *w = user;
    struct side *s = &w->accepted[w->accepted_count++];

    (void)listener;
    assert_true(w->accepted_count <= w->item_count); /* C6: a repeated opening is the same session */
    *s = (struct side){.world = w, .stream = stream, .size = w->size};
    rtcp_stream_set_callbacks(stream, &callbacks, s);
    side_send(s);
}

/* ------------------------------------------------------------------------------------------------ the world */

static void world_open(struct world *w, bool with_key)
{
    static const uint8_t key[RTCP_KEY_MIN] = "sixteen bytes ok";
    struct rtcp_endpoint_options o;

    w->loop = ev_loop_new(0);
    assert_non_null(w->loop);
    rtcp_endpoint_options_default(&o);
    if (with_key) {
        o.key = key;
        o.key_size = sizeof key;
    }
    assert_int_equal(rtcp_endpoint_open(w->loop, &o, &w->near), 0);
    assert_int_equal(rtcp_endpoint_open(w->loop, &o, &w->far), 0);
    assert_int_equal(rtcp_listen(w->far, "127.0.0.1:0", NULL, on_accept, w, &w->listener), 0);
}

static void world_close(struct world *w)
{
    rtcp_endpoint_close(w->near);
    rtcp_endpoint_close(w->far);
    for (size_t i = 0; i < w->item_count; i++) {
        cutrelay_close(w->items[i].relay);
    }
    ev_loop_destroy(w->loop);
    free(w);
}

static struct world *world_new(bool with_key)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    w->size = SIZE;
    world_open(w, with_key);
    return w;
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct world *w = timer->data;

    (void)events;
    w->is_late = true;
    ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until it is stopped, or too late. */
static void world_run(struct world *w)
{
    ev_timer late;

    ev_timer_init(&late, on_late, DEADLINE, 0.0);
    late.data = w;
    ev_timer_start(w->loop, &late);
    (void)ev_run(w->loop, 0);
    ev_timer_stop(w->loop, &late);
}

static struct item *item_add(struct world *w, cutrelay_planner *planner)
{
    struct item *item = &w->items[w->item_count++];
    const char *port = strrchr(rtcp_listener_address(w->listener), ':') + 1;

    assert_true(w->item_count <= SIDES_MAX);
    item->world = w;
    item->side = (struct side){.world = w, .size = w->size};
    item->relay = cutrelay_open(w->loop, (uint16_t)strtoul(port, NULL, 10), planner, item);
    assert_non_null(item->relay);
    return item;
}

static void item_start(struct item *item)
{
    char address[32];

    (void)snprintf(address, sizeof address, "127.0.0.1:%u", (unsigned)cutrelay_port(item->relay));
    assert_int_equal(rtcp_connect(item->world->near, address, NULL, &callbacks, &item->side, &item->side.stream), 0);
    side_send(&item->side);
}

/* Not all at once: a server lets 256 handshakes in, and pushes the oldest out. */
static void start_more(struct world *w)
{
    while (w->started < w->item_count && w->started < w->over / 2 + AT_ONCE) {
        item_start(&w->items[w->started++]);
    }
}

static void expect_all_over(const struct world *w)
{
    assert_int_equal(w->accepted_count, w->item_count);
    for (size_t i = 0; i < w->item_count; i++) {
        const struct item *item = &w->items[i];
        const struct side *both[2] = {&item->side, &w->accepted[i]};
        for (int k = 0; k < 2; k++) {
            if (!both[k]->is_over || both[k]->status != 0 || both[k]->received != w->size) {
                fail_msg("%s: over %d, status %s, received %llu (relay %zu: %s place %llu, %u connections)",
                         k == 0 ? "client" : "a server's stream", both[k]->is_over, base_status_name(both[k]->status),
                         (unsigned long long)both[k]->received, i, item->is_down ? "down" : "up",
                         (unsigned long long)item->place, cutrelay_count(item->relay));
            }
        }
    }
    assert_false(w->is_late);
}

/* ------------------------------------------------------------------------------------------------ every place */

/* The connections that are chosen end at the place; one before them is let live long enough to be worth a resume. */
static struct cutrelay_plan plan_place(void *user, uint32_t number)
{
    const struct item *item = user;
    struct cutrelay_plan plan = {.up = CUTRELAY_NEVER, .down = CUTRELAY_NEVER, .end = item->end};

    if (number <= 3 && (item->which & (1u << (number - 1))) != 0) {
        *(item->is_down ? &plan.down : &plan.up) = item->place;
    } else if (number == 1 && item->which != 0) {
        plan.up = 600; /* OPEN and half of the bytes */
    }
    return plan;
}

static void cut_at_every_place(unsigned which, enum cutrelay_end how, bool with_key)
{
    struct world *w = world_new(with_key);
    uint32_t connections = 0, cuts = 0;

    for (uint32_t i = 0; i < 2 * PLACES; i++) {
        struct item *item = item_add(w, plan_place);
        item->is_down = i % 2 == 1;
        item->place = i / 2;
        item->which = which;
        item->end = how;
    }
    start_more(w);
    world_run(w);
    expect_all_over(w);

    for (size_t i = 0; i < w->item_count; i++) {
        connections += cutrelay_count(w->items[i].relay);
        cuts += cutrelay_cuts(w->items[i].relay);
    }
    print_message("    %zu sessions, %u connections, %u of them cut at a chosen byte\n", w->item_count, connections,
                  cuts);
    assert_true(cuts >= 2 * PLACES);
    world_close(w);
}

static void the_first_connection_is_reset_after_any_byte(void **state)
{
    (void)state;
    cut_at_every_place(FIRST, CUTRELAY_RST, false);
}

static void the_first_connection_ends_in_order_after_any_byte(void **state)
{
    (void)state;
    cut_at_every_place(FIRST, CUTRELAY_FIN, false);
}

static void the_resuming_connection_is_reset_after_any_byte(void **state)
{
    (void)state;
    cut_at_every_place(SECOND, CUTRELAY_RST, false);
}

static void the_resuming_connection_ends_in_order_after_any_byte(void **state)
{
    (void)state;
    cut_at_every_place(SECOND, CUTRELAY_FIN, false);
}

static void three_connections_in_a_row_end_after_any_byte(void **state)
{
    (void)state;
    cut_at_every_place(FIRST | SECOND | THIRD, CUTRELAY_RST, false);
    cut_at_every_place(FIRST | SECOND | THIRD, CUTRELAY_FIN, false);
}

/* With a pre-shared key there is a third message, CONFIRM. */
static void with_a_key_connections_end_after_any_byte(void **state)
{
    (void)state;
    cut_at_every_place(FIRST, CUTRELAY_RST, true);
    cut_at_every_place(FIRST | SECOND, CUTRELAY_FIN, true);
}

/* ------------------------------------------------------------------------------------------------ ends of file */

#define FALSE_ENDS 60

static struct cutrelay_plan plan_false_end(void *user, uint32_t number)
{
    struct cutrelay_plan plan = {.up = CUTRELAY_NEVER, .down = CUTRELAY_NEVER, .end = CUTRELAY_FIN};

    (void)user;
    if (number <= FALSE_ENDS) {
        *(number % 2 == 0 ? &plan.up : &plan.down) = 20000 + 991 * number;
    }
    return plan;
}

/* A relay that ends both directions in order, in mid-stream, says nothing about the peer (P5). */
static void an_end_of_file_is_never_invented(void **state)
{
    struct world *w = world_new(false);
    struct rtcp_stats stats;

    (void)state;
    w->size = 8 << 20;
    (void)item_add(w, plan_false_end);
    start_more(w);
    world_run(w);
    expect_all_over(w);
    assert_int_equal(cutrelay_cuts(w->items[0].relay), FALSE_ENDS);
    rtcp_endpoint_stats(w->near, &stats);
    assert_int_equal(stats.resumes, FALSE_ENDS);
    rtcp_endpoint_stats(w->far, &stats);
    assert_int_equal(stats.resumes, FALSE_ENDS); /* both roles count */
    world_close(w);
}

/* ------------------------------------------------------------------------------------------------ failed resumes */

#define FAILING    100 /* sessions */
#define FAILED_MIN 200
#define PAGE_KIB   4
#ifdef __SANITIZE_ADDRESS__
#define GROWTH_KIB 16384 /* what is freed is kept aside; that it is freed, the leak check says */
#else
#define GROWTH_KIB 1024
#endif

/* Every connection but the first is cut in its handshake. */
static struct cutrelay_plan plan_failure(void *user, uint32_t number)
{
    const struct item *item = user;
    struct cutrelay_plan plan = {.up = CUTRELAY_NEVER, .down = CUTRELAY_NEVER, .end = CUTRELAY_RST};

    if (number > 1 && item->which != 0) {
        *(number % 2 == 0 ? &plan.up : &plan.down) = (number * 37) % (number % 2 == 0 ? 100 : 92);
    }
    return plan;
}

static long resident_kib(void)
{
    char text[64] = "";
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");

    assert_non_null(f);
    assert_non_null(fgets(text, sizeof text, f));
    (void)fclose(f);
    assert_int_equal(sscanf(text, "%*d %ld", &pages), 1);
    return pages * PAGE_KIB;
}

static uint32_t all_cuts(const struct world *w)
{
    uint32_t cuts = 0;

    for (size_t i = 0; i < w->item_count; i++) {
        cuts += cutrelay_cuts(w->items[i].relay);
    }
    return cuts;
}

static void fail_resumes(struct world *w, uint32_t count)
{
    uint32_t before = all_cuts(w);

    while (!w->is_late && all_cuts(w) - before < count) {
        (void)ev_run(w->loop, EVRUN_ONCE);
    }
    assert_false(w->is_late);
}

/* Runs the loop until every side has received so much. */
static void run_until_received(struct world *w, uint64_t size)
{
    size_t done = 0;

    while (!w->is_late && done < 2 * w->item_count) {
        (void)ev_run(w->loop, EVRUN_ONCE);
        done = 0;
        for (size_t i = 0; i < w->item_count; i++) {
            done += w->items[i].side.received >= size;
            done += w->accepted[i].received >= size;
        }
    }
    assert_false(w->is_late);
}

static void let_end(struct world *w)
{
    w->is_held = false;
    for (size_t i = 0; i < w->item_count; i++) {
        w->items[i].which = 0;
        side_send(&w->items[i].side);
        side_send(&w->accepted[i]);
    }
}

/* Both endpoints live in this process: what it has is what both have. */
static void failed_resumes_leave_memory_flat(void **state)
{
    struct world *w = world_new(false);
    ev_timer late;
    long before, after;

    (void)state;
    w->is_held = true;
    ev_timer_init(&late, on_late, DEADLINE, 0.0);
    late.data = w;
    ev_timer_start(w->loop, &late);
    for (int i = 0; i < FAILING; i++) {
        struct item *item = item_add(w, plan_failure);
        item->which = FIRST;
    }
    start_more(w);
    run_until_received(w, SIZE);
    for (size_t i = 0; i < w->item_count; i++) {
        cutrelay_reset_all(w->items[i].relay);
    }
    fail_resumes(w, FAILED_MIN); /* pools and caches are there afterwards */
    before = resident_kib();
    fail_resumes(w, 2 * FAILED_MIN);
    after = resident_kib();

    print_message("    %u failed resumes: %ld KiB, then %ld KiB\n", all_cuts(w), before, after);
    assert_true(after - before <= GROWTH_KIB);
    let_end(w);
    world_run(w);
    expect_all_over(w);
    ev_timer_stop(w->loop, &late);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_connection_is_reset_after_any_byte),
        cmocka_unit_test(the_first_connection_ends_in_order_after_any_byte),
        cmocka_unit_test(the_resuming_connection_is_reset_after_any_byte),
        cmocka_unit_test(the_resuming_connection_ends_in_order_after_any_byte),
        cmocka_unit_test(three_connections_in_a_row_end_after_any_byte),
        cmocka_unit_test(with_a_key_connections_end_after_any_byte),
        cmocka_unit_test(an_end_of_file_is_never_invented),
        cmocka_unit_test(failed_resumes_leave_memory_flat),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
