/* A replicated counter: each line read is a number that all members add; `?` reads. See --help. */
#include "replication/replication.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct counter {
    struct replica *replica;
    uint64_t sum;
};

static void apply(void *user, const struct replica_command *command, struct replica_answer *answer)
{
    if (command->data.size == 8) {
        ((struct counter *)user)->sum += base_get64(command->data.data);
    }
    (void)answer;
}

static void on_done(void *user, int status, struct base_bytes answer)
{
    printf("%lld (%s)\n", (long long)((struct counter *)user)->sum, base_status_text(status));
    (void)answer;
}

static void on_end(void *user, int status, struct base_bytes answer)
{
    on_done(user, status, answer);
    ev_break(EV_DEFAULT_UC_ EVBREAK_ALL);
}

static void on_line(struct ev_loop *loop, struct ev_io *io, int events)
{
    struct counter *c = io->data;
    char line[128];
    uint8_t number[8];
    int status;

    (void)events;
    if (fgets(line, sizeof line, stdin) == NULL) {
        ev_io_stop(loop, io);
        status = replica_read(c->replica, on_end, c); /* answers come in order: this one is the last */
    } else if (line[0] == '?') {
        status = replica_read(c->replica, on_done, c);
    } else {
        base_put64(number, (uint64_t)strtoll(line, NULL, 10));
        status = replica_submit(c->replica, (struct base_bytes){number, 8}, on_done, c);
    }
    if (status < 0) {
        (ev_is_active(io) ? on_done : on_end)(c, status, (struct base_bytes){NULL, 0});
    }
}

static void on_excluded(void *user, int status, const char *why)
{
    (void)user;
    fprintf(stderr, "counter: %s (%s)\n", why, base_status_text(status));
    exit(1);
}

int main(int argc, char **argv)
{
    const struct group_callbacks callbacks = {.on_excluded = on_excluded};
    struct group_address member[GROUP_MEMBERS_MAX];
    struct counter c = {0};
    struct replica_options o;
    struct ev_io input = {.data = &c};
    int status;

    if (argc < 3 || argc > 2 + GROUP_MEMBERS_MAX) {
        puts("usage: counter ID HOST:PORT HOST:PORT ...   member ID (1 = the first address) of a group\n"
             "Start one for each address, in any order. Then a line `5` on standard input adds 5 to the\n"
             "counter that all share, a line `?` reads it; both print its value. Ends with the input.");
        return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 2;
    }
    replica_options_default(&o);
    o.group.name = "counter";
    o.group.self = (uint32_t)strtoul(argv[1], NULL, 10);
    o.group.member = member;
    for (int i = 2; i < argc; i++) {
        member[o.group.member_count++] = (struct group_address){(uint32_t)i - 1, argv[i]};
    }
    status = replica_found(EV_DEFAULT, &o, &(struct replica_machine){.apply = apply}, &callbacks, &c, &c.replica);
    if (status < 0) {
        fprintf(stderr, "counter: %s\n", base_status_text(status));
        return 1;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0); /* nothing waits inside stdin while the loop waits for its descriptor */
    ev_io_init(&input, on_line, STDIN_FILENO, EV_READ);
    ev_io_start(EV_DEFAULT_UC_ & input);
    ev_run(EV_DEFAULT_UC_ 0);
    replica_close(c.replica);
    return 0;
}
