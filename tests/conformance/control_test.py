"""CONTROL connections: who gets one, and what it may do (PROTOCOL.md "CONTROL connections"; P64, P66). Loopback."""

import os
import socket

from ground import KEY, answer_of, nettest, p, peer
from threats_test import forgeries, work_during


def control_request(us, key=None):
    """A CONTROL in the name of our session, under its key or another."""
    m = p.Message(p.CONTROL, key_id=us.key_id, cid=us.cid, control_id=us.own_id, attempt=1, name=us.name,
                  incarnation=us.endpoint.incarnation, server_incarnation=us.server_incarnation,
                  nonce=p.resume_nonce(us.shared, us.cid, 1, us.name, us.server_incarnation))
    return m, p.encode_handshake(m, lambda body: p.keyed_hash(key or us.keys.handshake_up, 16, body + p.counts(0, 0)))


def control_connection(them, us):
    """A CONTROL connection that was accepted."""
    m, data = control_request(us)
    s = socket.create_connection(("127.0.0.1", them.port), 5)
    s.sendall(data)
    answer = peer.read_message(s)
    assert answer.kind == p.ACCEPT and answer.cid == answer.control_id == us.cid
    assert answer.incarnation == us.server_incarnation
    assert answer.tag == us.keys.answer_tag(answer.body, 0, 0, m.nonce)
    return s


def ask_along(s, us):
    """A PROBE along a CONTROL connection is answered there. Other messages may come before."""
    echo = os.urandom(8)
    s.sendall(p.encode_control(us.out_key(), us.peer_id, p.PROBE, own_id=us.own_id, echo=int.from_bytes(echo, "big"),
                               attempt=us.live_attempt))
    got = b""
    while True:
        more = s.recv(4096)
        assert more, "ended instead of answering"
        got += more
        for m in p.decode_controls(got):
            if m.kind == p.PROBE_REPLY and m.echo == int.from_bytes(echo, "big"):
                assert p.control_is_authentic(us.in_key(), m, p.extend(m.received, us.acked))
                return


def test_control_connections_need_the_key_of_a_session():
    def attack(them, _ep, us):
        for key, cid, reason in ((os.urandom(32), us.cid, p.BAD_KEY), (us.keys.handshake_down, us.cid, p.BAD_KEY),
                                 (None, us.cid ^ 0x10000, p.NO_SESSION)):
            real, us.cid = us.cid, cid
            m, data = control_request(us, key)
            us.cid = real
            answer = answer_of(them.port, data)
            assert answer.kind == p.REFUSE and answer.reason == reason and answer.cid == 0
            assert answer.tag == p.shared_refuse_tag(us.shared, answer.body, m.nonce)
    for key in (b"", KEY):
        work_during(key, attack)


def test_rubbish_on_control_connections_changes_nothing():
    """Their holder is a client with a session: messages are still judged one by one, and their number is bounded."""
    def attack(them, _ep, us):
        with control_connection(them, us) as s:
            ask_along(s, us)
            for data in forgeries(us.keys.control_up, us.peer_id, us.count):
                s.sendall(data)
            ask_along(s, us)
            s.settimeout(5)
            try:
                for _ in range(100):
                    s.sendall(os.urandom(4096))
                while s.recv(4096):
                    pass
            except ConnectionError:
                pass  # closed: what it expected
        before = them.descriptors()
        many = [control_connection(them, us) for _ in range(300)]
        assert them.descriptors() <= before + 257
        ask_along(many[-1], us)
        for s in many:
            s.close()
    for key in (b"", KEY):
        work_during(key, attack)


if __name__ == "__main__":
    nettest.main({name: value for name, value in globals().items() if name not in ("forgeries", "work_during")})
