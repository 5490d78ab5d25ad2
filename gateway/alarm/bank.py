"""A column of one quantity with its limits and the excursions that follow from them. Pure; knows no alarm's life.

The quantity is a point's value, its rate of change or its deviation from another: what is judged is the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from drivers.kit.scan import ValueArray
from gateway.alarm.life import AlarmType
from gateway.alarm.limits import LEVELS, Limits, LimitTable, MaskArray, Moved, Rows


@dataclass(frozen=True, slots=True)
class Side:
    """One direction in which a quantity can leave its range: one excursion at a time.

    Attributes:
        name: second part of the condition, e.g. ``high``.
        type: of its alarms.
        columns: of the limit table, from worst to mildest.
        words: the level each of them is called.
        low: the peak of an excursion is its lowest value.
    """

    name: str
    type: AlarmType
    columns: tuple[int, ...]
    words: tuple[str, ...]
    low: bool = False

    @property
    def by_bits(self) -> tuple[str, ...]:
        """The worst level that is violated, "" for none, by the limit table's row read as bits."""
        return tuple(
            next((word for k, word in zip(self.columns, self.words, strict=True) if bits >> k & 1), "")
            for bits in range(1 << len(LEVELS))
        )


Sides: TypeAlias = tuple[Side, ...]
_BITS: Final = 1 << np.arange(len(LEVELS))

VALUE: Final[Sides] = (
    Side("low", "limit", (0, 1), ("LL", "L"), low=True),
    Side("high", "limit", (3, 2), ("HH", "H")),
    Side("state", "digital", (4,), ("ON",)),
)
RATE: Final[Sides] = (
    Side("fall", "rate", (1,), ("FALL",), low=True),
    Side("rise", "rate", (2,), ("RISE",)),
)
DEVIATION: Final[Sides] = (
    Side("below", "deviation", (1,), ("BELOW",), low=True),
    Side("above", "deviation", (2,), ("ABOVE",)),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One side of one row has changed its level.

    Attributes:
        row: of the bank.
        side: which.
        before: level until now, "" for none.
        after: level from now on.
        value: the quantity.
        peak: the most extreme of this excursion.
        limit: of the level (of ``before`` where there is none any more), here at the edge and as filed.
    """

    row: int
    side: Side
    before: str
    after: str
    value: float
    peak: float
    limit: tuple[float | None, float | None]


class Bank:
    """Limits over one column.

    Args:
        limits: of each row.
        sides: what they mean.
        values: float64[n], the column, which is the caller's to fill.

    Attributes:
        table: thresholds and delays.
        sides: as given.
    """

    def __init__(self, limits: Sequence[Limits], sides: Sides, values: NDArray[np.float64]) -> None:
        self.table = LimitTable(limits)
        self.sides = sides
        self._by_bits = [(side, side.by_bits) for side in sides]
        self._limits = list(limits)
        self._values = values
        self._extremes = {side.name: int(not side.low) for side in sides}
        # lowest and highest: both sides may be active at once
        self._peaks = np.full((2, len(values)), np.nan)

    def judge(
        self,
        rows: Rows,
        index: Rows | slice,
        values: ValueArray,
        mono_ns: int,
        usable: MaskArray | None = None,
        uncertain: MaskArray | None = None,
    ) -> list[Step]:
        """See ``LimitTable.judge``."""
        if self.table.any_active:
            self._track_peaks(rows, index, values, usable)
        moved = self.table.judge(rows, index, values, mono_ns, usable, uncertain)
        return [] if moved is None else list(self._steps(moved))

    def expire(self, mono_ns: int) -> list[Step]:
        """Let every delay end whose time has come."""
        moved = self.table.expire(mono_ns)
        return [] if moved is None else list(self._steps(moved))

    def change(self, row: int, limits: Limits) -> None:
        """Other limits for one row; a limit that is gone returns at its next judgement."""
        self._limits[row] = limits
        self.table.change(row, limits)

    def restore(self, row: int, level: str, peak: float | None) -> bool:
        """An excursion that stood at the last stop; False if there is no such limit any more and no value to say so."""
        side = next((side for side in self.sides if level in side.words), None)
        if side is None:
            return False
        self.table.restore(row, LEVELS[side.columns[side.words.index(level)]])
        self._peaks[int(not side.low), row] = np.nan if peak is None else peak
        return True

    def peak(self, row: int, side_name: str) -> float:
        """The most extreme value of the excursion that is active on this side, NaN if there was none."""
        return float(self._peaks[self._extremes[side_name], row])

    def has_limit(self, row: int, level: str) -> bool:
        """Whether the row has the limit that a level stands for."""
        column = next(side.columns[side.words.index(level)] for side in self.sides if level in side.words)
        return self._limits[row].of(LEVELS[column]) is not None

    def names(self, row: int) -> Iterator[str]:
        """The sides on which a row has a limit."""
        for side in self.sides:
            if any(self._limits[row].of(LEVELS[k]) is not None for k in side.columns):
                yield side.name

    def _track_peaks(
        self, rows: Rows, index: Rows | slice, values: ValueArray, usable: MaskArray | None
    ) -> None:
        excursing = self.table.excursing[index]
        at = np.flatnonzero(excursing if usable is None else excursing & usable)
        if len(at):
            out, now = rows[at], values[at]
            self._peaks[0, out] = np.fmin(self._peaks[0, out], now)
            self._peaks[1, out] = np.fmax(self._peaks[1, out], now)

    def _steps(self, moved: Moved) -> Iterator[Step]:
        rows, befores, afters = moved.rows.tolist(), moved.before @ _BITS, moved.after @ _BITS
        for row, bits_before, bits_after in zip(rows, befores.tolist(), afters.tolist(), strict=True):
            for side, words in self._by_bits:
                before, after = words[bits_before], words[bits_after]
                if before == after:
                    continue
                value = float(self._values[row])
                k = int(not side.low)
                if not before or np.isnan(self._peaks[k, row]):
                    self._peaks[k, row] = value
                level = LEVELS[side.columns[side.words.index(after or before)]]
                limits = self._limits[row]
                limit = limits.of(level), limits.filed.get(level)
                yield Step(row, side, before, after, value, float(self._peaks[k, row]), limit)
