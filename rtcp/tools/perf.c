/* rtcp-perf: see perf.h. A child process serves both wires; this process measures, in interleaved rounds. */
#include "rtcp/tools/perf.h"

#include "rtcp/base/bytes.h"
#include "rtcp/base/status.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *const wire_names[PERF_WIRES] = {"rtcp", "tcp", "tcp-again"};

/* What the rounds of one size gave. */
struct rounds {
    double rate[PERF_WIRES][PERF_PAIRS_MAX];
    double cpu[PERF_WIRES][PERF_PAIRS_MAX]; /* seconds for a message */
};

/* ------------------------------------------------------------------------------------------------ processes */

static void pin(int processor)
{
    cpu_set_t set;

    if (processor < 0) {
        return;
    }
    CPU_ZERO(&set);
    CPU_SET((size_t)processor, &set);
    if (sched_setaffinity(0, sizeof set, &set) < 0) {
        fprintf(stderr, "rtcp-perf: processor %d: %s\n", processor, strerror(errno));
        _exit(1);
    }
}

static void tell_parent(void *user)
{
    if (write(*(int *)user, "x", 1) != 1) {
        _exit(1);
    }
}

static void tell_nobody(void *user)
{
    (void)user;
}

/* Starts the server; returns when it listens. -1: it said why not. */
static pid_t start_server(const struct perf_options *o)
{
    int ready[2];
    char byte;
    pid_t child;

    if (pipe(ready) < 0) {
        return -1;
    }
    child = fork();
    if (child == 0) {
        struct perf_options own = *o;

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with us */
        close(ready[0]);
        pin(o->pin[0]);
        own.admin = NULL; /* one path is one process's */
        o->face->serve(&own, tell_parent, &ready[1]);
        _exit(1);
    }
    close(ready[1]);
    if (child > 0 && read(ready[0], &byte, 1) != 1) {
        (void)waitpid(child, NULL, 0);
        child = -1;
    }
    close(ready[0]);
    return child;
}

/* Seconds of processor time that both processes have used. */
static double cpu_now(pid_t server)
{
    struct timespec t = {0};
    double seconds;
    clockid_t clock;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    seconds = (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    if (server > 0 && clock_getcpuclockid(server, &clock) == 0 && clock_gettime(clock, &t) == 0) {
        seconds += (double)t.tv_sec + (double)t.tv_nsec / 1e9;
    }
    return seconds;
}

/* ------------------------------------------------------------------------------------------------ runs */

static int measure(const struct perf_options *o, pid_t server, unsigned wire, uint32_t size, struct perf_run *run)
{
    char address[PERF_ADDRESS];
    double cpu = cpu_now(server);
    int status;

    *run = (struct perf_run){.test = o->test, .size = size, .seconds = o->seconds};
    (void)snprintf(address, sizeof address, "%s:%u", o->host, o->port + (wire == PERF_OURS ? 0u : 1u));
    status = o->face->run(o, wire != PERF_OURS, address, run);
    run->cpu = cpu_now(server) - cpu;
    return status;
}

/* Bytes that one message or transaction moves. */
static double bytes_of(const struct perf_run *run)
{
    return run->test == PERF_CRR ? PERF_REQUEST + PERF_ANSWER : run->test == PERF_RR ? 2. * run->size : run->size;
}

static void print_latency(struct perf_run *run)
{
    static const struct {
        const char *name;
        double part;
    } rows[] = {{"p50_us", 0.5}, {"p90_us", 0.9}, {"p99_us", 0.99}, {"p999_us", 0.999}, {"max_us", 1.}};

    perf_stats_sort(run->latency, run->latency_count);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        printf(",\"%s\":%.1f", rows[i].name,
               (double)perf_stats_percentile(run->latency, run->latency_count, rows[i].part) / 1e3);
    }
}

static void print_run(const struct perf_options *o, unsigned wire, unsigned pair, struct perf_run *run)
{
    double rate = run->took > 0. ? (double)run->count / run->took : 0.;
    double each = run->count > 0 ? run->cpu / (double)run->count : 0.;

    if (o->is_quiet) {
        return;
    }
    printf("{\"test\":\"%s\",\"face\":\"%s\",\"wire\":\"%s\",\"pair\":%u,\"size\":%u,\"count\":%llu,\"seconds\":%.4f,"
           "\"per_second\":%.1f,\"mb_per_second\":%.1f,\"cpu_us_per_message\":%.4f,\"cpu_seconds_per_gib\":%.4f",
           perf_test_names[o->test], o->face->name, wire_names[wire], pair, run->size, (unsigned long long)run->count,
           run->took, rate, rate * bytes_of(run) / 1e6, each * 1e6, each / bytes_of(run) * 1073741824.);
    if (o->test != PERF_STREAM) {
        print_latency(run);
    }
    printf("}\n");
    (void)fflush(stdout);
}

static int measure_round(const struct perf_options *o, pid_t server, uint32_t size, unsigned pair, struct rounds *r)
{
    for (unsigned k = 0; k < PERF_WIRES; k++) {
        unsigned wire = (pair + k) % PERF_WIRES; /* who goes first changes from round to round */
        struct perf_run run;
        int status;

        if (!o->takes_part[wire]) {
            continue;
        }
        status = measure(o, server, wire, size, &run);
        if (status == 0 && run.count > 0 && run.took > 0.) {
            r->rate[wire][pair] = (double)run.count / run.took;
            r->cpu[wire][pair] = run.cpu / (double)run.count;
            print_run(o, wire, pair, &run);
        } else {
            fprintf(stderr, "rtcp-perf: a run over %s failed: %s\n", wire_names[wire],
                    status == BASE_E_SYSTEM ? strerror(errno)
                    : status < 0            ? base_status_text(status)
                                            : "nothing came through");
            status = -1;
        }
        free(run.latency);
        if (status < 0) {
            return -1;
        }
    }
    return 0;
}

/* ------------------------------------------------------------------------------------------------ results */

static struct perf_interval ratio_of(const struct perf_options *o, const double *above, const double *below)
{
    double ratio[PERF_PAIRS_MAX];

    for (unsigned i = 0; i < o->pairs; i++) {
        ratio[i] = below[i] > 0. ? above[i] / below[i] : 0.;
    }
    return perf_stats_interval(ratio, o->pairs);
}

static void print_interval(const char *name, struct perf_interval i)
{
    printf(",\"%s\":%.4f,\"%s_low\":%.4f,\"%s_high\":%.4f", name, i.median, name, i.low, name, i.high);
}

static void print_wire(const struct perf_options *o, const struct rounds *r, unsigned wire, uint32_t size)
{
    struct perf_run shape = {.test = o->test, .size = size};
    double each = perf_stats_interval(r->cpu[wire], o->pairs).median;

    if (o->takes_part[wire]) {
        printf(",\"%s_per_second\":%.1f,\"%s_cpu_us_per_message\":%.4f,\"%s_cpu_seconds_per_gib\":%.4f",
               wire_names[wire], perf_stats_interval(r->rate[wire], o->pairs).median, wire_names[wire], each * 1e6,
               wire_names[wire], each / bytes_of(&shape) * 1073741824.);
    }
}

/* The algorithm may be the route's: only a connection knows. */
static void print_congestion(const struct perf_options *o)
{
    char address[PERF_ADDRESS];
    char name[PERF_NAME];

    (void)snprintf(address, sizeof address, "%s:%u", o->host, o->port + 1);
    perf_tcp_congestion(address, name);
    printf(",\"congestion\":\"%s\"", name);
}

/* The last line of a size. `ratio` is of robust to plain TCP, but with --noise of plain TCP to itself. */
static void print_result(const struct perf_options *o, const struct rounds *r, const struct perf_result *result)
{
    const bool *part = o->takes_part;

    printf("{\"test\":\"%s\",\"face\":\"%s\",\"of\":\"%s\",\"against\":\"%s\",\"size\":%u,\"ring\":%u,\"paper\":%s,"
           "\"sendfile\":%s,\"at_once\":%s,\"coalesce\":%s,\"pairs\":%u",
           perf_test_names[o->test], o->face->name, part[PERF_OURS] ? "rtcp" : "tcp",
           !part[PERF_TCP] ? "none"
           : o->more       ? "tcp with MSG_MORE"
                           : "tcp",
           result->size, o->ring, o->paper ? "true" : "false", o->sendfile ? "true" : "false",
           o->at_once ? "true" : "false", o->coalesce ? "true" : "false", o->pairs);
    print_congestion(o);
    if (part[PERF_TCP]) {
        print_interval("ratio", part[PERF_OURS] ? result->ratio : result->noise);
        print_interval("cpu_ratio", ratio_of(o, r->cpu[part[PERF_OURS] ? PERF_OURS : PERF_AGAIN], r->cpu[PERF_TCP]));
        if (part[PERF_AGAIN]) {
            print_interval("noise", result->noise);
        }
    }
    print_wire(o, r, PERF_OURS, result->size);
    print_wire(o, r, PERF_TCP, result->size);
    printf("}\n");
    (void)fflush(stdout);
}

static int measure_size(const struct perf_options *o, pid_t server, struct perf_result *result)
{
    static struct rounds r;

    base_zero(&r, sizeof r);
    for (unsigned i = 0; i < o->pairs; i++) {
        if (measure_round(o, server, result->size, i, &r) < 0) {
            return -1;
        }
    }
    for (unsigned wire = 0; wire < PERF_WIRES; wire++) {
        result->rate[wire] = perf_stats_interval(r.rate[wire], o->pairs);
    }
    result->ratio = ratio_of(o, r.rate[PERF_OURS], r.rate[PERF_TCP]);
    result->noise = ratio_of(o, r.rate[PERF_AGAIN], r.rate[PERF_TCP]);
    print_result(o, &r, result);
    return 0;
}

static int measure_all(const struct perf_options *o, pid_t server)
{
    struct perf_result results[PERF_SIZES_MAX] = {0};

    for (size_t i = 0; i < o->sizes; i++) {
        results[i].size = o->size[i];
        if (measure_size(o, server, &results[i]) < 0) {
            return 1;
        }
    }
    if (o->plot != NULL && perf_plot_write(o, results, o->sizes) < 0) {
        fprintf(stderr, "rtcp-perf: %s: %s\n", o->plot, strerror(errno));
        return 1;
    }
    return 0;
}

/* Better said now than after an hour of measuring. */
static bool may_write(const char *path)
{
    FILE *file = fopen(path, "ae");

    if (file == NULL) {
        fprintf(stderr, "rtcp-perf: %s: %s\n", path, strerror(errno));
        return false;
    }
    return fclose(file) == 0;
}

int main(int argc, char **argv)
{
    struct perf_options o;
    int status = perf_options_parse(&o, argc, argv);
    pid_t server = 0;

    if (status != 0) {
        return status;
    }
    if (o.plot != NULL && !may_write(o.plot)) {
        return 1;
    }
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    if (o.is_server) {
        pin(o.pin[0]);
        o.face->serve(&o, tell_nobody, NULL);
        return 1;
    }
    if (!o.is_client) {
        server = start_server(&o);
        if (server < 0) {
            return 1;
        }
    }
    pin(o.pin[1]);
    status = measure_all(&o, server);
    if (server > 0) {
        kill(server, SIGKILL);
        waitpid(server, NULL, 0);
    }
    return status;
}
