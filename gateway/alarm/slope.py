"""How fast points move: least-squares slopes over a window, for many points as columns. Pure.

A row keeps ``SAMPLES`` readings spread over its window, so memory is the same for every period: one that is not yet
far enough behind the one before it makes room for the next, and the window is covered whatever the period. The slope
is that of ordinary least squares, its error the usual one of its residuals.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from gateway.alarm.limits import Rows

SAMPLES: Final = 24
"""Readings kept per row."""

LEAST_PART: Final = 0.5
"""A slope is known once its readings span so much of the window."""

LEAST_SAMPLES: Final = 3


class Slopes:
    """Slopes of n rows.

    Args:
        windows_s: float64[n], each row's window.
    """

    def __init__(self, windows_s: NDArray[np.float64]) -> None:
        n = len(windows_s)
        self._window_ns = (windows_s * 1e9).astype(np.int64)
        self._every_ns = self._window_ns // SAMPLES
        self._at_ns = np.full((n, SAMPLES), np.iinfo(np.int64).min // 2, dtype=np.int64)
        self._values = np.full((n, SAMPLES), np.nan)
        self._newest = np.zeros(n, dtype=np.intp)

    def feed(
        self, rows: Rows, values: NDArray[np.float64], mono_ns: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Take one usable reading of each of these rows.

        Returns:
            slope and its standard error, per second, float64[m]; NaN where they are not known yet.
        """
        newest = self._newest[rows]
        before = (newest - 1) % SAMPLES
        advance = (self._at_ns[rows, newest] - self._at_ns[rows, before]) >= self._every_ns[rows]
        place = np.where(advance, (newest + 1) % SAMPLES, newest)
        self._newest[rows] = place
        self._at_ns[rows, place] = mono_ns
        self._values[rows, place] = values
        return self._slopes(rows, mono_ns)

    def _slopes(self, rows: Rows, mono_ns: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        at_ns, window_ns = self._at_ns[rows], self._window_ns[rows][:, None]
        taken = at_ns >= mono_ns - window_ns
        age_s = np.where(taken, (at_ns - mono_ns) / 1e9, 0.0)
        values = np.where(taken, self._values[rows], 0.0)
        count = taken.sum(axis=1)
        known = (count >= LEAST_SAMPLES) & (-age_s.min(axis=1) * 1e9 >= LEAST_PART * window_ns[:, 0])
        n = np.where(known, count, 1)
        mean_t, mean_v = age_s.sum(axis=1) / n, values.sum(axis=1) / n
        dt = np.where(taken, age_s - mean_t[:, None], 0.0)
        dv = np.where(taken, values - mean_v[:, None], 0.0)
        spread = np.where(known, (dt * dt).sum(axis=1), 1.0)
        slope = (dt * dv).sum(axis=1) / spread
        residual = np.where(taken, dv - slope[:, None] * dt, 0.0)
        error = np.sqrt((residual * residual).sum(axis=1) / np.maximum(n - 2, 1) / spread)
        return np.where(known, slope, np.nan), np.where(known, error, np.nan)
