"""A group of kv processes in a lab, and clients that load it and remember what was acknowledged.

Owns      the processes, their logs, the writers and their books.
Relies on netlab, redis-cli, the lines of HOLDFAST STATUS and DIGEST (examples/kv/holdfast.c).
Not here  what is tested.
"""

import os
import subprocess
import sys
import tempfile
import threading

import netlab
import nettest

sys.path.insert(0, str(nettest.ROOT / "examples"))

import demo_kv  # noqa: E402
import demo_redis  # noqa: E402

GROUP_PORT = 7000
REDIS_PORT = 6379
FOUND_LIMIT = 10

# Freed memory is kept aside by the sanitizer; a small store makes growth visible.
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4")


class Member:
    """One kv process; start() may be called again after it ended."""

    def __init__(self, host, members):
        self.host = host
        self.id = host.number
        self.members = members
        self.errors = tempfile.TemporaryFile()
        self.process = None
        self.connection = None

    def start(self, *words):
        self.connection = None
        self.process = self.host.start(
            [nettest.program("kv/kv"), "--id", self.id, "--members", self.members, "--listen",
             f"{self.host.inner}:{REDIS_PORT}", *words],
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors, env=ENVIRONMENT)

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def connect(self):
        return demo_redis.Connection(self.host.connect(self.host.inner, REDIS_PORT), timeout=20)

    def ask(self, *words):
        """A reply on the member's own connection, made from inside its host: cuts do not touch it."""
        assert self.process.poll() is None, f"s{self.id} ended with {self.process.returncode}: {self.said()[-2000:]}"
        if self.connection is None:
            self.connection = self.connect()
        return self.connection.ask(*words)

    def status(self):
        return demo_kv.parse_status(self.ask("HOLDFAST", "STATUS"))

    def digest(self):
        lines = dict(line.split(":", 1) for line in self.ask("HOLDFAST", "DIGEST").decode().splitlines())
        return lines["index"], lines["keys"], lines["sha256"]

    def is_led(self):
        """The leader it knows, or 0; 0 also while it does not listen yet."""
        try:
            return self.status()["leader"]
        except ConnectionRefusedError:
            assert self.process.poll() is None, self.said()
            return 0

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Ends in order, with nothing for a sanitizer to complain about."""
        self.process.terminate()
        code = self.process.wait(timeout=10)
        said = self.said()
        assert code == 0, f"s{self.id} ended with {code}: {said[-2000:]}"
        assert "Sanitizer" not in said and "runtime error" not in said, said[-4000:]

    def resident_kib(self, line="VmRSS"):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(words.split()[1]) for words in f if words.startswith(line))


class Group:
    def __init__(self, lab, *words):
        addresses = ",".join(f"{h.number}={h.inner}:{GROUP_PORT}" for h in lab.hosts)
        self.members = [Member(host, addresses) for host in lab.hosts]
        for member in self.members:
            member.start(*words)
        self.wait_leader(self.members)

    def wait_leader(self, members, seconds=FOUND_LIMIT):
        """Waits until these members agree on one leader among them; returns it."""
        ids = [m.id for m in members]

        def agreed():
            leaders = {m.is_led() for m in members}
            return leaders.pop() if len(leaders) == 1 and leaders <= set(ids) else 0

        found = netlab.wait_for(agreed, seconds, f"one leader among {ids}")
        return next(m for m in members if m.id == found)

    def wait_equal(self, members, seconds=FOUND_LIMIT):
        """Waits until the digests of these members are equal; returns it."""
        def equal():
            digests = {m.digest() for m in members}
            return digests.pop() if len(digests) == 1 else None

        return netlab.wait_for(equal, seconds, f"equal digests of {[m.id for m in members]}")

    def stop(self):
        for member in self.members:
            if member.process.poll() is None:
                member.stop()


class Writer(threading.Thread):
    """Drives one redis-cli, one command at a time, and keeps books.

    Each round writes `SET name:n n`, `INCR counter` and `APPEND name:trace n,`. acked holds the numbers of the rounds'
    SETs that were acknowledged; sums the values that INCR gave; failed and unknown count errors by what they mean.
    """

    def __init__(self, member, name):
        super().__init__(daemon=True)
        self.member = member
        self.name = name
        self.sets = set()
        self.appends = []
        self.sums = []
        self.unknown_sums = 0
        self.times = []  # of acknowledgements
        self.errors = []
        self.is_over = False
        self.cli = member.host.start(["redis-cli", "-h", member.host.inner, "-p", REDIS_PORT],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.start()

    def ask(self, line):
        """The reply line, or None when the connection is lost: then the outcome is unknown."""
        try:
            self.cli.stdin.write(line.encode() + b"\n")
            self.cli.stdin.flush()
            reply = self.cli.stdout.readline().decode().strip()
        except (BrokenPipeError, ValueError):
            return None
        lost = reply == "" or reply.startswith(("Error:", "Could not connect"))
        if not lost and reply[0].isupper() and reply.split()[0] in ("CLUSTERDOWN", "TIMEOUT", "ERR"):
            self.errors.append(reply)
            self.cli.stdout.readline()  # redis-cli writes an empty line after an error
        elif not lost:
            self.times.append(netlab.now())
        return None if lost else reply

    def run(self):
        n = 0
        while not self.is_over:
            n += 1
            if self.ask(f"SET {self.name}:{n} {n}") == "OK":
                self.sets.add(n)
            reply = self.ask("INCR counter")
            if reply is not None and reply.isdigit():
                self.sums.append(int(reply))
            elif reply is None or reply.startswith("TIMEOUT"):
                self.unknown_sums += 1
            reply = self.ask(f"APPEND {self.name}:trace {n},")
            if reply is not None and reply.isdigit():
                self.appends.append(n)
            if reply is None:
                return

    def finish(self):
        self.is_over = True
        self.join(timeout=30)
        assert not self.is_alive(), f"{self.name} hangs"
        self.cli.kill()


def check_books(member, writers):
    """Everything acknowledged is there, and nothing is there twice (K1, K2, K5)."""
    for w in writers:
        replies = list(member.connect().ask_many([("GET", f"{w.name}:{n}") for n in sorted(w.sets)]))
        missing = [n for n, reply in zip(sorted(w.sets), replies) if reply != str(n).encode()]
        assert not missing, f"{w.name}: acknowledged and lost: {missing[:10]}"
        trace = (member.ask("GET", f"{w.name}:trace") or b"").decode()
        numbers = [int(n) for n in trace.split(",") if n]
        assert numbers == sorted(set(numbers)), f"{w.name}: applied twice or out of order"
        assert set(w.appends) <= set(numbers), f"{w.name}: acknowledged and lost: {set(w.appends) - set(numbers)}"
    sums = [value for w in writers for value in w.sums]
    unknown = sum(w.unknown_sums for w in writers)
    total = int(member.ask("GET", "counter") or 0)
    assert len(sums) == len(set(sums)), "two commands were given one sum"
    assert not sums or max(sums) <= total, "an acknowledged INCR is lost"
    assert len(sums) <= total <= len(sums) + unknown, f"counter {total}: {len(sums)} acknowledged, {unknown} unknown"
    return len(sums)
