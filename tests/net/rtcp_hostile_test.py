"""Bad input at the port of a server at work: it goes on, and does not grow (design 2.3, 2.9)."""

import random
import resource
import socket
import struct

import loadparty
import netlab
import nettest
import party
import sockdiag

HALF_OPEN_MAX = 256
IDLE = 1000
RESUME_LIMIT = 1.0
GROWTH_KIB = 6 << 10
MAGIC = b"HFLD"
KINDS = (1, 2, 3, 17, 18, 19)


def dial(host, server):
    s = host.socket()
    s.settimeout(5)
    s.connect((server.address, party.PORT))
    return s


def throw(host, server, data):
    """Sends bytes on a connection of their own, as far as the server lets them in."""
    with dial(host, server) as s:
        try:
            s.sendall(data)
        except OSError:
            pass  # closed or reset by the server: its right


def header(kind, length, version=1):
    return MAGIC + struct.pack(">BBH", version, kind, length)


def hostile_streams(rng):
    """Beginnings of a conversation that nobody should answer with more than a refusal."""
    yield b"\x00" * 4096
    yield b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield MAGIC
    for kind in KINDS:
        yield header(kind, 65535) + rng.randbytes(70000)
        yield header(kind, 0)
        yield header(kind, 92)
        yield header(kind, 92) + rng.randbytes(92)
        yield header(kind, 92 + 256) + rng.randbytes(92 + 256)
        yield header(kind, 92 + 257) + rng.randbytes(92 + 257)
        yield header(kind, 92, version=rng.randrange(2, 256)) + rng.randbytes(200)
    for _ in range(30):
        yield rng.randbytes(rng.randrange(1, 70000))


def hostile_datagrams(rng, count):
    for _ in range(count):
        kind = rng.randrange(4)
        if kind == 0:
            yield rng.randbytes(rng.randrange(0, 1400))
        else:
            # Well formed, with a forged tag: all types, all lengths, ids as a guesser would try them.
            words = rng.randrange(0, 64)
            size = words * 4 if kind == 1 else rng.randrange(0, 80)
            yield (struct.pack(">IBBH", rng.randrange(1 << 32), rng.randrange(0, 16),
                               rng.choice((0, 0x80)) | words, rng.randrange(1 << 16)) + rng.randbytes(size + 8))


def attack(attacker, server, seed):
    rng = random.Random(seed)
    for data in hostile_streams(rng):
        throw(attacker, server, data)
    with attacker.socket(kind=socket.SOCK_DGRAM) as s:
        for data in hostile_datagrams(rng, 20000):
            s.sendto(data, (server.address, party.PORT))


class Victim:
    """A server with an honest client that is at work all the time."""

    def __init__(self, lab):
        self.a, self.b, self.c = lab.hosts
        self.server = party.serve(self.a, "--keep", "--generate", "4M", "--ring", "1M")
        self.size = 1 << 30
        self.worker = party.send(self.b, self.a, "--generate", self.size, "--rate", "4M")
        self.server.wait_received(1 << 20, 20)
        self.ordinary()

    def ordinary(self):
        """A newcomer is served as if nothing was."""
        one = party.send(self.b, self.a, "--generate", "4M")
        assert one.finish(20)["ok"]

    def check(self):
        """Still at work, in order: the worker's stream did not break, and bytes go on arriving."""
        self.server.wait("more bytes of the worker", 5,
                         lambda e: e["event"] == "progress" and e["flow"] == 0, self.server.mark())
        assert len(self.worker.all_of("link")) == 1, "the worker's connection must not be touched"
        assert self.server.process.poll() is None, self.server.said()

    def close(self):
        self.worker.kill()
        self.server.stop()


def test_garbage_does_not_harm_and_memory_does_not_grow():
    with netlab.open_lab(hosts=3) as lab:
        victim = Victim(lab)
        attack(victim.c, victim.a, seed=1)  # the first round fills pools and caches
        before = victim.server.resident_kib()
        for seed in (2, 3):
            attack(victim.c, victim.a, seed)
            victim.check()
        victim.ordinary()
        after = victim.server.resident_kib()
        print(f"    resident {before} KiB before, {after} KiB after")
        assert after - before < GROWTH_KIB
        victim.close()


class Dripping:
    """Handshakes that never end: of each the first `size` bytes, then silence, or a byte a second (slow loris)."""

    def __init__(self, host, server, sizes):
        self.data = header(1, 92) + bytes(92)
        self.sockets = {}
        for size in sizes:
            s = dial(host, server)
            s.sendall(self.data[:size])
            s.setblocking(False)
            self.sockets[s] = size

    def drip(self):
        """One byte more on each; forgets those that the server gave up."""
        for s, size in list(self.sockets.items()):
            try:
                s.send(self.data[size:size + 1])
                self.sockets[s] = size + 1
                if s.recv(100) == b"":
                    raise OSError
            except BlockingIOError:
                pass
            except OSError:
                del self.sockets[s]
                s.close()

    def close(self):
        for s in self.sockets:
            s.close()


def test_a_client_resumes_beside_100_half_handshakes_that_are_given_up():
    """5 s without a byte, 10 s in all; a byte a second keeps no one waiting longer."""
    with netlab.open_lab(hosts=3) as lab:
        victim = Victim(lab)
        before = victim.server.descriptors()
        start = netlab.now()
        silent = Dripping(victim.c, victim.a, range(80))
        slow = Dripping(victim.c, victim.a, range(20))
        netlab.wait_for(lambda: victim.server.descriptors() >= before + 95, 5, "the half handshakes")

        mark = victim.server.mark()
        broken = netlab.now()
        assert sockdiag.Destroyer(victim.b).destroy(party.PORT) >= 1
        again = victim.worker.wait("a second connection", 5, lambda e: e["event"] == "connection"
                                   and e["connections"] == 2)["at_ns"] / 1e9 - broken
        victim.server.wait("more bytes", 5, lambda e: e["event"] == "progress" and e["flow"] == 0, mark)
        print(f"    resumed {again:.3f} s after the break, beside {len(silent.sockets) + len(slow.sockets)} others")
        assert again <= RESUME_LIMIT
        victim.ordinary()

        due = start
        while netlab.now() < start + 12.5 and victim.server.descriptors() > before + 2:
            due += 1
            netlab.wait_for(lambda: netlab.now() >= due, 5, "a second to pass")
            slow.drip()
        assert victim.server.descriptors() <= before + 2, "all must be given up after 10 s"
        assert victim.server.process.poll() is None, victim.server.said()
        for one in (silent, slow):
            one.close()
        victim.close()


def test_1000_idle_connections_that_never_speak():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    with netlab.open_lab(hosts=3) as lab:
        victim = Victim(lab)
        memory, descriptors = victim.server.resident_kib(), victim.server.descriptors()
        idle = []
        most = 0
        for number in range(IDLE):
            idle.append(dial(victim.c, victim.a))
            if number % 50 == 0:
                most = max(most, victim.server.descriptors())
        most = max(most, victim.server.descriptors())
        assert most <= descriptors + HALF_OPEN_MAX + 8, f"{most} descriptors: the oldest must be pushed out"
        victim.ordinary()
        victim.check()
        grown = victim.server.resident_kib() - memory
        print(f"    {IDLE} connections: {most - descriptors} descriptors more at most, {grown} KiB more")
        assert grown < GROWTH_KIB
        for s in idle:
            s.close()
        netlab.wait_for(lambda: victim.server.descriptors() <= descriptors + 2, 15, "their end")
        victim.close()


def test_streams_of_killed_clients_cost_no_more_than_their_ring():
    """A killed client's stream is kept, because nothing proves that it is gone. It must cost what it may cost."""
    with netlab.open_lab(hosts=3) as lab:
        victim = Victim(lab)
        before = victim.server.resident_kib()
        for _ in range(40):
            client = party.send(victim.c, victim.a, "--generate", 1000, "--hold")
            client.wait_kind("link", 10, up=True)
            client.kill()
        victim.ordinary()
        victim.check()
        grown = victim.server.resident_kib() - before
        print(f"    {grown} KiB more for 40 streams whose client was killed")
        assert grown < 40 * (1 << 10) + GROWTH_KIB
        victim.close()


class Wire:
    """Every datagram that passes a host's wire from or to the control port, with its addresses."""

    def __init__(self, host, port):
        self.port = port
        with host.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self.socket.setblocking(False)

    def read(self):
        """Those since the last call: (from address, from port, to address, to port, bytes)."""
        while True:
            try:
                packet = self.socket.recv(65536)
            except BlockingIOError:
                return
            size = (packet[0] & 15) * 4
            if packet[9] != socket.IPPROTO_UDP:
                continue
            source, target, length = struct.unpack_from(">HHH", packet, size)
            if self.port in (source, target):
                yield (socket.inet_ntoa(packet[12:16]), source, socket.inet_ntoa(packet[16:20]), target,
                       packet[size + 8:size + length])

    def close(self):
        self.socket.close()


def forgeries(rng, data):
    """The same id, and something else than what was said."""
    message = bytearray(data[:8 + 4 * (data[5] & 63) + 8])  # the first of the datagram
    for _ in range(6):
        at = rng.randrange(4, len(message))
        yield bytes(message[:at]) + bytes([message[at] ^ 1 << rng.randrange(8)]) + bytes(message[at + 1:])
    for kind in range(1, 11):  # every type, with counts that would end or free something
        words = rng.randrange(0, 4)
        yield (bytes(message[:4]) + struct.pack(">BBH", kind, (0x80 if kind in (3, 4, 5, 9) else 0) | words,
                                                rng.randrange(1 << 16)) + rng.randbytes(4 * words + 8))


def spoof(host, packet, data):
    """Sends a datagram with somebody else's address as its source."""
    source, source_port, target, target_port, _ = packet
    udp = struct.pack(">HHHH", source_port, target_port, 8 + len(data), 0) + data
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, socket.IPPROTO_UDP, 0,
                     socket.inet_aton(source), socket.inet_aton(target))
    with host.inside():
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as s:
            s.sendto(ip + udp, (target, 0))


def converse(server, client, size):
    """So many bytes each way; returns when they are there."""
    marks = [one.await_flow(size) for one in (server, client)]
    for one in (server, client):
        one.say(f"send {size}")
    for one, mark in zip((server, client), marks):
        one.flowing(mark, 30)


def test_forged_and_replayed_control_messages_change_nothing():
    """The attacker has seen every datagram: it knows ids, ports and message ids, but not the keys (P64, P66)."""
    rng = random.Random(5)
    with netlab.open_lab(hosts=3) as lab:
        a, b, c = lab.hosts
        wire = Wire(a, party.PORT)
        server = loadparty.serve(a, "--idle-probe", 1, "--ring", 262144)  # a small ring asks and acknowledges often
        client = loadparty.drive(b, a, "--idle-probe", 1, "--ring", 262144)
        client.open(1)
        converse(server, client, 8 << 20)
        sockdiag.Destroyer(b).destroy(party.PORT)
        converse(server, client, 8 << 20)
        lab.cut(b, "drop")  # WAKE, PROBE and questions of both sides
        for one in (server, client):
            one.say("send 100000")
        end = netlab.now() + 1.5
        netlab.wait_for(lambda: netlab.now() >= end, 5, "the cut")
        lab.heal(b)
        server.until("the first bytes", 10, lambda s: s["received_least"] == (16 << 20) + 100000)
        client.until("the first bytes", 10, lambda s: s["received_least"] == (16 << 20) + 100000)
        seen = list(wire.read())
        kinds = {packet[4][4] for packet in seen if len(packet[4]) >= 16}
        before = [one.stats() for one in (server, client)]

        count = forged = 0
        with c.socket(kind=socket.SOCK_DGRAM) as s:
            for packet in seen:
                for data in (packet[4], *forgeries(rng, packet[4])):
                    s.sendto(data, packet[2:4])
                    spoof(c, packet, data)
                    count += 2
                    forged += 2 * (data != packet[4])
        after = [one.stats() for one in (server, client)]
        converse(server, client, 1 << 20)
        after = [one.stats() for one in (server, client)]

        dropped = sum(x["messages_dropped"] - y["messages_dropped"] for x, y in zip(after, before))
        stale = sum(x["acks_stale"] - y["acks_stale"] for x, y in zip(after, before))
        print(f"    {len(seen)} datagrams seen (types {sorted(kinds)}), {count} sent, {forged} of them forged; "
              f"{dropped} messages dropped, {stale} stale acknowledgements")
        assert len(seen) >= 20 and dropped >= forged * 0.9
        for x, y in zip(after, before):
            assert x["sessions"] == 1 and x["connections"] == y["connections"] and x["breaks"] == y["breaks"], (x, y)

        lab.cut(b, "drop")  # and the way to the peer is still known
        marks = [one.await_flow(100) for one in (server, client)]
        for one in (server, client):
            one.say("send 100")
        end = netlab.now() + 1
        netlab.wait_for(lambda: netlab.now() >= end, 5, "the cut")
        healed = lab.heal(b)
        late = max(one.flowing(mark, 10)["at_ns"] for one, mark in zip((server, client), marks)) / 1e9 - healed
        print(f"    after a cut data flowed again in {late:.3f} s")
        assert late <= RESUME_LIMIT
        wire.close()


if __name__ == "__main__":
    nettest.main(globals())
