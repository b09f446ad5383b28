"""The blocking face over a cut of the network: a file each way, swapped by a program with two threads on each side.

Properties: design 2.1 (nothing lost or repeated, no timer ends a stream), 2.8 (two faces). The programs read what they
send from a pipe, so that bytes are under way whenever the network is cut.
"""

import hashlib
import os
import pathlib
import subprocess
import tempfile
import threading

import netlab
import nettest

IS_LONG = os.environ.get("HOLDFAST_ALL") == "1"
CUT_SECONDS = 30 if IS_LONG else 3
PIECE = 6 << 20


class Swapper:
    """One `swap` program. feed() gives it bytes to send, in the background."""

    def __init__(self, host, words, seed, copy):
        self.copy = copy
        self.sent = hashlib.sha256()
        self.size = 0
        self.block = hashlib.shake_256(seed).digest(1 << 20)
        self.feeders = []
        self.process = host.start([nettest.program("swap"), *words, "/dev/stdin", copy], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def feed(self):
        before = self.feeders[-1] if self.feeders else None
        self.feeders.append(threading.Thread(target=self._feed, args=(before,), daemon=True))
        self.size += PIECE
        self.feeders[-1].start()

    def _feed(self, before):
        if before:
            before.join()
        for number in range(PIECE >> 20):
            piece = number.to_bytes(8, "big") + self.block[8:]
            self.sent.update(piece)
            self.process.stdin.write(piece)
            self.process.stdin.flush()

    def got(self):
        return self.copy.stat().st_size if self.copy.exists() else 0

    def end(self):
        for feeder in self.feeders:
            feeder.join(120)
        self.process.stdin.close()

    def finish(self):
        """What it printed, as numbers by name."""
        assert self.process.wait(120) == 0, self.process.stderr.read()
        words = self.process.stdout.read().split()
        return {words[i].decode(): int(words[i + 1]) for i in range(0, len(words) - 1, 2)}


def swap(break_it, times):
    with tempfile.TemporaryDirectory() as home, netlab.open_lab(hosts=2) as lab:
        home = pathlib.Path(home)
        a, b = lab.hosts
        server = Swapper(a, ["listen", f"{a.address}:7100"], b"a", home / "copy-of-b")
        said = server.process.stdout.readline()
        assert said.startswith(b"listening"), said
        client = Swapper(b, ["connect", f"{a.address}:7100"], b"b", home / "copy-of-a")
        for _ in range(times):
            least = server.size
            for one in (server, client):
                one.feed()
            netlab.wait_for(lambda: server.got() > least and client.got() > least, 60, "bytes of this round")
            break_it(lab, server, client)
        for one in (server, client):
            one.feed()
        for one in (server, client):
            one.end()
        totals = [one.finish() for one in (client, server)]
        for total in totals:
            assert total["sent"] == total["received"] == server.size == client.size, totals
            assert total["connections"] > 1, "nothing broke"
        for one, other in ((server, client), (client, server)):
            with open(other.copy, "rb") as file:
                assert hashlib.file_digest(file, "sha256").digest() == one.sent.digest()
        print(f"    {times} breaks, {totals[0]['connections']} connections, {totals[0]['received']} bytes each way")


def cut(kind):
    def break_it(lab, server, client):
        host = lab.hosts[1]
        lab.cut(host, kind)
        for one in (server, client):
            one.feed()  # more than fits anywhere: the ring, the kernel and the pipe fill up
        before = server.got() + client.got()
        end = netlab.now() + CUT_SECONDS
        netlab.wait_for(lambda: netlab.now() >= end, CUT_SECONDS + 5, "the end of the cut")
        assert server.got() + client.got() <= before + (8 << 20), "the cut must cut"
        lab.heal(host)
    return break_it


def reset(lab, _server, _client):
    lab.hosts[1].reset_connections("dport", "=", ":7100")


def test_a_file_each_way_survives_a_cut():
    swap(cut("drop"), 1)


def test_a_file_each_way_survives_connections_that_are_reset():
    swap(reset, 12)


@nettest.only_with_all
def test_a_file_each_way_survives_a_link_that_is_down():
    swap(cut("link"), 2)


nettest.main(globals())
