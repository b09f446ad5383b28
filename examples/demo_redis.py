"""Talking to a kv server: the Redis protocol over one socket, and what HOLDFAST STATUS tells.

Owns      encoding commands, decoding replies.
Relies on a connected socket.
Not here  what is asked: the scene.
"""


class ReplyError(Exception):
    """The server answered with an error."""


def command(*words):
    """One command as the protocol wants it; words are bytes or text."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


class Connection:
    def __init__(self, sock, timeout=5.0):
        self.sock = sock
        self.sock.settimeout(timeout)
        self.file = sock.makefile("rb")

    def close(self):
        self.file.close()
        self.sock.close()

    def _line(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        return line[:-2]

    def read(self):
        """One reply: bytes, a number, a list, None; ReplyError for an error."""
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            raise ReplyError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if kind == b"*":
            return [self.read() for _ in range(int(rest))]
        raise ConnectionError(f"not a reply: {line[:40]!r}")

    def ask(self, *words):
        self.sock.sendall(command(*words))
        return self.read()

    def ask_many(self, commands, batch=500):
        """The replies of many commands, pipelined."""
        for at in range(0, len(commands), batch):
            some = commands[at:at + batch]
            self.sock.sendall(b"".join(command(*words) for words in some))
            for _ in some:
                yield self.read()
