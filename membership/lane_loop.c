/* See lane_loop.h. */
#include "membership/lane_loop.h"

#include "rtcp/base/check.h"

#define IN_SIZE_FIRST 1024u                /* a frame without a body fits */
#define IN_SIZE_BULK  (2 * FRAME_SIZE_MAX) /* a whole frame and the beginning of the next */
#define READ_MAX      (256u << 10)         /* bytes of one turn: beats of other members wait behind them */

_Static_assert(IN_SIZE_FIRST >= FRAME_HEADER_SIZE + MESSAGE_HEAD_MAX, "a frame without a body must fit");

/* ---------------------------------------------------------------------------------------------------- reading */

static void end(struct lane *lane, int status)
{
    if (!lane->is_closed) {
        lane->is_closed = true;
        lane->callbacks->on_ended(lane, status);
    }
}

static int take_frame(struct lane *lane, const struct frame *frame)
{
    struct wire_head head;
    int status = wire_decode(frame->head, &head);

    if (status != 0) {
        return status;
    }
    if (frame->body.size > 0 && !wire_has_body(&head)) {
        return BASE_E_PROTOCOL;
    }
    if (wire_has_body(&head)) {
        head.order.body = frame->body;
    }
    return lane->callbacks->on_frame(lane, &head);
}

/* Gives all whole frames that are here, until one of them holds or closes the lane. */
static void parse(struct lane *lane)
{
    size_t from = 0;
    int status = 0;

    while (!lane->is_closed && !lane->is_held) {
        struct frame frame;

        status = frame_parse((struct base_bytes){lane->in + from, lane->in_have - from},
                             lane->is_bulk ? MESSAGE_BODY_MAX : 0, &frame);
        if (status == 0) {
            from += frame.size;
            status = take_frame(lane, &frame);
        }
        if (status != 0) {
            break;
        }
    }
    lane->in_have -= from;
    if (from > 0 && lane->in_have > 0) {
        base_move(lane->in, lane->in + from, lane->in_have);
    }
    if (status < 0 && status != BASE_E_AGAIN) {
        end(lane, status);
    }
}

static void read_some(struct lane *lane)
{
    size_t total = 0;

    while (!lane->is_closed && !lane->is_held && total < READ_MAX) {
        int64_t count;

        CHECK(lane->in_have < lane->in_size);
        count = rtcp_recv(lane->stream, lane->in + lane->in_have, lane->in_size - lane->in_have);
        if (count == BASE_E_AGAIN) {
            return;
        }
        if (count <= 0) {
            end(lane, count == 0 ? BASE_E_CLOSED : (int)count);
            return;
        }
        lane->in_have += (size_t)count;
        total += (size_t)count;
        parse(lane);
    }
}

static void on_readable(void *user, struct rtcp_stream *stream)
{
    struct lane *lane = user;

    (void)stream;
    if (lane->is_held) {
        lane->is_waiting = true; /* not reading pauses the stream: back-pressure to the peer */
        return;
    }
    read_some(lane);
}

void lane_hold(struct lane *lane)
{
    lane->is_held = true;
}

void lane_release(struct lane *lane)
{
    lane->is_held = false;
    lane->is_waiting = true;
}

void lane_turn(struct lane *lane)
{
    if (!lane->is_waiting || lane->is_held || lane->is_closed) {
        return;
    }
    lane->is_waiting = false;
    parse(lane);
    read_some(lane);
}

/* ---------------------------------------------------------------------------------------------------- writing */

/* Moves what waits here into the ring; true when nothing waits any more. */
static bool flush(struct lane *lane)
{
    while (lane->out_from < lane->out_upto) {
        int64_t count = rtcp_send(lane->stream, lane->out + lane->out_from, lane->out_upto - lane->out_from);

        if (count < 0) {
            return false; /* no room (on_writable follows), or the stream has ended (on_closed follows) */
        }
        lane->out_from += (size_t)count;
    }
    lane->out_from = lane->out_upto = 0;
    return true;
}

/* The ring of an accepted lane is as large as a bulk lane's. While nothing gets through, it must not fill with votes
 * and beats that will be old when they arrive (rule 8, G17). */
static bool is_piling_up(const struct lane *lane)
{
    struct rtcp_info info;

    if (lane->is_bulk || !lane->is_cut) {
        return false;
    }
    rtcp_info(lane->stream, &info);
    return info.unacknowledged > LANE_CUT_MAX;
}

bool lane_room(struct lane *lane, size_t *ret_body)
{
    size_t least = FRAME_HEADER_SIZE + MESSAGE_HEAD_MAX + (lane->is_bulk ? LANE_BODY_MIN : 0);
    struct base_span span;
    size_t room;

    if (lane->is_closed || lane->stream == NULL || is_piling_up(lane) || !flush(lane)) {
        return false;
    }
    room = rtcp_room(lane->stream);
    if (room < least && rtcp_reserve(lane->stream, &span) != 0) {
        return false; /* full: asking made rtcp promise on_writable */
    }
    *ret_body = 0;
    if (lane->is_bulk) {
        *ret_body = room < least ? LANE_BODY_MIN : room - FRAME_HEADER_SIZE - MESSAGE_HEAD_MAX;
    }
    return true;
}

/* Where a frame with such a body is written: the ring, where it has room in one piece, else the buffer here. */
static struct base_span place(struct lane *lane, size_t body)
{
    size_t need = FRAME_HEADER_SIZE + MESSAGE_HEAD_MAX + body;
    struct base_span span;

    if (rtcp_reserve(lane->stream, &span) == 0 && span.size >= need) {
        return span;
    }
    return (struct base_span){lane->out, sizeof lane->out};
}

/* A frame was cut: the lane cannot go on. The stream's end tells the owner. */
static void give_up(struct lane *lane)
{
    rtcp_close(lane->stream, RTCP_LINGER_ABORT);
}

static void send_in_pieces(struct lane *lane, struct base_bytes body)
{
    if (!flush(lane) || rtcp_send(lane->stream, body.data, body.size) != (int64_t)body.size) {
        give_up(lane);
    }
}

static void send_frame(struct lane *lane, struct base_span at, size_t head, struct base_bytes body)
{
    size_t size = FRAME_HEADER_SIZE + head;

    frame_put(at.data, head, body.size);
    if (at.data != lane->out) {
        base_copy(at.data + size, body.data, body.size);
        if (rtcp_commit(lane->stream, size + body.size) != 0) {
            give_up(lane);
        }
        return;
    }
    lane->out_upto = size;
    if (size + body.size > sizeof lane->out) { /* the ring has room, but not in one piece */
        send_in_pieces(lane, body);
        return;
    }
    base_copy(lane->out + size, body.data, body.size);
    lane->out_upto += body.size;
    (void)flush(lane); /* what does not fit waits for on_writable */
}

void lane_send(struct lane *lane, const struct wire_head *head)
{
    struct base_span at = place(lane, 0);

    CHECK(lane->out_upto == 0 && !lane->is_closed);
    send_frame(lane, at, wire_encode(head, at.data + FRAME_HEADER_SIZE), (struct base_bytes){NULL, 0});
}

void lane_send_order(struct lane *lane, const struct message *message)
{
    struct base_span at = place(lane, message->body.size);

    CHECK(lane->out_upto == 0 && !lane->is_closed);
    CHECK(lane->is_bulk || message->body.size == 0);
    send_frame(lane, at, wire_encode_order(message, at.data + FRAME_HEADER_SIZE), message->body);
}

/* ---------------------------------------------------------------------------------------------------- stream */

static void on_writable(void *user, struct rtcp_stream *stream)
{
    struct lane *lane = user;

    (void)stream;
    if (!lane->is_closed && flush(lane)) {
        lane->callbacks->on_room(lane);
    }
}

static void on_link(void *user, struct rtcp_stream *stream, bool up)
{
    struct lane *lane = user;

    (void)stream;
    lane->is_attached = up;
    if (!lane->is_closed) {
        lane->callbacks->on_link(lane, up);
    }
}

static void on_evidence(void *user, struct rtcp_stream *stream, enum rtcp_evidence evidence)
{
    struct lane *lane = user;

    (void)stream;
    if (!lane->is_closed) {
        lane->callbacks->on_evidence(lane, evidence);
    }
}

static void on_probe_data(void *user, struct rtcp_stream *stream, const uint8_t data[RTCP_PROBE_DATA_SIZE])
{
    struct lane *lane = user;

    (void)stream;
    if (!lane->is_closed) {
        lane->callbacks->on_probe_data(lane, data);
    }
}

static void on_closed(void *user, struct rtcp_stream *stream, int status, uint64_t unacknowledged)
{
    struct lane *lane = user;

    (void)stream;
    (void)unacknowledged; /* the log knows what a member has (rule 4) */
    lane->stream = NULL;
    lane->is_attached = false;
    end(lane, status);
    lane->callbacks->on_gone(lane);
}

static const struct rtcp_stream_callbacks stream_callbacks = {
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_link = on_link,
    .on_evidence = on_evidence,
    .on_probe_data = on_probe_data,
    .on_closed = on_closed,
};

struct lane *lane_new(const struct base_memory *memory, const struct lane_callbacks *callbacks, void *owner)
{
    struct lane *lane = base_memory_new(memory, 1, sizeof *lane);

    if (lane == NULL) {
        return NULL;
    }
    lane->memory = memory;
    lane->callbacks = callbacks;
    lane->owner = owner;
    lane->in_size = IN_SIZE_FIRST;
    lane->in = base_memory_new(memory, 1, lane->in_size);
    if (lane->in == NULL) {
        base_memory_free(memory, lane);
        return NULL;
    }
    return lane;
}

void lane_free(struct lane *lane)
{
    const struct base_memory *memory;

    if (lane != NULL) {
        memory = lane->memory;
        base_memory_free(memory, lane->in);
        base_memory_free(memory, lane);
    }
}

void lane_accept(struct lane *lane, struct rtcp_stream *stream)
{
    lane->stream = stream;
    lane->is_attached = true;
    rtcp_stream_set_callbacks(stream, &stream_callbacks, lane);
}

int lane_dial(struct lane *lane, struct rtcp_endpoint *endpoint, const char *address,
              const struct rtcp_stream_options *options)
{
    return rtcp_connect(endpoint, address, options, &stream_callbacks, lane, &lane->stream);
}

int lane_make_bulk(struct lane *lane)
{
    uint8_t *larger;

    if (lane->is_bulk) {
        return 0;
    }
    larger = base_memory_new(lane->memory, 1, IN_SIZE_BULK);
    if (larger == NULL) {
        return BASE_E_NOMEM;
    }
    base_copy(larger, lane->in, lane->in_have);
    base_memory_free(lane->memory, lane->in);
    lane->in = larger;
    lane->in_size = IN_SIZE_BULK;
    lane->is_bulk = true;
    return 0;
}

void lane_close(struct lane *lane, enum rtcp_linger linger)
{
    lane->is_closed = true;
    if (lane->stream != NULL) {
        rtcp_close(lane->stream, linger);
    }
}
