"""Counts what was lost, doubled, repeated and disordered, from two raw logs. Pure.

The rules (DESIGN, "Counting honestly"): a reading is a point and what tells its readings apart: the answer
counter that travelled with it, or its source time. What the simulators answered is judged against what
arrived, before any unique index has tidied it.

    lost          answered, never arrived
    duplicates    one reading under a second key (or twice in one message), and one key with a second content
    redelivered   messages that came again under the same key with the same content: allowed, reported apart
    out_of_order  readings older than one that arrived before, per point, within live and within backfill
                  apart; redelivered messages do not count, their first arrival did
    unknown       arrived, never answered: an invention
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

MAX_EXAMPLES: Final = 10


class Reading(NamedTuple):
    """One reading's identity.

    Attributes:
        point: point or device id, the same word in both logs.
        stamp: answer counter or source time in nanoseconds; grows with every reading of the point.
    """

    point: str
    stamp: int


@dataclass(frozen=True, slots=True)
class Arrival:
    """One message as it came in, in order of arrival.

    Attributes:
        key: its idempotency key.
        content: SHA-256 or any digest of what it carried.
        backfill: whether it was marked as backfill.
        readings: what it carried, in its order; bad values have no reading.
    """

    key: str
    content: bytes
    backfill: bool
    readings: Sequence[Reading]


@dataclass(slots=True)
class Count:
    """The verdict's figures; ``examples`` names up to ten of each for whoever looks into a failure."""

    answered: int = 0
    arrived: int = 0
    lost: int = 0
    duplicates: int = 0
    redelivered: int = 0
    out_of_order: int = 0
    unknown: int = 0
    examples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Nothing lost, doubled, disordered or invented; something was answered at all."""
        return self.answered > 0 and not (self.lost or self.duplicates or self.out_of_order or self.unknown)

    def note(self, what: str, example: object) -> None:
        """Keep an example, if there is room."""
        kept = self.examples.setdefault(what, [])
        if len(kept) < MAX_EXAMPLES:
            kept.append(str(example))


def judge(answered: Iterable[Reading], arrivals: Iterable[Arrival]) -> Count:
    """Judge one recipient.

    Args:
        answered: every reading the simulators completed and the recipient must have had.
        arrivals: its raw arrival log, in order.
    """
    due = set(answered)
    count = Count(answered=len(due))
    contents: dict[str, set[bytes]] = {}
    keys_of: dict[Reading, str] = {}
    newest: dict[tuple[str, bool], int] = {}
    for arrival in arrivals:
        known = contents.setdefault(arrival.key, set())
        if arrival.content in known:
            count.redelivered += 1
            continue
        if known:
            count.duplicates += 1
            count.note("duplicates", f"{arrival.key} came with another content")
        known.add(arrival.content)
        for reading in arrival.readings:
            _place(count, reading, arrival, keys_of, newest)
    count.arrived = len(keys_of)
    for reading in sorted(due.difference(keys_of)):
        count.lost += 1
        count.note("lost", reading)
    for reading in sorted(set(keys_of) - due):
        count.unknown += 1
        count.note("unknown", reading)
    return count


def _place(
    count: Count,
    reading: Reading,
    arrival: Arrival,
    keys_of: dict[Reading, str],
    newest: dict[tuple[str, bool], int],
) -> None:
    stream = (reading.point, arrival.backfill)
    if reading in keys_of:
        count.duplicates += 1
        count.note("duplicates", f"{reading} in {keys_of[reading]} and in {arrival.key}")
        return
    keys_of[reading] = arrival.key
    if reading.stamp < newest.get(stream, reading.stamp):
        count.out_of_order += 1
        count.note("out_of_order", f"{reading} after {newest[stream]} in {arrival.key}")
    newest[stream] = max(reading.stamp, newest.get(stream, reading.stamp))
