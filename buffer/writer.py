"""The spool's async face. The loop asks and is answered; it never waits for a disk.

What must hold:

1. A future of ``append`` is resolved only after the commit that holds all of it.
2. Nothing here blocks the loop: jobs go onto a bounded desk, results come back by one call per commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from buffer.cursor import Position
from buffer.errors import DiskError, RecordDamagedError, SpoolError
from buffer.owner import Outcome, SpoolOwner
from buffer.packing import Packing
from buffer.recent import Recent
from buffer.record import LANES, Ack, Append, Batch, Gap, Lane, Record
from buffer.settings import LaneState, Opened, SpoolSettings, SpoolStats
from buffer.spool import Spool

__all__ = ["Opened", "SpoolSettings", "SpoolStats", "SpoolWriter"]

Answer = TypeVar("Answer")


class SpoolWriter:
    """One spool, one thread.

    Args:
        path: the database file.
        settings: its bounds.
        recipients: who must settle what is kept.
        gap_body: canonical bytes of a journal record that declares a gap.
        make_packing: how bodies are packed, called in the thread; zstd if not given.
        on_declared: called in the loop with journal records that no ``append`` and no ``purge`` returns: a
            damaged record was passed over, or a disk lost what it had acknowledged. They are durable.
    """

    def __init__(
        self,
        path: Path,
        settings: SpoolSettings,
        recipients: tuple[str, ...],
        gap_body: Callable[[Gap], bytes],
        make_packing: Callable[[], Packing] | None = None,
        on_declared: Callable[[tuple[Record, ...]], None] | None = None,
    ) -> None:
        self._path = path
        self._settings = settings
        self._recipients = recipients
        self._gap_body = gap_body
        self._make_packing = make_packing
        self._on_declared = on_declared
        self._owner: SpoolOwner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heads: dict[Lane, int] = dict.fromkeys(LANES, 0)
        self._recent = Recent(settings.cache_bytes)

    async def start(self) -> Opened:
        """Open the spool, or create it, or set a damaged one aside.

        Raises:
            SpoolFolderError, SpoolBusyError, SpoolNewerError, SpoolFullError, DiskError: as ``Spool.open``;
                ``start`` may be called again.
        """
        assert self._owner is None, "started twice"
        self._loop = asyncio.get_running_loop()
        self._ended = self._loop.create_future()
        started: asyncio.Future[Opened] = self._loop.create_future()
        self._owner = SpoolOwner(
            self._path,
            self._settings,
            self._recipients,
            self._gap_body,
            self._make_packing,
            self._post,
            started,
            self._ended,
        )
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
            SpoolFullError: no room for it. An append that holds readings or snapshots meets this while the reserve
                is still free: its ``retry_without_bulk`` is true, append the rest again at once.
            DiskError: the disk did not do it; nothing of it is recorded.
        """
        future: asyncio.Future[tuple[Record, ...]] = asyncio.get_running_loop().create_future()
        self._desk().append(work, future)
        return await future

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

        def job(spool: Spool, owner: SpoolOwner) -> Batch:
            try:
                return spool.read(lane, from_seq, max_records, max_bytes, last_seq)
            except RecordDamagedError as e:
                owner.declare_damaged(spool, e)
                return Batch(lane, (), e.seq + 1)

        return await self._ask(job)

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
        if self._desk().settle(key, ranges) and self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(self._settings.settle_s, self._save_settled)

    def position(self, recipient: str, lane: Lane) -> Position:
        """Where a recipient stands, settlements not yet saved included.

        Raises:
            KeyError: no such recipient.
        """
        return self._desk().position((recipient, lane))

    async def purge(self, now_ns: int, *, by_age: bool = True) -> tuple[Record, ...]:
        """Let go of what retention and quota say, in small steps between which appends go on.

        Args:
            now_ns: UTC nanoseconds, the stamp of what is declared.
            by_age: whether that clock's years are right; if not, only the quota decides.

        Returns:
            The journal records that declare what was given up unsettled.

        Raises:
            QueueFullError, SpoolFullError, DiskError: as ``append``.
        """
        declared: list[Record] = []
        more = True
        while more:
            purged = await self._ask(lambda spool, owner: owner.purge_step(spool, now_ns, by_age=by_age))
            for lane, last in purged.up_to.items():
                self._recent.forget(lane, last)
            declared += purged.declared
            more = purged.more
        return tuple(declared)

    def stats(self) -> SpoolStats:
        """The spool as last seen; before ``start`` and after ``close`` there is nothing to see."""
        if self._owner is not None:
            return self._owner.stats()
        lanes: dict[Lane, LaneState] = {lane: LaneState() for lane in LANES}
        return SpoolStats(0, self._settings.quota_bytes, 0, lanes, "failing", "the spool is closed", 0, 0.0)

    async def close(self) -> None:
        """Finish what waits, save settlements, close the file; a hung disk is left behind after ``close_s``."""
        if self._owner is None or self._ended is None:
            return
        self._stop_timer()
        self._owner.begin_close()
        done, _ = await asyncio.wait([self._ended], timeout=self._settings.close_s)
        if done:
            self._owner.join()  # it has nothing left to do but return
        else:
            error = f"{self._path}: the disk hangs; the spool was left behind"
            self._deliver([(ticket, DiskError(error)) for ticket in self._owner.abandon()], [], {}, [])
        self._owner = None

    def _desk(self) -> SpoolOwner:
        if self._owner is None:
            raise DiskError(f"{self._path}: the spool is closed")
        return self._owner

    async def _ask(self, job: Callable[[Spool, SpoolOwner], Answer]) -> Answer:
        owner = self._desk()
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        owner.ask(lambda spool: job(spool, owner), future)
        return await future

    def _save_settled(self) -> None:
        self._timer = None
        if self._owner is not None:
            self._owner.save_settled()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _post(
        self,
        outcomes: list[Outcome],
        fresh: list[Record],
        heads: Mapping[Lane, int],
        declared: list[Record],
    ) -> None:
        """Called in the owner's thread."""
        assert self._loop is not None
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._deliver, outcomes, fresh, heads, declared)

    def _deliver(
        self,
        outcomes: list[Outcome],
        fresh: list[Record],
        heads: Mapping[Lane, int],
        declared: list[Record],
    ) -> None:
        self._heads.update(heads)
        self._recent.add((*declared, *fresh))
        for future, result in outcomes:
            assert isinstance(future, asyncio.Future)
            if future.done():
                continue
            if isinstance(result, BaseException):
                future.set_exception(result)
            else:
                future.set_result(result)
        if self._owner is not None and not self._owner.has_unsaved:
            self._stop_timer()
        if declared and self._on_declared is not None:
            self._on_declared(tuple(declared))
