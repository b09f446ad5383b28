/* The peer: it dials, is dialled, and speaks by datagrams, from several addresses; what it says is signed as it should
 * be, unless the script wants otherwise. See rtcp_hostile.h.
 */
#include "rtcp/base/check.h"
#include "tests/fuzz/rtcp_hostile.h"

#define DATAGRAM 1200

/* Bits of the byte "how" that handshakes begin with. */
enum how {
    HOW_NO_PORT = 1,   /* it tells no UDP port */
    HOW_WRONG_TAG = 2, /* as most of these: only together with HOW_WRONG */
    HOW_WRONG_NAME = 4,
    HOW_WRONG_PLACE = 8, /* of the server: incarnation or session */
    HOW_FRESH = 16,      /* another nonce */
    HOW_HALF = 32,       /* the message is cut */
    HOW_WRONG = 64,
    HOW_MANY = 128,
};

/* ------------------------------------------------------------------------------------------------ what is said */

/* A count near one that means something. */
static uint64_t near(struct hostile_script *s, uint64_t base)
{
    uint8_t how = hostile_byte(s);

    return how < 128 ? base + how : base - (256u - how);
}

static void shared_of(uint8_t key, struct rtcp_auth_shared *ret)
{
    struct rtcp_key k = hostile_key(key);

    rtcp_auth_shared_init(ret, (struct base_bytes){k.bytes, key == 0 ? 0 : k.size}, k.id);
}

static void fresh_nonce(struct hostile_peer *p, uint8_t nonce[RTCP_WIRE_NONCE])
{
    base_zero(nonce, RTCP_WIRE_NONCE);
    base_put32(nonce, ++p->fresh);
}

static bool is(uint8_t how, enum how bit)
{
    return (how & HOW_WRONG) != 0 && (how & bit) != 0;
}

static uint16_t told_port(const struct hostile_peer *p, uint8_t how, unsigned host)
{
    return (how & HOW_NO_PORT) != 0 ? 0 : p->udp_port[host % HOSTILE_IPS];
}

static void open_stream(struct hostile_peer *p, struct hostile_script *s)
{
    struct hostile_part *part = &p->part[hostile_byte(s) % HOSTILE_CLIENTS];
    uint8_t how = hostile_byte(s);
    unsigned host = hostile_byte(s);
    uint8_t early = hostile_byte(s);
    uint8_t bytes[RTCP_WIRE_REQUEST + 255] = {0};
    struct rtcp_wire_request r = {.kind = RTCP_WIRE_OPEN, .attempt = 1 + host / 64, .early = early};
    struct rtcp_auth_shared shared;
    struct hostile_line *line;

    if ((how & HOW_FRESH) != 0 || part->nonce[3] == 0) {
        fresh_nonce(p, part->nonce);
        part->is_known = false;
        part->key = (uint8_t)(host / 4 % HOSTILE_KEYS);
    }
    shared_of(part->key, &shared);
    r.udp_port = told_port(p, how, host);
    r.key_id = shared.id;
    r.control_id = is(how, HOW_WRONG_PLACE) ? 0 : part->control_id;
    r.window = is(how, HOW_WRONG_PLACE) ? early : 65536;
    r.client_incarnation = part->incarnation;
    r.name = is(how, HOW_WRONG_NAME) ? 77 : 0;
    base_copy(r.nonce, part->nonce, sizeof r.nonce);
    rtcp_wire_put_request(bytes, &r);
    rtcp_auth_sign(bytes, RTCP_WIRE_REQUEST, shared.key, 0, 0, NULL);
    bytes[RTCP_WIRE_REQUEST - 1] ^= is(how, HOW_WRONG_TAG);
    line = hostile_line_dial(p, (uint8_t)(part - p->part), host);
    if ((how & HOW_HALF) != 0) {
        hostile_line_say_cut(p, s, line, bytes, RTCP_WIRE_REQUEST + early);
    } else {
        hostile_line_say(line, bytes, RTCP_WIRE_REQUEST + early);
    }
}

static void open_many(struct hostile_peer *p, struct hostile_script *s)
{
    const struct hostile_script again = *s;

    for (int i = 0; i < HOSTILE_BURST; i++) {
        *s = again;
        open_stream(p, s);
    }
}

/* RESUME, and CONTROL, which is written in the same way. */
static void come_back(struct hostile_peer *p, struct hostile_script *s, uint8_t kind)
{
    struct hostile_part *part = &p->part[hostile_byte(s) % HOSTILE_CLIENTS];
    uint8_t how = hostile_byte(s);
    unsigned host = hostile_byte(s);
    const struct rtcp_session *seen = &part->seen;
    bool is_resume = kind == RTCP_WIRE_RESUME;
    struct rtcp_wire_request r = {.kind = kind,
                                  .flags = is_resume ? host / 4 % 4 : 0,
                                  .udp_port = is_resume ? told_port(p, how, host) : 0,
                                  .cid =
                                      seen->cid - is(how, HOW_WRONG_PLACE), /* ids are no secret: that is another's */
                                  .control_id = part->control_id,
                                  .attempt = is_resume ? (uint32_t)near(s, seen->attempt + 1) : 1,
                                  .client_incarnation = part->incarnation,
                                  .name = seen->opt.name ^ is(how, HOW_WRONG_NAME),
                                  .server_incarnation = seen->opt.incarnation + (host / 16 % 4 == 3)};
    struct rtcp_auth_shared shared;
    uint8_t bytes[RTCP_WIRE_REQUEST];
    struct hostile_line *line;

    if (is_resume) {
        r.received = near(s, host / 64 % 2 == 0 ? seen->out.first : seen->written_max);
        r.sent = near(s, seen->received);
        r.window = 65536u >> host % 8;
    }
    shared_of(part->key, &shared);
    r.key_id = shared.id;
    fresh_nonce(p, r.nonce);
    rtcp_auth_prove(r.nonce, &shared, &(struct rtcp_auth_asked){r.cid, r.attempt, r.name, r.server_incarnation});
    rtcp_wire_put_request(bytes, &r);
    rtcp_auth_sign(bytes, sizeof bytes, seen->keys.handshake_up, r.received, r.sent, NULL);
    bytes[RTCP_WIRE_REQUEST - 1] ^= is(how, HOW_WRONG_TAG);
    for (int i = (how & HOW_MANY) != 0 ? HOSTILE_BURST : 1; i > 0; i--) {
        line = hostile_line_dial(p, (uint8_t)(part - p->part), host);
        hostile_line_say(line, bytes, (how & HOW_HALF) != 0 ? RTCP_WIRE_REQUEST / 2 : RTCP_WIRE_REQUEST);
    }
}

static void confirm(struct hostile_peer *p, struct hostile_script *s)
{
    uint8_t part = hostile_byte(s) % HOSTILE_CLIENTS;
    uint8_t how = hostile_byte(s);
    uint8_t tag[RTCP_WIRE_CONFIRM];

    rtcp_auth_confirm(tag, &p->part[part].seen.keys, p->part[part].seen.server_nonce);
    tag[how % sizeof tag] ^= is(how, HOW_WRONG_TAG);
    hostile_line_say(hostile_line_of(p, part, how % 2), tag, (how & HOW_HALF) != 0 ? how % sizeof tag : sizeof tag);
}

/* What a server answers to the latest request of its session. */
static void fill_answer(struct hostile_peer *p, struct hostile_script *s, const struct hostile_part *part, uint8_t how,
                        struct rtcp_wire_answer *a)
{
    static const uint8_t kinds[] = {RTCP_WIRE_ACCEPT, RTCP_WIRE_RESUMED, RTCP_WIRE_REFUSE, RTCP_WIRE_REFUSE};
    const struct rtcp_session *seen = &part->seen;
    uint8_t kind = hostile_byte(s);

    *a = (struct rtcp_wire_answer){.kind = kinds[kind % 4],
                                   .reason = kind % 4 >= 2 ? kind / 4 % 16 : 0,
                                   .flags = kind % 4 >= 2 ? kind / 64 : kind / 4 % 4,
                                   .version_min = RTCP_WIRE_VERSION,
                                   .version_max = RTCP_WIRE_VERSION,
                                   .udp_port = told_port(p, how, 0),
                                   .cid = seen->cid == 0 ? part->control_id : seen->cid,
                                   .control_id = seen->cid == 0 ? part->control_id : seen->peer_id,
                                   .attempt = seen->attempt - is(how, HOW_WRONG_PLACE),
                                   .window = 65536,
                                   .retry_after_ms = kind,
                                   .incarnation = part->incarnation + (how / 16 % 2),
                                   .name = 78 + is(how, HOW_WRONG_NAME)};
    a->received = near(s, hostile_byte(s) % 2 == 0 ? seen->out.first : seen->written_max);
    a->sent = near(s, seen->received);
    base_put32(a->nonce, part->control_id);
}

/* The answer of a server that the endpoint dialled, on its latest connection. */
static void answer(struct hostile_peer *p, struct hostile_script *s)
{
    uint8_t n = HOSTILE_CLIENTS + hostile_byte(s) % (HOSTILE_PARTS - HOSTILE_CLIENTS);
    struct hostile_part *part = &p->part[n];
    uint8_t how = hostile_byte(s);
    struct rtcp_auth_keys keys = part->seen.keys;
    uint8_t request_nonce[RTCP_WIRE_NONCE];
    uint8_t bytes[RTCP_WIRE_ANSWER];
    struct rtcp_auth_shared shared;
    struct rtcp_wire_request asked;
    struct rtcp_wire_answer a;
    struct hostile_line *line;
    bool is_shared = (how & HOW_MANY) != 0;

    hostile_line_take(p, n);
    line = hostile_line_of(p, n, 0);
    fill_answer(p, s, part, how, &a);
    base_copy(request_nonce, part->seen.request_nonce, sizeof request_nonce);
    if (hostile_line_asked(line, &asked) && asked.kind == RTCP_WIRE_CONTROL) {
        base_copy(request_nonce, asked.nonce, sizeof request_nonce);
        base_copy(a.nonce, part->seen.server_nonce, sizeof a.nonce);
        a.attempt = asked.attempt;
        a.received = a.sent = 0;
    }
    shared_of(part->key, &shared);
    rtcp_wire_put_answer(bytes, &a);
    if (part->seen.cid == 0) {
        rtcp_auth_derive(&keys, &shared, part->seen.client_nonce, a.nonce);
    }
    rtcp_auth_sign(bytes, sizeof bytes, is_shared ? shared.key : keys.handshake_down, is_shared ? 0 : a.received,
                   is_shared ? 0 : a.sent, request_nonce);
    bytes[RTCP_WIRE_ANSWER - 1] ^= is(how, HOW_WRONG_TAG);
    hostile_line_say(line, bytes, (how & HOW_HALF) != 0 ? RTCP_WIRE_ANSWER / 2 : RTCP_WIRE_ANSWER);
}

/* ------------------------------------------------------------------------------------------------ control */

/* What a message says; types beyond the known ones are made of an ACK. */
static void fill_message(struct hostile_script *s, const struct hostile_part *part, uint8_t what, uint8_t how,
                         struct rtcp_wire_control *c)
{
    const struct rtcp_session *seen = &part->seen;

    *c = (struct rtcp_wire_control){.id = seen->opt.id - ((how & 0xc0) == 0x80), /* or in another's name */
                                    .type = (uint8_t)(1 + what % RTCP_WIRE_PASSIVE),
                                    .message_id = (uint16_t)(seen->reliable.id + (how / 4 % 4 == 3)),
                                    .attempt = seen->live + how / 16 % 4 - 1,
                                    .unread = how,
                                    .ring = how * 4096u,
                                    .asker = part->control_id,
                                    .incarnation = part->incarnation,
                                    .has_data = (how & 1) != 0};
    c->received = near(s, (how & 2) == 0 ? seen->out.first : seen->written_max);
    c->final = near(s, seen->received);
    c->flagged = c->type == RTCP_WIRE_HALF_CLOSE || c->type == RTCP_WIRE_CLOSE || c->type == RTCP_WIRE_RESET ||
                 c->type == RTCP_WIRE_WAKE || c->type == RTCP_WIRE_PASSIVE;
    base_copy(
        c->echo,
        seen->pulse.probe[(seen->pulse.next + RTCP_PROBES_REMEMBERED - 1 - what / 16) % RTCP_PROBES_REMEMBERED].echo,
        RTCP_WIRE_ECHO); /* of the latest, or of one before */
}

static size_t put_message(struct hostile_peer *p, struct hostile_script *s, const struct hostile_part *part,
                          uint8_t out[RTCP_WIRE_CONTROL_MAX])
{
    uint8_t what = hostile_byte(s);
    uint8_t how = hostile_byte(s);
    bool is_client = part - p->part >= HOSTILE_CLIENTS; /* the endpoint is */
    const uint8_t *key = is_client ? part->seen.keys.control_down : part->seen.keys.control_up;
    struct rtcp_auth_shared shared;
    struct rtcp_wire_control c;
    size_t size;

    fill_message(s, part, what, how, &c);
    size = rtcp_wire_put_control(out, &c);
    out[4] = what >= 0xf0 ? what : out[4]; /* a type that nobody knows */
    shared_of(part->key, &shared);
    rtcp_auth_control(out + size, c.type == RTCP_WIRE_UNKNOWN ? shared.unknown_key : key,
                      (struct base_bytes){out, size}, rtcp_wire_has_received(out[4]) ? c.received : 0,
                      rtcp_wire_has_final(out[4]) ? c.final : 0);
    out[size] ^= (how & 0xc0) == 0xc0;
    return size + RTCP_WIRE_CONTROL_TAG;
}

static void control(struct hostile_peer *p, struct hostile_script *s)
{
    uint8_t n = hostile_byte(s) % HOSTILE_PARTS;
    uint8_t how = hostile_byte(s);
    const struct rtcp_control_port *port = &p->world->endpoint->port[how / 4 % p->world->endpoint->port_count];
    struct sockaddr_in to = hostile_loopback(0, port->bound.port);
    uint8_t bytes[DATAGRAM + RTCP_WIRE_CONTROL_MAX];
    size_t size = 0;

    for (int i = 0; i <= how / 64 && size < DATAGRAM / 2; i++) {
        size += put_message(p, s, &p->part[n], bytes + size);
    }
    if (how % 4 == HOSTILE_IPS) {
        hostile_line_say(hostile_line_of(p, n, 0), bytes, size); /* a CONTROL connection, or so it says */
        return;
    }
    for (int i = (how & 32) != 0 ? HOSTILE_BURST : 1; i > 0; i--) {
        (void)!sendto(p->udp[how % 4], bytes, size, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
    }
}

/* ------------------------------------------------------------------------------------------------ the rest */

static void say_bytes(struct hostile_peer *p, struct hostile_script *s)
{
    static const uint8_t zeros[65536];
    uint8_t part = hostile_byte(s) % HOSTILE_PARTS;
    uint8_t how = hostile_byte(s);

    hostile_line_say(hostile_line_of(p, part, how / 32), zeros, (size_t)1 << how % 17);
}

static void say_garbage(struct hostile_peer *p, struct hostile_script *s)
{
    uint8_t part = hostile_byte(s) % HOSTILE_PARTS;
    uint8_t how = hostile_byte(s);
    uint8_t bytes[16];
    struct sockaddr_in to = hostile_loopback(0, p->world->endpoint->port[0].bound.port);

    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = hostile_byte(s);
    }
    if (how % 3 == 0) {
        (void)!sendto(p->udp[0], bytes, sizeof bytes, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof to);
    } else {
        hostile_line_say(how % 3 == 1 ? hostile_line_dial(p, part, how) : hostile_line_of(p, part, 0), bytes,
                         sizeof bytes);
    }
}

void hostile_peer_step(struct hostile_peer *p, struct hostile_script *s)
{
    uint8_t what = hostile_byte(s) % 16;

    switch (what) {
    case 0:
    case 1:
        open_stream(p, s);
        break;
    case 2:
    case 3:
        come_back(p, s, RTCP_WIRE_RESUME);
        break;
    case 4:
        come_back(p, s, RTCP_WIRE_CONTROL);
        break;
    case 5:
        confirm(p, s);
        break;
    case 6:
        answer(p, s);
        break;
    case 7:
        hostile_line_take(p, HOSTILE_CLIENTS + hostile_byte(s) % (HOSTILE_PARTS - HOSTILE_CLIENTS));
        break;
    case 8:
        say_bytes(p, s);
        break;
    case 9:
        say_garbage(p, s);
        break;
    case 10:
        hostile_line_hang_up(p, s);
        break;
    case 11:
        hostile_line_listen(p);
        break;
    case 12:
        open_many(p, s);
        break;
    default:
        control(p, s);
        break;
    }
}

void hostile_peer_look(struct hostile_peer *p)
{
    for (const struct rtcp_stream *stream = p->world->endpoint->streams; stream != NULL; stream = stream->next) {
        for (int i = 0; i < HOSTILE_CLIENTS; i++) {
            if (!stream->session.opt.is_client &&
                memcmp(stream->session.client_nonce, p->part[i].nonce, RTCP_WIRE_NONCE) == 0) {
                p->part[i].seen = stream->session;
                p->part[i].is_known = true;
            }
        }
    }
    for (int i = HOSTILE_CLIENTS; i < HOSTILE_PARTS; i++) {
        if (p->world->dialled[i] != NULL) {
            p->part[i].seen = p->world->dialled[i]->stream->session;
            p->part[i].key = (uint8_t)p->part[i].seen.opt.shared->id;
            p->part[i].is_known = true;
        }
    }
}
