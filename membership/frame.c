/* See frame.h. Pure. Every length is checked before it is used (T78). */
#include "membership/frame.h"

#include "rtcp/base/check.h"

int frame_parse(struct base_bytes in, size_t body_max, struct frame *ret_frame)
{
    size_t length;
    size_t head;

    if (in.size < FRAME_HEADER_SIZE) {
        return BASE_E_AGAIN;
    }
    length = base_get32(in.data);
    head = base_get16(in.data + 4);
    if (head < 1 || head > MESSAGE_HEAD_MAX || length < 2 + head || length - 2 - head > body_max) {
        return BASE_E_PROTOCOL;
    }
    if (in.size - 4 < length) {
        return BASE_E_AGAIN;
    }
    ret_frame->head = (struct base_bytes){in.data + FRAME_HEADER_SIZE, head};
    ret_frame->body = (struct base_bytes){in.data + FRAME_HEADER_SIZE + head, length - 2 - head};
    ret_frame->size = 4 + length;
    return 0;
}

void frame_put(uint8_t *at, size_t head_size, size_t body_size)
{
    CHECK(head_size >= 1 && head_size <= MESSAGE_HEAD_MAX);
    CHECK(body_size <= MESSAGE_BODY_MAX);
    base_put32(at, (uint32_t)(2 + head_size + body_size));
    base_put16(at + 4, (uint16_t)head_size);
}
