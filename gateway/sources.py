"""Which sources lack communication as a whole: one alarm for all their points. Pure: columns in, falls and returns out.

A source is a device, or a unit behind one. It falls and comes back in steps: in the middle of a scan, scan group by
scan group, or as a subscription's values arrive. While it may be in the middle of that, its points raise nothing of
their own, and only a source that was heard as a whole, or had the time for it, is called back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import BoolArray

SETTLE_S: Final = 5.0
"""Beyond its longest period, a source that is falling or coming back has so long to be heard as a whole."""

Rows = NDArray[np.intp]


class Sources:
    """All sources of a gateway and which of their points lack communication.

    Args:
        source_names: name of each point's source.
        periods_s: each point's period.
        polled: whether each point is posted in every of its periods.

    Attributes:
        names: every source once.
        of: index of each point's source.
        size: how many points each source has.
        missing: bool[n], which points lack communication.
        down: bool[sources], which sources are called down.
        settling: bool[sources], which may be in the middle of a fall or a return; those down are among them.
    """

    def __init__(
        self, source_names: Sequence[str], periods_s: NDArray[np.float64], polled: BoolArray
    ) -> None:
        self.names = tuple(dict.fromkeys(source_names))
        n = len(self.names)
        index = {name: k for k, name in enumerate(self.names)}
        self.of: Rows = np.array([index[name] for name in source_names], dtype=np.intp)
        self.size = np.bincount(self.of, minlength=n)
        self.missing: BoolArray = np.zeros(len(self.of), dtype=np.bool_)
        self.down: BoolArray = np.zeros(n, dtype=np.bool_)
        self.settling: BoolArray = np.zeros(n, dtype=np.bool_)
        longest_s, shortest_s = np.zeros(n), np.full(n, np.inf)
        np.maximum.at(longest_s, self.of, periods_s)
        np.minimum.at(shortest_s, self.of, periods_s)
        self._polled = np.zeros(n, dtype=np.bool_)
        self._polled[self.of] = polled
        self._in_groups = self._polled & (shortest_s < longest_s)
        self._settle_ns = ((longest_s + SETTLE_S) * 1e9).astype(np.int64)
        self._until_ns: dict[int, int] = {}

    @property
    def deadlines_ns(self) -> tuple[int, ...]:
        """Monotonic nanoseconds at which ``settled`` has something to say."""
        return tuple(self._until_ns.values())

    def move(self, rows: Rows, missing: BoolArray, now_ns: int) -> list[int]:
        """Take over which of these points lack communication now; the sources whose ``down`` changed by it.

        Args:
            rows: the points of one pass, no source in more than one scan.
            missing: bool, shape of ``rows``.
            now_ns: monotonic.
        """
        sources = self.of[rows]
        moved = np.unique(sources[self.missing[rows] != missing])
        self.missing[rows] = missing
        n = len(self.down)
        lost = np.bincount(self.of, weights=self.missing, minlength=n)
        heard = np.bincount(sources, weights=~missing, minlength=n) > 0
        before = self.down.copy()
        for k in moved.tolist():
            if lost[k] in (0, self.size[k]):
                self._until_ns.pop(k, None)
                self.down[k] = lost[k] > 0
            elif self.down[k] or self._polled[k]:
                # Part of it has gone or come back; the next scans say whether the rest has, too.
                self._until_ns.setdefault(k, now_ns + int(self._settle_ns[k]))
                self.down[k] |= bool(self._in_groups[k] and not heard[k])
            self.settling[k] = self.down[k] or k in self._until_ns
        return [k for k in moved.tolist() if self.down[k] != before[k]]

    def settled(self, now_ns: int) -> list[int]:
        """Sources of which a part stayed away for too long: they are not down, and that part is missing by itself."""
        settled = [k for k, until_ns in self._until_ns.items() if now_ns >= until_ns]
        for k in settled:
            del self._until_ns[k]
            self.down[k] = self.settling[k] = False
        return settled

    def restore(self, name: str) -> bool:
        """A source that was down at the last stop; False if there is none of this name any more."""
        if name not in self.names:
            return False
        k = self.names.index(name)
        self.down[k] = self.settling[k] = True
        self.missing[self.of == k] = True
        return True
