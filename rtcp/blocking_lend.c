/* The loop lent: an application thread that has work for the control thread does it in its place while that one sleeps,
 * and spares both the way there and back. See blocking_inside.h.
 *
 * Relies on the lock, which the borrower keeps from beginning to end; on system calls that never wait.
 * Not here  what the work is; sleeping and waking (blocking_face.c).
 */
#include "rtcp/base/clock_loop.h"
#include "rtcp/blocking_inside.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/timerfd.h>

#define NUDGE      BASE_MS(1) /* what a borrower did is heard of by the control thread after this */
#define LENT_BYTES 16384u     /* a borrower sends so much with the lock; more is left to the control thread */

bool rtcp_face_is_lent(const struct rtcp_face *face)
{
    return atomic_load_explicit(&face->lent_to, memory_order_relaxed) ==
           pthread_self(); /* asked without the lock, too */
}

/* The control thread waits in the kernel, and nothing waits for its turn: another one may take its place. What it finds
 * when it wakes up are descriptors that became ready; so the loop may be told of new ones meanwhile, and to forget
 * some, but none may be closed: the next one would have its number. */
static bool may_lend(const struct rtcp_face *face)
{
    return face->is_asleep && face->commands == NULL && face->endpoint->ready_first == NULL;
}

/* Whether what a stream can ask for now suits a thread that keeps the lock. */
static bool is_simple(const struct rtcp_stream *stream)
{
    const struct rtcp_session *s = &stream->session;

    return stream->trying == NULL && s->trying == RTCP_TRY_REST && !rtcp_dial_is_on(stream, s->attempt) &&
           (stream->live == NULL || stream->live->shared != NULL) && s->out.upto - s->written <= LENT_BYTES;
}

static bool are_ready_simple(const struct rtcp_endpoint *endpoint)
{
    for (const struct rtcp_stream *stream = endpoint->ready_first; stream != NULL; stream = stream->next_ready) {
        if (!is_simple(stream)) {
            return false;
        }
    }
    return true;
}

void rtcp_face_nudge(struct rtcp_face *face)
{
    struct itimerspec soon = {.it_value = {.tv_nsec = (long)NUDGE}};

    if (!face->is_nudged && timerfd_settime(face->nudge_fd, 0, &soon, NULL) == 0) {
        face->is_nudged = true;
    }
    face->is_nudge_wanted = !face->is_nudged;
    face->is_call_wanted = face->is_call_wanted || !face->is_nudged;
}

/* Runs something in the place of the control thread. A thread that is cancelled in it would take the lock along. */
static int lend(struct rtcp_face *face, int (*run_there)(struct rtcp_face *, void *), void *argument)
{
    int before;
    int status;
    int error;

    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    atomic_store_explicit(&face->lent_to, pthread_self(), memory_order_relaxed);
    ev_now_update(face->loop); /* timers count from its clock, which stood still */
    status = run_there(face, argument);
    error = errno;
    atomic_store_explicit(&face->lent_to, 0, memory_order_relaxed);
    rtcp_face_nudge(face);
    face->is_call_wanted = face->is_call_wanted || face->endpoint->ready_first != NULL;
    pthread_setcancelstate(before, NULL);
    errno = error;
    return status;
}

/* Its timer comes before the control thread would hear of it. */
static bool is_due_soon(const struct rtcp_stream *stream)
{
    return stream->is_armed && stream->armed < base_clock_now() + NUDGE;
}

static int pump_posted(struct rtcp_face *face, void *argument)
{
    struct rtcp_socket *posted = face->posted;
    bool is_soon = false;

    (void)argument;
    face->posted = NULL;
    face->is_call_wanted = false;
    while (posted != NULL) {
        struct rtcp_socket *socket = posted;
        bool is_mine = !socket->wants_alarm && (socket->stream == NULL || is_simple(socket->stream));

        posted = socket->next_posted;
        socket->is_posted = false;
        if (is_mine && socket->stream != NULL) {
            rtcp_stream_pump(socket->stream, base_clock_now());
            is_mine = is_simple(socket->stream); /* else it began something */
            is_soon = is_soon || is_due_soon(socket->stream);
        }
        if (!is_mine) {
            rtcp_face_post(socket);
        } else if (socket->link != NULL && socket->link->tells_eof) {
            rtcp_face_post_later(socket);
        }
        rtcp_socket_release(socket);
    }
    if (are_ready_simple(face->endpoint)) {
        rtcp_endpoint_turn(face->endpoint);
    }
    face->is_call_wanted = face->is_call_wanted || is_soon;
    return 0;
}

void rtcp_face_lend_for_posted(struct rtcp_face *face)
{
    if (face->is_call_wanted && may_lend(face)) {
        (void)lend(face, pump_posted, NULL);
    }
}

/* A command that was not left to the control thread. */
static int run_lent(struct rtcp_face *face, void *argument)
{
    struct rtcp_command *order = argument;
    int error;

    order->status = order->run(face, order->argument);
    error = errno;
    rtcp_endpoint_turn(face->endpoint);
    errno = error;
    return order->status;
}

int rtcp_face_run_here(struct rtcp_face *face, int (*command)(struct rtcp_face *, void *), void *argument)
{
    struct rtcp_command order = {.run = command, .argument = argument};

    return may_lend(face) ? lend(face, run_lent, &order) : rtcp_face_run(face, command, argument);
}
