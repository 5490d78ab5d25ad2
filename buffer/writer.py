"""The spool's thread and its async face. The thread alone touches the spool; the loop alone keeps positions.

What must hold:

1. A future of ``append`` is resolved only after the commit that holds all of it.
2. Nothing here blocks the loop: the loop only puts jobs into a bounded queue and takes results from it.
3. The thread never dies of an error: the caller gets it, and after a ``DiskError`` the next job opens the very
   same spool again, or fails in its turn. While it runs it never creates a spool.
4. An idle thread sleeps: it wakes for a job, never for a timer.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

from buffer.cursor import Position
from buffer.errors import (
    DiskError,
    QueueFullError,
    RecordDamagedError,
    SpoolError,
    SpoolFullError,
)
from buffer.packing import Packing
from buffer.recent import Recent
from buffer.record import LANES, Ack, Append, Batch, Draft, Gap, Lane, Record
from buffer.retention import BULK
from buffer.settings import LaneState, PositionKey, Purged, Resume, SpoolSettings
from buffer.spool import Spool

GROUP_MAX_BYTES: Final = 4 << 20
"""Bodies that share one commit at most: bounds what one transaction adds to the write-ahead log."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was found at start.

    Attributes:
        spool_id: 16 hexadecimal digits.
        heads: newest seq of each lane, 0 where there is none.
        state: the small named values.
        positions: where each recipient stands.
        quarantined: the damaged predecessor's new name, None where there was none.
        unclean: the last owner was killed, or power was lost.
        last_ns: newest creation time on record, UTC nanoseconds, 0 where there is none.
        pregrown: the write-ahead log has its room; False: the disk is nearly full.
    """

    spool_id: str
    heads: Mapping[Lane, int]
    state: Mapping[str, bytes]
    positions: Mapping[PositionKey, Position]
    quarantined: Path | None
    unclean: bool
    last_ns: int
    pregrown: bool


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """The spool as last seen; asking costs nothing and waits for nothing.

    Attributes:
        bytes: taken up by records.
        quota_bytes: what they may take up.
        free_bytes: what the file system still gives.
        lanes: oldest, newest and packed bytes of each lane.
        state: ``failing`` from a disk error until the spool is open again.
        detail: the disk error, empty while ``ok``.
        queued: jobs that wait.
        busy_s: how long the job in hand has been running; large: the disk hangs.
    """

    bytes: int
    quota_bytes: int
    free_bytes: int
    lanes: Mapping[Lane, LaneState]
    state: str
    detail: str
    queued: int
    busy_s: float


_Waiting: TypeAlias = tuple[Append, "asyncio.Future[tuple[Record, ...]]"]
_Outcome: TypeAlias = "tuple[asyncio.Future[Any], object]"
_Job: TypeAlias = "tuple[Callable[[Spool], object], asyncio.Future[Any]]"


class SpoolWriter:
    """One spool, one thread.

    Args:
        path: the database file.
        settings: its bounds.
        recipients: who must settle what is kept.
        gap_body: canonical bytes of a journal record that declares a gap.
        make_packing: how bodies are packed, called in the thread; zstd if not given.
    """

    def __init__(
        self,
        path: Path,
        settings: SpoolSettings,
        recipients: tuple[str, ...],
        gap_body: Callable[[Gap], bytes],
        make_packing: Callable[[], Packing] | None = None,
    ) -> None:
        self._path = path
        self._settings = settings
        self._recipients = recipients
        self._gap_body = gap_body
        self._make_packing = make_packing
        # the loop's
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._ended: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heads: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self._recent = Recent(settings.cache_bytes)
        # shared, under the condition
        self._wake = threading.Condition()
        self._appends: deque[_Waiting] = deque()
        self._jobs: deque[_Job] = deque()
        self._positions: dict[PositionKey, Position] = {}
        self._unsaved: set[PositionKey] = set()
        self._flush = False
        self._closing = False
        # the thread's; the loop reads them whole
        self._spool: Spool | None = None
        self._resume: Resume | None = None
        self._detail = ""
        self._usage = (0, 0)
        self._room_bytes = 0
        self._in_hand: list[asyncio.Future[Any]] = []
        self._lanes: Mapping[Lane, LaneState] = {lane: LaneState() for lane in LANES}
        self._busy_since_s: float | None = None

    async def start(self) -> Opened:
        """Open the spool, or create it, or set a damaged one aside.

        Raises:
            SpoolFolderError, SpoolBusyError, SpoolNewerError, SpoolFullError, DiskError: as ``Spool.open``;
                ``start`` may be called again.
        """
        assert self._thread is None, "started twice"
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        self._closing = False
        started: asyncio.Future[Opened] = self._loop.create_future()
        # a daemon: a disk that hangs for ever must not keep the process from ending
        self._thread = threading.Thread(target=self._run, args=(started,), name="spool", daemon=True)
        self._thread.start()
        try:
            return await started
        except SpoolError:
            await self.close()
            raise

    async def append(self, work: Append) -> tuple[Record, ...]:
        """Record all of this; it is durable when this returns.

        A caller that is cancelled while it waits cannot know whether it was recorded.

        Raises:
            QueueFullError: too many wait for the disk already; nothing was taken.
            SpoolFullError: no room for it; readings and snapshots meet this before alarms and journal do.
            DiskError: the disk did not do it; nothing of it is recorded.
        """
        future = self._new_future()
        with self._wake:
            self._refuse_beyond_bound()
            self._appends.append((work, future))
            self._wake.notify()
        records: tuple[Record, ...] = await future
        return records

    async def read(
        self, lane: Lane, from_seq: int, max_records: int, max_bytes: int, up_to_seq: int | None = None
    ) -> Batch:
        """A page of a lane; what was written a moment ago comes from memory, disk or no disk.

        A record whose bytes do not give its leaf is passed over, settled, and declared as a gap.

        Raises:
            QueueFullError: too many wait for the disk already.
            DiskError: the disk did not answer.
        """
        last_seq = self._heads[lane] if up_to_seq is None else min(self._heads[lane], up_to_seq)
        page = self._recent.page(lane, from_seq, last_seq, max_records, max_bytes)
        if page is not None:
            return page
        if from_seq > last_seq:
            return Batch(lane, (), from_seq)

        def job(spool: Spool) -> Batch:
            try:
                return spool.read(lane, from_seq, max_records, max_bytes, last_seq)
            except RecordDamagedError as e:
                self._declare_damaged(spool, e)
                return Batch(lane, (), e.seq + 1)

        batch: Batch = await self._ask(job)
        return batch

    def settle(self, ack: Ack) -> None:
        """Note what a recipient has settled; saved with the next commit, or alone after ``settle_s``.

        What lies beyond the newest record is ignored: nothing unrecorded can be settled.

        Raises:
            KeyError: no such recipient.
            ValueError: a range that is none.
        """
        key = (ack.recipient, ack.lane)
        head = self._heads[ack.lane]
        ranges = [(first, min(last, head)) for first, last in ack.ranges if first <= head]
        with self._wake:
            place = self._positions[key].settle(ranges)
            if place == self._positions[key]:
                return
            self._positions[key] = place
            self._unsaved.add(key)
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(self._settings.settle_s, self._flush_settled)

    def position(self, recipient: str, lane: Lane) -> Position:
        """Where a recipient stands, settlements not yet saved included.

        Raises:
            KeyError: no such recipient.
        """
        return self._positions[recipient, lane]

    async def purge(self, now_ns: int) -> tuple[Record, ...]:
        """Let go of what retention and quota say, in small steps between which appends go on.

        Args:
            now_ns: UTC nanoseconds of a clock whose years are right.

        Returns:
            The journal records that declare what was given up unsettled.

        Raises:
            QueueFullError, SpoolFullError, DiskError: as ``append``.
        """
        declared: list[Record] = []
        more = True
        while more:
            purged: Purged = await self._ask(lambda spool: self._purge_step(spool, now_ns))
            for lane, last in purged.up_to.items():
                self._recent.forget(lane, last)
            declared += purged.declared
            more = purged.more
        return tuple(declared)

    def stats(self) -> SpoolStats:
        """The spool as last seen."""
        since_s = self._busy_since_s
        return SpoolStats(
            bytes=self._usage[0],
            quota_bytes=self._settings.quota_bytes,
            free_bytes=self._usage[1],
            lanes=self._lanes,
            state="failing" if self._detail else "ok",
            detail=self._detail,
            queued=len(self._appends) + len(self._jobs),
            busy_s=0.0 if since_s is None else time.monotonic() - since_s,
        )

    async def close(self) -> None:
        """Finish what waits, save settlements, close the file; a hung disk is left behind after ``close_s``."""
        if self._thread is None or self._ended is None:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        with self._wake:
            self._closing = True
            self._wake.notify()
        done, _ = await asyncio.wait([self._ended], timeout=self._settings.close_s)
        if done:
            self._thread.join()  # it has nothing left to do but return
        else:
            self._give_up_waiting()
        self._thread = None

    # --- the loop's side

    def _new_future(self) -> asyncio.Future[Any]:
        if self._loop is None or self._thread is None or self._closing:
            raise DiskError(f"{self._path}: the spool is closed")
        return self._loop.create_future()

    async def _ask(self, job: Callable[[Spool], Any]) -> Any:
        future = self._new_future()
        with self._wake:
            self._refuse_beyond_bound()
            self._jobs.append((job, future))
            self._wake.notify()
        return await future

    def _refuse_beyond_bound(self) -> None:
        if len(self._appends) + len(self._jobs) >= self._settings.queue_max:
            raise QueueFullError(
                f"{self._path}: {self._settings.queue_max} jobs wait for the disk; it is too slow or hangs"
            )

    def _flush_settled(self) -> None:
        self._timer = None
        with self._wake:
            if self._unsaved:
                self._flush = True
                self._wake.notify()

    def _deliver(self, outcomes: list[_Outcome], fresh: list[Record], heads: Mapping[Lane, int]) -> None:
        self._heads.update(heads)
        self._recent.add(fresh)
        for future, result in outcomes:
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
        if self._timer is not None and not self._unsaved:
            self._timer.cancel()
            self._timer = None

    def _give_up_waiting(self) -> None:
        with self._wake:
            left = [*self._in_hand, *(future for _, future in (*self._appends, *self._jobs))]
            self._appends.clear()
            self._jobs.clear()
        error = f"{self._path}: the disk hangs; the spool was left behind"
        self._deliver([(future, DiskError(error)) for future in left], [], {})

    # --- the thread's side

    def _run(self, started: asyncio.Future[Opened]) -> None:
        try:
            opened: object = self._open_first()
        except Exception as e:  # noqa: BLE001 - whoever waits for the start gets it
            opened = e
        self._post([(started, opened)])
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
        self._post([(self._ended, None)] if self._ended is not None else [])

    def _next_work(self) -> tuple[list[_Waiting], _Job | None] | None:
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
            self._in_hand = [future for _, future in group] + ([job[1]] if job is not None else [])
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
        with self._wake:
            self._unsaved = set(self._positions)
        return spool

    def _commit(self, group: list[_Waiting]) -> None:
        """One transaction for all that gathered, settlements with it."""
        outcomes: list[_Outcome]
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
            outcomes = [(future, e) for _, future in group]
            self._post(outcomes)
            self._fall(e)
        else:
            self._post(outcomes, fresh)

    def _write(
        self, spool: Spool, group: list[_Waiting], saving: Mapping[PositionKey, Position]
    ) -> list[_Outcome]:
        bulk = [waiting for waiting in group if _is_bulk(waiting[0])]
        urgent = [waiting for waiting in group if not _is_bulk(waiting[0])]
        refused: list[_Waiting] = []
        full = SpoolFullError(f"{self._path}: the disk is full; the rest is kept for alarms and journal")
        if bulk:
            self._look()
            room = self._room_bytes - self._settings.reserve_bytes
            if sum(_body_bytes(work) for work, _ in bulk) > room:
                bulk, refused = [], bulk
        try:
            written = spool.append_many([work for work, _ in (*urgent, *bulk)], saving)
        except SpoolFullError:
            if not bulk:
                raise
            bulk, refused = [], bulk
            written = spool.append_many([work for work, _ in urgent], saving)
        self._detail = str(full) if refused else ""
        outcomes: list[_Outcome] = [
            (future, records) for (_, future), records in zip((*urgent, *bulk), written, strict=True)
        ]
        return outcomes + [(future, full) for _, future in refused]

    def _do(self, job: Callable[[Spool], object], future: asyncio.Future[Any]) -> None:
        try:
            result: object = job(self._at_hand())
        except Exception as e:  # noqa: BLE001 - the caller gets it, the thread serves on
            self._post([(future, e)])
            self._fall(e)
        else:
            self._post([(future, result)])

    def _purge_step(self, spool: Spool, now_ns: int) -> Purged:
        purged = spool.purge(now_ns)
        with self._wake:
            for lane, last in purged.up_to.items():
                for recipient in self._recipients:
                    self._positions[recipient, lane] = self._positions[recipient, lane].settle([(1, last)])
        self._look()
        return purged

    def _declare_damaged(self, spool: Spool, damage: RecordDamagedError) -> None:
        gap = Gap(
            damage.lane, damage.seq, damage.seq, damage.created_ns, damage.created_ns, "disk", dropped=1
        )
        with self._wake:
            settled = {
                (recipient, damage.lane): self._positions[recipient, damage.lane].settle([(damage.seq,) * 2])
                for recipient in self._recipients
            }
            self._positions.update(settled)
        draft = Draft("journal", damage.created_ns, self._gap_body(gap))
        spool.append_many([Append((draft,))], settled)

    def _look(self) -> None:
        """Note how full it is, for ``stats`` and for the reserve."""
        assert self._spool is not None
        usage = self._spool.usage()
        self._usage = (usage.used_bytes, usage.free_bytes)
        self._room_bytes = usage.free_bytes + usage.file_bytes - usage.used_bytes

    def _fall(self, error: Exception) -> None:
        """After a disk error: close, so that the disk can be unmounted; the next job opens again."""
        if isinstance(error, SpoolError):
            self._detail = str(error)
        if isinstance(error, DiskError):
            self._let_go()

    def _let_go(self) -> None:
        if self._spool is not None:
            spool, self._spool = self._spool, None
            self._resume = Resume(spool.spool_id, spool.heads, spool.next_leaf_no)
            spool.close()

    def _post(self, outcomes: list[_Outcome], fresh: list[Record] | None = None) -> None:
        """Hand results to the loop in one call."""
        heads: dict[Lane, int] = {}
        if self._spool is not None:
            heads, self._lanes = self._spool.heads, self._spool.lanes
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver, outcomes, fresh or [], heads)


def _body_bytes(work: Append) -> int:
    return sum(len(draft.body) for draft in work.drafts)


def _is_bulk(work: Append) -> bool:
    """Whether this must leave the reserve alone: readings and snapshots, and nothing of alarm or journal."""
    return bool(work.drafts) and all(draft.lane in BULK for draft in work.drafts)
