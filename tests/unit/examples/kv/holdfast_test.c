/* Tests of examples/kv/holdfast.c: the lines that the demo and operators read. */
#include "examples/kv/handlers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
    struct kv_store store;
    struct kv_buffer reply;
    struct replica_stats stats;
    struct group_view view;
    bool is_founded;
};

static void tell_stats(void *user, struct replica_stats *ret_stats)
{
    *ret_stats = ((struct world *)user)->stats;
}

static const struct group_view *tell_view(void *user)
{
    struct world *w = user;

    return w->is_founded ? &w->view : NULL;
}

static int set_up(void **state)
{
    static const uint8_t seed[KV_STORE_SEED_SIZE] = {0};
    struct world *w = calloc(1, sizeof *w);

    if (w == NULL) {
        return -1;
    }
    kv_store_init(&w->store, seed);
    kv_buffer_init(&w->reply, 65536);
    w->is_founded = true;
    w->view = (struct group_view){.id = 3, .index = 17, .instance = 0xabc, .count = 2};
    w->view.member[0] = (struct group_member){.id = 1, .incarnation = 0x11, .address = "10.0.0.1:7000"};
    w->view.member[1] =
        (struct group_member){.id = 5, .role = GROUP_LEARNER, .incarnation = 0x22, .address = "10.0.0.5:7000"};
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;

    kv_store_deinit(&w->store);
    kv_buffer_deinit(&w->reply);
    free(w);
    return 0;
}

static const char *run(struct world *w, const char *subcommand)
{
    struct base_bytes at[2] = {{(const uint8_t *)"HOLDFAST", 8}, {(const uint8_t *)subcommand, strlen(subcommand)}};
    const struct kv_args args = {.count = 2, .at = at};
    const struct kv_about about = {.user = w, .stats = tell_stats, .view = tell_view};
    struct kv_call call = {&w->store, &args, &w->reply, 41, &about};

    kv_buffer_reset(&w->reply, 65536);
    kv_run_holdfast(&call);
    kv_buffer_add(&w->reply, "", 1);
    return (const char *)kv_buffer_bytes(&w->reply).data;
}

static void the_view_is_told_line_by_line(void **state)
{
    assert_string_equal(strchr(run(*state, "VIEW"), '\n') + 1,
                        "view:3\r\nindex:17\r\ninstance:0000000000000abc\r\nmembers:2\r\n"
                        "member1:role=voter,incarnation=0000000000000011,address=10.0.0.1:7000\r\n"
                        "member5:role=learner,incarnation=0000000000000022,address=10.0.0.5:7000\r\n\r\n");
}

static void before_the_founding_there_is_no_view(void **state)
{
    struct world *w = *state;

    w->is_founded = false;
    assert_string_equal(strchr(run(w, "view"), '\n') + 1,
                        "view:0\r\nindex:0\r\ninstance:0000000000000000\r\nmembers:0\r\n\r\n");
    assert_non_null(strstr(run(w, "STATUS"), "\nview:0\r\n"));
}

/* Every number of the summary of the demo comes from here, so each field is seen with a value of its own. */
static void the_status_tells_every_counter(void **state)
{
    struct world *w = *state;

    w->stats = (struct replica_stats){
        .applied = 104, .commands = 105, .pending = 106, .save_calls = 107, .load_calls = 108, .unknown = 109};
    w->stats.group = (struct group_stats){.self = 1,
                                          .leader = 5,
                                          .term = 101,
                                          .last = 102,
                                          .commit = 103,
                                          .views = 110,
                                          .elections = 111,
                                          .log_bytes = 112,
                                          .has_quorum = true,
                                          .count = 1};
    w->stats.group.member[0] = (struct group_member_stats){.id = 5,
                                                           .link_up = true,
                                                           .is_leader = true,
                                                           .acked = 201,
                                                           .behind = 202,
                                                           .unacknowledged = 203,
                                                           .entries_sent = 204,
                                                           .entries_repeated = 205,
                                                           .entries_pulled = 206,
                                                           .entries_received_again = 207,
                                                           .snapshots_sent = 208,
                                                           .snapshots_received = 209,
                                                           .links = 210,
                                                           .silent = BASE_MS(211)};

    assert_string_equal(
        strchr(run(w, "Status"), '\n') + 1,
        "self:1\r\nleader:5\r\nterm:101\r\nlast:102\r\ncommit:103\r\napplied:104\r\ncommands:105\r\nkeys:0\r\n"
        "quorum:1\r\nview:3\r\nviews:110\r\nelections:111\r\npending:106\r\nunknown:109\r\nlog_bytes:112\r\n"
        "save_calls:107\r\nload_calls:108\r\n"
        "member5:link=up,leader=1,acked=201,behind=202,unacknowledged=203,entries_sent=204,entries_repeated=205,"
        "entries_pulled=206,received_again=207,snapshots_sent=208,snapshots_received=209,links=210,silent_ms=211"
        "\r\n\r\n");
}

static void the_digest_changes_with_the_state(void **state)
{
    struct world *w = *state;
    char before[200];

    (void)snprintf(before, sizeof before, "%s", run(w, "DIGEST"));
    assert_non_null(strstr(before, "index:41\r\nkeys:0\r\nsha256:"));
    kv_store_set(&w->store, (struct base_bytes){(const uint8_t *)"k", 1}, (struct base_bytes){(const uint8_t *)"v", 1});
    assert_non_null(strstr(run(w, "DIGEST"), "index:41\r\nkeys:1\r\nsha256:"));
    assert_string_not_equal(strstr(run(w, "DIGEST"), "sha256:"), strstr(before, "sha256:"));
}

static void anything_else_is_refused(void **state)
{
    assert_string_equal(run(*state, "FOO"), "-ERR HOLDFAST knows VIEW, STATUS and DIGEST\r\n");
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_view_is_told_line_by_line),  CASE(before_the_founding_there_is_no_view),
        CASE(the_status_tells_every_counter), CASE(the_digest_changes_with_the_state),
        CASE(anything_else_is_refused),
    };
#undef CASE

    return cmocka_run_group_tests(tests, NULL, NULL);
}
