/* rtcp-perf: the shapes of SockPerf (paper, section 5) over robust TCP and over plain TCP, one after the other.
 *
 *   perf.c          the program: the server's process, pairs of runs, what is printed
 *   perf_options.c  command line
 *   perf_event.c    the event-driven face: a loop on each side; with it
 *     perf_wire.h     one connection, of either kind
 *     perf_tcp.c      plain TCP on libev
 *     perf_rtcp.c     robust TCP
 *     perf_server.c   what the server does with a connection
 *     perf_client.c   one measured run
 *   perf_blocking.c the blocking face: threads; with it perf_sync.h, perf_sync_tcp.c, perf_sync_rtcp.c
 *   perf_stats.c    percentiles, medians, bootstrap intervals
 *   perf_plot.c     the results as a picture
 *
 * Owns      the shapes of the runs and their results.
 * Relies on a server in a process of its own that serves both wires.
 * Not here  a verdict: it prints ratios and how far they can be trusted.
 */
#ifndef HOLDFAST_RTCP_PERF_H
#define HOLDFAST_RTCP_PERF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PERF_PAIRS_MAX 1024
#define PERF_SIZES_MAX 16
#define PERF_SIZE_MAX  (1u << 20)
#define PERF_HOST_MAX  48
#define PERF_ADDRESS   64
#define PERF_NAME      16 /* of a congestion control, as the kernel has them */

/* ------------------------------------------------------------------------------------------------ what is measured */

enum perf_test {
    PERF_RR,     /* a message and its echo, one after the other */
    PERF_STREAM, /* messages one way, and the server's word that it has them */
    PERF_CRR,    /* connect, a request, an answer of 8 KiB, close */
};

/* Who takes part in a round of runs. */
enum perf_wires {
    PERF_OURS,  /* robust TCP */
    PERF_TCP,   /* plain TCP */
    PERF_AGAIN, /* plain TCP once more: against the former it shows the noise */
    PERF_WIRES,
};

struct perf_options {
    enum perf_test test;
    const struct perf_face *face;
    uint32_t size[PERF_SIZES_MAX];
    size_t sizes;
    uint32_t ring;
    double seconds;
    unsigned pairs;
    unsigned port; /* of robust TCP; plain TCP has the next one */
    char host[PERF_HOST_MAX];
    bool is_server; /* only serve, until killed */
    bool is_client; /* only measure: somebody serves at host */
    bool takes_part[PERF_WIRES];
    bool at_once;
    bool coalesce;
    bool more; /* plain TCP with MSG_MORE: the kernel coalesces */
    bool paper;
    bool sendfile;
    uint32_t acks; /* in a ring; 0: the library's default */
    bool is_quiet;
    int pin[2];        /* processors of the server and of the client; -1: any */
    const char *admin; /* path, or NULL */
    const char *plot;  /* path, or NULL */
};

extern const char *const perf_test_names[3];

/* 0; 2 after a message on standard error. --help prints and ends the program. */
int perf_options_parse(struct perf_options *o, int argc, char **argv);

/* ------------------------------------------------------------------------------------------------ runs */

/* What the first bytes of a connection say: how the server should treat the rest. */
struct perf_order {
    uint8_t test;  /* enum perf_test */
    uint32_t size; /* bytes of a message */
};

#define PERF_ORDER_SIZE 8
#define PERF_ANSWER     8192u /* bytes that answer a request of CRR */
#define PERF_REQUEST    64u
#define PERF_RECEIPT    8u /* ends a stream: the bytes that the server counted after the order */

struct perf_run {
    enum perf_test test;
    uint32_t size;
    double seconds;
    /* results */
    uint64_t count;    /* messages or transactions */
    double took;       /* seconds measured */
    double cpu;        /* seconds of processor time, this process's and the server's */
    uint64_t *latency; /* nanoseconds of each transaction; grows */
    size_t latency_count, latency_room;
};

/* Keeps the time of a transaction; without memory there are fewer percentiles, the count stays right. */
void perf_run_keep(struct perf_run *r, uint64_t ns);

/* How the two programs use connections. */
struct perf_face {
    const char *name;
    /* Serves both wires at o->host, o->port and o->port + 1; calls ready once it listens. Returns only when it cannot.
     */
    void (*serve)(const struct perf_options *o, void (*ready)(void *user), void *user);
    /* One measured run at the address; 0 or a negative status. */
    int (*run)(const struct perf_options *o, bool is_tcp, const char *address, struct perf_run *run);
};

/* What the kernel's congestion control is on connections to a plain TCP server: the figures are its, too. "unknown"
 * where there is no connection. */
void perf_tcp_congestion(const char *address, char name[PERF_NAME]);

extern const struct perf_face perf_event;
extern const struct perf_face perf_blocking;

/* ------------------------------------------------------------------------------------------------ statistics */

struct perf_interval {
    double median, low, high; /* 95 % bootstrap interval of the median */
};

struct perf_interval perf_stats_interval(const double *values, size_t count);
void perf_stats_sort(uint64_t *values, size_t count);
/* Of sorted values; 0 when there are none. */
uint64_t perf_stats_percentile(const uint64_t *sorted, size_t count, double part);

/* ------------------------------------------------------------------------------------------------ plot */

/* The results of one size. */
struct perf_result {
    uint32_t size;
    struct perf_interval rate[PERF_WIRES]; /* messages a second */
    struct perf_interval ratio;            /* of rates, PERF_OURS : PERF_TCP */
    struct perf_interval noise;            /* PERF_AGAIN : PERF_TCP */
};

/* Writes an SVG; 0, or -1 and errno. */
int perf_plot_write(const struct perf_options *o, const struct perf_result *results, size_t count);

#endif
