#!/usr/bin/env python3
"""Documents say what is true: their links lead somewhere, their code is code that is built, their commands exist."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.dirname(__file__))

import source as sources  # noqa: E402
from cases import Cases  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def broken_links(path, text, exists):
    """Links and quoted files of the tree that are not there."""
    wrong = []
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", text):
        place = os.path.normpath(os.path.join(os.path.dirname(path), target))
        if not re.match(r"\w+:", target) and not exists(place):
            wrong.append(f"{path}: {target} is not there")
    return wrong


def foreign_code(path, text, read):
    """Code blocks that name a file but do not stand in it."""
    wrong = []
    for name, code in re.findall(r"<!-- from (\S+) -->\s*```\w*\n(.*?)```", text, flags=re.S):
        if code not in read(name):
            wrong.append(f"{path}: the block from {name} differs from the file")
    return wrong


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as file:
        return file.read()


def commands_of_readme_exist():
    names = re.findall(r"^    ((?:examples|tests)/\S+)", read("README.md"), flags=re.M)
    assert {"examples/demo", "tests/run"} <= set(names), f"README names {names}"
    for name in names:
        assert os.access(os.path.join(ROOT, name), os.X_OK), f"{name} cannot be run"


def none(wrong):
    assert not wrong, "\n".join(wrong)


def some(wrong):
    assert wrong, "the bad sample was not found"


def main():
    cases = Cases()
    documents = {path: source.text for path, source in sources.tree(ROOT).items() if path.endswith(".md")}
    exists = lambda place: os.path.exists(os.path.join(ROOT, place))  # noqa: E731
    cases.run("a_broken_link_is_found", some, broken_links("a/b.md", "see [x](y.md)", lambda place: place == "y.md"))
    cases.run("a_good_link_passes", none, broken_links("a/b.md", "see [x](../y.md#z)", lambda place: place == "y.md"))
    cases.run("code_that_differs_is_found", some,
              foreign_code("a.md", "<!-- from a.c -->\n```c\nint a;\n```\n", lambda name: "int b;\n"))
    cases.run("links_lead_somewhere", none, [w for path, text in documents.items()
                                             for w in broken_links(path, text, exists)])
    cases.run("code_in_documents_is_built", none, [w for path, text in documents.items()
                                                   for w in foreign_code(path, text, read)])
    cases.run("commands_of_readme_exist", commands_of_readme_exist)
    sys.exit(cases.end())


if __name__ == "__main__":
    main()
