"""One running `transfer` program of a net test: what it has told, and waiting for what it will tell.

Owns      the process's output.
Relies on the events that `transfer --help` describes.
Not here  what is tested.
"""

import json
import os
import subprocess
import tempfile
import threading

import netlab
import nettest

PORT = 7000

# Freed memory is kept aside by the sanitizer; a small store makes growth visible.
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4")


class Party:
    """Start it with serve() or send(). events: all that was told, in order, as dictionaries."""

    def __init__(self, host, words):
        self.host = host
        self.name = host.name
        self.events = []
        self.news = threading.Condition()
        self.errors = tempfile.TemporaryFile()
        self.process = host.start([nettest.program("transfer"), *words, "--quiet"], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=self.errors, env=ENVIRONMENT)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.news:
                self.events.append(json.loads(line))
                self.news.notify_all()
        with self.news:
            self.events.append({"event": "exit", "at_ns": int(netlab.now() * 1e9)})
            self.news.notify_all()

    def said(self):
        """What the program printed on stderr so far."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()

    def wait(self, what, seconds, accept, start=0):
        """The first event from the start-th on that accept() takes; fails when it takes longer than `seconds`."""
        end = netlab.now() + seconds
        index = start
        with self.news:
            while True:
                while index < len(self.events):
                    event = self.events[index]
                    if accept(event):
                        return event
                    if event["event"] == "exit":
                        raise AssertionError(f"{self.name} ended while waiting for {what}: {self.said()}")
                    index += 1
                left = end - netlab.now()
                if left <= 0:
                    raise AssertionError(f"{self.name}: waited {seconds} s in vain for {what}; last told: "
                                         f"{self.events[-6:]} {self.said()}")
                self.news.wait(left)

    def wait_kind(self, event, seconds, **fields):
        return self.wait(f"{event} {fields or str()}", seconds, lambda e: e["event"] == event
                         and all(e.get(name) == value for name, value in fields.items()))

    def wait_received(self, size, seconds):
        return self.wait(f"{size} bytes received", seconds, lambda e: e.get("received", 0) >= size)

    def mark(self):
        """A place in the events: pass it as start to look at later ones only."""
        with self.news:
            return len(self.events)

    def all_of(self, kind):
        with self.news:
            return [e for e in self.events if e["event"] == kind]

    def last(self, kind):
        found = self.all_of(kind)
        return found[-1] if found else None

    def done(self, seconds):
        """The totals of the first stream that ended."""
        return self.wait_kind("done", seconds)

    def finish(self, seconds, code=0):
        """The totals, after the program has ended with this exit status."""
        done = self.done(seconds)
        got = self.process.wait(timeout=10)
        assert got == code, f"{self.name} ended with {got}, not {code}: {self.said()}"
        return done

    def stop(self):
        """Ends a server that keeps serving, in order."""
        self.process.terminate()
        self.process.wait(timeout=10)
        said = self.said()
        assert "Sanitizer" not in said and "runtime error" not in said, said

    def kill(self):
        self.process.kill()
        self.process.wait()

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


def serve(host, *words, address=None, port=PORT):
    """A server that listens already when this returns."""
    party = Party(host, ["serve", f"{address or host.inner}:{port}", "--watch", *words])
    party.wait_kind("listening", 10)
    return party


def send(host, server, *words, address=None, port=PORT):
    return Party(host, ["send", f"{address or server.address}:{port}", "--watch", *words])


def check_same(one, two, size):
    """Both totals agree: every byte of each arrived at the other, once and in order."""
    for a, b in ((one, two), (two, one)):
        assert a["ok"] and b["ok"], (a, b)
        assert a["sent"] == b["received"] == size, (a["sent"], b["received"], size)
        assert a["sha256_sent"] == b["sha256_received"]
