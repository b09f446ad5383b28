"""What the text says about two connections of one session, lost answers and wrong ones, against both of our roles.

C1, P4, P12, P24: no byte twice, none lost, whatever becomes of an attempt. Loopback only.
"""

import os
import time

from ground import KEY, SERVICE, client, close_both, done_of, endpoint, nettest, p, peer, server, work_on

SIZE = 1 << 20


def finish(ep, us, them, sent):
    """Everything arrived, both ways; then the ends."""
    ep.run(lambda: us.has_all(SIZE, sent), 10, "everything")
    total = close_both(ep, us, them)
    assert total["ok"], total
    assert (total["received"], total["sha256_sent"]) == (sent, us.hash.hexdigest())


def test_an_old_connection_is_read_no_more():
    """I2: the server freezes before it counts. What we write on the old connection afterwards reaches nobody."""
    with server("--generate", SIZE, "--rate", "4M") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count > 100000 and us.replies, 5)
        work_on(ep, us, 70000)
        old, us.live = us.live, None
        us.send(b"n" * 5000)
        ep.run(lambda: us.live and us.acked == us.upto == 75000, 5, "a new connection")
        old.setblocking(True)
        try:
            old.sendall(b"o" * 100000)
        except OSError:
            pass
        old.close()
        us.send(b"m" * 5000)
        finish(ep, us, them, 80000)
        assert us.resumes == 1


def test_what_lies_in_an_old_connection_is_not_read_twice():
    """P4: bytes are on their way in the old connection while the new one asks; the count decides, once."""
    with server("--generate", SIZE, "--rate", "2M") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count > 0 and us.replies, 5)
        for _ in range(8):
            us.send(os.urandom(90000))
            us.move_waiting()
            us.write_some()
            old, us.live = us.live, None
            us.try_once()
            old.close()
        ep.run(lambda: us.acked == us.upto, 5)
        assert us.resumes == 8, us.failed
        finish(ep, us, them, 720000)


def test_a_client_goes_back_to_its_old_connection():
    """P24: its attempt fails, the old connection is thawed; the wish lasts until a newer one is there (I8)."""
    with endpoint(listen=True) as ep, client(ep.port, "--generate", SIZE, "--rate", "3M") as them:
        ep.run(lambda: ep.accepted and ep.accepted[0].validated, 5)
        us, dropped, honest = ep.accepted[0], [], ep.serve

        def deaf(s, request):
            dropped.append(request.attempt)
            return honest(s, request) if len(dropped) > 2 else False
        ep.serve = deaf
        us.wake_wanted = us.attempt
        ep.run(lambda: dropped, 5, "an attempt")
        at = us.count
        ep.run(lambda: us.count > at, 5, "bytes on the old connection")
        ep.run(lambda: us.resumes == 1, 5, "the wish fulfilled")
        assert dropped[:3] == [2, 3, 4] and us.breaks == 0, (dropped, us.breaks)
        work_on(ep, us)
        ep.run(lambda: us.count == SIZE, 10)
        assert not them.all_of("done")


def test_an_opening_whose_answer_is_lost_is_repeated():
    """P12: the same nonce and a newer attempt; what was early in the first is neither lost nor read twice."""
    for key in (b"", KEY):
        with endpoint(key, listen=True) as ep, client(ep.port, "--generate", SIZE, key=key) as them:
            requests, honest = [], ep.serve

            def forgetful(s, request, requests=requests, honest=honest, ep=ep):
                requests.append(request)
                if len(requests) > 1:
                    return honest(s, request)
                session = peer.Server(ep, 77, request)
                session.attempt = request.attempt
                ep.sessions[77] = ep.by_nonce[request.nonce] = session
                ep.accepted.append(session)
                session.take_bytes(peer.read_exactly(s, request.early))
                return False
            ep.serve = forgetful
            ep.run(lambda requests=requests: len(requests) > 1, 5, "a repetition")
            us = ep.accepted[0]
            first, second = requests[:2]
            assert (first.kind, second.kind, first.nonce) == (p.OPEN, p.OPEN, second.nonce)
            assert second.attempt > first.attempt and second.early == 0 and second.received == second.sent == 0
            assert first.tag != second.tag and len(ep.accepted) == 1
            us.send(b"a" * 3000)
            finish(ep, us, them, 3000)


def test_a_temporary_refusal_is_waited_for():
    with endpoint(listen=True) as ep, client(ep.port, "--generate", 1000) as them:
        times, honest = [], ep.judge

        def full(request):
            times.append(time.monotonic())
            return p.FULL if len(times) < 3 else honest(request)

        def refuse(request, reason):
            m = p.Message(p.REFUSE, reason=reason, flags=p.TEMPORARY, retry=300, lowest=1, highest=1,
                          attempt=request.attempt, incarnation=ep.incarnation, name=ep.name)
            return p.encode_handshake(m, lambda body: p.shared_refuse_tag(ep.shared, body, request.nonce))
        ep.judge, ep.refuse = full, refuse
        ep.run(lambda: ep.accepted and ep.accepted[0].count == 1000, 5, "the third attempt")
        assert all(later - sooner >= 0.29 for sooner, later in zip(times, times[1:])), times
        assert not them.all_of("done")


def test_wrong_answers_are_failed_attempts():
    """A wrong tag, attempt, kind, count, name or id in an ACCEPT or RESUMED: nothing is believed, the next one is."""
    def spoil(message, number):
        is_resumed = message.kind == p.RESUMED
        if number == 0:
            message.attempt += 1
        elif number == 1:
            message.kind = p.ACCEPT if message.kind == p.RESUMED else p.RESUMED
        elif number == 2:
            message.name ^= 0 if is_resumed else 1 << 40
            message.cid ^= 1 if is_resumed else 0  # the session's key makes up for the name
        elif number == 3:
            message.received = (message.received + 1) & p.MASK32  # after the tag was made of the right one
        return number == 3

    with endpoint(listen=True) as ep, \
            client(ep.port, "--generate", SIZE, "--rate", "4M", "--service", SERVICE) as them:
        answers, honest = [], p.encode_handshake

        def lie(message, make_tag, trailer=b"", version=p.VERSION):
            if message.kind not in (p.ACCEPT, p.RESUMED) or len(answers) % 5 == 4:
                answers.append(message)
                return honest(message, make_tag, trailer, version)
            right = honest(message, make_tag)
            is_tag_kept = spoil(message, len(answers) % 5)
            answers.append(message)
            wrong = honest(message, make_tag if not is_tag_kept else lambda _: right[-16:])
            return wrong
        try:
            p.encode_handshake = lie
            ep.run(lambda: ep.accepted and ep.accepted[0].validated and len(answers) == 5, 8, "an ACCEPT believed")
            us = ep.accepted[0]
            us.broke()
            ep.run(lambda: len(answers) == 10 and us.live, 8, "a RESUMED believed")
        finally:
            p.encode_handshake = honest
        work_on(ep, us)
        ep.run(lambda: us.count == SIZE, 10)
        assert not them.all_of("done")


def test_an_impossible_resumed_ends_the_session():
    with endpoint(listen=True) as ep, client(ep.port, "--generate", 1000, "--hold") as them:
        ep.run(lambda: ep.accepted and ep.accepted[0].count == 1000 and ep.accepted[0].replies, 5)
        ep.accepted[0].count = 100000
        ep.accepted[0].broke()
        assert done_of(ep, them)["status"] == "PROTOCOL"


def test_a_session_outlives_its_listener_and_long_silence_of_one_side():
    """A stopped reader (a full ring) is no error: no byte is lost, no connection replaced (C4)."""
    with endpoint(listen=True) as ep, client(ep.port, "--generate", SIZE) as them:
        ep.run(lambda: ep.accepted and ep.accepted[0].validated, 5)
        us = ep.accepted[0]
        ep.listener.close()
        ep.listener = None
        us.fin_seen = True  # nothing is read for a while; questions are answered
        fin, us.judge_fin = us.judge_fin, lambda now: None
        end = time.monotonic() + 0.7
        ep.run(lambda: time.monotonic() > end, 3)
        us.fin_seen, us.judge_fin = False, fin
        us.send(b"b" * 1000)
        finish(ep, us, them, 1000)
        assert us.breaks == us.resumes == 0


def test_both_ends_close_at_once_while_the_path_is_down():
    """C8: what is unacknowledged is still carried, the closes cross, both learn the whole truth."""
    with server("--generate", SIZE) as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count > 0, 5)
        us.send(os.urandom(300000))
        us.move_waiting()
        us.write_some()
        us.broke()
        us.shutdown()
        finish(ep, us, them, 300000)


if __name__ == "__main__":
    nettest.main(globals())
