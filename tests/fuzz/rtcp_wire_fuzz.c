/* Whatever a stranger may write: the first bytes of a connection, the messages of a datagram.
 *
 * Input     the first byte chooses the parser; the rest are the bytes.
 * Checks    nothing is read outside of the input (sanitizers); what is accepted is encoded to the same bytes again.
 */
#include "rtcp/base/check.h"
#include "rtcp/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void handshake(struct base_bytes in)
{
    struct rtcp_wire_request r;
    struct rtcp_wire_answer a;
    uint8_t out[RTCP_WIRE_REQUEST];
    uint8_t version;
    size_t total;

    if (rtcp_wire_total(in, &total, &version) < 0) {
        CHECK(rtcp_wire_get_request(in, &r) < 0 && rtcp_wire_get_answer(in, &a) < 0);
        return;
    }
    CHECK(total >= RTCP_WIRE_PREFIX && total <= RTCP_WIRE_HANDSHAKE_MAX);
    if (in.size < total) {
        CHECK(rtcp_wire_get_request(in, &r) < 0 && rtcp_wire_get_answer(in, &a) < 0);
        return;
    }
    in.size = total;
    if (rtcp_wire_get_request(in, &r) == 0) {
        rtcp_wire_put_request(out, &r);
        CHECK(memcmp(out + RTCP_WIRE_PREFIX, in.data + RTCP_WIRE_PREFIX, RTCP_WIRE_REQUEST - RTCP_WIRE_PREFIX) == 0);
        CHECK(r.attempt != 0 && r.control_id != 0 && r.client_incarnation != 0);
    }
    if (rtcp_wire_get_answer(in, &a) == 0) {
        rtcp_wire_put_answer(out, &a);
        CHECK(memcmp(out + RTCP_WIRE_PREFIX + 16, in.data + RTCP_WIRE_PREFIX + 16, 68) == 0);
        CHECK(a.attempt != 0 && a.incarnation != 0);
    }
}

static bool is_known(uint8_t type)
{
    return type >= RTCP_WIRE_ACK && type <= RTCP_WIRE_PASSIVE;
}

static void control(struct base_bytes in)
{
    struct rtcp_wire_control c;
    const uint8_t *end = in.data + in.size;
    struct base_bytes before = in;

    while (rtcp_wire_get_control(&in, &c) == 0) {
        uint8_t out[RTCP_WIRE_CONTROL_MAX];
        size_t taken = before.size - in.size;

        CHECK(in.data + in.size == end && taken == c.signed_bytes.size + RTCP_WIRE_CONTROL_TAG);
        CHECK(c.signed_bytes.data == before.data && c.id == base_get32(before.data));
        if (is_known(c.type)) {
            size_t size = rtcp_wire_put_control(out, &c);

            CHECK(size <= c.signed_bytes.size);
            CHECK(c.type == RTCP_WIRE_RESET ||
                  memcmp(out + RTCP_WIRE_CONTROL_HEADER, before.data + RTCP_WIRE_CONTROL_HEADER,
                         size - RTCP_WIRE_CONTROL_HEADER) == 0);
        }
        before = in;
    }
}

static void extend(struct base_bytes in)
{
    uint64_t got;

    if (in.size >= 12) {
        got = rtcp_wire_extend(base_get32(in.data), base_get64(in.data + 4) >> 1);
        CHECK((uint32_t)got == base_get32(in.data));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct base_bytes rest = {data + 1, size - 1};

    if (size == 0) {
        return 0;
    }
    if (data[0] % 3 == 0) {
        handshake(rest);
    } else if (data[0] % 3 == 1) {
        control(rest);
    } else {
        extend(rest);
    }
    return 0;
}
