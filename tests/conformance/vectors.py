#!/usr/bin/env python3
"""Makes rtcp/vectors.txt: keys, messages and the bytes they become, by protocol.py alone. No C code is asked.

usage: vectors.py            prints the file
       vectors.py --write    writes it

Owns      the choice of cases: every kind and type, every flag, counts around the wraps at 32 bits.
Relies on protocol.py.
Not here  the comparison: vectors_test.py and tests/unit/rtcp/vectors_test.c.
"""

import pathlib
import sys

import protocol as p

FILE = pathlib.Path(__file__).resolve().parent.parent.parent / "rtcp" / "vectors.txt"

HEAD = """\
# Test vectors of the protocol (PROTOCOL.md, "Test vectors"). Made by tests/conformance/vectors.py --write.
#
# A vector begins with "vector KIND NAME" and has one field a line. Numbers are decimal or 0x; "hex" values are bytes,
# "-" none.
# received, sent and final are the full 64 bits, of which a message carries the low 32. `bytes` is the whole message.
#
#   keys      preshared, client_nonce, server_nonce: what follows from them
#   name      text: its 64 bits
#   extend    low, near: value
#   proof     of a RESUME or CONTROL: its asker's nonce
#   request   the fields of the table, key of the tag, trailer: bytes
#   answer    the same, and the nonce of the request
#   control   id, type and data, key of the tag; more: words behind the table's: bytes
"""

PRESHARED = bytes(range(0x40, 0x60))
CLIENT_NONCE, SERVER_NONCE = bytes(range(16)), bytes(range(0xF0, 0x100))
RESUME_NONCE = bytes(range(0x80, 0x90))
NAME = p.service_name(b"example")
CLIENT, SERVER = 0x1122334455667788, 0x99AABBCCDDEEFF00
CID, CLIENT_ID = 0xC0FFEE01, 0x0BADCAFE
WRAP = 1 << 32


def show(value):
    if isinstance(value, bytes):
        return "hex " + (value.hex() or "-")
    return str(value) if value < 100000 else hex(value)


def block(kind, name, fields):
    return f"\nvector {kind} {name}\n" + "".join(f"{field} {show(value)}\n" for field, value in fields)


def keys_vector(name, preshared):
    shared = p.shared_key(preshared)
    k = p.Keys(shared, CLIENT_NONCE, SERVER_NONCE)
    return block("keys", name, [
        ("preshared", preshared), ("client_nonce", CLIENT_NONCE), ("server_nonce", SERVER_NONCE), ("shared", shared),
        ("unknown", p.unknown_key(shared)), ("asker", p.asker_key(shared)),
        ("handshake_up", k.handshake_up), ("handshake_down", k.handshake_down),
        ("control_up", k.control_up), ("control_down", k.control_down), ("confirm", k.confirm())])


def handshake_vector(title, kind, tag_key, /, trailer=b"", request_nonce=None, **fields):
    """A request or an answer. The tag is made of its full counts; of zeros in OPEN and in a REFUSE of no session."""
    is_request = p.is_request(kind)
    message = p.Message(kind, **fields)
    received, sent = fields.get("received", 0), fields.get("sent", 0)

    def tag(body):
        return p.keyed_hash(tag_key, 16, body + p.counts(received, sent) + (request_nonce or b""))
    data = p.encode_handshake(message, tag, trailer)
    names = p.REQUEST_FIELDS if is_request else [n for n in p.ANSWER_FIELDS if n != "zero"]
    values = [(n, fields.get(n, p.NO_NONCE if n == "nonce" else 0)) for n in names]
    extra = [("tag_key", tag_key)] + ([] if is_request else [("request_nonce", request_nonce)])
    return block("request" if is_request else "answer", title,
                 [("kind", kind)] + values + extra + [("trailer", trailer), ("bytes", data)])


def control_vector(title, key, to, kind, /, message_id=0, flagged=False, more=b"", **fields):
    data = p.encode_control(key, to, kind, message_id, flagged, more, **fields)
    names = p.CONTROL_DATA.get(kind, ("", ""))[1].split()
    return block("control", title,
                 [("id", to), ("type", kind), ("flagged", int(flagged)), ("message_id", message_id)]
                 + [(n, fields[n]) for n in names if n != "zero"] + [("more", more), ("tag_key", key), ("bytes", data)])


def requests(shared, key_id, k, word):
    up = {"port": 40001, "key_id": key_id, "control_id": CLIENT_ID, "window": 1 << 20, "incarnation": CLIENT}
    opening = dict(up, attempt=1, nonce=CLIENT_NONCE)
    resume = dict(up, cid=CID, name=NAME, server_incarnation=SERVER)

    def proven(attempt):
        return {"attempt": attempt, "nonce": p.resume_nonce(shared, CID, attempt, NAME, SERVER, RESUME_NONCE[:8])}
    yield handshake_vector(f"open-{word}", p.OPEN, shared, **opening)
    yield handshake_vector(f"open-early-{word}", p.OPEN, shared, **dict(opening, early=p.EARLY_MAX, name=NAME))
    yield handshake_vector(f"open-again-{word}", p.OPEN, shared, **dict(opening, attempt=7, name=NAME))
    yield handshake_vector(f"open-trailer-{word}", p.OPEN, shared, trailer=b"\xEE" * 256, **opening)
    yield handshake_vector(f"resume-{word}", p.RESUME, k.handshake_up, **dict(resume, **proven(2), received=5, sent=17))
    for at, name in ((WRAP - 1, "before-wrap"), (WRAP, "at-wrap"), (3 * WRAP + 7, "wrapped")):
        yield handshake_vector(f"resume-{name}-{word}", p.RESUME, k.handshake_up,
                               **dict(resume, **proven(3), received=at, sent=at + 100))
    for flags, name in ((p.SHUT, "shut"), (p.SHUT | p.CLOSED, "closed"), (p.SHUT | p.CLOSED | p.HEARD, "heard")):
        yield handshake_vector(f"resume-{name}-{word}", p.RESUME, k.handshake_up,
                               **dict(resume, **proven(0xFFFFFFFF), received=9, sent=WRAP + 1, flags=flags))
    yield handshake_vector(f"control-{word}", p.CONTROL, k.handshake_up,
                           **dict(resume, **proven(1), port=0, window=0))
    yield handshake_vector(f"resume-trailer-{word}", p.RESUME, k.handshake_up, trailer=b"\x01\x02\x03",
                           **dict(resume, **proven(4)))


def answers(shared, k, word):
    both = {"lowest": 1, "highest": 1, "incarnation": SERVER, "name": NAME}
    of_session = dict(both, cid=CID, control_id=CID, nonce=SERVER_NONCE)
    fine = dict(of_session, port=7000, window=1 << 16)
    down = k.handshake_down
    yield handshake_vector(f"accept-{word}", p.ACCEPT, down, request_nonce=CLIENT_NONCE, **dict(fine, attempt=1))
    yield handshake_vector(f"accept-trailer-{word}", p.ACCEPT, down, request_nonce=CLIENT_NONCE, trailer=b"\x00" * 256,
                           **dict(fine, attempt=2, received=65536, sent=3))
    yield handshake_vector(f"accept-control-{word}", p.ACCEPT, down, request_nonce=RESUME_NONCE,
                           **dict(of_session, attempt=1))
    for at, flags, name in ((20, 0, "plain"), (WRAP - 1, p.SHUT, "shut"), (2 * WRAP, p.SHUT | p.CLOSED, "closed")):
        yield handshake_vector(f"resumed-{name}-{word}", p.RESUMED, down, request_nonce=RESUME_NONCE,
                               **dict(fine, attempt=3, received=at, sent=at + 1, flags=flags))
    for reason in range(p.NOT_LISTENING, p.NOT_HERE + 1):
        if reason in p.OF_SESSION:
            flags = p.SHUT | p.CLOSED if reason == p.IS_CLOSED else 0
            yield handshake_vector(f"refuse-{reason}-{word}", p.REFUSE, down, request_nonce=RESUME_NONCE,
                                   **dict(of_session, reason=reason, attempt=5, received=WRAP + 2, sent=12,
                                          flags=flags))
            continue
        full = {"flags": p.TEMPORARY, "retry": 1000} if reason == p.FULL else {}
        nonce = p.NO_NONCE if reason == p.BAD_VERSION else RESUME_NONCE
        is_stranger = shared != bytes(32) and reason in (p.BAD_KEY, p.BAD_VERSION)
        who = {"name": 0, "incarnation": 1} if is_stranger else {}
        yield handshake_vector(f"refuse-{reason}-{word}", p.REFUSE, shared, request_nonce=nonce,
                               **{**both, **full, **who}, reason=reason, attempt=1 if reason == p.BAD_VERSION else 5)


def controls(shared, k, word):
    for side, key, to in (("up", k.control_up, CID), ("down", k.control_down, CLIENT_ID)):
        end = f"{side}-{word}"
        for at, name in ((0, "zero"), (WRAP - 1, "before-wrap"), (WRAP, "at-wrap"), (5 * WRAP + 9, "wrapped")):
            yield control_vector(f"ack-{name}-{end}", key, to, p.ACK, received=at)
        yield control_vector(f"reqack-{end}", key, to, p.REQACK, received=77, ring=4096)
        yield control_vector(f"half-close-{end}", key, to, p.HALF_CLOSE, 65535, True, received=WRAP - 1, final=WRAP)
        yield control_vector(f"half-close-answer-{end}", key, to, p.HALF_CLOSE, received=1, final=2)
        yield control_vector(f"close-{end}", key, to, p.CLOSE, 0, True, received=2 * WRAP + 1, final=WRAP - 1)
        yield control_vector(f"close-answer-{end}", key, to, p.CLOSE, received=0, final=0)
        yield control_vector(f"reset-{end}", key, to, p.RESET, 3, True)
        yield control_vector(f"reset-answer-{end}", key, to, p.RESET)
        yield control_vector(f"conf-{end}", key, to, p.CONF, 0xABCD)
        probe = {"own_id": CLIENT_ID if side == "up" else CID, "attempt": 3, "echo": 0x0102030405060708}
        yield control_vector(f"probe-{end}", key, to, p.PROBE, **probe)
        yield control_vector(f"probe-opaque-{end}", key, to, p.PROBE, more=bytes(range(32)), **probe)
        yield control_vector(f"reply-{end}", key, to, p.PROBE_REPLY, echo=0x0102030405060708, attempt=3,
                             received=WRAP + 1, unread=1234)
        yield control_vector(f"wake-{end}", key, to, p.WAKE, 4, True, attempt=9)
        yield control_vector(f"passive-{end}", key, to, p.PASSIVE, 6, True, received=WRAP + 3, attempt=8)
        yield control_vector(f"more-words-{end}", key, to, p.ACK, more=bytes(range(8)), received=6)
        yield control_vector(f"unknown-type-{end}", key, to, 63, 5, True, more=bytes(range(12)))
    yield control_vector(f"unknown-{word}", p.unknown_key(shared), CLIENT_ID, p.UNKNOWN, echo=0x0102030405060708,
                         incarnation=SERVER)


def text():
    out = [HEAD, keys_vector("without-key", b""), keys_vector("with-key", PRESHARED),
           keys_vector("short-key", PRESHARED[:16]), keys_vector("long-key", PRESHARED + PRESHARED)]
    for name in (b"", b"example", bytes(range(200))):
        out.append(block("name", f"of-{len(name)}-bytes", [("text", name), ("value", p.service_name(name))]))
    for near in (0, 100, (1 << 31) + 5, WRAP - 1, WRAP, 3 * WRAP + 17, 9 * WRAP - 1):
        for away in (-(1 << 30), -101, -1, 0, 1, 1 << 30):
            value = p.extend((near + away) & p.MASK32, near)
            out.append(block("extend", f"{near:#x}-{away}", [("low", (near + away) & p.MASK32), ("near", near),
                                                             ("value", value)]))
    for attempt, start in ((1, bytes(8)), (2, RESUME_NONCE[:8]), (0xFFFFFFFF, b"\xFF" * 8)):
        out.append(block("proof", f"of-attempt-{attempt}", [
            ("preshared", PRESHARED), ("cid", CID), ("attempt", attempt), ("name", NAME),
            ("server_incarnation", SERVER),
            ("nonce", p.resume_nonce(p.shared_key(PRESHARED), CID, attempt, NAME, SERVER, start))]))
    for word, preshared, key_id in (("without-key", b"", 0), ("with-key", PRESHARED, 0xBEEF)):
        shared = p.shared_key(preshared)
        k = p.Keys(shared, CLIENT_NONCE, SERVER_NONCE)
        out += [*requests(shared, key_id, k, word), *answers(shared, k, word), *controls(shared, k, word)]
    return "".join(out)


if __name__ == "__main__":
    if "--write" in sys.argv:
        FILE.write_text(text(), encoding="ascii")
    else:
        sys.stdout.write(text())
