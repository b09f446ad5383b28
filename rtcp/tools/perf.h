/* rtcp-perf: the shapes of SockPerf (paper, section 5) over robust TCP and over plain TCP, one after the other.
 *
 *   perf.c        command line, child process, pairs of runs, output
 *   perf_wire.h   one connection, of either kind
 *   perf_tcp.c    plain TCP on libev
 *   perf_rtcp.c   robust TCP, event-driven
 *   perf_server.c what the server does with a connection
 *   perf_client.c one measured run
 *   perf_stats.c  percentiles, medians, bootstrap intervals
 *
 * Owns      the shapes of the runs and their results.
 * Relies on a child process that serves both wires on loopback.
 * Not here  a verdict: it prints ratios and how far they can be trusted.
 */
#ifndef HOLDFAST_RTCP_PERF_H
#define HOLDFAST_RTCP_PERF_H

#include "rtcp/tools/perf_wire.h"

enum perf_test {
    PERF_RR,     /* a message and its echo, one after the other */
    PERF_STREAM, /* messages one way */
    PERF_CRR,    /* connect, a request, an answer of 8 KiB, close */
};

/* What the first bytes of a connection say: how the server should treat the rest. */
struct perf_order {
    uint8_t test;  /* enum perf_test */
    uint32_t size; /* bytes of a message */
};

#define PERF_ORDER_SIZE 8
#define PERF_ANSWER     8192u /* bytes that answer a request of CRR */
#define PERF_REQUEST    64u

struct perf_run {
    enum perf_test test;
    uint32_t size;
    double seconds;
    /* results */
    uint64_t count;    /* messages or transactions */
    double took;       /* seconds measured */
    double cpu;        /* seconds of this process and the server's */
    uint64_t *latency; /* nanoseconds of each transaction; grows */
    size_t latency_count, latency_room;
};

void perf_server_accept(void *user, struct perf_conn *conn);

/* One measured run against the address; 0 or a negative status. */
int perf_client_run(struct ev_loop *loop, const struct perf_wire *wire, void *context, const char *address,
                    struct perf_run *run);

/* stats */
double perf_median(double *values, size_t count); /* sorts */
/* 95 % bootstrap interval of the median. */
void perf_interval(const double *values, size_t count, double ret_interval[2]);
uint64_t perf_percentile(uint64_t *values, size_t count, double part); /* sorts */

#endif
