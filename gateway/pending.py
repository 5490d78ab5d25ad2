"""What waits to become durable, bounded. Pure: decides what the next append holds and what is given up.

Readings beyond the bound are dropped, oldest first, and the hole is remembered until a gap record declares it.
Alarm changes are never dropped: beyond the bound the changes of one alarm are folded into its newest.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import Final

from buffer.record import Append, Draft, Gap
from drivers.kit.scan import Scan
from gateway.alarm.life import AlarmChanged
from gateway.codec import encode_item, encode_samples
from gateway.instant import ClockState, Now

MAX_CHANGES: Final = 10_000
"""Alarm changes kept apart; beyond it they are folded per alarm."""

MAX_DRAFTS: Final = 10_000
"""Other drafts (journal, snapshots) kept; beyond it the oldest go and are counted in the gap."""


def gap_item(gap: Gap) -> dict[str, object]:
    """A gap as it stands in the record."""
    return {
        "lane": gap.lane,
        "first_seq": gap.first_seq,
        "last_seq": gap.last_seq,
        "from_ns": gap.from_ns,
        "to_ns": gap.to_ns,
        "cause": gap.cause,
        "dropped": gap.dropped,
    }


@dataclass(slots=True)
class DiskOutage:
    """The disk's fall, while it lasts."""

    state: str
    cause: str
    since_ns: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What one append took from the pending things, so that a failed append can put it back."""

    scans: tuple[Scan, ...]
    changes: tuple[AlarmChanged, ...]
    drafts: tuple[Draft, ...]
    state: dict[str, bytes | None]
    gap: Gap | None


class Pending:
    """Readings, alarm changes and drafts that wait for the disk.

    Args:
        max_rows: most readings that wait; the oldest beyond it are given up.
    """

    def __init__(self, max_rows: int) -> None:
        self._max_rows = max_rows
        self._scans: list[Scan] = []
        self._rows = 0
        self._changes: OrderedDict[str, AlarmChanged] = OrderedDict()
        self._drafts: list[Draft] = []
        self._state: dict[str, bytes | None] = {}
        self._gap: Gap | None = None

    @property
    def rows(self) -> int:
        """Readings waiting."""
        return self._rows

    @property
    def urgent(self) -> bool:
        """Something waits that must not wait for the flush."""
        return bool(self._changes or self._drafts)

    @property
    def changes(self) -> tuple[AlarmChanged, ...]:
        """Alarm changes waiting, oldest first."""
        return tuple(self._changes.values())

    @property
    def gap(self) -> Gap | None:
        """The hole that the next append declares."""
        return self._gap

    def add_scans(self, scans: tuple[Scan, ...], cause: str = "disk") -> None:
        """Readings to record; the oldest go beyond the bound, and the gap grows by them."""
        self._scans.extend(scans)
        self._rows += sum(len(scan.points) for scan in scans)
        if self._rows > self._max_rows:
            self._shed(cause)

    def add_changes(self, changes: tuple[AlarmChanged, ...]) -> None:
        """Alarm changes to record, and with them the alarms' state."""
        for change in changes:
            alarm = change.alarm
            self._changes[f"{alarm.alarm_id}#{alarm.change_no}"] = change
            self._state[f"alarm/{alarm.condition}"] = None if alarm.ended else alarm.state_bytes()
        if len(self._changes) > MAX_CHANGES:
            self._fold()

    def add_draft(self, draft: Draft, state: dict[str, bytes | None] | None = None) -> None:
        """Another record, with the state that belongs to it."""
        self._drafts.append(draft)
        self._state.update(state or {})
        if len(self._drafts) > MAX_DRAFTS:
            lost = self._drafts.pop(0)
            self._lose(lost.created_ns, lost.created_ns, 1, "overflow")

    def declare(self, from_ns: int, to_ns: int, dropped: int, cause: str) -> None:
        """A hole in the readings that the next append declares."""
        self._lose(from_ns, to_ns, dropped, cause)

    def take(self) -> Waiting:
        """Everything that waits; the caller appends it or puts it back."""
        waiting = Waiting(
            tuple(self._scans), tuple(self._changes.values()), tuple(self._drafts), self._state, self._gap
        )
        self._scans, self._rows, self._drafts, self._state, self._gap = [], 0, [], {}, None
        self._changes = OrderedDict()
        return waiting

    def put_back(self, waiting: Waiting) -> None:
        """A failed append's things wait again, before everything that came since."""
        newer = self.take()
        self._gap = waiting.gap
        if newer.gap is not None:
            self._lose(newer.gap.from_ns, newer.gap.to_ns, newer.gap.dropped, newer.gap.cause)
        self._drafts = [*waiting.drafts, *newer.drafts]
        self._state = {**waiting.state, **newer.state}
        for change in (*waiting.changes, *newer.changes):
            self._changes[f"{change.alarm.alarm_id}#{change.alarm.change_no}"] = change
        self.add_scans((*waiting.scans, *newer.scans))

    def _shed(self, cause: str) -> None:
        shed: list[Scan] = []
        while self._rows > self._max_rows:
            scan = self._scans.pop(0)
            self._rows -= len(scan.points)
            shed.append(scan)
        self._lose(shed[0].taken_ns, shed[-1].taken_ns, len(shed), cause)

    def _lose(self, from_ns: int, to_ns: int, dropped: int, cause: str) -> None:
        gap = self._gap
        if gap is not None:
            from_ns, to_ns = min(gap.from_ns, from_ns), max(gap.to_ns, to_ns)
            dropped, cause = gap.dropped + dropped, gap.cause
        self._gap = Gap("reading", 0, 0, from_ns, to_ns, cause, dropped)

    def _fold(self) -> None:
        newest: dict[str, AlarmChanged] = {}
        for change in self._changes.values():
            before = newest.pop(change.alarm.alarm_id, None)
            folded = before.coalesced + 1 if before else 0
            newest[change.alarm.alarm_id] = replace(change, coalesced=change.coalesced + folded)
        self._changes = OrderedDict((f"{c.alarm.alarm_id}#{c.alarm.change_no}", c) for c in newest.values())


def without_readings(waiting: Waiting) -> Waiting:
    """What is left of an append when the spool has no room for readings: they become the gap."""
    scans, gap = waiting.scans, waiting.gap
    if not scans:
        return waiting
    from_ns, dropped = scans[0].taken_ns, len(scans)
    if gap is not None:
        from_ns, dropped = min(gap.from_ns, from_ns), gap.dropped + dropped
    return replace(waiting, scans=(), gap=Gap("reading", 0, 0, from_ns, scans[-1].taken_ns, "quota", dropped))


def append_of(waiting: Waiting, config_rev: str, clock: ClockState, now: Now) -> Append:
    """The one transaction that makes all of it durable: what caused an alarm, the alarm, and its state."""
    drafts: list[Draft] = []
    if waiting.scans:
        body = encode_samples(list(waiting.scans), clock, config_rev)
        drafts.append(Draft("reading", waiting.scans[-1].taken_ns, body))
    for change in waiting.changes:
        body = encode_item("alarm", change.item(config_rev), clock, config_rev)
        drafts.append(Draft("alarm", change.alarm.changed_ns, body))
    drafts += waiting.drafts
    if waiting.gap is not None:
        body = encode_item("gap", gap_item(waiting.gap), clock, config_rev)
        drafts.append(Draft("journal", now.utc_ns, body))
    return Append(tuple(drafts), waiting.state)
