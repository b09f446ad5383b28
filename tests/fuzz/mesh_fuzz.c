/* Whatever a stranger may write into a lane: framing, heads, and the handshake that reads them first.
 *
 * Input     the first byte chooses the lane; the rest are the bytes of the stream.
 * Checks    nothing is read outside of the input (sanitizers); what is accepted can be encoded and read again with the
 *           same bytes; no sequence of hellos brings a link up without the nonce it was given.
 */
#include "membership/frame.h"
#include "membership/hello.h"
#include "membership/wire.h"
#include "rtcp/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void again(const struct wire_head *head)
{
    uint8_t one[MESSAGE_HEAD_MAX];
    uint8_t two[MESSAGE_HEAD_MAX];
    struct wire_head read;
    size_t size = wire_encode(head, one);

    CHECK(wire_decode((struct base_bytes){one, size}, &read) == 0);
    CHECK(wire_encode(&read, two) == size);
    CHECK(base_equal((struct base_bytes){one, size}, (struct base_bytes){two, size}));
}

static void shake(struct pair *pair, const struct hello_self *self, const struct hello *h)
{
    (void)hello_meaning(hello_judge(self, h));
    if (h->lane >= LANE_COUNT) {
        return;
    }
    if (pair->state == PAIR_IDLE) {
        pair_accept(pair, h, 0x1122334455667788u);
    } else if (pair_receive(pair, (enum message_lane)h->lane, h) == 0 && pair->state == PAIR_UP) {
        CHECK(h->echo == pair->nonce);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hello_self self = {.id = 2, .incarnation = 3, .name = 4, .count = 2, .member = {1, 2}};
    struct base_bytes rest;
    struct pair pair;
    struct frame frame;

    if (size == 0) {
        return 0;
    }
    rest = (struct base_bytes){data + 1, size - 1};
    pair_init(&pair);
    while (frame_parse(rest, data[0] % 2 == 0 ? 0 : MESSAGE_BODY_MAX, &frame) == 0) {
        struct wire_head head;

        if (wire_decode(frame.head, &head) != 0 || (frame.body.size > 0 && !wire_has_body(&head))) {
            break;
        }
        again(&head);
        if (head.what == WIRE_IS_HELLO) {
            shake(&pair, &self, &head.hello);
        }
        rest = (struct base_bytes){rest.data + frame.size, rest.size - frame.size};
    }
    return 0;
}
