"""The protocol's keys, tags and messages, written from rtcp/PROTOCOL.md alone: nothing here was taken from the C code.

Owns      numbers, layouts, key derivation, tags.
Relies on hashlib's BLAKE2b; PROTOCOL.md, whose section names stand above the parts.
Not here  sessions (peer.py), sockets.
"""

import hashlib
import os
import struct

MASK32 = (1 << 32) - 1
MASK64 = (1 << 64) - 1

# ------------------------------------------------------------------------------------------- TCP: the handshake

MAGIC = 0x48464C44
VERSION = 1
OPEN, RESUME, CONTROL, ACCEPT, RESUMED, REFUSE = 1, 2, 3, 17, 18, 19
REQUEST_SIZE, ANSWER_SIZE, TRAILER_MAX, LENGTH_MAX = 100, 92, 256, 348
SHUT, CLOSED, TEMPORARY = 1, 2, 4
HEARD = 4  # of a request
EARLY_MAX = 65536
(NOT_LISTENING, FULL, WRONG_NAME, BAD_KEY, NO_SESSION, IS_CLOSED, IS_RESET, UNCONFIRMED, BAD_VERSION, BAD_COUNT,
 NOT_HERE) = range(1, 12)
OF_SESSION = (IS_CLOSED, IS_RESET, UNCONFIRMED, BAD_COUNT)
NO_NONCE = bytes(16)

REQUEST = struct.Struct(">IBBH HHIIIIIIIIQQQ16s")
ANSWER = struct.Struct(">IBBH BBBBHHIIIIIIIQQ16s")
REQUEST_FIELDS = ("flags port key_id cid control_id attempt received sent window early incarnation name "
                  "server_incarnation nonce").split()
ANSWER_FIELDS = ("reason flags lowest highest port zero cid control_id attempt received sent window retry incarnation "
                 "name nonce").split()


class Bad(Exception):
    """What came is not a message of this protocol, or not authentic."""


class Message:
    """Fields by name; `body` is what the tag covers, `tag` what came (or was made)."""

    def __init__(self, kind, **fields):
        self.kind = kind
        self.body = self.tag = b""
        self.__dict__.update(fields)

    def __repr__(self):
        return f"Message({ {k: v for k, v in self.__dict__.items() if k not in ('body', 'tag', 'nonce')} })"


def is_request(kind):
    return kind < 16


def full_size(kind):
    return REQUEST_SIZE if is_request(kind) else ANSWER_SIZE


def encode_handshake(message, make_tag, trailer=b"", version=VERSION):
    """Bytes of a request or an answer; make_tag(body) gives its tag. Counts may be the 64 bits: the low 32 are sent."""
    layout, names = (REQUEST, REQUEST_FIELDS) if is_request(message.kind) else (ANSWER, ANSWER_FIELDS)
    values = [getattr(message, name, NO_NONCE if name == "nonce" else 0) for name in names]
    for name in ("received", "sent"):
        values[names.index(name)] &= MASK32
    length = full_size(message.kind) - 8 + len(trailer)
    message.body = layout.pack(MAGIC, version, message.kind, length, *values)
    message.tag = make_tag(message.body)
    return message.body + message.tag + trailer


def decode_header(data):
    """(version, kind, length) of the first eight bytes."""
    magic, version, kind, length = struct.unpack(">IBBH", data[:8])
    if magic != MAGIC:
        raise Bad("magic")
    return version, kind, length


def decode_handshake(data):
    """A message of version 1 with all the bytes that its length tells; a trailer is skipped."""
    version, kind, length = decode_header(data)
    if version != VERSION or kind not in (OPEN, RESUME, CONTROL, ACCEPT, RESUMED, REFUSE):
        raise Bad("version or kind")
    if not 0 <= length - (full_size(kind) - 8) <= TRAILER_MAX or len(data) != 8 + length:
        raise Bad("length")
    layout, names = (REQUEST, REQUEST_FIELDS) if is_request(kind) else (ANSWER, ANSWER_FIELDS)
    message = Message(kind, **dict(zip(names, layout.unpack(data[:layout.size])[4:])))
    message.body, message.tag = data[:layout.size], data[layout.size:layout.size + 16]
    return message


# ---------------------------------------------------------------------------------------------------- Keys and tags

LABEL = b"holdfast rtcp 1"


def keyed_hash(key, size, text):
    """H(key, size, text) of the text."""
    return hashlib.blake2b(text, digest_size=size, key=key).digest()


def counts(*values):
    return b"".join(struct.pack(">Q", value & MASK64) for value in values)


def shared_key(preshared=b""):
    return keyed_hash(LABEL, 32, preshared) if preshared else bytes(32)


def unknown_key(shared):
    return keyed_hash(shared, 32, LABEL + b"u")[:16]


def service_name(text):
    name = int.from_bytes(keyed_hash(LABEL, 16, text)[:8], "big")
    return name or 1


class Keys:
    """The four keys of a session."""

    def __init__(self, shared, client_nonce, server_nonce):
        def derive(letter):
            return keyed_hash(shared, 32, LABEL + letter + client_nonce + server_nonce)
        self.server_nonce = server_nonce
        self.handshake_up, self.handshake_down = derive(b"H"), derive(b"h")
        self.control_up, self.control_down = derive(b"C")[:16], derive(b"c")[:16]

    def resume_tag(self, body, received, sent):
        return keyed_hash(self.handshake_up, 16, body + counts(received, sent))

    def answer_tag(self, body, received, sent, request_nonce):
        return keyed_hash(self.handshake_down, 16, body + counts(received, sent) + request_nonce)

    def control_tag(self, body):
        """Of a CONTROL request."""
        return self.resume_tag(body, 0, 0)

    def confirm(self):
        return keyed_hash(self.handshake_up, 16, self.server_nonce + counts(0, 0))


def asker_key(shared):
    return keyed_hash(shared, 32, LABEL + b"r")[:16]


def resume_nonce(shared, cid, attempt, name, server_incarnation, start=b""):
    """Random, or beginning with these 8 bytes; with a pre-shared key its second half proves that we hold it."""
    nonce = start or os.urandom(16)
    if shared == bytes(32):
        return (nonce + nonce)[:16]
    text = nonce[:8] + struct.pack(">IIQQ", cid, attempt, name, server_incarnation)
    return nonce[:8] + siphash(asker_key(shared), text)


def proves_key(shared, m):
    """Whether the nonce of a RESUME or CONTROL shows that its asker holds the key."""
    return m.nonce == resume_nonce(shared, m.cid, m.attempt, m.name, m.server_incarnation, m.nonce[:8]) or \
        shared == bytes(32)


def open_tag(shared, body):
    return keyed_hash(shared, 16, body + counts(0, 0))


def shared_refuse_tag(shared, body, request_nonce):
    return keyed_hash(shared, 16, body + counts(0, 0) + request_nonce)


def siphash(key, text):
    """SipHash-2-4 of the text: eight bytes, the lowest first."""
    def rotate(x, bits):
        return ((x << bits) | (x >> (64 - bits))) & MASK64

    def rounds(count):
        nonlocal v0, v1, v2, v3
        for _ in range(count):
            v0 = (v0 + v1) & MASK64
            v2 = (v2 + v3) & MASK64
            v1 = rotate(v1, 13) ^ v0
            v3 = rotate(v3, 16) ^ v2
            v0 = rotate(v0, 32)
            v2 = (v2 + v1) & MASK64
            v0 = (v0 + v3) & MASK64
            v1 = rotate(v1, 17) ^ v2
            v3 = rotate(v3, 21) ^ v0
            v2 = rotate(v2, 32)

    k0, k1 = struct.unpack("<QQ", key)
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573
    padded = text + bytes(7 - len(text) % 8) + bytes([len(text) & 255])
    for (word,) in struct.iter_unpack("<Q", padded):
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 255
    rounds(4)
    return struct.pack("<Q", v0 ^ v1 ^ v2 ^ v3)


# --------------------------------------------------------------------------------------------- UDP: control messages

ACK, REQACK, HALF_CLOSE, CLOSE, RESET, CONF, PROBE, PROBE_REPLY, WAKE, UNKNOWN, PASSIVE = range(1, 12)
FLAGGED = 0x80
DATAGRAM_MAX = 1200
TAG_SIZE = 8
# Layout and names of the data of each type.
CONTROL_DATA = {
    ACK: (">I", "received"), REQACK: (">II", "received ring"), HALF_CLOSE: (">II", "received final"),
    CLOSE: (">II", "received final"), RESET: (">I", "zero"), CONF: (">", ""), PROBE: (">IIQ", "own_id attempt echo"),
    PROBE_REPLY: (">QIII", "echo attempt received unread"), WAKE: (">I", "attempt"),
    UNKNOWN: (">QQ", "echo incarnation"), PASSIVE: (">II", "received attempt"),
}


def control_fields(kind, fields):
    layout, names = CONTROL_DATA[kind]
    return struct.pack(layout, *(fields.get(name, 0) & (MASK32 if name in ("received", "final") else MASK64)
                                 for name in names.split()))


def encode_control(key, to, kind, message_id=0, flagged=False, more=b"", **fields):
    """One control message; received and final may be the 64 bits. more: bytes of data behind those of the table."""
    data = (control_fields(kind, fields) if kind in CONTROL_DATA else b"") + more
    assert len(data) % 4 == 0 and len(data) // 4 < 64
    text = struct.pack(">IBBH", to, kind, (FLAGGED if flagged else 0) | len(data) // 4, message_id) + data
    return text + siphash(key, text + counts(fields.get("received", 0), fields.get("final", 0)))


def whole_control(data):
    """The bytes of the first message of a CONTROL connection, b"" while it is not whole."""
    size = 8 + 4 * (data[5] & 63) + TAG_SIZE if len(data) >= 8 else 8
    return data[:size] if len(data) >= size > 8 else b""


def decode_controls(datagram):
    """Messages of one datagram, not yet believed; what cannot be parsed ends it."""
    found = []
    while len(datagram) >= 8 + TAG_SIZE:
        to, kind, flags, message_id = struct.unpack(">IBBH", datagram[:8])
        end = 8 + 4 * (flags & 63)
        if len(datagram) < end + TAG_SIZE:
            break
        message = Message(kind, to=to, flagged=bool(flags & FLAGGED), message_id=message_id)
        message.body, message.tag = datagram[:end], datagram[end:end + TAG_SIZE]
        if kind in CONTROL_DATA:
            layout, names = CONTROL_DATA[kind]
            size = struct.calcsize(layout)
            if end - 8 < size:
                break
            message.__dict__.update(zip(names.split(), struct.unpack(layout, message.body[8:8 + size])))
            message.more = message.body[8 + size:]
        found.append(message)
        datagram = datagram[end + TAG_SIZE:]
    return found


def control_is_authentic(key, message, received=0, final=0):
    """received and final: the full 64 bits that the message is believed to carry, 0 where it carries none."""
    return siphash(key, message.body + counts(received, final)) == message.tag


# ---------------------------------------------------------------------------------------------------------- Counters

def extend(low, near):
    """The value nearest to `near` with these low 32 bits, never below 0."""
    value = near - ((near - low + (1 << 31)) & MASK32) + (1 << 31)
    return value if value >= 0 else value + (1 << 32)
