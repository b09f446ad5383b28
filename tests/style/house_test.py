#!/usr/bin/env python3
"""The scripts a stranger meets first: installing dependencies in every situation, and the arguments of tests/run.

The installer runs with a PATH that holds only fakes of the system's tools; what they were asked is written down.
"""
import os
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))

from cases import Cases  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
INSTALLER = os.path.join(ROOT, "cmake", "install-dependencies.sh")
REAL = ("bash", "sed", "grep", "env", "true")

ALL_THERE = """sed -n '/^packages=(/,/^)/p' "$INSTALLER" | grep -v '[(#)]' | tr -s ' ' '\\n' | sed '/^$/d; s/^/ii  /'"""


def install(uid=0, there="", sudo=None, apt_get="true"):
    """(exit status, stderr, what apt-get was asked). None leaves a tool out."""
    fakes = {"dpkg-query": there, "id": f"echo {uid}", "sudo": sudo, "apt-get": apt_get}
    with tempfile.TemporaryDirectory() as folder:
        for name in REAL + (("tr",) if there else ()):
            os.symlink(shutil.which(name), os.path.join(folder, name))
        log = os.path.join(folder, "asked")
        for name, body in fakes.items():
            if body is not None:
                path = os.path.join(folder, name)
                with open(path, "w", encoding="utf-8") as file:
                    note = 'echo "$*" >>"$ASKED"\n' if name == "apt-get" else ""
                    file.write(f"#!{shutil.which('bash')}\n{note}{body}\n")
                os.chmod(path, 0o755)
        done = subprocess.run([INSTALLER], env={"PATH": folder, "ASKED": log, "INSTALLER": INSTALLER}, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
        asked = ""
        if os.path.exists(log):
            with open(log, encoding="utf-8") as file:
                asked = file.read()
        return done.returncode, done.stderr, asked


SUDO = 'if [ "$1" = -n ]; then shift; fi; exec "$@"'


def nothing_is_asked_when_all_is_there():
    status, said, asked = install(there=ALL_THERE)
    assert (status, said, asked) == (0, "", ""), (status, said, asked)


def root_updates_then_installs():
    status, said, asked = install()
    lines = asked.splitlines()
    assert status == 0 and len(lines) == 2, (status, said, asked)
    assert lines[0].startswith("update") and lines[1].startswith("install"), asked
    assert " libev-dev " in lines[1] and "-y" in lines[1], asked


def only_missing_packages_are_installed():
    _, _, asked = install(there=ALL_THERE + " | grep -v 'ii  spin$'")
    assert asked.splitlines()[1].endswith("--no-install-recommends spin"), asked


def others_use_sudo():
    status, said, asked = install(uid=1000, sudo=SUDO)
    assert status == 0 and "install" in asked, (status, said, asked)


def refused(what, **situation):
    status, said, asked = install(**situation)
    assert status == 1 and what in said and "apt-get install gcc" in said, (status, said, asked)


def tests_run(*arguments):
    done = subprocess.run([os.path.join(ROOT, "tests", "run"), *arguments], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return done.returncode, done.stdout, done.stderr


def unknown_arguments_are_refused():
    for argument in ("--nonsense", "all"):
        status, _, said = tests_run(argument)
        assert status == 2 and argument in said, (status, said)


def help_is_given():
    status, said, _ = tests_run("--help")
    assert status == 0 and "usage: tests/run" in said, (status, said)


def main():
    cases = Cases()
    cases.run("nothing_is_asked_when_all_is_there", nothing_is_asked_when_all_is_there)
    cases.run("root_updates_then_installs", root_updates_then_installs)
    cases.run("only_missing_packages_are_installed", only_missing_packages_are_installed)
    cases.run("others_use_sudo", others_use_sudo)
    cases.run("without_sudo_the_message_says_what_to_do", lambda: refused("there is no sudo", uid=1000))
    cases.run("a_sudo_that_wants_a_password_is_no_help", lambda: refused("wants a password", uid=1000, sudo="false"))
    cases.run("without_apt_get_the_message_says_what_to_do", lambda: refused("no apt-get", apt_get=None))
    cases.run("a_failed_installation_is_a_failure", lambda: refused("update failed", apt_get="false"))
    cases.run("tests_run_refuses_unknown_arguments", unknown_arguments_are_refused)
    cases.run("tests_run_gives_help", help_is_given)
    sys.exit(cases.end())


if __name__ == "__main__":
    main()
