/* See options.h. */
#include "examples/kv/options.h"

#include "examples/kv/limits.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char kv_help[] =
    "usage: kv --id N --members 1=HOST:PORT,2=HOST:PORT,... --listen HOST:PORT [options]\n"
    "\n"
    "A replicated key-value server that speaks the Redis protocol (redis-cli, redis-benchmark). Start one process for\n"
    "each member, in any order; every member takes reads and writes. A member that was cut off keeps its state, stays "
    "a\n"
    "member, and gets what it missed when the link is back.\n"
    "\n"
    "  --id N               this member: a number among the members\n"
    "  --members LIST       all founders of the group: N=HOST:PORT with commas between (TCP and UDP between members)\n"
    "  --listen HOST:PORT   where Redis clients come in ([::1]:6379, :6379 for all addresses)\n"
    "  --group-listen HOST:PORT  where members come in, if not at the address in the list\n"
    "  --name NAME          of the group (kv)\n"
    "  --token N            the same number on all founders; another one for another group of this name (1)\n"
    "  --key-file FILE      16 to 64 bytes that all members share: only holders take part\n"
    "  --election-ms N      how long a silent leader is followed (600)\n"
    "  --submit-ms N        after this a command's outcome is told as unknown (5000)\n"
    "  --clients N          Redis clients at once, 1 to 4000 (4000)\n"
    "  --log text|json      how events are written to standard error (text)\n"
    "  --trace              also write the library's own events\n"
    "  --help               this text\n"
    "\n"
    "Commands: PING ECHO QUIT SELECT HELLO INFO COMMAND CONFIG-GET; GET SET[NX XX GET] SETNX GETSET APPEND STRLEN MGET "
    "MSET\n"
    "INCR DECR INCRBY DECRBY; DEL EXISTS TYPE KEYS SCAN DBSIZE FLUSHALL; and of this server\n"
    "  HOLDFAST VIEW        the members that the group agrees on\n"
    "  HOLDFAST STATUS      leader, term, indices; for each member its link, what it lacks, what was sent and "
    "repeated\n"
    "  HOLDFAST DIGEST      index and SHA-256 of the whole state: equal on equal replicas\n"
    "Errors: -CLUSTERDOWN: the command never ran. -TIMEOUT: it may still run, once.\n"
    "\n"
    "Exit status: 0 after SIGINT or SIGTERM; 1 when this process cannot be a member (a member that was killed lost "
    "its\n"
    "memory: restarting it is refused until joining exists) or something failed; 2 for a wrong command line.\n";

enum option_code {
    OPTION_ID = 1,
    OPTION_MEMBERS,
    OPTION_LISTEN,
    OPTION_GROUP_LISTEN,
    OPTION_NAME,
    OPTION_TOKEN,
    OPTION_KEY_FILE,
    OPTION_ELECTION,
    OPTION_SUBMIT,
    OPTION_CLIENTS,
    OPTION_LOG,
    OPTION_TRACE,
    OPTION_HELP,
};

static const struct option list[] = {
    {"id", required_argument, NULL, OPTION_ID},
    {"members", required_argument, NULL, OPTION_MEMBERS},
    {"listen", required_argument, NULL, OPTION_LISTEN},
    {"group-listen", required_argument, NULL, OPTION_GROUP_LISTEN},
    {"name", required_argument, NULL, OPTION_NAME},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"key-file", required_argument, NULL, OPTION_KEY_FILE},
    {"election-ms", required_argument, NULL, OPTION_ELECTION},
    {"submit-ms", required_argument, NULL, OPTION_SUBMIT},
    {"clients", required_argument, NULL, OPTION_CLIENTS},
    {"log", required_argument, NULL, OPTION_LOG},
    {"trace", no_argument, NULL, OPTION_TRACE},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int complain(const char *what, const char *value)
{
    fprintf(stderr, "kv: %s%s%s (see kv --help)\n", what, value == NULL ? "" : ": ", value == NULL ? "" : value);
    return BASE_E_INVALID;
}

static int read_number(const char *text, uint64_t low, uint64_t high, uint64_t *ret_number)
{
    unsigned long long number;
    char *end = NULL;

    errno = 0;
    number = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < low || number > high) {
        fprintf(stderr, "kv: \"%s\" is not a number from %llu to %llu (see kv --help)\n", text, (unsigned long long)low,
                (unsigned long long)high);
        return BASE_E_INVALID;
    }
    *ret_number = number;
    return 0;
}

/* Reads one "N=HOST:PORT" of `size` bytes. */
static int read_member(struct kv_options *o, const char *text, size_t size)
{
    const char *equals = memchr(text, '=', size);
    uint64_t id = 0;
    char number[16];
    size_t digits = equals == NULL ? 0 : (size_t)(equals - text);
    size_t rest = equals == NULL ? 0 : size - digits - 1;

    if (equals == NULL || digits >= sizeof number || rest < 1 || rest >= GROUP_ADDRESS_SIZE) {
        return complain("a member is N=HOST:PORT, not", text);
    }
    if (o->member_count == GROUP_MEMBERS_MAX) {
        return complain("too many members; the most is 15", NULL);
    }
    (void)snprintf(number, sizeof number, "%.*s", (int)digits, text);
    if (read_number(number, 1, INT32_MAX, &id) < 0) {
        return BASE_E_INVALID;
    }
    (void)snprintf(o->address[o->member_count], GROUP_ADDRESS_SIZE, "%.*s", (int)rest, equals + 1);
    o->member[o->member_count] = (struct group_address){(uint32_t)id, o->address[o->member_count]};
    o->member_count++;
    return 0;
}

static int read_members(struct kv_options *o, const char *text)
{
    int status = 0;

    o->member_count = 0;
    while (status == 0 && *text != '\0') {
        size_t size = strcspn(text, ",");

        status = read_member(o, text, size);
        text += size + (text[size] == ',' ? 1 : 0);
    }
    return status;
}

static int read_key(struct kv_options *o, const char *path)
{
    FILE *file = fopen(path, "rb");
    char more;

    if (file == NULL) {
        return complain("cannot read the key file", path);
    }
    o->key_size = fread(o->key, 1, sizeof o->key, file);
    if (o->key_size < KV_KEY_MIN || fread(&more, 1, 1, file) == 1) {
        o->key_size = 0;
    }
    (void)fclose(file);
    return o->key_size == 0 ? complain("a key has 16 to 64 bytes, unlike", path) : 0;
}

static int read_log(struct kv_options *o, const char *text)
{
    o->is_json = strcmp(text, "json") == 0;
    return o->is_json || strcmp(text, "text") == 0 ? 0 : complain("--log is text or json, not", text);
}

static int read_option(struct kv_options *o, int option, const char *value)
{
    uint64_t number = 0;
    int status = 0;

    switch (option) {
    case OPTION_ID:
        status = read_number(value, 1, INT32_MAX, &number);
        o->self = (uint32_t)number;
        return status;
    case OPTION_MEMBERS:
        return read_members(o, value);
    case OPTION_LISTEN:
        o->listen = value;
        return 0;
    case OPTION_GROUP_LISTEN:
        o->group_listen = value;
        return 0;
    case OPTION_NAME:
        o->name = value;
        return 0;
    case OPTION_TOKEN:
        return read_number(value, 0, UINT64_MAX, &o->token);
    case OPTION_KEY_FILE:
        return read_key(o, value);
    case OPTION_ELECTION:
        return read_number(value, 100, 60000, &o->election_ms);
    case OPTION_SUBMIT:
        return read_number(value, 10, 3600000, &o->submit_ms);
    case OPTION_CLIENTS:
        return read_number(value, 1, KV_CLIENTS_MAX, &o->clients_max);
    case OPTION_LOG:
        return read_log(o, value);
    case OPTION_TRACE:
        o->is_traced = true;
        return 0;
    case OPTION_HELP:
        o->wants_help = true;
        return 0;
    default:
        return BASE_E_INVALID; /* getopt has said why */
    }
}

static int check_members(const struct kv_options *o)
{
    bool has_self = false;

    for (uint32_t i = 0; i < o->member_count; i++) {
        has_self = has_self || o->member[i].id == o->self;
        for (uint32_t k = 0; k < i; k++) {
            if (o->member[k].id == o->member[i].id) {
                return complain("two members have one number", o->member[i].address);
            }
        }
    }
    return has_self ? 0 : complain("--id must be one of the members", NULL);
}

int kv_options_read(struct kv_options *o, int argc, char **argv)
{
    int status = 0;
    int option;

    *o = (struct kv_options){
        .name = "kv", .token = 1, .election_ms = 600, .submit_ms = 5000, .clients_max = KV_CLIENTS_MAX};
    while (status == 0 && (option = getopt_long(argc, argv, "", list, NULL)) != -1) {
        status = read_option(o, option, optarg);
    }
    if (status < 0 || o->wants_help) {
        return status;
    }
    if (optind < argc) {
        return complain("this is no option", argv[optind]);
    }
    if (o->self == 0 || o->member_count == 0 || o->listen == NULL) {
        return complain("--id, --members and --listen are needed", NULL);
    }
    return check_members(o);
}
