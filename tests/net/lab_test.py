"""The laboratory itself: a cut really cuts what it says and nothing else, a heal really heals, nothing stays behind."""

import os
import pathlib
import signal
import socket
import subprocess
import sys

import netlab
import nettest

PORT = 7777
LOST = 0.3      # seconds after which a packet that is to be lost counts as lost
PASSES = 10.0   # seconds that one which is to pass may take: the machine may be busy


class Peer:
    """UDP and TCP sockets of one host, to see which packets pass."""

    def __init__(self, host, family=socket.AF_INET):
        self.host = host
        self.family = family
        self.address = host.address if family == socket.AF_INET else host.address6.strip("[]")
        self.udp = host.socket(family, socket.SOCK_DGRAM)
        self.udp.bind((self.address, PORT))
        self.tcp = host.socket(family, socket.SOCK_STREAM)
        self.tcp.bind((self.address, PORT))
        self.tcp.listen(8)

    def close(self):
        self.udp.close()
        self.tcp.close()


def udp_passes(a, b, seconds=1.0):
    """Whether a datagram from a reaches b; a lost one costs `seconds`."""
    token = os.urandom(8)
    b.udp.settimeout(seconds)
    a.udp.sendto(token, (b.address, PORT))
    try:
        while b.udp.recv(64) != token:
            pass
        return True
    except TimeoutError:
        return False


def tcp_outcome(a, b, seconds=1.0):
    """What becomes of a connection from a to b: 'open', 'refused' or 'silent'."""
    s = a.host.socket(a.family)
    s.settimeout(seconds)
    try:
        s.connect((b.address, PORT))
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except (TimeoutError, OSError):
        return "silent"
    finally:
        s.close()


def passes(a, b):
    """(a to b, b to a) by UDP, now."""
    return udp_passes(a, b, LOST), udp_passes(b, a, LOST)


def check_udp(a, b, there, back, what=""):
    """Whether datagrams pass from a to b, and back, is as expected."""
    got = udp_passes(a, b, PASSES if there else LOST), udp_passes(b, a, PASSES if back else LOST)
    assert got == (there, back), (got, (there, back), what)


def check_tcp(a, b, outcome, what=""):
    """What becomes of a connection from a to b is as expected."""
    got = tcp_outcome(a, b, 0.5 if outcome == "silent" else PASSES)
    assert got == outcome, (got, outcome, what)


def check_kind(kind, to_host, from_host, tcp, family=socket.AF_INET):
    with netlab.open_lab(hosts=3) as lab:
        cut, other, third = [Peer(h, family) for h in lab.hosts]
        check_udp(cut, other, True, True)
        check_tcp(other, cut, "open")
        for _ in range(2):
            lab.cut(cut.host, kind)
            check_udp(cut, other, from_host, to_host)
            check_tcp(other, cut, tcp)
            check_udp(other, third, True, True, "the others are not touched")
            check_tcp(other, third, "open", "the others are not touched")
            lab.heal(cut.host)
            # A TCP port whose bridge port or neighbour entry was gone may need a moment: a datagram waits for it.
            netlab.wait_for(lambda: passes(cut, other) == (True, True), PASSES, "the heal")
            check_tcp(other, cut, "open")
        for peer in (cut, other, third):
            peer.close()


def test_drop_loses_both_directions():
    check_kind("drop", False, False, "silent")


def test_drop_loses_both_directions_of_ipv6():
    check_kind("drop", False, False, "silent", socket.AF_INET6)


def test_link_loses_both_directions():
    check_kind("link", False, False, "silent")


def test_in_loses_what_goes_to_the_host():
    check_kind("in", False, True, "silent")


def test_out_loses_what_comes_from_the_host():
    check_kind("out", True, False, "silent")


def test_udp_loses_datagrams_only():
    check_kind("udp", False, False, "open")


def test_rst_refuses_connections():
    check_kind("rst", False, False, "refused")


def neighbour_state(host, address):
    out = host.run(["ip", "neigh", "show", address]).split()
    return out[-1] if out else "NONE"


def test_drop_lets_arp_pass_and_link_does_not():
    """Neighbours stay dynamic: the two kinds differ in what the kernel must find out again after the heal."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        peer = Peer(b)
        for kind, state in (("drop", ("REACHABLE",)), ("link", ("INCOMPLETE", "FAILED"))):
            a.run(["ip", "neigh", "flush", "all"])
            lab.cut(b, kind)
            with a.socket(kind=socket.SOCK_DGRAM) as s:
                s.sendto(b"?", (b.address, PORT))
            netlab.wait_for(lambda: neighbour_state(a, b.address) in state, PASSES, f"{state} with {kind}")
            lab.heal(b)
        peer.close()


def test_a_cut_from_one_peer_leaves_the_others():
    with netlab.open_lab(hosts=3) as lab:
        one, two, three = [Peer(h) for h in lab.hosts]
        lab.cut(one.host, "drop", peer=two.host)
        check_udp(one, two, False, False)
        check_udp(one, three, True, True)
        lab.heal(one.host)
        check_udp(one, two, True, True)
        for peer in (one, two, three):
            peer.close()


def test_reset_connections_ends_live_ones():
    with netlab.open_lab(hosts=2) as lab:
        peer = Peer(lab.hosts[1])
        for side in (0, 1):
            client = lab.hosts[0].connect(peer.address, PORT)
            server, _ = peer.tcp.accept()
            filter_ = ("dport" if side == 0 else "sport", "=", f":{PORT}")
            assert lab.hosts[side].reset_connections(*filter_) == 1
            for s in (client, server):
                s.settimeout(2)
                try:
                    assert s.recv(1) == b"", "the connection must be over"
                except ConnectionError:
                    pass
                s.close()
        peer.close()


CRASHER = """
import signal, sys
sys.path.insert(0, sys.argv[1])
import netlab
netlab.end_on_signals()
with netlab.open_lab(hosts=2) as lab:
    process = lab.hosts[0].start(["sleep", "1000"])
    print(process.pid, flush=True)
    signal.pause()
"""


def start_time(pid):
    """Tells two processes of the same number apart; None when there is none (or only its exit status is left)."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def check_ends_with(number):
    here = str(pathlib.Path(__file__).resolve().parent)
    owner = subprocess.Popen([sys.executable, "-c", CRASHER, here], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    pid = int(owner.stdout.readline())
    born = start_time(pid)
    assert born is not None
    owner.send_signal(number)
    owner.wait(timeout=10)
    owner.stdout.close()
    netlab.wait_for(lambda: start_time(pid) != born, 5, "the end of the process in the host")


def test_nothing_stays_behind_after_control_c():
    check_ends_with(signal.SIGINT)


def test_nothing_stays_behind_after_sigterm():
    check_ends_with(signal.SIGTERM)


def test_nothing_stays_behind_after_kill_9():
    check_ends_with(signal.SIGKILL)


def test_two_labs_at_once_do_not_meet():
    with netlab.open_lab(hosts=2) as one, netlab.open_lab(hosts=2) as two:
        a, b = Peer(one.hosts[0]), Peer(one.hosts[1])
        c, d = Peer(two.hosts[0]), Peer(two.hosts[1])
        one.cut(one.hosts[0], "drop")
        check_udp(a, b, False, False)
        check_udp(c, d, True, True)
        for peer in (a, b, c, d):
            peer.close()


if __name__ == "__main__":
    nettest.main(globals())
