"""Rates of change and deviations: quantities derived from the points' values, with limits of their own. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from drivers.kit.scan import ValueArray
from gateway.alarm.bank import DEVIATION, RATE, Bank, Step
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits, MaskArray, Rows
from gateway.alarm.slope import Slopes


class Rates:
    """Rate-of-change alarms of those points that have one.

    Attributes:
        rows: of the points, in the order of the bank's rows.
        bank: limits over the rates, engineering units a minute.
    """

    def __init__(self, conditions: Sequence[Conditions]) -> None:
        chosen = [
            (row, one)
            for row, one in enumerate(conditions)
            if one.rise_per_min is not None or one.fall_per_min is not None
        ]
        self.rows: Rows = np.array([row for row, _ in chosen], dtype=np.intp)
        limits = [
            Limits(l=None if one.fall_per_min is None else -one.fall_per_min, h=one.rise_per_min)
            for _, one in chosen
        ]
        self._values = np.full(len(chosen), np.nan)
        self.bank = Bank(limits, RATE, self._values)
        self._slopes = Slopes(np.array([one.rate_window_s for _, one in chosen]))

    def judge(self, points: Rows, values: ValueArray, good: MaskArray, mono_ns: int) -> list[Step]:
        """One pass: only a good value says how fast a point moves.

        Args:
            points: intp[m], rows of the point table.
            values: float64[m].
            good: bool[m].
            mono_ns: monotonic.
        """
        _, mine, at = np.intersect1d(self.rows, points, assume_unique=True, return_indices=True)
        if not len(mine):
            return []
        fresh = good[at]
        slopes = np.full(len(mine), np.nan)
        slopes[fresh] = self._slopes.feed(mine[fresh], values[at][fresh], mono_ns)[0] * 60.0
        usable = ~np.isnan(slopes)
        self._values[mine[usable]] = slopes[usable]
        return self.bank.judge(mine, mine, slopes, mono_ns, usable)


class Deviations:
    """Alarms on the distance between a point and its setpoint or twin.

    Attributes:
        rows: of the points, in the order of the bank's rows.
        others: of what each is compared with; the point itself where that is a fixed setpoint.
        bank: limits over the deviations, engineering units.
    """

    def __init__(self, conditions: Sequence[Conditions], row_of: Mapping[str, int]) -> None:
        chosen = [(row, one) for row, one in enumerate(conditions) if one.deviation is not None]
        self.rows: Rows = np.array([row for row, _ in chosen], dtype=np.intp)
        fixed = [one.deviation_from if isinstance(one.deviation_from, float) else np.nan for _, one in chosen]
        self._fixed = np.array(fixed)
        self._is_fixed = ~np.isnan(self._fixed)
        self.others: Rows = np.array(
            [
                row if isinstance(one.deviation_from, float) else row_of[one.deviation_from]
                for row, one in chosen
            ],
            dtype=np.intp,
        )
        limits = [
            Limits(l=-one.deviation, h=one.deviation, deadband=one.deviation_deadband)
            for _, one in chosen
            if one.deviation is not None
        ]
        self._values = np.full(len(chosen), np.nan)
        self.bank = Bank(limits, DEVIATION, self._values)

    def judge(
        self, points: Rows, values: ValueArray, bad: MaskArray, uncertain: MaskArray, mono_ns: int
    ) -> list[Step]:
        """One pass: every deviation of which one end was read.

        Args:
            points: intp[m], rows that were read.
            values: float64[n], last values of all points.
            bad: bool[n], which of all are bad now.
            uncertain: bool[n], likewise.
            mono_ns: monotonic.
        """
        mine = np.flatnonzero(np.isin(self.rows, points) | np.isin(self.others, points))
        if not len(mine):
            return []
        rows, others = self.rows[mine], self.others[mine]
        apart = values[rows] - np.where(self._is_fixed[mine], self._fixed[mine], values[others])
        usable = ~(bad[rows] | bad[others] | np.isnan(apart))
        self._values[mine[usable]] = apart[usable]
        doubtful = uncertain[rows] | uncertain[others]
        return self.bank.judge(mine, mine, apart, mono_ns, usable, doubtful)
