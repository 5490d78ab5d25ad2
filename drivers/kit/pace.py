"""Decides when a device is read: a grid on the monotonic clock. Pure; the clock is an argument.

Wake-ups cost more CPU than reads do, so devices share a few instants: every device of one period and slot
gets the very same deadline, and the loop wakes once for all of them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

SLOTS_PER_PERIOD: Final = 20
"""Reads are spread over this many instants of a period."""
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
