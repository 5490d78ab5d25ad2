"""Reads float32 gauges over Modbus TCP, one request each: the smallest driver that keeps the contract.

An example for whoever writes one (drivers/README.md, "How to add a driver"); it is no part of the product. It owns
its socket and decides nothing: whatever is not the awaited answer ends the connection with a cause.
"""

from __future__ import annotations

import asyncio
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from drivers.kit.contract import Post, SourceState
from drivers.kit.errors import SourceError
from drivers.kit.options import refuse, within
from drivers.kit.pace import next_due, period_ns
from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Device, Point, Scan, missed

READ_HOLDING_REGISTERS: Final = 3
REGISTERS: Final = 2

_QUESTION: Final = struct.Struct(">HHHBBHH")
_ANSWER: Final = struct.Struct(">HHHBBB4s")

Line = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Options:
    """A device's own keys in gateway.toml.

    Attributes:
        host: IP address of the device.
        port: TCP port.
        timeout_s: how long one scan may take.
    """

    host: str
    port: int = 502
    timeout_s: float = 1.0

    def __post_init__(self) -> None:
        within("port", self.port, 1, 65_535)
        within("timeout_s", self.timeout_s, 0.05, 60)


def polled(options: Options) -> bool:
    """Every point is posted in every period."""
    return True


def check_point(point: Point, options: Options) -> None:
    """May this point stand in the point table?

    Raises:
        PointError: it cannot be read as written.
    """
    if not (point.address.isdecimal() and int(point.address) < 65_535):
        zh, en = f"“{point.address}”不是寄存器号。", f'"{point.address}" is no register number.'
        refuse("address", zh, en, " 0 到 65534", "0 to 65534")


def connect(device: Device, options: Options, post: Post) -> GaugeSource:
    """A source for this device; opens nothing yet."""
    return GaugeSource(device, options, post)


class GaugeSource:
    """One device being read; see ``kit.contract.Source``."""

    def __init__(self, device: Device, options: Options, post: Post) -> None:
        self._device = device
        self._options = options
        self._post = post
        self._rows = np.arange(len(device.points), dtype=np.uint16)
        self._line: Line | None = None
        self._transaction = 0
        self._state = SourceState(
            connected=False, since_ns=time.time_ns(), detail="not read yet", counters={}
        )

    def state(self) -> SourceState:
        """How the source is now."""
        return self._state

    async def read(self) -> Scan:
        """Read every point once over a connection of its own.

        Raises:
            SourceError: the device could not be reached, or talks nonsense.
        """
        try:
            return await self._scan()
        finally:
            await self._close()

    async def run(self) -> None:
        """Read for ever and post scans; ends by cancellation only."""
        period, last_ns = period_ns(self._device.period_s), None
        try:
            while True:
                try:
                    scan = await self._scan()
                    self._turn(connected=True, detail=self._options.host)
                except SourceError as error:
                    scan = await self._fell(error)
                self._post(scan)
                due = next_due(time.monotonic_ns(), period, self._device.slot, last_ns)
                last_ns = due.at_ns
                await asyncio.sleep(due.at_s - time.monotonic())
        finally:
            await self._close()

    async def _fell(self, error: SourceError) -> Scan:
        """After any doubt: a new connection, and bad points until it answers."""
        await self._close()
        self._turn(connected=False, detail=error.detail)
        return missed(self._device, self._rows, error.quality_cause, time.time_ns(), time.monotonic_ns())

    async def _scan(self) -> Scan:
        try:
            async with asyncio.timeout(self._options.timeout_s):
                if self._line is None:
                    self._line = await asyncio.open_connection(self._options.host, self._options.port)
                values = [await self._value(self._line, int(point.address)) for point in self._device.points]
        except TimeoutError as error:
            raise SourceError(Cause.COMM, f"no answer within {self._options.timeout_s:g} s") from error
        except (OSError, asyncio.IncompleteReadError) as error:
            raise SourceError(Cause.COMM, str(error)) from error
        column = np.array(values, dtype=np.float64)
        quality = np.where(np.isfinite(column), GOOD, bad(Cause.DEVICE_FAULT)).astype(np.uint8)
        column[quality != GOOD] = np.nan
        now = (time.time_ns(), time.monotonic_ns())
        return Scan(self._device.name, self._device.config_rev, self._rows, column, quality, *now)

    async def _value(self, line: Line, register: int) -> float:
        words = await self._words(line, register, REGISTERS)
        (value,) = struct.unpack(">f", words)
        return float(value)

    async def _words(self, line: Line, register: int, count: int) -> bytes:
        """Ask for registers and look at everything that comes back."""
        reader, writer = line
        self._transaction = self._transaction % 0xFFFF + 1
        question = _QUESTION.pack(self._transaction, 0, 6, 1, READ_HOLDING_REGISTERS, register, count)
        writer.write(question)
        head = await reader.readexactly(_ANSWER.size - 4)
        self._check(head, count)
        return await reader.readexactly(2 * count)

    def _check(self, head: bytes, count: int) -> None:
        awaited = struct.pack(
            ">HHHBBB", self._transaction, 0, 3 + 2 * count, 1, READ_HOLDING_REGISTERS, 2 * count
        )
        if head != awaited:
            raise SourceError(Cause.GARBLED, f"{head.hex()} came where {awaited.hex()} belongs")

    def _turn(self, *, connected: bool, detail: str) -> None:
        if (connected, detail) != (self._state.connected, self._state.detail):
            self._state = SourceState(connected, time.time_ns(), detail, {})

    async def _close(self) -> None:
        if self._line is not None:
            _, writer = self._line
            self._line = None
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
