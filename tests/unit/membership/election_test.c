/* Elections of one core (membership/election.h; R1, R4, R12, R8; T02, T13, T25..T34, G3, G17). */
#include "tests/unit/membership/one.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static bool asks(struct one *one, uint32_t member, enum message_kind kind, struct message *m)
{
    return one_pull(one, member, kind, m);
}

static void suspect(struct one *one)
{
    while (one_is(one, "follower")) {
        one_pass(one, BASE_MS(1));
    }
}

static bool grants(struct one *one, uint32_t member, struct message ask)
{
    struct message answer;

    assert_int_equal(one_give(one, member, &ask), 0);
    assert_true(one_pull(one, member, ask.kind == MESSAGE_VOTE_ASK ? MESSAGE_VOTE : MESSAGE_PREVOTE, &answer));
    assert_int_equal(answer.vote.attempt, ask.ask.attempt);
    return answer.vote.granted;
}

static int answer(struct one *one, uint32_t from, enum message_kind kind, const struct message *ask, bool granted)
{
    struct message m = one_message(kind, ask->term);

    m.vote.term = ask->ask.term;
    m.vote.attempt = ask->ask.attempt;
    m.vote.granted = granted;
    return one_give(one, from, &m);
}

static void asking_first_changes_no_term(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    suspect(&one);
    assert_true(one_is(&one, "pre-candidate"));
    assert_int_equal(one_stats(&one).term, 0); /* T30 */
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    assert_int_equal(m.ask.term, 1);
    assert_true(asks(&one, 3, MESSAGE_PREVOTE_ASK, &m));
    one_close(&one);
}

static void a_member_cut_off_never_raises_its_term(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_pass(&one, BASE_S(3600));
    assert_int_equal(one_stats(&one).term, 0); /* T30, T08 */
    assert_int_equal(one_stats(&one).elections, 0);
    one_close(&one);
}

static void a_majority_of_answers_starts_a_term_and_a_majority_of_votes_leads_it(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 5);
    suspect(&one);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &m, true), 0);
    assert_true(one_is(&one, "pre-candidate"));
    assert_int_equal(answer(&one, 3, MESSAGE_PREVOTE, &m, true), 0);
    assert_true(one_is(&one, "candidate"));
    assert_int_equal(one_stats(&one).term, 1);
    assert_true(asks(&one, 4, MESSAGE_VOTE_ASK, &m));
    assert_int_equal(answer(&one, 4, MESSAGE_VOTE, &m, true), 0);
    assert_true(one_is(&one, "candidate"));
    assert_int_equal(answer(&one, 5, MESSAGE_VOTE, &m, true), 0);
    assert_true(one_is(&one, "leader"));
    assert_int_equal(one.leader, 1);
    one_close(&one);
}

static void one_voter_twice_is_one_vote(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 5);
    suspect(&one);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    for (int i = 0; i < 4; i++) {
        assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &m, true), 0); /* R13 */
    }
    assert_true(one_is(&one, "pre-candidate"));
    one_close(&one);
}

static void a_group_of_one_elects_itself_when_its_vote_is_durable(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 1);
    one.is_disk_slow = true;
    suspect(&one);
    assert_true(one_is(&one, "candidate")); /* T14 */
    order_durable(one.order, one.persist, one.now);
    one_turn(&one);
    assert_true(one_is(&one, "leader"));
    assert_int_equal(one_stats(&one).commit, 0);
    order_durable(one.order, one.persist, one.now);
    assert_int_equal(one_stats(&one).commit, 1);
    one_close(&one);
}

static void a_candidates_own_vote_counts_only_when_durable(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one.is_disk_slow = true;
    suspect(&one);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &m, true), 0);
    assert_true(one_is(&one, "candidate"));
    assert_false(asks(&one, 2, MESSAGE_VOTE_ASK, &m)); /* R8: not even asked */
    assert_int_equal(one.persist_vote, 1);
    assert_int_equal(one.persist_term, 1);
    order_durable(one.order, one.persist, one.now);
    assert_true(asks(&one, 2, MESSAGE_VOTE_ASK, &m));
    one_close(&one);
}

static void a_vote_is_sent_only_when_durable(void **state)
{
    struct one one;
    struct message ask = one_ask(MESSAGE_VOTE_ASK, 4, 4, 0, 0);
    struct message m;

    (void)state;
    one_open(&one, 3);
    one.is_disk_slow = true;
    assert_int_equal(one_give(&one, 2, &ask), 0);
    assert_int_equal(one.persist_vote, 2); /* R12: term and vote in one write */
    assert_int_equal(one.persist_term, 4);
    assert_false(one_pull(&one, 2, MESSAGE_VOTE, &m)); /* R8, T11 */
    order_durable(one.order, one.persist, one.now);
    assert_true(one_pull(&one, 2, MESSAGE_VOTE, &m));
    assert_true(m.vote.granted);
    one_close(&one);
}

static void a_vote_in_a_term_that_is_durable_still_waits_for_itself(void **state)
{
    struct one one;
    struct message told = one_message(MESSAGE_PREVOTE, 4);
    struct message ask = one_ask(MESSAGE_VOTE_ASK, 4, 4, 0, 0);
    struct message m;

    (void)state;
    one_open(&one, 3);
    assert_int_equal(one_give(&one, 3, &told), 0); /* term 4 is known and durable */
    one.is_disk_slow = true;
    assert_int_equal(one_give(&one, 2, &ask), 0);
    assert_false(one_pull(&one, 2, MESSAGE_VOTE, &m)); /* R8, R12 */
    order_durable(one.order, one.persist, one.now);
    assert_true(one_pull(&one, 2, MESSAGE_VOTE, &m));
    one_close(&one);
}

static void an_older_write_that_ends_does_not_make_a_candidates_vote_count(void **state)
{
    struct one one;
    struct message batch;
    struct message m;
    uint64_t older;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    one.is_disk_slow = true;
    batch = one_batch(&one, 1, 0, 0);
    assert_int_equal(one_give(&one, 2, &batch), 0);
    older = one.persist;
    suspect(&one);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &m, true), 0);
    assert_true(one.persist > older);
    order_durable(one.order, older, one.now);
    m = one_message(MESSAGE_VOTE, 2);
    for (uint64_t attempt = 0; attempt < 10; attempt++) { /* whatever the number of the attempt is */
        m.vote.term = 2;
        m.vote.attempt = attempt;
        m.vote.granted = true;
        assert_int_equal(one_give(&one, 3, &m), 0);
    }
    assert_true(one_is(&one, "candidate")); /* T13: two of three, but one is not on disk */
    order_durable(one.order, one.persist, one.now);
    assert_true(one_is(&one, "leader"));
    one_close(&one);
}

static void being_asked_first_by_a_member_of_a_newer_term_changes_no_term(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    assert_false(grants(&one, 3, one_ask(MESSAGE_PREVOTE_ASK, 9, 10, 5, 5)));
    assert_int_equal(one_stats(&one).term, 1);
    assert_int_equal(one_stats(&one).leader, 2);
    one_close(&one);
}

static void there_is_one_vote_a_term(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    assert_true(grants(&one, 2, one_ask(MESSAGE_VOTE_ASK, 4, 4, 0, 0)));
    assert_false(grants(&one, 3, one_ask(MESSAGE_VOTE_ASK, 4, 4, 0, 0))); /* R12 */
    assert_true(grants(&one, 2, one_ask(MESSAGE_VOTE_ASK, 4, 4, 0, 0)));  /* the same asker hears the same */
    assert_true(grants(&one, 3, one_ask(MESSAGE_VOTE_ASK, 5, 5, 0, 0)));
    one_close(&one);
}

static void the_vote_survives_a_restart(void **state)
{
    struct one one;
    struct order_image image = {.term = 4, .vote = 2};

    (void)state;
    one_prepare(&one, 3);
    one_start(&one, &image);
    assert_false(grants(&one, 3, one_ask(MESSAGE_VOTE_ASK, 4, 4, 9, 9))); /* T11 */
    assert_true(grants(&one, 2, one_ask(MESSAGE_VOTE_ASK, 4, 4, 9, 9)));
    one_close(&one);
}

static void stepping_down_in_a_term_keeps_its_vote(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    order_abdicate(one.order, one.now);
    one_turn(&one);
    assert_true(one_is(&one, "follower"));
    assert_false(grants(&one, 2, one_ask(MESSAGE_VOTE_ASK, 1, 1, 100, 1))); /* T12 */
    one_close(&one);
}

static struct order_image image_of(struct one *one, uint64_t term)
{
    uint32_t count;

    return (struct order_image){.term = term, .entries = log_range(&one->log, 1, one->log.last.index, 1 << 20, &count)};
}

static void a_log_behind_ours_gets_no_vote_and_a_longer_one_of_an_older_term_neither(void **state)
{
    struct one one;
    struct order_image image;

    (void)state;
    one_prepare(&one, 3);
    one_write(&one, 1, "a");
    one_write(&one, 3, "b");
    one_write(&one, 3, "c");
    image = image_of(&one, 3);
    one_start(&one, &image);
    assert_false(grants(&one, 2, one_ask(MESSAGE_PREVOTE_ASK, 3, 4, 2, 3))); /* R4, T27 */
    assert_false(grants(&one, 2, one_ask(MESSAGE_PREVOTE_ASK, 3, 4, 90, 2)));
    assert_true(grants(&one, 2, one_ask(MESSAGE_PREVOTE_ASK, 3, 4, 3, 3)));
    assert_true(grants(&one, 2, one_ask(MESSAGE_PREVOTE_ASK, 3, 5, 1, 4)));
    assert_false(grants(&one, 3, one_ask(MESSAGE_VOTE_ASK, 4, 4, 2, 3)));
    assert_true(grants(&one, 2, one_ask(MESSAGE_VOTE_ASK, 4, 4, 3, 3)));
    one_close(&one);
}

static void the_log_that_is_claimed_is_the_durable_one(void **state)
{
    struct one one;
    struct message batch;
    struct message m;

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_write(&one, 1, "a");
    one_write(&one, 1, "b");
    one.is_disk_slow = true;
    batch = one_batch(&one, 1, 0, 0);
    assert_int_equal(one_give(&one, 2, &batch), 0);
    assert_int_equal(one_stats(&one).last, 2);
    suspect(&one);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    assert_int_equal(m.ask.last_index, 0); /* T13 */
    order_durable(one.order, one.persist, one.now);
    one_pass(&one, ONE_T);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    assert_int_equal(m.ask.last_index, 2);
    assert_int_equal(m.ask.last_term, 1);
    one_close(&one);
}

static void who_hears_a_leader_refuses_and_changes_no_term(void **state)
{
    struct one one;
    struct message ask = one_ask(MESSAGE_VOTE_ASK, 9, 9, 100, 8);

    (void)state;
    one_open(&one, 3);
    one_follow(&one, 2, 1);
    one_pass(&one, ONE_T - 1);
    assert_false(grants(&one, 3, one_ask(MESSAGE_PREVOTE_ASK, 1, 2, 100, 1))); /* G3 */
    assert_int_equal(one_give(&one, 3, &ask), 0);
    assert_int_equal(one_stats(&one).term, 1);
    one_pass(&one, 1);
    assert_true(grants(&one, 3, one_ask(MESSAGE_PREVOTE_ASK, 1, 2, 100, 1)));
    assert_true(grants(&one, 3, ask));
    assert_int_equal(one_stats(&one).term, 9);
    one_close(&one);
}

static void a_former_leader_is_asked_and_answered_like_anybody(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    one_pass(&one, 2 * ONE_T); /* nobody answers its rounds: it abdicates */
    assert_int_equal(one.leader, 0);
    assert_true(grants(&one, 2, one_ask(MESSAGE_PREVOTE_ASK, 1, 2, 5, 1))); /* T26 */
    one_close(&one);
}

static void a_leader_with_a_quorum_refuses(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    assert_false(grants(&one, 2, one_ask(MESSAGE_PREVOTE_ASK, 1, 2, 100, 1)));
    one_close(&one);
}

static void late_answers_of_an_earlier_attempt_count_for_nothing(void **state)
{
    struct one one;
    struct message first;
    struct message second;

    (void)state;
    one_open(&one, 3);
    suspect(&one);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &first));
    one_pass(&one, ONE_T);
    assert_true(one_is(&one, "pre-candidate"));
    assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &first, true), 0); /* G17, T34 */
    assert_true(one_is(&one, "pre-candidate"));
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &second));
    assert_true(second.ask.attempt != first.ask.attempt);
    assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &second, true), 0);
    assert_true(one_is(&one, "candidate"));
    assert_int_equal(answer(&one, 3, MESSAGE_PREVOTE, &second, true), 0); /* T34: after the question was settled */
    assert_true(one_is(&one, "candidate"));
    one_close(&one);
}

static void late_votes_of_an_older_term_count_for_nothing(void **state)
{
    struct one one;
    struct message ask;
    struct message beat = one_beat(2, 1);

    (void)state;
    one_open(&one, 3);
    suspect(&one);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &ask));
    assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &ask, true), 0);
    assert_true(asks(&one, 2, MESSAGE_VOTE_ASK, &ask));
    assert_int_equal(one_give(&one, 3, &beat), 0);                  /* member 3 leads term 2 */
    assert_int_equal(answer(&one, 2, MESSAGE_VOTE, &ask, true), 0); /* G17 */
    assert_true(one_is(&one, "follower"));
    assert_int_equal(one_stats(&one).term, 2);
    one_close(&one);
}

static void refusals_of_a_majority_end_in_another_attempt_and_no_term(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    suspect(&one);
    for (int i = 0; i < 5; i++) {
        assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
        assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &m, false), 0);
        assert_true(asks(&one, 3, MESSAGE_PREVOTE_ASK, &m));
        assert_int_equal(answer(&one, 3, MESSAGE_PREVOTE, &m, false), 0);
        one_pass(&one, ONE_T);
    }
    assert_int_equal(one_stats(&one).term, 0);
    one_close(&one);
}

static void a_refusal_that_tells_a_newer_term_is_followed(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    suspect(&one);
    m = one_message(MESSAGE_PREVOTE, 8);
    assert_int_equal(one_give(&one, 2, &m), 0);
    assert_int_equal(one_stats(&one).term, 8);
    assert_true(one_is(&one, "follower"));
    one_close(&one);
}

static void unanswered_questions_are_asked_again_on_a_new_link(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    suspect(&one);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    assert_false(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    order_link_down(one.order, 2, one.now);
    order_link_up(one.order, 2, one.now); /* rule 4 */
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &m, true), 0);
    assert_true(asks(&one, 3, MESSAGE_VOTE_ASK, &m));
    order_link_up(one.order, 3, one.now);
    assert_true(asks(&one, 3, MESSAGE_VOTE_ASK, &m));
    one_close(&one);
}

static void a_new_leader_writes_an_empty_entry_of_its_term(void **state)
{
    struct one one;
    struct entry entry;
    struct base_bytes raw;
    uint32_t count;
    size_t size;

    (void)state;
    one_open(&one, 3);
    one_lead(&one);
    raw = order_entries(one.order, 1, 1, &count);
    assert_int_equal(entry_parse(raw, &entry, &size), 0);
    assert_int_equal(entry.kind, ENTRY_NOOP); /* T25, T35 */
    assert_int_equal(entry.term, 1);
    assert_int_equal(entry.data.size, 0);
    one_close(&one);
}

static void a_learner_neither_stands_nor_counts(void **state)
{
    struct one one;
    struct message m;
    struct order_image image = order_image_fresh();

    (void)state;
    one_prepare(&one, 4);
    one.view.member[1].role = GROUP_LEARNER;
    one_start(&one, &image);
    suspect(&one);
    assert_false(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m)); /* T29, M10 */
    assert_true(asks(&one, 3, MESSAGE_PREVOTE_ASK, &m));
    assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &m, true), 0);
    assert_true(one_is(&one, "pre-candidate"));
    assert_int_equal(answer(&one, 4, MESSAGE_PREVOTE, &m, true), 0);
    assert_true(one_is(&one, "candidate"));
    one_close(&one);
}

static void a_retired_member_votes_and_does_not_stand(void **state)
{
    struct one one;

    (void)state;
    one_open(&one, 3);
    order_abdicate(one.order, one.now);
    one_pass(&one, BASE_S(60));
    assert_true(one_is(&one, "follower"));
    assert_true(grants(&one, 2, one_ask(MESSAGE_VOTE_ASK, 1, 1, 0, 0)));
    one_close(&one);
}

static void who_stands_votes_for_another_of_the_same_term_only_before_its_own_vote(void **state)
{
    struct one one;
    struct message m;

    (void)state;
    one_open(&one, 3);
    m = one_message(MESSAGE_PREVOTE, 6); /* some answer told us term 6 */
    assert_int_equal(one_give(&one, 2, &m), 0);
    suspect(&one);
    assert_true(one_is(&one, "pre-candidate"));
    assert_true(grants(&one, 3, one_ask(MESSAGE_VOTE_ASK, 6, 6, 0, 0)));
    assert_true(one_is(&one, "follower"));
    suspect(&one);
    assert_true(asks(&one, 2, MESSAGE_PREVOTE_ASK, &m));
    assert_int_equal(answer(&one, 2, MESSAGE_PREVOTE, &m, true), 0);
    assert_true(one_is(&one, "candidate"));
    assert_false(grants(&one, 3, one_ask(MESSAGE_VOTE_ASK, 7, 7, 9, 9)));
    one_close(&one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asking_first_changes_no_term),
        cmocka_unit_test(a_member_cut_off_never_raises_its_term),
        cmocka_unit_test(a_majority_of_answers_starts_a_term_and_a_majority_of_votes_leads_it),
        cmocka_unit_test(one_voter_twice_is_one_vote),
        cmocka_unit_test(a_group_of_one_elects_itself_when_its_vote_is_durable),
        cmocka_unit_test(a_candidates_own_vote_counts_only_when_durable),
        cmocka_unit_test(a_vote_is_sent_only_when_durable),
        cmocka_unit_test(a_vote_in_a_term_that_is_durable_still_waits_for_itself),
        cmocka_unit_test(an_older_write_that_ends_does_not_make_a_candidates_vote_count),
        cmocka_unit_test(being_asked_first_by_a_member_of_a_newer_term_changes_no_term),
        cmocka_unit_test(there_is_one_vote_a_term),
        cmocka_unit_test(the_vote_survives_a_restart),
        cmocka_unit_test(stepping_down_in_a_term_keeps_its_vote),
        cmocka_unit_test(a_log_behind_ours_gets_no_vote_and_a_longer_one_of_an_older_term_neither),
        cmocka_unit_test(the_log_that_is_claimed_is_the_durable_one),
        cmocka_unit_test(who_hears_a_leader_refuses_and_changes_no_term),
        cmocka_unit_test(a_former_leader_is_asked_and_answered_like_anybody),
        cmocka_unit_test(a_leader_with_a_quorum_refuses),
        cmocka_unit_test(late_answers_of_an_earlier_attempt_count_for_nothing),
        cmocka_unit_test(late_votes_of_an_older_term_count_for_nothing),
        cmocka_unit_test(refusals_of_a_majority_end_in_another_attempt_and_no_term),
        cmocka_unit_test(a_refusal_that_tells_a_newer_term_is_followed),
        cmocka_unit_test(unanswered_questions_are_asked_again_on_a_new_link),
        cmocka_unit_test(a_new_leader_writes_an_empty_entry_of_its_term),
        cmocka_unit_test(a_learner_neither_stands_nor_counts),
        cmocka_unit_test(a_retired_member_votes_and_does_not_stand),
        cmocka_unit_test(who_stands_votes_for_another_of_the_same_term_only_before_its_own_vote),
    };

    return cmocka_run_group_tests_name("membership/election", tests, NULL, NULL);
}
