"""CONTROL connections between the two implementations: UDP does not get through, and nobody notices.

C1, C2, C8: everything arrives and ends in order without a single datagram. Loopback only.
"""

import hashlib
import os

from ground import KEY, client, close_both, done_of, endpoint, nettest, p, server

SIZE = 1 << 20


def finish(ep, us, them, mine):
    ep.run(lambda: us.has_all(SIZE, len(mine)), 10, "everything")
    total = close_both(ep, us, them)
    assert total["ok"], total
    assert total["sha256_received"] == hashlib.sha256(mine).hexdigest()
    assert total["sha256_sent"] == us.hash.hexdigest() and us.forged == 0


def test_we_dial_and_all_control_messages_go_by_it():
    """Their server answers where it was asked, and speaks there once our echo came from there."""
    for key in (b"", KEY):
        with server("--generate", SIZE, "--rate", "4M", key=key) as them, endpoint(key) as ep:
            ep.is_deaf = True
            us = ep.connect(("127.0.0.1", them.port))
            ep.run(lambda us=us: us.live, 5)
            way = ep.dial_control(us)
            ep.run(lambda us=us: us.replies and us.heard_of(p.PROBE), 5, "echoes by the connection")
            assert us.peer_address is way
            mine = os.urandom(SIZE)
            us.send(mine)
            us.waits_to_be_asked = True
            ep.run(lambda us=us: us.heard_of(p.REQACK), 5, "its question when nobody acknowledges")
            us.waits_to_be_asked = False
            ep.run(lambda us=us: us.count > SIZE // 2 and us.heard_of(p.ACK), 10, "bytes, and acknowledgements by it")
            us.broke()
            finish(ep, us, them, mine)
            assert us.resumes == 1, (us.resumes, us.breaks)


def test_their_client_dials_where_we_hear_no_datagram():
    with endpoint(listen=True) as ep, client(ep.port, "--generate", SIZE, "--ring", "64k") as them:
        ep.is_deaf = True
        ep.run(lambda: ep.ways and ep.accepted[0].validated is ep.ways[0], 5, "a CONTROL connection")
        assert ep.accepted[0].count < SIZE // 4, "its ring is full: only an acknowledgement lets it go on"
        us = ep.accepted[0]
        mine = os.urandom(SIZE)
        us.send(mine)
        ep.run(lambda: us.count > SIZE // 2, 10)
        us.broke()
        finish(ep, us, them, mine)
        assert us.resumes >= 1  # a FIN may overtake its HALF_CLOSE here: then it is a break


def test_both_closes_are_told_by_handshakes_alone():
    """P69: neither side waits for 10 s; the first to close is the client, or both at once."""
    for key in (b"", KEY):
        with server("--generate", 1000, key=key) as them, endpoint(key) as ep:
            ep.is_deaf = True
            us = ep.connect(("127.0.0.1", them.port))
            ep.run(lambda us=us: us.has_all(1000), 5, "their bytes")
            us.close()
            total = done_of(ep, them)
            assert total["ok"], total
            ep.run(us.is_over, 2, "our end")
            assert us.end == "CLOSED" and us.resumes <= 3, (us.end, us.resumes)


def test_their_client_tells_by_handshakes_that_it_heard_our_close():
    with endpoint(listen=True) as ep, client(ep.port, "--generate", 1000) as them:
        ep.is_deaf = True
        ep.run(lambda: ep.accepted and ep.accepted[0].has_all(1000), 5, "their bytes")
        us = ep.accepted[0]
        us.close()
        ep.run(us.is_over, 5, "the end, confirmed by a handshake")
        assert us.end == "CLOSED" and done_of(ep, them)["ok"]


@nettest.only_with_all
def test_their_client_dials_again_and_goes_back_to_udp():
    """Its way breaks: another one. UDP returns: an echo from there, at a resume, makes it the way at once."""
    with endpoint(listen=True) as ep, \
            client(ep.port, "--generate", "1G", "--ring", "64k", "--rate", "1M") as them:
        ep.is_deaf = True
        ep.run(lambda: ep.ways, 5, "a CONTROL connection")
        first = ep.ways[0]
        us = ep.accepted[0]
        ep.run(lambda: us.validated is first, 5)
        first.socket.close()
        ep.ways.remove(first)
        us.forget(first)
        ep.run(lambda: ep.ways and us.validated is ep.ways[0], 6, "another CONTROL connection")
        ep.is_deaf = False
        us.broke()
        ep.run(lambda: isinstance(us.validated, tuple), 5, "datagrams again")
        way = ep.ways[0]
        ep.run(lambda: way not in ep.ways, 5, "the end of the CONTROL connection")
        assert us.resumes >= 1 and not them.all_of("done") and us.forged == 0


if __name__ == "__main__":
    nettest.main(globals())
