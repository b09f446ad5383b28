"""rtcp-perf measures: every shape runs over both wires, and what it prints can be read. No figure is judged here."""

import json
import os
import pathlib
import subprocess
import tempfile
import xml.etree.ElementTree

import netlab
import nettest

TOOLS = pathlib.Path(os.environ.get("HOLDFAST_BINARY_DIR", nettest.ROOT / "build" / "release")) / "rtcp/tools"
PERF = TOOLS / "rtcp-perf"
SVG = "{http://www.w3.org/2000/svg}"


def perf(*words):
    return subprocess.run([PERF, *map(str, words)], capture_output=True, text=True, timeout=60)


def lines(*words):
    done = perf("--seconds", 0.1, "--port", 7811, *words)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def shape(test, *words, wires=("rtcp", "tcp", "tcp-again")):
    *runs, last = lines("--test", test, "--pairs", 2, *words)
    assert sorted(run["wire"] for run in runs) == sorted(2 * wires), runs
    assert all(run["count"] > 0 and run["test"] == test and run["cpu_seconds_per_gib"] > 0 for run in runs)
    if test != "stream":
        for run in runs:
            figures = [run[f"{name}_us"] for name in ("p50", "p90", "p99", "p999", "max")]
            assert 0 < figures[0] and figures == sorted(figures), run
    assert last["pairs"] == 2
    for name in ("ratio", "cpu_ratio", "noise") if len(wires) == 3 else ("ratio",) if len(wires) == 2 else ():
        assert 0 < last[f"{name}_low"] <= last[name] <= last[f"{name}_high"], (name, last)
    return last


def test_a_message_and_its_echo():
    shape("rr")
    shape("rr", "--size", 1024)


def test_the_largest_message_and_its_echo():
    shape("rr", "--size", "1M", "--ring", "4k")


def test_messages_one_way():
    """The server counts what came; a run whose count is wrong fails."""
    shape("stream", "--size", 65536)
    shape("stream", "--size", 1)


def test_connect_request_close():
    shape("crr")


def test_the_blocking_face():
    assert shape("rr", "--face", "blocking")["face"] == "blocking"
    shape("rr", "--face", "blocking", "--size", "256k", "--ring", "16k")
    shape("stream", "--face", "blocking")
    shape("crr", "--face", "blocking")


def test_the_congestion_control_is_told():
    hosts = pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    assert shape("rr")["congestion"] == hosts


def test_plain_tcp_against_itself():
    assert shape("rr", "--noise", wires=("tcp", "tcp-again"))["of"] == "tcp"


def test_robust_tcp_alone_and_without_noise():
    assert "ratio" not in shape("rr", "--against", "none", wires=("rtcp",))
    assert "noise" not in shape("rr", "--no-noise", wires=("rtcp", "tcp"))


def test_plain_tcp_that_gathers_small_messages():
    for face in ("event", "blocking"):
        of = shape("stream", "--size", 64, "--coalesce", "--against", "more", "--face", face)
        assert of["against"] == "tcp with MSG_MORE" and of["coalesce"] is True


def test_the_buffer_of_the_paper():
    assert shape("stream", "--paper")["paper"] is True


def test_options_of_the_ring():
    assert shape("stream", "--sendfile", "--acks", 8, "--ring", "128k", "--size", "64k")["sendfile"] is True
    shape("stream", "--sendfile", "--face", "blocking", "--size", "64k")


def test_its_streams_are_shown_while_it_runs():
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "admin"
        running = subprocess.Popen([PERF, "--test", "rr", "--against", "none", "--pairs", "1", "--seconds", "2",
                                    "--port", "7811", "--admin", path], stdout=subprocess.PIPE)

        def look():
            done = subprocess.run([TOOLS / "rtcp-ss", "--json", path], capture_output=True, text=True)
            return [json.loads(line) for line in done.stdout.splitlines()]

        found = netlab.wait_for(look, 10, "a stream")
        assert len(found) == 1 and found[0]["role"] == "client" and found[0]["peer"] == "127.0.0.1:7811", found
        running.communicate(timeout=20)
        assert running.returncode == 0 and not path.exists()


def test_pinned():
    shape("rr", "--pin", f"{min(os.sched_getaffinity(0))},{max(os.sched_getaffinity(0))}")


def test_every_size_of_a_range_has_its_line_and_its_place_in_the_plot():
    with tempfile.TemporaryDirectory() as folder:
        plot = pathlib.Path(folder) / "out.svg"
        found = lines("--test", "rr", "--size", "1..256", "--pairs", 2, "--quiet", "--plot", plot)
        assert [line["size"] for line in found] == [1, 4, 16, 64, 256]
        tree = xml.etree.ElementTree.parse(plot).getroot()
        groups = {g.get("id"): g for g in tree.iter(SVG + "g")}
        assert set(groups) == {"rtcp", "tcp", "noise", "ratio"}
        for name in ("rtcp", "tcp"):
            points = groups[name].find(SVG + "polyline").get("points").split()
            assert len(points) == len(list(groups[name].iter(SVG + "circle"))) == 5
            assert all(0 <= float(x) <= 860 and 60 <= float(y) <= 400 for x, y in (p.split(",") for p in points))
        assert len(list(groups["noise"].iter(SVG + "rect"))) == len(list(groups["ratio"].iter(SVG + "circle"))) == 5
        texts = {text.text for text in tree.iter(SVG + "text")}
        assert {"robust TCP", "plain TCP", "1 B", "256 B", "bytes of a message"} <= texts, texts
        lines("--test", "crr", "--pairs", 2, "--quiet", "--plot", plot, "--against", "none")
        assert {g.get("id") for g in xml.etree.ElementTree.parse(plot).getroot().iter(SVG + "g")} == {"rtcp"}


def test_wrong_command_lines():
    for words in ([], ["--test", "x"], ["--test", "rr", "--size", "0"], ["--test", "rr", "--size", "1,,2"],
                  ["--test", "rr", "--size", "2M"], ["--test", "rr", "--size", "4..1"],
                  ["--serve", "nohost"], ["--test", "rr", "--connect", "::1"],
                  ["--test", "rr", "more"], ["--test", "rr", "--pin", "0"],
                  ["--test", "rr", "--face", "x"], ["--test", "rr", "--seconds", "0"], ["--test", "crr", "--size", "1"],
                  ["--test", "rr", "--serve", "127.0.0.1", "--connect", "127.0.0.1"],
                  ["--test", "rr", "--face", "blocking", "--admin", "x"],
                  ["--test", "rr", "--noise", "--no-noise"], ["--test", "rr", "--against", "more"],
                  ["--test", "rr", "--against", "udp"]):
        done = perf(*words)
        assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout, (words, done)
    assert perf("--help").returncode == 0


def test_a_plot_that_cannot_be_written():
    done = perf("--test", "rr", "--pairs", 1, "--seconds", 0.05, "--port", 7811, "--plot", "/nowhere/out.svg")
    assert done.returncode == 1 and "/nowhere/out.svg" in done.stderr and not done.stdout, "said before measuring"


def test_an_admin_socket_that_cannot_be_opened():
    done = perf("--test", "rr", "--pairs", 1, "--seconds", 0.05, "--port", 7813, "--admin", "/nowhere/admin")
    assert done.returncode == 1 and "/nowhere/admin: No such file" in done.stderr and not done.stdout, done


def test_nobody_serves():
    """Nobody listens at these ports of a loopback address that nothing else uses."""
    for test in ("rr", "stream", "crr"):
        for face in ("event", "blocking"):
            done = perf("--test", test, "--connect", "127.211.7.3", "--port", 7815, "--pairs", 1, "--seconds", 0.05,
                        "--face", face)
            assert done.returncode == 1 and "refuse" in done.stderr and not done.stdout, (test, face, done)


def test_a_server_and_a_client_on_two_hosts():
    """The last one: where the lab needs a user namespace, this process has no loopback afterwards."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        a.start([PERF, "--serve", a.address, "--port", 7000], stdin=subprocess.DEVNULL)

        def listens():
            try:
                b.connect(a.address, 7001).close()
            except OSError:
                return False
            return True

        netlab.wait_for(listens, 10, "the server listens")
        out = b.run([PERF, "--test", "rr", "--connect", a.address, "--port", 7000, "--pairs", 2, "--seconds", 0.1])
        assert json.loads(out.splitlines()[-1])["ratio"] > 0


if __name__ == "__main__":
    nettest.main(globals())
