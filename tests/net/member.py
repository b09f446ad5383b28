"""One running `chat` program of a net test: what it has printed, and waiting for what it will print.

Owns      the process and its output.
Relies on the lines that `chat --help` describes.
Not here  what is tested.
"""

import itertools
import os
import re
import signal
import subprocess
import tempfile
import threading

import netlab
import nettest

PORT = 7000
LINE = re.compile(r"(\d+) <(\d+)> (.*)")


def addresses(hosts):
    return [f"{host.number}={host.address}:{PORT}" for host in hosts]


class Member:
    """A chat in a host. lines: all it printed, in order."""

    def __init__(self, host, members, *options):
        self.host = host
        self.id = host.number
        self.lines = []
        self.is_over = False
        self.news = threading.Condition()
        self.errors = tempfile.TemporaryFile()
        self.process = host.start([nettest.program("chat"), "--id", host.number, *options, *members],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors)
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        try:
            for line in self.process.stdout:
                with self.news:
                    self.lines.append(line.decode().rstrip("\n"))
                    self.news.notify_all()
        except ValueError:  # the lab has closed the pipe
            pass
        with self.news:
            self.is_over = True
            self.news.notify_all()

    def said(self):
        """What it printed on stderr so far."""
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()

    def say(self, *texts):
        self.process.stdin.write("".join(f"{text}\n" for text in texts).encode())
        self.process.stdin.flush()

    def mark(self):
        with self.news:
            return len(self.lines)

    def wait(self, what, seconds, accept, start=0):
        """The first line from the start-th on that accept() takes."""
        end = netlab.now() + seconds
        with self.news:
            for index in itertools.count(start):
                while index >= len(self.lines):
                    left = end - netlab.now()
                    if self.is_over or left <= 0:
                        raise AssertionError(f"member {self.id}: waited in vain for {what}; last lines: "
                                             f"{self.lines[-8:]} {self.said()}")
                    self.news.wait(left)
                if accept(self.lines[index]):
                    return self.lines[index]

    def wait_line(self, text, seconds=10, start=0):
        return self.wait(text, seconds, lambda line: line.startswith(text), start)

    def wait_text(self, text, seconds=10):
        """A line of the chat with this very text."""
        return self.wait(f"the text {text}", seconds, lambda line: line.endswith("> " + text))

    def wait_count(self, count, seconds=20):
        """So many lines of the chat."""
        end = netlab.now() + seconds
        with self.news:
            while len(self.chat()) < count:
                left = end - netlab.now()
                if self.is_over or left <= 0:
                    raise AssertionError(f"member {self.id}: {len(self.chat())} lines of {count}; {self.said()}")
                self.news.wait(left)

    def chat(self):
        """[(index, id, text)] of all lines of the chat."""
        return [(int(m[1]), int(m[2]), m[3]) for m in map(LINE.fullmatch, list(self.lines)) if m]

    def count(self, text):
        with self.news:
            return sum(line.startswith(text) for line in self.lines)

    def leader(self):
        """(id, term) as it said last."""
        with self.news:
            told = [line.split() for line in self.lines if line.startswith("* leader ")]
        return (int(told[-1][2]), int(told[-1][4])) if told else (0, 0)

    def stats(self, member=None):
        """The counters now, of the process or of what it knows about a member."""
        start = self.mark()
        self.say("/stats")
        key = "leader=" if member is None else f"member={member} "
        line = self.wait_line(f"* stats {key}", 10, start)
        return {k: int(v) if v.isdigit() else v for k, v in (word.split("=") for word in line.split()[2:])}

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def end(self, seconds=10):
        """Waits for the exit status; what was printed is complete afterwards."""
        code = self.process.wait(seconds)
        netlab.wait_for(lambda: self.is_over, 5, "the end of the output")
        return code

    def quit(self):
        """Leaves in order, and nothing is wrong."""
        self.signal(signal.SIGTERM)
        code = self.end()
        assert code == 0, f"member {self.id}: exit status {code}: {self.said()}"


def start(lab, *options, hosts=None):
    """A chat in every host."""
    members = addresses(lab.hosts)
    return [Member(host, members, *options) for host in (lab.hosts if hosts is None else hosts)]


def founded(members, seconds=15):
    for m in members:
        m.wait_line("* view 1:", seconds)


def led(members, seconds=15):
    """Waits until all of them name one leader among them; returns (leader, the others)."""
    def agree():
        told = {m.leader() for m in members}
        return len(told) == 1 and next(iter(told))[0] in [m.id for m in members] and told.pop()

    leader, _ = netlab.wait_for(agree, seconds, f"one leader: {[m.leader() for m in members]}")
    return next(m for m in members if m.id == leader), [m for m in members if m.id != leader]


def same_chat(members):
    """All printed the same lines in the same order; the shorter ones may lack an end. Returns the longest."""
    chats = sorted((m.chat() for m in members), key=len)
    for chat in chats:
        assert chat == chats[-1][:len(chat)], f"orders differ: {chat[-3:]} {chats[-1][-3:]}"
        indexes = [index for index, _, _ in chat]
        assert indexes == sorted(set(indexes)), "indexes do not rise"
    return chats[-1]


def in_order(chat, member, texts):
    """Each text of a member once, in the order it was said."""
    got = [text for _, id_, text in chat if id_ == member.id]
    assert got == texts, f"member {member.id}: {len(got)} of {len(texts)}, repeated or out of order"


def quit_all(members):
    for m in members:
        m.quit()
