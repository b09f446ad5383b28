#!/usr/bin/env python3
"""What compilers and formatters say about the tree: formatting, headers that stand alone, and clang beside gcc.

Relies on HOLDFAST_BINARY_DIR (a configured build with compile_commands.json). Each check is first seen to fail.
usage: compile_test.py format|headers|clang
"""
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.dirname(__file__))

import source as sources  # noqa: E402
from cases import Cases  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("HOLDFAST_BINARY_DIR", os.path.join(ROOT, "build", "dev"))
CFLAGS = ["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Wstrict-prototypes", "-Wmissing-prototypes", "-Werror"]


def run(command, text=None):
    """(ended well, output)"""
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
                          check=False)
    return done.returncode == 0, done.stdout


def must_fail(command, text=None):
    ok, _ = run(command, text)
    assert not ok, f"passed, but should not: {shlex.join(command)}\n{text}"


def all_must_pass(jobs):
    """Runs [(command, text)] on all processors; a check over all files counts as one case."""
    assert jobs, "no files"
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(lambda job: run(*job), jobs))
    outputs = [output for ok, output in results if not ok]
    assert not outputs, f"{len(outputs)} of {len(jobs)} files fail:\n" + "\n".join(outputs)[-20000:]


def c_files(ending):
    return sorted(path for path in sources.tree(ROOT) if path.endswith(ending))


def test_format(cases):
    command = ["clang-format", "--dry-run", "-Werror"]
    cases.run("formatting_finds_a_bad_sample", must_fail, command + ["--assume-filename=a.c"], "int  f( void ){}\n")
    cases.run("all_files_are_formatted", all_must_pass, [(command + [path],) for path in c_files((".c", ".h"))])


def test_headers(cases):
    command = ["cc", *CFLAGS, "-fsyntax-only", "-x", "c", f"-I{ROOT}", "-isystem", BUILD, "-D_GNU_SOURCE=", "-"]
    cases.run("a_header_that_needs_another_is_found", must_fail, command, "struct base_bytes f(size_t a);\n")
    cases.run("all_headers_stand_alone", all_must_pass,
              [(command, f'#include "{path}"\n#include "{path}"\n') for path in c_files(".h")])


def clang_command(entry):
    """The command of a file for clang: only checked, no code is made."""
    words = shlex.split(entry["command"])
    kept = [word for word in words[1:] if not word.startswith(("-fsanitize", "-fno-sanitize"))]
    at = kept.index("-o")
    del kept[at:at + 2]
    kept.remove("-c")
    return ["clang", "-fsyntax-only", *kept, "-Werror", "-Wno-string-conversion"]


def test_clang(cases):
    with open(os.path.join(BUILD, "compile_commands.json"), encoding="utf-8") as file:
        entries = {entry["file"]: entry for entry in json.load(file)}
    bad = ["clang", "-fsyntax-only", *CFLAGS, "-x", "c", "-"]
    cases.run("clang_finds_a_bad_sample", must_fail, bad, "int f()\n{\n    return g();\n}\n")
    jobs = [(clang_command(entry),) for path, entry in sorted(entries.items())
            if path.startswith(ROOT + "/") and not path.startswith(BUILD)]
    cases.run("clang_accepts_all_files", all_must_pass, jobs)


if __name__ == "__main__":
    CASES = Cases()
    {"format": test_format, "headers": test_headers, "clang": test_clang}[sys.argv[1]](CASES)
    sys.exit(CASES.end())
