#!/usr/bin/env python3
"""The program of README.md does what README.md says: hello and echo over the loopback."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from cases import Cases  # noqa: E402

EXAMPLES = os.path.join(os.environ["HOLDFAST_BINARY_DIR"], "examples")
DEADLINE_S = 20


def hello(address, program="hello"):
    return subprocess.run([os.path.join(EXAMPLES, program), address], stdout=subprocess.PIPE, text=True,
                          timeout=DEADLINE_S, check=False)


def an_echo_comes_back(address):
    done = hello(address)
    assert done.returncode == 0, done
    assert done.stdout == "hello\ndone; 0 bytes unacknowledged\n", done.stdout


def an_echo_comes_back_to_blocking_calls(address):
    done = hello(address, "hello_blocking")
    assert done.returncode == 0, done
    assert done.stdout == "hello\ndone\n", done.stdout


def nobody_there_is_refused():
    done = hello("127.0.0.1:1")
    assert done.returncode == 1 and "refuses" in done.stdout, done


def main():
    cases = Cases()
    with subprocess.Popen([os.path.join(EXAMPLES, "echo"), "127.0.0.1:0"], stdout=subprocess.PIPE, text=True) as echo:
        try:
            address = echo.stdout.readline().strip()
            cases.run("an_echo_comes_back", an_echo_comes_back, address)
            cases.run("the_server_serves_the_next_client", an_echo_comes_back, address)
            cases.run("an_echo_comes_back_to_blocking_calls", an_echo_comes_back_to_blocking_calls, address)
            cases.run("nobody_there_is_refused", nobody_there_is_refused)
        finally:
            echo.kill()
    sys.exit(cases.end())


if __name__ == "__main__":
    main()
