/* The command line of rtcp-perf; see perf.h. */
#include "rtcp/base/bytes.h"
#include "rtcp/rtcp.h"
#include "rtcp/tools/perf.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const perf_test_names[3] = {"rr", "stream", "crr"};

static const char help[] =
    "usage: rtcp-perf --test rr|stream|crr [options]\n"
    "       rtcp-perf --serve HOST [options]\n"
    "       rtcp-perf --test rr|stream|crr --connect HOST [options]\n"
    "\n"
    "Measures robust TCP beside plain TCP of the same shape. Without --serve and --connect a child process serves on\n"
    "loopback. Runs take turns: robust TCP, plain TCP, and plain TCP again, whose ratio to the former is the noise of\n"
    "this machine at this moment. Standard output has one JSON line for each run, and a last one for each size with\n"
    "the medians over all rounds and their 95 % bootstrap intervals.\n"
    "\n"
    "What:\n"
    "  --test rr            a message and its echo, one after the other\n"
    "  --test stream        messages one way; ends with the server's word that it has them all\n"
    "  --test crr           connect, 64 bytes, an answer of 8 KiB, close\n"
    "  --size LIST          bytes of a message, 1 to 1M (k, M: times 1024): one, several with commas between, or\n"
    "                       A..B for steps of four (rr: 1, stream: 8k; not for crr)\n"
    "  --pairs N            rounds, 1 to 1024 (15)\n"
    "  --seconds S          of each run (1)\n"
    "  --against WHAT       tcp; more: plain TCP with MSG_MORE, where the kernel gathers small messages (stream); "
    "none:\n"
    "                       robust TCP alone (tcp)\n"
    "  --no-noise           without the second run of plain TCP\n"
    "  --noise              plain TCP against plain TCP only\n"
    "\n"
    "How:\n"
    "  --face FACE          event: a loop and callbacks on both sides; blocking: threads (event)\n"
    "  --ring N             bytes kept for resending, 4k to 1G (grows by itself)\n"
    "  --acks N             how often the peer acknowledges while a ring fills, 1 to 16 (4)\n"
    "  --at-once            every write leaves with its call, in long turns of the loop, too\n"
    "  --coalesce           small messages wait for more, 1 ms at most\n"
    "  --sendfile           large writes go by sendfile from the ring's pages\n"
    "  --paper              the paper's buffer: 16 KiB, acknowledged each 8 KiB\n"
    "  --pin CPU,CPU        the server on the first processor, the client on the second\n"
    "  --port N             TCP and UDP ports N and N+1 (7800)\n"
    "  --serve HOST         only serve, at this IPv4 address, until killed; same --face and --ring as the client\n"
    "  --connect HOST       only measure against such a server, at this IPv4 address; processor time is then this\n"
    "                       side's only\n"
    "  --admin PATH         show the streams of this side at a local socket, for rtcp-ss (face event)\n"
    "\n"
    "Output:\n"
    "  --plot FILE          draw rates and ratios over the sizes, with their intervals, as SVG\n"
    "  --quiet              only the last line of each size\n"
    "  --help               this text\n"
    "\n"
    "Fields of a run: wire (rtcp, tcp, tcp-again), count of messages or transactions, seconds, per_second,\n"
    "mb_per_second (1e6 bytes), cpu_us_per_message and cpu_seconds_per_gib (both processes, system time included),\n"
    "and but for stream p50_us p90_us p99_us p999_us max_us. Fields of a last line: ratio of rates with ratio_low and\n"
    "ratio_high (above 1: robust TCP is faster), noise_low and noise_high, cpu_ratio with its interval (above 1: "
    "robust\n"
    "TCP costs more), the medians of both, and congestion, the kernel's algorithm for the connections.\n"
    "\n"
    "Exit status: 0 measured; 1 a run failed; 2 a wrong command line.\n";

enum option_code {
    OPTION_TEST = 1,
    OPTION_SIZE,
    OPTION_PAIRS,
    OPTION_SECONDS,
    OPTION_AGAINST,
    OPTION_NO_NOISE,
    OPTION_NOISE,
    OPTION_FACE,
    OPTION_RING,
    OPTION_ACKS,
    OPTION_PAPER,
    OPTION_SENDFILE,
    OPTION_AT_ONCE,
    OPTION_COALESCE,
    OPTION_PIN,
    OPTION_PORT,
    OPTION_SERVE,
    OPTION_CONNECT,
    OPTION_ADMIN,
    OPTION_PLOT,
    OPTION_QUIET,
    OPTION_HELP,
};

static const struct option list[] = {
    {"test", required_argument, NULL, OPTION_TEST},
    {"size", required_argument, NULL, OPTION_SIZE},
    {"pairs", required_argument, NULL, OPTION_PAIRS},
    {"seconds", required_argument, NULL, OPTION_SECONDS},
    {"against", required_argument, NULL, OPTION_AGAINST},
    {"no-noise", no_argument, NULL, OPTION_NO_NOISE},
    {"noise", no_argument, NULL, OPTION_NOISE},
    {"face", required_argument, NULL, OPTION_FACE},
    {"ring", required_argument, NULL, OPTION_RING},
    {"acks", required_argument, NULL, OPTION_ACKS},
    {"paper", no_argument, NULL, OPTION_PAPER},
    {"sendfile", no_argument, NULL, OPTION_SENDFILE},
    {"at-once", no_argument, NULL, OPTION_AT_ONCE},
    {"coalesce", no_argument, NULL, OPTION_COALESCE},
    {"pin", required_argument, NULL, OPTION_PIN},
    {"port", required_argument, NULL, OPTION_PORT},
    {"serve", required_argument, NULL, OPTION_SERVE},
    {"connect", required_argument, NULL, OPTION_CONNECT},
    {"admin", required_argument, NULL, OPTION_ADMIN},
    {"plot", required_argument, NULL, OPTION_PLOT},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static const struct perf_face *const faces[] = {&perf_event, &perf_blocking};

static int usage(const char *why, const char *what)
{
    fprintf(stderr, "rtcp-perf: %s: %s (try --help)\n", why, what);
    return 2;
}

/* ------------------------------------------------------------------------------------------------ values */

/* Reads digits with an optional k, M or G from the beginning of a text. */
static bool read_size(const char *text, const char **ret_end, double *ret)
{
    char *end;
    double scale;

    *ret = (double)strtoull(text, &end, 10); /* no strtod: 1..4 has no fractions */
    scale = *end == 'k' ? 1024. : *end == 'M' ? 1048576. : *end == 'G' ? 1073741824. : 1.;
    *ret_end = scale > 1. ? end + 1 : end;
    *ret *= scale;
    return end != text && text[0] != '-';
}

static int number(const char *text, double least, double most, double *ret)
{
    const char *end;
    double value;

    if (!read_size(text, &end, &value) || *end != '\0' || !(value >= least && value <= most)) {
        return usage("out of range", text);
    }
    *ret = value;
    return 0;
}

static int add_size(struct perf_options *o, double value, const char *text)
{
    if (!(value >= 1. && value <= PERF_SIZE_MAX) || o->sizes == PERF_SIZES_MAX) {
        return usage("not sizes of 1 to 1M, or too many", text);
    }
    o->size[o->sizes++] = (uint32_t)value;
    return 0;
}

/* 1,1k,64k or 1..1M */
static int take_sizes(struct perf_options *o, const char *text)
{
    const char *at = text;
    double value, upto;

    o->sizes = 0;
    do {
        at += o->sizes > 0 ? 1 : 0;
        if (!read_size(at, &at, &value)) {
            return usage("not a list of sizes", text);
        }
        if (add_size(o, value, text) != 0) {
            return 2;
        }
    } while (*at == ',');
    if (o->sizes == 1 && strncmp(at, "..", 2) == 0) {
        if (!read_size(at + 2, &at, &upto) || upto < value) {
            return usage("not a list of sizes", text);
        }
        for (value *= 4.; value <= upto; value *= 4.) {
            if (add_size(o, value, text) != 0) {
                return 2;
            }
        }
    }
    return *at == '\0' ? 0 : usage("not a list of sizes", text);
}

static int take_test(struct perf_options *o, const char *text)
{
    for (unsigned i = 0; i < 3; i++) {
        if (strcmp(perf_test_names[i], text) == 0) {
            o->test = (enum perf_test)i;
            return 0;
        }
    }
    return usage("no such test", text);
}

static int take_face(struct perf_options *o, const char *text)
{
    for (size_t i = 0; i < sizeof faces / sizeof faces[0]; i++) {
        if (strcmp(faces[i]->name, text) == 0) {
            o->face = faces[i];
            return 0;
        }
    }
    return usage("no such face here", text);
}

static int take_host(struct perf_options *o, const char *text)
{
    size_t size = strlen(text);
    struct in_addr address;

    if (size >= sizeof o->host || inet_pton(AF_INET, text, &address) != 1) {
        return usage("not an IPv4 address", text);
    }
    base_copy(o->host, text, size + 1);
    return 0;
}

static int take_pin(struct perf_options *o, const char *text)
{
    char *end;
    long first = strtol(text, &end, 10);
    long second = *end == ',' ? strtol(end + 1, &end, 10) : -1;

    if (*end != '\0' || first < 0 || second < 0 || first > 1023 || second > 1023) {
        return usage("not two processors with a comma between", text);
    }
    o->pin[0] = (int)first;
    o->pin[1] = (int)second;
    return 0;
}

static int take_against(struct perf_options *o, const char *text)
{
    if (strcmp(text, "tcp") != 0 && strcmp(text, "more") != 0 && strcmp(text, "none") != 0) {
        return usage("not tcp, more or none", text);
    }
    o->more = text[0] == 'm';
    o->takes_part[PERF_TCP] = text[0] != 'n';
    o->takes_part[PERF_AGAIN] = o->takes_part[PERF_AGAIN] && text[0] != 'n';
    return 0;
}

/* ------------------------------------------------------------------------------------------------ options */

static int take_flag(struct perf_options *o, int option)
{
    switch (option) {
    case OPTION_NO_NOISE:
        o->takes_part[PERF_AGAIN] = false;
        return 0;
    case OPTION_NOISE:
        o->takes_part[PERF_OURS] = false;
        return 0;
    case OPTION_PAPER:
        o->paper = true;
        return 0;
    case OPTION_SENDFILE:
        o->sendfile = true;
        return 0;
    case OPTION_AT_ONCE:
        o->at_once = true;
        return 0;
    case OPTION_COALESCE:
        o->coalesce = true;
        return 0;
    case OPTION_QUIET:
        o->is_quiet = true;
        return 0;
    case OPTION_HELP:
        fputs(help, stdout);
        exit(fflush(stdout) == 0 ? 0 : 1);
    }
    return 2; /* getopt has said what is wrong */
}

static int take_number(struct perf_options *o, int option, const char *text)
{
    double value = 0.;
    int status;

    if (option == OPTION_SECONDS) {
        char *end;

        o->seconds = strtod(text, &end);
        return *end == '\0' && o->seconds >= 0.01 && o->seconds <= 3600. ? 0 : usage("out of range", text);
    }
    if (option == OPTION_RING) {
        status = number(text, RTCP_RING_MIN, RTCP_RING_MAX, &value);
        o->ring = (uint32_t)value;
    } else if (option == OPTION_ACKS) {
        status = number(text, 1., 16., &value);
        o->acks = (uint32_t)value;
    } else if (option == OPTION_PAIRS) {
        status = number(text, 1., PERF_PAIRS_MAX, &value);
        o->pairs = (unsigned)value;
    } else {
        status = number(text, 1., 65534., &value);
        o->port = (unsigned)value;
    }
    return status;
}

static int take(struct perf_options *o, int option, const char *text, bool *has_test)
{
    switch (option) {
    case OPTION_TEST:
        *has_test = true;
        return take_test(o, text);
    case OPTION_SIZE:
        return take_sizes(o, text);
    case OPTION_PAIRS:
    case OPTION_SECONDS:
    case OPTION_RING:
    case OPTION_ACKS:
    case OPTION_PORT:
        return take_number(o, option, text);
    case OPTION_AGAINST:
        return take_against(o, text);
    case OPTION_FACE:
        return take_face(o, text);
    case OPTION_PIN:
        return take_pin(o, text);
    case OPTION_SERVE:
    case OPTION_CONNECT:
        o->is_server = o->is_server || option == OPTION_SERVE;
        o->is_client = o->is_client || option == OPTION_CONNECT;
        return take_host(o, text);
    case OPTION_ADMIN:
        o->admin = text;
        return 0;
    case OPTION_PLOT:
        o->plot = text;
        return 0;
    }
    return take_flag(o, option);
}

static int check(struct perf_options *o, bool has_test)
{
    if (o->is_server && o->is_client) {
        return usage("contradict each other", "--serve, --connect");
    }
    if (!has_test && !o->is_server) {
        return usage("missing", "--test");
    }
    if (o->test == PERF_CRR && o->sizes > 0) {
        return usage("has sizes of its own", "--test crr");
    }
    if (o->more && o->test != PERF_STREAM) {
        return usage("only with --test stream", "--against more");
    }
    if (o->admin != NULL && o->face != &perf_event) {
        return usage("only with --face event", "--admin");
    }
    if (!o->takes_part[PERF_OURS] && !o->takes_part[PERF_AGAIN]) {
        return usage("nothing to measure", "--noise without noise");
    }
    if (o->sizes == 0) {
        o->size[0] = o->test == PERF_STREAM ? 8192 : 1;
        o->sizes = 1;
    }
    return 0;
}

int perf_options_parse(struct perf_options *o, int argc, char **argv)
{
    bool has_test = false;
    int option;

    *o = (struct perf_options){.face = &perf_event,
                               .seconds = 1.,
                               .pairs = 15,
                               .port = 7800,
                               .host = "127.0.0.1",
                               .takes_part = {true, true, true},
                               .pin = {-1, -1}};
    while ((option = getopt_long(argc, argv, "", list, NULL)) != -1) {
        int status = take(o, option, optarg, &has_test);

        if (status != 0) {
            return status;
        }
    }
    if (optind < argc) {
        return usage("an argument too many", argv[optind]);
    }
    return check(o, has_test);
}
