"""Pictures from a real camera over HTTP, kept as real files."""

import asyncio
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

from buffer.files import SnapshotFiles
from drivers import camera
from gateway import pictures
from gateway.engine import Capture
from gateway.pictures import MAX_WISHES, Watcher
from gateway.plant import CameraConfig
from hil.camera_sim import CameraSim


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_wish_becomes_a_file_and_a_record_and_a_failing_camera_says_so(tmp_path):
    async def story():
        async with CameraSim("T1", lambda: 50.0) as sim:
            kept, attached = [], []
            files = SnapshotFiles(tmp_path / "pictures", 1 << 20)
            watcher = Watcher(
                CameraConfig("cam", "camera", None, gb_code="37030600001320000001"),
                camera.connect("cam", camera.Options(url=sim.url)),
                files,
                lambda kind, item, taken_ns: kept.append(item),
                lambda alarm_id, snapshot_id: attached.append((alarm_id, snapshot_id)),
            )
            running = asyncio.create_task(watcher.run())
            watcher.wish(Capture("cam", "LT-1/high@1"))
            await until(lambda: kept)
            jpeg = files.read(kept[0]["sha256"])
            assert hashlib.sha256(jpeg).hexdigest() == kept[0]["sha256"]
            assert (kept[0]["alarm_id"], kept[0]["size_bytes"]) == ("LT-1/high@1", len(jpeg))
            assert attached == [("LT-1/high@1", kept[0]["id"])]
            assert watcher.state()["state"] == "ok"
            sim.mode = "missing"
            watcher.wish(Capture("cam", "LT-1/high@2"))
            await until(lambda: watcher.state()["state"] == "failed")
            assert len(kept) == 1
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(story())


def test_a_picture_given_up_for_the_quota_is_on_record(tmp_path):
    async def story():
        async with CameraSim("T1", iter(range(1000)).__next__) as sim:
            kept = []
            watcher = Watcher(
                CameraConfig("cam", "camera", None),
                camera.connect("cam", camera.Options(url=sim.url)),
                SnapshotFiles(tmp_path / "pictures", 20_000),
                lambda kind, item, taken_ns: kept.append((kind, item)),
                lambda alarm_id, snapshot_id: None,
            )
            running = asyncio.create_task(watcher.run())
            while not any(kind == "pictures_given_up" for kind, _ in kept):
                watcher.wish(Capture("cam", "LT-1/high@1"))
                await asyncio.sleep(0.02)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            given_up = next(item for kind, item in kept if kind == "pictures_given_up")
            assert given_up["sha256"][0] in {item["sha256"] for kind, item in kept if kind == "snapshot"}

    asyncio.run(story())


class Plant:
    """One camera, its watcher, and what went on record."""

    def __init__(self, sim, folder, **options):
        self.kept = []
        self.attached = []
        self.files = SnapshotFiles(folder / "pictures", 64 << 20)
        self.watcher = Watcher(
            CameraConfig("cam", "camera", None),
            camera.connect("cam", camera.Options(url=sim.url, **options)),
            self.files,
            lambda kind, item, taken_ns: self.kept.append(item),
            lambda alarm_id, snapshot_id: self.attached.append((alarm_id, snapshot_id)),
        )

    def positions(self, alarm_id):
        """Of the pictures that an alarm names, oldest first."""
        named = {snapshot for alarm, snapshot in self.attached if alarm == alarm_id}
        return [
            item["position"] for item in sorted(self.kept, key=lambda item: item["t"]) if item["id"] in named
        ]


@asynccontextmanager
async def watched(folder, **options):
    async with CameraSim("T1", lambda: 50.0) as sim:
        plant = Plant(sim, folder, **options)
        running = asyncio.create_task(plant.watcher.run())
        try:
            yield sim, plant
        finally:
            assert not running.done(), running
            running.cancel()
            await asyncio.wait({running})


def test_an_alarm_has_pictures_from_before_at_and_after_in_order(tmp_path):
    async def story():
        async with watched(tmp_path, before=3, after=2, ring_s=0.2) as (sim, plant):
            await until(lambda: sim.requests >= 5)
            assert plant.kept == [], "without an alarm nothing goes on record"
            plant.watcher.wish(Capture("cam", "A"))
            await until(lambda: len(plant.kept) == 6)
            seen = sorted(plant.kept, key=lambda item: item["t"])
            assert [item["position"] for item in seen] == ["before"] * 3 + ["at"] + ["after"] * 2
            assert {item["alarm_id"] for item in seen} == {"A"}
            assert len({item["sha256"] for item in seen}) == 6
            assert all(item["flags"] == [] for item in seen)
            assert len(plant.attached) == 6
            taken = sim.requests
            await until(lambda: sim.requests >= taken + 3)
            assert len(plant.kept) == 6

    asyncio.run(story())


def test_alarms_that_come_together_share_pictures_and_later_ones_are_told_of_those_on_record(tmp_path):
    async def story():
        async with watched(tmp_path, before=2, after=1, ring_s=0.2) as (sim, plant):
            await until(lambda: sim.requests >= 3)
            plant.watcher.wish(Capture("cam", "A"))
            plant.watcher.wish(Capture("cam", "B"))
            await until(lambda: len(plant.kept) == 4)
            at = next(item for item in plant.kept if item["position"] == "at")
            assert (at["alarm_id"], at["alarm_ids"]) == ("A", ["A", "B"])
            assert plant.positions("A") == plant.positions("B") == ["before", "before", "at", "after"]
            plant.watcher.wish(Capture("cam", "C"))
            await until(lambda: len(plant.positions("C")) == 4)
            assert plant.positions("C") == ["at", "after", "at", "after"]
            assert len({item["sha256"] for item in plant.kept}) == len(plant.kept) == 6

    asyncio.run(story())


def test_what_was_seen_before_is_kept_even_if_the_camera_is_gone(tmp_path):
    async def story():
        async with watched(tmp_path, before=2, ring_s=0.2) as (sim, plant):
            await until(lambda: sim.requests >= 3)
            sim.mode = "missing"
            plant.watcher.wish(Capture("cam", "A"))
            await until(lambda: len(plant.kept) == 2)
            assert plant.positions("A") == ["before", "before"]
            await until(lambda: plant.watcher.failure)
            assert plant.watcher.state()["state"] == "failed"

    asyncio.run(story())


def test_the_ring_is_bounded_in_bytes(tmp_path):
    async def story():
        async with watched(tmp_path, before=7, ring_s=0.2, ring_bytes=64 << 10) as (sim, plant):
            await until(lambda: sim.requests >= 7)
            ring = plant.watcher._ring.all()
            sizes = [len(shot.picture.jpeg) for shot in ring]
            assert 0 < sum(sizes) <= 64 << 10 < sum(sizes) + max(sizes)
            assert len(ring) < 7

    asyncio.run(story())


def test_a_picture_for_the_record_comes_every_period(tmp_path):
    async def story():
        async with watched(tmp_path, period_s=1.0) as (sim, plant):
            await until(lambda: len(plant.kept) == 3)
            assert [(item["position"], item["alarm_id"]) for item in plant.kept] == [("periodic", "")] * 3
            assert sim.requests == 3
            plant.watcher.wish(Capture("cam", "A"))
            await until(lambda: plant.positions("A"))
            assert plant.positions("A") == ["at"]

    asyncio.run(story())


def test_a_camera_nobody_wants_pictures_of_is_still_asked_whether_it_lives(tmp_path):
    async def story():
        async with watched(tmp_path) as (sim, plant):
            await until(lambda: plant.watcher.state()["last_at"])
            assert (sim.requests, plant.kept) == (1, [])

    asyncio.run(story())


def test_a_picture_that_failed_is_tried_again_a_few_times_and_then_counted(tmp_path):
    async def story():
        async with watched(tmp_path) as (sim, plant):
            await until(lambda: sim.requests)
            sim.mode = "half"
            plant.watcher.wish(Capture("cam", "A"))
            await until(lambda: sim.requests >= 3)
            sim.mode = "ok"
            await until(lambda: plant.kept)
            assert plant.positions("A") == ["at"]
            assert plant.watcher.state()["state"] == "ok"
            sim.mode = "half"
            plant.watcher.wish(Capture("cam", "B"))
            await until(lambda: plant.watcher.state()["missed"])
            assert plant.positions("B") == []
            taken = sim.requests
            await asyncio.sleep(0.5)
            assert sim.requests <= taken + 1

    asyncio.run(story())


def test_who_refuses_is_not_asked_again_at_once_but_an_alarm_does_not_wait(tmp_path):
    async def story():
        async with watched(tmp_path, before=2, ring_s=0.2) as (sim, plant):
            sim.mode = "missing"
            await until(lambda: plant.watcher.failure)
            taken = sim.requests
            await asyncio.sleep(1.0)
            assert sim.requests == taken
            sim.mode = "ok"
            plant.watcher.wish(Capture("cam", "A"))
            await until(lambda: plant.positions("A") == ["at"])
            await until(lambda: not plant.watcher.failure)

    asyncio.run(story())


def test_a_camera_that_hangs_delays_nobody_who_wishes(tmp_path):
    async def story():
        async with watched(tmp_path, timeout_s=0.5) as (sim, plant):
            sim.mode = "hang"
            await until(lambda: sim.requests)
            for number in range(1000):
                plant.watcher.wish(Capture("cam", f"A{number}"))
            assert plant.watcher.dropped == 1000 - MAX_WISHES, "nobody waited, or some would have been taken"
            sim.mode = "ok"
            await until(lambda: plant.kept)
            assert len(plant.kept[0]["alarm_ids"]) == MAX_WISHES
            assert len(plant.kept) == 1

    asyncio.run(story())


def test_black_pictures_are_flagged_and_some_in_a_row_are_a_failure(tmp_path):
    async def story():
        async with watched(tmp_path, after=3, ring_s=0.2) as (sim, plant):
            await until(lambda: sim.requests)
            sim.mode = "black"
            plant.watcher.wish(Capture("cam", "A"))
            await until(lambda: len(plant.kept) == 4)
            assert [item["flags"] for item in plant.kept] == [["black"]] * 4
            assert "black" in plant.watcher.failure
            sim.mode = "ok"
            plant.watcher.wish(Capture("cam", "B"))
            await until(lambda: len(plant.kept) == 8)
            assert plant.kept[-1]["flags"] == []
            assert plant.watcher.failure == ""

    asyncio.run(story())


def test_the_same_bytes_again_and_again_are_flagged_as_frozen(tmp_path):
    async def story():
        async with watched(tmp_path, before=7, ring_s=0.2, frozen_s=0.7) as (sim, plant):
            await until(lambda: sim.requests >= 2)
            sim.mode = "frozen"
            await until(lambda: plant.watcher.failure)
            assert "same byte for byte" in plant.watcher.failure
            plant.watcher.wish(Capture("cam", "A"))
            await until(lambda: "at" in plant.positions("A"))
            last = next(item for item in plant.kept if item["position"] == "at")
            assert last["flags"] == ["frozen"]
            assert len({item["sha256"] for item in plant.kept if "frozen" in item["flags"]}) == 1
            sim.mode = "ok"
            await until(lambda: not plant.watcher.failure)

    asyncio.run(story())


def test_a_disk_that_does_not_take_a_picture_is_told_and_passes(tmp_path):
    async def story():
        async with watched(tmp_path) as (_, plant):
            (tmp_path / "pictures").write_text("a file where the folder should be")
            plant.watcher.wish(Capture("cam", "A"))
            await until(lambda: "folder for snapshots" in plant.watcher.failure)
            (tmp_path / "pictures").unlink()
            await until(lambda: plant.positions("A") == ["at"])
            assert plant.watcher.failure == ""

    asyncio.run(story())


def test_a_disk_that_hangs_costs_its_camera_only_and_is_not_asked_twice(tmp_path, monkeypatch):
    """Opening a FIFO that nobody reads hangs as a dead disk does."""
    monkeypatch.setattr(pictures, "STORE_S", 0.3)

    async def story():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1, "look-up"))
        async with watched(tmp_path, before=1, ring_s=0.2) as (sim, plant):
            sim.mode = "frozen"
            await until(lambda: sim.requests >= 2)
            assert plant.files.size_bytes() == 0
            fifo = tmp_path / "pictures" / f"{plant.watcher._ring.all()[0].picture.sha256.hex()}.part"
            os.mkfifo(fifo)
            plant.watcher.wish(Capture("cam", "A"))
            await until(lambda: "does not answer" in plant.watcher.failure)
            taken = sim.requests
            await until(lambda: sim.requests >= taken + 2)
            assert [thread.name for thread in threading.enumerate()].count("pictures cam") == 1
            assert await asyncio.get_running_loop().getaddrinfo("localhost", 80)
            await asyncio.to_thread(fifo.read_bytes)
            plant.watcher.wish(Capture("cam", "B"))
            await until(lambda: "at" in plant.positions("B"))
            assert plant.watcher.failure == ""

    asyncio.run(story())


def test_what_a_late_disk_gave_up_for_the_quota_is_on_record(tmp_path, monkeypatch):
    monkeypatch.setattr(pictures, "STORE_S", 0.2)

    async def story():
        async with watched(tmp_path) as (_, plant):
            plant.files._quota_bytes = 1
            with plant.files._busy:
                plant.watcher.wish(Capture("cam", "A"))
                await until(lambda: plant.watcher._failures)
                assert plant.kept == []
            await until(lambda: plant.kept)
            assert plant.kept[0]["cause"] == "quota"

    asyncio.run(story())


def test_wishes_are_bounded():
    one = camera.connect("cam", camera.Options("http://127.0.0.1/"))
    watcher = Watcher(CameraConfig("cam", "camera", None), one, None, None, None)
    for number in range(MAX_WISHES + 3):
        watcher.wish(Capture("cam", f"LT-{number}"))
    assert watcher.dropped == watcher.state()["missed"] == 3
