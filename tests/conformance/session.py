"""What both sides of a session have in common, written from rtcp/PROTOCOL.md alone.

Owns      counters, the stream's bytes, control messages, one TCP connection at a time.
Relies on protocol.py; PROTOCOL.md, whose rules the comments name.
Not here  how connections are made: Client and Server of peer.py. It drops an old connection instead of freezing it,
          which the text allows: a connection may be lost at any moment.

What a test wants to see is kept: `forged`, `stale`, `above`, `heard` (control messages), `replies`, `breaks`.
"""

import array
import collections
import fcntl
import hashlib
import os
import socket
import struct
import termios
import time

import protocol as p

RING = 1 << 20
READ_MAX = 1 << 16


def random_number(bits):
    """Random and not 0."""
    return int.from_bytes(os.urandom(bits // 8), "big") or 1


def abort_socket(s):
    """Closes with linger 0: the other side sees a reset."""
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


def unread_bytes(s):
    room = array.array("i", [0])
    fcntl.ioctl(s, termios.FIONREAD, room)
    return room[0]


class Timer:
    """Due once at first, then again after a delay that doubles to its limit."""

    def __init__(self, first, limit):
        self.first, self.limit = first, limit
        self.stop()

    def stop(self):
        self.at, self.delay = None, self.first

    def start(self, now):
        if self.at is None:
            self.at = now + self.delay

    def is_due(self, now):
        if self.at is None or now < self.at:
            return False
        self.delay = min(2 * self.delay, self.limit)
        self.at = now + self.delay
        return True


class Session:
    """Either side of a session; Client and Server know how connections are made."""

    is_client = False

    def __init__(self, endpoint, own_id, ring=RING):
        self.endpoint, self.own_id, self.ring = endpoint, own_id, ring
        self.peer_id = self.attempt = self.live_attempt = 0
        self.keys = self.peer_address = self.live = None
        self.client_nonce = b""
        self.window = RING
        # Counters: `out` holds [acked, upto); `waiting` is what the application wants to send when there is room.
        self.count = self.told = self.acked = self.written = self.written_max = self.upto = 0
        self.out, self.waiting = bytearray(), bytearray()
        self.hash, self.start = hashlib.sha256(), bytearray()
        # Ends.
        self.shut = self.shut_wanted = self.closing = self.aborted = self.peer_closed = False
        self.peer_final = self.end = None
        self.confirmed_messages = set()  # types of ours whose CONF was heard
        self.is_end_told = self.fin_seen = False
        self.waits_to_be_asked = False  # acknowledge only what is asked for: then the peer has to ask
        self.complete_at = None
        self.is_told_by_answer = False  # a client: their CLOSE came with a handshake, before any datagram brought it
        # Control messages.
        self.flagged_out = None  # (type, message id)
        self.next_message = random_number(16)  # 0 is a message id like any other
        self.wake_wanted = 0
        self.passive_wanted = self.is_passive = False
        self.passive_heard = 0  # server: the connection that the client lets go
        self.echoes = collections.OrderedDict()
        self.is_confirmed = False
        self.validated, self.candidate, self.udp_address = None, None, None
        self.repeat, self.probe_timer = Timer(0.05, 1), Timer(0.2, 1)
        self.reqack_timer, self.candidate_timer = Timer(0.1, 1), Timer(1, 1)
        # For tests.
        self.forged = self.stale = self.above = self.resumes = self.breaks = 0
        self.heard, self.refused, self.unknown, self.replies = [], [], [], []

    # ------------------------------------------------------------------------------------------------ application

    def send(self, data):
        assert not self.shut_wanted
        self.waiting += data

    def shutdown(self):
        self.shut_wanted = True

    def close(self):
        """Nothing is read any more; what was sent is still carried."""
        self.shut_wanted = self.closing = True

    def abort(self):
        self.aborted = True
        self.drop()

    def is_over(self):
        return self.end is not None

    def heard_of(self, kind):
        """The authentic messages of a type, in order."""
        return [m for m in self.heard if m.kind == kind]

    def has_all(self, received, sent=None):
        """Whether this much came, and everything that was sent is acknowledged."""
        return self.count == received and not self.waiting and self.acked == self.upto == (sent or self.upto)

    def finish(self, how):
        if self.end is None:
            self.end = how
            self.drop()

    # ----------------------------------------------------------------------------------------- Counters, invariants

    def trim(self, count):
        """An authentic count of the peer, not below acked, not above written max."""
        assert self.acked <= count <= self.written_max
        del self.out[:count - self.acked]
        self.acked = count
        if self.acked == self.upto:
            self.reqack_timer.stop()
            self.probe_timer.stop()
        if self.live and count > self.written:
            self.drop()  # I7: nobody reads this connection

    def move_waiting(self):
        room = self.ring - len(self.out)
        take = self.waiting[:max(room, 0)]
        if take and not self.aborted:
            self.out += take
            self.upto += len(take)
            del self.waiting[:len(take)]
        if self.shut_wanted and not self.waiting:
            self.shut = True

    def note_final(self, final, is_closed):
        """HALF_CLOSE or CLOSE, or the flags of a handshake."""
        if self.peer_final not in (None, final) or (final < self.count and not self.closing):
            self.finish("PROTOCOL")
            return
        self.peer_final = final
        self.peer_closed = self.peer_closed or is_closed

    def heed(self, flags, sent):
        if flags & (p.SHUT | p.CLOSED):
            self.note_final(p.extend(sent, self.count), bool(flags & p.CLOSED))

    def own_flags(self):
        return (p.SHUT if self.shut else 0) | (p.CLOSED if self.must_say_close() else 0)

    def must_say_close(self):
        return self.closing or (self.peer_closed and self.count == self.peer_final)

    def is_complete(self):
        return self.must_say_close() and self.peer_closed

    # -------------------------------------------------------------------------------------------- one TCP connection

    def attach(self, s, attempt, position):
        """Bytes from `position` on are written on it; what it brings stands at our count."""
        s.setblocking(False)
        self.live, self.live_attempt, self.written = s, attempt, position
        self.written_max = max(self.written_max, position)
        self.fin_seen, self.fin_at, self.is_fin_written = False, None, False
        self.wake_wanted = 0
        self.is_passive = self.passive_wanted = False

    def drop(self):
        if self.live:
            abort_socket(self.live)
            self.live = None

    def broke(self):
        is_let_go = self.passive_heard == self.live_attempt and self.peer_final is None
        self.is_passive = not self.is_client and is_let_go and not self.waiting
        self.drop()
        self.breaks += not self.is_passive

    def take_bytes(self, data):
        if self.closing:
            return  # closed: read no more, our count stands
        if self.peer_final is not None and self.count + len(data) > self.peer_final:
            self.finish("PROTOCOL")
            return
        self.count += len(data)
        self.hash.update(data)
        self.start += data[:max(0, 4096 - len(self.start))]

    def read_some(self):
        """Reads once; False when there is nothing now."""
        try:
            data = self.live.recv(READ_MAX)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            self.broke()
            return False
        if data:
            self.take_bytes(data)
            return self.live is not None
        self.fin_seen = True
        return False

    def write_some(self):
        at = self.written - self.acked
        if at < len(self.out):
            try:
                done = self.live.send(self.out[at:at + READ_MAX])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.broke()
                return
            self.written += done
            self.written_max = max(self.written_max, self.written)
        elif self.shut and not self.is_fin_written:
            self.speak()  # the message goes out first, then the FIN
            self.is_fin_written = True
            try:
                self.live.shutdown(socket.SHUT_WR)
            except OSError:
                self.broke()

    def judge_fin(self, now):
        if self.is_complete():
            return
        if self.peer_final is not None:
            if self.count < self.peer_final and not self.closing:
                self.broke()
        elif self.fin_at is None:
            self.fin_at = now + 0.05
            self.ask()
        elif now >= self.fin_at:
            self.broke()

    # ------------------------------------------------------------------------------------------------ control: out

    def out_key(self):
        return self.keys.control_up if self.is_client else self.keys.control_down

    def in_key(self):
        return self.keys.control_down if self.is_client else self.keys.control_up

    def tell(self, kind, address=None, **fields):
        address = address or self.peer_address
        if self.keys and address:
            self.endpoint.send(p.encode_control(self.out_key(), self.peer_id, kind, **fields), address)

    def tell_ack(self, address=None):
        self.told = self.count
        self.tell(p.ACK, address, received=self.count)

    def ask(self, address=None):
        echo = random_number(64)
        self.echoes[echo] = self.live_attempt if self.live else 0
        while len(self.echoes) > 16:
            self.echoes.popitem(last=False)
        self.tell(p.PROBE, address or self.peer_address or self.candidate, own_id=self.own_id, echo=echo,
                  attempt=self.live_attempt if self.live else 0)

    def choice(self):
        """The flagged message that is to be out now, a function of the state."""
        said = self.confirmed_messages
        if self.aborted:
            return None if p.RESET in said else p.RESET
        if self.must_say_close():
            return None if p.CLOSE in said else p.CLOSE
        if self.shut and p.HALF_CLOSE not in said and not self.peer_closed:
            return p.HALF_CLOSE
        if self.wake_wanted:
            return p.WAKE
        return p.PASSIVE if self.passive_wanted and self.is_quiet() else None

    def is_quiet(self):
        """Nothing is on its way, so that the connection may be let go."""
        return (self.live is not None and self.acked == self.upto and not self.waiting and self.peer_address is not None
                and not self.shut and self.peer_final is None and not unread_bytes(self.live))

    def say(self, kind, address=None, message_id=None):
        fields = {"received": self.count, "final": self.upto} if kind in (p.HALF_CLOSE, p.CLOSE) else {}
        if kind == p.WAKE:
            fields["attempt"] = self.wake_wanted
        if kind == p.PASSIVE:
            fields = {"received": self.count, "attempt": self.live_attempt}
        self.tell(kind, address, message_id=message_id or 0, flagged=message_id is not None, **fields)

    def speak(self):
        """Sees that the right flagged message is out, at most one (I10)."""
        kind = self.choice()
        if not self.keys or not (self.peer_address or kind is None):
            return
        if kind != (self.flagged_out[0] if self.flagged_out else None):
            self.flagged_out = None
            self.repeat.stop()
            if kind:
                self.flagged_out = (kind, self.next_message)
                self.next_message = (self.next_message + 1) & 0xFFFF
                self.say(kind, message_id=self.flagged_out[1])
                self.repeat.start(time.monotonic())

    def answer_state(self, address):
        """Behind the answer to a question: what the peer should know about our end."""
        kind = (p.RESET if self.aborted else p.CLOSE if self.must_say_close() else p.HALF_CLOSE if self.shut else None)
        if kind:
            out = self.flagged_out
            self.say(kind, address, out[1] if out and out[0] == kind else None)

    # ------------------------------------------------------------------------------------------------ control: in

    def hear(self, m, address):
        carried = p.CONTROL_DATA.get(m.kind, ("", ""))[1].split()
        received = p.extend(m.received, self.acked) if "received" in carried else 0
        final = p.extend(m.final, self.count) if "final" in carried else 0
        if not self.keys or not p.control_is_authentic(self.in_key(), m, received, final):
            self.forged += 1
            return
        self.is_confirmed = True
        self.heard.append(m)
        if not self.is_client and address != self.validated and address != self.candidate:
            self.candidate = address
            self.candidate_timer.stop()
            self.ask(address)
        if m.flagged:
            self.tell(p.CONF, address, message_id=m.message_id)
        if "received" not in carried or self.take_count(received):
            self.obey(m, address, final)

    def take_count(self, received):
        if received > self.written_max:
            self.above += 1
            return False
        if received < self.acked:
            self.stale += 1
        else:
            self.trim(received)
        return True

    def obey(self, m, address, final):
        if m.kind == p.REQACK:
            self.window = m.ring
            self.tell_ack(address)
            self.answer_state(address)
        elif m.kind in (p.HALF_CLOSE, p.CLOSE):
            self.is_passive = False
            self.note_final(final, m.kind == p.CLOSE)
        elif m.kind == p.RESET:
            self.finish("RESET")
        elif m.kind == p.CONF and self.flagged_out and self.flagged_out[1] == m.message_id:
            self.confirmed_messages.add(self.flagged_out[0])
            self.wake_wanted = 0 if self.flagged_out[0] == p.WAKE else self.wake_wanted
            if self.flagged_out[0] == p.PASSIVE:
                self.let_go()
            self.flagged_out = None
            self.repeat.stop()
        elif m.kind == p.PROBE:
            live = self.live_attempt if self.live else 0
            self.tell(p.PROBE_REPLY, address, echo=m.echo, attempt=live, received=self.count,
                      unread=unread_bytes(self.live) if self.live else 0)
            self.answer_state(address)
            if self.is_client and m.attempt not in (0, live):
                self.ask(address)
        elif m.kind == p.PROBE_REPLY and m.echo in self.echoes:
            asked_under = self.echoes.pop(m.echo)
            self.replies.append(m)
            if not self.is_client and address in (self.candidate, self.validated):
                self.validated = self.peer_address = address
                self.udp_address = address if isinstance(address, tuple) else self.udp_address
            elif self.is_client and address in (self.udp_address, *self.endpoint.ways):
                self.peer_address = address
            self.compare(m.attempt, asked_under)
        elif m.kind == p.WAKE:
            self.woken(m.attempt)
        elif m.kind == p.PASSIVE and self.live and m.attempt == self.live_attempt:
            self.passive_wanted = self.passive_wanted or self.is_client
            self.passive_heard = m.attempt

    def forget(self, way):
        """A CONTROL connection broke: back to the last UDP address."""
        if self.peer_address is way:
            self.peer_address = self.validated = self.udp_address
        if self.candidate is way:
            self.candidate = None

    def compare(self, peer_live, asked_under):
        """A reply names the peer's live connection; asked_under: ours when it was asked."""

    def let_go(self):
        """Our PASSIVE is confirmed: a client lets its connection go, a server leaves that to the client."""
        self.passive_wanted = False
        if self.is_client and self.is_quiet():
            self.drop()
            self.is_passive = True

    def woken(self, attempt):
        """Only a client is woken."""

    # ----------------------------------------------------------------------------------------------------- moving

    def step(self, now):
        if self.is_over():
            return
        self.move_waiting()
        if self.live and not self.fin_seen:
            for _ in range(16):
                if not self.read_some():
                    break
        if self.live:
            self.write_some()
        if self.live and self.fin_seen:
            self.judge_fin(now)
        self.is_end_told = self.peer_final is not None and self.count == self.peer_final
        if self.keys:
            self.step_control(now)
        self.judge_end()

    def step_control(self, now):
        self.speak()
        if self.flagged_out and self.repeat.is_due(now):
            self.say(self.flagged_out[0], message_id=self.flagged_out[1])
        if self.count - self.told >= self.window // 4 and not self.waits_to_be_asked:
            self.tell_ack()
        if self.written > self.acked:
            self.reqack_timer.start(now)
            self.probe_timer.start(now)
        if self.reqack_timer.is_due(now) and self.peer_address:
            self.tell(p.REQACK, received=self.count, ring=self.ring)
            self.told = self.count
        if self.probe_timer.is_due(now) and self.peer_address:
            self.ask()
        if self.candidate and self.candidate != self.validated:
            self.candidate_timer.start(now)
            if self.candidate_timer.is_due(now):
                self.ask(self.candidate)

    def judge_end(self):
        if self.aborted and p.RESET in self.confirmed_messages:
            self.finish("ABORTED")
        if self.is_complete():
            if self.live:
                self.live.close()
                self.live = None
            self.complete_at = self.complete_at or time.monotonic()
            if p.CLOSE in self.confirmed_messages or time.monotonic() > self.complete_at + 10:
                self.finish("CLOSED" if self.acked == self.upto else "RESET")
