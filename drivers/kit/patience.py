"""Decides which blocks are worth asking for now: silent units and refused places wait. Pure.

A unit that fell silent must not hold up its neighbours, and one bad register must not poison its block.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

from drivers.kit.planner import Block, narrow
from drivers.kit.quality import Cause
from drivers.kit.scan import Point

REFUSED_RETRY_NS: Final = 60 * 1_000_000_000
"""A place the device refused is asked for again after this time."""
SPLITTING: Final = frozenset({2, 3})
"""Exceptions (illegal data address, illegal data value) that may be one bad register's among good ones."""
UNIT_ABSENT: Final = frozenset({0x0A, 0x0B})
"""Exceptions by which a Modbus TCP gateway says that the unit behind it is silent."""


def cause_of_exception(code: int) -> Cause:
    """What an exception code means for the points (Modbus Application Protocol V1.1b3 section 7)."""
    return Cause.COMM if code in UNIT_ABSENT else Cause.REFUSED


class Patience:
    """What one connection's units have earned.

    Attributes:
        silent: units without an answer, the one whose turn it is to be asked again first.
    """

    def __init__(self, points: tuple[Point, ...], unit_id: int) -> None:
        self._points = points
        self._unit_id = unit_id
        self._refused: dict[Block, int] = {}
        self.silent: deque[int] = deque()

    def excuse(self, block: Block, now_ns: int) -> Cause | None:
        """Why a block need not be asked for now; None: ask."""
        if block.unit_id in self.silent:
            return Cause.COMM
        if now_ns < self._refused.get(block, now_ns):
            return Cause.REFUSED
        return None

    @property
    def at_ease(self) -> bool:
        """Nothing is silent or refused: no block needs an excuse."""
        return not self.silent and not self._refused

    def refusal(self, block: Block, code: int, now_ns: int) -> tuple[Block, ...]:
        """A block was refused: what to ask for in its place at once, () for nothing."""
        if code not in SPLITTING:
            return ()
        smaller = narrow(self._points, self._unit_id, block)
        if not smaller:
            self._refused[block] = now_ns + REFUSED_RETRY_NS
        return smaller

    def fell_silent(self, unit_id: int) -> None:
        """A unit did not answer."""
        if unit_id not in self.silent:
            self.silent.append(unit_id)

    def probe(self, blocks: Sequence[Block]) -> Block:
        """A block of the silent unit whose turn it is; the next call gives another unit's."""
        unit = self.silent[0]
        self.silent.rotate(-1)
        return next(block for block in blocks if block.unit_id == unit)

    def answered(self, block: Block) -> None:
        """A block was read."""
        self._refused.pop(block, None)
        if block.unit_id in self.silent:
            self.silent.remove(block.unit_id)

    def forget_refusals(self) -> bool:
        """After a new connection: was anything refused? The device may have been programmed anew."""
        known, self._refused = bool(self._refused), {}
        return known
