"""What every driver's source must keep (kit.contract.Source), asked of any of them through a real wire.

A driver's ``stage_NAME.py`` gives a ``Subject``: a way to make a source, and a ``Wire`` with a healthy real
peer behind it whose numbers the suite can choose. ``OF_EVERY_SOURCE`` holds for all of them, ``OF_A_POLLED_SOURCE``
for those whose ``polled`` says so, ``OF_A_WIRE`` for those whose answers are bytes on a wire. A promise that breaks is
an AssertionError that says what was seen.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import random
import threading
import time
import tracemalloc
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, cast

import numpy as np

from drivers.kit.contract import Post, Source
from drivers.kit.quality import Cause, bad, is_bad, is_good
from drivers.kit.scan import Scan

PATIENCE_S = 30.0
"""Against hanging only; nothing is judged by it."""
RANDOM_STOPS = 60
STOP_S = 1.0
"""What the contract promises."""
GONE_S = 5.0
"""Sockets and threads that are not gone by then are left behind."""

FAR_END = ("/tests/", "/hil/", "_accept_connection2", "/asyncua/server/", "/pymodbus/")
"""Files whose tasks are the peer's, living in the same loop."""

LOOK_S = 0.5
"""So long the suite looks whether a number comes out after all."""
MACHINE_S = 2.0
"""What a loaded machine may add to a promised time."""
MEMORY_GROWTH_BYTES = 32_768
"""What a driver may keep more after being down for longer: interned numbers, log records, no queue."""

MakeSource = Callable[[Post], Source]
Meddle = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
"""Takes an answer of the peer and writes to the driver what it likes in its place."""


class Line(Protocol):
    """What lies between a driver and its device."""

    async def mend(self) -> None:
        """All is well."""

    def hold(self) -> None:
        """The device is silent from now on."""

    async def cut(self) -> None:
        """The device is gone."""


@dataclass
class Subject:
    """One driver as the suite sees it.

    Attributes:
        make: a source of one device whose points are named by ``numbers``.
        line: what lies between it and its device; a ``Wire`` for ``OF_A_WIRE``.
        silent_s: within this time after the device's last answer all its points must be bad.
        put: every readable point shows this number from now on.
        truth: what the scan's rows must be while the device shows a number; NaN for a point never readable.
        has_checksum: the protocol notices a flipped bit.
        period_s: time between two scans of a source that is polled.
        restless: the device changes between both numbers as often as it can, until the context ends.
    """

    make: MakeSource
    line: Line
    silent_s: float
    put: Callable[[float], Awaitable[None]] | None = None
    truth: Callable[[float], list[float]] | None = None
    has_checksum: bool = False
    period_s: float | None = None
    restless: Callable[[float, float], AbstractAsyncContextManager[None]] | None = None


class Wire:
    """A TCP line to a real peer that can be held (bytes stop) or cut (connections die, nothing listens).

    Attributes:
        meddle: what is done to answers; None lets them through.
        answers: the last answers that were let through, the oldest first.
        fault: what went wrong in the suite's own meddling.
    """

    def __init__(self, target: int) -> None:
        self.meddle: Meddle | None = None
        self.answers: deque[bytes] = deque(maxlen=64)
        self.fault: Exception | None = None
        self._target = target
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.port = 0

    async def mend(self) -> None:
        self._open.set()
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    def hold(self) -> None:
        self._open.clear()

    async def cut(self) -> None:
        closing: set[asyncio.Task[None]] = set()
        if self._server is not None:
            self._server.close()
            # Since 3.12 this waits for the connections too, so they are broken meanwhile.
            closing = {asyncio.create_task(self._server.wait_closed())}
            self._server = None
        while (
            waiting := closing | self._pumps
        ):  # a connection just accepted may come after the others are broken
            for writer in self._writers:
                writer.transport.abort()
            await asyncio.wait(waiting, timeout=0.05)
            closing = {task for task in closing if not task.done()}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._pumps.add(task)
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._target)
            self._writers.add(back)
            try:
                await asyncio.gather(self._pump(reader, back), self._answer(there, writer, reader))
            finally:
                back.transport.abort()
                self._writers.discard(back)
        except OSError:
            pass
        except Exception as fault:  # noqa: BLE001 - a defect of the suite, raised at its end
            self.fault = fault
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._pumps.discard(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._let_through(source)
                sink.write(data)
        sink.transport.abort()

    async def _let_through(self, driver: asyncio.StreamReader) -> None:
        """Wait while held; a driver that closed its connection meanwhile is not waited for."""
        while not self._open.is_set():
            if driver._eof or driver.exception() is not None:
                raise ConnectionResetError
            await asyncio.sleep(0.01)

    async def _answer(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, driver: asyncio.StreamReader
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._let_through(driver)
                if self.meddle is not None:
                    await self.meddle(data, sink)
                else:
                    self.answers.append(data)
                    sink.write(data)
        sink.transport.abort()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    wire = Wire(port)
    await wire.mend()
    try:
        yield wire
    finally:
        await wire.mend()
        await wire.cut()
    if wire.fault is not None:
        raise wire.fault


class Catch:
    """Takes scans as the gateway would, and lets a test wait for one of a kind."""

    def __init__(self) -> None:
        self.scans: list[Scan] = []
        self._news = asyncio.Event()
        self._seen = 0

    def post(self, scan: Scan) -> None:
        assert (np.diff(scan.points.astype(int)) > 0).all(), "points are strictly rising"
        assert np.isnan(scan.values[is_bad(scan.quality)]).all(), "a bad value is NaN"
        assert not np.isnan(scan.values[is_good(scan.quality)]).any(), "NaN never comes out good"
        self.scans.append(scan)
        self._news.set()

    async def until(self, wanted: Callable[[Scan], bool]) -> Scan:
        """The next wanted scan behind the one that the last call gave."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                for scan in self.scans[self._seen :]:
                    self._seen += 1
                    if wanted(scan):
                        return scan
                self._news.clear()
                await self._news.wait()


def any_good(scan: Scan) -> bool:
    return bool(is_good(scan.quality).any())


def all_lost(scan: Scan) -> bool:
    return bool((scan.quality == bad(Cause.COMM)).all())


def open_sockets() -> set[str]:
    """Sockets and serial lines that this process holds."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            name = str(entry.readlink())
            if name.startswith("socket:"):
                found.add(name)
            elif name.startswith("/dev/pts/"):
                found.add(f"{name} as {entry.name}")
    return found


async def sockets_gone(before: set[str]) -> None:
    """Wait until no socket is open that was not: the far end in this process needs a moment to see the end."""
    await gone("sockets", open_sockets, before)


def open_threads() -> set[str]:
    """All but those of the loop's own executor, which belong to the loop."""
    names = {f"{thread.name} ({thread.ident})" for thread in threading.enumerate()}
    return {name for name in names if not name.startswith("asyncio_")}


def open_children() -> set[str]:
    """Processes that this one started and has not collected."""
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split())


def drivers_own() -> list[tracemalloc.Filter]:
    """Memory that lines of drivers hold."""
    return [tracemalloc.Filter(True, f"*/{room}/*") for room in ("drivers", "drivers/kit", "drivers/wire")]


async def gone(what: str, now: Callable[[], set[str]], before: set[str]) -> None:
    until = time.monotonic() + GONE_S
    while left := now() - before:
        assert time.monotonic() < until, f"{what} left behind: {left}"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running(source: Source) -> AsyncIterator[asyncio.Task[None]]:
    """A source that runs, and afterwards is stopped within the promise and has left nothing of its own."""
    before = asyncio.all_tasks()
    task = asyncio.create_task(source.run(), name="source under test")
    try:
        yield task
        assert not task.done(), f"run() returned by itself: {task}"
    finally:
        started = time.monotonic()
        task.cancel()
        await asyncio.wait({task}, timeout=5 * STOP_S)
        assert task.cancelled(), f"run() did not end by cancellation: {task}"
        assert time.monotonic() - started < STOP_S, "stopping took longer than promised"
        own = {
            other for other in asyncio.all_tasks() - before if not any(far in repr(other) for far in FAR_END)
        }
        assert not own, f"tasks left behind: {own}"


async def stops_in_any_state(make: MakeSource, wire: Line) -> None:
    for state in ("open", "held", "cut"):
        for delay_s in (0.0, 0.003, 0.05, 0.3, 0.8):
            await wire.mend()
            if state == "held":
                wire.hold()
            elif state == "cut":
                await wire.cut()
            mine, threads = open_sockets(), open_threads()
            async with running(make(Catch().post)):
                await asyncio.sleep(delay_s)
            await wire.mend()
            await gone("threads", open_threads, threads)
            await wire.cut()
            await sockets_gone(mine)


async def stops_at_random_moments(make: MakeSource, wire: Line) -> None:
    """Cancellations that meet an answer, a time-out or a clean-up are where libraries lose them."""
    dice = random.Random(1)
    for _ in range(RANDOM_STOPS):
        await wire.mend()
        async with running(make(Catch().post)):
            await asyncio.sleep(dice.uniform(0, 0.12))
            fate = dice.random()
            if fate < 0.3:
                wire.hold()
            elif fate < 0.6:
                await wire.cut()
            await asyncio.sleep(dice.uniform(0, 0.06))


async def silence_is_bad_and_passes(make: MakeSource, wire: Line) -> None:
    catch = Catch()
    source = make(catch.post)
    async with running(source):
        await catch.until(any_good)
        assert source.state().connected
        wire.hold()
        await catch.until(all_lost)
        await wire.mend()
        await catch.until(any_good)
        await wire.cut()
        lost = await catch.until(all_lost)
        assert lost.points.tolist() == list(range(len(lost.points)))
        await asyncio.sleep(0.1)
        assert not source.state().connected
        await wire.mend()
        await catch.until(any_good)
        assert source.state().connected


async def unreachable_from_the_start_is_said(make: MakeSource, wire: Line) -> None:
    await wire.cut()
    catch = Catch()
    source = make(catch.post)
    async with running(source):
        await catch.until(all_lost)
        assert source.state().detail
        await wire.mend()
        await catch.until(any_good)


def none_good(scan: Scan) -> bool:
    return not any_good(scan)


class Judge(Catch):
    """Takes scans and compares every number that may be used with what the device shows or lately showed.

    Attributes:
        allowed: columns of which each number must come, row by row.
    """

    def __init__(self, allowed: list[list[float]]) -> None:
        super().__init__()
        self.allowed = allowed
        self.lies: list[str] = []

    def post(self, scan: Scan) -> None:
        super().post(scan)
        for row, value in zip(scan.points.tolist(), scan.values.tolist(), strict=True):
            told = {column[row] for column in self.allowed}
            if not math.isnan(value) and value not in told:
                self.lies.append(f"row {row} says {value} where the device shows {told}")

    def check(self) -> None:
        assert not self.lies, f"a number that the device never showed came out: {self.lies[:3]}"


A, B, C = 23.40625, -118.75390625, 4711.6875
"""Numbers that float32 holds exactly; every mixture of two ones' halves is another one."""


async def noise(data: bytes, sink: asyncio.StreamWriter) -> None:
    sink.write(DICE.randbytes(max(len(data), 20)))


async def nothing(data: bytes, sink: asyncio.StreamWriter) -> None:
    return


async def torn_then_silent(data: bytes, sink: asyncio.StreamWriter) -> None:
    sink.write(data[: DICE.randrange(1, len(data))])


async def torn_then_closed(data: bytes, sink: asyncio.StreamWriter) -> None:
    sink.write(data[: DICE.randrange(1, len(data))])
    with suppress(OSError):
        await sink.drain()
    sink.close()


async def flipped(data: bytes, sink: asyncio.StreamWriter) -> None:
    """One bit is another; only a checksum tells."""
    bit = DICE.randrange(8 * len(data))
    mangled = bytearray(data)
    mangled[bit // 8] ^= 1 << bit % 8
    sink.write(mangled)


async def backwards(data: bytes, sink: asyncio.StreamWriter) -> None:
    sink.write(data[::-1])


async def overlong(data: bytes, sink: asyncio.StreamWriter) -> None:
    sink.write(data + DICE.randbytes(300))


async def twice(data: bytes, sink: asyncio.StreamWriter) -> None:
    sink.write(data + data)


async def dripping(data: bytes, sink: asyncio.StreamWriter) -> None:
    for byte in data:
        sink.write(bytes((byte,)))
        await asyncio.sleep(0)


DICE = random.Random(20_261_122)
BREAKING: tuple[Meddle, ...] = (noise, nothing, torn_then_silent, torn_then_closed, backwards)
"""After these no answer can be used: every point must turn bad."""
CONFUSING: tuple[Meddle, ...] = (overlong, twice, dripping)
"""With these a right answer is among the bytes, and may be found."""


async def silence_is_told_in_time_and_nothing_stale_is_good(subject: Subject) -> None:
    """From the promised time on no number may be used, however long the device stays silent."""
    line = subject.line
    for fall in ("silent", "gone"):
        catch = Catch()
        async with running(subject.make(catch.post)):
            await catch.until(any_good)
            if fall == "silent":
                line.hold()
            else:
                await line.cut()
            fell_ns = time.monotonic_ns()
            lost = await _within(
                catch, none_good, subject.silent_s + MACHINE_S, f"a {fall} device is not said"
            )
            posted = len(catch.scans)
            await asyncio.sleep(subject.silent_s + 0.5)
            stale = [scan for scan in catch.scans[posted:] if any_good(scan)]
            assert not stale, f"a {fall} device's values are good again {_ago(stale, fell_ns)}"
            assert len(lost.points) == len(set(lost.points.tolist()))
            await line.mend()
            await _within(catch, any_good, PATIENCE_S, "it does not recover")


def _ago(scans: list[Scan], since_ns: int) -> str:
    return f"{(scans[0].taken_mono_ns - since_ns) / 1e9:.2f} s after its last answer"


async def _within(catch: Catch, wanted: Callable[[Scan], bool], limit_s: float, otherwise: str) -> Scan:
    try:
        async with asyncio.timeout(limit_s):
            return await catch.until(wanted)
    except TimeoutError:
        raise AssertionError(f"{otherwise} within {limit_s:g} s") from None


async def hostile_answers_give_a_cause_and_never_a_number(subject: Subject) -> None:
    """Whatever comes in place of an answer: no number that the device did not show, and it recovers by itself."""
    wire, put, truth = _numbers(subject)
    await put(A)
    judge = Judge([truth(A), truth(B)])
    async with running(subject.make(judge.post)) as task:
        for meddle in (*BREAKING, *([flipped] if subject.has_checksum else []), *CONFUSING):
            await put(A)  # a device that tells changes only has something to tell
            await _within(judge, partial(_shows, truth(A)), PATIENCE_S, f"no number before {meddle.__name__}")
            wire.meddle = meddle
            await put(B)
            if meddle not in CONFUSING:
                limit_s = subject.silent_s + MACHINE_S
                await _within(judge, none_good, limit_s, f"{meddle.__name__} is not said")
                posted = len(judge.scans)
                await asyncio.sleep(LOOK_S)
                assert not any(map(any_good, judge.scans[posted:])), f"{meddle.__name__} came out good"
            else:
                await asyncio.sleep(LOOK_S)
            wire.meddle = None
            assert not task.done()
        await put(A)
        await _within(judge, partial(_shows, truth(A)), PATIENCE_S, "at the end it does not recover")
    judge.check()


async def an_old_answer_is_never_taken_for_a_new_one(subject: Subject) -> None:
    """The wire repeats an answer to an earlier question, as a gateway does that has mixed up its clients."""
    wire, put, truth = _numbers(subject)
    await put(A)
    judge = Judge([truth(A), truth(B)])
    async with running(subject.make(judge.post)):
        await _within(judge, partial(_shows, truth(A)), PATIENCE_S, "the first number is not seen")
        old = tuple(wire.answers)
        await put(B)
        await _within(judge, partial(_shows, truth(B)), PATIENCE_S, "the second number is not seen")
        judge.allowed = [truth(B), truth(C)]

        async def replay(data: bytes, sink: asyncio.StreamWriter) -> None:
            sink.write(_likest(old, data))

        async def replay_before(data: bytes, sink: asyncio.StreamWriter) -> None:
            sink.write(_likest(old, data) + data)

        for meddle, number in ((replay, C), (replay_before, B)):
            wire.meddle = meddle
            await asyncio.sleep(subject.silent_s)
            wire.meddle = None
            await put(number)
            shows = partial(_shows, truth(number))
            await _within(judge, shows, PATIENCE_S, f"after {meddle.__name__} it does not recover")
    judge.check()


def _likest(old: Sequence[bytes], data: bytes) -> bytes:
    """The old answer that is most like this one: an answer to the same question."""
    return max(
        old, key=lambda one: (len(one) == len(data), sum(a == b for a, b in zip(one, data, strict=False)))
    )


def _numbers(
    subject: Subject,
) -> tuple[Wire, Callable[[float], Awaitable[None]], Callable[[float], list[float]]]:
    assert hasattr(subject.line, "meddle"), "only a wire's bytes can be meddled with"
    assert subject.put is not None
    assert subject.truth is not None
    return cast("Wire", subject.line), subject.put, subject.truth


def _shows(column: list[float], scan: Scan) -> bool:
    return any(
        value == column[row] for row, value in zip(scan.points.tolist(), scan.values.tolist(), strict=True)
    )


async def a_value_is_never_torn(subject: Subject) -> None:
    """A number of several registers comes from one answer, whole, while the device changes it all the time."""
    assert subject.truth is not None
    assert subject.restless is not None
    judge = Judge([subject.truth(A), subject.truth(B)])
    async with subject.restless(A, B), running(subject.make(judge.post)):
        for _ in range(10):
            await _within(judge, any_good, PATIENCE_S, "nothing is read")
    judge.check()


async def nan_is_never_good(subject: Subject) -> None:
    _, put, truth = _numbers(subject)
    catch = Catch()
    readable = [row for row, value in enumerate(truth(A)) if not math.isnan(value)]

    def says_bad(scan: Scan) -> bool:
        return bool(is_bad(scan.quality[np.isin(scan.points, readable)]).any())

    async with running(subject.make(catch.post)):
        for number in (math.nan, math.inf, -math.inf):
            await put(A)
            await _within(catch, partial(_shows, truth(A)), PATIENCE_S, "the number is not seen")
            await put(number)
            await _within(catch, says_bad, PATIENCE_S, f"{number} is not said")
    for scan in catch.scans:
        assert np.isfinite(scan.values[is_good(scan.quality)]).all()


async def a_polling_driver_repeats_its_bad_points_in_every_period(subject: Subject) -> None:
    """Every point, again and again, whatever the driver does meanwhile to get its device back.

    A device that is gone is known to be so at once: every period is due. One that is silent costs its time-out first.
    Half of what is due is asked for, because a loaded machine skips periods.
    """
    assert subject.period_s is not None
    catch = Catch()
    async with running(subject.make(catch.post)):
        await catch.until(any_good)
        for fall, due_s in (("gone", subject.period_s), ("silent", max(subject.silent_s, subject.period_s))):
            await subject.line.mend()
            await catch.until(any_good)
            if fall == "silent":
                subject.line.hold()
            else:
                await subject.line.cut()
            await asyncio.sleep(subject.silent_s)
            posted = len(catch.scans)
            await asyncio.sleep(REPEATS * due_s)
            # One scan may hold a part of them: a group, or what was overheard by then.
            points = 1 + max(int(scan.points[-1]) for scan in catch.scans)
            said = np.zeros(points, dtype=int)
            for scan in catch.scans[posted:]:
                said[scan.points[is_bad(scan.quality)]] += 1
            assert (said >= REPEATS // 2).all(), (
                f"a {fall} device is not said in every period: {said.tolist()}"
            )


REPEATS = 12
"""So many periods of a device that is away are looked at."""


async def down_for_long_nothing_grows(subject: Subject) -> None:
    """Sockets, threads, tasks, scans and memory stay bounded while the device is silent or gone."""
    line = subject.line
    for fall in ("gone", "silent"):
        await line.mend()
        posted = 0
        first = asyncio.Event()

        def post(scan: Scan, first: asyncio.Event = first) -> None:
            nonlocal posted
            posted += 1
            if any_good(scan):
                first.set()

        async with running(subject.make(post)):
            async with asyncio.timeout(PATIENCE_S):
                await first.wait()
            if fall == "silent":
                line.hold()
            else:
                await line.cut()
            await asyncio.sleep(subject.silent_s + 1)  # by now it is in the state in which it will stay
            posted = 0
            before = (len(open_sockets()), len(open_threads()), len(asyncio.all_tasks()))
            grown = await _grown(2.0)
            after = (len(open_sockets()), len(open_threads()), len(asyncio.all_tasks()))
            assert grown < MEMORY_GROWTH_BYTES, f"{grown} bytes more after 2 s without a {fall} device"
            # a connection under way has a socket here, one at the wire and one to the peer, and their tasks
            assert all(now <= then + 6 for then, now in zip(before, after, strict=True)), (before, after)
            assert posted <= 2.0 / SHORTEST_PERIOD_S + 2, f"{posted} scans in 2 s without a {fall} device"
            await line.mend()


SHORTEST_PERIOD_S = 0.05
"""No subject polls faster."""


async def _grown(duration_s: float) -> int:
    """Bytes that the drivers' own lines hold more after this time."""
    mine = [
        tracemalloc.Filter(True, f"*/{folder}/*") for folder in ("drivers", "drivers/kit", "drivers/wire")
    ]
    tracemalloc.start()
    try:
        await asyncio.sleep(duration_s / 2)
        gc.collect()
        before = tracemalloc.take_snapshot().filter_traces(mine)
        await asyncio.sleep(duration_s / 2)
        gc.collect()
        after = tracemalloc.take_snapshot().filter_traces(mine)
    finally:
        tracemalloc.stop()
    return sum(change.size_diff for change in after.compare_to(before, "filename"))


Promise = Callable[[Subject], Awaitable[None]]
Stage = Callable[[Path], AbstractAsyncContextManager[Subject]]
"""Sets a device up, in a folder of its own."""


def _of(promise: Callable[[MakeSource, Line], Awaitable[None]]) -> Promise:
    async def asked(subject: Subject) -> None:
        await promise(subject.make, subject.line)

    asked.__name__ = promise.__name__
    return asked


OF_EVERY_SOURCE: tuple[Promise, ...] = (
    _of(stops_in_any_state),
    _of(stops_at_random_moments),
    _of(silence_is_bad_and_passes),
    _of(unreachable_from_the_start_is_said),
    silence_is_told_in_time_and_nothing_stale_is_good,
    down_for_long_nothing_grows,
)
OF_A_POLLED_SOURCE: tuple[Promise, ...] = (a_polling_driver_repeats_its_bad_points_in_every_period,)
OF_A_WIRE: tuple[Promise, ...] = (
    hostile_answers_give_a_cause_and_never_a_number,
    an_old_answer_is_never_taken_for_a_new_one,
    a_value_is_never_torn,
    nan_is_never_good,
)
