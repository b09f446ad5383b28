"""TCP connections that are destroyed under a stream, again and again, while it is busy (design 2.4; section 5)."""

import netlab
import nettest
import party

BREAKS = 100
SIZE = 96 << 20
RATE = 8 << 20


def has_another(who, mark):
    return who.wait("the next connection", 20, lambda e: e["event"] in ("done", "connection"), mark)


def hits(who):
    return (who.last("connection") or {}).get("breaks_resent", 0)


def break_until_enough(lab, server, client):
    """Destroys the connection at one side and the other in turn, each time that data moves on it."""
    count = 0
    while min(hits(server), hits(client)) < BREAKS:
        side, field = ((lab.hosts[0], "sport"), (lab.hosts[1], "dport"))[count % 2]
        marks = server.mark(), client.mark()
        if side.reset_connections(field, "=", f":{party.PORT}") > 0:
            count += 1
            for who, mark in zip((server, client), marks):
                has_another(who, mark)
        for who in (server, client):
            assert not who.last("done"), f"the stream ended after {count} breaks: pace it slower"
    return count


def test_100_breaks_hit_data_in_flight():
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        # The readers are slow, so that every buffer between is full when the connection is destroyed.
        words = ["--generate", SIZE, "--read-rate", RATE]
        server = party.serve(a, *words)
        client = party.send(b, a, *words)
        for who in (server, client):
            who.wait_received(1, 20)
        count = break_until_enough(lab, server, client)
        totals = server.finish(90), client.finish(90)
        party.check_same(*totals, SIZE)
        for total in totals:
            # Strict: bytes of this side were lost with the connection, and written again.
            assert total["breaks_resent"] >= BREAKS, total
            assert total["breaks_in_flight"] >= total["breaks_resent"] and total["repeated"] > 0
        print(f"    {count} connections destroyed, {totals[1]['connections']} used, longest pause "
              f"{max(t['gap_max_ms'] for t in totals):.0f} ms")
        for name, total in zip(("server", "client"), totals):
            print(f"    {name}: {total['breaks_in_flight']} with bytes unacknowledged, {total['breaks_resent']} after "
                  f"which bytes were written again, {total['repeated']} such bytes")


if __name__ == "__main__":
    nettest.main(globals())
