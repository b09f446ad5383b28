"""The input of the demo: one record a line.

Owns      reading the file; the key of a record.
Relies on nothing.
Not here  what becomes of the records.

A line of UnicodeData.txt begins with a code point: its key is "U+" and the code point. A line of another file has its
number as key. The value is the whole line. Empty lines are left out.
"""

import re

DEFAULT = "/usr/share/unicode/UnicodeData.txt"
RECORDS_MAX = 1_000_000

_CODE_POINT = re.compile(rb"([0-9A-F]{4,6});")


class InputError(Exception):
    """The input cannot be used; the text says why."""


def key_of(line, number):
    match = _CODE_POINT.match(line)
    return b"U+" + match[1] if match else b"line:%d" % number


def read(path):
    """(path, [(key, value)]): the keys differ, so that every record can be read back."""
    path = path or DEFAULT
    try:
        with open(path, "rb") as f:
            lines = f.read().split(b"\n")
    except OSError as error:
        hint = ": install Debian's package unicode-data" if path == DEFAULT else ""
        raise InputError(f"{path}: {error.strerror}{hint}") from None
    records = {}
    for number, line in enumerate(lines, 1):
        if line:
            key = key_of(line, number)
            records[key if key not in records else b"line:%d" % number] = line
    if not 2 <= len(records) <= RECORDS_MAX:
        raise InputError(f"{path}: {len(records)} records; from 2 to {RECORDS_MAX} are needed")
    return path, list(records.items())
