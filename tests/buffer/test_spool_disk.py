"""A disk that fills, and one that is gone and comes back: real file systems on tmpfs and a loop device."""

from __future__ import annotations

import asyncio
import fcntl
import os
import struct
import subprocess
import time
from dataclasses import replace

import pytest
from spoolkit import RECIPIENTS, SMALL, append, gap_body, gap_in

from buffer.errors import DiskError, SpoolFullError
from buffer.record import Ack, Append, Draft
from buffer.writer import SpoolWriter

EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2
MIB = 1 << 20

pytestmark = pytest.mark.root


def command(*words):
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


def unmount(folder):
    for _ in range(50):
        if subprocess.run(["umount", str(folder)], check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    command("umount", "-l", folder)


def fill(path):
    with path.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    command("mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder)
    yield folder
    unmount(folder)


class LoopDisk:
    """ext4 in a file, that can be torn away and mounted again."""

    def __init__(self, tmp_path):
        self.image, self.folder = tmp_path / "disk.img", tmp_path / "disk"
        self.folder.mkdir()
        with self.image.open("wb") as file:
            file.truncate(64 * MIB)
        command("mkfs.ext4", "-q", "-F", self.image)
        self.mount()

    def mount(self):
        command("mount", "-o", "loop", self.image, self.folder)

    def tear_away(self):
        opened = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(opened, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
        finally:
            os.close(opened)


@pytest.fixture
def loop_disk(tmp_path):
    disk = LoopDisk(tmp_path)
    yield disk
    if os.path.ismount(disk.folder):
        unmount(disk.folder)


def run(folder, story, settings):
    async def body():
        writer = SpoolWriter(folder / "spool.db", settings, RECIPIENTS, gap_body)
        opened = await writer.start()
        try:
            await story(writer, opened)
        finally:
            await writer.close()

    asyncio.run(asyncio.wait_for(body(), 90))


def test_on_a_full_disk_readings_are_refused_before_alarms(small_disk):
    settings = replace(SMALL, quota_bytes=64 * MIB, reserve_bytes=MIB)

    async def story(writer, _):
        taken = 0
        while writer.stats().state == "ok":
            try:
                await writer.append(append("reading", os.urandom(3_000), created_ns=taken + 1))
                taken += 1
            except SpoolFullError as full:
                assert "kept for alarms" in str(full)  # noqa: PT017 - how many were taken first is the point
                assert full.retry_without_bulk  # noqa: PT017 - as above
        assert taken > 100
        assert writer.stats().state == "full"
        for _ in range(100):
            await writer.append(append("alarm", os.urandom(500), state={"alarms": b"x"}))
        both = await asyncio.gather(
            writer.append(append("reading", os.urandom(3_000))),
            writer.append(append("journal", b"and this")),
            return_exceptions=True,
        )
        assert isinstance(both[0], SpoolFullError)
        assert both[1][0].seq == 1
        page = await writer.read("reading", 1, 10, MIB)
        assert page.records[0].seq == 1, "nothing was lost by being full"
        assert writer.stats().lanes["reading"].head == taken
        declared = await writer.purge(1_000)
        assert gap_in(declared[0])["cause"] == "quota"
        records = await writer.append(append("reading", os.urandom(3_000)))
        assert records[0].seq == taken + 1, "after the purge there is room, and no number is skipped"
        assert writer.stats().state == "ok"

    run(small_disk, story, settings)


def mixed(created_ns=1):
    """As the gateway flushes: what was read, the alarm it raised, and a gap."""
    lanes = ("reading", "alarm", "journal")
    return Append(tuple(Draft(lane, created_ns, os.urandom(900)) for lane in lanes), {"alarms": b"H"})


def test_a_mixed_append_does_not_ride_into_the_reserve(small_disk):
    settings = replace(SMALL, reserve_bytes=MIB)

    async def story(writer, _):
        await writer.append(mixed())
        ballast = small_disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            fill(ballast)
        for second in range(20):
            heads = {lane: known.head for lane, known in writer.stats().lanes.items()}
            with pytest.raises(SpoolFullError, match="kept for alarms") as full:
                await writer.append(mixed())
            assert full.value.retry_without_bulk
            drafts = tuple(draft for draft in mixed().drafts if draft.lane != "reading")
            await writer.append(Append(drafts, {"alarms": b"%d" % second}))
            after = {lane: known.head for lane, known in writer.stats().lanes.items()}
            assert after == {**heads, "alarm": heads["alarm"] + 1, "journal": heads["journal"] + 1}
            stats = writer.stats()
            assert (stats.state, "kept for alarms" in stats.detail) == ("full", True), "and it stays said"
        ballast.unlink()
        await writer.append(append("alarm", b"room again"))
        assert (writer.stats().state, writer.stats().detail) == ("ok", "")
        assert len(await writer.append(mixed())) == 3

    run(small_disk, story, settings)


def test_full_by_others_to_the_last_byte(small_disk):
    settings = replace(SMALL, reserve_bytes=0)

    async def story(writer, _):
        await writer.append(append("alarm", b"before"))
        ballast = small_disk / "ballast"
        with pytest.raises(OSError, match="No space"):
            fill(ballast)
        refused = 0
        for _ in range(600):
            try:
                await writer.append(append("alarm", os.urandom(3_000)))
            except SpoolFullError as full:
                refused += 1
                assert not full.retry_without_bulk  # noqa: PT017 - how many were refused is the point
        assert refused
        assert writer.stats().state == "full"
        head = writer.stats().lanes["alarm"].head
        ballast.unlink()
        assert (await writer.append(append("alarm", b"after")))[0].seq == head + 1
        assert writer.stats().state == "ok"

    run(small_disk, story, settings)


def test_a_disk_torn_away_and_back(loop_disk):
    async def story(writer, opened):
        spool_id = opened.spool_id
        first = [await writer.append(append("reading", b"%d" % n * 900)) for n in range(20)]
        writer.settle(Ack("province", "reading", ((1, 5),)))
        await writer.append(append("alarm", b"H", state={"alarms": b"H"}))
        loop_disk.tear_away()
        for _ in range(2):
            with pytest.raises(DiskError):
                await writer.append(append("alarm", b"HH"))
        assert writer.stats().state == "failing"
        assert writer.stats().detail
        recent = await writer.read("reading", 18, 9, MIB)
        assert [record.seq for record in recent.records] == [18, 19, 20], (
            "what is in memory goes on being sent"
        )
        writer.settle(Ack("province", "reading", ((6, 20),)))
        unmount(loop_disk.folder)
        with pytest.raises(DiskError, match="gone"):
            await writer.append(append("alarm", b"HH"))
        assert list(loop_disk.folder.iterdir()) == [], "nothing is made on the naked mount point"
        loop_disk.mount()
        back = await writer.append(append("alarm", b"HH", state={"alarms": b"HH"}))
        assert back[0].seq == 2
        assert writer.stats().state == "ok"
        writer._recent.forget("reading", 20)
        page = await writer.read("reading", 1, 99, MIB)
        assert page.records == tuple(records[0] for records in first)
        assert writer._owner._resume.spool_id == spool_id

    async def later(_writer, opened):
        assert (opened.heads["alarm"], opened.heads["reading"]) == (2, 20)
        assert opened.state == {"alarms": b"HH"}
        assert opened.positions["province", "reading"].low == 20, "settled while the disk was away"

    run(loop_disk.folder, story, SMALL)
    run(loop_disk.folder, later, SMALL)


def test_power_cuts_lose_nothing_acknowledged(loop_disk):
    acknowledged = 0
    for life in range(4):

        async def story(writer, opened, life=life):
            nonlocal acknowledged
            assert opened.unclean == (life > 0)
            assert opened.quarantined is None
            assert 0 <= opened.heads["reading"] - acknowledged <= 1
            acknowledged = opened.heads["reading"]
            cut_at = acknowledged + 30 + 17 * life
            while acknowledged < cut_at:
                acknowledged = (await writer.append(append("reading", os.urandom(1_500))))[0].seq
            loop_disk.tear_away()
            with pytest.raises(DiskError):
                await writer.append(append("reading", b"not acknowledged"))
            page = await writer.read("reading", acknowledged, 9, MIB)
            assert page.records[0].seq == acknowledged

        run(loop_disk.folder, story, SMALL)
        unmount(loop_disk.folder)
        loop_disk.mount()
