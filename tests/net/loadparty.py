"""One running rtcp-load of a net test: commands to it, and waiting for what it tells.

Owns      the process's input and output.
Relies on the commands and events of rtcp_load.c.
Not here  what is tested.
"""

import json
import os
import pathlib
import subprocess
import threading

import netlab
import nettest
import party


def program():
    build = pathlib.Path(os.environ.get("HOLDFAST_BINARY_DIR", nettest.ROOT / "build" / "release"))
    path = build / "tests" / "net" / "rtcp-load"
    if not path.exists():
        raise SystemExit(f"{path} is not built: build it, or say HOLDFAST_BINARY_DIR")
    return path


class Load(party.Party):
    """Start it with serve() or drive(). Everything that party.Party offers, and commands."""

    def __init__(self, host, words):
        self.host = host
        self.name = host.name
        self.events = []
        self.news = threading.Condition()
        self.errors = party.tempfile.TemporaryFile()
        self.process = host.start([program(), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=self.errors, env=party.ENVIRONMENT)
        threading.Thread(target=self._read, daemon=True).start()

    def say(self, command):
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, command, event, seconds=20):
        """Says it; returns the event that answers."""
        mark = self.mark()
        self.say(command)
        return self.wait(event, seconds, lambda e: e["event"] == event, mark)

    def stats(self):
        return self.ask("stats", "stats")

    def until(self, what, seconds, accept):
        """Asks for the figures until accept() takes them; returns them."""
        last = {}

        def look():
            last.update(self.stats())
            return accept(last)

        try:
            netlab.wait_for(look, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{self.name}: {error}; last: {last}") from None
        return last

    def await_flow(self, size):
        """From now on every session is to receive so many bytes: flowing() tells when they have."""
        self.ask(f"mark {size}", "marked")
        return self.mark()

    def flowing(self, mark, seconds):
        return self.wait("all sessions to flow", seconds, lambda e: e["event"] == "flowing", mark)

    def open(self, count, seconds=60):
        return self.ask(f"open {count}", "opened", seconds)

    def quit(self):
        self.say("quit")
        assert self.process.wait(timeout=20) == 0, self.said()

    def processor_seconds(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            words = f.read().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))


def serve(host, *words, address=None, port=party.PORT):
    load = Load(host, ["serve", f"{address or host.inner}:{port}", *map(str, words)])
    load.wait_kind("ready", 10)
    return load


def drive(host, server, *words, address=None, port=party.PORT):
    load = Load(host, ["drive", f"{address or server.address}:{port}", *map(str, words)])
    load.wait_kind("ready", 10)
    return load
