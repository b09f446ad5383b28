"""Plots of the figures as SVG: ratios to plain TCP, and times after cuts, on logarithmic axes.

Owns      shapes and colours.
Not here  what is met or missed: page.py, heal.py.
"""

import math

import heal
from figures import PINNED

WIDTH, ROW, LEFT, RIGHT, TOP, BOTTOM = 980, 30, 400, 150, 75, 35
BLUE, GREY, ORANGE, RED = "#1f5fa8", "#777777", "#d98324", "#c0392b"
COLOURS = {"rtcp": BLUE, "tcp": GREY, "tcp-rto-max": ORANGE}
WIRES = {"rtcp": "robust TCP", "tcp": "plain TCP", "tcp-rto-max": "plain TCP with TCP_RTO_MAX_MS=1000"}


class Page:
    """A picture of rows over one logarithmic axis."""

    def __init__(self, title, note, rows, low, high):
        self.low, self.high = low, high
        self.height = TOP + ROW * rows + BOTTOM
        self.out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
                    f'font-family="sans-serif" font-size="13"><title>{title}</title>'
                    f'<rect width="{WIDTH}" height="{self.height}" fill="white"/>']
        self.text(20, 28, title, size=17)
        self.text(20, 48, note, colour="#555")

    def x(self, value):
        share = math.log(min(max(value, self.low), self.high) / self.low) / math.log(self.high / self.low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, row):
        return TOP + ROW * (row + 0.5)

    def text(self, x, y, words, size=13, colour="black", anchor="start"):
        self.out.append(f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" fill="{colour}" '
                        f'text-anchor="{anchor}">{words}</text>')

    def line(self, x1, y1, x2, y2, colour, width=1.0, opacity=1.0):
        self.out.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" '
                        f'stroke-width="{width}" stroke-opacity="{opacity}"/>')

    def dot(self, x, y, colour, radius=5.0, opacity=1.0, is_filled=True):
        self.out.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" stroke="{colour}" fill-opacity="{opacity}" '
                        f'stroke-opacity="{opacity}" fill="{colour if is_filled else "white"}"/>')

    def axis(self, ticks, strong=None):
        for tick in ticks:
            colour = "#888" if tick == strong else "#ddd"
            self.line(self.x(tick), TOP - 10, self.x(tick), self.height - BOTTOM + 5, colour)
            self.text(self.x(tick), self.height - 12, f"{tick:g}", colour="#555", anchor="middle")

    def mark(self, value, row):
        """A goal."""
        self.line(self.x(value), self.y(row) - 11, self.x(value), self.y(row) + 11, RED, 2)

    def name(self, row, words):
        self.text(LEFT - 12, self.y(row) + 4, words, anchor="end")

    def end(self, row, words):
        self.text(WIDTH - RIGHT + 12, self.y(row) + 4, words)

    def done(self):
        return "\n".join(self.out) + "\n</svg>\n"


def ratios(figures, results, verdict):
    there = [figure for figure in figures if figure.name in results]
    page = Page("Robust TCP against plain TCP: ratio of the same work per second",
                "right of 1: robust TCP is faster; bar: 95 % interval; hollow: on fixed processors; red mark: goal; "
                "arrow: outside the picture", len(there), 0.4, 2)
    page.axis((0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.5, 2), strong=1)
    for row, figure in enumerate(there):
        last, fixed = results[figure.name]["last"], results.get(figure.name + PINNED)
        y = page.y(row)
        page.name(row, figure.title)
        page.line(page.x(last["ratio_low"]), y, page.x(last["ratio_high"]), y, BLUE, 6, 0.45)
        if page.low <= last["ratio"] <= page.high:
            page.dot(page.x(last["ratio"]), y, BLUE)
        else:
            page.text(page.x(last["ratio"]), y + 5, "\u25b6" if last["ratio"] > page.high else "\u25c0", colour=BLUE,
                      anchor="middle")
        if fixed:
            page.dot(page.x(fixed["last"]["ratio"]), y, BLUE, 4, is_filled=False)
        page.end(row, f"{last['ratio']:.3f} {verdict(figure, last)}")
        if figure.goal and page.low <= figure.goal <= page.high:
            page.mark(figure.goal, row)
    return page.done()


def cuts(rows):
    """One dot for each stream and cut; those whose connection ended stand as a cross at the right."""
    kinds = [(kind, cut) for kind in heal.KINDS for cut in sorted({r["cut"] for r in rows if r["kind"] == kind})]
    legend = " ".join(f'<tspan fill="{COLOURS[wire]}">\u25cf</tspan> {name}' for wire, name in WIRES.items())
    page = Page("Seconds from the heal until data flows again",
                legend + "; cross: the connection ended; red mark: goal", len(kinds), 0.01, 100)
    page.axis((0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100))
    for row, (kind, cut) in enumerate(kinds):
        page.name(row, f"{heal.KINDS[kind]}, {cut} s")
        for place, wire in enumerate(WIRES):
            of = [r["after"] for r in rows if (r["kind"], r["cut"], r["wire"]) == (kind, cut, wire)]
            y = page.y(row) + 7 * (place - 1)
            for after in (value for value in of if not isinstance(value, str)):
                page.dot(page.x(after), y, COLOURS[wire], 3, 0.5)
            ended = sum(isinstance(value, str) for value in of)
            if ended:
                page.text(WIDTH - RIGHT + 12 + 45 * place, page.y(row) + 4, f"\u2715 {ended}", colour=COLOURS[wire])
        if kind in heal.GOALS:
            page.mark(heal.GOALS[kind][1], row)
    return page.done()
