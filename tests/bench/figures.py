"""The figures of rtcp: what is measured, with which command, and which goal it has. See run.py.

A figure of shape "pairs" comes from rtcp-perf: robust and plain TCP take turns, the figure is the median of the ratios
(above 1: robust TCP is faster) with its 95 % bootstrap interval. Others are commands that print JSON lines.
"""

import dataclasses

EVENT, BLOCKING = ("--face", "event"), ("--face", "blocking")


@dataclasses.dataclass
class Figure:
    name: str
    title: str
    paper: str  # what the paper measured, as text
    goal: float | None  # least ratio; None: reported only
    words: tuple = ()  # of rtcp-perf
    seconds: float = 1.0
    pairs: int = 15
    cpu: float | None = None  # most processor time per byte, as a ratio


def _rr(size, title, face, face_name):
    return Figure(f"rr-{size}-{face_name}", f"{title} round trips, {face_name}", "0.943", 0.97,
                  ("--test", "rr", "--size", str(size), *face))


def _stream(size, title, goal, paper, face, face_name):
    return Figure(f"stream-{size}-{face_name}", f"stream of {title}, {face_name}", paper, goal,
                  ("--test", "stream", "--size", str(size), *face), cpu=1.05 if size >= 8192 else None)


FIGURES = [
    _rr(1, "1 B", EVENT, "event-driven"),
    _rr(1024, "1 KiB", EVENT, "event-driven"),
    _rr(1, "1 B", BLOCKING, "blocking"),
    _rr(1024, "1 KiB", BLOCKING, "blocking"),
    _stream(8192, "8 KiB", 0.98, "0.99", EVENT, "event-driven"),
    _stream(65536, "64 KiB", 1.3, "", EVENT, "event-driven"),
    _stream(8192, "8 KiB", 0.98, "0.99", BLOCKING, "blocking"),
    _stream(65536, "64 KiB", 1.3, "", BLOCKING, "blocking"),
    _stream(64, "64 B", 0.90, "worse", EVENT, "event-driven"),
    _stream(64, "64 B", 0.90, "worse", BLOCKING, "blocking"),
    Figure("stream-64-at-once", "stream of 64 B, each at once", "worse", 0.90,
           ("--test", "stream", "--size", "64", "--at-once", *EVENT)),
    Figure("stream-8192-at-once", "stream of 8 KiB, each at once", "0.99", None,
           ("--test", "stream", "--size", "8192", "--at-once", *EVENT)),
    Figure("stream-64-coalesced", "stream of 64 B, coalesced", "", 5.0,
           ("--test", "stream", "--size", "64", "--coalesce", *EVENT)),
    Figure("stream-64-coalesced-blocking", "stream of 64 B, coalesced, blocking", "", 5.0,
           ("--test", "stream", "--size", "64", "--coalesce", *BLOCKING)),
    Figure("stream-64-coalesced-more", "stream of 64 B, coalesced, blocking, against MSG_MORE", "", None,
           ("--test", "stream", "--size", "64", "--coalesce", "--against", "more", *BLOCKING)),
    Figure("crr-event-driven", "connect + 64 B + 8 KiB + close, event-driven", "0.39 (2.57 times the time)", 0.8,
           ("--test", "crr", *EVENT)),
    Figure("crr-blocking", "connect + 64 B + 8 KiB + close, blocking", "", None, ("--test", "crr", *BLOCKING)),
    Figure("paper-rr", "1 B round trips with the paper's buffer", "0.943", None,
           ("--test", "rr", "--paper", *EVENT)),
    Figure("paper-stream", "stream of 8 KiB with the paper's buffer", "0.99", None,
           ("--test", "stream", "--size", "8192", "--paper", *EVENT)),
]

PINNED = "-pinned"


def pinned(figure, processors):
    """The same figure with the server on one processor and the client on the other."""
    return dataclasses.replace(figure, name=figure.name + PINNED, words=(*figure.words, "--pin", processors))
