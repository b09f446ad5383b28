"""One running `rtcp-cat` of a net test: what it says on standard error, and its two ends.

Owns      the process and a thread that reads its standard error (JSON lines, see rtcp-cat --help).
Relies on the build under test.
Not here  what is tested.
"""

import hashlib
import json
import os
import pathlib
import subprocess
import threading

import netlab
import nettest

PORT = 7000
TOOLS = pathlib.Path(os.environ.get("HOLDFAST_BINARY_DIR", nettest.ROOT / "build" / "release")) / "rtcp/tools"
CAT, SS = TOOLS / "rtcp-cat", TOOLS / "rtcp-ss"


def noise(size, seed=1):
    """Bytes that no two tests confuse."""
    return hashlib.shake_256(str(seed).encode()).digest(size)


class Cat:
    """stdin, stdout: as subprocess takes them. The default is no input and output that is collected in .out.

    by: a program that runs it."""

    def __init__(self, host, *words, stdin=subprocess.DEVNULL, stdout=None, by=()):
        self.name = f"rtcp-cat in {host.name}"
        self.events = []
        self.news = threading.Condition()
        self.out = b""
        is_collected = stdout is None
        self.process = host.start([*by, CAT, "--log", "json", *words], stdin=stdin, stderr=subprocess.PIPE,
                                  stdout=subprocess.PIPE if is_collected else stdout)
        self.threads = [threading.Thread(target=self._read_events, daemon=True)]
        if is_collected:
            self.threads.append(threading.Thread(target=self._collect, daemon=True))
        for thread in self.threads:
            thread.start()

    def _read_events(self):
        for line in self.process.stderr:
            try:
                event = json.loads(line)
            except ValueError:
                event = {"event": "text", "text": line.decode(errors="replace").strip()}
            with self.news:
                self.events.append(event)
                self.news.notify_all()
        with self.news:
            self.events.append({"event": "exit"})
            self.news.notify_all()

    def _collect(self):
        for part in iter(lambda: self.process.stdout.read1(1 << 16), b""):
            self.out += part

    def wait(self, what, seconds, accept):
        """The first event that accept() takes."""
        end = netlab.now() + seconds
        index = 0
        with self.news:
            while True:
                for event in self.events[index:]:
                    index += 1
                    if accept(event):
                        return event
                left = end - netlab.now()
                assert left > 0, f"{self.name}: waited {seconds} s in vain for {what}: {self.events[-5:]}"
                self.news.wait(left)

    def wait_kind(self, event, seconds=10, **fields):
        return self.wait(f"{event} {fields or ''}", seconds, lambda e: e["event"] == event
                         and all(e.get(key) == value for key, value in fields.items()))

    def feed(self, data, and_end=True):
        """Writes to its standard input, which must be a pipe, in a thread."""
        def write():
            try:
                self.process.stdin.write(data)
                self.process.stdin.flush()
                if and_end:
                    self.process.stdin.close()
            except BrokenPipeError:
                pass

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        return thread

    def errors(self):
        with self.news:
            return " | ".join(e["text"] for e in self.events if e["event"] in ("error", "text"))

    def finish(self, code=0, seconds=20):
        """The last event of an rtcp-cat that ends by itself with this exit status; None when it never began."""
        got = self.process.wait(timeout=seconds)
        for thread in self.threads:
            thread.join(10)
        assert got == code, f"{self.name} ended with {got}, not {code}: {self.events[-5:]}"
        done = [e for e in self.events if e["event"] == "done"]
        return done[-1] if done else None


def listen(host, *words, address=None, **options):
    cat = Cat(host, "--listen", f"{address or host.inner}:{PORT}", *words, **options)
    cat.wait_kind("listening")
    return cat


def connect(host, server, *words, address=None, **options):
    return Cat(host, f"{address or server.address}:{PORT}", *words, **options)


def ss(*words, code=0, **options):
    """Output of rtcp-ss; its standard error when it is to fail."""
    done = subprocess.run([SS, *map(str, words)], capture_output=True, text=True, timeout=30, **options)
    assert done.returncode == code, (words, done)
    assert bool(done.stderr) == (code != 0), done.stderr
    return done.stdout if code == 0 else done.stderr


def sessions(path):
    """The streams of a process, as dictionaries."""
    return [json.loads(line) for line in ss("--json", path).splitlines()]
