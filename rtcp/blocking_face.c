/* The endpoint of a process and the thread that runs it: the lock, what other threads ask of it, fork and exit. See
 * blocking_inside.h.
 *
 * Owns      the one mutable global of the house: which endpoint this process has.
 * Relies on libev's way of sharing a loop: the lock is given back while the loop sleeps.
 * Not here  sockets; what goes over connections.
 */
#include "rtcp/base/admin_loop.h"
#include "rtcp/blocking_inside.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EXIT_FLUSH BASE_S(5)
#define EXIT_LOOK  BASE_MS(20) /* how often exit looks whether the peers have everything */

static struct {
    pthread_mutex_t lock; /* for making the face; never taken with the lock of a face */
    _Atomic(struct rtcp_face *) face;
    base_time exit_flush;
    bool is_hooked; /* into fork and exit */
} process = {.lock = PTHREAD_MUTEX_INITIALIZER, .exit_flush = EXIT_FLUSH};

/* ------------------------------------------------------------------------------------------------ the lock */

bool rtcp_face_lock(struct rtcp_face *face)
{
    if (face != atomic_load_explicit(&process.face, memory_order_acquire)) {
        return false; /* a child process: nobody runs this endpoint here */
    }
    pthread_mutex_lock(&face->lock);
    return true;
}

void rtcp_face_unlock(struct rtcp_face *face)
{
    bool is_call_wanted = face->is_call_wanted;

    face->is_call_wanted = false;
    pthread_mutex_unlock(&face->lock);
    if (is_call_wanted) {
        ev_async_send(face->loop, &face->call);
    }
}

void rtcp_face_init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool rtcp_face_wait(struct rtcp_face *face, pthread_cond_t *what, base_time until)
{
    struct timespec at = {.tv_sec = (time_t)(until / BASE_S(1)), .tv_nsec = (long)(until % BASE_S(1))};

    if (until != BASE_NEVER && base_clock_now() >= until) {
        return false;
    }
    if (face->is_call_wanted) { /* what we wait for may depend on it */
        rtcp_face_unlock(face);
        pthread_mutex_lock(&face->lock);
        return true; /* it may have come meanwhile: look again */
    }
    if (rtcp_face_push_held(face)) {
        return true; /* the same */
    }
    return (until == BASE_NEVER ? pthread_cond_wait(what, &face->lock)
                                : pthread_cond_timedwait(what, &face->lock, &at)) != ETIMEDOUT;
}

/* ------------------------------------------------------------------------------------------------ the thread */

static void on_sleep(struct ev_loop *loop)
{
    rtcp_face_unlock(ev_userdata(loop));
}

static void on_awake(struct ev_loop *loop)
{
    struct rtcp_face *face = ev_userdata(loop);

    pthread_mutex_lock(&face->lock);
}

static void leave(void *user)
{
    struct rtcp_face *face = user;

    pthread_mutex_unlock(&face->lock);
}

static void enter(void *user)
{
    struct rtcp_face *face = user;

    pthread_mutex_lock(&face->lock);
}

/* What other threads left to be done. */
static void on_call(struct ev_loop *loop, ev_async *w, int events)
{
    struct rtcp_face *face = w->data;
    struct rtcp_command *command = face->commands;
    struct rtcp_socket *posted = face->posted;

    (void)loop;
    (void)events;
    face->commands = NULL;
    face->posted = NULL;
    while (command != NULL) {
        struct rtcp_command *next = command->next; /* it lives on the stack of a thread that waits for it */

        command->status = command->run(face, command->argument);
        command->error = errno;
        command->is_done = true;
        command = next;
    }
    pthread_cond_broadcast(&face->done);
    while (posted != NULL) {
        struct rtcp_socket *socket = posted;

        posted = socket->next_posted;
        socket->is_posted = false;
        if (socket->wants_alarm) {
            socket->wants_alarm = false;
            rtcp_socket_alarm(socket);
        }
        if (socket->stream != NULL) {
            rtcp_stream_pump(socket->stream, base_clock_now());
        }
        rtcp_socket_release(socket);
    }
    rtcp_shared_link_close_left(face);
    rtcp_endpoint_turn(face->endpoint);
}

static void on_ends(struct ev_loop *loop, ev_io *w, int events)
{
    struct rtcp_face *face = w->data;

    (void)loop;
    (void)events;
    rtcp_shared_link_on_end(face);
    rtcp_endpoint_turn(face->endpoint);
}

static void *run(void *argument)
{
    struct rtcp_face *face = argument;

    pthread_mutex_lock(&face->lock);
    ev_run(face->loop, 0);
    pthread_mutex_unlock(&face->lock);
    return NULL;
}

void rtcp_face_post(struct rtcp_socket *socket)
{
    if (!socket->is_posted) {
        socket->is_posted = true;
        socket->users++;
        socket->next_posted = socket->face->posted;
        socket->face->posted = socket;
        socket->face->is_call_wanted = true;
    }
}

int rtcp_face_run(struct rtcp_face *face, int (*command)(struct rtcp_face *, void *), void *argument)
{
    struct rtcp_command order = {.run = command, .argument = argument};
    struct rtcp_command **last = &face->commands;

    while (*last != NULL) {
        last = &(*last)->next;
    }
    *last = &order;
    face->is_call_wanted = true;
    while (!order.is_done) {
        (void)rtcp_face_wait(face, &face->done, BASE_NEVER);
    }
    errno = order.error;
    return order.status;
}

/* ------------------------------------------------------------------------------------------------ fork and exit */

/* A number that is closed without the lock may be another's before we know that it is closed. */
static void before_fork(void)
{
    struct rtcp_face *face;

    pthread_mutex_lock(&process.lock);
    face = atomic_load(&process.face);
    if (face != NULL) {
        pthread_mutex_lock(&face->lock);
        while (face->is_closing) {
            pthread_cond_wait(&face->done, &face->lock);
        }
    }
}

static void after_fork(void)
{
    struct rtcp_face *face = atomic_load(&process.face);

    if (face != NULL) {
        pthread_mutex_unlock(&face->lock);
    }
    pthread_mutex_unlock(&process.lock);
}

static void close_link(const struct rtcp_link *link)
{
    if (link != NULL && link->shared == NULL && link->fd >= 0) {
        close(link->fd);
    }
}

/* The child's copies of the descriptors: a connection must not stay open because a child knows nothing of it. Nothing
 * else is touched: other threads may have been in the middle of anything but the lock. */
static void in_child(void)
{
    struct rtcp_face *face = atomic_load(&process.face);

    if (face != NULL) {
        for (const struct rtcp_stream *s = face->endpoint->streams; s != NULL; s = s->next) {
            close_link(s->live);
            close_link(s->trying);
            rtcp_dial_close_copies(s);
        }
        for (const struct rtcp_shared_link *l = face->links; l != NULL; l = l->next) {
            close(l->use.fd);
        }
        for (const struct rtcp_listener *l = face->endpoint->listeners; l != NULL; l = l->next) {
            close(l->fd);
        }
        for (const struct rtcp_link *l = face->endpoint->half_open_first; l != NULL; l = l->next) {
            close_link(l);
        }
        for (int i = 0; i < face->endpoint->port_count; i++) {
            close(face->endpoint->port[i].fd);
        }
        if (face->endpoint->hints.fd >= 0) {
            close(face->endpoint->hints.fd);
        }
        if (face->endpoint->spare_fd >= 0) {
            close(face->endpoint->spare_fd);
        }
        rtcp_courier_close_copies(face->endpoint);
        base_admin_close_copies(face->admin);
        close(face->ends_fd);
    }
    atomic_store(&process.face, NULL);
    after_fork();
}

/* Whether the peer has everything that was sent, and knows that no more comes; or nothing is to be delivered. */
static bool is_delivered(const struct rtcp_session *s)
{
    return s->life == RTCP_LIFE_DEAD || (s->aborted && s->pending_count == 0) || s->is_complete ||
           (s->out.first == s->out.upto && s->close_conf);
}

static int close_all(struct rtcp_face *face, void *argument)
{
    bool *is_delivered_all = argument;

    *is_delivered_all = true;
    for (struct rtcp_stream *s = face->endpoint->streams; s != NULL; s = s->next) {
        if (s->session.life != RTCP_LIFE_OPENING || s->session.out.upto > s->session.out.first) {
            rtcp_session_close(&s->session, base_clock_now(), false);
            rtcp_endpoint_make_ready(s); /* its effects are performed in the turn */
            *is_delivered_all = *is_delivered_all && is_delivered(&s->session);
        }
    }
    return 0;
}

static int do_admin(struct rtcp_face *face, void *argument);

static void at_exit(void)
{
    struct rtcp_face *face = atomic_load(&process.face);
    base_time until = base_clock_now() + process.exit_flush;
    pthread_cond_t nothing;
    bool is_delivered_all = false;

    if (face == NULL || !rtcp_face_lock(face)) {
        return;
    }
    if (face->admin != NULL) {
        (void)!rtcp_face_run(face, do_admin, NULL); /* its file goes, too */
    }
    rtcp_face_init_cond(&nothing);
    while (process.exit_flush > 0 && rtcp_face_run(face, close_all, &is_delivered_all) == 0 && !is_delivered_all &&
           base_clock_now() < until) {
        (void)rtcp_face_wait(face, &nothing, base_clock_now() + EXIT_LOOK);
    }
    rtcp_face_unlock(face);
}

/* ------------------------------------------------------------------------------------------------ birth */

static int start_thread(struct rtcp_face *face)
{
    sigset_t all;
    sigset_t before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are the application's */
    error = pthread_create(&face->thread, NULL, run, face);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return error == 0 ? 0 : BASE_E_SYSTEM;
}

static int open_face(struct rtcp_face *face, const struct rtcp_endpoint_options *options)
{
    pthread_mutexattr_t attributes;
    int status;

    face->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    face->ends_fd = epoll_create1(EPOLL_CLOEXEC);
    if (face->loop == NULL || face->ends_fd < 0) {
        return BASE_E_SYSTEM;
    }
    status = rtcp_endpoint_open(face->loop, options, &face->endpoint);
    if (status < 0) {
        return status;
    }
    face->endpoint->leave = leave;
    face->endpoint->enter = enter;
    face->endpoint->user = face;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP); /* it is held for a few hundred instructions */
    pthread_mutex_init(&face->lock, &attributes);
    pthread_mutexattr_destroy(&attributes);
    rtcp_face_init_cond(&face->done);
    ev_set_userdata(face->loop, face);
    ev_set_loop_release_cb(face->loop, on_sleep, on_awake);
    ev_async_init(&face->call, on_call);
    face->call.data = face;
    ev_async_start(face->loop, &face->call);
    ev_io_init(&face->ends, on_ends, face->ends_fd, EV_READ);
    face->ends.data = face;
    ev_io_start(face->loop, &face->ends);
    return start_thread(face);
}

/* Makes the face of the process; with the lock of the process. */
static int make_face(const struct rtcp_endpoint_options *options)
{
    struct rtcp_face *face = calloc(1, sizeof *face);
    int status;
    int error;

    if (face == NULL) {
        return BASE_E_NOMEM;
    }
    status = open_face(face, options);
    if (status < 0) {
        error = errno;
        rtcp_endpoint_close(face->endpoint);
        if (face->ends_fd >= 0) {
            close(face->ends_fd);
        }
        if (face->loop != NULL) {
            ev_loop_destroy(face->loop);
        }
        free(face);
        errno = error;
        return status;
    }
    if (!process.is_hooked) {
        process.is_hooked = true;
        pthread_atfork(before_fork, after_fork, in_child);
        atexit(at_exit);
    }
    atomic_store_explicit(&process.face, face, memory_order_release);
    return 0;
}

int rtcp_face_get(struct rtcp_face **ret_face)
{
    struct rtcp_face *face = atomic_load_explicit(&process.face, memory_order_acquire);
    int status = 0;

    if (face == NULL) {
        pthread_mutex_lock(&process.lock);
        if (atomic_load(&process.face) == NULL) {
            status = make_face(NULL);
        }
        face = atomic_load(&process.face);
        pthread_mutex_unlock(&process.lock);
    }
    if (status == 0) {
        *ret_face = face;
    }
    return status;
}

int rtcp_socket_setup(const struct rtcp_endpoint_options *options, base_time exit_flush)
{
    int status = BASE_E_EXISTS;

    pthread_mutex_lock(&process.lock);
    if (atomic_load(&process.face) == NULL) {
        status = make_face(options);
        process.exit_flush = status == 0 ? exit_flush : process.exit_flush;
    }
    pthread_mutex_unlock(&process.lock);
    return status;
}

/* ------------------------------------------------------------------------------------------------ settings */

struct keys {
    const struct rtcp_key *keys;
    size_t count, current;
};

static int do_set_keys(struct rtcp_face *face, void *argument)
{
    const struct keys *k = argument;

    return rtcp_endpoint_set_keys(face->endpoint, k->keys, k->count, k->current);
}

static int do_admin(struct rtcp_face *face, void *argument)
{
    const char *path = argument;
    int status;

    if (path == NULL) {
        holdfast_admin_close(face->admin);
        face->admin = NULL;
        return 0;
    }
    if (face->admin != NULL) {
        return BASE_E_EXISTS;
    }
    status = holdfast_admin_open(face->loop, path, &face->admin);
    return status < 0 ? status : rtcp_endpoint_admin(face->endpoint, face->admin);
}

/* Lets the control thread run a command of the process; the face is made if there is none. */
static int run_command(int (*command)(struct rtcp_face *, void *), void *argument)
{
    struct rtcp_face *face;
    int status = rtcp_face_get(&face);

    if (status == 0 && rtcp_face_lock(face)) {
        status = rtcp_face_run(face, command, argument);
        rtcp_face_unlock(face);
    }
    return status;
}

int rtcp_socket_set_keys(const struct rtcp_key *keys, size_t count, size_t current)
{
    struct keys k = {keys, count, current};

    return run_command(do_set_keys, &k);
}

int rtcp_socket_admin(const char *path)
{
    char copy[256];
    size_t size = path == NULL ? 0 : strlen(path);

    if (size >= sizeof copy) {
        return BASE_E_INVALID;
    }
    if (path != NULL) {
        base_copy(copy, path, size + 1);
    }
    return run_command(do_admin, path == NULL ? NULL : copy);
}
