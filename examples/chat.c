/* A chat in which everybody sees the same lines in the same order: each line is a broadcast to a group.
 *
 * Shows     group_found and group_open, views, total order, what happens without a majority, being refused.
 * Relies on membership.h only. Run with --help.
 */
#include "membership/membership.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_SIZE 65536
#define KEY_SIZE_MAX  64

static const char help[] =
    "usage: chat --id N [options] ID=HOST:PORT...\n"
    "\n"
    "One member of a chat. Every member is started with the same list of members; the group is founded when all of\n"
    "them have met. Lines from stdin go to all members, and everybody prints all lines in the same order. A member "
    "that\n"
    "is cut off sees the missed lines when it is back; a member that restarts has lost its memory and is refused.\n"
    "\n"
    "  ID=HOST:PORT         a member: its id (1, 2, ...) and the address of its listener (numbers are best: a name is\n"
    "                       looked up at each connection)\n"
    "  --id N               which of them this process is\n"
    "  --listen HOST:PORT   where to listen, if not at the member's address\n"
    "  --name NAME          of the group (default chat)\n"
    "  --token N            the same on all members; tells two foundings of one name apart (default 1)\n"
    "  --open               do not found: look for the group, whose members are given as contacts\n"
    "  --key-file FILE      pre-shared key of all members: the 16 to 64 bytes of FILE\n"
    "  --timeout MS         how long a silent leader is followed (default 600)\n"
    "  --quit               leave when stdin ended and the own lines were delivered; otherwise it stays until SIGINT "
    "or\n"
    "                       SIGTERM\n"
    "  --log json           events of the library as JSON lines on stderr\n"
    "  --help               this text\n"
    "\n"
    "Lines that begin with / are commands: /stats prints counters, /quit leaves.\n"
    "\n"
    "stdout:\n"
    "  INDEX <ID> TEXT             a line of member ID; INDEX is its place in the order, the same everywhere\n"
    "  * view N: ID ID ...         the members from here on\n"
    "  * leader ID term T          who orders the lines (0: nobody now)\n"
    "  * majority yes|no           whether this member hears from a majority; without one lines wait\n"
    "  * link ID up|down           whether the path to a member works; changes no view\n"
    "  * waiting                   a line waits: no leader, or too many lines are under way\n"
    "  * stats KEY=VALUE ...       answer to /stats\n"
    "\n"
    "Exit status: 0 after /quit, --quit or a signal; 1 when this process was refused or excluded (stderr says why and\n"
    "what to do); 2 for a wrong command line or when the group could not be opened.\n";

struct chat {
    struct ev_loop *loop;
    struct group *group;
    ev_io in;
    ev_signal interrupt, terminate;
    char line[LINE_MAX_SIZE];
    size_t have;   /* bytes of lines not yet sent */
    bool is_ended; /* stdin has ended */
    bool is_waiting;
    bool leaves_at_end;
    int result;
};

struct settings {
    struct group_options group;
    struct group_address member[GROUP_MEMBERS_MAX];
    uint8_t key[KEY_SIZE_MAX];
    bool is_open;
    bool leaves_at_end;
};

/* ---------------------------------------------------------------------------------------------------- lines */

static void leave(struct chat *c, int result)
{
    c->result = result;
    ev_break(c->loop, EVBREAK_ALL);
}

static void print_stats(const struct chat *c)
{
    struct group_stats s;

    group_stats(c->group, &s);
    printf("* stats leader=%u term=%llu last=%llu commit=%llu delivered=%llu views=%llu elections=%llu pending=%llu\n",
           (unsigned)s.leader, (unsigned long long)s.term, (unsigned long long)s.last, (unsigned long long)s.commit,
           (unsigned long long)s.delivered, (unsigned long long)s.views, (unsigned long long)s.elections,
           (unsigned long long)s.pending);
    for (uint32_t i = 0; i < s.count; i++) {
        const struct group_member_stats *m = &s.member[i];

        printf("* stats member=%u link=%s behind=%llu unacknowledged=%llu sent=%llu repeated=%llu pulled=%llu "
               "again=%llu\n",
               (unsigned)m->id, m->link_up ? "up" : "down", (unsigned long long)m->behind,
               (unsigned long long)m->unacknowledged, (unsigned long long)m->entries_sent,
               (unsigned long long)m->entries_repeated, (unsigned long long)m->entries_pulled,
               (unsigned long long)m->entries_received_again);
    }
}

/* Sends one line; false when it must wait. */
static bool send_line(struct chat *c, const char *text, size_t size)
{
    struct base_bytes data = {(const uint8_t *)text, size};
    uint64_t number;
    int status;

    if (size == 6 && memcmp(text, "/stats", 6) == 0) {
        print_stats(c);
        return true;
    }
    if (size == 5 && memcmp(text, "/quit", 5) == 0) {
        leave(c, 0);
        return true;
    }
    status = group_broadcast(c->group, data, &number);
    if (status == BASE_E_AGAIN || status == BASE_E_NOLEADER) {
        return false;
    }
    if (status < 0) {
        fprintf(stderr, "chat: a line was not sent: %s\n", base_status_text(status));
    }
    return true;
}

/* Sends all whole lines that are here. Reading stops while one waits. */
static void send_lines(struct chat *c)
{
    size_t from = 0;
    char *end;
    bool is_waiting = false;

    while (!is_waiting && (end = memchr(c->line + from, '\n', c->have - from)) != NULL) {
        size_t upto = (size_t)(end - c->line);

        is_waiting = !send_line(c, c->line + from, upto - from);
        from = is_waiting ? from : upto + 1;
    }
    c->have -= from;
    memmove(c->line, c->line + from, c->have);
    if (is_waiting && !c->is_waiting) {
        printf("* waiting\n");
    }
    c->is_waiting = is_waiting;
    if (c->is_waiting || c->is_ended) {
        ev_io_stop(c->loop, &c->in);
    } else {
        ev_io_start(c->loop, &c->in);
    }
    fflush(stdout);
}

static void leave_if_done(struct chat *c)
{
    struct group_stats s;

    group_stats(c->group, &s);
    if (c->leaves_at_end && c->is_ended && !c->is_waiting && s.pending == 0) {
        leave(c, 0);
    }
}

static void on_input(struct ev_loop *loop, ev_io *w, int events)
{
    struct chat *c = w->data;
    ssize_t count = read(STDIN_FILENO, c->line + c->have, sizeof c->line - c->have - 1);

    (void)loop;
    (void)events;
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (count <= 0) {
        c->is_ended = true;
        if (c->have > 0) {
            c->line[c->have++] = '\n'; /* the last line may lack its end */
        }
    } else {
        c->have += (size_t)count;
        if (c->have == sizeof c->line - 1 && memchr(c->line, '\n', c->have) == NULL) {
            c->line[c->have++] = '\n'; /* too long for one line: it becomes two */
        }
    }
    send_lines(c);
    leave_if_done(c);
}

/* ---------------------------------------------------------------------------------------------------- the group */

static void on_view(void *user, const struct group_view *view, const struct group_difference *difference,
                    const char *reason)
{
    (void)user;
    (void)difference;
    printf("* view %llu:", (unsigned long long)view->id);
    for (uint32_t i = 0; i < view->count; i++) {
        printf(" %u", (unsigned)view->member[i].id);
    }
    printf(" (%s)\n", reason);
    fflush(stdout);
}

static void on_deliver(void *user, const struct group_delivery *d)
{
    struct chat *c = user;

    printf("%llu <%u> %.*s\n", (unsigned long long)d->index, (unsigned)d->origin, (int)d->data.size,
           (const char *)d->data.data);
    fflush(stdout);
    leave_if_done(c);
}

static void on_quorum(void *user, bool has_quorum, base_time since)
{
    (void)user;
    (void)since;
    printf("* majority %s\n", has_quorum ? "yes" : "no");
    fflush(stdout);
}

static void on_leader(void *user, uint32_t member_id, uint64_t term)
{
    printf("* leader %u term %llu\n", (unsigned)member_id, (unsigned long long)term);
    fflush(stdout);
    send_lines(user);
}

static void on_link(void *user, uint32_t member_id, bool up)
{
    (void)user;
    printf("* link %u %s\n", (unsigned)member_id, up ? "up" : "down");
    fflush(stdout);
}

static void on_writable(void *user)
{
    send_lines(user);
}

static void on_excluded(void *user, int status, const char *why)
{
    fprintf(stderr, "chat: %s: %s\n", base_status_name(status), why);
    leave(user, 1);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
    leave(w->data, 0);
}

/* ---------------------------------------------------------------------------------------------------- command line */

static void print_event(void *user, const struct base_event *e)
{
    (void)user;
    fprintf(stderr, "{\"at_ns\":%llu,\"object\":\"%s\",\"id\":%llu,\"event\":\"%s\"", (unsigned long long)e->at,
            e->object, (unsigned long long)e->id, e->name);
    if (e->text != NULL) {
        fputs(",\"text\":\"", stderr);
        for (const char *at = e->text; *at != 0; at++) {
            if (*at == '"' || *at == '\\') {
                fputc('\\', stderr);
            }
            fputc(*at, stderr);
        }
        fputc('"', stderr);
    }
    for (int i = 0; i < BASE_TRACE_FIELDS; i++) {
        if (e->field[i].key != NULL) {
            fprintf(stderr, ",\"%s\":%llu", e->field[i].key, (unsigned long long)e->field[i].value);
        }
    }
    fputs("}\n", stderr);
}

static bool parse_number(const char *text, uint64_t max, uint64_t *ret)
{
    char *end = NULL;
    unsigned long long value;

    errno = 0;
    value = strtoull(text, &end, 10);
    if (errno != 0 || end == text || *end != 0 || text[0] == '-' || value > max) {
        fprintf(stderr, "chat: not a number in range: %s\n", text);
        return false;
    }
    *ret = value;
    return true;
}

static bool parse_member(char *text, struct settings *s)
{
    char *address = strchr(text, '=');
    uint64_t id;

    if (address == NULL || s->group.member_count == GROUP_MEMBERS_MAX) {
        fprintf(stderr, "chat: not ID=HOST:PORT, or too many: %s\n", text);
        return false;
    }
    *address = 0;
    if (!parse_number(text, INT32_MAX, &id)) {
        return false;
    }
    s->member[s->group.member_count++] = (struct group_address){(uint32_t)id, address + 1};
    return true;
}

static bool read_key(const char *path, struct settings *s)
{
    FILE *file = fopen(path, "rb");

    if (file == NULL) {
        fprintf(stderr, "chat: %s: %s\n", path, strerror(errno));
        return false;
    }
    s->group.key = s->key;
    s->group.key_size = fread(s->key, 1, sizeof s->key, file);
    fclose(file);
    return true;
}

static bool take_option(int option, char *text, struct settings *s)
{
    uint64_t number = 0;
    bool is_good = true;

    switch (option) {
    case 'i':
        is_good = parse_number(text, INT32_MAX, &number);
        s->group.self = (uint32_t)number;
        return is_good;
    case 'l':
        s->group.listen = text;
        return true;
    case 'n':
        s->group.name = text;
        return true;
    case 't':
        return parse_number(text, UINT64_MAX, &s->group.token);
    case 'o':
        s->is_open = true;
        return true;
    case 'k':
        return read_key(text, s);
    case 'T':
        is_good = parse_number(text, 60000, &number);
        s->group.election_timeout = BASE_MS(number);
        return is_good;
    case 'q':
        s->leaves_at_end = true;
        return true;
    case 'L':
        s->group.trace.emit = print_event;
        return strcmp(text, "json") == 0;
    default:
        return false;
    }
}

/* 0; 1: help was asked for; 2: wrong. */
static int parse(int argc, char **argv, struct settings *s)
{
    static const struct option options[] = {
        {"id", required_argument, NULL, 'i'},
        {"listen", required_argument, NULL, 'l'},
        {"name", required_argument, NULL, 'n'},
        {"token", required_argument, NULL, 't'},
        {"open", no_argument, NULL, 'o'},
        {"key-file", required_argument, NULL, 'k'},
        {"timeout", required_argument, NULL, 'T'},
        {"quit", no_argument, NULL, 'q'},
        {"log", required_argument, NULL, 'L'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            return 1;
        }
        if (!take_option(option, optarg, s)) {
            return 2;
        }
    }
    for (int i = optind; i < argc; i++) {
        if (!parse_member(argv[i], s)) {
            return 2;
        }
    }
    return s->group.self != 0 && s->group.member_count > 0 ? 0 : 2;
}

/* ---------------------------------------------------------------------------------------------------- main */

static int open_group(struct chat *c, struct settings *s)
{
    const struct group_callbacks callbacks = {.on_view = on_view,
                                              .on_deliver = on_deliver,
                                              .on_quorum = on_quorum,
                                              .on_leader = on_leader,
                                              .on_link = on_link,
                                              .on_writable = on_writable,
                                              .on_excluded = on_excluded};

    s->group.member = s->member;
    return s->is_open ? group_open(c->loop, &s->group, &callbacks, c, &c->group)
                      : group_found(c->loop, &s->group, &callbacks, c, &c->group);
}

static void start(struct chat *c)
{
    int flags = fcntl(STDIN_FILENO, F_GETFL);

    if (flags >= 0) {
        (void)fcntl(STDIN_FILENO, F_SETFL,
                    flags | O_NONBLOCK); /* where it fails, reading blocks: no harm for a terminal */
    }
    ev_io_init(&c->in, on_input, STDIN_FILENO, EV_READ);
    ev_signal_init(&c->interrupt, on_signal, SIGINT);
    ev_signal_init(&c->terminate, on_signal, SIGTERM);
    c->in.data = c->interrupt.data = c->terminate.data = c;
    ev_io_start(c->loop, &c->in);
    ev_signal_start(c->loop, &c->interrupt);
    ev_signal_start(c->loop, &c->terminate);
}

int main(int argc, char **argv)
{
    static struct chat chat; /* its line is large */
    struct settings settings = {.is_open = false};
    int status;

    group_options_default(&settings.group);
    settings.group.name = "chat";
    settings.group.token = 1;
    status = parse(argc, argv, &settings);
    if (status != 0) {
        if (status == 2) {
            fputs("usage: chat --id N [options] ID=HOST:PORT... (more: chat --help)\n", stderr);
        }
        return status == 2 ? 2 : 0;
    }
    chat.loop = ev_default_loop(0);
    chat.leaves_at_end = settings.leaves_at_end;
    status = open_group(&chat, &settings);
    if (status < 0) {
        fprintf(stderr, "chat: cannot open the group: %s (%s)\n", base_status_text(status), strerror(errno));
        return 2;
    }
    start(&chat);
    ev_run(chat.loop, 0);
    group_close(chat.group);
    return chat.result;
}
