/* See admin_loop.h. */
#include "rtcp/base/admin_loop.h"

#include "rtcp/base/bytes.h"
#include "rtcp/base/check.h"

#include <errno.h>
#include <ev.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG     16
#define PAUSE_S     1. /* no descriptors left: the acceptor rests */
#define ROOM_FIRST  4096u
#define ROOM_AT_END 256u /* of every answer, so that its last lines always fit */
#define FIELD_MAX   64u  /* a number as text with its punctuation, besides its key */

struct base_admin_answer {
    char *text;
    size_t size, room, sent;
    size_t whole; /* bytes of complete lines */
    uint64_t lines;
    bool is_cut; /* a line did not fit: it and all later ones are left out */
    bool is_first_field;
};

struct client {
    struct holdfast_admin *admin;
    int fd; /* -1: free */
    ev_io reader, writer;
    ev_timer patience;
    char in[BASE_ADMIN_LINE_MAX];
    size_t in_size;
    bool is_ending; /* nothing more is read: hang up when all is written */
    struct base_admin_answer answer;
};

struct holdfast_admin {
    struct ev_loop *loop;
    int fd;
    pid_t owner;
    dev_t device; /* of the file, so that nobody else's is removed */
    ino_t inode;
    struct sockaddr_un address;
    ev_io acceptor;
    ev_timer pause;
    struct {
        const char *name;
        base_admin_command *command;
        void *user;
    } command[BASE_ADMIN_COMMANDS_MAX];
    size_t command_count;
    struct client client[BASE_ADMIN_CLIENTS_MAX];
};

/* ------------------------------------------------------------------------------------------------ answers */

/* Room for size bytes more; false: the answer is cut. */
static bool make_room(struct base_admin_answer *a, size_t size, size_t most)
{
    size_t room = a->room == 0 ? ROOM_FIRST : a->room;
    char *text;

    if (size > most || a->size > most - size) {
        return false;
    }
    while (room < a->size + size) {
        room *= 2;
    }
    if (room == a->room) {
        return true;
    }
    text = realloc(a->text, room);
    if (text == NULL) {
        return false;
    }
    a->text = text;
    a->room = room;
    return true;
}

static void put(struct base_admin_answer *a, const char *text, size_t size)
{
    if (a->is_cut || !make_room(a, size + ROOM_AT_END, BASE_ADMIN_ANSWER_MAX)) {
        a->is_cut = true;
        return;
    }
    base_copy(a->text + a->size, text, size);
    a->size += size;
}

static void put_key(struct base_admin_answer *a, const char *key)
{
    put(a, a->is_first_field ? "\"" : ",\"", a->is_first_field ? 1 : 2);
    a->is_first_field = false;
    put(a, key, strlen(key));
    put(a, "\":", 2);
}

void base_admin_begin(struct base_admin_answer *answer)
{
    answer->is_first_field = true;
    put(answer, "{", 1);
}

void base_admin_end(struct base_admin_answer *answer)
{
    put(answer, "}\n", 2);
    if (!answer->is_cut) {
        answer->whole = answer->size;
        answer->lines++;
    }
}

void base_admin_text(struct base_admin_answer *answer, const char *key, const char *text)
{
    put_key(answer, key);
    put(answer, "\"", 1);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c == '"' || c == '\\' || c == 0x7f) {
            char escaped[8];

            (void)snprintf(escaped, sizeof escaped, "\\u%04x", c);
            put(answer, escaped, 6);
        } else {
            put(answer, text, 1);
        }
    }
    put(answer, "\"", 1);
}

static void put_field(struct base_admin_answer *a, const char *key, const char *text)
{
    put_key(a, key);
    put(a, text, strlen(text));
}

void base_admin_number(struct base_admin_answer *answer, const char *key, uint64_t value)
{
    char text[FIELD_MAX];

    (void)snprintf(text, sizeof text, "%" PRIu64, value);
    put_field(answer, key, text);
}

void base_admin_hex(struct base_admin_answer *answer, const char *key, uint64_t value)
{
    char text[FIELD_MAX];

    (void)snprintf(text, sizeof text, "\"%016" PRIx64 "\"", value);
    put_field(answer, key, text);
}

void base_admin_time(struct base_admin_answer *answer, const char *key, base_time value)
{
    char text[FIELD_MAX];

    (void)snprintf(text, sizeof text, "%" PRIu64 ".%06" PRIu64, value / BASE_S(1), value % BASE_S(1) / BASE_US(1));
    put_field(answer, key, text);
}

void base_admin_bool(struct base_admin_answer *answer, const char *key, bool value)
{
    put_field(answer, key, value ? "true" : "false");
}

static void put_error(struct base_admin_answer *a, const char *text)
{
    base_admin_begin(a);
    base_admin_text(a, "error", text);
    base_admin_end(a);
}

/* The last lines; ROOM_AT_END was kept for them. False: there was no memory at all. */
static bool finish_answer(struct base_admin_answer *a, const char *name)
{
    int n;

    a->size = a->whole;
    if (!make_room(a, ROOM_AT_END, BASE_ADMIN_ANSWER_MAX + ROOM_AT_END)) {
        return false;
    }
    n = snprintf(a->text + a->size, ROOM_AT_END, "%s{\"end\":\"%s\",\"lines\":%" PRIu64 "}\n",
                 a->is_cut ? "{\"error\":\"the rest was left out: the answer is too long, or there is no memory\"}\n"
                           : "",
                 name, a->lines);
    CHECK(n > 0 && (size_t)n < ROOM_AT_END);
    a->size += (size_t)n;
    return true;
}

static void drop_answer(struct base_admin_answer *a)
{
    free(a->text);
    *a = (struct base_admin_answer){0};
}

/* ------------------------------------------------------------------------------------------------ clients */

static void hang_up(struct client *c)
{
    struct ev_loop *loop = c->admin->loop;

    ev_ref(loop); /* see greet() */
    ev_io_stop(loop, &c->reader);
    ev_io_stop(loop, &c->writer);
    ev_timer_stop(loop, &c->patience);
    (void)close(c->fd);
    drop_answer(&c->answer);
    c->fd = -1;
}

static void list_commands(const struct holdfast_admin *admin, struct base_admin_answer *a)
{
    for (size_t i = 0; i < admin->command_count; i++) {
        bool is_told = false;

        for (size_t k = 0; k < i; k++) {
            is_told = is_told || strcmp(admin->command[k].name, admin->command[i].name) == 0;
        }
        if (!is_told) {
            base_admin_begin(a);
            base_admin_text(a, "command", admin->command[i].name);
            base_admin_end(a);
        }
    }
}

/* Writes the answer to a line. The name at its end is ours, never the client's bytes. */
static bool answer_line(struct client *c, const char *line, size_t size)
{
    const struct holdfast_admin *admin = c->admin;
    const char *name = NULL;

    for (size_t i = 0; i < admin->command_count; i++) {
        if (strlen(admin->command[i].name) == size && memcmp(admin->command[i].name, line, size) == 0) {
            name = admin->command[i].name;
            admin->command[i].command(admin->command[i].user, &c->answer);
        }
    }
    if (name == NULL && size == 4 && memcmp(line, "help", 4) == 0) {
        name = "help";
        list_commands(admin, &c->answer);
    }
    if (name == NULL) {
        put_error(&c->answer, "no such command: say help");
    }
    return finish_answer(&c->answer, name == NULL ? "" : name);
}

/* Writes what the socket takes. False: the client is gone. */
static bool flush(struct client *c)
{
    struct base_admin_answer *a = &c->answer;

    while (a->sent < a->size) {
        ssize_t n = send(c->fd, a->text + a->sent, a->size - a->sent, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0 && errno == EAGAIN) {
            return true;
        }
        if (n < 0) {
            hang_up(c);
            return false;
        }
        a->sent += (size_t)n;
    }
    drop_answer(a);
    return true;
}

/* Answers one whole line if there is one. False: the client is gone. */
static bool take_line(struct client *c, bool *ret_took)
{
    const char *end = memchr(c->in, '\n', c->in_size);
    size_t size = end == NULL ? 0 : (size_t)(end - c->in);
    bool is_fine;

    *ret_took = end != NULL;
    if (end == NULL && c->in_size == sizeof c->in) {
        c->is_ending = true;
        c->in_size = 0;
        put_error(&c->answer, "the line is too long");
        is_fine = finish_answer(&c->answer, "");
    } else if (end != NULL) {
        is_fine = answer_line(c, c->in, size > 0 && c->in[size - 1] == '\r' ? size - 1 : size);
        c->in_size -= size + 1;
        base_move(c->in, end + 1, c->in_size);
    } else {
        return true;
    }
    if (!is_fine) {
        hang_up(c);
        return false;
    }
    return flush(c);
}

/* What the client's watchers wait for now. A client is read only while nothing waits to be written to it. */
static void settle(struct client *c, bool took)
{
    struct ev_loop *loop = c->admin->loop;
    bool is_writing = c->answer.sent < c->answer.size;

    if (!is_writing && c->is_ending && !took) {
        hang_up(c);
        return;
    }
    if (is_writing || took) { /* also for the next line that is here already: one answer a turn */
        ev_io_start(loop, &c->writer);
        ev_io_stop(loop, &c->reader);
    } else {
        ev_io_stop(loop, &c->writer);
        ev_io_start(loop, &c->reader);
    }
    if (!ev_is_active(&c->writer)) {
        ev_timer_stop(loop, &c->patience);
    } else if (!ev_is_active(&c->patience)) {
        ev_now_update(loop); /* the answer may have taken its time: that is not the reader's */
        ev_timer_set(&c->patience, (double)BASE_ADMIN_PATIENCE / 1e9, 0.);
        ev_timer_start(loop, &c->patience);
    }
}

static void on_reader(struct ev_loop *loop, ev_io *w, int events)
{
    struct client *c = w->data;
    ssize_t n = recv(c->fd, c->in + c->in_size, sizeof c->in - c->in_size, MSG_DONTWAIT);
    bool took;

    (void)loop;
    (void)events;
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    if (n < 0) {
        hang_up(c);
        return;
    }
    c->is_ending = n == 0; /* it may have shut down only its own direction: answer what it asked */
    c->in_size += (size_t)n;
    if (take_line(c, &took)) {
        settle(c, took);
    }
}

static void on_writer(struct ev_loop *loop, ev_io *w, int events)
{
    struct client *c = w->data;
    bool took = false;

    (void)events;
    ev_timer_stop(loop, &c->patience); /* it reads: full patience again */
    if (!flush(c)) {
        return;
    }
    if (c->answer.size == 0 && !take_line(c, &took)) {
        return;
    }
    settle(c, took);
}

static void on_patience(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    hang_up(w->data);
}

/* ------------------------------------------------------------------------------------------------ the socket */

static bool is_allowed(int fd)
{
    struct ucred who;
    socklen_t size = sizeof who;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size) == 0 && (who.uid == geteuid() || who.uid == 0);
}

static void greet(struct holdfast_admin *admin, int fd)
{
    static const char full[] = "{\"error\":\"too many clients\"}\n";

    if (!is_allowed(fd)) {
        (void)close(fd);
        return;
    }
    for (size_t i = 0; i < BASE_ADMIN_CLIENTS_MAX; i++) {
        struct client *c = &admin->client[i];

        if (c->fd < 0) {
            *c = (struct client){.admin = admin, .fd = fd};
            ev_io_init(&c->reader, on_reader, fd, EV_READ);
            ev_io_init(&c->writer, on_writer, fd, EV_WRITE);
            ev_init(&c->patience, on_patience);
            c->reader.data = c;
            c->writer.data = c;
            c->patience.data = c;
            ev_io_start(admin->loop, &c->reader);
            ev_unref(admin->loop); /* one who only watches does not keep the loop running */
            return;
        }
    }
    (void)!send(fd, full, sizeof full - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)close(fd);
}

static void on_acceptor(struct ev_loop *loop, ev_io *w, int events)
{
    struct holdfast_admin *admin = w->data;
    int fd = accept4(admin->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    (void)events;
    if (fd >= 0) {
        greet(admin, fd);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
        ev_io_stop(loop, &admin->acceptor); /* it would be called again at once, for ever */
        ev_timer_set(&admin->pause, PAUSE_S, 0.);
        ev_timer_start(loop, &admin->pause);
    }
}

static void on_pause(struct ev_loop *loop, ev_timer *w, int events)
{
    struct holdfast_admin *admin = w->data;

    (void)events;
    ev_io_start(loop, &admin->acceptor);
}

/* Whether the file is a socket that nobody listens at any more. */
static bool is_left_over(const struct sockaddr_un *address)
{
    struct stat s;
    int fd;
    bool is_dead;

    if (lstat(address->sun_path, &s) < 0 || !S_ISSOCK(s.st_mode)) {
        return false;
    }
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return false;
    }
    is_dead = connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED;
    (void)close(fd);
    return is_dead;
}

/* The file may be another's by now: of a process that found ours dead, or a copy of us after a fork. */
static void remove_file(const struct holdfast_admin *admin)
{
    struct stat s;

    if (admin->owner == getpid() && lstat(admin->address.sun_path, &s) == 0 && s.st_dev == admin->device &&
        s.st_ino == admin->inode) {
        (void)unlink(admin->address.sun_path);
    }
}

static int bind_at(struct holdfast_admin *admin)
{
    const struct sockaddr *address = (const struct sockaddr *)&admin->address;
    struct stat s;

    admin->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* The file gets the mode of the socket: it is never open to others, not even for a moment. */
    if (admin->fd < 0 || fchmod(admin->fd, 0600) < 0) {
        return BASE_E_SYSTEM;
    }
    if (bind(admin->fd, address, sizeof admin->address) < 0) {
        if (errno != EADDRINUSE) {
            return BASE_E_SYSTEM;
        }
        if (!is_left_over(&admin->address)) {
            return BASE_E_EXISTS;
        }
        if (unlink(admin->address.sun_path) < 0 || bind(admin->fd, address, sizeof admin->address) < 0) {
            return BASE_E_SYSTEM;
        }
    }
    if (lstat(admin->address.sun_path, &s) < 0) {
        return BASE_E_SYSTEM;
    }
    admin->device = s.st_dev;
    admin->inode = s.st_ino;
    if (listen(admin->fd, BACKLOG) < 0) {
        int error = errno;

        remove_file(admin); /* nobody answers there */
        errno = error;
        return BASE_E_SYSTEM;
    }
    return 0;
}

int base_admin_open(struct ev_loop *loop, const char *path, struct holdfast_admin **ret_admin)
{
    struct holdfast_admin *admin;
    size_t size = strlen(path);
    int status;

    if (size == 0 || size >= sizeof admin->address.sun_path) {
        return BASE_E_INVALID;
    }
    admin = calloc(1, sizeof *admin);
    if (admin == NULL) {
        return BASE_E_NOMEM;
    }
    admin->loop = loop;
    admin->owner = getpid();
    admin->address.sun_family = AF_UNIX;
    base_copy(admin->address.sun_path, path, size);
    for (size_t i = 0; i < BASE_ADMIN_CLIENTS_MAX; i++) {
        admin->client[i].fd = -1;
    }
    status = bind_at(admin);
    if (status < 0) {
        int error = errno;

        if (admin->fd >= 0) {
            (void)close(admin->fd);
        }
        free(admin);
        errno = error;
        return status;
    }
    ev_io_init(&admin->acceptor, on_acceptor, admin->fd, EV_READ);
    ev_init(&admin->pause, on_pause);
    admin->acceptor.data = admin;
    admin->pause.data = admin;
    ev_io_start(loop, &admin->acceptor);
    ev_unref(loop);
    *ret_admin = admin;
    return 0;
}

void base_admin_close(struct holdfast_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    for (size_t i = 0; i < BASE_ADMIN_CLIENTS_MAX; i++) {
        if (admin->client[i].fd >= 0) {
            hang_up(&admin->client[i]);
        }
    }
    ev_ref(admin->loop);
    ev_io_stop(admin->loop, &admin->acceptor);
    ev_timer_stop(admin->loop, &admin->pause);
    remove_file(admin);
    (void)close(admin->fd);
    free(admin);
}

void base_admin_close_copies(const struct holdfast_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    for (size_t i = 0; i < BASE_ADMIN_CLIENTS_MAX; i++) {
        if (admin->client[i].fd >= 0) {
            (void)close(admin->client[i].fd);
        }
    }
    (void)close(admin->fd);
}

int base_admin_add(struct holdfast_admin *admin, const char *name, base_admin_command *command, void *user)
{
    if (admin->command_count == BASE_ADMIN_COMMANDS_MAX) {
        return BASE_E_RANGE;
    }
    admin->command[admin->command_count].name = name;
    admin->command[admin->command_count].command = command;
    admin->command[admin->command_count].user = user;
    admin->command_count++;
    return 0;
}

void base_admin_remove(struct holdfast_admin *admin, const void *user)
{
    size_t kept = 0;

    for (size_t i = 0; i < admin->command_count; i++) {
        if (admin->command[i].user != user) {
            admin->command[kept++] = admin->command[i];
        }
    }
    admin->command_count = kept;
}
