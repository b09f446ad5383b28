"""rtcp-perf measures: every shape runs over both wires, and what it prints can be read. No figure is judged here."""

import json
import os
import pathlib
import subprocess

import nettest

PERF = pathlib.Path(os.environ.get("HOLDFAST_BINARY_DIR", nettest.ROOT / "build" / "release")) / "rtcp/tools/rtcp-perf"


def perf(*words):
    return subprocess.run([PERF, *map(str, words)], capture_output=True, text=True, timeout=60)


def shape(test, *words):
    done = perf("--test", test, "--pairs", 2, "--seconds", 0.1, "--port", 7811, *words)
    assert done.returncode == 0, done.stderr
    *runs, last = map(json.loads, done.stdout.splitlines())
    assert len(runs) == 4 and {run["wire"] for run in runs} >= {"tcp"}
    assert all(run["count"] > 0 and run["test"] == test for run in runs)
    assert last["pairs"] == 2 and 0 < last["ratio_low"] <= last["ratio"] <= last["ratio_high"]
    return last


def test_a_message_and_its_echo():
    shape("rr")
    shape("rr", "--size", 1024)


def test_messages_one_way():
    shape("stream", "--size", 65536)


def test_connect_request_close():
    shape("crr")


def test_plain_tcp_against_itself():
    assert shape("rr", "--noise")["of"] == "tcp"


def test_wrong_command_lines():
    for words in ([], ["--test", "x"], ["--test", "rr", "--size", "0"], ["--test", "rr", "more"]):
        done = perf(*words)
        assert done.returncode == 2 and done.stderr and not done.stdout
    assert perf("--help").returncode == 0


if __name__ == "__main__":
    nettest.main(globals())
