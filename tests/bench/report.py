"""Results of run.py as rtcp/PERFORMANCE.md and rtcp/performance.svg; says of each goal whether it is met."""

import json
import re
import statistics

import heal

BEGIN, END = "<!-- figures: written by tests/bench/run -->", "<!-- end of figures -->"
WIDTH, ROW, LEFT, RIGHT = 980, 30, 400, 150
LOW, HIGH = 0.1, 10.0  # of the logarithmic axis


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


def _cells(figure, result):
    last, runs = result["last"], result["runs"]
    cpu = _interval(last, "cpu_ratio")
    if figure.cpu is not None:
        cpu += " met" if last["cpu_ratio"] <= figure.cpu else " missed"
    return [figure.title, figure.paper, f">= {figure.goal}" if figure.goal else "", f"**{_interval(last, 'ratio')}**",
            verdict(figure, last), _interval(last, "noise"),
            f"{_number(_median(runs, 'rtcp', 'per_second'))} / {_number(_median(runs, 'tcp', 'per_second'))}",
            f"{_number(_median(runs, 'rtcp', 'p99_us'))} / {_number(_median(runs, 'tcp', 'p99_us'))}", cpu]


def table(figures, results):
    rows = ["| figure | paper | goal | ratio [95 %] | | noise: TCP / TCP | 1/s, rtcp / TCP | p99 us, rtcp / TCP | "
            "processor time, ratio |", "|---|---|---|---|---|---|---|---|---|"]
    for figure in figures:
        if figure.name in results:
            rows.append("| " + " | ".join(_cells(figure, results[figure.name])) + " |")
        else:
            rows.append(f"| {figure.title} | {figure.paper} | {figure.goal or ''} | not measured | | | | | |")
    return "\n".join(rows)


def _x(ratio):
    import math
    share = (math.log10(min(max(ratio, LOW), HIGH)) - math.log10(LOW)) / (math.log10(HIGH) - math.log10(LOW))
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def plot(figures, results):
    there = [figure for figure in figures if figure.name in results]
    height = 90 + ROW * len(there)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
           f'font-size="13"><title>rtcp against plain TCP</title>'
           f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
           f'<text x="20" y="28" font-size="17">Robust TCP against plain TCP: ratio of the same work per second</text>'
           f'<text x="20" y="48" fill="#555">right of 1: robust TCP is faster; bar: 95 % interval; '
           f'red mark: goal</text>']
    for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10):
        colour = "#888" if tick == 1 else "#ddd"
        out.append(f'<line x1="{_x(tick):.1f}" x2="{_x(tick):.1f}" y1="60" y2="{height - 25}" stroke="{colour}"/>'
                   f'<text x="{_x(tick):.1f}" y="{height - 8}" text-anchor="middle" fill="#555">{tick}</text>')
    for i, figure in enumerate(there):
        last = results[figure.name]["last"]
        y = 75 + ROW * i
        out.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{figure.title}</text>'
                   f'<line x1="{_x(last["ratio_low"]):.1f}" x2="{_x(last["ratio_high"]):.1f}" y1="{y}" y2="{y}" '
                   f'stroke="#1f5fa8" stroke-width="6" stroke-opacity="0.45"/>'
                   f'<circle cx="{_x(last["ratio"]):.1f}" cy="{y}" r="5" fill="#1f5fa8"/>'
                   f'<text x="{WIDTH - RIGHT + 12}" y="{y + 4}">{last["ratio"]:.3f} {verdict(figure, last)}</text>')
        if figure.goal:
            out.append(f'<line x1="{_x(figure.goal):.1f}" x2="{_x(figure.goal):.1f}" y1="{y - 10}" y2="{y + 10}" '
                       f'stroke="#c0392b" stroke-width="2"/>')
    out.append("</svg>\n")
    return "\n".join(out)


def write(folder, figures, paths):
    """Replaces what stands between the two marks of PERFORMANCE.md; what people wrote around it stays."""
    results = {figure.name: read(paths[figure.name]) for figure in figures if paths[figure.name].exists()}
    page = folder / "PERFORMANCE.md"
    text = page.read_text() if page.exists() else f"# How fast rtcp is\n\n{BEGIN}\n{END}\n"
    abouts = sorted({f"commit {r['about']['commit']}, {r['about']['at']}, kernel {r['about']['kernel']}, "
                     f"{r['about']['cpus']} CPUs" for r in results.values()})
    parts = [BEGIN, "", table(figures, results), "", "![ratios](performance.svg)", "", "Measured: "
             + "; ".join(abouts) + "."]
    if paths["heal"].exists():
        parts += ["", "### Data flows again", "", "Seconds from the heal until both directions carry new bytes:", "",
                  "```", heal.table(heal.read(paths["heal"])), "```"]
    parts += ["", END]
    replaced = re.sub(re.escape(BEGIN) + ".*" + re.escape(END), lambda _: "\n".join(parts), text, flags=re.S)
    page.write_text(replaced)
    (folder / "performance.svg").write_text(plot(figures, results))
