"""What every camera must keep (kit.contract.Camera): a whole picture with its hash, or an error, in time."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import random
import time
import tracemalloc
from collections.abc import Callable, Collection
from dataclasses import dataclass

from source_contract import (
    BREAKING,
    CONFUSING,
    FAR_END,
    GONE_S,
    MACHINE_S,
    MEMORY_GROWTH_BYTES,
    STOP_S,
    Wire,
    drivers_own,
    gone,
    open_children,
    open_sockets,
    open_threads,
)

from drivers.kit.contract import Camera
from drivers.kit.errors import SourceError
from drivers.kit.quality import Cause
from drivers.kit.scan import Picture

RANDOM_STOPS = 40
FAILURES = 40


@dataclass
class CameraSubject:
    """One camera as the suite sees it.

    Attributes:
        make: a camera behind ``line``.
        line: what lies between driver and camera.
        timeout_s: its own; a capture takes no longer.
        shown: SHA-256 of every picture the camera handed over; None where the picture is made on this side.
    """

    make: Callable[[], Camera]
    line: Wire
    timeout_s: float
    shown: Callable[[], Collection[bytes]] | None = None

    def check(self, shot: Picture) -> None:
        assert hashlib.sha256(shot.jpeg).digest() == shot.sha256, "the hash is not the picture's"
        assert self.shown is None or shot.sha256 in self.shown(), "a picture that the camera never showed"


async def a_capture_stops_in_any_state(subject: CameraSubject) -> None:
    dice = random.Random(2)
    line = subject.line
    for number in range(RANDOM_STOPS):
        await line.mend()
        before = (open_sockets(), open_threads(), open_children())
        if number % 4 == 1:
            line.hold()
        elif number % 4 == 2:
            await line.cut()
        tasks = asyncio.all_tasks()
        task = asyncio.create_task(_caught(subject.make()), name="capture under test")
        await asyncio.sleep(dice.uniform(0, 0.1 + 0.5 * (number % 4 == 3)))
        started = time.monotonic()
        ended = task.done()
        task.cancel()
        await asyncio.wait({task}, timeout=5 * STOP_S)
        assert ended or task.done(), "a capture did not end by cancellation"
        assert time.monotonic() - started < STOP_S, "stopping took longer than promised"
        left = {t for t in asyncio.all_tasks() - tasks if not any(far in repr(t) for far in FAR_END)}
        assert not left, f"tasks left behind: {left}"
        await line.mend()
        await line.cut()
        for what, now, then in zip(
            ("sockets", "threads", "processes"),
            (open_sockets, open_threads, open_children),
            before,
            strict=True,
        ):
            await gone(what, now, then)


async def _caught(camera: Camera) -> Picture | SourceError:
    try:
        return await camera.capture()
    except SourceError as error:
        return error


async def _failed_in_time(subject: CameraSubject, what: str) -> SourceError:
    started = time.monotonic()
    async with asyncio.timeout(subject.timeout_s + MACHINE_S + GONE_S):
        told = await _caught(subject.make())
    assert isinstance(told, SourceError), f"{what} gave a picture"
    assert time.monotonic() - started < subject.timeout_s + MACHINE_S, f"{what} is not told in time"
    assert told.detail
    return told


async def a_silent_or_absent_camera_is_an_error_in_time_and_comes_back(subject: CameraSubject) -> None:
    line = subject.line
    subject.check(await subject.make().capture())
    line.hold()
    assert (await _failed_in_time(subject, "silence")).quality_cause is Cause.COMM
    await line.mend()
    subject.check(await subject.make().capture())
    await line.cut()
    assert (await _failed_in_time(subject, "absence")).quality_cause is Cause.COMM
    await line.mend()
    subject.check(await subject.make().capture())


async def hostile_answers_are_an_error_with_a_cause_or_the_true_picture(subject: CameraSubject) -> None:
    line = subject.line
    for meddle in (*BREAKING, *CONFUSING):
        line.meddle = meddle
        for _ in range(3):
            if meddle in BREAKING:
                await _failed_in_time(subject, meddle.__name__)
            elif isinstance(told := await _caught(subject.make()), Picture):
                subject.check(told)
        line.meddle = None
        subject.check(await subject.make().capture())


async def many_failures_leave_nothing(subject: CameraSubject) -> None:
    await subject.line.cut()
    camera = subject.make()
    await _caught(camera)
    before = (open_sockets(), open_threads(), open_children())
    tracemalloc.start()
    try:
        for _ in range(FAILURES // 2):
            assert isinstance(await _caught(camera), SourceError)
        gc.collect()
        then = tracemalloc.take_snapshot().filter_traces(drivers_own())
        for _ in range(FAILURES // 2):
            assert isinstance(await _caught(camera), SourceError)
        gc.collect()
        now = tracemalloc.take_snapshot().filter_traces(drivers_own())
    finally:
        tracemalloc.stop()
    grown = sum(change.size_diff for change in now.compare_to(then, "filename"))
    assert grown < MEMORY_GROWTH_BYTES, f"{grown} bytes more after {FAILURES // 2} failures"
    for what, look, was in zip(
        ("sockets", "threads", "processes"), (open_sockets, open_threads, open_children), before, strict=True
    ):
        await gone(what, look, was)
    await subject.line.mend()
    subject.check(await camera.capture())


OF_EVERY_CAMERA = (
    a_capture_stops_in_any_state,
    a_silent_or_absent_camera_is_an_error_in_time_and_comes_back,
    many_failures_leave_nothing,
)
OF_A_WIRE = (hostile_answers_are_an_error_with_a_cause_or_the_true_picture,)
