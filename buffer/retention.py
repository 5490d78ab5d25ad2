"""What leaves the spool, and what is given up when the quota forces it. Pure; deletes nothing itself.

Two rules, in this order:

1. A record goes when every recipient settled it and it is older than the retention.
2. Over the byte quota records go early, and only as many as needed, in this order: settled readings, settled
   snapshots, settled alarms and journal beyond their reserve, then unsettled readings, unsettled snapshots,
   and at the very last unsettled journal and alarms beyond their reserve. Oldest first within each.

The newest record of a lane always stays: the next sequence number is counted from it. Giving up an unsettled
record is a declared ``Gap``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from buffer.cursor import Position
from buffer.record import Gap, Lane

RESERVED: Final[tuple[Lane, ...]] = ("journal", "alarm")
"""Lanes that the reserve is kept for, the first to be given up first."""
BULK: Final[tuple[Lane, ...]] = ("reading", "snapshot")
"""Lanes that must leave the reserve free, the first to be given up first."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One kept record, as far as retention must know it.

    Attributes:
        seq: its place in the lane.
        created_ns: UTC nanoseconds.
        size_bytes: what deleting it frees.
    """

    seq: int
    created_ns: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LaneUse:
    """A lane as it stands.

    Attributes:
        lane: which.
        last_seq: its newest record, 0 where there is none.
        size_bytes: what all its records take up.
        oldest: its oldest records, rising; a page of them, not all.
        settled: what every recipient has settled; None where nobody is waited for.
    """

    lane: Lane
    last_seq: int
    size_bytes: int
    oldest: Sequence[Kept]
    settled: Position | None

    def is_settled(self, seq: int) -> bool:
        """Whether nobody needs this record any more."""
        return self.settled is None or self.settled.is_settled(seq)


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds.

    Attributes:
        quota_bytes: all lanes together.
        reserve_bytes: how much of the quota readings and snapshots must leave to alarms and journal.
        retention_ns: age up to which a settled record stays.
    """

    quota_bytes: int
    reserve_bytes: int
    retention_ns: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What to delete.

    Attributes:
        up_to: per lane the last seq that goes (all before it go too).
        gaps: what is given up unsettled, to be declared in the same transaction.
        more: the pages ended before the need did: delete, look again, and plan again.
    """

    up_to: dict[Lane, int]
    gaps: tuple[Gap, ...]
    more: bool


def plan(uses: Sequence[LaneUse], limits: Limits, now_ns: int | None) -> Plan:
    """Decide what goes now.

    Args:
        uses: every lane once.
        limits: the bounds.
        now_ns: UTC nanoseconds of a clock that may be trusted for ages; None: nothing goes by its age.
    """
    lanes = {use.lane: _Pass(use) for use in uses}
    if now_ns is not None:
        for going in lanes.values():
            going.take_aged(now_ns - limits.retention_ns)
    steps = [(lane, False) for lane in (*BULK, *RESERVED)] + [(lane, True) for lane in (*BULK, *RESERVED)]
    more = False
    for lane, unsettled in steps:
        if lane in lanes and (need := _need(lanes, lane, limits)) > 0:
            more = lanes[lane].take_bytes(need, unsettled=unsettled)
            if more:
                break
    more = more or any(going.aged_out for going in lanes.values())
    up_to = {lane: going.last_gone for lane, going in lanes.items() if going.taken}
    gaps = tuple(gap for going in lanes.values() if (gap := going.gap()) is not None)
    return Plan(up_to, gaps, more)


def _need(lanes: dict[Lane, _Pass], lane: Lane, limits: Limits) -> int:
    """Bytes this lane is asked for, after what is already going."""
    reserved = sum(lanes[name].left_bytes for name in RESERVED if name in lanes)
    bulk = sum(lanes[name].left_bytes for name in BULK if name in lanes)
    if lane in BULK:
        return bulk - (limits.quota_bytes - max(limits.reserve_bytes, reserved))
    over = reserved + bulk - limits.quota_bytes
    return min(over, reserved - limits.reserve_bytes)


class _Pass:
    """One lane while the plan is made: how many of its oldest go, and what that leaves."""

    def __init__(self, use: LaneUse) -> None:
        self.use = use
        self.taken = 0
        self.left_bytes = use.size_bytes
        self.aged_out = False

    @property
    def last_gone(self) -> int:
        return self.use.oldest[self.taken - 1].seq

    def take_aged(self, before_ns: int) -> None:
        while (kept := self._next()) is not None:
            if kept.created_ns >= before_ns or not self.use.is_settled(kept.seq):
                return
            self._take(kept)
        self.aged_out = self._page_ended()

    def take_bytes(self, need: int, *, unsettled: bool) -> bool:
        """Take the oldest until the need is met; true when the page ended first."""
        while need > 0:
            kept = self._next()
            if kept is None:
                return self._page_ended()
            if not unsettled and not self.use.is_settled(kept.seq):
                return False
            self._take(kept)
            need -= kept.size_bytes
        return False

    def gap(self) -> Gap | None:
        lost = [kept for kept in self.use.oldest[: self.taken] if not self.use.is_settled(kept.seq)]
        if not lost:
            return None
        times = [kept.created_ns for kept in lost]
        return Gap(self.use.lane, lost[0].seq, lost[-1].seq, min(times), max(times), "quota", len(lost))

    def _next(self) -> Kept | None:
        if self.taken == len(self.use.oldest) or self.use.oldest[self.taken].seq == self.use.last_seq:
            return None
        return self.use.oldest[self.taken]

    def _page_ended(self) -> bool:
        return self.taken > 0 and self.taken == len(self.use.oldest) and self.last_gone < self.use.last_seq

    def _take(self, kept: Kept) -> None:
        self.taken += 1
        self.left_bytes -= kept.size_bytes
