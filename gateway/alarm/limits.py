"""Limits of one point, and limits of all points as columns. Pure: compares numbers, knows no alarm's life.

Raise is inclusive (``>=`` for H and HH, ``<=`` for L and LL); the deadband lies on the return side only
(terms: IEC 62682 / ISA-18.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from drivers.kit.scan import ValueArray

Level: TypeAlias = Literal["LL", "L", "H", "HH", "ON"]
LEVELS: Final[tuple[Level, ...]] = ("LL", "L", "H", "HH", "ON")
"""Columns of the limit arrays. ``ON`` is a digital state that is an alarm (0 or 1)."""

SIGN: Final = np.array([-1.0, -1.0, 1.0, 1.0, 1.0])
"""Low limits are judged on the negated value, so that one comparison serves all five columns."""

HalfArray: TypeAlias = NDArray[np.float64]
MaskArray: TypeAlias = NDArray[np.bool_]


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
    """

    ll: float | None = None
    l: float | None = None  # noqa: E741 - the field's own name for it
    h: float | None = None
    hh: float | None = None
    on: int | None = None
    deadband: float = 0.0

    def edge(self, level: Level) -> float:
        """The limit a level stands for.

        Raises:
            ValueError: the point has no such limit.
        """
        value = {"LL": self.ll, "L": self.l, "H": self.h, "HH": self.hh, "ON": self.on}[level]
        if value is None:
            raise ValueError(f"no {level} limit")
        return float(value)


class LimitTable:
    """Limits of n points as columns, with the thresholds that hold now.

    ``active[i, k]`` says that limit k of point i is violated; its threshold is then the returning one.
    Only ``set_active`` moves a threshold, so judging is one comparison of whole columns.

    Attributes:
        active: bool[n, 5].
        any_active: whether any limit of any point is violated.
    """

    def __init__(self, limits: tuple[Limits, ...]) -> None:
        n = len(limits)
        self._enter = np.full((n, len(LEVELS)), np.inf)
        self._leave = np.full((n, len(LEVELS)), np.inf)
        for i, limit in enumerate(limits):
            for k, value in enumerate((limit.ll, limit.l, limit.h, limit.hh)):
                if value is not None:
                    self._enter[i, k] = SIGN[k] * value
                    self._leave[i, k] = SIGN[k] * value - limit.deadband
        self._inverted = np.array([limit.on == 0 for limit in limits], dtype=np.bool_)
        for i, limit in enumerate(limits):
            if limit.on is not None:
                self._enter[i, 4] = self._leave[i, 4] = 0.5 if limit.on == 1 else -0.5
        self._any_inverted = bool(self._inverted.any())
        self._threshold = self._enter.copy()
        self.active = np.zeros((n, len(LEVELS)), dtype=np.bool_)
        self.any_active = False
        self._upward = np.broadcast_to(SIGN > 0, self.active.shape).copy()
        self._upward[self._inverted, 4] = False
        self._calm_above = np.empty(n)
        self._calm_below = np.empty(n)
        self._set_calm(slice(0, n))

    def is_calm(self, points: NDArray[np.intp] | slice, values: ValueArray) -> bool:
        """Whether ``judge`` would surely find what is active now: most columns need no closer look."""
        within = (values > self._calm_above[points]) & (values < self._calm_below[points])
        return bool(within.all())

    def judge(self, points: NDArray[np.intp], values: ValueArray) -> MaskArray:
        """Which limits are violated, bool[m, 5], for m rows; NaN violates none (callers keep NaN out)."""
        signed = np.multiply.outer(values, SIGN)
        if self._any_inverted:
            signed[self._inverted[points], 4] *= -1.0
        violated: MaskArray = signed >= self._threshold[points]
        return violated

    def set_active(self, point: int, row: MaskArray) -> None:
        """Take over what one point violates now, bool[5]."""
        self.active[point] = row
        self.any_active = bool(self.active.any())
        self._threshold[point] = np.where(row, self._leave[point], self._enter[point])
        self._set_calm(slice(point, point + 1))

    def _set_calm(self, rows: slice) -> None:
        """The open interval of values that move no limit: a threshold ahead bounds it, or one held behind."""
        upward, active = self._upward[rows], self.active[rows]
        edge = np.where(upward, self._threshold[rows], -self._threshold[rows])
        self._calm_below[rows] = np.where(upward != active, edge, np.inf).min(axis=1)
        self._calm_above[rows] = np.where(upward == active, edge, -np.inf).max(axis=1)
