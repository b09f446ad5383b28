#!/usr/bin/env python3
"""What the built libraries contain: exported symbols, names that are addresses, no globals that change.

An exported function is declared in the public header of its layer, and the other way round, and some test names it.
Relies on HOLDFAST_BINARY_DIR with a build without sanitizers (they add symbols of their own).
"""
import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.dirname(__file__))

import source as sources  # noqa: E402
from cases import Cases  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("HOLDFAST_BINARY_DIR", os.path.join(ROOT, "build", "release"))
API = {"rtcp": "RTCP_API", "membership": "GROUP_API", "replication": "REPLICA_API"}
PREFIX = {"rtcp": ("rtcp_", "base_"), "membership": ("group_", "membership_"),
          "replication": ("replica_", "replication_")}
PUBLIC_BASE = {"base_status_text", "base_status_name"}
MAY_CHANGE = {"blocking_face.c.o: process"}  # the one endpoint of the blocking face


def output(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def declared(text, mark):
    """Names of the functions that a header marks as public."""
    return set(re.findall(rf"\b{mark}\b[^;(]*?\b(\w+)\s*\(", sources.Source("rtcp/x.h", text).bare))


def exported(library):
    """{symbol: version node} that a shared library shows."""
    found = {}
    for line in output("nm", "-D", "--defined-only", "--with-symbol-versions", library).splitlines():
        words = line.split()
        if len(words) == 3 and words[1] != "A":
            name, _, node = words[2].partition("@@")
            found[name] = node
    return found


def compare(layer, header, symbols):
    """What is wrong with the exports of a layer, as sentences."""
    public = {name for name, node in symbols.items() if node == "HOLDFAST_0"}
    private = {name for name, node in symbols.items() if node == "HOLDFAST_PRIVATE"}
    wanted = header | (PUBLIC_BASE if layer == "rtcp" else set())
    wrong = [f"{name}: declared in {layer}.h, not exported (not written yet?)" for name in sorted(wanted - public)]
    wrong += [f"{name}: exported, not declared in {layer}.h" for name in sorted(public - wanted)]
    wrong += [f"{name}: private, but not of base" for name in sorted(private) if not name.startswith("base_")]
    wrong += [f"{name}: of no version node" for name in sorted(set(symbols) - public - private)]
    return wrong


def unmentioned(names, text):
    return [f"{name}: no test mentions it" for name in sorted(names) if not re.search(rf"\b{name}\b", text)]


def changing_globals(table):
    """Objects in writable sections of an `objdump -t`, as "file: name"."""
    found = []
    file = ""
    for line in table.splitlines():
        if "file format" in line:
            file = line.split(":")[0]
        match = re.match(r"[0-9a-f]+ .{6}O (\.data|\.bss|\.tdata|\.tbss|\*COM\*)\S*\s+[0-9a-f]+ (?:\.\w+ )?(\S+)", line)
        if match and not line.split()[-2].startswith(".data.rel.ro") and ".data.rel.ro" not in line:
            found.append(f"{file}: {match.group(2)}")
    return [name for name in found if name not in MAY_CHANGE]


def objects(layer, tree):
    """Names of the structs that headers of a layer declare."""
    return {name for path, source in tree.items() if source.layer == layer and path.endswith(".h")
            for name in re.findall(r"^struct (\w+)\b", source.bare, flags=re.M)}


def misplaced(layer, defined, public, structs=frozenset()):
    """Functions of [(object file, symbol)] whose name says neither their file nor an object of their layer."""
    wrong = []
    for file, symbol in defined:
        stem = re.sub(r"_(loop|disk)$", "", file.split(".")[0])
        if file.endswith(".pb-c.c.o") or symbol in public or symbol in PUBLIC_BASE:
            continue
        prefixes = {stem} | {prefix + stem for prefix in PREFIX[layer]} | structs
        if not any(symbol == prefix or symbol.startswith(prefix + "_") for prefix in prefixes):
            wrong.append(f"{file}: {symbol}")
    return wrong


def defined_functions(archive):
    found = []
    for line in output("nm", "-A", "--defined-only", archive).splitlines():
        match = re.match(r".*?:(\S+\.o):[0-9a-f]+ T (\S+)$", line)
        if match:
            found.append(match.groups())
    return found


def no(wrong):
    assert not wrong, "\n".join(wrong)


def some(wrong):
    assert wrong, "the bad sample was not found"


SAMPLE_GLOBALS = """a.o:     file format elf64-x86-64
0000000000000000 l     O .bss   0000000000000004 counter.0
0000000000000000 g     O .data.rel.ro.local     0000000000000018 rules
0000000000000000 g     O .rodata        0000000000000018 texts
"""


def test_self(cases):
    header = declared("RTCP_API BASE_MUST_USE int rtcp_a(int b);\nRTCP_API const char *\nrtcp_c(void);\n", "RTCP_API")
    base = {name: "HOLDFAST_0" for name in PUBLIC_BASE}
    good = {"rtcp_a": "HOLDFAST_0", "rtcp_c": "HOLDFAST_0", "base_x": "HOLDFAST_PRIVATE", **base}
    cases.run("equal_exports_pass", no, compare("rtcp", header, good))
    cases.run("a_missing_export_is_found", some, compare("rtcp", header | {"rtcp_d"}, good))
    cases.run("an_undeclared_export_is_found", some, compare("rtcp", header - {"rtcp_a"}, good))
    cases.run("a_private_symbol_outside_base_is_found", some,
              compare("rtcp", header, {**good, "session_x": "HOLDFAST_PRIVATE"}))
    cases.run("a_function_without_test_is_found", some, unmentioned({"rtcp_a"}, "rtcp_ab rtcp_b"))
    cases.run("a_changing_global_is_found", some, changing_globals(SAMPLE_GLOBALS))
    cases.run("a_constant_table_passes", no, changing_globals("\n".join(SAMPLE_GLOBALS.splitlines()[2:])))
    cases.run("a_misplaced_function_is_found", some, misplaced("rtcp", [("session.c.o", "rtcp_wire_x")], set()))
    cases.run("a_well_placed_function_passes", no,
              misplaced("rtcp", [("link_loop.c.o", "rtcp_link_open"), ("order.c.o", "order_check")], set()))
    cases.run("a_function_of_an_object_of_the_layer_passes", no,
              misplaced("rtcp", [("path.c.o", "rtcp_session_freeze")], set(), {"rtcp_session"}))


def test_layers(cases):
    tree = sources.tree(ROOT)
    tests = "".join(source.text for path, source in tree.items()
                    if path.startswith("tests/") and not path.startswith(("tests/style/", "tests/support/")))
    for layer, mark in API.items():
        library = os.path.join(BUILD, layer, f"libholdfast-{layer}.so")
        header = set()
        for name in sources.PUBLIC[layer]:
            if f"{layer}/{name}" in tree:
                header |= declared(tree[f"{layer}/{name}"].text, mark)
        if not os.path.exists(library):
            cases.skip(f"exports_of_{layer}", f"{layer} has no sources yet")
            continue
        archive = os.path.join(BUILD, layer, f"libholdfast-{layer}-static.a")
        cases.run(f"exports_of_{layer}_are_its_public_header", no, compare(layer, header, exported(library)))
        cases.run(f"public_functions_of_{layer}_are_tested", no, unmentioned(header, tests))
        cases.run(f"globals_of_{layer}_do_not_change", no, changing_globals(output("objdump", "-t", archive)))
        cases.run(f"names_of_{layer}_are_addresses", no,
                  misplaced(layer, defined_functions(archive), header, objects(layer, tree)))


if __name__ == "__main__":
    CASES = Cases()
    test_self(CASES)
    test_layers(CASES)
    sys.exit(CASES.end())
