"""One recipient for ever: connect, send, settle, fall, wait, again. Touches the loop, the spool's face and a line.

Alone in its task: whatever goes wrong here is this recipient's, and comes back by itself.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from buffer.errors import SnapshotError, SpoolError
from buffer.files import SnapshotFiles
from buffer.record import LANES, Ack, Lane, Record
from buffer.writer import SpoolWriter
from gateway.instant import rfc3339
from gateway.plant import RecipientConfig
from gateway.uplink import refusals
from gateway.uplink.encoder import Encoder
from gateway.uplink.link import Link
from gateway.uplink.message import Context
from gateway.uplink.mqtt import Endpoint, MqttTransport
from gateway.uplink.transport import DownChannel, LinkError, Listener, Transport
from gateway.uplink.volatile import VolatileAlarms
from gateway.uplink.window import Backoff, WindowSettings

State: TypeAlias = Literal["connected", "connecting", "waiting", "unauthorised"]

UNAUTHORISED_RETRY_S: Final = 300.0
"""A refusal is a matter for a person; asking faster only fills the broker's log."""

MEASURE_S: Final = 1.0
"""How long the look for the oldest waiting record may take while the recipient is away."""

log = logging.getLogger("plantgate.uplink")


class Sender:
    """Delivers the record to one recipient.

    Args:
        recipient: who.
        spool: the record; started.
        encoder: its dialect, shared with others who speak it.
        pictures: the snapshot files.
        on_rejected: told key and reason of what will never be taken.
        window: bounds; from the recipient's configuration if not given.
        down: takes what the recipient sends down; without it the gateway does not listen for that.

    Attributes:
        name: the recipient's.
        state: what ``status`` shows.
        rejected: how many messages will never be taken.
    """

    def __init__(
        self,
        recipient: RecipientConfig,
        spool: SpoolWriter,
        encoder: Encoder,
        pictures: SnapshotFiles,
        *,
        on_rejected: Callable[[str, str], None] | None = None,
        window: WindowSettings | None = None,
        down: DownChannel | None = None,
    ) -> None:
        self.name = recipient.name
        self.state: State = "connecting"
        self.rejected = 0
        self._recipient = recipient
        self._spool = spool
        self._encoder = encoder
        self._pictures = pictures
        self._on_rejected = on_rejected
        self._down = down
        self._window = window or WindowSettings(
            messages=recipient.window_messages, receipt_timeout_s=recipient.receipt_timeout_s
        )
        self._loop = asyncio.get_running_loop()
        self._backoff = Backoff(random.SystemRandom().random)
        self._volatile = VolatileAlarms()
        self._link: Link | None = None
        self._error: LinkError | None = None
        self._retry_at_s = 0.0
        self._heads: dict[Lane, int] = {lane: known.head for lane, known in spool.stats().lanes.items()}
        self._refused: dict[Lane, str] = {}
        self._acknowledged_ns = 0
        self._waiting = {lane: (self._first_waiting(lane), self._loop.time()) for lane in self._heads}
        self._oldest_ns: int | None = None

    # ---- the house tells ----

    def appended(self, records: Iterable[Record]) -> None:
        """These records are durable now; in rising seq per lane."""
        fresh = list(records)
        if fresh and not self.backlog():
            self._oldest_ns = fresh[0].created_ns
        for record in fresh:
            self._heads[record.lane] = max(self._heads[record.lane], record.seq)
        self._look_at_waiting()
        if self._link is not None:
            self._link.appended(fresh)

    def volatile(self, record: Record) -> None:
        """This alarm could not be written; its ``seq`` is its number among those. It goes before everything."""
        self._volatile.hold([record])
        self._look_at_waiting()
        if self._link is not None:
            self._link.volatile([record])

    def recovered(self, seqs: Mapping[int, int]) -> None:
        """The disk took these at last: number -> seq in the alarm lane. Call before ``appended`` with them."""
        settled = self._volatile.recovered({n: ("alarm", seq) for n, seq in seqs.items()})
        for lane, seq in settled:
            self._heads[lane] = max(self._heads[lane], seq)
            self._spool.settle(Ack(self.name, lane, ((seq, seq),)))

    # ---- what it is asked ----

    @property
    def detail(self) -> str:
        """Code of what is wrong, e.g. ``E-TLS-EXPIRED``; empty while the line is up."""
        return "" if self._error is None else self._error.code

    @property
    def heard(self) -> bool:
        """It has acknowledged something since the start."""
        return self._acknowledged_ns > 0

    def backlog(self) -> dict[Lane, int]:
        """Records not yet settled, per lane that has any."""
        waiting = {lane: head - self._settled(lane, head) for lane, head in self._heads.items()}
        return {lane: count for lane, count in waiting.items() if count}

    def silent_s(self, mono_ns: int) -> float:
        """How long the recipient has been silent on the lane where it is longest; 0 if nothing waits.

        A lane is silent from when its oldest unsettled record became the oldest: what overtakes that one (live
        readings their backfill, one alarm another) is no answer to it.
        """
        self._look_at_waiting()
        since_s = [at_s for first, at_s in self._waiting.values() if first is not None]
        return max(0.0, mono_ns / 1e9 - min(since_s)) if since_s else 0.0

    def status(self) -> dict[str, Any]:
        """Its part of the control socket's ``status``."""
        backlog = self.backlog()
        oldest_ns = self._oldest_now_ns() if backlog else None
        waiting = self.state in {"waiting", "unauthorised"}
        return {
            "name": self.name,
            "state": self.state,
            "acknowledged_by": self._recipient.acknowledged_by,
            "last_acknowledged_at": rfc3339(self._acknowledged_ns) if self._acknowledged_ns else None,
            "backlog": {lane: backlog.get(lane, 0) for lane in LANES},
            "backlog_records": sum(backlog.values()),
            "backlog_oldest_at": None if oldest_ns is None else rfc3339(oldest_ns),
            "can_stay_offline_s": None,
            "not_durable": len(self._volatile),
            "not_durable_given_up": self._volatile.given_up,
            "rejected": self.rejected,
            "code": self.detail,
            "detail": {} if self._error is None else self._error.words(),
            "next_retry_s": max(0.0, round(self._retry_at_s - self._loop.time(), 1)) if waiting else None,
        }

    # ---- its life ----

    async def run(self) -> None:
        """Serve the recipient until cancelled."""
        task = asyncio.current_task()
        assert task is not None, "a coroutine runs in a task"
        while True:
            wait_s = await self._one_connection()
            if task.cancelling():
                raise asyncio.CancelledError  # the connection failed while leaving and covered it up
            self._retry_at_s = self._loop.time() + wait_s
            await self._measure(wait_s)
            await asyncio.sleep(max(0.0, self._retry_at_s - self._loop.time()))

    async def _one_connection(self) -> float:
        """From the first packet to the last. Returns how long to wait before the next."""
        self.state = "connecting"
        link = self._link = Link(
            self.name,
            self._spool,
            self._encoder,
            self._volatile,
            self._heads,
            self._picture,
            self,
            self._window,
            puback=self._recipient.acknowledged_by == "puback",
            down=self._down,
        )
        try:
            await link.run(self._transport, self._connected)
        except LinkError as e:
            return self._fell(e)
        except Exception:
            log.exception("recipient %s: a defect of this house; trying again", self.name)
            self.state = "waiting"
            return self._backoff.next_s()
        finally:
            self._link = None

    def _connected(self) -> None:
        self.state = "connected"
        self._error = None
        self._refused.clear()
        log.info("recipient %s: connected to %s:%d", self.name, self._recipient.host, self._recipient.port)

    def _fell(self, error: LinkError) -> float:
        if self._error is None or self._error.code != error.code:
            log.warning("recipient %s: %s", self.name, error)
        self._error = error
        self.state = "unauthorised" if error.unauthorised else "waiting"
        return UNAUTHORISED_RETRY_S if error.unauthorised else self._backoff.next_s()

    def _transport(self, listener: Listener) -> Transport:
        recipient, dialect = self._recipient, self._encoder.dialect
        orders = dialect.order_topics(self.name) if self._down is not None else ""
        return MqttTransport(
            Endpoint(
                host=recipient.host,
                port=recipient.port,
                ca=recipient.ca,
                certificate=recipient.certificate,
                private_key=recipient.private_key,
                client_id=dialect.client_id(self.name),
                listen=(dialect.receipt_topic(self.name),),
                listen_too=(orders,) if orders else (),
                status_topic=dialect.status_topic(),
                birth=dialect.status(self.name, "online"),
                will=dialect.status(self.name, "offline"),
                every_delivery=recipient.acknowledged_by == "puback",
            ),
            listener,
        )

    # ---- the link tells ----

    def accepted(self, lane: Lane, record_ns: int) -> None:
        """See ``link.Owner``."""
        self._backoff.reset()
        self._acknowledged_ns = max(self._acknowledged_ns, record_ns)
        self._look_at_waiting()
        if lane in self._refused:
            del self._refused[lane]
            log.info("recipient %s: the broker takes %s again", self.name, lane)
            self._name_refused()

    def refused(self, lane: Lane, reason: str) -> None:
        """See ``link.Owner``."""
        self._retry_at_s = self._loop.time() + self._window.refused_retry_s
        if lane not in self._refused:
            self._refused[lane] = reason
            self._name_refused()
            log.warning("recipient %s: %s", self.name, self._error)

    def reject(self, key: str, reason: str) -> None:
        """See ``link.Owner``."""
        self.rejected += 1
        log.warning("recipient %s will never take %s: %s", self.name, key, reason)
        if self._on_rejected is not None:
            self._on_rejected(key, reason)

    # ---- inside ----

    def _name_refused(self) -> None:
        self._error = refusals.of_lanes(self._refused) if self._refused else None
        self.state = "unauthorised" if self._refused else "connected"

    def _look_at_waiting(self) -> None:
        """Note when a lane's oldest unsettled record became that."""
        now_s = self._loop.time()
        for lane, (known, _) in self._waiting.items():
            first = self._first_waiting(lane)
            if first != known:
                self._waiting[lane] = (first, now_s)

    def _first_waiting(self, lane: Lane) -> tuple[int, int] | None:
        """What names the oldest unsettled record of a lane, and of what was never written; None for neither."""
        held = self._volatile.oldest if lane == "alarm" else 0
        seq = self._spool.position(self.name, lane).next_unsettled()
        waits = held or seq <= self._heads[lane]
        return (seq, held) if waits else None

    async def _picture(self, sha256: str) -> bytes | None:
        try:
            return await asyncio.to_thread(self._pictures.read, sha256)
        except SnapshotError as e:
            log.warning("recipient %s: %s", self.name, e)
            return None

    async def _measure(self, wait_s: float) -> None:
        """Look how old the oldest waiting record is, once per fall; a slow disk is not waited for."""
        oldest: list[int] = []
        try:
            async with asyncio.timeout(min(wait_s, MEASURE_S)):
                for lane in self.backlog():
                    first = self._spool.position(self.name, lane).next_unsettled()
                    batch = await self._spool.read(lane, first, 1, 1)
                    oldest += [record.created_ns for record in batch.records]
        except (SpoolError, TimeoutError):
            return
        self._oldest_ns = min(oldest, default=None)

    def _oldest_now_ns(self) -> int | None:
        in_hand = None if self._link is None else self._link.oldest_ns
        return self._oldest_ns if in_hand is None else in_hand

    def _settled(self, lane: Lane, head: int) -> int:
        return self._spool.position(self.name, lane).count_settled(1, head)


def make_senders(
    recipients: Iterable[RecipientConfig],
    spool: SpoolWriter,
    context: Context,
    pictures: SnapshotFiles,
    on_rejected: Callable[[str, str, str], None] | None = None,
    downs: Mapping[str, DownChannel] | None = None,
) -> tuple[Sender, ...]:
    """A sender per recipient; those of one dialect share an encoder.

    Args:
        recipients: who.
        spool: the record; started.
        context: what the dialects must know.
        pictures: the snapshot files.
        on_rejected: told recipient, key and reason of what will never be taken.
        downs: recipient -> its down channel, for those that have one.

    Raises:
        DialectError: a recipient's dialect does not exist.
    """
    encoders: dict[str, Encoder] = {}
    made = []
    for recipient in recipients:
        if recipient.dialect not in encoders:
            encoders[recipient.dialect] = Encoder(recipient.dialect, context)
        told = None if on_rejected is None else _for(recipient.name, on_rejected)
        down = (downs or {}).get(recipient.name)
        encoder = encoders[recipient.dialect]
        made.append(Sender(recipient, spool, encoder, pictures, on_rejected=told, down=down))
    return tuple(made)


def _for(name: str, on_rejected: Callable[[str, str, str], None]) -> Callable[[str, str], None]:
    return lambda key, reason: on_rejected(name, key, reason)
