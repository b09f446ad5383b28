/* rtcp-perf: see perf.h. A child process serves both wires on loopback; this process measures, in interleaved pairs.
 */
#include "rtcp/tools/perf.h"

#include "rtcp/base/bytes.h"
#include "rtcp/base/status.h"

#include <errno.h>
#include <ev.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAIRS_MAX 1024

struct options {
    enum perf_test test;
    uint32_t size;
    uint32_t ring;
    double seconds;
    unsigned pairs;
    unsigned port;
    bool is_noise; /* plain TCP against plain TCP */
    bool is_quiet;
};

static const char help[] = "usage: rtcp-perf --test rr|stream|crr [options]\n"
                           "\n"
                           "Measures robust TCP against plain TCP of the same shape on loopback: a child process "
                           "serves, this one measures, in\n"
                           "interleaved pairs. One JSON line for each run, and a last one with the median ratio and "
                           "its 95 % bootstrap interval\n"
                           "(above 1: robust TCP is faster).\n"
                           "\n"
                           "  --test rr       a message and its echo, one after the other\n"
                           "  --test stream   messages one way\n"
                           "  --test crr      connect, 64 bytes, an answer of 8 KiB, close\n"
                           "  --size N        bytes of a message, 1 to 1048576 (rr: 1, stream: 8192)\n"
                           "  --pairs N       pairs of runs, 1 to 1024 (15)\n"
                           "  --seconds S     of each run (1)\n"
                           "  --ring N        bytes kept for resending (1048576)\n"
                           "  --port N        TCP ports N and N+1 of 127.0.0.1 are used (7800)\n"
                           "  --noise         plain TCP against plain TCP: what the machine's noise looks like\n"
                           "  --quiet         only the last line\n"
                           "  --help          this text\n"
                           "\n"
                           "Exit status: 0 measured; 1 a run failed; 2 a wrong command line.\n";

static const char *const test_names[] = {"rr", "stream", "crr"};

/* ------------------------------------------------------------------------------------------------ the server */

static pid_t start_server(const struct options *o, int *ret_ready)
{
    int ready[2];
    pid_t child;

    if (pipe(ready) < 0) {
        return -1;
    }
    child = fork();
    if (child == 0) {
        const struct perf_wire *wires[2] = {&perf_rtcp, &perf_tcp};
        struct ev_loop *loop = ev_default_loop(0);
        char address[32];

        prctl(PR_SET_PDEATHSIG, SIGKILL); /* it ends with us */
        for (unsigned i = 0; i < 2; i++) {
            void *context = wires[i]->open(loop, o->ring);

            snprintf(address, sizeof address, "127.0.0.1:%u", o->port + i);
            if (context == NULL ||
                wires[i]->listen(context, address, perf_server_accept, (void *)(uintptr_t)wires[i]) < 0) {
                fprintf(stderr, "rtcp-perf: cannot listen at %s: %s\n", address, strerror(errno));
                _exit(1);
            }
        }
        if (write(ready[1], "x", 1) != 1) {
            _exit(1);
        }
        ev_run(loop, 0);
        _exit(0);
    }
    close(ready[1]);
    *ret_ready = ready[0];
    return child;
}

/* ------------------------------------------------------------------------------------------------ runs */

static int measure(const struct options *o, const struct perf_wire *wire, unsigned port, struct perf_run *run)
{
    struct ev_loop *loop = ev_default_loop(0);
    void *context = wire->open(loop, o->ring);
    char address[32];
    int status;

    *run = (struct perf_run){.test = o->test, .size = o->size, .seconds = o->seconds};
    if (context == NULL) {
        return BASE_E_NOMEM;
    }
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    status = perf_client_run(loop, wire, context, address, run);
    wire->close(context);
    return status;
}

static double rate_of(const struct perf_run *run)
{
    return run->took > 0. ? (double)run->count / run->took : 0.;
}

static void print_run(const struct options *o, const char *wire, unsigned pair, struct perf_run *run)
{
    if (o->is_quiet) {
        return;
    }
    printf(
        "{\"test\":\"%s\",\"wire\":\"%s\",\"pair\":%u,\"size\":%u,\"count\":%llu,\"seconds\":%.4f,\"per_second\":%.1f",
        test_names[o->test], wire, pair, o->size, (unsigned long long)run->count, run->took, rate_of(run));
    if (o->test == PERF_STREAM) {
        printf(",\"mb_per_second\":%.1f", rate_of(run) * o->size / 1e6);
    } else {
        printf(",\"p50_us\":%.1f", (double)perf_percentile(run->latency, run->latency_count, 0.5) / 1e3);
        printf(",\"p99_us\":%.1f", (double)perf_percentile(run->latency, run->latency_count, 0.99) / 1e3);
        printf(",\"p999_us\":%.1f", (double)perf_percentile(run->latency, run->latency_count, 0.999) / 1e3);
    }
    printf("}\n");
    fflush(stdout);
}

static int measure_pair(const struct options *o, unsigned pair, double *ret_ratio)
{
    const struct perf_wire *wires[2] = {o->is_noise ? &perf_tcp : &perf_rtcp, &perf_tcp};
    unsigned ports[2] = {o->is_noise ? o->port + 1 : o->port, o->port + 1};
    double rate[2];

    for (unsigned k = 0; k < 2; k++) {
        unsigned i = (pair + k) % 2; /* who goes first changes from pair to pair */
        struct perf_run run;
        int status = measure(o, wires[i], ports[i], &run);

        if (status < 0) {
            fprintf(stderr, "rtcp-perf: a run over %s failed: %s\n", wires[i]->name, base_status_text(status));
            free(run.latency);
            return status;
        }
        rate[i] = rate_of(&run);
        print_run(o, i == 0 && o->is_noise ? "tcp-again" : wires[i]->name, pair, &run);
        free(run.latency);
    }
    *ret_ratio = rate[1] > 0. ? rate[0] / rate[1] : 0.;
    return 0;
}

static int measure_all(const struct options *o)
{
    static double ratio[PAIRS_MAX];
    static double sorted[PAIRS_MAX];
    double interval[2];

    for (unsigned i = 0; i < o->pairs; i++) {
        if (measure_pair(o, i, &ratio[i]) < 0) {
            return 1;
        }
    }
    base_copy(sorted, ratio, sizeof sorted);
    perf_interval(ratio, o->pairs, interval);
    printf("{\"test\":\"%s\",\"against\":\"tcp\",\"of\":\"%s\",\"size\":%u,\"ring\":%u,\"pairs\":%u,\"ratio\":%.4f,"
           "\"ratio_low\":%.4f,\"ratio_high\":%.4f}\n",
           test_names[o->test], o->is_noise ? "tcp" : "rtcp", o->size, o->ring, o->pairs, perf_median(sorted, o->pairs),
           interval[0], interval[1]);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ command line */

static int usage(const char *why, const char *what)
{
    fprintf(stderr, "rtcp-perf: %s: %s (try --help)\n", why, what);
    return 2;
}

static bool number(const char *text, double least, double most, double *ret)
{
    char *end;

    *ret = strtod(text, &end);
    return *end == '\0' && end != text && *ret >= least && *ret <= most;
}

static int parse_test(struct options *o, const char *text)
{
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(test_names[i], text) == 0) {
            o->test = (enum perf_test)i;
            o->size = o->size != 0 ? o->size : i == PERF_STREAM ? 8192 : 1;
            return 0;
        }
    }
    return usage("no such test", text);
}

static int parse(struct options *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"test", required_argument, NULL, 't'},  {"size", required_argument, NULL, 's'},
        {"pairs", required_argument, NULL, 'p'}, {"seconds", required_argument, NULL, 'S'},
        {"ring", required_argument, NULL, 'r'},  {"port", required_argument, NULL, 'P'},
        {"noise", no_argument, NULL, 'n'},       {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},        {NULL, 0, NULL, 0},
    };
    const char *test = NULL;
    double value = 0.;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        bool is_fine = true;

        if (c == 't') {
            test = optarg;
        } else if (c == 's') {
            is_fine = number(optarg, 1, 1 << 20, &value);
            o->size = (uint32_t)value;
        } else if (c == 'p') {
            is_fine = number(optarg, 1, PAIRS_MAX, &value);
            o->pairs = (unsigned)value;
        } else if (c == 'S') {
            is_fine = number(optarg, 0.01, 3600, &o->seconds);
        } else if (c == 'r') {
            is_fine = number(optarg, 4096, 1 << 30, &value);
            o->ring = (uint32_t)value;
        } else if (c == 'P') {
            is_fine = number(optarg, 1, 65534, &value);
            o->port = (unsigned)value;
        } else if (c == 'n') {
            o->is_noise = true;
        } else if (c == 'q') {
            o->is_quiet = true;
        } else if (c == 'h') {
            fputs(help, stdout);
            exit(0);
        } else {
            return 2;
        }
        if (!is_fine) {
            return usage("out of range", optarg);
        }
    }
    if (optind < argc) {
        return usage("an argument too many", argv[optind]);
    }
    return test == NULL ? usage("missing", "--test") : parse_test(o, test);
}

int main(int argc, char **argv)
{
    struct options o = {.ring = 1 << 20, .seconds = 1., .pairs = 15, .port = 7800};
    int status = parse(&o, argc, argv);
    char byte;
    int ready;
    pid_t server;

    if (status != 0) {
        return status;
    }
    server = start_server(&o, &ready);
    if (server < 0 || read(ready, &byte, 1) != 1) {
        return 1;
    }
    status = measure_all(&o);
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    return status;
}
