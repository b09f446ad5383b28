"""A network laboratory: hosts in network namespaces, a bridge in the middle, and real cuts.

Owns      the namespaces, their links, the rules of the cuts, and every process that was started in a host.
Relies on root, or user namespaces; nft, ip and ss. Python's standard library only. Where namespaces are not allowed,
          netrelay.py offers the same calls over the loopback (see open_lab).
Not here  what runs in the hosts.

Nothing has a name outside: a namespace lives as long as this process holds its descriptor or a process runs in it, and
the kernel kills those when this process ends, however it ends. So several labs may run at once, and a crash or a
kill -9 leaves nothing behind.

    with open_lab(hosts=3) as lab:
        server = lab.hosts[0].start(["server", lab.hosts[0].address + ":7000"])
        lab.cut(lab.hosts[2], "drop")
        lab.heal(lab.hosts[2])

Kinds of cut, made in the middle unless said otherwise; each concerns one host and everybody else:
    drop   IP packets of the host are lost in both directions; ARP and neighbour discovery pass, as on a broken router
    link   the host's port is taken off the bridge: every frame is lost, ARP included
    in     IP packets to the host are lost, those from it pass
    out    IP packets from the host are lost, those to it pass
    udp    UDP is lost in both directions, the rest passes
    rst    TCP is answered with RST (by rules in the host itself) and UDP is lost, in both directions
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

KINDS = ("drop", "link", "in", "out", "udp", "rst")

_libc = ctypes.CDLL(None, use_errno=True)


class LabError(Exception):
    """The lab cannot do what was asked; the text says what to do."""


def _check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


def _own_namespace():
    """The network namespace of this very thread."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _enter(fd):
    _check(_libc.setns(fd, CLONE_NEWNET), "entering a network namespace")


def _die_with_parent():
    """The kernel ends this process when the thread that started it ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _become_root_in_user_namespace():
    """Not root: a user namespace gives the right to make network namespaces, and nothing else."""
    uid, gid = os.getuid(), os.getgid()
    _check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNET), "making a user namespace")
    with open("/proc/self/setgroups", "w") as f:
        f.write("deny")
    with open("/proc/self/uid_map", "w") as f:
        f.write(f"0 {uid} 1")
    with open("/proc/self/gid_map", "w") as f:
        f.write(f"0 {gid} 1")


def _may_make_namespaces():
    """Whether this process may make network namespaces as it is: root, and not a root that was denied it."""
    home = _own_namespace()
    try:
        os.close(_new_namespace(home))
        return True
    except OSError:
        return False
    finally:
        os.close(home)


def _new_namespace(home):
    """Makes a network namespace and returns its descriptor; this thread is back in home afterwards."""
    _check(_libc.unshare(CLONE_NEWNET), "making a network namespace")
    try:
        return _own_namespace()
    finally:
        _enter(home)


def now():
    """Seconds of the monotonic clock, which all namespaces share (at_ns of the programs is the same, times 1e9)."""
    return time.monotonic_ns() / 1e9


def wait_for(condition, seconds, what):
    """Calls condition until it is true; returns what it returned. Fails when it takes longer than `seconds`."""
    end = now() + seconds
    while True:
        result = condition()
        if result:
            return result
        if now() > end:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.01)  # style: allow nothing_sleeps, the kernel tells nobody; the deadline is above


class Processes:
    """The processes of a lab: each is ended by its own id, and dies with us in any case."""

    def __init__(self):
        self.all = []

    def start(self, command, prepare, **options):
        def before_exec():
            _die_with_parent()
            prepare()

        process = subprocess.Popen([str(word) for word in command], preexec_fn=before_exec, **options)
        self.all.append(process)
        return process

    def close(self):
        for process in self.all:
            if process.poll() is None:
                process.kill()
        for process in self.all:
            process.wait()
        self.all.clear()


class Host:
    """One machine of the lab.

    address   its IPv4 address, for the other hosts
    address6  its IPv6 address in brackets, for the other hosts
    inner     the IPv4 address its own programs listen at: the same, but in a relay lab
    """

    def __init__(self, lab, number, namespace):
        self.lab = lab
        self.number = number
        self.name = f"s{number}"
        self.address = f"10.99.0.{number}"
        self.address6 = f"[fd99::{number}]"
        self.inner = self.address
        self.port = f"p{number}"  # its port of the bridge, in the middle
        self.namespace = namespace

    def start(self, command, **options):
        """Starts a program in this host; returns the Popen. It is killed when the lab closes."""
        return self.lab.processes.start(command, lambda: _enter(self.namespace), **options)

    def run(self, command, timeout=20, check=True):
        """Runs a program in this host to its end; returns its output. Fails when it does, unless check is False."""
        process = self.start(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(timeout=timeout)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            self.lab.processes.all.remove(process)
        if check and process.returncode != 0:
            raise LabError(f"{' '.join(map(str, command))} in {self.name}: {err.decode(errors='replace').strip()}")
        return out.decode(errors="replace")

    @contextlib.contextmanager
    def inside(self):
        """Within it this thread is in the host: sockets made there belong to it for ever."""
        _enter(self.namespace)
        try:
            yield
        finally:
            _enter(self.lab.home)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_STREAM):
        with self.inside():
            return socket.socket(family, kind)

    def connect(self, address, port, timeout=5):
        """A TCP connection from this host."""
        s = self.socket()
        try:
            s.settimeout(timeout)
            s.connect((address, port))
        except BaseException:
            s.close()
            raise
        return s

    def reset_connections(self, *expression):
        """Ends live TCP connections of this host, such as ('sport', '=', ':7000'); returns how many. Peers get RST."""
        out = self.run(["ss", "-H", "-K", "-t", "state", "connected", *expression], check=False)
        return sum(1 for line in out.splitlines() if line.strip())


class Lab:
    """Hosts s1 .. sN around a bridge. Use open_lab()."""

    kind = "namespaces"

    def __init__(self, hosts=3):
        self.processes = Processes()
        self.hosts = []
        self.cuts = {}
        self.descriptors = []
        if not _may_make_namespaces():
            _become_root_in_user_namespace()
            self.kind = "user namespaces"
        self.home = self._keep(_own_namespace())
        try:
            self.middle = self._keep(_new_namespace(self.home))
            self._build(hosts)
        except BaseException:
            self.close()
            raise

    def _keep(self, descriptor):
        self.descriptors.append(descriptor)
        return descriptor

    def _command(self, namespace, command, text=None):
        process = subprocess.run(command, input=text, text=True, capture_output=True, timeout=20,
                                 preexec_fn=lambda: (_die_with_parent(), _enter(namespace)))
        if process.returncode != 0:
            raise LabError(f"{' '.join(command)}: {process.stderr.strip()}")

    def _build(self, count):
        ip = ["ip", "-batch", "-"]
        self._command(self.middle, ip, "link set lo up\n"
                      "link add name br0 type bridge stp_state 0 mcast_snooping 0\nlink set br0 up\n")
        for number in range(1, count + 1):
            host = Host(self, number, self._keep(_new_namespace(self.home)))
            self.hosts.append(host)
            place = f"/proc/{os.getpid()}/fd/{host.namespace}"
            self._command(self.middle, ip,
                          f"link add name {host.port} type veth peer name eth0 netns {place}\n"
                          f"link set {host.port} master br0\nlink set {host.port} up\n")
            self._command(host.namespace, ip, "link set lo up\n"
                          f"address add {host.address}/24 dev eth0\n"
                          f"address add {host.address6.strip('[]')}/64 dev eth0 nodad\n"
                          "link set eth0 up\n")
        rules = "add table bridge lab\nadd chain bridge lab middle { type filter hook forward priority 0; }\n"
        for host in self.hosts:
            rules += f"add chain bridge lab {host.name}\nadd rule bridge lab middle jump {host.name}\n"
        self._nft(rules)

    def _nft(self, rules, namespace=None):
        self._command(self.middle if namespace is None else namespace, ["nft", "-f", "-"], rules)

    def expose(self, host, port):
        """Says that programs of the host listen at (host.inner, port). A relay lab must know; nothing to do here."""

    # -------------------------------------------------------------------------------------------- cuts

    def cut(self, host, kind="drop", peer=None):
        """Cuts a host off, as the table above says; from one peer only where peer is given (drop, in, out, udp).

        Returns the time after which the cut holds for certain. A second cut of a host replaces the first."""
        if kind not in KINDS:
            raise LabError(f"no such kind of cut: {kind}; there are {', '.join(KINDS)}")
        if host.name in self.cuts:
            self.heal(host)
        if kind == "link":
            self._command(self.middle, ["ip", "link", "set", host.port, "nomaster"])
        else:
            if kind == "rst":
                self._nft(_rst_rules(), host.namespace)
            self._nft("".join(f"add rule bridge lab {host.name} {rule}\n" for rule in _drop_rules(host, kind, peer)))
        self.cuts[host.name] = kind
        return now()

    def heal(self, host):
        """Heals what cut() did. Returns the time before which the cut held for certain."""
        start = now()
        kind = self.cuts.pop(host.name, None)
        if kind == "link":
            self._command(self.middle, ["ip", "link", "set", host.port, "master", "br0"])
        elif kind is not None:
            if kind == "rst":
                self._nft("delete table inet lab\n", host.namespace)
            self._nft(f"flush chain bridge lab {host.name}\n")
        return start

    def close(self):
        """Ends every process of the lab, and with them the namespaces. May be called twice."""
        self.processes.close()
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors.clear()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _drop_rules(host, kind, peer):
    """The rules of a cut in the middle: which packets of the host are lost."""
    # Neighbour discovery is to IPv6 what ARP is to IPv4: a router that drops packets does not stop it.
    neighbours = "icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"
    sides = []
    if kind in ("drop", "in", "udp", "rst"):
        sides.append(f"oifname {host.port}" + (f" iifname {peer.port}" if peer else ""))
    if kind in ("drop", "out", "udp", "rst"):
        sides.append(f"iifname {host.port}" + (f" oifname {peer.port}" if peer else ""))
    for side in sides:
        if kind in ("udp", "rst"):
            yield f"{side} meta l4proto udp counter drop"
        else:
            yield f"{side} {neighbours}"
            yield f"{side} ether type {{ ip, ip6 }} counter drop"


def _rst_rules():
    """A host whose TCP is refused in both directions, as behind a firewall that rejects."""
    lines = ["add table inet lab"]
    for hook, device in (("input", "iif"), ("output", "oif")):
        lines.append(f"add chain inet lab {hook} {{ type filter hook {hook} priority 0; }}")
        lines.append(f"add rule inet lab {hook} {device} != lo tcp flags & rst == 0 reject with tcp reset")
    return "\n".join(lines) + "\n"


def end_on_signals():
    """SIGTERM and SIGHUP end the program like Ctrl-C, so that `with` blocks are left in order."""
    def stop(number, _frame):
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def open_lab(hosts=3, allow_relay=False, say=lambda text: print(text, file=sys.stderr)):
    """A lab in namespaces; where the system does not allow them, if allow_relay, a relay over the loopback; it says so.

    Fails with LabError where neither works."""
    try:
        if os.environ.get("HOLDFAST_LAB") == "relay":
            raise OSError(0, "HOLDFAST_LAB=relay was asked for")
        return Lab(hosts)
    except OSError as error:
        reason = error.strerror
    if not allow_relay:
        raise LabError(f"network namespaces are not allowed here ({reason}): run as root, or allow user namespaces")
    import netrelay
    say(f"network namespaces are not allowed here ({reason}): a relay in user space stands in for the network")
    return netrelay.RelayLab(hosts)
