"""Six drivers that each break one promise; the contract suite must turn red for that very one."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import replace

from added.gauge import REGISTERS, GaugeSource, Line, Options

from drivers.kit.contract import Post
from drivers.kit.errors import SourceError
from drivers.kit.quality import is_bad
from drivers.kit.scan import Device, Scan


class AcceptsAForeignTransaction(GaugeSource):
    """Does not look at the transaction identifier."""

    def _check(self, head: bytes, count: int) -> None:
        super()._check(struct.pack(">H", self._transaction) + head[2:], count)


class TearsAFloat(GaugeSource):
    """Asks for the two registers of a value one by one."""

    async def _value(self, line: Line, register: int) -> float:
        words = [await self._words(line, register + k, 1) for k in range(REGISTERS)]
        (value,) = struct.unpack(">f", b"".join(words))
        return float(value)


class KeepsAStaleValueGood(GaugeSource):
    """Says of a lost device what it said last, with a fresh time."""

    last: Scan | None = None

    async def _scan(self) -> Scan:
        self.last = await super()._scan()
        return self.last

    async def _fell(self, error: SourceError) -> Scan:
        missed = await super()._fell(error)
        if self.last is None:
            return missed
        return replace(self.last, taken_ns=missed.taken_ns, taken_mono_ns=missed.taken_mono_ns)


class SwallowsCancellation(GaugeSource):
    """Takes its cancellation for one more reason to try again; the second one it obeys."""

    swallowed = False

    async def _scan(self) -> Scan:
        try:
            return await super()._scan()
        except asyncio.CancelledError:
            if self.swallowed:
                raise
            self.swallowed = True
            return await super()._scan()


class LeaksASocket(GaugeSource):
    """Forgets its connections instead of closing them."""

    leaked: list[Line]

    async def _close(self) -> None:
        if self._line is not None:
            self.leaked.append(self._line)
            self._line = None


class SaysItOnce(GaugeSource):
    """Thinks that a lost device need not be mentioned twice."""

    lost = False

    def __init__(self, device: Device, options: Options, post: Post) -> None:
        def post_news(scan: Scan) -> None:
            was, self.lost = self.lost, bool(is_bad(scan.quality).all())
            if not (was and self.lost):
                post(scan)

        super().__init__(device, options, post_news)
