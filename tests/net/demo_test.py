"""The demo tells the truth: it fails when something is wrong, and leaves nothing behind.

It runs over a stand-in that lies in one way (tests/net/standins); demo_real_test.py runs it over the real programs.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import uuid

import netlab
import nettest

DEMO = nettest.ROOT / "examples" / "demo.py"
STANDIN = pathlib.Path(__file__).resolve().parent / "standins"
RECORDS = 600

KEYWORDS = ("records:", "cut:", "unreachable:", "lagging:", "views-changed-by-cut:", "leader:", "behind-at-heal:",
            "caught-up:", "catch-up:", "digest:", "input-verified:", "memory:")


def environment(standin, fault=""):
    env = dict(os.environ, STANDIN_FAULT=fault, HOLDFAST_MARK=uuid.uuid4().hex)
    if standin:
        build = tempfile.TemporaryDirectory()
        os.symlink(STANDIN, pathlib.Path(build.name) / "examples")
        env["HOLDFAST_BINARY_DIR"] = build.name
        return env, build
    return env, None


def left_behind(env):
    """Processes that the demo started and that still run, known by a mark in their environment."""
    mark = f"HOLDFAST_MARK={env['HOLDFAST_MARK']}".encode()
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(entry.name)
            except OSError:
                continue  # it ended meanwhile
    return found


def run(*words, standin=True, fault="", timeout=120, lab=""):
    env, build = environment(standin, fault)
    env["HOLDFAST_LAB"] = lab
    try:
        done = subprocess.run([sys.executable, DEMO, "--plain", *map(str, words)], env=env, text=True, timeout=timeout,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        netlab.wait_for(lambda: not left_behind(env), 5, "the end of everything the demo started")
    finally:
        if build:
            build.cleanup()
    return done.returncode, done.stdout


class Input:
    """A small file of records."""

    def __enter__(self):
        self.file = tempfile.NamedTemporaryFile(mode="w")
        self.file.writelines(f"{0x1000 + i:04X};RECORD NUMBER {i};Lo\n" for i in range(RECORDS))
        self.file.flush()
        return self.file.name

    def __exit__(self, *_):
        self.file.close()


def check_fails(fault, pattern):
    with Input() as path:
        code, text = run("--input", path, "--cut", 3, fault=fault)
    failed = [line for line in text.splitlines() if line.startswith("failed:")]
    assert code == 1, f"exit status {code}:\n{text}"
    assert any(re.search(pattern, line) for line in failed), f"no `failed: ..{pattern}` in:\n{text}"


def check_lines(text):
    for keyword in KEYWORDS:
        assert sum(line.startswith(keyword) for line in text.splitlines()) == 1, f"{keyword} is missing in:\n{text}"


def test_a_truthful_standin_passes():
    with Input() as path:
        code, text = run("--input", path, "--cut", 3)
    assert code == 0, text
    check_lines(text)
    half = RECORDS // 2
    assert f"behind-at-heal: {half} entries" in text
    assert f"catch-up: pulled={half} repeated=0 snapshots=0 save-calls=0 load-calls=0" in text
    assert f"input-verified: {RECORDS} of {RECORDS} records read back from s3" in text


def test_a_lost_record_is_noticed():
    check_fails("lost-record", f"input-verified: {RECORDS - 1} of")


def test_a_wrong_value_is_noticed():
    check_fails("wrong-value", "digest: .* DIFFERENT")


def test_a_repeated_entry_is_noticed():
    check_fails("repeated", "repeated=[1-9]")


def test_a_view_change_is_noticed():
    check_fails("view", "views-changed-by-cut: 1")


def test_a_snapshot_is_noticed():
    check_fails("snapshot", "snapshots=[1-9]")


def test_a_call_of_save_is_noticed():
    check_fails("save", "save-calls=[1-9]")


def test_a_slow_catch_up_is_noticed():
    check_fails("slow", "caught up after")


def test_too_much_memory_is_noticed():
    check_fails("memory", "memory:")


def test_a_dead_replica_is_noticed():
    check_fails("dies", "s3 ended with status 7")


def test_a_replica_that_dies_slowly_is_not_called_a_broken_connection():
    """Story: its connections ended first, and all that the demo said was `Connection reset by peer`."""
    check_fails("dies-slowly", "s3 ended with status 7")


def test_a_replica_that_hangs_up_is_named():
    check_fails("hangs-up", "s3 runs, but does not answer: the server closed the connection")


def test_a_cut_that_nobody_noticed_is_noticed():
    check_fails("link-up", "unreachable:")


def test_an_unasked_change_of_leader_is_noticed():
    check_fails("term", "the term changed")


def test_an_error_of_the_load_is_noticed():
    check_fails("error", "redis-cli --pipe")


def test_wrong_command_lines_end_with_status_2():
    with tempfile.NamedTemporaryFile(mode="w") as short:
        short.write("only one line\n")
        short.flush()
        for words in (["--cut", "-1"], ["--cut-member", "4"], ["--input", "/nowhere"], ["--cut-kind", "saw"],
                      ["--input", short.name]):
            code, text = run(*words)
            assert code == 2, f"{words}: {code}\n{text}"


def stop_demo(number, standin, path):
    env, build = environment(standin)
    demo = subprocess.Popen([sys.executable, DEMO, "--plain", "--cut", "60", "--input", path], env=env, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    text = ""
    for line in demo.stdout:
        text += line
        if "while s3 is away" in line:
            break
    assert len(left_behind(env)) > 3, text
    demo.send_signal(number)
    rest = demo.communicate(timeout=10)[0]
    netlab.wait_for(lambda: not left_behind(env), 5, "the end of everything the demo started")
    if build:
        build.cleanup()
    return demo.returncode, rest


def test_control_c_leaves_nothing_behind():
    with Input() as path:
        code, text = stop_demo(signal.SIGINT, True, path)
        assert code == 130 and "stopped:" in text, (code, text)


def test_sigterm_leaves_nothing_behind():
    with Input() as path:
        code, _ = stop_demo(signal.SIGTERM, True, path)
        assert code == 128 + signal.SIGTERM, code


def test_kill_9_leaves_nothing_behind():
    with Input() as path:
        code, _ = stop_demo(signal.SIGKILL, True, path)
        assert code == -signal.SIGKILL, code


if __name__ == "__main__":
    nettest.main(globals())
