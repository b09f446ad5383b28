"""Processes that die, restart, stop, or are replaced by others (design 2.3: what ends a stream, and what does not)."""

import os
import signal
import socket
import tempfile

import netlab
import nettest
import party
import sockdiag

BUSY_LIMIT = 2.0   # seconds from reachability to the end of a stream whose peer is gone, with data waiting
IDLE_PROBE = 3
IDLE_LIMIT = IDLE_PROBE + 2.0  # ... without


def stays(who, seconds):
    """The stream of `who` is not over for so long."""
    end = netlab.now() + seconds
    while netlab.now() < end:
        who.wait("a sign of life", 10, lambda e: e["event"] == "progress", who.mark())
    assert not who.all_of("done"), f"{who.name} ended: {who.last('done')}"


def ended_gone(client, limit, reachable):
    done = client.done(limit + 20)
    late = done["at_ns"] / 1e9 - reachable
    assert done["status"] == "PEER_GONE", done
    print(f"    told {late:.3f} s after the new server was reachable")
    assert late <= limit, f"told after {late:.2f} s, the limit is {limit} s"
    assert client.finish(5, code=1)["ok"] is False


def test_server_killed_and_restarted_while_busy():
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a, "--keep")
        client = party.send(b, a, "--generate", "1G", "--rate", "4M")
        server.wait_received(1 << 20, 20)
        server.kill()
        client.wait_kind("link", 5, up=False)
        stays(client, 2)
        again = party.serve(a, "--keep")
        ended_gone(client, BUSY_LIMIT, again.last("listening")["at_ns"] / 1e9)
        again.stop()


def kill_unheard(lab, server):
    """Kills a server so that neither FIN nor RST ever reaches its peers: a host that lost power."""
    host = server.host
    lab.cut(host, "drop")
    server.kill()
    netlab.wait_for(lambda: not host.run(["ss", "-Htn", "state", "connected", "sport", "=", f":{party.PORT}"]).strip()
                    or host.reset_connections("sport", "=", f":{party.PORT}") < 0, 5, "the kernel to forget it")


def test_server_killed_and_restarted_behind_a_cut_while_busy():
    """The first that the client hears is another incarnation."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a, "--keep")
        client = party.send(b, a, "--generate", "1G", "--rate", "4M")
        server.wait_received(1 << 20, 20)
        kill_unheard(lab, server)
        again = party.serve(a, "--keep")
        stays(client, 3)
        ended_gone(client, BUSY_LIMIT, lab.heal(a))
        again.stop()


def test_server_killed_and_restarted_behind_a_cut_while_idle():
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a, "--keep", "--hold")
        client = party.send(b, a, "--generate", 1000, "--hold", "--idle-probe", IDLE_PROBE)
        server.wait_received(1000, 20)
        client.wait("everything acknowledged", 5, lambda e: e["event"] == "progress" and e["unacknowledged"] == 0
                    and e["up"])
        kill_unheard(lab, server)
        again = party.serve(a, "--keep", "--hold")
        ended_gone(client, IDLE_LIMIT, lab.heal(a))
        again.stop()


def test_server_killed_and_restarted_while_idle():
    """The client sees the end of the connection at once, and looks again."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a, "--keep", "--hold")
        client = party.send(b, a, "--generate", 1000, "--hold", "--idle-probe", IDLE_PROBE)
        server.wait_received(1000, 20)
        client.wait("everything acknowledged", 5, lambda e: e["event"] == "progress" and e["unacknowledged"] == 0
                    and e["up"])
        server.kill()
        client.wait_kind("link", 5, up=False)
        stays(client, 2)
        again = party.serve(a, "--keep", "--hold")
        ended_gone(client, IDLE_LIMIT, again.last("listening")["at_ns"] / 1e9)
        again.stop()


def test_server_killed_for_good_never_ends_the_stream():
    """A port where nobody listens proves nothing (a restart may come): evidence, attempts, no end."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a, "--keep")
        client = party.send(b, a, "--generate", "1G", "--rate", "4M")
        server.wait_received(1 << 20, 20)
        server.kill()
        client.wait_kind("evidence", 5, kind="REFUSED")
        stays(client, 2.5)


def test_client_killed_leaves_the_server_at_work():
    with netlab.open_lab(hosts=3) as lab:
        a, b, c = lab.hosts
        server = party.serve(a, "--keep", "--generate", "8M")
        client = party.send(b, a, "--generate", "1G", "--rate", "4M")
        server.wait_received(1 << 20, 20)
        client.kill()
        server.wait_kind("link", 5, up=False)
        other = party.send(c, a, "--generate", "8M")
        total = other.finish(30)
        party.check_same(total, server.done(5), 8 << 20)
        mark = server.mark()
        again = party.send(b, a, "--generate", "8M")
        assert again.finish(30)["ok"]
        server.wait("the end of the third stream", 20, lambda e: e["event"] == "done", mark)
        assert len(server.all_of("done")) == 2, "the killed client's stream is kept: nothing proves that it is gone"
        server.stop()


def stopped(stop_server):
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        size = 16 << 20
        words = ["--generate", size, "--rate", "8M"]
        server = party.serve(a, *words)
        client = party.send(b, a, *words)
        sleeper, other = (server, client) if stop_server else (client, server)
        other.wait_received(1 << 20, 20)
        os.kill(sleeper.process.pid, signal.SIGSTOP)
        stays(other, 3)
        os.kill(sleeper.process.pid, signal.SIGCONT)
        totals = server.finish(60), client.finish(60)
        party.check_same(*totals, size)
        print(f"    stopped for 3 s: {totals[1]['connections']} connections, "
              f"{totals[0]['repeated'] + totals[1]['repeated']} bytes written again")


def test_server_stopped_and_continued():
    stopped(stop_server=True)


def test_client_stopped_and_continued():
    stopped(stop_server=False)


def test_another_service_on_the_port_is_not_an_end():
    """Another name answers: a moved address, a load balancer. The stream waits for its own."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a, "--keep", "--service", "ours")
        client = party.send(b, a, "--generate", "1G", "--rate", "4M", "--service", "ours")
        server.wait_received(1 << 20, 20)
        server.kill()
        other = party.serve(a, "--keep", "--service", "theirs")
        client.wait_kind("evidence", 5, kind="WRONG_PEER")
        stays(client, 2.5)
        assert not other.all_of("accepted"), "the other service must not get our stream"
        other.stop()
        again = party.serve(a, "--keep", "--service", "ours")
        ended_gone(client, BUSY_LIMIT + 1, again.last("listening")["at_ns"] / 1e9)
        again.stop()


def test_a_service_of_another_kind_on_the_port_is_not_an_end():
    """Something that does not speak the protocol answers with text and closes."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a, "--keep")
        client = party.send(b, a, "--generate", "1G", "--rate", "4M")
        server.wait_received(1 << 20, 20)
        server.kill()
        with a.socket() as stranger:
            stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            stranger.bind((a.address, party.PORT))
            stranger.listen(16)
            stranger.settimeout(10)
            for _ in range(3):
                connection, _ = stranger.accept()
                with connection:
                    connection.settimeout(2)
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            assert not client.all_of("done")
        again = party.serve(a, "--keep")
        ended_gone(client, BUSY_LIMIT + 1, again.last("listening")["at_ns"] / 1e9)
        again.stop()


OTHER_PORT = 7001


def key_file(byte):
    file = tempfile.NamedTemporaryFile()
    file.write(bytes([byte]) * 32)
    file.flush()
    return file


def redirect(host, protocols):
    """From now on new connections (and datagrams) to the port reach another one of this host: a moved address."""
    host.run(["nft", "add table ip moved"])
    host.run(["nft", "add chain ip moved before { type nat hook prerouting priority dstnat; }"])
    host.run(["nft", f"add rule ip moved before meta l4proto {protocols} th dport {party.PORT} "
                     f"redirect to :{OTHER_PORT}"])


def behind_the_address(protocols, ours=(), theirs=()):
    """A second live server takes the address over for a while; it must not get, nor end, the stream."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        size = 10 << 20
        server = party.serve(a, "--generate", size, "--rate", "4M", *ours)
        other = party.serve(a, "--keep", *theirs, port=OTHER_PORT)
        client = party.send(b, a, "--generate", size, "--rate", "4M", *ours)
        server.wait_received(1 << 20, 20)
        redirect(a, protocols)
        sockdiag.Destroyer(b).destroy(party.PORT)
        client.wait_kind("evidence", 10, kind="WRONG_PEER")
        stays(client, 2.5)
        assert not other.all_of("accepted"), "the other server must not get our stream"
        a.run(["nft", "delete table ip moved"])
        totals = server.finish(30), client.finish(30)
        party.check_same(*totals, size)
        other.stop()


@nettest.only_with_all
def test_a_second_live_server_behind_the_address():
    """Another name answers: evidence. The stream goes on with its own server when the address leads there again."""
    behind_the_address("tcp")


def test_a_second_live_server_behind_the_address_and_the_control_port():
    behind_the_address("{ tcp, udp }")


def test_a_second_live_server_with_another_key_behind_the_address():
    """The same name, but it cannot prove that it is the service: no verdict of it counts."""
    with key_file(1) as one, key_file(2) as two:
        behind_the_address("tcp", ["--key-file", one.name], ["--key-file", two.name])


def test_a_second_live_server_of_the_same_name_is_a_new_life_of_the_service():
    """Who has the name and is another incarnation proves that the former one is no longer the service: PEER_GONE."""
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        server = party.serve(a, "--keep", "--service", "ours")
        other = party.serve(a, "--keep", "--service", "ours", port=OTHER_PORT)
        client = party.send(b, a, "--generate", "1G", "--rate", "4M", "--service", "ours")
        server.wait_received(1 << 20, 20)
        redirect(a, "tcp")
        start = netlab.now()
        sockdiag.Destroyer(b).destroy(party.PORT)
        ended_gone(client, BUSY_LIMIT, start)
        assert not other.all_of("accepted")
        server.stop()
        other.stop()


def test_nobody_at_the_first_attempt_is_an_error_unless_asked():
    with netlab.open_lab(hosts=2) as lab:
        a, b = lab.hosts
        client = party.send(b, a, "--generate", "1M")
        assert client.finish(5, code=1)["status"] == "REFUSED"
        patient = party.send(b, a, "--generate", "1M", "--retry")
        patient.wait_kind("evidence", 5, kind="REFUSED")
        stays(patient, 1)
        server = party.serve(a, "--generate", "1M")
        party.check_same(server.finish(20), patient.finish(20), 1 << 20)


def test_only_holders_of_the_key_are_served():
    with netlab.open_lab(hosts=2) as lab, key_file(1) as ours, key_file(2) as theirs:
        a, b = lab.hosts
        server = party.serve(a, "--generate", "8M", "--key-file", ours.name)
        for words in (["--key-file", theirs.name], []):
            stranger = party.send(b, a, "--generate", "1M", *words)
            assert stranger.finish(10, code=1)["status"] == "REFUSED"
        assert not server.all_of("accepted")
        client = party.send(b, a, "--generate", "8M", "--rate", "8M", "--key-file", ours.name)
        client.wait_received(1 << 20, 10)
        assert b.reset_connections("dport", "=", f":{party.PORT}") == 1
        totals = server.finish(20), client.finish(20)
        party.check_same(*totals, 8 << 20)
        assert totals[1]["connections"] == 2


if __name__ == "__main__":
    nettest.main(globals())
