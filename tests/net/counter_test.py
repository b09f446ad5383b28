"""The example counter: three processes, one sum."""

import subprocess

import netlab
import nettest

PORT = 7000
DEADLINE = 20


def start(lab, number):
    addresses = [f"{host.inner}:{PORT}" for host in lab.hosts]
    return lab.hosts[number - 1].start([nettest.program("counter"), number, *addresses], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_lines_on_any_member_add_to_one_counter():
    with netlab.open_lab(hosts=3) as lab:
        counters = [start(lab, number) for number in (1, 2, 3)]
        for process in counters:
            process.stdin.write(b"5\n" * 100)
            process.stdin.flush()
        for process in counters:
            sums = [int(process.stdout.readline().split()[0]) for _ in range(100)]
            assert sums == sorted(sums), sums
        for process in counters:
            process.stdin.write(b"?\n")
            process.stdin.flush()
            assert process.stdout.readline() == b"1500 (done)\n"


def test_the_end_of_the_input_ends_it_after_the_last_answer():
    with netlab.open_lab(hosts=3) as lab:
        counters = [start(lab, number) for number in (1, 2, 3)]
        out, errors = counters[0].communicate(b"1\n2\n-4\n", timeout=DEADLINE)
        assert counters[0].returncode == 0, errors
        assert out == b"1 (done)\n3 (done)\n-1 (done)\n-1 (done)\n", out
        assert b"Sanitizer" not in errors, errors


def test_help_and_wrong_words():
    with netlab.open_lab(hosts=1) as lab:
        assert "usage: counter" in lab.hosts[0].run([nettest.program("counter"), "--help"])
        process = lab.hosts[0].start([nettest.program("counter"), "7", "127.0.0.1:1"], stderr=subprocess.PIPE)
        _, errors = process.communicate(timeout=DEADLINE)
        assert process.returncode == 1 and b"argument" in errors, errors


if __name__ == "__main__":
    nettest.main(globals())
