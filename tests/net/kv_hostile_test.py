"""Bad input at the Redis port: clear errors, few lines in the log, no growth; the group goes on."""

import random
import socket

import kvgroup
import netlab
import nettest

IDLE = 1000
GROWTH_KIB = 12 << 10


def dial(host, member):
    return host.connect(member.host.address, kvgroup.REDIS_PORT)


def say(host, member, data):
    """Sends bytes and reads to the end of what the server answers; the server may close at any moment."""
    with dial(host, member) as s:
        answer = b""
        try:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            while piece := s.recv(65536):
                answer += piece
        except OSError:
            pass
        return answer


def works(group):
    for n, member in enumerate(group.members):
        assert member.ask("SET", f"still:{n}", "works") == b"OK"


def garbage(rng):
    yield b"\x00" * 70000
    yield b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"*" * 1000
    yield b"*1000000000\r\n"
    yield b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$2000000000\r\n"
    yield b"*1\r\n$-1\r\n"
    yield b"*2\r\n$1048576\r\n" + bytes(1 << 20) + b"\r\n$1048576\r\n"
    yield b"*9\r\n" + (b"$1048576\r\n" + bytes(1 << 20) + b"\r\n") * 9
    yield b"SET k \"unclosed\r\n"
    yield b"x" * 200000
    for _ in range(40):
        yield rng.randbytes(rng.randrange(1, 100000))
    for _ in range(40):
        yield (b"*%d\r\n" % rng.randrange(-3, 9) + b"$%d\r\n" % rng.randrange(-3, 99)
               + rng.randbytes(rng.randrange(0, 99)))


def attack(host, member, seed):
    rng = random.Random(seed)
    for data in garbage(rng):
        say(host, member, data)


def test_garbage_is_answered_and_leaves_nothing_behind():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        victim, attacker = group.members[0], lab.hosts[2]
        attack(attacker, victim, 1)
        before = victim.resident_kib()
        for seed in (2, 3, 4):
            attack(attacker, victim, seed)
            works(group)
        growth = victim.resident_kib() - before
        print(f"    grew by {growth} KiB during {3 * 90} attacks")
        assert growth < GROWTH_KIB
        seconds = [line[:19] for line in victim.said().splitlines() if "client refused" in line]
        assert seconds and max(seconds.count(s) for s in set(seconds)) <= 2, "one line a second"
        group.stop()


def test_errors_say_what_is_wrong():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        victim, attacker = group.members[0], lab.hosts[2]
        rows = {
            b"*1\r\n$2000000\r\n": b"-ERR Protocol error: invalid bulk length\r\n",
            b"*70000\r\n": b"-ERR Protocol error: invalid multibulk length\r\n",
            b"*1\r\n:1\r\n": b"-ERR Protocol error: expected '$', got ':'\r\n",
            b"x" * 70000: b"-ERR Protocol error: too big inline request\r\n",
            b"SET k 'v\r\n": b"-ERR Protocol error: unbalanced quotes in request\r\n",
            b"SET k v\r\nNONSENSE\r\nPING\r\n":
                b"+OK\r\n-ERR unknown command 'NONSENSE', with args beginning with: \r\n+PONG\r\n",
        }
        for data, expected in rows.items():
            got = say(attacker, victim, data)
            assert got == expected, (data[:40], got)
        group.stop()


def test_a_thousand_idle_connections_harm_nobody():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        victim = group.members[0]
        works(group)
        before = victim.resident_kib()
        idle = [dial(lab.hosts[2], victim) for _ in range(IDLE)]
        netlab.wait_for(lambda: b"connected_clients:%d" % (IDLE + 1) in victim.ask("INFO", "clients"), 10, "all")
        works(group)
        growth = victim.resident_kib() - before
        print(f"    {growth * 1024 // IDLE} bytes for each of {IDLE} idle connections")
        assert growth < GROWTH_KIB
        for s in idle:
            s.close()
        netlab.wait_for(lambda: b"connected_clients:1\r\n" in victim.ask("INFO", "clients"), 10, "their end")
        group.stop()


def test_too_many_clients_are_told_so():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab, "--clients", "10")
        victim = group.members[0]
        works(group)
        some = [dial(lab.hosts[2], victim) for _ in range(9)]
        netlab.wait_for(lambda: b"connected_clients:10\r\n" in victim.ask("INFO", "clients"), 5, "ten clients")
        start = netlab.now()
        for _ in range(50):
            with dial(lab.hosts[2], victim) as s:
                assert s.recv(100) == b"-ERR max number of clients reached\r\n"
        took = netlab.now() - start
        works(group)
        lines = [line for line in victim.said().splitlines() if "max number of clients" in line]
        assert 1 <= len(lines) <= 3 + took, f"one line a second, {took:.1f} s: {lines}"
        some.pop().close()
        netlab.wait_for(lambda: b"connected_clients:9\r\n" in victim.ask("INFO", "clients"), 5, "one to leave")
        with dial(lab.hosts[2], victim) as s:
            s.sendall(b"PING\r\n")
            assert s.recv(100) == b"+PONG\r\n"
        group.stop()


def test_a_client_that_does_not_read_stops_only_itself():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        victim = group.members[0]
        assert victim.ask("SET", "big", "x" * 100000) == b"OK"
        before = victim.resident_kib()
        with dial(lab.hosts[2], victim) as s:
            s.settimeout(0.5)
            try:
                while True:
                    s.sendall(b"GET big\r\n" * 1000)
            except TimeoutError:
                pass  # the server reads no more: that is the back-pressure
            works(group)
            growth = victim.resident_kib() - before
            print(f"    {growth} KiB held for a client that does not read")
            assert growth < 32 << 10
        works(group)
        group.stop()


def test_without_descriptors_new_clients_wait_and_the_others_go_on():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        victim = group.members[0]
        works(group)
        used = len(list(kvgroup.os.scandir(f"/proc/{victim.process.pid}/fd")))
        lab.hosts[0].run(["prlimit", "--pid", victim.process.pid, f"--nofile={used + 5}:{used + 5}"])
        start = netlab.now()
        some = [dial(lab.hosts[2], victim) for _ in range(30)]
        netlab.wait_for(lambda: "cannot accept" in victim.said(), 5, "the line in the log")
        works(group)
        for s in some:
            s.close()
        netlab.wait_for(lambda: b"connected_clients:1\r\n" in victim.ask("INFO", "clients"), 5, "all to leave")
        with dial(lab.hosts[2], victim) as s:
            s.sendall(b"PING\r\n")
            assert s.recv(100) == b"+PONG\r\n"
        took = netlab.now() - start
        lines = [line for line in victim.said().splitlines() if "cannot accept" in line]
        assert len(lines) <= 6 + took, f"one line a second, {took:.1f} s: {lines}"
        group.stop()


if __name__ == "__main__":
    nettest.main(globals())
