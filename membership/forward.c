/* Commands of members on their way into the order: see forward.h. */
#include "membership/forward.h"

#include "membership/role.h"

/* ------------------------------------------------------------------------------------------------ own commands */

/* What is asked for is granted when nothing else is held: one large command always finds a way. */
static bool log_has_room(const struct order *o, size_t size)
{
    return o->log.count == 0 || o->log.bytes + log_cost(&o->log, size) <= o->options.log_bytes_max;
}

bool forward_has_room(const struct order *o, size_t size)
{
    if (o->pending.last.index - o->pending_done >= o->options.pending_max) {
        return false;
    }
    if (o->pending.count > 0 && o->pending.bytes + log_cost(&o->pending, size) > o->options.pending_bytes_max) {
        return false;
    }
    return !order_is_leader(o) || log_has_room(o, size);
}

int forward_submit(struct order *o, struct base_bytes data, uint64_t *ret_number)
{
    struct entry command = {.index = o->pending.last.index + 1,
                            .kind = ENTRY_DATA,
                            .group = o->options.group,
                            .origin = o->options.self,
                            .incarnation = o->options.incarnation,
                            .data = data};

    if (!forward_has_room(o, data.size)) {
        o->is_wanted = true;
        o->wanted_size = data.size;
        return BASE_E_AGAIN;
    }
    command.number = command.index;
    if (log_append(&o->pending, &command) < 0) {
        return BASE_E_NOMEM;
    }
    *ret_number = command.number;
    forward_pump(o);
    return 0;
}

bool forward_delivered(struct order *o, uint64_t number)
{
    if (number != o->pending_done + 1 || number > o->pending.last.index) {
        return false;
    }
    o->pending_done = number;
    log_drop(&o->pending, number);
    if (o->forward_next <= number) {
        o->forward_next = number + 1;
        o->forward_part = 0;
    }
    return true;
}

void forward_rewind(struct order *o)
{
    o->forward_next = o->pending_done + 1;
    o->forward_part = 0;
}

/* ------------------------------------------------------------------------------------------------ we lead */

static int append(struct order *o, struct order_seat *origin, const struct entry *command)
{
    struct entry entry = *command;

    entry.index = o->log.last.index + 1;
    entry.term = o->term;
    if (log_append(&o->log, &entry) < 0) {
        return BASE_E_NOMEM;
    }
    origin->taken = entry.number;
    o->verified = entry.index;
    return 0;
}

static void pump_own(struct order *o)
{
    struct entry command;

    while (log_get(&o->pending, o->forward_next, &command)) {
        if (!log_has_room(o, command.data.size) || append(o, order_own(o), &command) < 0) {
            return;
        }
        o->forward_next++;
    }
}

void forward_pump(struct order *o)
{
    if (!order_is_leader(o)) {
        return;
    }
    pump_own(o);
    for (uint32_t i = 0; i < o->seat_count; i++) {
        struct order_seat *seat = &o->seat[i];

        if (seat->expected != 0 && !seat->is_reasked && log_has_room(o, seat->expected_size)) {
            order_slot(seat, MESSAGE_FORWARD_ASK);
        }
    }
}

/* Commands that are in the log already, settled or not, are not taken again. */
void forward_begin(struct order *o)
{
    struct entry entry;

    for (uint32_t i = 0; i < o->seat_count; i++) {
        o->seat[i].taken = o->seat[i].delivered;
        o->seat[i].expected = 0;
    }
    for (uint64_t index = o->delivered + 1; log_get(&o->log, index, &entry); index++) {
        for (uint32_t i = 0; i < o->seat_count && entry.kind == ENTRY_DATA; i++) {
            struct order_seat *seat = &o->seat[i];

            if (seat->id == entry.origin && seat->incarnation == entry.incarnation && entry.number > seat->taken) {
                seat->taken = entry.number;
            }
        }
    }
    o->forward_next = order_own(o)->taken + 1;
    o->forward_part = 0;
    forward_pump(o);
}

/* Takes one command, passes over one that is here, or marks where to go on when there is room. */
static int take(struct order *o, struct order_seat *seat, const struct entry *command)
{
    if (command->number <= seat->taken || (seat->expected != 0 && command->number != seat->expected)) {
        return 0;
    }
    if (!log_has_room(o, command->data.size)) {
        seat->expected = command->number;
        seat->expected_size = command->data.size;
        seat->is_reasked = false;
        return 0;
    }
    seat->expected = 0;
    seat->slots &= ~(1u << MESSAGE_FORWARD_ASK);
    return append(o, seat, command);
}

static int take_all(struct order *o, struct order_seat *seat, struct base_bytes body, uint64_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct entry command;
        size_t size;
        int status = entry_parse(body, &command, &size);

        if (status < 0 || command.kind != ENTRY_DATA || command.number != first + i || command.origin != seat->id ||
            command.incarnation != seat->incarnation || command.group != o->options.group) {
            return BASE_E_PROTOCOL;
        }
        status = take(o, seat, &command);
        if (status < 0) {
            return status;
        }
        body = (struct base_bytes){body.data + size, body.size - size};
    }
    return body.size == 0 ? 0 : BASE_E_PROTOCOL;
}

int forward_receive(struct order *o, struct order_seat *seat, const struct message *m)
{
    struct base_bytes whole;
    int status;

    if (!order_is_leader(o)) {
        o->dropped_at_door++; /* it forwards again to the next leader */
        return 0;
    }
    if (m->forward.count > 0) {
        return take_all(o, seat, m->body, m->forward.first, m->forward.count);
    }
    status = part_add(&seat->command, o->options.memory, m->forward.offset, m->body);
    whole = part_whole(&seat->command);
    if (status < 0 || whole.size == 0) {
        return status;
    }
    status = take_all(o, seat, whole, m->forward.first, 1);
    part_clear(&seat->command, o->options.memory);
    return status;
}

void forward_fill_ask(struct order_seat *seat, struct message *m)
{
    m->forward_ask.number = seat->expected;
    seat->is_reasked = true;
}

/* ------------------------------------------------------------------------------------------------ we follow */

void forward_receive_ask(struct order *o, struct order_seat *seat, const struct message *m)
{
    /* also while we suspect this leader: it asks once, and may live after all */
    if (!seat->is_followed || m->forward_ask.number <= o->pending_done ||
        m->forward_ask.number > o->pending.last.index) {
        o->dropped_at_door++;
        return;
    }
    o->forward_next = m->forward_ask.number;
    o->forward_part = 0;
}

static void fill(struct order *o, struct message *m, struct base_bytes body, uint32_t count)
{
    m->forward.first = o->forward_next;
    m->forward.count = count;
    m->forward.offset = (uint32_t)o->forward_part;
    m->body = body;
}

static bool pull_part(struct order *o, size_t room, struct message *m)
{
    struct base_bytes raw = log_raw(&o->pending, o->forward_next);
    size_t left = raw.size - (size_t)o->forward_part;
    size_t size = left < room ? left : room;

    if (size < left && size < ORDER_PART_MIN) {
        return false;
    }
    fill(o, m, (struct base_bytes){raw.data + o->forward_part, size}, 0);
    o->forward_part += size;
    if (o->forward_part == raw.size) {
        o->forward_part = 0;
        o->forward_next++;
    }
    return true;
}

bool forward_pull(struct order *o, struct order_seat *seat, size_t room, struct message *m)
{
    struct base_bytes body = {NULL, 0};
    uint32_t count = 0;

    if (o->leader != seat->id || !seat->is_followed || o->forward_next > o->pending.last.index) {
        return false;
    }
    room = room < MESSAGE_BODY_MAX ? room : MESSAGE_BODY_MAX;
    if (o->forward_part == 0) {
        body = log_range(&o->pending, o->forward_next, o->pending.last.index, room, &count);
    }
    if (count == 0) {
        return pull_part(o, room, m);
    }
    fill(o, m, body, count);
    o->forward_next += count;
    return true;
}
