"""The intake on a real spool. A second connection that holds SQLite's write lock plays the disk that fails."""

import asyncio
import sqlite3
from contextlib import asynccontextmanager, closing

import numpy as np

from buffer.record import Gap
from buffer.spool import SpoolSettings
from buffer.writer import SpoolWriter
from drivers.kit.quality import GOOD
from drivers.kit.scan import Point, Scan
from gateway import intake as module
from gateway.alarm.limits import Limits
from gateway.clock import SystemClock
from gateway.codec import decode, encode_item
from gateway.engine import Engine, WatchedDevice
from gateway.instant import UNSYNCHRONISED
from gateway.intake import Intake
from gateway.pending import Pending
from gateway.plant import OutputConfig, PointConfig
from gateway.sirens import Sirens

POINTS = tuple(PointConfig(Point(f"P{k}", "40001"), limits=Limits(h=80.0), camera="cam") for k in range(10))


def scan(value=50.0, taken_ns=1):
    points = np.arange(10, dtype=np.uint16)
    return Scan("plc", "rev", points, np.full(10, value), np.full(10, GOOD, dtype=np.uint8), taken_ns, 0)


def gap_body(gap: Gap) -> bytes:
    return encode_item("gap", {"cause": gap.cause}, UNSYNCHRONISED, "rev")


class Heard:
    """Who listens to the intake."""

    def __init__(self):
        self.records, self.volatile_changes, self.seqs, self.order = [], [], {}, []

    def appended(self, records):
        self.records += records
        self.order.append("appended")

    def volatile(self, number, change, now):
        self.volatile_changes.append((number, change.alarm.condition))
        self.order.append("volatile")

    def recovered(self, seqs):
        self.seqs.update(seqs)


class House:
    def __init__(self, intake, heard, spool, siren, path):
        self.intake, self.heard, self.spool, self.siren, self.path = intake, heard, spool, siren, path
        self.wishes = []
        self.alive = 0

    def kinds(self):
        return [(r.lane, decode(r.body).kind) for r in self.heard.records]


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def house(tmp_path, *, max_rows=10_000, stop=True):
    heard = Heard()
    spool = SpoolWriter(tmp_path / "spool.db", SpoolSettings(), (), gap_body)
    await spool.start()
    clock = SystemClock()
    engine = Engine([WatchedDevice("plc", POINTS)], (), clock.now())
    sirens = Sirens([OutputConfig("siren", "file", path=tmp_path / "siren")], "rev")
    built = House(None, heard, spool, sirens._outputs[0], tmp_path / "spool.db")
    built.intake = Intake(
        engine,
        Pending(max_rows),
        spool,
        sirens,
        heard,
        clock,
        config_rev="rev",
        flush_s=0.2,
        capture=built.wishes.append,
        alive=lambda: setattr(built, "alive", built.alive + 1),
    )
    tasks = [asyncio.create_task(built.intake.evaluate()), asyncio.create_task(built.intake.persist())]
    try:
        yield built
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if stop:
            assert await built.intake.flush_last()
        await spool.close()
        assert sirens.close() == []


def test_readings_are_one_record_per_flush_and_an_alarm_is_at_once(tmp_path):
    async def story():
        async with house(tmp_path) as h:
            h.intake.post(scan(50.0, 1))
            h.intake.post(scan(51.0, 2))
            await until(lambda: h.heard.records)
            assert h.kinds() == [("reading", "sample")]
            assert [s.taken_ns for s in decode(h.heard.records[0].body).scans] == [1, 2]
            h.intake.post(scan(90.0, 3))
            await until(lambda: len(h.heard.records) > 2)
            assert h.kinds()[1:] == [("reading", "sample")] + [("alarm", "alarm")] * 10
            assert len(h.wishes) == 10
            assert h.alive >= 2

    asyncio.run(story())


def test_the_siren_sounds_before_anything_is_written(tmp_path):
    async def story():
        async with house(tmp_path) as h:
            sounded = []
            h.siren.sound = lambda change: sounded.append(len(h.heard.records))
            h.intake.post(scan(50.0))
            await until(h.intake.engine.taken_ns.all)
            h.intake.post(scan(90.0))
            await until(lambda: len(sounded) == 10)
            assert sounded == [0] * 10

    asyncio.run(story())


def test_what_waits_at_the_stop_becomes_durable(tmp_path):
    async def story():
        async with house(tmp_path) as h:
            h.intake.post(scan(50.0, 7))
            await asyncio.sleep(0.02)
            h.intake.journal("stop", {})
        assert ("journal", "stop") in h.kinds()
        assert ("reading", "sample") in h.kinds()

    asyncio.run(story())


def test_a_dead_disk_mutes_nothing_and_everything_is_written_when_it_is_back(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.05)
    monkeypatch.setattr(module, "STALL_S", 0.2)

    async def story():
        async with house(tmp_path, max_rows=40) as h:
            h.intake.post(scan(50.0, 1))
            await until(lambda: h.heard.records)
            with closing(sqlite3.connect(h.path, isolation_level=None)) as thief:
                thief.execute("BEGIN IMMEDIATE")
                h.intake.post(scan(90.0, 2))
                await until(lambda: len(h.heard.volatile_changes) >= 11)
                assert h.intake.outage is not None
                assert ("gateway/disk") in {condition for _, condition in h.heard.volatile_changes}
                await until(lambda: h.siren.sounded >= 11)
                for k in range(3, 12):
                    h.intake.post(scan(91.0, k))
                await asyncio.sleep(0.1)
                assert len(h.heard.records) == 1
                thief.execute("ROLLBACK")
            await until(lambda: ("journal", "disk_outage") in h.kinds())
            await until(lambda: not h.intake.engine.alarms["gateway/disk"].active)
            assert h.intake.outage is None
            alarms = [decode(r.body).header["item"] for r in h.heard.records if r.lane == "alarm"]
            assert [a["condition"] for a in alarms[:10]] == [f"P{k}/high" for k in range(10)]
            by_seq = {r.seq: decode(r.body).header["item"] for r in h.heard.records if r.lane == "alarm"}
            for number, condition in h.heard.volatile_changes:
                assert by_seq[h.heard.seqs[number]]["condition"] == condition
            gaps = [decode(r.body).header["item"] for r in h.heard.records if decode(r.body).kind == "gap"]
            kept = [s.taken_ns for r in h.heard.records if r.lane == "reading" for s in decode(r.body).scans]
            assert sum(g["dropped"] for g in gaps) + len(kept) == 11
            assert gaps[0]["cause"] == "disk"

    asyncio.run(story())


def test_a_flooded_inbox_refuses_and_declares(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_INBOX", 3)

    async def story():
        async with house(tmp_path) as h:
            for k in range(5):
                h.intake.post(scan(50.0, k))
            await until(lambda: ("journal", "gap") in h.kinds())
            gap = next(decode(r.body).header["item"] for r in h.heard.records if decode(r.body).kind == "gap")
            assert (gap["cause"], gap["dropped"]) == ("overflow", 2)

    asyncio.run(story())


def test_alarms_that_are_written_at_once_do_not_put_the_readings_off(tmp_path):
    async def story():
        async with house(tmp_path) as h:
            for n in range(20):
                h.intake.post(scan(90.0 if n % 2 == 0 else 50.0, n))
                await until(
                    lambda n=n: len([r for r in h.heard.records if r.lane == "alarm"]) >= 10 * (n + 1)
                )
            assert h.intake._next_flush_s <= asyncio.get_running_loop().time() + 0.2
            h.intake.post(scan(51.0, 99))
            await until(lambda: any(s.taken_ns == 99 for r in h.heard.records for s in decode(r.body).scans))

    asyncio.run(story())


def test_a_flood_of_alarms_is_on_record_and_in_the_load(tmp_path):
    async def story():
        async with house(tmp_path) as h:
            for at, value in enumerate((90.0, 50.0, 90.0)):
                h.intake.post(scan(value, at + 1))
                await until(lambda at=at: [lane for lane, _ in h.kinds()].count("alarm") == 10 * (at + 1))
            await until(lambda: ("journal", "alarm_flood") in h.kinds())
            [flood] = [r for r in h.heard.records if decode(r.body).kind == "alarm_flood"]
            assert {key: decode(flood.body).header["item"][key] for key in ("state", "area", "count")} == {
                "state": "begin",
                "area": "",
                "count": 11,
            }
            assert [one.count for one in h.intake.load.floods] == [20]

    asyncio.run(story())
