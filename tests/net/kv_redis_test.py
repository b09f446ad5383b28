"""The unmodified redis-cli and redis-benchmark against any member of a group of three."""

import kvgroup
import netlab
import nettest

OPTIONS = ("-t", "set,get,incr,mset", "-n", "20000", "-c", "50", "-q")


def cli(member, *words):
    return member.host.run(["redis-cli", "-h", member.host.inner, "-p", kvgroup.REDIS_PORT, *words])


def benchmark(member, *words):
    out = member.host.run(["redis-benchmark", "-h", member.host.inner, "-p", kvgroup.REDIS_PORT, *OPTIONS, *words],
                          timeout=120).replace("\r", "\n")
    results = [line.strip() for line in out.splitlines() if "requests per second" in line]
    assert len(results) == 4, out
    assert "rror" not in out and "WARNING" not in out, out
    return [float(line.split(": ")[1].split()[0]) for line in results]


def test_redis_benchmark_ends_without_an_error_against_any_member():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        leader = group.wait_leader(group.members)
        for member in group.members:
            role = "leader" if member is leader else "follower"
            for words in ((), ("-P", "16")):
                speeds = benchmark(member, *words)
                print(f"    s{member.id} ({role}) {' '.join(words) or '-P 1':5} set get incr mset a second: "
                      + " ".join(f"{speed:.0f}" for speed in speeds))
        index, keys, _ = group.wait_equal(group.members, 5)
        assert int(index) > 300000, index
        group.stop()


def test_redis_cli_reads_and_writes_on_any_member():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        one, two, three = group.members
        assert cli(one, "SET", "k", "v") == "OK\n"
        assert cli(two, "GET", "k") == "v\n"
        assert cli(three, "INCR", "n") == "1\n"
        assert cli(one, "INCR", "n") == "2\n"
        assert "value is not an integer" in cli(two, "INCR", "k")
        assert cli(two, "--scan").split() in (["k", "n"], ["n", "k"])
        assert "redis_version:7" in cli(three, "INFO")
        assert "unsupported protocol" in cli(three, "-3", "GET", "k") or cli(three, "-3", "GET", "k")
        for member in group.members:
            assert "members:3" in cli(member, "HOLDFAST", "VIEW")
        group.stop()


def test_reads_on_any_member_see_what_was_acknowledged_on_another():
    """K4, K6: a write is acknowledged on one member, then read on the two others, at once."""
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        for n in range(300):
            writer = group.members[n % 3]
            assert writer.ask("SET", "k", str(n)) == b"OK"
            for reader in group.members:
                assert reader.ask("GET", "k") == str(n).encode()
        group.stop()


def test_mass_insertion_by_pipe():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        pipe = group.members[2].host.start(
            ["redis-cli", "-h", group.members[2].host.inner, "-p", kvgroup.REDIS_PORT, "--pipe"],
            stdin=-1, stdout=-1, stderr=-2)
        data = b"".join(kvgroup.demo_redis.command("SET", f"key:{n}", f"value {n}") for n in range(35000))
        out, _ = pipe.communicate(data, timeout=60)
        assert b"errors: 0, replies: 35000" in out, out
        _, keys, _ = group.wait_equal(group.members, 5)
        assert keys == "35000"
        group.stop()


if __name__ == "__main__":
    nettest.main(globals())
