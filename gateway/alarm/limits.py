"""Limits of one point, and limits of all points as columns. Pure: compares numbers, knows no alarm's life.

Raise is inclusive (``>=`` for H and HH, ``<=`` for L and LL); the deadband lies on the return side only
(terms: IEC 62682 / ISA-18.2). What a delay does, in its order of weight:

1. A bad value moves nothing; a delay that runs stands still meanwhile.
2. An uncertain value may raise and never clears; a return that was waiting starts afresh.
3. A delay runs on the monotonic clock, without new data too, and starts afresh after a restart.
4. An outer limit that is violated violates the inner one of its side, whatever that one's delay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from drivers.kit.scan import ValueArray

Level: TypeAlias = Literal["LL", "L", "H", "HH", "ON"]
LEVELS: Final[tuple[Level, ...]] = ("LL", "L", "H", "HH", "ON")
"""Columns of the limit arrays. ``ON`` is a digital state that is an alarm (0 or 1)."""

SIGN: Final = np.array([-1.0, -1.0, 1.0, 1.0, 1.0])
"""Low limits are judged on the negated value, so that one comparison serves all five columns."""

NEVER: Final = np.iinfo(np.int64).max

MaskArray: TypeAlias = NDArray[np.bool_]
Rows: TypeAlias = NDArray[np.intp]
Each: TypeAlias = float | Mapping[Level, float]
"""One figure for every limit of a point, or one per limit; 0 for a limit that is not named."""


def each(figure: Each, level: Level) -> float:
    """What such a figure is for one limit."""
    return figure if isinstance(figure, float | int) else figure.get(level, 0.0)


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one point, None where there is none.

    Attributes:
        ll: low low, alarm at value <= ll.
        l: low, alarm at value <= l.
        h: high, alarm at value >= h.
        hh: high high, alarm at value >= hh.
        on: digital state that is an alarm, 0 or 1; None for an analogue point.
        deadband: distance to go back before a limit returns, engineering units, >= 0.
        on_delay_s: how long a limit must be violated before it is an alarm.
        off_delay_s: how long it must have returned before the alarm clears.
        filed: limits as filed with the authority (备案), where they are known.
    """

    ll: float | None = None
    l: float | None = None  # noqa: E741 - the field's own name for it
    h: float | None = None
    hh: float | None = None
    on: int | None = None
    deadband: Each = 0.0
    on_delay_s: Each = 0.0
    off_delay_s: Each = 0.0
    filed: Mapping[Level, float] = field(default_factory=dict)

    def of(self, level: Level) -> float | None:
        """The limit a level stands for, None where the point has none."""
        value: float | None = getattr(self, level.lower())
        return None if value is None else float(value)

    @property
    def levels(self) -> tuple[Level, ...]:
        """Those that the point has."""
        return tuple(level for level in LEVELS if self.of(level) is not None)


@dataclass(frozen=True, slots=True)
class Moved:
    """Limits that changed in one pass.

    Attributes:
        at: intp[m], positions in the pass; of an expired delay, which has none, the rows.
        rows: intp[m], the points.
        before: bool[m, 5], what was violated.
        after: bool[m, 5], what is.
    """

    at: Rows
    rows: Rows
    before: MaskArray
    after: MaskArray


class LimitTable:
    """Limits of n points as columns, with the thresholds and delays that hold now.

    ``active[i, k]`` says that limit k of point i is an alarm; its threshold is then the returning one.

    Attributes:
        active: bool[n, 5].
        excursing: bool[n], whether any limit of a point is active.
        any_active: whether any limit of any point is.
        next_due_ns: monotonic nanoseconds at which the next delay ends, ``NEVER`` if none runs.
    """

    def __init__(self, limits: Sequence[Limits]) -> None:
        n = len(limits)
        shape = (n, len(LEVELS))
        self._enter = np.full(shape, np.inf)
        self._leave = np.full(shape, np.inf)
        self._on_ns = np.zeros(shape, dtype=np.int64)
        self._off_ns = np.zeros(shape, dtype=np.int64)
        self._inverted = np.zeros(n, dtype=np.bool_)
        self._upward = np.broadcast_to(SIGN > 0, shape).copy()
        self._threshold = np.full(shape, np.inf)
        self.active = np.zeros(shape, dtype=np.bool_)
        self.excursing = np.zeros(n, dtype=np.bool_)
        self.any_active = False
        self.next_due_ns: int = NEVER
        self._due_ns = np.full(shape, NEVER, dtype=np.int64)
        self._left_ns = np.full(shape, NEVER, dtype=np.int64)
        self._waiting = np.zeros(n, dtype=np.bool_)
        self._any_waiting = False
        self._calm_above = np.full(n, -np.inf)
        self._calm_below = np.full(n, np.inf)
        self._take(np.arange(n), limits)
        self._any_inverted = bool(self._inverted.any())
        self._any_delay = bool(self._on_ns.any() or self._off_ns.any())
        self._settle(np.arange(n))

    def change(self, row: int, limits: Limits) -> None:
        """Other limits for one point from now on; what is active is judged anew at its next value.

        A delay that runs goes on unless its own limit is another now.
        """
        before = self._enter[row].copy()
        self._take(np.array([row]), [limits])
        other = self._enter[row] != before
        self._any_inverted = bool(self._inverted.any())
        self._any_delay = bool(self._on_ns.any() or self._off_ns.any())
        self._due_ns[row, other] = self._left_ns[row, other] = NEVER
        self._note_waiting(np.array([row]))
        self._settle(np.array([row]))

    def judge(
        self,
        rows: Rows,
        index: Rows | slice,
        values: ValueArray,
        mono_ns: int,
        usable: MaskArray | None = None,
        uncertain: MaskArray | None = None,
    ) -> Moved | None:
        """Compare one pass of values, each point in it once.

        Args:
            rows: intp[m], the points.
            index: the same, as a slice where they follow one another.
            values: float64[m].
            mono_ns: monotonic.
            usable: bool[m], which values are not bad; None if all are.
            uncertain: bool[m], which are uncertain; None if none is.

        Returns:
            what moved, None if nothing did.
        """
        near = (values <= self._calm_above[index]) | (values >= self._calm_below[index])
        if usable is not None:
            near &= usable
        if self._any_waiting:
            near |= self._waiting[index]
        at = np.flatnonzero(near)
        if not len(at):
            return None
        all_usable = np.ones(len(at), dtype=np.bool_) if usable is None else usable[at]
        violated = self._violated(rows[at], values[at])
        if uncertain is not None:
            violated |= uncertain[at][:, None] & self.active[rows[at]]
        return self._move(at, rows[at], violated, all_usable, mono_ns)

    def expire(self, mono_ns: int) -> Moved | None:
        """Let every delay end whose time has come."""
        if mono_ns < self.next_due_ns:
            return None
        rows = np.flatnonzero((self._due_ns <= mono_ns).any(axis=1))
        moves = self._due_ns[rows] <= mono_ns
        self._due_ns[rows] = np.where(moves, NEVER, self._due_ns[rows])
        self._note_waiting(rows)
        return self._moved(rows, rows, moves)

    def restore(self, row: int, level: Level) -> None:
        """A level that was active at the last stop, and with an outer limit the inner one."""
        mask = self.active[row].copy()
        mask[LEVELS.index(level)] = True
        for outer, inner in ((0, 1), (3, 2)):
            mask[inner] |= mask[outer] and np.isfinite(self._enter[row, inner])
        self.active[row] = mask
        self._settle(np.array([row]))

    # -- inside ---------------------------------------------------------------------------------------

    def _take(self, rows: Rows, limits: Sequence[Limits]) -> None:
        """Lay out the limits of these points, level by level."""
        inverted = np.array([one.on == 0 for one in limits], dtype=np.bool_)
        self._inverted[rows], self._upward[rows, 4] = inverted, ~inverted
        for k, level in enumerate(LEVELS):
            values = np.array([one.of(level) for one in limits], dtype=np.float64)  # None is NaN
            has = ~np.isnan(values)
            deadbands = np.array([each(one.deadband, level) for one in limits])
            signed = SIGN[k] * values
            if level == "ON":
                signed, deadbands = np.where(inverted, -0.5, 0.5), np.zeros(len(limits))
            self._enter[rows, k] = np.where(has, signed, np.inf)
            self._leave[rows, k] = np.where(has, signed - deadbands, np.inf)
            for delays_ns, name in ((self._on_ns, "on_delay_s"), (self._off_ns, "off_delay_s")):
                delays_s = np.array([each(getattr(one, name), level) for one in limits])
                delays_ns[rows, k] = np.where(has, np.round(delays_s * 1e9), 0)

    def _violated(self, rows: Rows, values: ValueArray) -> MaskArray:
        signed = np.multiply.outer(values, SIGN)
        if self._any_inverted:
            signed[self._inverted[rows], 4] *= -1.0
        violated: MaskArray = signed >= self._threshold[rows]
        return violated

    def _move(
        self, at: Rows, rows: Rows, violated: MaskArray, usable: MaskArray, mono_ns: int
    ) -> Moved | None:
        moves = (violated != self.active[rows]) & usable[:, None]
        if self._any_delay:
            moves = self._after_delay(rows, moves, usable, mono_ns)
        return self._moved(at, rows, moves)

    def _after_delay(self, rows: Rows, wanted: MaskArray, usable: MaskArray, mono_ns: int) -> MaskArray:
        """Of the moves that are wanted, those whose delay is over; the others wait, or stand still while bad."""
        due, left = self._due_ns[rows], self._left_ns[rows]
        awake = np.broadcast_to(usable[:, None], wanted.shape)
        delay = np.where(self.active[rows], self._off_ns[rows], self._on_ns[rows])
        due = np.where(wanted & (due == NEVER), mono_ns + np.where(left == NEVER, delay, left), due)
        stopped = ~awake & (due != NEVER)
        left = np.where(stopped, np.maximum(due - mono_ns, 0), np.where(awake, NEVER, left))
        due = np.where(stopped | (awake & ~wanted), NEVER, due)
        moves: MaskArray = wanted & (due <= mono_ns)
        self._due_ns[rows] = np.where(moves, NEVER, due)
        self._left_ns[rows] = left
        self._note_waiting(rows)
        return moves

    def _note_waiting(self, rows: Rows) -> None:
        self._waiting[rows] = ((self._due_ns[rows] != NEVER) | (self._left_ns[rows] != NEVER)).any(axis=1)
        self._any_waiting = bool(self._waiting.any())
        self.next_due_ns = int(self._due_ns[self._waiting].min()) if self._any_waiting else NEVER

    def _moved(self, at: Rows, rows: Rows, moves: MaskArray) -> Moved | None:
        moving = moves.any(axis=1)
        if not moving.any():
            return None
        at, rows, moves = at[moving], rows[moving], moves[moving]
        before = self.active[rows]
        after = before ^ moves
        for outer, inner in ((0, 1), (3, 2)):
            implied = after[:, outer] & ~before[:, outer] & np.isfinite(self._enter[rows, inner])
            after[:, inner] |= implied
            if self._any_waiting and implied.any():
                self._due_ns[rows[implied], inner] = self._left_ns[rows[implied], inner] = NEVER
                self._note_waiting(rows[implied])
        self.active[rows] = after
        self._settle(rows)
        return Moved(at, rows, before, after)

    def _settle(self, rows: Rows) -> None:
        """Thresholds and calm intervals that follow from what is active in these rows.

        A calm interval holds the values that move no limit: a threshold ahead bounds it, or one held behind.
        """
        active, upward = self.active[rows], self._upward[rows]
        self.excursing[rows] = active.any(axis=1)
        self.any_active = bool(self.excursing.any())
        threshold = np.where(active, self._leave[rows], self._enter[rows])
        self._threshold[rows] = threshold
        edge = np.where(upward, threshold, -threshold)
        self._calm_below[rows] = np.where(upward != active, edge, np.inf).min(axis=1)
        self._calm_above[rows] = np.where(upward == active, edge, -np.inf).max(axis=1)
