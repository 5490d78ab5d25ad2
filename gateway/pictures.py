"""Pictures: on alarm with some before and after it, periodic, and for knowing whether the camera lives.

Decides when one camera is asked and what goes on record; touches the camera and the snapshot files. Never on an
alarm's way: a camera has its own task, a wish only leaves a note, and a picture that does not come is the camera's
failure, not a delay. One picture is one record, however many alarms it belongs to.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from buffer.errors import DiskError, SpoolError
from buffer.files import SnapshotFiles, Stored
from drivers.kit.contract import Camera
from drivers.kit.darkness import is_black
from drivers.kit.errors import SourceError
from drivers.kit.quality import Cause
from drivers.kit.scan import Picture
from drivers.kit.shots import Complaint, Sameness
from drivers.wire.lane import Lane
from gateway.engine import Capture
from gateway.instant import rfc3339
from gateway.plant import CameraConfig

MAX_WISHES: Final = 64
"""Alarms that wait for a camera's next picture; beyond it the newest wish is dropped and counted."""
MAX_OWED: Final = 64
"""Alarms that wait for any picture; beyond it the oldest gets no more of those after it."""
MAX_TRIES: Final = 5
"""Failed pictures after which an alarm's are given up."""
MIN_PAUSE_S: Final = 0.2
"""Between two questions to one camera, whatever happens."""
CHECK_S: Final = 600.0
"""A camera of which nobody wants a picture is asked so often whether it lives; that picture is not kept."""
LONGEST_PAUSE_S: Final = 30.0
"""Between two questions to a camera that fails; an alarm's first question does not wait for it."""
REFUSED_PAUSE_S: Final = 300.0
"""The same after a refusal: many cameras lock out who knocks with a wrong password."""
FAILURES_TO_TELL: Final = 2
"""Misses in a row that make a failure; a refusal is one at once."""
JUDGE_S: Final = 10.0
"""A picture that goes on no record is looked at for darkness so often."""
STORE_S: Final = 10.0
"""So long a disk may take to keep a picture; an SD card's worst moments last seconds."""
SPREAD_S: Final = 1.0
"""Cameras begin within this time, not all at once."""

Keep = Callable[[str, dict[str, Any], int], None]
"""(kind of record, its item, UTC nanoseconds): makes it durable."""
Position: TypeAlias = Literal["before", "at", "after", "periodic"]

log = logging.getLogger("plantgate.pictures")


@dataclass(slots=True)
class _Owed:
    """What one alarm still waits for."""

    after: int
    at: bool = True
    tries: int = 0


@dataclass(slots=True)
class _Shot:
    """A picture in the ring; once on record only its id matters."""

    picture: Picture
    frozen: bool
    black: bool | None = None
    snapshot_id: str = ""


class _Ring:
    """The newest pictures, bounded in number and bytes."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._shots: deque[_Shot] = deque()
        self._most = most
        self._most_bytes = most_bytes

    def add(self, shot: _Shot) -> None:
        """One more; the oldest go."""
        self._shots.append(shot)
        while len(self._shots) > self._most or self._bytes() > self._most_bytes:
            self._shots.popleft()

    def _bytes(self) -> int:
        return sum(len(shot.picture.jpeg) for shot in self._shots)

    def all(self) -> tuple[_Shot, ...]:
        """What is in it, oldest first."""
        return tuple(self._shots)


class Watcher:
    """One camera: what it owes, what it showed last, how it is.

    Args:
        config: the camera's name and code.
        camera: is asked for pictures.
        files: keeps them.
        keep: makes records of them.
        attach: tells an alarm (by id) that a snapshot (by id) belongs to it.

    Attributes:
        dropped: wishes for which there was no room.
        missed: alarms whose picture did not come.
    """

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
        self.missed = 0
        self._config = config
        self._camera = camera
        self._files = files
        self._keep = keep
        self._attach = attach
        self._shots = camera.shots
        self._disk: Lane[Stored] = Lane(f"pictures {config.name}")
        self._ring = _Ring(self._shots.before, self._shots.ring_bytes)
        self._owed: dict[str, _Owed] = {}
        self._new: list[str] = []
        self._woken = asyncio.Event()
        self._sameness = Sameness(self._shots.frozen_s)
        self._complaint = Complaint()
        self._trouble = ""
        self._failures = 0
        self._refused = False
        self._last_ns = 0
        self._asked_s = self._judged_s = self._periodic_s = float("-inf")

    @property
    def failure(self) -> str:
        """What is wrong, one English sentence; "" if nothing."""
        told = self._failures >= FAILURES_TO_TELL or self._refused
        return (self._trouble if told else "") or str(self._complaint)

    def wish(self, capture: Capture) -> None:
        """Ask for an alarm's pictures; never blocks."""
        if len(self._new) >= MAX_WISHES:
            self.dropped += 1
            return
        self._new.append(capture.alarm_id)
        self._woken.set()

    async def run(self) -> None:
        """Take one picture after the other, for ever."""
        loop = asyncio.get_running_loop()
        begin_s = loop.time() + random.uniform(0, SPREAD_S)  # noqa: S311 - spreads load, hides nothing
        while True:
            await self._until_due(begin_s)
            before = self._ring.all() if self._new else ()
            alarms = self._take_wishes()
            self._asked_s = loop.time()
            try:
                shot = await self._capture()
            except SourceError as e:
                self._miss(e, refused=e.quality_cause is Cause.REFUSED)
                shot = None
            try:
                for earlier in before:
                    await self._file(earlier, "before", alarms)
                if shot is not None:
                    await self._use(shot)
            except SpoolError as e:
                self._miss(e)
                continue
            if shot is not None:
                self._well()

    def _take_wishes(self) -> list[str]:
        alarms, self._new = self._new, []
        self._woken.clear()
        self._owed.update((alarm, _Owed(self._shots.after)) for alarm in alarms)
        for alarm in list(self._owed)[: max(0, len(self._owed) - MAX_OWED)]:
            self._owed[alarm].after = 0
            if not self._owed[alarm].at:
                del self._owed[alarm]
        return alarms

    async def _until_due(self, begin_s: float) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._asked_s + MIN_PAUSE_S - loop.time())
        pause_s = max(self._due_s(), begin_s) - loop.time()
        if not self._new and pause_s > 0:
            try:
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            except TimeoutError:
                return

    def _due_s(self) -> float:
        """When the next picture is due, on the loop's clock; a new alarm does not wait for it."""
        shots = self._shots
        due_s = self._asked_s + CHECK_S
        if shots.before or self._owed:
            due_s = min(due_s, self._asked_s + shots.ring_s)
        if any(owed.at for owed in self._owed.values()):
            due_s = self._asked_s
        if shots.period_s:
            due_s = min(due_s, self._periodic_s + shots.period_s)
        if self._failures:
            pause_s = min(MIN_PAUSE_S * 2 ** min(self._failures, 16), LONGEST_PAUSE_S)
            due_s = max(due_s, self._asked_s + (REFUSED_PAUSE_S if self._refused else pause_s))
        return due_s

    async def _capture(self) -> _Shot:
        picture = await self._camera.capture()
        self._last_ns = picture.taken_ns
        frozen = self._sameness.frozen(picture.sha256, asyncio.get_running_loop().time())
        self._complaint.see("frozen", found=frozen)
        shot = _Shot(picture, frozen)
        self._ring.add(shot)
        return shot

    def _miss(self, error: Exception, *, refused: bool = False) -> None:
        self._failures += 1
        self._refused = refused
        self._trouble = str(error)
        if self._failures == 1:
            log.warning("camera: %s", error)
        for alarm, owed in tuple(self._owed.items()):
            owed.tries += 1
            if owed.tries >= MAX_TRIES:
                del self._owed[alarm]
                self.missed += 1

    def _well(self) -> None:
        if self._failures:
            log.info("camera %s is back", self.name)
        self._failures, self._refused, self._trouble = 0, False, ""

    async def _use(self, shot: _Shot) -> None:
        """Put a picture on record for whoever waits for one."""
        now_s, period_s = asyncio.get_running_loop().time(), self._shots.period_s
        first = [alarm for alarm, owed in self._owed.items() if owed.at]
        later = [alarm for alarm, owed in self._owed.items() if not owed.at]
        late_s = now_s - (self._periodic_s + period_s)
        periodic = bool(period_s) and late_s >= -MIN_PAUSE_S
        if first or later or periodic:
            position: Position = "at" if first else "after" if later else "periodic"
            await self._file(shot, position, first + later)
        elif now_s >= self._judged_s + JUDGE_S:
            await self._judge(shot)
        for alarm in first + later:
            owed = self._owed[alarm]
            owed.after -= 0 if owed.at else 1
            owed.at, owed.tries = False, 0
            if owed.after <= 0:
                del self._owed[alarm]
        if periodic:  # on its grid, unless that is lost
            self._periodic_s = self._periodic_s + period_s if late_s < period_s else now_s

    async def _judge(self, shot: _Shot) -> None:
        """Look whether the picture is black, once."""
        if shot.black is None:
            shot.black = await asyncio.to_thread(is_black, shot.picture.jpeg)
            self._judged_s = asyncio.get_running_loop().time()
            self._complaint.see("black", found=shot.black is True)

    async def _file(self, shot: _Shot, position: Position, alarms: Sequence[str]) -> None:
        """One record for one picture; an alarm that comes later than the record is told of it only."""
        if not shot.snapshot_id:
            await self._judge(shot)
            stored = await self._store(shot.picture)
            self._record(shot, position, alarms)
            self._give_up(stored, shot.picture.taken_ns)
        for alarm in alarms:
            self._attach(alarm, shot.snapshot_id)

    async def _store(self, picture: Picture) -> Stored:
        """Keep a picture's file. A dead disk costs this camera's pictures; no thread that others need waits for it.

        Raises:
            SpoolError: it is not kept, or not in time.
        """
        try:
            answer = self._disk.ask(partial(self._files.store, picture.jpeg))
        except OSError as e:
            raise DiskError(f"{self.name}: a picture cannot be kept: {e.strerror}") from e
        if answer is not None:
            done, _ = await asyncio.wait({answer}, timeout=STORE_S)
            if done:
                return answer.result()
            answer.add_done_callback(partial(self._late, picture.taken_ns))
        raise DiskError(f"{self.name}: the disk for snapshots does not answer; look after it")

    def _late(self, taken_ns: int, answer: asyncio.Future[Stored]) -> None:
        """Nobody waits for it any more, but what it gave up for the quota is on record."""
        try:
            self._give_up(answer.result(), taken_ns)
        except SpoolError as e:
            log.info("camera %s: the disk for snapshots answers again: %s", self.name, e)

    def _give_up(self, stored: Stored, taken_ns: int) -> None:
        if stored.deleted:
            item = {"sha256": list(stored.deleted), "cause": "quota"}
            self._keep("pictures_given_up", item, taken_ns)

    def _record(self, shot: _Shot, position: Position, alarms: Sequence[str]) -> None:
        picture = shot.picture
        shot.snapshot_id = f"{self.name}@{picture.taken_ns}"
        flags = {"black": shot.black is True, "frozen": shot.frozen}
        item = {
            "id": shot.snapshot_id,
            "camera_id": self.name,
            "gb_code": self._config.gb_code,
            "t": rfc3339(picture.taken_ns),
            "alarm_id": alarms[0] if alarms else "",
            "position": position,
            "flags": [flag for flag, stands in flags.items() if stands],
            "sha256": picture.sha256.hex(),
            "mime": "image/jpeg",
            "size_bytes": len(picture.jpeg),
        }
        if len(alarms) > 1:
            item["alarm_ids"] = list(alarms)
        self._keep("snapshot", item, picture.taken_ns)

    def state(self) -> dict[str, Any]:
        """For ``status``."""
        failure = self.failure
        return {
            "name": self.name,
            "state": "failed" if failure else "ok",
            "detail": failure or self._camera.note,
            "last_at": rfc3339(self._last_ns) if self._last_ns else None,
            "missed": self.missed + self.dropped,
        }
