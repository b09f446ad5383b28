"""The second implementation talks to ours: data both ways through breaks, ends, and the rules it would rely on.

C1, C2, C5: what arrives is what was sent, every byte once, whichever side breaks, closes or asks. Loopback only.
"""

import hashlib
import os

from ground import KEY, Relay, answer_of, client, close_both, done_of, endpoint, nettest, p, peer, server, work_on

SIZE = 2 << 20
BREAKS = 6


def both_ways(us, them, mine, ep, break_now, size=SIZE, count=BREAKS):
    """Moves everything, breaking `count` times on the way; then both close, and the totals agree."""
    breaks = 0

    def done():
        nonlocal breaks
        if us.live and us.resumes == breaks < count and us.count >= (breaks + 1) * size // (count + 2):
            breaks += 1
            break_now()
        return us.has_all(size, len(mine)) and us.resumes == count
    ep.run(done, 15 + count / 10, "all bytes of both")
    total = close_both(ep, us, them)
    assert total["ok"] and total["received"] == len(mine) and total["sent"] == size, total
    assert total["sha256_received"] == hashlib.sha256(mine).hexdigest()
    assert total["sha256_sent"] == us.hash.hexdigest()
    assert us.forged == 0 and us.resumes == breaks == count, (us.forged, us.resumes, breaks)
    # A server that breaks at once may do so before the client has read the answer.
    assert (count + 1 if us.is_client else 2) <= total["connections"] <= count + 1, total


def we_open(key, broken_by, early=b"", trailer=b""):
    with server("--generate", SIZE, key=key) as them, Relay(them.port) as relay, endpoint(key) as ep:
        us = ep.connect(("127.0.0.1", relay.port), early=early, trailer=trailer)
        mine = early + os.urandom(SIZE)
        us.send(mine[len(early):])
        both_ways(us, them, mine, ep, us.broke if broken_by == "us" else relay.cut)


def we_serve(key, broken_by, trailer=b""):
    with endpoint(key, listen=True, trailer=trailer) as ep, Relay(ep.port) as relay:
        with client(relay.port, "--generate", SIZE, "--service", "conformance", key=key) as them:
            ep.run(lambda: ep.accepted, 5, "an opening")
            us = ep.accepted[0]
            mine = os.urandom(SIZE)
            us.send(mine)
            both_ways(us, them, mine, ep, us.broke if broken_by == "us" else relay.cut)


def test_we_open_and_break():
    we_open(b"", "us")


def test_we_open_and_the_path_breaks():
    we_open(b"", "path")


def test_we_open_with_a_key():
    we_open(KEY, "us")


def test_we_open_with_early_bytes_and_trailers():
    we_open(b"", "path", early=os.urandom(p.EARLY_MAX), trailer=b"\xFF" * p.TRAILER_MAX)


def test_we_open_with_a_key_and_early_bytes():
    we_open(KEY, "us", early=os.urandom(5000))


def test_we_serve_and_break():
    we_serve(b"", "us")


def test_we_serve_and_the_path_breaks():
    we_serve(b"", "path", trailer=b"\x00" * p.TRAILER_MAX)


def test_we_serve_with_a_key():
    we_serve(KEY, "us")


@nettest.only_with_all
def test_many_breaks_in_both_roles():
    size, count = 32 << 20, 100
    for key in (b"", KEY):
        with server("--generate", size, key=key) as them, Relay(them.port) as relay, endpoint(key) as ep:
            us = ep.connect(("127.0.0.1", relay.port))
            mine = os.urandom(size)
            us.send(mine)
            both_ways(us, them, mine, ep, us.broke, size, count)
        with endpoint(key, listen=True) as ep, client(ep.port, "--generate", size, key=key) as them:
            ep.run(lambda ep=ep: ep.accepted, 5, "an opening")
            us = ep.accepted[0]
            us.send(mine)
            both_ways(us, them, mine, ep, us.broke, size, count)


def test_a_stalled_connection_is_replaced():
    """The path swallows what is written and TCP says nothing: their client resumes, their server wakes us."""
    with endpoint(listen=True) as ep, Relay(ep.port) as relay:
        with client(relay.port, "--generate", SIZE, "--rate", "1M") as them:
            ep.run(lambda: ep.accepted and ep.accepted[0].count > 100000, 5, "bytes")
            us = ep.accepted[0]
            stall(relay, ep, us, lambda: us.resumes == 1)
            assert them.process.poll() is None and us.end is None
    with server("--generate", SIZE, "--rate", "1M") as them, Relay(them.port) as relay, endpoint() as ep:
        us = ep.connect(("127.0.0.1", relay.port))
        ep.run(lambda: us.count > 100000, 5, "bytes")
        stall(relay, ep, us, lambda: us.resumes == 1)
        assert us.heard_of(p.WAKE) or us.breaks == 0


def stall(relay, ep, us, resumed):
    """Holds the old connection and lets new ones through."""
    at = us.count
    relay.strand()
    ep.run(resumed, 5, "another connection")
    ep.run(lambda: us.count > at + 100000, 5, "more bytes")


def test_half_a_close_leaves_the_other_half():
    """Our end is told while theirs goes on, through a break; a FIN alone would be no end (P5)."""
    with server("--generate", SIZE, "--rate", "4M") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        us.send(b"x" * 1000)
        us.shutdown()
        ep.run(lambda: p.HALF_CLOSE in us.confirmed_messages, 5, "CONF of the HALF_CLOSE")
        assert us.count < SIZE and us.peer_final is None
        assert them.wait_kind("end", 5)["received"] == 1000
        us.broke()
        ep.run(lambda: us.is_end_told, 10, "their end")
        assert us.count == SIZE and us.resumes >= 1
        assert close_both(ep, us, them)["ok"]


def test_a_fin_without_a_close_is_a_break():
    """They ask, and resume: nothing is lost, no end is invented (P5)."""
    with endpoint(listen=True) as ep, client(ep.port, "--generate", 1000, "--hold") as them:
        ep.run(lambda: ep.accepted and ep.accepted[0].count == 1000, 5)
        us = ep.accepted[0]
        us.live.shutdown(1)
        ep.run(lambda: us.resumes == 1, 5, "a resume")
        assert not them.all_of("end")
        us.send(b"y" * 1000)
        us.shutdown()
        ep.run(lambda: us.has_all(1000, 1000), 5)
        assert them.wait_kind("end", 5)["received"] == 1000


def test_an_abort_resets_the_peer():
    with server("--generate", SIZE, "--rate", "1M") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count > 0, 5)
        us.abort()
        ep.run(us.is_over, 5, "CONF of the RESET")
        assert us.end in ("ABORTED", "RESET"), us.end  # a question of ours may cross the abort: its answer is RESET
        assert done_of(ep, them)["status"] == "RESET"


def test_a_close_in_mid_stream_ends_both():
    """Theirs learns that nobody reads any more, and that bytes are lost (I11)."""
    with server("--generate", SIZE, "--rate", "4M") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        us.send(b"r" * 1000)
        ep.run(lambda: us.count > 100000, 5)
        total = close_both(ep, us, them)
        assert total["received"] == 1000, total
        assert not total["ok"] and total["status"] == "RESET" and total["unacknowledged"] > 0, total


def test_a_repeated_open_is_one_session():
    """The answer to the first one is lost (P12): the same session answers the second, the third is a stale attempt."""
    with server("--keep", "--generate", 1000) as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        us.attempt = 1
        _, first = us.request()
        lost = answer_of(them.port, first)
        us.attempt = 0
        ep.run(lambda: us.attempt == 1 and us.failed, 5, "silence: attempt 1 is not newer than 1")
        ep.run(lambda: us.keys and us.attempt == 2, 5, "an answer")
        assert lost.cid == us.cid and lost.nonce == us.keys.server_nonce
        ep.run(lambda: us.count == 1000, 5)
        them.wait_kind("accepted", 5)
        assert len(them.all_of("accepted")) == 1
        ep.run(lambda: us.replies, 5)
        us.keys, kept = None, us.keys
        us.attempt = 9
        _, late = us.request()
        us.keys = kept
        assert answer_of(them.port, late) is None, "an OPEN for a confirmed session is a voice from before"
        assert us.count == 1000 and us.live


def test_early_bytes_of_a_lost_answer_are_not_read_twice():
    with server("--keep") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port), early=b"e" * 3000)
        us.attempt = 1
        _, first = us.request()
        assert answer_of(them.port, first + us.early).kind == p.ACCEPT
        us.written_max = 3000
        us.send(b"f" * 1000)
        ep.run(lambda: us.keys and us.has_all(0, 4000), 5, "acknowledgements")
        us.shutdown()
        ep.run(lambda: p.HALF_CLOSE in us.confirmed_messages, 5)
        assert them.wait_kind("end", 5)["received"] == 4000


def test_unknown_flagged_types_are_confirmed_and_ignored():
    with server("--keep", "--generate", 1000) as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count == 1000, 5)
        us.tell(63, flagged=True, message_id=0x1234, more=bytes(20))
        ep.run(lambda: [m for m in us.heard_of(p.CONF) if m.message_id == 0x1234], 5, "its CONF")
        before = len(us.heard)
        us.tell(63, message_id=7, more=bytes(252))
        us.tell(p.ACK, received=0, more=bytes(range(100)))
        us.ask()
        ep.run(lambda: len(us.heard) > before, 5)
        assert us.heard[before].kind == p.PROBE_REPLY and us.live
        work_on(ep, us)


def test_stale_and_impossible_counts_are_ignored():
    """C7, P2: an ACK below acked changes nothing, one above what was written is dropped, neither costs a byte."""
    with server("--keep", "--generate", SIZE, "--rate", "4M") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count > 200000, 5)
        us.tell_ack()
        for wrong in (0, 1, us.count - 1, us.count + (1 << 22), us.count + (1 << 30)):
            us.tell(p.ACK, received=wrong)
            us.tell(p.REQACK, received=wrong, ring=us.ring)
        us.broke()
        ep.run(lambda: us.count == SIZE, 10, "everything")
        assert us.resumes >= 1
        us.close()
        ep.run(us.is_over, 5)
        total = done_of(ep, them)
        assert total["sha256_sent"] == us.hash.hexdigest() and total["ok"], total


def test_stale_resumes_are_dropped_without_a_word():
    """P10: an attempt that is not newer, and a count below acked, change nothing and are not answered."""
    with server("--keep", "--generate", SIZE, "--rate", "1M") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count > 200000 and us.replies, 5)
        us.tell_ack()
        ep.run(lambda: us.heard_of(p.ACK) or not us.tell(p.REQACK, received=us.count, ring=us.ring), 5)
        for attempt, count in ((us.attempt, us.count), (us.attempt + 5, 10)):
            kept, us.attempt, us.count = (us.attempt, us.count), attempt, count
            _, data = us.request()
            us.attempt, us.count = kept
            assert answer_of(them.port, data) is None
        at = us.count
        ep.run(lambda: us.count > at + 100000, 5, "more bytes on the old connection")
        assert us.resumes == 0 and us.breaks == 0


def test_an_impossible_resume_ends_the_session():
    with server("--keep", "--generate", 1000, "--hold") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count == 1000 and us.replies, 5)
        us.count = 1 << 20
        us.broke()
        ep.run(us.is_over, 5)
        assert us.end == "PROTOCOL" and us.refused[-1].reason == p.BAD_COUNT
        assert done_of(ep, them)["status"] == "PROTOCOL"


def test_another_version_is_answered_and_rubbish_is_not():
    with server("--keep") as them, endpoint() as ep:
        shared = ep.shared
        for version, body in ((2, b""), (0, bytes(92)), (255, bytes(340))):
            head = (b"HFLD" + bytes([version, 1]) + len(body).to_bytes(2, "big"))
            m = answer_of(them.port, head + body)
            assert (m.kind, m.reason, m.attempt, m.lowest, m.highest) == (p.REFUSE, p.BAD_VERSION, 1, 1, 1)
            assert m.tag == p.shared_refuse_tag(shared, m.body, p.NO_NONCE)
        us = ep.connect(("127.0.0.1", them.port))
        us.attempt = 1
        _, data = us.request()
        for bad in (b"HFLE" + data[4:], data[:5] + bytes([99]) + data[6:], data[:6] + b"\xff\xff" + data[8:],
                    data[:24] + bytes(4) + data[28:], data[:20] + bytes(4) + data[24:],
                    data[:44] + bytes(8) + data[52:], data[:16] + b"\x01" + data[17:], b"GET / HTTP/1.0\r\n\r\n"):
            assert answer_of(them.port, bad) is None, bad[:30]
        assert not them.all_of("accepted")


def test_a_wrong_name_is_refused():
    """Asked by us, under the shared tag and for this nonce; asked by them, their client ends with REFUSED."""
    with server("--keep") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port), name=p.service_name(b"another"))
        ep.run(us.is_over, 5)
        m = us.refused[0]
        assert us.end == "REFUSED" and m.reason == p.WRONG_NAME and m.name == p.service_name(b"conformance")
        assert m.tag == p.shared_refuse_tag(us.shared, m.body, us.client_nonce) and m.nonce == p.NO_NONCE
    with endpoint(listen=True) as ep, client(ep.port, "--service", "another") as them:
        assert done_of(ep, them)["status"] == "REFUSED" and not ep.accepted


def test_tombstones_answer():
    """C8, P35: who missed the end learns it, from PROBE, REQACK, RESUME and OPEN; ACK and CONF are no questions."""
    with server("--keep", "--generate", 1000) as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.has_all(1000), 5)
        us.close()
        ep.run(us.is_over, 5)
        assert us.end == "CLOSED" and done_of(ep, them)["ok"]
        us.end, us.heard, us.flagged_out = None, [], None
        us.is_end_told, us.judge_end, us.speak = True, lambda: None, lambda: None
        us.try_once = lambda: None
        us.tell(p.ACK, received=1000)
        us.tell(p.CONF, message_id=99)
        us.tell(p.CLOSE, flagged=True, message_id=41, received=1000, final=0)
        us.ask()
        us.tell(p.WAKE, flagged=True, message_id=42, attempt=1)
        ours = (0, 41, 42)  # not the CONF of our own close, which may come twice
        ep.run(lambda: len([m for m in us.heard if m.message_id in ours]) >= 4, 5, "answers")
        assert [(m.kind, m.message_id, m.flagged) for m in us.heard if m.message_id in ours] == [
            (p.CONF, 41, False), (p.CLOSE, 0, False), (p.CONF, 42, False), (p.CLOSE, 0, False)], us.heard
        us.attempt += 1
        m, data = us.request()
        end = answer_of(them.port, data)
        assert end.reason == p.IS_CLOSED and end.flags == p.SHUT | p.CLOSED
        assert end.tag == us.keys.answer_tag(end.body, 0, 1000, m.nonce)
        kept, us.keys = us.keys, None
        _, data = us.request()
        again = answer_of(them.port, data)
        assert again.reason == p.IS_CLOSED and again.cid == us.cid and again.nonce == kept.server_nonce
        assert again.tag == kept.answer_tag(again.body, 0, 1000, us.client_nonce)


def test_tombstone_of_an_aborted_session_says_reset():
    with server("--keep", "--generate", 1000) as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.has_all(1000), 5)
        us.abort()
        ep.run(us.is_over, 5)
        us.end, us.aborted, us.heard, us.try_once = None, False, [], lambda: None
        us.ask()
        ep.run(us.is_over, 5)
        assert us.end == "RESET" and us.heard_of(p.RESET) and not us.heard_of(p.CLOSE)
        m, data = us.request()
        assert answer_of(them.port, data).reason == p.IS_RESET


def test_proof_of_death():
    """P28, P32: another incarnation of the service, or this one without the session; nothing else ends a session."""
    with server("--keep", "--generate", 1000) as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count == 1000 and us.replies, 5)
        port = them.port
        them.kill()
        with server("--keep", port=port):
            us.ask()
            ep.run(us.is_over, 5, "the proof")
            assert us.end == "PEER_GONE" and us.refused[-1].reason == p.NO_SESSION
            assert us.refused[-1].cid == 0 and us.refused[-1].incarnation != us.server_incarnation
    with endpoint(listen=True) as ep, client(ep.port, "--generate", 1000, "--hold") as them:
        ep.run(lambda: ep.accepted and ep.accepted[0].count == 1000 and ep.accepted[0].replies, 5)
        ep.accepted[0].broke()
        ep.sessions.clear()
        assert done_of(ep, them)["status"] == "PEER_FORGOT"
    first = endpoint(listen=True)
    with client(first.port, "--generate", 1000, "--hold") as them:
        first.run(lambda: first.accepted and first.accepted[0].count == 1000 and first.accepted[0].replies, 5)
        first.close()
        with endpoint(listen=True, port=first.port) as ep:
            assert done_of(ep, them)["status"] == "PEER_GONE"


def test_unknown_answers_a_probe_for_nobody():
    """Under the key that all have without a session; their client looks at once, and finds the same session alive."""
    with server("--keep") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.replies, 5)
        kept, us.peer_id = us.peer_id, us.peer_id ^ 0x5555
        us.ask()
        ep.run(lambda: us.unknown, 5, "UNKNOWN")
        us.peer_id = kept
        assert us.unknown[0].incarnation == us.server_incarnation
        ep.run(lambda: us.resumes == 1, 5, "our own look")


def test_a_moved_client_is_found():
    """Its datagrams come from another address: the server asks there, and speaks there once the echo came (P74)."""
    with server("--keep", "--generate", SIZE, "--rate", "1M") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count > 0 and us.replies, 5)
        with peer.Endpoint() as other:
            ep.udp, other.udp = other.udp, ep.udp
            us.heard.clear()
            us.ask()
            ep.run(lambda: us.heard_of(p.PROBE), 5, "their question at the new address")
            us.heard.clear()
            us.send(b"q" * 600000)
            ep.run(lambda: us.heard_of(p.ACK) or us.heard_of(p.REQACK), 5, "unasked messages at the new address")


if __name__ == "__main__":
    nettest.main(globals())
