"""Where control messages and connections go: UDP that is blocked, addresses that change, links that come back.

Properties: C1 (every byte once and in order), C2; design 2.4 (hints), 2.5 (CONTROL connections), section 5 (data flows
again with UDP blocked <= 2.5 s); P45, P69, P74.
"""

import re

import netlab
import nettest
import party

SIZE = 64 << 20
RATE = 16 << 20


def run(lab, action, server_words=(), size=SIZE, rate=RATE):
    """Both sides send; action(server, client) happens in mid-stream. Their totals."""
    a, b = lab.hosts[:2]
    words = ["--generate", size, "--rate", rate]
    server = party.serve(a, *words, *server_words)
    client = party.send(b, a, *words)
    for who in (server, client):
        who.wait_received(size // 16, 20)
    action(server, client)
    totals = server.finish(60), client.finish(60)
    party.check_same(*totals, size)
    return totals


def longest_pause(totals):
    return max(total["gap_max_ms"] for total in totals) / 1000


def test_udp_blocked_costs_less_than_a_second():
    """In both directions and in each alone, in mid-stream: a CONTROL connection takes over, none is replaced."""
    for rule in ("", "iifname p2 meta l4proto udp drop", "oifname p2 meta l4proto udp drop"):
        with netlab.open_lab(hosts=2) as lab:
            def block(_server, _client, lab=lab, rule=rule):
                if rule:
                    lab._nft(f"add rule bridge lab s2 {rule}\n")
                else:
                    lab.cut(lab.hosts[1], "udp")
            totals = run(lab, block)
            print(f"    {rule or 'both directions'}: longest pause {longest_pause(totals):.2f} s, "
                  f"{totals[1]['connections']} connections")
            assert longest_pause(totals) < 1.5 and totals[1]["connections"] == 1, totals


def test_a_short_stream_without_udp_ends_at_once():
    """Opening, answer and close: none of them waits for datagrams that never come."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        lab.cut(b, "udp")
        server = party.serve(a, "--generate", 1000, "--keep")
        start = netlab.now()
        client = party.send(b, a, "--generate", 1000)
        client.done(10)
        took = netlab.now() - start
        print(f"    1000 bytes each way and the close: {took:.2f} s")
        assert took < 2, took
        server.stop()


def test_data_flow_again_after_a_cut_with_udp_blocked():
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts

        def cut(server, client):
            lab.cut(b, "udp")
            client.wait_received(client.events[-1].get("received", 0) + (1 << 20), 20)
            lab.cut(a, "drop")
            before = netlab.now()
            netlab.wait_for(lambda: netlab.now() > before + 5, 10, "five seconds")
            marks = server.mark(), client.mark()
            healed = lab.heal(a)
            for who, mark in zip((server, client), marks):
                up = who.wait("bytes", 20, lambda e: e["event"] == "data", mark)["at_ns"] / 1e9 - healed
                print(f"    {who.name}: bytes {up:.2f} s after the heal")
                assert up < 2.5, up

        run(lab, cut)


def test_udp_that_comes_back_is_used_again():
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts

        def block(_server, client):
            lab.cut(b, "udp")
            mark = client.mark()
            client.wait("more bytes", 20, lambda e: e.get("received", 0) > 24 << 20, mark)
            lab.heal(b)
            b.reset_connections("dport", "=", f":{party.PORT}")

        totals = run(lab, block)
        assert totals[1]["connections"] == 2, totals


def test_a_nat_that_changes_its_mind():
    """The client's datagrams come from another port in mid-stream: the server follows once an echo came from there."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts

        def rebind(_server, _client):
            sockets = b.run(["ss", "-Hun", "-a"])
            own = int(re.search(r":(\d+)\s", sockets.split(None, 3)[3] + " ").group(1))
            for port in (41000, 42000):
                lab._nft("add table ip nat\ndelete table ip nat\nadd table ip nat\n"
                         "add chain ip nat out { type filter hook postrouting priority 0; }\n"
                         "add chain ip nat in { type filter hook prerouting priority -300; }\n"
                         f"add rule ip nat out udp sport {own} udp sport set {port}\n"
                         f"add rule ip nat in udp dport {port} udp dport set {own}\n", b.namespace)
                b.reset_connections("dport", "=", f":{party.PORT}")

        totals = run(lab, rebind)
        assert longest_pause(totals) < 1.5, totals


def test_a_client_that_roams():
    """Its address goes and another comes: TCP from the new one, datagrams from there, too."""
    with netlab.open_lab(hosts=2) as lab:
        b = lab.hosts[1]
        times = {}

        def roam(server, client):
            b.run(["ip", "address", "del", f"{b.address}/24", "dev", "eth0"])
            times["gone"] = netlab.now()
            netlab.wait_for(lambda: netlab.now() > times["gone"] + 2, 5, "two seconds without an address")
            start = netlab.now()
            marks = server.mark(), client.mark()
            b.run(["ip", "address", "add", "10.99.0.77/24", "dev", "eth0"])
            for who, mark in zip((server, client), marks):
                up = who.wait("bytes", 20, lambda e: e["event"] == "data", mark)["at_ns"] / 1e9 - start
                print(f"    {who.name}: bytes {up:.2f} s after the new address")
                assert up < 1.5, up

        run(lab, roam)


def test_the_first_of_two_addresses_is_dead():
    """A quarter of a second, not the two seconds of an attempt; and the resume begins with the one that worked."""
    with netlab.open_lab(hosts=3) as lab:
        a, b, c = lab.hosts
        lab.cut(c, "drop")
        server = party.serve(a, "--generate", "1M")
        start = netlab.now()
        client = party.Party(b, ["send", f"{c.address}:{party.PORT},{a.address}:{party.PORT}", "--watch",
                                 "--generate", "1M"])
        client.wait_kind("link", 5, up=True)
        up = client.last("link")["at_ns"] / 1e9 - start
        party.check_same(server.finish(20), client.finish(20), 1 << 20)
        print(f"    connected {up:.2f} s after the start")
        assert up < 1.5, up


def test_a_link_that_comes_up_is_a_hint():
    """Opening while the interface is down: the back-off has grown, the news of the kernel ends it."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a, "--generate", "1M")
        b.run(["ip", "link", "set", "eth0", "down"])
        client = party.send(b, a, "--generate", "1M")
        start = netlab.now()
        netlab.wait_for(lambda: netlab.now() > start + 4, 10, "four seconds")
        assert client.last("link") is None
        up_at = netlab.now()
        b.run(["ip", "link", "set", "eth0", "up"])
        client.wait_kind("link", 5, up=True)
        up = client.last("link")["at_ns"] / 1e9 - up_at
        party.check_same(server.finish(20), client.finish(20), 1 << 20)
        print(f"    opened {up:.2f} s after the interface came up")
        assert up < 1.3, up


if __name__ == "__main__":
    nettest.main(globals())
