/* kv: a replicated key-value server that speaks the Redis protocol. See options.c for --help.
 *
 * Owns      the process: it joins the machine, the replica and the server.
 * Relies on all files of this folder.
 */
#include "examples/kv/limits.h"
#include "examples/kv/machine.h"
#include "examples/kv/options.h"
#include "examples/kv/server_loop.h"

#include <inttypes.h>
#include <malloc.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define LARGE_MEMORY      (256 << 10) /* pieces from here on are given back to the system when they are freed */
#define SPARE_DESCRIPTORS 128         /* for the group's streams, files, and the library */

struct app {
    struct kv_options options;
    struct kv_log log;
    struct kv_machine machine;
    struct kv_service service;
    struct kv_about about;
    struct kv_server server;
    struct replica *replica;
    int exit_status;
};

/* ------------------------------------------------------------------------------------------------ from the group */

static void on_view(void *user, const struct group_view *view, const struct group_difference *difference,
                    const char *reason)
{
    struct app *app = user;
    const struct kv_field fields[] = {{"id", NULL, view->id},
                                      {"members", NULL, view->count},
                                      {"joined", NULL, difference->joined_count},
                                      {"left", NULL, difference->left_count},
                                      {"why", reason, 0},
                                      {NULL, NULL, 0}};

    kv_log_event(&app->log, "view", fields);
}

static void on_quorum(void *user, bool has_quorum, base_time since)
{
    struct app *app = user;

    (void)since;
    kv_log_event(&app->log, has_quorum ? "majority heard" : "majority not heard", NULL);
}

static void on_leader(void *user, uint32_t member_id, uint64_t term)
{
    struct app *app = user;
    const struct kv_field fields[] = {{"leader", NULL, member_id}, {"term", NULL, term}, {NULL, NULL, 0}};

    kv_log_event(&app->log, member_id == 0 ? "no leader known" : "leader known", fields);
}

static void on_link(void *user, uint32_t member_id, bool up)
{
    struct app *app = user;
    const struct kv_field fields[] = {{"to", NULL, member_id}, {NULL, NULL, 0}};

    kv_log_event(&app->log, up ? "link up" : "link down", fields);
}

static void on_writable(void *user)
{
    struct app *app = user;

    kv_server_go(&app->server);
}

static void on_excluded(void *user, int status, const char *why)
{
    struct app *app = user;
    const struct kv_field fields[] = {{"why", why, 0}, {"what to do", base_status_text(status), 0}, {NULL, NULL, 0}};

    kv_log_event(&app->log, "not a member", fields);
    fprintf(stderr, "kv: this process cannot be a member: %s\n", why);
    app->exit_status = 1;
    ev_break(app->server.loop, EVBREAK_ALL);
}

/* ------------------------------------------------------------------------------------------------ for the clients */

static int submit(void *user, struct base_bytes command, replica_on_answer *on_answer, void *request)
{
    struct app *app = user;

    return replica_submit(app->replica, command, on_answer, request);
}

static int read_point(void *user, replica_on_answer *on_ready, void *request)
{
    struct app *app = user;

    return replica_read(app->replica, on_ready, request);
}

static void tell_stats(void *user, struct replica_stats *ret_stats)
{
    struct app *app = user;

    replica_stats(app->replica, ret_stats);
}

static const struct group_view *tell_view(void *user)
{
    struct app *app = user;

    return replica_view(app->replica);
}

static void tell_counts(void *user, struct kv_counts *ret_counts)
{
    struct app *app = user;

    kv_server_counts(&app->server, ret_counts);
}

/* apply and the others get the machine, the group's callbacks get the app: one user serves both. */
static void apply(void *user, const struct replica_command *command, struct replica_answer *answer)
{
    struct app *app = user;

    kv_machine_apply(&app->machine, command, answer);
}

static int save(void *user, struct replica_writer *writer)
{
    struct app *app = user;

    return kv_machine_save(&app->machine, writer);
}

static int load(void *user, struct replica_reader *reader)
{
    struct app *app = user;

    return kv_machine_load(&app->machine, reader);
}

/* ------------------------------------------------------------------------------------------------ start and end */

static void on_signal(struct ev_loop *loop, struct ev_signal *w, int events)
{
    struct app *app = w->data;
    const struct kv_field fields[] = {{"signal", NULL, (uint64_t)w->signum}, {NULL, NULL, 0}};

    (void)events;
    kv_log_event(&app->log, "stopping", fields);
    ev_break(loop, EVBREAK_ALL);
}

/* Raises the limit of descriptors as far as it is allowed; gives back how many clients fit. */
static size_t raise_descriptors(size_t clients)
{
    struct rlimit limit = {0, 0};

    (void)getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < clients + SPARE_DESCRIPTORS) {
        limit.rlim_cur = limit.rlim_max < clients + SPARE_DESCRIPTORS ? limit.rlim_max : clients + SPARE_DESCRIPTORS;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= clients + SPARE_DESCRIPTORS) {
        return clients;
    }
    return limit.rlim_cur > 2 * SPARE_DESCRIPTORS ? (size_t)limit.rlim_cur - SPARE_DESCRIPTORS : SPARE_DESCRIPTORS;
}

static int open_replica(struct app *app, struct ev_loop *loop)
{
    static const struct replica_machine machine = {.apply = apply, .save = save, .load = load};
    static const struct group_callbacks callbacks = {.on_view = on_view,
                                                     .on_quorum = on_quorum,
                                                     .on_leader = on_leader,
                                                     .on_link = on_link,
                                                     .on_writable = on_writable,
                                                     .on_excluded = on_excluded};
    const struct kv_options *from = &app->options;
    struct replica_options o;

    replica_options_default(&o);
    o.group.name = from->name;
    o.group.token = from->token;
    o.group.self = from->self;
    o.group.member = from->member;
    o.group.member_count = from->member_count;
    o.group.listen = from->group_listen;
    o.group.key = from->key_size == 0 ? NULL : from->key;
    o.group.key_size = from->key_size;
    o.group.election_timeout = BASE_MS(from->election_ms);
    o.submit_deadline = BASE_MS(from->submit_ms);
    o.group.trace = (struct base_trace){&app->log, from->is_traced ? kv_log_trace : kv_log_strangers};
    return replica_found(loop, &o, &machine, &callbacks, app, &app->replica);
}

static int fail(const char *what, int status)
{
    fprintf(stderr, "kv: %s: %s", what, base_status_text(status));
    if (status == BASE_E_SYSTEM) {
        perror(" ");
    } else {
        fputc('\n', stderr);
    }
    return 1;
}

static int run(struct app *app, struct ev_loop *loop)
{
    struct ev_signal stop[2];
    const int signals[2] = {SIGINT, SIGTERM};
    const struct kv_field fields[] = {{"listen", app->options.listen, 0}, {NULL, NULL, 0}};
    int status = kv_server_open(&app->server, loop, app->options.listen, raise_descriptors(app->options.clients_max),
                                &app->service, &app->log);

    if (status < 0) {
        return fail("cannot listen for Redis clients", status);
    }
    status = open_replica(app, loop);
    if (status < 0) {
        kv_server_close(&app->server);
        return fail("cannot take part in the group", status);
    }
    for (int i = 0; i < 2; i++) {
        ev_signal_init(&stop[i], on_signal, signals[i]);
        stop[i].data = app;
        ev_signal_start(loop, &stop[i]);
    }
    kv_log_event(&app->log, "started", fields);
    ev_run(loop, 0);
    for (int i = 0; i < 2; i++) {
        ev_signal_stop(loop, &stop[i]);
    }
    replica_close(app->replica);
    kv_server_close(&app->server);
    return app->exit_status;
}

int main(int argc, char **argv)
{
    struct app app = {.replica = NULL};
    struct ev_loop *loop;
    uint8_t seed[KV_STORE_SEED_SIZE];
    int status = kv_options_read(&app.options, argc, argv);

    if (status < 0 || app.options.wants_help) {
        fputs(status < 0 ? "" : kv_help, stdout);
        return status < 0 ? 2 : 0;
    }
    (void)mallopt(M_MMAP_THRESHOLD, LARGE_MEMORY);
    loop = ev_default_loop(0);
    if (sodium_init() < 0 || loop == NULL) {
        return fail("cannot start", BASE_E_SYSTEM);
    }
    randombytes_buf(seed, sizeof seed);
    app.log = (struct kv_log){.is_json = app.options.is_json, .self = app.options.self};
    kv_machine_init(&app.machine, seed);
    app.about = (struct kv_about){&app, tell_stats, tell_view, tell_counts};
    app.service = (struct kv_service){
        .user = &app, .submit = submit, .read = read_point, .machine = &app.machine, .about = &app.about};
    status = run(&app, loop);
    kv_service_deinit(&app.service);
    kv_machine_deinit(&app.machine);
    ev_loop_destroy(loop);
    return status;
}
