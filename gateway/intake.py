"""From scan to spool: the shell around the engine. Touches the loop, the outputs' queues and the spool's face.

Two tasks, because a hung disk must not mute a siren: ``evaluate`` judges and sounds, ``persist`` writes. What
passes between them is ``Pending``, which is bounded.

While the disk hangs or is dead, alarm changes also go to the senders at once, numbered and marked not durable.
When the disk is back everything that waited is written, and each change sent meanwhile is matched with its record.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from buffer.errors import DiskError, QueueFullError, SpoolFullError
from buffer.record import Draft, Record
from buffer.writer import SpoolWriter
from drivers.kit.scan import Scan
from gateway.alarm.life import AlarmChanged
from gateway.alarm.load import Flood, Load
from gateway.clock import SystemClock
from gateway.codec import encode_item
from gateway.engine import Capture, Engine, Outcome
from gateway.instant import Now, rfc3339
from gateway.pending import MAX_CHANGES, DiskOutage, Pending, Waiting, append_of, without_bulk
from gateway.sirens import Sirens

MAX_INBOX: Final = 20_000
"""Scans that wait for evaluation; beyond it the newest are refused and declared as a gap."""

FIRST_FLUSH_S: Final = 0.25
"""The first flush comes so soon after the first scan: a technician wants to see the first value recorded."""

STALL_S: Final = 2.0
"""A commit that takes longer is a hung disk."""

RETRY_S: Final = 1.0
"""Pause between two attempts to write to a dead disk."""

LAST_FLUSH_S: Final = 1.5
"""At a stop, what waits gets this long to become durable."""

log = logging.getLogger("plantgate.intake")


class Recipients(Protocol):
    """What the intake tells the senders."""

    def appended(self, records: Sequence[Record]) -> None:
        """These records are durable now."""

    def volatile(self, number: int, change: AlarmChanged, now: Now) -> None:
        """This alarm change is not durable and must be sent all the same."""

    def recovered(self, seqs: dict[int, int]) -> None:
        """Numbers of volatile changes -> seq of the alarm records they have become."""


class Intake:
    """Carries out what the engine decides, in the order of the outcome's fields."""

    def __init__(
        self,
        engine: Engine,
        pending: Pending,
        spool: SpoolWriter,
        sirens: Sirens,
        recipients: Recipients,
        clock: SystemClock,
        *,
        config_rev: str,
        flush_s: float,
        capture: Callable[[Capture], None],
        alive: Callable[[], None],
        floods: Iterable[Flood] = (),
    ) -> None:
        self.engine = engine
        self.load = Load(engine.alarms.values(), clock.now(), floods)
        self.outage: DiskOutage | None = None
        self._pending = pending
        self._spool = spool
        self._sirens = sirens
        self._recipients = recipients
        self._clock = clock
        self._config_rev = config_rev
        self._flush_s = flush_s
        self._capture = capture
        self._alive = alive
        self._inbox: list[Scan] = []
        self._arrived = asyncio.Event()
        self._due = asyncio.Event()
        self._in_flight: asyncio.Task[tuple[Record, ...]] | None = None
        self._in_flight_waiting: Waiting | None = None
        self._numbers: dict[str, int] = {}
        self._next_number = 1
        self._sent_volatile = 0
        self._next_flush_s = math.inf

    # -- evaluate -------------------------------------------------------------------------------------

    def post(self, scan: Scan) -> None:
        """Take a scan from a driver; never blocks."""
        if len(self._inbox) >= MAX_INBOX:
            self._pending.declare(scan.taken_ns, scan.taken_ns, 1, "overflow")
            return
        self._inbox.append(scan)
        self._arrived.set()

    def beat(self) -> None:
        """Let evaluation look at its deadlines even if no scan comes."""
        self._arrived.set()

    async def evaluate(self) -> None:
        """Judge what arrives, for ever. Vital: the watchdog lives on this task alone."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            now = self._clock.now()
            self._judge_inbox(now)
            if now.mono_ns >= self.engine.next_deadline:
                self.decide(self.engine.tick(now), now)
            self._count((), now)
            self._sirens.tick(now)
            self._alive()

    def _judge_inbox(self, now: Now) -> None:
        scans, self._inbox = self._inbox, []
        if scans:
            self.decide(self.engine.step(scans, now), now)

    def decide(self, outcome: Outcome, now: Now) -> None:
        """Carry out an outcome: sound first, write second, send third."""
        self._sirens.sound(outcome.sirens, outcome.changes)
        if outcome.changes:
            self._pending.add_changes(outcome.changes)
            if self.outage is not None:
                self._send_volatile(outcome.changes, now)
        for entry in outcome.entries:
            self.journal(entry.kind, entry.item, entry.state)
        if outcome.scans:
            self._pending.add_scans(outcome.scans)
            if self._next_flush_s == math.inf:
                self._next_flush_s = asyncio.get_running_loop().time() + FIRST_FLUSH_S
                self._due.set()
        for capture in outcome.captures:
            self._capture(capture)
        if outcome.changes:
            self._due.set()
            self._count(outcome.changes, now)

    def _count(self, changes: Sequence[AlarmChanged], now: Now) -> None:
        for entry in self.load.feed(changes, now):
            self.journal(entry.kind, entry.item, entry.state)

    def condition(self, name: str, cause: str) -> None:
        """A part of the gateway is well ("") or not."""
        now = self._clock.now()
        self.decide(self.engine.condition(name, cause, now), now)

    def journal(
        self, kind: str, item: dict[str, object], state: dict[str, bytes | None] | None = None
    ) -> None:
        """Record something that happened to the gateway itself."""
        now = self._clock.now()
        body = encode_item(kind, item, now.clock, self._config_rev)
        self.add_draft(Draft("journal", now.utc_ns, body), state)

    def add_draft(self, draft: Draft, state: dict[str, bytes | None] | None = None) -> None:
        """Record a ready draft with the next append."""
        self._pending.add_draft(draft, state)
        self._due.set()

    # -- persist --------------------------------------------------------------------------------------

    async def persist(self) -> None:
        """Write what waits, for ever: alarms at once, readings at every flush."""
        while True:
            await self._until_due()
            await self._commit(self._pending.take())

    async def flush_last(self) -> bool:
        """At the stop: judge what came last, finish the commit under way, write the rest; False if the disk hung."""
        self._judge_inbox(self._clock.now())
        try:
            async with asyncio.timeout(LAST_FLUSH_S):
                if self._in_flight is not None and self._in_flight_waiting is not None:
                    waiting = self._in_flight_waiting
                    await asyncio.wait({self._in_flight})
                    self._settle_commit(waiting)
                await self._commit(self._pending.take())
                if self._pending.urgent:  # the first was refused for its readings' sake
                    await self._commit(self._pending.take())
        except TimeoutError:
            return False
        return self.outage is None

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while not self._pending.urgent:
            left_s = self._next_flush_s - loop.time()
            if left_s <= 0 and self._pending.rows:
                break
            self._due.clear()
            try:
                async with asyncio.timeout(left_s if 0 < left_s < self._flush_s else self._flush_s):
                    await self._due.wait()
            except TimeoutError:
                continue
        # What is urgent takes the readings along and moves their next flush not at all.
        if loop.time() >= self._next_flush_s:
            self._next_flush_s = max(self._next_flush_s + self._flush_s, loop.time())

    async def _commit(self, waiting: Waiting) -> None:
        now = self._clock.now()
        append = append_of(waiting, self._config_rev, now.clock, now)
        if not append.drafts and not append.state:
            return
        self._in_flight_waiting = waiting
        self._in_flight = asyncio.get_running_loop().create_task(self._spool.append(append), name="append")
        done, _ = await asyncio.wait({self._in_flight}, timeout=STALL_S)
        if not done:
            self._disk_fell("stalled", f"a commit takes longer than {STALL_S:g} s", waiting)
            await asyncio.wait({self._in_flight})
        if not self._settle_commit(waiting):
            await asyncio.sleep(RETRY_S)

    def _settle_commit(self, waiting: Waiting) -> bool:
        """What came of an append; False if the disk wants a pause before the next."""
        assert self._in_flight is not None
        in_flight, self._in_flight, self._in_flight_waiting = self._in_flight, None, None
        try:
            records = in_flight.result()
        except SpoolFullError as e:
            if e.retry_without_bulk:
                self._pending.put_back(without_bulk(waiting))
                return True  # alarms and journal have room of their own: they are tried at once
            self._pending.put_back(waiting)
            self._disk_fell("full", str(e), waiting)
            return False
        except (DiskError, QueueFullError) as e:
            self._pending.put_back(waiting)
            self._disk_fell("dead", str(e), waiting)
            return False
        except Exception:
            self._pending.put_back(waiting)  # a defect: told by the supervisor, and nothing lost by it
            raise
        if self._numbers:
            self._match(waiting, records)
        if self.outage is not None:
            self._disk_back(waiting)
        self._recipients.appended(records)
        return True

    def _disk_fell(self, state: str, cause: str, waiting: Waiting) -> None:
        now = self._clock.now()
        fresh = self.outage is None
        if fresh:
            log.error("disk %s: %s; alarms go on from memory, not durable", state, cause)
        since_ns = now.utc_ns if self.outage is None else self.outage.since_ns
        self.outage = DiskOutage(state, cause, since_ns)
        # What came while the commit hung unnoticed waits behind it and must not wait for the disk either.
        self._send_volatile((*waiting.changes, *self._pending.changes), now)
        if fresh:
            self.decide(self.engine.condition("disk", cause, now), now)

    def _disk_back(self, waiting: Waiting) -> None:
        assert self.outage is not None
        outage, self.outage = self.outage, None
        now = self._clock.now()
        log.info("disk is back after %.1f s", (now.utc_ns - outage.since_ns) / 1e9)
        item = {
            "from": rfc3339(outage.since_ns),
            "to": rfc3339(now.utc_ns),
            "cause": outage.cause,
            "alarm_changes_sent_from_memory": self._sent_volatile,
            "scans_given_up": sum(gap.dropped for gap in (waiting.gap, self._pending.gap) if gap is not None),
        }
        self._sent_volatile = 0
        self.journal("disk_outage", item)
        self.decide(self.engine.condition("disk", "", now), now)

    def _match(self, waiting: Waiting, records: Sequence[Record]) -> None:
        """Tell the senders which record each volatile change has become."""
        alarm_seqs = [record.seq for record in records if record.lane == "alarm"]
        numbers = {
            self._numbers.pop(change.name): seq
            for change, seq in zip(waiting.changes, alarm_seqs, strict=True)
            if change.name in self._numbers
        }
        self._recipients.recovered(numbers)

    def _send_volatile(self, changes: Sequence[AlarmChanged], now: Now) -> None:
        for change in changes:
            if change.name in self._numbers:
                continue
            self._numbers[change.name] = self._next_number
            self._sent_volatile += 1
            self._recipients.volatile(self._next_number, change, now)
            self._next_number += 1
        if len(self._numbers) > 2 * MAX_CHANGES:
            # Changes that were folded away become no record any more; nobody will ask for their numbers.
            waiting = {change.name for change in self._pending.changes}
            self._numbers = {name: number for name, number in self._numbers.items() if name in waiting}
