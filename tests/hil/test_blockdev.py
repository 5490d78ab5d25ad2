"""A disk of our own: it counts, hangs, goes and comes back, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import subprocess
import threading

import pytest

from hil.blockdev import LoopDisk, LoopDiskError

pytestmark = pytest.mark.root
MIB = 1 << 20
SIZE = 32 * MIB


def loops_of(folder):
    found = subprocess.run(
        ["losetup", "--list", "--noheadings", "-O", "BACK-FILE"], check=True, capture_output=True, text=True
    )
    return [line for line in found.stdout.splitlines() if str(folder) in line]


def test_it_counts_what_reaches_the_device(tmp_path):
    with LoopDisk(tmp_path, SIZE) as disk:
        before = disk.written_bytes()
        (disk.mount / "file").write_bytes(os.urandom(4 * MIB))
        assert 4 * MIB <= disk.written_bytes() - before < 6 * MIB
    assert (list(tmp_path.iterdir()), loops_of(tmp_path)) == ([], [])


def test_who_writes_to_a_frozen_disk_waits(tmp_path):
    with LoopDisk(tmp_path, SIZE) as disk:
        disk.freeze()
        writer = threading.Thread(target=(disk.mount / "file").write_bytes, args=(b"late",))
        writer.start()
        writer.join(0.3)
        hung = writer.is_alive()
        disk.thaw()
        writer.join(10)
        assert hung
        assert (disk.mount / "file").read_bytes() == b"late"


def test_a_disk_torn_away_fails_and_comes_back_with_what_was_flushed(tmp_path):
    with LoopDisk(tmp_path, SIZE) as disk:
        with (disk.mount / "kept").open("wb") as file:
            file.write(b"kept")
            file.flush()
            os.fsync(file.fileno())
        (disk.mount / "lost").write_bytes(b"lost")
        disk.tear_away()
        with pytest.raises(OSError, match="Input/output") as gone:
            (disk.mount / "more").write_bytes(b"more")
        assert gone.value.errno == errno.EIO
        disk.plug_in()
        assert (disk.mount / "kept").read_bytes() == b"kept"
        lost = disk.mount / "lost"
        assert not lost.exists() or lost.read_bytes() == b""


def test_it_is_given_back_frozen_or_torn_and_whatever_happens(tmp_path):
    def fall(disk):
        disk.freeze()
        raise ZeroDivisionError

    disk = LoopDisk(tmp_path, SIZE)
    with pytest.raises(ZeroDivisionError), disk:
        fall(disk)
    with LoopDisk(tmp_path, SIZE) as torn:
        torn.tear_away()
    assert (list(tmp_path.iterdir()), loops_of(tmp_path)) == ([], [])


def test_a_disk_that_cannot_be_made_says_why(tmp_path):
    with pytest.raises(LoopDiskError, match=r"mkfs\.ext4"), LoopDisk(tmp_path, 1024):
        pass
    assert list(tmp_path.iterdir()) == []
