"""The relay that stands in for the laboratory where namespaces are not allowed."""

import socket
import subprocess
import sys

import netlab
import netrelay
import nettest

PORT = 7778

ECHO = """
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
tcp = socket.create_server((address, port))
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind((address, port))
print("ready", flush=True)
import selectors
s = selectors.DefaultSelector()
s.register(tcp, 1)
s.register(udp, 1)
while True:
    for key, _ in s.select():
        if key.fileobj is udp:
            data, where = udp.recvfrom(4096)
            udp.sendto(data + b" from " + where[0].encode(), where)
        elif key.fileobj is tcp:
            s.register(tcp.accept()[0], 1)
        else:
            data = key.fileobj.recv(65536)
            key.fileobj.sendall(data) if data else (s.unregister(key.fileobj), key.fileobj.close())
"""

# Connects, and tells for each line of its input, "KIND SECONDS", whether the echo came by then.
CLIENT = """
import socket, sys
address, port = sys.argv[1], int(sys.argv[2])
tcp = socket.create_connection((address, port))
udp = socket.socket(type=socket.SOCK_DGRAM)
udp.bind((sys.argv[3], port))
for line in sys.stdin:
    kind, seconds = line.split()
    for s in (tcp, udp):
        s.settimeout(float(seconds))
    try:
        if kind == "tcp":
            tcp.sendall(b"?")
            print(tcp.recv(10)[:1] == b"?", flush=True)  # or more: late ones come, too
        else:
            udp.sendto(b"?", (address, port))
            print(udp.recv(100).decode(), flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


class Scene:
    def __init__(self, lab):
        self.lab = lab
        self.a, self.b = lab.hosts[:2]
        for host in (self.a, self.b):
            lab.expose(host, PORT)
        server = self.a.start([sys.executable, "-c", ECHO, self.a.inner, PORT], stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL)
        assert server.stdout.readline() == b"ready\n"
        self.client = self.b.start([sys.executable, "-c", CLIENT, self.a.address, PORT, self.b.inner],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, kind, seconds=10):
        """Few seconds where nothing is to come, or where it is asked again."""
        self.client.stdin.write(f"{kind} {seconds}\n")
        self.client.stdin.flush()
        return self.client.stdout.readline().strip()


def test_bytes_and_datagrams_pass_under_the_outer_addresses():
    with netrelay.RelayLab(hosts=2) as lab:
        scene = Scene(lab)
        assert scene.ask("tcp") == "True"
        assert scene.ask("udp") == f"? from {scene.b.address}"


def test_a_drop_holds_everything_and_a_heal_lets_it_pass():
    with netrelay.RelayLab(hosts=2) as lab:
        scene = Scene(lab)
        for host in (scene.a, scene.b):
            assert scene.ask("tcp") == "True"
            lab.cut(host, "drop")
            assert scene.ask("udp", 0.5) == "TimeoutError"
            assert scene.ask("tcp", 0.5) == "TimeoutError"
            lab.heal(host)
            assert scene.ask("tcp") == "True"
            netlab.wait_for(lambda: scene.ask("udp", 0.5).startswith("?"), 10, "datagrams after the heal")


def test_udp_can_be_cut_alone():
    with netrelay.RelayLab(hosts=2) as lab:
        scene = Scene(lab)
        lab.cut(scene.a, "udp")
        assert scene.ask("udp", 0.5) == "TimeoutError"
        assert scene.ask("tcp") == "True"


def test_rst_ends_connections():
    with netrelay.RelayLab(hosts=2) as lab:
        scene = Scene(lab)
        assert scene.ask("tcp") == "True"
        lab.cut(scene.a, "rst")
        netlab.wait_for(lambda: scene.ask("tcp", 0.5) in ("ConnectionResetError", "BrokenPipeError"), 5, "the reset")


def test_a_large_answer_passes_whole():
    with netrelay.RelayLab(hosts=2) as lab:
        scene = Scene(lab)
        size = 4 << 20
        with socket.create_connection((scene.a.address, PORT)) as s:
            s.settimeout(10)
            got = 0
            for _ in range(size >> 16):
                s.sendall(bytes(65536))
                while got < 65536:
                    got += len(s.recv(65536))
                got -= 65536
        assert got == 0


if __name__ == "__main__":
    nettest.main(globals())
