#!/usr/bin/env python3
"""Proves that tests/bench tells what was measured: verdicts, more pairs where noise hides a goal, page and plots."""
import json
import os
import pathlib
import stat
import subprocess
import sys
import tempfile
import xml.dom.minidom

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "bench")]

from cases import Cases  # noqa: E402
import figures  # noqa: E402
import page  # noqa: E402
import run as runner  # noqa: E402

RUN = HERE.parent / "bench" / "run.py"
# Stands for rtcp-perf: what it says depends on the number of pairs; each call leaves a line in $CALLS. The congestion
# control is that of a connection.
PERF = """#!/usr/bin/env python3
import json, os, socket, sys
server = socket.create_server(("127.0.0.1", 0))
control = socket.create_connection(server.getsockname()).getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
pairs = int(sys.argv[sys.argv.index("--pairs") + 1])
open(os.environ["CALLS"], "a").write(" ".join(sys.argv[1:]) + chr(10))
low, ratio, high = json.loads(os.environ["SAYS"])["60" if pairs == 60 else "15"]
print(json.dumps({"wire": "rtcp", "per_second": 5.0}))
print(json.dumps({"ratio": ratio, "ratio_low": low, "ratio_high": high, "pairs": pairs, "cpu_ratio": 1.0,
                  "cpu_ratio_low": 1.0, "cpu_ratio_high": 1.0, "noise": 1.0, "noise_low": 1.0, "noise_high": 1.0,
                  "congestion": control.decode().rstrip(chr(0))}))
"""


def run(says, *words):
    """(calls of rtcp-perf, result that was kept) of one figure; the page of the tree stays as it is."""
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        perf = folder / "build/rtcp/tools/rtcp-perf"
        perf.parent.mkdir(parents=True)
        perf.write_text(PERF)
        perf.chmod(perf.stat().st_mode | stat.S_IXUSR)
        env = dict(os.environ, HOLDFAST_BINARY_DIR=str(folder / "build"), CALLS=str(folder / "calls"),
                   SAYS=json.dumps(says))
        done = subprocess.run([sys.executable, RUN, "--results", folder, "--page", folder, *words],
                              env=env, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        kept = {path.stem: page.read(path) for path in folder.glob("*.jsonl")}
        return (folder / "calls").read_text().splitlines(), kept


def result(ratio, low, high, pairs=15):
    last = {"pairs": pairs}
    for name in ("ratio", "cpu_ratio", "noise"):
        last.update({name: ratio, name + "_low": low, name + "_high": high})
    return {"runs": [{"wire": "rtcp", "per_second": 7.0}], "last": last,
            "about": {"commit": "c0ffee", "at": "2026-01-01", "kernel": "6.1", "cpus": 2,
                      "congestion": "cubic"}}


def a_goal_hidden_by_noise_takes_more_pairs():
    calls, kept = run({"15": (0.9, 0.95, 1.0), "60": (0.96, 0.98, 0.99)}, "--only", "rr-1-blocking")
    assert [("--pairs 60" in call) for call in calls] == [False, True], calls
    assert kept["rr-1-blocking"]["last"]["pairs"] == 60


def a_goal_that_is_plainly_missed_takes_no_more_pairs():
    calls, kept = run({"15": (0.8, 0.85, 0.9)}, "--only", "rr-1-blocking")
    assert len(calls) == 1 and kept["rr-1-blocking"]["last"]["ratio"] == 0.85


def fixed_processors_are_a_figure_of_their_own():
    calls, kept = run({"15": (1.0, 1.0, 1.0)}, "--pin", "0,1", "--only", "rr-1-blocking", "rr-1-blocking-pinned")
    assert [("--pin 0,1" in call) for call in calls] == [False, True], calls
    assert sorted(kept) == ["rr-1-blocking", "rr-1-blocking-pinned"]


def runs_have_the_congestion_control_that_was_asked_for():
    figure = "rr-1-blocking"
    hosts = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    may_choose = runner.ground("reno") != []  # namespaces are allowed
    for asked, there in (("reno", "reno" if may_choose else hosts), ("host", hosts)):
        _, kept = run({"15": (1.0, 1.0, 1.0)}, "--only", figure, "--congestion", asked)
        assert kept[figure]["about"]["congestion"] == there, kept[figure]["about"]


def verdicts_follow_the_goal_and_the_interval():
    figure = next(f for f in figures.FIGURES if f.goal == 0.97)
    found = [page.verdict(figure, result(*three)["last"]) for three in ((0.97, 0.9, 1.0), (0.96, 0.9, 0.97),
                                                                           (0.96, 0.9, 0.969))]
    assert found == ["met", "within noise", "missed"], found


def the_report_keeps_what_people_wrote():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "PERFORMANCE.md").write_text(f"before\n{page.BEGIN}\nobsolete\n{page.END}\nafter\n")
        paths = {"heal": folder / "heal.jsonl"}
        figure = figures.FIGURES[0]
        for one, ratio in ((figure, 0.5), (figures.pinned(figure, "0,1"), 0.75)):
            paths[one.name] = folder / f"{one.name}.jsonl"
            of = result(ratio, ratio, ratio)
            paths[one.name].write_text("".join(json.dumps(line) + "\n" for line in (
                *of["runs"], of["last"], {"about": of["about"]})))
        paths["heal"].write_text("".join(json.dumps({"kind": "drop", "cut": 5, "repetition": 0, "wire": wire,
                                                     "after": after}) + "\n"
                                         for wire, after in (("rtcp", 0.042), ("tcp", "ended"))))
        page.write(folder, figures.FIGURES[:1], paths)
        text = (folder / "PERFORMANCE.md").read_text()
        assert text.startswith("before\n") and text.endswith("after\n") and "obsolete" not in text, text
        for words in ("**0.500 [0.500, 0.500]** | missed", "**0.750 [0.750, 0.750]** | missed", "0.042 (0.042)",
                      "1 ended", "c0ffee"):
            assert words in text, f"{words} is missing in:\n{text}"
        for picture, words in (("performance.svg", "0.500 missed"), ("heal.svg", "\u2715 1")):
            plot = (folder / picture).read_text()
            xml.dom.minidom.parseString(plot)
            assert words in plot, plot


if __name__ == "__main__":
    cases = Cases()
    for case in (a_goal_hidden_by_noise_takes_more_pairs, a_goal_that_is_plainly_missed_takes_no_more_pairs,
                 fixed_processors_are_a_figure_of_their_own, runs_have_the_congestion_control_that_was_asked_for,
                 verdicts_follow_the_goal_and_the_interval, the_report_keeps_what_people_wrote):
        cases.run(case.__name__, case)
    sys.exit(cases.end())
