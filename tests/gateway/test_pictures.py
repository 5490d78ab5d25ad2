"""Pictures from a real camera over HTTP, kept as real files."""

import asyncio
import hashlib

from buffer.files import SnapshotFiles
from drivers import camera
from gateway.engine import Capture
from gateway.pictures import MAX_WISHES, Watcher
from gateway.plant import CameraConfig


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_wish_becomes_a_file_and_a_record_and_a_failing_camera_says_so(tmp_path):
    from hil.camera_sim import CameraSim

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
    from hil.camera_sim import CameraSim

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


def test_wishes_are_bounded():
    one = camera.connect("cam", camera.Options("http://127.0.0.1/"))
    watcher = Watcher(CameraConfig("cam", "camera", None), one, None, None, None)
    for number in range(MAX_WISHES + 3):
        watcher.wish(Capture("cam", f"LT-{number}"))
    assert watcher.dropped == watcher.state()["missed"] == 3
