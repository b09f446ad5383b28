"""TCP connections that are destroyed under a stream, every few milliseconds, while it is busy (design 2.4; section 5).

Long: 500 breaks that hit data, instead of 100; and more than 4 GiB one way, with breaks on both sides of the place
where the counts on the wire wrap.
"""

import os
import resource

import loadparty
import netlab
import nettest
import party
import sockdiag

IS_LONG = os.environ.get("HOLDFAST_ALL") == "1"
BREAKS = 500 if IS_LONG else 100
EVERY = 0.007  # seconds between two breaks
SIZE = (192 if IS_LONG else 28) << 20
RATE = 8 << 20
WRAP = 1 << 32


def hits(who):
    return (who.last("progress") or {}).get("breaks_resent", 0)


def received(who):
    return (who.last("progress") or {}).get("received", 0)


def both(lab, *words):
    a, b = lab.hosts
    server = party.serve(a, *words)
    client = party.send(b, a, *words)
    for who in (server, client):
        who.wait_received(1, 20)
    return server, client


def break_until(destroyers, is_enough, is_over):
    """Destroys the connection at one side and the other in turn, each EVERY seconds; how often it was there."""
    count, turn, due = 0, 0, netlab.now()
    while not is_enough():
        assert not is_over(), f"the stream ended after {count} breaks: pace it slower"
        netlab.wait_for(lambda: netlab.now() >= due, 5, "time to pass")
        due = netlab.now() + EVERY
        count += destroyers[turn % 2].destroy(party.PORT)
        turn += 1
    return count, turn


def test_breaks_every_7_ms_hit_data_in_flight():
    with netlab.open_lab(hosts=2) as lab:
        # The readers are slow, so that every buffer between is full when the connection is destroyed.
        server, client = both(lab, "--generate", SIZE, "--read-rate", RATE)
        destroyers = [sockdiag.Destroyer(host) for host in lab.hosts]
        start = netlab.now()
        count, turns = break_until(destroyers, lambda: min(hits(server), hits(client)) >= BREAKS,
                                   lambda: server.last("done") or client.last("done"))
        seconds = netlab.now() - start
        totals = server.finish(90), client.finish(90)
        party.check_same(*totals, SIZE)
        for total in totals:
            # Strict: bytes of this side were lost with the connection, and written again.
            assert total["breaks_resent"] >= BREAKS, total
            assert total["breaks_in_flight"] >= total["breaks_resent"] and total["repeated"] > 0
        print(f"    {count} connections destroyed in {turns} tries, {seconds:.1f} s; {totals[1]['connections']} used, "
              f"longest pause {max(t['gap_max_ms'] for t in totals):.0f} ms; load {os.getloadavg()[0]:.1f}")
        for name, total in zip(("server", "client"), totals):
            print(f"    {name}: {total['breaks_in_flight']} with bytes unacknowledged, {total['breaks_resent']} after "
                  f"which bytes were written again, {total['repeated']} such bytes")


def pages(lab, words, size):
    """Both directions carry `size` bytes over breaks every 7 ms; each byte is checked where it is read."""
    a, b = lab.hosts
    server = loadparty.serve(a, *words)
    client = loadparty.drive(b, a, *words)
    client.open(1)
    server.until("the session", 10, lambda s: s["sessions"] == 1)
    marks = [one.await_flow(size) for one in (server, client)]
    destroyers = [sockdiag.Destroyer(host) for host in lab.hosts]
    for one in (server, client):
        one.say(f"send {size}")
    count, _ = break_until(destroyers, lambda: all(one.all_of("flowing") for one in (server, client)), lambda: False)
    for one, mark in zip((server, client), marks):
        one.flowing(mark, 1)
    stats = [one.stats() for one in (server, client)]
    mark = client.mark()
    client.say("close")
    done = client.wait("the end", 20, lambda e: e["event"] == "all_closed", mark)
    assert done["well"] == 1 and all(s["received"] == size for s in stats), (done, stats)
    print(f"    {words}: {count} breaks, {[s['repeated'] for s in stats]} bytes written again")
    assert count >= 10 and all(s["repeated"] > 0 for s in stats)
    for one in (client, server):
        one.quit()


def test_breaks_while_pages_of_the_ring_are_in_the_kernel():
    """sendfile: what an old connection still refers to is never written over before it is acknowledged (2.7)."""
    with netlab.open_lab(hosts=2) as lab:
        pages(lab, ["--sendfile", "--ring", 1 << 20], (1024 if IS_LONG else 128) << 20)


def test_breaks_while_a_ring_grows():
    with netlab.open_lab(hosts=2) as lab:
        pages(lab, ["--sendfile", "--ring-max", 8 << 20], (1024 if IS_LONG else 128) << 20)


@nettest.only_with_all
def test_more_than_4_gib_with_breaks_around_the_wrap():
    """Counts are 64 bits in memory and 32 on the wire (P1)."""
    size = WRAP + (384 << 20)
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a)
        start = netlab.now()
        client = party.send(b, a, "--generate", size)
        destroyers = [sockdiag.Destroyer(host) for host in lab.hosts]
        breaks = {}
        for name, low, high in (("early", 0, 1 << 30), ("before the wrap", WRAP - (256 << 20), WRAP - (64 << 20)),
                                ("over the wrap", WRAP - (64 << 20), WRAP + (64 << 20)),
                                ("after the wrap", WRAP + (64 << 20), WRAP + (256 << 20))):
            server.wait_received(low + 1, 120)
            breaks[name], _ = break_until(
                destroyers, lambda: received(server) >= high, lambda: server.last("done"))
            assert breaks[name] > 0, f"no break {name}"
        totals = server.finish(120), client.finish(120)
        assert all(total["ok"] for total in totals), totals
        assert totals[1]["sent"] == totals[0]["received"] == size
        assert totals[1]["sha256_sent"] == totals[0]["sha256_received"]
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        print(f"    {size} bytes in {netlab.now() - start:.1f} s, {totals[1]['connections']} connections, breaks "
              f"{breaks}, {totals[1]['repeated']} bytes written again; load {os.getloadavg()[0]:.1f}; "
              f"{used.ru_utime:.0f} s of CPU")


if __name__ == "__main__":
    nettest.main(globals())
