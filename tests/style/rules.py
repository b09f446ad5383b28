"""The rules of the house, each with samples that break it: rules_test.py proves that every rule can fail.

A rule is a function from a Source to a list of (line, what is wrong, what to do instead). A line may be excused by a
comment "style: allow RULE, REASON" on it or on the line above.
"""
import re

import source as sources

LINE_MAX = 120
FILE_MAX = 800
FUNCTION_MAX = 70

RULES = {}


def rule(bad, good=()):
    """Registers a rule; bad and good are samples [(path, text)] of files."""
    def register(function):
        RULES[function.__name__] = (function, list(bad), list(good))
        return function
    return register


def check(source):
    """[(rule, line, message)] of one file."""
    found = []
    for name, (function, _, _) in RULES.items():
        for line, message in function(source):
            near = "\n".join(source.lines[max(0, line - 2):line])
            if f"style: allow {name}, " not in near:
                found.append((name, line, message))
    return found


# ---------------------------------------------------------------------------------------------- layers and purity

BELOW = {"rtcp": ("rtcp",), "membership": ("membership", "rtcp"), "replication": ("replication", "membership", "rtcp")}
PUBLIC = {f"{layer}/{name}" for layer, names in sources.PUBLIC.items() for name in names}
PUBLIC_BASE = {"rtcp/base/bytes.h", "rtcp/base/status.h", "rtcp/base/time.h", "rtcp/base/trace.h"}


@rule(bad=[("rtcp/wire.c", '#include "membership/membership.h"\n'),
           ("membership/order.c", '#include "replication/replication.h"\n'),
           ("rtcp/base/table.c", '#include "rtcp/wire.h"\n'),
           ("membership/order.c", '#include "rtcp/session.h"\n'),
           ("membership/order.c", '#include "rtcp/rtcp.h"\n'),
           ("membership/order.c", '#include "order.h"\n'),
           ("membership/membership.h", '#include "rtcp/base/table.h"\n'),
           ("examples/chat.c", '#include "membership/view.h"\n'),
           ("rtcp/wire.c", '#include "tests/sim/sim.h"\n')],
      good=[("membership/mesh_loop.c", '#include "rtcp/rtcp.h"\n#include "rtcp/base/table.h"\n'),
            ("examples/chat.c", '#include "membership/membership.h"\n'),
            ("tests/unit/rtcp/wire_test.c", '#include "rtcp/wire.h"\n')])
def includes_point_down(source):
    if not source.is_c:
        return
    for line, name, quoted in source.includes:
        folder = name.split("/")[0]
        if not quoted:
            continue
        if folder not in ("rtcp", "membership", "replication", "examples", "tests"):
            yield line, f'"{name}" is not written from the project root'
        elif source.is_base and not name.startswith("rtcp/base/"):
            yield line, f'base includes nothing above it, here "{name}"'
        elif source.is_public and name not in PUBLIC | PUBLIC_BASE:
            yield line, f'a public header includes only installed headers, not "{name}"'
        elif source.layer and folder not in BELOW[source.layer]:
            yield line, f'"{name}" is above {source.layer}'
        elif source.layer and folder != source.layer and name not in PUBLIC and not name.startswith("rtcp/base/"):
            yield line, f'"{name}" is private to {folder}: from another folder include "{folder}/{folder}.h"'
        elif source.layer == "membership" and source.is_pure and name == "rtcp/rtcp.h":
            yield line, "a core does not include the layer below; its driver (*_loop.c) does"
        elif source.folder == "examples" and folder in BELOW and name not in PUBLIC | PUBLIC_BASE:
            yield line, f'examples use public headers only, not "{name}"'


IMPURE = ("ev.h", "sys/", "time.h", "unistd.h", "fcntl.h", "pthread.h", "threads.h", "stdio.h", "netinet/", "arpa/",
          "net/", "linux/", "poll.h", "signal.h", "netdb.h", "dirent.h")


@rule(bad=[("rtcp/session.c", "#include <time.h>\n"), ("membership/order.h", "#include <ev.h>\n"),
           ("rtcp/wire.c", "#include <sys/socket.h>\n"), ("rtcp/session.c", '#include "rtcp/link_loop.h"\n'),
           ("rtcp/session.c", "int f(void)\n{\n    return rand();\n}\n"),
           ("rtcp/pulse.c", "int f(void)\n{\n    return (int)time(NULL);\n}\n"),
           ("rtcp/auth.c", "void f(void)\n{\n    randombytes_buf(a, 8);\n}\n")],
      good=[("rtcp/link_loop.c", "#include <sys/socket.h>\n"), ("rtcp/auth.c", "#include <sodium.h>\n"),
            ("rtcp/base/check.c", "#include <stdio.h>\n")])
def pure_files_touch_no_system(source):
    if not source.is_pure:
        return
    for line, name, quoted in source.includes:
        if not quoted and name.startswith(IMPURE) and (source.path, name) != ("rtcp/base/check.c", "stdio.h"):
            yield line, f"<{name}> belongs into a *_loop.c or *_disk.c file; pass in what is needed"
        if quoted and re.search(r"_(loop|disk)\.h$", name):
            yield line, f'a pure file does not know "{name}"'
    for line, match in source.matches(
            r"\b(time|clock|clock_gettime|rand|random|getrandom|randombytes_\w+|getenv|malloc|calloc|realloc)\s*\("):
        if source.path != "rtcp/base/memory.c" or match.group(1) != "malloc":
            yield line, f"{match.group(1)}() in a pure file: time, seeds and memory are passed in"


@rule(bad=[("membership/order.c", '#include "membership/membership.pb-c.h"\n'),
           ("rtcp/wire.c", "#include <protobuf-c/protobuf-c.h>\n")],
      good=[("membership/wire.c", '#include "membership/membership.pb-c.h"\n')])
def only_wire_sees_protobuf(source):
    for line, name, _ in source.includes:
        if ("pb-c.h" in name or "protobuf-c" in name) and source.layer and \
                source.path not in ("membership/wire.c", "replication/wire.c"):
            yield line, f"only wire.c of a layer includes {name}"


# ---------------------------------------------------------------------------------------------- sizes and shape

@rule(bad=[("rtcp/wire.c", "/* " + "x" * 120 + " */\n"), ("rtcp/wire.c", "int a; \n"), ("rtcp/wire.c", "\tint a;\n"),
           ("rtcp/wire.c", "int a;")],
      good=[("rtcp/wire.c", "/* " + "x" * 114 + " */\n")])
def lines_are_short_and_clean(source):
    if not source.is_c and not source.path.endswith((".py", ".cmake", "CMakeLists.txt")):
        return
    for number, line in enumerate(source.lines, 1):
        if len(line) > LINE_MAX:
            yield number, f"{len(line)} columns; the limit is {LINE_MAX}"
        if line != line.rstrip() or "\t" in line:
            yield number, "a tab, or spaces at the end"
    if source.text and not source.text.endswith("\n"):
        yield len(source.lines), "no end of line at the end of the file"


@rule(bad=[("rtcp/wire.c", "int a;\n" * (FILE_MAX + 1)), ("tests/net/x.py", "a = 1\n" * (FILE_MAX + 1))],
      good=[("rtcp/wire.c", "int a;\n" * FILE_MAX)])
def files_are_short(source):
    count = source.text.count("\n")
    if count > FILE_MAX and (source.is_c or source.path.endswith(".py")):
        yield count, f"{count} lines; the limit is {FILE_MAX}: split by concern"


@rule(bad=[("rtcp/wire.c", "static int f(int a,\n             int b)\n{\n" + "    a++;\n" * 67 + "}\n")],
      good=[("rtcp/wire.c", "static int f(int a)\n{\n" + "    a++;\n" * 67 + "}\n"),
            ("rtcp/wire.c", "static const int a[] = {\n" + "    1,\n" * 99 + "};\n")])
def functions_are_short(source):
    if source.is_c:
        for name, first, last in source.functions:
            if last - first + 1 > FUNCTION_MAX:
                yield first, f"{name}() has {last - first + 1} lines; the limit is {FUNCTION_MAX}"


@rule(bad=[("rtcp/wire.c", "void f(void)\n{\n    if (a)\n        b();\n}\n"),
           ("rtcp/wire.c", "void f(void)\n{\n    while (a(1)) b();\n}\n"),
           ("rtcp/wire.c", "void f(void)\n{\n    if (a) {\n    } else\n        b();\n}\n")],
      good=[("rtcp/wire.c", "void f(void)\n{\n    if (a(b)) {\n    } else if (c) {\n    } else {\n    }\n"
             "    do {\n    } while (a);\n    for (;;) {\n    }\n}\n")])
def bodies_have_braces(source):
    if not source.is_c:
        return
    for line, match in source.matches(r"\b(if|for|while|else)\b", source.bare):
        end = match.end()
        after = source.bare[end:].lstrip()
        if match.group(1) == "else":
            if not after.startswith("{") and not re.match(r"if\b", after):
                yield line, "else without braces"
            continue
        depth = 0
        for i in range(source.bare.index("(", end), len(source.bare)):
            depth += {"(": 1, ")": -1}.get(source.bare[i], 0)
            if depth == 0:
                end = i + 1
                break
        follows = source.bare[end:].lstrip()[:1]
        is_do_while = match.group(1) == "while" and follows == ";" and source.bare[:match.start()].rstrip()[-1:] == "}"
        if follows != "{" and not is_do_while:
            yield line, f"{match.group(1)} without braces"


@rule(bad=[("rtcp/session.c", "    switch (state) {\n    default:\n        break;\n    }\n")],
      good=[("examples/chat.c", "    switch (letter) {\n    default:\n        break;\n    }\n"),
            ("rtcp/link_loop.c", "    switch (error) {\n    case EPIPE:\n        f();\n    default:\n        g();\n"
             "    }\n")])
def switches_have_no_default(source):
    if source.is_c and source.layer:
        for line, match in source.matches(r"\bdefault\s*:", source.bare):
            labels = source.bare[source.bare.rfind("switch", 0, match.start()):match.start()]
            if re.search(r"\bcase E[A-Z0-9]+:", labels):
                continue  # numbers of the system: nobody can name them all
            yield line, "no default: in a switch over our enums; the compiler then names the case that is missing"


@rule(bad=[("rtcp/session.c", "#ifdef TEST\n#endif\n"), ("rtcp/session.c", "#if 0\n#endif\n"),
           ("rtcp/session.h", "#ifndef SESSION_H\n#define SESSION_H\n#endif\n")],
      good=[("rtcp/session.h", "#ifndef HOLDFAST_RTCP_SESSION_H\n#define HOLDFAST_RTCP_SESSION_H\n#endif\n")])
def conditions_are_guards_only(source):
    if source.is_c and source.layer:
        for line, match in source.matches(r"^[ \t]*#[ \t]*(ifdef|ifndef|if|elif)\b[ \t]*(.*)$"):
            if match.group(1) != "ifndef" or not match.group(2).startswith("HOLDFAST_"):
                yield line, "conditional compilation is for include guards (HOLDFAST_...) only"


@rule(bad=[("rtcp/session.h", "int f(void);\n"), ("rtcp/session.h", "/* a */\n#ifndef HOLDFAST_RTCP_OTHER_H\n")],
      good=[("rtcp/session.h", "/* a */\n#ifndef HOLDFAST_RTCP_SESSION_H\n"),
            ("rtcp/rtcp.h", "/* a */\n#ifndef HOLDFAST_RTCP_H\n"),
            ("rtcp/base/time.h", "/* a */\n#ifndef HOLDFAST_BASE_TIME_H\n")])
def headers_have_guards(source):
    if source.layer and source.path.endswith(".h"):
        folder = "base" if source.is_base else source.folder
        words = [folder] if source.stem == folder else [folder, source.stem]
        guard = "_".join(["HOLDFAST"] + words + ["H"]).upper()
        if f"#ifndef {guard}\n" not in source.text:
            yield 1, f"the include guard is {guard}"


# ---------------------------------------------------------------------------------------------- comments and words

@rule(bad=[("rtcp/session.c", "#include <stdint.h>\n"), ("tests/run", "#!/bin/bash\nset -u\n"),
           ("rtcp/session.h", "/* A session. */\n"), ("tests/net/x.py", "import os\n")],
      good=[("rtcp/session.c", "/* See session.h. */\n"), ("tests/run", "#!/bin/bash\n# Runs.\n"),
            ("rtcp/session.h", "/* A session.\n *\n * Owns a\n * Relies on b\n */\n"),
            ("rtcp/parts.h", "/* Shared parts.\n *\n * a.c one\n * b.c two\n * c.c three\n */\n"),
            ("tests/net/x.py", '"""Why."""\n')])
def files_begin_with_a_comment(source):
    first = [line for line in source.lines[:3] if not line.startswith("#!")]
    if source.is_c and not source.text.startswith("/*"):
        yield 1, "the file does not begin with a comment: what it owns, relies on, must never know"
    if source.layer and source.path.endswith(".h") and not source.is_public:
        head = source.text.split("*/")[0]
        if "Owns" not in head and head.count("\n") < 4:
            yield 1, "the comment at the head of a header says what it Owns, Relies on, and what is Not here"
    if source.text.startswith("#!") and not re.match(r'#|"""', first[0] if first else ""):
        yield 2, "a program begins with a comment that says what it does"
    elif source.path.endswith(".py") and not source.text.startswith(('"""', "#!")):
        yield 1, "a module begins with a docstring"


@rule(bad=[("rtcp/session.c", "int a; // why\n")], good=[("rtcp/session.c", 'const char *a = "http://b"; /* // */\n')])
def comments_are_c_comments(source):
    if source.is_c:
        text = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"', lambda m: re.sub(r"[^\n]", " ", m.group()), source.text,
                      flags=re.S)
        for line, _ in source.matches(r"//", text):
            yield line, "comments are /* */; code that is not used is deleted"


@rule(bad=[("rtcp/session.c", "/* TO" + "DO: later */\n"), ("tests/net/x.py", "# FIX" + "ME\n"),
           ("README.md", "X" + "XX\n")],
      good=[("rtcp/session.c", "/* TO" + "DO #12: later */\n")])
def open_ends_have_an_issue(source):
    for line, _ in source.matches(r"\b(TODO|FIXME|XXX|HACK)\b(?! #[0-9])", source.text):
        if source.path != "tests/style/rules.py":
            yield line, "finish it, or name the issue: the word, a space, #number"


@rule(bad=[("README.md", "see /ro" + "ot/x\n"), ("tests/run", "cd /wo" + "rk/x\n"), ("a.md", "/ho" + "me/me/src\n")],
      good=[("README.md", "see rtcp/root/x, framework/x\n")])
def no_paths_of_one_machine(source):
    for line, match in source.matches(r"(?<![\w.}-])/(root|work|home|Users)/", source.text):
        if source.path != "tests/style/rules.py":
            yield line, f"{match.group()} is a place on one machine only"


# ---------------------------------------------------------------------------------------------- banned functions

BANNED = {
    "strcpy": "base_copy after a check of the size",
    "strcat": "base_copy after a check of the size",
    "strncpy": "base_copy after a check of the size",
    "strncat": "base_copy after a check of the size",
    "sprintf": "snprintf",
    "vsprintf": "vsnprintf",
    "gets": "fgets",
    "atoi": "strtol with a check of the end",
    "atol": "strtol with a check of the end",
    "atof": "strtod with a check of the end",
    "strtok": "strcspn and base_bytes",
    "gettimeofday": "base_time, passed in; clock_gettime(CLOCK_MONOTONIC) in a driver",
    "alloca": "memory taken at the door",
    "memcpy": "base_copy",
    "memmove": "base_move",
    "memset": "base_zero",
    "signal": "sigaction, or ev_signal in a driver",
    "rand": "base_rng",
    "srand": "base_rng",
    "system": "posix_spawn",
    "inet_ntoa": "inet_ntop",
    "inet_addr": "inet_pton",
    "gethostbyname": "getaddrinfo",
}
BANNED_IN_LAYERS_ONLY = {"memcpy", "memmove", "memset"}


@rule(bad=[("rtcp/wire.c", "    memcpy(a, b, 3);\n"), ("examples/chat.c", "    strcpy(a, b);\n"),
           ("tests/unit/a_test.c", "    int n = atoi(b);\n"), ("rtcp/link_loop.c", "    gettimeofday(&t, NULL);\n")],
      good=[("rtcp/base/bytes.h", "    memcpy(a, b, 3);\n"), ("tests/unit/a_test.c", "    memset(a, 0, 3);\n"),
            ("rtcp/wire.c", "/* memcpy(a) */\n"), ("rtcp/wire.c", "    sodium_memcmp(a, b, 3);\n")])
def dangerous_functions_are_not_used(source):
    if not source.is_c or source.path == "rtcp/base/bytes.h":
        return
    for line, match in source.matches(r"\b(%s)\s*\(" % "|".join(BANNED)):
        name = match.group(1)
        if source.layer or name not in BANNED_IN_LAYERS_ONLY:
            yield line, f"{name}(): use {BANNED[name]}"


@rule(bad=[("tests/net/x.py", "    time.sleep(1)\n"), ("tests/story/a.c", "    usleep(10);\n"),
           ("tests/net/cut", "#!/bin/bash\nsleep 3\n"), ("examples/chat.c", "    sleep(1);\n")],
      good=[("tests/net/x.py", "# sleep 3 is banned\n"),
            ("tests/net/x.py", "    # style: allow nothing_sleeps, a polling step\n    time.sleep(0.01)\n")])
def nothing_sleeps(source):
    if source.path.startswith("tests/style/"):
        return
    if source.is_c:
        found = source.matches(r"\b(sleep|usleep|nanosleep|clock_nanosleep)\s*\(")
    elif source.path.endswith(".py"):
        found = source.matches(r"^[^#\n]*\bsleep\(", source.text)
    elif source.text.startswith("#!"):
        found = source.matches(r"^[^#\n]*\bsleep [0-9$]", source.text)
    else:
        found = []
    for line, _ in found:
        yield line, "wait for an event with a deadline instead of sleeping"


@rule(bad=[("rtcp/session.h", "typedef struct session session;\n"),
           ("rtcp/x.h", "typedef struct {\n    int a;\n} x;\n")],
      good=[("rtcp/rtcp.h", "typedef void rtcp_on_accept(void *user);\n")])
def structs_are_not_typedefed(source):
    if source.is_c and source.layer:
        for line, _ in source.matches(r"\btypedef\s+(struct|enum|union)\b", source.bare):
            yield line, "write struct, enum or union where it is used"


@rule(bad=[("rtcp/a.c", "extern int counter;\n")], good=[("tests/unit/a_test.c", "extern char **environ;\n")])
def declarations_stand_in_headers(source):
    if source.path.endswith(".c") and source.layer:
        for line, _ in source.matches(r"^\s*extern\b", source.bare):
            yield line, "declare it in a header that both files include"
