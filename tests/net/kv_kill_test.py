"""Leaders killed or cut off during load: the others go on, nothing acknowledged is lost, nothing runs twice."""

import random

import kvgroup
import netlab
import nettest

KILLS = 20
GO_ON_LIMIT = 2.0


def load(group, seconds):
    """Two writers on each member, loading for so long."""
    writers = [kvgroup.Writer(member, f"w{member.id}{letter}") for member in group.members for letter in "ab"]
    netlab.wait_for(lambda: all(w.sums for w in writers), 10, "the first acknowledgement of each writer")
    end = netlab.now() + seconds
    netlab.wait_for(lambda: netlab.now() > end, seconds + 5, "the moment of the kill")
    return writers


def longest_silence(writers, start, end):
    """The longest time without an acknowledgement to any one of these writers."""
    longest = 0.0
    for w in writers:
        times = [start] + [t for t in w.times if start < t < end] + [end]
        longest = max(longest, max(b - a for a, b in zip(times, times[1:])))
    return longest


def one_kill(rng):
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        writers = load(group, rng.uniform(0.05, 0.6))
        leader = group.wait_leader(group.members)
        others = [m for m in group.members if m is not leader]
        at = netlab.now()
        leader.kill()
        alive = [w for w in writers if w.member is not leader]
        netlab.wait_for(lambda: netlab.now() > at + GO_ON_LIMIT + 0.5, 10, "the time after the kill")
        end = netlab.now()
        for w in writers:
            w.finish()
        silence = longest_silence(alive, at, end)
        assert silence <= GO_ON_LIMIT, f"no acknowledgement for {silence:.2f} s after the kill"
        group.wait_equal(others)
        count = kvgroup.check_books(others[0], writers)
        assert all(m.status()["views"] == 1 for m in others), "a dead process changes no view without a policy"
        group.stop()
        return silence, count


def test_leader_killed_at_random_moments():
    """20 groups, 20 kills: each leader dies in the middle of the load of six redis-cli."""
    rng = random.Random(20)
    results = [one_kill(rng) for _ in range(KILLS)]
    print(f"    {sum(count for _, count in results)} sums acknowledged; without an answer at most "
          f"{max(silence for silence, _ in results):.2f} s")


def test_follower_killed():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        writers = load(group, 0.3)
        leader = group.wait_leader(group.members)
        victim, other = [m for m in group.members if m is not leader]
        at = netlab.now()
        victim.kill()
        alive = [w for w in writers if w.member is not victim]
        netlab.wait_for(lambda: netlab.now() > at + 1.5, 10, "the time after the kill")
        end = netlab.now()
        for w in writers:
            w.finish()
        assert longest_silence(alive, at, end) <= 1.0, "nobody needs a follower"
        group.wait_equal([leader, other])
        kvgroup.check_books(other, writers)
        group.stop()


def test_killed_member_that_restarts_is_refused():
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        leader = group.wait_leader(group.members)
        victim = next(m for m in group.members if m is not leader)
        assert leader.ask("SET", "k", "1") == b"OK"
        victim.kill()
        victim.start()
        code = victim.process.wait(timeout=10)
        said = victim.said()
        assert code == 1, f"it ended with {code}"
        assert "kv: this process cannot be a member: " in said, said
        print("    " + said.strip().splitlines()[-1])
        assert leader.ask("INCR", "k") == 2
        group.stop()


def test_leader_cut_off_acknowledges_nothing():
    """A leader that hears from no majority never says OK; the others elect; afterwards all are equal."""
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab, "--submit-ms", "1500")
        old = group.wait_leader(group.members)
        others = [m for m in group.members if m is not old]
        assert old.ask("SET", "before", "1") == b"OK"
        lab.cut(old.host, "drop")
        replies = []
        for n in range(4):
            try:
                replies.append(old.ask("SET", "lost", str(n)))
            except kvgroup.demo_redis.ReplyError as error:
                replies.append(str(error).split()[0])
        assert set(replies) <= {"TIMEOUT", "CLUSTERDOWN"}, replies
        assert "CLUSTERDOWN" in replies, replies
        group.wait_leader(others, 5)
        assert others[0].ask("SET", "after", "1") == b"OK"
        lab.heal(old.host)
        index, keys, _ = group.wait_equal(group.members, 5)
        print(f"    replies of the cut leader: {replies}; at the end {keys} keys at index {index} everywhere")
        assert old.ask("GET", "after") == b"1"
        assert all(m.status()["views"] == 1 for m in group.members)
        group.stop()


if __name__ == "__main__":
    nettest.main(globals())
