"""How long until a limit, from the recent slope and how sure it is. Pure; shown to people, never an alarm.

Each point that wants one is sampled ``slope.SAMPLES`` times in ``WINDOW_S``. The slope is that of least squares, its
error the standard error of its residuals; a range is drawn from the slope two errors up and down, and from the value
two standard deviations of the residuals nearer and farther. That is honest for noise that does not remember itself;
a process that turns is known for it only after a part of the window.

Nothing is said where the slope's sign is not certain, where any of the range lies beyond ``HORIZON_S``, where the
value is not good, or where no limit lies ahead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from drivers.kit.scan import ValueArray
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import NEVER, Level, Limits, MaskArray, Rows
from gateway.alarm.slope import SAMPLES, Slopes

WINDOW_S: Final = 300.0
HORIZON_S: Final = 3600.0
ERRORS: Final = 2.0
"""So many standard errors a slope must differ from zero, and a range reaches up and down."""

EVERY_NS: Final = int(WINDOW_S * 1e9) // SAMPLES

SCATTER_S: Final = WINDOW_S * math.sqrt((SAMPLES - 1 / SAMPLES) / 12)
"""Scatter over the slope's error: root of the sum of squared distances in time of a full window's samples. While the
window is not full it is too much, and the range too wide."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a limit may be reached if it goes on like this.

    Attributes:
        level: the next one in the direction of travel.
        from_s: seconds from now, at the earliest.
        to_s: at the latest.
    """

    level: Level
    from_s: float
    to_s: float

    def item(self) -> dict[str, Any]:
        """As people see it: whole seconds, the range never made narrower."""
        return {"level": self.level, "from_s": math.floor(self.from_s), "to_s": math.ceil(self.to_s)}


def forecast(value: float, slope: float, error: float, scatter: float, limits: Limits) -> Forecast | None:
    """When the next limit in the direction of travel may be reached; None where nothing honest can be said.

    Args:
        value: now, engineering units.
        slope: a second.
        error: standard error of the slope.
        scatter: standard deviation of a single value about its line.
        limits: of the point.
    """
    if not abs(slope) > ERRORS * error:  # also where either is not known
        return None
    rising = slope > 0
    ahead: list[tuple[float, Level]] = []
    for level in limits.levels:
        edge = limits.of(level)
        if edge is not None and level in (("H", "HH") if rising else ("L", "LL")):
            distance = edge - value if rising else value - edge
            if distance > 0:
                ahead.append((distance, level))
    if not ahead:
        return None
    distance, level = min(ahead)
    speed, doubt = abs(slope), ERRORS * error
    to_s = (distance + ERRORS * scatter) / (speed - doubt)
    if to_s > HORIZON_S:
        return None
    return Forecast(level, max(distance - ERRORS * scatter, 0.0) / (speed + doubt), to_s)


class Forecasts:
    """Slopes of the points that want a forecast.

    Args:
        conditions: of every point.

    Attributes:
        next_due_ns: monotonic nanoseconds at which they are to be sampled, ``NEVER`` if no point wants one.
    """

    def __init__(self, conditions: Sequence[Conditions]) -> None:
        rows = [row for row, one in enumerate(conditions) if one.forecast]
        self.next_due_ns: int = 0 if rows else NEVER
        self._rows: Rows = np.array(rows, dtype=np.intp)
        self._slopes = Slopes(np.full(len(rows), WINDOW_S))
        self._slope = np.full(len(rows), np.nan)
        self._error = np.full(len(rows), np.nan)

    def feed(self, values: ValueArray, good: MaskArray, mono_ns: int) -> None:
        """Sample them.

        Args:
            values: float64[n], last values of all points.
            good: bool[n], which of all are good now.
            mono_ns: monotonic.
        """
        due_ns = self.next_due_ns + EVERY_NS
        self.next_due_ns = due_ns if due_ns > mono_ns else mono_ns + EVERY_NS
        fresh = np.flatnonzero(good[self._rows])
        self._slope[:] = self._error[:] = np.nan
        if len(fresh):
            slope, error = self._slopes.feed(fresh, values[self._rows[fresh]], mono_ns)
            self._slope[fresh], self._error[fresh] = slope, error

    def view(
        self, values: ValueArray, good: MaskArray, limits: Callable[[int], Limits]
    ) -> dict[int, Forecast]:
        """Row -> forecast, of those points of which it can be said now; arrays as for ``feed``, limits by row."""
        found = {}
        for k in np.flatnonzero(good[self._rows] & ~np.isnan(self._slope)):
            row = int(self._rows[k])
            error = float(self._error[k])
            one = forecast(float(values[row]), float(self._slope[k]), error, error * SCATTER_S, limits(row))
            if one is not None:
                found[row] = one
        return found
