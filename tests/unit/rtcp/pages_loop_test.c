/* Rings on the real kernel: the seven rules that make sendfile safe (PROTOCOL.md "Pages"), the way without it, peers
 * that both write first, small writes that wait for more. Each rule has a patch in tests/mutations that takes it away;
 * a test here must fail then.
 *
 * Two sides with loops of their own, so that one can rest while the other works. Every wait has a deadline.
 */
#include "rtcp/base/clock_loop.h"
#include "rtcp/base/ringmem_loop.h"
#include "rtcp/defaults.h"
#include "rtcp/inside_loop.h"
#include "rtcp/pages_loop.h"
#include "tests/unit/rtcp/pages_pattern.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE BASE_S(20)
#define MIB      ((size_t)1 << 20)
#define CHUNK    65536u

/* The linker puts this in the place of sendfile(). */
ssize_t __real_sendfile(int to, int from, off_t *at, size_t size);
ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t size);

static int sendfile_calls;
static int sendfile_error; /* what it says from now on; 0: the kernel decides */
static bool pipe_breaks;   /* the next call writes half, then meets a broken pipe */

ssize_t __wrap_sendfile(int to, int from, off_t *at, size_t size)
{
    sendfile_calls++;
    if (sendfile_error != 0) {
        errno = sendfile_error;
        return -1;
    }
    if (pipe_breaks) {
        pipe_breaks = false;
        size /= 2;
        assert_int_equal(raise(SIGPIPE), 0); /* as the kernel does before it returns the half */
    }
    return __real_sendfile(to, from, at, size);
}

struct side {
    struct ev_loop *loop;
    struct rtcp_endpoint *endpoint;
    struct rtcp_listener *listener;
    struct rtcp_stream *stream;
    ev_timer tick;
    uint64_t seed; /* of the bytes it sends */
    uint64_t sent, goal;
    uint64_t received;
    uint64_t peer_seed;
    bool reads;
};

struct pair {
    struct side server, client;
    struct rtcp_stream_options options;
    base_time until;
};

static void work(struct side *s)
{
    static uint8_t bytes[CHUNK];
    int64_t n = 1;

    while (s->stream != NULL && s->sent < s->goal && n > 0) {
        size_t size = s->goal - s->sent < CHUNK ? (size_t)(s->goal - s->sent) : CHUNK;

        pattern_fill(bytes, size, s->seed, s->sent);
        n = rtcp_send(s->stream, bytes, size);
        s->sent += n > 0 ? (uint64_t)n : 0;
    }
    while (s->stream != NULL && s->reads && (n = rtcp_recv(s->stream, bytes, sizeof bytes)) > 0) {
        pattern_expect(bytes, (size_t)n, s->peer_seed, s->received);
        s->received += (uint64_t)n;
    }
}

static void on_any(void *user, struct rtcp_stream *stream)
{
    (void)stream;
    work(user);
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct side *s = user;

    (void)stream;
    (void)status;
    (void)unacknowledged;
    s->stream = NULL;
}

static const struct rtcp_stream_callbacks callbacks = {
    .on_readable = on_any, .on_writable = on_any, .on_closed = on_closed};

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    struct side *s = user;

    (void)listener;
    s->stream = stream;
    rtcp_stream_set_callbacks(stream, &callbacks, s);
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)w;
    (void)events;
}

static void open_side(struct side *s, uint64_t seed)
{
    s->seed = seed;
    s->loop = ev_loop_new(0);
    ev_timer_init(&s->tick, on_tick, 0.001, 0.001);
    ev_timer_start(s->loop, &s->tick);
    assert_int_equal(rtcp_endpoint_open(s->loop, NULL, &s->endpoint), 0);
}

static void close_side(struct side *s)
{
    rtcp_endpoint_close(s->endpoint);
    ev_timer_stop(s->loop, &s->tick);
    ev_loop_destroy(s->loop);
}

static void turn(struct pair *p)
{
    ev_run(p->server.loop, EVRUN_ONCE);
    ev_run(p->client.loop, EVRUN_ONCE);
    assert_true(base_clock_now() < p->until);
}

static void open_pair(struct pair *p, const struct rtcp_stream_options *options)
{
    struct rtcp_listen_options listen;

    sendfile_calls = 0;
    sendfile_error = 0;
    memset(p, 0, sizeof *p);
    p->until = base_clock_now() + DEADLINE;
    open_side(&p->server, 1);
    open_side(&p->client, 2);
    p->server.peer_seed = 2;
    p->client.peer_seed = 1;
    rtcp_listen_options_default(&listen);
    listen.stream = *options;
    assert_int_equal(
        rtcp_listen(p->server.endpoint, "127.0.0.1:0", &listen, on_accept, &p->server, &p->server.listener), 0);
    assert_int_equal(rtcp_connect(p->client.endpoint, rtcp_listener_address(p->server.listener), options, &callbacks,
                                  &p->client, &p->client.stream),
                     0);
    while (p->server.stream == NULL || !p->client.stream->session.is_confirmed) {
        turn(p);
    }
}

static void close_pair(struct pair *p)
{
    close_side(&p->client);
    close_side(&p->server);
}

static struct rtcp_stream_options with_pages(uint32_t ring)
{
    struct rtcp_stream_options o;

    rtcp_stream_options_default(&o);
    o.ring = ring;
    o.sendfile = true;
    return o;
}

/* The server writes as much as it may, and nobody reads: what it wrote lies in the queues of both kernels. */
static void write_unread(struct pair *p, uint64_t size)
{
    uint64_t received = p->client.received;
    base_time since;

    p->server.goal = size;
    work(&p->server);
    since = base_clock_now();
    while (base_clock_now() < since + BASE_MS(400)) { /* long enough for probes, questions and their answers */
        turn(p);
        work(&p->server);
    }
    assert_true(sendfile_calls > 0);
    assert_int_equal(p->client.received, received);
}

static void read_all(struct pair *p, uint64_t size)
{
    p->server.goal = size;
    p->client.reads = true;
    work(&p->client);
    work(&p->server);
    while (p->client.received < size) {
        turn(p);
    }
    assert_int_equal(p->client.received, size);
}

/* Rules 1 and 2: a byte that lies in a kernel is not received; it is overwritten only when the peer's session has
 * acknowledged it. C1, P8. */
static void bytes_that_nobody_read_yet_stay_as_they_were_sent(void **state)
{
    const struct rtcp_stream_options o = with_pages(MIB);
    struct pair p;

    (void)state;
    open_pair(&p, &o);
    write_unread(&p, 4 * MIB);
    assert_int_equal(p.server.sent, MIB);
    read_all(&p, 4 * MIB);
    close_pair(&p);
}

/* Rule 3: the connection is frozen before the count of its successor is told. C1, P4. */
static void a_ring_is_overwritten_twice_while_an_old_connection_holds_its_pages(void **state)
{
    const struct rtcp_stream_options o = with_pages(MIB);
    struct pair p;

    (void)state;
    open_pair(&p, &o);
    for (uint32_t connections = 2; connections <= 3; connections++) {
        uint64_t before = p.client.received;

        p.client.reads = false;
        write_unread(&p, before + MIB);
        rtcp_session_hint(&p.client.stream->session, base_clock_now(), RTCP_EVIDENCE_UNKNOWN);
        rtcp_stream_pump(p.client.stream, base_clock_now());
        while (p.client.stream->session.connections < connections) {
            turn(&p);
        }
        read_all(&p, before + 4 * MIB);
    }
    close_pair(&p);
}

/* Rule 4: a ring grows into new memory, and the old one is left as it is. */
static void bytes_in_the_kernel_do_not_notice_that_their_ring_grew(void **state)
{
    const struct rtcp_stream_options o = with_pages(0);
    struct pair p;
    struct rtcp_info info;

    (void)state;
    open_pair(&p, &o);
    for (uint64_t size = 4 * CHUNK; size <= 4 * MIB; size *= 2) {
        write_unread(&p, size);
        rtcp_info(p.server.stream, &info);
        assert_int_equal(p.server.sent, size);
        assert_true(info.ring >= size && info.ring <= info.ring_max);
    }
    read_all(&p, 9 * MIB);
    close_pair(&p);
}

static int unread_of(const struct side *s)
{
    int unread = 0;

    if (s->stream->live != NULL) {
        assert_int_equal(ioctl(s->stream->live->fd, FIONREAD, &unread), 0);
    }
    return unread;
}

/* Rule 5: the memory of a ring belongs to one session. C6. */
static void a_ring_is_never_used_by_another_session(void **state)
{
    const struct rtcp_stream_options o = with_pages(MIB);
    struct pair p;
    struct pair other;
    uint8_t bytes[4096];
    int64_t n;

    (void)state;
    open_pair(&p, &o);
    write_unread(&p, CHUNK); /* no more: a full receiving kernel makes copies */
    assert_int_equal(unread_of(&p.client), CHUNK);
    rtcp_endpoint_close(p.server.endpoint); /* the process of the sender goes on, its session does not */
    p.server.endpoint = NULL;
    open_pair(&other, &o);
    other.server.seed = 77;
    write_unread(&other, MIB);
    while ((n = rtcp_recv(p.client.stream, bytes, sizeof bytes)) > 0) {
        pattern_expect(bytes, (size_t)n, 1, p.client.received);
        p.client.received += (uint64_t)n;
    }
    assert_int_equal(p.client.received, CHUNK);
    close_pair(&other);
    close_pair(&p);
}

static volatile sig_atomic_t pipes;

static void on_sigpipe(int number)
{
    (void)number;
    pipes++;
}

/* A connection whose other end is gone. */
static int broken_socket(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    int peer;
    char byte;

    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    peer = accept(listener, NULL, NULL);
    assert_true(peer >= 0);
    assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(peer);
    close(listener);
    assert_int_equal(recv(fd, &byte, 1, 0), -1); /* takes the reset: the next write is a broken pipe */
    return fd;
}

/* Rule 6: no signal of ours reaches the application, and none of its own is lost. */
static void a_broken_pipe_is_an_errno_and_not_a_signal(void **state)
{
    const struct base_ringmem_source *source = base_ringmem_pages();
    struct sigaction count = {.sa_handler = on_sigpipe};
    struct sigaction before;
    struct base_ringmem ring;
    sigset_t set, pending, old;
    int fd = broken_socket();

    (void)state;
    sendfile_error = 0;
    pipes = 0;
    assert_int_equal(source->take(source->user, MIB, &ring), 0);
    assert_int_equal(sigaction(SIGPIPE, &count, &before), 0);

    assert_int_equal(rtcp_pages_send(fd, &ring, 0, CHUNK), -1);
    assert_int_equal(errno, EPIPE);
    assert_int_equal(pipes, 0);

    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &set, &old), 0);
    assert_int_equal(raise(SIGPIPE), 0);
    assert_int_equal(rtcp_pages_send(fd, &ring, 0, CHUNK), -1);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGPIPE), 1); /* that one was the application's */
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &old, NULL), 0);
    assert_int_equal(pipes, 1);

    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
    source->give(source->user, &ring);
    close(fd);
}

/* Rule 6: a pipe may break when half of the bytes are in the kernel: then a count comes back, and the signal with it.
 */
static void a_pipe_that_breaks_half_way_raises_no_signal(void **state)
{
    const struct rtcp_stream_options o = with_pages(MIB);
    struct sigaction count = {.sa_handler = on_sigpipe};
    struct sigaction before;
    struct pair p;

    (void)state;
    pipes = 0;
    open_pair(&p, &o);
    assert_int_equal(sigaction(SIGPIPE, &count, &before), 0);
    pipe_breaks = true;
    read_all(&p, 2 * MIB);
    assert_false(pipe_breaks);
    assert_int_equal(pipes, 0);
    assert_int_equal(sigaction(SIGPIPE, &before, NULL), 0);
    close_pair(&p);
}

/* Rule 7: an old connection holds neither memory nor a port. P39. */
static void a_connection_that_was_replaced_leaves_nothing_behind(void **state)
{
    const struct rtcp_stream_options o = with_pages(MIB);
    struct pair p;
    unsigned port;
    int before;

    (void)state;
    open_pair(&p, &o);
    port = (unsigned)strtoul(strrchr(rtcp_listener_address(p.server.listener), ':') + 1, NULL, 10);
    before = leftovers(port); /* of whoever had the number before */
    rtcp_session_hint(&p.client.stream->session, base_clock_now(), RTCP_EVIDENCE_UNKNOWN);
    rtcp_stream_pump(p.client.stream, base_clock_now());
    while (p.client.stream->session.connections < 2 || p.server.stream->session.connections < 2) {
        turn(&p);
    }
    read_all(&p, MIB);
    assert_true(leftovers(port) <= before);
    close_pair(&p);
}

/* A kernel or a socket that cannot is asked once, and everything goes by send(). */
static void without_sendfile_bytes_are_copied(void **state)
{
    const struct rtcp_stream_options o = with_pages(MIB);
    struct pair p;

    (void)state;
    open_pair(&p, &o);
    sendfile_error = EINVAL;
    read_all(&p, 4 * MIB);
    assert_int_equal(sendfile_calls, 1);
    assert_true(p.server.stream->no_pages);
    sendfile_error = 0;
    read_all(&p, 6 * MIB);
    assert_int_equal(sendfile_calls, 1);
    close_pair(&p);
}

static void it_is_used_only_when_it_was_asked_for(void **state)
{
    struct rtcp_stream_options o;
    struct pair p;

    (void)state;
    rtcp_stream_options_default(&o);
    open_pair(&p, &o);
    read_all(&p, 4 * MIB);
    assert_int_equal(sendfile_calls, 0);
    close_pair(&p);
}

/* Two peers that both write 8 MiB before they read: plain TCP, whose kernels swallow megabytes, would not stop. */
static void both_sides_may_write_first(void **state)
{
    struct rtcp_stream_options o;
    struct pair p;

    (void)state;
    rtcp_stream_options_default(&o);
    open_pair(&p, &o);
    p.server.goal = p.client.goal = 8 * MIB;
    work(&p.server);
    work(&p.client);
    while (p.server.sent < 8 * MIB || p.client.sent < 8 * MIB) {
        turn(&p);
    }
    p.server.reads = p.client.reads = true;
    work(&p.server);
    work(&p.client);
    while (p.server.received < 8 * MIB || p.client.received < 8 * MIB) {
        turn(&p);
    }
    close_pair(&p);
}

static void few_bytes_wait_for_more_where_that_is_wanted(void **state)
{
    struct rtcp_stream_options o;
    struct pair p;

    (void)state;
    rtcp_stream_options_default(&o);
    o.coalesce = BASE_S(1);
    open_pair(&p, &o);
    p.client.reads = true;
    p.server.goal = 10;
    work(&p.server);
    assert_int_equal(p.server.stream->session.written, 0);
    p.server.goal = RTCP_COALESCE_UPTO; /* together they are enough */
    work(&p.server);
    assert_int_equal(p.server.stream->session.written, RTCP_COALESCE_UPTO);
    p.server.goal += 10;
    work(&p.server);
    assert_int_equal(p.server.stream->session.written, RTCP_COALESCE_UPTO);
    rtcp_flush(p.server.stream);
    assert_int_equal(p.server.stream->session.written, p.server.goal);
    p.server.goal += 10;
    work(&p.server);
    assert_int_equal(rtcp_recv(p.server.stream, &(uint8_t){0}, 1), BASE_E_AGAIN); /* it waits for an answer */
    assert_int_equal(p.server.stream->session.written, p.server.goal);
    p.server.goal += 10;
    work(&p.server);
    while (p.client.received < p.server.goal) { /* the delay is over by itself */
        turn(&p);
    }
    p.server.goal += 10;
    work(&p.server);
    rtcp_shutdown(p.server.stream);
    assert_int_equal(p.server.stream->session.written, p.server.goal);
    close_pair(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_nobody_read_yet_stay_as_they_were_sent),
        cmocka_unit_test(a_ring_is_overwritten_twice_while_an_old_connection_holds_its_pages),
        cmocka_unit_test(bytes_in_the_kernel_do_not_notice_that_their_ring_grew),
        cmocka_unit_test(a_ring_is_never_used_by_another_session),
        cmocka_unit_test(a_broken_pipe_is_an_errno_and_not_a_signal),
        cmocka_unit_test(a_pipe_that_breaks_half_way_raises_no_signal),
        cmocka_unit_test(a_connection_that_was_replaced_leaves_nothing_behind),
        cmocka_unit_test(without_sendfile_bytes_are_copied),
        cmocka_unit_test(it_is_used_only_when_it_was_asked_for),
        cmocka_unit_test(both_sides_may_write_first),
        cmocka_unit_test(few_bytes_wait_for_more_where_that_is_wanted),
    };

    return cmocka_run_group_tests_name("unit/rtcp/pages_loop", tests, NULL, NULL);
}
