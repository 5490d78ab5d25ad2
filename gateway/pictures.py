"""Pictures on alarm: from the engine's wish to a snapshot record. Touches cameras and snapshot files.

Never on an alarm's way: a camera has its own task and a short queue, and a picture that does not come is a line
in ``status``, not a delay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from buffer.errors import SpoolError
from buffer.files import SnapshotFiles
from drivers.kit.contract import Camera
from drivers.kit.errors import SourceError
from drivers.kit.scan import Picture
from gateway.engine import Capture
from gateway.instant import rfc3339
from gateway.plant import CameraConfig

MAX_WISHES: Final = 8
"""Pictures one camera may owe; beyond it the newest wish is dropped, for the oldest moment is gone anyway."""

Keep = Callable[[str, dict[str, Any], int], None]
"""(kind of record, its item, UTC nanoseconds): makes it durable."""


class Watcher:
    """One camera and the pictures it owes."""

    def __init__(
        self,
        config: CameraConfig,
        camera: Camera,
        files: SnapshotFiles,
        keep: Keep,
        attach: Callable[[str, str], None],
    ) -> None:
        self.name = config.name
        self.dropped = 0
        self._config = config
        self._camera = camera
        self._files = files
        self._keep = keep
        self._attach = attach
        self._wishes: asyncio.Queue[Capture] = asyncio.Queue(MAX_WISHES)
        self.failure = ""
        self._last_ns = 0

    def wish(self, capture: Capture) -> None:
        """Ask for a picture; never blocks."""
        try:
            self._wishes.put_nowait(capture)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Take one picture after the other, for ever."""
        while True:
            capture = await self._wishes.get()
            try:
                picture = await self._camera.capture()
                stored = await asyncio.to_thread(self._files.store, picture.jpeg)
            except (SourceError, SpoolError) as e:
                self.failure = str(e)
                continue
            self.failure = ""
            self._record(capture, picture)
            if stored.deleted:
                item = {"sha256": list(stored.deleted), "cause": "quota"}
                self._keep("pictures_given_up", item, picture.taken_ns)

    def _record(self, capture: Capture, picture: Picture) -> None:
        self._last_ns = picture.taken_ns
        snapshot_id = f"{self.name}@{picture.taken_ns}"
        item = {
            "id": snapshot_id,
            "camera_id": self.name,
            "gb_code": self._config.gb_code,
            "t": rfc3339(picture.taken_ns),
            "alarm_id": capture.alarm_id,
            "sha256": picture.sha256.hex(),
            "mime": "image/jpeg",
            "size_bytes": len(picture.jpeg),
        }
        self._keep("snapshot", item, picture.taken_ns)
        self._attach(capture.alarm_id, snapshot_id)

    def state(self) -> dict[str, Any]:
        """For ``status``."""
        return {
            "name": self.name,
            "state": "failed" if self.failure else "ok",
            "detail": self.failure,
            "last_at": rfc3339(self._last_ns) if self._last_ns else None,
        }
