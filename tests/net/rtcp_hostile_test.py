"""Bad input at the port of a server at work: it goes on, and does not grow (design 2.3, 2.9)."""

import random
import resource
import socket
import struct

import netlab
import nettest
import party

HALF_OPEN_MAX = 256
IDLE = 1000
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
        self.server = party.serve(self.a, "--keep", "--generate", "4M")
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


def test_half_handshakes_are_given_up():
    with netlab.open_lab(hosts=3) as lab:
        victim = Victim(lab)
        before = victim.server.descriptors()
        halves = []
        for size in range(0, 100):
            s = dial(victim.c, victim.a)
            s.sendall((header(1, 92) + bytes(92))[:size])
            halves.append(s)
        netlab.wait_for(lambda: victim.server.descriptors() >= before + 90, 5, "the half handshakes")
        victim.ordinary()
        # 5 s without a byte, 10 s in all.
        netlab.wait_for(lambda: victim.server.descriptors() <= before + 2, 13, "their end")
        victim.check()
        for s in halves:
            s.close()
        victim.close()


def test_a_handshake_in_drops_is_given_up():
    """A byte a second keeps no one waiting longer than 10 s (slow loris)."""
    with netlab.open_lab(hosts=3) as lab:
        victim = Victim(lab)
        before = victim.server.descriptors()
        start = netlab.now()
        data = header(1, 92) + bytes(92)
        with dial(victim.c, victim.a) as s:
            s.settimeout(1)
            for at in range(14):
                try:
                    s.sendall(data[at:at + 1])
                    if s.recv(100) == b"":
                        break
                except TimeoutError:
                    continue
                except OSError:
                    break
            assert netlab.now() - start < 12.5, "it must be given up after 10 s"
        netlab.wait_for(lambda: victim.server.descriptors() <= before + 1, 3, "the descriptor to be closed")
        victim.check()
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


if __name__ == "__main__":
    nettest.main(globals())
