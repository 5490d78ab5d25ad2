"""The thread that owns the spool: takes jobs, groups commits, opens the spool again after a fall.

What must hold:

1. An append's result is posted only after the commit that holds all of it.
2. The thread never dies of an error: whoever asked gets it. After a ``DiskError`` the spool is closed, so that
   its disk can be unmounted, and the next job opens the very same spool again, or fails in its turn. While it
   runs it never creates a spool.
3. An idle thread sleeps: it wakes for a job, never for a timer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from buffer.cursor import Position, Range
from buffer.errors import DiskError, QueueFullError, RecordDamagedError, SpoolError, SpoolFullError
from buffer.packing import Packing
from buffer.record import LANES, Append, Draft, Gap, Lane, Record
from buffer.retention import BULK
from buffer.settings import LaneState, Opened, PositionKey, Purged, Resume, SpoolSettings, SpoolStats
from buffer.spool import Spool

GROUP_MAX_BYTES: Final = 4 << 20
"""Bodies that share one commit at most: bounds what one transaction adds to the write-ahead log."""

Ticket: TypeAlias = object
"""Whatever the asker wants back with the result; the thread never looks at it."""
Outcome: TypeAlias = tuple[Ticket, object]
"""A ticket, and its result or the exception that took its place."""
Job: TypeAlias = Callable[[Spool], object]
_Waiting: TypeAlias = tuple[Append, Ticket]


class SpoolOwner:
    """The thread and its desk. What stands before ``_run`` may be called from any thread, the rest is its own.

    Args:
        path: the database file.
        settings: its bounds.
        recipients: who must settle what is kept.
        gap_body: canonical bytes of a journal record that declares a gap.
        make_packing: how bodies are packed, called in the thread; None: zstd.
        post: takes outcomes, records just appended, heads, and records nobody waits for; called in the thread.
        started: the ticket that gets ``Opened``.
        ended: the ticket that gets None at the very end.
    """

    def __init__(
        self,
        path: Path,
        settings: SpoolSettings,
        recipients: tuple[str, ...],
        gap_body: Callable[[Gap], bytes],
        make_packing: Callable[[], Packing] | None,
        post: Callable[[list[Outcome], list[Record], Mapping[Lane, int], list[Record]], None],
        started: Ticket,
        ended: Ticket,
    ) -> None:
        self._path = path
        self._settings = settings
        self._recipients = recipients
        self._gap_body = gap_body
        self._make_packing = make_packing
        self._post_to = post
        self._started = started
        self._ended = ended
        # under the condition
        self._wake = threading.Condition()
        self._appends: deque[_Waiting] = deque()
        self._jobs: deque[tuple[Job, Ticket]] = deque()
        self._in_hand: list[Ticket] = []
        self._positions: dict[PositionKey, Position] = {}
        self._unsaved: set[PositionKey] = set()
        self._flush = False
        self._closing = False
        # the thread's own; read whole by ``stats``
        self._spool: Spool | None = None
        self._resume: Resume | None = None
        self._declared: list[Record] = []
        self._failing = self._full = ""
        self._full_until_bytes = 0
        self._used_bytes = self._free_bytes = self._room_bytes = 0
        self._lanes: Mapping[Lane, LaneState] = {lane: LaneState() for lane in LANES}
        self._busy_since_s: float | None = None
        # a daemon: a disk that hangs for ever must not keep the process from ending
        self._thread = threading.Thread(target=self._run, name="spool", daemon=True)
        self._thread.start()

    def append(self, work: Append, ticket: Ticket) -> None:
        """Put an append on the desk.

        Raises:
            QueueFullError: the desk is full; nothing was taken.
            DiskError: closing, nothing is taken any more.
        """
        with self._wake:
            self._refuse_beyond_bound()
            self._appends.append((work, ticket))
            self._wake.notify()

    def ask(self, job: Job, ticket: Ticket) -> None:
        """Put any other job on the desk; raises as ``append``."""
        with self._wake:
            self._refuse_beyond_bound()
            self._jobs.append((job, ticket))
            self._wake.notify()

    def settle(self, key: PositionKey, ranges: list[Range]) -> bool:
        """Note what is settled, to be saved with the next commit; true when that changed anything.

        Raises:
            KeyError: no such recipient.
            ValueError: a range that is none.
        """
        with self._wake:
            place = self._positions[key].settle(ranges)
            changed = place != self._positions[key]
            if changed:
                self._positions[key] = place
                self._unsaved.add(key)
        return changed

    def position(self, key: PositionKey) -> Position:
        """Where a recipient stands, settlements not yet saved included."""
        return self._positions[key]

    @property
    def has_unsaved(self) -> bool:
        """Whether a settlement still waits for a commit."""
        return bool(self._unsaved)

    def save_settled(self) -> None:
        """Save settlements now, if no commit has taken them along."""
        with self._wake:
            if self._unsaved:
                self._flush = True
                self._wake.notify()

    def begin_close(self) -> None:
        """Take nothing any more, finish what waits, and end."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def join(self) -> None:
        """Wait for the thread, which has said that it ended."""
        self._thread.join()

    def abandon(self) -> list[Ticket]:
        """Who still waits while the disk hangs; their jobs are dropped where they have not begun."""
        with self._wake:
            left = [
                *self._in_hand,
                *(ticket for _, ticket in self._appends),
                *(ticket for _, ticket in self._jobs),
            ]
            self._appends.clear()
            self._jobs.clear()
        return left

    def stats(self) -> SpoolStats:
        """The spool as last seen."""
        since_s = self._busy_since_s
        return SpoolStats(
            bytes=self._used_bytes,
            quota_bytes=self._settings.quota_bytes,
            free_bytes=self._free_bytes,
            lanes=self._lanes,
            state="failing" if self._failing else "full" if self._full else "ok",
            detail=self._failing or self._full,
            queued=len(self._appends) + len(self._jobs),
            busy_s=0.0 if since_s is None else time.monotonic() - since_s,
        )

    def purge_step(self, spool: Spool, now_ns: int, *, by_age: bool) -> Purged:
        """A job: one step of retention and quota; positions move past what was given up."""
        purged = spool.purge(now_ns, by_age=by_age)
        with self._wake:
            for lane, last in purged.up_to.items():
                for recipient in self._recipients:
                    self._positions[recipient, lane] = self._positions[recipient, lane].settle([(1, last)])
        self._look()
        return purged

    def declare_damaged(self, spool: Spool, damage: RecordDamagedError) -> None:
        """Part of a job: a record that cannot be read is passed over by everyone, and a gap says so."""
        at_ns = damage.created_ns
        gap = Gap(damage.lane, damage.seq, damage.seq, at_ns, at_ns, "disk", dropped=1)
        with self._wake:
            settled = {
                (recipient, damage.lane): self._positions[recipient, damage.lane].settle([(damage.seq,) * 2])
                for recipient in self._recipients
            }
            self._positions.update(settled)
        written = spool.append_many([Append((Draft("journal", at_ns, self._gap_body(gap)),))], settled)
        self._declared += written[0]

    def _refuse_beyond_bound(self) -> None:
        if self._closing:
            raise DiskError(f"{self._path}: the spool is closed")
        if len(self._appends) + len(self._jobs) >= self._settings.queue_max:
            raise QueueFullError(
                f"{self._path}: {self._settings.queue_max} jobs wait for the disk; it is too slow or hangs"
            )

    def _run(self) -> None:
        try:
            opened: object = self._open_first()
        except Exception as e:  # noqa: BLE001 - whoever waits for the start gets it
            opened = e
            self._closing = True
        self._post([(self._started, opened)])
        while (work := self._next_work()) is not None:
            group, job = work
            self._busy_since_s = time.monotonic()
            if group or job is None:
                self._commit(group)
            if job is not None:
                self._do(*job)
            self._busy_since_s = None
        if self._unsaved and self._spool is not None:
            self._commit([])
        self._let_go()
        self._post([(self._ended, None)])

    def _next_work(self) -> tuple[list[_Waiting], tuple[Job, Ticket] | None] | None:
        """Everything that waits for a commit, and one other job; None when closing and done."""
        with self._wake:
            self._wake.wait_for(lambda: self._appends or self._jobs or self._flush or self._closing)
            group: list[_Waiting] = []
            size = 0
            while self._appends and size < GROUP_MAX_BYTES:
                group.append(self._appends.popleft())
                size += _body_bytes(group[-1][0])
            job = self._jobs.popleft() if self._jobs else None
            flush, self._flush = self._flush, False
            self._in_hand = [ticket for _, ticket in group] + ([job[1]] if job is not None else [])
        return (group, job) if group or job is not None or flush else None

    def _open_first(self) -> Opened:
        spool = self._opened(None)
        positions = spool.positions
        with self._wake:
            self._positions = dict(positions)
        return Opened(
            spool_id=spool.spool_id,
            heads=spool.heads,
            state=spool.state(),
            positions=positions,
            quarantined=spool.quarantined,
            unclean=spool.unclean,
            last_ns=spool.last_ns(),
            pregrown=spool.pregrown,
        )

    def _opened(self, resume: Resume | None) -> Spool:
        self._spool = Spool.open(
            self._path,
            self._settings,
            self._recipients,
            self._gap_body,
            resume=resume,
            store=None if self._make_packing is None else self._make_packing(),
        )
        self._look()
        return self._spool

    def _at_hand(self) -> Spool:
        """The open spool; after a fall the very same one, opened again.

        Raises:
            DiskError: it cannot be had yet.
        """
        if self._spool is not None:
            return self._spool
        if self._resume is None:
            raise DiskError(f"{self._path}: the spool was never open")
        try:
            spool = self._opened(self._resume)
        except DiskError:
            raise
        except SpoolError as e:  # while running, whatever keeps it closed may pass: the caller keeps its data
            raise DiskError(str(e)) from e
        self._declared += spool.declared
        with self._wake:
            for key, place in spool.positions.items():  # what the disk lost is settled there
                self._positions[key] = self._positions[key].settle(place.settled)
            self._unsaved = set(self._positions)
        return spool

    def _commit(self, group: list[_Waiting]) -> None:
        """One transaction for all that gathered, settlements with it."""
        saving: dict[PositionKey, Position] = {}
        fresh: list[Record] = []
        try:
            spool = self._at_hand()
            with self._wake:
                saving = {key: self._positions[key] for key in self._unsaved}
                self._unsaved.clear()
            outcomes = self._write(spool, group, saving)
            fresh = [record for _, result in outcomes if isinstance(result, tuple) for record in result]
        except Exception as e:  # noqa: BLE001 - the callers get it, the thread serves on
            with self._wake:
                self._unsaved.update(saving)
            self._note(e)
            self._post([(ticket, e) for _, ticket in group])
            self._fall(e)
        else:
            self._post(outcomes, fresh)

    def _write(
        self, spool: Spool, group: list[_Waiting], saving: Mapping[PositionKey, Position]
    ) -> list[Outcome]:
        bulk = [waiting for waiting in group if _is_bulk(waiting[0])]
        if bulk or self._full:
            self._look()
        wanted_bytes = sum(_body_bytes(work) for work, _ in bulk) + self._settings.reserve_bytes
        if not bulk or wanted_bytes <= self._room_bytes:
            try:
                written = spool.append_many([work for work, _ in group], saving)
            except SpoolFullError:
                if not bulk:
                    raise
            else:
                self._failing = ""
                self._full = "" if bulk else self._full
                return [(ticket, records) for (_, ticket), records in zip(group, written, strict=True)]
        text = f"{self._path}: the disk is full; the rest is kept for alarms and journal"
        refusal = SpoolFullError(text, retry_without_bulk=True)
        self._note_full(text, wanted_bytes)
        self._post([(ticket, refusal) for _, ticket in bulk])
        return self._write(spool, [waiting for waiting in group if not _is_bulk(waiting[0])], saving)

    def _note(self, error: Exception) -> None:
        """Before the outcome is posted, so that who hears of it finds it in ``stats`` too."""
        if isinstance(error, SpoolFullError):
            with suppress(SpoolError):  # what was seen last will do
                self._look()
            self._note_full(str(error), 0)
        elif isinstance(error, SpoolError):
            self._failing = str(error)

    def _note_full(self, text: str, wanted_bytes: int) -> None:
        """Full until there is room for what was refused, and in any case more than there was."""
        self._full = text
        self._full_until_bytes = max(wanted_bytes, self._room_bytes + 1)

    def _do(self, job: Job, ticket: Ticket) -> None:
        try:
            result: object = job(self._at_hand())
        except Exception as e:  # noqa: BLE001 - the caller gets it, the thread serves on
            self._note(e)
            self._post([(ticket, e)])
            self._fall(e)
        else:
            self._post([(ticket, result)])

    def _look(self) -> None:
        """Note how full it is, for ``stats`` and for the reserve."""
        assert self._spool is not None
        usage = self._spool.usage()
        self._used_bytes, self._free_bytes = usage.used_bytes, usage.free_bytes
        self._room_bytes = usage.free_bytes + usage.file_bytes - usage.used_bytes
        if self._room_bytes >= self._full_until_bytes:
            self._full = ""

    def _fall(self, error: Exception) -> None:
        """After a disk error: close, so that the disk can be unmounted; posted before, for it may take long."""
        if isinstance(error, DiskError):
            self._let_go()

    def _let_go(self) -> None:
        if self._spool is not None:
            spool, self._spool = self._spool, None
            self._resume = Resume(spool.spool_id, spool.heads, spool.next_leaf_no, spool.last_ns())
            spool.close()

    def _post(self, outcomes: list[Outcome], fresh: list[Record] | None = None) -> None:
        """Hand results to the loop in one call."""
        heads: dict[Lane, int] = {}
        if self._spool is not None:
            heads, self._lanes = self._spool.heads, self._spool.lanes
        declared, self._declared = self._declared, []
        self._post_to(outcomes, fresh or [], heads, declared)


def _body_bytes(work: Append) -> int:
    return sum(len(draft.body) for draft in work.drafts)


def _is_bulk(work: Append) -> bool:
    """Whether this must leave the reserve alone: it holds readings or snapshots, whatever else it holds."""
    return any(draft.lane in BULK for draft in work.drafts)
