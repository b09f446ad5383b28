/* rtcp-ss; see ss.h. */
#include "rtcp/tools/ss.h"

#include "rtcp/base/bytes.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MS  5000 /* without a byte: the process hangs or was stopped */
#define ANSWER_MAX (64u << 20)

static const char help[] =
    "usage: rtcp-ss [options] PATH...\n"
    "\n"
    "Shows the robust TCP streams of running processes, as ss does for TCP. PATH is the admin socket of a process\n"
    "(such as that of `rtcp-cat --admin PATH`). Nothing is changed in the process; only its own user and root are\n"
    "answered.\n"
    "\n"
    "  -j, --json           the answer as it comes: one JSON object a line (times are in seconds)\n"
    "  -s, --stats          counters of the process's endpoints instead of its streams\n"
    "  -w, --watch SECONDS  again and again, this often (0.1 and more), until nobody answers any more\n"
    "  -h, --help           this text\n"
    "\n"
    "Columns: ID the stream's number; ROLE; STATE: OPENING (not yet accepted), ATTACHED (open, with a live\n"
    "connection), DETACHED (open, between two connections), PASSIVE (open, without one until it is used), CLOSING;\n"
    "PEER; SENT, RECEIVED bytes; UNACKED bytes sent that the peer has not read, OLDEST the age of the oldest of them;\n"
    "CONNS TCP connections used, ATTEMPT number of the newest try; DOWN how long without a connection; RTT; SILENT\n"
    "since the last sign of the peer; RING bytes that it can keep for resending now; EVIDENCE last learned about the\n"
    "peer. Sizes in units of 1024.\n"
    "\n"
    "Exit status: 0 everybody answered; 1 somebody did not: a message says why; 2 a wrong command line.\n"
    "\n"
    "See also: rtcp-cat; the header rtcp/admin.h describes the socket.\n";

struct ss {
    bool json, stats;
    double watch; /* seconds; 0: once */
};

struct answer {
    char *text;
    size_t size, room;
};

static int complain(const char *path, const char *what)
{
    fprintf(stderr, "rtcp-ss: %s: %s\n", path, what);
    return -1;
}

/* A connection to the process, or -1 after a message. */
static int dial(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = ANSWER_MS / 1000};
    int fd;

    if (strlen(path) >= sizeof address.sun_path) {
        return complain(path, "longer than a socket's path can be");
    }
    base_copy(address.sun_path, path, strlen(path));
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return complain(path, strerror(errno));
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience); /* also of connect */
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0) {
        return fd;
    }
    (void)complain(path, errno == ENOENT         ? "no such socket: was the process started with it?"
                         : errno == EACCES       ? "not permitted: it answers its own user and root only"
                         : errno == ECONNREFUSED ? "the process is gone, or this is no admin socket"
                         : errno == EAGAIN       ? "the process does not answer"
                                                 : strerror(errno));
    (void)close(fd);
    return -1;
}

static bool make_room(struct answer *a)
{
    size_t room = a->room == 0 ? 65536 : a->room * 2;
    char *text;

    if (a->room - a->size > 1) {
        return true;
    }
    text = room > ANSWER_MAX ? NULL : realloc(a->text, room);
    if (text == NULL) {
        return false;
    }
    a->text = text;
    a->room = room;
    return true;
}

/* The beginning of the last whole line; NULL while there is none. */
static char *last_line(const struct answer *a)
{
    char *at = a->size == 0 ? NULL : a->text + a->size - 1;

    if (at == NULL || *at != '\n') {
        return NULL;
    }
    while (at > a->text && at[-1] != '\n') {
        at--;
    }
    return at;
}

/* Reads up to the line that ends the answer, and takes that away. */
static int read_answer(int fd, const char *path, struct answer *a)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        char *last = last_line(a);
        ssize_t n;

        if (last != NULL && strncmp(last, "{\"end\":", 7) == 0) {
            *last = '\0';
            a->size = (size_t)(last - a->text);
            return 0;
        }
        if (!make_room(a)) {
            return complain(path, "the answer is too long");
        }
        if (poll(&p, 1, ANSWER_MS) == 0) {
            return complain(path, "the process does not answer (is it stopped?)");
        }
        n = recv(fd, a->text + a->size, a->room - a->size - 1, 0);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return complain(path, strncmp(a->size > 0 ? a->text : "", "{\"error\":", 9) == 0
                                      ? "it refuses: too many clients"
                                      : "it hung up without an answer: the process ended, or is of another user");
        }
        a->size += (size_t)n;
        a->text[a->size] = '\0';
    }
}

/* What came is in *a, also when it is less than all. */
static int ask(int fd, const char *path, const char *command, struct answer *a)
{
    char line[32];
    int size = snprintf(line, sizeof line, "%s\n", command);
    char error[128];
    char *last;

    if (send(fd, line, (size_t)size, MSG_NOSIGNAL) != size) {
        (void)shutdown(fd, SHUT_WR); /* it may have said why */
    }
    if (read_answer(fd, path, a) < 0) {
        a->size = 0;
        return -1;
    }
    last = last_line(a);
    if (last != NULL && ss_table_field(last, "error", error, sizeof error)) {
        *last = '\0'; /* lines before it are an answer that was cut */
        a->size = (size_t)(last - a->text);
        return complain(path, error);
    }
    return 0;
}

static void show(const struct ss *s, const char *path, pid_t process, bool is_one_of_many, const struct answer *a)
{
    if (s->json) {
        fputs(a->text, stdout);
        return;
    }
    if (is_one_of_many || s->watch > 0.) {
        char when[16] = "";
        time_t now = time(NULL);
        struct tm local;

        if (s->watch > 0. && localtime_r(&now, &local) != NULL) {
            (void)strftime(when, sizeof when, "%H:%M:%S ", &local);
        }
        printf("%s%s (process %ld)\n", when, path, (long)process);
    }
    (s->stats ? ss_table_stats : ss_table_sessions)(a->text);
}

static int show_process(const struct ss *s, const char *path, bool is_one_of_many)
{
    struct answer a = {0};
    struct ucred who = {0};
    socklen_t size = sizeof who;
    int fd = dial(path);
    int status;

    if (fd < 0) {
        return -1;
    }
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
    status = ask(fd, path, s->stats ? "stats" : "sessions", &a);
    if (status == 0 || a.size > 0) {
        show(s, path, who.pid, is_one_of_many, &a);
    }
    free(a.text);
    (void)close(fd);
    return status;
}

static int parse(struct ss *s, int argc, char **argv)
{
    static const struct option list[] = {
        {"json", no_argument, NULL, 'j'},
        {"stats", no_argument, NULL, 's'},
        {"watch", required_argument, NULL, 'w'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;
    char *end;

    while ((option = getopt_long(argc, argv, "jsw:h", list, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            exit(fflush(stdout) == 0 ? 0 : 1);
        }
        if (option == 'w') {
            s->watch = strtod(optarg, &end);
            if (end == optarg || *end != '\0' || !(s->watch >= 0.1 && s->watch <= 1e6)) {
                fprintf(stderr, "rtcp-ss: not a number of seconds: %s (try --help)\n", optarg);
                return 2;
            }
        } else if (option == 'j' || option == 's') {
            s->json = s->json || option == 'j';
            s->stats = s->stats || option == 's';
        } else {
            return 2;
        }
    }
    if (optind == argc) {
        fprintf(stderr, "rtcp-ss: say the PATH of an admin socket (try --help)\n");
        return 2;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct ss s = {0};
    int status = parse(&s, argc, argv);
    int paths = argc - optind;
    int answered;

    if (status != 0) {
        return status;
    }
    do {
        answered = 0;
        for (int i = optind; i < argc; i++) {
            answered += show_process(&s, argv[i], paths > 1) == 0 ? 1 : 0;
        }
        if (fflush(stdout) != 0) {
            return 1; /* nobody reads */
        }
        if (s.watch > 0. && answered > 0) {
            (void)poll(NULL, 0, (int)(s.watch * 1000.));
        }
    } while (s.watch > 0. && answered > 0);
    return answered == paths ? 0 : 1;
}
