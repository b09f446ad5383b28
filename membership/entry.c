/* One entry of the order: see entry.h. */
#include "membership/entry.h"

/* size 4, kind 1, zero 3, index 8, term 8, group 4, origin 4, incarnation 8, number 8, data. */
void entry_put_head(uint8_t at[ENTRY_HEAD_SIZE], const struct entry *entry)
{
    base_put32(at, (uint32_t)entry->data.size);
    at[4] = (uint8_t)entry->kind;
    base_zero(at + 5, 3);
    base_put64(at + 8, entry->index);
    base_put64(at + 16, entry->term);
    base_put32(at + 24, entry->group);
    base_put32(at + 28, entry->origin);
    base_put64(at + 32, entry->incarnation);
    base_put64(at + 40, entry->number);
}

size_t entry_size(struct base_bytes head)
{
    uint32_t size = base_get32(head.data);

    return size > ENTRY_DATA_MAX ? 0 : ENTRY_HEAD_SIZE + (size_t)size;
}

static bool head_is_good(const uint8_t *at)
{
    return at[4] >= ENTRY_NOOP && at[4] <= ENTRY_INSTALL && (at[5] | at[6] | at[7]) == 0;
}

int entry_parse(struct base_bytes raw, struct entry *ret_entry, size_t *ret_size)
{
    size_t size;

    if (raw.size < ENTRY_HEAD_SIZE) {
        return BASE_E_AGAIN;
    }
    size = entry_size(raw);
    if (size == 0 || !head_is_good(raw.data)) {
        return BASE_E_PROTOCOL;
    }
    if (raw.size < size) {
        return BASE_E_AGAIN;
    }
    ret_entry->kind = (enum entry_kind)raw.data[4];
    ret_entry->index = base_get64(raw.data + 8);
    ret_entry->term = base_get64(raw.data + 16);
    ret_entry->group = base_get32(raw.data + 24);
    ret_entry->origin = base_get32(raw.data + 28);
    ret_entry->incarnation = base_get64(raw.data + 32);
    ret_entry->number = base_get64(raw.data + 40);
    ret_entry->data = (struct base_bytes){raw.data + ENTRY_HEAD_SIZE, size - ENTRY_HEAD_SIZE};
    *ret_size = size;
    return 0;
}

static uint64_t mix(uint64_t h, uint64_t word)
{
    h = (h ^ word) * 0x9fb21c651e98df25u;
    return h ^ (h >> 29);
}

/* The last, short word of a range, with its length so that zeros at the end count. */
static uint64_t tail_word(const uint8_t *at, size_t size)
{
    uint64_t word = size;

    for (size_t i = 0; i < size; i++) {
        word = (word << 8) | at[i];
    }
    return word;
}

/* Two lanes of eight bytes hide the latency of the multiplication. */
uint64_t entry_hash(uint64_t before, struct base_bytes raw)
{
    uint64_t a = before ^ 0x2545f4914f6cdd1du;
    uint64_t b = before + raw.size;
    size_t at = 0;

    for (; raw.size - at >= 16; at += 16) {
        a = mix(a, base_get64(raw.data + at));
        b = mix(b, base_get64(raw.data + at + 8));
    }
    if (raw.size - at >= 8) {
        a = mix(a, base_get64(raw.data + at));
        at += 8;
    }
    b = mix(b, tail_word(raw.data + at, raw.size - at));
    return mix(mix(a, b), a >> 7);
}
