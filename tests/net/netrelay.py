"""A stand-in for the laboratory where namespaces are not allowed: hosts are loopback addresses, a relay is the network.

Owns      the relay: it accepts and receives at the outer address of a host, and passes bytes and datagrams on to the
          inner address, at which the host's programs listen. A cut is what it does not pass on.
Relies on netlab.Processes; /proc, to know which host a connection comes from (all programs must be of one user).
Not here  real cuts: the kernel's TCP does not notice these, and there is no ARP. `drop` and `link` are the same.

The relay runs in a thread of its own; every field is touched by that thread only, but `cuts`, which is replaced whole.
"""

import contextlib
import os
import selectors
import socket
import struct
import threading

import netlab

BUFFER = 256 << 10
PORTS_MAX = 64


class RelayHost(netlab.Host):
    """outer (address) and inner addresses of one host on the loopback."""

    def __init__(self, lab, number):
        self.lab = lab
        self.number = number
        self.name = f"s{number}"
        self.address = f"127.{lab.block}.1.{number}"
        self.inner = f"127.{lab.block}.2.{number}"
        self.address6 = None

    def start(self, command, **options):
        # The child says its number itself: it may connect before the call returns.
        return self.lab.processes.start(command, lambda: self.lab.own(self), **options)

    @contextlib.contextmanager
    def inside(self):
        yield

    def reset_connections(self, *expression):
        raise netlab.LabError("connections cannot be reset in a relay lab")


class Pair:
    """One TCP connection through the relay: two sockets, what each still has to be given, and whose they are."""

    def __init__(self, source, target, near, far):
        self.hosts = (source, target)
        self.sockets = [near, far]
        self.waiting = [bytearray(), bytearray()]  # to be written to the socket of the same place
        self.ended = [False, False]                # nothing more comes from it
        self.shut = [False, False]                 # nothing more goes to it


class RelayLab:
    kind = "a relay on the loopback"

    def __init__(self, hosts=3):
        self.processes = netlab.Processes()
        self.owners = {}
        self.cuts = {}
        self.block = 64 + os.getpid() % 128
        self.hosts = [RelayHost(self, number) for number in range(1, hosts + 1)]
        self.selector = selectors.DefaultSelector()
        self.pairs = set()
        self.outer = {}  # (host name, inner port) -> the UDP socket that stands for it
        self.births_read, self.births = os.pipe()
        os.set_blocking(self.births_read, False)
        self.jobs = []
        self.lock = threading.Lock()
        self.bell, self.ear = socket.socketpair()
        self.ear.setblocking(False)
        self.selector.register(self.ear, selectors.EVENT_READ, self._hear)
        self.is_over = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    # -------------------------------------------------------------------------------------------- calls of the owner

    def own(self, host):
        """Called in a child: the process of this number belongs to the host."""
        os.write(self.births, struct.pack("ii", os.getpid(), host.number))

    def expose(self, host, port):
        """Opens (host.address, port) for TCP and UDP, and passes what comes there on to (host.inner, port)."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host.address, port))
        listener.listen(64)
        listener.setblocking(False)
        udp = self._outer_socket(host, port)
        self._do(lambda: self._add(host, port, listener, udp))

    def cut(self, host, kind="drop", peer=None):
        if kind not in netlab.KINDS:
            raise netlab.LabError(f"no such kind of cut: {kind}; there are {', '.join(netlab.KINDS)}")
        self.cuts = {**self.cuts, host.name: (kind, peer.name if peer else None)}
        if kind == "rst":
            self._do(lambda: self._reset(host))
        self._do(self._refresh)
        return netlab.now()

    def heal(self, host):
        start = netlab.now()
        self.cuts = {name: cut for name, cut in self.cuts.items() if name != host.name}
        self._do(self._refresh)
        return start

    def close(self):
        self.processes.close()
        if not self.is_over:
            self._do(self._end)
            self.thread.join(timeout=5)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -------------------------------------------------------------------------------------------- the thread

    def _do(self, job):
        with self.lock:
            self.jobs.append(job)
        self.bell.send(b"!")

    def _hear(self, _events):
        self.ear.recv(4096)
        with self.lock:
            jobs, self.jobs = self.jobs, []
        for job in jobs:
            job()

    def _run(self):
        while not self.is_over:
            for key, events in self.selector.select():
                if not self.is_over:  # an event of the same moment may have ended it, and closed all sockets
                    key.data(events)

    def _end(self):
        self.is_over = True
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        for pair in self.pairs:
            for s in pair.sockets:
                s.close()
        self.bell.close()
        os.close(self.births)
        os.close(self.births_read)
        self.selector.close()

    def _passes(self, source, target, is_udp):
        """Whether the network carries a packet from one host to another now. A source that is no host is never cut."""
        for name, (kind, peer) in self.cuts.items():
            is_from, is_to = source is not None and source.name == name, target is not None and target.name == name
            if not (is_from or is_to) or (peer and peer != (target if is_from else source).name):
                continue
            if kind in ("drop", "link") or (kind == "in" and is_to) or (kind == "out" and is_from):
                return False
            if kind in ("udp", "rst") and is_udp:
                return False
        return True

    # -------------------------------------------------------------------------------------------- UDP

    def _outer_socket(self, host, port):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((host.address, port))
        s.setblocking(False)
        return s

    def _add(self, host, port, listener, udp):
        self.selector.register(listener, selectors.EVENT_READ, lambda _e: self._accept(host, port, listener))
        self._add_udp(host, port, udp)

    def _add_udp(self, host, port, udp):
        self.outer[host.name, port] = udp
        self.selector.register(udp, selectors.EVENT_READ, lambda _e: self._datagrams(host, port, udp))

    def _datagrams(self, host, port, udp):
        """What came to a host's outer port goes to the inner one, from the sender's outer port."""
        for _ in range(64):
            try:
                data, (address, source_port) = udp.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP answer to something we passed on
            source = self._host_at(address) or self._owner("udp", source_port, None)
            if source is None or not self._passes(source, host, True):
                continue
            via = self.outer.get((source.name, source_port))
            if via is None and len(self.outer) < PORTS_MAX:
                # Any port: that number is taken if the program has it at all addresses. As behind a NAT.
                via = self._outer_socket(source, 0)
                self._add_udp(source, source_port, via)
            try:
                via.sendto(data, self._inner(host, port))
            except (OSError, AttributeError):
                pass  # a datagram that cannot be passed on is lost, as anywhere

    def _inner(self, host, port):
        """Where a host's programs have a port: at its inner address, or anywhere if they did not choose one."""
        for line in _table("udp"):
            if line[1] == port and line[0] in (host.inner, "0.0.0.0"):
                return (host.inner if line[0] == host.inner else "127.0.0.1", port)
        return (host.inner, port)

    # -------------------------------------------------------------------------------------------- TCP

    def _host_at(self, address):
        return next((host for host in self.hosts if host.inner == address), None)

    def _owner(self, kind, port, remote):
        """The host of the process that has this socket; None when it is not one of ours."""
        self._read_births()
        inode = next((line[3] for line in _table(kind)
                      if line[1] == port and (remote is None or line[2] == remote)), None)
        for pid, host in self.owners.items():
            with contextlib.suppress(OSError):
                for fd in os.listdir(f"/proc/{pid}/fd"):
                    if os.readlink(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]":
                        return host
        return None

    def _read_births(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                pid, number = struct.unpack("ii", os.read(self.births_read, 8))
                self.owners[pid] = self.hosts[number - 1]

    def _accept(self, host, port, listener):
        try:
            near, (address, source_port) = listener.accept()
        except OSError:
            return
        source = self._host_at(address) or self._owner("tcp", source_port, (host.address, port))
        if any(kind == "rst" and name in (host.name, source.name if source else None)
               for name, (kind, _) in self.cuts.items()):
            _abort(near)
            return
        far = socket.socket()
        far.setblocking(False)
        near.setblocking(False)
        if source is not None:
            far.bind((source.address, 0))
        far.connect_ex((host.inner, port))
        pair = Pair(source, host, near, far)
        self.pairs.add(pair)
        self._watch(pair)

    def _watch(self, pair):
        """Asks for the events that can be of use now."""
        for place, s in enumerate(pair.sockets):
            other = 1 - place
            may_read = (not pair.ended[place] and len(pair.waiting[other]) < BUFFER
                        and self._passes(pair.hosts[place], pair.hosts[other], False))
            may_write = (pair.waiting[place] or (pair.ended[other] and not pair.shut[place])) \
                and self._passes(pair.hosts[other], pair.hosts[place], False)
            events = (selectors.EVENT_READ if may_read else 0) | (selectors.EVENT_WRITE if may_write else 0)
            self._set_events(s, events, lambda e, p=pair, at=place: self._move(p, at, e))

    def _set_events(self, s, events, call):
        known = s in self.selector.get_map()
        if known and events:
            self.selector.modify(s, events, call)
        elif known:
            self.selector.unregister(s)
        elif events:
            self.selector.register(s, events, call)

    def _move(self, pair, place, events):
        if pair not in self.pairs:
            return
        s, other = pair.sockets[place], 1 - place
        try:
            if events & selectors.EVENT_READ:
                data = s.recv(65536)
                pair.ended[place] = pair.ended[place] or not data
                pair.waiting[other] += data
            if events & selectors.EVENT_WRITE:
                if pair.waiting[place]:
                    del pair.waiting[place][:s.send(pair.waiting[place])]
                if pair.ended[other] and not pair.waiting[place]:
                    s.shutdown(socket.SHUT_WR)
                    pair.shut[place] = True
        except BlockingIOError:
            pass
        except OSError:
            self._drop(pair)
            return
        if all(pair.shut):
            self._drop(pair, abort=False)
        else:
            self._watch(pair)

    def _drop(self, pair, abort=True):
        self.pairs.discard(pair)
        for s in pair.sockets:
            if s in self.selector.get_map():
                self.selector.unregister(s)
            _abort(s) if abort else s.close()

    def _reset(self, host):
        for pair in [p for p in self.pairs if host in p.hosts]:
            self._drop(pair)

    def _refresh(self):
        for pair in list(self.pairs):
            self._watch(pair)


def _abort(s):
    """Closes a connection by RST."""
    with contextlib.suppress(OSError):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def _table(kind):
    """The sockets of /proc/net: (local address, local port, (remote address, port), inode)."""
    with open(f"/proc/net/{kind}") as f:
        next(f)
        for line in f:
            words = line.split()
            local, remote = _address(words[1]), _address(words[2])
            yield local[0], local[1], remote, words[9]


def _address(text):
    number, _, port = text.partition(":")
    return socket.inet_ntoa(struct.pack("=I", int(number, 16))), int(port, 16)
