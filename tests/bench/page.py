"""Results of run.py as tables in rtcp/PERFORMANCE.md, beside the plots; says of each goal whether it is met."""

import json
import re
import statistics

import heal
import plot
from figures import PINNED

BEGIN, END = "<!-- figures: written by tests/bench/run -->", "<!-- end of figures -->"


def read(path):
    if not path.exists():
        return None
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    about = lines.pop()["about"]
    runs, last = lines[:-1], lines[-1]
    return {"runs": runs, "last": last, "about": about}


def verdict(figure, last):
    if figure.goal is None:
        return ""
    if last["ratio"] >= figure.goal:
        return "met"
    return "within noise" if last["ratio_high"] >= figure.goal else "missed"


def _median(runs, wire, field):
    values = [run[field] for run in runs if run["wire"] == wire and run.get(field) is not None]
    return statistics.median(values) if values else None


def _number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _interval(last, name):
    if last.get(name) is None:
        return "-"
    return f"{last[name]:.3f} [{last[name + '_low']:.3f}, {last[name + '_high']:.3f}]"


def _cpu(figure, last):
    cpu = _interval(last, "cpu_ratio")
    if figure.cpu is None:
        return cpu
    return cpu + (" met" if last["cpu_ratio"] <= figure.cpu else " missed")


def _cells(figure, result):
    last, runs = result["last"], result["runs"]
    return [figure.title, figure.paper, f">= {figure.goal}" if figure.goal else "", f"**{_interval(last, 'ratio')}**",
            verdict(figure, last), _interval(last, "noise"),
            f"{_number(_median(runs, 'rtcp', 'per_second'))} / {_number(_median(runs, 'tcp', 'per_second'))}",
            f"{_number(_median(runs, 'rtcp', 'p99_us'))} / {_number(_median(runs, 'tcp', 'p99_us'))}",
            _cpu(figure, last)]


def table(figures, results):
    rows = ["| figure | paper | goal | ratio [95 %] | | noise: TCP / TCP | 1/s, rtcp / TCP | p99 us, rtcp / TCP | "
            "processor time, ratio |", "|---|---|---|---|---|---|---|---|---|"]
    for figure in figures:
        if figure.name in results:
            rows.append("| " + " | ".join(_cells(figure, results[figure.name])) + " |")
        else:
            rows.append(f"| {figure.title} | {figure.paper} | {figure.goal or ''} | not measured | | | | | |")
    return "\n".join(rows)


def pinned_table(figures, results):
    """The figures that were measured on fixed processors, too; "" where none was."""
    rows = []
    for figure in figures:
        result = results.get(figure.name + PINNED)
        if result:
            last = result["last"]
            rows.append(f"| {figure.title} | {'>= ' + str(figure.goal) if figure.goal else ''} | "
                        f"**{_interval(last, 'ratio')}** | {verdict(figure, last)} | {_interval(last, 'noise')} | "
                        f"{_cpu(figure, last)} |")
    if not rows:
        return ""
    return "\n".join(["### On fixed processors", "",
                      "The same, with the server on one processor and the client on another:", "",
                      "| figure | goal | ratio [95 %] | | noise: TCP / TCP | processor time, ratio |",
                      "|---|---|---|---|---|---|", *rows])


def _measured(results):
    """From which build and machine the figures are, and which of them took more than the usual pairs."""
    abouts = sorted({f"commit {r['about']['commit']}, {r['about']['at']}, kernel {r['about']['kernel']}, "
                     f"{r['about']['cpus']} CPUs, congestion control {r['about'].get('congestion', 'unknown')}"
                     for r in results.values()})
    pairs = sorted({r["last"]["pairs"] for r in results.values()})
    return (f"Measured: {'; '.join(abouts)}; {' or '.join(map(str, pairs))} pairs of runs for each figure"
            + (" (more where noise hid a goal)." if len(pairs) > 1 else "."))


def write(folder, figures, paths):
    """Replaces what stands between the two marks of PERFORMANCE.md; what people wrote around it stays."""
    results = {name: read(path) for name, path in paths.items() if name != "heal" and path.exists()}
    cuts = heal.read(paths["heal"])
    path = folder / "PERFORMANCE.md"
    text = path.read_text() if path.exists() else f"# How fast rtcp is\n\n{BEGIN}\n{END}\n"
    parts = [BEGIN, table(figures, results), "![ratios](performance.svg)", _measured(results),
             pinned_table(figures, results)]
    if cuts:
        parts += ["### Data flows again",
                  "Seconds from the heal until both directions carry new bytes: the median, and\n"
                  "the worst in parentheses. *Ended* is a connection that told its program so.",
                  heal.table(cuts), "![data flows again](heal.svg)"]
        (folder / "heal.svg").write_text(plot.cuts(cuts))
    measured = "\n\n".join([part for part in parts if part] + [END])
    path.write_text(re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: measured, text, flags=re.S))
    (folder / "performance.svg").write_text(plot.ratios(figures, results, verdict))
