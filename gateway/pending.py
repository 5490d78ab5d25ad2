"""What waits to become durable, bounded. Pure: decides what the next append holds and what is given up.

Readings beyond the bound are dropped, those out of a source's history first, then the oldest, and the hole is
remembered until a gap record declares it.
Alarm changes are never dropped: beyond the bound the changes of one alarm are folded into its newest.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from buffer.record import Append, Draft, Gap
from buffer.retention import BULK
from drivers.kit.scan import Scan
from gateway.alarm.life import AlarmChanged
from gateway.codec import MAX_HEADER_BYTES, encode_item, encode_samples, exact_bytes
from gateway.instant import ClockState, Now

MAX_CHANGES: Final = 10_000
"""Alarm changes kept apart; beyond it they are folded per alarm."""

SCAN_ROWS: Final = 16
"""A scan counts as so many rows more than it has: what its object weighs in memory."""

RECORD_ROWS: Final = 20_000
RECORD_SCANS: Final = 2_000
EXACT_ROW_BYTES: Final = MAX_HEADER_BYTES // (2 * RECORD_ROWS)
"""Largest record of readings: what waited longer becomes several, so that every recipient can take each; texts and
long whole numbers stand in the header and count as a row for so many of its bytes."""

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
        self._history = 0
        self._changes: OrderedDict[str, AlarmChanged] = OrderedDict()
        self._drafts: list[Draft] = []
        self._state: dict[str, bytes | None] = {}
        self._gap: Gap | None = None
        self._fold_at = MAX_CHANGES

    @property
    def rows(self) -> int:
        """Readings waiting, and ``SCAN_ROWS`` for each of their scans."""
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
        self._rows += sum(SCAN_ROWS + _weight(scan) for scan in scans)
        self._history += sum(scan.history for scan in scans)
        if self._rows > self._max_rows:
            self._shed(cause)

    def add_changes(self, changes: tuple[AlarmChanged, ...]) -> None:
        """Alarm changes to record, and with them the alarms' state."""
        for change in changes:
            alarm = change.alarm
            self._changes[change.name] = change
            self._state[f"alarm/{alarm.condition}"] = None if alarm.ended else alarm.state_bytes()
        if len(self._changes) > self._fold_at:
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
        self._history = 0
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
            self._changes[change.name] = change
        self.add_scans((*waiting.scans, *newer.scans))

    def _shed(self, cause: str) -> None:
        """What a source's history gave goes before what has just been read, and the older before the newer."""
        shed: list[Scan] = []
        at = 0
        while self._rows > self._max_rows:
            rest = range(at, len(self._scans))
            at = next(i for i in rest if self._scans[i].history) if self._history else 0
            scan = self._scans.pop(at)
            self._history -= scan.history
            self._rows -= SCAN_ROWS + _weight(scan)
            shed.append(scan)
        taken = [scan.taken_ns for scan in shed]
        self._lose(min(taken), max(taken), len(shed), cause)

    def _lose(self, from_ns: int, to_ns: int, dropped: int, cause: str) -> None:
        gap = self._gap
        if gap is not None:
            from_ns, to_ns = min(gap.from_ns, from_ns), max(gap.to_ns, to_ns)
            dropped, cause = gap.dropped + dropped, gap.cause
        self._gap = Gap("reading", 0, 0, from_ns, to_ns, cause, dropped)

    def _fold(self) -> None:
        """Keep the newest change of each condition, with the count of those before it."""
        newest: dict[str, AlarmChanged] = {}
        for change in self._changes.values():
            before = newest.pop(change.alarm.condition, None)
            folded = before.coalesced + 1 if before else 0
            newest[change.alarm.condition] = replace(change, coalesced=change.coalesced + folded)
        self._changes = OrderedDict((change.name, change) for change in newest.values())
        # Folding costs a look at every change, so it waits until it can halve them again.
        self._fold_at = max(MAX_CHANGES, 2 * len(self._changes))


def _weight(scan: Scan) -> int:
    """Rows of a scan, and what its texts count for."""
    return len(scan.points) + (exact_bytes(scan.exact) // EXACT_ROW_BYTES if scan.exact else 0)


def _pieces(scan: Scan) -> Iterator[Scan]:
    """The scan, in pieces where its texts alone would be too much for one record."""
    n = len(scan.points)
    if scan.exact is None or exact_bytes(scan.exact) <= RECORD_ROWS * EXACT_ROW_BYTES:
        yield scan
        return
    for rows in (slice(0, n // 2), slice(n // 2, n)):
        exact = {
            row - rows.start: value for row, value in scan.exact.items() if rows.start <= row < rows.stop
        }
        source_ns = None if scan.source_ns is None else scan.source_ns[rows]
        yield from _pieces(
            replace(
                scan,
                points=scan.points[rows],
                values=scan.values[rows],
                quality=scan.quality[rows],
                source_ns=source_ns,
                exact=exact or None,
            )
        )


def _portions(scans: tuple[Scan, ...]) -> Iterator[list[Scan]]:
    """Scans in their order, cut where a record would become too large for a recipient."""
    portion: list[Scan] = []
    rows = 0
    for scan in scans:
        for piece in _pieces(scan):
            weight = _weight(piece)
            if portion and (rows + weight > RECORD_ROWS or len(portion) >= RECORD_SCANS):
                yield portion
                portion, rows = [], 0
            portion.append(piece)
            rows += weight
    if portion:
        yield portion


def _created_ns(portion: list[Scan]) -> int:
    """When the newest of it was read; what a source's history gave is older than that."""
    return next((scan.taken_ns for scan in reversed(portion) if not scan.history), portion[-1].taken_ns)


def without_bulk(waiting: Waiting) -> Waiting:
    """What is left of an append when the spool has room for alarms and journal only: the rest becomes the gap."""
    lost = [scan.taken_ns for scan in waiting.scans]
    lost += [draft.created_ns for draft in waiting.drafts if draft.lane in BULK]
    if not lost:
        return waiting
    gap, from_ns, to_ns, dropped = waiting.gap, min(lost), max(lost), len(lost)
    if gap is not None:
        from_ns, to_ns, dropped = min(gap.from_ns, from_ns), max(gap.to_ns, to_ns), gap.dropped + dropped
    drafts = tuple(draft for draft in waiting.drafts if draft.lane not in BULK)
    return replace(
        waiting, scans=(), drafts=drafts, gap=Gap("reading", 0, 0, from_ns, to_ns, "quota", dropped)
    )


def append_of(waiting: Waiting, config_rev: str, clock: ClockState, now: Now) -> Append:
    """The one transaction that makes all of it durable: what caused an alarm, the alarm, and its state."""
    drafts = [
        Draft("reading", _created_ns(portion), encode_samples(portion, clock, config_rev))
        for portion in _portions(waiting.scans)
    ]
    for change in waiting.changes:
        body = encode_item("alarm", change.item(config_rev), clock, config_rev)
        drafts.append(Draft("alarm", change.alarm.changed_ns, body))
    drafts += waiting.drafts
    if waiting.gap is not None:
        body = encode_item("gap", gap_item(waiting.gap), clock, config_rev)
        drafts.append(Draft("journal", now.utc_ns, body))
    return Append(tuple(drafts), waiting.state)
