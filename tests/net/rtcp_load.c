/* rtcp-load: many sessions in one process, told by lines on stdin what to do; the other end is a second one of it.
 *
 * Owns      its sessions, the pattern that they send and check, and one line of JSON per event on stdout.
 * Relies on the public header rtcp/rtcp.h and libev.
 * Not here  the network, and what is judged: the scripts of this folder.
 * Protocol  none of its own: each side sends bytes that are a function of their offset and of the side, so that a byte
 *           that is lost, repeated or out of order is seen at once by whoever reads it.
 */
#include "rtcp/rtcp.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PATTERN        65537u /* a prime, more than CHUNK: no ring or buffer is a multiple of it */
#define CHUNK          65536u
#define READS_PER_TURN 8
#define OPENING_MAX    64 /* openings under way at once: less than a server's half-open handshakes */
#define SESSIONS_MAX   65536u
#define LINE_ROOM      256

struct load;

struct session {
    struct load *load;
    struct rtcp_stream *stream;
    uint32_t place; /* in load->all */
    uint64_t to_send;
    uint64_t sent;
    uint64_t received;
    uint64_t since_mark;
    bool was_up;
    bool is_shut; /* after the bytes that are still to be sent */
    bool has_shut;
    bool has_read_end;
    bool is_closing;
};

struct load {
    struct ev_loop *loop;
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener;
    const char *address;
    struct rtcp_stream_options options;
    const char *service;
    bool is_server;
    bool is_echo;
    bool is_reading;
    struct session **all;
    uint32_t count;
    uint32_t made;
    uint32_t to_open;
    uint32_t opening;
    uint32_t opened_told;
    uint64_t received;
    uint64_t breaks;
    uint32_t up;
    uint32_t closed_well;
    uint32_t closed_ill;
    const char *last_status;
    uint64_t mark; /* bytes that every session is to receive; 0: nobody waits */
    uint32_t marked;
    base_time first_mark, half_mark;
    ev_io commands;
    char line[LINE_ROOM];
    size_t line_size;
    uint8_t pattern[2][PATTERN + CHUNK]; /* what this side sends, what the other does */
    uint8_t chunk[CHUNK];
};

/* The monotonic clock: the same in all network namespaces of a machine. */
static base_time clock_now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t); /* cannot fail for this clock */
    return BASE_S(t.tv_sec) + (base_time)t.tv_nsec;
}

static void tell(const char *event, const char *rest)
{
    printf("{\"event\":\"%s\",\"at_ns\":%" PRIu64 "%s}\n", event, clock_now(), rest);
    (void)fflush(stdout);
}

static void make_patterns(struct load *l)
{
    for (uint32_t side = 0; side < 2; side++) {
        uint32_t x = (side == 0) == l->is_server ? 12345 : 98765;
        uint8_t *p = l->pattern[side];
        for (uint32_t i = 0; i < PATTERN; i++) {
            x = x * 1664525u + 1013904223u;
            p[i] = (uint8_t)(x >> 24);
        }
        base_copy(p + PATTERN, p, CHUNK);
    }
}

/* ------------------------------------------------------------------------------------------------ one session */

static void session_close(struct session *s, enum rtcp_linger linger)
{
    s->is_closing = true;
    rtcp_close(s->stream, linger);
}

static void session_send(struct session *s)
{
    while (s->to_send > 0 && !s->is_closing) {
        struct base_span room;
        if (rtcp_reserve(s->stream, &room) != 0) {
            return; /* full: on_writable comes; closed: on_closed comes */
        }
        size_t size = room.size < CHUNK ? room.size : CHUNK;
        size = size < s->to_send ? size : (size_t)s->to_send;
        base_copy(room.data, s->load->pattern[0] + s->sent % PATTERN, size);
        if (rtcp_commit(s->stream, size) != 0) {
            return;
        }
        s->sent += size;
        s->to_send -= size;
    }
    if (s->is_shut && !s->has_shut && !s->is_closing) {
        s->has_shut = true;
        (void)rtcp_shutdown(s->stream);
        if (s->has_read_end) {
            session_close(s, RTCP_LINGER_BACKGROUND);
        }
    }
}

static void note_mark(struct session *s, size_t size)
{
    struct load *l = s->load;
    char rest[160];
    uint64_t before = s->since_mark;

    s->since_mark += size;
    if (l->mark == 0 || before >= l->mark || s->since_mark < l->mark) {
        return;
    }
    l->marked++;
    l->first_mark = l->marked == 1 ? clock_now() : l->first_mark;
    l->half_mark = l->marked == (l->count + 1) / 2 ? clock_now() : l->half_mark;
    if (l->marked >= l->count) {
        (void)snprintf(rest, sizeof rest, ",\"sessions\":%" PRIu32 ",\"first_ns\":%" PRIu64 ",\"half_ns\":%" PRIu64,
                       l->count, l->first_mark, l->half_mark);
        tell("flowing", rest);
        l->mark = 0;
    }
}

static void session_take(struct session *s, const uint8_t *data, size_t size)
{
    struct load *l = s->load;

    if (memcmp(data, l->pattern[1] + s->received % PATTERN, size) != 0) {
        char rest[80];
        (void)snprintf(rest, sizeof rest, ",\"offset\":%" PRIu64, s->received);
        tell("wrong_byte", rest);
        exit(3);
    }
    s->received += size;
    l->received += size;
    s->to_send += l->is_echo ? size : 0;
    note_mark(s, size);
}

static void session_read(struct session *s)
{
    struct load *l = s->load;

    for (int i = 0; i < READS_PER_TURN && l->is_reading && !s->is_closing && !s->has_read_end; i++) {
        int64_t n = rtcp_recv(s->stream, l->chunk, CHUNK);
        if (n < 0) {
            break;
        }
        if (n > 0) {
            session_take(s, l->chunk, (size_t)n);
            continue;
        }
        s->has_read_end = true;
        s->is_shut = s->is_shut || l->is_server; /* a server ends when its client does */
        if (s->has_shut) {
            session_close(s, RTCP_LINGER_BACKGROUND);
        }
    }
    if (l->is_echo || s->is_shut) {
        session_send(s);
    }
}

static void on_readable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    session_read(user);
}

static void on_writable(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    session_send(user);
}

static void open_more(struct load *l);

static void on_link(void *user, struct rtcp_stream *stream, bool up)
{
    struct session *s = user;
    struct load *l = s->load;

    (void)stream;
    l->up = up ? l->up + 1 : l->up - 1;
    l->breaks += up ? 0 : 1;
    if (up && !s->was_up) {
        s->was_up = true;
        l->opening -= l->is_server ? 0 : 1;
        open_more(l);
    }
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct session *s = user;
    struct load *l = s->load;
    struct session *last = l->all[l->count - 1];
    char rest[160];

    (void)stream;
    last->place = s->place;
    l->all[s->place] = last;
    l->count--;
    l->closed_well += status == 0 && unacknowledged == 0;
    l->closed_ill += status != 0 || unacknowledged != 0;
    l->last_status = base_status_name(status);
    l->opening -= !l->is_server && !s->was_up;
    if (l->count == 0) {
        (void)snprintf(rest, sizeof rest,
                       ",\"well\":%" PRIu32 ",\"ill\":%" PRIu32 ",\"status\":\"%s\",\"unacknowledged\":%" PRIu64
                       ",\"sent\":%" PRIu64 ",\"received\":%" PRIu64,
                       l->closed_well, l->closed_ill, l->last_status, unacknowledged, s->sent, s->received);
        tell("all_closed", rest);
    }
    free(s);
    open_more(l);
}

static const struct rtcp_stream_callbacks callbacks = {
    .on_readable = on_readable, .on_writable = on_writable, .on_link = on_link, .on_closed = on_closed};

static struct session *session_new(struct load *l)
{
    struct session *s = l->count < SESSIONS_MAX ? calloc(1, sizeof *s) : NULL;
    if (s == NULL) {
        fprintf(stderr, "rtcp-load: no room for another session\n");
        exit(1);
    }
    s->load = l;
    s->place = l->count;
    l->all[l->count++] = s;
    l->made++;
    return s;
}

/* ------------------------------------------------------------------------------------------------ opening */

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct session *s = session_new(user);

    (void)listener;
    s->stream = stream;
    rtcp_stream_set_callbacks(stream, &callbacks, s);
}

/* Opens what was asked for, a few at a time; tells when all of them have a connection. */
static void open_more(struct load *l)
{
    char rest[80];

    while (l->to_open > 0 && l->opening < OPENING_MAX) {
        struct session *s = session_new(l);
        int status = rtcp_connect(l->endpoint, l->address, &l->options, &callbacks, s, &s->stream);
        if (status < 0) {
            fprintf(stderr, "rtcp-load: %s: %s\n", l->address, base_status_text(status));
            exit(1);
        }
        l->to_open--;
        l->opening++;
    }
    if (!l->is_server && l->opening == 0 && l->to_open == 0 && l->opened_told < l->made) {
        l->opened_told = l->made;
        (void)snprintf(rest, sizeof rest, ",\"sessions\":%" PRIu32, l->count);
        tell("opened", rest);
    }
}

/* ------------------------------------------------------------------------------------------------ commands */

struct sums {
    uint32_t passive;
    uint64_t sent, received, received_least, unacknowledged, unacknowledged_least, repeated, connections;
    base_time blocked_send_least, silent_most, disconnected_most;
};

static void sum_up(const struct load *l, struct sums *ret)
{
    struct sums sum = {
        .received_least = UINT64_MAX, .unacknowledged_least = UINT64_MAX, .blocked_send_least = BASE_S(1 << 20)};

    for (uint32_t i = 0; i < l->count; i++) {
        const struct session *s = l->all[i];
        struct rtcp_info info;
        rtcp_info(s->stream, &info);
        sum.passive += info.state == RTCP_PASSIVE;
        sum.sent += s->sent;
        sum.received += s->received;
        sum.unacknowledged += info.unacknowledged;
        sum.repeated += info.repeated;
        sum.connections += info.connections;
        sum.received_least = s->received < sum.received_least ? s->received : sum.received_least;
        if (info.unacknowledged < sum.unacknowledged_least) {
            sum.unacknowledged_least = info.unacknowledged;
        }
        if (info.blocked_send < sum.blocked_send_least) {
            sum.blocked_send_least = info.blocked_send;
        }
        sum.silent_most = info.silent > sum.silent_most ? info.silent : sum.silent_most;
        sum.disconnected_most = info.disconnected > sum.disconnected_most ? info.disconnected : sum.disconnected_most;
    }
    *ret = sum;
}

static void tell_stats(const struct load *l)
{
    char rest[1024];
    struct sums sum;
    struct rtcp_stats st;

    sum_up(l, &sum);
    rtcp_endpoint_stats(l->endpoint, &st);
    (void)snprintf(
        rest, sizeof rest,
        ",\"sessions\":%" PRIu32 ",\"passive\":%" PRIu32 ",\"made\":%" PRIu32 ",\"up\":%" PRIu32 ",\"sent\":%" PRIu64
        ",\"received\":%" PRIu64 ",\"received_least\":%" PRIu64 ",\"unacknowledged\":%" PRIu64
        ",\"unacknowledged_least\":%" PRIu64 ",\"repeated\":%" PRIu64 ",\"connections\":%" PRIu64
        ",\"blocked_send_least\":%" PRIu64 ",\"disconnected_most\":%" PRIu64 ",\"breaks\":%" PRIu64 ",\"well\":%" PRIu32
        ",\"ill\":%" PRIu32 ",\"accepted\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"dropped\":%" PRIu64
        ",\"resumes\":%" PRIu64 ",\"datagrams_sent\":%" PRIu64 ",\"datagrams_received\":%" PRIu64
        ",\"messages_dropped\":%" PRIu64 ",\"acks_stale\":%" PRIu64,
        l->count, sum.passive, l->made, l->up, sum.sent, sum.received, l->count == 0 ? 0 : sum.received_least,
        sum.unacknowledged, l->count == 0 ? 0 : sum.unacknowledged_least, sum.repeated, sum.connections,
        sum.blocked_send_least, sum.disconnected_most, l->breaks, l->closed_well, l->closed_ill,
        st.connections_accepted, st.handshakes_refused, st.handshakes_dropped, st.resumes, st.datagrams_sent,
        st.datagrams_received, st.messages_dropped, st.acks_stale);
    tell("stats", rest);
}

static void mark(struct load *l, uint64_t size)
{
    for (uint32_t i = 0; i < l->count; i++) {
        l->all[i]->since_mark = 0;
    }
    l->mark = size;
    l->marked = 0;
    tell("marked", "");
}

/* A session leaves the list in its on_closed only, and that never runs inside a call. */
static void for_each(struct load *l, const char *word, uint64_t n)
{
    uint64_t closed = 0;

    for (uint32_t i = 0; i < l->count; i++) {
        struct session *s = l->all[i];
        if (strcmp(word, "send") == 0) {
            s->to_send += n;
            session_send(s);
        } else if (strcmp(word, "shut") == 0) {
            s->is_shut = true;
            session_send(s);
        } else if (strcmp(word, "read") == 0) {
            session_read(s);
        } else if (strcmp(word, "passivate") == 0) {
            (void)rtcp_passivate(s->stream); /* what is over stays over */
        } else if (strcmp(word, "replace") == 0) {
            (void)rtcp_replace(s->stream);
        } else if ((strcmp(word, "close") == 0 || strcmp(word, "abort") == 0) && !s->is_closing &&
                   (n == 0 || closed++ < n)) {
            session_close(s, word[0] == 'a' ? RTCP_LINGER_ABORT : RTCP_LINGER_BACKGROUND);
        }
    }
}

static void obey(struct load *l, const char *text)
{
    char word[16] = "";
    uint64_t n = 0;

    if (sscanf(text, "%15s %" SCNu64, word, &n) < 1) {
        return;
    }
    if (strcmp(word, "quit") == 0) {
        ev_break(l->loop, EVBREAK_ALL);
    } else if (strcmp(word, "stats") == 0) {
        tell_stats(l);
    } else if (strcmp(word, "mark") == 0) {
        mark(l, n);
    } else if (strcmp(word, "trim") == 0) {
        (void)malloc_trim(0); /* what the library gave back shows in the resident size */
        tell("trimmed", "");
    } else if (strcmp(word, "open") == 0) {
        l->to_open += (uint32_t)n;
        open_more(l);
    } else {
        l->is_reading = strcmp(word, "read") == 0 ? n != 0 : l->is_reading;
        for_each(l, word, n);
    }
}

static void on_command(struct ev_loop *loop, ev_io *watcher, int events)
{
    struct load *l = watcher->data;
    char *end;

    (void)events;
    ssize_t n = read(STDIN_FILENO, l->line + l->line_size, sizeof l->line - 1 - l->line_size);
    if (n <= 0) {
        if (n == 0 || errno != EAGAIN) {
            ev_break(loop, EVBREAK_ALL);
        }
        return;
    }
    l->line_size += (size_t)n;
    l->line[l->line_size] = '\0';
    while ((end = strchr(l->line, '\n')) != NULL) {
        *end = '\0';
        obey(l, l->line);
        l->line_size -= (size_t)(end + 1 - l->line);
        memmove(l->line, end + 1, l->line_size + 1);
    }
}

/* ------------------------------------------------------------------------------------------------ start */

static const char help[] =
    "usage: rtcp-load serve|drive ADDRESS [--ring N] [--ring-max N] [--sendfile] [--idle-probe S] [--service NAME] "
    "[--echo] [--retry]\n"
    "commands on stdin: open N, send N (bytes, each), read 0|1, shut, close [N], abort [N], mark N, stats, trim, "
    "quit\n";

static bool take_option(struct load *l, int option)
{
    switch (option) {
    case 'r':
        l->options.ring = (uint32_t)strtoul(optarg, NULL, 10);
        return true;
    case 'i':
        l->options.idle_probe = (base_time)(strtod(optarg, NULL) * 1e9);
        return true;
    case 'm':
        l->options.ring_max = (uint32_t)strtoul(optarg, NULL, 10);
        return true;
    case 'f':
        l->options.sendfile = true;
        return true;
    case 's':
        l->service = optarg;
        return true;
    case 'e':
        l->is_echo = true;
        return true;
    case 't':
        l->options.retry_refused = true;
        return true;
    }
    return false;
}

static bool parse(struct load *l, int argc, char **argv)
{
    static const struct option options[] = {
        {"ring", required_argument, NULL, 'r'},    {"idle-probe", required_argument, NULL, 'i'},
        {"service", required_argument, NULL, 's'}, {"ring-max", required_argument, NULL, 'm'},
        {"sendfile", no_argument, NULL, 'f'},      {"echo", no_argument, NULL, 'e'},
        {"retry", no_argument, NULL, 't'},         {NULL, 0, NULL, 0}};

    for (int c = getopt_long(argc, argv, "", options, NULL); c != -1; c = getopt_long(argc, argv, "", options, NULL)) {
        if (!take_option(l, c)) {
            return false;
        }
    }
    if (argc - optind != 2) {
        return false;
    }
    l->is_server = strcmp(argv[optind], "serve") == 0;
    l->address = argv[optind + 1];
    return l->is_server || strcmp(argv[optind], "drive") == 0;
}

static int start(struct load *l)
{
    struct rtcp_listen_options listen;
    int status;

    l->loop = ev_default_loop(0);
    l->all = calloc(SESSIONS_MAX, sizeof(struct session *));
    status = l->loop == NULL || l->all == NULL ? BASE_E_NOMEM : rtcp_endpoint_open(l->loop, NULL, &l->endpoint);
    if (status < 0) {
        return status;
    }
    if (!l->is_server) {
        l->options.service = l->service;
        tell("ready", "");
        return 0;
    }
    rtcp_listen_options_default(&listen);
    listen.stream = l->options;
    listen.service = l->service;
    listen.backlog = 4096;
    status = rtcp_listen(l->endpoint, l->address, &listen, on_accept, l, &l->listener);
    if (status == 0) {
        tell("ready", "");
    }
    return status;
}

/* A session needs a descriptor for its connection, and one more while that is replaced. */
static void raise_limits(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

int main(int argc, char **argv)
{
    struct load *l = calloc(1, sizeof *l);
    int status;

    if (l == NULL) {
        return 1;
    }
    rtcp_stream_options_default(&l->options);
    l->is_reading = true;
    if (!parse(l, argc, argv)) {
        (void)fputs(help, stderr);
        return 2;
    }
    raise_limits();
    make_patterns(l);
    status = start(l);
    if (status < 0) {
        fprintf(stderr, "rtcp-load: %s: %s\n", l->address, base_status_text(status));
        return 1;
    }
    (void)fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK);
    ev_io_init(&l->commands, on_command, STDIN_FILENO, EV_READ);
    l->commands.data = l;
    ev_io_start(l->loop, &l->commands);
    (void)ev_run(l->loop, 0);
    rtcp_endpoint_close(l->endpoint);
    for (uint32_t i = 0; i < l->count; i++) {
        free(l->all[i]);
    }
    free(l->all);
    free(l);
    return 0;
}
