#!/usr/bin/env python3
"""Counts test cases in the reports of ctest and shows the output of what failed.

A case is counted once, however many builds ran it; it passed if it passed in all of them. Cases are the lines that
cmocka prints ("[       OK ] name"); programs that print none end with "N passed, N failed, N skipped". A test that
prints no count, and one that ends with an error without a failed case, count as one failure.

usage: report.py [--quiet] REPORT.xml..      exit status: 0 if some case passed and none failed
"""
import collections
import re
import sys
import xml.etree.ElementTree

CASE = re.compile(r"\[ *(OK|FAILED|SKIPPED) *\] (.+)$")
SUMMARY = re.compile(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", re.M)
RUNNING = re.compile(r"\[==========\].* test\(s\) run\.")
RANK = {"OK": 0, "SKIPPED": 1, "FAILED": 2}
SHOWN_LINES = 400


def cases_of(output):
    """{(name, how many times seen before): status} of one program's output."""
    cases = {}
    seen = collections.Counter()
    repeating = False  # cmocka lists failures again after the last case of a group
    for line in output.splitlines():
        if "[ RUN      ]" in line:
            repeating = False
        elif RUNNING.search(line):
            repeating = True
        found = CASE.search(line)
        if found and not repeating:
            status, name = found.groups()
            cases[name, seen[name]] = status
            seen[name] += 1
    return cases


def counted(output, ok):
    """Cases of one test, from its output and whether it ended well."""
    cases = cases_of(output)
    if not cases:
        totals = SUMMARY.findall(output)
        if totals:
            for status, count in zip(("OK", "FAILED", "SKIPPED"), totals[-1]):
                for i in range(int(count)):
                    cases[status, i] = status
    if not cases:
        cases["printed no count", 0] = "FAILED"
    if not ok and "FAILED" not in cases.values():
        cases["ended with an error", 0] = "FAILED"
    return cases


def read(path):
    """[(test, output, ok)] of one report."""
    tests = []
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        output = case.findtext("system-out") or ""
        tests.append((case.get("name"), output, case.get("status") == "run"))
    return tests


def main(arguments):
    quiet = "--quiet" in arguments
    worst = {}
    for path in [a for a in arguments if a != "--quiet"]:
        tests = read(path)
        if not tests:
            worst[path, "no tests in this report", 0] = "FAILED"
        for test, output, ok in tests:
            cases = counted(output, ok)
            if "FAILED" in cases.values() and not quiet:
                print(f"\n---- failed: {test} ({path})")
                print("\n".join(output.splitlines()[-SHOWN_LINES:]))
                for (name, _), status in cases.items():
                    if status == "FAILED":
                        print(f"---- failed case: {test}: {name}")
            for key, status in cases.items():
                key = (test, *key)
                worst[key] = max(worst.get(key, "OK"), status, key=RANK.get)
    totals = collections.Counter(worst.values())
    print(f"{totals['OK']} passed, {totals['FAILED']} failed, {totals['SKIPPED']} skipped")
    return 0 if totals["OK"] > 0 and totals["FAILED"] == 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
