/* The blocking face while its TCP connections break again and again: a relay thread between client and server cuts
 * them, with and without a reset, and threads on both sides read and write what they can. Every byte must arrive once
 * and in order (C1, P4). HOLDFAST_ALL=1 makes the storms longer.
 */
#include "rtcp/blocking.h"
#include "tests/unit/rtcp/cutter.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define LONG BASE_S(60)

/* ------------------------------------------------------------------------------------------------ the sides */

static int scale(void)
{
    const char *all = getenv("HOLDFAST_ALL");

    return all != NULL && strcmp(all, "1") == 0 ? 10 : 1;
}

struct side {
    pthread_t thread;
    struct rtcp_socket *socket;
    uint64_t total;
    uint64_t done;
    size_t piece;
    int64_t failed; /* status; 0: none */
    uint64_t wrong_at;
};

static uint8_t byte_at(uint64_t offset, uint64_t salt)
{
    uint64_t x = (offset / 7 + salt) * 0x9e3779b97f4a7c15u;

    return (uint8_t)((x >> 32) + offset);
}

static void *write_all(void *argument)
{
    struct side *s = argument;
    uint8_t *bytes = malloc(s->piece);

    while (s->done < s->total && s->failed == 0) {
        size_t size = s->total - s->done < s->piece ? (size_t)(s->total - s->done) : s->piece;
        int64_t n;

        for (size_t i = 0; i < size; i++) {
            bytes[i] = byte_at(s->done + i, 0);
        }
        n = rtcp_socket_send(s->socket, bytes, size);
        s->failed = n == (int64_t)size ? 0 : n < 0 ? n : 1;
        s->done += size;
    }
    free(bytes);
    rtcp_socket_shutdown(s->socket);
    return NULL;
}

static void *read_all(void *argument)
{
    struct side *s = argument;
    uint8_t *bytes = malloc(s->piece);
    int64_t n;

    s->wrong_at = UINT64_MAX;
    while ((n = rtcp_socket_recv(s->socket, bytes, s->piece)) > 0) {
        for (int64_t i = 0; i < n; i++) {
            if (bytes[i] != byte_at(s->done + (uint64_t)i, 0) && s->wrong_at == UINT64_MAX) {
                s->wrong_at = s->done + (uint64_t)i;
            }
        }
        s->done += (uint64_t)n;
    }
    s->failed = n;
    free(bytes);
    return NULL;
}

static struct rtcp_stream_options with_ring(uint32_t ring)
{
    struct rtcp_stream_options o;

    rtcp_stream_options_default(&o);
    o.ring = ring;
    return o;
}

static void dial(struct rtcp_socket *listener, const char *address, struct rtcp_stream_options o,
                 struct rtcp_socket **client, struct rtcp_socket **server)
{
    struct rtcp_socket_options options;

    rtcp_socket_options_default(&options);
    options.stream = o;
    options.wait_accepted = true;
    assert_int_equal(rtcp_socket_connect(address, &options, LONG, client), 0);
    assert_int_equal(rtcp_socket_accept(listener, server), 0);
}

static void through_a_storm(unsigned cut_after, uint64_t total, size_t piece, struct rtcp_stream_options o)
{
    struct rtcp_socket *listener, *client, *server;
    struct side writer[2] = {{.total = total, .piece = piece}, {.total = total, .piece = piece + 13}};
    struct side reader[2] = {{.piece = piece + 7}, {.piece = piece}};
    char address[RTCP_ADDRESS_TEXT];
    struct rtcp_listen_options options;
    struct rtcp_info info;
    struct cutter r;

    rtcp_listen_options_default(&options);
    options.stream = o;
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", &options, &listener), 0);
    rtcp_socket_address(listener, address);
    cutter_begin(&r, address, cut_after);
    dial(listener, r.address, o, &client, &server);
    writer[0].socket = reader[0].socket = client;
    writer[1].socket = reader[1].socket = server;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&writer[i].thread, NULL, write_all, &writer[i]), 0);
        assert_int_equal(pthread_create(&reader[i].thread, NULL, read_all, &reader[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(writer[i].thread, NULL);
        pthread_join(reader[i].thread, NULL);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(writer[i].failed, 0);
        assert_int_equal(reader[i].failed, 0); /* the end, and no other */
        assert_int_equal(reader[i].wrong_at, UINT64_MAX);
        assert_int_equal(reader[i].done, total);
    }
    assert_int_equal(rtcp_socket_info(client, &info), 0);
    assert_true(info.connections > 20);
    assert_int_equal(rtcp_socket_close(client, RTCP_LINGER_BACKGROUND, 0), 0);
    assert_int_equal(rtcp_socket_close(server, RTCP_LINGER_BACKGROUND, LONG), 0);
    rtcp_socket_free(client);
    rtcp_socket_free(server);
    rtcp_socket_free(listener);
    cutter_end(&r);
    print_message("    %d cuts, %u connections, %llu bytes repeated\n", r.cuts, info.connections,
                  (unsigned long long)info.repeated);
}

/* ------------------------------------------------------------------------------------------------ tests */

static void bytes_survive_many_cuts(void **state)
{
    (void)state;
    through_a_storm(300000, (uint64_t)scale() * (16u << 20), 16384, with_ring(65536));
}

static void bytes_survive_cuts_with_a_large_ring(void **state)
{
    (void)state;
    through_a_storm(2000000, (uint64_t)scale() * (32u << 20), 100000, with_ring(1u << 20));
}

static void bytes_in_pages_survive_cuts(void **state)
{
    struct rtcp_stream_options o = with_ring(1u << 20);

    (void)state;
    o.sendfile = true;
    through_a_storm(2000000, (uint64_t)scale() * (32u << 20), 100000, o);
}

static void small_messages_survive_cuts(void **state)
{
    (void)state;
    through_a_storm(4000, (uint64_t)scale() * (192u << 10), 61, with_ring(4096));
}

static void small_messages_that_wait_for_more_survive_cuts(void **state)
{
    struct rtcp_stream_options o = with_ring(65536);

    (void)state;
    o.coalesce = BASE_MS(1);
    through_a_storm(20000, (uint64_t)scale() * (512u << 10), 61, o);
}

/* Writers of one socket at once: each message, as small as it is, lies in one piece. */
struct many {
    struct rtcp_socket *socket;
    uint8_t mark;
    int count;
    int64_t failed;
};

#define MESSAGE 100

static void *write_marked(void *argument)
{
    struct many *m = argument;
    uint8_t bytes[MESSAGE];

    memset(bytes, m->mark, sizeof bytes);
    for (int i = 0; i < m->count && m->failed == 0; i++) {
        int64_t n = rtcp_socket_send(m->socket, bytes, sizeof bytes);

        m->failed = n == MESSAGE ? 0 : n;
    }
    return NULL;
}

struct reader {
    pthread_t thread;
    struct rtcp_socket *socket;
    uint64_t *sum; /* per mark, atomically */
    int64_t failed;
};

static void *read_marked(void *argument)
{
    struct reader *r = argument;
    uint8_t bytes[777];
    int64_t n;

    while ((n = rtcp_socket_recv(r->socket, bytes, sizeof bytes)) > 0) {
        for (int64_t i = 0; i < n; i++) {
            __atomic_add_fetch(&r->sum[bytes[i]], 1, __ATOMIC_RELAXED);
        }
    }
    r->failed = n;
    return NULL;
}

static void many_threads_read_and_write_one_socket_under_cuts(void **state)
{
    enum { WRITERS = 4, READERS = 4 };
    struct rtcp_socket *listener, *client, *server;
    struct many writer[WRITERS];
    pthread_t thread[WRITERS];
    struct reader reader[READERS];
    uint64_t sum[256] = {0};
    char address[RTCP_ADDRESS_TEXT];
    struct cutter r;
    int count = 5000 * scale();

    (void)state;
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", NULL, &listener), 0);
    rtcp_socket_address(listener, address);
    cutter_begin(&r, address, 50000);
    dial(listener, r.address, with_ring(65536), &client, &server);
    for (int i = 0; i < READERS; i++) {
        reader[i] = (struct reader){.socket = server, .sum = sum};
        assert_int_equal(pthread_create(&reader[i].thread, NULL, read_marked, &reader[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        writer[i] = (struct many){.socket = client, .mark = (uint8_t)(i + 1), .count = count};
        assert_int_equal(pthread_create(&thread[i], NULL, write_marked, &writer[i]), 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(writer[i].failed, 0);
    }
    assert_int_equal(rtcp_socket_shutdown(client), 0);
    for (int i = 0; i < READERS; i++) {
        pthread_join(reader[i].thread, NULL);
        assert_int_equal(reader[i].failed, 0);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(sum[i + 1], (uint64_t)count * MESSAGE);
    }
    rtcp_socket_free(client);
    rtcp_socket_free(server);
    rtcp_socket_free(listener);
    cutter_end(&r);
}

/* Streams that are opened, used and closed by many threads while connections break. Gives NULL when all went well. */
static void *open_use_close(void *argument)
{
    const char *address = argument;

    for (int i = 0; i < 10 * scale(); i++) {
        struct rtcp_socket *socket;
        char bytes[6] = "";
        int64_t got = 0;

        if (rtcp_socket_connect(address, NULL, LONG, &socket) != 0 || rtcp_socket_send(socket, "hello", 5) != 5) {
            return argument;
        }
        while (got < 5) {
            int64_t n = rtcp_socket_recv(socket, bytes + got, (size_t)(5 - got));

            if (n <= 0) {
                return argument;
            }
            got += n;
        }
        if (strcmp(bytes, "hello") != 0 || rtcp_socket_close(socket, RTCP_LINGER_BACKGROUND, LONG) != 0) {
            return argument;
        }
        rtcp_socket_free(socket);
    }
    return NULL;
}

static void *echo(void *argument)
{
    struct rtcp_socket *socket = argument;
    char bytes[64];
    int64_t n;

    while ((n = rtcp_socket_recv(socket, bytes, sizeof bytes)) > 0) {
        if (rtcp_socket_send(socket, bytes, (size_t)n) != n) {
            break;
        }
    }
    rtcp_socket_free(socket);
    return NULL;
}

static void *serve(void *argument)
{
    struct rtcp_socket *socket;
    pthread_t thread[400];
    int count = 0;

    while (rtcp_socket_accept(argument, &socket) == 0) {
        if (count == 400 || pthread_create(&thread[count], NULL, echo, socket) != 0) {
            rtcp_socket_free(socket);
        } else {
            count++;
        }
    }
    while (count > 0) {
        pthread_join(thread[--count], NULL);
    }
    return NULL;
}

static void streams_come_and_go_under_cuts(void **state)
{
    struct rtcp_socket *listener;
    pthread_t server, client[3];
    char address[RTCP_ADDRESS_TEXT];
    struct cutter r;

    (void)state;
    assert_int_equal(rtcp_socket_listen("127.0.0.1:0", NULL, &listener), 0);
    rtcp_socket_address(listener, address);
    assert_int_equal(pthread_create(&server, NULL, serve, listener), 0);
    cutter_begin(&r, address, 100);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&client[i], NULL, open_use_close, r.address), 0);
    }
    for (int i = 0; i < 3; i++) {
        void *failed = NULL;

        pthread_join(client[i], &failed);
        assert_null(failed);
    }
    rtcp_socket_close(listener, RTCP_LINGER_BACKGROUND, 0);
    pthread_join(server, NULL);
    rtcp_socket_free(listener);
    cutter_end(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_survive_many_cuts),
        cmocka_unit_test(bytes_survive_cuts_with_a_large_ring),
        cmocka_unit_test(bytes_in_pages_survive_cuts),
        cmocka_unit_test(small_messages_survive_cuts),
        cmocka_unit_test(small_messages_that_wait_for_more_survive_cuts),
        cmocka_unit_test(many_threads_read_and_write_one_socket_under_cuts),
        cmocka_unit_test(streams_come_and_go_under_cuts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
