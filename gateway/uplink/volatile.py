"""Alarms that the disk would not take, until a recipient has them. Pure; bounded; knows no line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from buffer.record import Lane, Record

MAX_HELD: Final = 1_000
"""Alarm changes kept while the disk is dead and the recipient silent; beyond it the oldest is given up."""

MAX_REMEMBERED: Final = 10_000
"""Alarm changes known to be acknowledged while the disk is dead; of the oldest beyond it the durable copy goes out
too, under its own key."""

Place = tuple[Lane, int]


@dataclass(slots=True)
class _Held:
    record: Record
    sent: bool = False
    place: Place | None = None


class VolatileAlarms:
    """What one recipient has not yet acknowledged of what was never written.

    Attributes:
        given_up: how many left because of the bound.
    """

    def __init__(self) -> None:
        self.given_up = 0
        self._held: dict[int, _Held] = {}
        self._covered: dict[Place, int] = {}
        self._acknowledged: dict[int, None] = {}  # in order

    def __len__(self) -> int:
        return len(self._held)

    @property
    def oldest(self) -> int:
        """Number of the oldest held, 0 where there is none."""
        return next(iter(self._held), 0)

    def hold(self, records: Iterable[Record]) -> None:
        """Take more in; a record's ``seq`` is its number among the not durable ones."""
        for record in records:
            self._held[record.seq] = _Held(record)
        while len(self._held) > MAX_HELD:
            first = next(iter(self._held))
            self._forget(first)
            self.given_up += 1

    def pending(self) -> list[Record]:
        """All that is held, oldest first: what a new connection sends."""
        return [held.record for held in self._held.values()]

    def sent(self, n: int) -> None:
        """It went out at least once: the recipient may have it."""
        if n in self._held:
            self._held[n].sent = True

    def holds(self, n: int) -> bool:
        """Whether it still has to be sent."""
        return n in self._held

    def acknowledged(self, n: int) -> Place | None:
        """The recipient has it. Returns where its durable copy is, to be settled, if there is one yet."""
        held = self._forget(n)
        if held is not None and held.place is None:
            self._acknowledged[n] = None
            if len(self._acknowledged) > MAX_REMEMBERED:
                del self._acknowledged[next(iter(self._acknowledged))]
        return held.place if held is not None else None

    def recovered(self, copies: Mapping[int, Place]) -> list[Place]:
        """The disk took them at last. Returns the copies to settle at once: their originals were acknowledged.

        A copy whose original is on its way is skipped by the reader until the original is acknowledged; one
        whose original never went out is sent from the disk like any other.
        """
        settled: list[Place] = []
        for n, place in copies.items():
            held = self._held.get(n)
            if n in self._acknowledged:
                del self._acknowledged[n]
                settled.append(place)
            elif held is not None and held.sent:
                held.place = place
                self._covered[place] = n
            else:
                self._held.pop(n, None)
        return settled

    def covers(self, place: Place) -> bool:
        """Whether the original of this durable record is on its way."""
        return place in self._covered

    def _forget(self, n: int) -> _Held | None:
        held = self._held.pop(n, None)
        if held is not None and held.place is not None:
            self._covered.pop(held.place, None)
        return held
