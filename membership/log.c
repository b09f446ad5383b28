/* The ordered log in memory: see log.h.
 *
 * A chunk is one piece of memory: raw entries from the front, one mark per entry from the back. */
#include "membership/log.h"

#include "rtcp/base/check.h"

struct log_mark {
    uint64_t hash; /* of everything up to this entry */
    uint64_t from; /* where its bytes begin in the chunk */
};

struct log_chunk {
    uint64_t first; /* index of its first entry */
    size_t count;   /* entries */
    size_t used;    /* bytes of entries */
    size_t room;    /* bytes of entries and marks together; a multiple of the size of a mark */
    struct log_mark space[];
};

static uint8_t *bytes_of(struct log_chunk *c)
{
    void *at = c->space;

    return at;
}

static const uint8_t *bytes_in(const struct log_chunk *c)
{
    const void *at = c->space;

    return at;
}

static const struct log_mark *mark_in(const struct log_chunk *c, size_t i)
{
    return &c->space[c->room / sizeof(struct log_mark) - 1 - i];
}

static size_t chunk_memory(const struct log_chunk *c)
{
    return sizeof *c + c->room;
}

static bool chunk_fits(const struct log_chunk *c, size_t size)
{
    return size + (c->count + 1) * sizeof(struct log_mark) <= c->room - c->used;
}

/* Bytes for entries and marks of a new chunk that is to hold an entry of this size. */
static size_t room_for(size_t size)
{
    size_t usual = (LOG_CHUNK_SIZE - sizeof(struct log_chunk)) / sizeof(struct log_mark);
    size_t needed = (size + sizeof(struct log_mark) - 1) / sizeof(struct log_mark) + 1;

    return (needed > usual ? needed : usual) * sizeof(struct log_mark);
}

static struct log_chunk *chunk_at(const struct log *l, size_t i)
{
    return l->chunk[l->head + i];
}

static struct log_chunk *newest(const struct log *l)
{
    return l->count == 0 ? NULL : chunk_at(l, l->count - 1);
}

void log_init(struct log *l, const struct base_memory *memory, struct log_place base, bool is_hashed)
{
    *l = (struct log){.memory = memory, .is_hashed = is_hashed, .base = base, .last = base};
}

/* Keeps one usual chunk for the next time. */
static void chunk_give(struct log *l, struct log_chunk *c)
{
    l->bytes -= chunk_memory(c);
    if (l->spare == NULL && c->room == room_for(0)) {
        l->spare = c;
        return;
    }
    base_memory_free(l->memory, c);
}

void log_deinit(struct log *l)
{
    for (size_t i = 0; i < l->count; i++) {
        base_memory_free(l->memory, chunk_at(l, i));
    }
    base_memory_free(l->memory, l->chunk);
    base_memory_free(l->memory, l->spare);
    *l = (struct log){0};
}

/* Makes room for one more pointer at the end: moves them to the front, or doubles their array. */
static int list_reserve(struct log *l)
{
    struct log_chunk **list;
    size_t room = l->room == 0 ? 16 : l->room * 2;

    if (l->head + l->count < l->room) {
        return 0;
    }
    if (l->head > l->room / 2) {
        base_move(l->chunk, l->chunk + l->head, l->count * sizeof(struct log_chunk *));
        l->head = 0;
        return 0;
    }
    list = base_memory_new(l->memory, room, sizeof(struct log_chunk *));
    if (list == NULL) {
        return BASE_E_NOMEM;
    }
    base_copy(list, l->chunk == NULL ? NULL : l->chunk + l->head, l->count * sizeof(struct log_chunk *));
    base_memory_free(l->memory, l->chunk);
    l->chunk = list;
    l->room = room;
    l->head = 0;
    return 0;
}

static struct log_chunk *chunk_take(struct log *l, size_t size)
{
    size_t room = room_for(size);
    struct log_chunk *c = l->spare;

    if (c != NULL && c->room == room) {
        l->spare = NULL;
    } else {
        c = l->memory->take(l->memory->user, sizeof *c + room);
    }
    if (c != NULL) {
        *c = (struct log_chunk){.first = l->last.index + 1, .room = room};
    }
    return c;
}

/* The chunk that takes an entry of `size` bytes, or NULL without memory. */
static struct log_chunk *chunk_for(struct log *l, size_t size)
{
    struct log_chunk *c = newest(l);

    if (c != NULL && chunk_fits(c, size)) {
        return c;
    }
    if (list_reserve(l) < 0) {
        return NULL;
    }
    c = chunk_take(l, size);
    if (c == NULL) {
        return NULL;
    }
    l->chunk[l->head + l->count] = c;
    l->count++;
    l->bytes += chunk_memory(c);
    return c;
}

/* Makes `size` bytes at `at`, the end of the newest chunk, the next entry. */
static void seal(struct log *l, struct log_chunk *c, const struct entry *entry, size_t size)
{
    struct log_mark *mark = &c->space[c->room / sizeof(struct log_mark) - 1 - c->count];
    struct base_bytes raw = {bytes_of(c) + c->used, size};

    mark->from = c->used;
    mark->hash = l->is_hashed ? entry_hash(l->last.hash, raw) : 0;
    l->last = (struct log_place){entry->index, entry->term, mark->hash};
    c->used += size;
    c->count++;
}

static void check_next(const struct log *l, const struct entry *entry)
{
    CHECK(entry->index == l->last.index + 1);
    CHECK(entry->term >= l->last.term);
    CHECK(entry->data.size <= ENTRY_DATA_MAX);
}

int log_append(struct log *l, const struct entry *entry)
{
    size_t size = ENTRY_HEAD_SIZE + entry->data.size;
    struct log_chunk *c;
    uint8_t *at;

    check_next(l, entry);
    c = chunk_for(l, size);
    if (c == NULL) {
        return BASE_E_NOMEM;
    }
    at = bytes_of(c) + c->used;
    entry_put_head(at, entry);
    base_copy(at + ENTRY_HEAD_SIZE, entry->data.data, entry->data.size);
    seal(l, c, entry, size);
    return 0;
}

int log_append_raw(struct log *l, const struct entry *entry, struct base_bytes raw)
{
    struct log_chunk *c;

    check_next(l, entry);
    CHECK(raw.size == ENTRY_HEAD_SIZE + entry->data.size);
    c = chunk_for(l, raw.size);
    if (c == NULL) {
        return BASE_E_NOMEM;
    }
    base_copy(bytes_of(c) + c->used, raw.data, raw.size);
    seal(l, c, entry, raw.size);
    return 0;
}

size_t log_cost(const struct log *l, size_t size)
{
    const struct log_chunk *c = newest(l);

    if (c != NULL && chunk_fits(c, ENTRY_HEAD_SIZE + size)) {
        return 0;
    }
    return sizeof *c + room_for(ENTRY_HEAD_SIZE + size);
}

/* The chunk that holds an index in (base, last]. The newest is asked for most often. */
static struct log_chunk *find(const struct log *l, uint64_t index)
{
    size_t from = 0;
    size_t upto = l->count;

    if (index <= l->base.index || index > l->last.index) {
        return NULL;
    }
    if (index >= newest(l)->first) {
        return newest(l);
    }
    while (upto - from > 1) {
        size_t middle = from + (upto - from) / 2;

        if (chunk_at(l, middle)->first <= index) {
            from = middle;
        } else {
            upto = middle;
        }
    }
    return chunk_at(l, from);
}

/* Where entry i of a chunk ends. */
static size_t end_of(const struct log_chunk *c, size_t i)
{
    return i + 1 < c->count ? mark_in(c, i + 1)->from : c->used;
}

static struct base_bytes raw_in(const struct log_chunk *c, uint64_t index)
{
    size_t i = (size_t)(index - c->first);
    size_t from = mark_in(c, i)->from;

    return (struct base_bytes){bytes_in(c) + from, end_of(c, i) - from};
}

bool log_at(const struct log *l, uint64_t index, struct log_place *ret_place)
{
    const struct log_chunk *c = find(l, index);

    if (c == NULL) {
        if (index != l->base.index) {
            return false;
        }
        *ret_place = l->base;
        return true;
    }
    ret_place->index = index;
    ret_place->term = base_get64(raw_in(c, index).data + 16);
    ret_place->hash = mark_in(c, (size_t)(index - c->first))->hash;
    return true;
}

struct base_bytes log_raw(const struct log *l, uint64_t index)
{
    const struct log_chunk *c = find(l, index);

    return c == NULL ? (struct base_bytes){NULL, 0} : raw_in(c, index);
}

bool log_get(const struct log *l, uint64_t index, struct entry *ret_entry)
{
    struct base_bytes raw = log_raw(l, index);
    size_t size;
    int status;

    if (raw.size == 0) {
        return false;
    }
    status = entry_parse(raw, ret_entry, &size);
    CHECK(status == 0 && size == raw.size);
    return true;
}

struct base_bytes log_range(const struct log *l, uint64_t first, uint64_t upto, size_t room, uint32_t *ret_count)
{
    const struct log_chunk *c = find(l, first);
    size_t i;
    size_t low; /* entries known to fit */
    size_t high;
    size_t from;

    *ret_count = 0;
    if (c == NULL || upto < first) {
        return (struct base_bytes){NULL, 0};
    }
    i = (size_t)(first - c->first);
    from = mark_in(c, i)->from;
    low = 0;
    high = c->count - i;
    if (high > upto - first + 1) {
        high = (size_t)(upto - first + 1);
    }
    while (low < high) {
        size_t middle = low + (high - low + 1) / 2;

        if (end_of(c, i + middle - 1) - from <= room) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    *ret_count = (uint32_t)low;
    return (struct base_bytes){bytes_in(c) + from, low == 0 ? 0 : end_of(c, i + low - 1) - from};
}

void log_truncate(struct log *l, uint64_t index)
{
    struct log_place place;

    CHECK(log_at(l, index, &place));
    while (l->count > 0 && newest(l)->first > index) {
        l->count--;
        chunk_give(l, l->chunk[l->head + l->count]);
    }
    if (l->count > 0) {
        struct log_chunk *c = newest(l);
        size_t kept = (size_t)(index - c->first) + 1;

        c->used = end_of(c, kept - 1);
        c->count = kept;
    }
    l->last = place;
}

void log_drop(struct log *l, uint64_t index)
{
    if (index > l->last.index) {
        index = l->last.index;
    }
    while (l->count > 0 && chunk_at(l, 0)->first + chunk_at(l, 0)->count - 1 <= index) {
        struct log_chunk *c = chunk_at(l, 0);
        bool is_known = log_at(l, c->first + c->count - 1, &l->base);

        CHECK(is_known);
        l->head++;
        l->count--;
        chunk_give(l, c);
    }
    if (l->count == 0) {
        l->head = 0;
    }
}

uint64_t log_end_of(const struct log *l, uint64_t term)
{
    uint64_t low = l->base.index;
    uint64_t high = l->last.index;

    while (low < high) {
        uint64_t middle = low + (high - low + 1) / 2;
        struct log_place place;
        bool is_known = log_at(l, middle, &place);

        CHECK(is_known);
        if (place.term <= term) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}
