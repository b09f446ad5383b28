"""Full rings: both directions stuck, broken, closed and healed (design 2.1: back-pressure, never loss)."""

import loadparty
import netlab
import nettest
import party
import sockdiag

RING = 65536
KERNEL = 64 << 20  # more than two kernels and both rings hold
EIGHT = 8 << 20


def pair(lab, *words):
    a, b = lab.hosts
    server = loadparty.serve(a, *words)
    client = loadparty.drive(b, a, *words)
    client.open(1)
    server.until("the session", 10, lambda s: s["sessions"] == 1)
    return server, client


def fill(parties, size=KERNEL):
    """Nobody reads and both send until nothing fits anywhere."""
    for one in parties:
        one.say("read 0")
        one.say(f"send {size}")
    for one in parties:
        one.until("a full ring", 20, lambda s: s["blocked_send_least"] > 3e8)


def empty(parties, size=KERNEL, seconds=60):
    """Both read, and everything that was sent arrives."""
    for one in parties:
        one.say("read 1")
    for one in parties:
        one.until("every byte", seconds, lambda s: s["received_least"] == size)


def end(parties):
    marks = [one.mark() for one in parties]
    parties[1].say("close")
    for one, mark in zip(parties, marks):
        done = one.wait("the end", 20, lambda e: e["event"] == "all_closed", mark)
        assert done["well"] == 1 and done["ill"] == 0, done
        one.quit()


def hold(parties, seconds):
    """Lets time pass: nobody may give up."""
    end_at = netlab.now() + seconds
    netlab.wait_for(lambda: netlab.now() >= end_at, seconds + 5, "time to pass")
    for one in parties:
        stats = one.stats()
        assert stats["sessions"] == 1 and stats["ill"] == 0, stats


def test_both_rings_full_and_broken():
    """The connection is destroyed while nothing can move: what was lost with it is written again."""
    with netlab.open_lab(hosts=2) as lab:
        parties = pair(lab, "--ring", EIGHT)  # more than the reader's kernel takes: some is still in the sender's
        destroyers = [sockdiag.Destroyer(host) for host in lab.hosts]
        for turn in range(1, 5):
            fill(parties)
            assert destroyers[turn % 2].destroy(party.PORT) == 1
            empty(parties, turn * KERNEL)
        stats = [one.stats() for one in parties]
        print(f"    {[s['repeated'] for s in stats]} bytes written again")
        assert all(s["connections"] == 5 for s in stats) and sum(s["repeated"] for s in stats) > 0, stats
        end(parties)


def test_both_rings_full_over_a_cut():
    with netlab.open_lab(hosts=2) as lab:
        parties = pair(lab, "--ring", RING)
        fill(parties)
        lab.cut(lab.hosts[1], "drop")
        hold(parties, 2.5)  # a full ring and silence: the connection is to be replaced after 2 s
        lab.heal(lab.hosts[1])
        empty(parties)
        end(parties)


def test_both_sides_write_8_mib_before_they_read():
    """Where plain TCP swallows 4 MB, a small ring would stop both for ever if each waited for the other to read.

    A ring of fixed size says so (back-pressure, no error); one that grows takes everything."""
    with netlab.open_lab(hosts=2) as lab:
        parties = pair(lab)
        for one in parties:
            one.say("read 0")
            one.say(f"send {EIGHT}")

        def is_stuck_or_done(s):
            return s["sent"] == EIGHT or s["blocked_send_least"] > 1e9

        taken = [one.until("the bytes to be taken", 20, is_stuck_or_done)["sent"] for one in parties]
        print(f"    {taken} of {EIGHT} bytes were taken before anybody read")
        assert min(taken) >= 1 << 20
        if rings_grow():
            assert min(taken) == EIGHT, "a ring grows while the kernel would still take bytes"
        empty(parties, EIGHT)
        end(parties)


def rings_grow():
    """Whether the build has rings that grow: the option stands in the public header."""
    return "ring_max" in (nettest.ROOT / "rtcp" / "rtcp.h").read_text()


def test_a_full_ring_closed_while_the_link_is_down():
    """The application gives up a full ring during a cut; the library delivers it afterwards, to the last byte."""
    with netlab.open_lab(hosts=2) as lab:
        server, client = pair(lab, "--ring", RING)
        server.say("read 0")
        client.say(f"send {KERNEL}")
        stats = client.until("a full ring", 20, lambda s: s["blocked_send_least"] > 3e8)
        assert 0 < stats["sent"] < KERNEL and stats["unacknowledged"] == RING
        lab.cut(lab.hosts[1], "drop")
        client.say("close")  # what was taken is delivered; what was not, is not sent
        hold([client], 2.5)
        lab.heal(lab.hosts[1])
        server.say("read 1")
        for one in (server, client):
            done = one.wait("the end", 20, lambda e: e["event"] == "all_closed")
            assert done["well"] == 1 and done["ill"] == 0, done
        assert server.last("all_closed")["received"] == stats["sent"]
        for one in (server, client):
            one.quit()


if __name__ == "__main__":
    nettest.main(globals())
