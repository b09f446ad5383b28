"""The main scene of the demo: three replicas, one cut off while half of the input is loaded, and everything checked.

Owns      the order of events, the numbers, the checks, the picture of the group.
Relies on the program kv and redis-cli; the laboratory; the counters of HOLDFAST STATUS and DIGEST.
Not here  drawing on the terminal (demo_screen), the protocol (demo_redis), records of the input (demo_records).
"""

import os
import re
import select
import socket
import subprocess
import tempfile

import demo_records
import demo_redis
import demo_screen
import netlab

GROUP_PORT = 7000
REDIS_PORT = 6379
MEMBERS = 3
MEMORY_LIMIT_KIB = 64 << 10
CAUGHT_UP_LIMIT = 3.0
DYING = 2.0          # seconds that a process may take to end once its connections are closed
POLL = 0.02          # seconds between two looks when time is measured
UNREACHABLE_AFTER = 1.0
LOAD_SHARE = 0.6     # of the cut, in which the second half is loaded
ELECTION = 600       # ms that a silent leader is followed
LAST_TO_STAND = 2400 # ... by s3: so it seldom leads at first, and a cut of it changes no leader

NO_STATUS = {"leader": 0, "term": 0, "last": 0, "commit": 0, "applied": 0, "view": 0, "views": 0, "quorum": 0,
             "keys": 0, "save_calls": 0, "load_calls": 0, "member": {}}


def parse_status(text):
    """The lines of HOLDFAST STATUS: numbers by name, and member[id] with the numbers of each member's line."""
    status = {"member": {}}
    for line in text.decode().splitlines():
        name, _, value = line.partition(":")
        match = re.fullmatch(r"member(\d+)", name)
        if match:
            pairs = (pair.split("=", 1) for pair in value.split(","))
            status["member"][int(match[1])] = {key: int(v) if v.isdigit() else v for key, v in pairs}
        else:
            status[name] = int(value) if value.isdigit() else value
    return status


class Member:
    """One kv process, asked from inside its own host: so it can be seen when it is cut off, too."""

    def __init__(self, scene, host, members, program):
        self.host = host
        self.id = host.number
        self.name = host.name
        self.status = NO_STATUS
        self.errors = tempfile.TemporaryFile()
        self.connection = None
        self.memory = 0
        self.process = host.start([program, "--id", self.id, "--members", members,
                                   "--group-listen", f"{host.inner}:{GROUP_PORT}",
                                   "--listen", f"{host.inner}:{REDIS_PORT}",
                                   "--election-ms", LAST_TO_STAND if self.id == MEMBERS else ELECTION],
                                  stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors)
        self.scene = scene

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace").strip()[-600:]

    def ask(self, *words):
        return self._answer(lambda: self.connection.ask(*words))

    def ask_many(self, commands):
        return self._answer(lambda: list(self.connection.ask_many(commands)))

    def _answer(self, question):
        self._check_alive()
        if self.connection is None:
            with self.host.inside():
                sock = socket.create_connection((self.host.inner, REDIS_PORT), timeout=5)
            self.connection = demo_redis.Connection(sock)
        try:
            return question()
        except OSError as error:
            # The end of its connection is seen before the end of a process, and its status says more.
            try:
                self.process.wait(DYING)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"{self.name} runs, but does not answer: {error}: {self.said()}") from None
            self._check_alive()

    def _check_alive(self):
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with status {self.process.returncode}: {self.said()}")

    def look(self):
        """Takes a fresh status; keeps the old one while the server does not listen yet."""
        try:
            self.status = parse_status(self.ask("HOLDFAST", "STATUS"))
        except ConnectionRefusedError:
            self._check_alive()
        return self.status

    def other(self, peer):
        return self.status["member"].get(peer.id, {})

    def sum(self, counter):
        return sum(m.get(counter, 0) for m in self.status["member"].values())

    def digest(self):
        lines = dict(line.split(":", 1) for line in self.ask("HOLDFAST", "DIGEST").decode().splitlines())
        return int(lines["index"]), lines["sha256"]

    def read_memory(self):
        """Resident memory at its highest, in KiB. A process that just ended has none: then what was seen last."""
        with open(f"/proc/{self.process.pid}/status") as f:
            self.memory = next((int(line.split()[1]) for line in f if line.startswith("VmHWM")), self.memory)
        if not self.memory:
            self._check_alive()
        return self.memory


class Pipe:
    """redis-cli --pipe, fed a slice at a time. It counts the errors and replies itself."""

    def __init__(self, host, address, records):
        self.data = b"".join(demo_redis.command("SET", key, value) for key, value in records)
        self.count = len(records)
        self.sent = 0
        self.process = host.start(["redis-cli", "-h", address, "-p", REDIS_PORT, "--pipe"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        os.set_blocking(self.process.stdin.fileno(), False)

    def feed(self, share):
        """Gives it up to this share (0 .. 1) of the data, as far as it takes it."""
        upto = int(len(self.data) * min(share, 1.0))
        try:
            while self.sent < upto:
                self.sent += os.write(self.process.stdin.fileno(), self.data[self.sent:min(upto, self.sent + 65536)])
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise AssertionError(f"redis-cli --pipe: {self.process.stdout.read().decode().strip()}") from None
        if self.sent == len(self.data) and not self.process.stdin.closed:
            self.process.stdin.close()

    def is_over(self):
        return self.process.poll() is not None

    def check(self):
        """Every record was answered without an error."""
        text = self.process.stdout.read().decode(errors="replace")
        match = re.search(r"errors: (\d+), replies: (\d+)", text)
        if not match or (int(match[1]), int(match[2])) != (0, self.count):
            raise AssertionError(f"redis-cli --pipe of {self.count} records: {text.strip()[-600:]}")


class KvScene:
    PROGRAM = "kv/kv"  # among the examples of a build

    def __init__(self, options, screen, program):
        self.options = options
        self.screen = screen
        self.program = program
        self.members = []
        self.target = None     # who is cut off
        self.is_cut = False
        self.looked_at = 0.0
        self.seen = {}
        self.doing = "founding"
        self.problems = []
        self.lines = []

    # -------------------------------------------------------------------------------------------- picture

    def link_state(self, a, b):
        if self.is_cut and self.target in (a, b):
            return "cut"
        return "up" if a.other(b).get("link") == "up" and b.other(a).get("link") == "up" else "down"

    def triangle(self):
        s = self.screen
        colours = {"up": "green", "down": "yellow", "cut": "red"}
        one, two, three = self.members
        left, right, base = (self.link_state(*pair) for pair in ((one, two), (one, three), (two, three)))

        def edge(state, stroke, middle=False):
            return s.colour(("╳" if s.can_unicode else "X") if state == "cut" and middle else stroke, colours[state])

        strokes = ("╱", "╲") if s.can_unicode else ("/", "\\")
        rows = [" " * 16 + self.node(one)]
        for row in range(4):
            rows.append(" " * (14 - 2 * row) + edge(left, strokes[0], row == 1) + " " * (4 * row + 3)
                        + edge(right, strokes[1], row == 1))
        rows.append(" " * 4 + self.node(two) + " " + s.link(base, 19) + " " + self.node(three))
        return rows

    def node(self, member):
        s = self.screen
        if self.is_cut and member is self.target:
            return s.colour(member.name, "red", "bold")
        return s.colour(member.name, "cyan" if self.is_leader(member) else "green", "bold")

    def is_leader(self, member):
        return member.status["leader"] == member.id

    def role(self, member):
        s = self.screen
        if self.is_cut and member is self.target:
            return s.colour("cut off ", "red", "bold")
        if self.is_leader(member):
            return s.colour("leader  ", "cyan", "bold")
        return "follower" if member.status["leader"] else s.colour("looking ", "yellow")

    def picture(self):
        s = self.screen
        settled = max(m.status["commit"] for m in self.members)
        whole = max(len(self.records), settled)
        title = s.colour(" Holdfast: three replicas over robust TCP ", "bold") + f"  {s.seconds():6.1f} s"
        lines = ["", f"{title}   {self.doing}", ""] + ["      " + row for row in self.triangle()] + [""]
        for m in self.members:
            behind = settled - m.status["applied"]
            note = s.colour(f"behind {behind}", "red" if behind > 100 else "yellow") if behind > 0 else ""
            lines.append(f"   {m.name} {self.role(m)}  term {m.status['term']:<3} view {m.status['view']:<2} "
                         f"index {m.status['applied']:>7}  {s.bar(m.status['applied'], whole, 30)} "
                         f"{demo_screen.size(m.memory << 10):>9}  {note}")
        return lines

    # -------------------------------------------------------------------------------------------- waiting

    def look(self):
        for member in self.members:
            member.look()
            member.read_memory()
            for name, text in (("leader", "follows s{}"), ("view", "is in view {}")):
                value = member.status[name]
                if self.seen.get((member.id, name), 0) != value and value:
                    self.screen.log(f"{member.name} " + text.format(value) + f" (term {member.status['term']})", "dim")
                self.seen[member.id, name] = value
        self.looked_at = netlab.now()

    def step(self, often=0.2):
        if netlab.now() - self.looked_at >= often:
            self.look()
        self.screen.draw(self.picture)

    def wait(self, condition, seconds, what, often=0.2):
        end = netlab.now() + seconds
        self.look()
        while not condition():
            if netlab.now() > end:
                raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
            select.select([], [], [], min(often, 0.05))
            self.step(often)

    def say(self, doing, *colours):
        self.doing = doing
        self.screen.log(doing, *colours)

    # -------------------------------------------------------------------------------------------- acts

    def start(self, lab):
        hosts = lab.hosts[:MEMBERS]
        for host in hosts:
            lab.expose(host, GROUP_PORT)
            lab.expose(host, REDIS_PORT)
        members = ",".join(f"{host.number}={host.address}:{GROUP_PORT}" for host in hosts)
        self.members = [Member(self, host, members, self.program) for host in hosts]
        self.say(f"three kv processes found a group, in {lab.kind}")
        self.wait(lambda: all(m.status["view"] and m.status["leader"] for m in self.members), 20, "the founding view")

    def choose(self):
        """Who is cut off, and through whom the client loads."""
        leader = self.members[0].status["leader"]
        wanted = {"leader": leader, "follower": 2 if leader == 3 else 3}
        number = wanted.get(self.options.cut_member) or int(self.options.cut_member)
        self.target = self.members[number - 1]
        self.rest = [m for m in self.members if m is not self.target]
        self.entry = next((m for m in self.rest if not self.is_leader(m)), self.rest[0])

    def load(self, records, seconds, members):
        """Loads records through redis-cli, spread over some seconds, until all of these members have applied them."""
        pipe = Pipe(self.client, self.entry.host.address, records)
        start = netlab.now()

        def is_over():
            pipe.feed((netlab.now() - start) / seconds if seconds > 0 else 1.0)
            return pipe.is_over()

        self.wait(is_over, seconds + 60, "redis-cli --pipe")
        pipe.check()
        self.wait(lambda: len({m.status["applied"] for m in members} | {m.status["commit"] for m in members}) == 1, 20,
                  "the members to apply what was loaded")

    def is_reachable(self):
        """Whether the member that is cut off answers a client elsewhere on the network."""
        try:
            sock = self.client.connect(self.target.host.address, REDIS_PORT, timeout=UNREACHABLE_AFTER)
            connection = demo_redis.Connection(sock, UNREACHABLE_AFTER)
            try:
                return connection.ask("PING") == b"PONG"
            finally:
                connection.close()
        except OSError:
            return False

    def leader(self):
        """The member that those which are not cut off follow; None while they look for one."""
        follow = {m.status["leader"] for m in self.rest}
        leader = self.members[follow.pop() - 1] if len(follow) == 1 and 0 not in follow else None
        return leader if leader in self.rest else None

    def cut(self, lab):
        options = self.options
        self.old_leader = self.members[self.target.status["leader"] - 1]
        self.before = {m.id: m.status for m in self.members}
        self.cut_at = lab.cut(self.target.host, options.cut_kind)
        self.is_cut = True
        self.say(f"{self.target.name} is cut off for {options.cut:g} s ({options.cut_kind})", "red", "bold")
        self.wait(lambda: self.leader() is not None, 15, "the rest to have a leader")
        took = netlab.now() - self.cut_at
        if self.old_leader is self.target:
            self.screen.log(f"{self.leader().name} leads, {took:.1f} s after the cut", "cyan")

    def load_while_away(self, second):
        left = self.options.cut - (netlab.now() - self.cut_at)
        self.say(f"loading {len(second)} records while {self.target.name} is away")
        self.load(second, max(left, 0.0) * LOAD_SHARE, self.rest)
        self.say(f"{self.target.name} is away, the others go on")
        end = self.cut_at + self.options.cut - UNREACHABLE_AFTER
        self.wait(lambda: netlab.now() >= end, self.options.cut + 10, "the end of the cut")

    def heal(self, lab):
        self.reachable = self.is_reachable()
        self.look()
        lead = self.leader()
        self.at_heal = {m.id: m.status for m in self.members}
        self.seen_by_leader = lead.other(self.target)
        self.settled = lead.status["commit"]
        self.behind = self.settled - self.target.status["applied"]
        self.new_term_entries = lead.status["term"] - self.before[lead.id]["term"]
        healed = lab.heal(self.target.host)
        self.is_cut = False
        self.say("healed: catching up", "green", "bold")
        self.wait(lambda: self.target.status["applied"] >= self.settled, 60, f"{self.target.name} to catch up", POLL)
        self.caught_up = netlab.now() - healed
        self.screen.log(f"{self.target.name} has everything, {self.caught_up:.2f} s after the heal", "green", "bold")
        self.wait(lambda: len({m.status["applied"] for m in self.members}) == 1
                  and len({m.status["leader"] for m in self.members}) == 1, 20, "all to agree")

    def read_back(self):
        """How many records come back from the member that was cut off as they were written."""
        self.say(f"reading everything back from {self.target.name}")
        wanted = dict(self.records)
        values = self.target.ask_many([("GET", key) for key in wanted])
        return sum(1 for expected, value in zip(wanted.values(), values) if value == expected), len(wanted)

    # -------------------------------------------------------------------------------------------- the end

    def grown(self, member, read):
        return read(member.status) - read(self.before[member.id])

    def counters(self):
        """What the catch-up cost: the growth of counters since before the cut."""
        def of(counter):
            return lambda status: sum(m.get(counter, 0) for m in status["member"].values())

        everybody = self.members
        return {
            "pulled": self.grown(self.target, of("entries_pulled")),
            "repeated": sum(self.grown(m, of("entries_repeated")) + self.grown(m, of("received_again"))
                            for m in everybody),
            "snapshots": sum(self.grown(m, of("snapshots_sent")) + self.grown(m, of("snapshots_received"))
                             for m in everybody),
            "save-calls": sum(m.status["save_calls"] for m in everybody),
            "load-calls": sum(m.status["load_calls"] for m in everybody),
        }

    def line(self, text, ok, problem=None):
        """A line of the summary, and the check that belongs to it."""
        self.lines.append(text)
        if not ok:
            self.problems.append(problem or text)

    def summarise(self, first, second):
        name, target = self.target.name, self.target
        is_leader_cut = self.old_leader is target
        self.line(f"records: {len(self.records)} of {self.path}", True)
        self.line(f"cut: {name} {self.options.cut:g} s {self.options.cut_kind}", True)
        # The connection may still stand there (nothing breaks it but silence): the silence is the evidence.
        silent = self.seen_by_leader["silent_ms"] / 1000
        self.line(f"unreachable: {name} {'ANSWERED' if self.reachable else 'no answer to a client'}, silent for "
                  f"{silent:.1f} s, link {self.seen_by_leader['link']} at {self.leader().name}, before heal",
                  not self.reachable and silent >= self.options.cut / 2)
        self.line(f"lagging: {name} behind={self.seen_by_leader['behind']} entries, "
                  f"{self.seen_by_leader['unacknowledged']} bytes unacknowledged at {self.leader().name}, before heal",
                  self.seen_by_leader["behind"] >= len(second))
        changed = max(self.grown(m, lambda s: s["view"]) + self.grown(m, lambda s: s["views"]) for m in self.members)
        self.line(f"views-changed-by-cut: {changed}", changed == 0)
        self.summarise_terms(is_leader_cut)
        # A leader's first entry of its term is an entry, too; nothing else may be between the records.
        extra = self.new_term_entries if is_leader_cut else 0
        self.line(f"behind-at-heal: {self.behind} entries",
                  len(second) <= self.behind <= len(second) + extra,
                  f"behind-at-heal is {self.behind}, the second half has {len(second)} records")
        self.line(f"caught-up: {self.caught_up:.2f} s after heal", self.caught_up <= CAUGHT_UP_LIMIT,
                  f"caught up after {self.caught_up:.2f} s, the limit is {CAUGHT_UP_LIMIT:g} s")
        self.summarise_costs(is_leader_cut)

    def summarise_terms(self, is_leader_cut):
        terms = self.before[self.target.id]["term"], self.target.status["term"]
        if is_leader_cut:
            new = self.leader()
            self.line(f"leader: {self.old_leader.name} in term {terms[0]}, {new.name} in term {terms[1]}",
                      new is not self.old_leader and terms[1] > terms[0], "no new leader took over")
            entries = self.before[self.target.id]["commit"]
            self.line(f"terms: {entries} entries of term {terms[0]} and before, "
                      f"{self.settled - entries} of term {terms[1]}", self.settled > entries)
        else:
            self.line(f"leader: {self.leader().name}, term {terms[1]}", terms[0] == terms[1],
                      f"the term changed from {terms[0]} to {terms[1]} though the leader was not cut off")

    def summarise_costs(self, is_leader_cut):
        costs = self.counters()
        text = " ".join(f"{name}={value}" for name, value in costs.items())
        clean = all(value == 0 for name, value in costs.items()
                    if name != "pulled" and (name != "repeated" or not is_leader_cut))
        self.line(f"catch-up: {text}", clean and costs["pulled"] == self.behind,
                  f"catch-up: pulled must be {self.behind}, the rest 0: {text}")
        digests = [m.digest() for m in self.members]
        same = len(set(digests)) == 1
        self.line("digest: " + " ".join(f"{m.name}={d[1][:16]}" for m, d in zip(self.members, digests))
                  + (" equal" if same else " DIFFERENT"), same)
        good, count = self.read_back()
        self.line(f"input-verified: {good} of {count} records read back from {self.target.name}", good == count)
        memory = [m.read_memory() for m in self.members]
        self.line("memory: " + " ".join(f"{m.name}={k / 1024:.1f}" for m, k in zip(self.members, memory))
                  + f" MiB at most, limit {MEMORY_LIMIT_KIB >> 10}", max(memory) < MEMORY_LIMIT_KIB)

    def run(self):
        self.path, self.records = demo_records.read(self.options.input)
        half = len(self.records) // 2
        first, second = self.records[:half], self.records[half:]
        # The client has a host of its own, so that a cut concerns it like everybody else.
        with netlab.open_lab(hosts=MEMBERS + 1, allow_relay=True, say=self.screen.log) as lab:
            self.client = lab.hosts[MEMBERS]
            self.start(lab)
            self.choose()
            self.say(f"loading the first {len(first)} of {len(self.records)} records through {self.entry.name}")
            self.load(first, 0, self.members)
            self.cut(lab)
            self.load_while_away(second)
            self.heal(lab)
            self.summarise(first, second)
            self.screen.draw(self.picture, now=True)
        return not self.problems, self.lines + [f"failed: {problem}" for problem in self.problems]
