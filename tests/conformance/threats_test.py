"""The rows of PROTOCOL.md's table of threats: who does what, and what comes of it. Loopback only.

design 2.9; P28, P64, P65, P66: what is not authentic changes nothing, and its answer is not larger than the question.
"""

import copy
import hashlib
import os
import random
import select
import socket
import time

from ground import (KEY, KEY_ID, Relay, answer_of, ask, client, close_both, done_of, endpoint, nettest, p, peer, server,
                    work_on)

SIZE = 1 << 20
ALL_TYPES = (*p.CONTROL_DATA, 63)


class Stranger:
    """A UDP socket of somebody else."""

    def __init__(self, port):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.connect(("127.0.0.1", port))

    def throw(self, data):
        self.udp.send(data)

    def answers(self, seconds=0.1):
        """Datagrams that came until nothing came for so long."""
        found = []
        while select.select([self.udp], [], [], seconds)[0]:
            try:
                found.append(self.udp.recv(2048))
            except ConnectionError:
                continue
        return found

    def one(self):
        self.udp.settimeout(5)
        return self.udp.recv(2048)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.udp.close()


class Recorder:
    """An endpoint's UDP socket that remembers what it sent."""

    def __init__(self, udp):
        self.udp, self.sent = udp, []

    def __getattr__(self, name):
        return getattr(self.udp, name)

    def sendto(self, data, address):
        self.sent.append((data, address))
        return self.udp.sendto(data, address)


def spoil(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def forgeries(key, to, count):
    """Every type with plausible data, its tag wrong by a bit."""
    for kind in ALL_TYPES:
        for flagged in (False, True):
            fields = {"received": count, "final": count, "echo": 5, "own_id": 77, "attempt": 99, "ring": 4096,
                      "incarnation": 9, "unread": 0}
            names = p.CONTROL_DATA.get(kind, ("", ""))[1].split()
            yield spoil(p.encode_control(key, to, kind, 7, flagged, **{n: fields.get(n, 0) for n in names}))


def work_during(key, attack):
    """A session with their server; attack(them, ep, us) must not touch it: no connection breaks, nothing is lost."""
    with server("--keep", "--generate", SIZE, "--rate", "8M", key=key) as them, endpoint(key) as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count > 100000 and us.replies, 5)
        attack(them, ep, us)
        ep.run(lambda: us.count == SIZE, 10, "everything")
        work_on(ep, us)
        us.close()
        ep.run(us.is_over, 5)
        total = done_of(ep, them)
        assert us.end == "CLOSED" and total["ok"] and total["connections"] == 1, total
        assert total["sha256_sent"] == us.hash.hexdigest() and us.breaks == us.resumes == 0


def test_forged_control_changes_nothing_at_their_server():
    def attack(them, _ep, us):
        with Stranger(them.port) as stranger:
            for data in forgeries(us.keys.control_up, us.peer_id, us.count):
                stranger.throw(data)
                us.endpoint.udp.sendto(data, us.peer_address)
            assert stranger.answers() == [], "P64: what is forged is not answered"
    for key in (b"", KEY):
        work_during(key, attack)


def test_forged_control_changes_nothing_at_their_client():
    with endpoint(listen=True) as ep, client(ep.port, "--generate", SIZE, "--rate", "4M") as them:
        ep.run(lambda: ep.accepted and ep.accepted[0].replies, 5)
        us = ep.accepted[0]
        with Stranger(us.peer_address[1]) as stranger:
            for data in forgeries(us.keys.control_down, us.peer_id, us.count):
                stranger.throw(data)
            forged = p.encode_control(ep.unknown_key, us.peer_id, p.UNKNOWN, echo=12345, incarnation=1)
            stranger.throw(forged)  # the key is everybody's, the echo is not
            assert stranger.answers() == []
        ep.run(lambda: us.count == SIZE, 10)
        assert us.resumes == us.breaks == 0 and len(them.all_of("connection")) <= 1


def test_a_guessed_resume_is_refused_and_changes_nothing():
    def attack(them, ep, us):
        thief = ep.connect(("127.0.0.1", them.port), name=us.name)
        del ep.sessions[thief.own_id]
        thief.cid, thief.server_incarnation, thief.attempt = us.cid, us.server_incarnation, 50
        thief.keys = p.Keys(thief.shared, os.urandom(16), os.urandom(16))
        m, data = thief.request()
        answer = answer_of(them.port, data)
        assert answer.reason == p.BAD_KEY and answer.cid == 0
        assert answer.tag == p.shared_refuse_tag(thief.shared, answer.body, m.nonce)
        thief.cid ^= 0x10000
        m, data = thief.request()
        answer = answer_of(them.port, data)
        assert answer.reason == p.NO_SESSION and answer.incarnation == us.server_incarnation
    for key in (b"", KEY):
        work_during(key, attack)


def test_a_refusal_of_another_request_is_a_failed_attempt():
    """NO_SESSION ends a session only with this request's nonce and attempt, the right name, an authentic tag (P28)."""
    for key in (b"", KEY):
        with endpoint(key, listen=True) as ep, client(ep.port, "--generate", 1000, "--hold", key=key) as them:
            ep.run(lambda: ep.accepted and ep.accepted[0].count == 1000 and ep.accepted[0].replies, 5)
            us, asked, honest = ep.accepted[0], [], ep.refuse

            def lie(request, reason, asked=asked, honest=honest):
                asked.append(request)
                wrong = copy.copy(request)
                if len(asked) == 1:
                    wrong.nonce = os.urandom(16)
                if len(asked) == 2:
                    wrong.attempt += 1
                return spoil(honest(request, reason)) if len(asked) == 3 else honest(wrong, reason)
            ep.refuse, ep.judge = lie, lambda request: p.NO_SESSION
            us.broke()
            ep.run(lambda: len(asked) == 3, 5, "three attempts")
            del ep.refuse, ep.judge
            ep.run(lambda: us.resumes == 1, 5, "a resume")
            them.wait("evidence of three refusals", 5, lambda _, them=them: len(them.all_of("evidence")) >= 3)
            assert not them.all_of("done")
            work_on(ep, us)


def test_a_wrong_key_is_refused():
    """Another key, none, another id of the right key: refused at once, on both sides, and nothing was made."""
    other = os.urandom(32)
    with server("--keep", "--generate", 1000, key=KEY) as them, endpoint() as ep:
        for key, key_id in ((other, KEY_ID), (b"", 0), (KEY, KEY_ID + 1)):
            us = ep.connect(("127.0.0.1", them.port), key=key, key_id=key_id, early=b"secret")
            ep.run(us.is_over, 5)
            assert us.end == "REFUSED" and us.refused[0].reason == p.BAD_KEY and us.count == 0
        assert not them.all_of("accepted")
    with endpoint(KEY, listen=True) as ep, client(ep.port, "--generate", 1000, key=other) as them:
        assert done_of(ep, them)["status"] == "REFUSED" and not ep.accepted


def test_a_wrong_confirm_opens_nothing():
    """An OPEN that is replayed (here: to a restarted server) gets an ACCEPT, but no byte moves without the key."""
    with server("--keep", "--generate", 1000, key=KEY) as them, endpoint(KEY) as ep:
        us = ep.connect(("127.0.0.1", them.port))
        us.attempt = 1
        _, opening = us.request()
        del ep.sessions[us.own_id]
        for proof in (bytes(16), os.urandom(16)):
            with socket.create_connection(("127.0.0.1", them.port)) as s:
                s.sendall(opening)
                s.settimeout(3)
                answer = peer.read_message(s)
                assert answer.kind == p.ACCEPT
                s.sendall(proof + b"bytes")
                try:
                    assert s.recv(100) == b"", "nothing but an end"
                except ConnectionResetError:
                    pass
            us.attempt += 1
            _, opening = us.request()
        time_for_news(them)
        assert not them.all_of("accepted")


def time_for_news(them):
    """Whatever they had to tell about what happened before was told: a whole exchange came after it."""
    with socket.create_connection(("127.0.0.1", them.port), 3) as s:
        s.sendall(b"NEWS")
        try:
            s.recv(1)
        except ConnectionResetError:
            pass


def test_early_bytes_of_a_replayed_open_arrive_again():
    """What the table admits: at a restarted server they are new, with a key only if the client asked for them."""
    for key in (b"", KEY):
        with server("--keep", key=key) as them, endpoint(key) as ep:
            us = ep.connect(("127.0.0.1", them.port), early=b"pay 100")
            us.attempt = 1
            _, opening = us.request()
            assert answer_of(them.port, opening + us.early).kind == p.ACCEPT
            port = them.port
            them.kill()
            with server("--keep", key=key, port=port) as again:
                assert answer_of(port, opening + us.early).kind == p.ACCEPT
                assert again.wait_received(7, 5)


def test_a_sniffer_of_the_opening_needs_the_key():
    """It knows both nonces. Without a pre-shared key that is all; with one its RESET is dropped."""
    for key in (b"", KEY):
        with server("--keep", "--generate", SIZE, "--rate", "8M", key=key) as them, endpoint(key) as ep:
            us = ep.connect(("127.0.0.1", them.port))
            ep.run(lambda: us.count > 100000 and us.replies, 5)
            known = p.Keys(bytes(32), us.client_nonce, us.keys.server_nonce)
            with Stranger(them.port) as sniffer:
                sniffer.throw(p.encode_control(known.control_up, us.cid, p.RESET, 5, True))
                answers = sniffer.answers()
            if key:
                assert not answers
                ep.run(lambda us=us: us.count == SIZE, 10)
                assert not us.breaks and not them.all_of("done")
            else:
                assert done_of(ep, them)["status"] == "RESET"


def test_answers_are_not_larger_than_questions():
    """P66: no amplifier. Garbage gets nothing, a PROBE for nobody its UNKNOWN, of the same size."""
    with server("--keep", "--generate", 1000) as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count == 1000, 5)
        us.close()
        ep.run(us.is_over, 5)
        tombstone = us.cid
        with Stranger(them.port) as stranger:
            rng = random.Random(1)
            for size in range(0, 300, 7):
                stranger.throw(rng.randbytes(size))
            assert stranger.answers() == []
            for to in (0, 1, tombstone, tombstone ^ 1):
                for data in forgeries(bytes(16), to, 5):
                    stranger.throw(data)
                    if data[4] == p.PROBE and to != tombstone:
                        answer = stranger.one()
                        (m,) = p.decode_controls(answer)
                        assert m.kind == p.UNKNOWN and len(answer) <= len(data)
            assert stranger.answers() == []


def test_what_follows_a_bad_message_is_dropped():
    with server("--keep", "--generate", 1000) as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count == 1000 and us.replies, 5)

        def question(number):
            return p.encode_control(us.keys.control_up, us.peer_id, 63, number, True)
        cut_off = p.encode_control(us.keys.control_up, us.peer_id, p.REQACK, received=1000, ring=9)[:-1]
        too_few = p.encode_control(us.keys.control_up, us.peer_id, 63, 5, True)[:4] + b"\x03\x81" + bytes(14)
        ep.udp.sendto(question(1) + spoil(question(2)) + question(3) + cut_off, us.peer_address)
        ep.udp.sendto(question(4) + too_few + question(6), us.peer_address)
        ep.udp.sendto(question(7), us.peer_address)

        def confirmed():
            return {m.message_id for m in us.heard_of(p.CONF)}
        ep.run(lambda: 7 in confirmed(), 5)
        assert confirmed() == {1, 3, 4, 7}, "a forged one is skipped; behind a cut one the datagram ends"


def test_unasked_messages_go_to_validated_addresses_only():
    """A replay from elsewhere draws a PROBE there, one in 200 ms at most, and no data-driven traffic (P65)."""
    def attack(them, ep, us):
        with Stranger(them.port) as stranger, Stranger(them.port) as second, Stranger(them.port) as third:
            others = [second, third]
            recorded = p.encode_control(us.keys.control_up, us.peer_id, p.ACK, received=us.count)
            start = time.monotonic()
            for other in [stranger] + others * 20:
                other.throw(recorded)
            kinds = [m.kind for one in [stranger] + others for data in one.answers() for m in p.decode_controls(data)]
            most = 1 + int((time.monotonic() - start) / 0.2)
            assert set(kinds) == {p.PROBE} and len(kinds) <= most, kinds
            us.send(os.urandom(400000))
            ep.run(lambda: us.acked == us.upto and not us.waiting, 5)
            assert [one.answers(0.01) for one in [stranger] + others] == [[], [], []]
    work_during(b"", attack)


def test_replayed_datagrams_change_nothing():
    """Everything we said is said again, twice, in other orders: counts are stale, CONFs repeat, nothing happens."""
    def attack(_them, ep, us):
        recorder = Recorder(ep.udp)
        ep.udp = recorder
        us.send(os.urandom(300000))
        for number in range(3):
            us.tell(63, flagged=True, message_id=number)
            us.ask()
            us.tell_ack()
        ep.run(lambda: us.acked == us.upto and not us.waiting, 5)
        ep.udp = recorder.udp
        for again in (recorder.sent, recorder.sent[::-1]):
            for data, address in again:
                ep.udp.sendto(data, address)
    for key in (b"", KEY):
        work_during(key, attack)


def test_a_replayed_wake_names_an_old_attempt():
    with endpoint(listen=True) as ep, client(ep.port, "--generate", SIZE, "--rate", "2M") as them:
        ep.run(lambda: ep.accepted and ep.accepted[0].validated, 5)
        us = ep.accepted[0]
        wake = p.encode_control(us.keys.control_down, us.peer_id, p.WAKE, 999, True, attempt=us.attempt)
        ep.udp.sendto(wake, us.peer_address)
        ep.run(lambda: us.resumes == 1, 5, "another connection")
        for _ in range(20):
            ep.udp.sendto(wake, us.peer_address)
        ep.run(lambda: us.count == SIZE, 10)
        assert us.resumes == 1 and len([m for m in us.heard_of(p.CONF) if m.message_id == 999]) == 21
        assert not them.all_of("done")


def test_changed_bytes_are_not_noticed():
    """What the table admits: the stream is neither encrypted nor signed, with or without a key."""
    for key in (b"", KEY):
        with server(key=key) as them, Relay(them.port) as relay, endpoint(key) as ep:
            us = ep.connect(("127.0.0.1", relay.port))
            ep.run(lambda us=us: us.replies, 5)
            relay.change = lambda data: data.replace(b"100", b"999")
            us.send(b"pay 100")
            total = close_both(ep, us, them)
            assert total["ok"]
            assert total["sha256_received"] == hashlib.sha256(b"pay 999").hexdigest()


def test_a_peer_that_breaks_the_rules_loses_its_session_only():
    """Bytes beyond its end, another end than before, an end below what was read: PROTOCOL; the neighbour works on."""
    def beyond(us):
        us.upto += 2
        us.say(p.HALF_CLOSE, message_id=1)
        ep.run(lambda: us.heard_of(p.CONF), 5)
        us.live.sendall(b"more")

    def other_end(us):
        us.say(p.HALF_CLOSE, message_id=1)
        us.upto += 1
        us.say(p.HALF_CLOSE, message_id=2)

    def too_short(us):
        us.upto -= 1
        us.say(p.CLOSE, message_id=1)
    with server("--keep") as them, endpoint() as ep:
        neighbour = ep.connect(("127.0.0.1", them.port))
        work_on(ep, neighbour)
        for flow, crime in enumerate((beyond, other_end, too_short), 1):
            us = ep.connect(("127.0.0.1", them.port))
            work_on(ep, us)
            us.next_try = 1e18
            crime(us)
            assert them.wait_kind("done", 5, flow=flow)["status"] == "PROTOCOL", crime
            del ep.sessions[us.own_id]
            us.drop()
            work_on(ep, neighbour)
        assert neighbour.resumes == neighbour.breaks == 0


def test_scanners_learn_nothing():
    """Whatever does not begin as this protocol does gets an end of file or a reset, not a byte."""
    with server("--keep") as them:
        for probe in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"SSH-2.0-x\r\n",
                      b"\x00" * 8, b"HFL\x00", os.urandom(64)):
            assert ask(them.port, probe) == b"", probe


if __name__ == "__main__":
    nettest.main(globals())
