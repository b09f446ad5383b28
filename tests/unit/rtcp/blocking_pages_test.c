/* sendfile over the blocking face: the rules that make it safe (PROTOCOL.md "Pages") where that face keeps them itself,
 * and a ring that stays where it is while a thread is inside sendfile without the lock. The others are those of
 * pages_loop_test.c. That all calls behave over such a connection as over any other: unit-rtcp-blocking-options.
 */
#include "rtcp/blocking_inside.h"
#include "rtcp/defaults.h"
#include "tests/unit/rtcp/blocking_resumed.h"
#include "tests/unit/rtcp/pages_pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>

#define MIB   ((size_t)1 << 20)
#define CHUNK 65536u
#define SEED  3u

/* ------------------------------------------------------------------------------------------------ sendfile */

/* The linker puts this in the place of sendfile(). */
ssize_t __real_sendfile(int to, int from, off_t *at, size_t size);
ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t size);

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int calls;
    int error;           /* what it says from now on; 0: the kernel decides */
    bool is_shut;        /* who comes waits */
    bool is_inside;      /* somebody does */
    pthread_t control;   /* the thread that must never be here */
    bool was_by_control; /* it was */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t size)
{
    int error;

    pthread_mutex_lock(&gate.lock);
    gate.calls++;
    gate.was_by_control = gate.was_by_control || pthread_equal(pthread_self(), gate.control) != 0;
    gate.is_inside = true;
    pthread_cond_broadcast(&gate.changed);
    while (gate.is_shut) {
        pthread_cond_wait(&gate.changed, &gate.lock);
    }
    gate.is_inside = false;
    error = gate.error;
    pthread_mutex_unlock(&gate.lock);
    if (error != 0) {
        errno = error;
        return -1;
    }
    return __real_sendfile(to, from, at, size);
}

static void set_gate(bool is_shut, int error)
{
    pthread_mutex_lock(&gate.lock);
    gate.is_shut = is_shut;
    gate.error = error;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void until_somebody_is_inside(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.is_inside) {
        pthread_cond_wait(&gate.changed, &gate.lock);
    }
    pthread_mutex_unlock(&gate.lock);
}

static int calls(void)
{
    int count;

    pthread_mutex_lock(&gate.lock);
    count = gate.calls;
    pthread_mutex_unlock(&gate.lock);
    return count;
}

/* ------------------------------------------------------------------------------------------------ a pair */

/* The server writes, the client reads. */
static int setup_ring(void **state, uint32_t ring)
{
    struct rtcp_stream_options o;
    struct blocking_pair *p;
    int status;

    rtcp_stream_options_default(&o);
    o.ring = ring;
    o.sendfile = true;
    status = blocking_pair_setup_with(state, &o);
    p = *state;
    assert_int_equal(rtcp_socket_wait_open(p->client), 0);
    assert_int_equal(rtcp_socket_set_write_deadline(p->server, BLOCKING_PAIR_LONG), 0);
    pthread_mutex_lock(&gate.lock);
    gate.calls = 0;
    gate.control = p->server->face->thread;
    gate.was_by_control = false;
    pthread_mutex_unlock(&gate.lock);
    return status;
}

static int setup_fixed(void **state)
{
    return setup_ring(state, MIB);
}

static int setup_large(void **state)
{
    return setup_ring(state, 32 * MIB);
}

static int setup_growing(void **state)
{
    return setup_ring(state, 0);
}

static int teardown_pair(void **state)
{
    set_gate(false, 0);
    return blocking_pair_teardown(state);
}

struct writer {
    pthread_t thread;
    struct rtcp_socket *socket;
    uint64_t from, upto; /* of the stream */
    uint64_t at;         /* where it ended */
    int64_t last;        /* what the last call said */
};

static void *write_on(void *argument)
{
    struct writer *w = argument;
    uint8_t *bytes = malloc(2 * CHUNK);

    for (w->at = w->from; bytes != NULL && w->at < w->upto; w->at += (uint64_t)w->last) {
        size_t size = w->upto - w->at < 2 * CHUNK ? (size_t)(w->upto - w->at) : 2 * CHUNK;

        pattern_fill(bytes, size, SEED, w->at);
        w->last = rtcp_socket_send(w->socket, bytes, size);
        if (w->last <= 0) {
            break;
        }
    }
    free(bytes);
    return NULL;
}

static void begin(struct writer *w, struct rtcp_socket *socket, uint64_t from, uint64_t upto)
{
    *w = (struct writer){.socket = socket, .from = from, .upto = upto};
    assert_int_equal(pthread_create(&w->thread, NULL, write_on, w), 0);
}

static uint64_t finish(struct writer *w)
{
    pthread_join(w->thread, NULL);
    return w->at;
}

/* As much as is taken now, from this thread, while nobody reads; then long enough for probes and questions. */
static uint64_t write_unread(struct blocking_pair *p, uint64_t from, uint64_t upto)
{
    struct rtcp_poll poll = {.socket = p->server, .events = RTCP_POLL_WRITE};
    struct writer w = {.socket = p->server, .from = from, .upto = upto};

    (void)write_on(&w);
    assert_true(calls() > 0);
    assert_true(rtcp_socket_poll(&poll, 1, BASE_MS(300)) >= 0);
    return w.at;
}

static void read_upto(struct blocking_pair *p, uint64_t from, uint64_t upto)
{
    static uint8_t bytes[CHUNK];

    while (from < upto) {
        int64_t n = rtcp_socket_recv(p->client, bytes, upto - from < CHUNK ? (size_t)(upto - from) : CHUNK);

        assert_true(n > 0);
        pattern_expect(bytes, (size_t)n, SEED, from);
        from += (uint64_t)n;
    }
}

/* The rest of the stream up to there, written and read at once. */
static void write_and_read(struct blocking_pair *p, uint64_t read, uint64_t written, uint64_t upto)
{
    struct writer w;

    begin(&w, p->server, written, upto);
    read_upto(p, read, upto);
    assert_int_equal(finish(&w), upto);
}

/* ------------------------------------------------------------------------------------------------ the rules */

/* Rules 1 and 2; and the control thread, which sends most of it, does so without pages. C1, P8. */
static void bytes_that_nobody_read_yet_stay_as_they_were_sent(void **state)
{
    struct blocking_pair *p = *state;
    uint64_t sent;

    assert_int_equal(rtcp_socket_set_nonblocking(p->server, true), 0);
    sent = write_unread(p, 0, 4 * MIB);
    assert_int_equal(sent, MIB);
    assert_int_equal(rtcp_socket_set_nonblocking(p->server, false), 0);
    write_and_read(p, 0, sent, 8 * MIB);
    assert_false(gate.was_by_control);
}

/* Rule 3. C1, P4. */
static void a_ring_is_overwritten_while_an_old_connection_holds_its_pages(void **state)
{
    struct blocking_pair *p = *state;

    for (uint64_t read = 0; read < 8 * MIB; read += 4 * MIB) {
        uint64_t sent = write_unread(p, read, read + MIB);

        assert_int_equal(sent, read + MIB);
        blocking_resumed_replace(p->client);
        write_and_read(p, read, sent, read + 4 * MIB);
    }
}

/* Rule 4. */
static void bytes_in_the_kernel_do_not_notice_that_their_ring_grew(void **state)
{
    struct blocking_pair *p = *state;
    struct rtcp_info info;
    uint64_t sent = 0;

    for (uint64_t upto = 4 * CHUNK; upto <= 4 * MIB; upto *= 2) {
        sent = write_unread(p, sent, upto);
        assert_int_equal(sent, upto);
        assert_int_equal(rtcp_socket_info(p->server, &info), 0);
        assert_true(info.ring >= upto && info.ring <= info.ring_max);
    }
    write_and_read(p, 0, sent, 9 * MIB);
}

static volatile sig_atomic_t pipes;

static void on_sigpipe(int number)
{
    (void)number;
    pipes++;
}

/* Rule 6: a connection that cannot be written to any more is news for the session, and no signal for the thread. */
static void a_broken_pipe_is_no_signal(void **state)
{
    struct sigaction count = {.sa_handler = on_sigpipe};
    struct sigaction before;
    struct blocking_pair *p = *state;
    struct rtcp_info info;

    write_and_read(p, 0, 0, 4 * CHUNK);
    assert_int_equal(sigaction(SIGPIPE, &count, &before), 0);
    assert_true(rtcp_face_lock(p->server->face));
    assert_int_equal(shutdown(p->server->link->use.fd, SHUT_WR), 0);
    rtcp_face_unlock(p->server->face);
    write_and_read(p, 4 * CHUNK, 4 * CHUNK, 2 * MIB);
    assert_int_equal(pipes, 0);
    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
    assert_int_equal(rtcp_socket_info(p->server, &info), 0);
    assert_true(info.connections > 1);
}

/* Rule 7: an old connection holds neither memory nor a port. P39. */
static void a_connection_that_was_replaced_leaves_nothing_behind(void **state)
{
    struct blocking_pair *p = *state;
    unsigned port = (unsigned)strtoul(strrchr(p->address, ':') + 1, NULL, 10);
    int before = leftovers(port); /* of whoever had the number before */

    write_and_read(p, 0, 0, MIB);
    blocking_resumed_replace(p->client);
    write_and_read(p, MIB, MIB, 2 * MIB);
    assert_true(leftovers(port) <= before);
}

/* ------------------------------------------------------------------------------------------------ inside sendfile */

/* The ring that a thread gives to the kernel without the lock: it does not move under it, however full it is. */
static void a_ring_does_not_grow_while_a_thread_is_inside(void **state)
{
    struct blocking_pair *p = *state;
    struct base_ringmem ring;
    struct writer first, second;
    bool has_moved;
    uint64_t at;

    set_gate(true, 0);
    begin(&first, p->server, 0, 2 * CHUNK);
    until_somebody_is_inside();
    assert_true(rtcp_face_lock(p->server->face));
    ring = p->server->stream->session.out.ring;
    rtcp_face_unlock(p->server->face);
    assert_int_equal(rtcp_socket_set_nonblocking(p->server, true), 0);
    begin(&second, p->server, 2 * CHUNK, 8 * MIB);
    at = finish(&second);
    assert_true(rtcp_face_lock(p->server->face));
    has_moved = p->server->stream->session.out.ring.at != ring.at;
    rtcp_face_unlock(p->server->face);
    set_gate(false, 0);
    assert_int_equal(finish(&first), 2 * CHUNK); /* before all else: no case ends with a thread inside */
    assert_false(has_moved);
    assert_int_equal(at, ring.size);
    assert_int_equal(second.last, BASE_E_AGAIN);
    assert_int_equal(rtcp_socket_set_nonblocking(p->server, false), 0);
    write_and_read(p, 0, at, 8 * MIB);
}

/* ... and it is there until that thread is back, though the stream is over. */
static void a_ring_outlives_its_stream_while_a_thread_is_inside(void **state)
{
    struct blocking_pair *p = *state;
    struct writer w;

    set_gate(true, 0);
    begin(&w, p->server, 0, 2 * CHUNK);
    until_somebody_is_inside();
    assert_int_equal(rtcp_socket_close(p->server, RTCP_LINGER_ABORT, BLOCKING_PAIR_LONG), BASE_E_CLOSED);
    assert_non_null(p->server->ring.ring.at);
    assert_true(fcntl(p->server->ring.ring.handle, F_GETFD) >= 0);
    set_gate(false, 0);
    assert_int_equal(finish(&w), 2 * CHUNK);
}

/* More than two kernels hold: sendfile cannot be told not to wait, so the connection is. */
static void nobody_waits_inside_for_a_full_kernel(void **state)
{
    struct blocking_pair *p = *state;
    struct timespec until;
    struct writer w;

    assert_int_equal(rtcp_socket_set_nonblocking(p->server, true), 0);
    begin(&w, p->server, 0, 64 * MIB);
    assert_int_equal(clock_gettime(CLOCK_REALTIME, &until), 0);
    until.tv_sec += (time_t)(BLOCKING_PAIR_LONG / BASE_S(1));
    if (pthread_timedjoin_np(w.thread, NULL, &until) != 0) {
        read_upto(p, 0, MIB); /* lets it out */
        fail_msg("it waits, at %llu", (unsigned long long)finish(&w));
    }
    assert_int_equal(w.at, 32 * MIB);
    assert_true(rtcp_face_lock(p->server->face));
    assert_true(p->server->stream->session.written < w.at);
    rtcp_face_unlock(p->server->face);
}

/* ------------------------------------------------------------------------------------------------ without it */

/* A kernel that cannot is asked once, and the next connections let their threads wait in the kernel again. */
static void without_sendfile_bytes_are_copied(void **state)
{
    struct blocking_pair *p = *state;

    set_gate(false, EINVAL);
    write_and_read(p, 0, 0, 4 * MIB);
    assert_int_equal(calls(), 1);
    assert_true(p->server->stream->no_pages);
    set_gate(false, 0);
    blocking_resumed_replace(p->client);
    write_and_read(p, 4 * MIB, 4 * MIB, 6 * MIB);
    assert_int_equal(calls(), 1);
}

static void it_is_used_only_when_it_was_asked_for(void **state)
{
    struct blocking_pair *p = *state;
    int before = calls();

    write_and_read(p, 0, 0, 4 * MIB);
    assert_int_equal(calls(), before);
}

/* ------------------------------------------------------------------------------------------------ growth */

/* Turns a ring of the first size over, half by half, each acknowledged; as if long ago or fast. */
static uint32_t ring_after_turns(struct blocking_pair *p, bool is_slow)
{
    const uint64_t half = RTCP_RING_FIRST / 2;
    struct rtcp_info info;

    for (uint64_t at = 0; at < (2 * RTCP_RING_TURNS + 2) * half; at += half) {
        if (is_slow) {
            assert_true(rtcp_face_lock(p->server->face));
            p->server->stream->session.turns_since = 1;
            rtcp_face_unlock(p->server->face);
        }
        write_and_read(p, at, at, at + half);
        assert_int_equal(rtcp_socket_flush(p->server), 0);
    }
    assert_int_equal(rtcp_socket_info(p->server, &info), 0);
    return info.ring;
}

/* Few acknowledgements in a long time cost nothing. PROTOCOL.md "Rings". */
static void a_ring_that_turns_over_slowly_stays_as_it_is(void **state)
{
    assert_int_equal(ring_after_turns(*state, true), RTCP_RING_FIRST);
}

static void a_ring_that_turns_over_fast_grows(void **state)
{
    assert_true(ring_after_turns(*state, false) > RTCP_RING_FIRST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_that_nobody_read_yet_stay_as_they_were_sent, setup_fixed, teardown_pair),
        cmocka_unit_test_setup_teardown(a_ring_is_overwritten_while_an_old_connection_holds_its_pages, setup_fixed,
                                        teardown_pair),
        cmocka_unit_test_setup_teardown(bytes_in_the_kernel_do_not_notice_that_their_ring_grew, setup_growing,
                                        teardown_pair),
        cmocka_unit_test_setup_teardown(a_broken_pipe_is_no_signal, setup_fixed, teardown_pair),
        cmocka_unit_test_setup_teardown(a_connection_that_was_replaced_leaves_nothing_behind, setup_fixed,
                                        teardown_pair),
        cmocka_unit_test_setup_teardown(a_ring_does_not_grow_while_a_thread_is_inside, setup_growing, teardown_pair),
        cmocka_unit_test_setup_teardown(a_ring_outlives_its_stream_while_a_thread_is_inside, setup_fixed,
                                        teardown_pair),
        cmocka_unit_test_setup_teardown(nobody_waits_inside_for_a_full_kernel, setup_large, teardown_pair),
        cmocka_unit_test_setup_teardown(without_sendfile_bytes_are_copied, setup_fixed, teardown_pair),
        cmocka_unit_test_setup_teardown(a_ring_that_turns_over_slowly_stays_as_it_is, setup_growing, teardown_pair),
        cmocka_unit_test_setup_teardown(a_ring_that_turns_over_fast_grows, setup_growing, teardown_pair),
        cmocka_unit_test_setup_teardown(it_is_used_only_when_it_was_asked_for, blocking_pair_setup,
                                        blocking_pair_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
