"""An authority warns a gateway: a real broker, a whole gateway, the reference receiver, all in this process."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from gateway import config as configuration
from gateway import downlink, intake
from gateway.app import House
from gateway.control import ask
from gateway.errors import UserFacingError
from gateway.receive.service import Receiver, ReceiverSettings
from gateway.receive.store import Store, arrivals
from gateway.receive.warn import Desk, issue
from gateway.uplink.mqtt import Endpoint, MqttTransport
from gateway.uplink.order import Order
from hil.broker import Broker
from hil.configuration import write_configuration

PLANTGATE = Path(sys.executable).with_name("plantgate")


def written(tmp_path, broker, orders_certificate):
    own = broker.gateway
    recipient = {
        "name": "receiver",
        "host": broker.host,
        "port": broker.port,
        "ca": broker.authority.ca_file,
        "certificate": own.certificate,
        "private_key": own.key,
        "receipt_timeout_s": 1.0,
    }
    if orders_certificate is not None:
        recipient["orders_certificate"] = orders_certificate
    sections = [
        ("[site]", {"id": "site"}),
        ("[gateway]", {"id": "gateway", "language": "en"}),
        ("[storage]", {"folder": tmp_path / "data"}),
        ("[runtime]", {"folder": tmp_path / "run"}),
        ("[[device]]", {"name": "plc", "driver": "modbus", "host": "127.0.0.1", "port": 1}),
        ("[[recipient]]", recipient),
    ]
    (tmp_path / "data").mkdir(exist_ok=True)
    rows = [{"tag": "LT-1", "device": "plc", "address": "40003", "h": 80}]
    return write_configuration(tmp_path, sections, rows)


class Province:
    """A recipient with its broker, and the key with which it signs."""

    def __init__(self, tmp_path, *settings):
        self.broker = Broker(tmp_path / "broker", settings=settings)
        self.signer = self.broker.authority.client("orders")
        self.store = tmp_path / "received.db"
        self.own = self.broker.receivers["receiver"]

    def desk(self, key=None):
        broker, own = self.broker, self.own
        signing = (key or self.signer).key
        return Desk(broker.host, broker.port, broker.authority.ca_file, own.certificate, own.key, signing)

    async def warn(self, name="W-1", key=None, **more):
        given = {
            "recipient": "receiver",
            "to": "site/gateway",
            "id": name,
            "kind": "warning",
            "colour": "yellow",
            "title": "液位",
            "text": "请核查",
            "points": ("LT-1",),
            "issued_ns": time.time_ns(),
        }
        return await issue(self.desk(key), Order(**{**given, **more}))

    @asynccontextmanager
    async def receiving(self):
        broker, own, stop = self.broker, self.own, asyncio.Event()
        place = (broker.host, broker.port, broker.authority.ca_file, own.certificate, own.key, self.store)
        task = asyncio.create_task(Receiver(ReceiverSettings("receiver", *place)).run(stop))
        try:
            yield
        finally:
            stop.set()
            await task

    async def at_broker(self):
        """What is retained for the gateway, as another client of the authority sees it."""
        heard = Heard()
        broker, own = self.broker, self.own
        place = (broker.host, broker.port, broker.authority.ca_file, own.certificate, own.key, "looker")
        transport = MqttTransport(Endpoint(*place, listen=("plantgate/1/+/+/order/#",)), heard)
        await transport.connect()
        await asyncio.sleep(0.3)
        await transport.close()
        return heard.topics

    def feedback(self):
        with closing(sqlite3.connect(self.store)) as store:
            return [json.loads(row[0]) for row in store.execute("SELECT item FROM feedback")]

    def kinds(self):
        return [json.loads(one.payload)["kind"] for one in arrivals(self.store) if "/journal/" in one.key]


class Heard:
    def __init__(self):
        self.topics = []

    def received(self, topic, payload):
        self.topics.append(topic)

    def delivered(self, handle, verdict, reason):
        pass

    def down(self, error):
        pass


@asynccontextmanager
async def running(path):
    house = House(configuration.load(path))
    serving = asyncio.create_task(house.serve())
    try:
        yield house
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        assert house.hanging == []


async def asked(tmp_path, request, until=lambda data: True):
    async with asyncio.timeout(30):
        while True:
            try:
                data = await asyncio.to_thread(ask, tmp_path / "run" / "control.sock", request)
                if until(data):
                    return data
            except UserFacingError as e:
                if not e.code.startswith("E-CONTROL"):
                    raise
            await asyncio.sleep(0.05)


async def until(condition, seconds=20):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


def connected(data):
    return data["recipients"][0]["state"] == "connected"


def test_a_warning_comes_is_answered_and_goes_while_the_box_s_own_alarms_know_nothing_of_it(tmp_path):
    async def story():
        province = Province(tmp_path)
        async with province.broker, province.receiving():
            path = written(tmp_path, province.broker, province.signer.certificate)
            async with running(path) as house:
                await asked(tmp_path, {"op": "status"}, connected)
                await province.warn("W-1", text="请核查 LT-1")
                data = await asked(tmp_path, {"op": "status"}, lambda d: d["warnings"])
                [seen] = data["warnings"]
                assert (seen["name"], seen["state"], seen["colour"]) == (
                    "receiver/W-1",
                    "unanswered",
                    "yellow",
                )
                assert not any("W-1" in json.dumps(alarm) for alarm in data["alarms"])
                answer = {"op": "answer", "id": "W-1", "cause": "仪表漂移", "action": "已校准"}
                await asked(tmp_path, answer)
                await until(lambda: province.store.exists() and province.feedback())
                [feedback] = province.feedback()
                assert (feedback["id"], feedback["cause"], feedback["action"]) == (
                    "W-1",
                    "仪表漂移",
                    "已校准",
                )
                assert feedback["by"] != ""
                await province.warn("C-1", kind="cancel", colour="", title="", points=(), cancels="W-1")
                await asked(tmp_path, {"op": "warnings"}, lambda d: d[0]["state"] == "cancelled")
                await until(lambda: "warning_cancelled" in province.kinds())
                await asyncio.sleep(0.3)
                assert await province.at_broker() == [], "what is on record is taken from the broker"
                assert [a for a in house.status(points=False)["alarms"] if "order" in a["source"]] == []

    asyncio.run(story())


def test_it_comes_to_a_gateway_that_was_away_once_and_survives_its_restart(tmp_path):
    async def story():
        province = Province(tmp_path)
        async with province.broker:
            path = written(tmp_path, province.broker, province.signer.certificate)
            topic = await province.warn("W-1")
            async with running(path):
                [seen] = (await asked(tmp_path, {"op": "status"}, lambda d: d["warnings"]))["warnings"]
                # On its way to the disk at least; a restart shows whether it got there.
                await asked(tmp_path, {"op": "status"}, lambda d: d["spool"]["heads"]["journal"] >= 2)
            assert await province.at_broker() == [topic], "nobody has it on record up here yet"
            await province.warn("W-2")
            async with running(path):
                after = await asked(tmp_path, {"op": "status"}, lambda d: len(d["warnings"]) == 2)
                assert seen["received_at"] in {one["received_at"] for one in after["warnings"]}
                async with province.receiving():
                    await until(
                        lambda: province.store.exists() and province.kinds().count("warning_received") == 2
                    )
                    await asyncio.sleep(0.3)
                assert await province.at_broker() == []

    asyncio.run(story())


def test_without_a_certificate_for_it_the_gateway_does_not_listen(tmp_path):
    async def story():
        province = Province(tmp_path, "log_type all")
        async with province.broker:
            path = written(tmp_path, province.broker, None)
            async with running(path):
                await asked(tmp_path, {"op": "status"}, connected)
                await province.warn("W-1")
                await asyncio.sleep(0.5)
                data = await asked(tmp_path, {"op": "status"})
                assert data["warnings"] == []
                assert connected(data)
        said = province.broker.log.read_text()
        assert "site/gateway/receipt/receiver" in said
        assert "order/receiver/+" not in said

    asyncio.run(story())


def test_a_forged_one_is_shown_to_nobody_and_is_an_alarm_while_the_record_goes_on(tmp_path, monkeypatch):
    from gateway import app

    monkeypatch.setattr(app, "BEAT_S", 0.1)

    async def story():
        province = Province(tmp_path)
        async with province.broker, province.receiving():
            path = written(tmp_path, province.broker, province.signer.certificate)
            async with running(path):
                await asked(tmp_path, {"op": "status"}, connected)
                await province.warn("W-1", key=province.own)

                def refused(data):
                    return [a for a in data["alarms"] if a["condition"] == "gateway/order-refused/receiver"]

                data = await asked(tmp_path, {"op": "status"}, refused)
                assert data["warnings"] == []
                assert "signature" in refused(data)[0]["cause"]
                await until(lambda: "order_refused" in province.kinds())

    asyncio.run(story())


def test_a_disk_that_hangs_holds_back_no_warning_and_the_flood_no_alarm(tmp_path, monkeypatch):
    """What people are shown waits for no disk; the certificate is read where nothing else waits."""
    monkeypatch.setattr(intake, "STALL_S", 0.2)

    async def story():
        province = Province(tmp_path)
        async with province.broker:
            path = written(tmp_path, province.broker, province.signer.certificate)
            async with running(path) as house:
                await asked(tmp_path, {"op": "status"}, connected)
                free = asyncio.Event()
                append = house._spool.append

                async def hung(what):
                    await free.wait()
                    return await append(what)

                monkeypatch.setattr(house._spool, "append", hung)
                await province.warn("W-1")
                await asked(tmp_path, {"op": "status"}, lambda d: d["warnings"])
                assert house._downlinks.channels["receiver"].refused == 0
                free.set()

    asyncio.run(story())


def test_the_broker_refuses_what_the_authority_may_not_write(tmp_path):
    async def story():
        province = Province(tmp_path)
        async with province.broker:
            with pytest.raises(UserFacingError) as refused:
                await province.warn("W-1", recipient="bureau")
            assert refused.value.code == "E-WARN-BROKER"
            with pytest.raises(UserFacingError) as refused:
                await province.warn("W-1", title="")
            assert refused.value.code == "E-WARN-ORDER"
            with pytest.raises(UserFacingError) as refused:
                await province.warn("W-1", title="\udcd2")  # a terminal that does not speak UTF-8
            assert refused.value.code == "E-WARN-ORDER"
        with pytest.raises(UserFacingError) as refused:
            await province.warn("W-1")
        assert refused.value.code == "E-LINK-UNREACHABLE"
        (tmp_path / "no.key").write_text("no key")
        desk = province.desk()
        with pytest.raises(UserFacingError) as refused:
            await issue(
                Desk(desk.host, 1, desk.ca, desk.certificate, desk.private_key, tmp_path / "no.key"),
                Order("receiver", "site/gateway", "W-1", "order", "", "t", "", (), 1_795_318_260 * 10**9),
            )
        assert refused.value.code == "E-WARN-KEY"

    asyncio.run(story())


def test_a_store_of_the_version_before_is_taken_on(tmp_path):
    from gateway.receive import store as store_module

    with closing(sqlite3.connect(tmp_path / "old.db")) as old:
        old.executescript(store_module._SCHEMA)
    Store(tmp_path / "old.db").close()
    with closing(sqlite3.connect(tmp_path / "old.db")) as new:
        assert new.execute("PRAGMA user_version").fetchone() == (2,)
        assert new.execute("SELECT count(*) FROM feedback").fetchone() == (0,)


def plantgate(*words):
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [PLANTGATE, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )


def test_the_commands_from_one_end_to_the_other(tmp_path):
    async def story():
        province = Province(tmp_path)
        desk = province.desk()
        whom = ["--recipient", "receiver", "--host", desk.host, "--port", desk.port, "--ca", desk.ca]
        whom += ["--certificate", desk.certificate, "--private-key", desk.private_key]
        whom += ["--signing-key", desk.signing_key, "--site", "site", "--gateway", "gateway"]
        async with province.broker:
            path = written(tmp_path, province.broker, province.signer.certificate)
            on = ["--config", path]
            async with running(path):
                await asked(tmp_path, {"op": "status"}, connected)
                what = [
                    "--kind",
                    "warning",
                    "--colour",
                    "red",
                    "--title",
                    "Tank high",
                    "--text",
                    "[bold]look",
                ]
                what += ["--points", "LT-1", "LT-2", "--answer-within", "3600", "--json"]
                sent = await asyncio.to_thread(plantgate, "warn", *whom, *what)
                assert sent.returncode == 0, sent.stderr
                name = json.loads(sent.stdout)["id"]
                await asked(tmp_path, {"op": "status"}, lambda d: d["warnings"])
                listed = await asyncio.to_thread(plantgate, "warnings", *on)
                for word in ("Warnings from above", "red warning", "Tank high", "[bold]look", "left", name):
                    assert word in listed.stdout
                words = ["warnings", "answer", name, "--cause", "drift", "--action", "calibrated", *on]
                answered = await asyncio.to_thread(plantgate, *words)
                assert (answered.returncode, answered.stderr) == (0, f"Answered {name}.\n")
                listed = await asyncio.to_thread(plantgate, "warnings", "list", "--all", *on)
                assert "drift / calibrated" in listed.stdout
                status = await asyncio.to_thread(plantgate, "status", *on)
                assert "Warnings from above" in status.stdout
                cancelled = await asyncio.to_thread(plantgate, "warn", *whom, "--cancel", name)
                assert cancelled.returncode == 0, cancelled.stderr
                await asked(tmp_path, {"op": "warnings"}, lambda d: d[0]["state"] == "cancelled")
                unknown = await asyncio.to_thread(
                    plantgate, "warnings", "answer", "W-0", "--cause", "a", "--action", "b", *on
                )
                assert unknown.returncode == 2
                assert "E-NAME-WARNING" in unknown.stderr
        assert downlink.MAX_WAITING > 100

    asyncio.run(story())
