"""Rings once per instant for everyone who waits for it. Touches the loop's timers and the clock; decides no instant.

Timers of their own would cost about half a read, and devices of one slot are due at the very same instant.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol
from weakref import WeakKeyDictionary

from drivers.kit.pace import SLOTS_PER_PERIOD, next_due


class Bell:
    """One timer per instant."""

    def __init__(self) -> None:
        self._waiting: dict[float, dict[object, Callable[[], None]]] = {}
        self._timers: dict[float, asyncio.TimerHandle] = {}

    def call_at(self, at_s: float, key: object, call: Callable[[], None]) -> None:
        """Call when the running loop's clock shows this; ``call`` must not raise."""
        calls = self._waiting.get(at_s)
        if calls is None:
            self._timers[at_s] = asyncio.get_running_loop().call_at(at_s, self._ring, at_s)
            self._waiting[at_s] = {key: call}
        else:
            calls[key] = call

    def take_back(self, at_s: float, key: object) -> None:
        """Do not call any more, if it has not been."""
        calls = self._waiting.get(at_s)
        if calls is not None:
            calls.pop(key, None)
            if not calls:
                self._timers.pop(at_s).cancel()
                del self._waiting[at_s]

    def _ring(self, at_s: float) -> None:
        del self._timers[at_s]
        for call in self._waiting.pop(at_s).values():
            call()


class Waiting(Protocol):
    """Who waits for something that may not come.

    Attributes:
        late_s: when it has waited long enough, as the loop's clock counts; inf while it waits for nothing.
    """

    late_s: float

    def give_up(self) -> None:
        """It has waited long enough; must not raise, and must set ``late_s``."""


class Watch:
    """Tells whoever has waited long enough, by one timer that is moved only when it rings: hardly anything is late.

    Attributes:
        at_s: when it rings, inf for not at all. Who begins to wait calls ``wake_by`` if that is later than its own.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._members: set[Waiting] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.at_s = math.inf

    def join(self, member: Waiting) -> None:
        """Look after it from now on."""
        self._members.add(member)

    def leave(self, member: Waiting) -> None:
        """Look after it no more."""
        self._members.discard(member)

    def wake_by(self, late_s: float) -> None:
        """Look no later than this."""
        if late_s < self.at_s:
            if self._timer is not None:
                self._timer.cancel()
            self.at_s = late_s
            self._timer = self._loop.call_at(late_s, self._ring, late_s)

    def _ring(self, at_s: float) -> None:
        self._timer, self.at_s = None, math.inf
        for member in tuple(self._members):
            if member.late_s <= at_s:
                member.give_up()
        next_s = min((member.late_s for member in self._members), default=math.inf)
        if next_s < math.inf:
            self.wake_by(next_s)


class Beat:
    """Strikes at every point of the grid of one period and slot, for all devices that are read then.

    Args:
        period: nanoseconds.
        slot: as ``kit.pace`` counts.
    """

    def __init__(self, period: int, slot: int) -> None:
        self._period = period
        self._slot = slot
        self._at_s = 0.0
        self._members: dict[object, Callable[[int], None]] = {}

    def join(self, key: object, strike: Callable[[int], None]) -> None:
        """Call at every point of the grid from now on, with the monotonic clock; ``strike`` must not raise."""
        if not self._members:
            self._wait(time.monotonic_ns(), None)
        self._members[key] = strike

    def leave(self, key: object) -> None:
        """Do not call any more."""
        self._members.pop(key, None)
        if not self._members:
            bell().take_back(self._at_s, self)

    def _wait(self, now_ns: int, last_ns: int | None) -> None:
        due = next_due(now_ns, self._period, self._slot, last_ns)
        self._at_s = due.at_s
        bell().call_at(self._at_s, self, partial(self._strike, due.at_ns))

    def _strike(self, at_ns: int) -> None:
        now_ns = time.monotonic_ns()
        self._wait(now_ns, at_ns)
        for strike in tuple(self._members.values()):
            strike(now_ns)


_BEATS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[int, int], Beat]]] = WeakKeyDictionary()


def beat(period: int, slot: int) -> Beat:
    """The running loop's for this period and slot; there are as many as the configuration has of these."""
    beats = _BEATS.setdefault(asyncio.get_running_loop(), {})
    key = period, slot % SLOTS_PER_PERIOD
    found = beats.get(key)
    if found is None:
        found = beats[key] = Beat(*key)
    return found


_BELLS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Bell]] = WeakKeyDictionary()


def bell() -> Bell:
    """The running loop's."""
    return _BELLS.setdefault(asyncio.get_running_loop(), Bell())


_WATCHES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Watch]] = WeakKeyDictionary()


def watch() -> Watch:
    """The running loop's."""
    return _WATCHES.setdefault(asyncio.get_running_loop(), Watch())


async def sleep_until(deadline_s: float) -> None:
    """Sleep until the loop's clock shows exactly this, so that devices of one slot wake in one turn."""
    waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    ours = bell()
    ours.call_at(deadline_s, waking, partial(_wake, waking))
    try:
        await waking
    finally:
        ours.take_back(deadline_s, waking)


def _wake(waking: asyncio.Future[None]) -> None:
    if not waking.done():
        waking.set_result(None)
