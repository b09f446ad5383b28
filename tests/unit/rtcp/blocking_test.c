/* The blocking face over real sockets on loopback, with threads: what calls return, what wakes them, when they wait.
 *
 * The argument says how often the connection of each stream is replaced before the test begins: what holds over a first
 * connection holds over a resumed one (0).
 *
 * Nothing sleeps: threads meet where the library lets them, and every wait ends with a deadline. Where a test must know
 * that another thread is inside a call it asks the kernel (its state is "sleeping" in /proc).
 */
#include "rtcp/blocking_inside.h"
#include "tests/unit/rtcp/blocking_pair.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* ------------------------------------------------------------------------------------------------ a thread in a call
 */

enum call { RECV, SEND, ACCEPT, POLL, WAIT_OPEN, FLUSH, CLOSE };

struct caller {
    pthread_t thread;
    enum call call;
    struct rtcp_socket *socket;
    int tid; /* atomically; 0: not there yet */
    int64_t result;
    struct rtcp_poll poll;
    uint8_t *bytes;
    size_t size;
};

static void *call(void *argument)
{
    struct caller *c = argument;
    struct rtcp_socket *accepted;
    char byte;

    __atomic_store_n(&c->tid, (int)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    switch (c->call) {
    case RECV:
        c->result = rtcp_socket_recv(c->socket, &byte, 1);
        break;
    case SEND:
        c->result = rtcp_socket_send(c->socket, c->bytes, c->size);
        break;
    case ACCEPT:
        c->result = rtcp_socket_accept(c->socket, &accepted);
        break;
    case POLL:
        c->poll = (struct rtcp_poll){.socket = c->socket, .events = RTCP_POLL_READ};
        c->result = rtcp_socket_poll(&c->poll, 1, LONG);
        break;
    case WAIT_OPEN:
        c->result = rtcp_socket_wait_open(c->socket);
        break;
    case FLUSH:
        c->result = rtcp_socket_flush(c->socket);
        break;
    case CLOSE:
        c->result = rtcp_socket_close(c->socket, RTCP_LINGER_BACKGROUND, LONG);
        break;
    }
    return NULL;
}

static void begin(struct caller *c, enum call what, struct rtcp_socket *socket)
{
    c->call = what;
    c->socket = socket;
    c->result = 1;
    assert_int_equal(pthread_create(&c->thread, NULL, call, c), 0);
}

static int64_t finish(struct caller *c)
{
    pthread_join(c->thread, NULL);
    return c->result;
}

/* Until the thread sleeps in the kernel: it is inside its call, there is nothing else it could wait for. */
static void until_asleep(struct caller *c)
{
    base_time end = now() + LONG;
    char path[64];
    char line[256];

    do {
        int tid = __atomic_load_n(&c->tid, __ATOMIC_SEQ_CST);
        const char *state;
        FILE *f;

        line[0] = '\0';
        snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
        f = tid == 0 ? NULL : fopen(path, "re");
        if (f != NULL) {
            (void)!fgets(line, sizeof line, f);
            fclose(f);
        }
        state = strrchr(line, ')');
        if (state != NULL && state[2] == 'S') {
            return;
        }
        sched_yield();
    } while (now() < end);
    fail_msg("the thread never waited");
}

static void begin_and_wait(struct caller *c, enum call what, struct rtcp_socket *socket)
{
    begin(c, what, socket);
    until_asleep(c);
}

/* ------------------------------------------------------------------------------------------------ resumed streams */

static int resumes; /* how often the connection of a pair is replaced before the test begins */

/* A reader that has to be woken costs the connection (rtcp_socket_set_read_deadline). */
static void replace_connection(struct rtcp_socket *socket)
{
    base_time end = now() + LONG;
    struct caller reader = {0};
    struct rtcp_info before, info;

    assert_int_equal(rtcp_socket_wait_open(socket), 0);
    assert_int_equal(rtcp_socket_info(socket, &before), 0);
    begin_and_wait(&reader, RECV, socket);
    assert_int_equal(rtcp_socket_set_read_deadline(socket, 0), 0);
    assert_int_equal(finish(&reader), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_set_read_deadline(socket, BASE_NEVER), 0);
    do {
        sched_yield();
        assert_int_equal(rtcp_socket_info(socket, &info), 0);
        assert_true(now() < end);
    } while (info.connections == before.connections || info.state != RTCP_ATTACHED);
}

/* A pair whose stream was resumed as often as the command line says. */
static int setup_resumed(void **state)
{
    int status = setup(state);

    for (int i = 0; i < resumes; i++) {
        struct pair *p = *state;

        replace_connection(i % 2 == 0 ? p->client : p->server);
    }
    return status;
}

/* ------------------------------------------------------------------------------------------------ bytes and ends */

static void bytes_go_both_ways_and_end_on_both_sides(void **state)
{
    struct pair *p = *state;
    char byte;

    send_all(p->client, "hello");
    expect(p->server, "hello");
    send_all(p->server, "and back");
    assert_int_equal(rtcp_socket_shutdown(p->server), 0);
    expect(p->client, "and back");
    assert_int_equal(rtcp_socket_recv(p->client, &byte, 1), 0); /* half-closed: the other direction goes on */
    send_all(p->client, "still");
    expect(p->server, "still");
    assert_int_equal(rtcp_socket_send(p->server, "x", 1), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_close(p->client, RTCP_LINGER_BACKGROUND, 0), 0);
    assert_int_equal(rtcp_socket_recv(p->server, &byte, 1), 0);
    assert_int_equal(rtcp_socket_close(p->server, RTCP_LINGER_BACKGROUND, LONG), 0);
    assert_int_equal(rtcp_socket_close(p->client, RTCP_LINGER_BACKGROUND, LONG), 0);
}

static void several_ranges_are_sent_and_filled_in_a_row(void **state)
{
    struct pair *p = *state;
    const struct base_bytes out[] = {{(const uint8_t *)"ab", 2}, {NULL, 0}, {(const uint8_t *)"cdef", 4}};
    uint8_t first[3], second[8] = {0};
    const struct base_span in[] = {{first, 3}, {second, sizeof second}};

    assert_int_equal(rtcp_socket_sendv(p->client, out, 3), 6);
    assert_int_equal(rtcp_socket_recvv(p->server, in, 2), 6);
    assert_memory_equal(first, "abc", 3);
    assert_memory_equal(second, "def", 3);
}

static void an_abort_of_the_peer_is_told_to_readers_and_writers(void **state)
{
    struct pair *p = *state;
    struct caller reader = {0};

    send_all(p->client, "x");
    expect(p->server, "x");
    begin_and_wait(&reader, RECV, p->server);
    assert_int_equal(rtcp_socket_close(p->client, RTCP_LINGER_ABORT, LONG), BASE_E_CLOSED);
    assert_int_equal(finish(&reader), BASE_E_RESET);
    assert_int_equal(rtcp_socket_send(p->server, "x", 1), BASE_E_RESET);
    assert_int_equal(rtcp_socket_flush(p->server), BASE_E_RESET);
}

static void a_flush_returns_when_the_peer_has_read(void **state)
{
    struct pair *p = *state;
    struct caller flusher = {0};
    struct rtcp_info info;

    assert_int_equal(rtcp_socket_flush(p->client), 0); /* nothing to wait for */
    send_all(p->client, "abc");
    begin_and_wait(&flusher, FLUSH, p->client);
    assert_int_equal(rtcp_socket_info(p->client, &info), 0);
    assert_int_equal(info.unacknowledged, 3);
    expect(p->server, "abc");
    assert_int_equal(finish(&flusher), 0);
    assert_int_equal(rtcp_socket_info(p->client, &info), 0);
    assert_int_equal(info.unacknowledged, 0);
    assert_int_equal(info.sent, 3);
    assert_int_equal(rtcp_socket_info(p->listener, &info), BASE_E_UNSUPPORTED);
}

static void what_lies_unread_at_an_abort_is_not_an_end(void **state)
{
    struct pair *p = *state;
    char bytes[8];
    int64_t n;

    assert_int_equal(rtcp_socket_wait_open(p->client), 0);
    send_all(p->client, "abc");
    assert_int_equal(rtcp_socket_close(p->client, RTCP_LINGER_ABORT, LONG), BASE_E_CLOSED);
    do { /* what was read before the abort came, then the truth; never an invented end */
        n = rtcp_socket_recv(p->server, bytes, sizeof bytes);
        assert_int_not_equal(n, 0);
    } while (n > 0);
    assert_int_equal(n, BASE_E_RESET);
}

/* ------------------------------------------------------------------------------------------------ opening */

static int raw_listener(struct sockaddr_in *at, int backlog)
{
    socklen_t size = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(fd, (struct sockaddr *)at, size), 0);
    if (backlog > 0) {
        assert_int_equal(listen(fd, backlog), 0);
    }
    assert_int_equal(getsockname(fd, (struct sockaddr *)at, &size), 0);
    return fd;
}

static void nobody_there_is_an_error_at_once(void **state)
{
    struct rtcp_socket *socket = NULL;
    struct sockaddr_in at;
    char address[64];
    int fd = raw_listener(&at, 0); /* bound, so that nobody else has it, and not listening */

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(rtcp_socket_connect(address, NULL, LONG, &socket), BASE_E_REFUSED);
    assert_null(socket);
    assert_int_equal(rtcp_socket_connect("nonsense", NULL, LONG, &socket), BASE_E_INVALID);
    close(fd);
}

static void silence_is_waited_out_until_the_callers_deadline(void **state)
{
    struct rtcp_socket_options options;
    struct rtcp_socket *socket = NULL;
    struct sockaddr_in at;
    char address[64];
    char byte;
    base_time before = now();
    int fd = raw_listener(&at, 8); /* the kernel answers, nobody else */

    (void)state;
    rtcp_socket_options_default(&options);
    options.wait_accepted = true;
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(rtcp_socket_connect(address, &options, BASE_MS(150), &socket), BASE_E_EXPIRED);
    assert_null(socket);
    assert_true(now() - before >= BASE_MS(150));

    options.wait_accepted = false; /* returns when the opening is out */
    assert_int_equal(rtcp_socket_connect(address, &options, LONG, &socket), 0);
    assert_int_equal(rtcp_socket_set_write_deadline(socket, BASE_MS(50)), 0);
    assert_int_equal(rtcp_socket_wait_open(socket), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_set_nonblocking(socket, true), 0);
    assert_int_equal(rtcp_socket_wait_open(socket), BASE_E_AGAIN);
    assert_int_equal(rtcp_socket_recv(socket, &byte, 1), BASE_E_AGAIN);
    rtcp_socket_close(socket, RTCP_LINGER_ABORT, 0);
    rtcp_socket_free(socket);
    close(fd);
}

static void a_connect_that_does_not_wait_comes_true_later(void **state)
{
    struct pair *p = *state;
    struct rtcp_socket_options options;
    struct rtcp_socket *socket;

    rtcp_socket_options_default(&options);
    options.is_nonblocking = true;
    assert_int_equal(rtcp_socket_connect(p->address, &options, LONG, &socket), 0);
    assert_int_equal(rtcp_socket_send(socket, "early", 5), 5); /* waits in the ring */
    assert_int_equal(rtcp_socket_set_nonblocking(socket, false), 0);
    assert_int_equal(rtcp_socket_wait_open(socket), 0);
    rtcp_socket_free(p->server);
    assert_int_equal(rtcp_socket_accept(p->listener, &p->server), 0);
    assert_int_equal(rtcp_socket_wait_open(p->server), 0);
    expect(p->server, "early");
    rtcp_socket_free(socket);
}

static void a_full_queue_of_the_listener_sends_clients_away_for_the_moment(void **state)
{
    struct rtcp_listen_options options;
    struct rtcp_socket *listener, *client[3], *server;
    char address[RTCP_ADDRESS_TEXT];

    (void)state;
    rtcp_listen_options_default(&options);
    options.backlog = 1;
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", &options, &listener), 0);
    assert_int_equal(rtcp_socket_set_read_deadline(listener, LONG), 0);
    rtcp_socket_address(listener, address);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rtcp_socket_connect(address, NULL, LONG, &client[i]), 0);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(rtcp_socket_accept(listener, &server), 0);
        rtcp_socket_free(server);
    }
    for (int i = 0; i < 3; i++) {
        rtcp_socket_free(client[i]);
    }
    rtcp_socket_free(listener);
}

/* ------------------------------------------------------------------------------------------------ deadlines */

static void a_deadline_in_the_past_fails_at_once_and_can_be_taken_back(void **state)
{
    struct pair *p = *state;
    char byte;

    send_all(p->client, "x");
    expect(p->server, "x");
    send_all(p->client, "y");
    for (int round = 0; round < 3; round++) {
        assert_int_equal(rtcp_socket_set_read_deadline(p->server, 0), 0);
        assert_int_equal(rtcp_socket_recv(p->server, &byte, 1), BASE_E_EXPIRED); /* also with bytes to read */
        assert_int_equal(rtcp_socket_set_write_deadline(p->server, 0), 0);
        assert_int_equal(rtcp_socket_send(p->server, "z", 1), BASE_E_EXPIRED);
        assert_int_equal(rtcp_socket_set_write_deadline(p->server, BASE_NEVER), 0);
        send_all(p->server, "z"); /* the one does not concern the other */
        expect(p->client, "z");
    }
    assert_int_equal(rtcp_socket_set_read_deadline(p->server, BASE_NEVER), 0);
    expect(p->server, "y");
}

static void a_deadline_in_the_future_is_kept(void **state)
{
    struct pair *p = *state;
    char byte;

    for (int round = 0; round < 3; round++) {
        base_time before = now();

        assert_int_equal(rtcp_socket_set_read_deadline(p->client, BASE_MS(30)), 0);
        assert_int_equal(rtcp_socket_recv(p->client, &byte, 1), BASE_E_EXPIRED);
        assert_true(now() - before >= BASE_MS(30));
    }
    assert_int_equal(rtcp_socket_set_read_deadline(p->client, LONG), 0);
    send_all(p->server, "in time");
    expect(p->client, "in time");
}

static void an_acceptor_keeps_its_deadline(void **state)
{
    struct pair *p = *state;
    struct rtcp_socket *socket;
    struct caller acceptor = {0};

    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, BASE_MS(20)), 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &socket), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, BASE_NEVER), 0);
    begin_and_wait(&acceptor, ACCEPT, p->listener);
    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, 0), 0);
    assert_int_equal(finish(&acceptor), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_accept(p->client, &socket), BASE_E_UNSUPPORTED);
    assert_int_equal(rtcp_socket_recv(p->listener, p->address, 1), BASE_E_UNSUPPORTED);
    assert_int_equal(rtcp_socket_send(p->listener, p->address, 1), BASE_E_UNSUPPORTED);
}

/* The reader sits in the kernel's recv, where only the end of the connection can wake it: the stream goes on. */
static void a_deadline_set_while_a_reader_waits_without_one_wakes_it(void **state)
{
    struct pair *p = *state;

    for (int round = 0; round < 3; round++) {
        struct rtcp_socket *reading = round % 2 == 0 ? p->server : p->client;
        struct rtcp_socket *writing = round % 2 == 0 ? p->client : p->server;
        struct caller reader = {0};

        assert_int_equal(rtcp_socket_set_read_deadline(reading, BASE_NEVER), 0);
        begin_and_wait(&reader, RECV, reading);
        assert_int_equal(rtcp_socket_set_read_deadline(reading, round == 0 ? BASE_MS(20) : 0), 0);
        assert_int_equal(finish(&reader), BASE_E_EXPIRED);
        assert_int_equal(rtcp_socket_set_read_deadline(reading, LONG), 0);
        send_all(writing, "goes on");
        expect(reading, "goes on");
    }
}

static base_time processor_time(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return BASE_S(t.tv_sec) + (base_time)t.tv_nsec;
}

/* The byte came in the instant in which the deadline passed: the reader is gone when its connection is shut to wake it.
 * Nobody reads it then, and who polls must neither spin nor wait for ever (R5). */
static void a_wake_up_that_meets_no_reader_costs_the_connection_only(void **state)
{
    struct pair *p = *state;
    struct rtcp_poll poll = {.socket = p->client, .events = RTCP_POLL_READ};
    base_time before = processor_time();

    assert_int_equal(rtcp_socket_wait_open(p->client), 0);
    assert_true(rtcp_face_lock(p->client->face));
    rtcp_shared_link_wake_reader(p->client);
    rtcp_face_unlock(p->client->face);
    assert_int_equal(rtcp_socket_poll(&poll, 1, BASE_MS(400)), 0);
    assert_true(processor_time() - before < BASE_MS(200));
    send_all(p->server, "on");
    expect(p->client, "on");
}

static void a_deadline_that_moves_is_followed(void **state)
{
    struct pair *p = *state;
    struct caller reader = {0};
    struct caller second = {0};
    base_time before = now();

    assert_int_equal(rtcp_socket_set_read_deadline(p->server, LONG), 0);
    begin_and_wait(&reader, RECV, p->server);
    begin_and_wait(&second, RECV, p->server); /* this one waits for its turn */
    assert_int_equal(rtcp_socket_set_read_deadline(p->server, BASE_MS(20)), 0);
    assert_int_equal(finish(&reader), BASE_E_EXPIRED);
    assert_int_equal(finish(&second), BASE_E_EXPIRED);
    assert_true(now() - before < LONG / 2);
}

static void a_writer_with_a_full_ring_keeps_its_deadline(void **state)
{
    struct pair *p = *state;
    struct caller writer = {.size = 64u << 20};
    int64_t sent;

    writer.bytes = calloc(1, writer.size);
    assert_int_equal(rtcp_socket_set_write_deadline(p->client, BASE_MS(100)), 0);
    sent = rtcp_socket_send(p->client, writer.bytes, writer.size);
    assert_true(sent > 0 && (size_t)sent < writer.size);
    assert_int_equal(rtcp_socket_send(p->client, writer.bytes, 1), BASE_E_EXPIRED);
    assert_int_equal(rtcp_socket_set_write_deadline(p->client, BASE_NEVER), 0);
    begin_and_wait(&writer, SEND, p->client);
    assert_int_equal(rtcp_socket_set_write_deadline(p->client, 0), 0);
    assert_true(finish(&writer) < (int64_t)writer.size);
    free(writer.bytes);
}

/* ------------------------------------------------------------------------------------------------ without waiting */

static void a_nonblocking_socket_never_waits(void **state)
{
    struct pair *p = *state;
    struct rtcp_poll poll = {.socket = p->server, .events = RTCP_POLL_READ};
    struct rtcp_socket *socket;
    static uint8_t bytes[1 << 20];
    size_t sent = 0;
    size_t got = 0;
    int64_t n;

    assert_int_equal(rtcp_socket_set_nonblocking(p->client, true), 0);
    assert_int_equal(rtcp_socket_set_nonblocking(p->server, true), 0);
    assert_int_equal(rtcp_socket_set_nonblocking(p->listener, true), 0);
    assert_int_equal(rtcp_socket_accept(p->listener, &socket), BASE_E_AGAIN);
    assert_int_equal(rtcp_socket_recv(p->client, bytes, 1), BASE_E_AGAIN);
    while ((n = rtcp_socket_send(p->client, bytes, sizeof bytes)) > 0) {
        sent += (size_t)n;
    }
    assert_int_equal(n, BASE_E_AGAIN);
    assert_int_equal(rtcp_socket_flush(p->client), BASE_E_AGAIN);
    while (got < sent) {
        assert_int_equal(rtcp_socket_poll(&poll, 1, LONG), 1);
        while ((n = rtcp_socket_recv(p->server, bytes, sizeof bytes)) > 0) {
            got += (size_t)n;
        }
        assert_int_equal(n, BASE_E_AGAIN);
    }
    poll = (struct rtcp_poll){.socket = p->client, .events = RTCP_POLL_READ | RTCP_POLL_WRITE};
    assert_int_equal(rtcp_socket_poll(&poll, 1, LONG), 1);
    assert_int_equal(poll.ready, RTCP_POLL_WRITE);
}

/* As with TCP, whose kernels swallow megabytes: a writer who asks by poll, and so never meets a full ring, must not be
 * worse off than one who runs into it (PROTOCOL.md "Rings": full for 4 ms, it grows). */
static void who_asks_by_poll_before_each_send_gets_a_ring_that_grows(void **state)
{
    struct pair *p = *state;
    struct rtcp_poll poll = {.socket = p->client, .events = RTCP_POLL_WRITE};
    static uint8_t bytes[65536];
    struct rtcp_info info;
    size_t sent = 0;

    assert_int_equal(rtcp_socket_wait_open(p->client), 0);
    assert_int_equal(rtcp_socket_set_nonblocking(p->client, true), 0);
    while (sent < 8u << 20 && rtcp_socket_poll(&poll, 1, BASE_S(5)) == 1) {
        int64_t n = rtcp_socket_send(p->client, bytes, sizeof bytes);

        assert_true(n > 0);
        sent += (size_t)n;
    }
    assert_int_equal(sent, 8u << 20); /* nobody reads: all of them are in the ring */
    assert_int_equal(rtcp_socket_info(p->client, &info), 0);
    assert_int_equal(info.ring, info.ring_max);
    assert_int_equal(rtcp_socket_poll(&poll, 1, BASE_MS(20)), 0);
}

static void a_poll_waits_for_several_sockets(void **state)
{
    struct pair *p = *state;
    struct rtcp_socket *late;
    struct rtcp_poll polls[] = {{.socket = p->listener, .events = RTCP_POLL_READ},
                                {.socket = p->client, .events = RTCP_POLL_READ},
                                {.socket = NULL},
                                {.socket = p->server, .events = RTCP_POLL_READ}};
    base_time before = now();

    assert_int_equal(rtcp_socket_poll(polls, 4, BASE_MS(20)), 0);
    assert_true(now() - before >= BASE_MS(20));
    assert_int_equal(rtcp_socket_poll(polls, 4, 0), 0);
    send_all(p->client, "x");
    assert_int_equal(rtcp_socket_poll(polls, 4, LONG), 1);
    assert_int_equal(polls[3].ready, RTCP_POLL_READ);
    assert_int_equal(polls[0].ready | polls[1].ready | polls[2].ready, 0);
    expect(p->server, "x");
    assert_int_equal(rtcp_socket_connect(p->address, NULL, LONG, &late), 0);
    assert_int_equal(rtcp_socket_poll(polls, 4, LONG), 1);
    assert_int_equal(polls[0].ready, RTCP_POLL_READ);
    rtcp_socket_free(late);
    assert_int_equal(rtcp_socket_shutdown(p->server), 0);
    polls[0].socket = NULL;
    assert_int_equal(rtcp_socket_poll(polls, 4, LONG), 1); /* an end can be read */
    assert_int_equal(polls[1].ready, RTCP_POLL_READ);
    assert_int_equal(rtcp_socket_poll(polls, RTCP_POLL_MAX + 1, 0), BASE_E_RANGE);
}

/* ------------------------------------------------------------------------------------------------ close */

static void a_close_wakes_whoever_waits(void **state)
{
    struct pair *p = *state;
    struct caller acceptor = {0}, poller = {0}, writer = {.size = 64u << 20}, flusher = {0};

    writer.bytes = calloc(1, writer.size);
    assert_int_equal(rtcp_socket_set_read_deadline(p->listener, BASE_NEVER), 0);
    begin_and_wait(&acceptor, ACCEPT, p->listener);
    begin_and_wait(&poller, POLL, p->client);
    begin_and_wait(&writer, SEND, p->client);
    begin_and_wait(&flusher, FLUSH, p->client);
    rtcp_socket_close(p->listener, RTCP_LINGER_BACKGROUND, 0);
    assert_int_equal(finish(&acceptor), BASE_E_CLOSED);
    rtcp_socket_close(p->client, RTCP_LINGER_ABORT, 0);
    assert_int_equal(finish(&poller), 1); /* ready: the next call says why */
    assert_true(finish(&writer) < (int64_t)writer.size);
    assert_int_equal(finish(&flusher), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_send(p->client, "x", 1), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_recv(p->client, writer.bytes, 1), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_shutdown(p->client), BASE_E_CLOSED);
    assert_int_equal(rtcp_socket_set_write_deadline(p->client, 0), BASE_E_CLOSED);
    free(writer.bytes);
}

static void a_close_wakes_a_reader_and_a_queued_reader(void **state)
{
    struct pair *p = *state;
    struct caller reader = {0}, queued = {0};

    begin_and_wait(&reader, RECV, p->client);
    begin_and_wait(&queued, RECV, p->client);
    rtcp_socket_close(p->client, RTCP_LINGER_BACKGROUND, 0);
    assert_int_equal(finish(&reader), BASE_E_CLOSED);
    assert_int_equal(finish(&queued), BASE_E_CLOSED);
}

static void a_close_wakes_who_waits_for_the_opening(void **state)
{
    struct rtcp_socket *socket;
    struct sockaddr_in at;
    struct caller opener = {0};
    char address[64];
    int fd = raw_listener(&at, 8);

    (void)state;
    snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(at.sin_port));
    assert_int_equal(rtcp_socket_connect(address, NULL, LONG, &socket), 0);
    begin_and_wait(&opener, WAIT_OPEN, socket);
    rtcp_socket_close(socket, RTCP_LINGER_ABORT, 0);
    assert_int_equal(finish(&opener), BASE_E_CLOSED);
    rtcp_socket_free(socket);
    close(fd);
}

static void ten_threads_may_close_at_once(void **state)
{
    struct pair *p = *state;
    struct caller reader = {0};
    struct caller closer[10];

    send_all(p->client, "kept");
    begin_and_wait(&reader, RECV, p->client);
    base_zero(closer, sizeof closer);
    for (int i = 0; i < 10; i++) {
        begin(&closer[i], CLOSE, p->client);
    }
    expect(p->server, "kept"); /* closed in the background: what was sent arrives */
    assert_int_equal(rtcp_socket_recv(p->server, p->address, 1), 0);
    rtcp_socket_close(p->server, RTCP_LINGER_BACKGROUND, 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(finish(&closer[i]), 0);
    }
    assert_int_equal(finish(&reader), BASE_E_CLOSED);
}

static void what_nobody_accepted_is_aborted_with_the_listener(void **state)
{
    struct pair *p = *state;
    struct rtcp_poll poll = {.socket = p->listener, .events = RTCP_POLL_READ};
    struct rtcp_socket *client;
    char byte;

    assert_int_equal(rtcp_socket_connect(p->address, NULL, LONG, &client), 0);
    assert_int_equal(rtcp_socket_poll(&poll, 1, LONG), 1);
    rtcp_socket_close(p->listener, RTCP_LINGER_BACKGROUND, 0);
    assert_int_equal(rtcp_socket_set_read_deadline(client, LONG), 0);
    assert_int_equal(rtcp_socket_recv(client, &byte, 1), BASE_E_RESET);
    rtcp_socket_free(client);
    send_all(p->client, "lives"); /* what was accepted lives on */
    expect(p->server, "lives");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_go_both_ways_and_end_on_both_sides, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(several_ranges_are_sent_and_filled_in_a_row, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(an_abort_of_the_peer_is_told_to_readers_and_writers, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(a_flush_returns_when_the_peer_has_read, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(what_lies_unread_at_an_abort_is_not_an_end, setup_resumed, teardown),
        cmocka_unit_test(nobody_there_is_an_error_at_once),
        cmocka_unit_test(silence_is_waited_out_until_the_callers_deadline),
        cmocka_unit_test_setup_teardown(a_connect_that_does_not_wait_comes_true_later, setup_resumed, teardown),
        cmocka_unit_test(a_full_queue_of_the_listener_sends_clients_away_for_the_moment),
        cmocka_unit_test_setup_teardown(a_deadline_in_the_past_fails_at_once_and_can_be_taken_back, setup_resumed,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_deadline_in_the_future_is_kept, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(an_acceptor_keeps_its_deadline, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(a_deadline_set_while_a_reader_waits_without_one_wakes_it, setup_resumed,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_wake_up_that_meets_no_reader_costs_the_connection_only, setup_resumed,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_deadline_that_moves_is_followed, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(a_writer_with_a_full_ring_keeps_its_deadline, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(a_nonblocking_socket_never_waits, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(who_asks_by_poll_before_each_send_gets_a_ring_that_grows, setup_resumed,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_poll_waits_for_several_sockets, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(a_close_wakes_whoever_waits, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(a_close_wakes_a_reader_and_a_queued_reader, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(a_close_wakes_who_waits_for_the_opening, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(ten_threads_may_close_at_once, setup_resumed, teardown),
        cmocka_unit_test_setup_teardown(what_nobody_accepted_is_aborted_with_the_listener, setup_resumed, teardown),
    };

    resumes = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
