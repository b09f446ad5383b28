"""rtcp/vectors.txt is what the independent script makes today, is complete, and is what PROTOCOL.md shows."""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "net")]

import nettest  # noqa: E402
import protocol as p  # noqa: E402
import vectors  # noqa: E402

PAGE = HERE.parent.parent / "rtcp" / "PROTOCOL.md"


def blocks():
    """[(kind, name, fields)] as the file has them."""
    found = []
    for part in vectors.FILE.read_text(encoding="ascii").split("\nvector ")[1:]:
        first, *lines = part.strip().splitlines()
        found.append((*first.split(), dict(line.split(" ", 1) for line in lines)))
    return found


def number(text):
    return int(text, 0)


def raw(text):
    word = text.split()[1]
    return b"" if word == "-" else bytes.fromhex(word)


def test_the_file_is_what_the_script_makes():
    now = vectors.FILE.read_text(encoding="ascii")
    assert now == vectors.text(), "rtcp/vectors.txt differs: tests/conformance/vectors.py --write, and look why"


def test_siphash_gives_the_vector_of_its_authors():
    assert p.siphash(bytes(range(16)), bytes(range(15))) == bytes.fromhex("e545be4961ca29a1")


def test_every_kind_type_flag_and_reason_is_there():
    all_blocks = blocks()
    for key in ("without-key", "with-key"):
        mine = [(kind, fields) for kind, name, fields in all_blocks if name.endswith("-" + key)]
        kinds = {number(f["kind"]) for kind, f in mine if kind in ("request", "answer")}
        assert kinds >= {p.OPEN, p.RESUME, p.CONTROL, p.ACCEPT, p.RESUMED, p.REFUSE}, kinds
        assert {number(f["reason"]) for kind, f in mine if kind == "answer"} >= set(range(12))
        flags = {number(f["flags"]) for kind, f in mine if kind == "answer"}
        assert flags >= {0, p.SHUT, p.SHUT | p.CLOSED, p.TEMPORARY}, flags
        asked = {number(f["flags"]) for kind, f in mine if kind == "request"}
        assert asked >= {0, p.SHUT, p.SHUT | p.CLOSED, p.SHUT | p.CLOSED | p.HEARD}, asked
        types = {(number(f["type"]), number(f["flagged"])) for kind, f in mine if kind == "control"}
        flagged = {(t, 1) for t in (p.HALF_CLOSE, p.CLOSE, p.RESET, p.WAKE, p.PASSIVE)}
        assert types >= {(t, 0) for t in p.CONTROL_DATA if t not in (p.WAKE, p.PASSIVE)} | flagged, types


def test_what_is_decoded_is_what_was_encoded():
    for kind, name, fields in blocks():
        if kind in ("request", "answer"):
            m = p.decode_handshake(raw(fields["bytes"]))
            names = [n for n in (p.REQUEST_FIELDS if kind == "request" else p.ANSWER_FIELDS)
                     if n not in ("nonce", "zero")]
            for n in names:
                assert getattr(m, n) == number(fields[n]) & (p.MASK32 if n in ("received", "sent") else p.MASK64), name
            assert m.nonce == raw(fields["nonce"]), name
        elif kind == "control":
            (m,) = p.decode_controls(raw(fields["bytes"]))
            counts = [number(fields.get(n, "0")) for n in ("received", "final")]
            assert p.control_is_authentic(raw(fields["tag_key"]), m, *counts), name
            assert not p.control_is_authentic(raw(fields["tag_key"]), m, counts[0] + (1 << 32), counts[1]), name


def test_the_page_shows_vectors_of_the_file():
    section = re.search(r"^## Test vectors\n(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.M | re.S).group(1)
    shown = ["".join(part.split()) for part in re.findall(r"^ {4}(?:[0-9a-f]+\s+)+", section, re.M)]
    known = {raw(text).hex() for _, _, fields in blocks() for text in fields.values() if text.startswith("hex ")}
    assert len(shown) >= 5, shown
    for one in shown:
        assert one in known, f"{one} stands in PROTOCOL.md, but not in rtcp/vectors.txt"


def test_every_threat_names_tests_that_exist():
    section = re.search(r"^## Threats\n(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.M | re.S).group(1)
    folders = dict(re.findall(r"\*(\w+)\* is\s+\[\S+\]\(\.\./(\S+)\)", section))
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")][2:]
    assert len(folders) >= 4 and len(rows) >= 15, (folders, rows)
    for row in rows:
        names = re.findall(r"(\w+): (\w+(?:, \w+)*)", row[-1])
        assert names, f"no test shows: {row}"
        for file, tests in names:
            script = (PAGE.parent.parent / folders[file]).read_text(encoding="utf-8")
            for test in tests.split(", "):
                is_there = f"def test_{test}(" in script or f"static void {test}(" in script
                assert is_there, f"{folders[file]} has no {test}"


if __name__ == "__main__":
    nettest.main(globals())
