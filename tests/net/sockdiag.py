"""Destroys TCP connections of a host through the kernel's socket diagnosis, in well under a millisecond.

Owns      one netlink socket in the host's namespace.
Relies on a kernel with CONFIG_INET_DIAG_DESTROY, as `ss -K` does; netlab.
Not here  when to do it.

The peer of a destroyed connection gets RST; both kernels throw away what was under way.
"""

import socket
import struct

NETLINK_SOCK_DIAG = 4
SOCK_DIAG_BY_FAMILY = 20
SOCK_DESTROY = 21
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
LIVE = 1 << 1 | 1 << 4 | 1 << 5 | 1 << 8  # established, fin-wait-1, fin-wait-2, close-wait
HEADER = struct.Struct("=IHHII")
REQUEST = struct.Struct("=BBBBI")
ID_SIZE = 48    # struct inet_diag_sockid
ID_OFFSET = 4   # in struct inet_diag_msg


class Destroyer:
    """destroy() ends the connections of this host from or to a port."""

    def __init__(self, host):
        with host.inside():
            self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG)
        self.socket.settimeout(5)

    def _ask(self, kind, flags, body):
        self.socket.send(HEADER.pack(HEADER.size + len(body), kind, NLM_F_REQUEST | flags, 1, 0) + body)
        while True:
            data = self.socket.recv(1 << 18)
            while data:
                size, answer, _, _, _ = HEADER.unpack_from(data)
                if answer == NLMSG_DONE:
                    return
                if answer == NLMSG_ERROR:
                    yield answer, struct.unpack_from("=i", data, HEADER.size)[0]
                    return
                yield answer, data[HEADER.size:size]
                data = data[(size + 3) & ~3:]

    def ids(self, port):
        """The live IPv4 connections from or to the port."""
        body = REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, LIVE) + bytes(ID_SIZE)
        for _, message in self._ask(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, body):
            number = message[ID_OFFSET:ID_OFFSET + ID_SIZE]
            if port in struct.unpack_from(">HH", number):
                yield number

    def destroy(self, port):
        """How many were destroyed."""
        count = 0
        for number in list(self.ids(port)):
            body = REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, LIVE) + number
            count += all(code == 0 for _, code in self._ask(SOCK_DESTROY, NLM_F_ACK, body))
        return count

    def close(self):
        self.socket.close()
