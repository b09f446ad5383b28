"""rtcp-cat: every byte of standard input, or a truthful end. Over cuts, pipes that nobody reads, and full disks.

Properties: design 2.1 (nothing lost or repeated), 2.6 ("for ever" applies to the last byte; tools wait for it), 2.7
rule 1; P33 (success is said only when the peer has everything).
"""

import os
import pathlib
import pty
import signal
import subprocess
import tempfile
import termios
import threading

import catparty
import netlab
import nettest

PIPE = subprocess.PIPE
MIB = 1 << 20


def test_a_file_each_way_over_a_cut_of_2_s():
    one, two = catparty.noise(24 * MIB, 1), catparty.noise(24 * MIB, 2)
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = catparty.listen(a, stdin=PIPE)
        client = catparty.connect(b, a, "--progress", stdin=PIPE)
        server.feed(one[:8 * MIB], and_end=False)
        client.feed(two[:8 * MIB], and_end=False)
        netlab.wait_for(lambda: len(server.out) >= 4 * MIB and len(client.out) >= 4 * MIB, 20, "both ways flow")
        lab.cut(b, "drop")
        server.feed(one[8 * MIB:])
        client.feed(two[8 * MIB:])
        client.wait("2 s without an acknowledgement", 20, lambda e: e["event"] == "progress" and e["oldest"] >= 2)
        lab.heal(b)
        totals = server.finish(), client.finish()
        assert server.out == two and client.out == one
        for total in totals:
            assert total["ok"] and total["unacknowledged"] == 0 and total["sent"] == total["received"] == 24 * MIB
        assert totals[1]["connections"] > 1, "the cut did not break the connection"


def test_files_by_ipv6():
    with netlab.open_lab(hosts=2) as lab, tempfile.TemporaryDirectory() as folder:
        a, b = lab.hosts
        source, copy = pathlib.Path(folder) / "source", pathlib.Path(folder) / "copy"
        source.write_bytes(catparty.noise(5 * MIB + 1))
        with source.open("rb") as stdin, copy.open("wb") as stdout:
            server = catparty.listen(a, address=a.address6, stdout=stdout)
            client = catparty.connect(b, a, address=a.address6, stdin=stdin)
            server.finish()
            client.finish()
        assert copy.read_bytes() == source.read_bytes()


def test_it_waits_for_the_last_byte():
    """Standard input ended long ago, the network is away: neither success nor an end."""
    data = catparty.noise(100_000)
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = catparty.listen(a)
        client = catparty.connect(b, a, "--progress", stdin=PIPE)
        client.wait_kind("link", up=True)
        lab.cut(b, "drop")
        client.feed(data)
        late = client.wait("3 s without an acknowledgement", 10, lambda e: e.get("oldest", 0) >= 3)
        assert client.process.poll() is None and late["unacknowledged"] == len(data)
        lab.heal(b)
        client.finish()
        server.finish()
        assert server.out == data


def test_stopped_by_a_signal_it_tells_what_is_not_acknowledged():
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        catparty.listen(a)
        client = catparty.connect(b, a, "--progress", stdin=PIPE)
        client.wait_kind("link", up=True)
        lab.cut(b, "drop")
        client.feed(catparty.noise(5000))
        client.wait("bytes under way", 10, lambda e: e["event"] == "progress" and e["unacknowledged"] == 5000)
        client.process.send_signal(signal.SIGTERM)
        assert client.finish(1)["ok"] is False
        assert "5000 bytes unacknowledged" in client.errors()


def test_nobody_reads_standard_output():
    with netlab.open_lab(hosts=1) as lab:
        a = lab.hosts[0]
        reader, writer = os.pipe()
        server = catparty.listen(a, stdout=writer)
        os.close(writer)
        os.close(reader)
        client = catparty.connect(a, a, stdin=PIPE)
        client.feed(catparty.noise(4 * MIB))
        assert server.finish(1)["ok"] is False and "nobody reads standard output" in server.errors()
        assert client.finish(1)["ok"] is False and "aborted" in client.errors() and "unacknowledged" in client.errors()


def failing_output(lab, stdout, text, data=b"five\n"):
    a = lab.hosts[0]
    server = catparty.listen(a, stdout=stdout)
    client = catparty.connect(a, a, stdin=PIPE)
    client.feed(data)
    server.finish(1)
    client.finish(1)  # although its bytes were acknowledged: they were read, and then could not be written
    assert text in server.errors() and "aborted" in client.errors(), (server.errors(), client.errors())


def test_a_full_disk_is_an_error_on_both_sides():
    with netlab.open_lab(hosts=1) as lab, open("/dev/full", "wb") as full:
        failing_output(lab, full, "No space left")


def test_standard_output_that_cannot_be_written_is_an_error():
    with netlab.open_lab(hosts=1) as lab, open("/dev/null", "rb") as wrong:
        failing_output(lab, wrong, "Bad file descriptor")


def test_standard_input_that_cannot_be_read_is_an_error():
    with netlab.open_lab(hosts=1) as lab, open("/dev/null", "wb") as wrong:
        a = lab.hosts[0]
        server = catparty.listen(a, stdin=wrong)
        client = catparty.connect(a, a)
        server.finish(1)
        client.finish(1)
        assert "standard input" in server.errors() and "aborted" in client.errors()


def test_a_slow_reader_holds_the_sender_back():
    """Back-pressure reaches standard input: what is under way has limits. Then everything arrives."""
    data = catparty.noise(64 * MIB)
    with netlab.open_lab(hosts=1) as lab:
        a = lab.hosts[0]
        reader, writer = os.pipe()
        server = catparty.listen(a, stdout=writer)
        os.close(writer)
        client = catparty.connect(a, a, "--progress", "--ring", "256k", stdin=PIPE)
        feeding = client.feed(data)
        seen = []

        def stands_still():
            seen.append(client.wait("progress", 10, lambda e: e["event"] == "progress" and e not in seen))
            return len(seen) > 1 and seen[-1]["sent"] == seen[-2]["sent"]

        netlab.wait_for(stands_still, 20, "the sender stands still")
        assert feeding.is_alive() and seen[-1]["sent"] < 16 * MIB, seen[-1]
        with os.fdopen(reader, "rb") as out:
            assert out.read() == data
        server.finish()
        client.finish()


def test_shared_pipes_stay_blocking():
    """O_NONBLOCK belongs to whoever else holds the pipe: a shell, or the next program of a pipeline."""
    with netlab.open_lab(hosts=1) as lab:
        a = lab.hosts[0]
        in_reader, in_writer = os.pipe()
        out_reader, out_writer = os.pipe()
        server = catparty.listen(a, stdout=out_writer)
        client = catparty.connect(a, a, stdin=in_reader)
        os.write(in_writer, b"x")
        assert os.read(out_reader, 1) == b"x"
        assert all(os.get_blocking(fd) for fd in (in_reader, in_writer, out_reader, out_writer))
        os.close(out_writer)
        os.close(in_writer)
        assert os.read(out_reader, 1) == b"", "the end of the stream is the end of the pipe"
        server.finish()
        client.finish()
        os.close(in_reader)
        os.close(out_reader)


def test_pipes_that_cannot_be_opened_anew_do_not_block_it():
    """As behind sudo, where pipes are of another user: portions, each after the loop said that one passes."""
    data = catparty.noise(MIB)
    with netlab.open_lab(hosts=1) as lab:
        a = lab.hosts[0]
        weak = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        in_reader, in_writer = os.pipe()
        out_reader, out_writer = os.pipe()
        for fd in (in_reader, out_reader):
            os.fchmod(fd, 0)
        server = catparty.listen(a, stdout=out_writer, by=weak)
        client = catparty.connect(a, a, "--progress", stdin=in_reader, by=weak)
        os.close(out_writer)
        os.close(in_reader)
        client.wait("life while nothing comes in", 10, lambda e: e["event"] == "progress")
        for cat, fd in ((client, 0), (server, 1)):
            flags = pathlib.Path(f"/proc/{cat.process.pid}/fdinfo/{fd}").read_text().split("flags:")[1].split()[0]
            assert not int(flags, 8) & os.O_NONBLOCK, "it was opened anew: nothing is tested here"
        os.write(in_writer, data[:1000])
        client.wait("bytes that arrived", 10, lambda e: e["event"] == "progress" and e["sent"] == 1000
                    and e["unacknowledged"] == 0)
        feeding = threading.Thread(target=lambda: (os.fdopen(in_writer, "wb").write(data[1000:])), daemon=True)
        feeding.start()
        client.wait("life while nothing goes out", 10, lambda e: e["event"] == "progress" and e["sent"] > 1000)
        with os.fdopen(out_reader, "rb") as out:
            assert out.read() == data
        server.finish()
        client.finish()


def test_a_terminal():
    with netlab.open_lab(hosts=1) as lab:
        a = lab.hosts[0]
        keyboard, terminal = pty.openpty()
        modes = termios.tcgetattr(terminal)
        modes[3] &= ~termios.ECHO
        termios.tcsetattr(terminal, termios.TCSANOW, modes)
        server = catparty.listen(a, stdin=PIPE)
        client = catparty.connect(a, a, stdin=terminal, stdout=terminal)
        os.write(keyboard, b"typed\n")
        netlab.wait_for(lambda: server.out == b"typed\n", 10, "the line arrives")
        server.feed(b"answer\n")
        assert os.read(keyboard, 100) == b"answer\r\n"
        assert os.get_blocking(terminal)
        os.write(keyboard, b"\x04")  # Ctrl-D
        server.finish()
        client.finish()
        os.close(keyboard)
        os.close(terminal)


def test_nobody_listens():
    with netlab.open_lab(hosts=1) as lab:
        a = lab.hosts[0]
        client = catparty.connect(a, a)
        client.finish(1)
        assert "refuses" in client.errors()
        patient = catparty.connect(a, a, "--retry", stdin=PIPE)
        patient.feed(b"late")
        patient.wait_kind("evidence", kind="REFUSED")
        server = catparty.listen(a)
        patient.finish()
        server.finish()
        assert server.out == b"late"


def test_a_second_client_is_refused():
    with netlab.open_lab(hosts=1) as lab:
        a = lab.hosts[0]
        server = catparty.listen(a)
        first = catparty.connect(a, a, stdin=PIPE)
        first.wait_kind("link", up=True)
        second = catparty.connect(a, a)
        second.finish(1)
        first.feed(b"first")
        first.finish()
        server.finish()
        assert server.out == b"first"


def test_only_holders_of_the_key_get_in():
    with netlab.open_lab(hosts=1) as lab, tempfile.TemporaryDirectory() as folder:
        a = lab.hosts[0]
        paths = []
        for i, size in enumerate((32, 32, 8)):
            paths.append(pathlib.Path(folder) / str(i))
            paths[i].write_bytes(catparty.noise(size, i))
        server = catparty.listen(a, "--key-file", paths[0])
        for by in ((), ("env", "HOLDFAST_KEY=0123456789abcdef")):  # without a key, and with one of the environment
            catparty.connect(a, a, by=by).finish(1)
        stranger = catparty.connect(a, a, "--key-file", paths[1], stdin=PIPE)
        stranger.feed(b"wrong key")
        stranger.finish(1)
        catparty.connect(a, a, "--key-file", paths[2]).finish(1)  # too short to be a key
        catparty.connect(a, a, "--key-file", pathlib.Path(folder) / "none").finish(1)
        holder = catparty.connect(a, a, "--key-file", paths[0], stdin=PIPE)
        holder.feed(b"right key")
        holder.finish()
        server.finish()
        assert server.out == b"right key"


def test_a_peer_that_was_killed_and_replaced_is_gone():
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        words = ("--service", "place")
        reader, writer = os.pipe()  # nobody reads: bytes stay unacknowledged
        first = catparty.listen(a, *words, stdout=writer)
        client = catparty.connect(b, a, *words, stdin=PIPE)
        client.feed(catparty.noise(16 * MIB))
        client.wait_kind("link", up=True)
        first.process.kill()
        first.process.wait()
        second = catparty.listen(a, *words)
        client.finish(1)
        assert "gone" in client.errors() and " 0 bytes unacknowledged" not in client.errors(), client.errors()
        assert second.out == b"" and second.process.poll() is None
        os.close(reader)
        os.close(writer)


def test_progress_as_text():
    """Bytes, rate, connections, and the link when it goes and comes; and nothing at all without --progress."""
    with netlab.open_lab(hosts=2) as lab, tempfile.TemporaryFile() as log, tempfile.TemporaryFile() as silence:
        a, b = lab.hosts
        quiet = a.start([catparty.CAT, "--listen", f"{a.inner}:7001"], stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL, stderr=silence)
        told = b.start([catparty.CAT, "--progress", "--retry", f"{a.address}:7001"], stdin=PIPE, stderr=log)

        def line(begin, *parts):
            def look():
                lines = os.pread(log.fileno(), MIB, 0).decode().splitlines()
                return any(one.startswith(begin) and all(part in one for part in parts) for one in lines)

            netlab.wait_for(look, 15, f"a line that begins with {begin}")

        line("link up with ")
        lab.cut(b, "rst")
        told.stdin.write(b"x" * 2048)
        told.stdin.flush()
        line("link down, ")
        line("sent 2.0 KiB (", "received 0 B (0 B/s), link down, 1 connection, 2.0 KiB unacknowledged")
        lab.heal(b)
        line("link up again after ")
        told.stdin.close()
        line("done: sent 2.0 KiB, received 0 B in ")
        assert told.wait(10) == 0 and quiet.wait(10) == 0
        assert os.pread(silence.fileno(), 1000, 0) == b""


def test_wrong_command_lines():
    for words in ([], ["a:1", "b:2"], ["--ring", "1", "a:1"], ["--ring", "x", "a:1"], ["--log", "xml", "a:1"],
                  ["--what", "a:1"], ["--service", "x" * 256, "a:1"], ["--admin", "", "a:1"]):
        done = subprocess.run([catparty.CAT, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
        assert done.returncode == 2 and done.stderr and not done.stdout, (words, done)
    for words in (["nonsense"], ["--listen", "127.0.0.1:notaport"]):
        done = subprocess.run([catparty.CAT, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=10)
        assert done.returncode == 1 and b"HOST:PORT" in done.stderr, (words, done)
    done = subprocess.run([catparty.CAT, "127.0.0.1:1"], stdin=subprocess.DEVNULL, capture_output=True, timeout=10,
                          env={**os.environ, "HOLDFAST_KEY": "too short"})
    assert done.returncode == 1 and b"HOLDFAST_KEY: a key has 16 to 64 bytes" in done.stderr, done
    done = subprocess.run([catparty.CAT, "--help"], capture_output=True, text=True, timeout=10)
    assert done.returncode == 0 and done.stdout.startswith("usage: rtcp-cat")
    assert max(map(len, done.stdout.splitlines())) <= 120


if __name__ == "__main__":
    nettest.main(globals())
