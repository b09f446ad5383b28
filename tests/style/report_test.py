#!/usr/bin/env python3
"""Proves that the count of tests/run can be trusted: failures, crashes and silent tests are not lost in it."""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from cases import Cases  # noqa: E402

REPORT = os.path.join(os.path.dirname(__file__), "..", "report.py")
CMOCKA = """[==========] Running 3 test(s).
[ RUN      ] a
[       OK ] a
[ RUN      ] b
[  {b} ] b
[ RUN      ] c
[  SKIPPED ] c
[==========] 3 test(s) run.
[  PASSED  ] 1 test(s).
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] b
"""


def report(*builds):
    """(exit status, last line) for builds of [(test, status, output)]."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, tests in enumerate(builds):
            paths.append(os.path.join(folder, f"{number}.xml"))
            with open(paths[-1], "w", encoding="utf-8") as file:
                file.write("<testsuite>")
                for name, status, text in tests:
                    file.write(f'<testcase name="{name}" status="{status}"><system-out>{text}</system-out></testcase>')
                file.write("</testsuite>")
        done = subprocess.run([sys.executable, REPORT, *paths], stdout=subprocess.PIPE, text=True, check=False)
        return done.returncode, done.stdout.splitlines()[-1]


def expect(status, line, *builds):
    got = report(*builds)
    assert got == (status, line), f"expected {(status, line)}, got {got}"


def main():
    cases = Cases()
    passing = CMOCKA.format(b="     OK")
    failing = CMOCKA.format(b="FAILED ")
    cases.run("cases_are_counted", expect, 0, "2 passed, 0 failed, 1 skipped", [("t", "run", passing)])
    cases.run("a_failed_case_is_counted_once", expect, 1, "1 passed, 1 failed, 1 skipped", [("t", "fail", failing)])
    cases.run("a_case_counts_once_over_two_builds", expect, 0, "2 passed, 0 failed, 1 skipped",
              [("t", "run", passing)], [("t", "run", passing)])
    cases.run("a_case_that_fails_in_one_build_failed", expect, 1, "1 passed, 1 failed, 1 skipped",
              [("t", "run", passing)], [("t", "fail", failing)])
    cases.run("a_crash_after_good_cases_is_a_failure", expect, 1, "1 passed, 1 failed, 0 skipped",
              [("t", "fail", "[ RUN      ] a\n[       OK ] a\n[ RUN      ] b\n")])
    cases.run("a_test_that_prints_no_count_is_a_failure", expect, 1, "0 passed, 1 failed, 0 skipped",
              [("t", "run", "all is well")])
    cases.run("a_line_with_totals_is_counted", expect, 0, "7 passed, 0 failed, 1 skipped",
              [("t", "run", "7 passed, 0 failed, 1 skipped")])
    cases.run("no_tests_at_all_is_a_failure", expect, 1, "0 passed, 1 failed, 0 skipped", [])
    cases.run("only_skipped_cases_are_a_failure", expect, 1, "0 passed, 0 failed, 1 skipped",
              [("t", "run", "[  SKIPPED ] a")])
    sys.exit(cases.end())


if __name__ == "__main__":
    main()
