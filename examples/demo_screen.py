"""The picture of the demo on a terminal, or lines of a log where there is none.

Owns      drawing: colours, redraw at most five times a second, the log under the picture.
Relies on ANSI terminals.
Not here  what is drawn: the scenes.
"""

import os
import re
import shutil
import sys
import time

REDRAW_SECONDS = 0.2
LOG_LINES = 8

_COLOURS = {"red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36", "bold": "1", "dim": "2"}
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def size(n):
    """Bytes as a person reads them."""
    for unit in ("B", "KiB", "MiB"):
        if n < 1024:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1024
    return f"{n:.2f} GiB"


def width(text):
    return len(_ANSI.sub("", text))


def clip(text, columns):
    """Cuts a line with colours to a number of columns."""
    if width(text) <= columns:
        return text
    out, left = [], columns - 1
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z])", text):
        if part.startswith("\x1b"):
            out.append(part)
        elif left > 0:
            out.append(part[:left])
            left -= len(part[:left])
    return "".join(out) + "\x1b[0m"


class Screen:
    """is_live: a picture is drawn. Otherwise only log() and summary() say something."""

    def __init__(self, plain):
        self.is_live = not plain and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self.can_unicode = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
        self.start = time.monotonic()
        self.drawn_at = 0.0
        self.lines_up = 0
        self.recent = []
        if self.is_live:
            sys.stdout.write("\x1b[?25l")

    def colour(self, text, *names):
        if not self.is_live:
            return text
        return "".join(f"\x1b[{_COLOURS[name]}m" for name in names) + text + "\x1b[0m"

    def bar(self, part, whole, columns, colour="green"):
        filled = 0 if whole <= 0 else min(columns, int(columns * part / whole))
        full, empty = ("█", "░") if self.can_unicode else ("#", ".")
        return self.colour(full * filled, colour) + self.colour(empty * (columns - filled), "dim")

    def seconds(self):
        return time.monotonic() - self.start

    def log(self, text, *colours):
        """Something happened."""
        line = f"[{self.seconds():7.3f}] {text}"
        if self.is_live:
            self.recent = (self.recent + [self.colour(line, *colours)])[-LOG_LINES:]
        else:
            print(line, flush=True)

    def draw(self, make_lines, now=False):
        """Draws what make_lines() returns, unless the last picture is too young."""
        if not self.is_live or (not now and time.monotonic() - self.drawn_at < REDRAW_SECONDS):
            return
        self.drawn_at = time.monotonic()
        columns, rows = shutil.get_terminal_size()
        lines = (make_lines() + [""] + self.recent)[:rows - 1]
        text = f"\x1b[{self.lines_up}A" if self.lines_up else ""
        text += "".join("\r" + clip(line, columns) + "\x1b[K\n" for line in lines) + "\x1b[J"
        self.lines_up = len(lines)
        sys.stdout.write(text)
        sys.stdout.flush()

    def summary(self, lines):
        """The last word; stays on the terminal under the last picture."""
        self.close()
        print("\n".join(lines), flush=True)

    def close(self):
        if self.is_live:
            self.is_live = False
            sys.stdout.write("\x1b[?25h\n")
            sys.stdout.flush()

    def link(self, state, length):
        """A link as a piece of line; state: 'up', 'down' or 'cut'."""
        plain = "─" if self.can_unicode else "-"
        if state == "up":
            return self.colour(plain * length, "green")
        mark = ("╳" if self.can_unicode else "X") if state == "cut" else "?"
        half = (length - 3) // 2
        text = plain * half + f" {mark} " + plain * (length - 3 - half)
        return self.colour(text, "red" if state == "cut" else "yellow")
