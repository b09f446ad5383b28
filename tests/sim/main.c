/* sim: runs worlds from seeds and judges them. See tests/README.md. */
#include "tests/sim/arena.h"
#include "tests/sim/cover.h"
#include "tests/sim/faults.h"
#include "tests/sim/net.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RUN_SECONDS_MAX 120 /* of the real clock, for one seed: more is an endless loop */

static const struct sim_arena *const arenas[] = {&sim_arena_streams, &sim_arena_group, &sim_arena_order,
                                                 &sim_arena_threads};

struct run_options {
    const struct sim_arena *arena;
    uint64_t from, runs;
    int members;
    unsigned faults;
    const char *trace;
    const char *list;  /* a file of seeds */
    const char *marks; /* a file of branches that must be reached */
    uint64_t seconds;  /* of the real clock; 0: no limit */
    bool wants_coverage, must_cover, is_quiet, keeps_going;
};

static const char help[] =
    "usage: sim [--arena NAME] (--seed N | --from N --runs N) [options]\n"
    "\n"
    "Runs the product in a simulated world: one thread, a virtual clock, and every fault drawn from the seed.\n"
    "\n"
    "  --arena NAME     streams (rtcp alone; the default), group (replicas with clients), order (the order core, "
    "durable)\n"
    "  --seed N         one run; prints the hash of its trace\n"
    "  --from N         the first of several seeds (default 1)\n"
    "  --runs N         how many (default 100)\n"
    "  --seeds FILE     the seeds that stand in a file, one a line, # begins a comment; before those of --runs\n"
    "  --seconds N      stop after so many seconds, whatever --runs says\n"
    "  --members N      of the group, 1 to 7 (default: drawn from the seed)\n"
    "  --faults LIST    only these kinds: cut,flap,udp,forge,reset,pause,clock,redirect,lag,nat,kill\n"
    "  --trace FILE     write the whole trace (- for stdout)\n"
    "  --coverage       print how often each fault and each branch of the protocol was hit\n"
    "  --must-cover     fail when a fault of this arena was never hit\n"
    "  --marks FILE     fail when a branch that stands in a file was never reached\n"
    "  --keep-going     do not stop at the first run that fails; only the last lines of a failure are told\n"
    "  --quiet          no progress\n"
    "  --help           this text\n"
    "\n"
    "A run that breaks a property prints seed, commit, property, the last events, and the command that\n"
    "replays it.\n"
    "Exit status: 0 all runs passed; 1 one did not; 2 a wrong command line.\n";

/* A seed means a run only together with the sources. */
static void print_commit(void)
{
    char command[600];
    char line[80] = "unknown (no git here)\n";
    const char *end = strrchr(__FILE__, '/');
    FILE *git;

    snprintf(command, sizeof command, "git -C \"%.*s\" describe --always --dirty --abbrev=12 --exclude '*' 2>/dev/null",
             end == NULL ? 1 : (int)(end - __FILE__), end == NULL ? "." : __FILE__);
    git = popen(command, "r");
    if (git != NULL) {
        if (fgets(line, sizeof line, git) == NULL) {
            snprintf(line, sizeof line, "unknown (no git here)\n");
        }
        pclose(git);
    }
    printf("commit: %s", line);
}

static struct {
    const char *arena;
    int members;
    bool keeps_going;
} running;

static void tell_failure(const char *failure)
{
    if (!running.keeps_going) {
        sim_trace_print_tail(stdout);
    }
    printf("\nFAILED seed %llu: %s\n", (unsigned long long)sim.seed, failure);
    print_commit();
    printf("replay: build/release/tests/sim/sim --arena %s --seed %llu --trace -", running.arena,
           (unsigned long long)sim.seed);
    printf(running.members == 0 ? "\n" : " --members %d\n", running.members);
}

/* A broken invariant of the product, or a run that does not end: tell which seed it was. */
static void on_signal(int number)
{
    static const char broken[] = "CHECK: an invariant of the product broke";
    static const char endless[] = "B3 no busy loop: the run does not end";
    static const char pipe[] = "rule 6 of sendfile: a SIGPIPE that nobody blocked, or that was left behind";

    tell_failure(number == SIGALRM ? endless : number == SIGPIPE ? pipe : broken);
    printf("[  FAILED  ] simulation\n");
    fflush(stdout);
    _exit(1);
}

static int run_one(const struct run_options *o, uint64_t seed)
{
    uint64_t hash;
    bool is_failed;
    char failure[sizeof sim.failure];

    running.arena = o->arena->name;
    running.members = o->members;
    running.keeps_going = o->keeps_going;
    sim_begin(seed);
    alarm(RUN_SECONDS_MAX);
    o->arena->run(o->faults, o->members);
    hash = sim.hash;
    is_failed = sim.is_failed;
    memcpy(failure, sim.failure, sizeof failure);
    if (is_failed) {
        tell_failure(failure);
    } else if (o->runs == 1) {
        printf("seed %llu passed, trace hash %016llx, %llu events\n", (unsigned long long)seed,
               (unsigned long long)hash, (unsigned long long)sim.events);
    }
    sim_end();
    return is_failed ? 1 : 0;
}

static void print_counts(FILE *file, const struct run_options *o)
{
    const struct sim_arena_stats *s = &sim_arena_stats;

    if (o->arena == &sim_arena_streams) {
        fprintf(file, "%llu streams, %llu MiB", (unsigned long long)s->streams, (unsigned long long)(s->bytes >> 20));
    } else {
        fprintf(file,
                "%llu entries delivered, %llu answers, %llu unknown, %llu elections, %llu of %llu histories undecided, "
                "%llu logs held by "
                "a member that was away, %llu runs stuck for want of a quorum",
                (unsigned long long)s->entries, (unsigned long long)s->answers, (unsigned long long)s->unknown,
                (unsigned long long)s->elections, (unsigned long long)s->undecided, (unsigned long long)s->histories,
                (unsigned long long)s->held, (unsigned long long)s->stuck);
    }
    fprintf(file, ", %llu faults\n", (unsigned long long)sim_faults_done);
}

static void print_progress(const struct run_options *o, uint64_t done)
{
    if (!o->is_quiet && o->runs > 1 && (done % 50 == 0 || done == o->runs)) {
        fprintf(stderr, "%llu of %llu runs, ", (unsigned long long)done, (unsigned long long)o->runs);
        print_counts(stderr, o);
    }
}

static bool parse_number(const char *text, uint64_t *ret)
{
    char *end;

    errno = 0;
    *ret = strtoull(text, &end, 0);
    return errno == 0 && *end == '\0' && end != text && text[0] != '-';
}

static const struct sim_arena *find_arena(const char *name)
{
    for (size_t i = 0; i < sizeof arenas / sizeof arenas[0]; i++) {
        if (strcmp(arenas[i]->name, name) == 0) {
            return arenas[i];
        }
    }
    return NULL;
}

static int usage(const char *why, const char *what)
{
    fprintf(stderr, "sim: %s: %s (try --help)\n", why, what);
    return 2;
}

/* What only says yes. */
static bool parse_flag(struct run_options *o, int c)
{
    o->wants_coverage = o->wants_coverage || c == 'c';
    o->must_cover = o->must_cover || c == 'C';
    o->keeps_going = o->keeps_going || c == 'k';
    o->is_quiet = o->is_quiet || c == 'q';
    return strchr("cCkq", c) != NULL;
}

/* What takes a number. */
static int parse_counted(struct run_options *o, int c, uint64_t number)
{
    if (c == 's' || c == 'f') {
        o->from = number;
    }
    if (c == 's' || c == 'r') {
        o->runs = c == 's' ? 1 : number;
    }
    if (c == 'T') {
        o->seconds = number;
        o->runs = UINT64_MAX;
    }
    if (c == 'm') {
        o->members = (int)number;
    }
    return c == 'm' && (number < 1 || number > 7) ? usage("members are 1 to 7", optarg) : 0;
}

/* What takes a text. */
static int parse_named(struct run_options *o, int c)
{
    switch (c) {
    case 'a':
        o->arena = find_arena(optarg);
        return o->arena == NULL ? usage("no such arena", optarg) : 0;
    case 'F':
        o->faults = sim_faults_parse(optarg);
        return o->faults == 0 ? usage("no such faults", optarg) : 0;
    case 't':
        o->trace = optarg;
        return 0;
    case 'S':
        o->list = optarg;
        o->runs = 0;
        return 0;
    case 'M':
        o->marks = optarg;
        return 0;
    case 'h':
        fputs(help, stdout);
        exit(0);
    default:
        return 2;
    }
}

static int parse(struct run_options *o, int argc, char **argv)
{
    static const struct option options[] = {
        {"arena", required_argument, NULL, 'a'},   {"seed", required_argument, NULL, 's'},
        {"from", required_argument, NULL, 'f'},    {"runs", required_argument, NULL, 'r'},
        {"members", required_argument, NULL, 'm'}, {"faults", required_argument, NULL, 'F'},
        {"trace", required_argument, NULL, 't'},   {"coverage", no_argument, NULL, 'c'},
        {"must-cover", no_argument, NULL, 'C'},    {"quiet", no_argument, NULL, 'q'},
        {"seeds", required_argument, NULL, 'S'},   {"seconds", required_argument, NULL, 'T'},
        {"marks", required_argument, NULL, 'M'},   {"keep-going", no_argument, NULL, 'k'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0},
    };
    uint64_t number = 0;
    int status = 0;
    int c;

    while (status == 0 && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (strchr("sfrmT", c) != NULL) {
            status = parse_number(optarg, &number) ? parse_counted(o, c, number) : usage("not a number", optarg);
        } else if (!parse_flag(o, c)) {
            status = parse_named(o, c);
        }
    }
    return status == 0 && optind < argc ? usage("an argument too many", argv[optind]) : status;
}

/* The known seeds: those of a file. */
static int run_list(const struct run_options *o)
{
    FILE *file = fopen(o->list, "r");
    struct run_options one = *o;
    char line[256];
    int failed = 0;

    if (file == NULL) {
        return usage("cannot read", o->list);
    }
    while (fgets(line, sizeof line, file) != NULL && (failed == 0 || o->keeps_going)) {
        uint64_t seed = strtoull(line, NULL, 0);

        if (line[0] >= '0' && line[0] <= '9') {
            one.runs = 2; /* tells only what fails */
            failed += run_one(&one, seed);
        }
    }
    fclose(file);
    return failed;
}

static int run_many(const struct run_options *o)
{
    time_t end = time(NULL) + (time_t)o->seconds;
    uint64_t done = 0;
    int failed = 0;

    while (done < o->runs && (failed == 0 || o->keeps_going) && (o->seconds == 0 || time(NULL) < end)) {
        failed += run_one(o, o->from + done);
        print_progress(o, ++done);
    }
    if (o->seconds != 0) {
        printf("%llu runs from seed %llu\n", (unsigned long long)done, (unsigned long long)o->from);
    }
    return failed;
}

static int judge_coverage(const struct run_options *o)
{
    int failed = 0;

    if (o->wants_coverage) {
        sim_cover_print(stdout);
    }
    if (o->must_cover && !sim_cover_is_complete(stdout, o->arena->faults)) {
        failed = 1;
    }
    if (o->marks != NULL && !sim_cover_has_marks(stdout, o->marks)) {
        failed = 1;
    }
    return failed;
}

int main(int argc, char **argv)
{
    struct run_options o = {.arena = arenas[0], .from = 1, .runs = 100, .faults = ~0u};
    const struct sigaction told = {.sa_handler = on_signal};
    int failed = 0;

    if (parse(&o, argc, argv) != 0) {
        return 2;
    }
    if (o.trace != NULL) {
        FILE *file = strcmp(o.trace, "-") == 0 ? stdout : fopen(o.trace, "w");

        if (file == NULL) {
            return usage("cannot write", o.trace);
        }
        sim_trace_begin(file);
    }
    sigaction(SIGABRT, &told, NULL);
    sigaction(SIGALRM, &told, NULL);
    sigaction(SIGPIPE, &told, NULL);
    o.faults &= o.arena->faults;
    if (o.list != NULL) {
        failed = run_list(&o);
    }
    if (failed == 0) {
        failed = run_many(&o);
    }
    if (failed == 0) {
        failed = judge_coverage(&o);
    }
    if (o.runs != 1) {
        printf(failed == 0 ? "[       OK ] %s\n" : "[  FAILED  ] %s\n", o.arena->name);
    }
    return failed == 0 ? 0 : 1;
}
