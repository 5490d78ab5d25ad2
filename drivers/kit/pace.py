"""Decides when a device is read and which of its groups: a grid on the monotonic clock. Pure; the clock is an argument.

Wake-ups cost more CPU than reads do, so devices share a few instants: every device of one period and slot
gets the very same deadline, and the loop wakes once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

SLOTS_PER_PERIOD: Final = 4
"""Reads are spread over this many instants of a period."""
LOAD_WINDOW_S: Final = 10.0
"""The load that is shown is that of a window at least so long."""
_NS_PER_S: Final = 1_000_000_000


class Due(NamedTuple):
    """When the next read is due.

    Attributes:
        at_ns: monotonic nanoseconds, a point of the grid.
        skipped: points of the grid that went by unread since the last one.
    """

    at_ns: int
    skipped: int

    @property
    def at_s(self) -> float:
        """The same instant as the loop's clock counts, the same float for everyone due then."""
        return self.at_ns / _NS_PER_S


def period_ns(period_s: float) -> int:
    """A period in nanoseconds, at least one per slot."""
    return max(SLOTS_PER_PERIOD, round(period_s * _NS_PER_S))


def next_due(now_ns: int, period: int, slot: int, last_ns: int | None = None) -> Due:
    """The first point of the grid after now.

    Args:
        now_ns: monotonic nanoseconds.
        period: nanoseconds between two reads.
        slot: any whole number; counted modulo SLOTS_PER_PERIOD.
        last_ns: the point of the grid that was read last, None before the first.
    """
    phase = slot % SLOTS_PER_PERIOD * period // SLOTS_PER_PERIOD
    at_ns = ((now_ns - phase) // period + 1) * period + phase
    if last_ns is None:
        return Due(at_ns, 0)
    if at_ns <= last_ns:  # a timer may fire a hair early: the point just read does not come again
        at_ns = last_ns + period
    return Due(at_ns, (at_ns - last_ns) // period - 1)


class Agenda:
    """What of one device is to be read: its scan groups, the most important first.

    They all keep to the grid of the fastest, so that a slow group wakes nobody by itself: it is opened at the first
    point of that grid at or behind its own. A group still being read when it comes due is not opened again: that
    turn is an overrun.

    Args:
        periods: nanoseconds between two reads of each group, the most important group first.
        slot: of the device.
        now_ns: monotonic nanoseconds.

    Attributes:
        at_ns: the next point of the grid.
        is_alone: there is but one group.
        overruns: turns that went by unread.
    """

    __slots__ = (
        "_due_ns",
        "_fastest",
        "_open",
        "_periods",
        "_slot",
        "at_ns",
        "is_alone",
        "overruns",
    )

    def __init__(self, periods: Sequence[int], slot: int, now_ns: int) -> None:
        self._periods = periods
        self._fastest = min(periods)
        self._slot = slot
        self._due_ns = [next_due(now_ns, period, slot).at_ns for period in periods]
        self._open = [False] * len(periods)
        self.is_alone = len(periods) == 1
        self.at_ns = next_due(now_ns, self._fastest, slot).at_ns
        self.overruns = 0

    @property
    def at_s(self) -> float:
        """The next point of the grid as the loop's clock counts, the same float for everyone due then."""
        return self.at_ns / _NS_PER_S

    def strike(self, now_ns: int) -> None:
        """The next point of the grid has come: open what is due."""
        if self.is_alone and now_ns < self.at_ns + self._fastest:  # nearly always so
            self.overruns += self._open[0]
            self._open[0] = True
            self.at_ns += self._fastest
            return
        at_ns = max(now_ns, self.at_ns)  # a timer may fire a hair early
        for group, period in enumerate(self._periods):
            if period == self._fastest or self._due_ns[group] <= at_ns:
                if self._open[group]:
                    self.overruns += 1
                self._open[group] = True
                if period != self._fastest:
                    self._due_ns[group] = next_due(at_ns, period, self._slot).at_ns
        due = next_due(now_ns, self._fastest, self._slot, self.at_ns)
        self.overruns += due.skipped
        self.at_ns = due.at_ns

    def open(self, group: int) -> None:
        """Read a group now, whenever it is due."""
        self._open[group] = True

    def open_all(self) -> None:
        """Read every group now."""
        self._open = [True] * len(self._open)

    def turn(self) -> int | None:
        """The most important group that is open; None: nothing is to be read."""
        return self._open.index(True) if True in self._open else None

    def is_open(self, group: int) -> bool:
        """A group is to be read."""
        return self._open[group]

    def close(self, group: int) -> None:
        """A group was read."""
        self._open[group] = False


class Load:
    """How much of the time something was under way, over the last whole window.

    Attributes:
        busy_s: how long it was in this window; whoever is under way adds to it.
    """

    __slots__ = ("_begun_s", "_last", "busy_s")

    def __init__(self, now_s: float) -> None:
        self._begun_s = now_s
        self.busy_s = 0.0
        self._last: float | None = None

    def percent(self, now_s: float) -> float | None:
        """Of the time since the last window's end, which ends here if it was long enough; None: no time yet."""
        elapsed_s = now_s - self._begun_s
        if elapsed_s <= 0:
            return self._last
        percent = min(100.0, 100 * self.busy_s / elapsed_s)
        if elapsed_s >= LOAD_WINDOW_S:
            self._begun_s, self.busy_s, self._last = now_s, 0.0, percent
        return percent if self._last is None else self._last
