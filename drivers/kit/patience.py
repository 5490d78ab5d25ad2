"""Decides which blocks are worth asking for now: silent units and refused places wait. Pure.

A unit that fell silent must not hold up its neighbours, and one bad register must not poison its block.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from drivers.kit.planner import Block, narrow
from drivers.kit.quality import Cause
from drivers.kit.scan import Point

REFUSED_RETRY_NS: Final = 60 * 1_000_000_000
"""A place the device refused is asked for again after this time."""
SPLITTING: Final = frozenset({2, 3})
"""Exceptions (illegal data address, illegal data value) that may be one bad register's among good ones."""
UNIT_ABSENT: Final = frozenset({0x0A, 0x0B})
"""Exceptions by which a Modbus TCP gateway says that the unit behind it is silent."""

FIRST_PAUSE_NS: Final = 500_000_000
"""Between the first two questions to a silent unit; the pause doubles up to one scan period."""


class Turn(NamedTuple):
    """The silent unit to be asked next.

    Attributes:
        unit_id: which.
        due_ns: not before this, monotonic.
        waiting: silent units that are due by now.
    """

    unit_id: int
    due_ns: int
    waiting: int


def cause_of_exception(code: int) -> Cause:
    """What an exception code means for the points (Modbus Application Protocol V1.1b3 section 7)."""
    return Cause.COMM if code in UNIT_ABSENT else Cause.REFUSED


class _Silence(NamedTuple):
    """A silent unit: not asked before ``due_ns``; the pause after the next question without an answer."""

    due_ns: int
    pause_ns: int


class Patience:
    """What one connection's units have earned.

    A block at which a unit fell silent is suspected; it is condemned as soon as the unit answers another.

    Args:
        points: the device's point list.
        unit_id: unit identifier of points that name none.
        longest_ns: the longest pause between two questions to a silent unit, one scan period.
    """

    def __init__(self, points: tuple[Point, ...], unit_id: int, longest_ns: int) -> None:
        self._points = points
        self._unit_id = unit_id
        self._longest_ns = longest_ns
        self._put_off: dict[Block, tuple[int, Cause]] = {}
        self._silent: dict[int, _Silence] = {}
        self._suspects: dict[Block, bool] = {}

    def excuse(self, block: Block, now_ns: int) -> Cause | None:
        """Why a block need not be asked for now; None: ask."""
        if block.unit_id in self._silent:
            return Cause.COMM
        until_ns, cause = self._put_off.get(block, (now_ns, Cause.NONE))
        return cause if now_ns < until_ns else None

    @property
    def at_ease(self) -> bool:
        """Nothing is silent or refused: no block needs an excuse, and no answer needs to be told."""
        return not self._silent and not self._put_off and not self._suspects

    @property
    def any_silent(self) -> bool:
        """Some unit is."""
        return bool(self._silent)

    def refusal(self, block: Block, code: int, now_ns: int) -> tuple[Block, ...]:
        """A block was refused: what to ask for in its place at once, () for nothing."""
        if code not in SPLITTING:
            return ()
        smaller = narrow(self._points, self._unit_id, block)
        self._suspects.pop(block, None)  # a refusal is an answer
        if not smaller:
            self._put_off[block] = (now_ns + REFUSED_RETRY_NS, Cause.REFUSED)
        return smaller

    def fell_silent(self, block: Block, now_ns: int, *, owes: bool = False) -> None:
        """A unit did not answer; once more: it waits longer, and behind the others.

        Old devices are silent where others refuse. So a unit that answered another question since, and falls silent
        at the very block at which it fell before, lives: it is that block which is not asked for.

        Args:
            block: what it was asked for.
            now_ns: monotonic nanoseconds.
            owes: its answer may still come and be taken for another's, so the unit is silent all the same.
        """
        unit_id = block.unit_id
        silence = self._silent.pop(unit_id, None)
        lives = self._suspects.pop(block, False)
        self._suspects[block] = lives
        if silence is None and lives:
            self._put_off[block] = (now_ns + REFUSED_RETRY_NS, Cause.COMM)
            if not owes:
                return
        silence = silence or _Silence(now_ns, 0)
        pause_ns = min(2 * silence.pause_ns or FIRST_PAUSE_NS, self._longest_ns)
        self._silent[unit_id] = _Silence(now_ns + silence.pause_ns, pause_ns)

    def scanned(self, now_ns: int) -> None:
        """A scan is over: every silent unit may be asked in the time that is left."""
        for unit_id, silence in self._silent.items():
            if silence.due_ns > now_ns:
                self._silent[unit_id] = silence._replace(due_ns=now_ns)

    def rest(self, unit_id: int, until_ns: int) -> None:
        """A silent unit is not asked before this."""
        self._silent[unit_id] = self._silent[unit_id]._replace(due_ns=until_ns)

    def turn(self, now_ns: int) -> Turn | None:
        """Which silent unit is next; None: no unit is silent."""
        if not self._silent:
            return None
        unit_id = min(self._silent, key=lambda unit: self._silent[unit].due_ns)
        waiting = sum(silence.due_ns <= now_ns for silence in self._silent.values())
        return Turn(unit_id, self._silent[unit_id].due_ns, waiting)

    def probe(self, unit_id: int, blocks: Iterable[Block]) -> Block:
        """What to ask a silent unit for: the block that is likeliest to be answered, of like ones each in turn."""
        own = [block for block in blocks if block.unit_id == unit_id]
        turns = {block: turn for turn, block in enumerate(self._suspects)}
        return min(
            own,
            key=lambda block: (
                block in self._put_off,
                self._suspects.get(block, False),
                turns.get(block, -1),
            ),
        )

    def answered(self, block: Block) -> bool:
        """A block was read: its unit may be asked like any other. Was it the last that had been put off?"""
        was_put_off = self._put_off.pop(block, None) is not None
        self.vouch(block)
        self.back(block.unit_id)
        return was_put_off and not self._put_off

    def vouch(self, block: Block) -> None:
        """A unit answered this: it lives. If it had been silent here, it was the unit, and no block is to blame."""
        others = [other for other in (*self._suspects, *self._put_off) if other.unit_id == block.unit_id]
        if self._suspects.pop(block, None) is not None:
            for other in others:
                if self._put_off.get(other, (0, Cause.NONE))[1] is Cause.COMM:
                    del self._put_off[other]
        for other in others:
            if other in self._suspects:
                self._suspects[other] = True

    def back(self, unit_id: int) -> None:
        """A unit may be asked like any other."""
        self._silent.pop(unit_id, None)

    def forget_refusals(self) -> None:
        """After a new connection: the device may have been programmed anew."""
        self._put_off.clear()
        self._suspects.clear()
