"""An event loop whose time jumps: a day passes in the minutes that its work takes. Touches no clock of the machine.

Time stands still while anything is ready or while a real thread owes an answer (``owed``); else it jumps to the next
timer. So what runs in the loop alone happens at the same instants on every run, however fast the machine is, and a
disk is really waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from buffer.record import Append, Record
from buffer.writer import Opened, SpoolWriter
from gateway.clock import SystemClock
from gateway.instant import ClockState, Now

GRAIN_NS: Final = 1_000
"""Every instant is a whole number of these, so that sums of seconds stay what they are on paper."""
FIRST_MONO_NS: Final = 1_000 * 10**9
"""Monotonic clock at the beginning: a machine that started a while ago."""
ANSWER_S: Final = 60.0
"""A thread that owes an answer for so long (really) hangs."""
SYNCHRONISED: Final = ClockState("synchronised", 1.0)


class StuckError(RuntimeError):
    """Time cannot go on: nothing is left to wait for, or a thread does not answer."""


class _Jumping(selectors.DefaultSelector):
    """Lets time jump instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = FIRST_MONO_NS
        self.owed = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self.owed:
            ready = super().select(ANSWER_S)
            if not ready:
                raise StuckError(f"a thread owes an answer for more than {ANSWER_S:g} s")
            return ready
        if timeout is None:
            raise StuckError("nothing is left that time could bring about")
        self.now_ns += max(round(timeout * 1e9 / GRAIN_NS), 1) * GRAIN_NS
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop of which ``time`` is virtual. Threads are waited for where ``owed`` says so, and nowhere else."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)
        self._clock_resolution = GRAIN_NS / 1e9

    @property
    def now_ns(self) -> int:
        """Virtual monotonic nanoseconds."""
        return self._jumping.now_ns

    def time(self) -> float:
        """The same in seconds."""
        return self._jumping.now_ns / 1e9

    @contextmanager
    def owed(self) -> Iterator[None]:
        """A thread owes an answer: time stands still until it is there."""
        self._jumping.owed += 1
        try:
            yield
        finally:
            self._jumping.owed -= 1


class VirtualClock(SystemClock):
    """The machine's clocks as the loop has them.

    Args:
        loop: whose time.
        begin_ns: UTC at the beginning of its time.
    """

    def __init__(self, loop: VirtualLoop, begin_ns: int) -> None:
        super().__init__()
        self._loop = loop
        self._ahead_ns = begin_ns - FIRST_MONO_NS

    def now(self) -> Now:
        """This instant."""
        return Now(self._loop.now_ns, self._loop.now_ns + self._ahead_ns, SYNCHRONISED)

    def set_by(self, by_ns: int) -> None:
        """Somebody sets the wall clock."""
        self._ahead_ns += by_ns


class AwaitedSpool(SpoolWriter):
    """The real spool in such a loop: its thread is waited for, whatever it takes."""

    async def start(self) -> Opened:
        """See SpoolWriter."""
        with _loop().owed():
            return await super().start()

    async def append(self, work: Append) -> tuple[Record, ...]:
        """See SpoolWriter."""
        with _loop().owed():
            return await super().append(work)

    async def close(self) -> None:
        """See SpoolWriter."""
        with _loop().owed():
            await super().close()


def _loop() -> VirtualLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop), "virtual time needs its own loop"
    return loop
