"""A small second implementation: an endpoint and its sessions over TCP and UDP, written from rtcp/PROTOCOL.md alone.

Owns      incarnation, ids, sockets, handshakes of both sides; one thread: run() moves everything.
Relies on protocol.py, session.py; PROTOCOL.md, whose rules the comments name.
Not here  speed, several addresses, passivation, tests.

What a test wants to see is kept: `refused` (answers), `failed`, `resumes`, `accepted`, `dropped`.
"""

import os
import select
import socket
import time

import protocol as p
from session import Session, Timer, abort_socket, random_number


class Client(Session):
    """Opens and resumes. A try is made in one go; while it lasts nothing else moves."""

    is_client = True

    def __init__(self, endpoint, address, early=b"", name=0, nonce=None, trailer=b"", patience=2.0, key=None,
                 key_id=None):
        super().__init__(endpoint, random_number(32))
        self.address, self.early, self.trailer, self.patience = address, early, trailer, patience
        self.shared = endpoint.shared if key is None else p.shared_key(key)
        self.key_id = endpoint.key_id if key_id is None else key_id
        self.name, self.server_incarnation, self.cid = name, 0, 0
        self.client_nonce = nonce or os.urandom(16)
        self.replace_wanted = False
        self.udp_address = None
        self.next_try, self.delay = 0.0, 0.0
        self.failed = []
        self.is_probe_answered = False
        self.hello = Timer(0.2, 1)
        if early:
            self.out += early
            self.upto = len(early)

    def request(self):
        is_open = self.keys is None
        nonce = self.client_nonce if is_open else p.resume_nonce(self.shared, self.cid, self.attempt, self.name,
                                                                 self.server_incarnation)
        m = p.Message(p.OPEN if is_open else p.RESUME, port=self.endpoint.port, key_id=self.key_id,
                      control_id=self.own_id, attempt=self.attempt, window=self.ring, name=self.name,
                      incarnation=self.endpoint.incarnation, nonce=nonce,
                      cid=0, server_incarnation=0, received=0, sent=0, flags=0)
        if is_open:
            m.early = len(self.early) if self.attempt == 1 else 0
            return m, p.encode_handshake(m, lambda body: p.open_tag(self.shared, body), self.trailer)
        m.cid, m.server_incarnation = self.cid, self.server_incarnation
        m.flags = self.own_flags() | (p.HEARD if self.is_complete() else 0)
        m.received, m.sent = self.count, self.upto
        self.told = self.count
        return m, p.encode_handshake(m, lambda body: self.keys.resume_tag(body, self.count, self.upto), self.trailer)

    def try_once(self):
        """One attempt, from connect to the answer."""
        self.drop()
        self.attempt += 1
        s = None
        try:
            s = socket.create_connection(self.address, self.patience)
            s.settimeout(self.patience)
            m, data = self.request()
            s.sendall(data + (self.early[:m.early] if m.kind == p.OPEN else b""))
            if m.kind == p.OPEN:
                self.written_max = max(self.written_max, m.early)
            answer = read_message(s)
            self.judge(s, m, answer)
        except (OSError, p.Bad) as error:
            self.failed.append(str(error))
            if s and s is not self.live:
                abort_socket(s)

    def judge(self, s, request, answer):
        if answer.kind == p.REFUSE:
            self.judge_refuse(request, answer)
            raise p.Bad(f"refused: {answer.reason}")
        keys = self.keys or p.Keys(self.shared, self.client_nonce, answer.nonce)
        received, sent = p.extend(answer.received, self.acked), p.extend(answer.sent, self.count)
        right = keys.answer_tag(answer.body, received, sent, request.nonce)
        if answer.tag != right or answer.attempt != request.attempt:
            raise p.Bad("not this session's answer")
        if answer.kind != (p.ACCEPT if request.kind == p.OPEN else p.RESUMED) or self.name not in (0, answer.name):
            raise p.Bad("not the answer to this")
        if not self.acked <= received <= self.written_max:
            if request.kind == p.RESUME:
                self.finish("PROTOCOL")
            raise p.Bad("an impossible count")
        self.keys, self.cid, self.peer_id, self.name = keys, answer.cid, answer.control_id, answer.name
        self.server_incarnation, self.window = answer.incarnation, answer.window
        self.udp_address = (self.address[0], answer.port)
        if not self.way_is_chosen():
            self.peer_address = self.udp_address
        if request.kind == p.OPEN and self.shared != bytes(32):
            s.sendall(keys.confirm())
        self.trim(received)
        self.attach(s, request.attempt, received + (request.early if request.kind == p.OPEN else 0))
        is_news = answer.flags & p.CLOSED and not self.peer_closed
        self.confirmed_messages |= ({p.CLOSE} if request.flags & p.CLOSED and not is_news else set()) | (
            {p.HALF_CLOSE} if request.flags & p.SHUT else set())
        self.is_told_by_answer = self.is_told_by_answer or bool(is_news)
        self.heed(answer.flags, answer.sent)
        self.replace_wanted, self.delay = False, 0.0
        self.resumes += request.kind == p.RESUME
        self.is_confirmed = self.is_confirmed or request.kind == p.RESUME
        self.ask()

    def judge_refuse(self, request, answer):
        """Proof of death, or a failed attempt."""
        self.refused.append(answer)
        zero_tag = p.shared_refuse_tag(self.shared, answer.body, request.nonce)
        if request.kind == p.OPEN:
            if not answer.flags & p.TEMPORARY:
                self.finish("REFUSED")
            return
        if answer.reason in p.OF_SESSION:
            received, sent = p.extend(answer.received, self.acked), p.extend(answer.sent, self.count)
            if answer.tag != self.keys.answer_tag(answer.body, received, sent, request.nonce):
                return
            if answer.reason == p.IS_CLOSED:
                self.confirmed_messages.add(p.CLOSE)
                if self.acked <= received <= self.written_max:
                    self.trim(received)
                is_whole = self.acked == self.upto and (sent == self.count or (self.closing and sent > self.count))
                self.finish("CLOSED" if is_whole else "RESET")
            else:
                self.finish({p.IS_RESET: "RESET", p.BAD_COUNT: "PROTOCOL"}.get(answer.reason, "NEVER_CONFIRMED"))
        elif (answer.reason == p.NO_SESSION and answer.tag == zero_tag and answer.attempt == request.attempt
              and answer.name == self.name):
            self.finish("PEER_GONE" if answer.incarnation != self.server_incarnation else "PEER_FORGOT")

    def compare(self, peer_live, asked_under):
        self.is_probe_answered = True
        if self.live and asked_under == self.live_attempt != peer_live:
            self.replace_wanted = True

    def way_is_chosen(self):
        return isinstance(self.peer_address, Way) and self.peer_address.is_open

    def woken(self, attempt):
        if self.live and self.live_attempt > attempt:
            return
        self.is_passive = False
        self.replace_wanted, self.next_try = True, 0.0

    def tells_again(self, now):
        """Complete, and no datagram confirms our CLOSE: a handshake tells it, and that we heard theirs."""
        return (self.complete_at is not None and p.CLOSE not in self.confirmed_messages
                and now >= self.complete_at + (0.3 if self.is_told_by_answer else 2))

    def hear_unknown(self, m):
        if m.echo in self.echoes:
            del self.echoes[m.echo]
            self.unknown.append(m)
            self.replace_wanted, self.next_try = True, 0.0

    def step(self, now):
        self.is_passive = self.is_passive and not (self.waiting or self.shut_wanted or self.aborted)
        wants = not self.aborted and not self.is_complete() and not self.is_passive and (
            self.live is None or self.replace_wanted)
        wants = wants or self.tells_again(now)
        if not self.is_over() and wants and now >= self.next_try:
            self.try_once()
            self.next_try = now + self.delay
            self.delay = min(max(0.05, 2 * self.delay), 1.0) if self.live is None else 0.0
        super().step(now)
        if self.keys and not self.is_probe_answered and not self.is_over():
            self.hello.start(now)
            if self.hello.is_due(now):
                self.ask()


class Server(Session):
    """Made by an OPEN."""

    def __init__(self, endpoint, cid, request):
        super().__init__(endpoint, cid)
        self.peer_id, self.client_nonce, self.window = request.control_id, request.nonce, request.window
        self.server_nonce = os.urandom(16)
        self.lower_since = None
        self.keys = p.Keys(endpoint.shared, request.nonce, self.server_nonce)

    def answer(self, request, kind=None, reason=0, flags=0):
        kind = kind or (p.RESUMED if self.is_confirmed else p.ACCEPT)
        m = p.Message(kind, reason=reason, flags=flags or self.own_flags(), lowest=p.VERSION, highest=p.VERSION,
                      port=self.endpoint.port, cid=self.own_id, control_id=self.own_id, attempt=request.attempt,
                      received=self.count, sent=self.upto, window=self.ring, name=self.endpoint.name,
                      incarnation=self.endpoint.incarnation, nonce=self.server_nonce)
        self.told = self.count
        return p.encode_handshake(m, lambda body: self.keys.answer_tag(body, self.count, self.upto, request.nonce),
                                  self.endpoint.trailer)

    def proves_key(self, s):
        """With a pre-shared key no byte moves before the CONFIRM, which follows every ACCEPT."""
        if self.endpoint.shared != bytes(32):
            self.is_confirmed = read_exactly(s, 16) == self.keys.confirm()
            return self.is_confirmed
        return True

    def read_rest(self):
        """Before the count is told: all that the old connection still has, then it is gone."""
        while self.live and not self.fin_seen and self.read_some():
            continue
        self.drop()

    def compare(self, peer_live, asked_under):
        now = time.monotonic()
        if self.live and asked_under == self.live_attempt:
            if peer_live >= self.live_attempt:
                self.lower_since = None
            elif self.lower_since is None:
                self.lower_since = now
            elif now >= self.lower_since + 0.05:
                self.wake_wanted = self.live_attempt
        elif not self.live and asked_under == 0 and peer_live:
            self.wake_wanted = self.attempt

    def step(self, now):
        if not self.live and not self.is_over() and (self.upto > self.acked) and not self.wake_wanted:
            self.wake_wanted = self.attempt
        super().step(now)

    def take(self, s, request):
        """A RESUME or a repeated OPEN; True when the connection is ours now."""
        is_resume = request.kind == p.RESUME
        received = p.extend(request.received, self.acked) if is_resume else 0
        sent = p.extend(request.sent, self.count) if is_resume else 0
        if is_resume and request.tag != self.keys.resume_tag(request.body, received, sent):
            s.sendall(self.endpoint.refuse(request, p.BAD_KEY))
            return False
        if self.is_over():
            s.sendall(self.answer(request, p.REFUSE, p.IS_CLOSED if self.end == "CLOSED" else p.IS_RESET,
                                  p.SHUT | p.CLOSED))
            return False
        if request.attempt <= self.attempt or (self.is_confirmed and not is_resume):
            return False  # stale: nothing is said
        if is_resume and received < self.acked:
            return False
        if received > self.written_max:
            self.finish("PROTOCOL")
            s.sendall(self.answer(request, p.REFUSE, p.BAD_COUNT))
            return False
        self.attempt = request.attempt
        self.is_confirmed = self.is_confirmed or is_resume
        self.window = request.window
        if is_resume:
            self.trim(received)
            self.heed(request.flags, request.sent)
            if request.flags & p.HEARD and self.is_complete():
                self.confirmed_messages.add(p.CLOSE)
        self.read_rest()
        if self.is_over():
            return False
        s.sendall(self.answer(request))
        if not self.is_confirmed and not self.proves_key(s):
            return False
        self.attach(s, request.attempt, max(received, self.acked))
        self.resumes += is_resume
        return True


def read_exactly(s, size):
    data = b""
    while len(data) < size:
        more = s.recv(size - len(data))
        if not more:
            raise p.Bad("the connection ended")
        data += more
    return data


def read_message(s):
    """One whole handshake message from a blocking socket."""
    start = read_exactly(s, 8)
    _, _, length = p.decode_header(start)
    if length > p.LENGTH_MAX:
        raise p.Bad("length")
    return p.decode_handshake(start + read_exactly(s, length))


class Way:
    """A CONTROL connection: an address in the place of a UDP one. messages: as they came, oldest first."""

    def __init__(self, s):
        self.socket, self.waiting = s, b""
        self.is_open, self.told = True, 0
        s.setblocking(False)

    def send(self, data):
        self.told += 1
        try:
            self.socket.send(data)
        except OSError:
            pass  # lost, as a datagram

    def read(self):
        """The messages that are whole."""
        try:
            data = self.socket.recv(4096)
            self.is_open = bool(data)
        except BlockingIOError:
            return
        except OSError:
            self.is_open = False
            return
        self.waiting += data
        one = p.whole_control(self.waiting)
        while one:
            self.waiting = self.waiting[len(one):]
            yield from p.decode_controls(one)
            one = p.whole_control(self.waiting)


class Endpoint:
    """One incarnation. listen: an address to serve, TCP and UDP on the same port."""

    def __init__(self, address="127.0.0.1", listen=False, key=b"", key_id=0, name=b"", port=0, trailer=b""):
        self.incarnation = random_number(64)
        self.shared, self.key_id, self.trailer = p.shared_key(key), key_id, trailer
        self.unknown_key = p.unknown_key(self.shared)
        self.name = p.service_name(name)
        self.listener = socket.create_server((address, port)) if listen else None
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((address, self.listener.getsockname()[1] if listen else 0))
        self.port = self.udp.getsockname()[1]
        self.udp.setblocking(False)
        self.sessions, self.by_nonce, self.accepted = {}, {}, []
        self.next_cid = random_number(32)
        self.dropped = []  # datagrams for nobody
        self.ways, self.is_deaf = [], False  # is_deaf: UDP does not get through, in neither direction

    def connect(self, address, **options):
        session = Client(self, address, **options)
        self.sessions[session.own_id] = session
        return session

    def close(self):
        for session in self.sessions.values():
            session.drop()
        for way in self.ways:
            way.socket.close()
        self.udp.close()
        if self.listener:
            self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def refuse(self, request, reason, flags=0):
        """A REFUSE that no session speaks for. Who has not shown the key learns no name and no life."""
        is_stranger = self.shared != bytes(32) and reason in (p.BAD_KEY, p.BAD_VERSION)
        m = p.Message(p.REFUSE, reason=reason, flags=flags, lowest=p.VERSION, highest=p.VERSION,
                      attempt=request.attempt, incarnation=1 if is_stranger else self.incarnation,
                      name=0 if is_stranger else self.name, received=0, sent=0)
        return p.encode_handshake(m, lambda body: p.shared_refuse_tag(self.shared, body, request.nonce), self.trailer)

    def greet(self):
        """One connection: its request, its answer."""
        s, _ = self.listener.accept()
        s.settimeout(2)
        try:
            request = read_message(s)
            if not self.serve(s, request):
                s.close()
        except (OSError, p.Bad):
            s.close()

    def serve(self, s, request):
        reason = self.judge(request)
        if reason:
            s.sendall(self.refuse(request, reason))
            return False
        if request.kind == p.CONTROL:
            return self.take_control(s, request)
        if request.kind == p.RESUME:
            return self.sessions[request.cid].take(s, request)
        if request.nonce in self.by_nonce:
            return self.by_nonce[request.nonce].take(s, request)
        return self.open(s, request)

    def judge(self, request):
        if request.key_id != self.key_id:
            return p.BAD_KEY
        if request.kind != p.OPEN and not p.proves_key(self.shared, request):
            return p.BAD_KEY
        if request.kind == p.OPEN and request.tag != p.open_tag(self.shared, request.body):
            return p.BAD_KEY
        if request.name not in (0, self.name):
            return p.WRONG_NAME
        if request.kind != p.OPEN and (request.cid not in self.sessions
                                         or request.server_incarnation != self.incarnation):
            return p.NO_SESSION
        return 0

    def take_control(self, s, request):
        """A CONTROL in the name of one of our sessions: nothing of the session changes."""
        session = self.sessions[request.cid]
        if request.tag != session.keys.control_tag(request.body):
            s.sendall(self.refuse(request, p.BAD_KEY))
            return False
        m = p.Message(p.ACCEPT, lowest=p.VERSION, highest=p.VERSION, cid=session.own_id, control_id=session.own_id,
                      attempt=request.attempt, incarnation=self.incarnation, name=self.name,
                      nonce=session.server_nonce)
        s.sendall(p.encode_handshake(m, lambda body: session.keys.answer_tag(body, 0, 0, request.nonce)))
        self.ways.append(Way(s))
        return True

    def dial_control(self, session):
        """A client's own CONTROL connection; its PROBE goes out by it at once."""
        m = p.Message(p.CONTROL, key_id=session.key_id, cid=session.cid, control_id=session.own_id, attempt=1,
                      incarnation=self.incarnation, server_incarnation=session.server_incarnation, name=session.name,
                      nonce=p.resume_nonce(session.shared, session.cid, 1, session.name, session.server_incarnation))
        s = socket.create_connection(session.address, 2)
        s.sendall(p.encode_handshake(m, session.keys.control_tag))
        answer = read_message(s)
        if answer.kind != p.ACCEPT or answer.tag != session.keys.answer_tag(answer.body, 0, 0, m.nonce):
            raise p.Bad("no CONTROL connection")
        self.ways.append(Way(s))
        session.ask(self.ways[-1])
        return self.ways[-1]

    def send(self, data, address):
        if isinstance(address, Way):
            address.send(data)
        elif not self.is_deaf:
            self.udp.sendto(data, address)

    def hear_way(self, way):
        for m in way.read():
            self.dispatch(m, way)
        if not way.is_open:
            self.ways.remove(way)
            for session in self.sessions.values():
                session.forget(way)

    def open(self, s, request):
        session = Server(self, self.next_cid, request)
        self.next_cid = (self.next_cid + 1) & p.MASK32 or 1
        session.attempt = request.attempt
        self.sessions[session.own_id] = self.by_nonce[request.nonce] = session
        s.sendall(session.answer(request, p.ACCEPT))
        early = read_exactly(s, request.early) if self.shared != bytes(32) else b""
        if not session.proves_key(s):
            return False
        session.attach(s, request.attempt, 0)
        session.take_bytes(early)
        self.accepted.append(session)
        return True

    def datagrams(self):
        while True:
            try:
                data, address = self.udp.recvfrom(2048)
            except (BlockingIOError, ConnectionError):
                return
            if self.is_deaf:
                continue
            for m in p.decode_controls(data):
                self.dispatch(m, address)

    def dispatch(self, m, address):
        session = self.sessions.get(m.to)
        if session is None:
            self.dropped.append(m)
            if m.kind == p.PROBE:
                self.send(p.encode_control(self.unknown_key, m.own_id, p.UNKNOWN, echo=m.echo,
                                           incarnation=self.incarnation), address)
        elif m.kind == p.UNKNOWN:
            if session.is_client and p.control_is_authentic(self.unknown_key, m):
                session.hear_unknown(m)
        elif session.is_over():
            self.speak_for_the_dead(session, m, address)
        else:
            session.hear(m, address)

    @staticmethod
    def speak_for_the_dead(session, m, address):
        """A tombstone's answers."""
        names = p.CONTROL_DATA.get(m.kind, ("", ""))[1].split()
        received = p.extend(m.received, session.acked) if "received" in names else 0
        final = p.extend(m.final, session.count) if "final" in names else 0
        if not session.keys or not p.control_is_authentic(session.in_key(), m, received, final):
            return
        if m.flagged:
            session.tell(p.CONF, address, message_id=m.message_id)
        complete = session.end == "CLOSED"
        if m.kind not in (p.ACK, p.CONF, p.RESET, p.PROBE_REPLY) and not (m.kind == p.CLOSE and complete):
            session.say(p.CLOSE if complete else p.RESET, address)

    def run(self, until, seconds=5.0, what=""):
        """Moves everything until `until()` is true."""
        end = time.monotonic() + seconds
        while not until():
            now = time.monotonic()
            if now >= end:
                raise AssertionError(f"waited {seconds} s in vain for {what or until}")
            for session in list(self.sessions.values()):
                session.step(now)
            self.wait()

    def wait(self):
        live = [s for s in self.sessions.values() if s.live and not s.is_over()]
        readers = [self.udp, *([self.listener] if self.listener else []), *(way.socket for way in self.ways),
                   *(s.live for s in live if not s.fin_seen)]
        writers = [s.live for s in live if s.written < s.upto]
        ready, _, _ = select.select(readers, writers, [], 0.01)
        if self.udp in ready:
            self.datagrams()
        for way in [w for w in self.ways if w.socket in ready]:
            self.hear_way(way)
        if self.listener in ready:
            self.greet()
