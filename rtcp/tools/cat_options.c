/* The command line of rtcp-cat; see cat.h. */
#include "rtcp/tools/cat.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: rtcp-cat [options] HOST:PORT\n"
    "       rtcp-cat [options] --listen [HOST]:PORT\n"
    "\n"
    "Sends standard input over a robust TCP stream and writes what the peer sends to standard output: as nc does, but\n"
    "the stream survives broken connections and cuts of any length, and every byte arrives once and in order.\n"
    "\n"
    "Without --listen it connects to HOST:PORT; with it, it accepts one stream there and refuses others. Both sides\n"
    "are then equal. At the end of standard input only the sending direction ends. The program ends when both\n"
    "directions have ended and the peer has acknowledged the last byte. It waits for that for ever, however long the\n"
    "network is away; interrupt it to give up. HOST:PORT may be a name, an IPv4 address or [IPv6]:PORT; TCP and UDP\n"
    "of that port are used.\n"
    "\n"
    "  -l, --listen         accept a stream instead of connecting; port 0 takes any free one (--progress tells it)\n"
    "  -p, --progress       say on standard error how many bytes went, how fast, when the link goes down and up, and\n"
    "                       how many connections were used\n"
    "      --retry          keep trying where nobody listens yet (else that is an error at once; silence never is)\n"
    "      --service NAME   name of the service: the one expected, or with --listen the own one (default: made of the\n"
    "                       machine and the address; whatever answers first is then kept to)\n"
    "      --key-file FILE  pre-shared key: the 16 to 64 bytes of FILE, without a newline at its end (default: those "
    "of\n"
    "                       the environment variable HOLDFAST_KEY, else none); only holders can talk to each other.\n"
    "                       Data is not encrypted\n"
    "      --key-id N       names the key on the wire (0)\n"
    "      --ring N         bytes kept for resending, 4k to 1G (k, M, G: times 1024; default: the library's)\n"
    "      --admin PATH     show the stream at a local socket, for rtcp-ss; off by default\n"
    "      --log json       write standard error as one JSON object a line: listening, link, evidence, progress (each\n"
    "                       second, with --progress), error, done; at_ns is the monotonic clock\n"
    "  -h, --help           this text\n"
    "\n"
    "Exit status: 0 the peer has everything, and everything it sent was written to standard output; 1 anything else:\n"
    "a message says what, and how many bytes the peer has not acknowledged; 2 a wrong command line.\n"
    "\n"
    "A byte is acknowledged when the peer's program has read it. Who sends nothing ends its direction last, when what "
    "it\n"
    "got is written: so a disk that is full at the last byte is an error on both sides.\n"
    "\n"
    "Examples:\n"
    "  rtcp-cat --listen :7000 > copy           receive a file\n"
    "  rtcp-cat --progress 10.0.0.7:7000 < file send it, and wait until it is there\n"
    "\n"
    "See also: rtcp-ss, rtcp-perf.\n";

enum option_code {
    OPTION_RETRY = 256,
    OPTION_SERVICE,
    OPTION_KEY_FILE,
    OPTION_KEY_ID,
    OPTION_RING,
    OPTION_ADMIN,
    OPTION_LOG,
};

static const struct option list[] = {
    {"listen", no_argument, NULL, 'l'},
    {"progress", no_argument, NULL, 'p'},
    {"retry", no_argument, NULL, OPTION_RETRY},
    {"service", required_argument, NULL, OPTION_SERVICE},
    {"key-file", required_argument, NULL, OPTION_KEY_FILE},
    {"key-id", required_argument, NULL, OPTION_KEY_ID},
    {"ring", required_argument, NULL, OPTION_RING},
    {"admin", required_argument, NULL, OPTION_ADMIN},
    {"log", required_argument, NULL, OPTION_LOG},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static int usage(const char *why, const char *what)
{
    fprintf(stderr, "rtcp-cat: %s: %s (try --help)\n", why, what);
    return 2;
}

/* A number with an optional k, M or G, within limits. */
static int number(const char *text, uint64_t least, uint64_t most, uint32_t *ret)
{
    char *end = NULL;
    unsigned long long v;
    unsigned shift;

    errno = 0;
    v = strtoull(text, &end, 10);
    shift = *end == 'k' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
    if (errno != 0 || end == text || text[0] == '-' || end[shift > 0] != '\0' || v > UINT64_MAX >> shift ||
        v << shift < least || v << shift > most) {
        return usage("not a number in its range", text);
    }
    *ret = (uint32_t)(v << shift);
    return 0;
}

static int take(struct cat_options *o, int option, const char *text)
{
    switch (option) {
    case 'l':
        o->is_listening = true;
        return 0;
    case 'p':
        o->progress = true;
        return 0;
    case OPTION_RETRY:
        o->retry = true;
        return 0;
    case OPTION_SERVICE:
        o->service = text;
        return strlen(text) <= RTCP_NAME_MAX ? 0 : usage("more than 255 bytes", "--service");
    case OPTION_KEY_FILE:
        o->key_file = text;
        return 0;
    case OPTION_KEY_ID:
        return number(text, 0, UINT32_MAX, &o->key_id);
    case OPTION_RING:
        return number(text, RTCP_RING_MIN, RTCP_RING_MAX, &o->ring);
    case OPTION_ADMIN:
        o->admin = text;
        return text[0] != '\0' ? 0 : usage("missing", "--admin PATH");
    case OPTION_LOG:
        o->json = text[0] == 'j';
        return text[0] == 'j' || text[0] == 't' ? 0 : usage("neither text nor json", text);
    }
    return 2; /* getopt has said what is wrong */
}

int cat_options_parse(struct cat_options *o, int argc, char **argv)
{
    int option;

    *o = (struct cat_options){0};
    while ((option = getopt_long(argc, argv, "lph", list, NULL)) != -1) {
        int status;

        if (option == 'h') {
            fputs(help, stdout);
            exit(fflush(stdout) == 0 ? 0 : 1);
        }
        status = take(o, option, optarg);
        if (status != 0) {
            return status;
        }
    }
    if (optind >= argc) {
        return usage("missing", "HOST:PORT");
    }
    if (optind + 1 < argc) {
        return usage("an argument too many", argv[optind + 1]);
    }
    o->address = argv[optind];
    return 0;
}
