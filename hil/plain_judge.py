"""Limits judged the slow way, one value and one object at a time: a second opinion on the gateway's columns. Pure.

Written from what the documentation promises and from nothing of ``gateway/alarm``:

- a limit is violated by a value that reaches it, and has returned once a value lies further back than its deadband;
- it must be violated for its on-delay before it is an alarm, and have returned for its off-delay before that clears;
  a delay runs without values too; a bad value stops its clock and a value of the wrong kind begins it afresh;
- a bad value moves nothing, an uncertain one may raise and never clears;
- an alarm of the outer limit is one of the inner limit of its side;
- a restart remembers what stood and forgets how long anything had waited.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gateway.alarm.limits import Each, Level, Limits
from gateway.instant import Now, rfc3339

SILENT_NS: Final = 10 * 10**9
"""A point that is read every second is not read when it was not heard for five periods and five seconds."""

BAD, UNCERTAIN, FINE = "bad", "uncertain", "good"

_SIDES: Final[tuple[tuple[str, tuple[Level, ...]], ...]] = (
    ("low", ("LL", "L")),
    ("high", ("HH", "H")),
    ("state", ("ON",)),
)
"""Each side's limits, the outer one first."""


class Verdict(NamedTuple):
    """One transition."""

    condition: str
    at: str
    transition: str
    level: str
    value: float


@dataclass(slots=True)
class _Limit:
    level: Level
    edge: float
    upward: bool
    deadband: float
    on_ns: int
    off_ns: int
    active: bool = False
    due_ns: int | None = None
    left_ns: int | None = None

    def see(self, value: float, status: str, at_ns: int) -> None:
        if status == BAD:
            if self.due_ns is not None:
                self.left_ns, self.due_ns = max(self.due_ns - at_ns, 0), None
            return
        if self._is_out(value, status) == self.active:
            self.due_ns = self.left_ns = None
            return
        if self.due_ns is None:
            delay_ns = self.off_ns if self.active else self.on_ns
            self.due_ns = at_ns + (delay_ns if self.left_ns is None else self.left_ns)
            self.left_ns = None
        self.look(at_ns)

    def look(self, at_ns: int) -> None:
        if self.due_ns is not None and at_ns >= self.due_ns:
            self.active, self.due_ns = not self.active, None

    def _is_out(self, value: float, status: str) -> bool:
        if self.active and status == UNCERTAIN:
            return True
        beyond = value - self.edge if self.upward else self.edge - value
        return beyond >= (-self.deadband if self.active else 0.0)


@dataclass(slots=True)
class PlainPoint:
    """One point.

    Args:
        tag: its name.
        limits: its limits.

    Attributes:
        heard_ns: monotonic, when a value came last.
        verdicts: every transition so far.
    """

    tag: str
    limits: Limits
    heard_ns: int = 0
    verdicts: list[Verdict] = field(default_factory=list)
    _sides: list[tuple[str, list[_Limit]]] = field(init=False)
    _value: float = math.nan

    def __post_init__(self) -> None:
        mine = [(side, [level for level in levels if level in self.limits.levels]) for side, levels in _SIDES]
        self._sides = [
            (side, [_limit(self.limits, one) for one in levels]) for side, levels in mine if levels
        ]

    def see(self, value: float, status: str, now: Now) -> None:
        """A value was judged at this instant."""
        self.heard_ns = now.mono_ns
        self._take(value, status if math.isfinite(value) else BAD, now)

    def look(self, now: Now) -> None:
        """Time has come so far without a value."""
        for side, limits in self._sides:
            if not any(limit.due_ns is not None for limit in limits):
                continue
            before = _worst(limits)
            for limit in limits:
                limit.look(now.mono_ns)
            self._settle(side, limits, before, now)
        if now.mono_ns - self.heard_ns >= SILENT_NS:
            self.heard_ns = now.mono_ns
            self._take(math.nan, BAD, now)

    def restart(self, now: Now) -> None:
        """The gateway is up again."""
        self.heard_ns = now.mono_ns
        for _, limits in self._sides:
            for limit in limits:
                limit.due_ns = limit.left_ns = None
            _imply(limits)

    def _take(self, value: float, status: str, now: Now) -> None:
        if status != BAD:
            self._value = value
        for side, limits in self._sides:
            before = _worst(limits)
            for limit in limits:
                limit.see(value, status, now.mono_ns)
            self._settle(side, limits, before, now)

    def _settle(self, side: str, limits: Sequence[_Limit], before: str, now: Now) -> None:
        if before != limits[0].level:
            _imply(limits)
        after = _worst(limits)
        if before == after:
            return
        if not before or not after:
            word = "raise" if after else "clear"
        else:
            word = "escalate" if after == limits[0].level else "deescalate"
        self.verdicts.append(
            Verdict(f"{self.tag}/{side}", rfc3339(now.utc_ns), word, after or before, self._value)
        )


def _worst(limits: Sequence[_Limit]) -> str:
    for limit in limits:
        if limit.active:
            return limit.level
    return ""


def _imply(limits: Sequence[_Limit]) -> None:
    if len(limits) == 2 and limits[0].active:
        limits[1].active, limits[1].due_ns, limits[1].left_ns = True, None, None


def _limit(limits: Limits, level: Level) -> _Limit:
    edge = limits.of(level)
    assert edge is not None
    if level == "ON":
        upward, edge = edge == 1.0, 0.5
    else:
        upward = level in ("H", "HH")
    on_ns, off_ns = (round(_figure(one, level) * 1e9) for one in (limits.on_delay_s, limits.off_delay_s))
    return _Limit(level, edge, upward, _figure(limits.deadband, level), on_ns, off_ns)


def _figure(figure: Each, level: Level) -> float:
    return figure if isinstance(figure, float | int) else figure.get(level, 0.0)
