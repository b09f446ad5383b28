/* The log: chunks, ranges, truncation, dropping, hashes; a model test over random schedules (membership/log.h). */
#include "membership/log.h"
#include "rtcp/base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint8_t filler[ENTRY_DATA_MAX];

static int append(struct log *l, uint64_t term, size_t size)
{
    struct entry entry = {.index = l->last.index + 1,
                          .term = term,
                          .kind = ENTRY_DATA,
                          .number = l->last.index + 1,
                          .data = {filler, size}};

    return log_append(l, &entry);
}

static void open_log(struct log *l)
{
    log_init(l, base_memory_libc(), (struct log_place){0}, true);
}

static void an_empty_log_knows_its_base(void **state)
{
    struct log l;
    struct log_place place;
    struct entry entry;

    (void)state;
    log_init(&l, base_memory_libc(), (struct log_place){41, 3, 99}, true);
    assert_true(log_at(&l, 41, &place));
    assert_int_equal(place.term, 3);
    assert_int_equal(place.hash, 99);
    assert_false(log_at(&l, 42, &place));
    assert_false(log_get(&l, 41, &entry));
    assert_int_equal(append(&l, 3, 1), 0);
    assert_int_equal(l.last.index, 42);
    log_deinit(&l);
}

static void entries_come_back_as_they_were_put(void **state)
{
    struct log l;
    struct entry entry;

    (void)state;
    open_log(&l);
    for (uint64_t i = 1; i <= 20000; i++) {
        base_put64(filler, i);
        assert_int_equal(append(&l, 1 + i / 1000, 8 + i % 90), 0);
    }
    for (uint64_t i = 1; i <= 20000; i++) {
        assert_true(log_get(&l, i, &entry));
        assert_int_equal(entry.index, i);
        assert_int_equal(entry.term, 1 + i / 1000);
        assert_int_equal(entry.data.size, 8 + i % 90);
        assert_int_equal(base_get64(entry.data.data), i);
    }
    assert_true(l.count > 4);
    log_deinit(&l);
}

static void a_range_is_one_piece_of_whole_entries(void **state)
{
    struct log l;
    uint64_t next = 1;
    size_t bytes = 0;

    (void)state;
    open_log(&l);
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(append(&l, 1, 52), 0);
    }
    while (next <= 10000) {
        uint32_t count;
        struct base_bytes range = log_range(&l, next, 10000, 1000, &count);

        assert_true(count > 0 && count <= 10);
        assert_int_equal(range.size, count * 100u);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(base_get64(range.data + 100 * i + 8), next + i);
        }
        next += count;
        bytes += range.size;
    }
    assert_int_equal(bytes, 1000000);
    log_deinit(&l);
}

static void a_range_respects_room_and_end(void **state)
{
    struct log l;
    uint32_t count;

    (void)state;
    open_log(&l);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(append(&l, 1, 52), 0);
    }
    assert_int_equal(log_range(&l, 1, 10, 99, &count).size, 0);
    assert_int_equal(count, 0);
    assert_int_equal(log_range(&l, 1, 10, 299, &count).size, 200);
    assert_int_equal(log_range(&l, 4, 6, 100000, &count).size, 300);
    assert_int_equal(count, 3);
    assert_int_equal(log_range(&l, 11, 20, 100000, &count).size, 0);
    assert_int_equal(log_range(&l, 0, 20, 100000, &count).size, 0);
    log_deinit(&l);
}

static void a_large_entry_gets_a_chunk_of_its_own(void **state)
{
    struct log l;
    struct entry entry;

    (void)state;
    open_log(&l);
    assert_int_equal(append(&l, 1, 10), 0);
    assert_int_equal(append(&l, 1, ENTRY_DATA_MAX), 0);
    assert_int_equal(append(&l, 1, 10), 0);
    assert_true(log_get(&l, 2, &entry));
    assert_int_equal(entry.data.size, ENTRY_DATA_MAX);
    assert_int_equal(log_raw(&l, 2).size, ENTRY_SIZE_MAX);
    assert_int_equal(l.count, 3);
    log_deinit(&l);
}

static void truncating_and_appending_again_gives_the_same_hash(void **state)
{
    struct log l;
    struct log_place before;
    uint64_t hash;

    (void)state;
    open_log(&l);
    for (int i = 0; i < 9000; i++) {
        assert_int_equal(append(&l, 1, 60), 0);
    }
    hash = l.last.hash;
    assert_true(log_at(&l, 4321, &before));
    log_truncate(&l, 4321);
    assert_int_equal(l.last.index, 4321);
    assert_int_equal(l.last.hash, before.hash);
    for (int i = 4321; i < 9000; i++) {
        assert_int_equal(append(&l, 1, 60), 0);
    }
    assert_int_equal(l.last.hash, hash);
    log_truncate(&l, 0);
    assert_int_equal(l.last.index, 0);
    assert_int_equal(l.bytes, 0);
    log_deinit(&l);
}

static void another_entry_in_the_past_shows_in_the_hash(void **state)
{
    struct log a;
    struct log b;

    (void)state;
    open_log(&a);
    open_log(&b);
    assert_int_equal(append(&a, 1, 5) | append(&a, 2, 5), 0);
    filler[0] ^= 1;
    assert_int_equal(append(&b, 1, 5), 0);
    filler[0] ^= 1;
    assert_int_equal(append(&b, 2, 5), 0);
    assert_true(a.last.hash != b.last.hash);
    log_deinit(&a);
    log_deinit(&b);
}

static void dropping_moves_the_base_by_chunks_and_keeps_the_rest(void **state)
{
    struct log l;
    struct log_place place;
    uint64_t hash;

    (void)state;
    open_log(&l);
    for (int i = 0; i < 9000; i++) {
        assert_int_equal(append(&l, 2, 60), 0);
    }
    hash = l.last.hash;
    log_drop(&l, 5000);
    assert_true(l.base.index > 0 && l.base.index <= 5000);
    assert_true(log_at(&l, l.base.index, &place));
    assert_false(log_at(&l, l.base.index - 1, &place));
    assert_true(log_at(&l, 5001, &place));
    assert_int_equal(l.last.hash, hash);
    log_drop(&l, 9000);
    assert_int_equal(l.base.index, 9000);
    assert_int_equal(l.base.hash, hash);
    assert_int_equal(l.bytes, 0); /* B1: nothing stays behind */
    log_deinit(&l);
}

static void memory_stays_flat_when_the_log_is_dropped_as_it_grows(void **state)
{
    struct log l;
    size_t most = 0;

    (void)state;
    open_log(&l);
    for (int i = 0; i < 200000; i++) {
        assert_int_equal(append(&l, 1, 100), 0);
        log_drop(&l, l.last.index - l.last.index % 64);
        most = l.bytes > most ? l.bytes : most;
    }
    assert_true(most <= 3 * LOG_CHUNK_SIZE);
    log_deinit(&l);
}

static void the_cost_of_an_entry_is_known_before(void **state)
{
    struct log l;

    (void)state;
    open_log(&l);
    for (int i = 0; i < 3000; i++) {
        size_t cost = log_cost(&l, 1000);
        size_t before = l.bytes;

        assert_int_equal(append(&l, 1, 1000), 0);
        assert_int_equal(l.bytes, before + cost);
    }
    log_deinit(&l);
}

static void the_end_of_a_term_is_found(void **state)
{
    struct log l;

    (void)state;
    open_log(&l);
    for (uint64_t term = 2; term <= 20; term += 2) {
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(append(&l, term, 10), 0);
        }
    }
    assert_int_equal(log_end_of(&l, 1), 0);
    assert_int_equal(log_end_of(&l, 2), 1000);
    assert_int_equal(log_end_of(&l, 7), 3000);
    assert_int_equal(log_end_of(&l, 100), 10000);
    log_deinit(&l);
}

struct meagre {
    int left; /* how often memory is still given */
};

static void *meagre_take(void *user, size_t size)
{
    struct meagre *m = user;

    return m->left-- > 0 ? malloc(size) : NULL;
}

static void meagre_give(void *user, void *at)
{
    (void)user;
    free(at);
}

static void without_memory_nothing_changes(void **state)
{
    (void)state;
    for (int left = 0; left < 6; left++) { /* B5 */
        struct meagre meagre = {left};
        struct base_memory memory = {&meagre, meagre_take, meagre_give};
        struct log l;
        struct log_place last;
        int status = 0;

        log_init(&l, &memory, (struct log_place){0}, true);
        for (int i = 0; i < 40 && status == 0; i++) {
            last = l.last;
            status = append(&l, 1, 60000);
        }
        assert_int_equal(status, BASE_E_NOMEM);
        assert_int_equal(l.last.index, last.index);
        assert_int_equal(l.last.hash, last.hash);
        meagre.left = 100;
        assert_int_equal(append(&l, 1, 60000), 0);
        log_deinit(&l);
    }
}

/* The model: what was appended, as a plain array. */
struct model {
    uint64_t base;
    uint64_t last;
    uint64_t term[4000];
    size_t size[4000];
};

static void compare(const struct log *l, const struct model *m, struct base_rng *rng)
{
    uint64_t i = m->base + 1 + base_rng_below(rng, m->last - m->base + 1);
    struct entry entry;

    assert_int_equal(l->last.index, m->last);
    assert_true(l->base.index <= m->base);
    assert_int_equal(log_get(l, i, &entry), i <= m->last);
    if (i <= m->last) {
        assert_int_equal(entry.term, m->term[i]);
        assert_int_equal(entry.data.size, m->size[i]);
    }
}

static void change(struct log *l, struct model *m, struct base_rng *rng)
{
    uint64_t what = base_rng_below(rng, 100);

    if (what < 90 && m->last + 1 < 4000) {
        m->last++;
        m->term[m->last] = l->last.term + base_rng_below(rng, 2);
        m->size[m->last] = base_rng_below(rng, 10) == 0 ? base_rng_below(rng, 400000) : base_rng_below(rng, 3000);
        assert_int_equal(append(l, m->term[m->last], m->size[m->last]), 0);
    } else if (what < 95) {
        m->last = m->base + base_rng_below(rng, m->last - m->base + 1);
        log_truncate(l, m->last);
    } else {
        m->base += base_rng_below(rng, m->last - m->base + 1);
        log_drop(l, m->base);
    }
}

static void random_schedules_equal_a_plain_array(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct base_rng rng = {seed};
        struct model *m = calloc(1, sizeof *m);
        struct log l;

        open_log(&l);
        for (int i = 0; i < 1500; i++) {
            change(&l, m, &rng);
            compare(&l, m, &rng);
        }
        log_deinit(&l);
        free(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_log_knows_its_base),
        cmocka_unit_test(entries_come_back_as_they_were_put),
        cmocka_unit_test(a_range_is_one_piece_of_whole_entries),
        cmocka_unit_test(a_range_respects_room_and_end),
        cmocka_unit_test(a_large_entry_gets_a_chunk_of_its_own),
        cmocka_unit_test(truncating_and_appending_again_gives_the_same_hash),
        cmocka_unit_test(another_entry_in_the_past_shows_in_the_hash),
        cmocka_unit_test(dropping_moves_the_base_by_chunks_and_keeps_the_rest),
        cmocka_unit_test(memory_stays_flat_when_the_log_is_dropped_as_it_grows),
        cmocka_unit_test(the_cost_of_an_entry_is_known_before),
        cmocka_unit_test(the_end_of_a_term_is_found),
        cmocka_unit_test(without_memory_nothing_changes),
        cmocka_unit_test(random_schedules_equal_a_plain_array),
    };

    return cmocka_run_group_tests_name("membership/log", tests, NULL, NULL);
}
