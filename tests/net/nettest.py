"""Runs the test_... functions of a script and prints them as cmocka prints its cases.

Owns      selection (--all, --list, names), output, exit status.
Relies on nothing.
Not here  the lab.

A script ends with `nettest.main(globals())`. Functions whose name begins with test_ are run in the order of the file;
those marked @nettest.only_with_all only with --all. A docstring says what must hold. print() from a test is shown: the
figures are part of the output.
"""

import os
import pathlib
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def only_with_all(function):
    function.is_long = True
    return function


def program(name):
    """The path of an example program of the build under test."""
    build = pathlib.Path(os.environ.get("HOLDFAST_BINARY_DIR", ROOT / "build" / "release"))
    path = build / "examples" / name
    if not path.exists():
        raise SystemExit(f"{path} is not built: build it, or say HOLDFAST_BINARY_DIR")
    return path


def _run_one(name, function):
    print(f"[ RUN      ] {name}", flush=True)
    start = time.monotonic()
    try:
        function()
    except Exception:
        traceback.print_exc(file=sys.stdout)
        print(f"[  FAILED  ] {name}", flush=True)
        return False
    print(f"[       OK ] {name} ({time.monotonic() - start:.1f} s)", flush=True)
    return True


def main(names):
    words = sys.argv[1:]
    with_all = "--all" in words or os.environ.get("HOLDFAST_ALL") == "1"
    wanted = [word for word in words if not word.startswith("--")]
    tests = [(name[len("test_"):], value) for name, value in names.items() if name.startswith("test_")]
    if "--list" in words:
        print("\n".join(name for name, _ in tests))
        return
    chosen = [(name, f) for name, f in tests if name in wanted
              or (not wanted and (with_all or not getattr(f, "is_long", False)))]
    print(f"[==========] Running {len(chosen)} test(s).")
    failed = [name for name, function in chosen if not _run_one(name, function)]
    print(f"[==========] {len(chosen)} test(s) run.")
    print(f"[  PASSED  ] {len(chosen) - len(failed)} test(s).")
    if failed:
        print(f"[  FAILED  ] {len(failed)} test(s), listed below:")
        for name in failed:
            print(f"[  FAILED  ] {name}")
    sys.exit(1 if failed or not chosen else 0)
