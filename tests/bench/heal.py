#!/usr/bin/env python3
"""How soon data flows again after a cut of the network, beside plain TCP with and without TCP_RTO_MAX_MS=1000.

Owns      the cuts, three streams beside each other in two namespaces, and one line of JSON per stream and cut.
Relies on tests/net (netlab, party) and the example program transfer of a build.
Not here  what is judged: tests/net/rtcp_heal_test.py; plots.

A figure is the time from the heal until both directions have carried new bytes. It is kept in FILE; those that stand
there are not measured again, so the command can be ended and repeated at any time.

    heal.py --out FILE                        everything: about three hours, with --jobs 6 one hour
    heal.py --out FILE --cuts 1x20,5x20       cuts of 1 s and of 5 s, 20 times each
    heal.py --out FILE --kinds drop,link      some kinds only
    heal.py --out FILE --table                what FILE has so far

Kinds: those of tests/net/netlab.py (drop, link, in, out, rst), and drop-udp: packets are dropped, and UDP is blocked
before, meanwhile and afterwards.
"""

import argparse
import collections
import json
import os
import pathlib
import random
import selectors
import socket
import statistics
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "net"))

import netlab  # noqa: E402
import party  # noqa: E402

KINDS = {"drop": "IP packets dropped", "link": "frames lost (ARP, too)", "in": "only towards the client",
         "out": "only towards the server", "rst": "RST by a firewall", "drop-udp": "dropped, UDP blocked"}
GOALS = {"drop": (0.15, 0.3), "link": (None, 1.3), "drop-udp": (None, 2.5)}  # median, worst
CUTS = "1x20,5x20,30x5,100x3"
WIRES = ("rtcp", "tcp", "tcp-rto-max")
TCP_RTO_MAX_MS = 44
PLAIN_PORT = 7100
PLAIN_CHUNK = bytes(1024)
PLAIN_EVERY = 0.005
GAP = 0.05         # seconds; a shorter pause is none
CONFIRMING = 4     # seconds after which a stream without UDP is confirmed: before, its promise has not begun
RTCP_PATIENCE = 60
PLAIN_PATIENCE = 130


class Plain:
    """Two plain TCP connections, with and without the option; both directions write and read all the time."""

    def __init__(self, lab):
        self.lab = lab
        self.selector = selectors.DefaultSelector()
        self.last = {}     # socket -> when it received last
        self.gaps = {}     # socket -> [(when bytes came after a pause, how long the pause was)]
        self.ended = set()
        self.sockets = {}  # wire -> (server's socket, client's socket)
        for number, wire in enumerate(WIRES[1:]):
            self._open(wire, PLAIN_PORT + number)
        self.is_over = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _open(self, wire, port):
        a, b = self.lab.hosts
        with a.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((a.address, port))
            listener.listen(1)
            client = b.connect(a.address, port)
            server, _ = listener.accept()
        self.sockets[wire] = (server, client)
        for s in (server, client):
            if wire == "tcp-rto-max":
                s.setsockopt(socket.IPPROTO_TCP, TCP_RTO_MAX_MS, 1000)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setblocking(False)
            self.last[s], self.gaps[s] = netlab.now(), []
            self.selector.register(s, selectors.EVENT_READ)

    def _run(self):
        due = netlab.now()
        while not self.is_over:
            for key, _ in self.selector.select(max(0, due - netlab.now())):
                self._read(key.fileobj)
            if netlab.now() >= due:
                due = netlab.now() + PLAIN_EVERY
                for s in [s for s in self.last if s not in self.ended]:
                    self._write(s)

    def _read(self, s):
        try:
            data = s.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._end(s)
            return
        now = netlab.now()
        if now - self.last[s] >= GAP:
            self.gaps[s].append((now, now - self.last[s]))
        self.last[s] = now

    def _write(self, s):
        try:
            s.send(PLAIN_CHUNK)
        except BlockingIOError:
            pass
        except OSError:
            self._end(s)

    def _end(self, s):
        if s not in self.ended:
            self.ended.add(s)
            self.selector.unregister(s)

    def flows_after(self, wire, healed):
        """Seconds from the heal until both directions carried bytes; None: not yet; "ended" when the connection is."""
        result = 0.0
        for s in self.sockets[wire]:
            if s in self.ended:
                return "ended"
            gap = next((g for g in self.gaps[s] if g[0] > healed >= g[0] - g[1]), None)
            if gap:
                result = max(result, gap[0] - healed)
            elif self.last[s] <= healed + GAP:
                return None
        return result

    def close(self):
        self.is_over = True
        self.thread.join(timeout=5)
        for pair in self.sockets.values():
            for s in pair:
                s.close()
        self.selector.close()


def rtcp_flows_after(who, mark, healed):
    """Seconds from the heal until `who` received something; 0 when it never stopped."""
    base = (who.last("progress") or {"received": 0})["received"]

    def accept(e):
        at = e["at_ns"] / 1e9
        if e["event"] == "data":
            return at > healed >= at - e["gap_ms"] / 1e3
        return e["event"] == "progress" and at > healed + 0.25 and e["received"] > base
    event = who.wait("bytes after the heal", RTCP_PATIENCE, accept, mark)
    return event["at_ns"] / 1e9 - healed if event["event"] == "data" else 0.0


def pause(seconds):
    end = netlab.now() + seconds
    netlab.wait_for(lambda: netlab.now() >= end, seconds + 5, "time to pass")


def wait_for_plain(plain, healed):
    """What each plain connection did; "none" where it gave no sign for PLAIN_PATIENCE."""
    found = {}

    def look():
        for wire in WIRES[1:]:
            found[wire] = plain.flows_after(wire, healed)
        return None not in found.values() or netlab.now() - healed > PLAIN_PATIENCE
    netlab.wait_for(look, PLAIN_PATIENCE + 5, "plain TCP")
    return {wire: "none" if value is None else value for wire, value in found.items()}


def one_cut(lab, server, client, kind, seconds, with_plain):
    """Cuts and heals once; returns {wire: seconds or a word}."""
    plain = Plain(lab) if with_plain else None
    try:
        pause(0.4 + random.random() * 0.2)  # not always at the same place between two probes
        lab.cut(lab.hosts[1], kind.removesuffix("-udp"))
        pause(seconds)
        marks = [one.mark() for one in (server, client)]
        healed = lab.heal(lab.hosts[1])
        found = {"rtcp": max(rtcp_flows_after(one, mark, healed) for one, mark in zip((server, client), marks))}
        if plain:
            found.update(wait_for_plain(plain, healed))
        return found
    finally:
        if plain:
            plain.close()


def measure(kind, seconds, repetitions, with_plain=True, start=0):
    """Yields one dictionary per stream and cut; every byte of the robust stream is checked at the end."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        if kind == "drop-udp":
            lab.cut(a, "udp")
        words = ["--generate", "500G", "--rate", "1M"]
        server = party.serve(a, *words)
        client = party.send(b, a, *words)
        for one in (server, client):
            one.wait_received(1 << 18, 20)
        if kind == "drop-udp":
            pause(CONFIRMING)
        for repetition in range(start, start + repetitions):
            found = one_cut(lab, server, client, kind, seconds, with_plain)
            for wire, value in found.items():
                yield {"figure": "heal", "kind": kind, "cut": seconds, "repetition": repetition, "wire": wire,
                       "after": round(value, 4) if isinstance(value, float) else value,
                       "load": round(os.getloadavg()[0], 1)}
        for one in (server, client):
            assert not one.all_of("done"), f"the stream ended: {one.last('done')}"


# ------------------------------------------------------------------------------------------------ results

def read(path):
    if not path.exists():
        return []
    with open(path) as f:
        return [json.loads(line) for line in f if line.startswith("{") and line.endswith("}\n")]


def text(values):
    """median (worst) of those that flowed again; how many did not."""
    times = sorted(v for v in values if not isinstance(v, str))
    others = collections.Counter(v for v in values if isinstance(v, str))
    words = [f"{statistics.median(times):.3f} ({times[-1]:.3f})"] if times else []
    return " ".join(words + [f"{count} {word}" for word, count in sorted(others.items())]) or "-"


def verdict(kind, values):
    if kind not in GOALS or not values:
        return ""
    median, worst = GOALS[kind]
    is_met = (median is None or statistics.median(values) <= median) and max(values) <= worst
    goal = (f"median {median}, " if median else "") + f"worst {worst}"
    return f"{goal}: {'met' if is_met else 'MISSED'}"


def table(rows):
    by = collections.defaultdict(list)
    for row in rows:
        by[row["kind"], row["cut"], row["wire"]].append(row["after"])
    lines = ["| cut | s | times | robust TCP | plain TCP | with TCP_RTO_MAX_MS=1000 | goal |",
             "| --- | --- | --- | --- | --- | --- | --- |"]
    for kind, name in KINDS.items():
        for cut in sorted({c for k, c, _ in by if k == kind}):
            of = [by[kind, cut, wire] for wire in WIRES]
            lines.append(f"| {name} | {cut} | {len(of[0])} | " + " | ".join(map(text, of)) +
                         f" | {verdict(kind, of[0])} |")
    return "\n".join(lines)


def missing(rows, kind, cut, wanted):
    """(first repetition to make, how many)."""
    done = sum(1 for r in rows if r["kind"] == kind and r["cut"] == cut and r["wire"] == "rtcp")
    return done, max(0, wanted - done)


def run_kind(kind, cuts, path):
    for cut, wanted in cuts:
        start, left = missing(read(path), kind, cut, wanted)
        if left == 0:
            continue
        together = []
        for row in measure(kind, cut, left, start=start):
            together.append(row)
            if len(together) == len(WIRES):  # one write: several kinds may share the file
                with open(path, "a") as f:
                    f.write("".join(json.dumps(r) + "\n" for r in together))
                print(" ".join([kind, f"{cut} s"] + [f"{r['wire']} {r['after']}" for r in together]),
                      file=sys.stderr, flush=True)
                together = []


def run_all(kinds, cuts_text, path, jobs):
    """Each kind in a process of its own, a few at a time."""
    waiting, running, failed = list(kinds), [], 0
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(subprocess.Popen([sys.executable, __file__, "--out", str(path), "--cuts", cuts_text,
                                             "--kinds", waiting.pop(0), "--quiet-table"]))
        pause(0.2)
        failed += sum(1 for p in running if p.poll() not in (None, 0))
        running = [p for p in running if p.poll() is None]
    return failed == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--cuts", default=CUTS, help="SECONDSxTIMES,..")
    parser.add_argument("--jobs", type=int, default=1, help="kinds measured at the same time")
    parser.add_argument("--table", action="store_true", help="print what there is and end")
    parser.add_argument("--quiet-table", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    kinds = words.kinds.split(",")
    unknown = set(kinds) - set(KINDS)
    if unknown:
        parser.error(f"no such kind: {', '.join(unknown)}")
    is_well = True
    if not words.table:
        netlab.end_on_signals()
        cuts = [tuple(map(int, cut.split("x"))) for cut in words.cuts.split(",")]
        if len(kinds) > 1:
            is_well = run_all(kinds, words.cuts, words.out, words.jobs)
        else:
            run_kind(kinds[0], cuts, words.out)
    if not words.quiet_table:
        print(table(read(words.out)))
    sys.exit(0 if is_well else 1)


if __name__ == "__main__":
    main()
