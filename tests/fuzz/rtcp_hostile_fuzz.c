/* A real endpoint on a real loop over loopback, and a peer that knows the protocol and the keys and means no good. The
 * input is the script of both.
 *
 * Input     the first bytes choose keys, habits and whether there is an honest client; then steps, one opcode each with
 * its operands: what the peer does on TCP and UDP, what the application calls, how much time passes. At most STEPS_MAX
 * of them. Checks    the invariants of the product (they end the process); a stream that was given up calls nobody but
 * on_closed; the table of routes holds those that somebody uses; no descriptor and no memory is left behind. Nothing
 * sleeps: the clock is the script's, and after each step the loop runs until it is quiet.
 */
#include "rtcp/base/check.h"
#include "tests/fuzz/rtcp_hostile.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define STEPS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
    struct hostile_world world;
    struct hostile_peer peer;
};

uint8_t hostile_byte(struct hostile_script *s)
{
    return s->at < s->end ? *s->at++ : 0;
}

static void pass(struct hostile_world *w, uint8_t how)
{
    static const base_time span[] = {BASE_MS(1), BASE_MS(10), BASE_MS(60), BASE_MS(250), BASE_S(1),
                                     BASE_S(3),  BASE_S(12),  BASE_S(35),  BASE_S(310),  BASE_S(700)};

    hostile_world_pass(w, span[how % (sizeof span / sizeof span[0])]);
}

static void step(struct run *r, struct hostile_script *s)
{
    uint8_t what = hostile_byte(s);

    switch (what % 4) {
    case 0:
    case 1:
        hostile_peer_step(&r->peer, s);
        break;
    case 2:
        hostile_world_step(&r->world, s, r->peer.port);
        break;
    default:
        pass(&r->world, hostile_byte(s));
        break;
    }
    hostile_witness_send(&r->world);
    hostile_world_turn(&r->world);
    hostile_peer_look(&r->peer);
}

/* The number that the next descriptor gets. */
static int next_descriptor(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    CHECK(fd >= 0);
    close(fd);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hostile_script script = {data, data + size};
    struct run *r = calloc(1, sizeof *r);
    int before = next_descriptor();

    CHECK(r != NULL);
    hostile_world_init(&r->world, &script);
    hostile_peer_init(&r->peer, &r->world);
    for (int i = 0; i < STEPS_MAX && script.at < script.end; i++) {
        step(r, &script);
    }
    hostile_world_deinit(&r->world);
    hostile_peer_deinit(&r->peer);
    CHECK(next_descriptor() == before);
    free(r);
    return 0;
}
