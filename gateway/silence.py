"""When the silence of a polling driver means that points are not read. Pure: scan groups and their deadlines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.scan import IndexArray

STALE_PERIODS: Final = 5
"""A polled point of which no scan came for so many of its periods is not read."""

STALE_MARGIN_S: Final = 5.0
"""On top of that, for drivers that are just reconnecting."""


def stale_after_ns(period_s: float) -> int:
    """How long a scan group of this period may be silent."""
    return int((STALE_PERIODS * period_s + STALE_MARGIN_S) * 1e9)


class Silence:
    """One polled device: its points by period, and until when each of these groups may be silent.

    Args:
        periods_s: period of each point, in the order of the device's point list.
        now_ns: monotonic; every group may be silent from here on.
    """

    def __init__(self, periods_s: Sequence[float], now_ns: int) -> None:
        periods, group_of = np.unique(np.asarray(periods_s), return_inverse=True)
        self._group_of = group_of
        self._after_ns = [stale_after_ns(float(period)) for period in periods]
        self._until_ns = [now_ns + after for after in self._after_ns]

    @property
    def deadline_ns(self) -> int:
        """Monotonic nanoseconds at which the next group has been silent for too long."""
        return min(self._until_ns)

    def heard(self, points: IndexArray, now_ns: int) -> None:
        """A scan of these points came."""
        if len(self._until_ns) == 1:
            self._until_ns[0] = now_ns + self._after_ns[0]
            return
        for group in np.unique(self._group_of[points]):
            self._until_ns[group] = now_ns + self._after_ns[group]

    def silent(self, now_ns: int) -> list[NDArray[np.intp]]:
        """Points of each group that has been silent for too long."""
        return [
            np.flatnonzero(self._group_of == group)
            for group, until_ns in enumerate(self._until_ns)
            if now_ns >= until_ns
        ]
