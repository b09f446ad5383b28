"""Sessions that go without a connection by agreement, and proofs of the key, between the two implementations.

PROTOCOL.md "Passivation", "Keys and tags"; C1, C2: what is sent to a passive session arrives. Loopback only.
"""

import os
import time

from ground import KEY, answer_of, client, endpoint, nettest, p, server, work_on


def rest(ep, seconds):
    end = time.monotonic() + seconds
    ep.run(lambda: time.monotonic() > end, seconds + 5)


def test_their_client_lets_its_connection_go_when_asked():
    """Our server asks by PASSIVE; theirs says its own and goes; it stays away until our bytes wake it."""
    with endpoint(listen=True) as ep, client(ep.port, "--generate", 1000, "--hold") as them:
        ep.run(lambda: ep.accepted and ep.accepted[0].has_all(1000) and ep.accepted[0].validated, 5)
        us = ep.accepted[0]
        us.tell_ack()
        us.passive_wanted = True
        ep.run(lambda: us.is_passive, 5, "their PASSIVE, and the end of the connection")
        assert us.heard_of(p.PASSIVE)[0].attempt == us.live_attempt and p.PASSIVE in us.confirmed_messages
        rest(ep, 0.5)
        assert us.live is None and us.resumes == 0, "a passive client makes no attempts"
        us.send(b"w" * 1000)
        ep.run(lambda: us.live and us.has_all(1000, 1000), 5, "a resume after our WAKE")
        assert us.resumes == 1 and not us.breaks and not them.all_of("done")


def test_we_let_our_connection_go_and_come_back_when_woken():
    """Their server has a few bytes every now and then: each time it wakes us, by the number of the connection."""
    with server("--generate", 900, "--rate", 600) as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count > 0 and us.replies, 5)
        passive = 0

        def step():
            nonlocal passive
            if us.is_passive:
                passive += us.live_attempt == us.attempt
            elif us.live and not us.passive_wanted and us.count < 600:
                us.tell_ack()
                us.passive_wanted = True
            return us.count == 900
        ep.run(step, 10, "everything")
        assert passive and us.resumes >= 1 and us.heard_of(p.WAKE) and not us.failed


def test_a_passive_client_comes_back_to_send_and_to_close():
    with server("--keep", "--generate", 1000, "--hold") as them, endpoint() as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.has_all(1000) and us.replies, 5)
        for number in range(3):
            us.tell_ack()
            us.passive_wanted = True
            ep.run(lambda: us.is_passive, 5, "CONF of PASSIVE")
            rest(ep, 0.1)
            assert us.live is None and us.resumes == number
            if number < 2:
                work_on(ep, us)
        us.close()
        ep.run(us.is_over, 5)
        assert us.end == "CLOSED" and us.acked == 10000
        assert them.wait_kind("end", 5)["received"] == 10000


def test_a_passive_for_another_connection_changes_nothing():
    with endpoint(listen=True) as ep, client(ep.port, "--generate", 1000, "--hold") as them:
        ep.run(lambda: ep.accepted and ep.accepted[0].has_all(1000) and ep.accepted[0].validated, 5)
        us = ep.accepted[0]
        us.tell_ack()
        for number in (us.attempt + 1, 0):
            us.tell(p.PASSIVE, flagged=True, message_id=number + 100, received=us.count, attempt=number)
        ep.run(lambda: len(us.heard_of(p.CONF)) >= 2, 5)
        rest(ep, 0.3)
        assert us.live and not us.heard_of(p.PASSIVE) and not them.all_of("done")


def test_without_the_key_all_questions_have_one_answer():
    """Which names, sessions and lives there are: a RESUME or CONTROL whose nonce shows no key learns none of it."""
    with server("--keep", "--generate", 1000, key=KEY) as them, endpoint(KEY) as ep:
        us = ep.connect(("127.0.0.1", them.port))
        ep.run(lambda: us.count == 1000, 5)
        seen = set()
        for kind in (p.RESUME, p.CONTROL):
            for cid, name, life in ((us.cid, us.name, us.server_incarnation), (us.cid ^ 7, us.name, 5),
                                    (us.cid, us.name ^ 1, us.server_incarnation)):
                for nonce in (os.urandom(16), p.resume_nonce(p.shared_key(os.urandom(32)), cid, 1, name, life),
                              p.resume_nonce(us.shared, cid, 2, name, life)):
                    m = p.Message(kind, key_id=us.key_id, cid=cid, control_id=5, attempt=1, name=name, incarnation=9,
                                  server_incarnation=life, nonce=nonce, port=1, window=4096)
                    data = p.encode_handshake(m, lambda body: us.keys.resume_tag(body, 0, 0))
                    answer = answer_of(them.port, data)
                    assert answer.tag == p.shared_refuse_tag(us.shared, answer.body, nonce)
                    seen.add(answer.body)
                    assert (answer.reason, answer.name, answer.incarnation) == (p.BAD_KEY, 0, 1)
        assert len(seen) == 1
        work_on(ep, us)


if __name__ == "__main__":
    nettest.main(globals())
