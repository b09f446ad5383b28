"""A scene of the demo: two processes exchange a file over one robust stream, while their link is cut again and again.

Owns      the order of events and the checks.
Relies on the program examples/transfer, and the laboratory.
Not here  drawing (demo_screen), the cuts themselves (netlab).
"""

import hashlib
import json
import os
import queue
import subprocess
import threading

import demo_screen
import netlab

PORT = 7000
SIZE = 64 << 20
WAIT_SECONDS = 120


class Party:
    """One of the two programs: what it has told so far."""

    def __init__(self, name, process, news):
        self.name = name
        self.news = news  # set whenever something was told
        self.process = process
        self.events = queue.Queue()
        self.progress = {"sent": 0, "received": 0, "up": False, "connections": 0, "repeated": 0, "unacknowledged": 0}
        self.done = None
        self.gaps = []
        self.listening = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.events.put(json.loads(line))
            self.news.set()
        self.events.put(None)
        self.news.set()

    def take(self):
        """Takes in what was told since; returns the events worth a line in the log."""
        news = []
        while not self.events.empty():
            event = self.events.get()
            if event is None:
                continue
            kind = event["event"]
            if kind == "progress":
                self.progress = event
            elif kind == "listening":
                self.listening = True
            elif kind == "done":
                self.done = event
                self.progress.update(sent=event["sent"], received=event["received"], repeated=event["repeated"],
                                     connections=event["connections"])
            elif kind == "link":
                self.progress["up"] = event["up"]
                news.append((f"{self.name}: connection {event['connections']} "
                             + ("works" if event["up"] else "is broken"), "green" if event["up"] else "yellow"))
            elif kind == "data" and event["gap_ms"] >= 100:
                self.gaps.append(event)
                news.append((f"{self.name}: bytes flow again after {event['gap_ms'] / 1000:.2f} s", "cyan"))
        return news


class TransferScene:
    PROGRAM = "transfer"  # among the examples of a build

    def __init__(self, options, screen, program):
        self.options = options
        self.screen = screen
        self.program = program
        self.is_cut = False
        self.cuts = 0
        self.resumed = []  # seconds from each heal to the first byte, both directions
        self.parties = []
        self.news = threading.Event()

    def picture(self):
        left, right = self.parties
        s = self.screen
        state = "cut" if self.is_cut else "up" if left.progress["up"] and right.progress["up"] else "down"
        title = s.colour(" Holdfast: one stream, many connections ", "bold") + f"  {s.seconds():.1f} s"
        mark = s.colour("   CUT", "red", "bold") if self.is_cut else ""
        lines = ["", title, "", f"   s1 {s.link(state, 40)} s2{mark}", ""]
        for party in self.parties:
            p = party.progress
            lines.append(f"   {party.name}  received {s.bar(p['received'], self.size, 30)} "
                         f"{demo_screen.size(p['received']):>10}   connections {p['connections']:>3}   "
                         f"unacknowledged {demo_screen.size(p['unacknowledged']):>9}   "
                         f"written again {demo_screen.size(p['repeated']):>9}")
        return lines

    def step(self):
        for party in self.parties:
            for text, colour in party.take():
                self.screen.log(text, colour)
        self.screen.draw(self.picture)

    def wait(self, condition, seconds, what):
        end = netlab.now() + seconds
        while not condition():
            if netlab.now() > end:
                raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
            self.step()
            self.news.wait(0.05)
            self.news.clear()

    def pause(self, seconds):
        end = netlab.now() + seconds
        self.wait(lambda: netlab.now() >= end or self.is_over(), seconds + 10, "the next cut")

    def is_over(self):
        return all(party.done or party.process.poll() is not None for party in self.parties)

    def cut_once(self, lab, seconds):
        self.is_cut = True
        self.cuts += 1
        self.screen.log(f"cut {self.cuts}: s2 is off the network for {seconds:.0f} s ({self.options.cut_kind})",
                        "red", "bold")
        lab.cut(lab.hosts[1], self.options.cut_kind)
        self.pause(seconds)
        for party in self.parties:
            party.take()
            party.gaps.clear()
        healed = lab.heal(lab.hosts[1])
        self.is_cut = False
        self.screen.log("healed", "green", "bold")
        if self.is_over():
            return
        self.wait(lambda: all(party.gaps for party in self.parties) or self.is_over(), 30, "bytes after the heal")
        for party in self.parties:
            if party.gaps:
                self.resumed.append(party.gaps[0]["at_ns"] / 1e9 - healed)

    def start(self, lab, path):
        server, client = lab.hosts
        # Paced so that three cuts fall into the exchange.
        self.size = max(os.path.getsize(path), 1)
        rate = max(self.size // 12, 1)
        common = ["--watch", "--quiet", "--rate", rate]
        address = f"{server.address}:{PORT}"
        lab.expose(server, PORT)
        self.parties.append(Party("s1", server.start([self.program, "serve", f"{server.inner}:{PORT}", path, *common],
                                                     stdout=subprocess.PIPE), self.news))
        netlab.wait_for(lambda: self.parties[0].take() or self.parties[0].listening, 10, "the server")
        self.parties.append(Party("s2", client.start([self.program, "send", address, path, *common],
                                                     stdout=subprocess.PIPE), self.news))

    def run(self):
        path = self.options.input
        generated = path is None
        if generated:
            # Nothing was named: random bytes in memory, so that no file is left behind.
            memory = os.memfd_create("demo")
            with os.fdopen(os.dup(memory), "wb") as f:
                for _ in range(SIZE >> 20):
                    f.write(os.urandom(1 << 20))
            path = f"/proc/{os.getpid()}/fd/{memory}"
        with netlab.open_lab(hosts=2, allow_relay=True, say=self.screen.log) as lab:
            self.start(lab, path)
            self.screen.log(f"s1 and s2 exchange {demo_screen.size(self.size)} each way, in {lab.kind}")
            for seconds in (self.options.cut, 1.0, 2.0):
                self.pause(1.0)
                if not self.is_over():
                    self.cut_once(lab, seconds)
            self.wait(self.is_over, WAIT_SECONDS, "the end of both programs")
            codes = [party.process.wait(timeout=10) for party in self.parties]
            for party in self.parties:
                self.wait(lambda: party.done, 5, "the totals")
            self.screen.draw(self.picture, now=True)
        return self.summary(path, "64 MiB of random bytes" if generated else path, codes)

    def summary(self, path, name, codes):
        with open(path, "rb") as f:
            expected = hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") \
                else hashlib.sha256(f.read()).hexdigest()
        done = [party.done for party in self.parties]
        same = all(d["sha256_received"] == expected for d in done)
        quick = bool(self.resumed) and max(self.resumed) <= (0.3 if self.options.cut_kind == "drop" else 1.3)
        lines = [
            f"exchanged: {self.size} bytes of {name} each way",
            f"cuts: {self.cuts}, the first for {self.options.cut:g} s, {self.options.cut_kind}",
            f"connections: {max(d['connections'] for d in done)} in one stream",
            f"flows-again: {max(self.resumed, default=0):.3f} s after heal at most, "
            + ("in time" if quick else "too late"),
            f"written-again: s1={done[0]['repeated']} s2={done[1]['repeated']} bytes",
            f"sha256: {expected} {'equal on both sides' if same else 'DIFFERENT'}",
            f"closed: s1={done[0]['status']} s2={done[1]['status']}",
        ]
        ok = same and quick and codes == [0, 0] and self.cuts > 0
        return ok, lines
