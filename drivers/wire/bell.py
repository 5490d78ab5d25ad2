"""Rings once per instant for everyone who waits for it. Touches the loop's timers; decides no instant.

Timers of their own would cost about half a read, and devices of one slot are due at the very same instant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary


class Bell:
    """One timer per instant."""

    def __init__(self) -> None:
        self._waiting: dict[float, _Instant] = {}

    def call_at(self, at_s: float, key: object, call: Callable[[], None]) -> None:
        """Call when the running loop's clock shows this; ``call`` must not raise."""
        instant = self._waiting.get(at_s)
        if instant is None:
            timer = asyncio.get_running_loop().call_at(at_s, self._ring, at_s)
            instant = self._waiting[at_s] = _Instant(timer, {})
        instant.calls[key] = call

    def take_back(self, at_s: float, key: object) -> None:
        """Do not call any more, if it has not been."""
        instant = self._waiting.get(at_s)
        if instant is not None:
            instant.calls.pop(key, None)
            if not instant.calls:
                instant.timer.cancel()
                del self._waiting[at_s]

    def _ring(self, at_s: float) -> None:
        for call in self._waiting.pop(at_s).calls.values():
            call()


class _Instant(NamedTuple):
    timer: asyncio.TimerHandle
    calls: dict[object, Callable[[], None]]


_BELLS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Bell]] = WeakKeyDictionary()


def bell() -> Bell:
    """The running loop's."""
    return _BELLS.setdefault(asyncio.get_running_loop(), Bell())


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
