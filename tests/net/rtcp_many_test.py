"""Many sessions in one process: they heal together, cost little, and are quiet (design section 5).

Long: 10,000 sessions instead of 1,000, and the traffic of whole minutes.
"""

import os

import loadparty
import netlab
import nettest
import sockdiag

IS_LONG = os.environ.get("HOLDFAST_ALL") == "1"
HEAL_LIMIT = 2.0  # seconds from the heal until the last of 1000 sessions has received again
HEAL_WORK = 0.5  # ms of processor time that a session may cost one side between the heal and that
SESSION_LIMIT = 4 << 10  # bytes of user-space memory of an idle session: the goal
PROGRAM_OWN = 120  # of these are rtcp-load's, for its own record of a session


def load_average():
    return f"load {os.getloadavg()[0]:.1f}"


def pause(seconds, *loads):
    """Lets time pass while the processes run; one that ends fails the test."""
    end = netlab.now() + seconds
    for one in loads:
        assert one.process.poll() is None, one.said()
    netlab.wait_for(lambda: netlab.now() >= end, seconds + 5, "time to pass")


def both(lab, count, *words):
    a, b = lab.hosts
    server = loadparty.serve(a, *words)
    client = loadparty.drive(b, a, *words)
    start = netlab.now()
    client.open(count, 120)
    server.until("all sessions accepted", 30, lambda s: s["sessions"] == count)
    return server, client, netlab.now() - start


def exchange(server, client, size, seconds):
    """Every session carries so many bytes each way."""
    marks = [one.await_flow(size) for one in (server, client)]
    for one in (server, client):
        one.say(f"send {size}")
    for one, mark in zip((server, client), marks):
        one.flowing(mark, seconds)


def close_all(server, client, count):
    """A thousand at a time: a server remembers 4096 closed sessions, for those that did not hear of it yet."""
    marks = server.mark(), client.mark()
    start = netlab.now()
    for left in range(count - 1000, 0, -1000):
        client.say("close 1000")
        client.until("a thousand to be closed", 60, lambda s, left=left: s["sessions"] <= left)
    client.say("close")
    for one, mark in zip((server, client), marks):
        done = one.wait("all closed", 60, lambda e: e["event"] == "all_closed", mark)
        assert done["well"] == count and done["ill"] == 0, done
    if count > 1:
        print(f"    {count} closed in {netlab.now() - start:.2f} s")


def heal_together(kind, seconds, count, limit, udp_is_blocked=False):
    with netlab.open_lab(hosts=2) as lab:
        if udp_is_blocked:
            lab.cut(lab.hosts[0], "udp")
        server, client, _ = both(lab, count, "--ring", 65536)
        exchange(server, client, 1000, 30)
        lab.cut(lab.hosts[1], kind)
        marks = [one.await_flow(1000) for one in (server, client)]
        for one in (server, client):
            one.say("send 1000")
        pause(seconds, server, client)
        idle = [one.processor_seconds() for one in (server, client)]
        healed = lab.heal(lab.hosts[1])
        told = [one.flowing(mark, 60) for one, mark in zip((server, client), marks)]
        work = [one.processor_seconds() - early for one, early in zip((server, client), idle)]
        last = [e["at_ns"] / 1e9 - healed for e in told]
        half = [e["half_ns"] / 1e9 - healed for e in told]
        first = [e["first_ns"] / 1e9 - healed for e in told]
        stats = server.stats()
        print(f"    {count} sessions, {kind} {seconds} s: first {first[0]:.3f} / {first[1]:.3f}, half {half[0]:.3f} / "
              f"{half[1]:.3f}, all {last[0]:.3f} / {last[1]:.3f} s after the heal (to the server / to the client); "
              f"processor time {work[0]:.2f} / {work[1]:.2f} s; "
              f"{stats['resumes']} resumes, {stats['dropped']} handshakes dropped; {load_average()}")
        close_all(server, client, count)
        for one in (client, server):
            one.quit()
        assert max(last) <= limit, f"all flowed after {max(last):.3f} s, the limit is {limit} s"
        assert max(work) <= max(0.5, count * HEAL_WORK / 1000), "the work grows faster than the number of sessions"


def test_1000_sessions_heal_together_after_dropped_packets():
    heal_together("drop", 5, 1000, HEAL_LIMIT)


@nettest.only_with_all
def test_1000_sessions_heal_together_after_a_lost_link():
    heal_together("link", 5, 1000, HEAL_LIMIT)


@nettest.only_with_all
def test_1000_sessions_heal_together_after_30_s():
    heal_together("drop", 30, 1000, HEAL_LIMIT)


@nettest.only_with_all
def test_1000_sessions_heal_together_after_resets():
    heal_together("rst", 5, 1000, 2.5)


@nettest.only_with_all
def test_1000_sessions_heal_together_without_udp():
    """The control messages of all of them share one CONTROL connection."""
    heal_together("drop", 5, 1000, 2.5, udp_is_blocked=True)


@nettest.only_with_all
def test_10000_sessions_heal_together():
    """Ten times as many cost ten times as much: nothing looks through all sessions for each of them."""
    heal_together("drop", 5, 10000, 5.0)


def cost(count):
    """Resident memory of a session that is connected and idle, both roles; threads; all of them close in order."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = loadparty.serve(a)
        client = loadparty.drive(b, a)
        client.open(100)
        exchange(server, client, 64, 20)  # pools and caches are there
        before = [one.resident_kib() for one in (server, client)]
        start = netlab.now()
        client.open(count, 300)
        server.until("all sessions accepted", 60, lambda s: s["sessions"] == count + 100)
        opened = netlab.now() - start
        idle = [one.resident_kib() for one in (server, client)]
        exchange(server, client, 64, 60)
        used = [one.resident_kib() for one in (server, client)]
        pause(2.5, server, client)  # a ring that was emptied is given back after a second
        for one in (server, client):
            one.ask("trim", "trimmed")
        rested = [one.resident_kib() for one in (server, client)]
        each = [(after - early) * 1024 / count - PROGRAM_OWN for after, early in zip(idle, before)]
        print(f"    {count} sessions opened in {opened:.1f} s; idle {each[0]:.0f} B (server), {each[1]:.0f} B (client)"
              f" each, after 64 B each way {(used[0] - before[0]) * 1024 / count:.0f} and "
              f"{(used[1] - before[1]) * 1024 / count:.0f} B, rested {(rested[0] - before[0]) * 1024 / count:.0f} and "
              f"{(rested[1] - before[1]) * 1024 / count:.0f} B; {server.threads()} and {client.threads()} threads; "
              f"{load_average()}")
        assert max(server.threads(), client.threads()) <= 3
        close_all(server, client, count + 100)
        for one in (client, server):
            one.quit()
        assert max(each) <= SESSION_LIMIT


def test_an_idle_session_costs_little():
    cost(10000 if IS_LONG else 1000)


def test_control_messages_of_many_sessions_share_datagrams():
    """A thousand sessions that ask at the same time do not overrun the port of their peer, each with a datagram."""
    count = 1000
    with netlab.open_lab(hosts=2) as lab:
        server, client, _ = both(lab, count)
        before = [one.stats()["datagrams_sent"] for one in (server, client)]
        start = netlab.now()
        exchange(server, client, 64, 20)
        for one in (server, client):
            one.until("everything to be acknowledged", 20, lambda s: s["unacknowledged"] == 0)
        seconds = netlab.now() - start
        sent = [one.stats()["datagrams_sent"] - early for one, early in zip((server, client), before)]
        print(f"    {count} sessions, 64 B each way acknowledged in {seconds:.2f} s by {sent[0]} + {sent[1]} datagrams"
              f"; {load_average()}")
        assert max(sent) <= count, "several messages to one address share a datagram"
        close_all(server, client, count)


def await_acknowledged(*loads):
    for one in loads:
        one.until("everything to be acknowledged", 20, lambda s: s["unacknowledged"] == 0)


def let_go(server, client, count):
    """All sessions let their connections go; returns the seconds that it took."""
    start = netlab.now()
    client.say("passivate")
    for one in (client, server):
        one.until("all to be passive", 30, lambda s: s["passive"] == count)
    return netlab.now() - start


def test_passive_sessions_have_no_connection_and_come_back_when_used():
    """The paper's passivation: the kernel holds nothing, a route stays, and bytes of either side bring it back."""
    count, seconds = (10000, 60) if IS_LONG else (300, 3)
    with netlab.open_lab(hosts=2) as lab:
        server, client, _ = both(lab, count)
        exchange(server, client, 64, 60)
        await_acknowledged(server, client)
        took = let_go(server, client, count)
        diag = sockdiag.Destroyer(lab.hosts[0])
        left = len(list(diag.ids(loadparty.party.PORT)))
        before = [one.stats() for one in (server, client)]
        pause(seconds, server, client)
        sent = [one.stats()["datagrams_sent"] - early["datagrams_sent"]
                for one, early in zip((server, client), before)]
        woken = []
        for one, other in ((client, server), (server, client)):
            mark = other.await_flow(64)
            start = netlab.now()
            one.say("send 64")
            woken.append(other.flowing(mark, 60)["at_ns"] / 1e9 - start)
            await_acknowledged(server, client)
            let_go(server, client, count)
        print(f"    {count} sessions passive after {took:.2f} s, {left} connections left; {sent[0]} + {sent[1]} "
              f"datagrams in {seconds} s; all had bytes {woken[0]:.2f} s after the client sent, {woken[1]:.2f} s "
              f"after the server; {load_average()}")
        assert left == 0 and sum(sent) <= 2 * count * (seconds // 25 + 1)
        assert max(woken) <= HEAL_LIMIT * max(1, count / 1000)
        close_all(server, client, count)


def frames(host):
    """Frames sent and received on the wire by a host, all protocols."""
    words = next(line.split() for line in host.run(["cat", "/proc/net/dev"]).splitlines() if "eth0:" in line)
    return int(words[2]), int(words[10])


def test_a_stream_needs_few_datagrams():
    """Control messages per MiB that is streamed one way, and both ways."""
    size = (1 << 30) if IS_LONG else (256 << 20)
    with netlab.open_lab(hosts=2) as lab:
        server, client, _ = both(lab, 1)
        for what, senders in (("one way", [client]), ("both ways", [server, client])):
            before = [one.stats() for one in (server, client)]
            marks = [(one, one.await_flow(size)) for one in (server, client)
                     if (client if one is server else server) in senders]
            start = netlab.now()
            for one in senders:
                one.say(f"send {size}")
            for one, mark in marks:
                one.flowing(mark, 120)
            seconds = netlab.now() - start
            after = [one.stats() for one in (server, client)]
            sent = sum(x["datagrams_sent"] - y["datagrams_sent"] for x, y in zip(after, before))
            each = sent / (len(senders) * size / (1 << 20))
            print(f"    {what}: {each:.2f} datagrams per MiB, {len(senders) * size / seconds / 1e6:.0f} MB/s; "
                  f"{load_average()}")
            assert each <= 8.5, "an ack each quarter ring of 1 MiB is 4 per MiB; a question now and then"
        close_all(server, client, 1)


def test_an_idle_session_is_quiet():
    """No TCP segment at all, and a probe and its reply each 15 s (here: less, so that the test is short)."""
    seconds, every = (60, 15) if IS_LONG else (4, 1)
    with netlab.open_lab(hosts=2) as lab:
        server, client, _ = both(lab, 1, "--idle-probe", every)
        exchange(server, client, 1000, 10)
        pause(1.5, server, client)
        before, wire = [one.stats() for one in (server, client)], frames(lab.hosts[0])
        pause(seconds, server, client)
        after, wire_after = [one.stats() for one in (server, client)], frames(lab.hosts[0])
        sent = [x["datagrams_sent"] - y["datagrams_sent"] for x, y in zip(after, before)]
        print(f"    idle for {seconds} s, a probe each {every} s: {sent[0]} datagrams from the server, {sent[1]} "
              f"from the client; {sum(wire_after) - sum(wire)} frames in all")
        assert sum(sent) <= 4 * (seconds // every + 1), "each side asks once a period and answers once"
        assert after[1]["connections"] == 1
        close_all(server, client, 1)


if __name__ == "__main__":
    nettest.main(globals())
