"""Knows what a gateway in this process is doing right now, by wrapping its functions from outside. Decides nothing.

    connect   a connection is being made, to a PLC or a broker
    read      a PLC was asked and has not answered
    evaluate  scans are being judged
    commit    the spool was given something that is not durable yet
    publish   a message went out and is not acknowledged
    wait      none of these

Several may be under way at once. Used in one thread, the one whose loop the gateway runs on.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from weakref import WeakSet

from buffer.writer import SpoolWriter
from drivers.modbus import ModbusSource
from drivers.wire.modbus_link import Link as ModbusLink
from gateway.engine import Engine
from gateway.uplink.mqtt import MqttTransport
from gateway.uplink.window import Window

WAIT: Final = "wait"
PHASES: Final = ("connect", "read", "evaluate", "commit", "publish", WAIT)

_AWAITED: Final[tuple[tuple[type, str, str], ...]] = (
    (MqttTransport, "connect", "connect"),
    (ModbusSource, "_open", "connect"),
    (SpoolWriter, "append", "commit"),
)
Entered: TypeAlias = Callable[[str], None]


class Phases:
    """Wraps while its context lasts.

    Attributes:
        entered: called with a phase's name at each of its beginnings; "wait" has none.
    """

    def __init__(self) -> None:
        self.entered: Entered = _nobody
        self._under_way: Counter[str] = Counter()
        self._asked: WeakSet[ModbusLink] = WeakSet()
        self._windows: WeakSet[Window] = WeakSet()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for owner, name, phase in _AWAITED:
            self._wrap(owner, name, self._awaited(getattr(owner, name), phase))
        self._wrap(Engine, "step", self._called(Engine.step, "evaluate"))
        self._wrap(ModbusLink, "put", self._put(ModbusLink.put))
        self._wrap(ModbusLink, "release", self._released(ModbusLink.release))
        self._wrap(Window, "sent", self._sent(Window.sent))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def forget(self) -> None:
        """The gateway has ended; the next one begins."""
        self.entered = _nobody
        self._under_way.clear()
        self._asked.clear()
        self._windows.clear()

    def now(self) -> frozenset[str]:
        """What is under way; never empty."""
        found = {phase for phase, times in self._under_way.items() if times > 0}
        if self._asked:
            found.add("read")
        if any(len(window) for window in self._windows):
            found.add("publish")
        return frozenset(found or {WAIT})

    def _wrap(self, owner: type, name: str, wrapper: Callable[..., Any]) -> None:
        self._stack.callback(setattr, owner, name, getattr(owner, name))
        setattr(owner, name, wrapper)

    def _awaited(self, inner: Callable[..., Awaitable[Any]], phase: str) -> Callable[..., Awaitable[Any]]:
        @functools.wraps(inner)
        async def outer(*args: Any, **named: Any) -> Any:
            self._begin(phase)
            try:
                return await inner(*args, **named)
            finally:
                self._under_way[phase] -= 1

        return outer

    def _called(self, inner: Callable[..., Any], phase: str) -> Callable[..., Any]:
        @functools.wraps(inner)
        def outer(*args: Any, **named: Any) -> Any:
            self._begin(phase)
            try:
                return inner(*args, **named)
            finally:
                self._under_way[phase] -= 1

        return outer

    def _put(self, inner: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(inner)
        def outer(link: ModbusLink, *args: Any, **named: Any) -> None:
            inner(link, *args, **named)
            self._asked.add(link)
            self.entered("read")

        return outer

    def _released(self, inner: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(inner)
        def outer(link: ModbusLink, *args: Any, **named: Any) -> None:
            self._asked.discard(link)
            inner(link, *args, **named)

        return outer

    def _sent(self, inner: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(inner)
        def outer(window: Window, *args: Any, **named: Any) -> None:
            inner(window, *args, **named)
            self._windows.add(window)
            self.entered("publish")

        return outer

    def _begin(self, phase: str) -> None:
        self._under_way[phase] += 1
        self.entered(phase)


def _nobody(phase: str) -> None:
    del phase
