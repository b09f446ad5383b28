/* Pre-shared keys over real sockets on loopback: who gets in, who goes on after a rotation, what the refused are told.
 * Every wait is for an event and ends with a deadline; nothing sleeps.
 */
#include "rtcp/rtcp.h"
#include "tests/unit/rtcp/pair.h"

#include <errno.h>
#include <ev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#define DEADLINE_S 10.

static const uint8_t old_bytes[32] = "the key of last year, 32 bytes..";
static const uint8_t new_bytes[32] = "the key of this year, 32 bytes..";
static const struct rtcp_key old_key = {1, old_bytes, 32};
static const struct rtcp_key new_key = {2, new_bytes, 32};

struct world {
    struct pair pair;
    struct rtcp_stream *client, *server;
    int accepted, up, closed, status, wrong_peer, got;
    int bad_keys; /* complaints in the server's trace */
};

static void on_event(void *user, const struct base_event *e)
{
    struct world *w = user;

    w->bad_keys += e->text != NULL && strcmp(e->text, "its key or tag is wrong") == 0 ? 1 : 0;
}

static void on_link(void *user, struct rtcp_stream *stream, bool up)
{
    (void)stream;
    ((struct world *)user)->up += up ? 1 : 0;
}

static void on_evidence(void *user, struct rtcp_stream *stream, enum rtcp_evidence evidence)
{
    (void)stream;
    ((struct world *)user)->wrong_peer += evidence == RTCP_EVIDENCE_WRONG_PEER ? 1 : 0;
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct world *w = user;

    (void)stream;
    (void)unacknowledged;
    w->closed++;
    w->status = status;
}

static void server_readable(void *user, struct rtcp_stream *stream)
{
    struct world *w = user;
    char bytes[100];
    int64_t n = rtcp_recv(stream, bytes, sizeof bytes);

    w->got += n > 0 ? (int)n : 0;
}

static void on_accept(void *user, struct rtcp_listener *listener, struct rtcp_stream *stream)
{
    static const struct rtcp_stream_callbacks calls = {.on_readable = server_readable};
    struct world *w = user;

    (void)listener;
    w->accepted++;
    w->server = stream;
    rtcp_stream_set_callbacks(stream, &calls, w);
}

/* A server with some keys, and a client with others. */
static void open_world(struct world *w, const struct rtcp_key *server, size_t servers, const struct rtcp_key *client,
                       size_t clients)
{
    struct rtcp_endpoint_options near, far;
    const struct pair_options options = {
        .limit = DEADLINE_S, .near = &near, .far = &far, .on_accept = on_accept, .user = w};

    *w = (struct world){.accepted = 0};
    rtcp_endpoint_options_default(&near);
    near.keys = client;
    near.key_count = clients;
    rtcp_endpoint_options_default(&far);
    far.keys = server;
    far.key_count = servers;
    far.trace = (struct base_trace){w, on_event};
    pair_open(&w->pair, &options);
}

static void close_world(struct world *w)
{
    pair_close(&w->pair);
}

static void dial(struct world *w)
{
    static const struct rtcp_stream_callbacks calls = {
        .on_link = on_link, .on_evidence = on_evidence, .on_closed = on_closed};

    w->client = pair_connect(&w->pair, NULL, &calls, w);
    assert_int_equal(rtcp_send(w->client, "secret", 6), 6);
}

static void get_in(struct world *w)
{
    int before = w->accepted;
    int got = w->got;

    dial(w);
    PAIR_UNTIL(&w->pair, w->accepted >= before + 1);
    PAIR_UNTIL(&w->pair, w->got >= got + 6);
}

static void get_refused(struct world *w)
{
    int before = w->closed;
    int accepted = w->accepted;
    int got = w->got;

    dial(w);
    PAIR_UNTIL(&w->pair, w->closed >= before + 1);

    assert_int_equal(w->status, BASE_E_REFUSED);
    assert_int_equal(w->accepted, accepted);
    assert_int_equal(w->got, got);
}

/* ------------------------------------------------------------------------------------------------ cases */

/* Another key, another id, none, and one where none is: refused on both sides with a reason, and nothing was made. */
static void a_wrong_or_missing_key_is_refused_and_said_so(void **state)
{
    const struct rtcp_key same_id = {1, new_bytes, 32};
    const struct rtcp_key other_id = {9, old_bytes, 32};
    const struct {
        const struct rtcp_key *server, *client;
    } cases[] = {{&old_key, &same_id}, {&old_key, &other_id}, {&old_key, NULL}, {NULL, &old_key}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rtcp_stats stats;
        struct world w;

        open_world(&w, cases[i].server, cases[i].server == NULL ? 0 : 1, cases[i].client,
                   cases[i].client == NULL ? 0 : 1);
        get_refused(&w);

        assert_int_equal(w.wrong_peer, 1);
        assert_int_equal(w.bad_keys, 1);
        rtcp_endpoint_stats(w.pair.far, &stats);
        assert_int_equal(stats.handshakes_refused, 1);
        assert_int_equal(stats.keys_refused, 1);
        assert_int_equal(stats.sessions, 0);
        close_world(&w);
    }
}

/* The order of an operator: both everywhere, then the new one opens, then the old one goes. Nothing breaks. */
static void keys_are_rotated_while_streams_live(void **state)
{
    const struct rtcp_key both[] = {old_key, new_key};
    struct rtcp_stream *first;
    struct world w;

    (void)state;
    open_world(&w, &old_key, 1, &old_key, 1);
    get_in(&w);
    first = w.client;
    assert_int_equal(rtcp_endpoint_set_keys(w.pair.far, both, 2, 0), 0);
    get_in(&w);
    assert_int_equal(rtcp_endpoint_set_keys(w.pair.near, both, 2, 1), 0);
    get_in(&w);
    assert_int_equal(rtcp_endpoint_set_keys(w.pair.far, &new_key, 1, 0), 0);
    assert_int_equal(rtcp_endpoint_set_keys(w.pair.near, &new_key, 1, 0), 0);
    get_in(&w);

    /* The first stream goes on under the key that was taken away, also over another connection. */
    assert_int_equal(rtcp_replace(first), 0);
    PAIR_UNTIL(&w.pair, pair_info(first).connections >= 2);
    w.got = 0;
    assert_int_equal(rtcp_send(first, "again", 5), 5);
    PAIR_UNTIL(&w.pair, w.got >= 5);
    assert_int_equal(w.closed, 0);
    assert_int_equal(w.bad_keys, 0);
    close_world(&w);
}

static void a_key_that_was_taken_away_opens_nothing(void **state)
{
    struct world w;

    (void)state;
    open_world(&w, &old_key, 1, &old_key, 1);
    get_in(&w);
    assert_int_equal(rtcp_endpoint_set_keys(w.pair.far, &new_key, 1, 0), 0);
    get_refused(&w);
    assert_int_equal(rtcp_endpoint_set_keys(w.pair.far, NULL, 0, 0), 0);
    get_refused(&w);
    assert_int_equal(rtcp_endpoint_set_keys(w.pair.near, NULL, 0, 0), 0);
    get_in(&w);
    close_world(&w);
}

/* Whoever complains about each of a flood makes it worse. */
static void complaints_are_few_under_a_flood(void **state)
{
    struct rtcp_stats stats;
    struct world w;

    (void)state;
    open_world(&w, &old_key, 1, &new_key, 1);
    for (int i = 0; i < 60; i++) {
        get_refused(&w);
    }

    rtcp_endpoint_stats(w.pair.far, &stats);
    assert_int_equal(stats.keys_refused, 60);
    assert_true(w.bad_keys >= 1 && w.bad_keys < 60);
    close_world(&w);
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    fclose(file);
}

static void a_key_is_read_from_a_file_or_the_environment(void **state)
{
    char path[] = "/tmp/holdfast-key-XXXXXX";
    int fd = mkstemp(path);
    uint8_t key[RTCP_KEY_MAX];
    char text[RTCP_KEY_MAX + 2];
    size_t size = 0;

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    write_file(path, "sixteen bytes ok\n");
    assert_int_equal(rtcp_key_read(path, key, &size), 0);
    assert_int_equal(size, 16);
    assert_memory_equal(key, "sixteen bytes ok", 16);
    write_file(path, "fifteen bytes..\n");
    assert_int_equal(rtcp_key_read(path, key, &size), BASE_E_RANGE);
    memset(text, 'x', RTCP_KEY_MAX + 1);
    text[RTCP_KEY_MAX + 1] = 0;
    write_file(path, text);
    assert_int_equal(rtcp_key_read(path, key, &size), BASE_E_RANGE);
    text[RTCP_KEY_MAX] = 0;
    write_file(path, text);
    assert_int_equal(rtcp_key_read(path, key, &size), 0);
    assert_int_equal(size, RTCP_KEY_MAX);
    unlink(path);
    assert_int_equal(rtcp_key_read(path, key, &size), BASE_E_SYSTEM);
    assert_int_equal(rtcp_key_read("/", key, &size), BASE_E_SYSTEM);
    assert_int_equal(errno, EISDIR);
    unsetenv("HOLDFAST_KEY");
    assert_int_equal(rtcp_key_read(NULL, key, &size), BASE_E_NOTFOUND);
    setenv("HOLDFAST_KEY", "from the environment", 1);
    assert_int_equal(rtcp_key_read(NULL, key, &size), 0);
    assert_int_equal(size, 20);
    setenv("HOLDFAST_KEY", "short", 1);
    assert_int_equal(rtcp_key_read(NULL, key, &size), BASE_E_RANGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_or_missing_key_is_refused_and_said_so),
        cmocka_unit_test(keys_are_rotated_while_streams_live),
        cmocka_unit_test(a_key_that_was_taken_away_opens_nothing),
        cmocka_unit_test(complaints_are_few_under_a_flood),
        cmocka_unit_test(a_key_is_read_from_a_file_or_the_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
