/* See table.h. Pure. */
#include "rtcp/base/table.h"

#include "rtcp/base/check.h"

static size_t home(const struct base_table *t, uint64_t key)
{
    uint64_t z = (key ^ t->salt[0]) * 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 32) ^ t->salt[1]) * 0xbf58476d1ce4e5b9u; /* every bit of the key and of both salts counts */
    return (size_t)(z >> 32) & t->mask;
}

int base_table_init(struct base_table *t, const struct base_memory *m, size_t count_max)
{
    size_t slots = 8;

    if (count_max < 1 || count_max > (size_t)1 << 24) {
        return BASE_E_RANGE;
    }
    while (slots < count_max + count_max / 2) {
        slots *= 2;
    }
    t->slot = base_memory_new(m, slots, sizeof *t->slot);
    if (t->slot == NULL) {
        return BASE_E_NOMEM;
    }
    t->memory = m;
    t->salt[0] = t->salt[1] = 0;
    t->mask = slots - 1;
    t->count = 0;
    t->count_max = count_max;
    return 0;
}

void base_table_salt(struct base_table *t, uint64_t secret)
{
    CHECK(t->count == 0);
    t->salt[0] = secret;
    t->salt[1] = (secret ^ (secret >> 31)) * 0x94d049bb133111ebu;
}

void base_table_deinit(struct base_table *t)
{
    if (t->slot != NULL) {
        base_memory_free(t->memory, t->slot);
        t->slot = NULL;
    }
}

static size_t find(const struct base_table *t, uint64_t key)
{
    size_t i = home(t, key);

    while (t->slot[i].value != NULL && t->slot[i].key != key) {
        i = (i + 1) & t->mask;
    }
    return i;
}

void *base_table_get(const struct base_table *t, uint64_t key)
{
    return t->slot[find(t, key)].value;
}

int base_table_put(struct base_table *t, uint64_t key, void *value)
{
    size_t i = find(t, key);

    CHECK(value != NULL);
    if (t->slot[i].value != NULL) {
        return BASE_E_EXISTS;
    }
    if (t->count == t->count_max) {
        return BASE_E_RANGE;
    }
    t->slot[i].key = key;
    t->slot[i].value = value;
    t->count++;
    return 0;
}

void *base_table_take(struct base_table *t, uint64_t key)
{
    size_t hole = find(t, key);
    void *value = t->slot[hole].value;

    if (value == NULL) {
        return NULL;
    }
    for (size_t i = (hole + 1) & t->mask; t->slot[i].value != NULL; i = (i + 1) & t->mask) {
        size_t from_home = (i - home(t, t->slot[i].key)) & t->mask;
        size_t from_hole = (i - hole) & t->mask;

        if (from_home >= from_hole) {
            t->slot[hole] = t->slot[i];
            hole = i;
        }
    }
    t->slot[hole].value = NULL;
    t->count--;
    return value;
}

void *base_table_next(const struct base_table *t, size_t *cursor)
{
    while (*cursor <= t->mask) {
        void *value = t->slot[(*cursor)++].value;

        if (value != NULL) {
            return value;
        }
    }
    return NULL;
}
