"""Mass balances: what a tank's level says against what its flows say. Pure; an advisory, never an alarm that sounds.

Over its window the change of volume (level x volume of one unit of level) should be the integral of the flows in less
the flows out. What they are apart is judged at every sample, about ``SAMPLES`` times in a window, with the flows
integrated by the trapezoidal rule from sample to sample.

Only good values say anything: while any of a balance's points is bad or uncertain it is not judged and keeps its
state, and afterwards a whole window must have been seen anew, because nobody knows what flowed meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from drivers.kit.scan import ValueArray
from gateway.alarm.conditions import Balance
from gateway.alarm.limits import NEVER, MaskArray, Rows

SAMPLES: Final = 60
"""Samples of one window."""

HOLE: Final = 5
HOLE_LEAST_NS: Final = 5_000_000_000
"""A pause of so many samples, and at least so long, is a hole: the window begins afresh."""

RETURN: Final = 0.5
"""A misfit returns within this part of its tolerance."""


class Sample(NamedTuple):
    """A tank at one moment.

    Attributes:
        mono_ns: monotonic.
        volume: by the level, m3.
        flow: flows in less flows out, m3/h.
        moved: integral of ``flow`` since the window began, m3.
    """

    mono_ns: int
    volume: float
    flow: float
    moved: float


@dataclass(frozen=True, slots=True)
class Judged:
    """What a balance says at a sample.

    Attributes:
        balance: which.
        condition: of its alarm.
        change: that this sample brings: ``raise``, ``clear``, or one of ``doubt`` and ``trust`` while a misfit
            stands that cannot be, or is again, judged.
        apart: change of volume less what the flows moved, m3; 0 for a doubt.
        worst: the same where it was farthest from 0 since the misfit began.
        cause: the figures, in words.
    """

    balance: Balance
    condition: str
    change: str
    apart: float = 0.0
    worst: float = 0.0
    cause: str = ""


class _Tank:
    """One balance and its window."""

    def __init__(self, balance: Balance, row_of: Mapping[str, int]) -> None:
        flows = [*balance.inflows, *balance.outflows]
        self.balance = balance
        self.condition = f"{balance.name}/balance"
        self.window_ns = int(balance.window_s * 1e9)
        self.every_ns = max(self.window_ns // SAMPLES, 1)
        self.due_ns = 0
        self.misfit = False
        self.worst = 0.0
        self._doubted = False
        self._level = row_of[balance.level]
        self._flows: Rows = np.array([row_of[tag] for tag in flows], dtype=np.intp)
        self._signs = np.array([1.0] * len(balance.inflows) + [-1.0] * len(balance.outflows))
        self._rows: Rows = np.array([self._level, *self._flows], dtype=np.intp)
        self._window: deque[Sample] = deque(maxlen=SAMPLES + 4)

    def sample(self, values: ValueArray, good: Callable[[Rows], MaskArray], mono_ns: int) -> Judged | None:
        """Take one sample and judge; None if nothing changes by it."""
        due_ns = self.due_ns + self.every_ns
        self.due_ns = due_ns if due_ns > mono_ns else mono_ns + self.every_ns
        if not good(self._rows).all():
            self._window.clear()
            return self._doubt(doubted=True)
        if self._window and mono_ns - self._window[-1].mono_ns > max(HOLE * self.every_ns, HOLE_LEAST_NS):
            self._window.clear()
        self._take(values, mono_ns)
        oldest, newest = self._window[0], self._window[-1]
        if newest.mono_ns - oldest.mono_ns < self.window_ns:
            return None
        stored, moved = newest.volume - oldest.volume, newest.moved - oldest.moved
        return self._judge(stored, moved) or self._doubt(doubted=False)

    def _take(self, values: ValueArray, mono_ns: int) -> None:
        flow = float(self._signs @ values[self._flows])
        moved = 0.0
        if self._window:
            last = self._window[-1]
            hours = (mono_ns - last.mono_ns) / 3.6e12
            moved = last.moved + (last.flow + flow) / 2 * hours
        volume = float(values[self._level]) * self.balance.volume_per_unit
        self._window.append(Sample(mono_ns, volume, flow, moved))
        while len(self._window) > 2 and mono_ns - self._window[1].mono_ns >= self.window_ns:
            self._window.popleft()

    def _judge(self, stored: float, moved: float) -> Judged | None:
        apart, tolerance = stored - moved, self.balance.tolerance
        if not self.misfit or abs(apart) > abs(self.worst):
            self.worst = apart
        if self.misfit == (abs(apart) > (tolerance * RETURN if self.misfit else tolerance)):
            return None
        self.misfit, self._doubted = not self.misfit, False
        cause = (
            f"level says {stored:+.4g} m3, flows say {moved:+.4g} m3 "
            f"in {self.balance.window_s / 60:.4g} min: {abs(apart):.4g} m3 apart"
        )
        change = "raise" if self.misfit else "clear"
        return Judged(self.balance, self.condition, change, apart, self.worst, cause)

    def _doubt(self, *, doubted: bool) -> Judged | None:
        if not self.misfit or self._doubted == doubted:
            return None
        self._doubted = doubted
        return Judged(self.balance, self.condition, "doubt" if doubted else "trust")


class Balances:
    """All mass balances of a gateway.

    Args:
        balances: as configured.
        row_of: tag -> row of the point table.

    Attributes:
        next_due_ns: monotonic nanoseconds at which the next sample is due, ``NEVER`` without balances.
    """

    def __init__(self, balances: Sequence[Balance], row_of: Mapping[str, int]) -> None:
        self._tanks = [_Tank(balance, row_of) for balance in balances]
        self.next_due_ns: int = 0 if self._tanks else NEVER

    def judge(self, values: ValueArray, good: Callable[[Rows], MaskArray], mono_ns: int) -> list[Judged]:
        """Sample every balance whose time has come.

        Args:
            values: float64[n], last values of all points.
            good: which of these rows are good now.
            mono_ns: monotonic.

        Returns:
            what changes.
        """
        due = [tank for tank in self._tanks if mono_ns >= tank.due_ns]
        judged = [tank.sample(values, good, mono_ns) for tank in due]
        self.next_due_ns = min((tank.due_ns for tank in self._tanks), default=NEVER)
        return [one for one in judged if one is not None]

    def restore(self, condition: str, worst: float | None) -> bool:
        """A misfit that stood at the last stop; False if there is no such balance any more."""
        for tank in self._tanks:
            if tank.condition == condition:
                tank.misfit, tank.worst = True, worst or 0.0
                return True
        return False
