/* The blocking face of rtcp-perf: one thread measures; the server has a thread for each connection. See perf.h. */
#include "rtcp/base/bytes.h"
#include "rtcp/base/clock_loop.h"
#include "rtcp/base/status.h"
#include "rtcp/blocking.h"
#include "rtcp/tools/perf_sync.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK 65536u

/* ------------------------------------------------------------------------------------------------ both sides */

static bool recv_all(const struct perf_sync_wire *wire, struct perf_sync *s, uint8_t *at, size_t size)
{
    while (size > 0) {
        int64_t n = wire->recv(s, at, size);

        if (n <= 0) {
            return false;
        }
        at += n;
        size -= (size_t)n;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------ the server */

struct place {
    const struct perf_sync_wire *wire;
    struct perf_sync *listener, *conn;
    uint8_t *bytes; /* of a message, or what streams by */
};

static void serve_stream(struct place *p)
{
    uint8_t receipt[PERF_RECEIPT];
    uint64_t count = 0;
    int64_t n;

    while ((n = p->wire->recv(p->conn, p->bytes, CHUNK)) > 0) {
        count += (uint64_t)n;
    }
    base_put64(receipt, count);
    (void)p->wire->send(p->conn, receipt, sizeof receipt);
}

/* Whole messages: a peer that still sends does not read. */
static void serve_answers(struct place *p, size_t request, size_t answer)
{
    while (recv_all(p->wire, p->conn, p->bytes, request) && p->wire->send(p->conn, p->bytes, answer)) {
    }
}

static void *serve_conn(void *user)
{
    struct place *p = user;
    uint8_t head[PERF_ORDER_SIZE] = {0};
    bool is_fine = recv_all(p->wire, p->conn, head, sizeof head);
    uint32_t size = base_get32(head + 4);

    p->bytes = is_fine ? calloc(1, head[0] == PERF_CRR ? PERF_ANSWER : size > CHUNK ? PERF_SIZE_MAX : CHUNK) : NULL;
    if (p->bytes != NULL) {
        if (head[0] == PERF_STREAM) {
            serve_stream(p);
        } else if (head[0] == PERF_CRR) {
            serve_answers(p, PERF_REQUEST, PERF_ANSWER);
        } else if (size >= 1 && size <= PERF_SIZE_MAX) {
            serve_answers(p, size, size);
        }
    }
    p->wire->close(p->conn);
    free(p->bytes);
    free(p);
    return NULL;
}

static void start_thread(void *(*function)(void *user), void *user)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, function, user) != 0) {
        fprintf(stderr, "rtcp-perf: cannot start a thread\n");
        abort();
    }
    (void)pthread_detach(thread);
}

static void *serve_listener(void *user)
{
    const struct place *at = user;

    for (;;) {
        struct perf_sync *conn = at->wire->accept(at->listener);
        struct place *p = conn == NULL ? NULL : calloc(1, sizeof *p); /* zero pages: the test says which are used */

        if (p == NULL) {
            fprintf(stderr, "rtcp-perf: cannot accept: %s\n", strerror(errno));
            return NULL;
        }
        p->wire = at->wire;
        p->conn = conn;
        start_thread(serve_conn, p);
    }
}

static void serve(const struct perf_options *o, void (*ready)(void *user), void *user)
{
    static struct place places[2] = {{.wire = &perf_sync_rtcp}, {.wire = &perf_sync_tcp}};
    char address[PERF_ADDRESS];

    for (unsigned i = 0; i < 2; i++) {
        (void)snprintf(address, sizeof address, "%s:%u", o->host, o->port + i);
        places[i].listener = places[i].wire->listen(o, address);
        if (places[i].listener == NULL) {
            fprintf(stderr, "rtcp-perf: cannot listen at %s: %s\n", address, strerror(errno));
            return;
        }
    }
    ready(user);
    start_thread(serve_listener, &places[0]);
    (void)serve_listener(&places[1]);
}

/* ------------------------------------------------------------------------------------------------ the client */

struct client {
    const struct perf_options *o;
    const struct perf_sync_wire *wire;
    const char *address;
    struct perf_run *run;
    base_time until;
    uint8_t order[PERF_ORDER_SIZE + PERF_REQUEST];
    uint8_t *message, *answer;
};

static int round_trips(struct client *c, struct perf_sync *conn)
{
    base_time now = base_clock_now();

    if (!c->wire->send(conn, c->order, PERF_ORDER_SIZE)) {
        return BASE_E_RESET;
    }
    while (now < c->until) {
        base_time began = base_clock_now();

        if (!c->wire->send(conn, c->message, c->run->size) || !recv_all(c->wire, conn, c->answer, c->run->size)) {
            return BASE_E_RESET;
        }
        now = base_clock_now();
        perf_run_keep(c->run, now - began);
        c->run->count++;
    }
    return 0;
}

static int stream(struct client *c, struct perf_sync *conn)
{
    uint8_t receipt[PERF_RECEIPT];

    if (!c->wire->send(conn, c->order, PERF_ORDER_SIZE)) {
        return BASE_E_RESET;
    }
    do {
        for (int i = 0; i < 16; i++) {
            if (!c->wire->send(conn, c->message, c->run->size)) {
                return BASE_E_RESET;
            }
        }
        c->run->count += 16;
    } while (base_clock_now() < c->until);
    c->wire->finish(conn);
    if (!recv_all(c->wire, conn, receipt, sizeof receipt)) {
        return BASE_E_RESET;
    }
    return base_get64(receipt) == c->run->count * c->run->size ? 0 : BASE_E_PROTOCOL;
}

static int transactions(struct client *c)
{
    base_time now = base_clock_now();

    while (now < c->until) {
        base_time began = now;
        struct perf_sync *conn = c->wire->connect(c->o, c->address);

        if (conn == NULL) {
            return BASE_E_SYSTEM;
        }
        if (!c->wire->send(conn, c->order, sizeof c->order) || !recv_all(c->wire, conn, c->answer, PERF_ANSWER)) {
            return BASE_E_RESET;
        }
        c->wire->close(conn);
        now = base_clock_now();
        perf_run_keep(c->run, now - began);
        c->run->count++;
    }
    return 0;
}

static int run_client(struct client *c)
{
    struct perf_sync *conn;
    int status;

    if (c->run->test == PERF_CRR) {
        return transactions(c);
    }
    conn = c->wire->connect(c->o, c->address);
    if (conn == NULL) {
        return BASE_E_SYSTEM;
    }
    status = c->run->test == PERF_RR ? round_trips(c, conn) : stream(c, conn);
    c->wire->close(conn);
    return status;
}

static int measure(const struct perf_options *o, bool is_tcp, const char *address, struct perf_run *run)
{
    struct client c = {.o = o, .wire = is_tcp ? &perf_sync_tcp : &perf_sync_rtcp, .address = address, .run = run};
    size_t room = run->size > PERF_ANSWER ? run->size : PERF_ANSWER;
    base_time began;
    int status = rtcp_socket_setup(NULL, 0); /* nothing waits for the server when we exit */

    if (status < 0 && status != BASE_E_EXISTS) {
        return status;
    }
    status = BASE_E_NOMEM;

    c.message = calloc(1, room);
    c.answer = calloc(1, room);
    c.order[0] = (uint8_t)run->test;
    base_put32(c.order + 4, run->size);
    if (c.message != NULL && c.answer != NULL) {
        began = base_clock_now();
        c.until = began + (base_time)(run->seconds * 1e9);
        status = run_client(&c);
        run->took = (double)(base_clock_now() - began) / 1e9;
    }
    free(c.message);
    free(c.answer);
    return status;
}

const struct perf_face perf_blocking = {"blocking", serve, measure};
