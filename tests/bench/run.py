#!/usr/bin/env python3
"""Measures every figure of rtcp and writes rtcp/PERFORMANCE.md with its plot.

Owns      the order of the figures, their results (one file of JSON lines each), the report.
Relies on a release build (rtcp-perf, transfer); heal.py for cuts of the network, which needs root or user namespaces.
Not here  how a figure is measured: rtcp/tools (perf), heal.py.

A figure whose result exists is not measured again, so the command can be ended and repeated at any time. Nothing else
should run on the machine: the noise (plain TCP against itself) is measured, too. Each figure with a goal is measured on
free and on fixed processors (-pinned); where noise hides its goal, it is measured again with more pairs. The runs have
a loopback of their own with the congestion control that kernels have unless told otherwise: some pace what they send,
which on a loopback measures little else.

    tests/bench/run                        everything that is missing, then the report; about an hour
    tests/bench/run --only rr-1-blocking   some figures
    tests/bench/run --again NAME ..        measured anew
    tests/bench/run --pairs 60             more pairs for all
    tests/bench/run --congestion host      with the congestion control of this machine
    tests/bench/run --list                 the figures and whether they are there
    tests/bench/run --report               only the report, of what is there
"""

import argparse
import json
import os
import pathlib
import platform
import subprocess
import sys
import time

import page
from figures import FIGURES, pinned

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
HEAL = "heal"
PAIRS_IN_NOISE = 60


def say(text):
    print(text, file=sys.stderr, flush=True)


def build_of():
    return pathlib.Path(os.environ.get("HOLDFAST_BINARY_DIR", ROOT / "build" / "release"))


def commit():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def keep(path, lines):
    """A result is there as a whole or not at all."""
    part = path.with_suffix(".part")
    part.write_text("".join(line + "\n" for line in lines))
    part.rename(path)


def ground(congestion):
    """Words before a command that give it a network namespace of its own with this congestion control; none for the
    host's, or where that is not allowed."""
    if congestion == "host":
        return []
    words = ["unshare", *([] if os.geteuid() == 0 else ["--map-root-user"]), "--net", "sh", "-c",
             'ip link set lo up && ip route replace local 127.0.0.1 dev lo table local src 127.0.0.1 congctl "$0" '
             '&& exec "$@"', congestion]
    done = subprocess.run([*words, "true"], capture_output=True, text=True)
    if done.returncode != 0:
        say(f"measured with this machine's congestion control, not {congestion}: {done.stderr.strip()}")
        return []
    return words


def measure(figure, path, options, pairs):
    """One figure, kept in its file; the summary of rtcp-perf, or None where it could not be measured."""
    seconds = options.seconds or figure.seconds
    command = [build_of() / "rtcp/tools/rtcp-perf", *figure.words, "--pairs", str(pairs), "--seconds", str(seconds)]
    say(f"{figure.name}: {pairs} rounds of 3 runs of {seconds} s, about {3 * pairs * seconds:.0f} s")
    done = subprocess.run([*options.ground, *command], capture_output=True, text=True)
    if done.returncode != 0:
        say(f"{figure.name}: not measured: {done.stderr.strip()}")
        return None
    lines = done.stdout.splitlines()
    last = json.loads(lines[-1])
    say(f"  {last['ratio']:.3f} [{last['ratio_low']:.3f}, {last['ratio_high']:.3f}] {page.verdict(figure, last)}")
    about = {"commit": commit(), "kernel": platform.release(), "cpus": os.cpu_count(), "load": os.getloadavg()[0],
             "at": time.strftime("%Y-%m-%d"), "congestion": last.get("congestion", "unknown"),
             "command": " ".join(map(str, ["rtcp-perf", *command[1:]]))}
    keep(path, [*lines, json.dumps({"about": about})])
    return last


def measure_pairs(figure, path, options):
    last = measure(figure, path, options, options.pairs or figure.pairs)
    if last and not options.pairs and page.verdict(figure, last) == "within noise":
        last = measure(figure, path, options, PAIRS_IN_NOISE)
    return last is not None


def measure_heal(path, options):
    say(f"{HEAL}: cuts {options.cuts}; heal.py shows its own progress and goes on where it ended")
    return subprocess.run([sys.executable, ROOT / "tests/bench/heal.py", "--out", path, "--cuts", options.cuts],
                          check=False).returncode == 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build" / "bench", help="folder (build/bench)")
    parser.add_argument("--page", type=pathlib.Path, default=ROOT / "rtcp", metavar="FOLDER",
                        help="where PERFORMANCE.md and the plots are written (rtcp)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="these figures")
    parser.add_argument("--again", nargs="+", default=[], metavar="NAME", help="these figures, also if they are there")
    parser.add_argument("--pairs", type=int, default=0,
                        help="pairs of runs (each figure's own number, 15, and 60 where noise hides its goal)")
    parser.add_argument("--seconds", type=float, default=0, help="of each run (each figure's own number, 1)")
    parser.add_argument("--pin", default=",".join(map(str, sorted(os.sched_getaffinity(0))[:2])), metavar="CPU,CPU",
                        help="fixed processors of the server and the client (the first two; with only one, none)")
    parser.add_argument("--congestion", default="cubic", metavar="NAME",
                        help="congestion control of the runs, or host: as this machine has it (cubic)")
    parser.add_argument("--cuts", default="1x20,5x20", help="cuts of the network (1x20,5x20)")
    parser.add_argument("--list", action="store_true", help="the figures and whether they are there")
    parser.add_argument("--report", action="store_true", help="only the report")
    return parser.parse_args()


def main():
    options = parse()
    figures = FIGURES + [pinned(figure, options.pin) for figure in FIGURES if figure.goal and "," in options.pin]
    names = [figure.name for figure in figures] + [HEAL]
    wanted = options.only + options.again or names
    unknown = [name for name in wanted if name not in names]
    if unknown:
        say(f"no such figure: {', '.join(unknown)} (try --list)")
        return 2
    paths = {name: options.results / f"{name}.jsonl" for name in names}
    if options.list:
        for name in names:
            print(f"{'there  ' if paths[name].exists() else 'missing'} {name}")
        return 0
    options.results.mkdir(parents=True, exist_ok=True)
    options.ground = [] if options.report else ground(options.congestion)
    failed = []
    for figure in [] if options.report else figures:
        path = paths[figure.name]
        if figure.name in wanted and (figure.name in options.again or not path.exists()):
            if not measure_pairs(figure, path, options):
                failed.append(figure.name)
    if not options.report and HEAL in wanted and not measure_heal(paths[HEAL], options):
        failed.append(HEAL)
    page.write(options.page, FIGURES, paths)
    say(f"report: {options.page}/PERFORMANCE.md" + (f"; not measured: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
