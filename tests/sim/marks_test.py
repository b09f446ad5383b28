#!/usr/bin/env python3
"""Every row of every table of states of the product is a mark that the known seeds must reach (seeds/*.marks).

A row that no seed can reach stands in the same files as "# not: OBJECT i > j: why", and names the test that shows it
where there is one.
"""
import glob
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
sys.path.insert(0, os.path.join(HERE, ".."))

from cases import Cases  # noqa: E402

# How the trace calls what a table belongs to.
OBJECTS = {"rtcp/session.c life_rules": "session", "rtcp/path.c path_rules": "path", "rtcp/path.c try_rules": "try",
           "membership/role.c roles": "order", "membership/found.c rules": "found", "membership/hello.c rules": "pair"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def tables():
    """{file and name: [(constant, name, [constants that may follow])]} of the product."""
    found = {}
    for layer in ("rtcp", "membership", "replication"):
        for path in sorted(glob.glob(os.path.join(ROOT, layer, "**", "*.c"), recursive=True)):
            for name, body in re.findall(r"struct base_state (\w+)\[\] = \{(.*?)\n\};", read(path), re.S):
                rows = re.findall(r'\[(\w+)\] = \{"([^"]*)",(.*?)\}', body, re.S)
                key = f"{os.path.relpath(path, ROOT)} {name}"
                found[key] = [(row, text, re.findall(r"BASE_TO\((\w+)\)", after)) for row, text, after in rows]
    return found


def rows(key, table):
    """The rows as coverage prints them."""
    number = {constant: i for i, (constant, _, _) in enumerate(table)}
    name = {constant: text for constant, text, _ in table}
    return {f"{OBJECTS[key]} {number[row]} > {number[after]}, {name[after]}"
            for row, _, follow in table for after in follow}


def marks():
    """Rows that must be reached, and {row without its name: why not} of the others."""
    reached, excused = set(), {}
    for path in glob.glob(os.path.join(HERE, "seeds", "*.marks")):
        for line in read(path).splitlines():
            excuse = re.fullmatch(r"# not: (\w+ \d+ > \d+, [\w-]+): (.+)", line)
            if excuse:
                excused[excuse[1]] = excuse[2]
            elif not line.startswith("#"):
                reached.add(line)
    return reached, excused


def every_table_is_known():
    unknown = sorted(set(tables()) ^ set(OBJECTS))
    assert not unknown, f"tables of states and the list here differ: {unknown}"


def rows_are_in_the_order_of_their_enumeration():
    text = "".join(read(path) for layer in ("rtcp", "membership")
                   for path in sorted(glob.glob(os.path.join(ROOT, layer, "*.h"))))
    enumerations = [re.findall(r"\b([A-Z][A-Z0-9_]+)\b", re.sub(r"/\*.*?\*/", "", body, flags=re.S))
                    for body in re.findall(r"enum \w+ \{(.*?)\};", text, re.S)]
    for key, table in tables().items():
        assert [row for row, _, _ in table] in enumerations, f"{key}: its rows stand in another order"


def every_row_is_a_mark():
    reached, excused = marks()
    missing = sorted(row for key, table in tables().items() for row in rows(key, table)
                     if row not in reached and row not in excused)
    assert not missing, f"no known seed must reach: {missing}"


def nothing_is_excused_without_need():
    reached, excused = marks()
    every = {row for key, table in tables().items() for row in rows(key, table)}
    wrong = sorted(row for row in excused if row in reached or row not in every)
    assert not wrong, f"excused, but reached, or no row at all: {wrong}"


def tests_that_excuses_name_exist():
    text = "".join(read(path) for path in glob.glob(os.path.join(HERE, "..", "*", "*", "*_*.c")))
    wrong = [f"{row}: {test}" for row, why in sorted(marks()[1].items())
             for test in re.findall(r"\b\w+_\w+_\w+\b", why) if f"cmocka_unit_test({test})" not in text]
    assert not wrong, f"no such test: {wrong}"


def main():
    cases = Cases()
    for case in (every_table_is_known, rows_are_in_the_order_of_their_enumeration, every_row_is_a_mark,
                 nothing_is_excused_without_need, tests_that_excuses_name_exist):
        cases.run(case.__name__, case)
    return cases.end()


if __name__ == "__main__":
    sys.exit(main())
