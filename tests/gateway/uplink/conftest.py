"""A real spool, real brokers with mutual TLS, real receivers: what every test of the uplink stands on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from buffer.files import SnapshotFiles
from buffer.record import Append, Draft, Lane, Record
from buffer.settings import SpoolSettings
from buffer.writer import SpoolWriter
from drivers.kit.quality import GOOD
from drivers.kit.scan import Scan
from gateway.codec import encode_item, encode_samples
from gateway.instant import ClockState
from gateway.plant import RecipientConfig
from gateway.receive.service import Receiver, ReceiverSettings
from gateway.receive.store import StoredArrival, arrivals
from gateway.uplink.message import Context, PointNames
from gateway.uplink.sender import Sender, make_senders
from hil.broker import Broker

T0 = 1_795_318_260_123_456_789
CLOCK = ClockState("synchronised", 0.5)
NAMES = PointNames(("LT-101", "TT-101", "罐区/PT-101"), ("%", "℃", "MPa"))


def reading(n: int, rows: int = 3) -> Draft:
    scan = Scan(
        "plc1",
        "rev1",
        np.arange(rows, dtype=np.uint16),
        np.arange(rows, dtype=np.float64) + n,
        np.full(rows, GOOD, np.uint8),
        T0 + n * 10**9,
        0,
    )
    return Draft("reading", T0 + n * 10**9, encode_samples([scan], CLOCK, "rev1"))


def item(lane: Lane, n: int, kind: str = "", **fields: Any) -> Draft:
    kinds = {"alarm": "alarm", "journal": "operator", "snapshot": "snapshot"}
    body = {"alarm_id": f"LT-101/high@{n}", "change_no": 1, "point_id": "LT-101", **fields}
    return Draft(lane, T0 + n * 10**9, encode_item(kind or kinds[lane], body, CLOCK, "rev1"))


@dataclass
class House:
    """A spool with its senders, the way ``gateway.app`` sets them up."""

    folder: Path
    spool: SpoolWriter
    context: Context
    pictures: SnapshotFiles
    recipients: tuple[RecipientConfig, ...]
    senders: tuple[Sender, ...] = ()
    rejected: list[tuple[str, str, str]] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self.senders = make_senders(
            self.recipients,
            self.spool,
            self.context,
            self.pictures,
            lambda *what: self.rejected.append(what),
        )
        self.tasks = [asyncio.create_task(sender.run()) for sender in self.senders]

    async def stop_senders(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks, self.senders = [], ()

    async def append(self, *drafts: Draft) -> tuple[Record, ...]:
        records = await self.spool.append(Append(drafts))
        for sender in self.senders:
            sender.appended(records)
        return records

    def backlog(self, at: int = 0) -> int:
        return sum(self.senders[at].backlog().values())


@asynccontextmanager
async def house(folder: Path, *recipients: RecipientConfig) -> AsyncIterator[House]:
    spool = SpoolWriter(
        folder / "spool.db",
        SpoolSettings(quota_bytes=64 << 20, reserve_bytes=1 << 20, wal_pregrow_bytes=1 << 20),
        tuple(one.name for one in recipients),
        lambda gap: encode_item("gap", {"lane": gap.lane}, CLOCK, "rev1"),
    )
    opened = await spool.start()
    context = Context("gateway", "site", opened.spool_id, "volatile", lambda *_: NAMES)
    made = House(folder, spool, context, SnapshotFiles(folder / "pictures", 1 << 20), recipients)
    try:
        yield made
    finally:
        await made.stop_senders()
        await spool.close()


def recipient_at(broker: Broker, name: str = "receiver", **more: Any) -> RecipientConfig:
    given = RecipientConfig(
        name=name,
        host=broker.host,
        port=broker.port,
        ca=broker.authority.ca_file,
        certificate=broker.gateway.certificate,
        private_key=broker.gateway.key,
        receipt_timeout_s=1.0,
    )
    return replace(given, **more)


def receiver_at(broker: Broker, store: Path, name: str = "receiver") -> ReceiverSettings:
    credentials = broker.receivers[name]
    return ReceiverSettings(
        name,
        broker.host,
        broker.port,
        broker.authority.ca_file,
        credentials.certificate,
        credentials.key,
        store,
    )


@asynccontextmanager
async def receiving(settings: ReceiverSettings) -> AsyncIterator[Receiver]:
    stop = asyncio.Event()
    receiver = Receiver(settings)
    task = asyncio.create_task(receiver.run(stop))
    try:
        yield receiver
    finally:
        stop.set()
        await task


async def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait; the bound is against hanging, not a judgement."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


def arrived(store: Path, outcome: str = "new") -> list[StoredArrival]:
    return [one for one in arrivals(store) if one.outcome == outcome]


def seqs(store: Path, lane: Lane, outcome: str = "new") -> list[int]:
    return [int(one.key.split("/")[3]) for one in arrived(store, outcome) if one.key.split("/")[2] == lane]


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def once(main: Awaitable[None]) -> None:
    """Run a test's coroutine and see that no thread, no socket and no task is left."""

    async def whole() -> None:
        await main
        others = asyncio.all_tasks() - {asyncio.current_task()}
        assert not others, others

    threads, descriptors = set(threading.enumerate()), _descriptors()
    asyncio.run(whole())
    left = set(threading.enumerate()) - threads
    assert not left, left
    assert _descriptors() <= descriptors


@pytest.fixture
def lab() -> SimpleNamespace:
    """The functions above; test modules of one folder cannot import each other."""
    return SimpleNamespace(
        T0=T0,
        CLOCK=CLOCK,
        NAMES=NAMES,
        reading=reading,
        item=item,
        house=house,
        recipient_at=recipient_at,
        receiver_at=receiver_at,
        receiving=receiving,
        until=until,
        arrived=arrived,
        seqs=seqs,
        once=once,
    )
