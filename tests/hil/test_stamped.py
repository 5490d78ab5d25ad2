"""Lines of a pipe with the time at which they came, from a process of its own."""

import os
import subprocess
import sys
import time

from hil.stamped import stamps


def test_every_line_is_stamped_when_it_comes(tmp_path):
    pipe, out = tmp_path / "pipe", tmp_path / "out"
    os.mkfifo(pipe)
    process = subprocess.Popen([sys.executable, "-m", "hil.stamped", str(pipe), str(out)])
    try:
        with pipe.open("ab", buffering=0) as writing:
            begun_ns = time.time_ns()
            writing.write(b"first\nsec")
            until(lambda: len(stamps(out)) == 1)
            between_ns = time.time_ns()
            writing.write(b"ond\nthird\n")
        # A second writer, after the first has closed: the reader has stayed.
        with pipe.open("ab", buffering=0) as writing:
            writing.write(b"fourth\n")
        until(lambda: len(stamps(out)) == 4)
    finally:
        process.kill()
        process.wait()
    found = stamps(out)
    assert [line for _, line in found] == [b"first", b"second", b"third", b"fourth"]
    assert begun_ns <= found[0][0] <= between_ns <= found[1][0] <= found[3][0] <= time.time_ns()


def test_a_line_that_is_not_whole_yet_is_left_out(tmp_path):
    (tmp_path / "out").write_bytes(b"17 whole\n18 ha")
    assert stamps(tmp_path / "out") == [(17, b"whole")]
    assert stamps(tmp_path / "none") == []


def until(holds):
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)
