/* The command line of transfer; see transfer_options.h. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "examples/transfer_options.h"
#include "rtcp/rtcp.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: transfer serve ADDRESS [FILE] [options]\n"
    "       transfer send  ADDRESS [FILE] [options]\n"
    "\n"
    "Two processes exchange files over one robust TCP stream, both directions at once. `serve` waits at ADDRESS for\n"
    "the other, `send` connects to it; after that they are equal: each sends FILE (or nothing) and takes what comes.\n"
    "The stream survives any cut of the network; every byte arrives once and in order.\n"
    "\n"
    "  ADDRESS              host:port, [ipv6]:port, :port\n"
    "  FILE                 what to send\n"
    "  --out FILE           write what arrives to FILE (else it is only counted and hashed)\n"
    "  --generate N         send N made-up bytes instead of a file (k, M, G: times 1024)\n"
    "  --rate N             send at most N bytes a second (k, M, G)\n"
    "  --read-rate N        read at most N bytes a second (k, M, G)\n"
    "  --ring N             bytes kept for resending (k, M, G; default 1M)\n"
    "  --service NAME       name of the service: served, or expected\n"
    "  --key-file FILE      pre-shared key: the 16 to 64 bytes of FILE (else of the variable HOLDFAST_KEY, if set)\n"
    "  --admin PATH         show the streams at a local socket, for rtcp-ss\n"
    "  --idle-probe S       ask an idle peer for a sign of life every S seconds (default 15)\n"
    "  --retry              send: wait for a server that is not there yet\n"
    "  --hold               do not end the own direction: stay until the peer ends the stream\n"
    "  --keep               serve: serve any number of streams, until SIGTERM\n"
    "  --watch              progress as events on stdout, five times a second\n"
    "  --quiet              no progress on stderr\n"
    "  --help               this text\n"
    "\n"
    "stdout has one JSON object per line: listening, accepted, link, connection, evidence, data (the first bytes after "
    "a pause of\n"
    "50 ms), end, progress, done. at_ns is the monotonic clock. `done` has the totals, the SHA-256 of both "
    "directions,\n"
    "connections used, bytes written again, breaks (in_flight: with unacknowledged bytes; resent: bytes were lost "
    "with\n"
    "the connection and written again) and the longest pause without a byte.\n"
    "\n"
    "Exit status: 0 when everything was sent and acknowledged, everything of the peer was read, and both closed;\n"
    "1 when the stream ended in another way; 2 for a wrong command line.\n";

/* A number with an optional k, M or G; false when it is not one. */
static bool parse_size(const char *text, uint64_t *ret_value)
{
    char *end = NULL;
    errno = 0;
    unsigned long long v = strtoull(text, &end, 10);
    unsigned shift = *end == 'k' ? 10u : *end == 'M' ? 20u : *end == 'G' ? 30u : 0u;
    if (errno != 0 || end == text || text[0] == '-' || end[shift > 0] != 0 || v > (UINT64_MAX >> shift)) {
        fprintf(stderr, "transfer: not a size: %s\n", text);
        return false;
    }
    *ret_value = (uint64_t)v << shift;
    return true;
}

static bool parse_ring(const char *text, struct transfer_settings *s)
{
    uint64_t v = 0;
    if (!parse_size(text, &v)) {
        return false;
    }
    if (v < RTCP_RING_MIN || v > RTCP_RING_MAX) {
        fprintf(stderr, "transfer: the ring is out of range: %s\n", text);
        return false;
    }
    s->ring = (uint32_t)v;
    return true;
}

static bool parse_seconds(const char *text, double *ret_value)
{
    char *end = NULL;
    double v = strtod(text, &end);
    if (end == text || *end != 0 || !(v > 0.0) || v > 1e9) {
        fprintf(stderr, "transfer: not a number of seconds: %s\n", text);
        return false;
    }
    *ret_value = v;
    return true;
}

static const struct option options[] = {
    {"out", required_argument, NULL, 'o'},
    {"generate", required_argument, NULL, 'g'},
    {"rate", required_argument, NULL, 'r'},
    {"read-rate", required_argument, NULL, 'R'},
    {"ring", required_argument, NULL, 'b'},
    {"service", required_argument, NULL, 's'},
    {"key-file", required_argument, NULL, 'k'},
    {"admin", required_argument, NULL, 'a'},
    {"idle-probe", required_argument, NULL, 'i'},
    {"retry", no_argument, NULL, 't'},
    {"hold", no_argument, NULL, 'H'},
    {"keep", no_argument, NULL, 'K'},
    {"watch", no_argument, NULL, 'w'},
    {"quiet", no_argument, NULL, 'q'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static void take_flag(int flag, struct transfer_settings *s)
{
    s->retry = s->retry || flag == 't';
    s->hold = s->hold || flag == 'H';
    s->keep = s->keep || flag == 'K';
    s->watch = s->watch || flag == 'w';
    s->is_quiet = s->is_quiet || flag == 'q';
}

static bool take_option(int option, const char *text, struct transfer_settings *s)
{
    switch (option) {
    case 'o':
        s->out = text;
        return true;
    case 'g':
        return parse_size(text, &s->generate);
    case 'r':
        return parse_size(text, &s->rate);
    case 'R':
        return parse_size(text, &s->read_rate);
    case 'b':
        return parse_ring(text, s);
    case 's':
        s->service = text;
        return true;
    case 'k':
        s->key = text;
        return true;
    case 'a':
        s->admin = text;
        return true;
    case 'i':
        return parse_seconds(text, &s->idle_probe);
    case '?':
        return false;
    }
    take_flag(option, s);
    return true;
}

bool transfer_parse(int argc, char **argv, struct transfer_settings *s)
{
    int option = getopt_long(argc, argv, "", options, NULL);
    for (; option != -1; option = getopt_long(argc, argv, "", options, NULL)) {
        if (option == 'h') {
            (void)fputs(help, stdout);
            exit(0);
        }
        if (!take_option(option, optarg, s)) {
            return false;
        }
    }
    int words = argc - optind;
    if (words < 2 || words > 3) {
        fprintf(stderr, "transfer: say `serve ADDRESS` or `send ADDRESS`; --help tells more\n");
        return false;
    }
    s->is_server = strcmp(argv[optind], "serve") == 0;
    if (!s->is_server && strcmp(argv[optind], "send") != 0) {
        fprintf(stderr, "transfer: neither serve nor send: %s\n", argv[optind]);
        return false;
    }
    s->address = argv[optind + 1];
    s->in = words == 3 ? argv[optind + 2] : NULL;
    return true;
}
