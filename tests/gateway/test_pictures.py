"""Pictures from a real camera over HTTP, kept as real files."""

import asyncio
import hashlib

import pytest

from buffer.files import SnapshotFiles
from gateway.engine import Capture
from gateway.pictures import MAX_WISHES, Watcher
from gateway.plant import CameraConfig

camera = pytest.importorskip("drivers.camera", reason="the camera driver brings its own test")


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
                lambda item, taken_ns: kept.append(item),
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


def test_wishes_are_bounded():
    watcher = Watcher(CameraConfig("cam", "camera", None), None, None, None, None)
    for _ in range(MAX_WISHES + 3):
        watcher.wish(Capture("cam", "x"))
    assert watcher.dropped == 3
