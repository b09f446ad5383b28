#!/usr/bin/env python3
"""Applies the rules to the tree, one case each; with --self proves that every rule finds its bad samples.

usage: rules_test.py [--self]
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
sys.path.insert(0, os.path.dirname(__file__))

import rules  # noqa: E402
import source as sources  # noqa: E402
from cases import Cases  # noqa: E402

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))


def the_tree_obeys(name, findings):
    mine = [f"{path}:{line}: {message}" for path, rule, line, message in findings if rule == name]
    assert not mine, "\n".join(mine)


def the_rule_tells_good_from_bad(name, bad, good):
    assert bad, "the rule has no bad sample"
    for path, text in bad + good:
        found = [message for rule, _, message in rules.check(sources.Source(path, text)) if rule == name]
        assert ((path, text) in bad) == bool(found), f"{name} finds {found} in {path}:\n{text[:400]}"


def an_excuse_silences_one_rule_and_needs_a_reason():
    line = "    memcpy(a, b, 3);\n"
    for comment, count in (("", 1), ("dangerous_functions_are_not_used, why", 0), ("nothing_sleeps, why", 1),
                           ("dangerous_functions_are_not_used", 1)):
        text = f"    /* style: allow {comment} */\n{line}"
        found = [rule for rule, _, _ in rules.check(sources.Source("rtcp/a.c", text))]
        assert found.count("dangerous_functions_are_not_used") == count, f"{found} in:\n{text}"


def test_rules(cases):
    for name, (_, bad, good) in rules.RULES.items():
        cases.run(f"{name}_tells_good_from_bad", the_rule_tells_good_from_bad, name, bad, good)
    cases.run("an_excuse_silences_one_rule_and_needs_a_reason", an_excuse_silences_one_rule_and_needs_a_reason)


def test_tree(cases):
    tree = sources.tree(ROOT)
    findings = [(path, *finding) for path, source in sorted(tree.items()) for finding in rules.check(source)]
    assert sum(source.is_c for source in tree.values()) > 10, "the tree was not found"
    for name in rules.RULES:
        cases.run(name, the_tree_obeys, name, findings)


if __name__ == "__main__":
    CASES = Cases()
    if "--self" in sys.argv:
        test_rules(CASES)
    else:
        test_tree(CASES)
    sys.exit(CASES.end())
