"""The demo over the real programs, with short cuts: everything it checks must hold (issue: "What it must show")."""

import re

import demo_test
import nettest

TRANSFER_LINES = ("exchanged:", "cuts:", "connections:", "flows-again:", "written-again:", "sha256:", "closed:")


def check(*words, timeout=200):
    code, text = demo_test.run(*words, standin=False, timeout=timeout)
    assert code == 0, text
    return text


def check_kv(*words):
    text = check(*words)
    demo_test.check_lines(text)
    assert re.search(r"^catch-up: pulled=\d+ ", text, re.M), text
    print("    " + "\n    ".join(line for line in text.splitlines()
                                 if line.startswith(("cut:", "caught-up:", "catch-up:", "terms:", "memory:"))))
    return text


def test_a_file_is_exchanged_over_drops():
    text = check("--transfer", "--cut", 5)
    for keyword in TRANSFER_LINES:
        assert re.search(f"^{keyword} ", text, re.M), text
    print("    " + re.search("^flows-again:.*", text, re.M)[0])


@nettest.only_with_all
def test_a_file_is_exchanged_over_lost_links():
    check("--transfer", "--cut", 5, "--cut-kind", "link")


def test_a_follower_is_cut_off():
    text = check_kv("--cut", 8, "--cut-member", "follower")
    assert "repeated=0 snapshots=0" in text


def test_a_follower_loses_its_link():
    check_kv("--cut", 8, "--cut-kind", "link")


def test_the_leader_is_cut_off():
    text = check_kv("--cut", 8, "--cut-member", "leader")
    assert re.search(r"^terms: [1-9]\d* entries of term \d+ and before, [1-9]\d* of term \d+", text, re.M), text


def test_a_follower_is_cut_off_where_namespaces_are_not_allowed():
    code, text = demo_test.run("--cut", 5, standin=False, lab="relay")
    assert code == 0, text
    assert "a relay in user space stands in for the network" in text
    demo_test.check_lines(text)


def test_a_file_is_exchanged_where_namespaces_are_not_allowed():
    code, text = demo_test.run("--transfer", "--cut", 3, standin=False, lab="relay")
    assert code == 0, text


@nettest.only_with_all
def test_a_follower_is_cut_off_for_100_s():
    check_kv("--cut", 100)


@nettest.only_with_all
def test_a_follower_loses_its_link_for_100_s():
    check_kv("--cut", 100, "--cut-kind", "link")


if __name__ == "__main__":
    nettest.main(globals())
