"""The claim: a member that was cut off gets every missed entry once, in order, and no view changes."""

import kvgroup
import netlab
import nettest

CAUGHT_UP_LIMIT = 3.0
RECORDS = 17000


def load(member, first, count):
    replies = member.connect().ask_many([("SET", f"key:{n}", f"a value of some length, number {n}")
                                         for n in range(first, first + count)])
    assert all(reply == b"OK" for reply in replies)


def received(member, counter):
    return sum(peer[counter] for peer in member.status()["member"].values())


def cut_and_heal(kind, seconds):
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        leader = group.wait_leader(group.members)
        cut, other = [m for m in group.members if m is not leader]
        load(other, 0, RECORDS)
        group.wait_equal(group.members, 5)
        pulled, again = received(cut, "entries_pulled"), received(cut, "received_again")
        start = lab.cut(cut.host, kind)
        load(other, RECORDS, RECORDS)
        netlab.wait_for(lambda: leader.status()["member"][cut.id]["behind"] >= RECORDS, 5, "the cut member's lag")
        netlab.wait_for(lambda: netlab.now() > start + seconds, seconds + 5, "the end of the cut")
        assert cut.digest()[1] == str(RECORDS), "the cut reached nobody"
        heal = lab.heal(cut.host)
        group.wait_equal(group.members, CAUGHT_UP_LIMIT + 5)
        late = netlab.now() - heal
        pulled = received(cut, "entries_pulled") - pulled
        again = received(cut, "received_again") - again
        print(f"    {kind}, {seconds} s: {RECORDS} records missed, {pulled} entries pulled, {again} received again, "
              f"caught up {late:.2f} s after heal; highest memory "
              f"{max(m.resident_kib('VmHWM') for m in group.members)} KiB")
        assert late <= CAUGHT_UP_LIMIT
        assert pulled == RECORDS and again == 0
        for member in group.members:
            status = member.status()
            assert status["views"] == 1 and status["save_calls"] == 0 and status["load_calls"] == 0, status
        group.stop()


def test_follower_cut_off_by_lost_packets():
    cut_and_heal("drop", 5)


def test_follower_cut_off_by_lost_frames():
    cut_and_heal("link", 5)


@nettest.only_with_all
def test_follower_cut_off_for_long():
    cut_and_heal("drop", 60)


def test_leader_cut_off_under_load():
    """A new leader takes over; the old one comes back as a follower and lacks nothing; commands are applied once."""
    with netlab.open_lab(hosts=3) as lab:
        group = kvgroup.Group(lab)
        old = group.wait_leader(group.members)
        others = [m for m in group.members if m is not old]
        writers = [kvgroup.Writer(member, f"w{member.id}") for member in group.members]
        netlab.wait_for(lambda: all(len(w.sums) > 50 for w in writers), 20, "some load")
        lab.cut(old.host, "drop")
        counts = [len(w.sums) for w in writers if w.member is not old]
        group.wait_leader(others, 5)
        netlab.wait_for(lambda: all(len(w.sums) > n + 50 for w, n in
                                    zip([w for w in writers if w.member is not old], counts)), 20, "load on the others")
        lab.heal(old.host)
        netlab.wait_for(lambda: old.is_led() in [m.id for m in others], 5, "the old leader follows")
        for w in writers:
            w.finish()
        group.wait_equal(group.members, 5)
        for member in group.members:
            kvgroup.check_books(member, writers)
        assert all(m.status()["views"] == 1 for m in group.members)
        group.stop()


if __name__ == "__main__":
    nettest.main(globals())
