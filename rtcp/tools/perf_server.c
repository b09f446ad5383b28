/* What the server of rtcp-perf does with a connection: reads the order, then echoes, swallows, or answers. */
#include "rtcp/base/bytes.h"
#include "rtcp/tools/perf_wire.h"

#include <stdlib.h>

#define CHUNK 65536u

struct served {
    const struct perf_wire *wire;
    struct perf_order order;
    uint8_t head[PERF_ORDER_SIZE];
    size_t head_size;
    uint64_t owed;    /* bytes to send back */
    uint64_t request; /* bytes of the request read so far (CRR) */
    uint64_t count;   /* bytes after the order (STREAM) */
    bool is_closing;
};

static void on_readable(void *user, struct perf_conn *conn);
static void on_writable(void *user, struct perf_conn *conn);
static void on_closed(void *user, struct perf_conn *conn);

static const struct perf_calls calls = {on_readable, on_writable, on_closed};

void perf_server_accept(void *user, struct perf_conn *conn)
{
    struct served *s = calloc(1, sizeof *s);

    if (s == NULL) {
        abort();
    }
    s->wire = user;
    s->wire->set_calls(conn, &calls, s);
}

static void pay(struct served *s, struct perf_conn *conn)
{
    static const uint8_t bytes[CHUNK];

    while (s->owed > 0) {
        int64_t n = s->wire->send(conn, bytes, s->owed < CHUNK ? s->owed : CHUNK);

        if (n <= 0) {
            return;
        }
        s->owed -= (uint64_t)n;
    }
}

static void take(struct served *s, const uint8_t *bytes, size_t size)
{
    while (size > 0 && s->head_size < PERF_ORDER_SIZE) {
        s->head[s->head_size++] = *bytes++;
        size--;
    }
    if (s->head_size < PERF_ORDER_SIZE) {
        return;
    }
    s->order = (struct perf_order){s->head[0], base_get32(s->head + 4)};
    s->count += size;
    if (s->order.test == PERF_RR) {
        s->owed += size;
    } else if (s->order.test == PERF_CRR) {
        s->request += size;
        if (s->request >= PERF_REQUEST) {
            s->request -= PERF_REQUEST;
            s->owed += PERF_ANSWER;
        }
    }
}

/* The client has ended. Who streamed gets a receipt; it fits into any buffer that nothing else was written to. */
static void end(struct served *s, struct perf_conn *conn)
{
    uint8_t receipt[PERF_RECEIPT];

    if (s->is_closing) {
        return;
    }
    s->is_closing = true;
    if (s->order.test == PERF_STREAM && s->head_size == PERF_ORDER_SIZE) {
        base_put64(receipt, s->count);
        (void)s->wire->send(conn, receipt, sizeof receipt);
    }
    s->wire->hang_up(conn);
}

static void on_readable(void *user, struct perf_conn *conn)
{
    struct served *s = user;
    static uint8_t bytes[CHUNK];

    for (int i = 0; i < 16; i++) {
        int64_t n = s->wire->recv(conn, bytes, sizeof bytes);

        if (n < 0) {
            end(s, conn);
            return;
        }
        if (n == 0) {
            break;
        }
        take(s, bytes, (size_t)n);
        if ((size_t)n < sizeof bytes) {
            break;
        }
    }
    pay(s, conn);
}

static void on_writable(void *user, struct perf_conn *conn)
{
    pay(user, conn);
}

static void on_closed(void *user, struct perf_conn *conn)
{
    (void)conn;
    free(user);
}
