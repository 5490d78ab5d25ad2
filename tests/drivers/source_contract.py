"""What every driver's source must keep (kit.contract.Source), asked of any of them through a real wire.

A driver's test gives a ``Wire`` with a healthy real peer behind it and a function that makes a source.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import numpy as np

from drivers.kit.contract import Post, Source
from drivers.kit.quality import Cause, bad, is_bad, is_good
from drivers.kit.scan import Scan

PATIENCE_S = 30.0
"""Against hanging only; nothing is judged by it."""
RANDOM_STOPS = 60
STOP_S = 1.0
"""What the contract promises."""

FAR_END = ("/tests/", "_accept_connection2", "/asyncua/server/", "/pymodbus/")
"""Files whose tasks are the peer's, living in the same loop."""

MakeSource = Callable[[Post], Source]


class Wire:
    """A TCP line to a real peer that can be held (bytes stop) or cut (connections die, nothing listens)."""

    def __init__(self, target: int) -> None:
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
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
            finally:
                back.transport.abort()
                self._writers.discard(back)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._pumps.discard(task)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await source.read(65_536):
                await self._open.wait()
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
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            name = str(entry.readlink())
            if name.startswith("socket:"):
                found.add(name)
    return found


async def sockets_gone(before: set[str]) -> None:
    """Wait until no socket is open that was not: the far end in this process needs a moment to see the end."""
    async with asyncio.timeout(PATIENCE_S):
        while open_sockets() - before:
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
        await asyncio.wait({task}, timeout=PATIENCE_S)
        assert task.cancelled(), f"run() did not end by cancellation: {task}"
        assert time.monotonic() - started < STOP_S, "stopping took longer than promised"
        own = {
            other for other in asyncio.all_tasks() - before if not any(far in repr(other) for far in FAR_END)
        }
        assert not own, f"tasks left behind: {own}"


async def stops_in_any_state(make: MakeSource, wire: Wire) -> None:
    for state in ("open", "held", "cut"):
        for delay_s in (0.0, 0.003, 0.05, 0.3, 0.8):
            await wire.mend()
            if state == "held":
                wire.hold()
            elif state == "cut":
                await wire.cut()
            mine = open_sockets()
            async with running(make(Catch().post)):
                await asyncio.sleep(delay_s)
            await wire.mend()
            await wire.cut()
            await sockets_gone(mine)


async def stops_at_random_moments(make: MakeSource, wire: Wire) -> None:
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


async def silence_is_bad_and_passes(make: MakeSource, wire: Wire) -> None:
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


async def unreachable_from_the_start_is_said(make: MakeSource, wire: Wire) -> None:
    await wire.cut()
    catch = Catch()
    source = make(catch.post)
    async with running(source):
        await catch.until(all_lost)
        assert source.state().detail
        await wire.mend()
        await catch.until(any_good)
