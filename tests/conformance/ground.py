"""Where the conversations take place: programs of the build on the loopback, a relay that cuts, raw handshakes.

Owns      Relay, Door, and how `transfer` is started.
Relies on tests/net/party.py, nettest.py; protocol.py.
Not here  what is tested.
"""

import contextlib
import os
import pathlib
import select
import socket
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "net"))

import nettest  # noqa: E402
import party  # noqa: E402
import peer  # noqa: E402
import protocol as p  # noqa: E402
from session import abort_socket  # noqa: E402

KEY, KEY_ID = bytes(range(100, 132)), 0
SERVICE = "conformance"


class Here:
    """The loopback as party.py wants a host."""

    name = address = inner = "127.0.0.1"

    @staticmethod
    def start(command, **options):
        return subprocess.Popen([str(word) for word in command], **options)


def _keyed(words, key, folder):
    if not key:
        return list(words)
    path = os.path.join(folder, "key")
    with open(path, "wb") as file:
        file.write(key)
    return [*words, "--key-file", path]


@contextlib.contextmanager
def server(*words, key=b"", port=0):
    """A `transfer serve`; .port is where it listens."""
    with tempfile.TemporaryDirectory() as folder:
        one = party.serve(Here, "--service", SERVICE, *_keyed(words, key, folder), port=port)
        one.port = int(one.last("listening")["address"].rsplit(":", 1)[1])
        with stopped(one):
            yield one


@contextlib.contextmanager
def client(port, *words, key=b""):
    """A `transfer send`."""
    with tempfile.TemporaryDirectory() as folder, \
            stopped(party.send(Here, Here, *_keyed(words, key, folder), port=port)) as one:
        yield one


@contextlib.contextmanager
def stopped(one):
    """Ends it, whatever happened; a sanitizer's report is a failure."""
    try:
        yield one
    finally:
        one.kill()
    said = one.said()
    assert "Sanitizer" not in said and "runtime error" not in said, said


def endpoint(key=b"", name=SERVICE, **options):
    return peer.Endpoint(key=key, key_id=KEY_ID, name=name.encode(), **options)


def ask(port, data, seconds=2.0):
    """One connection: sends the bytes, gives the handshake message that is answered, b"" or a part if it ends before;
    None if nothing comes for so long."""
    with socket.create_connection(("127.0.0.1", port), seconds) as s:
        s.sendall(data)
        answer = b""
        try:
            while len(answer) < 8 or len(answer) < 8 + p.decode_header(answer)[2]:
                more = s.recv(8 - len(answer) if len(answer) < 8 else 8 + p.decode_header(answer)[2] - len(answer))
                if not more:
                    break
                answer += more
        except TimeoutError:
            return None
        except ConnectionResetError:
            pass
        return answer


def answer_of(port, data):
    """The decoded answer, or None where the connection just ends."""
    got = ask(port, data)
    assert got is not None, "neither an answer nor an end"
    return p.decode_handshake(got) if got else None


def done_of(ep, them):
    """Their totals. We go on answering meanwhile: their last CLOSE wants its CONF, too."""
    ep.run(lambda: them.all_of("done"), 8, "their end")
    return them.all_of("done")[0]


def close_both(ep, us, them):
    """We close; their totals. A program that has heard our CLOSE may be gone before it confirms it."""
    us.close()
    ep.run(lambda: us.is_complete() or us.is_over(), 8, "the end")
    total = done_of(ep, them)
    assert us.end in (None, "CLOSED"), us.end
    return total


def work_on(ep, us, size=5000):
    """The session is as alive as before: bytes go up and are acknowledged."""
    us.send(b"z" * size)
    ep.run(lambda: not us.waiting and us.acked == us.upto, 5, "acknowledgements")
    assert us.end is None


class Relay:
    """Passes TCP on to 127.0.0.1:target. The two sides see each other's ports in handshakes, so UDP goes past it.

    cut() resets every connection; strand() passes nothing on of those that are there, and says nothing; change(data) is
    what becomes of every piece that goes up (from who connected). A thread of its own does all of it.
    """

    def __init__(self, target=0):
        self.target, self.change = target, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.pairs, self.stranded, self.is_open = {}, [], True
        self.job, self.is_done = None, threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def cut(self):
        self._do(self._cut)

    def strand(self):
        self._do(self._strand)

    def close(self):
        self.is_open = False
        self.thread.join()
        self._cut()
        self.listener.close()
        for s in self.stranded:
            s.close()

    def _do(self, job):
        self.is_done.clear()
        self.job = job
        assert self.is_done.wait(5), "the relay does not work any more"

    def _cut(self):
        for s in list(self.pairs):
            self._drop(s)

    def _strand(self):
        self.stranded += self.pairs
        self.pairs.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _drop(self, s):
        if s not in self.pairs:
            return  # gone with its other side
        other = self.pairs.pop(s, (None, False))[0]
        if other:
            self.pairs.pop(other, None)
            abort_socket(other)
        abort_socket(s)

    def _accept(self):
        near, _ = self.listener.accept()
        try:
            far = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            abort_socket(near)
            return
        self.pairs[near], self.pairs[far] = (far, True), (near, False)

    def _move(self, s):
        other, is_up = self.pairs[s]
        try:
            data = s.recv(1 << 16)
            if data:
                other.sendall(self.change(data) if self.change and is_up else data)
            else:
                other.shutdown(socket.SHUT_WR)
                self.pairs[s] = (other, None)
        except OSError:
            self._drop(s)

    def _run(self):
        while self.is_open:
            if self.job:
                self.job()
                self.job = None
                self.is_done.set()
            ends = [s for s, (_, is_up) in self.pairs.items() if is_up is not None]
            ready, _, _ = select.select([self.listener, *ends], [], [], 0.005)
            if self.listener in ready:
                self._accept()
            for s in ready:
                if s in self.pairs:
                    self._move(s)


__all__ = ["KEY", "KEY_ID", "SERVICE", "Relay", "answer_of", "ask", "client", "close_both", "done_of", "endpoint",
           "nettest", "p", "peer", "server", "work_on"]
