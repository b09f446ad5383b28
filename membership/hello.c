/* See hello.h. Pure but for libsodium's hash.
 *
 * A link is up only after the other side echoed a nonce that we drew for this very link: bytes of a life that is over
 * cannot do that, so links are told in the true order of lives, which founding relies on (found.c).
 */
#include "membership/hello.h"

#include "rtcp/base/check.h"
#include "rtcp/base/state.h"

#include <sodium.h>

static const struct base_state rules[] = {
    [PAIR_IDLE] = {"idle", BASE_TO(PAIR_DIALLING) | BASE_TO(PAIR_HALF)},
    [PAIR_DIALLING] = {"dialling", BASE_TO(PAIR_UP)},
    [PAIR_HALF] = {"half", BASE_TO(PAIR_ANSWERED)},
    [PAIR_ANSWERED] = {"answered", BASE_TO(PAIR_UP)},
    [PAIR_UP] = {"up", 0},
};

static void check(const struct pair *p)
{
    CHECK((p->state == PAIR_IDLE) == (p->nonce == 0));
    CHECK(p->state != PAIR_UP || (p->has_hello[LANE_VOTES] && p->has_hello[LANE_BULK] && p->incarnation != 0));
    CHECK(p->state != PAIR_ANSWERED || (p->has_hello[LANE_VOTES] && p->has_hello[LANE_BULK]));
}

static void move(struct pair *p, enum pair_state next)
{
    CHECK((rules[p->state].next & BASE_TO(next)) != 0);
    p->state = (int)next;
}

uint64_t hello_name_hash(const char *name)
{
    uint8_t digest[crypto_generichash_BYTES_MIN];
    uint64_t number;

    (void)crypto_generichash(digest, sizeof digest, (const unsigned char *)name, strlen(name), NULL, 0);
    number = base_get64(digest);
    return number != 0 ? number : 1;
}

/* ---------------------------------------------------------------------------------------------------- judgement */

static bool find(const struct hello_self *self, uint32_t id, uint64_t *ret_expected)
{
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->member[i] == id && id != self->id) {
            *ret_expected = self->expected[i];
            return true;
        }
    }
    return false;
}

/* Before the founding view the lists must agree; whoever only opens has no list. */
static enum hello_reason judge_founding(const struct hello_self *self, const struct hello *h)
{
    if (h->token != self->token) {
        return HELLO_BAD_TOKEN;
    }
    if (self->instance == 0 && h->instance == 0 && self->founders != 0 && h->founders != 0 &&
        h->founders != self->founders) {
        return HELLO_BAD_FOUNDERS;
    }
    return HELLO_GOOD;
}

enum hello_reason hello_judge(const struct hello_self *self, const struct hello *h)
{
    uint64_t expected = 0;
    enum hello_reason reason;

    if (h->version != HELLO_VERSION) {
        return HELLO_BAD_VERSION;
    }
    if (h->name != self->name) {
        return HELLO_BAD_NAME;
    }
    if (h->receiver != self->id) {
        return HELLO_BAD_RECEIVER;
    }
    if (!find(self, h->sender, &expected)) {
        return HELLO_BAD_SENDER;
    }
    reason = judge_founding(self, h);
    if (reason != HELLO_GOOD || self->instance == 0) {
        return reason;
    }
    if (h->incarnation != expected) {
        return HELLO_BAD_INCARNATION; /* G7, G22, T51: it restarted, and its memory is gone */
    }
    return h->instance != 0 && h->instance != self->instance ? HELLO_BAD_INSTANCE : HELLO_GOOD;
}

enum found_reason hello_meaning(enum hello_reason reason)
{
    switch (reason) {
    case HELLO_BAD_NAME:
    case HELLO_BAD_RECEIVER:
    case HELLO_BAD_VERSION:
        return FOUND_REASON_PLACE;
    case HELLO_BAD_SENDER:
        return FOUND_REASON_STRANGER;
    case HELLO_BAD_TOKEN:
        return FOUND_REASON_TOKEN;
    case HELLO_BAD_FOUNDERS:
        return FOUND_REASON_FOUNDERS;
    case HELLO_BAD_INSTANCE:
    case HELLO_BAD_INCARNATION:
        return FOUND_REASON_EXISTS;
    case HELLO_GOOD:
        break;
    }
    return FOUND_REASON_NONE;
}

struct hello_refusal hello_refuse(const struct hello_self *self, enum hello_reason reason, const struct hello *hello)
{
    return (struct hello_refusal){
        .reason = (uint32_t)reason, .instance = self->instance, .view = self->view, .echo = hello->nonce};
}

/* ---------------------------------------------------------------------------------------------------- handshake */

void pair_init(struct pair *p)
{
    base_zero(p, sizeof *p);
}

void pair_dial(struct pair *p, uint32_t peer, uint64_t link, uint64_t nonce)
{
    CHECK(link != 0 && nonce != 0);
    move(p, PAIR_DIALLING);
    p->peer = peer;
    p->link = link;
    p->nonce = nonce;
    check(p);
}

static void take_peer(struct pair *p, const struct hello *h)
{
    p->incarnation = h->incarnation;
    p->life = h->life;
    p->peer_nonce = h->nonce;
    p->is_founder = h->founders != 0;
}

static bool is_same_life(const struct pair *p, const struct hello *h)
{
    return h->sender == p->peer && h->link == p->link && h->incarnation == p->incarnation && h->life == p->life &&
           h->nonce == p->peer_nonce;
}

void pair_accept(struct pair *p, const struct hello *h, uint64_t nonce)
{
    CHECK(nonce != 0 && h->lane < LANE_COUNT);
    move(p, PAIR_HALF);
    p->peer = h->sender;
    p->link = h->link;
    p->nonce = nonce;
    take_peer(p, h);
    p->has_hello[h->lane] = true;
    check(p);
}

bool pair_matches(const struct pair *p, const struct hello *h)
{
    return p->state == PAIR_HALF && is_same_life(p, h) && h->lane < LANE_COUNT && !p->has_hello[h->lane];
}

static int receive_answer(struct pair *p, enum message_lane lane, const struct hello *h)
{
    if (h->echo != p->nonce || h->sender != p->peer || h->link != p->link || h->incarnation == 0 || h->nonce == 0) {
        return BASE_E_PROTOCOL;
    }
    if (p->peer_nonce == 0) {
        take_peer(p, h);
    }
    if (!is_same_life(p, h) || p->has_hello[lane]) {
        return BASE_E_PROTOCOL; /* the other side restarted between the two lanes */
    }
    p->has_hello[lane] = true;
    if (p->has_hello[LANE_VOTES] && p->has_hello[LANE_BULK]) {
        p->has_ready[LANE_VOTES] = p->has_ready[LANE_BULK] = true;
        move(p, PAIR_UP);
    }
    return 0;
}

static int receive_ready(struct pair *p, enum message_lane lane, const struct hello *h)
{
    if (!is_same_life(p, h) || h->echo != p->nonce || p->has_ready[lane]) {
        return BASE_E_PROTOCOL;
    }
    p->has_ready[lane] = true;
    if (p->has_ready[LANE_VOTES] && p->has_ready[LANE_BULK]) {
        move(p, PAIR_UP);
    }
    return 0;
}

int pair_receive(struct pair *p, enum message_lane lane, const struct hello *h)
{
    int status = BASE_E_PROTOCOL;

    if (h->lane != (uint32_t)lane) {
        return BASE_E_PROTOCOL;
    }
    switch ((enum pair_state)p->state) {
    case PAIR_HALF:
        if (pair_matches(p, h)) {
            p->has_hello[lane] = true;
            move(p, PAIR_ANSWERED);
            status = 0;
        }
        break;
    case PAIR_DIALLING:
        status = receive_answer(p, lane, h);
        break;
    case PAIR_ANSWERED:
        status = receive_ready(p, lane, h);
        break;
    case PAIR_IDLE:
    case PAIR_UP:
        break;
    }
    check(p);
    return status;
}

struct hello pair_hello(const struct pair *p, const struct hello_self *self, enum message_lane lane)
{
    return (struct hello){
        .version = HELLO_VERSION,
        .lane = (uint32_t)lane,
        .link = p->link,
        .sender = self->id,
        .receiver = p->peer,
        .incarnation = self->incarnation,
        .life = self->life,
        .name = self->name,
        .token = self->token,
        .founders = self->founders,
        .instance = self->instance,
        .view = self->view,
        .nonce = p->nonce,
        .echo = p->peer_nonce,
    };
}
