"""What people hold back now: shelves and times out of service, each with its end. Pure; moves no alarm."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, TypeAlias

from gateway.alarm.limits import NEVER
from gateway.alarm.people import AlarmSettings, Held, Hold, RefusedError
from gateway.instant import Now

MAX_HELD: Final = 1_000
"""Shelves and times out of service at once."""

Key: TypeAlias = tuple[str, str]
"""(kind, target)."""


class Holds:
    """All that stand.

    Args:
        held: those that stood at the last stop.
        now: the start.
        settings: bounds.
        seen_ns: UTC that was seen already before the start; a clock that is behind it is wrong.

    Attributes:
        standing: by kind and target.
    """

    def __init__(self, held: Iterable[Held], now: Now, settings: AlarmSettings, seen_ns: int = 0) -> None:
        self.standing: dict[Key, Held] = {}
        self._settings = settings
        self._ends_ns: dict[Key, int] = {}
        for one in held:
            # Its end is a time of day, which may have been set since: never longer than it was meant to be, nor, on a
            # box that starts without the time, as long again at every start.
            left_ns = one.until_ns - max(now.utc_ns, one.since_ns, seen_ns)
            self._put(one, now.mono_ns + max(left_ns, 0))

    @property
    def next_deadline(self) -> int:
        """Monotonic nanoseconds at which the next one ends, ``NEVER`` without one."""
        return min(self._ends_ns.values(), default=NEVER)

    def begin(self, actor: str, command: Hold, target: str, now: Now) -> Held:
        """One more, or one anew.

        Raises:
            RefusedError: no reason, not so long, or not so many.
        """
        if not command.reason.strip():
            raise RefusedError("E-REFUSED-REASON")
        shelving = command.kind == "shelve"
        longest_s = self._settings.shelf_longest_s if shelving else self._settings.service_longest_s
        if not 0 < command.for_s <= longest_s:
            raise RefusedError("E-REFUSED-LONG", longest_s=f"{longest_s:g}")
        if (command.kind, target) not in self.standing and len(self.standing) >= MAX_HELD:
            raise RefusedError("E-REFUSED-HELD", most=MAX_HELD)
        for_ns = int(command.for_s * 1e9)
        one = Held(command.kind, target, actor, command.reason, now.utc_ns, now.utc_ns + for_ns)
        self._put(one, now.mono_ns + for_ns)
        return one

    def end(self, key: Key) -> Held:
        """It stands no more.

        Raises:
            KeyError: it does not stand.
        """
        del self._ends_ns[key]
        return self.standing.pop(key)

    def due(self, mono_ns: int) -> list[Key]:
        """Those whose end has come."""
        return [key for key, end_ns in self._ends_ns.items() if mono_ns >= end_ns]

    def until_ns(self, kind: str, condition: str, point_id: str) -> int:
        """UTC at which the last hold of this kind on a condition, or on its point, ends; 0 for none."""
        if not self.standing:
            return 0
        ones = (self.standing.get((kind, target)) for target in (condition, point_id))
        return max((one.until_ns for one in ones if one), default=0)

    def _put(self, one: Held, end_ns: int) -> None:
        self.standing[one.kind, one.target] = one
        self._ends_ns[one.kind, one.target] = end_ns
