/* One measured run of rtcp-perf. The same code for both wires. */
#include "rtcp/base/bytes.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/base/status.h"
#include "rtcp/tools/perf_wire.h"

#include <ev.h>
#include <stdlib.h>

#define CHUNK 65536u

struct client {
    struct ev_loop *loop;
    const struct perf_wire *wire;
    void *context;
    const char *address;
    struct perf_run *run;
    struct perf_conn *conn;
    uint8_t *message;
    size_t left_to_send;           /* of the message under way */
    size_t left_to_read;           /* of its answer */
    uint8_t receipt[PERF_RECEIPT]; /* ends a stream */
    size_t receipt_size;
    bool is_order_out, is_finishing;
    base_time begun, until, sent_at, ended;
    bool is_over, has_failed, is_done;
    uint64_t dialled, closed;
};

static bool dial(struct client *c);
static void on_readable(void *user, struct perf_conn *conn);
static void on_writable(void *user, struct perf_conn *conn);
static void on_closed(void *user, struct perf_conn *conn);

static const struct perf_calls calls = {on_readable, on_writable, on_closed};

static void hang_up(struct client *c)
{
    c->is_over = true;
    c->wire->hang_up(c->conn);
}

static void push(struct client *c)
{
    while (c->left_to_send > 0) {
        int64_t n = c->wire->send(c->conn, c->message, c->left_to_send);

        if (n < 0) {
            c->has_failed = true;
            hang_up(c);
            return;
        }
        if (n == 0) {
            return;
        }
        c->left_to_send -= (size_t)n;
    }
}

/* Sends messages as long as the connection takes them. */
static void stream(struct client *c)
{
    while (!c->is_over && !c->is_finishing) {
        push(c);
        if (c->left_to_send > 0 || c->is_over) {
            return;
        }
        c->run->count += c->is_order_out ? 1 : 0;
        c->is_order_out = true;
        if (c->run->count % 16 == 0 && c->run->count > 0 && base_clock_now() >= c->until) {
            c->is_finishing = true;
            c->wire->finish(c->conn);
            return;
        }
        c->left_to_send = c->run->size;
    }
}

/* The server has everything, or says that it has not. */
static void take_receipt(struct client *c, const uint8_t *bytes, size_t size)
{
    size_t n = size < PERF_RECEIPT - c->receipt_size ? size : PERF_RECEIPT - c->receipt_size;

    base_copy(c->receipt + c->receipt_size, bytes, n);
    c->receipt_size += n;
    if (c->receipt_size == PERF_RECEIPT) {
        c->ended = base_clock_now();
        c->has_failed = base_get64(c->receipt) != c->run->count * c->run->size;
        hang_up(c);
    }
}

static void begin_transaction(struct client *c)
{
    c->sent_at = base_clock_now();
    c->left_to_send = c->run->test == PERF_CRR ? PERF_REQUEST : c->run->size;
    c->left_to_read = c->run->test == PERF_CRR ? PERF_ANSWER : c->run->size;
    push(c);
}

static void end_transaction(struct client *c)
{
    base_time now = base_clock_now();

    perf_run_keep(c->run, now - c->sent_at);
    c->run->count++;
    if (c->run->test != PERF_CRR && now < c->until) {
        begin_transaction(c);
        return;
    }
    c->ended = now;
    hang_up(c); /* as with close(): the next one need not wait for it */
    if (c->run->test == PERF_CRR && now < c->until) {
        c->has_failed = !dial(c);
    }
}

static void on_readable(void *user, struct perf_conn *conn)
{
    struct client *c = user;
    static uint8_t bytes[CHUNK];
    int64_t n = c->wire->recv(conn, bytes, sizeof bytes);

    if (conn != c->conn || c->is_over || n == 0) {
        return;
    }
    if (n < 0) {
        c->has_failed = true;
        hang_up(c);
        return;
    }
    if (c->run->test == PERF_STREAM) {
        take_receipt(c, bytes, (size_t)n);
        return;
    }
    c->left_to_read -= (size_t)n < c->left_to_read ? (size_t)n : c->left_to_read;
    if (c->left_to_read == 0) {
        end_transaction(c);
    }
}

static void on_writable(void *user, struct perf_conn *conn)
{
    struct client *c = user;

    if (conn != c->conn || c->is_over) {
        return;
    }
    if (c->run->test == PERF_STREAM) {
        stream(c);
        return;
    }
    push(c);
    if (c->run->test == PERF_RR && c->left_to_send == 0 && c->left_to_read == 0 && !c->is_over) {
        begin_transaction(c); /* the order is out */
    }
}

static bool dial(struct client *c)
{
    uint8_t order[PERF_ORDER_SIZE] = {(uint8_t)c->run->test};
    uint8_t first[PERF_ORDER_SIZE + PERF_REQUEST] = {0};

    base_put32(order + 4, c->run->size);
    c->is_over = false;
    if (c->run->test == PERF_CRR) {
        c->sent_at = base_clock_now();
    }
    c->conn = c->wire->connect(c->context, c->address, &calls, c);
    if (c->conn == NULL) {
        return false;
    }
    c->dialled++;
    /* The order goes first; in CRR together with the request. */
    base_copy(first, order, sizeof order);
    if (c->run->test == PERF_CRR) {
        base_copy(c->message, first, sizeof first);
        c->left_to_send = sizeof first;
        c->left_to_read = PERF_ANSWER;
    } else {
        base_copy(c->message, order, sizeof order);
        c->left_to_send = sizeof order;
        c->left_to_read = 0;
    }
    push(c); /* what is not taken now goes with on_writable */
    return true;
}

static void on_closed(void *user, struct perf_conn *conn)
{
    struct client *c = user;

    c->has_failed = c->has_failed || (conn == c->conn && !c->is_over); /* nobody here ended it */
    if (++c->closed < c->dialled && !c->has_failed) {
        return;
    }
    if (c->is_over || c->has_failed) {
        c->is_done = true;
        ev_break(c->loop, EVBREAK_ALL);
    }
}

int perf_client_run(struct ev_loop *loop, const struct perf_wire *wire, void *context, const char *address,
                    struct perf_run *run)
{
    struct client c = {.loop = loop, .wire = wire, .context = context, .address = address, .run = run};

    c.message = calloc(1, run->size + PERF_ORDER_SIZE + PERF_REQUEST);
    if (c.message == NULL) {
        return BASE_E_NOMEM;
    }
    c.begun = base_clock_now();
    c.until = c.begun + (base_time)(run->seconds * 1e9);
    if (!dial(&c)) {
        free(c.message);
        return BASE_E_SYSTEM;
    }
    while (!c.is_done) {
        ev_run(loop, EVRUN_ONCE);
    }
    /* Closing is a part of what CRR measures. */
    run->took = (double)((run->test == PERF_CRR ? base_clock_now() : c.ended) - c.begun) / 1e9;
    free(c.message);
    return !c.has_failed ? 0 : run->count > 0 ? BASE_E_RESET : BASE_E_REFUSED;
}
