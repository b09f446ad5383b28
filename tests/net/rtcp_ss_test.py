"""rtcp-ss and the admin socket of a live process: what is shown during a cut, and clients that do no good.

Properties: design 7 (off by default, mode 0600, JSON lines); B: every queue has a limit, whoever is at its other end.
"""

import contextlib
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import tempfile

import catparty
import netlab
import nettest

PIPE = subprocess.PIPE
COLUMNS = "ID ROLE STATE PEER SENT RECEIVED UNACKED OLDEST CONNS ATTEMPT DOWN RTT SILENT RING EVIDENCE".split()


@contextlib.contextmanager
def two_cats(hosts=2):
    """A lab, a server and a client with a stream between them, and the paths of their admin sockets."""
    with netlab.open_lab(hosts=hosts) as lab, tempfile.TemporaryDirectory() as folder:
        paths = [str(pathlib.Path(folder) / name) for name in ("server", "client")]
        server = catparty.listen(lab.hosts[0], "--admin", paths[0], stdin=PIPE)
        client = catparty.connect(lab.hosts[-1], lab.hosts[0], "--admin", paths[1], stdin=PIPE)
        client.wait_kind("link", up=True)
        yield lab, server, client, paths


def dial(path):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(path)
    return s


def read_to_end(s):
    found = b""
    with contextlib.suppress(ConnectionResetError):
        for part in iter(lambda: s.recv(1 << 16), b""):
            found += part
    return found


def only(path, **fields):
    """The one session of a process, once it has these values."""
    def look():
        found = catparty.sessions(path)
        assert len(found) == 1, found
        return found[0] if all(found[0][name] == value for name, value in fields.items()) else None

    return netlab.wait_for(look, 15, f"{path} shows {fields}")


def end(*cats):
    for cat in cats:
        cat.process.stdin.close()
    for cat in cats:
        cat.finish()


def test_a_stream_before_during_and_after_a_cut():
    with two_cats() as (lab, server, client, paths):
        client.feed(b"x" * 100, and_end=False)
        before = only(paths[1], state="ATTACHED", unacknowledged=0, sent=100)
        assert before["role"] == "client" and before["peer"] == f"{lab.hosts[0].address}:{catparty.PORT}"
        other = only(paths[0], state="ATTACHED", received=100)
        assert other["role"] == "server" and other["id"] == before["id"] and other["service"] == before["service"]
        assert other["incarnation"] == before["peer_incarnation"] and before["ring"] >= 4096
        lab.cut(lab.hosts[1], "rst")
        client.feed(b"y" * 900, and_end=False)
        cut = only(paths[1], state="DETACHED", unacknowledged=900)
        later = netlab.wait_for(lambda: next((s for s in catparty.sessions(paths[1]) if s["oldest"] >= 1), None), 10,
                                "it grows older")
        assert later["disconnected"] > cut["disconnected"] and later["attempt"] > before["attempt"], (cut, later)
        table = catparty.ss(paths[1]).splitlines()
        assert table[0].split() == COLUMNS and len(table) == 2, table
        row = dict(zip(COLUMNS, table[1].split()))
        assert row["STATE"] == "DETACHED" and row["UNACKED"] == "900" and row["DOWN"].endswith("s"), table
        assert row["EVIDENCE"] == "REFUSED", table
        lab.heal(lab.hosts[1])
        after = only(paths[1], state="ATTACHED", unacknowledged=0, sent=1000)
        assert after["connections"] > before["connections"] and after["disconnected"] == 0
        end(server, client)
        assert server.out == b"x" * 100 + b"y" * 900
        assert not os.path.exists(paths[0]) and not os.path.exists(paths[1]), "the files go with the processes"


def test_several_processes_and_counters():
    with two_cats(hosts=1) as (_, server, client, paths):
        said = catparty.ss(*paths)
        for path, cat in zip(paths, (server, client)):
            assert f"{path} (process {cat.process.pid})\n" in said, said
        rows = dict(line.split() for line in catparty.ss("--stats", paths[0]).splitlines())
        assert rows["sessions"] == "1" and rows["connections_accepted"] == "1", rows
        assert json.loads(catparty.ss("--stats", "--json", paths[0]))["sessions"] == 1


def test_only_the_owner_may_ask():
    with two_cats(hosts=1) as (_, _, _, paths):
        assert stat.S_IMODE(os.lstat(paths[0]).st_mode) == 0o600
        if os.getuid() != 0:
            print("    not root: nobody else can be tried")
            return
        os.chmod(os.path.dirname(paths[0]), 0o755)
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        try:
            said = catparty.ss(paths[0], code=1, **nobody)
        except PermissionError:
            print("    root of a user namespace: nobody else can be tried")
            return
        assert "not permitted" in said, said
        os.chmod(paths[0], 0o666)  # even then
        said = catparty.ss(paths[0], code=1, **nobody)
        assert "of another user" in said, said


def test_nobody_answers():
    with two_cats(hosts=1) as (lab, server, _, paths):
        host = lab.hosts[0]
        assert "no such socket" in catparty.ss(paths[0] + "x", code=1)
        assert "longer than" in catparty.ss("x" * 200, code=1)
        occupied = catparty.connect(host, host, "--admin", paths[1])
        occupied.finish(1)
        assert "exists" in occupied.errors() and only(paths[1])["role"] == "client"
        server.process.send_signal(signal.SIGSTOP)
        assert "does not answer" in catparty.ss(paths[0], code=1)
        server.process.kill()
        server.process.wait()
        done = subprocess.run([catparty.SS, *paths], capture_output=True, text=True)
        assert done.returncode == 1 and "the process is gone" in done.stderr and paths[1] in done.stdout, done
        again = catparty.listen(host, "--service", "other", "--admin", paths[0])
        assert catparty.ss("--json", paths[0]) == "" and again.process.poll() is None


def test_watching_ends_with_the_process():
    with two_cats(hosts=1) as (_, server, client, paths):
        watcher = subprocess.Popen([catparty.SS, "--watch", "0.1", paths[1]], stdout=PIPE, stderr=PIPE, text=True)
        heads = [line for line, _ in zip(iter(watcher.stdout.readline, ""), range(9)) if line.split() == COLUMNS]
        assert len(heads) == 3
        client.process.kill()
        out, err = watcher.communicate(timeout=10)
        assert watcher.returncode == 1 and "gone" in err, (out, err)


def test_hostile_clients_do_not_disturb_the_stream():
    data = catparty.noise(32 << 20)
    with two_cats(hosts=1) as (_, server, client, paths):
        client.feed(data)
        for _ in range(20):
            with dial(paths[1]) as s:
                s.sendall(b"x" * 256)
                assert b"too long" in read_to_end(s)
            with dial(paths[1]) as s:
                s.sendall(b"\0\xff{}\n" * 20 + b"stats\n")
                s.shutdown(socket.SHUT_WR)
                lines = [json.loads(line) for line in read_to_end(s).splitlines()]
                assert len(lines) == 42 and lines[-1] == {"end": "stats", "lines": 1}, lines[-3:]
            dial(paths[1]).close()
            with dial(paths[1]) as s:
                s.sendall(b"sessions\n")  # and goes without the answer
        server.process.stdin.close()
        client.finish()
        server.finish()
        assert server.out == data


def test_slow_readers_are_hung_up_on_and_make_room():
    """Eight clients that read nothing fill all places; 5 s later they are gone."""
    with two_cats(hosts=1) as (_, server, client, paths):
        held = [dial(paths[1]) for _ in range(8)]
        for s in held:
            s.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:  # more questions than the answers' buffers hold
                    s.send(b"sessions\n" * 1000)
        assert "too many clients" in catparty.ss(paths[1], code=1)
        netlab.wait_for(lambda: subprocess.run([catparty.SS, paths[1]], capture_output=True).returncode == 0, 20,
                        "there is room again")
        for s in held:
            s.close()
        end(server, client)


def answered_with(answer):
    """(exit status, output, errors) of rtcp-ss when this is the answer, and the other side hangs up."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = str(pathlib.Path(folder) / "fake")
        listener.bind(path)
        listener.listen()
        listener.settimeout(10)
        asking = subprocess.Popen([catparty.SS, path], stdout=PIPE, stderr=PIPE, text=True)
        with listener.accept()[0] as s:
            s.recv(100)
            s.sendall(answer)
        out, err = asking.communicate(timeout=10)
        return asking.returncode, out, err


def test_answers_that_are_cut_short_or_nonsense():
    end = b'{"end":"sessions","lines":1}\n'
    code, out, err = answered_with(b'{"id":7}\n{"error":"the answer is too long"}\n' + end)
    assert code == 1 and "too long" in err and len(out.splitlines()) == 2, (out, err)
    for answer, what in ((b'{"error":"no such command"}\n' + end, "no such command"), (b'{"id":7}\n', "hung up"),
                         (b"", "hung up"), (b'{"error":"too many clients"}\n', "too many clients")):
        code, out, err = answered_with(answer)
        assert code == 1 and what in err and not out, (answer, out, err)
    code, out, err = answered_with(b'\n\0\xff{"id":\n[1]\n{"id":"\\\n' + end)
    assert code in (0, 1) and "Sanitizer" not in err, err


def test_wrong_command_lines():
    for words in ([], ["--watch", "x", "path"], ["--watch", "0", "path"], ["--what", "path"]):
        catparty.ss(*words, code=2)
    assert catparty.ss("--help").startswith("usage: rtcp-ss")


if __name__ == "__main__":
    nettest.main(globals())
