"""One connection's worth of sending: pages from the spool in, messages out, receipts back, records settled.

Made for one connection and thrown away with it; what it held is read from the spool again. ``pump`` is called
by whatever happens (a commit, a receipt, a deadline) and never waits; only the page loader waits for the disk,
so a hung disk does not hold back an alarm that is in memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Protocol

from buffer.errors import SpoolError
from buffer.record import Ack, Lane, Record
from buffer.writer import SpoolWriter
from gateway.codec import Body, CodecError, decode
from gateway.uplink.encoder import Encoder
from gateway.uplink.message import DialectError, Replay, TooLargeError, Verdict
from gateway.uplink.transport import DownChannel, LinkError, Transport, TransportFactory
from gateway.uplink.volatile import VolatileAlarms
from gateway.uplink.window import STREAMS, Flight, Stream, Window, WindowSettings

log = logging.getLogger(__name__)

PAGE_RECORDS: Final = 64
PAGE_BYTES: Final = 256 << 10
DISK_RETRY_S: Final = 1.0
"""Pause of the page loader after a disk error."""

_LANES: Final[dict[Stream, Lane]] = {
    "alarm": "alarm",
    "journal": "journal",
    "live": "reading",
    "snapshot": "snapshot",
    "backfill": "reading",
}
_STREAM_OF: Final[dict[Lane, Stream]] = {
    lane: stream for stream, lane in _LANES.items() if stream != "backfill"
}


class Owner(Protocol):
    """What a link tells the sender that made it."""

    def accepted(self, lane: Lane, record_ns: int) -> None:
        """The recipient has a record of this lane, created then."""

    def refused(self, lane: Lane, reason: str) -> None:
        """The broker does not let this lane in; it is tried again slowly, the others go on."""

    def reject(self, key: str, reason: str) -> None:
        """The recipient, the line or the dialect will never take this one."""


@dataclass(slots=True)
class _Cursor:
    """Where one stream is in its lane.

    Attributes:
        next_seq: first record not yet in ``page``.
        last_seq: end of the stream, None where it goes on for ever.
        page: records read and not yet sent, pictures beside them.
    """

    lane: Lane
    next_seq: int
    last_seq: int | None = None
    page: deque[tuple[Record, bytes]] = field(default_factory=deque)


class Link:
    """One connection to one recipient.

    Args:
        name: the recipient.
        puback: whether the broker's word settles.
        spool: the record.
        encoder: the recipient's dialect.
        volatile: alarms that are not on disk.
        heads: newest seq per lane; kept up by the caller.
        snapshot_jpeg: picture by its SHA-256 in hex, None where it is gone; awaited, may take time.
        owner: who is told.
        down: takes what the recipient sends down; None where it may send nothing.
    """

    def __init__(
        self,
        name: str,
        spool: SpoolWriter,
        encoder: Encoder,
        volatile: VolatileAlarms,
        heads: dict[Lane, int],
        snapshot_jpeg: Callable[[str], Awaitable[bytes | None]],
        owner: Owner,
        window: WindowSettings,
        *,
        puback: bool,
        down: DownChannel | None = None,
    ) -> None:
        self._name = name
        self._puback = puback
        self._down = down
        self._orders_under = encoder.dialect.order_topics(name).removesuffix("+")
        self._spool = spool
        self._encoder = encoder
        self._volatile = volatile
        self._heads = heads
        self._snapshot_jpeg = snapshot_jpeg
        self._owner = owner
        self._window = Window(window)
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: Transport | None = None
        self._hungry = asyncio.Event()
        self._fallen: asyncio.Future[LinkError] = self._loop.create_future()
        self._pending_volatile: deque[Record] = deque()
        self._cursors: dict[Stream, _Cursor] = {}
        self._live_from: dict[Lane, int] = {}
        self._garbage_seen = False
        self._refusal_seen = False

    @property
    def oldest_ns(self) -> int | None:
        """Creation of the oldest record in hand, None where there is none."""
        flights = [flight.created_ns for flight in self._window]
        pages = [cursor.page[0][0].created_ns for cursor in self._cursors.values() if cursor.page]
        return min(flights + pages, default=None)

    async def run(self, connect: TransportFactory, connected: Callable[[], None]) -> NoReturn:
        """Connect, then send until the line ends.

        Raises:
            LinkError: at the end, unless it is cancelled or something else went wrong first.
        """
        transport = connect(self)
        try:
            await transport.connect()
            self._transport = transport
            if self._down is not None:
                self._down.deaf(transport.deaf)
            connected()
            self._begin()
            loader = asyncio.create_task(self._load_pages(), name=f"pages for {self._name}")
            try:
                self.pump()
                ends: list[asyncio.Future[Any]] = [loader, self._fallen]
                done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                raise done.pop().result()
            finally:
                loader.cancel()
                await asyncio.gather(loader, return_exceptions=True)
        finally:
            self._transport = None
            if self._timer is not None:
                self._timer.cancel()
            await transport.close()

    def appended(self, records: Iterable[Record]) -> None:
        """These are durable; ``heads`` knows them already. Takes what follows on what is in hand."""
        if self._transport is None:
            return
        for record in records:
            cursor = self._cursors[_STREAM_OF[record.lane]]
            if record.lane != "snapshot" and cursor.next_seq == record.seq and not cursor.page:
                cursor.page.append((record, b""))
                cursor.next_seq += 1
        self.pump()

    def volatile(self, records: Iterable[Record]) -> None:
        """These could not be written; ``VolatileAlarms`` holds them already."""
        if self._transport is not None:
            self._pending_volatile.extend(records)
            self.pump()

    def pump(self) -> None:
        """Send what may go: what is overdue first, then stream by stream. Never waits, never raises."""
        if self._transport is not None and not self._fallen.done():
            self._guarded(self._pump, self._transport)

    # ---- the line reports ----

    def received(self, topic: str, payload: bytes) -> None:
        """See ``Listener.received``."""
        if self._down is not None and topic.startswith(self._orders_under):
            self._guarded(self._down.post, topic, payload)
        else:
            self._guarded(self._receive, payload)

    def delivered(self, handle: int, verdict: Verdict, reason: str) -> None:
        """See ``Listener.delivered``."""
        self._guarded(self._deliver, handle, verdict, reason)

    def down(self, error: LinkError) -> None:
        """See ``Listener.down``."""
        if not self._fallen.done():
            self._fallen.set_result(error)

    # ---- inside ----

    def _guarded(self, deed: Callable[..., None], *values: object) -> None:
        """A defect here ends this link, and is nobody else's: the caller is the intake, or paho's news."""
        try:
            deed(*values)
        except LinkError as e:
            self.down(e)
        except Exception as e:  # noqa: BLE001 - see above
            if not self._fallen.done():
                self._fallen.set_exception(e)

    def _pump(self, transport: Transport) -> None:
        now_s = self._loop.time()
        for flight in self._window.due(now_s, transport.room):
            flight.handle = transport.publish(flight.message.topic, flight.message.payload)
        for stream in STREAMS:
            while transport.room and self._holds(stream) and self._window.has_room(stream):
                if (entry := self._next(stream)) is not None:
                    self._send(transport, stream, *entry, now_s)
        if any(self._wants_page(stream) for stream in self._cursors):
            self._hungry.set()
        self._arm()

    def _receive(self, payload: bytes) -> None:
        try:
            receipt = self._encoder.dialect.parse_receipt(payload)
        except DialectError as e:
            self._ignore(str(e))
            return
        if receipt.recipient != self._name:
            self._ignore(f"it is of {receipt.recipient!r}")
            return
        for refusal in receipt.rejected:
            if refusal.key in self._window:
                item = "" if refusal.item is None else f"item {refusal.item}: "
                self._owner.reject(refusal.key, item + refusal.reason)
        keys = (*receipt.accepted, *(refusal.key for refusal in receipt.rejected))
        self._settle(flight for key in keys if (flight := self._window.settled(key)) is not None)

    def _ignore(self, why: str) -> None:
        if not self._garbage_seen:
            log.warning("recipient %s: a receipt is ignored: %s", self._name, why)
        self._garbage_seen = True

    def _deliver(self, handle: int, verdict: Verdict, reason: str) -> None:
        flight = self._window.by_handle(handle)
        if flight is None:
            if verdict is Verdict.UNAUTHORISED and not self._refusal_seen:
                self._refusal_seen = True
                log.warning("recipient %s: the broker refuses birth and last will: %s", self._name, reason)
        elif verdict is Verdict.UNAUTHORISED:
            self._window.refused(flight.message.key, self._loop.time())
            self._owner.refused(flight.message.lane, reason)
        elif verdict is Verdict.NO_RECEIPT:
            self._window.absent(flight.message.key, self._loop.time())
        elif verdict is Verdict.REJECTED or self._puback:
            if verdict is Verdict.REJECTED:
                self._owner.reject(flight.message.key, reason)
            self._window.settled(flight.message.key)
            self._settle([flight])
            return
        self.pump()

    def _begin(self) -> None:
        """Place the cursors: what is on record now is backfill, what comes is live."""
        for stream, lane in _LANES.items():
            place = self._spool.position(self._name, lane)
            self._live_from[lane] = self._heads[lane] + 1
            first = self._live_from[lane] if stream == "live" else place.next_unsettled()
            last = self._heads[lane] if stream == "backfill" else None
            self._cursors[stream] = _Cursor(lane, first, last)
        self._pending_volatile.extend(self._volatile.pending())

    def _holds(self, stream: Stream) -> bool:
        return bool(self._pending_volatile if stream == "volatile" else self._cursors[stream].page)

    def _next(self, stream: Stream) -> tuple[Record, bytes] | None:
        if stream == "volatile":
            while self._pending_volatile:
                record = self._pending_volatile.popleft()
                if self._volatile.holds(record.seq):
                    return record, b""
            return None
        cursor = self._cursors[stream]
        place = self._spool.position(self._name, cursor.lane)
        while cursor.page:
            entry = cursor.page.popleft()
            seq = entry[0].seq
            if not place.is_settled(seq) and not self._volatile.covers((cursor.lane, seq)):
                return entry
        return None

    def _send(self, transport: Transport, stream: Stream, record: Record, jpeg: bytes, now_s: float) -> None:
        durable = stream != "volatile"
        live = not durable or record.seq >= self._live_from[record.lane]
        replay: Replay = "live" if live else "backfill"
        try:
            message = self._encoder.message(record, replay, durable=durable, jpeg=jpeg)
            handle = transport.publish(message.topic, message.payload)
        except (DialectError, TooLargeError) as e:
            self._owner.reject(f"{record.lane}/{record.seq}", str(e))
            self._settle_record(record.lane, record.seq, durable=durable)
            return
        self._window.sent(message, stream, record.created_ns, handle, now_s)
        if not durable:
            self._volatile.sent(record.seq)

    def _settle(self, flights: Iterable[Flight]) -> None:
        ranges: dict[Lane, list[tuple[int, int]]] = {}
        newest_ns: dict[Lane, int] = {}
        for flight in flights:
            message = flight.message
            newest_ns[message.lane] = max(newest_ns.get(message.lane, 0), flight.created_ns)
            if flight.stream == "volatile":
                self._settle_record(message.lane, message.seq, durable=False)
            else:
                ranges.setdefault(message.lane, []).append((message.seq, message.seq))
        for lane, spans in ranges.items():
            self._spool.settle(Ack(self._name, lane, tuple(spans)))
        for lane, created_ns in newest_ns.items():
            self._owner.accepted(lane, created_ns)
        if newest_ns:
            self.pump()

    def _settle_record(self, lane: Lane, seq: int, *, durable: bool) -> None:
        if not durable:
            copy = self._volatile.acknowledged(seq)
            if copy is None:
                return
            lane, seq = copy
        self._spool.settle(Ack(self._name, lane, ((seq, seq),)))

    def _arm(self) -> None:
        deadline_s = self._window.next_deadline_s()
        if deadline_s is None or self._fallen.done() or self._transport is None:
            return
        if not self._transport.room:
            return  # what the broker confirms next wakes us
        if self._timer is not None:
            if self._timer.when() <= deadline_s:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline_s, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self.pump()

    # ---- pages ----

    def _wants_page(self, stream: Stream) -> bool:
        cursor = self._cursors[stream]
        last = self._heads[cursor.lane] if cursor.last_seq is None else cursor.last_seq
        return not cursor.page and cursor.next_seq <= last and self._window.has_room(stream)

    async def _load_pages(self) -> None:
        while True:
            stream = next((stream for stream in self._cursors if self._wants_page(stream)), None)
            if stream is None:
                self._hungry.clear()
                await self._hungry.wait()
                continue
            try:
                await self._load(stream)
            except SpoolError as e:
                log.warning("recipient %s: the record cannot be read: %s", self._name, e)
                await asyncio.sleep(DISK_RETRY_S)
            self.pump()

    async def _load(self, stream: Stream) -> None:
        cursor = self._cursors[stream]
        place = self._spool.position(self._name, cursor.lane)
        last = self._heads[cursor.lane] if cursor.last_seq is None else cursor.last_seq
        cursor.next_seq = first = place.next_unsettled(cursor.next_seq)
        if first > last:
            return
        settled = place.next_settled(first)
        last = last if settled is None else min(last, settled - 1)
        most = 1 if stream == "snapshot" else PAGE_RECORDS
        batch = await self._spool.read(cursor.lane, first, most, PAGE_BYTES, last)
        assert batch.next_seq > first, "a page that stands still would be read for ever"
        for record in batch.records:
            jpeg = await self._picture(record) if stream == "snapshot" else b""
            cursor.page.append((record, jpeg))
        cursor.next_seq = batch.next_seq

    async def _picture(self, record: Record) -> bytes:
        try:
            body: Body = decode(record.body)
            return await self._snapshot_jpeg(str(body.header["item"]["sha256"])) or b""
        except (CodecError, KeyError, TypeError):
            return b""  # the encoder will say what is wrong with it
