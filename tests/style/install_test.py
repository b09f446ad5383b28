#!/usr/bin/env python3
"""Installs the build into a fresh folder and builds a program outside the project against it, with CMake's package
and with pkg-config; and the programs that README.md prints, with the commands that it gives. Relies on
HOLDFAST_BINARY_DIR with a complete build."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.dirname(__file__))

import source as sources  # noqa: E402
from cases import Cases  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("HOLDFAST_BINARY_DIR", os.path.join(ROOT, "build", "release"))
CONSUMER = os.path.join(ROOT, "tests", "style", "consumer")
LAYERS = ("rtcp", "membership", "replication")
PUBLIC_BASE = {"bytes.h", "status.h", "time.h", "trace.h"}


def run(*command, env=None):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          env={**os.environ, **(env or {})})
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}"
    return done.stdout


def find(folder, name):
    for place, _, names in os.walk(folder):
        if name in names:
            return place
    raise AssertionError(f"{name} was not installed")


def headers_are_the_public_ones(prefix, layers):
    found = set()
    top = os.path.join(prefix, "include")
    for place, _, names in os.walk(top):
        found |= {os.path.relpath(os.path.join(place, name), top) for name in names}
    wanted = {f"holdfast/{layer}/{name}" for layer in layers for name in sources.PUBLIC[layer]
              if os.path.exists(os.path.join(ROOT, layer, name))}
    wanted |= {f"holdfast/rtcp/base/{name}" for name in PUBLIC_BASE}
    assert found == wanted, f"installed {sorted(found)}, wanted {sorted(wanted)}"


def cmake_consumer_runs(prefix, layers, folder):
    build = os.path.join(folder, "cmake")
    run("cmake", "-S", CONSUMER, "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}", f"-DLAYERS={';'.join(layers)}")
    run("cmake", "--build", build)
    assert "AGAIN" in run(os.path.join(build, "consumer"))


def pkg_config_consumer_runs(prefix, layers, folder):
    program = os.path.join(folder, "consumer")
    packages = [f"holdfast-{layer}" for layer in layers]
    env = {"PKG_CONFIG_PATH": find(prefix, f"{packages[0]}.pc")}
    flags = run("pkg-config", "--cflags", "--libs", *packages, env=env).split()
    have = [f"-DHAVE_{layer.upper()}" for layer in layers]
    run("cc", *have, os.path.join(CONSUMER, "consumer.c"), "-o", program, *flags)
    libraries = find(prefix, "libholdfast-rtcp.so")
    assert "AGAIN" in run(program, env={"LD_LIBRARY_PATH": libraries})


def tools_run(prefix):
    for name in ("rtcp-cat", "rtcp-perf", "rtcp-ss"):
        assert f"usage: {name}" in run(os.path.join(prefix, "bin", name), "--help", env={"LD_LIBRARY_PATH": ""})


def programs_of_readme_build_and_run_as_printed(prefix, folder):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        text = file.read()
    env = {"PKG_CONFIG_PATH": find(prefix, "holdfast-rtcp.pc"), "LD_LIBRARY_PATH": find(prefix, "libholdfast-rtcp.so")}
    programs = []
    for name, code in re.findall(r"<!-- from examples/(\w+)\.c -->\s*```c\n(.*?)```", text, flags=re.S):
        with open(os.path.join(folder, name + ".c"), "w", encoding="utf-8") as file:
            file.write(code)
        command = re.search(rf"^    (cc {name}\.c .*)$", text, flags=re.M)
        assert command, f"README.md does not say how to build {name}"
        run("sh", "-c", f"cd {folder} && {command[1]}", env=env)
        programs.append(os.path.join(folder, name))
    assert len(programs) == 2, programs
    with subprocess.Popen([os.path.join(BUILD, "examples", "echo"), "127.0.0.1:0"], stdout=subprocess.PIPE) as echo:
        try:
            address = echo.stdout.readline().decode().strip()
            for program in programs:
                assert run(program, address, env=env).startswith("hello\n"), program
        finally:
            echo.terminate()


def main():
    cases = Cases()
    layers = [layer for layer in LAYERS if os.path.exists(os.path.join(BUILD, layer, f"libholdfast-{layer}.so"))]
    with tempfile.TemporaryDirectory() as folder:
        first = os.path.join(folder, "first")
        prefix = os.path.join(folder, "moved")
        if not layers:
            cases.skip("the_build_installs", "no layer is complete yet")
            sys.exit(cases.end())
        cases.run("the_build_installs", run, "cmake", "--install", BUILD, "--prefix", first)
        os.rename(first, prefix)  # an installation may be moved: packages name no absolute places
        cases.run("installed_headers_are_the_public_ones", headers_are_the_public_ones, prefix, layers)
        cases.run("installed_tools_find_their_library_where_they_were_moved", tools_run, prefix)
        readme = os.path.join(folder, "readme")
        os.mkdir(readme)
        cases.run("programs_of_readme_build_and_run_as_printed", programs_of_readme_build_and_run_as_printed, prefix,
                  readme)
        for layer in layers:
            upto = layers[:layers.index(layer) + 1]
            place = os.path.join(folder, layer)
            os.mkdir(place)
            cases.run(f"a_cmake_project_uses_{layer}", cmake_consumer_runs, prefix, upto, place)
            cases.run(f"pkg_config_serves_{layer}", pkg_config_consumer_runs, prefix, upto, place)
    sys.exit(cases.end())


if __name__ == "__main__":
    main()
